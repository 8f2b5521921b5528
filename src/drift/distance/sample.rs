//! Distances between two raw samples.

use super::ordered::{CramerVonMises, Farthest, KolmogorovSmirnov};
use super::walk::{Step, Walk};
use crate::drift::{DriftError, Pair, Window};

/// The values of a window, sorted, all finite and at least one. 8 bytes a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    sorted: Vec<f64>,
}

impl Sample {
    /// Sorts the values of one window: O(n log n). `window` is only for the error.
    ///
    /// # Errors
    ///
    /// [`DriftError::NonFinite`] for NaN and infinities; [`DriftError::EmptyWindow`] without a value.
    pub fn new(window: Window, values: impl IntoIterator<Item = f64>) -> Result<Sample, DriftError> {
        // −0 + 0 is 0: the two zeros are one value
        let mut sorted: Vec<f64> = values.into_iter().map(|value| value + 0.0).collect();
        if let Some(place) = sorted.iter().position(|value| !value.is_finite()) {
            return Err(DriftError::NonFinite { window, place });
        }
        if sorted.is_empty() {
            return Err(DriftError::EmptyWindow { window });
        }
        sorted.sort_unstable_by(f64::total_cmp);
        Ok(Sample { sorted })
    }

    /// The values, rising.
    #[must_use]
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// The standard deviation with n as divisor, in two passes.
    #[must_use]
    pub fn standard_deviation(&self) -> f64 {
        let count = self.sorted.len() as f64;
        let mean = self.sorted.iter().sum::<f64>() / count;
        let squares: f64 = self.sorted.iter().map(|value| (value - mean).powi(2)).sum();
        (squares / count).sqrt()
    }

    /// Kolmogorov-Smirnov statistic of two samples, two-sided. O(n + m).
    #[must_use]
    pub fn kolmogorov_smirnov(samples: Pair<&Sample>) -> KolmogorovSmirnov<f64> {
        let lowest = samples.reference.sorted.first().copied().unwrap_or_default();
        let mut farthest = Farthest::new(sizes(samples), lowest);
        walk(samples).for_each(|step| farthest.see(step.up_to(), step.value));
        farthest.found()
    }

    /// Wasserstein-1 distance of two samples in the values' unit, ∫ |F − G|: how far a value has to be moved in the mean.
    /// O(n + m).
    ///
    /// Source: Vallender 1974.
    #[must_use]
    pub fn wasserstein(samples: Pair<&Sample>) -> f64 {
        integral(samples, f64::abs)
    }

    /// Energy distance of two samples, √(2 ∫ (F − G)²), in the root of the values' unit. O(n + m).
    ///
    /// Source: Székely & Rizzo 2013; in one dimension it is Cramér's distance but for the factor.
    #[must_use]
    pub fn energy_distance(samples: Pair<&Sample>) -> f64 {
        (2.0 * integral(samples, |difference| difference * difference)).sqrt()
    }

    /// Cramér-von Mises statistic of two samples. O(n + m).
    ///
    /// Source: Anderson 1962.
    #[must_use]
    pub fn cramer_von_mises(samples: Pair<&Sample>) -> CramerVonMises {
        let sizes = sizes(samples);
        let (n, m) = (sizes.reference as f64, sizes.current as f64);
        let mut squares = Pair { reference: 0.0, current: 0.0 };
        for step in walk(samples) {
            let tied = (step.equal.total() as f64 + 1.0) / 2.0;
            let (below, equal) = (step.below.map(|count| count as f64), step.equal.map(|count| count as f64));
            // The mean rank among all, less the rank among the own: the ranks of e tied values are a row around a middle
            let own = equal.map(|count| (count + 1.0) / 2.0);
            let off = Pair {
                reference: below.current + tied - own.reference,
                current: below.reference + tied - own.current,
            };
            squares.reference += sum_of_squares(off.reference, equal.reference);
            squares.current += sum_of_squares(off.current, equal.current);
        }
        let statistic = (n * squares.reference + m * squares.current) / (n * m * (n + m))
            - (4.0 * n * m - 1.0) / (6.0 * (n + m));
        CramerVonMises { statistic, sizes }
    }
}

fn sizes(samples: Pair<&Sample>) -> Pair<u64> {
    samples.map(|sample| sample.sorted.len() as u64)
}

fn walk(samples: Pair<&Sample>) -> Walk<'_> {
    Walk::new(samples.map(Sample::sorted))
}

