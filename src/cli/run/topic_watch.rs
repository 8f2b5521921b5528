//! Notices a topic that was deleted, or made again, or given more partitions, under a running instance. Its topics are
//! those of its start: what it reads from others would be taken for something else, so it ends, and the next start
//! joins them as what they are.

use crate::engine::settings::Topology;
use crate::log::Topic;
use crate::log::kafka::{Admin, BrokerTopic, ClientSettings};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(5);
/// A broker that has just started may not know its topics for a moment.
const TIMES_MISSING: u32 = 3;

/// Returns only if a topic is no longer what it was. Those of `read` are read here, beside internal and raw ones.
pub(super) async fn changed(
    client: ClientSettings,
    topology: Arc<Topology>,
    read: Vec<Topic>,
) -> anyhow::Error {
    let (mut admin, mut missing) = (None, 0);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let asked = match admin.take().map_or_else(|| Admin::new(&client).map(Arc::new), Ok) {
            Ok(admin) => admin,
            Err(error) => return error.into(),
        };
        let answers = asked.clone();
        let names: Vec<_> = Topic::ALL.iter().map(|topic| topic.name()).collect();
        let asking = tokio::task::spawn_blocking(move || answers.topic_sizes(&names));
        // a broker that does not answer says nothing of its topics; the client may have lost it for good
        let Ok(Ok(found)) = asking.await else { continue };
        admin = Some(asked);
        match difference(&topology, &found, &read) {
            None => missing = 0,
            Some(Difference::Missing(_)) if missing + 1 < TIMES_MISSING => missing += 1,
            Some(difference) => return anyhow::anyhow!("{difference}"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Difference {
    Missing(Topic),
    MadeAgain(Topic),
    Partitions(Topic, u32, u32),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Difference::Missing(topic) => {
                write!(f, "topic {topic} is gone; `tillstream topics apply` makes it, then start again")
            }
            Difference::MadeAgain(topic) => {
                write!(f, "topic {topic} was deleted and made again; the next start says what becomes of it")
            }
            Difference::Partitions(topic, before, now) => {
                write!(f, "topic {topic} had {before} partitions and has {now}; start again to read them all")
            }
        }
    }
}

fn difference(
    topology: &Topology,
    found: &BTreeMap<String, BrokerTopic>,
    read: &[Topic],
) -> Option<Difference> {
    topology.topics.iter().find_map(|(topic, known)| {
        let Some(found) = found.get(topic.name()) else { return Some(Difference::Missing(*topic)) };
        // of what is only written it matters only that it is there
        if Topic::PUBLIC.contains(topic) && !read.contains(topic) {
            return None;
        }
        if found.id != known.id {
            return Some(Difference::MadeAgain(*topic));
        }
        let partitions = (known.partitions, found.partitions);
        (partitions.0 != partitions.1).then_some(Difference::Partitions(*topic, partitions.0, partitions.1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::KnownTopic;

    #[test]
    fn a_topic_that_is_gone_or_another_or_larger_is_named() {
        let known = KnownTopic { id: 7, partitions: 4 };
        let topology = Topology { topics: [(Topic::Clickstream, known)].into() };
        let found = |id, partitions| {
            let topic = BrokerTopic { id, partitions, replication: 1, config: BTreeMap::new() };
            BTreeMap::from([(Topic::Clickstream.name().to_owned(), topic)])
        };
        assert_eq!(difference(&topology, &found(7, 4), &[]), None);
        let made_again = difference(&topology, &found(8, 4), &[]);
        assert_eq!(made_again, Some(Difference::MadeAgain(Topic::Clickstream)));
        let larger = difference(&topology, &found(7, 5), &[]);
        assert_eq!(larger, Some(Difference::Partitions(Topic::Clickstream, 4, 5)));
        let public = Topology { topics: [(Topic::Sessions, known)].into() };
        let mut other = found(8, 5);
        other.insert(Topic::Sessions.name().to_owned(), other[Topic::Clickstream.name()].clone());
        assert_eq!(difference(&public, &other, &[]), None, "what it only writes may change");
        let made_again = difference(&public, &other, &[Topic::Sessions]);
        assert_eq!(made_again, Some(Difference::MadeAgain(Topic::Sessions)), "what it reads may not");
        let gone = difference(&topology, &BTreeMap::new(), &[]);
        assert_eq!(gone, Some(Difference::Missing(Topic::Clickstream)));
    }
}
