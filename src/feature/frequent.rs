//! How much of a window the most frequent values of a text make up: exactly over a ring, by a summary in each bucket of a
//! large key.
//!
//! Source of the summary: A. Metwally, D. Agrawal, A. El Abbadi, "Efficient computation of frequent and top-k elements in
//! data streams" (Space-Saving), ICDT 2005. That the errors of several add up when they are merged: P. K. Agarwal et al.,
//! "Mergeable summaries", PODS 2012.

use super::distinct::DistinctHashes;
use super::sweep::{ERROR_OF_BUCKETS, Tally};
use super::view::Aggregate;
use serde::{Deserialize, Serialize};

/// The most values whose share can be asked.
pub(super) const TOP_MAX: u8 = 8;
/// How many values a bucket's summary counts.
pub(super) const COUNTERS: usize = 16;

/// How often each of the different hashes came, of at most a ring's worth that are added.
#[derive(Debug)]
pub(super) struct Frequencies {
    hashes: DistinctHashes,
    counts: [u32; DistinctHashes::PLACES],
}

impl Default for Frequencies {
    fn default() -> Frequencies {
        Frequencies { hashes: DistinctHashes::default(), counts: [0; DistinctHashes::PLACES] }
    }
}

impl Tally for Frequencies {
    fn add(&mut self, hash: u64) {
        let place = self.hashes.place(hash);
        *self.counts.get_mut(place).expect("there is a count for each place") += 1;
    }

    fn value(&self, aggregate: Aggregate) -> Option<f64> {
        let Aggregate::Top { most, .. } = aggregate else { return None };
        share(self.counts.iter().map(|count| u64::from(*count)), most)
    }
}

/// The share of all that the `most` highest counts are; without a value of nothing.
fn share(counts: impl Iterator<Item = u64>, most: u8) -> Option<f64> {
    let mut highest = [0_u64; TOP_MAX as usize];
    let highest = highest.get_mut(..usize::from(most)).expect("no more are asked than can be");
    let mut all = 0;
    for count in counts {
        all += count;
        let place = highest.partition_point(|higher| *higher >= count);
        if let Some(behind) = highest.get_mut(place..)
            && !behind.is_empty()
        {
            behind.rotate_right(1);
            behind.iter_mut().take(1).for_each(|place| *place = count);
        }
    }
    (all > 0).then(|| highest.iter().sum::<u64>() as f64 / all as f64)
}

/// The Space-Saving summary of one text in one bucket: [`COUNTERS`] counters at most.
///
/// Their sum is the number of values seen. While not all are in use, each is exact; from then on a count may be too high by
/// as much as the lowest of them, and a value that has none came at most that often.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Frequent {
    counters: Vec<Counter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Counter {
    hash: u64,
    count: u64,
}

/// The bound of `memory` counts on both.
const _: () = assert!(size_of::<Counter>() == 16 && size_of::<Frequent>() == 24);

impl Frequent {
    /// Counts a value. Where all counters are in use, the first of the lowest becomes that of the new value and goes on from
    /// where it was.
    pub(super) fn see(&mut self, hash: u64) {
        if let Some(known) = self.counters.iter_mut().find(|counter| counter.hash == hash) {
            known.count += 1;
        } else if self.counters.len() < COUNTERS {
            self.counters.push(Counter { hash, count: 1 });
        } else if let Some(lowest) = self.counters.iter_mut().min_by_key(|counter| counter.count) {
            *lowest = Counter { hash, count: lowest.count + 1 };
        }
    }

    /// By how much a count may be wrong.
    fn error(&self) -> u64 {
        if self.counters.len() < COUNTERS {
            return 0;
        }
        self.counters.iter().map(|counter| counter.count).min().unwrap_or_default()
    }
}

/// The summaries of the buckets of a window, together.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// By hash, ascending.
    counters: Vec<Counter>,
    error: u64,
}

