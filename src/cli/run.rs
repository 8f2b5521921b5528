//! `tillstream run`: the service on Kafka.

#![expect(clippy::indexing_slicing, reason = "topics that are missing were refused before")]

mod archiving;
mod broker_limits;
mod heartbeats;
mod notifying;
mod ownership_watch;
mod restore_log;
mod serving;
mod short_lives;
mod stopping;
mod topic_watch;

use super::{CliError, ConfigFile, start_logging};
use crate::archive::Set;
use crate::config::{Config, Role};
use crate::engine::decide::Decide;
use crate::engine::ingest::Ingest;
use crate::engine::keyed::Keyed;
use crate::engine::monitor::Monitor;
use crate::engine::settings::{KnownTopic, Topology};
use crate::engine::stage::Stage;
use crate::engine::worker::{Worker, WorkerError, WorkerSettings, is_transactional};
use crate::log::frame::Life;
use crate::log::kafka::{Admin, BrokerTopic, ClientSettings, KafkaLog, SESSION_TIMEOUT, TopicIds};
use crate::log::position::Offset;
use crate::log::{Log, LogError, Topic, TopicPartition};
use crate::serve::live::Live;
use crate::serve::rules::RulesInForce;
use crate::serve::{RoleStatus, Status};
use crate::slot::Held;
use crate::store::{Place, StorageThread};
use crate::telemetry::metrics::{self, Samples};
use crate::time::{Clock, ProcessingTime, Stopwatch, SystemClock, wait};
use crate::view::View;
use anyhow::Context as _;
use archiving::keep_the_archive;
use heartbeats::{HANG_PATIENCE, Heartbeats};
use notifying::keep_telling;
use restore_log::RestoreLog;
use serving::{Serving, keep_the_view};
use short_lives::ShortLives;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use stopping::Stopping;

/// How long each role's stop may take before what is in flight is left to the next start.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);
/// How long the stop of the whole instance may take before it ends as it is.
const STOP_PATIENCE: Duration = Duration::from_secs(40);
/// How long ingest waits for the roles behind it to find out whether they can go on, at most.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Before a new life after a failed one.
const LIFE_PAUSE: Duration = Duration::from_millis(500);
/// How often somebody looks whether roles go on.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How often a worker says how it stands.
const STATUS_INTERVAL: Duration = Duration::from_millis(250);

/// Runs the roles of the configuration until SIGTERM or Ctrl-C; then it drains, commits and leaves its
/// groups. Several instances share the work.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tillstream run --config shop.yaml
  TILLSTREAM__ROLES='[ingest]' tillstream run --config shop.yaml
  curl http://127.0.0.1:9310/readyz")]
pub(super) struct Run {
    /// Let this task begin at this offset of its topic, unless it has a checkpoint there or beyond: for a topic whose
    /// retention has cut what is needed. What lay before it is lost: of a raw topic the records, of an internal log what
    /// was open there (sessions, features, gathers). May be given several times.
    #[arg(long, value_name = "TOPIC/PARTITION@OFFSET", value_parser = place_in_a_log)]
    start_anew: Vec<(TopicPartition, Offset)>,
    #[command(flatten)]
    config: ConfigFile,
}

/// What the threads of an instance share.
#[derive(Clone)]
struct Instance {
    config: Arc<Config>,
    client: ClientSettings,
    /// Where checkpoints lie.
    place: Place,
    /// Where the feature log lies.
    archive: Option<Place>,
    topology: Arc<Topology>,
    stop: Arc<AtomicBool>,
    /// By role: whether it has read what was there, and whether it has ended.
    caught_up: Arc<[AtomicBool; Role::ALL.len()]>,
    ended: Arc<[AtomicBool; Role::ALL.len()]>,
    lives: Arc<AtomicU64>,
    heartbeats: Arc<Heartbeats>,
    /// Tasks that may begin without history, and where.
    anew: BTreeMap<TopicPartition, Offset>,
    status: Status,
    /// What the role `serve` answers from.
    live: Arc<Live>,
}

