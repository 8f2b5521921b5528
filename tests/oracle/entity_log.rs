//! A whole entity log folded: sessions, features, late copies, parts and the ledger.

use super::features::{Answer, Event, Group, Key};
use super::minutes::{Happened, What};
use super::session::{self, Click, Item};
use super::sources::Sources;
use super::views::{EventSource, SOURCES, View};
use super::{Log, Place, Public, Settings};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tillstream::event::part::feature_id;
use tillstream::event::{
    Body, ClickCopy, ClickName, Copy as EventCopy, DecisionId, EntityKind, EntitySet, Label, LabelOutcome,
    Part, PaymentCopy, Source,
};
use tillstream::log::frame::{Frame, Item as LogItem, Record, SourceId};
use tillstream::log::position::Position;
use xxhash_rust::xxh3::xxh3_64;

/// What folding an entity log leads to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Records of `sessions`, `features.session`, `features.fraud` and `late`, in an order of ours.
    pub public: Vec<Public>,
    /// The parts for the decision log, in the order of the folds, partition after partition.
    pub parts: Vec<PlainPart>,
    /// The predictions for the decision log.
    pub predictions: u64,
    /// The labels for the decision log.
    pub labels: Vec<PlainLabel>,
    /// Where the copies ended, by kind.
    pub ledger: BTreeMap<EntityKind, Ledger>,
    /// Every visitor of whom there was a copy.
    pub visitors: BTreeMap<String, Visited>,
    /// Each partition's watermark at the end.
    pub watermarks: BTreeMap<u32, Option<i64>>,
    /// Events that went on to a linked customer.
    pub forwarded: u64,
    /// Purchases at tills that joined a session.
    pub at_tills: u64,
    /// What counts in the shop's minutes.
    pub happened: Vec<Happened>,
    /// Clicks, orders and transactions that came when their minute was over, and not too late for anything else.
    pub after_its_minute: u64,
    /// Publications of rules that go on into every partition of the decision log.
    pub rules: u64,
    /// Frames that began above what was applied.
    pub refused_frames: u64,
    /// How many groups of keys turned into buckets on the way (clicks do not turn: they begin there).
    pub turned: u64,
}

/// Where the copies of a kind ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    pub copies: u64,
    pub applied: u64,
    pub late_applied: u64,
    pub late: u64,
    pub duplicate: u64,
}

/// Why a visitor's sessions may differ from those computed from the raw clicks alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Visited {
    /// A copy was late.
    pub late: bool,
    /// A click was folded that lies within the gap of a session that is already closed.
    pub split: bool,
    /// A purchase at a till joined one of them.
    pub at_till: bool,
    /// An event id came again after it had been forgotten, and counted again.
    pub counted_again: bool,
}

impl Visited {
    /// Whether the final sessions of this visitor are a matter of the raw clicks alone.
    #[must_use]
    pub fn is_plain(self) -> bool {
        self == Visited::default()
    }
}

/// A part, owned and without an order among its features.
#[derive(Debug, Clone, PartialEq)]
pub struct PlainPart {
    /// The partition of the entity log, and the offset there, whose fold made it.
    pub partition: u32,
    pub offset: i64,
    pub decision: DecisionId,
    pub event: u64,
    pub kind: EntityKind,
    pub entity: String,
    pub expected: EntitySet,
    /// Of a customer whom the payment does not name.
    pub forwarded: bool,
    pub time: i64,
    pub features: BTreeMap<u32, f64>,
    /// The context as JSON; null without one.
    pub context: Value,
}

impl PlainPart {
    /// A part as it was read from the decision log, which came from that partition and offset of the
    /// entity log (the frame's source and the part's position).
    ///
    /// # Panics
    ///
    /// If the part names a feature twice.
    #[must_use]
    pub fn of(part: &Part<'_>, partition: u32, offset: i64) -> PlainPart {
        let features: BTreeMap<u32, f64> = part.features.iter().copied().collect();
        assert_eq!(features.len(), part.features.len(), "a part names each feature once");
        PlainPart {
            partition,
            offset,
            decision: part.decision,
            event: part.event,
            kind: part.kind,
            entity: part.entity.to_owned(),
            expected: part.expected,
            forwarded: part.is_forwarded,
            time: part.time.0,
            features,
            context: json!(part.context),
        }
    }

    /// The part in the form that [`super::compare`] takes: key = decision id.
    #[must_use]
    pub fn to_public(&self) -> Public {
        let features: BTreeMap<String, f64> =
            self.features.iter().map(|(id, value)| (id.to_string(), *value)).collect();
        let value = json!({
            "partition": self.partition,
            "offset": self.offset,
            "event": self.event,
            "kind": self.kind,
            "entity": self.entity,
            "expected": self.expected,
            "forwarded": self.forwarded,
            "time": self.time,
            "features": features,
            "context": self.context,
        });
        Public::new("decision log", &self.decision.to_string(), value)
    }
}

