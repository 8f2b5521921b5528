//! Lines of event files: envelopes and bare events. See "Files" in `docs/contracts.md`.

use crate::log::{Headers, LogRecord, Topic};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    ts: Option<i64>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Bare<'a> {
    #[serde(borrow)]
    event_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    visitor_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    card_token: Option<Cow<'a, str>>,
}

/// The record that a line stands for, and its topic.
///
/// # Errors
///
/// A message, if the line is an envelope of an unknown topic or a broken one. A line that is no
/// envelope is an event as it stands, however broken: the engine says what is wrong with it.
pub(super) fn record_of_line(line: &[u8]) -> Result<(Topic, LogRecord), String> {
    if looks_like_an_envelope(line) {
        let envelope: Envelope<'_> =
            serde_json::from_slice(line).map_err(|fault| format!("is no envelope of a record: {fault}"))?;
        let topic = Topic::from_name(&envelope.topic).filter(|topic| Topic::RAW.contains(topic));
        let topic = topic.ok_or_else(|| format!("names `{}`, which is no raw topic", envelope.topic))?;
        let key = envelope.key.map(|key| key.into_owned().into_bytes());
        let value = envelope.value.map(|value| payload(value.get()));
        return Ok((topic, LogRecord { key, value, headers: Headers::None, timestamp_ms: envelope.ts }));
    }
    let bare = serde_json::from_slice::<Bare<'_>>(line).ok();
    let payment = bare
        .as_ref()
        .is_some_and(|bare| bare.event_name.as_ref().is_some_and(|name| name.starts_with("payment_")));
    let key = bare.and_then(|bare| if payment { bare.card_token } else { bare.visitor_id });
    let record = LogRecord {
        key: key.map(|key| key.into_owned().into_bytes()),
        value: Some(line.to_vec()),
        headers: Headers::None,
        timestamp_ms: None,
    };
    Ok((if payment { Topic::Payments } else { Topic::Clickstream }, record))
}

fn looks_like_an_envelope(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Probe<'a> {
        #[serde(borrow)]
        topic: Option<&'a RawValue>,
    }
    line.starts_with(b"{\"topic\":")
        || serde_json::from_slice::<Probe<'_>>(line).is_ok_and(|probe| probe.topic.is_some())
}

/// A text stands for its own bytes, anything else for itself, byte for byte.
fn payload(json: &str) -> Vec<u8> {
    match serde_json::from_str::<String>(json) {
        Ok(text) => text.into_bytes(),
        Err(_) => json.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_keeps_the_bytes_of_its_value() {
        let line = br#"{"topic":"payments","ts":5,"key":"k","value":{"a": 1.0,  "b":[]}}"#;
        let (topic, record) = record_of_line(line).expect("an envelope");
        assert_eq!(topic, Topic::Payments);
        assert_eq!(record.value.as_deref(), Some(&br#"{"a": 1.0,  "b":[]}"#[..]));
        assert_eq!((record.key.as_deref(), record.timestamp_ms), (Some(&b"k"[..]), Some(5)));
    }

    #[test]
    fn a_text_in_an_envelope_stands_for_its_bytes_and_null_for_no_value() {
        let (_, record) =
            record_of_line(br#"{"topic":"clickstream","value":"{\"broken\""}"#).expect("an envelope");
        assert_eq!(record.value.as_deref(), Some(&br#"{"broken""#[..]));
        let (_, record) = record_of_line(br#"{"topic":"clickstream","value":null}"#).expect("an envelope");
        assert_eq!(record.value, None);
    }

    #[test]
    fn a_bare_event_goes_where_its_name_says() {
        let (topic, record) =
            record_of_line(br#"{"event_name":"payment_attempted","card_token":"c"}"#).expect("a bare event");
        assert_eq!((topic, record.key.as_deref()), (Topic::Payments, Some(&b"c"[..])));
        let (topic, record) =
            record_of_line(br#"{"event_name":"view_item","visitor_id":"v"}"#).expect("a bare event");
        assert_eq!((topic, record.key.as_deref()), (Topic::Clickstream, Some(&b"v"[..])));
        let (topic, record) = record_of_line(b"not json").expect("the engine says what is wrong with it");
        assert_eq!((topic, record.value.as_deref()), (Topic::Clickstream, Some(&b"not json"[..])));
    }

    #[test]
    fn an_envelope_of_a_topic_that_is_not_raw_is_refused() {
        assert!(record_of_line(br#"{"topic":"sessions","value":{}}"#).is_err());
    }
}
