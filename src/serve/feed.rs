//! Keeps the view up to date: a thread that reads the public topics for ever.

use super::live::Live;
use super::probes::{RoleStatus, Status};
use crate::log::kafka::{ClientSettings, Tail, TailStart};
use crate::log::{LogError, Topic};
use crate::telemetry::metrics::{self, Samples};
use crate::time::{Clock, ProcessingTime, Stopwatch, SystemClock, millis};
use crate::view::View;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(20);
const STATUS_INTERVAL: Duration = Duration::from_millis(250);
/// Before reading is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// A view is ready when so few records were left: those that come while it reads.
const NEARLY_NOTHING: u64 = 1_000;

/// What a feed needs.
pub struct Feed<'f> {
    /// The broker.
    pub client: &'f ClientSettings,
    /// How far back the public topics are read at the start.
    pub history: Duration,
    /// Says that it goes on.
    pub beat: &'f (dyn Fn() + Sync),
    /// Whether it is to end.
    pub may_end: &'f (dyn Fn() -> bool + Sync),
    /// Where it says how it stands.
    pub status: &'f Status,
}

impl Feed<'_> {
    /// Reads into `live` until told to stop.
    ///
    /// # Errors
    ///
    /// [`LogError`] that no new attempt gets over.
    pub fn run(&self, name: &'static str, live: &Live) -> Result<(), LogError> {
        while !(self.may_end)() {
            match self.read(name, live) {
                Err(fault @ LogError::Fatal(_)) => return Err(fault),
                Err(fault) => {
                    tracing::warn!(%fault, "the public topics cannot be read; trying again");
                    let waits_for = Some(format!("the public topics cannot be read: {fault}"));
                    self.status.set(name, RoleStatus { waits_for, samples: samples(live) });
                    live.set_behind(None);
                    self.pause();
                }
                Ok(()) => return Ok(()),
            }
        }
        Ok(())
    }

    fn read(&self, name: &'static str, live: &Live) -> Result<(), LogError> {
        let since = TailStart::Since(ProcessingTime(SystemClock.now().0 - millis(self.history)));
        let topics = View::TOPICS
            .map(|topic| (topic, if topic == Topic::Catalogue { TailStart::Earliest } else { since }));
        let tail = Tail::open(self.client, &topics)?;
        let (mut said, mut has_caught_up) = (Stopwatch::start(), false);
        while !(self.may_end)() {
            if let Some(fetched) = tail.poll(POLL)? {
                live.take(&fetched);
            }
            if said.elapsed() >= STATUS_INTERVAL {
                said = Stopwatch::start();
                (self.beat)();
                let behind = tail.behind();
                live.set_behind(behind);
                has_caught_up |= behind.is_some_and(|behind| behind.records <= NEARLY_NOTHING);
                let waits_for = (!has_caught_up).then(|| match behind {
                    None => "how much there is to read is not known yet".to_owned(),
                    Some(behind) => format!("{} published records are still to be read", behind.records),
                });
                self.status.set(name, RoleStatus { waits_for, samples: samples(live) });
            }
        }
        Ok(())
    }

    fn pause(&self) {
        (self.beat)();
        let begun = Stopwatch::start();
        while begun.elapsed() < PAUSE && !(self.may_end)() {
            std::thread::sleep(POLL);
        }
    }
}

fn samples(live: &Live) -> Samples {
    let mut samples = Samples::default();
    if let Some(records) = live.lag().records {
        samples.count(metrics::VIEW_LAG, &[], records);
    }
    for (what, size) in ["visitors", "entities", "decisions"].into_iter().zip(live.view.sizes()) {
        samples.count(metrics::VIEW_ENTRIES, &[what], size as u64);
    }
    let sizes = live.view.recommender().sizes();
    for (what, size) in
        [("sessions", sizes.sessions), ("catalogue", sizes.catalogue), ("popular_items", sizes.popular)]
    {
        samples.count(metrics::VIEW_ENTRIES, &[what], size as u64);
    }
    samples.count(metrics::MACHINE_SESSIONS, &[], sizes.machines);
    samples
}
