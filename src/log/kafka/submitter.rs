//! Appends single raw records for somebody who waits for what comes of them.

use super::client::{ClientSettings, Linger, Logged};
use super::producer::kafka_headers;
use crate::log::submit::{Receipt, Submit};
use crate::log::{LogError, LogRecord, Topic};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

impl ProducerContext for Logged {
    type DeliveryOpaque = Arc<AtomicBool>;

    fn delivery(&self, result: &DeliveryResult<'_>, has_failed: Arc<AtomicBool>) {
        if let Err((fault, _)) = result {
            tracing::warn!(%fault, "a record that somebody waits for did not reach its topic");
            has_failed.store(true, Ordering::Relaxed);
        }
    }
}

/// A producer that never waits.
pub struct Submitter {
    settings: ClientSettings,
    records_max: u32,
    producer: RwLock<ThreadedProducer<Logged>>,
}

impl Submitter {
    /// Connects lazily. While no broker answers, at most `records_max` records wait for one.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the client library refuses the settings.
    pub fn new(settings: &ClientSettings, records_max: u32) -> Result<Submitter, LogError> {
        let producer = RwLock::new(producer(settings, records_max)?);
        Ok(Submitter { settings: settings.clone(), records_max, producer })
    }

    /// Waits until all is appended, for so long at most; how many records are not.
    pub fn flush(&self, patience: Duration) -> usize {
        let current = self.producer.read().unwrap_or_else(PoisonError::into_inner);
        match current.flush(patience) {
            Ok(()) => 0,
            Err(_) => usize::try_from(current.in_flight_count()).unwrap_or(0),
        }
    }
}

impl Submitter {
    fn replace_if_broken(&self) -> Result<(), LogError> {
        if !is_broken(&self.producer.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        let mut current = self.producer.write().unwrap_or_else(PoisonError::into_inner);
        // somebody else may have been faster
        if is_broken(&current) {
            let broken = std::mem::replace(&mut *current, producer(&self.settings, self.records_max)?);
            drop(current);
            // what it still has fails, and is told so
            drop(broken);
        }
        Ok(())
    }
}

fn is_broken(producer: &ThreadedProducer<Logged>) -> bool {
    let client = producer.client();
    client.fatal_error().is_some() || client.context().brokers.are_lost()
}

impl Submitter {
    /// Hands over a record with its headers, to be appended when a broker answers.
    ///
    /// # Errors
    ///
    /// As [`Submit::offer`].
    pub fn append(&self, topic: Topic, record: &LogRecord) -> Result<Receipt, LogError> {
        let headers = kafka_headers(&record.headers, &self.settings.application);
        self.send(topic, record.key.as_deref(), record.value.as_deref(), headers)
    }

    fn send(
        &self,
        topic: Topic,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) -> Result<Receipt, LogError> {
        self.replace_if_broken()?;
        let has_failed = Arc::new(AtomicBool::new(false));
        let mut record = BaseRecord::with_opaque_to(topic.name(), has_failed.clone());
        (record.key, record.payload, record.headers) = (key, value, headers);
        let current = self.producer.read().unwrap_or_else(PoisonError::into_inner);
        let sent = current.send(record).map_err(|(fault, _)| LogError::Kafka(fault.to_string()));
        sent.map(|()| Receipt(has_failed))
    }
}

impl Submit for Submitter {
    /// Appended when a broker answers. Where the client library has given up, a new producer takes it.
    fn offer(&self, topic: Topic, key: &[u8], value: &[u8]) -> Result<Receipt, LogError> {
        self.send(topic, Some(key), Some(value), None)
    }
}

fn producer(settings: &ClientSettings, records_max: u32) -> Result<ThreadedProducer<Logged>, LogError> {
    let mut config = settings.producer(Linger::None);
    config
        .set("queue.buffering.max.messages", records_max.to_string())
        .create_with_context(Logged::default())
        .map_err(|fault| LogError::Fatal(fault.to_string()))
}