impl Merged {
    /// At most 65 summaries: their counters are brought together by sorting, some microseconds if all are full.
    pub(super) fn of<'a>(summaries: impl Iterator<Item = &'a Frequent>) -> Merged {
        let mut merged = Merged::default();
        for summary in summaries {
            merged.counters.extend_from_slice(&summary.counters);
            merged.error += summary.error();
        }
        merged.counters.sort_unstable_by_key(|counter| counter.hash);
        merged.counters.dedup_by(|next, kept| {
            let is_same = next.hash == kept.hash;
            if is_same {
                kept.count += next.count;
            }
            is_same
        });
        merged
    }

    /// Counts one value more.
    pub(super) fn add(&mut self, hash: u64) {
        match self.counters.binary_search_by_key(&hash, |counter| counter.hash) {
            Ok(place) => self.counters.iter_mut().skip(place).take(1).for_each(|counter| counter.count += 1),
            Err(place) => self.counters.insert(place, Counter { hash, count: 1 }),
        }
    }

    /// The share that the `most` most frequent values make up, and its relative error: that of buckets, or, where it is
    /// larger, that of as many counts as are asked; in (0, 1].
    pub(super) fn value(&self, aggregate: Aggregate) -> Option<(f64, Option<f64>)> {
        let Aggregate::Top { most, .. } = aggregate else { return None };
        self.share(most).map(|(share, error)| (share, Some(error)))
    }

    fn share(&self, most: u8) -> Option<(f64, f64)> {
        let share = share(self.counters.iter().map(|counter| counter.count), most)?;
        let all: u64 = self.counters.iter().map(|counter| counter.count).sum();
        let of_counts = u64::from(most).saturating_mul(self.error) as f64 / (share * all as f64);
        Some((share, of_counts.clamp(ERROR_OF_BUCKETS, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FieldId;
    use std::collections::BTreeMap;

    fn top(most: u8) -> Aggregate {
        Aggregate::Top { most, field: FieldId::Device }
    }

    fn summary(values: &[u64]) -> Frequent {
        let mut summary = Frequent::default();
        values.iter().for_each(|value| summary.see(*value));
        summary
    }

    #[test]
    fn the_share_of_the_most_frequent_values_is_exact_over_a_ring() {
        let mut counted = Frequencies::default();
        assert_eq!(counted.value(top(1)), None, "of nothing there is no share");
        [0, 7, 0, 9, 7, 0, 512, 0].into_iter().for_each(|hash| counted.add(hash));
        let shares = [1, 2, 3, 4, 8].map(|most| counted.value(top(most)).unwrap());
        assert_eq!(shares.map(|share| share.to_string()), ["0.5", "0.75", "0.875", "1", "1"]);
        assert_eq!(counted.value(Aggregate::Count), None);
    }

    #[test]
    fn a_summary_is_exact_up_to_sixteen_values() {
        let values: Vec<u64> = (0..16).flat_map(|n| vec![n; 1 + usize::try_from(n % 4).unwrap()]).collect();
        let merged = Merged::of([summary(&values)].iter());
        assert_eq!(merged.share(4), Some((16.0 / 40.0, 0.25)), "all counters are in use");
        let fewer: Vec<u64> = values.into_iter().filter(|value| *value != 0).collect();
        assert_eq!(Merged::of([summary(&fewer)].iter()).share(4), Some((16.0 / 39.0, ERROR_OF_BUCKETS)));
    }

    #[test]
    fn the_seventeenth_value_takes_the_first_of_the_lowest_counters() {
        let mut summary = summary(&(0..16).collect::<Vec<u64>>());
        summary.see(0);
        summary.see(99);
        let counters: Vec<(u64, u64)> = summary.counters.iter().map(|c| (c.hash, c.count)).collect();
        assert_eq!(&counters[..3], [(0, 2), (99, 2), (2, 1)]);
        assert_eq!(summary.error(), 1);
    }

    #[test]
    fn a_payment_that_no_bucket_holds_adds_its_own_value() {
        let mut merged = Merged::of([summary(&[5, 6]), summary(&[6])].iter());
        merged.add(6);
        merged.add(4);
        assert_eq!(merged.share(1), Some((3.0 / 5.0, ERROR_OF_BUCKETS)));
        let mut alone = Merged::default();
        assert_eq!(alone.share(2), None);
        alone.add(4);
        assert_eq!(alone.share(2), Some((1.0, ERROR_OF_BUCKETS)));
    }

    /// Values that come about as often as the square root of what is asked: some often, many once.
    fn skewed(seed: u64, length: u64) -> Vec<u64> {
        let mix = |n: u64| xxhash_rust::xxh3::xxh3_64(&(seed * 1_000_003 + n).to_le_bytes());
        (0..length).map(|n| mix(n) % 97).map(|n| n * n / 97).collect()
    }

    #[test]
    fn the_share_lies_within_its_error() {
        let mut wrong_at_all = 0;
        for seed in 0..200 {
            let buckets: Vec<Vec<u64>> = (0..7).map(|n| skewed(seed * 7 + n, 1 + (seed + n) % 90)).collect();
            let mut exact = BTreeMap::<u64, u64>::new();
            buckets.iter().flatten().for_each(|value| *exact.entry(*value).or_default() += 1);
            let merged = Merged::of(buckets.iter().map(|values| summary(values)).collect::<Vec<_>>().iter());
            for most in 1..=TOP_MAX {
                let expected = share(exact.values().copied(), most).unwrap();
                let (found, error) = merged.share(most).unwrap();
                let relative = (found - expected).abs() / found;
                assert!(
                    relative <= error + 1e-12,
                    "{most} of seed {seed}: {found} is not {expected}, {error}"
                );
                wrong_at_all += u32::from(found.to_bits() != expected.to_bits());
            }
        }
        assert!(wrong_at_all > 100, "the summaries were never short of counters");
    }
}
