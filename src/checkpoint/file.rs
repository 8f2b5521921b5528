//! A checkpoint as one immutable file: a head, blocks of entries, and a sum over all of it.
//!
//! Head: magic, format version, length, CRC-32C, then the [`Head`] in postcard. Block: table, raw length, stored
//! length, CRC-32C of those and of the stored bytes, then the entries (`state::entries`) compressed with zstd. End: a
//! mark and XXH3, 128 bits, of everything before. So a file that is cut off or damaged anywhere is told from a whole
//! one, and the sum of a whole one names it.

#![expect(clippy::indexing_slicing, reason = "lengths are checked before bytes are cut up")]

use crate::log::frame::{FoldVersion, Life, SourceId};
use crate::log::position::Offset;
use crate::time::EventTime;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// The format that is written. A reader takes this one only; another is named and passed over.
pub const FORMAT_VERSION: u8 = 1;

const MAGIC: [u8; 2] = *b"tC";
/// Magic 2, version 1, reserved 1, length of the head 4, its CRC-32C 4.
const PREFIX_BYTES: usize = 12;
/// Table 1, raw length 4, stored length 4, CRC-32C 4.
const BLOCK_HEAD_BYTES: usize = 13;
/// The table number that marks the end, and the sum.
const END: u8 = u8::MAX;
const END_BYTES: usize = 17;
/// Entries are compressed in blocks of about so many bytes.
pub const BLOCK_BYTES: usize = 256 * 1024;
/// A block of more is refused: no single entry comes near.
const BLOCK_BYTES_MAX: usize = 1 << 30;
/// zstd's fastest ordinary level: a checkpoint is written often and read seldom.
const ZSTD_LEVEL: i32 = 1;

/// The number of a table within a task's state. Those of [`EXPIRING`] hold values that begin with the event time (64
/// bits, little endian) at which they end.
pub type Table = u8;

/// From this number on, a table's entries expire by themselves and are never deleted by name.
pub const EXPIRING: Table = 128;

/// Entries of one table.
#[derive(Debug)]
pub struct Block {
    /// The table.
    pub table: Table,
    /// The entries, see [`crate::state::entries`].
    pub entries: Bytes,
    /// How many bytes of the file they took.
    pub stored_bytes: usize,
}

/// The sum of a whole file: XXH3, 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sum(pub u128);

/// The file that a delta adds to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its name within the task's folder.
    pub name: String,
    /// Its sum.
    pub sum: Sum,
}

/// What a checkpoint says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The partition whose log the task folds.
    pub task: SourceId,
    /// The next offset to fold: everything below is in it.
    pub offset: Offset,
    /// Who wrote it.
    pub life: Life,
    /// What folded it.
    pub fold: FoldVersion,
    /// What the state looks like: differs where the same bytes would mean something else.
    pub shape: u64,
    /// The task's watermark: entries that ended before need not be kept.
    pub watermark: Option<EventTime>,
    /// The file that it adds to; none for a base.
    pub parent: Option<Parent>,
    /// How many files it takes to restore it, itself included.
    pub chain: u32,
    /// The state that is small enough to be written whole each time, in the task's own encoding.
    pub whole: Vec<u8>,
}

/// Why bytes are not a checkpoint that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Shorter than it says.
    #[error("it is cut off after {has} bytes")]
    CutOff {
        /// The bytes there are.
        has: usize,
    },
    /// Not written by tillstream.
    #[error("it does not begin with the magic of a checkpoint")]
    NotACheckpoint,
    /// Written by another version of the program.
    #[error("its format version is {found}; this program reads version {FORMAT_VERSION}")]
    UnknownVersion {
        /// The version found.
        found: u8,
    },
    /// A sum does not match.
    #[error("the checksum of {what} does not match")]
    Checksum {
        /// Of what.
        what: &'static str,
    },
    /// The sums match and the content does not: a bug.
    #[error("its content cannot be decoded: {0}")]
    Content(String),
}

