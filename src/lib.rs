//! tillstream.
pub mod event;
pub mod log;
pub mod time;
