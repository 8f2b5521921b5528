//! Counting the different values of a text: exactly over a ring, by adaptive sampling over a large key.
//!
//! Source of the sampling: M. Wegman's algorithm as analysed in P. Flajolet, "On adaptive sampling",
//! Computing 34 (1990), relative standard error 1.2 / √m for a sample of m.

use super::ring::RING_MAX;
use super::sweep::{Covered, ERROR_OF_SAMPLE, Tally};
use super::view::Aggregate;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// The most values that a sample keeps.
pub(super) const SAMPLE_MAX: usize = 1024;
/// Twice what a ring holds, so that a free slot is always near.
const SLOTS: usize = 2 * RING_MAX;

/// The different hashes among at most [`RING_MAX`] that are added, in a table on the stack.
#[derive(Debug)]
pub(super) struct DistinctHashes {
    /// Open addressing with linear probing; 0 is a free slot.
    slots: [u64; SLOTS],
    count: u32,
    /// Whether the hash 0 itself was added, which no slot can hold.
    zero: bool,
}

impl DistinctHashes {
    /// One for each slot, and one for the hash 0.
    pub(super) const PLACES: usize = SLOTS + 1;

    /// Adds a hash, and says where it is: below [`DistinctHashes::PLACES`], and the same each time.
    pub(super) fn place(&mut self, hash: u64) -> usize {
        if hash == 0 {
            self.count += u32::from(!self.zero);
            self.zero = true;
            return SLOTS;
        }
        let home = usize::try_from(hash % SLOTS as u64).expect("a remainder of a small number");
        let (around, from_home) = self.slots.split_at_mut(home);
        let places = (home..).zip(from_home).chain(around.iter_mut().enumerate());
        for (place, slot) in places {
            if *slot == 0 {
                *slot = hash;
                self.count += 1;
            }
            if *slot == hash {
                return place;
            }
        }
        unreachable!("a table of twice what a ring holds has a free slot")
    }
}

impl Default for DistinctHashes {
    fn default() -> DistinctHashes {
        DistinctHashes { slots: [0; SLOTS], count: 0, zero: false }
    }
}

impl Tally for DistinctHashes {
    fn add(&mut self, hash: u64) {
        self.place(hash);
    }

    fn value(&self, aggregate: Aggregate) -> Option<f64> {
        matches!(aggregate, Aggregate::Distinct(_)).then(|| f64::from(self.count))
    }
}

/// A sample of the values of one text, with the first and the last time each was seen.
///
/// It keeps the values whose hash has `level` zero bits at the low end, so each kept value stands for
/// 2^`level`. At most [`SAMPLE_MAX`] values of 24 bytes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Sample {
    level: u32,
    /// No value kept was seen after it.
    newest: Option<EventTime>,
    /// By hash, ascending.
    kept: Vec<Sampled>,
}

/// A value of a sample. What was seen before it was kept, or before it was dropped and kept again, is
/// not in its times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Sampled {
    hash: u64,
    first: EventTime,
    last: EventTime,
}

/// The bound of `memory` counts on it.
const _: () = assert!(size_of::<Sampled>() == 24);

/// How many different values a window has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DistinctCount {
    pub(super) values: u64,
    /// The relative error, if it is an estimate: in (0, 1].
    pub(super) error: Option<f64>,
}

impl Sample {
    /// Folds a value seen at `time`; if room is wanted, what is not after `horizon` goes first.
    pub(super) fn see(&mut self, hash: u64, time: EventTime, horizon: EventTime) {
        if !selected(hash, self.level) {
            return;
        }
        self.newest = self.newest.max(Some(time));
        match self.place(hash) {
            Ok(place) => self.kept.get_mut(place).expect("the hash was just found there").see(time),
            Err(place) => {
                self.make_room();
                self.kept.insert(place, Sampled { hash, first: time, last: time });
            }
        }
        if self.kept.len() > SAMPLE_MAX {
            self.kept.retain(|sampled| sampled.last > horizon);
            self.thin_out();
        }
    }

    /// How many values were seen within `covered`, as far as first and last times tell. `own` is a
    /// value that counts even if it was too old to be folded.
    pub(super) fn count(&self, covered: Covered, own: Option<u64>) -> DistinctCount {
        let (kept, uncertain) = self.count_kept(covered);
        let own = own.filter(|hash| selected(*hash, self.level) && !self.counts(*hash, covered));
        let counted = kept + u64::from(own.is_some());
        DistinctCount {
            values: counted.saturating_mul(1 << self.level),
            error: self.error(uncertain, counted),
        }
    }

