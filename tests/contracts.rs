//! The schemas, the golden records beside them, and the Rust types say the same.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tillstream::codec::accounts::Account;
use tillstream::codec::alerts::AlertControl;
use tillstream::codec::catalogue::CatalogueItem;
use tillstream::codec::changes::AnnouncedChange;
use tillstream::codec::clickstream::Click;
use tillstream::codec::labels::Label;
use tillstream::codec::orders::Order;
use tillstream::codec::payments::Payment;
use tillstream::codec::pos::Transaction;
use tillstream::codec::predictions::Prediction;
use tillstream::codec::rules::RulesPublished;
use tillstream::codec::{Reject, RejectReason};
use tillstream::event::alert::Alert;
use tillstream::event::public::{
    BusinessMinute, DecisionVector, ExpectedQuality, FeatureWindow, FraudFeatures, FraudScore,
    LabelledPrediction, LabelledScore, LateRecord, PushedRecommendations, ScoreQuality, SessionFeatures,
    SessionRecord, StoreDayRecord,
};

const BYTES_MAX: usize = 1 << 20;
const RAW: [&str; 12] = [
    "clickstream",
    "payment_attempted",
    "payment_result",
    "label",
    "prediction",
    "order",
    "pos_transaction",
    "account_event",
    "catalogue_item",
    "rules_published",
    "alert_control",
    "change_announced",
];

fn folder(contract: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(contract).join("v1")
}

fn schema(contract: &str) -> jsonschema::Validator {
    let text = std::fs::read_to_string(folder(contract).join("schema.json")).expect("the schema is there");
    let schema: Value = serde_json::from_str(&text).expect("the schema is JSON");
    jsonschema::draft202012::new(&schema).expect("the schema is a schema")
}

/// The golden records of a contract with their names; there is at least one.
fn golden(contract: &str, verdict: &str) -> Vec<(String, Vec<u8>)> {
    let entries =
        std::fs::read_dir(folder(contract).join(verdict)).expect("golden records are there").flatten();
    let mut records: Vec<_> = entries
        .map(|entry| {
            let name = format!("{contract}/{verdict}/{}", entry.file_name().to_string_lossy());
            (name, std::fs::read(entry.path()).expect("a readable file"))
        })
        .collect();
    records.sort();
    assert!(!records.is_empty(), "{contract} has no {verdict} records");
    records
}

/// Whether the event name of a record says that `contract` applies to it. (That of a click may be any, and an
/// item of the catalogue has none.)
fn is_named_by_its_records(contract: &str) -> bool {
    !matches!(contract, "clickstream" | "catalogue_item")
}

/// What the engine's decoder says of a payload of `contract`.
fn decode(contract: &str, payload: &[u8]) -> Result<(), Reject> {
    match contract {
        "clickstream" => Click::decode(payload, BYTES_MAX).map(|_| ()),
        "label" => Label::decode(payload, BYTES_MAX).map(|_| ()),
        "prediction" => Prediction::decode(payload, BYTES_MAX).map(|_| ()),
        "order" => Order::decode(payload, BYTES_MAX).map(|_| ()),
        "pos_transaction" => Transaction::decode(payload, BYTES_MAX).map(|_| ()),
        "account_event" => Account::decode(payload, BYTES_MAX).map(|_| ()),
        "catalogue_item" => CatalogueItem::decode(payload, BYTES_MAX).map(|_| ()),
        "rules_published" => RulesPublished::decode(payload, BYTES_MAX).map(|_| ()),
        "change_announced" => AnnouncedChange::decode(payload, BYTES_MAX).map(|_| ()),
        "alert_control" => AlertControl::decode(payload, BYTES_MAX).map(|_| ()),
        _ => Payment::decode(payload, BYTES_MAX).map(|_| ()),
    }
}

#[test]
fn good_records_are_accepted_by_schema_and_decoder() {
    for contract in RAW {
        let schema = schema(contract);
        for (name, bytes) in golden(contract, "good") {
            let json: Value = serde_json::from_slice(&bytes).expect("a good record is JSON");
            assert!(
                schema.is_valid(&json),
                "{name}: {:?}",
                schema.iter_errors(&json).map(|fault| fault.to_string()).collect::<Vec<_>>()
            );
            assert_eq!(decode(contract, &bytes), Ok(()), "{name}");
        }
    }
}

#[test]
fn bad_records_are_refused_by_schema_and_decoder() {
    for contract in RAW {
        let schema = schema(contract);
        for (name, bytes) in golden(contract, "bad") {
            let json =
                std::str::from_utf8(&bytes).ok().and_then(|text| serde_json::from_str::<Value>(text).ok());
            assert!(!json.is_some_and(|json| schema.is_valid(&json)), "{name}: the schema accepts it");
            assert!(decode(contract, &bytes).is_err(), "{name}: the decoder accepts it");
        }
    }
}

