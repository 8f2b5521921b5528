//! The page of the demo: the API of the service over the demo's own view, on this machine alone.

use crate::config::Config;
use crate::log::kafka::Behind;
use crate::log::submit::Mailbox;
use crate::serve::api::{Api, ApiSettings};
use crate::serve::clients::{Client, ClientRole, Clients};
use crate::serve::live::Live;
use crate::serve::rules::RulesInForce;
use crate::serve::{RoleStatus, Status, router};
use crate::time::{Clock, SystemClock};
use anyhow::Context as _;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::net::TcpListener;

/// The token with which the page is opened. What it shows was generated.
pub(super) const TOKEN: &str = "demo";
/// Requests per second and at once: a page asks for several parts.
const RATE: NonZeroU32 = NonZeroU32::new(1_000).unwrap();

/// A page that is served while the demo runs.
pub(super) struct Page {
    /// What it shows.
    pub(super) live: Arc<Live>,
    /// What is said through it.
    pub(super) mailbox: Arc<Mailbox>,
    /// Where it is.
    pub(super) address: SocketAddr,
    status: Status,
}

impl Page {
    /// Serves on `listen`, from a thread of its own.
    pub(super) fn open(config: &Config, listen: SocketAddr, stop: &Arc<AtomicBool>) -> anyhow::Result<Page> {
        let live = Arc::new(Live::new(config.serve.view, RulesInForce::declared(&config.fold)));
        let mailbox = Arc::new(Mailbox::default());
        let status = Status::new(stop.clone());
        let all = ClientRole::ALL.map(|(_, role)| role).to_vec();
        let client = Client::new(TOKEN.to_owned(), blake3::hash(TOKEN.as_bytes()), all, (RATE, RATE));
        let settings = ApiSettings {
            clients: Clients(vec![client]),
            score: config.serve.score.clone(),
            streams_max: config.serve.streams_max as usize,
            stop: stop.clone(),
            status: status.clone(),
        };
        let api = Api::new(settings, live.clone(), mailbox.clone(), &config.fold);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting tokio")?;
        let listener = runtime.block_on(TcpListener::bind(listen));
        let listener = listener.with_context(|| format!("listening on {listen}"))?;
        let address = listener.local_addr().context("listening")?;
        let routes = router(status.clone(), Some(api.metrics)).merge(api.router);
        let serve = move || drop(runtime.block_on(async { axum::serve(listener, routes).await }));
        std::thread::Builder::new().name("page".to_owned()).spawn(serve).context("starting a thread")?;
        Ok(Page { live, mailbox, address, status })
    }

    /// The view has everything that was published.
    pub(super) fn is_up_to_date(&self) {
        let behind = Behind { records: 0, known_at: SystemClock.now() };
        self.live.set_behind("demo", Some(behind));
        self.status.set("demo", RoleStatus::default());
    }
}
