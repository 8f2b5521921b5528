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
pub struct Figures {
    /// Visitors of whom an event came.
    pub visitors: u64,
    /// Sessions that ended: whose gap after the last event passed in it.
    pub ended: u64,
    /// Of these, those that looked at an item or went further.
    pub viewed: u64,
    /// That put one into the cart or went further.
    pub carted: u64,
    /// That began a checkout or went further.
    pub checked_out: u64,
    /// That bought something.
    pub purchased: u64,
    /// That had come as far as the cart, and bought nothing.
    pub abandoned: u64,
    /// Orders, and transactions of tills that sold something.
    pub baskets: u64,
    /// Pieces in them.
    pub items: u64,
    /// What they were worth, in minor units by currency.
    pub revenue_minor: BTreeMap<Box<str>, i64>,
    /// Refunds, and transactions of tills that paid something back.
    pub refunds: u64,
    /// What was paid back, in minor units by currency.
    pub refunded_minor: BTreeMap<Box<str>, i64>,
    /// Lists of recommendations that were shown.
    pub recommended: u64,
    /// Items that were clicked in them.
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
