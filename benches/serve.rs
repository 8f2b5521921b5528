//! The API on a real Kafka: scores on request, and recommendations beside ingest.
//!
//! `cargo bench --bench serve` starts a broker and an instance. For `TILLSTREAM_SECONDS` (30) 1,000
//! recommendations per second are asked for over four connections, for visitors who have just looked at an item, while 2,000 events
//! per second are taken and items are retired. Then payments are posted at 200 per
//! second over four connections; at the same time records go through a topic with nothing in between. Prints medians and
//! 99th percentiles, the share of fallbacks, and what a score takes over the bare hop; fails if a request fails, if an answer is a
//! fallback or holds an item that was retired two seconds before, or if few answers come from similar sessions.

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
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Caller, Instance, Shop};
use tillstream::generate::{GenerateSettings, GeneratedRecord, Generator, RawTopic};
use tillstream::time::{Clock, EventTime, SystemClock};

const CONNECTIONS: u64 = 4;
/// Visitors who are asked for: those who looked at an item within the last second or two.
const VISITORS: usize = 600;
/// Within so long the view has read what the catalogue says, on a busy machine.
const READ_WITHIN: Duration = Duration::from_secs(2);
/// How long ago the traffic begins that is played forty times as fast.
const PLAYED_FROM: Duration = Duration::from_secs(7_200);
/// The JVM compiles, connections open.
const WARM_UP: Duration = Duration::from_secs(20);

