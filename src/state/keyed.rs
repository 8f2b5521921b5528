//! A table of values by key that takes the hash the frame carries, and knows what was written since the last
//! checkpoint was cut.
//!
//! Values lie in slots that never move; an index of 16 bytes a key finds them. A checkpoint is cut by generation,
//! copy on write: the cut itself only begins a new generation. What the old one wrote is encoded afterwards, some
//! at a time, and a value that is about to be written again before its turn has come is encoded first.

#![expect(clippy::indexing_slicing, reason = "a slot's number is made where its chunk is")]

use super::entries::Entries;
use crate::event::EntityKind;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

/// A key as a table keeps it.
pub trait OwnedKey {
    /// The hash that it came with.
    fn hash(&self) -> u64;
}

/// A key of keyed state: it has a hash that was computed elsewhere, and an owned form.
pub trait StateKey: Copy {
    /// What the table keeps.
    type Owned: OwnedKey;

    /// The hash that travelled with the key.
    fn hash(&self) -> u64;

    /// Whether `owned` is this key.
    fn is(&self, owned: &Self::Owned) -> bool;

    /// The key to keep.
    fn to_owned(&self) -> Self::Owned;
}

/// An entity as a key.
#[derive(Debug, Clone, Copy)]
pub struct EntityKey<'a> {
    /// The kind.
    pub kind: EntityKind,
    /// See [`crate::event::key_hash`].
    pub hash: u64,
    /// The id.
    pub id: &'a str,
}

/// An entity's key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OwnedEntityKey {
    /// The kind.
    pub kind: EntityKind,
    /// The id.
    pub id: Box<str>,
    /// See [`crate::event::key_hash`].
    pub hash: u64,
}

impl OwnedEntityKey {
    /// The key to look up with.
    #[must_use]
    pub fn borrowed(&self) -> EntityKey<'_> {
        EntityKey { kind: self.kind, hash: self.hash, id: &self.id }
    }
}

impl OwnedKey for OwnedEntityKey {
    fn hash(&self) -> u64 {
        self.hash
    }
}

impl StateKey for EntityKey<'_> {
    type Owned = OwnedEntityKey;

    fn hash(&self) -> u64 {
        self.hash
    }

    fn is(&self, owned: &OwnedEntityKey) -> bool {
        self.hash == owned.hash && self.kind == owned.kind && *self.id == *owned.id
    }

    fn to_owned(&self) -> OwnedEntityKey {
        OwnedEntityKey { kind: self.kind, id: self.id.into(), hash: self.hash }
    }
}

/// Whether a table knows what was written since the last checkpoint. Where there are no checkpoints, a table that
/// did would never forget a deleted key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tracking {
    /// It does not.
    #[default]
    Off,
    /// It does.
    On,
}

/// Values by key. A value is changed only through [`KeyedState::update`].
#[derive(Debug)]
pub struct KeyedState<K, V> {
    index: HashTable<Place>,
    slots: Slots<K, V>,
    live: usize,
    changes: Option<Changes>,
}

/// Where the slot of a key is.
#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u64,
    slot: u32,
}

/// What was written since the last cut, and what of the last cut is still to be encoded.
#[derive(Debug)]
struct Changes {
    /// The current one; that of the last cut is one less.
    generation: u32,
    /// The slots that were written in this generation, each once.
    written: Vec<u32>,
    /// The slots of the last cut, and how many have had their turn.
    cut: Vec<u32>,
    had_their_turn: usize,
    /// Values of the last cut that were written again before their turn.
    early: Entries,
}

/// The generation of what no checkpoint waits for.
const SETTLED: u32 = 0;

impl<K: OwnedKey, V> KeyedState<K, V> {
    /// An empty table.
    #[must_use]
    pub fn new(tracking: Tracking) -> KeyedState<K, V> {
        let changes = (tracking == Tracking::On).then(|| Changes {
            generation: SETTLED + 2,
            written: Vec::new(),
            cut: Vec::new(),
            had_their_turn: 0,
            early: Entries::default(),
        });
        KeyedState { index: HashTable::new(), slots: Slots::default(), live: 0, changes }
    }

