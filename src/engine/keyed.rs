//! The keyed stage: the entity log to sessions, features, and the parts of decisions.
//!
//! A task folds the frames of one partition in order: skips what was applied, refuses what begins
//! beyond it, drops duplicates, and hands each copy to the operators of its kind. Its state is this
//! fold and nothing else.

#![expect(clippy::indexing_slicing, reason = "arrays are as long as the enum that indexes them")]

mod checkpoint;
mod days;
mod links;
mod minutes;

use super::inbound;
use super::outputs::Outputs;
use super::settings::{FoldSettings, Topology, shape};
use super::stage::{FoldError, Stage};
use crate::business::catalogue::CatalogueHours;
use crate::business::days::DayOutput;
use crate::business::minutes::Minutes;
use crate::business::{DaySettings, Days, StoreDays};
use crate::drift::volume::Volumes;
#[cfg(test)]
use crate::event::EntityKind;
use crate::event::Source;
use crate::event::alert::Change;
use crate::event::entity::partition_of;
use crate::event::monitor::{SHOP, monitor_hash};
use crate::event::public::{FraudFeatures, LateRecord, Origin};
use crate::event::{
    Body, ClickCopy, Copy, DecisionEvent, DecisionId, FieldId, Label, LabelCopy, Part, PaymentCopy,
    PublishedRules, RawOrigin, RulesCopy, Value,
};
use crate::feature::{GroupId, GroupState};
use crate::ledger::{Disposition, KeyedLedger};
use crate::link::Links;
use crate::log::frame::{FoldVersion, Frame, FrameError, Item, Promise, SourceId};
use crate::log::position::{Offset, Position};
use crate::log::{Fetched, Start, Topic, TopicPartition};
use crate::names::Producers;
use crate::operator::{Context, KeyedOperator, sooner};
use crate::progress::sources::{Admission, Refusal, Sources};
use crate::session::operator::{ClickInput, ClosedSession, SessionOutput, Teller};
use crate::session::{Sessions, VisitorState, record};
use crate::state::keyed::OwnedEntityKey;
use crate::state::{Dedup, EntityKey, KeyedState, StateKey, Timers, Tracking};
use crate::time::EventTime;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// The keyed stage.
#[derive(Debug, Clone)]
pub struct Keyed {
    settings: Arc<FoldSettings>,
    topology: Arc<Topology>,
    fold: FoldVersion,
    sessions: Sessions,
    days: Days,
}

/// Which operator a timer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operator {
    Sessions,
    Features,
    Days,
    Links,
}

/// The windowed features of one entity, one state per group of views.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct EntityFeatures {
    /// When it is looked at next. First, so that a restore finds it without decoding the rest.
    timer: Option<EventTime>,
    groups: Vec<(GroupId, GroupState)>,
}

/// The state of one partition of the entity log.
#[derive(Debug, Clone)]
pub struct KeyedTask {
    /// The sources and the watermark.
    pub sources: Sources,
    /// Where the copies ended.
    pub ledger: KeyedLedger,
    /// Frames refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Sessions made final before their time, because their visitor had too many open.
    pub sessions_closed_early: u64,
    /// Events that went on to whom their entity is linked to.
    pub forwarded: u64,
    /// Days of stores made final before their time, because their store had too many open.
    pub days_closed_early: u64,
    dedup: Dedup,
    sessions: KeyedState<OwnedEntityKey, VisitorState>,
    features: KeyedState<OwnedEntityKey, EntityFeatures>,
    /// How many clicks, orders and baskets came.
    volumes: Volumes,
    /// Who has produced the records of each topic lately.
    producers: Producers,
    /// How many items of the catalogue change in an hour.
    catalogue: CatalogueHours,
    /// What the shop did, by minute.
    minutes: Minutes,
    days: KeyedState<OwnedEntityKey, StoreDays>,
    links: KeyedState<OwnedEntityKey, Links>,
    /// By operator and hash of the key.
    timers: Timers<(Operator, u64)>,
    scratch: Scratch,
    /// Every copy that was admitted, and how it ended, for the simulation.
    #[cfg(test)]
    pub(crate) observed: Vec<(CopyName, Disposition)>,
}

