//! The worker: one member of a stage's group, and the cycle of its tasks.
//!
//! One cycle: poll; put back some of the tasks that arrive; fold each record; send frames and public records; take acknowledgements; commit
//! when the interval has passed and every chain is closed and acknowledged; append deadlines that
//! are due; go on with checkpoints. A worker is one life: after any error it is dropped, and a new one starts from what was
//! committed. It keeps the sending half of the frame protocol; `docs/delivery.md` has the rules.

mod arrivals;
mod outgoing;
mod restore;

use super::arrival::Arrival;
use super::checkpointing::{Cadence, Checkpointing, SavedSoFar};
use super::checkpoints::{Checkpoints, NoCheckpoints, Request};
use super::outputs::Outputs;
use super::stage::{DeadlineChange, FoldError, Stage};
use super::transactions::Waiting;
use crate::crash_points::reach;
use crate::log::frame::{Life, Promise};
use crate::log::position::{Offset, Position};
use crate::log::{
    Acknowledgement, CommitMode, Committed, Fetched, Log, LogError, PollWait, Polled, Topic, TopicPartition,
};
use crate::progress::deadlines::Deadlines;
use crate::progress::epochs::Epochs;
use crate::progress::idleness::Idleness;
use crate::rules_of_the_protocol::{Rule, without};
use crate::time::ProcessingTime;
use outgoing::Closing;
pub(in crate::engine) use restore::Pace;
pub use restore::{Left, Restore};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Records of one poll, at most.
const RECORDS_PER_POLL: usize = 4096;
/// A record of frames is cut between two raw records when a source has its share of this many bytes waiting: well
/// below the 8 MiB that a record of the internal topics may have, whatever one raw record adds.
const RECORD_BYTES: usize = 4 << 20;
/// The share of one source at most.
const FRAME_BYTES: usize = 512 * 1024;
/// How long a revoked partition may take to be finished, before it is let go as it is.
const REVOKE_PATIENCE: Duration = Duration::from_secs(5);
/// A transaction is made before the commit interval has passed when so many bytes wait for it: a bound of memory.
const TRANSACTION_BYTES: usize = 16 << 20;

/// What a worker is told at its start.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// This life's number.
    pub life: Life,
    /// How often chains are closed, heartbeats go out and offsets are committed.
    pub commit_interval: Duration,
    /// How long a partition must be at its end before it counts as idle.
    pub idle_timeout: Duration,
    /// How long a decision may wait for its parts.
    pub decision_deadline: Duration,
    /// Public topics whose records are published in one transaction with the offsets of what made them.
    pub exactly_once: Vec<Topic>,
    /// Tasks that may begin without history at such an offset, unless they have a checkpoint there or beyond.
    pub anew: BTreeMap<TopicPartition, Offset>,
}

/// Whether a stage that publishes to `publishes` commits its offsets by transactions: if any of these topics is in
/// `exactly_once`.
#[must_use]
pub fn is_transactional(publishes: &[Topic], exactly_once: &[Topic]) -> bool {
    publishes.iter().any(|topic| exactly_once.contains(topic))
}

/// Why a worker ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The life is over; a new one may start.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log is not what we take it for; stop.
    #[error(transparent)]
    Fold(#[from] FoldError),
}

/// One partition that this worker owns.
#[derive(Clone)]
struct Owned<T> {
    task: T,
    outputs: Outputs,
    /// Public records that wait for a transaction.
    waiting: Waiting,
    /// Up to where records have been folded.
    cut: Position,
    next_offset: Offset,
    committed: Offset,
    /// Up to where reading only restores state.
    restored_at: Offset,
    restore_pace: Pace,
    idleness: Idleness,
    checkpointing: Checkpointing,
    /// By destination: up to where frames were sent, and the promise sent last.
    chains: Vec<(Position, Promise)>,
    /// For the mutation of rule 2 in tests: where the batch begins.
    #[cfg(test)]
    batch_from: Position,
}

/// One member of a stage's group, for one life.
pub struct Worker<S: Stage, L> {
    stage: S,
    log: L,
    settings: WorkerSettings,
    owned: BTreeMap<TopicPartition, Owned<S::Task>>,
    /// Assigned, and not yet read.
    arriving: BTreeMap<TopicPartition, Arrival<S::Task>>,
    /// How many searches for checkpoints were begun.
    searches: u64,
    /// Whether blocks were put back in the last cycle: then more are likely there, and no time is to be lost.
    is_restoring: bool,
    storage: Box<dyn Checkpoints>,
    /// None: no checkpoints are written.
    cadence: Option<Cadence>,
    joined: Vec<bool>,
    epochs: Epochs,
    committed_at: ProcessingTime,
    deadlines: Deadlines,
    /// Whether offsets are committed by transactions.
    is_transactional: bool,
    /// What the next transaction commits.
    to_transact: BTreeMap<TopicPartition, Offset>,
    transact_again_at: ProcessingTime,
    lost: u64,
    polled: Vec<Polled>,
    acknowledgements: Vec<Acknowledgement>,
}

