//! `tillstream config`: check and show.

use super::against_state::against_state;
use super::run::needs_slot;
use super::{CliError, ConfigFile};
use crate::config::{Config, FIRST_STARTS, LogFormat, Role, ServeConfig};
use crate::recommend::RecommendSettings;
use crate::serve::clients::ClientRole;
use anyhow::Context as _;
use std::io::Write;
use std::path::PathBuf;

/// Checks or shows the configuration, with the environment's overrides.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tillstream config check --config shop.yaml
  tillstream config check --against-state --config shop.yaml     before a start with other views
  TILLSTREAM__SESSIONS__GAP=20m tillstream config show")]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Report every fault, or what the views cost. Exit code 2 if there are faults.
    Check {
        /// Ask the broker and the storage as well, and say of each task what a start with this configuration would do with
        /// its state: keep it, make it again from the log, or refuse. Exit code 1 if it would refuse. Changes nothing.
        #[arg(long)]
        against_state: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Print the resolved settings.
    Show {
        #[command(flatten)]
        config: ConfigFile,
    },
}

impl ConfigCommand {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let text = match self.what {
            What::Check { config, against_state: false } => cost_of_views(&config.load()?),
            What::Check { config, against_state: true } => {
                let config = config.load()?;
                cost_of_views(&config) + &against_state(config)?
            }
            What::Show { config } => shown(&config.load()?),
        };
        std::io::stdout().write_all(text.as_bytes()).context("printing")?;
        Ok(())
    }
}

fn cost_of_views(config: &Config) -> String {
    let mut text = "the configuration is good\n".to_owned();
    if !config.has_own_keys {
        text.push_str(
            "there are no pseudonyms.keys: `process` and `demo` use those of the demo, `run` will refuse\n",
        );
    }
    if needs_slot(config) {
        text.push_str("there is no slot: `run` will refuse, because exactly_once needs one\n");
    }
    text.push_str("\nmemory per key, at most:\n");
    let mut sum = 0;
    for group in config.fold.plan.groups() {
        let bytes = group.memory_per_key_bytes();
        sum += bytes;
        let filters = config.fold.plan.filters(group.entity(), group.source());
        let filter = group.id().filter.and_then(|place| filters?.text(place));
        let filter = filter.map_or(String::new(), |text| format!("  where {text}"));
        text.push_str(&format!(
            "  {:<10} {:<18} {bytes:>9} bytes{filter}\n",
            group.entity().name(),
            group.source().name()
        ));
    }
    text.push_str(&format!("  {:<29} {sum:>9} bytes\n", "one key of each"));
    text
}

