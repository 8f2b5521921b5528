//! How the model learned in the demo: what its scores were worth, label after label.

use crate::event::public::{FraudScore, ScoreQuality};
use crate::log::{LogRecord, Topic};
use std::collections::BTreeMap;

/// Stretches of the learning curve, at most.
const STRETCHES: usize = 8;

/// What is known of the model.
pub(super) struct Learned {
    name: String,
    /// Of each day, what was said of its labels so far, each time.
    days: BTreeMap<i64, Vec<Said>>,
    /// Of the last score: the version of the weights, and whether they counted.
    last: Option<(u32, bool)>,
}

/// Of the labels of a day so far.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Said {
    labelled: u64,
    frauds: u64,
    average_precision: Option<f64>,
    calibration_error: f64,
    /// The sum over the labels.
    log_loss: f64,
}

impl Learned {
    /// Of the model with that name.
    pub(super) fn of(name: &str) -> Learned {
        Learned { name: name.to_owned(), days: BTreeMap::new(), last: None }
    }

    /// A record was published.
    pub(super) fn published(&mut self, topic: Topic, record: &LogRecord) {
        let value = record.value.as_deref().unwrap_or_default();
        match topic {
            Topic::QualityFraud => {
                if let Ok(quality) = serde_json::from_slice::<ScoreQuality<'_>>(value)
                    && *quality.score == *self.name
                {
                    let said = Said {
                        labelled: quality.labelled,
                        frauds: quality.frauds,
                        average_precision: quality.average_precision,
                        calibration_error: quality.calibration_error,
                        log_loss: quality.log_loss * quality.labelled as f64,
                    };
                    self.days.entry(quality.day_ms.0).or_default().push(said);
                }
            }
            Topic::ScoresFraud => {
                let score = serde_json::from_slice::<FraudScore<'_>>(value).ok();
                let model = score.and_then(|score| score.model.map(|model| (model.version, model.is_live)));
                self.last = model.or(self.last);
            }
            _ => {}
        }
    }

    /// Lines for the report.
    pub(super) fn lines(&self) -> Vec<String> {
        let longest = self.days.values().max_by_key(|day| day.last().map_or(0, |said| said.labelled));
        let (Some(day), Some((version, is_live))) = (longest, self.last) else { return Vec::new() };
        let Some(said) = day.last() else { return Vec::new() };
        let precision = said.average_precision.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
        let state = if is_live { "live" } else { "in shadow" };
        let curve: Vec<String> = curve(day).iter().map(|loss| format!("{loss:.3}")).collect();
        vec![
            format!(
                "model {}, version {version}, {state}: {} scores judged, {} of frauds; average precision {precision}, calibration error {:.3}",
                self.name, said.labelled, said.frauds, said.calibration_error
            ),
            format!(
                "  its loss per label as it learned: {} (by the rate of frauds alone: {:.3})",
                curve.join(" "),
                loss_of_rate(said.frauds as f64 / said.labelled as f64)
            ),
        ]
    }
}

/// The mean loss of each of a few stretches of labels, in the order in which they came.
fn curve(day: &[Said]) -> Vec<f64> {
    let (last, mut from) = (day.last().map_or(0, |said| said.labelled), (0, 0.0));
    let mut losses = Vec::new();
    for said in day {
        let wanted = last.div_ceil(STRETCHES as u64) * (losses.len() as u64 + 1);
        let labels = said.labelled.saturating_sub(from.0);
        if labels > 0 && (said.labelled >= wanted || said.labelled == last) {
            losses.push((said.log_loss - from.1) / labels as f64);
            from = (said.labelled, said.log_loss);
        }
    }
    losses
}

/// What one loses per label who says the rate each time.
fn loss_of_rate(rate: f64) -> f64 {
    let part = |share: f64| if share > 0.0 { -share * share.ln() } else { 0.0 };
    part(rate) + part(1.0 - rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(labelled: u64, log_loss: f64) -> Said {
        Said { labelled, frauds: 0, average_precision: None, calibration_error: 0.0, log_loss }
    }

    #[test]
    fn a_curve_has_the_mean_loss_of_stretches_and_each_label_is_in_one() {
        let day = [said(10, 10.0), said(10, 10.0), said(40, 25.0), said(80, 29.0)];
        assert_eq!(curve(&day), [1.0, 0.5, 0.1]);
        let hours: Vec<Said> = (1..=24).map(|hour| said(hour * 10, hour as f64)).collect();
        assert_eq!(curve(&hours).len(), STRETCHES);
        assert!(curve(&[]).is_empty());
    }

    #[test]
    fn who_says_the_rate_loses_its_entropy() {
        assert!((loss_of_rate(0.5) - std::f64::consts::LN_2).abs() < 1e-12);
        assert!(loss_of_rate(0.0).abs() < 1e-12);
    }
}
