//! The prediction contract, version 1: what a model that runs elsewhere said.

use super::bounds::{Bounds, ID, MINOR_MAX};
use super::reject::{Reject, RejectReason, event_name, read_object};
use super::text::{Text, as_str};
use super::whole;
use crate::event::DecisionId;
use crate::event::prediction::OWN_NAMES;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::collections::BTreeMap;

/// Features of one prediction at most.
pub const FEATURES_MAX: usize = 500;
/// Segments of one prediction at most.
pub const SEGMENTS_MAX: usize = 8;
/// Names of features and dimensions have 1 to 128 characters.
const NAME: (usize, usize) = (1, 128);
/// Names of models have 1 to 64 characters.
const MODEL: (usize, usize) = (1, 64);

/// A prediction as it stands in the payload. See `schemas/prediction/v1/schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct Prediction<'a> {
    #[serde(borrow)]
    pub event_id: Text<'a>,
    #[serde(borrow)]
    pub event_name: Text<'a>,
    #[serde(deserialize_with = "whole::required")]
    pub event_time_ms: i64,
    #[serde(borrow)]
    pub model: Text<'a>,
    #[serde(borrow)]
    pub version: Option<Text<'a>>,
    #[serde(borrow)]
    pub prediction_id: Text<'a>,
    pub score: f64,
    #[serde(borrow)]
    pub decision: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub amount_minor: Option<i64>,
    #[serde(borrow)]
    pub currency: Option<Text<'a>>,
    #[serde(borrow)]
    pub features: Option<BTreeMap<Text<'a>, FeatureValue<'a>>>,
    #[serde(borrow)]
    pub segments: Option<BTreeMap<Text<'a>, Option<Text<'a>>>>,
}

/// The value of a feature: a number, a text, true or false, or null where it has none.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureValue<'a> {
    /// A number.
    Number(f64),
    /// A text.
    Name(Text<'a>),
    /// True or false.
    Truth(bool),
    /// There is none.
    Missing,
}

impl<'a> Prediction<'a> {
    /// Reads a prediction, none if the contract does not know its name, and counts the fields that it does not know.
    ///
    /// # Errors
    ///
    /// [`Reject`]: the payload is not what the contract says.
    pub fn decode(payload: &'a [u8], bytes_max: usize) -> Result<(Option<Prediction<'a>>, u32), Reject> {
        if event_name(payload, bytes_max)?.as_str() != "prediction" {
            return Ok((None, 0));
        }
        let (prediction, unknown) = read_object::<Prediction<'a>>(payload, bytes_max)?;
        prediction.check()?;
        Ok((Some(prediction), unknown))
    }

    /// The name under which its label finds it.
    #[must_use]
    pub fn decision(&self) -> DecisionId {
        DecisionId::of_prediction(self.model.as_str(), self.prediction_id.as_str())
    }

    fn check(&self) -> Result<(), Reject> {
        check_model(self.model.as_str())?;
        let mut bounds = Bounds::default();
        bounds.text("event_id", &self.event_id, ID);
        bounds.time("event_time_ms", self.event_time_ms);
        bounds.optional_text("version", &self.version, MODEL);
        bounds.text("prediction_id", &self.prediction_id, ID);
        bounds.share("score", self.score);
        bounds.optional_text("decision", &self.decision, MODEL);
        bounds.optional_number("amount_minor", self.amount_minor, (-MINOR_MAX, MINOR_MAX));
        bounds.code("currency", &self.currency, 3);
        let features = self.features.iter().flatten();
        bounds.count("features", features.clone().count(), FEATURES_MAX);
        for (name, value) in features {
            bounds.text("features", name, NAME);
            if let FeatureValue::Name(text) = value {
                bounds.text(&format!("features.{}", name.as_str()), text, (0, NAME.1));
            }
        }
        let segments = self.segments.iter().flatten();
        bounds.count("segments", segments.clone().count(), SEGMENTS_MAX);
        for (dimension, value) in segments {
            bounds.text("segments", dimension, NAME);
            bounds.optional_str(&format!("segments.{}", dimension.as_str()), as_str(value), NAME);
        }
        bounds.verdict()
    }
}

/// Checks the name of a model that runs elsewhere: a letter or digit first, then these, `_`, `.` and `-`; and none of tillstream's own.
///
/// # Errors
///
/// [`Reject`] at `model`.
pub fn check_model(name: &str) -> Result<(), Reject> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let refuse = |message: &str| Err(Reject::at(RejectReason::OutOfRange, "model", message));
    if name.len() > MODEL.1
        || !name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        || !name.bytes().all(is_plain)
    {
        return refuse("must be 1 to 64 letters, digits, `_`, `.` and `-`, a letter or digit first");
    }
    if OWN_NAMES.contains(&name) {
        return refuse("is a name of tillstream's own");
    }
    Ok(())
}

impl<'de: 'a, 'a> Deserialize<'de> for FeatureValue<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = FeatureValue<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, a text, true, false or null")
            }

            fn visit_unit<E>(self) -> Result<FeatureValue<'de>, E> {
                Ok(FeatureValue::Missing)
            }

            fn visit_bool<E>(self, truth: bool) -> Result<FeatureValue<'de>, E> {
                Ok(FeatureValue::Truth(truth))
            }

            fn visit_i64<E>(self, number: i64) -> Result<FeatureValue<'de>, E> {
                Ok(FeatureValue::Number(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<FeatureValue<'de>, E> {
                Ok(FeatureValue::Number(number as f64))
            }

            fn visit_f64<E>(self, number: f64) -> Result<FeatureValue<'de>, E> {
                Ok(FeatureValue::Number(number))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<FeatureValue<'de>, E> {
                Ok(FeatureValue::Name(Text(text.into())))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<FeatureValue<'de>, E> {
                Ok(FeatureValue::Name(Text(text.to_owned().into())))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}
