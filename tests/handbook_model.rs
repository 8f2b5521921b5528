//! The model that learns online on the Fraud Detection Handbook's transactions: each payment is scored by what was known
//! then, labels come after seven days. Beside it, in the same run, plain online logistic regression over standardised values.
//!
//! The data does not ship, so cargo counts this test as ignored; `./dev test` runs it where it is. It
//! is looked for in `TILLSTREAM_DATA` (default `../shared/data`), and a test that was asked for fails without.

#![expect(
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::print_stdout,
    reason = "a test: what is wrong may panic, ties are exact, and the figures are told"
)]

use parquet::file::reader::SerializedFileReader;
use parquet::record::{Field, Row};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};
use tillstream::event::PaymentContext;
use tillstream::event::part::feature_id;
use tillstream::feature::{FeaturePlan, FeaturesSpec};
use tillstream::fraud::Inputs;
use tillstream::fraud::model::{Learner, ModelSpec};
use tillstream::time::EventTime;

const START_MS: i64 = 1_522_540_800_000;
const DAY_MS: i64 = 86_400_000;
const KNOWN_AFTER_DAYS: i64 = 7;
/// Days since 2018-04-01 on which the three test weeks begin: 07-25, 08-01, 08-08.
const TEST_WEEKS: [i64; 3] = [115, 122, 129];

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

fn rows(name: &str) -> impl Iterator<Item = Row> {
    let file = File::open(data(name)).expect("readable");
    SerializedFileReader::new(file).expect("Parquet").into_iter().map(|row| row.expect("a row"))
}

fn number(row: &Row, name: &str) -> f64 {
    let (_, field) = row.get_column_iter().find(|(column, _)| *column == name).expect("the column");
    match field {
        Field::Int(value) => f64::from(*value),
        Field::Long(value) => *value as f64,
        Field::Byte(value) => f64::from(*value),
        Field::UByte(value) => f64::from(*value),
        Field::Short(value) => f64::from(*value),
        Field::UShort(value) => f64::from(*value),
        Field::UInt(value) => f64::from(*value),
        Field::Double(value) => *value,
        Field::Float(value) => f64::from(*value),
        Field::Str(text) => text.parse().expect("a number"),
        other => panic!("{name} is {other:?}"),
    }
}

/// Our features, by the columns of the oracle, which the test of real transactions shows to be equal.
const FEATURES: [(&str, &str, f64); 12] = [
    ("customer_spending__count_1d", "CUSTOMER_ID_NB_TX_1DAY_WINDOW", 1.0),
    ("customer_spending__count_7d", "CUSTOMER_ID_NB_TX_7DAY_WINDOW", 1.0),
    ("customer_spending__count_30d", "CUSTOMER_ID_NB_TX_30DAY_WINDOW", 1.0),
    ("customer_spending__amount_mean_1d", "CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW", 100.0),
    ("customer_spending__amount_mean_7d", "CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW", 100.0),
    ("customer_spending__amount_mean_30d", "CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW", 100.0),
    ("terminal_risk__count_1d", "TERMINAL_ID_NB_TX_1DAY_WINDOW", 1.0),
    ("terminal_risk__count_7d", "TERMINAL_ID_NB_TX_7DAY_WINDOW", 1.0),
    ("terminal_risk__count_30d", "TERMINAL_ID_NB_TX_30DAY_WINDOW", 1.0),
    ("terminal_risk__fraud_mean_1d", "TERMINAL_ID_RISK_1DAY_WINDOW", 1.0),
    ("terminal_risk__fraud_mean_7d", "TERMINAL_ID_RISK_7DAY_WINDOW", 1.0),
    ("terminal_risk__fraud_mean_30d", "TERMINAL_ID_RISK_30DAY_WINDOW", 1.0),
];

struct Transaction {
    time: EventTime,
    day: i64,
    customer: i64,
    amount_minor: i64,
    is_fraud: bool,
    features: Vec<(u32, f64)>,
    /// The benchmark's fifteen values, for the plain regression.
    plain: Vec<f64>,
}

