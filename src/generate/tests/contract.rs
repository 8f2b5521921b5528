//! Every record meets its contract, or breaks it in the way it is counted under.

use super::*;
use crate::time::EventTime;
use std::collections::BTreeMap;

/// Why a payload does not meet the contract, as far as the generator breaks it; `None` if it does.
fn reason(record: &GeneratedRecord) -> Option<&'static str> {
    if record.value.is_empty() {
        return Some("empty");
    }
    let Ok(value) = serde_json::from_slice::<Value>(&record.value) else {
        return Some("not_json");
    };
    let texts: &[&str] = match (record.topic, value["event_name"].as_str()) {
        (RawTopic::Clickstream, _) => &["event_id", "event_name", "visitor_id"],
        (_, Some("payment_attempted")) => &["event_id", "event_name", "payment_id", "card_token", "currency"],
        (_, Some("payment_result")) => &["event_id", "event_name", "payment_id", "card_token", "status"],
        _ => &["event_id", "event_name"],
    };
    let whole = if value["event_name"] == "payment_attempted" { &["amount_minor"][..] } else { &[] };
    let fields = texts.iter().map(|field| (value.get(field), Value::is_string as fn(&Value) -> bool));
    let fields = fields.chain(
        whole
            .iter()
            .chain(&["event_time_ms"])
            .map(|field| (value.get(field), Value::is_u64 as fn(&Value) -> bool)),
    );
    fields.fold(None, |reason, (field, is_right)| match field {
        None => reason.or(Some("missing_field")),
        Some(field) if !is_right(field) => reason.or(Some("wrong_type")),
        Some(_) => reason,
    })
}

#[test]
fn every_record_meets_its_contract_or_breaks_it_in_the_way_it_is_counted_under() {
    let mut broken = BTreeMap::new();
    for reason in STREAM.records.iter().filter_map(reason) {
        *broken.entry(reason).or_insert(0) += 1;
    }
    let BrokenCounts { empty, not_json, wrong_type, missing_field } = STREAM.accounting.broken;
    let counted = [
        ("empty", empty),
        ("not_json", not_json),
        ("wrong_type", wrong_type),
        ("missing_field", missing_field),
    ];
    assert_eq!(broken, counted.into_iter().collect());
    assert!(counted.iter().all(|(_, count)| *count > 5));
}

#[test]
fn keys_and_payloads_name_the_same_entity() {
    for (record, value) in STREAM.parsed() {
        let field = if record.topic == RawTopic::Clickstream { "visitor_id" } else { "card_token" };
        assert_eq!(value[field].as_str(), Some(record.key.as_str()));
    }
}

#[test]
fn values_stay_within_the_bounds_of_the_contract() {
    let within = |text: &str, chars_max: usize| (1..=chars_max).contains(&text.chars().count());
    for (record, value) in STREAM.parsed() {
        assert!(record.value.len() < 2_048 && !record.value.contains(&b'\n'));
        for id in [
            "visitor_id",
            "customer_id",
            "device_id",
            "session_hint",
            "store_id",
            "terminal_id",
            "payment_id",
        ] {
            assert!(value.get(id).is_none_or(|id| within(id.as_str().unwrap(), 128)));
        }
        for amount in ["amount_minor", "value_minor"] {
            assert!(
                value
                    .get(amount)
                    .is_none_or(|minor| (1..1_000_000_000_000).contains(&minor.as_i64().unwrap()))
            );
        }
        if let Some(ip) = value.get("ip") {
            assert!(ip.as_str().unwrap().parse::<std::net::IpAddr>().is_ok(), "{ip}");
        }
        for item in value.get("items").and_then(Value::as_array).into_iter().flatten() {
            assert!(within(item["item_id"].as_str().unwrap(), 128));
            assert!(
                item.get("quantity")
                    .is_none_or(|quantity| (1..=100_000).contains(&quantity.as_i64().unwrap()))
            );
        }
    }
}

