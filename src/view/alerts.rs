//! Alerts as they stand: the last revision of each episode.

use super::Published;
use crate::event::alert::{Alert, AlertStatus};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Episodes that are remembered; beyond, those that ended longest ago are forgotten first.
const ALERTS_MAX: usize = 2_000;

/// A revision of an episode, and its record.
#[derive(Debug, Clone)]
pub struct KnownAlert {
    /// What it says.
    pub alert: Arc<Alert>,
    /// As it was published.
    pub record: Published,
}

/// The last revision of each episode, by its id.
#[derive(Debug, Default)]
pub struct KnownAlerts(RwLock<BTreeMap<String, KnownAlert>>);

impl KnownAlerts {
    /// Takes a revision. Whether it is newer than what was known.
    pub fn take(&self, new: KnownAlert) -> bool {
        let mut alerts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = alerts.get(&new.alert.alert_id);
        if known.is_some_and(|known| known.alert.revision >= new.alert.revision) {
            return false;
        }
        alerts.insert(new.alert.alert_id.clone(), new);
        while alerts.len() > ALERTS_MAX {
            let rank = |known: &KnownAlert| (known.alert.status == AlertStatus::Open, known.alert.as_of_ms);
            let Some(oldest) =
                alerts.values().min_by_key(|known| rank(known)).map(|known| &known.alert.alert_id)
            else {
                break;
            };
            let oldest = oldest.clone();
            alerts.remove(&oldest);
        }
        true
    }

    /// The episode of that id.
    #[must_use]
    pub fn get(&self, alert_id: &str) -> Option<KnownAlert> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(alert_id).cloned()
    }

    /// Those that `are` so, the one that was detected last first.
    #[must_use]
    pub fn newest(&self, are: impl Fn(&Alert) -> bool, count: usize) -> Vec<KnownAlert> {
        let alerts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<KnownAlert> = alerts.values().filter(|known| are(&known.alert)).cloned().collect();
        found.sort_by_key(|known| std::cmp::Reverse((known.alert.detected_ms, known.alert.alert_id.clone())));
        found.truncate(count);
        found
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
