//! Dead letters: the original bytes, and headers that say where they came from and why.
//!
//! A record that is too large for the dead-letter topic keeps only its origin: raw topics count compressed sizes,
//! so a record that was small there can be as large as it likes here, and must stop nothing.

use crate::codec::Reject;
use crate::log::position::Offset;
use crate::log::{Fetched, Headers, LogRecord, RecordId, TopicPartition};

/// Key, value and headers of a record that are kept; half of what the topic takes, so that ours always fit.
const BYTES_MAX: usize = 4 << 20;
/// What a header takes beside its name and value, at most: two lengths.
const HEADER_BYTES: usize = 10;
/// The largest key that is kept where the value is not.
const KEY_BYTES_MAX: usize = 64 << 10;

/// The dead letter of a refused record: the record's own key, value and headers, the headers that Kafka
/// Streams' dead-letter queues carry, and ours. Of a record beyond 4 MiB: no value, no headers of its own,
/// `tillstream-left-out-bytes`, and the key if it is at most 64 KiB.
#[must_use]
pub fn dead_letter(fetched: &Fetched, reject: &Reject, id: RecordId) -> LogRecord {
    let record = &fetched.record;
    let own_headers = record.headers.spelled_out("");
    let bytes = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
    let header_bytes: usize =
        own_headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_BYTES).sum();
    let all = bytes(&record.key) + bytes(&record.value) + header_bytes;
    let (key, value, mut headers) = if all <= BYTES_MAX {
        (record.key.clone(), record.value.clone(), own_headers)
    } else {
        let key = record.key.clone().filter(|key| key.len() <= KEY_BYTES_MAX);
        let left_out = all - bytes(&key);
        (key, None, vec![("tillstream-left-out-bytes".to_owned(), left_out.to_string().into_bytes())])
    };
    let why = Why { reason: reject.reason.name(), path: &reject.path, message: &reject.to_string() };
    headers.extend(why.headers((fetched.partition, fetched.offset), id));
    LogRecord { key, value, headers: Headers::Verbatim(headers), timestamp_ms: None }
}

/// Why a record is a dead letter.
#[derive(Debug, Clone, Copy)]
pub struct Why<'w> {
    /// In one word.
    pub reason: &'w str,
    /// The place of the fault in the record; `$` is the whole.
    pub path: &'w str,
    /// In a sentence.
    pub message: &'w str,
}

impl Why<'_> {
    /// The headers that Kafka Streams' dead-letter queues carry, and ours, of the record at `origin`.
    pub fn headers(
        self,
        (partition, offset): (TopicPartition, Offset),
        id: RecordId,
    ) -> impl Iterator<Item = (String, Vec<u8>)> {
        let headers = [
            ("__streams.errors.exception", "tillstream.Reject".to_owned()),
            ("__streams.errors.message", self.message.to_owned()),
            ("__streams.errors.topic", partition.topic.name().to_owned()),
            ("__streams.errors.partition", partition.partition.to_string()),
            ("__streams.errors.offset", offset.to_string()),
            ("tillstream-reason", self.reason.to_owned()),
            ("tillstream-path", self.path.to_owned()),
            ("ce_id", id.to_string()),
        ];
        headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::RejectReason;
    use crate::log::{Topic, TopicPartition};
    use std::sync::Arc;

    fn letter(key: usize, value: usize, header: usize) -> LogRecord {
        let record = LogRecord {
            key: Some(vec![b'k'; key]),
            value: Some(vec![b'v'; value]),
            headers: Headers::Verbatim(vec![("trace".to_owned(), vec![b'h'; header])]),
            timestamp_ms: Some(1),
        };
        let partition = TopicPartition::new(Topic::Clickstream, 2);
        let fetched = Fetched { partition, offset: 7, record: Arc::new(record) };
        let reject = Reject::at(RejectReason::TooLarge, "$", "too large");
        dead_letter(&fetched, &reject, RecordId { topic: 1, partition: 2, offset: 7, index: 0 })
    }

    fn header(letter: &LogRecord, name: &str) -> Option<String> {
        let headers = letter.headers.spelled_out("");
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| String::from_utf8(value.clone()).unwrap())
    }

    #[test]
    fn a_record_beyond_the_bound_keeps_its_origin_and_its_key_only() {
        let at_most = BYTES_MAX - "trace".len() - 10 - 10 - HEADER_BYTES;
        for (value, kept) in [(at_most - 1, true), (at_most, true), (at_most + 1, false)] {
            let letter = letter(10, value, 10);
            assert_eq!(letter.value.is_some(), kept, "{value}");
            assert_eq!(header(&letter, "trace").is_some(), kept, "{value}");
            let left_out = (!kept).then(|| (value + 15 + HEADER_BYTES).to_string());
            assert_eq!(header(&letter, "tillstream-left-out-bytes"), left_out, "{value}");
            assert_eq!(header(&letter, "__streams.errors.offset").as_deref(), Some("7"));
            assert_eq!(letter.key.as_deref(), Some(&[b'k'; 10][..]));
        }
    }

    #[test]
    fn a_key_that_is_too_large_is_left_out_as_well() {
        for (key, kept) in [(KEY_BYTES_MAX, true), (KEY_BYTES_MAX + 1, false)] {
            assert_eq!(letter(key, BYTES_MAX, 0).key.is_some(), kept, "{key}");
        }
    }
}
