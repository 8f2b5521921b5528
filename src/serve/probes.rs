//! Probes and metrics.

use crate::telemetry::metrics::{READY, Samples};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How a role stands, as its worker last said.
#[derive(Debug, Clone, Default)]
pub struct RoleStatus {
    /// Why it is not ready; none if it is.
    pub waits_for: Option<String>,
    /// Its samples.
    pub samples: Samples,
}

/// The status of every role of this instance. Cheap to clone; shared with the workers.
#[derive(Debug, Clone)]
pub struct Status {
    roles: Arc<Mutex<BTreeMap<&'static str, RoleStatus>>>,
    stop: Arc<AtomicBool>,
}

impl Status {
    /// Of an instance that is ready no longer once `stop` is set.
    #[must_use]
    pub fn new(stop: Arc<AtomicBool>) -> Status {
        Status { roles: Arc::default(), stop }
    }

    /// A role says how it stands.
    pub fn set(&self, role: &'static str, status: RoleStatus) {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner).insert(role, status);
    }

    /// How each role stands.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&'static str, RoleStatus> {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// More metrics in Prometheus' text format.
pub type Exposition = Arc<dyn Fn() -> String + Send + Sync>;

/// `/livez`, `/readyz` and `/metrics`; the last with what `more` says.
pub fn router(status: Status, more: Option<Exposition>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(move |status| metrics(status, more.clone())))
        .with_state(status)
}

async fn ready(State(status): State<Status>) -> impl IntoResponse {
    if status.stop.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the instance is about to end\n".to_owned());
    }
    let waiting: Vec<String> = status
        .all()
        .into_iter()
        .filter_map(|(role, status)| status.waits_for.map(|reason| format!("{role}: {reason}\n")))
        .collect();
    if waiting.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, waiting.concat())
    }
}

async fn metrics(State(status): State<Status>, more: Option<Exposition>) -> impl IntoResponse {
    let all = status.all();
    let mut readiness = Samples::default();
    for (role, status) in &all {
        readiness.count(READY, &[role], u64::from(status.waits_for.is_none()));
    }
    let samples = all.into_values().map(|status| status.samples).chain([readiness]);
    let samples: Vec<Samples> = samples.collect();
    let more = more.map(|more| more()).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], Samples::exposition(&samples) + &more)
}
