//! From findings to whoever is on call.
//!
//! [`episodes`] is the life of an alert: it opens, is updated, and resolves; somebody acknowledges it, mutes it, or says that it was
//! to be expected. `changes` is what changed upstream shortly before, `announced` what the shop has said beforehand. What is found is decided elsewhere: an episode knows no statistics.

mod announced;
mod changes;
pub mod episodes;
pub mod severity;

pub use announced::Announced;
pub use changes::OF_A_TOPIC;
pub use episodes::{About, EpisodeSettings, Episodes, Observation, Traffic, steps_from_the_record};
