//! Lines of event files: envelopes and bare events. See "Files" in `docs/contracts.md`.

use crate::codec::whole;
use crate::log::{Headers, LogRecord, Topic};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(default, deserialize_with = "whole::optional")]
    ts: Option<i64>,
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: &'a RawValue,
}

/// What says where an event belongs. Of whatever type: a field that is no text says nothing.
#[derive(Deserialize)]
struct Bare<'a> {
    #[serde(borrow)]
    event_name: Option<&'a RawValue>,
    #[serde(borrow)]
    visitor_id: Option<&'a RawValue>,
    #[serde(borrow)]
    card_token: Option<&'a RawValue>,
    #[serde(borrow)]
    payment_id: Option<&'a RawValue>,
    #[serde(borrow)]
    decision_id: Option<&'a RawValue>,
    #[serde(borrow)]
    prediction_id: Option<&'a RawValue>,
    #[serde(borrow)]
    customer_id: Option<&'a RawValue>,
    #[serde(borrow)]
    order_id: Option<&'a RawValue>,
    #[serde(borrow)]
    store_id: Option<&'a RawValue>,
    #[serde(borrow)]
    fingerprint: Option<&'a RawValue>,
    #[serde(borrow)]
    change_id: Option<&'a RawValue>,
}

fn text_of(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// The record that a line stands for, and its topic. A line that is no envelope of a raw topic is an event
/// as it stands, however broken: the engine says what is wrong with it.
pub(super) fn record_of_line(line: &[u8]) -> (Topic, LogRecord) {
    if let Some(record) = record_of_envelope(line) {
        return record;
    }
    let bare = serde_json::from_slice::<Bare<'_>>(line).ok();
    let name = bare.as_ref().and_then(|bare| text_of(bare.event_name));
    let topic = match name.as_deref() {
        Some(name) if name.starts_with("payment_") => Topic::Payments,
        Some(name) if name.starts_with("order_") => Topic::Orders,
        Some("pos_transaction") => Topic::Pos,
        Some("label") => Topic::Labels,
        Some("prediction") => Topic::Predictions,
        Some("rules_published") => Topic::Rules,
        Some(name) if name.starts_with("alert_") || name.starts_with("change_") => Topic::AlertsControl,
        _ => Topic::Clickstream,
    };
    let key = bare.and_then(|bare| match topic {
        Topic::Payments => text_of(bare.card_token),
        Topic::Labels => {
            [bare.prediction_id, bare.payment_id, bare.decision_id].into_iter().find_map(text_of)
        }
        Topic::Predictions => text_of(bare.prediction_id),
        Topic::Orders => [bare.customer_id, bare.visitor_id, bare.order_id].into_iter().find_map(text_of),
        Topic::Pos => text_of(bare.store_id),
        Topic::Rules => Some("rules".to_owned()),
        Topic::AlertsControl => [bare.change_id, bare.fingerprint].into_iter().find_map(text_of),
        _ => text_of(bare.visitor_id),
    });
    let record = LogRecord {
        key: key.map(String::into_bytes),
        value: Some(line.to_vec()),
        headers: Headers::None,
        timestamp_ms: None,
    };
    (topic, record)
}

fn record_of_envelope(line: &[u8]) -> Option<(Topic, LogRecord)> {
    let envelope: Envelope<'_> = serde_json::from_slice(line).ok()?;
    let topic = Topic::from_name(&envelope.topic).filter(|topic| Topic::RAW.contains(topic))?;
    let key = envelope.key.map(|key| key.into_owned().into_bytes());
    let headers = envelope.source.as_deref().map_or(Headers::None, Headers::of_source);
    let value = (envelope.value.get() != "null").then(|| payload(envelope.value.get()));
    Some((topic, LogRecord { key, value, headers, timestamp_ms: envelope.ts }))
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
        let line = br#"{"topic":"payments","ts":5.0,"key":"k","value":{"a": 1.0,  "b":[]}}"#;
        let (topic, record) = record_of_line(line);
        assert_eq!(topic, Topic::Payments);
        assert_eq!(record.value.as_deref(), Some(&br#"{"a": 1.0,  "b":[]}"#[..]));
        assert_eq!((record.key.as_deref(), record.timestamp_ms), (Some(&b"k"[..]), Some(5)));
    }

    #[test]
    fn a_text_in_an_envelope_stands_for_its_bytes_and_null_for_no_value() {
        let (_, record) = record_of_line(br#"{"topic":"clickstream","value":"{\"broken\""}"#);
        assert_eq!(record.value.as_deref(), Some(&br#"{"broken""#[..]));
        let (_, record) = record_of_line(br#"{"topic":"clickstream","value":null}"#);
        assert_eq!(record.value, None);
    }

    #[test]
    fn a_bare_event_goes_where_its_name_says() {
        let (topic, record) = record_of_line(br#"{"event_name":"payment_attempted","card_token":"c"}"#);
        assert_eq!((topic, record.key.as_deref()), (Topic::Payments, Some(&b"c"[..])));
        let (topic, record) = record_of_line(br#"{"event_name":"view_item","visitor_id":"v"}"#);
        assert_eq!((topic, record.key.as_deref()), (Topic::Clickstream, Some(&b"v"[..])));
        let (topic, record) = record_of_line(br#"{"event_name":"label","payment_id":"p"}"#);
        assert_eq!((topic, record.key.as_deref()), (Topic::Labels, Some(&b"p"[..])));
        // a field of the wrong type changes neither topic nor key by another
        let (topic, record) =
            record_of_line(br#"{"event_name":"payment_attempted","payment_id":7,"card_token":"c"}"#);
        assert_eq!((topic, record.key.as_deref()), (Topic::Payments, Some(&b"c"[..])));
        let (topic, record) = record_of_line(b"not json");
        assert_eq!((topic, record.value.as_deref()), (Topic::Clickstream, Some(&b"not json"[..])));
    }

    #[test]
    fn what_is_no_envelope_of_a_raw_topic_is_an_event_as_it_stands() {
        for line in [
            &br#"{"topic":"sessions","value":{}}"#[..],
            br#"{"topic":"clickstream","va"#,
            br#"{"topic":"clickstream","event_name":"page_view"}"#,
            b"\xff",
        ] {
            let (topic, record) = record_of_line(line);
            assert_eq!((topic, record.value.as_deref()), (Topic::Clickstream, Some(line)));
        }
    }
}
