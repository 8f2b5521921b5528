//! Recommendations on a topic: pushed by the instance that has the visitor's partition of `features.session`.

use super::live::Live;
use crate::event::public::PushedRecommendations;
use crate::log::kafka::{ClientSettings, KafkaFeed, SharedReader};
use crate::log::{Fetched, Headers, LogError, Topic};
use crate::time::Stopwatch;
use crate::view::heads::RunningHead;
use std::collections::BTreeMap;
use std::time::Duration;

/// Clicks that come within so long of each other are answered together, each visitor once.
const GATHER: Duration = Duration::from_millis(50);
/// Visitors who are answered together, at most.
const VISITORS_MAX: usize = 1_000;
const POLL: Duration = Duration::from_millis(20);

/// How recommendations are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushSettings {
    /// Items of a record, at most.
    pub count: usize,
}

/// Pushes for the visitors whose partitions this instance has.
pub(super) struct Push<'p> {
    pub(super) client: &'p ClientSettings,
    pub(super) settings: PushSettings,
    pub(super) may_end: &'p (dyn Fn() -> bool + Sync),
}

impl Push<'_> {
    /// Until told to end. What was pushed and not committed is pushed again by whoever goes on.
    ///
    /// # Errors
    ///
    /// [`LogError`]; another may go on.
    pub(super) fn run(&self, live: &Live) -> Result<(), LogError> {
        let group = format!("{}-recommend", self.client.application);
        let reader = SharedReader::join(self.client, &group, Topic::FeaturesSession)?;
        let mut feed = KafkaFeed::new(self.client)?;
        while !(self.may_end)() {
            let newest = self.gather(&reader)?;
            for fetched in newest.values() {
                self.answer(live, fetched, &mut feed)?;
            }
            if !newest.is_empty() {
                feed.finish()?;
                reader.done()?;
                live.pushed(newest.len() as u64);
            }
        }
        Ok(())
    }

    /// The newest record of each visitor, of those that come now.
    fn gather(&self, reader: &SharedReader) -> Result<BTreeMap<Vec<u8>, Fetched>, LogError> {
        let mut newest = BTreeMap::new();
        let begun = Stopwatch::start();
        while newest.len() < VISITORS_MAX && !(self.may_end)() {
            let Some(fetched) = reader.poll(POLL)? else { if newest.is_empty() { continue } else { break } };
            let visitor = fetched.record.key.clone().unwrap_or_default();
            newest.insert(visitor, fetched);
            if begun.elapsed() >= GATHER {
                break;
            }
        }
        Ok(newest)
    }

    fn answer(&self, live: &Live, fetched: &Fetched, feed: &mut KafkaFeed) -> Result<(), LogError> {
        let value = fetched.record.value.as_deref().unwrap_or_default();
        // what is none of its contract is counted where the view reads it
        let (Ok(session), Some(id)) = (serde_json::from_slice::<RunningHead<'_>>(value), fetched.record.id())
        else {
            return Ok(());
        };
        let (items, categories) = (session.items(), session.most_touched());
        let record = PushedRecommendations {
            visitor_id: session.visitor_id.clone(),
            session_id: session.session_id.clone(),
            event_time_ms: session.event_time_ms,
            items: live.view.recommended(&items, &categories, self.settings.count),
        };
        let json = serde_json::to_vec(&record).expect("a public record serialises");
        let headers = Headers::CloudEvent { event_type: "tillstream.recommendations.v1", id };
        feed.publish(Topic::Recommendations, session.visitor_id.as_bytes(), &json, &headers)
    }
}
