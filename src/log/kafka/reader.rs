//! Reads whole topics outside any group, for `inspect` and tests.

use super::client::ClientSettings;
use super::committed::NextOffset;
use crate::log::position::Offset;
use crate::log::{Fetched, LogError, Polled, Topic, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::BTreeMap;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReaderError {
    /// The broker does not know the topic.
    #[error("there is no topic {0}")]
    NoTopic(Topic),
    /// The topic has fewer partitions.
    #[error("{topic} has no partition {partition}: it has {partitions}, counted from 0")]
    NoPartition {
        /// The topic.
        topic: Topic,
        /// The partition that was asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// The broker or the client library reported something.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Reads the partitions of a topic from an offset to their present end.
pub struct PartitionReader {
    consumer: BaseConsumer,
    topic: Topic,
    /// Next offset and end of each partition.
    open: BTreeMap<u32, (Offset, Offset)>,
}

impl PartitionReader {
    /// Of all partitions of `topic`, or of `only` one, from `from` (the first record, where it is less).
    ///
    /// # Errors
    ///
    /// [`ReaderError`] if the broker does not answer, or the topic or its partition is not there.
    pub fn new(
        settings: &ClientSettings,
        topic: Topic,
        only: Option<u32>,
        from: Option<Offset>,
    ) -> Result<PartitionReader, ReaderError> {
        let failed = |fault: rdkafka::error::KafkaError| LogError::Kafka(fault.to_string());
        // a consumer that assigns by itself needs a group's name, and never commits to it
        let consumer: BaseConsumer = settings
            .consumer("tillstream-reader")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            .create()
            .map_err(failed)?;
        let metadata = consumer.fetch_metadata(Some(topic.name()), PATIENCE).map_err(failed)?;
        let found = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
        let count = u32::try_from(found).expect("Kafka counts partitions in 31 bits");
        if count == 0 {
            return Err(ReaderError::NoTopic(topic));
        }
        if let Some(partition) = only.filter(|only| *only >= count) {
            return Err(ReaderError::NoPartition { topic, partition, partitions: count });
        }
        let mut open = BTreeMap::new();
        let mut list = TopicPartitionList::new();
        for number in (0..count).filter(|number| only.is_none_or(|only| only == *number)) {
            let native = i32::try_from(number).expect("Kafka counts partitions in 31 bits");
            let (first, end) = consumer.fetch_watermarks(topic.name(), native, PATIENCE).map_err(failed)?;
            let next = from.unwrap_or(first).clamp(first, end);
            if next < end {
                open.insert(number, (next, end));
                list.add_partition_offset(topic.name(), native, rdkafka::Offset::Offset(next))
                    .map_err(failed)?;
            }
        }
        consumer.assign(&list).map_err(failed)?;
        Ok(PartitionReader { consumer, topic, open })
    }

    /// The next record, none at the end of all partitions.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the broker does not answer.
    pub fn next_record(&mut self) -> Result<Option<Fetched>, LogError> {
        while !self.open.is_empty() {
            match self.consumer.poll(PATIENCE) {
                Some(Ok(message)) => {
                    let Some(Polled::Record(fetched)) = super::consumer::fetched(&message) else { continue };
                    let number = fetched.partition.partition;
                    if self.open.get(&number).is_some_and(|(_, end)| fetched.offset + 1 >= *end) {
                        self.open.remove(&number);
                    }
                    debug_assert_eq!(fetched.partition, TopicPartition::new(self.topic, number));
                    return Ok(Some(fetched));
                }
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(number))) => {
                    self.open.remove(&u32::try_from(number).unwrap_or(u32::MAX));
                }
                Some(Err(fault)) => return Err(LogError::Kafka(fault.to_string())),
                None => return Err(LogError::Kafka("the broker does not answer".to_owned())),
            }
        }
        Ok(None)
    }
}

/// Where a group and its log stand in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The partition.
    pub partition: TopicPartition,
    /// The first offset that is there.
    pub first: Offset,
    /// What the group has committed.
    pub committed: NextOffset,
}

impl Standing {
    /// The next offset that the group reads; none if it never committed one of this topic.
    ///
    /// # Errors
    ///
    /// As [`NextOffset::or_lost`].
    pub fn next(&self) -> Result<Option<Offset>, LogError> {
        self.committed.or_lost(self.partition)
    }
}

/// Where `group` stands in each of `partitions`.
///
/// # Errors
///
/// [`LogError`] if the broker does not answer.
pub fn standings(
    settings: &ClientSettings,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<Vec<Standing>, LogError> {
    let failed = |fault: rdkafka::error::KafkaError| LogError::Kafka(fault.to_string());
    let mut config = settings.consumer(group);
    let consumer: BaseConsumer = config.remove("group.instance.id").create().map_err(failed)?;
    let native = |partition: &TopicPartition| {
        i32::try_from(partition.partition).expect("Kafka counts partitions in 31 bits")
    };
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(partition.topic.name(), native(partition));
    }
    let committed = consumer.committed_offsets(list, PATIENCE).map_err(failed)?;
    let standing = |partition: &TopicPartition| {
        let (first, _) = consumer.fetch_watermarks(partition.topic.name(), native(partition), PATIENCE)?;
        let found = committed.find_partition(partition.topic.name(), native(partition));
        let committed = found.map_or(NextOffset::Never, |element| {
            settings.topic_ids.judge(partition.topic, element.offset(), element.metadata())
        });
        Ok(Standing { partition: *partition, first, committed })
    };
    partitions.iter().map(standing).collect::<Result<_, _>>().map_err(failed)
}
