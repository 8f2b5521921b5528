//! The model that learns from labelled scores, and the versions of its weights that go out.

use crate::engine::outputs::Outputs;
use crate::event::DecisionEvent;
use crate::event::monitor::LabelledDecision;
use crate::event::part::WeightsSlice;
use crate::fraud::model::{Learner, Model, Token};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Weights per slice, which is some 400 KB: a reader puts a version together from its slices, and holds no more of it at once.
const SLICE: usize = 32_768;
/// Every so many versions all weights go out, not only those that have changed: a reader that has lost some is whole again.
const WHOLE_EVERY: u32 = 64;

/// What was learned, and what of it has not gone out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Learning {
    /// [`Model::hash`] of the model that learns.
    model: u64,
    learner: Learner,
    pub(super) version: u32,
    pub(super) labels: u64,
    frauds: u64,
    /// Labels since the last version, and the tokens they were about.
    since: u64,
    changed: BTreeSet<Token>,
}

impl Learning {
    pub(super) fn new(model: &Model) -> Learning {
        Learning {
            model: model.hash(),
            learner: Learner::new(model.learning()),
            version: 0,
            labels: 0,
            frauds: 0,
            since: 0,
            changed: BTreeSet::new(),
        }
    }

    /// Whether it is `model` that learned this.
    pub(super) fn is_of(&self, model: &Model) -> bool {
        self.model == model.hash()
    }

    /// Learns from a labelled score, if its tokens are this model's.
    pub(super) fn learn(&mut self, labelled: &LabelledDecision<'_>) {
        let Some(input) = labelled.model.as_ref().filter(|input| input.model == self.model) else { return };
        let is_fraud = labelled.outcome.is_positive();
        self.learner.learn(&input.tokens, is_fraud);
        self.labels += 1;
        self.frauds += u64::from(is_fraud);
        self.since += 1;
        self.changed.extend(&input.tokens);
    }

    /// Whether a version is due: after so many labels, or when an hour has begun since the last.
    pub(super) fn is_due(&self, model: &Model, hour_has_begun: bool) -> bool {
        self.since >= model.publish_after() || (self.since > 0 && hour_has_begun)
    }

    /// Sends the next version to each of `partitions` partitions.
    pub(super) fn send(&mut self, partitions: u32, out: &mut Outputs) {
        let is_whole = self.version.is_multiple_of(WHOLE_EVERY);
        let changed = std::mem::take(&mut self.changed);
        let tokens: Vec<Token> =
            if is_whole { self.learner.tokens().collect() } else { changed.into_iter().collect() };
        let since = (!is_whole).then_some(self.version);
        self.version += 1;
        self.since = 0;
        let slices = u32::try_from(tokens.len().div_ceil(SLICE)).expect("a model is smaller than that");
        for (slice, tokens) in (0..).zip(tokens.chunks(SLICE)) {
            let event = DecisionEvent::Weights(WeightsSlice {
                model: self.model,
                version: self.version,
                since,
                slice,
                slices,
                bias: self.learner.bias(),
                labels: self.labels,
                frauds: self.frauds,
                weights: tokens.iter().map(|token| (*token, self.learner.weight(*token))).collect(),
            });
            (0..partitions).for_each(|partition| out.event(partition, &event));
        }
    }
}
