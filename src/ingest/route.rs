//! Whom an event concerns, and the compact copy that each of them gets.
//!
//! Whether a copy goes on, where, and how many parts of a payment are expected depends on the record
//! and the configuration alone.

#![expect(clippy::indexing_slicing, reason = "arrays are as long as the enum that indexes them")]

use crate::codec::accounts::Account;
use crate::codec::alerts::AlertControl;
use crate::codec::catalogue::CatalogueItem;
use crate::codec::changes::AnnouncedChange;
use crate::codec::clickstream::Click;
use crate::codec::labels::Label;
use crate::codec::object::Object;
use crate::codec::orders::{Order, OrderFields};
use crate::codec::payments::{Payment, PaymentKind};
use crate::codec::pos::Transaction;
use crate::codec::predictions::{FeatureValue, Prediction};
use crate::codec::rules::RulesPublished;
use crate::codec::text::{AnyJson, Text, as_str};
use crate::condition::Known;
use crate::event::business::RECOMMENDED_LIST;
use crate::event::prediction::{self, Told as Predicted};
use crate::event::{
    BasketCopy, Body, ClickCopy, ClickName, Copy, EntityKind, EntitySet, FieldId, Forwarded, ItemRef,
    LabelCopy, LabelOutcome, ORDER_ITEMS_MAX, PaymentContext, PaymentCopy, ResultStatus, RulesCopy, Source,
    Value, key_hash,
};
use crate::feature::FeaturePlan;
use crate::ingest::basket::basket;
use crate::ingest::pseudonym::Pseudonyms;
use crate::time::EventTime;
use std::borrow::Cow;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Transactions of tills are told apart from orders, whatever their ids are.
const TILL: u64 = 1;
/// Where all items of the catalogue go, to be counted.
const CATALOGUE_KEY: &str = "catalogue";
/// Where all rules go, so that they keep their order.
const RULES_KEY: &str = "rules";

/// What routing goes by.
#[derive(Debug, Clone, Copy)]
pub struct Router<'r> {
    /// The views, which say what each kind of entity reads.
    pub plan: &'r FeaturePlan,
    /// The keyed hashes.
    pub pseudonyms: &'r Pseudonyms,
}

/// The ids of the entities of one event, by kind; pseudonyms where they are personal.
#[derive(Debug, Default)]
struct Ids<'a> {
    ids: [Option<Cow<'a, str>>; EntityKind::ALL.len()],
}

/// The ids that events may name, as sent.
struct Named<'a> {
    visitor: &'a Option<Text<'a>>,
    device: &'a Option<Text<'a>>,
    store: &'a Option<Text<'a>>,
    terminal: &'a Option<Text<'a>>,
    customer: &'a Option<Text<'a>>,
    ip: &'a Option<Text<'a>>,
}

impl Named<'static> {
    const NOBODY: Named<'static> =
        Named { visitor: &None, device: &None, store: &None, terminal: &None, customer: &None, ip: &None };
}

impl<'a> Ids<'a> {
    fn set(&mut self, kind: EntityKind, id: &'a Option<Text<'a>>) {
        self.ids[kind.index()] = as_str(id).map(Cow::Borrowed);
    }

    fn get(&self, kind: EntityKind) -> Option<&str> {
        self.ids[kind.index()].as_deref()
    }

    fn present(&self) -> EntitySet {
        EntityKind::ALL.into_iter().filter(|kind| self.ids[kind.index()].is_some()).collect()
    }
}

