//! The whole product on a real Apache Kafka: 300,000 generated events, two instances in one group, one
//! of which leaves and comes back, and every public topic read back and compared with an oracle.
//!
//! What does not depend on arrival order is compared with an oracle over the raw input; what does, with
//! an independent fold of the internal logs as read back.

use crate::judge::{
    PARTITIONS, alone, compare, feed, pay_once, produce_in_transactions, public, read, wait_until_drained,
    yesterday_at_ten,
};
use crate::support::{Instance, ObjectStore, Shop};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use tillstream::generate::random::Random;
use tillstream::log::Topic;
use tillstream::time::{Clock, SystemClock};

fn events() -> u64 {
    std::env::var("TILLSTREAM_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(300_000)
}

/// A record that its topic took because it is small when compressed, and that is larger than any other topic takes.
fn produce_a_giant(shop: &Shop) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", shop.brokers())
        .set("compression.type", "zstd")
        .set("message.max.bytes", "20000000")
        .create()
        .expect("a producer");
    let giant = "a".repeat(12 << 20);
    let record = BaseRecord::to("clickstream").key("giant").payload(&giant);
    producer.send(record).map_err(|(fault, _)| fault).expect("room in the queue");
    // what is wrong with this one quotes all of it, each byte as six
    let quoted = format!("{{\"event_time_ms\":\"{}\"}}", "\u{7f}".repeat(1_000_000));
    let key = "k".repeat(3_000_000);
    let record = BaseRecord::to("payments").key(&key).payload(&quoted);
    producer.send(record).map_err(|(fault, _)| fault).expect("room in the queue");
    producer.flush(Duration::from_secs(20)).expect("the broker takes it");
}

/// What keeps an offset of its own: the partitions of all that the stages read.
const TASKS: usize = (Topic::RAW.len() + 3) * PARTITIONS as usize;

#[test]
fn two_instances_on_kafka_publish_what_the_oracle_says() {
    let _alone = alone();
    let events = events();
    let mut shop = Shop::open(PARTITIONS);
    shop.niceness = 5;
    produce_in_transactions(&shop);
    produce_a_giant(&shop);
    let stays = shop.instance();
    let leaves = shop.instance();
    // two whole instances, a producer and their broker share two cores: at half as much again the broker itself was
    // given up by its controller on a bad day, and no stop is clean then
    let rate = events / 60;
    let start = jiff::Timestamp::from_millisecond(yesterday_at_ten()).expect("a time").to_string();
    let mut troubles = 0.0;
    let back = std::thread::scope(|scope| {
        let feed = scope.spawn(|| {
            shop.run(&[
                "generate",
                "--seed",
                "21",
                "--start",
                &start,
                "--events",
                &events.to_string(),
                "--kafka",
                "--per-second",
                &rate.to_string(),
            ])
        });
        std::thread::sleep(Duration::from_secs(6));
        troubles += troubles_of(&leaves);
        assert!(leaves.stop().success(), "a clean stop ends with 0");
        std::thread::sleep(Duration::from_secs(4));
        let back = shop.instance();
        feed.join().expect("generated");
        back
    });
    let mut instances = [stays, back];
    wait_until_drained(&mut instances, events as f64);
    assert_eq!(
        instances.iter().map(|instance| instance.metric("tillstream_refused_frames_total", &[])).sum::<f64>(),
        0.0,
        "nothing is refused"
    );
    for instance in &instances {
        let (status, metrics) = instance.get("/metrics");
        let balanced: Vec<_> =
            metrics.lines().filter(|line| line.starts_with("tillstream_ledger_balanced{")).collect();
        assert!(
            status == 200 && !balanced.is_empty() && balanced.iter().all(|line| line.ends_with(" 1")),
            "{balanced:?}"
        );
        assert_eq!(instance.get("/livez").0, 200);
    }
    for instance in instances {
        troubles += troubles_of(&instance);
        assert!(instance.stop().success(), "a clean stop ends with 0");
    }
    let doubles = compare(&shop, events / 100);
    println!("{doubles} public records twice, {troubles} partitions lost or lives ended on the way");
    assert!(
        doubles == 0 || troubles > 0.0,
        "{doubles} records were published twice, and every stop was clean"
    );
}

/// Partitions that the group took away before they were finished, and lives after the first of each role:
/// a machine that stands still for longer than the session time-out causes both.
fn troubles_of(instance: &Instance) -> f64 {
    instance.metric("tillstream_partitions_lost_total", &[]) + instance.metric("tillstream_lives_total", &[])
        - 3.0
}

