//! The session operator: key = visitor, state = the visitor's open and lately closed sessions.
//!
//! A click joins the sessions within the gap of it, merging several, or opens one. A timer publishes
//! a session when the watermark has passed its end by the gap, and closes it for good when it has
//! passed by the allowed lateness as well. Memory: about 1 KB per open session, and as much again per order of 20 items in it; its facts are bounded, and
//! at most 32 of them: while a slow source holds the watermark back, one more makes the earliest final
//! early. Eight closed sessions of 32 bytes for the time they are remembered.

#![expect(clippy::indexing_slicing, reason = "places come from a search in the same list")]

use super::facts::Facts;
use super::record;
use crate::event::ClickCopy;
#[cfg(test)]
use crate::event::ClickName;
use crate::ledger::Disposition;
use crate::operator::{Context, KeyedOperator};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Closed sessions that a visitor's state remembers at most.
const CLOSED_MAX: usize = 8;
/// Open sessions of a visitor at most. They lie more than a gap apart, so with the default gap the watermark
/// has stood still for more than half a day when there are as many.
pub const OPEN_MAX: usize = 32;

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
    /// The timer that is set. First, so that a restore finds it without decoding the rest.
    timer: Option<EventTime>,
    /// Ordered by time; more than a gap apart.
    open: Vec<OpenSession>,
    /// Oldest first.
    closed: VecDeque<ClosedSession>,
    /// A time within the session that the last applied event belongs to.
    running: EventTime,
    /// For this visitor it is as if the watermark had come this far: an earlier session was made final early.
    closed_through: Option<EventTime>,
}

impl VisitorState {
    /// The timer that is set.
    #[must_use]
    pub fn timer(&self) -> Option<EventTime> {
        self.timer
    }

    /// Adds how often something was bought in open sessions, and for how much less refunds, in minor units by currency.
    pub fn add_bought(&self, sums: &mut (u32, BTreeMap<Box<str>, i64>)) {
        self.open.iter().for_each(|session| record::add_bought(&session.facts, sums));
    }

    /// The session which the last applied event belongs to.
    #[must_use]
    pub fn running(&self) -> Option<&OpenSession> {
        self.open.iter().find(|session| session.start <= self.running && self.running <= session.end)
    }
}

/// Whether a published session may still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A late click may give a further revision.
    Open,
    /// The watermark has passed it by the gap and the allowed lateness.
    Final,
    /// Final before its time, to make room: the visitor had more than [`OPEN_MAX`] sessions open.
    FinalEarly,
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
        /// Whether a further one may come.
        standing: Standing,
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
        /// The watermark, or what is as good as one for this visitor.
        over: EventTime,
    },
}

impl SessionOutput {
    /// Whether it is a session that was made final before its time.
    #[must_use]
    pub fn is_closed_early(&self) -> bool {
        matches!(self, SessionOutput::Revision { standing: Standing::FinalEarly, .. })
    }
}

/// Who tells of what happened in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teller {
    /// The visitor's browser.
    Browser,
    /// The shop itself: an order that was placed.
    Shop,
    /// A till: see [`Sessions::join_from_till`].
    Till,
}

