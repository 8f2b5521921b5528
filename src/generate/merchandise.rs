//! Changes of the catalogue: prices, stock, items that go and come back.

use super::catalogue::{Currency, Item, Level, Tariff};
use super::json::Json;
use super::record::{GeneratedRecord, RawTopic};
use super::stage::Stage;
use std::collections::VecDeque;

/// One change per so many records, about.
const RECORDS_PER_CHANGE: f64 = 1_000.0;

/// Changes that take an item away, in a thousand: half of them sell its last piece, half retire it.
const AWAY_PER_MILLE: u64 = 250;

/// Items that are away at the same time; then the one that went first comes back.
const AWAY_MAX: usize = 20;

/// From one item of a new price list to the next.
const PRICE_LIST_PACE_MS: i64 = 20;

/// Pieces of an item as the shop opens.
const FIRST_STOCK: i64 = 200;

/// The record of an item as the shop opens, with its prices at that level.
pub(super) fn listed(item: &Item, level: Level, start_ms: i64) -> GeneratedRecord {
    let mut value = Json::default();
    value.raw("{\"event_time_ms\":").number(start_ms);
    describe(&mut value, item, item.price_minor(euros(level)), FIRST_STOCK, true);
    GeneratedRecord {
        topic: RawTopic::Catalogue,
        timestamp_ms: start_ms,
        source: RawTopic::Catalogue.producer(false),
        key: item.sku.clone(),
        value: value.as_bytes().to_vec(),
    }
}

fn euros(level: Level) -> Tariff {
    Tariff { currency: Currency::Eur, level }
}

/// Closes a record of the catalogue.
fn describe(json: &mut Json, item: &Item, price_minor: i64, stock: i64, is_active: bool) {
    json.raw(",").raw(&item.listed).raw(",\"currency\":\"EUR\",\"price_minor\":").number(price_minor);
    json.raw(",\"stock\":").number(stock);
    json.raw(if is_active { ",\"is_active\":true}" } else { ",\"is_active\":false}" });
}

/// Whoever tends the catalogue.
#[derive(Debug)]
pub(super) struct Merchandise {
    /// Milliseconds from one change to the next, on average.
    pace_ms: i64,
    away: VecDeque<usize>,
}

impl Merchandise {
    /// At so many records of the stream per second.
    pub(super) fn new(events_per_second: f64) -> Merchandise {
        #[expect(clippy::cast_possible_truncation, reason = "a span of time, checked with the settings")]
        let pace_ms = (RECORDS_PER_CHANGE * 1_000.0 / events_per_second) as i64;
        Merchandise { pace_ms: pace_ms.max(2), away: VecDeque::new() }
    }

    /// Writes the next change. Returns after how many milliseconds another follows.
    pub(super) fn act(&mut self, stage: &mut Stage<'_>) -> Option<i64> {
        let shop = stage.shop;
        let back = if self.away.len() >= AWAY_MAX { self.away.pop_front() } else { None };
        let goes = back.is_none() && stage.random.per_mille(AWAY_PER_MILLE);
        let item = match back {
            Some(number) => shop.catalogue.item(number),
            None => shop.catalogue.popular(stage.random),
        };
        let retires = goes && stage.random.per_mille(500);
        let stock = if goes && !retires { 0 } else { stage.random.between(5, 400) };
        let on_sale = stage.random.per_mille(200);
        if goes {
            self.away.push_back(item.number);
        }
        let level = shop.changes.price_level(stage.now_ms);
        let price = item.price_minor(euros(level));
        let price = if on_sale { price * 4 / 5 } else { price };
        describe(stage.open_item(&item.sku), item, price, stock, !retires);
        Some(stage.random.between(self.pace_ms / 2, self.pace_ms * 3 / 2))
    }
}

/// Whoever writes all items anew when the shop's prices have changed.
#[derive(Debug, Default)]
pub(super) struct PriceList {
    next: usize,
}

impl PriceList {
    /// Writes the next item. An item that is away comes back with it. Returns after how many milliseconds another follows.
    pub(super) fn act(&mut self, stage: &mut Stage<'_>) -> Option<i64> {
        let shop = stage.shop;
        let item = shop.catalogue.item(self.next);
        let price = item.price_minor(euros(shop.changes.price_level(stage.now_ms)));
        describe(stage.open_item(&item.sku), item, price, FIRST_STOCK, true);
        self.next += 1;
        (self.next < shop.catalogue.len()).then_some(PRICE_LIST_PACE_MS)
    }
}
