//! Where a group's fields and windows stand in what its keys keep.

use super::sweep::Column;
use super::view::{Aggregate, Feature};
use crate::event::FieldId;
use crate::time::{EventTime, millis};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The order of fields in a row, and of windows in the buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// Numbers before texts, each in the order of their numbers.
    fields: Vec<FieldId>,
    numbers: usize,
    /// The slots of the numbers whose standard deviation is asked.
    spreads: Vec<usize>,
    /// The slots of the numbers whose last value is asked.
    lasts: Vec<usize>,
    /// The slots of the texts whose different values are asked.
    distincts: Vec<usize>,
    /// The slots of the texts whose most frequent values are asked.
    tops: Vec<usize>,
    /// Shortest first.
    windows: Vec<BucketedWindow>,
}

/// A window that large keys count in buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BucketedWindow {
    /// Its place among them.
    pub(super) place: usize,
    /// Its length.
    pub(super) window_ms: i64,
    /// Its own retention r(w): its length, the longest delay with which it is asked in buckets, and
    /// the allowed lateness. Never more than that of the group, which covers every window and delay.
    pub(super) retention_ms: i64,
}

impl BucketedWindow {
    /// Up to where (inclusive) its series keeps nothing of a key with this `newest`.
    pub(super) fn horizon(self, newest: EventTime) -> EventTime {
        EventTime(newest.0.saturating_sub(self.retention_ms))
    }
}

impl Layout {
    /// The layout that `features` need: the fields they read, and the windows over which something
    /// other than distinct values (which are sampled, not bucketed) is asked.
    pub(super) fn new(features: &[Feature], allowed_lateness: Duration) -> Layout {
        let read: BTreeSet<FieldId> = features.iter().filter_map(|f| f.aggregate.field()).collect();
        let (numbers, texts): (Vec<FieldId>, Vec<FieldId>) =
            read.into_iter().partition(|field| field.is_number());
        let fields = [numbers.as_slice(), &texts].concat();
        let slots = |of: fn(Aggregate) -> bool| -> Vec<usize> {
            let asked = |field: &FieldId| {
                features.iter().any(|f| of(f.aggregate) && f.aggregate.field() == Some(*field))
            };
            fields.iter().enumerate().filter(|(_, field)| asked(field)).map(|(slot, _)| slot).collect()
        };
        Layout {
            numbers: numbers.len(),
            spreads: slots(|aggregate| matches!(aggregate, Aggregate::StandardDeviation(_))),
            lasts: slots(|aggregate| matches!(aggregate, Aggregate::Last(_))),
            distincts: slots(|aggregate| matches!(aggregate, Aggregate::Distinct(_))),
            tops: slots(|aggregate| matches!(aggregate, Aggregate::Top { .. })),
            fields,
            windows: bucketed_windows(features, allowed_lateness),
        }
    }

    /// The slots of the numbers whose standard deviation is asked.
    pub(super) fn spreads(&self) -> &[usize] {
        &self.spreads
    }

    /// The slots of the numbers whose last value is asked.
    pub(super) fn lasts(&self) -> &[usize] {
        &self.lasts
    }

    /// The slots of the texts whose different values are asked.
    pub(super) fn distincts(&self) -> &[usize] {
        &self.distincts
    }

    /// The slots of the texts whose most frequent values are asked.
    pub(super) fn tops(&self) -> &[usize] {
        &self.tops
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

    /// The windows in buckets, shortest first.
    pub(super) fn windows(&self) -> &[BucketedWindow] {
        &self.windows
    }

    /// The place of a field in a row.
    pub(super) fn slot(&self, field: FieldId) -> Option<usize> {
        self.fields.iter().position(|known| *known == field)
    }

    /// The place of a field among the numbers whose last value is asked.
    pub(super) fn last(&self, field: FieldId) -> Option<usize> {
        place_of(self.slot(field)?, &self.lasts)
    }

    /// The window of that length, if it is in buckets.
    pub(super) fn window(&self, window_ms: i64) -> Option<BucketedWindow> {
        self.windows.iter().find(|known| known.window_ms == window_ms).copied()
    }

    /// What a pass for `aggregate` looks at; nothing for one without a window.
    pub(super) fn column(&self, aggregate: Aggregate) -> Option<Column> {
        match aggregate {
            Aggregate::Count => Some(Column::Events),
            Aggregate::Last(_) | Aggregate::TimeSinceFirst | Aggregate::TimeSinceLast => None,
            Aggregate::StandardDeviation(field) => {
                let slot = self.slot(field)?;
                Some(Column::Spread { slot, spread: place_of(slot, &self.spreads)? })
            }
            Aggregate::Distinct(field) => {
                let slot = self.slot(field)?;
                Some(Column::Distinct { slot, distinct: place_of(slot, &self.distincts)? })
            }
            Aggregate::Top { field, .. } => {
                let slot = self.slot(field)?;
                Some(Column::Top { slot, top: place_of(slot, &self.tops)? })
            }
            Aggregate::Sum(field)
            | Aggregate::Mean(field)
            | Aggregate::Ratio(field)
            | Aggregate::Min(field)
            | Aggregate::Max(field) => self.slot(field).map(|slot| Column::Number { slot }),
        }
    }
}

/// The place of a slot among some of them.
fn place_of(slot: usize, slots: &[usize]) -> Option<usize> {
    slots.iter().position(|known| *known == slot)
}

/// The windows of everything but distinct values, shortest first, each with its own retention.
fn bucketed_windows(features: &[Feature], allowed_lateness: Duration) -> Vec<BucketedWindow> {
    let mut delays: BTreeMap<Duration, Duration> = BTreeMap::new();
    for feature in features.iter().filter(|f| !matches!(f.aggregate, Aggregate::Distinct(_))) {
        if let Some(window) = feature.window {
            let longest = delays.entry(window).or_default();
            *longest = feature.delay.max(*longest);
        }
    }
    let window = |(place, (window, delay)): (usize, (Duration, Duration))| BucketedWindow {
        place,
        window_ms: millis(window),
        retention_ms: millis(window.saturating_add(delay).saturating_add(allowed_lateness)),
    };
    delays.into_iter().enumerate().map(window).collect()
}
