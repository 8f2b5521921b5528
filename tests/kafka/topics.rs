//! Topics that change under an instance's feet: deleted and made again, cut by retention, quiet behind an aborted
//! transaction.

use crate::judge::{PARTITIONS, alone, client, internal_log, read, yesterday_at_ten};
use crate::oracle::Settings;
use crate::support::{Instance, Shop};
use crate::{judge, oracle};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tillstream::event::EntityKind;
use tillstream::log::Topic;
use tillstream::log::kafka::Admin;

/// Clicks that are produced at a time, one of each second.
const SECONDS: i64 = 500;

/// A click each second, of as many visitors.
fn produce_clicks(shop: &Shop, name: &str, from_second: i64, seconds: i64) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", shop.brokers()).create().expect("a producer");
    for number in 0..seconds {
        let time_ms = yesterday_at_ten() + (from_second + number) * 1_000;
        let value = format!(
            "{{\"event_id\":\"{name}-{number}\",\"event_name\":\"page_view\",\"event_time_ms\":{time_ms},\"visitor_id\":\"{name}-{number}\"}}"
        );
        let key = format!("{name}-{number}");
        let record = BaseRecord::to("clickstream").key(&key).payload(&value).timestamp(time_ms);
        producer.send(record).map_err(|(fault, _)| fault).expect("room in the queue");
    }
    producer.flush(Duration::from_secs(20)).expect("the broker takes it");
}

/// Leaves nothing but a mark in the payments that they were given up.
fn abort_payments(shop: &Shop) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", shop.brokers())
        .set("transactional.id", "upstream")
        .create()
        .expect("a producer");
    producer.init_transactions(Duration::from_secs(20)).expect("the broker answers");
    producer.begin_transaction().expect("a transaction");
    for number in 0..20 {
        let key = format!("c{number}");
        let record = BaseRecord::to("payments").key(&key).payload("{}");
        producer.send(record).map_err(|(fault, _)| fault).expect("room in the queue");
    }
    producer.flush(Duration::from_secs(20)).expect("the broker takes it");
    producer.abort_transaction(Duration::from_secs(20)).expect("it is given up");
}

