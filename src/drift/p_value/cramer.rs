//! The limit law of the Cramér-von Mises statistic.

use crate::drift::Pair;
use std::f64::consts::{FRAC_PI_2, PI};

/// The p-value of a two-sample Cramér-von Mises statistic from its limit law, after the statistic has been brought to the mean
/// and variance of that law. 1 if either sample is empty.
///
/// Source: mean and variance: Anderson 1962, eq. 14 and 15.
#[must_use]
pub fn cramer_von_mises_asymptotic(statistic: f64, sizes: Pair<u64>) -> f64 {
    if sizes.reference == 0 || sizes.current == 0 {
        return 1.0;
    }
    let (n, m) = (sizes.reference as f64, sizes.current as f64);
    let (all, product) = (n + m, n * m);
    let mean = (1.0 + 1.0 / all) / 6.0;
    let variance = (all + 1.0) * (4.0 * product * all - 3.0 * (n * n + m * m) - 2.0 * product)
        / (45.0 * all * all * 4.0 * product);
    // the limit has mean 1/6 and variance 1/45
    let standard = 1.0 / 6.0 + (statistic - mean) / (45.0 * variance).sqrt();
    limit_survival(standard)
}

/// P(ω² ≥ x) of the limit of the Cramér-von Mises statistic:
/// 2/π Σₖ (−1)ᵏ⁻¹ ∫ e^(−u²x/2) / √(u |sin u|) du, over (2k − 1)π ≤ u ≤ 2kπ. Relative error 1e-11.
///
/// The integrals are taken by the midpoint rule over the angle θ of u = (2k − ½ − ½ cos θ) π, which turns the poles at the ends
/// into something smooth.
///
/// Source: Smirnov 1936, as in Durbin 1973, section 4.4.
fn limit_survival(x: f64) -> f64 {
    /// Enough for the narrow peak of the last p-value above 1e-308.
    const ANGLES: u32 = 128;
    // below, it is 1 to forty digits
    if x < 0.003 || x.is_nan() {
        return 1.0;
    }
    let (mut sum, mut sign, mut start) = (0.0, 1.0, PI);
    loop {
        let mut integral = 0.0;
        for angle in 0..ANGLES {
            let theta = (f64::from(angle) + 0.5) * PI / f64::from(ANGLES);
            // how far u is into its interval: |sin u| is the sine of that
            let ahead = PI * (theta / 2.0).sin().powi(2);
            let u = start + ahead;
            integral += (-u * u * x / 2.0).exp() / (u * ahead.sin()).sqrt() * theta.sin();
        }
        let term = integral * (PI / f64::from(ANGLES)) * FRAC_PI_2 * 2.0 / PI;
        sum += sign * term;
        if term <= 1e-16 * sum {
            return sum.clamp(0.0, 1.0);
        }
        sign = -sign;
        start += 2.0 * PI;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "what is exact is compared exactly")]

    use super::*;

    #[test]
    fn the_limit_law_keeps_its_digits_in_the_tail() {
        // mpmath 1.4.1 at 60 digits: the series of Anderson & Darling 1952, eq. 4.35, taken from 1
        for (x, expected) in [
            (0.02, 0.996_999_385_698_398_1),
            (0.05, 0.876_280_931_041_349),
            (0.1, 0.584_873_438_406_795),
            (0.3, 0.135_171_268_805_105_8),
            (0.5, 0.039_833_217_565_607_6),
            (1.0, 0.002_460_452_180_133_964),
            (2.7, 3.499_145_155_683_231e-7),
            (5.0, 3.053_929_033_103_388e-12),
            (10.0, 4.178_941_092_885_288e-23),
            (20.0, 1.097_209_316_565_387e-44),
        ] {
            let value = limit_survival(x);
            assert!((value / expected - 1.0).abs() < 1e-11, "{x}: {value:e} instead of {expected:e}");
        }
        assert!(limit_survival(0.003) > 1.0 - 1e-9 && limit_survival(140.0) > 0.0);
    }

    #[test]
    fn it_ends_for_every_statistic() {
        let sizes = Pair { reference: 2_000, current: 1_000 };
        let p = |statistic| cramer_von_mises_asymptotic(statistic, sizes);
        assert_eq!([0.0, -1.0, f64::NAN].map(p), [1.0; 3]);
        assert_eq!([1e3, 1e9, f64::INFINITY].map(p), [0.0; 3]);
        assert_eq!(cramer_von_mises_asymptotic(5.0, Pair { reference: 0, current: 3 }), 1.0);
    }
}
