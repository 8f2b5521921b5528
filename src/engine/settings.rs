//! What the stages are told: the resolved configuration, as far as results depend on it.

use crate::drift::DriftSettings;
use crate::feature::FeaturePlan;
use crate::fraud::RuleSet;
use crate::fraud::model::Model;
use crate::ingest::pseudonym::Pseudonyms;
use crate::link::LinkSettings;
use crate::log::frame::{FoldVersion, SourceId};
use crate::log::{Topic, TopicPartition};
use crate::session::SessionSettings;
use std::collections::BTreeMap;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// Changed whenever the code of a fold changes what the same log gives.
pub const CODE_OF_THE_FOLD: u32 = 26;

/// Changed whenever the bytes of checkpoints come to mean something else.
pub const FORMAT_OF_STATE: u32 = 23;

/// Everything on which results depend. The same for every worker of an application.
#[derive(Debug)]
pub struct FoldSettings {
    /// Payloads larger than this are refused.
    pub payload_bytes_max: usize,
    /// How far behind the newest event of its partition an event may be without being late.
    pub out_of_orderness: Duration,
    /// How far beyond its record's timestamp an event may lie.
    pub future_bound: Duration,
    /// For how long event ids are remembered.
    pub dedup_horizon: Duration,
    /// For how long after its payment a decision waits for a label, and a label for its decision.
    pub label_horizon: Duration,
    /// How sessions are cut.
    pub sessions: SessionSettings,
    /// What a login is good for.
    pub links: LinkSettings,
    /// The views.
    pub plan: FeaturePlan,
    /// The rules.
    pub rules: RuleSet,
    /// The model that learns beside them, if there is one.
    pub model: Option<Model>,
    /// How drift is watched for.
    pub drift: DriftSettings,
    /// The keyed hashes.
    pub pseudonyms: Pseudonyms,
    /// The text of everything above, for the fold's version.
    pub fingerprint: String,
}

/// How long a decision's tombstone outlives the horizon: the skew between entities' watermarks.
pub const TOMBSTONE_SKEW: Duration = Duration::from_secs(3_600);

impl FoldSettings {
    /// The version of the fold over `topology`.
    #[must_use]
    pub fn fold_version(&self, topology: &Topology) -> FoldVersion {
        let partitions: Vec<_> = topology
            .topics
            .iter()
            .filter(|(topic, _)| is_internal(**topic))
            .map(|(topic, known)| (topic.name(), known.partitions))
            .collect();
        FoldVersion(xxh3_64(format!("{CODE_OF_THE_FOLD} {partitions:?} {}", self.fingerprint).as_bytes()))
    }
}

/// The shape of the state of a task that writes `log`. What it has sent is in the log and no longer in the state: where the
/// log was made again, the state goes with it. `parts`: what else the state means nothing without.
pub(super) fn shape(topology: &Topology, log: Topic, parts: impl std::fmt::Debug) -> u64 {
    xxh3_64(format!("{FORMAT_OF_STATE} {:032x} {parts:?}", topology.known(log).id).as_bytes())
}

fn is_internal(topic: Topic) -> bool {
    matches!(topic, Topic::Linked | Topic::Entity | Topic::Decision | Topic::Monitor)
}

/// A topic as the broker has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownTopic {
    /// Its id.
    pub id: u128,
    /// Its number of partitions.
    pub partitions: u32,
}

/// The topics as the broker has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// Every topic that tillstream reads or writes.
    pub topics: BTreeMap<Topic, KnownTopic>,
}

impl Topology {
    /// Differs where a topic that is read is another one, or has another number of partitions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let read = self.topics.iter().filter(|(topic, _)| !Topic::PUBLIC.contains(topic));
        let topics = read.map(|(topic, known)| (topic.name(), known.id, known.partitions));
        xxh3_64(format!("{:?}", topics.collect::<Vec<_>>()).as_bytes())
    }

    /// The number of partitions of `topic`.
    ///
    /// # Panics
    ///
    /// If the topic is not known; the edge looks all of them up before it starts.
    #[must_use]
    pub fn partitions(&self, topic: Topic) -> u32 {
        self.known(topic).partitions
    }

    /// Under which id a partition is a source.
    ///
    /// # Panics
    ///
    /// As [`Topology::partitions`].
    #[must_use]
    pub fn source(&self, partition: TopicPartition) -> SourceId {
        SourceId { topic: self.known(partition.topic).id, partition: partition.partition }
    }

    /// Every partition of `topics` as a source, with the topic's name.
    #[must_use]
    pub fn sources(&self, topics: &[Topic]) -> Vec<(SourceId, &'static str)> {
        self.each_partition(topics)
            .map(|partition| (self.source(partition), partition.topic.name()))
            .collect()
    }

    /// Every partition of `topics`.
    pub fn each_partition(&self, topics: &[Topic]) -> impl Iterator<Item = TopicPartition> {
        let partitions = |topic: &Topic| {
            let topic = *topic;
            (0..self.partitions(topic)).map(move |number| TopicPartition::new(topic, number))
        };
        topics.iter().flat_map(partitions)
    }

    /// The topics' names by id.
    #[must_use]
    pub fn names(&self) -> BTreeMap<u128, &'static str> {
        self.topics.iter().map(|(topic, known)| (known.id, topic.name())).collect()
    }

    fn known(&self, topic: Topic) -> KnownTopic {
        *self.topics.get(&topic).expect("every topic was looked up before the start")
    }
}
