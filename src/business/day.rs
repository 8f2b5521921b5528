//! What a day of a store says of its transactions, independent of the order in which they came.
//!
//! Every part is a commutative, associative sum, or the first and last of times. Money is summed apart as sold,
//! returned and taken off, each without a sign, so that even sums at the limit do not depend on order. Bounded: 32
//! currencies.

use crate::event::BasketCopy;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Currencies in which a day's money is summed: the first in the order of the alphabet.
pub const CURRENCIES_MAX: usize = 32;

/// What a day says of its transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreDay {
    /// Transactions that count, see [`Kind::Basket`].
    pub baskets: u64,
    /// Of these, those in which money was paid back for an item.
    pub returns: u64,
    /// Of these, those rung up while the till had no connection.
    pub offline: u64,
    /// Pieces sold.
    pub items_sold: u64,
    /// Pieces returned.
    pub items_returned: u64,
    /// Lines with a coupon.
    pub coupons: u64,
    /// Transactions that were cancelled.
    pub voids: u64,
    /// Transactions of tills in training mode.
    pub trainings: u64,
    /// The money of the baskets by currency.
    pub money: BTreeMap<Box<str>, Money>,
    /// When the first basket ended.
    pub first: Option<EventTime>,
    /// When the last basket ended.
    pub last: Option<EventTime>,
}

/// Sums of money in minor units, each without a sign; at most `i64::MAX`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in BasketCopy")]
pub struct Money {
    pub sold_minor: i64,
    pub returned_minor: i64,
    pub discount_minor: i64,
}

/// What a transaction is to its day: the first of these that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The till was in training mode: counted, and nothing else of it.
    Training,
    /// It was cancelled before its end: counted, and nothing else of it.
    Void,
    /// It has at least one line that was not cancelled: it counts.
    Basket,
    /// Nothing in it was sold or returned: it counts nowhere.
    Nothing,
}

impl Kind {
    /// What this transaction is.
    #[must_use]
    pub fn of(basket: &BasketCopy<'_>) -> Kind {
        if basket.is_training {
            Kind::Training
        } else if basket.is_void {
            Kind::Void
        } else if basket.sold_items > 0 || basket.returned_items > 0 {
            // every line is of one piece at least
            Kind::Basket
        } else {
            Kind::Nothing
        }
    }
}

impl StoreDay {
    /// Adds a transaction that ended at `time`.
    pub fn add(&mut self, basket: &BasketCopy<'_>, time: EventTime) {
        match Kind::of(basket) {
            Kind::Training => self.trainings += 1,
            Kind::Void => self.voids += 1,
            Kind::Basket => self.add_basket(basket, time),
            Kind::Nothing => {}
        }
    }

    fn add_basket(&mut self, basket: &BasketCopy<'_>, time: EventTime) {
        self.baskets += 1;
        self.returns += u64::from(basket.returned_minor > 0);
        self.offline += u64::from(basket.is_offline);
        self.items_sold += u64::from(basket.sold_items);
        self.items_returned += u64::from(basket.returned_items);
        self.coupons += u64::from(basket.coupons);
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = self.last.max(Some(time));
        match self.money.get_mut(basket.currency) {
            Some(money) => money.add(basket),
            None => self.add_currency(basket),
        }
    }

    /// A currency that falls out has as many before it in the alphabet for ever, so the rest is the same in whatever
    /// order transactions come.
    fn add_currency(&mut self, basket: &BasketCopy<'_>) {
        let mut money = Money::default();
        money.add(basket);
        self.money.insert(basket.currency.into(), money);
        if self.money.len() > CURRENCIES_MAX {
            self.money.pop_last();
        }
    }
}

impl Money {
    fn add(&mut self, basket: &BasketCopy<'_>) {
        self.sold_minor = self.sold_minor.saturating_add(basket.sold_minor);
        self.returned_minor = self.returned_minor.saturating_add(basket.returned_minor);
        self.discount_minor = self.discount_minor.saturating_add(basket.discount_minor);
    }

