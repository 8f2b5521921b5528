//! What becomes known about payments: after a while a review says of some of them what they were.

use super::change::Part;
use super::random::Random;
use super::stage::{Attempt, Stage};

/// A review takes so long: five minutes to an hour.
const KNOWN_AFTER_MS: (i64, i64) = (300_000, 3_600_000);

/// What fraud a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fraud {
    None,
    /// Of a planted pattern.
    Planted,
    /// Of none.
    Ordinary,
}

/// A payment of which it will be said what it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    attempt: Attempt,
    is_fraud: bool,
}

impl Label {
    /// Whether a label follows `attempt`, and after how many milliseconds. Of payments of a planted pattern one always does, of
    /// others in so many cases as `labelled` says; with 0, never, and nothing is drawn.
    pub(super) fn of(
        attempt: Attempt,
        fraud: Fraud,
        labelled: f64,
        random: &mut Random,
    ) -> Option<(i64, Label)> {
        if labelled <= 0.0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a thousand")]
        let per_mille = (labelled * 1_000.0).round() as u64;
        let follows = random.per_mille(per_mille) || fraud == Fraud::Planted;
        let after_ms = random.between(KNOWN_AFTER_MS.0, KNOWN_AFTER_MS.1);
        follows.then_some((after_ms, Label { attempt, is_fraud: fraud != Fraud::None }))
    }

    /// Of which part of the traffic it is.
    pub(super) fn part(&self) -> Part {
        let Attempt { payment, till, .. } = self.attempt;
        let channel = if till.is_some() { "store" } else { "online" };
        Part { channel, store: till.map(|(store, _)| store), payment: Some(payment), ..Part::ONLINE }
    }

    /// Writes the record.
    pub(super) fn write(&self, stage: &mut Stage<'_>) {
        let Attempt { payment, card, till, .. } = self.attempt;
        let json = stage.open_label(payment, card);
        json.raw(if self.is_fraud { "fraud" } else { "legitimate" }).raw("\"");
        if let Some((store, terminal)) = till {
            json.raw(",\"store_id\":\"store-").padded(store, 3);
            json.raw("\",\"terminal_id\":\"store-").padded(store, 3).raw("-t").padded(terminal, 1).raw("\"");
        }
        json.raw("}");
    }
}
