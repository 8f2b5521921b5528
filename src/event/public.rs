//! The records that other teams read, as they stand in JSON on the public topics.
//!
//! Field order is part of the bytes; maps are ordered by key. Times are milliseconds since the Unix
//! epoch, money is in minor units of the currency beside it (or of the shop where none is).
//! The JSON Schemas of these records are in `schemas/`.

use super::alert::Histogram;
use super::copy::LabelOutcome;
use super::entity::EntityKind;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A text that is borrowed from state when written and owned when read.
pub type Text<'a> = Cow<'a, str>;

/// A revision of a visitor's session. Topic `sessions`, key = visitor id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRecord<'a> {
    /// Whose session.
    pub visitor_id: Text<'a>,
    /// 16 hexadecimal digits: a function of visitor and start.
    pub session_id: Text<'a>,
    /// 1 for the first publication of this id, then one more each time.
    pub revision: u32,
    /// Ids of published sessions that this one takes the place of (it merged them, or its start moved).
    pub supersedes: Vec<Text<'a>>,
    /// No further revision will come.
    pub is_final: bool,
    /// Time of the first event.
    pub start_ms: EventTime,
    /// Time of the last event.
    pub end_ms: EventTime,
    /// `end_ms - start_ms`.
    pub duration_ms: i64,
    /// The latest known customer (a pseudonym).
    pub customer_id: Option<Text<'a>>,
    /// The latest known device.
    pub device_id: Option<Text<'a>>,
    /// Events of any name, and orders that were placed.
    pub events: u32,
    /// `page_view` events.
    pub page_views: u32,
    /// `view_item` events.
    pub item_views: u32,
    /// `search` and `view_search_results` events.
    pub searches: u32,
    /// `add_to_cart` events.
    pub cart_adds: u32,
    /// `remove_from_cart` events.
    pub cart_removes: u32,
    /// `begin_checkout` events.
    pub checkouts: u32,
    /// `purchase` events and orders that were placed; what names one order counts once.
    pub purchases: u32,
    /// `refund` events.
    pub refunds: u32,
    /// Events whose name the contract does not know.
    pub other_events: u32,
    /// Value of purchases less refunds, in minor units, by currency.
    pub revenue_minor: BTreeMap<Text<'a>, i64>,
    /// Items of the session's events by category: how often each category was touched.
    pub categories: BTreeMap<Text<'a>, u32>,
    /// The most recent distinct items, newest first, at most 20.
    pub last_items: Vec<Text<'a>>,
    /// What is left in the cart: added less removed, where above zero.
    pub cart: BTreeMap<Text<'a>, u32>,
    /// The page of the first event that had one.
    pub landing_page: Option<Text<'a>>,
    /// The page of the last event that had one.
    pub exit_page: Option<Text<'a>>,
    /// The campaign of the first event that had one.
    pub campaign: Option<Campaign<'a>>,
    /// How it ended, or stands.
    pub outcome: Outcome,
}

/// Where a visitor came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the three names of the contract")]
pub struct Campaign<'a> {
    pub source: Option<Text<'a>>,
    pub medium: Option<Text<'a>>,
    pub name: Option<Text<'a>>,
}

/// How a session stands: the first of these that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// At least one purchase.
    Purchased,
    /// A checkout was begun, and no purchase.
    CheckoutAbandoned,
    /// Something was put into the cart, and no checkout begun.
    CartAbandoned,
    /// More than one event.
    Browsed,
    /// A single event.
    Bounced,
}

