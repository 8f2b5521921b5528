//! The sketch of a number.

use super::bin::{Bin, place_of};
use super::run::Run;
use serde::{Deserialize, Serialize, Serializer};

/// Counts of a number's values in fixed bins, and its moments: 128 bytes and 8 for each bin between the least and the greatest
/// value on either side of zero, some kilobytes for a price and never more than 21.
///
/// An update costs some nanoseconds. Counts, missing ones and extremes are exact and the same whatever the order of arrival and
/// merging; mean and standard deviation to rounding.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "super::stored::Stored")]
pub struct NumericSketch {
    pub(super) below_zero: Run,
    pub(super) above_zero: Run,
    pub(super) zeros: u64,
    pub(super) count: u64,
    pub(super) missing: u64,
    pub(super) non_finite: u64,
    pub(super) moments: Moments,
    pub(super) extremes: Extremes,
}

const _: () = assert!(size_of::<NumericSketch>() == 128, "what its description says");

/// Sums over the values, each taken for the end of the bins if it is beyond it: finite whatever comes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) sum: f64,
    pub(super) squares: f64,
}

/// The least and the greatest value; the wrong way round before the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extremes {
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Default for Extremes {
    fn default() -> Extremes {
        Extremes { least: f64::INFINITY, greatest: f64::NEG_INFINITY }
    }
}

impl NumericSketch {
    /// Counts a value. One that is not finite is counted as such and nowhere else.
    #[inline]
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.non_finite += 1;
            return;
        }
        match place_of(value.abs()) {
            None => self.zeros += 1,
            Some(place) if value < 0.0 => self.below_zero.add(place, 1),
            Some(place) => self.above_zero.add(place, 1),
        }
        self.count += 1;
        // so that −0 does not differ from 0
        let value = value + 0.0;
        let bounded = value.clamp(-super::LARGEST, super::LARGEST);
        self.moments.sum += bounded;
        self.moments.squares += bounded * bounded;
        self.extremes.least = self.extremes.least.min(value);
        self.extremes.greatest = self.extremes.greatest.max(value);
    }

    /// Counts a record in which the value is missing.
    pub fn add_missing(&mut self) {
        self.missing += 1;
    }

    /// Adds all that another sketch has counted. O(bins).
    pub fn merge(&mut self, other: &NumericSketch) {
        self.below_zero.merge(&other.below_zero);
        self.above_zero.merge(&other.above_zero);
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.count = self.count.saturating_add(other.count);
        self.missing = self.missing.saturating_add(other.missing);
        self.non_finite = self.non_finite.saturating_add(other.non_finite);
        self.moments.sum += other.moments.sum;
        self.moments.squares += other.moments.squares;
        self.extremes.least = self.extremes.least.min(other.extremes.least);
        self.extremes.greatest = self.extremes.greatest.max(other.extremes.greatest);
    }

    /// How many finite values have come.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// In how many records the value was missing.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// How many values were NaN or infinite.
    #[must_use]
    pub fn non_finite(&self) -> u64 {
        self.non_finite
    }

    /// The least finite value.
    #[must_use]
    pub fn least(&self) -> Option<f64> {
        (self.count > 0).then_some(self.extremes.least)
    }

    /// The greatest finite value.
    #[must_use]
    pub fn greatest(&self) -> Option<f64> {
        (self.count > 0).then_some(self.extremes.greatest)
    }

    /// The mean of the finite values; one beyond ±2⁶⁰ counts as that.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.moments.sum / self.count as f64)
    }

    /// The standard deviation of the finite values, with their number as divisor; one beyond ±2⁶⁰ counts as that.
    ///
    /// It is a difference of sums, so it has lost its digits where it is below some hundred-millionth of the mean (2⁻²⁶): a
    /// coordinate or a point in time wants an offset taken off before it is counted. Never negative, never NaN.
    #[must_use]
    pub fn standard_deviation(&self) -> Option<f64> {
        let mean = self.mean()?;
        let variance = self.moments.squares / self.count as f64 - mean * mean;
        Some(variance.max(0.0).sqrt())
    }

    /// The bins that hold values, rising, with how many each holds.
    pub fn bins(&self) -> impl Iterator<Item = (Bin, u64)> {
        let below = self.below_zero.iter().rev().map(|(place, count)| (Bin::below_zero(place), count));
        let zero = (self.zeros > 0).then_some((Bin::ZERO, self.zeros));
        let above = self.above_zero.iter().map(|(place, count)| (Bin::above_zero(place), count));
        below.chain(zero).chain(above)
    }

    /// The value at `level` in [0, 1]: that of rank ⌈level · count⌉, within 1/33 of it ([`super::RELATIVE_ERROR`]). Magnitudes
    /// below 2⁻²⁰ are answered as 0, those beyond 2⁶⁰ as that; levels 0 and 1 exactly. Nothing without a value. O(bins).
    #[must_use]
    pub fn quantile(&self, level: f64) -> Option<f64> {
        self.quantiles(&[level]).pop()
    }

    /// The values at some levels, as [`NumericSketch::quantile`] has them, in one pass. `levels` rise. None without a value.
    #[must_use]
    pub fn quantiles(&self, levels: &[f64]) -> Vec<f64> {
        let mut found = Vec::with_capacity(levels.len());
        let mut wanted = levels.iter().map(|level| level * self.count as f64).peekable();
        let mut passed = 0;
        for (bin, count) in self.bins() {
            passed += count;
            let here = self.within_extremes(bin.representative());
            while let Some(rank) = wanted.next_if(|rank| *rank <= passed as f64 || passed >= self.count) {
                found.push(if rank <= 0.0 {
                    self.extremes.least
                } else if rank >= self.count as f64 {
                    self.extremes.greatest
                } else {
                    here
                });
            }
        }
        found
    }

    /// Extremes are exact, so nothing need be said to lie beyond them.
    pub(in crate::drift) fn within_extremes(&self, value: f64) -> f64 {
        value.max(self.extremes.least).min(self.extremes.greatest)
    }
}