#[expect(clippy::cast_possible_truncation, reason = "whole numbers")]
fn transactions(plan: &FeaturePlan) -> Vec<Transaction> {
    let mut values = BTreeMap::new();
    for row in rows("dev/fraud_features_until_2018-08-14.parquet") {
        let id = number(&row, "TRANSACTION_ID") as i64;
        let of_row: Vec<f64> =
            FEATURES.iter().map(|(_, column, factor)| number(&row, column) * factor).collect();
        values.insert(id, of_row);
    }
    rows("dev/fraud_tx_until_2018-08-14.parquet")
        .map(|row| {
            let time = EventTime(START_MS + number(&row, "TX_TIME_SECONDS") as i64 * 1_000);
            let amount_minor = (number(&row, "TX_AMOUNT") * 100.0).round() as i64;
            let of_row = values.remove(&(number(&row, "TRANSACTION_ID") as i64)).expect("its features");
            // a rate of nothing has no value
            let has_value = |place: usize| place < 9 || of_row[place - 3] > 0.0;
            let mut features: Vec<(u32, f64)> = (0..FEATURES.len())
                .filter(|place| has_value(*place))
                .map(|place| (feature_id(FEATURES[place].0), of_row[place]))
                .collect();
            features.sort_unstable_by_key(|(id, _)| *id);
            plan.derive(Some(amount_minor as f64), &mut features);
            let mut plain = of_row;
            plain.push(amount_minor as f64);
            plain.push(f64::from(u8::from(time.weekday() >= 6)));
            plain.push(f64::from(u8::from(time.hour() <= 6)));
            Transaction {
                time,
                day: time.since(EventTime(START_MS)).div_euclid(DAY_MS),
                customer: number(&row, "CUSTOMER_ID") as i64,
                amount_minor,
                is_fraud: number(&row, "TX_FRAUD") > 0.5,
                features,
                plain,
            }
        })
        .collect()
}

fn context(transaction: &Transaction) -> PaymentContext<'static> {
    PaymentContext {
        payment_id: "p",
        amount_minor: transaction.amount_minor,
        currency: "EUR",
        channel: None,
        card_country: None,
        ip_country: None,
        billing_country: None,
        shipping_country: None,
    }
}

/// Scores every transaction in order by what `learn` was told of those before it that are known by then.
fn prequential(
    transactions: &[Transaction],
    mut score: impl FnMut(usize) -> f64,
    learn: &std::cell::RefCell<impl FnMut(usize)>,
) -> Vec<f64> {
    let mut unknown = VecDeque::new();
    let mut scores = Vec::with_capacity(transactions.len());
    for (number, transaction) in transactions.iter().enumerate() {
        let known = |earlier: &mut usize| {
            transactions[*earlier].time.0 + KNOWN_AFTER_DAYS * DAY_MS <= transaction.time.0
        };
        while let Some(earlier) = unknown.pop_front_if(known) {
            (learn.borrow_mut())(earlier);
        }
        scores.push(score(number));
        unknown.push_back(number);
    }
    scores
}

/// Plain online logistic regression over values standardised by what was seen so far.
#[derive(Default)]
struct Plain {
    weights: Vec<f64>,
    bias: f64,
    count: f64,
    mean: Vec<f64>,
    m2: Vec<f64>,
}

impl Plain {
    const STEP: f64 = 0.01;

    fn standardised(&self, values: &[f64]) -> Vec<f64> {
        let spread = |place: usize| (self.m2[place] / self.count.max(1.0)).sqrt().max(1e-9);
        (0..values.len())
            .map(|place| ((values[place] - self.mean[place]) / spread(place)).clamp(-10.0, 10.0))
            .collect()
    }

    fn see(&mut self, values: &[f64]) {
        self.weights.resize(values.len(), 0.0);
        self.mean.resize(values.len(), 0.0);
        self.m2.resize(values.len(), 0.0);
        self.count += 1.0;
        for (place, value) in values.iter().enumerate() {
            let off = value - self.mean[place];
            self.mean[place] += off / self.count;
            self.m2[place] += off * (value - self.mean[place]);
        }
    }

