use super::*;
use crate::event::alert::{Acknowledgement, AlertStatus, Severity};
use crate::notify::samples::{HOUR, MINUTE, START, resolved, revision, target};
use crate::notify::settings::ReceiverKind;
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);

/// An outbox that has caught up with nothing.
fn outbox(name: &str) -> Outbox {
    let mut outbox = Outbox::new(target(name), START);
    outbox.caught_up();
    outbox
}

fn take(outbox: &mut Outbox, revision: Revision, now: ProcessingTime) {
    assert_eq!(outbox.take(&Arc::new(revision), now), None);
}

/// The body of the next request, which has to be due.
fn body(outbox: &mut Outbox, now: ProcessingTime) -> Value {
    match outbox.next(now) {
        Step::Send(request) => serde_json::from_slice(&request.body).expect("JSON"),
        Step::Wait(until) => panic!("waits until {until:?}"),
    }
}

fn waits(outbox: &mut Outbox, now: ProcessingTime) -> Option<ProcessingTime> {
    match outbox.next(now) {
        Step::Send(request) => panic!("sends {}", String::from_utf8_lossy(&request.body)),
        Step::Wait(until) => until,
    }
}

fn status(status: u16) -> Answer {
    Answer::Status { status, retry_after: None, said: "said so".to_owned() }
}

fn taken(outbox: &mut Outbox, now: ProcessingTime) {
    assert_eq!(outbox.answered(&status(202), now), []);
}

/// Bodies of all that is due, each of which is taken at once.
fn bodies(outbox: &mut Outbox, now: ProcessingTime) -> Vec<Value> {
    let mut bodies = Vec::new();
    while let Step::Send(request) = outbox.next(now) {
        bodies.push(serde_json::from_slice(&request.body).expect("JSON"));
        taken(outbox, now);
    }
    bodies
}

fn headlines(outbox: &mut Outbox, now: ProcessingTime) -> Vec<String> {
    let headline = |body: &Value| {
        let text = body["text"].as_str().expect("a text").lines().next().expect("a line").to_owned();
        text.split(": ").nth(1).map(str::to_owned)
    };
    bodies(outbox, now).iter().filter_map(headline).collect()
}

fn actions(outbox: &mut Outbox, now: ProcessingTime) -> Vec<String> {
    bodies(outbox, now).iter().map(|body| body["event_action"].as_str().expect("a text").to_owned()).collect()
}

/// Another episode, about something else.
fn other(number: u64, severity: Severity) -> Revision {
    let mut other = revision(1);
    other.alert.alert_id = format!("{number:016x}");
    other.alert.fingerprint = format!("{number:016x}");
    other.alert.severity = severity;
    other
}

/// The next episode about the same.
fn next_episode() -> Revision {
    let mut next = revision(1);
    next.alert.alert_id = "00000000000000ff".to_owned();
    next.alert.detected_ms = next.alert.detected_ms.plus(HOUR);
    next.alert.as_of_ms = next.alert.as_of_ms.plus(HOUR);
    next.published = next.published.plus(HOUR);
    next
}

fn muted(mut revision: Revision, for_so_long: Duration) -> Revision {
    revision.alert.muted_until_ms = Some(revision.alert.as_of_ms.plus(for_so_long));
    revision
}

fn acknowledged(mut revision: Revision, at: &Revision) -> Revision {
    let at_ms = at.alert.as_of_ms;
    revision.alert.acknowledged = Some(Acknowledgement { by: "ada".to_owned(), at_ms, note: None });
    revision
}

#[test]
fn nothing_is_sent_before_all_that_was_there_was_read() {
    let mut outbox = Outbox::new(target("night"), START.plus(MINUTE));
    take(&mut outbox, revision(1), START);
    assert_eq!(waits(&mut outbox, START), None);
    take(&mut outbox, resolved(2), START);
    outbox.caught_up();
    assert_eq!(actions(&mut outbox, START.plus(MINUTE)), ["resolve"], "and no trigger");
}

