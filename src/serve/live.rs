//! The view as it changes: who waits for a score, who follows a session, how far behind it is.

use super::counts::ScoreTimes;
use super::rules::RulesInForce;
use crate::event::DecisionId;
use crate::log::kafka::Behind;
use crate::log::{Fetched, Topic};
use crate::time::{Clock, ProcessingTime, SystemClock};
use crate::view::{Decided, News, Published, View, ViewSettings};
use dashmap::DashMap;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{broadcast, oneshot, watch};
use utoipa::ToSchema;

/// The view, and those who wait for what comes into it.
#[derive(Debug)]
pub struct Live {
    /// What is known.
    pub view: View,
    /// The rules.
    pub rules: RulesInForce,
    waiting: DashMap<DecisionId, Vec<oneshot::Sender<Decided>>>,
    following: DashMap<Box<str>, Vec<watch::Sender<Followed>>>,
    /// Of each reader.
    behind: Mutex<BTreeMap<&'static str, Option<Behind>>>,
    /// Visitors who were pushed recommendations.
    pushed: AtomicU64,
    /// How long scores took.
    pub(super) score_times: ScoreTimes,
    /// Records that were none of their contract, by topic.
    unreadable: Mutex<BTreeMap<Topic, u64>>,
    /// Those who follow everything.
    followers: broadcast::Sender<Told>,
}

/// What those are told who follow everything.
#[derive(Debug, Clone)]
pub(super) enum Told {
    /// A revision of an alert.
    Alert(Published),
    /// A record of `scores.fraud`.
    Decision(Published),
    /// A record of `business.minutes`, of all of the shop.
    Minute(Published),
    /// A record of `quality.fraud`.
    Quality(Published),
}

/// News that wait for a follower, at most.
const TOLD_MAX: usize = 256;

/// The sessions of a visitor as they stand.
#[derive(Debug, Clone, Default)]
pub(super) struct Followed {
    /// A record of `features.session`.
    pub(super) running: Option<Published>,
    /// A record of `sessions`.
    pub(super) session: Option<Published>,
}

/// How far the view is behind what was published.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Lag {
    /// Records that were there and not yet read, as far as is known; absent before the broker has said it.
    pub records: Option<u64>,
    /// How long ago that was found out, in milliseconds. It grows while the broker does not answer.
    pub known_ms_ago: Option<i64>,
}

impl Live {
    /// With an empty view, and these rules until others are heard of.
    #[must_use]
    pub fn new(settings: ViewSettings, rules: RulesInForce) -> Live {
        Live {
            view: View::new(settings),
            rules,
            waiting: DashMap::new(),
            following: DashMap::new(),
            behind: Mutex::default(),
            pushed: AtomicU64::new(0),
            score_times: ScoreTimes::since(SystemClock.now()),
            unreadable: Mutex::default(),
            followers: broadcast::Sender::new(TOLD_MAX),
        }
    }

    /// Takes a record, and tells those who wait for it.
    pub fn take(&self, fetched: &Fetched) {
        if fetched.partition.topic == Topic::Rules {
            return self.rules.take(fetched);
        }
        match self.view.take(fetched) {
            Ok(None) => {}
            Ok(Some(News::Alert(alert))) => self.tell_all(Told::Alert(alert.record)),
            Ok(Some(News::Minute(minute))) => self.tell_all(Told::Minute(minute)),
            Ok(Some(News::Quality(quality))) => self.tell_all(Told::Quality(quality)),
            Ok(Some(News::Score(decision, decided))) => {
                let published = fetched.record.timestamp_ms.map(ProcessingTime);
                self.score_times.took(published, decided.record.event_time);
                self.tell_all(Told::Decision(decided.record.clone()));
                let waiting = self.waiting.remove(&decision).map(|(_, waiting)| waiting);
                for waits in waiting.into_iter().flatten() {
                    // one who has given up meanwhile needs nothing
                    drop(waits.send(decided.clone()));
                }
            }
            Ok(Some(News::Running(visitor, record))) => {
                self.tell(&visitor, |followed| followed.running = Some(record.clone()));
            }
            Ok(Some(News::Session(visitor, record))) => {
                self.tell(&visitor, |followed| followed.session = Some(record.clone()));
            }
            Err(_) => self.leave_out(fetched),
        }
    }

