//! Episodes: something is not as it should be, from when that is noticed until it has not been seen for a while.
//!
//! What belongs to one subject and is of one kind is one episode: one cause is one page, however many features it moves. An
//! episode that comes back soon after it ended is the same one, opened again.
//!
//! Memory: an open or lately ended episode takes some kilobytes; there are at most [`EPISODES_MAX`], and of those beyond the one
//! that was heard of longest ago is forgotten, ended ones first.

use super::announced::Announced;
use super::changes::Changes;
use super::severity::severity;
use crate::event::alert::{
    Acknowledgement, Alert, AlertAction, AlertCommand, AlertKind, AlertSegment, AlertStatus, Announcement,
    Cause, Change, Finding, Moved, Resolution, Severity,
};
use crate::event::monitor::{DECISION, MODEL_SCORE, SCORE};
use crate::money::add_money;
use crate::time::{EventTime, millis};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Sum;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// Episodes that are remembered at most.
pub const EPISODES_MAX: usize = 1_000;
/// Findings that an alert names.
const FINDINGS_MAX: usize = 20;
/// Between the name of a view and that of its feature.
const OF_A_VIEW: &str = "__";
/// Causes that an alert names.
const CAUSES_MAX: usize = 10;
/// What begins within so long of another begins for the same reason: change points are known to some windows of it.
const TOGETHER: Duration = Duration::from_secs(3_600);
/// An episode that was not heard of for so long is forgotten: until then somebody may still say something about it.
const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

/// What an episode is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct About {
    /// What sort of thing it is.
    pub kind: AlertKind,
    /// The score, stream or entity.
    pub subject: String,
    /// What tells it from others of that kind about the same subject: the code of a pattern; empty where there is one at a time.
    pub what: String,
}

impl About {
    /// What there is one of at a time about a subject.
    #[must_use]
    pub fn new(kind: AlertKind, subject: impl Into<String>) -> About {
        About { kind, subject: subject.into(), what: String::new() }
    }

    /// The same for every episode about the same.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        xxh3_64(format!("{}\n{}\n{}", self.kind.name(), self.subject, self.what).as_bytes())
    }
}

/// What came of a subject in a window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Decisions or records.
    pub decisions: u64,
    /// What they were worth.
    pub money_minor: BTreeMap<String, i64>,
}

impl Traffic {
    /// Adds another window's.
    pub fn add(&mut self, other: &Traffic) {
        self.decisions += other.decisions;
        for (currency, minor) in &other.money_minor {
            add_money(&mut self.money_minor, currency, *minor);
        }
    }

    /// Which share of `all` it is, from 0 to 1: of the decisions, or of the money if that is more. Minor units count alike, whatever the currency:
    /// of one in which little is paid a small part may have all.
    #[must_use]
    pub fn share_of(&self, all: &Traffic) -> f64 {
        let share = |part: f64, of: f64| if of > 0.0 { (part / of).clamp(0.0, 1.0) } else { 0.0 };
        let money = |of: &Traffic| of.money_minor.values().map(|minor| *minor as f64).sum();
        share(self.decisions as f64, all.decisions as f64).max(share(money(self), money(all)))
    }
}

impl<'t> Sum<&'t Traffic> for Traffic {
    fn sum<I: Iterator<Item = &'t Traffic>>(parts: I) -> Traffic {
        parts.fold(Traffic::default(), |mut sum, part| {
            sum.add(part);
            sum
        })
    }
}

/// What is known of a subject by a time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observation {
    /// What is not as it should be; nothing if all is well.
    pub findings: Vec<Finding>,
    /// What came in the window that this is about.
    pub traffic: Traffic,
    /// What came since the findings began, up to this window and with it.
    pub traffic_since: Traffic,
    /// That is all that the episode concerns, as far as is known now: what was counted for another part of the traffic is none of it.
    pub is_counted_anew: bool,
    /// The part of the traffic in which it is largest.
    pub segment: Option<AlertSegment>,
    /// The share of the subject's traffic that it concerns, by decisions or money.
    pub share: f64,
    /// Who reads what moved.
    pub read_by: Vec<String>,
    /// A command that shows the records.
    pub command: String,
    /// Windows of the present findings are the reference from now on.
    pub adopted: bool,
    /// Features that have moved, and of which alone nobody is woken.
    pub quiet: BTreeSet<String>,
}

