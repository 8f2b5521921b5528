//! What was published lately that is of no one entity: decisions, minutes of the shop, quality of scores, windows of fields. By time, bounded;
//! what is oldest is forgotten first.

use super::{Published, is_newer};
use crate::event::business::MINUTE;
use crate::event::public::Action;
use crate::time::EventTime;
use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, RangeFrom};
use std::sync::{PoisonError, RwLock};

/// Decisions of which the record is kept in their order.
const DECISIONS_MAX: usize = 500;
/// Minutes of which decisions are counted: two days.
const MINUTES_MAX: usize = 2_880;

/// Records by a key that begins with their time.
#[derive(Debug)]
pub struct Series<K> {
    records: RwLock<BTreeMap<K, Published>>,
    records_max: usize,
}

impl<K: Ord + Clone> Series<K> {
    /// Empty; keeps at most `records_max`.
    #[must_use]
    pub fn new(records_max: usize) -> Series<K> {
        Series { records: RwLock::default(), records_max }
    }

    /// Takes a record, unless it is older than what is known. Whether it did.
    pub fn take(&self, key: K, record: Published) -> bool {
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        if !is_newer(records.get(&key), &record) {
            return false;
        }
        records.insert(key, record);
        while records.len() > self.records_max {
            records.pop_first();
        }
        true
    }

    /// Those from `first` on whose keys are `wanted`, the oldest first.
    #[must_use]
    pub fn from(&self, first: RangeFrom<K>, wanted: impl Fn(&K) -> bool) -> Vec<(K, Published)> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let found = records.range((Bound::Included(first.start), Bound::Unbounded));
        found.filter(|(key, _)| wanted(key)).map(|(key, record)| (key.clone(), record.clone())).collect()
    }

    /// The newest key.
    #[must_use]
    pub fn last(&self) -> Option<K> {
        self.records.read().unwrap_or_else(PoisonError::into_inner).keys().next_back().cloned()
    }
}

/// The newest decisions, and how many there were of which minute.
#[derive(Debug, Default)]
pub struct Decisions(RwLock<Newest>);

#[derive(Debug, Default)]
struct Newest {
    records: VecDeque<Published>,
    minutes: BTreeMap<EventTime, BTreeMap<Action, u64>>,
}

impl Decisions {
    /// Takes a decision that was not known.
    pub fn take(&self, decision: Action, record: &Published) {
        let mut newest = self.0.write().unwrap_or_else(PoisonError::into_inner);
        newest.records.push_back(record.clone());
        if newest.records.len() > DECISIONS_MAX {
            newest.records.pop_front();
        }
        *newest.minutes.entry(record.event_time.floor(MINUTE)).or_default().entry(decision).or_default() += 1;
        while newest.minutes.len() > MINUTES_MAX {
            newest.minutes.pop_first();
        }
    }

    /// The records of those that were published last, the newest first.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<Published> {
        let newest = self.0.read().unwrap_or_else(PoisonError::into_inner);
        newest.records.iter().rev().take(count).cloned().collect()
    }

    /// How many there were of which minute, of the last `count` minutes that had some.
    #[must_use]
    pub fn minutes(&self, count: usize) -> Vec<(EventTime, BTreeMap<Action, u64>)> {
        let newest = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = newest.minutes.keys().next_back() else { return Vec::new() };
        let back = MINUTE.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        let since = (Bound::Excluded(last.minus(back)), Bound::Unbounded);
        newest.minutes.range(since).map(|(minute, counts)| (*minute, counts.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::RecordId;

    fn record(time: i64, offset: i64) -> Published {
        let id = RecordId { topic: 1, partition: 0, offset, index: 0 };
        Published { json: "{}".into(), event_time: EventTime(time), id }
    }

    #[test]
    fn a_series_forgets_its_oldest_and_keeps_the_newest_of_a_key() {
        let series = Series::new(2);
        assert!(series.take((1, "a"), record(1, 1)));
        assert!(series.take((1, "a"), record(1, 2)) && !series.take((1, "a"), record(1, 1)));
        assert!(series.take((3, "a"), record(3, 3)) && series.take((2, "a"), record(2, 4)));
        let keys: Vec<_> = series.from((0, "").., |_| true).into_iter().map(|(key, _)| key).collect();
        assert_eq!((keys, series.last()), (vec![(2, "a"), (3, "a")], Some((3, "a"))));
        assert_eq!(series.from((3, "").., |_| true).len(), 1);
    }

    #[test]
    fn decisions_are_counted_by_the_minute_of_their_payment() {
        let decisions = Decisions::default();
        for (number, (time, action)) in [
            (1, Action::Approve),
            (59_999, Action::Decline),
            (60_000, Action::Approve),
            (600_000, Action::Approve),
        ]
        .into_iter()
        .enumerate()
        {
            decisions.take(action, &record(time, i64::try_from(number).expect("few")));
        }
        let minutes: Vec<_> =
            decisions.minutes(10).into_iter().map(|(minute, counts)| (minute.0, counts.len())).collect();
        assert_eq!(minutes, [(60_000, 1), (600_000, 1)]);
        assert_eq!(decisions.minutes(11).len(), 3);
        assert_eq!(decisions.newest(1).first().map(|record| record.event_time.0), Some(600_000));
    }
}
