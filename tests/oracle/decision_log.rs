//! A whole decision log folded: parts gathered, rules evaluated, scores, and scores with their labels.

use super::entity_log::{PlainLabel, PlainPart};
use super::model::{self, Served, Version};
use super::rules::{InForce, Inputs, RULES, Rule};
use super::sources::Sources;
use super::views::View;
use super::{Log, Public, Settings};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tillstream::event::part::feature_id;
use tillstream::event::prediction::Prediction;
use tillstream::event::{Deadline, DecisionEvent, DecisionId, EntityKind, EntitySet};
use tillstream::log::frame::{Frame, Item, Record};

/// Added to the de-duplication horizon, it is how long a closed decision leaves a tombstone.
const TOMBSTONE_BEYOND_HORIZON: i64 = 3_600_000;

/// What folding a decision log leads to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Records of `scores.fraud` and `labelled.fraud`, and labels on `dead-letter`, in the order in which they are made, partition after partition.
    pub public: Vec<Public>,
    /// Every part that was read for the first time, in the order of the log.
    pub parts: Vec<PlainPart>,
    /// Predictions that were read for the first time.
    pub predictions: u64,
    /// Every label that was read for the first time.
    pub labels: Vec<PlainLabel>,
    /// By partition, the versions of the model's weights that were read for the first time.
    pub weights: BTreeMap<u32, Vec<Version>>,
    /// Parts of another event with the same payment id, and second parts of one kind.
    pub ignored_parts: u64,
    /// Parts that met a tombstone.
    pub late_parts: u64,
    /// Deadlines that closed a gather.
    pub deadlines: u64,
    /// Deadlines that did nothing.
    pub idle_deadlines: u64,
    /// Gathers that are open at the end.
    pub open: u64,
    /// Each partition's watermark at the end.
    pub watermarks: BTreeMap<u32, Option<i64>>,
    /// Frames that began above what was applied.
    pub refused_frames: u64,
    /// Publications of rules that were read for the first time.
    pub rules: u64,
    /// How often they came into force.
    pub rules_taken: u64,
}

/// Folds every partition of a decision log.
///
/// # Panics
///
/// If the log holds bytes that are no record of a decision log.
#[must_use]
pub fn outcome(log: &Log, settings: &Settings, views: &[View]) -> Outcome {
    let mut outcome = Outcome::default();
    for (partition, records) in log {
        let mut task = Task {
            settings,
            views,
            sources: Sources::default(),
            open: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            decided: BTreeMap::new(),
            labels: BTreeMap::new(),
            served: Served::default(),
            rules: InForce::default(),
            partition: *partition,
            outcome: &mut outcome,
        };
        for (offset, bytes) in records {
            task.record(*offset, bytes);
        }
        let (watermark, open) = (task.sources.watermark, task.open.len());
        outcome.watermarks.insert(*partition, watermark);
        outcome.open += open as u64;
    }
    outcome
}

/// One partition.
struct Task<'a> {
    settings: &'a Settings,
    views: &'a [View],
    sources: Sources,
    open: BTreeMap<DecisionId, Gather>,
    /// Closed decisions, and the watermark that ends the tombstone.
    tombstones: BTreeMap<DecisionId, i64>,
    /// Of decisions that wait for a label, or have one: the score record, and until when.
    decided: BTreeMap<DecisionId, (Value, i64)>,
    /// The first label of each decision, and until when it is known, if the decision does not say so.
    labels: BTreeMap<DecisionId, (PlainLabel, i64)>,
    served: Served,
    rules: InForce,
    partition: u32,
    outcome: &'a mut Outcome,
}

/// The parts of one payment event; at least one.
struct Gather {
    opened_at: i64,
    parts: Vec<PlainPart>,
}

