//! How often scores like these turned out to be positive: isotonic calibration over the bins of the score's sketch.

use crate::drift::sketch::Bin;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Labels that neighbouring bins have together before anything is made of them.
const CELL_LEAST: f64 = 30.0;
/// Fewer labels, or fewer of the rarer outcome, say nothing yet.
const LABELS_LEAST: f64 = 300.0;
const RARER_LEAST: f64 = 10.0;
/// A label counts for so much less each day: half after three weeks.
const KEPT_PER_DAY: f64 = 0.97;

/// Labels, and how many of them are positive. Old ones count for less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) labels: f64,
    pub(super) positives: f64,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.labels += other.labels;
        self.positives += other.positives;
    }
}

/// What labels have said, by bin of the score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Calibration {
    bins: BTreeMap<Bin, Tally>,
}

impl Calibration {
    /// Takes a label into account.
    pub(super) fn take(&mut self, bin: Bin, is_positive: bool) {
        let positives = f64::from(u8::from(is_positive));
        self.bins.entry(bin).or_default().add(Tally { labels: 1.0, positives });
    }

    /// A day has passed.
    pub(super) fn fade(&mut self) {
        for tally in self.bins.values_mut() {
            tally.labels *= KEPT_PER_DAY;
            tally.positives *= KEPT_PER_DAY;
        }
    }

    /// How often a score is positive, if enough labels have come. Shares of positives rise from level to level (pool adjacent violators: Ayer
    /// et al. 1955; as a calibration: Zadrozny & Elkan 2002).
    pub(super) fn rates(&self) -> Option<Rates> {
        let mut all = Tally::default();
        self.bins.values().for_each(|tally| all.add(*tally));
        let rarer = all.positives.min(all.labels - all.positives);
        if all.labels < LABELS_LEAST || rarer < RARER_LEAST {
            return None;
        }
        let mut levels: Vec<(Bin, Tally)> = Vec::new();
        for (bin, tally) in self.cells() {
            levels.push((bin, tally));
            while let [.., (_, below), (_, above)] = levels[..]
                && below.positives * above.labels >= above.positives * below.labels
            {
                levels.pop();
                levels.last_mut()?.1.add(above);
            }
        }
        let base = all.positives / all.labels;
        let levels = levels.into_iter().map(|(from, tally)| Level::new(from, tally, base)).collect();
        Some(Rates { levels, labels: all.labels })
    }

    /// Neighbouring bins together, so that each has enough labels, by the lowest of them.
    fn cells(&self) -> Vec<(Bin, Tally)> {
        let mut cells: Vec<(Bin, Tally)> = Vec::new();
        for (bin, tally) in &self.bins {
            match cells.last_mut().filter(|(_, cell)| cell.labels < CELL_LEAST) {
                Some((_, cell)) => cell.add(*tally),
                None => cells.push((*bin, *tally)),
            }
        }
        // the highest may have too few: they belong to those below
        if let [.., _, (_, last)] = cells[..]
            && last.labels < CELL_LEAST
        {
            cells.pop();
            cells.iter_mut().next_back().into_iter().for_each(|(_, cell)| cell.add(last));
        }
        cells
    }
}

/// How often scores from a bin on are positive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Level {
    from: Bin,
    /// From 0 to 1.
    pub(super) rate: f64,
    /// How uncertain that is: the variance of the rate.
    pub(super) variance: f64,
}

impl Level {
    /// With one label more that is positive as often as all are: no rate is 0 or 1 for certain.
    fn new(from: Bin, tally: Tally, base: f64) -> Level {
        let labels = tally.labels + 1.0;
        let rate = (tally.positives + base) / labels;
        Level { from, rate, variance: rate * (1.0 - rate) / (labels + 1.0) }
    }
}

/// How often scores were positive at a time, by level, which rise with the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Rates {
    levels: Vec<Level>,
    /// Of how many labels that is known.
    pub(super) labels: f64,
}

