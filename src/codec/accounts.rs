//! The account contract, version 1: what happened to the account of a customer.

use super::bounds::{Bounds, ID};
use super::reject::{Reject, event_name, read_object};
use super::text::Text;
use super::whole;
use crate::event::Source;
use serde::Deserialize;

/// An account event as it stands in the payload. See `schemas/account_event/v1/schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct AccountFields<'a> {
    #[serde(borrow)]
    pub event_id: Text<'a>,
    #[serde(borrow)]
    pub event_name: Text<'a>,
    #[serde(deserialize_with = "whole::required")]
    pub event_time_ms: i64,
    #[serde(borrow)]
    pub customer_id: Text<'a>,
    #[serde(borrow)]
    pub visitor_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub device_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub ip: Option<Text<'a>>,
    #[serde(borrow)]
    pub channel: Option<Text<'a>>,
    #[serde(borrow)]
    pub loyalty_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub card_token: Option<Text<'a>>,
}

/// What happened to an account, and the fields of the contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Account<'a> {
    /// What happened.
    pub source: Source,
    /// The fields of the contract.
    pub fields: AccountFields<'a>,
}

impl<'a> Account<'a> {
    /// Reads an account event, none if the contract does not know its name, and counts the fields that it does not know.
    ///
    /// # Errors
    ///
    /// [`Reject`]: the payload is not what the contract says.
    pub fn decode(payload: &'a [u8], bytes_max: usize) -> Result<(Option<Account<'a>>, u32), Reject> {
        let name = event_name(payload, bytes_max)?;
        let is_ours = |source: &Source| source.stream() == Source::Login.stream();
        let Some(source) = Source::from_name(name.as_str()).filter(is_ours) else {
            return Ok((None, 0));
        };
        let (fields, unknown_fields) = read_object::<AccountFields<'a>>(payload, bytes_max)?;
        fields.check()?;
        Ok((Some(Account { source, fields }), unknown_fields))
    }
}

impl AccountFields<'_> {
    fn check(&self) -> Result<(), Reject> {
        let mut bounds = Bounds::default();
        bounds.text("event_id", &self.event_id, ID);
        bounds.time("event_time_ms", self.event_time_ms);
        bounds.text("customer_id", &self.customer_id, ID);
        bounds.optional_text("visitor_id", &self.visitor_id, ID);
        bounds.optional_text("device_id", &self.device_id, ID);
        bounds.optional_text("ip", &self.ip, (2, 45));
        bounds.optional_text("channel", &self.channel, (1, 32));
        bounds.optional_text("loyalty_id", &self.loyalty_id, ID);
        bounds.optional_text("card_token", &self.card_token, ID);
        bounds.verdict()
    }
}
