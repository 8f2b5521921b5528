//! A receiver as an outbox sees it: what it is told next, and the request that says so.

use super::filter::Filter;
use super::revision::Revision;
use super::secret::{Address, Secret};
use super::settings::{NotifyConfig, PageUrl, Rate, ReceiverConfig, ReceiverKind};
use super::told::{Due, Ended, Known, View, Word};
use super::{alertmanager, pace, pagerduty, slack, webhook};
use crate::event::alert::{Alert, Severity};
use crate::time::ProcessingTime;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The path of Alertmanager's API below its address.
const ALERTS: [&str; 3] = ["api", "v2", "alerts"];
/// Episodes in one request to Alertmanager. Each is at most 3 sets of labels of about 3 KB: 2 MB.
const EPISODES_PER_REQUEST: usize = 200;

/// A request: all are `POST`. Its debug form shows nothing that may be secret.
#[derive(Clone)]
pub struct Request {
    /// Where.
    pub address: Address,
    /// Its headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Request {
    /// With `body` in JSON.
    pub(super) fn json(address: Address, body: &impl Serialize) -> Request {
        let body = serde_json::to_vec(body).expect("texts, numbers and maps with texts as keys serialise");
        Request { address, headers: vec![("content-type", "application/json".to_owned())], body }
    }

    /// Adds the header `authorization`.
    pub(super) fn authorize(&mut self, authorization: Option<&Secret>) {
        self.headers.extend(authorization.map(|secret| ("authorization", secret.reveal().to_owned())));
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, into: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        let bytes = self.body.len();
        write!(into, "Request({:?}, {names:?}, {bytes} bytes)", self.address)
    }
}

/// A revision on its way.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) revision: Arc<Revision>,
    pub(super) word: Word,
    /// Alertmanager only: the sets of labels that are shown.
    pub(super) sets: Vec<(Severity, Option<Ended>)>,
}

impl Parcel {
    pub(super) fn new(revision: impl Into<Arc<Revision>>, word: Word) -> Parcel {
        Parcel { revision: revision.into(), word, sets: Vec::new() }
    }
}

/// One address of a receiver.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The name of the receiver.
    pub(super) name: String,
    pub(super) address: Address,
    pub(super) application: String,
    pub(super) filter: Filter,
    pub(super) rate: Rate,
    pub(super) catch_up: Duration,
    page_url: Option<PageUrl>,
    kind: ReceiverKind,
}

impl Target {
    /// The targets of all receivers.
    pub(super) fn all(config: &NotifyConfig) -> Vec<Target> {
        config.receivers.iter().flat_map(|receiver| Target::of(receiver, config)).collect()
    }

    fn of(receiver: &ReceiverConfig, config: &NotifyConfig) -> Vec<Target> {
        let addresses = match &receiver.kind {
            ReceiverKind::Alertmanager { urls, .. } => urls.iter().map(|url| url.below(&ALERTS)).collect(),
            ReceiverKind::PagerDuty { url, .. }
            | ReceiverKind::Slack { url }
            | ReceiverKind::Webhook { url, .. } => vec![url.clone()],
        };
        let target = |address| Target {
            name: receiver.name.clone(),
            address,
            application: config.application.clone(),
            filter: receiver.filter.clone(),
            rate: receiver.rate,
            catch_up: receiver.catch_up,
            page_url: config.page_url.clone(),
            kind: receiver.kind.clone(),
        };
        addresses.into_iter().map(target).collect()
    }

    /// Takes note of what an episode is now.
    pub(super) fn observe(&self, known: &mut Known, view: &View<'_>) {
        if let ReceiverKind::Alertmanager { resolved_for, .. } = self.kind {
            alertmanager::observe(known, view, resolved_for);
        }
    }

    /// What is said next.
    pub(super) fn due(&self, known: &Known, view: &View<'_>) -> Due {
        match &self.kind {
            ReceiverKind::Alertmanager { repeat, .. } => alertmanager::due(known, view, *repeat),
            ReceiverKind::PagerDuty { .. } => pagerduty::due(known, view),
            ReceiverKind::Slack { .. } => slack::due(known, view),
            ReceiverKind::Webhook { .. } => webhook::due(known, view),
        }
    }

    /// The request that says it; of several parcels only where [`Target::parcels_max`] allows them.
    pub(super) fn request(&self, parcels: &[Parcel], now: ProcessingTime) -> Option<Request> {
        let request = match &self.kind {
            ReceiverKind::Alertmanager { repeat, authorization, .. } => {
                alertmanager::request(self, (*repeat, authorization.as_ref()), parcels, now)
            }
            ReceiverKind::PagerDuty { routing_key, .. } => {
                pagerduty::request(self, routing_key, parcels.first()?)
            }
            ReceiverKind::Slack { .. } => slack::request(self, parcels.first()?),
            ReceiverKind::Webhook { secret, authorization, .. } => {
                webhook::request(self, (secret, authorization.as_ref()), parcels.first()?, now)
            }
        };
        Some(request)
    }

