//! How far things are: watermarks and applied positions of sources, idleness on evidence, what
//! a life may commit, and which decisions have waited long enough.

pub mod deadlines;
pub mod epochs;
pub mod idleness;
pub mod sources;
