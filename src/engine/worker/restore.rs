//! How far a task is on its way back, and how long the rest will take.

use crate::log::TopicPartition;
use crate::time::ProcessingTime;

/// A task that is not yet where its group has committed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Restore {
    /// Of this partition.
    pub partition: TopicPartition,
    /// What is left.
    pub left: Left,
    /// For how long, at the pace so far; none as long as there is no pace.
    pub seconds_left: Option<f64>,
}

/// What is left of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Its checkpoint is being looked for.
    Search,
    /// So many bytes of its checkpoint are to be put back, and then its log is to be read.
    CheckpointBytes(u64),
    /// So many records of its log are to be read.
    Records(u64),
}

impl std::fmt::Display for Restore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let partition = self.partition;
        match self.left {
            Left::Search => write!(f, "the checkpoint of {partition} is being looked for"),
            Left::CheckpointBytes(bytes) => {
                write!(f, "{partition} is being restored: {bytes} bytes of its checkpoint are left")
            }
            Left::Records(records) => {
                write!(f, "{partition} is being restored: {records} records of its log are left")
            }
        }?;
        match self.seconds_left {
            Some(seconds) => write!(f, ", about {:.0} s", seconds.ceil()),
            None => Ok(()),
        }
    }
}

/// Since when so much was to be done.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Pace {
    begun: ProcessingTime,
    total: u64,
}

impl Pace {
    pub(in crate::engine) fn new(begun: ProcessingTime, total: u64) -> Pace {
        Pace { begun, total }
    }

    pub(in crate::engine) fn total(self) -> u64 {
        self.total
    }

    /// How long the rest takes at the pace so far.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(in crate::engine) fn seconds_left(self, left: u64, now: ProcessingTime) -> Option<f64> {
        let done = self.total.checked_sub(left).filter(|done| *done > 0)?;
        Some(now.since(self.begun).as_secs_f64() * left as f64 / done as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Topic;
    use std::time::Duration;

    #[test]
    fn what_is_left_is_said_with_the_seconds_that_it_takes_at_the_pace_so_far() {
        let begun = ProcessingTime(1_000);
        let pace = Pace::new(begun, 4_000);
        let now = begun.plus(Duration::from_secs(3));
        assert_eq!(pace.seconds_left(4_000, now), None, "no pace yet");
        assert_eq!(pace.seconds_left(1_000, now), Some(1.0));
        let restore = |left, seconds_left| {
            let partition = TopicPartition::new(Topic::Entity, 2);
            Restore { partition, left, seconds_left }.to_string()
        };
        assert_eq!(
            restore(Left::Records(1_000), Some(0.4)),
            "tillstream.entity/2 is being restored: 1000 records of its log are left, about 1 s"
        );
        assert_eq!(restore(Left::Search, None), "the checkpoint of tillstream.entity/2 is being looked for");
    }
}
