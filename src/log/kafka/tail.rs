//! Reads public topics from a moment or from given offsets on and goes on for ever, outside any group: what a view is
//! built from, and what is archived.

use super::brokers::KnownBrokers;
use super::client::{ClientSettings, tell};
use super::statistics::{Distance, Statistics};
use crate::log::position::Offset;
use crate::log::{Fetched, LogError, Polled, Topic, TopicPartition};
use crate::time::{Clock, ProcessingTime, SystemClock};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::{ClientContext, Offset as KafkaOffset};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Where reading a topic begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TailStart {
    /// At the first record there is.
    Earliest,
    /// At the first record that the broker got at this time or later.
    Since(ProcessingTime),
}

/// How far a reader is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// Records that were there and not yet read.
    pub records: u64,
    /// When that was found out.
    pub known_at: ProcessingTime,
}

#[derive(Default)]
struct Context {
    brokers: KnownBrokers,
    behind: Mutex<Option<Behind>>,
    distance: Mutex<Distance>,
}

impl ClientContext for Context {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tell(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let Some(statistics) = Statistics::read(statistics) else { return };
        self.brokers.look(&statistics);
        let mut distance = self.distance.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(records) = distance.records(&statistics) {
            let known = Behind { records, known_at: SystemClock.now() };
            *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        }
    }
}

impl ConsumerContext for Context {}

/// A reader of whole topics that does not end.
pub struct Tail {
    consumer: BaseConsumer<Context>,
}

impl Tail {
    /// Of all partitions of these topics.
    ///
    /// # Errors
    ///
    /// [`LogError`] if no broker answers within ten seconds, or a topic is not there.
    pub fn open(settings: &ClientSettings, topics: &[(Topic, TailStart)]) -> Result<Tail, LogError> {
        // a place that retention has cut off meanwhile is no loss for a view
        let consumer = consumer(settings, "view", "earliest")?;
        let (mut starts, mut times) = (TopicPartitionList::new(), TopicPartitionList::new());
        for (topic, start) in topics {
            for partition in partitions_of(&consumer, *topic)? {
                let (list, place) = match start {
                    TailStart::Earliest => (&mut starts, KafkaOffset::Beginning),
                    // what is looked up stands where offsets do
                    TailStart::Since(time) => (&mut times, KafkaOffset::Offset(time.0.max(0))),
                };
                list.add_partition_offset(topic.name(), partition, place).map_err(failed)?;
            }
        }
        add_looked_up(&consumer, times, &mut starts)?;
        consumer.assign(&starts).map_err(failed)?;
        Ok(Tail { consumer })
    }

    /// Of all partitions of these topics, each from the offset that is named for it; from the first record there is,
    /// where none is named. What retention has cut off is skipped, and logged as an error with the number of offsets.
    ///
    /// # Errors
    ///
    /// [`LogError::Fatal`] if a partition ends before the offset that is named for it: it is not the log from which
    /// that offset came. [`LogError`] if no broker answers within ten seconds, or a topic is not there.
    pub fn open_at(
        settings: &ClientSettings,
        topics: &[(Topic, BTreeMap<u32, Offset>)],
    ) -> Result<Tail, LogError> {
        let consumer = consumer(settings, "archive", "error")?;
        let mut list = TopicPartitionList::new();
        for (topic, places) in topics {
            for native in partitions_of(&consumer, *topic)? {
                let number = u32::try_from(native).expect("Kafka counts partitions from 0");
                let partition = TopicPartition::new(*topic, number);
                let (first, end) =
                    consumer.fetch_watermarks(topic.name(), native, PATIENCE).map_err(failed)?;
                let from = place_to_read(partition, places.get(&number).copied(), (first, end))?;
                list.add_partition_offset(topic.name(), native, KafkaOffset::Offset(from)).map_err(failed)?;
            }
        }
        consumer.assign(&list).map_err(failed)?;
        Ok(Tail { consumer })
    }

