//! Alerts to those on call: revisions of episodes come in as they stand on the topics `alerts.*`, and each receiver is told of
//! them in its own words until it knows how things are.
//!
//! - [`revision`]: what was read, and what it means at a moment: open, muted, over;
//! - [`settings`], [`secret`], [`filter`]: which receivers there are, where, with what, and who hears of what;
//! - `told`: what a receiver knows of an episode; what it is told next is decided per kind in `alertmanager`, `pagerduty`,
//!   `slack` and `webhook`, beside the request that says it; `wording` has what they share;
//! - [`outbox`]: one receiver's messages: which is next, when, and what an answer means (`answer`, `pace`);
//! - [`deliver`]: the edge, which sends; [`trial`]: a test alert through each receiver.
//!
//! Everything but `deliver` and `trial` is pure: the time is passed in, and nothing is sent. Nothing is stored either: the topics
//! are compacted, and a start reads them from the beginning. What a receiver knows is not written down anywhere, so a restart has
//! to assume something; [`settings::ReceiverConfig::catch_up`] says what.
//!
//! Messages arrive at least once. A receiver that knows episodes by a key (Alertmanager, PagerDuty, a webhook that minds
//! `idempotency-key`) is left in the same state by a second one; Slack shows it twice.

mod alertmanager;
mod answer;
mod dead_letter;
pub mod deliver;
pub mod filter;
#[cfg(test)]
mod laws;
pub mod outbox;
mod pace;
mod pagerduty;
mod receiver;
pub mod report;
pub mod revision;
#[cfg(test)]
mod samples;
pub mod secret;
pub mod settings;
mod slack;
mod told;
pub mod trial;
mod webhook;
mod wording;

pub use answer::Answer;
pub use dead_letter::DeadLetter;
pub use deliver::{ClientError, Notifier};
pub use filter::Filter;
pub use outbox::{Outbox, Step};
pub use receiver::Request;
pub use report::{DeadNotification, DeadReason, ReceiverStatus};
pub use revision::{AlertTopic, Revision};
pub use secret::{Address, Secret};
pub use settings::{NotifyConfig, PageUrl, Rate, ReceiverConfig, ReceiverKind};
pub use trial::{Trial, UnknownReceiver, try_receivers};