#[test]
fn a_newer_revision_takes_the_place_of_one_that_waits() {
    let mut outbox = outbox("ticket");
    take(&mut outbox, revision(1), START);
    assert_eq!(body(&mut outbox, START)["revision"], 1);
    take(&mut outbox, revision(2), START);
    assert_eq!(waits(&mut outbox, START), None, "the first is still on its way");
    assert_eq!(outbox.answered(&status(500), START), []);
    take(&mut outbox, revision(3), START);
    assert_eq!(body(&mut outbox, START)["revision"], 3);
    take(&mut outbox, revision(4), START);
    taken(&mut outbox, START);
    assert_eq!(body(&mut outbox, START)["revision"], 4);
    taken(&mut outbox, START);
    assert_eq!(waits(&mut outbox, START), None);
}

#[test]
fn what_comes_twice_is_sent_once() {
    let mut outbox = outbox("ticket");
    for number in [1, 2, 1, 2] {
        take(&mut outbox, revision(number), START);
    }
    assert_eq!(bodies(&mut outbox, START).len(), 1);
    take(&mut outbox, revision(1), START);
    take(&mut outbox, revision(2), START);
    assert_eq!(bodies(&mut outbox, START).len(), 0);
}

#[test]
fn a_message_that_fails_waits_longer_each_time_and_others_do_not_wait_for_it() {
    let mut outbox = outbox("ticket");
    take(&mut outbox, revision(1), START);
    let mut now = START;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert_eq!(body(&mut outbox, now)["alert_id"], "0123456789abcdef");
        assert_eq!(outbox.answered(&status(500), now), []);
        let until = waits(&mut outbox, now).expect("an end");
        pauses.push(until.since(now).as_secs());
        now = until;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    let early = ProcessingTime(now.0 - 1);
    take(&mut outbox, other(1, Severity::Info), early);
    assert_eq!(body(&mut outbox, early)["alert_id"], "0000000000000001");
    taken(&mut outbox, early);
    assert_eq!(outbox.status(early).trouble, None);
}

#[test]
fn an_alertmanager_that_comes_back_waits_no_longer_than_for_a_repeat() {
    let mut config = crate::notify::samples::config();
    if let Some(ReceiverKind::Alertmanager { repeat, .. }) =
        config.receivers.first_mut().map(|receiver| &mut receiver.kind)
    {
        *repeat = SECOND * 5;
    }
    let mut outbox = Outbox::all(&config, START).swap_remove(0);
    outbox.caught_up();
    take(&mut outbox, revision(1), START);
    let mut now = START;
    let mut pauses = Vec::new();
    for _ in 0..5 {
        body(&mut outbox, now);
        assert_eq!(outbox.answered(&status(500), now), []);
        let until = waits(&mut outbox, now).expect("an end");
        pauses.push(until.since(now).as_secs());
        now = until;
    }
    assert_eq!(pauses, [1, 2, 4, 5, 5]);
}

#[test]
fn a_receiver_that_asks_for_patience_is_left_alone() {
    let mut outbox = outbox("ticket");
    take(&mut outbox, revision(1), START);
    body(&mut outbox, START);
    let busy = Answer::Status { status: 429, retry_after: Some("30".to_owned()), said: String::new() };
    assert_eq!(outbox.answered(&busy, START), []);
    take(&mut outbox, other(1, Severity::Page), START);
    assert_eq!(waits(&mut outbox, START.plus(SECOND)), Some(START.plus(SECOND * 30)));
    assert_eq!(bodies(&mut outbox, START.plus(SECOND * 30)).len(), 2);
}

