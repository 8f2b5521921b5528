//! The payment contracts, version 1: attempts and results.

use super::bounds::{Bounds, ID, MINOR_MAX};
use super::reject::{Reject, RejectReason, event_name, read_object};
use super::text::{AnyJson, Text};
use super::whole;
use crate::event::ResultStatus;
use serde::Deserialize;

/// A payment event as it stands in the payload: the fields of both contracts. See
/// `schemas/payment_attempted/v1` and `schemas/payment_result/v1`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contracts, described in their schemas")]
pub struct PaymentFields<'a> {
    #[serde(borrow)]
    pub event_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub event_name: Text<'a>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub event_time_ms: Option<i64>,
    #[serde(borrow)]
    pub payment_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub card_token: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub amount_minor: Option<i64>,
    #[serde(borrow)]
    pub currency: Option<Text<'a>>,
    #[serde(borrow)]
    pub status: Option<AnyJson<'a>>,
    #[serde(borrow)]
    pub reason_code: Option<AnyJson<'a>>,
    #[serde(borrow)]
    pub visitor_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub customer_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub device_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub ip: Option<Text<'a>>,
    #[serde(borrow)]
    pub store_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub terminal_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub channel: Option<AnyJson<'a>>,
    #[serde(borrow)]
    pub card_country: Option<Text<'a>>,
    #[serde(borrow)]
    pub ip_country: Option<Text<'a>>,
    #[serde(borrow)]
    pub billing_country: Option<Text<'a>>,
    #[serde(borrow)]
    pub shipping_country: Option<Text<'a>>,
}

/// What both kinds of payment event have for certain, and the rest.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the required fields of the contracts")]
pub struct Payment<'a> {
    pub event_id: Text<'a>,
    pub time_ms: i64,
    pub payment_id: Text<'a>,
    pub card_token: Text<'a>,
    pub kind: PaymentKind,
    pub fields: PaymentFields<'a>,
}

/// Which contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentKind {
    /// `payment_attempted`; the amount is there for certain.
    Attempted {
        /// In minor units of the currency, which is there as well.
        amount_minor: i64,
    },
    /// `payment_result`.
    Result(ResultStatus),
}

impl<'a> Payment<'a> {
    /// Reads a payment event, none if the contracts do not know its name, and counts the fields that they do not know.
    ///
    /// # Errors
    ///
    /// [`Reject`]: the payload is not what its contract says.
    pub fn decode(payload: &'a [u8], bytes_max: usize) -> Result<(Option<Payment<'a>>, u32), Reject> {
        let read = || read_object::<PaymentFields<'a>>(payload, bytes_max);
        let (payment, unknown_fields) = match event_name(payload, bytes_max)?.as_str() {
            "payment_attempted" => read().and_then(|(fields, unknown)| Ok((fields.attempted()?, unknown)))?,
            "payment_result" => read().and_then(|(fields, unknown)| Ok((fields.result()?, unknown)))?,
            _ => return Ok((None, 0)),
        };
        Ok((Some(payment), unknown_fields))
    }
}

impl<'a> PaymentFields<'a> {
    fn attempted(self) -> Result<Payment<'a>, Reject> {
        let amount_minor = self.amount_minor.ok_or_else(|| Reject::missing("amount_minor"))?;
        if self.currency.is_none() {
            return Err(Reject::missing("currency"));
        }
        self.into_payment(PaymentKind::Attempted { amount_minor })
    }

    fn result(self) -> Result<Payment<'a>, Reject> {
        let status = match AnyJson::text("status", &self.status)? {
            None => return Err(Reject::missing("status")),
            Some("approved") => ResultStatus::Approved,
            Some("declined") => ResultStatus::Declined,
            Some("error") => ResultStatus::Error,
            Some("cancelled") => ResultStatus::Cancelled,
            Some(other) => {
                let message =
                    format!("is `{other}`, and approved, declined, error and cancelled are allowed");
                return Err(Reject::at(RejectReason::OutOfRange, "status", message));
            }
        };
        self.into_payment(PaymentKind::Result(status))
    }

    fn into_payment(mut self, kind: PaymentKind) -> Result<Payment<'a>, Reject> {
        let payment = Payment {
            event_id: self.event_id.take().ok_or_else(|| Reject::missing("event_id"))?,
            time_ms: self.event_time_ms.ok_or_else(|| Reject::missing("event_time_ms"))?,
            payment_id: self.payment_id.take().ok_or_else(|| Reject::missing("payment_id"))?,
            card_token: self.card_token.take().ok_or_else(|| Reject::missing("card_token"))?,
            kind,
            fields: self,
        };
        payment.check()?;
        Ok(payment)
    }
}

impl Payment<'_> {
    fn check(&self) -> Result<(), Reject> {
        let fields = &self.fields;
        let mut bounds = Bounds::default();
        bounds.text("event_id", &self.event_id, ID);
        bounds.time("event_time_ms", self.time_ms);
        bounds.text("payment_id", &self.payment_id, ID);
        bounds.text("card_token", &self.card_token, ID);
        bounds.optional_number("amount_minor", fields.amount_minor, (0, MINOR_MAX));
        bounds.code("currency", &fields.currency, 3);
        for (field, id) in [
            ("visitor_id", &fields.visitor_id),
            ("customer_id", &fields.customer_id),
            ("device_id", &fields.device_id),
            ("store_id", &fields.store_id),
            ("terminal_id", &fields.terminal_id),
        ] {
            bounds.optional_text(field, id, ID);
        }
        bounds.optional_text("ip", &fields.ip, (2, 45));
        match self.kind {
            PaymentKind::Attempted { .. } => {
                bounds.optional_str("channel", AnyJson::text("channel", &fields.channel)?, (1, 32));
            }
            PaymentKind::Result(_) => {
                bounds.optional_str(
                    "reason_code",
                    AnyJson::text("reason_code", &fields.reason_code)?,
                    (0, 64),
                );
            }
        }
        bounds.code("card_country", &fields.card_country, 2);
        bounds.code("ip_country", &fields.ip_country, 2);
        bounds.code("billing_country", &fields.billing_country, 2);
        bounds.code("shipping_country", &fields.shipping_country, 2);
        bounds.verdict()
    }
}
