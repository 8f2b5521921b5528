//! What is recommended, and why.

use super::catalogue::{Catalogue, Item};
use super::neighbours::{NeighbourSettings, Neighbours};
use super::popularity::Popularity;
use crate::time::EventTime;
use std::collections::BTreeSet;
use std::time::Duration;

/// A session of fewer events is nobody's machine.
const MACHINE_EVENTS: u32 = 20;
/// Popular items that are looked through for some that can be bought, and ten more for each that is asked for.
const LOOKED_THROUGH: usize = 1_000;
/// How much a look at an item, and its purchase, say of its popularity.
const SEEN: f64 = 1.0;
const BOUGHT: f64 = 5.0;

/// What recommendations are made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecommendSettings {
    /// Neighbours among closed sessions.
    pub neighbours: NeighbourSettings,
    /// Within which popularity halves.
    pub half_life: Duration,
    /// Items whose popularity is known, at most.
    pub items_max: usize,
    /// Whether what the running session held already may be recommended again, but for its newest item.
    pub shows_seen: bool,
    /// A session of 20 events and more that come faster than this is a machine's: nothing is learned from it.
    pub events_per_minute_max: u32,
}

/// How fast somebody clicks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Events of a session, of any kind.
    pub events: u32,
    /// From its first to its last.
    pub duration_ms: i64,
}

/// A session that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedSession<'s> {
    /// When it ended.
    pub time: EventTime,
    /// How fast its visitor clicked.
    pub pace: Pace,
    /// Whether something was bought.
    pub has_bought: bool,
    /// Its distinct items, newest first.
    pub items: Vec<&'s str>,
}

/// An item that is recommended.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation<'r> {
    /// The item.
    pub item: &'r str,
    /// Comparable within one answer and one kind of reason only; above 0. None where items are ordered by popularity.
    pub score: Option<f64>,
    /// The reason.
    pub why: Why<'r>,
}

