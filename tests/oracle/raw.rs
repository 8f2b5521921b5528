//! Raw records judged by their contract, and what follows from them without any log: every payment
//! attempt, and the final sessions of every visitor if no click were late.

use super::Settings;
use super::links::Told;
use super::session::{self, Click, Item};
use super::views::{EventSource, SOURCES, View};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use tillstream::event::{Body, ClickName, EntityKind, EntitySet, Forwarded};
use tillstream::time::EventTime;

/// A record of a raw topic.
#[derive(Debug, Clone)]
pub struct RawRecord {
    pub topic: String,
    pub partition: u32,
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// What becomes of a raw record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// An event of `clickstream`.
    Click,
    /// `payment_attempted`
    Attempted,
    /// `payment_result`
    Result,
    /// `label`
    Label,
    /// An event of `orders`, `pos` or `accounts`, by the source of the views that read it; none if no default view does.
    Shop(Option<EventSource>),
    /// An event of `orders`, `pos` or `accounts` with a name that no contract knows: routed to nobody.
    UnknownShop,
    /// An event of `labels` with a name that no contract knows: routed to nobody.
    UnknownLabel,
    /// An event of `payments` with a name that no contract knows: routed to nobody.
    UnknownPayment,
    /// Dead-lettered, with one of these reasons: a record may have several faults, and the documents
    /// do not say which is named.
    Refused(BTreeSet<&'static str>),
}

/// A raw record and what becomes of it.
#[derive(Debug, Clone)]
pub struct Judged {
    pub topic: String,
    pub partition: u32,
    pub offset: i64,
    pub judgement: Judgement,
    /// The event's time after clamping; none for what is refused or unknown.
    pub time: Option<EventTime>,
    pub clamped: bool,
    /// A name that no contract knows.
    pub unknown_name: bool,
}

/// A payment attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub topic: String,
    pub partition: u32,
    pub offset: i64,
    pub event_id: String,
    pub payment_id: String,
    /// After clamping.
    pub time: EventTime,
    pub amount_minor: i64,
    pub currency: String,
    /// Every entity it names, customer, card and ip as pseudonyms.
    pub entities: BTreeMap<EntityKind, String>,
    /// The kinds that owe a part.
    pub expected: EntitySet,
    /// The kind whose part carries the payment's context.
    pub own: EntityKind,
    /// The record itself.
    pub record: Map<String, Value>,
}

/// What follows from the raw records.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Every record, in the order given.
    pub judged: Vec<Judged>,
    /// Every payment attempt, duplicates included.
    pub attempts: Vec<Attempt>,
    /// By visitor, the final sessions in order of time: records of `sessions` without `revision` and
    /// `supersedes`.
    pub sessions: BTreeMap<String, Vec<Value>>,
    /// Visitors of whom some id came again in a way that is not clear-cut, or whose sessions purchases at tills may join.
    pub unclear: BTreeSet<String>,
    /// Copies to be routed, by entity kind.
    pub copies: BTreeMap<EntityKind, u64>,
}

