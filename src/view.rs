//! What was published last, by key: read by requests while it is written. Built from the public topics alone, so it scales and
//! restarts apart from the engine. Bounded: what was not heard of for longest is forgotten first.

pub mod bounded;

use crate::codec::catalogue::CatalogueItem;
use crate::codec::text::as_str;
use crate::event::public::{FraudFeatures, FraudScore, LabelledScore, SessionFeatures, SessionRecord};
use crate::event::{DecisionId, EntityKind};
use crate::log::{Fetched, Headers, LogRecord, RecordId, Topic};
use crate::recommend::{ClosedSession, Item, Pace, RecommendSettings, Recommender};
use crate::time::EventTime;
use bounded::Bounded;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// Decisions that are remembered of an entity.
const DECISIONS_PER_ENTITY: usize = 20;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewSettings {
    /// Visitors; each takes about 2 KB.
    pub visitors_max: usize,
    /// Entities that have fraud features or decisions; each takes about 2 KB.
    pub entities_max: usize,
    /// Decisions; each takes about 2 KB.
    pub decisions_max: usize,
    /// What recommendations are made of.
    pub recommend: RecommendSettings,
    /// A record of the catalogue that is longer is refused, as ingest does.
    pub payload_bytes_max: usize,
}

/// A record as it was published.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its value.
    pub json: Arc<str>,
    /// The event time it is about.
    pub event_time: EventTime,
    id: RecordId,
}

/// What is known of a decision.
#[derive(Debug, Clone, Default)]
pub struct KnownDecision {
    /// A record of `scores.fraud`.
    pub score: Option<Published>,
    /// A record of `labelled.fraud`.
    pub label: Option<Published>,
}

/// What a record changed, for those who wait for it.
#[derive(Debug, Clone)]
pub enum News {
    /// The running session of a visitor.
    Session(Box<str>, Published),
    /// The end of a session, or a later revision of it.
    Closed(Box<str>, Published),
    /// A score.
    Score(DecisionId, Published),
}

/// The view.
#[derive(Debug)]
pub struct View {
    running: Bounded<Box<str>, Published>,
    closed: Bounded<Box<str>, Published>,
    features: Bounded<(EntityKind, Box<str>), Published>,
    decisions: Bounded<DecisionId, KnownDecision>,
    decided: Bounded<(EntityKind, Box<str>), Arc<[DecisionId]>>,
    recommender: RwLock<Recommender>,
    payload_bytes_max: usize,
}

impl View {
    /// Empty.
    #[must_use]
    pub fn new(settings: ViewSettings) -> View {
        View {
            running: Bounded::new(settings.visitors_max),
            closed: Bounded::new(settings.visitors_max),
            features: Bounded::new(settings.entities_max),
            decisions: Bounded::new(settings.decisions_max),
            decided: Bounded::new(settings.entities_max),
            recommender: RwLock::new(Recommender::new(settings.recommend)),
            payload_bytes_max: settings.payload_bytes_max,
        }
    }

    /// The topics it is built from.
    pub const TOPICS: [Topic; 6] = [
        Topic::FeaturesSession,
        Topic::Sessions,
        Topic::FeaturesFraud,
        Topic::ScoresFraud,
        Topic::LabelledFraud,
        Topic::Catalogue,
    ];

    /// The running session of a visitor: a record of `features.session`.
    #[must_use]
    pub fn running_session(&self, visitor: &str) -> Option<Published> {
        self.running.get(&Box::from(visitor))
    }

    /// The session of a visitor that was published last: a record of `sessions`.
    #[must_use]
    pub fn closed_session(&self, visitor: &str) -> Option<Published> {
        self.closed.get(&Box::from(visitor))
    }

    /// The newest features of an entity: a record of `features.fraud`.
    #[must_use]
    pub fn features(&self, kind: EntityKind, id: &str) -> Option<Published> {
        self.features.get(&(kind, Box::from(id)))
    }

    /// A decision.
    #[must_use]
    pub fn decision(&self, decision: DecisionId) -> Option<KnownDecision> {
        self.decisions.get(&decision)
    }

    /// The newest decisions about an entity, the newest last.
    #[must_use]
    pub fn decided_about(&self, kind: EntityKind, id: &str) -> Arc<[DecisionId]> {
        self.decided.get(&(kind, Box::from(id))).unwrap_or_default()
    }

    /// What recommends. Whoever holds it keeps records from being taken.
    pub fn recommender(&self) -> RwLockReadGuard<'_, Recommender> {
        self.recommender.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Visitors, entities and decisions that are kept.
    #[must_use]
    pub fn sizes(&self) -> [usize; 3] {
        [self.running.len().max(self.closed.len()), self.features.len(), self.decisions.len()]
    }

    /// Takes a record of one of [`View::TOPICS`]; what is not of its contract, or older than what is known, changes nothing.
    pub fn take(&self, fetched: &Fetched) -> Option<News> {
        let record = &fetched.record;
        match fetched.partition.topic {
            Topic::Catalogue => {
                self.take_item(record);
                None
            }
            topic => {
                let (json, id) = (text(record)?, record_id(record)?);
                self.take_published(topic, json, id)
            }
        }
    }

