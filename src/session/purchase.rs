//! Purchases of a session that say which order they are: one order counts once, however often it is told and by whom.

use super::facts::keep_first;
use crate::event::{ClickCopy, ORDER_ITEMS_MAX};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Orders of a session that are told apart: the first in the order of their hashes; beyond, not counted.
pub const ORDERS_MAX: usize = 64;

/// Purchases by the hash of the order's id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchases(BTreeMap<u64, Purchase>);

/// What was told of an order. The least of all that is told counts: what the shop says itself before what a browser says, then
/// the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Purchase {
    is_click: bool,
    at: (EventTime, u64),
    /// Currency and value in its minor units, where both are told.
    pub value: Option<(Box<str>, i64)>,
    /// Its items.
    pub items: Vec<Bought>,
}

/// An item of an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in a click")]
pub struct Bought {
    pub item: Box<str>,
    pub category: Option<Box<str>>,
    pub pieces: u32,
}

impl Purchases {
    /// Something was told of the order with this hash.
    pub fn add(&mut self, order: u64, purchase: Purchase) {
        match self.0.get_mut(&order) {
            Some(known) if *known <= purchase => {}
            Some(known) => *known = purchase,
            None => {
                self.0.insert(order, purchase);
                keep_first(&mut self.0, ORDERS_MAX);
            }
        }
    }

    /// Adds those of another part of the same session.
    pub fn merge(&mut self, other: Purchases) {
        for (order, purchase) in other.0 {
            self.add(order, purchase);
        }
    }

    /// How many orders.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Each order.
    pub fn iter(&self) -> impl Iterator<Item = &Purchase> {
        self.0.values()
    }

    /// Each item of each order.
    pub fn items(&self) -> impl Iterator<Item = &Bought> {
        self.iter().flat_map(|purchase| &purchase.items)
    }
}

impl Purchase {
    /// What a purchase says; `at` is when, and the tie.
    #[must_use]
    pub fn of(purchase: &ClickCopy<'_>, is_click: bool, at: (EventTime, u64)) -> Purchase {
        let value =
            purchase.currency.zip(purchase.value_minor).map(|(currency, value)| (currency.into(), value));
        let items = purchase.items.iter().take(ORDER_ITEMS_MAX).map(|item| Bought {
            item: item.item.into(),
            category: item.category.map(Into::into),
            pieces: item.quantity,
        });
        Purchase { is_click, at, value, items: items.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Facts;
    use super::super::operator::{ClickInput, Teller};
    use super::*;
    use crate::event::{ClickName, ItemRef};

    /// Time, event id, whether the shop says so, order, value and pieces of `i`.
    type Told = (i64, &'static str, bool, Option<u64>, i64, u32);

    fn facts(told: &[Told]) -> Facts {
        let mut facts = Facts::default();
        for (time, event_id, is_order, order, value, quantity) in told {
            let item = ItemRef { item: "i", category: Some("c"), price_minor: None, quantity: *quantity };
            let click = ClickCopy {
                currency: Some("EUR"),
                value_minor: Some(*value),
                order: *order,
                items: vec![item],
                ..ClickCopy::named(ClickName::Purchase)
            };
            let time = EventTime(*time);
            let told_by = if *is_order { Teller::Shop } else { Teller::Browser };
            facts.add(&ClickInput { time, event_id, told_by, click: &click });
        }
        facts
    }

    /// Value and pieces of each order.
    fn counted(facts: &Facts) -> Vec<(i64, u32)> {
        let value = |purchase: &Purchase| purchase.value.as_ref().map_or(0, |(_, value)| *value);
        facts.orders.iter().map(|purchase| (value(purchase), purchase.items[0].pieces)).collect()
    }

    const CLICK: Told = (1, "a", false, Some(7), 10, 1);
    const CLICK_AGAIN: Told = (2, "b", false, Some(7), 20, 2);
    const ORDER: Told = (3, "c", true, Some(7), 30, 3);

    #[test]
    fn an_order_counts_once_and_as_the_shop_says_itself_in_whatever_order_it_is_told() {
        for told in [[CLICK, CLICK_AGAIN, ORDER], [ORDER, CLICK_AGAIN, CLICK], [CLICK_AGAIN, ORDER, CLICK]] {
            assert_eq!(counted(&facts(&told)), [(30, 3)]);
            let mut merged = facts(&told[..1]);
            merged.merge(facts(&told[1..]));
            assert_eq!(merged, facts(&told));
        }
    }

    #[test]
    fn a_page_of_thanks_that_is_loaded_again_is_the_purchase_that_it_was() {
        assert_eq!(counted(&facts(&[CLICK_AGAIN, CLICK])), [(10, 1)]);
    }

    #[test]
    fn purchases_of_other_orders_and_of_none_are_others() {
        let other = (2, "b", false, Some(8), 20, 2);
        let unnamed = (2, "d", false, None, 40, 1);
        let facts = facts(&[CLICK, other, unnamed, unnamed]);
        assert_eq!(counted(&facts), [(10, 1), (20, 2)]);
        assert_eq!((facts.counts.purchases, facts.counts.events), (2, 4));
        assert_eq!(facts.revenue_minor["EUR"], 80);
    }

    #[test]
    fn of_too_many_orders_the_same_are_kept_in_whatever_order_they_come() {
        let many = u64::try_from(ORDERS_MAX).unwrap() + 3;
        let told: Vec<Told> = (0..many).map(|order| (1, "a", true, Some(order), 1, 1)).collect();
        let backwards: Vec<Told> = told.iter().rev().copied().collect();
        assert_eq!(facts(&told).orders.count(), 64);
        assert_eq!(facts(&told).orders, facts(&backwards).orders);
    }
}
