//! Partitions that a worker takes over: their checkpoint is looked for, put back in steps, and their log read from there.

use super::{Owned, Pace, Worker, WorkerError};
use crate::checkpoint::Checkpointed;
use crate::checkpoint::file::Head;
use crate::engine::arrival::{Arrival, Restoring, fault};
use crate::engine::checkpointing::Checkpointing;
use crate::engine::checkpoints::{Ended, Request, Search};
use crate::engine::outputs::Outputs;
use crate::engine::stage::Stage;
use crate::engine::transactions::Waiting;
use crate::log::frame::Promise;
use crate::log::position::{Offset, Position};
use crate::log::{Log, LogError, Start, TopicPartition};
use crate::progress::idleness::Idleness;
use crate::rules_of_the_protocol::{Rule, without};
use crate::state::Tracking;
use std::collections::btree_map::Entry;

/// Blocks that are put back in one cycle: about 4 MiB of entries, some milliseconds in which other partitions wait.
const BLOCKS_PER_CYCLE: usize = 16;

impl<S: Stage, L: Log> Worker<S, L> {
    /// Takes a partition over. One that was never taken away goes on as it is: its state is a fold of its
    /// log, whoever else may have read it meanwhile, and what it has published it need not publish again.
    pub(super) fn assigned(
        &mut self,
        partition: TopicPartition,
        committed: Option<Offset>,
        anew: Option<Offset>,
    ) -> Result<(), WorkerError> {
        if let Some(owned) = self.owned.get(&partition) {
            self.log.read_from(partition, Start::At(owned.next_offset))?;
        } else if let Entry::Vacant(vacant) = self.arriving.entry(partition) {
            self.searches += 1;
            let number = self.searches;
            let anew = anew.or_else(|| self.settings.anew.get(&partition).copied());
            vacant.insert(Arrival::Searching { number, committed, anew });
            let search = Search { task: self.stage.source_of(partition), number };
            self.storage.ask(Request::Find(search, self.stage.shape()));
        }
        Ok(())
    }

    /// Takes what the storage has done, and goes on with the tasks that are being restored.
    pub(super) fn advance_arrivals(&mut self) -> Result<(), WorkerError> {
        let mut ended = Vec::new();
        self.storage.ended(&mut ended);
        let now = self.log.now();
        for ended in ended {
            match ended {
                Ended::Found(search, newest, bytes) => self.found(search, newest.as_ref(), bytes)?,
                Ended::Read(search, block) => {
                    if let Some((partition, restoring)) = self.restoring_of(search) {
                        restoring.take(block.map_err(|damage| fault(partition, damage))?);
                    }
                }
                Ended::ReadAll(search) => {
                    self.restoring_of(search).into_iter().for_each(|(_, restoring)| restoring.is_read());
                }
                Ended::Saved(task, saved) => {
                    let stage = &self.stage;
                    let mut owned = self.owned.iter_mut();
                    if let Some((_, owned)) =
                        owned.find(|(partition, _)| stage.source_of(**partition) == task)
                    {
                        owned.checkpointing.saved(&saved, now);
                    }
                }
            }
        }
        let (mut arrived, mut blocks_left) = (Vec::new(), BLOCKS_PER_CYCLE);
        for (partition, arrival) in &mut self.arriving {
            if let Arrival::Restoring(restoring) = arrival {
                blocks_left -= restoring.step(*partition, blocks_left)?;
                if restoring.is_done() {
                    arrived.push(*partition);
                }
            }
        }
        self.is_restoring = blocks_left < BLOCKS_PER_CYCLE;
        for partition in arrived {
            if let Some(Arrival::Restoring(restoring)) = self.arriving.remove(&partition) {
                self.take_over(partition, *restoring)?;
            }
        }
        Ok(())
    }

    /// The task that is being put back from what this search has found.
    fn restoring_of(&mut self, search: Search) -> Option<(TopicPartition, &mut Restoring<S::Task>)> {
        let stage = &self.stage;
        let mut arriving = self.arriving.iter_mut();
        match arriving.find(|(partition, _)| stage.source_of(**partition) == search.task)? {
            (partition, Arrival::Restoring(restoring)) if restoring.number == search.number => {
                Some((*partition, restoring))
            }
            _ => None,
        }
    }

