//! Laws of outboxes over any course of an episode and any failures on the way: beside them stand models of the receivers, which
//! know nothing of ours but the requests that arrive.

use super::answer::Answer;
use super::outbox::{Outbox, Step};
use super::receiver::Request;
use super::revision::Revision;
use super::samples::{HOUR, MINUTE, START, resolved, revision, target};
use crate::event::alert::{Acknowledgement, AlertStatus, Severity};
use crate::time::{EventTime, ProcessingTime};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What happens to an episode.
#[derive(Debug, Clone, Copy)]
enum Change {
    Update,
    Rise,
    Mute(u32),
    Unmute,
    Acknowledge,
    Resolve,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It arrives and is answered.
    Taken,
    /// It arrives, and its answer does not.
    AnswerLost,
    /// It does not arrive.
    Lost,
    /// It is turned away.
    Refuses(u16, Option<u32>),
}

fn changes() -> impl Strategy<Value = Vec<(u32, Change)>> {
    let change = prop_oneof![
        4 => Just(Change::Update),
        1 => Just(Change::Rise),
        1 => (1..60_u32).prop_map(Change::Mute),
        1 => Just(Change::Unmute),
        1 => Just(Change::Acknowledge),
        2 => Just(Change::Resolve),
    ];
    // seconds since the one before
    prop::collection::vec((prop_oneof![0..10_u32, 0..3_000_u32], change), 0..12)
}

fn fates(lost: bool) -> impl Strategy<Value = Vec<Fate>> {
    let weight = u32::from(lost);
    let fate = prop_oneof![
        2 => Just(Fate::Taken),
        weight => Just(Fate::AnswerLost),
        2 => Just(Fate::Lost),
        2 => prop_oneof![Just(500_u16), Just(503), Just(429), Just(408)]
            .prop_flat_map(|status| prop::option::of(0..600_u32).prop_map(move |after| Fate::Refuses(status, after))),
    ];
    prop::collection::vec(fate, 0..25)
}

/// The revisions that a course leads to, as the engine would publish them: after an end comes a return, severity never falls, and
/// a mute that has passed is gone from the next revision.
fn revisions(changes: &[(u32, Change)]) -> Vec<Revision> {
    let mut at = START;
    let mut newest = revision(1);
    newest.alert.severity = Severity::Ticket;
    let mut all = vec![newest.clone()];
    for (number, (gap, change)) in (2..).zip(changes) {
        at = at.plus(Duration::from_secs(u64::from(*gap)));
        let is_over = match change {
            Change::Resolve => true,
            Change::Update | Change::Rise => false,
            // what somebody says opens nothing again
            Change::Mute(_) | Change::Unmute | Change::Acknowledge => {
                newest.alert.status == AlertStatus::Resolved
            }
        };
        let template = if is_over { resolved(number) } else { revision(number) };
        let alert = &mut newest.alert;
        let as_of = EventTime(at.0);
        alert.revision = number;
        alert.as_of_ms = as_of;
        alert.muted_until_ms = alert.muted_until_ms.filter(|until| *until > as_of);
        alert.status = template.alert.status;
        alert.resolved_ms = template.alert.resolved_ms.map(|_| as_of);
        match change {
            Change::Update | Change::Resolve => {}
            Change::Rise => alert.severity = Severity::Page,
            Change::Mute(minutes) => alert.muted_until_ms = Some(as_of.plus(MINUTE * *minutes)),
            Change::Unmute => alert.muted_until_ms = None,
            Change::Acknowledge => {
                let by = "ada".to_owned();
                alert.acknowledged = Some(Acknowledgement { by, at_ms: as_of, note: None });
            }
        }
        newest.published = at;
        newest.id = template.id;
        all.push(newest.clone());
    }
    all
}

