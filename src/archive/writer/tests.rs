//! What a writer leaves in the archive, whatever it goes through.

use super::*;
use crate::archive::rows::batches;
use crate::archive::store::ObjectArchive;
use crate::generate::random::Random;
use crate::log::{Headers, LogRecord, RecordId, Topic, TopicPartition};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

const LIMITS: RangeLimits = RangeLimits { records_max: 12, interval: Duration::from_millis(50) };
const PARTITIONS: u32 = 2;

type Shared = Arc<dyn ObjectStore>;

fn archive(shared: &Shared) -> ObjectArchive {
    ObjectArchive::new(shared.clone(), ObjectPath::from("shop")).expect("a runtime")
}

/// The record of a decision; `attempt` tells those of one decision apart.
fn record(topic: Topic, id: RecordId, decision: u64, attempt: i64) -> Arc<LogRecord> {
    // around midnight, so that ranges have files of two days
    let time = 1_767_571_200_000 + (i64::try_from(decision % 7).expect("small") - 3) * 1_000;
    let json = match topic {
        Topic::LabelledFraud => format!(
            r#"{{"decision_id":"{decision:032x}","event_time_ms":{time},"outcome":"fraud","known_at_ms":{attempt},
            "source":"s","label_id":"l"}}"#
        ),
        _ => format!(
            r#"{{"decision_id":"{decision:032x}","event_time_ms":{time},"amount_minor":{attempt},"score":0.5,
            "decision":"approve","rules_version":1,"features":{{"card__f{}":1.5}},"missing_parts":[]}}"#,
            decision % 3
        ),
    };
    let headers = Headers::Verbatim(vec![("ce_id".to_owned(), id.to_string().into_bytes())]);
    Arc::new(LogRecord { key: None, value: Some(json.into_bytes()), headers, timestamp_ms: None })
}

/// A public log, and the attempt with which each decision first stands in it.
struct Log {
    partitions: BTreeMap<TopicPartition, Vec<Fetched>>,
    first: BTreeMap<(Topic, u64), i64>,
}

impl Log {
    /// Two tasks publish `count` decisions each and die now and then: then they go back and publish some again.
    fn with_repetitions(random: &mut Random, count: u64) -> Log {
        let mut log = Log { partitions: BTreeMap::new(), first: BTreeMap::new() };
        let (mut next, mut attempt) = ([0_u64; 2], 0);
        while next.iter().any(|next| *next < count) {
            let task = random.below(2);
            let next = &mut next[usize::from(task == 1)];
            if *next < count {
                attempt += 1;
                for topic in Set::TOPICS {
                    log.publish(topic, task, *next, attempt);
                }
                *next += 1;
            }
            if random.below(8) == 0 {
                *next -= random.below(10).min(*next);
            }
        }
        log
    }

    fn publish(&mut self, topic: Topic, task: u64, place: u64, attempt: i64) {
        let decision = place * 2 + task;
        let (task, offset) = (u32::try_from(task).expect("small"), i64::try_from(place).expect("small"));
        let id =
            RecordId { topic: 9, partition: task, offset, index: u32::from(topic == Topic::LabelledFraud) };
        let number = u32::try_from(decision / 2 % u64::from(PARTITIONS)).expect("small");
        let partition = TopicPartition::new(topic, number);
        let records = self.partitions.entry(partition).or_default();
        // transactions leave holes between offsets
        let offset = records.last().map_or(3, |last| last.offset + 1 + offset % 2);
        records.push(Fetched { partition, offset, record: record(topic, id, decision, attempt) });
        self.first.entry((topic, decision)).or_insert(attempt);
    }

    /// The next record of a partition from `from` on.
    fn at(&self, partition: TopicPartition, from: Offset) -> Option<&Fetched> {
        self.partitions.get(&partition)?.iter().find(|fetched| fetched.offset >= from)
    }
}

/// Storage whose user dies, or is not told, at places that a seed decides.
struct Dying {
    /// A partition of which no range can ever be made.
    broken: Option<u32>,
    archive: ObjectArchive,
    random: Random,
    /// How often, of a hundred calls.
    deaths: u64,
}

