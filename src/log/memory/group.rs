//! A consumer group: who owns which partition, and what was committed.
//!
//! A partition that moves is first revoked from its owner, who may still commit and then releases it;
//! only then is it assigned. A member that is declared dead loses its partitions at once and is told
//! nothing: if it goes on, it is a zombie.

#![expect(clippy::indexing_slicing, reason = "a turn is taken modulo the number of members")]

use super::broker::Transaction;
use crate::log::frame::Life;
use crate::log::position::Offset;
use crate::log::{Polled, Topic, TopicPartition};
use crate::rules_of_the_protocol::{Rule, without};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) topics: Vec<Topic>,
    members: Vec<Life>,
    owners: BTreeMap<TopicPartition, Life>,
    /// Revoked from the first, not yet released.
    leaving: BTreeMap<TopicPartition, Life>,
    told: BTreeMap<Life, Vec<Polled>>,
    committed: BTreeMap<TopicPartition, Offset>,
    /// Those of the offsets above that were set by hand.
    by_hand: BTreeSet<TopicPartition>,
    /// Offsets of transactions that have not ended: a stable fetch waits for them.
    pending: BTreeMap<TopicPartition, (Transaction, Offset)>,
}

impl Group {
    pub(super) fn join(&mut self, life: Life) {
        self.members.push(life);
    }

    pub(super) fn leave(&mut self, life: Life) {
        self.members.retain(|member| *member != life);
        self.owners.retain(|_, owner| *owner != life);
        self.leaving.retain(|_, owner| *owner != life);
        self.told.remove(&life);
    }

    pub(super) fn is_member(&self, life: Life) -> bool {
        self.members.contains(&life)
    }

    /// Gives every partition to a member, the n-th to the n-th in turn, moving what has to be moved.
    pub(super) fn balance(&mut self, partitions: &[TopicPartition]) {
        if self.members.is_empty() {
            return;
        }
        let mut revoked = BTreeMap::<Life, Vec<TopicPartition>>::new();
        for (turn, partition) in partitions.iter().enumerate() {
            let wanted = self.members[turn % self.members.len()];
            match self.owners.get(partition) {
                Some(owner) if *owner == wanted => {}
                Some(owner) => {
                    revoked.entry(*owner).or_default().push(*partition);
                    self.leaving.insert(*partition, *owner);
                    self.owners.remove(partition);
                }
                None if self.leaving.contains_key(partition) || self.is_unstable(*partition) => {}
                None => {
                    self.owners.insert(*partition, wanted);
                    let assigned = match self.committed.get(partition) {
                        Some(offset) if self.by_hand.contains(partition) => {
                            Polled::AssignedByHand(*partition, *offset)
                        }
                        committed => Polled::Assigned(*partition, committed.copied()),
                    };
                    self.told.entry(wanted).or_default().push(assigned);
                }
            }
        }
        for (life, partitions) in revoked {
            self.told.entry(life).or_default().push(Polled::Revoked(partitions));
        }
    }

    /// Whether the outcome of a transaction is needed to know what was committed.
    fn is_unstable(&self, partition: TopicPartition) -> bool {
        self.pending.contains_key(&partition) && !without(Rule::StableFetch)
    }

    pub(super) fn events(&mut self, life: Life) -> Vec<Polled> {
        self.told.remove(&life).unwrap_or_default()
    }

    pub(super) fn release(&mut self, life: Life, partitions: &[TopicPartition]) {
        self.leaving.retain(|partition, owner| *owner != life || !partitions.contains(partition));
    }

    pub(super) fn commit(&mut self, offsets: &[(TopicPartition, Offset)]) {
        self.committed.extend(offsets.iter().copied());
        self.by_hand.retain(|partition| offsets.iter().all(|(committed, _)| committed != partition));
    }

    #[cfg(test)]
    pub(super) fn set_by_hand(&mut self, partition: TopicPartition, offset: Offset) {
        self.committed.insert(partition, offset);
        self.by_hand.insert(partition);
    }

    pub(super) fn committed(&self, partition: TopicPartition) -> Option<Offset> {
        self.committed.get(&partition).copied()
    }

    pub(super) fn commit_in(&mut self, transaction: Transaction, offsets: &[(TopicPartition, Offset)]) {
        self.pending.extend(offsets.iter().map(|(partition, offset)| (*partition, (transaction, *offset))));
    }

    pub(super) fn end_transaction(&mut self, transaction: Transaction, commits: bool) {
        let ended: Vec<_> = self.pending.extract_if(.., |_, (owner, _)| *owner == transaction).collect();
        if commits {
            self.committed.extend(ended.into_iter().map(|(partition, (_, offset))| (partition, offset)));
        }
    }
}
