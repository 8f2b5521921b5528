//! How far the values of a field are from what is usual, in the measures that people know.

use crate::drift::Pair;
use crate::drift::distance::{Counts, SHARE_FLOOR};
use crate::drift::profile::Sketch;
use crate::drift::reference::evidence::{Counted, Rare};
use crate::drift::settings::Least;
use crate::drift::sketch::AlignedBins;
use std::collections::BTreeMap;

/// Shares are compared as counts of a million.
const SHARES_OF: f64 = 1e6;

/// What was seen, and what is usual.
pub(super) struct Compared<'a> {
    /// The shares of the cells, now and usually.
    pub(super) shares: Pair<&'a [f64]>,
    /// How many values they are of.
    pub(super) counts: Pair<f64>,
    /// All values, now and usually.
    pub(super) sketches: Option<Pair<&'a Sketch>>,
}

impl Compared<'_> {
    /// By name: `psi` (population stability index), `js` (Jensen–Shannon distance), `chi_square` (Pearson's statistic); of numbers also `ks`
    /// (the largest difference of the distribution functions, at the ends of cells) and `wasserstein` (in standard deviations of what is
    /// usual, whatever the hour).
    pub(super) fn measures(&self) -> BTreeMap<String, f64> {
        let mut measures = BTreeMap::new();
        let mut add = |name: &str, value: f64| {
            measures.insert(name.to_owned(), value);
        };
        let of_a_million = self.shares.map(of_a_million);
        let of_a_million = Pair { reference: &*of_a_million.reference, current: &*of_a_million.current };
        if let Ok(counts) = Counts::new(of_a_million) {
            add("psi", counts.population_stability_index(SHARE_FLOOR));
            add("js", counts.jensen_shannon_distance());
            if self.are_numbers() {
                add("ks", counts.kolmogorov_smirnov().statistic());
            }
        }
        let observed: Vec<f64> =
            self.shares.current.iter().map(|share| share * self.counts.current).collect();
        let counted = Counted {
            counts: &observed,
            shares: self.shares.reference,
            weight: self.counts.reference,
            rare: if self.are_numbers() { Rare::WithNeighbours } else { Rare::Together },
        };
        if let Some((statistic, _)) = counted.chi_square(Least::USUAL.expected) {
            add("chi_square", statistic);
        }
        if let Some(distance) = self.wasserstein() {
            add("wasserstein", distance);
        }
        measures
    }

    fn are_numbers(&self) -> bool {
        self.sketches.is_some_and(|sketches| matches!(sketches.current, Sketch::Numbers(_)))
    }

    fn wasserstein(&self) -> Option<f64> {
        let Pair { reference: Sketch::Numbers(reference), current: Sketch::Numbers(current) } =
            self.sketches?
        else {
            return None;
        };
        let distance = AlignedBins::new(Pair { reference, current }).wasserstein().ok()?;
        let deviation = reference.standard_deviation().filter(|deviation| *deviation > 0.0)?;
        Some(distance / deviation)
    }
}

/// Shares as whole numbers.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares of a million")]
fn of_a_million(shares: &[f64]) -> Vec<u64> {
    shares.iter().map(|share| (share * SHARES_OF).round() as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::sketch::NumericSketch;

    fn numbers(values: impl Iterator<Item = i32>) -> Sketch {
        Sketch::Numbers(values.map(f64::from).collect::<NumericSketch>())
    }

    #[test]
    fn values_that_are_as_usual_are_at_no_distance_and_others_at_some_in_every_measure() {
        let usual = numbers(0..1_000);
        let moved = numbers(500..1_500);
        let of = |shares: [f64; 2], current: &Sketch| {
            Compared {
                shares: Pair { reference: &[0.5, 0.5], current: &shares },
                counts: Pair { reference: 1_000.0, current: 1_000.0 },
                sketches: Some(Pair { reference: &usual, current }),
            }
            .measures()
        };
        let (same, other) = (of([0.5, 0.5], &usual), of([0.1, 0.9], &moved));
        for name in ["psi", "js", "ks", "chi_square", "wasserstein"] {
            assert!(same[name].abs() < 1e-9, "{name} {}", same[name]);
            assert!(other[name] > 0.05, "{name} {}", other[name]);
        }
        // a shift by 500 of values whose deviation is 289
        assert!((other["wasserstein"] - 1.73).abs() < 0.1, "{}", other["wasserstein"]);
    }
}
