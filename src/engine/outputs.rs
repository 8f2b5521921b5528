//! Where the outputs of one task go until they are sent.

#![expect(
    clippy::indexing_slicing,
    reason = "vectors by destination are as long as the downstream log has partitions"
)]

use super::stage::DeadlineChange;
use crate::log::frame::EventsWriter;
use crate::log::position::{Offset, Position};
use crate::log::{Append, Destination, Headers, LogRecord, RecordId, Topic};
use crate::rules_of_the_protocol::{Rule, without};
use serde::Serialize;

/// The outputs of one task since they were last sent: events for the next log by destination, and
/// public records.
///
/// Each output of one input offset has an index there, counted over all kinds of output: a function
/// of the log's prefix alone. What lies at or below the committed position is not kept.
#[derive(Debug, Clone)]
pub struct Outputs {
    source_topic: u32,
    source_partition: u32,
    kept_from: Offset,
    offset: Offset,
    index: u32,
    /// Events for the next log, by partition.
    pub events: Vec<EventsWriter>,
    /// Public records, in order.
    pub public: Vec<Append>,
    /// Changes of deadlines, in order. These are made known whether kept or not.
    pub deadlines: Vec<DeadlineChange>,
}

impl Outputs {
    /// For a task that reads `source_partition` of the topic whose id begins with `source_topic`, with
    /// `destinations` partitions downstream. Outputs of offsets below `kept_from` are dropped.
    #[must_use]
    pub fn new(source_topic: u32, source_partition: u32, destinations: u32, kept_from: Offset) -> Outputs {
        Outputs {
            source_topic,
            source_partition,
            kept_from,
            offset: -1,
            index: 0,
            events: (0..destinations).map(|_| EventsWriter::default()).collect(),
            public: Vec::new(),
            deadlines: Vec::new(),
        }
    }

    /// What follows is the output of the record at `offset`.
    pub fn begin(&mut self, offset: Offset) {
        self.offset = offset;
        self.index = 0;
    }

    /// Whether outputs of the current offset are kept at all.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.offset >= self.kept_from
    }

    /// An event for partition `destination` of the next log.
    pub fn event<E: Serialize>(&mut self, destination: u32, event: &E) {
        let position = self.next_position();
        if self.kept() {
            self.events[destination as usize].push(position, event);
        }
    }

    /// A public record in JSON.
    ///
    /// # Panics
    ///
    /// If `value` does not serialise: a public record holds nothing that JSON refuses.
    pub fn publish<V: Serialize>(&mut self, topic: Topic, event_type: &'static str, key: &str, value: &V) {
        let position = self.next_position();
        if self.kept() {
            let mut json = Vec::with_capacity(512);
            serde_json::to_writer(&mut json, value).expect("a public record serialises");
            let headers = Headers::CloudEvent { event_type, id: self.record_id(position) };
            self.push_public(topic, Some(key.as_bytes().to_vec()), Some(json), headers);
        }
    }

    /// A record with headers of its own; `record` is called with its id.
    pub fn publish_verbatim(&mut self, topic: Topic, record: impl FnOnce(RecordId) -> LogRecord) {
        let position = self.next_position();
        if self.kept() {
            let LogRecord { key, value, headers, .. } = record(self.record_id(position));
            self.push_public(topic, key, value, headers);
        }
    }

    fn push_public(&mut self, topic: Topic, key: Option<Vec<u8>>, value: Option<Vec<u8>>, headers: Headers) {
        self.public.push(Append { ticket: 0, destination: Destination::ByKey(topic), key, value, headers });
    }

    fn next_position(&mut self) -> Position {
        let index = self.index;
        self.index += 1;
        Position::new(self.offset, if without(Rule::IndexInsideOffset) { 0 } else { index })
    }

    fn record_id(&self, position: Position) -> RecordId {
        RecordId {
            topic: self.source_topic,
            partition: self.source_partition,
            offset: position.offset,
            index: position.index,
        }
    }
}
