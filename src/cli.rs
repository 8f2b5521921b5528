//! The command line, one file per subcommand.
//!
//! Exit codes: 0 good, 1 failed, 2 wrong usage or configuration (nothing was started).

mod against_state;
mod audit;
mod config;
mod demo;
mod features;
mod generate;
mod inspect;
mod lines;
mod notify;
mod process;
mod replay;
mod rules;
mod run;
mod topics;
mod verify;

use crate::config::{Config, LogFormat, Tree, read_layers, resolve_beside};
use crate::fault::Faults;
use anyhow::Context as _;
use clap::{CommandFactory, Parser, Subcommand};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What may go wrong on the command line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The configuration or a file named on the command line is wrong: nothing was started.
    #[error("{0}")]
    Usage(String),
    /// It was started and failed.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

const EXAMPLES: &str = "Examples:
  tillstream demo                                    see it work, without a broker
  tillstream generate --events 100000 --out day.jsonl
  tillstream process day.jsonl --out results         the whole engine over files
  tillstream topics apply --config shop.yaml         make the topics on a broker
  tillstream run --config shop.yaml                  the service
  tillstream verify --config shop.yaml               nothing is missing, nothing doubled
  tillstream inspect tillstream.entity --limit 3     look into a topic, frames included

Every setting of the configuration can be overridden by a variable: TILLSTREAM__SESSIONS__GAP=20m.
RUST_LOG sets what is logged (RUST_LOG=tillstream=debug).";

/// Sessions, features and fraud scores from a shop's Kafka topics.
#[derive(Debug, Parser)]
#[command(name = "tillstream", version, after_help = EXAMPLES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run as a service on Kafka.
    Run(run::Run),
    /// Run the whole engine over files of events, without a broker.
    Process(process::Process),
    /// Generate seeded retail traffic with planted fraud.
    Generate(generate::Generate),
    /// Watch the whole engine work on generated traffic, without a broker.
    Demo(demo::Demo),
    /// Compare the topics with a broker, or make what is missing. Never deletes.
    Topics(topics::Topics),
    /// Show or change the rules while the engine runs.
    Rules(rules::Rules),
    /// Try whether those on call would hear of an alert.
    Notify(notify::Notify),
    /// Prove from the logs that nothing is missing or doubled.
    Verify(verify::Verify),
    /// Fold a range of an internal log again, and compare with what was published.
    Replay(replay::Replay),
    /// Read the feature log: what decisions saw, for training.
    Features(features::Features),
    /// Print the records of a topic, internal frames included.
    Inspect(inspect::Inspect),
    /// Check or show the configuration.
    Config(config::ConfigCommand),
    /// Print the completion script of a shell.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Where the configuration is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConfigFile {
    /// The configuration file; without one, the defaults.
    #[arg(long, short, value_name = "FILE", env = "TILLSTREAM_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads, merges and resolves; all faults in one message.
    pub(crate) fn load(&self) -> Result<Config, CliError> {
        self.load_with(|_| ())
    }

    /// As [`ConfigFile::load`]; `add` may set what was not.
    pub(crate) fn load_with(&self, add: impl FnOnce(&mut Tree)) -> Result<Config, CliError> {
        let file = self.config.as_deref();
        let folder = file.and_then(Path::parent).unwrap_or(Path::new("."));
        let (mut tree, faults) = read_layers(file, std::env::vars_os());
        add(&mut tree);
        let config = resolve_beside(&tree, folder, faults);
        config.map_err(|faults| CliError::Usage(format!("the configuration has faults:\n{}", Faults(faults))))
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Run(command) => command.execute(),
        Command::Process(command) => command.execute(),
        Command::Generate(command) => command.execute(),
        Command::Demo(command) => command.execute(),
        Command::Topics(command) => command.execute(),
        Command::Rules(command) => command.execute(),
        Command::Notify(command) => command.execute(),
        Command::Verify(command) => command.execute(),
        Command::Replay(command) => command.execute(),
        Command::Features(command) => command.execute(),
        Command::Inspect(command) => command.execute(),
        Command::Config(command) => command.execute(),
        Command::Completion { shell } => completion(shell),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let code = if matches!(error, CliError::Usage(_)) { 2 } else { 1 };
            say(&format!("error: {error}"));
            ExitCode::from(code)
        }
    }
}

/// Into memory first: the generator panics where it cannot write.
fn completion(shell: clap_complete::Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tillstream", &mut script);
    std::io::stdout().write_all(&script).context("printing")?;
    Ok(())
}

/// A reader that has seen enough (`| head`) is no failure.
fn is_broken_pipe(error: &CliError) -> bool {
    let CliError::Failed(error) = error else { return false };
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// A line for people, on standard error.
pub(crate) fn say(line: &str) {
    // nobody is left to tell if standard error is gone
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Whether people watch standard error.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Starts logging as configured.
pub(crate) fn start_logging(format: LogFormat) {
    crate::telemetry::start_logging(match format {
        LogFormat::Auto => !is_watched(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