/// A click, an order that was placed, or a purchase at a till, as the operator takes it.
#[derive(Debug, Clone, Copy)]
pub struct ClickInput<'a> {
    /// When.
    pub time: EventTime,
    /// The producer's id of the event.
    pub event_id: &'a str,
    /// Who says so.
    pub told_by: Teller,
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
        let closed_through = state.as_ref().and_then(|state| state.closed_through);
        if touched.is_empty()
            && let Some(over) = cx.watermark().max(closed_through)
            && self.final_at(time) <= over
        {
            let missed = state.as_ref().and_then(|state| self.missed(state, time));
            cx.emit(SessionOutput::Late { missed, over });
            return Disposition::Late;
        }
        let state = state.get_or_insert_default();
        let place = state.join(touched, time, visitor);
        self.add(visitor, &mut state.open[place], input, cx);
        state.running = time;
        self.close_early(visitor, state, cx);
        self.set_timer(state, cx);
        Disposition::folded(time, cx.watermark())
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
    /// A purchase at a till joins the session of its visitor within whose gap it lies, of two the later, and opens, extends or merges
    /// none: nobody was there in the shop online. Returns whether there is one.
    pub fn join_from_till(
        &self,
        visitor: &str,
        input: ClickInput<'_>,
        state: &mut Option<VisitorState>,
        cx: &mut Context<'_, SessionOutput>,
    ) -> bool {
        let Some(state) = state else { return false };
        let Some(place) = self.touched(state, input.time).last() else { return false };
        let session = &mut state.open[place];
        state.running = input.time.clamp(session.start, session.end);
        self.add(visitor, session, input, cx);
        self.set_timer(state, cx);
        true
    }

    fn add(
        &self,
        visitor: &str,
        session: &mut OpenSession,
        input: ClickInput<'_>,
        cx: &mut Context<'_, SessionOutput>,
    ) {
        session.facts.add(&input);
        session.current = false;
        if session.published.is_some() && cx.reached(session.end.plus(self.settings.gap)) {
            session.publish(visitor, Standing::Open, cx);
        }
    }

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

    /// Makes the earliest session final if there are too many.
    fn close_early(&self, visitor: &str, state: &mut VisitorState, cx: &mut Context<'_, SessionOutput>) {
        if state.open.len() > OPEN_MAX {
            let earliest = state.open.remove(0);
            state.closed_through = state.closed_through.max(Some(self.final_at(earliest.end)));
            state.close(earliest, visitor, Standing::FinalEarly, cx);
        }
    }

    /// Publishes and closes what the watermark has passed.
    fn publish_due(&self, visitor: &str, state: &mut VisitorState, cx: &mut Context<'_, SessionOutput>) {
        let mut still_open = Vec::with_capacity(state.open.len());
        for mut session in std::mem::take(&mut state.open) {
            if cx.reached(self.final_at(session.end)) {
                state.close(session, visitor, Standing::Final, cx);
                continue;
            }
            if !session.current && cx.reached(session.end.plus(self.settings.gap)) {
                session.publish(visitor, Standing::Open, cx);
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
        if let Some(next) = first.map(due).chain(state.closed.front().map(forget)).min() {
            cx.call_at(next, &mut state.timer);
        }
    }
}

impl VisitorState {
    /// Publishes a session for the last time and remembers that it was there.
    fn close(
        &mut self,
        mut session: OpenSession,
        visitor: &str,
        standing: Standing,
        cx: &mut Context<'_, SessionOutput>,
    ) {
        let id = SessionId::new(visitor, session.start);
        if self.closed.len() == CLOSED_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back(ClosedSession { id, start: session.start, end: session.end });
        session.publish(visitor, standing, cx);
    }

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
        self.supersedes.extend(later.standing_id());
        self.supersedes.extend(later.supersedes);
        // a session that was published stays so, under a new id if need be
        self.published = self.published.or(later.published.map(|(id, _)| (id, 0)));
        self.facts.merge(later.facts);
    }

    fn extend(&mut self, time: EventTime, visitor: &str) {
        self.start = self.start.min(time);
        self.end = self.end.max(time);
        let id = SessionId::new(visitor, self.start);
        if self.published.is_some_and(|(known, _)| known != id) {
            let replaced = self.standing_id().filter(|published| !self.supersedes.contains(published));
            self.supersedes.extend(replaced);
            self.published = Some((id, 0));
        }
    }

    /// The id under which readers know it; none while its id has moved and nothing was published under the new one.
    fn standing_id(&self) -> Option<SessionId> {
        self.published.filter(|(_, revision)| *revision > 0).map(|(id, _)| id)
    }

    /// Emits the next revision.
    fn publish(&mut self, visitor: &str, standing: Standing, cx: &mut Context<'_, SessionOutput>) {
        let id = SessionId::new(visitor, self.start);
        let revision = self.published.map_or(0, |(_, revision)| revision) + 1;
        let mut supersedes = std::mem::take(&mut self.supersedes);
        supersedes.retain(|superseded| *superseded != id);
        supersedes.sort_unstable();
        self.published = Some((id, revision));
        self.current = true;
        // nothing is added to a final session any more
        let facts =
            if standing == Standing::Open { self.facts.clone() } else { std::mem::take(&mut self.facts) };
        let facts = Box::new(facts);
        let (start, end) = (self.start, self.end);
        cx.emit(SessionOutput::Revision { id, revision, supersedes, standing, start, end, facts });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;
    /// Between the clicks of different sessions.
    const APART_MS: i64 = 40 * MINUTE_MS;
    const SESSIONS: Sessions = Sessions {
        settings: SessionSettings {
            gap: Duration::from_secs(30 * 60),
            allowed_lateness: Duration::from_secs(5 * 60),
            remember_closed: Duration::from_secs(60 * 60),
        },
    };

    /// A visitor whose clicks come while the watermark is unknown.
    #[derive(Default)]
    struct Visitor {
        state: Option<VisitorState>,
        out: Vec<SessionOutput>,
    }

    impl Visitor {
        fn click(&mut self, time_ms: i64) -> Disposition {
            self.click_under(None, time_ms)
        }

        fn click_under(&mut self, watermark: Option<EventTime>, time_ms: i64) -> Disposition {
            let click = named(ClickName::PageView, None);
            let (time, told_by) = (EventTime(time_ms), Teller::Browser);
            let input = ClickInput { time, event_id: "e", told_by, click: &click };
            let mut cx = Context::new(watermark, &mut self.out);
            SESSIONS.on_event("v", input, &mut self.state, &mut cx)
        }

        fn buy_at_a_till(&mut self, watermark: Option<EventTime>, time_ms: i64) -> bool {
            let purchase = named(ClickName::Purchase, Some(time_ms.unsigned_abs()));
            let (time, told_by) = (EventTime(time_ms), Teller::Till);
            let input = ClickInput { time, event_id: "b", told_by, click: &purchase };
            let mut cx = Context::new(watermark, &mut self.out);
            SESSIONS.join_from_till("v", input, &mut self.state, &mut cx)
        }

        /// Start, end and purchases of the open sessions.
        fn bought(&self) -> Vec<(i64, i64, u32)> {
            let of = |session: &OpenSession| {
                (session.start.0 / MINUTE_MS, session.end.0 / MINUTE_MS, session.facts.orders.count())
            };
            self.state.iter().flat_map(|state| state.open.iter().map(of)).collect()
        }

        fn timer(&mut self, watermark: EventTime) {
            let mut cx = Context::new(Some(watermark), &mut self.out);
            SESSIONS.on_timer("v", &mut self.state, &mut cx);
        }

        /// Start of every session that came out, and how it stands.
        fn published(&self) -> Vec<(i64, Standing)> {
            let revision = |output: &SessionOutput| match output {
                SessionOutput::Revision { start, standing, .. } => Some((start.0, *standing)),
                SessionOutput::Late { .. } => None,
            };
            self.out.iter().filter_map(revision).collect()
        }

        fn open(&self) -> usize {
            self.state.as_ref().map_or(0, |state| state.open.len())
        }
    }

    fn named(name: ClickName, order: Option<u64>) -> ClickCopy<'static> {
        ClickCopy { order, ..ClickCopy::named(name) }
    }

    #[test]
    fn a_purchase_at_a_till_joins_the_session_within_whose_gap_it_lies_and_opens_none() {
        for (minute, joins) in [(-31, false), (-30, true), (0, true), (25, true), (50, true), (51, false)] {
            let mut visitor = Visitor::default();
            assert!(!visitor.buy_at_a_till(None, minute * MINUTE_MS), "of a visitor nobody knows");
            for minute in [0, 20] {
                visitor.click(minute * MINUTE_MS);
            }
            assert_eq!(visitor.buy_at_a_till(None, minute * MINUTE_MS), joins, "{minute}");
            assert_eq!(visitor.bought(), [(0, 20, u32::from(joins))], "{minute}");
        }
    }

    #[test]
    fn a_purchase_at_a_till_between_two_sessions_is_of_the_later_and_joins_them_not() {
        let mut visitor = Visitor::default();
        for minute in [0, 40] {
            visitor.click(minute * MINUTE_MS);
        }
        assert!(visitor.buy_at_a_till(None, 20 * MINUTE_MS));
        assert_eq!(visitor.bought(), [(0, 0, 0), (40, 40, 1)]);
        assert_eq!(visitor.state.unwrap().running().unwrap().start, EventTime(40 * MINUTE_MS));
    }

    #[test]
    fn a_session_that_is_published_is_so_again_with_what_was_bought_at_a_till() {
        let mut visitor = Visitor::default();
        visitor.click(0);
        let over = EventTime(31 * MINUTE_MS);
        visitor.timer(over);
        assert!(visitor.buy_at_a_till(Some(over), 10 * MINUTE_MS));
        assert_eq!(visitor.published(), [(0, Standing::Open), (0, Standing::Open)]);
        visitor.timer(EventTime(35 * MINUTE_MS));
        assert_eq!(visitor.published().last(), Some(&(0, Standing::Final)));
        assert!(!visitor.buy_at_a_till(Some(over), 10 * MINUTE_MS), "it is final");
    }

    fn visitor_with(sessions: usize) -> Visitor {
        let mut visitor = Visitor::default();
        for start in (0..).step_by(usize::try_from(APART_MS).unwrap()).take(sessions) {
            assert_eq!(visitor.click(start), Disposition::Applied);
        }
        visitor
    }

    #[test]
    fn one_session_too_many_makes_the_earliest_final_early() {
        for (sessions, closed) in [(OPEN_MAX - 1, 0), (OPEN_MAX, 0), (OPEN_MAX + 1, 1), (OPEN_MAX + 2, 2)] {
            let visitor = visitor_with(sessions);
            let expected: Vec<_> = (0..closed).map(|n| (n * APART_MS, Standing::FinalEarly)).collect();
            assert_eq!(visitor.published(), expected, "{sessions}");
            assert_eq!(visitor.open(), sessions.min(OPEN_MAX), "{sessions}");
        }
    }

    #[test]
    fn a_click_up_to_the_end_of_a_session_closed_early_is_late_and_names_it() {
        for (time_ms, disposition) in
            [(-APART_MS, Disposition::Late), (0, Disposition::Late), (1, Disposition::Applied)]
        {
            let mut visitor = visitor_with(OPEN_MAX + 1);
            assert_eq!(visitor.click(time_ms), disposition, "{time_ms}");
            if time_ms == 0 {
                let Some(SessionOutput::Late { missed: Some(missed), .. }) = visitor.out.last() else {
                    panic!("the session is remembered: {:?}", visitor.out.last());
                };
                assert_eq!((missed.start, missed.end), (EventTime(0), EventTime(0)));
            }
        }
    }

    #[test]
    fn a_click_that_joins_sessions_leaves_room_for_others() {
        let mut visitor = visitor_with(OPEN_MAX);
        visitor.click(APART_MS / 2);
        visitor.click(APART_MS * i64::try_from(OPEN_MAX).unwrap());
        assert_eq!((visitor.published(), visitor.open()), (vec![], OPEN_MAX));
    }

    #[test]
    fn supersedes_names_only_ids_that_were_published() {
        let minute = |minute: i64| EventTime(minute * MINUTE_MS);
        let mut visitor = Visitor::default();
        visitor.click(100 * MINUTE_MS);
        visitor.timer(minute(130));
        // running again, and its start moves twice before it is published the next time
        for time in [129, 90, 80] {
            visitor.click_under(Some(minute(130)), time * MINUTE_MS);
        }
        visitor.timer(minute(160));
        let Some(SessionOutput::Revision { id, supersedes, .. }) = visitor.out.last() else {
            panic!("published")
        };
        assert_eq!(*id, SessionId::new("v", minute(80)));
        assert_eq!(*supersedes, [SessionId::new("v", minute(100))]);
    }
}
