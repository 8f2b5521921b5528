//! Two sketches of a number over common bins.

use super::numeric::NumericSketch;
use super::{Bin, EXPECTED_MIN, expected_in_both};
use crate::drift::distance::Counts;
use crate::drift::{DriftError, Pair};
use std::cmp::Ordering;

/// How neighbouring bins are merged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Binning {
    /// As few as it takes until either window should have so many values in each bin, if both had one law. Sees narrow changes,
    /// and needs many values: [`EXPECTED_MIN`] is the least that chi-square may be used with.
    ExpectedAtLeast(f64),
    /// About so many bins that hold equally much of the reference; what lies below or above all of the reference has a bin of its
    /// own. For the population stability index, whose usual thresholds are made for 10, and for chi-square where whole laws move.
    /// Each has at least [`EXPECTED_MIN`] expected values too.
    ReferenceQuantiles(u32),
}

/// The counts of two sketches over the same bins, rising.
#[derive(Debug, Clone, PartialEq)]
pub struct AlignedBins {
    counts: Pair<Vec<u64>>,
    uppers: Vec<f64>,
    representatives: Vec<f64>,
}

impl AlignedBins {
    /// Over all bins that either sketch uses: what is finest, for Kolmogorov-Smirnov and Wasserstein. O(bins).
    #[must_use]
    pub fn new(sketches: Pair<&NumericSketch>) -> AlignedBins {
        let mut aligned = AlignedBins::default();
        let mut rest = Pair {
            reference: sketches.reference.bins().peekable(),
            current: sketches.current.bins().peekable(),
        };
        loop {
            let order = match (rest.reference.peek(), rest.current.peek()) {
                (Some((reference, _)), Some((current, _))) => reference.cmp(current),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return aligned,
            };
            let reference = if order.is_le() { rest.reference.next() } else { None };
            let current = if order.is_ge() { rest.current.next() } else { None };
            let Some((bin, _)) = reference.or(current) else { return aligned };
            let count = Pair { reference, current }.map(|bin| bin.map_or(0, |(_, count)| count));
            aligned.push(count, bin.upper(), representative(sketches, bin));
        }
    }

    /// The same with neighbouring bins merged. A merged bin is represented by the mean over its values. O(bins).
    #[must_use]
    pub fn merged(&self, binning: Binning) -> AlignedBins {
        let totals =
            Pair { reference: self.counts.reference.iter().sum(), current: self.counts.current.iter().sum() };
        let mut cutter = Cutter::new(binning, totals);
        let mut merged = AlignedBins::default();
        let mut open = Open::default();
        let mut bins = self.iter().peekable();
        while let Some((count, upper, representative)) = bins.next() {
            open.add(count, upper, representative);
            let next = bins.peek().map(|(count, ..)| *count);
            if cutter.is_cut_after(count, open.count, next) {
                std::mem::take(&mut open).close(&mut merged);
            }
        }
        if open.count.total() > 0 {
            // too few for a bin of their own, and nothing is above them
            if cutter.is_enough(open.count) || merged.is_empty() {
                open.close(&mut merged);
            } else {
                merged.absorb(open);
            }
        }
        merged
    }

    /// The counts, to be compared.
    ///
    /// # Errors
    ///
    /// [`DriftError::EmptyWindow`] if either sketch has no value.
    pub fn counts(&self) -> Result<Counts<'_>, DriftError> {
        Counts::new(Pair { reference: &self.counts.reference, current: &self.counts.current })
    }

    /// What each bin's values are below (for bins below zero: at most); the last may be infinite.
    #[must_use]
    pub fn uppers(&self) -> &[f64] {
        &self.uppers
    }

    /// A value that stands for each bin, rising.
    #[must_use]
    pub fn representatives(&self) -> &[f64] {
        &self.representatives
    }

    /// How many bins there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.uppers.len()
    }

    /// Whether neither sketch has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uppers.is_empty()
    }

    /// Wasserstein-1 distance in the values' unit. Over the finest bins it is off by at most 1/33 of the mean magnitude of each
    /// window, and usually by far less, since both windows are off to the same side.
    ///
    /// # Errors
    ///
    /// [`DriftError::EmptyWindow`] if either sketch has no value.
    pub fn wasserstein(&self) -> Result<f64, DriftError> {
        self.counts()?.wasserstein(&self.representatives)
    }

    fn iter(&self) -> impl Iterator<Item = (Pair<u64>, f64, f64)> {
        let counts = self.counts.reference.iter().zip(&self.counts.current);
        let places = self.uppers.iter().zip(&self.representatives);
        counts.zip(places).map(|((reference, current), (upper, representative))| {
            (Pair { reference: *reference, current: *current }, *upper, *representative)
        })
    }

    fn push(&mut self, count: Pair<u64>, upper: f64, representative: f64) {
        self.counts.reference.push(count.reference);
        self.counts.current.push(count.current);
        self.uppers.push(upper);
        self.representatives.push(representative);
    }

    /// Adds what is open to the last bin.
    fn absorb(&mut self, open: Open) {
        let last = (
            self.counts.reference.pop(),
            self.counts.current.pop(),
            self.uppers.pop(),
            self.representatives.pop(),
        );
        let (Some(reference), Some(current), Some(_), Some(representative)) = last else { return };
        let count = Pair { reference, current };
        let mut both = Open { count, weighted: representative * count.total() as f64, upper: open.upper };
        both.count.reference += open.count.reference;
        both.count.current += open.count.current;
        both.weighted += open.weighted;
        both.close(self);
    }
}

