//! Where something stands in a log.

use serde::{Deserialize, Serialize};

/// An offset in a partition.
pub type Offset = i64;

/// The place of an output of a task: the offset in the task's input log, and the index of the
/// output inside that offset, a function of the log's prefix alone.
///
/// The end of an offset is a position too and lies above each of its indices. Intervals of
/// positions are `(from, to]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The offset in the task's input log; −1 before everything.
    pub offset: Offset,
    /// The index of the output inside the offset; `u32::MAX` is the end of the offset.
    pub index: u32,
}

impl Position {
    /// Below every position of every offset.
    pub const BEFORE_EVERYTHING: Position = Position::end_of(-1);

    /// Output number `index` of `offset`.
    #[must_use]
    pub const fn new(offset: Offset, index: u32) -> Position {
        Position { offset, index }
    }

    /// Above every output of `offset`.
    #[must_use]
    pub const fn end_of(offset: Offset) -> Position {
        Position { offset, index: u32::MAX }
    }

    /// Where a task stands that has committed `next`, the next offset to read: everything below is done.
    #[must_use]
    pub const fn committed(next: Offset) -> Position {
        Position::end_of(next - 1)
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Position::BEFORE_EVERYTHING {
            f.write_str("start")
        } else if self.index == u32::MAX {
            write!(f, "{}.end", self.offset)
        } else {
            write!(f, "{}.{}", self.offset, self.index)
        }
    }
}
