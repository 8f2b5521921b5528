//! What is watched, and how often it may be wrong.

use std::time::Duration;

/// The length of a month, in the sense of the budget.
const MONTH: Duration = Duration::from_secs(30 * 86_400);
/// What a CUSUM of standard normal evidence subtracts from each: half of the shift that it finds soonest, in standard deviations.
pub const ALLOWANCE: f64 = 1.0;
/// How far beyond its threshold a sum of steps is when it passes it, on average (Siegmund 1985, p. 50).
const OVERSHOOT: f64 = 1.166;

/// How drift is watched for.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftSettings {
    /// The length of a window of event time.
    pub window: Duration,
    /// How far behind the newest event one may be and still count in its window.
    pub allowed_lateness: Duration,
    /// The fields that divide payments into segments.
    pub segments: Vec<String>,
    /// How many pages a month may be false.
    pub false_pages_per_month: f64,
    /// Of each stream of labels, how many there are between two false alarms, in the mean.
    pub labels_between_false_alarms: f64,
    /// For how long values are learned before they are watched.
    pub learn: Duration,
    /// An episode ends when nothing was found for so long.
    pub resolve_after: Duration,
    /// Values that have been otherwise for so long are the reference from then on.
    pub adopt_after: Duration,
}

impl DriftSettings {
    /// The evidence at which one of `tests` tests, each made once per window, is a finding, so that all of them together are
    /// wrong as often as they may be.
    ///
    /// Each test may be wrong once in `tests` · windows per month / budget windows. That is the average run length of a CUSUM of
    /// standard normal evidence with [`ALLOWANCE`] k at threshold h: (exp(2k(h + 1.166)) − 2k(h + 1.166) − 1) / 2k² (Siegmund
    /// 1985, eq. 2.56), solved for h without the linear term, which makes h larger by less than .1.
    #[must_use]
    pub fn threshold(&self, tests: usize) -> f64 {
        let windows = MONTH.as_secs_f64() / self.window.as_secs_f64();
        let run_length = tests.max(1) as f64 * windows / self.false_pages_per_month;
        (2.0 * ALLOWANCE * ALLOWANCE * run_length + 1.0).ln() / (2.0 * ALLOWANCE) - OVERSHOOT
    }
}

#[cfg(test)]
impl DriftSettings {
    /// Windows of an hour that nothing comes late for, learned for two weeks.
    pub(crate) fn hourly() -> DriftSettings {
        const HOUR: Duration = Duration::from_secs(3_600);
        DriftSettings {
            window: HOUR,
            allowed_lateness: Duration::ZERO,
            segments: Vec::new(),
            false_pages_per_month: 2.0,
            labels_between_false_alarms: 3e5,
            learn: HOUR * 336,
            resolve_after: HOUR * 3,
            adopt_after: HOUR * 168,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(false_pages_per_month: f64) -> DriftSettings {
        DriftSettings { false_pages_per_month, ..DriftSettings::hourly() }
    }

    #[test]
    fn more_tests_and_a_smaller_budget_ask_for_more_evidence() {
        assert!(settings(2.0).threshold(800) > settings(2.0).threshold(80));
        assert!(settings(0.2).threshold(80) > settings(2.0).threshold(80));
        // 100 tests in 720 windows a month, twice wrong: once in 36,000 windows each
        assert!((settings(2.0).threshold(100) - 4.43).abs() < 0.01, "{}", settings(2.0).threshold(100));
    }
}
