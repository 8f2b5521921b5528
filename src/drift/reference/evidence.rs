//! From the counts of a window to evidence over windows.

use crate::drift::settings::ALLOWANCE;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// One window says at most so much: what lasts for one window alone (an hour) is no page.
const SCORE_MAX: f64 = 4.0;

/// The sum goes no further beyond its threshold: when all is well again, a few windows show it.
const BEYOND: f64 = 3.0;

/// The evidence that values are no longer as they were: a CUSUM of standard normal scores (Page 1954).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    sum: f64,
    /// The window at which it began to rise from nothing.
    since: Option<EventTime>,
}

impl Evidence {
    /// Takes a window's score into account; the sum stays near `threshold`. Returns whether there is any evidence.
    pub fn add(&mut self, score: f64, start: EventTime, threshold: f64) -> bool {
        self.sum = (self.sum + score.min(SCORE_MAX) - ALLOWANCE).clamp(0.0, threshold + BEYOND);
        if self.sum > 0.0 {
            self.since.get_or_insert(start);
        } else {
            self.since = None;
        }
        self.since.is_some()
    }

    /// What it has come to.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The window at which it began to rise.
    #[must_use]
    pub fn since(&self) -> Option<EventTime> {
        self.since
    }
}

/// Pearson's χ² of counts against shares that were themselves estimated from `weight` records, and its degrees of freedom:
/// Σ (O − nE)² / (nE (1 + n / weight)). Cells in which fewer than `least` are expected are counted with the next. Nothing where
/// fewer than two are left.
#[must_use]
pub fn chi_square(counts: &[f64], shares: &[f64], weight: f64, least: f64) -> Option<(f64, f64)> {
    let total: f64 = counts.iter().sum();
    if total <= 0.0 || weight <= 0.0 {
        return None;
    }
    let mut cells: Vec<(f64, f64)> = Vec::with_capacity(counts.len());
    let (mut observed, mut expected) = (0.0, 0.0);
    for (count, share) in counts.iter().zip(shares) {
        observed += count;
        expected += share * total;
        if expected >= least {
            cells.push((observed, expected));
            (observed, expected) = (0.0, 0.0);
        }
    }
    if let Some((last_observed, last_expected)) = cells.last_mut() {
        *last_observed += observed;
        *last_expected += expected;
    }
    if cells.len() < 2 {
        return None;
    }
    let sum: f64 = cells.iter().map(|(observed, expected)| (observed - expected).powi(2) / expected).sum();
    Some((sum / (1.0 + total / weight), cells.len() as f64 - 1.0))
}

/// A standard normal score as improbable as this χ² with so many degrees of freedom (Wilson & Hilferty 1931).
#[must_use]
pub fn normal_score(statistic: f64, freedom: f64) -> f64 {
    let spread = 2.0 / (9.0 * freedom);
    ((statistic / freedom).cbrt() - (1.0 - spread)) / spread.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_as_expected_have_no_distance_and_others_have_that_of_pearson() {
        assert_eq!(chi_square(&[50.0, 50.0], &[0.5, 0.5], f64::INFINITY, 5.0), Some((0.0, 1.0)));
        // (60 − 50)² / 50 twice
        assert_eq!(chi_square(&[60.0, 40.0], &[0.5, 0.5], f64::INFINITY, 5.0), Some((4.0, 1.0)));
        // a reference of as many records is as uncertain as the window
        assert_eq!(chi_square(&[60.0, 40.0], &[0.5, 0.5], 100.0, 5.0), Some((2.0, 1.0)));
    }

    #[test]
    fn cells_in_which_few_are_expected_count_with_their_neighbours() {
        let (statistic, freedom) =
            chi_square(&[1.0, 2.0, 7.0, 90.0], &[0.02, 0.02, 0.06, 0.9], 1e12, 5.0).unwrap();
        assert!((freedom - 1.0).abs() < 1e-12);
        assert!(statistic.abs() < 1e-9, "1 + 2 + 7 are the 10 expected: {statistic}");
        assert_eq!(chi_square(&[3.0, 1.0], &[0.5, 0.5], 1e12, 5.0), None, "nothing to compare");
        assert_eq!(chi_square(&[0.0, 0.0], &[0.5, 0.5], 1e12, 5.0), None);
    }

    #[test]
    fn scores_are_those_of_the_normal_distribution() {
        // the 99.9 % quantiles of χ²: 10.828 (1), 27.877 (9), against 3.090 of the normal distribution
        assert!((normal_score(10.828, 1.0) - 3.09).abs() < 0.12);
        assert!((normal_score(27.877, 9.0) - 3.09).abs() < 0.03);
    }

    #[test]
    fn evidence_grows_with_what_lasts_and_forgets_what_does_not() {
        let mut evidence = Evidence::default();
        assert!(!evidence.add(0.3, EventTime(0), 9.0));
        for (place, score) in [2.0, 2.0, 9.0].into_iter().enumerate() {
            assert!(evidence.add(score, EventTime(10 + place as i64), 9.0));
        }
        assert_eq!(
            (evidence.sum(), evidence.since()),
            (5.0, Some(EventTime(10))),
            "one window says at most 4"
        );
        for at in 0..20 {
            evidence.add(0.0, EventTime(20 + at), 9.0);
        }
        assert_eq!((evidence.sum(), evidence.since()), (0.0, None));
    }
}
