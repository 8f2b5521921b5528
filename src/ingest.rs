//! Ingest: what a raw record is, whom it concerns, and what each of them gets of it.
//!
//! Stateless per record. What is decided here is written down in the entity log, so nothing
//! downstream looks it up again.

pub mod basket;
pub mod dead_letter;
pub mod pseudonym;
pub mod route;
