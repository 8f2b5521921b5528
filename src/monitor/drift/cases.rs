//! Fields of every sort that break, at 60 records an hour: told soon, with since when and from what to what.

use super::*;
use crate::drift::profile::Observed;
use crate::event::alert::{AlertStatus, Moved, Resolution};
use xxhash_rust::xxh3::xxh3_64;

const HOUR_MS: i64 = 3_600_000;
const DAY: i64 = 24;
const RECORDS: i64 = 60;
/// Two weeks are learned from, and a week passes quietly.
const BREAKS: i64 = 21 * DAY;

struct Plain;

impl Fields for Plain {}

/// The value of a record, by a number from 0 to 1 that is its own.
type Value = fn(f64) -> Observed<'static>;

fn number(value: f64) -> Observed<'static> {
    Observed::Number(value)
}

/// One where the dice say so.
fn flag(dice: f64, share: f64) -> Observed<'static> {
    number(f64::from(u8::from(dice < share)))
}

/// An hour of a stream with one field; none if nothing comes.
fn hour_of(hour: i64, value: Value, segment: Option<&str>) -> WindowProfile {
    let mut profile = Profile::default();
    for place in 0..RECORDS {
        let dice = xxh3_64(&(hour * RECORDS + place).to_le_bytes()) as f64 / u64::MAX as f64;
        profile.add([(1, value(dice))].into_iter(), Some(("EUR", 100)), |_| "x");
    }
    let segment = segment.map(|value| Segment::new("region", value));
    WindowProfile { stream: "shop".into(), start: EventTime(hour * HOUR_MS), segment, profile }
}

#[derive(Default)]
struct Played {
    windows: Windows,
    episodes: Episodes,
}

impl Played {
    /// What is told when an hour is over in which these windows came.
    fn hour(&mut self, hour: i64, came: impl IntoIterator<Item = WindowProfile>) -> Vec<Alert> {
        let settings = DriftSettings::hourly();
        came.into_iter().for_each(|window| self.windows.take(window));
        let watermark = EventTime((hour + 1) * HOUR_MS).plus(settings.allowed_lateness);
        self.windows.judge(watermark, &settings, &mut self.episodes, &Plain).alerts
    }

    /// After three quiet weeks of one law another; the first alert, and after how many hours it came.
    fn breaks(before: Value, after: Value) -> Option<(i64, Alert)> {
        let mut played = Played::default();
        for hour in 0..BREAKS {
            let told = played.hour(hour, [hour_of(hour, before, None)]);
            assert!(told.is_empty(), "in hour {hour}: {}", told[0].title);
        }
        (BREAKS..BREAKS + 3 * DAY).find_map(|hour| {
            let told = played.hour(hour, [hour_of(hour, after, None)]);
            told.into_iter().next().map(|alert| (hour - BREAKS, alert))
        })
    }
}

#[test]
fn a_field_that_breaks_is_told_within_hours_whatever_it_holds() {
    let cases: [(&str, Value, Value, &str); 13] = [
        ("a flag that rises", |dice| flag(dice, 0.02), |dice| flag(dice, 0.9), "from 0 to 1"),
        ("a flag that falls", |dice| flag(dice, 0.98), |dice| flag(dice, 0.1), "from 1 to 0"),
        ("a rare flag that falls", |dice| flag(dice, 0.995), |dice| flag(dice, 0.1), "from 1 to 0"),
        ("a flag that doubles", |dice| flag(dice, 0.1), |dice| flag(dice, 0.4), "is > 0 in"),
        ("a constant that falls to nothing", |_| number(7.0), |_| number(0.0), "from 7 to 0"),
        ("a constant that grows", |_| number(7.0), |_| number(8.0), "from 7 to 8"),
        ("nothing that becomes something", |_| number(0.0), |_| number(1.0), "from 0 to 1"),
        ("numbers that become -1", |dice| number(50.0 + dice * 10.0), |_| number(-1.0), "to -1"),
        ("numbers that become huge", |dice| number(50.0 + dice * 10.0), |_| number(1e18), "to 1"),
        (
            "numbers that become text",
            |dice| number(50.0 + dice * 10.0),
            |_| Observed::Name("49.3"),
            "x is text in 100.0 % of records, was in 0.0 %",
        ),
        (
            "text that becomes numbers",
            |dice| Observed::Name(if dice < 0.5 { "red" } else { "blue" }),
            number,
            "x is a number in 100.0 % of records, was in 0.0 %",
        ),
        (
            "numbers that are none",
            |dice| number(50.0 + dice * 10.0),
            |_| number(f64::NAN),
            "x is no finite number in 100.0 % of records",
        ),
        (
            "names of which one grows",
            |dice| Observed::Name(if dice < 0.1 { "red" } else { "blue" }),
            |dice| Observed::Name(if dice < 0.6 { "red" } else { "blue" }),
            "x is red in",
        ),
    ];
    for (what, before, after, title) in cases {
        let (hours, alert) = Played::breaks(before, after).unwrap_or_else(|| panic!("{what} is never told"));
        assert!(hours <= 3, "{what}: after {hours} hours");
        let since = (alert.since_ms.0 / HOUR_MS - BREAKS).abs();
        assert!(since <= 1, "{what}: since {since} hours beside the break");
        assert!(alert.title.contains(title), "{what}: {}", alert.title);
        let shares = || alert.findings.iter().filter_map(|finding| finding.measures.get("p_value"));
        assert!(
            shares().count() > 0 && shares().all(|p_value| *p_value < 1e-6),
            "{what}: {:?}",
            alert.findings
        );
    }
}

