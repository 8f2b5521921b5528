//! What several receivers are told in the same words: times, amounts, what moved.

use crate::event::alert::{Alert, AlertSegment, Cause, Finding, Moved};
use crate::time::EventTime;
use jiff::Timestamp;
use std::fmt;
use std::time::Duration;

/// Currencies whose minor unit is not a hundredth, with the digits it has (ISO 4217).
const MINOR_DIGITS: [(&str, &[&str]); 3] = [
    (
        "",
        &[
            "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV",
            "XAF", "XOF", "XPF",
        ],
    ),
    ("000", &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]),
    ("0000", &["CLF", "UYW"]),
];

/// `2026-01-05T10:00:00Z`, with milliseconds if there are some.
pub(super) fn rfc3339(time: EventTime) -> String {
    Timestamp::from_millisecond(time.0).map_or_else(|_| time.0.to_string(), |time| time.to_string())
}

/// `2026-01-05 10:00 UTC`.
pub(super) fn minute(time: EventTime) -> String {
    let time = Timestamp::from_millisecond(time.0);
    time.map_or_else(
        |_| "at an unknown time".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

/// From one to the other, in whole minutes.
pub(super) fn lasted(from: EventTime, to: EventTime) -> String {
    let minutes = u64::try_from(to.since(from) / 60_000).unwrap_or(0);
    if minutes == 0 {
        return "less than a minute".to_owned();
    }
    humantime::format_duration(Duration::from_secs(minutes * 60)).to_string()
}

/// The first findings of an alert, each in a line, and how many more there are.
pub(super) fn moved(alert: &Alert, most: usize) -> Vec<String> {
    let mut lines: Vec<_> = alert.findings.iter().take(most).map(finding).collect();
    let told = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    let left = alert.findings_total.saturating_sub(told);
    if left > 0 {
        lines.push(format!("and {left} more"));
    }
    lines
}

fn finding(finding: &Finding) -> String {
    let feature = match &finding.category {
        // where numbers lie: "≥ 5"
        Some(part) if part.starts_with(['>', '≥', '<', '≤']) => format!("{} {part}", finding.feature),
        Some(name) if finding.what == Moved::NonFinite => format!("{} as {name}", finding.feature),
        Some(name) => format!("{} = {name}", finding.feature),
        None => finding.feature.clone(),
    };
    let what = match finding.what {
        Moved::Distribution | Moved::Pattern => feature.clone(),
        Moved::Missing => format!("{feature} missing"),
        Moved::NonFinite if finding.category.is_some() => feature.clone(),
        Moved::NonFinite => format!("{feature} not a number"),
        Moved::NewCategories => format!("{feature} with unknown names"),
        Moved::Unit => format!("{feature} in another unit"),
        Moved::Volume => format!("number of {feature}"),
        Moved::Rate => format!("rate of {feature}"),
        Moved::Level => format!("mean of {feature}"),
    };
    let value = match finding.what {
        _ if finding.category.is_some() => percent,
        Moved::Missing | Moved::NonFinite | Moved::NewCategories | Moved::Rate => percent,
        Moved::Distribution | Moved::Pattern | Moved::Unit | Moved::Volume | Moved::Level => number,
    };
    let (from, to) = (value(finding.from), value(finding.to));
    let of = finding.segment.as_ref().map(|of| format!(", {} = {}", of.dimension, of.value));
    format!("{what}{}: {from} → {to}", of.unwrap_or_default())
}

/// `channel = app (83 % of the change)`.
pub(super) fn segment(segment: &AlertSegment) -> String {
    let share = percent(segment.share_of_change);
    format!("{} = {} ({share} of the change)", segment.dimension, segment.value)
}

/// `producer: till 4.2 rolled out, 2026-01-05 08:50 UTC`.
pub(super) fn cause(cause: &Cause) -> String {
    format!("{}: {}, {}", cause.kind, cause.what, minute(cause.at_ms))
}

/// Decisions or records since it began, and what they were worth.
pub(super) fn worth(alert: &Alert) -> String {
    let records = format!("{} records", grouped(&alert.decisions.to_string()));
    let money = alert.money_minor.iter().map(|(currency, minor)| money(currency, *minor));
    std::iter::once(records).chain(money).collect::<Vec<_>>().join(", ")
}

/// `1,234.50 EUR`.
pub(super) fn money(currency: &str, minor: i64) -> String {
    let digits = MINOR_DIGITS.iter().find(|(_, currencies)| currencies.contains(&currency));
    let digits = digits.map_or(2, |(digits, _)| digits.len());
    let sign = if minor < 0 { "−" } else { "" };
    let all = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, part) = all.split_at(all.len() - digits);
    let point = if part.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{part} {currency}", grouped(whole))
}

/// Four significant digits, and all digits before the point.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "no number".to_owned();
    }
    if size >= 1_000.0 {
        let whole = format!("{size:.0}");
        return format!("{}{}", if value < 0.0 { "−" } else { "" }, grouped(&whole));
    }
    if size > 0.0 && size < 0.000_1 {
        return format!("{value:.2e}");
    }
    let decimals = match size {
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        size if size >= 1.0 => 3,
        size if size >= 0.1 => 4,
        _ => 6,
    };
    let text = format!("{value:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn percent(share: f64) -> String {
    let text = number((share * 10_000.0).round() / 100.0);
    format!("{text} %")
}

