//! The contract of rules that are published while the engine runs, version 1.
//!
//! What the file of the rules says is not looked at here: whether it is good depends on the views.

use super::bounds::{Bounds, ID};
use super::reject::{Reject, event_name, read_object};
use super::text::Text;
use super::whole;
use serde::Deserialize;

/// A publication of rules as it stands in the payload. See `schemas/rules_published/v1/schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct RulesPublished<'a> {
    #[serde(borrow)]
    pub event_id: Text<'a>,
    #[serde(borrow)]
    pub event_name: Text<'a>,
    #[serde(deserialize_with = "whole::required")]
    pub event_time_ms: i64,
    #[serde(borrow)]
    pub rules: Text<'a>,
    #[serde(borrow)]
    pub author: Option<Text<'a>>,
}

impl<'a> RulesPublished<'a> {
    /// Reads a publication of rules, none if the contract does not know its name, and counts the fields that it does not know.
    ///
    /// # Errors
    ///
    /// [`Reject`]: the payload is not what the contract says.
    pub fn decode(payload: &'a [u8], bytes_max: usize) -> Result<(Option<RulesPublished<'a>>, u32), Reject> {
        if event_name(payload, bytes_max)?.as_str() != "rules_published" {
            return Ok((None, 0));
        }
        let (published, unknown_fields) = read_object::<RulesPublished<'a>>(payload, bytes_max)?;
        published.check()?;
        Ok((Some(published), unknown_fields))
    }

    fn check(&self) -> Result<(), Reject> {
        let mut bounds = Bounds::default();
        bounds.text("event_id", &self.event_id, ID);
        bounds.time("event_time_ms", self.event_time_ms);
        bounds.text("rules", &self.rules, (1, 262_144));
        bounds.optional_text("author", &self.author, (1, 128));
        bounds.verdict()
    }
}