    /// How many episodes one request may be about.
    pub(super) fn parcels_max(&self) -> usize {
        match self.kind {
            ReceiverKind::Alertmanager { .. } => EPISODES_PER_REQUEST,
            ReceiverKind::PagerDuty { .. } | ReceiverKind::Slack { .. } | ReceiverKind::Webhook { .. } => 1,
        }
    }

    /// What would be due so soon goes along with what is.
    pub(super) fn goes_along(&self) -> Duration {
        match self.kind {
            ReceiverKind::Alertmanager { repeat, .. } => repeat / 2,
            ReceiverKind::PagerDuty { .. } | ReceiverKind::Slack { .. } | ReceiverKind::Webhook { .. } => {
                Duration::ZERO
            }
        }
    }

    /// How long a message waits after so many attempts that failed. What is repeated anyway waits no longer than that.
    pub(super) fn pause(&self, attempts: u32) -> Duration {
        let pause = pace::pause(attempts);
        match self.kind {
            ReceiverKind::Alertmanager { repeat, .. } => pause.min(repeat),
            ReceiverKind::PagerDuty { .. } | ReceiverKind::Slack { .. } | ReceiverKind::Webhook { .. } => {
                pause
            }
        }
    }

    /// What a start assumes of records that it reads again.
    pub(super) fn memory(&self) -> Memory {
        match self.kind {
            ReceiverKind::Alertmanager { .. } => Memory::States,
            ReceiverKind::PagerDuty { .. } => Memory::Keys,
            ReceiverKind::Slack { .. } | ReceiverKind::Webhook { .. } => Memory::Messages,
        }
    }

    /// What Alertmanager may have of an episode that is not open.
    pub(super) fn assume(known: &mut Known, view: &View<'_>) {
        alertmanager::assume(known, view);
    }

    /// The page of an episode.
    pub(super) fn page(&self, alert: &Alert) -> Option<String> {
        self.page_url.as_ref().map(|url| url.of(alert))
    }

    /// `text` without anything that is secret.
    pub(super) fn hide_in(&self, text: &str) -> String {
        let secrets = match &self.kind {
            ReceiverKind::Alertmanager { authorization, .. } => [authorization.as_ref(), None],
            ReceiverKind::PagerDuty { routing_key, .. } => [Some(routing_key), None],
            ReceiverKind::Slack { .. } => [None, None],
            ReceiverKind::Webhook { secret, authorization, .. } => [Some(secret), authorization.as_ref()],
        };
        let text = self.address.hide_in(text);
        secrets.into_iter().flatten().fold(text, |text, secret| secret.hide_in(&text))
    }
}

/// How a receiver takes what it was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// It lapses: tell it again.
    States,
    /// It knows episodes by a key: tell it again, but not of what is long over.
    Keys,
    /// It knows nothing: what is older than the catch-up was told, or never will be.
    Messages,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::samples::{START, alertmanager_target, config, revision};

    #[test]
    fn each_alertmanager_of_a_cluster_is_a_target_of_its_own() {
        let targets = Target::all(&config());
        let shown: Vec<_> =
            targets.iter().map(|target| (&*target.name, target.address.to_string())).collect();
        let am = |port| ("cluster", format!("http://127.0.0.1:{port}"));
        assert_eq!(shown.get(..2), Some(&[am(9093), am(9094)][..]));
        let path = targets.first().map(|target| target.address.reveal().path().to_owned());
        assert_eq!(path.as_deref(), Some("/api/v2/alerts"));
    }

    #[test]
    fn neither_a_target_nor_a_request_shows_a_secret() {
        for target in Target::all(&config()) {
            let parcel = Parcel::new(revision(1), Word::Opened);
            let request = target.request(&[parcel], START).expect("a parcel");
            let shown = format!("{target:?} {request:?}");
            assert!(!shown.contains("s3cr3t"), "{shown}");
            assert!(!target.hide_in("unknown: s3cr3t-of-it").contains("s3cr3t"), "{target:?}");
        }
    }

    #[test]
    fn the_page_of_an_episode_is_named_by_its_id() {
        let page = alertmanager_target().page(&revision(1).alert);
        assert_eq!(page.as_deref(), Some("https://till.example.com/alerts/0123456789abcdef"));
    }
}
