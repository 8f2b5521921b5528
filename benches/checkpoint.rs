//! What checkpoints cost: pauses of the worker at a million changed keys, bytes per key, the time to put them back, and the
//! share of the engine's CPU at the default cadence.
//!
//! `cargo bench --bench checkpoint` (some minutes). `TILLSTREAM_KEYS=100000` for less.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench: it measures and prints"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tillstream::config::{Tree, resolve};
use tillstream::engine::checkpointing::Cadence;
use tillstream::engine::ingest::Ingest;
use tillstream::engine::keyed::Keyed;
use tillstream::engine::process::{INGEST_GROUP, KEYED_GROUP, Partitions, broker, topology};
use tillstream::engine::settings::{FoldSettings, Topology};
use tillstream::engine::worker::{Worker, WorkerSettings};
use tillstream::generate::random::Random;
use tillstream::generate::{GenerateSettings, GeneratedRecord, Generator};
use tillstream::log::frame::Life;
use tillstream::log::memory::{Delivery, MemoryLog, SharedBroker};
use tillstream::log::{Destination, LogRecord, Start, Topic};
use tillstream::store::{Place, StorageThread};

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DEFAULT: Cadence = Cadence { interval: Duration::from_secs(10), bytes: 64 << 20 };
/// By time alone, so that the first checkpoint finds every key changed.
const BY_TIME: Cadence = Cadence { interval: Duration::from_secs(10), bytes: usize::MAX };
/// A pause of the worker that nobody should notice: the 99th percentile may have so much.
const PAUSE_P99_MAX: Duration = Duration::from_millis(10);
/// A restore may take so long more than a start without state.
const RESTORE_MAX: Duration = Duration::from_secs(1);
/// Checkpoints may take this share of the engine's CPU.
const SHARE_MAX: f64 = 0.15;
const RECORDS_PER_CYCLE: usize = 200;
const START_MS: i64 = 1_767_607_200_000;

/// Ingest and keyed over one partition of a log in memory.
struct Shop {
    settings: Arc<FoldSettings>,
    topology: Arc<Topology>,
    broker: SharedBroker,
    ingest: Worker<Ingest, MemoryLog>,
    keyed: Worker<Keyed, MemoryLog>,
    lives: u64,
}

impl Shop {
    fn open(place: Option<(&Place, Cadence)>) -> Shop {
        let config = resolve(&Tree::new(), Path::new(".")).expect("the defaults are good");
        let topology = Arc::new(topology(Partitions { raw: 1, internal: 1, public: 1 }));
        let broker = broker(&topology, Delivery::AtOnce).shared();
        let settings = config.fold;
        let ingest = Ingest::new(settings.clone(), topology.clone(), Start::Earliest);
        let ingest = Worker::new(ingest, MemoryLog::join(&broker, INGEST_GROUP, Life(1)), worker(1));
        let keyed = keyed(&settings, &topology, &broker, 2, place);
        Shop { settings, topology, broker, ingest, keyed, lives: 2 }
    }

    fn append(&self, topic: Topic, key: &str, value: Vec<u8>) {
        let (key, value) = (Some(key.as_bytes().to_vec()), Some(value));
        let record = LogRecord { key, value, ..LogRecord::default() };
        self.broker.borrow_mut().append(&Destination::ByKey(topic), record);
    }

    /// Runs both until nothing is left; nothing that was folded is kept.
    fn work(&mut self) {
        while self.ingest.cycle().expect("memory does not fail") > 0 {}
        while self.keyed.cycle().expect("memory does not fail") > 0 {}
        let mut broker = self.broker.borrow_mut();
        for topic in Topic::ALL {
            let partition = tillstream::log::TopicPartition::new(topic, 0);
            let end = match topic {
                raw if Topic::RAW.contains(&raw) => broker.committed(INGEST_GROUP, partition).unwrap_or(0),
                Topic::Entity => self
                    .keyed
                    .checkpoints()
                    .map(|(_, saved)| saved.offset.max(0))
                    .next()
                    .unwrap_or_else(|| broker.committed(KEYED_GROUP, partition).unwrap_or(0)),
                _ => broker.end_offset(partition),
            };
            broker.cut_below(partition, end);
        }
    }

