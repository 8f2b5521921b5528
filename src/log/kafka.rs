//! The log over Kafka: one consumer and one idempotent producer per worker, on the worker's thread.
//!
//! librdkafka's callbacks only put one closed enum into a queue; the owner of the consumer acts on
//! it. What was measured and which trap each setting avoids is in `docs/kafka.md`.

mod admin;
mod brokers;
mod client;
mod committed;
mod consumer;
mod feed;
mod lease;
mod ownership;
mod producer;
mod raw;
mod reader;
mod shared;
mod statistics;
mod submitter;
mod tail;
mod transactions;
#[cfg(test)]
mod traps;

pub use admin::{Admin, AdminError, BrokerTopic};
pub use client::{ClientSettings, Refused, SESSION_TIMEOUT, refused_settings};
pub use committed::{NextOffset, TopicIds};
pub use feed::KafkaFeed;
pub use lease::Lease;
pub use ownership::Ownership;
pub use reader::{PartitionReader, ReaderError, Standing, standings};
pub use shared::SharedReader;
pub use submitter::Submitter;
pub use tail::{Behind, Tail, TailStart};

use crate::crash_points::reach;
use crate::log::frame::Life;
use crate::log::position::Offset;
use crate::log::{
    Acknowledgement, Append, CommitMode, Committed, Destination, Log, LogError, PollWait, Polled, Start,
    Topic, TopicPartition,
};
use crate::time::{Clock, ProcessingTime, Stopwatch, SystemClock};
pub use client::Linger;
use consumer::GroupConsumer;
use producer::LogProducer;
use std::collections::BTreeMap;
use transactions::TransactionalProducer;

/// One member of a stage's group, and the producers of one life.
pub struct KafkaLog {
    consumer: GroupConsumer,
    /// Frames and scores: somebody waits for them.
    prompt: LogProducer,
    /// The other public records: a few milliseconds make batches of them.
    batching: LogProducer,
    /// Public records that are seen together with their offsets, if there are any.
    transactions: Option<TransactionalProducer>,
    /// Processing time: the machine's clock at the start of the life, and from there on a stopwatch.
    began: (ProcessingTime, Stopwatch),
}

impl KafkaLog {
    /// Joins `group`, which reads `topics`; `life` names the producer. `with_transactions`: what an earlier life of this
    /// slot left open is ended before the group is joined, so that its offsets are known.
    ///
    /// # Errors
    ///
    /// [`LogError::Fatal`] if the client library or the broker refuses the settings; otherwise try again.
    pub fn join(
        settings: &ClientSettings,
        group: &str,
        topics: &[Topic],
        life: Life,
        with_transactions: bool,
    ) -> Result<KafkaLog, LogError> {
        let transactions = if with_transactions {
            let Some(slot) = &settings.slot else {
                return Err(LogError::Fatal("transactions need a slot".to_owned()));
            };
            Some(TransactionalProducer::init(settings, life, &format!("{group}-{slot}"))?)
        } else {
            None
        };
        Ok(KafkaLog {
            transactions,
            consumer: GroupConsumer::subscribe(settings, group, topics)?,
            prompt: LogProducer::new(settings, life, Linger::None)?,
            batching: LogProducer::new(settings, life, Linger::ForBatches)?,
            began: (SystemClock.now(), Stopwatch::start()),
        })
    }

    fn producers_can_deliver(&self) -> Result<(), LogError> {
        self.prompt.check()?;
        self.batching.check()?;
        self.transactions.as_ref().map_or(Ok(()), TransactionalProducer::check)
    }

    /// How many records of each partition were not handed out yet, as far as the broker has said where it ends; of a second
    /// ago, or from when it last answered.
    #[must_use]
    pub fn unread(&self) -> BTreeMap<TopicPartition, u64> {
        self.consumer.unread()
    }
}

impl Log for KafkaLog {
    fn poll(&mut self, records_max: usize, wait: PollWait, into: &mut Vec<Polled>) -> Result<(), LogError> {
        reach("poll.before");
        self.producers_can_deliver()?;
        let polled = self.consumer.poll(records_max, wait, into);
        reach("poll.after");
        polled
    }

    fn read_from(&mut self, partition: TopicPartition, start: Start) -> Result<(), LogError> {
        self.consumer.read_from(partition, start)
    }

    fn release(&mut self, partitions: &[TopicPartition]) {
        self.consumer.release(partitions);
    }

    fn send(&mut self, append: Append) -> Result<(), LogError> {
        reach("send.before");
        match append.destination {
            Destination::Partition(_) | Destination::ByKey(Topic::ScoresFraud) => self.prompt.send(&append),
            Destination::ByKey(_) => self.batching.send(&append),
        }?;
        reach("send.after");
        Ok(())
    }

    fn acknowledged(&mut self, into: &mut Vec<Acknowledgement>) {
        reach("acknowledged.before");
        self.prompt.acknowledged(into);
        self.batching.acknowledged(into);
        reach("acknowledged.after");
    }

    fn commit(
        &mut self,
        offsets: &[(TopicPartition, Offset)],
        mode: CommitMode,
    ) -> Result<Committed, LogError> {
        reach("commit.before");
        let committed = self.consumer.commit(offsets, mode);
        reach("commit.after");
        committed
    }

    fn transact(
        &mut self,
        records: &[&Append],
        offsets: &[(TopicPartition, Offset)],
    ) -> Result<Committed, LogError> {
        let Some(transactions) = &mut self.transactions else {
            return Err(LogError::Fatal("this log was joined without transactions".to_owned()));
        };
        let committed = transactions.transact(records, &self.consumer.group_offsets(offsets)?)?;
        reach("transaction.after");
        if committed == Committed::Taken {
            self.consumer.committed_otherwise(offsets);
        }
        Ok(committed)
    }

    fn accepted(&mut self, into: &mut Vec<(TopicPartition, Offset)>) {
        self.consumer.accepted(into);
    }

    fn now(&self) -> ProcessingTime {
        let (began, stopwatch) = &self.began;
        began.plus(stopwatch.elapsed())
    }

    fn is_connected(&self) -> bool {
        self.consumer.is_connected()
    }

    fn wait(&mut self, at_most_ms: u64) {
        std::thread::sleep(std::time::Duration::from_millis(at_most_ms));
    }
}