impl Router<'_> {
    /// The copies of a click, handed to `each` in the order of the kinds, then what a login links.
    pub fn click(&self, click: &Click<'_>, time: EventTime, mut each: impl FnMut(&Copy<'_>)) {
        let viewed = self.plan.kinds_with(Source::Click);
        let mut ids = Ids::default();
        ids.ids[EntityKind::Visitor.index()] = Some(Cow::Borrowed(click.visitor_id.as_str()));
        ids.set(EntityKind::Device, &click.device_id);
        let customer = self.pseudonym(EntityKind::Customer, &click.customer_id, time);
        ids.ids[EntityKind::Customer.index()] = customer.map(Cow::Owned);
        if !viewed.is_empty() {
            let ip = self.pseudonym(EntityKind::Ip, &click.ip, time);
            ids.ids[EntityKind::Ip.index()] = ip.map(Cow::Owned);
        }
        let event_id = click.event_id.as_str();
        let value = |field| click_value(click, field);
        let values = self.values(EntityKind::Visitor, Source::Click, &ids, value);
        let visitor = click_copy(click, ids.get(EntityKind::Customer), values);
        each(&copy(EntityKind::Visitor, click.visitor_id.as_str(), event_id, time, Body::Click(visitor)));
        self.for_linked(Source::Click, &ids, (event_id, time), value, &mut each);
        self.for_views(Source::Click, &ids, Some(EntityKind::Visitor), (event_id, time), value, &mut each);
        if matches!(click.event_name.as_str(), "login" | "sign_up") {
            self.logged_in(Source::Click, &ids, (event_id, time), each);
        }
    }

    /// The copies of a payment event, handed to `each` in the order of the kinds.
    pub fn payment(&self, payment: &Payment<'_>, time: EventTime, mut each: impl FnMut(&Copy<'_>)) {
        let ids = self.payment_ids(payment, time);
        let present = ids.present();
        match payment.kind {
            PaymentKind::Attempted { amount_minor } => {
                let own = own_entity(present);
                let expected =
                    present.iter().filter(|kind| *kind == own || self.plan.has_view(*kind)).collect();
                for kind in EntitySet::iter(expected) {
                    let body = PaymentCopy {
                        payment_id: payment.payment_id.as_str(),
                        expected,
                        values: self.values(kind, Source::PaymentAttempted, &ids, |field| {
                            payment_value(payment, field)
                        }),
                        for_linked: (kind == own).then(|| self.values_for_linked(payment, &ids)).flatten(),
                        context: (kind == own).then(|| context(payment, amount_minor)),
                    };
                    each(&ids.copy(kind, payment, time, Body::Payment(body)));
                }
            }
            PaymentKind::Result(_) => {
                let value = |field| payment_value(payment, field);
                let event = (payment.event_id.as_str(), time);
                self.for_linked(Source::PaymentResult, &ids, event, value, &mut each);
                self.for_views(Source::PaymentResult, &ids, None, event, value, each);
            }
        }
    }

    /// The copies of a label, handed to `each`: those of the entities it names that have views on labels, in the order of
    /// the kinds, then that of the payment itself. A label of a prediction is for that alone.
    pub fn label(&self, label: &Label<'_>, time: EventTime, mut each: impl FnMut(&Copy<'_>)) {
        let event_id = label.fields.event_id.as_str();
        if !label.outcome.is_of_prediction() {
            let viewed = self.plan.kinds_with(Source::Label);
            let ids = if viewed.is_empty() { Ids::default() } else { self.label_ids(label, time) };
            let is_fraud = i64::from(label.outcome == LabelOutcome::Fraud);
            let value = |field| (field == FieldId::Fraud).then_some(Told::Number(is_fraud));
            self.for_views(Source::Label, &ids, None, (event_id, time), value, &mut each);
        }
        let source = label.fields.source.as_str();
        let body = LabelCopy { decision: label.decision, outcome: label.outcome, source };
        let key = label.decision.to_string();
        each(&copy(EntityKind::Payment, &key, event_id, time, Body::Label(body)));
    }

    /// The copy of a prediction, for the prediction itself.
    pub fn prediction(&self, said: &Prediction<'_>, time: EventTime, mut each: impl FnMut(&Copy<'_>)) {
        let decision = said.decision();
        let features = said.features.iter().flatten().filter_map(|(name, value)| {
            let value = match value {
                FeatureValue::Number(number) => Predicted::Number(*number),
                FeatureValue::Name(text) => Predicted::Name(text.as_str()),
                FeatureValue::Truth(is_so) => Predicted::Name(if *is_so { "true" } else { "false" }),
                FeatureValue::Missing => return None,
            };
            Some((name.as_str(), value))
        });
        let segments = said.segments.iter().flatten();
        let body = Body::Prediction(Box::new(prediction::Prediction {
            decision,
            model: said.model.as_str(),
            version: as_str(&said.version),
            prediction_id: said.prediction_id.as_str(),
            time,
            score: said.score,
            action: as_str(&said.decision),
            amount_minor: said.amount_minor,
            currency: as_str(&said.currency),
            features: features.collect(),
            segments: segments
                .filter_map(|(dimension, value)| Some((dimension.as_str(), as_str(value)?)))
                .collect(),
        }));
        let key = decision.to_string();
        each(&copy(EntityKind::Payment, &key, said.event_id.as_str(), time, body));
    }

    /// The copies of an order event, handed to `each` in the order of the kinds. An order that was placed is a purchase to its
    /// visitor's session.
    pub fn order(&self, order: &Order<'_>, time: EventTime, mut each: impl FnMut(&Copy<'_>)) {
        let fields = &order.fields;
        let named = Named {
            visitor: &fields.visitor_id,
            store: &fields.store_id,
            customer: &fields.customer_id,
            ..Named::NOBODY
        };
        let ids = self.ids(named, as_str(&fields.card_token), time);
        let pieces = fields.items().map(|item| item.quantity.unwrap_or(1)).sum();
        let value = |field| match field {
            FieldId::AmountMinor => fields.value_minor.map(Told::Number),
            FieldId::ItemCount => Some(Told::Number(pieces)),
            FieldId::Currency => Some(Told::Text(fields.currency.as_str())),
            FieldId::Channel => told(&fields.channel),
            _ => None,
        };
        let event_id = fields.event_id.as_str();
        if let (Source::OrderPlaced, Some(visitor)) = (order.source, as_str(&fields.visitor_id)) {
            let values = self.values(EntityKind::Visitor, order.source, &ids, value);
            let body = Body::Order(order_copy(fields, ids.get(EntityKind::Customer), values));
            each(&copy(EntityKind::Visitor, visitor, event_id, time, body));
        }
        self.for_linked(order.source, &ids, (event_id, time), value, &mut each);
        let has_its_own = (order.source == Source::OrderPlaced).then_some(EntityKind::Visitor);
        self.for_views(order.source, &ids, has_its_own, (event_id, time), value, each);
    }

    /// The copies of a transaction of a till, handed to `each` in the order of the kinds, but for the store's, which comes first. A
    /// till is known by its store and its number there; who shows a loyalty card and no customer's number is the customer of
    /// that card. What is void or was training is for the store's days alone. Who buys gets a copy for the session of the visitor
    /// that this is.
    pub fn basket(&self, transaction: &Transaction<'_>, time: EventTime, mut each: impl FnMut(&Copy<'_>)) {
        let basket = basket(transaction);
        let counts = !basket.is_void && !basket.is_training;
        let store = Some(transaction.store_id.clone());
        let till = format!("{}/{}", transaction.store_id.as_str(), transaction.workstation_id.as_str());
        let till = Some(Text(Cow::Owned(till)));
        let customer = transaction.customer_id.as_ref().or(transaction.loyalty_id.as_ref()).cloned();
        let named = Named { store: &store, terminal: &till, customer: &customer, ..Named::NOBODY };
        let card = transaction.tenders().find_map(|tender| as_str(&tender.card_token));
        let ids = if counts { self.ids(named, card, time) } else { Ids::default() };
        let value = |field| match field {
            FieldId::AmountMinor => Some(Told::Number(basket.sold_minor - basket.returned_minor)),
            FieldId::ReturnedMinor => Some(Told::Number(basket.returned_minor)),
            FieldId::DiscountMinor => Some(Told::Number(basket.discount_minor)),
            FieldId::ItemCount => Some(Told::Number(basket.sold_items.into())),
            FieldId::Currency => Some(Told::Text(basket.currency)),
            _ => None,
        };
        let (key, event_id) = (transaction.store_id.as_str(), transaction.event_id.as_str());
        let values = if counts {
            self.values(EntityKind::Store, Source::PosTransaction, &ids, value)
        } else {
            Vec::new()
        };
        let body = Body::Basket(basket, values);
        each(&copy(EntityKind::Store, key, event_id, time, body));
        let own = Some(EntityKind::Store);
        self.for_views(Source::PosTransaction, &ids, own, (event_id, time), value, &mut each);
        self.link(Source::PosTransaction, EntityKind::Card, &ids, (event_id, time), &mut each);
        if transaction.customer_id.is_none() {
            self.for_linked(Source::PosTransaction, &ids, (event_id, time), value, &mut each);
        }
        let buyer = own_entity(ids.present());
        if let (Some(key), Some(purchase)) = (ids.get(buyer), purchase_at_till(transaction, &basket)) {
            each(&copy(buyer, key, event_id, time, Body::AtTill(purchase)));
        }
    }

    /// The copies of an account's event, handed to `each` in the order of the kinds, then what links: a login its visitor, and
    /// whatever names a card or a loyalty number of the customer these. A failed login links nothing.
    pub fn account(&self, account: &Account<'_>, time: EventTime, mut each: impl FnMut(&Copy<'_>)) {
        let fields = &account.fields;
        let customer = Some(fields.customer_id.clone());
        let named = Named {
            visitor: &fields.visitor_id,
            device: &fields.device_id,
            customer: &customer,
            ip: &fields.ip,
            ..Named::NOBODY
        };
        let mut ids = self.ids(named, as_str(&fields.card_token), time);
        let event = (fields.event_id.as_str(), time);
        let value = |field| if field == FieldId::Channel { told(&fields.channel) } else { None };
        self.for_views(account.source, &ids, None, event, value, &mut each);
        if account.source == Source::LoginFailed {
            return;
        }
        if matches!(account.source, Source::Login | Source::SignUp) {
            self.logged_in(account.source, &ids, event, &mut each);
        }
        self.link(account.source, EntityKind::Card, &ids, event, &mut each);
        if let Some(number) = self.pseudonym(EntityKind::Customer, &fields.loyalty_id, time) {
            let customer = ids.ids[EntityKind::Customer.index()].replace(Cow::Owned(number));
            if let Some(customer) =
                customer.as_deref().filter(|customer| ids.get(EntityKind::Customer) != Some(*customer))
            {
                self.link_to(customer, account.source, EntityKind::Customer, &ids, event, &mut each);
            }
        }
    }

    /// The copy of rules that were published and are good.
    pub fn rules(
        &self,
        published: &RulesPublished<'_>,
        version: u32,
        time: EventTime,
        mut each: impl FnMut(&Copy<'_>),
    ) {
        let body = Body::Rules(RulesCopy { version, text: published.rules.as_str() });
        each(&copy(EntityKind::Control, RULES_KEY, published.event_id.as_str(), time, body));
    }

    /// The copy of what somebody says of an alert.
    pub fn alert(&self, control: &AlertControl<'_>, time: EventTime, mut each: impl FnMut(&Copy<'_>)) {
        let body = Body::Alert(Box::new(control.command(time)));
        let (key, event_id) = (control.fingerprint.as_str(), control.event_id.as_str());
        each(&copy(EntityKind::Control, key, event_id, time, body));
    }

    /// The copy of what somebody says of a change that the shop makes.
    pub fn announced(&self, change: &AnnouncedChange<'_>, time: EventTime, mut each: impl FnMut(&Copy<'_>)) {
        let body = Body::Announced(Box::new(change.announcement(time)));
        let (key, event_id) = (change.change_id.as_str(), change.event_id.as_str());
        each(&copy(EntityKind::Control, key, event_id, time, body));
    }

    /// The copy of an item of the catalogue that has changed.
    pub fn item(&self, item: &CatalogueItem<'_>, time: EventTime, mut each: impl FnMut(&Copy<'_>)) {
        let event_id = format!("{} {}", item.item_id.as_str(), item.event_time_ms);
        each(&copy(EntityKind::Control, CATALOGUE_KEY, &event_id, time, Body::Item));
    }

    /// The copies of what goes on to a customer whom another entity is linked to. A loyalty number that a card is linked to may be
    /// linked to a customer in turn.
    pub fn forwarded(&self, forwarded: &Forwarded<'_>, mut each: impl FnMut(&Copy<'_>)) {
        let copy = &forwarded.copy;
        each(copy);
        if let (EntityKind::Card, Body::Values(source, values)) = (forwarded.from, &copy.body) {
            each(&Copy { body: Body::ForLinked(*source, values.clone()), ..copy.clone() });
        }
    }

    /// A copy for the event's own entity, if it names no customer, or by a loyalty number only, and customers have views on it.
    fn for_linked<'v>(
        &self,
        source: Source,
        ids: &Ids<'_>,
        (event_id, time): (&str, EventTime),
        value: impl Fn(FieldId) -> Option<Told<'v>>,
        mut each: impl FnMut(&Copy<'_>),
    ) {
        let own = own_entity(ids.present());
        let is_of_a_number = source == Source::PosTransaction;
        if !self.plan.kinds_with(source).contains(EntityKind::Customer)
            || (own == EntityKind::Customer && !is_of_a_number)
            || (own == EntityKind::Visitor && ids.get(EntityKind::Customer).is_some())
        {
            return;
        }
        if let Some(key) = ids.get(own) {
            let values = self.values(EntityKind::Customer, source, ids, value);
            each(&copy(own, key, event_id, time, Body::ForLinked(source, values)));
        }
    }

    /// What a linked customer's views read of a payment that names none.
    fn values_for_linked(&self, payment: &Payment<'_>, ids: &Ids<'_>) -> Option<Vec<(FieldId, Value)>> {
        let answers = ids.get(EntityKind::Customer).is_none() && self.plan.has_view(EntityKind::Customer);
        let value = |field| payment_value(payment, field);
        answers.then(|| self.values(EntityKind::Customer, Source::PaymentAttempted, ids, value))
    }

    /// A login links its visitor to its customer, and the other way round.
    fn logged_in(
        &self,
        source: Source,
        ids: &Ids<'_>,
        (event_id, time): (&str, EventTime),
        mut each: impl FnMut(&Copy<'_>),
    ) {
        self.link(source, EntityKind::Visitor, ids, (event_id, time), &mut each);
        if let (Some(customer), Some(visitor)) = (ids.get(EntityKind::Customer), ids.get(EntityKind::Visitor))
        {
            each(&copy(EntityKind::Customer, customer, event_id, time, Body::Visited(source, visitor)));
        }
    }

    /// A copy for the entity of that kind: the customer that the event names has logged in there.
    fn link(
        &self,
        source: Source,
        kind: EntityKind,
        ids: &Ids<'_>,
        event: (&str, EventTime),
        each: impl FnMut(&Copy<'_>),
    ) {
        if let Some(customer) = ids.get(EntityKind::Customer) {
            self.link_to(customer, source, kind, ids, event, each);
        }
    }

    fn link_to(
        &self,
        customer: &str,
        source: Source,
        kind: EntityKind,
        ids: &Ids<'_>,
        (event_id, time): (&str, EventTime),
        mut each: impl FnMut(&Copy<'_>),
    ) {
        if let Some(key) = ids.get(kind).filter(|_| self.plan.has_view(EntityKind::Customer)) {
            each(&copy(kind, key, event_id, time, Body::Link(source, customer)));
        }
    }

    /// A copy for each entity that has views on `source`, but for one that `has_its_own`; `value` says what the event's own fields hold.
    fn for_views<'v>(
        &self,
        source: Source,
        ids: &Ids<'_>,
        has_its_own: Option<EntityKind>,
        (event_id, time): (&str, EventTime),
        value: impl Fn(FieldId) -> Option<Told<'v>>,
        mut each: impl FnMut(&Copy<'_>),
    ) {
        let kinds = EntitySet::iter(self.plan.kinds_with(source));
        for kind in kinds.filter(|kind| Some(*kind) != has_its_own) {
            if let Some(key) = ids.get(kind) {
                let values = self.values(kind, source, ids, &value);
                each(&copy(kind, key, event_id, time, Body::Values(source, values)));
            }
        }
    }

    /// What the views of `kind` on `source` read, fields of the event and entities that it names; and which of their filters it
    /// passes.
    fn values<'v>(
        &self,
        kind: EntityKind,
        source: Source,
        ids: &Ids<'_>,
        value: impl Fn(FieldId) -> Option<Told<'v>>,
    ) -> Vec<(FieldId, Value)> {
        let read = |field: FieldId| match entity_field(field) {
            Some(entity) => ids.get(entity).map(Told::Text),
            None => value(field),
        };
        let fields = self.plan.fields(kind, source);
        let values = fields.iter().filter_map(|field| read(*field).map(|told| (*field, told.value())));
        let passed = self.plan.filters(kind, source);
        let passed = passed.map(|filters| filters.passed(|field| read(field).map(Told::known)));
        values.chain(passed.into_iter().flatten()).collect()
    }

    fn pseudonym(&self, kind: EntityKind, id: &Option<Text<'_>>, time: EventTime) -> Option<String> {
        as_str(id).map(|id| self.pseudonyms.of(kind, id, time))
    }

    fn payment_ids<'p>(&self, payment: &'p Payment<'_>, time: EventTime) -> Ids<'p> {
        let fields = &payment.fields;
        let named = Named {
            visitor: &fields.visitor_id,
            device: &fields.device_id,
            store: &fields.store_id,
            terminal: &fields.terminal_id,
            customer: &fields.customer_id,
            ip: &fields.ip,
        };
        self.ids(named, Some(payment.card_token.as_str()), time)
    }

    fn label_ids<'l>(&self, label: &'l Label<'_>, time: EventTime) -> Ids<'l> {
        let fields = &label.fields;
        let named = Named {
            visitor: &fields.visitor_id,
            device: &fields.device_id,
            store: &fields.store_id,
            terminal: &fields.terminal_id,
            customer: &fields.customer_id,
            ip: &fields.ip,
        };
        self.ids(named, as_str(&fields.card_token), time)
    }

    fn ids<'a>(&self, named: Named<'a>, card: Option<&str>, time: EventTime) -> Ids<'a> {
        let mut ids = Ids::default();
        ids.set(EntityKind::Visitor, named.visitor);
        ids.set(EntityKind::Device, named.device);
        ids.set(EntityKind::Store, named.store);
        ids.set(EntityKind::Terminal, named.terminal);
        let personal = [
            (EntityKind::Card, card),
            (EntityKind::Customer, as_str(named.customer)),
            (EntityKind::Ip, as_str(named.ip)),
        ];
        for (kind, id) in personal {
            ids.ids[kind.index()] = id.map(|id| Cow::Owned(self.pseudonyms.of(kind, id, time)));
        }
        ids
    }
}

