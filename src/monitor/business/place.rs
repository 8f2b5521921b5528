//! Whether the figures of one place of the shop, a channel or a store, are what they are at this hour of the week.

use super::key;
use crate::alert::{About, Episodes, Traffic};
use crate::drift::DriftSettings;
use crate::drift::watch::Kind;
use crate::event::alert::{ABANDONMENT, Alert, AlertKind, Finding, REFUND_RATE};
use crate::event::business::{Figures, ShopPlace};
use crate::monitor::command::inspect;
use crate::monitor::seasonal::{News, Seasonal, Window};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A channel is judged over so long.
const QUARTER: Duration = Duration::from_secs(900);
/// A store, in which less happens.
const HOUR: Duration = Duration::from_secs(3_600);
/// A share of fewer than this says nothing, and a store of which fewer baskets come in every hour is not judged.
const LEAST: u64 = 20;
/// A currency in which fewer of a channel's baskets are paid wakes nobody.
const PAGE_BASKETS: f64 = 0.1;
/// Of the baskets of a window this part counts a week later.
const KEPT_IN_A_WEEK: f64 = 0.088;
/// What moves so many times as far as in the whole channel, in powers, moves by itself.
const BY_ITSELF: f64 = 2.0;
/// So small a part of what there was is nothing.
const NOTHING: f64 = 0.02;
/// Fewer baskets of late are none.
const IDLE: f64 = 0.1;
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// So many figures of the channels share the budget, usually, and so many of the stores.
const CHANNELS_SHARE_IT: f64 = 14.0;
const STORES_SHARE_IT: f64 = 200.0;
/// Of stores, of which there are hundreds, no more is watched.
const OF_STORES: [&str; 2] = ["baskets", REFUND_RATE];
/// Figures that are watched at most; currencies come from outside.
const FIGURES_MAX: usize = 50;

/// What is watched of a channel or a store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    is_store: bool,
    /// The beginning of the window that is open, and what has come in it.
    start: EventTime,
    figures: Figures,
    watched: BTreeMap<String, Seasonal>,
    /// Baskets, of late above all, and by currency.
    baskets: f64,
    sold: BTreeMap<Box<str>, f64>,
    news: News,
}

/// What is known beside a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside<'c> {
    /// Of its channel's baskets, its part.
    pub(super) share: f64,
    /// What is news of its channel: what is about as large there is no news of the place.
    pub(super) of_channel: &'c [Finding],
    /// Whether there is room to watch one more.
    pub(super) may_begin: bool,
}

impl Place {
    /// One of which a minute that begins at `start` is the first.
    pub(super) fn new(at: &ShopPlace, start: EventTime) -> Place {
        let is_store = at.store.is_some();
        Place {
            is_store,
            start: start.floor(if is_store { HOUR } else { QUARTER }),
            figures: Figures::default(),
            watched: BTreeMap::new(),
            baskets: 0.0,
            sold: BTreeMap::new(),
            news: News::default(),
        }
    }

    /// Counts a minute of the window that is open.
    pub(super) fn count(&mut self, minute: &Figures) {
        self.figures.add(minute);
    }

    /// When its window is over.
    pub(super) fn end(&self) -> EventTime {
        self.start.plus(self.length())
    }

    /// Its window is the one at `now`, and what is between is not judged.
    pub(super) fn skip_to(&mut self, now: EventTime) {
        self.figures = Figures::default();
        self.start = now.floor(self.length());
    }

    /// Baskets, of late above all.
    pub(super) fn baskets(&self) -> f64 {
        self.baskets
    }

