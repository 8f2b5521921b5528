//! One episode in one outbox: its newest revision, what the receiver knows, and how sending goes.

use crate::event::alert::{Alert, Severity};
use crate::notify::pace::Wait;
use crate::notify::receiver::{Memory, Target};
use crate::notify::revision::Revision;
use crate::notify::told::{Due, Ended, Known, Standing, View, Word};
use crate::time::{EventTime, ProcessingTime, millis};
use std::sync::Arc;

/// One episode in one outbox.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) newest: Arc<Revision>,
    pub(super) known: Known,
    /// Attempts at the message that is due, all of which failed.
    pub(super) attempts: u32,
    /// Whether it shares no request with others: one that did was refused.
    pub(super) goes_alone: bool,
    wait: Option<Wait>,
    is_heard: bool,
    taken: Option<Taken>,
    /// Whether it was muted when it ended: a mute that is said later is about the next episode.
    ends_silently: bool,
    is_gone: bool,
    refused: Option<(u32, u16)>,
}

/// Somebody has taken it on.
#[derive(Debug, Clone, Copy)]
struct Taken {
    at: EventTime,
    /// What it was then: a ticket that is in hand is not yet a page that is.
    severity: Severity,
    /// Whether a mute has ended since, which is there to be heard.
    is_unmuted: bool,
    /// Whether the episode was over since, and is back.
    is_back: bool,
}

impl Taken {
    fn of(alert: &Alert) -> Option<Taken> {
        let at = alert.acknowledged.as_ref()?.at_ms;
        Some(Taken { at, severity: alert.severity, is_unmuted: false, is_back: false })
    }
}

impl Telling {
    /// Of an episode that is new here. If it goes on from another, what was shown of that one's labels may still be seen.
    pub(super) fn new(newest: Arc<Revision>, inherited: Option<Telling>) -> Telling {
        let shown = inherited.map(|telling| telling.known).unwrap_or_default();
        let known = Known { sets: shown.sets, is_changed: shown.is_changed, ..Known::default() };
        Telling {
            taken: Taken::of(&newest.alert),
            ends_silently: is_muted(&newest),
            newest,
            known,
            attempts: 0,
            goes_alone: false,
            wait: None,
            is_heard: false,
            is_gone: false,
            refused: None,
        }
    }

    /// It has a newer revision, which is tried at once.
    pub(super) fn revise(&mut self, newest: Arc<Revision>) {
        let is_unmuted = self.newest.alert.muted_until_ms.is_some() && newest.alert.muted_until_ms.is_none();
        let is_back = self.newest.is_over() && !newest.is_over();
        self.taken = Taken::of(&newest.alert).map(|taken| match self.taken {
            Some(known) if known.at == taken.at => Taken {
                is_unmuted: known.is_unmuted || is_unmuted,
                is_back: known.is_back || is_back,
                ..known
            },
            _ => taken,
        });
        if !(self.newest.is_over() && newest.is_over()) {
            self.ends_silently = is_muted(&newest);
        }
        self.newest = newest;
        (self.attempts, self.wait, self.goes_alone) = (0, None, false);
    }

    /// It is over although no revision says so.
    pub(super) fn end_without_record(&mut self) {
        if !self.newest.is_over() {
            self.is_gone = true;
            (self.attempts, self.wait) = (0, None);
        }
    }

