//! How far things are: watermarks and applied positions of sources, idleness on evidence, and what
//! a life may commit.

pub mod epochs;
pub mod idleness;
pub mod sources;
