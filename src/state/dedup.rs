//! Event ids that were seen, remembered for the de-duplication horizon.

use crate::time::EventTime;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Entries are thrown out by the minute in which they end; whether one counts is exact.
const BUCKET_MS: i64 = 60_000;

/// The event ids that one task has seen, per key.
///
/// An id is remembered until the watermark has passed the event's time, or the watermark when it was
/// seen if that is later, by the horizon. About 60 bytes per id.
#[derive(Debug, Clone)]
pub struct Dedup {
    horizon: Duration,
    until: HashMap<u128, EventTime, foldhash::fast::FixedState>,
    ends: BTreeMap<i64, Vec<u128>>,
}

impl Dedup {
    /// Empty.
    #[must_use]
    pub fn new(horizon: Duration) -> Dedup {
        Dedup {
            horizon,
            until: HashMap::with_hasher(foldhash::fast::FixedState::default()),
            ends: BTreeMap::new(),
        }
    }

    /// Whether `event_id` is new for the key of hash `key`; remembers it.
    pub fn is_new(
        &mut self,
        key: u64,
        event_id: &str,
        time: EventTime,
        watermark: Option<EventTime>,
    ) -> bool {
        let id = xxh3_128_with_seed(event_id.as_bytes(), key);
        let now = watermark.map_or(time, |watermark| watermark.max(time));
        let until = now.plus(self.horizon);
        match self.until.get_mut(&id) {
            Some(known) if watermark.is_none_or(|watermark| *known > watermark) => return false,
            Some(known) => *known = until,
            None => {
                self.until.insert(id, until);
            }
        }
        self.ends.entry(until.0.div_euclid(BUCKET_MS)).or_default().push(id);
        true
    }

    /// Forgets what ended before `watermark`. Amortised O(1) per remembered id.
    pub fn forget(&mut self, watermark: EventTime) {
        let current = watermark.0.div_euclid(BUCKET_MS);
        while let Some(bucket) = self.ends.first_entry().filter(|bucket| *bucket.key() < current) {
            for id in bucket.remove() {
                if self.until.get(&id).is_some_and(|until| *until <= watermark) {
                    self.until.remove(&id);
                }
            }
        }
    }

    /// How many ids are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.until.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.until.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_duplicate_until_the_watermark_has_passed_its_time_by_the_horizon() {
        for (watermark, duplicate) in [(3_600_999, true), (3_601_000, false), (3_601_001, false)] {
            let mut dedup = Dedup::new(Duration::from_secs(3_600));
            assert!(dedup.is_new(1, "e", EventTime(1_000), None));
            dedup.forget(EventTime(watermark));
            assert_eq!(
                !dedup.is_new(1, "e", EventTime(1_000), Some(EventTime(watermark))),
                duplicate,
                "{watermark}"
            );
        }
    }

    #[test]
    fn the_same_id_for_another_key_is_new() {
        let mut dedup = Dedup::new(Duration::from_secs(1));
        assert!(dedup.is_new(1, "e", EventTime(0), None));
        assert!(dedup.is_new(2, "e", EventTime(0), None));
        assert!(!dedup.is_new(1, "e", EventTime(0), None));
    }

    #[test]
    fn a_late_event_is_remembered_from_the_watermark_on() {
        let mut dedup = Dedup::new(Duration::from_secs(1));
        let watermark = Some(EventTime(1_000_000));
        assert!(dedup.is_new(1, "e", EventTime(0), watermark));
        dedup.forget(EventTime(1_000_500));
        assert!(!dedup.is_new(1, "e", EventTime(0), Some(EventTime(1_000_500))));
    }

    #[test]
    fn what_has_ended_leaves_no_memory_behind() {
        let mut dedup = Dedup::new(Duration::from_secs(1));
        for number in 0..1_000 {
            dedup.is_new(number, "e", EventTime(0), None);
        }
        dedup.forget(EventTime(120_000));
        assert!(dedup.is_empty() && dedup.ends.is_empty());
    }
}
