//! What a receiver knows of an episode, as far as we can tell, and the words in which it is told more.

use super::revision::Revision;
use crate::event::alert::Severity;
use crate::time::{EventTime, ProcessingTime};
use std::collections::BTreeMap;

/// How an episode stands with a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// It was told nothing.
    #[default]
    Nothing,
    /// It may have been told that it is open: by an earlier life of ours, or by a request whose answer never came.
    Perhaps,
    /// It was told that it is open.
    Open,
    /// It was told that it is open, and a mute has begun since.
    Quiet,
    /// It was told that it has ended.
    Over,
}

/// A message. What it says in full is in the revision that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// It is open.
    Opened,
    /// It is worse than was said.
    Rose,
    /// It is open still, and no longer muted.
    Again,
    /// It is open again.
    Back,
    /// Somebody has taken it on.
    Taken,
    /// Nobody wants to hear of it for now.
    Quiet,
    /// It has ended.
    Over,
    /// How it is, to receivers that take states and not news.
    State,
}

/// What is to be said next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing, unless another revision comes or a mute ends.
    Nothing,
    /// This, from then on.
    At(ProcessingTime, Word),
    /// This is taken as said, without a message.
    Silently(Word),
}

/// A set of labels that Alertmanager was shown as ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// When we noticed: it is shown for a while from then on.
    pub(super) noticed: ProcessingTime,
    /// When it ended.
    pub(super) ended: EventTime,
}

/// What a receiver knows of an episode.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// How it stands.
    pub(super) standing: Standing,
    /// The worst that it was told.
    pub(super) severity: Option<Severity>,
    /// Whether it was told that somebody has it in hand.
    pub(super) is_taken: bool,
    /// The newest revision that it was told of.
    pub(super) revision: u32,
    /// When it was told last.
    pub(super) at: Option<ProcessingTime>,
    /// Alertmanager only: the sets of labels it may have seen, by what tells them apart; none if open.
    pub(super) sets: BTreeMap<Severity, Option<Ended>>,
    /// Alertmanager only: whether these have changed since they were shown.
    pub(super) is_changed: bool,
}

impl Known {
    /// `word` was said of `revision`, or is taken as said.
    pub(super) fn said(&mut self, word: Word, revision: &Revision, now: ProcessingTime) {
        let severity = revision.alert.severity;
        match word {
            Word::Opened | Word::Rose | Word::Again | Word::Back => {
                self.standing = Standing::Open;
                self.severity = self.severity.max(Some(severity));
                self.is_taken = false;
            }
            Word::Taken => {
                self.standing = Standing::Open;
                self.severity = self.severity.max(Some(severity));
                self.is_taken = true;
            }
            Word::Quiet => self.standing = Standing::Quiet,
            Word::Over => self.standing = Standing::Over,
            Word::State => {}
        }
        self.revision = self.revision.max(revision.alert.revision);
        self.at = Some(now);
    }
}

/// An episode at a moment, as one receiver sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'v> {
    /// Its newest revision.
    pub(super) revision: &'v Revision,
    /// Whether the receiver was to hear of it at any time. Who heard that it opened hears that it ended.
    pub(super) is_heard: bool,
    /// Whether somebody has taken it on since it opened, or opened again.
    pub(super) is_acknowledged: bool,
    /// Whether somebody has it in hand, as bad as it is and since it was last to be heard.
    pub(super) is_in_hand: bool,
    /// Whether it was muted when it ended.
    pub(super) ends_silently: bool,
    /// Whether it is gone although no revision says so: the next one about the same has begun, or it was erased.
    pub(super) is_gone: bool,
    /// The moment.
    pub(super) now: ProcessingTime,
}

impl View<'_> {
    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_gone || self.revision.is_over()
    }

    /// Whether nobody wants to hear of it now.
    pub(super) fn is_muted(&self) -> bool {
        self.revision.muted_until(self.now).is_some()
    }

    /// Whether it is open and to be heard.
    pub(super) fn is_audible(&self) -> bool {
        self.is_heard && !self.is_over() && !self.is_muted()
    }

    /// Its severity.
    pub(super) fn severity(&self) -> Severity {
        self.revision.alert.severity
    }
}