/// A label on its way to its decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlainLabel {
    pub decision: DecisionId,
    pub event_id: String,
    pub known_at: i64,
    pub outcome: LabelOutcome,
    pub source: String,
    /// Partition and offset in the topic `labels`.
    pub origin: (u32, i64),
}

impl PlainLabel {
    /// As it was read from the decision log.
    #[must_use]
    pub fn of(label: &Label<'_>) -> PlainLabel {
        PlainLabel {
            decision: label.decision,
            event_id: label.event_id.to_owned(),
            known_at: label.known_at.0,
            outcome: label.outcome,
            source: label.source.to_owned(),
            origin: (label.origin.partition, label.origin.offset),
        }
    }
}

/// Folds every partition of an entity log.
///
/// # Panics
///
/// If the log holds bytes that are no record of an entity log.
#[must_use]
pub fn outcome(log: &Log, settings: &Settings, views: &[View]) -> Outcome {
    let mut outcome = Outcome::default();
    for (partition, records) in log {
        let mut task = Task::new(settings, views, *partition, &mut outcome);
        for (offset, bytes) in records {
            task.record(*offset, bytes);
        }
        let watermark = task.sources.watermark;
        outcome.watermarks.insert(*partition, watermark);
    }
    outcome
}

/// The source of the default views that an event is of.
fn read_by_views(source: Source) -> EventSource {
    match source {
        Source::PaymentResult => EventSource::Result,
        Source::Click => EventSource::Click,
        Source::Label => EventSource::Label,
        Source::OrderPlaced => EventSource::OrderPlaced,
        Source::PosTransaction => EventSource::Basket,
        Source::LoginFailed => EventSource::LoginFailed,
        Source::CredentialChanged => EventSource::CredentialChanged,
        Source::AddressChanged => EventSource::AddressChanged,
        other => panic!("no default view reads {}", other.name()),
    }
}

/// Clicks, payment attempts, payment results, labels, orders, baskets and events of accounts each have event ids of their own; so
/// has what links, and what goes on to whom an entity is linked to.
fn stream(copy: &EventCopy<'_>, forwarded: bool) -> String {
    if forwarded {
        return format!("forwarded, {}", stream(copy, false));
    }
    let of_source = |source: Source| match source.name() {
        order if order.starts_with("order_") => "order",
        "login" | "login_failed" | "sign_up" | "credential_changed" | "address_changed" => "account",
        other => other,
    };
    match copy.body {
        Body::Click(_) => "click".to_owned(),
        Body::Order(_) => "order".to_owned(),
        Body::Payment(_) => "payment_attempted".to_owned(),
        Body::Label(_) => "label".to_owned(),
        Body::Rules(_) => "rules".to_owned(),
        Body::Alert(_) => "alert".to_owned(),
        Body::Announced(_) => "announced".to_owned(),
        Body::Item => "item".to_owned(),
        Body::Prediction(_) => "prediction".to_owned(),
        Body::Basket(..) => "pos_transaction".to_owned(),
        Body::Values(source, _) => of_source(source).to_owned(),
        Body::ForLinked(source, _) => format!("for linked, {}", of_source(source)),
        Body::Link(source, _) => format!("link, {}", of_source(source)),
        Body::Visited(source, _) => format!("visited, {}", of_source(source)),
        Body::AtTill(_) => "at till".to_owned(),
    }
}

/// What went on to a linked customer, in the form that [`super::compare`] takes.
#[must_use]
pub fn plain_forwarded(copy: &EventCopy<'_>) -> Value {
    json!({ "copy": format!("{copy:?}") })
}

/// Logins of an entity that are kept: the newest.
const LOGINS_MAX: usize = 16;

/// Numbers of filters, 0 for none.
const FILTERS: u8 = 3;

/// Whose views on what with which filter.
type GroupName = (EntityKind, EventSource, u8);

/// Open sessions of a visitor, at most.
const OPEN_MAX: usize = 32;