    fn take_published(&self, topic: Topic, json: &str, id: RecordId) -> Option<News> {
        let published = |event_time| Published { json: json.into(), event_time, id };
        match topic {
            Topic::FeaturesSession => {
                let features: SessionFeatures<'_> = serde_json::from_str(json).ok()?;
                let (visitor, new) = (Box::from(&*features.visitor_id), published(features.event_time_ms));
                let mut before = None;
                let is_new = self.running.update(&visitor, |known| {
                    before = known.map(|known| known.json.clone());
                    newer(known, &new)
                });
                if is_new && let Some(item) = item_looked_at(before.as_deref(), &features) {
                    let pace = Pace { events: features.events, duration_ms: features.dwell_ms };
                    self.write_recommender(|recommender| {
                        recommender.look(item, features.event_time_ms, pace)
                    });
                }
                is_new.then_some(News::Session(visitor, new))
            }
            Topic::Sessions => {
                let session: SessionRecord<'_> = serde_json::from_str(json).ok()?;
                let (visitor, new) = (Box::from(&*session.visitor_id), published(session.end_ms));
                let is_new = self.closed.update(&visitor, |known| newer(known, &new));
                if session.is_final && is_new {
                    self.write_recommender(|recommender| recommender.close(&closed(&session)));
                }
                is_new.then_some(News::Closed(visitor, new))
            }
            Topic::FeaturesFraud => {
                let features: FraudFeatures<'_> = serde_json::from_str(json).ok()?;
                let (key, new) =
                    ((features.entity, Box::from(&*features.entity_id)), published(features.event_time_ms));
                self.features.update(&key, |known| newer(known, &new));
                None
            }
            Topic::ScoresFraud => self.take_score(json, published),
            Topic::LabelledFraud => {
                let labelled: LabelledScore<'_> = serde_json::from_str(json).ok()?;
                let decision = DecisionId::from_text(&labelled.decision_id)?;
                let label = published(labelled.known_at_ms);
                self.decisions.update(&decision, |known| {
                    Some(KnownDecision { label: Some(label), ..known.cloned().unwrap_or_default() })
                });
                None
            }
            _ => None,
        }
    }

    fn take_score(&self, json: &str, published: impl Fn(EventTime) -> Published) -> Option<News> {
        let score: FraudScore<'_> = serde_json::from_str(json).ok()?;
        let decision = DecisionId::from_text(&score.decision_id)?;
        let new = published(score.event_time_ms);
        let is_new = self.decisions.update(&decision, |known| {
            let score = newer(known.and_then(|known| known.score.as_ref()), &new)?;
            Some(KnownDecision { score: Some(score), ..known.cloned().unwrap_or_default() })
        });
        if !is_new {
            return None;
        }
        for (kind, id) in &score.entities {
            let Some(kind) = EntityKind::from_name(kind) else { continue };
            self.decided.update(&(kind, Box::from(&**id)), |known| {
                let known = known.map_or(&[][..], |known| known);
                if known.contains(&decision) {
                    return None;
                }
                let forgotten = known.len().saturating_sub(DECISIONS_PER_ENTITY - 1);
                Some(known.iter().copied().skip(forgotten).chain([decision]).collect())
            });
        }
        Some(News::Score(decision, new))
    }

    fn take_item(&self, record: &LogRecord) {
        match record.value.as_deref() {
            None | Some([]) => {
                let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
                if let Some(id) = key {
                    self.write_recommender(|recommender| recommender.catalogue.retire(id));
                }
            }
            // what is refused stands in `dead-letter`
            Some(payload) => {
                let Ok((item, _)) = CatalogueItem::decode(payload, self.payload_bytes_max) else { return };
                let id = item.item_id.as_str();
                self.write_recommender(|recommender| recommender.catalogue.set(id, offered(&item)));
            }
        }
    }

    fn write_recommender(&self, write: impl FnOnce(&mut Recommender)) {
        write(&mut self.recommender.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn text(record: &LogRecord) -> Option<&str> {
    std::str::from_utf8(record.value.as_deref()?).ok()
}

fn record_id(record: &LogRecord) -> Option<RecordId> {
    let Headers::Verbatim(headers) = &record.headers else { return None };
    let (_, id) = headers.iter().find(|(name, _)| name == "ce_id")?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

/// The new record, unless it comes again, or what is known was made later in the same log.
fn newer(known: Option<&Published>, new: &Published) -> Option<Published> {
    let is_older = known.is_some_and(|known| {
        let (old, new) = (known.id, new.id);
        (old.topic, old.partition) == (new.topic, new.partition)
            && (new.offset, new.index) <= (old.offset, old.index)
    });
    (!is_older).then(|| new.clone())
}

/// The newest item of a running session, if it was not the newest before.
fn item_looked_at<'f>(before: Option<&str>, features: &'f SessionFeatures<'_>) -> Option<&'f str> {
    let newest = &**features.last_items.first()?;
    let before = before.and_then(|json| serde_json::from_str::<SessionFeatures<'_>>(json).ok());
    let was_newest =
        before.is_some_and(|before| before.last_items.first().is_some_and(|item| &**item == newest));
    (!was_newest).then_some(newest)
}

fn offered(item: &CatalogueItem<'_>) -> Item {
    Item {
        time: EventTime(item.event_time_ms),
        category: as_str(&item.category).map(Into::into),
        stock: item.stock,
        is_active: item.is_active.unwrap_or(true),
    }
}

fn closed<'s>(session: &'s SessionRecord<'_>) -> ClosedSession<'s> {
    ClosedSession {
        time: session.end_ms,
        pace: Pace { events: session.events, duration_ms: session.duration_ms },
        has_bought: session.purchases > 0,
        items: session.last_items.iter().map(|item| &**item).collect(),
    }
}
