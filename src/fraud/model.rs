//! A model that learns online: logistic regression over bucketised values.
//!
//! [`ModelSpec`] is what is declared; [`Model`] turns what is known of a payment into [`Token`]s: one for the bucket of
//! each input and of each cross of two. [`Learner`] makes weights from tokens and outcomes.
//! [`Served`] is the version that a decision is
//! made with. Pure: it knows neither labels nor logs, nor when something became known.

mod served;
mod spec;
mod tokens;

pub use crate::ftrl::{Learner, Learning, Token};
pub use served::{Opinion, Served};
pub use spec::ModelSpec;
pub use tokens::Model;
