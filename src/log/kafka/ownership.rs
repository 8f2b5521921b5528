//! Partitions that no member of a group has.
//!
//! Partitions that move are dealt out in two rounds: the first takes them from who had them, the second gives them to who gets them
//! (KIP-429). A member that is named (`group.instance.id`, KIP-345) and comes back between the two is given what it had left, without a
//! round: then the second is never asked for, and what was taken belongs to nobody, for as long as nobody else joins or leaves.

use super::client::{ClientSettings, Logged};
use crate::log::{LogError, Topic, TopicPartition};
use crate::time::Stopwatch;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
/// For how long somebody who joins waits for what it is given.
const JOIN_PATIENCE: Duration = Duration::from_secs(30);
/// What somebody reads who joins only so that the group deals out anew: none of what the others have is taken from them for it.
const BESIDE: Topic = Topic::DeadLetter;

/// Of somebody who joins: whether the group has given it anything, or nothing.
#[derive(Default)]
struct Joining {
    is_in: AtomicBool,
}

impl ClientContext for Joining {
    fn stats_raw(&self, _: &[u8]) {}
}

impl ConsumerContext for Joining {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            self.is_in.store(true, Ordering::Relaxed);
        }
    }
}

/// Asks who has what in a group.
pub struct Ownership {
    consumer: BaseConsumer<Logged>,
    settings: ClientSettings,
}

impl Ownership {
    /// Connects lazily.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the client library refuses the settings.
    pub fn new(settings: &ClientSettings) -> Result<Ownership, LogError> {
        let consumer = settings.admin().create_with_context(Logged::default()).map_err(failed)?;
        Ok(Ownership { consumer, settings: settings.clone() })
    }

    /// The partitions, of so many of each topic, that no member of `group` has; none as long as the group is dealing them out or nobody
    /// is in it. Between the two rounds some belong to nobody, until whoever had them has let go.
    ///
    /// # Errors
    ///
    /// [`LogError`] if one of the brokers does not answer within ten seconds: any may be the one that knows.
    pub fn unowned(
        &self,
        group: &str,
        partitions: &BTreeMap<Topic, u32>,
    ) -> Result<BTreeSet<TopicPartition>, LogError> {
        let groups = self.consumer.fetch_group_list(Some(group), PATIENCE).map_err(failed)?;
        let Some(known) =
            groups.groups().iter().find(|known| known.name() == group && known.state() == "Stable")
        else {
            return Ok(BTreeSet::new());
        };
        let mut unowned: BTreeSet<TopicPartition> = partitions
            .iter()
            .flat_map(|(topic, count)| (0..*count).map(|number| TopicPartition::new(*topic, number)))
            .collect();
        for assigned in known.members().iter().filter_map(|member| assigned(member.assignment()?)).flatten() {
            unowned.remove(&assigned);
        }
        Ok(unowned)
    }

    /// Has `group` deal out its partitions anew: somebody joins it, and leaves again; soon if it `may_end`.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the client library refuses it.
    pub fn have_dealt_out_anew(&self, group: &str, may_end: impl Fn() -> bool) -> Result<(), LogError> {
        let mut config = self.settings.consumer(group);
        config.remove("group.instance.id");
        let joining: BaseConsumer<Joining> =
            config.create_with_context(Joining::default()).map_err(failed)?;
        joining.subscribe(&[BESIDE.name()]).map_err(failed)?;
        let begun = Stopwatch::start();
        while !joining.context().is_in.load(Ordering::Relaxed)
            && begun.elapsed() < JOIN_PATIENCE
            && !may_end()
        {
            // what comes is read by nobody, and never committed
            drop(joining.poll(Duration::from_millis(50)));
        }
        Ok(())
    }
}

fn failed(fault: KafkaError) -> LogError {
    LogError::Kafka(fault.to_string())
}

/// Reads what a member was given: a version, then topics with their partitions (`ConsumerProtocolAssignment`, big-endian). None if it
/// is something else; topics that are none of ours are left out.
fn assigned(bytes: &[u8]) -> Option<Vec<TopicPartition>> {
    let mut rest = bytes.get(2..)?;
    let mut found = Vec::new();
    for _ in 0..number(&mut rest)? {
        let length = usize::from(u16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?));
        let topic = Topic::from_name(std::str::from_utf8(take(&mut rest, length)?).ok()?);
        for _ in 0..number(&mut rest)? {
            let partition = number(&mut rest)?;
            found.extend(topic.map(|topic| TopicPartition::new(topic, partition)));
        }
    }
    Some(found)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(take(rest, 4)?.try_into().ok()?))
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_member_was_given_is_read_and_what_is_cut_off_is_not() {
        let mut bytes = vec![0, 1, 0, 0, 0, 2];
        for (name, partitions) in [("labels", vec![0_u32, 3]), ("someone.elses", vec![1])] {
            bytes.extend(u16::try_from(name.len()).expect("short").to_be_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend(u32::try_from(partitions.len()).expect("few").to_be_bytes());
            partitions.iter().for_each(|partition| bytes.extend(partition.to_be_bytes()));
        }
        let expected = [0, 3].map(|number| TopicPartition::new(Topic::Labels, number));
        assert_eq!(assigned(&bytes), Some(expected.to_vec()));
        for length in 0..bytes.len() {
            assert_eq!(assigned(&bytes[..length]), None, "{length} bytes");
        }
        bytes.extend([0, 0, 0, 0]);
        assert_eq!(assigned(&bytes), Some(expected.to_vec()), "somebody's own data");
    }
}