#[test]
fn what_is_refused_is_a_dead_letter_and_the_next_message_is_tried_again() {
    let mut outbox = outbox("night");
    take(&mut outbox, revision(1), START);
    body(&mut outbox, START);
    let said = "invalid routing key s3cr3t-of-it".to_owned();
    let dead = outbox.answered(&Answer::Status { status: 400, retry_after: None, said }, START);
    let expected = DeadNotification {
        receiver: "night".to_owned(),
        target: "https://events.pagerduty.com".to_owned(),
        topic: "alerts.drift",
        id: revision(1).id,
        alert: revision(1).alert,
        reason: DeadReason::Refused,
        status: Some(400),
        said: "invalid routing key …".to_owned(),
    };
    assert_eq!(dead, [expected]);
    assert_eq!(waits(&mut outbox, START), None);
    let now = outbox.status(START);
    assert_eq!((now.dead, now.waiting), (1, 0));
    assert_eq!(now.trouble.as_deref(), Some("answered 400: invalid routing key …"));
    take(&mut outbox, resolved(2), START);
    assert_eq!(actions(&mut outbox, START), ["resolve"]);
}

#[test]
fn pages_go_first_and_then_who_has_waited_longest() {
    let mut outbox = outbox("ticket");
    let severities = [Severity::Info, Severity::Ticket, Severity::Page, Severity::Ticket, Severity::Page];
    for (number, severity) in (1..).zip(severities) {
        take(&mut outbox, other(number, severity), START);
    }
    let sent: Vec<_> = bodies(&mut outbox, START)
        .iter()
        .map(|body| body["alert_id"].as_str().expect("a text").trim_start_matches('0').to_owned())
        .collect();
    assert_eq!(sent, ["3", "5", "2", "4", "1"]);
}

#[test]
fn a_receiver_is_called_no_more_often_than_its_rate_allows() {
    let mut outbox = outbox("ticket");
    for number in 1..=15 {
        take(&mut outbox, other(number, Severity::Page), START);
    }
    let sent: Vec<_> = (0..8).map(|second| bodies(&mut outbox, START.plus(SECOND * second)).len()).collect();
    assert_eq!(sent, [10, 1, 1, 1, 1, 1, 0, 0]);
}

#[test]
fn slack_is_told_of_news_only() {
    let mut outbox = outbox("channel");
    let mut now = START;
    let mut ticket = revision(1);
    ticket.alert.severity = Severity::Ticket;
    let mut after_mute = revision(6);
    after_mute.published = START.plus(HOUR * 2);
    let steps = [
        (ticket, vec!["Ticket"]),
        (revision(2), vec!["Now a page"]),
        (revision(3), vec![]),
        (muted(revision(4), HOUR), vec![]),
        (muted(revision(5), HOUR), vec![]),
        (after_mute, vec!["Page, still open after its mute"]),
        (resolved(7), vec!["Resolved"]),
        (acknowledged(resolved(8), &revision(8)), vec![]),
        (revision(9), vec!["Page, open again"]),
    ];
    for (revision, expected) in steps {
        now = now.max(revision.published);
        let number = revision.alert.revision;
        take(&mut outbox, revision, now);
        assert_eq!(headlines(&mut outbox, now), expected, "revision {number}");
    }
}

#[test]
fn the_end_of_a_mute_is_heard_without_a_record_and_not_if_somebody_has_it_in_hand() {
    for (is_taken, expected) in [(false, vec!["Page, still open after its mute"]), (true, vec![])] {
        let mut outbox = outbox("channel");
        take(&mut outbox, revision(1), START);
        assert_eq!(headlines(&mut outbox, START), ["Page"]);
        let quiet = muted(revision(2), HOUR);
        let quiet = if is_taken { acknowledged(quiet, &revision(2)) } else { quiet };
        let now = quiet.published;
        take(&mut outbox, quiet, now);
        let end = waits(&mut outbox, now).expect("the end of the mute");
        assert_eq!(end, now.plus(HOUR));
        assert_eq!(headlines(&mut outbox, end), expected);
        assert_eq!(waits(&mut outbox, end), None);
    }
}

