//! The decide stage: the decision log to scores. A task gathers the parts of each payment, evaluates
//! the rules, and publishes the score with its reasons; and the score once more with its label when that comes.

mod checkpoint;
mod labels;
mod model;
mod prediction;
pub(crate) mod profile;
mod rules;

use self::model::{Asked, ask};
use self::profile::Said;
use self::rules::Published;
use super::inbound;
use super::outputs::Outputs;
use super::settings::{FoldSettings, TOMBSTONE_SKEW, Topology, shape};
use super::stage::{DeadlineChange, FoldError, Stage};
use crate::drift::profile::Profiler;
use crate::drift::volume::Volumes;
use crate::event::alert::Change;
use crate::event::entity::partition_of;
use crate::event::monitor::{FRAUD, MonitorEvent, SHOP, Suspect, SuspectEntity, monitor_hash};
use crate::event::public::{Action, DecisionVector, FraudScore, Reason, Text};
use crate::event::{Deadline, DecisionEvent, DecisionId, EntityKind, Part, RawOrigin, key_hash};
use crate::feature::FeaturePlan;
use crate::fraud::gather::{Gather, OpenGather, OwnedContext, PartOutcome};
use crate::fraud::label::{Decided, DecidedBy, LabelEnd, Labelling};
use crate::fraud::model::Served;
use crate::fraud::{Inputs, Verdict};
use crate::ingest::dead_letter::Why;
use crate::log::frame::{FoldVersion, Frame, FrameError, Item, Promise, SourceId};
use crate::log::position::Offset;
use crate::log::{Fetched, Headers, LogRecord, Start, Topic, TopicPartition};
use crate::names::Names;
use crate::progress::sources::{Admission, Refusal, Sources};
use crate::rules_of_the_protocol::{Rule, without};
use crate::state::{KeyedState, OwnedKey, StateKey, Timers, Tracking};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The decide stage.
#[derive(Debug, Clone)]
pub struct Decide {
    settings: Arc<FoldSettings>,
    topology: Arc<Topology>,
    fold: FoldVersion,
}

/// The state of one partition of the decision log.
#[derive(Debug, Clone)]
pub struct DecideTask {
    /// The sources and the watermark.
    pub sources: Sources,
    /// What the parts did.
    pub parts: BTreeMap<PartOutcome, u64>,
    /// Frames refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Decisions made with every part.
    pub decided_whole: u64,
    /// Decisions made at their deadline, with parts missing.
    pub decided_without: u64,
    /// Parts that were missing in those.
    pub missing_parts: u64,
    /// Where labels ended.
    pub labels: BTreeMap<LabelEnd, u64>,
    /// What models that run elsewhere have said.
    pub predictions: u64,
    /// In which versions they have spoken lately.
    versions: BTreeMap<Box<str>, Names>,
    /// Labels that wait for their decision.
    pub parked_labels: u64,
    /// Decisions that wait for their label.
    pub unlabelled: u64,
    gathers: KeyedState<DecisionId, Gather>,
    labelling: KeyedState<DecisionId, Labelling>,
    /// What is decided, as it looks, window by window.
    pub profiler: Profiler,
    volumes: Volumes,
    /// What the model scores with.
    served: Served,
    /// Rules that came through the log.
    published: Option<Published>,
    label_ends: Timers<DecisionId>,
    open: u64,
    tombstones: Timers<DecisionId>,
    /// Of what was just put back: the gathers that are open, and where they opened.
    restored_open: BTreeMap<DecisionId, Offset>,
}

impl StateKey for DecisionId {
    type Owned = DecisionId;

    fn hash(&self) -> u64 {
        DecisionId::hash(*self)
    }

    fn is(&self, owned: &DecisionId) -> bool {
        self == owned
    }

    fn to_owned(&self) -> DecisionId {
        *self
    }
}

impl OwnedKey for DecisionId {
    fn hash(&self) -> u64 {
        DecisionId::hash(*self)
    }
}

impl DecideTask {
    /// How many gathers wait for parts.
    #[must_use]
    pub fn open_gathers(&self) -> u64 {
        self.open
    }

    /// The version of the rules that came through the log last and were accepted; 0 if none came.
    #[must_use]
    pub fn published_rules(&self) -> u32 {
        self.published.as_ref().map_or(0, |published| published.version)
    }

