//! The resolved configuration.

use super::archive::{self, ArchiveConfig};
use super::declared::{self, Views};
use super::drift;
use super::kafka::{KafkaConfig, kafka};
use super::layers::Tree;
use super::notify;
use super::reader::Section;
use super::serve::{self, ServeConfig};
use crate::engine::checkpointing::Cadence;
use crate::engine::process::Partitions;
use crate::engine::settings::FoldSettings;
use crate::fault::Fault;
use crate::ingest::pseudonym::{PseudonymKey, Pseudonyms};
use crate::link::{CUSTOMERS_MOST, LinkSettings};
use crate::log::{Start, Topic};
use crate::notify::NotifyConfig;
use crate::session::SessionSettings;
use crate::time::EventTime;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The views that come with the program.
pub(crate) const DEFAULT_FEATURES: &str = include_str!("defaults/features.yaml");
/// The rules that come with the program.
pub(crate) const DEFAULT_RULES: &str = include_str!("defaults/rules.yaml");

/// The model that comes with the program; there is one only where it is asked for.
const DEFAULT_MODEL: &str = include_str!("defaults/model.yaml");
/// How it is asked for, in place of a file.
pub(crate) const MODEL_OF_THE_PROGRAM: &str = "default";

/// The most that `ingest.payload_bytes_max` may be: what a dead letter keeps, and twice what a raw topic takes.
const PAYLOAD_BYTES_MOST: usize = 4 << 20;

const MILLISECOND: Duration = Duration::from_millis(1);

/// Where raw partitions may first be read from, by name.
pub const FIRST_STARTS: [(&str, Start); 2] = [("earliest", Start::Earliest), ("beginning", Start::Beginning)];

/// What an instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Raw topics to the entity log.
    Ingest,
    /// The entity log to sessions, features and parts.
    Keyed,
    /// The decision log to scores.
    Decide,
    /// The monitor log to what is known of scores and models.
    Monitor,
    /// The public topics to answers over HTTP.
    Serve,
    /// What decisions saw, and what became of it, to the feature log.
    Archive,
    /// Alerts to those on call.
    Notify,
}

