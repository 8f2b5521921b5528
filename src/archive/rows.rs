//! Records of the archived topics as rows, rows as columns, columns as Parquet. Pure.
//!
//! Reads of a record what becomes a column, and no more: a record of a newer contract may have fields that nobody here
//! knows.

use crate::event::public::Text;
use crate::event::{DecisionId, LabelOutcome};
use crate::log::{LogRecord, RecordId, Topic};
use crate::time::EventTime;
use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rows of a file that are read into one batch: all that a range may hold.
const BATCH_ROWS: usize = 1 << 20;

/// What is archived, each in a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Set {
    /// The vectors that decisions used, from `vectors.fraud`.
    Vectors,
    /// What their payments turned out to be, from `labelled.fraud`.
    Labels,
}

impl Set {
    /// Both.
    pub const ALL: [Set; 2] = [Set::Vectors, Set::Labels];
    /// The topics that are read.
    pub const TOPICS: [Topic; 2] = [Topic::VectorsFraud, Topic::LabelledFraud];

    /// The name of its folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Set::Vectors => "vectors",
            Set::Labels => "labels",
        }
    }

    /// The topic from which it comes.
    #[must_use]
    pub fn topic(self) -> Topic {
        match self {
            Set::Vectors => Topic::VectorsFraud,
            Set::Labels => Topic::LabelledFraud,
        }
    }

    /// The set that comes from `topic`.
    #[must_use]
    pub fn of(topic: Topic) -> Option<Set> {
        Set::ALL.into_iter().find(|set| set.topic() == topic)
    }
}

/// A vector that a decision used. The fields are those of `vectors.fraud`.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields of the contract")]
pub struct VectorRow {
    pub decision_id: DecisionId,
    pub payment_id: Option<Box<str>>,
    pub event_time: EventTime,
    pub amount_minor: Option<i64>,
    pub currency: Option<Box<str>>,
    pub channel: Option<Box<str>>,
    pub score: f64,
    pub decision: Box<str>,
    pub rules_version: u32,
    pub model_score: Option<f64>,
    pub model_version: Option<u32>,
    /// With a comma between two.
    pub missing_parts: Box<str>,
    /// By flat name, in its order.
    pub features: Vec<(Arc<str>, f64)>,
}

/// What a payment turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of the contract")]
pub struct LabelRow {
    pub decision_id: DecisionId,
    pub outcome: LabelOutcome,
    pub known_at: EventTime,
    pub source: Box<str>,
    pub label_id: Box<str>,
    /// When the payment was attempted: it decides the day.
    pub event_time: EventTime,
}

/// A row of a set.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the sets")]
pub enum Row {
    Vector(VectorRow),
    Label(LabelRow),
}

impl Row {
    /// When the payment was attempted.
    #[must_use]
    pub fn event_time(&self) -> EventTime {
        match self {
            Row::Vector(row) => row.event_time,
            Row::Label(row) => row.event_time,
        }
    }

    fn vector(&self) -> Option<&VectorRow> {
        if let Row::Vector(row) = self { Some(row) } else { None }
    }

    fn label(&self) -> Option<&LabelRow> {
        if let Row::Label(row) = self { Some(row) } else { None }
    }
}

/// A record that is none of its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// The names of features, each kept once for all rows. They come from the configuration of the shop: there are
/// hundreds.
#[derive(Debug, Default)]
pub struct Names(BTreeSet<Arc<str>>);

impl Names {
    /// The name as it is kept.
    fn kept(&mut self, name: &str) -> Result<Arc<str>, Unreadable> {
        if let Some(known) = self.0.get(name) {
            return Ok(known.clone());
        }
        // flat names have `__` in them, and no other column has
        if vector_fields().iter().any(|field| field.name() == name) {
            return Err(Unreadable);
        }
        let name = Arc::<str>::from(name);
        self.0.insert(name.clone());
        Ok(name)
    }
}

