//! Planted changes: they begin when they should, concern what they should, and move nothing else.

use super::*;
use std::collections::BTreeMap;

const DAY_MS: i64 = 24 * HOUR_MS;

/// Two days of a whole shop in which nothing else happens, with `changes`.
fn changed(changes: &[&str]) -> Stream {
    Stream::of(two_days(changes))
}

fn two_days(changes: &[&str]) -> GenerateSettings {
    let changes = changes.iter().map(|text| Change::drift(text).unwrap());
    GenerateSettings {
        changes: changes.collect(),
        events_per_pattern: 0,
        events_per_second: 0.6,
        labelled: 0.3,
        is_whole: true,
        ..settings(11, 100_000)
    }
}

static UNCHANGED: LazyLock<Stream> = LazyLock::new(|| changed(&[]));

/// The middle of the two days.
fn middle_ms() -> i64 {
    settings(0, 0).start.0 + DAY_MS
}

/// The changes that the truth tells of.
fn told(stream: &Stream) -> Vec<Value> {
    let truths = stream.truth.iter().filter(|truth| matches!(truth, Truth::Change(_)));
    truths.map(|truth| serde_json::to_value(truth).unwrap()).collect()
}

/// Record by record what was written, without and with the changes, of a topic; both streams have the same records.
fn beside<'a>(stream: &'a Stream, topic: RawTopic) -> impl Iterator<Item = (Value, Value)> + 'a {
    let both = UNCHANGED.records.iter().zip(&stream.records);
    both.filter(move |(before, _)| before.topic == topic).filter_map(|(before, after)| {
        assert_eq!((before.timestamp_ms, before.topic), (after.timestamp_ms, after.topic));
        Some((serde_json::from_slice(&before.value).ok()?, serde_json::from_slice(&after.value).ok()?))
    })
}

#[test]
fn until_a_change_begins_the_bytes_are_those_without_it() {
    for change in [
        "unit:at=1d",
        "missing:at=1d",
        "categories:at=1d",
        "silent:at=1d,source=payments",
        "price_level:at=1d",
    ] {
        let stream = changed(&[change]);
        let until =
            UNCHANGED.records.partition_point(|record| record.timestamp_ms < middle_ms() - 3 * HOUR_MS);
        assert!(until > 20_000, "{until}");
        assert!(UNCHANGED.records[..until] == stream.records[..until], "{change}");
    }
}

#[test]
fn the_truth_tells_of_a_change_in_one_line_once_it_has_begun() {
    let stream = changed(&["unit:at=1d,for=6h,strength=strong,segment=channel=store", "unit:at=90d"]);
    assert_eq!(
        told(&stream),
        [serde_json::json!({
            "kind": "unit",
            "at_ms": middle_ms(),
            "until_ms": middle_ms() + 6 * HOUR_MS,
            "strength": 100.0,
            "segment": {"dimension": "channel", "value": "store"},
            "stream": "payments",
            "fields": ["amount_minor"],
            "is_drift": true,
        })]
    );
}

#[test]
fn amounts_of_a_segment_come_in_another_unit_and_nothing_else_moves() {
    let stream = changed(&["unit:at=1d,strength=10,segment=country=NL"]);
    let mut scaled = 0;
    for (before, after) in beside(&stream, RawTopic::Payments) {
        let is_scaled = before["amount_minor"] != after["amount_minor"];
        if is_scaled {
            assert_eq!(
                after["amount_minor"].as_i64().unwrap(),
                10 * before["amount_minor"].as_i64().unwrap()
            );
            assert!(event_time(&before).is_none_or(|time| time >= middle_ms()));
            scaled += 1;
        }
        if before["event_name"] == "payment_attempted"
            && event_time(&before).is_some_and(|time| time >= middle_ms())
        {
            assert_eq!(is_scaled, before["card_country"] == "NL", "{before}");
        }
    }
    assert!(scaled > 100, "{scaled}");
    assert!(beside(&stream, RawTopic::Pos).all(|(before, after)| before == after));
}

/// How many attempts from the middle on are as `is_so` says, before and after, among those that `is_of`.
fn counted(stream: &Stream, is_of: fn(&Value) -> bool, is_so: fn(&Value) -> bool) -> (f64, f64, f64) {
    let mut counts = (0.0, 0.0, 0.0);
    for (before, after) in beside(stream, RawTopic::Payments) {
        let is_attempt = before["event_name"] == "payment_attempted";
        if is_attempt && is_of(&before) && event_time(&before).is_some_and(|time| time >= middle_ms()) {
            counts.0 += 1.0;
            counts.1 += f64::from(u8::from(is_so(&before)));
            counts.2 += f64::from(u8::from(is_so(&after)));
        }
    }
    counts
}

