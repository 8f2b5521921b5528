//! Recommendations for a running session.

pub mod neighbours;

pub use neighbours::{NeighbourSettings, Neighbours, Recommended};
