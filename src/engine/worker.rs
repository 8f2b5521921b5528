//! The worker: one member of a stage's group, and the cycle of its tasks.
//!
//! One cycle: poll; put back some of the tasks that arrive; fold each record; send frames and public records; take acknowledgements; commit
//! when the interval has passed and every chain is closed and acknowledged; append deadlines that
//! are due; go on with checkpoints. A worker is one life: after any error it is dropped, and a new one starts from what was
//! committed. It keeps the sending half of the frame protocol; `docs/delivery.md` has the rules.

#![expect(
    clippy::indexing_slicing,
    reason = "vectors by destination are as long as the downstream log has partitions"
)]

use super::arrival::{Arrival, Restoring};
use super::checkpointing::{Cadence, Checkpointing, SavedSoFar};
use super::checkpoints::{Checkpoints, Ended, NoCheckpoints};
use super::outputs::Outputs;
use super::stage::{DeadlineChange, FoldError, Stage};
use crate::checkpoint::{Checkpointed, Found};
use crate::log::frame::{Frame, Item, Life, Promise, Record, SourceId};
use crate::log::position::{Offset, Position};
use crate::log::{
    Acknowledgement, Append, CommitMode, Committed, Destination, Fetched, Headers, Log, LogError, Polled,
    Start, TopicPartition,
};
use crate::progress::deadlines::Deadlines;
use crate::progress::epochs::Epochs;
use crate::progress::idleness::Idleness;
use crate::rules_of_the_protocol::{Rule, without};
use crate::state::Tracking;
use crate::time::ProcessingTime;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Records of one poll.
const RECORDS_PER_POLL: usize = 4096;
/// A record of frames is cut between two raw records when a source has its share of this many bytes waiting: well
/// below the 8 MiB that a record of the internal topics may have, whatever one raw record adds.
const RECORD_BYTES: usize = 4 << 20;
/// The share of one source at most.
const FRAME_BYTES: usize = 512 * 1024;
/// How long a revoked partition may take to be finished, before it is let go as it is.
const REVOKE_PATIENCE: Duration = Duration::from_secs(5);

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
}

/// A task that is not yet where its group has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// Its checkpoint is being looked for.
    Searching(TopicPartition),
    /// So many bytes of its checkpoint are still to be put back.
    Checkpoint(TopicPartition, usize),
    /// It has read up to the first offset, and its group has committed the second.
    Log(TopicPartition, Offset, Offset),
}

impl std::fmt::Display for Restore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Restore::Searching(partition) => write!(f, "the checkpoint of {partition} is being looked for"),
            Restore::Checkpoint(partition, bytes) => {
                write!(f, "{partition} is being restored: {bytes} bytes of its checkpoint are left")
            }
            Restore::Log(partition, next, committed) => {
                write!(f, "{partition} is being restored: {} records are left", committed - next)
            }
        }
    }
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
struct Owned<T> {
    task: T,
    outputs: Outputs,
    /// Up to where records have been folded.
    cut: Position,
    next_offset: Offset,
    committed: Offset,
    /// Up to where reading only restores state.
    restored_at: Offset,
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
    storage: Box<dyn Checkpoints>,
    /// None: no checkpoints are written.
    cadence: Option<Cadence>,
    joined: Vec<bool>,
    epochs: Epochs,
    committed_at: ProcessingTime,
    deadlines: Deadlines,
    lost: u64,
    polled: Vec<Polled>,
    acknowledgements: Vec<Acknowledgement>,
}

