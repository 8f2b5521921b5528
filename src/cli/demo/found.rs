//! What was planted, and when an alert told of it.

use crate::event::alert::{Alert, AlertKind};
use crate::generate::Truth;
use crate::log::{LogRecord, Topic};
use crate::time::{EventTime, rfc3339};
use serde::Serialize;
use serde_json::Value;

/// The alerts that were opened.
#[derive(Default)]
pub(super) struct Found {
    opened: Vec<Alert>,
}

impl Found {
    /// A record was published.
    pub(super) fn published(&mut self, topic: Topic, record: &LogRecord) {
        if !Topic::ALERTS.contains(&topic) {
            return;
        }
        let alert = serde_json::from_slice::<Alert>(record.value.as_deref().unwrap_or_default());
        self.opened.extend(alert.ok().filter(|alert| alert.revision == 1));
    }

    /// Lines for the report: of each planted change and each card tester the alert that told of it, and the alerts before the first.
    pub(super) fn lines(&self, truth: &[Truth]) -> Vec<String> {
        let planted: Vec<Planted> = truth.iter().filter_map(Planted::of).collect();
        let Some(first) = planted.iter().map(|planted| planted.begins).min() else { return Vec::new() };
        let mut lines: Vec<String> = planted.iter().map(|planted| planted.line(&self.opened)).collect();
        let before = self.opened.iter().filter(|alert| alert.detected_ms < first).count();
        lines.push(format!("alerts before anything was planted: {before}"));
        lines
    }
}

/// Something that is to be found.
struct Planted {
    what: String,
    begins: EventTime,
    /// The device of card testers; none of a change of the traffic.
    device: Option<String>,
}

impl Planted {
    fn of(truth: &Truth) -> Option<Planted> {
        match truth {
            Truth::CardTesting { id, start_ms, device_id, .. } => {
                Some(Planted { what: id.clone(), begins: *start_ms, device: Some(device_id.clone()) })
            }
            Truth::Change(change) if change.is_drift => {
                let segment = change.segment.as_ref();
                let segment = segment.map(|of| format!(" where {} is {}", of.dimension, of.value));
                let what =
                    format!("{} of {}{}", name(&change.kind), change.stream, segment.unwrap_or_default());
                Some(Planted { what, begins: change.at_ms, device: None })
            }
            _ => None,
        }
    }

    fn is_told_by(&self, alert: &Alert) -> bool {
        alert.detected_ms >= self.begins
            && match &self.device {
                Some(device) => alert.subject == format!("device {device}"),
                None => alert.kind != AlertKind::FraudPattern,
            }
    }

    fn line(&self, opened: &[Alert]) -> String {
        let told = opened.iter().filter(|alert| self.is_told_by(alert)).min_by_key(|alert| alert.detected_ms);
        let Planted { what, begins, .. } = self;
        let at = rfc3339(*begins);
        match told {
            Some(alert) => {
                let minutes = alert.detected_ms.since(*begins) as f64 / 60_000.0;
                format!("planted {at} {what}: told {minutes:.0} min later: {}", alert.title)
            }
            None => format!("planted {at} {what}: not told"),
        }
    }
}

/// As the truth names it.
fn name(kind: &impl Serialize) -> String {
    serde_json::to_value(kind).ok().as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}