/// Kill -9 in the middle of the work, and a broker that is away for a while: public records may come
/// twice, with the same id and the same bytes; nothing is lost, nothing is counted twice.
#[test]
fn a_killed_instance_and_a_broker_that_goes_away_lose_nothing() {
    let _alone = alone();
    let events = 60_000;
    let shop = Shop::open(PARTITIONS);
    produce_in_transactions(&shop);
    let killed = shop.instance();
    let survivor = std::thread::scope(|scope| {
        let feed = scope.spawn(|| feed(&shop, events, 3_000));
        let folded = |instance: &Instance| instance.metric("tillstream_copies_total", &[]);
        let mut killed = killed;
        killed.wait_until("at work", |instance| folded(instance) > 5_000.0);
        drop(killed);
        let mut survivor = shop.instance();
        survivor.wait_until("at work again", |instance| folded(instance) > 10_000.0);
        shop.kafka(&["stop"]);
        let ready = |instance: &Instance| instance.metric("tillstream_ready", &["role=\"keyed\""]);
        survivor.wait_until("not ready", |instance| instance.get("/readyz").0 == 503);
        survivor.wait_until("said not to be ready by role", |instance| ready(instance) == 0.0);
        shop.kafka(&["start"]);
        survivor.wait_until("ready again", |instance| instance.get("/readyz").0 == 200);
        survivor.wait_until("said to be ready by role", |instance| ready(instance) == 1.0);
        feed.join().expect("generated");
        survivor
    });
    let mut instances = [survivor];
    wait_until_drained(&mut instances, events as f64);
    let [survivor] = instances;
    assert!(survivor.stop().success(), "a clean stop ends with 0");
    let doubles = compare(&shop, 0);
    println!("{doubles} public records twice, each with the same id and the same bytes");
}

/// Two slots under load, one or the other killed again and again and started anew at once: everything is there, and what
/// was published twice is recognised by its id. `TILLSTREAM_KILLS=50` for longer.
#[test]
fn an_instance_that_is_killed_again_and_again_loses_nothing() {
    let _alone = alone();
    kill_again_and_again(&Shop::open(PARTITIONS), &["a", "b"]);
}

/// The same with three slots and every public topic exactly once: a reader of committed records sees each record once.
#[test]
fn an_instance_that_is_killed_again_and_again_publishes_exactly_once() {
    let _alone = alone();
    let shop = Shop::open(PARTITIONS);
    let topics: Vec<_> = Topic::of_stages().map(Topic::name).collect();
    let topics = topics.join(", ");
    shop.configure(&format!("exactly_once: [{topics}]"));
    let doubles = kill_again_and_again(&shop, &["a", "b", "c"]);
    assert_eq!(doubles, 0, "records that a reader of committed records sees twice");
}

