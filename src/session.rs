//! Clicks to sessions, per visitor: gap windows with out-of-order merge.

pub mod facts;
pub mod operator;
pub mod purchase;
pub mod record;

pub use facts::{Facts, LAST_ITEMS_MAX};
pub use operator::{SessionSettings, Sessions, VisitorState};
