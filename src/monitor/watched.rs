//! A stream of single values under a watch, and what it has changed to while that is news.

use crate::drift::watch::{Change, Direction, Kind, Phase, Standing, Watch, WatchSettings};
use crate::event::alert::{Finding, Moved};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A level this near to what it was, as a share of the change, is back.
const BACK: f64 = 0.35;

/// A watch, and what is news of its stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Watched {
    watch: Watch,
    /// What it has changed to, until it has gone back or somebody says that it is as it should be.
    finding: Option<Finding>,
}

impl Watched {
    /// Of a stream that has not begun.
    #[must_use]
    pub(super) fn new(settings: WatchSettings) -> Watched {
        Watched { watch: Watch::new(settings), finding: None }
    }

    /// What is news.
    #[must_use]
    pub(super) fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    /// What was news is the usual from now on.
    pub(super) fn forget(&mut self) {
        self.finding = None;
    }

    /// Takes the next value of `feature`, which is of `time`; where it goes to what is `better`, that is no news. `since` says of which time the value so many values ago was.
    pub(super) fn take(
        &mut self,
        (feature, better): (&str, Option<Direction>),
        (value, phase): (f64, Option<Phase>),
        time: EventTime,
        since: impl Fn(u64) -> EventTime,
    ) {
        let Some(change) = self.watch.update(value, phase) else { return };
        // values that vary more, and are the same on average, say nothing that the mean does not say later
        if matches!(change.direction, Direction::Wider | Direction::Narrower) {
            return;
        }
        if self.finding.is_none() && better == Some(change.direction) {
            return;
        }
        let usual = self.finding.as_ref().map_or(change.from.typical, |finding| finding.from);
        let moved_by = self.finding.as_ref().map(|finding| finding.to - finding.from);
        let is_back = moved_by.is_some_and(|by| (change.to.typical - usual).abs() <= BACK * by.abs());
        if is_back {
            self.finding = None;
        } else if change.standing == Standing::New || self.finding.is_some() {
            let began = since(change.onset_samples_ago).min(time);
            let known = self.finding.as_ref().map_or(began, |known| known.since_ms.min(began));
            let finding = self.finding_of(feature, &change, usual, (known, time));
            self.finding = Some(if change.to.samples == 0 { of_nothing(finding, value) } else { finding });
        }
    }

    fn finding_of(
        &self,
        feature: &str,
        change: &Change,
        from: f64,
        (since, until): (EventTime, EventTime),
    ) -> Finding {
        let to = change.to.typical;
        Finding {
            feature: feature.to_owned(),
            what: match self.watch.kind() {
                Kind::Rate => Moved::Rate,
                Kind::Value => Moved::Level,
                Kind::Count => Moved::Volume,
            },
            segment: None,
            category: None,
            from,
            to,
            since_ms: since,
            until_ms: until,
            count: change.to.samples,
            reference_count: change.from.samples as f64,
            effect: if from.abs() > 0.0 { (to - from) / from.abs() } else { to - from },
            measures: BTreeMap::new(),
            statistic: change.evidence,
            threshold: change.threshold,
            histogram: None,
        }
    }
}

/// Where next to nothing is usual nobody can say how many times more it is: the last value is compared with what is usual on average.
fn of_nothing(finding: Finding, value: f64) -> Finding {
    let effect = if finding.from > 0.0 { value / finding.from } else { value.signum() };
    Finding { from: 0.0, to: value, effect, ..finding }
}
