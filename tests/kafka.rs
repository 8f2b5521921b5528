//! The whole product on a real Apache Kafka: 300,000 generated events, two instances in one group, one
//! of which leaves and comes back, and every public topic read back and compared with an oracle.
//!
//! What does not depend on arrival order is compared with an oracle over the raw input; what does, with
//! an independent fold of the internal logs as read back.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    unreachable_pub,
    clippy::let_underscore_must_use,
    reason = "a test: what is wrong may panic, and what was compared is printed"
)]

mod oracle;
mod support;

use oracle::entity_log::Ledger;
use oracle::raw::{Judgement, RawRecord};
use oracle::{Log, Public, Settings};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use support::{Instance, ObjectStore, Shop};
use tillstream::event::EntityKind;
use tillstream::generate::random::Random;
use tillstream::ingest::pseudonym::{PseudonymKey, Pseudonyms};
use tillstream::log::kafka::{ClientSettings, PartitionReader};
use tillstream::log::{Fetched, Topic};
use tillstream::time::EventTime;

const PARTITIONS: u32 = 4;

fn events() -> u64 {
    std::env::var("TILLSTREAM_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(300_000)
}

/// One broker at a time: several on a small machine starve each other into session time-outs.
static ONE_BROKER: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ONE_BROKER.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn client(shop: &Shop) -> ClientSettings {
    let (application, client) = ("test".to_owned(), BTreeMap::new());
    ClientSettings { brokers: shop.brokers(), application, slot: None, client }
}

/// Every record of a topic that a reader of committed records sees.
fn read(shop: &Shop, topic: Topic) -> Vec<Fetched> {
    let mut reader = PartitionReader::new(&client(shop), topic, None, None).expect("the topic is there");
    std::iter::from_fn(|| reader.next_record().expect("the broker answers")).collect()
}

/// The next offsets that a stage's group has committed.
fn committed(shop: &Shop, role: &str, topic: Topic) -> BTreeMap<u32, i64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", shop.brokers())
        .set("group.id", format!("tillstream-{role}"))
        .create()
        .expect("a consumer");
    let mut list = rdkafka::TopicPartitionList::new();
    for partition in 0..i32::try_from(PARTITIONS).expect("few") {
        list.add_partition(topic.name(), partition);
    }
    let committed = consumer.committed_offsets(list, Duration::from_secs(10)).expect("the broker answers");
    let number = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let partition = u32::try_from(element.partition()).expect("a partition");
        (partition, element.offset().to_raw().filter(|offset| *offset >= 0).unwrap_or(0))
    };
    committed.elements().iter().map(number).collect()
}

/// An internal log, as far as its stage has committed it.
fn internal_log(shop: &Shop, role: &str, topic: Topic) -> Log {
    let committed = committed(shop, role, topic);
    let mut log = Log::new();
    for fetched in read(shop, topic) {
        let partition = fetched.partition.partition;
        if fetched.offset < committed[&partition] {
            log.entry(partition)
                .or_default()
                .push((fetched.offset, fetched.record.value.clone().unwrap_or_default()));
        }
    }
    log
}

/// The records of a public topic. What was published twice has the same id and the same bytes.
fn public(shop: &Shop, topic: Topic, doubles: &mut usize) -> Vec<Public> {
    let mut ids = BTreeMap::new();
    read(shop, topic)
        .into_iter()
        .filter_map(|fetched| {
            let headers: BTreeMap<String, Vec<u8>> =
                fetched.record.headers.spelled_out("").into_iter().collect();
            let id = String::from_utf8_lossy(&headers["ce_id"]).into_owned();
            if let Some(before) = ids.insert(id.clone(), fetched.record.value.clone()) {
                assert_eq!(
                    before, fetched.record.value,
                    "{topic}: {id} was published again with other bytes"
                );
                *doubles += 1;
                return None;
            }
            let key = String::from_utf8_lossy(fetched.record.key.as_deref().unwrap_or_default()).into_owned();
            let value =
                serde_json::from_slice(fetched.record.value.as_deref().unwrap_or_default()).expect("JSON");
            Some(Public { topic: topic.name().to_owned(), key, value })
        })
        .collect()
}

/// Yesterday, 10:00 UTC: recent enough for a topic's retention, at the same hour in every run.
fn yesterday_at_ten() -> i64 {
    const DAY_MS: i64 = 86_400_000;
    let today = tillstream::time::Clock::now(&tillstream::time::SystemClock).0 / DAY_MS * DAY_MS;
    today - DAY_MS + 10 * 3_600_000
}

