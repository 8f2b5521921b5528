//! What was published last, by key: read by requests while it is written. Built from the public topics, and from what is said of
//! alerts and changes, alone, so it scales and restarts apart from the engine. Bounded: what was not heard of for longest is forgotten first.

pub mod alerts;
pub mod bounded;
pub mod changes;
pub mod heads;
pub mod lately;

use crate::codec::catalogue::CatalogueItem;
use crate::codec::text::as_str;
use crate::event::alert::Alert;
use crate::event::business::MINUTE;
use crate::event::public::{Action, RecommendationReason, RecommendedItem};
use crate::event::{DecisionId, EntityKind, LabelOutcome};
use crate::log::{Fetched, LogRecord, RecordId, Topic};
use crate::recommend::{
    ClosedSession, Intent, IntentModel, IntentQuality, Item, MOMENTS_MAX, Moment, Pace, RecommendSettings,
    Recommendation, Recommender, Why,
};
use crate::time::EventTime;
use alerts::{KnownAlert, KnownAlerts};
use bounded::Bounded;
use changes::KnownChanges;
use heads::{
    FeaturesHead, LabelHead, MinuteHead, QualityHead, RunningHead, ScoreHead, SessionHead, WindowHead,
};
use lately::Decisions;
pub use lately::Series;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use xxhash_rust::xxh3::xxh3_64;

/// Decisions that are remembered of an entity.
const DECISIONS_PER_ENTITY: usize = 20;

/// Records of minutes of the shop that are kept: two days of it and two channels, or fewer with many stores; each takes about 1 KB.
const MINUTES_MAX: usize = 10_000;
/// Windows of fields: two weeks of sixty fields; each takes about 1 KB.
const WINDOWS_MAX: usize = 20_000;
/// Days of scores.
const QUALITY_MAX: usize = 2_000;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewSettings {
    /// Visitors; each takes about 2 KB.
    pub visitors_max: usize,
    /// Entities that have fraud features or decisions; each takes about 2 KB.
    pub entities_max: usize,
    /// Decisions; each takes about 2 KB.
    pub decisions_max: usize,
    /// Decisions of which only what was decided is kept; each takes about 0.1 KB.
    pub verdicts_max: usize,
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
    /// The place in the log of what made it.
    pub id: RecordId,
}

/// A running session, and what of it would else be parsed again with the next record.
#[derive(Debug, Clone)]
struct Running {
    record: Published,
    session_id: Box<str>,
    newest_item: Option<Box<str>>,
    stage: Stage,
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It has looked at no item.
    Browsing,
    /// It has looked at one.
    Viewed,
    /// It has put one into the cart.
    Cart,
    /// It has begun a checkout.
    Checkout,
    /// It has bought something.
    Purchased,
}

impl Stage {
    /// Every stage by its name.
    pub const NAMES: [(&'static str, Stage); 5] = [
        ("browsing", Stage::Browsing),
        ("viewed", Stage::Viewed),
        ("cart", Stage::Cart),
        ("checkout", Stage::Checkout),
        ("purchased", Stage::Purchased),
    ];

    fn of(running: &RunningHead<'_>) -> Stage {
        match running {
            RunningHead { purchases: 1.., .. } => Stage::Purchased,
            RunningHead { checkouts: 1.., .. } => Stage::Checkout,
            RunningHead { cart_adds: 1.., .. } => Stage::Cart,
            RunningHead { item_views: 1.., .. } => Stage::Viewed,
            _ => Stage::Browsing,
        }
    }
}

/// The session that was published last.
#[derive(Debug, Clone)]
struct LastSession {
    record: Published,
    session_id: Box<str>,
    is_final: bool,
}

/// What is known of a decision.
#[derive(Debug, Clone, Default)]
pub struct KnownDecision {
    /// What was decided.
    pub decided: Option<Decided>,
    /// A record of `labelled.fraud`, and the outcome in it.
    pub label: Option<(Published, LabelOutcome)>,
}

/// What was decided about a payment.
#[derive(Debug, Clone)]
pub struct Decided {
    /// A record of `scores.fraud`.
    pub record: Published,
    /// The score in it.
    pub score: f64,
    /// And the decision.
    pub decision: Action,
    /// The amount of the payment and its currency, if its own part came.
    pub amount: Option<(i64, Box<str>)>,
    /// The entities it concerns.
    pub entities: Arc<[(EntityKind, Box<str>)]>,
}

impl Decided {
    /// What is kept of it for longer.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let amount = self.amount.as_ref().map(|(minor, currency)| (*minor, &**currency));
        let card = self.entities.iter().find(|(kind, _)| *kind == EntityKind::Card);
        let payment = PaymentMark::new(self.record.event_time, amount, card.map(|(_, card)| &**card));
        Verdict { decision: self.decision, payment }
    }
}

