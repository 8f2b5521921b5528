//! What is watched, and how often it may be wrong.

use super::watch::{Kind, Season, WatchSettings};
use crate::time::Period;
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
    /// Whether anything is watched at all: else nothing is profiled, compared or told, and the cost is saved.
    pub is_watched: bool,
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
    /// The period of which values are compared with, whatever came since; else they are learned as they come.
    pub pinned: Option<Period>,
    /// An episode ends when nothing was found for so long.
    pub resolve_after: Duration,
    /// Values that have been otherwise for so long are the reference from then on.
    pub adopt_after: Duration,
    /// The shape that counts and figures have.
    pub cycle: Cycle,
    /// How much must be known before anything is judged.
    pub least: Least,
}

/// What comes again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cycle {
    /// How it is divided.
    pub season: Season,
    /// How long it takes, from Monday at 0:00 UTC on.
    pub length: Duration,
}

impl Cycle {
    /// A week, in quarters of an hour.
    pub const WEEK: Cycle =
        Cycle { season: Season { days: 7, slots_per_day: 96 }, length: Duration::from_secs(7 * 86_400) };

    /// A day of it.
    #[must_use]
    pub fn day(self) -> Duration {
        self.length / u32::from(self.season.days.max(1))
    }
}

/// How much must be known before anything is judged. A simulation makes do with less: it has hours, and no months.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Least {
    /// Values of a field that must have been seen before its cells are cut, and windows.
    pub values: u64,
    /// See [`Least::values`].
    pub windows: u32,
    /// Cells in which fewer values are expected are counted with their neighbours (5: Cochran 1954).
    pub expected: f64,
    /// During so many samples at the very start of a watched stream nothing is news, see [`WatchSettings`].
    pub warm_up_samples: u64,
    /// Samples with which a newer part of a stream is compared.
    pub older_samples: f64,
    /// Values that the map to normal scores is learned from.
    pub scored_samples: usize,
}

/// A watch as it is for streams of anything.
const WATCH: WatchSettings = WatchSettings::new(Kind::Value);

impl Least {
    /// What is asked of a shop.
    pub const USUAL: Least = Least {
        values: 300,
        windows: 12,
        expected: 5.0,
        warm_up_samples: WATCH.warm_up_samples,
        older_samples: WATCH.older_samples,
        scored_samples: WATCH.scored_samples,
    };
}

impl DriftSettings {
    /// How a stream of single values, without a season, is watched of which `share` as many come as labels do: it may be wrong once in as
    /// many labels, and begins after as many.
    #[must_use]
    pub fn watch(&self, kind: Kind, share: f64) -> WatchSettings {
        let warm_up_samples = share_of(self.least.warm_up_samples, share);
        WatchSettings {
            samples_between_false_alarms: self.labels_between_false_alarms * share,
            warm_up_samples,
            learning_samples: warm_up_samples.saturating_mul(4),
            older_samples: self.least.older_samples,
            scored_samples: self.least.scored_samples,
            ..WatchSettings::new(kind)
        }
    }

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

/// At least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a part of a small number of samples"
)]
fn share_of(samples: u64, share: f64) -> u64 {
    ((samples as f64 * share) as u64).max(1)
}

#[cfg(test)]
impl DriftSettings {
    /// Windows of an hour that nothing comes late for, learned for two weeks.
    pub(crate) fn hourly() -> DriftSettings {
        const HOUR: Duration = Duration::from_secs(3_600);
        DriftSettings {
            is_watched: true,
            window: HOUR,
            allowed_lateness: Duration::ZERO,
            segments: Vec::new(),
            false_pages_per_month: 2.0,
            labels_between_false_alarms: 3e5,
            learn: HOUR * 336,
            pinned: None,
            resolve_after: HOUR * 3,
            adopt_after: HOUR * 168,
            cycle: Cycle::WEEK,
            least: Least::USUAL,
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
