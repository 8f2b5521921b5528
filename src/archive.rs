//! The feature log: every vector that a decision used, and its label when it comes, as Parquet by day in a folder or an
//! object store. Built from the public topics alone. Each decision is there exactly once, whatever crashes: a file
//! counts only if a manifest names it, manifests are made once and never changed, and each says where the next one
//! begins.
//!
//! What is gathered ([`range`]) and how it looks as columns ([`rows`]) is pure; the rest is the edge.

pub mod day;
pub mod export;
pub mod keeper;
pub mod range;
pub mod rows;
pub mod store;
pub mod writer;

pub use day::{Day, Days};
pub use export::{Exported, export};
pub use keeper::ArchiveKeeper;
pub use range::RangeLimits;
pub use rows::Set;
pub use store::{ArchiveError, Manifest, ObjectArchive};
