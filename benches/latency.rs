//! Event → score over a real Kafka at 5,000 events/s, beside one bare produce → consume hop.
//!
//! `cargo bench --bench latency` starts a broker and an instance, produces generated traffic for
//! `TILLSTREAM_SECONDS` (60) at `TILLSTREAM_RATE` (5000), and for every payment takes the time from the call of
//! produce to the score in the hands of a consumer. At the same time, and at the rate of the payments,
//! records go through a topic with nothing in between. Prints both, their ratios, the instance's
//! peak memory, and the bytes of the entity log per event; fails if p50 > 6 × or p99 > 5 × the hop, or if
//! anything never arrived. Then the same with every topic but `scores.fraud` exactly once: fails if the median, over that
//! of its hop, is more than a fifth above the first.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench: it measures and prints"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use support::{Instance, Shop};
use tillstream::codec::payments::{Payment, PaymentKind};
use tillstream::event::DecisionId;
use tillstream::generate::{GenerateSettings, Generator, RawTopic};
use tillstream::log::Topic;
use tillstream::time::{Clock, EventTime, SystemClock};

/// The median with other topics exactly once, at most so many times that without.
const BESIDE_MAX: f64 = 1.2;
/// Seconds at the start that are not counted: the JVM compiles, connections open.
const WARM_UP: Duration = Duration::from_secs(30);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let (p50, p99) = measure("every topic at least once", &[]);
    assert!(p50 <= 6.0 && p99 <= 5.0, "slower than the goal");
    let others: Vec<_> = Topic::of_stages().filter(|topic| *topic != Topic::ScoresFraud).collect();
    let (beside, _) = measure("every topic but scores.fraud exactly once", &others);
    let share = beside / p50;
    println!("median beside exactly-once topics, both over their hop: {share:.2} x (at most {BESIDE_MAX})");
    assert!(share <= BESIDE_MAX, "scores wait for transactions");
}

/// p50 and p99 of event → score, each over that of the hop beside it.
fn measure(delivery: &str, exactly_once: &[Topic]) -> (f64, f64) {
    println!("== {delivery}");
    let (seconds, rate) = (setting("TILLSTREAM_SECONDS", 60), setting("TILLSTREAM_RATE", 5_000));
    let shop = Shop::open(4);
    if !exactly_once.is_empty() {
        let names: Vec<_> = exactly_once.iter().map(|topic| topic.name()).collect();
        shop.configure(&format!("exactly_once: [{}]\nslot: bench", names.join(", ")));
    }
    let hop_topic = "bench.hop";
    shop.kafka(&["topics", "--create", "--topic", hop_topic, "--partitions", "1"]);
    let instance = shop.instance();
    let stop = AtomicBool::new(false);
    let ((scores, scores_lost), (hops, hops_lost)) = std::thread::scope(|scope| {
        let score_consumer = scope.spawn(|| consume(&shop, "scores.fraud", &stop));
        let hop_consumer = scope.spawn(|| consume(&shop, hop_topic, &stop));
        std::thread::sleep(Duration::from_secs(2));
        let (sent_payments, sent_hops) = produce(&shop, hop_topic, seconds, rate);
        std::thread::sleep(Duration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
        let scores = latencies(sent_payments, &score_consumer.join().expect("no panic"));
        let hops = latencies(sent_hops, &hop_consumer.join().expect("no panic"));
        (scores, hops)
    });
    let (events, log_bytes) = (rate * seconds, log_bytes(&shop));
    println!("{events} events at {rate}/s; {} payments", scores.len());
    let score = summary("event → score", &scores);
    let hop = summary("bare hop", &hops);
    let (p50, p99) = (score.0 / hop.0, score.1 / hop.1);
    println!("ratios            p50 {p50:.2} (goal 6)   p99 {p99:.2} (goal 5)");
    println!(
        "decided without all parts: {}",
        instance.metric("tillstream_decisions_total", &["without_parts"])
    );
    println!("peak memory       {} MiB", peak_memory_mib(&instance));
    println!("entity log        {} bytes per event, as stored (lz4)", log_bytes / events);
    // what never arrived has no latency, and would make the others look better than they are
    assert!(scores_lost + hops_lost == 0, "never arrived: {scores_lost} scores, {hops_lost} hops");
    (p50, p99)
}

type Sent = HashMap<String, Instant>;

/// Produces at a steady rate; returns when each payment and each hop was handed to the producer.
fn produce(shop: &Shop, hop_topic: &str, seconds: u64, rate: u64) -> (Sent, Sent) {
    let producer: ThreadedProducer<DefaultProducerContext> = client(shop)
        .set("linger.ms", "2")
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        .set("partitioner", "murmur2_random")
        .create()
        .expect("a producer");
    // recent enough for the topics' retention
    let now = EventTime(SystemClock.now().0);
    let start = now.minus(Duration::from_secs(86_400));
    let settings = GenerateSettings {
        seed: 5,
        events: rate * seconds,
        start,
        labelled: 0.3,
        is_whole: true,
        ..GenerateSettings::default()
    };
    let (mut payments, mut hops) = (Sent::new(), Sent::new());
    let begun = Instant::now();
    for (number, record) in Generator::new(settings).enumerate() {
        let due = Duration::from_secs_f64(number as f64 / rate as f64);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        let counts = begun.elapsed() > WARM_UP;
        let topic = record.topic.name();
        let payment = (record.topic == RawTopic::Payments).then(|| decision_of(&record.value)).flatten();
        if let Some(id) = &payment {
            if counts {
                hops.insert(id.clone(), Instant::now());
            }
            producer
                .send(BaseRecord::to(hop_topic).key(id.as_bytes()).payload(&record.value))
                .map_err(|(fault, _)| fault)
                .expect("room in the queue");
            if counts {
                payments.entry(id.clone()).or_insert_with(Instant::now);
            }
        }
        producer
            .send(
                BaseRecord::to(topic)
                    .key(record.key.as_bytes())
                    .payload(&record.value)
                    .timestamp(record.timestamp_ms),
            )
            .map_err(|(fault, _)| fault)
            .expect("room in the queue");
    }
    (payments, hops)
}

/// The decision about a payment that will be scored: some of the traffic is broken on purpose, and gets none.
fn decision_of(value: &[u8]) -> Option<String> {
    match Payment::decode(value, 1 << 20) {
        Ok((Some(payment), _)) if matches!(payment.kind, PaymentKind::Attempted { .. }) => {
            Some(DecisionId::of_payment(payment.payment_id.as_str()).to_string())
        }
        _ => None,
    }
}

fn client(shop: &Shop) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", shop.brokers());
    config
}

