//! What a key of a group can take at most, with its arithmetic, for `tillstream config check`.

use super::buckets::BUCKETS_PER_WINDOW;
use super::distinct::SAMPLE_MAX;
use super::frequent::COUNTERS;
use super::layout::Layout;
use super::ring::RING_MAX;
use std::fmt;

/// Time, and which fields are present.
const RING_ENTRY_BYTES: u64 = 16;
/// A word, and the bit that says it is there, rounded up.
const RING_FIELD_BYTES: u64 = 9;
/// Number and count of events.
const BUCKET_BYTES: u64 = 16;
/// Count, sum, minimum and maximum.
const BUCKET_NUMBER_BYTES: u64 = 32;
/// Count, sum and sum of squares.
const BUCKET_SPREAD_BYTES: u64 = 32;
/// The head of a list, and 16 counters of a hash and a count.
const BUCKET_TOP_BYTES: u64 = 24 + 16 * COUNTERS as u64;
/// Hash, first and last time.
const SAMPLED_VALUE_BYTES: u64 = 24;

/// The most that one key's events, buckets and sampled values take, in bytes.
///
/// Not in it: what a table of keys takes for each key (32 bytes where the first event or last values are asked, and 24 per
/// last value, among it), and what the buckets' buffers reserve to
/// grow into (at most as much again).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryBound {
    /// Fields of an entry; none for clicks, which have no ring.
    ring_fields: Option<u64>,
    /// Window in milliseconds, and how many buckets of it its retention can hold.
    buckets: Vec<(u64, u64)>,
    numbers: u64,
    spreads: u64,
    tops: u64,
    distincts: u64,
}

impl MemoryBound {
    /// The bound of a group with this layout; `bucketed` if its keys never have a ring.
    pub(super) fn new(layout: &Layout, bucketed: bool) -> MemoryBound {
        let buckets = layout.windows().iter().map(|window| {
            let bucket_ms = window.window_ms / BUCKETS_PER_WINDOW;
            let held = window.retention_ms.saturating_add(bucket_ms - 1) / bucket_ms + 1;
            (window.window_ms.unsigned_abs(), held.unsigned_abs())
        });
        MemoryBound {
            ring_fields: (!bucketed).then_some(layout.width() as u64),
            buckets: buckets.collect(),
            numbers: layout.numbers() as u64,
            spreads: layout.spreads().len() as u64,
            tops: layout.tops().len() as u64,
            distincts: layout.distincts().len() as u64,
        }
    }

    /// A full ring: 256 entries of 16 bytes and 9 per field; 0 for clicks.
    #[must_use]
    pub fn ring_bytes(&self) -> u64 {
        let entry = |fields| RING_ENTRY_BYTES + RING_FIELD_BYTES * fields;
        self.ring_fields.map_or(0, |fields| RING_MAX as u64 * entry(fields))
    }

    /// A large key: for each window ⌈r(w) / b⌉ + 1 buckets of 16 bytes, 32 per number (64 where its
    /// standard deviation is asked) and 280 per text whose most frequent values are asked; and for each text whose
    /// different values are asked 1,024 sampled ones of 24 bytes.
    #[must_use]
    pub fn large_key_bytes(&self) -> u64 {
        let held = self.buckets.iter().fold(0_u64, |sum, (_, held)| sum.saturating_add(*held));
        held.saturating_mul(self.bucket_bytes()).saturating_add(self.sample_bytes())
    }

    /// The larger of the two, for a key has one or the other.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ring_bytes().max(self.large_key_bytes())
    }

    fn bucket_bytes(&self) -> u64 {
        let of_numbers = BUCKET_NUMBER_BYTES * self.numbers + BUCKET_SPREAD_BYTES * self.spreads;
        BUCKET_BYTES + of_numbers + BUCKET_TOP_BYTES * self.tops
    }

    fn sample_bytes(&self) -> u64 {
        self.distincts * SAMPLE_MAX as u64 * SAMPLED_VALUE_BYTES
    }
}

/// The arithmetic on one line.
impl fmt::Display for MemoryBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fields) = self.ring_fields {
            let ring = self.ring_bytes();
            write!(f, "ring {RING_MAX} x ({RING_ENTRY_BYTES} + {RING_FIELD_BYTES} x {fields}) = {ring}; ")?;
        }
        f.write_str("large ")?;
        for (window_ms, held) in &self.buckets {
            let window = humantime::format_duration(std::time::Duration::from_millis(*window_ms));
            let bytes = self.bucket_bytes();
            write!(f, "{held} buckets of {window} x {bytes} + ")?;
        }
        let texts = self.distincts;
        write!(f, "{texts} texts x {SAMPLE_MAX} x {SAMPLED_VALUE_BYTES} = {}", self.large_key_bytes())
    }
}
