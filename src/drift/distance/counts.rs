//! Distances between two windows that are counted over the same bins or categories.

use super::contingency::{ChiSquare, MostShifted};
use super::ordered::{Farthest, KolmogorovSmirnov};
use crate::drift::{DriftError, Pair, Window};

/// What a share counts at least in [`Counts::population_stability_index`] and [`Counts::kullback_leibler`]: a ten-thousandth.
pub const SHARE_FLOOR: f64 = 1e-4;

/// How many values each window has per bin, over bins of one meaning. Both windows have at least one value.
///
/// Costs of all measures: one pass over the bins.
#[derive(Debug, Clone, Copy)]
pub struct Counts<'a> {
    bins: Pair<&'a [u64]>,
    totals: Pair<u64>,
}

impl<'a> Counts<'a> {
    /// Of windows that are counted over the same bins, in one order.
    ///
    /// # Errors
    ///
    /// [`DriftError::BinMismatch`] if the lengths differ; [`DriftError::EmptyWindow`] if either window holds nothing.
    pub fn new(bins: Pair<&'a [u64]>) -> Result<Counts<'a>, DriftError> {
        let lengths = bins.map(<[u64]>::len);
        if lengths.reference != lengths.current {
            return Err(DriftError::BinMismatch { reference: lengths.reference, current: lengths.current });
        }
        let totals = bins.map(|counts| counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count)));
        match totals {
            Pair { reference: 0, .. } => Err(DriftError::EmptyWindow { window: Window::Reference }),
            Pair { current: 0, .. } => Err(DriftError::EmptyWindow { window: Window::Current }),
            _ => Ok(Counts { bins, totals }),
        }
    }

    /// How many values each window has.
    #[must_use]
    pub fn totals(&self) -> Pair<u64> {
        self.totals
    }

    /// Population stability index Σ (q − p) ln(q / p) in nats, p and q being the shares of the reference and the current
    /// window, each taken for `floor` where it is smaller. In [0, ∞), symmetric, 0 for equal shares.
    ///
    /// It does not know how many values it rests on: compare it with [`Counts::population_stability_by_chance`]. `floor` is
    /// above 0, usually [`SHARE_FLOOR`]; with 0, a bin that only one window uses makes the result infinite.
    ///
    /// Source: Jeffreys' divergence over bins (Jeffreys 1946; Kullback & Leibler 1951, J(1, 2)).
    #[must_use]
    pub fn population_stability_index(&self, floor: f64) -> f64 {
        self.population_stability_terms(floor).sum()
    }

    /// The terms of [`Counts::population_stability_index`], one for each bin in order, none negative: the largest ones say
    /// where the windows differ.
    pub fn population_stability_terms(&self, floor: f64) -> impl Iterator<Item = f64> {
        self.shares().map(move |share| {
            let floored = share.map(|share| share.max(floor));
            let difference = floored.current - floored.reference;
            // without it, a bin that both leave empty would be 0 · ln(0 / 0)
            if difference.abs() > 0.0 { difference * (floored.current / floored.reference).ln() } else { 0.0 }
        })
    }

    /// What the population stability index comes to in the mean, in nats, if nothing has drifted:
    /// (B − 1) (1/n + 1/m) for B bins that either window uses.
    ///
    /// Source: the index over that factor is asymptotically χ² with B − 1 degrees of freedom (Yurdakul & Naranjo 2020).
    #[must_use]
    pub fn population_stability_by_chance(&self) -> f64 {
        let used = self.pairs().filter(|count| count.total() > 0).count();
        let totals = self.totals.map(|total| total as f64);
        (used as f64 - 1.0) * (1.0 / totals.reference + 1.0 / totals.current)
    }

    /// Kullback-Leibler divergence Σ p ln(p / q) of the reference's shares p from the current ones q, in nats, each taken for
    /// `floor` (above 0) where it is smaller. Not symmetric. At least 0 but for what the floor adds to the shares.
    ///
    /// Source: Kullback & Leibler 1951.
    #[must_use]
    pub fn kullback_leibler(&self, floor: f64) -> f64 {
        self.shares()
            .map(|share| share.map(|share| share.max(floor)))
            .filter(|share| share.reference > 0.0)
            .map(|share| share.reference * (share.reference / share.current).ln())
            .sum()
    }

    /// Jensen-Shannon *distance* to the base 2: the root of half of Σ p log₂(p / m) + Σ q log₂(q / m), m being the mean of
    /// p and q. A metric in [0, 1], 1 for windows that share no bin.
    ///
    /// Sources: Lin 1991; that the root is a metric: Endres & Schindelin 2003.
    #[must_use]
    pub fn jensen_shannon_distance(&self) -> f64 {
        let twice: f64 =
            self.shares().map(|share| divergence_from_mean(share.reference, share.current)).sum();
        (twice / 2.0 / std::f64::consts::LN_2).clamp(0.0, 1.0).sqrt()
    }

    /// Total variation distance, half of Σ |p − q|: the share of values that would have to move. In [0, 1].
    #[must_use]
    pub fn total_variation(&self) -> f64 {
        self.differences().sum::<f64>() / 2.0
    }

    /// L-infinity distance, max |p − q|: by how much the share of some bin differs at most. In [0, 1].
    #[must_use]
    pub fn l_infinity(&self) -> f64 {
        self.differences().fold(0.0, f64::max)
    }

    /// Hellinger distance, the root of half of Σ (√p − √q)². A metric in [0, 1].
    ///
    /// Source: Hellinger 1909, as in Le Cam 1986.
    #[must_use]
    pub fn hellinger(&self) -> f64 {
        let squares: f64 =
            self.shares().map(|share| (share.reference.sqrt() - share.current.sqrt()).powi(2)).sum();
        (squares / 2.0).min(1.0).sqrt()
    }

    /// Kolmogorov-Smirnov statistic over bins that rise in order: the largest difference of cumulated shares, and the bin
    /// (by index) at whose upper edge it is.
    ///
    /// At most that of the raw values, and equal to it if the largest difference is at an edge: tests on it are conservative.
    #[must_use]
    pub fn kolmogorov_smirnov(&self) -> KolmogorovSmirnov<usize> {
        let mut farthest = Farthest::new(self.totals, 0);
        let mut below = Pair { reference: 0_u64, current: 0_u64 };
        for (place, count) in self.pairs().enumerate() {
            below = Pair {
                reference: below.reference.saturating_add(count.reference),
                current: below.current.saturating_add(count.current),
            };
            farthest.see(below, place);
        }
        farthest.found()
    }

    /// Wasserstein-1 distance in the values' unit, every value being taken for the one that represents its bin:
    /// Σ |F − G| · (distance to the next representative). Off by at most twice the largest distance of a value from its
    /// representative, and usually by far less.
    ///
    /// `representatives` are finite and do not fall.
    ///
    /// # Errors
    ///
    /// [`DriftError::RepresentativeMismatch`] if they are not one for each bin, or do fall.
    ///
    /// Source: ∫ |F − G| over the line (Vallender 1974).
    pub fn wasserstein(&self, representatives: &[f64]) -> Result<f64, DriftError> {
        let bins = self.bins.reference.len();
        let rising =
            representatives.windows(2).take_while(|two| matches!(two, [low, high] if low <= high)).count();
        let values =
            if representatives.len() == bins { (rising + 1).min(bins) } else { representatives.len() };
        let is_finite = representatives.iter().all(|value| value.is_finite());
        if values != bins || representatives.len() != bins || !is_finite {
            return Err(DriftError::RepresentativeMismatch { bins, values });
        }
        let gaps =
            representatives.windows(2).map(|two| two.last().unwrap_or(&0.0) - two.first().unwrap_or(&0.0));
        let mut ahead = 0.0;
        Ok(self
            .shares()
            .zip(gaps)
            .map(|(share, gap)| {
                ahead += share.reference - share.current;
                ahead.abs() * gap
            })
            .sum())
    }

    /// Pearson's chi-square test that both windows have one law (homogeneity in a table of two rows), without correction for
    /// continuity. Bins that neither window uses do not count. Fit for use if every expected count is 5 or more: see
    /// `Binning` and `CategorySketch` for how to get there.
    ///
    /// Source: Pearson 1900; expected counts from the margins, and the degrees of freedom: Fisher 1922.
    #[must_use]
    pub fn chi_square(&self) -> ChiSquare {
        ChiSquare::of_homogeneity(self.totals, self.pairs())
    }

    /// The bin whose share has moved farthest beyond chance, by its adjusted residual, with a p-value for all bins together. Sees one
    /// category among hundreds that moves alone, which [`Counts::chi_square`] takes for the chance of so many, and says which.
    /// Fit for use under the same conditions.
    ///
    /// Source: Haberman 1973.
    #[must_use]
    pub fn most_shifted(&self) -> MostShifted {
        MostShifted::of(self.totals, self.pairs())
    }

    fn pairs(&self) -> impl Iterator<Item = Pair<u64>> + use<'a> {
        let bins = self.bins;
        bins.reference
            .iter()
            .zip(bins.current)
            .map(|(reference, current)| Pair { reference: *reference, current: *current })
    }

    fn shares(&self) -> impl Iterator<Item = Pair<f64>> + use<'a> {
        let totals = self.totals.map(|total| total as f64);
        self.pairs().map(move |count| Pair {
            reference: count.reference as f64 / totals.reference,
            current: count.current as f64 / totals.current,
        })
    }

    fn differences(&self) -> impl Iterator<Item = f64> + use<'a> {
        self.shares().map(|share| (share.reference - share.current).abs())
    }
}

