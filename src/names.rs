//! Names that have come lately: which one is new.

use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A name that has not come for so long is new again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(28 * 86_400);
/// Names that are remembered at most: where so many come, another is no news.
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
                let has_room = self.make_room(time);
                if has_room {
                    self.seen.insert(name.into(), time);
                }
                has_room && !is_first
            }
        }
    }

    /// Forgets what has not come for long, where there is no room for another. Returns whether there is.
    fn make_room(&mut self, time: EventTime) -> bool {
        if self.seen.len() >= NAMES_MAX {
            self.seen.retain(|_, seen| seen.plus(FORGOTTEN_AFTER) > time);
        }
        self.seen.len() < NAMES_MAX
    }
}

/// Who has produced the records of each topic lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producers {
    of_topic: BTreeMap<Box<str>, Names>,
}

impl Producers {
    /// Whether `producer` of a record of `topic`, of `time`, is new there, see [`Names::is_news`].
    pub fn is_news(&mut self, topic: &str, producer: &str, time: EventTime) -> bool {
        match self.of_topic.get_mut(topic) {
            Some(names) => names.is_news(producer, time),
            None => self.of_topic.entry(topic.into()).or_default().is_news(producer, time),
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
    fn where_very_many_come_another_is_no_news_until_there_is_room() {
        let mut names = Names::default();
        for number in 0..NAMES_MAX {
            names.is_news(&number.to_string(), EventTime(number as i64));
        }
        assert!(!names.is_news("another", EventTime(100)));
        assert!(names.is_news("another", EventTime(30 * DAY)), "the others are forgotten");
    }

    #[test]
    fn producers_are_known_by_topic() {
        let mut producers = Producers::default();
        assert!(!producers.is_news("payments", "a", EventTime(0)));
        assert!(!producers.is_news("clickstream", "b", EventTime(0)), "the first of its topic");
        assert!(producers.is_news("payments", "b", EventTime(0)));
    }
}
