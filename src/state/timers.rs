//! Calls asked for at an event time.

use crate::time::EventTime;
use std::collections::BTreeSet;

/// A wish to be called, and the one that it takes the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerMove {
    /// When the call was to come before.
    pub from: Option<EventTime>,
    /// When it is to come.
    pub to: EventTime,
}

/// Timers of keys `K`, fired in order of time, then key. A key has at most one, and its state says which: so a
/// checkpoint holds no timers, they follow from the state.
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

    /// In place of all timers: these. Sorted once, which costs less than one after the other.
    pub fn replace(&mut self, timers: Vec<(EventTime, K)>) {
        self.timers = timers.into_iter().collect();
    }

    /// Asks for a call for `key`, in place of an earlier wish.
    pub fn change(&mut self, change: TimerMove, key: K) {
        let key = match change.from {
            None => key,
            Some(from) => {
                let before = (from, key);
                self.timers.remove(&before);
                before.1
            }
        };
        self.set(change.to, key);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_timer_fires_once_at_its_new_time() {
        let mut timers = Timers::default();
        timers.change(TimerMove { from: None, to: EventTime(9) }, 'a');
        timers.change(TimerMove { from: Some(EventTime(9)), to: EventTime(5) }, 'a');
        timers.set(EventTime(5), 'b');
        let due: Vec<_> = std::iter::from_fn(|| timers.due(EventTime(9))).collect();
        assert_eq!(due, [(EventTime(5), 'a'), (EventTime(5), 'b')]);
    }
}