/// Memory that is used again from event to event; empty between them.
#[derive(Debug, Clone, Default)]
struct Scratch {
    session_outputs: Vec<SessionOutput>,
    day_outputs: Vec<DayOutput>,
    values: Vec<(u32, f64)>,
    estimates: Vec<(u32, f64)>,
    touched: Touched,
}

/// Visitors of whom a click was applied in the current record, in the order of their first.
#[derive(Debug, Clone, Default)]
struct Touched {
    keys: Vec<OwnedEntityKey>,
    places: HashTable<usize>,
}

impl Touched {
    fn insert(&mut self, key: EntityKey<'_>) {
        let Touched { keys, places } = self;
        let known = |place: &usize| keys.get(*place).is_some_and(|known| key.is(known));
        let hash_of = |place: &usize| keys.get(*place).map_or(0, |known| known.hash);
        if let Entry::Vacant(vacant) = places.entry(key.hash, known, hash_of) {
            vacant.insert(keys.len());
            keys.push(StateKey::to_owned(&key));
        }
    }

    /// Its keys; leaves it empty.
    fn take(&mut self) -> Vec<OwnedEntityKey> {
        self.places.clear();
        std::mem::take(&mut self.keys)
    }
}

/// Where an event stands and came from.
#[derive(Clone, Copy)]
struct Place<'p> {
    topic: &'p str,
    source: SourceId,
    position: Position,
}

impl Place<'_> {
    /// Whether it came by way of a link.
    fn is_forwarded(self) -> bool {
        self.topic == Topic::Linked.name()
    }

    fn origin(self) -> RawOrigin {
        RawOrigin { partition: self.source.partition, offset: self.position.offset }
    }
}

impl Keyed {
    /// Over these topics.
    #[must_use]
    pub fn new(settings: Arc<FoldSettings>, topology: Arc<Topology>) -> Keyed {
        let fold = settings.fold_version(&topology);
        let sessions = Sessions { settings: settings.sessions };
        let days = Days { settings: DaySettings { allowed_lateness: settings.sessions.allowed_lateness } };
        Keyed { settings, topology, fold, sessions, days }
    }