/// Reads `tillstream.entity/2@500`.
fn place_in_a_log(text: &str) -> Result<(TopicPartition, Offset), String> {
    let parsed = || {
        let (partition, offset) = text.split_once('@')?;
        let (topic, partition) = partition.rsplit_once('/')?;
        let topic = Topic::from_name(topic).filter(|topic| !Topic::PUBLIC.contains(topic))?;
        let offset: Offset = offset.parse().ok()?;
        Some((TopicPartition::new(topic, partition.parse().ok()?), offset)).filter(|_| offset >= 0)
    };
    parsed()
        .ok_or_else(|| "must be a place in a topic that is read, such as tillstream.entity/2@500".to_owned())
}

impl Run {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let config = self.config.load()?;
        if !config.has_own_keys {
            let message = "pseudonyms.keys: a service needs a key of its own; for instance `head -c 32 /dev/urandom | base64 \
                           > pseudonym.key`, and keys: [{id: k1, secret_file: pseudonym.key}]";
            return Err(CliError::Usage(format!("the configuration has faults:\n{message}")));
        }
        if needs_slot(&config) {
            let message = "slot: exactly_once needs a name under which this instance comes back, of its own among all \
                           instances; for instance TILLSTREAM__SLOT=a";
            return Err(CliError::Usage(format!("the configuration has faults:\n{message}")));
        }
        let place = place_of(&config)?;
        let archive = archive_place_of(&config)?;
        start_logging(config.log_format);
        // recommendations take a thread for a millisecond each; probes alone need one
        let threads = if config.roles.contains(&Role::Serve) { 2 } else { 1 };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()
            .context("starting tokio")?;
        let outcome =
            runtime.block_on(serve(config, (place, archive), self.start_anew)).map_err(CliError::Failed);
        // a worker that hangs in the client library must not keep the process
        runtime.shutdown_background();
        outcome
    }
}

/// Transactions belong to a name under which an instance comes back.
pub(super) fn needs_slot(config: &Config) -> bool {
    !config.exactly_once.is_empty() && config.slot.is_none()
}

/// Where checkpoints lie.
pub(super) fn place_of(config: &Config) -> Result<Place, CliError> {
    Place::new(&config.checkpoints.url, &config.checkpoints.folder)
        .map_err(|fault| CliError::Usage(format!("checkpoints.url: {fault}")))
}

/// Where the feature log lies, if this instance writes it.
pub(super) fn archive_place_of(config: &Config) -> Result<Option<Place>, CliError> {
    let Some(archive) = config.archive.as_ref().filter(|_| config.roles.contains(&Role::Archive)) else {
        return Ok(None);
    };
    let place = Place::new(&archive.url, &archive.folder);
    place.map(Some).map_err(|fault| CliError::Usage(format!("archive.url: {fault}")))
}

/// The consumer group of a role.
pub(super) fn group_of(config: &Config, role: Role) -> String {
    format!("{}-{}", config.application, role_name(role))
}

/// Client settings of a configuration.
pub(super) fn client_settings(config: &Config) -> ClientSettings {
    ClientSettings {
        brokers: config.kafka.brokers.clone(),
        application: config.application.clone(),
        slot: config.slot.clone(),
        member: None,
        topic_ids: TopicIds::default(),
        client: config.kafka.client.clone(),
    }
}

