//! Whether positives still score higher than negatives: of each positive, the share of the negatives of late that score lower. Its mean is
//! the area under the curve of true against false positives (AUC; Hanley and McNeil 1982), prequential and over a sliding window
//! (Brzezinski and Stefanowski 2017).
//!
//! A loss is mostly that of the many negatives, and moves late; a few positives that score no higher than they do are seen at once.

use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// Negatives of late that a positive is compared with.
const KEPT: usize = 1_000;
/// With fewer, nothing is said.
const LEAST: usize = 100;

/// The scores of the negatives of late, the newest last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Negatives {
    scores: VecDeque<f64>,
}

impl Negatives {
    /// Takes the score of a negative.
    pub(super) fn add(&mut self, score: f64) {
        if self.scores.len() == KEPT {
            self.scores.pop_front();
        }
        self.scores.push_back(score);
    }

    /// The share of them that score lower than `score`, those that score the same by half; from 0 to 1.
    pub(super) fn below(&self, score: f64) -> Option<f64> {
        let halves = |other: &f64| match other.partial_cmp(&score) {
            Some(std::cmp::Ordering::Less) => 2,
            Some(std::cmp::Ordering::Equal) => 1,
            _ => 0,
        };
        let sum: u32 = self.scores.iter().map(halves).sum();
        (self.scores.len() >= LEAST).then(|| f64::from(sum) / (2 * self.scores.len()) as f64)
    }
}

/// So many of whoever was behind a positive are remembered,
const BEHIND_KEPT: usize = 512;
/// for so long.
const BEHIND_FOR: Duration = Duration::from_secs(86_400);

/// Who was behind the positives of late. Who tests a hundred cards is one pattern: a hundred positives that rank alike would hide
/// that the others no longer do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ranked {
    behind: VecDeque<(u64, EventTime)>,
}

impl Ranked {
    /// Whether nobody who was behind a positive of late is behind this one, as far as that is known.
    pub(super) fn is_first(&mut self, behind: Option<u64>, time: EventTime) -> bool {
        let Some(behind) = behind else { return true };
        let is_of_late = |(who, when): &(u64, EventTime)| *who == behind && time < when.plus(BEHIND_FOR);
        if self.behind.iter().any(is_of_late) {
            return false;
        }
        if self.behind.len() == BEHIND_KEPT {
            self.behind.pop_front();
        }
        self.behind.push_back((behind, time));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_behind_several_positives_of_a_day_counts_once() {
        let mut ranked = Ranked::default();
        let hour = |hour: i64| EventTime(hour * 3_600_000);
        assert!(ranked.is_first(None, hour(0)) && ranked.is_first(None, hour(0)), "nothing is known");
        assert!(ranked.is_first(Some(1), hour(0)) && ranked.is_first(Some(2), hour(0)));
        assert!(!ranked.is_first(Some(1), hour(23)));
        assert!(ranked.is_first(Some(1), hour(24)), "a day later");
        (10..10 + BEHIND_KEPT as u64).for_each(|who| assert!(ranked.is_first(Some(who), hour(25))));
        assert!(ranked.is_first(Some(1), hour(25)), "forgotten");
        assert_eq!(ranked.behind.len(), BEHIND_KEPT);
    }

    #[test]
    fn a_positive_is_ranked_among_the_negatives_of_late() {
        let mut negatives = Negatives::default();
        for number in 0..99 {
            negatives.add(f64::from(number));
        }
        assert_eq!(negatives.below(50.0), None, "so few say nothing");
        negatives.add(99.0);
        assert_eq!(negatives.below(50.0), Some(0.505), "fifty below, and itself by half");
        (0..KEPT).for_each(|_| negatives.add(0.0));
        assert_eq!(negatives.below(0.5), Some(1.0), "older ones are forgotten");
    }
}
