//! Whether traffic explains that a field moved: where twice as many payments come, a store has twice as many of them.
//!
//! That there is more or less of it is told by the watch over volumes. A count over a window that has moved by no more than the traffic
//! has tells nothing beyond that, and is learned from.

use super::packet::moved_by;
use super::{FieldKey, Fields, Profiles, Stream};
use crate::alert::Announced;
use crate::drift::profile::Segment;
use crate::drift::reference::seasonal::hour_of_week;
use crate::drift::reference::{Reference, Seen};
use crate::drift::{DriftSettings, Pair};
use crate::event::alert::{Finding, Moved};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A week counts for so much in what is usual at its hours, as it does in the references of fields.
const LEARN: f64 = 0.3;
/// A window is usual for its hour a week later: what is compared is not in it.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// A part of the traffic that is at least so large can carry fields along.
const PART_LEAST: f64 = 0.2;
/// Fields may have moved by so much more than the traffic, and have to have moved at all, as the traffic has.
const TOLERANCE: f64 = 0.1;
const MOVED_LEAST: f64 = 0.03;
/// Traffic has changed where it is so many standard deviations off; payments that go together make its variance about twice its mean.
const DEVIATIONS: f64 = 3.0;
const VARIANCE: f64 = 2.0;

/// How a field follows the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// Not at all.
    Nothing,
    /// It counts records, or different values in them.
    Count,
    /// It is a sum over records.
    Sum,
}

/// How many records usually come in a window, by hour of the week.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct UsualVolume(BTreeMap<u8, f64>);

impl UsualVolume {
    pub(super) fn learn(&mut self, start: EventTime, records: u64) {
        let usual = self.0.entry(hour_of_week(start)).or_insert(records as f64);
        *usual += (records as f64 - *usual) * LEARN;
    }

    fn at(&self, start: EventTime) -> Option<f64> {
        self.0.get(&hour_of_week(start)).copied()
    }
}

/// By what factors parts of the traffic have changed, beyond what chance does: the smallest and the largest, 1 where none has.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Growth {
    least: f64,
    most: f64,
}

impl Growth {
    const NONE: Growth = Growth { least: 1.0, most: 1.0 };

    /// A part of the traffic of which so many records came, and so many are usual.
    fn add(&mut self, now: f64, usual: f64) {
        let is_clear = (now - usual).abs() > DEVIATIONS * (VARIANCE * usual).sqrt();
        let factor = now / usual;
        if usual > 0.0 && is_clear && factor.ln().abs() > MOVED_LEAST {
            self.least = self.least.min(factor);
            self.most = self.most.max(factor);
        }
    }

    /// Whether a field that follows the traffic may have moved by this factor.
    fn explains(self, factor: f64) -> bool {
        let by = (1.0 + TOLERANCE).ln();
        let range = (self.least.ln() - by)..=(self.most.ln() + by);
        self != Growth::NONE && factor.ln().abs() > MOVED_LEAST && range.contains(&factor.ln())
    }

    /// Whether a field that has moved by this factor has done so in the direction of the traffic.
    fn is_along(self, factor: f64) -> bool {
        if factor > 1.0 { self.most > 1.0 } else { self.least < 1.0 }
    }
}

impl Stream {
    /// Learns how much came a week before the window that begins at `start`, if no announced change lasted then.
    pub(super) fn learn_volumes(&mut self, start: EventTime, window: Duration, announced: &Announced) {
        let week_before = start.minus(WEEK);
        if announced.during(week_before, week_before.plus(window), Duration::ZERO).is_some() {
            return;
        }
        for (segment, windows) in &self.traffic {
            if let Some(window) = windows.get(&week_before) {
                let usual = self.usual_volume.entry(segment.clone()).or_default();
                usual.learn(week_before, window.decisions);
            }
        }
        self.usual_volume.retain(|segment, _| self.traffic.contains_key(segment));
    }

    /// Forgets the evidence of fields that moved with the traffic and no further, and learns from their window.
    pub(super) fn follow_the_traffic(
        &mut self,
        (name, start): (&str, EventTime),
        profiles: &Profiles,
        (threshold, settings): (f64, &DriftSettings),
        fields: &impl Fields,
    ) {
        let explained: Vec<FieldKey> = self
            .fields
            .iter()
            .filter(|(_, known)| known.reference.values().has_moved(threshold))
            .filter(|(_, known)| self.is_explained(fields.follows(name, &known.name), &known.reference))
            .map(|(key, _)| key.clone())
            .collect();
        for key in explained {
            let Some(profile) = profiles.get(&key.segment) else { continue };
            if let Some(known) = self.fields.get_mut(&key) {
                known.reference.forgive(Seen::of(profile, key.field), start, settings);
            }
        }
    }

    /// Whether the traffic has changed since the field began to move, and the field by no more.
    fn is_explained(&self, follows: Follows, reference: &Reference) -> bool {
        let can_be = match follows {
            Follows::Nothing => false,
            // a few records, and one more of them, are no one factor
            Follows::Count => true,
            Follows::Sum => moved_alike(reference),
        };
        can_be && self.moved(reference).is_some_and(|(growth, factor)| growth.explains(factor))
    }

