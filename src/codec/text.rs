//! A text that borrows from the payload where it has no escapes.

use super::reject::{Reject, RejectReason};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;

/// A JSON text. (Serde borrows `Cow<str>` only where it stands directly in a field; this also borrows
/// inside `Option` and `Vec`.)
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// The optional text as a `&str`.
#[must_use]
pub fn as_str<'s>(text: &'s Option<Text<'_>>) -> Option<&'s str> {
    text.as_ref().map(Text::as_str)
}

/// A value whose type matters to one contract and not to another that shares the structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyJson<'a> {
    /// A text.
    Text(Text<'a>),
    /// Anything else.
    Other,
}

impl AnyJson<'_> {
    /// The text that stands there, if anything does.
    ///
    /// # Errors
    ///
    /// [`Reject`] if something else stands there.
    pub fn text<'s>(field: &str, value: &'s Option<AnyJson<'_>>) -> Result<Option<&'s str>, Reject> {
        match value {
            None => Ok(None),
            Some(AnyJson::Text(text)) => Ok(Some(text.as_str())),
            Some(AnyJson::Other) => Err(Reject::at(RejectReason::WrongType, field, "must be a text")),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for AnyJson<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyVisitor;
        impl<'de> Visitor<'de> for AnyVisitor {
            type Value = AnyJson<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any value")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<AnyJson<'de>, E> {
                Ok(AnyJson::Text(Text(Cow::Borrowed(text))))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<AnyJson<'de>, E> {
                Ok(AnyJson::Text(Text(Cow::Owned(text.to_owned()))))
            }

            fn visit_bool<E>(self, _: bool) -> Result<AnyJson<'de>, E> {
                Ok(AnyJson::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<AnyJson<'de>, E> {
                Ok(AnyJson::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<AnyJson<'de>, E> {
                Ok(AnyJson::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<AnyJson<'de>, E> {
                Ok(AnyJson::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<AnyJson<'de>, A::Error> {
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(AnyJson::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<AnyJson<'de>, A::Error> {
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(AnyJson::Other)
            }
        }
        deserializer.deserialize_any(AnyVisitor)
    }
}
