//! Whether an alert tells of what was planted, of where, and of why.

use super::change::{ChangeKind, ChangedSegment};
use super::truth::PlantedChange;
use crate::event::alert::{Alert, AlertKind, Finding};
use std::time::Duration;

/// When something began is known to about this.
const KNOWN_TO: Duration = Duration::from_secs(6 * 3_600);

impl PlantedChange {
    /// Whether `alert` is about it: of its kind and stream, with something found that began about then and, where values move, in a field
    /// that does. `model` is the foreign one.
    #[must_use]
    pub fn is_told_by(&self, alert: &Alert, model: &str) -> bool {
        let is_since = |finding: &&Finding| finding.since_ms.plus(KNOWN_TO) > self.at_ms;
        let mut found = alert.findings.iter().filter(is_since).peekable();
        if alert.as_of_ms < self.at_ms || found.peek().is_none() {
            return false;
        }
        let found: Vec<&Finding> = found.collect();
        let of_field = |field: &str| found.iter().any(|finding| finding.feature.contains(field));
        let of_one = || self.fields.iter().any(|field| of_field(field));
        let is_of_predictions = self.stream == "predictions";
        match (self.kind, alert.kind) {
            (ChangeKind::Silent, AlertKind::Volume) => alert.subject.split(' ').next() == Some(self.stream),
            (ChangeKind::Silent, _) => false,
            (ChangeKind::Degrades, kind) => kind == AlertKind::ConceptDrift && alert.subject == model,
            (_, AlertKind::DataDrift) if is_of_predictions => alert.subject == model && of_one(),
            (_, _) if is_of_predictions => false,
            (ChangeKind::Unit | ChangeKind::PriceLevel, AlertKind::DataDrift) => {
                let mut amounts = found.iter().filter(|finding| finding.feature.contains("amount"));
                alert.subject == "fraud" && amounts.any(|finding| self.is_in_its_direction(finding))
            }
            (ChangeKind::Missing | ChangeKind::Categories, AlertKind::DataDrift) => {
                alert.subject == "fraud" && of_one()
            }
            (ChangeKind::PriceLevel, AlertKind::Business) => true,
            (ChangeKind::FraudMoves | ChangeKind::FraudRate, AlertKind::ConceptDrift) => {
                alert.subject != model
            }
            (ChangeKind::Terminal, AlertKind::FraudPattern) => self.is_subject_of(alert),
            (ChangeKind::Terminal, AlertKind::DataDrift) => {
                alert.subject == "fraud" && ["terminal_", "store_"].into_iter().any(of_field)
            }
            (ChangeKind::Terminal, AlertKind::ConceptDrift) => alert.subject == "fraud",
            (ChangeKind::Terminal, AlertKind::Business) => alert.subject.starts_with("business store"),
            (ChangeKind::Intent, AlertKind::Business) => true,
            (ChangeKind::Intent, AlertKind::Volume) => alert.subject == "orders",
            _ => false,
        }
    }

    /// Whether the alert is about what was planted in.
    fn is_subject_of(&self, alert: &Alert) -> bool {
        let is_it = |of: &ChangedSegment| alert.subject == format!("{} {}", of.dimension, of.value);
        self.segment.as_ref().is_some_and(is_it)
    }

    /// Whether values have become more where they were multiplied by more than 1, and less where by less.
    fn is_in_its_direction(&self, finding: &Finding) -> bool {
        (finding.to > finding.from) == (self.strength > 1.0)
    }

    /// Whether `alert` says that it is where it was planted.
    #[must_use]
    pub fn is_placed_by(&self, alert: &Alert) -> bool {
        match (&self.segment, &alert.segment) {
            (None, None) => true,
            (Some(planted), Some(told)) => planted.dimension == told.dimension && planted.value == told.value,
            (Some(planted), None) => {
                let named = alert.subject.ends_with(&format!("{}={}", planted.dimension, planted.value));
                named || self.is_subject_of(alert)
            }
            // what is called otherwise stands among those that are called so
            (None, Some(told)) => {
                self.to.as_deref() == Some(&*told.value) && self.fields.contains(&&*told.dimension)
            }
        }
    }

    /// Whether `alert` names what changed upstream: the new version of whoever sends the records, or the catalogue; of a source that
    /// falls silent the alert itself is about it. Of what nobody upstream has changed, whether it names nothing.
    #[must_use]
    pub fn is_explained_by(&self, alert: &Alert) -> bool {
        let names = |kind: &str| alert.causes.iter().any(|cause| cause.kind == kind);
        match self.kind {
            ChangeKind::Unit | ChangeKind::Missing | ChangeKind::Categories => {
                alert.causes.iter().any(|cause| {
                    cause.kind == "producer" && cause.what.contains(&format!(" on {} ", self.stream))
                })
            }
            ChangeKind::PriceLevel => names("catalogue"),
            ChangeKind::Silent => true,
            _ => !names("producer") && !names("rules"),
        }
    }
}
