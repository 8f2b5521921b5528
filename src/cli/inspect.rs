//! `tillstream inspect`: the records of a topic, for people.

mod fields;

use super::run::client_settings;
use super::{CliError, ConfigFile};
use crate::event::monitor::MonitorEvent;
use crate::event::{Copy, DecisionEvent};
use crate::feature::FeaturePlan;
use crate::log::frame::{Events, Frame, Item, Promise, Record};
use crate::log::kafka::{PartitionReader, ReaderError};
use crate::log::position::Offset;
use crate::log::{Fetched, Topic};
use anyhow::Context as _;
use fields::{indented, json_of_copy, json_of_decision_event, json_of_monitor_event};
use serde::Deserialize;
use std::io::{IsTerminal, Write};

/// Prints the records of a topic: JSON as it is, internal frames with their sources, positions,
/// promises and events.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tillstream inspect scores.fraud --limit 5
  tillstream inspect payments --since 2026-01-05T12:00:00Z --where channel=app
  tillstream inspect tillstream.entity --partition 2 --from 1000 --limit 1")]
pub(super) struct Inspect {
    /// The topic.
    topic: String,
    /// Only this partition.
    #[arg(long)]
    partition: Option<u32>,
    /// From this offset on.
    #[arg(long, value_name = "OFFSET")]
    from: Option<Offset>,
    /// Only records of JSON about this time or later, by their own time (`event_time_ms`, or what they call it).
    #[arg(long, value_name = "TIME")]
    since: Option<jiff::Timestamp>,
    /// Only records of JSON in which this field has this value. May be given several times.
    #[arg(long = "where", value_name = "FIELD=VALUE", value_parser = field_and_value)]
    fields: Vec<(String, String)>,
    /// So many records at most.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Spread JSON over lines, as on a terminal.
    #[arg(long)]
    pretty: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// How records are printed.
struct Printer<'p> {
    /// The names of features, as far as this configuration knows them.
    plan: &'p FeaturePlan,
    spread: bool,
}

impl Inspect {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let topic = Topic::from_name(&self.topic).ok_or_else(|| {
            let known: Vec<_> = Topic::ALL.iter().map(|topic| topic.name()).collect();
            CliError::Usage(format!(
                "`{}` is not a topic of tillstream; known are: {}",
                self.topic,
                known.join(", ")
            ))
        })?;
        let config = self.config.load()?;
        let reading = || format!("reading {topic} from {}", config.kafka.brokers);
        let reader = PartitionReader::new(&client_settings(&config), topic, self.partition, self.from);
        let mut reader = match reader {
            Err(fault @ ReaderError::NoPartition { .. }) => return Err(CliError::Usage(fault.to_string())),
            outcome => outcome.with_context(reading)?,
        };
        let mut out = std::io::stdout().lock();
        let printer = Printer { plan: &config.fold.plan, spread: self.pretty || out.is_terminal() };
        let wanted =
            Wanted { since_ms: self.since.map(jiff::Timestamp::as_millisecond), fields: &self.fields };
        let mut left = self.limit;
        while left > 0 {
            let Some(fetched) = reader.next_record().with_context(reading)? else { break };
            if wanted.is(&fetched) {
                left -= 1;
                out.write_all(printer.record(&fetched).as_bytes()).context("printing")?;
            }
        }
        Ok(())
    }
}

/// Reads `channel=app`.
fn field_and_value(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("must be a field and its value, such as channel=app")?;
    Ok((field.to_owned(), value.to_owned()))
}

/// The fields in which records of JSON say of when they are.
const TIMES: [&str; 6] = ["event_time_ms", "known_at_ms", "as_of_ms", "start_ms", "minute_ms", "day_ms"];

/// Which records are printed.
struct Wanted<'w> {
    since_ms: Option<i64>,
    fields: &'w [(String, String)],
}

impl Wanted<'_> {
    fn is(&self, fetched: &Fetched) -> bool {
        if self.since_ms.is_none() && self.fields.is_empty() {
            return true;
        }
        let value = fetched.record.value.as_deref().unwrap_or_default();
        let Ok(record) = serde_json::from_slice::<serde_json::Value>(value) else { return false };
        let time = TIMES.iter().find_map(|name| record.get(name)?.as_i64());
        let at = |path: &str| path.split('.').try_fold(&record, |within, name| within.get(name));
        let has = |(field, wanted): &(String, String)| match at(field) {
            Some(serde_json::Value::String(text)) => text == wanted,
            Some(other) => {
                serde_json::from_str(wanted).is_ok_and(|wanted: serde_json::Value| wanted == *other)
            }
            None => false,
        };
        self.since_ms.is_none_or(|since| time.is_some_and(|time| time >= since))
            && self.fields.iter().all(has)
    }
}

