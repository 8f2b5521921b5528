//! Disks that are full and brokers that refuse, for a while, on a real Kafka with a real process.

use crate::judge::{PARTITIONS, alone, shop, under_load, under_load_that_may_fail};
use crate::support::{Instance, Shop};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
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
        let failures =
            |instance: &Instance| instance.metric("tillstream_checkpoint_storage_failures_total", &["keyed"]);
        // whoever looks is told: one is due every second
        instance.wait_until("late with its checkpoints", |instance| {
            age(instance) > 4.0 * f64::from(PARTITIONS) && failures(instance) > 1.0
        });
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
    // what a machine sends at once is larger the slower it is: some of it has to fit, and some not
    let logs = [
        ("tillstream.entity", 1_500),
        ("scores.fraud", 900),
        ("tillstream.decision", 700),
        ("tillstream.entity", 3_000),
        ("tillstream.entity", 6_000),
        ("tillstream.decision", 2_000),
    ];
    let limits = Limits::of(&shop);
    let refused = under_load_that_may_fail(&shop, 100_000, || {
        let mut instances = vec![shop.instance_in("a"), shop.instance_in("b")];
        let lives = |instances: &[Instance]| sum(instances, "tillstream_lives_total");
        let begun = lives(&instances);
        let mut rounds = 0;
        // each log once, then on until some lives have ended
        while rounds < logs.len() || rounds < 20 && lives(&instances) < begun + 3.0 {
            let (name, largest) = logs[rounds % logs.len()];
            refuse_what_is_larger(&shop, &limits, name, largest);
            for instance in &mut instances {
                instance.wait_until("ready", |instance| instance.get("/readyz").0 == 200);
            }
            rounds += 1;
        }
        let ended = lives(&instances) - begun;
        println!("{ended} lives ended in {rounds} rounds");
        assert!(ended >= 3.0, "hardly anything failed");
        instances
    });
    // that is a matter of milliseconds here; the simulation notices when such frames are not refused
    println!("{refused:?} frames came behind one that failed");
}

/// The cluster gives the broker up, and when it comes back it names no broker for a moment: whoever asks it then is left without one.
#[test]
fn a_broker_that_stood_still_for_longer_than_its_cluster_waits_is_found_again() {
    let _alone = alone();
    let shop = shop();
    under_load_that_may_fail(&shop, 40_000, || {
        let mut instances = vec![shop.instance_in("a"), shop.instance_in("b")];
        for _ in 0..3 {
            shop.broker_stands_still(true);
            std::thread::sleep(Duration::from_secs(12));
            shop.broker_stands_still(false);
            for instance in &mut instances {
                instance.wait_until("told how much there is to read", |instance| {
                    instance.metric("tillstream_view_lag_age_seconds", &[]) < 5.0
                });
                instance.wait_until("ready", |instance| instance.get("/readyz").0 == 200);
            }
        }
        instances
    });
}

fn sum(instances: &[Instance], metric: &str) -> f64 {
    instances.iter().map(|instance| instance.metric(metric, &[])).sum()
}

/// For a second, in which the broker stands still once: what is sent then is under way together, so that some of it fails and
/// some comes behind that.
fn refuse_what_is_larger(shop: &Shop, limits: &Limits, topic: &str, largest: u32) {
    limits.set(topic, largest);
    std::thread::sleep(Duration::from_millis(300));
    shop.broker_stands_still(true);
    std::thread::sleep(Duration::from_millis(500));
    shop.broker_stands_still(false);
    std::thread::sleep(Duration::from_millis(300));
    limits.set(topic, 8_388_608);
}

/// Sets how large a batch of a topic may be. The tool that comes with Kafka takes seconds for it.
struct Limits {
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Limits {
    fn of(shop: &Shop) -> Limits {
        let admin = ClientConfig::new().set("bootstrap.servers", shop.brokers()).create().expect("a client");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Limits { admin, runtime }
    }

    fn set(&self, topic: &str, bytes: u32) {
        let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(20)));
        let of = ResourceSpecifier::Topic(topic);
        let described = self.runtime.block_on(self.admin.describe_configs([&of], &options));
        let mut described = described.expect("the broker answers").remove(0).expect("the topic is there");
        // what is not named would be the default again
        described.entries.retain(|entry| entry.source == ConfigSource::DynamicTopic);
        let bytes = bytes.to_string();
        let named =
            described.entries.iter().filter_map(|entry| Some((&*entry.name, entry.value.as_deref()?)));
        let mut change = AlterConfig::new(of);
        change.entries = named.chain([("max.message.bytes", &*bytes)]).collect();
        let altered = self.runtime.block_on(self.admin.alter_configs([&change], &options));
        altered.expect("the broker answers").remove(0).expect("it may be altered");
    }
}
