//! What the view reads of published records, and no more: a record of a newer contract may have fields that nobody here knows.

use crate::event::public::{Action, Text};
use crate::event::{EntityKind, LabelOutcome};
use crate::time::EventTime;
use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Of `features.session`.
#[derive(Debug, Deserialize)]
pub struct RunningHead<'a> {
    /// Whose session.
    #[serde(borrow)]
    pub visitor_id: Text<'a>,
    /// The session.
    #[serde(borrow)]
    pub session_id: Text<'a>,
    /// Its newest event.
    pub event_time_ms: EventTime,
    /// Its events.
    pub events: u32,
    /// From the first to the newest.
    pub dwell_ms: i64,
    /// `page_view` and `view_item` events.
    pub depth: u32,
    /// Of these, `view_item`.
    pub item_views: u32,
    /// Searches.
    pub searches: u32,
    /// `add_to_cart` events.
    pub cart_adds: u32,
    /// `begin_checkout` events.
    pub checkouts: u32,
    /// `purchase` events.
    pub purchases: u32,
    /// What is in the cart.
    #[serde(borrow)]
    pub cart: BTreeMap<Text<'a>, u32>,
    /// How often each category was touched.
    #[serde(borrow)]
    pub categories: BTreeMap<Text<'a>, u32>,
    /// The most recent distinct items, newest first.
    #[serde(borrow)]
    pub last_items: Vec<Text<'a>>,
}

impl RunningHead<'_> {
    /// Its items, the newest first.
    #[must_use]
    pub fn items(&self) -> Vec<&str> {
        self.last_items.iter().map(|item| &**item).collect()
    }

    /// Its categories, the most touched first, of equal ones by name.
    #[must_use]
    pub fn most_touched(&self) -> Vec<&str> {
        let mut categories: Vec<_> = self.categories.iter().collect();
        categories.sort_by_key(|(_, touches)| Reverse(**touches));
        categories.into_iter().map(|(category, _)| &**category).collect()
    }
}

/// Of `sessions`.
#[derive(Debug, Deserialize)]
pub struct SessionHead<'a> {
    /// Whose session.
    #[serde(borrow)]
    pub visitor_id: Text<'a>,
    /// The session.
    #[serde(borrow)]
    pub session_id: Text<'a>,
    /// No further revision will come.
    pub is_final: bool,
    /// Its first event.
    pub start_ms: EventTime,
    /// Its last event.
    pub end_ms: EventTime,
    /// From the first to the last.
    pub duration_ms: i64,
    /// Its events.
    pub events: u32,
    /// Of these, purchases.
    pub purchases: u32,
    /// The most recent distinct items, newest first.
    #[serde(borrow)]
    pub last_items: Vec<Text<'a>>,
}

/// Of `features.fraud`.
#[derive(Debug, Deserialize)]
pub struct FeaturesHead<'a> {
    /// The kind of entity.
    pub entity: EntityKind,
    /// Its id.
    #[serde(borrow)]
    pub entity_id: Text<'a>,
    /// The decision they were computed for.
    #[serde(borrow)]
    pub decision_id: Text<'a>,
    /// As of when the values are.
    pub event_time_ms: EventTime,
    /// By flat name.
    #[serde(borrow)]
    pub features: BTreeMap<Text<'a>, f64>,
    /// Those that are estimates, with their relative error.
    #[serde(borrow)]
    pub estimates: BTreeMap<Text<'a>, f64>,
}

/// Of `scores.fraud`.
#[derive(Debug, Deserialize)]
pub struct ScoreHead<'a> {
    /// The decision.
    #[serde(borrow)]
    pub decision_id: Text<'a>,
    /// When the payment was attempted.
    pub event_time_ms: EventTime,
    /// Its amount.
    pub amount_minor: Option<i64>,
    /// ISO 4217.
    #[serde(borrow)]
    pub currency: Option<Text<'a>>,
    /// The score.
    pub score: f64,
    /// What to do.
    pub decision: Action,
    /// The entities whose part is in it, by kind.
    #[serde(borrow)]
    pub entities: BTreeMap<Text<'a>, Text<'a>>,
}

/// Of `quality.fraud` and `quality.expected`.
#[derive(Debug, Deserialize)]
pub struct QualityHead<'a> {
    /// Which score.
    #[serde(borrow)]
    pub score: Text<'a>,
    /// Of which day.
    pub day_ms: EventTime,
}

/// Of `business.minutes`.
#[derive(Debug, Deserialize)]
pub struct MinuteHead<'a> {
    /// Which minute.
    pub minute_ms: EventTime,
    /// In which channel; all without one.
    #[serde(borrow)]
    pub channel: Option<Text<'a>>,
    /// At which store.
    #[serde(borrow)]
    pub store_id: Option<Text<'a>>,
}

/// Of `drift.features`.
#[derive(Debug, Deserialize)]
pub struct WindowHead<'a> {
    /// Of which score's decisions.
    #[serde(borrow)]
    pub stream: Text<'a>,
    /// Of which field.
    #[serde(borrow)]
    pub feature: Text<'a>,
    /// When it begins.
    pub window_start_ms: EventTime,
}

/// Of `labelled.fraud`.
#[derive(Debug, Deserialize)]
pub struct LabelHead<'a> {
    /// The decision.
    #[serde(borrow)]
    pub decision_id: Text<'a>,
    /// When it became known.
    pub known_at_ms: EventTime,
    /// What the payment was.
    pub outcome: LabelOutcome,
}
