//! Calls asked for at an event time.

use crate::time::EventTime;
use std::collections::BTreeSet;

/// Timers of keys `K`, fired in order of time, then key. A key may have several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timers<K: Ord> {
    timers: BTreeSet<(EventTime, K)>,
}

impl<K: Ord> Default for Timers<K> {
    fn default() -> Self {
        Timers { timers: BTreeSet::new() }
    }
}

impl<K: Ord> Timers<K> {
    /// Asks for a call for `key` when the watermark reaches `at`.
    pub fn set(&mut self, at: EventTime, key: K) {
        self.timers.insert((at, key));
    }

    /// The next timer that a watermark has reached.
    pub fn due(&mut self, watermark: EventTime) -> Option<(EventTime, K)> {
        if self.timers.first().is_some_and(|(at, _)| *at <= watermark) {
            self.timers.pop_first()
        } else {
            None
        }
    }

    /// How many are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }
}