impl Ids<'_> {
    fn copy<'c>(
        &'c self,
        kind: EntityKind,
        payment: &'c Payment<'_>,
        time: EventTime,
        body: Body<'c>,
    ) -> Copy<'c> {
        let key = self.get(kind).expect("a copy goes to an entity that is there");
        copy(kind, key, payment.event_id.as_str(), time, body)
    }
}

/// What a field of an event holds.
#[derive(Debug, Clone, Copy)]
enum Told<'v> {
    Number(i64),
    Text(&'v str),
}

impl<'v> Told<'v> {
    /// As a copy carries it: only sameness of a text matters to a view.
    fn value(self) -> Value {
        match self {
            Told::Number(number) => Value::Number(number),
            Told::Text(text) => Value::Hash(xxh3_64(text.as_bytes())),
        }
    }

    /// As a condition reads it. Above 2^53 a number is rounded.
    fn known(self) -> Known<'v> {
        match self {
            Told::Number(number) => Known::Number(number as f64),
            Told::Text(text) => Known::Text(text),
        }
    }
}

fn told<'t>(text: &'t Option<Text<'_>>) -> Option<Told<'t>> {
    as_str(text).map(Told::Text)
}

fn click_value<'c>(click: &'c Click<'_>, field: FieldId) -> Option<Told<'c>> {
    match field {
        FieldId::ValueMinor => click.value_minor.map(Told::Number),
        FieldId::ItemCount => Some(Told::Number(pieces(click))),
        FieldId::EventName => Some(Told::Text(click.event_name.as_str())),
        FieldId::Page => told(&click.page_location),
        FieldId::SearchTerm => told(&click.search_term),
        FieldId::Currency => told(&click.currency),
        _ => None,
    }
}

