//! One event in the layout of its group: a word per field, numbers first.

use super::layout::Layout;
use crate::event::{FieldId, Value};
use crate::time::EventTime;

/// No event has more fields than there are.
const FIELDS_MAX: usize = FieldId::ALL.len();

/// An event as its group sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event<'a> {
    /// When it happened.
    pub(super) time: EventTime,
    /// Bit `slot` is set if the event has the field of that slot.
    pub(super) present: u32,
    /// A word for each field of the group; what it says of an absent field means nothing.
    pub(super) words: &'a [u64],
}

impl Event<'_> {
    /// The word of the field in `slot`, if the event has it.
    pub(super) fn word(&self, slot: usize) -> Option<u64> {
        if self.present & (1 << slot) == 0 { None } else { self.words.get(slot).copied() }
    }
}

/// The room for an event that is not kept yet.
#[derive(Debug, Clone)]
pub(super) struct Row {
    time: EventTime,
    present: u32,
    words: [u64; FIELDS_MAX],
    width: usize,
}

impl Row {
    /// The event, with those of `values` that the group reads; the others are left out.
    pub(super) fn new(layout: &Layout, time: EventTime, values: &[(FieldId, Value)]) -> Row {
        let mut row = Row { time, present: 0, words: [0; FIELDS_MAX], width: layout.width() };
        for (field, value) in values {
            let (Some(slot), Some(word)) = (layout.slot(*field), word(*field, *value)) else {
                continue;
            };
            if let Some(place) = row.words.get_mut(slot) {
                *place = word;
                row.present |= 1 << slot;
            }
        }
        row
    }

    /// The event in it.
    pub(super) fn event(&self) -> Event<'_> {
        let words = self.words.get(..self.width);
        let words = words.expect("a group has at most as many fields as there are");
        Event { time: self.time, present: self.present, words }
    }
}

/// A number as the bits of a double, a hash as it is; nothing if the value does not suit its field.
fn word(field: FieldId, value: Value) -> Option<u64> {
    match (field.is_number(), value) {
        (true, Value::Number(number)) => Some((number as f64).to_bits()),
        (false, Value::Hash(hash)) => Some(hash),
        _ => {
            debug_assert!(false, "{} was routed as {value:?}", field.name());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::FeaturesSpec;
    use std::time::Duration;

    #[test]
    fn a_row_holds_the_fields_of_its_group_and_knows_which_are_absent() {
        let text = "views: [{name: v, entity: card, source: payment_attempted, windows: [1h],
            features: [{distinct: device}, {sum: amount}, {distinct: ip}]}]";
        let spec: FeaturesSpec = serde_saphyr::from_str(text).unwrap();
        let layout = Layout::new(&spec.resolve().unwrap()[0].features(), Duration::ZERO);
        let values = [
            (FieldId::Ip, Value::Hash(0)),
            (FieldId::Card, Value::Hash(9)),
            (FieldId::AmountMinor, Value::Number(-3)),
        ];
        let row = Row::new(&layout, EventTime(7), &values);
        let event = row.event();
        assert_eq!((event.time, event.words.len()), (EventTime(7), 3));
        let of = |field| event.word(layout.slot(field).unwrap());
        assert_eq!(of(FieldId::AmountMinor), Some((-3.0_f64).to_bits()));
        assert_eq!(of(FieldId::Device), None);
        assert_eq!(of(FieldId::Ip), Some(0));
    }
}
