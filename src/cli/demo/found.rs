//! What was planted, and when an alert told of it.

use super::FOREIGN_MODEL;
use crate::event::alert::{Alert, AlertStatus, Severity};
use crate::generate::{PlantedChange, Truth};
use crate::log::{LogRecord, Topic};
use crate::time::{EventTime, rfc3339};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// What was told of, revision after revision.
#[derive(Default)]
pub(super) struct Found {
    told: Vec<Alert>,
}

impl Found {
    /// A record was published.
    pub(super) fn published(&mut self, topic: Topic, record: &LogRecord) {
        if !Topic::ALERTS.contains(&topic) {
            return;
        }
        let alert = serde_json::from_slice::<Alert>(record.value.as_deref().unwrap_or_default());
        self.told.extend(alert.ok().filter(|alert| alert.status == AlertStatus::Open));
    }

    /// Lines for the report: of each planted change and each card tester the alert that told of it; the pages before the first, and those that
    /// tell of none: what follows from a planted change, or is false.
    pub(super) fn lines(&self, truth: &[Truth]) -> Vec<String> {
        let planted: Vec<Planted<'_>> = truth.iter().filter_map(Planted::of).collect();
        let Some(first) = planted.iter().map(|planted| planted.begins).min() else { return Vec::new() };
        let mut lines: Vec<String> = planted.iter().map(|planted| planted.line(&self.told)).collect();
        let before = |alert: &&Alert| alert.as_of_ms < first && alert.severity == Severity::Page;
        let before: BTreeSet<&str> = self.told.iter().filter(before).map(|alert| &*alert.alert_id).collect();
        lines.push(format!("pages before anything was planted: {}", before.len()));
        let others = self.others(&planted);
        lines.push(format!("pages that tell of nothing planted: {}", others.len()));
        lines.extend(others.iter().map(|alert| {
            let minutes = alert.as_of_ms.since(first) as f64 / 60_000.0;
            format!("  {minutes:.0} min after the first was planted: {}", alert.title)
        }));
        lines
    }

    /// The first pages of episodes that tell of nothing that was planted, not even later.
    fn others(&self, planted: &[Planted<'_>]) -> Vec<&Alert> {
        let tells = |alert: &&Alert| planted.iter().any(|planted| planted.is_told_by(alert));
        let known: BTreeSet<&str> = self.told.iter().filter(tells).map(|alert| &*alert.alert_id).collect();
        let mut seen = BTreeSet::new();
        let pages = self.told.iter().filter(|alert| alert.severity == Severity::Page);
        pages.filter(|alert| !known.contains(&*alert.alert_id) && seen.insert(&*alert.alert_id)).collect()
    }
}

/// Something that is to be found.
struct Planted<'t> {
    what: String,
    begins: EventTime,
    sort: Sort<'t>,
}

enum Sort<'t> {
    /// Of card testers, the device.
    CardTesters(&'t str),
    Change(&'t PlantedChange),
}

impl Planted<'_> {
    fn of(truth: &Truth) -> Option<Planted<'_>> {
        match truth {
            Truth::CardTesting { id, start_ms, device_id, .. } => {
                Some(Planted { what: id.clone(), begins: *start_ms, sort: Sort::CardTesters(device_id) })
            }
            Truth::Change(change) if change.is_drift => {
                let segment = change.segment.as_ref();
                let segment = segment.map(|of| format!(" where {} is {}", of.dimension, of.value));
                let what =
                    format!("{} of {}{}", name(&change.kind), change.stream, segment.unwrap_or_default());
                Some(Planted { what, begins: change.at_ms, sort: Sort::Change(change) })
            }
            _ => None,
        }
    }

    fn is_told_by(&self, alert: &Alert) -> bool {
        alert.as_of_ms >= self.begins
            && match self.sort {
                Sort::CardTesters(device) => alert.subject == format!("device {device}"),
                Sort::Change(change) => change.is_told_by(alert, FOREIGN_MODEL),
            }
    }

    fn line(&self, told: &[Alert]) -> String {
        let told = told.iter().find(|alert| self.is_told_by(alert));
        let Planted { what, begins, .. } = self;
        let at = rfc3339(*begins);
        let Some(alert) = told else { return format!("planted {at} {what}: not told") };
        let minutes = alert.as_of_ms.since(*begins) as f64 / 60_000.0;
        let cause = alert.causes.first().map(|cause| format!("; before it: {}", cause.what));
        format!(
            "planted {at} {what}: {} {minutes:.0} min later: {}{}",
            alert.severity.name(),
            alert.title,
            cause.unwrap_or_default()
        )
    }
}

/// As the truth names it.
fn name(kind: &impl Serialize) -> String {
    serde_json::to_value(kind).ok().as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}
