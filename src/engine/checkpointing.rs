//! The checkpoint of one task: when it is cut, how it is encoded without a pause, and what it waits for.

use super::checkpoints::Checkpoints;
use super::stage::Stage;
use crate::checkpoint::keeper::Saved;
use crate::checkpoint::{Blocks, Checkpointed, Unsaved};
use crate::log::frame::Life;
use crate::log::frame::SourceId;
use crate::log::position::Offset;
use crate::rules_of_the_protocol::{Rule, without};
use crate::time::ProcessingTime;
use std::time::Duration;

/// Entries that are encoded in one step, in bytes: a millisecond or less.
const STEP_BYTES: usize = 256 * 1024;

/// When checkpoints are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// So long after the last one.
    pub interval: Duration,
    /// Or after so many bytes of the log, if that comes first.
    pub bytes: usize,
}

/// Where the checkpoints of one task stand.
pub(super) struct Checkpointing {
    progress: Progress,
    cut_at: ProcessingTime,
    /// Bytes of the log folded since the last cut.
    folded_bytes: usize,
    /// The offset of the last cut, or of the chain that the task was restored from.
    cut: Offset,
    /// The highest offset of which the group is known to have accepted a commit.
    accepted: Offset,
    saved: SavedSoFar,
}

/// What the storage has of one task's checkpoints in this life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedSoFar {
    /// The offset of the newest, or of the one the task was restored from; −1 if there is none.
    pub offset: Offset,
    /// When that was saved, or the task taken over.
    pub at: ProcessingTime,
    /// How many were saved.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

enum Progress {
    /// None is under way.
    Resting,
    /// It is cut, and being encoded.
    Encoding(Box<Unsaved>),
    /// It is encoded, and waits until the group has accepted a commit of its offset: a checkpoint ahead of the
    /// committed offset would hide what was not yet done.
    Waiting(Box<Unsaved>),
    /// It is with the storage.
    Saving(Offset),
}

impl Checkpointing {
    /// Of a task whose group has committed `accepted`, restored from a checkpoint at `cut`.
    pub(super) fn new(now: ProcessingTime, cut: Offset, accepted: Offset) -> Checkpointing {
        let saved = SavedSoFar { offset: cut, at: now, count: 0, bytes: 0 };
        Checkpointing { progress: Progress::Resting, cut_at: now, folded_bytes: 0, cut, accepted, saved }
    }

    /// A record of so many bytes was folded.
    pub(super) fn folded(&mut self, bytes: usize) {
        self.folded_bytes += bytes;
    }

    /// The group has accepted a commit of `offset`.
    pub(super) fn accepted(&mut self, offset: Offset) {
        self.accepted = self.accepted.max(offset);
    }

    /// The storage has a checkpoint.
    pub(super) fn saved(&mut self, saved: &Saved, now: ProcessingTime) {
        if matches!(self.progress, Progress::Saving(saving) if saving == saved.offset) {
            self.progress = Progress::Resting;
            let (count, bytes) = (self.saved.count + 1, self.saved.bytes + saved.bytes as u64);
            self.saved = SavedSoFar { offset: saved.offset, at: now, count, bytes };
        }
    }

    /// What the storage has.
    pub(super) fn saved_so_far(&self) -> SavedSoFar {
        self.saved
    }

    /// Whether nothing is under way.
    pub(super) fn rests(&self) -> bool {
        matches!(self.progress, Progress::Resting)
    }

    /// Whether the next one is due.
    pub(super) fn is_due(&self, cadence: Cadence, now: ProcessingTime) -> bool {
        now.since(self.cut_at) >= cadence.interval || self.folded_bytes >= cadence.bytes
    }

    /// Cuts a checkpoint at `next`, the next offset to fold, if none is under way and there is something new.
    pub(super) fn begin<S: Stage>(
        &mut self,
        stage: &S,
        task: &mut S::Task,
        life: Life,
        next: Offset,
        now: ProcessingTime,
    ) {
        if !self.rests() || next == self.cut {
            return;
        }
        (self.cut_at, self.folded_bytes, self.cut) = (now, 0, next);
        self.progress = Progress::Encoding(Box::new(Unsaved {
            offset: next,
            life,
            fold: stage.fold_version(),
            shape: stage.shape(),
            watermark: task.watermark(),
            whole: task.cut(),
            blocks: Blocks::default(),
        }));
    }

    /// Goes one step on with what is under way.
    pub(super) fn step<T: Checkpointed>(
        &mut self,
        task: &mut T,
        id: SourceId,
        storage: &mut dyn Checkpoints,
    ) {
        self.progress = match std::mem::replace(&mut self.progress, Progress::Resting) {
            Progress::Encoding(mut unsaved) => {
                let bytes_max = unsaved.blocks.bytes() + STEP_BYTES;
                if task.encode_some(&mut unsaved.blocks, bytes_max) {
                    Progress::Waiting(unsaved)
                } else {
                    Progress::Encoding(unsaved)
                }
            }
            Progress::Waiting(unsaved)
                if self.accepted >= unsaved.offset || without(Rule::CheckpointNotAhead) =>
            {
                let offset = unsaved.offset;
                storage.save(id, *unsaved);
                Progress::Saving(offset)
            }
            other => other,
        };
    }
}
