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

    /// # Errors
    ///
    /// As [`LogProducer::check`].
    pub(super) fn check(&self) -> Result<(), LogError> {
        self.producer.check()
    }

    /// A transaction whose offsets the group refuses is aborted, and its producer goes on. Whatever else fails ends
    /// the life: a record that cannot be delivered would fail every transaction after it as well.
    pub(super) fn transact(
        &mut self,
        records: &[&Append],
        offsets: &GroupOffsets,
    ) -> Result<Committed, LogError> {
        let outcome = self.attempt(records, offsets);
        // what failed to be delivered has failed its transaction
        self.producer.acknowledged(&mut Vec::new());
        let Err(failed) = outcome else { return Ok(Committed::Taken) };
        if !failed.by_the_group {
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
        producer.send_offsets_to_transaction(&offsets.list, &offsets.member, TRANSACTION_WAIT).map_err(
            |fault| {
                let refused = matches!(&fault, KafkaError::Transaction(error) if error.txn_requires_abort());
                FailedTransaction { message: fault.to_string(), by_the_group: refused }
            },
        )?;
        reach("transaction.offsets_sent");
        let committed = raw::commit_transaction(producer, TRANSACTION_WAIT);
        committed.map_err(|message| FailedTransaction { message, by_the_group: false })
    }
}

/// Why a transaction was not committed, as far as is known.
struct FailedTransaction {
    message: String,
    /// The group refused the offsets: it can only be aborted, and was not committed.
    by_the_group: bool,
}

impl From<KafkaError> for FailedTransaction {
    fn from(fault: KafkaError) -> FailedTransaction {
        FailedTransaction { message: fault.to_string(), by_the_group: false }
    }
}

impl From<LogError> for FailedTransaction {
    fn from(fault: LogError) -> FailedTransaction {
        FailedTransaction { message: fault.to_string(), by_the_group: false }
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
