//! The final figures per store and business day, from the raw transactions of tills alone: a sort, a scan, and every
//! figure counted by itself over all transactions of a day. Written from docs/business.md.
//!
//! Nothing is late here: whoever compares leaves out what came to `late`, was refused, or came twice beyond the
//! horizon of de-duplication.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Money is in so many currencies per day at most.
const CURRENCIES: usize = 32;

/// The records of `business.days`, by store and day, without `revision` and `is_final`. `transactions` are values of
/// the topic `pos`; of one store's with the same id the first counts.
pub fn final_days(transactions: &[Value]) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let mut counted: Vec<(String, String, &Value)> = Vec::new();
    for transaction in transactions {
        let store = text(transaction, "store_id");
        if seen.insert((store.clone(), text(transaction, "event_id"))) && leaves_a_trace(transaction) {
            counted.push((store, known_day(&text(transaction, "business_day")), transaction));
        }
    }
    counted.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    counted
        .chunk_by(|one, other| (&one.0, &one.1) == (&other.0, &other.1))
        .map(|of_day| {
            let (store, day, _) = of_day.first().expect("no chunk is empty");
            figures(store, day, &of_day.iter().map(|(.., transaction)| *transaction).collect::<Vec<_>>())
        })
        .collect()
}

fn figures(store: &str, day: &str, transactions: &[&Value]) -> Value {
    let real = without(transactions, "is_training");
    let baskets = without(&real, "is_void");
    let lines: Vec<&Value> = baskets.iter().flat_map(|basket| live_lines(basket)).collect();
    let sold = without(&lines, "is_return");
    let returned: Vec<&Value> = lines.iter().copied().filter(|line| is(line, "is_return")).collect();
    let has_coupon = |line: &&&Value| line["coupon"].as_str().is_some_and(|coupon| !coupon.is_empty());
    let times: Vec<i64> = baskets.iter().filter_map(|basket| whole(basket, "event_time_ms")).collect();
    json!({
        "store_id": store,
        "business_day": day,
        "baskets": baskets.len(),
        "returns": baskets.iter().filter(|basket| returned_minor(basket) > 0).count(),
        "items_sold": pieces(&sold),
        "items_returned": pieces(&returned),
        "revenue_minor": by_currency(&baskets, signed_amount),
        "discount_minor": without_zeros(by_currency(&baskets, discount)),
        "coupons": lines.iter().filter(has_coupon).count(),
        "voids": real.len() - baskets.len(),
        "trainings": transactions.len() - real.len(),
        "offline": baskets.iter().filter(|basket| is(basket, "is_offline")).count(),
        "first_ms": times.iter().min(),
        "last_ms": times.iter().max(),
    })
}

/// Those of which something is not said.
fn without<'v>(objects: &[&'v Value], fact: &str) -> Vec<&'v Value> {
    objects.iter().copied().filter(|object| !is(object, fact)).collect()
}

fn pieces(lines: &[&Value]) -> i64 {
    lines.iter().map(|line| whole(line, "quantity").unwrap_or(1)).sum()
}

/// A real transaction that was not cancelled, with no line that counts, is nowhere.
fn leaves_a_trace(transaction: &Value) -> bool {
    is(transaction, "is_training") || is(transaction, "is_void") || !live_lines(transaction).is_empty()
}

fn live_lines(transaction: &Value) -> Vec<&Value> {
    transaction["lines"].as_array().expect("a list").iter().filter(|line| !is(line, "is_void")).collect()
}

fn returned_minor(transaction: &Value) -> i64 {
    live_lines(transaction).into_iter().filter(|line| is(line, "is_return")).map(amount).sum()
}

/// The sums over the lines by currency of their transaction, the first currencies in the order of the alphabet.
fn by_currency(baskets: &[&Value], of_line: impl Fn(&Value) -> i64) -> Map<String, Value> {
    let mut sums = BTreeMap::<String, i64>::new();
    for basket in baskets {
        *sums.entry(text(basket, "currency")).or_default() +=
            live_lines(basket).into_iter().map(&of_line).sum::<i64>();
    }
    sums.into_iter().take(CURRENCIES).map(|(currency, sum)| (currency, sum.into())).collect()
}

