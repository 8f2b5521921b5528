//! The world of a simulation: a broker, members of three groups, zombies, and what happens to them.

use super::input::Raw;
use crate::checkpoint::Keeper;
use crate::checkpoint::memory::{MemoryFolder, SharedStorage, Storage};
use crate::drift::DriftSettings;
use crate::drift::settings::{Cycle, Least};
use crate::drift::watch::Season;
use crate::engine::checkpointing::Cadence;
use crate::engine::checkpoints::OnTheSpot;
use crate::engine::decide::Decide;
use crate::engine::ingest::Ingest;
use crate::engine::keyed::Keyed;
use crate::engine::monitor::Monitor;
use crate::engine::process::{
    DECIDE_GROUP, INGEST_GROUP, KEYED_GROUP, MONITOR_GROUP, Partitions, broker, topology,
};
use crate::engine::settings::{FoldSettings, Topology};
use crate::engine::stage::Stage;
use crate::engine::worker::{Worker, WorkerError, WorkerSettings};
use crate::fraud::model::ModelSpec;
use crate::generate::random::Random;
use crate::log::frame::Life;
use crate::log::memory::{Delivery, Ending, Landing, MemoryLog, SharedBroker, Transaction};
use crate::log::position::Offset;
use crate::log::{Destination, LogRecord, Start, Topic, TopicPartition};
use crate::rules_of_the_protocol::{Rule, without};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Steps of a storm, unless it is shrunk.
pub(super) const STEPS: u64 = 1_500;
/// Kinds of trouble that can be left out of a storm: see [`World::storm`].
pub(super) const TROUBLES: [&str; 10] = [
    "appends that fail",
    "late and lost commits",
    "transactions that go wrong",
    "time that jumps",
    "storage that fails",
    "damaged files or retention",
    "crashes",
    "zombies",
    "clean leaves",
    "aborted input",
];
/// Rounds of calm, at most, and how often the oracle looks; deadlines and idle timeouts pass within the first look.
const CALM_ROUNDS: usize = 120;
const LOOK_EVERY: usize = 40;
/// Rounds of calm in the middle of a storm: time goes on, so that labels count and the model of the second half has learned.
const LULL_ROUNDS: usize = 30;
const PARTITIONS: Partitions = Partitions { raw: 2, internal: 2, public: 1 };
const CADENCE: Cadence = Cadence { interval: Duration::from_millis(700), bytes: 2_000 };
/// What the storage of checkpoints tells a worker per cycle: a chain comes in several.
const TOLD_PER_CALL: usize = 2;
const GROUPS: [&str; 4] = [INGEST_GROUP, KEYED_GROUP, DECIDE_GROUP, MONITOR_GROUP];

/// How often what was done to the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) crashes: u64,
    pub(super) zombies: u64,
    pub(super) failed: u64,
    pub(super) unseen: u64,
    pub(super) commits_lost: u64,
    pub(super) commits_late: u64,
    pub(super) clean_leaves: u64,
    pub(super) aborted: u64,
    pub(super) checkpoints: u64,
    pub(super) files_damaged: u64,
    pub(super) storage_away: u64,
    pub(super) cut_by_retention: u64,
    pub(super) transactions_aborted: u64,
    pub(super) transactions_unseen: u64,
    pub(super) transactions_left_open: u64,
    pub(super) jumps: u64,
}

impl Faults {
    pub(super) fn add(&mut self, other: &Faults) {
        self.crashes += other.crashes;
        self.zombies += other.zombies;
        self.failed += other.failed;
        self.unseen += other.unseen;
        self.commits_lost += other.commits_lost;
        self.commits_late += other.commits_late;
        self.clean_leaves += other.clean_leaves;
        self.aborted += other.aborted;
        self.checkpoints += other.checkpoints;
        self.files_damaged += other.files_damaged;
        self.storage_away += other.storage_away;
        self.cut_by_retention += other.cut_by_retention;
        self.transactions_aborted += other.transactions_aborted;
        self.transactions_unseen += other.transactions_unseen;
        self.transactions_left_open += other.transactions_left_open;
        self.jumps += other.jumps;
    }
}

