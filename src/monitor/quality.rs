//! How good the scores of a day were, from the labels that have come for it so far.
//!
//! Prequential: every score was made before its label was known. Scores are counted in bins that are less than a
//! hundredth of the score wide (an `f32` without the lower 16 bits of its mantissa), so that the ranking of small
//! probabilities is kept and a day costs at most some thousand bins, however many payments it has. Two scores of one bin
//! count as tied.

use crate::event::LabelOutcome;
use crate::event::monitor::LabelledDecision;
use crate::event::public::{Action, DecisionQuality, ScoreQuality};
use crate::money::add_money;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// So many of a day's payments can somebody look at: what [`ScoreQuality::precision_at_k`] is about.
pub const K: u64 = 100;
/// Into so many groups of equal size scores are cut for the calibration error.
const CALIBRATION_GROUPS: u64 = 10;
/// What the logarithmic loss takes a score for that is 0 or 1: nothing is that certain.
pub(super) const CERTAIN: f64 = 1e-6;
const DAY_MS: i64 = 86_400_000;

/// The scores of one day (UTC, by the time of the payment) that have a label.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Day {
    bins: BTreeMap<u16, Bin>,
    log_loss: f64,
    squared_error: f64,
    decisions: BTreeMap<Action, Outcomes>,
    /// Of frauds that were let pass or only looked at, and of those that were stopped, by currency.
    missed_minor: BTreeMap<Box<str>, i64>,
    stopped_minor: BTreeMap<Box<str>, i64>,
    revision: u32,
    changed: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Bin {
    outcomes: Outcomes,
    scores: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Outcomes {
    legitimate: u64,
    fraud: u64,
}

impl Outcomes {
    fn add(&mut self, outcome: LabelOutcome) {
        match outcome {
            LabelOutcome::Legitimate | LabelOutcome::Negative => self.legitimate += 1,
            LabelOutcome::Fraud | LabelOutcome::Positive => self.fraud += 1,
        }
    }

    fn all(self) -> u64 {
        self.legitimate + self.fraud
    }
}

/// The day, counted from 1970, of a time.
#[must_use]
pub fn day_of(time: EventTime) -> i64 {
    time.0.div_euclid(DAY_MS)
}

/// When a day begins.
#[must_use]
pub fn start_of(day: i64) -> EventTime {
    EventTime(day.saturating_mul(DAY_MS))
}

/// When a day is over.
#[must_use]
pub fn end_of(day: i64) -> EventTime {
    start_of(day.saturating_add(1))
}

impl Day {
    /// Takes a score and its label into account.
    pub fn add(&mut self, labelled: &LabelledDecision<'_>) {
        let score = labelled.score.clamp(0.0, 1.0);
        let truth = f64::from(u8::from(labelled.outcome.is_positive()));
        let bin = self.bins.entry(bin_of(score)).or_default();
        bin.outcomes.add(labelled.outcome);
        bin.scores += score;
        let certain = score.clamp(CERTAIN, 1.0 - CERTAIN);
        self.log_loss -= truth * certain.ln() + (1.0 - truth) * (1.0 - certain).ln();
        self.squared_error += (score - truth).powi(2);
        if let Some(decision) = labelled.decision {
            self.add_decision(decision, labelled);
        }
        self.changed = true;
    }

    fn add_decision(&mut self, decision: Action, labelled: &LabelledDecision<'_>) {
        self.decisions.entry(decision).or_default().add(labelled.outcome);
        if let (true, Some(amount), Some(currency)) =
            (labelled.outcome.is_positive(), labelled.amount_minor, &labelled.currency)
        {
            let was_stopped = decision >= Action::StepUp;
            let sums = if was_stopped { &mut self.stopped_minor } else { &mut self.missed_minor };
            add_money(sums, currency, amount);
        }
    }

    /// What is to be published of it as of `as_of`, if a label has come since that was done last, or `is_final`.
    pub fn publish<'a>(
        &mut self,
        score: &'a str,
        day: i64,
        as_of: EventTime,
        is_final: bool,
    ) -> Option<ScoreQuality<'a>> {
        if !self.changed && !is_final {
            return None;
        }
        self.changed = false;
        self.revision += 1;
        let all = self.outcomes();
        let mean = |sum: f64| sum / all.all() as f64;
        Some(ScoreQuality {
            score: Cow::Borrowed(score),
            day_ms: start_of(day),
            revision: self.revision,
            is_final,
            as_of_ms: as_of,
            labelled: all.all(),
            frauds: all.fraud,
            average_precision: self.average_precision(),
            k: K,
            precision_at_k: self.precision_at(K),
            calibration_error: self.calibration_error(),
            log_loss: mean(self.log_loss),
            brier: mean(self.squared_error),
            decisions: self.decisions.iter().map(|(action, outcomes)| (*action, outcomes.public())).collect(),
            missed_minor: public_sums(&self.missed_minor),
            stopped_minor: public_sums(&self.stopped_minor),
        })
    }

    fn outcomes(&self) -> Outcomes {
        self.bins.values().fold(Outcomes::default(), |sum, bin| Outcomes {
            legitimate: sum.legitimate + bin.outcomes.legitimate,
            fraud: sum.fraud + bin.outcomes.fraud,
        })
    }

    /// Σ (Rₙ − Rₙ₋₁) · Pₙ over the scores from the highest down, tied ones at once; nothing without a fraud.
    fn average_precision(&self) -> Option<f64> {
        let frauds = self.outcomes().fraud;
        let (mut seen, mut found, mut sum) = (0, 0, 0.0);
        for bin in self.bins.values().rev() {
            seen += bin.outcomes.all();
            found += bin.outcomes.fraud;
            sum += bin.outcomes.fraud as f64 * found as f64 / seen as f64;
        }
        (frauds > 0).then(|| sum / frauds as f64)
    }

    /// The share of frauds among the `k` highest scores, or all if there are fewer; of tied ones at the end as many as fit,
    /// in the proportion of all of them.
    fn precision_at(&self, k: u64) -> f64 {
        let (mut left, mut found) = (k, 0.0);
        for bin in self.bins.values().rev() {
            let taken = bin.outcomes.all().min(left);
            found += bin.outcomes.fraud as f64 * taken as f64 / bin.outcomes.all() as f64;
            left -= taken;
        }
        found / (k - left).max(1) as f64
    }

    /// Σ nᵢ/n · |mean score − share of frauds| over ten groups of scores of equal size, as nearly as ties allow.
    fn calibration_error(&self) -> f64 {
        let all = self.outcomes().all();
        let (mut error, mut done, mut groups) = (0.0, 0, 0);
        let (mut count, mut frauds, mut scores) = (0_u64, 0_u64, 0.0);
        for bin in self.bins.values() {
            count += bin.outcomes.all();
            frauds += bin.outcomes.fraud;
            scores += bin.scores;
            let is_full = (done + count) * CALIBRATION_GROUPS >= all * (groups + 1);
            if is_full {
                // n/N · |s/n − f/n| = |s − f| / N
                error += (scores - frauds as f64).abs() / all as f64;
                done += count;
                groups = done * CALIBRATION_GROUPS / all;
                (count, frauds, scores) = (0, 0, 0.0);
            }
        }
        error
    }
}

