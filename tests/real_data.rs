//! Real data through `tillstream process`, against expected values computed elsewhere.
//!
//! The data does not ship, so cargo counts these tests as ignored; `./dev test` runs them where it is. It
//! is looked for in `TILLSTREAM_DATA` (default `../shared/data`), and a test that was asked for fails without.

#![expect(
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::print_stdout,
    reason = "a test: what is wrong may panic, and what was compared is printed"
)]

#[path = "real_data/benchmark.rs"]
mod benchmark;
#[path = "real_data/neighbours.rs"]
mod neighbours;
#[path = "real_data/tills.rs"]
mod tills;

use benchmark::Transaction;
use parquet::file::reader::SerializedFileReader;
use parquet::record::{Field, Row};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The file, which must be there.
fn data(name: &str) -> PathBuf {
    let folder = std::env::var("TILLSTREAM_DATA").unwrap_or_else(|_| "../shared/data".to_owned());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
    assert!(
        path.exists(),
        "{} is not there: set TILLSTREAM_DATA to the folder of the data sets",
        path.display()
    );
    path
}

/// Runs `process` over what `write` writes.
fn process(config: Option<&str>, write: impl FnOnce(&mut dyn Write) + Send) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillstream"));
    command.args(["process", "-", "--out"]).arg(folder.path()).stdin(Stdio::piped());
    if let Some(config) = config {
        command.arg("--config").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(config));
    }
    let mut child = command.spawn().expect("the program starts");
    let stdin = child.stdin.take().expect("a pipe");
    let mut out = BufWriter::with_capacity(1 << 20, stdin);
    write(&mut out);
    out.flush().expect("it reads");
    drop(out);
    assert!(child.wait().expect("it ends").success());
    folder
}

fn records(folder: &Path, topic: &str) -> impl Iterator<Item = Value> {
    let file = File::open(folder.join(format!("{topic}.jsonl"))).expect("every topic has its file");
    let lines = BufReader::with_capacity(1 << 20, file).lines();
    lines.map(|line| {
        let mut line: Value = serde_json::from_str(&line.expect("readable")).expect("every line is JSON");
        line["value"].take()
    })
}

#[test]
#[ignore = "needs the data sets: TILLSTREAM_DATA"]
fn sessions_of_real_clicks_are_those_of_a_sort_and_a_scan() {
    let path = data("dev/serenade_toy_train.txt");
    let mut clicks: Vec<(i64, String, String)> = Vec::new();
    for line in BufReader::new(File::open(path).expect("readable")).lines().skip(1) {
        let line = line.expect("readable");
        let mut fields = line.split('\t');
        let (session, item, time) = (
            fields.next().expect("a session"),
            fields.next().expect("an item"),
            fields.next().expect("a time"),
        );
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
        let time_ms = (time.parse::<f64>().expect("a number") * 1_000.0) as i64;
        clicks.push((time_ms, session.to_owned(), item.to_owned()));
    }
    clicks.sort_by_key(|(time, ..)| *time);
    let folder = process(None, |out| {
        for (number, (time, session, item)) in clicks.iter().enumerate() {
            let click = json!({"event_id": format!("e{number}"), "event_name": "view_item", "event_time_ms": time,
                "visitor_id": session, "items": [{"item_id": item}]});
            writeln!(out, "{}", json!({"topic": "clickstream", "ts": time, "key": session, "value": click}))
                .expect("it reads");
        }
    });
    let mut times = BTreeMap::<String, Vec<i64>>::new();
    for (time, session, _) in &clicks {
        times.entry(session.clone()).or_default().push(*time);
    }
    let mut expected = Vec::new();
    for (visitor, times) in times {
        for run in times.chunk_by(|earlier, later| later - earlier <= 30 * 60_000) {
            expected.push((visitor.clone(), run[0], run[run.len() - 1], run.len() as u64));
        }
    }
    let number = |value: &Value| value.as_i64().expect("a number");
    let mut sessions: Vec<_> = records(folder.path(), "sessions")
        .filter(|session| session["is_final"] == true)
        .map(|session| {
            let visitor = session["visitor_id"].as_str().expect("a text").to_owned();
            (
                visitor,
                number(&session["start_ms"]),
                number(&session["end_ms"]),
                session["events"].as_u64().expect("a count"),
            )
        })
        .collect();
    sessions.sort();
    println!("{} clicks, {} sessions", clicks.len(), expected.len());
    assert_eq!(sessions, expected);
}

