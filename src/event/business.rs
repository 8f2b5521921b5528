//! What the shop did in a minute, on its way from those who see parts of it to whoever puts them together.

use crate::money::add_money;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The length of a minute of the shop.
pub const MINUTE: Duration = Duration::from_secs(60);
/// The channel of clicks, sessions and orders.
pub const ONLINE: &str = "online";
/// The channel of tills.
pub const STORE: &str = "store";
/// Items of a list of this id were recommended (`item_list_id` of a click's items).
pub const RECOMMENDED_LIST: &str = "recommendations";

/// Where something happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShopPlace {
    /// [`ONLINE`] or [`STORE`].
    pub channel: Box<str>,
    /// The store, at a till.
    pub store: Option<Box<str>>,
}

/// Counts and sums of a minute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in BusinessMinute")]
pub struct Figures {
    pub visitors: u64,
    pub ended: u64,
    pub viewed: u64,
    pub carted: u64,
    pub checked_out: u64,
    pub purchased: u64,
    pub abandoned: u64,
    pub baskets: u64,
    /// Of these, by the currency they were paid in.
    pub baskets_in: BTreeMap<Box<str>, u64>,
    pub items: u64,
    pub revenue_minor: BTreeMap<Box<str>, i64>,
    pub refunds: u64,
    pub refunded_minor: BTreeMap<Box<str>, i64>,
    pub recommended: u64,
    pub recommended_clicked: u64,
}

impl Figures {
    /// Adds those of another part.
    pub fn add(&mut self, other: &Figures) {
        let Figures {
            visitors,
            ended,
            viewed,
            carted,
            checked_out,
            purchased,
            abandoned,
            baskets,
            baskets_in,
            items,
            revenue_minor,
            refunds,
            refunded_minor,
            recommended,
            recommended_clicked,
        } = other;
        self.visitors += visitors;
        self.ended += ended;
        self.viewed += viewed;
        self.carted += carted;
        self.checked_out += checked_out;
        self.purchased += purchased;
        self.abandoned += abandoned;
        self.baskets += baskets;
        for (currency, baskets) in baskets_in {
            self.count_baskets(currency, *baskets);
        }
        self.items += items;
        revenue_minor
            .iter()
            .for_each(|(currency, minor)| add_money(&mut self.revenue_minor, currency, *minor));
        self.refunds += refunds;
        refunded_minor
            .iter()
            .for_each(|(currency, minor)| add_money(&mut self.refunded_minor, currency, *minor));
        self.recommended += recommended;
        self.recommended_clicked += recommended_clicked;
    }
}

impl Figures {
    /// Counts baskets that were paid in a currency.
    pub fn count_baskets(&mut self, currency: &str, baskets: u64) {
        match self.baskets_in.get_mut(currency) {
            Some(sum) => *sum += baskets,
            None => drop(self.baskets_in.insert(currency.into(), baskets)),
        }
    }
}

/// What one of those who see parts saw of a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinutePart {
    /// The beginning of the minute.
    pub start: EventTime,
    /// Where.
    pub place: ShopPlace,
    /// How much.
    pub figures: Figures,
}