/// The features of a visitor's running session. Topic `features.session`, key = visitor id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionFeatures<'a> {
    /// Whose session.
    pub visitor_id: Text<'a>,
    /// The session as it is known now.
    pub session_id: Text<'a>,
    /// The session's newest event.
    pub event_time_ms: EventTime,
    /// `page_view` and `view_item` events.
    pub depth: u32,
    /// Events of any name, and orders that were placed.
    pub events: u32,
    /// From the first to the newest event.
    pub dwell_ms: i64,
    /// `search` and `view_search_results` events.
    pub searches: u32,
    /// `view_item` events.
    pub item_views: u32,
    /// `add_to_cart` events.
    pub cart_adds: u32,
    /// `begin_checkout` events.
    pub checkouts: u32,
    /// `purchase` events and orders that were placed; what names one order counts once.
    pub purchases: u32,
    /// How often each category was touched.
    pub categories: BTreeMap<Text<'a>, u32>,
    /// Prices of the items touched by `view_item`; absent while none had a price.
    pub price_level: Option<PriceLevel>,
    /// What is in the cart: added less removed, where above zero.
    pub cart: BTreeMap<Text<'a>, u32>,
    /// The most recent distinct items, newest first, at most 20.
    pub last_items: Vec<Text<'a>>,
}

/// Prices in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceLevel {
    /// The mean over views.
    pub mean_minor: f64,
    /// The lowest.
    pub min_minor: i64,
    /// The highest.
    pub max_minor: i64,
}

/// One entity's features at a payment. Topic `features.fraud`, key = entity id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FraudFeatures<'a> {
    /// The kind of entity.
    pub entity: EntityKind,
    /// Its id; a pseudonym for customer, card and ip.
    pub entity_id: Text<'a>,
    /// The decision they were computed for (32 hexadecimal digits).
    pub decision_id: Text<'a>,
    /// The payment they were computed for.
    pub payment_id: Text<'a>,
    /// When it was attempted: the values are as of this time.
    pub event_time_ms: EventTime,
    /// Flat feature name and value; one without a value (a mean of nothing) is left out.
    pub features: BTreeMap<Text<'a>, f64>,
    /// The features above that are estimates, with their relative error: for distinct counts the
    /// standard error of sampling or, if larger, the share of values that may not belong to the window;
    /// for what is counted in buckets, the share of the window by which it may be too long.
    pub estimates: BTreeMap<Text<'a>, f64>,
}

/// The score of a payment and the decision. Topic `scores.fraud`, key = decision id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FraudScore<'a> {
    /// A function of the payment's id (32 hexadecimal digits).
    pub decision_id: Text<'a>,
    /// The payment. Absent if its own part never came.
    pub payment_id: Option<Text<'a>>,
    /// When it was attempted.
    pub event_time_ms: EventTime,
    /// Amount in minor units of `currency`.
    pub amount_minor: Option<i64>,
    /// ISO 4217.
    pub currency: Option<Text<'a>>,
    /// From 0 to 1: 1 − Π(1 − weight) over the live rules that fired, and the model if it is live, as one more of the weight of
    /// its score.
    pub score: f64,
    /// What to do.
    pub decision: Action,
    /// The live rules that fired, by contribution, largest first.
    pub reasons: Vec<Reason<'a>>,
    /// Rules in shadow that would have fired, by id.
    pub shadow: Vec<Text<'a>>,
    /// Live and shadow rules that could not be evaluated.
    pub not_evaluated: Vec<NotEvaluated<'a>>,
    /// The entities whose part is in it, by kind.
    pub entities: BTreeMap<Text<'a>, Text<'a>>,
    /// The kinds whose part had not come when the deadline was reached.
    pub missing_parts: Vec<EntityKind>,
    /// The version of the rules.
    pub rules_version: u32,
    /// What the model said, live or in shadow; absent without one, or before it has learned anything.
    pub model: Option<ModelOpinion<'a>>,
}

/// What a model says of a payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelOpinion<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// The version of its weights.
    pub version: u32,
    /// The probability of fraud.
    pub score: f64,
    /// Whether it is part of the score; else it is in shadow, for it has seen too few labels.
    pub is_live: bool,
    /// Its share of the payment's score: ln(1 − score) over the sum of the same and of ln(1 − weight) over all rules that fired; 0
    /// in shadow.
    pub contribution: f64,
    /// What raises its score most, largest first.
    pub factors: Vec<Factor<'a>>,
}