async fn serve(
    config: Config,
    (place, archive): (Place, Option<Place>),
    start_anew: Vec<(TopicPartition, Offset)>,
) -> anyhow::Result<()> {
    let mut client = client_settings(&config);
    let topology = topology(&client)?;
    broker_limits::check(&client).await?;
    client.topic_ids = topic_ids(&topology);
    client.member = config.slot.as_ref().map(|slot| format!("{slot}-{:016x}", topology.fingerprint()));
    let mut held = hold_slot(&config, &place).await?;
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listening on {}", config.listen))?;
    let stop = Arc::new(AtomicBool::new(false));
    let instance = Instance {
        client,
        place,
        archive,
        topology: Arc::new(topology),
        status: Status::new(stop.clone()),
        stop,
        caught_up: Arc::default(),
        ended: Arc::default(),
        lives: Arc::new(AtomicU64::new(u64::try_from(SystemClock.now().0).unwrap_or_default() << 16)),
        heartbeats: Arc::new(Heartbeats::new()),
        live: Arc::new(Live::new(config.serve.view, RulesInForce::declared(&config.fold))),
        anew: start_anew.into_iter().collect(),
        config: Arc::new(config),
    };
    tracing::info!(address = %instance.config.listen, roles = ?instance.config.roles, "started");
    let serving = Serving::start(listener, &instance)?;
    for role in &instance.config.roles {
        let waits_for = Some("it is starting".to_owned());
        instance.status.set(role_name(*role), RoleStatus { waits_for, samples: Samples::default() });
    }
    let workers: Vec<_> = instance.config.roles.iter().map(|role| spawn(*role, instance.clone())).collect();
    let mut read: Vec<Topic> = Vec::new();
    if instance.config.roles.contains(&Role::Serve) {
        read.extend(View::TOPICS);
        read.extend([Topic::Rules, Topic::Recommendations]);
    }
    if instance.config.roles.contains(&Role::Archive) {
        read.extend(Set::TOPICS);
    }
    if instance.config.roles.contains(&Role::Notify) {
        read.extend(notifying::TOPICS.map(|(topic, _)| topic));
    }
    let mut finished = tokio::task::spawn_blocking(move || join(workers));
    let owned = ownership_watch::groups(&instance.config, &instance.topology);
    let (client, stop) = (instance.client.clone(), instance.stop.clone());
    let owning = tokio::spawn(ownership_watch::watch(client, owned, stop));
    let outcome = tokio::select! {
        outcome = &mut finished => outcome,
        hangs = watch(&instance) => return Err(hangs),
        changed = topic_watch::changed(instance.client.clone(), instance.topology.clone(), read) => {
            // no clean stop: what is folded may have been read from another topic than it was taken for
            return Err(changed);
        }
        taken = keep(&mut held) => {
            instance.stop.store(true, Ordering::Relaxed);
            drop(tokio::time::timeout(STOP_PATIENCE, finished).await);
            return Err(taken);
        }
        () = told_to_stop() => {
            tracing::info!("told to stop: draining");
            instance.stop.store(true, Ordering::Relaxed);
            let drained = async {
                tokio::select! {
                    outcome = finished => Ok(outcome),
                    taken = keep(&mut held) => Err(taken),
                }
            };
            match tokio::time::timeout(STOP_PATIENCE, drained).await {
                Ok(outcome) => outcome?,
                Err(_) => {
                    serving.finish().await;
                    anyhow::bail!("the stop took longer than {STOP_PATIENCE:?}: what was in flight is done again")
                }
            }
        }
    };
    owning.abort();
    serving.finish().await;
    for slot in held {
        slot.release().await;
    }
    outcome.context("joining the workers")?
}

/// Returns only if a role hangs, or if one has ended by itself and another has not followed in time.
async fn watch(instance: &Instance) -> anyhow::Error {
    let mut stopping = None::<Stopwatch>;
    loop {
        let begun = Stopwatch::start();
        tokio::time::sleep(WATCH_INTERVAL).await;
        if begun.elapsed() > 10 * WATCH_INTERVAL {
            // the whole process stood still: what it did not do meanwhile says nothing
            continue;
        }
        if let Some((role, silence)) = instance.heartbeats.hangs(HANG_PATIENCE) {
            return anyhow::anyhow!(
                "role {role} hangs: it has not gone on for {} s; what was in flight is done again at the next start",
                silence.as_secs()
            );
        }
        if instance.stop.load(Ordering::Relaxed)
            && stopping.get_or_insert_with(Stopwatch::start).elapsed() > STOP_PATIENCE
        {
            return anyhow::anyhow!(
                "a role has ended, and another has not followed within {STOP_PATIENCE:?}"
            );
        }
    }
}

/// Takes the instance's slot in each of its roles, if it has one.
async fn hold_slot(config: &Config, place: &Place) -> anyhow::Result<Vec<Held>> {
    let Some(slot) = &config.slot else { return Ok(Vec::new()) };
    let names = config.roles.iter().map(|role| format!("{}-{slot}", group_of(config, *role)));
    futures::future::try_join_all(names.map(|name| async move { Held::take(place, &name).await })).await
}

