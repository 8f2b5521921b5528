//! Days as numbers and as texts: the proleptic Gregorian calendar, and nothing of time zones.
//!
//! Source of both formulas: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (`days_from_civil`,
//! `civil_from_days`). They count years from March, so that a leap day is the last of its year.

/// Days from 0000-03-01 to 1970-01-01.
const MARCH_OF_YEAR_0: i64 = 719_468;
/// Days of 400 years, after which the calendar is the same again.
const ERA_DAYS: i64 = 146_097;

/// The day written as `YYYY-MM-DD`, counted from 1970-01-01; none if the text is not written so.
///
/// The month is from 01 to 12 and the day from 01 to 31, whether or not the month has it: a day that the calendar
/// does not know counts on into the next month, so that `2026-02-31` is the third of March.
#[must_use]
pub fn day_number(text: &str) -> Option<i32> {
    let [year @ .., b'-', month_tens, month_ones, b'-', day_tens, day_ones] = text.as_bytes() else {
        return None;
    };
    let year = number(year).filter(|_| year.len() == 4)?;
    let month = number(&[*month_tens, *month_ones]).filter(|month| (1..=12).contains(month))?;
    let day = number(&[*day_tens, *day_ones]).filter(|day| (1..=31).contains(day))?;
    // January and February belong to the year before
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * ERA_DAYS + day_of_era - MARCH_OF_YEAR_0).ok()
}

/// A day, counted from 1970-01-01, as `YYYY-MM-DD`. Days of the years 0000 to 9999 have ten characters.
#[must_use]
pub fn day_text(day: i32) -> String {
    let day = i64::from(day) + MARCH_OF_YEAR_0;
    let (era, day_of_era) = (day.div_euclid(ERA_DAYS), day.rem_euclid(ERA_DAYS));
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / (ERA_DAYS - 1);
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    let (year, month) = if month >= 10 { (year + 1, month - 9) } else { (year, month + 3) };
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

fn number(digits: &[u8]) -> Option<i64> {
    let appended = |number: i64, digit: &u8| {
        digit.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
    };
    digits.iter().try_fold(0, appended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        for (text, day) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2000-03-01", 11_017),
            ("2026-01-05", 20_458),
            ("0000-01-01", -719_528),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(day_number(text), Some(day), "{text}");
            assert_eq!(day_text(day), text);
        }
    }

    #[test]
    fn a_day_that_the_calendar_does_not_know_counts_on_into_the_next_month() {
        for (text, known) in [
            ("2026-02-31", "2026-03-03"),
            ("2026-02-29", "2026-03-01"),
            ("2024-02-29", "2024-02-29"),
            ("2024-02-30", "2024-03-01"),
            ("1900-02-29", "1900-03-01"),
            ("2026-04-31", "2026-05-01"),
            ("9999-11-31", "9999-12-01"),
        ] {
            assert_eq!(day_number(text).map(day_text).as_deref(), Some(known), "{text}");
        }
    }

    #[test]
    fn texts_and_numbers_of_days_go_both_ways() {
        for day in (-719_528..=2_932_896).step_by(89) {
            assert_eq!(day_number(&day_text(day)), Some(day));
        }
        for day in -1_000..30_000 {
            assert!(day_text(day) < day_text(day + 1), "{day}");
        }
    }

    #[test]
    fn what_is_not_written_as_a_day_is_none() {
        for text in [
            "",
            "2026-1-05",
            "026-01-05",
            "02026-01-05",
            "2026-00-05",
            "2026-13-05",
            "2026-01-00",
            "2026-01-32",
            "2026/01/05",
            "2026-01-05\n",
            "2o26-01-05",
            "-026-01-05",
        ] {
            assert_eq!(day_number(text), None, "{text:?}");
        }
    }
}
