//! Tests on cumulated counts: Kolmogorov-Smirnov and Cramér-von Mises.

use crate::drift::Pair;
use crate::drift::p_value;

/// From this nm/(n + m)·D² on, nobody asks how small a p-value is exactly: 2 e^(−80) is 4e-35. The exact one would cost tens of
/// milliseconds there.
const CERTAIN: f64 = 40.0;

/// Which way the current window lies of the reference at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Less of the current window is at or below it: its values are higher.
    Higher,
    /// More of the current window is at or below it: its values are lower.
    Lower,
}

/// A Kolmogorov-Smirnov statistic and where it was found: `L` is a value, or the index of a bin.
///
/// Source: Kolmogorov 1933, Smirnov 1939.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KolmogorovSmirnov<L> {
    /// |i·m − j·n| where i of n and j of m values are at or below the location: the statistic without rounding.
    pub gap: u128,
    /// n and m.
    pub sizes: Pair<u64>,
    /// Where the cumulated shares are farthest apart; the lowest such place.
    pub location: L,
    /// Which way.
    pub direction: Direction,
}

impl<L> KolmogorovSmirnov<L> {
    /// The largest difference of the cumulated shares, in [0, 1].
    #[must_use]
    pub fn statistic(&self) -> f64 {
        // in u128: the product of two sizes
        let all = u128::from(self.sizes.reference) * u128::from(self.sizes.current);
        self.gap as f64 / all as f64
    }

    /// How often two windows of one continuous law are at least that far apart: exact where both have at most
    /// [`p_value::EXACT_SIZE_MAX`] values and it is above 1e-34, asymptotic otherwise. With ties it is too large, never too small.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        let (statistic, sizes) = (self.statistic(), self.sizes.map(|size| size as f64));
        let effective = sizes.reference * sizes.current / (sizes.reference + sizes.current);
        let is_small = self.sizes.reference.max(self.sizes.current) <= p_value::EXACT_SIZE_MAX;
        if is_small && effective * statistic * statistic <= CERTAIN {
            p_value::kolmogorov_smirnov_exact(self.gap, self.sizes)
        } else {
            p_value::kolmogorov_smirnov_asymptotic(statistic, self.sizes)
        }
    }
}

/// Finds the farthest place of two cumulated counts.
#[derive(Debug)]
pub(super) struct Farthest<L> {
    found: KolmogorovSmirnov<L>,
}

impl<L> Farthest<L> {
    pub(super) fn new(sizes: Pair<u64>, location: L) -> Farthest<L> {
        Farthest { found: KolmogorovSmirnov { gap: 0, sizes, location, direction: Direction::Higher } }
    }

    /// So many of each window are at or below this location.
    pub(super) fn see(&mut self, below: Pair<u64>, location: L) {
        let sizes = self.found.sizes;
        let of_reference = u128::from(below.reference) * u128::from(sizes.current);
        let of_current = u128::from(below.current) * u128::from(sizes.reference);
        let gap = of_reference.abs_diff(of_current);
        let direction = if of_reference >= of_current { Direction::Higher } else { Direction::Lower };
        // of two that are equally far, that on which the current window is higher
        let is_tie_won = gap == self.found.gap
            && self.found.direction == Direction::Lower
            && direction == Direction::Higher;
        if gap > self.found.gap || is_tie_won {
            self.found = KolmogorovSmirnov { gap, sizes, location, direction };
        }
    }

    pub(super) fn found(self) -> KolmogorovSmirnov<L> {
        self.found
    }
}

/// A Cramér-von Mises statistic of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CramerVonMises {
    /// T of Anderson 1962, eq. 2, from mean ranks where values are tied.
    pub statistic: f64,
    /// How many values the samples have.
    pub sizes: Pair<u64>,
}

impl CramerVonMises {
    /// How often two samples of one continuous law are at least that far apart, asymptotically. It sees tails that
    /// Kolmogorov-Smirnov does not.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        p_value::cramer_von_mises_asymptotic(self.statistic, self.sizes)
    }
}
