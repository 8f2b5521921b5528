//! What `rules.yaml` must satisfy besides its expressions: names, ranges and their order.
//!
//! Comparisons are written so that a NaN, which YAML can spell, fails them.

use super::spec::{RuleSpec, RulesSpec, Thresholds};
use crate::fault::Fault;

/// Rules of a file, at most: each is checked when the file is read, and evaluated for each payment.
pub(super) const RULES_MAX: usize = 500;

/// That there are too many rules.
pub(super) fn size_fault(spec: &RulesSpec) -> Option<Fault> {
    let message = || format!("are {}, and may be {RULES_MAX}", spec.rules.len());
    (spec.rules.len() > RULES_MAX).then(|| Fault::new("rules.rules", message()))
}

/// The path of a field of the rule at `index`.
pub(super) fn rule_path(index: usize, field: &str) -> String {
    format!("rules.rules[{index}].{field}")
}

/// What is wrong with the thresholds: at most one fault for each.
pub(super) fn threshold_faults(thresholds: &Thresholds) -> Vec<Fault> {
    let Thresholds { review, step_up, decline } = *thresholds;
    let wanted = [
        ("review", review > 0.0 && review <= 1.0, "must be above 0 and at most 1"),
        ("step_up", step_up >= review && step_up <= 1.0, "must be at least `review` and at most 1"),
        ("decline", decline >= step_up && decline <= 1.0, "must be at least `step_up` and at most 1"),
    ];
    let faulty = wanted.into_iter().filter(|(_, holds, _)| !holds);
    faulty.map(|(field, _, message)| Fault::new(format!("rules.thresholds.{field}"), message)).collect()
}

/// What is wrong with the rule at `index`, its expression apart.
pub(super) fn rule_faults(spec: &RulesSpec, index: usize, rule: &RuleSpec) -> Vec<Fault> {
    let faults = [
        id_fault(spec, index, rule).map(|message| ("id", message)),
        code_fault(rule).map(|message| ("code", message)),
        weight_fault(rule.weight).map(|message| ("weight", message)),
    ];
    let faults = faults.into_iter().flatten();
    faults.map(|(field, message)| Fault::new(rule_path(index, field), message)).collect()
}

fn id_fault(spec: &RulesSpec, index: usize, rule: &RuleSpec) -> Option<String> {
    if !is_name(&rule.id, |c| c.is_ascii_lowercase()) {
        return Some("must be a lower-case letter, then lower-case letters, digits and `_`".to_string());
    }
    let first = spec.rules.iter().position(|other| other.id == rule.id)?;
    (first < index).then(|| format!("`{}` is the id of rules[{first}] already", rule.id))
}

fn code_fault(rule: &RuleSpec) -> Option<String> {
    let fault = !is_name(&rule.code, |c| c.is_ascii_uppercase());
    fault.then(|| "must be an upper-case letter, then upper-case letters, digits and `_`".to_string())
}

/// A weight below about 1e-16 is lost in 1 − weight, and with it the rule's contribution.
fn weight_fault(weight: f64) -> Option<String> {
    if !(weight > 0.0 && weight < 1.0) {
        return Some("must be above 0 and below 1".to_string());
    }
    (1.0 - weight >= 1.0).then(|| "is too small to change a score".to_string())
}

/// A letter of one case, then such letters, digits and `_`.
fn is_name(text: &str, is_letter: impl Fn(char) -> bool) -> bool {
    text.starts_with(&is_letter) && text.chars().all(|c| is_letter(c) || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fraud::spec::RuleState;

    fn rule(id: &str, code: &str, weight: f64) -> RuleSpec {
        let (id, code) = (id.to_string(), code.to_string());
        RuleSpec { id, state: RuleState::Live, when: "true".to_string(), code, weight, action: None }
    }

    /// The paths of the faults of the last of `rules`.
    fn faulty(rules: Vec<RuleSpec>) -> Vec<String> {
        let thresholds = Thresholds { review: 0.3, step_up: 0.6, decline: 0.85 };
        let spec = RulesSpec { version: 1, thresholds, rules };
        let index = spec.rules.len() - 1;
        rule_faults(&spec, index, &spec.rules[index]).into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn thresholds_are_ordered_and_in_range() {
        let cases: [(&str, [f64; 3], &[&str]); 10] = [
            ("as documented", [0.3, 0.6, 0.85], &[]),
            ("all equal", [0.5, 0.5, 0.5], &[]),
            ("the widest", [f64::MIN_POSITIVE, 0.5, 1.0], &[]),
            ("review at zero", [0.0, 0.6, 0.85], &["review"]),
            ("review below zero", [-0.1, 0.6, 0.85], &["review"]),
            ("step_up below review", [0.3, 0.29, 0.85], &["step_up"]),
            ("decline below step_up", [0.3, 0.6, 0.59], &["decline"]),
            ("decline above one", [0.3, 0.6, 1.01], &["decline"]),
            ("everything wrong", [0.0, -1.0, -2.0], &["review", "step_up", "decline"]),
            ("not a number", [f64::NAN, 0.6, 0.85], &["review", "step_up"]),
        ];
        for (name, [review, step_up, decline], expected) in cases {
            let faults = threshold_faults(&Thresholds { review, step_up, decline });
            let paths: Vec<_> = faults.into_iter().map(|fault| fault.path).collect();
            let expected: Vec<_> = expected.iter().map(|field| format!("rules.thresholds.{field}")).collect();
            assert_eq!(paths, expected, "{name}");
        }
    }

    #[test]
    fn ids_and_codes_follow_their_pattern() {
        let good = [("a", "A"), ("a1_b", "A1_B"), ("z__", "Z__")];
        let bad =
            [("", ""), ("1a", "1A"), ("_a", "_A"), ("A", "a"), ("a-b", "A-B"), ("é", "É"), ("a b", "A B")];
        for (id, code) in good {
            assert!(faulty(vec![rule(id, code, 0.5)]).is_empty(), "{id} {code}");
        }
        for (id, code) in bad {
            let expected = ["rules.rules[0].id", "rules.rules[0].code"];
            assert_eq!(faulty(vec![rule(id, code, 0.5)]), expected, "{id} {code}");
        }
    }

    #[test]
    fn an_id_is_used_once() {
        let twice = vec![rule("a", "A", 0.5), rule("b", "A", 0.5), rule("a", "A", 0.5)];
        assert_eq!(faulty(twice), ["rules.rules[2].id"]);
    }

    #[test]
    fn a_weight_lies_between_zero_and_one_and_changes_the_score() {
        let cases = [
            (0.0, true),
            (1e-17, true),
            (1e-9, false),
            (0.999_999, false),
            (1.0, true),
            (1.1, true),
            (-0.5, true),
            (f64::NAN, true),
            (f64::INFINITY, true),
        ];
        for (weight, is_faulty) in cases {
            assert_eq!(!faulty(vec![rule("a", "A", weight)]).is_empty(), is_faulty, "{weight}");
        }
    }
}