/// When episodes end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpisodeSettings {
    /// An episode ends when nothing was found for so long.
    pub resolve_after: Duration,
    /// One that comes back within this is the same one.
    pub reopen_within: Duration,
}

/// The episodes of one task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Episodes {
    episodes: BTreeMap<u64, Episode>,
    /// By fingerprint, until when nobody wants to hear of it.
    muted: BTreeMap<u64, EventTime>,
    /// What changed upstream lately.
    changes: Changes,
    /// What the shop has said beforehand.
    announced: Announced,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Episode {
    about: About,
    /// As it was published last.
    alert: Alert,
    /// Everything that was found since it opened, by feature, what moved and segment.
    findings: BTreeMap<(String, Moved, Option<String>), Finding>,
    /// When something was found last.
    seen: EventTime,
    traffic: Traffic,
    /// Somebody is woken by another one for the same reason.
    is_told: bool,
    /// See [`Observation::quiet`].
    quiet: BTreeSet<String>,
}

impl Episodes {
    /// What is known of `about` by `at`. Returns a revision to publish, if there is something to say.
    pub fn observe(
        &mut self,
        about: &About,
        at: EventTime,
        observation: Observation,
        settings: EpisodeSettings,
    ) -> Option<Alert> {
        let fingerprint = about.fingerprint();
        let muted = self.muted.get(&fingerprint).copied().filter(|until| *until > at);
        if observation.findings.is_empty() {
            return self.quiet(fingerprint, at, &observation, settings);
        }
        let causes = self.causes(about, &observation.findings);
        let is_told = self.is_told_by_another(about, &observation.findings);
        let open = self.episodes.get_mut(&fingerprint).filter(|episode| episode.goes_on(at, settings));
        let episode = match open {
            Some(episode) => episode,
            None => {
                self.make_room(at);
                let opened = Episode::new(about, at, &observation);
                self.episodes.insert(fingerprint, opened);
                self.episodes.get_mut(&fingerprint)?
            }
        };
        episode.alert.muted_until_ms = muted;
        episode.is_told = is_told;
        Some(episode.update(at, observation, causes))
    }

    /// Something has changed upstream.
    pub fn changed(&mut self, change: Change) {
        self.changes.take(change);
    }

    /// Somebody says something of a change that the shop makes.
    pub fn announce(&mut self, said: &Announcement) {
        self.announced.take(said);
    }

    /// Changes that the shop has announced.
    #[must_use]
    pub fn announced(&self) -> &Announced {
        &self.announced
    }

    /// What may be why these findings came about: what the shop has announced, and what changed upstream shortly before.
    fn causes(&self, about: &About, findings: &[Finding]) -> Vec<Cause> {
        let Some(since) = findings.iter().map(|finding| finding.since_ms).min() else { return Vec::new() };
        let mut causes: Vec<Cause> =
            self.announced.before(since).chain(self.changes.before(about, since)).collect();
        causes.sort_by_key(|cause| cause.at_ms.since(since).abs());
        causes
    }

    /// Whether somebody is woken by another episode for the same reason: where records of one topic stop, or come in crowds, others do,
    /// and so do the shop's figures; and with a channel its stores.
    fn is_told_by_another(&self, about: &About, findings: &[Finding]) -> bool {
        if !matches!(about.kind, AlertKind::Volume | AlertKind::Business) {
            return false;
        }
        let Some(since) = findings.iter().map(|finding| finding.since_ms).min() else { return false };
        let fingerprint = format!("{:016x}", about.fingerprint());
        let is_part_of = |alert: &Alert| {
            alert.kind == AlertKind::Business
                && about.subject.split_once('/').is_some_and(|(whole, _)| whole == alert.subject)
        };
        self.open().any(|alert| {
            (alert.kind == AlertKind::Volume || is_part_of(alert))
                && alert.severity == Severity::Page
                && alert.fingerprint != fingerprint
                && alert.since_ms.since(since).abs() <= millis(TOGETHER)
        })
    }

    fn quiet(
        &mut self,
        fingerprint: u64,
        at: EventTime,
        observation: &Observation,
        settings: EpisodeSettings,
    ) -> Option<Alert> {
        let episode = self.episodes.get_mut(&fingerprint)?;
        if episode.alert.status == AlertStatus::Resolved {
            return None;
        }
        episode.traffic.add(&observation.traffic);
        let resolution = if observation.adopted { Resolution::Adopted } else { Resolution::Recovered };
        let is_over = observation.adopted || at >= episode.seen.plus(settings.resolve_after);
        is_over.then(|| episode.resolve(at, resolution))
    }

