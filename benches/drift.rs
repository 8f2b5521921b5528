//! Pages over weeks of generated traffic: how many are false, and how soon planted drift is found.
//!
//! - `cargo bench --bench drift -- stationary SEEDS WEEKS` plays a shop as it always is.
//! - `cargo bench --bench drift -- planted SEEDS [CASE]` plants each drift at three strengths after two weeks and some days: what is
//!   found, how soon, where, and what was told before.
//! - `cargo bench --bench drift -- honest SEEDS [WEEKS] [KIND]` plants changes that are no drift: what is told nevertheless.
//!
//! Runs stand beside each other on as many threads as there are processors.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench: it measures and prints"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;
use tillstream::config::{Config, Tree, resolve};
use tillstream::engine::process::Engine;
use tillstream::event::alert::{Alert, AlertStatus, Severity};
use tillstream::generate::{Change, GenerateSettings, GeneratedRecord, Generator, PlantedChange, Truth};
use tillstream::log::{Destination, Headers, LogRecord, Topic};
use tillstream::time::{EventTime, rfc3339};

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DAY_SECONDS: f64 = 86_400.0;
const WEEK_SECONDS: f64 = 7.0 * DAY_SECONDS;
const EVENTS_PER_SECOND: f64 = 2.0;
const RECORDS_PER_ROUND: usize = 1_000;

/// When drift is planted: two weeks are learned from, a day and a half is watched before.
const PLANTED_AT: &str = "15d12h";
/// How long a run with planted drift is.
const PLANTED_DAYS: f64 = 20.5;
/// The share of payments that are fraud without a pattern, where drift is planted.
const ORDINARY_FRAUD: f64 = 0.02;
/// Somebody else's model.
const FOREIGN_MODEL: &str = "returns";

/// What is planted, and what is said of it beside time and strength.
const PLANTED: [(&str, &str); 14] = [
    ("unit", ""),
    ("unit", "segment=channel=online"),
    ("missing", "field=card_country"),
    ("missing", "field=ip_country,segment=channel=online"),
    ("categories", "field=channel,to=app"),
    ("categories", "field=card_country,to=NL"),
    ("price_level", ""),
    ("silent", "source=clickstream"),
    ("silent", "source=payments,segment=channel=online"),
    ("fraud_moves", ""),
    ("fraud_rate", ""),
    ("intent", ""),
    ("unit", "source=predictions"),
    ("degrades", ""),
];

const STRENGTHS: [&str; 3] = ["weak", "middle", "strong"];

const HONEST: [&str; 3] = ["sale_day", "season", "new_store"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |place: usize, default: u64| {
        arguments.get(place).map_or(default, |text| text.parse().expect("a number"))
    };
    let seeds = number(1, 2);
    match arguments.first().map(String::as_str) {
        Some("planted") => planted(seeds, arguments.get(2).map(String::as_str)),
        Some("honest") => honest(seeds, number(2, 5), arguments.get(3).map(String::as_str)),
        _ => stationary(seeds, number(2, 6)),
    }
}

/// What a shop is, and for how long it is played.
struct Run {
    seed: u64,
    days: f64,
    changes: Vec<Change>,
    has_model: bool,
}

/// What was told of a run.
struct Played {
    /// Every revision, in the order in which they came.
    alerts: Vec<Alert>,
    truth: Vec<PlantedChange>,
    seconds: f64,
}

fn stationary(seeds: u64, weeks: u64) {
    let days = weeks as f64 * WEEK_SECONDS / DAY_SECONDS;
    let runs: Vec<Run> =
        (1..=seeds).map(|seed| Run { seed, days, changes: Vec::new(), has_model: false }).collect();
    let mut pages = 0;
    for (run, played) in runs.iter().zip(beside_each_other(&runs, play)) {
        let episodes = last_revisions(&played.alerts);
        pages += episodes.iter().filter(|alert| alert.severity == Severity::Page).count();
        println!("seed {}: {} episodes in {weeks} weeks ({:.0} s)", run.seed, episodes.len(), played.seconds);
        episodes.into_iter().for_each(print_episode);
    }
    let months = seeds as f64 * (weeks.saturating_sub(2)) as f64 * WEEK_SECONDS / (30.0 * DAY_SECONDS);
    println!("{pages} pages in {months:.1} months watched: {:.2} a month", pages as f64 / months);
}

