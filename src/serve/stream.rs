//! Everything that those who watch over the shop want to see as it happens, as server-sent events.

use super::api::ApiState;
use super::live::Told;
use super::problem::Problem;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// How far the view is behind is told so often.
const LAG_INTERVAL: Duration = Duration::from_secs(5);

/// What happens, as server-sent events: `alert` with a revision of an alert, `decision` with a record of `scores.fraud`, `minute` with one of
/// `business.minutes` about all of the shop, `quality` with one of `quality.fraud`, `lag` with how
/// far the view is behind, every five seconds; `missed` with the number of events that a reader was too slow for.
#[utoipa::path(
    get, path = "/v1/stream", tag = "alerts",
    responses((status = 200, description = "A stream that does not end.", content_type = "text/event-stream", body = String))
)]
pub(super) async fn stream(
    State(api): State<ApiState>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = api.streams.clone().try_acquire_owned();
    let place =
        place.map_err(|_| Problem::too_many("so many streams are open that no more are opened", 5))?;
    let follower = Follower { news: api.live.follow_all(), api, place };
    let events = futures::stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct Follower {
    news: Receiver<Told>,
    api: ApiState,
    #[expect(dead_code, reason = "one of the places for streams is taken for as long as it lives")]
    place: OwnedSemaphorePermit,
}

impl Follower {
    async fn next(&mut self) -> Option<Event> {
        match tokio::time::timeout(LAG_INTERVAL, self.news.recv()).await {
            Ok(Ok(Told::Alert(record))) => Some(Event::default().event("alert").data(&*record.json)),
            Ok(Ok(Told::Decision(record))) => Some(Event::default().event("decision").data(&*record.json)),
            Ok(Ok(Told::Minute(record))) => Some(Event::default().event("minute").data(&*record.json)),
            Ok(Ok(Told::Quality(record))) => Some(Event::default().event("quality").data(&*record.json)),
            Ok(Err(RecvError::Lagged(missed))) => {
                Some(Event::default().event("missed").data(missed.to_string()))
            }
            Ok(Err(RecvError::Closed)) => None,
            Err(_) => {
                let lag = serde_json::to_string(&self.api.live.lag()).expect("two numbers");
                Some(Event::default().event("lag").data(lag))
            }
        }
    }
}
