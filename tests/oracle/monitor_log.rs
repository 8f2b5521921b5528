//! A whole monitor log folded: every labelled score of a day is kept, and each figure computed from all of them again.

use super::model::{self, Learner, Version};
use super::sources::Sources;
use super::{Log, Public, Settings};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tillstream::event::LabelOutcome;
use tillstream::event::monitor::MonitorEvent;
use tillstream::log::frame::{Frame, Item, Record};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const K: usize = 100;
const GROUPS: usize = 10;

/// What folding a monitor log leads to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Records of `quality.fraud`, in the order in which they are made.
    pub public: Vec<Public>,
    /// The versions of the model's weights that went out.
    pub weights: Vec<Version>,
    /// Labelled scores that counted.
    pub judged: u64,
    /// Labelled scores that were known only after the watermark at the end.
    pub waiting: u64,
    /// Frames that began above what was applied.
    pub refused_frames: u64,
    /// Each partition's watermark at the end.
    pub watermarks: BTreeMap<u32, Option<i64>>,
}

/// A labelled score as it came.
#[derive(Clone)]
struct Came {
    /// Whose score it is.
    of: String,
    known_at: i64,
    day: i64,
    labelled: Labelled,
    model: Option<(Vec<u32>, Option<f64>)>,
}

#[derive(Clone)]
struct Labelled {
    score: f64,
    /// None of a model that runs elsewhere.
    decision: Option<String>,
    amount: Option<i64>,
    currency: Option<String>,
    fraud: bool,
}

/// Folds every partition of a monitor log.
///
/// # Panics
///
/// If the log holds bytes that are no record of a monitor log.
#[must_use]
pub fn outcome(log: &Log, settings: &Settings) -> Outcome {
    let mut outcome = Outcome::default();
    for (partition, records) in log {
        let mut task = Task {
            settings,
            sources: Sources::default(),
            waiting: Vec::new(),
            days: BTreeMap::new(),
            revisions: BTreeMap::new(),
            changed: BTreeSet::new(),
            hour: None,
            learner: Learner::default(),
            outcome: &mut outcome,
        };
        for (_, bytes) in records {
            task.record(bytes);
        }
        let (waiting, watermark) = (task.waiting.len() as u64, task.sources.watermark);
        outcome.waiting += waiting;
        outcome.watermarks.insert(*partition, watermark);
    }
    outcome
}

struct Task<'a> {
    settings: &'a Settings,
    sources: Sources,
    /// In the order in which they came.
    waiting: Vec<Came>,
    /// By name of the score and day.
    days: BTreeMap<(String, i64), Vec<Labelled>>,
    /// How often each was published.
    revisions: BTreeMap<(String, i64), u32>,
    changed: BTreeSet<(String, i64)>,
    hour: Option<i64>,
    learner: Learner,
    outcome: &'a mut Outcome,
}

impl Task<'_> {
    fn record(&mut self, bytes: &[u8]) {
        for item in Record::decode(bytes).expect("a record of an internal log").items {
            match item {
                Item::Join(sources) => self.sources.join(&sources),
                Item::Frame(frame) => self.frame(&frame),
                Item::Deadline(_) => panic!("a deadline in the monitor log"),
            }
        }
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        let applied = self.sources.applied(frame.source);
        if frame.from > applied {
            self.outcome.refused_frames += 1;
            return;
        }
        for event in frame.events::<MonitorEvent<'_>>() {
            let (position, event) = event.expect("an event of the monitor log");
            let MonitorEvent::Labelled(event) = event else { continue };
            if position > applied {
                let labelled = Labelled {
                    score: event.score,
                    decision: json!(event.decision).as_str().map(str::to_owned),
                    amount: event.amount_minor,
                    currency: event.currency.map(|currency| currency.to_string()),
                    fraud: matches!(event.outcome, LabelOutcome::Fraud | LabelOutcome::Positive),
                };
                self.waiting.push(Came {
                    of: event.of.to_string(),
                    known_at: event.known_at.0,
                    day: event.time.0.div_euclid(DAY),
                    labelled,
                    model: event.model.map(|input| (input.tokens, input.score)),
                });
            }
        }
        self.sources.accepted(frame, &self.settings.reading);
        self.count_what_is_known();
        let hour = self.sources.watermark.map(|watermark| watermark.div_euclid(HOUR));
        let has_begun = hour > self.hour;
        if let Some(hour) = hour.filter(|_| has_begun) {
            self.hour = Some(hour);
            self.publish(hour * HOUR);
        }
        self.outcome.weights.extend(self.learner.publish(has_begun));
    }

    /// Everything that was known by the watermark, in the order in which it became known.
    fn count_what_is_known(&mut self) {
        let Some(watermark) = self.sources.watermark else { return };
        let (mut known, waiting): (Vec<Came>, Vec<Came>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|came| came.known_at <= watermark);
        self.waiting = waiting;
        known.sort_by_key(|came| came.known_at);
        for Came { of, day, labelled, model, .. } in known {
            self.outcome.judged += 1;
            self.judge(&of, day, labelled.clone());
            let Some((tokens, score)) = model else { continue };
            self.learner.learn(&tokens, labelled.fraud);
            if let Some(score) = score {
                self.judge(model::NAME, day, Labelled { score, ..labelled });
            }
        }
    }

    fn judge(&mut self, score: &str, day: i64, labelled: Labelled) {
        // a day that was final stays as it is
        let is_over = |hour: i64| (day + 1) * DAY + self.settings.label_horizon <= hour * HOUR;
        if self.hour.is_some_and(is_over) {
            return;
        }
        let place = (score.to_owned(), day);
        self.changed.insert(place.clone());
        self.days.entry(place).or_default().push(labelled);
    }

    fn publish(&mut self, as_of: i64) {
        for (place, labelled) in self.days.clone() {
            let (score, day) = (&place.0, place.1);
            let is_final = (day + 1) * DAY + self.settings.label_horizon <= as_of;
            if !self.changed.remove(&place) && !is_final {
                continue;
            }
            let revision = self.revisions.entry(place.clone()).or_default();
            *revision += 1;
            let mut value = quality(&labelled, day, *revision, is_final, as_of);
            value["score"] = json!(score);
            self.outcome.public.push(Public::new("quality.fraud", score, value));
            if is_final {
                self.days.remove(&place);
                self.revisions.remove(&place);
            }
        }
    }
}

