use super::*;

/// Two features, and the fields of a payment.
struct Payment;

impl Payment {
    const NUMBERS: [&str; 5] = [
        "ip_velocity__card_distinct_10m",
        "card_velocity__count_1h",
        "amount_minor",
        "hour_utc",
        "weekday_utc",
    ];
    const TEXTS: [&str; 6] =
        ["currency", "channel", "card_country", "ip_country", "billing_country", "shipping_country"];
}

impl Names for Payment {
    /// Whether it is a text.
    type Variable = bool;

    fn find(&self, name: &str) -> Option<bool> {
        let is_text = Payment::TEXTS.contains(&name);
        (is_text || Payment::NUMBERS.contains(&name)).then_some(is_text)
    }

    fn is_text(is_text: bool) -> bool {
        is_text
    }

    fn known(&self) -> impl Iterator<Item = &str> {
        Payment::NUMBERS.into_iter().chain(Payment::TEXTS)
    }
}

/// The faults of a condition over them.
fn faults(when: &str) -> Vec<String> {
    let expression = Expression::parse(when).unwrap_or_else(|fault| panic!("{when}: {fault}"));
    check(&expression, &Payment)
}

#[test]
fn good_rules_have_no_faults() {
    let good = [
        "ip_velocity__card_distinct_10m >= 5.0 && amount_minor < 500.0",
        "ip_velocity__card_distinct_10m >= 5 && amount_minor < 500u",
        "5 < card_velocity__count_1h",
        "amount_minor > -1",
        "amount_minor == 0x10",
        "amount_minor / card_velocity__count_1h > 2.5 * -card_velocity__count_1h - 1.0 + 1e3",
        "card_country != ip_country",
        "card_country < ip_country",
        "!(channel == 'web') || true",
        "channel in ['web', \"app\", r'a\\b']",
        "amount_minor in [1, -2, 2.5, 3u]",
        "(amount_minor > 1.0) in [true]",
        "channel in []",
        "3 in [3.0]",
        "channel.startsWith('we') && channel.endsWith(currency) && 'web'.contains(channel)",
        "(channel == 'web' ? amount_minor : 0.0) > 100.0",
        "(channel == 'web' ? 1 : 2u) < amount_minor",
        "channel == 'web' ? amount_minor > 1.0 : amount_minor > 2.0",
        "(channel == 'web' ? card_country : ip_country) == 'DE'",
        "amount_minor > 1.0 // and a comment\n && true",
        "!!(amount_minor > 1.0)",
        "(amount_minor > 1.0) == (amount_minor > 2.0)",
        "true",
        "card_country == 'Österreich 😀'",
    ];
    for when in good {
        assert_eq!(faults(when), [""; 0], "{when}");
    }
}

