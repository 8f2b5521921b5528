//! tillstream: a Kafka-native event-processing engine for retail.
//!
//! The rooms, from the inside out; dependence runs towards the top of this list:
//!
//! - [`time`], [`event`], [`fault`], [`ledger`]: the words everything else is written in;
//! - [`codec`]: bytes to events; [`log`]: frames, positions, and the log as a trait, in memory and over Kafka;
//! - [`ftrl`]: logistic regression that learns online; [`drift`]: whether values are as they were; [`alert`]: who is told;
//! - [`state`], [`operator`], [`progress`]: what a task keeps, what an operator is, how far things are;
//! - [`checkpoint`]: a task's state as immutable files, found, added to and folded;
//! - [`session`], [`feature`], [`fraud`], [`business`], [`ingest`]: the shop's logic, pure;
//! - [`engine`]: stages, tasks, and the worker that carries them over a log;
//! - [`generate`]: seeded traffic with planted truth;
//! - [`recommend`], [`view`]: what is recommended, and what was published last;
//! - [`archive`]: the feature log;
//! - [`config`], [`crash_points`], [`telemetry`], [`serve`], [`notify`], [`store`], [`slot`], [`cli`]: the edge.

pub mod alert;
pub mod archive;
pub mod business;
pub mod checkpoint;
pub mod cli;
pub mod codec;
pub mod condition;
pub mod config;
pub mod crash_points;
pub mod drift;
pub mod engine;
pub mod event;
pub mod fault;
pub mod feature;
pub mod fraud;
pub mod ftrl;
pub mod generate;
pub mod ingest;
pub mod ledger;
pub mod link;
pub mod log;
pub mod money;
pub mod monitor;
pub mod names;
pub mod notify;
pub mod operator;
pub mod progress;
pub mod recommend;
mod rules_of_the_protocol;
pub mod serve;
pub mod session;
pub mod slot;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod view;
pub mod windows;
