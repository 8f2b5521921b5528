//! What is produced in a simulation: six hours of a small shop. Payments, labels and baskets come now and then, in such a way that
//! everything that is watched changes for a while; then comes a busy minute of clicks, payments, labels and everything else, with
//! producers that retry, and one that uses an event id twice; and then it is quiet again. Meanwhile somebody says something of alerts.

use super::world::index;
use crate::alert::About;
use crate::event::alert::AlertKind;
use crate::generate::random::Random;
use crate::log::{Headers, LogRecord, Topic};

/// 2026-01-05, 10:30 UTC: where a cycle of [`super::world::CYCLE`] begins.
const START_MS: i64 = 1_767_609_000_000;
const MINUTE_MS: i64 = 60_000;

/// When the busy minute begins. Sessions take an hour and a half more to end for good: what comes in the last hours ends before, so
/// that no click of that minute is late however long it lies unread.
const BUSY: i64 = 300;
/// When the last of all comes.
const END: i64 = 386;
/// While payments are of other amounts, and turn out to be frauds.
const ODD: std::ops::Range<i64> = 160..240;
/// When many cards pay by one device.
const RING: i64 = 130;
/// While baskets are larger.
const LARGE: std::ops::Range<i64> = 180..240;
/// A label is known so long after its payment.
const LABELLED_AFTER: i64 = 20;

/// How the event ids begin of clicks that may be late: they come long after their time, or in the first minutes.
pub(super) const OLD: &str = "old";
const OLD_MS: i64 = 4 * 3_600_000;

/// A raw record and its topic.
pub(super) type Raw = (Topic, LogRecord);

/// What there may be alerts about.
fn subjects() -> [About; 9] {
    [
        About::new(AlertKind::DataDrift, "fraud"),
        About::new(AlertKind::ConceptDrift, "fraud"),
        About::new(AlertKind::ConceptDrift, "online"),
        About::new(AlertKind::Volume, "payments"),
        About::new(AlertKind::Volume, "pos"),
        About::new(AlertKind::Volume, "clickstream"),
        About::new(AlertKind::Business, "business store"),
        About::new(AlertKind::Business, "business online"),
        About::new(AlertKind::FraudPattern, "device ring"),
    ]
}

/// About a hundred and seventy records, in the order in which they are produced.
pub(super) fn produce(random: &mut Random) -> Vec<Raw> {
    let mut timed = quiet_hours(random);
    timed.extend(commands(random));
    timed.sort_by_key(|(time_ms, _)| *time_ms);
    let (before, after): (Vec<_>, Vec<_>) =
        timed.into_iter().partition(|(time_ms, _)| *time_ms < START_MS + BUSY * MINUTE_MS);
    let mut records: Vec<Raw> = before.into_iter().map(|(_, raw)| raw).collect();
    busy_minute(random, &mut records);
    records.extend(after.into_iter().map(|(_, raw)| raw));
    records
}

/// Some seconds after that many minutes.
fn at(minute: i64, random: &mut Random) -> i64 {
    START_MS + minute * MINUTE_MS + i64::try_from(random.below(50_000)).expect("small")
}

