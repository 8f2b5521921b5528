//! Bins at the quantiles of a reference sample, and distances in its standard deviations.

use super::sample::Sample;

/// Bins that hold about equally many values of a reference sample each: bin k holds edge(k − 1) < x ≤ edge(k), the outer ones
/// are open. Fewer than asked for where values are tied.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantileBins {
    edges: Vec<f64>,
}

impl QuantileBins {
    /// `bins` of them (at least 1), between the quantiles 1/bins, 2/bins, … of the sample.
    ///
    /// A value below all of a constant sample falls into the bin of that constant, as `x ≤ edge` says: the sketch's own
    /// alignment does not have that flaw.
    #[must_use]
    pub fn new(reference: &Sample, bins: u32) -> QuantileBins {
        let levels = (1..bins).map(|place| f64::from(place) / f64::from(bins));
        let mut edges: Vec<f64> = levels.map(|level| quantile(reference.sorted(), level)).collect();
        // they rise, so equal ones are neighbours
        edges.dedup_by(|later, earlier| later <= earlier);
        QuantileBins { edges }
    }

    /// The edges between the bins, rising.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// How many of the sample are in each bin. O(bins · log n).
    #[must_use]
    pub fn counts(&self, sample: &Sample) -> Vec<u64> {
        let up_to = |edge: &f64| sample.sorted().partition_point(|value| value <= edge) as u64;
        let cumulated = self.edges.iter().map(up_to).chain([sample.sorted().len() as u64]);
        let mut last = 0;
        cumulated.map(|count| count - std::mem::replace(&mut last, count)).collect()
    }
}

/// The quantile at `level` in [0, 1] of sorted values, linear between the two next ones.
///
/// Source: definition 7 of Hyndman & Fan 1996. Interpolated from the nearer end, so that the upper value is met exactly.
fn quantile(sorted: &[f64], level: f64) -> f64 {
    let place = (sorted.len().saturating_sub(1)) as f64 * level;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in the slice, rounded down"
    )]
    let below = place as usize;
    let at = |place: usize| sorted.get(place).or(sorted.last()).copied().unwrap_or_default();
    let (low, high, part) = (at(below), at(below + 1), place - below as f64);
    if part < 0.5 { low + (high - low) * part } else { high - (high - low) * (1.0 - part) }
}

/// A distance in units of a standard deviation, usually the reference's; nothing if that is 0 or not finite.
#[must_use]
pub fn in_deviations(distance: f64, standard_deviation: f64) -> Option<f64> {
    (standard_deviation > 0.0 && standard_deviation.is_finite()).then(|| distance / standard_deviation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::Window;

    fn sample(values: &[f64]) -> Sample {
        Sample::new(Window::Reference, values.iter().copied()).unwrap()
    }

    #[test]
    fn quantiles_lie_linear_between_the_values() {
        let sorted = [10.0, 20.0, 30.0, 40.0];
        for (level, expected) in [(0.0, 10.0), (0.1, 13.0), (0.5, 25.0), (0.9, 37.0), (1.0, 40.0)] {
            assert!((quantile(&sorted, level) - expected).abs() < 1e-12, "{level}");
        }
    }

    #[test]
    fn values_at_an_edge_belong_to_the_bin_below_it() {
        let bins = QuantileBins::new(&sample(&[0.0, 1.0, 2.0]), 2);
        assert_eq!(bins.edges(), [1.0]);
        assert_eq!(bins.counts(&sample(&[1.0, 1.0, 1.5, -9.0])), [3, 1]);
    }

    #[test]
    fn tied_quantiles_make_one_edge() {
        let bins = QuantileBins::new(&sample(&[0.0, 0.0, 0.0, 0.0, 7.0]), 10);
        assert_eq!(bins.edges().first(), Some(&0.0));
        assert_eq!(bins.counts(&sample(&[0.0, 0.0, 7.0])).iter().sum::<u64>(), 3);
        assert_eq!(QuantileBins::new(&sample(&[5.0; 9]), 10).edges(), [5.0]);
    }

    #[test]
    fn a_distance_in_deviations_of_a_constant_does_not_exist() {
        assert_eq!(in_deviations(3.0, 0.0), None);
        assert_eq!(in_deviations(3.0, f64::NAN), None);
        assert_eq!(in_deviations(3.0, 2.0), Some(1.5));
    }
}