impl Task<'_> {
    fn record(&mut self, offset: i64, bytes: &[u8]) {
        for item in Record::decode(bytes).expect("a record of an internal log").items {
            match item {
                Item::Join(sources) => self.sources.join(&sources),
                Item::Frame(frame) => self.frame(offset, &frame),
                Item::Deadline(deadline) => self.deadline(deadline),
            }
        }
    }

    fn frame(&mut self, offset: i64, frame: &Frame<'_>) {
        let applied = self.sources.applied(frame.source);
        if frame.from > applied {
            self.outcome.refused_frames += 1;
            return;
        }
        for event in frame.events::<DecisionEvent<'_>>() {
            let (position, event) = event.expect("an event of the decision log");
            if position <= applied {
                continue;
            }
            match event {
                DecisionEvent::Part(part) => {
                    let part = PlainPart::of(&part, frame.source.partition, position.offset);
                    self.outcome.parts.push(part.clone());
                    self.part(offset, part);
                }
                DecisionEvent::Weights(slice) => {
                    assert!(self.settings.model, "weights of no model");
                    self.served.take(&slice);
                    let versions = self.outcome.weights.entry(self.partition).or_default();
                    versions.push(model::version_of(&slice));
                }
                // versions of these tests are above that of the file from the first that counts
                DecisionEvent::Rules(rules) if u64::from(rules.version) > self.rules.version => {
                    self.rules = InForce::of(rules.text);
                    self.outcome.rules += 1;
                    self.outcome.rules_taken += 1;
                }
                DecisionEvent::Rules(rules) => {
                    self.outcome.rules += 1;
                    if self.partition == 0 {
                        let value = json!({ "text": rules.text });
                        self.outcome.public.push(Public::new("dead-letter", "rules", value));
                    }
                }
                // these go on to the monitor log as they are
                DecisionEvent::Alert(_)
                | DecisionEvent::Volume(_)
                | DecisionEvent::Minute(_)
                | DecisionEvent::Announced(_)
                | DecisionEvent::Changed(_) => {}
                DecisionEvent::Prediction(said) => {
                    self.outcome.predictions += 1;
                    self.predicted(&said);
                }
                DecisionEvent::Label(label) => {
                    let label = PlainLabel::of(&label);
                    self.outcome.labels.push(label.clone());
                    self.label(label);
                }
            }
        }
        self.sources.accepted(frame, &self.settings.reading);
        self.forget_labels();
    }

    fn now(&self, time: i64) -> i64 {
        self.sources.watermark.map_or(time, |watermark| watermark.max(time))
    }

    fn label(&mut self, label: PlainLabel) {
        match self.labels.get(&label.decision) {
            Some((first, _)) if first.event_id == label.event_id => {}
            Some(_) => self.dead_letter(&label),
            None => {
                let until = self.now(label.known_at) + self.settings.label_horizon;
                self.labels.insert(label.decision, (label.clone(), until));
                self.join(label.decision);
            }
        }
    }

    /// Publishes a decision with its label if both are there.
    fn join(&mut self, decision: DecisionId) {
        let (Some((score, until)), Some((label, known_until))) =
            (self.decided.get(&decision), self.labels.get_mut(&decision))
        else {
            return;
        };
        *known_until = *until;
        let (of_prediction, of_payment) =
            (["model", "version", "prediction_id"], ["decision_id", "payment_id", "rules_version"]);
        let is_predicted = score["prediction_id"].is_string();
        let own = if is_predicted { of_prediction } else { of_payment };
        let mut value = Map::new();
        for field in ["event_time_ms", "amount_minor", "currency", "score", "decision"].into_iter().chain(own)
        {
            value.insert(field.to_owned(), score[field].clone());
        }
        value.insert("outcome".to_owned(), json!(label.outcome));
        value.insert("known_at_ms".to_owned(), json!(label.known_at));
        value.insert("source".to_owned(), json!(label.source));
        value.insert("label_id".to_owned(), json!(label.event_id));
        let (topic, key) = match score["prediction_id"].as_str() {
            Some(prediction) => ("labelled.predictions", prediction.to_owned()),
            None => ("labelled.fraud", decision.to_string()),
        };
        self.outcome.public.push(Public::new(topic, &key, Value::Object(value)));
    }

    fn predicted(&mut self, said: &Prediction<'_>) {
        if self.decided.contains_key(&said.decision) && self.labels.contains_key(&said.decision) {
            return;
        }
        let record = json!({
            "model": said.model, "version": said.version, "prediction_id": said.prediction_id,
            "event_time_ms": said.time, "amount_minor": said.amount_minor, "currency": said.currency,
            "score": said.score, "decision": said.action,
        });
        let until = self.now(said.time.0) + self.settings.label_horizon;
        self.decided.insert(said.decision, (record, until));
        self.join(said.decision);
    }

    fn dead_letter(&mut self, label: &PlainLabel) {
        let key = label.decision.to_string();
        let value = json!({
            "decision_id": key,
            "label_id": label.event_id,
            "known_at_ms": label.known_at,
            "outcome": label.outcome,
            "source": label.source,
        });
        self.outcome.public.push(Public::new("dead-letter", &key, value));
    }

    fn forget_labels(&mut self) {
        let Some(watermark) = self.sources.watermark else { return };
        let over: Vec<DecisionId> = self
            .labels
            .iter()
            .filter(|(_, (_, until))| *until <= watermark)
            .map(|(decision, _)| *decision)
            .collect();
        for decision in over {
            let (label, _) = self.labels.remove(&decision).expect("found above");
            if self.decided.remove(&decision).is_none() {
                self.dead_letter(&label);
            }
        }
        self.decided.retain(|_, (_, until)| *until > watermark);
    }

    fn part(&mut self, offset: i64, part: PlainPart) {
        let decision = part.decision;
        if let Some(until) = self.tombstones.get(&decision) {
            if self.sources.watermark.is_none_or(|watermark| watermark < *until) {
                self.outcome.late_parts += 1;
                return;
            }
            self.tombstones.remove(&decision);
        }
        if part.forwarded && !self.open.contains_key(&decision) {
            self.outcome.late_parts += 1;
            return;
        }
        let gather =
            self.open.entry(decision).or_insert_with(|| Gather { opened_at: offset, parts: Vec::new() });
        let fits = |known: &PlainPart| known.event == part.event && known.kind != part.kind;
        if !gather.parts.iter().all(fits) {
            self.outcome.ignored_parts += 1;
            return;
        }
        gather.parts.push(part);
        if missing(&gather.parts).is_empty() {
            self.close(decision);
        }
    }

    fn deadline(&mut self, deadline: Deadline) {
        let gather = self.open.get(&deadline.decision);
        if gather.is_some_and(|gather| gather.opened_at == deadline.opened_at) {
            self.outcome.deadlines += 1;
            self.close(deadline.decision);
        } else {
            self.outcome.idle_deadlines += 1;
        }
    }

    fn close(&mut self, decision: DecisionId) {
        let gather = self.open.remove(&decision).expect("it is open");
        let time = gather.parts[0].time;
        let from = time.max(self.sources.watermark.unwrap_or(time));
        self.tombstones.insert(decision, from + self.settings.dedup_horizon + TOMBSTONE_BEYOND_HORIZON);
        let score = score(decision, &gather.parts, &self.served, &self.rules);
        self.outcome.public.push(Public::new("scores.fraud", &decision.to_string(), score.clone()));
        self.outcome.public.push(Public::new(
            "vectors.fraud",
            &decision.to_string(),
            vector(&gather.parts, &score, self.views),
        ));
        let until = self.now(time) + self.settings.label_horizon;
        let was_labelled = self.decided.contains_key(&decision) && self.labels.contains_key(&decision);
        if !was_labelled {
            self.decided.insert(decision, (score, until));
            self.join(decision);
        }
    }
}

