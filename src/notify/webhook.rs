//! Any other webhook: each revision as it was published, with the topic it stood on, signed.
//!
//! ```text
//! POST …
//! content-type: application/json
//! ce-id, ce-type, ce-source, ce-specversion, ce-time     CloudEvents, binary mode
//! idempotency-key: <ce-id>                               the same for every attempt at the same record
//! tillstream-signature: t=<unix seconds>,v1=<hexadecimal HMAC-SHA256 of "<t>.<body>">
//!
//! {"topic":"alerts.drift","alert_id":…}
//! ```
//!
//! Who receives it computes the HMAC of the bytes that came, compares in constant time, and refuses a `t` that is old.

use super::receiver::{Parcel, Request, Target};
use super::secret::Secret;
use super::told::{Due, Known, View, Word};
use super::wording;
use crate::event::alert::Alert;
use crate::time::ProcessingTime;
use ring::hmac;
use serde::Serialize;
use std::fmt::Write;

const EVENT_TYPE: &str = "tillstream.alert.v1";

/// What is said next: the newest revision, unless it is muted. The end is sent to whoever was to hear of the episode.
pub(super) fn due(known: &Known, view: &View<'_>) -> Due {
    let is_news = view.revision.alert.revision > known.revision;
    let is_wanted = view.is_audible() || (view.revision.is_over() && view.is_heard);
    if is_news && is_wanted { Due::At(view.now, Word::State) } else { Due::Nothing }
}

#[derive(Serialize)]
struct Body<'a> {
    topic: &'static str,
    #[serde(flatten)]
    alert: &'a Alert,
}

/// The request that says it.
pub(super) fn request(
    target: &Target,
    (secret, authorization): (&Secret, Option<&Secret>),
    parcel: &Parcel,
    now: ProcessingTime,
) -> Request {
    let revision = &parcel.revision;
    let mut request =
        Request::json(target.address.clone(), &Body { topic: revision.topic.name(), alert: &revision.alert });
    let id = header_value(&revision.id);
    let source = header_value(&format!("/tillstream/{}", target.application));
    let signature = signature(secret, now, &request.body);
    let headers = [
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", id.clone()),
        ("ce-type", EVENT_TYPE.to_owned()),
        ("ce-source", source),
        ("ce-time", wording::rfc3339(revision.alert.as_of_ms)),
        ("idempotency-key", id),
        ("tillstream-signature", signature),
    ];
    request.headers.extend(headers);
    request.authorize(authorization);
    request
}

fn signature(secret: &Secret, now: ProcessingTime, body: &[u8]) -> String {
    let seconds = now.0.div_euclid(1_000);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    format!("t={seconds},v1={}", hexadecimal(context.sign().as_ref()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes all that is written to it");
        text
    })
}

/// As CloudEvents writes attributes into headers: what is not printable ASCII, and `"` and `%`, as bytes of UTF-8 in hexadecimal.
fn header_value(text: &str) -> String {
    let mut value = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            value.push(char::from(byte));
        } else {
            write!(value, "%{byte:02X}").expect("a text takes all that is written to it");
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::alert::Alert;
    use crate::notify::samples::{HOUR, START, resolved, revision, webhook_target};

    #[test]
    fn the_newest_revision_is_sent_once_and_not_while_it_is_muted() {
        let now = START.plus(HOUR);
        let mut muted = revision(2);
        muted.alert.muted_until_ms = Some(muted.alert.as_of_ms.plus(HOUR * 2));
        let mut muted_end = resolved(3);
        muted_end.alert.muted_until_ms = muted.alert.muted_until_ms;
        let cases = [
            ("unknown", revision(1), 0, true),
            ("known", revision(1), 1, false),
            ("a newer one", revision(3), 1, true),
            ("muted", muted, 1, false),
            ("the end of a muted one", muted_end, 1, true),
        ];
        for (name, newest, known, expected) in cases {
            let known = Known { revision: known, ..Known::default() };
            let view = View {
                revision: &newest,
                is_heard: true,
                is_acknowledged: false,
                is_in_hand: false,
                ends_silently: false,
                is_gone: false,
                now,
            };
            assert_eq!(due(&known, &view) == Due::At(now, Word::State), expected, "{name}");
            let unheard = View { is_heard: false, ..view };
            assert_eq!(due(&known, &unheard), Due::Nothing, "{name}");
        }
    }

    #[test]
    fn the_body_is_the_record_and_its_topic() {
        let (target, secret) = webhook_target();
        let parcel = Parcel::new(revision(1), Word::State);
        let request = request(&target, (&secret, None), &parcel, START);
        let mut body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!(body.as_object_mut().and_then(|body| body.remove("topic")), Some("alerts.drift".into()));
        let alert: Alert = serde_json::from_value(body).expect("an alert");
        assert_eq!(alert, parcel.revision.alert);
    }

    #[test]
    fn a_request_is_signed_with_its_time_and_named_after_its_record() {
        let (target, secret) = webhook_target();
        let mut first = revision(1);
        first.id = "0a1b-2-3\"é".to_owned();
        let parcel = Parcel::new(first, Word::State);
        let authorization = Secret::new("Bearer t0ken");
        let request = request(&target, (&secret, Some(&authorization)), &parcel, START);
        let header =
            |name| request.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| &**value);
        assert_eq!(header("ce-id"), Some("0a1b-2-3%22%C3%A9"));
        assert_eq!(header("idempotency-key"), header("ce-id"));
        assert_eq!(header("ce-type"), Some("tillstream.alert.v1"));
        assert_eq!(header("ce-source"), Some("/tillstream/shop"));
        assert_eq!(header("ce-time"), Some("2026-01-05T10:01:00Z"));
        assert_eq!(header("authorization"), Some("Bearer t0ken"));
        let seconds = START.0 / 1_000;
        let signed = [format!("{seconds}.").as_bytes(), &request.body].concat();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
        let expected = format!("t={seconds},v1={}", hexadecimal(hmac::sign(&key, &signed).as_ref()));
        assert_eq!(header("tillstream-signature"), Some(&*expected));
        let shown = format!("{request:?}");
        assert!(!shown.contains("t0ken") && !shown.contains("v1="), "{shown}");
    }

    #[test]
    fn the_signature_is_that_of_a_published_example() {
        // RFC 4231, test case 2: key "Jefe", data "what do ya want for nothing?"
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let tag = hmac::sign(&key, b"what do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hexadecimal(tag.as_ref()), expected);
        // independently: printf '1.body' | openssl dgst -sha256 -hmac secret
        let signed = signature(&Secret::new("secret"), ProcessingTime(1_999), b"body");
        assert_eq!(signed, "t=1,v1=842b24d9575dee4b6ec460b7e3af7d683501d84fe6279102340787c79d2e2bab");
    }
}