    fn saved(&self) -> (u64, u64) {
        self.keyed
            .checkpoints()
            .fold((0, 0), |(count, bytes), (_, saved)| (count + saved.count, bytes + saved.bytes))
    }

    fn advance(&self, by: Duration) {
        self.broker.borrow_mut().advance(by);
    }
}

fn worker(life: u64) -> WorkerSettings {
    WorkerSettings {
        life: Life(life),
        commit_interval: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(10),
        decision_deadline: Duration::from_millis(200),
        exactly_once: Vec::new(),
        anew: BTreeMap::new(),
    }
}

fn keyed(
    settings: &Arc<FoldSettings>,
    topology: &Arc<Topology>,
    broker: &SharedBroker,
    life: u64,
    place: Option<(&Place, Cadence)>,
) -> Worker<Keyed, MemoryLog> {
    let stage = Keyed::new(settings.clone(), topology.clone());
    let worker = Worker::new(stage, MemoryLog::join(broker, KEYED_GROUP, Life(life)), worker(life));
    match place {
        None => worker,
        Some((place, cadence)) => {
            let storage =
                StorageThread::start(place, "bench", BTreeMap::new(), &Arc::default()).expect("a thread");
            worker.with_checkpoints(Box::new(storage), cadence)
        }
    }
}

fn click(visitor: u64, event: u64, time_ms: i64) -> (String, Vec<u8>) {
    let visitor = format!("visitor-{visitor}");
    let json = format!(
        "{{\"event_id\":\"e{event}\",\"event_name\":\"view_item\",\"event_time_ms\":{time_ms},\"visitor_id\":\"{visitor}\",\
         \"page_location\":\"/item/{event}\",\"items\":[{{\"item_id\":\"item-{}\",\"item_category\":\"c{}\",\"price_minor\":1999}}]}}",
        event % 5_000,
        event % 40
    );
    (visitor, json.into_bytes())
}