/// The kinds that owe a part which is not among `parts`.
fn missing(parts: &[PlainPart]) -> Vec<EntityKind> {
    let expected: EntitySet = parts.iter().flat_map(|part| part.expected.iter()).collect();
    expected.iter().filter(|kind| parts.iter().all(|part| part.kind != *kind)).collect()
}

/// The record of `scores.fraud` for these parts, with the model's weights and the rules that are in force.
#[must_use]
pub fn score(decision: DecisionId, parts: &[PlainPart], served: &Served, in_force: &InForce) -> Value {
    let context = parts.iter().map(|part| &part.context).find(|context| !context.is_null());
    let of_payment = |field: &str| context.map_or(Value::Null, |context| context[field].clone());
    let mut fired: Vec<Fired<'_>> = Vec::new();
    let mut shadow = Vec::new();
    let mut not_evaluated = Vec::new();
    for rule in RULES {
        let Some((weight, live)) = in_force.rules.get(rule.id).copied() else { continue };
        match read(rule, context, parts) {
            Err(because) => not_evaluated.push(json!({ "rule": rule.id, "because": because })),
            Ok(inputs) if !(rule.when)(&Inputs(&inputs)) => {}
            Ok(inputs) if live => fired.push(Fired { rule, weight, inputs }),
            Ok(_) => shadow.push(rule.id),
        }
    }
    let values = model::values(parts);
    let of_model = served.score(&values).filter(|(_, is_live)| *is_live).map(|(score, _)| score);
    let without = of_model.map_or(1.0, |score| 1.0 - score);
    let score = 1.0 - fired.iter().map(|fired| 1.0 - fired.weight).product::<f64>() * without;
    let share = if of_model.is_some() { without.ln() / logarithms(&fired, without) } else { 0.0 };
    let entities: BTreeMap<&str, &str> =
        parts.iter().map(|part| (part.kind.name(), part.entity.as_str())).collect();
    json!({
        "decision_id": decision.to_string(),
        "payment_id": of_payment("payment_id"),
        "event_time_ms": parts[0].time,
        "amount_minor": of_payment("amount_minor"),
        "currency": of_payment("currency"),
        "score": score,
        "decision": decide(score, &fired, in_force),
        "reasons": reasons(&fired, without),
        "shadow": shadow,
        "not_evaluated": not_evaluated,
        "model": served.said(&values, share),
        "entities": entities,
        "missing_parts": missing(parts),
        "rules_version": in_force.version,
    })
}

