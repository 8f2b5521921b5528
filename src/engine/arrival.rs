//! A partition on its way in: its task is restored before its log is read, some at a time, while others go on.

use super::stage::{FoldError, Stage};
use crate::checkpoint::{Checkpoint, Checkpointed, Damage, Found};
use crate::log::TopicPartition;
use crate::log::position::Offset;
use crate::state::Tracking;
use std::collections::VecDeque;

/// Blocks that are put back in one step: about 4 MiB of entries, some milliseconds.
const BLOCKS_PER_STEP: usize = 16;

/// A partition that was assigned and is not yet read.
pub(super) enum Arrival<T> {
    /// Its chain is being looked for.
    Searching {
        /// What its group has committed.
        committed: Option<Offset>,
    },
    /// Its chain is being put back.
    Restoring(Box<Restoring<T>>),
}

/// A task that is being put back.
pub(super) struct Restoring<T> {
    task: T,
    pub(super) committed: Option<Offset>,
    /// The files that are still to be put back; the first is at this place.
    chain: VecDeque<Checkpoint>,
    place: usize,
    /// The offset of the newest file; none if there is no checkpoint.
    pub(super) offset: Option<Offset>,
    /// Where it begins without history, if it was told to.
    pub(super) anew: Option<Offset>,
}

impl<T: Checkpointed> Restoring<T> {
    /// Begins with what was found for `partition`.
    pub(super) fn new<S: Stage<Task = T>>(
        stage: &S,
        partition: TopicPartition,
        committed: Option<Offset>,
        found: Found,
        tracking: Tracking,
    ) -> Result<Restoring<T>, FoldError> {
        let mut task = stage.open(tracking);
        let newest = found.chain.last();
        let offset = newest.map(|newest| newest.head.offset);
        if let Some(newest) = newest {
            task.restore_whole(&newest.head.whole).map_err(|damage| fault(partition, damage))?;
        }
        let chain: VecDeque<Checkpoint> = found.chain.into();
        Ok(Restoring {
            task,
            anew: None,
            committed,
            place: chain.front().map_or(0, Checkpoint::first_block),
            chain,
            offset,
        })
    }

    /// Begins at `offset` with nothing: what lies before it is lost to the task.
    pub(super) fn anew<S: Stage<Task = T>>(
        stage: &S,
        committed: Option<Offset>,
        offset: Offset,
        tracking: Tracking,
    ) -> Restoring<T> {
        let task = stage.open_in_the_middle(tracking);
        let anew = Some(offset);
        Restoring { task, committed, chain: VecDeque::new(), place: 0, offset: None, anew }
    }

    /// Puts some of it back. Returns whether that was all.
    pub(super) fn step(&mut self, partition: TopicPartition) -> Result<bool, FoldError> {
        for _ in 0..BLOCKS_PER_STEP {
            let Some(file) = self.chain.front() else {
                self.task.restored();
                return Ok(true);
            };
            match file.block_at(self.place) {
                Some(block) => {
                    let ((table, entries), next) = block.map_err(|damage| fault(partition, damage))?;
                    self.task.restore_block(table, &entries).map_err(|damage| fault(partition, damage))?;
                    self.place = next;
                }
                None => {
                    self.chain.pop_front();
                    self.place = self.chain.front().map_or(0, Checkpoint::first_block);
                }
            }
        }
        Ok(false)
    }

    /// Bytes of files that are still to be put back.
    pub(super) fn bytes_left(&self) -> usize {
        self.chain.iter().map(Checkpoint::len).sum::<usize>().saturating_sub(self.place)
    }

    /// The task, once everything has been put back.
    pub(super) fn into_task(self) -> T {
        self.task
    }
}

fn fault(partition: TopicPartition, source: Damage) -> FoldError {
    FoldError::State { partition, source }
}
