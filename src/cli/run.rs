//! `tillstream run`: the service on Kafka.

#![expect(clippy::indexing_slicing, reason = "topics that are missing were refused before")]

use super::{CliError, ConfigFile, start_logging};
use crate::config::{Config, Role};
use crate::engine::decide::Decide;
use crate::engine::ingest::Ingest;
use crate::engine::keyed::Keyed;
use crate::engine::settings::{KnownTopic, Topology};
use crate::engine::stage::Stage;
use crate::engine::worker::{Worker, WorkerError, WorkerSettings};
use crate::log::frame::Life;
use crate::log::kafka::{Admin, ClientSettings, KafkaLog};
use crate::log::{Log, LogError, Topic, TopicPartition};
use crate::serve::{RoleStatus, Status, router};
use crate::telemetry::metrics::{self, Samples};
use crate::time::{Clock, ProcessingTime, SystemClock};
use anyhow::Context as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How long a stop may take before what is in flight is left to the next start.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);
/// Before a new life after a failed one.
const LIFE_PAUSE: Duration = Duration::from_millis(500);
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
    #[command(flatten)]
    config: ConfigFile,
}

/// What the threads of an instance share.
#[derive(Clone)]
struct Instance {
    config: Arc<Config>,
    client: ClientSettings,
    topology: Arc<Topology>,
    stop: Arc<AtomicBool>,
    lives: Arc<AtomicU64>,
    status: Status,
}

impl Run {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let config = self.config.load()?;
        if !config.has_own_keys {
            let message = "pseudonyms.keys: a service needs a key of its own; for instance `head -c 32 /dev/urandom | base64 \
                           > pseudonym.key`, and keys: [{id: k1, secret_file: pseudonym.key}]";
            return Err(CliError::Usage(format!("the configuration has faults:\n{message}")));
        }
        start_logging(config.log_format);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("starting tokio")?;
        runtime.block_on(serve(config)).map_err(CliError::Failed)
    }
}

