//! The sketch of a category: a store, a means of payment, a country.
//!
//! # Which categories are counted by name
//!
//! All of them while there are at most 200. Of more, those 200 whose names have the smallest hashes; each of the others is
//! counted in one of 64 groups, chosen by its hash.
//!
//! That is the only kind of rule that does not depend on the order of arrival in bounded memory: a category that has been
//! dropped is remembered by nothing, so whether it is to be kept may rest on its name alone, not on its count ("the 200 most
//! frequent") nor its place in time ("the first 200"). Once a name has been dropped it can never come back, since the 200
//! smallest of more names are never larger; so a category that is counted by name has been from its first record on, and its
//! count is exact. Of all functions of the name the hash is the one that favours nobody: numbers of stores rise with
//! their age, names of the same brand begin alike.
//!
//! Two sketches keep the same names of those they share, so that a comparison is exact up to the lower of their limits. A
//! shift in the mix of the named ones is seen category by category; one among the others shows in the groups, each of which
//! mixes a 64th of them, so that a category can hide only behind those of its own group. Over so many bins a single one that moves
//! is lost on chi-square and not on `Counts::most_shifted`: use both. What is lost beyond the limit is the name of a new
//! category: it is named with the probability 200 / (number of categories), and counted always.

use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use xxhash_rust::xxh3::xxh3_64;

/// So many categories are counted by name at most.
pub const CATEGORIES_MAX: usize = 200;
/// In so many groups the others are counted.
pub const GROUPS: usize = 64;
/// A longer name is cut, and ends in its hash instead.
pub const NAME_BYTES_MAX: usize = 128;
/// What a cut name ends in: an ellipsis of three bytes, and sixteen hexadecimal digits.
const HASH_BYTES: usize = 19;

/// How often each category occurred in a window. At most 200 · (32 + 128) + 512 bytes, 32 KiB; some 8 KiB with names of
/// ten letters. An update is a hash and a binary search.
///
/// Everything in it is exact and the same whatever the order of arrival and merging. Two names with one 64-bit hash would be
/// taken for one category: of 200, once in 10¹⁵ sketches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Stored<Box<str>>")]
pub struct CategorySketch {
    /// By hash, rising.
    named: Vec<Named>,
    /// Without an entry before anything has been pooled, else [`GROUPS`].
    groups: Vec<u64>,
    missing: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) hash: u64,
    pub(super) count: u64,
    pub(super) name: Box<str>,
}

impl CategorySketch {
    /// Counts a record of a category. The empty name is a category like others.
    pub fn add(&mut self, name: &str) {
        self.add_many(name, 1);
    }

    /// Counts `count` records of a category.
    pub fn add_many(&mut self, name: &str, count: u64) {
        if count > 0 {
            let name = bounded(name);
            self.put(xxh3_64(name.as_bytes()), count, || name.as_ref().into());
        }
    }

    /// Counts a record in which the category is missing.
    pub fn add_missing(&mut self) {
        self.missing += 1;
    }

    /// Adds all that another sketch has counted.
    pub fn merge(&mut self, other: &CategorySketch) {
        for named in &other.named {
            self.put(named.hash, named.count, || named.name.clone());
        }
        for (group, count) in other.groups.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.pool(group, *count);
        }
        // A sketch that has pooled something names 200, so the 200 smallest of both are below the limits of both.
        debug_assert!(
            self.limit() <= other.limit() || other.limit().is_none(),
            "what is named is counted nowhere else"
        );
        self.missing = self.missing.saturating_add(other.missing);
    }

    /// How many records had a category.
    #[must_use]
    pub fn count(&self) -> u64 {
        let named = self.named.iter().map(|named| named.count);
        named.chain(self.groups.iter().copied()).fold(0, u64::saturating_add)
    }

    /// In how many records it was missing.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// The categories that are counted by name, in no order that means anything, and their exact counts.
    pub fn named(&self) -> impl Iterator<Item = (&str, u64)> {
        self.named.iter().map(|named| (&*named.name, named.count))
    }

    /// How many records are counted in groups: 0 if every category is counted by name.
    #[must_use]
    pub fn pooled(&self) -> u64 {
        self.groups.iter().copied().fold(0, u64::saturating_add)
    }

    /// About how many different categories there were: exactly while all are named, else within 7 % in two of three cases.
    ///
    /// Source: the k smallest of n uniform hashes end at about k/n; (k − 1) / limit is without bias: Bar-Yossef et al. 2002,
    /// Beyer et al. 2007 (relative error 1/√(k − 2)).
    #[must_use]
    pub fn distinct(&self) -> f64 {
        let named = self.named.len() as f64;
        self.limit().map_or(named, |limit| (named - 1.0) / ((limit as f64 + 1.0) / 2.0_f64.powi(64)))
    }

    /// The largest hash that is counted by name, if anything has been pooled: all categories up to it are named, and none beyond.
    pub(super) fn limit(&self) -> Option<u64> {
        if self.groups.is_empty() { None } else { self.named.last().map(|last| last.hash) }
    }

    pub(super) fn entries(&self) -> &[Named] {
        &self.named
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = u64> {
        self.groups.iter().copied()
    }

    fn put(&mut self, hash: u64, count: u64, name: impl FnOnce() -> Box<str>) {
        match self.named.binary_search_by_key(&hash, |named| named.hash) {
            Ok(place) => {
                self.named
                    .get_mut(place)
                    .into_iter()
                    .for_each(|named| named.count = named.count.saturating_add(count));
            }
            Err(_) if self.limit().is_some_and(|limit| hash > limit) => self.pool(group_of(hash), count),
            Err(place) => {
                self.named.insert(place, Named { hash, count, name: name() });
                if self.named.len() > CATEGORIES_MAX
                    && let Some(last) = self.named.pop()
                {
                    self.pool(group_of(last.hash), last.count);
                }
            }
        }
    }

    fn pool(&mut self, group: usize, count: u64) {
        self.groups.resize(GROUPS, 0);
        self.groups.get_mut(group).into_iter().for_each(|sum| *sum = sum.saturating_add(count));
    }
}