impl Rates {
    /// The number of the level of a score in that bin, and the level.
    pub(super) fn of(&self, bin: Bin) -> Option<(usize, Level)> {
        let place = self.levels.partition_point(|level| level.from <= bin).saturating_sub(1);
        self.levels.get(place).map(|level| (place, *level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(labels: impl IntoIterator<Item = (f64, bool)>) -> Calibration {
        let mut calibration = Calibration::default();
        labels.into_iter().for_each(|(score, is_positive)| calibration.take(Bin::of(score), is_positive));
        calibration
    }

    fn rate(calibration: &Calibration, score: f64) -> f64 {
        let rates = calibration.rates().expect("enough labels");
        rates.of(Bin::of(score)).expect("there are levels").1.rate
    }

    #[test]
    fn scores_are_positive_as_often_as_scores_like_them_were_whatever_they_say() {
        // .1 is positive in every fifth case, .9 in every other
        let labels = (0..1_000).flat_map(|n| [(0.1, n % 5 == 0), (0.9, n % 2 == 0)]);
        let calibration = of(labels);
        assert!((rate(&calibration, 0.1) - 0.2).abs() < 1e-3);
        assert!((rate(&calibration, 0.9) - 0.5).abs() < 1e-3);
        assert!((rate(&calibration, 0.01) - 0.2).abs() < 1e-3, "below all: as the lowest");
        assert!((rate(&calibration, 0.99) - 0.5).abs() < 1e-3, "above all: as the highest");
    }

    #[test]
    fn a_higher_score_is_never_positive_less_often() {
        let labels = (0..1_000).flat_map(|n| [(0.1, n % 2 == 0), (0.9, n % 5 == 0)]);
        let calibration = of(labels);
        assert!((rate(&calibration, 0.1) - 0.35).abs() < 1e-3);
        assert!((rate(&calibration, 0.9) - 0.35).abs() < 1e-3);
    }

    #[test]
    fn too_few_labels_say_nothing() {
        assert_eq!(of((0..299).map(|n| (0.5, n % 2 == 0))).rates(), None);
        assert_eq!(of((0..1_000).map(|n| (0.5, n < 9))).rates(), None);
        assert_eq!(of((0..1_000).map(|n| (0.5, n >= 9))).rates(), None);
        assert!(of((0..1_000).map(|n| (0.5, n < 10))).rates().is_some());
    }

    #[test]
    fn what_few_labels_say_is_less_certain() {
        let of_many = of((0..10_000).map(|n| (0.5, n % 10 == 0))).rates().expect("enough labels");
        let of_few = of((0..1_000).map(|n| (0.5, n % 10 == 0))).rates().expect("enough labels");
        let variance = |rates: &Rates| rates.of(Bin::of(0.5)).expect("there are levels").1.variance;
        assert!((variance(&of_few) / variance(&of_many) - 10.0).abs() < 0.1);
    }

    #[test]
    fn old_labels_count_for_less() {
        let mut calibration = of((0..2_000).map(|n| (0.5, n % 10 == 0)));
        (0..23).for_each(|_| calibration.fade());
        let labels = calibration.rates().expect("enough labels").labels;
        assert!((labels / 1_000.0 - 1.0).abs() < 0.02, "half after three weeks: {labels}");
    }

    proptest! {
        #[test]
        fn every_label_is_in_the_rate_of_its_level(
            labels in prop::collection::vec((0.0_f64..1.0, any::<bool>()), 300..900),
        ) {
            let calibration = of(labels.iter().copied());
            let Some(rates) = calibration.rates() else { return Ok(()) };
            let rate = |(score, _): &(f64, bool)| rates.of(Bin::of(*score)).expect("there are levels").1.rate;
            let expected: f64 = labels.iter().map(rate).sum();
            let positives = labels.iter().filter(|(_, is_positive)| *is_positive).count() as f64;
            // but for the label more of each level
            prop_assert!((expected - positives).abs() <= rates.levels.len() as f64, "{} for {}", expected, positives);
        }
    }
}