    /// Whether two tasks are in the same state.
    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &DecideTask) -> bool {
        let gathers = |task: &DecideTask| task.gathers.iter().collect();
        let (ours, theirs): (BTreeMap<_, _>, BTreeMap<_, _>) = (gathers(self), gathers(other));
        let counts = |task: &DecideTask| {
            (task.decided_whole, task.decided_without, task.missing_parts, task.open, task.predictions)
        };
        self.sources == other.sources
            && self.parts == other.parts
            && self.refused == other.refused
            && self.has_its_timers()
            && other.has_its_timers()
            && counts(self) == counts(other)
            && ours == theirs
            && self.has_the_same_labels(other)
            && self.served == other.served
            && self.published == other.published
            && self.profiler == other.profiler
            && self.volumes == other.volumes
            && self.versions == other.versions
    }

    /// Whether every tombstone is to be forgotten in its time.
    #[cfg(test)]
    fn has_its_timers(&self) -> bool {
        self.gathers.iter().all(|(decision, gather)| match gather {
            Gather::Open(_) => true,
            Gather::Closed { forget_at } => self.tombstones.holds(forget_at, &decision),
        })
    }

    fn forget_tombstones(&mut self) {
        let Some(watermark) = self.sources.watermark() else { return };
        while let Some((_, decision)) = self.tombstones.due(watermark) {
            self.gathers.update(decision, |gather| {
                if matches!(gather, Some(Gather::Closed { forget_at }) if *forget_at <= watermark) {
                    *gather = None;
                }
            });
        }
    }
}

impl Decide {
    /// Over these topics.
    #[must_use]
    pub fn new(settings: Arc<FoldSettings>, topology: Arc<Topology>) -> Decide {
        let fold = settings.fold_version(&topology);
        Decide { settings, topology, fold }
    }

