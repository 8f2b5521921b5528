//! Patterns of fraud: many payments in a short time that rules react to around one entity, as episodes.
//!
//! A payment concerns several entities, and a ring shows at its device, its cards and its ip alike: each payment counts towards one episode,
//! that of the entity around which most is seen.

use super::command::inspect;
use crate::alert::{About, EpisodeSettings, Episodes, Observation, Traffic};
use crate::event::EntityKind;
use crate::event::alert::{Alert, AlertAction, AlertCommand, AlertKind, Finding, Moved};
use crate::event::monitor::{Suspect, SuspectEntity};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// So many payments within [`WITHIN`] are a pattern.
const LEAST: usize = 5;
const WITHIN: Duration = Duration::from_secs(3_600);
/// While a pattern goes on, it is told again after so long.
const TOLD_EVERY: Duration = Duration::from_secs(600);
/// Entities that are remembered; beyond, the one of which nothing came for longest is forgotten.
const ENTITIES_MAX: usize = 20_000;
/// Payments of an entity whose times are remembered.
const TIMES_MAX: usize = 64;

/// What was expected of an entity is expected for so long.
const EXPECTED_FOR: Duration = Duration::from_secs(7 * 86_400);

type Entity = (EntityKind, Box<str>);

/// What rules reacted to lately, by entity.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Patterns {
    entities: BTreeMap<Entity, Around>,
    /// Until when what comes of an entity is as it should be, by the subject of its episodes.
    expected: BTreeMap<String, EventTime>,
    /// The newest payment.
    now: Option<EventTime>,
}

/// What rules reacted to around an entity.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Around {
    /// Of the newest payments.
    times: VecDeque<EventTime>,
    rules: BTreeMap<Box<str>, Reactions>,
    /// What has come since it was told last.
    untold: Traffic,
    /// When that was; none while there is no episode.
    told: Option<EventTime>,
}

/// The reactions of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Reactions {
    count: u64,
    first: EventTime,
    last: EventTime,
}

impl Patterns {
    /// Takes a payment that was not simply approved. Returns a revision to publish, if there is something to say.
    pub fn take(&mut self, suspect: &Suspect, episodes: &mut Episodes) -> Option<Alert> {
        let now = self.now.max(Some(suspect.time)).unwrap_or(suspect.time);
        self.now = Some(now);
        let named = |of: &SuspectEntity| (of.kind, of.id.clone());
        let open = self.most(suspect.entities.iter().map(named).filter(|entity| self.is_open(entity)));
        let read: Vec<Entity> = suspect.entities.iter().filter(|of| of.is_read).map(named).collect();
        let read: Vec<Entity> = read.into_iter().filter(|entity| !self.is_expected(entity, now)).collect();
        let towards = open.map_or(read, |open| vec![open]);
        for entity in &towards {
            self.entities.entry(entity.clone()).or_default().add(suspect, now);
        }
        self.forget(now);
        let entity = self.most(towards.into_iter())?;
        let around = self.entities.get_mut(&entity)?;
        around.is_worth_telling(now).then(|| around.tell(&entity, now, episodes)).flatten()
    }

    /// What somebody says of an episode: what comes of an entity that is expected is no pattern for a week.
    pub fn command(&mut self, said_of: &About, command: &AlertCommand) {
        if command.action == AlertAction::Expect {
            self.entities.retain(|entity, _| about(entity).subject != said_of.subject);
            self.expected.retain(|_, until| *until > command.time);
            if self.expected.len() < ENTITIES_MAX {
                self.expected.insert(said_of.subject.to_string(), command.time.plus(EXPECTED_FOR));
            }
        }
    }

    fn is_expected(&self, entity: &Entity, now: EventTime) -> bool {
        let until = || self.expected.get(&*about(entity).subject).copied();
        !self.expected.is_empty() && until().is_some_and(|until| until > now)
    }

    /// Ends the episodes around which nothing came for long enough by the watermark.
    pub fn judge(&mut self, watermark: EventTime, episodes: &mut Episodes) -> Vec<Alert> {
        let mut alerts = Vec::new();
        self.entities.retain(|entity, around| {
            let Some(told) = around.told else { return true };
            let last = around.last().max(told);
            let ends = last.plus(WITHIN);
            if ends > watermark {
                return true;
            }
            if around.untold.decisions > 0 {
                alerts.extend(around.tell(entity, last, episodes));
            }
            alerts.extend(episodes.observe(&about(entity), ends, Observation::default(), settings()));
            false
        });
        alerts
    }

