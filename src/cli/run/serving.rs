//! The HTTP side of an instance: probes and metrics, and the API if it has the role `serve`.

use super::{Instance, role_name};
use crate::config::Role;
use crate::log::kafka::Submitter;
use crate::serve::api::{Api, ApiSettings};
use crate::serve::clients::{Client, Clients};
use crate::serve::feed::Feed;
use crate::serve::router;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long requests may take to end once the roles have.
const REQUEST_PATIENCE: Duration = Duration::from_secs(2);
/// How long payments that wait for a broker are waited for.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);

/// A server that runs.
pub(super) struct Serving {
    http: JoinHandle<std::io::Result<()>>,
    stop: oneshot::Sender<()>,
    submitter: Option<Arc<Submitter>>,
}

impl Serving {
    /// Serves on `listener`.
    ///
    /// # Errors
    ///
    /// If the client library refuses the settings.
    pub(super) fn start(listener: TcpListener, instance: &Instance) -> anyhow::Result<Serving> {
        let (routes, submitter) = if instance.config.roles.contains(&Role::Serve) {
            let submitter = Submitter::new(&instance.client, instance.config.serve.score.waiting_max)?;
            let submitter = Arc::new(submitter);
            let api = api(instance, submitter.clone());
            (router(instance.status.clone(), Some(api.metrics)).merge(api.router), Some(submitter))
        } else {
            (router(instance.status.clone(), None), None)
        };
        let (stop, stopped) = oneshot::channel();
        let server = axum::serve(listener, routes).with_graceful_shutdown(async {
            drop(stopped.await);
        });
        Ok(Serving { http: tokio::spawn(server.into_future()), stop, submitter })
    }

    /// Lets requests end, and what was sent to be scored reach its topic.
    pub(super) async fn finish(self) {
        let Serving { mut http, stop, submitter } = self;
        drop(stop);
        // a stream of events does not end by itself
        if tokio::time::timeout(REQUEST_PATIENCE, &mut http).await.is_err() {
            http.abort();
        }
        let Some(submitter) = submitter else { return };
        let left = tokio::task::spawn_blocking(move || submitter.flush(FLUSH_PATIENCE)).await;
        if let Ok(left @ 1..) = left {
            tracing::error!(left, "payments that were to be scored did not reach their topic");
        }
    }
}

fn api(instance: &Instance, submitter: Arc<Submitter>) -> Api {
    let serve = &instance.config.serve;
    let clients = serve
        .clients
        .iter()
        .map(|client| Client::new(client.name.clone(), client.token, client.roles.clone(), client.rate));
    let settings = ApiSettings {
        clients: Clients(clients.collect()),
        score: serve.score.clone(),
        streams_max: serve.streams_max as usize,
        stop: instance.stop.clone(),
        status: instance.status.clone(),
    };
    Api::new(settings, instance.live.clone(), submitter, &instance.config.fold)
}

/// Keeps the view until the roles before it have ended: a score that is waited for still comes.
pub(super) fn keep_the_view(instance: &Instance) {
    let serve = &instance.config.serve;
    let feed = Feed {
        client: &instance.client,
        history: serve.history,
        push: instance.config.serve.push,
        sessions_history: serve.sessions_history,
        beat: &|| instance.heartbeats.beat(Role::Serve),
        may_end: &|| instance.stop.load(Ordering::Relaxed) && instance.is_last(Role::Serve),
        status: &instance.status,
    };
    feed.run(role_name(Role::Serve), &instance.live);
}
