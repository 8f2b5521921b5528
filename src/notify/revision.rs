//! A revision of an episode as it was read, and what it means at a moment.
//!
//! Alerts speak in event time, receivers live in the machine's. The two are tied together by the record: when it was published,
//! event time stood at `as_of_ms`. So the moment at which an event time will be reached is `published + (event − as_of)`, which
//! is right for a log that lags and for one of last year too.

use crate::event::alert::{Alert, AlertStatus};
use crate::time::{EventTime, ProcessingTime};
use std::time::Duration;

/// A topic that episodes are published on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertTopic {
    /// Drift of data, concepts and volume.
    Drift,
    /// Patterns of fraud.
    Fraud,
    /// Figures of the business.
    Business,
}

impl AlertTopic {
    /// Every topic with its name.
    pub const NAMES: [(&'static str, AlertTopic); 3] = [
        ("alerts.drift", AlertTopic::Drift),
        ("alerts.fraud", AlertTopic::Fraud),
        ("alerts.business", AlertTopic::Business),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AlertTopic::Drift => "alerts.drift",
            AlertTopic::Fraud => "alerts.fraud",
            AlertTopic::Business => "alerts.business",
        }
    }
}

/// A record of a topic `alerts.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Where it was read.
    pub topic: AlertTopic,
    /// What it says.
    pub alert: Alert,
    /// Its `ce_id`.
    pub id: String,
    /// The record's own timestamp: when it was published.
    pub published: ProcessingTime,
}

/// What a record is to one that came before it about the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Succession {
    /// The same, or an older one: what was published may be published again.
    Known,
    /// A newer revision of the same episode.
    Revised,
    /// A newer episode.
    NextEpisode,
}

impl Revision {
    /// What it is to `known`, which has the same fingerprint.
    pub(super) fn succession(&self, known: &Revision) -> Succession {
        let is_same = self.alert.alert_id == known.alert.alert_id;
        if is_same && self.alert.revision > known.alert.revision {
            Succession::Revised
        } else if !is_same && self.alert.detected_ms > known.alert.detected_ms {
            Succession::NextEpisode
        } else {
            Succession::Known
        }
    }

    /// Whether the episode has ended.
    pub(super) fn is_over(&self) -> bool {
        self.alert.status == AlertStatus::Resolved
    }

    /// When event time is or was at `event`.
    pub(super) fn moment_of(&self, event: EventTime) -> ProcessingTime {
        ProcessingTime(self.published.0.saturating_add(event.since(self.alert.as_of_ms)))
    }

    /// When the episode was first published: a moment that a restart compares with its own.
    pub(super) fn opened(&self) -> ProcessingTime {
        self.moment_of(self.alert.detected_ms)
    }

    /// Until when nobody wants to hear of it, if that is after `now`.
    pub(super) fn muted_until(&self, now: ProcessingTime) -> Option<ProcessingTime> {
        self.alert.muted_until_ms.map(|until| self.moment_of(until)).filter(|until| *until > now)
    }

    /// Whether somebody has it in hand. Who took it on before a mute and let the mute end has to say so again: the end of a mute
    /// is there to be heard.
    pub(super) fn is_in_hand(&self, now: ProcessingTime) -> bool {
        let Some(taken) = &self.alert.acknowledged else { return false };
        let ended = self.alert.muted_until_ms.filter(|until| self.moment_of(*until) <= now);
        ended.is_none_or(|until| taken.at_ms >= until)
    }

    /// Whether it was published so long before `now`, or longer.
    pub(super) fn is_as_old_as(&self, ago: Duration, now: ProcessingTime) -> bool {
        self.published.plus(ago) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::alert::Acknowledgement;
    use crate::notify::samples::{HOUR, MINUTE, START, revision};

    #[test]
    fn a_topic_is_known_by_its_name() {
        for (name, topic) in AlertTopic::NAMES {
            assert_eq!(topic.name(), name);
        }
    }

    #[test]
    fn what_was_published_again_is_known_and_a_later_detection_is_another_episode() {
        let known = revision(3);
        let mut again = revision(3);
        again.published = again.published.plus(HOUR);
        assert_eq!(again.succession(&known), Succession::Known);
        assert_eq!(revision(2).succession(&known), Succession::Known);
        assert_eq!(revision(4).succession(&known), Succession::Revised);
        let mut next = revision(1);
        next.alert.alert_id = "00000000000000ff".to_owned();
        assert_eq!(next.succession(&known), Succession::Known, "detected no later");
        next.alert.detected_ms = known.alert.detected_ms.plus(Duration::from_millis(1));
        assert_eq!(next.succession(&known), Succession::NextEpisode);
    }

    #[test]
    fn a_mute_ends_by_the_event_time_of_its_log_even_if_that_is_of_last_year() {
        let mut muted = revision(2);
        muted.alert.muted_until_ms = Some(muted.alert.as_of_ms.plus(HOUR));
        let year = Duration::from_secs(365 * 86_400);
        for (lag, name) in [(Duration::ZERO, "live"), (year, "last year's log")] {
            muted.published = START.plus(lag);
            let end = muted.published.plus(HOUR);
            let before = ProcessingTime(end.0 - 1);
            assert_eq!(muted.muted_until(before), Some(end), "{name}");
            assert_eq!(muted.muted_until(end), None, "{name}");
        }
    }

    #[test]
    fn who_took_it_on_before_a_mute_ended_has_to_say_so_again() {
        let mut taken = revision(2);
        let as_of = taken.alert.as_of_ms;
        let by = |at_ms| Some(Acknowledgement { by: "ada".to_owned(), at_ms, note: None });
        assert!(!taken.is_in_hand(START));
        taken.alert.acknowledged = by(as_of);
        assert!(taken.is_in_hand(START.plus(HOUR)));
        taken.alert.muted_until_ms = Some(as_of.plus(MINUTE));
        assert!(taken.is_in_hand(START), "still muted");
        assert!(!taken.is_in_hand(taken.published.plus(MINUTE)));
        taken.alert.acknowledged = by(as_of.plus(MINUTE));
        assert!(taken.is_in_hand(taken.published.plus(MINUTE)));
    }
}
