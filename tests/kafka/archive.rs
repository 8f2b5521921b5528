//! The feature log: after any crash each decision once, as it was published.

use crate::judge::alone;
use crate::support::Shop;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::time::{Duration, Instant};

/// Crashes, and payments between two of them.
const CRASHES: usize = 20;

#[test]
fn the_feature_log_has_each_decision_once_after_twenty_crashes() {
    let _alone = alone();
    let shop = Shop::open(2);
    shop.configure("archive: { url: log, interval: 1s }");
    let (engine, archive) = ("[ingest, keyed, decide, monitor]", "[archive]");
    let mut instance = shop.spawned_in("engine", "TILLSTREAM__ROLES", engine);
    for crash in 0..CRASHES {
        let mut writer = shop.spawned_in("archive", "TILLSTREAM__ROLES", archive);
        let seed = crash.to_string();
        shop.run(&["generate", "--kafka", "--seed", &seed, "--events", "4000", "--per-second", "3000"]);
        if crash == CRASHES / 2 {
            label(&shop);
        }
        writer.kill();
        // what the engine published and had not committed comes again
        if crash % 3 == 2 {
            instance.kill();
            instance = shop.spawned_in("engine", "TILLSTREAM__ROLES", engine);
        }
    }
    let writer = shop.spawned_in("archive", "TILLSTREAM__ROLES", archive);
    let begun = Instant::now();
    loop {
        let published = published(&shop, "vectors.fraud");
        let scores = published_of(&shop, "scores.fraud");
        let labelled = published_of(&shop, "labelled.fraud");
        let found = exported(&shop);
        let is_whole = published.len() == scores && found.len() == published.len();
        let labels = found.values().filter(|row| row.label.is_some()).count();
        if is_whole && labels == labelled && labels > 100 && found.len() > 1_000 {
            let known: BTreeMap<String, Value> =
                values(&shop, "labelled.fraud").into_iter().map(by_decision).collect();
            for (decision, row) in &found {
                assert_eq!(Some(&row.vector), published.get(decision), "{decision}");
                let label =
                    known.get(decision).map(|label| (label["outcome"].clone(), label["known_at_ms"].clone()));
                assert_eq!(row.label, label, "{decision}");
            }
            println!("{} decisions, {labels} of them labelled, after {CRASHES} crashes", found.len());
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{} vectors of {scores} scores were published, and {} are in the feature log, {labels} of {labelled} labelled",
            published.len(),
            found.len()
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(writer.stop().success(), "a clean stop ends with 0");
}

/// A reader that is held while a range is full begins again where it stood: nothing is left out, nothing comes twice.
#[test]
fn a_feature_log_whose_storage_is_away_for_a_while_misses_nothing() {
    let _alone = alone();
    let shop = Shop::open(2);
    shop.configure("archive: { url: log, interval: 1s, records_max: 40 }");
    let mut instance = shop.instance();
    // what stands in the way of a folder
    let away = shop.folder.path().join("log").join("vectors");
    std::fs::create_dir_all(away.parent().expect("a folder")).expect("a writable folder");
    std::fs::write(&away, "").expect("a writable folder");
    let generate = |seed: &str| {
        shop.run(&["generate", "--kafka", "--seed", seed, "--events", "12000", "--per-second", "4000"]);
    };
    generate("1");
    instance.wait_until("the feature log waits for its storage", |instance| {
        instance.metric("tillstream_archive_oldest_record_seconds", &[]) > 4.0
    });
    generate("2");
    std::fs::remove_file(&away).expect("it is there");
    instance.wait_until("everything is archived", |_| {
        let (scores, found) = (published_of(&shop, "scores.fraud"), exported(&shop));
        scores > 200 && found.len() == scores
    });
    let (vectors, found) = (published(&shop, "vectors.fraud"), exported(&shop));
    assert!(found.iter().all(|(decision, row)| vectors.get(decision) == Some(&row.vector)));
    println!("{} decisions after a time without storage", found.len());
    assert!(instance.stop().success(), "a clean stop ends with 0");
}

/// Says of every payment that is scored so far what it was.
fn label(shop: &Shop) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", shop.brokers()).create().expect("a producer");
    for score in values(shop, "scores.fraud") {
        let Some(payment) = score["payment_id"].as_str() else { continue };
        let label = json!({
            "event_id": format!("label-{payment}"), "event_name": "label", "known_at_ms": score["event_time_ms"],
            "payment_id": payment, "outcome": "legitimate", "source": "review",
        });
        let value = label.to_string();
        producer
            .send(BaseRecord::to("labels").key(payment).payload(&value))
            .map_err(|(fault, _)| fault)
            .expect("room");
    }
    producer.flush(Duration::from_secs(10)).expect("a broker");
}

/// The values of a topic's records.
fn values(shop: &Shop, topic: &str) -> Vec<Value> {
    let said = shop.run(&["inspect", topic, "--limit", "10000000"]);
    let values = said.lines().filter_map(|line| line.strip_prefix("  {"));
    values.map(|rest| serde_json::from_str(&format!("{{{rest}")).expect("a value is JSON")).collect()
}

/// What is told of a decision.
#[derive(Debug, Clone, PartialEq, Default)]
struct Vector {
    time_ms: i64,
    score: f64,
    decision: String,
    amount_minor: Option<i64>,
    features: BTreeMap<String, f64>,
}

fn by_decision(value: Value) -> (String, Value) {
    (value["decision_id"].as_str().expect("a text").to_owned(), value)
}

/// What is published by decision; a record that comes again says the same.
fn published(shop: &Shop, topic: &str) -> BTreeMap<String, Vector> {
    let mut found = BTreeMap::new();
    for (decision, value) in values(shop, topic).into_iter().map(by_decision) {
        let features = value["features"].as_object().expect("an object");
        let features = features.iter().map(|(name, value)| (name.clone(), value.as_f64().expect("a number")));
        let vector = Vector {
            time_ms: value["event_time_ms"].as_i64().expect("a time"),
            score: value["score"].as_f64().expect("a number"),
            decision: value["decision"].as_str().expect("a text").to_owned(),
            amount_minor: value["amount_minor"].as_i64(),
            features: features.collect(),
        };
        let known = found.entry(decision).or_insert_with(|| vector.clone());
        assert_eq!(*known, vector);
    }
    found
}

/// How many decisions a topic is about.
fn published_of(shop: &Shop, topic: &str) -> usize {
    let decisions = values(shop, topic).into_iter().map(|value| value["decision_id"].to_string());
    decisions.collect::<BTreeSet<_>>().len()
}

/// A row of the export.
#[derive(Debug, Default)]
struct Row {
    vector: Vector,
    /// Outcome, and when it became known.
    label: Option<(Value, Value)>,
}

/// The export of all days by decision. A decision that is there twice is a fault.
fn exported(shop: &Shop) -> BTreeMap<String, Row> {
    use parquet::file::reader::SerializedFileReader;
    let file = shop.folder.path().join("export.parquet");
    let out = file.to_str().expect("UTF-8");
    let arguments = ["features", "export", "--from", "2020-01-01", "--to", "2099-12-31", "--out", out];
    let mut found = BTreeMap::new();
    if shop.try_to_run(&arguments).0 != Some(0) {
        return found;
    }
    for row in SerializedFileReader::new(File::open(&file).expect("a file")).expect("Parquet").into_iter() {
        let (decision, row) = row_of(&row.expect("readable"));
        assert!(found.insert(decision.clone(), row).is_none(), "{decision} is there twice");
    }
    found
}

fn row_of(columns: &parquet::record::Row) -> (String, Row) {
    use parquet::record::Field;
    let (mut id, mut row, mut outcome, mut known_at) = (String::new(), Row::default(), None, None);
    for (name, field) in columns.get_column_iter() {
        let vector = &mut row.vector;
        match (name.as_str(), field) {
            ("decision_id", Field::Str(text)) => id.clone_from(text),
            ("decision", Field::Str(text)) => vector.decision.clone_from(text),
            ("event_time_ms", Field::Long(time)) => vector.time_ms = *time,
            ("amount_minor", Field::Long(amount)) => vector.amount_minor = Some(*amount),
            ("score", Field::Double(score)) => vector.score = *score,
            ("outcome", Field::Str(text)) => outcome = Some(json!(text)),
            ("known_at_ms", Field::Long(time)) => known_at = Some(json!(time)),
            (name, Field::Double(value)) if name.contains("__") => {
                vector.features.insert(name.to_owned(), *value);
            }
            _ => {}
        }
    }
    row.label = outcome.zip(known_at);
    (id, row)
}
