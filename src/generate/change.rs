//! Changes that somebody plants in the traffic: drift that is to be found, and honest changes that are none.
//!
//! A change is written `KIND:key=value,...`, such as `unit:at=15d,strength=weak,segment=channel=store`. What each kind does,
//! and what its strength means, says [`ChangeKind`].

mod parse;

pub use parse::ChangeError;

use super::catalogue::Level;
use super::random::{Random, mix};
use super::record::RawTopic;
use super::truth::PlantedChange;
use crate::time::EventTime;
use serde::Serialize;
use std::time::Duration;

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Amounts of payments (`amount_minor`), or of the features of predictions (`amount`), come in another unit: all by one factor, which
    /// is the strength (2.54, 10, 100).
    Unit,
    /// A field of payments, or a feature of predictions, is absent: from so large a share of the records (0.05, 0.2, 0.8).
    Missing,
    /// A field of payments, or a feature of predictions, has another value (`to`), one that was there or a new one: in so large a share of the records (0.05, 0.2,
    /// 0.5).
    Categories,
    /// Records of a topic do not come: so large a share of them (0.5, 0.8, 1).
    Silent,
    /// All prices are higher by a factor, which is the strength (1.1, 1.25, 1.6): in the catalogue, which is written anew, at tills, in
    /// carts and so in payments.
    PriceLevel,
    /// Ordinary fraud is no longer where it was: so large a share of it (0.25, 0.5, 1) is among small amounts by day in stores instead
    /// of large ones by night online. There is as much of it as before.
    FraudMoves,
    /// There is more ordinary fraud, by a factor (2, 4, 10).
    FraudRate,
    /// Stolen cards are used at one terminal (`store-017-t3`): so large a share of all payments in stores (0.1, 0.25, 0.5) is made there and is fraud,
    /// for twelve hours unless `for` says otherwise.
    Terminal,
    /// Carts lead to checkouts less often: so large a share of those on their way there (0.2, 0.5, 0.8) leave.
    Intent,
    /// The scores of the foreign model lose their relation with what comes of it: so large a share of them (0.25, 0.5, 1) is that of
    /// another payment, so the scores as such look as before.
    Degrades,
    /// No drift: a day, unless `for` says otherwise, with more traffic by a factor (1.5, 2.5, 4) and lower prices, by a tenth of what is
    /// added to the factor (5, 15, 30 %). It is announced a week before.
    SaleDay,
    /// No drift: over four weeks, or as many as `for` says, there is ever more traffic, in the end by a factor (1.2, 1.5, 2), and more of
    /// it at tills, half as much as is added to the factor. It stays so.
    Season,
    /// No drift: a store opens, and has a share of all payments in stores (0.005, 0.02, 0.05).
    NewStore,
}

/// Store and terminal at which stolen cards are used.
pub(super) const TERMINAL: (u64, u64) = (17, 3);

/// A change of the traffic, planted.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    kind: ChangeKind,
    begins: Begins,
    /// Till the end of the traffic if not given.
    lasts: Option<Duration>,
    strength: f64,
    segment: Option<ChangedSegment>,
    source: RawTopic,
    /// The field that changes, where there is a choice.
    field: Option<&'static str>,
    /// What the field becomes, where something is said of it.
    to: Option<String>,
}

/// When a change begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begins {
    /// So long after the traffic.
    After(Duration),
    At(EventTime),
}

/// The part of the traffic that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedSegment {
    /// `channel`, `card_country`, `store` or `terminal`.
    pub dimension: &'static str,
    /// Its value.
    pub value: String,
}

/// What may be said of a kind of change.
struct Kind {
    kind: ChangeKind,
    name: &'static str,
    is_drift: bool,
    /// Weak, middle, strong.
    strengths: [f64; 3],
    strength_least: f64,
    strength_most: f64,
    has_segments: bool,
    /// The topics on which it can be; the first if none is named.
    sources: &'static [RawTopic],
    /// Fields of which it changes one; the first if none is named.
    choices: &'static [&'static str],
    /// Fields that change besides.
    fields: &'static [&'static str],
    /// Whether something can be said of what the field becomes.
    has_to: bool,
    /// How long it lasts if nothing is said: till the end if none.
    usually_lasts: Option<Duration>,
    /// How long before it is known to the shop.
    announced_before: Option<Duration>,
}

