//! Whole numbers as JSON Schema understands them: `2`, `2.0` and `-0` are whole, `2.5` is not.

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// Beyond this a float no longer tells neighbouring whole numbers apart: 2⁵³.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

struct Whole(i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor;
        impl Visitor<'_> for WholeVisitor {
            type Value = Whole;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
                Ok(Whole(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
                i64::try_from(number)
                    .map(Whole)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
            fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
                if number.fract().abs() > 0.0 || !number.is_finite() {
                    return Err(E::invalid_type(Unexpected::Float(number), &self));
                }
                if number.abs() > EXACT_MAX {
                    return Err(E::custom(format!("number out of range: {number}")));
                }
                Ok(Whole(number as i64))
            }
        }
        deserializer.deserialize_i64(WholeVisitor)
    }
}

/// For `#[serde(deserialize_with)]`: a whole number.
///
/// # Errors
///
/// If it is something else, or does not fit 64 bits.
pub fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Whole::deserialize(deserializer).map(|Whole(number)| number)
}

/// As [`required`], where there is one; goes with `#[serde(default)]`.
///
/// # Errors
///
/// As [`required`].
pub fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Option::<Whole>::deserialize(deserializer).map(|number| number.map(|Whole(number)| number))
}
