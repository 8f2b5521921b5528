//! From the counts of a window to evidence over windows.

use crate::drift::settings::ALLOWANCE;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// One window says at most so much: what lasts for one window alone (an hour) is no page.
const SCORE_MAX: f64 = 4.0;

/// The sum goes no further beyond its threshold: when all is well again, a few windows show it.
const BEYOND: f64 = 3.0;

/// Fewer than this are expected never to come.
const HARDLY_ANY: f64 = 0.5;

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

/// Counts by cell, and what was to be expected.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    /// How many are in each cell.
    pub counts: &'a [f64],
    /// The share of each that is usual.
    pub shares: &'a [f64],
    /// How many records these shares weigh.
    pub weight: f64,
    /// How cells are counted in which few are expected.
    pub rare: Rare,
}

/// How cells are counted in which few are expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rare {
    /// Cells stand in an order: one counts with those beside it in which few are expected too.
    WithNeighbours,
    /// Each is something else.
    Together,
}

impl Counted<'_> {
    /// Pearson's χ² against shares that were themselves estimated from `weight` records, and its degrees of freedom:
    /// Σ (O − nE)² / (nE (1 + n / weight)), over cells in which at least `least` are expected. Others count together, however few they are:
    /// what was never there and is there now is news. Their part is the square of √O + √(O + 1) − √(4 nE + 1), which is nearly normal
    /// however small nE is (Freeman and Tukey 1950). Nothing where fewer than two cells are left.
    #[must_use]
    pub fn chi_square(self, least: f64) -> Option<(f64, f64)> {
        let total: f64 = self.counts.iter().sum();
        if total <= 0.0 || self.weight <= 0.0 {
            return None;
        }
        let cells = self.counts.iter().zip(self.shares).map(|(count, share)| (*count, share * total));
        let (cells, left) = match self.rare {
            Rare::WithNeighbours => together(with_neighbours(cells, least).into_iter(), least),
            Rare::Together => together(cells, least),
        };
        let freedom = cells.len() as f64 - if left.is_some() { 0.0 } else { 1.0 };
        if freedom < 1.0 {
            return None;
        }
        let large = cells.iter().map(|(observed, expected)| (observed - expected).powi(2) / expected);
        Some((large.chain(left).sum::<f64>() / (1.0 + total / self.weight), freedom))
    }
}

/// Cells in which fewer than `least` are expected count with those after them, as long as these are such cells too and no more are
/// expected of them so far.
fn with_neighbours(cells: impl Iterator<Item = (f64, f64)>, least: f64) -> Vec<(f64, f64)> {
    let mut joined: Vec<(f64, f64)> = Vec::with_capacity(cells.size_hint().0);
    for (count, usual) in cells {
        match joined.last_mut().filter(|(_, expected)| *expected < least && usual < least) {
            Some((observed, expected)) => {
                *observed += count;
                *expected += usual;
            }
            None => joined.push((count, usual)),
        }
    }
    joined
}

/// Cells in which at least `least` are expected, and what the others add to χ² if there are some and all of them together are fewer.
fn together(cells: impl Iterator<Item = (f64, f64)>, least: f64) -> (Vec<(f64, f64)>, Option<f64>) {
    let (mut large, rare): (Vec<(f64, f64)>, Vec<_>) = cells.partition(|(_, expected)| *expected >= least);
    let sum = |(one, other): (f64, f64), (count, usual): &(f64, f64)| (one + count, other + usual);
    let (observed, expected) = rare.iter().fold((0.0, 0.0), sum);
    // where none is expected and none came, there is nothing to compare, unless it is all there is to compare
    let is_as_ever = observed <= 0.0 && expected < HARDLY_ANY;
    if rare.is_empty() || is_as_ever && large.len() > 1 {
        return (large, None);
    }
    if expected >= least {
        large.push((observed, expected));
        return (large, None);
    }
    let residual = observed.sqrt() + (observed + 1.0).sqrt() - (4.0 * expected + 1.0).sqrt();
    (large, Some(residual.powi(2)))
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
        for rare in [Rare::WithNeighbours, Rare::Together] {
            let of = |counts: &[f64], weight: f64| {
                Counted { counts, shares: &[0.5, 0.5], weight, rare }.chi_square(5.0)
            };
            assert_eq!(of(&[50.0, 50.0], f64::INFINITY), Some((0.0, 1.0)));
            // (60 − 50)² / 50 twice
            assert_eq!(of(&[60.0, 40.0], f64::INFINITY), Some((4.0, 1.0)));
            // a reference of as many records is as uncertain as the window
            assert_eq!(of(&[60.0, 40.0], 100.0), Some((2.0, 1.0)));
        }
    }

    #[test]
    fn cells_in_which_few_are_expected_count_with_their_neighbours() {
        let of = |counts: &[f64], shares: &[f64]| {
            Counted { counts, shares, weight: 1e12, rare: Rare::WithNeighbours }.chi_square(5.0)
        };
        let (statistic, freedom) = of(&[1.0, 2.0, 7.0, 90.0], &[0.03, 0.03, 0.04, 0.9]).unwrap();
        assert!((freedom - 2.0).abs() < 1e-12, "1 + 2 of 6 expected, 7 of 4, 90 of 90: {freedom}");
        assert!((statistic - 1.5 - 1.825).abs() < 0.01, "{statistic}");
        // one that many are: what lies beside it is not hidden in it
        let beside = |counts: &[f64]| of(counts, &[0.001, 0.998, 0.001]).map(|(statistic, _)| statistic);
        assert!(beside(&[0.0, 60.0, 0.0]).unwrap() < 0.1, "as ever");
        assert!(beside(&[50.0, 10.0, 0.0]).unwrap() > 50.0 && beside(&[0.0, 10.0, 50.0]).unwrap() > 50.0);
        assert_eq!(of(&[3.0, 1.0], &[0.5, 0.5]), None, "nothing to compare");
        assert_eq!(of(&[0.0, 0.0], &[0.5, 0.5]), None);
    }

    #[test]
    fn what_was_never_there_and_is_there_now_is_far_from_usual() {
        let of = |counts: &[f64], shares: &[f64]| {
            let counted = Counted { counts, shares, weight: 1e12, rare: Rare::Together };
            counted.chi_square(5.0).map(|(statistic, freedom)| normal_score(statistic, freedom))
        };
        // one in a thousand is usual: none or one of a hundred is no news, ten of them are
        let usual = [0.999, 0.001];
        assert!(of(&[100.0, 0.0], &usual).unwrap() < 0.0);
        assert!(of(&[99.0, 1.0], &usual).unwrap() < 1.5);
        assert!(of(&[90.0, 10.0], &usual).unwrap() > 4.0);
        // wherever it stands, and however many rare ones there are
        let scores = [[3.0, 90.0, 7.0], [7.0, 90.0, 3.0]].map(|counts| of(&counts, &[0.01, 0.98, 0.01]));
        assert_eq!(scores[0], scores[1]);
        assert!(scores[0].unwrap() > 2.0);
        assert_eq!(of(&[3.0, 1.0], &[0.5, 0.5]), None, "nothing to compare");
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