/// What most kinds have in common.
const KIND: Kind = Kind {
    kind: ChangeKind::Unit,
    name: "",
    is_drift: true,
    strengths: [0.25, 0.5, 1.0],
    strength_least: 0.0,
    strength_most: 1.0,
    has_segments: true,
    sources: &[RawTopic::Payments],
    choices: &[],
    fields: &[],
    has_to: false,
    usually_lasts: None,
    announced_before: None,
};

/// The same of honest changes.
const HONEST: Kind = Kind { is_drift: false, has_segments: false, ..KIND };

const HALF_A_DAY: Duration = Duration::from_secs(43_200);
const DAY: Duration = Duration::from_secs(86_400);

/// Text fields of payments, and a feature of predictions, that can be another; a channel becomes `app`, a country `PL`, a
/// delivery `drone`, if nothing is said.
const CATEGORIES: [&str; 5] =
    ["channel", "card_country", "ip_country", "billing_country", "shipping_country"];

/// Fields that payments can do without, and features of predictions.
const OPTIONAL: [&str; 13] = [
    "card_country",
    "channel",
    "ip_country",
    "billing_country",
    "shipping_country",
    "device_id",
    "ip",
    "customer_id",
    "visitor_id",
    "amount",
    "returns_90d",
    "discount_percent",
    "delivery",
];

const KINDS: [Kind; 13] = [
    Kind {
        kind: ChangeKind::Unit,
        name: "unit",
        strengths: [2.54, 10.0, 100.0],
        strength_least: 0.001,
        strength_most: 1_000.0,
        sources: &[RawTopic::Payments, RawTopic::Predictions],
        choices: &["amount_minor", "amount"],
        ..KIND
    },
    Kind {
        kind: ChangeKind::Missing,
        name: "missing",
        strengths: [0.05, 0.2, 0.8],
        sources: &[RawTopic::Payments, RawTopic::Predictions],
        choices: &OPTIONAL,
        ..KIND
    },
    Kind {
        kind: ChangeKind::Categories,
        name: "categories",
        strengths: [0.05, 0.2, 0.5],
        sources: &[RawTopic::Payments, RawTopic::Predictions],
        choices: &CATEGORIES,
        has_to: true,
        ..KIND
    },
    Kind {
        kind: ChangeKind::Silent,
        name: "silent",
        strengths: [0.5, 0.8, 1.0],
        sources: &RawTopic::TRAFFIC,
        ..KIND
    },
    Kind {
        kind: ChangeKind::PriceLevel,
        name: "price_level",
        strengths: [1.1, 1.25, 1.6],
        strength_least: 0.1,
        strength_most: 10.0,
        has_segments: false,
        fields: &["amount_minor", "price_minor", "value_minor"],
        ..KIND
    },
    Kind {
        kind: ChangeKind::FraudMoves,
        name: "fraud_moves",
        sources: &[RawTopic::Labels],
        fields: &["outcome"],
        ..KIND
    },
    Kind {
        kind: ChangeKind::FraudRate,
        name: "fraud_rate",
        strengths: [2.0, 4.0, 10.0],
        strength_most: 20.0,
        sources: &[RawTopic::Labels],
        fields: &["outcome"],
        ..KIND
    },
    Kind {
        kind: ChangeKind::Terminal,
        name: "terminal",
        strengths: [0.1, 0.25, 0.5],
        has_segments: false,
        fields: &["store_id", "terminal_id", "outcome"],
        usually_lasts: Some(HALF_A_DAY),
        ..KIND
    },
    Kind {
        kind: ChangeKind::Intent,
        name: "intent",
        strengths: [0.2, 0.5, 0.8],
        sources: &[RawTopic::Clickstream],
        fields: &["begin_checkout", "purchase"],
        ..KIND
    },
    Kind {
        kind: ChangeKind::Degrades,
        name: "degrades",
        sources: &[RawTopic::Predictions],
        fields: &["score"],
        ..KIND
    },
    Kind {
        kind: ChangeKind::SaleDay,
        name: "sale_day",
        strengths: [1.5, 2.5, 4.0],
        strength_least: 1.0,
        strength_most: 6.0,
        sources: &[RawTopic::Clickstream],
        fields: &["volume", "amount_minor", "price_minor", "value_minor"],
        usually_lasts: Some(DAY),
        announced_before: Some(DAY.saturating_mul(7)),
        ..HONEST
    },
    Kind {
        kind: ChangeKind::Season,
        name: "season",
        strengths: [1.2, 1.5, 2.0],
        strength_least: 1.0,
        strength_most: 10.0,
        sources: &[RawTopic::Clickstream],
        fields: &["volume", "channel"],
        usually_lasts: Some(DAY.saturating_mul(28)),
        ..HONEST
    },
    Kind {
        kind: ChangeKind::NewStore,
        name: "new_store",
        strengths: [0.005, 0.02, 0.05],
        fields: &["store_id"],
        ..HONEST
    },
];

