//! How popular items are: sums of weights that halve with time, overall and by category.
//!
//! A weight of `w` at time `t` is worth `w · 2^((t − now) / half-life)` now. All sums shrink alike as time passes, so their order does
//! not change: each is kept as the logarithm of `Σ w · 2^(t / half-life)`, and nothing needs to be touched again.

use crate::time::{EventTime, millis};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The logarithm (base 2) of a sum, in an order that sets can keep.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Level(f64);

impl Eq for Level {}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Level) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Level {
    fn cmp(&self, other: &Level) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

type Ranking = BTreeSet<(Level, Box<str>)>;

#[derive(Debug)]
struct Known {
    level: Level,
    category: Option<Box<str>>,
}

/// Popular items. Memory: about 250 bytes per item, of which there are at most so many; the least popular is forgotten first.
#[derive(Debug)]
pub struct Popularity {
    half_life_ms: f64,
    items_max: usize,
    items: HashMap<Box<str>, Known, FixedState>,
    overall: Ranking,
    by_category: BTreeMap<Box<str>, Ranking>,
}

impl Popularity {
    /// Of at most `items_max` items, with weights that halve within `half_life`.
    #[must_use]
    pub fn new(half_life: Duration, items_max: usize) -> Popularity {
        Popularity {
            half_life_ms: millis(half_life).max(1) as f64,
            items_max,
            items: HashMap::with_hasher(FixedState::default()),
            overall: Ranking::new(),
            by_category: BTreeMap::new(),
        }
    }

    /// Somebody was interested in an item, so much.
    pub fn add(&mut self, item: &str, category: Option<&str>, time: EventTime, weight: f64) {
        let added = time.0 as f64 / self.half_life_ms + weight.log2();
        let known = self.remove(item);
        let level = known.as_ref().map_or(added, |known| sum(known.level.0, added));
        let category = category.map(Box::from).or_else(|| known.and_then(|known| known.category));
        self.insert(item.into(), Known { level: Level(level), category });
        if self.items.len() > self.items_max
            && let Some((_, least)) = self.overall.first().cloned()
        {
            self.remove(&least);
        }
    }

    /// An item has this category from now on.
    pub fn file_under(&mut self, item: &str, category: Option<&str>) {
        if let Some(known) = self.remove(item) {
            self.insert(item.into(), Known { category: category.map(Box::from), ..known });
        }
    }

    fn insert(&mut self, item: Box<str>, known: Known) {
        let place = (known.level, item.clone());
        if let Some(category) = &known.category {
            self.by_category.entry(category.clone()).or_default().insert(place.clone());
        }
        self.overall.insert(place);
        self.items.insert(item, known);
    }

    fn remove(&mut self, item: &str) -> Option<Known> {
        let (item, known) = self.items.remove_entry(item)?;
        let place = (known.level, item);
        self.overall.remove(&place);
        if let Some(category) = &known.category
            && let Some(ranking) = self.by_category.get_mut(category)
        {
            ranking.remove(&place);
            if ranking.is_empty() {
                self.by_category.remove(category);
            }
        }
        Some(known)
    }

    /// Items, the most popular first.
    pub fn overall(&self) -> impl Iterator<Item = &str> {
        self.overall.iter().rev().map(|(_, item)| &**item)
    }

    /// Items of a category, the most popular first.
    pub fn in_category(&self, category: &str) -> impl Iterator<Item = &str> {
        self.by_category
            .get(category)
            .into_iter()
            .flat_map(|ranking| ranking.iter().rev())
            .map(|(_, item)| &**item)
    }

    /// The category under which an item was seen.
    #[must_use]
    pub fn category(&self, item: &str) -> Option<&str> {
        self.items.get(item)?.category.as_deref()
    }

    /// How many items are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// log2(2^a + 2^b).
fn sum(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    high + (low - high).exp2().ln_1p() * std::f64::consts::LOG2_E
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn popularity(items_max: usize) -> Popularity {
        Popularity::new(Duration::from_secs(3_600), items_max)
    }

    #[test]
    fn what_was_wanted_lately_stands_before_what_was_wanted_more_often_long_ago() {
        let mut popular = popularity(10);
        for _ in 0..7 {
            popular.add("old", None, EventTime(0), 1.0);
        }
        popular.add("new", None, EventTime(2 * HOUR), 1.0);
        assert_eq!(popular.overall().collect::<Vec<_>>(), ["old", "new"], "7 quarters are more than 1");
        popular.add("new", None, EventTime(2 * HOUR), 1.0);
        assert_eq!(popular.overall().collect::<Vec<_>>(), ["new", "old"], "and less than 2");
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let mut one = popularity(10);
        let mut other = popularity(10);
        let wanted = [("a", 5 * HOUR, 1.0), ("b", 0, 3.0), ("a", HOUR, 2.0), ("b", 4 * HOUR, 1.0)];
        for (item, at, weight) in wanted {
            one.add(item, None, EventTime(at), weight);
        }
        for (item, at, weight) in wanted.into_iter().rev() {
            other.add(item, None, EventTime(at), weight);
        }
        for item in ["a", "b"] {
            assert!((one.items[item].level.0 - other.items[item].level.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_category_has_a_ranking_of_its_own_and_an_item_one_place() {
        let mut popular = popularity(10);
        popular.add("tent", Some("outdoor"), EventTime(0), 1.0);
        popular.add("lamp", Some("home"), EventTime(0), 2.0);
        popular.add("mat", Some("outdoor"), EventTime(0), 3.0);
        popular.add("tent", Some("sale"), EventTime(0), 5.0);
        assert_eq!(popular.in_category("outdoor").collect::<Vec<_>>(), ["mat"]);
        assert_eq!(popular.in_category("sale").collect::<Vec<_>>(), ["tent"]);
        assert_eq!(popular.overall().collect::<Vec<_>>(), ["tent", "mat", "lamp"]);
        assert_eq!(popular.in_category("none").count(), 0);
        popular.file_under("tent", Some("outdoor"));
        popular.file_under("lamp", None);
        popular.file_under("unknown", Some("outdoor"));
        assert_eq!(popular.in_category("outdoor").collect::<Vec<_>>(), ["tent", "mat"]);
        assert_eq!(popular.in_category("sale").count() + popular.in_category("home").count(), 0);
        assert_eq!(popular.overall().count(), 3);
    }

    #[test]
    fn the_least_popular_is_forgotten_first() {
        let mut popular = popularity(2);
        popular.add("a", Some("x"), EventTime(0), 1.0);
        popular.add("b", Some("x"), EventTime(0), 2.0);
        popular.add("c", Some("x"), EventTime(0), 3.0);
        assert_eq!(popular.overall().collect::<Vec<_>>(), ["c", "b"]);
        assert_eq!(popular.in_category("x").count(), 2);
        assert_eq!(popular.len(), 2);
    }
}
