//! What one partition sees of the shop, minute by minute of event time.
//!
//! Visitors, sessions and orders are placed by visitor and transactions of tills by store, so that each counts in one partition, and the sum over
//! partitions is that of the shop. Memory: 8 bytes per visitor and minute while a minute is open, a hundred per place.

use crate::event::business::{Figures, MINUTE, MinutePart, ONLINE, STORE, ShopPlace};
use crate::event::{BasketCopy, ClickCopy, ClickName};
use crate::money::add_money;
use crate::time::EventTime;
use crate::windows::OpenWindows;
use hashbrown::HashSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

/// The minutes that are open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minutes {
    open: OpenWindows<Minute>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Minute {
    online: Figures,
    stores: BTreeMap<Box<str>, Figures>,
    visitors: Visitors,
}

/// Hashes of those who were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Visitors(HashSet<u64, BuildHasherDefault<AsItIs>>);

impl Serialize for Visitors {
    /// In their order: the same set gives the same bytes.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sorted: Vec<u64> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        serializer.collect_seq(sorted)
    }
}

impl<'de> Deserialize<'de> for Visitors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Visitors, D::Error> {
        Ok(Visitors(Vec::<u64>::deserialize(deserializer)?.into_iter().collect()))
    }
}

/// A hash of what is a hash already.
#[derive(Debug, Clone, Copy, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// How far a session had come when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// It looked at an item.
    pub viewed: bool,
    /// It put one into the cart.
    pub carted: bool,
    /// It began a checkout.
    pub checked_out: bool,
    /// It bought something.
    pub purchased: bool,
}

/// Orders of a visitor's sessions: how many, and their value in minor units by currency.
pub type Bought = (u32, BTreeMap<Box<str>, i64>);

impl Minutes {
    /// Something came of a visitor.
    pub fn add_click(&mut self, visitor: u64, time: EventTime, click: &ClickCopy<'_>) {
        let Some(minute) = self.minute(time) else { return };
        minute.visitors.0.insert(visitor);
        let online = &mut minute.online;
        match click.name {
            ClickName::ViewItemList if click.recommended => online.recommended += 1,
            ClickName::SelectItem if click.recommended => online.recommended_clicked += 1,
            ClickName::Refund => {
                online.refunds += 1;
                if let (Some(currency), Some(minor)) = (click.currency, click.value_minor) {
                    add_money(&mut online.refunded_minor, currency, minor);
                }
            }
            _ => {}
        }
    }

    /// A purchase changed what a visitor's sessions know of orders: what is told twice changes nothing, and the shop's own word takes the
    /// place of a browser's.
    pub fn add_purchase(&mut self, time: EventTime, before: &Bought, after: &Bought, pieces: u64) {
        let Some(minute) = self.minute(time) else { return };
        let online = &mut minute.online;
        // two sessions that knew of one order and are one now have cancelled none
        if after.0 < before.0 {
            return;
        }
        let of = |bought: &Bought, currency: &str| bought.1.get(currency).copied().unwrap_or(0);
        if after.0 > before.0 {
            let baskets = u64::from(after.0 - before.0);
            online.baskets += baskets;
            online.items += pieces;
            let grown = after.1.keys().find(|currency| of(after, currency) > of(before, currency));
            grown.into_iter().for_each(|currency| online.count_baskets(currency, baskets));
        }
        let in_another = before.1.keys().filter(|currency| !after.1.contains_key(*currency));
        for currency in after.1.keys().chain(in_another) {
            let change = of(after, currency) - of(before, currency);
            if change != 0 {
                add_money(&mut online.revenue_minor, currency, change);
            }
        }
    }

    /// A session ended at that time, having come so far.
    pub fn add_ended(&mut self, time: EventTime, reached: Reached) {
        let Some(minute) = self.minute(time) else { return };
        let purchased = reached.purchased;
        let checked_out = purchased || reached.checked_out;
        let carted = checked_out || reached.carted;
        let viewed = carted || reached.viewed;
        let online = &mut minute.online;
        online.ended += 1;
        online.viewed += u64::from(viewed);
        online.carted += u64::from(carted);
        online.checked_out += u64::from(checked_out);
        online.purchased += u64::from(purchased);
        online.abandoned += u64::from(carted && !purchased);
    }

    /// A transaction of a till that counts; one in which every line was cancelled is none.
    pub fn add_basket(&mut self, store: &str, time: EventTime, basket: &BasketCopy<'_>) {
        if basket.sold_items == 0 && basket.returned_items == 0 {
            return;
        }
        let Some(minute) = self.minute(time) else { return };
        if !minute.stores.contains_key(store) {
            minute.stores.insert(store.into(), Figures::default());
        }
        let Some(figures) = minute.stores.get_mut(store) else { return };
        if basket.sold_items > 0 {
            figures.baskets += 1;
            figures.count_baskets(basket.currency, 1);
            figures.items += u64::from(basket.sold_items);
            add_money(&mut figures.revenue_minor, basket.currency, basket.sold_minor);
        }
        if basket.returned_items > 0 {
            figures.refunds += 1;
            add_money(&mut figures.refunded_minor, basket.currency, basket.returned_minor);
        }
    }