/// An input of a model, or two that count together, and what they add.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor<'a> {
    /// The inputs with their values; null for one that has none.
    pub inputs: BTreeMap<Text<'a>, serde_json::Value>,
    /// The windows of those that have one, in milliseconds; of a value made of several the longest.
    pub windows_ms: BTreeMap<Text<'a>, i64>,
    /// What they add to the logarithm of the odds.
    pub log_odds: f64,
}

/// A score and what its payment turned out to be. Topic `labelled.fraud`, key = decision id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledScore<'a> {
    /// As in the score (32 hexadecimal digits).
    pub decision_id: Text<'a>,
    /// The payment. Absent if its own part never came.
    pub payment_id: Option<Text<'a>>,
    /// When it was attempted.
    pub event_time_ms: EventTime,
    /// Amount in minor units of `currency`.
    pub amount_minor: Option<i64>,
    /// ISO 4217.
    pub currency: Option<Text<'a>>,
    /// As it was published, before the label was known.
    pub score: f64,
    /// What was done.
    pub decision: Action,
    /// The version of the rules that decided.
    pub rules_version: u32,
    /// What the payment was.
    pub outcome: LabelOutcome,
    /// When that became known.
    pub known_at_ms: EventTime,
    /// Who says so, such as `chargeback`.
    pub source: Text<'a>,
    /// The producer's id of the label.
    pub label_id: Text<'a>,
}

/// What a model that runs elsewhere predicted, and what came of it. Topic `labelled.predictions`, key = prediction id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledPrediction<'a> {
    /// The model.
    pub model: Text<'a>,
    /// The version of it, if it said so.
    pub version: Option<Text<'a>>,
    /// As in the prediction.
    pub prediction_id: Text<'a>,
    /// When it was made.
    pub event_time_ms: EventTime,
    /// Amount in minor units of `currency`.
    pub amount_minor: Option<i64>,
    /// ISO 4217.
    pub currency: Option<Text<'a>>,
    /// As it was given, before the label was known.
    pub score: f64,
    /// What was done, in the words of whoever asked.
    pub decision: Option<Text<'a>>,
    /// What came of it: `positive` is what the score gives the probability of.
    pub outcome: LabelOutcome,
    /// When that became known.
    pub known_at_ms: EventTime,
    /// Who says so.
    pub source: Text<'a>,
    /// The producer's id of the label.
    pub label_id: Text<'a>,
}

/// How good the scores of one day are expected to be, from what scores like them turned out to be. Topic `quality.expected`, key = name of
/// the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedQuality<'a> {
    /// Which score: `fraud`, or the name of a model.
    pub score: Text<'a>,
    /// The beginning of the day (UTC) on which they were given.
    pub day_ms: EventTime,
    /// 1 for the first publication of this day, then one more each time.
    pub revision: u32,
    /// No label of this day is waited for any longer: what was expected stands beside what was measured.
    pub is_final: bool,
    /// The hour of event time that had begun when this was published.
    pub as_of_ms: EventTime,
    /// Scores of the day so far: all of them, whether or not they have a label.
    pub scored: u64,
    /// Scores of the day that have a label; those that came too late to be counted among the scores, too.
    pub labelled: u64,
    /// How many of the highest scores `precision_at_k` looks at.
    pub k: u64,
    /// From how many labels the rates are known; old ones count for less.
    pub calibrated_by: u64,
    /// With how many days that are final such expectations were compared; old ones count for less. 0: the error is a computed one.
    pub compared_days: u64,
    /// `positive_rate`, `average_precision`, `precision_at_k`, `log_loss`, `brier`.
    pub figures: BTreeMap<Text<'a>, ExpectedFigure>,
}

/// What is expected of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFigure {
    /// Over all scores of the day.
    pub expected: f64,
    /// One standard error of it, in the figure's own unit.
    pub error: f64,
    /// Of a day that is final and has labels: over the scores that have one.
    pub of_labelled: Option<LabelledFigure>,
}

