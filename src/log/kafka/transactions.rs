//! The producer of one life whose public records and offsets are seen together or not at all.

use super::client::ClientSettings;
use super::consumer::GroupOffsets;
use super::producer::LogProducer;
use super::raw;
use crate::log::frame::Life;
use crate::log::{Append, LogError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;
use std::time::Duration;

/// How long the start of a life waits for older transactions under its id to end.
const INIT_WAIT: Duration = Duration::from_secs(15);
/// How long each step of a transaction may take; the broker aborts one that is open for longer.
pub(super) const TRANSACTION_WAIT: Duration = Duration::from_secs(10);
/// After a transaction has failed: aborting it spares its readers the broker's time-out, and nothing depends on it.
const ABORT_WAIT: Duration = Duration::from_secs(1);

pub(super) struct TransactionalProducer {
    producer: LogProducer,
}

impl TransactionalProducer {
    /// From now on whoever had `transactional_id` before is refused, and its transactions have ended.
    pub(super) fn init(
        settings: &ClientSettings,
        life: Life,
        transactional_id: &str,
    ) -> Result<TransactionalProducer, LogError> {
        let producer = LogProducer::transactional(settings, life, transactional_id)?;
        producer.native().init_transactions(INIT_WAIT).map_err(|fault| refused(transactional_id, &fault))?;
        Ok(TransactionalProducer { producer })
    }

    pub(super) fn transact(&mut self, records: Vec<Append>, offsets: &GroupOffsets) -> Result<(), LogError> {
        let outcome = self.attempt(records, offsets);
        if outcome.is_err()
            && let Err(fault) = self.producer.native().abort_transaction(ABORT_WAIT)
        {
            tracing::debug!(%fault, "aborting a transaction that failed");
        }
        // what failed to be delivered has failed its transaction
        self.producer.acknowledged(&mut Vec::new());
        outcome
    }

    fn attempt(&mut self, records: Vec<Append>, offsets: &GroupOffsets) -> Result<(), LogError> {
        self.producer.native().begin_transaction().map_err(failed)?;
        for record in records {
            self.producer.send(record)?;
        }
        let producer = self.producer.native();
        producer
            .send_offsets_to_transaction(&offsets.list, &offsets.member, TRANSACTION_WAIT)
            .map_err(failed)?;
        raw::commit_transaction(producer, TRANSACTION_WAIT).map_err(LogError::Transaction)
    }
}

fn failed(fault: KafkaError) -> LogError {
    LogError::Transaction(fault.to_string())
}

/// Some refusals stay, however often one asks.
fn refused(transactional_id: &str, fault: &KafkaError) -> LogError {
    let message = format!("transactions as `{transactional_id}`: {fault}");
    match fault.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::InvalidTransactionTimeout
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::UnsupportedVersion
            | RDKafkaErrorCode::UnsupportedFeature,
        ) => LogError::Fatal(message),
        _ => LogError::Kafka(message),
    }
}