impl<S: Stage, L: Log> Worker<S, L> {
    /// A new life over `log`.
    pub fn new(stage: S, log: L, settings: WorkerSettings) -> Worker<S, L> {
        let now = log.now();
        let destinations = stage.downstream().map_or(0, |(_, partitions)| partitions);
        let is_transactional = is_transactional(S::PUBLISHES, &settings.exactly_once);
        Worker {
            stage,
            log,
            settings,
            owned: BTreeMap::new(),
            arriving: BTreeMap::new(),
            searches: 0,
            is_restoring: false,
            storage: Box::<NoCheckpoints>::default(),
            cadence: None,
            joined: vec![false; destinations as usize],
            epochs: Epochs::new(now),
            committed_at: now,
            deadlines: Deadlines::default(),
            is_transactional,
            to_transact: BTreeMap::new(),
            transact_again_at: now,
            lost: 0,
            polled: Vec::new(),
            acknowledgements: Vec::new(),
        }
    }

    /// With checkpoints in `storage`.
    #[must_use]
    pub fn with_checkpoints(mut self, storage: Box<dyn Checkpoints>, cadence: Cadence) -> Worker<S, L> {
        self.storage = storage;
        self.cadence = Some(cadence);
        self
    }

    /// Another life of the same number, over what `log` makes of this one's log: it goes on from here, without checkpoints. Between two
    /// cycles, when nothing arrives.
    pub(super) fn branch(&self, log: impl FnOnce(&L) -> L) -> Worker<S, L>
    where
        S: Clone,
        S::Task: Clone,
    {
        debug_assert!(self.arriving.is_empty(), "a task is being put back");
        Worker {
            stage: self.stage.clone(),
            log: log(&self.log),
            settings: self.settings.clone(),
            owned: self.owned.clone(),
            arriving: BTreeMap::new(),
            searches: self.searches,
            is_restoring: false,
            storage: Box::<NoCheckpoints>::default(),
            cadence: None,
            joined: self.joined.clone(),
            epochs: self.epochs.clone(),
            committed_at: self.committed_at,
            deadlines: self.deadlines.clone(),
            is_transactional: self.is_transactional,
            to_transact: self.to_transact.clone(),
            transact_again_at: self.transact_again_at,
            lost: self.lost,
            polled: Vec::new(),
            acknowledgements: Vec::new(),
        }
    }

    /// One cycle. Returns how many records were folded.
    ///
    /// # Errors
    ///
    /// [`WorkerError`]: this life is over.
    pub fn cycle(&mut self) -> Result<usize, WorkerError> {
        let folded = self.poll_and_fold()?;
        self.send()?;
        self.settle()?;
        Ok(folded)
    }

    /// The first half of a cycle: polls, and folds what came.
    ///
    /// # Errors
    ///
    /// [`WorkerError`]: this life is over.
    pub fn poll_and_fold(&mut self) -> Result<usize, WorkerError> {
        let mut polled = std::mem::take(&mut self.polled);
        let wait = if self.is_restoring { PollWait::No } else { PollWait::ALittle };
        let outcome = self.log.poll(RECORDS_PER_POLL, wait, &mut polled).map_err(WorkerError::from);
        #[cfg(test)]
        self.owned.values_mut().for_each(|owned| owned.batch_from = owned.cut);
        let mut folded = 0;
        for event in polled.drain(..) {
            if outcome.is_ok() {
                folded += usize::from(matches!(event, Polled::Record(_)));
                self.take(event)?;
            }
        }
        self.polled = polled;
        outcome?;
        self.advance_arrivals()?;
        Ok(folded)
    }

    /// The second half: sends what the records gave.
    ///
    /// # Errors
    ///
    /// [`WorkerError`]: this life is over.
    pub fn send(&mut self) -> Result<(), WorkerError> {
        for destination in 0..self.joined.len() {
            self.send_frames(destination, Closing::Open)?;
        }
        self.send_public()
    }

    /// The end: acknowledgements, deadlines that are due, and the commit if its time has come.
    ///
    /// # Errors
    ///
    /// [`WorkerError`]: this life is over.
    pub fn settle(&mut self) -> Result<(), WorkerError> {
        self.take_acknowledgements()?;
        self.append_deadlines()?;
        let now = self.log.now();
        let is_due = now.since(self.committed_at) >= self.settings.commit_interval;
        if is_due || self.waiting_bytes() > TRANSACTION_BYTES {
            self.committed_at = now;
            self.close_chains()?;
        } else {
            self.epochs.end(None, now);
        }
        self.commit(CommitMode::Soon)?;
        if let Some(cadence) = self.cadence {
            self.advance_checkpoints(cadence);
        }
        Ok(())
    }