impl Dying {
    fn dies(&mut self) -> Result<(), ArchiveError> {
        let path = "somewhere".to_owned();
        let dies = self.random.below(100) < self.deaths;
        let fault =
            object_store::Error::NotImplemented { operation: path.clone(), implementer: path.clone() };
        if dies { Err(ArchiveError::Storage { doing: "dying at", path, fault }) } else { Ok(()) }
    }
}

impl RangeStore for Dying {
    fn newest(&mut self, set: Set) -> Result<BTreeMap<u32, Manifest>, ArchiveError> {
        self.archive.newest(set)
    }

    fn put(&mut self, set: Set, path: &str, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        self.dies()?;
        self.archive.put(set, path, bytes)?;
        self.dies()
    }

    fn create(&mut self, set: Set, manifest: &Manifest) -> Result<Option<Manifest>, ArchiveError> {
        self.dies()?;
        if self.broken == Some(manifest.partition) {
            let path = "somewhere".to_owned();
            return Err(ArchiveError::Manifest { path, fault: "damaged".to_owned() });
        }
        let outcome = self.archive.create(set, manifest)?;
        self.dies().map(|()| outcome)
    }
}

fn writer(shared: &Shared, seed: u64, deaths: u64) -> Writer<Dying> {
    let store = Dying { broken: None, archive: archive(shared), random: Random::new(seed), deaths };
    Writer::begin(store, LIMITS).expect("listing does not die")
}

/// Lets a writer read some records of one partition, from where it stands.
fn read_some(writer: &mut Writer<Dying>, log: &Log, random: &mut Random, now: ProcessingTime) {
    let number = u32::try_from(random.below(u64::from(PARTITIONS))).expect("small");
    let set = if random.below(2) == 0 { Set::Vectors } else { Set::Labels };
    let partition = TopicPartition::new(set.topic(), number);
    for _ in 0..random.below(12) {
        let next = writer.next_offsets(set).get(&number).copied().unwrap_or(0);
        if let Some(fetched) = log.at(partition, next) {
            writer.take(fetched, now);
        }
    }
}

/// All that the manifests of a set name: decision and attempt of every row, and whether ranges follow each other.
fn archived(shared: &Shared, set: Set) -> Vec<(u64, i64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let folder = ObjectPath::from(format!("shop/{}", set.name()));
    let read = |path: ObjectPath| {
        runtime.block_on(async { shared.get(&path).await?.bytes().await }).expect("it is there")
    };
    let listed = shared.list(Some(&folder.clone().join("ranges"))).map_ok(|meta| meta.location);
    let mut paths: Vec<ObjectPath> = runtime.block_on(listed.try_collect()).expect("memory answers");
    paths.sort();
    let (mut rows, mut ends) = (Vec::new(), BTreeMap::new());
    for path in paths {
        let manifest: Manifest = serde_json::from_slice(&read(path)).expect("a manifest");
        let end = ends.insert(manifest.partition, manifest.to).unwrap_or(0);
        assert_eq!(manifest.from, end, "the range begins where the one before it ended");
        let before = rows.len();
        for file in &manifest.files {
            let path = ObjectPath::from(format!("shop/{}/{file}", set.name()));
            let batches = batches(read(path)).expect("a Parquet file");
            let name = if set == Set::Vectors { "amount_minor" } else { "known_at_ms" };
            for batch in batches {
                let ids = batch.column_by_name("decision_id").expect("ids").as_string::<i32>();
                let attempts = batch.column_by_name(name).expect("numbers").as_primitive::<Int64Type>();
                let id = |id: &str| u64::from_str_radix(id, 16).expect("a small number");
                let of_batch = 0..batch.num_rows();
                rows.extend(of_batch.map(|place| (id(ids.value(place)), attempts.value(place))));
            }
        }
        assert_eq!(manifest.rows, (rows.len() - before) as u64);
    }
    rows.sort_unstable();
    rows
}

fn assert_exactly_once(shared: &Shared, log: &Log, seed: u64) {
    for set in Set::ALL {
        let of_set = log.first.iter().filter(|((topic, _), _)| *topic == set.topic());
        let expected: Vec<_> = of_set.map(|((_, decision), attempt)| (*decision, *attempt)).collect();
        assert_eq!(archived(shared, set), expected, "seed {seed}, {}", set.name());
    }
}

