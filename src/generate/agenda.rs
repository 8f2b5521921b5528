//! What happens when: things in slots, in the order of their times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// Things that are due at a time. Of those due at the same time, the one scheduled first comes
/// first.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    due: BinaryHeap<Reverse<Due>>,
    slots: Vec<Option<T>>,
    /// Slots to be used again.
    free: Vec<usize>,
    scheduled: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    time_ms: i64,
    order: u64,
    slot: usize,
}

impl<T> Agenda<T> {
    pub(super) fn new() -> Agenda<T> {
        Agenda { due: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), scheduled: 0 }
    }

    /// Adds `thing`, due at `time_ms`.
    pub(super) fn schedule(&mut self, time_ms: i64, thing: T) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if let Some(vacant) = self.slots.get_mut(slot) {
            *vacant = Some(thing);
        }
        self.scheduled += 1;
        self.due.push(Reverse(Due { time_ms, order: self.scheduled, slot }));
    }

    /// When the first thing is due.
    pub(super) fn first_time_ms(&self) -> Option<i64> {
        self.due.peek().map(|Reverse(due)| due.time_ms)
    }

    /// Takes the first thing.
    pub(super) fn take_first(&mut self) -> Option<T> {
        let Reverse(due) = self.due.pop()?;
        self.free.push(due.slot);
        self.slots.get_mut(due.slot)?.take()
    }

    /// Lets the first thing act at its time. It is due again after as many milliseconds as it says,
    /// or gone.
    pub(super) fn act_first(&mut self, act: impl FnOnce(i64, &mut T) -> Option<i64>) {
        let Some(mut first) = self.due.peek_mut() else {
            return;
        };
        let Reverse(due) = *first;
        let Some(slot) = self.slots.get_mut(due.slot) else {
            return;
        };
        if let Some(pause_ms) = slot.as_mut().and_then(|thing| act(due.time_ms, thing)) {
            self.scheduled += 1;
            // Replacing the top sifts once, where a pop and a push would sift twice.
            *first = Reverse(Due { time_ms: due.time_ms + pause_ms, order: self.scheduled, ..due });
        } else {
            *slot = None;
            PeekMut::pop(first);
            self.free.push(due.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_by_time_and_then_in_the_order_of_scheduling() {
        let mut agenda = Agenda::new();
        for (time_ms, thing) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b')] {
            agenda.schedule(time_ms, thing);
        }
        assert_eq!(agenda.first_time_ms(), Some(3));
        let taken: Vec<char> = std::iter::from_fn(|| agenda.take_first()).collect();
        assert_eq!(taken, ['a', 'b', 'c', 'd']);
        assert_eq!(agenda.first_time_ms(), None);
    }

    #[test]
    fn what_acts_is_due_again_or_gone() {
        let mut agenda = Agenda::new();
        agenda.schedule(0, (3, "every 3, until 6"));
        agenda.schedule(1, (4, "every 4, until 6"));
        let mut acts = Vec::new();
        while agenda.first_time_ms().is_some() {
            agenda.act_first(|time_ms, (pace_ms, _)| {
                acts.push((time_ms, *pace_ms));
                (time_ms < 6).then_some(*pace_ms)
            });
        }
        assert_eq!(acts, [(0, 3), (1, 4), (3, 3), (5, 4), (6, 3), (9, 4)]);
    }

    #[test]
    fn slots_are_used_again() {
        let mut agenda = Agenda::new();
        for time_ms in 0..100 {
            agenda.schedule(time_ms, time_ms);
            assert_eq!(agenda.take_first(), Some(time_ms));
        }
        assert_eq!(agenda.slots.len(), 1);
    }
}