/// A worker of any stage, one step of its cycle at a time.
trait Member {
    fn step(&mut self, phase: u8) -> Result<(), WorkerError>;
    fn drain(&mut self) -> Result<(), WorkerError>;
}

impl<S: Stage> Member for Worker<S, MemoryLog> {
    fn step(&mut self, phase: u8) -> Result<(), WorkerError> {
        match phase {
            0 => self.poll_and_fold().map(|_| ()),
            1 => self.send(),
            _ => self.settle(),
        }
    }

    fn drain(&mut self) -> Result<(), WorkerError> {
        Worker::stop(self, Duration::from_millis(50))
    }
}

struct Seat {
    group: &'static str,
    /// Under which name it has transactions.
    slot: usize,
    life: Life,
    phase: u8,
    worker: Box<dyn Member>,
}

pub(super) struct World {
    pub(super) broker: SharedBroker,
    pub(super) settings: Arc<FoldSettings>,
    pub(super) topology: Arc<Topology>,
    /// What was produced and not aborted.
    pub(super) produced: Vec<Raw>,
    pub(super) faults: Faults,
    /// What is published exactly once.
    pub(super) exactly_once: &'static [Topic],
    input: std::vec::IntoIter<Raw>,
    transaction: Option<(Transaction, Vec<Raw>)>,
    seats: Vec<Seat>,
    zombies: Vec<Seat>,
    lives: u64,
    storage: SharedStorage,
    /// What retention has cut off, for the oracle.
    archive: BTreeMap<TopicPartition, Vec<(Offset, Arc<LogRecord>)>>,
    /// Either retention cuts the logs up to the checkpoints, or checkpoints get damaged: both at once is more than
    /// anybody promises to survive.
    retention_cuts: bool,
    /// The troubles that are left out, by bit.
    without: u16,
}

/// A model that learns from a few labels, so that decisions wait for no more.
const MODEL: &str =
    "{name: online, inputs: [amount_minor, hour_utc, card_velocity__count_1h, card_labels__fraud_sum_30d],
    crosses: [[hour_utc, card_velocity__count_1h]], min_labels: 1, min_frauds: 0, publish_after: 1}";

/// What is usual is usual for three quarters of an hour.
pub(super) const CYCLE: Cycle =
    Cycle { season: Season { days: 1, slots_per_day: 4 }, length: Duration::from_secs(45 * 60) };

/// Watches that have learned after two hours, and that think little of false alarms.
fn drift() -> DriftSettings {
    const MINUTE: Duration = Duration::from_secs(60);
    DriftSettings {
        is_watched: true,
        window: MINUTE * 40,
        allowed_lateness: MINUTE * 60,
        segments: Vec::new(),
        false_pages_per_month: 4_800.0,
        labels_between_false_alarms: 8.0,
        learn: MINUTE * 80,
        pinned: None,
        resolve_after: MINUTE * 40,
        adopt_after: MINUTE * 90,
        cycle: CYCLE,
        least: Least {
            values: 8,
            windows: 2,
            expected: 2.0,
            warm_up_samples: 4,
            older_samples: 4.0,
            scored_samples: 4,
        },
    }
}

/// Views and rules of its own, with so much allowed lateness that only what is meant to be is late, and ids that are remembered for as
/// long as it lasts.
fn settings() -> Arc<FoldSettings> {
    static SETTINGS: OnceLock<Arc<FoldSettings>> = OnceLock::new();
    SETTINGS
        .get_or_init(|| {
            let tree = serde_json::json!({
                "sessions": {"allowed_lateness": "1h"}, "dedup": {"horizon": "12h"},
                "features": "features.yaml", "rules": "rules.yaml",
            });
            let tree = tree.as_object().expect("an object");
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/simulation");
            let config = crate::config::resolve(tree, &folder).expect("a good configuration");
            let mut fold = Arc::into_inner(config.fold).expect("nobody else has it");
            fold.drift = drift();
            let spec: ModelSpec = serde_saphyr::from_str(MODEL).expect("a model");
            fold.model = Some(spec.compile(&fold.plan.feature_names()).expect("a good model"));
            Arc::new(fold)
        })
        .clone()
}