fn rows(path: &Path) -> impl Iterator<Item = Row> {
    let reader = SerializedFileReader::new(File::open(path).expect("readable")).expect("Parquet");
    reader.into_iter().map(|row| row.expect("a row"))
}

fn number(row: &Row, name: &str) -> f64 {
    let (_, field) = row
        .get_column_iter()
        .find(|(column, _)| *column == name)
        .unwrap_or_else(|| panic!("no column {name}"));
    match field {
        Field::Int(value) => f64::from(*value),
        Field::Long(value) => *value as f64,
        Field::Short(value) => f64::from(*value),
        Field::Byte(value) => f64::from(*value),
        Field::UInt(value) => f64::from(*value),
        Field::UByte(value) => f64::from(*value),
        Field::UShort(value) => f64::from(*value),
        Field::ULong(value) => *value as f64,
        Field::Double(value) => *value,
        Field::Float(value) => f64::from(*value),
        Field::TimestampMillis(value) => *value as f64,
        Field::TimestampMicros(value) => (*value / 1_000) as f64,
        Field::Str(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text}")),
        other => panic!("{name} is {other:?}"),
    }
}

/// What is compared: our feature, the column of the oracle, and its factor.
const CUSTOMER: [(&str, &str, f64); 6] = [
    ("customer_spending__count_1d", "CUSTOMER_ID_NB_TX_1DAY_WINDOW", 1.0),
    ("customer_spending__count_7d", "CUSTOMER_ID_NB_TX_7DAY_WINDOW", 1.0),
    ("customer_spending__count_30d", "CUSTOMER_ID_NB_TX_30DAY_WINDOW", 1.0),
    ("customer_spending__amount_mean_1d", "CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW", 100.0),
    ("customer_spending__amount_mean_7d", "CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW", 100.0),
    ("customer_spending__amount_mean_30d", "CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW", 100.0),
];
const TERMINAL: [(&str, &str, f64); 9] = [
    ("terminal_activity__count_1d", "TERMINAL_ID_NB_TX_1DAY_WINDOW", 1.0),
    ("terminal_activity__count_7d", "TERMINAL_ID_NB_TX_7DAY_WINDOW", 1.0),
    ("terminal_activity__count_30d", "TERMINAL_ID_NB_TX_30DAY_WINDOW", 1.0),
    ("terminal_risk__count_1d", "TERMINAL_ID_NB_TX_1DAY_WINDOW", 1.0),
    ("terminal_risk__count_7d", "TERMINAL_ID_NB_TX_7DAY_WINDOW", 1.0),
    ("terminal_risk__count_30d", "TERMINAL_ID_NB_TX_30DAY_WINDOW", 1.0),
    ("terminal_risk__fraud_mean_1d", "TERMINAL_ID_RISK_1DAY_WINDOW", 1.0),
    ("terminal_risk__fraud_mean_7d", "TERMINAL_ID_RISK_7DAY_WINDOW", 1.0),
    ("terminal_risk__fraud_mean_30d", "TERMINAL_ID_RISK_30DAY_WINDOW", 1.0),
];

/// 2018-04-01, when the data begin.
const START_MS: f64 = 1_522_540_800_000.0;
/// What a transaction was is known so long after it.
const KNOWN_AFTER_MS: f64 = benchmark::KNOWN_AFTER_DAYS as f64 * 86_400_000.0;

fn write_label(out: &mut dyn Write, (known_at, id, terminal, is_fraud): (f64, f64, f64, bool)) {
    let outcome = if is_fraud { "fraud" } else { "legitimate" };
    writeln!(
        out,
        "{{\"topic\":\"labels\",\"ts\":{known_at},\"key\":\"{id}\",\"value\":{{\"event_id\":\"l{id}\",\"event_name\":\"label\",\
         \"known_at_ms\":{known_at},\"payment_id\":\"{id}\",\"terminal_id\":\"{terminal}\",\"outcome\":\"{outcome}\",\
         \"source\":\"investigation\"}}}}"
    )
    .expect("it reads");
}

