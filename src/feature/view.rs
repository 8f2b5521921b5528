//! What a view means once its texts are understood: entity, source, windows and aggregates, and the
//! names and numbers of the features that come of them.

use crate::event::part::feature_id;
use crate::event::{EntityKind, FieldId, Source};
use std::time::Duration;

/// What is computed over the events of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aggregate {
    /// How many events.
    Count,
    /// The sum of a number; 0 of nothing.
    Sum(FieldId),
    /// The mean of a number; without a value of nothing.
    Mean(FieldId),
    /// The standard deviation of a number; without a value of nothing.
    StandardDeviation(FieldId),
    /// A payment's own number by the mean of those before it; without a value of nothing.
    Ratio(FieldId),
    /// The lowest of a number; without a value of nothing.
    Min(FieldId),
    /// The highest of a number; without a value of nothing.
    Max(FieldId),
    /// How many different values a text has.
    Distinct(FieldId),
    /// The share of the events with a text that have one of its most frequent values; without a value of nothing.
    Top {
        /// How many values: 1 to 8.
        most: u8,
        /// The text.
        field: FieldId,
    },
    /// The number in the newest event before this one that has it; has no window.
    Last(FieldId),
    /// Seconds since the oldest event before this one; has no window.
    TimeSinceFirst,
    /// Seconds since the newest event before this one; has no window.
    TimeSinceLast,
}

impl Aggregate {
    /// The field it reads, if it reads one.
    #[must_use]
    pub fn field(self) -> Option<FieldId> {
        match self {
            Aggregate::Count | Aggregate::TimeSinceFirst | Aggregate::TimeSinceLast => None,
            Aggregate::Sum(field)
            | Aggregate::Mean(field)
            | Aggregate::StandardDeviation(field)
            | Aggregate::Ratio(field)
            | Aggregate::Last(field)
            | Aggregate::Min(field)
            | Aggregate::Max(field)
            | Aggregate::Top { field, .. }
            | Aggregate::Distinct(field) => Some(field),
        }
    }

    /// Whether it is computed over windows; otherwise over all that is known of the key.
    #[must_use]
    pub fn has_window(self) -> bool {
        !matches!(self, Aggregate::Last(_) | Aggregate::TimeSinceFirst | Aggregate::TimeSinceLast)
    }

    /// The second half of the flat name over `window`, such as `amount_sum_1h`.
    fn local_name(self, window: &Window) -> String {
        let spelled = &window.spelled;
        match self {
            Aggregate::Count => format!("count_{spelled}"),
            Aggregate::Sum(field) => format!("{}_sum_{spelled}", field.name()),
            Aggregate::Mean(field) => format!("{}_mean_{spelled}", field.name()),
            Aggregate::StandardDeviation(field) => format!("{}_stddev_{spelled}", field.name()),
            Aggregate::Ratio(field) => format!("{}_ratio_{spelled}", field.name()),
            Aggregate::Min(field) => format!("{}_min_{spelled}", field.name()),
            Aggregate::Max(field) => format!("{}_max_{spelled}", field.name()),
            Aggregate::Distinct(field) => format!("{}_distinct_{spelled}", field.name()),
            Aggregate::Top { most, field } => format!("{}_top{most}_{spelled}", field.name()),
            Aggregate::Last(field) => format!("{}_last", field.name()),
            Aggregate::TimeSinceFirst => "seconds_since_first".to_owned(),
            Aggregate::TimeSinceLast => "seconds_since_last".to_owned(),
        }
    }
}

/// A window and how the file spells it, for the spelling is part of the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// As in the file, such as `1h`: small letters and digits only.
    pub spelled: String,
    /// Its length: whole milliseconds, from 1 minute to 30 days.
    pub length: Duration,
}

/// A view without faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// The kind of entity it counts for.
    pub entity: EntityKind,
    /// The events it counts.
    pub source: Source,
    /// Its windows, in the order of the file; at least one, no two of the same length.
    pub windows: Vec<Window>,
    /// Which events it counts; all without one.
    pub filter: Option<String>,
    /// What is younger than this does not count yet; whole milliseconds.
    pub delay: Duration,
    /// Whether a payment counts in its own values.
    pub include_current: bool,
    /// What it computes, in the order of the file; at least one, no two the same.
    pub aggregates: Vec<Aggregate>,
}

impl View {
    /// Its features: for each aggregate one per window, for one without a window one.
    #[must_use]
    pub fn features(&self) -> Vec<Feature> {
        self.aggregates.iter().flat_map(|aggregate| self.features_of(*aggregate)).collect()
    }

    /// How far back it looks at most: its longest window plus its delay.
    pub(super) fn reach(&self) -> Option<Duration> {
        self.windows.iter().map(|window| window.length.saturating_add(self.delay)).max()
    }

    /// The features of one of its aggregates.
    pub(super) fn features_of(&self, aggregate: Aggregate) -> Vec<Feature> {
        let windows = if aggregate.has_window() {
            self.windows.as_slice()
        } else {
            // one feature however many windows the view has
            self.windows.get(..1).unwrap_or_default()
        };
        windows.iter().map(|window| self.feature(aggregate, window)).collect()
    }

    /// The feature of one aggregate over one window.
    fn feature(&self, aggregate: Aggregate, window: &Window) -> Feature {
        let name = format!("{}__{}", self.name, aggregate.local_name(window));
        Feature {
            id: feature_id(&name),
            name,
            entity: self.entity,
            source: self.source,
            aggregate,
            window: aggregate.has_window().then_some(window.length),
            delay: self.delay,
            include_current: self.include_current,
        }
    }
}

/// One feature: one number of an entity's part, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its flat name, such as `card_velocity__amount_sum_1h`.
    pub name: String,
    /// Its stable number: [`feature_id`] of the name.
    pub id: u32,
    /// The kind of entity whose part it is in.
    pub entity: EntityKind,
    /// The events it is computed over.
    pub source: Source,
    /// What it is.
    pub aggregate: Aggregate,
    /// The window; none for `last`, `time_since_first` and `time_since_last`.
    pub window: Option<Duration>,
    /// What is younger than this does not count yet.
    pub delay: Duration,
    /// As declared; see [`Feature::sees_current`] for what it comes to.
    pub include_current: bool,
}

impl Feature {
    /// Whether the payment that asks is itself counted: it is an event of the source, the view
    /// includes it, no delay keeps it out, and it is not compared with those before it.
    #[must_use]
    pub fn sees_current(&self) -> bool {
        let compares_itself = matches!(self.aggregate, Aggregate::Ratio(_));
        self.source == Source::PaymentAttempted
            && self.include_current
            && self.delay.is_zero()
            && !compares_itself
    }
}
