//! How good scores are, as a function of how many of each bin are positive: known, or expected.

use crate::monitor::quality::{CERTAIN, K};
use serde::{Deserialize, Serialize};

/// Scores of one bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scored {
    /// What they say, from 0 to 1.
    pub(super) score: f64,
    /// How many there are.
    pub(super) count: f64,
    /// Of these, how many are positive.
    pub(super) positives: f64,
}

impl Scored {
    /// The variance of how many are positive, if each is by itself.
    pub(super) fn variance(&self) -> f64 {
        if self.count > 0.0 { self.positives * (1.0 - self.positives / self.count) } else { 0.0 }
    }
}

/// What is said of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Figure {
    /// The share that is positive.
    PositiveRate,
    /// The area under precision over recall.
    AveragePrecision,
    /// The share of positives among the [`K`] highest.
    PrecisionAtK,
    /// Mean −ln of what the score gave to what happened.
    LogLoss,
    /// Mean square of score less what happened.
    Brier,
}

impl Figure {
    pub(super) const ALL: [Figure; 5] = [
        Figure::PositiveRate,
        Figure::AveragePrecision,
        Figure::PrecisionAtK,
        Figure::LogLoss,
        Figure::Brier,
    ];

    /// As it is called in a record.
    pub(super) fn name(self) -> &'static str {
        match self {
            Figure::PositiveRate => "positive_rate",
            Figure::AveragePrecision => "average_precision",
            Figure::PrecisionAtK => "precision_at_k",
            Figure::LogLoss => "log_loss",
            Figure::Brier => "brier",
        }
    }

    /// Its value over bins in rising order. Nothing where there is none: without scores, or a ranking without a positive.
    pub(super) fn value(self, bins: &[Scored]) -> Option<f64> {
        let count = sum(bins, |bin| bin.count);
        let mean = |of: fn(&Scored) -> f64| (count > 0.0).then(|| sum(bins, of) / count);
        match self {
            Figure::PositiveRate => mean(|bin| bin.positives),
            Figure::AveragePrecision => average_precision(bins),
            Figure::PrecisionAtK => {
                let found: f64 = highest(bins).map(|(bin, share)| bin.positives * share).sum();
                (count > 0.0).then(|| found / count.min(K as f64))
            }
            Figure::LogLoss => {
                mean(|bin| mixed(bin, -certain(bin.score).ln(), -(1.0 - certain(bin.score)).ln()))
            }
            Figure::Brier => mean(|bin| mixed(bin, (1.0 - bin.score).powi(2), bin.score.powi(2))),
        }
    }

    /// Its expected value where each score of a bin is positive by itself, as often as `positives` says: to second order in what chance does
    /// to a ranking, exact for the other figures, which are sums.
    pub(super) fn expected(self, bins: &[Scored]) -> Option<f64> {
        let value = self.value(bins)?;
        let is_ranking = self == Figure::AveragePrecision;
        Some(if is_ranking { (value + gained_by_chance(bins)).clamp(0.0, 1.0) } else { value })
    }

    /// By how much it grows with each positive more, bin by bin, as many scores as there are: its partial derivatives.
    pub(super) fn slopes(self, bins: &[Scored]) -> Vec<f64> {
        let count = sum(bins, |bin| bin.count).max(f64::MIN_POSITIVE);
        let each = |of: &dyn Fn(&Scored) -> f64| bins.iter().map(|bin| of(bin) / count).collect();
        match self {
            Figure::PositiveRate => each(&|_| 1.0),
            Figure::AveragePrecision => slopes_of_average_precision(bins),
            Figure::PrecisionAtK => {
                let mut slopes: Vec<f64> =
                    highest(bins).map(|(_, share)| share / count.min(K as f64)).collect();
                slopes.reverse();
                slopes
            }
            Figure::LogLoss => each(&|bin| ((1.0 - certain(bin.score)) / certain(bin.score)).ln()),
            Figure::Brier => each(&|bin| 1.0 - 2.0 * bin.score),
        }
    }
}

fn certain(score: f64) -> f64 {
    score.clamp(CERTAIN, 1.0 - CERTAIN)
}

fn sum(bins: &[Scored], of: impl Fn(&Scored) -> f64) -> f64 {
    bins.iter().map(of).sum()
}

/// What those of a bin come to if a positive is worth one and a negative the other.
fn mixed(bin: &Scored, positive: f64, negative: f64) -> f64 {
    bin.positives * positive + (bin.count - bin.positives) * negative
}

