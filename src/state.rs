//! Keyed state: what tasks keep per key, the timers they set, and the event ids they have seen.
//!
//! Every write goes through [`keyed::KeyedState::update`], so that a checkpoint can know what
//! changed. Nothing here reads a clock or iterates in hash order.

pub mod dedup;
pub mod entries;
pub mod keyed;
mod restored;
mod slots;
pub mod timers;

pub use dedup::Dedup;
pub use keyed::{EntityKey, KeyedState, OwnedKey, StateKey, Tracking};
pub use timers::Timers;