    /// Features whose values have moved while the traffic they follow changed in the same direction, wherever they moved.
    pub(super) fn carried(
        &self,
        name: &str,
        findings: &[Finding],
        threshold: f64,
        fields: &impl Fields,
    ) -> BTreeSet<String> {
        let by_values = |finding: &&Finding| finding.what == Moved::Distribution;
        let mut carried: BTreeSet<String> =
            findings.iter().filter(by_values).map(|finding| finding.feature.clone()).collect();
        carried.retain(|feature| fields.follows(name, feature) != Follows::Nothing);
        // a unit, or a value that is missing, is more than traffic brings along
        for finding in findings.iter().filter(|finding| finding.what != Moved::Distribution) {
            carried.remove(&finding.feature);
        }
        for known in self.fields.values() {
            let has_moved = known.reference.values().has_moved(threshold);
            let is_along =
                || self.moved(&known.reference).is_some_and(|(growth, factor)| growth.is_along(factor));
            if has_moved && carried.contains(&*known.name) && !is_along() {
                carried.remove(&*known.name);
            }
        }
        carried
    }

    /// How the traffic has changed since a field began to move, and by what factor its mean has.
    fn moved(&self, reference: &Reference) -> Option<(Growth, f64)> {
        let since = reference.values().evidence.since()?;
        Some((self.growth(since), reference.mean_moved_by()?))
    }

    fn growth(&self, since: EventTime) -> Growth {
        let mut growth = Growth::NONE;
        let (now, usual) = self.compared(None, since);
        growth.add(now, usual);
        for segment in self.usual_volume.keys().flatten() {
            let (now_there, usual_there) = self.compared(Some(segment), since);
            if usual_there >= usual * PART_LEAST {
                growth.add(now_there, usual_there);
            }
        }
        growth
    }

    /// The records that came since then, of all the traffic or a part of it, and as many as are usual in these windows.
    fn compared(&self, segment: Option<&Segment>, since: EventTime) -> (f64, f64) {
        let segment = segment.cloned();
        let (Some(all), Some(usual)) = (self.traffic.get(&None), self.usual_volume.get(&segment)) else {
            return (0.0, 0.0);
        };
        let there = self.traffic.get(&segment);
        let came =
            |start: &EventTime| there.and_then(|windows| windows.get(start)).map_or(0, |of| of.decisions);
        let windows =
            all.range(since..).filter_map(|(start, _)| Some((came(start) as f64, usual.at(*start)?)));
        windows.fold((0.0, 0.0), |(now, usual), (one, other)| (now + one, usual + other))
    }
}

/// Whether all values of the run are other than those of the reference by one factor.
fn moved_alike(reference: &Reference) -> bool {
    let long_run = reference.long_run();
    let sketches = long_run.as_ref().zip(reference.values().run.sketch.as_ref());
    let moved = sketches.and_then(|(reference, current)| moved_by(Pair { reference, current }));
    moved.is_some_and(|moved| moved.fits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_explains_what_moved_as_it_did_and_no_further() {
        let more = Growth { least: 1.0, most: 1.6 };
        let explained = [1.0, 1.1, 1.3, 1.7, 1.9, 2.5, 0.95, 0.5].map(|factor| more.explains(factor));
        assert_eq!(explained, [false, true, true, true, false, false, true, false]);
        let less = Growth { least: 0.5, most: 1.0 };
        assert_eq!([0.4, 0.5, 0.8, 1.2].map(|factor| less.explains(factor)), [false, true, true, false]);
        assert!(more.is_along(3.0) && !more.is_along(0.3) && less.is_along(0.3) && !less.is_along(3.0));
        assert!(!Growth::NONE.explains(1.05) && !Growth::NONE.is_along(1.05));
    }

    #[test]
    fn what_chance_does_to_traffic_is_no_growth() {
        let of = |now, usual| {
            let mut growth = Growth::NONE;
            growth.add(now, usual);
            growth
        };
        assert_eq!(of(1_080.0, 1_000.0), Growth::NONE);
        assert_eq!(of(1_200.0, 1_000.0), Growth { least: 1.0, most: 1.2 });
        assert_eq!(of(800.0, 1_000.0), Growth { least: 0.8, most: 1.0 });
        assert_eq!(of(102_000.0, 100_000.0), Growth::NONE, "clear, and small");
        assert_eq!(of(5.0, 0.0), Growth::NONE, "nobody knows what is usual");
    }

    #[test]
    fn an_hour_of_the_week_follows_its_last_weeks() {
        let mut usual = UsualVolume::default();
        let week = 7 * 86_400_000;
        (0..3).for_each(|weeks| usual.learn(EventTime(weeks * week), 100));
        usual.learn(EventTime(3 * week), 200);
        let at = |time| usual.at(EventTime(time)).unwrap_or(0.0);
        assert!((at(4 * week) - 130.0).abs() < 1e-9);
        assert_eq!(usual.at(EventTime(3_600_000)), None);
    }
}