    /// Somebody has said something. Returns the revision that says so.
    pub fn command(&mut self, command: &AlertCommand) -> Option<Alert> {
        let named = u64::from_str_radix(&command.fingerprint, 16).ok()?;
        let of_id = |episode: &&mut Episode| episode.alert.alert_id == command.fingerprint;
        let fingerprint = if self.episodes.contains_key(&named) {
            named
        } else {
            self.episodes.values_mut().find(of_id)?.about.fingerprint()
        };
        match command.action {
            AlertAction::Mute { until } => {
                self.muted.insert(fingerprint, until);
            }
            AlertAction::Unmute => {
                self.muted.remove(&fingerprint);
            }
            AlertAction::Acknowledge | AlertAction::Expect => {}
        }
        let muted = self.muted.get(&fingerprint).copied();
        let episode = self.episodes.get_mut(&fingerprint)?;
        episode.alert.muted_until_ms = muted;
        if matches!(command.action, AlertAction::Acknowledge | AlertAction::Expect) {
            episode.alert.acknowledged = Some(Acknowledgement {
                by: command.by.clone(),
                at_ms: command.time,
                note: command.note.clone(),
            });
        }
        if command.action == AlertAction::Expect && episode.alert.status == AlertStatus::Open {
            return Some(episode.resolve(command.time, Resolution::Expected));
        }
        Some(episode.publish(episode.alert.as_of_ms.max(command.time)))
    }

    /// What the episode with this name, or fingerprint, is about.
    #[must_use]
    pub fn about(&self, name: &str) -> Option<&About> {
        let named = u64::from_str_radix(name, 16).ok()?;
        let of_id = || self.episodes.values().find(|episode| episode.alert.alert_id == name);
        self.episodes.get(&named).or_else(of_id).map(|episode| &episode.about)
    }

    /// Since when the episode about this is, if it goes on.
    #[must_use]
    pub fn since(&self, about: &About) -> Option<EventTime> {
        let episode = self.episodes.get(&about.fingerprint())?;
        (episode.alert.status == AlertStatus::Open).then_some(episode.alert.since_ms)
    }

    /// Episodes that go on.
    pub fn open(&self) -> impl Iterator<Item = &Alert> {
        self.episodes.values().map(|episode| &episode.alert).filter(|alert| alert.status == AlertStatus::Open)
    }

    fn make_room(&mut self, at: EventTime) {
        self.muted.retain(|_, until| *until > at);
        let is_old = |episode: &Episode| {
            episode.alert.status == AlertStatus::Resolved && episode.alert.as_of_ms.plus(REMEMBERED) <= at
        };
        self.episodes.retain(|_, episode| !is_old(episode));
        while self.episodes.len() >= EPISODES_MAX {
            let rank = |episode: &Episode| (episode.alert.status == AlertStatus::Open, episode.seen);
            let Some(oldest) =
                self.episodes.iter().min_by_key(|(_, episode)| rank(episode)).map(|(name, _)| *name)
            else {
                return;
            };
            self.episodes.remove(&oldest);
        }
    }
}

impl Episode {
    fn new(about: &About, at: EventTime, observation: &Observation) -> Episode {
        let fingerprint = about.fingerprint();
        let alert_id = xxh3_64(format!("{fingerprint:016x} {}", at.0).as_bytes());
        let since = observation.findings.iter().map(|finding| finding.since_ms).min().unwrap_or(at);
        let alert = Alert {
            alert_id: format!("{alert_id:016x}"),
            fingerprint: format!("{fingerprint:016x}"),
            revision: 0,
            status: AlertStatus::Open,
            kind: about.kind,
            severity: Severity::Info,
            title: String::new(),
            subject: about.subject.clone(),
            segment: None,
            since_ms: since,
            detected_ms: at,
            as_of_ms: at,
            resolved_ms: None,
            resolution: None,
            acknowledged: None,
            muted_until_ms: None,
            findings: Vec::new(),
            findings_total: 0,
            causes: Vec::new(),
            read_by: Vec::new(),
            decisions: 0,
            money_minor: BTreeMap::new(),
            share: 0.0,
            command: String::new(),
            runbook: format!("docs/runbook.md#{}", about.kind.name()),
        };
        let traffic = Traffic::default();
        let (findings, quiet) = (BTreeMap::new(), BTreeSet::new());
        Episode { about: about.clone(), alert, findings, seen: at, traffic, is_told: false, quiet }
    }

