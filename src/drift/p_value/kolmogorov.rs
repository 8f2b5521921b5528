//! The law of the Kolmogorov-Smirnov statistic of one sample of n values against a continuous law, one-sided and two-sided.

use std::f64::consts::{FRAC_PI_2, PI};

/// Up to this many values the two-sided law is computed exactly; beyond, its expansion has at least four digits.
const EXACT_VALUES_MAX: f64 = 140.0;
/// From this n·d² on, twice the one-sided law is the two-sided one: to ten digits.
const SEPARATE_FOR_FEW: f64 = 4.0;
/// The same beyond [`EXACT_VALUES_MAX`], where the expansion would lose digits to 1 − CDF: to six digits.
const SEPARATE_FOR_MANY: f64 = 2.2;
/// So many terms of the one-sided law are summed at most; of more, evenly spaced ones (see [`smirnov_survival`]).
const TERMS_MAX: f64 = 1_024.0;

/// P(D ≥ `statistic`) for the two-sided statistic of `values` values (a whole number). 1 without values.
///
/// Relative error 1e-10 for up to 140 values, 2e-5 just beyond, 1e-6 from 700 on.
///
/// Sources: which law to compute where: Simard & L'Ecuyer 2011; for few values Durbin's matrix as in Marsaglia, Tsang & Wang
/// 2003; for many the expansion of Pelz & Good 1976; in the tail twice [`smirnov_survival`], Miller 1956.
#[must_use]
pub fn kolmogorov_survival(statistic: f64, values: f64) -> f64 {
    // the statistic is never below 1 / 2n
    if values.is_nan() || values < 1.0 || statistic.is_nan() || statistic * values <= 0.5 {
        return 1.0;
    }
    if statistic >= 1.0 {
        return 0.0;
    }
    let square = values * statistic * statistic;
    let separate = if values <= EXACT_VALUES_MAX { SEPARATE_FOR_FEW } else { SEPARATE_FOR_MANY };
    // both sides cannot reach a half at once, so there twice one side is exact
    if square >= separate || statistic >= 0.5 {
        return (2.0 * smirnov_survival(statistic, values)).min(1.0);
    }
    let distribution = if values <= EXACT_VALUES_MAX {
        durbin_distribution(statistic, values)
    } else {
        pelz_good_distribution(statistic, values)
    };
    (1.0 - distribution).clamp(0.0, 1.0)
}

/// P(D⁺ ≥ `statistic`) for the one-sided statistic of `values` values (a whole number): d Σⱼ b(j; n, d + j/n) / (d + j/n) over
/// 0 ≤ j ≤ n (1 − d), b being the binomial probability. Relative error 1e-11. 1 without values.
///
/// Of more than a thousand terms, evenly spaced ones stand for all: they fall to nothing at both ends and are smooth between,
/// so a sum over a grid is as good (the trapezoidal rule). The cost is bounded so.
///
/// Sources: Smirnov 1944, Birnbaum & Tingey 1951; binomial probabilities that do not cancel: Loader 2000.
#[must_use]
pub fn smirnov_survival(statistic: f64, values: f64) -> f64 {
    if values.is_nan() || values < 1.0 || statistic.is_nan() || statistic <= 0.0 {
        return 1.0;
    }
    if statistic >= 1.0 {
        return 0.0;
    }
    let stride = (values / TERMS_MAX).floor().max(1.0);
    let ahead = values * statistic;
    let last = (values - ahead).floor();
    let mut sum = 0.0;
    let mut place = 0.0;
    while place <= last {
        sum += binomial(place, ahead, values) / (statistic + place / values);
        place += stride;
    }
    (statistic * stride * sum).min(1.0)
}

/// The probability of `hits` of `tries` when `hits + ahead` are expected.
fn binomial(hits: f64, ahead: f64, tries: f64) -> f64 {
    let misses = tries - hits;
    if hits < 0.5 {
        return (tries * (-ahead / tries).ln_1p()).exp();
    }
    if misses < 0.5 {
        return ((hits + ahead) / tries).powf(tries);
    }
    let from_expected = hits * (ahead / hits).ln_1p() + misses * (-ahead / misses).max(-1.0).ln_1p();
    let from_stirling = stirling_error(tries) - stirling_error(hits) - stirling_error(misses);
    (from_expected + from_stirling).exp() * (tries / (2.0 * PI * hits * misses)).sqrt()
}

/// ln n! less Stirling's approximation (n + ½) ln n − n + ½ ln 2π of it, for a whole n from 1.
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        let mut factorial = 1.0;
        let mut factor = 2.0;
        while factor <= n {
            factorial *= factor;
            factor += 1.0;
        }
        return f64::ln(factorial) - ((n + 0.5) * n.ln() - n + (2.0 * PI).sqrt().ln());
    }
    // Abramowitz & Stegun 6.1.41
    let inverse = 1.0 / n;
    let square = inverse * inverse;
    let series = 1.0 / 12.0
        - square * (1.0 / 360.0 - square * (1.0 / 1_260.0 - square * (1.0 / 1_680.0 - square / 1_188.0)));
    inverse * series
}