/// p ln(p / m) + q ln(q / m) with m = (p + q) / 2. Through ln(1 + …), so that shares which hardly differ keep their digits.
fn divergence_from_mean(p: f64, q: f64) -> f64 {
    let both = p + q;
    if both <= 0.0 {
        return 0.0;
    }
    let lean = (p - q) / both;
    let part = |share: f64, lean: f64| if share > 0.0 { share * lean.ln_1p() } else { 0.0 };
    part(p, lean) + part(q, -lean)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "what is exact is compared exactly")]

    use super::*;
    use proptest::prelude::*;

    fn counts<'a>(reference: &'a [u64], current: &'a [u64]) -> Counts<'a> {
        Counts::new(Pair { reference, current }).unwrap()
    }

    #[test]
    fn windows_over_different_bins_or_without_values_are_refused() {
        let of = |reference: &'static [u64], current: &'static [u64]| {
            Counts::new(Pair { reference, current }).err()
        };
        assert_eq!(of(&[1], &[1, 2]), Some(DriftError::BinMismatch { reference: 1, current: 2 }));
        assert_eq!(of(&[0, 0], &[1, 2]), Some(DriftError::EmptyWindow { window: Window::Reference }));
        assert_eq!(of(&[1, 0], &[0, 0]), Some(DriftError::EmptyWindow { window: Window::Current }));
        assert_eq!(of(&[], &[]), Some(DriftError::EmptyWindow { window: Window::Reference }));
    }

    #[test]
    fn half_of_everything_having_moved_to_a_new_bin_is_seen_by_every_measure() {
        // p = (1, 0), q = (1/2, 1/2): each by hand from its definition
        let moved = counts(&[8, 0], &[4, 4]);
        let near =
            |value: f64, expected: f64| assert!((value - expected).abs() < 1e-12, "{value} {expected}");
        near(moved.total_variation(), 0.5);
        near(moved.l_infinity(), 0.5);
        near(moved.hellinger(), (1.0 - 0.5_f64.sqrt()).sqrt());
        near(moved.jensen_shannon_distance(), (1.5 - 0.75 * 3.0_f64.log2()).sqrt());
        near(
            moved.population_stability_index(1e-4),
            0.5 * 2.0_f64.ln() + (0.5 - 1e-4) * (0.5_f64 / 1e-4).ln(),
        );
        near(moved.kullback_leibler(1e-4), 2.0_f64.ln() + 1e-4 * (1e-4_f64 / 0.5).ln());
        near(moved.wasserstein(&[10.0, 30.0]).unwrap(), 10.0);
        near(moved.kolmogorov_smirnov().statistic(), 0.5);
        assert_eq!(moved.kolmogorov_smirnov().location, 0);
        near(moved.chi_square().statistic, 16.0 / 3.0);
    }

    #[test]
    fn windows_that_share_no_bin_are_at_the_far_end_of_every_bounded_measure() {
        let apart = counts(&[3, 0], &[0, 5]);
        for value in [
            apart.total_variation(),
            apart.l_infinity(),
            apart.hellinger(),
            apart.jensen_shannon_distance(),
            apart.kolmogorov_smirnov().statistic(),
        ] {
            assert!((value - 1.0).abs() < 1e-12, "{value}");
        }
        assert_eq!(apart.population_stability_index(0.0), f64::INFINITY);
    }

    #[test]
    fn a_constant_has_not_moved() {
        let constant = counts(&[0, 7, 0], &[0, 3, 0]);
        assert_eq!(constant.population_stability_index(0.0), 0.0);
        assert_eq!(constant.jensen_shannon_distance(), 0.0);
        assert_eq!(constant.chi_square().p_value(), 1.0);
        assert_eq!(constant.population_stability_by_chance(), 0.0);
    }

    #[test]
    fn each_bin_needs_a_representative_and_they_must_not_fall() {
        let three = counts(&[1, 1, 1], &[1, 1, 1]);
        let of = |representatives: &[f64]| three.wasserstein(representatives);
        let error = |values| Err(DriftError::RepresentativeMismatch { bins: 3, values });
        assert_eq!(of(&[1.0, 2.0]), error(2));
        assert_eq!(of(&[1.0, 2.0, 1.5]), error(2));
        assert_eq!(of(&[1.0, f64::NAN, 1.5]), error(1));
        assert_eq!(of(&[1.0, 1.0, 1.5]), Ok(0.0));
    }

    fn windows() -> impl Strategy<Value = (Vec<u64>, Vec<u64>)> {
        (1_usize..12).prop_flat_map(|bins| {
            let window = move || {
                prop::collection::vec(0_u64..50, bins)
                    .prop_filter("not empty", |counts| counts.iter().sum::<u64>() > 0)
            };
            (window(), window())
        })
    }

    proptest! {
        #[test]
        fn symmetric_measures_are_symmetric_and_not_negative((reference, current) in windows()) {
            let (there, back) = (counts(&reference, &current), counts(&current, &reference));
            let measures: [fn(&Counts<'_>) -> f64; 7] = [
                |counts| counts.population_stability_index(SHARE_FLOOR),
                |counts| counts.jensen_shannon_distance(),
                |counts| counts.total_variation(),
                |counts| counts.l_infinity(),
                |counts| counts.hellinger(),
                |counts| counts.kolmogorov_smirnov().statistic(),
                |counts| counts.chi_square().statistic,
            ];
            for measure in measures {
                let (one, other) = (measure(&there), measure(&back));
                prop_assert!(one >= 0.0 && (one - other).abs() <= 1e-9 * one.max(1e-3), "{} {}", one, other);
            }
        }

        #[test]
        fn windows_of_the_same_shares_are_nowhere_apart((reference, _) in windows(), times in 1_u64..9) {
            let current: Vec<u64> = reference.iter().map(|count| count * times).collect();
            let same = counts(&reference, &current);
            prop_assert!(same.population_stability_index(SHARE_FLOOR) < 1e-12);
            prop_assert!(same.jensen_shannon_distance() < 1e-9);
            prop_assert!(same.kolmogorov_smirnov().statistic() == 0.0);
            prop_assert!(same.chi_square().p_value() > 1.0 - 1e-9);
        }

        #[test]
        fn measures_keep_the_order_that_is_known_between_them((reference, current) in windows()) {
            // H² ≤ TV ≤ √2 · H, L∞ ≤ TV, KS ≤ TV, JS² ≤ TV
            let both = counts(&reference, &current);
            let (variation, hellinger) = (both.total_variation() + 1e-12, both.hellinger());
            prop_assert!(hellinger.powi(2) <= variation && variation <= 2.0_f64.sqrt() * hellinger + 1e-9);
            prop_assert!(both.l_infinity() <= variation);
            prop_assert!(both.kolmogorov_smirnov().statistic() <= variation);
            prop_assert!(both.jensen_shannon_distance().powi(2) <= variation);
        }
    }
}
