//! Declared views: windowed counts, sums, means, deviations, extremes, distincts and most frequent values; the last value, and
//! the times since the first and the last event.
//!
//! `features.yaml` ([`FeaturesSpec`]) is checked and compiled once into a [`FeaturePlan`]: one
//! [`Group`] for each kind of entity and source, which says what the events of a key must carry and
//! what is answered for a payment. A key of a group keeps a [`GroupState`]: a small key an exact
//! ring of its events, a large one time buckets and samples with a stated error. The meaning of
//! every value is in `docs/features.md`; this room is that page in code.
//!
//! Pure and deterministic: no clock, no I/O, and the order of the answers is the order of the plan.
//! It does not know what a fraud is, which log an event came from, whether it is late or a duplicate
//! (whoever calls decides what is folded), or when the watermark forgets a key.
//!
//! | file | what it holds |
//! |---|---|
//! | `spec` | the file as written |
//! | `parse`, `check`, `view` | the views it means; every fault at once |
//! | `plan`, `group`, `layout`, `sweep` | what is compiled from them |
//! | `memory` | the bound per key, with its arithmetic |
//! | `derived` | values made of several, when a payment is decided |
//! | `row`, `totals`, `spread` | one event in a group's layout; what can be said of numbers |
//! | `ring`, `buckets`, `distinct`, `frequent` | what a small and a large key keep |
//! | `state`, `ends` | folding an event, answering for a payment; the first event and the last values |

mod buckets;
mod check;
mod derived;
mod distinct;
mod ends;
mod filter;
mod frequent;
mod group;
mod layout;
mod memory;
mod parse;
mod plan;
mod ring;
mod row;
mod spec;
mod spread;
mod state;
mod sweep;
mod totals;
mod view;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod laws;

pub use filter::Filters;
pub use group::{Group, GroupId};
pub use memory::MemoryBound;
pub use plan::FeaturePlan;
pub use spec::{DerivedSpec, FeatureSpec, FeaturesSpec, ViewSpec};
pub use state::GroupState;
pub use view::{Aggregate, Feature, View, Window};
