//! Nearest neighbours of a running session among the most recent closed ones: VMIS-kNN (Kersbergen, Sprangers and Schelter,
//! "Serenade", SIGMOD 2022), over an index that sessions enter as they close and leave as newer ones come.
//!
//! A closed session is the set of its items and a time, the newer the more recent. The last items of the
//! running session are walked from the newest; each gives its weight to the most recent sessions that hold it. The most
//! similar of them give their items scores, weighted by how recently the two sessions met and how rare the item is.
//!
//! Memory: about 50 bytes for each item of each session that is kept. A session enters or leaves in O(items) if it is about the newest; an
//! answer takes O(last items × m + k × items).

#![expect(clippy::indexing_slicing, reason = "numbers of items are made where their entries are")]

use crate::time::EventTime;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

/// What is kept and how an answer is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NeighbourSettings {
    /// Closed sessions that are kept: the most recent.
    pub sessions_max: usize,
    /// A session of more distinct items is not taken: it says nothing.
    pub session_items_max: usize,
    /// `m`: sessions that are candidates for neighbours, at most; the most recent.
    pub candidates: usize,
    /// `k`: neighbours that give items scores, at most; the most similar, of equal ones the more recent.
    pub neighbours: usize,
    /// Items of the running session that are looked at: the last. At most [`LAST_ITEMS_MAX`].
    pub last_items: usize,
    /// Weight of rarity, beside 1: an item's score is multiplied by `weight · ln(pairs / sessions with it)`.
    pub rarity_weight: f64,
}

/// The weight of a meeting falls by a tenth with each item since, so it is gone at ten.
pub const LAST_ITEMS_MAX: usize = 9;

/// When a session was: newer is greater; of equal times the one that came later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Recency {
    time: EventTime,
    number: u64,
}

#[derive(Debug, Default)]
struct Item {
    name: Box<str>,
    /// The sessions that hold it, the oldest first.
    sessions: VecDeque<Recency>,
}

impl Item {
    /// A session holds it. Sessions close about in the order of their times, so few have to move.
    fn enter(&mut self, recency: Recency) {
        let place = match self.sessions.back() {
            Some(newest) if *newest > recency => self.sessions.partition_point(|other| *other < recency),
            _ => self.sessions.len(),
        };
        self.sessions.insert(place, recency);
    }
}

/// An item that is recommended.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommended<'i> {
    /// The item.
    pub item: &'i str,
    /// Comparable within one answer only; above 0.
    pub score: f64,
    /// Of the running session's items, the one that gave it the largest part of the score: the reason.
    pub because_of: &'i str,
}

/// What neighbours give an item.
#[derive(Debug, Default)]
struct Score {
    sum: f64,
    /// By the place of the running session's item that brought it, the newest first.
    by_item: [f64; LAST_ITEMS_MAX],
}

impl Score {
    /// The place of the item that brought the most; of equal ones the newest.
    fn largest(&self) -> usize {
        let mut largest = 0;
        for (place, weight) in self.by_item.iter().enumerate() {
            if *weight > self.by_item[largest] {
                largest = place;
            }
        }
        largest
    }
}

/// The closed sessions, by item.
#[derive(Debug)]
pub struct Neighbours {
    settings: NeighbourSettings,
    numbers: HashMap<Box<str>, u32, FixedState>,
    items: Vec<Item>,
    /// Numbers of items that no session holds any more.
    free: Vec<u32>,
    sessions: std::collections::BTreeMap<Recency, Box<[u32]>>,
    inserted: u64,
    /// Pairs of a session and an item.
    pairs: usize,
}

impl Neighbours {
    /// Empty.
    #[must_use]
    pub fn new(settings: NeighbourSettings) -> Neighbours {
        Neighbours {
            settings,
            numbers: HashMap::with_hasher(FixedState::default()),
            items: Vec::new(),
            free: Vec::new(),
            sessions: std::collections::BTreeMap::new(),
            inserted: 0,
            pairs: 0,
        }
    }

