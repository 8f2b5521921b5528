//! A log in memory that is like Kafka's, with everything that can go wrong there, on demand.
//!
//! A [`Broker`] holds topics with partitions, consumer groups with committed offsets, and
//! transactions with a last stable offset. A [`MemoryLog`] is one member and one producer. Left
//! alone it never fails and `process` and `demo` run on it; the simulation makes appends wait, fail
//! or land unseen, commits get lost or come late, and members vanish or go on as zombies.

mod broker;
mod group;
mod partition;

pub use broker::{Broker, Delivery, Ending, Landing, SharedBroker, Transaction};

use super::position::Offset;
use super::{
    Acknowledgement, Append, CommitMode, Committed, Fetched, Log, LogError, PollWait, Polled, Start,
    TopicPartition,
};
use crate::log::frame::Life;
use crate::time::ProcessingTime;
use std::collections::BTreeMap;

/// One member of a group and one producer.
#[derive(Debug)]
pub struct MemoryLog {
    broker: SharedBroker,
    group: String,
    life: Life,
    /// Under which name it has transactions, if it has any.
    transactional_id: Option<String>,
    positions: BTreeMap<TopicPartition, Offset>,
}

impl MemoryLog {
    /// Joins `group`, whose members share the partitions of its topics (see [`Broker::group`]).
    #[must_use]
    pub fn join(broker: &SharedBroker, group: &str, life: Life) -> MemoryLog {
        broker.borrow_mut().join(group, life);
        MemoryLog {
            broker: broker.clone(),
            group: group.to_owned(),
            life,
            transactional_id: None,
            positions: BTreeMap::new(),
        }
    }

    /// The same member over a copy of its broker.
    #[must_use]
    pub fn over(&self, broker: &SharedBroker) -> MemoryLog {
        MemoryLog {
            broker: broker.clone(),
            group: self.group.clone(),
            life: self.life,
            transactional_id: self.transactional_id.clone(),
            positions: self.positions.clone(),
        }
    }

    /// As [`MemoryLog::join`], with transactions: whoever had them under `transactional_id` before has none any more, and
    /// what it left open is ended before the group is joined.
    #[must_use]
    pub fn join_with_transactions(
        broker: &SharedBroker,
        group: &str,
        life: Life,
        transactional_id: &str,
    ) -> MemoryLog {
        broker.borrow_mut().init_transactions(transactional_id, life);
        let transactional_id = Some(transactional_id.to_owned());
        MemoryLog { transactional_id, ..MemoryLog::join(broker, group, life) }
    }
}

impl Log for MemoryLog {
    fn poll(&mut self, records_max: usize, _: PollWait, into: &mut Vec<Polled>) -> Result<(), LogError> {
        let mut broker = self.broker.borrow_mut();
        for event in broker.group_events(&self.group, self.life) {
            if let Polled::Revoked(gone) | Polled::Lost(gone) = &event {
                self.positions.retain(|partition, _| !gone.contains(partition));
            }
            into.push(event);
        }
        let now = broker.now();
        let mut left = records_max;
        for (partition, position) in &mut self.positions {
            let from = *position;
            let first = broker.first_offset(*partition);
            if from < first {
                return Err(LogError::Retention { partition: *partition, needed: from, first });
            }
            *position = broker.fetch(*partition, from, left, |offset, record| {
                left -= 1;
                into.push(Polled::Record(Fetched { partition: *partition, offset, record }));
            });
            if *position == from && broker.is_at_end(*partition, from) {
                into.push(Polled::AtEnd(*partition, now));
            }
        }
        Ok(())
    }

    fn read_from(&mut self, partition: TopicPartition, start: Start) -> Result<(), LogError> {
        let first = self.broker.borrow().first_offset(partition);
        let needed = match start {
            Start::Beginning => 0,
            Start::At(offset) => offset,
            Start::Earliest => first,
        };
        if needed < first {
            return Err(LogError::Retention { partition, needed, first });
        }
        self.positions.insert(partition, needed);
        Ok(())
    }

    fn release(&mut self, partitions: &[TopicPartition]) {
        self.positions.retain(|partition, _| !partitions.contains(partition));
        self.broker.borrow_mut().release(&self.group, self.life, partitions);
    }

    fn send(&mut self, append: Append) -> Result<(), LogError> {
        self.broker.borrow_mut().send(self.life, append);
        Ok(())
    }

    fn acknowledged(&mut self, into: &mut Vec<Acknowledgement>) {
        self.broker.borrow_mut().take_acknowledgements(self.life, into);
    }

    fn commit(
        &mut self,
        offsets: &[(TopicPartition, Offset)],
        _mode: CommitMode,
    ) -> Result<Committed, LogError> {
        if !offsets.is_empty() {
            self.broker.borrow_mut().commit(&self.group, self.life, offsets);
        }
        Ok(Committed::Taken)
    }

    fn transact(
        &mut self,
        records: &[&Append],
        offsets: &[(TopicPartition, Offset)],
    ) -> Result<Committed, LogError> {
        let id = self.transactional_id.as_deref().unwrap_or_default();
        self.broker.borrow_mut().transact(id, &self.group, self.life, records, offsets)
    }

    fn accepted(&mut self, into: &mut Vec<(TopicPartition, Offset)>) {
        self.broker.borrow_mut().take_accepted(self.life, into);
    }

    fn now(&self) -> ProcessingTime {
        self.broker.borrow().now()
    }

    fn is_connected(&self) -> bool {
        true
    }

    /// Time passes here: nothing else makes it pass while a worker waits.
    fn wait(&mut self, at_most_ms: u64) {
        self.broker.borrow_mut().advance(std::time::Duration::from_millis(at_most_ms));
    }
}
