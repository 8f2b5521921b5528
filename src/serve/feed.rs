//! Keeps the view up to date: threads that read the public topics for ever. Scores have one of their own: somebody waits for them.

use super::live::Live;
use super::probes::{RoleStatus, Status};
use super::push::{Push, PushSettings};
use crate::log::kafka::{Behind, ClientSettings, Tail, TailStart};
use crate::log::{LogError, Topic};
use crate::telemetry::metrics::{self, Samples};
use crate::time::{Clock, ProcessingTime, Stopwatch, SystemClock, millis, wait};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const POLL: Duration = Duration::from_millis(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Before reading is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// A view is ready when so few records were left: those that come while it reads.
const NEARLY_NOTHING: u64 = 1_000;
/// Without news of how far behind it is for so long, it is not ready.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A reader, and what it reads.
const READERS: [(&str, &[Topic]); 4] = [
    ("alerts", &[Topic::AlertsDrift, Topic::AlertsFraud, Topic::AlertsBusiness, Topic::AlertsControl]),
    (
        "the overview",
        &[Topic::BusinessMinutes, Topic::DriftFeatures, Topic::QualityFraud, Topic::QualityExpected],
    ),
    ("scores", &[Topic::ScoresFraud, Topic::LabelledFraud]),
    (
        "the rest",
        &[Topic::FeaturesFraud, Topic::FeaturesSession, Topic::Sessions, Topic::Catalogue, Topic::Rules],
    ),
];

/// What keeps a view up to date.
pub struct Feed<'f> {
    /// The broker.
    pub client: &'f ClientSettings,
    /// How far back public topics are read at the start.
    pub history: Duration,
    /// How far back sessions are.
    pub sessions_history: Duration,
    /// How recommendations are pushed, if they are.
    pub push: Option<PushSettings>,
    /// Says that it goes on.
    pub beat: &'f (dyn Fn() + Sync),
    /// Whether it is to end.
    pub may_end: &'f (dyn Fn() -> bool + Sync),
    /// Where it says how it stands.
    pub status: &'f Status,
}

impl Feed<'_> {
    /// Reads into `live` until told to stop. `name` is that of its role.
    pub fn run(&self, name: &'static str, live: &Live) {
        let caught_up = READERS.map(|_| AtomicBool::new(false));
        for (reader, _) in READERS {
            live.set_behind(reader, None);
        }
        std::thread::scope(|scope| {
            for ((reader, topics), caught_up) in READERS.into_iter().zip(&caught_up) {
                scope.spawn(move || self.keep_reading(reader, topics, live, caught_up));
            }
            if let Some(settings) = self.push {
                scope.spawn(move || self.keep_pushing(settings, live));
            }
            while !(self.may_end)() {
                (self.beat)();
                let waits_for =
                    waits_for(live, caught_up.iter().all(|reader| reader.load(Ordering::Relaxed)));
                self.status.set(name, RoleStatus { waits_for, samples: samples(live) });
                self.pause(LOOK_INTERVAL);
            }
        });
    }

    /// Whatever fails is tried again.
    fn keep_reading(&self, reader: &'static str, topics: &[Topic], live: &Live, caught_up: &AtomicBool) {
        while !(self.may_end)() {
            if let Err(fault) = self.read(reader, topics, live, caught_up) {
                tracing::warn!(%fault, reader, "the public topics cannot be read; trying again");
                live.set_behind(reader, None);
                self.pause(PAUSE);
            }
        }
    }

    /// Once the view knows what was there: nobody is pushed what is popular because nothing else is known yet.
    fn keep_pushing(&self, settings: PushSettings, live: &Live) {
        let push = Push { client: self.client, settings, may_end: self.may_end };
        while !(self.may_end)() {
            if live.lag().records.is_none_or(|records| records > NEARLY_NOTHING) {
                self.pause(LOOK_INTERVAL);
            } else if let Err(fault) = push.run(live) {
                tracing::warn!(%fault, "recommendations cannot be pushed; trying again");
                self.pause(PAUSE);
            }
        }
    }

    fn read(
        &self,
        reader: &'static str,
        topics: &[Topic],
        live: &Live,
        caught_up: &AtomicBool,
    ) -> Result<(), LogError> {
        let now = SystemClock.now().0;
        let since = |back| TailStart::Since(ProcessingTime(now - millis(back)));
        let starts = topics.iter().map(|topic| match topic {
            Topic::Catalogue | Topic::Rules | Topic::AlertsControl => (*topic, TailStart::Earliest),
            topic if Topic::ALERTS.contains(topic) => (*topic, TailStart::Earliest),
            Topic::Sessions => (*topic, since(self.sessions_history)),
            _ => (*topic, since(self.history)),
        });
        let tail = Tail::open(self.client, &starts.collect::<Vec<_>>())?;
        let mut looked = Stopwatch::start();
        while !(self.may_end)() {
            if let Some(fetched) = tail.poll(POLL)? {
                live.take(&fetched);
            }
            if looked.elapsed() >= LOOK_INTERVAL {
                looked = Stopwatch::start();
                let behind = tail.behind();
                live.set_behind(reader, behind);
                if behind.is_some_and(|behind: Behind| behind.records <= NEARLY_NOTHING) {
                    caught_up.store(true, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }

    fn pause(&self, patience: Duration) {
        wait(patience, self.may_end);
    }
}

/// Why the view cannot answer yet, or no longer.
fn waits_for(live: &Live, has_caught_up: bool) -> Option<String> {
    let lag = live.lag();
    match (lag.records, lag.known_ms_ago) {
        (Some(_), Some(ms)) if ms > millis(SILENCE_MAX) => {
            Some(format!("the broker has not said for {} s how much there is to read", ms / 1_000))
        }
        (Some(_), _) if has_caught_up => None,
        (Some(records), _) => Some(format!("{records} published records are still to be read")),
        (None, _) => Some("how much there is to read is not known yet".to_owned()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floats only; exact to 2^53")]
fn samples(live: &Live) -> Samples {
    let mut samples = Samples::default();
    let lag = live.lag();
    if let (Some(records), Some(ms)) = (lag.records, lag.known_ms_ago) {
        samples.count(metrics::VIEW_LAG, &[], records);
        samples.add(metrics::VIEW_LAG_AGE, &[], ms as f64 / 1_000.0);
    }
    for (topic, count) in live.unreadable() {
        samples.count(metrics::VIEW_UNREADABLE, &[topic.name()], count);
    }
    for (what, size) in ["visitors", "entities", "decisions", "verdicts"].into_iter().zip(live.view.sizes()) {
        samples.count(metrics::VIEW_ENTRIES, &[what], size as u64);
    }
    let sizes = live.view.recommender().sizes();
    for (what, size) in
        [("sessions", sizes.sessions), ("catalogue", sizes.catalogue), ("popular_items", sizes.popular)]
    {
        samples.count(metrics::VIEW_ENTRIES, &[what], size as u64);
    }
    let intent = live.view.intent_quality();
    samples.count(metrics::INTENT_SESSIONS, &[], intent.sessions);
    samples.add(metrics::INTENT_LOG_LOSS, &["model"], intent.log_loss);
    samples.add(metrics::INTENT_LOG_LOSS, &["rate"], intent.log_loss_of_rate);
    samples.count(metrics::MACHINE_SESSIONS, &[], sizes.machines);
    samples.count(metrics::PUSHED, &[], live.pushed_in_all());
    samples
}
