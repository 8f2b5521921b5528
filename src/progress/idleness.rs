//! Whether a partition is idle, on evidence.
//!
//! Evidence is a completed fetch that found nothing beyond what had been read. The time between two
//! such fetches counts as idle, because nothing came in between; time in which no fetch was
//! completed (the process stood still, the broker was away) does not count.

use crate::time::ProcessingTime;
use std::time::Duration;

/// The idle time of one partition.
#[derive(Debug, Clone, Default)]
pub struct Idleness {
    last_at_end: Option<ProcessingTime>,
    idle: Duration,
}

/// Two fetches farther apart than this prove nothing about the time between them: the process stood still, or
/// the broker was away, and what came meanwhile may not have been fetched yet.
const FETCHES_APART_MAX: Duration = Duration::from_secs(5);

impl Idleness {
    /// A record came.
    pub fn record_read(&mut self) {
        *self = Idleness::default();
    }

    /// A fetch was completed at `now` and found the partition at its end.
    pub fn fetched_at_end(&mut self, now: ProcessingTime) {
        let since = self.last_at_end.replace(now).map_or(Duration::ZERO, |last| now.since(last));
        if since <= FETCHES_APART_MAX {
            self.idle += since;
        }
    }

    /// For how long the partition has been idle, if for `timeout` at least.
    #[must_use]
    pub fn idle_for(&self, timeout: Duration) -> Option<Duration> {
        (self.last_at_end.is_some() && self.idle >= timeout).then_some(self.idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn a_partition_is_idle_after_the_timeout_and_not_before() {
        let mut idleness = Idleness::default();
        assert_eq!(idleness.idle_for(TIMEOUT), None);
        for (now, expected) in
            [(1_000, None), (6_000, None), (10_999, None), (11_000, Some(10_000)), (11_001, Some(10_001))]
        {
            idleness.fetched_at_end(ProcessingTime(now));
            assert_eq!(idleness.idle_for(TIMEOUT), expected.map(Duration::from_millis), "at {now}");
        }
    }

    #[test]
    fn a_record_ends_idleness() {
        let mut idleness = Idleness::default();
        for second in 0..=20 {
            idleness.fetched_at_end(ProcessingTime(second * 1_000));
        }
        assert!(idleness.idle_for(TIMEOUT).is_some());
        idleness.record_read();
        idleness.fetched_at_end(ProcessingTime(20_001));
        assert_eq!(idleness.idle_for(TIMEOUT), None);
    }

    #[test]
    fn time_without_a_completed_fetch_is_no_evidence() {
        let mut idleness = Idleness::default();
        idleness.fetched_at_end(ProcessingTime(0));
        // a minute passes in which the process stands still
        idleness.fetched_at_end(ProcessingTime(60_000));
        assert_eq!(idleness.idle_for(TIMEOUT), None);
        idleness.fetched_at_end(ProcessingTime(65_000));
        idleness.fetched_at_end(ProcessingTime(70_000));
        assert_eq!(idleness.idle_for(TIMEOUT), Some(Duration::from_secs(10)));
    }
}
