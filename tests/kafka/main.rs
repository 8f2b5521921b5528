//! The program on a real Apache Kafka: a broker and instances as processes, on free ports of this machine.
//!
//! One binary for all of it, so that what judges them is compiled once. `cargo test --release --test kafka gaps::` runs a
//! part of it.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    clippy::let_underscore_must_use,
    unreachable_pub,
    reason = "tests: what is wrong may panic, and what was done and measured is printed"
)]

mod alertmanager;
mod alerts;
mod archive;
mod channel;
mod checkout;
mod delivery;
mod faults;
mod gaps;
mod judge;
mod notify;
#[path = "../oracle/mod.rs"]
mod oracle;
mod ownership;
mod serve;
#[path = "../support/mod.rs"]
mod support;
mod topics;
