//! Single raw records that somebody appends who waits for what comes of them: over Kafka, or over memory.

use super::{LogError, LogRecord, Topic};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Takes raw records one by one.
pub trait Submit: Send + Sync {
    /// Hands a record over at once.
    ///
    /// # Errors
    ///
    /// [`LogError`] if there is no more room, or the log takes nothing for another reason.
    fn offer(&self, topic: Topic, key: &[u8], value: &[u8]) -> Result<Receipt, LogError>;
}

/// What became of a record that was handed over.
#[derive(Debug, Clone, Default)]
pub struct Receipt(pub(super) Arc<AtomicBool>);

impl Receipt {
    /// Whether it will never reach its topic. Otherwise it has, or will when the log takes it.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Records for a log in memory, kept until whoever runs it fetches them.
#[derive(Debug, Default)]
pub struct Mailbox(Mutex<Vec<(Topic, LogRecord)>>);

/// Records that wait at most.
const WAITING_MAX: usize = 10_000;

impl Mailbox {
    /// Takes out what was handed over, in its order.
    #[must_use]
    pub fn take(&self) -> Vec<(Topic, LogRecord)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Submit for Mailbox {
    fn offer(&self, topic: Topic, key: &[u8], value: &[u8]) -> Result<Receipt, LogError> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING_MAX {
            return Err(LogError::Fatal("too many records wait".to_owned()));
        }
        let (key, value) = (Some(key.to_vec()), Some(value.to_vec()));
        waiting.push((topic, LogRecord { key, value, ..LogRecord::default() }));
        Ok(Receipt::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_is_taken_out_once_and_in_order_and_there_is_room_for_so_much() {
        let mailbox = Mailbox::default();
        for number in 0..WAITING_MAX {
            let receipt = mailbox.offer(Topic::Payments, b"k", &number.to_be_bytes()).expect("there is room");
            assert!(!receipt.has_failed());
        }
        assert!(mailbox.offer(Topic::Payments, b"k", b"one more").is_err());
        let taken = mailbox.take();
        assert_eq!(taken.len(), WAITING_MAX);
        assert_eq!(taken[7].1.value, Some(7_usize.to_be_bytes().to_vec()));
        assert!(mailbox.take().is_empty());
    }
}
