//! Everything that kills and takes long, on a real Kafka with real processes: crash points, storms of members, brokers that go away and
//! die, roles that hang. Each scenario ends with the judgement of the oracle and of `verify`.
//!
//! `./dev chaos`; `TILLSTREAM_SEED` picks other moments.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::let_underscore_must_use,
    unreachable_pub,
    reason = "a test: what is wrong may panic, and what was done is printed"
)]

#[path = "kafka/checkout.rs"]
mod checkout;
#[path = "kafka/judge.rs"]
mod judge;
mod oracle;
mod support;

use checkout::Checkout;
use judge::{PARTITIONS, alone, shop, under_load};
use std::collections::BTreeMap;
use std::time::Duration;
use support::Shop;
use tillstream::crash_points::POINTS;
use tillstream::generate::random::Random;
use tillstream::log::Topic;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Dies at every place of the cycle, several times each, and comes back.
#[test]
fn a_process_that_dies_at_any_place_of_its_cycle_comes_back_right() {
    let _alone = alone();
    let shop = shop();
    let mut random = Random::new(number("TILLSTREAM_SEED", 1));
    let rounds = number("TILLSTREAM_ROUNDS", 2);
    under_load(&shop, 100_000 * rounds, || {
        let (mut died, mut never) = (BTreeMap::from(POINTS.map(|point| (point, 0))), Vec::new());
        for _ in 0..rounds {
            for point in POINTS {
                let often =
                    if point.starts_with("checkpoint") || point.starts_with("transaction") { 8 } else { 200 };
                let at = format!("{point}:{}", 1 + random.below(often));
                let mut instance = shop.spawned_in("a", "TILLSTREAM_CRASH_AT", &at);
                if instance.ends_within(Duration::from_secs(20)) {
                    *died.entry(point).or_insert(0) += 1;
                } else {
                    instance.kill();
                    never.push(at);
                }
            }
        }
        println!("died {died:?}; killed where the place was not come to within 20 s: {never:?}");
        assert!(died.values().all(|times| *times > 0), "every place must be come to");
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
        for turn in 0..20 {
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
        let (mut a, mut b) = (shop.instance_in("a"), shop.instance_in("b"));
        let mut longest = Duration::ZERO;
        for (how, seconds) in [("stop", 30), ("stop", 75), ("kill", 2)] {
            std::thread::sleep(Duration::from_secs(3));
            shop.kafka(&[how]);
            for instance in [&mut a, &mut b] {
                instance.wait_until("without a broker", |instance| instance.get("/readyz").0 == 503);
            }
            std::thread::sleep(Duration::from_secs(seconds));
            shop.kafka(&["start"]);
            let begun = std::time::Instant::now();
            for instance in [&a, &b] {
                while instance.get("/readyz").0 != 200 {
                    assert!(begun.elapsed() < Duration::from_secs(120), "not ready two minutes after {how}");
                    std::thread::sleep(Duration::from_millis(100));
                }
                // the library's own pause between two attempts grows to ten seconds
                longest = longest.max(begun.elapsed());
            }
        }
        println!("ready again at most {longest:.2?} after the broker");
        assert!(longest < Duration::from_secs(5), "{longest:?}");
        vec![a, b]
    });
}

/// A role whose thread hangs: its partitions go to another member, and the process ends instead of looking alive.
#[test]
fn a_role_that_hangs_is_replaced_and_ends_its_process() {
    let _alone = alone();
    let shop = shop();
    under_load(&shop, 60_000, || {
        let mut hangs = shop.spawned_in("a", "TILLSTREAM_HANG_AT", "send.before:300");
        hangs.wait_until("ready", |instance| instance.get("/readyz").0 == 200);
        let mut takes_over = shop.instance_in("b");
        // a member that does not poll loses its partitions after half a minute, long before its process ends
        takes_over.wait_until("the owner of one whole log", |instance| {
            let metrics = instance.get("/metrics").1;
            let owned = |topic: &str| {
                let label = format!("topic=\"{topic}\"");
                let series =
                    |line: &&str| line.starts_with("tillstream_next_offset{") && line.contains(&label);
                metrics.lines().filter(series).count()
            };
            Topic::ALL.iter().any(|topic| owned(topic.name()) == PARTITIONS as usize)
        });
        assert!(!hangs.ends_within(Duration::ZERO), "its process ended first");
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

/// An instance that dies inside a transaction, with the scores of a checkout in it, and does not come back: the others take
/// over as soon as the broker has given its transaction up.
#[test]
fn a_checkout_waits_no_longer_than_promised_when_an_instance_dies_inside_a_transaction() {
    let _alone = alone();
    let shop = Shop::open(PARTITIONS);
    shop.configure(
        "exactly_once: [scores.fraud, sessions, features.fraud, features.session]\ncommit_interval: 100ms",
    );
    let stays = shop.instance_in("a");
    Checkout::beside(&shop, |checkout| {
        for (slot, point) in [("b", "transaction.begun"), ("c", "transaction.offsets_sent")] {
            let mut dies = shop.spawned_in(slot, "TILLSTREAM_CRASH_AT", &format!("{point}:400"));
            dies.wait_until("ready", |instance| instance.get("/readyz").0 == 200);
            checkout.until_calm(&[&stays, &dies]);
            assert!(dies.ends_within(Duration::from_secs(120)), "it never came to {point}");
            let takeover = checkout.until_calm(&[&stays]);
            println!(
                "longest wait for a score: died at {point} and was taken over {takeover:.2?} (at most 13 s)"
            );
            assert!(takeover <= Duration::from_secs(13), "{takeover:?} for a takeover after {point}");
        }
    });
    assert!(stays.stop().success(), "a clean stop ends with 0");
    shop.run(&["verify"]);
}
