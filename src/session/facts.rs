//! What a session says of its clicks, independent of the order in which they came.
//!
//! Every part is a commutative, associative sum: of counts, of the first or last by (time, event id),
//! of the most recent distinct items, of the orders by their ids. Bounded: 20 items, 64 categories, 100 items in the cart, 64 orders of 20 items.

#![expect(clippy::indexing_slicing, reason = "places come from a search in the same list")]

use super::operator::{ClickInput, Teller};
use super::purchase::{Purchase, Purchases};
use crate::event::{ClickCopy, ClickName, ItemRef};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// Distinct items that are remembered, newest first.
pub const LAST_ITEMS_MAX: usize = 20;
/// Categories that are counted: the first in the order of the alphabet.
pub const CATEGORIES_MAX: usize = 64;
/// Items of which the number in the cart is kept: the first in the order of the alphabet.
pub const CART_ITEMS_MAX: usize = 100;

/// A value with the time of the event that set it, and a hash of the event's id for ties.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamped<T> {
    /// When.
    pub time: EventTime,
    /// XXH3, 64 bits, of the event's id: decides between events of the same time.
    pub tie: u64,
    /// What.
    pub value: T,
}

/// Campaign source, medium and name.
pub type CampaignNames = (Option<Box<str>>, Option<Box<str>>, Option<Box<str>>);

/// The counts of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in SessionRecord")]
pub struct Counts {
    pub events: u32,
    pub page_views: u32,
    pub item_views: u32,
    pub searches: u32,
    pub cart_adds: u32,
    pub cart_removes: u32,
    pub checkouts: u32,
    pub purchases: u32,
    pub refunds: u32,
    pub other_events: u32,
}

/// Prices of viewed items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "count, sum, lowest, highest")]
pub struct Prices {
    pub views: u32,
    pub sum_minor: i64,
    pub min_minor: i64,
    pub max_minor: i64,
}

/// What a session says of its clicks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// How many of what.
    pub counts: Counts,
    /// Purchases less refunds by currency, but for [`Facts::orders`].
    pub revenue_minor: BTreeMap<Box<str>, i64>,
    /// Touches by category, but for [`Facts::orders`].
    pub categories: BTreeMap<Box<str>, u32>,
    /// Added less removed and purchased, by item, but for [`Facts::orders`]; may be below zero while events are missing.
    pub cart: BTreeMap<Box<str>, i64>,
    /// Purchases that say which order they are.
    pub orders: Purchases,
    /// Distinct touched items with the newest time of each; newest first, then by id.
    pub last_items: Vec<(EventTime, Box<str>)>,
    /// Prices of viewed items.
    pub prices: Option<Prices>,
    /// The latest known customer.
    pub customer: Option<Stamped<Box<str>>>,
    /// The latest known device.
    pub device: Option<Stamped<Box<str>>>,
    /// The first page.
    pub landing_page: Option<Stamped<Box<str>>>,
    /// The last page.
    pub exit_page: Option<Stamped<Box<str>>>,
    /// The first campaign.
    pub campaign: Option<Stamped<CampaignNames>>,
}

impl Facts {
    /// Adds a click, or an order or a purchase at a till as a purchase.
    pub fn add(&mut self, input: &ClickInput<'_>) {
        let ClickInput { time, event_id, told_by, click } = *input;
        let at = (time, xxh3_64(event_id.as_bytes()));
        self.counts.events += 1;
        match click.order.filter(|_| click.name == ClickName::Purchase) {
            Some(order) => {
                self.orders.add(order, Purchase::of(click, told_by == Teller::Browser, at));
                click.items.iter().for_each(|item| self.see_item(item.item, time));
            }
            None => self.add_plain(click, time),
        }
        set_last(&mut self.customer, click.customer, at);
        set_last(&mut self.device, click.device, at);
        set_last(&mut self.exit_page, click.page, at);
        if let Some(page) = click.page.filter(|_| is_first(&self.landing_page, at)) {
            self.landing_page = Some(stamped(at, page.into()));
        }
        if let Some((source, medium, name)) = click.campaign.filter(|_| is_first(&self.campaign, at)) {
            self.campaign =
                Some(stamped(at, (source.map(Into::into), medium.map(Into::into), name.map(Into::into))));
        }
    }

