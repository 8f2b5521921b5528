//! Changes as somebody writes them, and what is wrong with them.

use super::{Begins, Change, ChangedSegment, KINDS, Kind};
use crate::generate::person::COUNTRIES;
use crate::generate::record::RawTopic;
use crate::generate::till::STORES;
use crate::time::EventTime;

/// What is wrong with a change that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// There is no such kind.
    #[error("`{given}` is no kind of {of}: {allowed}")]
    Kind {
        /// What was written.
        given: String,
        /// Drift or honest change.
        of: &'static str,
        /// The kinds there are.
        allowed: String,
    },
    /// The kind has no such key.
    #[error("{kind} has no key `{key}`: {allowed}")]
    Key {
        /// The kind of change.
        kind: &'static str,
        /// What was written.
        key: String,
        /// The keys there are.
        allowed: String,
    },
    /// A key is there twice.
    #[error("{kind}: {key} is given twice")]
    Twice {
        /// The kind of change.
        kind: &'static str,
        /// The key.
        key: String,
    },
    /// A value is not as it must be.
    #[error("{kind}: {key} must be {allowed}, not `{given}`")]
    Value {
        /// The kind of change.
        kind: &'static str,
        /// The key.
        key: &'static str,
        /// What it may be.
        allowed: String,
        /// What was written.
        given: String,
    },
    /// Nothing says when it begins.
    #[error("{kind}: at is missing: {AT}")]
    NoBeginning {
        /// The kind of change.
        kind: &'static str,
    },
}

/// What `at` may be.
const AT: &str = "a time after the start, such as 15d or 36h, or a time, such as 2026-01-20T12:00:00Z";

impl Change {
    /// Drift as it is written: `KIND:key=value,...`.
    ///
    /// # Errors
    ///
    /// [`ChangeError`] names the key and what is allowed.
    pub fn drift(text: &str) -> Result<Change, ChangeError> {
        parse(text, true)
    }

    /// An honest change, which is no drift, written in the same way.
    ///
    /// # Errors
    ///
    /// As [`Change::drift`].
    pub fn honest(text: &str) -> Result<Change, ChangeError> {
        parse(text, false)
    }
}

fn parse(text: &str, is_drift: bool) -> Result<Change, ChangeError> {
    let (name, keys) = text.split_once(':').unwrap_or((text, ""));
    let kind = kind(name, is_drift)?;
    let mut written = Written { kind, pairs: Vec::new() };
    for pair in keys.split(',').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        written.push(key, value)?;
    }
    let begins = match written.value("at") {
        Some(at) => begins(at).ok_or_else(|| written.fault("at", AT, at))?,
        None => return Err(ChangeError::NoBeginning { kind: kind.name }),
    };
    let source = written.source()?;
    Ok(Change {
        kind: kind.kind,
        begins,
        lasts: written.value("for").map(|lasts| written.duration(lasts)).transpose()?.or(kind.usually_lasts),
        strength: written.strength()?,
        segment: written.value("segment").map(|segment| written.segment(segment)).transpose()?,
        source,
        field: written.field(source)?,
        to: written.value("to").map(|to| written.to(to)).transpose()?,
    })
}

fn kind(name: &str, is_drift: bool) -> Result<&'static Kind, ChangeError> {
    let mut kinds = KINDS.iter().filter(|kind| kind.is_drift == is_drift);
    kinds.clone().find(|kind| kind.name == name).ok_or_else(|| ChangeError::Kind {
        given: name.to_owned(),
        of: if is_drift { "drift" } else { "honest change" },
        allowed: listed(kinds.by_ref().map(|kind| kind.name)),
    })
}

fn begins(at: &str) -> Option<Begins> {
    if let Ok(time) = at.parse::<jiff::Timestamp>() {
        return Some(Begins::At(EventTime(time.as_millisecond())));
    }
    humantime::parse_duration(at).ok().map(Begins::After)
}

fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

/// What was written of a kind.
struct Written<'t> {
    kind: &'static Kind,
    pairs: Vec<(&'t str, &'t str)>,
}

impl<'t> Written<'t> {
    fn push(&mut self, key: &'t str, value: &'t str) -> Result<(), ChangeError> {
        let keys = self.kind.keys();
        if !keys.contains(&key) {
            let allowed = listed(keys);
            return Err(ChangeError::Key { kind: self.kind.name, key: key.to_owned(), allowed });
        }
        if self.value(key).is_some() {
            return Err(ChangeError::Twice { kind: self.kind.name, key: key.to_owned() });
        }
        self.pairs.push((key, value));
        Ok(())
    }