fn shown(config: &Config) -> String {
    let duration = |duration| humantime::format_duration(duration).to_string();
    let file = |file: &Option<PathBuf>| {
        file.as_ref().map_or_else(|| "those of the program".to_owned(), |file| file.display().to_string())
    };
    let (fold, kafka) = (&config.fold, &config.kafka);
    let shown = serde_json::json!({
        "application": config.application,
        "slot": config.slot,
        "kafka": {
            "brokers": kafka.brokers,
            "client": kafka.client.keys().filter(|key| !kafka.client_files.contains_key(*key)).collect::<Vec<_>>(),
            "client_files": kafka.client_files.keys().collect::<Vec<_>>(),
        },
        "roles": config.roles.iter().map(|role| name_of(&Role::ALL, *role)).collect::<Vec<_>>(),
        "exactly_once": config.exactly_once.iter().map(|topic| topic.name()).collect::<Vec<_>>(),
        "commit_interval": duration(config.commit_interval),
        "log_format": name_of(&LogFormat::ALL, config.log_format),
        "ingest": {
            "payload_bytes_max": format!("{}B", fold.payload_bytes_max),
            "out_of_orderness": duration(fold.out_of_orderness),
            "idle_timeout": duration(config.idle_timeout),
            "future_bound": duration(fold.future_bound),
            "first_start": name_of(&FIRST_STARTS, config.first_start),
        },
        "dedup": {"horizon": duration(fold.dedup_horizon)},
        "links": {
            "horizon": duration(fold.links.horizon),
            "shared_within": duration(fold.links.shared_within),
            "customers_max": fold.links.customers_max,
        },
        "sessions": {
            "gap": duration(fold.sessions.gap),
            "allowed_lateness": duration(fold.sessions.allowed_lateness),
            "remember_closed": duration(fold.sessions.remember_closed),
        },
        "labels": {"horizon": duration(fold.label_horizon)},
        "decisions": {"deadline": duration(config.decision_deadline)},
        "checkpoints": {
            "url": config.checkpoints.url,
            "interval": duration(config.checkpoints.cadence.interval),
            "bytes": format!("{}B", config.checkpoints.cadence.bytes),
        },
        "http": {"listen": config.listen.to_string()},
        "serve": served(&config.serve),
        "archive": config.archive.as_ref().map(|archive| serde_json::json!({
            "url": archive.url,
            "interval": duration(archive.limits.interval),
            "records_max": archive.limits.records_max,
        })),
        "recommend": recommended(&config.serve.view.recommend),
        "memory": {
            "raw_partitions": config.partitions.raw,
            "internal_partitions": config.partitions.internal,
            "public_partitions": config.partitions.public,
        },
        "pseudonyms": if config.has_own_keys { "own keys" } else { "the keys of the demo" },
        "features": {"file": file(&config.files.features), "count": fold.plan.feature_names().len()},
        "rules": {"file": file(&config.files.rules), "version": fold.rules.version()},
        "model": fold.model.as_ref().map(|model| serde_json::json!({"file": file(&config.files.model), "name": model.name()})),
    });
    serde_json::to_string_pretty(&shown).expect("plain values serialise") + "\n"
}

fn served(serve: &ServeConfig) -> serde_json::Value {
    let duration = |duration| humantime::format_duration(duration).to_string();
    let clients = serve.clients.iter().map(|client| {
        let roles: Vec<_> = client.roles.iter().map(|role| name_of(&ClientRole::ALL, *role)).collect();
        serde_json::json!({
            "name": client.name,
            "roles": roles,
            "requests_per_second": client.rate.0,
            "burst": client.rate.1,
        })
    });
    let fallbacks = serve.score.fallbacks.iter().map(|fallback| {
        serde_json::json!({
            "channel": fallback.channel,
            "amount_up_to_minor": fallback.amount_up_to_minor,
            "decision": fallback.decision,
        })
    });
    serde_json::json!({
        "history": duration(serve.history),
        "sessions_history": duration(serve.sessions_history),
        "push": serve.push.map(|push| push.count),
        "visitors_max": serve.view.visitors_max,
        "entities_max": serve.view.entities_max,
        "decisions_max": serve.view.decisions_max,
        "verdicts_max": serve.view.verdicts_max,
        "streams_max": serve.streams_max,
        "score": {
            "budget": duration(serve.score.budget),
            "waiting_max": serve.score.waiting_max,
            "fallback": fallbacks.collect::<Vec<_>>(),
        },
        "clients": clients.collect::<Vec<_>>(),
    })
}

fn recommended(recommend: &RecommendSettings) -> serde_json::Value {
    let neighbours = &recommend.neighbours;
    serde_json::json!({
        "sessions_max": neighbours.sessions_max,
        "session_items_max": neighbours.session_items_max,
        "candidates": neighbours.candidates,
        "neighbours": neighbours.neighbours,
        "last_items": neighbours.last_items,
        "rarity_weight": neighbours.rarity_weight,
        "items_max": recommend.items_max,
        "show_seen": recommend.shows_seen,
        "events_per_minute_max": recommend.events_per_minute_max,
        "popularity_half_life": humantime::format_duration(recommend.half_life).to_string(),
    })
}

fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}