/// Returns only if a slot was taken by somebody else.
async fn keep(held: &mut [Held]) -> anyhow::Error {
    let kept = held.iter_mut().map(|slot| Box::pin(slot.keep()));
    let kept: Vec<_> = kept.collect();
    if kept.is_empty() {
        return std::future::pending().await;
    }
    futures::future::select_all(kept).await.0
}

impl Instance {
    fn is(flags: &[AtomicBool], role: Role) -> bool {
        flags.get(role as usize).is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    fn set(flags: &[AtomicBool], role: Role) {
        if let Some(flag) = flags.get(role as usize) {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// Waits until `is_so`, until told to stop, or for so long.
    fn wait_until(&self, is_so: impl Fn() -> bool, patience: Duration) {
        wait(patience, || self.stop.load(Ordering::Relaxed) || is_so());
    }

    /// Waits for so long, or until told to stop.
    fn pause(&self, patience: Duration) {
        self.wait_until(|| false, patience);
    }

    /// Whether the roles before `role` have ended.
    fn is_last(&self, role: Role) -> bool {
        self.config
            .roles
            .iter()
            .filter(|other| **other < role)
            .all(|other| Instance::is(&*self.ended, *other))
    }

    /// Ingest writes nothing before the roles behind it have found that they can go on: frames of a new
    /// configuration behind uncommitted ones of the old would stop both.
    fn wait_for_those_behind(&self) {
        let behind = self
            .config
            .roles
            .iter()
            .filter(|role| !matches!(role, Role::Ingest | Role::Serve | Role::Archive | Role::Notify));
        let can_go_on = || behind.clone().all(|role| Instance::is(&*self.caught_up, *role));
        self.wait_until(can_go_on, START_PATIENCE);
    }
}

/// SIGTERM or Ctrl-C.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(fault) => {
            tracing::warn!(%fault, "SIGTERM cannot be caught");
            drop(tokio::signal::ctrl_c().await);
        }
    }
}

/// Looks topics up, for ten seconds at most if no broker answers; all that is missing is named at once.
pub(super) fn look_up(
    client: &ClientSettings,
    topics: &[Topic],
) -> anyhow::Result<BTreeMap<String, BrokerTopic>> {
    let admin = Admin::new(client)?;
    let names: Vec<_> = topics.iter().map(|topic| topic.name()).collect();
    let found =
        admin.topic_sizes(&names).with_context(|| format!("asking {} for its topics", client.brokers))?;
    let missing: Vec<_> = names.iter().filter(|name| !found.contains_key(**name)).copied().collect();
    anyhow::ensure!(
        missing.is_empty(),
        "these topics are missing: {}; `tillstream topics apply` makes them",
        missing.join(", ")
    );
    Ok(found)
}

pub(super) fn topology(client: &ClientSettings) -> anyhow::Result<Topology> {
    let found = look_up(client, &Topic::ALL)?;
    let known = |topic: Topic| {
        let found = &found[topic.name()];
        (topic, KnownTopic { id: found.id, partitions: found.partitions })
    };
    Ok(Topology { topics: Topic::ALL.into_iter().map(known).collect() })
}

/// The ids that committed offsets are checked against.
pub(super) fn topic_ids(topology: &Topology) -> TopicIds {
    TopicIds(topology.topics.iter().map(|(topic, known)| (*topic, known.id)).collect())
}

/// One role that ends, by an error or a panic, ends the instance: half an instance is harder to see than none.
struct EndsTheInstance {
    role: Role,
    instance: Instance,
}

impl Drop for EndsTheInstance {
    fn drop(&mut self) {
        Instance::set(&*self.instance.ended, self.role);
        self.instance.heartbeats.rest(self.role);
        self.instance.stop.store(true, Ordering::Relaxed);
    }
}

type WorkerThread = std::thread::JoinHandle<anyhow::Result<()>>;

