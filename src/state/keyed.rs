//! A table of values by key that takes the hash the frame carries, and knows what was written since the last
//! checkpoint was cut.
//!
//! Values lie in slots that never move; an index of 16 bytes a key finds them. A checkpoint is cut by generation,
//! copy on write: the cut itself only begins a new generation. What the old one wrote is encoded afterwards, some
//! at a time, and a value that is about to be written again before its turn has come is encoded first.
//!
//! What a checkpoint held is put back as the bytes it held, and decoded key by key when it is first needed. So a
//! restore costs an entry of the index per key, and a key that nobody asks for stays as small as it was in the file.

#![expect(clippy::indexing_slicing, reason = "a slot's number is made where its chunk is")]

use super::entries::{self, Entries};
use super::restored::{Pinned, Restored, RestoredPlace, narrow};
use super::slots::{SETTLED, Slot, Slots};
use crate::event::EntityKind;
use bytes::Bytes;
use hashbrown::HashTable;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A key as a table keeps it.
pub trait OwnedKey: Serialize + DeserializeOwned {
    /// The hash that it came with.
    fn hash(&self) -> u64;

    /// The hash of an encoded key.
    ///
    /// # Errors
    ///
    /// If it is none.
    fn hash_of(encoded: &[u8]) -> Result<u64, postcard::Error> {
        postcard::from_bytes(encoded).map(|key: Self| key.hash())
    }
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
    /// See [`crate::event::key_hash`]. First and of fixed length, so that it is found without decoding the rest.
    #[serde(with = "postcard::fixint::le")]
    pub hash: u64,
    /// The kind.
    pub kind: EntityKind,
    /// The id.
    pub id: Box<str>,
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

    fn hash_of(encoded: &[u8]) -> Result<u64, postcard::Error> {
        let hash = encoded.first_chunk().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        Ok(u64::from_le_bytes(*hash))
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
#[derive(Debug, Clone)]
pub struct KeyedState<K, V> {
    index: HashTable<Entry>,
    slots: Slots<K, V>,
    restored: Restored,
    live: usize,
    changes: Option<Changes>,
}

/// Where a key is.
#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u64,
    place: Place,
}

/// A slot, or a place in a restored block, in 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(u64);

enum Unpacked {
    Slot(u32),
    Restored(RestoredPlace),
}

impl Place {
    /// Set in places in restored blocks, of which there are fewer than 2^31.
    const RESTORED: u64 = 1 << 63;

    fn slot(number: u32) -> Place {
        Place(u64::from(number))
    }

    fn restored(place: RestoredPlace) -> Place {
        Place(Place::RESTORED | u64::from(place.block) << 32 | u64::from(place.at))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half, and the upper one")]
    fn unpack(self) -> Unpacked {
        if self.0 & Place::RESTORED == 0 {
            return Unpacked::Slot(self.0 as u32);
        }
        let block = ((self.0 & !Place::RESTORED) >> 32) as u32;
        Unpacked::Restored(RestoredPlace { block, at: self.0 as u32 })
    }
}

/// What was written since the last cut, and what of the last cut is still to be encoded.
#[derive(Debug, Clone)]
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
        KeyedState {
            index: HashTable::new(),
            slots: Slots::default(),
            restored: Restored::default(),
            live: 0,
            changes,
        }
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

    fn insert(&mut self, hash: u64, slot: Slot<K, V>) -> u32 {
        self.live += usize::from(slot.value.is_some());
        let number = self.slots.put(slot);
        let entry = Entry { hash, place: Place::slot(number) };
        self.index.insert_unique(hash, entry, |entry| entry.hash);
        number
    }

    /// Lets go of a slot whose key has no value.
    fn free(&mut self, number: u32) {
        let hash = self.slots.get(number).key.hash();
        if let Ok(entry) = self.index.find_entry(hash, |entry| entry.place == Place::slot(number)) {
            entry.remove();
        }
        self.slots.free(number);
    }

