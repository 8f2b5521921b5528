//! The broker in memory.

use super::group::Group;
use super::partition::Partition;
use crate::log::frame::Life;
use crate::log::partitioner::partition_of_key;
use crate::log::position::Offset;
use crate::log::{
    Acknowledgement, Append, Committed, Destination, LogError, LogRecord, Polled, Topic, TopicPartition,
};
use crate::rules_of_the_protocol::{Rule, without};
use crate::time::{ProcessingTime, millis};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A broker that several logs of one thread share.
pub type SharedBroker = Rc<RefCell<Broker>>;

/// A transaction of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transaction(pub u64);

/// How appends and commits reach the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// At once.
    AtOnce,
    /// They wait until [`Broker::land`] and [`Broker::land_commit`] are called.
    Held,
}

/// What becomes of an append that was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landing {
    /// It lands, and is acknowledged.
    Appended,
    /// It lands, and is reported as failed.
    Unseen,
    /// It does not land, and is reported as failed.
    Failed,
}

/// How the next transaction of the application ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It commits.
    Commits,
    /// It is aborted, and its producer hears of it.
    Aborts,
    /// It commits, and its producer does not hear of it.
    Unseen,
    /// Its producer hears nothing, and for now it stays open. Once the broker has been asked to commit
    /// (`prepared`) nothing else can become of it; otherwise it is aborted in the end.
    Open {
        /// Whether the broker was asked to commit.
        prepared: bool,
    },
}

/// A transaction of the application that its producer left open.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OpenTransaction {
    transactional_id: String,
    transaction: Transaction,
    prepared: bool,
}

#[derive(Debug, Clone)]
struct HeldAppend {
    ticket: u64,
    record: Arc<LogRecord>,
}

#[derive(Debug, Clone)]
struct HeldCommit {
    group: String,
    life: Life,
    offsets: Vec<(TopicPartition, Offset)>,
}

/// Topics, groups and transactions.
#[derive(Debug, Clone)]
pub struct Broker {
    topics: BTreeMap<Topic, Vec<Partition>>,
    groups: BTreeMap<String, Group>,
    delivery: Delivery,
    now: ProcessingTime,
    held: BTreeMap<(Life, TopicPartition), VecDeque<HeldAppend>>,
    held_commits: Vec<HeldCommit>,
    accepted: BTreeMap<Life, Vec<(TopicPartition, Offset)>>,
    acknowledgements: BTreeMap<Life, Vec<Acknowledgement>>,
    transactions: u64,
    /// By transactional id: the life that may use it.
    producers: BTreeMap<String, Life>,
    left_open: Vec<OpenTransaction>,
    next_ending: Ending,
    /// How many transactions ended otherwise than by a commit that its producer knows of: aborted, unseen, left open.
    ended_badly: [u64; 3],
}

impl Broker {
    /// With these topics and numbers of partitions.
    #[must_use]
    pub fn new(topics: &[(Topic, u32)], delivery: Delivery) -> Broker {
        let partitions = |count: u32| (0..count).map(|_| Partition::default()).collect();
        Broker {
            topics: topics.iter().map(|(topic, count)| (*topic, partitions(*count))).collect(),
            groups: BTreeMap::new(),
            delivery,
            now: ProcessingTime(0),
            held: BTreeMap::new(),
            held_commits: Vec::new(),
            accepted: BTreeMap::new(),
            acknowledgements: BTreeMap::new(),
            transactions: 0,
            producers: BTreeMap::new(),
            left_open: Vec::new(),
            next_ending: Ending::Commits,
            ended_badly: [0; 3],
        }
    }

    /// To be shared by logs.
    #[must_use]
    pub fn shared(self) -> SharedBroker {
        Rc::new(RefCell::new(self))
    }

    /// The present moment here.
    #[must_use]
    pub fn now(&self) -> ProcessingTime {
        self.now
    }

    /// Lets time pass.
    pub fn advance(&mut self, by: Duration) {
        self.now = ProcessingTime(self.now.0 + millis(by));
    }

    /// Sets the time; it may jump.
    pub fn set_now(&mut self, now: ProcessingTime) {
        self.now = now;
    }

