//! What a small key keeps: its events within the retention, exact, ordered by time and arrival.
//!
//! At most [`RING_MAX`] entries in two buffers that grow by doubling: 16 bytes an entry, and 8 for
//! each field. An event that comes in order is appended; a pass over the windows is one walk from the
//! newest entry into the past. (The front is dropped by moving the rest: at most a few kilobytes,
//! and what is kept is the same bytes whatever was dropped before.)

use super::distinct::DistinctHashes;
use super::frequent::Frequencies;
use super::row::Event;
use super::spread::Spread;
use super::sweep::{Answers, Column, Sweep, Tally};
use super::totals::Totals;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// The most events of a small key; one more turns it into a large one.
pub(super) const RING_MAX: usize = 256;
/// The room of the first reservation, in entries.
const RING_SMALLEST: usize = 4;

/// The events of a small key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Ring {
    /// Ascending by time; of the same time, the earlier arrival first.
    entries: Vec<Entry>,
    /// As many words for each entry as the group has fields.
    words: Vec<u64>,
}

/// When an event happened, and which fields it has (bit `slot`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Entry {
    time: EventTime,
    present: u32,
}

/// The bound of `memory` counts on it.
const _: () = assert!(size_of::<Entry>() == 16);

impl Ring {
    /// A ring of one event.
    pub(super) fn of(event: Event<'_>) -> Ring {
        let mut ring = Ring::default();
        ring.insert(event);
        ring
    }

    /// Whether the next event is one too many.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= RING_MAX
    }

    /// Puts an event in its place, after those of the same time. The ring must not be full.
    pub(super) fn insert(&mut self, event: Event<'_>) {
        assert!(!self.is_full(), "a full ring was to be turned into buckets");
        let place = self.up_to(event.time);
        let width = event.words.len();
        self.make_room(width);
        self.entries.insert(place, Entry { time: event.time, present: event.present });
        self.words.extend_from_slice(event.words);
        let behind = self.words.get_mut(place * width..).expect("an entry has a word for each field");
        behind.rotate_right(width);
    }

    /// Drops the events up to `horizon`, itself included.
    pub(super) fn drop_through(&mut self, horizon: EventTime, width: usize) {
        if self.entries.first().is_some_and(|oldest| oldest.time <= horizon) {
            let dropped = self.up_to(horizon);
            self.entries.drain(..dropped);
            self.words.drain(..dropped * width);
        }
    }

    /// Its events, oldest first.
    pub(super) fn events(&self, width: usize) -> impl Iterator<Item = Event<'_>> {
        self.entries.iter().enumerate().map(move |(index, entry)| {
            let words = self.words.get(index * width..(index + 1) * width);
            let words = words.expect("an entry has a word for each field");
            Event { time: entry.time, present: entry.present, words }
        })
    }

    /// Answers one pass for a payment at `at`.
    pub(super) fn answer(&self, sweep: &Sweep, at: EventTime, width: usize, answers: &mut Answers<'_>) {
        match sweep.column {
            Column::Events => self.walk(sweep, at, Totals::default(), |_, _| Some(0), answers),
            Column::Number { slot } => {
                self.walk(sweep, at, Totals::default(), self.words_of(slot, width), answers);
            }
            Column::Spread { slot, .. } => {
                self.walk(sweep, at, Spread::default(), self.words_of(slot, width), answers);
            }
            Column::Distinct { slot, .. } => {
                self.walk(sweep, at, DistinctHashes::default(), self.words_of(slot, width), answers);
            }
            Column::Top { slot, .. } => {
                self.walk(sweep, at, Frequencies::default(), self.words_of(slot, width), answers);
            }
        }
    }

    /// Walks from the end of the windows into the past, and answers each window at its start.
    fn walk<T: Tally>(
        &self,
        sweep: &Sweep,
        at: EventTime,
        mut tally: T,
        word: impl Fn(usize, &Entry) -> Option<u64>,
        answers: &mut Answers<'_>,
    ) {
        let end = sweep.end(at);
        let within = self.entries.get(..self.up_to(end)).unwrap_or_default();
        let mut newest_first = within.iter().enumerate().rev().peekable();
        for step in &sweep.steps {
            let start = step.start(end);
            while let Some((index, entry)) = newest_first.next_if(|(_, entry)| entry.time > start) {
                if let Some(word) = word(index, entry) {
                    tally.add(word);
                }
            }
            step.answer(|aggregate| tally.value(aggregate), None, answers);
        }
    }

    /// The words of one field, where an entry has it.
    fn words_of(&self, slot: usize, width: usize) -> impl Fn(usize, &Entry) -> Option<u64> {
        move |index, entry| {
            let has = entry.present & (1 << slot) != 0;
            if has { self.words.get(index * width + slot).copied() } else { None }
        }
    }

    /// How many events are not after `time`.
    fn up_to(&self, time: EventTime) -> usize {
        match self.entries.last() {
            // The common case: what is asked about, or comes in, is not older than what is here.
            Some(newest) if newest.time <= time => self.entries.len(),
            _ => self.entries.partition_point(|entry| entry.time <= time),
        }
    }

    /// Doubles both buffers together, so that neither reserves beyond a full ring.
    fn make_room(&mut self, width: usize) {
        let held = self.entries.len();
        if held == self.entries.capacity() {
            let room = (2 * held).clamp(RING_SMALLEST, RING_MAX);
            self.entries.reserve_exact(room - held);
            self.words.reserve_exact((room - held) * width);
        }
    }
}
