//! The topics that tillstream reads and writes.

/// A topic, by what it is for. Its name on the broker is [`Topic::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are the topics themselves; see topics/*.yaml")]
pub enum Topic {
    Clickstream,
    Payments,
    Labels,
    Predictions,
    Orders,
    Pos,
    Accounts,
    Catalogue,
    Rules,
    AlertsControl,
    Linked,
    Entity,
    Decision,
    Monitor,
    Sessions,
    FeaturesSession,
    FeaturesFraud,
    ScoresFraud,
    LabelledFraud,
    LabelledPredictions,
    VectorsFraud,
    QualityFraud,
    QualityExpected,
    BusinessDays,
    BusinessMinutes,
    DriftFeatures,
    AlertsDrift,
    AlertsFraud,
    AlertsBusiness,
    Recommendations,
    Late,
    DeadLetter,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Topic; 32] = [
        Topic::Clickstream,
        Topic::Payments,
        Topic::Labels,
        Topic::Predictions,
        Topic::Orders,
        Topic::Pos,
        Topic::Accounts,
        Topic::Catalogue,
        Topic::Rules,
        Topic::AlertsControl,
        Topic::Linked,
        Topic::Entity,
        Topic::Decision,
        Topic::Monitor,
        Topic::Sessions,
        Topic::FeaturesSession,
        Topic::FeaturesFraud,
        Topic::ScoresFraud,
        Topic::LabelledFraud,
        Topic::LabelledPredictions,
        Topic::VectorsFraud,
        Topic::QualityFraud,
        Topic::QualityExpected,
        Topic::BusinessDays,
        Topic::BusinessMinutes,
        Topic::DriftFeatures,
        Topic::AlertsDrift,
        Topic::AlertsFraud,
        Topic::AlertsBusiness,
        Topic::Recommendations,
        Topic::Late,
        Topic::DeadLetter,
    ];
    /// The raw topics, whose partitions are the sources of the entity log; what goes on to linked customers comes back among them.
    pub const RAW: [Topic; 11] = [
        Topic::Clickstream,
        Topic::Payments,
        Topic::Labels,
        Topic::Predictions,
        Topic::Orders,
        Topic::Pos,
        Topic::Accounts,
        Topic::Catalogue,
        Topic::Rules,
        Topic::AlertsControl,
        Topic::Linked,
    ];
    /// The public topics.
    pub const PUBLIC: [Topic; 18] = [
        Topic::Sessions,
        Topic::FeaturesSession,
        Topic::FeaturesFraud,
        Topic::ScoresFraud,
        Topic::LabelledFraud,
        Topic::LabelledPredictions,
        Topic::VectorsFraud,
        Topic::QualityFraud,
        Topic::QualityExpected,
        Topic::BusinessDays,
        Topic::BusinessMinutes,
        Topic::DriftFeatures,
        Topic::AlertsDrift,
        Topic::AlertsFraud,
        Topic::AlertsBusiness,
        Topic::Recommendations,
        Topic::Late,
        Topic::DeadLetter,
    ];

    /// The topics on which alerts stand.
    pub const ALERTS: [Topic; 3] = [Topic::AlertsDrift, Topic::AlertsFraud, Topic::AlertsBusiness];

    /// The public topics that the stages write: all but what is pushed, which follows from a view of them.
    pub fn of_stages() -> impl Iterator<Item = Topic> {
        Topic::PUBLIC.into_iter().filter(|topic| *topic != Topic::Recommendations)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Topic::Clickstream => "clickstream",
            Topic::Payments => "payments",
            Topic::Labels => "labels",
            Topic::Predictions => "predictions",
            Topic::Orders => "orders",
            Topic::Pos => "pos",
            Topic::Accounts => "accounts",
            Topic::Catalogue => "catalogue",
            Topic::Rules => "rules",
            Topic::AlertsControl => "alerts.control",
            Topic::Linked => "tillstream.linked",
            Topic::Entity => "tillstream.entity",
            Topic::Decision => "tillstream.decision",
            Topic::Monitor => "tillstream.monitor",
            Topic::Sessions => "sessions",
            Topic::FeaturesSession => "features.session",
            Topic::FeaturesFraud => "features.fraud",
            Topic::ScoresFraud => "scores.fraud",
            Topic::LabelledFraud => "labelled.fraud",
            Topic::LabelledPredictions => "labelled.predictions",
            Topic::VectorsFraud => "vectors.fraud",
            Topic::QualityFraud => "quality.fraud",
            Topic::QualityExpected => "quality.expected",
            Topic::BusinessDays => "business.days",
            Topic::BusinessMinutes => "business.minutes",
            Topic::DriftFeatures => "drift.features",
            Topic::AlertsDrift => "alerts.drift",
            Topic::AlertsFraud => "alerts.fraud",
            Topic::AlertsBusiness => "alerts.business",
            Topic::Recommendations => "recommendations",
            Topic::Late => "late",
            Topic::DeadLetter => "dead-letter",
        }
    }

    /// Whether it promises nothing about time: it brings back what is known of decisions, or what was learned from that, or what models elsewhere say, or what
    /// happens to accounts, or what the shop sells, or how payments are judged, or what goes on to linked customers, or what is said of alerts. A shop that has no news of
    /// these for weeks must not hold the clicks and payments of today.
    #[must_use]
    pub fn promises_no_time(self) -> bool {
        matches!(
            self,
            Topic::Labels
                | Topic::Predictions
                | Topic::Accounts
                | Topic::Catalogue
                | Topic::Rules
                | Topic::AlertsControl
                | Topic::Linked
                | Topic::Monitor
        )
    }

    /// The topic of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

impl std::fmt::Display for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Topic,
    /// The partition, from 0.
    pub partition: u32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    #[must_use]
    pub fn new(topic: Topic, partition: u32) -> TopicPartition {
        TopicPartition { topic, partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}