impl World {
    pub(super) fn new(input: Vec<Raw>, retention_cuts: bool, exactly_once: &'static [Topic]) -> World {
        let topology = Arc::new(topology(PARTITIONS));
        World {
            broker: broker(&topology, Delivery::Held).shared(),
            settings: settings(),
            topology,
            produced: Vec::new(),
            faults: Faults::default(),
            exactly_once,
            input: input.into_iter(),
            transaction: None,
            seats: Vec::new(),
            zombies: Vec::new(),
            lives: 0,
            storage: Storage::shared(),
            archive: BTreeMap::new(),
            retention_cuts,
            without: 0,
        }
    }

    /// Things happen, good and bad: `steps` of them, without the troubles whose bits are in `without`.
    pub(super) fn storm(&mut self, random: &mut Random, steps: u64, without: u16) {
        self.without = without;
        for step in 0..steps {
            if step == steps / 2 {
                (0..LULL_ROUNDS).for_each(|_| self.calm_round());
            }
            match random.below(100) {
                0..12 => self.produce(random),
                12..60 => self.step_someone(random),
                60..84 => self.land_something(random),
                84..86 => self.land_a_commit(random),
                86 | 87 if self.has(2) => self.transactions_go_wrong(random),
                88 | 89 => self.broker.borrow_mut().advance(Duration::from_millis(random.below(700))),
                90 if self.has(3) => self.time_jumps(random),
                91 if self.has(4) => self.storage_goes_away_or_comes_back(random),
                92 if self.has(5) && self.retention_cuts => self.retention_cuts_a_log(random),
                92 if self.has(5) => self.damage_a_file(random),
                93 if self.has(6) => self.crash_someone(random),
                94 if self.has(7) => self.declare_someone_dead(random),
                95 if self.has(8) => self.leave_cleanly(random),
                86 | 87 | 90..=95 => {}
                _ => self.someone_joins(random),
            }
        }
    }

    fn has(&self, trouble: u16) -> bool {
        self.without & (1 << trouble) == 0
    }

    /// A process that stood still: an hour is gone between two of its steps, and is no evidence of anything.
    fn time_jumps(&mut self, random: &mut Random) {
        let by = if random.below(4) == 0 { random.below(3_600_000) } else { random.below(700) };
        self.faults.jumps += u64::from(by > 5_000);
        self.broker.borrow_mut().advance(Duration::from_millis(by));
    }

    /// Nothing bad happens any more; everything must come to its end, and the oracle must agree.
    pub(super) fn calm(&mut self) -> Result<(), String> {
        for zombie in std::mem::take(&mut self.zombies) {
            drop(zombie);
        }
        while self.produce_next(false) {}
        self.end_transaction(true);
        self.storage_is_well();
        let mut wrong = Err("never looked at".to_owned());
        for round in 1..=CALM_ROUNDS {
            self.calm_round();
            if round % LOOK_EVERY == 0 {
                wrong = super::check::check(self);
                if wrong.is_ok() {
                    break;
                }
            }
        }
        wrong
    }

    fn calm_round(&mut self) {
        for group in GROUPS {
            if !self.seats.iter().any(|seat| seat.group == group) {
                self.join(group);
            }
        }
        for place in (0..self.seats.len()).rev() {
            for _ in 0..3 {
                if !self.step(place) {
                    break;
                }
            }
        }
        self.land_everything();
        self.broker.borrow_mut().advance(Duration::from_millis(400));
    }

    /// Counts what only the storage and the broker know.
    pub(super) fn count_the_rest(&mut self) {
        [
            self.faults.transactions_aborted,
            self.faults.transactions_unseen,
            self.faults.transactions_left_open,
        ] = self.broker.borrow().transactions_that_ended_badly();
        self.faults.checkpoints = self.storage.borrow().files().count() as u64;
    }

