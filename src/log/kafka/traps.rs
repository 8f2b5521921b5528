//! Traps of the client library that no broker can be made to spring at will, sprung by librdkafka's mock cluster: each
//! test falls in when the way round is taken out.

use super::client::{ClientSettings, Linger};
use super::committed::TopicIds;
use super::consumer::{GroupConsumer, GroupOffsets};
use super::producer::LogProducer;
use super::transactions::TransactionalProducer;
use crate::log::frame::Life;
use crate::log::{
    Acknowledgement, Append, CommitMode, Committed, Destination, Headers, LogError, PollWait, Polled, Start,
    Topic, TopicPartition,
};
use crate::time::Stopwatch;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::time::Duration;

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> (Cluster, ClientSettings) {
    let cluster = MockCluster::new(1).expect("librdkafka has a mock cluster");
    cluster.create_topic(Topic::Sessions.name(), 1, 1).expect("a topic");
    let settings = ClientSettings {
        brokers: cluster.bootstrap_servers(),
        application: "shop".to_owned(),
        slot: Some("a".to_owned()),
        member: None,
        topic_ids: TopicIds::default(),
        client: Default::default(),
    };
    (cluster, settings)
}

fn record(ticket: u64) -> Append {
    let destination = Destination::Partition(TopicPartition::new(Topic::Sessions, 0));
    Append { ticket, destination, key: None, value: Some(vec![7]), headers: Headers::None }
}

/// As the member of a group would say them; none: the records are all there is to the transaction.
fn offsets(settings: &ClientSettings, of_one: bool) -> GroupOffsets {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", "g")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    if of_one {
        list.add_partition_offset(Topic::Sessions.name(), 0, Offset::Offset(1)).expect("an offset");
    }
    GroupOffsets { list, member: consumer.group_metadata().expect("of the group") }
}

fn transactional(settings: &ClientSettings) -> TransactionalProducer {
    TransactionalProducer::init(settings, Life(1), "shop-a").expect("nobody else has it")
}

#[test]
fn a_record_that_is_not_delivered_is_never_reported_as_appended() {
    let (cluster, settings) = cluster();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Produce, &[refused]);
    let mut producer = LogProducer::new(&settings, Life(1), Linger::None).expect("good settings");
    producer.send(&record(5)).expect("it is queued");
    let (mut told, begun) = (Vec::new(), Stopwatch::start());
    while told.is_empty() && begun.elapsed() < Duration::from_secs(20) {
        producer.acknowledged(&mut told);
        std::thread::yield_now();
    }
    assert_eq!(told, [Acknowledgement::Failed { ticket: 5 }]);
}

#[test]
fn a_transaction_whose_offsets_the_group_refuses_is_aborted_and_made_again_by_the_same_life() {
    let (cluster, settings) = cluster();
    let mut producer = transactional(&settings);
    let offsets = offsets(&settings, true);
    let stale = RDKafkaRespErr::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION;
    cluster.request_errors(RDKafkaApiKey::TxnOffsetCommit, &[stale]);
    let outcomes: Vec<_> = (0..2).map(|_| producer.transact(&[&record(1)], &offsets)).collect();
    assert!(matches!(outcomes.as_slice(), [Ok(Committed::Refused), Ok(Committed::Taken)]), "{outcomes:?}");
}

#[test]
fn whoever_is_fenced_in_the_middle_of_a_transaction_ends_its_life() {
    let (cluster, settings) = cluster();
    let mut producer = transactional(&settings);
    let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED;
    cluster.request_errors(RDKafkaApiKey::EndTxn, &[fenced]);
    let outcome = producer.transact(&[&record(1)], &offsets(&settings, true));
    assert!(matches!(outcome, Err(LogError::Transaction(_))), "{outcome:?}");
}

#[test]
fn a_record_that_cannot_be_delivered_fails_its_transaction() {
    let (cluster, settings) = cluster();
    let mut producer = transactional(&settings);
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
    );
    let outcome = producer.transact(&[&record(1), &record(2)], &offsets(&settings, true));
    assert!(matches!(outcome, Err(LogError::Transaction(_))), "{outcome:?}");
}

/// The client library's own commit flushes in steps of 100 ms.
#[test]
fn a_transaction_is_committed_without_waiting_for_the_steps_of_a_flush() {
    let (_cluster, settings) = cluster();
    let mut producer = transactional(&settings);
    let nothing = offsets(&settings, false);
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let begun = Stopwatch::start();
            producer.transact(&[&record(1)], &nothing).expect("nobody refuses it");
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    assert!(times[4] < Duration::from_millis(60), "{times:?}");
}

/// A broker that is still ending the transaction before says so; the library's own pause doubles from 100 ms.
#[test]
fn a_transaction_that_follows_another_at_once_is_tried_again_after_a_moment() {
    let (cluster, settings) = cluster();
    let mut producer = transactional(&settings);
    let offsets = offsets(&settings, true);
    producer.transact(&[], &offsets).expect("nobody refuses it");
    let busy = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS;
    cluster.request_errors(RDKafkaApiKey::AddOffsetsToTxn, &[busy; 3]);
    let begun = Stopwatch::start();
    let outcome = producer.transact(&[], &offsets);
    assert!(matches!(outcome, Ok(Committed::Taken)), "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
}

/// A transaction that the broker would abort sooner than we think is refused at the start, and not tried again for ever.
#[test]
fn a_broker_that_allows_only_shorter_transactions_ends_the_start() {
    let (cluster, settings) = cluster();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT;
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refused]);
    let outcome = TransactionalProducer::init(&settings, Life(1), "shop-a").map(drop);
    assert!(matches!(outcome, Err(LogError::Fatal(_))), "{outcome:?}");
}

/// A consumer's drop never returns while a list that it gave out lives.
#[test]
fn a_consumer_that_has_looked_up_committed_and_read_is_dropped_in_time() {
    let (cluster, settings) = cluster();
    cluster.create_topic(Topic::Clickstream.name(), 1, 1).expect("a topic");
    let partition = TopicPartition::new(Topic::Clickstream, 0);
    let (told, dropped) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut consumer =
            GroupConsumer::subscribe(&settings, "g", &[Topic::Clickstream]).expect("good settings");
        let (mut polled, begun) = (Vec::new(), Stopwatch::start());
        while polled.is_empty() && begun.elapsed() < Duration::from_secs(20) {
            consumer.poll(10, PollWait::ALittle, &mut polled).expect("the broker answers");
        }
        assert!(
            matches!(polled.as_slice(), [Polled::Assigned(assigned, None)] if *assigned == partition),
            "{polled:?}"
        );
        consumer.read_from(partition, Start::Beginning).expect("it is there");
        consumer.poll(10, PollWait::ALittle, &mut polled).expect("the broker answers");
        consumer.commit(&[(partition, 0)], CommitMode::Now).expect("the group takes it");
        let mut accepted = Vec::new();
        consumer.accepted(&mut accepted);
        assert_eq!(accepted, [(partition, 0)]);
        drop(consumer);
        told.send(()).expect("the test waits");
    });
    assert_eq!(dropped.recv_timeout(Duration::from_secs(40)), Ok(()), "it was never dropped");
}