#[test]
fn a_field_goes_missing_in_a_share_of_a_segment() {
    let stream = changed(&["missing:at=1d,field=ip_country,segment=channel=online,strength=0.8"]);
    let (attempts, before, after) =
        counted(&stream, |value| value["channel"] == "online", |value| value.get("ip_country").is_none());
    assert!(attempts > 200.0 && before < 1.0, "{before} of {attempts}");
    assert!((0.72..0.88).contains(&(after / attempts)), "{after} of {attempts}");
}

#[test]
fn the_mix_of_a_category_moves_to_a_new_one_or_to_one_that_was_there() {
    let stream = changed(&["categories:at=1d,strength=0.2"]);
    let (attempts, before, after) = counted(&stream, |_| true, |value| value["channel"] == "app");
    assert!(before < 1.0 && (0.17..0.23).contains(&(after / attempts)), "{after} of {attempts}");
    assert_eq!(told(&stream)[0]["to"], "app");
    let stream = changed(&["categories:at=1d,field=card_country,to=NL,strength=0.5"]);
    let (attempts, before, after) = counted(&stream, |_| true, |value| value["card_country"] == "NL");
    let expected = before + (attempts - before) / 2.0;
    assert!((0.93..1.07).contains(&(after / expected)), "{after}, not {expected} of {attempts}");
}

#[test]
fn what_is_silent_does_not_come_nor_what_would_be_said_of_it() {
    let stream = changed(&["silent:at=1d,for=6h,source=payments,segment=channel=store,strength=strong"]);
    let (from, until) = (middle_ms(), middle_ms() + 6 * HOUR_MS);
    let mut paid = BTreeSet::new();
    let mut labels = 0;
    for (record, value) in stream.parsed() {
        let Some(payment) = value["payment_id"].as_str() else { continue };
        match record.topic {
            RawTopic::Payments => {
                let is_within = event_time(&value).is_some_and(|time| (from..until).contains(&time));
                assert!(!(is_within && value["channel"] == "store"), "{value}");
                paid.insert(payment.to_owned());
            }
            RawTopic::Labels => labels += u64::from(paid.contains(payment)),
            _ => {}
        }
    }
    // a few are of payments that are late or broken
    assert!(labels + 10 > stream.accounting.labels, "{labels} of {}", stream.accounting.labels);
    let clicks = changed(&["silent:at=1d,strength=0.5"]);
    let later = |stream: &Stream| {
        let clicks = stream.records.iter().filter(|record| record.topic == RawTopic::Clickstream);
        clicks.filter(|record| (from..until).contains(&record.timestamp_ms)).count() as f64
    };
    let share = later(&clicks) / later(&UNCHANGED);
    assert!((0.45..0.55).contains(&share), "{share}");
}

#[test]
fn all_prices_rise_at_a_time() {
    let stream = changed(&["price_level:at=1d,strength=1.6"]);
    let usual: BTreeMap<String, i64> = Generator::new(two_days(&[]))
        .catalogue()
        .map(|record| {
            let value: Value = serde_json::from_slice(&record.value).unwrap();
            (record.key, value["price_minor"].as_i64().unwrap())
        })
        .collect();
    let (mut listed, mut sold) = (BTreeSet::new(), 0);
    for (record, value) in stream.parsed() {
        let Some(time) = event_time(&value) else { continue };
        let is_dear = time >= middle_ms();
        let price = |item: &str| usual[item] * if is_dear { 1_600 } else { 1_000 } / 1_000;
        match record.topic {
            RawTopic::Catalogue if is_dear => {
                let (full, now) = (price(&record.key), value["price_minor"].as_i64().unwrap());
                assert!(now == full || now == full * 4 / 5, "{value}");
                listed.insert(record.key.clone());
            }
            // who was at the till when prices changed pays the old ones
            RawTopic::Pos if value["currency"] == "EUR" && (time - middle_ms()).abs() > HOUR_MS => {
                for line in value["lines"].as_array().unwrap() {
                    assert_eq!(line["amount_minor"].as_i64(), Some(price(line["item_id"].as_str().unwrap())));
                    sold += u64::from(is_dear);
                }
            }
            _ => {}
        }
    }
    assert!(listed.len() == usual.len() && sold > 300, "{} listed, {sold} sold", listed.len());
}

#[test]
fn carts_lead_to_checkouts_less_often() {
    let share = |stream: &Stream| {
        let (mut carts, mut checkouts) = (0.0, 0.0);
        for (_, value) in stream.parsed().filter(|(record, _)| record.timestamp_ms >= middle_ms() + HOUR_MS) {
            carts += f64::from(u8::from(value["event_name"] == "view_cart"));
            checkouts += f64::from(u8::from(value["event_name"] == "begin_checkout"));
        }
        assert!(carts > 500.0, "{carts}");
        checkouts / carts
    };
    let ratio = share(&changed(&["intent:at=1d,strength=0.5"])) / share(&UNCHANGED);
    assert!((0.42..0.58).contains(&ratio), "{ratio}");
}