/// Writes one checkpoint.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Begins with the head.
    ///
    /// # Panics
    ///
    /// If the head is larger than 4 GiB.
    #[must_use]
    pub fn new(head: &Head) -> Writer {
        let mut bytes = vec![0; PREFIX_BYTES];
        bytes = postcard::to_extend(head, bytes).expect("a head holds nothing that postcard refuses");
        let length = u32::try_from(bytes.len() - PREFIX_BYTES).expect("a head is smaller than 4 GiB");
        bytes[..2].copy_from_slice(&MAGIC);
        bytes[2] = FORMAT_VERSION;
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[PREFIX_BYTES..]);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
        Writer { bytes }
    }

    /// Adds a block of entries of one table.
    ///
    /// # Panics
    ///
    /// If it is larger than 1 GiB, or memory runs out.
    pub fn block(&mut self, table: Table, entries: &[u8]) {
        assert!(entries.len() <= BLOCK_BYTES_MAX && table != END, "a block within its bounds");
        let stored = zstd::bulk::compress(entries, ZSTD_LEVEL).expect("zstd compresses what is in memory");
        let length =
            |bytes: &[u8]| u32::try_from(bytes.len()).expect("a block is smaller than 4 GiB").to_le_bytes();
        let begun = self.bytes.len();
        self.bytes.push(table);
        self.bytes.extend_from_slice(&length(entries));
        self.bytes.extend_from_slice(&length(&stored));
        let sum = crc32c::crc32c_append(crc32c::crc32c(&self.bytes[begun..]), &stored);
        self.bytes.extend_from_slice(&sum.to_le_bytes());
        self.bytes.extend_from_slice(&stored);
    }

    /// The whole file, and its sum.
    #[must_use]
    pub fn finish(mut self) -> (Vec<u8>, Sum) {
        self.bytes.push(END);
        let sum = sum_of(&self.bytes);
        self.bytes.extend_from_slice(&sum.0.to_le_bytes());
        (self.bytes, sum)
    }
}

fn sum_of(bytes: &[u8]) -> Sum {
    let mut hasher = Xxh3::new();
    hasher.update(bytes);
    Sum(hasher.digest128())
}

/// A checkpoint whose sums have been checked.
#[derive(Debug)]
pub struct Checkpoint {
    bytes: Vec<u8>,
    /// What it says of itself.
    pub head: Head,
    /// Its sum.
    pub sum: Sum,
    blocks_at: usize,
}

impl Checkpoint {
    /// Takes the bytes of a file, if they are whole.
    ///
    /// # Errors
    ///
    /// [`Damage`]: this file is of no use.
    pub fn read(bytes: Vec<u8>) -> Result<Checkpoint, Damage> {
        let cut_off = Damage::CutOff { has: bytes.len() };
        if bytes.len() < PREFIX_BYTES + END_BYTES {
            return Err(cut_off);
        }
        if bytes[..2] != MAGIC {
            return Err(Damage::NotACheckpoint);
        }
        if bytes[2] != FORMAT_VERSION {
            return Err(Damage::UnknownVersion { found: bytes[2] });
        }
        let end = bytes.len() - END_BYTES;
        let sum = Sum(u128::from_le_bytes(bytes[end + 1..].try_into().expect("sixteen bytes")));
        if bytes[end] != END || sum_of(&bytes[..=end]) != sum {
            return Err(Damage::Checksum { what: "the file" });
        }
        let blocks_at = PREFIX_BYTES + u32_at(&bytes, 4) as usize;
        let head = bytes.get(PREFIX_BYTES..blocks_at).filter(|_| blocks_at <= end).ok_or(cut_off)?;
        if crc32c::crc32c(head) != u32_at(&bytes, 8) {
            return Err(Damage::Checksum { what: "the head" });
        }
        let head = postcard::from_bytes(head).map_err(|fault| Damage::Content(fault.to_string()))?;
        Ok(Checkpoint { bytes, head, sum, blocks_at })
    }

