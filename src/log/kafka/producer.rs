//! The idempotent producers of one life.

use super::brokers::KnownBrokers;
use super::client::{ClientSettings, Linger, tell};
use crate::log::frame::Life;
use crate::log::{Acknowledgement, Append, Destination, Headers, LogError};
use crate::time::Stopwatch;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// While the queue is full: back-pressure.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(1);

/// For so long; then the life ends, and the next one begins at what is committed.
const QUEUE_FULL_PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Deliveries {
    told: Mutex<Vec<Acknowledgement>>,
    brokers: KnownBrokers,
}

impl ClientContext for Deliveries {
    fn stats_raw(&self, statistics: &[u8]) {
        self.brokers.take(statistics);
    }

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tell(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: usize) {
        let ticket = ticket as u64;
        let acknowledgement = match result {
            Ok(_) => Acknowledgement::Appended { ticket },
            Err((fault, _)) => {
                tracing::warn!(%fault, "an append failed");
                Acknowledgement::Failed { ticket }
            }
        };
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(acknowledgement);
    }
}

pub(super) struct LogProducer {
    producer: ThreadedProducer<Deliveries>,
    application: String,
}

impl LogProducer {
    pub(super) fn new(
        settings: &ClientSettings,
        life: Life,
        linger: Linger,
    ) -> Result<LogProducer, LogError> {
        LogProducer::made(settings, life, settings.producer(linger))
    }

    /// With transactions under `transactional_id`; none has begun.
    pub(super) fn transactional(
        settings: &ClientSettings,
        life: Life,
        transactional_id: &str,
    ) -> Result<LogProducer, LogError> {
        LogProducer::made(settings, life, settings.transactional_producer(transactional_id))
    }

    fn made(
        settings: &ClientSettings,
        life: Life,
        mut config: ClientConfig,
    ) -> Result<LogProducer, LogError> {
        config.set("client.id", format!("{}-{:x}", settings.application, life.0));
        let producer = config
            .create_with_context(Deliveries::default())
            .map_err(|fault| LogError::Fatal(fault.to_string()))?;
        Ok(LogProducer { producer, application: settings.application.clone() })
    }

    pub(super) fn send(&mut self, append: &Append) -> Result<(), LogError> {
        let (topic, partition) = match &append.destination {
            Destination::Partition(partition) => (partition.topic, Some(partition.partition)),
            Destination::ByKey(topic) => (*topic, None),
        };
        let ticket = usize::try_from(append.ticket).expect("tickets are counted in a machine word");
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic.name(), ticket);
        record.partition =
            partition.map(|number| i32::try_from(number).expect("Kafka counts partitions in 31 bits"));
        record.key = append.key.as_deref();
        record.payload = append.value.as_deref();
        record.headers = kafka_headers(&append.headers, &self.application);
        let begun = Stopwatch::start();
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    if begun.elapsed() > QUEUE_FULL_PATIENCE {
                        return Err(LogError::Kafka(
                            "appends are not acknowledged, and no more fit".to_owned(),
                        ));
                    }
                    record = again;
                    std::thread::sleep(QUEUE_FULL_WAIT);
                }
                Err((fault, _)) => return Err(LogError::Kafka(fault.to_string())),
            }
        }
    }

    pub(super) fn native(&self) -> &ThreadedProducer<impl ProducerContext + use<>> {
        &self.producer
    }

    pub(super) fn acknowledged(&mut self, into: &mut Vec<Acknowledgement>) {
        let told = &self.producer.client().context().told;
        into.append(&mut told.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// # Errors
    ///
    /// [`LogError::Kafka`] if what is sent, and was, will reach no broker.
    pub(super) fn check(&self) -> Result<(), LogError> {
        self.producer.client().context().brokers.check()
    }
}

/// The headers of a record, as the client library takes them.
pub(super) fn kafka_headers(headers: &Headers, application: &str) -> Option<OwnedHeaders> {
    let headers = headers.spelled_out(application);
    let all = OwnedHeaders::new_with_capacity(headers.len());
    let insert =
        |all: OwnedHeaders, (key, value): &(String, Vec<u8>)| all.insert(Header { key, value: Some(value) });
    (!headers.is_empty()).then(|| headers.iter().fold(all, insert))
}
