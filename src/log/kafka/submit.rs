//! Appends single raw records for somebody who waits for what comes of them.

use super::client::{ClientSettings, Linger, tell};
use crate::log::{LogError, Topic};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};

#[derive(Clone, Default)]
struct Context;

impl ClientContext for Context {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tell(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((fault, _)) = result {
            tracing::warn!(%fault, "a record that was to be scored did not reach its topic");
        }
    }
}

/// A producer that never waits.
pub struct Submitter {
    producer: ThreadedProducer<Context>,
}

impl Submitter {
    /// Connects lazily. While no broker answers, at most `records_max` records wait for one.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the client library refuses the settings.
    pub fn new(settings: &ClientSettings, records_max: u32) -> Result<Submitter, LogError> {
        let mut config = settings.producer(Linger::None);
        let producer = config
            .set("queue.buffering.max.messages", records_max.to_string())
            .create_with_context(Context)
            .map_err(|fault| LogError::Fatal(fault.to_string()))?;
        Ok(Submitter { producer })
    }

    /// Hands a record over at once; it is appended when a broker answers.
    ///
    /// # Errors
    ///
    /// [`LogError`] if there is no more room.
    pub fn offer(&self, topic: Topic, key: &[u8], value: &[u8]) -> Result<(), LogError> {
        let record = BaseRecord::to(topic.name()).key(key).payload(value);
        self.producer.send(record).map_err(|(fault, _)| LogError::Kafka(fault.to_string()))
    }
}
