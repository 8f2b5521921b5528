//! What is watched of models and of the shop: how good scores were, once it is known what they were about, and are expected to be before, what values look like, how much
//! comes, and what the shop's minutes bring.
//!
//! Pure: a fold over the monitor log. It knows neither logs nor partitions, nor which stage made a score.

pub mod business;
mod command;
pub mod concept;
pub mod drift;
pub mod expected;
pub mod pattern;
pub mod quality;
mod seasonal;
pub mod volume;
mod watched;
