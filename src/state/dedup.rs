//! Event ids that were seen, remembered for the de-duplication horizon.

use super::entries::Entries;
use super::keyed::Tracking;
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
/// seen if that is later, by the horizon that is given with it. About 60 bytes per id.
#[derive(Debug, Clone)]
pub struct Dedup {
    until: HashMap<u128, EventTime, foldhash::fast::FixedState>,
    ends: BTreeMap<i64, Vec<u128>>,
    changes: Option<Changes>,
}

/// What was remembered since the last cut, and what of the last cut is still to be encoded.
#[derive(Debug, Clone, Default)]
struct Changes {
    since: Vec<(u128, EventTime)>,
    cut: Vec<(u128, EventTime)>,
}

impl Dedup {
    /// Empty.
    #[must_use]
    pub fn new(tracking: Tracking) -> Dedup {
        Dedup {
            changes: (tracking == Tracking::On).then(Changes::default),
            until: HashMap::with_hasher(foldhash::fast::FixedState::default()),
            ends: BTreeMap::new(),
        }
    }

    /// Whether `event_id` of an event at `time` is new for the key of hash `key`; remembers it for the horizon.
    pub fn is_new(
        &mut self,
        key: u64,
        event_id: &str,
        horizon: Duration,
        (time, watermark): (EventTime, Option<EventTime>),
    ) -> bool {
        let id = xxh3_128_with_seed(event_id.as_bytes(), key);
        let now = watermark.map_or(time, |watermark| watermark.max(time));
        let until = now.plus(horizon);
        match self.until.get_mut(&id) {
            Some(known) if watermark.is_none_or(|watermark| *known > watermark) => return false,
            Some(known) => *known = until,
            None => {
                self.until.insert(id, until);
            }
        }
        self.ends.entry(until.0.div_euclid(BUCKET_MS)).or_default().push(id);
        if let Some(changes) = &mut self.changes {
            changes.since.push((id, until));
        }
        true
    }

    /// Cuts a checkpoint here: what was remembered since the last cut is what [`Dedup::encode_some`] gives. O(1).
    pub fn cut(&mut self) {
        if let Some(changes) = &mut self.changes {
            changes.cut = std::mem::take(&mut changes.since);
        }
    }

    /// Encodes what the last cut found, until `into` holds about `bytes_max`: the id, and when it ends (both little
    /// endian). Returns whether that was all.
    pub fn encode_some(&mut self, into: &mut Entries, bytes_max: usize) -> bool {
        let Some(changes) = &mut self.changes else { return true };
        while into.len() < bytes_max
            && let Some((id, until)) = changes.cut.pop()
        {
            into.put_raw(&id.to_le_bytes(), Some(&until.0.to_le_bytes()));
        }
        changes.cut.is_empty()
    }

    /// Remembers again what a checkpoint held: an id, and when it ends. Returns whether it was that.
    pub fn restore(&mut self, id: &[u8], until: &[u8]) -> bool {
        let (Ok(id), Ok(until)) =
            (id.try_into().map(u128::from_le_bytes), until.try_into().map(i64::from_le_bytes))
        else {
            return false;
        };
        let known = self.until.entry(id).or_insert(EventTime(until));
        *known = EventTime(until).max(*known);
        self.ends.entry(until.div_euclid(BUCKET_MS)).or_default().push(id);
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

    /// Whether both remember the same ids for as long, of those that count at this watermark.
    #[cfg(test)]
    pub(crate) fn remembers_the_same(&self, other: &Dedup, watermark: Option<EventTime>) -> bool {
        let of = |dedup: &Dedup| {
            let counts = |until: &EventTime| watermark.is_none_or(|watermark| *until > watermark);
            let ids = dedup.until.iter().filter(|(_, until)| counts(until));
            ids.map(|(id, until)| (*id, *until)).collect::<BTreeMap<_, _>>()
        };
        of(self) == of(other)
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

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn an_id_is_a_duplicate_until_the_watermark_has_passed_its_time_by_the_horizon() {
        for (watermark, duplicate) in [(3_600_999, true), (3_601_000, false), (3_601_001, false)] {
            let mut dedup = Dedup::new(Tracking::Off);
            assert!(dedup.is_new(1, "e", HOUR, (EventTime(1_000), None)));
            dedup.forget(EventTime(watermark));
            assert_eq!(
                !dedup.is_new(1, "e", HOUR, (EventTime(1_000), Some(EventTime(watermark)))),
                duplicate,
                "{watermark}"
            );
        }
    }

    #[test]
    fn the_same_id_for_another_key_is_new() {
        let mut dedup = Dedup::new(Tracking::Off);
        assert!(dedup.is_new(1, "e", SECOND, (EventTime(0), None)));
        assert!(dedup.is_new(2, "e", SECOND, (EventTime(0), None)));
        assert!(!dedup.is_new(1, "e", SECOND, (EventTime(0), None)));
    }

    #[test]
    fn a_late_event_is_remembered_from_the_watermark_on() {
        let mut dedup = Dedup::new(Tracking::Off);
        let watermark = Some(EventTime(1_000_000));
        assert!(dedup.is_new(1, "e", SECOND, (EventTime(0), watermark)));
        dedup.forget(EventTime(1_000_500));
        assert!(!dedup.is_new(1, "e", SECOND, (EventTime(0), Some(EventTime(1_000_500)))));
    }

    #[test]
    fn what_has_ended_leaves_no_memory_behind() {
        let mut dedup = Dedup::new(Tracking::Off);
        for number in 0..1_000 {
            dedup.is_new(number, "e", SECOND, (EventTime(0), None));
        }
        dedup.forget(EventTime(120_000));
        assert!(dedup.is_empty() && dedup.ends.is_empty());
    }

    #[test]
    fn what_was_remembered_since_the_last_cut_is_encoded_once_and_restored() {
        let mut dedup = Dedup::new(Tracking::On);
        let mut restored = Dedup::new(Tracking::On);
        for round in 0..3 {
            for number in 0..100 {
                assert!(dedup.is_new(round, &number.to_string(), HOUR, (EventTime(0), None)));
            }
            dedup.cut();
            dedup.is_new(round, "after the cut", HOUR, (EventTime(0), None));
            let mut entries = Entries::default();
            while !dedup.encode_some(&mut entries, 100) {
                for entry in crate::state::entries::read(entries.bytes()) {
                    let (id, until) = entry.unwrap();
                    assert!(restored.restore(id, until.unwrap()));
                }
                entries.clear();
            }
            for entry in crate::state::entries::read(entries.bytes()) {
                let (id, until) = entry.unwrap();
                assert!(restored.restore(id, until.unwrap()));
            }
            assert!(!restored.is_new(round, "7", HOUR, (EventTime(0), None)));
            assert_eq!(restored.len(), dedup.len() - 1);
        }
    }
}
