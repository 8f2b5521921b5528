//! Pages over weeks of generated traffic: how many are false, and how soon planted drift is found.
//!
//! - `cargo bench --bench drift -- stationary SEEDS WEEKS` plays a shop as it always is, with a model that learns, one that runs elsewhere,
//!   fraud, and card testers.
//! - `cargo bench --bench drift -- planted SEEDS [CASE]` plants each drift at three strengths after two weeks and some days: what is
//!   found, how soon, where, and what was told before.
//! - `cargo bench --bench drift -- honest SEEDS [WEEKS] [KIND or STRENGTH]` plants changes that are no drift: what is told nevertheless.
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
use tillstream::event::alert::{Alert, AlertSegment, AlertStatus, Severity};
use tillstream::generate::{Change, GenerateSettings, GeneratedRecord, Generator, PlantedChange, Truth};
use tillstream::log::{Destination, Headers, LogRecord, Topic};
use tillstream::time::{EventTime, rfc3339};
use xxhash_rust::xxh3::Xxh3;

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DAY_SECONDS: f64 = 86_400.0;
const WEEK_SECONDS: f64 = 7.0 * DAY_SECONDS;
const EVENTS_PER_SECOND: f64 = 2.0;
const RECORDS_PER_ROUND: u64 = 1_000;

/// When drift is planted: two weeks are learned from, a day and a half is watched before.
const PLANTED_AT: &str = "15d12h";
/// How long a run with planted drift is.
const PLANTED_DAYS: f64 = 20.5;
/// What stands before it is the same for all that is planted in a shop.
const PLANTED_SAME_DAYS: f64 = 15.25;
/// What is told of a drift is told within half a day of a page about it.
const PAGED_FOR: i64 = 12 * 3_600_000;
/// When an honest change begins.
const HONEST_AT: &str = "16d";
/// The share of payments that are fraud without a pattern.
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

/// Honest changes, and for how many days all shops of a seed are the same: a sale day is announced a week before.
const HONEST: [(&str, f64); 3] = [("sale_day", 8.75), ("season", 15.75), ("new_store", 15.75)];

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
#[derive(Clone)]
struct Shop {
    seed: u64,
    days: f64,
    change: Option<Change>,
}

/// What was told of a shop.
struct Played {
    /// Every revision, in the order in which they came.
    alerts: Vec<Alert>,
    truth: Vec<PlantedChange>,
    seconds: f64,
}

