//! Fraud without a planted pattern: payments of customers like any other, but for where they are.
//!
//! Which payments are fraud is drawn from what they are: mostly large ones, by night, online. So a score of amount, hour and channel
//! can be good, and where fraud moves it is good no longer. Nothing is written differently: only labels tell.

use super::change::{ChangeKind, Part};
use super::label::Fraud;
use super::random::Random;
use super::stage::{Attempt, Shop};

const HOUR_MS: i64 = 3_600_000;

/// From how many minor units on an amount is middling, and large.
const AMOUNTS_MINOR: (i64, i64) = (2_000, 15_000);

/// Where fraud is: how many times more of the payments are fraud.
struct Pattern {
    /// Small, middling and large amounts.
    amounts: [f64; 3],
    by_day: f64,
    by_night: f64,
    online: f64,
    in_store: f64,
    /// The mean of the product over all payments, measured.
    mean: f64,
}

/// Large amounts, by night, online.
const USUAL: Pattern = Pattern {
    amounts: [1.0, 3.0, 12.0],
    by_day: 1.0,
    by_night: 6.0,
    online: 4.0,
    in_store: 1.0,
    mean: 14.86,
};

/// Small amounts, by day, in stores.
const MOVED: Pattern = Pattern {
    amounts: [12.0, 3.0, 1.0],
    by_day: 4.0,
    by_night: 1.0,
    online: 1.0,
    in_store: 4.0,
    mean: 48.67,
};

/// Whether `attempt`, made at `now_ms` in `part`, is fraud where `share` of all payments are.
pub(super) fn fraud(attempt: &Attempt, part: &Part, now_ms: i64, share: f64, shop: &Shop) -> Fraud {
    if attempt.is_stolen {
        return Fraud::Planted;
    }
    if share <= 0.0 {
        return Fraud::None;
    }
    let mut moves = shop.changes.of_kind(ChangeKind::FraudMoves, now_ms);
    let has_moved = moves.any(|planted| {
        planted.concerns(part) && shop.dice_of(planted, attempt.payment).share(planted.change.strength())
    });
    let pattern = if has_moved { &MOVED } else { &USUAL };
    let share = share * shop.changes.fraud_rate(part, now_ms);
    let mut dice: Random = shop.fraud_dice(attempt.payment);
    let is_fraud = dice.share(share * pattern.weight(attempt, part, now_ms) / pattern.mean);
    if is_fraud { Fraud::Ordinary } else { Fraud::None }
}

impl Pattern {
    fn weight(&self, attempt: &Attempt, part: &Part, now_ms: i64) -> f64 {
        let [small, middling, large] = self.amounts;
        let of_amount = match attempt.amount_minor {
            amount if amount < AMOUNTS_MINOR.0 => small,
            amount if amount < AMOUNTS_MINOR.1 => middling,
            _ => large,
        };
        let hour = now_ms.div_euclid(HOUR_MS).rem_euclid(24);
        let of_hour = if (8..22).contains(&hour) { self.by_day } else { self.by_night };
        let of_channel = if part.channel == "store" { self.in_store } else { self.online };
        of_amount * of_hour * of_channel
    }
}
