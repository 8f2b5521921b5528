//! What may be chosen about the traffic, and what is refused.

use super::change::{Change, ChangeKind, Changes};
use super::record::RawTopic;
use crate::time::EventTime;

/// What traffic to generate. The same settings give the same bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateSettings {
    /// Decides every random choice.
    pub seed: u64,
    /// Records to produce, copies and broken ones included.
    pub events: u64,
    /// Event time at which the shop opens. Late clicks of the first three hours are older; in the
    /// first minutes there are more beginnings of visits than later.
    pub start: EventTime,
    /// Records per second of event time, as the mean over a week; > 0.
    ///
    /// Nights have about an eighth of it, evenings nearly twice as much
    /// (see [`hour_of_week_intensity`](super::hour_of_week_intensity)).
    pub events_per_second: f64,
    /// How many records are not as they should be.
    pub shares: Shares,
    /// People who visit, 1 to 2³². Some come far more often than others.
    pub visitors: u64,
    /// Items in the catalogue, 1 to 2²⁰, of Zipf–Mandelbrot popularity.
    pub items: u64,
    /// One card tester and one bot are planted per so many records; 0 plants none.
    ///
    /// Streams of at least 10,000 records get one of each, shorter ones none.
    pub events_per_pattern: u64,
    /// The share of payments of which it becomes known what they were, from 0 to 1; above 0 those of planted card testers
    /// are all among them. With 0 there are no labels.
    pub labelled: f64,
    /// Whether the shop also tells of orders, the transactions of its tills, logins and changes of its catalogue; else of
    /// clicks, payments and labels alone.
    pub is_whole: bool,
    /// The share of payments that are fraud without a planted pattern, from 0 to 0.1: mostly large ones, by night, online. They are
    /// labelled as often as honest ones.
    pub ordinary_fraud: f64,
    /// Somebody else's model that predicts of payments whether what was paid for comes back: its name, 1 to 64 letters, digits, `.`, `-`
    /// or `_`. Its records come on top of the rate; without a name there are none.
    pub foreign_model: Option<String>,
    /// What changes in the course of it.
    pub changes: Vec<Change>,
}

/// Shares of all records that something odd happens to, each from 0 to 1, together at most 1.
///
/// No record has two oddities, and the records of planted patterns have none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// Arrives 1 to 60 s after it happened.
    pub out_of_order: f64,
    /// Arrives 1 to 3 hours after it happened.
    pub late: f64,
    /// Arrives a second time within 2 s, with the same bytes and timestamp.
    pub duplicate: f64,
    /// Breaks the contract; the four reasons share alike.
    pub broken: f64,
    /// Has an unknown event name or an unknown field.
    pub unknown: f64,
    /// Is a click whose clock is one to five days ahead.
    pub future: f64,
}

impl Shares {
    /// No oddities: everything arrives once, whole and in order.
    pub const NONE: Shares =
        Shares { out_of_order: 0.0, late: 0.0, duplicate: 0.0, broken: 0.0, unknown: 0.0, future: 0.0 };

    /// Every share with its name.
    fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("out_of_order", self.out_of_order),
            ("late", self.late),
            ("duplicate", self.duplicate),
            ("broken", self.broken),
            ("unknown", self.unknown),
            ("future", self.future),
        ]
    }
}

impl Default for Shares {
    fn default() -> Shares {
        Shares {
            out_of_order: 0.02,
            late: 0.002,
            duplicate: 0.005,
            broken: 0.001,
            unknown: 0.005,
            future: 0.0002,
        }
    }
}

impl Default for GenerateSettings {
    fn default() -> GenerateSettings {
        GenerateSettings {
            seed: 1,
            events: 100_000,
            // 2026-01-05T00:00:00Z, a Monday.
            start: EventTime(1_767_571_200_000),
            events_per_second: 50.0,
            shares: Shares::default(),
            visitors: 200_000,
            items: 5_000,
            events_per_pattern: 25_000,
            labelled: 0.0,
            is_whole: false,
            ordinary_fraud: 0.0,
            foreign_model: None,
            changes: Vec::new(),
        }
    }
}

