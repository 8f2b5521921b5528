//! The events of internal frames as JSON, with names in place of numbers; and JSON over several lines.

use crate::event::monitor::MonitorEvent;
use crate::event::{Body, Copy, DecisionEvent, EntitySet, FieldId, LabelOutcome, Part, Value as FieldValue};
use crate::feature::FeaturePlan;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Serialize)]
struct ShownCopy<'a> {
    kind: &'a str,
    hash: String,
    key: &'a str,
    event_id: &'a str,
    time_ms: i64,
    #[serde(flatten)]
    body: Value,
}

#[derive(Serialize)]
struct ShownPart<'a> {
    decision: String,
    event: String,
    kind: &'a str,
    entity: &'a str,
    expected: Vec<&'static str>,
    time_ms: i64,
    features: BTreeMap<String, f64>,
    context: Value,
}

#[derive(Serialize)]
struct ShownLabel<'a> {
    decision: String,
    label: &'a str,
    known_at_ms: i64,
    outcome: LabelOutcome,
    source: &'a str,
    labels_partition: u32,
    labels_offset: i64,
}

/// A copy of an event for one entity.
pub(super) fn json_of_copy(copy: &Copy<'_>) -> String {
    text_of(&ShownCopy {
        kind: copy.kind.name(),
        hash: format!("{:016x}", copy.hash),
        key: copy.key,
        event_id: copy.event_id,
        time_ms: copy.time.0,
        body: json_of_body(&copy.body),
    })
}

/// An event of the monitor log.
pub(super) fn json_of_monitor_event(event: &MonitorEvent<'_>) -> String {
    match event {
        MonitorEvent::Labelled(labelled) => text_of(labelled),
        MonitorEvent::Profile(profile) => text_of(profile),
        MonitorEvent::Command(command) => text_of(command),
        MonitorEvent::Volume(volume) => text_of(volume),
        MonitorEvent::Minute(part) => text_of(part),
        MonitorEvent::Suspect(suspect) => text_of(suspect),
        MonitorEvent::Changed(change) => text_of(change),
        MonitorEvent::Announced(said) => text_of(said),
    }
}

/// An event of the decision log; features that `plan` does not know go by their numbers.
pub(super) fn json_of_decision_event(event: &DecisionEvent<'_>, plan: &FeaturePlan) -> String {
    match event {
        DecisionEvent::Part(part) => json_of_part(part, plan),
        DecisionEvent::Weights(slice) => text_of(slice),
        DecisionEvent::Rules(rules) => text_of(rules),
        DecisionEvent::Alert(command) => text_of(command),
        DecisionEvent::Volume(volume) => text_of(volume),
        DecisionEvent::Changed(change) => text_of(change),
        DecisionEvent::Announced(said) => text_of(said),
        DecisionEvent::Minute(part) => text_of(part),
        DecisionEvent::Prediction(said) => text_of(said),
        DecisionEvent::Label(label) => text_of(&ShownLabel {
            decision: label.decision.to_string(),
            label: label.event_id,
            known_at_ms: label.known_at.0,
            outcome: label.outcome,
            source: label.source,
            labels_partition: label.origin.partition,
            labels_offset: label.origin.offset,
        }),
    }
}

/// One entity's part of a payment's features; features that `plan` does not know go by their numbers.
fn json_of_part(part: &Part<'_>, plan: &FeaturePlan) -> String {
    let name_of =
        |id: u32| plan.feature_of(id).map_or_else(|| id.to_string(), |feature| feature.name.clone());
    text_of(&ShownPart {
        decision: part.decision.to_string(),
        event: format!("{:016x}", part.event),
        kind: part.kind.name(),
        entity: part.entity,
        expected: names(part.expected),
        time_ms: part.time.0,
        features: part.features.iter().map(|(id, value)| (name_of(*id), *value)).collect(),
        context: json!(part.context),
    })
}

fn json_of_body(body: &Body<'_>) -> Value {
    match body {
        Body::Click(click) | Body::Order(click) | Body::AtTill(click) => {
            let mut shown = json!(click);
            if let Some(fields) = shown.as_object_mut() {
                fields.insert("values".to_owned(), json_of_values(&click.values));
            }
            let name = match body {
                Body::Order(_) => "order",
                Body::AtTill(_) => "at_till",
                _ => "click",
            };
            json!({name: shown})
        }
        Body::Payment(payment) => json!({"payment": {
            "payment_id": payment.payment_id,
            "expected": names(payment.expected),
            "values": json_of_values(&payment.values),
            "for_linked": payment.for_linked.as_deref().map(json_of_values),
            "context": payment.context,
        }}),
        Body::Label(label) => json!({"label": {
            "decision": label.decision.to_string(),
            "outcome": label.outcome,
            "source": label.source,
        }}),
        Body::Basket(basket, values) => {
            json!({"basket": {"figures": basket, "values": json_of_values(values)}})
        }
        Body::Rules(rules) => json!({"rules": rules}),
        Body::Alert(command) => json!({"alert": command}),
        Body::Announced(said) => json!({"announced": said}),
        Body::Item => json!("item"),
        Body::Prediction(said) => json!({"prediction": said}),
        Body::Link(source, customer) => json!({"link": {"event": source.name(), "customer": customer}}),
        Body::Visited(source, visitor) => json!({"visited": {"event": source.name(), "visitor": visitor}}),
        Body::ForLinked(source, values) => {
            json!({"for_linked": {"event": source.name(), "values": json_of_values(values)}})
        }
        Body::Values(source, values) => json!({source.name(): {"values": json_of_values(values)}}),
    }
}