#[test]
fn an_incident_follows_its_episode_through_mutes_acknowledgements_and_a_return() {
    let mut outbox = outbox("night");
    let mut now = START;
    let mut ticket = revision(1);
    ticket.alert.severity = Severity::Ticket;
    let late = |mut revision: Revision| {
        revision.published = revision.published.plus(HOUR * 2);
        revision.alert.as_of_ms = revision.alert.as_of_ms.plus(HOUR * 2);
        revision
    };
    let steps: Vec<(Revision, &[&str])> = vec![
        // the filter lets pages through only
        (acknowledged(ticket, &revision(1)), &[]),
        // somebody took on a ticket, not a page
        (acknowledged(revision(2), &revision(1)), &["trigger"]),
        (acknowledged(revision(3), &revision(3)), &["acknowledge"]),
        (acknowledged(revision(4), &revision(3)), &[]),
        (acknowledged(muted(revision(5), HOUR), &revision(3)), &["resolve"]),
        // the mute is over: what was taken on before is to be taken on again
        (acknowledged(late(revision(6)), &revision(3)), &["trigger"]),
        (acknowledged(late(revision(7)), &late(revision(7))), &["acknowledge"]),
        (acknowledged(late(resolved(8)), &late(revision(7))), &["resolve"]),
        (acknowledged(late(resolved(9)), &late(revision(9))), &[]),
        (acknowledged(late(revision(10)), &late(revision(9))), &["trigger"]),
        (late(resolved(11)), &["resolve"]),
    ];
    for (revision, expected) in steps {
        now = now.max(revision.published);
        let number = revision.alert.revision;
        take(&mut outbox, revision, now);
        assert_eq!(actions(&mut outbox, now), expected, "revision {number}");
    }
}

#[test]
fn a_trigger_that_may_have_arrived_is_followed_by_its_end() {
    for end in [resolved(2), muted(revision(2), HOUR)] {
        let mut outbox = outbox("night");
        take(&mut outbox, revision(1), START);
        assert_eq!(body(&mut outbox, START)["event_action"], "trigger");
        let lost = Answer::None { why: "timed out".to_owned() };
        assert_eq!(outbox.answered(&lost, START), []);
        take(&mut outbox, end, START);
        assert_eq!(actions(&mut outbox, START), ["resolve"]);
        assert_eq!(actions(&mut outbox, START.plus(MINUTE * 2)), Vec::<String>::new());
    }
}

#[test]
fn all_that_is_due_at_alertmanager_goes_in_one_request_and_again_a_minute_later() {
    let mut outbox = outbox("cluster");
    for number in 1..=20 {
        take(&mut outbox, other(number, Severity::Page), START);
    }
    let sent = bodies(&mut outbox, START);
    assert_eq!(sent.iter().map(|body| body.as_array().map(Vec::len)).collect::<Vec<_>>(), [Some(20)]);
    let later = START.plus(SECOND * 40);
    take(&mut outbox, other(21, Severity::Page), later);
    assert_eq!(bodies(&mut outbox, later)[0].as_array().map(Vec::len), Some(21), "they go along");
    assert_eq!(waits(&mut outbox, later), Some(later.plus(MINUTE)));
}

#[test]
fn one_bad_alert_keeps_no_other_from_alertmanager() {
    let mut outbox = outbox("cluster");
    for number in 1..=3 {
        take(&mut outbox, other(number, Severity::Page), START);
    }
    let is_bad = |body: &Value| body.to_string().contains("0000000000000002");
    let (mut taken, mut dead) = (Vec::new(), Vec::new());
    let mut now = START;
    while now < START.plus(MINUTE * 2) {
        match outbox.next(now) {
            Step::Send(request) => {
                let body: Value = serde_json::from_slice(&request.body).expect("JSON");
                let answer = if is_bad(&body) { 400 } else { 200 };
                taken.extend((answer == 200).then_some(body));
                dead.extend(outbox.answered(&status(answer), now));
            }
            Step::Wait(until) => now = until.expect("a repeat"),
        }
    }
    let refused: Vec<_> = dead.iter().map(|dead| (&*dead.alert.alert_id, dead.status)).collect();
    assert_eq!(refused, [("0000000000000002", Some(400))], "once, although it is repeated");
    let all = serde_json::to_string(&taken).expect("JSON");
    assert!(all.contains("0000000000000001") && all.contains("0000000000000003"));
}

