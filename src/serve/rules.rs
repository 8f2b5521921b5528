//! The rules that are in force, as far as the topic on which they are published says.

use crate::codec::rules::RulesPublished;
use crate::engine::settings::FoldSettings;
use crate::fraud::RuleSet;
use crate::log::Fetched;
use serde::Serialize;
use std::sync::{PoisonError, RwLock};
use utoipa::ToSchema;

/// The live and shadow rules of the highest version that was declared or published.
#[derive(Debug)]
pub struct RulesInForce {
    feature_names: Vec<(String, u32)>,
    payload_bytes_max: usize,
    in_force: RwLock<KnownRules>,
}

/// Rules, as far as one may know of them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct KnownRules {
    /// Live and shadow rules, in the order of their file.
    pub(super) rules: Vec<KnownRule>,
    /// The version that their file gives itself.
    pub(super) rules_version: u32,
    /// Who published them; null where they stand in the configuration, or nobody said so.
    pub(super) rules_author: Option<String>,
}

/// A rule, as far as one may know of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct KnownRule {
    id: String,
    /// Its reason code.
    code: String,
    weight: f64,
    /// `live`, or `shadow`: evaluated, and without effect.
    state: &'static str,
}

impl KnownRules {
    fn of(rules: &RuleSet, author: Option<String>) -> KnownRules {
        let known = rules.declared().map(|rule| KnownRule {
            id: rule.id.to_owned(),
            code: rule.code.to_owned(),
            weight: rule.weight,
            state: if rule.is_live { "live" } else { "shadow" },
        });
        KnownRules { rules: known.collect(), rules_version: rules.version(), rules_author: author }
    }
}

impl RulesInForce {
    /// Those of the configuration, until others are heard of.
    #[must_use]
    pub fn declared(fold: &FoldSettings) -> RulesInForce {
        RulesInForce {
            feature_names: fold.plan.feature_names(),
            payload_bytes_max: fold.payload_bytes_max,
            in_force: RwLock::new(KnownRules::of(&fold.rules, None)),
        }
    }

    /// Takes a record of the topic of the rules. What is refused stands in `dead-letter`, and is none here.
    pub fn take(&self, fetched: &Fetched) {
        let payload = fetched.record.value.as_deref().unwrap_or_default();
        let Ok((Some(published), _)) = RulesPublished::decode(payload, self.payload_bytes_max) else {
            return;
        };
        let text = published.rules.as_str();
        let Ok(rules) = RuleSet::read_under_other_views(text, &self.feature_names) else { return };
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        if rules.version() > in_force.rules_version {
            let author = published.author.as_ref().map(|author| author.as_str().to_owned());
            *in_force = KnownRules::of(&rules, author);
        }
    }

    pub(super) fn known(&self) -> KnownRules {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