/// Of which part of the traffic a record is, as far as changes can be limited to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) channel: &'static str,
    pub(super) country: Option<&'static str>,
    pub(super) store: Option<u64>,
    /// The payment: what changes of a payment, changes in all its records. Where there is none, the event.
    pub(super) payment: Option<u64>,
}

impl Part {
    /// Nothing else is known of it.
    pub(super) const ONLINE: Part = Part { channel: "online", country: None, store: None, payment: None };
}

/// The changes of a stream, by when they begin.
#[derive(Debug, Default)]
pub(super) struct Changes {
    planted: Vec<Planted>,
}

/// A change with its place in time.
#[derive(Debug)]
pub(super) struct Planted {
    pub(super) change: Change,
    /// Tells the dice of changes apart.
    place: u64,
    start_ms: i64,
    /// No longer from here on.
    end_ms: Option<i64>,
}

impl Change {
    /// When it begins in traffic that begins at `start`.
    #[must_use]
    pub fn start(&self, start: EventTime) -> EventTime {
        match self.begins {
            Begins::After(after) => start.plus(after),
            Begins::At(time) => time,
        }
    }

    pub(super) fn kind(&self) -> ChangeKind {
        self.kind
    }

    fn of_kind(&self) -> &'static Kind {
        KINDS.iter().find(|kind| kind.kind == self.kind).expect("every kind is among the kinds")
    }

    pub(super) fn strength(&self) -> f64 {
        self.strength
    }

    pub(super) fn source(&self) -> RawTopic {
        self.source
    }

    pub(super) fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// By how much it makes prices higher.
    fn price_factor(&self) -> f64 {
        match self.kind {
            ChangeKind::PriceLevel => self.strength,
            ChangeKind::SaleDay => 1.0 - (self.strength - 1.0) / 10.0,
            _ => 1.0,
        }
    }

    /// What the field becomes.
    pub(super) fn to(&self) -> &str {
        let usual = match self.field {
            Some("channel") => "app",
            Some("delivery") => "drone",
            _ => "PL",
        };
        self.to.as_deref().unwrap_or(usual)
    }

    /// Whether `part` is of the part of the traffic that changes.
    fn concerns(&self, part: &Part) -> bool {
        self.segment.as_ref().is_none_or(|segment| match segment.dimension {
            "channel" => segment.value == part.channel,
            "card_country" => part.country == Some(&*segment.value),
            _ => part.store.is_some_and(|store| segment.value == format!("store-{store:03}")),
        })
    }
}

impl Changes {
    /// The changes of traffic that begins at `start`.
    pub(super) fn new(changes: &[Change], start: EventTime) -> Changes {
        let mut planted: Vec<Planted> = (1..)
            .zip(changes)
            .map(|(place, change)| {
                let start = change.start(start);
                let end_ms = change.lasts.map(|lasts| start.plus(lasts).0);
                Planted { change: change.clone(), place, start_ms: start.0, end_ms }
            })
            .collect();
        planted.sort_by_key(|planted| planted.start_ms);
        Changes { planted }
    }

