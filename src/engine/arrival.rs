//! A partition on its way in: its task is restored before its log is read, some at a time, while others go on.

use super::stage::{FoldError, Stage};
use super::worker::Pace;
use crate::checkpoint::file::{Block, Head};
use crate::checkpoint::{Checkpoint, Checkpointed, Damage};
use crate::log::TopicPartition;
use crate::log::position::Offset;
use crate::state::Tracking;
use crate::time::ProcessingTime;
use std::collections::VecDeque;

/// A partition that was assigned and is not yet read.
pub(super) enum Arrival<T> {
    /// Its chain is being looked for.
    Searching {
        /// Which search.
        number: u64,
        /// What its group has committed.
        committed: Option<Offset>,
        /// Where it is to begin without history, unless it has a checkpoint there or beyond.
        anew: Option<Offset>,
    },
    /// Its chain is being put back.
    Restoring(Box<Restoring<T>>),
}

/// A task that is being put back, block by block as the storage reads them.
pub(super) struct Restoring<T> {
    task: T,
    /// Of which search.
    pub(super) number: u64,
    pub(super) committed: Option<Offset>,
    /// The offset of the newest file; none if there is no checkpoint.
    pub(super) offset: Option<Offset>,
    /// Where it begins without history, if it was told to.
    pub(super) anew: Option<Offset>,
    /// Blocks that the storage has read.
    read: VecDeque<Block>,
    /// Whether it has read them all.
    is_read: bool,
    bytes_left: u64,
    pace: Pace,
}

impl<T: Checkpointed> Restoring<T> {
    /// Begins with the newest file of the chain of `partition`, if there is one. `what`: the number of the search, and
    /// what the group has committed; the total of `pace` are the bytes of all files of the chain.
    pub(super) fn new<S: Stage<Task = T>>(
        stage: &S,
        partition: TopicPartition,
        what: (u64, Option<Offset>),
        newest: Option<&Head>,
        pace: Pace,
        tracking: Tracking,
    ) -> Result<Restoring<T>, FoldError> {
        let mut task = stage.open(tracking);
        if let Some(newest) = newest {
            task.restore_whole(&newest.whole).map_err(|damage| fault(partition, damage))?;
        }
        let mut restoring = Restoring::of(task, what, pace);
        restoring.offset = newest.map(|newest| newest.offset);
        Ok(restoring)
    }

    /// Begins at an offset with nothing: what lies before it is lost to the task. `offsets`: that of the newest checkpoint,
    /// which it does not use, and where it begins.
    pub(super) fn anew<S: Stage<Task = T>>(
        stage: &S,
        what: (u64, Option<Offset>),
        offsets: (Option<Offset>, Offset),
        tracking: Tracking,
    ) -> Restoring<T> {
        let task = stage.open_in_the_middle(tracking);
        let mut restoring = Restoring::of(task, what, Pace::new(ProcessingTime(0), 0));
        (restoring.offset, restoring.anew, restoring.is_read) = (offsets.0, Some(offsets.1), true);
        restoring
    }

    /// Of a task into which nothing was put yet.
    fn of(task: T, (number, committed): (u64, Option<Offset>), pace: Pace) -> Restoring<T> {
        let (read, is_read, bytes_left) = (VecDeque::new(), false, pace.total());
        Restoring { task, number, committed, offset: None, anew: None, read, is_read, bytes_left, pace }
    }

    /// The storage has read the next block. One that begins anew has no use for it.
    pub(super) fn take(&mut self, block: Block) {
        if self.anew.is_none() {
            self.read.push_back(block);
        }
    }

    /// The storage has read the last block.
    pub(super) fn is_read(&mut self) {
        self.is_read = true;
    }

    /// Puts back at most `blocks_max` blocks. Returns how many.
    pub(super) fn step(&mut self, partition: TopicPartition, blocks_max: usize) -> Result<usize, FoldError> {
        let blocks = blocks_max.min(self.read.len());
        for block in self.read.drain(..blocks) {
            self.bytes_left = self.bytes_left.saturating_sub(block.stored_bytes as u64);
            self.task.restore_block(block.table, block.entries).map_err(|damage| fault(partition, damage))?;
        }
        Ok(blocks)
    }

    /// Whether everything has been put back.
    pub(super) fn is_done(&self) -> bool {
        self.is_read && self.read.is_empty()
    }

    /// Bytes of files that are still to be put back.
    pub(super) fn bytes_left(&self) -> u64 {
        self.bytes_left
    }

    /// How long that takes at the pace so far.
    pub(super) fn seconds_left(&self, now: ProcessingTime) -> Option<f64> {
        self.pace.seconds_left(self.bytes_left, now)
    }

    /// The task, once everything has been put back.
    pub(super) fn into_task(mut self) -> T {
        self.task.restored();
        self.task
    }
}

/// The task that a chain holds, put back at once.
pub(super) fn restore_at_once<S: Stage>(
    stage: &S,
    partition: TopicPartition,
    chain: &[Checkpoint],
    tracking: Tracking,
) -> Result<S::Task, FoldError> {
    let newest = chain.last().map(|newest| &newest.head);
    let mut restoring =
        Restoring::new(stage, partition, (0, None), newest, Pace::new(ProcessingTime(0), 0), tracking)?;
    for block in chain.iter().flat_map(Checkpoint::blocks) {
        restoring.take(block.map_err(|damage| fault(partition, damage))?);
        restoring.step(partition, 1)?;
    }
    Ok(restoring.into_task())
}

pub(super) fn fault(partition: TopicPartition, source: Damage) -> FoldError {
    FoldError::State { partition, source }
}
