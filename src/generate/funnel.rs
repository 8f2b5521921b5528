//! The way through the shop as a Markov chain: which step may follow which, and after how long.
//!
//! About one visit in 33 ends with a purchase; the average one has five clicks.

use super::oddity::Nature;
use super::random::Random;

/// What the visitor does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Land,
    ReadPage,
    ViewPromotion,
    SelectPromotion,
    ViewList,
    SelectItem,
    /// Views the item that was selected in a list.
    ViewSelected,
    ViewItem,
    Search,
    ViewResults,
    AddToWishlist,
    AddToCart,
    ViewCart,
    RemoveFromCart,
    BeginCheckout,
    Login,
    AddShipping,
    AddPayment,
    Attempt,
    Result,
    Purchase,
    Leave,
}

/// What besides the last step decides the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Situation {
    /// Nothing is in the cart (any more).
    pub(super) cart_is_empty: bool,
    /// The visitor is a customer who has not signed in.
    pub(super) may_sign_in: bool,
    /// The payment was approved.
    pub(super) is_approved: bool,
    /// The visitor would try to pay once more.
    pub(super) may_try_again: bool,
}

/// No pause within a visit is longer: visits are told apart by a gap of 30 minutes.
const PAUSE_MS_MAX: i64 = 20 * 60_000;

impl Step {
    /// What the step's record is, as far as it decides what may happen to it.
    pub(super) fn nature(self) -> Nature {
        use Step::*;
        match self {
            Attempt | Result => Nature::Paying,
            Land | ReadPage | ViewPromotion | SelectPromotion | ViewList | SelectItem | ViewSelected
            | ViewItem | ViewResults => Nature::Browsing,
            _ => Nature::Buying,
        }
    }

    /// The steps that may follow this one, with their weights in a thousand.
    pub(super) fn choices(self, situation: Situation) -> &'static [(Step, u64)] {
        use Step::*;
        match self {
            Land => &[
                (Leave, 300),
                (ViewList, 240),
                (Search, 160),
                (ViewItem, 210),
                (ReadPage, 50),
                (ViewPromotion, 40),
            ],
            ReadPage => &[(Leave, 350), (ViewList, 300), (Search, 100), (ViewItem, 250)],
            ViewPromotion => &[(Leave, 200), (SelectPromotion, 350), (ViewList, 250), (ViewItem, 200)],
            SelectPromotion => &[(Leave, 150), (ViewList, 850)],
            ViewList => &[(Leave, 170), (ViewList, 130), (SelectItem, 330), (ViewItem, 280), (Search, 90)],
            SelectItem => &[(ViewSelected, 1_000)],
            ViewSelected | ViewItem => &[
                (Leave, 210),
                (ViewItem, 300),
                (ViewList, 190),
                (Search, 80),
                (ReadPage, 40),
                (AddToWishlist, 30),
                (AddToCart, 150),
            ],
            Search => &[(ViewResults, 1_000)],
            ViewResults => &[(Leave, 180), (ViewItem, 540), (Search, 130), (ViewList, 150)],
            AddToWishlist => &[(Leave, 250), (ViewItem, 450), (ViewList, 300)],
            AddToCart => &[(Leave, 190), (ViewItem, 270), (ViewList, 140), (ViewCart, 400)],
            ViewCart => &[(Leave, 250), (RemoveFromCart, 80), (ViewItem, 130), (BeginCheckout, 540)],
            RemoveFromCart if situation.cart_is_empty => &[(Leave, 550), (ViewItem, 450)],
            RemoveFromCart => &[(Leave, 350), (ViewItem, 250), (ViewCart, 400)],
            BeginCheckout if situation.may_sign_in => &[(Leave, 220), (Login, 780)],
            BeginCheckout => &[(Leave, 220), (AddShipping, 780)],
            Login => &[(Leave, 40), (AddShipping, 960)],
            AddShipping => &[(Leave, 120), (AddPayment, 880)],
            AddPayment => &[(Leave, 80), (Attempt, 920)],
            Attempt => &[(Result, 1_000)],
            Result if situation.is_approved => &[(Purchase, 1_000)],
            Result if situation.may_try_again => &[(Leave, 400), (Attempt, 600)],
            Result => &[(Leave, 1_000)],
            Purchase => &[(Leave, 750), (ReadPage, 250)],
            Leave => &[(Leave, 1_000)],
        }
    }

    /// Milliseconds until this step: at least 300 (see `oddity.rs`), at most 20 minutes.
    pub(super) fn pause_before_ms(self, random: &mut Random) -> i64 {
        match self {
            Step::ViewResults | Step::ViewSelected => random.between(300, 1_200),
            Step::Result => random.between(400, 2_500),
            Step::Purchase => random.between(300, 1_000),
            Step::AddToCart | Step::AddToWishlist => random.exponential_ms(1_500, 12_000),
            // Now and then the telephone rings.
            _ if random.per_mille(60) => random.exponential_ms(10_000, 180_000),
            _ => random.exponential_ms(1_000, 22_000),
        }
        .min(PAUSE_MS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 22] = [
        Step::Land,
        Step::ReadPage,
        Step::ViewPromotion,
        Step::SelectPromotion,
        Step::ViewList,
        Step::SelectItem,
        Step::ViewSelected,
        Step::ViewItem,
        Step::Search,
        Step::ViewResults,
        Step::AddToWishlist,
        Step::AddToCart,
        Step::ViewCart,
        Step::RemoveFromCart,
        Step::BeginCheckout,
        Step::Login,
        Step::AddShipping,
        Step::AddPayment,
        Step::Attempt,
        Step::Result,
        Step::Purchase,
        Step::Leave,
    ];

    #[test]
    fn the_choices_of_every_step_sum_to_a_thousand() {
        for bits in 0..16 {
            let situation = Situation {
                cart_is_empty: bits & 1 != 0,
                may_sign_in: bits & 2 != 0,
                is_approved: bits & 4 != 0,
                may_try_again: bits & 8 != 0,
            };
            for step in STEPS {
                let sum: u64 = step.choices(situation).iter().map(|(_, weight)| weight).sum();
                assert_eq!(sum, 1_000, "{step:?} {situation:?}");
            }
        }
    }

    #[test]
    fn pauses_keep_the_order_of_clicks_and_the_visit_together() {
        let mut random = Random::new(2);
        for step in STEPS {
            for _ in 0..5_000 {
                let pause_ms = step.pause_before_ms(&mut random);
                assert!((300..=PAUSE_MS_MAX).contains(&pause_ms), "{step:?}");
            }
        }
    }
}
