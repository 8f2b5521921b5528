//! What a key keeps beside its events: when it was first seen, and the last value of the numbers that are asked.
//!
//! Neither has a window or a retention of its own: they last as long as the key is known.

use super::layout::Layout;
use super::row::Event;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// The first event and the last values of a key with at least one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ends {
    oldest: EventTime,
    /// One for each number of the layout whose last value is asked.
    lasts: Vec<Option<LastValue>>,
}

/// A number and the time of its event.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct LastValue {
    time: EventTime,
    word: u64,
}

impl Ends {
    /// Takes an event over, however old it is.
    pub(super) fn fold(ends: &mut Option<Box<Ends>>, layout: &Layout, event: Event<'_>) {
        let lasts = layout.lasts();
        let ends =
            ends.get_or_insert_with(|| Box::new(Ends { oldest: event.time, lasts: vec![None; lasts.len()] }));
        ends.oldest = ends.oldest.min(event.time);
        for (last, slot) in ends.lasts.iter_mut().zip(lasts) {
            if let Some(word) = event.word(*slot)
                && last.is_none_or(|last| last.time <= event.time)
            {
                *last = Some(LastValue { time: event.time, word });
            }
        }
    }

    /// Seconds from the oldest event to `at`, not below zero.
    pub(super) fn seconds_since_first(&self, at: EventTime) -> f64 {
        at.since(self.oldest).max(0) as f64 / 1000.0
    }

    /// The last value of the number at `place`; none if its event is later than `at`.
    pub(super) fn last(&self, place: usize, at: EventTime) -> Option<f64> {
        let last = self.lasts.get(place).copied().flatten()?;
        (last.time <= at).then(|| f64::from_bits(last.word))
    }
}
