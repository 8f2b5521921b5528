//! When decisions have waited long enough: timers of processing time, kept beside the tasks.

use crate::event::{Deadline, DecisionId};
use crate::log::TopicPartition;
use crate::log::position::Offset;
use crate::time::ProcessingTime;
use std::collections::{BTreeMap, BTreeSet};

/// A timer for each open gather. All operations are O(log n); asking what is due costs only what is due.
#[derive(Debug, Clone, Default)]
pub struct Deadlines {
    armed: BTreeMap<(TopicPartition, DecisionId), Armed>,
    by_time: BTreeSet<(ProcessingTime, TopicPartition, DecisionId)>,
}

#[derive(Debug, Clone, Copy)]
struct Armed {
    due: ProcessingTime,
    /// Where the gather opened.
    opened_at: Offset,
}

impl Deadlines {
    /// The gather of `decision` opened at `opened_at`; its deadline is at `due`.
    pub fn arm(
        &mut self,
        partition: TopicPartition,
        decision: DecisionId,
        opened_at: Offset,
        due: ProcessingTime,
    ) {
        self.disarm(partition, decision);
        self.armed.insert((partition, decision), Armed { due, opened_at });
        self.by_time.insert((due, partition, decision));
    }

    /// The gather of `decision` has closed.
    pub fn disarm(&mut self, partition: TopicPartition, decision: DecisionId) {
        if let Some(armed) = self.armed.remove(&(partition, decision)) {
            self.by_time.remove(&(armed.due, partition, decision));
        }
    }

    /// Forgets partitions that belong to somebody else now.
    pub fn forget(&mut self, partitions: &[TopicPartition]) {
        self.armed.retain(|(partition, _), _| !partitions.contains(partition));
        self.by_time.retain(|(_, partition, _)| !partitions.contains(partition));
    }

    /// The deadlines that are due at `now`, in order of time. Each is armed again for `again`, which lies after
    /// `now`: the record that says so may be lost.
    pub fn due(&mut self, now: ProcessingTime, again: ProcessingTime) -> Vec<(TopicPartition, Deadline)> {
        let mut due = Vec::new();
        while self.by_time.first().is_some_and(|(at, ..)| *at <= now)
            && let Some((_, partition, decision)) = self.by_time.pop_first()
        {
            let armed = self.armed.get_mut(&(partition, decision)).expect("what has a time is armed");
            armed.due = again;
            due.push((partition, Deadline { decision, opened_at: armed.opened_at }));
        }
        self.by_time.extend(due.iter().map(|(partition, deadline)| (again, *partition, deadline.decision)));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Topic;

    const P: TopicPartition = TopicPartition { topic: Topic::Decision, partition: 0 };
    const Q: TopicPartition = TopicPartition { topic: Topic::Decision, partition: 1 };

    fn due_at(deadlines: &mut Deadlines, now: i64) -> Vec<u128> {
        let due = deadlines.due(ProcessingTime(now), ProcessingTime(now + 100));
        due.iter().map(|(_, deadline)| deadline.decision.0).collect()
    }

    #[test]
    fn a_deadline_is_due_at_its_time_and_again_until_it_is_disarmed() {
        let mut deadlines = Deadlines::default();
        deadlines.arm(P, DecisionId(1), 7, ProcessingTime(200));
        deadlines.arm(P, DecisionId(2), 8, ProcessingTime(150));
        assert_eq!(due_at(&mut deadlines, 149), []);
        assert_eq!(due_at(&mut deadlines, 200), [2, 1], "in the order of time");
        assert_eq!(due_at(&mut deadlines, 299), []);
        deadlines.disarm(P, DecisionId(1));
        assert_eq!(due_at(&mut deadlines, 300), [2]);
    }

    #[test]
    fn arming_again_moves_a_deadline() {
        let mut deadlines = Deadlines::default();
        deadlines.arm(P, DecisionId(1), 7, ProcessingTime(200));
        deadlines.arm(P, DecisionId(1), 9, ProcessingTime(300));
        assert_eq!(due_at(&mut deadlines, 299), []);
        let due = deadlines.due(ProcessingTime(300), ProcessingTime(400));
        assert_eq!(due, [(P, Deadline { decision: DecisionId(1), opened_at: 9 })]);
    }

    #[test]
    fn a_partition_that_went_away_has_no_deadlines() {
        let mut deadlines = Deadlines::default();
        deadlines.arm(P, DecisionId(1), 7, ProcessingTime(200));
        deadlines.arm(Q, DecisionId(2), 7, ProcessingTime(200));
        deadlines.forget(&[P]);
        assert_eq!(due_at(&mut deadlines, 200), [2]);
    }
}