#[test]
#[ignore = "needs the data sets: TILLSTREAM_DATA"]
fn features_and_model_on_real_transactions_are_those_of_the_benchmark() {
    let transactions = data("dev/fraud_tx_until_2018-08-14.parquet");
    let features = data("dev/fraud_features_until_2018-08-14.parquet");
    let mut frauds = 0_u64;
    let mut judged = Vec::new();
    let folder = process(Some("examples/handbook/shop.yaml"), |out| {
        let mut unknown = VecDeque::new();
        for row in rows(&transactions) {
            let id = number(&row, "TRANSACTION_ID");
            let time = START_MS + number(&row, "TX_TIME_SECONDS") * 1_000.0;
            while let Some(label) =
                unknown.pop_front_if(|(known_at, ..): &mut (f64, f64, f64, bool)| *known_at <= time)
            {
                write_label(out, label);
            }
            let is_fraud = number(&row, "TX_FRAUD") == 1.0;
            frauds += u64::from(is_fraud);
            #[expect(clippy::cast_possible_truncation, reason = "whole numbers")]
            judged.push((
                id as i64,
                Transaction {
                    time_ms: (time - START_MS) as i64,
                    customer: number(&row, "CUSTOMER_ID") as i64,
                    is_fraud,
                    values: vec![number(&row, "TX_AMOUNT")],
                },
            ));
            unknown.push_back((time + KNOWN_AFTER_MS, id, number(&row, "TERMINAL_ID"), is_fraud));
            let (customer, terminal) = (number(&row, "CUSTOMER_ID"), number(&row, "TERMINAL_ID"));
            let cents = (number(&row, "TX_AMOUNT") * 100.0).round();
            writeln!(
                out,
                "{{\"topic\":\"payments\",\"ts\":{time},\"key\":\"c{customer}\",\"value\":{{\"event_id\":\"e{id}\",\"event_name\":\
                 \"payment_attempted\",\"event_time_ms\":{time},\"payment_id\":\"{id}\",\"card_token\":\"c{customer}\",\
                 \"amount_minor\":{cents},\"currency\":\"EUR\",\"customer_id\":\"{customer}\",\"terminal_id\":\"{terminal}\"}}}}"
            )
            .expect("it reads");
        }
        unknown.into_iter().for_each(|label| write_label(out, label));
    });
    let mut ours = BTreeMap::<(u64, bool), Value>::new();
    for mut record in records(folder.path(), "features.fraud") {
        let id = record["payment_id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .expect("our payment ids are numbers");
        assert_eq!(record["estimates"], json!({}), "every key is small enough to be exact");
        ours.insert((id, record["entity"] == "customer"), record["features"].take());
    }
    let mut compared = 0_u64;
    for row in rows(&features) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an id")]
        let id = number(&row, "TRANSACTION_ID") as u64;
        for (entity, names) in [(true, &CUSTOMER[..]), (false, &TERMINAL[..])] {
            let record =
                ours.get(&(id, entity)).unwrap_or_else(|| panic!("transaction {id} has no features"));
            for (name, column, factor) in names {
                // the rate of nothing has no value here, and is 0 there
                let of_nothing = if name.contains("fraud_mean") { 0.0 } else { f64::NAN };
                let (value, expected) =
                    (record[name].as_f64().unwrap_or(of_nothing), number(&row, column) * factor);
                let good = if name.contains("count") {
                    value == expected
                } else {
                    (value - expected).abs() <= 1e-9 * expected.abs()
                };
                assert!(good, "transaction {id}: {name} is {value}, and {column} is {expected}");
                compared += 1;
            }
        }
    }
    let mut times = BTreeMap::new();
    let mut values = BTreeMap::new();
    for row in rows(&features) {
        let columns = CUSTOMER.iter().chain(&TERMINAL[3..]).map(|(_, column, _)| *column);
        let of_row = columns.chain(["TX_DURING_WEEKEND", "TX_DURING_NIGHT"]).map(|name| number(&row, name));
        #[expect(clippy::cast_possible_truncation, reason = "an id")]
        values.insert(number(&row, "TRANSACTION_ID") as i64, of_row.collect::<Vec<f64>>());
        let of = |name| number(&row, name) == 1.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an id")]
        times.insert(number(&row, "TRANSACTION_ID") as u64, (of("TX_DURING_WEEKEND"), of("TX_DURING_NIGHT")));
    }
    let mut scores = BTreeMap::new();
    for score in records(folder.path(), "scores.fraud") {
        let id: u64 = score["payment_id"].as_str().and_then(|id| id.parse().ok()).expect("a number");
        let fired = |rule: &str| score["shadow"].as_array().expect("a list").iter().any(|id| id == rule);
        assert_eq!(times.remove(&id), Some((fired("weekend"), fired("night"))), "transaction {id}");
        compared += 2;
        scores.insert(id, score["model"]["score"].as_f64().unwrap_or(0.0));
    }
    assert_eq!(times.len(), 0, "every payment was scored");
    let labelled =
        records(folder.path(), "labelled.fraud").filter(|score| score["outcome"] == "fraud").count();
    assert_eq!(labelled as u64, frauds, "every fraud met its score");
    println!("{compared} values compared");
    assert!(compared > 22_000_000, "{compared}");

    let ids: Vec<i64> = judged.iter().map(|(id, _)| *id).collect();
    let transactions: Vec<Transaction> = judged
        .into_iter()
        .map(|(id, mut transaction)| {
            transaction.values.extend(values.remove(&id).expect("its values"));
            transaction
        })
        .collect();
    let ours: Vec<f64> = ids.iter().map(|id| scores[&id.unsigned_abs()]).collect();
    judge_the_model(&transactions, &ours);
}