    fn score(&self, values: &[f64]) -> f64 {
        let sum: f64 =
            self.standardised(values).iter().zip(&self.weights).map(|(value, weight)| value * weight).sum();
        1.0 / (1.0 + (-(sum + self.bias)).exp())
    }

    fn learn(&mut self, values: &[f64], is_fraud: bool) {
        let gradient = self.score(values) - f64::from(u8::from(is_fraud));
        let standardised = self.standardised(values);
        for (weight, value) in self.weights.iter_mut().zip(standardised) {
            *weight -= Plain::STEP * gradient * value;
        }
        self.bias -= Plain::STEP * gradient;
    }
}

/// The transactions of a test week that the benchmark counts: without the customers known to be defrauded.
fn test_set(transactions: &[Transaction], begins: i64) -> Vec<usize> {
    let train = begins - 14;
    let defrauded = |days: std::ops::Range<i64>| -> BTreeSet<i64> {
        let frauds = transactions.iter().filter(|one| one.is_fraud && days.contains(&one.day));
        frauds.map(|one| one.customer).collect()
    };
    let mut known = defrauded(train..train + 7);
    let mut set = Vec::new();
    for day in 0..7 {
        known.extend(defrauded(train + 7 + day - 1..train + 7 + day));
        set.extend((0..transactions.len()).filter(|number| {
            let one = &transactions[*number];
            one.day == begins + day && !known.contains(&one.customer)
        }));
    }
    set
}

/// Σ (Rₙ − Rₙ₋₁) · Pₙ, tied scores at once.
fn average_precision(set: &[usize], scores: &[f64], transactions: &[Transaction]) -> f64 {
    let mut ranked: Vec<(f64, bool)> =
        set.iter().map(|number| (scores[*number], transactions[*number].is_fraud)).collect();
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
    let frauds = ranked.iter().filter(|(_, is_fraud)| *is_fraud).count() as f64;
    let (mut seen, mut found, mut sum) = (0.0, 0.0, 0.0);
    for tied in ranked.chunk_by(|one, other| one.0 == other.0) {
        let of_these = tied.iter().filter(|(_, is_fraud)| *is_fraud).count() as f64;
        seen += tied.len() as f64;
        found += of_these;
        sum += of_these * found / seen;
    }
    sum / frauds
}

/// Of the hundred cards with the highest score of a day, how many were defrauded; found ones are looked at no more.
fn card_precision(set: &[usize], scores: &[f64], transactions: &[Transaction]) -> f64 {
    let mut days = BTreeMap::<i64, BTreeMap<i64, (f64, bool)>>::new();
    for number in set {
        let one = &transactions[*number];
        let card = days.entry(one.day).or_default().entry(one.customer).or_insert((0.0, false));
        *card = (card.0.max(scores[*number]), card.1 || one.is_fraud);
    }
    let mut found = BTreeSet::new();
    let mut sum = 0.0;
    let count = days.len() as f64;
    for cards in days.into_values() {
        let mut ranked: Vec<_> = cards.into_iter().filter(|(card, _)| !found.contains(card)).collect();
        ranked.sort_by(|one, other| other.1.0.total_cmp(&one.1.0));
        let detected: Vec<i64> = ranked
            .into_iter()
            .take(100)
            .filter(|(_, (_, is_fraud))| *is_fraud)
            .map(|(card, _)| card)
            .collect();
        sum += detected.len() as f64 / 100.0;
        found.extend(detected);
    }
    sum / count
}