/// A figure over the scores that have a label.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledFigure {
    /// What was expected of them.
    pub expected: f64,
    /// What their labels say.
    pub measured: f64,
}

/// The vector that a decision used. Topic `vectors.fraud`, key = decision id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionVector<'a> {
    /// As in the score (32 hexadecimal digits).
    pub decision_id: Text<'a>,
    /// The payment. Absent if its own part never came.
    pub payment_id: Option<Text<'a>>,
    /// When it was attempted: the values are as of this time.
    pub event_time_ms: EventTime,
    /// Amount in minor units of `currency`.
    pub amount_minor: Option<i64>,
    /// ISO 4217.
    pub currency: Option<Text<'a>>,
    /// The payment's channel.
    pub channel: Option<Text<'a>>,
    /// As it was published.
    pub score: f64,
    /// What was done.
    pub decision: Action,
    /// The version of the rules that decided.
    pub rules_version: u32,
    /// The probability of fraud by the model, live or in shadow.
    pub model_score: Option<f64>,
    /// The version of the weights it had.
    pub model_version: Option<u32>,
    /// Flat feature name and value, values made of several included; one without a value is left out.
    pub features: BTreeMap<Text<'a>, f64>,
    /// The kinds whose part had not come when the deadline was reached.
    pub missing_parts: Vec<EntityKind>,
}

/// How good the scores of one day are, by the labels that have come for it. Topic `quality.fraud`, key = name of the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreQuality<'a> {
    /// Which score: `fraud`.
    pub score: Text<'a>,
    /// The beginning of the day (UTC) on which the payments were attempted.
    pub day_ms: EventTime,
    /// 1 for the first publication of this day, then one more each time.
    pub revision: u32,
    /// No label of this day is waited for any longer.
    pub is_final: bool,
    /// The hour of event time that had begun when this was published. Labels are in it as they came: some of an earlier time may
    /// come yet.
    pub as_of_ms: EventTime,
    /// Scores that have a label.
    pub labelled: u64,
    /// Of these, frauds.
    pub frauds: u64,
    /// The area under precision over recall, as a sum over the scores from the highest down; absent without a fraud.
    pub average_precision: Option<f64>,
    /// How many of a day's payments [`ScoreQuality::precision_at_k`] looks at.
    pub k: u64,
    /// The share of frauds among the `k` highest scores (among all, if there are fewer).
    pub precision_at_k: f64,
    /// Mean difference of mean score and share of frauds over ten groups of scores of equal size.
    pub calibration_error: f64,
    /// Mean of −ln of what the score gave to what happened; scores count as at least 10⁻⁶ away from 0 and 1.
    pub log_loss: f64,
    /// Mean square of score less what happened (1 for fraud).
    pub brier: f64,
    /// What was done with how many of which outcome.
    pub decisions: BTreeMap<Action, DecisionQuality>,
    /// Amounts of frauds that were approved or only reviewed, in minor units by currency.
    pub missed_minor: BTreeMap<Text<'a>, i64>,
    /// Amounts of frauds that were stepped up or declined, in minor units by currency.
    pub stopped_minor: BTreeMap<Text<'a>, i64>,
}

/// What became of the payments with one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the outcomes of the label contract")]
pub struct DecisionQuality {
    pub legitimate: u64,
    pub fraud: u64,
}

/// What to show to a visitor whose session runs. Topic `recommendations`, key = visitor id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushedRecommendations<'a> {
    /// Whose session.
    pub visitor_id: Text<'a>,
    /// The session.
    pub session_id: Text<'a>,
    /// Its newest event.
    pub event_time_ms: EventTime,
    /// The best first.
    pub items: Vec<RecommendedItem<'a>>,
}

