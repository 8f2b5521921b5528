//! What goes out to those on call: episodes, revision by revision, as they stand in JSON on the topics `alerts.*`; and what comes
//! back from them.

use crate::time::{EventTime, Period};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A revision of an episode: of something that is not as it should be, from when it began until it has ended. Topics
/// `alerts.drift`, `alerts.fraud` and `alerts.business`, key = fingerprint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// The episode (16 hexadecimal digits): a function of fingerprint and detection.
    pub alert_id: String,
    /// What it is about (16 hexadecimal digits): the next episode about the same has the same.
    pub fingerprint: String,
    /// 1 for the first publication of this episode, then one more each time.
    pub revision: u32,
    /// Whether it goes on.
    pub status: AlertStatus,
    /// What sort of thing it is.
    pub kind: AlertKind,
    /// Who has to know, and how soon.
    pub severity: Severity,
    /// It in one line.
    pub title: String,
    /// The score, model or stream that it is about, or the entity.
    pub subject: String,
    /// The part of the traffic in which it is largest, if it is not everywhere alike.
    pub segment: Option<AlertSegment>,
    /// When it began, by event time: the change point, not when it was noticed.
    #[schema(value_type = i64)]
    pub since_ms: EventTime,
    /// The event time by which it was noticed.
    #[schema(value_type = i64)]
    pub detected_ms: EventTime,
    /// The event time of this revision.
    #[schema(value_type = i64)]
    pub as_of_ms: EventTime,
    /// The event time by which it had ended.
    #[schema(value_type = Option<i64>)]
    pub resolved_ms: Option<EventTime>,
    /// How it ended.
    pub resolution: Option<Resolution>,
    /// Who has taken it on.
    pub acknowledged: Option<Acknowledgement>,
    /// Until when, by event time, nobody wants to hear of it.
    #[schema(value_type = Option<i64>)]
    pub muted_until_ms: Option<EventTime>,
    /// What moved, the largest first, at most 20.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub findings_total: u32,
    /// What changed upstream shortly before it began.
    pub causes: Vec<Cause>,
    /// The models and rules that read what moved.
    pub read_by: Vec<String>,
    /// Decisions or records since it began.
    pub decisions: u64,
    /// What these were worth, in minor units by currency.
    pub money_minor: BTreeMap<String, i64>,
    /// The share of the subject's traffic that it concerns, from 0 to 1.
    pub share: f64,
    /// A command that shows the records.
    pub command: String,
    /// The entry of the runbook.
    pub runbook: String,
}

/// Whether an episode goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// It does.
    Open,
    /// It has ended; this is its last revision, unless somebody acknowledges it later.
    Resolved,
}

/// Of what labels say: by how much at least it is worse than before, as far as the samples since are certain (two standard errors).
pub const AT_LEAST: &str = "at_least";

/// The finding about how many of the labelled were frauds.
pub const FRAUD_RATE: &str = "fraud_rate";

/// The finding about how many predictions of a model elsewhere came true.
pub const POSITIVE_RATE: &str = "positive_rate";
/// The share of sessions with a cart that end without a purchase.
pub const ABANDONMENT: &str = "abandonment";
/// Refunds for each basket.
pub const REFUND_RATE: &str = "refund_rate";

/// What sort of thing an episode is. Its name is that of an entry in the runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Values that models read look otherwise than they did at this hour of the week.
    DataDrift,
    /// Scores and outcomes no longer go together as they did.
    ConceptDrift,
    /// Far more or far fewer records than at this hour of the week.
    Volume,
    /// A pattern of fraud around one entity.
    FraudPattern,
    /// A figure of the business is not what it is at this hour of the week.
    Business,
}

impl AlertKind {
    /// Every kind with its name.
    pub const NAMES: [(&'static str, AlertKind); 5] = [
        ("data_drift", AlertKind::DataDrift),
        ("concept_drift", AlertKind::ConceptDrift),
        ("volume", AlertKind::Volume),
        ("fraud_pattern", AlertKind::FraudPattern),
        ("business", AlertKind::Business),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        AlertKind::NAMES.into_iter().find_map(|(name, kind)| (kind == self).then_some(name)).unwrap_or("")
    }
}

/// Who has to know, and how soon; the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nobody: it is explained by something that was announced or changed on purpose.
    Info,
    /// Somebody, by tomorrow.
    Ticket,
    /// Whoever is on call, now.
    Page,
}

impl Severity {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Ticket => "ticket",
            Severity::Page => "page",
        }
    }
}

/// How an episode ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Everything is as it was.
    Recovered,
    /// It has gone on for so long that it is the reference now.
    Adopted,
    /// Somebody said that it was to be expected; it is the reference now.
    Expected,
}

/// A part of a stream's traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertSegment {
    /// The field that divides the traffic, such as `channel`.
    pub dimension: String,
    /// Its value.
    pub value: String,
    /// How much of all that moved moved there, from 0 to 1.
    pub share_of_change: f64,
}

