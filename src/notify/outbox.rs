//! One receiver's messages: which is next, when it may go, and what its answer means.
//!
//! Nothing is queued. For each episode there is its newest revision and what the receiver knows, and the next message is what
//! leads from the one to the other; a revision that comes while another waits takes its place. So a receiver that was away for
//! hours hears how things are, not what they were, and memory is bounded by the number of episodes.
//!
//! One request is on its way at a time. Its episodes are not looked at again before its answer came, so an episode's messages
//! arrive in order. Which episode is next: pages first, then who failed least, then who has waited longest. A message that fails
//! waits by itself, ever longer; a receiver that asks for patience (`retry-after`) is left alone altogether.
//!
//! Pure: the time is passed in, and requests are returned, not sent.

mod telling;

use self::telling::Telling;
use super::answer::{Answer, Hold, Meaning};
use super::pace::{Pace, Wait};
use super::receiver::{Memory, Parcel, Request, Target};
use super::report::{DeadNotification, DeadReason, ReceiverStatus};
use super::revision::{Revision, Succession};
use super::settings::NotifyConfig;
use super::told::{Due, Word};
use crate::time::ProcessingTime;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Episodes that are kept. A revision has at most 20 findings of about 4 KB with their histograms; all receivers share it: 800 MB
/// in the very worst case, 50 MB as alerts are.
const EPISODES_MAX: usize = 10_000;
/// What has ended is known again for so long, and its end is tried for so long.
const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// How often what is no longer needed is let go.
const SWEEP: Duration = Duration::from_secs(60);

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Send this, and tell [`Outbox::answered`] what came back.
    Send(Request),
    /// Nothing, until then; or until a record comes.
    Wait(Option<ProcessingTime>),
}

/// The messages of one receiver, or of one address of it.
#[derive(Debug)]
pub struct Outbox {
    target: Target,
    /// When we started, which divides what may have been told before from what cannot have been.
    started: ProcessingTime,
    is_caught_up: bool,
    /// By episode.
    tellings: BTreeMap<String, Telling>,
    /// The newest episode of each fingerprint.
    newest: BTreeMap<String, String>,
    on_its_way: Vec<OnItsWay>,
    pace: Pace,
    hold: Option<Wait>,
    swept: ProcessingTime,
    counts: Counts,
    trouble: Option<String>,
}

#[derive(Debug, Default)]
struct Counts {
    taken: u64,
    failed: u64,
    dead: u64,
}

#[derive(Debug)]
struct OnItsWay {
    alert_id: String,
    revision: Arc<Revision>,
    word: Word,
}

impl Outbox {
    /// One for each address of each receiver.
    #[must_use]
    pub fn all(config: &NotifyConfig, started: ProcessingTime) -> Vec<Outbox> {
        Target::all(config).into_iter().map(|target| Outbox::new(target, started)).collect()
    }

    pub(super) fn new(target: Target, started: ProcessingTime) -> Outbox {
        let pace = Pace::new(target.rate);
        Outbox {
            target,
            started,
            is_caught_up: false,
            tellings: BTreeMap::new(),
            newest: BTreeMap::new(),
            on_its_way: Vec::new(),
            pace,
            hold: None,
            swept: started,
            counts: Counts::default(),
            trouble: None,
        }
    }

    /// Whether the last request failed.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.trouble.is_some()
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Takes a record. One that was seen before changes nothing.
    #[must_use = "a dead letter is to be published"]
    pub fn take(&mut self, revision: &Arc<Revision>, now: ProcessingTime) -> Option<DeadNotification> {
        let alert = &revision.alert;
        let known = self.newest.get(&alert.fingerprint).cloned();
        let known = known.and_then(|id| self.tellings.get_mut(&id));
        let succession = known.as_ref().map(|telling| revision.succession(&telling.newest));
        match (known, succession) {
            (_, Some(Succession::Known)) => return None,
            (Some(telling), Some(Succession::Revised)) => {
                if self.is_caught_up {
                    telling.settle(&self.target, now);
                } else {
                    telling.pass(&self.target, self.started, revision.published);
                }
                telling.revise(revision.clone());
            }
            _ => {
                let inherited = self.end_without_record(&alert.fingerprint);
                if self.is_full(now) {
                    return Some(self.dead(revision, DeadReason::TooMany, None, String::new()));
                }
                let telling = Telling::new(revision.clone(), inherited);
                self.tellings.insert(alert.alert_id.clone(), telling);
                self.newest.insert(alert.fingerprint.clone(), alert.alert_id.clone());
            }
        }
        if let Some(telling) = self.tellings.get_mut(&alert.alert_id) {
            if self.is_caught_up {
                telling.settle(&self.target, now);
            } else {
                telling.remember(&self.target, self.started);
            }
            if telling.newest.is_over() {
                telling.settle(&self.target, now);
            }
            if telling.is_idle(&self.target, now) && telling.newest.is_as_old_as(KEPT, now) {
                self.tellings.remove(&alert.alert_id);
                self.newest.remove(&alert.fingerprint);
            }
        }
        None
    }