/// An item, and why it is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecommendedItem<'a> {
    /// The item.
    #[schema(value_type = String)]
    pub item_id: Text<'a>,
    /// Comparable within this answer, between items of the same reason; null where popularity decides.
    pub score: Option<f64>,
    /// Why it is recommended.
    pub reason: RecommendationReason<'a>,
}

/// Why an item is recommended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum RecommendationReason<'a> {
    /// Sessions like this one held it, most of all because both held `item_id`.
    SimilarSessions {
        /// The item that both held.
        #[schema(value_type = String)]
        item_id: Text<'a>,
    },
    /// It is popular in a category of this session.
    PopularInCategory {
        /// The category.
        #[schema(value_type = String)]
        category: Text<'a>,
    },
    /// It is popular.
    Popular,
}

/// A revision of what a store's tills took on one of its days. Topic `business.days`, key = store id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreDayRecord<'a> {
    /// Whose day.
    pub store_id: Text<'a>,
    /// The store's own day as `YYYY-MM-DD`.
    pub business_day: Text<'a>,
    /// 1 for the first publication of this day, then one more each time.
    pub revision: u32,
    /// No further revision will come.
    pub is_final: bool,
    /// Transactions neither void nor in training, with at least one line that was not cancelled.
    pub baskets: u64,
    /// Of these, those in which money was paid back for an item.
    pub returns: u64,
    /// Pieces sold.
    pub items_sold: u64,
    /// Pieces returned.
    pub items_returned: u64,
    /// What was paid less what was paid back, in minor units by currency.
    pub revenue_minor: BTreeMap<Text<'a>, i64>,
    /// What was taken off, in minor units by currency, where anything was.
    pub discount_minor: BTreeMap<Text<'a>, i64>,
    /// Lines with a coupon.
    pub coupons: u64,
    /// Transactions that were cancelled before their end.
    pub voids: u64,
    /// Transactions of tills in training mode, cancelled or not.
    pub trainings: u64,
    /// Baskets that were rung up while the till had no connection.
    pub offline: u64,
    /// When the first basket ended; absent without any.
    pub first_ms: Option<EventTime>,
    /// When the last basket ended; absent without any.
    pub last_ms: Option<EventTime>,
}

/// What a field of a stream looked like in a window, beside what is usual at that hour of the week. Topic `drift.features`, key =
/// stream and feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureWindow {
    /// The score whose decisions they are of.
    pub stream: String,
    /// The field.
    pub feature: String,
    /// The beginning of the window.
    pub window_start_ms: EventTime,
    /// Its length.
    pub window_ms: i64,
    /// Records in it.
    pub records: u64,
    /// The share of these without a value.
    pub missing: f64,
    /// What is usual; absent before it is known.
    pub missing_expected: Option<f64>,
    /// How far its values are from what is usual: `psi`, `js`, `chi_square`; of numbers also `ks` and `wasserstein`. None before that is
    /// known, or of fewer than 20 values.
    pub measures: BTreeMap<String, f64>,
    /// There is so much evidence of a change that an alert stands.
    pub is_moving: bool,
    /// Shares of the values, now and usually; absent before there are cells.
    pub histogram: Option<Histogram>,
}

