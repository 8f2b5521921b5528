//! Alerts, and what those on call say of them.

use super::api::{ApiState, Lagged};
use super::clients::ClientName;
use super::extract::{FromPath, FromQuery, Limit};
use super::problem::Problem;
use super::visitors::raw;
use crate::event::alert::{Alert, AlertStatus};
use crate::log::Topic;
use crate::time::{Clock, SystemClock};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Alerts of one answer, at most and usually.
const ALERTS: Limit = Limit { name: "limit", most: 500, usually: 100 };
/// Of a note.
const NOTE_CHARACTERS_MAX: usize = 1_024;
/// The longest mute, in seconds: 90 days.
const MUTE_SECONDS_MAX: u64 = 90 * 86_400;

/// Which alerts are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Open,
    Resolved,
    All,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedAlerts {
    /// Those that go on (what is answered without this), those that have ended, or both.
    #[param(inline)]
    status: Option<Wanted>,
    /// How many, at most.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u16>,
}

/// Episodes, the one that was noticed last first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alerts {
    /// The last revision of each.
    #[schema(value_type = Vec<Alert>)]
    alerts: Vec<Box<RawValue>>,
}

/// Alerts as they stand.
#[utoipa::path(
    get, path = "/v1/alerts", tag = "alerts",
    params(WantedAlerts),
    responses(
        (status = 200, body = inline(Lagged<Alerts>)),
        (status = 422, body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn alerts(
    State(api): State<ApiState>,
    FromQuery(wanted): FromQuery<WantedAlerts>,
) -> Result<Json<Lagged<Alerts>>, Problem> {
    let limit = ALERTS.read(wanted.limit)?;
    let status = wanted.status.unwrap_or(Wanted::Open);
    let are = |alert: &Alert| match status {
        Wanted::Open => alert.status == AlertStatus::Open,
        Wanted::Resolved => alert.status == AlertStatus::Resolved,
        Wanted::All => true,
    };
    let found = api.live.view.alerts.newest(are, usize::from(limit));
    Ok(api.lagged(Alerts { alerts: found.iter().map(|known| raw(&known.record)).collect() }))
}

/// An episode.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OneAlert {
    /// Its last revision.
    #[schema(value_type = Alert)]
    alert: Box<RawValue>,
}

/// An alert as it stands.
#[utoipa::path(
    get, path = "/v1/alerts/{alert_id}", tag = "alerts",
    params(("alert_id" = String, Path, description = "16 hexadecimal digits.", example = "00f3a9c2d1e4b586")),
    responses((status = 200, body = inline(Lagged<OneAlert>)))
)]
pub(super) async fn alert(
    State(api): State<ApiState>,
    FromPath(alert_id): FromPath<String>,
) -> Result<Json<Lagged<OneAlert>>, Problem> {
    let known = api.live.view.alerts.get(&alert_id).ok_or_else(unknown)?;
    Ok(api.lagged(OneAlert { alert: raw(&known.record) }))
}

fn unknown() -> Problem {
    Problem::not_found("no such alert is known")
}

/// What somebody says of an alert.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    /// What else there is to say, at most 1024 characters.
    #[schema(max_length = 1024)]
    note: Option<String>,
    /// For how long it is muted, in seconds; required there, and nowhere else.
    #[schema(minimum = 1, maximum = 7_776_000)]
    for_seconds: Option<u64>,
}

/// What was said goes the log's own way; the alert has a new revision when it has come there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// The event on `alerts.control`.
    event_id: String,
}

/// What may be said of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Saying {
    /// Somebody has taken it on.
    Acknowledge,
    /// Nobody wants to hear of it for a while, nor of the next about the same.
    Mute,
    /// It is to be heard of again.
    Unmute,
    /// It is as it should be: what is there now is the reference from now on.
    Expect,
}

impl Saying {
    fn event_name(self) -> &'static str {
        match self {
            Saying::Acknowledge => "alert_acknowledged",
            Saying::Mute => "alert_muted",
            Saying::Unmute => "alert_unmuted",
            Saying::Expect => "alert_expected",
        }
    }
}

/// Acknowledge, mute, unmute or expect an alert. Whoever says it is the client.
#[utoipa::path(
    post, path = "/v1/alerts/{alert_id}/{saying}", tag = "alerts",
    params(
        ("alert_id" = String, Path, description = "16 hexadecimal digits.", example = "00f3a9c2d1e4b586"),
        ("saying" = inline(Saying), Path, description = "What is said of it.", example = "acknowledge")
    ),
    request_body(description = "A note; of a mute also for how long. May be empty.", content_type = "application/json", content = inline(Said)),
    responses(
        (status = 202, body = inline(Accepted)),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It could not be handed over.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn say(
    State(api): State<ApiState>,
    Extension(client): Extension<ClientName>,
    FromPath((alert_id, saying)): FromPath<(String, Saying)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let known = api.live.view.alerts.get(&alert_id).ok_or_else(unknown)?;
    let said = Said::read(&body.map_err(|fault| Problem::body(&fault))?, saying)?;
    let now = SystemClock.now().0;
    let until = said.for_seconds.map(|seconds| {
        let from = api.live.view.shop_time().max(Some(known.alert.as_of_ms));
        from.unwrap_or_default().plus(Duration::from_secs(seconds)).0
    });
    let event_id = format!("{}-{}-{now}", known.alert.alert_id, saying.event_name());
    let event = json!({
        "event_id": event_id,
        "event_name": saying.event_name(),
        "event_time_ms": now,
        "fingerprint": known.alert.fingerprint,
        "subject": known.alert.subject,
        "by": client.0,
        "note": said.note,
        "until_ms": until,
    });
    hand_over(&api, &known.alert.fingerprint, &event.to_string())?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { event_id })))
}

/// Hands over what somebody says, of an alert or of a change.
pub(super) fn hand_over(api: &ApiState, key: &str, event: &str) -> Result<(), Problem> {
    let handed = api.submitter.offer(Topic::AlertsControl, key.as_bytes(), event.as_bytes());
    handed.map(drop).map_err(|fault| {
        tracing::warn!(%fault, "what was said cannot be handed over");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the log takes nothing at the moment; say it again")
    })
}

impl Said {
    fn read(body: &[u8], saying: Saying) -> Result<Said, Problem> {
        let said: Said = if body.is_empty() {
            Said::default()
        } else {
            serde_json::from_slice(body).map_err(|fault| {
                Problem::unprocessable(format!(
                    "the body is an object with `note` and `for_seconds`: {fault}"
                ))
            })?
        };
        if said.note.as_ref().is_some_and(|note| note.chars().count() > NOTE_CHARACTERS_MAX) {
            let detail = format!("has at most {NOTE_CHARACTERS_MAX} characters");
            return Err(Problem::unprocessable(detail).at("note"));
        }
        match (saying, said.for_seconds) {
            (Saying::Mute, Some(1..=MUTE_SECONDS_MAX)) => Ok(said),
            (Saying::Mute, _) => {
                let detail = format!("is required for a mute, and must be from 1 to {MUTE_SECONDS_MAX}");
                Err(Problem::unprocessable(detail).at("for_seconds"))
            }
            (_, None) => Ok(said),
            (_, Some(_)) => Err(Problem::unprocessable("is for a mute alone").at("for_seconds")),
        }
    }
}