/// What was decided about a payment, without its record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The decision.
    pub decision: Action,
    /// Which payment it was.
    pub payment: PaymentMark,
}

/// Tells a payment from another one of the same id, in 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaymentMark {
    /// When it was attempted.
    time: EventTime,
    /// Hashes of amount and currency, and of the card's pseudonym; none of what is not known of it.
    amount: Option<NonZeroU32>,
    card: Option<NonZeroU32>,
}

impl PaymentMark {
    /// Of a payment; its card is a pseudonym of that time.
    #[must_use]
    pub fn new(time: EventTime, amount: Option<(i64, &str)>, card: Option<&str>) -> PaymentMark {
        let hash = |bytes: &[u8]| NonZeroU32::new(u32::try_from(xxh3_64(bytes) >> 32).unwrap_or(0) | 1);
        PaymentMark {
            time,
            amount: amount.and_then(|(minor, currency)| hash(format!("{minor} {currency}").as_bytes())),
            card: card.and_then(|card| hash(card.as_bytes())),
        }
    }

    /// When it was attempted.
    #[must_use]
    pub fn time(&self) -> EventTime {
        self.time
    }

    /// Whether `other`, its card a pseudonym of the same time, cannot be the same payment.
    #[must_use]
    pub fn is_another_than(&self, other: &PaymentMark) -> bool {
        let differ = |one: Option<NonZeroU32>, other: Option<NonZeroU32>| {
            one.zip(other).is_some_and(|(one, other)| one != other)
        };
        differ(self.amount, other.amount) || differ(self.card, other.card)
    }
}

/// What a record changed, for those who wait for it.
#[derive(Debug, Clone)]
pub enum News {
    /// A revision of an alert.
    Alert(KnownAlert),
    /// The running session of a visitor.
    Running(Box<str>, Published),
    /// A session of a visitor, as of `sessions`.
    Session(Box<str>, Published),
    /// A score.
    Score(DecisionId, Decided),
    /// A minute of all of the shop.
    Minute(Published),
    /// How good a score was on a day.
    Quality(Published),
}

/// A record that is none of its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// A minute, its channel and store; of all of the shop without them.
pub type MinuteKey = (EventTime, Option<Box<str>>, Option<Box<str>>);

/// The beginning of a window, its stream and field.
pub type WindowKey = (EventTime, Box<str>, Box<str>);

/// The view.
#[derive(Debug)]
pub struct View {
    running: Bounded<Box<str>, Running>,
    sessions: Bounded<Box<str>, LastSession>,
    features: Bounded<(EntityKind, Box<str>), Published>,
    decisions: Bounded<DecisionId, KnownDecision>,
    verdicts: Bounded<DecisionId, Verdict>,
    decided: Bounded<(EntityKind, Box<str>), Arc<[DecisionId]>>,
    recommender: RwLock<Recommender>,
    /// Of each visitor, how the running session stood, to be learned from when it ends.
    moments: Bounded<Box<str>, Arc<[Moment]>>,
    intent: RwLock<IntentModel>,
    /// Alerts.
    pub alerts: KnownAlerts,
    /// Changes that the shop has announced.
    pub changes: KnownChanges,
    /// The newest decisions.
    pub recent: Decisions,
    /// Records of `business.minutes`.
    pub minutes: Series<MinuteKey>,
    /// Records of `drift.features`.
    pub windows: Series<WindowKey>,
    /// Records of `quality.fraud`: day, score.
    pub quality: Series<(EventTime, Box<str>)>,
    /// Records of `quality.expected`: day, score.
    pub expected: Series<(EventTime, Box<str>)>,
    payload_bytes_max: usize,
}

