//! Alertmanager, API v2: states, not news. What is open is posted again and again, what has ended for a while.
//!
//! **Labels** are what Alertmanager knows an alert by, so they hold what stays the same over an episode: the kind, what it is
//! about, the topic. The segment in which a change is largest may be another tomorrow: it is an annotation, as is all that is
//! counted. Severity is a label although it may rise. Alertmanager routes by labels alone, and an episode that began as a ticket
//! and became a page has to take the way of a page. Nor could the first severity be kept: a restart sees only the newest revision
//! of a compacted topic. So a change of severity ends one set of labels and begins another, in one request; both have the same
//! `fingerprint`, by which an inhibition rule can keep the milder one silent where groups do not.
//!
//! The label `fingerprint` says what an episode is about, not which one it is: the next episode about the same goes on in the same
//! alert, and there is one state per fingerprint here.
//!
//! `endsAt` of an open episode lies three repeats ahead: if we are gone, it lapses by itself. A muted episode is ended.

use super::receiver::{Parcel, Request, Target};
use super::secret::Secret;
use super::told::{Due, Ended, Known, View, Word};
use super::wording;
use crate::event::alert::{Alert, AlertKind, Severity};
use crate::time::{EventTime, ProcessingTime};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// An open episode lapses after so many repeats: two may be lost.
const LAPSES_AFTER: u32 = 3;
/// Findings that are listed.
const MOVED_MAX: usize = 5;

/// Takes note of what an episode is now: which sets of labels are open, and which have ended.
pub(super) fn observe(known: &mut Known, view: &View<'_>, resolved_for: Duration) {
    let open = view.is_audible().then(|| view.severity());
    for (severity, set) in &mut known.sets {
        if set.is_none() && Some(*severity) != open {
            *set = Some(Ended { noticed: view.now, ended: end(view) });
            known.is_changed = true;
        }
    }
    known.sets.retain(|_, set| set.is_none_or(|ended| view.now < ended.noticed.plus(resolved_for)));
    if let Some(open) = open {
        known.is_changed |= known.sets.insert(open, None) != Some(None);
    }
}

/// An episode that was read at the start and is not open may be open in Alertmanager still, from our life before.
pub(super) fn assume(known: &mut Known, view: &View<'_>) {
    if known.sets.is_empty() && view.is_heard && !view.is_audible() {
        let ended = Ended { noticed: view.revision.published, ended: end(view) };
        known.sets.insert(view.severity(), Some(ended));
        known.is_changed = true;
    }
}

/// When it ended, was muted, or changed its severity.
fn end(view: &View<'_>) -> EventTime {
    let alert = &view.revision.alert;
    let resolved = alert.resolved_ms.filter(|_| view.revision.is_over());
    resolved.unwrap_or(EventTime(view.revision.published.0))
}

