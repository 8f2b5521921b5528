//! Pages over weeks of generated traffic: how many are false, and how soon planted drift is found.
//!
//! `cargo bench --bench drift -- stationary SEEDS WEEKS` plays a shop as it always is, after two weeks of history.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench: it measures and prints"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use tillstream::config::{Tree, resolve};
use tillstream::engine::process::Engine;
use tillstream::event::alert::{Alert, AlertStatus};
use tillstream::generate::{GenerateSettings, GeneratedRecord, Generator};
use tillstream::log::{Destination, LogRecord, Topic};
use tillstream::time::rfc3339;

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WEEK_SECONDS: f64 = 7.0 * 86_400.0;
const EVENTS_PER_SECOND: f64 = 2.0;
const RECORDS_PER_ROUND: usize = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |place: usize, default: u64| {
        arguments.get(place).map_or(default, |text| text.parse().expect("a number"))
    };
    let (seeds, weeks) = (number(1, 2), number(2, 6));
    for seed in 1..=seeds {
        let begun = Instant::now();
        let alerts = play(seed, weeks as f64);
        let mut last: BTreeMap<&str, &Alert> = BTreeMap::new();
        for alert in &alerts {
            last.insert(&alert.alert_id, alert);
        }
        println!(
            "seed {seed}: {} episodes in {weeks} weeks ({:.0} s)",
            last.len(),
            begun.elapsed().as_secs_f64()
        );
        for alert in last.values() {
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
    }
}

/// The alerts of so many weeks of a shop.
fn play(seed: u64, weeks: f64) -> Vec<Alert> {
    let config = resolve(&Tree::new(), Path::new(".")).expect("the defaults are good");
    let mut engine =
        Engine::new(&config.fold, config.partitions, config.idle_timeout, config.decision_deadline);
    let settings = GenerateSettings {
        seed,
        events: (weeks * WEEK_SECONDS * EVENTS_PER_SECOND) as u64,
        events_per_second: EVENTS_PER_SECOND,
        labelled: 0.3,
        is_whole: true,
        ..GenerateSettings::default()
    };
    let generator = Generator::new(settings);
    let mut alerts = Vec::new();
    for (number, record) in generator.enumerate() {
        feed(&mut engine, record);
        if (number + 1) % RECORDS_PER_ROUND == 0 {
            engine.round().expect("memory does not fail");
            engine.take_public(|partition, record| {
                if partition.topic == Topic::AlertsDrift {
                    let value = record.value.as_deref().expect("an alert");
                    alerts.push(serde_json::from_slice(value).expect("an alert"));
                }
            });
        }
    }
    alerts
}

fn feed(engine: &mut Engine, record: GeneratedRecord) {
    let topic = Topic::from_name(record.topic.name()).expect("a topic of ours");
    let raw = LogRecord {
        key: Some(record.key.into_bytes()),
        value: Some(record.value),
        timestamp_ms: Some(record.timestamp_ms),
        ..LogRecord::default()
    };
    engine.append(&Destination::ByKey(topic), raw);
}
