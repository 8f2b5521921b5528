//! What librdkafka's statistics say of partitions: which a completed fetch has found at their end (evidence of idleness), and
//! how far a reader is behind.
//!
//! Marks of transactions have offsets and are handed to nobody: the last record that was may lie before an end that is reached.

use serde::Deserialize;
use std::collections::BTreeMap;

/// What they say, as far as it is read.
#[derive(Deserialize)]
pub(super) struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, Broker>,
    #[serde(default)]
    topics: BTreeMap<String, Topic>,
    #[serde(default)]
    cgrp: Option<Group>,
}

/// Where a member stands.
#[derive(Deserialize)]
struct Group {
    state: String,
    join_state: String,
}

#[derive(Deserialize)]
struct Broker {
    nodeid: i32,
    state: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    req: BTreeMap<String, i64>,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: BTreeMap<String, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    partition: i32,
    broker: i32,
    fetchq_cnt: i64,
    next_offset: i64,
    hi_offset: i64,
    #[serde(default = "nowhere")]
    app_offset: i64,
}

/// As librdkafka says that it knows no offset.
fn nowhere() -> i64 {
    -1_001
}

impl Statistics {
    /// None if they cannot be read.
    pub(super) fn read(bytes: &[u8]) -> Option<Statistics> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether there is a broker that was configured or found. The place of a group's coordinator is none.
    pub(super) fn names_a_broker(&self) -> bool {
        self.brokers.values().any(|broker| !matches!(&*broker.source, "logical" | "internal"))
    }

    /// Whether a member's group has formed, with it, and its coordinator answers.
    pub(super) fn is_in_group(&self) -> bool {
        self.cgrp.as_ref().is_some_and(|group| group.state == "up" && group.join_state == "steady")
    }

    /// How the connections and the member stand, in one line.
    pub(super) fn standing(&self) -> String {
        let brokers = self.brokers.iter().map(|(name, broker)| format!("{name} is {}", broker.state));
        let group = self.cgrp.iter().map(|group| format!("the group {}, {}", group.state, group.join_state));
        brokers.chain(group).collect::<Vec<_>>().join(", ")
    }

    /// How many offsets of each partition, by topic name, lie between what was handed out and its end, where that is known.
    pub(super) fn unread(&self) -> impl Iterator<Item = (&str, u32, u64)> {
        let partitions = self
            .topics
            .iter()
            .flat_map(|(topic, known)| known.partitions.values().map(move |partition| (&**topic, partition)));
        partitions.filter(|(_, partition)| partition.hi_offset >= 0).filter_map(|(topic, partition)| {
            let number = u32::try_from(partition.partition).ok()?;
            Some((topic, number, partition.unread()))
        })
    }
}

impl Partition {
    fn unread(&self) -> u64 {
        if self.fetchq_cnt == 0 && self.next_offset >= self.hi_offset {
            return 0;
        }
        // before the first record is handed out only the next fetch says where reading is
        let handed_out = if self.app_offset >= 0 { self.app_offset } else { self.next_offset.max(0) };
        self.hi_offset.saturating_sub(handed_out).max(0).unsigned_abs()
    }
}

/// Remembers the number of fetches per broker, so that a broker that answers none gives no evidence.
#[derive(Debug, Default)]
pub(super) struct AtEnd {
    fetches: BTreeMap<i32, i64>,
}

impl AtEnd {
    /// The partitions that stand at their end, by topic name, as far as a fetch was sent to their
    /// broker since the last call.
    pub(super) fn partitions(&mut self, statistics: &Statistics) -> Vec<(String, u32)> {
        let mut answering = Vec::new();
        for broker in statistics.brokers.values() {
            let fetches = broker.req.get("Fetch").copied().unwrap_or(0);
            let before = self.fetches.insert(broker.nodeid, fetches);
            if broker.state == "UP" && before.is_some_and(|before| fetches > before + 1) {
                answering.push(broker.nodeid);
            }
        }
        let at_end = |partition: &&Partition| {
            answering.contains(&partition.broker)
                && partition.fetchq_cnt == 0
                && partition.hi_offset >= 0
                && partition.next_offset >= partition.hi_offset
        };
        let mut found = Vec::new();
        for (topic, known) in &statistics.topics {
            for partition in known.partitions.values().filter(at_end) {
                if let Ok(number) = u32::try_from(partition.partition) {
                    found.push((topic.clone(), number));
                }
            }
        }
        found
    }
}

