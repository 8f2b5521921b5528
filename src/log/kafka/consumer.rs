//! A member of a consumer group, polled by one thread.

use super::brokers::KnownBrokers;
use super::client::{ClientSettings, tell};
use super::committed::{NextOffset, TopicIds};
use super::raw;
use super::statistics::{self, AtEnd};
use crate::log::position::Offset;
use crate::log::{
    CommitMode, Committed, Fetched, Headers, LogError, LogRecord, PollWait, Polled, Start, Topic,
    TopicPartition,
};
use crate::time::{Clock, ProcessingTime, Stopwatch, SystemClock};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::metadata::MetadataPartition;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset as KafkaOffset};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a poll waits for the first record.
const POLL_WAIT: Duration = Duration::from_millis(5);
/// How long look-ups on the broker may take.
const LOOKUP_WAIT: Duration = Duration::from_secs(10);
/// How long a poll waits for committed offsets: while a transaction is open they are not known, and others go on.
const STABLE_WAIT: Duration = Duration::from_millis(250);
/// After a commit was lost, before it is said again by itself.
const LOST_COMMIT_PAUSE: Duration = Duration::from_millis(200);
/// A member to whom nobody answers for so long is made anew. It owns nothing by then; a group that waits for its slowest member twice
/// takes a minute to form.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// After an error of the connection, before the next poll.
const OUTAGE_WAIT: Duration = Duration::from_millis(100);

/// What callbacks put into the queue.
enum Told {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
    /// Partitions at their end, and whether the group has formed and its coordinator answers.
    AtEnd(Vec<TopicPartition>, ProcessingTime, bool),
}

struct Callbacks {
    told: Mutex<Vec<Told>>,
    brokers: KnownBrokers,
    at_end: Mutex<AtEnd>,
    /// Of each partition, when it was last said.
    unread: Mutex<BTreeMap<TopicPartition, u64>>,
    connected: AtomicBool,
    /// How its connections stood lately, in one line.
    standing: Mutex<String>,
    /// The consumer is being closed: nobody polls any more, so revocations are answered at once.
    closing: AtomicBool,
}

impl ClientContext for Callbacks {
    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, statistics: &[u8]) {
        let Some(statistics) = statistics::Statistics::read(statistics) else { return };
        self.brokers.look(&statistics);
        let place = |topic: &str, number| Some(TopicPartition::new(Topic::from_name(topic)?, number));
        let unread =
            statistics.unread().filter_map(|(topic, number, records)| Some((place(topic, number)?, records)));
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = unread.collect();
        let mut at_end = self.at_end.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = at_end.partitions(&statistics).into_iter();
        let partitions = ended.filter_map(|(topic, number)| place(&topic, number)).collect();
        self.tell(Told::AtEnd(partitions, SystemClock.now(), statistics.is_in_group()));
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = statistics.standing();
    }

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tell(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for Callbacks {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.closing.load(Ordering::Relaxed) {
            if let Err(fault) = consumer.incremental_unassign(list) {
                tracing::debug!(%fault, "unassign while closing");
            }
            return;
        }
        let partitions = known_partitions(list);
        self.tell(match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Told::Assigned(partitions),
            _ if consumer.assignment_lost() => Told::Lost(partitions),
            _ => Told::Revoked(partitions),
        });
    }
}

impl Callbacks {
    fn tell(&self, told: Told) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }
}

/// Offsets for a transaction, with the member that commits them: the group refuses those of one that it has given up.
pub(super) struct GroupOffsets {
    pub(super) list: TopicPartitionList,
    pub(super) member: ConsumerGroupMetadata,
}

/// A member of a group.
pub(super) struct GroupConsumer {
    /// Before the consumer: it is dropped first.
    commits: raw::Commits,
    consumer: BaseConsumer<Callbacks>,
    /// Partitions to be assigned with their offsets; `None` when no assignment waits for an answer.
    answer: Option<Vec<(TopicPartition, KafkaOffset)>>,
    /// Assigned, and what was committed is not yet known.
    to_look_up: Vec<TopicPartition>,
    last_commit: Vec<(TopicPartition, Offset)>,
    /// A commit was lost; it is said again with the next one, or from this time on.
    say_again_at: Option<ProcessingTime>,
    /// Commits that were begun and not yet answered.
    outstanding: u32,
    /// Commits that the group has accepted.
    accepted: Vec<(TopicPartition, Offset)>,
    topic_ids: TopicIds,
    /// Since when nothing says that a broker answers and the group has formed.
    silent_since: Option<Stopwatch>,
}

