//! Days of real stores beside sums over the raw rows.
//!
//! A basket or an invoice is one transaction, and the time of its last row is the transaction's. Times are taken as
//! UTC, and a business day is their date. Amounts are rounded to cents line by line: `UnitPrice` × `Quantity` of
//! invoices, and what the receipts say. What should come out is summed over the rows by themselves, in whole cents
//! (prices in tenths of a cent), and the totals were computed with pandas.

use super::{data, number, process, records, rows};
use parquet::record::{Field, Row};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

/// A row as a line of a till.
#[derive(Debug)]
struct Line {
    transaction: String,
    store: String,
    customer: Option<String>,
    time_ms: i64,
    item: String,
    /// None where the data have 0, of which the contract knows nothing: then it counts as 1.
    quantity: Option<i64>,
    amount_minor: i64,
    discount_minor: i64,
    has_coupon: bool,
    is_return: bool,
}

/// What should be published of a store's day, summed over rows.
#[derive(Debug, Default)]
struct Sums {
    baskets: BTreeSet<String>,
    returns: BTreeSet<String>,
    items_sold: i64,
    items_returned: i64,
    revenue_minor: i64,
    discount_minor: i64,
    coupons: i64,
}

/// By store and day.
type SumsByDay = BTreeMap<(String, String), Sums>;

/// The sums over all days.
#[derive(Debug, PartialEq, Eq)]
struct Totals {
    store_days: usize,
    baskets: usize,
    returns: usize,
    items_sold: i64,
    items_returned: i64,
    revenue_minor: i64,
    discount_minor: i64,
    coupons: i64,
}

impl Line {
    fn json(&self) -> Value {
        let mut line = json!({"item_id": self.item, "amount_minor": self.amount_minor});
        if let Some(quantity) = self.quantity {
            line["quantity"] = quantity.into();
        }
        if self.discount_minor > 0 {
            line["discount_minor"] = self.discount_minor.into();
        }
        if self.has_coupon {
            line["coupon"] = "manufacturer".into();
        }
        if self.is_return {
            line["is_return"] = true.into();
        }
        line
    }
}

#[test]
#[ignore = "needs the data sets: TILLSTREAM_DATA"]
fn days_of_real_invoices_are_the_sums_of_their_rows() {
    let path = data("dev/online_retail_until_2011-08.parquet");
    let folder = process(None, |out| write_transactions(out, "GBP", invoices(&path)));
    let totals = compare(folder.path(), "GBP", &sums_of_invoices(&path));
    let expected = Totals {
        store_days: 1_146,
        baskets: 16_459,
        returns: 2_556,
        items_sold: 3_370_168,
        items_returned: 280_690,
        revenue_minor: 576_193_138,
        discount_minor: 0,
        coupons: 0,
    };
    assert_eq!(totals, expected);
}

#[test]
#[ignore = "needs the data sets: TILLSTREAM_DATA"]
fn days_of_real_receipts_are_the_sums_of_their_rows() {
    let path = data("dev/complete_journey_tx_until_2017-09.parquet");
    let folder = process(None, |out| write_transactions(out, "USD", receipts(&path)));
    let totals = compare(folder.path(), "USD", &sums_of_receipts(&path));
    let expected = Totals {
        store_days: 28_874,
        baskets: 116_704,
        returns: 0,
        items_sold: 113_188_573,
        items_returned: 0,
        revenue_minor: 339_930_867,
        discount_minor: 61_628_031,
        coupons: 15_655,
    };
    assert_eq!(totals, expected);
}

/// The rows of Online Retail, those of an invoice together, invoices in order of time. The store is the country. A row
/// of less than no pieces is a return, and so is one of less than no money (a bad debt that is written off).
fn invoices(path: &Path) -> impl Iterator<Item = Line> {
    let mut invoices = BTreeMap::<String, Vec<Line>>::new();
    for row in rows(path) {
        let (quantity, price) = (number(&row, "Quantity"), number(&row, "UnitPrice"));
        let line = Line {
            transaction: required(&row, "InvoiceNo"),
            store: required(&row, "Country"),
            customer: text(&row, "CustomerID"),
            time_ms: time_ms(&row, "InvoiceDate"),
            item: required(&row, "StockCode"),
            quantity: Some(whole(quantity.abs())),
            amount_minor: whole((quantity * price * 100.0).abs().round()),
            discount_minor: 0,
            has_coupon: false,
            is_return: quantity < 0.0 || price < 0.0,
        };
        invoices.entry(line.transaction.clone()).or_default().push(line);
    }
    let mut invoices: Vec<Vec<Line>> = invoices.into_values().collect();
    invoices.sort_by_key(|lines| lines.last().map(|line| line.time_ms));
    invoices.into_iter().flatten()
}

