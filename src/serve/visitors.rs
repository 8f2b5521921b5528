//! What a page needs of a visitor: the live session, and what to show.

use super::api::{ApiState, Lagged};
use super::extract::{FromPath, FromQuery};
use super::live::{Followed, Following};
use super::problem::Problem;
use crate::event::public::RecommendedItem;
use crate::time::{Clock, SystemClock};
use crate::view::Published;
use crate::view::heads::RunningHead;
use axum::Json;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::convert::Infallible;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

/// Items of one answer, at most.
const COUNT_MAX: u16 = 100;
/// Items that an answer is made from, at most.
const ITEMS_MAX: usize = 20;

/// What is known of a visitor's sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VisitorSession {
    visitor_id: String,
    /// The running session as of the visitor's newest click: a record of `features.session`; null if it is known to have ended.
    #[schema(schema_with = super::openapi::session_features)]
    running: Option<Box<RawValue>>,
    /// The session that was published last: a record of `sessions`.
    #[schema(schema_with = super::openapi::session)]
    published: Option<Box<RawValue>>,
    /// Age of the newest event that is in it, in milliseconds.
    freshness_ms: i64,
}

/// The session of a visitor.
#[utoipa::path(
    get, path = "/v1/visitors/{visitor_id}/session", tag = "page",
    params(("visitor_id" = String, Path, description = "As in the visitor's clicks.", example = "v-12")),
    responses(
        (status = 200, body = inline(Lagged<VisitorSession>))
    )
)]
pub(super) async fn session(
    State(api): State<ApiState>,
    FromPath(visitor_id): FromPath<String>,
) -> Result<Json<Lagged<VisitorSession>>, Problem> {
    let running = api.live.view.running_session(&visitor_id);
    let published = api.live.view.session(&visitor_id);
    let newest = [&running, &published].into_iter().flatten().map(|record| record.event_time).max();
    let newest = newest.ok_or_else(|| Problem::not_found("nothing is known of this visitor"))?;
    Ok(api.lagged(VisitorSession {
        visitor_id,
        running: running.as_ref().map(raw),
        published: published.as_ref().map(raw),
        freshness_ms: SystemClock.now().age_ms(newest),
    }))
}

/// What a running session will come to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionIntent {
    visitor_id: String,
    /// The probability that the session ends with a purchase, one more if there was one; null while too few sessions have ended.
    purchase: Option<f64>,
    /// The probability that what is in the cart is left there; null without a cart, or while too few sessions have ended.
    abandonment: Option<f64>,
    /// Sessions that it was learned from.
    learned_from: u64,
    /// How well it has said it, over about a thousand moments of sessions: the mean of −ln of what was said of what came.
    log_loss: f64,
    /// The same of one who says the rate of purchases each time: more than `log_loss`, or it is worth nothing.
    log_loss_of_rate: f64,
    /// Age of the newest click that is in it, in milliseconds.
    freshness_ms: i64,
}

/// What the running session of a visitor will come to.
#[utoipa::path(
    get, path = "/v1/visitors/{visitor_id}/intent", tag = "page",
    params(("visitor_id" = String, Path, description = "As in the visitor's clicks.", example = "v-12")),
    responses((status = 200, body = inline(Lagged<SessionIntent>)))
)]
pub(super) async fn intent(
    State(api): State<ApiState>,
    FromPath(visitor_id): FromPath<String>,
) -> Result<Json<Lagged<SessionIntent>>, Problem> {
    let unknown = || Problem::not_found("this visitor has no running session");
    let running = api.live.view.running_session(&visitor_id).ok_or_else(unknown)?;
    let head: RunningHead<'_> = serde_json::from_str(&running.json).map_err(|_| unknown())?;
    let (intent, quality) = api.live.view.intent(&head);
    Ok(api.lagged(SessionIntent {
        visitor_id,
        purchase: intent.purchase,
        abandonment: intent.abandonment,
        learned_from: quality.sessions,
        log_loss: quality.log_loss,
        log_loss_of_rate: quality.log_loss_of_rate,
        freshness_ms: SystemClock.now().age_ms(running.event_time),
    }))
}

/// A record as it was published.
pub(super) fn raw(record: &Published) -> Box<RawValue> {
    RawValue::from_string(record.json.to_string()).expect("what the view takes was read as JSON")
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many items, at most.
    #[param(minimum = 1, maximum = 100, default = 10)]
    count: Option<u16>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedFor {
    /// Items that were looked at, the newest last, separated by commas; at most 20 count, the newest. Without any, what is popular is
    /// answered.
    items: Option<String>,
    /// How many items, at most.
    #[param(minimum = 1, maximum = 100, default = 10)]
    count: Option<u16>,
}

/// What to show.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recommendations {
    /// The best first.
    items: Vec<RecommendedItem<'static>>,
    /// The items that it is made from, the newest first.
    based_on: Vec<String>,
    /// Age of the newest click that is in it, in milliseconds; absent where there is none.
    freshness_ms: Option<i64>,
}

