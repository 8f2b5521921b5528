//! The API on a real Kafka: scores on request, and recommendations beside ingest.
//!
//! `cargo bench --bench serve` starts a broker and an instance. For `TILLSTREAM_SECONDS` (30) payments are posted at 200 per
//! second over four connections; at the same time records go through a topic with nothing in between. Then 1,000
//! recommendations per second are asked for over four connections while 2,000 events per second are taken. Prints medians and
//! 99th percentiles, the share of fallbacks, and what a score takes over the bare hop; fails if a request fails or an answer is a
//! fallback.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    reason = "a bench: it measures and prints"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Caller, Instance, Shop};
use tillstream::generate::{GenerateSettings, Generator};
use tillstream::time::{Clock, EventTime, SystemClock};

const CONNECTIONS: u64 = 4;
/// The JVM compiles, connections open.
const WARM_UP: Duration = Duration::from_secs(20);

fn main() {
    let seconds = std::env::var("TILLSTREAM_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let shop = Shop::open(4);
    shop.declare_clients("{ fallback: [ { decision: review } ] }");
    // sessions that end while the bench runs
    shop.configure("sessions: { gap: 5s, allowed_lateness: 5s }");
    shop.kafka(&["topics", "--create", "--topic", "bench.hop", "--partitions", "1"]);
    let instance = shop.instance();
    scores(&shop, &instance, Duration::from_secs(seconds));
    recommendations(&shop, &instance, Duration::from_secs(seconds));
}

/// Calls `ask` with a number at a steady rate, over several connections; how long each took, without the warm-up.
fn steadily(
    port: u16,
    per_second: u64,
    seconds: Duration,
    ask: impl Fn(&mut Caller, u64) + Sync,
) -> Vec<Duration> {
    let begun = Instant::now();
    let one = |first: u64| {
        let (mut caller, mut took) = (Caller::new(port), Vec::new());
        for number in (first..).step_by(CONNECTIONS as usize) {
            let due = Duration::from_secs_f64(number as f64 / per_second as f64);
            if due > WARM_UP + seconds {
                break;
            }
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            ask(&mut caller, number);
            // from when it was due: one that waits for the one before it has waited
            if due > WARM_UP {
                took.push(begun.elapsed().saturating_sub(due));
            }
        }
        took
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..CONNECTIONS).map(|first| scope.spawn(move || one(first))).collect();
        all.into_iter().flat_map(|one| one.join().expect("no panic")).collect()
    })
}

fn scores(shop: &Shop, instance: &Instance, seconds: Duration) {
    let (stop, fallbacks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (took, hops) = std::thread::scope(|scope| {
        let hops = scope.spawn(|| hops(shop, &stop));
        let took = steadily(instance.http, 200, seconds, |caller, number| {
            let now = SystemClock.now().0;
            let payment = format!(
                "{{\"event_id\":\"{number}\",\"event_name\":\"payment_attempted\",\"event_time_ms\":{now},\"payment_id\":\"p{number}\",\
                 \"card_token\":\"c{}\",\"amount_minor\":1999,\"currency\":\"EUR\",\"device_id\":\"d{}\",\"visitor_id\":\"v{}\"}}",
                number % 9_973,
                number % 4_999,
                number % 7_919
            );
            let answer = caller.ask("POST", "/v1/score", Some("token-of-the-checkout"), payment.as_bytes());
            assert_eq!(answer.status, 200, "{answer:?}");
            fallbacks
                .fetch_add(usize::from(answer.body.contains("\"source\":\"fallback\"")), Ordering::Relaxed);
        });
        stop.store(true, Ordering::Relaxed);
        (took, hops.join().expect("no panic"))
    });
    let fallbacks = fallbacks.load(Ordering::Relaxed);
    let score = summary("score on request, 200/s", took);
    let hop = summary("bare hop beside it", hops);
    println!("over the hop             p50 {:.2} x  p99 {:.2} x", score.0 / hop.0, score.1 / hop.1);
    println!("fallbacks                {fallbacks}");
    assert_eq!(fallbacks, 0, "payments that were not scored in time");
}

/// Records through a topic with nothing in between, one every ten milliseconds.
fn hops(shop: &Shop, stop: &AtomicBool) -> Vec<Duration> {
    let client = |key: &str, value: &str| {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", shop.brokers()).set(key, value);
        config
    };
    let producer: ThreadedProducer<DefaultProducerContext> =
        client("linger.ms", "0").create().expect("a producer");
    let consumer: BaseConsumer =
        client("fetch.wait.max.ms", "10").set("group.id", "hop").create().expect("a consumer");
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset("bench.hop", 0, rdkafka::Offset::Beginning).expect("a partition");
    consumer.assign(&list).expect("an assignment");
    let (begun, mut took) = (Instant::now(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let sent = Instant::now();
        producer
            .send(BaseRecord::<str, str>::to("bench.hop").payload("x"))
            .map_err(|(fault, _)| fault)
            .expect("room");
        while consumer
            .poll(Duration::from_secs(1))
            .is_none_or(|found| found.expect("a broker").payload().is_none())
        {}
        if begun.elapsed() > WARM_UP {
            took.push(sent.elapsed());
        }
        std::thread::sleep(Duration::from_millis(10).saturating_sub(sent.elapsed()));
    }
    took
}

fn recommendations(shop: &Shop, instance: &Instance, seconds: Duration) {
    let stop = AtomicBool::new(false);
    let took = std::thread::scope(|scope| {
        scope.spawn(|| traffic(shop, &stop));
        let took = steadily(instance.http, 1_000, seconds, |caller, number| {
            let path = format!("/v1/visitors/v-{:06}/recommendations?count=20", number % 5_000);
            let answer = caller.ask("GET", &path, Some("token-of-the-page"), b"");
            assert_eq!(answer.status, 200, "{answer:?}");
        });
        stop.store(true, Ordering::Relaxed);
        took
    });
    summary("recommendations, 1,000/s", took);
    let known = |of| instance.metric("tillstream_view_entries", &[&format!("of=\"{of}\"")]);
    println!(
        "recommended from         {} sessions, {} popular items",
        known("sessions"),
        known("popular_items")
    );
    assert!(known("sessions") > 1_000.0, "there was nothing to recommend from");
}

/// Generated events, 2,000 per second.
fn traffic(shop: &Shop, stop: &AtomicBool) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", shop.brokers()).create().expect("a producer");
    // what is older than the payments that were scored would be late
    let start = EventTime(SystemClock.now().0);
    let settings = GenerateSettings { seed: 3, events: 1_000_000, start, ..GenerateSettings::default() };
    let begun = Instant::now();
    for (number, record) in Generator::new(settings).enumerate() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(Duration::from_secs_f64(number as f64 / 2_000.0).saturating_sub(begun.elapsed()));
        let made = BaseRecord::<str, [u8]>::to(record.topic.name()).key(&record.key).payload(&record.value);
        drop(producer.send(made));
    }
}

/// Median and 99th percentile in milliseconds, printed.
fn summary(name: &str, mut took: Vec<Duration>) -> (f64, f64) {
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0;
    println!("{name:<24} p50 {:.2} ms  p99 {:.2} ms  ({} of them)", at(0.5), at(0.99), took.len());
    (at(0.5), at(0.99))
}