    /// A clean stop: drains, and if the group is just dealing out its partitions anew and refuses the
    /// commit, takes part in that until it is accepted. Records that are polled meanwhile are left to
    /// the next owner. Gives up after `patience`.
    ///
    /// # Errors
    ///
    /// [`WorkerError`]: what was not committed will be done again by the next life.
    pub fn stop(&mut self, patience: Duration) -> Result<(), WorkerError> {
        let begun = self.log.now();
        let mut committed = self.drain(patience)?;
        // positions are done only if every append is acknowledged
        while committed == Committed::Refused && self.epochs.quiet() && self.log.now().since(begun) < patience
        {
            let mut polled = Vec::new();
            self.log.poll(RECORDS_PER_POLL, PollWait::ALittle, &mut polled)?;
            for event in polled {
                if let Polled::Revoked(partitions) = event {
                    self.commit_again()?;
                    self.forget(&partitions);
                    self.log.release(&partitions);
                } else if let Polled::Lost(partitions) = event {
                    self.forget(&partitions);
                }
            }
            committed = self.commit_again()?;
            self.log.wait(1);
        }
        if committed == Committed::Refused || !self.epochs.quiet() {
            return Err(LogError::Kafka(
                "the stop was not clean: the last positions are not committed".to_owned(),
            )
            .into());
        }
        self.checkpoint_everything(begun, patience)
    }

    /// A last checkpoint of each task, so that the next start has nothing to read. Gives up after `patience`: then it
    /// reads what came since the one before.
    fn checkpoint_everything(
        &mut self,
        begun: ProcessingTime,
        patience: Duration,
    ) -> Result<(), WorkerError> {
        if self.cadence.is_none() {
            return Ok(());
        }
        let now = Cadence { interval: Duration::ZERO, bytes: 0 };
        let mut last = BTreeSet::new();
        while self.log.now().since(begun) < patience
            && self
                .owned
                .iter()
                .any(|(partition, owned)| !last.contains(partition) || !owned.checkpointing.rests())
        {
            let resting = self.owned.iter().filter(|(_, owned)| owned.checkpointing.rests());
            last.extend(resting.map(|(partition, _)| *partition));
            self.advance_checkpoints(now);
            self.advance_arrivals()?;
            self.log.wait(1);
        }
        Ok(())
    }

    /// Says the commit of every partition that is owned and drained once more.
    fn commit_again(&mut self) -> Result<Committed, WorkerError> {
        if self.is_transactional {
            return self.transact(CommitMode::Soon);
        }
        let positions: Vec<_> =
            self.owned.iter().map(|(partition, owned)| (*partition, owned.cut.offset + 1)).collect();
        if positions.is_empty() {
            return Ok(Committed::Taken);
        }
        Ok(self.log.commit(&positions, CommitMode::Now)?)
    }

    /// Closes every chain, waits for the acknowledgements and commits. Gives up after `patience`.
    ///
    /// # Errors
    ///
    /// [`WorkerError`]: what was not committed will be done again by the next life.
    pub fn drain(&mut self, patience: Duration) -> Result<Committed, WorkerError> {
        self.send()?;
        self.close_chains()?;
        let begun = self.log.now();
        while !self.epochs.quiet() && self.log.now().since(begun) < patience {
            self.log.wait(1);
            self.take_acknowledgements()?;
        }
        self.commit(CommitMode::Now)
    }

    /// The tasks, for metrics and inspection: partition, task, next offset to read, committed offset.
    pub fn tasks(&self) -> impl Iterator<Item = (TopicPartition, &S::Task, Offset, Offset)> {
        self.owned
            .iter()
            .map(|(partition, owned)| (*partition, &owned.task, owned.next_offset, owned.committed))
    }

    /// The tasks that are still being restored.
    pub fn restoring(&self) -> impl Iterator<Item = Restore> {
        let now = self.log.now();
        let arriving = self.arriving.iter().map(move |(partition, arrival)| {
            let (left, seconds_left) = match arrival {
                Arrival::Searching { .. } => (Left::Search, None),
                Arrival::Restoring(restoring) => {
                    (Left::CheckpointBytes(restoring.bytes_left()), restoring.seconds_left(now))
                }
            };
            Restore { partition: *partition, left, seconds_left }
        });
        let behind = self.owned.iter().filter_map(move |(partition, owned)| {
            let left = u64::try_from(owned.restored_at - owned.next_offset).ok().filter(|left| *left > 0)?;
            let seconds_left = owned.restore_pace.seconds_left(left, now);
            Some(Restore { partition: *partition, left: Left::Records(left), seconds_left })
        });
        arriving.chain(behind)
    }

