//! Shares by hour of the week (or by quarter of a day, where there is less to learn from), shrunk towards the hour of the day, and
//! that towards all hours.

use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// As many records of the hour of the day, or of all hours, stand beside those of a more special hour: with fewer of its own, an
/// hour of the week is mostly like the same hour of other days.
const PRIOR: f64 = 400.0;
/// What is left of an hour of the week when it comes again, a week later: three and a half weeks count.
const KEEP_WEEKLY: f64 = 0.7;
/// What is left of an hour of the day a day later: three weeks.
const KEEP_DAILY: f64 = 0.95;
/// What is left of all hours after a window: four weeks of hours.
const KEEP_ALL: f64 = 1.0 - 1.0 / 672.0;
const HOUR_MS: i64 = 3_600_000;

/// Counts of a few cells, by hour of the week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seasonal {
    all: Vec<f32>,
    /// By hour of the day, UTC.
    days: BTreeMap<u8, Slot>,
    /// By hour of the week, from Monday at 0:00 UTC, or by the first hour of its quarter of a day.
    weeks: BTreeMap<u8, Slot>,
    /// Hours of a week that are one slot.
    grain: u8,
}

/// How finely a week is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// Into hours.
    Hours,
    /// Into quarters of days.
    Quarters,
}

/// What was counted in an hour, and when that was faded last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Slot {
    counts: Vec<f32>,
    /// The hour, counted from 1970, to which they were faded.
    hour: i64,
}

impl Slot {
    /// Adds counts; what was there is faded once per `period` of hours.
    fn learn(&mut self, hour: i64, period: i64, keep: f64, counts: &[f64]) {
        let times = (hour - self.hour).max(0) / period;
        let keep =
            if self.counts.is_empty() { 1.0 } else { keep.powi(i32::try_from(times).unwrap_or(i32::MAX)) };
        add(&mut self.counts, counts, keep);
        if times > 0 || self.hour == 0 {
            self.hour = hour;
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seven digits of a faded count are plenty")]
fn add(sum: &mut Vec<f32>, counts: &[f64], keep: f64) {
    sum.resize(counts.len(), 0.0);
    for (sum, count) in sum.iter_mut().zip(counts) {
        *sum = (f64::from(*sum) * keep + count) as f32;
    }
}

impl Seasonal {
    /// Nothing yet.
    #[must_use]
    pub fn new(grain: Grain) -> Seasonal {
        let grain = match grain {
            Grain::Hours => 1,
            Grain::Quarters => 6,
        };
        Seasonal { all: Vec::new(), days: BTreeMap::new(), weeks: BTreeMap::new(), grain }
    }

    /// How finely a week is divided.
    #[must_use]
    pub fn grain(&self) -> Grain {
        if self.grain == 1 { Grain::Hours } else { Grain::Quarters }
    }

    fn slot(&self, start: EventTime) -> u8 {
        hour_of_week(start) / self.grain * self.grain
    }

    /// Adds what a window that begins at `start` held.
    pub fn learn(&mut self, start: EventTime, counts: &[f64]) {
        let hour = start.0.div_euclid(HOUR_MS);
        add(&mut self.all, counts, KEEP_ALL);
        self.days.entry(start.hour()).or_default().learn(hour, 24, KEEP_DAILY, counts);
        let slot = self.slot(start);
        self.weeks.entry(slot).or_default().learn(hour, 168, KEEP_WEEKLY, counts);
    }

    /// The shares of `cells` cells to expect in the window that begins at `start`, each above 0, and how many records they weigh.
    #[must_use]
    pub fn expected(&self, start: EventTime, cells: usize) -> (Vec<f64>, f64) {
        let total: f64 = self.all.iter().copied().map(f64::from).sum();
        let cell = |counts: &[f32], place: usize| counts.get(place).copied().map_or(0.0, f64::from);
        // half a record in each cell: nothing is impossible for not having been seen (Jeffreys)
        let mut shares: Vec<f64> =
            (0..cells).map(|place| (cell(&self.all, place) + 0.5) / (total + 0.5 * cells as f64)).collect();
        let mut weight = total;
        let week = self.weeks.get(&self.slot(start));
        for slot in [self.days.get(&start.hour()), week].into_iter().flatten() {
            let own: f64 = slot.counts.iter().copied().map(f64::from).sum();
            for (place, share) in shares.iter_mut().enumerate() {
                *share = (cell(&slot.counts, place) + PRIOR * *share) / (own + PRIOR);
            }
            weight = weight.min(own + PRIOR);
        }
        (shares, weight)
    }
}

/// The hour of the week, from 0 on Monday at 0:00 UTC.
#[must_use]
pub fn hour_of_week(time: EventTime) -> u8 {
    (time.weekday() - 1) * 24 + time.hour()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-05, a Monday.
    const MONDAY: i64 = 1_767_571_200_000;

    fn hour(place: i64) -> EventTime {
        EventTime(MONDAY + place * HOUR_MS)
    }

    #[test]
    fn hours_of_the_week_are_counted_from_monday() {
        assert_eq!((hour_of_week(hour(0)), hour_of_week(hour(167)), hour_of_week(hour(168))), (0, 167, 0));
    }

    #[test]
    fn an_hour_of_the_week_looks_as_it_did_and_one_without_history_like_its_hour_of_the_day() {
        let mut seasonal = Seasonal::new(Grain::Hours);
        // at noon half of the values are in the first cell, else a tenth
        for place in 0..24 * 5 {
            let first = if place % 24 == 12 { 5_000.0 } else { 1_000.0 };
            seasonal.learn(hour(place), &[first, 10_000.0 - first]);
        }
        let (noon, _) = seasonal.expected(hour(12), 2);
        let (night, _) = seasonal.expected(hour(3), 2);
        let (saturday_noon, _) = seasonal.expected(hour(5 * 24 + 12), 2);
        assert!((noon[0] - 0.5).abs() < 0.02 && (night[0] - 0.1).abs() < 0.01, "{noon:?} {night:?}");
        assert!((saturday_noon[0] - 0.5).abs() < 0.02, "{saturday_noon:?}");
    }

    #[test]
    fn few_records_of_an_hour_say_little() {
        let mut seasonal = Seasonal::new(Grain::Hours);
        (0..24).for_each(|place| seasonal.learn(hour(place), &[100.0, 900.0]));
        seasonal.learn(hour(24), &[10.0, 0.0]);
        let (shares, weight) = seasonal.expected(hour(24 + 168), 2);
        assert!((0.1..0.15).contains(&shares[0]), "{shares:?}");
        assert!(weight < 1_500.0, "{weight}");
    }

    #[test]
    fn what_was_never_seen_is_improbable_and_not_impossible() {
        let mut seasonal = Seasonal::new(Grain::Quarters);
        seasonal.learn(hour(0), &[1_000.0, 0.0]);
        let (shares, _) = seasonal.expected(hour(0), 2);
        assert!(shares[1] > 0.0 && shares[1] < 0.001, "{shares:?}");
        let (unknown, weight) = Seasonal::new(Grain::Hours).expected(hour(0), 4);
        assert!(unknown.iter().all(|share| (share - 0.25).abs() < 1e-12) && weight < 1.0);
    }
}
