//! Normal scores: where a value lies among those of the reference, on the scale of a standard normal law.
//!
//! The map is learned from the first values (128, [`super::WatchSettings::scored_samples`]) and then stays, so that values before and after a change are
//! still alike if nothing has changed, whatever their law is; heavy tails and outliers end at ±[`UTMOST`]. (Van der
//! Waerden's scores, by a table; a test on them loses nothing against the t-test under normal laws: Chernoff & Savage 1958.)

use serde::{Deserialize, Serialize};

/// Of a stream that hardly moves, a map is learned from so many times as many values.
pub(super) const SLOWLY: usize = 4;
/// No score is further from 0.
const UTMOST: f64 = 3.2;
/// The score of the least and the largest learned value: Φ⁻¹((n − 3/8) / (n + 1/4)) (Blom 1958).
const OUTERMOST: f64 = 2.59;
/// Knots between the outermost ones are at these many-th parts of the learned values.
const PARTS: usize = 32;

/// What a value is worth. About 550 bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Scores {
    /// Values at the quantiles 0, 1/32, …, 1; rising, perhaps tied.
    knots: Vec<f64>,
}

impl Scores {
    /// Of at least two values.
    pub(super) fn learn(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let last = values.len().saturating_sub(1);
        let knots = (0..=PARTS).filter_map(|part| values.get(part * last / PARTS).copied()).collect();
        Self { knots }
    }

    /// The score of a value, within ±[`UTMOST`].
    pub(super) fn of(&self, value: f64) -> f64 {
        let below = self.knots.partition_point(|knot| *knot < value);
        let tied = self.knots.iter().skip(below).take_while(|knot| **knot <= value).count();
        if tied > 0 {
            return 0.5 * (score_at(below) + score_at(below + tied - 1));
        }
        // Beyond the outermost knots, the slope of the outermost stretch goes on.
        let upper = below.clamp(1, PARTS);
        let (Some(low), Some(high)) = (self.knots.get(upper - 1), self.knots.get(upper)) else { return 0.0 };
        let (from, to) = (score_at(upper - 1), score_at(upper));
        let score = if high > low {
            from + (value - low) / (high - low) * (to - from)
        } else if below == 0 {
            -UTMOST
        } else {
            UTMOST
        };
        score.clamp(-UTMOST, UTMOST)
    }

    /// The value that has this score.
    pub(super) fn value_at(&self, score: f64) -> f64 {
        let upper = (1..PARTS).find(|knot| score_at(*knot) >= score).unwrap_or(PARTS);
        let (Some(low), Some(high)) = (self.knots.get(upper - 1), self.knots.get(upper)) else { return 0.0 };
        let (from, to) = (score_at(upper - 1), score_at(upper));
        low + (score - from) / (to - from) * (high - low)
    }
}

/// The score that belongs to a knot.
fn score_at(knot: usize) -> f64 {
    let score = SCORES.get(knot.abs_diff(PARTS / 2)).copied().unwrap_or(OUTERMOST);
    if knot < PARTS / 2 { -score } else { score }
}

/// Φ⁻¹(1/2 + k/32), with the outermost score at the end.
const SCORES: [f64; PARTS / 2 + 1] = [
    0.0, 0.078_412, 0.157_311, 0.237_202, 0.318_639, 0.402_250, 0.488_776, 0.579_132, 0.674_490, 0.776_422,
    0.887_147, 1.009_990, 1.150_349, 1.318_011, 1.534_121, 1.862_732, OUTERMOST,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_rise_with_the_value_and_end() {
        let scores = Scores::learn((0..128).map(|i| f64::from(i).exp2()).collect());
        let of: Vec<f64> = (-1..140).map(|i| scores.of(f64::from(i).exp2())).collect();
        assert!(of.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(scores.of(f64::MAX) <= UTMOST && scores.of(f64::MIN) >= -UTMOST);
    }

    #[test]
    fn the_median_scores_nothing_and_the_outermost_most() {
        let scores = Scores::learn((0..129).map(f64::from).collect());
        assert!(scores.of(64.0).abs() < 1e-9);
        assert!((scores.of(128.0) - OUTERMOST).abs() < 1e-9);
        assert!((scores.of(96.0) - 0.674_490).abs() < 1e-6);
    }

    #[test]
    fn a_score_leads_back_to_its_value() {
        let scores = Scores::learn((0..129).map(|i| f64::from(i * i)).collect());
        for value in [3.0, 100.0, 5_000.0, 16_000.0] {
            assert!((scores.value_at(scores.of(value)) - value).abs() < 1e-6);
        }
    }

    #[test]
    fn a_constant_stream_knows_only_less_equal_and_more() {
        let scores = Scores::learn(vec![7.0; 128]);
        assert!(scores.of(7.0).abs() < 1e-12);
        assert!((scores.of(7.1) - UTMOST).abs() < 1e-12 && (scores.of(6.9) + UTMOST).abs() < 1e-12);
    }
}
