//! The log: positions, frames, and the trait behind which Kafka and memory look alike.
//!
//! A worker holds one [`Log`]: a member of its stage's consumer group and an idempotent producer, in
//! one. Everything that can fail is behind this trait; the stages on this side of it are pure.

pub mod frame;
pub mod kafka;
pub mod memory;
pub mod partitioner;
pub mod position;
pub mod submit;
pub mod topic;

use crate::time::ProcessingTime;
use position::Offset;
use std::sync::Arc;
pub use topic::{Topic, TopicPartition};

/// A record as it lies in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogRecord {
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Headers,
    /// The record's own timestamp in milliseconds since the Unix epoch, if it has one.
    pub timestamp_ms: Option<i64>,
}

impl LogRecord {
    /// The id of a public record: what its header `ce_id` says. None if it has none, or one of another form.
    #[must_use]
    pub fn id(&self) -> Option<RecordId> {
        match &self.headers {
            Headers::None => None,
            Headers::CloudEvent { id, .. } => Some(*id),
            Headers::Verbatim(headers) => {
                let (_, id) = headers.iter().find(|(name, _)| name == "ce_id")?;
                std::str::from_utf8(id).ok()?.parse().ok()
            }
        }
    }
}

/// A record that was read, with its place.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Where it was read.
    pub partition: TopicPartition,
    /// Its offset there.
    pub offset: Offset,
    /// The record.
    pub record: Arc<LogRecord>,
}

/// What a poll brings, in order.
#[derive(Debug, Clone)]
pub enum Polled {
    /// The group gave this partition to this member; the next offset to read, if one was ever committed.
    Assigned(TopicPartition, Option<Offset>),
    /// As that, and the offset was set by other means than a commit: what lies below it is not wanted, done or not.
    AssignedByHand(TopicPartition, Offset),
    /// The group takes these partitions away. The member may still commit them, and then calls [`Log::release`].
    Revoked(Vec<TopicPartition>),
    /// These partitions are somebody else's already: forget them, commit nothing.
    Lost(Vec<TopicPartition>),
    /// A record.
    Record(Fetched),
    /// A fetch was completed at this time and found no record beyond those already polled.
    AtEnd(TopicPartition, ProcessingTime),
}

/// Where to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// This partition.
    Partition(TopicPartition),
    /// The partition that Java clients choose for the record's key; any, without a key.
    ByKey(Topic),
}

impl Destination {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> Topic {
        match self {
            Destination::Partition(partition) => partition.topic,
            Destination::ByKey(topic) => *topic,
        }
    }
}

/// A record on its way into a log.
#[derive(Debug, Clone)]
pub struct Append {
    /// Comes back with the acknowledgement.
    pub ticket: u64,
    /// Where to.
    pub destination: Destination,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Headers,
}

/// A longer name of a producer is none.
const SOURCE_BYTES_MAX: usize = 256;

/// Headers, before they are spelled out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Headers {
    /// None: internal records carry their own header.
    #[default]
    None,
    /// Those of a public record.
    CloudEvent {
        /// The `ce_type`, such as `tillstream.session.v1`.
        event_type: &'static str,
        /// The `ce_id`.
        id: RecordId,
    },
    /// As they are.
    Verbatim(Vec<(String, Vec<u8>)>),
}

impl Headers {
    /// Only who produced the record.
    #[must_use]
    pub fn of_source(source: &str) -> Headers {
        Headers::Verbatim(vec![("ce_source".to_owned(), source.as_bytes().to_vec())])
    }

    /// Who produced the record, if its header `ce_source` says so in UTF-8 and in at most 256 bytes.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        let Headers::Verbatim(headers) = self else { return None };
        let (_, source) = headers.iter().find(|(name, _)| name == "ce_source")?;
        std::str::from_utf8(source).ok().filter(|source| source.len() <= SOURCE_BYTES_MAX)
    }

    /// The headers in full. `application` is part of `ce_source`.
    #[must_use]
    pub fn spelled_out(&self, application: &str) -> Vec<(String, Vec<u8>)> {
        match self {
            Headers::None => Vec::new(),
            Headers::Verbatim(headers) => headers.clone(),
            Headers::CloudEvent { event_type, id } => [
                ("ce_specversion", "1.0".to_owned()),
                ("ce_id", id.to_string()),
                ("ce_source", format!("/tillstream/{application}")),
                ("ce_type", (*event_type).to_owned()),
                ("content-type", "application/json".to_owned()),
            ]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into_bytes()))
            .collect(),
        }
    }
}

/// The deterministic id of a public record: the place in the log of what made it, and its index there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The first 32 bits of the topic's id: a topic deleted and made again gives other ids.
    pub topic: u32,
    /// The partition of the input log.
    pub partition: u32,
    /// The offset there.
    pub offset: Offset,
    /// Which output of that offset.
    pub index: u32,
}

impl std::str::FromStr for RecordId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<RecordId, NotAnId> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(NotAnId);
        let id = RecordId {
            topic: u32::from_str_radix(next()?, 16).map_err(|_| NotAnId)?,
            partition: next()?.parse().map_err(|_| NotAnId)?,
            offset: next()?.parse().map_err(|_| NotAnId)?,
            index: next()?.parse().map_err(|_| NotAnId)?,
        };
        if parts.next().is_some() { Err(NotAnId) } else { Ok(id) }
    }
}

