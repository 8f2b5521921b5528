//! Counting the different values of a text: exactly over a ring, by adaptive sampling over a large key.
//!
//! Source of the sampling: M. Wegman's algorithm as analysed in P. Flajolet, "On adaptive sampling",
//! Computing 34 (1990), relative standard error 1.2 / √m for a sample of m.

use super::ring::RING_MAX;
use super::sweep::Tally;
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

impl Default for DistinctHashes {
    fn default() -> DistinctHashes {
        DistinctHashes { slots: [0; SLOTS], count: 0, zero: false }
    }
}

impl Tally for DistinctHashes {
    fn add(&mut self, hash: u64) {
        if hash == 0 {
            self.count += u32::from(!self.zero);
            self.zero = true;
            return;
        }
        let home = usize::try_from(hash % SLOTS as u64).expect("a remainder of a small number");
        let (around, from_home) = self.slots.split_at_mut(home);
        for slot in from_home.iter_mut().chain(around) {
            if *slot == hash {
                return;
            }
            if *slot == 0 {
                *slot = hash;
                self.count += 1;
                return;
            }
        }
    }

    fn value(&self, aggregate: Aggregate) -> Option<f64> {
        matches!(aggregate, Aggregate::Distinct(_)).then(|| f64::from(self.count))
    }
}

/// A sample of the values of one text, with the newest time each was seen.
///
/// It keeps the values whose hash has `level` zero bits at the low end, so each kept value stands for
/// 2^`level`. Exact while the level is 0. At most [`SAMPLE_MAX`] values of 16 bytes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Sample {
    level: u32,
    /// Ascending.
    hashes: Vec<u64>,
    /// The newest time of the hash at the same place.
    newest: Vec<EventTime>,
}

impl Sample {
    /// Folds a value seen at `time`; if room is wanted, what is not after `horizon` goes first.
    pub(super) fn see(&mut self, hash: u64, time: EventTime, horizon: EventTime) {
        if !selected(hash, self.level) {
            return;
        }
        match self.hashes.binary_search(&hash) {
            Ok(place) => {
                let newest = self.newest.get_mut(place).expect("a time for each hash");
                *newest = time.max(*newest);
            }
            Err(place) => {
                self.make_room();
                self.hashes.insert(place, hash);
                self.newest.insert(place, time);
            }
        }
        if self.hashes.len() > SAMPLE_MAX {
            self.retain(|_, newest| newest > horizon);
            self.thin_out();
        }
    }

    /// How many values were last seen after `start`, estimated. `own` is a value that counts even
    /// if it was too old to be folded.
    pub(super) fn count_after(&self, start: EventTime, own: Option<u64>) -> u64 {
        let kept = self.newest.iter().filter(|newest| **newest > start).count();
        let own = own.filter(|hash| selected(*hash, self.level) && !self.has_after(*hash, start));
        (kept as u64 + u64::from(own.is_some())).saturating_mul(1 << self.level)
    }

    /// Whether its counts are exact.
    pub(super) fn is_exact(&self) -> bool {
        self.level == 0
    }

    fn has_after(&self, hash: u64, start: EventTime) -> bool {
        let newest = self.hashes.binary_search(&hash).ok().and_then(|place| self.newest.get(place));
        newest.is_some_and(|newest| *newest > start)
    }

    /// Doubling beyond a full sample would reserve as much again for the one value that is over.
    fn make_room(&mut self) {
        if self.hashes.len() == SAMPLE_MAX {
            self.hashes.reserve_exact(1);
            self.newest.reserve_exact(1);
        }
    }

    /// Raises the level until the sample is within its bound. Ends: at level 54 only 2¹⁰ hashes are left.
    fn thin_out(&mut self) {
        while self.hashes.len() > SAMPLE_MAX {
            self.level += 1;
            let level = self.level;
            self.retain(|hash, _| selected(hash, level));
        }
    }

    fn retain(&mut self, keep: impl Fn(u64, EventTime) -> bool) {
        let pairs = self.hashes.drain(..).zip(self.newest.drain(..));
        let kept: Vec<_> = pairs.filter(|(hash, newest)| keep(*hash, *newest)).collect();
        (self.hashes, self.newest) = kept.into_iter().unzip();
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

    fn hash(value: u64) -> u64 {
        xxh3_64(&value.to_le_bytes())
    }

    fn sample_of(values: std::ops::Range<u64>) -> Sample {
        let mut sample = Sample::default();
        values.for_each(|value| sample.see(hash(value), EventTime(1), LONG_AGO));
        sample
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
        for count in [1_u64, 1023, 1024] {
            let sample = sample_of(0..count);
            assert!(sample.is_exact());
            assert_eq!(sample.count_after(EventTime(0), None), count);
        }
        let sample = sample_of(0..1025);
        assert!(!sample.is_exact());
        let odd = (0..1025).filter(|value| hash(*value) & 1 == 0).count();
        assert_eq!(sample.count_after(EventTime(0), None), 2 * odd as u64);
        assert!(sample.hashes.capacity() <= SAMPLE_MAX + 1);
    }

    #[test]
    fn a_large_sample_errs_by_a_few_percent_and_stays_within_its_bound() {
        for count in [2_000_u64, 20_000, 200_000] {
            let sample = sample_of(0..count);
            assert!(sample.hashes.len() <= SAMPLE_MAX);
            let error = sample.count_after(EventTime(0), None) as f64 / count as f64 - 1.0;
            assert!(error.abs() < 3.0 * 0.0375, "{count}: {error}");
        }
    }

    #[test]
    fn values_beyond_the_retention_go_before_the_level_rises() {
        let mut sample = sample_of(0..1024);
        sample.see(hash(5000), EventTime(9), EventTime(1));
        assert!(sample.is_exact());
        assert_eq!(sample.count_after(LONG_AGO, None), 1);
    }

    #[test]
    fn a_value_counts_by_the_newest_time_it_was_seen() {
        let mut sample = Sample::default();
        sample.see(7, EventTime(20), LONG_AGO);
        sample.see(7, EventTime(10), LONG_AGO);
        for (start, expected) in [(19, 1), (20, 0), (21, 0)] {
            assert_eq!(sample.count_after(EventTime(start), None), expected);
        }
    }

    #[test]
    fn a_value_too_old_to_be_kept_counts_once_for_itself() {
        let mut sample = Sample::default();
        sample.see(7, EventTime(20), LONG_AGO);
        for (own, start, expected) in [(7, 19, 1), (7, 20, 1), (8, 19, 2), (8, 20, 1)] {
            assert_eq!(sample.count_after(EventTime(start), Some(own)), expected, "{own} {start}");
        }
    }

    #[test]
    fn a_sample_agrees_with_the_definition() {
        let mut sample = Sample::default();
        let (mut level, mut kept) = (0_u32, BTreeMap::new());
        for step in 0..6000_i64 {
            let (value, time) = (hash((step * step % 4999).unsigned_abs()), EventTime(step - step % 7));
            let horizon = EventTime(step - 3000);
            sample.see(value, time, horizon);
            if value % (1 << level) == 0 {
                kept.entry(value).and_modify(|newest| time.clone_into(newest)).or_insert(time);
            }
            if kept.len() > 1024 {
                kept.retain(|_, newest| *newest > horizon);
            }
            while kept.len() > 1024 {
                level += 1;
                kept.retain(|hash, _| hash % (1 << level) == 0);
            }
            let start = EventTime(step - 1000);
            let expected = kept.values().filter(|newest| **newest > start).count() << level;
            assert_eq!(sample.count_after(start, None), expected as u64, "step {step}");
        }
        assert!(level > 0);
    }
}
