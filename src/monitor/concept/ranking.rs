//! Whether positives still score higher than negatives: of each positive, the share of the negatives of late that score lower. Its mean is
//! the area under the curve of true against false positives (AUC; Hanley and McNeil 1982), prequential and over a sliding window
//! (Brzezinski and Stefanowski 2017).
//!
//! A loss is mostly that of the many negatives, and moves late; a few positives that score no higher than they do are seen at once.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

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

#[cfg(test)]
mod tests {
    use super::*;

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
