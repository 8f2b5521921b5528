//! How this instance stands: its roles, and what it has counted.

use super::api::{ApiState, Lagged};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How this instance stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Its roles.
    roles: Vec<RoleHealth>,
    /// What they have counted: the samples of `/metrics`.
    counts: Vec<Count>,
}

#[derive(Debug, Serialize, ToSchema)]
struct RoleHealth {
    /// Its name.
    role: &'static str,
    /// It does its work.
    is_ready: bool,
    /// Else what it waits for.
    waits_for: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Count {
    /// The name of the metric.
    name: &'static str,
    /// Its labels.
    labels: BTreeMap<&'static str, String>,
    /// Its value.
    value: f64,
}

/// The roles of this instance, and what they have counted.
#[utoipa::path(
    get, path = "/v1/health", tag = "overview",
    responses((status = 200, body = inline(Lagged<Health>)))
)]
pub(super) async fn health(State(api): State<ApiState>) -> Json<Lagged<Health>> {
    let all = api.status.all();
    let roles = all.iter().map(|(role, status)| RoleHealth {
        role,
        is_ready: status.waits_for.is_none(),
        waits_for: status.waits_for.clone(),
    });
    let counts = all.values().flat_map(|status| status.samples.iter()).map(|(name, labels, value)| Count {
        name,
        labels: labels.into_iter().collect(),
        value,
    });
    api.lagged(Health { roles: roles.collect(), counts: counts.collect() })
}