/// A receiver, as far as its kind is one.
#[derive(Debug, Default)]
struct Receiver {
    /// Slack: first lines. A webhook: revisions.
    told: Vec<String>,
    /// PagerDuty: incidents that are open, by key, and how many ever were.
    incidents: BTreeMap<String, bool>,
    opened: usize,
    /// Alertmanager: when each set of labels ends.
    sets: BTreeMap<String, String>,
}

impl Receiver {
    fn arrives(&mut self, request: &Request) {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        if let Some(alerts) = body.as_array() {
            for alert in alerts {
                assert!(text(&alert["startsAt"]) <= text(&alert["endsAt"]), "{alert}");
                self.sets.insert(alert["labels"].to_string(), text(&alert["endsAt"]));
            }
        } else if let Some(action) = body["event_action"].as_str() {
            let key = text(&body["dedup_key"]);
            match (action, self.incidents.contains_key(&key)) {
                ("trigger", false) => {
                    self.incidents.insert(key, false);
                    self.opened += 1;
                }
                ("acknowledge", true) => drop(self.incidents.insert(key, true)),
                ("resolve", true) => drop(self.incidents.remove(&key)),
                _ => {}
            }
        } else if let Some(text) = body["text"].as_str() {
            self.told.push(text.lines().next().unwrap_or_default().to_owned());
        } else {
            self.told.push(format!("{:04}", body["revision"].as_u64().expect("a number")));
        }
    }

    /// Alertmanager: severities of the alerts that are active.
    fn active(&self, now: ProcessingTime) -> Vec<&str> {
        let now = super::wording::rfc3339(EventTime(now.0));
        let active = self.sets.iter().filter(|(_, ends)| **ends > now);
        active.map(|(labels, _)| if labels.contains("\"page\"") { "page" } else { "ticket" }).collect()
    }
}

/// An outbox, its receiver, and what is still to happen to requests between them.
struct World {
    outbox: Outbox,
    receiver: Receiver,
    fates: std::vec::IntoIter<Fate>,
    now: ProcessingTime,
}

impl World {
    fn new(name: &str, fates: Vec<Fate>) -> World {
        let mut outbox = Outbox::new(target(name), START);
        outbox.caught_up();
        World { outbox, receiver: Receiver::default(), fates: fates.into_iter(), now: START }
    }

    fn take(&mut self, revision: &Revision) {
        assert_eq!(self.outbox.take(&Arc::new(revision.clone()), self.now), None);
    }

    /// Sends what is due until then; an answer takes a second.
    fn go_on(&mut self, until: ProcessingTime) {
        while self.now < until {
            match self.outbox.next(self.now) {
                Step::Wait(None) => self.now = until,
                Step::Wait(Some(at)) => {
                    assert!(at > self.now, "it waits for what has come");
                    self.now = at.min(until);
                }
                Step::Send(request) => {
                    let fate = self.fates.next().unwrap_or(Fate::Taken);
                    if matches!(fate, Fate::Taken | Fate::AnswerLost) {
                        self.receiver.arrives(&request);
                    }
                    self.now = self.now.plus(Duration::from_secs(1));
                    assert_eq!(self.outbox.answered(&answer(fate), self.now), []);
                }
            }
        }
    }

    /// The whole course, and three hours more: mutes have ended, and the receiver has answered again.
    fn run(&mut self, revisions: &[Revision]) {
        for revision in revisions {
            self.go_on(revision.published);
            self.take(revision);
        }
        let end = revisions.last().map_or(START, |last| last.published);
        self.go_on(end.max(self.now).plus(HOUR * 3));
    }

    /// We die and start again so much later, and read what is left of the log.
    fn restart(&mut self, name: &str, log: &[Revision]) {
        self.outbox = Outbox::new(target(name), self.now);
        for revision in log {
            self.take(revision);
        }
        self.outbox.caught_up();
    }
}

fn answer(fate: Fate) -> Answer {
    match fate {
        Fate::Taken => Answer::Status { status: 200, retry_after: None, said: String::new() },
        Fate::AnswerLost | Fate::Lost => Answer::None { why: "timed out".to_owned() },
        Fate::Refuses(status, after) => {
            let retry_after = after.map(|seconds| seconds.to_string());
            Answer::Status { status, retry_after, said: String::new() }
        }
    }
}

