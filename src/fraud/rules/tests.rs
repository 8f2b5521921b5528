use super::*;
use crate::condition::NOT_A_NUMBER;
use crate::event::PaymentContext;
use crate::time::EventTime;
use serde_json::json;

const THRESHOLDS: Thresholds = Thresholds { review: 0.3, step_up: 0.6, decline: 0.85 };

const CONTEXT: PaymentContext<'static> = PaymentContext {
    payment_id: "p1",
    amount_minor: 12_900,
    currency: "EUR",
    channel: Some("web"),
    card_country: Some("DE"),
    ip_country: None,
    billing_country: Some("Österreich"),
    shipping_country: Some(""),
};

fn features() -> Vec<(String, u32)> {
    vec![("card__count".to_string(), 20), ("ip__cards".to_string(), 10), ("ip__mean".to_string(), 30)]
}

/// Monday, 2026-01-05, 10:00 UTC.
const TIME: EventTime = EventTime(1_767_607_200_000);

/// Values of the first two features; the third, a mean, has none.
const VALUES: [(u32, f64); 2] = [(10, 5.0), (20, 0.5)];

fn rule(id: &str, when: &str, weight: f64) -> RuleSpec {
    let (id, when, code) = (id.to_string(), when.to_string(), id.to_uppercase());
    RuleSpec { id, state: RuleState::Live, when, code, weight, action: None }
}

fn compiled(rules: Vec<RuleSpec>) -> RuleSet {
    let spec = RulesSpec { version: 3, thresholds: THRESHOLDS, rules };
    RuleSet::compile(&spec, &features()).expect("good rules")
}

fn evaluate(rules: &RuleSet) -> Verdict<'_> {
    rules.evaluate(&Inputs { features: &VALUES, time: TIME, context: Some(&CONTEXT) }, None)
}

fn fires(when: &str) -> bool {
    let rules = compiled(vec![rule("a", when, 0.5)]);
    let verdict = evaluate(&rules);
    assert!(verdict.not_evaluated.is_empty(), "{when}: {:?}", verdict.not_evaluated);
    !verdict.reasons.is_empty()
}

#[test]
fn conditions_are_evaluated_over_features_and_fields() {
    let cases = [
        ("ip__cards >= 5.0 && amount_minor < 500.0", false),
        ("ip__cards >= 5 && amount_minor == 12900u", true),
        ("ip__cards > 5", false),
        ("ip__cards < 5.000001", true),
        ("card__count == 0.5", true),
        ("card__count * 2.0 == 1", true),
        ("-card__count < 0.0", true),
        ("ip__cards / 0.0 > 1e300", true),
        ("0.0 / 0.0 == 0.0 / 0.0", false),
        ("channel in ['app', 'web']", true),
        ("channel in []", false),
        ("ip__cards in [1, 5]", true),
        ("5 in [5.0] && 5 in [5u] && 5.5 in [5.5]", true),
        ("card_country == 'DE' ? channel == 'web' : channel == 'app'", true),
        ("(card_country == 'AT' ? amount_minor : card__count) < 1.0", true),
        ("channel.startsWith('w') && channel.endsWith('b') && channel.contains('e')", true),
        ("'web'.startsWith(channel) && !channel.contains('x')", true),
        ("billing_country == 'Österreich' && billing_country.contains('ö') == false", true),
        ("shipping_country == ''", true),
        ("channel < 'wec' && channel > 'wea'", true),
        ("9007199254740993 > 9007199254740992", true),
        ("true", true),
        ("false || !true", false),
    ];
    for (when, expected) in cases {
        assert_eq!(fires(when), expected, "{when}");
    }
}

