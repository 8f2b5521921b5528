//! Exports of archives in memory.

use super::*;
use crate::archive::range::RangeLimits;
use crate::archive::store::Manifest;
use crate::archive::store::RangeStore;
use crate::archive::writer::Writer;
use crate::generate::random::Random;
use crate::log::{Fetched, Headers, LogRecord, RecordId, Topic, TopicPartition};
use crate::time::ProcessingTime;
use arrow::array::Array;
use arrow::datatypes::Float64Type;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use std::time::Duration;

/// 2026-01-05, 00:00.
const MONDAY: i64 = 1_767_571_200_000;
const DAY: i64 = 86_400_000;

const LIMITS: RangeLimits = RangeLimits { records_max: 1_000, interval: Duration::from_secs(60) };

fn archive() -> ObjectArchive {
    ObjectArchive::new(Arc::new(InMemory::new()), ObjectPath::from("shop")).expect("a runtime")
}

fn days(first: &str, last: &str) -> Days {
    Days { first: first.parse().expect("a day"), last: last.parse().expect("a day") }
}

/// What a test puts into an archive.
struct Input {
    vectors: Vec<String>,
    labels: Vec<String>,
}

impl Input {
    fn vector(&mut self, decision: u64, time: i64, features: &str) {
        self.vectors.push(format!(
            r#"{{"decision_id":"{decision:032x}","event_time_ms":{time},"score":0.5,"decision":"approve",
            "rules_version":1,"features":{{{features}}},"missing_parts":[]}}"#
        ));
    }

    fn label(&mut self, decision: u64, time: i64, outcome: &str, known_at: i64) {
        self.labels.push(format!(
            r#"{{"decision_id":"{decision:032x}","event_time_ms":{time},"outcome":"{outcome}",
            "known_at_ms":{known_at},"source":"s","label_id":"l"}}"#
        ));
    }

    /// Archives it, in ranges that end where `ends` says so.
    fn archived(&self, archive: ObjectArchive, mut ends: impl FnMut() -> bool) -> ObjectArchive {
        let mut writer = Writer::begin(archive, LIMITS).expect("memory answers");
        for (topic, records) in [(Topic::VectorsFraud, &self.vectors), (Topic::LabelledFraud, &self.labels)] {
            for (offset, json) in (0_i64..).zip(records) {
                let id = RecordId { topic: 1, partition: 0, offset, index: 0 };
                let headers = Headers::Verbatim(vec![("ce_id".to_owned(), id.to_string().into_bytes())]);
                let value = Some(json.clone().into_bytes());
                let record = Arc::new(LogRecord { key: None, value, headers, timestamp_ms: None });
                let partition = TopicPartition::new(topic, 0);
                writer.take(&Fetched { partition, offset, record }, ProcessingTime(0));
                if ends() {
                    writer.close_all().expect("memory answers");
                }
            }
        }
        writer.close_all().expect("memory answers");
        writer.into_store()
    }
}

/// What an export gives, and its rows: decision, time, outcome and when it was known.
type Row = (u64, i64, Option<String>, Option<i64>);

fn exported(archive: &ObjectArchive, days: Days) -> (Exported, Vec<RecordBatch>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("export.parquet");
    let mut seen = Vec::new();
    let file = std::fs::File::create(&path).expect("a writable folder");
    let exported = export(archive, days, file, &mut |day| seen.push(day)).expect("memory answers");
    assert_eq!(seen, days.iter().collect::<Vec<_>>());
    let file = std::fs::read(&path).expect("it is there");
    (exported, batches(file.into()).expect("a Parquet file"))
}

fn rows(batches: &[RecordBatch]) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        let (ids, times) =
            (texts(batch, "decision_id").expect("ids"), longs(batch, "event_time_ms").expect("times"));
        let (outcomes, known_at) =
            (texts(batch, "outcome").expect("outcomes"), longs(batch, "known_at_ms").expect("times"));
        for place in 0..batch.num_rows() {
            let id = u64::from_str_radix(ids.value(place), 16).expect("a small number");
            let outcome = outcomes.is_valid(place).then(|| outcomes.value(place).to_owned());
            let known_at = known_at.is_valid(place).then(|| known_at.value(place));
            rows.push((id, times.value(place), outcome, known_at));
        }
    }
    rows
}

