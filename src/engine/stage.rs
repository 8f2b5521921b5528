//! What a stage of the topology is.

use super::outputs::Outputs;
use crate::checkpoint::{Checkpointed, Damage};
use crate::event::DecisionId;
use crate::log::frame::{FoldVersion, FrameError, Promise, SourceId};
use crate::log::position::Offset;
use crate::log::{Fetched, Start, Topic, TopicPartition};
use crate::state::Tracking;
use std::time::Duration;

/// A stage: how one log is folded into state and into the next log.
///
/// Pure: no clock, no I/O, no randomness. A task is the state of one partition.
pub trait Stage {
    /// The state of one partition.
    type Task: Checkpointed;

    /// The public topics that this stage publishes to.
    const PUBLISHES: &'static [Topic];

    /// The log that this stage writes, and its number of partitions.
    fn downstream(&self) -> Option<(Topic, u32)>;

    /// All sources of the log that this stage writes, by id and topic name: they join before anything else.
    fn sources(&self) -> Vec<(SourceId, &'static str)>;

    /// The id under which `partition` is a source.
    fn source_of(&self, partition: TopicPartition) -> SourceId;

    /// A task without history.
    fn open(&self, tracking: Tracking) -> Self::Task;

    /// A task that begins in the middle of its log, whose beginning is gone: everything that was there is lost to it.
    fn open_in_the_middle(&self, tracking: Tracking) -> Self::Task {
        self.open(tracking)
    }

    /// Where a task without a checkpoint begins to read whose group committed `committed`.
    fn start(&self, committed: Option<Offset>) -> Start;

    /// Folds one record.
    ///
    /// # Errors
    ///
    /// [`FoldError`]: the program must stop, for this log is not what it takes it for.
    fn fold(&self, task: &mut Self::Task, fetched: &Fetched, out: &mut Outputs) -> Result<(), FoldError>;

    /// Whether frames of `source` change the state and never lead to an output by themselves: then it does not matter which
    /// version of the fold made them.
    fn gives_nothing(&self, _source: SourceId) -> bool {
        false
    }

    /// What a task that has been idle for `idle` promises downstream.
    fn promise(&self, task: &Self::Task, idle: Option<Duration>) -> Promise;

    /// The version of the fold: of this code and its configuration.
    fn fold_version(&self) -> FoldVersion;

    /// What the state looks like: a checkpoint of another shape means nothing to this stage.
    fn shape(&self) -> u64;
}

/// Why a log cannot be folded. The program stops.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// A record of an internal log is not one.
    #[error("{partition} at offset {offset}: {source}")]
    Frame {
        /// Where.
        partition: TopicPartition,
        /// Where there.
        offset: Offset,
        /// What is wrong.
        source: FrameError,
    },
    /// Copies or records were lost inside a task: a bug. What was committed is right.
    #[error(
        "the ledger of {partition} does not balance after offset {offset}: this is a bug, please report it"
    )]
    Ledger {
        /// Where.
        partition: TopicPartition,
        /// Where there.
        offset: Offset,
    },
    /// A checkpoint whose sums are right holds what no task can be made of: a bug.
    #[error(
        "the checkpoint of {partition}: {source}; this is a bug, please report it; deleting its folder makes the \
             task read its log from the beginning"
    )]
    State {
        /// Of which partition.
        partition: TopicPartition,
        /// What is wrong.
        source: Damage,
    },
    /// What was not committed was made by another version of the fold.
    #[error(
        "{partition} at offset {offset} was written by fold version {found:016x}, and this program is {ours:016x}: \
         start the version that wrote it, let it drain (lag zero), stop it with SIGTERM, then start this one"
    )]
    OtherFold {
        /// Where.
        partition: TopicPartition,
        /// Where there.
        offset: Offset,
        /// The version found.
        found: u64,
        /// Our version.
        ours: u64,
    },
}

/// A timer of processing time that an edge keeps for a task: "say so in the log, should this
/// decision still wait".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadlineChange {
    /// The gather of this decision has opened at this offset.
    Arm(DecisionId, Offset),
    /// It has closed.
    Disarm(DecisionId),
}