/// Reads a record of `set`.
///
/// # Errors
///
/// [`Unreadable`]: it is not what its topic promises.
pub fn read(set: Set, record: &LogRecord, names: &mut Names) -> Result<(RecordId, Row), Unreadable> {
    let id = record.id().ok_or(Unreadable)?;
    let json = record.value.as_deref().ok_or(Unreadable)?;
    let row = match set {
        Set::Vectors => Row::Vector(vector(json, names)?),
        Set::Labels => Row::Label(label(json)?),
    };
    let is_a_time = (0..=EventTime::MAX.0).contains(&row.event_time().0);
    if is_a_time { Ok((id, row)) } else { Err(Unreadable) }
}

/// Of `vectors.fraud`.
#[derive(Deserialize)]
struct VectorHead<'a> {
    #[serde(borrow)]
    decision_id: Text<'a>,
    payment_id: Option<Box<str>>,
    event_time_ms: EventTime,
    amount_minor: Option<i64>,
    currency: Option<Box<str>>,
    channel: Option<Box<str>>,
    score: f64,
    decision: Box<str>,
    rules_version: u32,
    model_score: Option<f64>,
    model_version: Option<u32>,
    #[serde(borrow)]
    features: BTreeMap<Text<'a>, f64>,
    #[serde(borrow)]
    missing_parts: Vec<Text<'a>>,
}

fn vector(json: &[u8], names: &mut Names) -> Result<VectorRow, Unreadable> {
    let head: VectorHead<'_> = serde_json::from_slice(json).map_err(|_| Unreadable)?;
    let features = head.features.iter();
    Ok(VectorRow {
        decision_id: DecisionId::from_text(&head.decision_id).ok_or(Unreadable)?,
        features: features
            .map(|(name, value)| Ok((names.kept(name)?, *value)))
            .collect::<Result<_, Unreadable>>()?,
        payment_id: head.payment_id,
        event_time: head.event_time_ms,
        amount_minor: head.amount_minor,
        currency: head.currency,
        channel: head.channel,
        score: head.score,
        decision: head.decision,
        rules_version: head.rules_version,
        model_score: head.model_score,
        model_version: head.model_version,
        missing_parts: head.missing_parts.join(",").into(),
    })
}

/// Of `labelled.fraud`.
#[derive(Deserialize)]
struct LabelHead<'a> {
    #[serde(borrow)]
    decision_id: Text<'a>,
    event_time_ms: EventTime,
    outcome: LabelOutcome,
    known_at_ms: EventTime,
    source: Box<str>,
    label_id: Box<str>,
}

fn label(json: &[u8]) -> Result<LabelRow, Unreadable> {
    let head: LabelHead<'_> = serde_json::from_slice(json).map_err(|_| Unreadable)?;
    Ok(LabelRow {
        decision_id: DecisionId::from_text(&head.decision_id).ok_or(Unreadable)?,
        outcome: head.outcome,
        known_at: head.known_at_ms,
        source: head.source,
        label_id: head.label_id,
        event_time: head.event_time_ms,
    })
}

/// The columns of vectors before their features.
#[must_use]
pub fn vector_fields() -> Vec<Field> {
    let field = |name: &str, kind: DataType, nullable| Field::new(name, kind, nullable);
    vec![
        field("decision_id", DataType::Utf8, false),
        field("payment_id", DataType::Utf8, true),
        field("event_time_ms", DataType::Int64, false),
        field("amount_minor", DataType::Int64, true),
        field("currency", DataType::Utf8, true),
        field("channel", DataType::Utf8, true),
        field("score", DataType::Float64, false),
        field("decision", DataType::Utf8, false),
        field("rules_version", DataType::UInt32, false),
        field("model_score", DataType::Float64, true),
        field("model_version", DataType::UInt32, true),
        field("missing_parts", DataType::Utf8, false),
    ]
}

/// The columns of features, one each.
pub fn feature_fields<'n>(names: impl IntoIterator<Item = &'n str>) -> impl Iterator<Item = Field> {
    names.into_iter().map(|name| Field::new(name, DataType::Float64, true))
}