    /// Puts back a block of what a checkpoint held, before anything else happens to the table: the later of two entries
    /// wins, and one without value deletes. `each` sees every key that has a value, its hash, and the value, both
    /// encoded. Expected O(1) per entry.
    ///
    /// # Errors
    ///
    /// If these are no entries of this table, or `each` says so.
    pub fn restore<E: From<entries::CutOff> + From<postcard::Error>>(
        &mut self,
        block: Bytes,
        mut each: impl FnMut(u64, entries::Pair<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let number = self.restored.begin(block.clone());
        for entry in entries::read_with_places(&block) {
            let (at, (key, value)) = entry?;
            let hash = K::hash_of(key)?;
            self.restore_entry(hash, key, value.map(|_| RestoredPlace { block: number, at: narrow(at) }));
            if let Some(value) = value {
                each(hash, (key, value))?;
            }
        }
        self.restored.end(number);
        Ok(())
    }

    fn restore_entry(&mut self, hash: u64, key: &[u8], place: Option<RestoredPlace>) {
        let Restored { blocks } = &self.restored;
        let is = |entry: &Entry| {
            let is_key = |place: RestoredPlace| blocks[place.block as usize].entry(place.at).0 == key;
            entry.hash == hash && matches!(entry.place.unpack(), Unpacked::Restored(place) if is_key(place))
        };
        let known = self.index.find_entry(hash, is).ok();
        self.live = self.live + usize::from(place.is_some()) - usize::from(known.is_some());
        let before = known.as_ref().map(|entry| entry.get().place);
        match (known, place.map(Place::restored)) {
            (Some(entry), None) => drop(entry.remove()),
            (Some(mut entry), Some(place)) => entry.get_mut().place = place,
            (None, None) => {}
            (None, Some(place)) => {
                self.index.insert_unique(hash, Entry { hash, place }, |entry| entry.hash);
            }
        }
        if let Some(Unpacked::Restored(before)) = before.map(Place::unpack) {
            self.restored.release(before);
        }
        place.into_iter().for_each(|place| self.restored.hold(place));
    }
}

impl<K: OwnedKey, V: DeserializeOwned> KeyedState<K, V> {
    /// The value of `key`. Expected O(1).
    ///
    /// # Panics
    ///
    /// As [`KeyedState::update`].
    pub fn get<B: StateKey<Owned = K>>(&mut self, key: B) -> Option<&V> {
        self.find(key).and_then(|number| self.slots.get(number).value.as_ref())
    }

    /// Every key that has a value, with it. The order is that of an accident: it must not reach an output. Decodes what
    /// was restored each time.
    ///
    /// # Panics
    ///
    /// As [`KeyedState::update`].
    pub fn iter(&self) -> impl Iterator<Item = (K, V)>
    where
        K: Clone,
        V: Clone,
    {
        self.index.iter().filter_map(|entry| match entry.place.unpack() {
            Unpacked::Slot(number) => {
                let slot = self.slots.get(number);
                slot.value.clone().map(|value| (slot.key.clone(), value))
            }
            Unpacked::Restored(place) => Some(self.restored.decode(place)),
        })
    }

    /// The keys of this hash: one, but for an accident. In order.
    ///
    /// # Panics
    ///
    /// As [`KeyedState::update`].
    pub fn keys_of(&self, hash: u64) -> Vec<K>
    where
        K: Clone + Ord,
    {
        let entries = self.index.iter_hash(hash).filter(|entry| entry.hash == hash);
        let mut keys: Vec<K> = entries
            .map(|entry| match entry.place.unpack() {
                Unpacked::Slot(number) => self.slots.get(number).key.clone(),
                Unpacked::Restored(place) => self.restored.decode_key(place),
            })
            .collect();
        keys.sort_unstable();
        keys
    }

