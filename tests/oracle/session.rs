//! What a session says, computed from the list of all its clicks.

use super::Place;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tillstream::event::ClickName;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const CATEGORIES_MAX: usize = 64;
const CART_MAX: usize = 100;
const LAST_ITEMS_MAX: usize = 20;

/// A click as a session keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Click {
    pub time: i64,
    /// XXH3 of the event id: the order among clicks of one time.
    pub order: u64,
    pub name: ClickName,
    pub customer: Option<String>,
    pub device: Option<String>,
    pub page: Option<String>,
    /// Source, medium, name.
    pub campaign: Option<[Option<String>; 3]>,
    pub currency: Option<String>,
    pub value: Option<i64>,
    /// The order that a purchase names, and whether the shop says so itself.
    pub purchase: Option<(u64, bool)>,
    pub items: Vec<Item>,
    /// It happened at a till: the session has it, and is no longer for it.
    pub at_till: bool,
    /// The raw record that says so, where it is known.
    pub told_at: Option<Place>,
}

/// An item of a click.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub item: String,
    pub category: Option<String>,
    pub price: Option<i64>,
    pub quantity: u32,
}

/// The order of clicks of one time.
#[must_use]
pub fn order(event_id: &str) -> u64 {
    xxh3_64(event_id.as_bytes())
}

/// The id of the session of `visitor` that starts at `start`.
#[must_use]
pub fn session_id(visitor: &str, start: i64) -> String {
    let seed = u64::from_ne_bytes(start.to_ne_bytes());
    format!("{:016x}", xxh3_64_with_seed(visitor.as_bytes(), seed))
}

/// A record of `sessions` without `revision`, `supersedes` and `is_final`.
///
/// # Panics
///
/// If there is no click.
#[must_use]
pub fn session(visitor: &str, clicks: &[Click]) -> Map<String, Value> {
    let all = Clicks::of(clicks);
    let with = |name| all.named(&[name]);
    let outcome = if with(ClickName::Purchase) > 0 {
        "purchased"
    } else if with(ClickName::BeginCheckout) > 0 {
        "checkout_abandoned"
    } else if with(ClickName::AddToCart) > 0 {
        "cart_abandoned"
    } else if clicks.len() > 1 {
        "browsed"
    } else {
        "bounced"
    };
    object(json!({
        "visitor_id": visitor,
        "session_id": session_id(visitor, all.start()),
        "start_ms": all.start(),
        "end_ms": all.end(),
        "duration_ms": all.end() - all.start(),
        "customer_id": all.last(|click| click.customer.clone()),
        "device_id": all.last(|click| click.device.clone()),
        "events": clicks.len(),
        "page_views": with(ClickName::PageView),
        "item_views": with(ClickName::ViewItem),
        "searches": all.searches(),
        "cart_adds": with(ClickName::AddToCart),
        "cart_removes": with(ClickName::RemoveFromCart),
        "checkouts": with(ClickName::BeginCheckout),
        "purchases": with(ClickName::Purchase),
        "refunds": with(ClickName::Refund),
        "other_events": with(ClickName::Other),
        "revenue_minor": all.revenue(),
        "categories": all.categories(),
        "last_items": all.last_items(),
        "cart": all.cart(),
        "landing_page": all.first(|click| click.page.clone()),
        "exit_page": all.last(|click| click.page.clone()),
        "campaign": all.first(|click| click.campaign.clone()).map(
            |[source, medium, name]| json!({ "source": source, "medium": medium, "name": name }),
        ),
        "outcome": outcome,
    }))
}

/// A record of `features.session`.
///
/// # Panics
///
/// If there is no click.
#[must_use]
pub fn running(visitor: &str, clicks: &[Click]) -> Value {
    let all = Clicks::of(clicks);
    let with = |name| all.named(&[name]);
    json!({
        "visitor_id": visitor,
        "session_id": session_id(visitor, all.start()),
        "event_time_ms": all.end(),
        "depth": all.named(&[ClickName::PageView, ClickName::ViewItem]),
        "events": clicks.len(),
        "dwell_ms": all.end() - all.start(),
        "searches": all.searches(),
        "item_views": with(ClickName::ViewItem),
        "cart_adds": with(ClickName::AddToCart),
        "checkouts": with(ClickName::BeginCheckout),
        "purchases": with(ClickName::Purchase),
        "categories": all.categories(),
        "price_level": all.price_level(),
        "cart": all.cart(),
        "last_items": all.last_items(),
    })
}

/// The purchases online that count, of one order the one that is believed most: where the raw records stand that tell of them.
#[must_use]
pub fn purchases(clicks: &[Click]) -> Vec<Place> {
    let all = Clicks::of(clicks);
    let counted = all.0.iter().filter(|click| click.name == ClickName::Purchase && all.counts(click));
    counted.filter(|click| !click.at_till).filter_map(|click| click.told_at.clone()).collect()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

/// Clicks in the order of (time, hash of the event id).
struct Clicks<'a>(Vec<&'a Click>);