fn without_zeros(mut sums: Map<String, Value>) -> Map<String, Value> {
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn amount(line: &Value) -> i64 {
    whole(line, "amount_minor").expect("required")
}

fn signed_amount(line: &Value) -> i64 {
    if is(line, "is_return") { -amount(line) } else { amount(line) }
}

fn discount(line: &Value) -> i64 {
    whole(line, "discount_minor").unwrap_or(0)
}

fn is(object: &Value, fact: &str) -> bool {
    object[fact] == true
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().expect("a required text").to_owned()
}

/// A whole number, written as `2` or as `2.0`.
#[expect(clippy::cast_possible_truncation, reason = "whole numbers of a contract")]
fn whole(object: &Value, field: &str) -> Option<i64> {
    let number = &object[field];
    number.as_i64().or_else(|| number.as_f64().map(|number| number as i64))
}

/// A day that a short month does not have lies in the next one, as many days after its end.
fn known_day(text: &str) -> String {
    let numbers: Vec<u32> = text.split('-').map(|number| number.parse().expect("a number")).collect();
    let &[year, month, day] = numbers.as_slice() else { panic!("{text} is no day") };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    // December has 31 days: the year stays
    if day > length { format!("{year:04}-{:02}-{:02}", month + 1, day - length) } else { text.to_owned() }
}

/// A transaction of the store `s` at this time, with these lines.
fn sale(id: &str, day: &str, time: i64, lines: Value) -> Value {
    json!({"event_id": id, "event_name": "pos_transaction", "event_time_ms": time, "store_id": "s",
        "workstation_id": "w", "sequence_number": 1, "business_day": day, "currency": "EUR", "lines": lines})
}

fn with(mut transaction: Value, fact: &str, value: impl Into<Value>) -> Value {
    transaction[fact] = value.into();
    transaction
}

#[test]
fn figures_of_a_day_worked_out_by_hand() {
    let lines = json!([
        {"item_id": "a", "amount_minor": 2398, "quantity": 2, "discount_minor": 200, "coupon": "C"},
        {"item_id": "b", "amount_minor": 1999, "is_return": true, "coupon": ""},
        {"item_id": "c", "amount_minor": 499, "is_void": true, "discount_minor": 50, "coupon": "C"}
    ]);
    let [early, late] = ["2026-02-28", "2026-02-31"];
    let transactions = [
        with(sale("1", late, 30, lines.clone()), "is_offline", true),
        sale("2", late, 20, json!([{"item_id": "a", "amount_minor": 100.0}])),
        sale("2", late, 10, json!([{"item_id": "a", "amount_minor": 7}])),
        with(sale("3", late, 5, lines.clone()), "is_void", true),
        with(with(sale("4", late, 6, lines.clone()), "is_void", true), "is_training", true),
        sale("5", "2026-03-03", 40, json!([{"item_id": "a", "amount_minor": 1, "is_return": true}])),
        with(sale("6", late, 50, lines), "currency", "USD"),
        sale("7", early, 60, json!([{"item_id": "a", "amount_minor": 5, "is_void": true}])),
        sale("8", early, 60, json!([])),
    ];
    let expected = json!([{
        "store_id": "s", "business_day": "2026-03-03", "baskets": 4, "returns": 3, "items_sold": 5,
        "items_returned": 3, "revenue_minor": {"EUR": 498, "USD": 399},
        "discount_minor": {"EUR": 200, "USD": 200}, "coupons": 2, "voids": 1,
        "trainings": 1, "offline": 1, "first_ms": 20, "last_ms": 50
    }]);
    assert_eq!(Value::from(final_days(&transactions)), expected);
}

#[test]
fn a_day_of_voids_alone_has_no_times_and_no_money() {
    let void = with(sale("1", "2026-01-05", 1, json!([])), "is_void", true);
    let days = final_days(&[void]);
    assert_eq!(days.len(), 1);
    assert_eq!((&days[0]["first_ms"], &days[0]["revenue_minor"]), (&Value::Null, &json!({})));
    assert_eq!((&days[0]["voids"], &days[0]["baskets"]), (&json!(1), &json!(0)));
}