#[test]
fn a_rule_that_lacks_a_value_is_not_evaluated_even_if_it_could_be_decided() {
    let because = |when: &str, inputs: &Inputs<'_>| {
        let rules = compiled(vec![rule("a", when, 0.5)]);
        let verdict = rules.evaluate(inputs, None);
        assert_eq!((verdict.score, verdict.decision), (0.0, Action::Approve), "{when}");
        let named: Vec<_> =
            verdict.not_evaluated.iter().map(|one| (one.rule.to_string(), one.because.join(" "))).collect();
        named
    };
    let whole = Inputs { features: &VALUES, time: TIME, context: Some(&CONTEXT) };
    let without_context = Inputs { features: &VALUES, time: TIME, context: None };
    let not_finite =
        Inputs { features: &[(10, f64::NAN), (20, f64::INFINITY)], time: TIME, context: Some(&CONTEXT) };
    let cases = [
        ("true || ip__mean > 1.0", whole, "ip__mean"),
        ("false && ip_country == 'DE'", whole, "ip_country"),
        ("ip_country != card_country && ip__mean > ip__cards", whole, "ip__mean ip_country"),
        ("amount_minor > 1.0 && currency == 'EUR'", without_context, "amount_minor currency"),
        ("ip__cards != 5.0 || card__count == 1.0", not_finite, "card__count ip__cards"),
    ];
    for (when, inputs, expected) in cases {
        assert_eq!(because(when, &inputs), [("a".to_string(), expected.to_string())], "{when}");
    }
}

#[test]
fn a_rule_whose_evaluation_fails_does_not_fire_and_says_why() {
    let rules = compiled(vec![
        rule("ratio", "(ip__cards - 5.0) / (card__count - 0.5) > 1.0", 0.5),
        rule("decided", "0.0 / (ip__cards - 5.0) > 1.0 || channel == 'web'", 0.5),
    ]);
    let verdict = evaluate(&rules);
    let failed = NotEvaluated { rule: "ratio".into(), because: vec![NOT_A_NUMBER.into()] };
    assert_eq!(verdict.not_evaluated, [failed]);
    assert_eq!(verdict.reasons.len(), 1);
}

#[test]
fn the_score_is_taken_over_live_rules_that_fired() {
    let mut silent = rule("silent", "ip__cards > 100.0", 0.99);
    silent.action = Some(Action::Decline);
    let rules = compiled(vec![rule("a", "ip__cards > 1.0", 0.5), silent, rule("b", "channel == 'web'", 0.2)]);
    let verdict = evaluate(&rules);
    assert!((verdict.score - 0.6).abs() < 1e-12);
    assert_eq!(verdict.decision, Thresholds { step_up: verdict.score, ..THRESHOLDS }.action(verdict.score));
    assert_eq!(evaluate(&compiled(vec![])).decision, Action::Approve);
}

#[test]
fn a_live_rule_raises_the_decision_and_never_lowers_it() {
    let cases = [
        (0.1, None, Action::Approve),
        (0.1, Some(Action::Approve), Action::Approve),
        (0.1, Some(Action::Review), Action::Review),
        (0.1, Some(Action::Decline), Action::Decline),
        (0.3, None, Action::Review),
        (0.3, Some(Action::StepUp), Action::StepUp),
        (0.9, Some(Action::Approve), Action::Decline),
        (0.9, Some(Action::StepUp), Action::Decline),
    ];
    for (weight, action, expected) in cases {
        let rules = compiled(vec![RuleSpec { action, ..rule("a", "true", weight) }]);
        // 1 − (1 − 0.3) is a little more than 0.3: the threshold is exact in score.rs.
        assert_eq!(evaluate(&rules).decision, expected, "{weight} {action:?}");
    }
}

