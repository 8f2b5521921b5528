//! What those who watch over the shop look at: decisions, sessions, minutes of the shop, fields, and the quality of scores, as they were
//! published lately.

use super::api::{ApiState, Lagged};
use super::extract::{FromPath, FromQuery, Limit};
use super::problem::Problem;
use super::visitors::raw;
use crate::event::business::MINUTE;
use crate::event::public::Action;
use crate::time::EventTime;
use crate::view::{Series, Stage, WindowKey};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

const DAY: Duration = Duration::from_secs(86_400);
/// What is answered of each, at most and usually.
const DECISIONS: Limit = Limit { name: "limit", most: 500, usually: 50 };
const MINUTES: Limit = Limit { name: "minutes", most: 1_440, usually: 60 };
const WINDOWS: Limit = Limit { name: "windows", most: 720, usually: 48 };
const DAYS: Limit = Limit { name: "days", most: 366, usually: 60 };
/// Characters of a name in a query.
const NAME_MAX: usize = 256;

fn name(field: &'static str, text: Option<String>) -> Result<Option<String>, Problem> {
    if text.as_ref().is_some_and(|text| text.chars().count() > NAME_MAX) {
        return Err(Problem::unprocessable(format!("has at most {NAME_MAX} characters")).at(field));
    }
    Ok(text)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedDecisions {
    /// How many, at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u16>,
}

/// Decisions, the one that was published last first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecentDecisions {
    /// Records of `scores.fraud`.
    #[schema(schema_with = super::openapi::fraud_scores)]
    decisions: Vec<Box<RawValue>>,
}

