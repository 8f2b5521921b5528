//! The sources of one task: what has been applied of each, what each promises, and the watermark.
//!
//! This is the receiving half of the frame protocol. It is part of a task's state: a fold over the
//! task's log and nothing else.

use crate::log::Topic;
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
    /// The task began in the middle of its log: whatever the first frame of this source begins at counts as applied.
    awaits_first: bool,
    /// Its topic was deleted and made again: it does not count in the watermark.
    is_retired: bool,
    /// It brings back what became known of decisions: it never counts in the watermark.
    promises_no_time: bool,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

    /// The task's watermark, or `time` if that is later or the watermark is unknown.
    #[must_use]
    pub fn now(&self, time: EventTime) -> EventTime {
        self.watermark.map_or(time, |watermark| watermark.max(time))
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

    /// These count from here on, unless they do already. Those of a topic of the same name under another id belong to one
    /// that was deleted: they retire, or time would stand still. What they sent is still applied.
    pub fn join(&mut self, joining: &[(SourceId, &str)], fold: FoldVersion) {
        for (known, source) in &mut self.sources {
            let is_named = joining.iter().any(|(_, topic)| *topic == source.topic);
            source.is_retired |= is_named && !joining.iter().any(|(id, _)| id.topic == known.topic);
        }
        for (id, topic) in joining {
            let source = self.sources.entry(*id).or_insert_with(|| Source {
                topic: (*topic).to_owned(),
                applied: Position::BEFORE_EVERYTHING,
                awaits_first: false,
                is_retired: false,
                promises_no_time: Topic::from_name(topic).is_some_and(Topic::promises_no_time),
                watermark: None,
                highest: None,
                idle_ms: None,
                fold,
            });
            source.is_retired = false;
        }
    }

    /// These sources count, in a task that begins in the middle of its log: what came before their first frame there is
    /// lost to it, and that frame is not refused.
    pub fn join_in_the_middle(&mut self, sources: &[(SourceId, &str)], fold: FoldVersion) {
        self.join(sources, fold);
        for (id, _) in sources {
            self.sources.get_mut(id).into_iter().for_each(|source| source.awaits_first = true);
        }
    }

    /// Whether `frame`, made by `fold`, may be applied, and which of its events.
    #[must_use]
    pub fn admit(&self, frame: &Frame<'_>, fold: FoldVersion) -> Admission {
        let Some(source) = self.sources.get(&frame.source) else {
            return Admission::Refused(Refusal::UnknownSource);
        };
        if source.awaits_first {
            return Admission::Above(frame.from);
        }
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
        source.awaits_first = false;
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

    /// The mutation of rule 14 in tests: a checkpoint without the applied positions.
    #[cfg(test)]
    pub(crate) fn forget_applied(&mut self) {
        for source in self.sources.values_mut() {
            source.applied = Position::BEFORE_EVERYTHING;
        }
    }

    /// The source that holds the watermark back: the one of the lowest promise among those not idle.
    #[must_use]
    pub fn holder(&self) -> Option<(&SourceId, &Source)> {
        self.sources
            .iter()
            .filter(|(_, source)| source.idle_ms.is_none() && source.counts())
            .min_by_key(|(_, source)| source.watermark)
    }

    /// The watermark never goes back, whatever the sources promise.
    fn advance(&mut self) {
        self.watermark = self.watermark.max(self.promised());
    }

    fn promised(&self) -> Option<EventTime> {
        let counting = || self.sources.values().filter(|source| source.counts());
        let mut active = counting().filter(|source| source.idle_ms.is_none()).peekable();
        if active.peek().is_some() {
            return active.map(|source| source.watermark).min().flatten();
        }
        let highest = counting().filter_map(|source| source.highest).max()?;
        let idle_ms = counting().filter_map(|source| source.idle_ms).min()?;
        Some(highest.plus(Duration::from_millis(idle_ms)))
    }
}

impl Source {
    /// Whether its promises count in the watermark.
    fn counts(&self) -> bool {
        !self.is_retired && !self.promises_no_time
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    const FOLD: FoldVersion = FoldVersion(1);

    fn id(topic: u128, partition: u32) -> SourceId {
        SourceId { topic, partition }
    }

    fn promise(source: SourceId, to: i64, promise: Promise) -> Frame<'static> {
        let (from, to) = (Position::BEFORE_EVERYTHING, Position::end_of(to));
        Frame { source, from, to, promise, count: 0, events: &[] }
    }

    #[test]
    fn time_is_unknown_until_every_joined_source_has_promised_and_then_the_lowest_promise() {
        let mut sources = Sources::default();
        sources.join(&[(id(1, 0), "clickstream")], FOLD);
        sources.join(&[(id(1, 1), "clickstream")], FOLD);
        sources.applied(&promise(id(1, 0), 0, Promise::Watermark(EventTime(50))), FOLD);
        assert_eq!(sources.watermark(), None, "one source has promised nothing");
        sources.applied(&promise(id(1, 1), 0, Promise::Watermark(EventTime(40))), FOLD);
        assert_eq!(sources.watermark(), Some(EventTime(40)));
        sources.applied(&promise(id(1, 1), 1, Promise::Watermark(EventTime(30))), FOLD);
        assert_eq!(sources.watermark(), Some(EventTime(40)), "it never goes back");
    }

    #[test]
    fn idle_sources_do_not_hold_time_and_when_all_are_idle_it_passes_with_them() {
        let mut sources = Sources::default();
        sources.join(&[(id(1, 0), "clickstream")], FOLD);
        sources.join(&[(id(2, 0), "payments")], FOLD);
        sources.applied(&promise(id(2, 0), 0, Promise::Idle { highest: None, idle_ms: 10_000 }), FOLD);
        sources.applied(&promise(id(1, 0), 0, Promise::Watermark(EventTime(100_000))), FOLD);
        assert_eq!(sources.watermark(), Some(EventTime(100_000)));
        let idle = Promise::Idle { highest: Some(EventTime(105_000)), idle_ms: 12_000 };
        sources.applied(&promise(id(1, 0), 0, idle), FOLD);
        assert_eq!(
            sources.watermark(),
            Some(EventTime(115_000)),
            "the highest time and the shortest idleness"
        );
    }

    #[test]
    fn a_source_of_labels_neither_holds_time_nor_moves_it() {
        let mut sources = Sources::default();
        sources.join(&[(id(1, 0), "clickstream"), (id(2, 0), "labels")], FOLD);
        sources.applied(&promise(id(2, 0), 0, Promise::Watermark(EventTime(9_000))), FOLD);
        assert_eq!(sources.watermark(), None, "what it promises says nothing about clicks");
        sources.applied(&promise(id(1, 0), 0, Promise::Watermark(EventTime(5_000))), FOLD);
        assert_eq!(sources.watermark(), Some(EventTime(5_000)));
        assert_eq!(sources.holder().map(|(id, _)| id.topic), Some(1));
        let idle = Promise::Idle { highest: Some(EventTime(6_000)), idle_ms: 12_000 };
        sources.applied(&promise(id(1, 0), 1, idle), FOLD);
        assert_eq!(sources.watermark(), Some(EventTime(18_000)), "time passes although labels are not idle");
    }

    #[test]
    fn an_idle_promise_of_a_frame_below_what_was_applied_counts_for_nothing() {
        let mut sources = Sources::default();
        sources.join(&[(id(1, 0), "clickstream")], FOLD);
        sources.applied(&promise(id(1, 0), 9, Promise::Watermark(EventTime(1_000))), FOLD);
        let idle = Promise::Idle { highest: Some(EventTime(1_000)), idle_ms: 60_000 };
        sources.applied(&promise(id(1, 0), 8, idle), FOLD);
        assert_eq!(sources.watermark(), Some(EventTime(1_000)));
    }

    #[test]
    fn a_topic_that_was_made_again_with_fewer_partitions_takes_the_place_of_the_deleted_one() {
        let mut sources = Sources::default();
        let of = |topic, partition| promise(id(topic, partition), 9, Promise::Watermark(EventTime(1_000)));
        sources.join(&[(id(1, 0), "clickstream"), (id(1, 1), "clickstream"), (id(2, 0), "payments")], FOLD);
        sources.applied(&of(1, 0), FOLD);
        sources.applied(&of(2, 0), FOLD);
        sources.join(&[(id(3, 0), "clickstream"), (id(2, 0), "payments")], FOLD);
        sources.applied(&of(3, 0), FOLD);
        assert_eq!(
            sources.watermark(),
            Some(EventTime(1_000)),
            "the deleted topic's second partition is silent"
        );
        let late = promise(id(1, 0), 12, Promise::Watermark(EventTime(2_000)));
        assert_eq!(
            sources.admit(&late, FOLD),
            Admission::Above(Position::end_of(9)),
            "nothing it sent is lost"
        );
        // whoever still reads the old topic joins again
        sources.join(&[(id(1, 0), "clickstream"), (id(1, 1), "clickstream"), (id(2, 0), "payments")], FOLD);
        assert_eq!(sources.admit(&late, FOLD), Admission::Above(Position::end_of(9)));
        assert_eq!(sources.admit(&of(3, 0), FOLD), Admission::Above(Position::end_of(9)));
    }

    #[test]
    fn a_changed_fold_may_go_on_behind_what_was_applied_and_not_inside_it() {
        let mut sources = Sources::default();
        sources.join(&[(id(1, 0), "clickstream")], FOLD);
        sources.applied(&promise(id(1, 0), 9, Promise::Unknown), FOLD);
        let other = FoldVersion(2);
        let mut frame = promise(id(1, 0), 12, Promise::Unknown);
        assert_eq!(sources.admit(&frame, other), Admission::Refused(Refusal::ChangedFold));
        frame.from = Position::end_of(9);
        assert_eq!(sources.admit(&frame, other), Admission::Above(Position::end_of(9)));
        frame.from = Position::end_of(10);
        assert_eq!(sources.admit(&frame, other), Admission::Refused(Refusal::Gap));
    }
}