/// One partition.
struct Task<'a> {
    settings: &'a Settings,
    groups: BTreeMap<GroupName, Group>,
    partition: u32,
    offset: i64,
    sources: Sources,
    /// By entity and stream, the event ids seen and until which watermark each is remembered.
    seen: BTreeMap<(EntityKind, String, String), BTreeMap<String, i64>>,
    /// Who has logged in where, and when.
    logins: BTreeMap<(EntityKind, String), BTreeSet<(i64, String)>>,
    /// As whom a customer has logged in, and when.
    visits: BTreeMap<String, BTreeSet<(i64, String)>>,
    visitors: BTreeMap<String, Visitor>,
    /// When to look at which visitor's sessions.
    session_timers: BTreeSet<(i64, String)>,
    keys: BTreeMap<(GroupName, String), Key>,
    /// When to look whether a key is to be forgotten.
    key_timers: BTreeSet<(i64, GroupName, String)>,
    /// Of this record, the last folded click of each visitor: what `features.session` shows.
    shown: BTreeMap<String, Shown>,
    /// The sessions that became final within this record, by visitor.
    closed_now: BTreeMap<String, Vec<Session>>,
    outcome: &'a mut Outcome,
}

#[derive(Default)]
struct Visitor {
    open: Vec<Session>,
    closed: Vec<Closed>,
    /// How far it is for this visitor as if the watermark had come.
    closed_through: Option<i64>,
}

/// Time and order of a click: its name within its visitor.
type Shown = (i64, u64);

/// A session that is not final.
#[derive(Default)]
struct Session {
    /// All its clicks, in the order in which they came.
    clicks: Vec<Click>,
    start: i64,
    end: i64,
    /// As it stands, it has been published.
    published: bool,
    /// The last revision of every id under which it, or what it merged, was published.
    revisions: BTreeMap<String, u32>,
    /// Those of the ids that no publication has named in `supersedes`.
    standing: BTreeSet<String>,
}

struct Closed {
    id: String,
    start: i64,
    end: i64,
    remembered_until: i64,
}

impl Session {
    fn opened_by(click: Click) -> Session {
        let time = click.time;
        Session { clicks: vec![click], start: time, end: time, ..Session::default() }
    }

    fn touches(&self, time: i64, gap: i64) -> bool {
        self.start - gap <= time && time <= self.end + gap
    }

    /// Both as one, which has not been published as it stands now.
    fn merged_with(mut self, other: Session) -> Session {
        self.clicks.extend(other.clicks);
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        self.revisions.extend(other.revisions);
        self.standing.extend(other.standing);
        self.published = false;
        self
    }

    fn holds(&self, (time, order): Shown) -> bool {
        self.clicks.iter().any(|click| click.time == time && click.order == order)
    }
}

/// Where a copy came from.
struct Origin {
    source: SourceId,
    position: Position,
}