    /// How many keys have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no key has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The value of `key`.
    #[must_use]
    pub fn get<B: StateKey<Owned = K>>(&self, key: B) -> Option<&V> {
        self.find(key).and_then(|number| self.slots.get(number).value.as_ref())
    }

    /// Every key that has a value, with it. The order is that of an accident: it must not reach an output.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.slots.iter().filter_map(|slot| slot.value.as_ref().map(|value| (&slot.key, value)))
    }

    fn find<B: StateKey<Owned = K>>(&self, key: B) -> Option<u32> {
        let hash = key.hash();
        let is = |place: &Place| place.hash == hash && key.is(&self.slots.get(place.slot).key);
        self.index.find(hash, is).map(|place| place.slot)
    }

    fn insert(&mut self, hash: u64, slot: Slot<K, V>) -> u32 {
        self.live += usize::from(slot.value.is_some());
        let number = self.slots.put(slot);
        self.index.insert_unique(hash, Place { hash, slot: number }, |place| place.hash);
        number
    }

    /// Puts back what a checkpoint held: the later of two wins, and no value deletes. Expected O(1).
    pub fn restore<B: StateKey<Owned = K>>(&mut self, key: B, value: Option<V>) {
        match (self.find(key), value) {
            (Some(number), None) => {
                self.live -= 1;
                self.free(number);
            }
            (Some(number), value) => self.slots.get_mut(number).value = value,
            (None, None) => {}
            (None, value) => {
                self.insert(key.hash(), Slot { key: key.to_owned(), value, generation: SETTLED });
            }
        }
    }

    /// Lets go of a slot whose key has no value.
    fn free(&mut self, number: u32) {
        let hash = self.slots.get(number).key.hash();
        if let Ok(place) = self.index.find_entry(hash, |place| place.slot == number) {
            place.remove();
        }
        self.slots.free(number);
    }
}

impl<K: OwnedKey + Serialize, V: Serialize> KeyedState<K, V> {
    /// Changes the value of `key` and remembers that it was written. Leaving `None` behind deletes the key.
    /// Expected O(1).
    pub fn update<B: StateKey<Owned = K>, R>(
        &mut self,
        key: B,
        change: impl FnOnce(&mut Option<V>) -> R,
    ) -> R {
        let Some(number) = self.find(key) else {
            let mut value = None;
            let result = change(&mut value);
            if value.is_some() {
                let generation = self.changes.as_ref().map_or(SETTLED, |changes| changes.generation);
                let number = self.insert(key.hash(), Slot { key: key.to_owned(), value, generation });
                self.changes.iter_mut().for_each(|changes| changes.written.push(number));
            }
            return result;
        };
        let slot = self.slots.get_mut(number);
        if let Some(changes) = &mut self.changes {
            changes.about_to_write(number, slot);
        }
        let was_live = slot.value.is_some();
        let result = change(&mut slot.value);
        let is_live = slot.value.is_some();
        self.live = self.live + usize::from(is_live) - usize::from(was_live);
        if !is_live && self.changes.is_none() {
            self.free(number);
        }
        result
    }

    /// Cuts a checkpoint here: what was written since the last cut is what [`KeyedState::encode_some`] gives from now
    /// on, as it is now. O(1).
    ///
    /// # Panics
    ///
    /// If the last cut has not been encoded to its end, or the table does not track its changes.
    pub fn cut(&mut self) {
        let changes = self.changes.as_mut().expect("a table that tracks its changes");
        assert!(changes.is_encoded(), "the last cut is still being encoded");
        changes.cut = std::mem::take(&mut changes.written);
        changes.had_their_turn = 0;
        changes.generation += 1;
    }