impl Serialize for NumericSketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        super::stored::Stored::from(self).serialize(serializer)
    }
}

impl FromIterator<f64> for NumericSketch {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> NumericSketch {
        let mut sketch = NumericSketch::default();
        values.into_iter().for_each(|value| sketch.add(value));
        sketch
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::float_cmp,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is exact is compared exactly, and a rank is a place"
    )]

    use super::super::{LARGEST, RELATIVE_ERROR, SMALLEST};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_missing_or_not_finite_is_counted_and_not_binned() {
        let mut sketch: NumericSketch =
            [1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 3.0].into_iter().collect();
        sketch.add_missing();
        assert_eq!((sketch.count(), sketch.missing(), sketch.non_finite()), (2, 1, 3));
        assert_eq!((sketch.least(), sketch.greatest(), sketch.mean()), (Some(1.0), Some(3.0), Some(2.0)));
        assert_eq!(sketch.standard_deviation(), Some(1.0));
        assert_eq!(sketch.bins().map(|(_, count)| count).sum::<u64>(), 2);
    }

    #[test]
    fn without_a_value_there_is_nothing_to_say() {
        let mut sketch = NumericSketch::default();
        sketch.add(f64::NAN);
        assert_eq!((sketch.mean(), sketch.least(), sketch.quantile(0.5)), (None, None, None));
        assert_eq!(sketch.bins().count(), 0);
    }

    #[test]
    fn values_beyond_the_bins_leave_the_mean_finite_and_the_extremes_exact() {
        let sketch: NumericSketch = [f64::MAX, f64::MAX, -f64::MAX, 1e-300, -0.0].into_iter().collect();
        assert_eq!((sketch.least(), sketch.greatest()), (Some(-f64::MAX), Some(f64::MAX)));
        assert!((sketch.mean().unwrap() / (LARGEST / 5.0) - 1.0).abs() < 1e-12);
        assert!(sketch.standard_deviation().unwrap().is_finite());
        let counts: Vec<u64> = sketch.bins().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 2, 2]);
        assert_eq!(sketch.quantile(0.5), Some(0.0));
    }

    #[test]
    fn quantiles_are_those_of_the_ranks() {
        let sketch: NumericSketch = (1..=100).map(f64::from).collect();
        for (level, rank) in [(0.01, 1.0), (0.25, 25.0), (0.5, 50.0), (0.505, 51.0), (0.99, 99.0)] {
            let value = sketch.quantile(level).unwrap();
            assert!((value / rank - 1.0_f64).abs() <= RELATIVE_ERROR, "{level}: {value}");
        }
        assert_eq!(sketch.quantiles(&[0.0, 1.0]), [1.0, 100.0]);
    }

    #[test]
    fn a_sketch_of_a_price_is_stored_in_some_hundred_bytes() {
        // a lognormal by its quantiles would do as well: ten doublings
        let sketch: NumericSketch = (0..10_000_i32).map(|n| (f64::from(n) / 1_000.0).exp2()).collect();
        let bytes = postcard::to_allocvec(&sketch).unwrap();
        assert_eq!(sketch.bins().count(), 160);
        assert!(bytes.len() <= 360, "{}", bytes.len());
        let empty = postcard::to_allocvec(&NumericSketch::default()).unwrap();
        assert!(empty.len() < 30, "{}", empty.len());
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![
            8 => -1e4_f64..1e4,
            4 => (-25.0_f64..65.0).prop_map(f64::exp2),
            1 => Just(0.0), 1 => Just(-0.0), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(-f64::MAX),
        ];
        prop::collection::vec(value, 0..120)
    }

    /// The same but for the rounding of sums.
    fn is_same(one: &NumericSketch, other: &NumericSketch) -> bool {
        let near = |one: f64, other: f64, size: f64| (one - other).abs() <= 1e-13 * size;
        let size = (one.moments.squares * one.count as f64).sqrt();
        let exact = NumericSketch { moments: other.moments, ..one.clone() };
        exact == *other
            && near(one.moments.sum, other.moments.sum, size)
            && near(one.moments.squares, other.moments.squares, one.moments.squares)
    }

    proptest! {
        #[test]
        fn neither_the_order_of_arrival_nor_that_of_merging_matters(all in values(), cuts in prop::collection::vec(0_usize..120, 2), turn in 0_usize..120) {
            let whole: NumericSketch = all.iter().copied().collect();
            let mut turned = all.clone();
            turned.rotate_left(turn % all.len().max(1));
            prop_assert!(is_same(&whole, &turned.into_iter().collect()));
            let (one, two) = (cuts[0].min(cuts[1]).min(all.len()), cuts[0].max(cuts[1]).min(all.len()));
            let parts: Vec<NumericSketch> =
                [&all[..one], &all[one..two], &all[two..]].map(|part| part.iter().copied().collect()).into();
            for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
                let mut merged = NumericSketch::default();
                order.iter().for_each(|part| merged.merge(&parts[*part]));
                prop_assert!(is_same(&whole, &merged));
            }
        }

        #[test]
        fn what_is_stored_comes_back(all in values(), missing in 0_u64..3) {
            let mut sketch: NumericSketch = all.into_iter().collect();
            (0..missing).for_each(|_| sketch.add_missing());
            let bytes = postcard::to_allocvec(&sketch).unwrap();
            prop_assert_eq!(&postcard::from_bytes::<NumericSketch>(&bytes).unwrap(), &sketch);
            let text = serde_json::to_string(&sketch).unwrap();
            prop_assert_eq!(&serde_json::from_str::<NumericSketch>(&text).unwrap(), &sketch);
        }

        #[test]
        fn quantiles_are_within_a_thirty_third(all in values(), level in 0.0_f64..=1.0) {
            let sketch: NumericSketch = all.iter().copied().collect();
            let mut sorted: Vec<f64> = all.into_iter().filter(|value| value.is_finite()).collect();
            sorted.sort_by(f64::total_cmp);
            let Some(found) = sketch.quantile(level) else { prop_assert!(sorted.is_empty()); return Ok(()) };
            let rank = ((level * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
            let exact = sorted[rank - 1];
            let bounded = exact.clamp(-LARGEST, LARGEST);
            prop_assert!(
                (found - exact).abs() <= RELATIVE_ERROR * exact.abs() * (1.0 + 1e-9)
                    || exact.abs() < SMALLEST && found.abs() < SMALLEST
                    || (found - bounded).abs() <= RELATIVE_ERROR * bounded.abs() && bounded != exact,
                "{} for {}", found, exact
            );
        }

        #[test]
        fn mean_and_deviation_are_those_of_the_values(all in prop::collection::vec(-1e4_f64..1e4, 1..80)) {
            let sketch: NumericSketch = all.iter().copied().collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let variance = all.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / all.len() as f64;
            prop_assert!((sketch.mean().unwrap() - mean).abs() < 1e-8);
            prop_assert!((sketch.standard_deviation().unwrap().powi(2) - variance).abs() < 1e-6);
        }
    }
}
