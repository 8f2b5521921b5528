//! The ledger: where every record and every copy ended. Its two sums must agree.
//!
//! Records = routed + dead-lettered. Copies per entity kind = applied + late-applied + late +
//! duplicate. The left sides are counted where things come in, the right sides where they end.

#![expect(clippy::indexing_slicing, reason = "arrays are as long as the enum that indexes them")]

use crate::codec::RejectReason;
use crate::event::EntityKind;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};

const KINDS: usize = EntityKind::ALL.len();

/// What became of the records of one raw partition in this life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestLedger {
    /// Records read.
    pub records: u64,
    /// Records that became copies (of an unknown payment event: none).
    pub routed: u64,
    /// Records refused, by reason in the order of [`RejectReason::ALL`].
    pub dead_lettered: [u64; RejectReason::ALL.len()],
    /// Copies sent, by entity kind.
    pub copies: [u64; KINDS],
    /// Events whose timestamp lay too far in the future.
    pub clamped: u64,
    /// Fields that no contract knows.
    pub unknown_fields: u64,
    /// Events whose name no contract knows.
    pub unknown_names: u64,
}

/// Where a copy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disposition {
    /// Folded, not behind the watermark.
    Applied,
    /// Folded behind the watermark, within the allowed lateness (payments: however late).
    LateApplied,
    /// Too late to change anything: on the late topic.
    Late,
    /// Its event id was seen before for this key.
    Duplicate,
}

impl Disposition {
    /// Every disposition.
    pub const ALL: [Disposition; 4] =
        [Disposition::Applied, Disposition::LateApplied, Disposition::Late, Disposition::Duplicate];

    /// What is folded at this watermark, which an event of `time` may be behind.
    #[must_use]
    pub fn folded(time: EventTime, watermark: Option<EventTime>) -> Disposition {
        if watermark.is_some_and(|watermark| time < watermark) {
            Disposition::LateApplied
        } else {
            Disposition::Applied
        }
    }

    /// Its name in metrics and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Disposition::Applied => "applied",
            Disposition::LateApplied => "late_applied",
            Disposition::Late => "late",
            Disposition::Duplicate => "duplicate",
        }
    }
}

/// What became of the copies of one partition of the entity log. Part of its task's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedLedger {
    /// Copies admitted, by entity kind.
    pub copies: [u64; KINDS],
    /// Where they ended, by entity kind, in the order of [`Disposition::ALL`].
    pub ended: [[u64; Disposition::ALL.len()]; KINDS],
}

impl IngestLedger {
    /// Records refused, for any reason.
    #[must_use]
    pub fn dead_lettered_total(&self) -> u64 {
        self.dead_lettered.iter().sum()
    }

    /// Copies sent to entities of that kind.
    #[must_use]
    pub fn copies(&self, kind: EntityKind) -> u64 {
        self.copies[kind.index()]
    }

    /// Records = routed + dead-lettered.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.records == self.routed + self.dead_lettered_total()
    }

    /// Adds another partition's.
    pub fn add(&mut self, other: &IngestLedger) {
        self.records += other.records;
        self.routed += other.routed;
        self.clamped += other.clamped;
        self.unknown_fields += other.unknown_fields;
        self.unknown_names += other.unknown_names;
        for (sum, count) in self.dead_lettered.iter_mut().zip(other.dead_lettered) {
            *sum += count;
        }
        for (sum, count) in self.copies.iter_mut().zip(other.copies) {
            *sum += count;
        }
    }
}

impl KeyedLedger {
    /// A copy of this kind ended so.
    pub fn count(&mut self, kind: EntityKind, disposition: Disposition) {
        self.ended[kind.index()][disposition as usize] += 1;
    }

    /// Copies of that kind that came.
    #[must_use]
    pub fn copies(&self, kind: EntityKind) -> u64 {
        self.copies[kind.index()]
    }

    /// How many copies of this kind ended so.
    #[must_use]
    pub fn ended(&self, kind: EntityKind, disposition: Disposition) -> u64 {
        self.ended[kind.index()][disposition as usize]
    }

    /// Copies = applied + late-applied + late + duplicate, for every kind.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.copies.iter().zip(&self.ended).all(|(copies, ended)| *copies == ended.iter().sum::<u64>())
    }

    /// Adds another partition's.
    pub fn add(&mut self, other: &KeyedLedger) {
        for (sum, count) in self.copies.iter_mut().zip(other.copies) {
            *sum += count;
        }
        for (sums, counts) in self.ended.iter_mut().zip(other.ended) {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }
}