/// Payments with their labels, baskets and the first clicks, by their times.
fn quiet_hours(random: &mut Random) -> Vec<(i64, Raw)> {
    let mut timed = Vec::new();
    let mut pay = |number: usize, minute: i64, device: Option<&str>, random: &mut Random| {
        let time_ms = at(minute, random);
        let (id, is_odd) = (format!("q{number}"), ODD.contains(&minute));
        let card = if device.is_some() { 10 + number as u64 } else { random.below(3) };
        let amount = (500 + random.below(1_000)) * if is_odd { 100 } else { 1 };
        let device = device.map_or_else(|| format!("d{card}"), str::to_owned);
        let by = Payer { visitor: random.below(6), card, device: &device };
        let raw = payment(&id, &id, by, amount, time_ms);
        timed.extend(std::iter::repeat_n((time_ms, raw), 1 + usize::from(random.below(10) == 0)));
        let known_at = time_ms + LABELLED_AFTER * MINUTE_MS;
        if known_at < START_MS + END * MINUTE_MS {
            timed.push((known_at, label(&format!("of-{id}"), &id, card, is_odd, known_at)));
        }
    };
    let often = (0..80).step_by(8).chain([90, 110]).chain(ODD.step_by(7)).chain((240..BUSY).step_by(8));
    let now_and_then = (BUSY + 10..END).step_by(20);
    let minutes: Vec<i64> = often.chain(now_and_then).collect();
    for (number, minute) in minutes.iter().enumerate() {
        pay(number, *minute, None, random);
    }
    for (number, minute) in (100..).zip(RING..RING + 7) {
        pay(number, minute, Some("ring"), random);
    }
    for minute in [40, 120, 200, 280] {
        twice(&format!("twice-q{minute}"), at(minute, random), random, |raw, time_ms| {
            timed.push((time_ms, raw))
        });
    }
    for minute in (2..END).step_by(15) {
        let time_ms = at(minute, random);
        let usual = if minute % 2 == 0 { 600 } else { 800 };
        let amount = (usual + random.below(50)) * if LARGE.contains(&minute) { 6 } else { 1 };
        timed.push((time_ms, basket(&format!("b{minute}"), amount, time_ms)));
    }
    for minute in 0..6 {
        let time_ms = at(minute, random);
        let order = (random.below(3) == 0).then(|| format!("early{minute}"));
        let raw = click(&format!("{OLD}-early{minute}"), (random.below(3), order), time_ms);
        timed.push((time_ms, raw));
    }
    timed
}

/// What somebody says of alerts, whether there are any or not; some twice.
fn commands(random: &mut Random) -> Vec<(i64, Raw)> {
    const NAMES: [&str; 7] = [
        "alert_acknowledged",
        "alert_acknowledged",
        "alert_muted",
        "alert_muted",
        "alert_unmuted",
        "alert_unmuted",
        "alert_expected",
    ];
    let subjects = subjects();
    let mut timed = Vec::new();
    for (number, minute) in (150..END).step_by(12).enumerate() {
        let time_ms = at(minute, random);
        let about = &subjects[index(random, subjects.len())];
        let name = NAMES[index(random, NAMES.len())];
        let until = time_ms + i64::try_from(random.below(120)).expect("small") * MINUTE_MS;
        let raw = command(&format!("c{number}"), name, about, (time_ms, until));
        timed.extend(std::iter::repeat_n((time_ms, raw), 1 + usize::from(random.below(5) == 0)));
    }
    // of changes, too: a quarter of an hour that begins up to four hours later, is moved, and may be withdrawn
    for number in 0..random.below(4) {
        let time_ms = at(i64::try_from(random.below(240)).expect("small"), random);
        let from_ms = time_ms + i64::try_from(random.below(240)).expect("small") * MINUTE_MS;
        timed.push((time_ms, announcement(&format!("a{number}"), random.below(2) == 0, (time_ms, from_ms))));
    }
    timed
}