    fn fold_frame(
        &self,
        task: &mut KeyedTask,
        frame: &Frame<'_>,
        fold: FoldVersion,
        out: &mut Outputs,
    ) -> Result<(), FrameError> {
        match task.sources.admit(frame, fold) {
            Admission::Refused(refusal) => {
                *task.refused.entry(refusal).or_default() += 1;
                #[cfg(test)]
                task.break_rule_of_refusal(frame);
            }
            Admission::Above(applied) => {
                let topic =
                    task.sources.source(&frame.source).map(|source| source.topic.clone()).unwrap_or_default();
                for event in frame.events::<Copy<'_>>() {
                    let (position, copy) = event?;
                    if position > applied {
                        let place = Place { topic: &topic, source: frame.source, position };
                        self.fold_copy(task, &copy, place, out);
                    }
                }
                task.sources.applied(frame, fold);
                self.fire_timers(task, out);
                self.send_volumes(task, out);
                self.send_minutes(task, out);
            }
        }
        Ok(())
    }

    fn fold_copy(&self, task: &mut KeyedTask, copy: &Copy<'_>, place: Place<'_>, out: &mut Outputs) {
        task.ledger.copies[copy.kind.index()] += 1;
        self.look_at_producer(task, copy, place, out);
        let watermark = task.sources.watermark();
        let (name, horizon) = self.remembered_as(copy, place);
        let is_new = task.dedup.is_new(name, copy.event_id, horizon, (copy.time, watermark));
        let disposition = if is_new {
            match &copy.body {
                Body::Click(click) | Body::Order(click) => self.fold_click(task, copy, click, place, out),
                Body::Values(Source::Click, values) => self.fold_click_values(task, copy, values, place, out),
                Body::Payment(payment) => self.fold_payment(task, copy, payment, place, out),
                Body::Label(label) => self.pass_on_label(copy, label, place, watermark, out),
                Body::Prediction(said) => {
                    self.send_to_decision(said.decision, &DecisionEvent::Prediction(said.clone()), out);
                    Disposition::folded(copy.time, watermark)
                }
                Body::Link(_, customer) => {
                    self.fold_link(task, copy, |links| links.add_customer(customer, copy.time))
                }
                Body::Visited(_, visitor) => {
                    self.fold_link(task, copy, |links| links.add_visitor(visitor, copy.time))
                }
                Body::AtTill(purchase) => self.fold_at_till(task, copy, purchase, out),
                Body::ForLinked(source, values) => self.fold_for_linked(task, copy, (*source, values), out),
                Body::Rules(rules) => self.pass_on_rules(copy, rules, place, watermark, out),
                Body::Alert(command) => {
                    self.send_about(&command.subject, &DecisionEvent::Alert(command.clone()), out);
                    Disposition::folded(copy.time, watermark)
                }
                Body::Announced(said) => {
                    self.send_about(&said.change_id, &DecisionEvent::Announced(said.clone()), out);
                    Disposition::folded(copy.time, watermark)
                }
                Body::Item => self.fold_item(task, copy, out),
                Body::Basket(basket, values) => {
                    let disposition = self.fold_basket(task, copy, basket, place, out);
                    if disposition != Disposition::Late && !basket.is_void && !basket.is_training {
                        task.minutes.add_basket(copy.key, copy.time, basket);
                        self.fold_values(task, copy, Source::PosTransaction, values);
                    }
                    disposition
                }
                // what happened to money and accounts counts however late it is known
                Body::Values(source, values) => {
                    self.fold_values(task, copy, *source, values);
                    Disposition::folded(copy.time, watermark)
                }
            }
        } else {
            Disposition::Duplicate
        };
        let is_counted = is_new && self.settings.drift.is_watched;
        if let (true, Some(stream)) = (is_counted, counted_as(copy)) {
            task.volumes.add(stream, copy.time);
        }
        task.ledger.count(copy.kind, disposition);
        #[cfg(test)]
        task.observed.push((name_of_copy(copy), disposition));
    }

    /// Tells of a producer of records of a topic, by their header `ce_source`, that was not there before.
    fn look_at_producer(&self, task: &mut KeyedTask, copy: &Copy<'_>, place: Place<'_>, out: &mut Outputs) {
        let Some(producer) = copy.producer.filter(|_| self.settings.drift.is_watched) else { return };
        if task.producers.is_news(place.topic, producer, copy.time) {
            let what = format!("records of `{producer}` on {} for the first time", place.topic);
            self.tell_of("producer", place.topic, &what, copy.time, out);
        }
    }

    /// Counts an item of the catalogue that has changed, and tells when many do within an hour.
    fn fold_item(&self, task: &mut KeyedTask, copy: &Copy<'_>, out: &mut Outputs) -> Disposition {
        if task.catalogue.are_many(copy.time) && self.settings.drift.is_watched {
            let what = "many items of the catalogue changed within an hour";
            self.tell_of("catalogue", Topic::Catalogue.name(), what, copy.time, out);
        }
        Disposition::folded(copy.time, task.sources.watermark())
    }

    /// A change upstream, which may be why of an alert.
    fn tell_of(&self, kind: &str, subject: &str, what: &str, at: EventTime, out: &mut Outputs) {
        let change = Change { kind: kind.into(), subject: subject.into(), what: what.into(), at };
        self.send_about(SHOP, &DecisionEvent::Changed(change), out);
    }

    /// Sends on what is for the monitors: everything about one subject stands in one partition of the decision log.
    fn send_about(&self, subject: &str, event: &DecisionEvent<'_>, out: &mut Outputs) {
        out.event(partition_of(monitor_hash(subject), self.topology.partitions(Topic::Decision)), event);
    }

    /// As whose the id of a copy is remembered, and for how long.
    fn remembered_as(&self, copy: &Copy<'_>, place: Place<'_>) -> (u64, Duration) {
        let horizon = self.settings.dedup_horizon;
        match copy.body {
            _ if place.is_forwarded() => (forwarded_as(copy), FORWARDED_HORIZON),
            // a file of labels is read again as long as somebody waits for them
            Body::Label(_) | Body::Values(Source::Label, _) | Body::Prediction(_) => {
                (seen_as(copy), horizon.max(self.settings.label_horizon))
            }
            _ => (seen_as(copy), horizon),
        }
    }

    /// Sends on how many records came in the five minutes that are over.
    fn send_volumes(&self, task: &mut KeyedTask, out: &mut Outputs) {
        let Some(watermark) = task.sources.watermark() else { return };
        for volume in task.volumes.close(watermark, self.settings.drift.allowed_lateness) {
            self.send_about(SHOP, &DecisionEvent::Volume(volume), out);
        }
    }

    fn fold_click(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        click: &ClickCopy<'_>,
        place: Place<'_>,
        out: &mut Outputs,
    ) -> Disposition {
        let key = key_of(copy);
        let mut change = minutes::Change::before(task, key, click);
        let mut cx = Context::new(task.sources.watermark(), &mut task.scratch.session_outputs);
        let is_order = matches!(copy.body, Body::Order(_));
        let told_by = if is_order { Teller::Shop } else { Teller::Browser };
        let input = ClickInput { time: copy.time, event_id: copy.event_id, told_by, click };
        let disposition =
            task.sessions.update(key, |state| self.sessions.on_event(copy.key, input, state, &mut cx));
        if let Some(timer) = cx.timer() {
            task.timers.set(timer, (Operator::Sessions, key.hash));
        }
        for output in task.scratch.session_outputs.drain(..) {
            self.hand_out(&mut task.minutes, copy.key, &output, out);
            change.iter_mut().for_each(|change| change.came_out(&output));
            task.sessions_closed_early += u64::from(output.is_closed_early());
            if let SessionOutput::Late { missed, over } = &output {
                let record = late_record(copy, place, *over, missed.as_ref());
                out.publish(Topic::Late, "tillstream.late.v1", copy.key, &record);
            }
        }
        if disposition == Disposition::Late {
            return disposition;
        }
        minutes::count_click(task, key, copy, click, change);
        task.scratch.touched.insert(key);
        let source = if is_order { Source::OrderPlaced } else { Source::Click };
        self.fold_values(task, copy, source, &click.values);
        disposition
    }

    fn fold_click_values(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        values: &[(FieldId, Value)],
        place: Place<'_>,
        out: &mut Outputs,
    ) -> Disposition {
        let watermark = task.sources.watermark();
        let lateness = self.settings.sessions.allowed_lateness;
        if watermark.is_some_and(|watermark| copy.time <= watermark.minus(lateness)) {
            let record = late_record(copy, place, watermark.unwrap_or_default(), None);
            out.publish(Topic::Late, "tillstream.late.v1", copy.key, &record);
            return Disposition::Late;
        }
        self.fold_values(task, copy, Source::Click, values);
        Disposition::folded(copy.time, watermark)
    }

    /// Folds into the groups of this source that count such an event, if the kind has any.
    fn fold_values(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        source: Source,
        values: &[(FieldId, Value)],
    ) {
        let groups = self.settings.plan.groups_at(copy.kind, source).iter();
        let mut groups = groups.filter(|group| group.counts(values)).peekable();
        if groups.peek().is_none() {
            return;
        }
        let key = key_of(copy);
        let timer = task.features.update(key, |features| {
            let features = features.get_or_insert_default();
            let folded = groups.map(|group| {
                let state = features.group_mut(group.id(), || GroupState::new(group));
                state.fold(group, copy.time, values);
                state.forget_at(group)
            });
            folded.min().and_then(|at| features.arm(at))
        });
        set_features_timer(&mut task.timers, timer, key);
    }

    fn fold_payment(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        payment: &PaymentCopy<'_>,
        place: Place<'_>,
        out: &mut Outputs,
    ) -> Disposition {
        if place.is_forwarded() && self.pass_on_payment(task, copy, payment, out) {
            return Disposition::folded(copy.time, task.sources.watermark());
        }
        self.evaluate_payment(task, copy, payment);
        let expected = self.forward_payment(task, copy, payment, out);
        let decision = DecisionId::of_payment(payment.payment_id);
        let values = &task.scratch.values;
        let part = Part {
            decision,
            event: xxh3_64(copy.event_id.as_bytes()),
            kind: copy.kind,
            entity: copy.key,
            expected,
            is_forwarded: place.is_forwarded(),
            time: copy.time,
            features: values.clone(),
            context: payment.context.clone(),
        };
        self.send_to_decision(decision, &DecisionEvent::Part(part), out);
        let named = |values: &[(u32, f64)]| {
            values
                .iter()
                .map(|(id, value)| (Cow::Borrowed(self.settings.plan.name_of(*id)), *value))
                .collect()
        };
        let record = FraudFeatures {
            entity: copy.kind,
            entity_id: Cow::Borrowed(copy.key),
            decision_id: Cow::Owned(decision.to_string()),
            payment_id: Cow::Borrowed(payment.payment_id),
            event_time_ms: copy.time,
            features: named(values),
            estimates: named(&task.scratch.estimates),
        };
        out.publish(Topic::FeaturesFraud, "tillstream.fraud_features.v1", copy.key, &record);
        Disposition::folded(copy.time, task.sources.watermark())
    }

    /// A label goes on to the decision that it is about. None is ever too late here.
    fn pass_on_label(
        &self,
        copy: &Copy<'_>,
        label: &LabelCopy<'_>,
        place: Place<'_>,
        watermark: Option<EventTime>,
        out: &mut Outputs,
    ) -> Disposition {
        let event = DecisionEvent::Label(Label {
            decision: label.decision,
            event_id: copy.event_id,
            known_at: copy.time,
            outcome: label.outcome,
            source: label.source,
            origin: place.origin(),
        });
        self.send_to_decision(label.decision, &event, out);
        Disposition::folded(copy.time, watermark)
    }

    /// Rules go on into every partition of the decision log, whenever they were published.
    fn pass_on_rules(
        &self,
        copy: &Copy<'_>,
        rules: &RulesCopy<'_>,
        place: Place<'_>,
        watermark: Option<EventTime>,
        out: &mut Outputs,
    ) -> Disposition {
        let RulesCopy { version, text } = *rules;
        let event = DecisionEvent::Rules(PublishedRules { version, text, origin: place.origin() });
        for partition in 0..self.topology.partitions(Topic::Decision) {
            out.event(partition, &event);
        }
        Disposition::folded(copy.time, watermark)
    }

    fn send_to_decision(&self, decision: DecisionId, event: &DecisionEvent<'_>, out: &mut Outputs) {
        out.event(partition_of(decision.hash(), self.topology.partitions(Topic::Decision)), event);
    }

    /// Folds a payment into the entity's state and leaves its features in the scratch memory.
    fn evaluate_payment(&self, task: &mut KeyedTask, copy: &Copy<'_>, payment: &PaymentCopy<'_>) {
        let plan = &self.settings.plan;
        let Scratch { values, estimates, .. } = &mut task.scratch;
        values.clear();
        estimates.clear();
        let key = key_of(copy);
        if !plan.has_view(copy.kind) {
            return;
        }
        let timer = task.features.update(key, |slot| {
            let features = slot.get_or_insert_default();
            let mut timer = None;
            for group in plan.groups_of(copy.kind) {
                let is_asked_of_itself =
                    group.source() == Source::PaymentAttempted && group.counts(&payment.values);
                if is_asked_of_itself {
                    let state = features.group_mut(group.id(), || GroupState::new(group));
                    state.fold_and_evaluate(group, copy.time, &payment.values, values, estimates);
                    let at = state.forget_at(group);
                    timer = features.arm(at).or(timer);
                } else {
                    match features.group(group.id()) {
                        Some(state) => state.evaluate(group, copy.time, values, estimates),
                        None => GroupState::new(group).evaluate(group, copy.time, values, estimates),
                    }
                }
            }
            if features.groups.is_empty() {
                *slot = None;
            }
            timer
        });
        set_features_timer(&mut task.timers, timer, key);
    }

    /// Fires the timers that the watermark has reached, in order of time, then operator, then the key's hash.
    fn fire_timers(&self, task: &mut KeyedTask, out: &mut Outputs) {
        let Some(watermark) = task.sources.watermark() else { return };
        task.dedup.forget(watermark);
        while let Some((at, (operator, hash))) = task.timers.due(watermark) {
            for key in task.keys_with_timer(at, operator, hash) {
                match operator {
                    Operator::Sessions => self.fire_session_timer(task, &key, watermark, out),
                    Operator::Features => self.forget_features(task, &key, watermark),
                    Operator::Days => self.fire_day_timer(task, &key, watermark, out),
                    Operator::Links => self.forget_links(task, &key, watermark),
                }
            }
        }
    }

    fn fire_session_timer(
        &self,
        task: &mut KeyedTask,
        key: &OwnedEntityKey,
        watermark: EventTime,
        out: &mut Outputs,
    ) {
        let mut cx = Context::new(Some(watermark), &mut task.scratch.session_outputs);
        task.sessions.update(key.borrowed(), |state| self.sessions.on_timer(&key.id, state, &mut cx));
        if let Some(timer) = cx.timer() {
            task.timers.set(timer, (Operator::Sessions, key.hash));
        }
        for output in task.scratch.session_outputs.drain(..) {
            self.hand_out(&mut task.minutes, &key.id, &output, out);
        }
    }

    /// Forgets the groups of an entity that no window can reach any more.
    fn forget_features(&self, task: &mut KeyedTask, key: &OwnedEntityKey, watermark: EventTime) {
        let plan = &self.settings.plan;
        let timer = task.features.update(key.borrowed(), |slot| {
            let features = slot.as_mut()?;
            features.timer = None;
            let end = |(id, state): &(GroupId, GroupState)| {
                plan.group(key.kind, *id).map_or(EventTime(i64::MIN), |group| state.forget_at(group))
            };
            features.groups.retain(|group| end(group) > watermark);
            match features.groups.iter().map(end).min() {
                Some(next) => features.arm(next),
                None => {
                    *slot = None;
                    None
                }
            }
        });
        set_features_timer(&mut task.timers, timer, key.borrowed());
    }

    /// Publishes the running session of every visitor touched by the current record.
    fn publish_running(&self, task: &mut KeyedTask, out: &mut Outputs) {
        for key in task.scratch.touched.take() {
            let Some(session) = task.sessions.get(key.borrowed()).and_then(VisitorState::running) else {
                continue;
            };
            let features = record::session_features(&key.id, session);
            out.publish(Topic::FeaturesSession, "tillstream.session_features.v1", &key.id, &features);
        }
    }
}

