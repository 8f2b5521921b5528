//! What an outbox reports: messages that will not arrive, and how things are.

use crate::event::alert::Alert;
use serde::Serialize;

/// A message that will not arrive.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadNotification {
    /// The name of the receiver.
    pub receiver: String,
    /// Its scheme, host and port.
    pub target: String,
    /// Where the record stood.
    pub topic: &'static str,
    /// The `ce_id` of the record.
    pub id: String,
    /// What it said.
    pub alert: Alert,
    /// Why.
    pub reason: DeadReason,
    /// What the receiver answered, if it did.
    pub status: Option<u16>,
    /// What it said, or why it said nothing: at most 200 characters, without secrets.
    pub said: String,
}

/// Why a message will not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadReason {
    /// The receiver will not have it.
    Refused,
    /// The episode ended a day ago, and the receiver has not answered since.
    GivenUp,
    /// There are too many episodes.
    TooMany,
}

impl DeadReason {
    /// In the header `tillstream-reason` of a dead letter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DeadReason::Refused => "notification_refused",
            DeadReason::GivenUp => "notification_given_up",
            DeadReason::TooMany => "notification_too_many",
        }
    }
}

/// How things are with a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiverStatus {
    /// The name of the receiver.
    pub receiver: String,
    /// Its scheme, host and port.
    pub target: String,
    /// Episodes that are kept for it.
    pub episodes: usize,
    /// Messages that wait, the one on its way among them.
    pub waiting: usize,
    /// Requests that it took.
    pub requests_taken: u64,
    /// Requests that failed and are made again.
    pub requests_failed: u64,
    /// Messages that will not arrive.
    pub dead: u64,
    /// What went wrong last, until something goes right.
    pub trouble: Option<String>,
}
