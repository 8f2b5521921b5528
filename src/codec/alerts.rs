//! The contract of what is said of alerts, version 1: somebody takes one on, mutes it, or says that it was to be expected.

use super::bounds::{Bounds, ID};
use super::reject::{Reject, RejectReason, event_name, read_object};
use super::text::{Text, as_str};
use super::whole;
use crate::event::alert::{AlertAction, AlertCommand};
use crate::time::EventTime;
use serde::Deserialize;

/// What is said of an alert as it stands in the payload. See `schemas/alert_control/v1/schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct AlertControl<'a> {
    #[serde(borrow)]
    pub event_id: Text<'a>,
    #[serde(borrow)]
    pub event_name: Text<'a>,
    #[serde(deserialize_with = "whole::required")]
    pub event_time_ms: i64,
    #[serde(borrow)]
    pub fingerprint: Text<'a>,
    #[serde(borrow)]
    pub subject: Text<'a>,
    #[serde(borrow)]
    pub by: Text<'a>,
    #[serde(borrow)]
    pub note: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub until_ms: Option<i64>,
}

/// The names of the contract.
const NAMES: [&str; 4] = ["alert_acknowledged", "alert_muted", "alert_unmuted", "alert_expected"];

impl<'a> AlertControl<'a> {
    /// Reads what is said of an alert, none if the contract does not know its name, and counts the fields that it does not know.
    ///
    /// # Errors
    ///
    /// [`Reject`]: the payload is not what the contract says.
    pub fn decode(payload: &'a [u8], bytes_max: usize) -> Result<(Option<AlertControl<'a>>, u32), Reject> {
        if !NAMES.contains(&event_name(payload, bytes_max)?.as_str()) {
            return Ok((None, 0));
        }
        let (control, unknown_fields) = read_object::<AlertControl<'a>>(payload, bytes_max)?;
        control.check()?;
        Ok((Some(control), unknown_fields))
    }

    fn check(&self) -> Result<(), Reject> {
        let mut bounds = Bounds::default();
        bounds.text("event_id", &self.event_id, ID);
        bounds.time("event_time_ms", self.event_time_ms);
        bounds.text("fingerprint", &self.fingerprint, (16, 16));
        bounds.text("subject", &self.subject, (1, 256));
        bounds.text("by", &self.by, ID);
        bounds.optional_text("note", &self.note, (0, 1_024));
        if let Some(until) = self.until_ms {
            bounds.time("until_ms", until);
        }
        bounds.verdict()?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if !self.fingerprint.as_str().bytes().all(is_digit) {
            let message = "is not 16 hexadecimal digits in small letters";
            return Err(Reject::at(RejectReason::OutOfRange, "fingerprint", message));
        }
        if self.event_name.as_str() == "alert_muted" && self.until_ms.is_none() {
            return Err(Reject::missing("until_ms"));
        }
        Ok(())
    }

    /// What is to be done, at that time.
    #[must_use]
    pub fn command(&self, time: EventTime) -> AlertCommand {
        let action = match (self.event_name.as_str(), self.until_ms) {
            ("alert_muted", Some(until)) => AlertAction::Mute { until: EventTime(until) },
            ("alert_unmuted", _) => AlertAction::Unmute,
            ("alert_expected", _) => AlertAction::Expect,
            _ => AlertAction::Acknowledge,
        };
        AlertCommand {
            subject: self.subject.as_str().to_owned(),
            fingerprint: self.fingerprint.as_str().to_owned(),
            action,
            by: self.by.as_str().to_owned(),
            note: as_str(&self.note).map(str::to_owned),
            time,
        }
    }
}
