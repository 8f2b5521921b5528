//! Seeded retail traffic with planted truth: input for demos, benches and simulations.
//!
//! [`Generator`] is an iterator over the records of a shop that does not exist, in the order in
//! which they arrive. Visitors walk through funnels, people pay at tills, reviews say what payments were, and, where
//! the shop is whole, purchases become orders, tills ring up what they sold, customers log in and the catalogue changes. Clocks go
//! wrong, producers retry, and a few card testers and bots are at work; [`Truth`] says where those are,
//! [`Accounting`] how many records of each oddity were produced.
//!
//! # What it promises
//!
//! - The same [`GenerateSettings`] give the same bytes on every machine: random numbers are our
//!   own, and what is not integer arithmetic is `+ − × ÷` on `f64`, which IEEE 754 fixes to the
//!   last bit.
//! - Traffic is stationary per hour of the week (UTC): nothing drifts unless somebody plants it ([`Change`]). What is planted throws dice of its own: up to
//!   its beginning the traffic has the bytes that it has without it.
//! - Every record but the broken ones meets the contract (`docs/contracts.md`), and the broken ones
//!   break it in exactly the way that they are counted under.
//! - What was planted is counted when its record leaves, so truth and stream agree at every moment,
//!   also where the stream ends in the middle of a pattern.
//!
//! # How it works
//!
//! A queue holds whoever is at it (visits, tills, orders, testers, bots, …) with the time of its next act. The
//! earliest acts, which writes one record; what happens to the record on its way (`oddity.rs`)
//! gives its arrival. A second queue holds the records on their way and releases them in order of
//! arrival, as soon as nothing can overtake them. Memory is bounded by the running visits, the orders of
//! the last days and the records held back (late ones for up to three hours).
//!
//! It deliberately does not know files, topics' partitions, or what tillstream makes of its
//! records.

mod account;
mod agenda;
mod announcement;
mod catalogue;
mod change;
mod foreign;
mod funnel;
mod generator;
mod json;
mod label;
mod merchandise;
mod oddity;
mod order;
mod ordinary;
mod payment;
mod person;
mod planted;
mod profile;
pub mod random;
mod record;
mod sale;
mod settings;
mod stage;
mod till;
mod told;
mod truth;
mod visit;
mod wire;

#[cfg(test)]
mod tests;

pub use change::{Change, ChangeError, ChangeKind, ChangedSegment};
pub use generator::Generator;
pub use profile::hour_of_week_intensity;
pub use record::{GeneratedRecord, RawTopic, write_line};
pub use settings::{GenerateError, GenerateSettings, Shares};
pub use truth::{Accounting, BrokenCounts, PlantedChange, Truth};
