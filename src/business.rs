//! The business of the shop: the days of its stores, and its minutes.
//!
//! [`day`] is what a day says of its transactions, [`days`] when it is published and when it is final, [`record`]
//! how it stands on the public topic. It knows neither logs nor tills, and no time zone.

pub mod catalogue;
pub mod day;
pub mod days;
#[cfg(test)]
mod laws;
pub mod minutes;
pub mod record;

pub use day::{Money, StoreDay};
pub use days::{DaySettings, Days, StoreDays};