fn label_fields() -> Vec<Field> {
    vec![
        Field::new("decision_id", DataType::Utf8, false),
        Field::new("outcome", DataType::Utf8, false),
        Field::new("known_at_ms", DataType::Int64, false),
        Field::new("source", DataType::Utf8, false),
        Field::new("label_id", DataType::Utf8, false),
        Field::new("event_time_ms", DataType::Int64, false),
    ]
}

/// The Parquet file of some rows of `set`, in their order; rows of another set are left out.
///
/// # Errors
///
/// [`ParquetError`]: rows that fit no columns, which there are none of.
pub fn file_of(set: Set, rows: &[&Row]) -> Result<Vec<u8>, ParquetError> {
    written(&match set {
        Set::Vectors => vectors_batch(&rows.iter().filter_map(|row| row.vector()).collect::<Vec<_>>())?,
        Set::Labels => labels_batch(&rows.iter().filter_map(|row| row.label()).collect::<Vec<_>>())?,
    })
}

/// The names of the features that occur in some rows, in their order.
#[must_use]
pub fn features_in(rows: &[&Row]) -> BTreeSet<Arc<str>> {
    let vectors = rows.iter().filter_map(|row| row.vector());
    vectors.flat_map(|row| row.features.iter().map(|(name, _)| name.clone())).collect()
}

fn vectors_batch(rows: &[&VectorRow]) -> Result<RecordBatch, ParquetError> {
    let mut features = BTreeMap::<&str, Vec<Option<f64>>>::new();
    for (place, row) in rows.iter().enumerate() {
        for (name, value) in &row.features {
            let column = features.entry(name).or_insert_with(|| vec![None; rows.len()]);
            if let Some(slot) = column.get_mut(place) {
                *slot = Some(*value);
            }
        }
    }
    let fields: Vec<Field> =
        vector_fields().into_iter().chain(feature_fields(features.keys().copied())).collect();
    let mut columns: Vec<ArrayRef> = vec![
        texts(rows, |row| Some(row.decision_id.to_string())),
        texts(rows, |row| row.payment_id.as_deref()),
        longs(rows, |row| Some(row.event_time.0)),
        longs(rows, |row| row.amount_minor),
        texts(rows, |row| row.currency.as_deref()),
        texts(rows, |row| row.channel.as_deref()),
        doubles(rows.iter().map(|row| Some(row.score))),
        texts(rows, |row| Some(&*row.decision)),
        versions(rows, |row| Some(row.rules_version)),
        doubles(rows.iter().map(|row| row.model_score)),
        versions(rows, |row| row.model_version),
        texts(rows, |row| Some(&*row.missing_parts)),
    ];
    columns.extend(features.into_values().map(|values| doubles(values.into_iter())));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn labels_batch(rows: &[&LabelRow]) -> Result<RecordBatch, ParquetError> {
    let columns = vec![
        texts(rows, |row| Some(row.decision_id.to_string())),
        texts(rows, |row| Some(row.outcome.name())),
        longs(rows, |row| Some(row.known_at.0)),
        texts(rows, |row| Some(&*row.source)),
        texts(rows, |row| Some(&*row.label_id)),
        longs(rows, |row| Some(row.event_time.0)),
    ];
    Ok(RecordBatch::try_new(Arc::new(Schema::new(label_fields())), columns)?)
}

fn texts<'r, R, T: AsRef<str>>(rows: &[&'r R], value: impl Fn(&'r R) -> Option<T>) -> ArrayRef {
    Arc::new(rows.iter().copied().map(value).collect::<StringArray>())
}

fn longs<R>(rows: &[&R], value: impl Fn(&R) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().copied().map(value).collect::<Int64Array>())
}

fn versions<R>(rows: &[&R], value: impl Fn(&R) -> Option<u32>) -> ArrayRef {
    Arc::new(rows.iter().copied().map(value).collect::<UInt32Array>())
}

fn doubles(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}

