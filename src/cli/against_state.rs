//! `tillstream config check --against-state`: what a start with this configuration would do with the state that is there.

use super::CliError;
use super::audit::Application;
use crate::checkpoint::Found;
use crate::config::{Config, Role};
use crate::engine::decide::Decide;
use crate::engine::ingest::Ingest;
use crate::engine::keyed::Keyed;
use crate::engine::monitor::Monitor;
use crate::engine::stage::Stage;
use crate::log::Topic;
use crate::log::frame::Record;
use crate::log::kafka::Standing;
use crate::log::position::Offset;
use std::fmt::Write as _;

/// What becomes of the state of one task.
enum Outcome {
    /// It goes on from its checkpoint.
    Kept(String),
    /// It is made again from the log.
    Rebuilt(String),
    /// A start would stop, and say this.
    Refused(String),
}

/// A line for each task. An error if a start would be refused.
pub(super) fn against_state(config: Config) -> Result<String, CliError> {
    let application = Application::open(config)?;
    let (settings, topology) = (application.config.fold.clone(), application.topology.clone());
    let mut outcomes = Vec::new();
    let ingest = Ingest::new(settings.clone(), topology.clone(), application.config.first_start);
    tasks(&application, Role::Ingest, &ingest, &Topic::RAW, &mut outcomes)?;
    let keyed = Keyed::new(settings.clone(), topology.clone());
    tasks(&application, Role::Keyed, &keyed, &[Topic::Entity], &mut outcomes)?;
    let decide = Decide::new(settings.clone(), topology.clone());
    tasks(&application, Role::Decide, &decide, &[Topic::Decision], &mut outcomes)?;
    let monitor = Monitor::new(settings, topology);
    tasks(&application, Role::Monitor, &monitor, &[Topic::Monitor], &mut outcomes)?;
    let mut text = "\nagainst the state that is there:\n".to_owned();
    let mut refused = 0;
    for (name, outcome) in outcomes {
        let (word, why) = match outcome {
            Outcome::Kept(why) => ("kept", why),
            Outcome::Rebuilt(why) => ("rebuilt", why),
            Outcome::Refused(why) => {
                refused += 1;
                ("refused", why)
            }
        };
        writeln!(text, "  {name:<22} {word:<8} {why}").map_err(anyhow::Error::from)?;
    }
    if refused > 0 {
        return Err(anyhow::anyhow!("a start would be refused in {refused} places{text}").into());
    }
    Ok(text)
}

fn tasks<S: Stage>(
    application: &Application,
    role: Role,
    stage: &S,
    topics: &[Topic],
    into: &mut Vec<(String, Outcome)>,
) -> Result<(), CliError> {
    for standing in application.standings(role, topics)? {
        let outcome = match standing.next() {
            Err(lost) => Outcome::Refused(lost.to_string()),
            Ok(committed) => outcome_of(application, role, stage, (standing, committed))?,
        };
        into.push((standing.partition.to_string(), outcome));
    }
    Ok(())
}

fn outcome_of<S: Stage>(
    application: &Application,
    role: Role,
    stage: &S,
    (standing, committed): (Standing, Option<Offset>),
) -> Result<Outcome, CliError> {
    let found = application.newest(role, stage, standing.partition)?;
    // what lies below either was done
    let done = committed.max(found.chain.last().map(|newest| newest.head.offset));
    match other_fold(application, stage, (standing, done))? {
        Some(refused) => Ok(refused),
        None => Ok(state_of(role, (standing, committed), &found)),
    }
}

/// What was not done must have been made by this version and configuration.
fn other_fold<S: Stage>(
    application: &Application,
    stage: &S,
    (standing, done): (Standing, Option<Offset>),
) -> Result<Option<Outcome>, CliError> {
    let (partition, ours) = (standing.partition, stage.fold_version());
    if Topic::RAW.contains(&partition.topic) {
        return Ok(None);
    }
    let mut found = None;
    let from = done.unwrap_or(0).max(standing.first);
    application.read(partition, (from, i64::MAX), |fetched| {
        let value = fetched.record.value.as_deref().unwrap_or_default();
        if let Ok(record) = Record::decode(value)
            && record.fold != ours
            && record.can_give(|source| stage.gives_nothing(source))
        {
            found.get_or_insert((fetched.offset, record.fold.0));
        }
        Ok(())
    })?;
    Ok(found.map(|(offset, fold)| {
        Outcome::Refused(format!(
            "offset {offset} is not committed and was written by fold version {fold:016x}, and this would be {:016x}: \
             start what wrote it, without ingest, until the lag is zero (docs/delivery.md)",
            ours.0
        ))
    }))
}

fn state_of(role: Role, (standing, committed): (Standing, Option<Offset>), found: &Found) -> Outcome {
    let Standing { partition, first, .. } = standing;
    let passed_over =
        found.passed_over.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>();
    let passed_over =
        if passed_over.is_empty() { "no checkpoint".to_owned() } else { passed_over.join("; ") };
    let next = committed.unwrap_or(0);
    match found.chain.last() {
        Some(newest) if newest.head.offset >= first => Outcome::Kept(format!(
            "from the checkpoint at offset {}, {} offsets of the log to read",
            newest.head.offset,
            (next - newest.head.offset).max(0)
        )),
        Some(newest) if role == Role::Ingest && next >= first => Outcome::Kept(format!(
            "from the checkpoint at offset {}; its topic begins at {first}, behind which nothing is open",
            newest.head.offset
        )),
        _ if role == Role::Ingest && committed.is_some_and(|next| next < first) => Outcome::Refused(format!(
            "offset {next} is next, and the topic begins at {first}: `run --start-anew {partition}@{first}` passes over what lies between"
        )),
        Some(newest) => Outcome::Refused(format!(
            "its checkpoint is at offset {}, and the log begins at {first}: `run --start-anew {partition}@{first}` forgets \
             what is lost",
            newest.head.offset
        )),
        None if role == Role::Ingest && next >= first => {
            Outcome::Kept(format!("it needs no state, and goes on at offset {next}"))
        }
        None if first == 0 || role == Role::Ingest => {
            Outcome::Rebuilt(format!("from the log, {} offsets ({passed_over})", (next - first).max(0)))
        }
        None => Outcome::Refused(format!(
            "the log begins at offset {first} ({passed_over}): `run --start-anew {partition}@{first}` forgets what is lost"
        )),
    }
}
