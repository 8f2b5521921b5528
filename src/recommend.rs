//! Recommendations for a running session: what sessions like it held, else what is popular; never what cannot be bought.

pub mod catalogue;
pub mod intent;
pub mod neighbours;
pub mod popularity;
mod recommender;

pub use catalogue::{Catalogue, Item};
pub use intent::{Intent, IntentModel, IntentQuality, MOMENTS_MAX, Moment};
pub use neighbours::{NeighbourSettings, Neighbours, Recommended};
pub use popularity::Popularity;
pub use recommender::{
    ClosedSession, Pace, RecommendSettings, Recommendation, Recommender, RecommenderSizes, Why,
};
