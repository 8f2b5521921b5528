//! How long a checkout waits for its scores while instances stop, start, die and stand still, by the client's own clock.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::let_underscore_must_use,
    unreachable_pub,
    reason = "a test: what is wrong may panic, and what was measured is printed"
)]

mod judge;
mod oracle;
mod support;

use judge::{PARTITIONS, alone, compare, produce_in_transactions, wait_until_drained, yesterday_at_ten};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::{Instance, Shop};
use tillstream::event::DecisionId;
use tillstream::time::{Clock, SystemClock};

/// Between two payments of the client.
const BEAT: Duration = Duration::from_millis(10);

/// A checkout that pays every ten milliseconds, and knows of each payment how long its score took.
struct Checkout {
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
    fn beside<R>(shop: &Shop, work: impl FnOnce(&Checkout) -> R) -> R {
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
    fn longest(&self) -> Duration {
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
    fn until_calm(&self, instances: &[&Instance]) -> Duration {
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

#[test]
fn a_checkout_waits_no_longer_than_promised_for_a_restart_a_kill_and_a_takeover() {
    let _alone = alone();
    let shop = Shop::open(PARTITIONS);
    let (mut a, mut b) = (shop.instance_in("a"), shop.instance_in("b"));
    Checkout::beside(&shop, |checkout| {
        checkout.until_calm(&[&a, &b]);
        let (code, told) = shop.refused_in("a");
        assert!(code == Some(1) && told.contains("is held by a live instance"), "{code:?}: {told}");
        assert!(b.stop().success(), "a clean stop ends with 0");
        b = shop.instance_in("b");
        let restart = checkout.until_calm(&[&a, &b]);

        b.kill();
        b = shop.instance_in("b");
        let kill = checkout.until_calm(&[&a, &b]);

        let mut c = shop.instance_in("c");
        checkout.until_calm(&[&a, &b, &c]);
        let mut rolling = Vec::new();
        assert!(a.stop().success(), "a clean stop ends with 0");
        a = shop.instance_in("a");
        rolling.push(checkout.until_calm(&[&a, &b, &c]));
        assert!(b.stop().success(), "a clean stop ends with 0");
        b = shop.instance_in("b");
        rolling.push(checkout.until_calm(&[&a, &b, &c]));
        assert!(c.stop().success(), "a clean stop ends with 0");
        c = shop.instance_in("c");
        rolling.push(checkout.until_calm(&[&a, &b, &c]));

        c.kill();
        let takeover = checkout.until_calm(&[&a, &b]);
        println!(
            "longest wait for a score: clean stop and start {restart:.2?} (at most 2 s), kill -9 and start {kill:.2?} (at most 4 s), \
             rolling restart of three {rolling:.2?} each, takeover by others {takeover:.2?} (at most 13 s)"
        );
        assert!(restart <= Duration::from_secs(2), "{restart:?} for a clean stop and start");
        assert!(kill <= Duration::from_secs(4), "{kill:?} for kill -9 and start");
        assert!(takeover <= Duration::from_secs(13), "{takeover:?} for a takeover");
        drop((a, b));
    });
}

/// An instance that stands still for longer than the session time-out, and goes on: what it still sends changes nothing.
#[test]
fn a_zombie_that_goes_on_after_its_partitions_were_taken_over_changes_nothing() {
    let _alone = alone();
    let shop = Shop::open(PARTITIONS);
    shop.configure("exactly_once: [sessions, features.fraud, late]");
    produce_in_transactions(&shop);
    let (mut a, b) = (shop.instance_in("a"), shop.instance_in("b"));
    let events = 60_000;
    std::thread::scope(|scope| {
        let feed = scope.spawn(|| {
            let start = jiff::Timestamp::from_millisecond(yesterday_at_ten()).expect("a time").to_string();
            let events = events.to_string();
            shop.run(&["generate", "--start", &start, "--events", &events, "--kafka", "--per-second", "2500"])
        });
        let folded = |instance: &Instance| instance.metric("tillstream_copies_total", &[]);
        a.wait_until("at work", |instance| folded(instance) > 5_000.0);
        a.signal("STOP");
        std::thread::sleep(Duration::from_secs(15));
        a.signal("CONT");
        feed.join().expect("generated");
    });
    let mut instances = [a, b];
    wait_until_drained(&mut instances, f64::from(events));
    let lost: f64 =
        instances.iter().map(|instance| instance.metric("tillstream_partitions_lost_total", &[])).sum();
    let lives: f64 = instances.iter().map(|instance| instance.metric("tillstream_lives_total", &[])).sum();
    assert!(lost > 0.0 || lives > 6.0, "nothing was taken over: it was no zombie");
    for instance in instances {
        assert!(instance.stop().success(), "a clean stop ends with 0");
    }
    let doubles = compare(&shop, 0);
    shop.run(&["verify"]);
    println!(
        "{lost} partitions lost, {lives} lives, {doubles} public records twice, of at-least-once topics"
    );
}