impl View {
    /// Empty.
    #[must_use]
    pub fn new(settings: ViewSettings) -> View {
        View {
            running: Bounded::new(settings.visitors_max),
            sessions: Bounded::new(settings.visitors_max),
            features: Bounded::new(settings.entities_max),
            decisions: Bounded::new(settings.decisions_max),
            verdicts: Bounded::new(settings.verdicts_max),
            decided: Bounded::new(settings.entities_max),
            recommender: RwLock::new(Recommender::new(settings.recommend)),
            moments: Bounded::new(settings.visitors_max),
            intent: RwLock::new(IntentModel::default()),
            alerts: KnownAlerts::default(),
            changes: KnownChanges::default(),
            recent: Decisions::default(),
            minutes: Series::new(MINUTES_MAX),
            windows: Series::new(WINDOWS_MAX),
            quality: Series::new(QUALITY_MAX),
            expected: Series::new(QUALITY_MAX),
            payload_bytes_max: settings.payload_bytes_max,
        }
    }

    /// The topics it is built from.
    pub const TOPICS: [Topic; 14] = [
        Topic::ScoresFraud,
        Topic::LabelledFraud,
        Topic::FeaturesFraud,
        Topic::FeaturesSession,
        Topic::Sessions,
        Topic::Catalogue,
        Topic::AlertsDrift,
        Topic::AlertsFraud,
        Topic::AlertsBusiness,
        Topic::AlertsControl,
        Topic::BusinessMinutes,
        Topic::DriftFeatures,
        Topic::QualityFraud,
        Topic::QualityExpected,
    ];

    /// The running session of a visitor: a record of `features.session`; none if it is known to have ended.
    #[must_use]
    pub fn running_session(&self, visitor: &str) -> Option<Published> {
        let visitor = Box::from(visitor);
        let running = self.running.get(&visitor)?;
        let last = self.sessions.get(&visitor);
        let has_ended = last.is_some_and(|last| last.is_final && last.session_id == running.session_id);
        (!has_ended).then_some(running.record)
    }

    /// How many sessions run, by how far they have come, and the newest event in any. Looks at every visitor that is known.
    #[must_use]
    pub fn live_sessions(&self) -> (BTreeMap<Stage, u64>, Option<EventTime>) {
        let (mut stages, mut newest) = (BTreeMap::new(), None);
        self.running.each(|visitor, running| {
            let last = self.sessions.get(visitor);
            if last.is_some_and(|last| last.is_final && last.session_id == running.session_id) {
                return;
            }
            *stages.entry(running.stage).or_default() += 1;
            newest = newest.max(Some(running.record.event_time));
        });
        (stages, newest)
    }

    /// What time it is in the shop, as far as payments and its minutes show, rounded up to a minute: by the clock, or where the log of another
    /// day is read, of that day.
    #[must_use]
    pub fn shop_time(&self) -> Option<EventTime> {
        let of_payments = self.recent.minutes(1).last().map(|(minute, _)| *minute);
        let newest = of_payments.max(self.minutes.last().map(|(minute, ..)| minute));
        newest.map(|minute| minute.plus(MINUTE))
    }

