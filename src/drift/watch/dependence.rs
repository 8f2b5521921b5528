//! How much more the mean of a window varies than that of as many independent samples.
//!
//! If correlation falls off geometrically with distance, ρₖ = ρ₁ φ^(k−1), it is 1 + 2 Σ ρₖ = 1 + 2 ρ₁ / (1 − φ) times as much
//! (Bartlett 1946); φ = ρ₁ for a stream that is autoregressive of the first order, more if there is noise on top of it, which
//! the correlation at distance [`FAR`] tells. A correlation that may be chance counts as none, a negative one too.

use serde::{Deserialize, Serialize};

/// The distance of the second correlation.
const FAR: usize = 4;
/// A correlation counts from so many of its standard errors on.
const SIGNIFICANT: f64 = 3.0;
/// Nothing is known before so many pairs.
const LEAST_PAIRS: f64 = 50.0;
/// No more than this is believed: means that vary 199 times as much.
const UTMOST: f64 = 0.99;

/// Sums over pairs of samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Dependence {
    pairs: f64,
    sum: f64,
    products: f64,
    products_far: f64,
    squares: f64,
    /// Newest first.
    last: [f64; FAR],
}

impl Dependence {
    /// Takes the next deviation from what was expected.
    pub(super) fn push(&mut self, deviation: f64) {
        self.pairs += 1.0;
        self.sum += deviation;
        self.products += deviation * self.last[0];
        self.products_far += deviation * self.last[FAR - 1];
        self.squares += deviation * deviation;
        self.last = [deviation, self.last[0], self.last[1], self.last[2]];
    }

    /// So many deviations were taken.
    pub(super) fn pairs(&self) -> f64 {
        self.pairs
    }

    /// How much more a mean varies, ≥ 1.
    pub(super) fn inflation(&self) -> f64 {
        if self.pairs < LEAST_PAIRS {
            return 1.0;
        }
        // What was expected may have been off: deviations are taken from their own mean.
        let off = self.sum * self.sum / self.pairs;
        let squares = (self.squares - off).max(f64::MIN_POSITIVE);
        let (near, far) = ((self.products - off) / squares, (self.products_far - off) / squares);
        let error = 1.0 / self.pairs.sqrt();
        if near < SIGNIFICANT * error {
            return 1.0;
        }
        // At its upper end: the estimate is too low by about (1 + 3ρ)/n (Kendall 1954).
        let near = near + (1.0 + 3.0 * near) / self.pairs + error * (1.0 - near * near).max(0.0).sqrt();
        let near = near.min(UTMOST);
        let decay = if far > SIGNIFICANT * error { (far / near).min(1.0).cbrt() } else { near };
        1.0 + 2.0 * near / (1.0 - decay.clamp(near, UTMOST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn independent_samples_inflate_nothing() {
        let mut dependence = Dependence::default();
        for i in 0..1_000_u32 {
            // a full period of a generator: neighbours have nothing to do with each other
            dependence.push(f64::from((i * 421 + 1_663) % 7_875) / 7_875.0 - 0.5);
            dependence.push(if i % 2 == 0 { 0.4 } else { -0.4 });
        }
        assert!((dependence.inflation() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn runs_inflate() {
        let mut dependence = Dependence::default();
        (0..4_000_u32).for_each(|i| dependence.push(if i / 20 % 2 == 0 { 1.0 } else { -1.0 }));
        // near 0.9, far 0.6
        assert!((18.0..22.0).contains(&dependence.inflation()), "{}", dependence.inflation());
    }
}
