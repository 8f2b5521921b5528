//! Changes that the shop has announced. What begins to move while one lasts is to be expected: it is neither judged nor learned from.

use super::changes::is_near;
use crate::event::alert::{Announcement, Cause};
use crate::time::{EventTime, Period, millis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Changes that are known at most; beyond, those that end first go.
const CHANGES_MAX: usize = 200;
/// What looks back for more than so many times as long as a change lasts hardly sees it.
const DILUTED: i64 = 4;
/// For how long one that is over is remembered: what looks back over it, and labels of its time, come later.
const REMEMBERED: Duration = Duration::from_secs(100 * 86_400);

/// The changes that are known, by the id that whoever announced them gave them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    known: BTreeMap<Box<str>, Known>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    period: Period,
    what: Box<str>,
}

impl Announced {
    /// Somebody announces a change, or another time for it, or withdraws it.
    pub fn take(&mut self, said: &Announcement) {
        match said.period {
            Some(period) => {
                self.known.insert(said.change_id.clone(), Known { period, what: said.what.clone() })
            }
            None => self.known.remove(&said.change_id),
        };
        self.known.retain(|_, known| known.period.until.plus(REMEMBERED) > said.time);
        while self.known.len() > CHANGES_MAX {
            let first =
                self.known.iter().min_by_key(|(_, known)| known.period.until).map(|(id, _)| id.clone());
            let Some(first) = first else { return };
            self.known.remove(&first);
        }
    }

    /// The change that lasts during a part of the time from `from` until `until`, as seen by what looks back for so long, if that is not
    /// much longer than the change; the first to begin, if there are several.
    #[must_use]
    pub fn during(&self, from: EventTime, until: EventTime, looks_back: Duration) -> Option<Period> {
        let periods = self.known.values().map(|known| known.period);
        let sees = |period: &Period| {
            // of what it sees the change is so small a part that it hardly moves
            let length = period.until.since(period.from);
            if millis(looks_back) <= length * DILUTED { looks_back } else { Duration::ZERO }
        };
        let seen = periods.filter(|period| period.from < until && from < period.until.plus(sees(period)));
        seen.min_by_key(|period| period.from)
    }

    /// Whether one lasted during a part of that time.
    #[must_use]
    pub fn lasted(&self, from: EventTime, until: EventTime) -> bool {
        self.during(from, until, Duration::ZERO).is_some()
    }

    /// Whether one lasts at that time.
    #[must_use]
    pub fn has(&self, time: EventTime) -> bool {
        self.known.values().any(|known| known.period.has(time))
    }

    /// Those whose beginning or end may be why something began at `since`.
    pub(super) fn before(&self, since: EventTime) -> impl Iterator<Item = Cause> {
        self.known.values().filter_map(move |Known { period, what }| {
            let near = [period.from, period.until].into_iter().filter(|at| is_near(*at, since));
            let at = near.min_by_key(|at| at.since(since).abs())?;
            let word = if at == period.from { "begins" } else { "ends" };
            Some(Cause { kind: "announced".to_owned(), what: format!("{what} {word}"), at_ms: at })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(change_id: &str, period: Option<(i64, i64)>) -> Announcement {
        let period = period.map(|(from, until)| Period { from: EventTime(from), until: EventTime(until) });
        Announcement {
            change_id: change_id.into(),
            what: "sale".into(),
            by: "ana".into(),
            time: EventTime(0),
            period,
        }
    }

    fn during(announced: &Announced, from: i64, until: i64, looks_back_ms: u64) -> Option<i64> {
        let looks_back = Duration::from_millis(looks_back_ms);
        announced.during(EventTime(from), EventTime(until), looks_back).map(|period| period.from.0)
    }

    #[test]
    fn a_window_is_of_a_change_if_a_part_of_it_is_or_it_looks_back_on_it() {
        let mut announced = Announced::default();
        announced.take(&said("sale", Some((100, 200))));
        for (from, until, looks_back, expected) in [
            (0, 100, 0, None),
            (0, 101, 0, Some(100)),
            (150, 160, 0, Some(100)),
            (199, 250, 0, Some(100)),
            (200, 250, 0, None),
            (200, 250, 1, Some(100)),
            (250, 300, 51, Some(100)),
            (251, 300, 51, None),
            (599, 650, 400, Some(100)),
            (200, 250, 401, None),
        ] {
            assert_eq!(during(&announced, from, until, looks_back), expected, "{from}..{until} {looks_back}");
        }
        assert!(announced.has(EventTime(100)) && !announced.has(EventTime(200)));
    }

    #[test]
    fn a_change_can_be_moved_and_withdrawn_and_the_first_of_several_counts() {
        let mut announced = Announced::default();
        announced.take(&said("sale", Some((100, 200))));
        announced.take(&said("launch", Some((150, 400))));
        assert_eq!(during(&announced, 160, 170, 0), Some(100));
        announced.take(&said("sale", Some((500, 600))));
        assert_eq!(during(&announced, 160, 170, 0), Some(150));
        announced.take(&said("launch", None));
        assert_eq!((during(&announced, 160, 170, 0), during(&announced, 510, 520, 0)), (None, Some(500)));
    }

    #[test]
    fn there_are_never_more_than_a_few() {
        let mut announced = Announced::default();
        (0..1_000).for_each(|number| announced.take(&said(&number.to_string(), Some((number, number + 10)))));
        assert_eq!(announced.known.len(), CHANGES_MAX);
        assert!(announced.has(EventTime(1_005)) && !announced.has(EventTime(500)));
    }
}
