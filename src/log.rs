//! The log: positions, frames, and the traits behind which Kafka and memory look alike.

pub mod frame;
pub mod position;
