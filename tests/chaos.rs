//! Everything that kills, on a real Kafka with real processes: crash points, storms of members, brokers that go away and
//! die, a disk that is full. Each scenario ends with the judgement of the oracle and of `verify`.
//!
//! `./dev chaos`; `TILLSTREAM_SEED` picks other moments.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    clippy::let_underscore_must_use,
    unreachable_pub,
    reason = "a test: what is wrong may panic, and what was done is printed"
)]

mod judge;
mod oracle;
mod support;

use judge::{
    PARTITIONS, alone, compare_where_appends_failed, produce_in_transactions, wait_until_drained,
    yesterday_at_ten,
};
use std::time::Duration;
use support::{Instance, Shop};
use tillstream::crash_points::POINTS;
use tillstream::generate::random::Random;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn shop() -> Shop {
    let shop = Shop::open(PARTITIONS);
    shop.configure(
        "exactly_once: [sessions, features.fraud, late, dead-letter]\ncheckpoints: { interval: 1s }",
    );
    produce_in_transactions(&shop);
    shop
}

/// Feeds `events` while `work` goes on, then lets `instances` of its result finish, and judges.
fn under_load(shop: &Shop, events: u64, work: impl FnOnce() -> Vec<Instance>) {
    let refused = under_load_that_may_fail(shop, events, work);
    assert_eq!(refused, (0, 0), "no append failed, so no frame is refused");
}

/// Returns how many frames of the two internal logs were refused.
fn under_load_that_may_fail(shop: &Shop, events: u64, work: impl FnOnce() -> Vec<Instance>) -> (u64, u64) {
    let mut instances = std::thread::scope(|scope| {
        let feed = scope.spawn(|| {
            let start = jiff::Timestamp::from_millisecond(yesterday_at_ten()).expect("a time").to_string();
            let events = events.to_string();
            shop.run(&["generate", "--start", &start, "--events", &events, "--kafka", "--per-second", "2000"])
        });
        let instances = work();
        feed.join().expect("generated");
        instances
    });
    wait_until_drained(&mut instances, events as f64);
    for instance in instances {
        assert!(instance.stop().success(), "a clean stop ends with 0");
    }
    let (doubles, refused) = compare_where_appends_failed(shop, 1);
    shop.run(&["verify"]);
    println!("{doubles} public records twice, of at-least-once topics; frames refused: {refused:?}");
    refused
}

/// Dies at every place of the cycle, several times each, and comes back.
#[test]
fn a_process_that_dies_at_any_place_of_its_cycle_comes_back_right() {
    let _alone = alone();
    let shop = shop();
    let mut random = Random::new(number("TILLSTREAM_SEED", 1));
    let rounds = number("TILLSTREAM_ROUNDS", 2);
    under_load(&shop, 100_000 * rounds, || {
        let (mut died, mut never) = (0, Vec::new());
        for _ in 0..rounds {
            for point in POINTS {
                let often =
                    if point.starts_with("checkpoint") || point.starts_with("transaction") { 8 } else { 200 };
                let at = format!("{point}:{}", 1 + random.below(often));
                let mut instance = shop.spawned_in("a", "TILLSTREAM_CRASH_AT", &at);
                if instance.ends_within(Duration::from_secs(20)) {
                    died += 1;
                } else {
                    instance.kill();
                    never.push(at);
                }
            }
        }
        println!("died {died} times; killed where the place was not come to within 20 s: {never:?}");
        assert!(died > never.len() * 3, "most places must be come to");
        vec![shop.instance_in("a")]
    });
}

/// Twenty members come and go.
#[test]
fn a_storm_of_members_that_join_and_leave_changes_nothing() {
    let _alone = alone();
    let shop = shop();
    let mut random = Random::new(number("TILLSTREAM_SEED", 1));
    under_load(&shop, 150_000, || {
        let stays = shop.instance_in("a");
        for turn in 0..10 {
            let mut comes = shop.instance_in(&format!("b{turn}"));
            std::thread::sleep(Duration::from_millis(random.below(2_000)));
            if random.below(2) == 0 {
                assert!(comes.stop().success(), "a clean stop ends with 0");
            } else {
                comes.kill();
            }
        }
        vec![stays]
    });
}