/// What to show to a visitor.
#[utoipa::path(
    get, path = "/v1/visitors/{visitor_id}/recommendations", tag = "page",
    params(("visitor_id" = String, Path, description = "As in the visitor's clicks; one of whom nothing is known gets what is popular.", example = "v-12"), Wanted),
    responses(
        (status = 200, body = inline(Lagged<Recommendations>)),
        (status = 422, body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn recommendations(
    State(api): State<ApiState>,
    FromPath(visitor_id): FromPath<String>,
    FromQuery(wanted): FromQuery<Wanted>,
) -> Result<Json<Lagged<Recommendations>>, Problem> {
    let count = count(wanted.count)?;
    let running = api.live.view.running_session(&visitor_id);
    let session =
        running.as_ref().and_then(|record| serde_json::from_str::<RunningHead<'_>>(&record.json).ok());
    let items = session.as_ref().map(RunningHead::items).unwrap_or_default();
    let categories = session.as_ref().map(RunningHead::most_touched).unwrap_or_default();
    let chosen = api.recommended(&items, &categories, count);
    let freshness_ms = running.as_ref().map(|record| SystemClock.now().age_ms(record.event_time));
    Ok(api.lagged(Recommendations {
        items: chosen,
        based_on: items.iter().map(|item| (*item).to_owned()).collect(),
        freshness_ms,
    }))
}

/// What to show beside items that were looked at, for a page that knows them itself.
#[utoipa::path(
    get, path = "/v1/recommendations", tag = "page",
    params(WantedFor),
    responses(
        (status = 200, body = inline(Lagged<Recommendations>)),
        (status = 422, body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn recommendations_for(
    State(api): State<ApiState>,
    FromQuery(wanted): FromQuery<WantedFor>,
) -> Result<Json<Lagged<Recommendations>>, Problem> {
    let count = count(wanted.count)?;
    let mut items = Vec::<&str>::new();
    for item in wanted.items.as_deref().unwrap_or_default().rsplit(',').filter(|item| !item.is_empty()) {
        if items.len() < ITEMS_MAX && !items.contains(&item) {
            items.push(item);
        }
    }
    let chosen = api.recommended(&items, &[], count);
    let based_on = items.iter().map(|item| (*item).to_owned()).collect();
    Ok(api.lagged(Recommendations { items: chosen, based_on, freshness_ms: None }))
}

fn count(wanted: Option<u16>) -> Result<usize, Problem> {
    let count = wanted.unwrap_or(10);
    if (1..=COUNT_MAX).contains(&count) {
        return Ok(usize::from(count));
    }
    Err(Problem::unprocessable(format!("must be 1 to {COUNT_MAX}")).at("count"))
}

impl ApiState {
    fn recommended(
        &self,
        items: &[&str],
        categories: &[&str],
        count: usize,
    ) -> Vec<RecommendedItem<'static>> {
        // a millisecond of work: other requests go on meanwhile
        tokio::task::block_in_place(|| self.live.view.recommended(items, categories, count))
    }
}

/// A visitor's sessions as server-sent events, as they are and whenever they change: `running` with a record of `features.session`,
/// `published` with one of `sessions`. One who reads slowly misses changes in between, never the last.
#[utoipa::path(
    get, path = "/v1/visitors/{visitor_id}/events", tag = "page",
    params(("visitor_id" = String, Path, description = "As in the visitor's clicks.", example = "v-12")),
    responses(
        (status = 200, description = "A stream that does not end.", content_type = "text/event-stream", body = String)
    )
)]
pub(super) async fn events(
    State(api): State<ApiState>,
    FromPath(visitor_id): FromPath<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = api.streams.clone().try_acquire_owned();
    let place =
        place.map_err(|_| Problem::too_many("so many streams are open that no more are opened", 5))?;
    let told = Told {
        following: api.live.follow(&visitor_id),
        last: Followed::default(),
        waiting: Vec::new(),
        place,
    };
    let stream = futures::stream::unfold(told, |mut told| async move {
        let next = told.next().await?;
        Some((Ok(next), told))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

/// What one who follows a visitor was told.
struct Told {
    following: Following,
    last: Followed,
    /// What is to be told next, the last first.
    waiting: Vec<Event>,
    #[expect(dead_code, reason = "one of the places for streams is taken for as long as it lives")]
    place: OwnedSemaphorePermit,
}

impl Told {
    async fn next(&mut self) -> Option<Event> {
        while self.waiting.is_empty() {
            let now = self.following.changed().await?;
            let is_new = |before: &Option<Published>, now: &Option<Published>| {
                before.as_ref().map(|record| record.id) != now.as_ref().map(|record| record.id)
            };
            for (name, before, now) in [
                ("running", &self.last.running, &now.running),
                ("published", &self.last.session, &now.session),
            ] {
                let changed = now.as_ref().filter(|_| is_new(before, now));
                self.waiting.extend(changed.map(|record| Event::default().event(name).data(&*record.json)));
            }
            self.last = now;
        }
        self.waiting.pop()
    }
}