impl Role {
    /// Every role with its name.
    pub const ALL: [(&'static str, Role); 7] = [
        ("ingest", Role::Ingest),
        ("keyed", Role::Keyed),
        ("decide", Role::Decide),
        ("monitor", Role::Monitor),
        ("serve", Role::Serve),
        ("archive", Role::Archive),
        ("notify", Role::Notify),
    ];
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One object per line.
    Json,
}

impl LogFormat {
    /// Every format with its name.
    pub const ALL: [(&'static str, LogFormat); 3] =
        [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
}

/// The files that a configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFiles {
    /// The views.
    pub features: Option<PathBuf>,
    /// The rules.
    pub rules: Option<PathBuf>,
    /// The model; without a file there is none.
    pub model: Option<PathBuf>,
}

/// Where and when state is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointConfig {
    /// A folder.
    pub url: String,
    /// What a folder is relative to.
    pub folder: PathBuf,
    /// When checkpoints are cut.
    pub cadence: Cadence,
}

/// Everything, resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// Prefix of consumer groups, and part of `ce_source`.
    pub application: String,
    /// The name under which this instance comes back, if it has one.
    pub slot: Option<String>,
    /// Where Kafka is.
    pub kafka: KafkaConfig,
    /// What this instance does.
    pub roles: Vec<Role>,
    /// Where raw partitions are read from that were never committed.
    pub first_start: Start,
    /// Public topics whose records are published exactly once.
    pub exactly_once: Vec<Topic>,
    /// How often offsets are committed and heartbeats go out.
    pub commit_interval: Duration,
    /// How long a raw partition must be at its end before it counts as idle.
    pub idle_timeout: Duration,
    /// How long a decision may wait for its parts.
    pub decision_deadline: Duration,
    /// Where and when state is written down.
    pub checkpoints: CheckpointConfig,
    /// Probes, metrics and the API.
    pub listen: SocketAddr,
    /// The API.
    pub serve: ServeConfig,
    /// The feature log, if there is one.
    pub archive: Option<ArchiveConfig>,
    /// Who is told of alerts, if anybody is.
    pub notify: Option<NotifyConfig>,
    /// How logs are written.
    pub log_format: LogFormat,
    /// Of `process` and `demo`.
    pub partitions: Partitions,
    /// Where the views and the rules were read from; none if they are those of the program.
    pub files: ConfigFiles,
    /// Whether pseudonym keys were configured; without, those of the demo are used.
    pub has_own_keys: bool,
    /// What results depend on.
    pub fold: Arc<FoldSettings>,
}

/// Resolves a tree. Paths of files in it are relative to `folder`.
///
/// # Errors
///
/// All faults together.
pub fn resolve(tree: &Tree, folder: &Path) -> Result<Config, Vec<Fault>> {
    resolve_beside(tree, folder, Vec::new())
}

/// As [`resolve`], reporting `faults` of the layers as well.
///
/// # Errors
///
/// All faults together.
pub fn resolve_beside(tree: &Tree, folder: &Path, mut faults: Vec<Fault>) -> Result<Config, Vec<Fault>> {
    let mut root = Section::root(tree);
    let application = root.text("application", "tillstream", &mut faults);
    if application.trim().is_empty() {
        faults.push(Fault::new("application", "must not be empty: consumer groups are named after it"));
    }
    let slot = slot(&mut root, &mut faults);
    let kafka = kafka(root.section("kafka", &mut faults), folder, &mut faults);
    let named_roles = roles(&mut root, &mut faults);
    let exactly_once = exactly_once(&mut root, &mut faults);
    let commit_interval = root.duration("commit_interval", Duration::from_secs(1), MILLISECOND, &mut faults);
    let log_format = root.choice("log_format", LogFormat::Auto, &LogFormat::ALL, &mut faults);

    let mut ingest = root.section("ingest", &mut faults);
    let payload_bytes_max = ingest.bytes("payload_bytes_max", 1 << 20, &mut faults);
    if payload_bytes_max > PAYLOAD_BYTES_MOST {
        faults.push(Fault::new(ingest.path("payload_bytes_max"), "must be at most 4MiB: raw topics take 2"));
    }
    let out_of_orderness =
        ingest.duration("out_of_orderness", Duration::from_secs(5), Duration::ZERO, &mut faults);
    let idle_timeout = ingest.duration("idle_timeout", Duration::from_secs(10), MILLISECOND, &mut faults);
    let future_bound = ingest.duration("future_bound", Duration::from_secs(600), Duration::ZERO, &mut faults);
    let first_start = first_start(&mut ingest, &mut faults);
    ingest.finish(&mut faults);

    let mut dedup = root.section("dedup", &mut faults);
    let dedup_horizon = dedup.duration("horizon", Duration::from_secs(3_600), MILLISECOND, &mut faults);
    dedup.finish(&mut faults);

    let sessions = sessions(root.section("sessions", &mut faults), &mut faults);

    let links = links(root.section("links", &mut faults), &mut faults);

    let drift = drift::drift(root.section("drift", &mut faults), sessions.allowed_lateness, &mut faults);

    let mut decisions = root.section("decisions", &mut faults);
    let decision_deadline =
        decisions.duration("deadline", Duration::from_millis(200), MILLISECOND, &mut faults);
    decisions.finish(&mut faults);

    let mut labels = root.section("labels", &mut faults);
    let label_horizon =
        labels.duration("horizon", Duration::from_secs(14 * 24 * 3_600), MILLISECOND, &mut faults);
    labels.finish(&mut faults);

    let checkpoints = checkpoints(root.section("checkpoints", &mut faults), folder, &mut faults);
    let listen = listen(root.section("http", &mut faults), &mut faults);
    let recommend = serve::recommend(root.section("recommend", &mut faults), &mut faults);
    let section = root.section("serve", &mut faults);
    let serve = serve::serve(section, recommend, (payload_bytes_max, decision_deadline), folder, &mut faults);
    let archive = archive::archive(root.section("archive", &mut faults), folder, &mut faults);
    if archive.is_none() && named_roles.as_ref().is_some_and(|roles| roles.contains(&Role::Archive)) {
        faults.push(Fault::new("archive.url", "is required by the role `archive`"));
    }
    let names_notify = named_roles.as_ref().is_some_and(|roles| roles.contains(&Role::Notify));
    let mut roles = named_roles.unwrap_or_else(|| Role::ALL.iter().map(|(_, role)| *role).collect());
    let notify = notify::notify(root.section("notify", &mut faults), &application, folder, &mut faults);
    if notify.is_none() && names_notify {
        faults.push(Fault::new("notify.receivers", "must name one: the role `notify` has nobody to tell"));
    }
    roles.retain(|role| match role {
        Role::Archive => archive.is_some(),
        Role::Notify => notify.is_some(),
        _ => true,
    });
    let partitions = partitions(root.section("memory", &mut faults), &mut faults);
    let keys = pseudonym_keys(root.section("pseudonyms", &mut faults), folder, &mut faults);
    let model = root.optional_text("model", &mut faults);
    let mut file = |key| root.optional_text(key, &mut faults).map(|file| folder.join(file));
    let own_model = model.as_deref().filter(|model| *model != MODEL_OF_THE_PROGRAM);
    let own_model = own_model.map(|file| folder.join(file));
    let files = ConfigFiles { features: file("features"), rules: file("rules"), model: own_model };
    let features_text = text_or_default("features", files.features.as_deref(), DEFAULT_FEATURES, &mut faults);
    let rules_text = text_or_default("rules", files.rules.as_deref(), DEFAULT_RULES, &mut faults);
    let model_text =
        model.map(|_| text_or_default("model", files.model.as_deref(), DEFAULT_MODEL, &mut faults));
    root.finish(&mut faults);

    let views = declared::views(&features_text, sessions.allowed_lateness, &mut faults);
    let rules = declared::rules(&rules_text, &views, &mut faults);
    let model = model_text.and_then(|text| declared::model(&text, &views, &mut faults));
    let (Views::Whole(plan, features_spec), Some((rules, rules_spec)), true) =
        (views, rules, faults.is_empty())
    else {
        return Err(faults);
    };

    let has_own_keys = !keys.is_empty();
    let pseudonyms = Pseudonyms::new(if has_own_keys { keys } else { vec![demo_key()] });
    let fingerprint = format!(
        "{payload_bytes_max} {out_of_orderness:?} {future_bound:?} {dedup_horizon:?} {label_horizon:?} {sessions:?} {links:?} {drift:?} {} {features_spec:?} {rules_spec:?} {model:?}",
        pseudonyms.version()
    );
    let fold = Arc::new(FoldSettings {
        payload_bytes_max,
        out_of_orderness,
        future_bound,
        dedup_horizon,
        label_horizon,
        sessions,
        links,
        drift,
        plan: *plan,
        rules,
        model,
        pseudonyms,
        fingerprint,
    });
    Ok(Config {
        application,
        slot,
        kafka,
        roles,
        first_start,
        exactly_once,
        commit_interval,
        idle_timeout,
        decision_deadline,
        checkpoints,
        listen,
        serve,
        archive,
        notify,
        log_format,
        partitions,
        files,
        has_own_keys,
        fold,
    })
}

fn slot(root: &mut Section<'_>, faults: &mut Vec<Fault>) -> Option<String> {
    let slot = root.optional_text("slot", faults)?;
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
    if slot.is_empty() || slot.len() > 64 || !slot.bytes().all(fits) {
        faults.push(Fault::new("slot", "must be 1 to 64 letters, digits, dots, dashes and underscores"));
    }
    Some(slot)
}

/// The roles that are named, if any are.
fn roles(root: &mut Section<'_>, faults: &mut Vec<Fault>) -> Option<Vec<Role>> {
    let list = root.list("roles", faults)?;
    let mut roles = Vec::new();
    for (place, value) in list.iter().enumerate() {
        match Role::ALL.iter().find(|(name, _)| value.as_str() == Some(*name)) {
            Some((_, role)) => roles.push(*role),
            None => {
                let known = Role::ALL.map(|(name, _)| name).join(", ");
                faults.push(Fault::new(format!("roles[{place}]"), format!("must be one of {known}")));
            }
        }
    }
    if list.is_empty() {
        faults.push(Fault::new("roles", "must name at least one role"));
    }
    roles.sort_unstable();
    roles.dedup();
    Some(roles)
}

fn exactly_once(root: &mut Section<'_>, faults: &mut Vec<Fault>) -> Vec<Topic> {
    let mut topics = Vec::new();
    for (place, value) in root.list("exactly_once", faults).into_iter().flatten().enumerate() {
        match Topic::of_stages().find(|topic| value.as_str() == Some(topic.name())) {
            Some(topic) => topics.push(topic),
            None => {
                let names: Vec<_> = Topic::of_stages().map(Topic::name).collect();
                let message = format!("must be one of {}", names.join(", "));
                faults.push(Fault::new(format!("exactly_once[{place}]"), message));
            }
        }
    }
    topics.sort_unstable();
    topics.dedup();
    topics
}

fn first_start(ingest: &mut Section<'_>, faults: &mut Vec<Fault>) -> Start {
    ingest.choice("first_start", Start::Earliest, &FIRST_STARTS, faults)
}

fn links(mut section: Section<'_>, faults: &mut Vec<Fault>) -> LinkSettings {
    let day = Duration::from_secs(86_400);
    let links = LinkSettings {
        horizon: section.duration("horizon", 30 * day, MILLISECOND, faults),
        shared_within: section.duration("shared_within", day, Duration::ZERO, faults),
        customers_max: section.count("customers_max", 2, 0..=CUSTOMERS_MOST, faults) as usize,
    };
    section.finish(faults);
    links
}

fn sessions(mut section: Section<'_>, faults: &mut Vec<Fault>) -> SessionSettings {
    let settings = SessionSettings {
        gap: section.duration("gap", Duration::from_secs(1_800), MILLISECOND, faults),
        allowed_lateness: section.duration(
            "allowed_lateness",
            Duration::from_secs(300),
            Duration::ZERO,
            faults,
        ),
        remember_closed: section.duration(
            "remember_closed",
            Duration::from_secs(3_600),
            Duration::ZERO,
            faults,
        ),
    };
    section.finish(faults);
    settings
}

fn checkpoints(mut section: Section<'_>, folder: &Path, faults: &mut Vec<Fault>) -> CheckpointConfig {
    let url = section.text("url", "tillstream-checkpoints", faults);
    if url.is_empty() {
        faults.push(Fault::new(section.path("url"), "must be a folder"));
    }
    let cadence = Cadence {
        interval: section.duration("interval", Duration::from_secs(10), MILLISECOND, faults),
        bytes: section.bytes("bytes", 64 << 20, faults),
    };
    section.finish(faults);
    CheckpointConfig { url, folder: folder.to_owned(), cadence }
}

fn listen(mut section: Section<'_>, faults: &mut Vec<Fault>) -> SocketAddr {
    let default = SocketAddr::from(([127, 0, 0, 1], 9310));
    let address = section.optional_text("listen", faults).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| {
            faults.push(Fault::new(
                section.path("listen"),
                format!("`{text}` is no address with a port, such as 0.0.0.0:9310"),
            ));
            default
        })
    });
    section.finish(faults);
    address
}