/// The rows of Complete Journey, which has them in order of time, those of a basket together.
fn receipts(path: &Path) -> impl Iterator<Item = Line> {
    rows(path).map(|row| {
        let cents = |column| whole((number(&row, column) * 100.0).round());
        let quantity = whole(number(&row, "quantity"));
        Line {
            transaction: required(&row, "basket_id"),
            store: required(&row, "store_id"),
            customer: text(&row, "household_id"),
            time_ms: time_ms(&row, "transaction_timestamp"),
            item: required(&row, "product_id"),
            quantity: Some(quantity).filter(|quantity| *quantity > 0),
            amount_minor: cents("sales_value"),
            discount_minor: cents("retail_disc") + cents("coupon_disc") + cents("coupon_match_disc"),
            has_coupon: number(&row, "coupon_disc") > 0.0,
            is_return: false,
        }
    })
}

fn write_transactions(out: &mut dyn Write, currency: &str, lines: impl Iterator<Item = Line>) {
    let mut lines = lines.peekable();
    let mut sequence_number = 0_u64;
    while let Some(first) = lines.next() {
        let mut basket = vec![first];
        while let Some(line) = lines.next_if(|line| line.transaction == basket[0].transaction) {
            basket.push(line);
        }
        sequence_number += 1;
        write_transaction(out, currency, sequence_number, &basket);
    }
}

fn write_transaction(out: &mut dyn Write, currency: &str, sequence_number: u64, basket: &[Line]) {
    let Line { transaction, store, customer, time_ms, .. } = basket.last().expect("a line");
    let lines: Vec<Value> = basket.iter().map(Line::json).collect();
    let value = json!({
        "event_id": transaction, "event_name": "pos_transaction", "event_time_ms": time_ms, "store_id": store,
        "workstation_id": "1", "sequence_number": sequence_number, "business_day": date(*time_ms),
        "currency": currency, "loyalty_id": customer, "lines": lines
    });
    writeln!(out, "{}", json!({"topic": "pos", "ts": time_ms, "key": store, "value": value}))
        .expect("it reads");
}

/// Amounts by way of prices in tenths of a cent, halves of a cent up.
fn sums_of_invoices(path: &Path) -> SumsByDay {
    let mut days = SumsByDay::new();
    for row in rows(path) {
        let sums = days.entry((required(&row, "Country"), date(time_ms(&row, "InvoiceDate")))).or_default();
        let quantity = whole(number(&row, "Quantity"));
        let price = whole((number(&row, "UnitPrice") * 1_000.0).round());
        let cents = ((quantity * price).abs() + 5) / 10;
        let invoice = required(&row, "InvoiceNo");
        if quantity.min(price) < 0 {
            sums.items_returned += quantity.abs();
            sums.revenue_minor -= cents;
            if cents > 0 {
                sums.returns.insert(invoice.clone());
            }
        } else {
            sums.items_sold += quantity;
            sums.revenue_minor += cents;
        }
        sums.baskets.insert(invoice);
    }
    days
}

fn sums_of_receipts(path: &Path) -> SumsByDay {
    let mut days = SumsByDay::new();
    for row in rows(path) {
        let day = date(time_ms(&row, "transaction_timestamp"));
        let sums = days.entry((required(&row, "store_id"), day)).or_default();
        let cents = |column| whole((number(&row, column) * 100.0).round());
        sums.baskets.insert(required(&row, "basket_id"));
        sums.items_sold += whole(number(&row, "quantity")).max(1);
        sums.revenue_minor += cents("sales_value");
        let discounts = ["retail_disc", "coupon_disc", "coupon_match_disc"];
        sums.discount_minor += discounts.map(cents).iter().sum::<i64>();
        sums.coupons += i64::from(cents("coupon_disc") > 0);
    }
    days
}

