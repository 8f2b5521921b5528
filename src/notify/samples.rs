//! What the tests of this room begin with: an episode, and a receiver of each kind.

use super::receiver::Target;
use super::revision::{AlertTopic, Revision};
use super::secret::{Address, PlainHttp, Secret};
use super::settings::{NotifyConfig, PageUrl, ReceiverConfig, ReceiverKind};
use crate::event::alert::{
    Alert, AlertKind, AlertSegment, AlertStatus, Finding, Moved, Resolution, Severity,
};
use crate::time::{EventTime, ProcessingTime};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
/// 2026-01-05T10:01:00Z: the episode's first revision was published then, a minute after its detection.
pub(super) const START: ProcessingTime = ProcessingTime(1_767_607_260_000);
const DETECTED: EventTime = EventTime(1_767_607_200_000);

/// Revision so and so of an episode, each a minute after the one before.
pub(super) fn revision(number: u32) -> Revision {
    let after = MINUTE * (number - 1);
    let channel =
        AlertSegment { dimension: "channel".to_owned(), value: "app".to_owned(), share_of_change: 0.83 };
    let alert = Alert {
        alert_id: "0123456789abcdef".to_owned(),
        fingerprint: "fedcba9876543210".to_owned(),
        revision: number,
        status: AlertStatus::Open,
        kind: AlertKind::DataDrift,
        severity: Severity::Page,
        title: "basket_value moved in card".to_owned(),
        subject: "card".to_owned(),
        segment: Some(channel),
        since_ms: DETECTED.minus(HOUR),
        detected_ms: DETECTED,
        as_of_ms: EventTime(START.0).plus(after),
        resolved_ms: None,
        resolution: None,
        acknowledged: None,
        muted_until_ms: None,
        findings: vec![Finding {
            feature: "basket_value".to_owned(),
            what: Moved::Distribution,
            segment: None,
            category: None,
            from: 49.9,
            to: 62.1,
            since_ms: DETECTED.minus(HOUR),
            until_ms: DETECTED,
            count: 12_345,
            reference_count: 98_765.0,
            effect: 0.31,
            measures: BTreeMap::from([("psi".to_owned(), 0.31)]),
            statistic: 12.5,
            threshold: 9.0,
            histogram: None,
        }],
        findings_total: 1,
        causes: Vec::new(),
        read_by: vec!["card-model".to_owned()],
        decisions: 12_345,
        money_minor: BTreeMap::from([("EUR".to_owned(), 9_876_543)]),
        share: 0.4,
        command: "tillstream alerts records 0123456789abcdef".to_owned(),
        runbook: String::new(),
    };
    let id = format!("00000001-0-{number}");
    Revision { topic: AlertTopic::Drift, alert, id, published: START.plus(after) }
}

/// The last revision of the episode: it ended two hours after its detection.
pub(super) fn resolved(number: u32) -> Revision {
    let mut revision = revision(number);
    revision.alert.status = AlertStatus::Resolved;
    revision.alert.resolved_ms = Some(DETECTED.plus(HOUR * 2));
    revision.alert.resolution = Some(Resolution::Recovered);
    revision
}

fn address(url: &str) -> Address {
    Address::new(url, PlainHttp::Refused).expect("an address")
}

fn secret() -> Secret {
    Secret::new("s3cr3t-of-it")
}

/// A receiver of each kind; the Alertmanager is a cluster of two.
pub(super) fn config() -> NotifyConfig {
    let alertmanager = ReceiverKind::Alertmanager {
        urls: vec![address("http://127.0.0.1:9093"), address("http://127.0.0.1:9094")],
        repeat: ReceiverKind::REPEAT,
        resolved_for: ReceiverKind::RESOLVED_FOR,
        authorization: Some(secret()),
    };
    let url = ReceiverKind::pagerduty_url();
    let pagerduty = ReceiverKind::PagerDuty { url, routing_key: secret() };
    let slack = ReceiverKind::Slack { url: address("https://hooks.example.com/s3cr3t-of-it") };
    let url = address("https://example.com/hook");
    let webhook = ReceiverKind::Webhook { url, secret: secret(), authorization: Some(secret()) };
    let receivers =
        [("cluster", alertmanager), ("night", pagerduty), ("channel", slack), ("ticket", webhook)];
    NotifyConfig {
        application: "shop".to_owned(),
        page_url: PageUrl::new("https://till.example.com/alerts/{alert_id}").ok(),
        receivers: receivers.into_iter().map(|(name, kind)| ReceiverConfig::new(name, kind)).collect(),
    }
}

/// The first target of that name.
pub(super) fn target(name: &str) -> Target {
    Target::all(&config()).into_iter().find(|target| target.name == name).expect("one of that name")
}

pub(super) fn alertmanager_target() -> Target {
    target("cluster")
}

pub(super) fn pagerduty_target() -> (Target, Secret) {
    (target("night"), secret())
}

pub(super) fn slack_target() -> Target {
    target("channel")
}

pub(super) fn webhook_target() -> (Target, Secret) {
    (target("ticket"), secret())
}