/// What is said next.
pub(super) fn due(known: &Known, view: &View<'_>, repeat: Duration) -> Due {
    if known.sets.is_empty() {
        return Due::Nothing;
    }
    let is_news = view.is_audible() && view.revision.alert.revision > known.revision;
    match known.at {
        Some(at) if !known.is_changed && !is_news => Due::At(at.plus(repeat), Word::State),
        _ => Due::At(view.now, Word::State),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

/// The request that says it of all of these.
pub(super) fn request(
    target: &Target,
    (repeat, authorization): (Duration, Option<&Secret>),
    parcels: &[Parcel],
    now: ProcessingTime,
) -> Request {
    let lapses = now.plus(repeat * LAPSES_AFTER);
    let posted: Vec<_> = parcels
        .iter()
        .flat_map(|parcel| parcel.sets.iter().map(move |set| (parcel, set)))
        .map(|(parcel, (severity, set))| posted(target, parcel, *severity, *set, (now, lapses)))
        .collect();
    let mut request = Request::json(target.address.clone(), &posted);
    request.authorize(authorization);
    request
}

fn posted(
    target: &Target,
    parcel: &Parcel,
    severity: Severity,
    set: Option<Ended>,
    (now, lapses): (ProcessingTime, ProcessingTime),
) -> Posted {
    let alert = &parcel.revision.alert;
    // what begins after it ends is refused, and what ends in the future has not ended
    let starts = alert.detected_ms.min(EventTime(now.0));
    let ends = match set {
        None => EventTime(lapses.0),
        Some(set) => set.ended.min(EventTime(now.0)).max(starts),
    };
    let labels = [
        ("alertname", name(alert.kind)),
        ("application", target.application.clone()),
        ("fingerprint", alert.fingerprint.clone()),
        ("severity", severity.name().to_owned()),
        ("subject", alert.subject.clone()),
        ("topic", parcel.revision.topic.name().to_owned()),
    ];
    Posted {
        labels: labels.into(),
        annotations: annotations(alert),
        starts_at: wording::rfc3339(starts),
        ends_at: wording::rfc3339(ends),
        generator_url: target.page(alert),
    }
}

/// `TillstreamConceptDrift`.
fn name(kind: AlertKind) -> String {
    let words = kind.name().split('_').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    std::iter::once("Tillstream".to_owned()).chain(words).collect()
}

/// Under the names that dashboards and templates look for where there are such: `summary`, `description`, `runbook_url`.
fn annotations(alert: &Alert) -> BTreeMap<&'static str, String> {
    let lines = |lines: Vec<String>| lines.join("\n");
    let runbook = if wording::web(&alert.runbook).is_some() { "runbook_url" } else { "runbook" };
    let money = alert.money_minor.iter().map(|(currency, minor)| wording::money(currency, *minor));
    let all = [
        ("summary", alert.title.clone()),
        ("description", lines(wording::moved(alert, MOVED_MAX))),
        ("since", wording::rfc3339(alert.since_ms)),
        ("segment", alert.segment.as_ref().map(wording::segment).unwrap_or_default()),
        ("causes", lines(alert.causes.iter().map(wording::cause).collect())),
        ("decisions", alert.decisions.to_string()),
        ("money", money.collect::<Vec<_>>().join(", ")),
        ("acknowledged", alert.acknowledged.as_ref().map(|by| by.by.clone()).unwrap_or_default()),
        ("command", alert.command.clone()),
        ("alert_id", alert.alert_id.clone()),
        ("revision", alert.revision.to_string()),
        (runbook, alert.runbook.clone()),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::revision::Revision;
    use crate::notify::samples::{HOUR, MINUTE, START, alertmanager_target, resolved, revision};
    use serde_json::{Value, json};

    const KEPT: Duration = Duration::from_secs(900);

    fn view(revision: &Revision, now: ProcessingTime) -> View<'_> {
        View {
            revision,
            is_heard: true,
            is_acknowledged: false,
            is_in_hand: false,
            ends_silently: false,
            is_gone: false,
            now,
        }
    }

    fn posted_of(known: &Known, revision: &Revision, now: ProcessingTime) -> Value {
        let mut parcel = Parcel::new(revision.clone(), Word::State);
        parcel.sets = known.sets.clone().into_iter().collect();
        let request = request(&alertmanager_target(), (MINUTE, None), &[parcel], now);
        serde_json::from_slice(&request.body).expect("JSON")
    }

    #[test]
    fn an_open_episode_is_posted_with_an_end_three_repeats_ahead() {
        let (open, now) = (revision(1), START.plus(HOUR));
        let mut known = Known::default();
        observe(&mut known, &view(&open, now), KEPT);
        let expected = json!([{
            "labels": {
                "alertname": "TillstreamDataDrift",
                "application": "shop",
                "fingerprint": "fedcba9876543210",
                "severity": "page",
                "subject": "card",
                "topic": "alerts.drift",
            },
            "annotations": {
                "summary": "basket_value moved in card",
                "description": "basket_value: 49.9 → 62.1",
                "since": "2026-01-05T09:00:00Z",
                "segment": "channel = app (83 % of the change)",
                "decisions": "12345",
                "money": "98,765.43 EUR",
                "command": "tillstream alerts records 0123456789abcdef",
                "alert_id": "0123456789abcdef",
                "revision": "1",
            },
            "startsAt": "2026-01-05T10:00:00Z",
            "endsAt": "2026-01-05T11:04:00Z",
            "generatorURL": "https://till.example.com/alerts/0123456789abcdef",
        }]);
        assert_eq!(posted_of(&known, &open, now), expected);
    }

    #[test]
    fn it_is_due_at_once_when_something_changed_and_else_after_a_repeat() {
        let (open, now) = (revision(1), START.plus(HOUR));
        let mut known = Known::default();
        assert_eq!(due(&known, &view(&open, now), MINUTE), Due::Nothing);
        observe(&mut known, &view(&open, now), KEPT);
        assert_eq!(due(&known, &view(&open, now), MINUTE), Due::At(now, Word::State));
        known.is_changed = false;
        known.said(Word::State, &open, now);
        assert_eq!(due(&known, &view(&open, now), MINUTE), Due::At(now.plus(MINUTE), Word::State));
        let newer = revision(2);
        assert_eq!(due(&known, &view(&newer, now), MINUTE), Due::At(now, Word::State));
    }

    #[test]
    fn an_end_is_posted_for_a_while_and_lies_in_the_past() {
        let (open, over, now) = (revision(1), resolved(2), START.plus(HOUR * 3));
        let mut known = Known::default();
        observe(&mut known, &view(&open, now), KEPT);
        observe(&mut known, &view(&over, now), KEPT);
        assert_eq!(posted_of(&known, &over, now)[0]["endsAt"], "2026-01-05T12:00:00Z");
        observe(&mut known, &view(&over, ProcessingTime(now.plus(KEPT).0 - 1)), KEPT);
        assert_eq!(known.sets.len(), 1);
        observe(&mut known, &view(&over, now.plus(KEPT)), KEPT);
        assert!(known.sets.is_empty());
    }

    #[test]
    fn no_alert_ends_before_it_begins_or_in_the_future_whatever_the_log_says_of_time() {
        let mut over = resolved(2);
        let now = START;
        let (detected, ended) = (EventTime(now.0 + 5_000), EventTime(now.0 + 9_000));
        (over.alert.detected_ms, over.alert.resolved_ms) = (detected, Some(ended));
        let mut known = Known::default();
        assume(&mut known, &view(&over, now));
        let posted = posted_of(&known, &over, now);
        let (starts, ends) = (&posted[0]["startsAt"], &posted[0]["endsAt"]);
        assert_eq!((starts, ends), (&json!(wording::rfc3339(EventTime(now.0))), starts));
        over.alert.resolved_ms = Some(EventTime(0));
        assert_eq!(posted_of(&known, &over, now)[0]["startsAt"], posted[0]["startsAt"]);
    }

    #[test]
    fn a_rise_ends_the_milder_set_of_labels_and_opens_the_worse() {
        let now = START.plus(HOUR);
        let (mut ticket, page) = (revision(1), revision(2));
        ticket.alert.severity = Severity::Ticket;
        let mut known = Known::default();
        observe(&mut known, &view(&ticket, now), KEPT);
        observe(&mut known, &view(&page, now), KEPT);
        let posted = posted_of(&known, &page, now);
        let told: Vec<_> =
            [&posted[0], &posted[1]].map(|alert| (&alert["labels"]["severity"], &alert["endsAt"])).into();
        let (ended, lapses) = (json!("2026-01-05T10:02:00Z"), json!("2026-01-05T11:04:00Z"));
        assert_eq!(told, [(&json!("ticket"), &ended), (&json!("page"), &lapses)]);
        let (mut first, mut second) = (posted[0]["labels"].clone(), posted[1]["labels"].clone());
        for labels in [&mut first, &mut second] {
            labels.as_object_mut().expect("labels").remove("severity");
        }
        assert_eq!(first, second, "nothing else tells them apart");
    }

    #[test]
    fn a_mute_ends_it_and_the_end_of_the_mute_opens_it_again() {
        let mut muted = revision(2);
        muted.alert.muted_until_ms = Some(muted.alert.as_of_ms.plus(HOUR));
        let mut known = Known::default();
        let now = START.plus(MINUTE);
        observe(&mut known, &view(&revision(1), now), KEPT);
        observe(&mut known, &view(&muted, now), KEPT);
        assert!(known.sets.values().all(Option::is_some));
        let later = muted.published.plus(HOUR);
        observe(&mut known, &view(&muted, later), KEPT);
        assert_eq!(known.sets, BTreeMap::from([(Severity::Page, None)]));
    }

    #[test]
    fn every_kind_has_a_name_in_camel_case() {
        let names: Vec<_> = AlertKind::NAMES.into_iter().map(|(_, kind)| name(kind)).collect();
        let expected = [
            "TillstreamDataDrift",
            "TillstreamConceptDrift",
            "TillstreamVolume",
            "TillstreamFraudPattern",
            "TillstreamBusiness",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_runbook_on_the_web_is_a_link() {
        let mut alert = revision(1).alert;
        alert.runbook = "https://example.com/runbook#data_drift".to_owned();
        assert!(annotations(&alert).contains_key("runbook_url"));
        alert.runbook = "data_drift".to_owned();
        assert!(annotations(&alert).contains_key("runbook"));
    }
}