fn main() {
    let seconds = std::env::var("TILLSTREAM_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let shop = Shop::open(4);
    shop.declare_clients("{ fallback: [ { decision: review } ] }");
    // sessions that end while the bench runs: traffic plays forty seconds in one
    shop.configure("sessions: { gap: 3m, allowed_lateness: 30s }");
    shop.kafka(&["topics", "--create", "--topic", "bench.hop", "--partitions", "1"]);
    let instance = shop.instance();
    // what is recommended from is older than the payments
    recommendations(&shop, &instance, Duration::from_secs(seconds));
    scores(&shop, &instance, Duration::from_secs(seconds));
}

/// Calls `ask` with a number at a steady rate, over several connections; how long each number took, without the warm-up.
fn steadily(
    port: u16,
    per_second: u64,
    seconds: Duration,
    ask: impl Fn(&mut Caller, u64) + Sync,
) -> Vec<(u64, Duration)> {
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
                took.push((number, begun.elapsed().saturating_sub(due)));
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
    let score = summary("score on request, 200/s", took.into_iter().map(|(_, took)| took).collect());
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
    let (stop, begun) = (AtomicBool::new(false), Instant::now());
    let (page, similar, asked) = (Page::default(), AtomicUsize::new(0), AtomicUsize::new(0));
    let took = std::thread::scope(|scope| {
        scope.spawn(|| traffic(shop, &stop, &page));
        let took = steadily(instance.http, 1_000, seconds, |caller, number| {
            if is_bare(number) {
                assert_eq!(caller.ask("GET", "/livez", None, b"").status, 200);
                return;
            }
            let path = format!("/v1/visitors/{}/recommendations?count=20", page.visitor(number));
            let answer = caller.ask("GET", &path, Some("token-of-the-page"), b"");
            assert_eq!(answer.status, 200, "{answer:?}");
            if begun.elapsed() > WARM_UP {
                asked.fetch_add(1, Ordering::Relaxed);
                similar.fetch_add(usize::from(answer.body.contains("similar_sessions")), Ordering::Relaxed);
                page.shows_no_retired_item(&answer.body);
            }
        });
        stop.store(true, Ordering::Relaxed);
        took
    });
    let share = similar.into_inner() as f64 / asked.into_inner() as f64;
    let (bare, took): (Vec<_>, Vec<_>) = took.into_iter().partition(|(number, _)| is_bare(*number));
    let [answer, bare] = [("recommendations, 1,000/s", took), ("bare requests among them", bare)]
        .map(|(name, took)| summary(name, took.into_iter().map(|(_, took)| took).collect()));
    println!("over the bare request    p50 {:.2} x  p99 {:.2} x", answer.0 / bare.0, answer.1 / bare.1);
    let known = |of| instance.metric("tillstream_view_entries", &[&format!("of=\"{of}\"")]);
    println!(
        "recommended from         {} sessions, {} popular items; {:.1} % of the answers by similar sessions",
        known("sessions"),
        known("popular_items"),
        100.0 * share
    );
    println!("retired meanwhile        {} items, none of them in an answer", page.retired());
    assert!(known("sessions") > 1_000.0, "there was nothing to recommend from");
    assert!(share > 0.8, "{share} of the answers are by similar sessions");
}

/// One request in ten is answered with a word: what machine, server and load take by themselves.
fn is_bare(number: u64) -> bool {
    number % 40 < CONNECTIONS
}

/// Who is in the shop, and what it no longer sells.
#[derive(Default)]
struct Page {
    /// Visitors who looked at items last.
    visitors: Mutex<VecDeque<String>>,
    /// Items that are away, each with when the broker had taken that.
    away: Mutex<BTreeMap<String, Instant>>,
    gone: AtomicUsize,
}

impl Page {
    fn visitor(&self, number: u64) -> String {
        let visitors = self.visitors.lock().expect("no panic");
        let place = (number as usize).wrapping_mul(7_919) % visitors.len().max(1);
        visitors.get(place).cloned().unwrap_or_else(|| "nobody".to_owned())
    }

    fn takes(&self, record: &GeneratedRecord) {
        let text = String::from_utf8_lossy(&record.value);
        match record.topic {
            RawTopic::Clickstream if text.contains("\"event_name\":\"view_item\"") => {
                let mut visitors = self.visitors.lock().expect("no panic");
                visitors.push_back(record.key.clone());
                if visitors.len() > VISITORS {
                    visitors.pop_front();
                }
            }
            RawTopic::Catalogue => {
                let mut away = self.away.lock().expect("no panic");
                if text.contains("\"stock\":0,") || text.contains("\"is_active\":false") {
                    away.insert(record.key.clone(), Instant::now());
                    self.gone.fetch_add(1, Ordering::Relaxed);
                } else {
                    away.remove(&record.key);
                }
            }
            _ => {}
        }
    }

    /// None that was retired so long ago that the view has read it.
    fn shows_no_retired_item(&self, body: &str) {
        for (item, since) in self.away.lock().expect("no panic").iter() {
            // an item without a score is a reason
            let shown = body.contains(&format!("\"item_id\":\"{item}\",\"score\":"));
            assert!(!shown || since.elapsed() < READ_WITHIN, "{item} is retired: {body}");
        }
    }

    fn retired(&self) -> usize {
        self.gone.load(Ordering::Relaxed)
    }
}

/// Generated events, 2,000 per second.
fn traffic(shop: &Shop, stop: &AtomicBool, page: &Page) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", shop.brokers()).create().expect("a producer");
    let start = EventTime(SystemClock.now().0).minus(PLAYED_FROM);
    let settings =
        GenerateSettings { seed: 3, events: 1_000_000, start, is_whole: true, ..GenerateSettings::default() };
    let generator = Generator::new(settings);
    let send = |record: &GeneratedRecord| {
        let made = BaseRecord::<str, [u8]>::to(record.topic.name()).key(&record.key).payload(&record.value);
        drop(producer.send(made));
        page.takes(record);
    };
    generator.catalogue().for_each(|record| send(&record));
    let begun = Instant::now();
    for (number, record) in generator.enumerate() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(Duration::from_secs_f64(number as f64 / 2_000.0).saturating_sub(begun.elapsed()));
        send(&record);
    }
}

/// Median and 99th percentile in milliseconds, printed.
fn summary(name: &str, mut took: Vec<Duration>) -> (f64, f64) {
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0;
    println!("{name:<24} p50 {:.2} ms  p99 {:.2} ms  ({} of them)", at(0.5), at(0.99), took.len());
    (at(0.5), at(0.99))
}
