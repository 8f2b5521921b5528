//! What happens in the shop, as tillstream understands it after decoding, and what it publishes.
//!
//! [`entity`] names whom an event concerns, [`copy`] is the compact form in which an event travels
//! to each of them through the entity log, [`part`] is what comes to a payment's decision
//! through the decision log, [`alert`] is what those on call hear and say, [`business`] what the shop did in a minute, [`calendar`] counts days, [`prediction`] is what a model that runs elsewhere said, [`monitor`] is what travels on to whoever watches the scores, [`public`] are the records other teams read. None of them knows JSON dialects,
//! Kafka or the clock.

pub mod alert;
pub mod business;
pub mod calendar;
pub mod copy;
pub mod entity;
pub mod monitor;
pub mod part;
pub mod prediction;
pub mod public;
pub mod source;

pub use copy::{
    BasketCopy, Body, ClickCopy, ClickName, Copy, FieldId, Forwarded, ItemRef, LabelCopy, LabelOutcome,
    ORDER_ITEMS_MAX, PaymentCopy, ResultStatus, RulesCopy, Value,
};
pub use entity::{EntityKind, EntitySet, key_hash};
pub use part::{
    Deadline, DecisionEvent, DecisionId, Label, Part, PaymentContext, PublishedRules, RawOrigin, feature_id,
};
pub use source::Source;
