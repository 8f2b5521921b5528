//! The shop's minutes, put together from their parts, and whether its figures are what they are at this hour of the week.
//!
//! Parts of a minute come from every partition of the entity log, and the minute is published once the watermark says that all have
//! come. Figures are watched per channel over a quarter of an hour and per store over an hour, where enough came to say something.

mod place;
mod places;

use self::places::Places;
use crate::alert::{About, Episodes};
use crate::drift::DriftSettings;
use crate::event::alert::{Alert, AlertAction, AlertCommand};
use crate::event::business::{Figures, MINUTE, MinutePart, ShopPlace};
use crate::event::public::BusinessMinute;
use crate::time::EventTime;
use crate::windows::OpenWindows;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The minutes of the shop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ShopMinutes {
    open: OpenWindows<BTreeMap<ShopPlace, Figures>>,
    /// Parts of minutes that were over.
    pub too_late: u64,
    watched: Places,
}

/// A minute that is over, at one place, in one channel (no store) or in all of the shop (no channel).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopMinute {
    start: EventTime,
    channel: Option<Box<str>>,
    store: Option<Box<str>>,
    figures: Figures,
}

impl ShopMinutes {
    /// Takes a part of a minute.
    pub fn take(&mut self, part: &MinutePart) {
        let Some(places) = self.open.at(part.start) else {
            self.too_late += 1;
            return;
        };
        if !places.contains_key(&part.place) {
            places.insert(part.place.clone(), Figures::default());
        }
        if let Some(figures) = places.get_mut(&part.place) {
            figures.add(&part.figures);
        }
    }

    /// The minutes that are over by the watermark, which `alerts` are revised by.
    pub fn close(
        &mut self,
        watermark: EventTime,
        settings: &DriftSettings,
        episodes: &mut Episodes,
        alerts: &mut Vec<Alert>,
    ) -> Vec<ShopMinute> {
        let mut minutes = Vec::new();
        let closed = self.open.close(watermark, settings.allowed_lateness, MINUTE);
        for (start, places) in closed {
            let sums = sums(start, places);
            if settings.is_watched {
                alerts.extend(self.watched.judge(start, settings, episodes));
                let places = sums.iter().filter_map(|minute| Some((minute.place()?, &minute.figures)));
                places.for_each(|(place, figures)| self.watched.count(place, start, figures));
            }
            minutes.extend(sums);
        }
        // the end of the input is no silence
        if settings.is_watched && watermark != EventTime::MAX {
            let now = watermark.minus(settings.allowed_lateness);
            alerts.extend(self.watched.judge(now, settings, episodes));
        }
        minutes
    }

    /// What somebody says of an episode about a place.
    pub fn command(&mut self, about: &About, command: &AlertCommand) {
        if command.action == AlertAction::Expect {
            self.watched.expect(about);
        }
    }
}

/// A minute at each place, in each channel that has stores, and in all of the shop.
fn sums(start: EventTime, places: BTreeMap<ShopPlace, Figures>) -> Vec<ShopMinute> {
    let mut shop = Figures::default();
    let mut channels: BTreeMap<Box<str>, Figures> = BTreeMap::new();
    let mut minutes = Vec::new();
    for (place, figures) in places {
        shop.add(&figures);
        channels.entry(place.channel.clone()).or_default().add(&figures);
        if place.store.is_some() {
            minutes.push(ShopMinute { start, channel: Some(place.channel), store: place.store, figures });
        }
    }
    let of_channel = |(channel, figures)| ShopMinute { start, channel: Some(channel), store: None, figures };
    minutes.extend(channels.into_iter().map(of_channel));
    minutes.push(ShopMinute { start, channel: None, store: None, figures: shop });
    minutes
}

/// What a place is called: channel and store.
fn key(channel: Option<&str>, store: Option<&str>) -> String {
    match (channel, store) {
        (Some(channel), Some(store)) => format!("{channel}/{store}"),
        (Some(channel), None) => channel.to_owned(),
        (None, _) => "all".to_owned(),
    }
}

impl ShopMinute {
    /// The key of its record: channel and store.
    #[must_use]
    pub fn key(&self) -> String {
        key(self.channel.as_deref(), self.store.as_deref())
    }

    /// Where it was, if not in all of the shop.
    fn place(&self) -> Option<ShopPlace> {
        let channel = self.channel.clone()?;
        Some(ShopPlace { channel, store: self.store.clone() })
    }