/// Judges `records` and computes what follows. `pseudonym` is asked for customers, cards and ips,
/// with the event's time after clamping.
pub fn outcome(
    records: &[RawRecord],
    settings: &Settings,
    views: &[View],
    pseudonym: impl Fn(EntityKind, &str, EventTime) -> String,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut heard: BTreeMap<String, Vec<Heard>> = BTreeMap::new();
    for record in records {
        if record.topic == "tillstream.linked" {
            // what the engine has sent on itself: whether it should have is for the entity log to say
            let bytes = record.value.as_deref().unwrap_or_default();
            let forwarded: Forwarded<'_> = postcard::from_bytes(bytes).expect("a copy");
            // whom a card leads to may be a loyalty number, which is asked for its own customer
            let asks_again =
                forwarded.from == EntityKind::Card && matches!(forwarded.copy.body, Body::Values(..));
            *outcome.copies.entry(forwarded.copy.kind).or_default() += 1 + u64::from(asks_again);
            continue;
        }
        let (judgement, object) = judge(record, settings);
        let sent = match judgement {
            Judgement::Click | Judgement::Attempted | Judgement::Result | Judgement::Shop(_) => {
                whole(&object, "event_time_ms")
            }
            Judgement::Label => whole(&object, "known_at_ms"),
            _ => None,
        };
        let bound = record.timestamp_ms.map_or(i64::MAX, |now| now.saturating_add(settings.future_bound));
        let time = sent.map(|sent| sent.min(bound));
        let unknown_name = match judgement {
            Judgement::Click => click_name(&object) == ClickName::Other,
            ref other => {
                matches!(other, Judgement::UnknownPayment | Judgement::UnknownLabel | Judgement::UnknownShop)
            }
        };
        outcome.judged.push(Judged {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            judgement: judgement.clone(),
            time: time.map(EventTime),
            clamped: time != sent,
            unknown_name,
        });
        let Some(time) = time else { continue };
        let event = Event { object: &object, time, pseudonym: &pseudonym };
        let entities = if record.topic == "pos" { event.entities_of_a_basket() } else { event.entities() };
        let routed = match judgement {
            Judgement::Shop(None) if record.topic == "pos" => EntitySet::default().with(EntityKind::Store),
            // that an item changes is counted; that it left is not
            Judgement::Shop(None) if record.topic == "catalogue" && !object.is_empty() => {
                EntitySet::default().with(EntityKind::Control)
            }
            Judgement::Shop(None) => EntitySet::default(),
            // its store books every transaction
            Judgement::Shop(Some(EventSource::Basket)) => {
                kinds(views, &entities, &[EventSource::Basket]).with(EntityKind::Store)
            }
            // to the session of the visitor who placed it, whoever has views on it
            Judgement::Shop(Some(EventSource::OrderPlaced)) => {
                let visitor = entities.keys().copied().filter(|kind| *kind == EntityKind::Visitor);
                visitor.chain(kinds(views, &entities, &[EventSource::OrderPlaced]).iter()).collect()
            }
            Judgement::Shop(Some(source)) => kinds(views, &entities, &[source]),
            Judgement::Click => kinds(views, &entities, &[EventSource::Click]).with(EntityKind::Visitor),
            Judgement::Result => kinds(views, &entities, &[EventSource::Result]),
            Judgement::Label => kinds(views, &entities, &[EventSource::Label]).with(EntityKind::Payment),
            _ => kinds(views, &entities, &SOURCES).with(own(&entities)),
        };
        for kind in routed.iter() {
            *outcome.copies.entry(kind).or_default() += 1;
        }
        let told = Told {
            topic: &record.topic,
            judgement: &judgement,
            object: &object,
            entities: &entities,
            loyalty: text(&object, "loyalty_id")
                .map(|number| pseudonym(EntityKind::Customer, &number, EventTime(time))),
            views,
        };
        for kind in told.copies() {
            *outcome.copies.entry(kind).or_default() += 1;
        }
        if told.is_login() {
            // what the customer buys at a till joins the sessions of this visitor, if it comes in time
            outcome.unclear.insert(entities[&EntityKind::Visitor].clone());
        }
        if routed.contains(EntityKind::Visitor) {
            let (click, stream) = match judgement {
                Judgement::Click => (Some(event.click(&entities)), "click"),
                Judgement::Shop(_) => (Some(event.order(&entities)), "order"),
                _ => (None, "payment"),
            };
            let event_id = format!("{stream} {}", event.required("event_id"));
            heard.entry(entities[&EntityKind::Visitor].clone()).or_default().push(Heard {
                event_id,
                time,
                click,
            });
        }
        if judgement == Judgement::Attempted {
            outcome.attempts.push(Attempt {
                topic: record.topic.clone(),
                partition: record.partition,
                offset: record.offset,
                event_id: event.required("event_id"),
                payment_id: event.required("payment_id"),
                time: EventTime(time),
                amount_minor: whole(&object, "amount_minor").expect("judged"),
                currency: event.required("currency"),
                expected: routed,
                own: own(&entities),
                entities,
                record: object,
            });
        }
    }
    for (visitor, heard) in heard {
        let (clicks, clear) = first_of_each_id(heard, settings);
        if !clear {
            outcome.unclear.insert(visitor.clone());
        }
        let sessions = final_sessions(&visitor, clicks, settings);
        if !sessions.is_empty() {
            outcome.sessions.insert(visitor, sessions);
        }
    }
    outcome
}