/// The largest share of payments that may be fraud without a pattern.
const ORDINARY_FRAUD_MAX: f64 = 0.1;

/// Streams shorter than this hold no planted pattern, for there would be little else in them.
pub(super) const EVENTS_MIN_FOR_PATTERNS: u64 = 10_000;

impl GenerateSettings {
    /// How many card testers, and how many bots, are planned.
    pub(super) fn patterns(&self) -> u64 {
        if self.events_per_pattern == 0 || self.events < EVENTS_MIN_FOR_PATTERNS {
            return 0;
        }
        (self.events / self.events_per_pattern).max(1)
    }

    /// Whether every setting is in its range.
    ///
    /// # Errors
    ///
    /// [`GenerateError`] names the first that is not.
    pub fn check(&self) -> Result<(), GenerateError> {
        for (name, share) in self.shares.named() {
            if !(0.0..=1.0).contains(&share) {
                return Err(GenerateError::Share { name, share });
            }
        }
        if !(0.0..=1.0).contains(&self.labelled) {
            return Err(GenerateError::Share { name: "labelled", share: self.labelled });
        }
        let sum = self.shares.named().iter().map(|(_, share)| share).sum();
        if sum > 1.0 {
            return Err(GenerateError::SharesTooLarge { sum });
        }
        // Beyond a million per second, gaps between arrivals would fall below the resolution of
        // time.
        if !(1e-6..=1e6).contains(&self.events_per_second) {
            return Err(GenerateError::Rate { events_per_second: self.events_per_second });
        }
        if !(0..=EventTime::MAX.0 / 2).contains(&self.start.0) {
            return Err(GenerateError::Start { start_ms: self.start.0 });
        }
        for (name, count, count_max) in [("visitors", self.visitors, 1 << 32), ("items", self.items, 1 << 20)]
        {
            if !(1..=count_max).contains(&count) {
                return Err(GenerateError::Count { name, count, count_max });
            }
        }
        let changes = Changes::new(&self.changes, self.start);
        if [RawTopic::Clickstream, RawTopic::Payments].iter().all(|topic| changes.silence_for_good(*topic)) {
            return Err(GenerateError::Silence);
        }
        if !(0.0..=ORDINARY_FRAUD_MAX).contains(&self.ordinary_fraud) {
            return Err(GenerateError::OrdinaryFraud { share: self.ordinary_fraud });
        }
        let needs_fraud = [ChangeKind::FraudMoves, ChangeKind::FraudRate];
        if self.ordinary_fraud <= 0.0 && needs_fraud.into_iter().any(|kind| changes.has(kind)) {
            return Err(GenerateError::NoFraud);
        }
        if let Some(name) = self.foreign_model.as_ref().filter(|name| !is_plain(name)) {
            return Err(GenerateError::ForeignModel { name: name.clone() });
        }
        if self.foreign_model.is_none() && changes.has(ChangeKind::Degrades) {
            return Err(GenerateError::NoForeignModel);
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(is_plain)
}

/// Which setting is out of range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// A share is no share.
    #[error("share {name} must be from 0 to 1, not {share}")]
    Share {
        /// Which.
        name: &'static str,
        /// Its value.
        share: f64,
    },
    /// A record has at most one oddity.
    #[error("shares must sum to at most 1, not {sum}")]
    SharesTooLarge {
        /// Their sum.
        sum: f64,
    },
    /// The rate is out of range.
    #[error("events_per_second must be from 0.000001 to 1000000, not {events_per_second}")]
    Rate {
        /// The rate.
        events_per_second: f64,
    },
    /// Traffic cannot begin then.
    #[error("start must be from 0 to half of the last event time, not {start_ms}")]
    Start {
        /// The start in milliseconds since the epoch.
        start_ms: i64,
    },
    /// Too few or too many.
    #[error("{name} must be from 1 to {count_max}, not {count}")]
    Count {
        /// Of what.
        name: &'static str,
        /// How many.
        count: u64,
        /// How many there may be.
        count_max: u64,
    },
    /// Nothing would come any more, and the traffic never end.
    #[error("changes must leave clicks or payments")]
    Silence,
    /// A larger share would leave too few honest payments where most of the fraud is.
    #[error("ordinary_fraud must be from 0 to {ORDINARY_FRAUD_MAX}, not {share}")]
    OrdinaryFraud {
        /// The share.
        share: f64,
    },
    /// Fraud cannot change where there is none.
    #[error("fraud_moves and fraud_rate need ordinary_fraud")]
    NoFraud,
    /// The name stands in JSON as it is.
    #[error("foreign_model must be 1 to 64 letters, digits, `.`, `-` or `_`, not `{name}`")]
    ForeignModel {
        /// The name.
        name: String,
    },
    /// A model that is not there cannot degrade.
    #[error("degrades needs foreign_model")]
    NoForeignModel,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        type Change = fn(&mut GenerateSettings);
        let refused = |change: Change| {
            let mut settings = GenerateSettings::default();
            change(&mut settings);
            settings.check().map_err(|error| error.to_string())
        };
        assert_eq!(refused(|_| ()), Ok(()));
        let cases: [(Change, &str); 14] = [
            (|s| s.labelled = 1.5, "share labelled must be from 0 to 1, not 1.5"),
            (|s| s.shares.late = -0.1, "share late must be from 0 to 1, not -0.1"),
            (|s| s.shares.broken = f64::NAN, "share broken must be from 0 to 1, not NaN"),
            (
                |s| s.shares = Shares { late: 0.75, broken: 0.5, ..Shares::NONE },
                "shares must sum to at most 1, not 1.25",
            ),
            (|s| s.events_per_second = 0.0, "events_per_second must be from 0.000001 to 1000000, not 0"),
            (|s| s.start = EventTime(-1), "start must be from 0 to half of the last event time, not -1"),
            (|s| s.visitors = 0, "visitors must be from 1 to 4294967296, not 0"),
            (|s| s.items = 0, "items must be from 1 to 1048576, not 0"),
            (|s| s.items = 1_048_577, "items must be from 1 to 1048576, not 1048577"),
            (
                |s| {
                    let silent = ["silent:at=1d,strength=1", "silent:at=2d,source=payments,strength=1"];
                    s.changes = silent.map(|text| crate::generate::Change::drift(text).unwrap()).to_vec();
                },
                "changes must leave clicks or payments",
            ),
            (
                |s| s.foreign_model = Some("a b".to_owned()),
                "foreign_model must be 1 to 64 letters, digits, `.`, `-` or `_`, not `a b`",
            ),
            (
                |s| s.changes = vec![crate::generate::Change::drift("degrades:at=1d").unwrap()],
                "degrades needs foreign_model",
            ),
            (|s| s.ordinary_fraud = 0.2, "ordinary_fraud must be from 0 to 0.1, not 0.2"),
            (
                |s| s.changes = vec![crate::generate::Change::drift("fraud_rate:at=1d").unwrap()],
                "fraud_moves and fraud_rate need ordinary_fraud",
            ),
        ];
        for (change, message) in cases {
            assert_eq!(refused(change), Err(message.to_owned()));
        }
    }

    #[test]
    fn patterns_scale_with_the_events() {
        for (events, per_pattern, expected) in [
            (9_999, 25_000, 0),
            (10_000, 25_000, 1),
            (49_999, 25_000, 1),
            (50_000, 25_000, 2),
            (50_000, 0, 0),
        ] {
            let settings =
                GenerateSettings { events, events_per_pattern: per_pattern, ..GenerateSettings::default() };
            assert_eq!(settings.patterns(), expected, "{events} events");
        }
    }
}