fn payment_value<'p>(payment: &'p Payment<'_>, field: FieldId) -> Option<Told<'p>> {
    let fields = &payment.fields;
    match (field, payment.kind) {
        (FieldId::AmountMinor, _) => fields.amount_minor.map(Told::Number),
        (FieldId::Declined, PaymentKind::Result(status)) => {
            Some(Told::Number(i64::from(status == ResultStatus::Declined)))
        }
        (FieldId::Channel, PaymentKind::Attempted { .. }) => {
            AnyJson::text("channel", &fields.channel).ok().flatten().map(Told::Text)
        }
        (FieldId::Currency, _) => told(&fields.currency),
        (FieldId::CardCountry, _) => told(&fields.card_country),
        (FieldId::IpCountry, _) => told(&fields.ip_country),
        (FieldId::BillingCountry, _) => told(&fields.billing_country),
        (FieldId::ShippingCountry, _) => told(&fields.shipping_country),
        _ => None,
    }
}

/// The entity whose copy carries the payment itself: the visitor, else the customer, else the card.
fn own_entity(present: EntitySet) -> EntityKind {
    [EntityKind::Visitor, EntityKind::Customer]
        .into_iter()
        .find(|kind| present.contains(*kind))
        .unwrap_or(EntityKind::Card)
}