/// How files are written.
#[must_use]
pub fn file_properties() -> WriterProperties {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build()
}

fn written(batch: &RecordBatch) -> Result<Vec<u8>, ParquetError> {
    let schema: SchemaRef = batch.schema();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(file_properties()))?;
    writer.write(batch)?;
    writer.into_inner()
}

/// The rows of a Parquet file.
///
/// # Errors
///
/// [`ParquetError`]: it is none.
pub fn batches(file: Bytes) -> Result<Vec<RecordBatch>, ParquetError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(BATCH_ROWS).build()?;
    reader.map(|batch| Ok(batch?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::random::Random;
    use crate::log::Headers;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, Int64Type, UInt32Type};

    fn record(value: &str) -> LogRecord {
        let id = RecordId { topic: 1, partition: 2, offset: 3, index: 4 };
        let headers = Headers::Verbatim(vec![("ce_id".to_owned(), id.to_string().into_bytes())]);
        LogRecord { key: None, value: Some(value.as_bytes().to_vec()), headers, timestamp_ms: None }
    }

    fn vector_of(value: &str) -> Result<Row, Unreadable> {
        read(Set::Vectors, &record(value), &mut Names::default()).map(|(_, row)| row)
    }

    const VECTOR: &str = r#"{"decision_id":"0123456789abcdef0123456789abcdef","payment_id":"p1",
        "event_time_ms":1767571200000,"amount_minor":1999,"currency":"EUR","channel":"web","score":0.25,
        "decision":"review","rules_version":3,"model_score":0.125,"model_version":7,
        "features":{"card__count_1h":2.0,"card__amount_mean_1d":10.5},"missing_parts":["device","ip"],"new":1}"#;

    #[test]
    fn a_record_is_read_with_its_id_and_what_is_none_is_refused() {
        let (id, row) = read(Set::Vectors, &record(VECTOR), &mut Names::default()).expect("a vector");
        assert_eq!(id.to_string(), "00000001-2-3-4");
        let Row::Vector(row) = row else { panic!("{row:?}") };
        assert_eq!(row.missing_parts.as_ref(), "device,ip");
        assert_eq!(
            row.features,
            [(Arc::<str>::from("card__amount_mean_1d"), 10.5), (Arc::<str>::from("card__count_1h"), 2.0)]
        );
        for (wrong, with) in [
            ("0123456789abcdef0123456789abcdef", "short"),
            ("1767571200000", "-1"),
            ("card__count_1h", "score"),
            (r#""rules_version":3,"#, ""),
        ] {
            assert_eq!(vector_of(&VECTOR.replace(wrong, with)), Err(Unreadable), "{with}");
        }
        let without_id = LogRecord { headers: Headers::None, ..record(VECTOR) };
        assert_eq!(read(Set::Vectors, &without_id, &mut Names::default()), Err(Unreadable));
    }

    #[test]
    fn a_label_is_read_from_the_contract_of_labelled_fraud() {
        let json = r#"{"decision_id":"0123456789abcdef0123456789abcdef","payment_id":"p1","event_time_ms":5,
            "amount_minor":1,"currency":"EUR","score":0.5,"decision":"approve","rules_version":1,"outcome":"fraud",
            "known_at_ms":9,"source":"chargeback","label_id":"l1"}"#;
        let (_, row) = read(Set::Labels, &record(json), &mut Names::default()).expect("a label");
        let Row::Label(row) = row else { panic!("{row:?}") };
        assert_eq!(
            (row.outcome, row.known_at, row.event_time),
            (LabelOutcome::Fraud, EventTime(9), EventTime(5))
        );
        let file = file_of(Set::Labels, &[&Row::Label(row)]).expect("a file");
        let batch = batches(file.into()).expect("a Parquet file").remove(0);
        let text = |name: &str| batch.column_by_name(name).expect("a column").as_string::<i32>().value(0);
        assert_eq!((text("outcome"), text("label_id")), ("fraud", "l1"));
    }

    fn random_row(random: &mut Random, names: &mut Names) -> VectorRow {
        let text = |random: &mut Random| format!("t{}", random.below(5)).into_boxed_str();
        let is_there = |random: &mut Random| random.below(3) > 0;
        let number = |random: &mut Random| random.below(1 << 60) as f64 / 1e9;
        let mut features = BTreeMap::new();
        for name in 0..8 {
            if is_there(random) {
                let name = names.kept(&format!("card__f{name}")).expect("no column has that name");
                features.insert(name, number(random));
            }
        }
        VectorRow {
            decision_id: DecisionId(u128::from(random.below(1 << 60))),
            payment_id: is_there(random).then(|| text(random)),
            event_time: EventTime(1_767_571_200_000 + i64::try_from(random.below(1_000)).expect("small")),
            amount_minor: is_there(random).then(|| -5 + i64::try_from(random.below(9)).expect("small")),
            currency: is_there(random).then(|| text(random)),
            channel: is_there(random).then(|| text(random)),
            score: number(random),
            decision: text(random),
            rules_version: u32::MAX,
            model_score: is_there(random).then(|| number(random)),
            model_version: is_there(random).then_some(u32::MAX - 1),
            missing_parts: text(random),
            features: features.into_iter().collect(),
        }
    }

    /// A row as it stands in a batch.
    fn row_at(batch: &RecordBatch, place: usize, names: &mut Names) -> VectorRow {
        let column = |name: &str| batch.column_by_name(name).expect("a column").clone();
        let text = |name: &str| {
            let column = column(name);
            column.is_valid(place).then(|| Box::<str>::from(column.as_string::<i32>().value(place)))
        };
        let long = |name: &str| {
            let column = column(name);
            column.is_valid(place).then(|| column.as_primitive::<Int64Type>().value(place))
        };
        let version = |name: &str| {
            let column = column(name);
            column.is_valid(place).then(|| column.as_primitive::<UInt32Type>().value(place))
        };
        let double = |name: &str| {
            let column = column(name);
            column.is_valid(place).then(|| column.as_primitive::<Float64Type>().value(place))
        };
        let schema = batch.schema();
        let of_features = schema.fields().iter().skip(vector_fields().len());
        VectorRow {
            decision_id: DecisionId::from_text(&text("decision_id").expect("an id")).expect("32 digits"),
            payment_id: text("payment_id"),
            event_time: EventTime(long("event_time_ms").expect("a time")),
            amount_minor: long("amount_minor"),
            currency: text("currency"),
            channel: text("channel"),
            score: double("score").expect("a score"),
            decision: text("decision").expect("a decision"),
            rules_version: version("rules_version").expect("a version"),
            model_score: double("model_score"),
            model_version: version("model_version"),
            missing_parts: text("missing_parts").expect("a text"),
            features: of_features
                .filter_map(|field| {
                    Some((names.kept(field.name()).expect("a feature"), double(field.name())?))
                })
                .collect(),
        }
    }

    #[test]
    fn rows_go_through_parquet_and_come_back_as_they_were() {
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let mut names = Names::default();
            let count = 1 + random.below(40);
            let rows: Vec<Row> =
                (0..count).map(|_| Row::Vector(random_row(&mut random, &mut names))).collect();
            let rows: Vec<&Row> = rows.iter().collect();
            let file = file_of(Set::Vectors, &rows).expect("a file");
            assert_eq!(file_of(Set::Vectors, &rows).expect("a file"), file, "the same rows, the same bytes");
            let mut back = Vec::new();
            for batch in batches(file.into()).expect("a Parquet file") {
                let of_batch = 0..batch.num_rows();
                back.extend(of_batch.map(|place| Row::Vector(row_at(&batch, place, &mut names))));
                let features = batch.num_columns() - vector_fields().len();
                assert_eq!(features, features_in(&rows).len(), "a column for each feature that occurs");
            }
            assert_eq!(back.iter().collect::<Vec<_>>(), rows, "seed {seed}");
        }
    }
}
