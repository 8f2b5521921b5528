//! Filters of views: which events of their source they count.
//!
//! A filter is a condition in CEL over the fields of one event. It is evaluated once, where the event is routed; the copy
//! says which filters it passed, in one number, see [`FieldId::Passed`], and which filters these were: a copy that was made under
//! other filters has passed none of ours.

use crate::condition::{Binder, Condition, Known, Names, Slots, Values, checked};
use crate::event::{FieldId, Source, Value};
use cel::Context;
use xxhash_rust::xxh3::xxh3_64;

/// Filters of the views of one kind on one source, at most: one bit each, of a number without a sign.
pub(super) const FILTERS_MAX: usize = 62;

/// The filters of the views of one kind of entity on one source.
pub struct Filters {
    texts: Vec<String>,
    hash: u64,
    conditions: Vec<Condition>,
    slots: Slots<FieldId>,
    base: Context<'static, 'static>,
}

/// The fields of the events of a source.
struct Fields(Source);

impl Names for Fields {
    type Variable = FieldId;

    fn find(&self, name: &str) -> Option<FieldId> {
        let found = FieldId::ALL.into_iter().find(|(_, known)| *known == name);
        found.map(|(field, _)| field).filter(|field| self.0.has(*field))
    }

    fn is_text(field: FieldId) -> bool {
        !field.is_number()
    }

    fn known(&self) -> impl Iterator<Item = &str> {
        FieldId::ALL.into_iter().filter(|(field, _)| self.0.has(*field)).map(|(_, name)| name)
    }
}

/// All that is wrong with a filter of events of `source`.
pub(super) fn faults(text: &str, source: Source) -> Vec<String> {
    checked(text, &Fields(source)).err().unwrap_or_default()
}

impl Filters {
    /// The filters with these texts, which have no faults; none of none.
    pub(super) fn compile(source: Source, texts: Vec<String>) -> Option<Filters> {
        let names = Fields(source);
        let mut binder = Binder::new(&names);
        let tree = |text: &String| checked(text, &names).expect("a filter with faults is refused before");
        let conditions: Vec<Condition> = texts.iter().map(|text| binder.bind(tree(text))).collect();
        let Binder { slots, base, .. } = binder;
        let hash = xxh3_64(texts.join("\n").as_bytes());
        (!texts.is_empty()).then_some(Filters { texts, hash, conditions, slots, base })
    }

    /// The filter at a place, as it was declared.
    #[must_use]
    pub fn text(&self, place: u8) -> Option<&str> {
        self.texts.get(usize::from(place)).map(String::as_str)
    }

    /// Which filters they are.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// Which of them an event passes whose fields have these values, as a copy carries it: bit n is the filter at place n. An event
    /// that lacks what a filter reads does not pass it.
    pub fn passed<'v>(&self, value: impl Fn(FieldId) -> Option<Known<'v>>) -> [(FieldId, Value); 2] {
        let values = Values::new(self.slots.variables().map(value));
        let base: &Context<'_, '_> = &self.base;
        let mut scope = base.new_inner_scope();
        scope.set_variable_resolver(&values);
        let passes = |condition: &Condition| condition.holds(&values, &scope).unwrap_or(false);
        let bits = self
            .conditions
            .iter()
            .enumerate()
            .map(|(place, condition)| i64::from(passes(condition)) << place);
        [(FieldId::Passed, Value::Number(bits.sum())), (FieldId::Filters, Value::Hash(self.hash))]
    }
}

/// A filter among those of its kind and source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Filter {
    /// Its place among them.
    pub(super) place: u8,
    /// Which filters these are.
    pub(super) of: u64,
}

impl Filter {
    /// Whether an event with these values passed it.
    pub(super) fn has_passed(self, values: &[(FieldId, Value)]) -> bool {
        let value = |wanted| values.iter().find(|(field, _)| *field == wanted).map(|(_, value)| *value);
        value(FieldId::Filters) == Some(Value::Hash(self.of))
            && matches!(value(FieldId::Passed), Some(Value::Number(bits)) if bits >> self.place & 1 == 1)
    }
}

impl PartialEq for Filters {
    fn eq(&self, other: &Filters) -> bool {
        self.texts == other.texts
    }
}

impl Eq for Filters {}

impl std::fmt::Debug for Filters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.texts).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_passes_the_filters_whose_conditions_hold_and_not_those_it_cannot_answer() {
        let texts = ["amount > 100", "channel == 'web' && amount <= 500", "card_country != 'DE'"];
        let filters = Filters::compile(Source::PaymentAttempted, texts.map(str::to_owned).to_vec()).unwrap();
        let passed = |amount: f64, channel: Option<&'static str>| {
            let value = |field| match field {
                FieldId::AmountMinor => Some(Known::Number(amount)),
                FieldId::Channel => channel.map(Known::Text),
                _ => None,
            };
            let values = [vec![(FieldId::Currency, Value::Hash(1))], filters.passed(value).to_vec()].concat();
            let others = Filter { place: 0, of: filters.hash() + 1 };
            assert!(!others.has_passed(&values), "of other filters it says nothing");
            [0, 1, 2].map(|place| Filter { place, of: filters.hash() }.has_passed(&values))
        };
        assert_eq!(passed(200.0, Some("web")), [true, true, false]);
        assert_eq!(passed(50.0, Some("web")), [false, true, false]);
        assert_eq!(passed(900.0, Some("store")), [true, false, false]);
        assert_eq!(passed(200.0, None), [true, false, false]);
        assert!(!Filter { place: 0, of: filters.hash() }.has_passed(&[]));
    }

    #[test]
    fn a_filter_reads_fields_of_its_source_only() {
        let of_clicks = |text| faults(text, Source::Click);
        assert!(of_clicks("name in ['add_to_cart', 'purchase'] && value > 5.0").is_empty());
        assert_eq!(of_clicks("nam == 'purchase'"), ["column 1: unknown name `nam`; nearest: `name`"]);
        assert_eq!(of_clicks("amount > 1"), ["column 1: unknown name `amount`"]);
        assert_eq!(of_clicks("page"), ["column 1: a condition is wanted, and this is a text"]);
    }
}