/// A text that is not the id of a public record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id such as 3bb9b8c1-0-17-2")]
pub struct NotAnId;

impl std::fmt::Display for RecordId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}-{}-{}-{}", self.topic, self.partition, self.offset, self.index)
    }
}

/// What a log reports about an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// It is in the log.
    Appended {
        /// The append's ticket.
        ticket: u64,
    },
    /// It failed, or nobody knows.
    Failed {
        /// The append's ticket.
        ticket: u64,
    },
}

/// Whether a poll waits where there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollWait {
    /// Some milliseconds.
    ALittle,
    /// The caller has other work.
    No,
}

/// A log as one worker sees it. Dropping it ends the producer's life and leaves the group.
pub trait Log {
    /// Appends what happened since the last call to `into`: at most `records_max` records. Where there is nothing, it
    /// waits as it is told.
    ///
    /// # Errors
    ///
    /// [`LogError`]; the life is over.
    fn poll(&mut self, records_max: usize, wait: PollWait, into: &mut Vec<Polled>) -> Result<(), LogError>;

    /// From which offset an assigned partition is read, called once for every [`Polled::Assigned`]; until then it is not
    /// read at all, and the others go on.
    ///
    /// # Errors
    ///
    /// [`LogError::Retention`] if that offset is no longer there.
    fn read_from(&mut self, partition: TopicPartition, start: Start) -> Result<(), LogError>;

    /// Confirms that revoked partitions are let go.
    fn release(&mut self, partitions: &[TopicPartition]);

    /// Hands a record to the producer; order is kept per partition. Waits while its queue is full.
    ///
    /// # Errors
    ///
    /// [`LogError`]; the life is over.
    fn send(&mut self, append: Append) -> Result<(), LogError>;

    /// Appends the acknowledgements since the last call to `into`. Never waits.
    fn acknowledged(&mut self, into: &mut Vec<Acknowledgement>);

    /// Commits for each partition the next offset to read. May be lost: then the next commit says it again.
    ///
    /// # Errors
    ///
    /// [`LogError`]; the life is over.
    fn commit(
        &mut self,
        offsets: &[(TopicPartition, Offset)],
        mode: CommitMode,
    ) -> Result<Committed, LogError>;

    /// Publishes `records` and commits `offsets` in one transaction: all of it is seen, or nothing. Waits for the end.
    /// A life that does this commits in no other way, and only when every append that `offsets` rest on has been
    /// acknowledged. Tickets of `records` mean nothing. [`Committed::Refused`]: it is aborted for certain, and nothing
    /// of it will ever be seen.
    ///
    /// # Errors
    ///
    /// [`LogError`]: nobody knows how it ended, or another life has taken this one's place; the life is over.
    fn transact(
        &mut self,
        records: &[&Append],
        offsets: &[(TopicPartition, Offset)],
    ) -> Result<Committed, LogError>;

    /// Appends the commits that the group has accepted since the last call to `into`. Never waits.
    fn accepted(&mut self, into: &mut Vec<(TopicPartition, Offset)>);

    /// The present moment.
    fn now(&self) -> ProcessingTime;

    /// Whether the broker answers, as far as is known.
    fn is_connected(&self) -> bool;

    /// Waits until something may have changed, for `at_most_ms` milliseconds at most.
    fn wait(&mut self, at_most_ms: u64);
}

/// How urgent a commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitMode {
    /// The caller goes on.
    Soon,
    /// The caller is about to leave, and waits for the answer.
    Now,
}

/// What is known of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is under way, or has landed.
    Taken,
    /// The group refused it, because it is just dealing out its partitions anew: say it again.
    Refused,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first record ever; it must still be there.
    Beginning,
    /// At this offset.
    At(Offset),
    /// At the first record that is there.
    Earliest,
}

/// Why a life ended. A new life may be started at once, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// An append failed, or its fate is unknown.
    #[error("an append failed or its fate is unknown")]
    Append,
    /// Nobody knows how a transaction ended, or another life has taken this one's place.
    #[error("a transaction has no known end: {0}")]
    Transaction(String),
    /// A crash, for tests.
    #[error("crashed")]
    Crash,
    /// The offsets that are needed have been cut off. Stop: nothing silent may happen here.
    #[error(
        "{partition} begins at offset {first}, but offset {needed} is needed: its retention has cut what was not \
         yet read; restore the topic, or begin without what is lost: `run --start-anew {partition}@{first}`"
    )]
    Retention {
        /// The partition.
        partition: TopicPartition,
        /// The offset that is needed.
        needed: Offset,
        /// The first offset there is.
        first: Offset,
    },
    /// The group has assigned a partition that is not there.
    #[error(
        "{0} is assigned and does not exist: the group remembers a topic that was made again since; it deals its \
         partitions out anew once it has given this member up"
    )]
    NoSuchPartition(TopicPartition),
    /// The broker or the client library reported something that a new life may get over.
    #[error("kafka: {0}")]
    Kafka(String),
    /// The broker or the client library reported something that no new life gets over.
    #[error("kafka, for good: {0}")]
    Fatal(String),
}
