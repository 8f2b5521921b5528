//! HTTP: probes, metrics, and the API over the view of what is published.

mod about;
mod alerts;
pub mod api;
mod changes;
pub mod clients;
mod counts;
mod decisions;
mod extract;
pub mod feed;
mod health;
pub mod live;
mod openapi;
mod overview;
mod page;
mod probes;
mod problem;
pub mod push;
pub mod rules;
pub mod score;
mod stream;
mod visitors;

pub use probes::{Exposition, RoleStatus, Status, router};