/// Client settings of a configuration.
pub(super) fn client_settings(config: &Config) -> ClientSettings {
    ClientSettings {
        brokers: config.kafka.brokers.clone(),
        application: config.application.clone(),
        client: config.kafka.client.clone(),
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let client = client_settings(&config);
    let topology = look_up_topics(&client)?;
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listening on {}", config.listen))?;
    let instance = Instance {
        client,
        topology: Arc::new(topology),
        stop: Arc::new(AtomicBool::new(false)),
        lives: Arc::new(AtomicU64::new(u64::try_from(SystemClock.now().0).unwrap_or_default() << 16)),
        status: Status::default(),
        config: Arc::new(config),
    };
    tracing::info!(address = %instance.config.listen, roles = ?instance.config.roles, "started");
    let http = tokio::spawn(axum::serve(listener, router(instance.status.clone())).into_future());
    let workers: Vec<_> = instance.config.roles.iter().map(|role| spawn(*role, instance.clone())).collect();
    let mut finished = tokio::task::spawn_blocking(move || join(workers));
    let outcome = tokio::select! {
        outcome = &mut finished => outcome,
        () = told_to_stop() => {
            tracing::info!("told to stop: draining");
            instance.stop.store(true, Ordering::Relaxed);
            finished.await
        }
    };
    http.abort();
    outcome.context("joining the workers")?
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

/// Looks every topic up; all that is missing is named at once.
fn look_up_topics(client: &ClientSettings) -> anyhow::Result<Topology> {
    let admin = Admin::new(client)?;
    let names: Vec<_> = Topic::ALL.iter().map(|topic| topic.name()).collect();
    let found =
        admin.topic_sizes(&names).with_context(|| format!("asking {} for its topics", client.brokers))?;
    let missing: Vec<_> = names.iter().filter(|name| !found.contains_key(**name)).copied().collect();
    anyhow::ensure!(
        missing.is_empty(),
        "these topics are missing: {}; `tillstream topics apply` makes them",
        missing.join(", ")
    );
    let known = |topic: Topic| {
        let found = &found[topic.name()];
        (topic, KnownTopic { id: found.id, partitions: found.partitions })
    };
    Ok(Topology { topics: Topic::ALL.into_iter().map(known).collect() })
}

type WorkerThread = std::thread::JoinHandle<anyhow::Result<()>>;

fn spawn(role: Role, instance: Instance) -> WorkerThread {
    let name = role_name(role);
    let body = move || {
        let outcome = live(role, &instance);
        // one role that cannot go on ends the instance: half an instance is harder to see than none
        instance.stop.store(true, Ordering::Relaxed);
        outcome.with_context(|| format!("role {name}"))
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

fn role_name(role: Role) -> &'static str {
    Role::ALL.iter().find(|(_, known)| *known == role).map_or("", |(name, _)| name)
}

fn live(role: Role, instance: &Instance) -> anyhow::Result<()> {
    let (settings, topology) = (&instance.config.fold, &instance.topology);
    let name = role_name(role);
    match role {
        Role::Ingest => lives(instance, name, &Topic::RAW, Samples::ingest, || {
            Ingest::new(settings.clone(), topology.clone(), instance.config.first_start)
        }),
        Role::Keyed => lives(instance, name, &[Topic::Entity], Samples::keyed, || {
            Keyed::new(settings.clone(), topology.clone())
        }),
        Role::Decide => lives(instance, name, &[Topic::Decision], Samples::decide, || {
            Decide::new(settings.clone(), topology.clone())
        }),
    }
}

/// One life after the other, until told to stop or until something no new life gets over.
fn lives<S: Stage>(
    instance: &Instance,
    name: &'static str,
    topics: &[Topic],
    sample: impl Fn(&mut Samples, TopicPartition, &S::Task),
    stage: impl Fn() -> S,
) -> anyhow::Result<()> {
    let group = format!("{}-{name}", instance.config.application);
    let mut begun = 0;
    while !instance.stop.load(Ordering::Relaxed) {
        begun += 1;
        let life = Life(instance.lives.fetch_add(1, Ordering::Relaxed));
        let settings = WorkerSettings {
            life,
            commit_interval: instance.config.commit_interval,
            idle_timeout: instance.config.idle_timeout,
            decision_deadline: instance.config.decision_deadline,
        };
        let log = KafkaLog::join(&instance.client, &group, topics, life)?;
        let mut worker = Worker::new(stage(), log, settings);
        match one_life(instance, name, begun, &mut worker, &sample) {
            Ok(()) => {}
            Err(WorkerError::Log(error @ (LogError::Retention { .. } | LogError::Fatal(_)))) => {
                return Err(error.into());
            }
            Err(WorkerError::Fold(error)) => return Err(error.into()),
            Err(WorkerError::Log(error)) => {
                tracing::warn!(%error, role = name, "this life is over; a new one begins at the committed offsets");
                drop(worker);
                std::thread::sleep(LIFE_PAUSE);
            }
        }
    }
    Ok(())
}

fn one_life<S: Stage>(
    instance: &Instance,
    name: &'static str,
    begun: u64,
    worker: &mut Worker<S, KafkaLog>,
    sample: &impl Fn(&mut Samples, TopicPartition, &S::Task),
) -> Result<(), WorkerError> {
    let mut said_at = ProcessingTime(0);
    while !instance.stop.load(Ordering::Relaxed) {
        worker.cycle()?;
        let now = SystemClock.now();
        if now.since(said_at) >= STATUS_INTERVAL {
            said_at = now;
            instance.status.set(name, status_of(name, begun, worker, sample, now));
        }
    }
    worker.stop(DRAIN_PATIENCE)
}

fn status_of<S: Stage>(
    name: &'static str,
    begun: u64,
    worker: &mut Worker<S, KafkaLog>,
    sample: &impl Fn(&mut Samples, TopicPartition, &S::Task),
    now: ProcessingTime,
) -> RoleStatus {
    let mut samples = Samples::default();
    samples.count(metrics::LIVES, &[name], begun);
    samples.count(metrics::PARTITIONS_LOST, &[name], worker.lost());
    let age = worker.oldest_open().map_or(Duration::ZERO, |opened| now.since(opened));
    samples.add(metrics::OLDEST_OPEN_CHAIN, &[name], age.as_secs_f64());
    let mut waits_for = (!worker.log().is_connected()).then(|| "the broker does not answer".to_owned());
    for (partition, task, next, committed) in worker.tasks() {
        sample(&mut samples, partition, task);
        samples.offsets(partition, next, committed);
    }
    if let Some((partition, read, committed)) = worker.restoring() {
        waits_for = Some(format!("{partition} is being restored: {read} of {committed} records read"));
    }
    RoleStatus { waits_for, samples }
}