    /// The session of a visitor that was published last: a record of `sessions`.
    #[must_use]
    pub fn session(&self, visitor: &str) -> Option<Published> {
        self.sessions.get(&Box::from(visitor)).map(|last| last.record)
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

    /// What was decided, also where the record is forgotten.
    #[must_use]
    pub fn verdict(&self, decision: DecisionId) -> Option<Verdict> {
        self.verdicts.get(&decision)
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

    /// What to show beside these items, newest first, and categories, the most touched first: `count` items at most.
    #[must_use]
    pub fn recommended(
        &self,
        items: &[&str],
        categories: &[&str],
        count: usize,
    ) -> Vec<RecommendedItem<'static>> {
        let recommender = self.recommender();
        recommender.recommend(items, categories, count).into_iter().map(recommended).collect()
    }

    /// What a running session that stands so will come to, and how well that is known.
    #[must_use]
    pub fn intent(&self, running: &RunningHead<'_>) -> (Intent, IntentQuality) {
        let model = self.intent.read().unwrap_or_else(PoisonError::into_inner);
        (model.intent(&moment(running)), model.quality())
    }

    /// How well it is known what sessions will come to.
    #[must_use]
    pub fn intent_quality(&self) -> IntentQuality {
        self.intent.read().unwrap_or_else(PoisonError::into_inner).quality()
    }

    /// Visitors, entities, decisions and, of those without a record, verdicts that are kept.
    #[must_use]
    pub fn sizes(&self) -> [usize; 4] {
        let visitors = self.running.len().max(self.sessions.len());
        [visitors, self.features.len(), self.decisions.len(), self.verdicts.len()]
    }

    /// Takes a record of one of [`View::TOPICS`]. What is older than what is known changes nothing.
    ///
    /// # Errors
    ///
    /// [`Unreadable`]: it is not what its topic promises, and was left out.
    pub fn take(&self, fetched: &Fetched) -> Result<Option<News>, Unreadable> {
        if fetched.partition.topic == Topic::Catalogue {
            self.take_item(fetched);
            return Ok(None);
        }
        if fetched.partition.topic == Topic::AlertsControl {
            let payload = fetched.record.value.as_deref().unwrap_or_default();
            self.changes.take(payload, self.payload_bytes_max);
            return Ok(None);
        }
        let json = text(&fetched.record).ok_or(Unreadable)?;
        let id = fetched.record.id().ok_or(Unreadable)?;
        let published = |event_time| Published { json: json.into(), event_time, id };
        match fetched.partition.topic {
            Topic::FeaturesSession => self.take_running(json, published),
            Topic::Sessions => self.take_session(json, published),
            Topic::FeaturesFraud => {
                let head: FeaturesHead<'_> = read(json)?;
                let key = (head.entity, Box::from(&*head.entity_id));
                let new = published(head.event_time_ms);
                self.features.update(&key, |known| is_newer(known, &new).then(|| new.clone()));
                Ok(None)
            }
            Topic::ScoresFraud => self.take_score(json, published),
            topic if Topic::ALERTS.contains(&topic) => {
                let alert: Alert = read(json)?;
                let new = KnownAlert { record: published(alert.as_of_ms), alert: Arc::new(alert) };
                Ok(self.alerts.take(new.clone()).then_some(News::Alert(new)))
            }
            Topic::BusinessMinutes => {
                let head: MinuteHead<'_> = read(json)?;
                let of_all = head.channel.is_none();
                let key = (head.minute_ms, head.channel.map(boxed), head.store_id.map(boxed));
                let new = published(head.minute_ms);
                Ok((self.minutes.take(key, new.clone()) && of_all).then_some(News::Minute(new)))
            }
            Topic::DriftFeatures => {
                let head: WindowHead<'_> = read(json)?;
                let key = (head.window_start_ms, boxed(head.stream), boxed(head.feature));
                self.windows.take(key, published(head.window_start_ms));
                Ok(None)
            }
            Topic::QualityFraud => {
                let head: QualityHead<'_> = read(json)?;
                let new = published(head.day_ms);
                let key = (head.day_ms, boxed(head.score));
                Ok(self.quality.take(key, new.clone()).then_some(News::Quality(new)))
            }
            Topic::QualityExpected => {
                let head: QualityHead<'_> = read(json)?;
                self.expected.take((head.day_ms, boxed(head.score)), published(head.day_ms));
                Ok(None)
            }
            Topic::LabelledFraud => {
                let head: LabelHead<'_> = read(json)?;
                let decision = DecisionId::from_text(&head.decision_id).ok_or(Unreadable)?;
                let label = Some((published(head.known_at_ms), head.outcome));
                self.decisions.update(&decision, |known| {
                    Some(KnownDecision { label, ..known.cloned().unwrap_or_default() })
                });
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn take_running(
        &self,
        json: &str,
        published: impl Fn(EventTime) -> Published,
    ) -> Result<Option<News>, Unreadable> {
        let head: RunningHead<'_> = read(json)?;
        let (visitor, new) = (Box::from(&*head.visitor_id), published(head.event_time_ms));
        let mut was_newest = None;
        let is_new = self.running.update(&visitor, |known| {
            was_newest = known.and_then(|known| known.newest_item.clone());
            let known = known.map(|known| &known.record);
            // a click that belongs to an earlier session than the one that runs
            let is_of_earlier = known.is_some_and(|known| new.event_time < known.event_time);
            (is_newer(known, &new) && !is_of_earlier).then(|| Running {
                record: new.clone(),
                session_id: Box::from(&*head.session_id),
                newest_item: head.last_items.first().map(|item| Box::from(&**item)),
                stage: Stage::of(&head),
            })
        });
        if !is_new {
            return Ok(None);
        }
        let items = looked_at(was_newest.as_deref(), &head);
        let pace = Pace { events: head.events, duration_ms: head.dwell_ms };
        if !items.is_empty() {
            self.write_recommender(|recommender| {
                for item in items {
                    recommender.look(item, head.event_time_ms, pace);
                }
            });
        }
        self.keep_moment(&visitor, moment(&head));
        Ok(Some(News::Running(visitor, new)))
    }

    fn take_session(
        &self,
        json: &str,
        published: impl Fn(EventTime) -> Published,
    ) -> Result<Option<News>, Unreadable> {
        let head: SessionHead<'_> = read(json)?;
        let (visitor, new) = (Box::from(&*head.visitor_id), published(head.end_ms));
        let is_new = self.sessions.update(&visitor, |known| {
            is_newer(known.map(|known| &known.record), &new).then(|| LastSession {
                record: new.clone(),
                session_id: Box::from(&*head.session_id),
                is_final: head.is_final,
            })
        });
        if !is_new {
            return Ok(None);
        }
        if head.is_final {
            self.write_recommender(|recommender| recommender.close(&closed(&head)));
            self.learn_from(&visitor, &head);
        }
        Ok(Some(News::Session(visitor, new)))
    }

    /// Keeps how a session stands, if that is a step from how it stood.
    fn keep_moment(&self, visitor: &str, now: Moment) {
        self.moments.update(&Box::from(visitor), |known| {
            let known = known.map_or(&[][..], |known| known);
            // the moments of one session have falling times only where another has begun
            let of_it: Vec<Moment> =
                known.iter().copied().filter(|before| before.events < now.events).collect();
            let is_a_step = of_it.last().is_none_or(|before| now.is_a_step_from(before));
            let forgotten = (of_it.len() + 1).saturating_sub(MOMENTS_MAX);
            is_a_step.then(|| of_it.into_iter().skip(forgotten).chain([now]).collect())
        });
    }

    /// A session has ended: how it stood is learned from, unless a machine clicked.
    fn learn_from(&self, visitor: &str, session: &SessionHead<'_>) {
        let pace = Pace { events: session.events, duration_ms: session.duration_ms };
        let known = self.moments.get(&Box::from(visitor)).unwrap_or_default();
        let within = |moment: &&Moment| session.start_ms <= moment.time && moment.time <= session.end_ms;
        let moments: Vec<Moment> = known.iter().filter(within).copied().collect();
        if !moments.is_empty() && !self.recommender().is_a_machines(pace) {
            let mut model = self.intent.write().unwrap_or_else(PoisonError::into_inner);
            model.ended(&moments, session.purchases);
        }
    }

    fn take_score(
        &self,
        json: &str,
        published: impl Fn(EventTime) -> Published,
    ) -> Result<Option<News>, Unreadable> {
        let head: ScoreHead<'_> = read(json)?;
        let decision = DecisionId::from_text(&head.decision_id).ok_or(Unreadable)?;
        let entities = head.entities.iter();
        let decided = Decided {
            record: published(head.event_time_ms),
            score: head.score,
            decision: head.decision,
            amount: head.amount_minor.zip(head.currency.as_deref().map(Into::into)),
            entities: entities
                .filter_map(|(kind, id)| Some((EntityKind::from_name(kind)?, Box::from(&**id))))
                .collect(),
        };
        let is_new = self.decisions.update(&decision, |known| {
            let before = known.and_then(|known| known.decided.as_ref());
            let is_new = is_newer(before.map(|before| &before.record), &decided.record);
            is_new.then(|| KnownDecision {
                decided: Some(decided.clone()),
                ..known.cloned().unwrap_or_default()
            })
        });
        if !is_new {
            return Ok(None);
        }
        self.recent.take(decided.decision, &decided.record);
        self.verdicts.update(&decision, |_| Some(decided.verdict()));
        for entity in decided.entities.iter() {
            self.decided.update(entity, |known| {
                let known = known.map_or(&[][..], |known| known);
                let forgotten = known.len().saturating_sub(DECISIONS_PER_ENTITY - 1);
                (!known.contains(&decision))
                    .then(|| known.iter().copied().skip(forgotten).chain([decision]).collect())
            });
        }
        Ok(Some(News::Score(decision, decided)))
    }

    /// What is refused stands in `dead-letter`, and is none here.
    fn take_item(&self, fetched: &Fetched) {
        match fetched.record.value.as_deref() {
            None | Some([]) => {
                let key = fetched.record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
                if let Some(id) = key {
                    let retired =
                        Item { offset: fetched.offset, category: None, stock: None, is_active: false };
                    self.write_recommender(|recommender| recommender.offer(id, retired));
                }
            }
            Some(payload) => {
                let Ok((item, _)) = CatalogueItem::decode(payload, self.payload_bytes_max) else { return };
                let offered = Item {
                    offset: fetched.offset,
                    category: as_str(&item.category).map(Into::into),
                    stock: item.stock,
                    is_active: item.is_active.unwrap_or(true),
                };
                self.write_recommender(|recommender| recommender.offer(item.item_id.as_str(), offered));
            }
        }
    }

    fn write_recommender(&self, write: impl FnOnce(&mut Recommender)) {
        write(&mut self.recommender.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn recommended(chosen: Recommendation<'_>) -> RecommendedItem<'static> {
    let owned = |text: &str| Cow::Owned(text.to_owned());
    let reason = match chosen.why {
        Why::SimilarSessions(item) => RecommendationReason::SimilarSessions { item_id: owned(item) },
        Why::PopularIn(category) => RecommendationReason::PopularInCategory { category: owned(category) },
        Why::Popular => RecommendationReason::Popular,
    };
    RecommendedItem { item_id: owned(chosen.item), score: chosen.score, reason }
}

fn boxed(text: Cow<'_, str>) -> Box<str> {
    text.into_owned().into()
}

fn read<'j, T: serde::Deserialize<'j>>(json: &'j str) -> Result<T, Unreadable> {
    serde_json::from_str(json).map_err(|_| Unreadable)
}

fn text(record: &LogRecord) -> Option<&str> {
    std::str::from_utf8(record.value.as_deref()?).ok()
}

/// Whether it does not come again, and what is known was not made later in the same log.
fn is_newer(known: Option<&Published>, new: &Published) -> bool {
    !known.is_some_and(|known| {
        let (old, new) = (known.id, new.id);
        (old.topic, old.partition) == (new.topic, new.partition)
            && (new.offset, new.index) <= (old.offset, old.index)
    })
}

fn moment(running: &RunningHead<'_>) -> Moment {
    Moment {
        time: running.event_time_ms,
        events: running.events,
        depth: running.depth,
        dwell_ms: running.dwell_ms,
        searches: running.searches,
        cart_adds: running.cart_adds,
        cart_pieces: running.cart.values().fold(0, |pieces, more| pieces.saturating_add(*more)),
        checkouts: running.checkouts,
        purchases: running.purchases,
    }
}

/// The items of a running session that were looked at since `was_newest` was the newest, the newest first: those that stand above it. One that was looked at twice in between counts once.
fn looked_at<'f>(was_newest: Option<&str>, running: &'f RunningHead<'_>) -> Vec<&'f str> {
    running.last_items.iter().map(|item| &**item).take_while(|item| Some(*item) != was_newest).collect()
}

fn closed<'s>(session: &'s SessionHead<'_>) -> ClosedSession<'s> {
    ClosedSession {
        time: session.end_ms,
        pace: Pace { events: session.events, duration_ms: session.duration_ms },
        has_bought: session.purchases > 0,
        items: session.last_items.iter().map(|item| &**item).collect(),
    }
}