#[test]
fn values_of_another_sort_in_a_few_records_are_told_as_what_they_are() {
    let usual: Value = |dice| number(50.0 + dice * 10.0);
    let (_, alert) = Played::breaks(usual, |dice| {
        if dice < 0.3 { Observed::Name("n/a") } else { number(50.0 + (dice - 0.3) / 0.7 * 10.0) }
    })
    .expect("three in ten");
    let finding = alert.findings.first().expect("it is about something");
    assert_eq!((finding.what, finding.category.as_deref()), (Moved::NonFinite, Some("text")));
    assert!((finding.to - 0.3).abs() < 0.1, "{finding:?}");
}

#[test]
fn an_episode_ends_when_nothing_comes_any_more_and_counts_what_it_concerns() {
    for goes in ["the stream", "a part"] {
        let mut played = Played::default();
        let usual: Value = |dice| number(50.0 + dice * 10.0);
        let odd: Value = |dice| number(500.0 + dice * 100.0);
        let hour_of_all = |hour: i64, of_a: Option<Value>| {
            let rest = hour_of(hour + 1_000_000, usual, Some("b"));
            let rest = WindowProfile { start: EventTime(hour * HOUR_MS), ..rest };
            let part = of_a.map(|value| hour_of(hour, value, Some("a")));
            let mut all = WindowProfile { segment: None, ..rest.clone() };
            part.iter().for_each(|part| all.profile.merge(&part.profile));
            [Some(all), Some(rest), part].into_iter().flatten()
        };
        for hour in 0..BREAKS {
            assert!(played.hour(hour, hour_of_all(hour, Some(usual))).is_empty(), "hour {hour}");
        }
        let mut open = None;
        for hour in BREAKS..BREAKS + 8 {
            open = played.hour(hour, hour_of_all(hour, Some(odd))).pop().or(open);
        }
        let open = open.expect("it is told");
        let since = open.as_of_ms.since(open.since_ms) / HOUR_MS;
        assert_eq!(open.segment.as_ref().map(|part| &*part.value), Some("a"), "{}", open.title);
        assert_eq!(open.decisions, u64::try_from(since * RECORDS).expect("some"), "those of the part");
        assert_eq!(open.money_minor.get("EUR"), Some(&(since * RECORDS * 100)));
        let mut last = open;
        for hour in BREAKS + 8..BREAKS + 24 {
            let came: Vec<WindowProfile> =
                if goes == "a part" { hour_of_all(hour, None).collect() } else { Vec::new() };
            last = played.hour(hour, came).pop().unwrap_or(last);
        }
        assert_eq!(
            (last.status, last.resolution),
            (AlertStatus::Resolved, Some(Resolution::Recovered)),
            "{goes}: {}",
            last.title
        );
        let hours = last.as_of_ms.0 / HOUR_MS - (BREAKS + 8);
        assert!(hours <= 7, "{goes}: after {hours} hours");
    }
}