impl Stage for Keyed {
    type Task = KeyedTask;

    const PUBLISHES: &'static [Topic] = &[
        Topic::Sessions,
        Topic::FeaturesSession,
        Topic::FeaturesFraud,
        Topic::Late,
        Topic::BusinessDays,
        Topic::Linked,
    ];

    fn downstream(&self) -> Option<(Topic, u32)> {
        Some((Topic::Decision, self.topology.partitions(Topic::Decision)))
    }

    fn sources(&self) -> Vec<(SourceId, &'static str)> {
        self.topology.sources(&[Topic::Entity])
    }

    fn source_of(&self, partition: TopicPartition) -> SourceId {
        self.topology.source(partition)
    }

    fn open(&self, tracking: Tracking) -> KeyedTask {
        KeyedTask {
            sources: Sources::default(),
            ledger: KeyedLedger::default(),
            refused: BTreeMap::new(),
            sessions_closed_early: 0,
            days_closed_early: 0,
            forwarded: 0,
            dedup: Dedup::new(tracking),
            sessions: KeyedState::new(tracking),
            features: KeyedState::new(tracking),
            volumes: Volumes::default(),
            producers: Producers::default(),
            catalogue: CatalogueHours::default(),
            minutes: Minutes::default(),
            days: KeyedState::new(tracking),
            links: KeyedState::new(tracking),
            timers: Timers::default(),
            scratch: Scratch::default(),
            #[cfg(test)]
            observed: Vec::new(),
        }
    }

    fn open_in_the_middle(&self, tracking: Tracking) -> KeyedTask {
        let mut task = self.open(tracking);
        task.sources.join_in_the_middle(&self.topology.sources(&Topic::RAW), self.fold);
        task
    }

    fn start(&self, _committed: Option<Offset>) -> Start {
        Start::Beginning
    }

    fn fold(&self, task: &mut KeyedTask, fetched: &Fetched, out: &mut Outputs) -> Result<(), FoldError> {
        let record = inbound::read(self, fetched, out)?;
        for item in &record.items {
            match item {
                Item::Join(sources) => task.sources.join(sources, record.fold),
                Item::Frame(frame) => self
                    .fold_frame(task, frame, record.fold, out)
                    .map_err(|fault| inbound::fault(fetched, fault))?,
                Item::Deadline(_) => {}
            }
        }
        self.publish_running(task, out);
        if !task.ledger.balances() {
            return Err(FoldError::Ledger { partition: fetched.partition, offset: fetched.offset });
        }
        Ok(())
    }

    fn promise(&self, task: &KeyedTask, _idle: Option<Duration>) -> Promise {
        task.sources.watermark().map_or(Promise::Unknown, Promise::Watermark)
    }

    fn fold_version(&self) -> FoldVersion {
        self.fold
    }

    fn shape(&self) -> u64 {
        // rings and buckets mean something only under the views they were folded with
        shape(&self.topology, Topic::Decision, self.settings.plan.groups().collect::<Vec<_>>())
    }
}

