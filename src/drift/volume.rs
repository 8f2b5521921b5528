//! How many records came in each five minutes, by what they are.

use crate::time::EventTime;
use crate::windows::OpenWindows;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The length of a count: short enough that a source that stops is noticed before the checkout's queue is.
pub const LENGTH: Duration = Duration::from_secs(300);

/// The counts of one of those who see records, in windows of [`LENGTH`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volumes {
    windows: OpenWindows<BTreeMap<Box<str>, u64>>,
}

/// A count on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Of what.
    pub stream: Box<str>,
    /// The beginning of the window.
    pub start: EventTime,
    /// Records.
    pub count: u64,
}

impl Volumes {
    /// Counts a record of `stream`, unless its window is over.
    pub fn add(&mut self, stream: &str, time: EventTime) {
        let Some(counts) = self.windows.at(time.floor(LENGTH)) else { return };
        match counts.get_mut(stream) {
            Some(count) => *count += 1,
            None => {
                counts.insert(stream.into(), 1);
            }
        }
    }

    /// Takes out the windows that have been over for `allowed_lateness` by the watermark.
    pub fn close(
        &mut self,
        watermark: EventTime,
        allowed_lateness: Duration,
    ) -> impl Iterator<Item = Volume> + use<> {
        let closed = self.windows.close(watermark, allowed_lateness, LENGTH);
        closed.into_iter().flat_map(|(start, counts)| {
            counts.into_iter().map(move |(stream, count)| Volume { stream, start, count })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_by_stream_and_five_minutes_and_handed_over_when_these_are_over() {
        let mut volumes = Volumes::default();
        for (stream, time) in [("clicks", 1), ("clicks", 299_999), ("pos", 2), ("clicks", 300_000)] {
            volumes.add(stream, EventTime(time));
        }
        let lateness = Duration::from_secs(5);
        assert_eq!(volumes.close(EventTime(304_999), lateness).count(), 0);
        let closed: Vec<_> = volumes.close(EventTime(305_000), lateness).collect();
        let of = |stream: &str, count| Volume { stream: stream.into(), start: EventTime(0), count };
        assert_eq!(closed, [of("clicks", 2), of("pos", 1)]);
        volumes.add("clicks", EventTime(3));
        assert_eq!(volumes.close(EventTime(605_000), lateness).map(|volume| volume.count).sum::<u64>(), 1);
    }
}
