//! Whether to let a payment pass: rules over the parts that its entities have answered.
//!
//! [`spec`] is `rules.yaml` as it is written, [`rules`] what it becomes once every fault is found:
//! a [`RuleSet`] that turns [`Inputs`] (the features of a payment and its own fields) into a
//! [`Verdict`]. Pure and deterministic: no clock, no I/O, no state from one payment to the next.
//!
//! What a rule is written in, and how it is evaluated, is in [`crate::condition`]. The room does not know Kafka, views or
//! labels.

pub mod gather;
mod inputs;
pub mod label;
pub mod model;
mod names;
pub mod rules;
mod score;
pub mod spec;
mod validate;

pub use inputs::Inputs;
pub use rules::{RuleSet, Verdict};
pub use spec::{RuleSpec, RuleState, RulesSpec, Thresholds};
