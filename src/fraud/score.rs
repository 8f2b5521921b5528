//! From the weights of the rules that fired to a score, contributions and an action.
//!
//! Products and sums are taken in the order of the file, so that the same rules give the same bits.

use super::spec::Thresholds;
use crate::event::public::Action;

/// 1 − Π (1 − weight): the probability that not all of independent causes are absent (a noisy or,
/// Pearl 1988). 0 without weights.
pub(super) fn score(weights: impl Iterator<Item = f64>) -> f64 {
    1.0 - weights.map(|weight| 1.0 - weight).product::<f64>()
}

/// The share of each weight in the score: ln(1 − weight) over the sum of the same.
pub(super) fn contributions(weights: &[f64]) -> Vec<f64> {
    let logarithms: Vec<f64> = weights.iter().map(|weight| (1.0 - weight).ln()).collect();
    let sum: f64 = logarithms.iter().sum();
    logarithms.into_iter().map(|logarithm| logarithm / sum).collect()
}

impl Thresholds {
    /// What `score` alone asks for; a threshold is reached when the score equals it.
    pub(super) fn action(&self, score: f64) -> Action {
        if score >= self.decline {
            Action::Decline
        } else if score >= self.step_up {
            Action::StepUp
        } else if score >= self.review {
            Action::Review
        } else {
            Action::Approve
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const THRESHOLDS: Thresholds = Thresholds { review: 0.3, step_up: 0.6, decline: 0.85 };

    #[test]
    fn an_action_is_taken_before_at_and_after_its_threshold() {
        let cases = [
            (0.0, Action::Approve),
            (0.3_f64.next_down(), Action::Approve),
            (0.3, Action::Review),
            (0.3_f64.next_up(), Action::Review),
            (0.6_f64.next_down(), Action::Review),
            (0.6, Action::StepUp),
            (0.6_f64.next_up(), Action::StepUp),
            (0.85_f64.next_down(), Action::StepUp),
            (0.85, Action::Decline),
            (1.0, Action::Decline),
        ];
        for (score, expected) in cases {
            assert_eq!(THRESHOLDS.action(score), expected, "{score}");
        }
    }

    #[test]
    fn of_equal_thresholds_the_stricter_action_is_taken() {
        let equal = Thresholds { review: 0.5, step_up: 0.5, decline: 0.5 };
        assert_eq!(equal.action(0.5), Action::Decline);
        assert_eq!(equal.action(0.5_f64.next_down()), Action::Approve);
    }

    #[test]
    fn scores_and_contributions_agree_with_values_computed_by_hand() {
        let cases: [(&[f64], f64, &[f64]); 4] = [
            (&[], 0.0, &[]),
            (&[0.9], 0.9, &[1.0]),
            (&[0.5, 0.5], 0.75, &[0.5, 0.5]),
            // ln 0.1 and ln 0.01: one third and two thirds.
            (&[0.9, 0.99], 0.999, &[1.0 / 3.0, 2.0 / 3.0]),
        ];
        for (weights, expected, shares) in cases {
            assert!((score(weights.iter().copied()) - expected).abs() < 1e-12, "{weights:?}");
            for (share, expected) in contributions(weights).iter().zip(shares) {
                assert!((share - expected).abs() < 1e-12, "{weights:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn contributions_sum_to_one_and_the_score_is_a_probability(
            weights in proptest::collection::vec(1e-9..=0.999_999_999_f64, 1..50),
        ) {
            let sum: f64 = contributions(&weights).iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-9);
            let score = score(weights.iter().copied());
            let largest = weights.iter().copied().fold(0.0, f64::max);
            prop_assert!(score <= 1.0 && score >= largest - 1e-12);
        }
    }
}