    /// What the storage has of each task; nothing where no checkpoints are written.
    pub fn checkpoints(&self) -> impl Iterator<Item = (TopicPartition, SavedSoFar)> {
        let written = self.owned.iter().filter(|_| self.cadence.is_some());
        written.map(|(partition, owned)| (*partition, owned.checkpointing.saved_so_far()))
    }

    /// How many partitions went to others before this member could finish them.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// When the oldest append was sent that is not acknowledged.
    pub fn oldest_open(&self) -> Option<ProcessingTime> {
        self.epochs.oldest_open()
    }

    /// The log.
    pub fn log(&mut self) -> &mut L {
        &mut self.log
    }

    fn take(&mut self, event: Polled) -> Result<(), WorkerError> {
        match event {
            Polled::Assigned(partition, committed) => self.assigned(partition, committed, None)?,
            Polled::AssignedByHand(partition, offset) => self.assigned(partition, None, Some(offset))?,
            Polled::Revoked(partitions) => self.revoked(&partitions)?,
            Polled::Lost(partitions) => {
                self.lost += partitions.len() as u64;
                self.forget(&partitions);
            }
            Polled::Record(fetched) => self.fold(&fetched)?,
            Polled::AtEnd(partition, now) => {
                if let Some(owned) = self.owned.get_mut(&partition) {
                    owned.idleness.fetched_at_end(now);
                }
            }
        }
        Ok(())
    }

    /// Cuts checkpoints that are due, and goes on with those under way. Not long: what is cut is encoded in steps.
    fn advance_checkpoints(&mut self, cadence: Cadence) {
        let now = self.log.now();
        let mut accepted = Vec::new();
        self.log.accepted(&mut accepted);
        for (partition, offset) in accepted {
            if let Some(owned) = self.owned.get_mut(&partition) {
                owned.checkpointing.accepted(offset);
            }
        }
        for (partition, owned) in &mut self.owned {
            let id = self.stage.source_of(*partition);
            if owned.checkpointing.is_due(cadence, now) {
                let (life, next) = (self.settings.life, owned.next_offset);
                let cut = owned.checkpointing.cut(&self.stage, &mut owned.task, life, next, now);
                cut.into_iter().for_each(|cut| self.storage.ask(Request::Begin(id, cut)));
            }
            owned.checkpointing.step(&mut owned.task, id, self.storage.as_mut());
        }
    }

    /// Finishes what is in flight for partitions that another member gets, within a bound.
    fn revoked(&mut self, partitions: &[TopicPartition]) -> Result<(), WorkerError> {
        self.drain(REVOKE_PATIENCE)?;
        self.forget(partitions);
        self.log.release(partitions);
        Ok(())
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        self.epochs.forget(partitions);
        self.owned.retain(|partition, _| !partitions.contains(partition));
        self.arriving.retain(|partition, _| !partitions.contains(partition));
        self.deadlines.forget(partitions);
        self.to_transact.retain(|partition, _| !partitions.contains(partition));
    }

    fn fold(&mut self, fetched: &Fetched) -> Result<(), WorkerError> {
        let frame_bytes = FRAME_BYTES.min(RECORD_BYTES / self.owned.len().max(1));
        let Some(owned) = self.owned.get_mut(&fetched.partition) else { return Ok(()) };
        owned.outputs.begin(fetched.offset);
        reach("fold.before");
        self.stage.fold(&mut owned.task, fetched, &mut owned.outputs)?;
        reach("fold.after");
        owned.checkpointing.folded(fetched.record.value.as_ref().map_or(0, Vec::len));
        owned.idleness.record_read();
        owned.next_offset = fetched.offset + 1;
        owned.cut = owned.cut.max(Position::end_of(fetched.offset));
        let now = self.log.now();
        let arms = owned.outputs.kept() || !without(Rule::DeadlineArmedAgain);
        for change in owned.outputs.deadlines.drain(..) {
            match change {
                DeadlineChange::Arm(decision, opened_at) => {
                    if arms {
                        let due = now.plus(self.settings.decision_deadline);
                        self.deadlines.arm(fetched.partition, decision, opened_at, due);
                    }
                }
                DeadlineChange::Disarm(decision) => self.deadlines.disarm(fetched.partition, decision),
            }
        }
        // one record may fill several destinations at once: weights go to all
        let events = owned.outputs.events.iter().enumerate();
        let full: Vec<usize> =
            events.filter(|(_, events)| events.bytes().len() > frame_bytes).map(|(place, _)| place).collect();
        full.into_iter().try_for_each(|destination| self.send_frames(destination, Closing::Open))
    }
}
