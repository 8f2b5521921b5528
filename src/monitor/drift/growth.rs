//! Whether traffic explains that a field moved: where twice as many payments come, a store has twice as many of them.
//!
//! That there is more or less of it is told by the watch over volumes. A count over a window that has moved by no more than the traffic
//! has tells nothing beyond that, and is learned from.

use super::{FieldKey, Fields, KnownField, Profiles, Stream};
use crate::drift::Pair;
use crate::drift::profile::{Segment, Sketch};
use crate::drift::reference::Reference;
use crate::drift::reference::seasonal::hour_of_week;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A week counts for so much in what is usual at its hours, as it does in the references of fields.
const LEARN: f64 = 0.3;
/// Traffic is compared where so many records are usual.
const LEAST: f64 = 100.0;
/// A part of the traffic that is at least so large can carry fields along.
const PART_LEAST: f64 = 0.2;
/// Fields may have moved by so much more than the traffic, and have to have moved at all.
const TOLERANCE: f64 = 0.1;
const MOVED_LEAST: f64 = 0.03;

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

/// By what factors parts of the traffic have changed: the smallest and the largest.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Growth {
    least: f64,
    most: f64,
}

impl Growth {
    /// Whether a field that follows the traffic may have moved by this factor.
    fn explains(self, factor: f64) -> bool {
        let by = (1.0 + TOLERANCE).ln();
        let (low, high) = (self.least.ln().min(0.0) - by, self.most.ln().max(0.0) + by);
        factor > 0.0 && factor.ln().abs() > MOVED_LEAST && (low..=high).contains(&factor.ln())
    }

    /// Whether a field that has moved by this factor has done so in the direction of the traffic.
    fn is_along(self, factor: f64) -> bool {
        if factor > 1.0 { self.most.ln() > MOVED_LEAST } else { self.least.ln() < -MOVED_LEAST }
    }

    /// Whether there is any to speak of.
    fn is_some(self) -> bool {
        self.least.ln() < -MOVED_LEAST || self.most.ln() > MOVED_LEAST
    }
}

impl Stream {
    /// Learns how much came in a window.
    pub(super) fn learn_volumes(&mut self, profiles: &Profiles, start: EventTime) {
        for (segment, profile) in profiles {
            self.usual_volume.entry(segment.clone()).or_default().learn(start, profile.volume);
        }
        self.usual_volume.retain(|segment, _| self.traffic.contains_key(segment));
    }

    /// Forgets the evidence of fields that moved with the traffic and no further.
    pub(super) fn follow_the_traffic(&mut self, name: &str, threshold: f64, fields: &impl Fields) {
        let explained: Vec<FieldKey> = self
            .fields
            .iter()
            .filter(|(_, known)| known.reference.values().evidence.sum() >= threshold)
            .filter(|(_, known)| self.is_explained(fields.follows(name, &known.name), &known.reference))
            .map(|(key, _)| key.clone())
            .collect();
        for key in explained {
            self.fields.entry(key).and_modify(|known| known.reference.forgive());
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
        let growth = || reference.values().evidence.since().and_then(|since| self.growth(since));
        let growth = can_be.then(growth).flatten().filter(|growth| growth.is_some());
        growth.zip(reference.mean_moved_by()).is_some_and(|(growth, factor)| growth.explains(factor))
    }

    /// Features that have moved while the traffic they follow changed in the same direction.
    pub(super) fn carried(&self, name: &str, threshold: f64, fields: &impl Fields) -> BTreeSet<String> {
        let has_moved = |known: &&KnownField| known.reference.values().evidence.sum() >= threshold;
        let follows = |known: &&KnownField| fields.follows(name, &known.name) != Follows::Nothing;
        let is_carried = |known: &&KnownField| {
            let growth = known.reference.values().evidence.since().and_then(|since| self.growth(since));
            growth
                .zip(known.reference.mean_moved_by())
                .is_some_and(|(growth, factor)| growth.is_along(factor))
        };
        let moved = self.fields.values().filter(has_moved).filter(follows).filter(is_carried);
        moved.map(|known| known.name.to_string()).collect()
    }

    fn growth(&self, since: EventTime) -> Option<Growth> {
        let (now, usual) = self.compared(None, since);
        if usual < LEAST {
            return None;
        }
        let mut growth = Growth { least: now / usual, most: now / usual };
        for segment in self.usual_volume.keys().flatten() {
            let (now_there, usual_there) = self.compared(Some(segment), since);
            if usual_there >= usual * PART_LEAST {
                growth.least = growth.least.min(now_there / usual_there);
                growth.most = growth.most.max(now_there / usual_there);
            }
        }
        Some(growth)
    }

    /// The records that came since then, of all the traffic or a part of it, and as many windows usually.
    fn compared(&self, segment: Option<&Segment>, since: EventTime) -> (f64, f64) {
        let segment = segment.cloned();
        let windows = self.traffic.get(&segment).zip(self.usual_volume.get(&segment));
        let since_then = windows.into_iter().flat_map(|(traffic, usual)| {
            let windows = traffic.range(since..);
            windows.filter_map(|(start, window)| Some((window.decisions as f64, usual.at(*start)?)))
        });
        since_then.fold((0.0, 0.0), |(now, usual), (one, other)| (now + one, usual + other))
    }
}

/// Whether all values of the run are other than those of the reference by one factor.
fn moved_alike(reference: &Reference) -> bool {
    let long_run = reference.long_run();
    let (Some(Sketch::Numbers(usual)), Some(Sketch::Numbers(now))) =
        (&long_run, reference.values().run.sketch.as_ref())
    else {
        return false;
    };
    super::packet::moved_by(Pair { reference: usual, current: now }).is_some_and(|moved| moved.fits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_explains_what_moved_as_it_did_and_no_further() {
        let more = Growth { least: 1.2, most: 1.6 };
        let explained = [1.0, 1.1, 1.3, 1.7, 1.9, 2.5, 0.95, 0.5, -1.3].map(|factor| more.explains(factor));
        assert_eq!(explained, [false, true, true, true, false, false, true, false, false]);
        let less = Growth { least: 0.5, most: 0.9 };
        assert_eq!([0.4, 0.5, 0.8, 1.2].map(|factor| less.explains(factor)), [false, true, true, false]);
        assert!(more.is_along(3.0) && !more.is_along(0.3) && less.is_along(0.3) && !less.is_along(3.0));
        assert!(more.is_some() && less.is_some() && !Growth { least: 0.98, most: 1.02 }.is_some());
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
