//! How drift is watched for.

use super::reader::Section;
use crate::drift::DriftSettings;
use crate::drift::settings::{Cycle, Least};
use crate::engine::decide::profile::dimensions;
use crate::fault::Fault;
use crate::time::Period;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn drift(
    mut section: Section<'_>,
    allowed_lateness: Duration,
    faults: &mut Vec<Fault>,
) -> DriftSettings {
    let window = section.duration("window", HOUR, MINUTE, faults);
    if !(window <= DAY && DAY.as_millis().is_multiple_of(window.as_millis().max(1))) {
        let message = "must divide a day: windows are compared with those of the same hour";
        faults.push(Fault::new(section.path("window"), message));
    }
    let false_pages_per_month = section.number("false_pages_per_month", 2.0, faults);
    if !(0.01..=1_000.0).contains(&false_pages_per_month) {
        faults.push(Fault::new(section.path("false_pages_per_month"), "must be from 0.01 to 1000"));
    }
    let labels_between_false_alarms = section.number("labels_between_false_alarms", 300_000.0, faults);
    if !(1e3..=1e9).contains(&labels_between_false_alarms) {
        faults
            .push(Fault::new(section.path("labels_between_false_alarms"), "must be from 1000 to 1000000000"));
    }
    let settings = DriftSettings {
        is_watched: section.truth("watch", true, faults),
        window,
        allowed_lateness,
        segments: segments(&mut section, faults),
        false_pages_per_month,
        labels_between_false_alarms,
        learn: section.duration("learn", 14 * DAY, window, faults),
        pinned: pinned(section.section("reference", faults), faults),
        resolve_after: section.duration("resolve_after", 3 * window, window, faults),
        adopt_after: section.duration("adopt_after", 7 * DAY, window, faults),
        cycle: Cycle::WEEK,
        least: Least::USUAL,
    };
    section.finish(faults);
    settings
}

/// The period whose values are the reference, if there is one.
fn pinned(mut section: Section<'_>, faults: &mut Vec<Fault>) -> Option<Period> {
    let [from, until] = ["from", "until"].map(|key| section.instant(key, faults));
    let both = from.zip(until).map(|(from, until)| Period { from, until });
    section.require(&["from", "until"], faults);
    if both.is_some_and(|pinned| pinned.from >= pinned.until) {
        faults.push(Fault::new(section.path("until"), "must be after from"));
    }
    section.finish(faults);
    both
}

/// The fields that divide payments into segments.
fn segments(section: &mut Section<'_>, faults: &mut Vec<Fault>) -> Vec<String> {
    let Some(list) = section.list("segments", faults) else {
        return vec!["channel".to_owned(), "card_country".to_owned()];
    };
    let mut segments = Vec::new();
    for (place, value) in list.iter().enumerate() {
        match dimensions().find(|known| value.as_str() == Some(known)) {
            Some(known) => segments.push(known.to_owned()),
            None => {
                let path = format!("{}[{place}]", section.path("segments"));
                let known: Vec<_> = dimensions().collect();
                faults.push(Fault::new(path, format!("must be one of {}", known.join(", "))));
            }
        }
    }
    segments.sort_unstable();
    segments.dedup();
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tree;
    use crate::time::EventTime;

    fn resolved(json: &str) -> (DriftSettings, Vec<String>) {
        let tree: Tree = serde_json::from_str(json).expect("a section");
        let mut faults = Vec::new();
        let section = Section::root(&tree).section("drift", &mut faults);
        let settings = drift(section, MINUTE, &mut faults);
        (settings, faults.into_iter().map(|fault| fault.path).collect())
    }

    #[test]
    fn without_a_section_windows_are_hours_and_two_pages_a_month_may_be_false() {
        let (settings, faults) = resolved("{}");
        assert_eq!(faults, Vec::<String>::new());
        assert!(settings.is_watched);
        assert_eq!((settings.window, settings.allowed_lateness), (HOUR, MINUTE));
        assert_eq!(settings.segments, ["channel", "card_country"]);
        assert!((settings.false_pages_per_month - 2.0).abs() < 1e-12);
    }

    #[test]
    fn it_can_be_turned_off() {
        let (settings, faults) = resolved(r#"{"drift": {"watch": false}}"#);
        assert_eq!(faults, Vec::<String>::new());
        assert!(!settings.is_watched);
    }

    #[test]
    fn a_reference_can_be_pinned_to_a_period() {
        let json = |until: &str| {
            format!(r#"{{"drift": {{"reference": {{"from": "2026-01-05T00:00:00Z", "until": {until}}}}}}}"#)
        };
        let (settings, faults) = resolved(&json(r#""2026-01-19T00:00:00Z""#));
        assert_eq!(faults, Vec::<String>::new());
        let begins = EventTime(1_767_571_200_000);
        assert_eq!(settings.pinned, Some(Period { from: begins, until: begins.plus(14 * DAY) }));
        assert_eq!(resolved("{}").0.pinned, None);
        for wrong in ["null", "7", r#""2026-01-19""#, r#""2026-01-04T00:00:00Z""#] {
            let (_, faults) = resolved(&json(wrong));
            assert!(faults.contains(&"drift.reference.until".to_owned()), "{wrong}: {faults:?}");
        }
    }

    #[test]
    fn every_fault_of_the_section_is_reported() {
        let (_, faults) = resolved(
            r#"{"drift": {"window": "7m", "false_pages_per_month": 0, "segments": ["channel", "shoe"], "lern": "1d"}}"#,
        );
        assert_eq!(
            faults,
            ["drift.window", "drift.false_pages_per_month", "drift.segments[1]", "drift.lern"]
        );
    }
}
