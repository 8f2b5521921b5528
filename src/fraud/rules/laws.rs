//! Laws over random conditions: what the checker accepts, evaluates, and to what it should.
//!
//! Well-typed conditions are made together with the value they ought to have, by the semantics of
//! CEL written down a second time; `Err` stands for ordering by what is not a number.

use super::*;
use crate::condition::NOT_A_NUMBER;
use crate::event::PaymentContext;
use crate::time::EventTime;
use proptest::prelude::*;
use proptest::sample::select;

const CONTEXT: PaymentContext<'static> = PaymentContext {
    payment_id: "p1",
    amount_minor: 12_900,
    currency: "EUR",
    channel: Some("web"),
    card_country: Some("DE"),
    ip_country: Some("Österreich"),
    billing_country: Some("DE"),
    shipping_country: Some(""),
};
const NUMBERS: [(&str, f64); 6] = [
    ("a__x", 0.0),
    ("a__y", 5.0),
    ("b__x", -2.5),
    ("amount_minor", 12_900.0),
    ("hour_utc", 0.0),
    ("weekday_utc", 4.0),
];
const TEXTS: [(&str, &str); 4] =
    [("currency", "EUR"), ("card_country", "DE"), ("ip_country", "Österreich"), ("shipping_country", "")];
const LITERALS: [&str; 5] = ["", "DE", "D", "reich", "EUR"];
const ORDERINGS: [&str; 6] = ["<", "<=", ">", ">=", "==", "!="];

/// Part of a condition, and what it is worth.
#[derive(Debug, Clone)]
struct Made<T> {
    text: String,
    value: Result<T, ()>,
}

fn made<T>(text: String, value: Result<T, ()>) -> Made<T> {
    Made { text, value }
}

fn choice<T: Clone + std::fmt::Debug>(
    condition: BoxedStrategy<Made<bool>>,
    branch: BoxedStrategy<Made<T>>,
) -> impl Strategy<Value = Made<T>> {
    (condition, branch.clone(), branch).prop_map(|(condition, yes, no)| {
        let text = format!("({} ? {} : {})", condition.text, yes.text, no.text);
        made(text, condition.value.and_then(|holds| if holds { yes.value } else { no.value }))
    })
}

fn number(depth: u32) -> BoxedStrategy<Made<f64>> {
    let literal = select(vec![0.0, 1.0, -1.5, 2.25, 1e300, 5.0])
        .prop_map(|value| made(format!("{value:?}"), Ok(value)));
    let name = select(NUMBERS.to_vec()).prop_map(|(name, value)| made(name.to_string(), Ok(value)));
    let undefined = Just(made("(0.0 / a__x)".to_string(), Ok(f64::NAN)));
    if depth == 0 {
        return prop_oneof![8 => literal, 8 => name, 1 => undefined].boxed();
    }
    let part = number(depth - 1);
    let arithmetic =
        (part.clone(), select(vec!["+", "-", "*", "/"]), part.clone()).prop_map(|(left, symbol, right)| {
            let value = left.value.and_then(|left| {
                right.value.map(|right| match symbol {
                    "+" => left + right,
                    "-" => left - right,
                    "*" => left * right,
                    _ => left / right,
                })
            });
            made(format!("({} {symbol} {})", left.text, right.text), value)
        });
    let negated =
        part.clone().prop_map(|part| made(format!("-({})", part.text), part.value.map(|value| -value)));
    prop_oneof![literal, name, arithmetic, negated, choice(condition(depth - 1), part)].boxed()
}

fn text(depth: u32) -> BoxedStrategy<Made<&'static str>> {
    let literal = select(LITERALS.to_vec()).prop_map(|value| made(format!("'{value}'"), Ok(value)));
    let name = select(TEXTS.to_vec()).prop_map(|(name, value)| made(name.to_string(), Ok(value)));
    if depth == 0 {
        return prop_oneof![literal, name].boxed();
    }
    prop_oneof![literal, name, choice(condition(depth - 1), text(depth - 1))].boxed()
}

