//! The session operator: key = visitor, state = the visitor's open and lately closed sessions.
//!
//! A click joins the sessions within the gap of it, merging several, or opens one. A timer publishes
//! a session when the watermark has passed its end by the gap, and closes it for good when it has
//! passed by the allowed lateness as well. Memory: about 1 KB per open session, whose facts are bounded;
//! eight closed sessions of 32 bytes for the time they are remembered.

#![expect(clippy::indexing_slicing, reason = "places come from a search in the same list")]

use super::facts::Facts;
use crate::event::ClickCopy;
use crate::ledger::Disposition;
use crate::operator::{Context, KeyedOperator};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Closed sessions that a visitor's state remembers at most.
const CLOSED_MAX: usize = 8;

/// How sessions are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSettings {
    /// Silence after which a session ends.
    pub gap: Duration,
    /// How far behind the watermark a click may still change a session.
    pub allowed_lateness: Duration,
    /// For how long a closed session is remembered, for the late topic.
    pub remember_closed: Duration,
}

/// The id of a session: a hash of its visitor and start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub u64);

impl SessionId {
    /// The id of the session of `visitor` that starts at `start`.
    #[must_use]
    pub fn new(visitor: &str, start: EventTime) -> SessionId {
        SessionId(xxh3_64_with_seed(visitor.as_bytes(), start.0.cast_unsigned()))
    }
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A session that may still change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    /// Time of the first click.
    pub start: EventTime,
    /// Time of the last click.
    pub end: EventTime,
    /// What its clicks say.
    pub facts: Facts,
    /// The id and revision published last.
    published: Option<(SessionId, u32)>,
    /// Published ids that the next publication takes the place of.
    supersedes: Vec<SessionId>,
    /// Whether what is published is what there is.
    current: bool,
}

/// A session that is closed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedSession {
    /// Its id.
    pub id: SessionId,
    /// Time of the first click.
    pub start: EventTime,
    /// Time of the last click.
    pub end: EventTime,
}

/// What is kept of a visitor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorState {
    /// Ordered by time; more than a gap apart.
    open: Vec<OpenSession>,
    /// Oldest first.
    closed: VecDeque<ClosedSession>,
    /// The earliest timer that is set.
    timer: Option<EventTime>,
    /// Start of the session that the last applied click belongs to.
    running: EventTime,
}

impl VisitorState {
    /// The session which the last applied click belongs to.
    #[must_use]
    pub fn running(&self) -> Option<&OpenSession> {
        self.open.iter().find(|session| session.start <= self.running && self.running <= session.end)
    }
}

/// What comes out of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionOutput {
    /// A revision to publish.
    Revision {
        /// Its id.
        id: SessionId,
        /// Counted from 1 per id.
        revision: u32,
        /// Ids it takes the place of.
        supersedes: Vec<SessionId>,
        /// Whether no further one will come.
        is_final: bool,
        /// Time of the first click.
        start: EventTime,
        /// Time of the last click.
        end: EventTime,
        /// What its clicks say.
        facts: Box<Facts>,
    },
    /// The click came too late.
    Late {
        /// The session it would have belonged to, if it is remembered.
        missed: Option<ClosedSession>,
    },
}

/// A click, as the operator takes it.
#[derive(Debug, Clone, Copy)]
pub struct ClickInput<'a> {
    /// When.
    pub time: EventTime,
    /// The producer's id of the event.
    pub event_id: &'a str,
    /// What.
    pub click: &'a ClickCopy<'a>,
}

/// The session operator.
#[derive(Debug, Clone, Copy)]
pub struct Sessions {
    /// How sessions are cut.
    pub settings: SessionSettings,
}

impl KeyedOperator for Sessions {
    type Input<'a> = ClickInput<'a>;
    type State = VisitorState;
    type Output = SessionOutput;

    fn on_event(
        &self,
        visitor: &str,
        input: ClickInput<'_>,
        state: &mut Option<VisitorState>,
        cx: &mut Context<'_, SessionOutput>,
    ) -> Disposition {
        let time = input.time;
        let touched = state.as_ref().map_or(0..0, |state| self.touched(state, time));
        if touched.is_empty() && cx.reached(self.final_at(time)) {
            let missed = state.as_ref().and_then(|state| self.missed(state, time));
            cx.emit(SessionOutput::Late { missed });
            return Disposition::Late;
        }
        let state = state.get_or_insert_default();
        let place = state.join(touched, time, visitor);
        let session = &mut state.open[place];
        session.facts.add(input.click, input.event_id, time);
        session.current = false;
        if session.published.is_some() && cx.reached(session.end.plus(self.settings.gap)) {
            session.publish(visitor, false, cx);
        }
        state.running = time;
        self.set_timer(state, cx);
        if cx.watermark().is_some_and(|watermark| time < watermark) {
            Disposition::LateApplied
        } else {
            Disposition::Applied
        }
    }

    fn on_timer(&self, visitor: &str, state: &mut Option<VisitorState>, cx: &mut Context<'_, SessionOutput>) {
        let Some(visitor_state) = state else { return };
        visitor_state.timer = None;
        self.publish_due(visitor, visitor_state, cx);
        let remember = self.settings.remember_closed;
        let over = |session: &ClosedSession| cx.reached(self.final_at(session.end).plus(remember));
        while visitor_state.closed.front().is_some_and(over) {
            visitor_state.closed.pop_front();
        }
        if visitor_state.open.is_empty() && visitor_state.closed.is_empty() {
            *state = None;
        } else {
            self.set_timer(visitor_state, cx);
        }
    }
}