    /// How many of the values kept count, and how many of these are uncertain.
    fn count_kept(&self, covered: Covered) -> (u64, u64) {
        // The common case, a payment that comes in order: what was seen at all was seen by its time.
        if self.newest <= Some(covered.end) {
            return (self.kept.iter().filter(|sampled| sampled.last > covered.start).count() as u64, 0);
        }
        self.kept.iter().fold((0, 0), |(counted, uncertain), sampled| {
            let (counts, is_uncertain) = (sampled.counts(covered), sampled.is_uncertain(covered));
            (counted + u64::from(counts), uncertain + u64::from(is_uncertain))
        })
    }

    /// The larger of what sampling may err by, and of the share that may not belong to the window.
    fn error(&self, uncertain: u64, counted: u64) -> Option<f64> {
        let of_sampling = if self.level > 0 { ERROR_OF_SAMPLE } else { 0.0 };
        // Where nothing counts, nothing is uncertain.
        let error = (uncertain as f64 / counted.max(1) as f64).max(of_sampling);
        (error > 0.0).then_some(error)
    }

    fn counts(&self, hash: u64, covered: Covered) -> bool {
        let sampled = self.place(hash).ok().and_then(|place| self.kept.get(place));
        sampled.is_some_and(|sampled| sampled.counts(covered))
    }

    /// Where a hash is, or would be.
    fn place(&self, hash: u64) -> Result<usize, usize> {
        self.kept.binary_search_by_key(&hash, |sampled| sampled.hash)
    }

    /// Doubling beyond a full sample would reserve as much again for the one value that is over.
    fn make_room(&mut self) {
        if self.kept.len() == SAMPLE_MAX {
            self.kept.reserve_exact(1);
        }
    }

    /// Raises the level until the sample is within its bound. Ends: at level 54 only 2¹⁰ hashes are left.
    fn thin_out(&mut self) {
        while self.kept.len() > SAMPLE_MAX {
            self.level += 1;
            let level = self.level;
            self.kept.retain(|sampled| selected(sampled.hash, level));
        }
    }
}

impl Sampled {
    fn see(&mut self, time: EventTime) {
        self.first = time.min(self.first);
        self.last = time.max(self.last);
    }

    /// Whether it was, or may have been, seen within `covered`: not only before, and not only later.
    fn counts(self, covered: Covered) -> bool {
        // Without a branch that is hard to foretell, here and below.
        (self.last > covered.start) & (self.first <= covered.end)
    }

    /// Whether it was seen before and after, which says nothing of between.
    fn is_uncertain(self, covered: Covered) -> bool {
        (self.first <= covered.start) & (self.last > covered.end)
    }
}

