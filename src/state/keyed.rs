//! A table of values by key that takes the hash the frame carries and marks what was written.

use crate::event::EntityKind;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;
use serde::{Deserialize, Serialize};

/// A key of keyed state: it has a hash that was computed elsewhere, and an owned form.
pub trait StateKey: Copy {
    /// What the table keeps.
    type Owned;

    /// The hash that travelled with the key.
    fn hash(&self) -> u64;

    /// Whether `owned` is this key.
    fn is(&self, owned: &Self::Owned) -> bool;

    /// The key to keep.
    fn to_owned(&self) -> Self::Owned;

    /// The hash of a kept key.
    fn hash_of(owned: &Self::Owned) -> u64;
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

    fn hash_of(owned: &OwnedEntityKey) -> u64 {
        owned.hash
    }
}

#[derive(Debug, Clone)]
struct Slot<K, V> {
    key: K,
    value: Option<V>,
    written: u64,
}

/// Values by key. A value is changed only through [`KeyedState::update`], which stamps it with the
/// current generation: what a checkpoint has to write is what was stamped since the last one.
#[derive(Debug, Clone)]
pub struct KeyedState<K, V> {
    table: HashTable<Slot<K, V>>,
    generation: u64,
}

impl<K, V> Default for KeyedState<K, V> {
    fn default() -> Self {
        KeyedState { table: HashTable::new(), generation: 0 }
    }
}

impl<K, V> KeyedState<K, V> {
    /// How many keys have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no key has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The value of `key`.
    #[must_use]
    pub fn get<B: StateKey<Owned = K>>(&self, key: B) -> Option<&V> {
        self.table.find(key.hash(), |slot| key.is(&slot.key)).and_then(|slot| slot.value.as_ref())
    }

    /// Changes the value of `key` and marks it as written. Leaving `None` behind deletes the key.
    /// Expected O(1).
    pub fn update<B: StateKey<Owned = K>, R>(
        &mut self,
        key: B,
        change: impl FnOnce(&mut Option<V>) -> R,
    ) -> R {
        let generation = self.generation;
        let found = self.table.entry(key.hash(), |slot| key.is(&slot.key), |slot| B::hash_of(&slot.key));
        match found {
            TableEntry::Occupied(mut occupied) => {
                let slot = occupied.get_mut();
                let result = change(&mut slot.value);
                slot.written = generation;
                if slot.value.is_none() {
                    occupied.remove();
                }
                result
            }
            TableEntry::Vacant(vacant) => {
                let mut value = None;
                let result = change(&mut value);
                if value.is_some() {
                    vacant.insert(Slot { key: key.to_owned(), value, written: generation });
                }
                result
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::key_hash;

    fn key(kind: EntityKind, id: &str) -> EntityKey<'_> {
        EntityKey { kind, hash: key_hash(kind, id), id }
    }

    #[test]
    fn a_value_is_kept_until_none_is_left_behind() {
        let mut state = KeyedState::default();
        state.update(key(EntityKind::Card, "a"), |value| *value = Some(1));
        state.update(key(EntityKind::Card, "a"), |value| *value = value.map(|number| number + 1));
        assert_eq!(state.get(key(EntityKind::Card, "a")), Some(&2));
        assert_eq!(state.get(key(EntityKind::Ip, "a")), None, "kinds are apart");
        state.update(key(EntityKind::Card, "a"), |value| *value = None);
        assert!(state.is_empty());
    }

    #[test]
    fn keys_of_equal_hash_are_told_apart() {
        let mut state = KeyedState::default();
        let (a, b) = (
            EntityKey { kind: EntityKind::Card, hash: 7, id: "a" },
            EntityKey { kind: EntityKind::Card, hash: 7, id: "b" },
        );
        state.update(a, |value| *value = Some('a'));
        state.update(b, |value| *value = Some('b'));
        assert_eq!((state.get(a), state.get(b)), (Some(&'a'), Some(&'b')));
    }
}
