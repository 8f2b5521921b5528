//! What a life may commit, and when.
//!
//! The work of a life is cut into epochs, one per cycle. Every append belongs to the epoch in which
//! it was sent. An epoch is *closed* if at its end a chain of frames reached the position of every
//! source at every destination; then its positions may be committed once every append of it and of
//! all epochs before it has been acknowledged.

use crate::log::TopicPartition;
use crate::log::position::Offset;
use crate::time::ProcessingTime;
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Clone)]
struct Epoch {
    outstanding: u64,
    opened: ProcessingTime,
    closed_at: Option<Vec<(TopicPartition, Offset)>>,
}

/// The epochs of one life that are not yet done.
#[derive(Debug, Clone)]
pub struct Epochs {
    first: u64,
    epochs: VecDeque<Epoch>,
    committable: BTreeMap<TopicPartition, Offset>,
}

impl Epochs {
    /// Begins with one open epoch.
    #[must_use]
    pub fn new(now: ProcessingTime) -> Epochs {
        Epochs { first: 0, epochs: VecDeque::from([Epoch::new(now)]), committable: BTreeMap::new() }
    }

    /// The ticket for an append that is sent now.
    pub fn ticket(&mut self) -> u64 {
        self.epochs.back_mut().expect("there is always a current epoch").outstanding += 1;
        self.first + self.epochs.len() as u64 - 1
    }

    /// The append with that ticket is in the log.
    pub fn acknowledge(&mut self, ticket: u64) {
        let epoch = usize::try_from(ticket - self.first).ok().and_then(|index| self.epochs.get_mut(index));
        epoch.expect("a ticket of an epoch that is not done").outstanding -= 1;
    }

    /// Ends the current epoch. `closed_at` gives the next offsets to read if all chains were closed.
    pub fn end(&mut self, closed_at: Option<Vec<(TopicPartition, Offset)>>, now: ProcessingTime) {
        let current = self.epochs.back_mut().expect("there is always a current epoch");
        if closed_at.is_none() && current.outstanding == 0 {
            current.opened = now;
            return;
        }
        current.closed_at = closed_at;
        self.epochs.push_back(Epoch::new(now));
    }

    /// The offsets that may be committed now and were not before.
    pub fn committable(&mut self) -> Vec<(TopicPartition, Offset)> {
        while self.epochs.len() > 1 && self.epochs.front().is_some_and(|epoch| epoch.outstanding == 0) {
            let done = self.epochs.pop_front().expect("there is one in front");
            self.first += 1;
            for (partition, offset) in done.closed_at.into_iter().flatten() {
                self.committable.insert(partition, offset);
            }
        }
        std::mem::take(&mut self.committable).into_iter().collect()
    }

    /// Forgets partitions that belong to somebody else now.
    pub fn forget(&mut self, partitions: &[TopicPartition]) {
        for epoch in &mut self.epochs {
            for closed in epoch.closed_at.iter_mut() {
                closed.retain(|(partition, _)| !partitions.contains(partition));
            }
        }
        self.committable.retain(|partition, _| !partitions.contains(partition));
    }

    /// Whether every append has been acknowledged.
    #[must_use]
    pub fn quiet(&self) -> bool {
        self.epochs.iter().all(|epoch| epoch.outstanding == 0)
    }

    /// When the oldest epoch that waits for an acknowledgement was opened.
    #[must_use]
    pub fn oldest_open(&self) -> Option<ProcessingTime> {
        self.epochs.iter().find(|epoch| epoch.outstanding > 0).map(|epoch| epoch.opened)
    }
}

impl Epoch {
    fn new(now: ProcessingTime) -> Epoch {
        Epoch { outstanding: 0, opened: now, closed_at: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Topic;

    const P: TopicPartition = TopicPartition { topic: Topic::Clickstream, partition: 0 };
    const NOW: ProcessingTime = ProcessingTime(0);

    #[test]
    fn nothing_is_committed_before_every_append_up_to_it_is_acknowledged() {
        let mut epochs = Epochs::new(NOW);
        let first = epochs.ticket();
        epochs.end(Some(vec![(P, 3)]), NOW);
        let second = epochs.ticket();
        epochs.end(Some(vec![(P, 5)]), NOW);
        epochs.acknowledge(second);
        assert_eq!(epochs.committable(), vec![], "the first append is still open");
        epochs.acknowledge(first);
        assert_eq!(epochs.committable(), vec![(P, 5)]);
        assert_eq!(epochs.committable(), vec![], "said once");
    }

    #[test]
    fn an_epoch_whose_chains_are_open_gives_nothing_to_commit() {
        let mut epochs = Epochs::new(NOW);
        let ticket = epochs.ticket();
        epochs.end(None, NOW);
        epochs.acknowledge(ticket);
        assert_eq!(epochs.committable(), vec![]);
        epochs.end(Some(vec![(P, 1)]), NOW);
        assert_eq!(epochs.committable(), vec![(P, 1)]);
    }

    #[test]
    fn a_lost_partition_is_not_committed() {
        let mut epochs = Epochs::new(NOW);
        epochs.end(Some(vec![(P, 1)]), NOW);
        epochs.forget(&[P]);
        assert_eq!(epochs.committable(), vec![]);
    }
}
