//! `tillstream inspect`: the records of a topic, for people.

use super::run::client_settings;
use super::{CliError, ConfigFile};
use crate::event::{Copy, Part};
use crate::log::frame::{Frame, Item, Record};
use crate::log::kafka::PartitionReader;
use crate::log::position::Offset;
use crate::log::{Fetched, Topic};
use anyhow::Context as _;
use std::io::Write;

/// Prints the records of a topic: JSON as it is, internal frames with their sources, positions,
/// promises and events.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tillstream inspect scores.fraud --limit 5
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
    /// So many records at most.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    config: ConfigFile,
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
        let mut reader = PartitionReader::new(&client_settings(&config), topic, self.partition, self.from)
            .with_context(|| format!("reading {topic}"))?;
        let mut out = std::io::stdout().lock();
        for _ in 0..self.limit {
            let Some(fetched) = reader.next_record().with_context(|| format!("reading {topic}"))? else {
                break;
            };
            out.write_all(describe(&fetched).as_bytes()).context("printing")?;
        }
        Ok(())
    }
}

fn describe(fetched: &Fetched) -> String {
    let record = &fetched.record;
    let key = record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default();
    let value = record.value.as_deref().unwrap_or_default();
    let mut text = format!("{} @{} key={key}\n", fetched.partition, fetched.offset);
    for (name, value) in record.headers.spelled_out("") {
        text.push_str(&format!("  {name}: {}\n", String::from_utf8_lossy(&value)));
    }
    match fetched.partition.topic {
        Topic::Entity | Topic::Decision => text.push_str(&describe_frames(value, fetched.partition.topic)),
        _ => text.push_str(&format!("  {}\n", String::from_utf8_lossy(value))),
    }
    text
}

fn describe_frames(bytes: &[u8], topic: Topic) -> String {
    let record = match Record::decode(bytes) {
        Ok(record) => record,
        Err(fault) => return format!("  not a frame: {fault}\n"),
    };
    let mut text =
        format!("  life {:x}, fold {:016x}, {} bytes\n", record.life.0, record.fold.0, bytes.len());
    for item in &record.items {
        match item {
            Item::Frame(frame) => text.push_str(&describe_frame(frame, topic)),
            Item::Join(sources) => {
                let names: Vec<_> =
                    sources.iter().map(|(id, topic)| format!("{topic}/{}", id.partition)).collect();
                text.push_str(&format!("  join {}\n", names.join(" ")));
            }
            Item::Retire(id) => text.push_str(&format!("  retire {:032x}/{}\n", id.topic, id.partition)),
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

fn describe_frame(frame: &Frame<'_>, topic: Topic) -> String {
    let source = format!("{:08x}/{}", frame.source.topic >> 96, frame.source.partition);
    let mut text = format!(
        "  frame of {source} ({}, {}] {:?}, {} events\n",
        frame.from, frame.to, frame.promise, frame.count
    );
    if topic == Topic::Entity {
        for event in frame.events::<Copy<'_>>() {
            text.push_str(&match event {
                Ok((position, copy)) => format!("    {position} {copy:?}\n"),
                Err(fault) => format!("    {fault}\n"),
            });
        }
    } else {
        for event in frame.events::<Part<'_>>() {
            text.push_str(&match event {
                Ok((position, part)) => format!("    {position} {part:?}\n"),
                Err(fault) => format!("    {fault}\n"),
            });
        }
    }
    text
}
