//! The role `notify`: alerts to those on call.

use super::{Instance, group_of, role_name};
use crate::config::Role;
use crate::event::alert::Alert;
use crate::log::kafka::{ClientSettings, Lease, Submitter, Tail, TailStart};
use crate::log::{Fetched, Headers, LogError, LogRecord, Topic};
use crate::notify::{AlertTopic, DeadLetter, Notifier, NotifyConfig, Revision};
use crate::serve::RoleStatus;
use crate::telemetry::metrics::{self, Samples};
use crate::time::{ProcessingTime, Stopwatch, SystemClock, wait};
use anyhow::Context as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The topics that alerts stand on.
pub(super) const TOPICS: [(Topic, AlertTopic); 3] = [
    (Topic::AlertsDrift, AlertTopic::Drift),
    (Topic::AlertsFraud, AlertTopic::Fraud),
    (Topic::AlertsBusiness, AlertTopic::Business),
];
const POLL: Duration = Duration::from_millis(100);
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Before reading is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Dead letters that wait for a broker at most.
const LETTERS_MAX: u32 = 10_000;
/// Those that are still to be appended at the end are waited for so long.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);

/// Tells receivers of alerts until told to stop, whenever it is this instance's turn: one of all does, and the others stand by.
pub(super) fn keep_telling(instance: &Instance) -> anyhow::Result<()> {
    let config = instance.config.notify.as_ref().context("the role `notify` has no receivers")?;
    let mut letters = DeadLetters { client: &instance.client, submitter: None };
    let may_end = || instance.stop.load(Ordering::Relaxed);
    let mut lease = None;
    while !may_end() {
        match in_turn(&mut lease, instance) {
            Ok(Some(lease)) => tell(instance, lease, config, &mut letters)?,
            Ok(None) => say_how_it_stands(instance, None, None),
            Err(fault) => {
                lease = None;
                tracing::warn!(%fault, "whose turn it is to tell of alerts is not known; trying again");
                let waits_for = "it is not known who tells of alerts".to_owned();
                say_how_it_stands(instance, None, Some(waits_for));
                wait(PAUSE, may_end);
            }
        }
    }
    letters.finish();
    Ok(())
}

/// The lease, joined if there is none yet, while it is this instance's turn.
fn in_turn<'l>(lease: &'l mut Option<Lease>, instance: &Instance) -> Result<Option<&'l Lease>, LogError> {
    let lease = match lease {
        Some(lease) => lease,
        None => lease.insert(Lease::join(&instance.client, &group_of(&instance.config, Role::Notify))?),
    };
    Ok(lease.is_held(POLL)?.then_some(lease))
}