impl Default for AlignedBins {
    fn default() -> AlignedBins {
        AlignedBins {
            counts: Pair { reference: Vec::new(), current: Vec::new() },
            uppers: Vec::new(),
            representatives: Vec::new(),
        }
    }
}

/// The representative of a bin, but not beyond what either window has.
fn representative(sketches: Pair<&NumericSketch>, bin: Bin) -> f64 {
    let both = sketches.map(|sketch| sketch.extremes);
    let least = both.reference.least.min(both.current.least);
    let greatest = both.reference.greatest.max(both.current.greatest);
    bin.representative().max(least).min(greatest)
}

/// Bins that are being merged.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    count: Pair<u64>,
    weighted: f64,
    upper: f64,
}

impl Open {
    fn add(&mut self, count: Pair<u64>, upper: f64, representative: f64) {
        self.count.reference += count.reference;
        self.count.current += count.current;
        self.weighted += representative * count.total() as f64;
        self.upper = upper;
    }

    fn close(self, into: &mut AlignedBins) {
        into.push(self.count, self.upper, self.weighted / self.count.total() as f64);
    }
}

/// Where bins end.
#[derive(Debug)]
struct Cutter {
    totals: Pair<u64>,
    expected: f64,
    /// How many bins the reference is cut into; nothing if it is not cut by quantiles.
    bins: Option<f64>,
    /// How many of the reference have been passed, and how many of its bins.
    passed: u64,
    done: f64,
}

impl Cutter {
    fn new(binning: Binning, totals: Pair<u64>) -> Cutter {
        let (expected, bins) = match binning {
            Binning::ExpectedAtLeast(expected) => (expected, None),
            Binning::ReferenceQuantiles(bins) => (EXPECTED_MIN, Some(f64::from(bins.max(1)))),
        };
        Cutter { totals, expected, bins, passed: 0, done: 0.0 }
    }

    fn is_enough(&self, open: Pair<u64>) -> bool {
        expected_in_both(open.total(), self.totals) >= self.expected
    }

    /// Whether a merged bin ends after a bin of `count` values; `open` is what it holds then, `next` what the next one would add.
    fn is_cut_after(&mut self, count: Pair<u64>, open: Pair<u64>, next: Option<Pair<u64>>) -> bool {
        self.passed += count.reference;
        let Some(bins) = self.bins else { return self.is_enough(open) };
        let begins = self.passed == 0 && next.is_some_and(|next| next.reference > 0);
        let share = self.passed as f64 / self.totals.reference as f64 * bins;
        let is_full = count.reference > 0 && share >= self.done + 1.0;
        let is_cut = (begins || is_full) && self.is_enough(open);
        if is_cut {
            self.done = share.floor();
        }
        is_cut
    }
}

#[cfg(test)]
mod tests {
    use super::super::RELATIVE_ERROR;
    use super::*;
    use crate::drift::Window;
    use crate::drift::distance::Sample;
    use proptest::prelude::*;

    fn sketch(values: impl IntoIterator<Item = f64>) -> NumericSketch {
        values.into_iter().collect()
    }

    fn aligned(reference: &NumericSketch, current: &NumericSketch) -> AlignedBins {
        AlignedBins::new(Pair { reference, current })
    }

    /// Evenly spread over ten doublings.
    fn spread(count: i32, factor: f64) -> NumericSketch {
        sketch((0..count).map(|n| factor * (10.0 * f64::from(n) / f64::from(count)).exp2()))
    }

    #[test]
    fn common_bins_hold_all_values_of_both() {
        let (one, other) = (sketch([-3.0, 0.0, 1.0, 1.01, 9.0]), sketch([1.0, 2.0, 1e-9]));
        let bins = aligned(&one, &other);
        assert_eq!(bins.counts.reference, [1, 1, 2, 0, 1]);
        assert_eq!(bins.counts.current, [0, 1, 1, 1, 0]);
        assert!(bins.uppers().is_sorted() && bins.representatives().is_sorted());
    }

    #[test]
    fn a_window_without_a_value_cannot_be_compared() {
        let (one, none) = (sketch([1.0]), sketch([f64::NAN]));
        let window = Window::Current;
        assert_eq!(aligned(&one, &none).counts().err(), Some(DriftError::EmptyWindow { window }));
        assert!(aligned(&none, &none).is_empty());
        assert!(aligned(&none, &none).merged(Binning::ReferenceQuantiles(10)).is_empty());
        assert!(aligned(&one, &none).merged(Binning::ExpectedAtLeast(5.0)).len() == 1);
    }