/// What a visitor's task hears: a click, an order as a purchase, or a payment attempt.
struct Heard {
    /// With its stream: each has ids of its own.
    event_id: String,
    time: i64,
    click: Option<Click>,
}

fn first_of_each_id(heard: Vec<Heard>, settings: &Settings) -> (Vec<Click>, bool) {
    let mut first: BTreeMap<String, Heard> = BTreeMap::new();
    let mut clear = true;
    for event in heard {
        match first.get(&event.event_id) {
            None => {
                first.insert(event.event_id.clone(), event);
            }
            Some(known) => {
                let near = (known.time - event.time).abs() <= settings.clear_cut;
                clear &= near && known.click == event.click;
            }
        }
    }
    (first.into_values().filter_map(|event| event.click).collect(), clear)
}

fn final_sessions(visitor: &str, mut clicks: Vec<Click>, settings: &Settings) -> Vec<Value> {
    clicks.sort_by_key(|click| (click.time, click.order));
    clicks
        .chunk_by(|one, next| next.time - one.time <= settings.gap)
        .map(|clicks| {
            let mut session = session::session(visitor, clicks);
            session.insert("is_final".to_owned(), Value::Bool(true));
            Value::Object(session)
        })
        .collect()
}

fn own(entities: &BTreeMap<EntityKind, String>) -> EntityKind {
    [EntityKind::Visitor, EntityKind::Customer, EntityKind::Card]
        .into_iter()
        .find(|kind| entities.contains_key(kind))
        .expect("a payment names its card")
}

fn kinds(views: &[View], entities: &BTreeMap<EntityKind, String>, sources: &[EventSource]) -> EntitySet {
    entities
        .keys()
        .copied()
        .filter(|kind| views.iter().any(|view| view.entity == *kind && sources.contains(&view.source)))
        .collect()
}

/// An event that keeps its contract.
struct Event<'a, P> {
    object: &'a Map<String, Value>,
    time: i64,
    pseudonym: &'a P,
}

impl<P: Fn(EntityKind, &str, EventTime) -> String> Event<'_, P> {
    fn required(&self, field: &str) -> String {
        text(self.object, field).expect("judged")
    }

    fn entities(&self) -> BTreeMap<EntityKind, String> {
        let fields = [
            (EntityKind::Visitor, "visitor_id"),
            (EntityKind::Customer, "customer_id"),
            (EntityKind::Card, "card_token"),
            (EntityKind::Device, "device_id"),
            (EntityKind::Ip, "ip"),
            (EntityKind::Store, "store_id"),
            (EntityKind::Terminal, "terminal_id"),
        ];
        let hidden = [EntityKind::Customer, EntityKind::Card, EntityKind::Ip];
        let id = |kind, id: String| {
            if hidden.contains(&kind) { (self.pseudonym)(kind, &id, EventTime(self.time)) } else { id }
        };
        fields
            .into_iter()
            .filter_map(|(kind, field)| text(self.object, field).map(|found| (kind, id(kind, found))))
            .collect()
    }

    /// Of a till it is known by store and number who it is; the first card that paid, and a loyalty card for want of a customer.
    fn entities_of_a_basket(&self) -> BTreeMap<EntityKind, String> {
        let time = EventTime(self.time);
        let mut found = BTreeMap::new();
        let customer = text(self.object, "customer_id").or_else(|| text(self.object, "loyalty_id"));
        if let Some(id) = customer {
            found.insert(EntityKind::Customer, (self.pseudonym)(EntityKind::Customer, &id, time));
        }
        let tenders = self.object.get("tenders").and_then(Value::as_array);
        let card = tenders.into_iter().flatten().find_map(|tender| text(tender.as_object()?, "card_token"));
        if let Some(id) = card {
            found.insert(EntityKind::Card, (self.pseudonym)(EntityKind::Card, &id, time));
        }
        let (store, till) = (self.required("store_id"), self.required("workstation_id"));
        found.insert(EntityKind::Terminal, store.clone() + "/" + &till);
        found.insert(EntityKind::Store, store);
        found
    }

    fn click(&self, entities: &BTreeMap<EntityKind, String>) -> Click {
        let campaign = self.object.get("campaign").and_then(Value::as_object);
        let items = self.object.get("items").and_then(Value::as_array);
        Click {
            time: self.time,
            order: session::order(&self.required("event_id")),
            name: click_name(self.object),
            customer: entities.get(&EntityKind::Customer).cloned(),
            device: entities.get(&EntityKind::Device).cloned(),
            page: text(self.object, "page_location"),
            campaign: campaign
                .map(|campaign| ["source", "medium", "name"].map(|field| text(campaign, field))),
            currency: text(self.object, "currency"),
            value: whole(self.object, "value_minor"),
            purchase: text(self.object, "transaction_id").map(|id| (session::order(&id), false)),
            at_till: false,
            told_at: None,
            items: items.into_iter().flatten().map(|value| item(value, "item_category")).collect(),
        }
    }

    /// An order that was placed, as its visitor's session sees it.
    fn order(&self, entities: &BTreeMap<EntityKind, String>) -> Click {
        let items = self.object.get("items").and_then(Value::as_array);
        Click {
            time: self.time,
            order: session::order(&self.required("event_id")),
            name: ClickName::Purchase,
            customer: entities.get(&EntityKind::Customer).cloned(),
            device: None,
            page: None,
            campaign: None,
            currency: text(self.object, "currency"),
            value: whole(self.object, "value_minor"),
            purchase: Some((session::order(&self.required("order_id")), true)),
            at_till: false,
            told_at: None,
            items: items.into_iter().flatten().map(|value| item(value, "category")).collect(),
        }
    }
}

