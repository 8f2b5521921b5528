//! What a running session will come to: a purchase, or a cart that is left; learned online from how sessions end.
//!
//! Two logistic regressions by FTRL-Proximal over bucketised counts of the session as it stood at some moments of it. What was
//! said at those moments is judged before it is learned from (prequential).

use crate::ftrl::{Learner, Learning, Token};
use crate::time::EventTime;

/// Moments of one session that are learned from, at most.
pub const MOMENTS_MAX: usize = 6;
/// From so many sessions on, and so many purchases among them, something is said.
const SESSIONS_LEAST: u64 = 500;
const PURCHASES_LEAST: u64 = 50;
/// Weight of the newest moment in the mean of losses: the last thousand count.
const NEWEST: f64 = 0.001;
const LEARNING: Learning = Learning { alpha: 0.1, beta: 1.0, l1: 0.0, l2: 0.1 };

/// A session as it stood at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Its newest event.
    pub time: EventTime,
    /// Events of any name.
    pub events: u32,
    /// `page_view` and `view_item` events.
    pub depth: u32,
    /// From the first to the newest event.
    pub dwell_ms: i64,
    /// Searches.
    pub searches: u32,
    /// `add_to_cart` events.
    pub cart_adds: u32,
    /// Pieces in the cart.
    pub cart_pieces: u32,
    /// `begin_checkout` events.
    pub checkouts: u32,
    /// `purchase` events.
    pub purchases: u32,
}

impl Moment {
    /// Whether a session that stood like `before` is worth looking at again: it has twice as many events, or something is in the
    /// cart or at the checkout that was not.
    #[must_use]
    pub fn is_a_step_from(&self, before: &Moment) -> bool {
        self.events >= 2 * before.events
            || (self.cart_pieces > 0) != (before.cart_pieces > 0)
            || self.checkouts > before.checkouts
    }

    /// What is there of a session: each count by its power of two, and two pairs of them.
    fn tokens(&self) -> [Token; 9] {
        let bucket = |value: u64| 64 - value.leading_zeros();
        let seconds = self.dwell_ms.max(0).unsigned_abs() / 1_000;
        let [depth, dwell, cart, checkouts] =
            [self.depth.into(), seconds, self.cart_pieces.into(), self.checkouts.into()].map(bucket);
        let token = |input: u32, bucket: u32| input << 16 | bucket;
        [
            token(0, bucket(self.events.into())),
            token(1, depth),
            token(2, dwell),
            token(3, bucket(self.searches.into())),
            token(4, bucket(self.cart_adds.into())),
            token(5, cart),
            token(6, checkouts),
            token(7, cart << 8 | checkouts),
            token(8, depth << 8 | dwell),
        ]
    }
}

/// How probable it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Intent {
    /// That the session ends with a purchase (one more, if there was one); none while too little was learned.
    pub purchase: Option<f64>,
    /// That what is in the cart is left there; none without a cart, or while too little was learned.
    pub abandonment: Option<f64>,
}

/// How much was learned, and how well it says it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntentQuality {
    /// Sessions that ended.
    pub sessions: u64,
    /// Of these, with a purchase.
    pub purchases: u64,
    /// Mean of −ln of what was said of purchases that came or did not, over about the last thousand moments.
    pub log_loss: f64,
    /// The same of one who says the rate of purchases each time.
    pub log_loss_of_rate: f64,
}

/// Learns from sessions as they end.
#[derive(Debug)]
pub struct IntentModel {
    purchase: Learner,
    abandonment: Learner,
    quality: IntentQuality,
    moments: f64,
    moments_with_purchase: f64,
}

impl Default for IntentModel {
    fn default() -> IntentModel {
        let quality = IntentQuality { sessions: 0, purchases: 0, log_loss: 0.0, log_loss_of_rate: 0.0 };
        IntentModel {
            purchase: Learner::new(LEARNING),
            abandonment: Learner::new(LEARNING),
            quality,
            moments: 0.0,
            moments_with_purchase: 0.0,
        }
    }
}

