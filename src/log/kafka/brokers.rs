//! A client that has lost every broker.
//!
//! librdkafka forgets a broker that is missing from an answer about the cluster. An answer that names none at all, as a broker gives
//! that the cluster has shut out for a moment, can leave it without any: then it asks nobody, says nothing, and never comes back
//! (librdkafka 2.10 and later, <https://github.com/confluentinc/librdkafka/issues/5301>). Whoever has such a client makes another.

use super::statistics::Statistics;
use crate::log::LogError;
use std::sync::atomic::{AtomicU32, Ordering};

/// So many reports one after the other: while it begins anew of itself there may be none for a moment.
const REPORTS: u32 = 2;

/// Whether a client still has a broker that it may ask.
#[derive(Debug, Default)]
pub(super) struct KnownBrokers {
    reports_of_none: AtomicU32,
}

impl KnownBrokers {
    /// Takes the statistics of the client, as they are reported.
    pub(super) fn take(&self, statistics: &[u8]) {
        if let Some(statistics) = Statistics::read(statistics) {
            self.look(&statistics);
        }
    }

    pub(super) fn look(&self, statistics: &Statistics) {
        if statistics.names_a_broker() {
            self.reports_of_none.store(0, Ordering::Relaxed);
        } else {
            self.reports_of_none.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn are_lost(&self) -> bool {
        self.reports_of_none.load(Ordering::Relaxed) >= REPORTS
    }

    /// # Errors
    ///
    /// [`LogError::Kafka`] if the client will ask no broker any more.
    pub(super) fn check(&self) -> Result<(), LogError> {
        if self.are_lost() {
            return Err(LogError::Kafka(
                "the cluster named no broker for a moment, and the client library has forgotten them all"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(sources: &[&str]) -> Vec<u8> {
        let broker = |source: &&str| {
            let broker = serde_json::json!({"nodeid": -1, "state": "INIT", "source": source, "req": {}});
            ((*source).to_owned(), broker)
        };
        let brokers: serde_json::Map<_, _> = sources.iter().map(broker).collect();
        serde_json::json!({"brokers": brokers, "topics": {}}).to_string().into_bytes()
    }

    #[test]
    fn a_client_is_lost_when_its_statistics_name_no_broker_twice_in_a_row() {
        let known = KnownBrokers::default();
        for (sources, are_lost) in [
            (&["configured", "logical"][..], false),
            (&["logical"], false),
            (&["logical", "learned"], false),
            (&["logical", "internal"], false),
            (&[], true),
            (&["logical"], true),
        ] {
            known.take(&statistics(sources));
            assert_eq!(known.are_lost(), are_lost, "{sources:?}");
            assert_eq!(known.check().is_err(), are_lost);
        }
        known.take(b"what cannot be read says nothing");
        assert!(known.are_lost());
    }
}
