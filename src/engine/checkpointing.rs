//! The checkpoint of one task: when it is cut, how it is encoded without a pause, and what it waits for.

use super::checkpoints::{Checkpoints, Request};
use super::stage::Stage;
use crate::checkpoint::keeper::Saved;
use crate::checkpoint::{Blocks, Checkpointed, Cut};
use crate::log::frame::Life;
use crate::log::frame::SourceId;
use crate::log::position::Offset;
use crate::rules_of_the_protocol::{Rule, without};
use crate::time::ProcessingTime;
use std::time::Duration;

/// Entries that are encoded in one step, in bytes: a millisecond or less.
const STEP_BYTES: usize = 128 * 1024;

/// When checkpoints are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// So long after the last one.
    pub interval: Duration,
    /// Or after so many bytes of the log, if that comes first.
    pub bytes: usize,
}

/// Where the checkpoints of one task stand.
#[derive(Clone)]
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

#[derive(Clone)]
enum Progress {
    /// None is under way.
    Resting,
    /// It is cut, and being encoded; the storage compresses what it is given.
    Encoding,
    /// It is encoded, and waits until the group has accepted a commit of its offset: a checkpoint ahead of the
    /// committed offset would hide what was not yet done.
    Waiting,
    /// The storage is to save it.
    Saving,
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
        if matches!(self.progress, Progress::Saving) && self.cut == saved.offset {
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
    pub(super) fn cut<S: Stage>(
        &mut self,
        stage: &S,
        task: &mut S::Task,
        life: Life,
        next: Offset,
        now: ProcessingTime,
    ) -> Option<Cut> {
        if !self.rests() || next == self.cut {
            return None;
        }
        (self.cut_at, self.folded_bytes, self.cut) = (now, 0, next);
        self.progress = Progress::Encoding;
        let (fold, shape) = (stage.fold_version(), stage.shape());
        let watermark = task.watermark();
        Some(Cut { offset: next, life, fold, shape, watermark, whole: task.cut() })
    }

    /// Goes one step on with what is under way.
    pub(super) fn step<T: Checkpointed>(
        &mut self,
        task: &mut T,
        id: SourceId,
        storage: &mut dyn Checkpoints,
    ) {
        match self.progress {
            Progress::Encoding => {
                let mut blocks = Blocks::default();
                if task.encode_some(&mut blocks, STEP_BYTES) {
                    self.progress = Progress::Waiting;
                }
                if !blocks.is_empty() {
                    storage.ask(Request::Add(id, blocks));
                }
            }
            Progress::Waiting if self.accepted >= self.cut || without(Rule::CheckpointNotAhead) => {
                storage.ask(Request::Save(id));
                self.progress = Progress::Saving;
            }
            Progress::Resting | Progress::Waiting | Progress::Saving => {}
        }
    }
}
