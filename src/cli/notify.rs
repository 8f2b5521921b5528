//! `tillstream notify`: whether those on call would hear.

use super::{CliError, ConfigFile};
use crate::notify::try_receivers;
use crate::time::SystemClock;
use anyhow::Context as _;
use std::io::Write;

/// Who is told of alerts.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tillstream notify test --config shop.yaml
  tillstream notify test --receiver on-call --config shop.yaml")]
pub(super) struct Notify {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Send a test alert, and its end, through each receiver. Exit code 1 if one does not take it.
    Test(Test),
}

#[derive(Debug, clap::Args)]
struct Test {
    /// Only through the receiver of this name.
    #[arg(long, value_name = "NAME")]
    receiver: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Notify {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let What::Test(Test { receiver, config }) = self.what;
        let config = config.load()?;
        let Some(notify) = &config.notify else {
            return Err(CliError::Usage("notify.receivers: none is configured".to_owned()));
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting tokio")?;
        let trials = runtime
            .block_on(try_receivers(notify, receiver.as_deref(), &SystemClock))
            .map_err(|fault| CliError::Usage(fault.to_string()))?;
        let mut out = std::io::stdout().lock();
        let mut failed = 0_usize;
        for trial in &trials {
            let said = if trial.faults.is_empty() { "ok".to_owned() } else { trial.faults.join("; ") };
            failed += usize::from(!trial.faults.is_empty());
            writeln!(out, "{} ({}): {said}", trial.receiver, trial.target).context("printing")?;
        }
        if failed > 0 {
            return Err(anyhow::anyhow!("{failed} of {} receivers did not take it", trials.len()).into());
        }
        Ok(())
    }
}