/// The group of a category: the lower bits of its hash, while the upper ones decide whether it is named.
pub(super) fn group_of(hash: u64) -> usize {
    usize::try_from(hash % GROUPS as u64).unwrap_or(0)
}

/// The name as it is kept: a long one ends in the hash of all of it, so that two long names do not become one.
fn bounded(name: &str) -> Cow<'_, str> {
    if name.len() <= NAME_BYTES_MAX {
        return Cow::Borrowed(name);
    }
    let kept = name.get(..name.floor_char_boundary(NAME_BYTES_MAX - HASH_BYTES)).unwrap_or_default();
    Cow::Owned(format!("{kept}…{:016x}", xxh3_64(name.as_bytes())))
}

/// The form in which a sketch is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored<Name> {
    named: Vec<(Name, u64)>,
    groups: Vec<u64>,
    missing: u64,
}

/// Why stored bytes are no sketch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum StoredError {
    #[error("a category twice, without a count, with too long a name, or one too many")]
    Category,
    #[error("other groups than there are, or groups where all categories are named")]
    Groups,
}

impl Serialize for CategorySketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored =
            Stored { named: self.named().collect(), groups: self.groups.clone(), missing: self.missing };
        stored.serialize(serializer)
    }
}

impl TryFrom<Stored<Box<str>>> for CategorySketch {
    type Error = StoredError;

