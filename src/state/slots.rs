//! Slots of a table's values. They never move, so a table grows without copying what it holds.

#![expect(clippy::indexing_slicing, reason = "a slot's number is made where its chunk is")]

use super::restored::{Restored, RestoredPlace};
use serde::de::DeserializeOwned;

/// The generation of what no checkpoint waits for.
pub(super) const SETTLED: u32 = 0;

/// Slots in a chunk. Chunks are never moved, so a table grows without copying what it holds.
const CHUNK_SLOTS: usize = 1024;

#[derive(Debug, Clone)]
pub(super) struct Slot<K, V> {
    pub(super) key: K,
    /// None: the key was deleted, and the next checkpoint has to say so.
    pub(super) value: Option<V>,
    /// In which it was written last; [`SETTLED`] once that is encoded.
    pub(super) generation: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Slots<K, V> {
    pub(super) chunks: Vec<Vec<Option<Slot<K, V>>>>,
    free: Vec<u32>,
}

impl<K, V> Default for Slots<K, V> {
    fn default() -> Self {
        Slots { chunks: Vec::new(), free: Vec::new() }
    }
}

impl<K: DeserializeOwned, V: DeserializeOwned> Slots<K, V> {
    /// Decodes what is at `place` into a slot.
    pub(super) fn decode(&mut self, restored: &Restored, place: RestoredPlace) -> u32 {
        let (key, value) = restored.decode(place);
        self.put(Slot { key, value: Some(value), generation: SETTLED })
    }
}

impl<K, V> Slots<K, V> {
    pub(super) fn put(&mut self, slot: Slot<K, V>) -> u32 {
        if let Some(number) = self.free.pop() {
            *self.place(number) = Some(slot);
            return number;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_SLOTS) {
            self.chunks.push(Vec::with_capacity(CHUNK_SLOTS));
        }
        let full = self.chunks.len() - 1;
        let chunk = self.chunks.last_mut().expect("a chunk with room");
        chunk.push(Some(slot));
        u32::try_from(full * CHUNK_SLOTS + chunk.len() - 1).expect("fewer than 2^32 keys in a partition")
    }

    pub(super) fn free(&mut self, number: u32) {
        *self.place(number) = None;
        self.free.push(number);
    }

    pub(super) fn get(&self, number: u32) -> &Slot<K, V> {
        let number = number as usize;
        self.chunks[number / CHUNK_SLOTS][number % CHUNK_SLOTS].as_ref().expect("a slot that is taken")
    }

    pub(super) fn get_mut(&mut self, number: u32) -> &mut Slot<K, V> {
        self.place(number).as_mut().expect("a slot that is taken")
    }

    fn place(&mut self, number: u32) -> &mut Option<Slot<K, V>> {
        let number = number as usize;
        &mut self.chunks[number / CHUNK_SLOTS][number % CHUNK_SLOTS]
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot<K, V>> {
        self.chunks.iter().flatten().flatten()
    }
}
