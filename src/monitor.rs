//! What is watched of models: how good scores were, once it is known what they were about.
//!
//! Pure: a fold over the monitor log. It knows neither logs nor partitions, nor which stage made a score.

pub mod concept;
pub mod drift;
pub mod quality;
pub mod volume;
mod watched;
