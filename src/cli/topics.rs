//! `tillstream topics`: what the topics should be, against what a broker has.

use super::run::client_settings;
use super::{CliError, ConfigFile};
use crate::log::Topic;
use crate::log::kafka::{Admin, BrokerTopic};
use anyhow::Context as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write;

/// Compares the topics with a broker, or makes those that are missing. Never changes and never deletes one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tillstream topics plan --config shop.yaml
  tillstream topics apply --config shop.yaml
  tillstream topics apply --replication 1     a broker for tests")]
pub(super) struct Topics {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show what is missing and what differs. Exit code 1 if something does.
    Plan(Arguments),
    /// Make what is missing.
    Apply(Arguments),
}

#[derive(Debug, clap::Args)]
struct Arguments {
    /// Replicas in place of those in the topic files; `min.insync.replicas` is lowered with it.
    #[arg(long, value_name = "N")]
    replication: Option<u32>,
    /// Partitions in place of those in the topic files.
    #[arg(long, value_name = "N")]
    partitions: Option<u32>,
    #[command(flatten)]
    config: ConfigFile,
}

/// A file of `topics/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicFile {
    name: String,
    kind: String,
    description: String,
    key: String,
    partitions: u32,
    replication: u32,
    config: BTreeMap<String, String>,
    schema: serde_json::Value,
    writers: Vec<String>,
    readers: Vec<String>,
    promises: Vec<String>,
}

/// How a topic on the broker differs from its file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Difference {
    Missing,
    /// Fatal: the number of partitions of an internal topic is part of its format.
    Partitions {
        wanted: u32,
        found: u32,
    },
    Replication {
        wanted: u32,
        found: u32,
    },
    Setting {
        key: String,
        wanted: String,
        found: String,
    },
}

impl Topics {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let (arguments, applies) = match self.what {
            What::Plan(arguments) => (arguments, false),
            What::Apply(arguments) => (arguments, true),
        };
        let config = arguments.config.load()?;
        let files = topic_files(&arguments);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting tokio")?;
        let admin = Admin::new(&client_settings(&config)).context("connecting")?;
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let found = runtime
            .block_on(admin.topics(&names))
            .with_context(|| format!("asking {} for its topics", config.kafka.brokers))?;
        let mut out = std::io::stdout().lock();
        let mut differs = false;
        for file in &files {
            let differences = compare(file, found.get(&file.name));
            for difference in &differences {
                writeln!(out, "{}: {}", file.name, difference.text()).context("printing")?;
            }
            if applies && differences == [Difference::Missing] {
                runtime
                    .block_on(admin.create(&file.name, file.partitions, file.replication, &file.config))
                    .with_context(|| format!("making {}", file.name))?;
                writeln!(out, "{}: made, {} partitions", file.name, file.partitions).context("printing")?;
            } else {
                differs |= !differences.is_empty();
            }
        }
        if applies {
            wait_until_known(&admin, &names)?;
        }
        if differs {
            return Err(anyhow::anyhow!("the broker's topics differ from the files").into());
        }
        writeln!(out, "all topics are as their files say").context("printing")?;
        Ok(())
    }
}

/// A topic that was just made is not known to every broker at once.
fn wait_until_known(admin: &Admin, names: &[&str]) -> Result<(), CliError> {
    for _ in 0..60 {
        let known = admin.topic_sizes(names).context("looking up the topics that were made")?;
        if names.iter().all(|name| known.get(*name).is_some_and(|topic| topic.partitions > 0)) {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(250));
    }
    Err(anyhow::anyhow!("the topics were made, and the broker does not know them yet").into())
}

impl Difference {
    fn text(&self) -> String {
        match self {
            Difference::Missing => "is missing".to_owned(),
            Difference::Partitions { wanted, found } => {
                format!("has {found} partitions, and its file says {wanted}: a change of it is a migration")
            }
            Difference::Replication { wanted, found } => {
                format!("has {found} replicas, and its file says {wanted}")
            }
            Difference::Setting { key, wanted, found } => {
                format!("{key} is {found}, and its file says {wanted}")
            }
        }
    }
}

