//! Changes that the shop makes and says beforehand: what begins to move while one lasts is to be expected.

use super::api::{ApiState, Lagged};
use super::clients::ClientName;
use super::extract::FromPath;
use super::problem::Problem;
use crate::codec::changes::AnnouncedChange;
use crate::log::Topic;
use crate::time::{Clock, SystemClock};
use crate::view::changes::KnownChange;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Of an id: that of the event is made of it.
const ID_CHARACTERS_MAX: usize = 64;

/// Changes, the one that begins last first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changes {
    /// As they were said last; those that were withdrawn are none.
    changes: Vec<KnownChange>,
}

/// Changes that the shop has announced.
#[utoipa::path(
    get, path = "/v1/changes", tag = "alerts",
    responses((status = 200, body = inline(Lagged<Changes>)))
)]
pub(super) async fn changes(State(api): State<ApiState>) -> Json<Lagged<Changes>> {
    api.lagged(Changes { changes: api.live.view.changes.newest() })
}

/// A change that the shop makes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Announced {
    /// Its id, 1 to 64 characters: one that is known is changed. Made up if there is none.
    #[schema(min_length = 1, max_length = 64)]
    change_id: Option<String>,
    /// What changes, in one line.
    #[schema(min_length = 1, max_length = 256)]
    what: String,
    /// When it begins, in milliseconds since the Unix epoch.
    from_ms: i64,
    /// How long it lasts, at most 90 days.
    #[schema(minimum = 1, maximum = 7_776_000)]
    for_seconds: i64,
}

/// What was said goes the log's own way.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// The change.
    change_id: String,
    /// The event on `alerts.control`.
    event_id: String,
}

/// Announce a change, or another time for one. What begins to move while it lasts is neither judged nor learned from.
#[utoipa::path(
    post, path = "/v1/changes", tag = "alerts",
    request_body(content = inline(Announced), content_type = "application/json"),
    responses(
        (status = 202, body = inline(Accepted)),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It could not be handed over.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn announce(
    State(api): State<ApiState>,
    Extension(client): Extension<ClientName>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let body = body.map_err(|fault| Problem::body(&fault))?;
    let said: Announced = serde_json::from_slice(&body).map_err(|_| {
        Problem::unprocessable(
            "the body is an object with `what`, `from_ms`, `for_seconds` and perhaps `change_id`",
        )
    })?;
    let now = SystemClock.now().0;
    let change_id = said.change_id.unwrap_or_else(|| format!("change-{now}"));
    if change_id.chars().count() > ID_CHARACTERS_MAX {
        let detail = format!("has at most {ID_CHARACTERS_MAX} characters");
        return Err(Problem::unprocessable(detail).at("change_id"));
    }
    let event = json!({
        "event_name": "change_announced", "what": said.what, "from_ms": said.from_ms, "for_seconds": said.for_seconds,
    });
    hand_over(&api, &client, (change_id, now), event)
}

/// Withdraw a change: it is not made.
#[utoipa::path(
    post, path = "/v1/changes/{change_id}/withdraw", tag = "alerts",
    params(("change_id" = String, Path, description = "The id of a change.", example = "summer-sale")),
    responses(
        (status = 202, body = inline(Accepted)),
        (status = 503, description = "It could not be handed over.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn withdraw(
    State(api): State<ApiState>,
    Extension(client): Extension<ClientName>,
    FromPath(change_id): FromPath<String>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let known = api.live.view.changes.get(&change_id);
    let known = known.ok_or_else(|| Problem::not_found("no such change is known"))?;
    let event = json!({ "event_name": "change_withdrawn" });
    hand_over(&api, &client, (known.change_id, SystemClock.now().0), event)
}

/// Says it in the name of the client, if it is what the contract says.
fn hand_over(
    api: &ApiState,
    client: &ClientName,
    (change_id, now): (String, i64),
    mut event: Value,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let event_id = format!("{change_id}-{now}");
    event["event_id"] = event_id.as_str().into();
    event["event_time_ms"] = now.into();
    event["change_id"] = change_id.as_str().into();
    event["by"] = client.0.to_string().into();
    let payload = event.to_string();
    AnnouncedChange::decode(payload.as_bytes(), payload.len())
        .map_err(|reject| Problem::unprocessable(reject.message).at(reject.path))?;
    match api.submitter.offer(Topic::AlertsControl, change_id.as_bytes(), payload.as_bytes()) {
        Ok(_) => Ok((StatusCode::ACCEPTED, Json(Accepted { change_id, event_id }))),
        Err(fault) => {
            tracing::warn!(%fault, "what was said of a change cannot be handed over");
            Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the log takes nothing at the moment; say it again",
            ))
        }
    }
}
