//! How often a receiver is called, and how long a message that failed waits. Pure arithmetic on the time that is passed in; a
//! clock that goes back lengthens no wait.

use super::settings::Rate;
use crate::time::ProcessingTime;
use std::time::Duration;

/// Between two attempts at one message: doubled from the first to the last. Nobody waits longer than that for a page once the
/// receiver is back.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(60);

/// How long a message waits after so many attempts that failed: 1 s, 2 s, 4 s, … 60 s.
pub(super) fn pause(attempts: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
    RETRY_FIRST.saturating_mul(doubled).min(RETRY_LAST)
}

/// A wait that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    begun: ProcessingTime,
    until: ProcessingTime,
}

impl Wait {
    /// From now on, for so long.
    pub(super) fn new(now: ProcessingTime, patience: Duration) -> Wait {
        Wait { begun: now, until: now.plus(patience) }
    }

    /// When it ends, if it has not; a clock that stands before its beginning was set back.
    pub(super) fn end(self, now: ProcessingTime) -> Option<ProcessingTime> {
        (self.begun <= now && now < self.until).then_some(self.until)
    }
}

/// A rate with a burst: the bucket of tokens as the one moment at which it would be full.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    rate: Rate,
    full_at: ProcessingTime,
}

impl Pace {
    /// With a full bucket.
    pub(super) fn new(rate: Rate) -> Pace {
        let rate = Rate { every: rate.every, burst: rate.burst.max(1) };
        Pace { rate, full_at: ProcessingTime(0) }
    }

    /// When the next request may go, if not now.
    pub(super) fn next(&mut self, now: ProcessingTime) -> Option<ProcessingTime> {
        self.full_at = self.full_at.min(now.plus(self.rate.every * self.rate.burst));
        let spare = crate::time::millis(self.rate.every * (self.rate.burst - 1));
        let at = ProcessingTime(self.full_at.0.saturating_sub(spare));
        (at > now).then_some(at)
    }

    /// A request goes.
    pub(super) fn spend(&mut self, now: ProcessingTime) {
        self.full_at = self.full_at.max(now).plus(self.rate.every);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<_> = (1..=9).map(|attempts| pause(attempts).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(u32::MAX).as_secs(), 60);
    }

    #[test]
    fn a_burst_goes_at_once_and_then_one_per_second() {
        let mut pace = Pace::new(Rate { every: Duration::from_secs(1), burst: 3 });
        let mut now = ProcessingTime(1_000_000);
        let mut sent = Vec::new();
        while sent.len() < 6 {
            if let Some(at) = pace.next(now) {
                now = at;
            }
            pace.spend(now);
            sent.push(now.0 - 1_000_000);
        }
        assert_eq!(sent, [0, 0, 0, 1_000, 2_000, 3_000]);
        now = now.plus(Duration::from_secs(60));
        let burst = std::iter::from_fn(|| {
            let free = pace.next(now).is_none();
            pace.spend(now);
            free.then_some(())
        });
        assert_eq!(burst.count(), 3, "no more is saved up than a burst");
    }

    #[test]
    fn a_clock_that_goes_back_lengthens_no_wait() {
        let (late, early) = (ProcessingTime(10_000_000), ProcessingTime(1_000));
        let mut pace = Pace::new(Rate { every: Duration::from_secs(1), burst: 2 });
        pace.spend(late);
        pace.spend(late);
        assert_eq!(pace.next(early), Some(ProcessingTime(2_000)));
        let wait = Wait::new(late, Duration::from_secs(60));
        assert_eq!(wait.end(late), Some(late.plus(Duration::from_secs(60))));
        assert_eq!(wait.end(late.plus(Duration::from_secs(60))), None);
        assert_eq!(wait.end(early), None);
    }
}