    pub(super) fn view(&self, now: ProcessingTime) -> View<'_> {
        View {
            revision: &self.newest,
            is_heard: self.is_heard,
            is_acknowledged: self.taken.is_some_and(|taken| !taken.is_back),
            is_in_hand: self.is_in_hand(now),
            ends_silently: self.ends_silently,
            is_gone: self.is_gone,
            now,
        }
    }

    fn is_in_hand(&self, now: ProcessingTime) -> bool {
        let severity = self.newest.alert.severity;
        let counts = |taken: Taken| !taken.is_unmuted && !taken.is_back && taken.severity >= severity;
        self.taken.is_some_and(counts) && self.newest.is_in_hand(now)
    }

    /// Takes note of how things are now, and of all that needs no message.
    pub(super) fn settle(&mut self, target: &Target, now: ProcessingTime) {
        let view = self.view(now);
        let is_open = !view.is_over() && !view.is_muted();
        self.is_heard |= is_open && target.filter.passes(&self.newest);
        self.observe(target, now);
        while let Due::Silently(word) = target.due(&self.known, &self.view(now)) {
            self.known.said(word, &self.newest, now);
        }
    }

    fn observe(&mut self, target: &Target, now: ProcessingTime) {
        let mut known = std::mem::take(&mut self.known);
        target.observe(&mut known, &self.view(now));
        self.known = known;
    }

    /// Takes a revision that was read again at the start, as far as the receiver will have been told of it before.
    pub(super) fn remember(&mut self, target: &Target, started: ProcessingTime) {
        let (newest, published) = (self.newest.clone(), self.newest.published);
        let told_until = told_until(target, started);
        let was_told = published <= told_until;
        self.is_heard |= target.filter.passes(&newest);
        match target.memory() {
            Memory::States => {
                self.observe(target, published);
                let mut known = std::mem::take(&mut self.known);
                Target::assume(&mut known, &self.view(published));
                self.known = known;
            }
            Memory::Keys => {
                if self.known.standing == Standing::Nothing && self.is_heard {
                    self.known.standing = Standing::Perhaps;
                }
                if was_told && newest.is_over() {
                    self.known.said(Word::Over, &newest, published);
                } else if was_told && newest.muted_until(told_until).is_some() {
                    self.known.said(Word::Quiet, &newest, published);
                }
            }
            Memory::Messages => {
                // compaction may have left only a late revision of what was told long ago
                let is_late = newest.alert.revision > 1 && newest.opened() <= told_until;
                if self.known.standing == Standing::Nothing && self.is_heard && is_late {
                    let is_silent = newest.is_over() && self.ends_silently;
                    self.known.standing = if is_silent { Standing::Quiet } else { Standing::Open };
                    self.known.severity = Some(newest.alert.severity);
                }
                self.settle(target, published);
                self.pass(target, started, published);
            }
        }
    }

    /// Before all was read again: takes as said what will have been said by `until`, if it was published before the catch-up.
    pub(super) fn pass(&mut self, target: &Target, started: ProcessingTime, until: ProcessingTime) {
        let told_until = told_until(target, started);
        if target.memory() != Memory::Messages || self.newest.published > told_until {
            return;
        }
        let (newest, until) = (self.newest.clone(), until.min(told_until));
        self.settle(target, until);
        while let Some((_, word)) = self.due(target, until) {
            self.known.said(word, &newest, until);
            self.settle(target, until);
        }
    }

    /// What is due, and when it may be said.
    pub(super) fn due(&self, target: &Target, now: ProcessingTime) -> Option<(ProcessingTime, Word)> {
        let Due::At(at, word) = target.due(&self.known, &self.view(now)) else { return None };
        let waits_until = self.wait.and_then(|wait| wait.end(now));
        Some((waits_until.map_or(at, |until| until.max(at)), word))
    }

    /// When its mute ends.
    pub(super) fn mute_ends(&self, now: ProcessingTime) -> Option<ProcessingTime> {
        self.newest.muted_until(now).filter(|_| !self.view(now).is_over())
    }

    /// Whether it has ended and nothing is left to be said.
    pub(super) fn is_idle(&self, target: &Target, now: ProcessingTime) -> bool {
        let view = self.view(now);
        view.is_over() && target.due(&self.known, &view) == Due::Nothing
    }

    /// It goes out as it is; returns the labels that are shown.
    pub(super) fn sent(&mut self) -> Vec<(Severity, Option<Ended>)> {
        self.known.is_changed = false;
        self.known.sets.iter().map(|(severity, set)| (*severity, *set)).collect()
    }

    /// `word` has arrived, or never will.
    pub(super) fn told(&mut self, word: Word, revision: &Revision, now: ProcessingTime) {
        self.known.said(word, revision, now);
        (self.attempts, self.wait) = (0, None);
    }

    /// `word` may or may not have arrived, and is to be said again.
    pub(super) fn failed(&mut self, word: Word, target: &Target, now: ProcessingTime) {
        self.known.is_changed = true;
        self.attempts += 1;
        self.wait = Some(Wait::new(now, target.pause(self.attempts)));
        let changes_standing = !matches!(word, Word::Rose | Word::Taken | Word::State);
        let is_unknown = self.known.standing == Standing::Nothing;
        if target.memory() == Memory::Keys && (changes_standing || is_unknown) {
            self.known.standing = Standing::Perhaps;
        }
    }

    /// A request that it shared was refused.
    pub(super) fn go_alone(&mut self) {
        self.known.is_changed = true;
        self.goes_alone = true;
    }

    /// Whether this is the first time that this revision was refused so.
    pub(super) fn is_refused_anew(&mut self, revision: &Revision, status: u16) -> bool {
        let refused = Some((revision.alert.revision, status));
        std::mem::replace(&mut self.refused, refused) != refused
    }
}

/// Whether it was muted when it was published.
fn is_muted(revision: &Revision) -> bool {
    revision.muted_until(revision.published).is_some()
}

/// What was published later may not have been told before we started.
fn told_until(target: &Target, started: ProcessingTime) -> ProcessingTime {
    ProcessingTime(started.0.saturating_sub(millis(target.catch_up)))
}