    /// Makes a group that reads `topics`.
    pub fn group(&mut self, name: &str, topics: &[Topic]) {
        self.groups.entry(name.to_owned()).or_default().topics = topics.to_vec();
    }

    /// A member joins.
    ///
    /// # Panics
    ///
    /// If there is no such group.
    pub fn join(&mut self, group: &str, life: Life) {
        self.group_mut(group).join(life);
    }

    /// A member is gone, or taken for gone: its partitions go to others, and nobody tells it.
    pub fn leave(&mut self, group: &str, life: Life) {
        self.group_mut(group).leave(life);
    }

    /// Whether the group still counts this member.
    #[must_use]
    pub fn is_member(&self, group: &str, life: Life) -> bool {
        self.groups.get(group).is_some_and(|group| group.is_member(life))
    }

    pub(super) fn group_events(&mut self, group: &str, life: Life) -> Vec<Polled> {
        let partitions = self.partitions_of(group);
        let group = self.group_mut(group);
        if group.is_member(life) {
            group.balance(&partitions);
        }
        group.events(life)
    }

    pub(super) fn release(&mut self, group: &str, life: Life, partitions: &[TopicPartition]) {
        self.group_mut(group).release(life, partitions);
    }

    /// The next offset that `group` reads of `partition`, if it ever committed one.
    #[must_use]
    pub fn committed(&self, group: &str, partition: TopicPartition) -> Option<Offset> {
        self.groups.get(group)?.committed(partition)
    }

    /// Sets an offset of a group by other means than a commit.
    #[cfg(test)]
    pub(crate) fn set_by_hand(&mut self, group: &str, partition: TopicPartition, offset: Offset) {
        self.group_mut(group).set_by_hand(partition, offset);
    }

    pub(super) fn commit(&mut self, group: &str, life: Life, offsets: &[(TopicPartition, Offset)]) {
        let commit = HeldCommit { group: group.to_owned(), life, offsets: offsets.to_vec() };
        match self.delivery {
            Delivery::AtOnce => self.accept(commit),
            Delivery::Held => self.held_commits.push(commit),
        }
    }

    fn accept(&mut self, commit: HeldCommit) {
        self.group_mut(&commit.group).commit(&commit.offsets);
        self.accepted.entry(commit.life).or_default().extend(commit.offsets);
    }

    pub(super) fn take_accepted(&mut self, life: Life, into: &mut Vec<(TopicPartition, Offset)>) {
        into.append(self.accepted.entry(life).or_default());
    }

    /// How many commits wait.
    #[must_use]
    pub fn held_commits(&self) -> usize {
        self.held_commits.len()
    }

    /// Lets the waiting commit number `place` land, or loses it. Later ones may land before earlier ones.
    pub fn land_commit(&mut self, place: usize, lands: bool) {
        let commit = self.held_commits.remove(place);
        if lands {
            self.accept(commit);
        }
    }

    /// The first offset there is.
    #[must_use]
    pub fn first_offset(&self, partition: TopicPartition) -> Offset {
        self.partition(partition).first()
    }

    /// The offset of the next append.
    #[must_use]
    pub fn end_offset(&self, partition: TopicPartition) -> Offset {
        self.partition(partition).end()
    }

    /// Whether everything below the last stable offset lies below `position`.
    #[must_use]
    pub fn is_at_end(&self, partition: TopicPartition, position: Offset) -> bool {
        position >= self.partition(partition).end()
    }

    /// The last stable offset: `read_committed` sees nothing from it on.
    #[must_use]
    pub fn last_stable_offset(&self, partition: TopicPartition) -> Offset {
        self.partition(partition).last_stable_offset()
    }

    /// Reads committed records from `from` on; returns the next offset to read.
    pub fn fetch(
        &self,
        partition: TopicPartition,
        from: Offset,
        records_max: usize,
        each: impl FnMut(Offset, Arc<LogRecord>),
    ) -> Offset {
        self.partition(partition).fetch(from, records_max, each)
    }

    /// The number of partitions of `topic`.
    #[must_use]
    pub fn partitions(&self, topic: Topic) -> u32 {
        u32::try_from(self.topics.get(&topic).map_or(0, Vec::len)).expect("partitions are counted in 32 bits")
    }