    fn try_from(stored: Stored<Box<str>>) -> Result<CategorySketch, StoredError> {
        let named: Vec<Named> = stored
            .named
            .into_iter()
            .map(|(name, count)| Named { hash: xxh3_64(name.as_bytes()), count, name })
            .collect();
        let is_rising = named.is_sorted_by(|one, other| one.hash < other.hash);
        let is_fine = |named: &Named| named.count > 0 && named.name.len() <= NAME_BYTES_MAX;
        if !is_rising || named.len() > CATEGORIES_MAX || !named.iter().all(is_fine) {
            return Err(StoredError::Category);
        }
        let is_pooled = stored.groups.len() == GROUPS && named.len() == CATEGORIES_MAX;
        if !is_pooled && !stored.groups.is_empty() {
            return Err(StoredError::Groups);
        }
        Ok(CategorySketch { named, groups: stored.groups, missing: stored.missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn sketch<'a>(names: impl IntoIterator<Item = &'a str>) -> CategorySketch {
        let mut sketch = CategorySketch::default();
        names.into_iter().for_each(|name| sketch.add(name));
        sketch
    }

    fn store(number: u32) -> String {
        format!("store-{number}")
    }

    #[test]
    fn up_to_200_categories_are_counted_by_name_and_more_in_groups() {
        let mut sketch = CategorySketch::default();
        (0..200).for_each(|number| sketch.add(&store(number)));
        assert_eq!((sketch.named().count(), sketch.pooled(), sketch.distinct()), (200, 0, 200.0));
        sketch.add(&store(200));
        assert_eq!((sketch.named().count(), sketch.pooled(), sketch.count()), (200, 1, 201));
        (201..5_000).for_each(|number| sketch.add(&store(number)));
        assert_eq!((sketch.named().count(), sketch.count()), (200, 5_000));
        assert!(sketch.groups().all(|count| count > 40), "each group has a 64th of them");
        // three standard deviations
        assert!((sketch.distinct() / 5_000.0 - 1.0).abs() < 0.21, "{}", sketch.distinct());
    }

    #[test]
    fn missing_and_empty_are_two_things() {
        let mut sketch = sketch(["", ""]);
        sketch.add_missing();
        assert_eq!((sketch.count(), sketch.missing()), (2, 1));
        assert!(sketch.named().eq([("", 2)]));
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let long = "ü".repeat(200);
        let (one, other) = (format!("{long}1"), format!("{long}2"));
        let sketch = sketch([&*one, &*other, &*one]);
        let mut named: Vec<(&str, u64)> = sketch.named().collect();
        named.sort_by_key(|(_, count)| *count);
        assert_eq!(named.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 2]);
        assert!(
            named
                .iter()
                .all(|(name, _)| name.len() <= NAME_BYTES_MAX && name.starts_with("ü") && name.contains('…'))
        );
        let fits = "x".repeat(NAME_BYTES_MAX);
        assert!(super::tests::sketch([&*fits]).named().eq([(&*fits, 1)]));
    }

    #[test]
    fn what_no_sketch_can_hold_is_refused() {
        let read =
            |text: String| serde_json::from_str::<CategorySketch>(&text).map_err(|error| error.to_string());
        let of = |named: &str, groups: &str| {
            read(format!(r#"{{"named": {named}, "groups": {groups}, "missing": 0}}"#))
        };
        assert!(of(r#"[["a", 1]]"#, "[]").is_ok());
        let groups = format!("{:?}", [1; GROUPS]);
        for (named, groups, fault) in [
            (r#"[["a", 1], ["a", 1]]"#.to_owned(), "[]", "twice"),
            (r#"[["a", 0]]"#.to_owned(), "[]", "without a count"),
            (format!(r#"[["{}", 1]]"#, "x".repeat(129)), "[]", "too long"),
            (r#"[["a", 1]]"#.to_owned(), &*groups, "groups"),
            (r#"[["a", 1]]"#.to_owned(), "[1]", "groups"),
        ] {
            let error = of(&named, groups).unwrap_err();
            assert!(error.contains(fault), "{named}: {error}");
        }
    }

    fn records() -> impl Strategy<Value = Vec<u32>> {
        // few and many categories, some of them frequent
        let number = prop_oneof![2 => 0_u32..20, 1 => 0_u32..150, 1 => 0_u32..2_000];
        prop_oneof![prop::collection::vec(number, 0..1_500), prop::collection::vec(0_u32..260, 200..600)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn neither_the_order_of_arrival_nor_that_of_merging_matters(records in records(), seed: u64, parts in 1_usize..5) {
            let names: Vec<String> = records.iter().map(|number| store(*number)).collect();
            let whole = sketch(names.iter().map(String::as_str));
            let mut shuffled: Vec<&str> = names.iter().map(String::as_str).collect();
            shuffled.sort_by_key(|name| xxh3_64(format!("{seed}{name}").as_bytes()));
            prop_assert_eq!(&whole, &sketch(shuffled.iter().copied()));
            let size = shuffled.len().div_ceil(parts).max(1);
            let mut merged = CategorySketch::default();
            names.chunks(size).rev().for_each(|part| merged.merge(&sketch(part.iter().map(String::as_str))));
            prop_assert_eq!(&whole, &merged);
            let mut merged = CategorySketch::default();
            shuffled.chunks(size).for_each(|part| {
                let mut other = sketch(part.iter().copied());
                other.merge(&merged);
                merged = other;
            });
            prop_assert_eq!(&whole, &merged);
        }

        #[test]
        fn named_counts_are_exact_and_nothing_is_lost(records in records()) {
            let names: Vec<String> = records.iter().map(|number| store(*number)).collect();
            let mut exact: BTreeMap<&str, u64> = BTreeMap::new();
            names.iter().for_each(|name| *exact.entry(name).or_default() += 1);
            let sketch = sketch(names.iter().map(String::as_str));
            prop_assert_eq!(sketch.count(), records.len() as u64);
            prop_assert_eq!(sketch.named().count(), exact.len().min(CATEGORIES_MAX));
            for (name, count) in sketch.named() {
                prop_assert_eq!(exact.get(name), Some(&count));
            }
        }

        #[test]
        fn what_is_stored_comes_back(records in records(), missing in 0_u64..3) {
            let names: Vec<String> = records.iter().map(|number| store(*number)).collect();
            let mut sketch = sketch(names.iter().map(String::as_str));
            (0..missing).for_each(|_| sketch.add_missing());
            let bytes = postcard::to_allocvec(&sketch).unwrap();
            prop_assert_eq!(&postcard::from_bytes::<CategorySketch>(&bytes).unwrap(), &sketch);
        }
    }
}
