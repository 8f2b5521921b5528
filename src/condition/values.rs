//! The values that conditions read.

use cel::common::types::{CelDouble, CelString};
use cel::common::value::CowVal;
use cel::context::VariableResolver;

/// A value that is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Known<'a> {
    /// A double.
    Number(f64),
    /// A text.
    Text(&'a str),
}

/// The value of one slot, as `cel` takes it.
#[derive(Debug)]
enum Value<'a> {
    Missing,
    Number(CelDouble),
    Text(CelString<'a>),
}

/// The values of all slots for one event.
#[derive(Debug)]
pub struct Values<'a>(Vec<Value<'a>>);

impl<'a> Values<'a> {
    /// The values in the order of the slots; none where there is none.
    pub fn new(known: impl Iterator<Item = Option<Known<'a>>>) -> Values<'a> {
        let value = |known| match known {
            None => Value::Missing,
            Some(Known::Number(number)) => Value::Number(f64::into(number)),
            Some(Known::Text(text)) => Value::Text(text.into()),
        };
        Values(known.map(value).collect())
    }

    /// Whether `slot` has no value.
    #[must_use]
    pub fn is_missing(&self, slot: usize) -> bool {
        matches!(self.0.get(slot), None | Some(Value::Missing))
    }
}

/// Names are slot numbers here; a list's name is not one, and is found in the shared context.
impl VariableResolver for Values<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match self.0.get(variable.parse::<usize>().ok()?)? {
            Value::Missing => None,
            Value::Number(number) => Some(CowVal::Borrowed(number)),
            Value::Text(text) => Some(CowVal::Borrowed(text)),
        }
    }
}
