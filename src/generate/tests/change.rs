//! Planted changes: they begin when they should, concern what they should, and move nothing else.

use super::*;

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
    for change in ["unit:at=1d", "unit:at=1d,segment=channel=store"] {
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