#[test]
fn two_writers_that_die_anywhere_archive_each_decision_once_as_it_first_came() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let log = Log::with_repetitions(&mut random, 60);
        let shared: Shared = Arc::new(InMemory::new());
        let mut writers = [0, 1].map(|number| writer(&shared, seed * 2 + number, 8));
        let mut now = ProcessingTime(0);
        for step in 0..400 {
            let which = usize::from(random.below(2) == 1);
            now = now.plus(Duration::from_millis(random.below(30)));
            read_some(&mut writers[which], &log, &mut random, now);
            let failed = writers[which].close_one_due(now).is_err();
            // it may also live on and try again, not knowing how far it came
            if failed && random.below(2) == 0 {
                writers[which] = writer(&shared, seed * 10_000 + step, 8);
            }
        }
        for last in &mut writers {
            last.store.deaths = 0;
            log.partitions.values().flatten().for_each(|fetched| last.take(fetched, now));
            // each time it may find one range more that is another's, and go on behind it
            for _ in 0..100 {
                last.close_all().expect("nobody dies any more");
            }
        }
        assert_exactly_once(&shared, &log, seed);
    }
}

#[test]
fn a_writer_that_comes_second_drops_what_is_archived_and_goes_on_behind_it() {
    let mut random = Random::new(1);
    let log = Log::with_repetitions(&mut random, 20);
    let shared: Shared = Arc::new(InMemory::new());
    let [mut first, mut second] = [0, 1].map(|number| writer(&shared, number, 0));
    let partition = TopicPartition::new(Topic::VectorsFraud, 0);
    let records = &log.partitions[&partition];
    records[..5].iter().for_each(|fetched| first.take(fetched, ProcessingTime(0)));
    records[..8].iter().for_each(|fetched| second.take(fetched, ProcessingTime(0)));
    first.close_all().expect("memory answers");
    second.close_all().expect("memory answers");
    assert_eq!(second.counts(Set::Vectors).ranges, 0, "its range was there");
    second.close_all().expect("memory answers");
    assert_eq!(second.counts(Set::Vectors).ranges, 1, "the rest is a range of its own");
    let next = |writer: &Writer<Dying>| writer.next_offsets(Set::Vectors)[&0];
    assert_eq!(next(&second), records[7].offset + 1);
    assert_eq!(next(&writer(&shared, 2, 0)), records[7].offset + 1, "and the next one goes on behind that");
}

/// A source at whose end the writer may stop.
struct Ending<'a> {
    records: VecDeque<Fetched>,
    is_at_its_end: &'a Cell<bool>,
}

impl Source for Ending<'_> {
    fn poll(&mut self, _: Duration) -> Result<Option<Fetched>, LogError> {
        let next = self.records.pop_front();
        self.is_at_its_end.set(next.is_none());
        Ok(next)
    }
}

/// A clock that goes on by ten milliseconds whenever it is asked.
struct Ticking(Cell<i64>);

impl Clock for Ticking {
    fn now(&self) -> ProcessingTime {
        self.0.set(self.0.get() + 10);
        ProcessingTime(self.0.get())
    }
}

#[test]
fn the_loop_gathers_from_a_source_and_closes_what_is_due_by_count_and_by_time() {
    let mut random = Random::new(3);
    let log = Log::with_repetitions(&mut random, 40);
    let shared: Shared = Arc::new(InMemory::new());
    let mut writer = writer(&shared, 0, 0);
    let is_at_its_end = Cell::new(false);
    let mut source = Ending {
        records: log.partitions.values().flatten().cloned().collect(),
        is_at_its_end: &is_at_its_end,
    };
    let mut steps = 0;
    let clock = Ticking(Cell::new(0));
    let gathered = writer.gather(&mut source, &clock, &|| is_at_its_end.get(), &mut |_, _| steps += 1);
    gathered.expect("the source does not fail");
    assert!(writer.counts(Set::Vectors).ranges > 4, "ranges are short here");
    assert!(steps > log.partitions.values().map(Vec::len).sum::<usize>());
    writer.close_all().expect("memory answers");
    assert_exactly_once(&shared, &log, 3);
    assert_eq!(writer.trouble(), None);
    assert_eq!(writer.oldest(), None);
}