#[test]
fn what_the_accounting_says_can_be_seen_in_the_stream() {
    let mut seen = Accounting::default();
    let mut arrived = BTreeSet::new();
    for record in &STREAM.records {
        seen.records += 1;
        match record.topic {
            RawTopic::Clickstream => seen.clicks += 1,
            RawTopic::Payments => seen.payments += 1,
            RawTopic::Labels => seen.labels += 1,
            other => panic!("a record on {}", other.name()),
        }
        let Ok(value) = serde_json::from_slice::<Value>(&record.value) else {
            continue;
        };
        let (Some(event_id), Some(time)) = (value["event_id"].as_str(), event_time(&value)) else {
            continue;
        };
        if !arrived.insert(event_id.to_owned()) {
            seen.duplicates += 1;
            continue;
        }
        let delay = record.timestamp_ms - time;
        seen.future_timestamps += u64::from(delay < 0);
        seen.out_of_order += u64::from((1_000..60_000).contains(&delay));
        seen.late += u64::from(delay >= HOUR_MS);
        let unknown_fields = ["app_version", "experiment", "scroll_depth"];
        seen.unknown_fields += u64::from(unknown_fields.iter().any(|field| value.get(field).is_some()));
        let name = value["event_name"].as_str().unwrap();
        seen.unknown_names += u64::from(
            crate::event::ClickName::from_wire(name) == crate::event::ClickName::Other
                && !["payment_attempted", "payment_result"].contains(&name),
        );
    }
    let Accounting { broken, card_testing, bot, .. } = STREAM.accounting;
    assert_eq!(Accounting { broken, card_testing, bot, ..seen }, STREAM.accounting);
}

#[test]
fn a_line_reads_back_as_its_record() {
    let mut line = Vec::new();
    for record in &STREAM.records[..50_000] {
        line.clear();
        write_line(record, &mut line);
        #[derive(serde::Deserialize)]
        struct Envelope<'a> {
            topic: String,
            ts: i64,
            key: String,
            #[serde(borrow)]
            value: &'a serde_json::value::RawValue,
        }
        let read: Envelope<'_> = serde_json::from_slice(&line).unwrap();
        let value = match serde_json::from_str::<String>(read.value.get()) {
            Ok(text) => text.into_bytes(),
            Err(_) => read.value.get().as_bytes().to_vec(),
        };
        assert_eq!(
            (read.topic.as_str(), read.ts, &read.key),
            (record.topic.name(), record.timestamp_ms, &record.key)
        );
        assert_eq!(value, record.value);
    }
}

#[test]
fn truth_and_accounting_are_lines_of_json() {
    let bot = Truth::Bot {
        id: "bot-1".to_owned(),
        start_ms: EventTime(1),
        end_ms: EventTime(2),
        visitor_id: "v-1".to_owned(),
        device_id: "d-1".to_owned(),
        ip: "203.0.113.1".to_owned(),
        records: 3,
    };
    assert_eq!(
        serde_json::to_string(&bot).unwrap(),
        r#"{"kind":"bot","id":"bot-1","start_ms":1,"end_ms":2,"visitor_id":"v-1","device_id":"d-1","ip":"203.0.113.1","records":3}"#
    );
    let accounting =
        serde_json::to_string(&Truth::Accounting(Accounting { records: 5, ..Accounting::default() }))
            .unwrap();
    assert!(accounting.starts_with(r#"{"kind":"accounting","records":5,"clicks":0,"#), "{accounting}");
}

#[test]
fn labels_follow_their_payments_and_say_what_was_planted() {
    let stream = Stream::of(GenerateSettings { labelled: 0.3, ..settings(1, 100_000) });
    let mut attempts = std::collections::BTreeMap::new();
    let (mut frauds, mut legitimate) = (BTreeSet::new(), 0);
    for (record, value) in stream.parsed() {
        let Some(payment) = value["payment_id"].as_str().map(str::to_owned) else { continue };
        match (record.topic, value["event_name"].as_str()) {
            (RawTopic::Payments, Some("payment_attempted")) => {
                // a broken one may have no time
                attempts.extend(event_time(&value).map(|time| (payment, time)));
            }
            (RawTopic::Labels, Some("label")) => {
                // of an attempt that is late or broken, only the label has come
                let after = attempts.get(&payment).map(|time| value["known_at_ms"].as_i64().unwrap() - time);
                assert!(after.is_none_or(|after| (300_000..3_600_000).contains(&after)), "{after:?}");
                assert_eq!(record.key, payment);
                if value["outcome"] == "fraud" {
                    frauds.insert(payment);
                } else {
                    legitimate += 1;
                }
            }
            _ => {}
        }
    }
    let planted: BTreeSet<String> = stream
        .truth
        .iter()
        .flat_map(|truth| match truth {
            Truth::CardTesting { payment_ids, .. } => payment_ids.clone(),
            _ => Vec::new(),
        })
        .collect();
    assert!(frauds.len() > 20 && frauds.is_subset(&planted), "{} of {}", frauds.len(), planted.len());
    assert!(legitimate > 200, "{legitimate}");
    assert_eq!(stream.accounting.labels, (frauds.len() + legitimate) as u64);
}