fn copy<'a>(kind: EntityKind, key: &'a str, event_id: &'a str, time: EventTime, body: Body<'a>) -> Copy<'a> {
    Copy { kind, hash: key_hash(kind, key), key, event_id, time, producer: None, body }
}

fn click_copy<'a>(
    click: &'a Click<'_>,
    customer: Option<&'a str>,
    values: Vec<(FieldId, Value)>,
) -> ClickCopy<'a> {
    let campaign = click
        .campaign
        .as_ref()
        .map(|Object(campaign)| (as_str(&campaign.source), as_str(&campaign.medium), as_str(&campaign.name)));
    let items = click.items().map(|item| ItemRef {
        item: item.item_id.as_str(),
        category: as_str(&item.item_category),
        price_minor: item.price_minor,
        quantity: item.quantity.and_then(|pieces| u32::try_from(pieces).ok()).unwrap_or(1),
    });
    ClickCopy {
        name: ClickName::from_wire(click.event_name.as_str()),
        customer,
        device: as_str(&click.device_id),
        page: as_str(&click.page_location),
        campaign,
        currency: as_str(&click.currency),
        value_minor: click.value_minor,
        order: as_str(&click.transaction_id).map(order_hash),
        recommended: click.items().any(|item| as_str(&item.item_list_id) == Some(RECOMMENDED_LIST)),
        items: items.collect(),
        values,
    }
}

