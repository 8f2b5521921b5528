//! Items of the catalogue by the hour in which they change: many at a time are a new season, other prices, or a fault.

use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
/// Fewer items in an hour are never many.
const MANY: f64 = 20.0;
/// So many times what is usual of an hour is many.
const TIMES_USUAL: f64 = 5.0;
/// By how much an hour moves what is usual.
const LEARN: f64 = 0.05;

/// How many items of the catalogue change in an hour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CatalogueHours {
    hour: Option<EventTime>,
    count: u32,
    usual: f64,
}

impl CatalogueHours {
    /// Counts an item that changes at `time`. Returns whether it is the one that makes many.
    pub fn are_many(&mut self, time: EventTime) -> bool {
        let hour = time.floor(HOUR);
        match self.hour {
            Some(counted) if hour <= counted => self.count += 1,
            counted => {
                if counted.is_some() {
                    self.usual += LEARN * (f64::from(self.count) - self.usual);
                }
                (self.hour, self.count) = (Some(hour), 1);
            }
        }
        let many = MANY.max(TIMES_USUAL * self.usual);
        // the one that makes it so, and no other after it
        (many..many + 1.0).contains(&f64::from(self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_items_are_told_of_once_in_an_hour_that_is_far_from_usual() {
        let mut hours = CatalogueHours::default();
        let mut told = Vec::new();
        for hour in 0..200 {
            let items = if hour == 150 { 400 } else { 10 + hour % 3 };
            for _ in 0..items {
                if hours.are_many(EventTime(hour * 3_600_000 + 5)) {
                    told.push(hour);
                }
            }
        }
        assert_eq!(told, [150]);
    }
}
