//! What a checkpoint says of a table: keys, each with its value or the word that it is gone, as bytes.
//!
//! An entry is the length of its key and of its value (32 bits each, little endian; all ones: no value), then both in
//! postcard. So files can be merged by code that knows neither.

use serde::Serialize;

/// The length that stands for "deleted".
const DELETED: u32 = u32::MAX;
const HEAD_BYTES: usize = 8;

/// Entries, back to back.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    bytes: Vec<u8>,
}

impl Entries {
    /// None yet, with room for so many bytes and a last entry beyond.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Entries {
        Entries { bytes: Vec::with_capacity(bytes + bytes / 8) }
    }

    /// Adds an entry; no value: the key was deleted.
    ///
    /// # Panics
    ///
    /// If a value is larger than 4 GiB, which the bounds of all state exclude.
    pub fn put<K: Serialize, V: Serialize>(&mut self, key: &K, value: Option<&V>) {
        let head = self.bytes.len();
        self.bytes.resize(head + HEAD_BYTES, 0);
        let key_bytes = self.encode(key);
        let value_bytes = value.map_or(DELETED, |value| self.encode(value));
        let lengths = self.bytes.get_mut(head..head + HEAD_BYTES).expect("the room that was just made");
        let (key_place, value_place) = lengths.split_at_mut(HEAD_BYTES / 2);
        key_place.copy_from_slice(&key_bytes.to_le_bytes());
        value_place.copy_from_slice(&value_bytes.to_le_bytes());
    }

    /// Adds an entry whose key and value are bytes already.
    pub fn put_raw(&mut self, key: &[u8], value: Option<&[u8]>) {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("an entry is smaller than 4 GiB");
        self.bytes.extend_from_slice(&length(key).to_le_bytes());
        self.bytes.extend_from_slice(&value.map_or(DELETED, length).to_le_bytes());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }

    fn encode<T: Serialize>(&mut self, value: &T) -> u32 {
        let begun = self.bytes.len();
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(value, bytes).expect("state holds nothing that postcard refuses");
        u32::try_from(self.bytes.len() - begun).expect("an entry is smaller than 4 GiB")
    }

    /// Takes over what `other` holds.
    pub fn append(&mut self, other: &mut Entries) {
        self.bytes.append(&mut other.bytes);
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets them, keeping the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Bytes that are no entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the entries of a checkpoint are cut off")]
pub struct CutOff;

/// A key and its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// A key, and its value if it was not deleted.
pub type Entry<'a> = (&'a [u8], Option<&'a [u8]>);

/// The entries in `bytes`, in order; an error, and nothing after it, where they are cut off.
pub fn read(bytes: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, CutOff>> {
    read_with_places(bytes).map(|entry| entry.map(|(_, entry)| entry))
}

/// As [`read`], each with its place in `bytes`, from which [`at`] finds it again.
pub fn read_with_places(bytes: &[u8]) -> impl Iterator<Item = Result<(usize, Entry<'_>), CutOff>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let place = bytes.len() - rest.len();
        let entry = take(&mut rest);
        if entry.is_none() {
            rest = &[];
        }
        Some(entry.map(|entry| (place, entry)).ok_or(CutOff))
    })
}

/// The entry at `place` of `bytes`, which came with it.
#[must_use]
pub fn at(bytes: &[u8], place: usize) -> Option<Entry<'_>> {
    take(&mut bytes.get(place..)?)
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<Entry<'a>> {
    let key_bytes = u32::from_le_bytes(*bytes.split_off(..4)?.first_chunk()?) as usize;
    let value_bytes = u32::from_le_bytes(*bytes.split_off(..4)?.first_chunk()?);
    let key = bytes.split_off(..key_bytes)?;
    let value = if value_bytes == DELETED { None } else { Some(bytes.split_off(..value_bytes as usize)?) };
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_back_as_they_were_put() {
        let mut entries = Entries::default();
        entries.put(&7_u8, Some(&"seven"));
        entries.put::<_, u8>(&8_u8, None);
        entries.put_raw(&[9], Some(&[]));
        let read: Result<Vec<_>, _> = read(entries.bytes()).collect();
        let expected: Vec<Entry<'_>> = vec![(&[7], Some(b"\x05seven")), (&[8], None), (&[9], Some(&[]))];
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn every_cut_inside_an_entry_is_noticed() {
        let mut entries = Entries::default();
        entries.put(&7_u8, Some(&"seven"));
        for length in 1..entries.len() {
            let outcome: Result<Vec<_>, _> = read(entries.bytes().get(..length).unwrap()).collect();
            assert_eq!(outcome, Err(CutOff), "{length}");
        }
    }
}