    fn fold_frame(
        &self,
        task: &mut DecideTask,
        frame: &Frame<'_>,
        fold: FoldVersion,
        fetched: &Fetched,
        out: &mut Outputs,
    ) -> Result<(), FrameError> {
        match task.sources.admit(frame, fold) {
            Admission::Refused(refusal) => *task.refused.entry(refusal).or_default() += 1,
            Admission::Above(applied) => {
                for event in frame.events::<DecisionEvent<'_>>() {
                    let (position, event) = event?;
                    if position > applied {
                        self.fold_event(task, &event, fetched, out);
                    }
                }
                task.sources.applied(frame, fold);
                task.forget_tombstones();
                self.end_labelling(task, out);
                self.send_profiles(task, out);
            }
        }
        Ok(())
    }

    fn fold_event(
        &self,
        task: &mut DecideTask,
        event: &DecisionEvent<'_>,
        fetched: &Fetched,
        out: &mut Outputs,
    ) {
        match event {
            DecisionEvent::Part(part) => self.fold_part(task, part, fetched.offset, out),
            DecisionEvent::Label(label) => self.fold_label(task, label, out),
            DecisionEvent::Weights(slice) => {
                if let Some(model) = &self.settings.model {
                    task.served.take(model, slice);
                }
            }
            DecisionEvent::Rules(rules) => self.take_rules(task, rules, fetched.partition.partition, out),
            DecisionEvent::Prediction(said) => self.fold_prediction(task, said, out),
            DecisionEvent::Volume(volume) => {
                self.send_to_monitor(SHOP, &MonitorEvent::Volume(volume.clone()), out);
            }
            DecisionEvent::Changed(change) => self.tell_of(change, out),
            DecisionEvent::Announced(said) => {
                self.send_to_all_monitors(&MonitorEvent::Announced((**said).clone()), out);
            }
            DecisionEvent::Minute(part) => {
                self.send_to_monitor(SHOP, &MonitorEvent::Minute(part.clone()), out);
            }
            DecisionEvent::Alert(command) => {
                // who keeps the alert knows it by its fingerprint
                self.send_to_all_monitors(&MonitorEvent::Command((**command).clone()), out);
            }
        }
    }

    /// A change upstream may be why of alerts about anything.
    fn tell_of(&self, change: &Change, out: &mut Outputs) {
        self.send_to_all_monitors(&MonitorEvent::Changed(change.clone()), out);
    }

    fn send_to_all_monitors(&self, event: &MonitorEvent<'_>, out: &mut Outputs) {
        (0..self.topology.partitions(Topic::Monitor)).for_each(|partition| out.event(partition, event));
    }

    /// Everything about one subject stands in one partition of the monitor log.
    fn send_to_monitor(&self, subject: &str, event: &MonitorEvent<'_>, out: &mut Outputs) {
        out.event(partition_of(monitor_hash(subject), self.topology.partitions(Topic::Monitor)), event);
    }

    fn fold_part(&self, task: &mut DecideTask, part: &Part<'_>, offset: Offset, out: &mut Outputs) {
        let mut whole = None;
        let outcome = task.gathers.update(part.decision, |gather| {
            let outcome = match gather {
                None if part.is_forwarded => PartOutcome::Late,
                None => {
                    *gather = Some(Gather::Open(Box::new(OpenGather::opened(part, offset))));
                    PartOutcome::Opened
                }
                Some(Gather::Open(open)) => open.add(part),
                Some(Gather::Closed { .. }) => PartOutcome::Late,
            };
            whole = take_if(gather, OpenGather::is_whole);
            outcome
        });
        *task.parts.entry(outcome).or_default() += 1;
        if outcome == PartOutcome::Opened {
            task.open += 1;
            out.deadlines.push(DeadlineChange::Arm(part.decision, offset));
        }
        if let Some(gather) = whole {
            task.decided_whole += 1;
            self.decide(task, part.decision, *gather, out);
        }
    }

    fn fold_deadline(&self, task: &mut DecideTask, deadline: Deadline, out: &mut Outputs) {
        let due = task
            .gathers
            .update(deadline.decision, |gather| take_if(gather, |open| open.opened_at == deadline.opened_at));
        if let Some(gather) = due {
            task.decided_without += 1;
            task.missing_parts += gather.missing().iter().count() as u64;
            self.decide(task, deadline.decision, *gather, out);
        }
    }

    /// Publishes the score, and leaves a tombstone.
    fn decide(&self, task: &mut DecideTask, decision: DecisionId, mut gather: OpenGather, out: &mut Outputs) {
        task.open -= 1;
        out.deadlines.push(DeadlineChange::Disarm(decision));
        gather.features.sort_unstable_by_key(|(id, _)| *id);
        let amount = gather.payment.as_ref().map(|payment| payment.amount_minor as f64);
        self.settings.plan.derive(amount, &mut gather.features);
        let context = gather.payment.as_ref().map(OwnedContext::borrowed);
        let inputs = Inputs { features: &gather.features, time: gather.time, context: context.as_ref() };
        let model = self.settings.model.as_ref().map(|model| ask(model, &task.served, &inputs));
        let live = model.as_ref().and_then(|asked| asked.opinion.as_ref()).filter(|opinion| opinion.is_live);
        let rules = self.rules(task);
        let verdict = rules.evaluate(&inputs, live.map(|opinion| opinion.score));
        let contribution = verdict.model_contribution;
        let mut score = score_record(decision, &gather, verdict, rules.version());
        score.model = model.as_ref().and_then(|asked| asked.public(&inputs, contribution));
        tell_windows(&mut score, &self.settings.plan);
        out.publish(Topic::ScoresFraud, "tillstream.fraud_score.v1", &score.decision_id, &score);
        let vector = self.vector(&gather, &score);
        out.publish(Topic::VectorsFraud, "tillstream.decision_vector.v1", &score.decision_id, &vector);
        if let Some(suspect) = suspect(&score, &gather, &self.settings.plan) {
            self.send_to_monitor(FRAUD, &MonitorEvent::Suspect(suspect), out);
        }
        let said = Said::of(&score);
        let decided = decided(&score, model);
        self.profile(task, &gather, said);
        self.await_label(task, decision, decided, out);
        let closed_at = task.sources.now(gather.time);
        let forget_at = closed_at.plus(self.settings.dedup_horizon).plus(TOMBSTONE_SKEW);
        if !without(Rule::Tombstone) {
            task.gathers.update(decision, |gather| *gather = Some(Gather::Closed { forget_at }));
            task.tombstones.set(forget_at, decision);
        }
    }
}

