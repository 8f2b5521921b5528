//! `tillstream features`: the feature log, for training.

use super::{CliError, ConfigFile, is_watched, say};
use crate::archive::{Day, Days, Exported, ObjectArchive, export};
use crate::store::Place;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Read the feature log: what every decision saw, and what its payment turned out to be.
#[derive(Debug, Args)]
pub(super) struct Features {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write some days as one Parquet file.
    Export(Export),
}

/// Writes the vectors of all payments that were attempted on these days (UTC), each once and as it was scored, with the
/// label that has come for it, as one Parquet file: by event time, then by decision. Where no label has come, `outcome`
/// and `known_at_ms` are null. FILE is replaced, once all of it is written.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tillstream features export --from 2026-01-05 --to 2026-01-11 --out week.parquet --config shop.yaml")]
struct Export {
    /// The first day.
    #[arg(long, value_name = "DAY")]
    from: Day,
    /// The last day, which is in it too.
    #[arg(long, value_name = "DAY")]
    to: Day,
    /// The file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
}

impl Features {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let Command::Export(export) = self.command;
        export.execute()
    }
}

impl Export {
    fn execute(self) -> Result<(), CliError> {
        let config = self.config.load()?;
        let Some(archive) = &config.archive else {
            let message = "the configuration has no feature log: archive.url says where it lies";
            return Err(CliError::Usage(message.to_owned()));
        };
        if self.from > self.to {
            return Err(CliError::Usage(format!("--from {} lies behind --to {}", self.from, self.to)));
        }
        let days = Days { first: self.from, last: self.to };
        let place = Place::new(&archive.url, &archive.folder)
            .map_err(|fault| CliError::Usage(format!("archive.url: {fault}")))?;
        let archive = ObjectArchive::open(&place).context("starting a runtime")?;
        let exported = write(&archive, days, &self.out)?;
        say(&format!("{} rows, {} with a label: {}", exported.rows, exported.labels, self.out.display()));
        Ok(())
    }
}

/// Into a file beside it first: what is there may be of use until it can be replaced.
fn write(archive: &ObjectArchive, days: Days, out: &Path) -> anyhow::Result<Exported> {
    let mut half = out.as_os_str().to_owned();
    half.push(".part");
    let half = PathBuf::from(half);
    let file = File::create(&half).with_context(|| format!("writing {}", half.display()))?;
    let progress = progress_bar(days);
    let outcome = export(archive, days, file, &mut |_| progress.inc(1)).context("reading the feature log");
    progress.finish_and_clear();
    let outcome = outcome.and_then(|exported| {
        let span = (days.first, days.last);
        anyhow::ensure!(exported.rows > 0, "nothing is archived of the days from {} to {}", span.0, span.1);
        std::fs::rename(&half, out).with_context(|| format!("making {}", out.display()))?;
        Ok(exported)
    });
    if outcome.is_err() {
        // what went wrong is said; that this could not be cleared away says nothing more
        drop(std::fs::remove_file(&half));
    }
    outcome
}

fn progress_bar(days: Days) -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} day {pos} of {len} {eta}");
    ProgressBar::new(days.count()).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
