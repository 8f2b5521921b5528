//! Clicks to sessions, per visitor: gap windows with out-of-order merge.

pub mod facts;
pub mod operator;
pub mod record;

pub use facts::Facts;
pub use operator::{SessionSettings, Sessions, VisitorState};
