//! A plain producer of raw records, for `generate`.

use super::client::{ClientSettings, Linger};
use crate::log::{LogError, Topic};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::time::Duration;

/// Produces raw records, keyed as Java clients do.
pub struct KafkaFeed {
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl KafkaFeed {
    /// Connects lazily.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the client library refuses the settings.
    pub fn new(settings: &ClientSettings) -> Result<KafkaFeed, LogError> {
        let producer = settings
            .producer(Linger::ForBatches)
            .create()
            .map_err(|fault| LogError::Fatal(fault.to_string()))?;
        Ok(KafkaFeed { producer })
    }

    /// Hands a record over; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the client library refuses the record.
    pub fn send(
        &mut self,
        topic: Topic,
        timestamp_ms: i64,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), LogError> {
        let mut record = BaseRecord::to(topic.name()).key(key).payload(value).timestamp(timestamp_ms);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((fault, _)) => return Err(LogError::Kafka(fault.to_string())),
            }
        }
    }

    /// Waits until everything is in the log.
    ///
    /// # Errors
    ///
    /// [`LogError`] if that takes longer than a minute.
    pub fn finish(&mut self) -> Result<(), LogError> {
        self.producer.flush(Duration::from_secs(60)).map_err(|fault| LogError::Kafka(fault.to_string()))
    }
}
