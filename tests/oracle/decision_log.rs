//! A whole decision log folded: parts gathered, rules evaluated, scores.

use super::entity_log::PlainPart;
use super::rules::{Inputs, RULES, Rule, THRESHOLDS, VERSION};
use super::sources::Sources;
use super::{Log, Public, Settings};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tillstream::event::part::feature_id;
use tillstream::event::{Deadline, DecisionId, EntityKind, Part};
use tillstream::log::frame::{Frame, Item, Record};

/// Added to the de-duplication horizon, it is how long a closed decision leaves a tombstone.
const TOMBSTONE_BEYOND_HORIZON: i64 = 3_600_000;

/// What folding a decision log leads to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Records of `scores.fraud`, in the order in which they are made, partition after partition.
    pub public: Vec<Public>,
    /// Every part that was read for the first time, in the order of the log.
    pub parts: Vec<PlainPart>,
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
}

/// Folds every partition of a decision log.
///
/// # Panics
///
/// If the log holds bytes that are no record of a decision log.
#[must_use]
pub fn outcome(log: &Log, settings: &Settings) -> Outcome {
    let mut outcome = Outcome::default();
    for (partition, records) in log {
        let mut task = Task {
            settings,
            sources: Sources::default(),
            open: BTreeMap::new(),
            tombstones: BTreeMap::new(),
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
    sources: Sources,
    open: BTreeMap<DecisionId, Gather>,
    /// Closed decisions, and the watermark that ends the tombstone.
    tombstones: BTreeMap<DecisionId, i64>,
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
        for event in frame.events::<Part<'_>>() {
            let (position, part) = event.expect("a part");
            if position > applied {
                let part = PlainPart::of(&part, frame.source.partition, position.offset);
                self.outcome.parts.push(part.clone());
                self.part(offset, part);
            }
        }
        self.sources.accepted(frame, &self.settings.reading);
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
        self.outcome.public.push(Public::new(
            "scores.fraud",
            &decision.to_string(),
            score(decision, &gather.parts),
        ));
    }
}

/// The kinds that owe a part which is not among `parts`.
fn missing(parts: &[PlainPart]) -> Vec<EntityKind> {
    let expected = parts.first().map(|part| part.expected).unwrap_or_default();
    expected.iter().filter(|kind| parts.iter().all(|part| part.kind != *kind)).collect()
}

/// The record of `scores.fraud` for these parts.
#[must_use]
pub fn score(decision: DecisionId, parts: &[PlainPart]) -> Value {
    let context = parts.iter().map(|part| &part.context).find(|context| !context.is_null());
    let of_payment = |field: &str| context.map_or(Value::Null, |context| context[field].clone());
    let mut fired: Vec<(&Rule, Map<String, Value>)> = Vec::new();
    let mut shadow = Vec::new();
    let mut not_evaluated = Vec::new();
    for rule in RULES {
        match read(rule, context, parts) {
            Err(because) => not_evaluated.push(json!({ "rule": rule.id, "because": because })),
            Ok(inputs) if !(rule.when)(&Inputs(&inputs)) => {}
            Ok(inputs) if rule.live => fired.push((rule, inputs)),
            Ok(_) => shadow.push(rule.id),
        }
    }
    let score = 1.0 - fired.iter().map(|(rule, _)| 1.0 - rule.weight).product::<f64>();
    let entities: BTreeMap<&str, &str> =
        parts.iter().map(|part| (part.kind.name(), part.entity.as_str())).collect();
    json!({
        "decision_id": decision.to_string(),
        "payment_id": of_payment("payment_id"),
        "event_time_ms": parts[0].time,
        "amount_minor": of_payment("amount_minor"),
        "currency": of_payment("currency"),
        "score": score,
        "decision": decide(score, &fired),
        "reasons": reasons(&fired),
        "shadow": shadow,
        "not_evaluated": not_evaluated,
        "entities": entities,
        "missing_parts": missing(parts),
        "rules_version": VERSION,
    })
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

fn decide(score: f64, fired: &[(&Rule, Map<String, Value>)]) -> &'static str {
    const MILDEST_FIRST: [&str; 4] = ["approve", "review", "step_up", "decline"];
    let reached = THRESHOLDS.iter().filter(|(_, threshold)| score >= *threshold).map(|(name, _)| *name);
    let asked = fired.iter().filter_map(|(rule, _)| rule.action);
    let rank = |name: &str| MILDEST_FIRST.iter().position(|known| *known == name);
    reached.chain(asked).max_by_key(|name| rank(name)).unwrap_or("approve")
}

fn reasons(fired: &[(&Rule, Map<String, Value>)]) -> Vec<Value> {
    let all: f64 = fired.iter().map(|(rule, _)| (1.0 - rule.weight).ln()).sum();
    let contribution = |rule: &Rule| (1.0 - rule.weight).ln() / all;
    let mut sorted: Vec<&(&Rule, Map<String, Value>)> = fired.iter().collect();
    sorted.sort_by(|(one, _), (other, _)| {
        contribution(other).total_cmp(&contribution(one)).then(one.id.cmp(other.id))
    });
    sorted
        .into_iter()
        .map(|(rule, inputs)| {
            json!({
                "rule": rule.id,
                "code": rule.code,
                "weight": rule.weight,
                "contribution": contribution(rule),
                "inputs": inputs,
            })
        })
        .collect()
}
