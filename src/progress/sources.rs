//! The sources of one task: what has been applied of each, what each promises, and the watermark.
//!
//! This is the receiving half of the frame protocol. It is part of a task's state: a fold over the
//! task's log and nothing else.

use crate::log::frame::{FoldVersion, Frame, Promise, SourceId};
use crate::log::position::Position;
use crate::rules_of_the_protocol::{Rule, without};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// One upstream partition as a task sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The upstream topic's name.
    pub topic: String,
    /// Everything up to here has been applied.
    pub applied: Position,
    watermark: Option<EventTime>,
    highest: Option<EventTime>,
    idle_ms: Option<u64>,
    fold: FoldVersion,
}

/// Whether a frame may be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Apply the events above this position, then call [`Sources::applied`].
    Above(Position),
    /// Something before it was never appended and will come again: change nothing but the counter.
    Refused(Refusal),
}

/// Why a frame was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It begins above what has been applied.
    Gap,
    /// No join names its source.
    UnknownSource,
    /// Another version of the fold speaks about positions that were already applied: it was changed
    /// without a clean stop, and its positions mean other events.
    ChangedFold,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Refusal; 3] = [Refusal::Gap, Refusal::UnknownSource, Refusal::ChangedFold];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Gap => "gap",
            Refusal::UnknownSource => "unknown_source",
            Refusal::ChangedFold => "changed_fold",
        }
    }
}

/// The sources of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    sources: BTreeMap<SourceId, Source>,
    watermark: Option<EventTime>,
}

impl Sources {
    /// The task's watermark: nothing earlier is expected. Unknown is not zero.
    #[must_use]
    pub fn watermark(&self) -> Option<EventTime> {
        self.watermark
    }

    /// The sources by id.
    pub fn iter(&self) -> impl Iterator<Item = (&SourceId, &Source)> {
        self.sources.iter()
    }

    /// The source of that id.
    #[must_use]
    pub fn source(&self, id: &SourceId) -> Option<&Source> {
        self.sources.get(id)
    }

    /// `id` counts from here on, unless it does already.
    pub fn join(&mut self, id: SourceId, topic: &str, fold: FoldVersion) {
        self.sources.entry(id).or_insert_with(|| Source {
            topic: topic.to_owned(),
            applied: Position::BEFORE_EVERYTHING,
            watermark: None,
            highest: None,
            idle_ms: None,
            fold,
        });
    }

    /// `id` is gone for good.
    pub fn retire(&mut self, id: SourceId) {
        self.sources.remove(&id);
        self.advance();
    }

    /// Whether `frame`, made by `fold`, may be applied, and which of its events.
    #[must_use]
    pub fn admit(&self, frame: &Frame<'_>, fold: FoldVersion) -> Admission {
        let Some(source) = self.sources.get(&frame.source) else {
            return Admission::Refused(Refusal::UnknownSource);
        };
        if frame.from > source.applied && !without(Rule::Refusal) {
            return Admission::Refused(Refusal::Gap);
        }
        if fold != source.fold && frame.from < source.applied && frame.to > source.applied {
            return Admission::Refused(Refusal::ChangedFold);
        }
        if without(Rule::Skip) {
            return Admission::Above(Position::BEFORE_EVERYTHING);
        }
        Admission::Above(source.applied)
    }

    /// The events of an admitted frame have been applied: takes over its position and promise.
    pub fn applied(&mut self, frame: &Frame<'_>, fold: FoldVersion) {
        let source = self.sources.get_mut(&frame.source).expect("only a joined source is admitted");
        source.take_promise(frame);
        source.fold = if frame.to >= source.applied { fold } else { source.fold };
        source.applied = if without(Rule::Max) { frame.to } else { source.applied.max(frame.to) };
        self.advance();
    }

    /// The mutation of rule 8 in tests: the promise of a refused frame is taken.
    #[cfg(test)]
    pub(crate) fn take_refused_promise(&mut self, frame: &Frame<'_>) {
        if let Some(source) = self.sources.get_mut(&frame.source) {
            source.take_promise(frame);
            self.advance();
        }
    }

    /// The source that holds the watermark back: the one of the lowest promise among those not idle.
    #[must_use]
    pub fn holder(&self) -> Option<(&SourceId, &Source)> {
        self.sources
            .iter()
            .filter(|(_, source)| source.idle_ms.is_none())
            .min_by_key(|(_, source)| source.watermark)
    }

    /// The watermark never goes back, whatever the sources promise.
    fn advance(&mut self) {
        self.watermark = self.watermark.max(self.promised());
    }

    fn promised(&self) -> Option<EventTime> {
        let mut active = self.sources.values().filter(|source| source.idle_ms.is_none()).peekable();
        if active.peek().is_some() {
            return active.map(|source| source.watermark).min().flatten();
        }
        let highest = self.sources.values().filter_map(|source| source.highest).max()?;
        let idle_ms = self.sources.values().filter_map(|source| source.idle_ms).min()?;
        Some(highest.plus(Duration::from_millis(idle_ms)))
    }
}

impl Source {
    fn take_promise(&mut self, frame: &Frame<'_>) {
        let current = frame.to >= self.applied;
        match frame.promise {
            Promise::Unknown => {}
            Promise::Watermark(time) => {
                self.watermark = self.watermark.max(Some(time));
                self.highest = self.highest.max(Some(time));
            }
            Promise::Idle { highest, .. } => self.highest = self.highest.max(highest),
        }
        if current {
            self.idle_ms = match frame.promise {
                Promise::Idle { idle_ms, .. } => Some(idle_ms),
                Promise::Unknown | Promise::Watermark(_) => None,
            };
        }
    }
}