    /// The minute of that time, unless it is over.
    fn minute(&mut self, time: EventTime) -> Option<&mut Minute> {
        self.open.at(time.floor(MINUTE))
    }

    /// Takes out the minutes that have been over for `allowed_lateness` by the watermark.
    pub fn close(
        &mut self,
        watermark: EventTime,
        allowed_lateness: Duration,
    ) -> impl Iterator<Item = MinutePart> + use<> {
        let closed = self.open.close(watermark, allowed_lateness, MINUTE);
        closed.into_iter().flat_map(|(start, minute)| minute.parts(start))
    }
}

impl Minute {
    fn parts(self, start: EventTime) -> impl Iterator<Item = MinutePart> {
        let online = Figures { visitors: self.visitors.0.len() as u64, ..self.online };
        let online = (online != Figures::default()).then_some((ONLINE, None, online));
        let stores = self.stores.into_iter().map(|(store, figures)| (STORE, Some(store), figures));
        online.into_iter().chain(stores).map(move |(channel, store, figures)| MinutePart {
            start,
            place: ShopPlace { channel: channel.into(), store },
            figures,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn click(name: ClickName, recommended: bool) -> ClickCopy<'static> {
        ClickCopy { currency: Some("EUR"), value_minor: Some(500), recommended, ..ClickCopy::named(name) }
    }

    fn closed(minutes: &mut Minutes, watermark: i64) -> Vec<MinutePart> {
        minutes.close(EventTime(watermark), Duration::from_secs(5)).collect()
    }

    #[test]
    fn a_visitor_counts_once_in_each_minute_and_a_minute_is_handed_over_when_it_is_over() {
        let mut minutes = Minutes::default();
        for (visitor, time) in [(1, 0), (1, 59_999), (2, 5), (1, 60_000)] {
            minutes.add_click(visitor, EventTime(time), &click(ClickName::ViewItem, false));
        }
        assert_eq!(closed(&mut minutes, 64_999), []);
        let parts = closed(&mut minutes, 65_000);
        let [part] = parts.as_slice() else { panic!("one place") };
        assert_eq!((part.start, part.figures.visitors), (EventTime(0), 2));
        minutes.add_click(3, EventTime(1), &click(ClickName::ViewItem, false));
        let parts = closed(&mut minutes, 200_000);
        assert_eq!(parts.iter().map(|part| part.figures.visitors).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn an_order_that_is_told_twice_counts_once_and_the_later_value_stands() {
        let mut minutes = Minutes::default();
        let bought = |count, minor| (count, BTreeMap::from([(Box::from("EUR"), minor)]));
        minutes.add_purchase(EventTime(0), &(0, BTreeMap::new()), &bought(1, 900), 2);
        minutes.add_purchase(EventTime(1), &bought(1, 900), &bought(1, 1_000), 2);
        minutes.add_click(7, EventTime(2), &click(ClickName::Refund, false));
        let parts = closed(&mut minutes, 100_000);
        let figures = &parts.first().expect("a minute").figures;
        assert_eq!((figures.baskets, figures.items, figures.refunds), (1, 2, 1));
        assert_eq!(
            (figures.revenue_minor.get("EUR"), figures.baskets_in.get("EUR")),
            (Some(&1_000), Some(&1))
        );
        assert_eq!(figures.refunded_minor.get("EUR"), Some(&500));
    }

    #[test]
    fn a_session_counts_at_every_stage_up_to_the_one_that_it_reached() {
        let mut minutes = Minutes::default();
        let none = Reached { viewed: false, carted: false, checked_out: false, purchased: false };
        for reached in [none, Reached { checked_out: true, ..none }, Reached { purchased: true, ..none }] {
            minutes.add_ended(EventTime(0), reached);
        }
        let parts = closed(&mut minutes, 100_000);
        let figures = &parts.first().expect("a minute").figures;
        assert_eq!((figures.ended, figures.viewed, figures.carted, figures.checked_out), (3, 2, 2, 2));
        assert_eq!((figures.purchased, figures.abandoned), (1, 1));
    }

    #[test]
    fn lists_of_recommendations_and_clicks_in_them_are_counted_apart() {
        let mut minutes = Minutes::default();
        for (name, recommended) in [
            (ClickName::ViewItemList, true),
            (ClickName::ViewItemList, false),
            (ClickName::SelectItem, true),
            (ClickName::SelectItem, false),
            (ClickName::ViewItem, true),
        ] {
            minutes.add_click(1, EventTime(0), &click(name, recommended));
        }
        let parts = closed(&mut minutes, 100_000);
        let figures = &parts.first().expect("a minute").figures;
        assert_eq!((figures.recommended, figures.recommended_clicked), (1, 1));
    }

    #[test]
    fn a_copy_made_of_its_bytes_is_the_same() {
        let mut minutes = Minutes::default();
        for visitor in 0..100 {
            minutes.add_click(visitor * 7_919, EventTime(0), &click(ClickName::ViewItem, false));
        }
        let bytes = postcard::to_stdvec(&minutes).expect("plain data");
        assert_eq!(postcard::from_bytes::<Minutes>(&bytes).as_ref(), Ok(&minutes));
    }
}