impl<S: Stage, L: Log> Worker<S, L> {
    /// A new life over `log`.
    pub fn new(stage: S, log: L, settings: WorkerSettings) -> Worker<S, L> {
        let now = log.now();
        let destinations = stage.downstream().map_or(0, |(_, partitions)| partitions);
        Worker {
            stage,
            log,
            settings,
            owned: BTreeMap::new(),
            arriving: BTreeMap::new(),
            storage: Box::<NoCheckpoints>::default(),
            cadence: None,
            joined: vec![false; destinations as usize],
            epochs: Epochs::new(now),
            committed_at: now,
            deadlines: Deadlines::default(),
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
        let outcome = self.log.poll(RECORDS_PER_POLL, &mut polled).map_err(WorkerError::from);
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
        if now.since(self.committed_at) >= self.settings.commit_interval {
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
            self.log.poll(RECORDS_PER_POLL, &mut polled)?;
            for event in polled {
                if let Polled::Revoked(partitions) = event {
                    self.log.commit(&self.positions(), CommitMode::Now)?;
                    self.forget(&partitions);
                    self.log.release(&partitions);
                } else if let Polled::Lost(partitions) = event {
                    self.forget(&partitions);
                }
            }
            committed = match self.positions() {
                positions if positions.is_empty() => Committed::Taken,
                positions => self.log.commit(&positions, CommitMode::Now)?,
            };
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

    /// The next offset to read of every partition that is owned and drained.
    fn positions(&self) -> Vec<(TopicPartition, Offset)> {
        self.owned.iter().map(|(partition, owned)| (*partition, owned.cut.offset + 1)).collect()
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
        let arriving = self.arriving.iter().map(|(partition, arrival)| match arrival {
            Arrival::Searching { .. } => Restore::Searching(*partition),
            Arrival::Restoring(restoring) => Restore::Checkpoint(*partition, restoring.bytes_left()),
        });
        let behind = |(partition, owned): (&TopicPartition, &Owned<S::Task>)| {
            let (next, until) = (owned.next_offset, owned.restored_at);
            (next < until).then_some(Restore::Log(*partition, next, until))
        };
        arriving.chain(self.owned.iter().filter_map(behind))
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
            Polled::Assigned(partition, committed) => self.assigned(partition, committed)?,
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

    /// Takes a partition over. One that was never taken away goes on as it is: its state is a fold of its
    /// log, whoever else may have read it meanwhile, and what it has published it need not publish again.
    fn assigned(&mut self, partition: TopicPartition, committed: Option<Offset>) -> Result<(), WorkerError> {
        if let Some(owned) = self.owned.get(&partition) {
            self.log.read_from(partition, Start::At(owned.next_offset))?;
        } else if let Entry::Vacant(vacant) = self.arriving.entry(partition) {
            vacant.insert(Arrival::Searching { committed });
            self.storage.find(self.stage.source_of(partition), self.stage.shape());
        }
        Ok(())
    }

    /// Takes what the storage has done, and goes on with the tasks that are being restored.
    fn advance_arrivals(&mut self) -> Result<(), WorkerError> {
        let mut ended = Vec::new();
        self.storage.ended(&mut ended);
        let now = self.log.now();
        for ended in ended {
            match ended {
                Ended::Found(task, found) => self.found(task, found)?,
                Ended::Saved(task, saved) => {
                    let stage = &self.stage;
                    let mut owned = self.owned.iter_mut();
                    if let Some((_, owned)) =
                        owned.find(|(partition, _)| stage.source_of(**partition) == task)
                    {
                        owned.checkpointing.saved(&saved, now);
                    }
                }
            }
        }
        let mut arrived = Vec::new();
        for (partition, arrival) in &mut self.arriving {
            if let Arrival::Restoring(restoring) = arrival
                && restoring.step(*partition)?
            {
                arrived.push(*partition);
            }
        }
        for partition in arrived {
            if let Some(Arrival::Restoring(restoring)) = self.arriving.remove(&partition) {
                self.take_over(partition, *restoring)?;
            }
        }
        Ok(())
    }

    fn found(&mut self, task: SourceId, found: Found) -> Result<(), WorkerError> {
        let stage = &self.stage;
        let tracking = if self.cadence.is_some() { Tracking::On } else { Tracking::Off };
        let mut arriving = self.arriving.iter_mut();
        let waits = arriving.find(|(partition, _)| stage.source_of(**partition) == task);
        if let Some((partition, arrival)) = waits
            && let Arrival::Searching { committed } = arrival
        {
            let restoring = Restoring::new(stage, *partition, *committed, found, tracking)?;
            *arrival = Arrival::Restoring(Box::new(restoring));
        }
        Ok(())
    }

    /// Everything of a task has been put back: its log is read from there.
    fn take_over(
        &mut self,
        partition: TopicPartition,
        restoring: Restoring<S::Task>,
    ) -> Result<(), WorkerError> {
        let (committed, offset) = (restoring.committed, restoring.offset);
        // what lies below either was done: a checkpoint is saved only after a commit of its offset was accepted
        let next = committed.max(offset).unwrap_or(0);
        let first_read = offset.map_or_else(|| self.stage.start(committed), Start::At);
        let source = self.stage.source_of(partition);
        let destinations = u32::try_from(self.joined.len()).expect("partitions are counted in 32 bits");
        let short_id = u32::try_from(source.topic >> 96).expect("the upper 32 of 128 bits");
        let start = Position::committed(next);
        let replays = match first_read {
            Start::Beginning => Some(0),
            Start::At(offset) => Some(offset),
            Start::Earliest => None,
        };
        let task = restoring.into_task();
        if !without(Rule::DeadlineArmedAgain) {
            let due = self.log.now().plus(self.settings.decision_deadline);
            for (decision, opened_at) in task.deadlines() {
                self.deadlines.arm(partition, decision, opened_at, due);
            }
        }
        let owned = Owned {
            task,
            outputs: Outputs::new(short_id, partition.partition, destinations, next),
            cut: start,
            next_offset: replays.unwrap_or(next),
            committed: next,
            restored_at: if replays.is_some() { next } else { 0 },
            idleness: Idleness::default(),
            checkpointing: Checkpointing::new(self.log.now(), offset.unwrap_or(-1), next),
            chains: vec![(start, Promise::Unknown); destinations as usize],
            #[cfg(test)]
            batch_from: start,
        };
        self.owned.insert(partition, owned);
        self.log.read_from(partition, first_read)?;
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
                cut.into_iter().for_each(|cut| self.storage.begin(id, cut));
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
    }

    fn fold(&mut self, fetched: &Fetched) -> Result<(), WorkerError> {
        let frame_bytes = FRAME_BYTES.min(RECORD_BYTES / self.owned.len().max(1));
        let Some(owned) = self.owned.get_mut(&fetched.partition) else { return Ok(()) };
        owned.outputs.begin(fetched.offset);
        self.stage.fold(&mut owned.task, fetched, &mut owned.outputs)?;
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
        let full = owned.outputs.events.iter().position(|events| events.bytes().len() > frame_bytes);
        match full {
            Some(destination) => self.send_frames(destination, Closing::Open),
            None => Ok(()),
        }
    }

    /// Sends one record with the frames of all sources that have something for `destination`: events,
    /// or, when chains are closed, a new position or a new promise.
    fn send_frames(&mut self, destination: usize, closing: Closing) -> Result<(), WorkerError> {
        let Some((topic, _)) = self.stage.downstream() else { return Ok(()) };
        let mut items = Vec::new();
        if !self.joined[destination] {
            items.push(Item::Join(self.stage.sources()));
        }
        for (partition, owned) in &mut self.owned {
            let idle = owned.idleness.idle_for(self.settings.idle_timeout);
            let promise = self.stage.promise(&owned.task, idle);
            let batch_from = owned.batch_from();
            let events = &owned.outputs.events[destination];
            let (sent, promised) = &mut owned.chains[destination];
            let moved = owned.cut > *sent || promise != *promised;
            if events.count() == 0 && !(closing == Closing::Closed && moved) {
                continue;
            }
            items.push(Item::Frame(Frame {
                source: self.stage.source_of(*partition),
                from: chain_start(*sent, batch_from),
                to: owned.cut,
                promise,
                count: events.count(),
                events: events.bytes(),
            }));
            (*sent, *promised) = (owned.cut, promise);
        }
        if !items.iter().any(|item| matches!(item, Item::Frame(_))) {
            return Ok(());
        }
        let record = Record { life: self.settings.life, fold: self.stage.fold_version(), items };
        let value = record.encode();
        drop(record);
        self.joined[destination] = true;
        for owned in self.owned.values_mut() {
            owned.outputs.events[destination].clear();
        }
        let partition = u32::try_from(destination).expect("partitions are counted in 32 bits");
        self.append(Destination::Partition(TopicPartition::new(topic, partition)), value)
    }

    fn append(&mut self, destination: Destination, value: Vec<u8>) -> Result<(), WorkerError> {
        let ticket = self.epochs.ticket();
        let append = Append { ticket, destination, key: None, value: Some(value), headers: Headers::None };
        Ok(self.log.send(append)?)
    }

    fn send_public(&mut self) -> Result<(), WorkerError> {
        for owned in self.owned.values_mut() {
            for mut append in owned.outputs.public.drain(..) {
                append.ticket = self.epochs.ticket();
                self.log.send(append)?;
            }
        }
        Ok(())
    }

    /// Sends every source's position and promise to every destination, and ends the epoch as closed.
    fn close_chains(&mut self) -> Result<(), WorkerError> {
        if !without(Rule::ClosingBeforeCommit) {
            for destination in 0..self.joined.len() {
                self.send_frames(destination, Closing::Closed)?;
            }
        }
        let closed_at = self
            .owned
            .iter()
            .filter(|(_, owned)| owned.cut > Position::committed(owned.committed))
            .map(|(partition, owned)| (*partition, owned.cut.offset + 1))
            .collect();
        self.epochs.end(Some(closed_at), self.log.now());
        Ok(())
    }

    fn take_acknowledgements(&mut self) -> Result<(), WorkerError> {
        self.log.acknowledged(&mut self.acknowledgements);
        for acknowledgement in self.acknowledgements.drain(..) {
            match acknowledgement {
                Acknowledgement::Appended { ticket } => self.epochs.acknowledge(ticket),
                Acknowledgement::Failed { ticket } if without(Rule::FailureNoticed) => {
                    self.epochs.acknowledge(ticket)
                }
                Acknowledgement::Failed { .. } => return Err(LogError::Append.into()),
            }
        }
        Ok(())
    }

    fn commit(&mut self, mode: CommitMode) -> Result<Committed, WorkerError> {
        let offsets = if without(Rule::CommitAfterAcknowledgement) {
            self.owned.iter().map(|(partition, owned)| (*partition, owned.cut.offset + 1)).collect()
        } else {
            self.epochs.committable()
        };
        for (partition, offset) in &offsets {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.committed = owned.committed.max(*offset);
            }
        }
        Ok(self.log.commit(&offsets, mode)?)
    }

    /// Appends the deadlines that are due to their own partition, and arms them again: an append that
    /// is lost is made up for by the next.
    fn append_deadlines(&mut self) -> Result<(), WorkerError> {
        let now = self.log.now();
        let again = now.plus(self.settings.decision_deadline);
        let mut due = BTreeMap::<TopicPartition, Vec<Item<'_>>>::new();
        for (partition, deadline) in self.deadlines.due(now, again) {
            due.entry(partition).or_default().push(Item::Deadline(deadline));
        }
        for (partition, items) in due {
            let record = Record { life: self.settings.life, fold: self.stage.fold_version(), items };
            self.append(Destination::Partition(partition), record.encode())?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    Open,
    Closed,
}

impl<T> Owned<T> {
    #[cfg(test)]
    fn batch_from(&self) -> Position {
        self.batch_from
    }

    #[cfg(not(test))]
    fn batch_from(&self) -> Position {
        self.cut
    }
}

/// A frame begins where the last one to the same destination ended.
fn chain_start(sent: Position, batch_from: Position) -> Position {
    if without(Rule::ChainPerDestination) { batch_from } else { sent }
}
