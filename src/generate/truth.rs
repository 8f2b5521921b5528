//! What was planted: the patterns a detector should find, and how many records of each oddity there
//! are.

use super::RawTopic;
use super::change::{ChangeKind, ChangedSegment};
use super::oddity::{Fault, Oddity};
use crate::time::EventTime;
use serde::Serialize;

/// What there is to say of the records produced so far: the accounting, and every planted pattern.
/// One line of JSON each.
///
/// Identifiers are raw, as in the raw topics; nobody behind them exists.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Truth {
    /// How many records there are, and how many of them are odd.
    Accounting(Accounting),
    /// Stolen cards are tried out with small amounts, from one device and ip.
    CardTesting {
        /// Names the pattern among those of this stream.
        id: String,
        /// Event time of its first record.
        start_ms: EventTime,
        /// Event time of its newest record.
        end_ms: EventTime,
        /// The visitor in its payments.
        visitor_id: String,
        /// The device.
        device_id: String,
        /// The ip address.
        ip: String,
        /// The card of each attempt; every attempt has its own.
        cards: Vec<String>,
        /// The payment of each attempt. No other payment of the stream belongs to the pattern.
        payment_ids: Vec<String>,
        /// Its records, attempts and results.
        records: u64,
    },
    /// A machine reads the catalogue, item after item, faster than people do.
    Bot {
        /// Names the pattern among those of this stream.
        id: String,
        /// Event time of its first record.
        start_ms: EventTime,
        /// Event time of its newest record.
        end_ms: EventTime,
        /// The visitor whose clicks are the bot's.
        visitor_id: String,
        /// The device.
        device_id: String,
        /// The ip address.
        ip: String,
        /// Its records, all of them clicks.
        records: u64,
    },
    /// Payments that are fraud without a pattern, where there are any.
    OrdinaryFraud {
        /// The share of payments that was asked for.
        share: f64,
        /// Those that have come.
        payment_ids: Vec<String>,
    },
    /// Traffic changes; the change names its kind. It enters when the stream has come to its beginning.
    #[serde(untagged)]
    Change(PlantedChange),
}

/// A change that was planted: drift, or an honest one that is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlantedChange {
    /// What changes.
    pub kind: ChangeKind,
    /// Event time from which on it is so.
    pub at_ms: EventTime,
    /// Event time until which it is; none if it is till the end.
    pub until_ms: Option<EventTime>,
    /// How strong it is; what that means, the kind says.
    pub strength: f64,
    /// The part of the traffic, if it is not all.
    pub segment: Option<ChangedSegment>,
    /// The topic whose records change.
    pub stream: &'static str,
    /// What changes in them.
    pub fields: Vec<&'static str>,
    /// What the field becomes, where it becomes another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Event time from which on the shop knew of it, where it was announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced_ms: Option<EventTime>,
    /// Whether it is drift that is to be found.
    pub is_drift: bool,
}

impl Truth {
    /// Takes one more record of the pattern into account; an attempt with its card and payment.
    pub(super) fn count(&mut self, event_time: EventTime, attempt: Option<(String, String)>) {
        let (Truth::CardTesting { start_ms, end_ms, records, .. }
        | Truth::Bot { start_ms, end_ms, records, .. }) = self
        else {
            return;
        };
        *start_ms = event_time.min(*start_ms);
        *end_ms = event_time.max(*end_ms);
        *records += 1;
        if let (Truth::CardTesting { cards, payment_ids, .. }, Some((card, payment_id))) = (self, attempt) {
            cards.push(card);
            payment_ids.push(payment_id);
        }
    }
}

/// How many records were produced, and how many of them are odd in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Accounting {
    /// All records.
    pub records: u64,
    /// Records of the topic `clickstream`.
    pub clicks: u64,
    /// Records of the topic `payments`.
    pub payments: u64,
    /// Records of the topic `labels`.
    pub labels: u64,
    /// Records of the topic `orders`.
    pub orders: u64,
    /// Records of the topic `pos`.
    pub pos: u64,
    /// Records of the topic `accounts`.
    pub accounts: u64,
    /// Records of the topic `catalogue`.
    pub catalogue: u64,
    /// Records of the topic `predictions`.
    #[serde(skip_serializing_if = "is_none")]
    pub predictions: u64,
    /// Changes that were announced, on the topic `alerts.control`.
    #[serde(skip_serializing_if = "is_none")]
    pub announcements: u64,
    /// Second arrivals of a record.
    pub duplicates: u64,
    /// Records that arrive 1 to 60 s after they happened.
    pub out_of_order: u64,
    /// Records that arrive 1 to 3 hours after they happened.
    pub late: u64,
    /// Clicks whose time is days ahead.
    pub future_timestamps: u64,
    /// Records with an unknown event name.
    pub unknown_names: u64,
    /// Records with an unknown field.
    pub unknown_fields: u64,
    /// Records that break the contract.
    pub broken: BrokenCounts,
    /// Records of planted card testers.
    pub card_testing: u64,
    /// Records of planted bots.
    pub bot: u64,
}

/// Broken records by the reason that the dead-letter topic gives (`tillstream-reason`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BrokenCounts {
    /// No payload.
    pub empty: u64,
    /// Truncated JSON.
    pub not_json: u64,
    /// A number for a text, or a text for a number.
    pub wrong_type: u64,
    /// A required field is absent.
    pub missing_field: u64,
}

impl BrokenCounts {
    /// All of them.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.empty + self.not_json + self.wrong_type + self.missing_field
    }
}

impl Accounting {
    /// Counts one record.
    pub(super) fn count(&mut self, topic: RawTopic, oddity: Oddity) {
        self.records += 1;
        match topic {
            RawTopic::Clickstream => self.clicks += 1,
            RawTopic::Payments => self.payments += 1,
            RawTopic::Labels => self.labels += 1,
            RawTopic::Orders => self.orders += 1,
            RawTopic::Pos => self.pos += 1,
            RawTopic::Accounts => self.accounts += 1,
            RawTopic::Catalogue => self.catalogue += 1,
            RawTopic::Predictions => self.predictions += 1,
            RawTopic::Announcements => self.announcements += 1,
        }
        match oddity {
            Oddity::Nothing => {}
            Oddity::OutOfOrder => self.out_of_order += 1,
            Oddity::Late => self.late += 1,
            Oddity::Duplicate => self.duplicates += 1,
            Oddity::Broken(Fault::Empty) => self.broken.empty += 1,
            Oddity::Broken(Fault::NotJson) => self.broken.not_json += 1,
            Oddity::Broken(Fault::WrongType) => self.broken.wrong_type += 1,
            Oddity::Broken(Fault::MissingField) => self.broken.missing_field += 1,
            Oddity::UnknownName => self.unknown_names += 1,
            Oddity::UnknownField => self.unknown_fields += 1,
            Oddity::Future => self.future_timestamps += 1,
        }
    }
}

/// Without a foreign model nothing is said of predictions, and without a change that is announced nothing of that.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_none(count: &u64) -> bool {
    *count == 0
}
