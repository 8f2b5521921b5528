//! `tillstream verify`: proves from the logs that nothing is missing or doubled.

use super::audit::{Application, Made, Report};
use super::run::role_name;
use super::{CliError, ConfigFile};
use crate::config::Role;
use crate::engine::decide::Decide;
use crate::engine::ingest::Ingest;
use crate::engine::keyed::Keyed;
use crate::engine::monitor::Monitor;
use crate::engine::stage::Stage;
use crate::log::Topic;
use crate::log::position::Offset;
use std::collections::BTreeMap;

/// Folds the raw and internal logs again, up to what each group has committed, and compares with what was appended and
/// published: nothing missing, nothing in two places, the same bytes, the ledgers balanced. Changes nothing, and may run
/// beside the service. Exit code 1, and the first gaps, if something is wrong. Takes about 100 bytes of memory
/// per record.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tillstream verify --config shop.yaml
  tillstream verify --config shop.yaml --from-checkpoint     only what came after the newest checkpoints")]
pub(super) struct Verify {
    /// Begin at the newest checkpoints, even where the logs are whole: quicker, and says nothing of what lies before.
    #[arg(long)]
    from_checkpoint: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Verify {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let application = Application::open(self.config.load()?)?;
        let begun_with = application.first_offsets()?;
        let (settings, topology) = (application.config.fold.clone(), application.topology.clone());
        let (mut report, mut judged) = (Report::default(), false);
        let ingest = Ingest::new(settings.clone(), topology.clone(), application.config.first_start);
        judged |= self.stage(&application, Role::Ingest, &ingest, &Topic::RAW, &mut report)?;
        let keyed = Keyed::new(settings.clone(), topology.clone());
        judged |= self.stage(&application, Role::Keyed, &keyed, &[Topic::Entity], &mut report)?;
        let decide = Decide::new(settings.clone(), topology.clone());
        judged |= self.stage(&application, Role::Decide, &decide, &[Topic::Decision], &mut report)?;
        let monitor = Monitor::new(settings, topology);
        judged |= self.stage(&application, Role::Monitor, &monitor, &[Topic::Monitor], &mut report)?;
        if !judged {
            report.wrong(|| {
                format!(
                    "nothing was ever committed by {}-*: is that the application?",
                    application.config.application
                )
            });
        }
        if report.is_wrong() {
            for (partition, then) in application.first_offsets()? {
                let first = begun_with.get(&partition).copied().unwrap_or(then);
                if then > first {
                    let moved =
                        format!("retention moved the beginning of {partition} from {first} to {then}");
                    return Err(
                        anyhow::anyhow!("{moved} meanwhile: nothing can be said, run it again").into()
                    );
                }
            }
        }
        report.finish()
    }

    /// Returns whether there was anything to judge.
    fn stage<S: Stage + Clone>(
        &self,
        application: &Application,
        role: Role,
        stage: &S,
        inputs: &[Topic],
        report: &mut Report,
    ) -> Result<bool, CliError> {
        let (mut made, mut ranges) = (Made::default(), Vec::new());
        let standings = application.standings(role, inputs)?;
        let made_by_others = match stage.downstream() {
            Some((log, _)) if role == Role::Ingest => {
                application.made_by_others(log, stage.fold_version())?
            }
            _ => BTreeMap::new(),
        };
        for standing in standings {
            match standing.next() {
                Ok(Some(_)) => {}
                Ok(None) => {
                    report.lines.push(format!(
                        "{}: not judged, nothing was ever committed of it",
                        standing.partition
                    ));
                    continue;
                }
                Err(lost) => {
                    report.wrong(|| lost.to_string());
                    continue;
                }
            }
            let from = made_by_others.get(&stage.source_of(standing.partition)).copied();
            if let Some(from) = from {
                let of_others = "was made by another version or configuration of the fold";
                report
                    .lines
                    .push(format!("{}: what lies below {from} {of_others}: not judged", standing.partition));
            }
            match application.begin(role, stage.clone(), standing, from, self.from_checkpoint) {
                Ok((_, range)) if range.from >= range.to => report.lines.push(format!(
                    "{}: not judged, it is committed up to {} and could be folded again only from {}",
                    range.partition, range.to, range.from
                )),
                Ok((replay, range)) => {
                    let mut of_this = Made::default();
                    match application.fold_again(replay, range, &mut of_this, |_| Ok(())) {
                        Ok(()) => {
                            made.append(of_this);
                            ranges.push(range);
                        }
                        Err(fault) => report.wrong(|| format!("{fault:#}")),
                    }
                }
                Err(fault) => report.wrong(|| fault.to_string()),
            }
        }
        let records: Offset = ranges.iter().map(|range| (range.to - range.from).max(0)).sum();
        let what = if records == 0 {
            "nothing to fold again".to_owned()
        } else {
            format!("{records} offsets folded again")
        };
        report.lines.push(format!("{}: {what}, of {} partitions", role_name(role), ranges.len()));
        if let Some((log, _)) = stage.downstream() {
            application.compare_events(log, &ranges, &made, report)?;
        }
        for topic in S::PUBLISHES {
            application.compare_public(*topic, &ranges, &mut made, report)?;
        }
        Ok(!ranges.is_empty())
    }
}