#[test]
fn schema_and_decoder_agree_on_every_altered_record() {
    let mut compared = 0;
    for contract in RAW {
        let schema = schema(contract);
        for (name, bytes) in golden(contract, "good") {
            let original: Value = serde_json::from_slice(&bytes).expect("a good record is JSON");
            for altered in alterations(&original) {
                // another name is another contract, or none
                if is_named_by_its_records(contract) && altered["event_name"] != original["event_name"] {
                    continue;
                }
                let bytes = serde_json::to_vec(&altered).expect("it serialises");
                let verdict = decode(contract, &bytes);
                assert_eq!(
                    schema.is_valid(&altered),
                    verdict.is_ok(),
                    "{name} altered to {altered}: {verdict:?}"
                );
                compared += 1;
            }
        }
    }
    println!("{compared} altered records compared");
    assert!(compared > 10_000, "{compared} altered records are few");
}

#[test]
fn schema_and_decoder_count_long_lists_alike() {
    let cases = [
        ("order", "placed_minimal", "items", 500, json!({"item_id": "a"})),
        ("pos_transaction", "minimal", "lines", 2000, json!({"item_id": "a", "amount_minor": 1})),
        ("pos_transaction", "minimal", "tenders", 50, json!({"kind": "cash", "amount_minor": 1})),
    ];
    for (contract, name, list, most, entry) in cases {
        let bytes = std::fs::read(folder(contract).join(format!("good/{name}.json"))).expect("a record");
        let mut record: Value = serde_json::from_slice(&bytes).expect("a good record is JSON");
        for (entries, is_allowed) in [(0, true), (most, true), (most + 1, false)] {
            record[list] = vec![entry.clone(); entries].into();
            let payload = serde_json::to_vec(&record).expect("it serialises");
            let verdict = decode(contract, &payload);
            assert_eq!(schema(contract).is_valid(&record), is_allowed, "{entries} {list}");
            assert_eq!(verdict.is_ok(), is_allowed, "{entries} {list}: {verdict:?}");
        }
    }
}

/// The record with each of its values, at any depth, left out or replaced by each of a set of others.
fn alterations(original: &Value) -> impl Iterator<Item = Value> {
    pointers(original, String::new()).into_iter().flat_map(move |pointer| altered_at(original, &pointer))
}

fn altered_at(original: &Value, pointer: &str) -> Vec<Value> {
    let mut altered = Vec::new();
    for replacement in replacements() {
        let mut copy = original.clone();
        *copy.pointer_mut(pointer).expect("a pointer into the record") = replacement;
        altered.push(copy);
    }
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer below the root");
    let mut copy = original.clone();
    if let Some(object) = copy.pointer_mut(parent).and_then(Value::as_object_mut) {
        object.remove(field);
        altered.push(copy);
    }
    altered
}

fn pointers(value: &Value, at: String) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(object) => object.iter().map(|(key, value)| (format!("{at}/{key}"), value)).collect(),
        Value::Array(array) => {
            array.iter().enumerate().map(|(place, value)| (format!("{at}/{place}"), value)).collect()
        }
        _ => Vec::new(),
    };
    children
        .into_iter()
        .flat_map(|(at, value)| std::iter::once(at.clone()).chain(pointers(value, at)))
        .collect()
}

fn replacements() -> Vec<Value> {
    let text = |characters: usize| Value::String("é".repeat(characters));
    let mut values: Vec<Value> =
        [0, 1, 2, 3, 32, 33, 45, 46, 64, 65, 128, 129, 256, 257, 512, 513, 2048, 2049].map(text).to_vec();
    values.extend([
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(100_000),
        json!(100_001),
        json!(1_000_000_000),
        json!(1_000_000_001),
        json!(999_999_999_999_i64),
        json!(1_000_000_000_000_i64),
        json!(1_000_000_000_001_i64),
        json!(-1_000_000_000_000_i64),
        json!(-1_000_000_000_001_i64),
        json!(253_402_300_799_999_i64),
        json!(253_402_300_800_000_i64),
        json!(u64::MAX),
        json!(1.5),
        json!(1.0),
        json!(-0.0),
        json!(1e15),
        json!(1e300),
        json!([]),
        json!({}),
        json!(["a"]),
        json!({"a": 1}),
        json!("EUR"),
        json!("DE"),
        json!("eur"),
        json!("approved"),
        json!("2026-02-31"),
        json!("2026-01-32"),
    ]);
    values
}