/// Bins from the highest down, each with the share of it that is among the [`K`] highest scores.
fn highest(bins: &[Scored]) -> impl Iterator<Item = (&Scored, f64)> {
    let mut left = K as f64;
    bins.iter().rev().map(move |bin| {
        let taken = bin.count.min(left);
        left -= taken;
        (bin, if bin.count > 0.0 { taken / bin.count } else { 0.0 })
    })
}

/// Of a bin, counted from the highest score down to it: how many there are, and how many of them are positive.
#[derive(Clone, Copy, Default)]
struct Reached {
    seen: f64,
    found: f64,
}

/// Each bin from the highest down, with what is reached with it. Bins without scores are passed over by their precision of 0.
fn reached(bins: &[Scored]) -> impl Iterator<Item = (&Scored, Reached)> {
    bins.iter().rev().scan(Reached::default(), |so_far, bin| {
        so_far.seen += bin.count;
        so_far.found += bin.positives;
        Some((bin, *so_far))
    })
}

fn precision(reached: Reached) -> f64 {
    if reached.seen > 0.0 { reached.found / reached.seen } else { 0.0 }
}

/// Σ kᵢ · Fᵢ/Sᵢ / F over bins from the highest down, with kᵢ positives in a bin, and Fᵢ of the Sᵢ scores down to it.
fn average_precision(bins: &[Scored]) -> Option<f64> {
    let positives = sum(bins, |bin| bin.positives);
    let area: f64 = reached(bins).map(|(bin, reached)| bin.positives * precision(reached)).sum();
    (positives > 0.0).then(|| area / positives)
}

/// A positive more in a bin adds the precision there, raises that of all bins from there down, and shares out what there is:
/// ∂AP/∂kⱼ = (Fⱼ/Sⱼ + Σ_{i from j down} kᵢ/Sᵢ − AP) / F.
fn slopes_of_average_precision(bins: &[Scored]) -> Vec<f64> {
    let Some(area) = average_precision(bins) else { return vec![0.0; bins.len()] };
    let positives = sum(bins, |bin| bin.positives);
    let down: Vec<(f64, f64)> = reached(bins)
        .map(|(bin, reached)| (precision(reached), bin.positives / reached.seen.max(f64::MIN_POSITIVE)))
        .collect();
    let mut raised = 0.0;
    // from the lowest up
    let slope = |(precision, share): &(f64, f64)| {
        raised += share;
        (precision + raised - area) / positives
    };
    down.iter().rev().map(slope).collect()
}