    #[test]
    fn quantile_bins_hold_equally_much_of_the_reference() {
        let (one, other) = (spread(16_000, 1.0), spread(1_600, 1.0));
        let bins = aligned(&one, &other).merged(Binning::ReferenceQuantiles(10));
        assert_eq!(bins.counts.reference, [1_600; 10]);
        assert_eq!(bins.counts.current, [160; 10]);
    }

    #[test]
    fn what_lies_beyond_the_reference_has_bins_of_its_own() {
        let constant = sketch([5.0; 1_000]);
        let lower = aligned(&constant, &sketch([3.0; 1_000])).merged(Binning::ReferenceQuantiles(10));
        assert_eq!(
            (&lower.counts.reference[..], &lower.counts.current[..]),
            (&[0, 1_000][..], &[1_000, 0][..])
        );
        let higher = aligned(&constant, &sketch([7.0; 1_000])).merged(Binning::ReferenceQuantiles(10));
        assert_eq!(
            (&higher.counts.reference[..], &higher.counts.current[..]),
            (&[1_000, 0][..], &[0, 1_000][..])
        );
        // but not for a few
        let few = sketch(std::iter::repeat_n(5.0, 997).chain([0.1, 9.0, 9.5]));
        assert_eq!(aligned(&constant, &few).merged(Binning::ReferenceQuantiles(10)).len(), 1);
    }

    #[test]
    fn a_value_that_many_have_is_a_bin_by_itself() {
        let zeros = || std::iter::repeat_n(0.0, 2_000);
        let (one, other) = (
            sketch(zeros().chain((0..1_000).map(|n| 1.0 + f64::from(n) / 100.0))),
            sketch(zeros().chain((0..500).map(|n| 1.0 + f64::from(n) / 50.0))),
        );
        let bins = aligned(&one, &other).merged(Binning::ReferenceQuantiles(10));
        assert_eq!(bins.counts.reference.first(), Some(&2_000));
        assert!((4..=5).contains(&bins.len()), "{}", bins.len());
    }

    #[test]
    fn the_distance_of_a_tenfold_price_is_found_without_the_values() {
        let (one, ten) = (spread(5_000, 1.0), spread(5_000, 10.0));
        let bins = aligned(&one, &ten);
        let exact = one.mean().unwrap() * 9.0;
        assert!((bins.wasserstein().unwrap() / exact - 1.0).abs() < 0.005);
        let farthest = bins.counts().unwrap().kolmogorov_smirnov();
        assert!((farthest.statistic() - 10.0_f64.log2() / 10.0).abs() < 0.007, "{}", farthest.statistic());
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![4 => -100.0_f64..1e4, 2 => 0.5_f64..20.0, 1 => Just(0.0), 1 => Just(9.99)];
        prop::collection::vec(value, 1..200)
    }

    proptest! {
        #[test]
        fn merging_bins_keeps_every_value_and_leaves_no_bin_too_small(one in values(), other in values(), expected in 1.0_f64..20.0, quantiles in 1_u32..30) {
            let all = aligned(&sketch(one.iter().copied()), &sketch(other.iter().copied()));
            for (binning, expected) in [
                (Binning::ExpectedAtLeast(expected), expected),
                (Binning::ReferenceQuantiles(quantiles), EXPECTED_MIN),
            ] {
                let merged = all.merged(binning);
                prop_assert_eq!(merged.counts.reference.iter().sum::<u64>(), one.len() as u64);
                prop_assert_eq!(merged.counts.current.iter().sum::<u64>(), other.len() as u64);
                prop_assert!(merged.representatives().is_sorted() && merged.uppers().is_sorted());
                let totals = merged.counts().unwrap().totals();
                let smallest = merged.iter().map(|(count, ..)| expected_in_both(count.total(), totals)).fold(f64::INFINITY, f64::min);
                prop_assert!(merged.len() == 1 || smallest >= expected);
                if let Binning::ReferenceQuantiles(quantiles) = binning {
                    prop_assert!(merged.len() <= quantiles as usize + 2);
                }
            }
        }

        #[test]
        fn distances_over_bins_are_near_those_of_the_values(one in values(), other in values()) {
            let bins = aligned(&sketch(one.iter().copied()), &sketch(other.iter().copied()));
            let (reference, current) = (
                Sample::new(Window::Reference, one.iter().copied()).unwrap(),
                Sample::new(Window::Current, other.iter().copied()).unwrap(),
            );
            let pair = Pair { reference: &reference, current: &current };
            let size = |values: &[f64]| values.iter().map(|value| value.abs()).sum::<f64>() / values.len() as f64;
            let most = RELATIVE_ERROR * (size(&one) + size(&other)) + 1e-5;
            prop_assert!((bins.wasserstein().unwrap() - Sample::wasserstein(pair)).abs() <= most);
            let binned = bins.counts().unwrap().kolmogorov_smirnov();
            prop_assert!(binned.statistic() <= Sample::kolmogorov_smirnov(pair).statistic() + 1e-12);
        }
    }
}