/// Compares the highest revision of every store and day with the sums, and returns the totals of what was published.
fn compare(folder: &Path, currency: &str, expected: &SumsByDay) -> Totals {
    let mut published = latest(folder);
    for (key, sums) in expected {
        let record = published.remove(key).unwrap_or_else(|| panic!("{key:?} was not published"));
        let shown = shown(&record);
        assert_eq!(record["is_final"], true, "{record}");
        assert_eq!(shown, sums.shown(currency), "{key:?}");
    }
    assert_eq!(published.keys().next(), None, "days without rows");
    assert_eq!(records(folder, "late").count(), 0, "nothing is late");
    let totals = Totals::of(expected);
    println!("every figure of every store and day is equal: {totals:?}");
    totals
}

/// By store and day, the highest revision. There is one that is final, and none beyond it.
fn latest(folder: &Path) -> BTreeMap<(String, String), Value> {
    let mut latest = BTreeMap::<(String, String), Value>::new();
    for record in records(folder, "business.days") {
        let part = |name: &str| record[name].as_str().expect("a text").to_owned();
        let known = latest.entry((part("store_id"), part("business_day"))).or_default();
        assert_ne!(known["is_final"], true, "{known} is final, and then comes {record}");
        assert_eq!(record["revision"].as_u64(), Some(known["revision"].as_u64().unwrap_or(0) + 1));
        *known = record;
    }
    latest
}

/// The figures of a record that rows say something about.
fn shown(record: &Value) -> Value {
    let names = [
        "baskets",
        "returns",
        "items_sold",
        "items_returned",
        "revenue_minor",
        "discount_minor",
        "coupons",
        "voids",
        "trainings",
        "offline",
    ];
    names.into_iter().map(|name| (name.to_owned(), record[name].clone())).collect()
}

impl Sums {
    fn shown(&self, currency: &str) -> Value {
        let discounts =
            if self.discount_minor > 0 { json!({currency: self.discount_minor}) } else { json!({}) };
        json!({
            "baskets": self.baskets.len(), "returns": self.returns.len(), "items_sold": self.items_sold,
            "items_returned": self.items_returned, "revenue_minor": {currency: self.revenue_minor},
            "discount_minor": discounts, "coupons": self.coupons, "voids": 0, "trainings": 0, "offline": 0
        })
    }
}

impl Totals {
    fn of(days: &SumsByDay) -> Totals {
        let sum = |figure: fn(&Sums) -> i64| days.values().map(figure).sum::<i64>();
        Totals {
            store_days: days.len(),
            baskets: days.values().map(|sums| sums.baskets.len()).sum(),
            returns: days.values().map(|sums| sums.returns.len()).sum(),
            items_sold: sum(|sums| sums.items_sold),
            items_returned: sum(|sums| sums.items_returned),
            revenue_minor: sum(|sums| sums.revenue_minor),
            discount_minor: sum(|sums| sums.discount_minor),
            coupons: sum(|sums| sums.coupons),
        }
    }
}

/// The date in UTC.
fn date(time_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(time_ms).expect("a time").to_string();
    time.split('T').next().expect("a date").to_owned()
}

fn field<'r>(row: &'r Row, name: &str) -> &'r Field {
    let (_, field) = row
        .get_column_iter()
        .find(|(column, _)| *column == name)
        .unwrap_or_else(|| panic!("no column {name}"));
    field
}

/// A timestamp in milliseconds; one of nanoseconds is read as a plain number.
fn time_ms(row: &Row, name: &str) -> i64 {
    match field(row, name) {
        Field::TimestampMillis(millis) => *millis,
        Field::TimestampMicros(micros) => micros.div_euclid(1_000),
        Field::Long(nanos) => nanos.div_euclid(1_000_000),
        other => panic!("{name} is {other:?}"),
    }
}

fn text(row: &Row, name: &str) -> Option<String> {
    match field(row, name) {
        Field::Str(text) => Some(text.clone()),
        Field::Int(number) => Some(number.to_string()),
        Field::Long(number) => Some(number.to_string()),
        Field::Null => None,
        other => panic!("{name} is {other:?}"),
    }
}

fn required(row: &Row, name: &str) -> String {
    text(row, name).unwrap_or_else(|| panic!("{name} is null"))
}

#[expect(clippy::cast_possible_truncation, reason = "a whole number")]
fn whole(number: f64) -> i64 {
    number as i64
}