impl Outcomes {
    fn public(self) -> DecisionQuality {
        DecisionQuality { legitimate: self.legitimate, fraud: self.fraud }
    }
}

fn public_sums(sums: &BTreeMap<Box<str>, i64>) -> BTreeMap<Cow<'static, str>, i64> {
    sums.iter().map(|(currency, sum)| (Cow::Owned(currency.to_string()), *sum)).collect()
}

/// Sign and exponent of the score as an `f32`, and the upper seven bits of its mantissa: bins rise with the score.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the score is rounded, and the lower half dropped on purpose"
)]
fn bin_of(score: f64) -> u16 {
    ((score as f32).to_bits() >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(score: f64, is_fraud: bool) -> LabelledDecision<'static> {
        let outcome = if is_fraud { LabelOutcome::Fraud } else { LabelOutcome::Legitimate };
        LabelledDecision {
            of: Cow::Borrowed("fraud"),
            time: EventTime(DAY_MS * 3 + 5),
            score,
            decision: Some(if score >= 0.5 { Action::Decline } else { Action::Approve }),
            amount_minor: Some(100),
            currency: Some(Cow::Borrowed("EUR")),
            outcome,
            known_at: EventTime(DAY_MS * 9),
            behind: None,
            model: None,
        }
    }

    fn day(scores: &[(f64, bool)]) -> Day {
        let mut day = Day::default();
        scores.iter().for_each(|(score, is_fraud)| day.add(&labelled(*score, *is_fraud)));
        day
    }

    #[test]
    fn average_precision_is_that_of_the_usual_worked_example() {
        // scikit-learn's documentation of average_precision_score
        let day = day(&[(0.1, false), (0.4, false), (0.35, true), (0.8, true)]);
        assert!((day.average_precision().unwrap() - 0.833_333_333).abs() < 1e-9);
    }

    #[test]
    fn tied_scores_count_at_once_whatever_their_order() {
        let (one, other) = ([(0.5, true), (0.5, false)], [(0.5, false), (0.5, true)]);
        assert_eq!(day(&one).average_precision(), Some(0.5));
        assert_eq!(day(&other).average_precision(), Some(0.5));
        assert!((day(&one).precision_at(1) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn small_probabilities_keep_their_order() {
        let day = day(&[(0.001, true), (0.000_98, false), (0.002, true), (0.000_5, false)]);
        assert_eq!(day.average_precision(), Some(1.0));
    }

    #[test]
    fn precision_at_k_looks_at_the_highest_scores_only() {
        let scores: Vec<(f64, bool)> =
            (0..50).map(|place| (0.9 - f64::from(place) * 0.01, place < 5)).collect();
        let day = day(&scores);
        assert!((day.precision_at(10) - 0.5).abs() < 1e-12);
        assert!((day.precision_at(100) - 0.1).abs() < 1e-12, "of fewer than k, all");
        assert!(super::Day::default().precision_at(10).abs() < 1e-12);
    }

    #[test]
    fn scores_that_are_right_on_average_are_calibrated_and_others_are_not() {
        // every tenth is fraud
        let of = |score: f64| day(&(0..1_000).map(|place| (score, place % 10 == 0)).collect::<Vec<_>>());
        assert!(of(0.1).calibration_error() < 1e-9);
        assert!((of(0.3).calibration_error() - 0.2).abs() < 1e-9);
    }

    #[test]
    fn losses_are_means_and_a_certain_score_that_is_wrong_costs_much_but_not_everything() {
        let mut day = day(&[(0.8, true), (0.4, false)]);
        let record = day.publish("fraud", 3, EventTime(0), false).unwrap();
        assert!((record.log_loss - -(0.8_f64.ln() + 0.6_f64.ln()) / 2.0).abs() < 1e-12);
        assert!((record.brier - 0.1).abs() < 1e-12);
        let mut wrong = super::tests::day(&[(0.0, true)]);
        let record = wrong.publish("fraud", 3, EventTime(0), false).unwrap();
        assert!((13.0..14.0).contains(&record.log_loss), "{}", record.log_loss);
    }

    #[test]
    fn a_day_is_published_when_a_label_has_come_and_at_its_end() {
        let mut day = day(&[(0.9, true), (0.2, true), (0.7, false)]);
        let first = day.publish("fraud", 3, EventTime(9), false).unwrap();
        assert_eq!((first.revision, first.labelled, first.frauds), (1, 3, 2));
        assert_eq!(first.missed_minor.get("EUR"), Some(&100));
        assert_eq!(first.stopped_minor.get("EUR"), Some(&100));
        assert_eq!(first.decisions[&Action::Decline], DecisionQuality { legitimate: 1, fraud: 1 });
        assert_eq!(day.publish("fraud", 3, EventTime(10), false), None);
        let last = day.publish("fraud", 3, EventTime(11), true).unwrap();
        assert_eq!((last.revision, last.is_final), (2, true));
    }

    #[test]
    fn days_are_those_of_utc() {
        assert_eq!(
            (day_of(EventTime(DAY_MS - 1)), day_of(EventTime(DAY_MS)), day_of(EventTime(-1))),
            (0, 1, -1)
        );
        assert_eq!(end_of(0), EventTime(DAY_MS));
    }
}