    /// What goes on at `now_ms`.
    pub(super) fn going_on(&self, now_ms: i64) -> impl Iterator<Item = &Planted> {
        self.planted.iter().filter(move |planted| {
            planted.start_ms <= now_ms && planted.end_ms.is_none_or(|end_ms| now_ms < end_ms)
        })
    }

    /// What goes on of that kind at `now_ms`.
    pub(super) fn of_kind(&self, kind: ChangeKind, now_ms: i64) -> impl Iterator<Item = &Planted> {
        self.going_on(now_ms).filter(move |planted| planted.change.kind == kind)
    }

    /// How high prices are at `now_ms`.
    pub(super) fn price_level(&self, now_ms: i64) -> Level {
        self.going_on(now_ms).fold(Level::USUAL, |level, planted| level.times(planted.change.price_factor()))
    }

    /// By how much there is more traffic at `now_ms`; 1 if nothing changes.
    pub(super) fn volume(&self, now_ms: i64) -> f64 {
        let sales = self.of_kind(ChangeKind::SaleDay, now_ms);
        sales.map(|planted| planted.change.strength).product::<f64>() * self.season(now_ms)
    }

    /// By how much there are more visits at tills among all at `now_ms`; 1 if nothing changes.
    pub(super) fn share_of_tills(&self, now_ms: i64) -> f64 {
        1.0 + (self.season(now_ms) - 1.0) / 2.0
    }

    /// By how much the seasons that have begun make more of the traffic.
    fn season(&self, now_ms: i64) -> f64 {
        let seasons = self.planted.iter().filter(|planted| planted.change.kind == ChangeKind::Season);
        seasons.map(|planted| 1.0 + (planted.change.strength - 1.0) * planted.progress(now_ms)).product()
    }

    /// The new stores that are open at `now_ms`, by the number in which they stand after the others.
    pub(super) fn new_stores(&self, now_ms: i64) -> impl Iterator<Item = (u64, &Planted)> {
        self.of_kind(ChangeKind::NewStore, now_ms).map(|planted| (planted.place, planted))
    }

    /// By how much ordinary fraud is more frequent in `part` at `now_ms`.
    pub(super) fn fraud_rate(&self, part: &Part, now_ms: i64) -> f64 {
        let changes = self.of_kind(ChangeKind::FraudRate, now_ms).filter(|planted| planted.concerns(part));
        changes.map(|planted| planted.change.strength).product()
    }

    /// Whether any of that kind is planted, at any time.
    pub(super) fn has(&self, kind: ChangeKind) -> bool {
        self.planted.iter().any(|planted| planted.change.kind == kind)
    }

    /// When prices change, in milliseconds since the epoch.
    pub(super) fn price_changes_ms(&self) -> impl Iterator<Item = i64> {
        let moves_prices = [ChangeKind::PriceLevel, ChangeKind::SaleDay];
        let planted = self.planted.iter().filter(move |planted| moves_prices.contains(&planted.change.kind));
        planted.flat_map(|planted| [Some(planted.start_ms), planted.end_ms]).flatten()
    }

    /// Whether nothing comes any more of that topic, from some time on.
    pub(super) fn silence_for_good(&self, topic: RawTopic) -> bool {
        self.planted.iter().any(|planted| planted.silences_for_good(topic))
    }

    /// Whether there are none at any time.
    pub(super) fn is_empty(&self) -> bool {
        self.planted.is_empty()
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Planted> {
        self.planted.iter()
    }

    /// The change at that place, by when they begin.
    pub(super) fn get(&self, place: usize) -> Option<&Planted> {
        self.planted.get(place)
    }
}

impl Planted {
    pub(super) fn start_ms(&self) -> i64 {
        self.start_ms
    }

    /// Its kind, as it is written.
    pub(super) fn name(&self) -> &'static str {
        self.change.of_kind().name
    }

    /// How much of its time has passed, from 0 to 1.
    fn progress(&self, now_ms: i64) -> f64 {
        let whole = self.end_ms.map_or(1, |end_ms| end_ms - self.start_ms).max(1);
        ((now_ms - self.start_ms) as f64 / whole as f64).clamp(0.0, 1.0)
    }