impl KeyedTask {
    /// The keys of this hash whose state has this timer still: at most one, but for an accident.
    fn keys_with_timer(&mut self, at: EventTime, operator: Operator, hash: u64) -> Vec<OwnedEntityKey> {
        match operator {
            Operator::Sessions => keys_where(&mut self.sessions, hash, |state| state.timer() == Some(at)),
            Operator::Features => keys_where(&mut self.features, hash, |state| state.timer == Some(at)),
            Operator::Days => keys_where(&mut self.days, hash, |state| state.timer() == Some(at)),
            Operator::Links => keys_where(&mut self.links, hash, |state| state.timer() == Some(at)),
        }
    }

    /// How many sessions are open.
    #[must_use]
    pub fn visitors(&self) -> usize {
        self.sessions.len()
    }

    /// How many entities have windowed features.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.features.len()
    }

    /// How many visitors, cards, loyalty numbers and customers there are of whom a login is known.
    #[must_use]
    pub fn linked(&self) -> usize {
        self.links.len()
    }

    /// How many event ids are remembered.
    #[must_use]
    pub fn remembered_ids(&self) -> usize {
        self.dedup.len()
    }

    /// Whether two tasks are in the same state.
    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &KeyedTask) -> bool {
        let sessions = |task: &KeyedTask| task.sessions.iter().collect();
        let days = |task: &KeyedTask| -> BTreeMap<_, _> { task.days.iter().collect() };
        let links = |task: &KeyedTask| -> BTreeMap<_, _> { task.links.iter().collect() };
        let features = |task: &KeyedTask| task.features.iter().map(|(k, v)| (k, format!("{v:?}"))).collect();
        let (ours, theirs): (BTreeMap<_, _>, BTreeMap<_, _>) = (sessions(self), sessions(other));
        let (our_features, their_features): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (features(self), features(other));
        self.sources == other.sources
            && self.ledger == other.ledger
            && self.refused == other.refused
            && self.has_its_timers()
            && other.has_its_timers()
            && self.dedup.remembers_the_same(&other.dedup, self.sources.watermark())
            && ours == theirs
            && days(self) == days(other)
            && links(self) == links(other)
            && self.forwarded == other.forwarded
            && self.volumes == other.volumes
            && self.minutes == other.minutes
            && self.producers == other.producers
            && self.catalogue == other.catalogue
            && self.days_closed_early == other.days_closed_early
            && our_features == their_features
    }

    /// Whether every timer that a key's state speaks of is set.
    #[cfg(test)]
    fn has_its_timers(&self) -> bool {
        let sessions = self.sessions.iter().map(|(key, state)| (state.timer(), Operator::Sessions, key));
        let features = self.features.iter().map(|(key, state)| (state.timer, Operator::Features, key));
        let days = self.days.iter().map(|(key, state)| (state.timer(), Operator::Days, key));
        let links = self.links.iter().map(|(key, state)| (state.timer(), Operator::Links, key));
        sessions
            .chain(features)
            .chain(days)
            .chain(links)
            .all(|(timer, operator, key)| timer.is_none_or(|at| self.timers.holds(at, &(operator, key.hash))))
    }

    /// The mutation of rule 8 in tests.
    #[cfg(test)]
    fn break_rule_of_refusal(&mut self, frame: &Frame<'_>) {
        use crate::rules_of_the_protocol::{Rule, without};
        if without(Rule::RefusedChangesNothing) {
            let watermark = self.sources.watermark();
            for (_, copy) in frame.events::<Copy<'_>>().flatten() {
                self.dedup.is_new(seen_as(&copy), copy.event_id, FORWARDED_HORIZON, (copy.time, watermark));
            }
            self.sources.take_refused_promise(frame);
        }
    }
}

