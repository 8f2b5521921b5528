//! An answer of the neighbour index over 100,000 and a million closed sessions.
//!
//! `cargo bench --bench recommend` fills an index with made sessions (30,000 items, some wanted far more than others; two to
//! twelve per session), asks for 21 items for each of 20,000 running sessions, and prints how long an answer took, how long a
//! session took to enter, and the memory per session. Fails if the 90th percentile over a million sessions exceeds 2 ms.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench: it measures and prints"
)]

use std::time::{Duration, Instant};
use tillstream::generate::random::Random;
use tillstream::recommend::{NeighbourSettings, Neighbours};
use tillstream::time::EventTime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ITEMS: u64 = 30_000;
const ASKED: usize = 20_000;
const P90_MAX: Duration = Duration::from_millis(2);

/// An item: half of the looks go to a hundredth of the items, and so on down.
fn item(random: &mut Random) -> String {
    let mut among = ITEMS;
    while among > 10 && random.below(2) == 0 {
        among = (among / 10).max(10);
    }
    format!("item-{:05}", random.below(among))
}

fn session(random: &mut Random) -> Vec<String> {
    let length = 2 + random.below(11);
    (0..length).map(|_| item(random)).collect()
}

fn main() {
    for sessions in [100_000, 1_000_000] {
        let p90 = measure(sessions);
        assert!(p90 <= P90_MAX, "slower than the goal");
    }
}

fn measure(sessions: usize) -> Duration {
    let mut random = Random::new(1);
    let mut index = Neighbours::new(NeighbourSettings {
        sessions_max: sessions,
        session_items_max: 20,
        candidates: 1_500,
        neighbours: 300,
        last_items: 4,
        rarity_weight: 2.0,
    });
    let before = memory_kib();
    let begun = Instant::now();
    for number in 0..sessions {
        let items = session(&mut random);
        index.insert(items.iter().map(String::as_str), EventTime(number as i64));
    }
    let filled = begun.elapsed();
    let bytes = (memory_kib() - before) * 1_024 / sessions as u64;
    let mut took: Vec<Duration> = (0..ASKED)
        .map(|_| {
            let running = session(&mut random);
            let running: Vec<&str> = running.iter().map(String::as_str).collect();
            let begun = Instant::now();
            let answer = index.recommend(&running, 21, |_| true);
            let took = begun.elapsed();
            assert!(!answer.is_empty());
            took
        })
        .collect();
    took.sort_unstable();
    let at = |share: f64| took[((ASKED - 1) as f64 * share) as usize];
    println!(
        "{sessions:>9} sessions: an answer p50 {:?}  p90 {:?}  p99 {:?};  a session enters in {:?};  {bytes} bytes each",
        at(0.5),
        at(0.9),
        at(0.99),
        filled / sessions as u32
    );
    at(0.9)
}

/// What the process has resident.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
