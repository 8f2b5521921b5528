//! How often chance alone sets two windows of one law at least that far apart.
//!
//! All of them are survival functions: P(statistic ≥ what was seen), in [0, 1], 1 where there is nothing to see. They keep
//! their digits in the tail, where 1 − CDF would not.

mod cramer;
mod kolmogorov;
mod lattice;

use super::Pair;
pub use cramer::cramer_von_mises_asymptotic;
pub use kolmogorov::{kolmogorov_survival, smirnov_survival};
pub use lattice::kolmogorov_smirnov_exact;
use statrs::function::gamma::checked_gamma_ur;

/// Two samples of at most so many values each get their exact Kolmogorov-Smirnov p-value. The asymptotic one is off by up to 2 %
/// for p-values from 0.01 on, and by up to 9 % far below; the exact one costs the more the larger the samples are.
pub const EXACT_SIZE_MAX: u64 = 10_000;

/// P(χ² ≥ `statistic`) for so many degrees of freedom: the regularised upper incomplete gamma function Q(df/2, x/2), to twelve
/// digits also where it is very small. 1 for 0 degrees of freedom, for NaN and for a statistic of 0 or less.
#[must_use]
pub fn chi_square_survival(statistic: f64, degrees_of_freedom: u64) -> f64 {
    if degrees_of_freedom == 0 || statistic.is_nan() || statistic <= 0.0 {
        return 1.0;
    }
    if statistic.is_infinite() {
        return 0.0;
    }
    checked_gamma_ur(degrees_of_freedom as f64 / 2.0, statistic / 2.0).map_or(1.0, |p| p.clamp(0.0, 1.0))
}

/// P(Z ≥ `deviations`) of the standard normal law, to twelve digits. 1 for NaN.
#[must_use]
pub fn normal_survival(deviations: f64) -> f64 {
    let half = normal_two_sided(deviations) / 2.0;
    if deviations < 0.0 {
        1.0 - half
    } else if deviations.is_nan() {
        1.0
    } else {
        half
    }
}

/// P(|Z| ≥ |`deviations`|) of the standard normal law, to twelve digits: that of χ² with one degree of freedom at the square,
/// since the library's `erfc` has only ten. 1 for NaN.
#[must_use]
pub fn normal_two_sided(deviations: f64) -> f64 {
    chi_square_survival(deviations * deviations, 1)
}

/// The p-value of a two-sided, two-sample Kolmogorov-Smirnov statistic, as that of one sample of nm / (n + m) values, rounded to
/// the even side. Fit for use if that is some tens or more. At most 1,024 terms, so some 20 µs, however many values.
///
/// Source: [`kolmogorov_survival`]; the effective size: Stephens 1970.
#[must_use]
pub fn kolmogorov_smirnov_asymptotic(statistic: f64, sizes: Pair<u64>) -> f64 {
    let sizes = sizes.map(|size| size as f64);
    let effective = (sizes.reference * sizes.current / (sizes.reference + sizes.current)).round_ties_even();
    kolmogorov_survival(statistic, effective)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "what is exact is compared exactly")]

    use super::*;

    const CHI_SQUARE: [(f64, u64, f64); 13] = [
        (0.001, 1, 0.974_772_879_369_960_4),
        (3.84, 1, 0.050_043_521_248_705_1),
        (114.79, 1, 8.748_869_194_453_652e-27),
        (1300.0, 1, 1.130_372_844_149_274e-284),
        (5.0, 4, 0.287_297_495_183_645_8),
        (297.3, 5, 3.811_635_851_347_786e-62),
        (60.0, 50, 0.157_242_027_238_391_6),
        (400.0, 300, 9.678_621_994_933_577e-5),
        (300.0, 400, 0.999_942_903_114_257_9),
        (2000.0, 1000, 4.143_678_591_454_992e-69),
        (0.5, 10, 0.999_993_388_289_439),
        (9.0, 9, 0.437_274_188_913_867_1),
        (12000.0, 10000, 1.147_006_552_460_125e-40),
    ];
    const NORMAL: [(f64, f64); 8] = [
        (0.0, 0.5),
        (0.5, 0.308_537_538_725_986_9),
        (-1.0, 0.841_344_746_068_542_9),
        (1.96, 0.024_997_895_148_220_44),
        (3.0, 0.001_349_898_031_630_094_6),
        (6.0, 9.865_876_450_376_98e-10),
        (12.0, 1.776_482_112_077_679e-33),
        (37.0, 5.725_571_222_524_577e-300),
    ];

    fn near(value: f64, expected: f64, tolerance: f64) {
        assert!((value - expected).abs() <= tolerance * expected.abs(), "{value:e} instead of {expected:e}");
    }

    #[test]
    fn the_tail_of_chi_square_keeps_its_digits() {
        // mpmath 1.4.1 at 50 digits: gammainc(df/2, x/2, inf, regularized=True)
        for (statistic, degrees, expected) in CHI_SQUARE {
            near(chi_square_survival(statistic, degrees), expected, 1e-11);
        }
        assert_eq!(chi_square_survival(5.0, 0), 1.0);
        assert_eq!(chi_square_survival(f64::NAN, 3), 1.0);
        assert_eq!(chi_square_survival(0.0, 3), 1.0);
        assert_eq!(chi_square_survival(f64::INFINITY, 3), 0.0);
        assert_eq!(chi_square_survival(1e6, 1), 0.0);
    }

    #[test]
    fn the_tail_of_the_normal_law_keeps_its_digits() {
        // mpmath 1.4.1: erfc(z/√2)/2
        for (deviations, expected) in NORMAL {
            near(normal_survival(deviations), expected, 1e-12);
        }
        near(normal_two_sided(-3.0), 2.0 * normal_survival(3.0), 1e-15);
        assert_eq!(normal_two_sided(f64::NAN), 1.0);
    }

    #[test]
    fn an_asymptotic_p_value_of_windows_that_agree_is_one_and_of_windows_apart_is_tiny() {
        let sizes = Pair { reference: 20_000, current: 30_000 };
        assert_eq!(kolmogorov_smirnov_asymptotic(0.0, sizes), 1.0);
        assert_eq!(kolmogorov_smirnov_asymptotic(1.0, sizes), 0.0);
    }
}