/// Waits until every keyed task has seen all that was produced up to that second, and time has passed it.
fn wait_until_past(instance: &mut Instance, second: i64) {
    let seconds = (yesterday_at_ten() / 1_000 + second) as f64;
    instance.wait_until("past the last event", |instance| {
        let page = instance.get("/metrics").1;
        let watermarks: Vec<f64> = page
            .lines()
            .filter(|line| {
                line.starts_with("tillstream_watermark_timestamp_seconds{") && line.contains("keyed")
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        watermarks.len() == PARTITIONS as usize && watermarks.iter().all(|watermark| *watermark >= seconds)
    });
}

fn id_of(shop: &Shop, topic: Topic) -> u128 {
    let admin = Admin::new(&client(shop)).expect("good settings");
    admin.topic_sizes(&[topic.name()]).expect("the broker answers")[topic.name()].id
}

/// A topic that was deleted and made again under an instance, with fewer partitions and more records: the instance ends, and
/// the next start reads the new one from its beginning, whatever was committed meanwhile; and time goes on, although the old
/// partitions, which were not idle, promise nothing any more. That the payments are nothing but an aborted transaction holds
/// nothing back.
#[test]
fn a_topic_deleted_and_made_again_is_read_from_its_beginning_and_time_goes_on() {
    let _alone = alone();
    let mut shop = Shop::open(PARTITIONS);
    shop.configure("checkpoints: { interval: 1s }");
    abort_payments(&shop);
    produce_clicks(&shop, "old", 0, SECONDS);
    shop.environment.push(("TILLSTREAM__INGEST__IDLE_TIMEOUT", "1h".to_owned()));
    let mut instance = shop.instance_in("a");
    let copies = |instance: &Instance| instance.metric("tillstream_copies_total", &["visitor"]);
    instance.wait_until("done with the old ones", |instance| copies(instance) >= SECONDS as f64);
    let before = id_of(&shop, Topic::Clickstream);
    shop.kafka(&["topics", "--delete", "--topic", "clickstream"]);
    shop.kafka(&[
        "topics",
        "--create",
        "--topic",
        "clickstream",
        "--partitions",
        "2",
        "--replication-factor",
        "1",
    ]);
    produce_clicks(&shop, "new", SECONDS, 4 * SECONDS);
    assert_ne!(id_of(&shop, Topic::Clickstream), before, "the same name, and another topic");
    assert!(instance.ends_within(Duration::from_secs(60)), "it goes on with another topic");
    shop.environment[0].1 = "1s".to_owned();
    let mut instance = shop.instance_in("a");
    wait_until_past(&mut instance, 5 * SECONDS - 1);
    assert!(instance.stop().success(), "a clean stop ends with 0");

    let entity = internal_log(&shop, "keyed", Topic::Entity);
    let outcome = oracle::entity_log::outcome(&entity, &Settings::settled(), &oracle::views::defaults());
    let visitors = outcome.ledger[&EntityKind::Visitor];
    // what the first instance may have read of the new topic before it noticed comes again, and is known by its id
    assert_eq!(visitors.copies - visitors.duplicate, 5 * SECONDS as u64, "each click once");
    let mut doubles = 0;
    let sessions = judge::public(&shop, Topic::Sessions, &mut doubles);
    let expected: Vec<_> =
        outcome.public.iter().filter(|record| record.topic == "sessions").cloned().collect();
    oracle::compare::multiset(&expected, &sessions).unwrap_or_else(|wrong| panic!("sessions: {wrong}"));
    shop.run(&["verify"]);
}

/// Deletes the records of a topic below its end, as retention does.
fn cut(shop: &Shop, topic: Topic) -> Vec<i64> {
    let ends: Vec<i64> = (0..PARTITIONS)
        .map(|number| {
            let of = |fetched: &&tillstream::log::Fetched| fetched.partition.partition == number;
            read(shop, topic).iter().filter(of).map(|fetched| fetched.offset + 1).max().unwrap_or(0)
        })
        .collect();
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", shop.brokers()).create().expect("a client");
    let mut below = TopicPartitionList::new();
    for (number, end) in (0..).zip(&ends) {
        below.add_partition_offset(topic.name(), number, Offset::Offset(*end)).expect("an offset");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let deleted = runtime.block_on(admin.delete_records(&below, &AdminOptions::new()));
    deleted.expect("the broker answers");
    ends
}

/// A shop whose instance has folded some clicks and was stopped.
fn shop_with_a_past() -> Shop {
    let shop = Shop::open(PARTITIONS);
    shop.configure("checkpoints: { interval: 1s }\ningest: { idle_timeout: 1s }");
    produce_clicks(&shop, "a", 0, SECONDS);
    let mut instance = shop.instance_in("a");
    wait_until_past(&mut instance, SECONDS - 1);
    assert!(instance.stop().success(), "a clean stop ends with 0");
    shop
}

/// What retention has cut and nobody has folded: the start names both offsets and the way out, and takes it when told to; an
/// instance that stood still while the input was cut does not jump over it in silence.
#[test]
fn records_that_retention_has_cut_are_named_and_passed_over_only_when_told_to() {
    let _alone = alone();
    let shop = shop_with_a_past();

    // neither log nor checkpoints
    let ends = cut(&shop, Topic::Entity);
    std::fs::remove_dir_all(shop.folder.path().join("tillstream-checkpoints")).expect("they were there");
    let (code, told) = shop.refused_in("a");
    assert_eq!(code, Some(1), "{told}");
    let number = (0..).zip(&ends).find(|(number, _)| told.contains(&format!("tillstream.entity/{number}")));
    let (_, end) = number.unwrap_or_else(|| panic!("which partition? {told}"));
    assert!(told.contains(&end.to_string()) && told.contains("--start-anew"), "{told}");
    let anew: Vec<String> = (0..)
        .zip(&ends)
        .map(|(number, end)| format!("--start-anew=tillstream.entity/{number}@{end}"))
        .collect();
    let mut instance = shop.instance_with("a", &anew.iter().map(String::as_str).collect::<Vec<_>>());
    produce_clicks(&shop, "b", SECONDS, SECONDS);
    wait_until_past(&mut instance, 2 * SECONDS - 1);
    let running = judge::public(&shop, Topic::FeaturesSession, &mut 0);
    let visitors: BTreeSet<&str> =
        running.iter().map(|record| record.key.as_str()).filter(|key| key.starts_with("b-")).collect();
    assert_eq!(visitors.len(), SECONDS as usize, "whoever came behind the cut has a session");

    // the input is cut before a stopped instance comes to read it
    instance.signal("STOP");
    produce_clicks(&shop, "c", 2 * SECONDS, SECONDS);
    let cut_at = cut(&shop, Topic::Clickstream);
    instance.signal("CONT");
    assert!(instance.ends_within(Duration::from_secs(60)), "it jumps over what it has not read");
    let (code, told) = shop.refused_in("a");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("clickstream/"), "{told}");
    println!("{told}");

    // and goes on behind it when told to: those behind ingest wait for nothing of what is lost
    let anew: Vec<String> =
        (0..).zip(&cut_at).map(|(number, end)| format!("--start-anew=clickstream/{number}@{end}")).collect();
    let mut instance = shop.instance_with("a", &anew.iter().map(String::as_str).collect::<Vec<_>>());
    produce_clicks(&shop, "d", 3 * SECONDS, SECONDS);
    wait_until_past(&mut instance, 4 * SECONDS - 1);
    assert_eq!(instance.metric("tillstream_refused_frames_total", &[]), 0.0);
    assert!(instance.stop().success(), "a clean stop ends with 0");
}

/// Deletes an internal log and makes it again.
fn make_again(shop: &Shop, log: Topic) {
    shop.kafka(&["topics", "--delete", "--topic", log.name()]);
    shop.run(&["topics", "apply", "--replication", "1", "--partitions", &PARTITIONS.to_string()]);
}

/// Deletes the consumer groups, as soon as they have given up the members that may come back.
fn delete_groups(shop: &Shop) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", shop.brokers()).create().expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let begun = Instant::now();
    for group in ["tillstream-ingest", "tillstream-keyed", "tillstream-decide", "tillstream-monitor"] {
        loop {
            let deleted = runtime.block_on(admin.delete_groups(&[group], &AdminOptions::new()));
            if deleted.expect("the broker answers").iter().all(Result::is_ok) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{group} keeps its members");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// A start, and whoever asks what it would do, say that `log` was made again.
fn is_refused_for(shop: &Shop, log: Topic) {
    let named = format!("{log} was made again");
    let (code, told) = shop.refused_in("a");
    assert!(code == Some(1) && told.contains(&named), "{told}");
    for command in [&["verify"][..], &["config", "check", "--against-state"]] {
        let (code, _, told) = shop.try_to_run(command);
        assert!(code == Some(1) && told.contains(&named), "{command:?}: {told}");
    }
}

/// An internal log that was made again has lost what was in it, and its groups' offsets with it: a start says so, instead of
/// refusing every frame for ever; and what the raw topics still hold is all folded again by one that was told to.
#[test]
fn an_internal_log_that_was_made_again_is_made_from_the_raw_topics_once_the_groups_are_deleted() {
    let _alone = alone();
    let shop = shop_with_a_past();
    // by hand it gets the broker's defaults, which are too small for frames
    let log = ["--topic", Topic::Entity.name()];
    shop.kafka(&["topics", "--delete", log[0], log[1]]);
    shop.kafka(&["topics", "--create", log[0], log[1], "--partitions", "4", "--replication-factor", "1"]);
    let (code, told) = shop.refused_in("a");
    assert!(code == Some(1) && told.contains("tillstream.entity (max.message.bytes is "), "{told}");
    make_again(&shop, Topic::Entity);
    is_refused_for(&shop, Topic::Entity);
    delete_groups(&shop);
    let mut instance = shop.instance_in("a");
    produce_clicks(&shop, "b", SECONDS, SECONDS);
    wait_until_past(&mut instance, 2 * SECONDS - 1);
    assert!(instance.stop().success(), "a clean stop ends with 0");
    let entity = internal_log(&shop, "keyed", Topic::Entity);
    let outcome = oracle::entity_log::outcome(&entity, &Settings::settled(), &oracle::views::defaults());
    assert_eq!(outcome.refused_frames, 0);
    assert_eq!(outcome.ledger[&EntityKind::Visitor].applied, 2 * SECONDS as u64, "each click once");
    shop.run(&["verify"]);
}

/// The decision log was made again, and the log before it no longer has its beginning: what is lost is passed over by both
/// where they are told to, and what comes behind it is scored.
#[test]
fn a_decision_log_that_was_made_again_behind_a_log_that_was_cut_goes_on_where_both_are_told_to_begin() {
    let _alone = alone();
    let shop = shop_with_a_past();
    let ends = cut(&shop, Topic::Entity);
    make_again(&shop, Topic::Decision);
    is_refused_for(&shop, Topic::Decision);
    delete_groups(&shop);
    let (code, told) = shop.refused_in("a");
    assert!(code == Some(1) && told.contains("--start-anew tillstream.entity/"), "{told}");
    let entity =
        (0..).zip(&ends).map(|(number, end)| format!("--start-anew=tillstream.entity/{number}@{end}"));
    let decision = (0..PARTITIONS).map(|number| format!("--start-anew=tillstream.decision/{number}@0"));
    let anew: Vec<String> = entity.chain(decision).collect();
    let mut instance = shop.instance_with("a", &anew.iter().map(String::as_str).collect::<Vec<_>>());
    judge::pay_once(&shop, "p", yesterday_at_ten() + SECONDS * 1_000);
    produce_clicks(&shop, "b", SECONDS, SECONDS);
    wait_until_past(&mut instance, 2 * SECONDS - 1);
    let scored = |instance: &Instance| instance.metric("tillstream_decisions_total", &[]) >= 1.0;
    instance.wait_until("scored", scored);
    let scores = judge::public(&shop, Topic::ScoresFraud, &mut 0);
    assert_eq!(scores.len(), 1);
    let missing = &scores[0].value["missing_parts"];
    assert!(missing.as_array().is_none_or(Vec::is_empty), "its parts came: {}", scores[0].value);
}