    /// Whether it concerns `part`.
    pub(super) fn concerns(&self, part: &Part) -> bool {
        self.change.concerns(part)
    }

    /// Dice of this change for what has that number. What they show depends on nothing else, so that no other draw is moved by
    /// them.
    pub(super) fn dice(&self, number: u64, scattered_seed: u64) -> Random {
        Random::new(mix(scattered_seed ^ mix(self.place)).wrapping_add(mix(number)))
    }

    /// The part of the traffic that changes.
    fn segment(&self) -> Option<ChangedSegment> {
        let (store, terminal) = TERMINAL;
        let value = || format!("store-{store:03}-t{terminal}");
        let of_terminal = || ChangedSegment { dimension: "terminal", value: value() };
        let is_terminal = self.change.kind == ChangeKind::Terminal;
        self.change.segment.clone().or_else(|| is_terminal.then(of_terminal))
    }

    /// Whether nothing of the topic comes any more.
    pub(super) fn silences_for_good(&self, topic: RawTopic) -> bool {
        let Change { kind, source, strength, segment, .. } = &self.change;
        let is_total = *kind == ChangeKind::Silent && segment.is_none() && *strength >= 1.0;
        is_total && *source == topic && self.end_ms.is_none()
    }

    /// What there is to say of it.
    pub(super) fn truth(&self) -> PlantedChange {
        let kind = self.change.of_kind();
        PlantedChange {
            kind: self.change.kind,
            at_ms: EventTime(self.start_ms),
            until_ms: self.end_ms.map(EventTime),
            strength: self.change.strength,
            segment: self.segment(),
            stream: self.change.source.name(),
            fields: self.change.field.into_iter().chain(kind.fields.iter().copied()).collect(),
            to: kind.has_to.then(|| self.change.to().to_owned()),
            announced_ms: kind.announced_before.map(|before| EventTime(self.start_ms).minus(before)),
            is_drift: kind.is_drift,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_goes_on_from_its_beginning_until_its_end() {
        let change = Change::drift("unit:at=2d,for=3h").unwrap();
        let start = EventTime(1_000);
        let changes = Changes::new(&[change], start);
        let from = 1_000 + 2 * 86_400_000;
        for (now_ms, expected) in
            [(from - 1, 0), (from, 1), (from + 3 * 3_600_000 - 1, 1), (from + 3 * 3_600_000, 0)]
        {
            assert_eq!(changes.going_on(now_ms).count(), expected, "{now_ms}");
        }
    }

    #[test]
    fn a_change_of_a_segment_concerns_that_alone() {
        let part = Part { channel: "store", country: Some("NL"), store: Some(3), payment: None };
        for (segment, expected) in [
            ("channel=store", true),
            ("channel=online", false),
            ("country=NL", true),
            ("country=DE", false),
            ("store=store-003", true),
            ("store=store-004", false),
        ] {
            let change = Change::drift(&format!("unit:at=1d,segment={segment}")).unwrap();
            assert_eq!(change.concerns(&part), expected, "{segment}");
        }
    }

    #[test]
    fn a_season_comes_slowly_and_stays() {
        let change = Change::honest("season:at=7d,for=4d,strength=2").unwrap();
        let changes = Changes::new(&[change], EventTime(0));
        let day_ms = 86_400_000;
        for (day, expected) in [(0, 1.0), (7, 1.0), (8, 1.25), (9, 1.5), (11, 2.0), (40, 2.0)] {
            let (volume, tills) = (changes.volume(day * day_ms), changes.share_of_tills(day * day_ms));
            assert!((volume - expected).abs() < 1e-9, "day {day}: {volume}");
            assert!((tills - (1.0 + expected) / 2.0).abs() < 1e-9, "day {day}: {tills}");
        }
    }

    #[test]
    fn every_kind_is_known_by_the_name_that_the_truth_gives_it() {
        for kind in &KINDS {
            assert_eq!(serde_json::to_value(kind.kind).unwrap(), kind.name);
        }
    }
}