    fn found(&mut self, search: Search, newest: Option<&Head>, bytes: usize) -> Result<(), WorkerError> {
        let stage = &self.stage;
        let tracking = if self.cadence.is_some() { Tracking::On } else { Tracking::Off };
        let mut arriving = self.arriving.iter_mut();
        let waits = arriving.find(|(partition, _)| stage.source_of(**partition) == search.task);
        if let Some((partition, arrival)) = waits
            && let Arrival::Searching { number, committed, anew } = arrival
            && *number == search.number
        {
            let what = (*number, *committed);
            // a checkpoint at offset 0 holds nothing
            let held = newest.map_or(0, |newest| newest.offset);
            let restoring = match *anew {
                Some(offset) if held < offset || held == 0 => {
                    self.storage.ask(Request::Forget(search.task));
                    let held = newest.map(|newest| newest.offset);
                    Restoring::anew(stage, what, (held, offset), tracking)
                }
                _ => {
                    let pace = Pace::new(self.log.now(), bytes as u64);
                    Restoring::new(stage, *partition, what, newest, pace, tracking)?
                }
            };
            *arrival = Arrival::Restoring(Box::new(restoring));
        }
        Ok(())
    }

    /// Everything of a task has been put back: its log is read from there.
    fn take_over(
        &mut self,
        partition: TopicPartition,
        restoring: Restoring<S::Task>,
    ) -> Result<(), WorkerError> {
        let (committed, offset, anew) = (restoring.committed, restoring.offset, restoring.anew);
        // what lies below either was done: a checkpoint is saved only after a commit of its offset was accepted
        let done = committed.max(offset).unwrap_or(0);
        let next = done.max(anew.unwrap_or(0));
        let first_read = anew.or(offset).map_or_else(|| self.stage.start(committed), Start::At);
        let source = self.stage.source_of(partition);
        let destinations = u32::try_from(self.joined.len()).expect("partitions are counted in 32 bits");
        let short_id = source.short_topic();
        let first_read = self.begin_reading(partition, first_read, next)?;
        let replays = match first_read {
            Start::Beginning => Some(0),
            Start::At(offset) => Some(offset),
            Start::Earliest => None,
        };
        // what was done may be sent again to the next log, which skips it, but not published again
        let kept_from = if without(Rule::PublishedOnce) { replays.unwrap_or(next) } else { next };
        let mut task = restoring.into_task();
        if !without(Rule::DeadlineArmedAgain) {
            let due = self.log.now().plus(self.settings.decision_deadline);
            for (decision, opened_at) in task.take_deadlines() {
                self.deadlines.arm(partition, decision, opened_at, due);
            }
        }
        let owned = Owned {
            task,
            outputs: Outputs::new(short_id, partition.partition, destinations, kept_from),
            waiting: Waiting::default(),
            cut: Position::committed(next),
            next_offset: replays.unwrap_or(next),
            committed: done,
            restored_at: if replays.is_some() { next } else { 0 },
            restore_pace: Pace::new(self.log.now(), replays.map_or(0, |from| next.abs_diff(from))),
            idleness: Idleness::default(),
            checkpointing: Checkpointing::new(self.log.now(), offset.unwrap_or(-1), done),
            // what is lost between is spoken for by the first frame: whoever reads it would wait for it for ever
            chains: vec![(Position::committed(done), Promise::Unknown); destinations as usize],
            #[cfg(test)]
            batch_from: Position::committed(next),
        };
        self.owned.insert(partition, owned);
        Ok(())
    }