    /// Appends a record as a producer outside the application does.
    pub fn append(&mut self, destination: &Destination, record: LogRecord) -> (TopicPartition, Offset) {
        let partition = self.place(destination, record.key.as_deref());
        (partition, self.partition_mut(partition).append(Arc::new(record)))
    }

    /// Begins a transaction.
    pub fn begin(&mut self) -> Transaction {
        self.transactions += 1;
        Transaction(self.transactions)
    }

    /// Appends in a transaction: nobody who reads committed records sees it, or anything behind it,
    /// before the transaction ends.
    pub fn append_in(&mut self, transaction: Transaction, destination: &Destination, record: LogRecord) {
        let partition = self.place(destination, record.key.as_deref());
        self.partition_mut(partition).append_in(transaction, Arc::new(record));
    }

    /// Commits offsets with a transaction: no successor is told any before it has ended.
    pub fn commit_in(&mut self, transaction: Transaction, group: &str, offsets: &[(TopicPartition, Offset)]) {
        self.group_mut(group).commit_in(transaction, offsets);
    }

    /// Ends a transaction; aborted records are never seen.
    pub fn end(&mut self, transaction: Transaction, commits: bool) {
        for partition in self.topics.values_mut().flatten() {
            partition.end_transaction(transaction, commits);
        }
        for group in self.groups.values_mut() {
            group.end_transaction(transaction, commits);
        }
    }

    /// Decides how the next transaction of the application ends; those behind it commit.
    pub fn end_next_transaction(&mut self, ending: Ending) {
        self.next_ending = ending;
    }

    /// How many transactions of the application were left open.
    #[must_use]
    pub fn left_open(&self) -> usize {
        self.left_open.len()
    }

    /// How many transactions were aborted, committed unseen, and left open.
    #[must_use]
    pub fn transactions_that_ended_badly(&self) -> [u64; 3] {
        self.ended_badly
    }

    /// What was left open is ended: by the time-out of transactions, or by what the broker was asked before.
    pub fn end_what_was_left_open(&mut self) {
        for open in std::mem::take(&mut self.left_open) {
            self.end(open.transaction, open.prepared);
        }
    }

    /// `life` is the one that may use `transactional_id` from now on; what was left open under it is ended.
    pub(super) fn init_transactions(&mut self, transactional_id: &str, life: Life) {
        self.producers.insert(transactional_id.to_owned(), life);
        if without(Rule::StableFetch) {
            return;
        }
        let is_its_own = |open: &mut OpenTransaction| open.transactional_id == transactional_id;
        let open: Vec<_> = self.left_open.extract_if(.., is_its_own).collect();
        for open in open {
            self.end(open.transaction, open.prepared);
        }
    }

    pub(super) fn transact(
        &mut self,
        transactional_id: &str,
        group: &str,
        life: Life,
        records: &[&Append],
        offsets: &[(TopicPartition, Offset)],
    ) -> Result<Committed, LogError> {
        let unknown = |why: &str| Err(LogError::Transaction(why.to_owned()));
        if self.producers.get(transactional_id) != Some(&life) {
            return unknown("its producer is fenced");
        }
        if !self.is_member(group, life) {
            return Ok(Committed::Refused);
        }
        let transaction = self.begin();
        for append in records {
            let Append { destination, key, value, headers, .. } = (*append).clone();
            let record = LogRecord { key, value, headers, timestamp_ms: None };
            self.append_in(transaction, &destination, record);
        }
        self.commit_in(transaction, group, offsets);
        match std::mem::replace(&mut self.next_ending, Ending::Commits) {
            Ending::Commits => {
                self.end(transaction, true);
                self.accepted.entry(life).or_default().extend(offsets);
                Ok(Committed::Taken)
            }
            Ending::Unseen => {
                self.ended_badly[1] += 1;
                self.end(transaction, true);
                unknown("it was committed")
            }
            Ending::Aborts => {
                self.ended_badly[0] += 1;
                self.end(transaction, false);
                Ok(Committed::Refused)
            }
            Ending::Open { prepared } => {
                self.ended_badly[2] += 1;
                let transactional_id = transactional_id.to_owned();
                self.left_open.push(OpenTransaction { transactional_id, transaction, prepared });
                unknown("it is open")
            }
        }
    }

