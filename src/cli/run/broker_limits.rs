//! What the broker must allow, or the first large record would end one life after the other: asked at the start.

use crate::cli::topics::record_bytes_wanted;
use crate::log::kafka::{Admin, ClientSettings};
use std::collections::BTreeMap;

const SETTING: &str = "max.message.bytes";

/// # Errors
///
/// Every topic that takes smaller records than tillstream may write there, and the way out. A broker that does not tell
/// is believed: the account may lack the right to ask.
pub(super) async fn check(client: &ClientSettings) -> anyhow::Result<()> {
    let wanted = record_bytes_wanted();
    let names: Vec<&str> = wanted.keys().copied().collect();
    match Admin::new(client)?.topic_configs(&names).await {
        Ok(found) => {
            let small = too_small(&wanted, &found);
            anyhow::ensure!(
                small.is_empty(),
                "these topics take smaller records than are written to them: {}; set it with kafka-configs, or delete the \
                 topic and let `tillstream topics apply` make it",
                small.join(", ")
            );
        }
        Err(fault) => tracing::warn!(%fault, "the broker does not tell the limits of its topics"),
    }
    Ok(())
}

fn too_small(
    wanted: &BTreeMap<&'static str, u64>,
    found: &BTreeMap<&'static str, BTreeMap<String, String>>,
) -> Vec<String> {
    let of = |(name, wanted): (&&str, &u64)| {
        let has = found.get(*name)?.get(SETTING)?.parse::<u64>().ok()?;
        (has < *wanted).then(|| format!("{name} ({SETTING} is {has}, and must be {wanted} at least)"))
    };
    wanted.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Topic;

    #[test]
    fn a_topic_that_takes_smaller_records_than_are_written_to_it_is_named() {
        let topic = |bytes: &str| BTreeMap::from([(SETTING.to_owned(), bytes.to_owned())]);
        let wanted = record_bytes_wanted();
        assert!(!wanted.contains_key(Topic::Clickstream.name()), "raw topics are written by others");
        let mut found: BTreeMap<_, _> =
            wanted.iter().map(|(name, bytes)| (*name, topic(&bytes.to_string()))).collect();
        assert_eq!(too_small(&wanted, &found), [""; 0]);
        found.insert(Topic::Entity.name(), topic("1048588"));
        assert_eq!(
            too_small(&wanted, &found),
            ["tillstream.entity (max.message.bytes is 1048588, and must be 8388608 at least)"]
        );
    }
}
