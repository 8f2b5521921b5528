//! The label contract, version 1: what became known about a payment, or about what a model that runs elsewhere predicted.

use super::bounds::{Bounds, ID};
use super::predictions::check_model;
use super::reject::{Reject, RejectReason, event_name, read_object};
use super::text::{Text, as_str};
use super::whole;
use crate::event::{DecisionId, LabelOutcome};
use serde::Deserialize;

/// A label as it stands in the payload. See `schemas/label/v1/schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct LabelFields<'a> {
    #[serde(borrow)]
    pub event_id: Text<'a>,
    #[serde(borrow)]
    pub event_name: Text<'a>,
    #[serde(deserialize_with = "whole::required")]
    pub known_at_ms: i64,
    #[serde(borrow)]
    pub payment_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub decision_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub model: Option<Text<'a>>,
    #[serde(borrow)]
    pub prediction_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub outcome: Text<'a>,
    #[serde(borrow)]
    pub source: Text<'a>,
    #[serde(borrow)]
    pub visitor_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub customer_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub card_token: Option<Text<'a>>,
    #[serde(borrow)]
    pub device_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub ip: Option<Text<'a>>,
    #[serde(borrow)]
    pub store_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub terminal_id: Option<Text<'a>>,
}

/// A label, and what its texts mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Label<'a> {
    /// The decision about the payment, where the label names both, the payment counts; or the prediction, if it names one.
    pub decision: DecisionId,
    /// What it was.
    pub outcome: LabelOutcome,
    /// The fields of the contract.
    pub fields: LabelFields<'a>,
}

impl<'a> Label<'a> {
    /// Reads a label, none if the contract does not know its name, and counts the fields that it does not know.
    ///
    /// # Errors
    ///
    /// [`Reject`]: the payload is not what the contract says.
    pub fn decode(payload: &'a [u8], bytes_max: usize) -> Result<(Option<Label<'a>>, u32), Reject> {
        if event_name(payload, bytes_max)?.as_str() != "label" {
            return Ok((None, 0));
        }
        let (fields, unknown) = read_object::<LabelFields<'a>>(payload, bytes_max)?;
        Ok((Some(fields.into_label()?), unknown))
    }
}

impl<'a> LabelFields<'a> {
    fn into_label(self) -> Result<Label<'a>, Reject> {
        self.check()?;
        let (predicted, named) = (self.prediction()?, self.named()?);
        let allowed =
            if predicted.is_some() { "positive and negative are" } else { "fraud and legitimate are" };
        let decision = match predicted {
            Some(prediction) => prediction,
            None => {
                let paid = as_str(&self.payment_id).map(DecisionId::of_payment);
                paid.or(named).ok_or_else(|| Reject::missing("payment_id"))?
            }
        };
        let outcome = LabelOutcome::from_name(self.outcome.as_str());
        let outcome = outcome.filter(|outcome| outcome.is_of_prediction() == predicted.is_some());
        let outcome = outcome.ok_or_else(|| {
            let message = format!("is `{}`, and {allowed} allowed", self.outcome.as_str());
            Reject::at(RejectReason::OutOfRange, "outcome", message)
        })?;
        Ok(Label { decision, outcome, fields: self })
    }

    /// The prediction that it is about, if it names one.
    fn prediction(&self) -> Result<Option<DecisionId>, Reject> {
        let Some(id) = as_str(&self.prediction_id) else { return Ok(None) };
        let model = as_str(&self.model).ok_or_else(|| Reject::missing("model"))?;
        check_model(model)?;
        Ok(Some(DecisionId::of_prediction(model, id)))
    }

    /// The decision that it names by its id.
    fn named(&self) -> Result<Option<DecisionId>, Reject> {
        let Some(id) = as_str(&self.decision_id) else { return Ok(None) };
        let refusal = "is not 32 hexadecimal digits in small letters";
        let named = DecisionId::from_text(id);
        named.ok_or_else(|| Reject::at(RejectReason::OutOfRange, "decision_id", refusal)).map(Some)
    }

    fn check(&self) -> Result<(), Reject> {
        let mut bounds = Bounds::default();
        bounds.text("event_id", &self.event_id, ID);
        bounds.time("known_at_ms", self.known_at_ms);
        bounds.text("source", &self.source, (1, 64));
        for (field, id) in [
            ("payment_id", &self.payment_id),
            ("prediction_id", &self.prediction_id),
            ("visitor_id", &self.visitor_id),
            ("customer_id", &self.customer_id),
            ("card_token", &self.card_token),
            ("device_id", &self.device_id),
            ("store_id", &self.store_id),
            ("terminal_id", &self.terminal_id),
        ] {
            bounds.optional_text(field, id, ID);
        }
        bounds.optional_text("ip", &self.ip, (2, 45));
        bounds.verdict()
    }
}
