//! The rules of one file, ready to be evaluated, and what they say of a payment.
//!
//! A rule is evaluated only if everything it reads has a value, even where the first part of its
//! condition would decide: whether a rule was evaluated must not depend on the order in which it is
//! written. All preparation is done in [`RuleSet::compile`]; an evaluation allocates what it
//! reports and what `cel` allocates on its way (some 0.1 µs for each ordering).

use super::inputs::Inputs;
use super::names::{Names, Variable};
use super::score::{contributions, score};
use super::spec::{RuleSpec, RuleState, RulesSpec, Thresholds};
use super::validate::{RULES_MAX, rule_faults, rule_path, size_fault, threshold_faults};
use crate::condition::{Binder, Condition, Slots, Unanswered, Values, checked};
use crate::event::public::{Action, NotEvaluated, Reason, Text};
use crate::fault::Fault;
use cel::Context;
use cel::common::ast::IdedExpr;
use std::collections::BTreeMap;

/// The rules of one file. Immutable; may be shared between threads.
pub struct RuleSet {
    version: u32,
    thresholds: Thresholds,
    /// Live and shadow rules, in the order of the file.
    rules: Vec<Rule>,
    slots: Slots<Variable>,
    /// Functions and lists.
    base: Context<'static, 'static>,
}

/// A rule that is evaluated.
struct Rule {
    id: String,
    code: String,
    weight: f64,
    action: Option<Action>,
    is_live: bool,
    when: Condition,
}

/// A rule as it was declared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeclaredRule<'r> {
    /// Its id.
    pub id: &'r str,
    /// Its reason code.
    pub code: &'r str,
    /// Its weight.
    pub weight: f64,
    /// Whether it counts; else it is in shadow.
    pub is_live: bool,
}

/// What the rules say of a payment; its texts are those of the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict<'r> {
    /// From 0 to 1: 1 − Π (1 − weight) over the live rules that fired, and the model if it counts.
    pub score: f64,
    /// The highest of what the score and the live rules that fired ask for.
    pub decision: Action,
    /// The live rules that fired, by contribution, largest first, then by id.
    pub reasons: Vec<Reason<'r>>,
    /// The share of the model in the score; 0 where none counts.
    pub model_contribution: f64,
    /// The shadow rules that would have fired, by id, in the order of the file.
    pub shadow: Vec<Text<'r>>,
    /// The live and shadow rules that could not be evaluated, in the order of the file.
    pub not_evaluated: Vec<NotEvaluated<'r>>,
}

impl RuleSet {
    /// Checks `spec` and prepares it; `feature_names` are the flat names and numbers of the declared
    /// features.
    ///
    /// # Errors
    ///
    /// Every fault of the file, draft and retired rules included, in the order of the file.
    pub fn compile(spec: &RulesSpec, feature_names: &[(String, u32)]) -> Result<RuleSet, Vec<Fault>> {
        RuleSet::compile_with(spec, &Names::new(feature_names))
    }

    /// Reads and prepares the text of a file, as [`RuleSet::compile`] does.
    ///
    /// # Errors
    ///
    /// That it is no YAML of this shape, or every fault of the file.
    pub fn read(text: &str, feature_names: &[(String, u32)]) -> Result<RuleSet, Vec<Fault>> {
        RuleSet::compile(&RulesSpec::read(text)?, feature_names)
    }

    /// Reads and prepares the text of a file that was found good under other views. What it reads of views that are no longer
    /// there has no value, so the rules that read it are not evaluated, and say so.
    ///
    /// # Errors
    ///
    /// As [`RuleSet::read`], but not that a feature is unknown.
    pub fn read_under_other_views(
        text: &str,
        feature_names: &[(String, u32)],
    ) -> Result<RuleSet, Vec<Fault>> {
        RuleSet::compile_with(&RulesSpec::read(text)?, &Names::of_other_views(feature_names))
    }

    /// As [`RuleSet::compile`], where `feature_names` are those of a part of the views, because others have
    /// faults. What rules read of the others is not judged, so the result is good for nothing but its faults.
    ///
    /// # Errors
    ///
    /// As [`RuleSet::compile`].
    pub fn compile_beside_faulty_views(
        spec: &RulesSpec,
        feature_names: &[(String, u32)],
    ) -> Result<RuleSet, Vec<Fault>> {
        RuleSet::compile_with(spec, &Names::beside_faulty_views(feature_names))
    }