/// Whether a hash is in a sample of this level: its lowest `level` bits are zero.
fn selected(hash: u64, level: u32) -> bool {
    hash.trailing_zeros() >= level
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FieldId;
    use std::collections::BTreeMap;
    use xxhash_rust::xxh3::xxh3_64;

    const LONG_AGO: EventTime = EventTime(i64::MIN);
    const EVER: Covered = Covered { start: LONG_AGO, end: EventTime(i64::MAX) };

    fn hash(value: u64) -> u64 {
        xxh3_64(&value.to_le_bytes())
    }

    fn sample_of(values: std::ops::Range<u64>) -> Sample {
        let mut sample = Sample::default();
        values.for_each(|value| sample.see(hash(value), EventTime(1), LONG_AGO));
        sample
    }

    fn count(sample: &Sample, (start, end): (i64, i64), own: Option<u64>) -> (u64, Option<f64>) {
        let count = sample.count(Covered { start: EventTime(start), end: EventTime(end) }, own);
        (count.values, count.error)
    }

    #[test]
    fn a_table_counts_each_hash_once_also_zero_and_also_when_they_crowd() {
        let mut table = DistinctHashes::default();
        for _ in 0..2 {
            // All have one home slot, the last of the table.
            (0..RING_MAX as u64).for_each(|n| table.add(n * SLOTS as u64 + SLOTS as u64 - 1));
        }
        assert_eq!(table.value(Aggregate::Distinct(FieldId::Ip)), Some(256.0));
        let mut table = DistinctHashes::default();
        [0, 1, 0, 1].into_iter().for_each(|hash| table.add(hash));
        assert_eq!(table.value(Aggregate::Distinct(FieldId::Ip)), Some(2.0));
    }

    #[test]
    fn a_sample_is_exact_up_to_1024_values() {
        for values in [1_u64, 1023, 1024] {
            assert_eq!(count(&sample_of(0..values), (0, 1), None), (values, None));
        }
        let sample = sample_of(0..1025);
        let even = (0..1025).filter(|value| hash(*value) & 1 == 0).count();
        assert_eq!(count(&sample, (0, 1), None), (2 * even as u64, Some(0.0375)));
        assert!(sample.kept.capacity() <= SAMPLE_MAX + 1);
    }

    #[test]
    fn a_large_sample_errs_by_a_few_percent_and_stays_within_its_bound() {
        for values in [2_000_u64, 20_000, 200_000] {
            let sample = sample_of(0..values);
            assert!(sample.kept.len() <= SAMPLE_MAX);
            let error = sample.count(EVER, None).values as f64 / values as f64 - 1.0;
            assert!(error.abs() < 3.0 * 0.0375, "{values}: {error}");
        }
    }

    #[test]
    fn values_beyond_the_retention_go_before_the_level_rises() {
        let mut sample = sample_of(0..1024);
        sample.see(hash(5000), EventTime(9), EventTime(1));
        assert_eq!(sample.count(EVER, None), DistinctCount { values: 1, error: None });
    }

    #[test]
    fn a_value_seen_before_and_after_a_window_counts_and_is_uncertain() {
        let mut sample = Sample::default();
        sample.see(7, EventTime(20), LONG_AGO);
        sample.see(7, EventTime(10), LONG_AGO);
        sample.see(7, EventTime(15), LONG_AGO);
        let table = [
            ((1, 9), 0, None),
            ((1, 10), 1, None),
            ((1, 11), 1, None),
            ((9, 19), 1, None),
            ((10, 19), 1, Some(1.0)),
            ((11, 19), 1, Some(1.0)),
            ((10, 20), 1, None),
            ((19, 30), 1, None),
            ((20, 30), 0, None),
            ((21, 30), 0, None),
        ];
        for (covered, values, error) in table {
            assert_eq!(count(&sample, covered, None), (values, error), "{covered:?}");
        }
    }

    #[test]
    fn the_error_is_the_uncertain_share_or_that_of_sampling_if_it_is_larger() {
        // Of the even hashes to 1026, which stand for two each once the odd ones are gone.
        for (uncertain, error) in [(0_u64, 0.0375), (19, 0.0375), (20, 20.0 / 513.0), (513, 1.0)] {
            let mut sample = Sample::default();
            (1..=1026).for_each(|hash| sample.see(hash, EventTime(15), LONG_AGO));
            (1..=uncertain).for_each(|n| sample.see(2 * n, EventTime(10), LONG_AGO));
            (1..=uncertain).for_each(|n| sample.see(2 * n, EventTime(20), LONG_AGO));
            assert_eq!(count(&sample, (10, 19), None), (1026, Some(error)), "{uncertain}");
        }
    }

    #[test]
    fn a_value_too_old_to_be_kept_counts_once_for_itself() {
        let mut sample = Sample::default();
        sample.see(7, EventTime(20), LONG_AGO);
        for (own, covered, expected) in
            [(7, (19, 20), 1), (7, (20, 30), 1), (7, (9, 19), 1), (8, (19, 20), 2), (8, (9, 19), 1)]
        {
            assert_eq!(count(&sample, covered, Some(own)), (expected, None), "{own} {covered:?}");
        }
    }

    #[test]
    fn a_sample_agrees_with_the_definition() {
        let mut sample = Sample::default();
        let (mut level, mut kept) = (0_u32, BTreeMap::<u64, (i64, i64)>::new());
        for step in 0..6000_i64 {
            let (value, time) = (hash((step * step % 4999).unsigned_abs()), step - step % 7 * 300);
            let horizon = step - 3000;
            sample.see(value, EventTime(time), EventTime(horizon));
            if value % (1 << level) == 0 {
                let (first, last) = kept.entry(value).or_insert((time, time));
                (*first, *last) = (time.min(*first), time.max(*last));
            }
            if kept.len() > 1024 {
                kept.retain(|_, (_, last)| *last > horizon);
            }
            while kept.len() > 1024 {
                level += 1;
                kept.retain(|hash, _| hash % (1 << level) == 0);
            }
            let (start, end) = (time - 1000, time);
            let counted = kept.values().filter(|(first, last)| *last > start && *first <= end).count();
            assert_eq!(count(&sample, (start, end), None).0, (counted << level) as u64, "step {step}");
        }
        assert!(level > 0);
    }
}
