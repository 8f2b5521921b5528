//! The view as it changes: who waits for a score, who follows a session, how far behind it is.

use crate::event::DecisionId;
use crate::log::Fetched;
use crate::log::kafka::Behind;
use crate::time::{Clock, SystemClock};
use crate::view::{News, Published, View, ViewSettings};
use dashmap::DashMap;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;

/// Changes that may wait for one who follows a session; more than these are left out.
const CHANGES_WAITING: usize = 16;

/// The view, and those who wait for what comes into it.
#[derive(Debug)]
pub struct Live {
    /// What is known.
    pub view: View,
    waiting: DashMap<DecisionId, Vec<oneshot::Sender<Published>>>,
    following: DashMap<Box<str>, Vec<mpsc::Sender<News>>>,
    behind: Mutex<Option<Behind>>,
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
    /// With an empty view.
    #[must_use]
    pub fn new(settings: ViewSettings) -> Live {
        Live {
            view: View::new(settings),
            waiting: DashMap::new(),
            following: DashMap::new(),
            behind: Mutex::new(None),
        }
    }

    /// Takes a record, and tells those who wait for it.
    pub fn take(&self, fetched: &Fetched) {
        match self.view.take(fetched) {
            None => {}
            Some(News::Score(decision, score)) => {
                let waiting = self.waiting.remove(&decision).map(|(_, waiting)| waiting);
                for waits in waiting.into_iter().flatten() {
                    // one who has given up meanwhile needs nothing
                    drop(waits.send(score.clone()));
                }
            }
            Some(news @ (News::Session(..) | News::Closed(..))) => self.tell(news),
        }
    }

    fn tell(&self, news: News) {
        let (News::Session(visitor, _) | News::Closed(visitor, _)) = &news else { return };
        let visitor = visitor.clone();
        let Some(mut following) = self.following.get_mut(&visitor) else { return };
        following.retain(|follows| !follows.is_closed());
        for follows in following.iter() {
            // one who reads too slowly misses changes, not the latest for long: the next brings the whole session again
            drop(follows.try_send(news.clone()));
        }
        let nobody = following.is_empty();
        drop(following);
        if nobody {
            self.following.remove_if(&visitor, |_, following| following.is_empty());
        }
    }

    /// A score that will come.
    pub(super) fn wait_for(&self, decision: DecisionId) -> oneshot::Receiver<Published> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.entry(decision).or_default().push(sender);
        receiver
    }

    /// Nobody waits any more who has given up.
    pub(super) fn forget_those_gone(&self, decision: DecisionId) {
        self.waiting.remove_if_mut(&decision, |_, waiting| {
            waiting.retain(|waits| !waits.is_closed());
            waiting.is_empty()
        });
    }

    /// The changes of a visitor's sessions from now on.
    pub(super) fn follow(&self, visitor: &str) -> mpsc::Receiver<News> {
        let (sender, receiver) = mpsc::channel(CHANGES_WAITING);
        let mut following = self.following.entry(Box::from(visitor)).or_default();
        following.retain(|follows| !follows.is_closed());
        following.push(sender);
        receiver
    }

    /// How far behind the reader is.
    pub fn set_behind(&self, behind: Option<Behind>) {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = behind;
    }

    /// How far the view is behind.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let behind = *self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        Lag {
            records: behind.map(|behind| behind.records),
            known_ms_ago: behind.map(|behind| SystemClock.now().0 - behind.known_at.0),
        }
    }
}