    /// What storage holds, as a keeper of its own sees it.
    pub(super) fn keeper(&self) -> Keeper<MemoryFolder> {
        Keeper::new(MemoryFolder(self.storage.clone()))
    }

    /// Covers the bytes of every topic.
    pub(super) fn digest(&self) -> u64 {
        let mut bytes = Vec::new();
        let broker = self.broker.borrow();
        for topic in Topic::ALL {
            for partition in 0..broker.partitions(topic) {
                let partition = TopicPartition::new(topic, partition);
                broker.fetch(partition, broker.first_offset(partition), usize::MAX, |_, record| {
                    bytes.extend_from_slice(record.key.as_deref().unwrap_or_default());
                    bytes.extend_from_slice(record.value.as_deref().unwrap_or_default());
                });
            }
        }
        xxhash_rust::xxh3::xxh3_64(&bytes)
    }

    fn produce(&mut self, random: &mut Random) {
        match random.below(12) {
            0 if self.transaction.is_none() => {
                let transaction = self.broker.borrow_mut().begin();
                self.transaction = Some((transaction, Vec::new()));
            }
            1 | 2 => {
                let commits = random.below(3) > 0 || !self.has(9);
                self.end_transaction(commits);
            }
            other => {
                for _ in 0..=random.below(2) {
                    self.produce_next(other > 8);
                }
            }
        }
    }

    fn produce_next(&mut self, in_transaction: bool) -> bool {
        let Some((topic, record)) = self.input.next() else { return false };
        let mut broker = self.broker.borrow_mut();
        match &mut self.transaction {
            Some((transaction, records)) if in_transaction => {
                broker.append_in(*transaction, &Destination::ByKey(topic), record.clone());
                records.push((topic, record));
            }
            _ => {
                broker.append(&Destination::ByKey(topic), record.clone());
                self.produced.push((topic, record));
            }
        }
        true
    }

    fn end_transaction(&mut self, commits: bool) {
        if let Some((transaction, records)) = self.transaction.take() {
            self.broker.borrow_mut().end(transaction, commits);
            if commits {
                self.produced.extend(records);
            } else {
                self.faults.aborted += 1;
            }
        }
    }

    fn step_someone(&mut self, random: &mut Random) {
        let all = self.seats.len() + self.zombies.len();
        if all == 0 {
            return;
        }
        let place = index(random, all);
        if place < self.seats.len() {
            self.step(place);
        } else {
            let place = place - self.seats.len();
            let zombie = &mut self.zombies[place];
            let outcome = zombie.worker.step(zombie.phase);
            zombie.phase = (zombie.phase + 1) % 3;
            if outcome.is_err() || random.below(30) == 0 {
                drop(self.zombies.remove(place));
            }
        }
    }

    /// One step of a member's cycle; a life that ends leaves its seat. Returns whether it lives.
    fn step(&mut self, place: usize) -> bool {
        let seat = &mut self.seats[place];
        let outcome = seat.worker.step(seat.phase);
        seat.phase = (seat.phase + 1) % 3;
        if outcome.is_err() {
            let seat = self.seats.remove(place);
            self.broker.borrow_mut().leave(seat.group, seat.life);
            return false;
        }
        true
    }

    fn land_something(&mut self, random: &mut Random) {
        let flights: Vec<_> = self.broker.borrow().in_flight().collect();
        if flights.is_empty() {
            return;
        }
        let (life, partition, waiting) = flights[index(random, flights.len())];
        // a frame that fails in front of others is worse than a public record that does
        let is_followed = waiting > 1 && [Topic::Entity, Topic::Decision].contains(&partition.topic);
        let landing = match random.below(if is_followed { 8 } else { 40 }) {
            0 | 1 if !self.has(0) => Landing::Appended,
            0 => Landing::Failed,
            1 => Landing::Unseen,
            _ => Landing::Appended,
        };
        match landing {
            Landing::Failed => self.faults.failed += 1,
            Landing::Unseen => self.faults.unseen += 1,
            Landing::Appended => {}
        }
        self.broker.borrow_mut().land(life, partition, landing, index(random, waiting));
    }