#[test]
fn the_next_episode_about_the_same_ends_the_one_before_where_episodes_are_known() {
    let next = next_episode();
    let now = next.published;
    let mut night = outbox("night");
    take(&mut night, revision(1), START);
    assert_eq!(actions(&mut night, START), ["trigger"]);
    take(&mut night, next.clone(), now);
    let sent = bodies(&mut night, now);
    let sent: Vec<_> =
        sent.iter().map(|body| (body["event_action"].as_str(), body["dedup_key"].as_str())).collect();
    let expected = [
        (Some("resolve"), Some("tillstream/shop/0123456789abcdef")),
        (Some("trigger"), Some("tillstream/shop/00000000000000ff")),
    ];
    assert!(expected.iter().all(|event| sent.contains(event)) && sent.len() == 2, "{sent:?}");
    take(&mut night, resolved(2), now);
    assert_eq!(actions(&mut night, now), Vec::<String>::new(), "what is older says nothing");

    let mut cluster = outbox("cluster");
    take(&mut cluster, revision(1), START);
    bodies(&mut cluster, START);
    take(&mut cluster, next.clone(), now);
    let sent = body(&mut cluster, now);
    assert_eq!(sent.as_array().map(Vec::len), Some(1), "one set of labels");
    assert!(sent[0]["endsAt"].as_str() > sent[0]["startsAt"].as_str());

    let mut channel = outbox("channel");
    take(&mut channel, revision(1), START);
    assert_eq!(headlines(&mut channel, START), ["Page"]);
    take(&mut channel, next, now);
    assert_eq!(headlines(&mut channel, now), ["Page"]);
}

#[test]
fn an_end_that_waits_is_told_although_the_next_episode_has_begun() {
    let mut outbox = outbox("channel");
    take(&mut outbox, revision(1), START);
    assert_eq!(headlines(&mut outbox, START), ["Page"]);
    take(&mut outbox, resolved(2), START);
    take(&mut outbox, next_episode(), START);
    let mut told = headlines(&mut outbox, START);
    told.sort_unstable();
    assert_eq!(told, ["Page", "Resolved"]);
    assert_eq!(outbox.status(START).waiting, 0);
}

#[test]
fn what_is_erased_is_resolved_by_its_key_and_otherwise_forgotten() {
    for (name, expected) in [("night", 1), ("channel", 0), ("ticket", 0), ("cluster", 0)] {
        let mut outbox = outbox(name);
        take(&mut outbox, revision(1), START);
        bodies(&mut outbox, START);
        outbox.erase("fedcba9876543210");
        let sent = bodies(&mut outbox, START.plus(MINUTE * 2));
        assert_eq!(sent.len(), expected, "{name}");
        assert_eq!(bodies(&mut outbox, START.plus(HOUR)).len(), 0, "{name}");
        assert_eq!(outbox.status(START.plus(HOUR)).episodes, 0, "{name}");
    }
}

#[test]
fn memory_is_bounded_by_the_number_of_open_episodes() {
    let mut outbox = outbox("ticket");
    let most = EPISODES_MAX as u64;
    for number in 1..=most {
        let mut ended = other(number, Severity::Page);
        ended.alert.status = if number <= 10 { AlertStatus::Resolved } else { AlertStatus::Open };
        take(&mut outbox, ended, START);
    }
    for number in most + 1..=most + 10 {
        take(&mut outbox, other(number, Severity::Page), START);
    }
    assert_eq!(outbox.status(START).episodes, EPISODES_MAX, "what has ended made room");
    let refused = outbox.take(&Arc::new(other(most + 11, Severity::Page)), START);
    assert_eq!(refused.map(|dead| dead.reason), Some(DeadReason::TooMany));
}

