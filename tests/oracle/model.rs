//! The model of `model.yaml`, written out by hand from docs/model.md: buckets, learning, versions of weights, scores.

use super::decision_log::windows;
use super::entity_log::PlainPart;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tillstream::event::part::{WeightsSlice, feature_id};
use xxhash_rust::xxh3::xxh3_64;

pub const NAME: &str = "online";
const INPUTS: [&str; 6] = [
    "amount_minor",
    "hour_utc",
    "card_velocity__count_1h",
    "card_velocity__amount_mean_7d",
    "card_labels__fraud_sum_30d",
    "channel",
];
const CROSSES: [[usize; 2]; 1] = [[2, 1]];
const BUCKETS_PER_DOUBLING: f64 = 4.0;
const ALPHA: f64 = 0.2;
const BETA: f64 = 1.0;
const L2: f64 = 0.5;
const MIN_LABELS: u64 = 20;
const MIN_FRAUDS: u64 = 3;
const PUBLISH_AFTER: u64 = 7;
const WHOLE_EVERY: u32 = 64;

/// The value of each input, null where there is none.
pub fn values(parts: &[PlainPart]) -> Vec<Value> {
    let context = parts.iter().map(|part| &part.context).find(|context| !context.is_null());
    let value = |name: &str| {
        if name == "hour_utc" {
            return json!(parts[0].time / 3_600_000 % 24);
        }
        if name.contains("__") {
            let id = feature_id(name);
            return json!(parts.iter().find_map(|part| part.features.get(&id)));
        }
        context.map_or(Value::Null, |context| context[name].clone())
    };
    INPUTS.map(value).to_vec()
}

/// The number of a bucket: a function of what it holds, told apart by powers of two and quarters between them.
fn bucket(name: &str, value: &Value) -> u64 {
    let Some(number) = value.as_f64() else {
        return value.as_str().map_or(u64::MAX, |text| xxh3_64(text.as_bytes()));
    };
    if number == 0.0 {
        return u64::MAX - 1;
    }
    if name == "hour_utc" {
        return number.to_bits();
    }
    // values here are above 0: the largest power of two not above it, and the quarter above that
    let mut power = 0_i32;
    while 2_f64.powi(power + 1) <= number {
        power += 1;
    }
    while 2_f64.powi(power) > number {
        power -= 1;
    }
    let quarter = ((number / 2_f64.powi(power) - 1.0) * BUCKETS_PER_DOUBLING).floor();
    u64::from((1_023 + power).unsigned_abs()) * BUCKETS_PER_DOUBLING as u64 + quarter as u64
}

/// A token for each input and each cross.
pub fn tokens(values: &[Value]) -> Vec<u32> {
    let token = |numbers: &[u64]| {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        (xxh3_64(&bytes) % (1 << 32)) as u32
    };
    let of = |place: usize| bucket(INPUTS[place], &values[place]);
    let single = (0..INPUTS.len()).map(|place| token(&[xxh3_64(INPUTS[place].as_bytes()), of(place)]));
    let crossed = CROSSES.iter().map(|[one, other]| {
        let name = format!("{} x {}", INPUTS[*one], INPUTS[*other]);
        token(&[xxh3_64(name.as_bytes()), of(*one), of(*other)])
    });
    single.chain(crossed).collect()
}

fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The weights a decision is made with.
#[derive(Debug, Default)]
pub struct Served {
    version: u32,
    labels: u64,
    frauds: u64,
    bias: f64,
    weights: BTreeMap<u32, f64>,
}

impl Served {
    /// A version came; here each has one slice.
    pub fn take(&mut self, slice: &WeightsSlice) {
        assert_eq!((slice.slice, slice.slices), (0, 1), "a small model has one slice");
        match slice.since {
            None => self.weights.clear(),
            Some(since) => assert_eq!(since, self.version, "no version is left out"),
        }
        self.weights.extend(slice.weights.iter().copied());
        (self.version, self.labels, self.frauds) = (slice.version, slice.labels, slice.frauds);
        self.bias = slice.bias;
    }

    /// The model's score, and whether it counts.
    pub fn score(&self, values: &[Value]) -> Option<(f64, bool)> {
        if self.version == 0 {
            return None;
        }
        let sum: f64 = tokens(values).iter().map(|token| self.weights.get(token).unwrap_or(&0.0)).sum();
        let is_live = self.labels >= MIN_LABELS && self.frauds >= MIN_FRAUDS;
        Some((probability(self.bias + sum), is_live))
    }

