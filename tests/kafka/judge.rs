//! What an instance on a broker has published, judged by the oracle.
#![allow(dead_code, reason = "each test that includes this uses a part of it")]

use crate::oracle;
use crate::oracle::entity_log::Ledger;
use crate::oracle::raw::{Judgement, RawRecord};
use crate::oracle::{Log, Public, Settings};
use crate::support::{Instance, Shop};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tillstream::event::EntityKind;
use tillstream::generate::GenerateSettings;
use tillstream::ingest::pseudonym::{PseudonymKey, Pseudonyms};
use tillstream::log::kafka::{ClientSettings, PartitionReader, TopicIds};
use tillstream::log::partitioner::partition_of_key;
use tillstream::log::{Fetched, Topic};
use tillstream::time::EventTime;

pub const PARTITIONS: u32 = 4;

/// One broker at a time: several on a small machine starve each other into session time-outs.
static ONE_BROKER: std::sync::Mutex<()> = std::sync::Mutex::new(());

pub fn alone() -> std::sync::MutexGuard<'static, ()> {
    ONE_BROKER.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub fn client(shop: &Shop) -> ClientSettings {
    let (application, client) = ("test".to_owned(), BTreeMap::new());
    ClientSettings {
        brokers: shop.brokers(),
        application,
        slot: None,
        member: None,
        topic_ids: TopicIds::default(),
        client,
    }
}

/// Every record of a topic that a reader of committed records sees.
pub fn read(shop: &Shop, topic: Topic) -> Vec<Fetched> {
    let mut reader = PartitionReader::new(&client(shop), topic, None, None).expect("the topic is there");
    std::iter::from_fn(|| reader.next_record().expect("the broker answers")).collect()
}

/// The next offsets that a stage's group has committed.
pub fn committed(shop: &Shop, role: &str, topic: Topic) -> BTreeMap<u32, i64> {
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
pub fn internal_log(shop: &Shop, role: &str, topic: Topic) -> Log {
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
pub fn public(shop: &Shop, topic: Topic, doubles: &mut usize) -> Vec<Public> {
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
            let key = fetched.record.key.as_deref().unwrap_or_default();
            let partition = partition_of_key(key, PARTITIONS);
            assert_eq!(fetched.partition.partition, partition, "{topic}: where a Java client looks for {id}");
            let key = String::from_utf8_lossy(key).into_owned();
            let value =
                serde_json::from_slice(fetched.record.value.as_deref().unwrap_or_default()).expect("JSON");
            Some(Public { topic: topic.name().to_owned(), key, value })
        })
        .collect()
}

/// Yesterday, 10:00 UTC: recent enough for a topic's retention, at the same hour in every run.
pub fn yesterday_at_ten() -> i64 {
    const DAY_MS: i64 = 86_400_000;
    let today = tillstream::time::Clock::now(&tillstream::time::SystemClock).0 / DAY_MS * DAY_MS;
    today - DAY_MS + 10 * 3_600_000
}

/// A producer upstream writes in transactions, one of which it aborts.
pub fn produce_in_transactions(shop: &Shop) {
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

/// Waits until the instances have folded everything: no partition moves but by heartbeats.
pub fn wait_until_drained(instances: &mut [Instance], events: f64) {
    // what generates plays the catalogue first; what keyed writes back to ingest is none of it
    let events = events + GenerateSettings::default().items as f64;
    let fed = Topic::RAW.into_iter().filter(|topic| *topic != Topic::Linked);
    let fed: Vec<String> = fed.map(|topic| format!("topic=\"{}\"", topic.name())).collect();
    let folded = |instances: &[Instance]| -> f64 {
        let of = |instance: &Instance| -> f64 {
            fed.iter().map(|topic| instance.metric("tillstream_next_offset", &[topic])).sum()
        };
        instances.iter().map(of).sum()
    };
    let copies = |instances: &[Instance], name: &str| -> f64 {
        instances.iter().map(|instance| instance.metric(name, &[])).sum()
    };
    let begun = std::time::Instant::now();
    let ready = |instances: &[Instance]| instances.iter().all(|instance| instance.get("/readyz").0 == 200);
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
        let is_calm = folded(instances) >= events && now == before && now.0 > 0.0 && ready(instances);
        calm = if is_calm { calm + 1 } else { 0 };
        before = now;
    }
}

/// As [`compare_where_appends_failed`], where none did: then no frame is refused.
pub fn compare(shop: &Shop, sessions_min: u64) -> usize {
    let (doubles, refused) = compare_where_appends_failed(shop, sessions_min);
    assert_eq!(refused, (0, 0), "refused frames of the entity and the decision log");
    doubles
}