/// P(D < `statistic`), exactly: n! / nⁿ times the middle entry of the n-th power of Durbin's matrix. Only that entry is wanted,
/// so a vector is multiplied n times: O(n · (n·d)²), at most 0.2 ms for 140 values.
///
/// Source: Durbin 1973; the matrix as in Marsaglia, Tsang & Wang 2003.
fn durbin_distribution(statistic: f64, values: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 1 to n·d, rounded down"
    )]
    let middle = (values * statistic) as usize;
    let short = middle as f64 + 1.0 - values * statistic;
    let matrix = durbin_matrix(middle, short);
    let width = 2 * middle + 1;
    let mut row = vec![0.0; width];
    row.iter_mut().skip(middle).take(1).for_each(|entry| *entry = 1.0);
    let mut step = 1.0;
    while step <= values {
        let mut next = vec![0.0; width];
        for (entry, line) in row.iter().zip(matrix.chunks_exact(width)) {
            for (sum, factor) in next.iter_mut().zip(line) {
                *sum += entry * factor;
            }
        }
        // n! / nⁿ, a factor at a time, keeps the entries near 1
        next.iter_mut().for_each(|entry| *entry *= step / values);
        row = next;
        step += 1.0;
    }
    row.get(middle).copied().unwrap_or_default()
}

/// Durbin's matrix of 2k − 1 lines, k = `middle` + 1, one line after the other; h = `short` = k − n·d.
fn durbin_matrix(middle: usize, short: f64) -> Vec<f64> {
    let width = 2 * middle + 1;
    let mut matrix = Vec::with_capacity(width * width);
    for line in 0..width {
        for column in 0..width {
            let is_first = column == 0;
            let is_last = line + 1 == width;
            let mut entry = if column <= line + 1 { 1.0 } else { 0.0 };
            if is_first {
                entry -= power(short, line + 1);
            }
            if is_last {
                entry -= power(short, width - column);
            }
            if is_first && is_last {
                entry += power((2.0 * short - 1.0).max(0.0), width);
            }
            let factorial: f64 =
                (1..=(line + 1).saturating_sub(column)).map(|factor| factor as f64).product();
            matrix.push(entry / factorial);
        }
    }
    matrix
}

fn power(base: f64, exponent: usize) -> f64 {
    base.powi(i32::try_from(exponent).unwrap_or(i32::MAX))
}

