//! What a group has committed, and whether it speaks of the topics as they are: each offset is committed with the ids of
//! the topic it counts in and of the log that was made of it.

use crate::log::position::Offset;
use crate::log::{LogError, Topic, TopicPartition};
use std::collections::BTreeMap;

/// The ids of the topics as they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicIds(pub BTreeMap<Topic, u128>);

/// What a group has committed of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextOffset {
    /// Nothing.
    Never,
    /// It reads this offset next.
    At(Offset),
    /// Somebody has set it, by other means than a commit of ours: what lies below it may or may not have been done.
    ByHand(Offset),
    /// Of a topic of this name that is gone since.
    OfAnother(Offset),
    /// Of this topic, but what was made of it lay in a log that is gone since.
    InAnother(Offset),
}

impl TopicIds {
    /// The metadata of an offset of `topic`: its id and that of the log that its reader writes, as far as they are known.
    pub(super) fn metadata(&self, topic: Topic) -> String {
        let written = match topic {
            Topic::Entity => Some(Topic::Decision),
            Topic::Decision => Some(Topic::Monitor),
            Topic::Monitor => Some(Topic::Decision),
            _ if Topic::RAW.contains(&topic) => Some(Topic::Entity),
            _ => None,
        };
        let ids = [Some(topic), written].into_iter().flatten().filter_map(|topic| self.0.get(&topic));
        ids.map(|id| format!("{id:032x}")).collect::<Vec<_>>().join(" ")
    }

    /// What an offset with this metadata says of the topic as it is.
    pub(super) fn judge(&self, topic: Topic, next: rdkafka::Offset, metadata: &str) -> NextOffset {
        let rdkafka::Offset::Offset(next) = next else { return NextOffset::Never };
        let ours = self.metadata(topic);
        if ours.is_empty() {
            return NextOffset::At(next);
        }
        if metadata.is_empty() {
            return NextOffset::ByHand(next);
        }
        let mut differ = ours.split(' ').zip(metadata.split(' ')).map(|(ours, theirs)| ours != theirs);
        match (differ.next(), differ.next()) {
            (Some(true), _) => NextOffset::OfAnother(next),
            (_, Some(true)) => NextOffset::InAnother(next),
            _ => NextOffset::At(next),
        }
    }
}

impl NextOffset {
    /// The next offset of `partition`; none if there is none, or if it is one of a raw topic that is gone.
    ///
    /// # Errors
    ///
    /// [`LogError::Fatal`]: an internal log was made again and has lost what was in it: that is not passed over in silence.
    pub fn or_lost(self, partition: TopicPartition) -> Result<Option<Offset>, LogError> {
        let (lost, next) = match self {
            NextOffset::At(next) | NextOffset::ByHand(next) => return Ok(Some(next)),
            NextOffset::Never => return Ok(None),
            NextOffset::OfAnother(_) if Topic::RAW.contains(&partition.topic) => return Ok(None),
            NextOffset::OfAnother(next) => (partition.topic, next),
            NextOffset::InAnother(next) if partition.topic == Topic::Decision => (Topic::Monitor, next),
            NextOffset::InAnother(next) if matches!(partition.topic, Topic::Entity | Topic::Monitor) => {
                (Topic::Decision, next)
            }
            NextOffset::InAnother(next) => (Topic::Entity, next),
        };
        Err(LogError::Fatal(format!(
            "{lost} was made again since offset {next} of {partition} was committed: what was in the old one is lost; to begin \
             again with what the logs before it still hold, delete the application's consumer groups and start"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(topics: &[(Topic, u128)]) -> TopicIds {
        TopicIds(topics.iter().copied().collect())
    }

    #[test]
    fn an_offset_counts_only_for_the_topics_that_it_was_committed_for() {
        let then = ids(&[(Topic::Clickstream, 1), (Topic::Entity, 2), (Topic::Decision, 3)]);
        let (at, metadata) = (rdkafka::Offset::Offset(7), |topic| then.metadata(topic));
        for topic in [Topic::Clickstream, Topic::Entity, Topic::Decision] {
            assert_eq!(then.judge(topic, at, &metadata(topic)), NextOffset::At(7));
        }
        let raw_again = ids(&[(Topic::Clickstream, 9), (Topic::Entity, 2), (Topic::Decision, 3)]);
        let judged = raw_again.judge(Topic::Clickstream, at, &metadata(Topic::Clickstream));
        assert_eq!(judged, NextOffset::OfAnother(7));
        let partition = TopicPartition::new(Topic::Clickstream, 0);
        assert!(judged.or_lost(partition).is_ok_and(|next| next.is_none()), "read from its beginning");

        let entity_again = ids(&[(Topic::Clickstream, 1), (Topic::Entity, 9), (Topic::Decision, 3)]);
        for (topic, expected) in
            [(Topic::Clickstream, NextOffset::InAnother(7)), (Topic::Entity, NextOffset::OfAnother(7))]
        {
            let judged = entity_again.judge(topic, at, &metadata(topic));
            assert_eq!(judged, expected);
            let told = judged.or_lost(TopicPartition::new(topic, 0)).expect_err("it is lost").to_string();
            assert!(told.contains("tillstream.entity was made again"), "{told}");
        }
        assert_eq!(entity_again.judge(Topic::Decision, at, &metadata(Topic::Decision)), NextOffset::At(7));
    }

    #[test]
    fn an_offset_without_metadata_was_set_by_hand_and_counts() {
        let ids = ids(&[(Topic::Clickstream, 1)]);
        let judged = ids.judge(Topic::Clickstream, rdkafka::Offset::Offset(7), "");
        assert_eq!(judged, NextOffset::ByHand(7));
        let partition = TopicPartition::new(Topic::Clickstream, 0);
        assert!(judged.or_lost(partition).is_ok_and(|next| next == Some(7)));
        assert_eq!(ids.judge(Topic::Clickstream, rdkafka::Offset::Invalid, ""), NextOffset::Never);
    }
}
