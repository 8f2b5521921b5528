//! A client that waits for its scores, and how long it waited, by its own clock.

use crate::support::{Instance, Shop};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tillstream::event::DecisionId;
use tillstream::time::{Clock, SystemClock};

/// Between two payments of the client.
const BEAT: Duration = Duration::from_millis(10);

/// A checkout that pays every ten milliseconds, and knows of each payment how long its score took.
pub struct Checkout {
    sent: Mutex<HashMap<String, Instant>>,
    took: Mutex<Vec<Duration>>,
    ends: AtomicBool,
}

/// Ends a checkout, also when what goes on beside it panics.
struct Ends<'c>(&'c AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Checkout {
    /// Runs one on `shop` while `work` goes on.
    pub fn beside<R>(shop: &Shop, work: impl FnOnce(&Checkout) -> R) -> R {
        let checkout =
            Checkout { sent: Mutex::default(), took: Mutex::default(), ends: AtomicBool::new(false) };
        std::thread::scope(|scope| {
            scope.spawn(|| checkout.pay(shop));
            scope.spawn(|| checkout.listen(shop));
            let _ends = Ends(&checkout.ends);
            work(&checkout)
        })
    }

    fn pay(&self, shop: &Shop) {
        let producer: ThreadedProducer<DefaultProducerContext> =
            ClientConfig::new().set("bootstrap.servers", shop.brokers()).create().expect("a producer");
        for number in 0_u64.. {
            if self.ends.load(Ordering::Relaxed) {
                return;
            }
            let (payment, now) = (format!("beat-{number}"), SystemClock.now().0);
            let value = format!(
                "{{\"event_id\":\"{payment}\",\"event_name\":\"payment_attempted\",\"event_time_ms\":{now},\"payment_id\":\"{payment}\",\
                 \"card_token\":\"c{}\",\"amount_minor\":100,\"currency\":\"EUR\",\"device_id\":\"d{}\"}}",
                number % 97,
                number % 89
            );
            let key = format!("c{}", number % 97);
            let decision = DecisionId::of_payment(&payment).to_string();
            self.sent.lock().expect("no panic").insert(decision, Instant::now());
            let record = BaseRecord::to("payments").key(&key).payload(&value).timestamp(now);
            producer.send(record).map_err(|(fault, _)| fault).expect("room in the queue");
            std::thread::sleep(BEAT);
        }
    }

    fn listen(&self, shop: &Shop) {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", shop.brokers())
            .set("group.id", "checkout")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "10")
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer");
        consumer.subscribe(&["scores.fraud"]).expect("a topic");
        while !self.ends.load(Ordering::Relaxed) {
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(20)) else { continue };
            let decision = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
            // a score that comes again is one no longer
            if let Some(sent) = self.sent.lock().expect("no panic").remove(&decision) {
                self.took.lock().expect("no panic").push(sent.elapsed());
            }
        }
    }

    /// Waits until everything paid so far has its score; the longest that one took since the last call.
    pub fn longest(&self) -> Duration {
        let asked = Instant::now();
        let is_open = || self.sent.lock().expect("no panic").values().any(|sent| *sent < asked);
        while is_open() {
            assert!(asked.elapsed() < Duration::from_secs(60), "scores that never come");
            std::thread::sleep(BEAT);
        }
        let took = std::mem::take(&mut *self.took.lock().expect("no panic"));
        took.into_iter().max().expect("a payment")
    }

    /// Goes on until each of `instances` has its share of every log, and scores come at once again. The longest wait
    /// until then.
    pub fn until_calm(&self, instances: &[&Instance]) -> Duration {
        let shares = |instance: &Instance| {
            let metrics = instance.get("/metrics").1;
            let owned = |topic: &str| {
                let of_topic = format!("topic=\"{topic}\"");
                metrics
                    .lines()
                    .any(|line| line.starts_with("tillstream_next_offset{") && line.contains(&of_topic))
            };
            ["tillstream.entity", "tillstream.decision"].into_iter().all(owned)
        };
        let begun = Instant::now();
        let (mut calm, mut longest) = (0, Duration::ZERO);
        while calm < 4 {
            assert!(begun.elapsed() < Duration::from_secs(120), "scores stay slow");
            std::thread::sleep(Duration::from_millis(500));
            let took = self.longest();
            longest = longest.max(took);
            let is_calm = took < Duration::from_millis(500) && instances.iter().all(|it| shares(it));
            calm = if is_calm { calm + 1 } else { 0 };
        }
        longest
    }
}
