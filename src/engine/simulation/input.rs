//! What is produced in a simulation: clicks, payments and labels of a few entities, with producers that
//! retry, and one that uses an event id twice.

use super::world::index;
use crate::generate::random::Random;
use crate::log::{LogRecord, Topic};

/// 2026-01-05, 10:00 UTC.
const START_MS: i64 = 1_767_607_200_000;

/// How the event ids begin of clicks that come long after their time, and how long.
pub(super) const OLD: &str = "old";
const OLD_MS: i64 = 4 * 3_600_000;

/// A raw record and its topic.
pub(super) type Raw = (Topic, LogRecord);

/// About eighty records, in the order in which they are produced.
pub(super) fn produce(random: &mut Random) -> Vec<Raw> {
    let mut records = Vec::new();
    let mut time_ms = START_MS;
    for number in 0..60 {
        time_ms += i64::try_from(random.below(2_000)).expect("small");
        let visitor = random.below(6);
        let record = if random.below(4) == 0 {
            payment(
                &format!("e{number}"),
                &format!("p{number}"),
                visitor,
                random.below(3),
                random.below(3),
                time_ms,
            )
        } else {
            let order = (random.below(8) == 0).then(|| format!("o{}", random.below(4)));
            click(&format!("e{number}"), (visitor, order), time_ms)
        };
        if random.below(10) == 0 {
            records.push(record.clone());
        }
        records.push(record);
        if random.below(12) == 0 {
            // a broken producer: one event id for two payments of one card; the second one's card part never comes
            let (card, event) = (random.below(3), format!("twice{number}"));
            records.push(payment(&event, &format!("a{number}"), visitor, card, 7, time_ms));
            records.push(payment(&event, &format!("b{number}"), visitor + 10, card, 8, time_ms));
        }
        if random.below(15) == 0 {
            // late, unless nothing has come yet that says so
            let click = click(&format!("{OLD}{number}"), (visitor, None), time_ms - OLD_MS);
            records.extend(std::iter::repeat_n(click, 1 + index(random, 2)));
        }
        if random.below(4) == 0 {
            // of a payment made before, of one still to come, or of none; some twice, some against each other
            // some are read when they become known, before payments that were made earlier; most a minute later
            let known_at = if random.below(3) == 0 { time_ms } else { time_ms - 60_000 };
            let label = label(&format!("l{number}"), random.below(70), random.below(3), known_at);
            records.extend(std::iter::repeat_n(label, 1 + usize::from(random.below(5) == 0)));
        }
        if random.below(6) == 0 {
            // a failed login, an order or a basket of a visitor; now and then twice, or two of one order
            let order = format!("o{}", random.below(4));
            let event = shop(&format!("s{number}"), (random.below(4), &order), visitor, time_ms);
            records.extend(std::iter::repeat_n(event, 1 + usize::from(random.below(5) == 0)));
        }
        if random.below(12) == 0 {
            // some with a fault, some of no higher version than those before
            records.push(rules(&format!("r{number}"), random.below(6), time_ms));
        }
        if random.below(20) == 0 {
            records.push((Topic::Clickstream, value("v0", "{broken".to_owned(), time_ms)));
        }
    }
    records
}

fn value(key: &str, json: String, timestamp_ms: i64) -> LogRecord {
    LogRecord {
        key: Some(key.as_bytes().to_vec()),
        value: Some(json.into_bytes()),
        timestamp_ms: Some(timestamp_ms),
        ..LogRecord::default()
    }
}

/// A look at an item, or the purchase that is an order.
fn click(event: &str, (visitor, order): (u64, Option<String>), time_ms: i64) -> Raw {
    let name = if order.is_some() { "purchase" } else { "view_item" };
    let json = serde_json::json!({
        "event_id": event, "event_name": name, "event_time_ms": time_ms, "visitor_id": format!("v{visitor}"),
        "transaction_id": order,
        "items": [{"item_id": format!("i{visitor}"), "price_minor": 100}],
    });
    (Topic::Clickstream, value(&format!("v{visitor}"), json.to_string(), time_ms))
}

fn label(event: &str, payment: u64, card: u64, time_ms: i64) -> Raw {
    let outcome = if card == 0 { "fraud" } else { "legitimate" };
    let json = serde_json::json!({
        "event_id": event, "event_name": "label", "known_at_ms": time_ms, "payment_id": format!("p{payment}"),
        "outcome": outcome, "source": "review", "card_token": format!("c{card}"),
    });
    (Topic::Labels, value(&format!("p{payment}"), json.to_string(), time_ms))
}

fn shop(event: &str, (which, order): (u64, &str), visitor: u64, time_ms: i64) -> Raw {
    let customer = format!("k{visitor}");
    let (topic, key, mut json) = match which {
        0 => (Topic::Accounts, customer.clone(), serde_json::json!({"event_name": "login_failed"})),
        3 => {
            // of the neighbour, whose payments that name nobody count for this customer from here on
            let login = serde_json::json!({
                "event_name": "login", "visitor_id": format!("v{}", (visitor + 1) % 6), "loyalty_id": "n", "card_token": "c0",
            });
            (Topic::Accounts, customer.clone(), login)
        }
        1 => {
            let order = serde_json::json!({
                "event_name": "order_placed", "order_id": order, "currency": "EUR", "value_minor": 500,
                "visitor_id": format!("v{visitor}"), "items": [{"item_id": "i1", "quantity": 2}],
            });
            (Topic::Orders, customer.clone(), order)
        }
        _ => {
            let basket = serde_json::json!({
                "event_name": "pos_transaction", "store_id": "s1", "workstation_id": "w1", "sequence_number": 1,
                "business_day": "2026-01-05", "currency": "EUR", "lines": [{"item_id": "i", "amount_minor": 700}],
                "tenders": [{"kind": "card", "amount_minor": 700, "card_token": "c0"}],
            });
            (Topic::Pos, "s1".to_owned(), basket)
        }
    };
    json["event_id"] = serde_json::json!(event);
    // every other basket is of a card alone
    if topic != Topic::Pos || time_ms % 2 == 0 {
        json["customer_id"] = serde_json::json!(customer);
    }
    json["event_time_ms"] = serde_json::json!(time_ms);
    (topic, value(&key, json.to_string(), time_ms))
}

fn rules(event: &str, version: u64, time_ms: i64) -> Raw {
    let name = if version == 0 { "nobody_knows__this" } else { "amount_minor" };
    let text = format!(
        "version: {}\nthresholds: {{ review: 0.3, step_up: 0.6, decline: 0.85 }}\n\
         rules: [{{ id: r, state: live, when: {name} > 1, code: R, weight: 0.{} }}]\n",
        version + 1,
        version + 1
    );
    let json = serde_json::json!({
        "event_id": event, "event_name": "rules_published", "event_time_ms": time_ms, "rules": text,
    });
    (Topic::Rules, value("rules", json.to_string(), time_ms))
}

fn payment(event: &str, payment: &str, visitor: u64, card: u64, device: u64, time_ms: i64) -> Raw {
    let json = serde_json::json!({
        "event_id": event, "event_name": "payment_attempted", "event_time_ms": time_ms, "payment_id": payment,
        "card_token": format!("c{card}"), "amount_minor": 1_000, "currency": "EUR",
        "visitor_id": format!("v{visitor}"), "customer_id": (time_ms % 2 == 0).then(|| format!("k{visitor}")), "device_id": format!("d{device}"), "ip": "192.0.2.1",
    });
    (Topic::Payments, value(&format!("c{card}"), json.to_string(), time_ms))
}