    /// The slot of a key; one that was restored is given a slot.
    fn find<B: StateKey<Owned = K>>(&mut self, key: B) -> Option<u32> {
        let hash = key.hash();
        let is = |entry: &Entry| {
            entry.hash == hash
                && match entry.place.unpack() {
                    Unpacked::Slot(number) => key.is(&self.slots.get(number).key),
                    Unpacked::Restored(place) => key.is(&self.restored.decode_key(place)),
                }
        };
        let entry = self.index.find_mut(hash, is)?;
        match entry.place.unpack() {
            Unpacked::Slot(number) => Some(number),
            Unpacked::Restored(place) => {
                let number = self.slots.decode(&self.restored, place);
                entry.place = Place::slot(number);
                if self.restored.release(place) == Pinned::ByFew {
                    self.give_slots_to_the_rest(place.block);
                }
                Some(number)
            }
        }
    }

    /// Few entries of a block are left: they are given slots, so that it can be let go.
    fn give_slots_to_the_rest(&mut self, block: u32) {
        let bytes = self.restored.blocks[block as usize].bytes.clone();
        for entry in entries::read_with_places(&bytes) {
            let (at, (key, _)) = entry.expect("entries that were read before");
            let place = RestoredPlace { block, at: narrow(at) };
            let hash = K::hash_of(key).expect("a key that was read before");
            if let Some(entry) = self.index.find_mut(hash, |entry| entry.place == Place::restored(place)) {
                entry.place = Place::slot(self.slots.decode(&self.restored, place));
                self.restored.release(place);
            }
        }
    }
}

impl<K: OwnedKey, V: Serialize + DeserializeOwned> KeyedState<K, V> {
    /// Changes the value of `key` and remembers that it was written. Leaving `None` behind deletes the key.
    /// Expected O(1).
    ///
    /// # Panics
    ///
    /// If what was restored is no value of this table, although the sums of its file were right and its shape is ours.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::key_hash;
    use crate::generate::random::Random;
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
        assert_eq!((state.get(a).copied(), state.get(b).copied()), (Some('a'), Some('b')));
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

    type Table = KeyedState<OwnedEntityKey, u64>;

    /// Puts back what was encoded, and empties it.
    fn apply(into: &mut Table, entries: &mut Entries) {
        let block = Bytes::copy_from_slice(entries.bytes());
        into.restore(block, |_, _| Ok::<_, crate::checkpoint::Damage>(())).expect("our own bytes");
        entries.clear();
    }

    fn content(of: &Table) -> BTreeMap<String, u64> {
        of.iter().map(|(key, value)| (key.id.into(), value)).collect()
    }