fn order_copy<'a>(
    order: &'a OrderFields<'_>,
    customer: Option<&'a str>,
    values: Vec<(FieldId, Value)>,
) -> ClickCopy<'a> {
    let items = order.items().map(|item| ItemRef {
        item: item.item_id.as_str(),
        category: as_str(&item.category),
        price_minor: item.price_minor,
        quantity: item.quantity.and_then(|pieces| u32::try_from(pieces).ok()).unwrap_or(1),
    });
    ClickCopy {
        customer,
        currency: Some(order.currency.as_str()),
        value_minor: order.value_minor,
        order: Some(order_hash(order.order_id.as_str())),
        items: items.collect(),
        values,
        ..ClickCopy::named(ClickName::Purchase)
    }
}

/// What a session is told of a transaction of a till: a purchase of what was sold, or, where nothing was, a refund of what was
/// taken back. None if neither.
fn purchase_at_till<'a>(transaction: &'a Transaction<'_>, basket: &BasketCopy<'a>) -> Option<ClickCopy<'a>> {
    let sells = basket.sold_items > 0;
    if !sells && basket.returned_items == 0 {
        return None;
    }
    let lines = transaction
        .lines()
        .filter(|line| line.is_void != Some(true) && (line.is_return != Some(true)) == sells);
    let items = lines.take(ORDER_ITEMS_MAX).map(|line| ItemRef {
        item: line.item_id.as_str(),
        category: as_str(&line.category),
        price_minor: None,
        quantity: line.quantity.and_then(|pieces| u32::try_from(pieces).ok()).unwrap_or(1),
    });
    let value = basket.sold_minor - basket.returned_minor;
    Some(ClickCopy {
        currency: Some(basket.currency),
        value_minor: Some(if sells { value } else { -value }),
        order: sells.then(|| xxh3_64_with_seed(transaction.event_id.as_str().as_bytes(), TILL)),
        items: items.collect(),
        ..ClickCopy::named(if sells { ClickName::Purchase } else { ClickName::Refund })
    })
}

fn order_hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

fn context<'a>(payment: &'a Payment<'_>, amount_minor: i64) -> PaymentContext<'a> {
    let fields = &payment.fields;
    PaymentContext {
        payment_id: payment.payment_id.as_str(),
        amount_minor,
        currency: as_str(&fields.currency).unwrap_or_default(),
        channel: AnyJson::text("channel", &fields.channel).unwrap_or_default(),
        card_country: as_str(&fields.card_country),
        ip_country: as_str(&fields.ip_country),
        billing_country: as_str(&fields.billing_country),
        shipping_country: as_str(&fields.shipping_country),
    }
}

fn entity_field(field: FieldId) -> Option<EntityKind> {
    match field {
        FieldId::Visitor => Some(EntityKind::Visitor),
        FieldId::Customer => Some(EntityKind::Customer),
        FieldId::Card => Some(EntityKind::Card),
        FieldId::Device => Some(EntityKind::Device),
        FieldId::Ip => Some(EntityKind::Ip),
        FieldId::Store => Some(EntityKind::Store),
        FieldId::Terminal => Some(EntityKind::Terminal),
        _ => None,
    }
}

fn pieces(click: &Click<'_>) -> i64 {
    click.items().map(|item| item.quantity.unwrap_or(1)).sum()
}