/// Scores that agree in sign, exponent and seven bits of the mantissa of an `f32` count as tied.
fn tied(score: f64) -> u32 {
    (score as f32).to_bits() & 0xffff_0000
}

fn quality(labelled: &[Labelled], day: i64, revision: u32, is_final: bool, as_of: i64) -> Value {
    let n = labelled.len() as f64;
    let frauds = labelled.iter().filter(|one| one.fraud).count();
    let mean = |of: &dyn Fn(&Labelled) -> f64| labelled.iter().map(of).sum::<f64>() / n;
    let truth = |one: &Labelled| f64::from(u8::from(one.fraud));
    let mut ties: BTreeMap<u32, Vec<&Labelled>> = BTreeMap::new();
    for one in labelled {
        ties.entry(tied(one.score)).or_default().push(one);
    }
    let frauds_of = |group: &[&Labelled]| group.iter().filter(|one| one.fraud).count();

    // precision at the end of each group of ties, weighted by the recall that the group adds
    let (mut above, mut found, mut average_precision) = (0, 0, 0.0);
    for group in ties.values().rev() {
        above += group.len();
        found += frauds_of(group);
        let precision = found as f64 / above as f64;
        average_precision += precision * (frauds_of(group) as f64 / frauds.max(1) as f64);
    }

    // each of the k highest counts with the share of frauds among those it is tied with
    let mut highest: Vec<f64> = Vec::new();
    for group in ties.values().rev() {
        let share = frauds_of(group) as f64 / group.len() as f64;
        highest.extend(std::iter::repeat_n(share, group.len()));
    }
    highest.truncate(K);

    // lowest first: a group is full as soon as it reaches the next tenth of all
    let (mut calibration_error, mut open, mut before, mut tenths) = (0.0, Vec::new(), 0, 0);
    for group in ties.values() {
        open.extend(group.iter().copied());
        if (before + open.len()) * GROUPS >= labelled.len() * (tenths + 1) {
            let size = open.len() as f64;
            let expected = open.iter().map(|one| one.score).sum::<f64>() / size;
            let happened = frauds_of(&open) as f64 / size;
            calibration_error += size / n * (expected - happened).abs();
            before += open.len();
            tenths = before * GROUPS / labelled.len();
            open.clear();
        }
    }

    let mut decisions: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    let (mut missed, mut stopped) = (BTreeMap::<&str, i64>::new(), BTreeMap::<&str, i64>::new());
    for one in labelled {
        let Some(decision) = one.decision.as_deref() else { continue };
        decisions.entry(decision).or_default()[usize::from(one.fraud)] += 1;
        if let (true, Some(amount), Some(currency)) = (one.fraud, one.amount, one.currency.as_deref()) {
            let lets_pass = ["approve", "review"].contains(&decision);
            *if lets_pass { &mut missed } else { &mut stopped }.entry(currency).or_default() += amount;
        }
    }
    let decisions: BTreeMap<&str, Value> = decisions
        .into_iter()
        .map(|(name, [legitimate, fraud])| (name, json!({ "legitimate": legitimate, "fraud": fraud })))
        .collect();
    let loss = |one: &Labelled| {
        let score = one.score.clamp(1e-6, 1.0 - 1e-6);
        -(if one.fraud { score } else { 1.0 - score }).ln()
    };
    json!({
        "score": "fraud",
        "day_ms": day * DAY,
        "revision": revision,
        "is_final": is_final,
        "as_of_ms": as_of,
        "labelled": labelled.len(),
        "frauds": frauds,
        "average_precision": (frauds > 0).then_some(average_precision),
        "k": K,
        "precision_at_k": highest.iter().sum::<f64>() / highest.len() as f64,
        "calibration_error": calibration_error,
        "log_loss": mean(&loss),
        "brier": mean(&|one| (one.score - truth(one)).powi(2)),
        "decisions": decisions,
        "missed_minor": missed,
        "stopped_minor": stopped,
    })
}