/// A producer upstream writes in transactions, one of which it aborts.
fn produce_in_transactions(shop: &Shop) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", shop.brokers())
        .set("transactional.id", "upstream")
        .create()
        .expect("a producer");
    let time_ms = yesterday_at_ten();
    producer.init_transactions(Duration::from_secs(20)).expect("the broker answers");
    for (name, commits) in [("committed", true), ("aborted", false)] {
        producer.begin_transaction().expect("a transaction");
        for number in 0..20 {
            let value = format!(
                "{{\"event_id\":\"{name}-{number}\",\"event_name\":\"page_view\",\"event_time_ms\":{time_ms},\"visitor_id\":\"{name}\"}}"
            );
            let record = BaseRecord::to("clickstream").key(name).payload(&value).timestamp(time_ms);
            producer.send(record).map_err(|(fault, _)| fault).expect("room in the queue");
        }
        // a store that is busy enough for buckets
        for number in 0..300 {
            let value = format!(
                "{{\"event_id\":\"{name}-p{number}\",\"event_name\":\"payment_attempted\",\"event_time_ms\":{},\"payment_id\":\"{name}-{number}\",\
                 \"card_token\":\"{name}-{}\",\"amount_minor\":{number},\"currency\":\"EUR\",\"store_id\":\"{name}\"}}",
                time_ms + number * 1_000,
                number % 70
            );
            let record =
                BaseRecord::to("payments").key(name).payload(&value).timestamp(time_ms + number * 1_000);
            producer.send(record).map_err(|(fault, _)| fault).expect("room in the queue");
        }
        let ended = if commits {
            producer.commit_transaction(Duration::from_secs(20))
        } else {
            producer
                .flush(Duration::from_secs(20))
                .and_then(|()| producer.abort_transaction(Duration::from_secs(20)))
        };
        ended.expect("the transaction ends");
    }
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

/// Waits until the instances have folded everything: no partition moves but by heartbeats.
fn wait_until_drained(instances: &mut [Instance], events: f64) {
    let folded = |instances: &[Instance]| -> f64 {
        instances
            .iter()
            .map(|instance| {
                instance.metric("tillstream_next_offset", &["topic=\"clickstream\""])
                    + instance.metric("tillstream_next_offset", &["topic=\"payments\""])
            })
            .sum()
    };
    let copies = |instances: &[Instance], name: &str| -> f64 {
        instances.iter().map(|instance| instance.metric(name, &[])).sum()
    };
    let begun = std::time::Instant::now();
    let mut calm = 0;
    let mut before = (0.0, 0.0);
    while calm < 10 {
        assert!(
            begun.elapsed() < Duration::from_secs(180),
            "not drained after three minutes: {} of {events} records, {before:?}",
            folded(instances)
        );
        std::thread::sleep(Duration::from_millis(500));
        let now =
            (copies(instances, "tillstream_copies_total"), copies(instances, "tillstream_decisions_total"));
        calm = if folded(instances) >= events && now == before && now.0 > 0.0 { calm + 1 } else { 0 };
        before = now;
    }
}