    /// What this fingerprint was about is to be forgotten: its record was deleted.
    pub fn erase(&mut self, fingerprint: &str) {
        drop(self.end_without_record(fingerprint));
    }

    /// All that was published before the start has been taken: only now is anything sent.
    pub fn caught_up(&mut self) {
        if !std::mem::replace(&mut self.is_caught_up, true) {
            for telling in self.tellings.values_mut() {
                telling.pass(&self.target, self.started, self.started);
            }
        }
    }

    /// What is to be done next.
    pub fn next(&mut self, now: ProcessingTime) -> Step {
        if !self.is_caught_up || !self.on_its_way.is_empty() {
            return Step::Wait(None);
        }
        if self.swept.plus(SWEEP) <= now || now < self.swept {
            self.swept = now;
            self.sweep(KEPT, now);
        }
        let soon = now.plus(self.target.goes_along());
        let mut ready = Vec::new();
        let mut wake: Option<ProcessingTime> = None;
        for (id, telling) in &mut self.tellings {
            telling.settle(&self.target, now);
            let due = telling.due(&self.target, now);
            if let Some((at, word)) = due.filter(|(at, _)| *at <= soon) {
                let rank = (at > now, Reverse(telling.newest.alert.severity), telling.attempts, at);
                ready.push((rank, id.clone(), word));
            }
            let later = due.map(|(at, _)| at).into_iter().chain(telling.mute_ends(now));
            wake = later.filter(|at| *at > now).chain(wake).min();
        }
        ready.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        match ready.first() {
            Some(((false, ..), ..)) => {}
            _ => return Step::Wait(wake),
        }
        let held = self.hold.and_then(|hold| hold.end(now));
        if let Some(until) = held.max(self.pace.next(now)) {
            return Step::Wait(Some(until));
        }
        let chosen = ready.into_iter().map(|(_, id, word)| (id, word)).collect();
        match self.send(chosen, now) {
            Some(request) => Step::Send(request),
            None => Step::Wait(wake),
        }
    }

    /// The request for the first of these, and for as many of the others as go along.
    fn send(&mut self, chosen: Vec<(String, Word)>, now: ProcessingTime) -> Option<Request> {
        let mut parcels = Vec::new();
        for (alert_id, word) in chosen {
            let Some(telling) = self.tellings.get_mut(&alert_id) else { continue };
            if parcels.len() >= self.target.parcels_max() || (telling.goes_alone && !parcels.is_empty()) {
                continue;
            }
            let is_alone = telling.goes_alone;
            let mut parcel = Parcel::new(telling.newest.clone(), word);
            parcel.sets = telling.sent();
            self.on_its_way.push(OnItsWay { alert_id, revision: parcel.revision.clone(), word });
            parcels.push(parcel);
            if is_alone {
                break;
            }
        }
        let request = self.target.request(&parcels, now)?;
        self.pace.spend(now);
        Some(request)
    }

    /// The answer to the request that [`Outbox::next`] gave last.
    #[must_use = "dead letters are to be published"]
    pub fn answered(&mut self, answer: &Answer, now: ProcessingTime) -> Vec<DeadNotification> {
        let sent = std::mem::take(&mut self.on_its_way);
        let meaning = answer.meaning(now);
        self.trouble = match meaning {
            Meaning::Told => None,
            Meaning::Later(_) | Meaning::Refused(_) => {
                Some(answer.in_words(|text| self.target.hide_in(text)))
            }
        };
        match meaning {
            Meaning::Told => {
                self.counts.taken += 1;
                for message in sent {
                    self.with(&message.alert_id, |telling| {
                        telling.told(message.word, &message.revision, now)
                    });
                }
                Vec::new()
            }
            Meaning::Later(hold) => self.failed(sent, hold, answer, now),
            // Alertmanager takes what is good of a request and does not say which it was: ask for each
            Meaning::Refused(400 | 413 | 422) if sent.len() > 1 => {
                self.counts.failed += 1;
                for message in sent {
                    self.with(&message.alert_id, Telling::go_alone);
                }
                Vec::new()
            }
            Meaning::Refused(status) => self.refused(sent, status, answer, now),
        }
    }

