//! What the demo has seen: counts, latencies, last scores, and planted patterns found and missed.

use crate::engine::process::Engine;
use crate::event::EntityKind;
use crate::event::monitor::FRAUD;
use crate::event::public::{Action, FraudScore, ScoreQuality};
use crate::generate::Truth;
use crate::ledger::Disposition;
use crate::log::{LogRecord, Topic};
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

const LAST_SCORES: usize = 5;

/// Counts of the demo.
#[derive(Debug, Default)]
pub(super) struct Tally {
    events: u64,
    published: BTreeMap<Topic, u64>,
    /// When each payment attempt was produced that has no score yet.
    waiting: BTreeMap<String, Duration>,
    latencies_us: Vec<u64>,
    flagged: BTreeMap<String, Action>,
    decided: BTreeMap<Action, u64>,
    last: VecDeque<String>,
    /// How good the scores of the day with the most labels are by them, in a line, and how many labels these are.
    quality: Option<(u64, String)>,
}

#[derive(Deserialize)]
struct PaymentName<'a> {
    event_name: &'a str,
    payment_id: &'a str,
}

/// Planted payments, and those of them on which a decision other than approval was made.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    patterns: usize,
    patterns_found: usize,
    payments: usize,
    payments_found: usize,
    bots: usize,
    other_frauds: usize,
    other_frauds_found: usize,
    honest_flagged: usize,
}

impl Tally {
    pub(super) fn produced(&mut self, topic: Topic, value: &[u8], now: Duration) {
        self.events += 1;
        if topic == Topic::Payments
            && let Ok(payment) = serde_json::from_slice::<PaymentName<'_>>(value)
            && payment.event_name == "payment_attempted"
        {
            self.waiting.entry(payment.payment_id.to_owned()).or_insert(now);
        }
    }

    pub(super) fn published(&mut self, topic: Topic, record: &LogRecord, now: Duration) {
        *self.published.entry(topic).or_default() += 1;
        let value = record.value.as_deref().unwrap_or_default();
        if topic == Topic::QualityFraud
            && let Ok(quality) = serde_json::from_slice::<ScoreQuality<'_>>(value)
            && quality.score == FRAUD
            && self.quality.as_ref().is_none_or(|(labelled, _)| *labelled <= quality.labelled)
        {
            self.quality = Some((quality.labelled, line_of_quality(&quality)));
        }
        if topic != Topic::ScoresFraud {
            return;
        }
        let Ok(score) = serde_json::from_slice::<FraudScore<'_>>(value) else { return };
        *self.decided.entry(score.decision).or_default() += 1;
        let payment = score.payment_id.as_deref().unwrap_or_default().to_owned();
        if let Some(produced) = self.waiting.remove(&payment) {
            self.latencies_us
                .push(u64::try_from(now.saturating_sub(produced).as_micros()).unwrap_or(u64::MAX));
        }
        if score.decision != Action::Approve {
            self.last.push_front(line_of(&score));
            self.last.truncate(LAST_SCORES);
            self.flagged.insert(payment, score.decision);
        }
    }

    /// A few lines for the terminal.
    pub(super) fn summary(&self, engine: &Engine, truth: &[Truth], ran: Duration) -> String {
        let open: usize = engine.keyed_tasks().map(crate::engine::keyed::KeyedTask::visitors).sum();
        let found = self.found(truth);
        let mut text = String::new();
        let per_second = self.events as f64 / ran.as_secs_f64().max(0.001);
        let p50 = percentile(&self.latencies_us, 50);
        let p99 = percentile(&self.latencies_us, 99);
        line(
            &mut text,
            format_args!(
                "{:>10} events   {per_second:>9.0} events/s   visitors with a session {open}",
                self.events
            ),
        );
        line(
            &mut text,
            format_args!("event → score   p50 {}   p99 {}", milliseconds(p50), milliseconds(p99)),
        );
        line(
            &mut text,
            format_args!(
                "planted card testers found {} of {}   their payments stopped {} of {}   honest payments stopped {}",
                found.patterns_found,
                found.patterns,
                found.payments_found,
                found.payments,
                found.honest_flagged
            ),
        );
        line(
            &mut text,
            format_args!(
                "ledger {}",
                if engine.ledger().balances() { "balances" } else { "does not balance yet" }
            ),
        );
        line(&mut text, format_args!("last decisions other than approve:"));
        for score in &self.last {
            line(&mut text, format_args!("  {score}"));
        }
        text
    }

