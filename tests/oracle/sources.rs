//! What a task knows of the sources of its log: what was applied, and how far time has come.

use super::Reading;
use std::collections::BTreeMap;
use tillstream::log::frame::{Frame, Promise, SourceId};
use tillstream::log::position::Position;

/// The sources of one partition of a log, and its task's watermark.
#[derive(Debug, Default)]
pub struct Sources {
    sources: BTreeMap<SourceId, Source>,
    /// `None` while it is unknown.
    pub watermark: Option<i64>,
}

#[derive(Debug)]
struct Source {
    name: String,
    /// Joined, and its topic was not made again since: it counts in the watermark.
    counts: bool,
    applied: Position,
    promised: Option<i64>,
    /// The highest time of any promise.
    highest: Option<i64>,
    idle: Option<Idle>,
}

#[derive(Debug, Clone, Copy)]
struct Idle {
    highest: Option<i64>,
    for_ms: i64,
}

impl Sources {
    /// These sources count from here on; of the topics that they name, those alone.
    pub fn join(&mut self, joining: &[(SourceId, &str)]) {
        let topic_of: BTreeMap<&str, u128> = joining.iter().map(|(id, name)| (*name, id.topic)).collect();
        for (id, source) in &mut self.sources {
            if topic_of.get(source.name.as_str()).is_some_and(|topic| *topic != id.topic) {
                source.counts = false;
            }
        }
        for (id, name) in joining {
            let source = self.source(*id);
            // what is known of decisions comes when it comes
            source.counts = ![
                "labels",
                "accounts",
                "catalogue",
                "rules",
                "predictions",
                "alerts.control",
                "tillstream.linked",
                "tillstream.monitor",
            ]
            .contains(name);
            (*name).clone_into(&mut source.name);
        }
    }

    /// The name under which it joined.
    #[must_use]
    pub fn name(&self, id: SourceId) -> String {
        self.sources.get(&id).map(|source| source.name.clone()).unwrap_or_default()
    }

    /// Where this source stands.
    #[must_use]
    pub fn applied(&self, id: SourceId) -> Position {
        self.sources.get(&id).map_or(Position::BEFORE_EVERYTHING, |source| source.applied)
    }

    /// The frame's events have been folded: what it promises holds now.
    pub fn accepted(&mut self, frame: &Frame<'_>, reading: &Reading) {
        let source = self.source(frame.source);
        if let Promise::Watermark(time) = frame.promise {
            source.promised = source.promised.max(Some(time.0));
        }
        source.highest = source.highest.max(match frame.promise {
            Promise::Unknown => None,
            Promise::Watermark(time) => Some(time.0),
            Promise::Idle { highest, .. } => highest.map(|time| time.0),
        });
        if frame.to >= source.applied {
            source.idle = match frame.promise {
                Promise::Idle { highest, idle_ms } => {
                    let named = highest.map(|time| time.0);
                    let highest = if reading.idle_highest_is_the_last { named } else { source.highest };
                    Some(Idle { highest, for_ms: i64::try_from(idle_ms).unwrap_or(i64::MAX) })
                }
                Promise::Unknown | Promise::Watermark(_) => None,
            };
        }
        source.applied = source.applied.max(frame.to);
        self.watermark = self.watermark.max(self.now());
    }

    fn now(&self) -> Option<i64> {
        let counting = || self.sources.values().filter(|source| source.counts);
        let mut awake = counting().filter(|source| source.idle.is_none()).peekable();
        if awake.peek().is_some() {
            // `None` is below every time: one source without a promise makes the whole unknown.
            return awake.map(|source| source.promised).min().flatten();
        }
        let idle = || counting().filter_map(|source| source.idle);
        let highest = idle().filter_map(|idle| idle.highest).max()?;
        let shortest = idle().map(|idle| idle.for_ms).min()?;
        Some(highest.saturating_add(shortest))
    }

    fn source(&mut self, id: SourceId) -> &mut Source {
        self.sources.entry(id).or_insert_with(|| Source {
            name: String::new(),
            counts: false,
            applied: Position::BEFORE_EVERYTHING,
            promised: None,
            highest: None,
            idle: None,
        })
    }
}