    pub(super) fn send(&mut self, life: Life, append: Append) {
        let partition = self.place(&append.destination, append.key.as_deref());
        let Append { ticket, key, value, headers, .. } = append;
        let record = Arc::new(LogRecord { key, value, headers, timestamp_ms: None });
        match self.delivery {
            Delivery::AtOnce => {
                self.partition_mut(partition).append(record);
                self.acknowledge(life, Acknowledgement::Appended { ticket });
            }
            Delivery::Held => {
                self.held.entry((life, partition)).or_default().push_back(HeldAppend { ticket, record })
            }
        }
    }

    /// The producers and partitions with appends in flight, and how many.
    pub fn in_flight(&self) -> impl Iterator<Item = (Life, TopicPartition, usize)> {
        self.held.iter().map(|((life, partition), held)| (*life, *partition, held.len()))
    }

    /// Decides the next append in flight from `life` to `partition`. Appends of one life to one
    /// partition land in order; `out_of_turn` picks another one where a test has taken that rule out.
    pub fn land(&mut self, life: Life, partition: TopicPartition, landing: Landing, out_of_turn: usize) {
        let Some(queue) = self.held.get_mut(&(life, partition)) else { return };
        let place = if without(Rule::OrderOfAppends) { out_of_turn % queue.len() } else { 0 };
        let Some(HeldAppend { ticket, record }) = queue.remove(place) else { return };
        if landing == Landing::Failed && without(Rule::LaterFramesAgain) {
            // a client that sends the failed record again by itself, behind those that followed it
            queue.push_back(HeldAppend { ticket, record });
            return;
        }
        if queue.is_empty() {
            self.held.remove(&(life, partition));
        }
        if landing != Landing::Failed {
            self.partition_mut(partition).append(record);
        }
        let acknowledgement = match landing {
            Landing::Appended => Acknowledgement::Appended { ticket },
            Landing::Unseen | Landing::Failed => Acknowledgement::Failed { ticket },
        };
        self.acknowledge(life, acknowledgement);
    }

    pub(super) fn take_acknowledgements(&mut self, life: Life, into: &mut Vec<Acknowledgement>) {
        into.append(self.acknowledgements.entry(life).or_default());
    }

    /// Cuts off what lies below `offset`, as retention does.
    pub fn cut_below(&mut self, partition: TopicPartition, offset: Offset) {
        self.partition_mut(partition).cut_below(offset);
    }

    fn acknowledge(&mut self, life: Life, acknowledgement: Acknowledgement) {
        self.acknowledgements.entry(life).or_default().push(acknowledgement);
    }

    fn place(&self, destination: &Destination, key: Option<&[u8]>) -> TopicPartition {
        match destination {
            Destination::Partition(partition) => *partition,
            Destination::ByKey(topic) => {
                let partition = partition_of_key(key.unwrap_or_default(), self.partitions(*topic));
                TopicPartition::new(*topic, partition)
            }
        }
    }

    fn partitions_of(&self, group: &str) -> Vec<TopicPartition> {
        let topics = self.groups.get(group).map_or(&[][..], |group| &group.topics);
        let partitions = |topic: &Topic| {
            let topic = *topic;
            (0..self.partitions(topic)).map(move |partition| TopicPartition::new(topic, partition))
        };
        topics.iter().flat_map(partitions).collect()
    }

    fn group_mut(&mut self, name: &str) -> &mut Group {
        self.groups.get_mut(name).expect("a group that was made")
    }

    fn partition(&self, partition: TopicPartition) -> &Partition {
        self.topics
            .get(&partition.topic)
            .and_then(|partitions| partitions.get(partition.partition as usize))
            .expect("a partition that was made")
    }

