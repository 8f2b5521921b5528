//! The traffic looks like that of a shop.

use super::*;
use crate::time::EventTime;
use std::collections::BTreeMap;

#[test]
fn traffic_follows_the_hour_of_the_week() {
    let two_weeks = GenerateSettings { events_per_second: 0.5, shares: Shares::NONE, ..settings(9, 604_800) };
    let start = two_weeks.start;
    let mut hours = [0.0; 168];
    let mut last = start;
    for record in Generator::new(two_weeks) {
        last = EventTime(record.timestamp_ms);
        hours[usize::try_from(last.since(start) / HOUR_MS).unwrap() % 168] += 1.0 / 3_600.0;
    }
    let days = last.since(start) as f64 / (24 * HOUR_MS) as f64;
    assert!((13.4..14.6).contains(&days), "the mean rate over a week is as asked: {days} days");
    let expected = hour_of_week_intensity();
    // Six hours together hold about 21,600 records of 3,600 visits: a standard deviation of a few
    // percent.
    for (from, hours) in hours.chunks(6).enumerate() {
        let ratio = hours.iter().sum::<f64>() / expected[from * 6..from * 6 + 6].iter().sum::<f64>();
        assert!((0.8..1.2).contains(&ratio), "hour {} of the week: {ratio}", from * 6);
    }
}

#[test]
fn visits_and_payments_look_like_a_shops() {
    let mut names = BTreeMap::new();
    let mut visits = BTreeSet::new();
    let mut bytes = 0;
    for (record, value) in STREAM.parsed() {
        *names.entry(value["event_name"].as_str().unwrap_or_default().to_owned()).or_insert(0.0) += 1.0;
        visits.extend(value["session_hint"].as_str().map(str::to_owned));
        bytes += record.value.len();
    }
    let records = STREAM.records.len() as f64;
    let conversion = names["purchase"] / visits.len() as f64;
    assert!((0.024..0.036).contains(&conversion), "conversion {conversion}");
    let payments = STREAM.accounting.payments as f64 / records;
    assert!((0.04..0.06).contains(&payments), "payments {payments}");
    let mean_bytes = bytes as f64 / records;
    assert!((300.0..400.0).contains(&mean_bytes), "mean payload {mean_bytes} bytes");
    for click in crate::event::ClickName::CONTRACT.map(|(name, _)| name) {
        // Nobody signs up or returns anything here.
        assert!(names.contains_key(click) || ["refund", "sign_up"].contains(&click), "{click}");
    }
}

#[test]
fn every_approved_online_payment_becomes_a_purchase_of_that_value() {
    let clean = GenerateSettings { shares: Shares::NONE, events_per_pattern: 0, ..settings(4, 100_000) };
    let mut paid = BTreeMap::new();
    let mut purchases = 0;
    for (_, value) in Stream::of(clean).parsed() {
        let Some(visitor) = value["visitor_id"].as_str().map(str::to_owned) else {
            continue;
        };
        match value["event_name"].as_str() {
            Some("payment_result") if value["status"] == "approved" => {
                paid.insert(visitor, (value["amount_minor"].clone(), value["currency"].clone()));
            }
            Some("purchase") => {
                let value = (value["value_minor"].clone(), value["currency"].clone());
                assert_eq!(paid.remove(&visitor), Some(value));
                purchases += 1;
            }
            _ => {}
        }
    }
    assert!(purchases > 300 && paid.len() < 3, "{purchases} purchases, {} open", paid.len());
}