#[test]
fn what_has_ended_is_forgotten_a_day_later() {
    for name in ["cluster", "night", "channel", "ticket"] {
        let mut outbox = outbox(name);
        take(&mut outbox, revision(1), START);
        bodies(&mut outbox, START);
        let ended = resolved(2);
        let day = ended.published.plus(KEPT);
        take(&mut outbox, ended, START.plus(MINUTE));
        let mut now = START.plus(MINUTE);
        while now < day {
            bodies(&mut outbox, now);
            assert_eq!(outbox.status(now).episodes, 1, "{name}");
            now = now.plus(MINUTE);
        }
        bodies(&mut outbox, day);
        assert_eq!(outbox.status(day).episodes, 0, "{name}");
    }
}

#[test]
fn an_end_that_nobody_takes_is_given_up_after_a_day() {
    let mut outbox = outbox("channel");
    take(&mut outbox, revision(1), START);
    headlines(&mut outbox, START);
    let ended = resolved(2);
    let day = ended.published.plus(KEPT);
    take(&mut outbox, ended, START.plus(MINUTE));
    let lost = Answer::None { why: "connection refused".to_owned() };
    let mut now = START.plus(MINUTE);
    let dead = loop {
        match outbox.next(now) {
            Step::Wait(until) => now = until.expect("an attempt"),
            Step::Send(_) => {
                let dead = outbox.answered(&lost, now);
                if !dead.is_empty() {
                    break dead;
                }
            }
        }
    };
    assert!(now > day && now < day.plus(MINUTE * 2));
    let dead: Vec<_> = dead.iter().map(|dead| (dead.reason, dead.status, &*dead.said)).collect();
    assert_eq!(dead, [(DeadReason::GivenUp, None, "connection refused")]);
    assert_eq!(waits(&mut outbox, now), None);
}

/// What each receiver is told after a start at which these records were read, the last of them published so long ago.
fn after_a_start(name: &str, records: &[Revision], ago: Duration) -> Vec<Value> {
    let last = records.last().map_or(START, |record| record.published);
    let started = last.plus(ago);
    let mut outbox = Outbox::new(target(name), started);
    for record in records {
        take(&mut outbox, record.clone(), started);
    }
    outbox.caught_up();
    bodies(&mut outbox, started)
}

#[test]
fn a_start_repeats_nothing_in_slack_but_what_is_minutes_old() {
    let minutes = |minutes: u32| MINUTE * minutes;
    let ticket = |number| {
        let mut ticket = revision(number);
        ticket.alert.severity = Severity::Ticket;
        ticket
    };
    let long_open = |mut revision: Revision| {
        revision.alert.detected_ms = revision.alert.detected_ms.minus(HOUR);
        revision
    };
    let cases: Vec<(&str, Vec<Revision>, Duration, usize)> = vec![
        ("opened within five minutes", vec![revision(1)], minutes(4), 1),
        ("opened five minutes ago", vec![revision(1)], minutes(5), 0),
        ("open for long, changed now", vec![revision(1), revision(20)], minutes(1), 0),
        ("open for long, compacted", vec![revision(20)], minutes(1), 0),
        ("opened lately, compacted", vec![revision(3)], minutes(1), 1),
        ("first said long after it was detected", vec![long_open(revision(1))], minutes(1), 1),
        ("worse since lately", vec![ticket(1), revision(20)], minutes(1), 1),
        ("worse since long", vec![ticket(1), revision(20)], minutes(6), 0),
        ("ended lately", vec![revision(1), resolved(20)], minutes(1), 1),
        ("ended lately, compacted", vec![resolved(20)], minutes(1), 1),
        ("ended long ago", vec![revision(1), resolved(20)], minutes(6), 0),
        ("ended long ago, compacted", vec![resolved(20)], minutes(6), 0),
        ("opened and ended lately", vec![revision(1), resolved(2)], minutes(1), 1),
        ("muted still", vec![revision(1), muted(revision(20), HOUR)], minutes(30), 0),
        ("muted until lately", vec![revision(1), muted(revision(20), minutes(30))], minutes(32), 1),
        ("muted until long ago", vec![revision(1), muted(revision(20), minutes(30))], minutes(36), 0),
    ];
    for (name, records, ago, expected) in cases {
        let told = after_a_start("channel", &records, ago);
        assert_eq!(told.len(), expected, "{name}: {told:?}");
    }
}

