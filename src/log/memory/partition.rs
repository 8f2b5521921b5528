//! One partition: records, transaction markers, and what `read_committed` lets through.

use super::broker::Transaction;
use crate::log::LogRecord;
use crate::log::position::Offset;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug, Clone)]
enum Entry {
    Record(Arc<LogRecord>),
    InTransaction(Transaction, Arc<LogRecord>),
    /// An aborted record, or a marker: it takes an offset and is never read.
    Hidden,
}

/// A partition.
#[derive(Debug, Clone, Default)]
pub(super) struct Partition {
    first: Offset,
    entries: VecDeque<Entry>,
}

impl Partition {
    pub(super) fn first(&self) -> Offset {
        self.first
    }

    pub(super) fn end(&self) -> Offset {
        self.first + Offset::try_from(self.entries.len()).expect("fewer than 2^63 records")
    }

    pub(super) fn append(&mut self, record: Arc<LogRecord>) -> Offset {
        self.entries.push_back(Entry::Record(record));
        self.end() - 1
    }

    pub(super) fn append_in(&mut self, transaction: Transaction, record: Arc<LogRecord>) {
        self.entries.push_back(Entry::InTransaction(transaction, record));
    }

    /// Ends `transaction` here with a marker, if it wrote here.
    pub(super) fn end_transaction(&mut self, transaction: Transaction, commits: bool) {
        let mut wrote = false;
        for entry in &mut self.entries {
            if let Entry::InTransaction(owner, record) = entry
                && *owner == transaction
            {
                wrote = true;
                *entry = if commits { Entry::Record(record.clone()) } else { Entry::Hidden };
            }
        }
        if wrote {
            self.entries.push_back(Entry::Hidden);
        }
    }

    /// Below the first record of an open transaction.
    pub(super) fn last_stable_offset(&self) -> Offset {
        let open = self.entries.iter().position(|entry| matches!(entry, Entry::InTransaction(..)));
        open.map_or(self.end(), |place| {
            self.first + Offset::try_from(place).expect("fewer than 2^63 records")
        })
    }

    /// Hands out at most `records_max` visible records from `from` on; returns the next offset to read.
    pub(super) fn fetch(
        &self,
        from: Offset,
        records_max: usize,
        mut each: impl FnMut(Offset, Arc<LogRecord>),
    ) -> Offset {
        let (mut next, mut left) = (from, records_max);
        let place = usize::try_from(from - self.first).unwrap_or(0);
        for entry in self.entries.range(place.min(self.entries.len())..) {
            match entry {
                Entry::InTransaction(..) => break,
                Entry::Hidden => {}
                Entry::Record(_) if left == 0 => break,
                Entry::Record(record) => {
                    left -= 1;
                    each(next, record.clone());
                }
            }
            next += 1;
        }
        next
    }

    /// Cuts off what lies below `offset`, as retention does.
    pub(super) fn cut_below(&mut self, offset: Offset) {
        while self.first < offset && self.entries.pop_front().is_some() {
            self.first += 1;
        }
    }
}
