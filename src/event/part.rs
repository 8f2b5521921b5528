//! What comes to a decision through the decision log: what entities answer for its payment, and later what became known of it.

use super::alert::{AlertCommand, Announcement, Change};
use super::business::MinutePart;
use super::copy::LabelOutcome;
use super::entity::{EntityKind, EntitySet};
use super::prediction::Prediction;
use crate::drift::volume::Volume;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128, xxh3_128_with_seed};

/// Predictions are told apart from payments, whatever their ids are.
const PREDICTION: u64 = 1;

/// The name of a decision: a function of the payment's id alone, so that a label that knows either
/// finds it. XXH3, 128 bits, of the payment id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionId(pub u128);

impl DecisionId {
    /// The decision about `payment_id`.
    #[must_use]
    pub fn of_payment(payment_id: &str) -> DecisionId {
        DecisionId(xxh3_128(payment_id.as_bytes()))
    }

    /// The prediction that `model`, which runs elsewhere, gave this id. XXH3, 128 bits, of model, a zero byte and id under a seed of
    /// its own.
    #[must_use]
    pub fn of_prediction(model: &str, prediction_id: &str) -> DecisionId {
        DecisionId(xxh3_128_with_seed(format!("{model}\0{prediction_id}").as_bytes(), PREDICTION))
    }

    /// The decision whose id is spelled so: 32 hexadecimal digits in small letters.
    #[must_use]
    pub fn from_text(text: &str) -> Option<DecisionId> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let fits = text.len() == 32 && text.bytes().all(is_digit);
        fits.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(DecisionId)
    }

    /// The hash that places it in a partition of the decision log.
    #[must_use]
    pub fn hash(self) -> u64 {
        u64::try_from(self.0 >> 64).expect("the upper half of 128 bits")
    }
}

impl std::fmt::Display for DecisionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The stable number of a feature in the decision log: XXH3 of its flat name
/// (`card_velocity__count_1h`), lower 32 bits. Configuration with two equal numbers is refused.
#[must_use]
pub fn feature_id(flat_name: &str) -> u32 {
    u32::try_from(xxh3_64(flat_name.as_bytes()) & 0xffff_ffff).expect("32 bits")
}

/// An event of the decision log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DecisionEvent<'a> {
    /// An entity answers for a payment.
    #[serde(borrow)]
    Part(Part<'a>),
    /// Something became known about a payment, or a prediction.
    #[serde(borrow)]
    Label(Label<'a>),
    /// A model has learned: a part of a version of its weights.
    Weights(WeightsSlice),
    /// Other rules.
    #[serde(borrow)]
    Rules(PublishedRules<'a>),
    /// What somebody says of an alert, on its way to whoever keeps it.
    Alert(Box<AlertCommand>),
    /// How many records came in a part of five minutes, on its way to whoever watches.
    Volume(Volume),
    /// Something has changed upstream, on its way to whoever may name it as a cause.
    Changed(Change),
    /// What the shop did in a part of a minute, on its way to whoever puts the parts together.
    Minute(MinutePart),
    /// What a model that runs elsewhere said.
    #[serde(borrow)]
    Prediction(Box<Prediction<'a>>),
    /// What somebody says of a change that the shop makes, on its way to everybody who watches.
    Announced(Box<Announcement>),
}

/// Rules that were published. They are in force from here on if their version is above that of those that are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedRules<'a> {
    /// The version that they give themselves.
    pub version: u32,
    /// Their file.
    pub text: &'a str,
    /// Where it stands in the raw topic.
    pub origin: RawOrigin,
}

/// A slice of a version of a model's weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightsSlice {
    /// Of which model: a hash of its declaration.
    pub model: u64,
    /// Counted from 1.
    pub version: u32,
    /// The version whose weights these change; none if these are all there are.
    pub since: Option<u32>,
    /// Which of its slices, from 0.
    pub slice: u32,
    /// How many it has.
    pub slices: u32,
    /// What every payment has.
    pub bias: f64,
    /// From how many labels it was learned.
    pub labels: u64,
    /// Of these, frauds.
    pub frauds: u64,
    /// Token and weight.
    pub weights: Vec<(u32, f64)>,
}

/// What became known about a payment, or about what a model that runs elsewhere predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label<'a> {
    /// The decision about that payment, or the prediction.
    pub decision: DecisionId,
    /// The producer's id of the label.
    pub event_id: &'a str,
    /// When it became known.
    pub known_at: EventTime,
    /// What it was.
    pub outcome: LabelOutcome,
    /// Who says so.
    pub source: &'a str,
    /// Where it stands in the raw topic.
    pub origin: RawOrigin,
}

/// Where a record stands in its raw topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in Kafka")]
pub struct RawOrigin {
    pub partition: u32,
    pub offset: i64,
}

/// One entity's part of the feature vector of a payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part<'a> {
    /// The decision it belongs to.
    pub decision: DecisionId,
    /// The hash of the payment event's id: a gather takes the parts of one event only.
    pub event: u64,
    /// The kind of entity that answers.
    pub kind: EntityKind,
    /// Its id.
    pub entity: &'a str,
    /// The kinds that owe a part, this one included; the same in every part of one event, but that of its own entity, and of the
    /// customer whom that is linked to, which name this customer as well.
    pub expected: EntitySet,
    /// Whether it is of a customer whom the payment does not name. Its way is longer, and how much longer nobody can say: it never
    /// opens a gather, for the one that it belongs to may be long forgotten.
    pub is_forwarded: bool,
    /// When the payment was attempted.
    pub time: EventTime,
    /// Feature number and value; a feature without a value (a mean of nothing) is left out.
    pub features: Vec<(u32, f64)>,
    /// What rules may ask of the payment itself; in its own entity's part only.
    #[serde(borrow)]
    pub context: Option<PaymentContext<'a>>,
}

/// What rules and the score record know of the payment itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of the payment contract")]
pub struct PaymentContext<'a> {
    pub payment_id: &'a str,
    pub amount_minor: i64,
    pub currency: &'a str,
    pub channel: Option<&'a str>,
    pub card_country: Option<&'a str>,
    pub ip_country: Option<&'a str>,
    pub billing_country: Option<&'a str>,
    pub shipping_country: Option<&'a str>,
}

/// "This decision has waited long enough": appended to a partition of the decision log by its
/// owner. It has no position in any chain and does nothing to a gather that has closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// The decision that waits.
    pub decision: DecisionId,
    /// The offset in the decision log at which its gather opened.
    pub opened_at: i64,
}
