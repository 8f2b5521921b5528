//! What one text of `features.yaml` means by itself, or why it means nothing.
//!
//! A message is a lower-case fragment; where the text stands is for the caller to say.

use super::frequent::TOP_MAX;
use super::spec::FeatureSpec;
use super::view::{Aggregate, Window};
use crate::event::{EntityKind, FieldId, Source};
use std::time::Duration;

/// The shortest window; one bucket of it is still nearly a second.
const WINDOW_SHORTEST: Duration = Duration::from_secs(60);
/// The longest window.
const WINDOW_LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// The longest delay: a year. It keeps the sums of times far from the end of their range.
const DELAY_LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// A name that fits the pattern `[a-z][a-z0-9_]*` and has no `__`.
pub(super) fn view_name(name: &str) -> Result<String, String> {
    let letter_first = name.starts_with(|first: char| first.is_ascii_lowercase());
    let rest_fits = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if letter_first && rest_fits && !name.contains("__") {
        return Ok(name.to_owned());
    }
    Err(format!("`{name}` must be small letters, digits and single underscores, a letter first"))
}

/// The kind of entity of that name.
pub(super) fn entity(name: &str) -> Result<EntityKind, String> {
    let known = || EntityKind::viewed().map(EntityKind::name).collect::<Vec<_>>().join(", ");
    let found = EntityKind::viewed().find(|kind| kind.name() == name);
    found.ok_or_else(|| format!("unknown entity `{name}`, known are {}", known()))
}

/// The source of that name.
pub(super) fn source(name: &str) -> Result<Source, String> {
    let known = || Source::NAMES.map(|(_, name)| name).join(", ");
    Source::from_name(name).ok_or_else(|| format!("unknown source `{name}`, known are {}", known()))
}

/// A window within its bounds, spelled so that it can be part of a name.
pub(super) fn window(text: &str) -> Result<Window, String> {
    let length = duration(text)?;
    if !(WINDOW_SHORTEST..=WINDOW_LONGEST).contains(&length) {
        return Err(format!("`{text}` must be between 1m and 30d"));
    }
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Err(format!("`{text}` must be small letters and digits, such as 90m"));
    }
    Ok(Window { spelled: text.to_owned(), length })
}

/// A delay within its bounds; none if there is no text.
pub(super) fn delay(text: Option<&str>) -> Result<Duration, String> {
    let Some(text) = text else {
        return Ok(Duration::ZERO);
    };
    let delay = duration(text)?;
    if delay > DELAY_LONGEST {
        return Err(format!("`{text}` must be at most 365d"));
    }
    Ok(delay)
}

/// A duration of whole milliseconds, the unit of event time.
fn duration(text: &str) -> Result<Duration, String> {
    let length =
        humantime::parse_duration(text).map_err(|error| format!("`{text}` is not a duration: {error}"))?;
    if length.subsec_nanos() % 1_000_000 != 0 {
        return Err(format!("`{text}` must be whole milliseconds"));
    }
    Ok(length)
}

/// The aggregate, whose field must be one of `source` (of any, while the source is unknown).
pub(super) fn aggregate(spec: &FeatureSpec, source: Option<Source>) -> Result<Aggregate, String> {
    match spec {
        FeatureSpec::Plain(name) => plain(name),
        FeatureSpec::OfField(pairs) => match pairs.as_slice() {
            [(name, field)] => of_field(name, field, source),
            _ => Err("must be one feature, such as `sum: amount`".to_owned()),
        },
    }
}

/// An aggregate that reads no field.
fn plain(name: &str) -> Result<Aggregate, String> {
    match name {
        "count" => Ok(Aggregate::Count),
        "time_since_first" => Ok(Aggregate::TimeSinceFirst),
        "time_since_last" => Ok(Aggregate::TimeSinceLast),
        _ if top(name).is_some() => Err(format!("`{name}` needs a text, such as `{name}: device`")),
        "distinct" => Err("`distinct` needs a text, such as `distinct: device`".to_owned()),
        "sum" | "mean" | "stddev" | "min" | "max" | "last" => {
            Err(format!("`{name}` needs a number, such as `{name}: amount`"))
        }
        _ => Err(unknown_feature(name)),
    }
}

/// An aggregate of a field.
fn of_field(name: &str, field: &str, source: Option<Source>) -> Result<Aggregate, String> {
    let of: &dyn Fn(FieldId) -> Aggregate = match name {
        "sum" => &Aggregate::Sum,
        "mean" => &Aggregate::Mean,
        "ratio" => &Aggregate::Ratio,
        "stddev" => &Aggregate::StandardDeviation,
        "min" => &Aggregate::Min,
        "max" => &Aggregate::Max,
        "last" => &Aggregate::Last,
        "distinct" => &Aggregate::Distinct,
        "count" | "time_since_first" | "time_since_last" => return Err(format!("`{name}` takes no field")),
        _ => match top(name) {
            Some(most) => &move |field| Aggregate::Top { most, field },
            None => return Err(unknown_feature(name)),
        },
    };
    let known = FieldId::ALL.into_iter().find(|(_, known)| *known == field);
    let (id, _) = known.ok_or_else(|| format!("unknown field `{field}`"))?;
    if let Some(source) = source.filter(|source| !source.has(id)) {
        return Err(format!("events of `{}` have no `{field}`", source.name()));
    }
    if name == "ratio" && source.is_some_and(|source| source != Source::PaymentAttempted) {
        return Err(
            "`ratio` compares a payment with those before it: its source is payment_attempted".to_owned()
        );
    }
    let wants_text = name == "distinct" || top(name).is_some();
    match (wants_text, id.is_number()) {
        (true, true) => Err(format!("`{field}` is a number, `{name}` wants a text")),
        (false, false) => Err(format!("`{field}` is a text, `{name}` wants a number")),
        _ => Ok(of(id)),
    }
}