/// What the shop did in a minute of event time: at a store, in a channel (no store), or in all (no channel). Topic
/// `business.minutes`, key = channel and store, `all` where there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusinessMinute<'a> {
    /// The beginning of the minute.
    pub minute_ms: EventTime,
    /// `online` or `store`; absent for all.
    pub channel: Option<Text<'a>>,
    /// The store, at tills.
    pub store_id: Option<Text<'a>>,
    /// Visitors of whom an event came.
    pub visitors: u64,
    /// Sessions that ended: whose gap after the last event passed in the minute.
    pub ended: u64,
    /// Of these, those that looked at an item or went further.
    pub viewed: u64,
    /// That put one into the cart or went further.
    pub carted: u64,
    /// That began a checkout or went further.
    pub checked_out: u64,
    /// That bought something.
    pub purchased: u64,
    /// That had come as far as the cart, and bought nothing.
    pub abandoned: u64,
    /// Orders, and transactions of tills that sold something.
    pub baskets: u64,
    /// Pieces in them.
    pub items: u64,
    /// What they were worth, in minor units by currency.
    pub revenue_minor: BTreeMap<Text<'a>, i64>,
    /// Refunds, and transactions of tills that paid something back.
    pub refunds: u64,
    /// What was paid back, in minor units by currency.
    pub refunded_minor: BTreeMap<Text<'a>, i64>,
    /// Lists of recommendations that were shown.
    pub recommended: u64,
    /// Items that were clicked in them.
    pub recommended_clicked: u64,
    /// `purchased` of `ended`.
    pub conversion: Option<f64>,
    /// `abandoned` of `carted`.
    pub abandonment: Option<f64>,
    /// `refunds` per basket.
    pub refund_rate: Option<f64>,
    /// `recommended_clicked` per list that was shown.
    pub recommendation_click_rate: Option<f64>,
}

/// A label that no decision took. On topic `dead-letter`, key = decision id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnmatchedLabel<'a> {
    /// The decision that it is about (32 hexadecimal digits).
    pub decision_id: Text<'a>,
    /// The producer's id of the label.
    pub label_id: Text<'a>,
    /// When it became known.
    pub known_at_ms: EventTime,
    /// What the payment was.
    pub outcome: LabelOutcome,
    /// Who says so.
    pub source: Text<'a>,
}

/// What a decision asks of the checkout, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Let it pass.
    Approve,
    /// Let it pass and have it looked at.
    Review,
    /// Ask for a stronger proof of identity first.
    StepUp,
    /// Refuse it.
    Decline,
}

impl Action {
    /// Every action by its name, the mildest first.
    pub const NAMES: [(&'static str, Action); 4] = [
        ("approve", Action::Approve),
        ("review", Action::Review),
        ("step_up", Action::StepUp),
        ("decline", Action::Decline),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Action::NAMES.into_iter().find_map(|(name, action)| (action == self).then_some(name)).unwrap_or("")
    }
}

/// Why a rule moved the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason<'a> {
    /// The rule's id.
    pub rule: Text<'a>,
    /// Its reason code.
    pub code: Text<'a>,
    /// Its weight.
    pub weight: f64,
    /// Its share of the score: ln(1 − weight) over the sum of the same over all that fired, and of ln(1 − score) of a live model.
    pub contribution: f64,
    /// The features and payment fields it read, with their values.
    pub inputs: BTreeMap<Text<'a>, serde_json::Value>,
    /// The windows of those that have one, in milliseconds; of a value made of several the longest.
    pub windows_ms: BTreeMap<Text<'a>, i64>,
}

/// A rule that reads something that is not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotEvaluated<'a> {
    /// The rule's id.
    pub rule: Text<'a>,
    /// What it reads and is missing, or the fault of its evaluation.
    pub because: Vec<Text<'a>>,
}

/// A copy of an event that came too late to change anything. Topic `late`, key = entity id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LateRecord<'a> {
    /// The kind of entity for which it is late.
    pub entity: EntityKind,
    /// Its id.
    pub entity_id: Text<'a>,
    /// The producer's id of the event.
    pub event_id: Text<'a>,
    /// When it happened.
    pub event_time_ms: EventTime,
    /// The task's watermark when it came.
    pub watermark_ms: EventTime,
    /// The session it would have belonged to, if it is still known.
    pub missed_session: Option<MissedSession<'a>>,
    /// Where the event stands in its raw topic.
    pub origin: Origin<'a>,
}

/// A session that had closed when a late event came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "as in SessionRecord")]
pub struct MissedSession<'a> {
    pub session_id: Text<'a>,
    pub start_ms: EventTime,
    pub end_ms: EventTime,
}

/// The place of a record in a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "as in Kafka")]
pub struct Origin<'a> {
    pub topic: Text<'a>,
    pub partition: u32,
    pub offset: i64,
}