fn spawn(role: Role, instance: Instance) -> WorkerThread {
    let name = role_name(role);
    let body = move || {
        let instance = EndsTheInstance { role, instance };
        if role == Role::Ingest {
            instance.instance.wait_for_those_behind();
        }
        live(role, &instance.instance).with_context(|| format!("role {name}"))
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(body).expect("the system gives a thread")
}

fn join(workers: Vec<WorkerThread>) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    for worker in workers {
        let ended = worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a worker panicked")));
        outcome = outcome.and(ended);
    }
    outcome
}

pub(super) fn role_name(role: Role) -> &'static str {
    Role::ALL.iter().find(|(_, known)| *known == role).map_or("", |(name, _)| name)
}

fn live(role: Role, instance: &Instance) -> anyhow::Result<()> {
    let (settings, topology) = (&instance.config.fold, &instance.topology);
    match role {
        Role::Ingest => lives(instance, role, &Topic::RAW, Samples::ingest, || {
            Ingest::new(settings.clone(), topology.clone(), instance.config.first_start)
        }),
        Role::Keyed => lives(instance, role, &[Topic::Entity], Samples::keyed, || {
            Keyed::new(settings.clone(), topology.clone())
        }),
        Role::Decide => lives(instance, role, &[Topic::Decision], Samples::decide, || {
            Decide::new(settings.clone(), topology.clone())
        }),
        Role::Archive => keep_the_archive(instance),
        Role::Notify => keep_telling(instance),
        Role::Serve => {
            keep_the_view(instance);
            Ok(())
        }
        Role::Monitor => lives(instance, role, &[Topic::Monitor], Samples::monitor, || {
            Monitor::new(settings.clone(), topology.clone())
        }),
    }
}

/// One life after the other, until told to stop or until something no new life gets over.
fn lives<S: Stage>(
    instance: &Instance,
    role: Role,
    topics: &[Topic],
    sample: impl Fn(&mut Samples, TopicPartition, &S::Task),
    stage: impl Fn() -> S,
) -> anyhow::Result<()> {
    let name = role_name(role);
    let group = group_of(&instance.config, role);
    let mut begun = 0;
    let mut lives = ShortLives::default();
    let storage_failures = Arc::<AtomicU64>::default();
    while !instance.stop.load(Ordering::Relaxed) {
        instance.heartbeats.beat(role);
        begun += 1;
        let life = Life(instance.lives.fetch_add(1, Ordering::Relaxed));
        let settings = WorkerSettings {
            life,
            commit_interval: instance.config.commit_interval,
            idle_timeout: instance.config.idle_timeout,
            decision_deadline: instance.config.decision_deadline,
            exactly_once: instance.config.exactly_once.clone(),
            anew: instance.anew.clone(),
        };
        let transactions = is_transactional(S::PUBLISHES, &settings.exactly_once);
        let log = match KafkaLog::join(&instance.client, &group, topics, life, transactions) {
            Ok(log) => log,
            Err(error @ LogError::Fatal(_)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, role = name, "a life could not begin; trying again");
                instance.status.set(name, not_begun(name, begun, &error));
                instance.pause(LIFE_PAUSE);
                continue;
            }
        };
        let names = instance.topology.names();
        let storage = StorageThread::start(&instance.place, &group, names, &storage_failures)
            .context("starting the thread of the checkpoints")?;
        let mut worker = Worker::new(stage(), log, settings)
            .with_checkpoints(Box::new(storage), instance.config.checkpoints.cadence);
        lives.begins();
        let counts = Counts { begun, lives: &lives, storage_failures: &storage_failures };
        match one_life(instance, role, &counts, &mut worker, &sample) {
            Ok(()) => {}
            Err(WorkerError::Log(error @ (LogError::Retention { .. } | LogError::Fatal(_)))) => {
                return Err(error.into());
            }
            Err(WorkerError::Fold(error)) => {
                // what was folded before is done: whoever goes on need not find it uncommitted
                if let Err(fault) = worker.stop(DRAIN_PATIENCE) {
                    tracing::warn!(%fault, role = name, "stopping");
                }
                return Err(error.into());
            }
            Err(WorkerError::Log(error)) if instance.stop.load(Ordering::Relaxed) => {
                return Err(anyhow::Error::from(error)
                    .context("the stop was not clean: what was in flight is done again at the next start"));
            }
            Err(WorkerError::Log(error)) => {
                tracing::warn!(%error, role = name, "this life is over; a new one begins at the committed offsets");
                lives.ended(error.to_string());
                instance.status.set(name, not_begun(name, begun, &error));
                drop(worker);
                // a slot that comes back at once is given what it had
                let until_given_up = SESSION_TIMEOUT + LIFE_PAUSE;
                let is_given_up = matches!(error, LogError::NoSuchPartition(_));
                instance.pause(if is_given_up { until_given_up } else { LIFE_PAUSE });
            }
        }
    }
    Ok(())
}

