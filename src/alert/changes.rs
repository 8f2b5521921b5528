//! What changed upstream lately: what may be why something is no longer as it was.
//!
//! Rules or a model of another version, a topic of which far more or fewer records come. An alert names those that came shortly before it began.

use super::About;
use crate::event::alert::{AlertKind, Cause, Change};
use crate::event::monitor::FRAUD;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What came earlier than this before something began is not named as its cause: a rollout takes hours.
const BEFORE: Duration = Duration::from_secs(24 * 3_600);
/// When something began is known to about this, where little comes.
const AFTER: Duration = Duration::from_secs(6 * 3_600);
/// For how long a change is remembered: what begins slowly is told of days later.
const REMEMBERED: Duration = Duration::from_secs(14 * 86_400);
/// Changes that are remembered at most; beyond, the oldest go.
const CHANGES_MAX: usize = 500;
/// Causes that an alert names.
const CAUSES_MAX: usize = 5;
/// Topics of what happens in the shop, from which the features of payments and the shop's figures follow.
const OF_THE_SHOP: [&str; 6] = ["clickstream", "payments", "orders", "pos", "accounts", "catalogue"];
/// The kind of a change by which far more or fewer records of a topic come.
pub const OF_A_TOPIC: &str = "topic";
/// The topic of what models that run elsewhere say.
const PREDICTIONS: &str = "predictions";

/// Kind, subject and words of a change.
type Name = (Box<str>, Box<str>, Box<str>);

/// Changes by what they are: kind, subject and words; each by when it was heard of first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changes {
    known: BTreeMap<Name, EventTime>,
}

impl Changes {
    /// Something has changed. Partitions tell of the same change one after the other: the first counts for a day.
    pub(super) fn take(&mut self, change: Change) {
        let Change { kind, subject, what, at } = change;
        let known = self.known.entry((kind, subject, what)).or_insert(at);
        if known.plus(BEFORE) < at {
            *known = at;
        }
        *known = (*known).min(at);
        let newest = self.known.values().max().copied().unwrap_or(at);
        self.known.retain(|_, known| known.plus(REMEMBERED) > newest);
        while self.known.len() > CHANGES_MAX {
            let oldest = self.known.iter().min_by_key(|(_, at)| **at).map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { return };
            self.known.remove(&oldest);
        }
    }

    /// What may be why something about `about` began at `since`, the nearest first.
    #[must_use]
    pub(super) fn before(&self, about: &About, since: EventTime) -> Vec<Cause> {
        let mut causes: Vec<Cause> = self
            .known
            .iter()
            .filter(|((kind, subject, _), at)| is_near(**at, since) && concerns(kind, subject, about))
            .map(|((kind, _, what), at)| Cause { kind: kind.to_string(), what: what.to_string(), at_ms: *at })
            .collect();
        causes.sort_by_key(|cause| (cause.at_ms.since(since).abs(), cause.kind.clone(), cause.what.clone()));
        causes.truncate(CAUSES_MAX);
        causes
    }
}

/// Whether something that began at `at` may be why something else began at `since`.
pub(super) fn is_near(at: EventTime, since: EventTime) -> bool {
    at.plus(BEFORE) > since && at <= since.plus(AFTER)
}

/// Whether a change of that kind that happens to `subject`, a topic or a score, can move what the alert is about.
fn concerns(kind: &str, subject: &str, about: &About) -> bool {
    let is_of_the_shop = OF_THE_SHOP.contains(&subject);
    match about.kind {
        // that more or fewer records come is what the alert itself says
        AlertKind::Volume if kind == OF_A_TOPIC => false,
        // "payments channel=online"
        AlertKind::Volume => about.subject.split(' ').next() == Some(subject),
        AlertKind::Business => is_of_the_shop,
        AlertKind::DataDrift | AlertKind::ConceptDrift if about.subject == FRAUD => {
            is_of_the_shop || subject == FRAUD
        }
        AlertKind::DataDrift | AlertKind::ConceptDrift => subject == PREDICTIONS || subject == about.subject,
        AlertKind::FraudPattern => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn change(kind: &str, subject: &str, what: &str, hour: i64) -> Change {
        Change { kind: kind.into(), subject: subject.into(), what: what.into(), at: EventTime(hour * HOUR) }
    }

    fn named(changes: &Changes, kind: AlertKind, subject: &str, hour: i64) -> Vec<String> {
        let causes = changes.before(&About::new(kind, subject), EventTime(hour * HOUR));
        causes.into_iter().map(|cause| cause.what).collect()
    }

    #[test]
    fn changes_shortly_before_are_named_the_nearest_first_where_they_can_be_the_cause() {
        let mut changes = Changes::default();
        for (kind, subject, what, hour) in [
            ("producer", "payments", "checkout 2", 100),
            ("producer", "predictions", "returns service 9", 101),
            ("rules", "fraud", "version 7", 99),
            ("model", "returns", "version 4", 102),
            ("model", "churn", "version 2", 102),
            ("producer", "clickstream", "web 5", 60),
            ("topic", "orders", "orders: 0 in place of 40", 140),
        ] {
            changes.take(change(kind, subject, what, hour));
        }
        assert_eq!(named(&changes, AlertKind::DataDrift, FRAUD, 101), ["checkout 2", "version 7"]);
        assert_eq!(
            named(&changes, AlertKind::ConceptDrift, "returns", 103),
            ["version 4", "returns service 9"]
        );
        assert_eq!(named(&changes, AlertKind::Volume, "payments channel=online", 101), ["checkout 2"]);
        assert_eq!(named(&changes, AlertKind::Business, "conversion", 101), ["checkout 2"]);
        assert_eq!(
            named(&changes, AlertKind::Business, "business online", 141),
            ["orders: 0 in place of 40"]
        );
        assert_eq!(
            named(&changes, AlertKind::Volume, "orders", 141),
            Vec::<String>::new(),
            "it says so itself"
        );
        assert_eq!(named(&changes, AlertKind::DataDrift, FRAUD, 90), Vec::<String>::new(), "what came after");
    }

    #[test]
    fn what_every_partition_tells_of_is_one_change_and_what_comes_back_is_another() {
        let mut changes = Changes::default();
        for hour in [103, 100, 104] {
            changes.take(change("producer", "payments", "checkout 2", hour));
        }
        assert_eq!(changes.before(&About::new(AlertKind::DataDrift, FRAUD), EventTime(101 * HOUR)).len(), 1);
        assert_eq!(changes.known.values().collect::<Vec<_>>(), [&EventTime(100 * HOUR)]);
        changes.take(change("producer", "payments", "checkout 2", 200));
        assert_eq!(changes.known.values().collect::<Vec<_>>(), [&EventTime(200 * HOUR)]);
    }

    #[test]
    fn the_oldest_changes_are_forgotten() {
        let mut changes = Changes::default();
        for hour in 0..1_000 {
            changes.take(change("model", "returns", &hour.to_string(), hour));
        }
        assert!(changes.known.len() <= CHANGES_MAX);
        assert!(changes.known.values().all(|at| *at > EventTime(400 * HOUR)));
    }
}
