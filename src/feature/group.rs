//! Everything that the views of one kind of entity on one source with one filter share.

use super::filter::Filter;
use super::layout::Layout;
use super::memory::MemoryBound;
use super::sweep::{self, Sweep};
use super::view::{Aggregate, Feature, View};
use crate::event::{EntityKind, FieldId, Source, Value};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which group of its entity: what it folds, and the place of its filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId {
    /// The events.
    pub source: Source,
    /// Which of the filters on them; none for all events.
    pub filter: Option<u8>,
}

/// The views of one kind of entity on one source with one filter, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    entity: EntityKind,
    source: Source,
    /// Which events it counts; all without one.
    filter: Option<Filter>,
    retention: Duration,
    features: Vec<Feature>,
    layout: Layout,
    since_last: Vec<u32>,
    since_first: Vec<u32>,
    /// With the place of the number among those whose last value is asked.
    lasts: Vec<(u32, usize)>,
    /// With the slot of the number.
    ratios: Vec<(u32, usize)>,
    before: Vec<Sweep>,
    after: Vec<Sweep>,
}

impl Group {
    /// Compiles `views`, which are all on this `entity` and `source`, have this filter, and are at least one.
    pub(super) fn compile(
        (entity, source): (EntityKind, Source),
        filter: Option<Filter>,
        views: &[&View],
        allowed_lateness: Duration,
    ) -> Group {
        debug_assert!(views.iter().all(|view| view.entity == entity && view.source == source));
        let features: Vec<Feature> = views.iter().flat_map(|view| view.features()).collect();
        let layout = Layout::new(&features, allowed_lateness);
        let reaches = views.iter().filter_map(|view| view.reach());
        let ids_of = |aggregate| -> Vec<u32> {
            features.iter().filter(|f| f.aggregate == aggregate).map(|feature| feature.id).collect()
        };
        let last = |feature: &Feature| match feature.aggregate {
            Aggregate::Last(field) => Some((feature.id, layout.last(field)?)),
            _ => None,
        };
        let ratio = |feature: &Feature| match feature.aggregate {
            Aggregate::Ratio(field) => Some((feature.id, layout.slot(field)?)),
            _ => None,
        };
        Group {
            entity,
            source,
            filter,
            retention: reaches.max().unwrap_or_default().saturating_add(allowed_lateness),
            since_last: ids_of(Aggregate::TimeSinceLast),
            since_first: ids_of(Aggregate::TimeSinceFirst),
            lasts: features.iter().filter_map(last).collect(),
            ratios: features.iter().filter_map(ratio).collect(),
            before: sweep::compile(&layout, features.iter().filter(|f| !f.sees_current())),
            after: sweep::compile(&layout, features.iter().filter(|f| f.sees_current())),
            layout,
            features,
        }
    }

    /// The kind of entity it is for.
    #[must_use]
    pub fn entity(&self) -> EntityKind {
        self.entity
    }

    /// The events it folds.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Which group of its entity it is.
    #[must_use]
    pub fn id(&self) -> GroupId {
        GroupId { source: self.source, filter: self.filter.map(|filter| filter.place) }
    }

    /// Whether its views count an event with these values.
    #[must_use]
    pub fn counts(&self, values: &[(FieldId, Value)]) -> bool {
        self.filter.is_none_or(|filter| filter.has_passed(values))
    }

    /// The fields that the copies of its events must carry: numbers, then texts.
    #[must_use]
    pub fn fields(&self) -> &[FieldId] {
        self.layout.fields()
    }

    /// The retention R: the longest window plus delay of its views, plus the allowed lateness. Buckets
    /// of a shorter window are kept for less.
    #[must_use]
    pub fn retention(&self) -> Duration {
        self.retention
    }

    /// The windows that a large key counts in buckets, shortest first. (A window over which only
    /// distinct values are asked is not among them.)
    pub fn windows(&self) -> impl Iterator<Item = Duration> {
        let windows = self.layout.windows().iter();
        windows.map(|window| Duration::from_millis(window.window_ms.unsigned_abs()))
    }

    /// What it answers, in the order of the file.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// What one key can take at most, with its arithmetic.
    #[must_use]
    pub fn memory(&self) -> MemoryBound {
        let bucketed = self.source == Source::Click;
        MemoryBound::new(&self.layout, bucketed)
    }

    /// What one key can take at most, in bytes; see [`Group::memory`].
    #[must_use]
    pub fn memory_per_key_bytes(&self) -> u64 {
        self.memory().bytes()
    }

    /// Where fields and windows stand.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The `time_since_last` features.
    pub(super) fn since_last(&self) -> &[u32] {
        &self.since_last
    }

    /// The `time_since_first` features.
    pub(super) fn since_first(&self) -> &[u32] {
        &self.since_first
    }

    /// The `last` features, with the place of their number.
    pub(super) fn lasts(&self) -> &[(u32, usize)] {
        &self.lasts
    }

    /// The `ratio` features, with the slot of their number.
    pub(super) fn ratios(&self) -> &[(u32, usize)] {
        &self.ratios
    }

    /// Whether something is asked of a key's first event or last values.
    pub(super) fn asks_ends(&self) -> bool {
        !self.since_first.is_empty() || !self.lasts.is_empty()
    }

    /// The passes that do not count the payment that asks.
    pub(super) fn before(&self) -> &[Sweep] {
        &self.before
    }

    /// The passes that count the payment that asks.
    pub(super) fn after(&self) -> &[Sweep] {
        &self.after
    }

    /// Up to where (inclusive) events are beyond the retention of a key with this `newest`.
    pub(super) fn horizon(&self, newest: EventTime) -> EventTime {
        newest.minus(self.retention)
    }
}
