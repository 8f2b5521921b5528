//! The contract of changes that the shop announces, version 1: a sale, a relaunch, a new price list. What moves while one lasts is
//! to be expected.

use super::bounds::{Bounds, ID};
use super::reject::{Reject, RejectReason, event_name, read_object};
use super::text::{Text, as_str};
use super::whole;
use crate::event::alert::{Announcement, CHANGE_SECONDS_MAX};
use crate::time::{EventTime, Period};
use serde::Deserialize;
use std::time::Duration;

/// The announcement of a change, or its withdrawal, as it stands in the payload. See `schemas/change_announced/v1/schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct AnnouncedChange<'a> {
    #[serde(borrow)]
    pub event_id: Text<'a>,
    #[serde(borrow)]
    pub event_name: Text<'a>,
    #[serde(deserialize_with = "whole::required")]
    pub event_time_ms: i64,
    #[serde(borrow)]
    pub change_id: Text<'a>,
    #[serde(borrow)]
    pub by: Text<'a>,
    #[serde(borrow)]
    pub what: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub from_ms: Option<i64>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub for_seconds: Option<i64>,
}

const ANNOUNCED: &str = "change_announced";

impl<'a> AnnouncedChange<'a> {
    /// Reads an announcement, none if the contract does not know its name, and counts the fields that it does not know.
    ///
    /// # Errors
    ///
    /// [`Reject`]: the payload is not what the contract says.
    pub fn decode(payload: &'a [u8], bytes_max: usize) -> Result<(Option<AnnouncedChange<'a>>, u32), Reject> {
        if ![ANNOUNCED, "change_withdrawn"].contains(&event_name(payload, bytes_max)?.as_str()) {
            return Ok((None, 0));
        }
        let (change, unknown_fields) = read_object::<AnnouncedChange<'a>>(payload, bytes_max)?;
        change.check()?;
        Ok((Some(change), unknown_fields))
    }

    fn check(&self) -> Result<(), Reject> {
        let mut bounds = Bounds::default();
        bounds.text("event_id", &self.event_id, ID);
        bounds.time("event_time_ms", self.event_time_ms);
        bounds.text("change_id", &self.change_id, ID);
        bounds.text("by", &self.by, ID);
        bounds.optional_text("what", &self.what, (1, 256));
        if let Some(from) = self.from_ms {
            bounds.time("from_ms", from);
        }
        bounds.verdict()?;
        if self.for_seconds.is_some_and(|seconds| !(1..=CHANGE_SECONDS_MAX).contains(&seconds)) {
            let message = format!("is not from 1 to {CHANGE_SECONDS_MAX}");
            return Err(Reject::at(RejectReason::OutOfRange, "for_seconds", message));
        }
        if self.event_name.as_str() == ANNOUNCED {
            let required = [
                ("what", self.what.is_some()),
                ("from_ms", self.from_ms.is_some()),
                ("for_seconds", self.for_seconds.is_some()),
            ];
            if let Some((missing, _)) = required.into_iter().find(|(_, is_there)| !is_there) {
                return Err(Reject::missing(missing));
            }
        }
        Ok(())
    }

    /// What is said, as of that time.
    #[must_use]
    pub fn announcement(&self, time: EventTime) -> Announcement {
        let is_announced = self.event_name.as_str() == ANNOUNCED;
        let period = self.from_ms.zip(self.for_seconds).filter(|_| is_announced).map(|(from, seconds)| {
            let from = EventTime(from);
            Period { from, until: from.plus(Duration::from_secs(seconds.unsigned_abs())) }
        });
        Announcement {
            change_id: self.change_id.as_str().into(),
            what: as_str(&self.what).unwrap_or_default().into(),
            by: self.by.as_str().into(),
            time,
            period,
        }
    }
}