    /// The one around which most is seen; of equal ones the first.
    fn most(&self, entities: impl Iterator<Item = Entity>) -> Option<Entity> {
        let ranked = entities.enumerate().map(|(place, entity)| (self.seen(&entity), Reverse(place), entity));
        ranked.max_by_key(|(seen, place, _)| (*seen, *place)).map(|(_, _, entity)| entity)
    }

    fn is_open(&self, entity: &Entity) -> bool {
        self.entities.get(entity).is_some_and(|around| around.told.is_some())
    }

    fn seen(&self, entity: &Entity) -> usize {
        self.entities.get(entity).map_or(0, |around| around.times.len())
    }

    fn forget(&mut self, now: EventTime) {
        if self.entities.len() <= ENTITIES_MAX {
            return;
        }
        self.entities.retain(|_, around| around.told.is_some() || around.last().plus(WITHIN) > now);
        while self.entities.len() > ENTITIES_MAX {
            let oldest =
                self.entities.iter().min_by_key(|(_, around)| (around.told.is_some(), around.last()));
            let Some(oldest) = oldest.map(|(entity, _)| entity.clone()) else { return };
            self.entities.remove(&oldest);
        }
    }
}

impl Around {
    fn add(&mut self, suspect: &Suspect, now: EventTime) {
        self.times.push_back(suspect.time);
        if self.times.len() > TIMES_MAX {
            self.times.pop_front();
        }
        self.times.retain(|time| time.plus(WITHIN) > now);
        if self.told.is_none() {
            self.rules.retain(|_, reactions| reactions.last.plus(WITHIN) > now);
        }
        for rule in &suspect.rules {
            let fresh = Reactions { count: 0, first: suspect.time, last: suspect.time };
            let reactions = self.rules.entry(rule.clone()).or_insert(fresh);
            reactions.count += 1;
            reactions.first = reactions.first.min(suspect.time);
            reactions.last = reactions.last.max(suspect.time);
        }
        let money = suspect.amount.iter().map(|(currency, minor)| (currency.to_string(), *minor));
        self.untold.add(&Traffic { decisions: 1, money_minor: money.collect() });
    }

    fn last(&self) -> EventTime {
        self.rules.values().map(|reactions| reactions.last).max().unwrap_or_default()
    }

    fn is_worth_telling(&self, now: EventTime) -> bool {
        self.told.map_or(self.times.len() >= LEAST, |told| told.plus(TOLD_EVERY) <= now)
    }

    fn tell(&mut self, entity: &Entity, now: EventTime, episodes: &mut Episodes) -> Option<Alert> {
        self.told = Some(now);
        let traffic = std::mem::take(&mut self.untold);
        let findings: Vec<Finding> =
            self.rules.iter().map(|(rule, reactions)| reactions.finding(rule)).collect();
        let since = findings.iter().map(|finding| finding.since_ms).min().unwrap_or(now);
        let (kind, id) = entity;
        let observation = Observation {
            read_by: self.rules.keys().map(|rule| format!("rule {rule}")).collect(),
            findings,
            traffic_since: traffic.clone(),
            traffic,
            share: 1.0,
            command: inspect("scores.fraud", since, &[(&format!("entities.{}", kind.name()), id)]),
            ..Observation::default()
        };
        episodes.observe(&about(entity), now, observation, settings())
    }
}

impl Reactions {
    fn finding(&self, rule: &str) -> Finding {
        let count = self.count as f64;
        Finding {
            feature: rule.to_owned(),
            what: Moved::Pattern,
            segment: None,
            category: None,
            from: 0.0,
            to: count,
            since_ms: self.first,
            until_ms: self.last,
            count: self.count,
            reference_count: 0.0,
            effect: count,
            measures: BTreeMap::new(),
            statistic: count,
            threshold: LEAST as f64,
            histogram: None,
        }
    }
}

fn about((kind, id): &Entity) -> About {
    About::new(AlertKind::FraudPattern, format!("{} {id}", kind.name()))
}