#[test]
fn every_refusal_names_its_reason_and_place() {
    let base = r#"{"event_id":"e","event_name":"view_item","event_time_ms":1,"visitor_id":"v""#;
    let deep = format!("{base},\"x\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    let cases = [
        ("".to_owned(), RejectReason::Empty, "$"),
        (" \n".to_owned(), RejectReason::Empty, "$"),
        ("{".to_owned(), RejectReason::NotJson, "$"),
        (deep, RejectReason::TooDeep, "$"),
        (
            format!("{base},\"items\":[{{\"item_id\":\"a\"}},{{\"item_id\":7}}]}}"),
            RejectReason::WrongType,
            "items[1].item_id",
        ),
        (format!("{base},\"value_minor\":-1}}"), RejectReason::OutOfRange, "value_minor"),
        (base.replace("\"event_id\":\"e\",", "") + "}", RejectReason::MissingField, "event_id"),
        (
            format!("{base},\"items\":[{{\"item_id\":\"a\"}},{{}}]}}"),
            RejectReason::MissingField,
            "items[1].item_id",
        ),
        (
            format!("{base},\"items\":[{{\"item_id\":\"a\"}},{{\"item_id\":\"b\",\"price_minor\":-1}}]}}"),
            RejectReason::OutOfRange,
            "items[1].price_minor",
        ),
        (format!("{base},\"value_minor\":1.5}}"), RejectReason::WrongType, "value_minor"),
        (format!("{base},\"value_minor\":1e300}}"), RejectReason::OutOfRange, "value_minor"),
        (format!("{base},\"page_title\":\"\\ud800\"}}"), RejectReason::NotJson, "$"),
        (format!("{base},\"visitor_id\":\"again\"}}"), RejectReason::WrongType, "visitor_id"),
    ];
    for (payload, reason, path) in cases {
        let reject = Click::decode(payload.as_bytes(), BYTES_MAX).expect_err(&payload);
        assert_eq!(reject.reason, reason, "{payload}: {reject}");
        assert_eq!(reject.path, path, "{payload}: {reject}");
    }
    let large = format!("{base},\"page_title\":\"{}\"}}", "x".repeat(BYTES_MAX));
    assert_eq!(
        Click::decode(large.as_bytes(), BYTES_MAX).map_err(|reject| reject.reason),
        Err(RejectReason::TooLarge)
    );
}

#[test]
fn unknown_fields_and_names_are_kept_and_counted() {
    let click = br#"{"event_id":"e","event_name":"waved","event_time_ms":1,"visitor_id":"v","a":1,"items":[{"item_id":"i","b":{}}]}"#;
    let (click, unknown) = Click::decode(click, BYTES_MAX).expect("unknown things are no error");
    assert_eq!((click.event_name.as_str(), unknown), ("waved", 2));
    let other = br#"{"event_name":"payment_captured","anything":[1]}"#;
    assert_eq!(Payment::decode(other, BYTES_MAX), Ok((None, 0)));
    assert_eq!(Order::decode(other, BYTES_MAX), Ok((None, 0)));
    assert_eq!(Transaction::decode(other, BYTES_MAX), Ok((None, 0)));
    assert_eq!(Account::decode(other, BYTES_MAX), Ok((None, 0)));
}

/// Golden public records fit their schema, and the Rust type gives them back as they are.
fn public<T: Serialize + DeserializeOwned>(contract: &str) {
    let schema = schema(contract);
    for (name, bytes) in golden(contract, "good") {
        let json: Value = serde_json::from_slice(&bytes).expect("a good record is JSON");
        assert!(schema.is_valid(&json), "{name}");
        let record: T =
            serde_json::from_value(json.clone()).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(serde_json::to_value(&record).expect("it serialises"), json, "{name}");
    }
    for (name, bytes) in golden(contract, "bad") {
        let json: Value = serde_json::from_slice(&bytes).expect("a bad public record is JSON");
        assert!(!schema.is_valid(&json), "{name}: the schema accepts it");
    }
}

type Contract = (&'static str, fn(&str));

/// Every contract of what goes out, with its test.
const PUBLIC: [Contract; 15] = [
    ("session", public::<SessionRecord<'static>>),
    ("session_features", public::<SessionFeatures<'static>>),
    ("fraud_features", public::<FraudFeatures<'static>>),
    ("fraud_score", public::<FraudScore<'static>>),
    ("labelled_score", public::<LabelledScore<'static>>),
    ("labelled_prediction", public::<LabelledPrediction<'static>>),
    ("decision_vector", public::<DecisionVector<'static>>),
    ("score_quality", public::<ScoreQuality<'static>>),
    ("expected_quality", public::<ExpectedQuality<'static>>),
    ("alert", public::<Alert>),
    ("feature_window", public::<FeatureWindow>),
    ("late", public::<LateRecord<'static>>),
    ("store_day", public::<StoreDayRecord<'static>>),
    ("business_minute", public::<BusinessMinute<'static>>),
    ("recommendations", public::<PushedRecommendations<'static>>),
];

#[test]
fn public_records_are_what_their_schemas_say() {
    for (contract, is_what_it_says) in PUBLIC {
        is_what_it_says(contract);
    }
}

#[test]
fn every_schema_has_a_test_here() {
    let tested = |name: &str| RAW.contains(&name) || PUBLIC.iter().any(|(contract, _)| *contract == name);
    let folders = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas"))
        .expect("the folder is there");
    for folder in folders.flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        assert!(tested(&name), "{name} has no test");
    }
}