impl Decide {
    /// What rules and model read for a score.
    fn vector<'v>(&'v self, gather: &'v OpenGather, score: &'v FraudScore<'_>) -> DecisionVector<'v> {
        let named =
            |(id, value): &(u32, f64)| Some((Cow::Borrowed(self.settings.plan.name_of_any(*id)?), *value));
        let channel = gather.payment.as_ref().and_then(|payment| payment.channel.as_deref());
        DecisionVector {
            decision_id: Cow::Borrowed(&*score.decision_id),
            payment_id: score.payment_id.as_deref().map(Cow::Borrowed),
            event_time_ms: score.event_time_ms,
            amount_minor: score.amount_minor,
            currency: score.currency.as_deref().map(Cow::Borrowed),
            channel: channel.map(Cow::Borrowed),
            score: score.score,
            decision: score.decision,
            rules_version: score.rules_version,
            model_score: score.model.as_ref().map(|model| model.score),
            model_version: score.model.as_ref().map(|model| model.version),
            features: gather.features.iter().filter_map(named).collect(),
            missing_parts: score.missing_parts.clone(),
        }
    }
}

impl Stage for Decide {
    type Task = DecideTask;

    const PUBLISHES: &'static [Topic] = &[
        Topic::ScoresFraud,
        Topic::LabelledFraud,
        Topic::LabelledPredictions,
        Topic::VectorsFraud,
        Topic::DeadLetter,
    ];

    fn downstream(&self) -> Option<(Topic, u32)> {
        Some((Topic::Monitor, self.topology.partitions(Topic::Monitor)))
    }

    fn sources(&self) -> Vec<(SourceId, &'static str)> {
        self.topology.sources(&[Topic::Decision])
    }

    fn source_of(&self, partition: TopicPartition) -> SourceId {
        self.topology.source(partition)
    }

    fn open(&self, tracking: Tracking) -> DecideTask {
        DecideTask {
            sources: Sources::default(),
            parts: BTreeMap::new(),
            refused: BTreeMap::new(),
            decided_whole: 0,
            decided_without: 0,
            missing_parts: 0,
            labels: BTreeMap::new(),
            predictions: 0,
            versions: BTreeMap::new(),
            parked_labels: 0,
            unlabelled: 0,
            gathers: KeyedState::new(tracking),
            labelling: KeyedState::new(tracking),
            profiler: Profiler::default(),
            volumes: Volumes::default(),
            served: Served::default(),
            published: None,
            label_ends: Timers::default(),
            open: 0,
            tombstones: Timers::default(),
            restored_open: BTreeMap::new(),
        }
    }

    fn open_in_the_middle(&self, tracking: Tracking) -> DecideTask {
        let mut task = self.open(tracking);
        task.sources.join_in_the_middle(&self.topology.sources(&[Topic::Entity]), self.fold);
        task.sources.join_in_the_middle(&self.topology.sources(&[Topic::Monitor]), self.fold);
        task
    }

    fn start(&self, _committed: Option<Offset>) -> Start {
        Start::Beginning
    }

    fn fold(&self, task: &mut DecideTask, fetched: &Fetched, out: &mut Outputs) -> Result<(), FoldError> {
        let record = inbound::read(self, fetched, out)?;
        for item in &record.items {
            match item {
                Item::Join(sources) => task.sources.join(sources, record.fold),
                Item::Frame(frame) => {
                    self.fold_frame(task, frame, record.fold, fetched, out)
                        .map_err(|fault| inbound::fault(fetched, fault))?;
                }
                Item::Deadline(deadline) => self.fold_deadline(task, *deadline, out),
            }
        }
        Ok(())
    }

    /// Weights: a stop leaves the last of them unread, for the monitor ends after this stage.
    fn gives_nothing(&self, source: SourceId) -> bool {
        source.topic == self.topology.source(TopicPartition::new(Topic::Monitor, 0)).topic
    }

    fn promise(&self, task: &DecideTask, _idle: Option<Duration>) -> Promise {
        task.sources.watermark().map_or(Promise::Unknown, Promise::Watermark)
    }

    fn fold_version(&self) -> FoldVersion {
        self.fold
    }

    /// Gathers keep values by the numbers of their features: whatever the views and rules, they mean the same.
    fn shape(&self) -> u64 {
        shape(&self.topology, Topic::Monitor, ())
    }
}

/// Hands back what came from this place in a raw topic: a dead letter with this key and value.
fn publish_dead_letter(
    (topic, origin): (Topic, RawOrigin),
    why: Why<'_>,
    (key, value): (&[u8], Vec<u8>),
    out: &mut Outputs,
) {
    let origin = (TopicPartition::new(topic, origin.partition), origin.offset);
    out.publish_verbatim(Topic::DeadLetter, |id| LogRecord {
        key: Some(key.to_vec()),
        value: Some(value),
        headers: Headers::Verbatim(why.headers(origin, id).collect()),
        timestamp_ms: None,
    });
}

