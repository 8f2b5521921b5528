//! The API: its routes, and who may use them.

use super::about::{self, Declared};
use super::clients::{ClientName, ClientRole, Clients, Refused};
use super::counts::Counts;
use super::live::{Lag, Live};
use super::openapi::{document, with_records};
use super::probes::{Exposition, Status};
use super::problem::Problem;
use super::score::ScoreSettings;
use super::{alerts, changes, decisions, health, overview, page, score, stream, visitors};
use crate::engine::settings::FoldSettings;
use crate::event::DecisionId;
use crate::log::submit::{Receipt, Submit};
use crate::time::Stopwatch;
use crate::view::PaymentMark;
use crate::view::bounded::Bounded;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::timeout::RequestBodyTimeoutLayer;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Payments that are remembered as sent, so that none is sent twice.
const SENT_MAX: usize = 100_000;

/// A body of which nothing comes for so long is given up.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// Names a request in its answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Of a caller's own id at most so many characters are logged.
const LOGGED_ID_MAX: usize = 64;

/// A payment that was handed over.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) receipt: Receipt,
    pub(super) payment: PaymentMark,
}

/// What the API is made of.
#[derive(Debug)]
pub struct ApiSettings {
    /// Who may ask.
    pub clients: Clients,
    /// How scores are waited for.
    pub score: ScoreSettings,
    /// Streams of events that may be open.
    pub streams_max: usize,
    /// Whether the instance is about to end: then nothing is sent to be scored.
    pub stop: Arc<AtomicBool>,
    /// How its roles stand.
    pub status: Status,
}

/// What requests share.
#[derive(Clone)]
pub(super) struct ApiState(Arc<Shared>);

pub(super) struct Shared {
    pub(super) live: Arc<Live>,
    pub(super) score: ScoreSettings,
    pub(super) submitter: Arc<dyn Submit>,
    pub(super) sent: Bounded<DecisionId, Sent>,
    pub(super) fold: Arc<FoldSettings>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) status: Status,
    pub(super) streams: Arc<Semaphore>,
    pub(super) counts: Arc<Counts>,
    pub(super) declared: Declared,
    clients: Clients,
}

impl std::ops::Deref for ApiState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// An answer, and how far the view that it comes from is behind.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Lagged<T: ToSchema> {
    #[serde(flatten)]
    answer: T,
    /// How far the view is behind what was published.
    lag: Lag,
}

impl Shared {
    pub(super) fn lagged<T: ToSchema>(&self, answer: T) -> Json<Lagged<T>> {
        Json(Lagged { answer, lag: self.live.lag() })
    }
}

/// The API as a server takes it, and what it counts.
pub struct Api {
    /// Its routes.
    pub router: Router,
    /// Its metrics.
    pub metrics: Exposition,
}

impl Api {
    /// Over `live`; payments are handed to `submitter`.
    #[must_use]
    pub fn new(
        settings: ApiSettings,
        live: Arc<Live>,
        submitter: Arc<dyn Submit>,
        fold: &Arc<FoldSettings>,
    ) -> Api {
        let counts = Arc::new(Counts::new(&live.score_times));
        let state = ApiState(Arc::new(Shared {
            score: settings.score,
            submitter,
            stop: settings.stop,
            status: settings.status,
            sent: Bounded::new(SENT_MAX),
            streams: Arc::new(Semaphore::new(settings.streams_max)),
            counts: counts.clone(),
            declared: Declared::of(fold, live.rules.known()),
            live,
            fold: fold.clone(),
            clients: settings.clients,
        }));
        Api { router: router(&state), metrics: Arc::new(move || counts.exposition()) }
    }
}

fn router(state: &ApiState) -> Router {
    let (routes, document) = routes_of(state).split_for_parts();
    let document = Bytes::from(with_records(&document).to_string());
    let document =
        move || std::future::ready(([(header::CONTENT_TYPE, "application/json")], document.clone()));
    let open = Router::new().route("/v1/openapi.json", axum::routing::get(document));
    routes
        .with_state(state.clone())
        .merge(open)
        .merge(page::routes())
        .fallback(|| std::future::ready(Problem::not_found("there is no such route")))
        .method_not_allowed_fallback(|| {
            std::future::ready(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the route has no such method"))
        })
        .layer(DefaultBodyLimit::max(state.fold.payload_bytes_max))
        .layer(RequestBodyTimeoutLayer::new(BODY_PATIENCE))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), counted))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, Numbered::default()))
        .layer(from_fn(without_an_empty_id))
}

