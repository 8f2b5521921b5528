//! Keyed hashes in place of personal identifiers.
//!
//! BLAKE3 in keyed mode, 128 bits, over the kind of entity and the identifier. Which key is used
//! depends on the event's time alone, never on when it is read, so that a record that is read again
//! goes to the same place.

#![expect(
    clippy::indexing_slicing,
    reason = "there is at least one key, a hash has 32 bytes, and a digit is below 16"
)]

use crate::event::EntityKind;
use crate::time::EventTime;
use std::fmt::Write;

/// A key and the event time from which it is used.
#[derive(Clone)]
pub struct PseudonymKey {
    /// A short name that stands in front of every pseudonym made with it.
    pub id: String,
    /// Used for events from this time on.
    pub since: EventTime,
    /// The secret.
    pub secret: [u8; 32],
}

impl std::fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PseudonymKey")
            .field("id", &self.id)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// The keys, ordered by time.
#[derive(Debug, Clone)]
pub struct Pseudonyms {
    keys: Vec<PseudonymKey>,
}

impl Pseudonyms {
    /// With these keys; the one with the earliest `since` is also used for events before it.
    ///
    /// # Panics
    ///
    /// If there is no key; configuration without one is refused before.
    #[must_use]
    pub fn new(mut keys: Vec<PseudonymKey>) -> Pseudonyms {
        assert!(!keys.is_empty(), "at least one pseudonym key");
        keys.sort_by_key(|key| key.since);
        Pseudonyms { keys }
    }

    /// The pseudonym of `identifier`, such as `k1.9f86d081884c7d659a2feaa0c55ad015`.
    #[must_use]
    pub fn of(&self, kind: EntityKind, identifier: &str, time: EventTime) -> String {
        let later = self.keys.partition_point(|key| key.since <= time);
        let key = &self.keys[later.saturating_sub(1)];
        let mut hasher = blake3::Hasher::new_keyed(&key.secret);
        hasher.update(&[kind as u8]).update(identifier.as_bytes());
        let hash = hasher.finalize();
        let mut pseudonym = String::with_capacity(key.id.len() + 33);
        pseudonym.push_str(&key.id);
        pseudonym.push('.');
        for byte in &hash.as_bytes()[..16] {
            for digit in [byte >> 4, byte & 15] {
                pseudonym.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        pseudonym
    }

    /// A number that changes when the keys do, without giving them away.
    #[must_use]
    pub fn version(&self) -> String {
        let mut version = String::new();
        for key in &self.keys {
            let print = blake3::keyed_hash(&key.secret, b"tillstream key version");
            write!(version, "{}@{}:{};", key.id, key.since.0, &print.to_hex()[..16])
                .expect("a String takes all");
        }
        version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, since: i64, secret: u8) -> PseudonymKey {
        PseudonymKey { id: id.to_owned(), since: EventTime(since), secret: [secret; 32] }
    }

    #[test]
    fn the_key_is_chosen_by_event_time() {
        let pseudonyms = Pseudonyms::new(vec![key("b", 1_000, 2), key("a", 500, 1)]);
        for (time, expected) in [(0, "a."), (999, "a."), (1_000, "b."), (1_001, "b.")] {
            let pseudonym = pseudonyms.of(EntityKind::Card, "tok", EventTime(time));
            assert!(pseudonym.starts_with(expected), "{time}: {pseudonym}");
        }
    }

    #[test]
    fn kinds_and_keys_give_different_pseudonyms_of_one_identifier() {
        let one = Pseudonyms::new(vec![key("k", 0, 1)]);
        let two = Pseudonyms::new(vec![key("k", 0, 2)]);
        let card = one.of(EntityKind::Card, "x", EventTime(0));
        assert_eq!(card.len(), 34);
        assert_ne!(card, one.of(EntityKind::Ip, "x", EventTime(0)));
        assert_ne!(card, two.of(EntityKind::Card, "x", EventTime(0)));
        assert_ne!(one.version(), two.version());
    }
}