/// The record of `vectors.fraud` for these parts and their score: every value of the views by name.
fn vector(parts: &[PlainPart], score: &Value, views: &[View]) -> Value {
    let mut features = Map::new();
    for view in views {
        for feature in &view.features {
            let windows: Vec<&str> = if feature.has_window() {
                view.windows.iter().map(|(name, _)| *name).collect()
            } else {
                vec![""]
            };
            for window in windows {
                let name = view.flat_name(*feature, window);
                let id = feature_id(&name);
                if let Some(value) = parts.iter().find_map(|part| part.features.get(&id)) {
                    features.insert(name, json!(value));
                }
            }
        }
    }
    let mean = features.get("card_velocity__amount_mean_7d").and_then(Value::as_f64);
    if let (Some(amount), Some(mean)) = (score["amount_minor"].as_f64(), mean)
        && (amount / mean).is_finite()
    {
        features.insert("derived__amount_to_card_mean".to_owned(), json!(amount / mean));
    }
    let context = parts.iter().map(|part| &part.context).find(|context| !context.is_null());
    let of_model = |field: &str| score["model"].get(field).cloned().unwrap_or(Value::Null);
    let mut vector = json!({
        "channel": context.map_or(Value::Null, |context| context["channel"].clone()),
        "features": features,
        "model_score": of_model("score"),
        "model_version": of_model("version"),
    });
    for field in [
        "decision_id",
        "payment_id",
        "event_time_ms",
        "amount_minor",
        "currency",
        "score",
        "decision",
        "rules_version",
        "missing_parts",
    ] {
        vector[field] = score[field].clone();
    }
    vector
}