/// The newest decisions about payments.
#[utoipa::path(
    get, path = "/v1/decisions/recent", tag = "overview", params(WantedDecisions),
    responses(
        (status = 200, body = inline(Lagged<RecentDecisions>)),
        (status = 422, body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn recent_decisions(
    State(api): State<ApiState>,
    FromQuery(wanted): FromQuery<WantedDecisions>,
) -> Result<Json<Lagged<RecentDecisions>>, Problem> {
    let limit = DECISIONS.read(wanted.limit)?;
    let newest = api.live.view.recent.newest(usize::from(limit));
    Ok(api.lagged(RecentDecisions { decisions: newest.iter().map(raw).collect() }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedMinutes {
    /// How many, back from the newest.
    #[param(minimum = 1, maximum = 1440, default = 60)]
    minutes: Option<u16>,
}

/// How many decisions there were, minute by minute of the payments' own time, the oldest first; minutes without any are absent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DecisionMinutes {
    minutes: Vec<DecisionMinute>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct DecisionMinute {
    /// The beginning of the minute.
    minute_ms: i64,
    /// By what was decided.
    decisions: BTreeMap<&'static str, u64>,
}

/// Decisions by minute.
#[utoipa::path(
    get, path = "/v1/decisions/minutes", tag = "overview", params(WantedMinutes),
    responses(
        (status = 200, body = inline(Lagged<DecisionMinutes>)),
        (status = 422, body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn decision_minutes(
    State(api): State<ApiState>,
    FromQuery(wanted): FromQuery<WantedMinutes>,
) -> Result<Json<Lagged<DecisionMinutes>>, Problem> {
    let minutes = MINUTES.read(wanted.minutes)?;
    let of = |(minute, counts): (EventTime, BTreeMap<Action, u64>)| DecisionMinute {
        minute_ms: minute.0,
        decisions: counts.into_iter().map(|(action, count)| (action.name(), count)).collect(),
    };
    let minutes = api.live.view.recent.minutes(usize::from(minutes)).into_iter().map(of).collect();
    Ok(api.lagged(DecisionMinutes { minutes }))
}

/// Sessions that run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LiveSessions {
    /// How many.
    live: u64,
    /// By how far they have come: `browsing`, `viewed`, `cart`, `checkout`, `purchased`.
    by_stage: BTreeMap<&'static str, u64>,
    /// The newest event in any of them.
    as_of_ms: Option<i64>,
}

/// How many sessions run, and how far they have come.
#[utoipa::path(
    get, path = "/v1/sessions/live", tag = "overview",
    responses((status = 200, body = inline(Lagged<LiveSessions>)))
)]
pub(super) async fn live_sessions(State(api): State<ApiState>) -> Json<Lagged<LiveSessions>> {
    let (stages, newest) = api.live.view.live_sessions();
    let by_stage = Stage::NAMES.map(|(name, stage)| (name, stages.get(&stage).copied().unwrap_or(0)));
    api.lagged(LiveSessions {
        live: stages.values().sum(),
        by_stage: by_stage.into_iter().collect(),
        as_of_ms: newest.map(|time| time.0),
    })
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedShopMinutes {
    /// How many, back from the newest.
    #[param(minimum = 1, maximum = 1440, default = 60)]
    minutes: Option<u16>,
    /// Of this channel alone; all of the shop without this and a store.
    #[param(max_length = 256)]
    channel: Option<String>,
    /// Of this store alone.
    #[param(max_length = 256)]
    store_id: Option<String>,
}

/// Minutes of the shop, the oldest first, and where there are others.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShopMinutes {
    /// Records of `business.minutes`.
    #[schema(schema_with = super::openapi::business_minutes)]
    minutes: Vec<Box<RawValue>>,
    /// The channels of these minutes.
    channels: BTreeSet<Box<str>>,
    /// And the stores.
    stores: BTreeSet<Box<str>>,
}

/// What the shop did, minute by minute.
#[utoipa::path(
    get, path = "/v1/business/minutes", tag = "overview", params(WantedShopMinutes),
    responses(
        (status = 200, body = inline(Lagged<ShopMinutes>)),
        (status = 422, body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn shop_minutes(
    State(api): State<ApiState>,
    FromQuery(wanted): FromQuery<WantedShopMinutes>,
) -> Result<Json<Lagged<ShopMinutes>>, Problem> {
    let minutes = MINUTES.read(wanted.minutes)?;
    let channel = name("channel", wanted.channel)?;
    let store = name("store_id", wanted.store_id)?;
    let known = &api.live.view.minutes;
    let newest = known.last().map_or(EventTime(0), |(minute, _, _)| minute);
    let first = newest.minus(MINUTE * u32::from(minutes - 1));
    let (mut channels, mut stores, mut found) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for ((_, of_channel, of_store), record) in known.from((first, None, None).., |_| true) {
        let is_wanted = match &store {
            Some(store) => of_store.as_deref() == Some(store),
            None => of_store.is_none() && of_channel.as_deref() == channel.as_deref(),
        };
        if is_wanted {
            found.push(raw(&record));
        }
        channels.extend(of_channel);
        stores.extend(of_store);
    }
    Ok(api.lagged(ShopMinutes { minutes: found, channels, stores }))
}

/// Fields, each with its newest window.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Fields {
    /// Records of `drift.features`.
    #[schema(schema_with = super::openapi::feature_windows)]
    features: Vec<Box<RawValue>>,
}

/// What fields looked like in their newest window.
#[utoipa::path(
    get, path = "/v1/drift/features", tag = "overview",
    responses((status = 200, body = inline(Lagged<Fields>)))
)]
pub(super) async fn fields(State(api): State<ApiState>) -> Json<Lagged<Fields>> {
    let known = &api.live.view.windows;
    let day_before = known.last().map_or(EventTime(0), |(start, _, _)| start.minus(DAY));
    let first = (day_before, Box::from(""), Box::from(""));
    let newest: BTreeMap<_, _> = known
        .from(first.., |_| true)
        .into_iter()
        .map(|((_, stream, feature), record)| ((stream, feature), record))
        .collect();
    api.lagged(Fields { features: newest.values().map(raw).collect() })
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedWindows {
    /// How many, back from the newest.
    #[param(minimum = 1, maximum = 720, default = 48)]
    windows: Option<u16>,
}

/// Windows of a field, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FieldWindows {
    /// Records of `drift.features`.
    #[schema(schema_with = super::openapi::feature_windows)]
    windows: Vec<Box<RawValue>>,
}

/// What a field looked like, window by window.
#[utoipa::path(
    get, path = "/v1/drift/features/{stream}/{feature}", tag = "overview",
    params(
        ("stream" = String, Path, description = "The score whose decisions they are of.", example = "fraud"),
        ("feature" = String, Path, description = "The field.", example = "amount_minor"),
        WantedWindows
    ),
    responses(
        (status = 200, body = inline(Lagged<FieldWindows>)),
        (status = 422, body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn field(
    State(api): State<ApiState>,
    FromPath((stream, feature)): FromPath<(String, String)>,
    FromQuery(wanted): FromQuery<WantedWindows>,
) -> Result<Json<Lagged<FieldWindows>>, Problem> {
    let count = usize::from(WINDOWS.read(wanted.windows)?);
    let first = (EventTime(0), Box::from(""), Box::from(""));
    let is_it = |(_, of, name): &WindowKey| **of == *stream && **name == *feature;
    let found = api.live.view.windows.from(first.., is_it);
    if found.is_empty() {
        return Err(Problem::not_found("no window of such a field is known"));
    }
    let left_out = found.len().saturating_sub(count);
    let windows = found.iter().skip(left_out).map(|(_, record)| raw(record)).collect();
    Ok(api.lagged(FieldWindows { windows }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedQuality {
    /// Of this score alone.
    #[param(max_length = 256)]
    score: Option<String>,
    /// Days back from the newest.
    #[param(minimum = 1, maximum = 366, default = 60)]
    days: Option<u16>,
}

/// How good scores were, by day, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Quality {
    /// Records of `quality.fraud`: the last revision of each score and day.
    #[schema(schema_with = super::openapi::score_qualities)]
    days: Vec<Box<RawValue>>,
}

/// How good scores were, by day, as far as labels say.
#[utoipa::path(
    get, path = "/v1/quality", tag = "overview", params(WantedQuality),
    responses(
        (status = 200, body = inline(Lagged<Quality>)),
        (status = 422, body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn quality(
    State(api): State<ApiState>,
    FromQuery(wanted): FromQuery<WantedQuality>,
) -> Result<Json<Lagged<Quality>>, Problem> {
    let days = days_of(&api.live.view.quality, wanted)?;
    Ok(api.lagged(Quality { days }))
}

/// How good scores are expected to be, by day, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Expected {
    /// Records of `quality.expected`: the last revision of each score and day.
    #[schema(schema_with = super::openapi::expected_qualities)]
    days: Vec<Box<RawValue>>,
}

/// How good scores are expected to be, by day, while labels are missing, with the error of that.
#[utoipa::path(
    get, path = "/v1/quality/expected", tag = "overview", params(WantedQuality),
    responses(
        (status = 200, body = inline(Lagged<Expected>)),
        (status = 422, body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn expected_quality(
    State(api): State<ApiState>,
    FromQuery(wanted): FromQuery<WantedQuality>,
) -> Result<Json<Lagged<Expected>>, Problem> {
    let days = days_of(&api.live.view.expected, wanted)?;
    Ok(api.lagged(Expected { days }))
}

/// The last revision of each day that is wanted, back from the newest.
fn days_of(
    known: &Series<(EventTime, Box<str>)>,
    wanted: WantedQuality,
) -> Result<Vec<Box<RawValue>>, Problem> {
    let days = DAYS.read(wanted.days)?;
    let score = name("score", wanted.score)?;
    let newest = known.last().map_or(EventTime(0), |(day, _)| day);
    let first = newest.minus(DAY * u32::from(days - 1));
    let is_it = |(_, name): &(EventTime, Box<str>)| score.as_deref().is_none_or(|score| **name == *score);
    let found = known.from((first, Box::from("")).., is_it);
    Ok(found.iter().map(|(_, record)| raw(record)).collect())
}
