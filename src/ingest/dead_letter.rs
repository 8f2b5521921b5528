//! Dead letters: the original bytes, and headers that say where they came from and why.

use crate::codec::Reject;
use crate::log::{Fetched, RecordId};

/// The headers of a dead letter: the record's own, those that Kafka Streams' dead-letter queues
/// carry, and ours.
#[must_use]
pub fn headers(fetched: &Fetched, reject: &Reject, id: RecordId) -> Vec<(String, Vec<u8>)> {
    let mut headers = fetched.record.headers.spelled_out("");
    headers.extend(
        [
            ("__streams.errors.exception", "tillstream.Reject".to_owned()),
            ("__streams.errors.message", reject.to_string()),
            ("__streams.errors.topic", fetched.partition.topic.name().to_owned()),
            ("__streams.errors.partition", fetched.partition.partition.to_string()),
            ("__streams.errors.offset", fetched.offset.to_string()),
            ("tillstream-reason", reject.reason.name().to_owned()),
            ("tillstream-path", reject.path.clone()),
            ("ce_id", id.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value.into_bytes())),
    );
    headers
}