fn main() {
    let keys = std::env::var("TILLSTREAM_KEYS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let place = Place::new(&folder.path().display().to_string(), Path::new("/")).expect("a place");
    pauses(keys, &place);
    share_of_cpu();
}

fn pauses(keys: u64, place: &Place) {
    let mut shop = Shop::open(Some((place, BY_TIME)));
    let mut events = 0;
    for visitor in 0..keys {
        let (key, json) = click(visitor, events, START_MS);
        shop.append(Topic::Clickstream, &key, json);
        events += 1;
        if events.is_multiple_of(1_000) {
            shop.work();
        }
    }
    shop.advance(Duration::from_secs(1));
    shop.work();
    assert_eq!(shop.saved().0, 0, "no checkpoint while time stands still");
    let mut random = Random::new(1);
    let moment = Duration::from_millis(1);
    let before = cycles(&mut shop, &mut random, &mut events, (keys, moment), |_, cycle| cycle < 2_000);
    assert_eq!(shop.saved().0, 0, "no checkpoint before its time has come");
    shop.advance(BY_TIME.interval);
    let begun = Instant::now();
    let second = Duration::from_secs(1);
    let during = cycles(&mut shop, &mut random, &mut events, (keys, second), |shop, _| shop.saved().0 == 0);
    println!(
        "checkpoint of {keys} changed keys while {} more clicks are folded, {:.1?}",
        during.len() * RECORDS_PER_CYCLE,
        begun.elapsed()
    );
    show("cycle of 200 clicks before", &before);
    show("cycle of 200 clicks during", &during);
    let extra = percentile(&during, 0.99).saturating_sub(percentile(&before, 0.5));
    println!(
        "pause: p99 of a cycle during, less the median before   {extra:.2?} (at most {PAUSE_P99_MAX:?})"
    );
    let bytes = shop.saved().1;
    println!("on disk: {} bytes per key", bytes / keys);

    shop.broker.borrow_mut().leave(KEYED_GROUP, Life(shop.lives));
    shop.lives += 1;
    let begun = Instant::now();
    let mut restored =
        keyed(&shop.settings, &shop.topology, &shop.broker, shop.lives, Some((place, BY_TIME)));
    while restored.tasks().next().is_none() {
        restored.cycle().expect("memory does not fail");
    }
    let restore = begun.elapsed();
    println!("restore: {restore:.2?} (at most {RESTORE_MAX:?} where there are a million keys)");
    assert!(restore <= RESTORE_MAX, "a restore takes too long");
    assert!(extra <= PAUSE_P99_MAX, "a checkpoint makes the worker pause");
}

/// How long each cycle of keyed takes over fresh clicks of `keys` visitors, `step` of time apart, while `goes_on`.
fn cycles(
    shop: &mut Shop,
    random: &mut Random,
    events: &mut u64,
    (keys, step): (u64, Duration),
    goes_on: impl Fn(&Shop, usize) -> bool,
) -> Vec<Duration> {
    let mut times = Vec::new();
    while goes_on(shop, times.len()) {
        for _ in 0..RECORDS_PER_CYCLE {
            let (key, json) = click(random.below(keys), *events, START_MS + (*events / 1_000) as i64);
            shop.append(Topic::Clickstream, &key, json);
            *events += 1;
        }
        shop.advance(step);
        while shop.ingest.cycle().expect("memory does not fail") > 0 {}
        let begun = Instant::now();
        shop.keyed.cycle().expect("memory does not fail");
        times.push(begun.elapsed());
        shop.work();
    }
    times.sort_unstable();
    times
}

fn percentile(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn show(name: &str, sorted: &[Duration]) {
    let at = |share| percentile(sorted, share);
    println!(
        "{name}   p50 {:.2?}   p90 {:.2?}   p99 {:.2?}   max {:.2?}   ({} cycles)",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        sorted.len()
    );
}

/// CPU of the whole process so far, in ticks of 10 ms.
fn cpu_ticks() -> i64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_the_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<i64> = behind_the_name.split(' ').filter_map(|field| field.trim().parse().ok()).collect();
    // behind the state, user time is the eleventh number and system time the twelfth (proc_pid_stat(5))
    fields.iter().skip(10).take(2).sum()
}

/// Ingest and keyed over generated traffic of 5,000 events a second, with and without checkpoints, in turn.
fn share_of_cpu() {
    let records: Vec<GeneratedRecord> =
        Generator::new(GenerateSettings { seed: 11, events: 300_000, ..GenerateSettings::default() })
            .collect();
    // the least of some: what else runs on the machine only ever adds
    let (mut with, mut without, mut saved) = (i64::MAX, i64::MAX, u64::MAX);
    for _ in 0..5 {
        without = without.min(run(&records, None).0);
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let place = Place::new(&folder.path().display().to_string(), Path::new("/")).expect("a place");
        let (ticks, checkpoints) = run(&records, Some((&place, DEFAULT)));
        (with, saved) = (with.min(ticks), saved.min(checkpoints));
    }
    let share = (with - without) as f64 / with as f64;
    println!(
        "CPU of 300,000 events at 5,000/s   without checkpoints {without} ticks   with {with} ticks   share {share:.3} (at most {SHARE_MAX}) of {saved} checkpoints"
    );
    assert!(saved >= 5, "a minute has one each ten seconds, and only {saved} were saved");
    assert!(share <= SHARE_MAX, "checkpoints take too much of the CPU");
}

/// Ticks of CPU, and how many checkpoints were saved.
fn run(records: &[GeneratedRecord], place: Option<(&Place, Cadence)>) -> (i64, u64) {
    let mut shop = Shop::open(place);
    let begun = cpu_ticks();
    for (number, record) in records.iter().enumerate() {
        let topic = Topic::from_name(record.topic.name()).expect("a topic of ours");
        shop.append(topic, &record.key, record.value.clone());
        if (number + 1) % 100 == 0 {
            shop.advance(Duration::from_millis(20));
            shop.work();
        }
    }
    (cpu_ticks() - begun, shop.saved().0)
}