/// ∫ `of`(F − G) over the line.
fn integral(samples: Pair<&Sample>, of: impl Fn(f64) -> f64) -> f64 {
    let sizes = sizes(samples).map(|size| size as f64);
    let mut last: Option<Step> = None;
    let mut sum = 0.0;
    for step in walk(samples) {
        if let Some(last) = last {
            let up_to = last.up_to().map(|count| count as f64);
            let difference = up_to.reference / sizes.reference - up_to.current / sizes.current;
            sum += of(difference) * (step.value - last.value);
        }
        last = Some(step);
    }
    sum
}

/// Σ x² over `count` numbers that are 1 apart, around `middle`.
fn sum_of_squares(middle: f64, count: f64) -> f64 {
    count * middle * middle + count * (count * count - 1.0) / 12.0
}

#[cfg(test)]
mod tests {
    use super::super::Direction;
    use super::*;
    use proptest::prelude::*;

    fn sample(values: &[f64]) -> Sample {
        Sample::new(Window::Current, values.iter().copied()).unwrap()
    }

    #[test]
    fn what_is_not_a_number_is_refused_with_its_place() {
        let of = |values: &[f64]| Sample::new(Window::Current, values.iter().copied()).err();
        let window = Window::Current;
        assert_eq!(of(&[1.0, f64::NAN]), Some(DriftError::NonFinite { window, place: 1 }));
        assert_eq!(of(&[f64::NEG_INFINITY]), Some(DriftError::NonFinite { window, place: 0 }));
        assert_eq!(of(&[]), Some(DriftError::EmptyWindow { window }));
        assert_eq!(of(&[1.0]), None);
    }

    #[test]
    fn a_sample_that_lies_three_higher_is_three_away() {
        let (low, high) = (sample(&[1.0, 2.0, 2.0, 5.0]), sample(&[8.0, 4.0, 5.0, 5.0]));
        let pair = Pair { reference: &low, current: &high };
        assert!((Sample::wasserstein(pair) - 3.0).abs() < 1e-12);
        let farthest = Sample::kolmogorov_smirnov(pair);
        assert_eq!((farthest.statistic(), farthest.location), (0.75, 2.0));
        assert_eq!(farthest.direction, Direction::Higher);
        let back = Sample::kolmogorov_smirnov(Pair { reference: &high, current: &low });
        assert_eq!((back.statistic(), back.direction), (0.75, Direction::Lower));
    }

    #[test]
    fn both_zeros_are_one_value() {
        let (minus, plus) = (sample(&[-0.0, 1.0]), sample(&[0.0, 1.0]));
        let same = Sample::kolmogorov_smirnov(Pair { reference: &minus, current: &plus });
        assert_eq!((same.statistic(), same.p_value()), (0.0, 1.0));
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec((-20_i32..20).prop_map(f64::from), 1..30)
    }

    proptest! {
        #[test]
        fn distances_agree_with_their_definitions(one in values(), other in values()) {
            let (reference, current) = (sample(&one), sample(&other));
            let pair = Pair { reference: &reference, current: &current };
            let share = |values: &[f64], at: f64| {
                values.iter().filter(|value| **value <= at).count() as f64 / values.len() as f64
            };
            let difference = |at: i32| share(&one, f64::from(at)) - share(&other, f64::from(at));
            let largest = (-20..20).map(|at| difference(at).abs()).fold(0.0, f64::max);
            prop_assert!((Sample::kolmogorov_smirnov(pair).statistic() - largest).abs() < 1e-12);
            let area: f64 = (-20..20).map(|at| difference(at).abs()).sum();
            prop_assert!((Sample::wasserstein(pair) - area).abs() < 1e-9);
            // Székely's definition: 2 E|X − Y| − E|X − X'| − E|Y − Y'|
            let mean = |one: &[f64], other: &[f64]| {
                let all = one.iter().flat_map(|a| other.iter().map(move |b| (a - b).abs()));
                all.sum::<f64>() / (one.len() * other.len()) as f64
            };
            let energy = (2.0 * mean(&one, &other) - mean(&one, &one) - mean(&other, &other)).max(0.0);
            prop_assert!((Sample::energy_distance(pair).powi(2) - energy).abs() < 1e-9);
        }

        #[test]
        fn the_wasserstein_distance_obeys_the_triangle(one in values(), other in values(), third in values()) {
            let (one, other, third) = (sample(&one), sample(&other), sample(&third));
            let between = |reference, current| Sample::wasserstein(Pair { reference, current });
            prop_assert!(between(&one, &third) <= between(&one, &other) + between(&other, &third) + 1e-9);
        }
    }
}