    fn failed(
        &mut self,
        sent: Vec<OnItsWay>,
        hold: Hold,
        answer: &Answer,
        now: ProcessingTime,
    ) -> Vec<DeadNotification> {
        self.counts.failed += 1;
        let (mut attempts, mut dead) = (1, Vec::new());
        for message in sent {
            let Some(telling) = self.tellings.get_mut(&message.alert_id) else { continue };
            telling.failed(message.word, &self.target, now);
            attempts = attempts.max(telling.attempts);
            if telling.view(now).is_over() && telling.newest.is_as_old_as(KEPT, now) {
                telling.told(message.word, &message.revision, now);
                let said = answer.in_words(|text| self.target.hide_in(text));
                dead.push(self.dead(&message.revision, DeadReason::GivenUp, answer.status(), said));
            }
        }
        let patience = match hold {
            Hold::No => None,
            Hold::ForAWhile => Some(self.target.pause(attempts)),
            Hold::For(patience) => Some(patience),
        };
        self.hold = patience.map(|patience| Wait::new(now, patience)).or(self.hold);
        dead
    }

    fn refused(
        &mut self,
        sent: Vec<OnItsWay>,
        status: u16,
        answer: &Answer,
        now: ProcessingTime,
    ) -> Vec<DeadNotification> {
        let is_repeated = self.target.memory() == Memory::States;
        let mut dead = Vec::new();
        for message in sent {
            let is_news = self.with(&message.alert_id, |telling| {
                telling.told(message.word, &message.revision, now);
                telling.is_refused_anew(&message.revision, status)
            });
            // what is repeated is refused again and again: one dead letter says so
            if is_news != Some(false) || !is_repeated {
                let said = answer.said(|text| self.target.hide_in(text));
                dead.push(self.dead(&message.revision, DeadReason::Refused, Some(status), said));
            }
        }
        dead
    }

    fn with<T>(&mut self, alert_id: &str, change: impl FnOnce(&mut Telling) -> T) -> Option<T> {
        self.tellings.get_mut(alert_id).map(change)
    }

    fn dead(
        &mut self,
        revision: &Revision,
        reason: DeadReason,
        status: Option<u16>,
        said: String,
    ) -> DeadNotification {
        self.counts.dead += 1;
        DeadNotification {
            receiver: self.target.name.clone(),
            target: self.target.address.to_string(),
            topic: revision.topic.name(),
            id: revision.id.clone(),
            alert: revision.alert.clone(),
            reason,
            status,
            said,
        }
    }

    /// The newest episode of a fingerprint is over, whatever its own last revision says: the next one has begun, or it was
    /// erased. Returns what the next one goes on from where receivers know no episodes.
    fn end_without_record(&mut self, fingerprint: &str) -> Option<Telling> {
        let alert_id = self.newest.remove(fingerprint)?;
        match self.target.memory() {
            Memory::States => self.tellings.remove(&alert_id),
            Memory::Keys | Memory::Messages => {
                let telling = self.tellings.get_mut(&alert_id)?;
                telling.end_without_record();
                None
            }
        }
    }

    fn is_full(&mut self, now: ProcessingTime) -> bool {
        if self.tellings.len() >= EPISODES_MAX {
            self.sweep(Duration::ZERO, now);
        }
        self.tellings.len() >= EPISODES_MAX
    }

    /// Lets go of what has ended, was told, and is `kept` no longer.
    fn sweep(&mut self, kept: Duration, now: ProcessingTime) {
        let (target, newest) = (&self.target, &mut self.newest);
        self.tellings.retain(|alert_id, telling| {
            let fingerprint = &telling.newest.alert.fingerprint;
            let is_newest = newest.get(fingerprint) == Some(alert_id);
            let is_kept = is_newest && !telling.newest.is_as_old_as(kept, now);
            let stays = is_kept || !telling.is_idle(target, now);
            if !stays && is_newest {
                newest.remove(fingerprint);
            }
            stays
        });
    }

    /// How things are.
    #[must_use]
    pub fn status(&self, now: ProcessingTime) -> ReceiverStatus {
        let waits = |telling: &&Telling| matches!(self.target.due(&telling.known, &telling.view(now)), Due::At(at, _) if at <= now);
        let waiting = self.tellings.values().filter(waits).count();
        ReceiverStatus {
            receiver: self.target.name.clone(),
            target: self.target.address.to_string(),
            episodes: self.tellings.len(),
            waiting,
            requests_taken: self.counts.taken,
            requests_failed: self.counts.failed,
            dead: self.counts.dead,
            trouble: self.trouble.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