    /// Whether what is found at `at` belongs to it.
    fn goes_on(&self, at: EventTime, settings: EpisodeSettings) -> bool {
        self.alert.status == AlertStatus::Open || at < self.seen.plus(settings.reopen_within)
    }

    fn update(&mut self, at: EventTime, observation: Observation, causes: Vec<Cause>) -> Alert {
        let is_first = self.alert.revision == 0;
        if is_first || observation.is_counted_anew {
            self.traffic = observation.traffic_since;
        } else {
            self.traffic.add(&observation.traffic);
        }
        self.seen = at;
        self.quiet.retain(|feature| !observation.findings.iter().any(|finding| finding.feature == *feature));
        self.quiet.extend(observation.quiet);
        for finding in observation.findings {
            let place = finding.segment.as_ref().map(|part| format!("{}={}", part.dimension, part.value));
            let key = (finding.feature.clone(), finding.what, place);
            let since = self.findings.get(&key).map_or(finding.since_ms, |known| known.since_ms);
            self.findings.insert(key, Finding { since_ms: since.min(finding.since_ms), ..finding });
        }
        let alert = &mut self.alert;
        alert.status = AlertStatus::Open;
        (alert.resolved_ms, alert.resolution) = (None, None);
        alert.segment = observation.segment;
        alert.share = observation.share;
        for cause in causes {
            if alert.causes.len() < CAUSES_MAX && !alert.causes.contains(&cause) {
                alert.causes.push(cause);
            }
        }
        alert.read_by.extend(observation.read_by);
        alert.read_by.sort_unstable();
        alert.read_by.dedup();
        alert.command = observation.command;
        self.publish(at)
    }

    fn resolve(&mut self, at: EventTime, resolution: Resolution) -> Alert {
        self.alert.status = AlertStatus::Resolved;
        self.alert.resolved_ms = Some(at);
        self.alert.resolution = Some(resolution);
        self.publish(at)
    }

    /// The next revision.
    fn publish(&mut self, at: EventTime) -> Alert {
        let alert = &mut self.alert;
        let findings = told_once(self.findings.values().collect(), alert.segment.as_ref());
        alert.revision += 1;
        alert.as_of_ms = at;
        alert.since_ms = findings.iter().map(|finding| finding.since_ms).min().unwrap_or(at);
        alert.findings_total = u32::try_from(findings.len()).unwrap_or(u32::MAX);
        alert.findings = findings.into_iter().take(FINDINGS_MAX).cloned().collect();
        alert.decisions = self.traffic.decisions;
        alert.money_minor = self.traffic.money_minor.clone();
        let for_ms = at.since(alert.detected_ms);
        let by_themselves = alert.findings.iter().filter(|finding| !self.quiet.contains(&finding.feature));
        let now = severity(self.about.kind, by_themselves, alert.share, for_ms);
        let now = if self.is_told { now.min(Severity::Ticket) } else { now };
        alert.severity = alert.severity.max(now);
        alert.title = title(&self.about, &alert.findings);
        alert.clone()
    }
}

/// What is nearest to the cause first, then the largest. What is said of one feature several times is told once: of `part`, where most of it
/// moved, else of all the traffic, else of the part that shows it most.
fn told_once<'f>(mut findings: Vec<&'f Finding>, part: Option<&AlertSegment>) -> Vec<&'f Finding> {
    let is_unit = |finding: &Finding| finding.what == Moved::Unit;
    let distance = |finding: &Finding| finding.distance_from(part);
    let largest = |one: &Finding, other: &Finding| rank(other).total_cmp(&rank(one));
    let unit_first = |one: &Finding, other: &Finding| is_unit(other).cmp(&is_unit(one));
    findings.sort_by(|one, other| {
        unit_first(one, other).then(distance(one).cmp(&distance(other))).then_with(|| largest(one, other))
    });
    let mut told = BTreeSet::new();
    findings.retain(|finding| {
        let what = if is_unit(finding) { Moved::Distribution } else { finding.what };
        told.insert((finding.feature.as_str(), what))
    });
    findings.sort_by(|one, other| {
        unit_first(one, other)
            .then(steps_from_the_record(&one.feature).cmp(&steps_from_the_record(&other.feature)))
            .then_with(|| largest(one, other))
    });
    findings
}