impl Sessions {
    fn final_at(&self, end: EventTime) -> EventTime {
        end.plus(self.settings.gap).plus(self.settings.allowed_lateness)
    }

    /// The open sessions within the gap of `time`: start − gap ≤ time ≤ end + gap.
    fn touched(&self, state: &VisitorState, time: EventTime) -> std::ops::Range<usize> {
        let gap = self.settings.gap;
        let first = state.open.partition_point(|session| session.end.plus(gap) < time);
        let beyond = state.open.partition_point(|session| session.start.minus(gap) <= time);
        first..beyond.max(first)
    }

    fn missed(&self, state: &VisitorState, time: EventTime) -> Option<ClosedSession> {
        let gap = self.settings.gap;
        let within =
            |session: &&ClosedSession| session.start.minus(gap) <= time && time <= session.end.plus(gap);
        state.closed.iter().rev().find(within).copied()
    }

    /// Publishes and closes what the watermark has passed.
    fn publish_due(&self, visitor: &str, state: &mut VisitorState, cx: &mut Context<'_, SessionOutput>) {
        let mut still_open = Vec::with_capacity(state.open.len());
        for mut session in state.open.drain(..) {
            if cx.reached(self.final_at(session.end)) {
                let closed = ClosedSession {
                    id: SessionId::new(visitor, session.start),
                    start: session.start,
                    end: session.end,
                };
                session.publish(visitor, true, cx);
                if state.closed.len() == CLOSED_MAX {
                    state.closed.pop_front();
                }
                state.closed.push_back(closed);
                continue;
            }
            if !session.current && cx.reached(session.end.plus(self.settings.gap)) {
                session.publish(visitor, false, cx);
            }
            still_open.push(session);
        }
        state.open = still_open;
    }

    /// Asks for the next call that this state needs, unless one is set that comes no later.
    fn set_timer(&self, state: &mut VisitorState, cx: &mut Context<'_, SessionOutput>) {
        let due = |session: &OpenSession| {
            if session.current { self.final_at(session.end) } else { session.end.plus(self.settings.gap) }
        };
        let forget = |session: &ClosedSession| self.final_at(session.end).plus(self.settings.remember_closed);
        // sessions are ordered by their ends: behind the first that is not yet published none is due earlier
        let unpublished = state.open.iter().position(|session| !session.current);
        let first = state.open.iter().take(unpublished.map_or(usize::MAX, |place| place + 1));
        let next = first.map(due).chain(state.closed.front().map(forget)).min();
        if let Some(next) = next.filter(|next| state.timer.is_none_or(|timer| *next < timer)) {
            state.timer = Some(next);
            cx.set_timer(next);
        }
    }
}

impl VisitorState {
    /// Makes one session of those touched and a click at `time`, and returns its place.
    fn join(&mut self, touched: std::ops::Range<usize>, time: EventTime, visitor: &str) -> usize {
        let place = touched.start;
        if touched.is_empty() {
            self.open.insert(place, OpenSession::opened(time));
            return place;
        }
        let others: Vec<OpenSession> = self.open.drain(place + 1..touched.end).collect();
        let session = &mut self.open[place];
        for other in others {
            session.merge(other);
        }
        session.extend(time, visitor);
        place
    }
}

impl OpenSession {
    fn opened(time: EventTime) -> OpenSession {
        OpenSession {
            start: time,
            end: time,
            facts: Facts::default(),
            published: None,
            supersedes: Vec::new(),
            current: false,
        }
    }

    /// Takes in a later session of the same visitor.
    fn merge(&mut self, later: OpenSession) {
        self.end = self.end.max(later.end);
        self.supersedes.extend(later.supersedes);
        self.supersedes.extend(later.published.map(|(id, _)| id));
        // a session that was published stays so, under a new id if need be
        self.published = self.published.or(later.published.map(|(id, _)| (id, 0)));
        self.facts.merge(later.facts);
    }

    fn extend(&mut self, time: EventTime, visitor: &str) {
        self.start = self.start.min(time);
        self.end = self.end.max(time);
        let id = SessionId::new(visitor, self.start);
        if let Some((published, _)) = self.published.filter(|(published, _)| *published != id) {
            if !self.supersedes.contains(&published) {
                self.supersedes.push(published);
            }
            self.published = Some((id, 0));
        }
    }

    /// Emits the next revision.
    fn publish(&mut self, visitor: &str, is_final: bool, cx: &mut Context<'_, SessionOutput>) {
        let id = SessionId::new(visitor, self.start);
        let revision = self.published.map_or(0, |(_, revision)| revision) + 1;
        let mut supersedes = std::mem::take(&mut self.supersedes);
        supersedes.retain(|superseded| *superseded != id);
        supersedes.sort_unstable();
        self.published = Some((id, revision));
        self.current = true;
        // nothing is added to a final session any more
        let facts = Box::new(if is_final { std::mem::take(&mut self.facts) } else { self.facts.clone() });
        let (start, end) = (self.start, self.end);
        cx.emit(SessionOutput::Revision { id, revision, supersedes, is_final, start, end, facts });
    }
}