impl EntityFeatures {
    fn group(&self, id: GroupId) -> Option<&GroupState> {
        self.groups.iter().find(|(known, _)| *known == id).map(|(_, state)| state)
    }

    fn group_mut(&mut self, id: GroupId, new: impl FnOnce() -> GroupState) -> &mut GroupState {
        let place = match self.groups.iter().position(|(known, _)| *known == id) {
            Some(place) => place,
            None => {
                self.groups.push((id, new()));
                self.groups.len() - 1
            }
        };
        &mut self.groups[place].1
    }

    /// Returns the timer to set so that the entity is looked at no later than `at`.
    fn arm(&mut self, at: EventTime) -> Option<EventTime> {
        sooner(&mut self.timer, at)
    }
}

/// The keys of this hash whose state `is` so, in order.
fn keys_where<V: DeserializeOwned>(
    table: &mut KeyedState<OwnedEntityKey, V>,
    hash: u64,
    is: impl Fn(&V) -> bool,
) -> Vec<OwnedEntityKey> {
    let mut keys = table.keys_of(hash);
    keys.retain(|key| table.get(key.borrowed()).is_some_and(&is));
    keys
}

/// One copy: kind, key, event id and stream.
#[cfg(test)]
pub(crate) type CopyName = (EntityKind, String, String, u64);

