//! Days of event time in UTC, as they stand in the names of folders.

use crate::time::EventTime;
use jiff::SignedDuration;
use jiff::civil::Date;

const MS_PER_DAY: i64 = 86_400_000;
const HOURS_PER_DAY: i64 = 24;
const EPOCH: Date = Date::constant(1970, 1, 1);

/// A day from 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

impl Day {
    /// The day of a time; the first or the last there is, if the time lies beyond.
    #[must_use]
    pub fn of(time: EventTime) -> Day {
        Day(time.0.clamp(0, EventTime::MAX.0).div_euclid(MS_PER_DAY))
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let date = EPOCH.checked_add(SignedDuration::from_hours(self.0 * HOURS_PER_DAY));
        write!(f, "{}", date.expect("the years up to 9999 are dates"))
    }
}

impl std::str::FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Day, String> {
        let date: Date = text.parse().map_err(|_| format!("`{text}` is no day such as 2026-01-05"))?;
        let day = Day(date.duration_since(EPOCH).as_hours().div_euclid(HOURS_PER_DAY));
        if day.0 < 0 { Err("days begin with 1970-01-01".to_owned()) } else { Ok(day) }
    }
}

/// Days one after the other, the last included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub first: Day,
    /// The last.
    pub last: Day,
}

impl Days {
    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Day> {
        (self.first.0..=self.last.0).map(Day)
    }

    /// Whether `day` is one of them.
    #[must_use]
    pub fn contains(self, day: Day) -> bool {
        (self.first..=self.last).contains(&day)
    }

    /// How many.
    #[must_use]
    pub fn count(self) -> u64 {
        u64::try_from(self.last.0 - self.first.0 + 1).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_utc_and_their_names_read_back() {
        let cases = [
            (0, "1970-01-01"),
            (1_767_571_199_999, "2026-01-04"),
            (1_767_571_200_000, "2026-01-05"),
            (1_767_657_599_999, "2026-01-05"),
            (1_709_164_800_000, "2024-02-29"),
            (EventTime::MAX.0, "9999-12-31"),
        ];
        for (time, name) in cases {
            let day = Day::of(EventTime(time));
            assert_eq!(day.to_string(), name);
            assert_eq!(name.parse(), Ok(day));
        }
        assert!("1969-12-31".parse::<Day>().is_err());
        assert!("2026-02-29".parse::<Day>().is_err());
    }

    #[test]
    fn a_span_of_days_includes_both_ends() {
        let day = |name: &str| name.parse().expect("a day");
        let days = Days { first: day("2026-02-28"), last: day("2026-03-01") };
        assert_eq!(days.iter().map(|day| day.to_string()).collect::<Vec<_>>(), ["2026-02-28", "2026-03-01"]);
        assert_eq!(days.count(), 2);
        assert!(days.contains(days.last) && !days.contains(day("2026-03-02")));
        assert_eq!(Days { first: days.last, last: days.first }.count(), 0);
    }
}