/// What became known of payments in the second day: frauds, and how many of them were above 150, by night, online.
struct Known {
    labels: f64,
    frauds: f64,
    large: f64,
    by_night: f64,
    online: f64,
}

fn known(changes: &[&str]) -> Known {
    let stream = Stream::of(GenerateSettings {
        ordinary_fraud: 0.02,
        labelled: 1.0,
        events_per_second: 1.5,
        events: 250_000,
        ..two_days(changes)
    });
    let attempts: BTreeMap<String, Value> = stream
        .parsed()
        .filter(|(_, value)| value["event_name"] == "payment_attempted")
        .map(|(_, value)| (value["payment_id"].as_str().unwrap_or_default().to_owned(), value))
        .collect();
    let truth: BTreeSet<&String> = stream
        .truth
        .iter()
        .flat_map(
            |truth| if let Truth::OrdinaryFraud { payment_ids, .. } = truth { &payment_ids[..] } else { &[] },
        )
        .collect();
    let mut known = Known { labels: 0.0, frauds: 0.0, large: 0.0, by_night: 0.0, online: 0.0 };
    for (_, label) in stream.parsed().filter(|(record, _)| record.topic == RawTopic::Labels) {
        let payment = label["payment_id"].as_str().unwrap();
        let Some(attempt) = attempts.get(payment) else { continue };
        assert_eq!(label["outcome"] == "fraud", truth.contains(&payment.to_owned()), "{payment}");
        let Some(time) = event_time(attempt).filter(|time| *time >= middle_ms()) else { continue };
        let one = |is_so: bool| f64::from(u8::from(is_so && label["outcome"] == "fraud"));
        known.labels += 1.0;
        known.frauds += one(true);
        known.large += one(attempt["amount_minor"].as_i64().unwrap() >= 15_000);
        known.by_night += one(!(8..22).contains(&(time / HOUR_MS % 24)));
        known.online += one(attempt["channel"] == "online");
    }
    known
}

#[test]
fn ordinary_fraud_is_as_frequent_as_asked_and_mostly_large_by_night_and_online() {
    let Known { labels, frauds, large, by_night, online } = known(&[]);
    println!("{frauds} frauds of {labels}: {large} large, {by_night} by night, {online} online");
    assert!((0.014..0.026).contains(&(frauds / labels)), "{frauds} of {labels}");
    assert!(large > 0.5 * frauds && by_night > 0.3 * frauds && online > 0.3 * frauds);
}

#[test]
fn fraud_that_has_moved_is_as_frequent_and_elsewhere() {
    let Known { labels, frauds, large, by_night, online } = known(&["fraud_moves:at=1d,strength=1"]);
    println!("{frauds} frauds of {labels}: {large} large, {by_night} by night, {online} online");
    assert!((0.014..0.026).contains(&(frauds / labels)), "{frauds} of {labels}");
    assert!(large < 0.3 * frauds && by_night < 0.2 * frauds && online < 0.25 * frauds);
}

#[test]
fn there_is_more_fraud_by_the_factor_in_a_segment_alone() {
    let usual = known(&[]);
    let more = known(&["fraud_rate:at=1d,strength=4,segment=channel=online"]);
    let in_store = |known: &Known| known.frauds - known.online;
    let ratio = more.online / usual.online;
    assert!((2.8..4.6).contains(&ratio), "{ratio}");
    assert!((in_store(&more) - in_store(&usual)).abs() < 0.5);
}

/// The constants that make fraud as frequent as asked.
#[test]
#[ignore = "prints what the constants of ordinary.rs are measured with"]
fn the_mean_weight_of_a_payment_is_measured() {
    for changes in [&[][..], &["fraud_moves:at=0s,strength=1"]] {
        let changes = changes.iter().map(|text| Change::drift(text).unwrap()).collect();
        let week = GenerateSettings {
            ordinary_fraud: 0.01,
            labelled: 1.0,
            events_per_second: 3.0,
            events: 1_814_400,
            changes,
            ..two_days(&[])
        };
        let mut generator = Generator::new(week);
        generator.by_ref().for_each(drop);
        let Some(Truth::OrdinaryFraud { payment_ids, .. }) = generator.truth().get(1) else {
            panic!("fraud")
        };
        let share = payment_ids.len() as f64 / generator.accounting().labels as f64;
        println!("{share}: times {} of the mean there is", share / 0.01);
    }
}