/// Returns how many public records were published twice, and how many frames of the two internal logs were refused: those
/// behind one that failed.
pub fn compare_where_appends_failed(shop: &Shop, sessions_min: u64) -> (usize, (u64, u64)) {
    let mut doubles = 0;
    let settings = Settings::settled();
    let views = oracle::views::defaults();
    let entity = oracle::entity_log::outcome(&internal_log(shop, "keyed", Topic::Entity), &settings, &views);
    let decision = oracle::decision_log::outcome(
        &internal_log(shop, "decide", Topic::Decision),
        &settings,
        &oracle::views::defaults(),
    );
    assert!(entity.turned > 0, "no key was large enough for buckets");

    // what depends on the order of arrival: the internal log decides
    for topic in [Topic::Sessions, Topic::FeaturesSession, Topic::FeaturesFraud, Topic::Late] {
        let expected = oracle::of_topic(&entity.public, topic.name());
        let actual = public(shop, topic, &mut doubles);
        println!("{topic}: {} records", actual.len());
        oracle::compare::multiset(&expected, &actual).unwrap_or_else(|wrong| panic!("{topic}: {wrong}"));
    }
    oracle::compare::parts(&entity.parts, &decision.parts, PARTITIONS)
        .unwrap_or_else(|wrong| panic!("parts: {wrong}"));
    oracle::compare::labels(&entity.labels, &decision.labels)
        .unwrap_or_else(|wrong| panic!("labels on their way to their decisions: {wrong}"));
    let decided = |topic: Topic| oracle::of_topic(&decision.public, topic.name());
    let scores = public(shop, Topic::ScoresFraud, &mut doubles);
    println!("scores.fraud: {} records, {} of them at their deadline", scores.len(), decision.deadlines);
    oracle::compare::multiset(&decided(Topic::ScoresFraud), &scores)
        .unwrap_or_else(|wrong| panic!("scores.fraud: {wrong}"));
    let labelled = public(shop, Topic::LabelledFraud, &mut doubles);
    println!("labelled.fraud: {} records of {} labels", labelled.len(), decision.labels.len());
    oracle::compare::multiset(&decided(Topic::LabelledFraud), &labelled)
        .unwrap_or_else(|wrong| panic!("labelled.fraud: {wrong}"));
    let monitor = oracle::monitor_log::outcome(&internal_log(shop, "monitor", Topic::Monitor), &settings);
    let quality = public(shop, Topic::QualityFraud, &mut doubles);
    let (judged, waiting) = (monitor.judged, monitor.waiting);
    println!("quality.fraud: {} records about {judged} scores, {waiting} wait", quality.len());
    oracle::compare::multiset(&monitor.public, &quality)
        .unwrap_or_else(|wrong| panic!("quality.fraud: {wrong}"));
    assert_eq!(judged + waiting, labelled.len() as u64, "each labelled score is judged once, or waits");
    assert!(decided(Topic::DeadLetter).is_empty(), "each generated payment has at most one label");
    assert_eq!(decision.open, 0, "every gather closed");

    let sessions = compare_with_raw_input(shop, &settings, &entity, &scores);
    assert!(sessions >= sessions_min, "only {sessions} sessions were compared");
    (doubles, (entity.refused_frames, decision.refused_frames))
}

/// What does not depend on the order of arrival: the raw input decides.
pub fn compare_with_raw_input(
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

pub fn raw_record(fetched: Fetched) -> RawRecord {
    RawRecord {
        topic: fetched.partition.topic.name().to_owned(),
        partition: fetched.partition.partition,
        offset: fetched.offset,
        timestamp_ms: fetched.record.timestamp_ms,
        key: fetched.record.key.clone(),
        value: fetched.record.value.clone(),
    }
}

/// A shop most of whose topics are exactly once.
pub fn shop() -> Shop {
    let shop = Shop::open(PARTITIONS);
    shop.configure(
        "exactly_once: [sessions, features.fraud, late, dead-letter]\ncheckpoints: { interval: 1s }",
    );
    produce_in_transactions(&shop);
    shop
}

/// Generates that many records of a day ago into the raw topics, so many in a second.
pub fn feed(shop: &Shop, events: u64, per_second: u64) {
    let start = jiff::Timestamp::from_millisecond(yesterday_at_ten()).expect("a time").to_string();
    let (events, per_second) = (events.to_string(), per_second.to_string());
    shop.run(&["generate", "--start", &start, "--events", &events, "--kafka", "--per-second", &per_second]);
}

/// The payment `name` of one card at that time.
pub fn pay_once(shop: &Shop, name: &str, time_ms: i64) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", shop.brokers()).create().expect("a producer");
    let payment = format!(
        "{{\"event_id\":\"{name}\",\"event_name\":\"payment_attempted\",\"event_time_ms\":{time_ms},\"payment_id\":\"{name}\",\
         \"card_token\":\"one\",\"amount_minor\":100,\"currency\":\"EUR\",\"device_id\":\"one\"}}"
    );
    let record = BaseRecord::to("payments").key("one").payload(&payment).timestamp(time_ms);
    producer.send(record).map_err(|(fault, _)| fault).expect("room in the queue");
    producer.flush(Duration::from_secs(20)).expect("the broker takes it");
}

/// Feeds `events` while `work` goes on, then lets `instances` of its result finish, and judges.
pub fn under_load(shop: &Shop, events: u64, work: impl FnOnce() -> Vec<Instance>) {
    let refused = under_load_that_may_fail(shop, events, work);
    assert_eq!(refused, (0, 0), "no append failed, so no frame is refused");
}

/// Returns how many frames of the two internal logs were refused.
pub fn under_load_that_may_fail(
    shop: &Shop,
    events: u64,
    work: impl FnOnce() -> Vec<Instance>,
) -> (u64, u64) {
    let mut instances = std::thread::scope(|scope| {
        let feed = scope.spawn(|| feed(shop, events, 2_000));
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