#[test]
fn two_instances_on_kafka_publish_what_the_oracle_says() {
    let _alone = alone();
    let events = events();
    let shop = Shop::open(PARTITIONS);
    produce_in_transactions(&shop);
    produce_a_giant(&shop);
    let stays = shop.instance();
    let leaves = shop.instance();
    let rate = events / 20;
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

/// Returns how many public records were published twice.
fn compare(shop: &Shop, sessions_min: u64) -> usize {
    let mut doubles = 0;
    let settings = Settings::settled();
    let views = oracle::views::defaults();
    let entity = oracle::entity_log::outcome(&internal_log(shop, "keyed", Topic::Entity), &settings, &views);
    let decision = oracle::decision_log::outcome(&internal_log(shop, "decide", Topic::Decision), &settings);
    assert_eq!((entity.refused_frames, decision.refused_frames), (0, 0));
    assert!(entity.turned > 0, "no key was large enough for buckets");

    // what depends on the order of arrival: the internal log decides
    for topic in [Topic::Sessions, Topic::FeaturesSession, Topic::FeaturesFraud, Topic::Late] {
        let expected: Vec<Public> =
            entity.public.iter().filter(|record| record.topic == topic.name()).cloned().collect();
        let actual = public(shop, topic, &mut doubles);
        println!("{topic}: {} records", actual.len());
        oracle::compare::multiset(&expected, &actual).unwrap_or_else(|wrong| panic!("{topic}: {wrong}"));
    }
    oracle::compare::parts(&entity.parts, &decision.parts, PARTITIONS)
        .unwrap_or_else(|wrong| panic!("parts: {wrong}"));
    let scores = public(shop, Topic::ScoresFraud, &mut doubles);
    println!("scores.fraud: {} records, {} of them at their deadline", scores.len(), decision.deadlines);
    oracle::compare::multiset(&decision.public, &scores)
        .unwrap_or_else(|wrong| panic!("scores.fraud: {wrong}"));
    assert_eq!(decision.open, 0, "every gather closed");

    let sessions = compare_with_raw_input(shop, &settings, &entity, &scores);
    assert!(sessions >= sessions_min, "only {sessions} sessions were compared");
    doubles
}

/// What does not depend on the order of arrival: the raw input decides.
fn compare_with_raw_input(
    shop: &Shop,
    settings: &Settings,
    entity: &oracle::entity_log::Outcome,
    scores: &[Public],
) -> u64 {
    let raw: Vec<RawRecord> =
        Topic::RAW.into_iter().flat_map(|topic| read(shop, topic)).map(raw_record).collect();
    let mut counts = BTreeMap::<_, (usize, i64)>::new();
    for record in &raw {
        let entry = counts.entry((record.topic.clone(), record.partition)).or_default();
        *entry = (entry.0 + 1, entry.1.max(record.offset));
    }
    println!(
        "raw records and highest offset by partition: {counts:?}, committed {:?}",
        committed(shop, "ingest", Topic::Clickstream)
    );
    let secret =
        blake3::derive_key("tillstream 2026 pseudonyms of entities", b"a key for tests, not a secret");
    let pseudonyms = Pseudonyms::new(vec![PseudonymKey { id: "k1".to_owned(), since: EventTime(0), secret }]);
    let expected = oracle::raw::outcome(&raw, settings, &oracle::views::defaults(), |kind, id, time| {
        pseudonyms.of(kind, id, time)
    });

    // each record's disposition
    let mut letters = BTreeMap::<(String, i64, i64), (BTreeMap<String, String>, Option<Vec<u8>>)>::new();
    for letter in read(shop, Topic::DeadLetter) {
        let headers: BTreeMap<String, String> = letter
            .record
            .headers
            .spelled_out("")
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
            .collect();
        let number = |name: &str| headers[name].parse::<i64>().expect("a number");
        let origin = (
            headers["__streams.errors.topic"].clone(),
            number("__streams.errors.partition"),
            number("__streams.errors.offset"),
        );
        // published again after a kill, a dead letter is the same in every header and byte
        let content = (headers, letter.record.value.clone());
        if let Some(before) = letters.insert(origin, content.clone()) {
            assert_eq!(before, content, "a record has two different dead letters");
        }
    }
    let mut letters: BTreeMap<_, String> = letters
        .into_iter()
        .map(|(origin, (headers, _))| (origin, headers["tillstream-reason"].clone()))
        .collect();
    for judged in &expected.judged {
        let origin = (judged.topic.clone(), i64::from(judged.partition), judged.offset);
        match (&judged.judgement, letters.remove(&origin)) {
            (Judgement::Refused(reasons), Some(reason)) => {
                assert!(reasons.contains(reason.as_str()), "{origin:?}: {reason}, not {reasons:?}")
            }
            (Judgement::Refused(_), None) => panic!("{origin:?} has no dead letter"),
            (_, Some(reason)) => panic!("{origin:?} was refused as {reason}"),
            (_, None) => {}
        }
    }
    assert!(letters.is_empty(), "dead letters of nothing: {letters:?}");

    // every copy arrived and ended once
    for kind in EntityKind::ALL {
        let ledger = entity.ledger.get(&kind).copied().unwrap_or_default();
        let Ledger { copies, applied, late_applied, late, duplicate } = ledger;
        assert_eq!(copies, expected.copies.get(&kind).copied().unwrap_or(0), "{kind}");
        assert_eq!(copies, applied + late_applied + late + duplicate, "{kind}");
    }

    // one score per payment
    let payments: BTreeSet<String> =
        expected.attempts.iter().map(|attempt| attempt.payment_id.clone()).collect();
    let decisions: BTreeSet<&str> = scores.iter().map(|score| score.key.as_str()).collect();
    let wanted: BTreeSet<String> = payments
        .iter()
        .map(|payment| tillstream::event::DecisionId::of_payment(payment).to_string())
        .collect();
    assert_eq!(decisions.len(), scores.len(), "a payment was scored twice");
    assert_eq!(decisions, wanted.iter().map(String::as_str).collect());

    // final sessions of visitors without late records
    let mut sessions = 0_u64;
    for record in
        entity.public.iter().filter(|record| record.topic == "sessions" && record.value["is_final"] == true)
    {
        let plain = entity.visitors.get(&record.key).is_some_and(|visitor| visitor.is_plain());
        if !plain || expected.unclear.contains(&record.key) {
            continue;
        }
        let mut session: Value = record.value.clone();
        let fields = session.as_object_mut().expect("an object");
        fields.remove("revision");
        fields.remove("supersedes");
        let known = expected
            .sessions
            .get(&record.key)
            .is_some_and(|sessions| sessions.iter().any(|known| oracle::compare::same(known, &session)));
        assert!(known, "{session} is no session of the raw clicks");
        sessions += 1;
    }
    assert!(
        !raw.iter().any(|record| record.key.as_deref() == Some(b"aborted")),
        "an aborted record was read"
    );
    println!(
        "{} raw records, {} payments, {sessions} final sessions compared with the raw input",
        raw.len(),
        payments.len()
    );
    sessions
}

fn raw_record(fetched: Fetched) -> RawRecord {
    RawRecord {
        topic: fetched.partition.topic.name().to_owned(),
        partition: fetched.partition.partition,
        offset: fetched.offset,
        timestamp_ms: fetched.record.timestamp_ms,
        key: fetched.record.key.clone(),
        value: fetched.record.value.clone(),
    }
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
        let feed = scope.spawn(|| {
            let start = jiff::Timestamp::from_millisecond(yesterday_at_ten()).expect("a time").to_string();
            let (events, rate) = (events.to_string(), "3000");
            shop.run(&["generate", "--start", &start, "--events", &events, "--kafka", "--per-second", rate])
        });
        let folded = |instance: &Instance| instance.metric("tillstream_copies_total", &[]);
        let mut killed = killed;
        killed.wait_until("at work", |instance| folded(instance) > 5_000.0);
        drop(killed);
        let mut survivor = shop.instance();
        survivor.wait_until("at work again", |instance| folded(instance) > 10_000.0);
        shop.kafka(&["stop"]);
        survivor.wait_until("not ready", |instance| instance.get("/readyz").0 == 503);
        shop.kafka(&["start"]);
        survivor.wait_until("ready again", |instance| instance.get("/readyz").0 == 200);
        feed.join().expect("generated");
        survivor
    });
    let mut instances = [survivor];
    wait_until_drained(&mut instances, events as f64);
    let [survivor] = instances;
    assert!(survivor.stop().success(), "a clean stop ends with 0");
    let doubles = compare(&shop, 1);
    println!("{doubles} public records twice, each with the same id and the same bytes");
}

