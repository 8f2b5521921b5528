//! The shop's minutes: what was heard of in a minute at a place, and every figure counted by itself over all of it. Written from
//! docs/business.md.
//!
//! What is heard, and which purchases a visitor's open sessions know of, follows from the order of arrival: [`super::entity_log`]
//! says so. What each event was is read in its raw record.

use super::session::Click;
use super::{Place, Public};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tillstream::event::ClickName;

const MINUTE: i64 = 60_000;

/// Something that counts in a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub time: i64,
    /// What.
    pub what: What,
}

/// What.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A click or an order of a visitor.
    Heard { visitor: String, told_at: Place },
    /// A purchase of a visitor, in a click or an order; those that counted in open sessions before it and after it.
    Purchase { told_at: Place, before: Vec<Place>, after: Vec<Place> },
    /// A session ended, in which there was this.
    Ended { names: BTreeSet<&'static str> },
    /// A transaction of a till.
    Rung { told_at: Place },
}

impl What {
    /// Whether it tells of an order that was known.
    #[must_use]
    pub fn is_told_again(&self) -> bool {
        matches!(self, What::Purchase { before, after, .. } if before.len() == after.len())
    }

    /// The end of a session with these clicks.
    #[must_use]
    pub fn ended(clicks: &[Click]) -> What {
        let stage = |click: &Click| match click.name {
            ClickName::ViewItem => Some("viewed"),
            ClickName::AddToCart => Some("carted"),
            ClickName::BeginCheckout => Some("checked_out"),
            ClickName::Purchase => Some("purchased"),
            _ => None,
        };
        What::Ended { names: clicks.iter().filter_map(stage).collect() }
    }
}