    fn land_a_commit(&mut self, random: &mut Random) {
        let held = self.broker.borrow().held_commits();
        if held == 0 {
            return;
        }
        let (mut place, mut lands) = (index(random, held), random.below(5) > 0);
        if !self.has(1) {
            (place, lands) = (0, true);
        }
        self.faults.commits_lost += u64::from(!lands);
        self.faults.commits_late += u64::from(place > 0);
        self.broker.borrow_mut().land_commit(place, lands);
    }

    /// The next transaction does not end well, or the broker ends those that were left open.
    fn transactions_go_wrong(&mut self, random: &mut Random) {
        let mut broker = self.broker.borrow_mut();
        if broker.left_open() > 0 && random.below(2) == 0 {
            broker.end_what_was_left_open();
            return;
        }
        let ending = match random.below(7) {
            0 => Ending::Aborts,
            1 => Ending::Unseen,
            2 => Ending::Open { prepared: false },
            3 => Ending::Open { prepared: true },
            _ => Ending::Commits,
        };
        broker.end_next_transaction(ending);
    }

    fn land_everything(&mut self) {
        loop {
            let flights: Vec<_> = self.broker.borrow().in_flight().collect();
            if flights.is_empty() {
                break;
            }
            for (life, partition, _) in flights {
                self.broker.borrow_mut().land(life, partition, Landing::Appended, 0);
            }
        }
        while self.broker.borrow().held_commits() > 0 {
            self.broker.borrow_mut().land_commit(0, true);
        }
        self.broker.borrow_mut().end_next_transaction(Ending::Commits);
        self.broker.borrow_mut().end_what_was_left_open();
    }

    /// The process is gone between two steps; its requests in flight may still land.
    fn crash_someone(&mut self, random: &mut Random) {
        if let Some(seat) = self.take_seat(random) {
            self.faults.crashes += 1;
            self.broker.borrow_mut().leave(seat.group, seat.life);
        }
    }

    /// The group gives a member up; the member goes on for a while.
    fn declare_someone_dead(&mut self, random: &mut Random) {
        if let Some(seat) = self.take_seat(random) {
            self.faults.zombies += 1;
            self.broker.borrow_mut().leave(seat.group, seat.life);
            self.zombies.push(seat);
        }
    }

    fn leave_cleanly(&mut self, random: &mut Random) {
        if let Some(mut seat) = self.take_seat(random) {
            self.faults.clean_leaves += 1;
            drop(seat.worker.drain());
            self.broker.borrow_mut().leave(seat.group, seat.life);
        }
    }

    fn storage_is_well(&mut self) {
        let mut storage = self.storage.borrow_mut();
        (storage.fails, storage.tears_at) = (false, None);
    }

    /// The disk is full, a loss of power cuts files off, or all is well again.
    fn storage_goes_away_or_comes_back(&mut self, random: &mut Random) {
        let mut storage = self.storage.borrow_mut();
        storage.fails = random.below(3) == 0;
        storage.tears_at = (random.below(3) == 0).then(|| index(random, 400));
        self.faults.storage_away += u64::from(storage.fails);
    }

    fn damage_a_file(&mut self, random: &mut Random) {
        let mut storage = self.storage.borrow_mut();
        let files: Vec<_> = storage.files().map(|(task, name, _)| (task, name.to_owned())).collect();
        if files.is_empty() {
            return;
        }
        let (task, name) = &files[index(random, files.len())];
        let Some(bytes) = storage.file_mut(*task, name).filter(|bytes| !bytes.is_empty()) else { return };
        let place = index(random, bytes.len());
        if random.below(2) == 0 {
            bytes[place] ^= 1 << random.below(8);
        } else {
            bytes.truncate(place);
        }
        self.faults.files_damaged += 1;
    }