/// How many of the most frequent values, of a name such as `top3`.
fn top(name: &str) -> Option<u8> {
    let most = name.strip_prefix("top")?;
    (1..=TOP_MAX).find(|known| known.to_string() == most)
}

/// The fault of a feature that is none.
fn unknown_feature(name: &str) -> String {
    let known = "count, sum, mean, stddev, ratio, min, max, distinct, top1 to top8, last, time_since_first, time_since_last";
    format!("unknown feature `{name}`, known are {known}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_from_a_minute_to_thirty_days() {
        let table = [
            ("59999ms", false),
            ("1m", true),
            ("60001ms", true),
            ("1h30m", true),
            ("2591999999ms", true),
            ("30d", true),
            ("2592000001ms", false),
            ("60s 1us", false),
            ("1h 30m", false),
            ("1M", false),
            ("ten", false),
            ("60", false),
            ("", false),
        ];
        for (text, valid) in table {
            assert_eq!(window(text).is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn a_delay_is_from_nothing_to_a_year() {
        let table = [
            (None, Ok(0)),
            (Some("0s"), Ok(0)),
            (Some("1ms"), Ok(1)),
            (Some("365d"), Ok(31_536_000_000)),
            (Some("365d 1ms"), Err(())),
            (Some("1us"), Err(())),
            (Some("-1s"), Err(())),
        ];
        for (text, expected) in table {
            let millis = delay(text).map(crate::time::millis).map_err(|_| ());
            assert_eq!(millis, expected, "{text:?}");
        }
    }

    #[test]
    fn a_view_name_is_small_letters_digits_and_single_underscores() {
        let table = [
            ("a", true),
            ("card_velocity_2", true),
            ("a_", true),
            ("", false),
            ("_a", false),
            ("2a", false),
            ("a__b", false),
            ("cardVelocity", false),
            ("karte_ü", false),
        ];
        for (name, valid) in table {
            assert_eq!(view_name(name).is_ok(), valid, "{name}");
        }
    }

    #[test]
    fn a_field_must_suit_its_aggregate_and_its_source() {
        let (payment, click) = (Some(Source::PaymentResult), Some(Source::Click));
        let table = [
            ("sum", "amount", payment, Ok(Aggregate::Sum(FieldId::AmountMinor))),
            ("mean", "items", click, Ok(Aggregate::Mean(FieldId::ItemCount))),
            ("stddev", "amount", payment, Ok(Aggregate::StandardDeviation(FieldId::AmountMinor))),
            ("last", "amount", payment, Ok(Aggregate::Last(FieldId::AmountMinor))),
            ("last", "device", payment, Err("`device` is a text, `last` wants a number")),
            ("min", "value", click, Ok(Aggregate::Min(FieldId::ValueMinor))),
            ("distinct", "device", click, Ok(Aggregate::Distinct(FieldId::Device))),
            ("top3", "device", payment, Ok(Aggregate::Top { most: 3, field: FieldId::Device })),
            ("top8", "page", click, Ok(Aggregate::Top { most: 8, field: FieldId::Page })),
            ("top1", "amount", payment, Err("`amount` is a number, `top1` wants a text")),
            ("max", "amount", None, Ok(Aggregate::Max(FieldId::AmountMinor))),
            ("sum", "amount", click, Err("events of `click` have no `amount`")),
            ("distinct", "page", payment, Err("events of `payment_result` have no `page`")),
            ("sum", "device", payment, Err("`device` is a text, `sum` wants a number")),
            ("distinct", "amount", payment, Err("`amount` is a number, `distinct` wants a text")),
            ("sum", "amounts", payment, Err("unknown field `amounts`")),
            ("count", "amount", payment, Err("`count` takes no field")),
        ];
        for (name, field, source, expected) in table {
            let spec = FeatureSpec::OfField(vec![(name.to_owned(), field.to_owned())]);
            let found = aggregate(&spec, source);
            assert_eq!(found, expected.map_err(str::to_owned), "{name}: {field}");
        }
    }

    #[test]
    fn a_feature_is_one_name_or_one_pair() {
        let pair = |name: &str| (name.to_owned(), "amount".to_owned());
        let two = FeatureSpec::OfField(vec![pair("sum"), pair("mean")]);
        assert_eq!(aggregate(&two, None), Err("must be one feature, such as `sum: amount`".to_owned()));
        assert!(aggregate(&FeatureSpec::OfField(vec![]), None).is_err());
        assert!(aggregate(&FeatureSpec::Plain("sum".to_owned()), None).is_err());
        let fault = |name: &str| aggregate(&FeatureSpec::Plain(name.to_owned()), None).unwrap_err();
        assert_eq!(fault("top2"), "`top2` needs a text, such as `top2: device`");
        for name in ["average", "top", "top0", "top9", "top03", "top10"] {
            assert!(fault(name).starts_with(&format!("unknown feature `{name}`")), "{name}");
        }
    }
}