/// Two slots under load, one of them killed again and again and started anew at once: everything is there, and what was
/// published twice is recognised by its id. `TILLSTREAM_KILLS=50` for longer.
#[test]
fn an_instance_that_is_killed_again_and_again_loses_nothing() {
    let _alone = alone();
    kill_again_and_again(&Shop::open(PARTITIONS));
}

/// The same with every public topic exactly once: a reader of committed records sees each record once.
#[test]
fn an_instance_that_is_killed_again_and_again_publishes_exactly_once() {
    let _alone = alone();
    let shop = Shop::open(PARTITIONS);
    let topics = Topic::PUBLIC.map(Topic::name).join(", ");
    shop.configure(&format!("exactly_once: [{topics}]"));
    let doubles = kill_again_and_again(&shop);
    assert_eq!(doubles, 0, "records that a reader of committed records sees twice");
}

/// Returns how many public records were published twice.
fn kill_again_and_again(shop: &Shop) -> usize {
    let kills: u64 = std::env::var("TILLSTREAM_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let seed = std::env::var("TILLSTREAM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let events = 15_000 * kills.max(4);
    produce_in_transactions(shop);
    let mut random = Random::new(seed);
    let mut slots = ["a", "b"].map(|slot| shop.instance_in(slot));
    let mut back = Vec::new();
    std::thread::scope(|scope| {
        let feed = scope.spawn(|| {
            let start = jiff::Timestamp::from_millisecond(yesterday_at_ten()).expect("a time").to_string();
            let events = events.to_string();
            shop.run(&["generate", "--start", &start, "--events", &events, "--kafka", "--per-second", "3000"])
        });
        for _ in 0..kills {
            std::thread::sleep(Duration::from_millis(500 + random.below(3_000)));
            let place = usize::try_from(random.below(2)).expect("0 or 1");
            let slot = ["a", "b"][place];
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
    let doubles = compare(shop, 1);
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
    let mut instances = [shop.instance()];
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
    let back = shop.instance();
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
    compare(&shop, 1);
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
    let (known, invented) = (of(first), format!("{}77", of(second)));
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

/// A stop under load leaves nothing uncommitted, so that another configuration can go on from there.
#[test]
fn a_changed_configuration_goes_on_after_a_stop_under_load() {
    let _alone = alone();
    let events = 20_000;
    let shop = Shop::open(PARTITIONS);
    let first = shop.instance();
    let second = std::thread::scope(|scope| {
        let feed = scope.spawn(|| {
            shop.run(&["generate", "--events", &events.to_string(), "--kafka", "--per-second", "2000"])
        });
        let mut first = first;
        first.wait_until("at work", |instance| instance.metric("tillstream_copies_total", &[]) > 3_000.0);
        assert!(first.stop().success(), "a clean stop ends with 0");
        shop.configure("sessions: { gap: 20m }");
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
}