    /// The table at the end.
    pub(super) fn report(&self, engine: &Engine, truth: &[Truth], shown: &[String], ran: Duration) -> String {
        let ledger = engine.ledger();
        let found = self.found(truth);
        let mut text = String::new();
        let per_second = self.events as f64 / ran.as_secs_f64().max(0.001);
        line(&mut text, format_args!("events              {:>10}   {per_second:.0} per second", self.events));
        line(&mut text, format_args!("  routed            {:>10}", ledger.ingest.routed));
        line(&mut text, format_args!("  refused           {:>10}", ledger.ingest.dead_lettered_total()));
        line(&mut text, format_args!("  links             {:>10}", ledger.linked.records));
        line(&mut text, format_args!("copies by entity       applied  late-applied      late  duplicate"));
        for kind in EntityKind::ALL {
            let ended = |end| ledger.keyed.ended(kind, end);
            line(
                &mut text,
                format_args!(
                    "  {:<14}      {:>10}    {:>10}{:>10} {:>10}",
                    kind.name(),
                    ended(Disposition::Applied),
                    ended(Disposition::LateApplied),
                    ended(Disposition::Late),
                    ended(Disposition::Duplicate)
                ),
            );
        }
        line(&mut text, format_args!("published"));
        for (topic, count) in &self.published {
            line(&mut text, format_args!("  {:<18}{count:>10}", topic.name()));
        }
        line(&mut text, format_args!("decisions"));
        for (action, count) in &self.decided {
            line(&mut text, format_args!("  {:<18}{count:>10}", action.name()));
        }
        line(
            &mut text,
            format_args!(
                "event → score       p50 {}   p99 {}   max {}",
                milliseconds(percentile(&self.latencies_us, 50)),
                milliseconds(percentile(&self.latencies_us, 99)),
                milliseconds(percentile(&self.latencies_us, 100))
            ),
        );
        line(&mut text, format_args!("planted             found   of"));
        line(&mut text, format_args!("  card testers      {:>5}   {}", found.patterns_found, found.patterns));
        line(&mut text, format_args!("  their payments    {:>5}   {}", found.payments_found, found.payments));
        line(
            &mut text,
            format_args!("  other frauds      {:>5}   {}", found.other_frauds_found, found.other_frauds),
        );
        line(
            &mut text,
            format_args!(
                "  bots              none of {}: rules score payments, and bots make none",
                found.bots
            ),
        );
        line(&mut text, format_args!("honest payments stopped: {}", found.honest_flagged));
        if let Some((_, quality)) = &self.quality {
            line(&mut text, format_args!("by their labels: {quality}"));
        }
        for shown in shown {
            line(&mut text, format_args!("{shown}"));
        }
        line(
            &mut text,
            format_args!("the ledger {}", if ledger.balances() { "balances" } else { "DOES NOT BALANCE" }),
        );
        text
    }

    fn found(&self, truth: &[Truth]) -> Found {
        let mut found = Found::default();
        let stopped =
            |payments: &[String]| payments.iter().filter(|id| self.flagged.contains_key(*id)).count();
        for pattern in truth {
            match pattern {
                Truth::CardTesting { payment_ids, .. } => {
                    let stopped = stopped(payment_ids);
                    found.patterns += 1;
                    found.patterns_found += usize::from(stopped > 0);
                    found.payments += payment_ids.len();
                    found.payments_found += stopped;
                }
                Truth::Bot { .. } => found.bots += 1,
                Truth::OrdinaryFraud { payment_ids, .. } => {
                    found.other_frauds += payment_ids.len();
                    found.other_frauds_found += stopped(payment_ids);
                }
                Truth::Accounting(_) | Truth::Change(_) => {}
            }
        }
        found.honest_flagged = self.flagged.len() - found.payments_found - found.other_frauds_found;
        found
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes all");
}

/// Of the day that was published last.
fn line_of_quality(quality: &ScoreQuality<'_>) -> String {
    let precision = quality.average_precision.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    format!(
        "{} scores, {} of frauds; average precision {precision}, calibration error {:.3}",
        quality.labelled, quality.frauds, quality.calibration_error
    )
}

fn line_of(score: &FraudScore<'_>) -> String {
    let reasons: Vec<String> = score
        .reasons
        .iter()
        .map(|reason| {
            let inputs: Vec<String> =
                reason.inputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} ({})", reason.code, inputs.join(", "))
        })
        .collect();
    let payment = score.payment_id.as_deref().unwrap_or("?");
    format!("{payment} {:.2} {} {}", score.score, score.decision.name(), reasons.join("; "))
}

/// The value below which `percent` of the values lie, none without values.
fn percentile(values: &[u64], percent: usize) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied()
}

fn milliseconds(micros: Option<u64>) -> String {
    micros.map_or_else(|| "-".to_owned(), |micros| format!("{:.1} ms", micros as f64 / 1_000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_the_sorted_values() {
        let values: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(percentile(&values, 50), Some(50));
        assert_eq!(percentile(&values, 99), Some(99));
        assert_eq!(percentile(&values, 100), Some(100));
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(percentile(&[7], 1), Some(7));
    }
}