/// Plants each drift at each strength, in as many shops as there are seeds, and prints a table.
fn planted(seeds: u64, only: Option<&str>) {
    let cases: Vec<(String, &str)> = PLANTED
        .iter()
        .map(|(kind, more)| [*kind, *more].join(":"))
        .filter(|case| only.is_none_or(|only| case.starts_with(only)))
        .flat_map(|case| STRENGTHS.map(|strength| (case.clone(), strength)))
        .collect();
    println!(
        "| planted | strength | runs | found | paged | to an episode, median | to a page, median | p90 | right segment | right cause | before |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let runs: Vec<Run> = cases
        .iter()
        .flat_map(|(case, strength)| {
            let (kind, more) = case.split_once(':').expect("joined so");
            let text = format!("{kind}:at={PLANTED_AT},strength={strength},{more}");
            let change = Change::drift(&text).expect("a drift");
            (1..=seeds).map(move |seed| Run {
                seed,
                days: PLANTED_DAYS,
                changes: vec![change.clone()],
                has_model: true,
            })
        })
        .collect();
    let found = beside_each_other(&runs, |run| Found::of(&play(run)));
    for ((case, strength), found) in cases.iter().zip(found.chunks(seeds as usize)) {
        print_row(case.trim_end_matches(':'), strength, found);
    }
}

fn print_row(case: &str, strength: &str, found: &[Found]) {
    let count = |is_so: fn(&Found) -> bool| found.iter().filter(|found| is_so(found)).count();
    let hours = |of: fn(&Found) -> Option<i64>, part: f64| {
        let mut times: Vec<i64> = found.iter().filter_map(of).collect();
        times.sort_unstable();
        let place = ((times.len() as f64 * part).ceil() as usize).max(1) - 1;
        times.get(place).map_or("-".to_owned(), |ms| format!("{:.1} h", *ms as f64 / 3_600_000.0))
    };
    println!(
        "| {case} | {strength} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        found.len(),
        count(|found| found.episode_ms.is_some()),
        count(|found| found.page_ms.is_some()),
        hours(|found| found.episode_ms, 0.5),
        hours(|found| found.page_ms, 0.5),
        hours(|found| found.page_ms, 0.9),
        count(|found| found.segment_is_right),
        count(|found| found.cause_is_right),
        found.iter().map(|found| found.before.len()).sum::<usize>(),
    );
    found.iter().flat_map(|found| &found.before).for_each(print_episode);
}

/// What was told of a planted drift.
struct Found {
    /// How long after its beginning the first episode about it was opened.
    episode_ms: Option<i64>,
    /// How long after its beginning one first was a page.
    page_ms: Option<i64>,
    segment_is_right: bool,
    cause_is_right: bool,
    /// Episodes before it began.
    before: Vec<Alert>,
}

impl Found {
    fn of(played: &Played) -> Found {
        let truth = played.truth.first().expect("the drift began");
        let since = truth.at_ms;
        let about: Vec<&Alert> =
            played.alerts.iter().filter(|alert| truth.is_told_by(alert, FOREIGN_MODEL)).collect();
        let page = about.iter().find(|alert| alert.severity == Severity::Page);
        let before = last_revisions(&played.alerts).into_iter().filter(|alert| alert.detected_ms < since);
        Found {
            episode_ms: about.first().map(|alert| alert.as_of_ms.since(since)),
            page_ms: page.map(|alert| alert.as_of_ms.since(since)),
            segment_is_right: about.last().is_some_and(|alert| truth.is_placed_by(alert)),
            cause_is_right: about.last().is_some_and(|alert| truth.is_explained_by(alert)),
            before: before.cloned().collect(),
        }
    }
}

/// Plants each honest change at each strength, and prints what was told from then on.
fn honest(seeds: u64, weeks: u64, only: Option<&str>) {
    let days = weeks as f64 * WEEK_SECONDS / DAY_SECONDS;
    let kinds = HONEST.into_iter().filter(|kind| only.is_none_or(|only| *kind == only));
    let cases: Vec<(&str, &str)> =
        kinds.flat_map(|kind| STRENGTHS.map(|strength| (kind, strength))).collect();
    let runs: Vec<Run> = cases
        .iter()
        .flat_map(|(kind, strength)| {
            let text = format!("{kind}:at=16d,strength={strength}");
            let change = Change::honest(&text).expect("an honest change");
            (1..=seeds).map(move |seed| Run { seed, days, changes: vec![change.clone()], has_model: true })
        })
        .collect();
    let played = beside_each_other(&runs, play);
    println!("| honest | strength | runs of {weeks} weeks | pages | tickets | before |");
    println!("|---|---|---:|---:|---:|---:|");
    let mut told = Vec::new();
    for ((kind, strength), played) in cases.iter().zip(played.chunks(seeds as usize)) {
        let since = |played: &Played| played.truth.first().map_or(EventTime::MAX, |change| change.at_ms);
        let episodes = || {
            played.iter().flat_map(|of| last_revisions(&of.alerts).into_iter().map(move |alert| (of, alert)))
        };
        let count = |severity: Severity| {
            episodes()
                .filter(|(of, alert)| alert.detected_ms >= since(of) && alert.severity == severity)
                .count()
        };
        let before = episodes().filter(|(of, alert)| alert.detected_ms < since(of)).count();
        println!(
            "| {kind} | {strength} | {} | {} | {} | {before} |",
            played.len(),
            count(Severity::Page),
            count(Severity::Ticket)
        );
        let later = episodes().filter(|(of, alert)| alert.detected_ms >= since(of));
        told.extend(later.map(|(_, alert)| (kind, strength, alert.clone())));
    }
    for (kind, strength, alert) in told {
        println!("{kind} {strength}:");
        print_episode(&alert);
    }
}

/// What `of` makes of each run, in their order.
fn beside_each_other<T: Send>(runs: &[Run], of: impl Fn(&Run) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, done) = (Mutex::new(0..runs.len()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(runs.len()) {
            scope.spawn(|| {
                loop {
                    let Some(place) = next.lock().expect("no thread panicked").next() else { return };
                    let Some(run) = runs.get(place) else { return };
                    let made = of(run);
                    done.lock().expect("no thread panicked").insert(place, made);
                }
            });
        }
    });
    done.into_inner().expect("no thread panicked").into_values().collect()
}

