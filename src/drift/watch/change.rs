//! What is asked of a watch, and what it answers.

use super::episode::Standing;
use super::season::Season;
use serde::{Deserialize, Serialize};

/// What the numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// 0 or 1: errors, conversions, frauds. Shares within [0, 1] may be given as well.
    Rate,
    /// Any real number: a prediction's error, a basket's value, a price.
    Value,
    /// How many events came in equal spaces of time, ≥ 0.
    Count,
}

/// What to watch and how.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WatchSettings {
    /// What the numbers are.
    pub kind: Kind,
    /// Mean time between false alarms if nothing changes, in samples; ≥ 1,000 makes sense.
    pub samples_between_false_alarms: f64,
    /// The season, if there is one. The first two whole cycles are only learned from.
    pub season: Option<Season>,
    /// During so many samples at the very start nothing is news.
    pub warm_up_samples: u64,
    /// During so many samples at the very start a rate that falls is no news: a model that learns. ≥ `warm_up_samples`. If it did, it may fall
    /// again for five times as long, until it rises: trees learn in steps.
    pub learning_samples: u64,
    /// No cut leaves fewer samples before it: of fewer nothing is known.
    pub older_samples: f64,
    /// Values that the map to normal scores is learned from; four times as many of a stream that hardly moves. At least 2.
    pub scored_samples: usize,
}

impl WatchSettings {
    /// The usual settings for this kind: no season, one false alarm in 300,000 samples.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            samples_between_false_alarms: 3e5,
            season: None,
            warm_up_samples: 500,
            learning_samples: 2_000,
            older_samples: 30.0,
            scored_samples: 128,
        }
    }
}

/// Where a stream has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// To a higher mean.
    Up,
    /// To a lower mean.
    Down,
    /// To a larger spread.
    Wider,
    /// To a smaller spread.
    Narrower,
}

/// What a stream is like for some time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Rate: the share. Count: events per sample. Value: the value whose score is the mean score (a robust mean), in its own
    /// unit. In a season: as it would be in the mean of a cycle.
    pub typical: f64,
    /// Value only, else 0: half the distance between the values one spread below and above.
    pub spread: f64,
    /// Samples it was estimated from, those of a season's history included.
    pub samples: u64,
}

/// A change of a stream. It is an alarm if its `standing` is [`Standing::New`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Where it has gone.
    pub direction: Direction,
    /// Whether it is news.
    pub standing: Standing,
    /// So many samples ago, including the last, the new law began: the most likely place, to within about 10 %.
    pub onset_samples_ago: u64,
    /// What it was like since the change before.
    pub from: Level,
    /// What it is like since the onset.
    pub to: Level,
    /// Evidence for the change, in nats.
    pub evidence: f64,
    /// Evidence from which on it is reported, in nats.
    pub threshold: f64,
}
