//! The shop's minutes, put together from their parts, and whether its figures are what they are at this hour of the week.
//!
//! Parts of a minute come from every partition of the entity log, and the minute is published once the watermark says that all have
//! come. Figures are watched per channel over a quarter of an hour, where enough came to say something.

use super::command::inspect;
use super::seasonal::{News, Seasonal, Window};
use crate::alert::{About, Episodes, Traffic};
use crate::drift::DriftSettings;
use crate::drift::watch::Kind;
use crate::event::alert::{ABANDONMENT, Alert, AlertAction, AlertCommand, AlertKind, Finding, REFUND_RATE};
use crate::event::business::{Figures, MINUTE, MinutePart, ShopPlace};
use crate::event::public::BusinessMinute;
use crate::time::EventTime;
use crate::windows::OpenWindows;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Figures are watched over so long.
const QUARTER: Duration = Duration::from_secs(900);
/// A share of fewer than this says nothing.
const LEAST: u64 = 20;
/// A currency in which fewer of a channel's baskets are paid wakes nobody.
const PAGE_BASKETS: f64 = 0.1;
/// Baskets of a quarter of an hour count for so much less in the next: half after two days.
const KEPT: f64 = 0.996_4;
/// Figures of two channels share the budget.
const SHARE_IT: f64 = 10.0;
/// Figures that are watched at most; currencies come from outside.
const FIGURES_MAX: usize = 50;

/// The minutes of the shop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ShopMinutes {
    open: OpenWindows<BTreeMap<ShopPlace, Figures>>,
    /// Parts of minutes that were over.
    pub too_late: u64,
    channels: BTreeMap<Box<str>, Channel>,
}

/// What is watched of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Channel {
    /// The beginning of the quarter of an hour, and what has come in it.
    quarter: EventTime,
    figures: Figures,
    watched: BTreeMap<String, Seasonal>,
    /// Baskets by currency, of late above all.
    sold: BTreeMap<Box<str>, f64>,
    news: News,
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
        for (start, places) in self.open.close(watermark, settings.allowed_lateness, MINUTE) {
            let sums = sums(start, places);
            let watched = sums.iter().filter(|minute| minute.store.is_none() && settings.is_watched);
            for minute in watched {
                if let Some(channel) = &minute.channel {
                    alerts.extend(self.watch(channel, minute, settings, episodes));
                }
            }
            minutes.extend(sums);
        }
        minutes
    }

    fn watch(
        &mut self,
        name: &str,
        minute: &ShopMinute,
        settings: &DriftSettings,
        episodes: &mut Episodes,
    ) -> Option<Alert> {
        let quarter = minute.start.floor(QUARTER);
        if !self.channels.contains_key(name) {
            self.channels.insert(name.into(), Channel::new(quarter));
        }
        let channel = self.channels.get_mut(name)?;
        let ended = (channel.quarter < quarter).then(|| {
            let start = std::mem::replace(&mut channel.quarter, quarter);
            (start, std::mem::take(&mut channel.figures))
        });
        channel.figures.add(&minute.figures);
        ended.and_then(|(start, figures)| channel.judge(name, start, &figures, settings, episodes))
    }

    /// What somebody says of an episode about a channel.
    pub fn command(&mut self, about: &About, command: &AlertCommand) {
        let channel = self.channels.iter_mut().find(|(name, _)| subject_of(name) == about.subject);
        if let (AlertAction::Expect, Some((_, channel))) = (command.action, channel) {
            channel.forget();
        }
    }
}

impl Channel {
    fn new(quarter: EventTime) -> Channel {
        Channel {
            quarter,
            figures: Figures::default(),
            watched: BTreeMap::new(),
            sold: BTreeMap::new(),
            news: News::default(),
        }
    }

    /// Figures of a currency in which little is sold: nobody is woken by these.
    fn quiet(&self, findings: &[Finding]) -> BTreeSet<String> {
        let all: f64 = self.sold.values().sum();
        let is_little = |finding: &&Finding| {
            let sold = finding.feature.split_once(' ').and_then(|(_, currency)| self.sold.get(currency));
            sold.is_some_and(|sold| *sold < all * PAGE_BASKETS)
        };
        findings.iter().filter(is_little).map(|finding| finding.feature.clone()).collect()
    }