#[test]
fn reasons_are_ordered_by_contribution_and_then_by_id() {
    let rules = compiled(vec![
        rule("b", "ip__cards > 1.0", 0.5),
        rule("small", "channel == 'web'", 0.1),
        rule("a", "amount_minor > 1 && card__count < ip__cards", 0.5),
        rule("large", "true", 0.9),
    ]);
    let verdict = evaluate(&rules);
    let order: Vec<_> = verdict.reasons.iter().map(|reason| reason.rule.as_ref()).collect();
    assert_eq!(order, ["large", "a", "b", "small"]);
    let sum: f64 = verdict.reasons.iter().map(|reason| reason.contribution).sum();
    assert!((sum - 1.0).abs() < 1e-12);
    let expected = json!({ "amount_minor": 12_900, "card__count": 0.5, "ip__cards": 5.0 });
    assert_eq!(json!(verdict.reasons[1].inputs), expected);
    assert_eq!(json!(verdict.reasons[0].inputs), json!({}));
    assert_eq!(json!(verdict.reasons[3].inputs), json!({ "channel": "web" }));
    assert_eq!(verdict.reasons[1].code, "A");
}

#[test]
fn shadow_rules_are_listed_without_effect_and_draft_and_retired_ones_not_at_all() {
    let in_state = |id: &str, state: RuleState, when: &str| RuleSpec {
        state,
        action: Some(Action::Decline),
        ..rule(id, when, 0.9)
    };
    let rules = compiled(vec![
        in_state("z", RuleState::Shadow, "true"),
        in_state("silent", RuleState::Shadow, "ip__cards > 100.0"),
        in_state("draft", RuleState::Draft, "ip__mean > 1.0"),
        in_state("retired", RuleState::Retired, "true"),
        in_state("lacking", RuleState::Shadow, "ip__mean > 1.0"),
        in_state("a", RuleState::Shadow, "channel == 'web'"),
    ]);
    let verdict = evaluate(&rules);
    assert_eq!((verdict.score, verdict.decision), (0.0, Action::Approve));
    assert!(verdict.reasons.is_empty());
    assert_eq!(verdict.shadow, ["z", "a"]);
    let lacking = NotEvaluated { rule: "lacking".into(), because: vec!["ip__mean".into()] };
    assert_eq!(verdict.not_evaluated, [lacking]);
    assert_eq!(rules.version(), 3);
    assert_eq!(format!("{rules:?}"), r#"RuleSet { version: 3, rules: ["z", "silent", "lacking", "a"], .. }"#);
}

#[test]
fn all_faults_of_a_file_are_reported_together_in_its_order() {
    let broken = RuleSpec { code: "lower".to_string(), ..rule("a", "x > 1 && chanel == 2", 1.0) };
    let draft = RuleSpec { state: RuleState::Draft, ..rule("b", "ip__cards", 0.5) };
    let spec = RulesSpec {
        version: 3,
        thresholds: Thresholds { review: 0.0, ..THRESHOLDS },
        rules: vec![broken, draft, rule("b", "ip__cards >", 0.5)],
    };
    let faults = RuleSet::compile(&spec, &features()).expect_err("faulty rules");
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "rules.thresholds.review: must be above 0 and at most 1",
            "rules.rules[0].code: must be an upper-case letter, then upper-case letters, digits and `_`",
            "rules.rules[0].weight: must be above 0 and below 1",
            "rules.rules[0].when: column 1: unknown name `x`",
            "rules.rules[0].when: column 10: unknown name `chanel`; nearest: `channel`",
            "rules.rules[1].when: column 1: a condition is wanted, and this is a number",
            "rules.rules[2].id: `b` is the id of rules[1] already",
            "rules.rules[2].when: column 12: mismatched input '<EOF>'",
        ]
    );
}

#[test]
fn a_rule_set_moves_between_threads_and_is_shared_by_them() {
    fn is_sent_and_shared<T: Send + Sync>() {}
    is_sent_and_shared::<RuleSet>();
}

#[test]
fn rules_read_hour_and_weekday_of_the_payment() {
    assert!(fires("hour_utc == 10.0 && weekday_utc == 1.0"));
    assert!(!fires("hour_utc <= 6.0 || weekday_utc >= 6.0"));
    let rules = compiled(vec![rule("a", "weekday_utc < 6.0", 0.5)]);
    let reasons = evaluate(&rules).reasons;
    assert_eq!(reasons[0].inputs["weekday_utc"], json!(1));
}