    /// Cuts an internal log up to the newest checkpoint of its task.
    fn retention_cuts_a_log(&mut self, random: &mut Random) {
        let topic = [Topic::Entity, Topic::Decision, Topic::Monitor][index(random, 3)];
        let number = u32::try_from(random.below(u64::from(PARTITIONS.internal))).expect("small");
        let partition = TopicPartition::new(topic, number);
        let task = self.topology.source(partition);
        let offsets = |storage: &Storage| {
            let of_task = storage.files().filter(|(of, ..)| *of == task);
            of_task.filter_map(|(_, name, _)| name.get(..20)?.parse::<Offset>().ok()).max()
        };
        let Some(newest) = offsets(&self.storage.borrow()) else { return };
        let mut broker = self.broker.borrow_mut();
        let archive = self.archive.entry(partition).or_default();
        broker.fetch(partition, broker.first_offset(partition), usize::MAX, |offset, record| {
            if offset < newest {
                archive.push((offset, record));
            }
        });
        broker.cut_below(partition, newest);
        self.faults.cut_by_retention += 1;
    }

    fn take_seat(&mut self, random: &mut Random) -> Option<Seat> {
        if self.seats.is_empty() { None } else { Some(self.seats.remove(index(random, self.seats.len()))) }
    }

    fn someone_joins(&mut self, random: &mut Random) {
        let group = GROUPS[index(random, GROUPS.len())];
        if self.seats.iter().filter(|seat| seat.group == group).count() < 2 {
            self.join(group);
        }
    }

    fn join(&mut self, group: &'static str) {
        let taken: Vec<_> =
            self.seats.iter().filter(|seat| seat.group == group).map(|seat| seat.slot).collect();
        let slot = (0..=taken.len()).find(|slot| !taken.contains(slot)).expect("one is free");
        self.lives += 1;
        let life = Life(self.lives);
        let worker_settings = WorkerSettings {
            life,
            commit_interval: Duration::from_millis(300),
            idle_timeout: Duration::from_millis(500),
            decision_deadline: Duration::from_millis(800),
            exactly_once: self.exactly_once.to_vec(),
            anew: BTreeMap::new(),
        };
        let log = MemoryLog::join_with_transactions(&self.broker, group, life, &format!("{group}-{slot}"));
        let (settings, topology) = (self.settings.clone(), self.topology.clone());
        let storage = Box::new(OnTheSpot::new(MemoryFolder(self.storage.clone()), TOLD_PER_CALL));
        let worker: Box<dyn Member> = match group {
            INGEST_GROUP => {
                let mut stage = Ingest::new(settings, topology, Start::Earliest);
                stage.misroute = u32::from(without(Rule::RoutingByTheRecord) && life.0.is_multiple_of(2));
                Box::new(Worker::new(stage, log, worker_settings).with_checkpoints(storage, CADENCE))
            }
            KEYED_GROUP => {
                let worker = Worker::new(Keyed::new(settings, topology), log, worker_settings);
                Box::new(worker.with_checkpoints(storage, CADENCE))
            }
            DECIDE_GROUP => {
                let worker = Worker::new(Decide::new(settings, topology), log, worker_settings);
                Box::new(worker.with_checkpoints(storage, CADENCE))
            }
            _ => {
                let worker = Worker::new(Monitor::new(settings, topology), log, worker_settings);
                Box::new(worker.with_checkpoints(storage, CADENCE))
            }
        };
        self.seats.push(Seat { group, slot, life, phase: 0, worker });
    }

    /// The records of a partition, as anyone reads them.
    pub(super) fn read(&self, partition: TopicPartition) -> Vec<(i64, Arc<LogRecord>)> {
        let mut records = self.archive.get(&partition).cloned().unwrap_or_default();
        let broker = self.broker.borrow();
        broker.fetch(partition, broker.first_offset(partition), usize::MAX, |offset, record| {
            records.push((offset, record))
        });
        records
    }
}

pub(super) fn index(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.below(count.max(1) as u64)).expect("small")
}