#[test]
fn a_start_tells_pagerduty_again_what_its_keys_make_one_and_nothing_of_what_is_long_over() {
    let day = HOUR * 24;
    let mut ticket = resolved(2);
    ticket.alert.severity = Severity::Ticket;
    let quiet = muted(revision(2), HOUR * 48);
    let taken = acknowledged(revision(2), &revision(2));
    let cases: Vec<(&str, Vec<Revision>, Duration, &[&str])> = vec![
        ("open for long", vec![revision(1)], day * 7, &["trigger"]),
        ("in hand", vec![revision(1), taken], day * 7, &["acknowledge"]),
        ("ended while we were away", vec![revision(1), resolved(2)], HOUR, &["resolve"]),
        ("ended while we were away, compacted", vec![resolved(2)], HOUR, &["resolve"]),
        ("ended long ago", vec![revision(1), resolved(2)], day, &[]),
        ("ended, and never was for it", vec![ticket], HOUR, &[]),
        ("muted while we were away", vec![revision(1), quiet.clone()], HOUR, &["resolve"]),
        ("muted long ago and still", vec![revision(1), quiet], day, &[]),
    ];
    for (name, records, ago, expected) in cases {
        let told = after_a_start("night", &records, ago);
        let told: Vec<_> = told.iter().filter_map(|body| body["event_action"].as_str()).collect();
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn a_start_posts_what_is_open_to_alertmanager_and_what_ended_a_moment_ago() {
    let mut ticket = revision(1);
    ticket.alert.severity = Severity::Ticket;
    let cases: Vec<(&str, Vec<Revision>, Duration, usize)> = vec![
        ("open for long", vec![revision(1)], HOUR * 48, 1),
        ("ended a moment ago", vec![revision(1), resolved(2)], MINUTE * 14, 1),
        ("ended a moment ago, compacted", vec![resolved(2)], MINUTE * 14, 1),
        ("ended a while ago", vec![revision(1), resolved(2)], MINUTE * 15, 0),
        ("worse since a moment ago", vec![ticket.clone(), revision(2)], MINUTE * 14, 2),
        ("worse since a while ago", vec![ticket, revision(2)], MINUTE * 15, 1),
        ("muted", vec![revision(1), muted(revision(2), HOUR)], MINUTE * 15, 0),
    ];
    for (name, records, ago, expected) in cases {
        let told = after_a_start("cluster", &records, ago);
        let sets: usize = told.iter().filter_map(Value::as_array).map(Vec::len).sum();
        assert_eq!(sets, expected, "{name}");
    }
}

#[test]
fn a_start_with_many_old_episodes_keeps_none_of_them() {
    for name in ["cluster", "night", "channel", "ticket"] {
        let started = START.plus(HOUR * 48);
        let mut outbox = Outbox::new(target(name), started);
        for number in 1..=EPISODES_MAX as u64 + 10 {
            let mut old = other(number, Severity::Page);
            take(&mut outbox, old.clone(), started);
            old.alert.revision = 2;
            old.alert.status = AlertStatus::Resolved;
            take(&mut outbox, old, started);
        }
        outbox.caught_up();
        assert_eq!(outbox.status(started).episodes, 0, "{name}");
        assert_eq!(waits(&mut outbox, started), None, "{name}");
    }
}