#[test]
fn storage_that_fails_is_tried_again_later_and_nothing_is_lost() {
    let mut random = Random::new(4);
    let log = Log::with_repetitions(&mut random, 10);
    let shared: Shared = Arc::new(InMemory::new());
    let mut writer = writer(&shared, 0, 100);
    for records in log.partitions.values() {
        records.iter().for_each(|fetched| writer.take(fetched, ProcessingTime(0)));
    }
    assert!(!writer.try_to_close(ProcessingTime(1_000)));
    assert!(writer.trouble().is_some_and(|trouble| trouble.starts_with("dying at")));
    assert_eq!(writer.failures(), 1);
    writer.store.deaths = 0;
    assert!(!writer.try_to_close(ProcessingTime(1_199)), "not before the pause is over");
    assert!(writer.try_to_close(ProcessingTime(1_200)));
    assert_eq!(writer.trouble(), None);
    while writer.try_to_close(ProcessingTime(1_200)) {}
    assert_exactly_once(&shared, &log, 4);
}

#[test]
fn a_range_that_can_never_be_closed_holds_up_no_other() {
    let mut random = Random::new(5);
    let log = Log::with_repetitions(&mut random, 10);
    let shared: Shared = Arc::new(InMemory::new());
    let mut writer = writer(&shared, 0, 0);
    writer.store.broken = Some(0);
    log.partitions.values().flatten().for_each(|fetched| writer.take(fetched, ProcessingTime(0)));
    let mut now = ProcessingTime(1_000);
    for _ in 0..2 * Set::ALL.len() * 2 {
        writer.try_to_close(now);
        now = now.plus(RETRY_LAST);
    }
    assert!(Set::ALL.into_iter().all(|set| writer.counts(set).ranges == 1), "those of the other partition");
    writer.store.broken = None;
    writer.close_all().expect("memory answers");
    assert_exactly_once(&shared, &log, 5);
}

/// A source that notes whether it is held, and whether it was polled meanwhile.
#[derive(Default)]
struct Held {
    records: VecDeque<Fetched>,
    is_held: bool,
    polled_while_held: u32,
}

impl Source for Held {
    fn poll(&mut self, _: Duration) -> Result<Option<Fetched>, LogError> {
        self.polled_while_held += u32::from(self.is_held);
        Ok(if self.is_held { None } else { self.records.pop_front() })
    }

    fn hold(&mut self, is_held: bool) -> Result<(), LogError> {
        self.is_held = is_held;
        Ok(())
    }
}

#[test]
fn a_reader_is_held_and_polled_on_while_a_range_is_full_and_its_storage_away() {
    let mut random = Random::new(6);
    let log = Log::with_repetitions(&mut random, 60);
    let shared: Shared = Arc::new(InMemory::new());
    let mut writer = writer(&shared, 0, 100);
    let mut source =
        Held { records: log.partitions.values().flatten().cloned().collect(), ..Held::default() };
    let (clock, steps) = (Ticking(Cell::new(0)), Cell::new(0));
    let after = |count: u32| {
        let end = steps.get() + count;
        move |steps: u32| steps >= end
    };
    let gather = |writer: &mut Writer<Dying>, source: &mut Held, count| {
        let is_over = after(count);
        let gathered = writer.gather(source, &clock, &|| is_over(steps.get()), &mut |_, _| {
            steps.set(steps.get() + 1);
        });
        gathered.expect("the source does not fail");
    };
    gather(&mut writer, &mut source, 200);
    assert!(source.is_held && source.polled_while_held > 50 && !source.records.is_empty());
    writer.store.deaths = 0;
    gather(&mut writer, &mut source, 1_000);
    assert!(!source.is_held && source.records.is_empty());
    writer.close_all().expect("memory answers");
    assert_exactly_once(&shared, &log, 6);
}

#[test]
fn a_record_that_cannot_be_read_is_counted_and_holds_nothing_up() {
    let shared: Shared = Arc::new(InMemory::new());
    let mut writer = writer(&shared, 0, 0);
    let partition = TopicPartition::new(Topic::VectorsFraud, 1);
    let broken = Arc::new(LogRecord { value: Some(b"{".to_vec()), ..LogRecord::default() });
    writer.take(&Fetched { partition, offset: 4, record: broken }, ProcessingTime(0));
    writer.close_all().expect("memory answers");
    assert_eq!(writer.counts(Set::Vectors), Counts { rows: 0, ranges: 1, unreadable: 1 });
    assert_eq!(writer.next_offsets(Set::Vectors), BTreeMap::from([(1, 5)]));
}
