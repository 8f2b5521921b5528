//! Reads a public topic as a member of a group: each record is one member's, at least once.
//!
//! For work that follows from what was published and is no fold: whoever takes over a partition goes on behind what was
//! committed, and does again what was not.

use super::client::{ClientSettings, Logged};
use crate::log::{Fetched, LogError, Polled, Topic, TopicPartition};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::Duration;

impl ConsumerContext for Logged {}

/// A member of a group that shares the partitions of one topic.
pub struct SharedReader {
    consumer: BaseConsumer<Logged>,
}

impl SharedReader {
    /// Joins `group`. Where nothing was committed yet, it begins with what comes from now on.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the client library refuses the settings.
    pub fn join(settings: &ClientSettings, group: &str, topic: Topic) -> Result<SharedReader, LogError> {
        let mut config = settings.consumer(group);
        // the place is kept by what was done with a record, see `done`
        config.set("enable.auto.offset.store", "true").set("auto.offset.reset", "latest");
        let consumer: BaseConsumer<Logged> = config.create_with_context(Logged::default()).map_err(failed)?;
        consumer.subscribe(&[topic.name()]).map_err(failed)?;
        Ok(SharedReader { consumer })
    }

    /// The next record of a partition that this member has; none if there is none within `wait`.
    ///
    /// # Errors
    ///
    /// [`LogError`]; another reader may go on.
    pub fn poll(&self, wait: Duration) -> Result<Option<Fetched>, LogError> {
        self.consumer.context().brokers.check()?;
        match self.consumer.poll(wait) {
            Some(Ok(message)) => match super::consumer::fetched(&message) {
                Some(Polled::Record(fetched)) => Ok(Some(fetched)),
                _ => Ok(None),
            },
            Some(Err(fault @ KafkaError::MessageConsumptionFatal(_))) => Err(failed(fault)),
            // the client library tries on, at its own pace
            Some(Err(fault)) => {
                tracing::debug!(%fault, "reading a public topic");
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Whether this member has the partition.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the client library refuses it.
    pub fn has(&self, TopicPartition { topic, partition }: TopicPartition) -> Result<bool, LogError> {
        let given = self.consumer.assignment().map_err(failed)?;
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        Ok(given.find_partition(topic.name(), number).is_some())
    }

    /// All that was handed out is done: whoever has the partitions next begins behind it.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the client library refuses it.
    pub fn done(&self) -> Result<(), LogError> {
        match self.consumer.commit_consumer_state(CommitMode::Async) {
            // nothing was handed out since
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => Ok(()),
            Err(fault) => Err(failed(fault)),
        }
    }
}

fn failed(fault: KafkaError) -> LogError {
    LogError::Kafka(fault.to_string())
}
