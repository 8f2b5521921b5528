//! What a worker sends, and what it commits then: frames, public records, deadlines, offsets.

#![expect(
    clippy::indexing_slicing,
    reason = "vectors by destination are as long as the downstream log has partitions"
)]

use super::{Owned, Worker, WorkerError};
use crate::engine::stage::Stage;
use crate::log::frame::{Frame, Item, Record};
use crate::log::position::Position;
use crate::log::{
    Acknowledgement, Append, CommitMode, Committed, Destination, Headers, Log, LogError, TopicPartition,
};
use crate::rules_of_the_protocol::{Rule, without};
use std::collections::BTreeMap;
use std::time::Duration;

/// After a transaction was refused, before it is made again.
const REFUSED_PAUSE: Duration = Duration::from_millis(200);

/// Whether frames close their chains.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// They carry events.
    Open,
    /// They reach the position of every source, with or without events.
    Closed,
}

impl<S: Stage, L: Log> Worker<S, L> {
    /// Sends one record with the frames of all sources that have something for `destination`: events,
    /// or, when chains are closed, a new position or a new promise.
    pub(super) fn send_frames(&mut self, destination: usize, closing: Closing) -> Result<(), WorkerError> {
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

    /// Sends public records, but for those that wait for the transaction with their offset.
    pub(super) fn send_public(&mut self) -> Result<(), WorkerError> {
        let exactly_once = &self.settings.exactly_once;
        for owned in self.owned.values_mut() {
            for mut append in owned.outputs.public.drain(..) {
                if exactly_once.contains(&append.destination.topic()) {
                    owned.waiting.push(owned.cut.offset, append);
                } else {
                    append.ticket = self.epochs.ticket();
                    self.log.send(append)?;
                }
            }
        }
        Ok(())
    }

    /// How many bytes of public records wait for their transaction.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.owned.values().map(|owned| owned.waiting.bytes()).sum()
    }

    /// Sends every source's position and promise to every destination, and ends the epoch as closed.
    pub(super) fn close_chains(&mut self) -> Result<(), WorkerError> {
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

    pub(super) fn take_acknowledgements(&mut self) -> Result<(), WorkerError> {
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

    /// Commits what is closed and acknowledged.
    pub(super) fn commit(&mut self, mode: CommitMode) -> Result<Committed, WorkerError> {
        let too_early = without(Rule::CommitAfterAcknowledgement)
            || (self.is_transactional && without(Rule::FlushBeforeTransaction));
        let offsets = if too_early {
            self.owned.iter().map(|(partition, owned)| (*partition, owned.cut.offset + 1)).collect()
        } else {
            self.epochs.committable()
        };
        if self.is_transactional {
            self.to_transact.extend(offsets);
            return self.transact(mode);
        }
        for (partition, offset) in &offsets {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.committed = owned.committed.max(*offset);
            }
        }
        Ok(self.log.commit(&offsets, mode)?)
    }

    /// Commits what is to be committed by a transaction, together with the public records that wait for it. Nothing is
    /// polled meanwhile. One that was refused is made again a little later.
    pub(super) fn transact(&mut self, mode: CommitMode) -> Result<Committed, WorkerError> {
        let now = self.log.now();
        if self.to_transact.is_empty() {
            return Ok(Committed::Taken);
        }
        if mode == CommitMode::Soon && now < self.transact_again_at {
            return Ok(Committed::Refused);
        }
        let offsets: Vec<_> =
            self.to_transact.iter().map(|(partition, offset)| (*partition, *offset)).collect();
        let owned =
            offsets.iter().filter_map(|(partition, offset)| Some((self.owned.get(partition)?, *offset)));
        let records: Vec<_> = owned.flat_map(|(owned, offset)| owned.waiting.below(offset)).collect();
        let committed = self.log.transact(&records, &offsets)?;
        match committed {
            Committed::Taken => {
                for (partition, offset) in std::mem::take(&mut self.to_transact) {
                    if let Some(owned) = self.owned.get_mut(&partition) {
                        owned.waiting.forget_below(offset);
                        owned.committed = owned.committed.max(offset);
                    }
                }
            }
            Committed::Refused => self.transact_again_at = now.plus(REFUSED_PAUSE),
        }
        Ok(committed)
    }

    /// Appends the deadlines that are due to their own partition, and arms them again: an append that
    /// is lost is made up for by the next.
    pub(super) fn append_deadlines(&mut self) -> Result<(), WorkerError> {
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
