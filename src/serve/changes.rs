//! Changes that the shop makes and says beforehand: what begins to move while one lasts is to be expected.

use super::alerts;
use super::api::{ApiState, Lagged};
use super::clients::ClientName;
use super::extract::FromPath;
use super::problem::Problem;
use crate::codec::changes::AnnouncedChange;
use crate::codec::whole;
use crate::time::{Clock, SystemClock};
use crate::view::changes::KnownChange;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use xxhash_rust::xxh3::xxh3_64;

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
    /// Its id, 1 to 128 characters: one that is known is changed. Made up if there is none.
    #[schema(min_length = 1, max_length = 128)]
    change_id: Option<String>,
    /// What changes, in one line.
    #[schema(min_length = 1, max_length = 256)]
    what: String,
    /// When it begins, in milliseconds since the Unix epoch.
    #[schema(minimum = 0, maximum = 253_402_300_799_999_i64)]
    #[serde(deserialize_with = "whole::required")]
    from_ms: i64,
    /// How long it lasts, at most 90 days.
    #[schema(minimum = 1, maximum = 7_776_000)]
    #[serde(deserialize_with = "whole::required")]
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
    let said: Announced = serde_json::from_slice(&body).map_err(|fault| {
        Problem::unprocessable(format!(
            "the body is an object with `what`, `from_ms`, `for_seconds` and perhaps `change_id`: {fault}"
        ))
    })?;
    let now = SystemClock.now().0;
    let change_id = said.change_id.clone().unwrap_or_else(|| format!("change-{now}"));
    say(&api, &client, (change_id, now), Some(&said))
}

/// Withdraw a change: it is not made. Of one that nobody has announced nothing comes.
#[utoipa::path(
    post, path = "/v1/changes/{change_id}/withdraw", tag = "alerts",
    params(("change_id" = String, Path, description = "The id of a change.", example = "summer-sale")),
    responses(
        (status = 202, body = inline(Accepted)),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It could not be handed over.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn withdraw(
    State(api): State<ApiState>,
    Extension(client): Extension<ClientName>,
    FromPath(change_id): FromPath<String>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    say(&api, &client, (change_id, SystemClock.now().0), None)
}

/// Announces the change in the name of the client, or withdraws it, if that is what the contract says.
fn say(
    api: &ApiState,
    client: &ClientName,
    (change_id, now): (String, i64),
    said: Option<&Announced>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let name = if said.is_some() { "change_announced" } else { "change_withdrawn" };
    let event_id = format!("{:016x}-{name}-{now}", xxh3_64(change_id.as_bytes()));
    let event = json!({
        "event_id": event_id,
        "event_name": name,
        "event_time_ms": now,
        "change_id": change_id,
        "by": client.0,
        "what": said.map(|said| &said.what),
        "from_ms": said.map(|said| said.from_ms),
        "for_seconds": said.map(|said| said.for_seconds),
    });
    let payload = event.to_string();
    AnnouncedChange::decode(payload.as_bytes(), payload.len())
        .map_err(|reject| Problem::unprocessable(reject.message).at(reject.path))?;
    alerts::hand_over(api, &change_id, &payload)?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { change_id, event_id })))
}
