//! `tillstream rules`: the rules that are in force, changed while the engine runs.

use super::run::client_settings;
use super::{CliError, ConfigFile, say};
use crate::codec::rules::RulesPublished;
use crate::config::{Config, DEFAULT_RULES};
use crate::fault::Faults;
use crate::fraud::RuleSet;
use crate::log::Topic;
use crate::log::kafka::{KafkaFeed, PartitionReader};
use crate::time::{Clock, SystemClock};
use anyhow::Context as _;
use std::io::Write;
use std::path::PathBuf;
use xxhash_rust::xxh3::xxh3_64;

/// Show or change the rules by which payments are judged, while the engine runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tillstream rules show --config shop.yaml > rules.yaml
  tillstream rules publish rules.yaml --config shop.yaml --author 'Ada, fraud team'")]
pub(super) struct Rules {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the file of the rules that are in force, or will be once they are read.
    Show(Show),
    /// Check a file of rules and publish it: it is in force as soon as it is read, and without a stop.
    Publish(Publish),
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    config: ConfigFile,
}

/// Checks a file of rules against the views of the configuration and publishes it on the topic `rules`. Its `version` must be
/// above that of the rules in force. Scores name the version that they were made by. A start goes on with what was published last,
/// unless the file that the configuration names has a version as high.
#[derive(Debug, clap::Args)]
struct Publish {
    /// The file, such as `rules` of the configuration names one.
    file: PathBuf,
    /// Publish it although its version is not above that of the rules in force: for partitions that began anew without them. Where
    /// they are in force, it changes nothing, and is handed back.
    #[arg(long)]
    again: bool,
    /// Who publishes it.
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Rules that were published, or those of the configuration.
struct InForce {
    version: u32,
    /// Their file; none for those of the configuration.
    text: Option<String>,
}

impl Rules {
    pub(super) fn execute(self) -> Result<(), CliError> {
        match self.what {
            What::Show(show) => show.execute(),
            What::Publish(publish) => publish.execute(),
        }
    }
}

impl Show {
    fn execute(self) -> Result<(), CliError> {
        let config = self.config.load()?;
        let in_force = in_force(&config)?;
        let text = match (in_force.text, &config.files.rules) {
            (Some(text), _) => text,
            (None, None) => DEFAULT_RULES.to_owned(),
            (None, Some(file)) => {
                std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?
            }
        };
        std::io::stdout().write_all(text.as_bytes()).context("printing")?;
        Ok(())
    }
}

impl Publish {
    fn execute(self) -> Result<(), CliError> {
        let config = self.config.load()?;
        let file = self.file.display();
        let text = std::fs::read_to_string(&self.file)
            .map_err(|fault| CliError::Usage(format!("reading {file}: {fault}")))?;
        let rules = RuleSet::read(&text, &config.fold.plan.feature_names())
            .map_err(|faults| CliError::Usage(format!("{file} has faults:\n{}", Faults(faults))))?;
        let (version, known) = (rules.version(), in_force(&config)?.version);
        if version <= known && !self.again {
            let message = format!("{file}: version {version} is not above {known}, which is in force");
            return Err(CliError::Usage(message));
        }
        let now = SystemClock.now();
        let event = serde_json::json!({
            "event_id": format!("rules-{version}-{:016x}-{}", xxh3_64(text.as_bytes()), now.0),
            "event_name": "rules_published",
            "event_time_ms": now.0,
            "rules": text,
            "author": self.author,
        });
        let payload = serde_json::to_vec(&event).context("writing the event")?;
        RulesPublished::decode(&payload, config.fold.payload_bytes_max)
            .map_err(|reject| CliError::Usage(format!("{file}: {reject}")))?;
        let mut feed = KafkaFeed::new(&client_settings(&config)).context("making a producer")?;
        feed.send(Topic::Rules, now.0, b"rules", &payload).context("producing")?;
        feed.finish().context("producing")?;
        say(&format!("version {version} is published, in place of {known}"));
        Ok(())
    }
}

/// The rules in force once all that is published is read. What reads views that are no more counts: it was good when it was
/// published.
fn in_force(config: &Config) -> Result<InForce, CliError> {
    let reading = || format!("reading {} from {}", Topic::Rules, config.kafka.brokers);
    let names = config.fold.plan.feature_names();
    let mut in_force = InForce { version: config.fold.rules.version(), text: None };
    let mut reader =
        PartitionReader::new(&client_settings(config), Topic::Rules, None, None).with_context(reading)?;
    while let Some(fetched) = reader.next_record().with_context(reading)? {
        let payload = fetched.record.value.as_deref().unwrap_or_default();
        let Ok((Some(published), _)) = RulesPublished::decode(payload, config.fold.payload_bytes_max) else {
            continue;
        };
        let text = published.rules.as_str();
        match RuleSet::read_under_other_views(text, &names) {
            Ok(rules) if rules.version() > in_force.version => {
                in_force = InForce { version: rules.version(), text: Some(text.to_owned()) };
            }
            _ => {}
        }
    }
    Ok(in_force)
}
