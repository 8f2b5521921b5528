//! Whether a change is news, or part of one that was reported already.
//!
//! A gradual change crosses the threshold again and again while it goes on, a model that learns gets better by and by, and what
//! has just changed for the worse often comes back in small steps. None of this needs somebody to look again.

use super::{Change, Direction, Kind};
use serde::{Deserialize, Serialize};

/// What a change is to somebody who knows of those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// News: an alarm.
    New,
    /// What came before was no settled level, but shorter than about the change itself: the last change, or the first
    /// samples of a stream, go on.
    Continues,
    /// On the way back to the level before the last change, but not there.
    Recovers,
    /// A model, or whatever it is, still warms up.
    WarmsUp,
}

/// A level is settled after so many times the length of the window in which the next change shows;
const SETTLED: f64 = 1.5;
/// after this many if the next change is in the direction of the last.
const SETTLED_ONWARD: f64 = 4.0;
/// In any case it is settled after so many samples.
const SETTLED_AFTER: f64 = 10_000.0;
/// So many standard errors short of the earlier level, a stream is not back.
const SHORT_OF: f64 = 3.0;

/// What is remembered of the changes before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Episode {
    last: Option<Direction>,
    /// The level before the last change that was news.
    before: f64,
}

impl Episode {
    /// Judges a change, by the weights of what came before and after its onset, and remembers it.
    pub(super) fn judge(&mut self, change: &Change, kind: Kind, [older, newer]: [f64; 2]) -> Standing {
        let settled = if self.last == Some(change.direction) { SETTLED_ONWARD } else { SETTLED };
        if older < (settled * newer).min(SETTLED_AFTER) {
            return Standing::Continues;
        }
        if self.is_recovery(change, kind, newer) {
            return Standing::Recovers;
        }
        (self.last, self.before) = (Some(change.direction), change.from.typical);
        Standing::New
    }

    /// Of a rate or count that goes back, but not all the way.
    fn is_recovery(self, change: &Change, kind: Kind, weight: f64) -> bool {
        let (from, to) = (change.from.typical, change.to.typical);
        let noise = match kind {
            Kind::Value => return false,
            Kind::Rate => (to * (1.0 - to)).max(0.0),
            Kind::Count => to,
        };
        let short = SHORT_OF * (noise / weight.max(1.0)).sqrt();
        match (self.last, change.direction) {
            (Some(Direction::Up), Direction::Down) => to > self.before + short && to < from,
            (Some(Direction::Down), Direction::Up) => to < self.before - short && to > from,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn change(direction: Direction, from: f64, to: f64) -> Change {
        let level = |typical| Level { typical, spread: 0.0, samples: 1_000 };
        Change {
            direction,
            standing: Standing::New,
            onset_samples_ago: 1_000,
            from: level(from),
            to: level(to),
            evidence: 20.0,
            threshold: 10.0,
        }
    }

    #[test]
    fn a_rise_that_goes_on_is_reported_once() {
        let mut episode = Episode::default();
        let mut judge =
            |from, to| episode.judge(&change(Direction::Up, from, to), Kind::Rate, [3_000.0, 1_000.0]);
        assert_eq!(judge(0.1, 0.2), Standing::New);
        assert_eq!(judge(0.2, 0.3), Standing::Continues);
    }

    #[test]
    fn the_way_back_is_news_only_at_its_end() {
        let mut episode = Episode::default();
        let mut judge =
            |direction, from, to| episode.judge(&change(direction, from, to), Kind::Rate, [9_000.0, 1_000.0]);
        assert_eq!(judge(Direction::Up, 0.1, 0.5), Standing::New);
        assert_eq!(judge(Direction::Down, 0.5, 0.3), Standing::Recovers);
        assert_eq!(judge(Direction::Down, 0.3, 0.11), Standing::New);
        assert_eq!(judge(Direction::Up, 0.11, 0.5), Standing::New);
    }

    #[test]
    fn after_a_long_time_a_level_is_settled_however_slowly_it_changes_then() {
        let mut episode = Episode::default();
        let change = change(Direction::Up, 0.005, 0.007);
        assert_eq!(episode.judge(&change, Kind::Rate, [12_000.0, 30_000.0]), Standing::New);
    }

    #[test]
    fn nothing_is_compared_with_a_beginning_that_is_no_longer_than_the_change() {
        let mut episode = Episode::default();
        let change = change(Direction::Down, 0.4, 0.2);
        assert_eq!(episode.judge(&change, Kind::Rate, [1_000.0, 1_000.0]), Standing::Continues);
    }
}