/// The model's score as it was published, beside plain online regression over the benchmark's fifteen values.
fn judge_the_model(transactions: &[Transaction], ours: &[f64]) {
    use benchmark::{CHOSEN_ON, TEST_WEEKS, calibration, foreseen, judge, plain_regression, plot, test_set};
    assert_eq!(transactions[0].values.len(), 15);
    assert_eq!(test_set(transactions, TEST_WEEKS[2]).len(), 58_264, "the benchmark's own test week");
    println!("the weeks on which settings were chosen:");
    judge(&CHOSEN_ON, ours, transactions);
    println!("test weeks, the model that learns online over buckets:");
    let (precision, cards) = judge(&TEST_WEEKS, ours, transactions);
    println!("test weeks, plain online regression over standardised values:");
    let (plain, plain_cards) = judge(&TEST_WEEKS, &plain_regression(transactions), transactions);
    println!(
        "mean average precision {precision:.4} (plain {plain:.4}), card precision@100 {cards:.4} (plain {plain_cards:.4})"
    );
    let all: Vec<usize> = TEST_WEEKS.iter().flat_map(|week| test_set(transactions, *week)).collect();
    let points = calibration(&all, ours, transactions);
    print!("{}", plot(&points));
    // where it speaks of a risk worth looking at, it is right within half as much again
    let wrong = points.iter().filter(|point| point.score > 0.02);
    let wrong = wrong.filter(|point| !(1.0 / 1.5..=1.5).contains(&(point.frauds / point.score)));
    assert_eq!(wrong.count(), 0, "not calibrated");
    // over all payments it foresees as many frauds as there are, and its many small scores are nearly right
    let (said, happened, apart) = foreseen(&points);
    println!("{said:.0} frauds foreseen, {happened:.0} happened; score and share of frauds {apart:.5} apart");
    assert!((0.9..1.1).contains(&(said / happened)), "{said} frauds foreseen, {happened} happened");
    assert!(apart < 0.0015, "{apart}");
    assert!(precision >= 0.69, "{precision}");
    assert!(cards >= 0.295, "{cards}");
    assert!(precision - plain >= 0.15, "{precision} and {plain}");
}