/// What is counted of a role over its lives.
struct Counts<'l> {
    /// Lives.
    begun: u64,
    lives: &'l ShortLives,
    storage_failures: &'l AtomicU64,
}

fn one_life<S: Stage>(
    instance: &Instance,
    role: Role,
    counts: &Counts<'_>,
    worker: &mut Worker<S, KafkaLog>,
    sample: &impl Fn(&mut Samples, TopicPartition, &S::Task),
) -> Result<(), WorkerError> {
    let name = role_name(role);
    let (mut said_at, mut quiet) = (ProcessingTime(0), 0);
    let mut restores = RestoreLog::default();
    let mut stopping = Stopping::default();
    let mut folded = 0;
    loop {
        if instance.stop.load(Ordering::Relaxed) && stopping.may_end(instance, role, quiet, folded) {
            return worker.stop(DRAIN_PATIENCE);
        }
        instance.heartbeats.beat(role);
        folded = worker.cycle()?;
        quiet = if folded == 0 { quiet + 1 } else { 0 };
        if quiet > 0 && worker.log().is_connected() && worker.restoring().next().is_none() {
            Instance::set(&*instance.caught_up, role);
        }
        let now = SystemClock.now();
        if now.since(said_at) >= STATUS_INTERVAL {
            said_at = now;
            let mut status = status_of(name, counts, worker, sample, now);
            status.waits_for = counts.lives.trouble().or(status.waits_for);
            instance.status.set(name, status);
            restores.tell(name, worker.restoring());
        }
    }
}

/// Between two lives, of which the first or the attempt at the second ended so.
fn not_begun(name: &'static str, begun: u64, error: &LogError) -> RoleStatus {
    let mut samples = Samples::default();
    samples.count(metrics::LIVES, &[name], begun);
    RoleStatus { waits_for: Some(format!("a new life is to begin: {error}")), samples }
}

fn status_of<S: Stage>(
    name: &'static str,
    counts: &Counts<'_>,
    worker: &mut Worker<S, KafkaLog>,
    sample: &impl Fn(&mut Samples, TopicPartition, &S::Task),
    now: ProcessingTime,
) -> RoleStatus {
    let mut samples = Samples::default();
    samples.count(metrics::LIVES, &[name], counts.begun);
    samples.count(metrics::PARTITIONS_LOST, &[name], worker.lost());
    let failures = counts.storage_failures.load(Ordering::Relaxed);
    samples.count(metrics::CHECKPOINT_FAILURES, &[name], failures);
    let age = worker.oldest_open().map_or(Duration::ZERO, |opened| now.since(opened));
    samples.add(metrics::OLDEST_OPEN_CHAIN, &[name], age.as_secs_f64());
    let mut waits_for = (!worker.log().is_connected())
        .then(|| "the broker does not answer, or the group has not formed".to_owned());
    let unread = worker.log().unread();
    for (partition, task, next, committed) in worker.tasks() {
        sample(&mut samples, partition, task);
        samples.offsets(partition, next, committed);
        if let Some(records) = unread.get(&partition) {
            samples.lag(partition, *records);
        }
    }
    for (partition, saved) in worker.checkpoints() {
        samples.checkpoints(name, partition, saved, now);
    }
    let restoring: Vec<_> = worker.restoring().collect();
    samples.restores(name, &restoring);
    if let Some(restore) = restoring.first() {
        waits_for = Some(restore.to_string());
    }
    RoleStatus { waits_for, samples }
}
