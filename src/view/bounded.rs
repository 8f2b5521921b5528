//! A map that many read while one writes, and that forgets what was not written for longest.

use dashmap::DashMap;
use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// At most so many entries. Reading takes a lock of a shard for the time of the copy; writing takes O(1).
#[derive(Debug)]
pub struct Bounded<K: Eq + Hash, V> {
    entries: DashMap<K, (u64, V)>,
    /// Keys in the order of writing, each with the number of the write; an entry of another number was written again.
    order: Mutex<Order<K>>,
    entries_max: usize,
}

#[derive(Debug)]
struct Order<K> {
    written: VecDeque<(u64, K)>,
    writes: u64,
    entries: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Bounded<K, V> {
    /// Empty; keeps at most `entries_max`.
    #[must_use]
    pub fn new(entries_max: usize) -> Bounded<K, V> {
        let order = Mutex::new(Order { written: VecDeque::new(), writes: 0, entries: 0 });
        Bounded { entries: DashMap::new(), order, entries_max }
    }

    /// What stands under `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key).map(|entry| entry.1.clone())
    }

    /// Looks at each entry, in no order; what is written meanwhile may be among them or not.
    pub fn each(&self, mut look: impl FnMut(&K, &V)) {
        self.entries.iter().for_each(|entry| look(entry.key(), &entry.value().1));
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Writes what `change` makes of what stood there; nothing, if it makes nothing. Whether something was written.
    pub fn update(&self, key: &K, change: impl FnOnce(Option<&V>) -> Option<V>) -> bool {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let made = {
            let known = self.entries.get(key);
            change(known.as_ref().map(|entry| &entry.1))
        };
        let Some(value) = made else { return false };
        order.writes += 1;
        let number = order.writes;
        if self.entries.insert(key.clone(), (number, value)).is_none() {
            order.entries += 1;
        }
        order.written.push_back((number, key.clone()));
        self.forget(&mut order);
        true
    }

    /// Forgets the oldest entries beyond the bound, and places in the order that say nothing any more.
    fn forget(&self, order: &mut Order<K>) {
        let is_current = |number: u64, key: &K| self.entries.get(key).is_some_and(|entry| entry.0 == number);
        while order.entries > self.entries_max {
            let Some((number, key)) = order.written.pop_front() else { return };
            if is_current(number, &key) && self.entries.remove(&key).is_some() {
                order.entries -= 1;
            }
        }
        if order.written.len() > 2 * self.entries_max + 16 {
            order.written.retain(|(number, key)| is_current(*number, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(map: &Bounded<u32, u32>, key: u32, value: u32) {
        assert!(map.update(&key, |_| Some(value)));
    }

    #[test]
    fn what_was_not_written_for_longest_goes_first() {
        let map = Bounded::new(2);
        put(&map, 1, 10);
        put(&map, 2, 20);
        put(&map, 1, 11);
        put(&map, 3, 30);
        assert_eq!((map.get(&1), map.get(&2), map.get(&3)), (Some(11), None, Some(30)));
    }

    #[test]
    fn a_change_that_makes_nothing_leaves_what_was_there() {
        let map = Bounded::new(2);
        put(&map, 1, 10);
        assert!(!map.update(&1, |known| (known != Some(&10)).then_some(99)));
        assert_eq!(map.get(&1), Some(10));
    }

    #[test]
    fn one_key_written_often_takes_no_more_memory() {
        let map = Bounded::new(4);
        for value in 0..10_000 {
            put(&map, value % 3, value);
        }
        assert_eq!(map.len(), 3);
        assert!(map.order.lock().expect("no panic").written.len() <= 24);
    }
}