impl Printer<'_> {
    fn record(&self, fetched: &Fetched) -> String {
        let record = &fetched.record;
        let key =
            record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default();
        let value = record.value.as_deref().unwrap_or_default();
        let mut text = format!("{} @{} key={key}\n", fetched.partition, fetched.offset);
        for (name, value) in record.headers.spelled_out("") {
            text.push_str(&format!("  {name}: {}\n", String::from_utf8_lossy(&value)));
        }
        match fetched.partition.topic {
            Topic::Entity | Topic::Decision | Topic::Monitor => {
                text.push_str(&self.frames(value, fetched.partition.topic))
            }
            _ => text.push_str(&format!("  {}\n", self.json(&String::from_utf8_lossy(value), 2))),
        }
        text
    }

    /// As it is, or spread over lines that begin with `margin` spaces; what is no JSON stays as it is.
    fn json(&self, text: &str, margin: usize) -> String {
        if self.spread && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
            indented(text, margin)
        } else {
            text.to_owned()
        }
    }

    fn frames(&self, bytes: &[u8], topic: Topic) -> String {
        let record = match Record::decode(bytes) {
            Ok(record) => record,
            Err(fault) => return format!("  not a frame: {fault}\n"),
        };
        let mut text =
            format!("  life {:x}, fold {:016x}, {} bytes\n", record.life.0, record.fold.0, bytes.len());
        for item in &record.items {
            match item {
                Item::Frame(frame) => text.push_str(&self.frame(frame, topic)),
                Item::Join(sources) => {
                    let names: Vec<_> =
                        sources.iter().map(|(id, topic)| format!("{topic}/{}", id.partition)).collect();
                    text.push_str(&format!("  join {}\n", names.join(" ")));
                }
                Item::Deadline(deadline) => {
                    text.push_str(&format!(
                        "  deadline of {}, opened at {}\n",
                        deadline.decision, deadline.opened_at
                    ));
                }
            }
        }
        text
    }

    fn frame(&self, frame: &Frame<'_>, topic: Topic) -> String {
        let source = format!("{:08x}/{}", frame.source.short_topic(), frame.source.partition);
        let mut text = format!(
            "  frame of {source} ({}, {}], {}, {} events\n",
            frame.from,
            frame.to,
            promised(frame.promise),
            frame.count
        );
        if topic == Topic::Monitor {
            self.events(frame.events::<MonitorEvent<'_>>(), json_of_monitor_event, &mut text);
        } else if topic == Topic::Entity {
            self.events(frame.events::<Copy<'_>>(), json_of_copy, &mut text);
        } else {
            let json_of = |event: &DecisionEvent<'_>| json_of_decision_event(event, self.plan);
            self.events(frame.events::<DecisionEvent<'_>>(), json_of, &mut text);
        }
        text
    }

    fn events<'a, E: Deserialize<'a>>(
        &self,
        events: Events<'a, E>,
        json_of: impl Fn(&E) -> String,
        text: &mut String,
    ) {
        for event in events {
            text.push_str(&match event {
                Ok((position, event)) => format!("    {position} {}\n", self.json(&json_of(&event), 4)),
                Err(fault) => format!("    {fault}\n"),
            });
        }
    }
}

fn promised(promise: Promise) -> String {
    match promise {
        Promise::Unknown => "promises nothing yet".to_owned(),
        Promise::Watermark(time) => format!("watermark {}", time.0),
        Promise::Idle { highest: Some(time), idle_ms } => format!("idle for {idle_ms} ms after {}", time.0),
        Promise::Idle { highest: None, idle_ms } => format!("idle for {idle_ms} ms, without an event yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{LogRecord, TopicPartition};

    #[test]
    fn records_are_chosen_by_their_own_time_and_by_what_they_say() {
        let fetched = |json: &str| Fetched {
            partition: TopicPartition::new(Topic::Payments, 0),
            offset: 0,
            record: std::sync::Arc::new(LogRecord { value: Some(json.into()), ..LogRecord::default() }),
        };
        let record = fetched(
            r#"{"event_time_ms":1000,"channel":"app","amount_minor":250,"entities":{"device":"d1"}}"#,
        );
        let is = |since_ms, fields: &[&str]| {
            let fields: Vec<_> = fields.iter().map(|field| field_and_value(field).unwrap()).collect();
            Wanted { since_ms, fields: &fields }.is(&record)
        };
        assert!(is(None, &[]) && is(Some(1_000), &["channel=app", "amount_minor=250"]));
        assert!(is(None, &["entities.device=d1"]) && !is(None, &["entities.card=d1"]));
        assert!(!is(Some(1_001), &[]) && !is(None, &["channel=web"]) && !is(None, &["store_id=1"]));
        assert!(Wanted { since_ms: None, fields: &[] }.is(&fetched("no JSON")));
        assert!(!Wanted { since_ms: Some(0), fields: &[] }.is(&fetched("no JSON")));
        assert!(field_and_value("channel").is_err());
    }
}
