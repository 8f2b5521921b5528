//! Event time and processing time, and the one place where a clock is read.
//!
//! Event time is when something happened in the shop; only it decides results. Processing time is
//! when we handle it; it decides when to commit, to send a heartbeat and to stop waiting. Both are
//! milliseconds since the Unix epoch, in types that cannot be swapped.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When it happened in the shop, in milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTime(pub i64);

impl EventTime {
    /// The end of time: no event is later (the last millisecond of the year 9999).
    pub const MAX: EventTime = EventTime(253_402_300_799_999);

    /// The same instant `by` later, at most [`EventTime::MAX`].
    #[must_use]
    pub fn plus(self, by: Duration) -> EventTime {
        EventTime(self.0.saturating_add(millis(by)).min(Self::MAX.0))
    }

    /// The same instant `by` earlier.
    #[must_use]
    pub fn minus(self, by: Duration) -> EventTime {
        EventTime(self.0.saturating_sub(millis(by)))
    }

    /// The beginning of the window of that length that holds it; windows follow each other from the epoch on.
    #[must_use]
    pub fn floor(self, length: Duration) -> EventTime {
        let length = millis(length).max(1);
        EventTime(self.0.div_euclid(length).saturating_mul(length))
    }

    /// The hour of its day in UTC, 0 to 23.
    #[must_use]
    pub fn hour(self) -> u8 {
        u8::try_from(self.0.div_euclid(3_600_000).rem_euclid(24)).expect("less than 24")
    }

    /// The day of its week in UTC: Monday is 1, Sunday 7.
    #[must_use]
    pub fn weekday(self) -> u8 {
        // 1970 began on a Thursday
        u8::try_from((self.0.div_euclid(86_400_000) + 3).rem_euclid(7) + 1).expect("at most 7")
    }

    /// Milliseconds from `earlier` to `self`; negative if `earlier` is in fact later.
    #[must_use]
    pub fn since(self, earlier: EventTime) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A time as RFC 3339 has it, in UTC, to the second.
#[must_use]
pub fn rfc3339(time: EventTime) -> String {
    let time = jiff::Timestamp::from_millisecond(time.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A part of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first moment.
    pub from: EventTime,
    /// The first moment after it.
    pub until: EventTime,
}

impl Period {
    /// Whether a moment belongs to it.
    #[must_use]
    pub fn has(&self, time: EventTime) -> bool {
        (self.from..self.until).contains(&time)
    }
}

/// When we handle it, in milliseconds since the Unix epoch. Never part of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProcessingTime(pub i64);

impl ProcessingTime {
    /// The same instant `by` later.
    #[must_use]
    pub fn plus(self, by: Duration) -> ProcessingTime {
        ProcessingTime(self.0.saturating_add(millis(by)))
    }

    /// How many milliseconds ago `event` was; below zero if its clock goes ahead of ours.
    #[must_use]
    pub fn age_ms(self, event: EventTime) -> i64 {
        self.0.saturating_sub(event.0)
    }

    /// How long ago `earlier` was; zero if the clock went back in between.
    #[must_use]
    pub fn since(self, earlier: ProcessingTime) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// `by` in whole milliseconds, saturating.
#[must_use]
pub fn millis(by: Duration) -> i64 {
    i64::try_from(by.as_millis()).unwrap_or(i64::MAX)
}

/// A clock, for the edge only: logs and servers hold one, operators never do.
pub trait Clock {
    /// The present moment.
    fn now(&self) -> ProcessingTime;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> ProcessingTime {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        ProcessingTime(millis(since_epoch))
    }
}

/// A monotone stopwatch, for measuring how long something took.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "measures durations at the edge; decides no result")]
    pub fn start() -> Stopwatch {
        Stopwatch(std::time::Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// As if it had been started so long ago.
    #[cfg(test)]
    #[expect(clippy::disallowed_methods, reason = "a test's clock")]
    pub(crate) fn started_before(ago: Duration) -> Stopwatch {
        Stopwatch(std::time::Instant::now().checked_sub(ago).expect("the machine is up for longer"))
    }
}

/// Waits for so long, or until `is_over`, which is looked at every 20 ms. For threads at the edge.
pub fn wait(patience: Duration, is_over: impl Fn() -> bool) {
    let begun = Stopwatch::start();
    while begun.elapsed() < patience && !is_over() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_begins_at_a_multiple_of_its_length_before_the_epoch_too() {
        let minute = Duration::from_secs(60);
        let floors = [0, 59_999, 60_000, -1].map(|time| EventTime(time).floor(minute).0);
        assert_eq!(floors, [0, 0, 60_000, -60_000]);
        assert_eq!(EventTime(7).floor(Duration::ZERO), EventTime(7));
    }

    #[test]
    fn hours_and_weekdays_are_those_of_utc() {
        // Monday, 2026-01-05, 10:00, and the last millisecond before it
        let monday = EventTime(1_767_607_200_000);
        assert_eq!((monday.hour(), monday.weekday()), (10, 1));
        let before = EventTime(1_767_571_199_999);
        assert_eq!((before.hour(), before.weekday()), (23, 7));
        assert_eq!((EventTime(0).hour(), EventTime(0).weekday()), (0, 4));
        assert_eq!((EventTime(-1).hour(), EventTime(-1).weekday()), (23, 3));
    }
}