/// The broker is away for half a minute, then for longer than any of the client's time-outs, then dies.
#[test]
fn a_broker_that_is_stopped_for_long_or_killed_loses_nothing() {
    let _alone = alone();
    let shop = shop();
    under_load(&shop, 60_000, || {
        let (a, b) = (shop.instance_in("a"), shop.instance_in("b"));
        for (how, seconds) in [("stop", 30), ("stop", 75), ("kill", 2)] {
            std::thread::sleep(Duration::from_secs(3));
            shop.kafka(&[how]);
            std::thread::sleep(Duration::from_secs(seconds));
            shop.kafka(&["start"]);
            for instance in [&a, &b] {
                let begun = std::time::Instant::now();
                while instance.get("/readyz").0 != 200 {
                    assert!(begun.elapsed() < Duration::from_secs(120), "not ready two minutes after {how}");
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
        vec![a, b]
    });
}

/// The disk of the checkpoints is full for a while: the engine goes on, and says how old its checkpoints are; once there is
/// room they are written, and what is killed then comes back from them.
#[test]
fn a_disk_that_is_full_for_a_while_costs_checkpoints_and_nothing_else() {
    let _alone = alone();
    let shop = shop();
    under_load(&shop, 60_000, || {
        let mut instance = shop.on_a_full_disk("a", 1024);
        instance.wait_until("at work", |instance| instance.metric("tillstream_copies_total", &[]) > 20_000.0);
        let saved = |instance: &Instance| instance.metric("tillstream_checkpoints_total", &["keyed"]);
        let age = |instance: &Instance| instance.metric("tillstream_checkpoint_age_seconds", &["keyed"]);
        assert_eq!(saved(&instance), 0.0, "no checkpoint of keyed fits into a kilobyte");
        assert!(age(&instance) > 0.0, "and whoever looks is told");
        instance.disk_has_room();
        instance.wait_until("writing checkpoints", |instance| saved(instance) >= f64::from(PARTITIONS));
        instance.kill();
        vec![shop.instance_in("a")]
    });
}

/// The broker refuses some of many produce requests for a while: lives end and begin, and nothing is missing.
#[test]
fn produce_requests_that_fail_now_and_then_lose_nothing() {
    let _alone = alone();
    let shop = shop();
    let refused = under_load_that_may_fail(&shop, 60_000, || {
        let mut instances = vec![shop.instance_in("a"), shop.instance_in("b")];
        let topic = ["configs", "--alter", "--entity-type", "topics", "--entity-name"];
        for (name, largest) in
            [("tillstream.entity", "1500"), ("scores.fraud", "900"), ("tillstream.decision", "700")]
        {
            let setting = format!("max.message.bytes={largest}");
            shop.kafka(&[&topic[..], &[name, "--add-config", &setting]].concat());
            std::thread::sleep(Duration::from_secs(3));
            shop.kafka(&[&topic[..], &[name, "--add-config", "max.message.bytes=8388608"]].concat());
            for instance in &mut instances {
                instance.wait_until("ready", |instance| instance.get("/readyz").0 == 200);
            }
        }
        let lives: f64 =
            instances.iter().map(|instance| instance.metric("tillstream_lives_total", &[])).sum();
        println!("{lives} lives");
        assert!(lives > 6.0, "nothing failed");
        instances
    });
    assert!(refused.0 + refused.1 > 0, "no frame came behind one that failed");
}

/// A role whose thread hangs: its partitions go to another member, and the process ends instead of looking alive.
#[test]
fn a_role_that_hangs_is_replaced_and_ends_its_process() {
    let _alone = alone();
    let shop = shop();
    under_load(&shop, 60_000, || {
        let mut hangs = shop.spawned_in("a", "TILLSTREAM_HANG_AT", "send.before:300");
        hangs.wait_until("ready", |instance| instance.get("/readyz").0 == 200);
        let takes_over = shop.instance_in("b");
        assert!(hangs.ends_within(Duration::from_secs(180)), "it hangs and looks alive");
        assert_eq!(hangs.code(), Some(1));
        vec![takes_over]
    });
}

/// A stop while the broker does not answer ends, although the client library waits for it.
#[test]
fn a_stop_while_the_broker_stands_still_ends_in_time() {
    let _alone = alone();
    let shop = shop();
    under_load(&shop, 40_000, || {
        let mut instance = shop.instance_in("a");
        instance.wait_until("at work", |instance| instance.metric("tillstream_copies_total", &[]) > 5_000.0);
        shop.broker_stands_still(true);
        instance.signal("TERM");
        assert!(instance.ends_within(Duration::from_secs(50)), "it waits for the broker");
        assert_eq!(instance.code(), Some(1), "the stop was not clean");
        shop.broker_stands_still(false);
        vec![shop.instance_in("a")]
    });
}
