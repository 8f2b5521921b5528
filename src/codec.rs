//! Bytes to events: the raw contracts, and why a payload was refused.
//!
//! Decoding accepts exactly what the JSON Schemas in `schemas/` accept. It borrows from the payload
//! wherever JSON allows it. It knows no topic, no offset and no configuration but the size limit.

pub mod accounts;
pub mod alerts;
pub mod bounds;
pub mod catalogue;
pub mod changes;
pub mod clickstream;
pub mod labels;
pub mod object;
pub mod orders;
pub mod payments;
pub mod pos;
pub mod predictions;
pub mod reject;
pub mod rules;
pub mod text;
pub mod whole;

pub use reject::{Reject, RejectReason};