    /// Has the log read from `first_read`. A stage that can do without history passes over what retention has cut of
    /// what was done already.
    fn begin_reading(
        &mut self,
        partition: TopicPartition,
        first_read: Start,
        next: Offset,
    ) -> Result<Start, LogError> {
        match self.log.read_from(partition, first_read) {
            Ok(()) => Ok(first_read),
            Err(LogError::Retention { first, .. }) if self.stage.start(Some(next)) == Start::At(next) => {
                if first > next {
                    return Err(LogError::Retention { partition, needed: next, first });
                }
                self.log.read_from(partition, Start::At(first))?;
                Ok(Start::At(first))
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::checkpointing::Cadence;
    use crate::engine::checkpoints::Checkpoints;
    use crate::engine::decide::Decide;
    use crate::engine::ingest::Ingest;
    use crate::engine::keyed::Keyed;
    use crate::engine::process::{DECIDE_GROUP, INGEST_GROUP, KEYED_GROUP, Partitions, broker, topology};
    use crate::engine::settings::{FoldSettings, Topology};
    use crate::engine::worker::{Worker, WorkerSettings};
    use crate::log::frame::Life;
    use crate::log::memory::{Delivery, MemoryLog, SharedBroker};
    use crate::log::{Destination, LogRecord, Topic};
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::Duration;

    const ENTITY: TopicPartition = TopicPartition { topic: Topic::Entity, partition: 0 };

    fn settings(life: u64, anew: BTreeMap<TopicPartition, Offset>) -> WorkerSettings {
        WorkerSettings {
            life: Life(life),
            commit_interval: Duration::ZERO,
            idle_timeout: Duration::from_secs(10),
            decision_deadline: Duration::from_millis(200),
            exactly_once: Vec::new(),
            anew,
        }
    }

    fn click(broker: &SharedBroker, number: i64) {
        let json = serde_json::json!({
            "event_id": format!("e{number}"), "event_name": "view_item", "visitor_id": "v",
            "event_time_ms": 1_767_607_200_000_i64 + number,
        });
        let record = LogRecord { value: Some(json.to_string().into_bytes()), ..LogRecord::default() };
        broker.borrow_mut().append(&Destination::ByKey(Topic::Clickstream), record);
    }

    /// Clicks with these numbers, one after the other, each followed by some cycles.
    fn clicks(broker: &SharedBroker, numbers: std::ops::Range<i64>, mut cycle: impl FnMut()) {
        for number in numbers {
            click(broker, number);
            (0..3).for_each(|_| cycle());
        }
    }

    /// The default configuration, over one partition of each topic.
    fn shop() -> (Arc<FoldSettings>, Arc<Topology>, SharedBroker) {
        let config = crate::config::resolve(&serde_json::Map::new(), std::path::Path::new("."));
        let topology = Arc::new(topology(Partitions { raw: 1, internal: 1, public: 1 }));
        let broker = broker(&topology, Delivery::AtOnce).shared();
        (config.expect("the defaults are good").fold, topology, broker)
    }

    /// Storage that answers when a test says so.
    #[derive(Clone, Default)]
    struct OnDemand {
        searches: Rc<RefCell<Vec<Search>>>,
        ended: Rc<RefCell<Vec<Ended>>>,
    }

    impl Checkpoints for OnDemand {
        fn ask(&mut self, request: Request) {
            if let Request::Find(search, _) = request {
                self.searches.borrow_mut().push(search);
            }
        }

        fn ended(&mut self, into: &mut Vec<Ended>) {
            into.append(&mut self.ended.borrow_mut());
        }
    }

    #[test]
    fn what_an_earlier_search_finds_is_not_taken_for_what_a_later_one_looks_for() {
        let (fold, topology, broker) = shop();
        let storage = OnDemand::default();
        let cadence = Cadence { interval: Duration::from_secs(1), bytes: 1 };
        let log = MemoryLog::join(&broker, KEYED_GROUP, Life(1));
        let mut worker = Worker::new(Keyed::new(fold, topology), log, settings(1, BTreeMap::new()))
            .with_checkpoints(Box::new(storage.clone()), cadence);
        let advance = |worker: &mut Worker<Keyed, MemoryLog>, ended: Vec<Ended>| {
            storage.ended.borrow_mut().extend(ended);
            worker.advance_arrivals().expect("nothing is damaged");
            worker.tasks().count()
        };
        worker.assigned(ENTITY, None, None).expect("it is searched for");
        worker.forget(&[ENTITY]);
        worker.assigned(ENTITY, None, None).expect("it is searched for again");
        let [first, second] = storage.searches.borrow()[..] else { panic!("two searches") };
        let found = |search| Ended::Found(search, None, 0);
        assert_eq!(advance(&mut worker, vec![found(first), Ended::ReadAll(first)]), 0);
        assert_eq!(advance(&mut worker, vec![found(second), Ended::ReadAll(first)]), 0);
        assert_eq!(advance(&mut worker, vec![Ended::ReadAll(second)]), 1);
    }

    #[test]
    fn a_task_whose_log_was_cut_begins_anew_only_where_it_was_told_to_and_goes_on_from_there() {
        let (fold, topology, broker) = shop();
        let stage = Ingest::new(fold.clone(), topology.clone(), Start::Earliest);
        let mut ingest =
            Worker::new(stage, MemoryLog::join(&broker, INGEST_GROUP, Life(1)), settings(1, BTreeMap::new()));
        clicks(&broker, 0..5, || {
            ingest.cycle().expect("memory does not fail");
        });
        let cut_at = broker.borrow().end_offset(ENTITY) - 1;
        broker.borrow_mut().cut_below(ENTITY, cut_at);
        let keyed = |life, anew| {
            let stage = Keyed::new(fold.clone(), topology.clone());
            Worker::new(stage, MemoryLog::join(&broker, KEYED_GROUP, Life(life)), settings(life, anew))
        };
        let mut refused = keyed(2, BTreeMap::new());
        let mut outcome = Ok(0);
        for _ in 0..3 {
            outcome = outcome.and_then(|_| refused.cycle());
        }
        let needs_the_beginning = |error: &WorkerError| matches!(error, WorkerError::Log(LogError::Retention { needed: 0, first, .. }) if *first == cut_at);
        assert!(outcome.as_ref().is_err_and(needs_the_beginning), "{outcome:?}");
        drop(refused);
        broker.borrow_mut().leave(KEYED_GROUP, Life(2));

        let mut anew = keyed(3, BTreeMap::from([(ENTITY, cut_at)]));
        clicks(&broker, 5..9, || {
            ingest.cycle().expect("memory does not fail");
            anew.cycle().expect("it goes on");
        });
        let (_, task, ..) = anew.tasks().next().expect("the task");
        assert!(task.refused.is_empty(), "{:?}", task.refused);
        let applied: u64 = task.ledger.copies.iter().sum();
        assert!((4..9).contains(&applied), "{applied} copies: those behind the cut, and no other");
    }

    /// Ingest that has passed over what was cut, however it was told to, says so to those behind it: they refuse nothing.
    #[test]
    fn what_retention_has_cut_of_a_raw_topic_is_passed_over_by_all_stages_alike() {
        const CLICKS: TopicPartition = TopicPartition { topic: Topic::Clickstream, partition: 0 };
        for is_by_hand in [false, true] {
            let (fold, topology, broker) = shop();
            let ingest = |life, anew| {
                let stage = Ingest::new(fold.clone(), topology.clone(), Start::Earliest);
                Worker::new(stage, MemoryLog::join(&broker, INGEST_GROUP, Life(life)), settings(life, anew))
            };
            let log = MemoryLog::join(&broker, KEYED_GROUP, Life(9));
            let mut keyed =
                Worker::new(Keyed::new(fold.clone(), topology.clone()), log, settings(9, BTreeMap::new()));
            let mut first = ingest(1, BTreeMap::new());
            clicks(&broker, 0..3, || {
                first.cycle().expect("memory does not fail");
                keyed.cycle().expect("memory does not fail");
            });
            drop(first);
            broker.borrow_mut().leave(INGEST_GROUP, Life(1));
            (3..8).for_each(|number| click(&broker, number));
            let cut_at = broker.borrow().end_offset(CLICKS);
            broker.borrow_mut().cut_below(CLICKS, cut_at);
            let anew = if is_by_hand {
                broker.borrow_mut().set_by_hand(INGEST_GROUP, CLICKS, cut_at);
                BTreeMap::new()
            } else {
                BTreeMap::from([(CLICKS, cut_at)])
            };
            let mut second = ingest(2, anew);
            clicks(&broker, 8..12, || {
                second.cycle().expect("it goes on");
                keyed.cycle().expect("it goes on");
            });
            let (_, task, ..) = keyed.tasks().next().expect("the task");
            assert!(task.refused.is_empty(), "by hand {is_by_hand}: {:?}", task.refused);
            let applied: u64 = task.ledger.copies.iter().sum();
            assert_eq!(applied, 3 + 4, "by hand {is_by_hand}");
        }
    }

    /// As above, of the entity log: decide goes on behind the gap.
    #[test]
    fn what_retention_has_cut_of_the_entity_log_is_passed_over_by_decide_too() {
        let (fold, topology, broker) = shop();
        let log = MemoryLog::join(&broker, INGEST_GROUP, Life(1));
        let stage = Ingest::new(fold.clone(), topology.clone(), Start::Earliest);
        let mut ingest = Worker::new(stage, log, settings(1, BTreeMap::new()));
        let log = MemoryLog::join(&broker, DECIDE_GROUP, Life(9));
        let stage = Decide::new(fold.clone(), topology.clone());
        let mut decide = Worker::new(stage, log, settings(9, BTreeMap::new()));
        let keyed = |life, anew| {
            let stage = Keyed::new(fold.clone(), topology.clone());
            Worker::new(stage, MemoryLog::join(&broker, KEYED_GROUP, Life(life)), settings(life, anew))
        };
        let mut first = keyed(2, BTreeMap::new());
        clicks(&broker, 0..3, || {
            ingest.cycle().expect("memory does not fail");
            first.cycle().expect("memory does not fail");
            decide.cycle().expect("memory does not fail");
        });
        drop(first);
        broker.borrow_mut().leave(KEYED_GROUP, Life(2));
        clicks(&broker, 3..8, || {
            ingest.cycle().expect("memory does not fail");
        });
        let cut_at = broker.borrow().end_offset(ENTITY);
        broker.borrow_mut().cut_below(ENTITY, cut_at);
        let mut second = keyed(3, BTreeMap::from([(ENTITY, cut_at)]));
        clicks(&broker, 8..12, || {
            ingest.cycle().expect("memory does not fail");
            second.cycle().expect("it goes on");
            decide.cycle().expect("it goes on");
        });
        let (_, task, ..) = decide.tasks().next().expect("the task");
        assert!(task.refused.is_empty(), "{:?}", task.refused);
        let applied = task.sources.iter().map(|(_, source)| source.applied.offset).max();
        assert!(applied.is_some_and(|applied| applied >= cut_at), "{applied:?}");
    }
}