const FILES: [&str; Topic::ALL.len()] = [
    include_str!("../../topics/clickstream.yaml"),
    include_str!("../../topics/payments.yaml"),
    include_str!("../../topics/labels.yaml"),
    include_str!("../../topics/predictions.yaml"),
    include_str!("../../topics/orders.yaml"),
    include_str!("../../topics/pos.yaml"),
    include_str!("../../topics/accounts.yaml"),
    include_str!("../../topics/catalogue.yaml"),
    include_str!("../../topics/rules.yaml"),
    include_str!("../../topics/alerts.control.yaml"),
    include_str!("../../topics/tillstream.linked.yaml"),
    include_str!("../../topics/tillstream.entity.yaml"),
    include_str!("../../topics/tillstream.decision.yaml"),
    include_str!("../../topics/tillstream.monitor.yaml"),
    include_str!("../../topics/sessions.yaml"),
    include_str!("../../topics/features.session.yaml"),
    include_str!("../../topics/features.fraud.yaml"),
    include_str!("../../topics/scores.fraud.yaml"),
    include_str!("../../topics/labelled.fraud.yaml"),
    include_str!("../../topics/labelled.predictions.yaml"),
    include_str!("../../topics/vectors.fraud.yaml"),
    include_str!("../../topics/quality.fraud.yaml"),
    include_str!("../../topics/quality.expected.yaml"),
    include_str!("../../topics/business.days.yaml"),
    include_str!("../../topics/business.minutes.yaml"),
    include_str!("../../topics/drift.features.yaml"),
    include_str!("../../topics/alerts.drift.yaml"),
    include_str!("../../topics/alerts.fraud.yaml"),
    include_str!("../../topics/alerts.business.yaml"),
    include_str!("../../topics/recommendations.yaml"),
    include_str!("../../topics/late.yaml"),
    include_str!("../../topics/dead-letter.yaml"),
];

/// Of each topic that tillstream writes, how many bytes a record must be allowed to have.
pub(super) fn record_bytes_wanted() -> BTreeMap<&'static str, u64> {
    let of = |file: TopicFile| {
        let topic = Topic::from_name(&file.name)?;
        let is_written = !Topic::RAW.contains(&topic) || topic == Topic::Linked;
        let topic = is_written.then_some(topic)?;
        Some((topic.name(), file.config.get("max.message.bytes")?.parse().ok()?))
    };
    files().filter_map(of).collect()
}

fn files() -> impl Iterator<Item = TopicFile> {
    FILES
        .iter()
        .map(|text| serde_saphyr::from_str(text).expect("a file of the program, which its tests read"))
}

/// The files in `topics/`, which are part of the program, with the command line's overrides.
fn topic_files(arguments: &Arguments) -> Vec<TopicFile> {
    let with_overrides = |mut file: TopicFile| {
        file.partitions = arguments.partitions.unwrap_or(file.partitions);
        if let Some(replication) = arguments.replication {
            file.replication = replication;
            if let Some(replicas) = file.config.get_mut("min.insync.replicas") {
                *replicas = replicas.parse::<u32>().unwrap_or(1).min(replication).to_string();
            }
        }
        file
    };
    files().map(with_overrides).collect()
}

fn compare(file: &TopicFile, found: Option<&BrokerTopic>) -> Vec<Difference> {
    let Some(found) = found else { return vec![Difference::Missing] };
    let mut differences = Vec::new();
    if found.partitions != file.partitions {
        differences.push(Difference::Partitions { wanted: file.partitions, found: found.partitions });
    }
    if found.replication != file.replication {
        differences.push(Difference::Replication { wanted: file.replication, found: found.replication });
    }
    for (key, wanted) in &file.config {
        let value = found.config.get(key).cloned().unwrap_or_default();
        if value != *wanted {
            differences.push(Difference::Setting { key: key.clone(), wanted: wanted.clone(), found: value });
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_in_code_has_its_file_and_the_reverse() {
        let arguments = Arguments {
            replication: None,
            partitions: None,
            config: super::super::ConfigFile { config: None },
        };
        let files = topic_files(&arguments);
        let named: Vec<_> = files.iter().map(|file| Topic::from_name(&file.name)).collect();
        assert_eq!(named, Topic::ALL.map(Some).to_vec());
        let folder =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/topics")).expect("the folder is there");
        assert_eq!(folder.count(), Topic::ALL.len(), "a file without a topic");
        // what shops write is theirs; of the raw topics this program writes one
        let written = Topic::ALL.len() - Topic::RAW.len() + 1;
        assert_eq!(record_bytes_wanted().len(), written, "each says how large");
    }

    #[test]
    fn differences_are_named() {
        let arguments = Arguments {
            replication: Some(1),
            partitions: Some(4),
            config: super::super::ConfigFile { config: None },
        };
        let file = topic_files(&arguments).remove(0);
        assert_eq!(compare(&file, None), [Difference::Missing]);
        let mut same = BrokerTopic { id: 1, partitions: 4, replication: 1, config: file.config.clone() };
        assert_eq!(compare(&file, Some(&same)), []);
        same.partitions = 3;
        assert_eq!(compare(&file, Some(&same)), [Difference::Partitions { wanted: 4, found: 3 }]);
    }
}