fn stationary(seeds: u64, weeks: u64) {
    let days = weeks as f64 * WEEK_SECONDS / DAY_SECONDS;
    let shops: Vec<Shop> = (1..=seeds).map(|seed| Shop::new(seed, days)).collect();
    let mut pages = 0;
    let play = |shop: &Shop| Game::new(shop).play_on();
    for (shop, played) in shops.iter().zip(beside_each_other(&shops, play)) {
        let episodes = last_revisions(&played.alerts);
        pages += episodes.iter().filter(|alert| alert.severity == Severity::Page).count();
        println!(
            "seed {}: {} episodes in {weeks} weeks ({:.0} s)",
            shop.seed,
            episodes.len(),
            played.seconds
        );
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
    let changes: Vec<Change> = cases
        .iter()
        .map(|(case, strength)| {
            let (kind, more) = case.split_once(':').expect("joined so");
            Change::drift(&format!("{kind}:at={PLANTED_AT},strength={strength},{more}")).expect("a drift")
        })
        .collect();
    let shops: Vec<Shop> = (1..=seeds).map(|seed| Shop::new(seed, PLANTED_DAYS)).collect();
    let found = beside_each_other(&shops, |shop| {
        let until = Until { days: PLANTED_SAME_DAYS, paged_for: None };
        let history = Game::new(shop).until(&until);
        let until = Until { days: PLANTED_DAYS, paged_for: Some(PAGED_FOR) };
        let play = |change: &Change| Found::of(&history.branch(change).until(&until).played());
        changes.iter().map(play).collect::<Vec<Found>>()
    });
    for (place, (case, strength)) in cases.iter().enumerate() {
        let of_case: Vec<&Found> = found.iter().filter_map(|found| found.get(place)).collect();
        print_row(case.trim_end_matches(':'), strength, &of_case);
    }
}

fn print_row(case: &str, strength: &str, found: &[&Found]) {
    let count = |is_so: fn(&Found) -> bool| found.iter().filter(|found| is_so(found)).count();
    let hours = |of: fn(&Found) -> Option<i64>, part: f64| {
        let mut times: Vec<i64> = found.iter().filter_map(|found| of(found)).collect();
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
        found.iter().map(|found| found.before).sum::<usize>(),
    );
    let missed: Vec<String> = (1..)
        .zip(found)
        .filter(|(_, found)| found.episode_ms.is_none())
        .map(|(seed, _): (u32, _)| seed.to_string())
        .collect();
    if !missed.is_empty() && missed.len() < found.len() {
        println!("  not found with the seeds {}", missed.join(", "));
    }
    for wrong in found.iter().filter_map(|found| found.placed_wrongly.as_ref()) {
        println!(
            "  a part that is not what moved: {} = {}, {:.2} of it",
            wrong.dimension, wrong.value, wrong.share_of_change
        );
    }
}

/// What was told of a planted drift.
struct Found {
    /// How long after its beginning the first episode about it was opened.
    episode_ms: Option<i64>,
    /// How long after its beginning one first was a page.
    page_ms: Option<i64>,
    segment_is_right: bool,
    /// The part of the traffic that was named instead.
    placed_wrongly: Option<AlertSegment>,
    cause_is_right: bool,
    /// Episodes before it began.
    before: usize,
}

impl Found {
    fn of(played: &Played) -> Found {
        let truth = played.truth.first().expect("the drift began");
        let since = truth.at_ms;
        let about: Vec<&Alert> =
            played.alerts.iter().filter(|alert| truth.is_told_by(alert, FOREIGN_MODEL)).collect();
        let page = about.iter().find(|alert| alert.severity == Severity::Page);
        let before = last_revisions(&played.alerts).into_iter().filter(|alert| alert.detected_ms < since);
        let placed_wrongly = about.last().filter(|alert| !truth.is_placed_by(alert));
        Found {
            episode_ms: about.first().map(|alert| alert.as_of_ms.since(since)),
            page_ms: page.map(|alert| alert.as_of_ms.since(since)),
            segment_is_right: about.last().is_some_and(|alert| truth.is_placed_by(alert)),
            placed_wrongly: placed_wrongly.and_then(|alert| alert.segment.clone()),
            cause_is_right: about.last().is_some_and(|alert| truth.is_explained_by(alert)),
            before: before.count(),
        }
    }
}

/// Plants each honest change at each strength, and prints what was told from then on.
fn honest(seeds: u64, weeks: u64, only: Option<&str>) {
    let days = weeks as f64 * WEEK_SECONDS / DAY_SECONDS;
    let cases: Vec<(&str, &str, f64)> = HONEST
        .into_iter()
        .flat_map(|(kind, same_days)| STRENGTHS.map(|strength| (kind, strength, same_days)))
        .filter(|(kind, strength, _)| only.is_none_or(|only| only == *kind || only == *strength))
        .collect();
    let change = |kind: &str, strength: &str| {
        Change::honest(&format!("{kind}:at={HONEST_AT},strength={strength}")).expect("an honest change")
    };
    let shops: Vec<Shop> = (1..=seeds).map(|seed| Shop::new(seed, days)).collect();
    let played = beside_each_other(&shops, |shop| {
        let (mut history, mut played) = (Game::new(shop), Vec::new());
        for (kind, strength, same_days) in &cases {
            history = history.until(&Until { days: *same_days, paged_for: None });
            played.push(history.branch(&change(kind, strength)).play_on());
        }
        played
    });
    println!("| honest | strength | runs of {weeks} weeks | pages | tickets | before |");
    println!("|---|---|---:|---:|---:|---:|");
    let mut told = Vec::new();
    for (place, (kind, strength, _)) in cases.iter().enumerate() {
        let played: Vec<&Played> = played.iter().filter_map(|played| played.get(place)).collect();
        let since = |played: &Played| played.truth.first().map_or(EventTime::MAX, |change| change.at_ms);
        let episodes = || {
            played.iter().flat_map(|of| last_revisions(&of.alerts).into_iter().map(move |alert| (*of, alert)))
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

/// What `of` makes of each shop, in their order.
fn beside_each_other<T: Send>(shops: &[Shop], of: impl Fn(&Shop) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, done) = (Mutex::new(0..shops.len()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(shops.len()) {
            scope.spawn(|| {
                loop {
                    let Some(place) = next.lock().expect("no thread panicked").next() else { return };
                    let Some(shop) = shops.get(place) else { return };
                    let made = of(shop);
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

/// With the model that learns here.
fn config() -> Config {
    let tree: Tree = serde_json::from_str(r#"{"model": "default"}"#).expect("a tree");
    resolve(&tree, Path::new(".")).expect("the defaults are good")
}

impl Shop {
    fn new(seed: u64, days: f64) -> Shop {
        Shop { seed, days, change: None }
    }

    fn traffic(&self) -> Generator {
        Generator::new(GenerateSettings {
            seed: self.seed,
            events: (self.days * DAY_SECONDS * EVENTS_PER_SECOND) as u64,
            events_per_second: EVENTS_PER_SECOND,
            labelled: 0.3,
            is_whole: true,
            ordinary_fraud: ORDINARY_FRAUD,
            foreign_model: Some(FOREIGN_MODEL.to_owned()),
            changes: self.change.iter().cloned().collect(),
            ..GenerateSettings::default()
        })
    }
}

/// How long a shop is played.
struct Until {
    days: f64,
    /// Or until so many milliseconds after a page.
    paged_for: Option<i64>,
}

/// A shop that is being played.
struct Game {
    shop: Shop,
    traffic: Generator,
    engine: Engine,
    /// Records so far, and a hash of them.
    records: u64,
    hash: Xxh3,
    alerts: Vec<Alert>,
    begun: Instant,
}

impl Game {
    fn new(shop: &Shop) -> Game {
        let config = config();
        Game {
            shop: shop.clone(),
            traffic: shop.traffic(),
            engine: Engine::new(
                &config.fold,
                config.partitions,
                config.idle_timeout,
                config.decision_deadline,
            ),
            records: 0,
            hash: Xxh3::new(),
            alerts: Vec::new(),
            begun: Instant::now(),
        }
    }

    /// The same history, and then a change.
    fn branch(&self, change: &Change) -> Game {
        let shop = Shop { change: Some(change.clone()), ..self.shop.clone() };
        let (mut traffic, mut hash) = (shop.traffic(), Xxh3::new());
        for record in traffic.by_ref().take(self.records as usize) {
            hash.update(&record.value);
        }
        assert_eq!(hash.digest(), self.hash.digest(), "nothing has changed before");
        let engine = self.engine.branch();
        let begun = Instant::now();
        Game { shop, traffic, engine, records: self.records, hash, alerts: self.alerts.clone(), begun }
    }

    fn until(mut self, until: &Until) -> Game {
        let end = (until.days * DAY_SECONDS * EVENTS_PER_SECOND) as u64;
        while self.records < end {
            let Some(record) = self.traffic.next() else { break };
            self.hash.update(&record.value);
            let now = EventTime(record.timestamp_ms);
            feed(&mut self.engine, record);
            self.records += 1;
            if self.records.is_multiple_of(RECORDS_PER_ROUND) {
                self.round();
                if until.paged_for.is_some_and(|ms| self.is_paged_since(now.0 - ms)) {
                    break;
                }
            }
        }
        self
    }

    fn round(&mut self) {
        self.engine.round().expect("memory does not fail");
        let alerts = &mut self.alerts;
        self.engine.take_public(|partition, record| {
            // planted card testers are there, and are told of
            if Topic::ALERTS.contains(&partition.topic) && partition.topic != Topic::AlertsFraud {
                let value = record.value.as_deref().expect("an alert");
                alerts.push(serde_json::from_slice(value).expect("an alert"));
            }
        });
    }

    /// What was planted, once it has begun.
    fn truth(&self) -> impl Iterator<Item = &PlantedChange> {
        self.traffic.truth().iter().filter_map(|truth| match truth {
            Truth::Change(change) => Some(change),
            _ => None,
        })
    }

    /// Whether somebody was woken by what was planted, by then.
    fn is_paged_since(&self, time_ms: i64) -> bool {
        let page = |alert: &&Alert| alert.severity == Severity::Page && alert.as_of_ms.0 <= time_ms;
        let Some(truth) = self.truth().next() else { return false };
        self.alerts.iter().filter(page).any(|alert| truth.is_told_by(alert, FOREIGN_MODEL))
    }

    fn play_on(self) -> Played {
        let until = Until { days: self.shop.days, paged_for: None };
        self.until(&until).played()
    }

    fn played(self) -> Played {
        let truth = self.truth().cloned().collect();
        Played { alerts: self.alerts, truth, seconds: self.begun.elapsed().as_secs_f64() }
    }
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