impl GroupConsumer {
    pub(super) fn subscribe(
        settings: &ClientSettings,
        group: &str,
        topics: &[Topic],
    ) -> Result<GroupConsumer, LogError> {
        let callbacks = Callbacks {
            told: Mutex::default(),
            brokers: KnownBrokers::default(),
            at_end: Mutex::default(),
            unread: Mutex::default(),
            connected: AtomicBool::new(false),
            standing: Mutex::default(),
            closing: AtomicBool::new(false),
        };
        let consumer: BaseConsumer<Callbacks> =
            settings.consumer(group).create_with_context(callbacks).map_err(fatal)?;
        let names: Vec<_> = topics.iter().map(|topic| topic.name()).collect();
        consumer.subscribe(&names).map_err(fatal)?;
        Ok(GroupConsumer {
            commits: raw::Commits::of(&consumer),
            consumer,
            answer: None,
            to_look_up: Vec::new(),
            last_commit: Vec::new(),
            say_again_at: None,
            outstanding: 0,
            accepted: Vec::new(),
            topic_ids: settings.topic_ids.clone(),
            silent_since: None,
        })
    }

    pub(super) fn poll(
        &mut self,
        records_max: usize,
        wait: PollWait,
        into: &mut Vec<Polled>,
    ) -> Result<(), LogError> {
        self.consumer.context().brokers.check()?;
        self.check_silence()?;
        self.answer_assignment()?;
        let mut wait = if wait == PollWait::ALittle { POLL_WAIT } else { Duration::ZERO };
        for _ in 0..records_max {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    self.consumer.context().connected.store(true, Ordering::Relaxed);
                    into.extend(fetched(&message));
                }
                Some(Err(fault)) => self.judge(&fault)?,
            }
            wait = Duration::ZERO;
        }
        self.take_told(into)
    }

    /// Whatever the client library waits for in vain, another client does not.
    fn check_silence(&mut self) -> Result<(), LogError> {
        if self.is_connected() {
            self.silent_since = None;
            return Ok(());
        }
        if self.silent_since.get_or_insert_with(Stopwatch::start).elapsed() < SILENCE_MAX {
            return Ok(());
        }
        let standing = self.consumer.context().standing.lock().unwrap_or_else(PoisonError::into_inner);
        Err(LogError::Kafka(format!("no broker has answered for {} s: {standing}", SILENCE_MAX.as_secs())))
    }

    /// Tells apart what passes by itself and what ends the life.
    fn judge(&self, fault: &KafkaError) -> Result<(), LogError> {
        match fault {
            KafkaError::PartitionEOF(_) => Ok(()),
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve,
            ) => {
                if self.consumer.context().connected.swap(false, Ordering::Relaxed) {
                    tracing::warn!(%fault, "the broker does not answer; waiting for it");
                }
                std::thread::sleep(OUTAGE_WAIT);
                Ok(())
            }
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ) => Err(LogError::Fatal(format!(
                "{fault}: the offsets to be read next are no longer in the topic; restore it, or delete the \
                     application's internal topics and consumer groups to start anew"
            ))),
            KafkaError::MessageConsumptionFatal(_) => Err(LogError::Kafka(fault.to_string())),
            _ => {
                tracing::warn!(%fault, "poll");
                std::thread::sleep(OUTAGE_WAIT);
                Ok(())
            }
        }
    }

    fn take_told(&mut self, into: &mut Vec<Polled>) -> Result<(), LogError> {
        let told =
            std::mem::take(&mut *self.consumer.context().told.lock().unwrap_or_else(PoisonError::into_inner));
        for told in told {
            match told {
                Told::Assigned(partitions) => {
                    self.consumer.context().connected.store(true, Ordering::Relaxed);
                    self.answer.get_or_insert_default();
                    self.to_look_up.extend(partitions);
                }
                Told::Revoked(partitions) => {
                    tracing::info!(partitions = %named(&partitions), "revoked");
                    self.to_look_up.retain(|partition| !partitions.contains(partition));
                    into.push(Polled::Revoked(partitions));
                }
                Told::Lost(partitions) => {
                    tracing::warn!(partitions = %named(&partitions), "lost");
                    self.consumer.context().connected.store(false, Ordering::Relaxed);
                    self.to_look_up.retain(|partition| !partitions.contains(partition));
                    self.release(&partitions);
                    into.push(Polled::Lost(partitions));
                }
                Told::AtEnd(partitions, now, is_in_group) => {
                    // who was given nothing has no partition that could say so
                    let has_nothing = || self.consumer.assignment().is_ok_and(|all| all.count() == 0);
                    let answers = !partitions.is_empty() || is_in_group && has_nothing();
                    if answers && !self.consumer.context().connected.swap(true, Ordering::Relaxed) {
                        tracing::info!("the broker answers again");
                    }
                    into.extend(partitions.into_iter().map(|partition| Polled::AtEnd(partition, now)));
                }
            }
        }
        self.look_up(into)
    }

    /// Looks up what was committed of the partitions that were assigned; the next poll tries again where it is not
    /// known yet.
    fn look_up(&mut self, into: &mut Vec<Polled>) -> Result<(), LogError> {
        if self.to_look_up.is_empty() {
            return Ok(());
        }
        match self.committed(&self.to_look_up) {
            Ok(committed) => {
                tracing::info!(?committed, "assigned");
                for (partition, next) in committed {
                    into.push(match next {
                        // of an internal log what lies below it counts as done: its state is made again all the same
                        NextOffset::ByHand(offset) if Topic::RAW.contains(&partition.topic) => {
                            Polled::AssignedByHand(partition, offset)
                        }
                        next => Polled::Assigned(partition, next.or_lost(partition)?),
                    });
                }
                self.to_look_up.clear();
                Ok(())
            }
            Err(fault) if fault.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut) => {
                tracing::debug!(partitions = %named(&self.to_look_up), "committed offsets are not known yet");
                Ok(())
            }
            Err(fault) => Err(transient(fault)),
        }
    }

    /// How many records of each partition were not handed out yet, as far as the broker has said where it ends.
    pub(super) fn unread(&self) -> BTreeMap<TopicPartition, u64> {
        self.consumer.context().unread.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.consumer.context().connected.load(Ordering::Relaxed)
    }

    /// The group's committed offsets; waits a little until those of older transactions are resolved.
    fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, NextOffset)>, KafkaError> {
        let list = native_list(partitions.iter().map(|partition| (*partition, KafkaOffset::Invalid)))?;
        let committed = self.consumer.committed_offsets(list, STABLE_WAIT)?;
        Ok(committed
            .elements()
            .iter()
            .filter_map(|element| {
                let topic = Topic::from_name(element.topic())?;
                let partition = u32::try_from(element.partition()).ok()?;
                let next = self.topic_ids.judge(topic, element.offset(), element.metadata());
                Some((TopicPartition::new(topic, partition), next))
            })
            .collect())
    }

    pub(super) fn read_from(&mut self, partition: TopicPartition, start: Start) -> Result<(), LogError> {
        let name = partition.topic.name();
        let number = native_partition(partition);
        let found = self.consumer.fetch_watermarks(name, number, LOOKUP_WAIT);
        let (first, _) = found.map_err(|fault| match fault.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownPartition) if self.is_gone(partition) => {
                LogError::NoSuchPartition(partition)
            }
            _ => transient(fault),
        })?;
        let needed = match start {
            Start::Beginning => 0,
            Start::At(offset) => offset,
            Start::Earliest => first,
        };
        if needed < first {
            return Err(LogError::Retention { partition, needed, first });
        }
        self.answer.get_or_insert_default().push((partition, KafkaOffset::Offset(needed)));
        Ok(())
    }

    /// Whether the topic has partitions, and this is none of them. A broker that is just coming back knows of no partition
    /// for a moment.
    fn is_gone(&self, partition: TopicPartition) -> bool {
        let metadata = self.consumer.fetch_metadata(Some(partition.topic.name()), LOOKUP_WAIT);
        metadata.is_ok_and(|metadata| {
            metadata.topics().first().is_some_and(|topic| {
                let mut numbers = topic.partitions().iter().map(MetadataPartition::id).peekable();
                topic.error().is_none()
                    && numbers.peek().is_some()
                    && numbers.all(|number| number != native_partition(partition))
            })
        })
    }

    /// Answers the assignment of the last poll, with the offsets that the worker chose since.
    fn answer_assignment(&mut self) -> Result<(), LogError> {
        let Some(mut partitions) = self.answer.take() else { return Ok(()) };
        // after a failed generation the group may assign again what was never taken away
        let assigned = known_partitions(&self.consumer.assignment().map_err(transient)?);
        partitions.retain(|(partition, _)| !assigned.contains(partition));
        let list = native_list(partitions.into_iter()).map_err(transient)?;
        self.consumer.incremental_assign(&list).map_err(transient)
    }

    /// These offsets, as a member of this group commits them with a transaction.
    pub(super) fn group_offsets(
        &self,
        offsets: &[(TopicPartition, Offset)],
    ) -> Result<GroupOffsets, LogError> {
        let list = self.commit_list(offsets).map_err(transient)?;
        let member = self.consumer.group_metadata();
        let member = member.ok_or_else(|| LogError::Kafka("the group has no member of ours".to_owned()))?;
        Ok(GroupOffsets { list, member })
    }

    /// Offsets to commit, each with the ids that it rests on.
    fn commit_list(&self, offsets: &[(TopicPartition, Offset)]) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            let mut element = list.add_partition(partition.topic.name(), native_partition(*partition));
            element.set_offset(KafkaOffset::Offset(*offset))?;
            element.set_metadata(self.topic_ids.metadata(partition.topic));
        }
        Ok(list)
    }

    /// A transaction has committed these offsets.
    pub(super) fn committed_otherwise(&mut self, offsets: &[(TopicPartition, Offset)]) {
        self.accepted.extend(offsets);
    }

    pub(super) fn accepted(&mut self, into: &mut Vec<(TopicPartition, Offset)>) {
        self.take_answers();
        into.append(&mut self.accepted);
    }

    pub(super) fn release(&mut self, partitions: &[TopicPartition]) {
        if let Err(fault) = self.assign_what_was_not_read(partitions) {
            tracing::warn!(%fault, "letting partitions go");
        }
        let list = native_list(partitions.iter().map(|partition| (*partition, KafkaOffset::Invalid)));
        let done = list.and_then(|list| self.consumer.incremental_unassign(&list));
        if let Err(fault) = done {
            tracing::warn!(%fault, "letting partitions go");
        }
        self.last_commit.retain(|(partition, _)| !partitions.contains(partition));
    }

    /// The client takes back only what it was given: partitions that are revoked before they were read are given to
    /// it first.
    fn assign_what_was_not_read(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        if let Some(answer) = &mut self.answer {
            answer.retain(|(partition, _)| !partitions.contains(partition));
        }
        let assigned = known_partitions(&self.consumer.assignment().map_err(transient)?);
        let missing = partitions.iter().filter(|partition| !assigned.contains(partition));
        let list = native_list(missing.map(|partition| (*partition, KafkaOffset::End))).map_err(transient)?;
        if list.count() == 0 {
            return Ok(());
        }
        self.consumer.incremental_assign(&list).map_err(transient)
    }

    pub(super) fn commit(
        &mut self,
        offsets: &[(TopicPartition, Offset)],
        mode: CommitMode,
    ) -> Result<Committed, LogError> {
        self.take_answers();
        let now = SystemClock.now();
        let is_due = mode == CommitMode::Now || self.say_again_at.is_some_and(|again_at| now >= again_at);
        // who waits for the answer wants those of the commits before as well
        let is_open = mode == CommitMode::Now && self.outstanding > 0;
        if offsets.is_empty() && !is_open && !(self.say_again_at.is_some() && is_due) {
            return Ok(Committed::Taken);
        }
        for (partition, offset) in offsets {
            match self.last_commit.iter_mut().find(|(known, _)| known == partition) {
                Some(known) => known.1 = *offset,
                None => self.last_commit.push((*partition, *offset)),
            }
        }
        let says_again = self.say_again_at.take().is_some() || is_open;
        let list = if says_again { &self.last_commit } else { offsets };
        if list.is_empty() {
            return Ok(Committed::Taken);
        }
        let native = self.commit_list(list).map_err(transient)?;
        let outcome = match mode {
            CommitMode::Soon => {
                self.commits.begin(&self.consumer, &native).map_err(KafkaError::ConsumerCommit)
            }
            CommitMode::Now => self.consumer.commit(&native, rdkafka::consumer::CommitMode::Sync),
        };
        // a commit that is refused is harmless: the next owner does the same work again
        if let Err(fault) = outcome {
            self.commit_was_lost(&fault);
            return Ok(Committed::Refused);
        }
        match mode {
            CommitMode::Now => self.accepted.extend(list),
            CommitMode::Soon => self.outstanding += 1,
        }
        Ok(Committed::Taken)
    }

    /// Takes the answers to commits that nobody waited for.
    fn take_answers(&mut self) {
        while let Some((outcome, partitions)) = self.commits.answer() {
            self.outstanding = self.outstanding.saturating_sub(1);
            if let Err(code) = outcome {
                self.commit_was_lost(&KafkaError::ConsumerCommit(code));
            }
            for (topic, partition, offset, is_taken) in partitions {
                if !is_taken {
                    self.say_again_at.get_or_insert(SystemClock.now().plus(LOST_COMMIT_PAUSE));
                } else if let (Some(topic), Ok(partition)) =
                    (Topic::from_name(&topic), u32::try_from(partition))
                {
                    self.accepted.push((TopicPartition::new(topic, partition), offset));
                }
            }
        }
    }

    fn commit_was_lost(&mut self, fault: &KafkaError) {
        // a rebalance refuses all that are under way: one line says it
        if self.say_again_at.is_none() {
            tracing::warn!(%fault, "an offset commit was lost; it will be said again");
        }
        self.say_again_at.get_or_insert(SystemClock.now().plus(LOST_COMMIT_PAUSE));
    }
}

