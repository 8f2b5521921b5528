//! Two sketches of a category over common bins.

use super::category::{CategorySketch, Named, group_of};
use super::expected_in_both;
use crate::drift::distance::Counts;
use crate::drift::{DriftError, Pair};
use std::collections::BTreeMap;

/// What a bin of two aligned category sketches holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// One category.
    Named(Box<str>),
    /// All categories of a group that have no bin of their own.
    Group(usize),
    /// What is left.
    Rest,
}

/// The counts of two category sketches over the same bins: categories by name, then groups, then the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlignedCategories {
    labels: Vec<Label>,
    counts: Pair<Vec<u64>>,
    appeared: Vec<(Box<str>, u64)>,
    disappeared: Vec<(Box<str>, u64)>,
}

impl AlignedCategories {
    /// Over all categories that both sketches would count by name, and the groups of the others.
    ///
    /// Bins that `expected` values would not fall into on both sides, if both windows had one law, are merged: a category into
    /// its group, groups into the rest, and a rest that is too small into the smallest bin. Whether they do is read from the
    /// sum of both windows, which says nothing of how they differ: a test on the merged counts keeps its p-value. With 0,
    /// nothing is merged. Fit for chi-square from [`super::EXPECTED_MIN`] on.
    #[must_use]
    pub fn new(sketches: Pair<&CategorySketch>, expected: f64) -> AlignedCategories {
        let common = Common::new(sketches);
        let totals = sketches.map(CategorySketch::count);
        let is_enough = |count: Pair<u64>| expected_in_both(count.total(), totals) >= expected;
        let mut bins: BTreeMap<Label, Pair<u64>> = BTreeMap::new();
        let mut groups = common.groups;
        for (named, count) in &common.named {
            if is_enough(*count) {
                bins.insert(Label::Named(named.name.clone()), *count);
            } else {
                add(groups.entry(group_of(named.hash)).or_default(), *count);
            }
        }
        let mut rest = Pair::default();
        for (group, count) in groups {
            if is_enough(count) {
                bins.insert(Label::Group(group), count);
            } else {
                add(&mut rest, count);
            }
        }
        if rest.total() > 0 && !is_enough(rest) {
            let smallest = bins.iter().min_by_key(|(_, count)| count.total()).map(|(label, _)| label.clone());
            if let Some(count) = smallest.and_then(|label| bins.remove(&label)) {
                add(&mut rest, count);
            }
        }
        if rest.total() > 0 {
            bins.insert(Label::Rest, rest);
        }
        let counts = Pair {
            reference: bins.values().map(|count| count.reference).collect(),
            current: bins.values().map(|count| count.current).collect(),
        };
        let only = |is_wanted: fn(&Pair<u64>) -> bool| {
            let of = common.named.iter().filter(|(_, count)| is_wanted(count));
            let mut only: Vec<(Box<str>, u64)> =
                of.map(|(named, count)| (named.name.clone(), count.total())).collect();
            only.sort_unstable_by(|(one, ones), (other, others)| {
                others.cmp(ones).then_with(|| one.cmp(other))
            });
            only
        };
        let (appeared, disappeared) = (only(|count| count.reference == 0), only(|count| count.current == 0));
        AlignedCategories { labels: bins.into_keys().collect(), counts, appeared, disappeared }
    }

    /// The counts, to be compared.
    ///
    /// # Errors
    ///
    /// [`DriftError::EmptyWindow`] if either sketch has no record.
    pub fn counts(&self) -> Result<Counts<'_>, DriftError> {
        Counts::new(Pair { reference: &self.counts.reference, current: &self.counts.current })
    }

    /// What each bin holds, in the order of the counts.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Categories that are certainly new: only the current window has them. The most frequent first, then by name. However rare,
    /// and though merged in the counts. If either window has more than 200 categories, only a part of the new ones.
    #[must_use]
    pub fn appeared(&self) -> &[(Box<str>, u64)] {
        &self.appeared
    }

    /// Categories that are certainly gone: only the reference has them.
    #[must_use]
    pub fn disappeared(&self) -> &[(Box<str>, u64)] {
        &self.disappeared
    }
}

fn add(to: &mut Pair<u64>, count: Pair<u64>) {
    to.reference = to.reference.saturating_add(count.reference);
    to.current = to.current.saturating_add(count.current);
}