#[test]
fn bad_rules_are_told_what_is_wrong_and_where() {
    let bad: [(&str, &[&str]); 46] = [
        // Names.
        (
            "card_velocity__cuont_1h > 1",
            &["column 1: unknown name `card_velocity__cuont_1h`; nearest: `card_velocity__count_1h`"],
        ),
        ("true && weather > 1", &["column 9: unknown name `weather`"]),
        (".channel == 'a'", &["column 2: unknown name `.channel`; nearest: `channel`"]),
        ("x > 1 && y > 1", &["column 1: unknown name `x`", "column 10: unknown name `y`"]),
        (
            "card_velocity.count_1h > 1",
            &[
                "column 14: nothing has members; a feature is named `view__feature`; nearest: `card_velocity__count_1h`",
            ],
        ),
        ("a.b.c.d > 1", &["column 6: nothing has members; a feature is named `view__feature`"]),
        // Numbers.
        ("amount_minor * 2 > 1", &["column 16: `*` takes no whole numbers: write `2.0`, not `2`"]),
        ("amount_minor - -2 > 1", &["column 17: `-` takes no whole numbers: write `-2.0`, not `-2`"]),
        ("amount_minor + 2u > 1", &["column 16: `+` takes no whole numbers: write `2.0`, not `2u`"]),
        (
            "1 + 2 > amount_minor",
            &[
                "column 1: `+` takes no whole numbers: write `1.0`, not `1`",
                "column 5: `+` takes no whole numbers: write `2.0`, not `2`",
            ],
        ),
        (
            "-(9223372036854775807) < amount_minor",
            &[
                "column 3: `-` takes no whole numbers: write `9223372036854775807.0`, not `9223372036854775807`",
            ],
        ),
        ("(true ? 1 : 2) * 2.0 > 1", &["column 7: `*` takes no whole numbers: write `2.0`, not `2`"]),
        ("(true ? 1 : 2.0) > 1", &["column 9: `?:` takes no whole numbers: write `1.0`, not `1`"]),
        ("(true ? 1.0 : 2) > 1", &["column 15: `?:` takes no whole numbers: write `2.0`, not `2`"]),
        (
            "channel + 'a' == 'weba'",
            &[
                "column 1: `+` wants a number, and this is a text",
                "column 11: `+` wants a number, and this is a text",
            ],
        ),
        ("-channel == 'a'", &["column 2: `-` wants a number, and this is a text"]),
        ("amount_minor % 2.0 == 0.0", &["column 14: there is no `%`"]),
        // Comparisons.
        ("channel == 5.0", &["column 9: `==` compares a text with a number"]),
        ("amount_minor < 'a'", &["column 14: `<` compares a number with a text"]),
        ("1 == 'a'", &["column 3: `==` compares a whole number with a text"]),
        ("amount_minor < amount_minor < 3", &["column 29: `<` compares a condition with a whole number"]),
        ("channel == null", &["column 12: there is no `null`: what lacks a value is not evaluated"]),
        ("channel == b'a'", &["column 12: bytes are not allowed; write a text"]),
        // Conditions.
        ("amount_minor", &["column 1: a condition is wanted, and this is a number"]),
        ("channel", &["column 1: a condition is wanted, and this is a text"]),
        ("amount_minor + 1.0", &["column 14: a condition is wanted, and this is a number"]),
        ("5", &["column 1: a condition is wanted, and this is a whole number"]),
        ("amount_minor && true", &["column 1: `&&` wants a condition, and this is a number"]),
        ("true || channel", &["column 9: `||` wants a condition, and this is a text"]),
        ("!amount_minor", &["column 2: `!` wants a condition, and this is a number"]),
        ("amount_minor ? true : false", &["column 1: `?:` wants a condition, and this is a number"]),
        ("true ? x : y", &["column 8: unknown name `x`", "column 12: unknown name `y`"]),
        ("true ? 'a' : 1.0", &["column 6: `?:` is either a text or a number"]),
        // Lists.
        (
            "channel in ['a', 1, b'b']",
            &[
                "column 18: `in` looks for a text, and this is a whole number",
                "column 21: bytes are not allowed; write a text",
            ],
        ),
        ("channel in [currency]", &["column 13: the list of `in` holds literals only"]),
        ("channel in currency", &["column 12: `in` wants a list of literals on its right"]),
        (
            "[1] == [1]",
            &[
                "column 1: a list stands only on the right of `in`",
                "column 8: a list stands only on the right of `in`",
            ],
        ),
        ("channel in {'a': 1}", &["column 12: `in` wants a list of literals on its right"]),
        ("{'a': 1} == channel", &["column 1: maps and messages are not allowed"]),
        // Calls.
        (
            "[1, 2].all(x, x > 1)",
            &["column 11: the macro `all` is not allowed: macros have no bound on their cost"],
        ),
        (
            "has(amount_minor)",
            &["column 4: the macro `has` is not allowed: macros have no bound on their cost"],
        ),
        (
            "channel.matches('w.b')",
            &["column 16: there is no function `matches`; there are `startsWith`, `endsWith`, `contains`"],
        ),
        (
            "size(channel) > 1",
            &["column 5: there is no function `size`; there are `startsWith`, `endsWith`, `contains`"],
        ),
        ("startsWith(channel, 'a')", &["column 11: `startsWith` is written `text.startsWith(text)`"]),
        (
            "amount_minor.contains(1.0)",
            &[
                "column 1: `contains` wants a text, and this is a number",
                "column 23: `contains` wants a text, and this is a number",
            ],
        ),
        ("channel[0] == 'a'", &["column 8: nothing has elements"]),
    ];
    for (when, expected) in bad {
        assert_eq!(faults(when), expected, "{when}");
    }
}

#[test]
fn a_chain_of_operators_is_bounded_and_a_conjunction_is_not() {
    // The comparison and the sums above the innermost literal.
    let chain = |operators: usize| format!("amount_minor > 1.0{}", " + 1.0".repeat(operators - 1));
    assert_eq!(faults(&chain(63)), [""; 0]);
    assert_eq!(faults(&chain(64)), [""; 0]);
    assert_eq!(faults(&chain(65)), ["more than 64 operators stand in one another"]);
    let conjunction = format!("true{}", " && true".repeat(500));
    assert_eq!(faults(&conjunction), [""; 0]);
}