fn partitions(mut section: Section<'_>, faults: &mut Vec<Fault>) -> Partitions {
    let partitions = Partitions {
        raw: section.count("raw_partitions", 1, 1..=1_000, faults),
        internal: section.count("internal_partitions", 4, 1..=1_000, faults),
        public: section.count("public_partitions", 1, 1..=1_000, faults),
    };
    section.finish(faults);
    partitions
}

fn pseudonym_keys(mut section: Section<'_>, folder: &Path, faults: &mut Vec<Fault>) -> Vec<PseudonymKey> {
    let mut keys = Vec::<PseudonymKey>::new();
    for (place, value) in section.list("keys", faults).into_iter().flatten().enumerate() {
        let path = format!("pseudonyms.keys[{place}]");
        let mut key = Section::element(path.clone(), value, faults);
        let id = key.text("id", "", faults);
        if id.is_empty() || id.len() > 8 || !id.bytes().all(|letter| letter.is_ascii_alphanumeric()) {
            faults.push(Fault::new(key.path("id"), "must be 1 to 8 letters and digits"));
        }
        if keys.iter().any(|known| known.id == id) {
            faults.push(Fault::new(key.path("id"), "is used twice"));
        }
        let since = match key.value("since") {
            Some(_) => key.instant("since", faults),
            None => Some(EventTime(0)),
        };
        let secret = key.optional_text("secret_file", faults).map(|file| read_secret(&folder.join(file)));
        match secret {
            None => faults.push(Fault::new(key.path("secret_file"), "is required")),
            Some(Err(message)) => faults.push(Fault::new(key.path("secret_file"), message)),
            Some(Ok(secret)) => {
                keys.push(PseudonymKey { id, since: since.unwrap_or_default(), secret });
            }
        }
        key.finish(faults);
    }
    section.finish(faults);
    keys
}