/// Digits in threes.
fn grouped(digits: &str) -> String {
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The text, if a browser can open it.
pub(super) fn web(text: &str) -> Option<&str> {
    (text.starts_with("https://") || text.starts_with("http://")).then_some(text)
}

/// At most so many characters; one that was cut says so.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// One line for Slack: `&`, `<` and `>` are its markup, and a line break would begin a line of its own.
pub(super) struct Escaped(String);

impl Escaped {
    /// `text` in at most so many characters, escapes included.
    pub(super) fn within(text: &str, chars_max: usize) -> Escaped {
        let (mut escaped, mut chars) = (String::new(), 0);
        for letter in text.chars() {
            let mut plain = [0; 4];
            let unit = match letter {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                letter if letter.is_control() => " ",
                letter => letter.encode_utf8(&mut plain),
            };
            chars += unit.chars().count();
            if chars >= chars_max {
                escaped.push('…');
                break;
            }
            escaped.push_str(unit);
        }
        Escaped(escaped)
    }
}

impl fmt::Display for Escaped {
    fn fmt(&self, into: &mut fmt::Formatter<'_>) -> fmt::Result {
        into.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::samples::revision;

    #[test]
    fn numbers_have_four_significant_digits() {
        let cases = [
            (0.0, "0"),
            (49.9, "49.9"),
            (0.012_345_6, "0.012346"),
            (0.123_456, "0.1235"),
            (1.0, "1"),
            (123.456, "123.5"),
            (999.96, "1000"),
            (1_234.5, "1,234"),
            (12_345_678.0, "12,345,678"),
            (-1_234.9, "−1,235"),
            (0.000_012_3, "1.23e-5"),
            (f64::NAN, "no number"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected, "{value}");
        }
    }

    #[test]
    fn money_has_the_digits_of_its_currency() {
        let cases = [
            ("EUR", 123_456, "1,234.56 EUR"),
            ("EUR", 5, "0.05 EUR"),
            ("EUR", -5, "−0.05 EUR"),
            ("JPY", 123_456, "123,456 JPY"),
            ("KWD", 1_500, "1.500 KWD"),
            ("CLF", 7, "0.0007 CLF"),
            ("EUR", i64::MIN, "−92,233,720,368,547,758.08 EUR"),
        ];
        for (currency, minor, expected) in cases {
            assert_eq!(money(currency, minor), expected);
        }
    }

    #[test]
    fn a_finding_says_what_of_a_feature_moved_in_its_own_unit() {
        let mut alert = revision(1).alert;
        let first = alert.findings[0].clone();
        let of = |what, from, to| Finding { what, from, to, ..first.clone() };
        let told = [
            of(Moved::Missing, 0.001, 0.4),
            of(Moved::Unit, 50.0, 5_000.0),
            of(Moved::Rate, 0.012_34, 0.5),
            of(Moved::Volume, 1_000.0, 10.0),
        ];
        alert.findings = told.to_vec();
        alert.findings_total = 7;
        let name = Some("visa".to_owned());
        let share = Finding { category: name, ..of(Moved::Distribution, 0.4, 0.12) };
        assert_eq!(super::finding(&share), "basket_value = visa: 40 % → 12 %");
        let expected = [
            "basket_value missing: 0.1 % → 40 %",
            "basket_value in another unit: 50 → 5,000",
            "rate of basket_value: 1.23 % → 50 %",
            "and 4 more",
        ];
        assert_eq!(moved(&alert, 3), expected);
    }

    #[test]
    fn times_that_no_calendar_has_are_no_panic() {
        assert_eq!(minute(EventTime(1_767_607_200_000)), "2026-01-05 10:00 UTC");
        assert_eq!(rfc3339(EventTime(1_767_607_200_123)), "2026-01-05T10:00:00.123Z");
        assert_eq!(minute(EventTime(i64::MAX)), "at an unknown time");
        assert_eq!(lasted(EventTime(0), EventTime(59_999)), "less than a minute");
        assert_eq!(lasted(EventTime(0), EventTime(-1)), "less than a minute");
        assert_eq!(lasted(EventTime(0), EventTime(7_500_000)), "2h 5m");
    }

    #[test]
    fn an_escape_is_not_cut_in_two() {
        for chars_max in 1..20 {
            let escaped = Escaped::within("a&b<c>d", chars_max).to_string();
            assert!(escaped.chars().count() <= chars_max, "{escaped}");
            let rest = escaped.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            assert!(!rest.contains(['&', '<', '>', ';']), "{escaped}");
        }
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
    }
}
