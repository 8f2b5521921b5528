//! Two windows counted by category.

use super::counts::Counts;
use crate::drift::{DriftError, Pair};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The categories that either of two windows has, in their order, with how often each has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories<'a> {
    names: Vec<&'a str>,
    counts: Pair<Vec<u64>>,
}

impl<'a> Categories<'a> {
    /// The union of two windows' categories. Those counted 0 in both are left out.
    #[must_use]
    pub fn new<N: Ord + AsRef<str>>(windows: Pair<&'a BTreeMap<N, u64>>) -> Categories<'a> {
        let mut union: BTreeMap<&str, Pair<u64>> = BTreeMap::new();
        let mut put = |name: &'a N, count: Pair<u64>| match union.entry(name.as_ref()) {
            Entry::Vacant(vacant) => drop(vacant.insert(count)),
            Entry::Occupied(mut known) => known.get_mut().current += count.current,
        };
        for (name, count) in windows.reference {
            put(name, Pair { reference: *count, current: 0 });
        }
        for (name, count) in windows.current {
            put(name, Pair { reference: 0, current: *count });
        }
        union.retain(|_, count| count.total() > 0);
        let counts = Pair {
            reference: union.values().map(|count| count.reference).collect(),
            current: union.values().map(|count| count.current).collect(),
        };
        Categories { names: union.into_keys().collect(), counts }
    }

    /// The names, in the order of the counts.
    #[must_use]
    pub fn names(&self) -> &[&'a str] {
        &self.names
    }

    /// The counts, to be compared.
    ///
    /// # Errors
    ///
    /// [`DriftError::EmptyWindow`] if either window holds nothing.
    pub fn counts(&self) -> Result<Counts<'_>, DriftError> {
        Counts::new(Pair { reference: &self.counts.reference, current: &self.counts.current })
    }

    /// Categories that only the current window has, by name.
    pub fn appeared(&self) -> impl Iterator<Item = &'a str> {
        self.which(|count| count.reference == 0)
    }

    /// Categories that only the reference has, by name.
    pub fn disappeared(&self) -> impl Iterator<Item = &'a str> {
        self.which(|count| count.current == 0)
    }

    fn which(&self, is_wanted: impl Fn(Pair<u64>) -> bool) -> impl Iterator<Item = &'a str> {
        let counts = self.counts.reference.iter().zip(&self.counts.current);
        let counts = counts.map(|(reference, current)| Pair { reference: *reference, current: *current });
        self.names.iter().zip(counts).filter(move |(_, count)| is_wanted(*count)).map(|(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_of_either_window_stand_in_one_order_and_those_of_one_alone_are_named() {
        let reference = BTreeMap::from([("card", 5), ("cash", 3), ("cheque", 0)]);
        let current = BTreeMap::from([("card", 2), ("crypto", 4)]);
        let both = Categories::new(Pair { reference: &reference, current: &current });
        assert_eq!(both.names(), ["card", "cash", "crypto"]);
        assert_eq!(both.counts().unwrap().totals(), Pair { reference: 8, current: 6 });
        assert!(both.appeared().eq(["crypto"]) && both.disappeared().eq(["cash"]));
    }
}
