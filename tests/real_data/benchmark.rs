//! The Fraud Detection Handbook's benchmark: which transactions of a test week count, what precision is over payments and over
//! cards, and plain online logistic regression over standardised values to compare with.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places of a drawing, from numbers in its range"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a transaction was is known after a week.
pub(crate) const KNOWN_AFTER_DAYS: i64 = 7;
const DAY_MS: i64 = 86_400_000;
/// Days since 2018-04-01 on which weeks begin: two before 2018-07-15, on which settings were chosen, and the test weeks that
/// end 07-31, 08-07 and 08-14.
pub(crate) const CHOSEN_ON: [i64; 2] = [91, 98];
pub(crate) const TEST_WEEKS: [i64; 3] = [115, 122, 129];

/// A transaction, in order of time.
pub(crate) struct Transaction {
    /// Milliseconds since 2018-04-01.
    pub(crate) time_ms: i64,
    pub(crate) customer: i64,
    pub(crate) is_fraud: bool,
    /// The benchmark's fifteen values.
    pub(crate) values: Vec<f64>,
}

impl Transaction {
    fn day(&self) -> i64 {
        self.time_ms.div_euclid(DAY_MS)
    }
}

/// The scores of plain online regression, each by what was known then.
pub(crate) fn plain_regression(transactions: &[Transaction]) -> Vec<f64> {
    let mut plain = Plain::default();
    let mut unknown = VecDeque::new();
    let mut scores = Vec::with_capacity(transactions.len());
    for (number, transaction) in transactions.iter().enumerate() {
        let known = |earlier: &mut usize| {
            transactions[*earlier].time_ms + KNOWN_AFTER_DAYS * DAY_MS <= transaction.time_ms
        };
        while let Some(earlier) = unknown.pop_front_if(known) {
            let Transaction { values, is_fraud, .. } = &transactions[earlier];
            plain.learn(values, *is_fraud);
        }
        plain.see(&transaction.values);
        scores.push(plain.score(&transaction.values));
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
pub(crate) fn test_set(transactions: &[Transaction], begins: i64) -> Vec<usize> {
    let train = begins - 14;
    let defrauded = |days: std::ops::Range<i64>| -> BTreeSet<i64> {
        let frauds = transactions.iter().filter(|one| one.is_fraud && days.contains(&one.day()));
        frauds.map(|one| one.customer).collect()
    };
    let mut known = defrauded(train..train + 7);
    let mut set = Vec::new();
    for day in 0..7 {
        known.extend(defrauded(train + 7 + day - 1..train + 7 + day));
        set.extend((0..transactions.len()).filter(|number| {
            let one = &transactions[*number];
            one.day() == begins + day && !known.contains(&one.customer)
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
        let card = days.entry(one.day()).or_default().entry(one.customer).or_insert((0.0, false));
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
pub(crate) fn judge(begins: &[i64], scores: &[f64], transactions: &[Transaction]) -> (f64, f64) {
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

/// Payments of about one score: their mean score, the share of frauds, and how many they are.
pub(crate) struct Point {
    pub(crate) score: f64,
    pub(crate) frauds: f64,
    payments: usize,
}

/// How many frauds the scores of all points together foresee, how many there were, and how far scores and shares of frauds are
/// apart, on average over payments.
pub(crate) fn foreseen(points: &[Point]) -> (f64, f64, f64) {
    let sum = |of: &dyn Fn(&Point) -> f64| -> f64 {
        points.iter().map(|point| of(point) * point.payments as f64).sum()
    };
    let payments = sum(&|_| 1.0);
    (
        sum(&|point| point.score),
        sum(&|point| point.frauds),
        sum(&|point| (point.score - point.frauds).abs()) / payments,
    )
}

/// How the scores of a set compare with what happened: one point for each doubling of the score that has 50 payments.
pub(crate) fn calibration(set: &[usize], scores: &[f64], transactions: &[Transaction]) -> Vec<Point> {
    let mut groups = BTreeMap::<i32, Vec<usize>>::new();
    for number in set {
        groups.entry(scores[*number].log2().floor() as i32).or_default().push(*number);
    }
    let point = |group: &Vec<usize>| {
        let mean = |of: &dyn Fn(usize) -> f64| {
            group.iter().map(|number| of(*number)).sum::<f64>() / group.len() as f64
        };
        Point {
            score: mean(&|number| scores[number]),
            frauds: mean(&|number| f64::from(u8::from(transactions[number].is_fraud))),
            payments: group.len(),
        }
    };
    groups.values().filter(|group| group.len() >= 50).map(point).collect()
}

/// The points, drawn: scores and shares on logarithmic scales, `+` where they would be equal.
pub(crate) fn plot(points: &[Point]) -> String {
    const WIDTH: f64 = 48.0;
    // from 1/4096 to 1
    let place = |share: f64| (share.max(1.0 / 4_096.0).log2() / 12.0 * WIDTH + WIDTH).round() as usize;
    let mut text = String::from("mean score  frauds  payments\n");
    for Point { score, frauds, payments } in points {
        let (said, happened) = (place(*score), place(*frauds));
        let mut line = vec![' '; WIDTH as usize + 1];
        line[said.min(happened)..=said.max(happened)].fill('-');
        line[happened] = 'o';
        line[said] = '+';
        let line: String = line.into_iter().collect();
        text.push_str(&format!("{score:>10.4} {frauds:>7.4} {payments:>9}   {}\n", line.trim_end()));
    }
    text.push_str("                               + mean score, o share of frauds (only + where they fall together); from 1/4096 to 1, logarithmic\n");
    text
}
