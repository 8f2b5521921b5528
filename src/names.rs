//! Names that have come lately: which one is new.

use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A name that has not come for so long is new again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(28 * 86_400);
/// Names that are remembered at most; beyond, the one that came longest ago goes.
const NAMES_MAX: usize = 50;
/// A name that comes all the time is marked once in so long, for that it costs little.
const MARKED_EVERY: Duration = Duration::from_secs(3_600);

/// Names by when they came last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    seen: BTreeMap<Box<str>, EventTime>,
}

impl Names {
    /// Whether `name`, which comes at `time`, has not come lately though others have: the first of all is no news.
    pub fn is_news(&mut self, name: &str, time: EventTime) -> bool {
        match self.seen.get_mut(name) {
            Some(seen) => {
                let is_news = seen.plus(FORGOTTEN_AFTER) <= time;
                if seen.plus(MARKED_EVERY) <= time {
                    *seen = time;
                }
                is_news
            }
            None => {
                let is_first = self.seen.is_empty();
                self.make_room();
                self.seen.insert(name.into(), time);
                !is_first
            }
        }
    }

    fn make_room(&mut self) {
        if self.seen.len() < NAMES_MAX {
            return;
        }
        let oldest = self.seen.iter().min_by_key(|(_, seen)| **seen).map(|(name, _)| name.clone());
        if let Some(oldest) = oldest {
            self.seen.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn a_name_is_news_when_others_have_come_and_it_has_not_for_four_weeks() {
        let mut names = Names::default();
        assert!(!names.is_news("a", EventTime(0)), "the first of all");
        assert!(names.is_news("b", EventTime(5)));
        assert!(!names.is_news("b", EventTime(6)));
        for day in 1..40 {
            assert!(!names.is_news("a", EventTime(day * DAY)));
        }
        assert!(names.is_news("b", EventTime(40 * DAY)));
        assert!(!names.is_news("b", EventTime(40 * DAY)));
    }

    #[test]
    fn the_name_that_came_longest_ago_goes_when_there_are_too_many() {
        let mut names = Names::default();
        for number in 0..=NAMES_MAX {
            names.is_news(&number.to_string(), EventTime(number as i64));
        }
        assert_eq!(names.seen.len(), NAMES_MAX);
        assert!(names.is_news("0", EventTime(100)) && !names.is_news("49", EventTime(100)));
    }
}
