//! Drift: whether values, and what they lead to, are as they were.
//!
//! - [`sketch`]: what is kept of the values of a feature in a window of event time; two of them can be aligned;
//! - [`profile`]: the sketches of a stream's fields in a window, for all of it and for each of its segments;
//! - [`mod@reference`]: what a field looks like at an hour of the week, learned from history with shrinkage, and the evidence that it no
//!   longer does;
//! - [`settings`]: the one knob, false pages per month, and what follows from it;
//! - [`distance`]: how far two windows are apart, over counts per bin or over raw samples; [`p_value`]: how often chance alone would
//!   set two windows of one law that far apart; [`discoveries`]: which of many tests are worth an alert; [`factor`]: whether a
//!   feature has only changed its unit;
//! - [`watch`]: whether a stream of values, one by one, has changed, at a stated mean time between false alarms; [`detector`]: the
//!   same by the detectors that others use, to the last bit.
//!
//! Pure: nothing here knows a log, a clock or a topic, nor what a feature is about or what becomes of a finding.

pub mod detector;
pub mod discoveries;
pub mod distance;
mod error;
pub mod factor;
pub mod p_value;
mod pair;
pub mod profile;
pub mod reference;
pub mod settings;
pub mod sketch;
pub mod volume;
pub mod watch;

pub use error::{DriftError, Window};
pub use pair::Pair;
pub use settings::DriftSettings;

/// A weighted count as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are not negative, and below 2⁵³"
)]
pub(crate) fn whole(count: f64) -> u64 {
    count.round() as u64
}