#[cfg(test)]
pub(crate) fn name_of_copy(copy: &Copy<'_>) -> CopyName {
    (copy.kind, copy.key.to_owned(), copy.event_id.to_owned(), copy.body.stream())
}

fn key_of<'a>(copy: &Copy<'a>) -> EntityKey<'a> {
    EntityKey { kind: copy.kind, hash: copy.hash, id: copy.key }
}

/// For how long the ids of events are remembered that came by way of a link: as long as they stand in that topic. What is sent
/// on is sent again after a crash, and nobody can say how late that is.
const FORWARDED_HORIZON: Duration = Duration::from_secs(7 * 86_400);

/// As [`seen_as`], of what came by way of a link.
fn forwarded_as(copy: &Copy<'_>) -> u64 {
    seen_as(copy).wrapping_add(3_000)
}

/// An event id is one entity's and one stream's.
fn seen_as(copy: &Copy<'_>) -> u64 {
    copy.hash.wrapping_add(copy.body.stream())
}

/// As what a copy is counted: one of the copies of each record is. Payments are counted where they are decided, by channel.
fn counted_as(copy: &Copy<'_>) -> Option<&'static str> {
    match copy.body {
        Body::Click(_) => Some("clickstream"),
        Body::Order(_) => Some("orders"),
        Body::Basket(..) => Some("pos"),
        _ => None,
    }
}

fn set_features_timer(timers: &mut Timers<(Operator, u64)>, timer: Option<EventTime>, key: EntityKey<'_>) {
    if let Some(timer) = timer {
        timers.set(timer, (Operator::Features, key.hash));
    }
}

fn late_record<'a>(
    copy: &'a Copy<'_>,
    place: Place<'a>,
    watermark: EventTime,
    missed: Option<&ClosedSession>,
) -> LateRecord<'a> {
    LateRecord {
        entity: copy.kind,
        entity_id: Cow::Borrowed(copy.key),
        event_id: Cow::Borrowed(copy.event_id),
        event_time_ms: copy.time,
        watermark_ms: watermark,
        missed_session: missed.map(|session| record::missed_session(session.id, session.start, session.end)),
        origin: Origin {
            topic: Cow::Borrowed(place.topic),
            partition: place.source.partition,
            offset: place.position.offset,
        },
    }
}
