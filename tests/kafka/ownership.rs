//! Partitions that nobody has, on a real Kafka.

use crate::judge::{PARTITIONS, alone, client};
use crate::support::Shop;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tillstream::log::Topic;
use tillstream::log::kafka::Ownership;

const GROUP: &str = "of-this-test";

/// Does not give back what it is told to before it is closed.
#[derive(Default)]
struct Slow {
    is_asked: AtomicBool,
    is_closing: AtomicBool,
}

impl ClientContext for Slow {
    fn stats_raw(&self, _: &[u8]) {}
}

impl ConsumerContext for Slow {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            consumer.incremental_assign(list).expect("it may be assigned");
        } else if self.is_closing.load(Ordering::Relaxed) {
            consumer.incremental_unassign(list).expect("it may be given back");
        } else {
            self.is_asked.store(true, Ordering::Relaxed);
        }
    }
}

/// A member of the group, perhaps one that is named.
fn member(shop: &Shop, name: Option<&str>) -> BaseConsumer<Slow> {
    let mut config = client(shop).consumer(GROUP);
    if let Some(name) = name {
        config.set("group.instance.id", name);
    }
    let member: BaseConsumer<Slow> = config.create_with_context(Slow::default()).expect("a consumer");
    member.subscribe(&[Topic::Entity.name()]).expect("it may subscribe");
    member
}

fn count(member: &BaseConsumer<Slow>) -> usize {
    member.assignment().expect("it knows its partitions").count()
}

fn poll_until(members: &[&BaseConsumer<Slow>], what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited for a minute until {what}");
        for member in members {
            drop(member.poll(Duration::from_millis(20)));
        }
    }
}

/// A named member that is to give back partitions for another, dies instead, and comes back at once: it is given the rest of what it
/// had, and what was taken from it is given to nobody, until the group is made to deal out anew.
#[test]
fn partitions_that_nobody_was_given_are_noticed_and_dealt_out_anew() {
    let _alone = alone();
    let shop = Shop::open(PARTITIONS);
    let ownership = Ownership::new(&client(&shop)).expect("good settings");
    let partitions = BTreeMap::from([(Topic::Entity, PARTITIONS)]);
    let unowned = || ownership.unowned(GROUP, &partitions).expect("the broker answers").len();

    let named = member(&shop, Some("a"));
    poll_until(&[&named], "it has all partitions", || count(&named) == PARTITIONS as usize);
    assert_eq!(unowned(), 0);
    let other = member(&shop, None);
    let is_asked = || named.context().is_asked.load(Ordering::Relaxed);
    poll_until(&[&named, &other], "some of them are to move", is_asked);
    // as after kill -9: it says nothing, and another comes under its name
    std::mem::forget(named);
    let named = member(&shop, Some("a"));
    poll_until(&[&named, &other], "it is back", || count(&named) > 0);
    println!("{} of {PARTITIONS} after it came back", count(&named));
    let taken = PARTITIONS as usize - count(&named);
    assert!(
        taken > 0 && count(&other) == 0,
        "{taken} were taken from it, and the other was given {}",
        count(&other)
    );
    assert_eq!(unowned(), taken);

    std::thread::scope(|scope| {
        let dealing = scope.spawn(|| ownership.have_dealt_out_anew(GROUP, || false));
        poll_until(&[&named, &other], "all is owned", || {
            dealing.is_finished() && unowned() == 0 && count(&other) > 0
        });
        dealing.join().expect("no panic").expect("the group was joined");
    });
    assert_eq!(count(&named) + count(&other), PARTITIONS as usize);
    for member in [&named, &other] {
        member.context().is_closing.store(true, Ordering::Relaxed);
    }
}