    fn partition_mut(&mut self, partition: TopicPartition) -> &mut Partition {
        self.topics
            .get_mut(&partition.topic)
            .and_then(|partitions| partitions.get_mut(partition.partition as usize))
            .expect("a partition that was made")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::memory::MemoryLog;
    use crate::log::{Log, PollWait, Start};

    const P: TopicPartition = TopicPartition { topic: Topic::Clickstream, partition: 0 };

    fn broker() -> Broker {
        let mut broker = Broker::new(&[(Topic::Clickstream, 1)], Delivery::AtOnce);
        broker.group("g", &[Topic::Clickstream]);
        broker
    }

    fn record(text: &str) -> LogRecord {
        LogRecord { value: Some(text.as_bytes().to_vec()), ..LogRecord::default() }
    }

    fn read(broker: &Broker, from: Offset) -> (Vec<String>, Offset) {
        let mut values = Vec::new();
        let next = broker.fetch(P, from, 100, |_, record| {
            values.push(String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned());
        });
        (values, next)
    }

    #[test]
    fn an_open_transaction_holds_back_everything_behind_it() {
        let mut broker = broker();
        let transaction = broker.begin();
        broker.append(&Destination::Partition(P), record("a"));
        broker.append_in(transaction, &Destination::Partition(P), record("b"));
        broker.append(&Destination::Partition(P), record("c"));
        assert_eq!((read(&broker, 0).0, broker.last_stable_offset(P)), (vec!["a".to_owned()], 1));
        broker.end(transaction, true);
        assert_eq!(
            read(&broker, 0),
            (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], 4),
            "a marker takes an offset"
        );
    }

    #[test]
    fn an_aborted_transaction_is_never_seen() {
        let mut broker = broker();
        let transaction = broker.begin();
        broker.append_in(transaction, &Destination::Partition(P), record("b"));
        broker.append(&Destination::Partition(P), record("c"));
        broker.end(transaction, false);
        assert_eq!(read(&broker, 0), (vec!["c".to_owned()], 3));
    }

    #[test]
    fn a_partition_is_not_assigned_while_offsets_of_a_transaction_are_pending() {
        let mut broker = broker();
        let transaction = broker.begin();
        broker.commit_in(transaction, "g", &[(P, 5)]);
        let shared = broker.shared();
        let mut log = MemoryLog::join(&shared, "g", Life(1));
        let mut polled = Vec::new();
        log.poll(10, PollWait::No, &mut polled).expect("memory does not fail");
        assert!(polled.is_empty(), "a stable fetch waits: {polled:?}");
        shared.borrow_mut().end(transaction, true);
        log.poll(10, PollWait::No, &mut polled).expect("memory does not fail");
        assert!(matches!(polled[..], [Polled::Assigned(P, Some(5))]), "{polled:?}");
    }

    #[test]
    fn a_moved_partition_is_assigned_only_after_its_owner_let_go() {
        let shared = broker().shared();
        let (mut one, mut two) =
            (MemoryLog::join(&shared, "g", Life(1)), MemoryLog::join(&shared, "g", Life(2)));
        let mut polled = Vec::new();
        one.poll(10, PollWait::No, &mut polled).expect("memory does not fail");
        one.read_from(P, Start::Beginning).expect("it is all there");
        shared.borrow_mut().leave("g", Life(1));
        shared.borrow_mut().join("g", Life(1));
        polled.clear();
        two.poll(10, PollWait::No, &mut polled).expect("memory does not fail");
        assert!(matches!(polled[..], [Polled::Assigned(P, None)]), "{polled:?}");
    }

    #[test]
    fn an_unseen_append_lands_and_is_reported_as_failed() {
        let mut broker = Broker::new(&[(Topic::Clickstream, 1)], Delivery::Held);
        let append = |ticket| Append {
            ticket,
            destination: Destination::Partition(P),
            key: None,
            value: None,
            headers: crate::log::Headers::None,
        };
        broker.send(Life(1), append(1));
        broker.send(Life(1), append(2));
        broker.land(Life(1), P, Landing::Unseen, 0);
        broker.land(Life(1), P, Landing::Failed, 0);
        let mut acknowledgements = Vec::new();
        broker.take_acknowledgements(Life(1), &mut acknowledgements);
        assert_eq!(
            acknowledgements,
            [Acknowledgement::Failed { ticket: 1 }, Acknowledgement::Failed { ticket: 2 }]
        );
        assert_eq!(broker.end_offset(P), 1);
    }
}
