//! The oracle: a slow and naive second implementation of what tillstream publishes, written from
//! the documents alone (docs/contracts.md, time.md, features.md, decisions.md and the schemas).
//!
//! It shares the engine's wire types (copies, parts, frames, positions) and nothing that decides
//! anything. [`raw`] judges raw records and computes final sessions from the clicks themselves,
//! [`entity_log`] folds a whole entity log, [`decision_log`] a whole decision log,
//! [`monitor_log`] a whole monitor log; each keeps every
//! event of a key and computes every answer from all of them again. [`compare`] says how what was
//! published differs from what should have been. [`days`] sums raw transactions of tills by business
//! day, [`minutes`] counts what came in each minute. Where the documents leave a choice, [`Reading`]
//! names the one taken.

#![allow(dead_code, reason = "each test that includes the oracle uses a part of it")]

pub mod compare;
pub mod days;
pub mod decision_log;
pub mod entity_log;
pub mod features;
pub mod links;
pub mod minutes;
pub mod model;
pub mod monitor_log;
pub mod raw;
pub mod rules;
pub mod session;
pub mod sources;
pub mod views;

mod tests;

use serde_json::Value;
use std::collections::BTreeMap;

/// An internal log: by partition, the records in order, each with its offset.
pub type Log = BTreeMap<u32, Vec<(i64, Vec<u8>)>>;

/// Where a raw record stands: topic, partition and offset.
pub type Place = (String, u32, i64);

/// A record of a public topic, as far as its content goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Public {
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Value,
}

impl Public {
    /// A record of `topic`.
    pub fn new(topic: &str, key: &str, value: Value) -> Public {
        Public { topic: topic.to_owned(), key: key.to_owned(), value }
    }
}

/// Those of `records` that belong to `topic`.
pub fn of_topic(records: &[Public], topic: &str) -> Vec<Public> {
    records.iter().filter(|record| record.topic == topic).cloned().collect()
}

/// The settings that decide results, with the defaults of the documents. Times in milliseconds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `ingest.payload_bytes_max`
    pub payload_bytes_max: usize,
    /// How deep a raw record may be nested.
    pub nesting_max: usize,
    /// `ingest.future_bound`
    pub future_bound: i64,
    /// `sessions.gap`
    pub gap: i64,
    /// `sessions.allowed_lateness`
    pub allowed_lateness: i64,
    /// `sessions.remember_closed`
    pub remember_closed: i64,
    /// `dedup.horizon`
    pub dedup_horizon: i64,
    /// `labels.horizon`
    pub label_horizon: i64,
    /// Whether the model of `model.yaml` learns beside the rules.
    pub model: bool,
    /// For [`raw`] alone: ids that come again farther apart than this in event time are unclear.
    pub clear_cut: i64,
    /// How the documents are read where they leave a choice.
    pub reading: Reading,
}

/// Where the documents leave a choice: what this oracle takes them to say.
#[derive(Debug, Clone)]
pub struct Reading {
    /// A watermark that jumps over both ends of a session publishes two revisions, the second final
    /// (else the final one alone).
    pub jump_publishes_twice: bool,
    /// `features.session` is published for a session even if it became final within the same record.
    pub final_session_is_shown: bool,
    /// A late-applied click leads to a record on `features.session` as an applied one does.
    pub late_applied_is_shown: bool,
    /// The event id of a late copy is remembered for de-duplication.
    pub late_ids_are_remembered: bool,
    /// Of an idle source the highest event time is the one its last idle promise named (else the
    /// highest that any of its promises named).
    pub idle_highest_is_the_last: bool,
    /// A count of a key that has no click at all is an estimate, because clicks are always in buckets.
    pub no_clicks_is_an_estimate: bool,
}

impl Settings {
    /// The defaults, read as the documents settle it.
    pub fn settled() -> Settings {
        let reading = Reading {
            jump_publishes_twice: false,
            final_session_is_shown: false,
            late_applied_is_shown: true,
            late_ids_are_remembered: true,
            idle_highest_is_the_last: false,
            no_clicks_is_an_estimate: true,
        };
        Settings { reading, ..Settings::default() }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        const MINUTE: i64 = 60_000;
        Settings {
            payload_bytes_max: 1 << 20,
            nesting_max: 32,
            future_bound: 10 * MINUTE,
            gap: 30 * MINUTE,
            allowed_lateness: 5 * MINUTE,
            remember_closed: 60 * MINUTE,
            dedup_horizon: 60 * MINUTE,
            label_horizon: 14 * 24 * 60 * MINUTE,
            model: false,
            clear_cut: 30 * MINUTE,
            reading: Reading::default(),
        }
    }
}

impl Default for Reading {
    fn default() -> Reading {
        Reading {
            jump_publishes_twice: true,
            final_session_is_shown: true,
            late_applied_is_shown: true,
            late_ids_are_remembered: true,
            idle_highest_is_the_last: true,
            no_clicks_is_an_estimate: false,
        }
    }
}
