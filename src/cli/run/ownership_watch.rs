//! Notices partitions that no member of a group has, though the group is at rest, and has them dealt out anew: see
//! [`crate::log::kafka::Ownership`].

use super::group_of;
use crate::config::{Config, Role};
use crate::engine::settings::Topology;
use crate::log::kafka::{ClientSettings, Ownership};
use crate::log::{LogError, Topic, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

const INTERVAL: Duration = Duration::from_secs(5);
/// For so many looks in a row: while partitions move they belong to nobody, and a member that does not let go of them is given up after
/// half a minute (`max.poll.interval.ms`).
const LOOKS: u32 = 7;

/// A group, and how many partitions its topics have.
pub(super) type Group = (String, BTreeMap<Topic, u32>);

/// The groups of the roles of this instance.
pub(super) fn groups(config: &Config, topology: &Topology) -> Vec<Group> {
    let topics = |role: &Role| match role {
        Role::Ingest => &Topic::RAW[..],
        Role::Keyed => &[Topic::Entity],
        Role::Decide => &[Topic::Decision],
        Role::Monitor => &[Topic::Monitor],
        Role::Notify => &[Topic::Rules],
        Role::Serve | Role::Archive => &[],
    };
    let group = |role: &Role| {
        let partitions = topics(role).iter().map(|topic| (*topic, topology.partitions(*topic)));
        (group_of(config, *role), partitions.collect::<BTreeMap<_, _>>())
    };
    config.roles.iter().map(group).filter(|(_, partitions)| !partitions.is_empty()).collect()
}

/// Looks at `groups` until told to stop. Of several instances not all look after the same time: `slot` says which.
pub(super) async fn watch(client: ClientSettings, groups: Vec<Group>, stop: Arc<AtomicBool>) {
    let slot = client.slot.clone().unwrap_or_default();
    let looks = LOOKS + u32::try_from(xxh3_64(slot.as_bytes()) % u64::from(LOOKS)).unwrap_or(0);
    let mut watched = Watched { groups, looks, unowned: BTreeMap::new() };
    let mut ownership = None;
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(INTERVAL).await;
        let asked = match ownership.take().map_or_else(|| Ownership::new(&client), Ok) {
            Ok(asked) => asked,
            Err(error) => {
                tracing::warn!(%error, "who has which partitions is not watched");
                return;
            }
        };
        let stop = stop.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let looked = watched.look(&asked, &stop);
            (watched, looked.map(|()| asked))
        });
        let Ok((after, looked)) = looking.await else { return };
        watched = after;
        match looked {
            Ok(asked) => ownership = Some(asked),
            // the client may have lost the brokers for good
            Err(error) => tracing::debug!(%error, "who has which partitions is not known"),
        }
    }
}

/// Groups, and their partitions that nobody had at the last look, with how often in a row.
struct Watched {
    groups: Vec<Group>,
    looks: u32,
    unowned: BTreeMap<(String, TopicPartition), u32>,
}

impl Watched {
    /// Has dealt out anew what belonged to nobody for so many looks.
    fn look(&mut self, ownership: &Ownership, stop: &AtomicBool) -> Result<(), LogError> {
        for (group, partitions) in &self.groups {
            let unowned = ownership.unowned(group, partitions)?;
            self.unowned.retain(|(of, partition), _| of != group || unowned.contains(partition));
            for partition in &unowned {
                *self.unowned.entry((group.clone(), *partition)).or_default() += 1;
            }
            let still = self.unowned.iter().filter(|((of, _), looks)| of == group && **looks >= self.looks);
            let still: Vec<String> = still.map(|((_, partition), _)| partition.to_string()).collect();
            if !still.is_empty() {
                tracing::warn!(group, partitions = ?still, "nobody has these partitions; having the group deal them out anew");
                ownership.have_dealt_out_anew(group, || stop.load(Ordering::Relaxed))?;
                self.unowned.retain(|(of, _), _| of != group);
            }
        }
        Ok(())
    }
}