    fn compile_with(spec: &RulesSpec, names: &Names<'_>) -> Result<RuleSet, Vec<Fault>> {
        let mut binder = Binder::new(names);
        let mut faults = threshold_faults(&spec.thresholds);
        faults.extend(size_fault(spec));
        if !faults.is_empty() && spec.rules.len() > RULES_MAX {
            return Err(faults);
        }
        let mut rules = Vec::new();
        for (index, rule) in spec.rules.iter().enumerate() {
            faults.extend(rule_faults(spec, index, rule));
            match checked(&rule.when, names) {
                Ok(when) => rules.extend(Rule::bound(rule, when, &mut binder)),
                Err(found) => {
                    faults.extend(found.into_iter().map(|fault| Fault::new(rule_path(index, "when"), fault)));
                }
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let Binder { slots, base, .. } = binder;
        Ok(RuleSet { version: spec.version, thresholds: spec.thresholds, rules, slots, base })
    }

    /// The version that the file gives itself.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The live and shadow rules, in the order of the file.
    pub fn declared(&self) -> impl Iterator<Item = DeclaredRule<'_>> {
        self.rules.iter().map(|rule| DeclaredRule {
            id: &rule.id,
            code: &rule.code,
            weight: rule.weight,
            is_live: rule.is_live,
        })
    }

    /// What the live and shadow rules read: the rule's id, and the name of a feature or a field of the payment.
    pub fn reads(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules.iter().flat_map(|rule| {
            let names = rule.when.reads().iter().filter_map(|slot| self.slots.slot(*slot));
            names.map(|(name, _)| (rule.id.as_str(), name))
        })
    }

    /// What the live and shadow rules say of a payment; `model` is the probability of fraud by a model that counts, which
    /// stands beside the rules that fired like one more of that weight.
    #[must_use]
    pub fn evaluate(&self, inputs: &Inputs<'_>, model: Option<f64>) -> Verdict<'_> {
        let values = inputs.values(&self.slots);
        let base: &Context<'_, '_> = &self.base;
        let mut scope = base.new_inner_scope();
        scope.set_variable_resolver(&values);
        let mut fired = Vec::new();
        let (mut shadow, mut not_evaluated) = (Vec::new(), Vec::new());
        for rule in &self.rules {
            match self.outcome(rule, &values, &scope) {
                Ok(true) if rule.is_live => fired.push(rule),
                Ok(true) => shadow.push(rule.id()),
                Ok(false) => {}
                Err(because) => not_evaluated.push(NotEvaluated { rule: rule.id(), because }),
            }
        }
        let weights: Vec<f64> = fired.iter().map(|rule| rule.weight).chain(model).collect();
        let shares = contributions(&weights);
        let score = score(weights.iter().copied());
        let decision = self.decision(score, &fired);
        let reasons = self.reasons(inputs, &fired, &shares);
        let of_model = model.and_then(|_| shares.last().copied()).unwrap_or(0.0);
        Verdict { score, decision, reasons, model_contribution: of_model, shadow, not_evaluated }
    }

    /// Whether `rule` fires, or why it cannot be told.
    fn outcome<'r>(
        &'r self,
        rule: &Rule,
        values: &Values<'_>,
        scope: &Context<'_, '_>,
    ) -> Result<bool, Vec<Text<'r>>> {
        rule.when.holds(values, scope).map_err(|unanswered| match unanswered {
            Unanswered::Lacking => self.lacking(rule, values),
            Unanswered::Failed(because) => vec![because],
        })
    }

    /// The names of what `rule` reads and is missing, in order.
    fn lacking<'r>(&'r self, rule: &Rule, values: &Values<'_>) -> Vec<Text<'r>> {
        let missing = rule.when.reads().iter().filter(|slot| values.is_missing(**slot));
        let names = missing.filter_map(|slot| self.slots.slot(*slot));
        names.map(|(name, _)| name.into()).collect()
    }

    fn decision(&self, score: f64, fired: &[&Rule]) -> Action {
        let of_rules = fired.iter().filter_map(|rule| rule.action).max();
        self.thresholds.action(score).max(of_rules.unwrap_or(Action::Approve))
    }

    fn reasons<'r>(&'r self, inputs: &Inputs<'_>, fired: &[&'r Rule], shares: &[f64]) -> Vec<Reason<'r>> {
        let reasons =
            fired.iter().zip(shares.iter().copied()).map(|(rule, share)| self.reason(inputs, rule, share));
        let mut reasons: Vec<Reason<'_>> = reasons.collect();
        reasons.sort_by(|one, other| {
            let by_contribution = other.contribution.total_cmp(&one.contribution);
            by_contribution.then_with(|| one.rule.cmp(&other.rule))
        });
        reasons
    }

    fn reason<'r>(&'r self, inputs: &Inputs<'_>, rule: &'r Rule, contribution: f64) -> Reason<'r> {
        let read = rule.when.reads().iter().filter_map(|slot| self.slots.slot(*slot));
        Reason {
            rule: rule.id(),
            code: rule.code.as_str().into(),
            weight: rule.weight,
            contribution,
            inputs: read.map(|(name, variable)| (name.into(), inputs.json(variable))).collect(),
            // rules know names and numbers of features; who publishes knows their windows
            windows_ms: BTreeMap::new(),
        }
    }
}

impl Rule {
    fn id(&self) -> Text<'_> {
        self.id.as_str().into()
    }

    /// `rule` with its condition bound; nothing if it is never evaluated.
    fn bound(rule: &RuleSpec, when: IdedExpr, binder: &mut Binder<'_, Names<'_>>) -> Option<Rule> {
        let is_live = match rule.state {
            RuleState::Draft | RuleState::Retired => return None,
            RuleState::Shadow => false,
            RuleState::Live => true,
        };
        let (id, code) = (rule.id.clone(), rule.code.clone());
        Some(Rule { id, code, weight: rule.weight, action: rule.action, is_live, when: binder.bind(when) })
    }
}

impl std::fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rules: Vec<&str> = self.rules.iter().map(|rule| rule.id.as_str()).collect();
        f.debug_struct("RuleSet")
            .field("version", &self.version)
            .field("rules", &rules)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