    fn value(&self, key: &str) -> Option<&'t str> {
        self.pairs.iter().find_map(|(known, value)| (*known == key).then_some(*value))
    }

    fn fault(&self, key: &'static str, allowed: impl Into<String>, given: &str) -> ChangeError {
        ChangeError::Value { kind: self.kind.name, key, allowed: allowed.into(), given: given.to_owned() }
    }

    fn duration(&self, lasts: &str) -> Result<std::time::Duration, ChangeError> {
        humantime::parse_duration(lasts)
            .ok()
            .filter(|lasts| !lasts.is_zero())
            .ok_or_else(|| self.fault("for", "a duration, such as 12h", lasts))
    }

    fn strength(&self) -> Result<f64, ChangeError> {
        let Kind { strengths: [weak, middle, strong], strength_least: least, strength_most: most, .. } =
            *self.kind;
        let given = match self.value("strength") {
            None | Some("middle") => return Ok(middle),
            Some("weak") => return Ok(weak),
            Some("strong") => return Ok(strong),
            Some(given) => given,
        };
        given.parse::<f64>().ok().filter(|strength| (least..=most).contains(strength)).ok_or_else(|| {
            let allowed = format!(
                "weak ({weak}), middle ({middle}), strong ({strong}) or a number from {least} to {most}"
            );
            self.fault("strength", allowed, given)
        })
    }

    fn segment(&self, segment: &str) -> Result<ChangedSegment, ChangeError> {
        let of = |dimension, value: &str| Some(ChangedSegment { dimension, value: value.to_owned() });
        let known = match segment.split_once('=') {
            Some(("channel", value @ ("online" | "store"))) => of("channel", value),
            Some(("country" | "card_country", value)) => {
                let is_known = COUNTRIES.iter().any(|((country, _), _)| *country == value);
                if is_known { of("card_country", value) } else { None }
            }
            Some(("store", value)) => {
                let is_known = (1..=STORES).any(|store| format!("store-{store:03}") == value);
                if is_known { of("store", value) } else { None }
            }
            _ => None,
        };
        known.ok_or_else(|| {
            let countries = listed(COUNTRIES.iter().map(|((country, _), _)| *country));
            let allowed = format!(
                "channel=online, channel=store, country=COUNTRY ({countries}) or store=STORE (store-001 to store-{STORES:03})"
            );
            self.fault("segment", allowed, segment)
        })
    }

    fn source(&self) -> Result<RawTopic, ChangeError> {
        let first = self.kind.sources.first().copied().expect("every kind has a topic");
        let Some(given) = self.value("source") else { return Ok(first) };
        self.kind.sources.iter().copied().find(|topic| topic.name() == given).ok_or_else(|| {
            self.fault("source", one_of(self.kind.sources.iter().map(|topic| topic.name())), given)
        })
    }

    fn field(&self, source: RawTopic) -> Result<Option<&'static str>, ChangeError> {
        let is_of = |field: &&str| source.has(field);
        let mut choices = self.kind.choices.iter().copied().filter(is_of);
        let Some(given) = self.value("field") else { return Ok(choices.next()) };
        let known = choices.clone().find(|field| *field == given);
        known.map(Some).ok_or_else(|| self.fault("field", one_of(choices), given))
    }

    fn to(&self, to: &str) -> Result<String, ChangeError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if (1..=32).contains(&to.len()) && to.bytes().all(is_plain) {
            return Ok(to.to_owned());
        }
        Err(self.fault("to", "1 to 32 letters, digits, - or _", to))
    }
}

fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    format!("one of {}", listed(words))
}

impl Kind {
    /// The keys that may be given.
    fn keys(&self) -> Vec<&'static str> {
        let keys = [
            ("at", true),
            ("for", true),
            ("strength", true),
            ("segment", self.has_segments),
            ("source", self.sources.len() > 1),
            ("field", !self.choices.is_empty()),
            ("to", self.has_to),
        ];
        keys.into_iter().filter_map(|(key, is_known)| is_known.then_some(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_change_is_read_with_all_its_keys() {
        let read = Change::drift("unit:at=36h,for=2d,strength=weak,segment=country=NL").unwrap();
        assert_eq!(read.begins, Begins::After(Duration::from_secs(36 * 3_600)));
        assert_eq!(read.lasts, Some(Duration::from_secs(2 * 86_400)));
        assert!((read.strength - 2.54).abs() < 1e-12);
        assert_eq!(read.segment, Some(ChangedSegment { dimension: "card_country", value: "NL".to_owned() }));
        let read = Change::drift("unit:at=2026-01-20T00:00:00Z,strength=3").unwrap();
        assert_eq!(read.begins, Begins::At(EventTime(1_768_867_200_000)));
        assert_eq!((read.lasts, read.segment), (None, None));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_key_and_what_is_allowed() {
        let refused = |text: &str| Change::drift(text).unwrap_err().to_string();
        for (text, expected) in [
            ("shoe:at=1d", "`shoe` is no kind of drift: unit, missing, "),
            ("unit", "unit: at is missing: a time after the start"),
            ("unit:at=soon", "unit: at must be a time after the start"),
            ("unit:at=1d,at=2d", "unit: at is given twice"),
            ("unit:at=1d,lasts=2d", "unit has no key `lasts`: at, for, strength, segment, source, field"),
            ("unit:at=1d,for=0s", "unit: for must be a duration, such as 12h, not `0s`"),
            (
                "unit:at=1d,strength=huge",
                "unit: strength must be weak (2.54), middle (10), strong (100) or a number from 0.001 to 1000, not `huge`",
            ),
            ("unit:at=1d,strength=NaN", "unit: strength must be weak"),
            (
                "unit:at=1d,segment=channel=shoe",
                "unit: segment must be channel=online, channel=store, country=",
            ),
            ("unit:at=1d,segment=store=store-121", "unit: segment must be"),
            (
                "missing:at=1d,field=currency",
                "missing: field must be one of card_country, channel, ip_country",
            ),
            (
                "missing:at=1d,source=predictions,field=ip",
                "missing: field must be one of amount, returns_90d,",
            ),
            ("categories:at=1d,to=a b", "categories: to must be 1 to 32 letters, digits, - or _, not `a b`"),
            ("silent:at=1d,source=payment", "silent: source must be one of clickstream, payments"),
            (
                "price_level:at=1d,segment=channel=store",
                "price_level has no key `segment`: at, for, strength",
            ),
            ("silent:at=1d,strength=2", "silent: strength must be weak (0.5), middle (0.8), strong (1) or"),
        ] {
            let said = refused(text);
            assert!(said.starts_with(expected), "{text}: {said}");
        }
        let said = Change::honest("unit:at=1d").unwrap_err().to_string();
        assert_eq!(said, "`unit` is no kind of honest change: sale_day, season, new_store");
    }
}
