//! The whole engine over a log in memory, on a fixed schedule: so many records, then every stage in
//! partition order until nothing is left to do.
//!
//! One thread, no clock but the one the caller sets: the same input gives the same bytes.

use super::decide::{Decide, DecideTask};
use super::ingest::Ingest;
use super::keyed::{Keyed, KeyedTask};
use super::monitor::Monitor;
use super::settings::{FoldSettings, KnownTopic, Topology};
use super::worker::{Worker, WorkerError, WorkerSettings};
use crate::event::EntityKind;
use crate::fraud::gather::PartOutcome;
use crate::fraud::label::LabelEnd;
use crate::ledger::{Disposition, IngestLedger, KeyedLedger};
use crate::log::frame::{FoldVersion, Frame, Item, Life, Promise, Record};
use crate::log::memory::{Broker, Delivery, MemoryLog, SharedBroker};
use crate::log::position::Position;
use crate::log::{Destination, LogRecord, Start, Topic, TopicPartition};
use crate::time::EventTime;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_128;

/// How far time moves between two rounds: every round commits.
const ROUND: Duration = Duration::from_secs(1);

/// The groups of the stages.
pub const INGEST_GROUP: &str = "ingest";
/// See [`INGEST_GROUP`].
pub const KEYED_GROUP: &str = "keyed";
/// See [`INGEST_GROUP`].
pub const DECIDE_GROUP: &str = "decide";
/// See [`INGEST_GROUP`].
pub const MONITOR_GROUP: &str = "monitor";

/// Numbers of partitions of a log in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitions {
    /// Of each raw topic.
    pub raw: u32,
    /// Of each internal topic.
    pub internal: u32,
    /// Of each public topic.
    pub public: u32,
}

/// A topology in memory: ids are hashes of names, so that the same input gives the same ids.
#[must_use]
pub fn topology(partitions: Partitions) -> Topology {
    let count = |topic: Topic| match topic {
        Topic::Linked | Topic::Entity | Topic::Decision | Topic::Monitor => partitions.internal,
        topic if Topic::PUBLIC.contains(&topic) => partitions.public,
        _ => partitions.raw,
    };
    let known = |topic: Topic| KnownTopic { id: xxh3_128(topic.name().as_bytes()), partitions: count(topic) };
    Topology { topics: Topic::ALL.into_iter().map(|topic| (topic, known(topic))).collect() }
}

/// A broker for `topology`, with the stages' groups.
#[must_use]
pub fn broker(topology: &Topology, delivery: Delivery) -> Broker {
    let topics: Vec<_> = topology.topics.iter().map(|(topic, known)| (*topic, known.partitions)).collect();
    let mut broker = Broker::new(&topics, delivery);
    broker.group(INGEST_GROUP, &Topic::RAW);
    broker.group(KEYED_GROUP, &[Topic::Entity]);
    broker.group(DECIDE_GROUP, &[Topic::Decision]);
    broker.group(MONITOR_GROUP, &[Topic::Monitor]);
    broker
}

/// The engine over memory.
pub struct Engine {
    broker: SharedBroker,
    topology: Arc<Topology>,
    fold: FoldVersion,
    ingest: Worker<Ingest, MemoryLog>,
    keyed: Worker<Keyed, MemoryLog>,
    decide: Worker<Decide, MemoryLog>,
    monitor: Worker<Monitor, MemoryLog>,
    read: BTreeMap<TopicPartition, i64>,
}

/// What the engine counted.
#[derive(Debug, Clone, Default)]
pub struct EngineLedger {
    /// Of the records that came in.
    pub ingest: IngestLedger,
    /// Of what keyed wrote back to ingest: links and, by them, events on their way to their customers.
    pub linked: IngestLedger,
    /// Of the copies.
    pub keyed: KeyedLedger,
    /// Of the decisions.
    pub decisions: DecisionLedger,
    /// Of the labels.
    pub labels: LabelLedger,
    /// What models that run elsewhere have said.
    pub predictions: u64,
}

/// What became of the payments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecisionLedger {
    /// Decided with every part.
    pub whole: u64,
    /// Decided at the deadline.
    pub without_parts: u64,
    /// Still waiting.
    pub open: u64,
    /// Parts of another event with the payment id of a decision: a producer used the id twice.
    pub foreign_parts: u64,
    /// Second parts of one kind.
    pub repeated_parts: u64,
    /// Parts that came after their decision.
    pub late_parts: u64,
}

/// What became of the labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelLedger {
    /// Where they ended.
    pub ended: BTreeMap<LabelEnd, u64>,
    /// Waiting for their decision.
    pub parked: u64,
    /// Decisions that wait for their label.
    pub unlabelled: u64,
}

