//! What checkpoints held, kept as the bytes they held until somebody needs it.

#![expect(clippy::indexing_slicing, reason = "a block's number is made where the block is put")]

use super::entries;
use bytes::Bytes;
use serde::de::DeserializeOwned;

/// Where an encoded entry is.
#[derive(Clone, Copy)]
pub(super) struct RestoredPlace {
    pub(super) block: u32,
    pub(super) at: u32,
}

/// Blocks of entries as checkpoints held them. One is let go when nothing in it is needed any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Restored {
    pub(super) blocks: Vec<Block>,
}

#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) bytes: Bytes,
    /// How many of its entries are needed, and how many were.
    pub(super) needed: u32,
    held: u32,
}

/// What keeps a block in memory.
#[derive(PartialEq, Eq)]
pub(super) enum Pinned {
    /// Enough of what it holds.
    ByMany,
    /// An eighth of what it held.
    ByFew,
}

impl Block {
    pub(super) fn entry(&self, at: u32) -> entries::Entry<'_> {
        entries::at(&self.bytes, at as usize).expect("an entry where one was read")
    }
}

pub(super) fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("fewer than 2^32 blocks of fewer than 2^32 bytes")
}

impl Restored {
    /// Takes a block, which is needed until [`Restored::end`] says that all its entries were looked at. Returns its number.
    pub(super) fn begin(&mut self, bytes: Bytes) -> u32 {
        let number = narrow(self.blocks.len());
        self.blocks.push(Block { bytes, needed: 1, held: 0 });
        number
    }

    /// Its entries were looked at.
    pub(super) fn end(&mut self, block: u32) {
        self.release(RestoredPlace { block, at: 0 });
    }

    pub(super) fn hold(&mut self, place: RestoredPlace) {
        let block = &mut self.blocks[place.block as usize];
        block.needed += 1;
        block.held = block.held.max(block.needed);
    }

    pub(super) fn release(&mut self, place: RestoredPlace) -> Pinned {
        let block = &mut self.blocks[place.block as usize];
        block.needed -= 1;
        if block.needed == 0 {
            block.bytes = Bytes::new();
        }
        if block.needed > 0 && block.needed <= block.held / 8 { Pinned::ByFew } else { Pinned::ByMany }
    }

    pub(super) fn decode_key<K: DeserializeOwned>(&self, place: RestoredPlace) -> K {
        decoded(self.blocks[place.block as usize].entry(place.at).0)
    }

    pub(super) fn decode<K: DeserializeOwned, V: DeserializeOwned>(&self, place: RestoredPlace) -> (K, V) {
        let (key, value) = self.blocks[place.block as usize].entry(place.at);
        (decoded(key), decoded(value.expect("what has no value is not kept")))
    }
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> T {
    postcard::from_bytes(bytes).unwrap_or_else(|fault| {
        panic!(
            "state from a checkpoint cannot be decoded: {fault}; this is a bug, please report it; deleting the \
             checkpoints makes the task read its log from the beginning"
        )
    })
}