/// What two sketches have in common: the names up to the lower of their limits, and groups of all others.
#[derive(Debug)]
struct Common<'a> {
    named: Vec<(&'a Named, Pair<u64>)>,
    groups: BTreeMap<usize, Pair<u64>>,
}

impl<'a> Common<'a> {
    fn new(sketches: Pair<&'a CategorySketch>) -> Common<'a> {
        let limits = sketches.map(|sketch| sketch.limit().unwrap_or(u64::MAX));
        let limit = limits.reference.min(limits.current);
        let mut named: BTreeMap<u64, (&Named, Pair<u64>)> = BTreeMap::new();
        let mut groups: BTreeMap<usize, Pair<u64>> = BTreeMap::new();
        let sides: Pair<fn(u64) -> Pair<u64>> = Pair {
            reference: |count| Pair { reference: count, current: 0 },
            current: |count| Pair { reference: 0, current: count },
        };
        for (sketch, side) in [(sketches.reference, sides.reference), (sketches.current, sides.current)] {
            for entry in sketch.entries() {
                let to = if entry.hash <= limit {
                    &mut named.entry(entry.hash).or_insert((entry, Pair::default())).1
                } else {
                    groups.entry(group_of(entry.hash)).or_default()
                };
                add(to, side(entry.count));
            }
            for (group, count) in sketch.groups().enumerate() {
                add(groups.entry(group).or_default(), side(count));
            }
        }
        groups.retain(|_, count| count.total() > 0);
        Common { named: named.into_values().collect(), groups }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CATEGORIES_MAX, EXPECTED_MIN};
    use super::*;
    use crate::drift::Window;
    use proptest::prelude::*;

    fn sketch(counts: &[(&str, u64)]) -> CategorySketch {
        let mut sketch = CategorySketch::default();
        counts.iter().for_each(|(name, count)| sketch.add_many(name, *count));
        sketch
    }

    /// Stores of a rank and a share that falls with it.
    fn zipf(stores: u64, records_of_first: u64) -> CategorySketch {
        let mut sketch = CategorySketch::default();
        (1..=stores).for_each(|rank| sketch.add_many(&format!("store-{rank}"), records_of_first / rank));
        sketch
    }

    fn aligned(reference: &CategorySketch, current: &CategorySketch, expected: f64) -> AlignedCategories {
        AlignedCategories::new(Pair { reference, current }, expected)
    }

    #[test]
    fn few_categories_are_compared_by_name_and_new_ones_named_even_if_rare() {
        let (before, after) = (
            sketch(&[("card", 500), ("cash", 300), ("cheque", 40)]),
            sketch(&[("card", 280), ("cash", 110), ("crypto", 30), ("voucher", 1)]),
        );
        let both = aligned(&before, &after, EXPECTED_MIN);
        let named = ["card", "cash", "cheque", "crypto"].map(|name| Label::Named(name.into()));
        assert_eq!(both.labels().get(..3), Some(&named[..3]));
        assert_eq!(both.appeared(), [("crypto".into(), 30), ("voucher".into(), 1)]);
        assert_eq!(both.disappeared(), [("cheque".into(), 40)]);
        let finest = aligned(&before, &after, 0.0);
        assert_eq!((finest.labels().len(), finest.counts.current.clone()), (5, vec![280, 110, 0, 30, 1]));
    }

    #[test]
    fn a_window_without_a_record_cannot_be_compared() {
        let (some, none) = (sketch(&[("card", 5)]), CategorySketch::default());
        let error = Some(DriftError::EmptyWindow { window: Window::Reference });
        assert_eq!(aligned(&none, &some, EXPECTED_MIN).counts().err(), error);
        assert_eq!(aligned(&none, &none, EXPECTED_MIN).labels(), []);
    }

    /// So many records of the law of a sketch that names everything.
    fn drawn(law: &CategorySketch, records: u32, seed: &mut u64) -> CategorySketch {
        let named: Vec<(&str, u64)> = law.named().collect();
        let cumulated: Vec<u64> = named
            .iter()
            .scan(0, |sum, (_, count)| {
                *sum += count;
                Some(*sum)
            })
            .collect();
        let mut sketch = CategorySketch::default();
        for _ in 0..records {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (*seed >> 11) % law.count();
            sketch.add(named[cumulated.partition_point(|sum| *sum <= place)].0);
        }
        sketch
    }

    /// The same for stores of which only 200 at once can be named.
    fn drawn_stores(stores: u32, records: u32, seed: &mut u64) -> CategorySketch {
        let all: f64 = (1..=stores).map(|rank| 1.0 / f64::from(rank)).sum();
        let mut sketch = CategorySketch::default();
        for _ in 0..records {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut left = (*seed >> 11) as f64 / (1_u64 << 53) as f64 * all;
            let store = (1..stores).find(|rank| {
                left -= 1.0 / f64::from(*rank);
                left < 0.0
            });
            sketch.add(&format!("store-{}", store.unwrap_or(stores)));
        }
        sketch
    }

    #[test]
    fn two_hundred_stores_in_a_window_of_300_records_raise_no_alarm_by_being_many() {
        // the case in which the index over all categories is above 0.2 in every window without drift
        let (reference, mut seed) = (zipf(200, 4_000), 7);
        let (mut by_chi_square, mut by_one) = (0, 0);
        for _ in 0..200 {
            let both = aligned(&reference, &drawn(&reference, 300, &mut seed), EXPECTED_MIN);
            let counts = both.counts().unwrap();
            by_chi_square += u32::from(counts.chi_square().p_value() < 0.05);
            by_one += u32::from(counts.most_shifted().p_value < 0.05);
        }
        // 5 % of 200 and three standard deviations
        assert!(by_chi_square <= 19 && by_one <= 19, "{by_chi_square} {by_one}");
    }

    #[test]
    fn a_shift_of_one_of_a_thousand_stores_is_seen_named_or_not() {
        let mut seed = 3;
        let reference = drawn_stores(1_000, 50_000, &mut seed);
        let unchanged = drawn_stores(1_000, 10_000, &mut seed);
        assert!(
            aligned(&reference, &unchanged, EXPECTED_MIN).counts().unwrap().most_shifted().p_value > 0.01
        );
        for store in [1, 3, 10, 500] {
            let mut current = unchanged.clone();
            current.add_many(&format!("store-{store}"), 300);
            let both = aligned(&reference, &current, EXPECTED_MIN);
            let most = both.counts().unwrap().most_shifted();
            assert!(most.p_value < 1e-3 && most.deviations > 0.0, "store {store}: {most:?}");
        }
    }

    #[test]
    fn a_new_category_among_a_thousand_is_named_by_chance_and_seen_always() {
        let mut seed = 5;
        let reference = drawn_stores(1_000, 50_000, &mut seed);
        let unchanged = drawn_stores(1_000, 50_000, &mut seed);
        let named = (0..300).filter(|number| {
            let name = format!("new-{number}");
            let mut current = unchanged.clone();
            current.add_many(&name, 3_000);
            let both = aligned(&reference, &current, EXPECTED_MIN);
            assert!(both.counts().unwrap().most_shifted().p_value < 1e-9, "{name}");
            both.appeared().iter().any(|(appeared, count)| **appeared == *name && *count == 3_000)
        });
        // 200 of 1,000 categories have a name, give or take what the limit is off
        let named = named.count();
        assert!((35..=85).contains(&named), "{named}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn aligned_counts_keep_every_record_and_agree_with_the_categories(
            one in prop::collection::vec(0_u32..700, 1..900),
            other in prop::collection::vec(0_u32..300, 1..900),
            expected in prop_oneof![Just(0.0), Just(EXPECTED_MIN)],
        ) {
            let of = |records: &[u32]| {
                let mut sketch = CategorySketch::default();
                records.iter().for_each(|number| sketch.add(&format!("store-{number}")));
                sketch
            };
            let both = aligned(&of(&one), &of(&other), expected);
            let sums = both.counts.clone().map(|counts| counts.iter().sum::<u64>());
            prop_assert_eq!(sums, Pair { reference: one.len() as u64, current: other.len() as u64 });
            let count = |records: &[u32], name: &str| records.iter().filter(|number| format!("store-{number}") == name).count() as u64;
            for (place, label) in both.labels().iter().enumerate() {
                if let Label::Named(name) = label {
                    prop_assert_eq!(both.counts.reference[place], count(&one, name));
                    prop_assert_eq!(both.counts.current[place], count(&other, name));
                }
                let pair = Pair { reference: both.counts.reference[place], current: both.counts.current[place] };
                prop_assert!(both.labels().len() == 1 || expected_in_both(pair.total(), sums) >= expected);
            }
            prop_assert!(both.labels().len() <= CATEGORIES_MAX * 2 + 65);
            for (name, _) in both.appeared() {
                prop_assert!(count(&one, name) == 0 && count(&other, name) > 0);
            }
        }
    }
}