/// One turn. Each begins as a start does: what receivers know is not written down anywhere.
fn tell(
    instance: &Instance,
    lease: &Lease,
    config: &NotifyConfig,
    letters: &mut DeadLetters<'_>,
) -> anyhow::Result<()> {
    tracing::info!("this instance tells of alerts from here on");
    let notifier = Notifier::new(config, Arc::new(SystemClock)).context("making the clients of receivers")?;
    let is_over = AtomicBool::new(false);
    let may_end = || is_over.load(Ordering::Relaxed) || instance.stop.load(Ordering::Relaxed);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting tokio")?;
    std::thread::scope(|scope| {
        scope.spawn(|| runtime.block_on(notifier.run(&may_end)));
        // who cannot ask whose turn it is has none
        let has_turn = || !may_end() && lease.is_held(Duration::ZERO).unwrap_or(false);
        while has_turn() {
            if let Err(fault) = read(instance, (&notifier, letters), &has_turn) {
                tracing::warn!(%fault, "alerts cannot be read; trying again");
                let waits_for = "the alerts cannot be read".to_owned();
                say_how_it_stands(instance, Some(&notifier), Some(waits_for));
                wait(PAUSE, may_end);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    letters.bury(&notifier);
    tracing::info!("this instance no longer tells of alerts");
    Ok(())
}

/// Reads alerts from the beginning.
fn read(
    instance: &Instance,
    (notifier, letters): (&Notifier, &mut DeadLetters<'_>),
    has_turn: &dyn Fn() -> bool,
) -> Result<(), LogError> {
    let tail = Tail::open(&instance.client, &TOPICS.map(|(topic, _)| (topic, TailStart::Earliest)))?;
    let (mut has_caught_up, mut looked) = (false, Stopwatch::start());
    loop {
        let fetched = tail.poll(POLL)?;
        // an instance that stood still meanwhile has read what another has told
        if !has_turn() {
            return Ok(());
        }
        if let Some(fetched) = fetched {
            take(notifier, &fetched);
        }
        if looked.elapsed() < LOOK_INTERVAL {
            continue;
        }
        looked = Stopwatch::start();
        letters.bury(notifier);
        let behind = tail.behind();
        if !has_caught_up && behind.is_some_and(|behind| behind.records == 0) {
            has_caught_up = true;
            notifier.caught_up();
        }
        let waits_for = (!has_caught_up).then(|| "alerts are still to be read".to_owned());
        say_how_it_stands(instance, Some(notifier), waits_for);
    }
}

/// Publishes what will not arrive. Most never need a producer, so there is none before the first.
struct DeadLetters<'i> {
    client: &'i ClientSettings,
    submitter: Option<Submitter>,
}

impl DeadLetters<'_> {
    /// A topic that takes none is no reason to end: that they will not arrive has been said in the log.
    fn bury(&mut self, notifier: &Notifier) {
        for dead in notifier.dead_notifications() {
            if let Err(fault) = self.append(dead.letter()) {
                tracing::error!(%fault, alert_id = dead.alert.alert_id, "a dead letter of an alert is lost");
            }
        }
    }

    fn append(&mut self, letter: DeadLetter) -> Result<(), LogError> {
        let submitter = match &self.submitter {
            Some(submitter) => submitter,
            None => self.submitter.insert(Submitter::new(self.client, LETTERS_MAX)?),
        };
        let DeadLetter { key, value, headers } = letter;
        let (key, value, headers) = (Some(key), Some(value), Headers::Verbatim(headers));
        submitter.append(Topic::DeadLetter, &LogRecord { key, value, headers, timestamp_ms: None })?;
        Ok(())
    }

    /// Waits until all are appended, for a while at most.
    fn finish(self) {
        let left = self.submitter.map_or(0, |submitter| submitter.flush(FLUSH_PATIENCE));
        if left > 0 {
            tracing::error!(left, "dead letters of alerts did not reach their topic");
        }
    }
}

fn take(notifier: &Notifier, fetched: &Fetched) {
    let Some((_, topic)) = TOPICS.into_iter().find(|(topic, _)| *topic == fetched.partition.topic) else {
        return;
    };
    let record = &fetched.record;
    match (record.value.as_deref(), record.id()) {
        (Some(value), Some(id)) => match serde_json::from_slice::<Alert>(value) {
            Ok(alert) => notifier.take(Revision {
                topic,
                alert,
                id: id.to_string(),
                published: ProcessingTime(record.timestamp_ms.unwrap_or_default()),
            }),
            Err(fault) => {
                let (topic, offset) = (fetched.partition, fetched.offset);
                tracing::warn!(%topic, offset, %fault, "a record is no alert, and nobody is told of it");
            }
        },
        (None, _) => {
            let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
            key.into_iter().for_each(|fingerprint| notifier.erase(fingerprint));
        }
        (Some(_), None) => {}
    }
}

/// `notifier` is there while it is this instance's turn.
fn say_how_it_stands(instance: &Instance, notifier: Option<&Notifier>, waits_for: Option<String>) {
    instance.heartbeats.beat(Role::Notify);
    let mut samples = Samples::default();
    samples.count(metrics::NOTIFY_IS_TELLING, &[], u64::from(notifier.is_some()));
    for status in notifier.map(Notifier::status).unwrap_or_default() {
        let receiver = status.receiver.as_str();
        samples.count(metrics::NOTIFY_EPISODES, &[receiver], status.episodes as u64);
        samples.count(metrics::NOTIFY_WAITING, &[receiver], status.waiting as u64);
        samples.count(metrics::NOTIFY_REQUESTS, &[receiver, "taken"], status.requests_taken);
        samples.count(metrics::NOTIFY_REQUESTS, &[receiver, "failed"], status.requests_failed);
        samples.count(metrics::NOTIFY_DEAD, &[receiver], status.dead);
    }
    instance.status.set(role_name(Role::Notify), RoleStatus { waits_for, samples });
}
