//! What watching for drift adds to the engine's time: two engines over the same traffic, one of which has `drift: { watch: false }`, in
//! turns of some thousand records.
//!
//! - `cargo bench --bench cost` plays the shop of `tillstream generate` (50 records per second) for three days, of which a day is learned
//!   from (`drift.learn`), and a small one (2 per second) for four weeks, of which two are: in what is measured, windows are judged. It fails if
//!   drift has more than a tenth of the first one's time.
//! - `cargo bench --bench cost -- RATE DAYS LEARN_DAYS` plays another.
//!
//! Measured is the last third, in the time that the thread had a processor. Turns are short, and each side goes first by turns: what else
//! the machine does meets both. What a window costs has little to do with how much came in it, so the share falls with the rate. In
//! instructions, `cargo bench --bench core` has it.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench: it measures and prints, and a wrong input may end it"
)]

use std::path::Path;
use tillstream::config::{Tree, resolve};
use tillstream::engine::process::Engine;
use tillstream::generate::{GenerateSettings, GeneratedRecord, Generator};
use tillstream::log::{Destination, LogRecord, Topic};

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DAY_SECONDS: f64 = 86_400.0;
const RECORDS_PER_ROUND: usize = 1_000;
const RECORDS_PER_TURN: usize = 4_000;
/// What is measured is looked at in so many parts, to see how much they differ.
const PARTS: usize = 8;
/// Drift may have so much of the time at the generator's rate.
const SHARE_MAX: f64 = 0.1;

fn main() {
    let arguments: Vec<f64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    println!(
        "| records per second | days | learned from | measured | without drift | with it | drift's share | in eighths |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---|");
    if let [rate, days, learn] = arguments[..] {
        measure(rate, days, learn);
        return;
    }
    let share = measure(GenerateSettings::default().events_per_second, 3.0, 1.0);
    measure(2.0, 28.0, 14.0);
    assert!(share <= SHARE_MAX, "drift has {share:.3} of the time");
}

/// An engine, and the nanoseconds that each turn took.
struct Side {
    engine: Engine,
    turns: Vec<f64>,
}

impl Side {
    fn new(settings: &str) -> Side {
        let tree: Tree = serde_json::from_str(settings).unwrap();
        let config = resolve(&tree, Path::new(".")).unwrap();
        let engine =
            Engine::new(&config.fold, config.partitions, config.idle_timeout, config.decision_deadline);
        Side { engine, turns: Vec::new() }
    }

    fn take(&mut self, turn: &[(Topic, LogRecord)]) {
        let begun = processor_nanos();
        for round in turn.chunks(RECORDS_PER_ROUND) {
            for (topic, record) in round {
                self.engine.append(&Destination::ByKey(*topic), record.clone());
            }
            self.engine.round().unwrap();
            self.engine.take_public(|_, _| {});
        }
        self.turns.push(processor_nanos() - begun);
    }
}

/// Plays so many days, of which so many are learned from, prints what was measured, and returns drift's share.
fn measure(rate: f64, days: f64, learn: f64) -> f64 {
    let traffic = GenerateSettings {
        seed: 11,
        events: (rate * days * DAY_SECONDS) as u64,
        events_per_second: rate,
        labelled: 0.3,
        is_whole: true,
        ..GenerateSettings::default()
    };
    let learning = format!(r#"{{"drift": {{"learn": "{learn}d"}}}}"#);
    let (mut without, mut with) = (Side::new(r#"{"drift": {"watch": false}}"#), Side::new(&learning));
    let mut records = Generator::new(traffic).map(raw);
    loop {
        let turn: Vec<(Topic, LogRecord)> = records.by_ref().take(RECORDS_PER_TURN).collect();
        if turn.is_empty() {
            break;
        }
        if with.turns.len().is_multiple_of(2) {
            without.take(&turn);
            with.take(&turn);
        } else {
            with.take(&turn);
            without.take(&turn);
        }
    }
    let begin = with.turns.len() * 2 / 3;
    let measured = |side: Side| side.turns.into_iter().skip(begin).collect::<Vec<_>>();
    let (without, with) = (measured(without), measured(with));
    let sum = |turns: &[f64]| turns.iter().sum::<f64>();
    let share = |without: &[f64], with: &[f64]| 1.0 - sum(without) / sum(with);
    let length = with.len().div_ceil(PARTS).max(1);
    let mut parts: Vec<f64> =
        without.chunks(length).zip(with.chunks(length)).map(|(one, other)| share(one, other)).collect();
    parts.sort_by(f64::total_cmp);
    let all = share(&without, &with);
    let each = |turns: &[f64]| sum(turns) / (turns.len() * RECORDS_PER_TURN) as f64 / 1_000.0;
    println!(
        "| {rate} | {days} | {learn} | {} | {:.2} µs | {:.2} µs | {:.1} % | {:.1} to {:.1} % |",
        with.len() * RECORDS_PER_TURN,
        each(&without),
        each(&with),
        100.0 * all,
        100.0 * parts.first().unwrap(),
        100.0 * parts.last().unwrap(),
    );
    all
}

fn raw(record: GeneratedRecord) -> (Topic, LogRecord) {
    let topic = Topic::from_name(record.topic.name()).unwrap();
    let raw = LogRecord {
        key: Some(record.key.into_bytes()),
        value: Some(record.value),
        timestamp_ms: Some(record.timestamp_ms),
        ..LogRecord::default()
    };
    (topic, raw)
}

/// How long the thread has had a processor.
fn processor_nanos() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
