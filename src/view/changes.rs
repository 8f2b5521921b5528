//! Changes that the shop has announced, as they were said last.

use crate::codec::changes::AnnouncedChange;
use crate::event::alert::Announcement;
use crate::time::EventTime;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use utoipa::ToSchema;

/// Changes that are remembered; beyond, those that end first are forgotten.
const CHANGES_MAX: usize = 200;

/// A change that the shop makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KnownChange {
    /// Whoever announced it named it so.
    pub change_id: String,
    /// What changes.
    pub what: String,
    /// Who said so.
    pub by: String,
    /// When that was.
    #[schema(value_type = i64)]
    pub announced_ms: EventTime,
    /// When it begins.
    #[schema(value_type = i64)]
    pub from_ms: EventTime,
    /// When it is over.
    #[schema(value_type = i64)]
    pub until_ms: EventTime,
}

/// What is known of each change, by its id.
#[derive(Debug, Default)]
pub struct KnownChanges(RwLock<BTreeMap<String, KnownChange>>);

impl KnownChanges {
    /// Takes what stands on `alerts.control`; what else is said there is left out.
    pub(super) fn take(&self, payload: &[u8], bytes_max: usize) {
        if let Ok((Some(change), _)) = AnnouncedChange::decode(payload, bytes_max) {
            self.know(change.announcement(EventTime(change.event_time_ms)));
        }
    }

    fn know(&self, said: Announcement) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let change_id = said.change_id.to_string();
        let Some(period) = said.period else {
            known.remove(&change_id);
            return;
        };
        let change = KnownChange {
            change_id: change_id.clone(),
            what: said.what.into(),
            by: said.by.into(),
            announced_ms: said.time,
            from_ms: period.from,
            until_ms: period.until,
        };
        known.insert(change_id, change);
        while known.len() > CHANGES_MAX {
            let first =
                known.values().min_by_key(|change| change.until_ms).map(|change| change.change_id.clone());
            let Some(first) = first else { return };
            known.remove(&first);
        }
    }

    /// All of them, the one that begins last first.
    #[must_use]
    pub fn newest(&self) -> Vec<KnownChange> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<KnownChange> = known.values().cloned().collect();
        all.sort_by(|one, other| (other.from_ms, &other.change_id).cmp(&(one.from_ms, &one.change_id)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_last_of_a_change_is_known_and_what_was_withdrawn_is_not() {
        let known = KnownChanges::default();
        let say = |name: &str, change_id: &str, from_ms: i64| {
            let json = serde_json::json!({
                "event_id": "e", "event_name": name, "event_time_ms": 5, "change_id": change_id, "by": "ana",
                "what": "a sale", "from_ms": from_ms, "for_seconds": 60,
            });
            known.take(json.to_string().as_bytes(), 1 << 20);
        };
        say("change_announced", "summer", 1_000);
        say("change_announced", "winter", 2_000);
        say("change_announced", "summer", 3_000);
        say("alert_muted", "spring", 9_000);
        let periods = |changes: Vec<KnownChange>| {
            changes
                .into_iter()
                .map(|change| (change.change_id, change.from_ms.0, change.until_ms.0))
                .collect::<Vec<_>>()
        };
        let expected = [("summer".to_owned(), 3_000, 63_000), ("winter".to_owned(), 2_000, 62_000)];
        assert_eq!(periods(known.newest()), expected);
        say("change_withdrawn", "summer", 0);
        assert_eq!(periods(known.newest()), expected[1..]);
    }
}
