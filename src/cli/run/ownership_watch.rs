//! Notices partitions that no member of a group has, though the group is at rest, and has them dealt out anew: see
//! [`crate::log::kafka::Ownership`].

use super::group_of;
use crate::config::{Config, Role};
use crate::engine::settings::Topology;
use crate::log::kafka::{ClientSettings, Ownership};
use crate::log::{LogError, Topic, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(5);

/// A group, and how many partitions its topics have.
pub(super) type Group = (String, BTreeMap<Topic, u32>);

/// The groups of the roles of this instance.
pub(super) fn groups(config: &Config, topology: &Topology) -> Vec<Group> {
    let topics = |role: &Role| match role {
        Role::Ingest => &Topic::RAW[..],
        Role::Keyed => &[Topic::Entity],
        Role::Decide => &[Topic::Decision],
        Role::Monitor => &[Topic::Monitor],
        Role::Serve | Role::Archive | Role::Notify => &[],
    };
    let group = |role: &Role| {
        let partitions = topics(role).iter().map(|topic| (*topic, topology.partitions(*topic)));
        (group_of(config, *role), partitions.collect::<BTreeMap<_, _>>())
    };
    config.roles.iter().map(group).filter(|(_, partitions)| !partitions.is_empty()).collect()
}

/// Looks at `groups` until told to stop.
pub(super) async fn watch(client: ClientSettings, groups: Vec<Group>, stop: Arc<AtomicBool>) {
    let mut before: BTreeMap<String, BTreeSet<TopicPartition>> = BTreeMap::new();
    let mut ownership = None;
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(INTERVAL).await;
        let Some(asked) = ownership.take().or_else(|| Ownership::new(&client).ok().map(Arc::new)) else {
            continue;
        };
        let (of, groups, stop) = (asked.clone(), groups.clone(), stop.clone());
        let looking = tokio::task::spawn_blocking(move || look(&of, &groups, before, &stop));
        match looking.await {
            Ok(Ok(unowned)) => (before, ownership) = (unowned, Some(asked)),
            // the client may have lost the broker for good
            Ok(Err(error)) => {
                tracing::debug!(%error, "who has which partitions is not known");
                before = BTreeMap::new();
            }
            Err(_) => return,
        }
    }
}

/// What belongs to nobody now. What did not before either is dealt out anew: between the two rounds in which partitions move they belong
/// to nobody for a moment.
fn look(
    ownership: &Ownership,
    groups: &[Group],
    before: BTreeMap<String, BTreeSet<TopicPartition>>,
    stop: &AtomicBool,
) -> Result<BTreeMap<String, BTreeSet<TopicPartition>>, LogError> {
    let mut now = BTreeMap::new();
    for (group, partitions) in groups {
        let unowned = ownership.unowned(group, partitions)?;
        let still = before.get(group).is_some_and(|before| !before.is_disjoint(&unowned));
        if still {
            let partitions: Vec<String> = unowned.iter().map(ToString::to_string).collect();
            tracing::warn!(
                group,
                ?partitions,
                "no member has these partitions; having the group deal them out anew"
            );
            ownership.have_dealt_out_anew(group, || stop.load(Ordering::Relaxed))?;
        } else {
            now.insert(group.clone(), unowned);
        }
    }
    Ok(now)
}