    /// Whether enough has come to watch it.
    pub(super) fn is_watched(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Whether nothing has come for weeks, and nothing is to be said of that.
    pub(super) fn is_idle(&self) -> bool {
        self.baskets < IDLE && self.figures == Figures::default() && self.findings().is_empty()
    }

    /// Judges the window that is over. Returns the revision of its episode that is to be published.
    pub(super) fn judge(
        &mut self,
        at: &ShopPlace,
        beside: Beside<'_>,
        settings: &DriftSettings,
        episodes: &mut Episodes,
    ) -> Option<Alert> {
        let (start, length) = (self.start, self.length());
        let figures = std::mem::take(&mut self.figures);
        self.start = start.plus(length);
        let announced = episodes.announced().during(start, self.start, Duration::ZERO);
        if beside.may_begin || self.is_watched() {
            self.take(&figures, (start, length), announced.map(|change| change.from), settings);
        }
        self.forget_what_all_do(beside.of_channel);
        self.count_baskets(&figures);
        let findings = self.findings();
        let store = at.store.as_deref().map(|store| ("store_id", store));
        let fields: Vec<(&str, &str)> = [("channel", &*at.channel)].into_iter().chain(store).collect();
        let window = Window {
            about: About::new(AlertKind::Business, subject_of(at)),
            at: self.start,
            length,
            quiet: self.quiet(&findings),
            findings,
            traffic: traffic_of(&figures),
            share: beside.share,
        };
        let command = |since| inspect("business.minutes", since, &fields);
        let told = self.news.tell(window, command, settings, episodes);
        if told.adopted {
            self.forget();
        }
        told.alert
    }

    /// What was news is the usual from now on.
    pub(super) fn forget(&mut self) {
        self.watched.values_mut().for_each(Seasonal::forget);
        self.news.forget();
    }

    fn take(
        &mut self,
        figures: &Figures,
        window: (EventTime, Duration),
        excused: Option<EventTime>,
        settings: &DriftSettings,
    ) {
        if self.is_store && !self.is_watched() && figures.baskets < LEAST {
            return;
        }
        for (figure, value, kind) in self.to_watch(figures) {
            if !self.watched.contains_key(&figure) && self.watched.len() < FIGURES_MAX {
                let share_it = if self.is_store { STORES_SHARE_IT } else { CHANNELS_SHARE_IT };
                self.watched.insert(figure.clone(), Seasonal::new(kind, window.1, share_it, settings));
            }
            if let Some(seasonal) = self.watched.get_mut(&figure) {
                match excused {
                    Some(from) => seasonal.excuse(from, value, window),
                    None => seasonal.take(&figure, value, window, settings),
                }
            }
        }
    }

    /// What there is to watch of a window. A count that nobody has sent is 0, once there has been one.
    fn to_watch(&self, figures: &Figures) -> Vec<(String, f64, Kind)> {
        let is_watched = |name: &str| !self.is_store || OF_STORES.contains(&name);
        let counts = counts_of(figures).map(|(name, count)| (name.to_owned(), count as f64, Kind::Count));
        let is_known =
            |(name, count, _): &(String, f64, Kind)| *count > 0.0 || self.watched.contains_key(name);
        let values = values_of(figures).into_iter().map(|(name, value)| (name, value, Kind::Value));
        let all = counts.into_iter().filter(is_known).chain(values);
        all.filter(|(name, ..)| is_watched(name)).collect()
    }

    fn count_baskets(&mut self, figures: &Figures) {
        let kept = KEPT_IN_A_WEEK.powf(self.length().as_secs_f64() / WEEK.as_secs_f64());
        self.baskets = self.baskets * kept + figures.baskets as f64;
        self.sold.values_mut().for_each(|sold| *sold *= kept);
        for (currency, baskets) in &figures.baskets_in {
            if self.sold.len() < FIGURES_MAX || self.sold.contains_key(currency) {
                *self.sold.entry(currency.clone()).or_default() += *baskets as f64;
            }
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

    /// What is news of the channel and about as large there is no news of the place, now or when it is over.
    fn forget_what_all_do(&mut self, of_channel: &[Finding]) {
        let length = self.length();
        for finding in of_channel {
            let Some(seasonal) = self.watched.get_mut(&finding.feature) else { continue };
            let Some(own) = seasonal.finding() else { continue };
            let (far, as_far) = (times(own.effect).ln(), times(finding.effect).ln());
            let is_alike = far * as_far > 0.0 && far.abs() < as_far.abs() * BY_ITSELF;
            // a change point is known to a window or two
            let began_before = own.since_ms.plus(length * 2) < finding.since_ms;
            if is_alike && !began_before {
                seasonal.forget();
            }
        }
    }

    /// What is news of it.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.watched.values().filter_map(Seasonal::finding).collect()
    }

    fn length(&self) -> Duration {
        if self.is_store { HOUR } else { QUARTER }
    }
}

/// How many times as much something is as before.
fn times(effect: f64) -> f64 {
    (1.0 + effect).max(NOTHING)
}

/// What the episodes about a place are about.
pub(super) fn subject_of(at: &ShopPlace) -> String {
    format!("business {}", key(Some(&at.channel), at.store.as_deref()))
}

/// The counts of a window that are watched.
fn counts_of(figures: &Figures) -> [(&'static str, u64); 3] {
    [("visitor_minutes", figures.visitors), ("sessions", figures.ended), ("baskets", figures.baskets)]
}

/// The shares and values that are watched, where there is enough of them.
fn values_of(figures: &Figures) -> Vec<(String, f64)> {
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