/// Where something happened: channel and store; nothing for the whole.
type At = (Option<&'static str>, Option<String>);

/// The records of `business.minutes` over everything that happened; `raw` has the raw records.
///
/// # Panics
///
/// If a raw record is not there.
#[must_use]
pub fn records(happened: &[Happened], raw: &BTreeMap<Place, Value>) -> Vec<Public> {
    let mut places: BTreeMap<(i64, At), Vec<&What>> = BTreeMap::new();
    for Happened { time, what } in happened {
        let channel_and_store = match what {
            What::Rung { told_at } => {
                let transaction = &raw[told_at];
                if lines(transaction, false).is_empty() && lines(transaction, true).is_empty() {
                    continue;
                }
                ("store", Some(text(transaction, "store_id")))
            }
            _ => ("online", None),
        };
        let (channel, store) = channel_and_store;
        let all: BTreeSet<At> = BTreeSet::from([(Some(channel), store), (Some(channel), None), (None, None)]);
        for at in all {
            places.entry((time.div_euclid(MINUTE) * MINUTE, at)).or_default().push(what);
        }
    }
    places.iter().map(|((start, at), what)| record(*start, at, what, raw)).collect()
}

fn record(start: i64, (channel, store): &At, what: &[&What], raw: &BTreeMap<Place, Value>) -> Public {
    let heard: Vec<(&str, &Value)> = what
        .iter()
        .filter_map(|what| match what {
            What::Heard { visitor, told_at } => Some((visitor.as_str(), &raw[told_at])),
            _ => None,
        })
        .collect();
    let visitors: BTreeSet<&str> = heard.iter().map(|(visitor, _)| *visitor).collect();
    let clicks = |name: &str| -> Vec<&Value> {
        heard.iter().map(|(_, event)| *event).filter(|event| event["event_name"] == name).collect()
    };
    let recommended = |name: &str| {
        let is_one = |item: &Value| item["item_list_id"] == "recommendations";
        let has_one =
            |event: &&Value| event["items"].as_array().is_some_and(|items| items.iter().any(is_one));
        clicks(name).into_iter().filter(has_one).count()
    };
    let sessions: Vec<&BTreeSet<&str>> = what
        .iter()
        .filter_map(|what| match what {
            What::Ended { names } => Some(names),
            _ => None,
        })
        .collect();
    // whoever came so far has come as far as every stage before
    let reached = |stages: &[&str]| {
        sessions.iter().filter(|names| stages.iter().any(|stage| names.contains(stage))).count()
    };
    let [ended, viewed, carted, checked_out, purchased] = [
        sessions.len(),
        reached(&["viewed", "carted", "checked_out", "purchased"]),
        reached(&["carted", "checked_out", "purchased"]),
        reached(&["checked_out", "purchased"]),
        reached(&["purchased"]),
    ];
    let transactions: Vec<&Value> = what
        .iter()
        .filter_map(|what| match what {
            What::Rung { told_at } => Some(&raw[told_at]),
            _ => None,
        })
        .collect();
    let with = |is_return: bool| -> Vec<&Value> {
        transactions.iter().copied().filter(|one| !lines(one, is_return).is_empty()).collect()
    };
    let (sold, taken_back) = (with(false), with(true));

    let (mut baskets, mut items, mut revenue) = (sold.len() as i64, 0, BTreeMap::<String, i64>::new());
    for transaction in &sold {
        items += lines(transaction, false).iter().map(|line| pieces(line)).sum::<i64>();
        *revenue.entry(text(transaction, "currency")).or_default() += amount(&lines(transaction, false));
    }
    for what in what {
        let What::Purchase { told_at, before, after } = what else { continue };
        if after.len() < before.len() {
            continue;
        }
        baskets += (after.len() - before.len()) as i64;
        if after.len() > before.len() {
            let of = raw[told_at]["items"].as_array();
            items += of.into_iter().flatten().map(pieces).sum::<i64>();
        }
        for (currency, change) in change(&worth(before, raw), &worth(after, raw)) {
            *revenue.entry(currency).or_default() += change;
        }
    }

    let mut refunded = BTreeMap::<String, i64>::new();
    for transaction in &taken_back {
        *refunded.entry(text(transaction, "currency")).or_default() += amount(&lines(transaction, true));
    }
    for click in clicks("refund") {
        if let (Some(currency), Some(minor)) = (click["currency"].as_str(), click["value_minor"].as_i64()) {
            *refunded.entry(currency.to_owned()).or_default() += minor;
        }
    }
    let refunds = clicks("refund").len() + taken_back.len();
    let (shown, clicked) = (recommended("view_item_list"), recommended("select_item"));
    let abandoned = sessions
        .iter()
        .filter(|names| {
            !names.contains("purchased") && (names.contains("carted") || names.contains("checked_out"))
        })
        .count();
    let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
    let value = json!({
        "minute_ms": start,
        "channel": channel,
        "store_id": store,
        "visitors": visitors.len(),
        "ended": ended,
        "viewed": viewed,
        "carted": carted,
        "checked_out": checked_out,
        "purchased": purchased,
        "abandoned": abandoned,
        "baskets": baskets,
        "items": items,
        "revenue_minor": revenue,
        "refunds": refunds,
        "refunded_minor": refunded,
        "recommended": shown,
        "recommended_clicked": clicked,
        "conversion": share(purchased, ended),
        "abandonment": share(abandoned, carted),
        "refund_rate": share(refunds, usize::try_from(baskets).expect("a count")),
        "recommendation_click_rate": share(clicked, shown),
    });
    let key = match (channel, store) {
        (Some(channel), Some(store)) => format!("{channel}/{store}"),
        (Some(channel), None) => (*channel).to_owned(),
        (None, _) => "all".to_owned(),
    };
    Public::new("business.minutes", &key, value)
}

/// What these purchases were worth, by currency.
fn worth(purchases: &[Place], raw: &BTreeMap<Place, Value>) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for purchase in purchases.iter().map(|place| &raw[place]) {
        if let (Some(currency), Some(minor)) =
            (purchase["currency"].as_str(), purchase["value_minor"].as_i64())
        {
            *sums.entry(currency.to_owned()).or_default() += minor;
        }
    }
    sums
}

/// By how much sums are other than they were, where they are.
fn change(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let currencies: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let of = |sums: &BTreeMap<String, i64>, currency| sums.get(currency).copied().unwrap_or(0);
    let changes =
        currencies.into_iter().map(|currency| (currency.clone(), of(after, currency) - of(before, currency)));
    changes.filter(|(_, change)| *change != 0).collect()
}

/// The lines of a transaction that were not cancelled: of what was sold, or of what was returned.
fn lines(transaction: &Value, is_return: bool) -> Vec<&Value> {
    let lines = transaction["lines"].as_array().expect("a list").iter();
    lines.filter(|line| line["is_void"] != true && (line["is_return"] == true) == is_return).collect()
}

fn amount(lines: &[&Value]) -> i64 {
    lines.iter().map(|line| line["amount_minor"].as_i64().expect("required")).sum()
}