impl Finding {
    /// How near it is to what is to be told of `part`, where most of what moved moved: 0 in that part, 1 in all of the traffic, 2 in another
    /// part.
    #[must_use]
    pub fn distance_from(&self, part: Option<&AlertSegment>) -> u8 {
        match (&self.segment, part) {
            (Some(of), Some(part)) if (&of.dimension, &of.value) == (&part.dimension, &part.value) => 0,
            (None, _) => 1,
            (Some(_), _) => 2,
        }
    }
}

/// Who has taken an episode on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// When, by event time.
    #[schema(value_type = i64)]
    pub at_ms: EventTime,
    /// What they said.
    pub note: Option<String>,
}

/// Something that moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The feature, field or figure.
    pub feature: String,
    /// What of it.
    pub what: Moved,
    /// Where, if not in all of the traffic.
    pub segment: Option<AlertSegment>,
    /// Of names, the one that moved most; of numbers whose median has not moved, where they lie (`> 0`); of values of another type, which.
    pub category: Option<String>,
    /// From what, in the unit of the feature: a median, a share or a rate.
    pub from: f64,
    /// To what.
    pub to: f64,
    /// When it began.
    #[schema(value_type = i64)]
    pub since_ms: EventTime,
    /// The end of the window that showed it last.
    #[schema(value_type = i64)]
    pub until_ms: EventTime,
    /// Values since it began.
    pub count: u64,
    /// Values in the reference, as many as they weigh.
    pub reference_count: f64,
    /// How large it is: the population stability index of the values, or the relative change of a figure.
    pub effect: f64,
    /// Distances between the values and the reference, by name: `psi`, `js`, `ks`, `wasserstein`, `chi_square`, `p_value`; of what labels
    /// say, [`AT_LEAST`].
    pub measures: BTreeMap<String, f64>,
    /// The evidence against the reference.
    pub statistic: f64,
    /// The statistic at which it is one.
    pub threshold: f64,
    /// The values and the reference over the same bins or categories, if it is about their distribution.
    pub histogram: Option<Histogram>,
}

/// What of a feature moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Moved {
    /// The distribution of its values.
    Distribution,
    /// The share of records without a value.
    Missing,
    /// The share of values that are no finite numbers.
    NonFinite,
    /// Names that were not there.
    NewCategories,
    /// All values by one factor, as if by another unit.
    Unit,
    /// The number of records.
    Volume,
    /// The rate of an outcome or of errors.
    Rate,
    /// The mean of a value.
    Level,
    /// Payments that a rule reacted to.
    Pattern,
}

/// Shares of the values, now and in the reference, over the same cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// The cells: the upper end of a bin, or a name.
    pub cells: Vec<String>,
    /// Of the reference.
    pub reference: Vec<f64>,
    /// Since it began.
    pub current: Vec<f64>,
}

/// Something that changed upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// `topic`, `producer`, `catalogue`, `rules`, `model`, `announced`.
    pub kind: String,
    /// What, in one line.
    pub what: String,
    /// When, by event time.
    #[schema(value_type = i64)]
    pub at_ms: EventTime,
}

/// A change upstream, on its way to whoever keeps the alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What sort: `rules`, `model`.
    pub kind: Box<str>,
    /// The topic or score that it is about.
    pub subject: Box<str>,
    /// What, in one line.
    pub what: Box<str>,
    /// When, by event time.
    pub at: EventTime,
}

/// The longest change that can be announced, in seconds: 90 days.
pub const CHANGE_SECONDS_MAX: i64 = 90 * 86_400;

/// What somebody says of a change that the shop makes: when it is, or that it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Whoever announces it names it, and may say another time for it.
    pub change_id: Box<str>,
    /// What changes, in one line.
    pub what: Box<str>,
    /// Who says so.
    pub by: Box<str>,
    /// When it was said, by event time.
    pub time: EventTime,
    /// When it is; none if it was withdrawn.
    pub period: Option<Period>,
}

/// What somebody says of an episode. Topic `alerts.control`, key = fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertCommand {
    /// The subject of the episode: everything about it stands in one partition of the monitor log.
    pub subject: String,
    /// The episode, or what it is about.
    pub fingerprint: String,
    /// What is to be done.
    pub action: AlertAction,
    /// Who says so.
    pub by: String,
    /// What else they say.
    pub note: Option<String>,
    /// When, by the shop's time.
    pub time: EventTime,
}

/// What is to be done with an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlertAction {
    /// Somebody has taken it on.
    Acknowledge,
    /// Nobody wants to hear of it until then; nor of the next about the same.
    Mute {
        /// Until when, by event time.
        until: EventTime,
    },
    /// It is to be heard of again.
    Unmute,
    /// It is as it should be: what is there now is the reference from now on.
    Expect,
}
