//! The bounds of the contracts: lengths in characters, ranges of numbers, shapes of codes.

use super::reject::{Reject, RejectReason};
use super::text::Text;
use crate::time::EventTime;

/// Amounts are at most 10¹² minor units.
pub const MINOR_MAX: i64 = 1_000_000_000_000;
/// Ids have 1 to 128 characters.
pub const ID: (usize, usize) = (1, 128);

/// The bounds of one record; the first fault found is kept, by the path of its field.
#[derive(Debug, Default)]
pub struct Bounds {
    fault: Option<Reject>,
    /// The list and the place in it of the object that is looked at.
    item: Option<(&'static str, usize)>,
}

impl Bounds {
    /// The fields that follow are those of `list[place]`.
    pub fn look_at_item(&mut self, list: &'static str, place: usize) {
        self.item = Some((list, place));
    }

    /// A text of `min` to `max` characters.
    pub fn text(&mut self, field: &str, value: &Text<'_>, bounds: (usize, usize)) {
        self.str(field, value.as_str(), bounds);
    }

    fn str(&mut self, field: &str, value: &str, (min, max): (usize, usize)) {
        let bytes = value.len();
        // a character takes one to four bytes: most texts need no counting
        if (bytes >= 4 * min && bytes <= max) || (bytes == 0 && min == 0) {
            return;
        }
        let characters = value.chars().count();
        if !(min..=max).contains(&characters) {
            self.refuse(field, format!("has {characters} characters, and {min} to {max} are allowed"));
        }
    }

    /// As [`Bounds::text`], where there is one.
    pub fn optional_text(&mut self, field: &str, value: &Option<Text<'_>>, bounds: (usize, usize)) {
        if let Some(text) = value {
            self.text(field, text, bounds);
        }
    }

    /// As [`Bounds::text`], where there is one.
    pub fn optional_str(&mut self, field: &str, value: Option<&str>, bounds: (usize, usize)) {
        if let Some(text) = value {
            self.str(field, text, bounds);
        }
    }

    /// A whole number from `min` to `max`.
    pub fn number(&mut self, field: &str, value: i64, (min, max): (i64, i64)) {
        if !(min..=max).contains(&value) {
            self.refuse(field, format!("is {value}, and {min} to {max} are allowed"));
        }
    }

    /// As [`Bounds::number`], where there is one.
    pub fn optional_number(&mut self, field: &str, value: Option<i64>, bounds: (i64, i64)) {
        if let Some(number) = value {
            self.number(field, number, bounds);
        }
    }

    /// A share: a number from 0 to 1.
    pub fn share(&mut self, field: &str, value: f64) {
        if !(0.0..=1.0).contains(&value) {
            self.refuse(field, format!("is {value}, and 0 to 1 are allowed"));
        }
    }

    /// A time from 1970 to 9999.
    pub fn time(&mut self, field: &str, value: i64) {
        self.number(field, value, (0, EventTime::MAX.0));
    }

    /// A code of exactly `letters` capital letters, where there is one.
    pub fn code(&mut self, field: &str, value: &Option<Text<'_>>, letters: usize) {
        if let Some(code) = value {
            self.required_code(field, code, letters);
        }
    }

    /// A code of exactly `letters` capital letters.
    pub fn required_code(&mut self, field: &str, value: &Text<'_>, letters: usize) {
        let text = value.as_str().as_bytes();
        if text.len() != letters || !text.iter().all(u8::is_ascii_uppercase) {
            self.refuse(field, format!("is not a code of {letters} capital letters"));
        }
    }

    /// A day as `YYYY-MM-DD`: a month from 01 to 12, and a day from 01 to 31 whether or not the month has it.
    pub fn day(&mut self, field: &str, value: &Text<'_>) {
        if !is_day(value.as_str()) {
            self.refuse(field, "is not a day written as YYYY-MM-DD".to_owned());
        }
    }

    /// At most `max` of something.
    pub fn count(&mut self, field: &str, count: usize, max: usize) {
        if count > max {
            self.refuse(field, format!("has {count} elements, and {max} are allowed"));
        }
    }

    /// The first fault, if there is one.
    ///
    /// # Errors
    ///
    /// That fault.
    pub fn verdict(self) -> Result<(), Reject> {
        self.fault.map_or(Ok(()), Err)
    }

    fn refuse(&mut self, field: &str, message: String) {
        let path = match self.item {
            Some((list, place)) => format!("{list}[{place}].{field}"),
            None => field.to_owned(),
        };
        self.fault.get_or_insert_with(|| Reject::at(RejectReason::OutOfRange, path, message));
    }
}

fn is_day(text: &str) -> bool {
    let [year @ .., b'-', month_tens, month_ones, b'-', day_tens, day_ones] = text.as_bytes() else {
        return false;
    };
    let month = matches!((*month_tens, *month_ones), (b'0', b'1'..=b'9') | (b'1', b'0'..=b'2'));
    let day = match *day_tens {
        b'0' => matches!(*day_ones, b'1'..=b'9'),
        b'1' | b'2' => day_ones.is_ascii_digit(),
        b'3' => matches!(*day_ones, b'0' | b'1'),
        _ => false,
    };
    year.len() == 4 && year.iter().all(u8::is_ascii_digit) && month && day
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_a_month_to_12_and_a_day_to_31() {
        let days = ["0000-01-01", "9999-12-31", "2026-09-10", "2026-10-19", "2026-11-20", "2026-02-31"];
        assert!(days.into_iter().all(is_day));
        let others = [
            "",
            "-01-01",
            "026-01-01",
            "02026-01-01",
            "2026-00-01",
            "2026-13-01",
            "2026-20-01",
            "2026-01-00",
            "2026-01-32",
            "2026-01-40",
            "2026-1-01",
            "2026-01-1",
            "2026/01/01",
            "20260101",
            "2026-0a-01",
            "2026-01-0a",
            "2026-01-2a",
            "2026-01-3a",
            "2o26-01-01",
            "2026-01-01Z",
            "2026-01-01\n",
        ];
        for text in others {
            assert!(!is_day(text), "{text}");
        }
    }
}