fn compared<T: PartialOrd>(left: T, symbol: &str, right: T) -> Result<bool, ()> {
    match symbol {
        "==" => Ok(left == right),
        "!=" => Ok(left != right),
        _ => {
            let order = left.partial_cmp(&right).ok_or(())?;
            Ok(match symbol {
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
    }
}

fn comparison<T: PartialOrd + Clone + std::fmt::Debug>(
    part: BoxedStrategy<Made<T>>,
) -> impl Strategy<Value = Made<bool>> {
    (part.clone(), select(ORDERINGS.to_vec()), part).prop_map(|(left, symbol, right)| {
        let value = left.value.and_then(|left| compared(left, symbol, right.value?));
        made(format!("({} {symbol} {})", left.text, right.text), value)
    })
}

fn with_whole_number(part: BoxedStrategy<Made<f64>>) -> impl Strategy<Value = Made<bool>> {
    (part, select(ORDERINGS.to_vec()), -6_i32..6).prop_map(|(left, symbol, right)| {
        let value = left.value.and_then(|left| compared(left, symbol, f64::from(right)));
        made(format!("({} {symbol} {right})", left.text), value)
    })
}

fn membership() -> impl Strategy<Value = Made<bool>> {
    let texts =
        (text(1), proptest::collection::vec(select(LITERALS.to_vec()), 0..4)).prop_map(|(item, list)| {
            let value = item.value.map(|item| list.contains(&item));
            let list: Vec<_> = list.iter().map(|literal| format!("'{literal}'")).collect();
            made(format!("({} in [{}])", item.text, list.join(", ")), value)
        });
    let numbers = (number(1), proptest::collection::vec(-6_i32..6, 0..4)).prop_map(|(item, list)| {
        let value = item
            .value
            .map(|item| list.iter().any(|literal| compared(f64::from(*literal), "==", item) == Ok(true)));
        made(format!("({} in {list:?})", item.text), value)
    });
    prop_oneof![texts, numbers]
}

fn text_function() -> impl Strategy<Value = Made<bool>> {
    (text(1), select(vec!["startsWith", "endsWith", "contains"]), text(1)).prop_map(
        |(target, function, argument)| {
            let value = target.value.and_then(|target| {
                argument.value.map(|argument| match function {
                    "startsWith" => target.starts_with(argument),
                    "endsWith" => target.ends_with(argument),
                    _ => target.contains(argument),
                })
            });
            made(format!("{}.{function}({})", target.text, argument.text), value)
        },
    )
}

/// In CEL, `&&` is false if either side is, and `||` true, even if the other side fails.
fn joined(left: Result<bool, ()>, symbol: &str, right: Result<bool, ()>) -> Result<bool, ()> {
    let decides = symbol == "||";
    if left == Ok(decides) || right == Ok(decides) {
        return Ok(decides);
    }
    left.and(right)
}

fn condition(depth: u32) -> BoxedStrategy<Made<bool>> {
    let literal = any::<bool>().prop_map(|value| made(value.to_string(), Ok(value)));
    if depth == 0 {
        return prop_oneof![literal, comparison(number(0)), comparison(text(0))].boxed();
    }
    let part = condition(depth - 1);
    let junction =
        (part.clone(), select(vec!["&&", "||"]), part.clone()).prop_map(|(left, symbol, right)| {
            let value = joined(left.value, symbol, right.value);
            made(format!("({} {symbol} {})", left.text, right.text), value)
        });
    let negated =
        part.clone().prop_map(|part| made(format!("!({})", part.text), part.value.map(|value| !value)));
    prop_oneof![
        1 => literal,
        3 => comparison(number(depth - 1)),
        1 => comparison(text(depth - 1)),
        1 => comparison(part.clone()),
        2 => with_whole_number(number(depth - 1)),
        1 => membership(),
        1 => text_function(),
        4 => junction,
        1 => negated,
        1 => choice(part.clone(), part),
    ]
    .boxed()
}

/// A well-typed condition in which some operands and operators are replaced by others, so that its
/// types may still agree, or not.
fn altered() -> impl Strategy<Value = String> {
    let operands = ["a__x", "a__y", "currency", "card_country", "true", "'DE'", "''", "5.0", "1.0", "-1.5"];
    let others =
        ["amount_minor", "channel", "false", "'D'", "2.5", "3", "-2", "2u", "null", "['DE']", "[1, 2.5]"];
    let operators = [" < ", " == ", " && ", " || ", " + ", " / "];
    let other_operators = [" >= ", " != ", " * ", " - ", " % ", " in ", " && "];
    let of_operands = (select(operands.to_vec()), select(others.to_vec()));
    let of_operators = (select(operators.to_vec()), select(other_operators.to_vec()));
    let replaced = proptest::collection::vec(prop_oneof![of_operands, of_operators], 1..4);
    (condition(3), replaced).prop_map(|(condition, replaced)| {
        replaced.into_iter().fold(condition.text, |text, (from, to)| text.replacen(from, to, 1))
    })
}

fn compiled(when: &str) -> Result<RuleSet, Vec<Fault>> {
    let rule = RuleSpec {
        id: "a".to_string(),
        state: RuleState::Live,
        when: when.to_string(),
        code: "A".to_string(),
        weight: 0.5,
        action: None,
    };
    let thresholds = Thresholds { review: 0.3, step_up: 0.6, decline: 0.85 };
    let spec = RulesSpec { version: 1, thresholds, rules: vec![rule] };
    RuleSet::compile(&spec, &[("b__x".to_string(), 3), ("a__y".to_string(), 2), ("a__x".to_string(), 1)])
}

/// Whether the rule fires, or why it cannot be told.
fn outcome(rules: &RuleSet) -> Result<bool, String> {
    let features = [(1, 0.0), (2, 5.0), (3, -2.5)];
    let verdict =
        rules.evaluate(&Inputs { features: &features, time: EventTime(0), context: Some(&CONTEXT) }, None);
    match verdict.not_evaluated.first() {
        Some(because) => Err(because.because.join(" ")),
        None => Ok(!verdict.reasons.is_empty()),
    }
}

proptest! {
    #[test]
    fn a_well_typed_condition_is_accepted_and_has_its_value(condition in condition(4)) {
        let rules = compiled(&condition.text);
        prop_assert!(rules.is_ok(), "{}: {:?}", condition.text, rules.err());
        let expected = condition.value.map_err(|()| NOT_A_NUMBER.to_string());
        prop_assert_eq!(rules.map(|rules| outcome(&rules)), Ok(expected), "{}", condition.text);
    }

    #[test]
    fn an_accepted_condition_never_fails_for_its_types(condition in altered()) {
        if let Ok(rules) = compiled(&condition) {
            let outcome = outcome(&rules);
            prop_assert!(outcome.as_ref().map_or_else(|why| why == NOT_A_NUMBER, |_| true), "{}: {:?}", condition, outcome);
        }
    }

    #[test]
    fn nonsense_does_not_panic(condition in "[ -~é😀\\x00\\n\\\\]{0,80}", tail in "\\PC{0,40}") {
        let compiled = compiled(&(condition + &tail));
        prop_assert!(compiled.map_or(true, |rules| outcome(&rules).is_ok()));
    }
}

#[test]
fn hostile_conditions_do_not_panic_or_overflow_the_stack() {
    let full = |piece: &str| piece.repeat(4095 / piece.len());
    let wrapped = |open: &str, close: &str| {
        let depth = 4095 / (open.len() + close.len());
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    };
    let repeated = [
        "(", "[", "{", ")", "-(", "f(", "a{", "a?", "a?a:", ".", "+", "<", "\"", "'", "a ", "\0", "é", "😀",
        "a", "9", "?", "/*", "\\", "\n", "`",
    ];
    let chained =
        ["+1", "*1", "+1*1", "<1", "&&a", "||a", "||a&&a", " in a", ".a", ".a()", "[1]", "?a:a", "-1.0"];
    let mut hostile: Vec<String> = repeated.into_iter().map(full).collect();
    hostile.extend(chained.into_iter().map(|piece| format!("a{}", full(piece)).chars().take(4096).collect()));
    hostile.extend([
        wrapped("(", ")"),
        wrapped("[", "]"),
        wrapped("!(", ")"),
        wrapped("a[", "]"),
        wrapped("f(", ")"),
    ]);
    let around = |tail: &str| format!("{}1{}{}", "(".repeat(32), ")".repeat(32), tail.repeat(2000));
    hostile.extend([around("<1"), around("+1"), format!("channel in [{}'a']", "'a',".repeat(1000))]);
    // The stack that a thread has by default.
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        for condition in &hostile {
            let faults = compiled(condition).map_or_else(|faults| faults.len(), |_| 0);
            assert!(faults < 4096, "{}", condition.chars().take(20).collect::<String>());
        }
    });
    assert!(thread.expect("a thread").join().is_ok());
}
