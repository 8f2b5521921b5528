//! `features.yaml` as it is written.
//!
//! Names, windows and delays are still texts here: serde refuses only a wrong shape (an unknown
//! key, a list in place of a text). Whether the texts mean something is for
//! [`FeaturesSpec::resolve`], which reports every fault together.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::fmt;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeaturesSpec {
    /// The views, in the order of the file. No views at all is valid.
    pub views: Vec<ViewSpec>,
    /// Values made of several features, in the order of the file; each may read those before it.
    #[serde(default)]
    pub derived: Vec<DerivedSpec>,
}

/// One value made of others: exactly one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DerivedSpec {
    /// As a view's; its flat name is `derived__<name>`.
    pub name: String,
    /// Of two names, the first by the second.
    #[serde(default)]
    pub ratio: Option<Vec<String>>,
    /// Of two names, the first less the second.
    #[serde(default)]
    pub difference: Option<Vec<String>>,
    /// The natural logarithm of one.
    #[serde(default)]
    pub log: Option<String>,
}

/// One view: what is counted of one source for one kind of entity.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewSpec {
    /// `[a-z][a-z0-9_]*`, without `__`; the first half of every flat name.
    pub name: String,
    /// The kind of entity, such as `card`.
    pub entity: String,
    /// `payment_attempted`, `payment_result`, `click` or `label`.
    pub source: String,
    /// Lengths with their unit, such as `10m`; at least one, each from 1 minute to 30 days.
    #[serde(default)]
    pub windows: Vec<String>,
    /// What is younger than this does not count yet; nothing if absent.
    #[serde(default)]
    pub delay: Option<String>,
    /// Which events it counts: a condition in CEL over the fields of its source; all if absent.
    #[serde(default, rename = "where")]
    pub filter: Option<String>,
    /// Whether a payment counts in its own values.
    #[serde(default = "included")]
    pub include_current: bool,
    /// What is computed for each window; at least one.
    #[serde(default)]
    pub features: Vec<FeatureSpec>,
}

/// `include_current` where the file does not say.
fn included() -> bool {
    true
}

/// One item of a view's `features`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeatureSpec {
    /// A text: `count`, `time_since_last`.
    Plain(String),
    /// A map from aggregate to field: `sum: amount`. Only a map of one key is valid.
    OfField(Vec<(String, String)>),
}

impl<'de> Deserialize<'de> for FeatureSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FeatureSpec, D::Error> {
        deserializer.deserialize_any(FeatureVisitor)
    }
}

/// Takes a text or a map.
struct FeatureVisitor;

impl<'de> Visitor<'de> for FeatureVisitor {
    type Value = FeatureSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a feature such as `count` or `sum: amount`")
    }

    fn visit_str<E>(self, name: &str) -> Result<FeatureSpec, E> {
        Ok(FeatureSpec::Plain(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FeatureSpec, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(FeatureSpec::OfField(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FeaturesSpec, serde_saphyr::Error> {
        serde_saphyr::from_str(text)
    }

    #[test]
    fn the_example_of_the_documentation_is_read() {
        let spec = parse(
            "views:
  - name: card_velocity
    entity: card
    source: payment_attempted
    windows: [10m, 1h, 24h]
    delay: 0s
    include_current: false
    features:
      - count
      - sum: amount
      - distinct: device
      - time_since_last
",
        )
        .unwrap();
        let view = &spec.views[0];
        assert_eq!(view.windows, ["10m", "1h", "24h"]);
        assert_eq!(view.delay.as_deref(), Some("0s"));
        assert!(!view.include_current);
        let of = |aggregate: &str, field: &str| {
            FeatureSpec::OfField(vec![(aggregate.to_owned(), field.to_owned())])
        };
        let plain = |name: &str| FeatureSpec::Plain(name.to_owned());
        let expected =
            [plain("count"), of("sum", "amount"), of("distinct", "device"), plain("time_since_last")];
        assert_eq!(view.features, expected);
    }

    #[test]
    fn what_a_view_leaves_out_has_its_default() {
        let spec = parse("views: [{name: a, entity: card, source: click}]").unwrap();
        let view = &spec.views[0];
        assert!(view.windows.is_empty() && view.features.is_empty());
        assert_eq!(view.delay, None);
        assert!(view.include_current);
        assert_eq!(parse("views: []").unwrap(), FeaturesSpec::default());
    }

    #[test]
    fn a_wrong_shape_is_refused() {
        for text in [
            "views: [{name: a, entity: card, source: click, window: [1h]}]",
            "views: [{name: a, entity: card}]",
            "views: [{name: a, entity: card, source: click, windows: 1h}]",
            "views: [{name: a, entity: card, source: click, features: [[count]]}]",
            "view: []",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn features_may_stand_on_one_line() {
        let spec =
            parse("views: [{name: a, entity: card, source: click, features: [count, sum: value]}]").unwrap();
        let sum = FeatureSpec::OfField(vec![("sum".to_owned(), "value".to_owned())]);
        assert_eq!(spec.views[0].features, [FeatureSpec::Plain("count".to_owned()), sum]);
    }
}
