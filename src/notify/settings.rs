//! Which receivers there are, and how they are reached.

use super::filter::Filter;
use super::secret::{Address, AddressError, PlainHttp, Secret};
use crate::event::alert::{Alert, Severity};
use std::time::Duration;
use url::Url;

const MINUTE: Duration = Duration::from_secs(60);
/// Where PagerDuty takes events, unless an account is in another region.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// Who is told of episodes.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    /// Which tillstream this is: two that share a receiver must not be taken for one.
    pub application: String,
    /// The page of an episode.
    pub page_url: Option<PageUrl>,
    /// The receivers.
    pub receivers: Vec<ReceiverConfig>,
}

/// The page of an episode, as an address in which `{alert_id}` and `{fingerprint}` are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageUrl(String);

impl PageUrl {
    /// Reads an address. People's browsers follow it, so it may be plain HTTP; Alertmanager refuses alerts whose link is none.
    ///
    /// # Errors
    ///
    /// [`AddressError`].
    pub fn new(text: &str) -> Result<PageUrl, AddressError> {
        let page = PageUrl(text.trim().to_owned());
        let example = Url::parse(&page.named("0", "0")).map_err(|_| AddressError::NotAUrl)?;
        if matches!(example.scheme(), "https" | "http") { Ok(page) } else { Err(AddressError::Scheme) }
    }

    /// The page of this episode.
    pub(super) fn of(&self, alert: &Alert) -> String {
        self.named(&alert.alert_id, &alert.fingerprint)
    }

    fn named(&self, alert_id: &str, fingerprint: &str) -> String {
        self.0.replace("{alert_id}", alert_id).replace("{fingerprint}", fingerprint)
    }
}

/// A receiver.
#[derive(Debug, Clone)]
pub struct ReceiverConfig {
    /// Its name, for logs, metrics and dead letters; unique.
    pub name: String,
    /// What it is, and where.
    pub kind: ReceiverKind,
    /// What it hears of.
    pub filter: Filter,
    /// How often it may be called.
    pub rate: Rate,
    /// How far before our own start it may not have been told yet: older records count as told. What that means differs by kind,
    /// see [`ReceiverKind`].
    pub catch_up: Duration,
}

/// How often a receiver may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// One request per so long, in the long run; greater than zero.
    pub every: Duration,
    /// So many at once, at least 1.
    pub burst: u32,
}

impl Default for Rate {
    fn default() -> Rate {
        Rate { every: Duration::from_secs(1), burst: 10 }
    }
}

/// What a receiver is.
#[derive(Debug, Clone)]
pub enum ReceiverKind {
    /// Alertmanager (API v2). After our start every open episode is posted again, and one that ended within `resolved_for`;
    /// `catch_up` plays no part.
    Alertmanager {
        /// One, or all of a cluster: each is posted to. The API's path is appended.
        urls: Vec<Address>,
        /// How often an open episode is posted; it lapses after three times as long.
        repeat: Duration,
        /// For how long an episode that ended is still posted as ended.
        resolved_for: Duration,
        /// The header `authorization`, such as `Bearer …`.
        authorization: Option<Secret>,
    },
    /// PagerDuty (Events API v2). After our start every open episode is triggered again, which its key makes one with an incident
    /// that is still open; one that ended or was muted before `catch_up` is left as it is.
    PagerDuty {
        /// Where events are taken.
        url: Address,
        /// Which service they are for.
        routing_key: Secret,
    },
    /// A webhook that takes Slack's messages. After our start it is told of what was published within `catch_up`.
    Slack {
        /// Where; all of it is secret.
        url: Address,
    },
    /// Any other webhook. After our start it is sent what was published within `catch_up`.
    Webhook {
        /// Where.
        url: Address,
        /// What requests are signed with.
        secret: Secret,
        /// The header `authorization`, such as `Bearer …`.
        authorization: Option<Secret>,
    },
}

impl ReceiverKind {
    /// How often Alertmanager is told of an open episode. Its own `resolve_timeout` is five minutes by default.
    pub const REPEAT: Duration = MINUTE;
    /// For how long Alertmanager is told of the end: as long as Prometheus does.
    pub const RESOLVED_FOR: Duration = Duration::from_secs(15 * 60);

    /// Where PagerDuty takes events by default.
    #[must_use]
    pub fn pagerduty_url() -> Address {
        Address::new(PAGERDUTY, PlainHttp::Refused).expect("a constant that is an address")
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            ReceiverKind::Alertmanager { .. } => "alertmanager",
            ReceiverKind::PagerDuty { .. } => "pagerduty",
            ReceiverKind::Slack { .. } => "slack",
            ReceiverKind::Webhook { .. } => "webhook",
        }
    }

    /// The severities that it hears of unless told otherwise: PagerDuty wakes people; what is explained (`info`) is for nobody
    /// but machines that keep everything.
    #[must_use]
    pub fn default_severities(&self) -> Vec<Severity> {
        match self {
            ReceiverKind::PagerDuty { .. } => vec![Severity::Page],
            ReceiverKind::Alertmanager { .. } | ReceiverKind::Slack { .. } => {
                vec![Severity::Ticket, Severity::Page]
            }
            ReceiverKind::Webhook { .. } => Vec::new(),
        }
    }

    /// How far it is caught up with unless told otherwise. A second message in Slack is noise, a second resolve at PagerDuty
    /// changes nothing; a webhook knows a record again by its id, but may not have looked.
    #[must_use]
    pub fn default_catch_up(&self) -> Duration {
        match self {
            ReceiverKind::Slack { .. } => 5 * MINUTE,
            ReceiverKind::Webhook { .. } => 60 * MINUTE,
            ReceiverKind::Alertmanager { .. } | ReceiverKind::PagerDuty { .. } => 24 * 60 * MINUTE,
        }
    }
}

impl ReceiverConfig {
    /// With the defaults of its kind.
    #[must_use]
    pub fn new(name: &str, kind: ReceiverKind) -> ReceiverConfig {
        let filter = Filter { severities: kind.default_severities(), ..Filter::default() };
        let catch_up = kind.default_catch_up();
        ReceiverConfig { name: name.to_owned(), kind, filter, rate: Rate::default(), catch_up }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_link_that_a_browser_can_follow() {
        let page = PageUrl::new("https://till.example.com/{fingerprint}#{alert_id}").expect("a page");
        assert_eq!(page.named("a", "f"), "https://till.example.com/f#a");
        assert_eq!(PageUrl::new("till.example.com/{alert_id}"), Err(AddressError::NotAUrl));
        assert_eq!(PageUrl::new("mailto:ada@example.com"), Err(AddressError::Scheme));
    }

    #[test]
    fn pagerduty_has_an_address_of_its_own_and_wakes_nobody_for_a_ticket() {
        let url = ReceiverKind::pagerduty_url();
        assert_eq!(url.to_string(), "https://events.pagerduty.com");
        let kind = ReceiverKind::PagerDuty { url, routing_key: Secret::new("key") };
        let receiver = ReceiverConfig::new("night", kind);
        assert_eq!(receiver.filter.severities, [Severity::Page]);
        assert_eq!(receiver.rate, Rate { every: Duration::from_secs(1), burst: 10 });
    }
}