/// Everything at once.
fn busy_minute(random: &mut Random, records: &mut Vec<Raw>) {
    let mut time_ms = START_MS + BUSY * MINUTE_MS;
    for number in 0..40 {
        time_ms += i64::try_from(random.below(2_000)).expect("small");
        let visitor = random.below(6);
        let record = if random.below(4) == 0 {
            let device = format!("d{}", random.below(3));
            let by = Payer { visitor, card: random.below(3), device: &device };
            payment(&format!("e{number}"), &format!("p{number}"), by, 1_000, time_ms)
        } else {
            let order = (random.below(8) == 0).then(|| format!("o{}", random.below(4)));
            click(&format!("e{number}"), (visitor, order), time_ms)
        };
        if random.below(10) == 0 {
            records.push(record.clone());
        }
        records.push(record);
        if random.below(12) == 0 {
            twice(&format!("twice{number}"), time_ms, random, |raw, _| records.push(raw));
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
            let (payment, card) = (format!("p{}", random.below(50)), random.below(3));
            let label = label(&format!("l{number}"), &payment, card, card == 0, known_at);
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
}

/// A broken producer: one event id for two payments of one card; the second one's card part never comes.
fn twice(event: &str, time_ms: i64, random: &mut Random, mut each: impl FnMut(Raw, i64)) {
    let (visitor, card) = (random.below(6), random.below(3));
    let one = Payer { visitor, card, device: "d7" };
    let other = Payer { visitor: visitor + 10, card, device: "d8" };
    each(payment(event, &format!("{event}-a"), one, 1_000, time_ms), time_ms);
    each(payment(event, &format!("{event}-b"), other, 1_000, time_ms), time_ms);
}

fn value(key: &str, json: String, timestamp_ms: i64) -> LogRecord {
    LogRecord {
        key: Some(key.as_bytes().to_vec()),
        value: Some(json.into_bytes()),
        timestamp_ms: Some(timestamp_ms),
        // another producer takes over in the busy minute
        headers: Headers::of_source(if timestamp_ms < START_MS + BUSY * MINUTE_MS { "/one" } else { "/two" }),
    }
}

/// A look at an item, or the purchase that is an order.
fn click(event: &str, (visitor, order): (u64, Option<String>), time_ms: i64) -> Raw {
    let name = if order.is_some() { "purchase" } else { "view_item" };
    let json = serde_json::json!({
        "event_id": event, "event_name": name, "event_time_ms": time_ms, "visitor_id": format!("v{visitor}"),
        "transaction_id": order, "currency": "EUR", "value_minor": 100,
        "items": [{"item_id": format!("i{visitor}"), "price_minor": 100}],
    });
    (Topic::Clickstream, value(&format!("v{visitor}"), json.to_string(), time_ms))
}

fn label(event: &str, payment: &str, card: u64, is_fraud: bool, time_ms: i64) -> Raw {
    let outcome = if is_fraud { "fraud" } else { "legitimate" };
    let json = serde_json::json!({
        "event_id": event, "event_name": "label", "known_at_ms": time_ms, "payment_id": payment,
        "outcome": outcome, "source": "review", "card_token": format!("c{card}"),
    });
    (Topic::Labels, value(payment, json.to_string(), time_ms))
}

/// What a till rings up for somebody nobody knows.
fn basket(event: &str, amount: u64, time_ms: i64) -> Raw {
    let json = serde_json::json!({
        "event_id": event, "event_name": "pos_transaction", "event_time_ms": time_ms,
        "store_id": "s1", "workstation_id": "w1", "sequence_number": 1, "business_day": "2026-01-05", "currency": "EUR",
        "lines": [{"item_id": "i", "amount_minor": amount}],
    });
    (Topic::Pos, value("s1", json.to_string(), time_ms))
}

fn command(event: &str, name: &str, about: &About, (time_ms, until_ms): (i64, i64)) -> Raw {
    let fingerprint = format!("{:016x}", about.fingerprint());
    let json = serde_json::json!({
        "event_id": event, "event_name": name, "event_time_ms": time_ms, "fingerprint": fingerprint,
        "subject": about.subject, "by": "ana", "until_ms": until_ms,
    });
    (Topic::AlertsControl, value(&fingerprint, json.to_string(), time_ms))
}

/// What the shop says of its one change: another time for it, or that it is not made.
fn announcement(event: &str, is_made: bool, (time_ms, from_ms): (i64, i64)) -> Raw {
    let name = if is_made { "change_announced" } else { "change_withdrawn" };
    let json = serde_json::json!({
        "event_id": event, "event_name": name, "event_time_ms": time_ms, "change_id": "sale", "by": "ana", "what": "a sale",
        "from_ms": from_ms, "for_seconds": 900,
    });
    (Topic::AlertsControl, value("sale", json.to_string(), time_ms))
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

/// Who pays.
struct Payer<'p> {
    visitor: u64,
    card: u64,
    device: &'p str,
}

fn payment(event: &str, payment: &str, by: Payer<'_>, amount_minor: u64, time_ms: i64) -> Raw {
    let Payer { visitor, card, device } = by;
    let json = serde_json::json!({
        "event_id": event, "event_name": "payment_attempted", "event_time_ms": time_ms, "payment_id": payment,
        "card_token": format!("c{card}"), "amount_minor": amount_minor, "currency": "EUR",
        "visitor_id": format!("v{visitor}"), "customer_id": (time_ms % 2 == 0).then(|| format!("k{visitor}")),
        "device_id": device, "ip": "192.0.2.1",
    });
    (Topic::Payments, value(&format!("c{card}"), json.to_string(), time_ms))
}
