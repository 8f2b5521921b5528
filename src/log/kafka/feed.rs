//! A plain producer: of raw records for `generate` and `rules`, of records that follow from the view.

use super::client::{ClientSettings, Linger};
use super::producer::kafka_headers;
use crate::log::{Headers, LogError, Topic};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many records the broker refused, and its last reason.
#[derive(Clone, Default)]
struct Refused(Arc<Mutex<(u64, String)>>);

impl ClientContext for Refused {
    fn stats_raw(&self, _: &[u8]) {}
}

impl ProducerContext for Refused {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((fault, _)) = result {
            let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *refused = (refused.0 + 1, fault.to_string());
        }
    }
}

/// Produces raw records, keyed as Java clients do.
pub struct KafkaFeed {
    producer: ThreadedProducer<Refused>,
    refused: Refused,
    application: String,
}

impl KafkaFeed {
    /// Connects lazily.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the client library refuses the settings.
    pub fn new(settings: &ClientSettings) -> Result<KafkaFeed, LogError> {
        let refused = Refused::default();
        let config = settings.producer(Linger::ForBatches);
        let producer = config
            .create_with_context(refused.clone())
            .map_err(|fault| LogError::Fatal(fault.to_string()))?;
        Ok(KafkaFeed { producer, refused, application: settings.application.clone() })
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
        self.hand_over(BaseRecord::to(topic.name()).key(key).payload(value).timestamp(timestamp_ms))
    }

    /// As [`KafkaFeed::send`], with headers.
    ///
    /// # Errors
    ///
    /// As [`KafkaFeed::send`].
    pub fn send_with(
        &mut self,
        topic: Topic,
        timestamp_ms: i64,
        key: &[u8],
        value: &[u8],
        headers: &Headers,
    ) -> Result<(), LogError> {
        let mut record = BaseRecord::to(topic.name()).key(key).payload(value).timestamp(timestamp_ms);
        record.headers = kafka_headers(headers, &self.application);
        self.hand_over(record)
    }

    /// Hands over a record with headers; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// As [`KafkaFeed::send`].
    pub fn publish(
        &mut self,
        topic: Topic,
        key: &[u8],
        value: &[u8],
        headers: &Headers,
    ) -> Result<(), LogError> {
        let mut record = BaseRecord::to(topic.name()).key(key).payload(value);
        record.headers = kafka_headers(headers, &self.application);
        self.hand_over(record)
    }

    fn hand_over(&self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<(), LogError> {
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
    /// [`LogError`] if that takes longer than a minute, or if the broker refused records.
    pub fn finish(&mut self) -> Result<(), LogError> {
        self.producer.flush(Duration::from_secs(60)).map_err(|fault| LogError::Kafka(fault.to_string()))?;
        let (refused, reason) = &*self.refused.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *refused > 0 {
            return Err(LogError::Kafka(format!("{refused} records were refused: {reason}")));
        }
        Ok(())
    }
}