/// How much higher the area is on average than that of average outcomes: ½ Σ var(kⱼ) ∂²AP/∂kⱼ², which is Σ var(kⱼ) (1/Sⱼ − ∂AP/∂kⱼ) / F.
fn gained_by_chance(bins: &[Scored]) -> f64 {
    let positives = sum(bins, |bin| bin.positives).max(f64::MIN_POSITIVE);
    let seen: Vec<f64> = reached(bins).map(|(_, reached)| reached.seen).collect();
    let slopes = slopes_of_average_precision(bins);
    let of = |((bin, slope), seen): ((&Scored, f64), &f64)| {
        bin.variance() * (1.0 / seen.max(f64::MIN_POSITIVE) - slope) / positives
    };
    bins.iter().zip(slopes).zip(seen.iter().rev()).map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::LabelOutcome;
    use crate::event::monitor::LabelledDecision;
    use crate::generate::random::Random;
    use crate::monitor::quality::Day;
    use crate::time::EventTime;
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn bins() -> impl Strategy<Value = Vec<Scored>> {
        let bin = (1_u8..60, 0.02_f64..0.98);
        prop::collection::btree_map(1_u16..999, bin, 1..20).prop_map(|bins| {
            let scored = |(score, (count, share)): (u16, (u8, f64))| {
                let count = f64::from(count);
                Scored { score: f64::from(score) / 1_000.0, count, positives: count * share }
            };
            bins.into_iter().map(scored).collect()
        })
    }

    proptest! {
        #[test]
        fn slopes_are_those_of_the_values(bins in bins(), place in 0_usize..20) {
            let place = place % bins.len();
            const STEP: f64 = 1e-5;
            for figure in Figure::ALL {
                let moved = |by: f64| {
                    let mut moved = bins.clone();
                    moved[place].positives += by;
                    figure.value(&moved).expect("there are positives")
                };
                let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                let said = figure.slopes(&bins)[place];
                prop_assert!((slope - said).abs() < 1e-5 * said.abs().max(1.0), "{:?}: {} for {}", figure, said, slope);
            }
        }

        #[test]
        fn of_known_outcomes_they_are_what_a_day_says(outcomes in prop::collection::vec((1_u16..999, any::<bool>()), 1..300)) {
            let mut day = Day::default();
            let mut bins = std::collections::BTreeMap::<u16, Scored>::new();
            for (score, is_positive) in outcomes {
                let bin = bins.entry(score).or_insert(Scored { score: f64::from(score) / 1_000.0, count: 0.0, positives: 0.0 });
                bin.count += 1.0;
                bin.positives += f64::from(u8::from(is_positive));
                day.add(&LabelledDecision {
                    of: Cow::Borrowed("fraud"),
                    time: EventTime(0),
                    score: bin.score,
                    decision: None,
                    model: None,
                    amount_minor: None,
                    currency: None,
                    outcome: if is_positive { LabelOutcome::Fraud } else { LabelOutcome::Legitimate },
                    known_at: EventTime(0),
                    behind: None,
                });
            }
            let bins: Vec<Scored> = bins.into_values().collect();
            let said = day.publish("fraud", 0, EventTime(0), true).expect("it is final");
            let near = |figure: Figure, said: f64| (figure.value(&bins).expect("there are scores") - said).abs() < 1e-9;
            prop_assert!(near(Figure::LogLoss, said.log_loss));
            prop_assert!(near(Figure::Brier, said.brier));
            prop_assert!(near(Figure::PositiveRate, said.frauds as f64 / said.labelled as f64));
            // a day's own bins are a little less than a hundredth wide: a few scores are tied there that are not here
            prop_assert_eq!(Figure::AveragePrecision.value(&bins).is_some(), said.average_precision.is_some());
        }
    }

    #[test]
    fn what_is_expected_is_what_comes_out_on_average() {
        let bins: Vec<Scored> = [(0.05, 400.0, 0.01), (0.2, 80.0, 0.1), (0.5, 40.0, 0.3), (0.9, 30.0, 0.7)]
            .map(|(score, count, rate)| Scored { score, count, positives: count * rate })
            .to_vec();
        let mut random = Random::new(7);
        const DAYS: usize = 4_000;
        for figure in Figure::ALL {
            let drawn = |bin: &Scored, random: &mut Random| {
                let share = bin.positives / bin.count;
                let mut positives = 0.0;
                let mut left = bin.count;
                while left > 0.0 {
                    positives += f64::from(u8::from(random.below(1_000_000) as f64 <= share * 1e6));
                    left -= 1.0;
                }
                Scored { positives, ..*bin }
            };
            let days = (0..DAYS).filter_map(|_| {
                let day: Vec<Scored> = bins.iter().map(|bin| drawn(bin, &mut random)).collect();
                figure.value(&day)
            });
            let values: Vec<f64> = days.collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance =
                values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
            let expected = figure.expected(&bins).expect("there are positives");
            let off = (mean - expected).abs() / (variance / DAYS as f64).sqrt();
            assert!(off < 4.0, "{figure:?}: {mean} for {expected}, {off} standard errors");
            let said: f64 = bins
                .iter()
                .zip(figure.slopes(&bins))
                .map(|(bin, slope)| slope * slope * bin.variance())
                .sum();
            let ratio = (said / variance).sqrt();
            assert!((0.9..1.1).contains(&ratio), "{figure:?}: the error is {ratio} of what it is");
        }
    }

    #[test]
    fn the_highest_are_as_many_as_somebody_can_look_at() {
        let bin = |score: f64, count: f64, positives: f64| Scored { score, count, positives };
        let bins = [bin(0.1, 900.0, 9.0), bin(0.5, 80.0, 20.0), bin(0.9, 60.0, 45.0)];
        // 60 of the highest and half of the 80 below them
        assert_eq!(Figure::PrecisionAtK.value(&bins), Some((45.0 + 10.0) / 100.0));
        assert_eq!(Figure::PrecisionAtK.slopes(&bins), [0.0, 0.5 / 100.0, 1.0 / 100.0]);
        let few = [bin(0.1, 10.0, 1.0)];
        assert_eq!(Figure::PrecisionAtK.value(&few), Some(0.1), "all, if there are fewer");
    }

    #[test]
    fn a_ranking_is_that_of_the_usual_worked_example() {
        // scikit-learn's documentation of average_precision_score
        let bin = |score: f64, positives: f64| Scored { score, count: 1.0, positives };
        let bins = [bin(0.1, 0.0), bin(0.35, 1.0), bin(0.4, 0.0), bin(0.8, 1.0)];
        assert!((Figure::AveragePrecision.value(&bins).unwrap_or(0.0) - 0.833_333_333).abs() < 1e-9);
        assert_eq!(Figure::AveragePrecision.value(&[bin(0.1, 0.0)]), None);
        assert_eq!(Figure::Brier.value(&[]), None);
    }
}
