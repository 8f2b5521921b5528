//! Checkpoints: what a task's state was at an offset of its log, so that a start need not fold the log from its
//! beginning.
//!
//! A checkpoint is a file that is never changed: a *base* holds all of a task's state, a *delta* what was written since
//! the file that it names as its parent. A [`Keeper`] finds the newest chain that is whole, adds to it, and folds
//! long chains into new bases. Nothing here knows what the state means, where the files lie, or what time it is.
//!
//! A file is saved only after the group has accepted a commit of its offset or a later one. So whoever finds it may
//! use it, whatever has been committed since; and since state is a fold of the log, it does not matter who wrote it.

pub mod file;
pub mod folder;
pub mod keeper;
pub mod memory;

pub use file::{Checkpoint, Damage, Table};
pub use folder::{Folder, FolderError};
pub use keeper::{Cut, Found, Keeper};

use crate::event::DecisionId;
use crate::log::position::Offset;
use crate::state::entries::{self, CutOff, Entries, Entry};
use crate::time::EventTime;
use bytes::Bytes;
use file::BLOCK_BYTES;
use serde::Deserialize;

/// A task whose state can be checkpointed and restored.
pub trait Checkpointed {
    /// Freezes what was written since the last cut, and returns the state that is written whole each time. Quick,
    /// however much was written.
    fn cut(&mut self) -> Vec<u8>;

    /// Encodes some of what was frozen, as it was at the cut, until `into` holds about `bytes_max`; returns whether that
    /// was all.
    fn encode_some(&mut self, into: &mut Blocks, bytes_max: usize) -> bool;

    /// The watermark: entries that ended before it need not be kept.
    fn watermark(&self) -> Option<EventTime>;

    /// Puts back the state that was written whole.
    ///
    /// # Errors
    ///
    /// [`Damage::Content`] if it is no such state.
    fn restore_whole(&mut self, whole: &[u8]) -> Result<(), Damage>;

    /// Puts back the entries of one block; called in the order in which they were written. The task may keep parts of
    /// it and decode them when they are needed.
    ///
    /// # Errors
    ///
    /// [`Damage::Content`] if they are no such entries.
    fn restore_block(&mut self, table: Table, block: Bytes) -> Result<(), Damage>;

    /// Everything has been put back: what follows from it (timers, counts) is made anew.
    fn restored(&mut self);

    /// Once, after it was put back: the decisions that wait for parts, each with the offset at which it began to, for timers
    /// of processing time that the worker keeps.
    fn take_deadlines(&mut self) -> Vec<(DecisionId, Offset)> {
        Vec::new()
    }
}

impl From<postcard::Error> for Damage {
    fn from(fault: postcard::Error) -> Damage {
        Damage::Content(fault.to_string())
    }
}

impl From<CutOff> for Damage {
    fn from(fault: CutOff) -> Damage {
        Damage::Content(fault.to_string())
    }
}

/// Decodes what the state encoded.
///
/// # Errors
///
/// [`Damage::Content`].
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Damage> {
    Ok(postcard::from_bytes(bytes)?)
}

/// Decodes what a value begins with; the rest is left.
///
/// # Errors
///
/// [`Damage::Content`].
pub fn decode_first<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Damage> {
    Ok(postcard::take_from_bytes(bytes)?.0)
}

/// The entries of a block.
pub fn entries_of(block: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Damage>> {
    entries::read(block).map(|entry| Ok(entry?))
}

/// Entries on their way into a file, in blocks.
#[derive(Debug, Default)]
pub struct Blocks {
    blocks: Vec<(Table, Entries)>,
}

impl Blocks {
    /// Lets `encode` add entries of `table`, block by block, until there are about `bytes_max` in all. `encode` is
    /// given the bytes that a block may have, and says whether it is at its end; so does this.
    pub fn fill(
        &mut self,
        table: Table,
        bytes_max: usize,
        mut encode: impl FnMut(&mut Entries, usize) -> bool,
    ) -> bool {
        while self.bytes() < bytes_max {
            let mut block = Entries::with_capacity(BLOCK_BYTES);
            let is_at_its_end = encode(&mut block, BLOCK_BYTES.min(bytes_max - self.bytes()));
            if !block.is_empty() {
                self.blocks.push((table, block));
            }
            if is_at_its_end {
                return true;
            }
        }
        false
    }

    fn bytes(&self) -> usize {
        self.blocks.iter().map(|(_, entries)| entries.len()).sum()
    }

    /// The blocks, none of them empty.
    pub fn iter(&self) -> impl Iterator<Item = (Table, &[u8])> {
        self.blocks.iter().map(|(table, entries)| (*table, entries.bytes()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}