    /// Its blocks in order; an error, and nothing after it, where one cannot be read: with the sums right, a bug.
    pub fn blocks(&self) -> impl Iterator<Item = Result<Block, Damage>> {
        let mut rest = self.bytes.get(self.blocks_at..self.bytes.len() - END_BYTES).unwrap_or_default();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let block = take_block(&mut rest);
            if block.is_err() {
                rest = &[];
            }
            Some(block)
        })
    }

    /// How many bytes the file has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no file is empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

fn take_block(rest: &mut &[u8]) -> Result<Block, Damage> {
    let cut_off = Damage::CutOff { has: rest.len() };
    let head = rest.split_off(..BLOCK_HEAD_BYTES).ok_or(cut_off.clone())?;
    let (table, raw, stored_bytes) = (head[0], u32_at(head, 1) as usize, u32_at(head, 5) as usize);
    let stored = rest.split_off(..stored_bytes).ok_or(cut_off)?;
    let sum = crc32c::crc32c_append(crc32c::crc32c(&head[..9]), stored);
    if sum != u32_at(head, 9) || raw > BLOCK_BYTES_MAX {
        return Err(Damage::Checksum { what: "a block" });
    }
    let entries = zstd::bulk::decompress(stored, raw).map_err(|fault| Damage::Content(fault.to_string()))?;
    if entries.len() != raw {
        return Err(Damage::Content(format!("a block of {} bytes says it has {raw}", entries.len())));
    }
    Ok(Block { table, entries: entries.into(), stored_bytes })
}

fn u32_at(bytes: &[u8], place: usize) -> u32 {
    u32::from_le_bytes(bytes[place..place + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::random::Random;
    use crate::state::entries::Entries;

    fn head(offset: Offset, parent: Option<Parent>) -> Head {
        Head {
            task: SourceId { topic: 7, partition: 3 },
            offset,
            life: Life(5),
            fold: FoldVersion(9),
            shape: 1,
            watermark: Some(EventTime(1_000)),
            chain: 1 + u32::from(parent.is_some()),
            parent,
            whole: b"whole".to_vec(),
        }
    }

    fn a_file() -> (Vec<u8>, Sum) {
        let mut writer = Writer::new(&head(12, None));
        let mut entries = Entries::default();
        for number in 0..200_u32 {
            entries.put(&number, Some(&format!("value {number}")));
        }
        writer.block(0, entries.bytes());
        writer.block(128, entries.bytes());
        writer.finish()
    }

    #[test]
    fn a_file_is_read_back_as_it_was_written() {
        let (bytes, sum) = a_file();
        let checkpoint = Checkpoint::read(bytes).expect("it is whole");
        assert_eq!((&checkpoint.head, checkpoint.sum), (&head(12, None), sum));
        let blocks: Vec<_> = checkpoint.blocks().map(|block| block.expect("it is whole")).collect();
        assert_eq!(blocks.iter().map(|block| block.table).collect::<Vec<_>>(), [0, 128]);
        assert_eq!(crate::state::entries::read(&blocks[0].entries).count(), 200);
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let (bytes, _) = a_file();
        let mut random = Random::new(1);
        for round in 0..1_000 {
            let mut damaged = bytes.clone();
            if round % 2 == 0 {
                let place = usize::try_from(random.below(bytes.len() as u64)).expect("small");
                damaged[place] ^= 1 << random.below(8);
            } else {
                damaged.truncate(usize::try_from(random.below(bytes.len() as u64)).expect("small"));
            }
            assert!(Checkpoint::read(damaged).is_err(), "round {round}");
        }
    }

    #[test]
    fn a_file_of_another_format_or_of_somebody_else_is_named() {
        let (bytes, _) = a_file();
        let with = |place: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[place] = byte;
            Checkpoint::read(bytes).map(|_| ())
        };
        assert_eq!(with(2, 2), Err(Damage::UnknownVersion { found: 2 }));
        assert_eq!(with(0, b'x'), Err(Damage::NotACheckpoint));
    }
}