impl<'a> Task<'a> {
    fn new(settings: &'a Settings, views: &[View], partition: u32, outcome: &'a mut Outcome) -> Task<'a> {
        let pairs = EntityKind::ALL.into_iter().flat_map(|kind| SOURCES.map(|source| (kind, source)));
        let names = pairs.flat_map(|(kind, source)| (0..FILTERS).map(move |filter| (kind, source, filter)));
        let groups = names.filter_map(|name| Some((name, Group::of(views, name, settings)?))).collect();
        Task {
            settings,
            groups,
            partition,
            offset: -1,
            sources: Sources::default(),
            seen: BTreeMap::new(),
            logins: BTreeMap::new(),
            visits: BTreeMap::new(),
            visitors: BTreeMap::new(),
            session_timers: BTreeSet::new(),
            keys: BTreeMap::new(),
            key_timers: BTreeSet::new(),
            shown: BTreeMap::new(),
            closed_now: BTreeMap::new(),
            outcome,
        }
    }

    fn record(&mut self, offset: i64, bytes: &[u8]) {
        self.offset = offset;
        for item in Record::decode(bytes).expect("a record of an internal log").items {
            match item {
                LogItem::Join(sources) => self.sources.join(&sources),
                LogItem::Frame(frame) => self.frame(&frame),
                LogItem::Deadline(_) => panic!("a deadline in the entity log"),
            }
        }
        let closed = std::mem::take(&mut self.closed_now);
        for (visitor, click) in std::mem::take(&mut self.shown) {
            let open = self.visitors.get(&visitor).map_or(&[][..], |visitor| &visitor.open);
            let closed =
                if self.settings.reading.final_session_is_shown { closed.get(&visitor) } else { None };
            let mut all = open.iter().chain(closed.into_iter().flatten());
            if let Some(session) = all.find(|session| session.holds(click)) {
                let value = session::running(&visitor, &session.clicks);
                self.publish("features.session", &visitor, value);
            }
        }
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        let applied = self.sources.applied(frame.source);
        if frame.from > applied {
            self.outcome.refused_frames += 1;
            return;
        }
        for event in frame.events::<EventCopy<'_>>() {
            let (position, copy) = event.expect("a copy");
            if position > applied {
                self.copy(&copy, &Origin { source: frame.source, position });
            }
        }
        self.sources.accepted(frame, &self.settings.reading);
        self.fire();
    }

    fn fire(&mut self) {
        let Some(watermark) = self.sources.watermark else { return };
        while self.session_timers.first().is_some_and(|(due, _)| *due <= watermark) {
            let (due, visitor) = self.session_timers.pop_first().expect("there is one");
            self.look_at(&visitor, due);
        }
        while self.key_timers.first().is_some_and(|(due, ..)| *due <= watermark) {
            let (_, name, key) = self.key_timers.pop_first().expect("there is one");
            let retention = self.groups[&name].retention;
            let key = (name, key);
            let newest = self.keys.get(&key).and_then(|state| state.newest);
            if newest.is_some_and(|newest| newest + retention <= watermark) {
                self.keys.remove(&key);
            }
        }
    }

    fn copy(&mut self, copy: &EventCopy<'_>, origin: &Origin) {
        if copy.kind == EntityKind::Visitor {
            self.visited(copy.key);
        }
        self.ledger(copy.kind).copies += 1;
        let forwarded = self.sources.name(origin.source) == "tillstream.linked";
        if self.is_duplicate(copy, forwarded) {
            self.ledger(copy.kind).duplicate += 1;
            return;
        }
        let late = self.is_late(copy);
        if !late || self.settings.reading.late_ids_are_remembered {
            self.remember(copy, forwarded);
        }
        if late {
            self.ledger(copy.kind).late += 1;
            self.late(copy, origin);
            return;
        }
        let behind = self.sources.watermark.is_some_and(|watermark| copy.time.0 < watermark);
        if behind {
            self.ledger(copy.kind).late_applied += 1;
        } else {
            self.ledger(copy.kind).applied += 1;
        }
        let event = |values: &[_]| Event { time: copy.time.0, values: values.to_vec() };
        match &copy.body {
            Body::Click(click) | Body::Order(click) => {
                let shown = !behind || self.settings.reading.late_applied_is_shown;
                let told_at = self.place(origin);
                let before = self.purchases(copy.key, 0);
                let closed = self.closed_now.get(copy.key).map_or(0, Vec::len);
                self.click(copy, click, &told_at, shown);
                if self.happened(copy, What::Heard { visitor: copy.key.to_owned(), told_at: told_at.clone() })
                    && click.name == ClickName::Purchase
                {
                    // one that made room for it by ending has lost no purchase
                    let ended = self.closed_now.get(copy.key).map_or(0, Vec::len) - closed;
                    let after = self.purchases(copy.key, ended);
                    self.happened(copy, What::Purchase { told_at, before, after });
                }
                let source = match copy.body {
                    Body::Order(_) => EventSource::OrderPlaced,
                    _ => EventSource::Click,
                };
                self.fold(copy, source, event(&click.values));
            }
            Body::Values(source, values) => self.fold(copy, read_by_views(*source), event(values)),
            Body::Payment(payment) => self.payment(copy, payment, &event(&payment.values), forwarded),
            Body::Basket(basket, values) => {
                if !basket.is_void && !basket.is_training {
                    let told_at = self.place(origin);
                    self.happened(copy, What::Rung { told_at });
                    self.fold(copy, EventSource::Basket, event(values));
                }
            }
            Body::Rules(_) => self.outcome.rules += 1,
            Body::Alert(_) | Body::Announced(_) | Body::Item => {}
            Body::Prediction(_) => self.outcome.predictions += 1,
            Body::Link(_, customer) => {
                let logins = self.logins.entry((copy.kind, copy.key.to_owned())).or_default();
                keep_login(logins, copy.time.0, customer);
            }
            Body::Visited(_, visitor) => {
                keep_login(self.visits.entry(copy.key.to_owned()).or_default(), copy.time.0, visitor);
            }
            Body::AtTill(purchase) => self.at_till(copy, purchase),
            Body::ForLinked(source, values) => {
                if let Some(customer) = self.linked(copy) {
                    self.forward(copy, &customer, Body::Values(*source, values.clone()));
                }
            }
            Body::Label(label) => self.outcome.labels.push(PlainLabel {
                decision: label.decision,
                event_id: copy.event_id.to_owned(),
                known_at: copy.time.0,
                outcome: label.outcome,
                source: label.source.to_owned(),
                origin: (origin.source.partition, origin.position.offset),
            }),
        }
    }

    fn is_duplicate(&mut self, copy: &EventCopy<'_>, forwarded: bool) -> bool {
        let ids = self.seen.entry((copy.kind, copy.key.to_owned(), stream(copy, forwarded))).or_default();
        let Some(until) = ids.get(copy.event_id) else { return false };
        if self.sources.watermark.is_none_or(|watermark| watermark < *until) {
            return true;
        }
        if copy.kind == EntityKind::Visitor {
            self.visited(copy.key).counted_again = true;
        }
        false
    }

    fn remember(&mut self, copy: &EventCopy<'_>, forwarded: bool) {
        let from = copy.time.0.max(self.sources.watermark.unwrap_or(copy.time.0));
        let ids = self.seen.entry((copy.kind, copy.key.to_owned(), stream(copy, forwarded))).or_default();
        let horizon = match copy.body {
            _ if forwarded => 7 * 86_400_000,
            Body::Label(_) | Body::Values(Source::Label, _) | Body::Prediction(_) => {
                self.settings.dedup_horizon.max(self.settings.label_horizon)
            }
            _ => self.settings.dedup_horizon,
        };
        ids.insert(copy.event_id.to_owned(), from + horizon);
    }

    /// What is as good as a watermark for the session of this click.
    fn closed_through(&self, copy: &EventCopy<'_>) -> Option<i64> {
        match copy.body {
            Body::Click(_) | Body::Order(_) => {
                self.visitors.get(copy.key).and_then(|visitor| visitor.closed_through)
            }
            _ => None,
        }
    }

    fn is_late(&self, copy: &EventCopy<'_>) -> bool {
        let Some(watermark) = self.sources.watermark.max(self.closed_through(copy)) else { return false };
        let (time, lateness, gap) = (copy.time.0, self.settings.allowed_lateness, self.settings.gap);
        match copy.body {
            Body::Click(_) | Body::Order(_) => {
                let open = self.visitors.get(copy.key).map_or(&[][..], |visitor| &visitor.open);
                // With an open session it would be merged into one that is not final.
                !open.iter().any(|session| session.touches(time, gap)) && time + gap + lateness <= watermark
            }
            Body::Values(Source::Click, _) => time <= watermark - lateness,
            // a business day is final 36 h after its end
            Body::Basket(ref basket, _) => {
                (i64::from(basket.business_day) + 1) * 86_400_000 + 129_600_000 + lateness <= watermark
            }
            Body::Payment(_)
            | Body::Label(_)
            | Body::Rules(_)
            | Body::Link(..)
            | Body::Visited(..)
            | Body::AtTill(_)
            | Body::ForLinked(..)
            | Body::Alert(_)
            | Body::Announced(_)
            | Body::Item
            | Body::Prediction(_)
            | Body::Values(..) => false,
        }
    }

    fn late(&mut self, copy: &EventCopy<'_>, origin: &Origin) {
        let missed = match copy.body {
            Body::Click(_) | Body::Order(_) => {
                self.visited(copy.key).late = true;
                self.closed_near(copy.key, copy.time.0)
            }
            _ => None,
        };
        let closed_through = self.closed_through(copy);
        let value = json!({
            "entity": copy.kind,
            "entity_id": copy.key,
            "event_id": copy.event_id,
            "event_time_ms": copy.time,
            "watermark_ms": self.sources.watermark.max(closed_through),
            "missed_session": missed,
            "origin": {
                "topic": self.sources.name(origin.source),
                "partition": origin.source.partition,
                "offset": origin.position.offset,
            },
        });
        self.publish("late", copy.key, value);
    }

    /// The latest of the visitor's remembered sessions that lies within the gap of `time`.
    fn closed_near(&self, visitor: &str, time: i64) -> Option<Value> {
        let gap = self.settings.gap;
        let remembered = |closed: &&Closed| {
            self.sources.watermark.is_none_or(|watermark| watermark < closed.remembered_until)
        };
        let closed = &self.visitors.get(visitor)?.closed;
        closed
            .iter()
            .rev()
            .take(8)
            .filter(remembered)
            .find(|closed| closed.start - gap <= time && time <= closed.end + gap)
            .map(|closed| json!({ "session_id": closed.id, "start_ms": closed.start, "end_ms": closed.end }))
    }

    fn place(&self, origin: &Origin) -> Place {
        (self.sources.name(origin.source), origin.source.partition, origin.position.offset)
    }

    /// The purchases that count in a visitor's open sessions, and in so many of those that were closed last.
    fn purchases(&self, visitor: &str, closed: usize) -> Vec<Place> {
        let open = self.visitors.get(visitor).map_or(&[][..], |visitor| &visitor.open);
        let closed_now = self.closed_now.get(visitor).map_or(&[][..], Vec::as_slice);
        let closed = closed_now.iter().rev().take(closed);
        open.iter().chain(closed).flat_map(|session| session::purchases(&session.clicks)).collect()
    }

    /// Counts in the minute of the copy, unless that is over. Returns whether it does.
    fn happened(&mut self, copy: &EventCopy<'_>, what: What) -> bool {
        const MINUTE: i64 = 60_000;
        let time = copy.time.0;
        let ends = time.div_euclid(MINUTE) * MINUTE + MINUTE;
        let lateness = self.settings.allowed_lateness;
        if self.sources.watermark.is_some_and(|watermark| ends + lateness <= watermark) {
            self.outcome.after_its_minute += 1;
            return false;
        }
        self.outcome.happened.push(Happened { time, what });
        true
    }

    fn click(&mut self, copy: &EventCopy<'_>, click: &ClickCopy<'_>, told_at: &Place, shown: bool) {
        let gap = self.settings.gap;
        let time = copy.time.0;
        let visitor = self.visitors.entry(copy.key.to_owned()).or_default();
        let near = |closed: &Closed| closed.start - gap <= time && time <= closed.end + gap;
        if visitor.closed.iter().any(near) {
            self.outcome.visitors.entry(copy.key.to_owned()).or_default().split = true;
        }
        let open = std::mem::take(&mut visitor.open);
        let (touched, others): (Vec<Session>, Vec<Session>) =
            open.into_iter().partition(|session| session.touches(time, gap));
        visitor.open = others;
        let opened = Session::opened_by(Click { told_at: Some(told_at.clone()), ..kept(copy, click) });
        if shown {
            self.shown.insert(copy.key.to_owned(), (time, session::order(copy.event_id)));
        }
        // The touched ones come first: extending a long session by a click is cheap, not the reverse.
        let merged = touched.into_iter().chain([opened]).reduce(Session::merged_with);
        let mut session = merged.expect("at least the click's own");
        let ends = session.end + gap;
        let over = self.sources.watermark.is_some_and(|watermark| watermark >= ends);
        if over && !session.standing.is_empty() {
            self.publish_session(copy.key, &mut session, false);
        }
        self.session_timers.insert((ends, copy.key.to_owned()));
        self.session_timers.insert((ends + self.settings.allowed_lateness, copy.key.to_owned()));
        let visitor = self.visitors.entry(copy.key.to_owned()).or_default();
        visitor.open.push(session);
        if visitor.open.len() > OPEN_MAX {
            visitor.open.sort_by_key(|session| session.start);
            let earliest = visitor.open.remove(0);
            let final_at = earliest.end + gap + self.settings.allowed_lateness;
            visitor.closed_through = visitor.closed_through.max(Some(final_at));
            self.close(copy.key, earliest);
        }
    }

    /// Publishes a session for the last time.
    fn close(&mut self, name: &str, mut session: Session) {
        self.publish_session(name, &mut session, true);
        let ended = What::ended(&session.clicks);
        self.outcome.happened.push(Happened { time: session.end + self.settings.gap, what: ended });
        let final_at = session.end + self.settings.gap + self.settings.allowed_lateness;
        let closed = Closed {
            id: session::session_id(name, session.start),
            start: session.start,
            end: session.end,
            remembered_until: final_at + self.settings.remember_closed,
        };
        self.visitors.entry(name.to_owned()).or_default().closed.push(closed);
        self.closed_now.entry(name.to_owned()).or_default().push(session);
    }

    /// Event time has come to `due`: publishes and closes what ends by then.
    fn look_at(&mut self, name: &str, due: i64) {
        let (gap, lateness) = (self.settings.gap, self.settings.allowed_lateness);
        let skips = !self.settings.reading.jump_publishes_twice;
        let watermark = self.sources.watermark.expect("a timer is due");
        let mut open = std::mem::take(&mut self.visitors.entry(name.to_owned()).or_default().open);
        open.sort_by_key(|session| session.end);
        for mut session in open {
            let final_at = session.end + gap + lateness;
            if final_at <= due {
                self.close(name, session);
                continue;
            }
            let skipped = skips && final_at <= watermark;
            if session.end + gap <= due && !session.published && !skipped {
                self.publish_session(name, &mut session, false);
            }
            self.visitors.entry(name.to_owned()).or_default().open.push(session);
        }
    }

    fn publish_session(&mut self, visitor: &str, session: &mut Session, is_final: bool) {
        let id = session::session_id(visitor, session.start);
        let revision = session.revisions.entry(id.clone()).or_default();
        *revision += 1;
        let mut value = session::session(visitor, &session.clicks);
        value.insert("revision".to_owned(), json!(*revision));
        value.insert("is_final".to_owned(), json!(is_final));
        session.standing.remove(&id);
        value.insert("supersedes".to_owned(), json!(session.standing));
        session.standing = BTreeSet::from([id]);
        session.published = true;
        self.publish("sessions", visitor, Value::Object(value));
    }

    fn fold(&mut self, copy: &EventCopy<'_>, source: EventSource, event: Event) {
        for filter in 0..FILTERS {
            let name = (copy.kind, source, filter);
            let Some(group) = self.groups.get(&name) else { continue };
            if !group.counts(&copy.body, &event.values) {
                continue;
            }
            let key = self.keys.entry((name, copy.key.to_owned())).or_insert_with(|| Key::new(group));
            let was_large = key.is_large();
            key.fold(group, event.clone());
            self.outcome.turned += u64::from(key.is_large() && !was_large);
            let forgotten = key.newest.expect("an event was folded") + group.retention;
            self.key_timers.insert((forgotten, name, copy.key.to_owned()));
        }
    }

    /// The customer of the last login at this entity by the time of the event: of the last 30 days, and not where more than two
    /// customers logged in within a day before the event.
    fn linked(&self, copy: &EventCopy<'_>) -> Option<String> {
        const DAY: i64 = 86_400_000;
        let time = copy.time.0;
        let logins = self.logins.get(&(copy.kind, copy.key.to_owned()))?;
        let before: Vec<_> = logins.iter().filter(|(at, _)| *at <= time).collect();
        let (at, customer) = before.last()?;
        let of_a_day: BTreeSet<&str> =
            before.iter().filter(|(at, _)| *at > time - DAY).map(|(_, customer)| customer.as_str()).collect();
        (time - at <= 30 * DAY && of_a_day.len() <= 2).then(|| customer.clone())
    }

    /// As whom a customer logged in last by the time of the event, within 30 days.
    fn visitor_of(&self, copy: &EventCopy<'_>) -> Option<String> {
        let time = copy.time.0;
        let visits = self.visits.get(copy.key).filter(|_| copy.kind == EntityKind::Customer)?;
        let (at, visitor) = visits.iter().rfind(|(at, _)| *at <= time)?;
        (time - at <= 30 * 86_400_000).then(|| visitor.clone())
    }

    /// From a card to its customer, from a number to its customer (once), from a customer to its visitor.
    fn at_till(&mut self, copy: &EventCopy<'_>, purchase: &ClickCopy<'_>) {
        if copy.kind == EntityKind::Visitor {
            if self.linked(copy).as_deref() == purchase.customer {
                self.join_from_till(copy, purchase);
            }
            return;
        }
        if let Some(visitor) = self.visitor_of(copy) {
            let purchase = ClickCopy { customer: Some(copy.key), ..purchase.clone() };
            self.forward_to(EntityKind::Visitor, copy, &visitor, Body::AtTill(purchase));
            return;
        }
        let Some(customer) = self.linked(copy).filter(|_| purchase.customer.is_none()) else { return };
        let known = (copy.kind == EntityKind::Customer).then_some(customer.as_str());
        let purchase = ClickCopy { customer: known, ..purchase.clone() };
        self.forward(copy, &customer, Body::AtTill(purchase));
    }

    /// Into the latest session that is open and near enough, which stays as long as it is.
    fn join_from_till(&mut self, copy: &EventCopy<'_>, purchase: &ClickCopy<'_>) {
        let (time, gap) = (copy.time.0, self.settings.gap);
        let Some(visitor) = self.visitors.get_mut(copy.key) else { return };
        let near = visitor.open.iter_mut().filter(|session| session.touches(time, gap));
        let Some(session) = near.max_by_key(|session| session.start) else { return };
        session.clicks.push(kept(copy, purchase));
        session.published = false;
        let ends = session.end + gap;
        self.outcome.at_tills += 1;
        self.visited(copy.key).at_till = true;
        self.shown.insert(copy.key.to_owned(), (time, session::order(copy.event_id)));
        self.session_timers.insert((ends, copy.key.to_owned()));
        if self.sources.watermark.is_some_and(|watermark| watermark >= ends) {
            let visitor = self.visitors.get_mut(copy.key).expect("it is there");
            let is_it = |session: &Session| session.end + gap == ends;
            let place = visitor.open.iter().position(is_it).expect("it is open");
            let mut session = visitor.open.remove(place);
            self.publish_session(copy.key, &mut session, false);
            self.visitors.get_mut(copy.key).expect("it is there").open.push(session);
        }
    }

    fn forward(&mut self, copy: &EventCopy<'_>, customer: &str, body: Body<'_>) {
        self.forward_to(EntityKind::Customer, copy, customer, body);
    }

    fn forward_to(&mut self, kind: EntityKind, copy: &EventCopy<'_>, customer: &str, body: Body<'_>) {
        let hash = tillstream::event::key_hash(kind, customer);
        let copy = EventCopy { kind, hash, key: customer, body, ..*copy };
        self.outcome.forwarded += 1;
        self.publish("tillstream.linked", customer, plain_forwarded(&copy));
    }

    fn payment(&mut self, copy: &EventCopy<'_>, payment: &PaymentCopy<'_>, event: &Event, forwarded: bool) {
        if forwarded && let Some(customer) = self.linked(copy) {
            // of a loyalty number that is somebody's
            self.forward(copy, &customer, Body::Payment(payment.clone()));
            return;
        }
        let mut expected = payment.expected;
        if let Some(values) = &payment.for_linked
            && let Some(customer) = self.linked(copy)
        {
            expected = expected.with(EntityKind::Customer);
            let body = PaymentCopy {
                expected,
                values: values.clone(),
                for_linked: None,
                context: None,
                ..payment.clone()
            };
            self.forward(copy, &customer, Body::Payment(body));
        }
        let mut answers: Vec<Answer> = Vec::new();
        for (source, filter) in
            SOURCES.into_iter().flat_map(|source| (0..FILTERS).map(move |filter| (source, filter)))
        {
            let name = (copy.kind, source, filter);
            let Some(group) = self.groups.get(&name) else { continue };
            let id = (name, copy.key.to_owned());
            if source == EventSource::Attempted && group.counts(&copy.body, &event.values) {
                let key = self.keys.entry(id).or_insert_with(|| Key::new(group));
                let was_large = key.is_large();
                answers.extend(key.fold_and_answer(group, event, self.settings));
                self.outcome.turned += u64::from(key.is_large() && !was_large);
                let forgotten = key.newest.expect("an event was folded") + group.retention;
                self.key_timers.insert((forgotten, name, copy.key.to_owned()));
            } else {
                let nothing = Key::new(group);
                let key = self.keys.get(&id).unwrap_or(&nothing);
                answers.extend(key.answer(group, event.time, self.settings));
            }
        }
        let decision = DecisionId::of_payment(payment.payment_id);
        let features: BTreeMap<&str, f64> =
            answers.iter().map(|answer| (answer.name.as_str(), answer.value)).collect();
        let estimates: BTreeMap<&str, f64> =
            answers.iter().filter_map(|answer| Some((answer.name.as_str(), answer.error?))).collect();
        let value = json!({
            "entity": copy.kind,
            "entity_id": copy.key,
            "decision_id": decision.to_string(),
            "payment_id": payment.payment_id,
            "event_time_ms": copy.time,
            "features": features,
            "estimates": estimates,
        });
        self.outcome.parts.push(PlainPart {
            partition: self.partition,
            offset: self.offset,
            decision,
            event: xxh3_64(copy.event_id.as_bytes()),
            kind: copy.kind,
            entity: copy.key.to_owned(),
            expected,
            forwarded,
            time: copy.time.0,
            features: features.iter().map(|(name, value)| (feature_id(name), *value)).collect(),
            context: json!(payment.context),
        });
        self.publish("features.fraud", copy.key, value);
    }

    fn publish(&mut self, topic: &str, key: &str, value: Value) {
        self.outcome.public.push(Public::new(topic, key, value));
    }

    fn ledger(&mut self, kind: EntityKind) -> &mut Ledger {
        self.outcome.ledger.entry(kind).or_default()
    }

    fn visited(&mut self, visitor: &str) -> &mut Visited {
        self.outcome.visitors.entry(visitor.to_owned()).or_default()
    }
}