impl Drop for GroupConsumer {
    fn drop(&mut self) {
        self.consumer.context().closing.store(true, Ordering::Relaxed);
    }
}

pub(super) fn fetched(message: &BorrowedMessage<'_>) -> Option<Polled> {
    let topic = Topic::from_name(message.topic())?;
    let partition = u32::try_from(message.partition()).ok()?;
    let headers = match message.headers() {
        None => Headers::None,
        Some(_) => Headers::Verbatim(raw::headers(message)),
    };
    let record = LogRecord {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
        timestamp_ms: message.timestamp().to_millis(),
    };
    let partition = TopicPartition::new(topic, partition);
    Some(Polled::Record(Fetched { partition, offset: message.offset(), record: Arc::new(record) }))
}

fn named(partitions: &[TopicPartition]) -> String {
    partitions.iter().map(TopicPartition::to_string).collect::<Vec<_>>().join(" ")
}

fn known_partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements()
        .iter()
        .filter_map(|element| {
            let topic = Topic::from_name(element.topic())?;
            Some(TopicPartition::new(topic, u32::try_from(element.partition()).ok()?))
        })
        .collect()
}

fn native_list(
    partitions: impl Iterator<Item = (TopicPartition, KafkaOffset)>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        list.add_partition_offset(partition.topic.name(), native_partition(partition), offset)?;
    }
    Ok(list)
}

fn native_partition(partition: TopicPartition) -> i32 {
    i32::try_from(partition.partition).expect("Kafka counts partitions in 31 bits")
}

fn transient(fault: KafkaError) -> LogError {
    LogError::Kafka(fault.to_string())
}

fn fatal(fault: KafkaError) -> LogError {
    LogError::Fatal(fault.to_string())
}
