//! `tillstream replay`: a range of an internal log once more, into files, beside what was published.

use super::audit::{Application, Made, Report};
use super::process::write_record;
use super::{CliError, ConfigFile};
use crate::config::Role;
use crate::engine::decide::Decide;
use crate::engine::keyed::Keyed;
use crate::engine::monitor::Monitor;
use crate::engine::stage::Stage;
use crate::log::position::Offset;
use crate::log::{LogRecord, Topic};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Folds a range of one internal partition again, writes what it makes for each public topic to DIR/<topic>.jsonl, and
/// compares it with what was published: exit code 1, and the first differences, if there are any. The state at
/// the range's beginning comes from the log's beginning, or from the newest checkpoint where that is gone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tillstream replay tillstream.entity --partition 2 --out again
  tillstream replay tillstream.decision --partition 0 --from 1000 --to 2000 --out again")]
pub(super) struct Replay {
    /// The internal log.
    #[arg(value_parser = ["tillstream.entity", "tillstream.decision", "tillstream.monitor"])]
    log: String,
    /// The partition.
    #[arg(long)]
    partition: u32,
    /// The first offset whose outputs are wanted; without it, all that can be made.
    #[arg(long, value_name = "OFFSET")]
    from: Option<Offset>,
    /// The offset behind the last one; without it, what the group has committed.
    #[arg(long, value_name = "OFFSET")]
    to: Option<Offset>,
    /// The folder for the files; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
}

impl Replay {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let application = Application::open(self.config.load()?)?;
        let (settings, topology) = (application.config.fold.clone(), application.topology.clone());
        match Topic::from_name(&self.log) {
            Some(log @ Topic::Entity) => {
                self.stage(&application, Role::Keyed, Keyed::new(settings, topology), log)
            }
            Some(log @ Topic::Decision) => {
                self.stage(&application, Role::Decide, Decide::new(settings, topology), log)
            }
            _ => self.stage(&application, Role::Monitor, Monitor::new(settings, topology), Topic::Monitor),
        }
    }

    fn stage<S: Stage>(
        &self,
        application: &Application,
        role: Role,
        stage: S,
        log: Topic,
    ) -> Result<(), CliError> {
        let standings = application.standings(role, &[log])?;
        let of_it = standings.into_iter().find(|standing| standing.partition.partition == self.partition);
        let standing = of_it.ok_or_else(|| {
            let count = application.topology.partitions(log);
            CliError::Usage(format!(
                "{log} has no partition {}: it has {count}, counted from 0",
                self.partition
            ))
        })?;
        let (replay, mut range) = application.begin(role, stage, standing, self.from, false)?;
        range.to = self.to.map_or(range.to, |to| to.min(range.to));
        if range.from >= range.to {
            return Err(CliError::Usage(format!(
                "nothing to replay: {} is committed up to {}, and the range begins at {}",
                range.partition, range.to, range.from
            )));
        }
        std::fs::create_dir_all(&self.out).with_context(|| format!("making {}", self.out.display()))?;
        let mut files = BTreeMap::new();
        for topic in S::PUBLISHES {
            let path = self.out.join(format!("{topic}.jsonl"));
            let file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
            files.insert(*topic, BufWriter::new(file));
        }
        let (mut made, mut report) = (Made::default(), Report::default());
        application.fold_again(replay, range, &mut made, |append| {
            let (key, value, headers) = (append.key.clone(), append.value.clone(), append.headers.clone());
            let record = LogRecord { key, value, headers, timestamp_ms: None };
            let file =
                files.get_mut(&append.destination.topic()).context("a topic that the stage does not name")?;
            Ok(write_record(file, &record, &application.config.application)
                .with_context(|| format!("writing to {}", self.out.display()))?)
        })?;
        for file in files.values_mut() {
            file.flush().with_context(|| format!("writing to {}", self.out.display()))?;
        }
        report.lines.push(format!("{} [{}, {})", range.partition, range.from, range.to));
        for topic in S::PUBLISHES {
            application.compare_public(*topic, &[range], &mut made, &mut report)?;
        }
        report.finish()
    }
}