/// The secret is what BLAKE3 derives from the file's content, at least 16 bytes of it.
fn read_secret(file: &Path) -> Result<[u8; 32], String> {
    let secret = secret_of(file)?;
    Ok(blake3::derive_key("tillstream 2026 pseudonyms of entities", &secret))
}

/// The content of a file without white space around it, at least 16 bytes of it.
pub(super) fn secret_of(file: &Path) -> Result<Vec<u8>, String> {
    let content =
        std::fs::read(file).map_err(|fault| format!("{} cannot be read: {fault}", file.display()))?;
    let secret = content.trim_ascii();
    if secret.len() < 16 {
        return Err(format!("{} holds fewer than 16 bytes", file.display()));
    }
    Ok(secret.to_vec())
}

/// For `process` and `demo` without keys of one's own. Not secret, and `run` refuses it.
fn demo_key() -> PseudonymKey {
    PseudonymKey {
        id: "demo".to_owned(),
        since: EventTime(0),
        secret: blake3::derive_key("tillstream demo", b"demo"),
    }
}

fn text_or_default(key: &str, file: Option<&Path>, default: &str, faults: &mut Vec<Fault>) -> String {
    let Some(file) = file else { return default.to_owned() };
    std::fs::read_to_string(file).unwrap_or_else(|fault| {
        faults.push(Fault::new(key, format!("{} cannot be read: {fault}", file.display())));
        default.to_owned()
    })
}