    /// What the score record says of it; `contribution` is its share of the score.
    pub fn said(&self, values: &[Value], contribution: f64) -> Value {
        let Some((score, is_live)) = self.score(values) else { return Value::Null };
        let mut factors: Vec<(f64, Map<String, Value>)> = Vec::new();
        for (place, token) in tokens(values).iter().enumerate() {
            let weight = self.weights.get(token).copied().unwrap_or(0.0);
            let places: &[usize] =
                if place < INPUTS.len() { &[place] } else { &CROSSES[place - INPUTS.len()] };
            let inputs = places.iter().map(|place| (INPUTS[*place].to_owned(), values[*place].clone()));
            if weight > 0.0 {
                factors.push((weight, inputs.collect()));
            }
        }
        // a stable sort: of equal ones the first stays first
        factors.sort_by(|one, other| other.0.total_cmp(&one.0));
        factors.truncate(5);
        let factors: Vec<Value> = factors
            .into_iter()
            .map(|(weight, inputs)| json!({ "inputs": inputs, "windows_ms": windows(inputs.keys()), "log_odds": weight }))
            .collect();
        json!({
            "name": NAME,
            "version": self.version,
            "score": score,
            "is_live": is_live,
            "contribution": contribution,
            "factors": factors,
        })
    }
}

/// z and n of every token, and the bias under `None`.
#[derive(Debug, Default)]
pub struct Learner {
    known: BTreeMap<Option<u32>, (f64, f64)>,
    changed: BTreeSet<u32>,
    labels: u64,
    frauds: u64,
    since: u64,
    version: u32,
}

/// A version as it went out: number, the one it changes, labels, frauds, bias, weights.
pub type Version = (u32, Option<u32>, u64, u64, f64, BTreeMap<u32, f64>);

/// As it was read.
pub fn version_of(slice: &WeightsSlice) -> Version {
    let weights = slice.weights.iter().copied().collect();
    (slice.version, slice.since, slice.labels, slice.frauds, slice.bias, weights)
}

impl Learner {
    fn weight(&self, token: Option<u32>) -> f64 {
        let (z, n) = self.known.get(&token).copied().unwrap_or_default();
        -z / ((BETA + n.sqrt()) / ALPHA + L2)
    }

    /// Learns from one label.
    pub fn learn(&mut self, tokens: &[u32], fraud: bool) {
        let all: Vec<Option<u32>> = std::iter::once(None).chain(tokens.iter().copied().map(Some)).collect();
        let sum: f64 = all.iter().map(|token| self.weight(*token)).sum();
        let g = probability(sum) - f64::from(u8::from(fraud));
        for token in all {
            let w = self.weight(token);
            let (z, n) = self.known.entry(token).or_default();
            let sigma = ((*n + g * g).sqrt() - n.sqrt()) / ALPHA;
            (*z, *n) = (*z + g - sigma * w, *n + g * g);
        }
        self.changed.extend(tokens);
        self.labels += 1;
        self.frauds += u64::from(fraud);
        self.since += 1;
    }

    /// The version that goes out now, if one is due.
    pub fn publish(&mut self, hour_has_begun: bool) -> Option<Version> {
        if self.since == 0 || (self.since < PUBLISH_AFTER && !hour_has_begun) {
            return None;
        }
        let whole = self.version.is_multiple_of(WHOLE_EVERY);
        let changed = std::mem::take(&mut self.changed);
        let all = self.known.keys().flatten().copied();
        let tokens: BTreeSet<u32> = if whole { all.collect() } else { changed };
        let weights = tokens.into_iter().map(|token| (token, self.weight(Some(token)))).collect();
        let since = (!whole).then_some(self.version);
        self.version += 1;
        self.since = 0;
        Some((self.version, since, self.labels, self.frauds, self.weight(None), weights))
    }
}

/// Whether two versions are the same, weights as doubles within a tolerance.
pub fn same(one: &Version, other: &Version) -> bool {
    let near = |one: f64, other: f64| (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1e-9);
    (one.0, one.1, one.2, one.3) == (other.0, other.1, other.2, other.3)
        && near(one.4, other.4)
        && one.5.keys().eq(other.5.keys())
        && one.5.values().zip(other.5.values()).all(|(one, other)| near(*one, *other))
}