fn is_open(revisions: &[Revision]) -> bool {
    revisions.last().is_some_and(|last| last.alert.status == AlertStatus::Open)
}

/// How often one revision is followed by such another.
fn count(revisions: &[Revision], change: impl Fn(&Revision, &Revision) -> bool) -> usize {
    revisions.windows(2).filter(|pair| matches!(pair, [before, after] if change(before, after))).count()
}

fn returns(revisions: &[Revision]) -> usize {
    let is_over = |revision: &Revision| revision.alert.status == AlertStatus::Resolved;
    count(revisions, |before, after| is_over(before) && !is_over(after))
}

fn mutes(revisions: &[Revision]) -> usize {
    revisions.iter().filter(|revision| revision.alert.muted_until_ms.is_some()).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..Default::default() })]

    #[test]
    fn alertmanager_ends_up_with_what_is_open_in_its_severity_and_nothing_else(
        changes in changes(), fates in fates(true)
    ) {
        let revisions = revisions(&changes);
        let mut world = World::new("cluster", fates);
        world.run(&revisions);
        let severity = revisions.last().map(|last| last.alert.severity.name());
        let expected: Vec<_> = severity.filter(|_| is_open(&revisions)).into_iter().collect();
        prop_assert_eq!(world.receiver.active(world.now), expected);
    }

    #[test]
    fn pagerduty_ends_up_with_an_incident_for_what_is_open_and_none_for_what_is_over(
        changes in changes(), fates in fates(true)
    ) {
        let revisions: Vec<_> = revisions(&changes).into_iter().map(|mut revision| {
            revision.alert.severity = Severity::Page;
            revision
        }).collect();
        let mut world = World::new("night", fates);
        world.run(&revisions);
        let is_taken = revisions.iter().any(|revision| revision.alert.acknowledged.is_some());
        let incidents = world.receiver.incidents.len();
        if !is_open(&revisions) {
            prop_assert_eq!(incidents, 0);
        } else if !is_taken {
            prop_assert_eq!(incidents, 1);
        }
        let most = 1 + returns(&revisions) + mutes(&revisions);
        prop_assert!(world.receiver.opened <= most, "{} incidents", world.receiver.opened);
    }

    #[test]
    fn slack_hears_each_piece_of_news_once_and_in_order_if_no_answer_is_lost(
        changes in changes(), fates in fates(false)
    ) {
        let revisions = revisions(&changes);
        let mut world = World::new("channel", fates);
        world.run(&revisions);
        let told = &world.receiver.told;
        let times = |what: &str| told.iter().filter(|line| line.contains(what)).count();
        prop_assert!(times("now a") + times("Now a") <= 1, "{:?}", told);
        prop_assert!(times("Ticket: ") + times("Page: ") <= 1, "{:?}", told);
        prop_assert!(times("Resolved") <= 1 + returns(&revisions), "{:?}", told);
        prop_assert!(times("open again") <= returns(&revisions), "{:?}", told);
        prop_assert!(times("after its mute") <= mutes(&revisions), "{:?}", told);
        // it never hears the same twice running, and last what is so
        let is_same = |pair: &[String]| {
            let both = pair.concat();
            // a silent end may stand between two returns, and nothing between the ends of two mutes
            pair.first() == pair.last() && !both.contains("mute") && !both.contains("again")
        };
        prop_assert!(!told.windows(2).any(is_same), "{:?}", told);
        let last = told.last().map(|line| line.contains("Resolved"));
        // a silent end is followed by no other
        let last_open = revisions.iter().rposition(|revision| revision.alert.status == AlertStatus::Open);
        let end = last_open.and_then(|place| revisions.get(place + 1));
        let was_muted = end.is_some_and(|end| end.alert.muted_until_ms.is_some());
        if is_open(&revisions) {
            prop_assert_eq!(last, Some(false));
        } else if !was_muted {
            prop_assert!(last != Some(false), "{:?}", told);
        }
    }

    #[test]
    fn a_webhook_ends_up_with_the_newest_revision_and_never_hears_an_older_one_after_a_newer(
        changes in changes(), fates in fates(true)
    ) {
        let revisions = revisions(&changes);
        let mut world = World::new("ticket", fates);
        world.run(&revisions);
        let told = &world.receiver.told;
        prop_assert!(told.is_sorted(), "{:?}", told);
        if is_open(&revisions) {
            let newest = revisions.last().map(|last| format!("{:04}", last.alert.revision));
            prop_assert_eq!(told.last(), newest.as_ref());
        }
    }

    #[test]
    fn a_restart_at_a_quiet_moment_changes_nothing_for_anybody(
        changes in changes(), place in any::<prop::sample::Index>(), is_compacted: bool
    ) {
        // what changes again before it can be sent was not told before a restart, and counts as told after it
        let changes: Vec<_> = changes.into_iter().map(|(gap, change)| (gap + 5, change)).collect();
        let revisions = revisions(&changes);
        // whether an end was silent cannot be told from a later record that is muted
        let is_over = |revision: &Revision| revision.alert.status == AlertStatus::Resolved;
        let is_muted = |revision: &Revision| revision.alert.muted_until_ms.is_some();
        let late_mutes = count(&revisions, |before, after| is_over(before) && is_over(after) && is_muted(after));
        let is_compacted = is_compacted && late_mutes == 0;
        let place = place.index(revisions.len()) + 1;
        let (before, after) = revisions.split_at(place);
        // beyond the longest mute and the longest catch-up
        let quiet = MINUTE * 130;
        let shifted: Vec<_> = after.iter().map(|revision| {
            let mut later = revision.clone();
            later.published = later.published.plus(quiet);
            later.alert.as_of_ms = later.alert.as_of_ms.plus(quiet);
            later.alert.muted_until_ms = later.alert.muted_until_ms.map(|until| until.plus(quiet));
            later
        }).collect();
        let whole: Vec<_> = before.iter().chain(&shifted).cloned().collect();
        for name in ["cluster", "night", "channel", "ticket"] {
            let mut unbroken = World::new(name, Vec::new());
            unbroken.run(&whole);
            let mut broken = World::new(name, Vec::new());
            for revision in before {
                broken.go_on(revision.published);
                broken.take(revision);
            }
            let end = before.last().map_or(START, |last| last.published);
            broken.go_on(end.plus(quiet));
            let log = if is_compacted { before.get(place - 1..).unwrap_or_default() } else { before };
            broken.restart(name, log);
            broken.run(&shifted);
            // that an acknowledgement is from before a return stands in no later record
            let is_lost = whole.iter().any(|revision| revision.alert.acknowledged.is_some());
            if !is_lost {
                prop_assert_eq!(broken.receiver.opened, unbroken.receiver.opened, "{}", name);
                prop_assert_eq!(&broken.receiver.incidents, &unbroken.receiver.incidents, "{}", name);
            }
            if !(is_lost && is_compacted) {
                let (found, expected) = (&broken.receiver.told, &unbroken.receiver.told);
                prop_assert_eq!(found.len(), expected.len(), "{}: {:?} {:?}", name, found, expected);
            }
            prop_assert_eq!(broken.receiver.active(broken.now), unbroken.receiver.active(unbroken.now), "{}", name);
        }
    }

    #[test]
    fn the_same_course_and_failures_give_the_same_requests(changes in changes(), fates in fates(true)) {
        let revisions = revisions(&changes);
        for name in ["cluster", "night", "channel", "ticket"] {
            let run = || {
                let mut world = World::new(name, fates.clone());
                world.run(&revisions);
                format!("{:?}", world.receiver)
            };
            prop_assert_eq!(run(), run());
        }
    }
}