/// Every route with the roles that may use it.
fn routes_of(state: &ApiState) -> OpenApiRouter<ApiState> {
    use ClientRole::{Analyst, Checkout, Operator, Page};
    let page = OpenApiRouter::new()
        .routes(routes!(visitors::recommendations))
        .routes(routes!(visitors::intent))
        .routes(routes!(visitors::recommendations_for))
        .routes(routes!(visitors::events));
    let session = OpenApiRouter::new().routes(routes!(visitors::session));
    let checkout = OpenApiRouter::new().routes(routes!(score::score));
    let decisions = OpenApiRouter::new()
        .routes(routes!(decisions::decision))
        .routes(routes!(decisions::decision_of_payment));
    let overview = OpenApiRouter::new()
        .routes(routes!(overview::recent_decisions))
        .routes(routes!(overview::decision_minutes))
        .routes(routes!(overview::live_sessions))
        .routes(routes!(overview::shop_minutes))
        .routes(routes!(overview::fields))
        .routes(routes!(overview::field))
        .routes(routes!(overview::quality))
        .routes(routes!(overview::expected_quality))
        .routes(routes!(health::health));
    let analyst = OpenApiRouter::new().routes(routes!(decisions::features)).routes(routes!(about::declared));
    let alerts = OpenApiRouter::new()
        .routes(routes!(alerts::alerts))
        .routes(routes!(alerts::alert))
        .routes(routes!(changes::changes));
    let sayings = OpenApiRouter::new()
        .routes(routes!(alerts::say))
        .routes(routes!(stream::stream))
        .routes(routes!(changes::announce))
        .routes(routes!(changes::withdraw));
    let for_roles = |routes: OpenApiRouter<ApiState>, roles: &'static [ClientRole]| {
        routes.route_layer(from_fn_with_state((state.clone(), roles), admitted))
    };
    OpenApiRouter::with_openapi(document())
        .merge(for_roles(page, &[Page]))
        .merge(for_roles(session, &[Page, Analyst]))
        .merge(for_roles(checkout, &[Checkout]))
        .merge(for_roles(decisions, &[Checkout, Analyst, Operator]))
        .merge(for_roles(overview, &[Analyst, Operator]))
        .merge(for_roles(analyst, &[Analyst]))
        .merge(for_roles(alerts, &[Analyst, Operator]))
        .merge(for_roles(sayings, &[Operator]))
}

/// Lets a request through if its client may.
async fn admitted(
    State((state, roles)): State<(ApiState, &'static [ClientRole])>,
    mut request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(bearer);
    match state.clients.admit(token, roles) {
        Ok(client) => {
            let name = ClientName(client.name.clone());
            request.extensions_mut().insert(name);
            next.run(request).await
        }
        Err(Refused::Unknown) => {
            Problem::new(StatusCode::UNAUTHORIZED, "a bearer token of a declared client is required")
                .into_response()
        }
        Err(Refused::NotAllowed) => {
            Problem::new(StatusCode::FORBIDDEN, "this client has no role that may do this").into_response()
        }
        Err(Refused::TooMany(seconds)) => {
            Problem::too_many("this client makes more requests than it may", seconds).into_response()
        }
    }
}

/// The token of an `Authorization` header; the scheme's name is not case-sensitive.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Counts a request by its route, whatever it holds, and logs one that met a bug.
async fn counted(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let begun = Stopwatch::start();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.as_deref().unwrap_or("none");
    let request_id = request.headers().get(REQUEST_ID).map(logged);
    let response = next.run(request).await;
    let status = response.status();
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(route, request_id, "a request ended in a panic: a bug");
    }
    state.counts.answered(route, status.as_u16(), begun.elapsed());
    response
}

/// An id as the log has it: letters, digits, `-` and `_` alone.
fn logged(id: &HeaderValue) -> String {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    id.as_bytes().iter().filter(|byte| harmless(byte)).take(LOGGED_ID_MAX).copied().map(char::from).collect()
}

/// A request whose id is empty gets one.
async fn without_an_empty_id(mut request: Request, next: Next) -> Response {
    if request.headers().get(REQUEST_ID).is_some_and(HeaderValue::is_empty) {
        request.headers_mut().remove(REQUEST_ID);
    }
    next.run(request).await
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a bug; it is in the log").into_response()
}

/// Numbers the requests that bring no id of their own.
#[derive(Clone, Default)]
struct Numbered(Arc<AtomicU64>);

impl MakeRequestId for Numbered {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let id = HeaderValue::from_str(&format!("{:08x}-{number}", std::process::id())).ok()?;
        Some(RequestId::new(id))
    }
}
