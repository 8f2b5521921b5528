//! The weights that a decide task scores with: versions of them come through its log.

use super::tokens::Model;
use crate::event::part::WeightsSlice;
use crate::ftrl::{Token, Weights};
use serde::{Deserialize, Serialize};

/// The version of a model's weights that is in force, and the slices of the next one that have come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// [`Model::hash`] of the model they are of.
    model: u64,
    version: u32,
    labels: u64,
    frauds: u64,
    weights: Weights,
    /// Of the next version, while not all of its slices have come.
    next: Vec<(Token, f64)>,
    slices_seen: u32,
}

/// What a model says of a payment.
#[derive(Debug, Clone, PartialEq)]
pub struct Opinion {
    /// The probability of fraud, above 0 and below 1.
    pub score: f64,
    /// The version of the weights.
    pub version: u32,
    /// Whether it counts; else it is in shadow.
    pub is_live: bool,
    /// Places of the tokens that raise the score most, with what each adds to the log-odds, largest first; at most five.
    pub factors: Vec<(usize, f64)>,
}

const FACTORS_MAX: usize = 5;

impl Served {
    /// The version in force; 0 while none has come.
    #[cfg(test)]
    fn version(&self) -> u32 {
        self.version
    }

    /// Takes a slice of a version; with the last one, the version is in force. What is of another model is passed over, and so
    /// is a version that says only what has changed since one that is not in force.
    pub fn take(&mut self, model: &Model, slice: &WeightsSlice) {
        if slice.model != model.hash() {
            return;
        }
        if self.model != slice.model {
            *self = Served { model: slice.model, ..Served::default() };
        }
        let follows = slice.since.is_none_or(|since| since == self.version);
        if !follows || slice.slice != self.slices_seen {
            (self.slices_seen, self.next) = (0, Vec::new());
            if !follows || slice.slice != 0 {
                return;
            }
        }
        self.next.extend_from_slice(&slice.weights);
        self.slices_seen += 1;
        if self.slices_seen < slice.slices {
            return;
        }
        if slice.since.is_none() {
            self.weights = Weights::default();
        }
        for (token, weight) in std::mem::take(&mut self.next) {
            self.weights.set(token, weight);
        }
        self.weights.bias = slice.bias;
        (self.version, self.labels, self.frauds) = (slice.version, slice.labels, slice.frauds);
        self.slices_seen = 0;
    }

    /// What `model` says of a payment with these tokens; nothing before the first version has come.
    #[must_use]
    pub fn opinion(&self, model: &Model, tokens: &[Token]) -> Option<Opinion> {
        if self.version == 0 || self.model != model.hash() {
            return None;
        }
        let mut factors: Vec<(usize, f64)> = tokens
            .iter()
            .map(|token| self.weights.of(*token))
            .enumerate()
            .filter(|(_, weight)| *weight > 0.0)
            .collect();
        factors.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        factors.truncate(FACTORS_MAX);
        Some(Opinion {
            score: self.weights.score(tokens),
            version: self.version,
            is_live: model.is_live(self.labels, self.frauds),
            factors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fraud::model::ModelSpec;

    fn model() -> Model {
        let text = "{name: m, inputs: [v__a, v__b], min_labels: 10, min_frauds: 1}";
        let spec: ModelSpec = serde_saphyr::from_str(text).expect("a shape");
        spec.compile(&[("v__a".to_owned(), 1), ("v__b".to_owned(), 2)]).expect("a good model")
    }

    fn slice(
        version: u32,
        since: Option<u32>,
        (slice, slices): (u32, u32),
        weights: &[(Token, f64)],
    ) -> WeightsSlice {
        let model = model().hash();
        WeightsSlice {
            model,
            version,
            since,
            slice,
            slices,
            bias: -1.0,
            labels: 20,
            frauds: 2,
            weights: weights.to_vec(),
        }
    }

    #[test]
    fn a_version_is_in_force_when_its_last_slice_has_come() {
        let (model, mut served) = (model(), Served::default());
        assert_eq!(served.opinion(&model, &[7, 8]), None);
        served.take(&model, &slice(1, None, (0, 2), &[(7, 2.0)]));
        assert_eq!(served.version(), 0);
        served.take(&model, &slice(1, None, (1, 2), &[(8, -1.0)]));
        let opinion = served.opinion(&model, &[7, 8]).unwrap();
        assert!((opinion.score - 0.5).abs() < 1e-12 && opinion.is_live);
        assert_eq!((opinion.version, opinion.factors), (1, vec![(0, 2.0)]));
        served.take(&model, &slice(2, Some(1), (0, 1), &[(8, 1.0)]));
        assert!((served.opinion(&model, &[7, 8]).unwrap().score - 0.880_797).abs() < 1e-6);
    }

    #[test]
    fn what_has_changed_since_a_version_that_is_not_there_is_passed_over_until_all_of_it_comes() {
        let (model, mut served) = (model(), Served::default());
        served.take(&model, &slice(3, Some(2), (0, 1), &[(7, 2.0)]));
        assert_eq!(served.version(), 0);
        served.take(&model, &slice(4, None, (0, 1), &[(7, 1.0)]));
        assert_eq!(served.version(), 4);
        // a slice is missing: the rest of that version means nothing
        served.take(&model, &slice(5, Some(4), (1, 2), &[(9, 1.0)]));
        served.take(&model, &slice(6, Some(5), (0, 1), &[(9, 1.0)]));
        assert_eq!(served.version(), 4);
    }

    #[test]
    fn weights_of_another_model_are_passed_over() {
        let (model, mut served) = (model(), Served::default());
        served.take(&model, &WeightsSlice { model: 1, ..slice(1, None, (0, 1), &[(7, 2.0)]) });
        assert_eq!(served.version(), 0);
    }
}