/// The last revision of each episode.
fn last_revisions(alerts: &[Alert]) -> Vec<&Alert> {
    let last: BTreeMap<&str, &Alert> = alerts.iter().map(|alert| (&*alert.alert_id, alert)).collect();
    last.into_values().collect()
}

fn print_episode(alert: &Alert) {
    let end = alert.resolved_ms.map_or("goes on".to_owned(), rfc3339);
    let state = if alert.status == AlertStatus::Open { "open" } else { "resolved" };
    println!(
        "  {} since {} found {} until {end} {state} {:?}: {} [{} findings, share {:.2}, where {:?}]",
        alert.severity.name(),
        rfc3339(alert.since_ms),
        rfc3339(alert.detected_ms),
        alert.resolution,
        alert.title,
        alert.findings_total,
        alert.share,
        alert.segment.as_ref().map(|part| (
            part.dimension.as_str(),
            part.value.as_str(),
            part.share_of_change
        )),
    );
    for finding in alert.findings.iter().take(4) {
        println!(
            "      {} {:?} {:.4} -> {:.4} effect {:.4} statistic {:.2} of {:.2} n {}",
            finding.feature,
            finding.what,
            finding.from,
            finding.to,
            finding.effect,
            finding.statistic,
            finding.threshold,
            finding.count
        );
    }
}

fn config(has_model: bool) -> Config {
    let tree: Tree =
        serde_json::from_str(if has_model { r#"{"model": "default"}"# } else { "{}" }).expect("a tree");
    resolve(&tree, Path::new(".")).expect("the defaults are good")
}

/// What is told of so many days of a shop.
fn play(run: &Run) -> Played {
    let begun = Instant::now();
    let config = config(run.has_model);
    let mut engine =
        Engine::new(&config.fold, config.partitions, config.idle_timeout, config.decision_deadline);
    let is_changed = !run.changes.is_empty();
    let settings = GenerateSettings {
        seed: run.seed,
        events: (run.days * DAY_SECONDS * EVENTS_PER_SECOND) as u64,
        events_per_second: EVENTS_PER_SECOND,
        labelled: 0.3,
        is_whole: true,
        ordinary_fraud: if is_changed { ORDINARY_FRAUD } else { 0.0 },
        foreign_model: is_changed.then(|| FOREIGN_MODEL.to_owned()),
        changes: run.changes.clone(),
        ..GenerateSettings::default()
    };
    let mut generator = Generator::new(settings);
    let mut alerts = Vec::new();
    for (number, record) in generator.by_ref().enumerate() {
        feed(&mut engine, record);
        if (number + 1) % RECORDS_PER_ROUND == 0 {
            engine.round().expect("memory does not fail");
            engine.take_public(|partition, record| {
                // planted card testers are there, and are told of
                if Topic::ALERTS.contains(&partition.topic) && partition.topic != Topic::AlertsFraud {
                    let value = record.value.as_deref().expect("an alert");
                    alerts.push(serde_json::from_slice(value).expect("an alert"));
                }
            });
        }
    }
    let truth = generator.truth().iter().filter_map(|truth| match truth {
        Truth::Change(change) => Some(change.clone()),
        _ => None,
    });
    Played { alerts, truth: truth.collect(), seconds: begun.elapsed().as_secs_f64() }
}

fn feed(engine: &mut Engine, record: GeneratedRecord) {
    let topic = Topic::from_name(record.topic.name()).expect("traffic goes to topics of ours");
    let raw = LogRecord {
        key: Some(record.key.into_bytes()),
        value: Some(record.value),
        headers: Headers::of_source(record.source),
        timestamp_ms: Some(record.timestamp_ms),
    };
    engine.append(&Destination::ByKey(topic), raw);
}