    fn count(&mut self, figures: &Figures) {
        self.sold.values_mut().for_each(|sold| *sold *= KEPT);
        for (currency, baskets) in &figures.baskets_in {
            if self.sold.len() < FIGURES_MAX || self.sold.contains_key(currency) {
                *self.sold.entry(currency.clone()).or_default() += *baskets as f64;
            }
        }
    }

    fn judge(
        &mut self,
        name: &str,
        start: EventTime,
        figures: &Figures,
        settings: &DriftSettings,
        episodes: &mut Episodes,
    ) -> Option<Alert> {
        let announced = episodes.announced().during(start, start.plus(QUARTER), Duration::ZERO);
        for (figure, value) in watched_of(figures) {
            if !self.watched.contains_key(&figure) && self.watched.len() < FIGURES_MAX {
                let seasonal = Seasonal::new(Kind::Value, QUARTER, SHARE_IT, settings);
                self.watched.insert(figure.clone(), seasonal);
            }
            if let Some(seasonal) = self.watched.get_mut(&figure) {
                match announced {
                    Some(change) => seasonal.excuse(change.from, value, (start, QUARTER)),
                    None => seasonal.take(&figure, value, (start, QUARTER), settings),
                }
            }
        }
        self.count(figures);
        let findings: Vec<Finding> = self.watched.values().filter_map(Seasonal::finding).collect();
        let window = Window {
            about: About::new(AlertKind::Business, subject_of(name)),
            at: start.plus(QUARTER),
            length: QUARTER,
            quiet: self.quiet(&findings),
            findings,
            traffic: traffic_of(figures),
        };
        let command = |since| inspect("business.minutes", since, &[("channel", name)]);
        let told = self.news.tell(window, command, settings, episodes);
        if told.adopted {
            self.forget();
        }
        told.alert
    }

    fn forget(&mut self) {
        self.watched.values_mut().for_each(Seasonal::forget);
        self.news.forget();
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

fn subject_of(channel: &str) -> String {
    format!("business {channel}")
}

/// The figures that are watched, where there is enough of them.
fn watched_of(figures: &Figures) -> Vec<(String, f64)> {
    let share =
        |name: &str, part: u64, of: u64| (of >= LEAST).then(|| (name.to_owned(), part as f64 / of as f64));
    let shares = [
        share("conversion", figures.purchased, figures.ended),
        share(ABANDONMENT, figures.abandoned, figures.carted),
        share(REFUND_RATE, figures.refunds, figures.baskets),
        share("basket_items", figures.items, figures.baskets),
        share("recommendation_click_rate", figures.recommended_clicked, figures.recommended),
    ];
    let money = figures.revenue_minor.iter().flat_map(|(currency, minor)| {
        let baskets = figures.baskets_in.get(currency).copied().unwrap_or(0);
        let value =
            (baskets >= LEAST).then(|| (format!("basket_value {currency}"), *minor as f64 / baskets as f64));
        [Some((format!("revenue {currency}"), *minor as f64)), value]
    });
    shares.into_iter().chain(money).flatten().collect()
}

fn traffic_of(figures: &Figures) -> Traffic {
    let money = figures.revenue_minor.iter().map(|(currency, minor)| (currency.to_string(), *minor));
    Traffic { decisions: figures.baskets, money_minor: money.collect() }
}

impl ShopMinute {
    /// The key of its record: channel and store.
    #[must_use]
    pub fn key(&self) -> String {
        match (&self.channel, &self.store) {
            (Some(channel), Some(store)) => format!("{channel}/{store}"),
            (Some(channel), None) => channel.to_string(),
            (None, _) => "all".to_owned(),
        }
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
        let quarters = 4 * 24 * 7 * 4;
        for quarter in 0..quarters + 48 {
            let hour = f64::from(quarter % 96) / 4.0;
            let wave = 0.04 * (hour / 24.0 * std::f64::consts::TAU).sin();
            // some noise that repeats at no period of the day
            let noise = f64::from(quarter * 7_919 % 101) / 101.0 - 0.5;
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
