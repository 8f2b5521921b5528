//! Public records that wait for the transaction that commits what made them.

use crate::log::Append;
use crate::log::position::Offset;
use std::collections::VecDeque;

/// Public records of one task, in the order in which they were made.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    /// Each with an offset at or above that of the input which made it, never falling.
    records: VecDeque<(Offset, Append)>,
    bytes: usize,
}

impl Waiting {
    /// `append` was made by the input up to `offset`.
    pub(super) fn push(&mut self, offset: Offset, append: Append) {
        self.bytes += bytes_of(&append);
        self.records.push_back((offset, append));
    }

    /// What was made by the input below `offset`.
    pub(super) fn below(&self, offset: Offset) -> impl Iterator<Item = &Append> {
        self.records.iter().take_while(move |(made_at, _)| *made_at < offset).map(|(_, append)| append)
    }

    /// It was published.
    pub(super) fn forget_below(&mut self, offset: Offset) {
        while let Some((_, append)) = self.records.pop_front_if(|(made_at, _)| *made_at < offset) {
            self.bytes -= bytes_of(&append);
        }
    }

    /// What waits, in bytes of keys and values.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn bytes_of(append: &Append) -> usize {
    append.key.as_ref().map_or(0, Vec::len) + append.value.as_ref().map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Destination, Headers, Topic};

    fn append(value: &str) -> Append {
        let value = Some(value.as_bytes().to_vec());
        let destination = Destination::ByKey(Topic::Sessions);
        Append { ticket: 0, destination, key: None, value, headers: Headers::None }
    }

    #[test]
    fn only_what_was_made_below_an_offset_is_taken_and_in_order() {
        let mut waiting = Waiting::default();
        for (offset, value) in [(3, "a"), (3, "bb"), (7, "ccc")] {
            waiting.push(offset, append(value));
        }
        let values = |waiting: &Waiting, offset| {
            waiting.below(offset).filter_map(|append| append.value.clone()).collect::<Vec<_>>()
        };
        assert!(values(&waiting, 3).is_empty(), "3 itself is not below 3");
        assert_eq!(values(&waiting, 7), [b"a".to_vec(), b"bb".to_vec()]);
        waiting.forget_below(7);
        assert_eq!((values(&waiting, 8), waiting.bytes()), (vec![b"ccc".to_vec()], 3));
    }
}
