//! Calls asked for at an event time.

use crate::time::EventTime;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Timers are ordered when their minute comes, and lie as they came before.
const BUCKET_MS: i64 = 60_000;

/// Timers of keys `K`, fired in order of time, then key.
///
/// A key's state says which timer it has: so a checkpoint holds none, they follow from the state; and a wish that was
/// given up is not looked for, it comes and finds that the state says otherwise. To set one costs O(1) amortised, one
/// that is due O(log n) in the timers of its minute.
#[derive(Debug, Clone)]
pub struct Timers<K: Ord> {
    /// Of every minute below `near_below`.
    near: BinaryHeap<Reverse<(EventTime, K)>>,
    near_below: i64,
    later: BTreeMap<i64, Vec<Reverse<(EventTime, K)>>>,
}

impl<K: Ord> Default for Timers<K> {
    fn default() -> Self {
        Timers { near: BinaryHeap::new(), near_below: i64::MIN, later: BTreeMap::new() }
    }
}

impl<K: Ord> Timers<K> {
    /// Asks for a call for `key` when the watermark reaches `at`.
    pub fn set(&mut self, at: EventTime, key: K) {
        let minute = at.0.div_euclid(BUCKET_MS);
        let timer = Reverse((at, key));
        if minute < self.near_below {
            self.near.push(timer);
        } else {
            self.later.entry(minute).or_default().push(timer);
        }
    }

    /// The next timer that a watermark has reached. It counts if the state of its key still says so.
    pub fn due(&mut self, watermark: EventTime) -> Option<(EventTime, K)> {
        loop {
            if let Some(Reverse((at, _))) = self.near.peek() {
                return if *at <= watermark { self.near.pop().map(|timer| timer.0) } else { None };
            }
            let bucket = self.later.first_entry()?;
            let minute = *bucket.key();
            if minute > watermark.0.div_euclid(BUCKET_MS) {
                return None;
            }
            self.near = bucket.remove().into();
            self.near_below = minute + 1;
        }
    }

    /// Whether `key` is to be called at `at`.
    #[cfg(test)]
    pub(crate) fn holds(&self, at: EventTime, key: &K) -> bool {
        let later = self.later.values().flatten();
        self.near.iter().chain(later).any(|Reverse((due, of))| *due == at && of == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::random::Random;

    #[test]
    fn timers_come_in_order_of_time_then_key_whatever_the_order_of_the_wishes() {
        for seed in 0..100 {
            let mut random = Random::new(seed);
            let (mut timers, mut model) = (Timers::default(), BTreeMap::new());
            let mut watermark = -200_000;
            for _ in 0..200 {
                for _ in 0..random.below(4) {
                    // now and then below the watermark: due at once
                    let ahead = i64::try_from(random.below(400_000)).unwrap() - 20_000;
                    let timer = (EventTime(watermark + ahead), random.below(9));
                    timers.set(timer.0, timer.1);
                    *model.entry(timer).or_insert(0) += 1;
                    assert!(timers.holds(timer.0, &timer.1));
                }
                watermark += i64::try_from(random.below(30_000)).unwrap();
                while let Some(due) = timers.due(EventTime(watermark)) {
                    let mut first = model.first_entry().expect("as many as were set");
                    assert_eq!(*first.key(), due, "seed {seed}");
                    *first.get_mut() -= 1;
                    if *first.get() == 0 {
                        first.remove();
                    }
                }
                assert!(model.keys().all(|(at, _)| at.0 > watermark), "seed {seed}");
            }
        }
    }
}
