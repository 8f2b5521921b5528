//! What the model says of a payment that is decided.

use crate::event::monitor::ModelInput;
use crate::event::public::{Factor, ModelOpinion};
use crate::fraud::Inputs;
use crate::fraud::model::{Model, Opinion, Served, Token};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A model that was asked about a payment.
pub(super) struct Asked<'m> {
    model: &'m Model,
    tokens: Vec<Token>,
    /// What it said; nothing while it has no weights.
    pub(super) opinion: Option<Opinion>,
}

/// Asks `model`, with the weights that are in force.
pub(super) fn ask<'m>(model: &'m Model, served: &Served, inputs: &Inputs<'_>) -> Asked<'m> {
    let mut tokens = Vec::with_capacity(model.tokens_per_payment());
    model.tokens(inputs, &mut tokens);
    Asked { model, opinion: served.opinion(model, &tokens), tokens }
}

impl<'m> Asked<'m> {
    /// What the score record says of it.
    pub(super) fn public(&self, inputs: &Inputs<'_>, contribution: f64) -> Option<ModelOpinion<'m>> {
        let opinion = self.opinion.as_ref()?;
        let factor = |(place, log_odds): &(usize, f64)| Factor {
            inputs: self
                .model
                .inputs_at(*place, inputs)
                .into_iter()
                .map(|(name, value)| (Cow::Borrowed(name), value))
                .collect(),
            windows_ms: BTreeMap::new(),
            log_odds: *log_odds,
        };
        Some(ModelOpinion {
            name: Cow::Borrowed(self.model.name()),
            version: opinion.version,
            score: opinion.score,
            is_live: opinion.is_live,
            contribution,
            factors: opinion.factors.iter().map(factor).collect(),
        })
    }

    /// What is kept of it until the label comes.
    pub(super) fn into_input(self) -> ModelInput {
        let score = self.opinion.map(|opinion| opinion.score);
        ModelInput { model: self.model.hash(), tokens: self.tokens, score }
    }
}
