//! Whether to let a payment pass: rules over the parts that its entities have answered.
//!
//! [`spec`] is `rules.yaml` as it is written, [`rules`] what it becomes once every fault is found:
//! a [`RuleSet`] that turns [`Inputs`] (the features of a payment and its own fields) into a
//! [`Verdict`]. Pure and deterministic: no clock, no I/O, no state from one payment to the next.
//!
//! The expressions are CEL, run by the `cel` crate, whose types are dynamic and whose errors come
//! at run time. So each expression is parsed under limits, its names and types are checked when
//! the file is read, and its names are bound to numbered slots. What is left to fail for a payment
//! is ordering by what is not a number (0.0 / 0.0). The room does not know Kafka, views or labels.

mod bind;
mod check;
mod expression;
pub mod gather;
mod inputs;
pub mod label;
pub mod model;
mod names;
mod nearest;
pub mod rules;
mod score;
pub mod spec;
mod validate;

pub use inputs::Inputs;
pub use rules::{RuleSet, Verdict};
pub use spec::{RuleSpec, RuleState, RulesSpec, Thresholds};