    /// As it is published.
    #[must_use]
    pub fn record(&self) -> BusinessMinute<'_> {
        let figures = &self.figures;
        let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        let money = |sums: &BTreeMap<Box<str>, i64>| {
            sums.iter().map(|(currency, minor)| (Cow::Owned(currency.to_string()), *minor)).collect()
        };
        BusinessMinute {
            minute_ms: self.start,
            channel: self.channel.as_deref().map(Cow::Borrowed),
            store_id: self.store.as_deref().map(Cow::Borrowed),
            visitors: figures.visitors,
            ended: figures.ended,
            viewed: figures.viewed,
            carted: figures.carted,
            checked_out: figures.checked_out,
            purchased: figures.purchased,
            abandoned: figures.abandoned,
            baskets: figures.baskets,
            items: figures.items,
            revenue_minor: money(&figures.revenue_minor),
            refunds: figures.refunds,
            refunded_minor: money(&figures.refunded_minor),
            recommended: figures.recommended,
            recommended_clicked: figures.recommended_clicked,
            conversion: share(figures.purchased, figures.ended),
            abandonment: share(figures.abandoned, figures.carted),
            refund_rate: share(figures.refunds, figures.baskets),
            recommendation_click_rate: share(figures.recommended_clicked, figures.recommended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::alert::{AlertStatus, Severity};
    use crate::event::business::{ONLINE, STORE};

    /// Monday at 0:00 UTC.
    const MONDAY_MS: i64 = 4 * 86_400_000;

    fn part(start: i64, store: Option<&str>, figures: Figures) -> MinutePart {
        let channel = if store.is_some() { STORE } else { ONLINE };
        let place = ShopPlace { channel: channel.into(), store: store.map(Into::into) };
        MinutePart { start: EventTime(start), place, figures }
    }

    fn closed(shop: &mut ShopMinutes, watermark: i64) -> (Vec<ShopMinute>, Vec<Alert>) {
        let (mut episodes, mut alerts) = (Episodes::default(), Vec::new());
        let minutes = shop.close(EventTime(watermark), &DriftSettings::hourly(), &mut episodes, &mut alerts);
        (minutes, alerts)
    }

    #[test]
    fn parts_of_a_minute_are_put_together_by_store_channel_and_shop() {
        let mut shop = ShopMinutes::default();
        let baskets = |baskets| Figures { baskets, ..Figures::default() };
        for (store, count) in [(Some("s1"), 1), (Some("s2"), 2), (Some("s1"), 4), (None, 8)] {
            shop.take(&part(0, store, baskets(count)));
        }
        assert_eq!(closed(&mut shop, 59_999).0, []);
        let (minutes, _) = closed(&mut shop, 60_000);
        let known: Vec<_> = minutes.iter().map(|minute| (minute.key(), minute.figures.baskets)).collect();
        let expected = [("store/s1", 5), ("store/s2", 2), ("online", 8), ("store", 7), ("all", 15)];
        assert_eq!(known, expected.map(|(key, count)| (key.to_owned(), count)));
        shop.take(&part(0, None, baskets(1)));
        assert_eq!((shop.too_late, closed(&mut shop, 180_000).0.len()), (1, 0));
    }

    #[test]
    fn a_share_of_nothing_is_absent_from_its_record() {
        let figures = Figures { ended: 4, purchased: 1, ..Figures::default() };
        let minute = ShopMinute { start: EventTime(0), channel: None, store: None, figures };
        let record = minute.record();
        assert_eq!((record.conversion, record.abandonment), (Some(0.25), None));
    }

    #[test]
    fn nobody_is_woken_by_a_currency_in_which_little_is_sold() {
        for (currency, expected) in [("EUR", Severity::Page), ("USD", Severity::Ticket)] {
            let (mut shop, mut episodes) = (ShopMinutes::default(), Episodes::default());
            let mut told = Vec::new();
            let quarters = 4 * 24 * 7 * 3;
            for quarter in 0..quarters + 48 {
                let noise = i64::from(quarter) * 7_919 % 101;
                let is_gone = |of: &str| quarter >= quarters && of == currency;
                let sold = [("EUR", 95, 5_000), ("USD", 5, 5_000)].map(|(of, baskets, minor)| {
                    let minor = if is_gone(of) { minor / 4 } else { minor };
                    (of, baskets, baskets * (minor + noise))
                });
                #[expect(clippy::cast_sign_loss, reason = "a count")]
                let figures = Figures {
                    baskets: 100,
                    baskets_in: sold.map(|(of, baskets, _)| (of.into(), baskets as u64)).into(),
                    revenue_minor: sold.map(|(of, _, minor)| (of.into(), minor)).into(),
                    ..Figures::default()
                };
                let start = MONDAY_MS + i64::from(quarter) * 900_000;
                shop.take(&part(start, None, figures));
                shop.close(EventTime(start + 900_000), &DriftSettings::hourly(), &mut episodes, &mut told);
            }
            let moved = told.iter().flat_map(|alert| &alert.findings).map(|finding| &*finding.feature);
            assert!(
                moved.clone().all(|feature| feature.ends_with(currency)),
                "{:?}",
                moved.collect::<Vec<_>>()
            );
            let severity = told.last().map(|alert| alert.severity);
            assert_eq!(severity, Some(expected), "{currency} brings a quarter of what it did");
        }
    }

    #[test]
    fn a_conversion_that_halves_is_told_within_hours_and_a_usual_month_is_not() {
        let mut shop = ShopMinutes::default();
        let mut episodes = Episodes::default();
        let mut told = Vec::new();
        let quarters: i32 = 4 * 24 * 7 * 4;
        for quarter in 0..quarters + 48 {
            let hour = f64::from(quarter % 96) / 4.0;
            let wave = 0.04 * (hour / 24.0 * std::f64::consts::TAU).sin();
            let bits =
                u64::try_from(quarter).unwrap_or(0).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let noise = (bits >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
            let rate = if quarter < quarters { 0.2 } else { 0.1 };
            let purchased = ((rate + wave + 0.03 * noise) * 1_000.0).round();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let figures = Figures { ended: 1_000, purchased: purchased as u64, ..Figures::default() };
            let start = MONDAY_MS + i64::from(quarter) * 900_000;
            shop.take(&part(start, None, figures));
            let mut alerts = Vec::new();
            shop.close(EventTime(start + 900_000), &DriftSettings::hourly(), &mut episodes, &mut alerts);
            assert!(quarter >= quarters || alerts.is_empty(), "told in quarter {quarter}");
            told.extend(alerts);
        }
        let first = told.first().expect("conversion has halved");
        assert_eq!((first.status, first.subject.as_str()), (AlertStatus::Open, "business online"));
        assert_eq!(first.findings.first().map(|finding| finding.feature.as_str()), Some("conversion"));
        let after = first.detected_ms.0 - (MONDAY_MS + i64::from(quarters) * 900_000);
        assert!(after <= 4 * 3_600_000, "{} minutes later", after / 60_000);
    }
}