/// Why an item is recommended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why<'r> {
    /// Sessions like the running one held it; most of all because both held this item.
    SimilarSessions(&'r str),
    /// It is popular in a category of the running session.
    PopularIn(&'r str),
    /// It is popular.
    Popular,
}

/// The recommender: a replica of its own in every instance, fed with what ends.
#[derive(Debug)]
pub struct Recommender {
    catalogue: Catalogue,
    neighbours: Neighbours,
    popularity: Popularity,
    shows_seen: bool,
    events_per_minute_max: u32,
    /// Sessions that were taken for a machine's.
    machines: u64,
}

impl Recommender {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(settings: RecommendSettings) -> Recommender {
        Recommender {
            catalogue: Catalogue::default(),
            neighbours: Neighbours::new(settings.neighbours),
            popularity: Popularity::new(settings.half_life, settings.items_max),
            shows_seen: settings.shows_seen,
            events_per_minute_max: settings.events_per_minute_max,
            machines: 0,
        }
    }

    /// The catalogue says something of an item.
    pub fn offer(&mut self, id: &str, item: Item) {
        let category = item.category.clone();
        if self.catalogue.set(id, item) {
            self.popularity.file_under(id, category.as_deref());
        }
    }

    /// Somebody whose session runs looks at an item.
    pub fn look(&mut self, item: &str, time: EventTime, pace: Pace) {
        if !self.is_a_machines(pace) {
            self.add(item, time, SEEN);
        }
    }

    /// A session has ended.
    pub fn close(&mut self, session: &ClosedSession<'_>) {
        if self.is_a_machines(session.pace) {
            self.machines += 1;
            return;
        }
        self.neighbours.insert(session.items.iter().copied(), session.time);
        for item in session.items.iter().filter(|_| session.has_bought) {
            self.add(item, session.time, BOUGHT);
        }
    }

    fn add(&mut self, item: &str, time: EventTime, weight: f64) {
        let category = self.catalogue.get(item).and_then(|item| item.category.as_deref());
        self.popularity.add(item, category, time, weight);
    }

    /// Whether a machine clicks so fast.
    #[must_use]
    pub fn is_a_machines(&self, pace: Pace) -> bool {
        let per_minute = f64::from(pace.events) * 60_000.0 / pace.duration_ms.max(1) as f64;
        pace.events >= MACHINE_EVENTS && per_minute > f64::from(self.events_per_minute_max)
    }

    /// `count` items for a running session, whose distinct items come newest first, with its categories, the most touched first.
    /// None of them is among its items, or its newest item where seen ones are shown; each can be bought.
    pub fn recommend<'r>(
        &'r self,
        items: &[&'r str],
        categories: &[&'r str],
        count: usize,
    ) -> Vec<Recommendation<'r>> {
        let left_out = if self.shows_seen { items.get(..1).unwrap_or_default() } else { items };
        let is_wanted = |item: &str| !left_out.contains(&item) && self.catalogue.offers(item);
        let running: Vec<&str> = items.iter().rev().copied().collect();
        let similar = self.neighbours.recommend(&running, count, is_wanted);
        let mut chosen: Vec<_> = similar
            .into_iter()
            .map(|found| Recommendation {
                item: found.item,
                score: Some(found.score),
                why: Why::SimilarSessions(found.because_of),
            })
            .collect();
        let mut taken: BTreeSet<&str> = chosen.iter().map(|chosen| chosen.item).collect();
        let in_categories = categories.iter().flat_map(|category| {
            self.popularity.in_category(category).map(|item| (item, Why::PopularIn(category)))
        });
        let overall = self.popularity.overall().map(|item| (item, Why::Popular));
        for (item, why) in in_categories.chain(overall).take(LOOKED_THROUGH + 10 * count) {
            if chosen.len() >= count {
                break;
            }
            if is_wanted(item) && taken.insert(item) {
                chosen.push(Recommendation { item, score: None, why });
            }
        }
        chosen
    }

    /// Sessions that it recommends from, items in the catalogue, items whose popularity is known, and sessions that were taken for a
    /// machine's.
    #[must_use]
    pub fn sizes(&self) -> RecommenderSizes {
        RecommenderSizes {
            sessions: self.neighbours.len(),
            catalogue: self.catalogue.len(),
            popular: self.popularity.len(),
            machines: self.machines,
        }
    }
}

/// How much a recommender knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecommenderSizes {
    /// Closed sessions that neighbours are looked for among.
    pub sessions: usize,
    /// Items of the catalogue.
    pub catalogue: usize,
    /// Items whose popularity is known.
    pub popular: usize,
    /// Sessions that were taken for a machine's.
    pub machines: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recommender() -> Recommender {
        let neighbours = NeighbourSettings {
            sessions_max: 100,
            session_items_max: 10,
            candidates: 50,
            neighbours: 20,
            last_items: 4,
            rarity_weight: 1.0,
        };
        Recommender::new(RecommendSettings {
            neighbours,
            half_life: Duration::from_secs(86_400),
            items_max: 100,
            shows_seen: false,
            events_per_minute_max: 30,
        })
    }

    fn session<'s>(items: &[&'s str], time: i64) -> ClosedSession<'s> {
        ClosedSession {
            time: EventTime(time),
            pace: Pace { events: u32::try_from(items.len()).expect("few"), duration_ms: 60_000 },
            has_bought: true,
            items: items.to_vec(),
        }
    }

    fn offer(recommender: &mut Recommender, items: &[(&str, &str)]) {
        for (item, category) in items {
            let category = Some((*category).into());
            recommender.offer(item, Item { offset: 0, category, stock: None, is_active: true });
        }
    }

    #[test]
    fn similar_sessions_come_first_then_what_is_popular_in_the_category_then_the_rest() {
        let mut recommender = recommender();
        offer(&mut recommender, &[("tent", "out"), ("mat", "out"), ("stove", "out"), ("lamp", "home")]);
        recommender.close(&session(&["tent", "mat"], 1));
        recommender.close(&session(&["stove"], 2));
        recommender.close(&session(&["lamp"], 3));
        recommender.close(&session(&["lamp"], 4));
        let answer = recommender.recommend(&["tent"], &["out"], 3);
        let found: Vec<_> = answer.iter().map(|found| (found.item, found.why)).collect();
        assert_eq!(
            found,
            [("mat", Why::SimilarSessions("tent")), ("stove", Why::PopularIn("out")), ("lamp", Why::Popular)]
        );
        assert_eq!(recommender.recommend(&[], &[], 1)[0].item, "lamp", "a new visitor gets what is popular");
    }

    #[test]
    fn what_was_seen_is_shown_again_only_where_that_is_wanted_and_never_the_newest_item() {
        for (shows_seen, expected) in [(false, vec!["stove"]), (true, vec!["mat", "stove"])] {
            let mut recommender = Recommender { shows_seen, ..recommender() };
            recommender.close(&session(&["tent", "mat", "stove"], 1));
            recommender.close(&session(&["tent", "mat"], 2));
            let answer = recommender.recommend(&["tent", "mat"], &[], 10);
            let mut found: Vec<_> = answer.iter().map(|found| found.item).collect();
            found.sort_unstable();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_look_at_an_item_counts_before_the_session_ends_and_a_purchase_counts_for_more() {
        let mut recommender = recommender();
        let pace = Pace { events: 1, duration_ms: 0 };
        recommender.look("tent", EventTime(1), pace);
        recommender.look("mat", EventTime(1), pace);
        recommender.look("mat", EventTime(1), pace);
        let first = |recommender: &Recommender| recommender.recommend(&[], &[], 1)[0].item.to_owned();
        assert_eq!(first(&recommender), "mat");
        recommender.close(&session(&["tent"], 1));
        assert_eq!(first(&recommender), "tent");
    }

    #[test]
    fn what_is_retired_or_out_of_stock_is_in_no_answer() {
        let mut recommender = recommender();
        offer(&mut recommender, &[("tent", "out"), ("mat", "out"), ("stove", "out")]);
        recommender.close(&session(&["tent", "mat", "stove"], 1));
        recommender.offer("mat", Item { offset: 9, category: None, stock: None, is_active: false });
        recommender.offer("stove", Item { offset: 9, category: None, stock: Some(0), is_active: true });
        assert!(recommender.recommend(&["tent"], &["out"], 10).is_empty());
    }

    #[test]
    fn a_machine_that_reads_the_catalogue_teaches_nothing() {
        let mut recommender = recommender();
        let pace = Pace { events: 90, duration_ms: 60_000 };
        let machine = ClosedSession { pace, ..session(&["tent", "mat"], 1) };
        recommender.look("mat", EventTime(1), pace);
        recommender.close(&machine);
        assert!(recommender.recommend(&["tent"], &[], 10).is_empty());
        assert_eq!((recommender.sizes().sessions, recommender.sizes().machines), (0, 1));
        let person = ClosedSession { pace: Pace { duration_ms: 600_000, ..pace }, ..machine };
        recommender.close(&person);
        assert_eq!(recommender.sizes().sessions, 1, "ninety events in ten minutes are a person's");
    }
}