    /// How many sessions are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// A session has closed: its items, in any order and as often as they were seen, and its time. One that is older than
    /// all that are kept, when there is no more room, changes nothing.
    pub fn insert<'a>(&mut self, items: impl IntoIterator<Item = &'a str>, time: EventTime) {
        let distinct: BTreeSet<&str> = items.into_iter().collect();
        if distinct.is_empty() || distinct.len() > self.settings.session_items_max {
            return;
        }
        let recency = Recency { time, number: self.inserted };
        self.inserted += 1;
        let numbers: Box<[u32]> = distinct.into_iter().map(|item| self.number(item)).collect();
        for number in &numbers {
            self.items[*number as usize].enter(recency);
        }
        self.pairs += numbers.len();
        self.sessions.insert(recency, numbers);
        if self.sessions.len() > self.settings.sessions_max {
            self.remove_oldest();
        }
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let item = Item { name: name.into(), sessions: VecDeque::new() };
        let number = match self.free.pop() {
            Some(number) => {
                self.items[number as usize] = item;
                number
            }
            None => {
                self.items.push(item);
                u32::try_from(self.items.len() - 1).expect("fewer than 2^32 items")
            }
        };
        self.numbers.insert(name.into(), number);
        number
    }

    fn remove_oldest(&mut self) {
        let Some((recency, numbers)) = self.sessions.pop_first() else { return };
        self.pairs -= numbers.len();
        for number in numbers {
            let item = &mut self.items[number as usize];
            // the oldest of all is the oldest of each
            debug_assert_eq!(item.sessions.front(), Some(&recency));
            item.sessions.pop_front();
            if item.sessions.is_empty() {
                self.numbers.remove(&item.name);
                self.free.push(number);
            }
        }
    }

    /// The `count` items of the highest scores for a running session, whose items come in the order in which they were
    /// seen; highest first, of equal ones those that were seen more recently, then by name. Only items that `is_wanted` takes; never the last one seen.
    pub fn recommend<'i>(
        &'i self,
        running: &[&'i str],
        count: usize,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Vec<Recommended<'i>> {
        let last = &running[running.len().saturating_sub(self.settings.last_items.min(LAST_ITEMS_MAX))..];
        let Some(current) = last.last() else { return Vec::new() };
        // the newest first, as they are walked
        let looked: Vec<Option<u32>> =
            last.iter().rev().map(|item| self.numbers.get(*item).copied()).collect();
        let mut scores = HashMap::<u32, Score, FixedState>::default();
        for (recency, similarity) in self.most_similar(last) {
            let numbers = &self.sessions[&recency];
            let holds = |item: &Option<u32>| item.is_some_and(|number| numbers.contains(&number));
            let Some(since) = looked.iter().position(holds) else { continue };
            let weight = similarity * (1.0 - 0.1 * (since + 1) as f64);
            for number in numbers {
                let score = scores.entry(*number).or_default();
                score.sum += weight;
                score.by_item[since] += weight;
            }
        }
        let mut recommended: Vec<_> = scores
            .into_iter()
            .filter_map(|(number, score)| {
                let item = &self.items[number as usize];
                if &*item.name == *current || !is_wanted(&item.name) {
                    return None;
                }
                let rarity = (self.pairs as f64 / item.sessions.len() as f64).ln();
                let because_of = last[last.len() - 1 - score.largest()];
                let score = score.sum * self.settings.rarity_weight * rarity;
                let recommended = Recommended { item: &item.name, score, because_of };
                Some((recommended, item.sessions.back().copied()))
            })
            .collect();
        let better = |(one, seen): &(Recommended<'_>, _), (other, other_seen): &(Recommended<'_>, _)| {
            let by_score = other.score.total_cmp(&one.score);
            by_score.then_with(|| Ord::cmp(other_seen, seen)).then_with(|| one.item.cmp(other.item))
        };
        if recommended.len() > count {
            recommended.select_nth_unstable_by(count, better);
            recommended.truncate(count);
        }
        recommended.sort_unstable_by(better);
        recommended.into_iter().map(|(recommended, _)| recommended).collect()
    }

    /// The neighbours of a session with these last items, each with its similarity.
    fn most_similar(&self, last: &[&str]) -> Vec<(Recency, f64)> {
        let distinct = last.iter().collect::<HashSet<_, FixedState>>().len() as f64;
        let mut seen = HashSet::<&str, FixedState>::default();
        let mut similarities = HashMap::<Recency, f64, FixedState>::default();
        let mut oldest_first = BinaryHeap::new();
        for (since, item) in last.iter().rev().enumerate() {
            let Some(number) = self.numbers.get(*item).filter(|_| seen.insert(item)) else { continue };
            let weight = (last.len() - since) as f64 / distinct;
            let sessions = &self.items[*number as usize].sessions;
            for recency in sessions.iter().rev().take(self.settings.candidates) {
                if let Some(similarity) = similarities.get_mut(recency) {
                    *similarity += weight;
                    continue;
                }
                if similarities.len() == self.settings.candidates {
                    match oldest_first.peek() {
                        Some(Reverse(oldest)) if oldest < recency => similarities.remove(oldest),
                        // those behind are older still
                        _ => break,
                    };
                    oldest_first.pop();
                }
                similarities.insert(*recency, weight);
                oldest_first.push(Reverse(*recency));
            }
        }
        let mut neighbours: Vec<_> = similarities.into_iter().collect();
        neighbours.sort_unstable_by(|one, other| other.1.total_cmp(&one.1).then_with(|| other.0.cmp(&one.0)));
        neighbours.truncate(self.settings.neighbours);
        neighbours
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::random::Random;

    const SETTINGS: NeighbourSettings = NeighbourSettings {
        sessions_max: 1_000,
        session_items_max: 10,
        candidates: 100,
        neighbours: 50,
        last_items: 4,
        rarity_weight: 1.0,
    };

    fn items(recommended: &[Recommended<'_>]) -> Vec<String> {
        recommended.iter().map(|recommended| recommended.item.to_owned()).collect()
    }

    #[test]
    fn what_similar_sessions_held_is_recommended_with_the_item_that_brought_it() {
        let mut neighbours = Neighbours::new(SETTINGS);
        neighbours.insert(["tent", "mat", "stove"], EventTime(1));
        neighbours.insert(["tent", "mat"], EventTime(2));
        neighbours.insert(["lamp", "bulb"], EventTime(3));
        let answer = neighbours.recommend(&["lamp", "tent"], 10, |_| true);
        assert_eq!(items(&answer), ["mat", "stove", "bulb", "lamp"]);
        let reasons: Vec<_> = answer.iter().map(|recommended| recommended.because_of).collect();
        assert_eq!(reasons, ["tent", "tent", "lamp", "lamp"]);
        assert!(answer.iter().all(|recommended| recommended.score > 0.0));
    }

    #[test]
    fn an_item_that_is_not_wanted_and_the_one_that_is_seen_are_in_no_answer() {
        let mut neighbours = Neighbours::new(SETTINGS);
        neighbours.insert(["tent", "mat", "stove"], EventTime(1));
        assert_eq!(items(&neighbours.recommend(&["tent"], 10, |item| item != "mat")), ["stove"]);
        assert!(neighbours.recommend(&["unknown"], 10, |_| true).is_empty());
        assert!(neighbours.recommend(&[], 10, |_| true).is_empty());
    }

    #[test]
    fn long_sessions_are_not_taken_and_the_oldest_leaves_when_there_is_no_room() {
        let mut neighbours = Neighbours::new(NeighbourSettings { sessions_max: 2, ..SETTINGS });
        let many: Vec<String> = (0..11).map(|number| number.to_string()).collect();
        neighbours.insert(many.iter().map(String::as_str), EventTime(9));
        assert!(neighbours.is_empty());
        neighbours.insert(["a", "b"], EventTime(2));
        neighbours.insert(["a", "c"], EventTime(3));
        neighbours.insert(["a", "d"], EventTime(1));
        assert_eq!(
            (neighbours.len(), items(&neighbours.recommend(&["a"], 10, |_| true))),
            (2, vec!["c".to_owned(), "b".to_owned()])
        );
        neighbours.insert(["e", "f"], EventTime(4));
        assert_eq!(items(&neighbours.recommend(&["a"], 10, |_| true)), ["c"]);
        assert_eq!(neighbours.numbers.len(), 4, "items that no session holds are forgotten");
    }

    /// As the paper says it, over all sessions, without an index.
    fn plainly(
        sessions: &[(Vec<String>, i64)],
        running: &[&str],
        settings: NeighbourSettings,
    ) -> Vec<(String, f64)> {
        let last = &running[running.len().saturating_sub(settings.last_items)..];
        let distinct: BTreeSet<&str> = last.iter().copied().collect();
        // newest first
        let mut newest: Vec<_> = sessions.iter().enumerate().collect();
        newest.sort_by_key(|(number, (_, time))| Reverse((*time, *number)));
        newest.truncate(settings.sessions_max);
        let pairs: usize = newest.iter().map(|(_, (items, _))| items.len()).sum();
        let with = |item: &str| {
            newest.iter().filter(|(_, (items, _))| items.iter().any(|held| held == item)).count()
        };
        let mut similar: Vec<_> = newest
            .iter()
            .filter(|(_, (items, _))| last.iter().any(|item| items.iter().any(|held| held == item)))
            .take(settings.candidates)
            .map(|(_, (items, _))| {
                let since = |item: &str| last.iter().rev().position(|seen| *seen == item);
                let weights = distinct.iter().filter(|item| items.iter().any(|held| held == *item));
                let similarity: f64 = weights
                    .map(|item| {
                        (last.len() - since(item).expect("it is one of them")) as f64 / distinct.len() as f64
                    })
                    .sum();
                (items, similarity)
            })
            .collect();
        similar.sort_by(|one, other| other.1.total_cmp(&one.1));
        similar.truncate(settings.neighbours);
        let mut scores = std::collections::BTreeMap::<&str, f64>::new();
        for (items, similarity) in similar {
            let since =
                last.iter().rev().position(|item| items.iter().any(|held| held == item)).expect("similar");
            for item in items {
                *scores.entry(item).or_insert(0.0) += similarity * (1.0 - 0.1 * (since + 1) as f64);
            }
        }
        let mut scores: Vec<_> = scores
            .into_iter()
            .filter(|(item, _)| item != last.last().expect("some"))
            .map(|(item, score)| {
                (item.to_owned(), score * settings.rarity_weight * (pairs as f64 / with(item) as f64).ln())
            })
            .collect();
        scores.sort_by(|one, other| other.1.total_cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        scores
    }

    #[test]
    fn the_index_answers_as_a_search_through_all_sessions_does() {
        for seed in 0..60 {
            let mut random = Random::new(seed);
            let settings = NeighbourSettings {
                sessions_max: 30 + usize::try_from(random.below(40)).unwrap(),
                candidates: 5 + usize::try_from(random.below(20)).unwrap(),
                neighbours: 3 + usize::try_from(random.below(10)).unwrap(),
                ..SETTINGS
            };
            let (mut neighbours, mut all) = (Neighbours::new(settings), Vec::new());
            for _ in 0..80 {
                let held: BTreeSet<String> =
                    (0..1 + random.below(6)).map(|_| random.below(25).to_string()).collect();
                let time = i64::try_from(random.below(1_000)).unwrap();
                neighbours.insert(held.iter().map(String::as_str), EventTime(time));
                all.push((held.into_iter().collect::<Vec<_>>(), time));
                let running: Vec<String> =
                    (0..1 + random.below(7)).map(|_| random.below(25).to_string()).collect();
                let running: Vec<&str> = running.iter().map(String::as_str).collect();
                let answer = neighbours.recommend(&running, 1_000, |_| true);
                let expected = plainly(&all, &running, settings);
                assert_eq!(answer.len(), expected.len(), "seed {seed}");
                for (found, (item, score)) in answer.iter().zip(&expected) {
                    assert!((found.score - score).abs() < 1e-9, "seed {seed}: {found:?}, not {item} {score}");
                }
            }
        }
    }
}