impl IntentModel {
    /// What a session will come to that stands so.
    #[must_use]
    pub fn intent(&self, moment: &Moment) -> Intent {
        let knows = self.quality.sessions >= SESSIONS_LEAST && self.quality.purchases >= PURCHASES_LEAST;
        let tokens = moment.tokens();
        Intent {
            purchase: knows.then(|| self.purchase.score(&tokens)),
            abandonment: (knows && moment.cart_pieces > 0).then(|| self.abandonment.score(&tokens)),
        }
    }

    /// A session has ended with so many purchases; it stood so at some moments.
    pub fn ended(&mut self, moments: &[Moment], purchases: u32) {
        self.quality.sessions += 1;
        self.quality.purchases += u64::from(purchases > 0);
        for moment in moments {
            let bought = purchases > moment.purchases;
            let tokens = moment.tokens();
            self.judge(self.purchase.score(&tokens), bought);
            self.purchase.learn(&tokens, bought);
            if moment.cart_pieces > 0 {
                self.abandonment.learn(&tokens, !bought);
            }
        }
    }

    fn judge(&mut self, said: f64, bought: bool) {
        let rate = (self.moments_with_purchase + 1.0) / (self.moments + 2.0);
        let loss = |said: f64| -(if bought { said } else { 1.0 - said }).ln();
        let newest = (1.0 / (self.moments + 1.0)).max(NEWEST);
        self.quality.log_loss += newest * (loss(said) - self.quality.log_loss);
        self.quality.log_loss_of_rate += newest * (loss(rate) - self.quality.log_loss_of_rate);
        self.moments += 1.0;
        self.moments_with_purchase += f64::from(u8::from(bought));
    }

    /// How much was learned, and how well it says it.
    #[must_use]
    pub fn quality(&self) -> IntentQuality {
        self.quality
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::random::Random;

    fn moment(events: u32, cart_pieces: u32, checkouts: u32) -> Moment {
        Moment {
            time: EventTime(0),
            events,
            depth: events,
            dwell_ms: 1_000 * i64::from(events),
            searches: 0,
            cart_adds: cart_pieces,
            cart_pieces,
            checkouts,
            purchases: 0,
        }
    }

    /// One of fifty sessions without a cart ends with a purchase, one of five with one, and four of five at the checkout.
    fn learned(sessions: u32) -> IntentModel {
        let (mut model, mut random) = (IntentModel::default(), Random::new(1));
        for number in 0..sessions {
            let (stood, one_in) = match number % 3 {
                0 => (moment(3, 0, 0), random.below(50) == 0),
                1 => (moment(6, 2, 0), random.below(5) == 0),
                _ => (moment(8, 2, 1), random.below(5) != 0),
            };
            model.ended(&[moment(1, 0, 0), stood], u32::from(one_in));
        }
        model
    }

    #[test]
    fn nothing_is_said_before_enough_sessions_have_ended() {
        let silent = Intent { purchase: None, abandonment: None };
        assert_eq!(IntentModel::default().intent(&moment(8, 2, 1)), silent);
        assert_eq!(learned(400).intent(&moment(8, 2, 1)), silent);
        assert_eq!(learned(2_000).intent(&moment(3, 0, 0)).abandonment, None, "there is no cart to leave");
    }

    #[test]
    fn what_is_said_comes_near_to_how_sessions_end() {
        let model = learned(30_000);
        for (stood, expected) in [(moment(3, 0, 0), 0.02), (moment(6, 2, 0), 0.2), (moment(8, 2, 1), 0.8)] {
            let said = model.intent(&stood).purchase.expect("enough was learned");
            assert!((said - expected).abs() < 0.05, "{said} of {expected}");
            if let Some(left) = model.intent(&stood).abandonment {
                assert!((left - (1.0 - expected)).abs() < 0.05, "{left} of {}", 1.0 - expected);
            }
        }
        let quality = model.quality();
        assert!(quality.log_loss < 0.85 * quality.log_loss_of_rate, "{quality:?}");
    }

    #[test]
    fn a_session_is_looked_at_again_when_it_has_doubled_or_its_cart_has_changed() {
        assert!(moment(4, 0, 0).is_a_step_from(&moment(2, 0, 0)));
        assert!(!moment(3, 0, 0).is_a_step_from(&moment(2, 0, 0)));
        assert!(moment(3, 1, 0).is_a_step_from(&moment(2, 0, 0)));
        assert!(moment(3, 1, 1).is_a_step_from(&moment(3, 1, 0)));
    }
}