/// P(D < `statistic`) by an expansion in 1/√n up to n^(−3/2), for z = d√n below some 2.
///
/// Source: Pelz & Good 1976, K₀ to K₃.
fn pelz_good_distribution(statistic: f64, values: f64) -> f64 {
    let z = statistic * values.sqrt();
    let z2 = z * z;
    let (z4, z6) = (z2 * z2, z2 * z2 * z2);
    let z8 = z4 * z4;
    let mut sums = [0.0; 4];
    let [k0, k1, k2, k3] = &mut sums;
    // e^(−π²k²/2z²) is below 1e-100 from k = 10 on
    for whole in 0..10 {
        // u = π²(k + ½)², both signs of k + ½ at once; v = π²k², both signs of k
        let u = PI.powi(2) * (f64::from(whole) + 0.5).powi(2);
        let half = 2.0 * (-u / (2.0 * z2)).exp();
        *k0 += half;
        *k1 += half * (u - z2);
        *k2 += half * (6.0 * z6 + 2.0 * z4 + u * (2.0 * z4 - 5.0 * z2) + u * u * (1.0 - 2.0 * z2));
        *k3 += half
            * (u * u * u * (5.0 - 30.0 * z2)
                + u * u * (212.0 * z4 - 60.0 * z2)
                + u * (135.0 * z4 - 96.0 * z6)
                - 30.0 * z6
                - 90.0 * z8);
        let v = PI.powi(2) * f64::from(whole).powi(2);
        let full = 2.0 * (-v / (2.0 * z2)).exp();
        // 1/36z³ and 1/216z⁶, brought to the denominators of the others
        *k2 -= full * v * 2.0 * z4;
        *k3 += full * (3.0 * z2 * v - v * v) * 30.0 * z4;
    }
    let root = values.sqrt();
    let terms = [
        *k0 / z,
        *k1 / (6.0 * z4) / root,
        *k2 / (72.0 * z4 * z2 * z) / values,
        *k3 / (6_480.0 * z8 * z2) / (values * root),
    ];
    FRAC_PI_2.sqrt() * terms.iter().sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_two_sided_law_of_few_values_is_exact() {
        // Durbin's matrix with mpmath 1.4.1 at 60 digits
        for (statistic, values, expected) in [
            (0.12, 5.0, 0.999_987_712),
            (0.3, 5.0, 0.664),
            (0.6, 5.0, 0.030_08),
            (0.1333, 15.0, 0.920_634_592_713_297),
            (0.2, 30.0, 0.157_969_161_015_473_6),
            (0.4, 30.0, 7.621_035_572_702_763e-5),
            (0.17, 50.0, 0.098_583_755_792_569_18),
            (0.05, 100.0, 0.953_215_971_063_572_5),
            (0.09, 140.0, 0.194_694_662_984_577_1),
            (0.15, 140.0, 0.003_249_560_441_506_097_4),
            (0.17, 140.0, 0.000_524_610_868_747_090_5),
        ] {
            let value = kolmogorov_survival(statistic, values);
            assert!(
                (value / expected - 1.0).abs() < 1e-10,
                "{statistic} {values}: {value:e}, not {expected:e}"
            );
        }
    }

    #[test]
    fn the_two_sided_law_of_many_values_has_four_digits_at_worst() {
        // the same; the worst place is just beyond 140 values
        for (statistic, values, expected) in [
            (0.09, 141.0, 0.191_568_444_260_809_9),
            (0.12, 141.0, 0.031_600_043_092_467_77),
            (0.126, 141.0, 0.020_711_877_035_017_97),
            (0.05, 200.0, 0.680_262_725_439_557_6),
            (0.1, 200.0, 0.034_110_070_781_484_97),
            (0.04, 500.0, 0.390_251_016_326_406),
            (0.0385, 667.0, 0.269_204_700_867_356_2),
        ] {
            let value = kolmogorov_survival(statistic, values);
            assert!(
                (value / expected - 1.0).abs() < 2e-5,
                "{statistic} {values}: {value:e}, not {expected:e}"
            );
        }
    }

    #[test]
    fn the_one_sided_law_keeps_its_digits_however_many_values_there_are() {
        // the sum itself with mpmath at 60 digits
        for (statistic, values, expected) in [
            (0.3, 1.0, 0.7),
            (0.3, 5.0, 0.342_82),
            (0.1, 100.0, 0.126_590_658_456_281_7),
            (0.05, 1_000.0, 0.006_506_037_390_545_166),
            (0.03, 5_000.0, 0.000_120_796_172_113_334_1),
            (0.01, 20_000.0, 0.018_193_128_957_572_09),
            (0.05, 20_000.0, 3.407_119_096_486_205e-44),
            (0.3, 3_000.0, 3.013_968_380_575_315e-240),
        ] {
            let value = smirnov_survival(statistic, values);
            assert!(
                (value / expected - 1.0).abs() < 1e-11,
                "{statistic} {values}: {value:e}, not {expected:e}"
            );
        }
    }

    #[test]
    fn few_terms_stand_for_all_of_them() {
        for values in [2_048.0, 10_000.0, 300_000.0] {
            for square in [2.2_f64, 4.0, 30.0, 300.0] {
                let statistic = (square / values).sqrt();
                let last = (values - values * statistic).floor();
                let (mut sum, mut place) = (0.0, 0.0);
                while place <= last {
                    sum += binomial(place, values * statistic, values) / (statistic + place / values);
                    place += 1.0;
                }
                let all = statistic * sum;
                let few = smirnov_survival(statistic, values);
                assert!((few / all - 1.0).abs() < 1e-11, "{values} {square}: {few:e} {all:e}");
            }
        }
    }

    #[test]
    fn stirlings_error_is_smooth_where_its_computation_changes() {
        // ln 15! and ln 16!: exact factorials
        let by_definition =
            |n: f64, factorial: f64| factorial.ln() - ((n + 0.5) * n.ln() - n + (2.0 * PI).sqrt().ln());
        assert!((stirling_error(16.0) - by_definition(16.0, 20_922_789_888_000.0)).abs() < 1e-14);
        assert!((stirling_error(1.0) - (1.0 - (2.0 * PI).sqrt().ln())).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn a_p_value_lies_between_0_and_1_and_falls(values in 1_u32..3_000, one in 0.0_f64..1.0, other in 0.0_f64..1.0) {
            let p = |statistic| kolmogorov_survival(statistic, f64::from(values));
            let (nearer, farther) = (p(one.min(other)), p(one.max(other)));
            prop_assert!((0.0..=1.0).contains(&nearer) && (0.0..=1.0).contains(&farther));
            // at the seams of the computation it may rise by what each side is off
            prop_assert!(farther <= nearer * (1.0 + 3e-5), "{} {}", nearer, farther);
        }
    }
}
