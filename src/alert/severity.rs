//! Who has to know of an episode, and how soon: from how large it is, how much of the traffic it concerns, and how long it stands.

use crate::event::alert::{
    ABANDONMENT, AT_LEAST, AlertKind, FRAUD_RATE, Finding, Moved, POSITIVE_RATE, REFUND_RATE, Severity,
};
use crate::event::monitor::MODEL_SCORE;
use crate::time::millis;
use std::time::Duration;

/// A change of the values that is small however certain it is: nobody is woken by it. Of the usual bands of the index (.1 and
/// .25) the upper one, below which scores hardly move.
const PAGE_PSI: f64 = 0.25;
/// A change of a share (values missing, outcomes, errors) in points.
const PAGE_SHARE: f64 = 0.1;
/// A rate of errors that is half as much again is large, if it rose by so many points.
const PAGE_ERRORS: f64 = 0.01;
const PAGE_ERRORS_RATIO: f64 = 0.5;
/// A change of how well a score ranks (of 1), or of what it costs to believe it (nats).
const PAGE_QUALITY: f64 = 0.05;
/// A figure or a volume that is so much less than it was, as a share of that; or more, of a figure of which less is better.
const PAGE_FIGURE: f64 = 0.3;
/// Twice as much as usual is large, too: a crowd, or records that come twice.
const PAGE_MORE: f64 = 1.0;
/// Figures of the shop of which less is better.
const LESS_IS_BETTER: [&str; 2] = [ABANDONMENT, REFUND_RATE];
/// A pattern of fewer payments is looked at by whoever looks at payments.
const PAGE_PAYMENTS: u64 = 20;
/// What concerns less of the traffic can wait until tomorrow.
const PAGE_TRAFFIC: f64 = 0.02;

/// What labels say is looked at by daylight before it wakes anybody: a burst of labels about one pattern is over by then.
const OUTCOMES_STAND: Duration = Duration::from_secs(24 * 3_600);

/// The severity of an episode with these findings, which concerns this share of the subject's traffic and has stood `for_ms`.
#[must_use]
pub fn severity<'f>(
    kind: AlertKind,
    findings: impl IntoIterator<Item = &'f Finding>,
    share: f64,
    for_ms: i64,
) -> Severity {
    let findings: Vec<&Finding> = findings.into_iter().collect();
    if !findings.is_empty() && findings.iter().all(|finding| is_learning(finding)) {
        return Severity::Info;
    }
    let stands = kind != AlertKind::ConceptDrift || for_ms >= millis(OUTCOMES_STAND);
    if stands && share >= PAGE_TRAFFIC && findings.iter().any(|finding| is_large(kind, finding)) {
        Severity::Page
    } else {
        Severity::Ticket
    }
}

/// What a model says that learns here moves as it learns: whether that is well its loss says.
fn is_learning(finding: &Finding) -> bool {
    finding.feature == MODEL_SCORE && finding.what == Moved::Distribution
}

fn is_large(kind: AlertKind, finding: &Finding) -> bool {
    match finding.what {
        Moved::Unit => true,
        Moved::Pattern => finding.count >= PAGE_PAYMENTS,
        Moved::Distribution => finding.effect >= PAGE_PSI && !is_learning(finding),
        Moved::Missing | Moved::NonFinite | Moved::NewCategories => finding.to - finding.from >= PAGE_SHARE,
        // of more frauds alone nobody knows whether scores are worse, or others are labelled
        Moved::Rate if [FRAUD_RATE, POSITIVE_RATE].contains(&finding.feature.as_str()) => false,
        Moved::Rate => {
            let by = at_least(finding);
            by >= PAGE_SHARE || (by >= PAGE_ERRORS && by >= PAGE_ERRORS_RATIO * finding.from.min(finding.to))
        }
        Moved::Level if kind == AlertKind::ConceptDrift => at_least(finding) >= PAGE_QUALITY,
        Moved::Volume | Moved::Level if LESS_IS_BETTER.contains(&finding.feature.as_str()) => {
            finding.effect >= PAGE_FIGURE
        }
        Moved::Volume | Moved::Level => finding.effect <= -PAGE_FIGURE || finding.effect >= PAGE_MORE,
    }
}

/// By how much it moved, as far as that is certain.
fn at_least(finding: &Finding) -> f64 {
    finding.measures.get(AT_LEAST).copied().unwrap_or((finding.to - finding.from).abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::EventTime;

    #[test]
    fn what_labels_say_wakes_somebody_only_by_as_much_as_is_certain() {
        for (what, to, at_least, expected) in [
            (Moved::Level, 0.2, 0.06, Severity::Page),
            (Moved::Level, 0.2, 0.04, Severity::Ticket),
            (Moved::Rate, 0.2, 0.12, Severity::Page),
            (Moved::Rate, 0.2, 0.05, Severity::Page),
            (Moved::Rate, 0.2, 0.04, Severity::Ticket),
        ] {
            let finding = Finding {
                feature: "auc".to_owned(),
                what,
                segment: None,
                category: None,
                from: 0.1,
                to,
                since_ms: EventTime(0),
                until_ms: EventTime(0),
                count: 100,
                reference_count: 100.0,
                effect: 1.0,
                measures: [(AT_LEAST.to_owned(), at_least)].into(),
                statistic: 9.0,
                threshold: 8.0,
                histogram: None,
            };
            let day = millis(OUTCOMES_STAND);
            assert_eq!(
                severity(AlertKind::ConceptDrift, [&finding], 1.0, day),
                expected,
                "{what:?} {at_least}"
            );
        }
    }
}