/// How far a reader is behind, over all its partitions.
#[derive(Debug, Default)]
pub(super) struct Distance {
    at_end: AtEnd,
}

impl Distance {
    /// Records that are in the partitions and were not yet handed out. None as long as the broker of one of them does not
    /// answer, or has not said where it ends.
    pub(super) fn records(&mut self, statistics: &Statistics) -> Option<u64> {
        let ended = self.at_end.partitions(statistics);
        let (mut unread, mut queued) = (0, 0);
        for (topic, known) in &statistics.topics {
            for partition in known.partitions.values() {
                let Ok(number) = u32::try_from(partition.partition) else { continue };
                if partition.hi_offset < 0 {
                    return None;
                }
                let behind = partition.hi_offset.saturating_sub(partition.next_offset.max(0)).max(0);
                // all partitions share one queue, and each of them says how much is in it
                queued = queued.max(partition.fetchq_cnt.max(0).unsigned_abs());
                if behind == 0 && queued == 0 && !ended.contains(&(topic.clone(), number)) {
                    return None;
                }
                unread += behind.unsigned_abs();
            }
        }
        Some(unread + queued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(fetches: i64, state: &str, next: i64, high: i64) -> Vec<u8> {
        serde_json::json!({
            "brokers": {"b": {"nodeid": 1, "state": state, "req": {"Fetch": fetches}}},
            "topics": {"clickstream": {"partitions": {
                "0": {"partition": 0, "broker": 1, "fetchq_cnt": 0, "next_offset": next, "hi_offset": high},
                "-1": {"partition": -1, "broker": -1, "fetchq_cnt": 0, "next_offset": -1001, "hi_offset": -1001},
            }}},
        })
        .to_string()
        .into_bytes()
    }

    fn read(fetches: i64, state: &str, next: i64, high: i64) -> Statistics {
        Statistics::read(&statistics(fetches, state, next, high)).expect("they can be read")
    }

    #[test]
    fn a_partition_is_at_its_end_only_while_its_broker_answers_fetches() {
        let mut at_end = AtEnd::default();
        let end = vec![("clickstream".to_owned(), 0)];
        assert_eq!(at_end.partitions(&read(10, "UP", 5, 5)), vec![], "the first statistics prove nothing");
        assert_eq!(at_end.partitions(&read(110, "UP", 5, 5)), end);
        assert_eq!(at_end.partitions(&read(110, "UP", 5, 5)), vec![], "no fetch since");
        assert_eq!(at_end.partitions(&read(210, "DOWN", 5, 5)), vec![]);
        assert_eq!(at_end.partitions(&read(310, "UP", 4, 5)), vec![], "something is left");
    }

    #[test]
    fn a_reader_knows_how_far_it_is_behind_while_its_broker_answers() {
        let mut distance = Distance::default();
        assert_eq!(distance.records(&read(10, "UP", 5, 5)), None, "nothing is proven yet");
        assert_eq!(distance.records(&read(110, "UP", 5, 5)), Some(0));
        assert_eq!(distance.records(&read(210, "UP", 2, 5)), Some(3));
        assert_eq!(distance.records(&read(210, "UP", 5, 5)), None, "no fetch since");
        assert_eq!(distance.records(&read(310, "UP", 5, -1001)), None, "the end is not known");
    }

    #[test]
    fn what_is_unread_is_counted_from_what_was_handed_out_unless_the_end_is_reached() {
        for (name, next, app, queued, high, expected) in [
            ("at the end, behind the mark of a transaction", 10, 9, 0, 10, Some(0)),
            ("fetched and not handed out", 10, 4, 6, 10, Some(6)),
            ("not fetched", 4, 4, 0, 10, Some(6)),
            ("nothing was handed out yet", 4, -1_001, 0, 10, Some(6)),
            ("reading has not begun", -1_001, -1_001, 0, 10, Some(10)),
            ("the end is not known", 4, 4, 0, -1_001, None),
        ] {
            let text = serde_json::json!({"topics": {"clickstream": {"partitions": {"3": {
                "partition": 3, "broker": 1, "fetchq_cnt": queued, "next_offset": next, "hi_offset": high, "app_offset": app,
            }}}}});
            let statistics = Statistics::read(text.to_string().as_bytes()).expect("they can be read");
            let expected: Vec<_> = expected.map(|records| ("clickstream", 3, records)).into_iter().collect();
            assert_eq!(statistics.unread().collect::<Vec<_>>(), expected, "{name}");
        }
    }
}