fn settings() -> EpisodeSettings {
    EpisodeSettings { resolve_after: WITHIN, reopen_within: WITHIN * 4 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::alert::AlertStatus;

    fn suspect(minute: i64, card: &str) -> Suspect {
        let entity = |kind, id: &str| SuspectEntity { kind, id: id.into(), is_read: true };
        Suspect {
            time: EventTime(minute * 60_000),
            amount: Some(("EUR".into(), 100)),
            rules: vec!["ring".into()],
            entities: vec![entity(EntityKind::Card, card), entity(EntityKind::Device, "d1")],
        }
    }

    #[test]
    fn a_ring_of_cards_at_one_device_is_one_episode_around_the_device_until_it_stops() {
        let (mut patterns, mut episodes) = (Patterns::default(), Episodes::default());
        let mut told = Vec::new();
        for number in 0..30 {
            told.extend(patterns.take(&suspect(number, &format!("c{}", number % 7)), &mut episodes));
            told.extend(patterns.judge(EventTime(number * 60_000), &mut episodes));
        }
        let first = told.first().expect("five in five minutes");
        assert_eq!((first.subject.as_str(), first.detected_ms), ("device d1", EventTime(4 * 60_000)));
        assert_eq!((first.decisions, first.money_minor.get("EUR")), (5, Some(&500)));
        assert_eq!(first.severity.name(), "ticket");
        assert!(
            told.len() <= 4 && told.iter().all(|alert| alert.alert_id == first.alert_id),
            "{}",
            told.len()
        );
        assert_eq!(told.last().map(|alert| alert.severity.name()), Some("page"), "it has grown");
        let ended = patterns.judge(EventTime((29 + 60) * 60_000), &mut episodes);
        let [told, ended] = ended.as_slice() else { panic!("what was not told yet, and the end") };
        assert_eq!(told.findings.first().map(|finding| finding.count), Some(30));
        assert_eq!((ended.status, ended.decisions), (AlertStatus::Resolved, 30));
        assert_eq!(ended.money_minor.get("EUR"), Some(&3_000));
    }

    #[test]
    fn payments_whose_reasons_read_another_entity_count_towards_the_open_episode_of_theirs() {
        let (mut patterns, mut episodes) = (Patterns::default(), Episodes::default());
        let mut told = Vec::new();
        for number in 0..20 {
            let mut suspect = suspect(number, &format!("c{number}"));
            let ip = SuspectEntity { kind: EntityKind::Ip, id: "i1".into(), is_read: number > 8 };
            suspect.entities.push(ip);
            // and those who come behind it are of an earlier time
            suspect.time = EventTime(suspect.time.0 + i64::from(number == 3) * 3_000_000);
            told.extend(patterns.take(&suspect, &mut episodes));
        }
        let ids: std::collections::BTreeSet<_> = told.iter().map(|alert| &alert.alert_id).collect();
        assert_eq!(ids.len(), 1, "{told:?}");
        let ended = patterns.judge(EventTime(10 * 3_600_000), &mut episodes);
        let ended = ended.last().map(|alert| (alert.status, alert.decisions));
        assert_eq!(ended, Some((AlertStatus::Resolved, 20)));
    }

    #[test]
    fn what_rules_react_to_now_and_then_is_no_pattern() {
        let (mut patterns, mut episodes) = (Patterns::default(), Episodes::default());
        for number in 0..40 {
            let alert = patterns.take(&suspect(number * 20, "c1"), &mut episodes);
            assert_eq!(alert, None, "three an hour");
        }
        assert_eq!(patterns.judge(EventTime::MAX, &mut episodes), []);
    }

    #[test]
    fn what_is_expected_of_an_entity_is_no_pattern_for_a_week() {
        let (mut patterns, mut episodes) = (Patterns::default(), Episodes::default());
        let mut told = |patterns: &mut Patterns, minutes: std::ops::Range<i64>| {
            let taken = minutes.filter_map(|minute| patterns.take(&suspect(minute, "c1"), &mut episodes));
            taken.last()
        };
        let alert = told(&mut patterns, 0..10).expect("ten within ten minutes");
        let command = AlertCommand {
            subject: alert.subject.clone(),
            fingerprint: alert.fingerprint.clone(),
            action: AlertAction::Expect,
            by: "ana".to_owned(),
            note: None,
            time: EventTime(10 * 60_000),
        };
        patterns.command(&About::new(AlertKind::FraudPattern, alert.subject.clone()), &command);
        let later = told(&mut patterns, 10..60).map(|alert| alert.subject);
        assert_ne!(later, Some(alert.subject.clone()), "it is as it should be");
        let week = 7 * 24 * 60;
        assert_eq!(patterns.expected.len(), 1);
        let after = told(&mut patterns, week + 100..week + 160).map(|alert| alert.subject);
        assert!(after.is_some(), "not for ever");
    }

    #[test]
    fn memory_is_bounded_and_what_is_open_stays() {
        let (mut patterns, mut episodes) = (Patterns::default(), Episodes::default());
        for number in 0..5 {
            patterns.take(&suspect(0, &format!("c{number}")), &mut episodes);
        }
        for number in 0..ENTITIES_MAX + 50 {
            let mut other = suspect(30, &format!("x{number}"));
            other.entities.truncate(1);
            patterns.take(&other, &mut episodes);
        }
        assert!(patterns.entities.len() <= ENTITIES_MAX);
        assert!(patterns.is_open(&(EntityKind::Device, "d1".into())));
    }
}
