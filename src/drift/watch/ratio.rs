//! Likelihood ratios, in nats: how much better two laws explain a stream that is cut in two than one law does.
//!
//! Both parts are estimated, so a reference that is short or has few events weighs little. Twice the ratio is about χ²
//! distributed if nothing has changed (Wilks 1938).

use super::windows::Cell;
use serde::{Deserialize, Serialize};

/// x · ln(x / y), 0 at x = 0.
fn x_ln(x: f64, y: f64) -> f64 {
    if x > 0.0 { x * (x / y).ln() } else { 0.0 }
}

/// Of two shares: Σ nᵢ · KL(pᵢ, p) of Bernoulli laws with the pooled share p.
pub(super) fn of_rates(older: Cell, newer: Cell) -> f64 {
    let all = older.plus(newer);
    let (p, n) = (all.mean(), all.weight);
    let part = |cell: Cell| {
        let hits = cell.sum.min(cell.weight);
        x_ln(hits, cell.weight * p) + x_ln(cell.weight - hits, cell.weight * (1.0 - p))
    };
    if p * n <= 0.0 || p >= 1.0 { 0.0 } else { (part(older) + part(newer)).max(0.0) }
}

/// Of two Poisson rates per weight: Σ xᵢ · ln(rᵢ / r).
pub(super) fn of_counts(older: Cell, newer: Cell) -> f64 {
    let rate = older.plus(newer).mean();
    (x_ln(older.sum, older.weight * rate) + x_ln(newer.sum, newer.weight * rate)).max(0.0)
}

/// Of two means of laws with this variance and skewness: n·δ²/2 with n = n₀n₁/(n₀ + n₁) and δ the distance in spreads, for
/// normal laws; if they are skewed towards the newer mean, that of shifted Poisson laws of that skewness g,
/// n/g² · ((1 + gδ) ln(1 + gδ) − gδ), which is less.
pub(super) fn of_means(older: Cell, newer: Cell, law: Law) -> f64 {
    let size = older.weight * newer.weight / (older.weight + newer.weight);
    let apart = (newer.mean() - older.mean()) / law.variance.sqrt();
    let skewed = law.skewness * apart;
    if skewed > 0.05 {
        size / law.skewness.powi(2) * ((1.0 + skewed) * skewed.ln_1p() - skewed)
    } else {
        0.5 * size * apart * apart
    }
}

/// Of two variances of laws with this kurtosis: Σ κ νᵢ · ln(s/sᵢ), the ratio of gamma laws of shape κ = 1 / (kurtosis − 1)
/// (½ for the square of a normal deviate), with degrees of freedom and divisor of Bartlett's test (Bartlett 1937). Or what
/// the normal approximation gives if that is less: a run of tied values has no variance at all, but proves little.
pub(super) fn of_variances(older: Cell, newer: Cell, law: Law) -> f64 {
    let (n, m) = (older.weight - 1.0, newer.weight - 1.0);
    let (a, b) =
        ((variance(older) * older.weight / n).max(LEAST), (variance(newer) * newer.weight / m).max(LEAST));
    let pooled = (n * a + m * b) / (n + m);
    let shape = 1.0 / (law.kurtosis - 1.0);
    let gamma = shape * (n * (pooled / a).ln() + m * (pooled / b).ln()) / (1.0 + (1.0 / n + 1.0 / m) / 3.0);
    let normal = 0.5 * shape * (b / a - 1.0).powi(2) * n * m / (n + m);
    gamma.min(normal).max(0.0)
}

/// What [`of_variances`] does not exceed, nearly: the normal approximation alone.
pub(super) fn bound_of_variances(older: Cell, newer: Cell, law: Law) -> f64 {
    let (a, b) = (variance(older).max(LEAST), variance(newer).max(LEAST));
    let (n, m) = (older.weight, newer.weight);
    // Degrees of freedom and ties make a difference of a tenth at most.
    0.55 * (b - a).powi(2) * n * m / ((n + m) * a * a * (law.kurtosis - 1.0))
}

/// Mean squared deviation from the part's own mean.
pub(super) fn variance(cell: Cell) -> f64 {
    let part = 1.0 / cell.weight;
    ((cell.square - cell.sum * cell.sum * part) * part).max(0.0)
}

/// Moments of a law.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Law {
    pub(super) variance: f64,
    pub(super) skewness: f64,
    pub(super) kurtosis: f64,
}

/// A variance of normal scores below this is none: rounding, or values that are all tied.
const LEAST: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::*;

    const NORMAL: Law = Law { variance: 1.0, skewness: 0.0, kurtosis: 3.0 };

    fn rate(hits: f64, of: f64) -> Cell {
        Cell { weight: of, sum: hits, square: hits }
    }

    #[test]
    fn the_ratio_of_rates_is_half_the_g_statistic_of_a_two_by_two_table() {
        // G = 2 Σ O ln(O / E) for 20 of 100 against 47 of 100 hits
        let g = 2.0 * of_rates(rate(20.0, 100.0), rate(47.0, 100.0));
        let expected = 2.0
            * (20.0 * (20.0 / 33.5_f64).ln()
                + 80.0 * (80.0 / 66.5_f64).ln()
                + 47.0 * (47.0 / 33.5_f64).ln()
                + 53.0 * (53.0 / 66.5_f64).ln());
        assert!((g - expected).abs() < 1e-9);
        assert!((g - 16.7156).abs() < 1e-3, "{g}");
    }

    #[test]
    fn equal_parts_have_no_ratio() {
        assert!(of_rates(rate(5.0, 50.0), rate(1.0, 10.0)) < 1e-12);
        assert!(of_rates(rate(0.0, 50.0), rate(0.0, 10.0)) < 1e-12);
        assert!(of_rates(rate(50.0, 50.0), rate(10.0, 10.0)) < 1e-12);
        assert!(of_counts(rate(500.0, 50.0), rate(100.0, 10.0)) < 1e-9);
    }

    #[test]
    fn a_spread_that_doubles_is_worth_what_the_divergence_of_normal_laws_says() {
        let older = Cell { weight: 1e6, sum: 0.0, square: 1e6 };
        let newer = Cell { weight: 100.0, sum: 0.0, square: 400.0 };
        let expected = 100.0 * 0.5 * (4.0 - 1.0 - 4.0_f64.ln());
        assert!((of_variances(older, newer, NORMAL) - expected).abs() < 3.0);
    }
}