    /// What was paid less what was paid back.
    #[must_use]
    pub fn revenue_minor(self) -> i64 {
        self.sold_minor - self.returned_minor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALE: BasketCopy<'static> = BasketCopy {
        business_day: 20_458,
        currency: "EUR",
        is_void: false,
        is_training: false,
        is_offline: false,
        sold_minor: 1_000,
        returned_minor: 0,
        sold_items: 2,
        returned_items: 0,
        discount_minor: 50,
        coupons: 1,
    };

    fn day(transactions: &[(BasketCopy<'_>, i64)]) -> StoreDay {
        let mut day = StoreDay::default();
        transactions.iter().for_each(|(basket, time)| day.add(basket, EventTime(*time)));
        day
    }

    #[test]
    fn a_day_sums_its_baskets() {
        let returned = BasketCopy { returned_minor: 300, returned_items: 1, is_offline: true, ..SALE };
        let day = day(&[(SALE, 20), (returned, 10), (BasketCopy { currency: "USD", ..SALE }, 15)]);
        let euros = Money { sold_minor: 2_000, returned_minor: 300, discount_minor: 100 };
        assert_eq!((day.baskets, day.returns, day.offline, day.coupons), (3, 1, 1, 3));
        assert_eq!((day.items_sold, day.items_returned), (6, 1));
        assert_eq!((day.first, day.last), (Some(EventTime(10)), Some(EventTime(20))));
        assert_eq!((day.money["EUR"], day.money["EUR"].revenue_minor()), (euros, 1_700));
        assert_eq!(day.money["USD"].revenue_minor(), 1_000);
    }

    #[test]
    fn of_voids_and_trainings_nothing_is_kept_but_their_number() {
        let training = BasketCopy { is_training: true, is_void: true, is_offline: true, ..SALE };
        let day = day(&[(BasketCopy { is_void: true, ..SALE }, 1), (training, 2)]);
        assert_eq!(day, StoreDay { voids: 1, trainings: 1, ..StoreDay::default() });
    }

    #[test]
    fn a_transaction_without_a_line_that_counts_is_no_basket() {
        let nothing = BasketCopy { sold_minor: 0, sold_items: 0, discount_minor: 0, coupons: 0, ..SALE };
        assert_eq!(day(&[(nothing, 1)]), StoreDay::default());
        let gift = BasketCopy { sold_items: 1, ..nothing };
        assert_eq!(day(&[(gift, 1)]).baskets, 1, "a line that costs nothing counts");
    }

    #[test]
    fn an_item_returned_for_nothing_is_no_return() {
        let swap = BasketCopy { returned_items: 1, ..SALE };
        let day = day(&[(swap, 1), (BasketCopy { returned_minor: 1, ..swap }, 1)]);
        assert_eq!((day.returns, day.items_returned), (1, 2));
    }

    #[test]
    fn currencies_beyond_the_bound_are_left_out_in_whatever_order_they_come() {
        let mut names: Vec<String> =
            ('A'..='Z').flat_map(|one| [format!("A{one}A"), format!("B{one}B")]).collect();
        let of = |names: &[String]| {
            let mut day = StoreDay::default();
            names.iter().for_each(|name| day.add(&BasketCopy { currency: name, ..SALE }, EventTime(1)));
            day
        };
        let forth = of(&names);
        names.reverse();
        let back = of(&names);
        assert_eq!(forth, back);
        assert_eq!((forth.money.len(), forth.baskets), (CURRENCIES_MAX, 52));
    }

    #[test]
    fn sums_at_the_limit_stay_there() {
        let large = BasketCopy { sold_minor: i64::MAX, returned_minor: i64::MAX, ..SALE };
        let day = day(&[(large, 1), (SALE, 1), (large, 1)]);
        assert_eq!(day.money["EUR"].sold_minor, i64::MAX);
        assert_eq!(day.money["EUR"].revenue_minor(), 0);
    }
}