    /// The next record; none if there is none within `wait`.
    ///
    /// # Errors
    ///
    /// [`LogError`]; another tail may go on.
    pub fn poll(&self, wait: Duration) -> Result<Option<Fetched>, LogError> {
        self.consumer.context().brokers.check()?;
        match self.consumer.poll(wait) {
            Some(Ok(message)) => match super::consumer::fetched(&message) {
                Some(Polled::Record(fetched)) => Ok(Some(fetched)),
                _ => Ok(None),
            },
            Some(Err(fault @ KafkaError::MessageConsumptionFatal(_))) => {
                Err(LogError::Kafka(fault.to_string()))
            }
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition))) => {
                Err(LogError::Kafka("a topic that is read is gone".to_owned()))
            }
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                Err(LogError::Kafka("retention has cut what was to be read next".to_owned()))
            }
            // the client library tries on, at its own pace
            Some(Err(fault)) => {
                tracing::debug!(%fault, "reading public topics");
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Whether it is to bring nothing for now. It has to be polled meanwhile all the same: what the client library tells of itself
    /// would pile up.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the client library refuses it.
    pub fn hold(&self, is_held: bool) -> Result<(), LogError> {
        let all = self.consumer.assignment().map_err(failed)?;
        if is_held { self.consumer.pause(&all) } else { self.consumer.resume(&all) }.map_err(failed)
    }

    /// How far behind it is, as far as it was told; none before the broker has answered for every partition.
    pub fn behind(&self) -> Option<Behind> {
        *self.consumer.context().behind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(fault: KafkaError) -> LogError {
    LogError::Kafka(fault.to_string())
}

/// Nobody's member. `reset` is what happens where the offset to be read is not there.
fn consumer(settings: &ClientSettings, reader: &str, reset: &str) -> Result<BaseConsumer<Context>, LogError> {
    let mut config = settings.consumer(&format!("{}-{reader}", settings.application));
    config.remove("group.instance.id");
    config
        .set("auto.offset.reset", reset)
        .set("statistics.interval.ms", "500")
        // what is there comes at once all the same; only empty answers wait
        .set("fetch.wait.max.ms", "100")
        .create_with_context(Context::default())
        .map_err(failed)
}

fn partitions_of(consumer: &BaseConsumer<Context>, topic: Topic) -> Result<Vec<i32>, LogError> {
    let metadata = consumer.fetch_metadata(Some(topic.name()), PATIENCE).map_err(failed)?;
    let partitions = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
    if partitions.is_empty() {
        return Err(LogError::Kafka(format!("there is no topic {topic}")));
    }
    Ok(partitions.iter().map(|partition| partition.id()).collect())
}

/// Where reading begins in a partition that reaches from `first` to `end`.
fn place_to_read(
    partition: TopicPartition,
    wanted: Option<Offset>,
    (first, end): (Offset, Offset),
) -> Result<Offset, LogError> {
    match wanted {
        None => Ok(first),
        Some(wanted) if wanted > end => Err(LogError::Fatal(format!(
            "{partition} ends at offset {end}, and was read up to offset {wanted} before: the topic was made again, \
             or its end is lost"
        ))),
        Some(wanted) if wanted < first => {
            let gone = first - wanted;
            tracing::error!(%partition, wanted, first, gone, "retention has cut offsets that were not read");
            Ok(first)
        }
        Some(wanted) => Ok(wanted),
    }
}

/// Adds the offsets of `times`; where a partition has nothing so young, its end as it was before that was asked.
fn add_looked_up(
    consumer: &BaseConsumer<Context>,
    times: TopicPartitionList,
    starts: &mut TopicPartitionList,
) -> Result<(), LogError> {
    if times.count() == 0 {
        return Ok(());
    }
    let mut ends = Vec::new();
    for element in times.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        ends.push(consumer.fetch_watermarks(topic, partition, PATIENCE).map_err(failed)?.1);
    }
    let found = consumer.offsets_for_times(times, PATIENCE).map_err(failed)?;
    for (element, end) in found.elements().iter().zip(ends) {
        element.error().map_err(failed)?;
        let start = match element.offset() {
            start @ KafkaOffset::Offset(_) => start,
            _ => KafkaOffset::Offset(end),
        };
        starts.add_partition_offset(element.topic(), element.partition(), start).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_retention_has_cut_is_skipped_and_another_log_is_refused() {
        let partition = TopicPartition::new(Topic::ScoresFraud, 0);
        let from = |wanted| place_to_read(partition, wanted, (10, 20));
        for (wanted, expected) in [(None, 10), (Some(9), 10), (Some(10), 10), (Some(11), 11), (Some(20), 20)]
        {
            assert_eq!(from(wanted).expect("it is this log"), expected, "{wanted:?}");
        }
        assert!(matches!(from(Some(21)), Err(LogError::Fatal(_))));
    }
}