    /// Tells those who follow everything. Nobody may.
    fn tell_all(&self, told: Told) {
        if self.followers.receiver_count() > 0 {
            drop(self.followers.send(told));
        }
    }

    /// Everything that is told from now on; one who is too slow misses some.
    pub(super) fn follow_all(&self) -> broadcast::Receiver<Told> {
        self.followers.subscribe()
    }

    fn leave_out(&self, fetched: &Fetched) {
        let topic = fetched.partition.topic;
        let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        let count = unreadable.entry(topic).or_insert(0);
        *count += 1;
        if *count == 1 {
            let partition = fetched.partition.partition;
            tracing::warn!(%topic, partition, offset = fetched.offset, "the view cannot read a record, and leaves out all such");
        }
    }

    fn tell(&self, visitor: &str, change: impl Fn(&mut Followed)) {
        if let Some(following) = self.following.get(visitor) {
            for follows in following.iter() {
                follows.send_modify(&change);
            }
        }
    }

    /// A score that will come.
    pub(super) fn wait_for(self: &Arc<Self>, decision: DecisionId) -> Waiting {
        let (sender, score) = oneshot::channel();
        self.waiting.entry(decision).or_default().push(sender);
        Waiting { live: self.clone(), decision, score: Some(score) }
    }

    /// The sessions of a visitor, as they change from now on.
    pub(super) fn follow(self: &Arc<Self>, visitor: &str) -> Following {
        let (sender, changes) = watch::channel(Followed::default());
        self.following.entry(Box::from(visitor)).or_default().push(sender.clone());
        // what comes between the two is in both
        let (running, session) = (self.view.running_session(visitor), self.view.session(visitor));
        sender.send_modify(|followed| {
            followed.running = followed.running.take().or(running);
            followed.session = followed.session.take().or(session);
        });
        Following { live: self.clone(), visitor: visitor.into(), changes: Some(changes) }
    }

    /// How far behind a reader is.
    pub fn set_behind(&self, reader: &'static str, behind: Option<Behind>) {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner).insert(reader, behind);
    }

    /// How far the view is behind: over all readers, as of the one that knows least.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Option<Vec<Behind>> = behind.values().copied().collect();
        let all = all.filter(|all| !all.is_empty());
        let known_at = all.as_ref().and_then(|all| all.iter().map(|behind| behind.known_at).min());
        Lag {
            records: all.map(|all| all.iter().map(|behind| behind.records).sum()),
            known_ms_ago: known_at.map(|known_at| SystemClock.now().0 - known_at.0),
        }
    }

    pub(super) fn pushed(&self, records: u64) {
        self.pushed.fetch_add(records, Ordering::Relaxed);
    }

    /// Records of recommendations that were pushed.
    #[must_use]
    pub fn pushed_in_all(&self) -> u64 {
        self.pushed.load(Ordering::Relaxed)
    }

    /// Records that were left out, by topic.
    #[must_use]
    pub fn unreadable(&self) -> BTreeMap<Topic, u64> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One who waits for a score; nothing of it is left when it is dropped.
pub(super) struct Waiting {
    live: Arc<Live>,
    decision: DecisionId,
    score: Option<oneshot::Receiver<Decided>>,
}

impl Waiting {
    /// The score, if it comes at all.
    pub(super) async fn score(&mut self) -> Option<Decided> {
        self.score.as_mut()?.await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.score.take());
        self.live.waiting.remove_if_mut(&self.decision, |_, waiting| {
            waiting.retain(|waits| !waits.is_closed());
            waiting.is_empty()
        });
    }
}

/// One who follows a visitor; nothing of it is left when it is dropped.
pub(super) struct Following {
    live: Arc<Live>,
    visitor: Box<str>,
    changes: Option<watch::Receiver<Followed>>,
}

impl Following {
    /// The sessions, once they have changed since the last call; at the first call as they are.
    pub(super) async fn changed(&mut self) -> Option<Followed> {
        let changes = self.changes.as_mut()?;
        changes.changed().await.ok()?;
        Some(changes.borrow_and_update().clone())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        drop(self.changes.take());
        self.live.following.remove_if_mut(&self.visitor, |_, following| {
            following.retain(|follows| !follows.is_closed());
            following.is_empty()
        });
    }
}
