//! Whether a partition is idle, on evidence.
//!
//! Evidence is a completed fetch that found nothing beyond what had been read. The time between two
//! such fetches counts as idle, because nothing came in between; time in which no fetch was
//! completed (the process stood still, the broker was away) counts only once the next one proves it.

use crate::time::ProcessingTime;
use std::time::Duration;

/// The idle time of one partition.
#[derive(Debug, Clone, Default)]
pub struct Idleness {
    first_at_end: Option<ProcessingTime>,
    idle: Duration,
}

impl Idleness {
    /// A record came.
    pub fn record_read(&mut self) {
        *self = Idleness::default();
    }

    /// A fetch was completed at `now` and found the partition at its end.
    pub fn fetched_at_end(&mut self, now: ProcessingTime) {
        let first = *self.first_at_end.get_or_insert(now);
        self.idle = self.idle.max(now.since(first));
    }

    /// For how long the partition has been idle, if for `timeout` at least.
    #[must_use]
    pub fn idle_for(&self, timeout: Duration) -> Option<Duration> {
        (self.first_at_end.is_some() && self.idle >= timeout).then_some(self.idle)
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
        for (now, expected) in [(1_000, None), (10_999, None), (11_000, Some(10_000)), (11_001, Some(10_001))]
        {
            idleness.fetched_at_end(ProcessingTime(now));
            assert_eq!(idleness.idle_for(TIMEOUT), expected.map(Duration::from_millis), "at {now}");
        }
    }

    #[test]
    fn a_record_ends_idleness() {
        let mut idleness = Idleness::default();
        idleness.fetched_at_end(ProcessingTime(0));
        idleness.fetched_at_end(ProcessingTime(20_000));
        idleness.record_read();
        idleness.fetched_at_end(ProcessingTime(20_001));
        assert_eq!(idleness.idle_for(TIMEOUT), None);
    }

    #[test]
    fn time_without_a_completed_fetch_is_no_evidence() {
        let mut idleness = Idleness::default();
        idleness.fetched_at_end(ProcessingTime(0));
        // a minute passes in which the process stands still; the first fetch afterwards brings a record
        idleness.record_read();
        assert_eq!(idleness.idle_for(TIMEOUT), None);
    }
}