/// Returns how many public records were published twice.
fn kill_again_and_again(shop: &Shop, names: &[&str]) -> usize {
    let kills: u64 = std::env::var("TILLSTREAM_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let seed = std::env::var("TILLSTREAM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let events = 15_000 * kills.max(4);
    produce_in_transactions(shop);
    let mut random = Random::new(seed);
    let mut slots: Vec<_> = names.iter().map(|slot| shop.instance_in(slot)).collect();
    let mut back = Vec::new();
    std::thread::scope(|scope| {
        let feed = scope.spawn(|| feed(shop, events, 3_000));
        for _ in 0..kills {
            std::thread::sleep(Duration::from_millis(500 + random.below(3_000)));
            let place = usize::try_from(random.below(names.len() as u64)).expect("few");
            let slot = names[place];
            slots[place].kill();
            let begun = std::time::Instant::now();
            slots[place] = shop.instance_in(slot);
            back.push(begun.elapsed());
        }
        feed.join().expect("generated");
    });
    wait_until_drained(&mut slots, events as f64);
    for instance in slots {
        assert!(instance.stop().success(), "a clean stop ends with 0");
    }
    // few kills take little time, in which hardly a session becomes final
    let doubles = compare(shop, u64::from(kills >= 12));
    back.sort_unstable();
    let (median, longest) = (back[back.len() / 2], back[back.len() - 1]);
    println!(
        "{kills} kills, {doubles} public records twice; ready again after {median:?} (median), {longest:?} (longest)"
    );
    doubles
}

/// Checkpoints in S3: a killed instance is put back from there, and what it publishes is what the oracle says.
#[test]
fn checkpoints_in_an_object_store_are_put_back_after_a_kill() {
    let _alone = alone();
    let store = ObjectStore::with_bucket("tills");
    let mut shop = Shop::open(PARTITIONS);
    shop.environment = store.environment();
    shop.configure("checkpoints: { url: \"s3://tills/shop\", interval: 1s }");
    produce_in_transactions(&shop);
    let start = jiff::Timestamp::from_millisecond(yesterday_at_ten()).expect("a time").to_string();
    shop.run(&["generate", "--start", &start, "--events", "20000", "--kafka"]);
    let mut instances = [shop.instance_in("s")];
    let (code, told) = shop.refused_in("s");
    assert!(code == Some(1) && told.contains("is held by a live instance"), "{code:?}: {told}");
    wait_until_drained(&mut instances, 20_000.0);
    let [mut killed] = instances;
    let saved = |instance: &Instance| {
        ["tillstream.entity", "tillstream.decision", "clickstream"]
            .map(|topic| instance.metric("tillstream_checkpoint_offset", &[&format!("topic=\"{topic}\"")]))
    };
    killed.wait_until("saved", |instance| saved(instance).iter().all(|offset| *offset > 0.0));
    let before = saved(&killed);
    killed.kill();
    assert!(
        store.list("tills").iter().all(|key| key.starts_with("shop/tillstream-")),
        "{:?}",
        store.list("tills")
    );
    let back = shop.instance_in("s");
    let restored = saved(&back);
    assert!(
        restored.iter().zip(&before).all(|(after, before)| after >= before),
        "{restored:?} after {before:?}"
    );
    shop.run(&["generate", "--seed", "2", "--start", &start, "--events", "5000", "--kafka"]);
    let mut instances = [back];
    wait_until_drained(&mut instances, 25_000.0);
    let [back] = instances;
    assert!(back.stop().success(), "a clean stop ends with 0");
    compare(&shop, 0);
    verify_and_replay(&shop);
}

/// `verify` and `replay` find nothing wrong in what is right, and name what is wrong.
fn verify_and_replay(shop: &Shop) {
    let (code, _, told) = shop.try_to_run(&["verify"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("sessions: ") && told.contains("tillstream.decision: "), "{told}");
    assert_eq!(shop.try_to_run(&["verify", "--from-checkpoint"]).0, Some(0));
    let again = shop.folder.path().join("again");
    let replay = [
        "replay",
        "tillstream.entity",
        "--partition",
        "1",
        "--from",
        "2",
        "--out",
        again.to_str().expect("UTF-8"),
    ];
    let (code, _, told) = shop.try_to_run(&replay);
    assert_eq!(code, Some(0), "{told}");
    let lines = std::fs::read_to_string(again.join("features.fraud.jsonl")).expect("a file for each topic");
    let fetched = read(shop, Topic::FeaturesFraud);
    let ids = fetched
        .iter()
        .map(|fetched| String::from_utf8_lossy(&fetched.record.headers.spelled_out("")[1].1).into_owned());
    let of_range = ids.filter(|id| {
        let places: Vec<&str> = id.split('-').collect();
        places[1] == "1" && places[2].parse::<u64>().expect("an offset") >= 2
    });
    assert_eq!(lines.lines().count(), of_range.collect::<BTreeSet<_>>().len());

    // a score with another value under an id that is there, and one that no log gives
    let scores = read(shop, Topic::ScoresFraud);
    let (first, second) = (&scores[0].record, &scores[1].record);
    let of = |record: &tillstream::log::LogRecord| {
        String::from_utf8_lossy(
            &record.headers.spelled_out("").iter().find(|(name, _)| name == "ce_id").expect("an id").1,
        )
        .into_owned()
    };
    // an id ends with a number, which nobody writes with a nought before it
    let place = of(second);
    let (place, _) = place.rsplit_once('-').expect("an id has parts");
    let (known, invented) = (of(first), format!("{place}-7777"));
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", shop.brokers()).create().expect("a producer");
    for id in [&known, &invented] {
        let headers = rdkafka::message::OwnedHeaders::new()
            .insert(rdkafka::message::Header { key: "ce_id", value: Some(id) });
        let record = BaseRecord::to("scores.fraud").key("k").payload("{}").headers(headers);
        producer.send(record).map_err(|(fault, _)| fault).expect("room in the queue");
    }
    producer.flush(Duration::from_secs(20)).expect("the broker takes it");
    let (code, _, told) = shop.try_to_run(&["verify"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("2 wrong"), "{told}");
    assert!(told.contains(&format!("differs: scores.fraud {known}")), "{told}");
    assert!(
        told.contains(&format!("published, and the log does not give it: scores.fraud {invented}")),
        "{told}"
    );
}

/// Other views, of which the only one counts a card's payments of seven days, and a rule that reads it. The environment
/// that makes them the configuration.
fn other_views(shop: &Shop) -> Vec<(&'static str, String)> {
    let views =
        "views: [{name: v, entity: card, source: payment_attempted, windows: [7d], features: [count]}]";
    let rules = "version: 7\nthresholds: {review: 0.4, step_up: 0.5, decline: 0.6}\nrules: [{id: again, state: live, \
                 when: v__count_7d >= 2.0, code: AGAIN, weight: 0.5}]";
    let write = |name: &str, text: &str| {
        let path = shop.folder.path().join(name);
        std::fs::write(&path, text).expect("a writable folder");
        path.to_str().expect("UTF-8").to_owned()
    };
    vec![
        ("TILLSTREAM__FEATURES", write("views.yaml", views)),
        ("TILLSTREAM__RULES", write("rules.yaml", rules)),
    ]
}

/// `config check --against-state` says so before it happens.
fn what_becomes_of_the_state(shop: &Shop) {
    let told = shop.run(&["config", "check", "--against-state"]);
    assert_eq!(told.matches(" kept ").count(), TASKS, "the same configuration: {told}");
    let (code, told, errors) =
        shop.try_to_run_with(&["config", "check", "--against-state"], &other_views(shop));
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(told.matches(" rebuilt ").count(), 4, "other views: {told}");
}

/// Under other views the state is made again from the whole log: what was counted before they came is in them.
fn views_that_came_later_count_what_was_there(shop: &mut Shop) {
    shop.environment = other_views(shop);
    let mut third = shop.instance();
    pay_once(shop, "second", SystemClock.now().0);
    third.wait_until("done with it", |instance| {
        instance.metric("tillstream_decisions_total", &[]) > 0.0
            && instance.metric("tillstream_open_gathers", &[]) == 0.0
    });
    assert!(third.stop().success(), "a clean stop ends with 0");
    let of = tillstream::event::DecisionId::of_payment("second").to_string();
    let scores = public(shop, Topic::ScoresFraud, &mut 0);
    let score = &scores.iter().find(|score| score.key == of).expect("it was scored").value;
    assert_eq!((&score["rules_version"], &score["score"]), (&Value::from(7), &Value::from(0.5)), "{score}");
}

/// A stop under load leaves nothing uncommitted, so that another configuration can go on from there.
#[test]
fn a_changed_configuration_goes_on_after_a_stop_under_load() {
    let _alone = alone();
    let events = 20_000;
    let mut shop = Shop::open(PARTITIONS);
    let first = shop.instance();
    // as old as the first of what is generated
    pay_once(&shop, "first", SystemClock.now().0 - 86_400_000);
    let second = std::thread::scope(|scope| {
        let feed = scope.spawn(|| {
            shop.run(&["generate", "--events", &events.to_string(), "--kafka", "--per-second", "2000"])
        });
        let mut first = first;
        first.wait_until("at work", |instance| instance.metric("tillstream_copies_total", &[]) > 3_000.0);
        assert!(first.stop().success(), "a clean stop ends with 0");
        what_becomes_of_the_state(&shop);
        shop.configure("sessions: { gap: 20m }");
        let told = shop.run(&["config", "check", "--against-state"]);
        assert_eq!(told.matches(" kept ").count(), TASKS, "a gap applies from here on: {told}");
        let second = shop.instance();
        feed.join().expect("generated");
        second
    });
    let mut instances = [second];
    wait_until_drained(&mut instances, events as f64);
    let [second] = instances;
    assert!(second.stop().success(), "a clean stop ends with 0");
    let payments: BTreeSet<String> = read(&shop, Topic::Payments)
        .iter()
        .filter_map(|fetched| serde_json::from_slice::<Value>(fetched.record.value.as_deref()?).ok())
        .filter(|event| event["event_name"] == "payment_attempted" && event["card_token"].is_string())
        .filter(|event| event["event_id"].is_string() && event["event_time_ms"].is_i64())
        .filter_map(|event| {
            Some(tillstream::event::DecisionId::of_payment(event["payment_id"].as_str()?).to_string())
        })
        .collect();
    let mut doubles = 0;
    let scored: BTreeSet<String> =
        public(&shop, Topic::ScoresFraud, &mut doubles).into_iter().map(|score| score.key).collect();
    assert_eq!((scored, doubles), (payments, 0));
    // what the configuration before has made is not judged by this one
    let (code, _, told) = shop.try_to_run(&["verify", "--from-checkpoint"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("another version or configuration"), "{told}");
    views_that_came_later_count_what_was_there(&mut shop);
}