/// What the rule reads, or the names of what is missing of it, sorted.
fn read(
    rule: &Rule,
    context: Option<&Value>,
    parts: &[PlainPart],
) -> Result<Map<String, Value>, Vec<&'static str>> {
    let mut inputs = Map::new();
    let mut missing = Vec::new();
    for name in rule.reads {
        let feature = |name: &str| {
            let id = feature_id(name);
            parts.iter().find_map(|part| part.features.get(&id)).copied()
        };
        let value = if *name == "derived__amount_to_card_mean" {
            let amount = context.and_then(|context| context["amount_minor"].as_f64());
            let mean = feature("card_velocity__amount_mean_7d").filter(|mean| *mean != 0.0);
            amount.zip(mean).map(|(amount, mean)| json!(amount / mean))
        } else if name.contains("__") {
            feature(name).map(|value| json!(value))
        } else {
            context.map(|context| context[name].clone()).filter(|value| !value.is_null())
        };
        match value {
            Some(value) => {
                inputs.insert((*name).to_owned(), value);
            }
            None => missing.push(*name),
        }
    }
    missing.sort_unstable();
    if missing.is_empty() { Ok(inputs) } else { Err(missing) }
}

/// The windows of features, by what their names end with; that of the value made of others is its mean's.
pub fn windows<'n>(names: impl Iterator<Item = &'n String>) -> Map<String, Value> {
    let window = |name: &String| {
        if name == "derived__amount_to_card_mean" {
            return Some(json!(7 * 86_400_000));
        }
        let (_, feature) = name.split_once("__")?;
        let (_, window) = feature.rsplit_once('_')?;
        let (number, unit) = window.split_at_checked(window.len().checked_sub(1)?)?;
        let unit = match unit {
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        Some(json!(number.parse::<i64>().ok()? * unit))
    };
    names.filter_map(|name| Some((name.clone(), window(name)?))).collect()
}

/// A live rule that fired.
struct Fired<'a> {
    rule: &'a Rule,
    weight: f64,
    inputs: Map<String, Value>,
}

fn decide(score: f64, fired: &[Fired<'_>], in_force: &InForce) -> &'static str {
    const MILDEST_FIRST: [&str; 4] = ["approve", "review", "step_up", "decline"];
    let thresholds = in_force.thresholds.iter();
    let reached = thresholds.filter(|(_, threshold)| score >= *threshold).map(|(name, _)| *name);
    let asked = fired.iter().filter_map(|fired| fired.rule.action);
    let rank = |name: &str| MILDEST_FIRST.iter().position(|known| *known == name);
    reached.chain(asked).max_by_key(|name| rank(name)).unwrap_or("approve")
}

/// Of all rules that fired and the model, ln(1 − weight).
fn logarithms(fired: &[Fired<'_>], without: f64) -> f64 {
    fired.iter().map(|fired| (1.0 - fired.weight).ln()).sum::<f64>() + without.ln()
}

fn reasons(fired: &[Fired<'_>], without: f64) -> Vec<Value> {
    let all = logarithms(fired, without);
    let contribution = |fired: &Fired<'_>| (1.0 - fired.weight).ln() / all;
    let mut sorted: Vec<&Fired<'_>> = fired.iter().collect();
    sorted.sort_by(|one, other| {
        contribution(other).total_cmp(&contribution(one)).then(one.rule.id.cmp(other.rule.id))
    });
    sorted
        .into_iter()
        .map(|fired| {
            json!({
                "rule": fired.rule.id,
                "code": fired.rule.code,
                "weight": fired.weight,
                "contribution": contribution(fired),
                "inputs": fired.inputs,
                "windows_ms": windows(fired.inputs.keys()),
            })
        })
        .collect()
}
