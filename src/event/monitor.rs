//! What travels to the monitor log: what is watched of a model, placed by the name of its score.

use super::alert::{AlertCommand, Announcement, Change};
use super::business::MinutePart;
use super::copy::LabelOutcome;
use super::entity::EntityKind;
use super::public::Action;
use crate::drift::profile::WindowProfile;
use crate::drift::volume::Volume;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use xxhash_rust::xxh3::xxh3_64;

/// The name of the score of payments that decides: rules, and a model that counts.
pub const FRAUD: &str = "fraud";

/// The field of payments that holds the probability of fraud that the model which learns here gives, whether or not it counts.
pub const MODEL_SCORE: &str = "model_score";

/// The field that holds the score that counts.
pub const SCORE: &str = "score";

/// The field that holds the amount, in minor units.
pub const AMOUNT: &str = "amount_minor";

/// The field that holds what was decided by it.
pub const DECISION: &str = "decision";

/// As whose everything about the shop is placed: how many records come, and its figures.
pub const SHOP: &str = "shop";

/// An event of the monitor log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MonitorEvent<'a> {
    /// It became known what a scored payment was, or what came of what a model elsewhere predicted.
    Labelled(#[serde(borrow)] LabelledDecision<'a>),
    /// What values looked like in a part of a window.
    Profile(WindowProfile),
    /// Somebody says something of an episode.
    Command(AlertCommand),
    /// How many records came in a part of five minutes.
    Volume(Volume),
    /// What the shop did in a part of a minute.
    Minute(MinutePart),
    /// A payment that rules reacted to, and that was not simply approved.
    Suspect(Suspect),
    /// Something has changed upstream.
    Changed(Change),
    /// Somebody says something of a change that the shop makes.
    Announced(Announcement),
}

/// A payment that rules reacted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// When it was attempted.
    pub time: EventTime,
    /// Currency and amount in its minor units, if its own part came.
    pub amount: Option<(Box<str>, i64)>,
    /// The rules that reacted.
    pub rules: Vec<Box<str>>,
    /// The entities that it concerns.
    pub entities: Vec<SuspectEntity>,
}

/// An entity of such a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectEntity {
    /// What sort it is.
    pub kind: EntityKind,
    /// Its id.
    pub id: Box<str>,
    /// Whether one of the rules read features of it.
    pub is_read: bool,
}

/// A score, and what its payment turned out to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelledDecision<'a> {
    /// Whose score it is: [`FRAUD`], or the name of a model that runs elsewhere.
    #[serde(borrow)]
    pub of: Cow<'a, str>,
    /// When the payment was attempted, or the prediction made.
    pub time: EventTime,
    /// From 0 to 1, made before the label was known.
    pub score: f64,
    /// What was done; nothing is known of that where a model elsewhere was asked.
    pub decision: Option<Action>,
    /// What the model read and said, if there is one.
    pub model: Option<ModelInput>,
    /// In minor units of `currency`, if the payment's own part came.
    pub amount_minor: Option<i64>,
    /// ISO 4217.
    #[serde(borrow)]
    pub currency: Option<Cow<'a, str>>,
    /// What it was.
    pub outcome: LabelOutcome,
    /// When that became known: before, nothing may be learned from it.
    pub known_at: EventTime,
    /// A hash of who is behind the payment (device, else visitor, customer or card): what one person does in a row is one pattern.
    pub behind: Option<u64>,
}

impl LabelledDecision<'_> {
    /// The same, of its own.
    #[must_use]
    pub fn into_owned(self) -> LabelledDecision<'static> {
        let currency = self.currency.map(|currency| Cow::Owned(currency.into_owned()));
        LabelledDecision { of: Cow::Owned(self.of.into_owned()), currency, ..self }
    }
}

/// What a model read of a payment, and what it said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInput {
    /// Which model: a hash of its declaration.
    pub model: u64,
    /// The tokens of the payment.
    pub tokens: Vec<u32>,
    /// The probability of fraud that it gave, if it had weights by then.
    pub score: Option<f64>,
}

/// The hash that places everything about one score (`fraud`) in one partition of the monitor log.
#[must_use]
pub fn monitor_hash(score: &str) -> u64 {
    xxh3_64(score.as_bytes())
}
