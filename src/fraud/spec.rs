//! `rules.yaml` as it is written, and how a fault in it is named.
//!
//! These types promise the shape only: unknown keys are refused, values are not judged.
//! [`RuleSet::compile`](super::RuleSet::compile) does that, and reports all faults together.

use crate::event::public::Action;
use crate::fault::Fault;
use serde::Deserialize;

/// The whole of `rules.yaml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesSpec {
    /// Chosen by the author; stands in every score record.
    pub version: u32,
    /// From which score on which action is taken.
    pub thresholds: Thresholds,
    /// In the order in which they are evaluated and listed.
    pub rules: Vec<RuleSpec>,
}

impl RulesSpec {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// One fault, with its place in the text: it is no YAML of this shape.
    pub fn read(text: &str) -> Result<RulesSpec, Vec<Fault>> {
        serde_saphyr::from_str(text).map_err(|fault| vec![Fault::new("rules", fault.to_string())])
    }
}

/// From which score on an action is taken: `0 < review <= step_up <= decline <= 1`, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// The lowest score that is looked at by somebody.
    pub review: f64,
    /// The lowest score that asks for a stronger proof of identity.
    pub step_up: f64,
    /// The lowest score that is refused.
    pub decline: f64,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// Its name, unique in the file: `[a-z][a-z0-9_]*`.
    pub id: String,
    /// Whether it is evaluated, and whether it counts.
    pub state: RuleState,
    /// The condition, in CEL, at most [`WHEN_BYTES_MAX`](crate::condition::WHEN_BYTES_MAX).
    pub when: String,
    /// The reason code shown to others: `[A-Z][A-Z0-9_]*`.
    pub code: String,
    /// The probability of fraud it stands for: above 0 and below 1.
    pub weight: f64,
    /// At least this if it fires, whatever the score.
    pub action: Option<Action>,
}

/// How far a rule has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    /// Being written: checked, not evaluated.
    Draft,
    /// Evaluated and listed, without effect on score and decision.
    Shadow,
    /// Counts.
    Live,
    /// Kept for its history: checked, not evaluated.
    Retired,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTED: &str = "
version: 3
thresholds: { review: 0.3, step_up: 0.6, decline: 0.85 }
rules:
  - id: card_testing_by_ip
    state: live
    when: ip_velocity__card_distinct_10m >= 5.0 && amount_minor < 500.0
    code: CARD_TESTING
    weight: 0.9
    action: step_up
  - { id: abroad, state: shadow, when: card_country != ip_country, code: ABROAD, weight: 0.1 }
";

    #[test]
    fn the_documented_file_is_read() {
        let spec: RulesSpec = serde_saphyr::from_str(DOCUMENTED).expect("the documented file");
        assert_eq!(spec.version, 3);
        assert_eq!(spec.thresholds, Thresholds { review: 0.3, step_up: 0.6, decline: 0.85 });
        assert_eq!(spec.rules[0].state, RuleState::Live);
        assert_eq!(spec.rules[0].action, Some(Action::StepUp));
        assert_eq!(spec.rules[1].state, RuleState::Shadow);
        assert_eq!(spec.rules[1].action, None);
    }

    #[test]
    fn unknown_keys_states_and_actions_are_refused() {
        let faulty = [
            ("version: 3", "version: 3\nowner: risk"),
            ("review: 0.3,", "review: 0.3, reveiw: 0.3,"),
            ("weight: 0.9", "weight: 0.9\n    wieght: 0.9"),
            ("state: live", "state: paused"),
            ("action: step_up", "action: refuse"),
            ("version: 3", "version: -3"),
        ];
        for (good, bad) in faulty {
            let text = DOCUMENTED.replacen(good, bad, 1);
            assert!(serde_saphyr::from_str::<RulesSpec>(&text).is_err(), "{bad}");
        }
    }
}
