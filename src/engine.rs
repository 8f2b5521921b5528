//! The engine: stages, and the worker that carries a stage's tasks over a log.
//!
//! A [`stage::Stage`] is pure: record in, state changed, outputs out. A [`worker::Worker`] drives the
//! tasks of one stage that the group gave to one member: poll, fold, send, acknowledge, commit. The
//! engine does not know what fraud is, nor what Kafka is.

mod arrival;
pub mod checkpointing;
pub mod checkpoints;
pub mod decide;
mod inbound;
pub mod ingest;
pub mod keyed;
pub mod monitor;
pub mod outputs;
pub mod process;
pub mod replay;
pub mod settings;
pub mod stage;
mod transactions;
pub mod worker;

#[cfg(test)]
mod simulation;
