//! Keeps the archive up to date: a thread that reads the archived topics for ever and writes ranges. No consumer group
//! knows it: how far it has come stands in the archive.

use super::range::RangeLimits;
use super::rows::Set;
use super::store::{ArchiveError, ObjectArchive};
use super::writer::Writer;
use crate::log::LogError;
use crate::log::kafka::{Behind, ClientSettings, Tail};
use crate::serve::{RoleStatus, Status};
use crate::store::Place;
use crate::telemetry::metrics::{self, Samples};
use crate::time::{Clock, ProcessingTime, Stopwatch, SystemClock, wait};
use anyhow::Context as _;
use std::time::Duration;

const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Before anything is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// What keeps an archive up to date.
pub struct ArchiveKeeper<'k> {
    /// The broker.
    pub client: &'k ClientSettings,
    /// Where the archive lies.
    pub place: &'k Place,
    /// When ranges are closed.
    pub limits: RangeLimits,
    /// Says that it goes on.
    pub beat: &'k (dyn Fn() + Sync),
    /// Whether it is to end.
    pub may_end: &'k (dyn Fn() -> bool + Sync),
    /// Where it says how it stands.
    pub status: &'k Status,
}

impl ArchiveKeeper<'_> {
    /// Writes until told to stop, and then what it holds. `name` is that of its role.
    ///
    /// # Errors
    ///
    /// If the topics are others than those that were archived so far, or the system gives no runtime.
    pub fn run(&self, name: &'static str) -> anyhow::Result<()> {
        std::thread::scope(|scope| {
            // a request to an object store may take longer than a heartbeat may
            let work = scope.spawn(|| self.work(name));
            while !work.is_finished() {
                (self.beat)();
                std::thread::sleep(LOOK_INTERVAL);
            }
            work.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the archive's thread panicked")))
        })
    }

    fn work(&self, name: &'static str) -> anyhow::Result<()> {
        let Some(mut writer) = self.begin(name)? else { return Ok(()) };
        while !(self.may_end)() {
            match self.read(name, &mut writer) {
                Ok(()) => {}
                Err(fault @ LogError::Fatal(_)) => return Err(fault.into()),
                Err(fault) => {
                    tracing::warn!(%fault, "the archived topics cannot be read; trying again");
                    self.say(name, Some(format!("the archived topics cannot be read: {fault}")));
                    self.pause(PAUSE);
                }
            }
        }
        // where the storage is away, the next start reads it again
        if writer.trouble().is_none()
            && let Err(fault) = writer.close_all()
        {
            tracing::warn!(%fault, "what was gathered is not archived; the next start reads it again");
        }
        Ok(())
    }

    /// A writer at the end of the archive; none if it is to end before there is one.
    fn begin(&self, name: &'static str) -> anyhow::Result<Option<Writer<ObjectArchive>>> {
        while !(self.may_end)() {
            let archive = ObjectArchive::open(self.place).context("starting a runtime for the archive")?;
            match Writer::begin(archive, self.limits) {
                Ok(writer) => return Ok(Some(writer)),
                Err(fault @ ArchiveError::Manifest { .. }) => return Err(fault.into()),
                Err(fault) => {
                    tracing::warn!(%fault, "the archive cannot be read; trying again");
                    self.say(name, Some(format!("the archive cannot be read: {fault}")));
                    self.pause(PAUSE);
                }
            }
        }
        Ok(None)
    }

    fn read(&self, name: &'static str, writer: &mut Writer<ObjectArchive>) -> Result<(), LogError> {
        let places = Set::ALL.map(|set| (set.topic(), writer.next_offsets(set)));
        let mut tail = Tail::open_at(self.client, &places)?;
        let mut said_at = None::<Stopwatch>;
        let mut listener = |writer: &Writer<ObjectArchive>, behind: Option<Behind>| {
            if said_at.is_none_or(|said_at| said_at.elapsed() >= LOOK_INTERVAL) {
                said_at = Some(Stopwatch::start());
                let samples = samples(writer, behind, SystemClock.now());
                // storage that is away is told by metrics and log: whoever scores beside this goes on
                self.status.set(name, RoleStatus { waits_for: None, samples });
            }
        };
        writer.gather(&mut tail, &SystemClock, &|| (self.may_end)(), &mut listener)
    }

    fn say(&self, name: &'static str, waits_for: Option<String>) {
        self.status.set(name, RoleStatus { waits_for, samples: Samples::default() });
    }

    fn pause(&self, patience: Duration) {
        wait(patience, self.may_end);
    }
}

fn samples(writer: &Writer<ObjectArchive>, behind: Option<Behind>, now: ProcessingTime) -> Samples {
    let mut samples = Samples::default();
    for set in Set::ALL {
        let (counts, set) = (writer.counts(set), [set.name()]);
        samples.count(metrics::ARCHIVED_ROWS, &set, counts.rows);
        samples.count(metrics::ARCHIVED_RANGES, &set, counts.ranges);
        samples.count(metrics::ARCHIVE_UNREADABLE, &set, counts.unreadable);
    }
    samples.count(metrics::ARCHIVE_FAILURES, &[], writer.failures());
    if let Some(behind) = behind {
        samples.count(metrics::ARCHIVE_LAG, &[], behind.records);
    }
    let waits = writer.oldest().map_or(Duration::ZERO, |oldest| now.since(oldest));
    samples.add(metrics::ARCHIVE_OLDEST, &[], waits.as_secs_f64());
    samples
}