impl<'a> Clicks<'a> {
    fn of(clicks: &'a [Click]) -> Clicks<'a> {
        let mut sorted: Vec<&Click> = clicks.iter().collect();
        sorted.sort_by_key(|click| (click.time, click.order));
        Clicks(sorted)
    }

    fn start(&self) -> i64 {
        self.online().next().expect("a session has a click").time
    }

    fn end(&self) -> i64 {
        self.online().last().expect("a session has a click").time
    }

    fn online(&self) -> impl Iterator<Item = &&'a Click> {
        self.0.iter().filter(|click| !click.at_till)
    }

    fn first<T>(&self, of: impl Fn(&Click) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(|click| of(click))
    }

    fn last<T>(&self, of: impl Fn(&Click) -> Option<T>) -> Option<T> {
        self.0.iter().rev().find_map(|click| of(click))
    }

    fn named(&self, names: &[ClickName]) -> usize {
        self.0.iter().filter(|click| names.contains(&click.name) && self.counts(click)).count()
    }

    /// Whether it is not a purchase that is told of in another place which is believed more: the shop's own word, then what
    /// came first.
    fn counts(&self, click: &Click) -> bool {
        let Some((order, from_shop)) = click.purchase.filter(|_| click.name == ClickName::Purchase) else {
            return true;
        };
        let standing = |told: &Click, from_shop: bool| (!from_shop, told.time, told.order);
        !self.0.iter().any(|other| {
            other.name == ClickName::Purchase
                && other.purchase.is_some_and(|(id, by_shop)| {
                    id == order && standing(other, by_shop) < standing(click, from_shop)
                })
        })
    }

    fn searches(&self) -> usize {
        self.named(&[ClickName::Search, ClickName::ViewSearchResults])
    }

    fn touched(&self) -> impl Iterator<Item = (&'a Click, &'a Item)> {
        let touching = |name| {
            matches!(
                name,
                ClickName::SelectItem
                    | ClickName::ViewItem
                    | ClickName::AddToWishlist
                    | ClickName::AddToCart
                    | ClickName::RemoveFromCart
                    | ClickName::Purchase
            )
        };
        self.0
            .iter()
            .filter(move |click| touching(click.name))
            .flat_map(|click| click.items.iter().map(move |item| (*click, item)))
    }

    fn revenue(&self) -> BTreeMap<&'a str, i64> {
        let mut revenue = BTreeMap::new();
        for click in &self.0 {
            let sign = match click.name {
                ClickName::Purchase => 1,
                ClickName::Refund => -1,
                _ => continue,
            };
            if let (Some(currency), Some(value)) = (&click.currency, click.value)
                && self.counts(click)
            {
                *revenue.entry(currency.as_str()).or_default() += sign * value;
            }
        }
        revenue
    }

    fn categories(&self) -> BTreeMap<&'a str, u32> {
        let mut counts = BTreeMap::new();
        for (_, item) in self.touched().filter(|(click, _)| self.counts(click)) {
            if let Some(category) = &item.category {
                *counts.entry(category.as_str()).or_default() += 1;
            }
        }
        counts.into_iter().take(CATEGORIES_MAX).collect()
    }

    /// The limit is on the items that were ever put in, taken out or bought; only then those with
    /// something left are shown.
    fn cart(&self) -> BTreeMap<&'a str, i64> {
        let mut pieces: BTreeMap<&str, i64> = BTreeMap::new();
        for (click, item) in self.touched().filter(|(click, _)| self.counts(click)) {
            let sign = match click.name {
                ClickName::AddToCart => 1,
                ClickName::RemoveFromCart | ClickName::Purchase => -1,
                _ => continue,
            };
            *pieces.entry(&item.item).or_default() += sign * i64::from(item.quantity);
        }
        pieces.into_iter().take(CART_MAX).filter(|(_, left)| *left > 0).collect()
    }

    fn last_items(&self) -> Vec<&'a str> {
        let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
        for (click, item) in self.touched() {
            let time = newest.entry(&item.item).or_insert(click.time);
            *time = click.time.max(*time);
        }
        let mut items: Vec<(&str, i64)> = newest.into_iter().collect();
        items.sort_by_key(|(item, time)| (std::cmp::Reverse(*time), *item));
        items.into_iter().take(LAST_ITEMS_MAX).map(|(item, _)| item).collect()
    }

    fn price_level(&self) -> Option<Value> {
        let prices: Vec<i64> = self
            .touched()
            .filter(|(click, _)| click.name == ClickName::ViewItem)
            .filter_map(|(_, item)| item.price)
            .collect();
        let (min, max) = (prices.iter().min()?, prices.iter().max()?);
        let mean = prices.iter().sum::<i64>() as f64 / prices.len() as f64;
        Some(json!({ "mean_minor": mean, "min_minor": min, "max_minor": max }))
    }
}
