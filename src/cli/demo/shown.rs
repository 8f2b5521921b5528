//! What the demo would have shown to visitors, and whether they looked at it next.

use crate::generate::{GeneratedRecord, RawTopic};
use crate::log::{Fetched, LogRecord, Topic, TopicPartition};
use crate::recommend::{Recommendation, Why};
use crate::serve::live::Live;
use crate::view::View;
use crate::view::heads::RunningHead;
use std::sync::Arc;

/// Items of one answer.
const COUNT: usize = 20;
/// Items of an answer that are named in the report.
const NAMED: usize = 3;
/// One of so many looks at an item is judged: an answer takes a good part of a millisecond.
const ONE_OF: u64 = 40;

/// A page that asks what to show before each look at an item.
pub(super) struct Shown {
    live: Arc<Live>,
    looks: u64,
    asked: u64,
    hits: u64,
    hits_of_popular: u64,
    /// Raw records that were shown.
    offered: i64,
    /// The last answer, in a line.
    last: String,
}

impl Shown {
    /// Over what the page shows.
    pub(super) fn new(live: Arc<Live>) -> Shown {
        Shown { live, looks: 0, asked: 0, hits: 0, hits_of_popular: 0, offered: 0, last: String::new() }
    }

    /// A raw record arrived: of interest is what the catalogue says, and what is announced.
    pub(super) fn arrived(&mut self, record: &GeneratedRecord) {
        let topic = match record.topic {
            RawTopic::Catalogue => Topic::Catalogue,
            RawTopic::Announcements => Topic::AlertsControl,
            _ => return,
        };
        let told = LogRecord {
            key: Some(record.key.clone().into_bytes()),
            value: Some(record.value.clone()),
            ..LogRecord::default()
        };
        self.take(topic, told);
    }

    /// Somebody has said something through the page.
    pub(super) fn said(&mut self, topic: Topic, record: &LogRecord) {
        if topic == Topic::AlertsControl {
            self.take(topic, record.clone());
        }
    }

    fn take(&mut self, topic: Topic, record: LogRecord) {
        let partition = TopicPartition::new(topic, 0);
        let fetched = Fetched { partition, offset: self.offered, record: Arc::new(record) };
        self.offered += 1;
        self.live.take(&fetched);
    }

    /// A record was published.
    pub(super) fn published(&mut self, partition: TopicPartition, record: &LogRecord) {
        if !View::TOPICS.contains(&partition.topic) {
            return;
        }
        if partition.topic == Topic::FeaturesSession {
            self.judge(record);
        }
        let fetched = Fetched { partition, offset: 0, record: Arc::new(record.clone()) };
        self.live.take(&fetched);
    }

    /// Whether what is looked at now was among what would have been shown before.
    fn judge(&mut self, record: &LogRecord) {
        let Some(now) = head(record.value.as_deref()) else { return };
        let Some(before) = self.live.view.running_session(&now.visitor_id) else { return };
        let Some(before) = head(Some(before.json.as_bytes())) else { return };
        let Some(next) = now.last_items.first().filter(|item| !before.last_items.contains(item)) else {
            return;
        };
        if now.session_id != before.session_id || before.last_items.is_empty() {
            return;
        }
        self.looks += 1;
        if !self.looks.is_multiple_of(ONE_OF) {
            return;
        }
        let (items, categories) = (before.items(), before.most_touched());
        let recommender = self.live.view.recommender();
        let answer = recommender.recommend(&items, &categories, COUNT);
        let popular = recommender.recommend(&[], &[], COUNT);
        let is_among = |answer: &[Recommendation<'_>]| answer.iter().any(|chosen| chosen.item == &**next);
        self.asked += 1;
        self.hits += u64::from(is_among(&answer));
        self.hits_of_popular += u64::from(is_among(&popular));
        self.last = line_of(&items, &answer);
    }

    /// Lines for the report.
    pub(super) fn lines(&self) -> Vec<String> {
        let sizes = self.live.view.recommender().sizes();
        let share = |hits: u64| 100.0 * hits as f64 / self.asked as f64;
        let mut lines = Vec::new();
        if self.asked > 0 {
            lines.push(format!(
                "next item among {COUNT} recommended: {:.1} % of {} looks (what is popular: {:.1} %), from {} closed sessions; {} of machines left out",
                share(self.hits),
                self.asked,
                share(self.hits_of_popular),
                sizes.sessions,
                sizes.machines
            ));
            lines.push(self.last.clone());
        }
        let intent = self.live.view.intent_quality();
        if intent.purchases > 0 {
            lines.push(format!(
                "purchases foreseen: loss {:.3} (by their rate alone: {:.3}), learned from {} sessions, {} with a purchase",
                intent.log_loss, intent.log_loss_of_rate, intent.sessions, intent.purchases
            ));
        }
        lines
    }
}

/// What was shown beside the newest of `items`.
fn line_of(items: &[&str], answer: &[Recommendation<'_>]) -> String {
    let named = |chosen: &Recommendation<'_>| {
        let why = match chosen.why {
            Why::SimilarSessions(item) => format!("sessions with {item}"),
            Why::PopularIn(category) => format!("popular in {category}"),
            Why::Popular => "popular".to_owned(),
        };
        format!("{} ({why})", chosen.item)
    };
    let named: Vec<String> = answer.iter().take(NAMED).map(named).collect();
    let newest = items.first().copied().unwrap_or("nothing");
    format!("  the last of them, beside {newest}: {}, …", named.join(", "))
}

fn head(json: Option<&[u8]>) -> Option<RunningHead<'_>> {
    serde_json::from_slice(json?).ok()
}