/// Texts travel as their hashes.
fn json_of_values(values: &[(FieldId, FieldValue)]) -> Value {
    let shown = values.iter().map(|(field, value)| {
        let value = match value {
            FieldValue::Number(number) => json!(number),
            FieldValue::Hash(hash) => json!(format!("hash {hash:016x}")),
        };
        (field.name().to_owned(), value)
    });
    Value::Object(shown.collect())
}

fn names(kinds: EntitySet) -> Vec<&'static str> {
    kinds.iter().map(|kind| kind.name()).collect()
}

fn text_of(shown: &impl Serialize) -> String {
    serde_json::to_string(shown).unwrap_or_else(|fault| fault.to_string())
}

/// Spreads a JSON text over lines, the order of its fields and every value as they are. Lines after the first
/// begin with `margin` spaces.
pub(super) fn indented(json: &str, margin: usize) -> String {
    let (mut text, mut depth, mut in_string, mut escaped) = (String::new(), 0_usize, false, false);
    let new_line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', margin + 2 * depth));
    };
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            _ if in_string => {
                text.push(letter);
                in_string = escaped || letter != '"';
                escaped = letter == '\\' && !escaped;
            }
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                text.push(letter);
                while letters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    new_line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut text, depth);
                text.push(letter);
            }
            ',' => {
                text.push(letter);
                new_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            _ => {
                in_string = letter == '"';
                text.push(letter);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{DecisionId, EntityKind, PaymentContext, PaymentCopy};
    use crate::feature::FeaturesSpec;
    use crate::time::EventTime;
    use std::time::Duration;

    #[test]
    fn spreading_changes_nothing_but_white_space_between_tokens() {
        let json = r#"{"z":1.50,"a": [ ],"text":"a, {b}: \" \\","list":[1,{"x":{}}],"last":null}"#;
        let expected = r#"{
    "z": 1.50,
    "a": [],
    "text": "a, {b}: \" \\",
    "list": [
      1,
      {
        "x": {}
      }
    ],
    "last": null
  }"#;
        assert_eq!(indented(json, 2), expected);
        assert_eq!(indented(expected, 2), expected);
    }

    #[test]
    fn events_of_frames_are_shown_by_name() {
        let expected = EntitySet::default().with(EntityKind::Visitor).with(EntityKind::Card);
        let values =
            vec![(FieldId::AmountMinor, FieldValue::Number(1_250)), (FieldId::Ip, FieldValue::Hash(15))];
        let payment = PaymentCopy { payment_id: "p", expected, values, for_linked: None, context: None };
        let (kind, time) = (EntityKind::Card, EventTime(5));
        let copy = Copy {
            kind,
            hash: 255,
            key: "c",
            event_id: "e",
            time,
            producer: None,
            body: Body::Payment(payment),
        };
        assert_eq!(
            json_of_copy(&copy),
            r#"{"kind":"card","hash":"00000000000000ff","key":"c","event_id":"e","time_ms":5,"payment":{"context":null,"expected":["visitor","card"],"for_linked":null,"payment_id":"p","values":{"amount":1250,"ip":"hash 000000000000000f"}}}"#
        );
        let views =
            "views: [{name: v, entity: card, source: payment_attempted, windows: [1h], features: [count]}]";
        let spec: FeaturesSpec = serde_saphyr::from_str(views).expect("good views");
        let plan = FeaturePlan::compile(&spec, Duration::ZERO).expect("good views");
        let count = plan.feature("v__count_1h").expect("it is declared").id;
        let context = PaymentContext {
            payment_id: "p",
            amount_minor: 1_250,
            currency: "EUR",
            channel: None,
            card_country: None,
            ip_country: None,
            billing_country: None,
            shipping_country: None,
        };
        let part = Part {
            decision: DecisionId(7),
            event: 255,
            kind,
            entity: "c",
            expected,
            is_forwarded: false,
            time,
            features: vec![(count, 2.0), (count ^ 1, 3.0)],
            context: Some(context),
        };
        let shown: Value = serde_json::from_str(&json_of_part(&part, &plan)).expect("JSON");
        assert_eq!(shown["features"], json!({"v__count_1h": 2.0, (count ^ 1).to_string(): 3.0}));
        assert_eq!(
            (&shown["decision"], &shown["context"]["currency"]),
            (&json!(format!("{:032x}", 7)), &json!("EUR"))
        );
    }
}