fn item(item: &Value, category: &str) -> Item {
    let item = item.as_object().expect("judged");
    Item {
        item: text(item, "item_id").expect("judged"),
        category: text(item, category),
        price: whole(item, "price_minor"),
        quantity: whole(item, "quantity").map_or(1, |pieces| u32::try_from(pieces).expect("judged")),
    }
}

fn click_name(object: &Map<String, Value>) -> ClickName {
    text(object, "event_name").map_or(ClickName::Other, |name| ClickName::from_wire(&name))
}

fn text(object: &Map<String, Value>, field: &str) -> Option<String> {
    object.get(field).and_then(Value::as_str).map(str::to_owned)
}

fn whole(object: &Map<String, Value>, field: &str) -> Option<i64> {
    object.get(field).and_then(as_whole)
}

/// As JSON Schema has it: `2.0` is a whole number.
fn as_whole(value: &Value) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let exact = |float: &f64| float.fract() == 0.0 && float.abs() <= EXACT_MAX;
    value.as_i64().or_else(|| value.as_f64().filter(exact).map(|float| float as i64))
}

/// What becomes of a record, and its object where it is routed.
///
/// # Panics
///
/// If it is no raw topic of events.
#[must_use]
pub fn judge(record: &RawRecord, settings: &Settings) -> (Judgement, Map<String, Value>) {
    let refused =
        |reasons: &[&'static str]| (Judgement::Refused(reasons.iter().copied().collect()), Map::new());
    let bytes = record.value.as_deref().unwrap_or_default();
    if bytes.is_empty() && record.topic == "catalogue" {
        // the item is retired
        return (Judgement::Shop(None), Map::new());
    }
    if bytes.is_empty() {
        return refused(&["empty"]);
    }
    if bytes.len() > settings.payload_bytes_max {
        return refused(&["too_large"]);
    }
    let deep = depth(bytes) > settings.nesting_max;
    let object = match (serde_json::from_slice::<Value>(bytes), deep) {
        (Ok(_), true) => return refused(&["too_deep"]),
        (Err(_), true) => return refused(&["too_deep", "not_json"]),
        (Err(_), false) if bytes.trim_ascii().is_empty() => return refused(&["empty", "not_json"]),
        (Err(_), false) => return refused(&["not_json"]),
        (Ok(Value::Object(object)), false) => object,
        (Ok(_), false) => return refused(&["wrong_type"]),
    };
    let mut faults = BTreeSet::new();
    let judgement = match record.topic.as_str() {
        "clickstream" => {
            fields(&object, CLICK, &mut faults);
            Judgement::Click
        }
        "payments" => match object.get("event_name").and_then(Value::as_str) {
            Some("payment_attempted") => {
                fields(&object, ATTEMPTED, &mut faults);
                Judgement::Attempted
            }
            Some("payment_result") => {
                fields(&object, RESULT, &mut faults);
                Judgement::Result
            }
            _ => {
                fields(&object, &[("event_name", REQUIRED, NAME)], &mut faults);
                Judgement::UnknownPayment
            }
        },
        "labels" => match object.get("event_name").and_then(Value::as_str) {
            Some("label") => {
                fields(&object, LABELLED, &mut faults);
                let named = |field: &str| object.get(field).is_some_and(|value| !value.is_null());
                if !named("payment_id") && !named("decision_id") {
                    faults.insert("missing_field");
                }
                let decision = object.get("decision_id").and_then(Value::as_str);
                let is_digit = |letter: char| letter.is_ascii_digit() || ('a'..='f').contains(&letter);
                if decision.is_some_and(|text| !text.chars().all(is_digit)) {
                    faults.insert("out_of_range");
                }
                Judgement::Label
            }
            _ => {
                fields(&object, &[("event_name", REQUIRED, NAME)], &mut faults);
                Judgement::UnknownLabel
            }
        },
        "orders" => match object.get("event_name").and_then(Value::as_str) {
            Some(
                name @ ("order_placed" | "order_paid" | "order_shipped" | "order_cancelled"
                | "order_refunded" | "order_returned"),
            ) => {
                fields(&object, ORDER, &mut faults);
                Judgement::Shop((name == "order_placed").then_some(EventSource::OrderPlaced))
            }
            _ => unknown_shop(&object, &mut faults),
        },
        "pos" => match object.get("event_name").and_then(Value::as_str) {
            Some("pos_transaction") => {
                fields(&object, BASKET, &mut faults);
                let is = |field: &str| object.get(field) == Some(&Value::Bool(true));
                let counts = !is("is_void") && !is("is_training");
                Judgement::Shop(counts.then_some(EventSource::Basket))
            }
            _ => unknown_shop(&object, &mut faults),
        },
        "accounts" => match object.get("event_name").and_then(Value::as_str) {
            Some(
                name @ ("login" | "login_failed" | "sign_up" | "credential_changed" | "address_changed"),
            ) => {
                fields(&object, ACCOUNT, &mut faults);
                Judgement::Shop(match name {
                    "login_failed" => Some(EventSource::LoginFailed),
                    "credential_changed" => Some(EventSource::CredentialChanged),
                    "address_changed" => Some(EventSource::AddressChanged),
                    _ => None,
                })
            }
            _ => unknown_shop(&object, &mut faults),
        },
        "catalogue" => {
            fields(&object, CATALOGUE_ITEM, &mut faults);
            Judgement::Shop(None)
        }
        other => panic!("no contract for topic {other}"),
    };
    if faults.is_empty() { (judgement, object) } else { (Judgement::Refused(faults), Map::new()) }
}

fn unknown_shop(object: &Map<String, Value>, faults: &mut BTreeSet<&'static str>) -> Judgement {
    fields(object, &[("event_name", REQUIRED, NAME)], faults);
    Judgement::UnknownShop
}

/// How deep arrays and objects are nested, counted over the bytes: the record itself is 1.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

type Field = (&'static str, bool, Shape);
const REQUIRED: bool = true;
const OPTIONAL: bool = false;

/// What a value must be.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// A text of that many characters.
    Text(usize, usize),
    /// A text of that many capital letters.
    Capitals(usize),
    /// A day such as 2026-01-05.
    Day,
    /// A whole number.
    Whole(i64, i64),
    Truth,
    OneOf(&'static [&'static str]),
    Object(&'static [Field]),
    Objects(usize, &'static [Field]),
}

const ID: Shape = Shape::Text(1, 128);
const NAME: Shape = Shape::Text(1, 64);
const TIME: Shape = Shape::Whole(0, 253_402_300_799_999);
const MONEY: Shape = Shape::Whole(0, 1_000_000_000_000);
const IP: Shape = Shape::Text(2, 45);
const LABEL: Shape = Shape::Text(0, 256);
const ADDRESS: Shape = Shape::Text(0, 2_048);
const CURRENCY: Shape = Shape::Capitals(3);
const COUNTRY: Shape = Shape::Capitals(2);

const LABELLED: &[Field] = &[
    ("event_id", REQUIRED, ID),
    ("event_name", REQUIRED, NAME),
    ("known_at_ms", REQUIRED, TIME),
    ("payment_id", OPTIONAL, ID),
    ("decision_id", OPTIONAL, Shape::Text(32, 32)),
    ("outcome", REQUIRED, Shape::OneOf(&["fraud", "legitimate"])),
    ("source", REQUIRED, NAME),
    ("visitor_id", OPTIONAL, ID),
    ("customer_id", OPTIONAL, ID),
    ("card_token", OPTIONAL, ID),
    ("device_id", OPTIONAL, ID),
    ("ip", OPTIONAL, IP),
    ("store_id", OPTIONAL, ID),
    ("terminal_id", OPTIONAL, ID),
];

const ORDER: &[Field] = &[
    ("event_id", REQUIRED, ID),
    ("event_time_ms", REQUIRED, TIME),
    ("order_id", REQUIRED, ID),
    ("currency", REQUIRED, CURRENCY),
    ("visitor_id", OPTIONAL, ID),
    ("customer_id", OPTIONAL, ID),
    ("store_id", OPTIONAL, ID),
    ("payment_id", OPTIONAL, ID),
    ("card_token", OPTIONAL, ID),
    ("channel", OPTIONAL, Shape::Text(1, 32)),
    ("value_minor", OPTIONAL, MONEY),
    ("coupon", OPTIONAL, Shape::Text(0, 128)),
    ("items", OPTIONAL, Shape::Objects(500, ORDER_ITEM)),
];
const ORDER_ITEM: &[Field] = &[
    ("item_id", REQUIRED, ID),
    ("category", OPTIONAL, LABEL),
    ("quantity", OPTIONAL, Shape::Whole(1, 100_000)),
    ("price_minor", OPTIONAL, MONEY),
    ("discount_minor", OPTIONAL, MONEY),
];
const BASKET: &[Field] = &[
    ("event_id", REQUIRED, ID),
    ("event_time_ms", REQUIRED, TIME),
    ("store_id", REQUIRED, ID),
    ("workstation_id", REQUIRED, ID),
    ("sequence_number", REQUIRED, Shape::Whole(0, 999_999_999_999)),
    ("business_day", REQUIRED, Shape::Day),
    ("currency", REQUIRED, CURRENCY),
    ("time_zone", OPTIONAL, Shape::Text(1, 64)),
    ("loyalty_id", OPTIONAL, ID),
    ("customer_id", OPTIONAL, ID),
    ("is_void", OPTIONAL, Shape::Truth),
    ("is_training", OPTIONAL, Shape::Truth),
    ("is_offline", OPTIONAL, Shape::Truth),
    ("lines", REQUIRED, Shape::Objects(2_000, BASKET_LINE)),
    ("tenders", OPTIONAL, Shape::Objects(50, TENDER)),
];
const BASKET_LINE: &[Field] = &[
    ("item_id", REQUIRED, ID),
    ("category", OPTIONAL, LABEL),
    ("quantity", OPTIONAL, Shape::Whole(1, 100_000)),
    ("amount_minor", REQUIRED, MONEY),
    ("discount_minor", OPTIONAL, MONEY),
    ("coupon", OPTIONAL, Shape::Text(0, 128)),
    ("is_return", OPTIONAL, Shape::Truth),
    ("is_void", OPTIONAL, Shape::Truth),
];
const TENDER: &[Field] = &[
    ("kind", REQUIRED, Shape::Text(1, 32)),
    ("amount_minor", REQUIRED, Shape::Whole(-1_000_000_000_000, 1_000_000_000_000)),
    ("card_token", OPTIONAL, ID),
];
const ACCOUNT: &[Field] = &[
    ("event_id", REQUIRED, ID),
    ("event_time_ms", REQUIRED, TIME),
    ("customer_id", REQUIRED, ID),
    ("visitor_id", OPTIONAL, ID),
    ("device_id", OPTIONAL, ID),
    ("ip", OPTIONAL, IP),
    ("channel", OPTIONAL, Shape::Text(1, 32)),
    ("loyalty_id", OPTIONAL, ID),
    ("card_token", OPTIONAL, ID),
];
const CATALOGUE_ITEM: &[Field] = &[
    ("item_id", REQUIRED, ID),
    ("event_time_ms", REQUIRED, TIME),
    ("name", OPTIONAL, Shape::Text(0, 512)),
    ("category", OPTIONAL, LABEL),
    ("brand", OPTIONAL, LABEL),
    ("price_minor", OPTIONAL, MONEY),
    ("currency", OPTIONAL, CURRENCY),
    ("stock", OPTIONAL, Shape::Whole(0, 1_000_000_000)),
    ("is_active", OPTIONAL, Shape::Truth),
];

const CLICK: &[Field] = &[
    ("event_id", REQUIRED, ID),
    ("event_name", REQUIRED, NAME),
    ("event_time_ms", REQUIRED, TIME),
    ("visitor_id", REQUIRED, ID),
    ("customer_id", OPTIONAL, ID),
    ("device_id", OPTIONAL, ID),
    ("ip", OPTIONAL, IP),
    ("session_hint", OPTIONAL, ID),
    ("page_location", OPTIONAL, ADDRESS),
    ("page_referrer", OPTIONAL, ADDRESS),
    ("page_title", OPTIONAL, ADDRESS),
    ("search_term", OPTIONAL, Shape::Text(0, 512)),
    ("campaign", OPTIONAL, Shape::Object(CAMPAIGN)),
    ("consent", OPTIONAL, Shape::Object(CONSENT)),
    ("currency", OPTIONAL, CURRENCY),
    ("value_minor", OPTIONAL, MONEY),
    ("transaction_id", OPTIONAL, ID),
    ("coupon", OPTIONAL, Shape::Text(0, 128)),
    ("items", OPTIONAL, Shape::Objects(200, ITEM)),
];
const CAMPAIGN: &[Field] = &[
    ("source", OPTIONAL, LABEL),
    ("medium", OPTIONAL, LABEL),
    ("name", OPTIONAL, LABEL),
    ("term", OPTIONAL, LABEL),
    ("content", OPTIONAL, LABEL),
];
const CONSENT: &[Field] = &[
    ("analytics", OPTIONAL, Shape::Truth),
    ("ads", OPTIONAL, Shape::Truth),
    ("personalization", OPTIONAL, Shape::Truth),
];
const ITEM: &[Field] = &[
    ("item_id", REQUIRED, ID),
    ("item_name", OPTIONAL, Shape::Text(0, 512)),
    ("item_brand", OPTIONAL, LABEL),
    ("item_category", OPTIONAL, LABEL),
    ("item_category2", OPTIONAL, LABEL),
    ("item_category3", OPTIONAL, LABEL),
    ("item_category4", OPTIONAL, LABEL),
    ("item_category5", OPTIONAL, LABEL),
    ("item_variant", OPTIONAL, LABEL),
    ("item_list_id", OPTIONAL, LABEL),
    ("item_list_name", OPTIONAL, LABEL),
    ("affiliation", OPTIONAL, LABEL),
    ("coupon", OPTIONAL, LABEL),
    ("location_id", OPTIONAL, LABEL),
    ("index", OPTIONAL, Shape::Whole(0, 100_000)),
    ("price_minor", OPTIONAL, MONEY),
    ("discount_minor", OPTIONAL, MONEY),
    ("quantity", OPTIONAL, Shape::Whole(1, 100_000)),
];
const ATTEMPTED: &[Field] = &[
    ("event_id", REQUIRED, ID),
    ("event_time_ms", REQUIRED, TIME),
    ("payment_id", REQUIRED, ID),
    ("card_token", REQUIRED, ID),
    ("amount_minor", REQUIRED, MONEY),
    ("currency", REQUIRED, CURRENCY),
    ("visitor_id", OPTIONAL, ID),
    ("customer_id", OPTIONAL, ID),
    ("device_id", OPTIONAL, ID),
    ("store_id", OPTIONAL, ID),
    ("terminal_id", OPTIONAL, ID),
    ("ip", OPTIONAL, IP),
    ("channel", OPTIONAL, Shape::Text(1, 32)),
    ("card_country", OPTIONAL, COUNTRY),
    ("ip_country", OPTIONAL, COUNTRY),
    ("billing_country", OPTIONAL, COUNTRY),
    ("shipping_country", OPTIONAL, COUNTRY),
];
const RESULT: &[Field] = &[
    ("event_id", REQUIRED, ID),
    ("event_time_ms", REQUIRED, TIME),
    ("payment_id", REQUIRED, ID),
    ("card_token", REQUIRED, ID),
    ("status", REQUIRED, Shape::OneOf(&["approved", "declined", "error", "cancelled"])),
    ("reason_code", OPTIONAL, Shape::Text(0, 64)),
    ("amount_minor", OPTIONAL, MONEY),
    ("currency", OPTIONAL, CURRENCY),
    ("visitor_id", OPTIONAL, ID),
    ("customer_id", OPTIONAL, ID),
    ("device_id", OPTIONAL, ID),
    ("ip", OPTIONAL, IP),
    ("store_id", OPTIONAL, ID),
    ("terminal_id", OPTIONAL, ID),
    ("card_country", OPTIONAL, COUNTRY),
    ("ip_country", OPTIONAL, COUNTRY),
    ("billing_country", OPTIONAL, COUNTRY),
    ("shipping_country", OPTIONAL, COUNTRY),
];

/// Adds every fault of `object` against the contract.
fn fields(object: &Map<String, Value>, contract: &[Field], faults: &mut BTreeSet<&'static str>) {
    for (name, required, shape) in contract {
        match (object.get(*name), *required) {
            (None, REQUIRED) => faults.extend(["missing_field"]),
            // The documents do not say which of the two a null is.
            (Some(Value::Null), REQUIRED) => faults.extend(["missing_field", "wrong_type"]),
            (None | Some(Value::Null), _) => {}
            (Some(value), _) => keeps(value, *shape, faults),
        }
    }
}

fn keeps(value: &Value, shape: Shape, faults: &mut BTreeSet<&'static str>) {
    let fault = match (shape, value) {
        (Shape::Text(min, max), Value::String(text)) => {
            let characters = text.chars().count();
            (!(min..=max).contains(&characters)).then_some("out_of_range")
        }
        (Shape::Capitals(many), Value::String(text)) => {
            let keeps = text.len() == many && text.bytes().all(|byte| byte.is_ascii_uppercase());
            (!keeps).then_some("out_of_range")
        }
        (Shape::Day, Value::String(text)) => {
            let parts: Vec<&str> = text.split('-').collect();
            let number = |part: &str, digits: usize| {
                let fits = part.len() == digits && part.bytes().all(|digit| digit.is_ascii_digit());
                fits.then(|| part.parse::<u32>().expect("digits"))
            };
            let keeps = match parts[..] {
                [year, month, day] => {
                    number(year, 4).is_some()
                        && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
                        && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
                }
                _ => false,
            };
            (!keeps).then_some("out_of_range")
        }
        (Shape::OneOf(names), Value::String(text)) => {
            (!names.contains(&text.as_str())).then_some("out_of_range")
        }
        (Shape::Whole(min, max), Value::Number(number)) => {
            match (as_whole(value), number.is_u64()) {
                (Some(number), _) => (!(min..=max).contains(&number)).then_some("out_of_range"),
                (None, true) => Some("out_of_range"),
                (None, false) => {
                    // A large whole number looks like a fraction from here.
                    if number.as_f64().is_some_and(|number| number.abs() > 9e15) {
                        faults.insert("out_of_range");
                    }
                    Some("wrong_type")
                }
            }
        }
        (Shape::Truth, Value::Bool(_)) => None,
        (Shape::Object(contract), Value::Object(object)) => {
            fields(object, contract, faults);
            None
        }
        (Shape::Objects(max, contract), Value::Array(values)) => {
            for value in values {
                keeps(value, Shape::Object(contract), faults);
            }
            (values.len() > max).then_some("out_of_range")
        }
        _ => Some("wrong_type"),
    };
    faults.extend(fault);
}
