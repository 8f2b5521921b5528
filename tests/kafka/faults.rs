//! Disks that are full and brokers that refuse, for a while, on a real Kafka with a real process.

use crate::judge::{PARTITIONS, alone, shop, under_load, under_load_that_may_fail};
use crate::support::{Instance, Shop};
use std::time::Duration;

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
        // those of the start are empty, and small enough
        let small = saved(&instance);
        assert!(
            age(&instance) > 4.0 * f64::from(PARTITIONS),
            "whoever looks is told: one is due every second"
        );
        assert!(instance.metric("tillstream_checkpoint_storage_failures_total", &["keyed"]) > 1.0);
        instance.disk_has_room();
        let all = small + f64::from(PARTITIONS);
        instance.wait_until("writing checkpoints", |instance| saved(instance) >= all);
        instance.kill();
        let again = shop.instance_in("a");
        let page = again.get("/metrics").1;
        let offset =
            |line: &&str| line.starts_with("tillstream_checkpoint_offset{") && line.contains("entity");
        let put_back =
            page.lines().filter(offset).filter(|line| !line.ends_with(" -1") && !line.ends_with(" 0"));
        assert_eq!(put_back.count(), PARTITIONS as usize, "put back from checkpoints: {page}");
        vec![again]
    });
}

/// The broker refuses some of many produce requests for a while: lives end and begin, and nothing is missing.
#[test]
fn produce_requests_that_fail_now_and_then_lose_nothing() {
    let _alone = alone();
    let shop = shop();
    let logs = [("tillstream.entity", "1500"), ("scores.fraud", "900"), ("tillstream.decision", "700")];
    let refused = under_load_that_may_fail(&shop, 80_000, || {
        let mut instances = vec![shop.instance_in("a"), shop.instance_in("b")];
        let mut rounds = 0;
        // each log once, then on until a frame has come behind one that failed: that is a matter of milliseconds
        while rounds < 3 || rounds < 15 && sum(&instances, "tillstream_refused_frames_total") == 0.0 {
            let (name, largest) = logs[rounds % logs.len()];
            refuse_what_is_larger(&shop, name, largest);
            for instance in &mut instances {
                instance.wait_until("ready", |instance| instance.get("/readyz").0 == 200);
            }
            rounds += 1;
        }
        let lives = sum(&instances, "tillstream_lives_total");
        println!("{lives} lives in {rounds} rounds");
        assert!(lives > 6.0, "nothing failed");
        instances
    });
    assert!(refused.0 + refused.1 > 0, "no frame came behind one that failed");
}

fn sum(instances: &[Instance], metric: &str) -> f64 {
    instances.iter().map(|instance| instance.metric(metric, &[])).sum()
}

/// For two seconds, in which the broker stands still once: what is sent then is under way together, so that some of it fails and
/// some comes behind that.
fn refuse_what_is_larger(shop: &Shop, topic: &str, largest: &str) {
    let configs = ["configs", "--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config"];
    let limit = format!("max.message.bytes={largest}");
    shop.kafka(&[&configs[..], &[&limit]].concat());
    std::thread::sleep(Duration::from_secs(1));
    shop.broker_stands_still(true);
    std::thread::sleep(Duration::from_millis(500));
    shop.broker_stands_still(false);
    std::thread::sleep(Duration::from_millis(1_500));
    shop.kafka(&[&configs[..], &["max.message.bytes=8388608"]].concat());
}