/// Takes an open gather out of its place if `done` says so.
fn take_if(gather: &mut Option<Gather>, done: impl FnOnce(&OpenGather) -> bool) -> Option<Box<OpenGather>> {
    match gather.take() {
        Some(Gather::Open(open)) if done(&open) => Some(open),
        other => {
            *gather = other;
            None
        }
    }
}

/// A payment that is not simply approved, if its reasons read features of an entity of it.
fn suspect(score: &FraudScore<'_>, gather: &OpenGather, plan: &FeaturePlan) -> Option<Suspect> {
    if score.decision == Action::Approve {
        return None;
    }
    let is_read = |kind: EntityKind| {
        let reads = |reason: &Reason<'_>| {
            reason.inputs.keys().any(|name| plan.entities_of(name).any(|of| of == kind))
        };
        score.reasons.iter().any(reads)
    };
    let entity = |(kind, id): &(EntityKind, Box<str>)| SuspectEntity {
        kind: *kind,
        id: id.clone(),
        is_read: is_read(*kind),
    };
    let mut entities: Vec<_> = gather.entities.iter().map(entity).collect();
    entities.sort_by_key(|entity| entity.kind);
    let amount = score.currency.as_deref().map(Box::from).zip(score.amount_minor);
    let rules = score.reasons.iter().map(|reason| Box::from(&*reason.rule)).collect();
    entities.iter().any(|entity| entity.is_read).then_some(Suspect {
        time: score.event_time_ms,
        amount,
        rules,
        entities,
    })
}

/// Beside what rules and model read stands over which windows.
fn tell_windows(score: &mut FraudScore<'_>, plan: &FeaturePlan) {
    let reasons = score.reasons.iter_mut().map(|reason| (&reason.inputs, &mut reason.windows_ms));
    let factors = score.model.iter_mut().flat_map(|model| &mut model.factors);
    let factors = factors.map(|factor| (&factor.inputs, &mut factor.windows_ms));
    for (inputs, windows_ms) in reasons.chain(factors) {
        let window =
            |name: &str| plan.window_of(name).and_then(|window| i64::try_from(window.as_millis()).ok());
        *windows_ms = inputs.keys().filter_map(|name| Some((name.clone(), window(name)?))).collect();
    }
}

/// What is kept of a decision for its label.
fn decided(score: &FraudScore<'_>, model: Option<Asked<'_>>) -> Decided {
    Decided {
        time: score.event_time_ms,
        amount_minor: score.amount_minor,
        currency: score.currency.as_deref().map(Into::into),
        score: score.score,
        by: DecidedBy::Rules {
            payment_id: score.payment_id.as_deref().map(Into::into),
            decision: score.decision,
            rules_version: score.rules_version,
            model: model.map(Asked::into_input),
            behind: behind(score),
        },
    }
}

/// A hash of who is behind a payment: its device, as far as it names one, else its visitor, customer or card.
fn behind(score: &FraudScore<'_>) -> Option<u64> {
    let kinds = [EntityKind::Device, EntityKind::Visitor, EntityKind::Customer, EntityKind::Card];
    kinds.into_iter().find_map(|kind| Some(key_hash(kind, score.entities.get(kind.name())?)))
}

fn score_record<'a>(
    decision: DecisionId,
    gather: &'a OpenGather,
    verdict: Verdict<'a>,
    rules_version: u32,
) -> FraudScore<'a> {
    let payment = gather.payment.as_ref();
    let entity = |(kind, id): &'a (crate::event::EntityKind, Box<str>)| -> (Text<'a>, Text<'a>) {
        (Cow::Borrowed(kind.name()), Cow::Borrowed(&**id))
    };
    FraudScore {
        decision_id: Cow::Owned(decision.to_string()),
        payment_id: payment.map(|payment| Cow::Borrowed(&*payment.payment_id)),
        event_time_ms: gather.time,
        amount_minor: payment.map(|payment| payment.amount_minor),
        currency: payment.map(|payment| Cow::Borrowed(&*payment.currency)),
        score: verdict.score,
        decision: verdict.decision,
        reasons: verdict.reasons,
        shadow: verdict.shadow,
        not_evaluated: verdict.not_evaluated,
        entities: gather.entities.iter().map(entity).collect(),
        missing_parts: gather.missing().iter().collect(),
        rules_version,
        model: None,
    }
}
