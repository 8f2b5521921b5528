//! What the demo would have shown to visitors, and whether they looked at it next.

use crate::config::Config;
use crate::log::{Fetched, LogRecord, Topic, TopicPartition};
use crate::view::View;
use crate::view::heads::RunningHead;
use std::sync::Arc;

/// Items of one answer.
const COUNT: usize = 20;
/// One of so many looks at an item is judged: an answer takes a good part of a millisecond.
const ONE_OF: u64 = 40;

/// A page that asks what to show before each look at an item.
pub(super) struct Shown {
    view: View,
    looks: u64,
    asked: u64,
    hits: u64,
    hits_of_popular: u64,
}

impl Shown {
    /// Over what the configuration keeps.
    pub(super) fn new(config: &Config) -> Shown {
        Shown { view: View::new(config.serve.view), looks: 0, asked: 0, hits: 0, hits_of_popular: 0 }
    }

    /// A record was published.
    pub(super) fn published(&mut self, partition: TopicPartition, record: &LogRecord) {
        match partition.topic {
            Topic::FeaturesSession => self.judge(record),
            Topic::Sessions => {}
            _ => return,
        }
        let fetched = Fetched { partition, offset: 0, record: Arc::new(record.clone()) };
        // what cannot be read is missing from the figures, and nothing else
        drop(self.view.take(&fetched));
    }

    /// Whether what is looked at now was among what would have been shown before.
    fn judge(&mut self, record: &LogRecord) {
        let Some(now) = head(record.value.as_deref()) else { return };
        let Some(before) = self.view.running_session(&now.visitor_id) else { return };
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
        let recommender = self.view.recommender();
        let is_among = |items: &[&str], categories: &[&str]| {
            recommender.recommend(items, categories, COUNT).iter().any(|chosen| chosen.item == &**next)
        };
        self.asked += 1;
        self.hits += u64::from(is_among(&items, &categories));
        self.hits_of_popular += u64::from(is_among(&[], &[]));
    }

    /// Lines for the report.
    pub(super) fn lines(&self) -> Vec<String> {
        let sizes = self.view.recommender().sizes();
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
        }
        let intent = self.view.intent_quality();
        if intent.purchases > 0 {
            lines.push(format!(
                "purchases foreseen: loss {:.3} (by their rate alone: {:.3}), learned from {} sessions, {} with a purchase",
                intent.log_loss, intent.log_loss_of_rate, intent.sessions, intent.purchases
            ));
        }
        lines
    }
}

fn head(json: Option<&[u8]>) -> Option<RunningHead<'_>> {
    serde_json::from_slice(json?).ok()
}