#[test]
fn an_export_joins_labels_and_orders_by_time_and_decision() {
    let mut input = Input { vectors: Vec::new(), labels: Vec::new() };
    input.vector(3, MONDAY + 5, r#""b__count":2.0"#);
    input.vector(2, MONDAY + 5, r#""a__count":1.0"#);
    input.vector(1, MONDAY + 9, "");
    input.vector(9, MONDAY - 1, "");
    input.vector(8, MONDAY + 2 * DAY, "");
    input.vector(7, MONDAY + DAY, r#""c__count":4.0"#);
    input.label(7, MONDAY + DAY, "legitimate", MONDAY + 9 * DAY);
    input.label(3, MONDAY + 5, "fraud", MONDAY + 3 * DAY);
    input.label(9, MONDAY - 1, "fraud", MONDAY + 3 * DAY);
    let archive = input.archived(archive(), || false);
    let (exported, batches) = exported(&archive, days("2026-01-05", "2026-01-06"));
    assert_eq!(exported, Exported { rows: 4, labels: 2 });
    let fraud = Some("fraud".to_owned());
    let expected: [Row; 4] = [
        (2, MONDAY + 5, None, None),
        (3, MONDAY + 5, fraud, Some(MONDAY + 3 * DAY)),
        (1, MONDAY + 9, None, None),
        (7, MONDAY + DAY, Some("legitimate".to_owned()), Some(MONDAY + 9 * DAY)),
    ];
    assert_eq!(rows(&batches), expected);
    let schema = batches.first().expect("a batch").schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(
        names[vector_fields().len()..],
        ["outcome", "known_at_ms", "a__count", "b__count", "c__count"]
    );
    let counts = batches[0].column_by_name("b__count").expect("a column").as_primitive::<Float64Type>();
    assert_eq!(counts.iter().collect::<Vec<_>>(), [None, Some(2.0), None, None]);
}

#[test]
fn an_export_holds_the_same_however_the_archive_was_cut_into_ranges() {
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let mut input = Input { vectors: Vec::new(), labels: Vec::new() };
        let mut expected = Vec::new();
        for decision in 0..1 + random.below(60) {
            let time = MONDAY + i64::try_from(random.below(4)).expect("small") * (DAY / 2);
            input.vector(decision, time, &format!(r#""f{}__count":1.5"#, random.below(3)));
            let is_labelled = random.below(2) == 0;
            if is_labelled {
                input.label(decision, time, "fraud", time + 1);
            }
            let outcome = is_labelled.then(|| "fraud".to_owned());
            expected.push((decision, time, outcome, is_labelled.then_some(time + 1)));
        }
        expected.sort_by_key(|(decision, time, ..)| (*time, *decision));
        let archive = input.archived(archive(), || random.below(5) == 0);
        let (exported, batches) = exported(&archive, days("2026-01-05", "2026-01-06"));
        assert_eq!(rows(&batches), expected, "seed {seed}");
        let labelled = expected.iter().filter(|(_, _, outcome, _)| outcome.is_some()).count();
        assert_eq!(exported.labels, labelled as u64);
    }
}

#[test]
fn a_file_that_no_manifest_names_counts_for_nothing() {
    let mut input = Input { vectors: Vec::new(), labels: Vec::new() };
    input.vector(1, MONDAY, "");
    let mut archive = input.archived(archive(), || false);
    for orphan in ["0-0-7", "0-1-2", "5-0-1"] {
        let path = format!("day=2026-01-05/{orphan}.parquet");
        archive.put(Set::Vectors, &path, b"half a file".to_vec()).expect("memory answers");
    }
    let (exported, _) = exported(&archive, days("2026-01-05", "2026-01-05"));
    assert_eq!(exported.rows, 1);
}

#[test]
fn half_a_range_is_refused() {
    let manifest = Manifest {
        partition: 0,
        from: 0,
        to: 9,
        files: vec!["day=2026-01-05/0-0-9.parquet".to_owned(), "day=2026-01-06/0-0-9.parquet".to_owned()],
        rows: 2,
        features: Vec::new(),
        marks: Vec::new(),
    };
    let mut archive = archive();
    archive.put(Set::Vectors, "day=2026-01-06/0-0-9.parquet", Vec::new()).expect("memory answers");
    assert_eq!(archive.create(Set::Vectors, &manifest).expect("memory answers"), None);
    let refused = export(&archive, days("2026-01-05", "2026-01-06"), Vec::<u8>::new(), &mut |_| {});
    assert!(matches!(refused, Err(ArchiveError::Missing { .. })), "{refused:?}");
}
