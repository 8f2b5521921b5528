//! PagerDuty, Events API v2: an incident per episode.
//!
//! The key of an incident is the episode, not what it is about: with the latter, an episode that opens before the end of the
//! last one was taken note of would fall into that incident, which somebody may have acknowledged, and wake nobody. PagerDuty
//! makes one incident of all triggers with a key while it is open, and drops acknowledgements and ends of keys that it does not
//! know; so all of them may be sent again, and after a restart they are.
//!
//! A trigger is sent when an episode opens, when it gets worse and when a mute ends, not for every revision: somebody who has
//! resolved an incident by hand must not get a new one for a number that changed. A mute resolves the incident, or it would go on
//! to wake people.

use super::receiver::{Parcel, Request, Target};
use super::secret::Secret;
use super::told::{Due, Known, Standing, View, Word};
use super::wording;
use crate::event::alert::{Alert, Severity};
use serde_json::{Value, json};

/// What PagerDuty takes of a summary.
const SUMMARY_CHARS_MAX: usize = 1_024;
/// Findings that are listed, of 20 at most.
const MOVED_MAX: usize = 10;

/// What is said next.
pub(super) fn due(known: &Known, view: &View<'_>) -> Due {
    let now = view.now;
    if view.is_over() {
        let is_closed = matches!(known.standing, Standing::Quiet | Standing::Over);
        return if view.is_heard && !is_closed { Due::At(now, Word::Over) } else { Due::Nothing };
    }
    if view.is_muted() {
        let may_be_open = matches!(known.standing, Standing::Open | Standing::Perhaps);
        return if may_be_open && view.is_heard { Due::At(now, Word::Quiet) } else { Due::Nothing };
    }
    if !view.is_heard {
        return Due::Nothing;
    }
    match known.standing {
        Standing::Nothing | Standing::Perhaps if view.is_in_hand => Due::At(now, Word::Taken),
        Standing::Nothing | Standing::Perhaps => Due::At(now, Word::Opened),
        Standing::Quiet => Due::At(now, Word::Again),
        Standing::Over => Due::At(now, Word::Back),
        Standing::Open if known.severity < Some(view.severity()) => Due::At(now, Word::Rose),
        Standing::Open if view.is_in_hand && !known.is_taken => Due::At(now, Word::Taken),
        Standing::Open => Due::Nothing,
    }
}

/// The request that says it.
pub(super) fn request(target: &Target, routing_key: &Secret, parcel: &Parcel) -> Request {
    let alert = &parcel.revision.alert;
    let action = match parcel.word {
        Word::Taken => "acknowledge",
        Word::Quiet | Word::Over => "resolve",
        Word::Opened | Word::Rose | Word::Again | Word::Back | Word::State => "trigger",
    };
    let mut event = json!({
        "routing_key": routing_key.reveal(),
        "event_action": action,
        "dedup_key": format!("tillstream/{}/{}", target.application, alert.alert_id),
    });
    if action == "trigger"
        && let Some(event) = event.as_object_mut()
    {
        event.extend(trigger(target, parcel));
    }
    Request::json(target.address.clone(), &event)
}

fn trigger(target: &Target, parcel: &Parcel) -> serde_json::Map<String, Value> {
    let alert = &parcel.revision.alert;
    let page = target.page(alert);
    let links = [(page.as_deref(), "Page of the episode"), (wording::web(&alert.runbook), "Runbook")];
    let links: Vec<_> = links
        .into_iter()
        .filter_map(|(link, text)| link.map(|link| json!({ "href": link, "text": text })))
        .collect();
    let severity = match alert.severity {
        Severity::Page => "critical",
        Severity::Ticket => "warning",
        Severity::Info => "info",
    };
    let mut trigger = serde_json::Map::new();
    let payload = json!({
        "summary": wording::cut(&alert.title, SUMMARY_CHARS_MAX),
        "source": format!("tillstream/{}", target.application),
        "severity": severity,
        "timestamp": wording::rfc3339(alert.detected_ms),
        "component": alert.subject,
        "group": parcel.revision.topic.name(),
        "class": alert.kind.name(),
        "custom_details": details(alert),
    });
    trigger.insert("payload".to_owned(), payload);
    trigger.insert("links".to_owned(), links.into());
    trigger.insert("client".to_owned(), "tillstream".into());
    if let Some(page) = page {
        trigger.insert("client_url".to_owned(), page.into());
    }
    trigger
}