    #[test]
    fn what_is_encoded_after_a_cut_is_the_table_as_it_was_at_the_cut() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut state = KeyedState::new(Tracking::On);
            let (mut model, mut checkpoint) = (BTreeMap::new(), Table::new(Tracking::On));
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
                        apply(&mut checkpoint, &mut entries);
                    }
                }
                while !state.encode_some(&mut entries, 64) {
                    apply(&mut checkpoint, &mut entries);
                }
                apply(&mut checkpoint, &mut entries);
                assert_eq!(Some(content(&checkpoint)), at_the_cut, "seed {seed}");
                assert_eq!(checkpoint.len(), content(&checkpoint).len(), "seed {seed}");
                assert_eq!(content(&state), model, "seed {seed}");
            }
            assert!(
                state.slots.iter().count() <= 12,
                "deleted keys are let go once a checkpoint has said so"
            );
        }
    }

    fn of_one(number: u64, value: Option<u64>) -> Entries {
        let mut entries = Entries::default();
        entries.put(&StateKey::to_owned(&key(EntityKind::Card, &number.to_string())), value.as_ref());
        entries
    }

    #[test]
    fn the_later_of_two_restored_values_wins_and_none_deletes() {
        let mut state = Table::new(Tracking::On);
        let card = key(EntityKind::Card, "1");
        let mut block = of_one(1, Some(1));
        for (number, value) in [(1, None), (1, Some(1)), (1, Some(2))] {
            block.append(&mut of_one(number, value));
        }
        apply(&mut state, &mut block);
        assert_eq!((state.iter().next().map(|(_, value)| value), state.len()), (Some(2), 1));
        apply(&mut state, &mut of_one(1, None));
        assert_eq!((state.get(card).copied(), state.len()), (None, 0));
        let mut entries = Entries::default();
        state.cut();
        assert!(
            state.encode_some(&mut entries, 1) && entries.is_empty(),
            "what was restored has not changed"
        );
    }

    #[test]
    fn a_restored_table_goes_on_as_the_one_it_was_made_from_and_lets_go_of_what_it_no_longer_needs() {
        for seed in 0..100 {
            let mut random = Random::new(seed);
            let (mut state, mut model) = (Table::new(Tracking::On), BTreeMap::new());
            for number in 0..20 {
                apply(&mut state, &mut of_one(number, Some(number)));
                model.insert(number.to_string(), number);
            }
            // a block of keys that are hardly touched, and of one that the next block names again
            let mut many = Entries::default();
            for number in 19..119 {
                many.append(&mut of_one(number, Some(number)));
                model.insert(number.to_string(), number);
            }
            apply(&mut state, &mut many);
            let mut checkpoint = Table::new(Tracking::On);
            for _ in 0..60 {
                let id = random.below(20).to_string();
                let card = key(EntityKind::Card, &id);
                assert_eq!(state.get(card), model.get(&id), "seed {seed}");
                let new = (random.below(3) > 0).then(|| random.below(1_000));
                state.update(card, |value| *value = new);
                match new {
                    Some(new) => model.insert(id, new),
                    None => model.remove(&id),
                };
                assert_eq!(state.len(), model.len(), "seed {seed}");
            }
            assert_eq!(content(&state), model, "seed {seed}");
            let blocks = state.restored.blocks.iter().filter(|block| !block.bytes.is_empty());
            let untouched: u32 = blocks.map(|block| block.needed).sum();
            let in_slots = state.slots.iter().filter(|slot| slot.value.is_some()).count();
            assert_eq!(in_slots + untouched as usize, state.len(), "seed {seed}");
            state.cut();
            let mut entries = Entries::default();
            assert!(state.encode_some(&mut entries, usize::MAX));
            for number in 0..119 {
                apply(&mut checkpoint, &mut of_one(number, Some(number)));
            }
            apply(&mut checkpoint, &mut entries);
            assert_eq!(content(&checkpoint), model, "seed {seed}: base and delta");
        }
    }

    #[test]
    fn a_block_of_which_little_is_needed_is_let_go() {
        let mut state = Table::new(Tracking::On);
        let mut many = Entries::default();
        (0..100).for_each(|number| many.append(&mut of_one(number, Some(number))));
        apply(&mut state, &mut many);
        for number in 0..88 {
            assert!(!state.restored.blocks[0].bytes.is_empty(), "{number}");
            let id = number.to_string();
            state.update(key(EntityKind::Card, &id), |value| *value = None);
        }
        assert!(state.restored.blocks[0].bytes.is_empty(), "the last twelve have slots");
        assert_eq!(content(&state), (88..100).map(|number| (number.to_string(), number)).collect());
    }

    #[test]
    fn the_keys_of_a_hash_are_found_wherever_they_are() {
        let mut state = Table::new(Tracking::On);
        let key = |id| EntityKey { kind: EntityKind::Card, hash: 7, id };
        let mut entries = Entries::default();
        entries.put(&StateKey::to_owned(&key("b")), Some(&2_u64));
        apply(&mut state, &mut entries);
        state.update(key("a"), |value| *value = Some(1));
        state.update(EntityKey { hash: 8, ..key("c") }, |value| *value = Some(3));
        assert_eq!(state.keys_of(7), ["a", "b"].map(|id| StateKey::to_owned(&key(id))));
    }
}