/// Mean average precision and card precision over test weeks.
fn judge(begins: &[i64], scores: &[f64], transactions: &[Transaction]) -> (f64, f64) {
    let (mut precision, mut cards) = (0.0, 0.0);
    for week in begins {
        let set = test_set(transactions, *week);
        let of_week =
            (average_precision(&set, scores, transactions), card_precision(&set, scores, transactions));
        println!(
            "  week of day {week}: {} rows, average precision {:.4}, card precision@100 {:.4}",
            set.len(),
            of_week.0,
            of_week.1
        );
        precision += of_week.0;
        cards += of_week.1;
    }
    (precision / begins.len() as f64, cards / begins.len() as f64)
}

/// Mean score beside the share of frauds, over ten groups of rising score.
fn calibration(set: &[usize], scores: &[f64], transactions: &[Transaction]) {
    let mut ranked: Vec<usize> = set.to_vec();
    ranked.sort_by(|one, other| scores[*one].total_cmp(&scores[*other]));
    for group in ranked.chunks(ranked.len().div_ceil(10)) {
        let mean = group.iter().map(|number| scores[*number]).sum::<f64>() / group.len() as f64;
        let frauds =
            group.iter().filter(|number| transactions[**number].is_fraud).count() as f64 / group.len() as f64;
        println!("  mean score {mean:.5}, frauds {frauds:.5}");
    }
}

#[test]
#[ignore = "needs the data sets: TILLSTREAM_DATA"]
fn the_model_that_learns_online_beats_plain_regression_by_far_and_the_published_figures() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/handbook");
    let read = |name: &str| std::fs::read_to_string(example.join(name)).expect("readable");
    let features: FeaturesSpec = serde_saphyr::from_str(&read("features.yaml")).expect("views");
    let plan = FeaturePlan::compile(&features, std::time::Duration::ZERO).expect("good views");
    let spec: ModelSpec = serde_saphyr::from_str(&read("model.yaml")).expect("a model");
    let model = spec.compile(&plan.feature_names()).expect("a good model");
    let transactions = transactions(&plan);
    assert_eq!(test_set(&transactions, 129).len(), 58_264, "the benchmark's own test week");

    let tokens: Vec<Vec<u32>> = transactions
        .iter()
        .map(|one| {
            let (context, mut tokens) = (context(one), Vec::new());
            let inputs = Inputs { features: &one.features, time: one.time, context: Some(&context) };
            model.tokens(&inputs, &mut tokens);
            tokens
        })
        .collect();
    let learner = std::cell::RefCell::new(Learner::new(model.learning()));
    let learn = std::cell::RefCell::new(|earlier: usize| {
        learner.borrow_mut().learn(&tokens[earlier], transactions[earlier].is_fraud);
    });
    let ours = prequential(&transactions, |number| learner.borrow().score(&tokens[number]), &learn);

    let plain = std::cell::RefCell::new(Plain::default());
    let learn = std::cell::RefCell::new(|earlier: usize| {
        plain.borrow_mut().learn(&transactions[earlier].plain, transactions[earlier].is_fraud);
    });
    let score = |number: usize| {
        plain.borrow_mut().see(&transactions[number].plain);
        plain.borrow().score(&transactions[number].plain)
    };
    let others = prequential(&transactions, score, &learn);

    // settings were chosen on these
    println!("weeks before 2018-07-15:");
    println!("{:?}", judge(&[91, 98], &ours, &transactions));
    println!("test weeks, the model that learns online over buckets:");
    let (precision, cards) = judge(&TEST_WEEKS, &ours, &transactions);
    println!("test weeks, plain online regression over standardised values:");
    let (plain_precision, plain_cards) = judge(&TEST_WEEKS, &others, &transactions);
    println!(
        "mean average precision {precision:.4} (plain {plain_precision:.4}), card precision@100 {cards:.4} (plain {plain_cards:.4})"
    );
    let all: Vec<usize> = TEST_WEEKS.iter().flat_map(|week| test_set(&transactions, *week)).collect();
    calibration(&all, &ours, &transactions);
    assert!(precision >= 0.69, "{precision}");
    assert!(cards >= 0.295, "{cards}");
    assert!(precision - plain_precision >= 0.15, "{precision} and {plain_precision}");
}