/// How far a field is from what a record says: 0 for that itself, 1 for what a view makes of it, 2 for what was said of that.
#[must_use]
pub fn steps_from_the_record(feature: &str) -> u8 {
    match feature {
        SCORE | MODEL_SCORE | DECISION => 2,
        name => u8::from(name.contains(OF_A_VIEW)),
    }
}

/// How far above its threshold a finding is, and how large.
fn rank(finding: &Finding) -> f64 {
    finding.statistic / finding.threshold.max(f64::MIN_POSITIVE) * finding.effect.abs().max(1e-6).sqrt()
}

/// The episode in one line: what moved most, and what else.
fn title(about: &About, findings: &[Finding]) -> String {
    let Some(first) = findings.first() else { return about.subject.clone() };
    let place = first.segment.as_ref().map(|part| format!(" where {} is {}", part.dimension, part.value));
    let place = place.unwrap_or_default();
    let others = match findings.len() {
        1 => String::new(),
        more => format!(", and {} more", more - 1),
    };
    format!("{}: {}{place}{others}", about.subject, moved(first))
}

/// What moved, in words.
#[must_use]
pub fn moved(finding: &Finding) -> String {
    let Finding { feature, from, to, .. } = finding;
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    if let (Moved::Distribution | Moved::NonFinite, Some(part)) = (finding.what, &finding.category) {
        return format!("{feature} is {part} in {} of records, was in {}", percent(*to), percent(*from));
    }
    match finding.what {
        Moved::Distribution | Moved::Level => {
            format!("{feature} moved from {} to {}", number(*from), number(*to))
        }
        Moved::Missing => {
            format!("{feature} is missing in {} of records, was in {}", percent(*to), percent(*from))
        }
        Moved::NonFinite => format!("{feature} is no finite number in {} of records", percent(*to)),
        Moved::NewCategories => {
            format!("{feature} has names that were not there, in {} of records", percent(*to))
        }
        Moved::Unit => {
            format!("{feature} is {} times what it was, as if by another unit", number(*to / *from))
        }
        Moved::Volume => format!("{feature}: {} in place of {}", number(*to), number(*from)),
        Moved::Rate => format!("{feature} went from {} to {}", percent(*from), percent(*to)),
        Moved::Pattern => format!("{feature}: {} payments", number(*to)),
    }
}

