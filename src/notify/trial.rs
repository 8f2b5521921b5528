//! A test alert through each receiver: opened, and resolved again.

use super::answer::{Answer, Meaning};
use super::deliver::{ClientError, client, send};
use super::receiver::{Memory, Parcel, Target};
use super::revision::{AlertTopic, Revision};
use super::settings::NotifyConfig;
use super::told::{Ended, Word};
use crate::event::alert::{Alert, AlertKind, AlertStatus, Resolution, Severity};
use crate::time::{Clock, EventTime, ProcessingTime};
use futures::future::join_all;
use std::collections::BTreeMap;

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The name of the receiver.
    pub receiver: String,
    /// Its scheme, host and port.
    pub target: String,
    /// What went wrong with the alert and with its end, without secrets; nothing if both were taken.
    pub faults: Vec<String>,
}

/// There is no receiver of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no receiver is called `{name}`; there are: {known}")]
pub struct UnknownReceiver {
    /// The name.
    pub name: String,
    /// Those there are.
    pub known: String,
}

/// Sends a test alert, and its end, through each receiver, or through the one called `only`: once, whatever its filter and
/// its rate. Receivers are tested at the same time; the order is that of the configuration.
///
/// # Errors
///
/// [`UnknownReceiver`].
pub async fn try_receivers(
    config: &NotifyConfig,
    only: Option<&str>,
    clock: &(dyn Clock + Sync),
) -> Result<Vec<Trial>, UnknownReceiver> {
    let known: Vec<_> = config.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
    if let Some(name) = only.filter(|name| !known.contains(name)) {
        return Err(UnknownReceiver { name: name.to_owned(), known: known.join(", ") });
    }
    let targets = Target::all(config).into_iter();
    let targets = targets.filter(|target| only.is_none_or(|name| name == target.name));
    Ok(join_all(targets.map(|target| tried(target, clock))).await)
}

async fn tried(target: Target, clock: &(dyn Clock + Sync)) -> Trial {
    let faults = match client(&target.address) {
        Ok(client) => {
            let mut faults = Vec::new();
            let opened = revision(&target, clock.now(), AlertStatus::Open);
            let ended = revision(&target, clock.now(), AlertStatus::Resolved);
            for (what, revision, word) in [("alert", opened, Word::Opened), ("its end", ended, Word::Over)] {
                let Some(request) = target.request(&[parcel(&target, revision, word)], clock.now()) else {
                    continue;
                };
                let answer = send(&client, request).await;
                faults.extend(fault(&target, &answer, clock.now()).map(|fault| format!("{what}: {fault}")));
            }
            faults
        }
        Err(ClientError { why, .. }) => vec![why],
    };
    Trial { receiver: target.name.clone(), target: target.address.to_string(), faults }
}

fn fault(target: &Target, answer: &Answer, now: ProcessingTime) -> Option<String> {
    let is_told = answer.meaning(now) == Meaning::Told;
    (!is_told).then(|| answer.in_words(|text| target.hide_in(text)))
}

fn parcel(target: &Target, revision: Revision, word: Word) -> Parcel {
    let word = if target.memory() == Memory::States { Word::State } else { word };
    let ended = revision.alert.resolved_ms.map(|ended| Ended { noticed: revision.published, ended });
    let sets = vec![(revision.alert.severity, ended)];
    Parcel { sets, ..Parcel::new(revision, word) }
}

/// An episode of this moment, of a severity, a kind and a topic that the receiver hears of.
fn revision(target: &Target, now: ProcessingTime, status: AlertStatus) -> Revision {
    let filter = &target.filter;
    let at = EventTime(now.0);
    let is_over = status == AlertStatus::Resolved;
    let alert = Alert {
        alert_id: format!("{:016x}", now.0),
        fingerprint: format!("{:016x}", 0),
        revision: if is_over { 2 } else { 1 },
        status,
        kind: filter.kinds.first().copied().unwrap_or(AlertKind::Business),
        severity: filter.severities.iter().max().copied().unwrap_or(Severity::Page),
        title: "Test of this receiver: nothing is wrong, nothing is to be done".to_owned(),
        subject: "test".to_owned(),
        segment: None,
        since_ms: at,
        detected_ms: at,
        as_of_ms: at,
        resolved_ms: is_over.then_some(at),
        resolution: is_over.then_some(Resolution::Expected),
        acknowledged: None,
        muted_until_ms: None,
        findings: Vec::new(),
        findings_total: 0,
        causes: Vec::new(),
        read_by: Vec::new(),
        decisions: 0,
        money_minor: BTreeMap::new(),
        share: 0.0,
        command: "tillstream notify test".to_owned(),
        runbook: String::new(),
    };
    let topic = filter.topics.first().copied().unwrap_or(AlertTopic::Business);
    Revision { topic, id: format!("test-{}-{}", alert.alert_id, alert.revision), alert, published: now }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::samples::config;
    use crate::time::SystemClock;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(future)
    }

    #[test]
    fn a_receiver_that_is_not_there_is_named_with_those_that_are() {
        let tried = block_on(try_receivers(&config(), Some("nobody"), &SystemClock));
        let message = tried.expect_err("no such receiver").to_string();
        assert_eq!(message, "no receiver is called `nobody`; there are: cluster, night, channel, ticket");
    }

    #[test]
    fn a_test_alert_passes_the_filter_of_its_receiver() {
        for target in Target::all(&config()) {
            assert!(target.filter.passes(&revision(&target, ProcessingTime(1), AlertStatus::Open)));
        }
    }
}
