//! When records happen and when they arrive.

use super::*;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

#[test]
fn timestamps_never_go_back_but_in_copies_and_copies_are_the_same_bytes() {
    let mut latest = i64::MIN;
    let mut sent: BTreeMap<u64, &GeneratedRecord> = BTreeMap::new();
    for (record, value) in STREAM.parsed() {
        let Some(event_id) = value["event_id"].as_str() else {
            continue;
        };
        if let Some(first) = sent.insert(xxh3_64(event_id.as_bytes()), record) {
            assert_eq!(first, record);
            assert!((0..=2_000).contains(&(latest - record.timestamp_ms)));
        } else {
            assert!(record.timestamp_ms >= latest);
            latest = record.timestamp_ms;
        }
    }
}

#[test]
fn what_is_not_late_is_within_two_minutes_of_order() {
    let mut highest = 0;
    for (record, value) in STREAM.parsed() {
        let Some(time) = event_time(&value) else {
            continue;
        };
        let delay = record.timestamp_ms - time;
        if (0..HOUR_MS).contains(&delay) {
            assert!(time >= highest - 120_000);
            highest = highest.max(time);
        }
    }
}

#[test]
fn late_records_are_one_to_three_hours_old() {
    let delays: Vec<i64> = STREAM
        .parsed()
        .filter_map(|(record, value)| Some(record.timestamp_ms - event_time(&value)?))
        .filter(|delay| *delay >= 61_000)
        .collect();
    assert!(delays.len() > 50);
    assert!(delays.iter().all(|delay| (HOUR_MS..3 * HOUR_MS).contains(delay)));
}

#[test]
fn shares_are_as_asked() {
    // A week, so that quiet and busy hours are all in it.
    let shares =
        Shares { out_of_order: 0.05, late: 0.03, duplicate: 0.02, broken: 0.01, unknown: 0.04, future: 0.01 };
    let settings = GenerateSettings { shares, events_per_second: 0.5, ..settings(2, 302_400) };
    let mut generator = Generator::new(settings);
    generator.by_ref().for_each(drop);
    let accounting = generator.accounting();
    let unknown = accounting.unknown_names + accounting.unknown_fields;
    for (name, count, share) in [
        ("out of order", accounting.out_of_order, shares.out_of_order),
        ("late", accounting.late, shares.late),
        ("duplicate", accounting.duplicates, shares.duplicate),
        ("broken", accounting.broken.sum(), shares.broken),
        ("unknown", unknown, shares.unknown),
        ("future", accounting.future_timestamps, shares.future),
    ] {
        let ratio = count as f64 / accounting.records as f64 / share;
        assert!(
            (0.88..1.06).contains(&ratio),
            "{name}: {count} of {}, {ratio} of its share",
            accounting.records
        );
    }
}