impl LabelLedger {
    /// How many ended so.
    #[must_use]
    pub fn ended(&self, end: LabelEnd) -> u64 {
        self.ended.get(&end).copied().unwrap_or(0)
    }

    /// All that came.
    #[must_use]
    pub fn came(&self) -> u64 {
        self.parked + self.ended.values().sum::<u64>()
    }
}

impl Engine {
    /// A fresh engine; `idle_timeout` and `deadline` are counted in the time the caller sets.
    #[must_use]
    pub fn new(
        settings: &Arc<FoldSettings>,
        partitions: Partitions,
        idle_timeout: Duration,
        deadline: Duration,
    ) -> Engine {
        let topology = Arc::new(topology(partitions));
        let broker = broker(&topology, Delivery::AtOnce).shared();
        let worker_settings = |life: u64| WorkerSettings {
            life: Life(life),
            commit_interval: ROUND,
            idle_timeout,
            decision_deadline: deadline,
            exactly_once: Vec::new(),
            anew: BTreeMap::new(),
        };
        let ingest = Ingest::new(settings.clone(), topology.clone(), Start::Earliest);
        let keyed = Keyed::new(settings.clone(), topology.clone());
        let decide = Decide::new(settings.clone(), topology.clone());
        let monitor = Monitor::new(settings.clone(), topology.clone());
        let log = |group, life| MemoryLog::join(&broker, group, Life(life));
        let mut engine = Engine {
            fold: settings.fold_version(&topology),
            ingest: Worker::new(ingest, log(INGEST_GROUP, 1), worker_settings(1)),
            keyed: Worker::new(keyed, log(KEYED_GROUP, 2), worker_settings(2)),
            decide: Worker::new(decide, log(DECIDE_GROUP, 3), worker_settings(3)),
            monitor: Worker::new(monitor, log(MONITOR_GROUP, 4), worker_settings(4)),
            broker: broker.clone(),
            topology,
            read: BTreeMap::new(),
        };
        engine.until_quiet().expect("taking over empty partitions does not fail");
        engine
    }

    /// Another engine that has had the same history, and goes on by itself.
    #[must_use]
    pub fn branch(&self) -> Engine {
        let broker = self.broker.borrow().clone().shared();
        Engine {
            topology: self.topology.clone(),
            fold: self.fold,
            ingest: self.ingest.branch(|log| log.over(&broker)),
            keyed: self.keyed.branch(|log| log.over(&broker)),
            decide: self.decide.branch(|log| log.over(&broker)),
            monitor: self.monitor.branch(|log| log.over(&broker)),
            read: self.read.clone(),
            broker,
        }
    }

    /// The broker, for producing raw records and setting the time.
    #[must_use]
    pub fn broker(&self) -> &SharedBroker {
        &self.broker
    }

    /// Appends a raw record.
    pub fn append(&mut self, destination: &Destination, record: LogRecord) {
        self.broker.borrow_mut().append(destination, record);
    }

    /// Folds what was appended, also for the customers whom it is linked to: what is appended next comes after all of it.
    ///
    /// # Errors
    ///
    /// As [`Engine::round`].
    pub fn fold(&mut self) -> Result<(), WorkerError> {
        // keyed writes to ingest what goes on to linked customers, and that goes no further
        while self.ingest.cycle()? + self.keyed.cycle()? > 0 {}
        Ok(())
    }

    /// Runs every stage until nothing is left to do, then lets a round's time pass and commits.
    ///
    /// # Errors
    ///
    /// [`WorkerError`]: memory does not fail, so this is a fault of the log's content.
    pub fn round(&mut self) -> Result<(), WorkerError> {
        self.broker.borrow_mut().advance(ROUND);
        self.until_quiet()?;
        self.trim();
        Ok(())
    }

    /// Runs every stage until nothing is left to do, without letting time pass.
    ///
    /// # Errors
    ///
    /// As [`Engine::round`].
    pub fn until_quiet(&mut self) -> Result<(), WorkerError> {
        self.fold()?;
        // decide and monitor write to each other; a label leads to weights, and these to nothing
        while self.decide.cycle()? + self.monitor.cycle()? > 0 {}
        Ok(())
    }

    /// Says that the input has ended: every source promises the end of time, and what is open closes.
    ///
    /// # Errors
    ///
    /// As [`Engine::round`].
    pub fn end_of_time(&mut self) -> Result<(), WorkerError> {
        self.round()?;
        self.round()?;
        self.promise_the_end(Topic::RAW.as_slice(), Topic::Entity);
        self.round()?;
        self.round()
    }

