//! Where a group's fields and windows stand in what its keys keep.

use super::sweep::Column;
use super::view::{Aggregate, Feature};
use crate::event::FieldId;
use crate::time::millis;
use std::collections::BTreeSet;

/// The order of fields in a row, and of windows in the buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// Numbers before texts, each in the order of their numbers.
    fields: Vec<FieldId>,
    numbers: usize,
    /// Shortest first.
    windows_ms: Vec<i64>,
}

impl Layout {
    /// The layout that `features` need: the fields they read, and the windows over which something
    /// other than distinct values (which are sampled, not bucketed) is asked.
    pub(super) fn new(features: &[Feature]) -> Layout {
        let read: BTreeSet<FieldId> = features.iter().filter_map(|f| f.aggregate.field()).collect();
        let (numbers, texts): (Vec<FieldId>, Vec<FieldId>) =
            read.into_iter().partition(|field| field.is_number());
        let bucketed = features.iter().filter(|f| !matches!(f.aggregate, Aggregate::Distinct(_)));
        let windows_ms: BTreeSet<i64> = bucketed.filter_map(|f| f.window.map(millis)).collect();
        Layout {
            numbers: numbers.len(),
            fields: [numbers, texts].concat(),
            windows_ms: windows_ms.into_iter().collect(),
        }
    }

    /// The fields that are read.
    pub(super) fn fields(&self) -> &[FieldId] {
        &self.fields
    }

    /// How many words a row has.
    pub(super) fn width(&self) -> usize {
        self.fields.len()
    }

    /// How many of its fields are numbers.
    pub(super) fn numbers(&self) -> usize {
        self.numbers
    }

    /// How many of its fields are texts.
    pub(super) fn texts(&self) -> usize {
        self.width() - self.numbers
    }

    /// The lengths of the windows in buckets, in milliseconds.
    pub(super) fn windows_ms(&self) -> &[i64] {
        &self.windows_ms
    }

    /// The place of a field in a row.
    pub(super) fn slot(&self, field: FieldId) -> Option<usize> {
        self.fields.iter().position(|known| *known == field)
    }

    /// The place of a window among those in buckets.
    pub(super) fn series(&self, window_ms: i64) -> Option<usize> {
        self.windows_ms.iter().position(|known| *known == window_ms)
    }

    /// What a pass for `aggregate` looks at; nothing for `time_since_last`.
    pub(super) fn column(&self, aggregate: Aggregate) -> Option<Column> {
        match aggregate {
            Aggregate::Count => Some(Column::Events),
            Aggregate::TimeSinceLast => None,
            Aggregate::Distinct(field) => {
                self.slot(field).map(|slot| Column::Text { slot, text: slot - self.numbers })
            }
            Aggregate::Sum(field)
            | Aggregate::Mean(field)
            | Aggregate::Min(field)
            | Aggregate::Max(field) => self.slot(field).map(|slot| Column::Number { slot }),
        }
    }
}