fn details(alert: &Alert) -> Value {
    let money = alert.money_minor.iter().map(|(currency, minor)| wording::money(currency, *minor));
    json!({
        "since": wording::rfc3339(alert.since_ms),
        "detected": wording::rfc3339(alert.detected_ms),
        "moved": wording::moved(alert, MOVED_MAX),
        "segment": alert.segment.as_ref().map(wording::segment),
        "causes": alert.causes.iter().map(wording::cause).collect::<Vec<_>>(),
        "read_by": alert.read_by,
        "decisions": alert.decisions,
        "money": money.collect::<Vec<_>>(),
        "share": alert.share,
        "command": alert.command,
        "runbook": alert.runbook,
        "fingerprint": alert.fingerprint,
        "revision": alert.revision,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::revision::Revision;
    use crate::notify::samples::{HOUR, START, pagerduty_target, resolved, revision};

    fn knowing(standing: Standing) -> Known {
        Known { standing, severity: Some(Severity::Page), ..Known::default() }
    }

    fn muted(mut revision: Revision) -> Revision {
        revision.alert.muted_until_ms = Some(revision.alert.as_of_ms.plus(HOUR * 2));
        revision
    }

    #[test]
    fn an_incident_follows_its_episode() {
        let now = START.plus(HOUR);
        let says = |word| Due::At(now, word);
        let ticket = Known { severity: Some(Severity::Ticket), ..knowing(Standing::Open) };
        let cases = [
            ("open and unknown", revision(1), Known::default(), says(Word::Opened)),
            ("open, perhaps known", revision(1), knowing(Standing::Perhaps), says(Word::Opened)),
            ("open and known", revision(2), knowing(Standing::Open), Due::Nothing),
            ("worse", revision(2), ticket, says(Word::Rose)),
            ("muted", muted(revision(2)), knowing(Standing::Open), says(Word::Quiet)),
            ("muted, perhaps known", muted(revision(2)), knowing(Standing::Perhaps), says(Word::Quiet)),
            ("muted and unknown", muted(revision(2)), Known::default(), Due::Nothing),
            ("no longer muted", revision(2), knowing(Standing::Quiet), says(Word::Again)),
            ("ended", resolved(2), knowing(Standing::Open), says(Word::Over)),
            ("ended while muted", muted(resolved(2)), knowing(Standing::Quiet), Due::Nothing),
            (
                "muted and ended before it was told",
                muted(resolved(2)),
                knowing(Standing::Open),
                says(Word::Over),
            ),
            ("ended and known", resolved(2), knowing(Standing::Over), Due::Nothing),
            ("open again", revision(3), knowing(Standing::Over), says(Word::Back)),
        ];
        for (name, revision, known, expected) in cases {
            let view = View {
                revision: &revision,
                is_heard: true,
                is_acknowledged: false,
                is_in_hand: false,
                ends_silently: false,
                is_gone: false,
                now,
            };
            assert_eq!(due(&known, &view), expected, "{name}");
        }
        let known_taken = Known { is_taken: true, ..knowing(Standing::Open) };
        let cases = [
            ("taken on", knowing(Standing::Open), says(Word::Taken)),
            ("known to be taken on", known_taken, Due::Nothing),
            ("taken on before it was told", Known::default(), says(Word::Taken)),
            ("taken on, perhaps by an earlier life", knowing(Standing::Perhaps), says(Word::Taken)),
        ];
        let open = revision(2);
        for (name, known, expected) in cases {
            let view = View {
                revision: &open,
                is_heard: true,
                is_acknowledged: true,
                is_in_hand: true,
                ends_silently: false,
                is_gone: false,
                now,
            };
            assert_eq!(due(&known, &view), expected, "{name}");
        }
        let gone = revision(1);
        let view = View {
            revision: &gone,
            is_heard: true,
            is_acknowledged: false,
            is_in_hand: false,
            ends_silently: false,
            is_gone: true,
            now,
        };
        assert_eq!(due(&knowing(Standing::Open), &view), says(Word::Over));
        let unheard = View { is_heard: false, is_gone: false, ..view };
        assert_eq!(due(&Known::default(), &unheard), Due::Nothing);
    }

    #[test]
    fn a_trigger_carries_what_is_known_and_the_end_only_the_key() {
        let (target, key) = pagerduty_target();
        let sent = |revision, word| -> Value {
            let request = request(&target, &key, &Parcel::new(revision, word));
            serde_json::from_slice(&request.body).expect("JSON")
        };
        let trigger = sent(revision(1), Word::Opened);
        assert_eq!(trigger["event_action"], "trigger");
        assert_eq!(trigger["dedup_key"], "tillstream/shop/0123456789abcdef");
        assert_eq!(trigger["payload"]["severity"], "critical");
        assert_eq!(trigger["payload"]["timestamp"], "2026-01-05T10:00:00Z");
        assert_eq!(trigger["payload"]["custom_details"]["moved"][0], "basket_value: 49.9 → 62.1");
        assert_eq!(trigger["links"][0]["href"], "https://till.example.com/alerts/0123456789abcdef");
        let end = sent(resolved(2), Word::Over);
        let expected = json!({
            "routing_key": key.reveal(),
            "event_action": "resolve",
            "dedup_key": "tillstream/shop/0123456789abcdef",
        });
        assert_eq!(end, expected);
        assert_eq!(sent(revision(2), Word::Taken)["event_action"], "acknowledge");
        assert_eq!(sent(revision(2), Word::Quiet)["event_action"], "resolve");
    }
}