    /// Appends to each partition of `log` a promise of the end of time by all its sources.
    fn promise_the_end(&mut self, sources: &[Topic], log: Topic) {
        let sources = self.topology.sources(sources);
        let ends: Vec<(_, Position)> =
            sources.iter().map(|(id, topic)| (*id, self.end_of(*id, topic))).collect();
        for partition in 0..self.topology.partitions(log) {
            let promise = Promise::Watermark(EventTime::MAX);
            let frame = |(source, end): &(_, Position)| {
                Item::Frame(Frame { source: *source, from: *end, to: *end, promise, count: 0, events: &[] })
            };
            let mut items = vec![Item::Join(sources.clone())];
            items.extend(ends.iter().map(frame));
            let value = Record { life: Life(u64::MAX), fold: self.fold, items }.encode();
            let record = LogRecord { value: Some(value), ..LogRecord::default() };
            self.append(&Destination::Partition(TopicPartition::new(log, partition)), record);
        }
    }

    fn end_of(&self, source: crate::log::frame::SourceId, topic: &str) -> Position {
        let topic = Topic::from_name(topic).expect("a source's topic is one of ours");
        Position::committed(self.broker.borrow().end_offset(TopicPartition::new(topic, source.partition)))
    }

    /// Hands out the public records published since the last call, in the order of topics and partitions.
    pub fn take_public(&mut self, mut each: impl FnMut(TopicPartition, &LogRecord)) {
        let mut broker = self.broker.borrow_mut();
        for topic in Topic::PUBLIC {
            for partition in 0..broker.partitions(topic) {
                let partition = TopicPartition::new(topic, partition);
                let from = self.read.get(&partition).copied().unwrap_or(0);
                let next = broker.fetch(partition, from, usize::MAX, |_, record| each(partition, &record));
                self.read.insert(partition, next);
                broker.cut_below(partition, next);
            }
        }
    }

    /// Drops what every stage has committed: this engine never reads it again.
    pub fn trim(&mut self) {
        let mut broker = self.broker.borrow_mut();
        for (group, topics) in [
            (INGEST_GROUP, &Topic::RAW[..]),
            (KEYED_GROUP, &[Topic::Entity]),
            (DECIDE_GROUP, &[Topic::Decision]),
            (MONITOR_GROUP, &[Topic::Monitor]),
        ] {
            for topic in topics {
                for partition in 0..broker.partitions(*topic) {
                    let partition = TopicPartition::new(*topic, partition);
                    if let Some(committed) = broker.committed(group, partition) {
                        broker.cut_below(partition, committed);
                    }
                }
            }
        }
    }

    /// What was counted.
    #[must_use]
    pub fn ledger(&self) -> EngineLedger {
        let mut ledger = EngineLedger::default();
        for (partition, task, ..) in self.ingest.tasks() {
            let came = if partition.topic == Topic::Linked { &mut ledger.linked } else { &mut ledger.ingest };
            came.add(&task.ledger);
        }
        for (_, task, ..) in self.keyed.tasks() {
            ledger.keyed.add(&task.ledger);
        }
        for (_, task, ..) in self.decide.tasks() {
            ledger.decisions.whole += task.decided_whole;
            ledger.decisions.without_parts += task.decided_without;
            ledger.decisions.open += task.open_gathers();
            let parts = |outcome| task.parts.get(&outcome).copied().unwrap_or(0);
            ledger.decisions.foreign_parts += parts(PartOutcome::Foreign);
            ledger.decisions.repeated_parts += parts(PartOutcome::Repeated);
            ledger.decisions.late_parts += parts(PartOutcome::Late);
            for (end, count) in &task.labels {
                *ledger.labels.ended.entry(*end).or_default() += count;
            }
            ledger.predictions += task.predictions;
            ledger.labels.parked += task.parked_labels;
            ledger.labels.unlabelled += task.unlabelled;
        }
        ledger
    }

    /// The tasks of the keyed stage.
    pub fn keyed_tasks(&self) -> impl Iterator<Item = &KeyedTask> {
        self.keyed.tasks().map(|(_, task, ..)| task)
    }

    /// The tasks of the decide stage.
    pub fn decide_tasks(&self) -> impl Iterator<Item = &DecideTask> {
        self.decide.tasks().map(|(_, task, ..)| task)
    }
}

impl EngineLedger {
    /// Whether both sums agree, every copy that was sent has ended somewhere, and every label that went on to its decision.
    #[must_use]
    pub fn balances(&self) -> bool {
        let passed_on = |end| self.keyed.ended(EntityKind::Payment, end);
        let told = passed_on(Disposition::Applied) + passed_on(Disposition::LateApplied);
        self.ingest.balances()
            && self.linked.balances()
            && self.keyed.balances()
            && EntityKind::ALL.into_iter().all(|kind| self.copies(kind) == self.keyed.copies(kind))
            && told == self.labels.came() + self.predictions
    }

    /// Copies sent to entities of that kind.
    #[must_use]
    pub fn copies(&self, kind: EntityKind) -> u64 {
        self.ingest.copies(kind) + self.linked.copies(kind)
    }
}
