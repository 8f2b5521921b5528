//! What a model that runs elsewhere said of something, as it travels to whoever watches that model.

use super::part::DecisionId;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// Names that no model which runs elsewhere may have: what is watched goes by name, and these are tillstream's own.
pub const OWN_NAMES: [&str; 6] = ["fraud", "shop", "clicks", "orders", "baskets", "payments"];

/// A prediction of a model that runs elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction<'a> {
    /// Model and id in one: a label that knows both finds it.
    pub decision: DecisionId,
    /// The model.
    pub model: &'a str,
    /// The version of it, if it says so.
    pub version: Option<&'a str>,
    /// The producer's id of the prediction, one model's own.
    pub prediction_id: &'a str,
    /// When it was made.
    pub time: EventTime,
    /// How probable the positive outcome is, from 0 to 1.
    pub score: f64,
    /// What was done, in the words of whoever asked.
    pub action: Option<&'a str>,
    /// What it is worth, in minor units of `currency`.
    pub amount_minor: Option<i64>,
    /// ISO 4217.
    pub currency: Option<&'a str>,
    /// What the model read, in the order of the names; what has no value is left out.
    #[serde(borrow)]
    pub features: Vec<(&'a str, Told<'a>)>,
    /// The parts of the traffic that it is of, in the order of the dimensions.
    #[serde(borrow)]
    pub segments: Vec<(&'a str, &'a str)>,
}

/// The value of a feature of a model that runs elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Told<'a> {
    /// A finite number.
    Number(f64),
    /// A name; `true` and `false` are names.
    Name(&'a str),
}
