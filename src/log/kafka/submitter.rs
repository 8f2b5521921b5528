//! Appends single raw records for somebody who waits for what comes of them.

use super::client::{ClientSettings, Linger, Logged};
use crate::log::submit::{Receipt, Submit};
use crate::log::{LogError, Topic};
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

impl Submit for Submitter {
    /// Appended when a broker answers. Where the client library has given up, the next record finds a new producer.
    fn offer(&self, topic: Topic, key: &[u8], value: &[u8]) -> Result<Receipt, LogError> {
        let has_failed = Arc::new(AtomicBool::new(false));
        let record = BaseRecord::with_opaque_to(topic.name(), has_failed.clone()).key(key).payload(value);
        let current = self.producer.read().unwrap_or_else(PoisonError::into_inner);
        let sent = current.send(record).map_err(|(fault, _)| LogError::Kafka(fault.to_string()));
        let client = current.client();
        let is_broken = client.fatal_error().is_some() || client.context().brokers.are_lost();
        drop(current);
        if is_broken {
            let made = producer(&self.settings, self.records_max)?;
            *self.producer.write().unwrap_or_else(PoisonError::into_inner) = made;
        }
        sent.map(|()| Receipt(has_failed))
    }
}

fn producer(settings: &ClientSettings, records_max: u32) -> Result<ThreadedProducer<Logged>, LogError> {
    let mut config = settings.producer(Linger::None);
    config
        .set("queue.buffering.max.messages", records_max.to_string())
        .create_with_context(Logged::default())
        .map_err(|fault| LogError::Fatal(fault.to_string()))
}