    /// Encodes what the last cut found written, until `into` holds about `bytes_max`. Returns whether that was all.
    pub fn encode_some(&mut self, into: &mut Entries, bytes_max: usize) -> bool {
        let Some(changes) = &mut self.changes else { return true };
        into.append(&mut changes.early);
        let cut_generation = changes.generation - 1;
        let mut deleted = Vec::new();
        while into.len() < bytes_max
            && let Some(number) = changes.cut.get(changes.had_their_turn)
        {
            changes.had_their_turn += 1;
            let slot = self.slots.get_mut(*number);
            if slot.generation == cut_generation {
                into.put(&slot.key, slot.value.as_ref());
                slot.generation = SETTLED;
                if slot.value.is_none() {
                    deleted.push(*number);
                }
            }
        }
        let is_encoded = changes.is_encoded();
        deleted.into_iter().for_each(|number| self.free(number));
        is_encoded
    }
}

impl Changes {
    fn is_encoded(&self) -> bool {
        self.had_their_turn == self.cut.len() && self.early.is_empty()
    }

    /// Before a slot is written: what a checkpoint still waits for is encoded as it is.
    fn about_to_write<K: Serialize, V: Serialize>(&mut self, number: u32, slot: &mut Slot<K, V>) {
        if slot.generation == self.generation - 1 {
            self.early.put(&slot.key, slot.value.as_ref());
        }
        if slot.generation != self.generation {
            slot.generation = self.generation;
            self.written.push(number);
        }
    }
}

/// Slots in a chunk. Chunks are never moved, so a table grows without copying what it holds.
const CHUNK_SLOTS: usize = 1024;

#[derive(Debug)]
struct Slot<K, V> {
    key: K,
    /// None: the key was deleted, and the next checkpoint has to say so.
    value: Option<V>,
    /// In which it was written last; [`SETTLED`] once that is encoded.
    generation: u32,
}

#[derive(Debug)]
struct Slots<K, V> {
    chunks: Vec<Vec<Option<Slot<K, V>>>>,
    free: Vec<u32>,
}

impl<K, V> Default for Slots<K, V> {
    fn default() -> Self {
        Slots { chunks: Vec::new(), free: Vec::new() }
    }
}