/// A number with as many digits as say something.
fn number(value: f64) -> String {
    let digits = if value.abs() >= 100.0 || value.fract().abs() < 1e-9 {
        0
    } else if value.abs() >= 1.0 {
        2
    } else {
        4
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: EpisodeSettings = EpisodeSettings {
        resolve_after: Duration::from_secs(3_600),
        reopen_within: Duration::from_secs(7_200),
    };

    fn finding(feature: &str, what: Moved, statistic: f64) -> Finding {
        Finding {
            feature: feature.to_owned(),
            what,
            segment: None,
            category: None,
            from: 1.0,
            to: 100.0,
            since_ms: EventTime(0),
            until_ms: EventTime(0),
            count: 1,
            reference_count: 1.0,
            effect: 1.0,
            measures: BTreeMap::new(),
            statistic,
            threshold: 1.0,
            histogram: None,
        }
    }

    #[test]
    fn what_a_record_says_is_told_before_what_is_made_of_it_and_a_unit_before_all() {
        let findings = [
            finding("score", Moved::Distribution, 900.0),
            finding("card_velocity__amount_sum_1h", Moved::Distribution, 800.0),
            finding("card_velocity__amount_sum_1h", Moved::Unit, 700.0),
            finding("amount_minor", Moved::Unit, 2.0),
            finding("store_id", Moved::NewCategories, 3.0),
            finding("hour", Moved::Missing, 4.0),
        ];
        let told: Vec<(&str, Moved)> = told_once(findings.iter().collect(), None)
            .iter()
            .map(|finding| (finding.feature.as_str(), finding.what))
            .collect();
        assert_eq!(
            told,
            [
                ("amount_minor", Moved::Unit),
                ("card_velocity__amount_sum_1h", Moved::Unit),
                ("hour", Moved::Missing),
                ("store_id", Moved::NewCategories),
                ("score", Moved::Distribution),
            ]
        );
        let about = About::new(AlertKind::DataDrift, "fraud");
        let told: Vec<Finding> = told_once(findings.iter().collect(), None).into_iter().cloned().collect();
        let line = "fraud: amount_minor is 100 times what it was, as if by another unit, and 4 more";
        assert_eq!(title(&about, &told), line);
    }

    #[test]
    fn what_is_found_of_all_and_of_parts_is_told_of_the_part_that_moved_or_else_of_all() {
        let part = |value: &str| AlertSegment {
            dimension: "channel".to_owned(),
            value: value.to_owned(),
            share_of_change: 1.0,
        };
        let of = |value: &str, statistic| Finding {
            segment: Some(part(value)),
            ..finding("amount_minor", Moved::Unit, statistic)
        };
        let findings = [of("store", 9.0), of("online", 8.0), finding("amount_minor", Moved::Unit, 2.0)];
        let told = |where_most: Option<&AlertSegment>| -> Vec<Option<String>> {
            let told = told_once(findings.iter().collect(), where_most);
            told.into_iter().map(|finding| finding.segment.as_ref().map(|part| part.value.clone())).collect()
        };
        assert_eq!(told(None), [None]);
        assert_eq!(told(Some(&part("online"))), [Some("online".to_owned())]);
        assert_eq!(told(Some(&part("app"))), [None]);
    }

    #[test]
    fn a_part_with_few_decisions_and_much_money_is_no_small_part() {
        let of = |decisions, eur, sek| Traffic {
            decisions,
            money_minor: [("EUR".to_owned(), eur), ("SEK".to_owned(), sek)].into(),
        };
        let all = of(1_000, 900_000, 100_000);
        let share = |part: Traffic| part.share_of(&all);
        assert!((share(of(10, 300_000, 0)) - 0.3).abs() < 1e-12);
        assert!((share(of(500, 1_000, 0)) - 0.5).abs() < 1e-12);
        // all that was paid in crowns is a tenth of all that was paid
        assert!((share(of(50, 0, 100_000)) - 0.1).abs() < 1e-12);
        assert!(share(Traffic::default()).abs() < 1e-12 && all.share_of(&Traffic::default()).abs() < 1e-12);
    }

    #[test]
    fn of_quiet_features_alone_nobody_is_woken_until_they_are_quiet_no_longer() {
        let mut episodes = Episodes::default();
        let mut severity = |hour: i64, moved: &[&str], quiet: &[&str]| {
            let findings = moved.iter().map(|feature| finding(feature, Moved::Distribution, 9.0)).collect();
            let quiet = quiet.iter().map(|feature| (*feature).to_owned()).collect();
            let observation = Observation { findings, quiet, share: 1.0, ..Observation::default() };
            let about = About::new(AlertKind::DataDrift, "fraud");
            let alert = episodes.observe(&about, EventTime(hour * 3_600_000), observation, ENDS);
            alert.map(|alert| alert.severity)
        };
        assert_eq!(severity(1, &["count", "sum"], &["count", "sum"]), Some(Severity::Ticket));
        assert_eq!(severity(2, &["sum"], &["sum"]), Some(Severity::Ticket));
        assert_eq!(severity(3, &["sum"], &[]), Some(Severity::Page));
    }

    #[test]
    fn what_begins_with_a_page_about_a_volume_is_told_and_wakes_nobody_again() {
        let gone = |hour: i64| Observation {
            findings: vec![Finding {
                effect: -1.0,
                to: 0.0,
                since_ms: EventTime(hour * 3_600_000),
                ..finding("records", Moved::Volume, 9.0)
            }],
            share: 1.0,
            ..Observation::default()
        };
        let mut episodes = Episodes::default();
        let mut told = |kind, subject: &str, hour| {
            let at = EventTime((hour + 1) * 3_600_000);
            episodes.observe(&About::new(kind, subject), at, gone(hour), ENDS).map(|alert| alert.severity)
        };
        assert_eq!(told(AlertKind::Volume, "pos", 10), Some(Severity::Page));
        assert_eq!(told(AlertKind::Volume, "payments channel=store", 10), Some(Severity::Ticket));
        assert_eq!(told(AlertKind::Business, "business store", 11), Some(Severity::Ticket));
        assert_eq!(told(AlertKind::Volume, "clickstream", 14), Some(Severity::Page), "hours later");
    }
}