fn pieces(line: &Value) -> i64 {
    line["quantity"].as_i64().unwrap_or(1)
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().expect("a required text").to_owned()
}

fn place(offset: i64) -> Place {
    ("raw".to_owned(), 0, offset)
}

#[test]
fn figures_of_a_minute_worked_out_by_hand() {
    let raw = BTreeMap::from([
        (place(0), json!({"event_name": "view_item_list", "items": [{"item_list_id": "recommendations"}]})),
        (place(1), json!({"event_name": "select_item", "items": [{"item_list_id": "sale"}]})),
        (
            place(2),
            json!({"event_name": "purchase", "currency": "EUR", "value_minor": 900, "items": [{"quantity": 2}, {}]}),
        ),
        (
            place(3),
            json!({"event_name": "order_placed", "currency": "EUR", "value_minor": 1000, "items": [{"quantity": 3}]}),
        ),
        (place(4), json!({"event_name": "refund", "currency": "CHF", "value_minor": 50})),
        (
            place(5),
            json!({"store_id": "s", "currency": "EUR", "lines": [
                {"amount_minor": 70, "quantity": 2}, {"amount_minor": 30, "is_return": true}, {"amount_minor": 9, "is_void": true},
            ]}),
        ),
        (
            place(6),
            json!({"store_id": "t", "currency": "EUR", "lines": [{"amount_minor": 9, "is_void": true}]}),
        ),
    ]);
    let heard = |visitor: &str, offset| What::Heard { visitor: visitor.to_owned(), told_at: place(offset) };
    let purchase = |offset, before: &[i64], after: &[i64]| What::Purchase {
        told_at: place(offset),
        before: before.iter().copied().map(place).collect(),
        after: after.iter().copied().map(place).collect(),
    };
    let ended = |names: &[&'static str]| What::Ended { names: names.iter().copied().collect() };
    let rung = |offset| What::Rung { told_at: place(offset) };
    let what = [
        heard("a", 0),
        heard("a", 1),
        heard("b", 2),
        purchase(2, &[], &[2]),
        heard("b", 3),
        // the shop's own word
        purchase(3, &[2], &[3]),
        heard("a", 4),
        ended(&[]),
        ended(&["viewed"]),
        ended(&["checked_out"]),
        ended(&["purchased"]),
        rung(5),
        rung(6),
    ];
    let happened: Vec<Happened> =
        what.into_iter().map(|what| Happened { time: 3 * MINUTE + 7, what }).collect();
    let records = records(&happened, &raw);
    let of = |key: &str| records.iter().find(|record| record.key == key).expect("it is there").value.clone();
    assert_eq!(records.len(), 4, "{records:?}");
    let online = json!({
        "minute_ms": 180_000, "channel": "online", "store_id": null, "visitors": 2, "ended": 4, "viewed": 3, "carted": 2,
        "checked_out": 2, "purchased": 1, "abandoned": 1, "baskets": 1, "items": 3, "revenue_minor": {"EUR": 1000},
        "refunds": 1, "refunded_minor": {"CHF": 50}, "recommended": 1, "recommended_clicked": 0, "conversion": 0.25,
        "abandonment": 0.5, "refund_rate": 1.0, "recommendation_click_rate": 0.0,
    });
    assert_eq!(of("online"), online);
    let mut nobody: Map<String, Value> = online.as_object().expect("an object").clone();
    for (name, value) in json!({
        "channel": "store", "store_id": "s", "visitors": 0, "ended": 0, "viewed": 0, "carted": 0, "checked_out": 0,
        "purchased": 0, "abandoned": 0, "baskets": 1, "items": 2, "revenue_minor": {"EUR": 70}, "refunds": 1,
        "refunded_minor": {"EUR": 30}, "recommended": 0, "conversion": null, "abandonment": null, "refund_rate": 1.0,
        "recommendation_click_rate": null,
    })
    .as_object()
    .expect("an object")
    {
        nobody.insert(name.clone(), value.clone());
    }
    assert_eq!(of("store/s"), Value::Object(nobody));
    let all = of("all");
    assert_eq!((&all["baskets"], &all["items"], &all["refunds"]), (&json!(2), &json!(5), &json!(2)));
    assert_eq!(all["revenue_minor"], json!({"EUR": 1070}));
    assert_eq!(all["refunded_minor"], json!({"CHF": 50, "EUR": 30}));
}
