//! What a raw record tells beside the copies for views: whom it links, whom else it may count for, and what was bought at a till
//! (docs/linking.md).

use super::raw::Judgement;
use super::views::{EventSource, View};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tillstream::event::EntityKind;

/// A record that keeps its contract.
#[derive(Debug)]
pub struct Told<'a> {
    pub topic: &'a str,
    pub judgement: &'a Judgement,
    pub object: &'a Map<String, Value>,
    /// Whom it names, customer, card and ip as pseudonyms.
    pub entities: &'a BTreeMap<EntityKind, String>,
    /// The pseudonym of the loyalty number that it names.
    pub loyalty: Option<String>,
    pub views: &'a [View],
}

impl Told<'_> {
    /// One copy each, by the kind of whom it goes to.
    pub fn copies(&self) -> Vec<EntityKind> {
        match (self.topic, self.judgement) {
            ("clickstream", Judgement::Click) => self.of_a_click(),
            ("payments", Judgement::Result) => self.for_linked(EventSource::Result),
            ("orders", Judgement::Shop(Some(source))) => self.for_linked(*source),
            ("pos", Judgement::Shop(Some(_))) => self.of_a_basket(),
            ("accounts", Judgement::Shop(_)) => self.of_an_account(),
            _ => Vec::new(),
        }
    }

    /// Whether it says that its visitor is a customer.
    pub fn is_login(&self) -> bool {
        let name = self.object.get("event_name").and_then(Value::as_str);
        let may_log_in = matches!(self.topic, "clickstream" | "accounts");
        may_log_in
            && matches!(name, Some("login" | "sign_up"))
            && self.names(EntityKind::Visitor)
            && self.names(EntityKind::Customer)
    }

    fn names(&self, kind: EntityKind) -> bool {
        self.entities.contains_key(&kind)
    }

    fn customers_read(&self, source: EventSource) -> bool {
        self.views.iter().any(|view| view.entity == EntityKind::Customer && view.source == source)
    }

    /// Its own entity, which may be linked.
    fn own(&self) -> Option<EntityKind> {
        [EntityKind::Visitor, EntityKind::Customer, EntityKind::Card]
            .into_iter()
            .find(|kind| self.names(*kind))
    }

    /// An event that names no customer goes to its own entity for the customer that this is.
    fn for_linked(&self, source: EventSource) -> Vec<EntityKind> {
        let own = self.own().filter(|_| self.customers_read(source) && !self.names(EntityKind::Customer));
        own.into_iter().collect()
    }

    fn of_a_click(&self) -> Vec<EntityKind> {
        let mut copies = self.for_linked(EventSource::Click);
        if self.is_login() {
            copies.extend([EntityKind::Visitor, EntityKind::Customer]);
        }
        copies
    }

    fn of_an_account(&self) -> Vec<EntityKind> {
        let mut copies = Vec::new();
        if self.object.get("event_name").and_then(Value::as_str) == Some("login_failed") {
            return copies;
        }
        if self.is_login() {
            copies.extend([EntityKind::Visitor, EntityKind::Customer]);
        }
        copies.extend(self.names(EntityKind::Card).then_some(EntityKind::Card));
        // a number that is its customer's own says nothing
        let is_another = self
            .loyalty
            .as_ref()
            .is_some_and(|number| self.entities.get(&EntityKind::Customer) != Some(number));
        copies.extend(is_another.then_some(EntityKind::Customer));
        copies
    }

    fn of_a_basket(&self) -> Vec<EntityKind> {
        let mut copies = Vec::new();
        let names_its_customer = self.object.get("customer_id").is_some_and(Value::is_string);
        let Some(own) = self.own() else { return copies };
        if self.names(EntityKind::Card) && self.names(EntityKind::Customer) {
            copies.push(EntityKind::Card);
        }
        if !names_its_customer && self.customers_read(EventSource::Basket) {
            copies.push(own);
        }
        let lines = self.object["lines"].as_array().expect("judged");
        if lines.iter().any(|line| line["is_void"] != true) {
            copies.push(own);
        }
        copies
    }
}