/// The newest 16, and of one not more than 4.
fn keep_login(logins: &mut BTreeSet<(i64, String)>, time: i64, who: &str) {
    logins.insert((time, who.to_owned()));
    let of_one: Vec<_> = logins.iter().filter(|(_, known)| known == who).cloned().collect();
    if of_one.len() > 4 {
        logins.remove(&of_one[0]);
    } else if logins.len() > LOGINS_MAX {
        logins.pop_first();
    }
}

fn kept(copy: &EventCopy<'_>, click: &ClickCopy<'_>) -> Click {
    let own = |text: Option<&str>| text.map(str::to_owned);
    Click {
        time: copy.time.0,
        order: session::order(copy.event_id),
        name: click.name,
        customer: own(click.customer),
        device: own(click.device),
        page: own(click.page),
        campaign: click.campaign.map(|(source, medium, name)| [own(source), own(medium), own(name)]),
        currency: own(click.currency),
        value: click.value_minor,
        purchase: click.order.map(|order| (order, !matches!(copy.body, Body::Click(_)))),
        at_till: matches!(copy.body, Body::AtTill(_)),
        told_at: None,
        items: click
            .items
            .iter()
            .map(|item| Item {
                item: item.item.to_owned(),
                category: own(item.category),
                price: item.price_minor,
                quantity: item.quantity,
            })
            .collect(),
    }
}