    /// Adds what another part of the same session says.
    pub fn merge(&mut self, other: Facts) {
        self.counts.merge(other.counts);
        for (currency, value) in other.revenue_minor {
            *self.revenue_minor.entry(currency).or_default() += value;
        }
        for (category, touches) in other.categories {
            *self.categories.entry(category).or_default() += touches;
        }
        keep_first(&mut self.categories, CATEGORIES_MAX);
        for (item, pieces) in other.cart {
            *self.cart.entry(item).or_default() += pieces;
        }
        keep_first(&mut self.cart, CART_ITEMS_MAX);
        self.orders.merge(other.orders);
        for (time, item) in other.last_items {
            self.see_item(&item, time);
        }
        self.prices = match (self.prices, other.prices) {
            (Some(ours), Some(theirs)) => Some(ours.merged(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        self.customer = later(self.customer.take(), other.customer);
        self.device = later(self.device.take(), other.device);
        self.exit_page = later(self.exit_page.take(), other.exit_page);
        self.landing_page = earlier(self.landing_page.take(), other.landing_page);
        self.campaign = earlier(self.campaign.take(), other.campaign);
    }

    /// Adds what need not be told apart from the rest.
    fn add_plain(&mut self, click: &ClickCopy<'_>, time: EventTime) {
        self.counts.add(click.name);
        self.add_revenue(click);
        if touches_items(click.name) {
            for item in &click.items {
                self.touch(item, click.name, time);
            }
        }
    }

    fn add_revenue(&mut self, click: &ClickCopy<'_>) {
        let sign = match click.name {
            ClickName::Purchase => 1,
            ClickName::Refund => -1,
            _ => return,
        };
        if let (Some(currency), Some(value)) = (click.currency, click.value_minor) {
            *self.revenue_minor.entry(currency.into()).or_default() += sign * value;
        }
    }

    fn touch(&mut self, item: &ItemRef<'_>, name: ClickName, time: EventTime) {
        if let Some(category) = item.category {
            match self.categories.get_mut(category) {
                Some(touches) => *touches += 1,
                None => {
                    self.categories.insert(category.into(), 1);
                    keep_first(&mut self.categories, CATEGORIES_MAX);
                }
            }
        }
        if name == ClickName::ViewItem
            && let Some(price) = item.price_minor
        {
            let one = Prices { views: 1, sum_minor: price, min_minor: price, max_minor: price };
            self.prices = Some(self.prices.map_or(one, |prices| prices.merged(one)));
        }
        let pieces = i64::from(item.quantity)
            * match name {
                ClickName::AddToCart => 1,
                ClickName::RemoveFromCart | ClickName::Purchase => -1,
                _ => 0,
            };
        if pieces != 0 {
            *self.cart.entry(item.item.into()).or_default() += pieces;
            keep_first(&mut self.cart, CART_ITEMS_MAX);
        }
        self.see_item(item.item, time);
    }

    /// Keeps the most recent distinct items. An item that falls off has as many newer ones above it for
    /// ever, so the list is the same in whatever order events come.
    fn see_item(&mut self, item: &str, time: EventTime) {
        if let Some(known) = self.last_items.iter().position(|(_, known)| **known == *item) {
            if self.last_items[known].0 >= time {
                return;
            }
            self.last_items.remove(known);
        }
        let place = self
            .last_items
            .partition_point(|(other, known)| *other > time || (*other == time && **known < *item));
        if place < LAST_ITEMS_MAX {
            self.last_items.truncate(LAST_ITEMS_MAX - 1);
            self.last_items.insert(place, (time, item.into()));
        }
    }
}

/// Whether the items of such an event were touched, and not only shown.
fn touches_items(name: ClickName) -> bool {
    matches!(
        name,
        ClickName::SelectItem
            | ClickName::ViewItem
            | ClickName::AddToWishlist
            | ClickName::AddToCart
            | ClickName::RemoveFromCart
            | ClickName::Purchase
    )
}

impl Counts {
    fn add(&mut self, name: ClickName) {
        match name {
            ClickName::PageView => self.page_views += 1,
            ClickName::ViewItem => self.item_views += 1,
            ClickName::Search | ClickName::ViewSearchResults => self.searches += 1,
            ClickName::AddToCart => self.cart_adds += 1,
            ClickName::RemoveFromCart => self.cart_removes += 1,
            ClickName::BeginCheckout => self.checkouts += 1,
            ClickName::Purchase => self.purchases += 1,
            ClickName::Refund => self.refunds += 1,
            ClickName::Other => self.other_events += 1,
            _ => {}
        }
    }

    fn merge(&mut self, other: Counts) {
        self.events += other.events;
        self.page_views += other.page_views;
        self.item_views += other.item_views;
        self.searches += other.searches;
        self.cart_adds += other.cart_adds;
        self.cart_removes += other.cart_removes;
        self.checkouts += other.checkouts;
        self.purchases += other.purchases;
        self.refunds += other.refunds;
        self.other_events += other.other_events;
    }
}

impl Prices {
    fn merged(self, other: Prices) -> Prices {
        Prices {
            views: self.views + other.views,
            sum_minor: self.sum_minor + other.sum_minor,
            min_minor: self.min_minor.min(other.min_minor),
            max_minor: self.max_minor.max(other.max_minor),
        }
    }
}

fn stamped<T>((time, tie): (EventTime, u64), value: T) -> Stamped<T> {
    Stamped { time, tie, value }
}

fn set_last(place: &mut Option<Stamped<Box<str>>>, value: Option<&str>, at: (EventTime, u64)) {
    let Some(value) = value else { return };
    match place {
        Some(last) if (last.time, last.tie) >= at => {}
        // most clicks repeat the customer, the device or the page: no new text for those
        Some(last) if *last.value == *value => (last.time, last.tie) = at,
        _ => *place = Some(stamped(at, value.into())),
    }
}

fn is_first<T>(place: &Option<Stamped<T>>, at: (EventTime, u64)) -> bool {
    place.as_ref().is_none_or(|first| at < (first.time, first.tie))
}

fn later<T: Ord>(one: Option<Stamped<T>>, other: Option<Stamped<T>>) -> Option<Stamped<T>> {
    one.max(other)
}

fn earlier<T: Ord>(one: Option<Stamped<T>>, other: Option<Stamped<T>>) -> Option<Stamped<T>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Keeps `max` entries: the first in the order of the keys, which are the same in whatever order they came.
pub(super) fn keep_first<K: Ord, V>(map: &mut BTreeMap<K, V>, max: usize) {
    while map.len() > max {
        map.pop_last();
    }
}
