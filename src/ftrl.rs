//! Logistic regression by FTRL-Proximal: McMahan et al., *Ad Click Prediction: a View from the Trenches* (KDD 2013),
//! Algorithm 1, with inputs that are there or not.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What is there of an input: a bucket of it, or two of a cross, by number. Where numbers are hashes, two of some ten thousand
/// share one with a probability of about 1 %, and then share a weight.
pub type Token = u32;

/// The settings of FTRL-Proximal (McMahan et al. 2013).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Learning {
    /// How large the steps are: 10⁻⁶ to 10⁶, as below.
    pub alpha: f64,
    /// How much smaller the first steps are than they would be: at least 0.
    pub beta: f64,
    /// What keeps weights at 0: at least 0.
    pub l1: f64,
    /// What keeps weights small: at least 0.
    pub l2: f64,
}

impl Default for Learning {
    fn default() -> Learning {
        Learning { alpha: 0.05, beta: 1.0, l1: 0.0, l2: 1.0 }
    }
}

/// What there is to add up for one case: a weight of 0 for every token that is not here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// What every case has.
    pub bias: f64,
    by_token: BTreeMap<Token, f64>,
}

/// A model has at most so many weights: what is new then keeps the weight 0. A version with all of them takes 3 MB of the 8 that a
/// record of the decision log may have.
const TOKENS_MAX: usize = 200_000;

/// Log-odds beyond this are as good as certain; e^35 is still far from what a double can hold.
const LOG_ODDS_MAX: f64 = 35.0;

impl Weights {
    /// The weight of a token.
    #[must_use]
    pub fn of(&self, token: Token) -> f64 {
        self.by_token.get(&token).copied().unwrap_or(0.0)
    }

    /// Sets the weight of a token.
    pub fn set(&mut self, token: Token, weight: f64) {
        self.by_token.insert(token, weight);
    }

    /// The probability, above 0 and below 1.
    #[must_use]
    pub fn score(&self, tokens: &[Token]) -> f64 {
        probability(self.bias + tokens.iter().map(|token| self.of(*token)).sum::<f64>())
    }
}

fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds.clamp(-LOG_ODDS_MAX, LOG_ODDS_MAX)).exp())
}

/// What is known of one weight: z and n of the algorithm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Coordinate {
    z: f64,
    n: f64,
}

/// Learns weights from one case after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learner {
    learning: Learning,
    bias: Coordinate,
    by_token: BTreeMap<Token, Coordinate>,
}

impl Coordinate {
    fn weight(self, learning: &Learning) -> f64 {
        let Learning { alpha, beta, l1, l2 } = *learning;
        if self.z.abs() <= l1 {
            return 0.0;
        }
        -(self.z - self.z.signum() * l1) / ((beta + self.n.sqrt()) / alpha + l2)
    }

    fn learn(&mut self, gradient: f64, learning: &Learning) {
        let sigma = ((self.n + gradient * gradient).sqrt() - self.n.sqrt()) / learning.alpha;
        self.z += gradient - sigma * self.weight(learning);
        self.n += gradient * gradient;
    }
}

impl Learner {
    /// One that knows nothing: every score is ½.
    #[must_use]
    pub fn new(learning: Learning) -> Learner {
        Learner { learning, bias: Coordinate::default(), by_token: BTreeMap::new() }
    }

    /// The probability by what has been learned so far, above 0 and below 1.
    #[must_use]
    pub fn score(&self, tokens: &[Token]) -> f64 {
        probability(self.bias() + tokens.iter().map(|token| self.weight(*token)).sum::<f64>())
    }

    /// Learns what a case with these tokens was. Once there are 200,000 of them, no new ones are learned.
    pub fn learn(&mut self, tokens: &[Token], happened: bool) {
        let gradient = self.score(tokens) - f64::from(u8::from(happened));
        self.bias.learn(gradient, &self.learning);
        for token in tokens {
            let has_room = self.by_token.len() < TOKENS_MAX;
            match self.by_token.entry(*token) {
                Entry::Occupied(mut known) => known.get_mut().learn(gradient, &self.learning),
                Entry::Vacant(new) if has_room => {
                    new.insert(Coordinate::default()).learn(gradient, &self.learning)
                }
                Entry::Vacant(_) => {}
            }
        }
    }

    /// The weight that every case has.
    #[must_use]
    pub fn bias(&self) -> f64 {
        self.bias.weight(&self.learning)
    }

    /// The weight of a token; 0 of one that was never learned.
    #[must_use]
    pub fn weight(&self, token: Token) -> f64 {
        self.by_token.get(&token).map_or(0.0, |known| known.weight(&self.learning))
    }

    /// Every token that was learned, in rising order.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        self.by_token.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(learner: &Learner) -> Weights {
        let mut weights = Weights { bias: learner.bias(), ..Weights::default() };
        learner.tokens().for_each(|token| weights.set(token, learner.weight(token)));
        weights
    }

    #[test]
    fn the_first_step_is_that_of_the_published_algorithm() {
        let learning = Learning { alpha: 0.1, beta: 1.0, l1: 0.0, l2: 0.5 };
        let mut learner = Learner::new(learning);
        learner.learn(&[7], true);
        // p = ½, g = −½, n = ¼, σ · w = 0, so z = −½ and w = ½ / ((1 + ½) / 0.1 + 0.5)
        let expected = 0.5 / 15.5;
        let first = weights(&learner);
        assert!((first.of(7) - expected).abs() < 1e-15);
        assert!((first.bias - expected).abs() < 1e-15);
        learner.learn(&[7], false);
        let p = probability(2.0 * expected);
        let sigma = ((0.25 + p * p).sqrt() - 0.5) / 0.1;
        let z = -0.5 + p - sigma * expected;
        let w = -z / ((1.0 + (0.25 + p * p).sqrt()) / 0.1 + 0.5);
        assert!((weights(&learner).of(7) - w).abs() < 1e-15);
    }

    #[test]
    fn what_a_token_says_is_learned_and_weights_say_the_same_as_the_learner() {
        let mut learner = Learner::new(Learning { alpha: 0.5, ..Learning::default() });
        for round in 0..2_000_u32 {
            // token 1: one in ten is fraud; token 2: nine in ten
            learner.learn(&[1], round % 10 == 0);
            learner.learn(&[2], round % 10 != 0);
        }
        let weights = weights(&learner);
        assert!((weights.score(&[1]) - 0.1).abs() < 0.03, "{}", weights.score(&[1]));
        assert!((weights.score(&[2]) - 0.9).abs() < 0.03, "{}", weights.score(&[2]));
        for tokens in [&[1][..], &[2], &[1, 2], &[3], &[]] {
            assert!((weights.score(tokens) - learner.score(tokens)).abs() < 1e-15);
        }
    }

    #[test]
    fn l1_keeps_weights_of_rare_tokens_at_nothing() {
        let mut learner = Learner::new(Learning { l1: 1.0, ..Learning::default() });
        learner.learn(&[5], true);
        assert!(weights(&learner).of(5).abs() < 1e-15);
        assert!((learner.score(&[5]) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn no_score_is_certain() {
        let mut weights = Weights { bias: 1e9, ..Weights::default() };
        assert!(weights.score(&[]) < 1.0);
        weights.bias = -1e9;
        assert!(weights.score(&[]) > 0.0);
    }
}