/// Reads a topic from its end until told to stop; returns decision ids with the time of arrival.
fn consume(shop: &Shop, topic: &str, stop: &AtomicBool) -> Vec<(String, Instant)> {
    let consumer: BaseConsumer = client(shop)
        .set("group.id", format!("bench-{topic}"))
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "10")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[topic]).expect("a subscription");
    let (sender, receiver) = channel();
    let mut arrivals = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(50)) {
            Some(Ok(message)) => {
                let arrived = Instant::now();
                let key = message.key().map(<[u8]>::to_vec).unwrap_or_default();
                let value = message.payload().map(<[u8]>::to_vec).unwrap_or_default();
                sender.send((key, value, arrived)).expect("the receiver lives");
            }
            Some(Err(fault)) => println!("{topic}: {fault}"),
            None => drain(topic, &receiver, &mut arrivals),
        }
    }
    drain(topic, &receiver, &mut arrivals);
    arrivals
}

/// Parses outside the timed part.
fn drain(
    topic: &str,
    receiver: &Receiver<(Vec<u8>, Vec<u8>, Instant)>,
    arrivals: &mut Vec<(String, Instant)>,
) {
    for (key, value, arrived) in receiver.try_iter() {
        let id = if topic == "scores.fraud" {
            let json: serde_json::Value = serde_json::from_slice(&value).expect("a score is JSON");
            json["decision_id"].as_str().map(str::to_owned)
        } else {
            String::from_utf8(key).ok()
        };
        arrivals.extend(id.map(|id| (id, arrived)));
    }
}

/// Milliseconds from sending to the first arrival, sorted, and how many never arrived.
fn latencies(mut sent: Sent, arrivals: &[(String, Instant)]) -> (Vec<f64>, usize) {
    let mut latencies: Vec<f64> = arrivals
        .iter()
        .filter_map(|(id, arrived)| Some(arrived.duration_since(sent.remove(id)?).as_secs_f64() * 1_000.0))
        .collect();
    latencies.sort_by(f64::total_cmp);
    (latencies, sent.len())
}

fn summary(name: &str, sorted: &[f64]) -> (f64, f64) {
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    println!(
        "{name:<16}  p50 {:.2} ms   p95 {:.2} ms   p99 {:.2} ms   max {:.2} ms",
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
    (at(0.5), at(0.99))
}

fn peak_memory_mib(instance: &Instance) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", instance.pid())).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Bytes of the entity log's segments on the broker's disk.
fn log_bytes(shop: &Shop) -> u64 {
    let folder = shop.folder.path().join("kafka/log");
    let partitions = std::fs::read_dir(folder).expect("the broker's data").flatten();
    partitions
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("tillstream.entity-"))
        .flat_map(|partition| std::fs::read_dir(partition.path()).into_iter().flatten().flatten())
        .filter(|file| file.path().extension().is_some_and(|extension| extension == "log"))
        .filter_map(|file| file.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}
