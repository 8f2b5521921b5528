//! How long a checkout waits for its scores while instances stop, start, die and stand still, by the client's own clock.

use crate::checkout::Checkout;
use crate::judge::{PARTITIONS, alone, compare, feed, produce_in_transactions, wait_until_drained};
use crate::support::{Instance, Shop};
use std::time::Duration;

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
        let feed = scope.spawn(|| feed(&shop, events, 2_500));
        let folded = |instance: &Instance| instance.metric("tillstream_copies_total", &[]);
        a.wait_until("at work", |instance| folded(instance) > 5_000.0);
        a.signal("STOP");
        std::thread::sleep(Duration::from_secs(15));
        a.signal("CONT");
        feed.join().expect("generated");
    });
    let mut instances = [a, b];
    wait_until_drained(&mut instances, events as f64);
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
