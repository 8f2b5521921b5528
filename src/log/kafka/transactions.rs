//! The producer of one life whose public records and offsets are seen together or not at all.

use super::client::ClientSettings;
use super::consumer::GroupOffsets;
use super::producer::LogProducer;
use super::raw;
use crate::crash_points::reach;
use crate::log::frame::Life;
use crate::log::{Append, Committed, LogError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;
use std::time::Duration;

/// How long the start of a life waits for older transactions under its id to end.
const INIT_WAIT: Duration = Duration::from_secs(15);
/// How long each step of a transaction may take; the broker aborts one that is open for longer.
pub(super) const TRANSACTION_WAIT: Duration = Duration::from_secs(10);
/// How long aborting one may take.
const ABORT_WAIT: Duration = Duration::from_secs(5);

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

    /// A transaction of which it is certain that it was aborted is refused; its producer goes on.
    pub(super) fn transact(
        &mut self,
        records: &[&Append],
        offsets: &GroupOffsets,
    ) -> Result<Committed, LogError> {
        let outcome = self.attempt(records, offsets);
        // what failed to be delivered has failed its transaction
        self.producer.acknowledged(&mut Vec::new());
        let Err(failed) = outcome else { return Ok(Committed::Taken) };
        if !failed.requires_abort {
            return Err(LogError::Transaction(failed.message));
        }
        tracing::warn!(fault = %failed.message, "a transaction is aborted; it will be made again");
        let aborted = self.producer.native().abort_transaction(ABORT_WAIT);
        aborted.map_err(|fault| LogError::Transaction(format!("{}; then {fault}", failed.message)))?;
        Ok(Committed::Refused)
    }

    fn attempt(&mut self, records: &[&Append], offsets: &GroupOffsets) -> Result<(), FailedTransaction> {
        self.producer.native().begin_transaction()?;
        reach("transaction.begun");
        for record in records {
            self.producer.send(record)?;
        }
        let producer = self.producer.native();
        producer.send_offsets_to_transaction(&offsets.list, &offsets.member, TRANSACTION_WAIT)?;
        reach("transaction.offsets_sent");
        raw::commit_transaction(producer, TRANSACTION_WAIT)
    }
}

/// Why a transaction was not committed, as far as is known.
pub(super) struct FailedTransaction {
    pub(super) message: String,
    /// Whether it can only be aborted now: then it was not committed, and will not be.
    pub(super) requires_abort: bool,
}

impl From<KafkaError> for FailedTransaction {
    fn from(fault: KafkaError) -> FailedTransaction {
        let requires_abort = matches!(&fault, KafkaError::Transaction(error) if error.txn_requires_abort());
        FailedTransaction { message: fault.to_string(), requires_abort }
    }
}

impl From<LogError> for FailedTransaction {
    fn from(fault: LogError) -> FailedTransaction {
        FailedTransaction { message: fault.to_string(), requires_abort: false }
    }
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