impl<K, V> Slots<K, V> {
    fn put(&mut self, slot: Slot<K, V>) -> u32 {
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

    fn free(&mut self, number: u32) {
        *self.place(number) = None;
        self.free.push(number);
    }

    fn get(&self, number: u32) -> &Slot<K, V> {
        let number = number as usize;
        self.chunks[number / CHUNK_SLOTS][number % CHUNK_SLOTS].as_ref().expect("a slot that is taken")
    }

    fn get_mut(&mut self, number: u32) -> &mut Slot<K, V> {
        self.place(number).as_mut().expect("a slot that is taken")
    }

    fn place(&mut self, number: u32) -> &mut Option<Slot<K, V>> {
        let number = number as usize;
        &mut self.chunks[number / CHUNK_SLOTS][number % CHUNK_SLOTS]
    }

    fn iter(&self) -> impl Iterator<Item = &Slot<K, V>> {
        self.chunks.iter().flatten().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::key_hash;
    use crate::generate::random::Random;
    use crate::state::entries;
    use std::collections::BTreeMap;

    fn key(kind: EntityKind, id: &str) -> EntityKey<'_> {
        EntityKey { kind, hash: key_hash(kind, id), id }
    }

    #[test]
    fn a_value_is_kept_until_none_is_left_behind() {
        for tracking in [Tracking::Off, Tracking::On] {
            let mut state = KeyedState::new(tracking);
            state.update(key(EntityKind::Card, "a"), |value| *value = Some(1));
            state.update(key(EntityKind::Card, "a"), |value| *value = value.map(|number| number + 1));
            assert_eq!(state.get(key(EntityKind::Card, "a")), Some(&2));
            assert_eq!(state.get(key(EntityKind::Ip, "a")), None, "kinds are apart");
            state.update(key(EntityKind::Card, "a"), |value| *value = None);
            assert!(state.is_empty() && state.get(key(EntityKind::Card, "a")).is_none());
        }
    }

    #[test]
    fn keys_of_equal_hash_are_told_apart() {
        let mut state = KeyedState::new(Tracking::Off);
        let (a, b) = (
            EntityKey { kind: EntityKind::Card, hash: 7, id: "a" },
            EntityKey { kind: EntityKind::Card, hash: 7, id: "b" },
        );
        state.update(a, |value| *value = Some('a'));
        state.update(b, |value| *value = Some('b'));
        assert_eq!((state.get(a), state.get(b)), (Some(&'a'), Some(&'b')));
    }

    #[test]
    fn an_untracked_table_reuses_the_slots_of_deleted_keys() {
        let mut state = KeyedState::new(Tracking::Off);
        for number in 0..10_000 {
            let id = number.to_string();
            state.update(key(EntityKind::Card, &id), |value| *value = Some(number));
            state.update(key(EntityKind::Card, &id), |value| *value = None);
        }
        assert_eq!(state.slots.iter().count(), 0);
        assert_eq!(state.slots.chunks.len(), 1);
    }

    /// Applies what was encoded, as a restore does.
    fn apply(into: &mut BTreeMap<String, u64>, entries: &Entries) {
        for entry in entries::read(entries.bytes()) {
            let (key, value) = entry.expect("our own bytes");
            let key: OwnedEntityKey = postcard::from_bytes(key).expect("a key");
            match value {
                Some(value) => into.insert(key.id.into(), postcard::from_bytes(value).expect("a value")),
                None => into.remove(&*key.id),
            };
        }
    }

    #[test]
    fn what_is_encoded_after_a_cut_is_the_table_as_it_was_at_the_cut() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut state = KeyedState::new(Tracking::On);
            let (mut model, mut checkpoint) = (BTreeMap::new(), BTreeMap::new());
            for _ in 0..20 {
                let mut at_the_cut = None;
                let mut entries = Entries::default();
                for step in 0..40 {
                    let id = random.below(12).to_string();
                    let new = (random.below(3) > 0).then(|| random.below(1_000));
                    state.update(key(EntityKind::Card, &id), |value| *value = new);
                    match new {
                        Some(new) => model.insert(id, new),
                        None => model.remove(&id),
                    };
                    assert_eq!(state.len(), model.len());
                    if step == 20 {
                        state.cut();
                        at_the_cut = Some(model.clone());
                    }
                    // the sink is emptied in between, as by a writer in the background
                    if at_the_cut.is_some() && random.below(3) == 0 {
                        state.encode_some(&mut entries, 1);
                        apply(&mut checkpoint, &entries);
                        entries.clear();
                    }
                }
                while !state.encode_some(&mut entries, 64) {
                    apply(&mut checkpoint, &entries);
                    entries.clear();
                }
                apply(&mut checkpoint, &entries);
                assert_eq!(Some(&checkpoint), at_the_cut.as_ref(), "seed {seed}");
                let found: BTreeMap<String, u64> =
                    state.iter().map(|(key, value)| (key.id.to_string(), *value)).collect();
                assert_eq!(found, model, "seed {seed}");
            }
            assert!(
                state.slots.iter().count() <= 12,
                "deleted keys are let go once a checkpoint has said so"
            );
        }
    }

    #[test]
    fn the_later_of_two_restored_values_wins_and_none_deletes() {
        let mut state = KeyedState::new(Tracking::On);
        let card = key(EntityKind::Card, "a");
        state.restore(card, Some(1));
        state.restore(card, Some(2));
        assert_eq!((state.get(card), state.len()), (Some(&2), 1));
        state.restore(card, None);
        assert_eq!((state.get(card), state.len()), (None, 0));
        let mut entries = Entries::default();
        state.cut();
        assert!(
            state.encode_some(&mut entries, 1) && entries.is_empty(),
            "what was restored has not changed"
        );
    }
}
