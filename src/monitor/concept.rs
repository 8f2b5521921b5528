//! Whether scores and outcomes go together as they did: watches over the labelled scores of one name, in the order in which their
//! labels became known.
//!
//! Streams are watched: how many of the labelled were frauds, how many of the frauds were let pass, how many of the honest were
//! stopped, the logarithmic loss of the score of the honest, and how frauds rank among the honest; of a model that runs elsewhere loss and
//! ranking, and how many were positive. Each by a native watch ([`crate::drift::watch`]) at a stated mean number
//! of labels between false alarms. A change is told when it still stands a window later. What changed stays a finding until the stream has gone back, or for as long as the new law
//! takes to become the usual one.

mod ranking;

use self::ranking::{Negatives, Ranked};
use super::command::inspect;
use super::quality::CERTAIN;
use super::seasonal::phase;
use super::watched::Watched;
use crate::alert::{About, EpisodeSettings, Episodes, Observation, Traffic};
use crate::drift::DriftSettings;
use crate::drift::watch::{Direction, Kind, Phase, Season, WatchSettings};
use crate::event::alert::{
    AT_LEAST, Alert, AlertAction, AlertCommand, AlertKind, FRAUD_RATE, Finding, Moved, POSITIVE_RATE,
};
use crate::event::monitor::LabelledDecision;
use crate::event::public::Action;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Of each stream so many blocks of so many samples are remembered: since when a change is, and how large.
const BLOCKS_KEPT: usize = 1_024;
const BLOCK: u64 = 16;
/// Of streams of which few come, blocks are smaller: of frauds there are some a day.
const BLOCK_OF_FEW: u64 = 4;
/// The share of the labelled that is positive, about: streams of them have as many fewer samples between false alarms.
const POSITIVES: f64 = 0.1;
/// A loss (in nats) or a ranking that is worse by less is no news, however certain it is.
const LEVEL_LEAST: f64 = 0.01;
/// A mean is known to so many of its standard errors.
const ERRORS: f64 = 2.0;
/// Of fewer blocks nobody knows how far their mean is off.
const BLOCKS_LEAST: usize = 4;
/// What is told is over below this part of what is told first: else what lies beside the limit would come and go.
const ENDS_BELOW: f64 = 0.5;
/// What the time of day explains is known by the hour at most.
const HOURS: u16 = 24;

/// What is watched of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Stream {
    /// Whether a labelled payment was a fraud.
    FraudRate,
    /// Whether a fraud was let pass or only looked at.
    MissedFrauds,
    /// Whether an honest payment was stopped.
    StoppedHonest,
    /// Of a negative, −ln of what the score gave to that: what it costs to believe a score that cries wolf.
    NegativesLoss,
    /// Whether what a model elsewhere gives the probability of happened.
    PositiveRate,
    /// Of a positive, the share of the negatives that score lower.
    Ranking,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::FraudRate => FRAUD_RATE,
            Stream::MissedFrauds => "missed_frauds",
            Stream::StoppedHonest => "stopped_honest",
            Stream::NegativesLoss => "loss_of_negatives",
            Stream::PositiveRate => POSITIVE_RATE,
            Stream::Ranking => "auc",
        }
    }

    fn kind(self) -> Kind {
        if matches!(self, Stream::NegativesLoss | Stream::Ranking) { Kind::Value } else { Kind::Rate }
    }

    /// Where it goes when things get better: nobody has to hear of that. Of how many are positive nobody knows.
    fn better(self) -> Option<Direction> {
        match self {
            Stream::FraudRate | Stream::PositiveRate => None,
            Stream::MissedFrauds | Stream::StoppedHonest | Stream::NegativesLoss => Some(Direction::Down),
            Stream::Ranking => Some(Direction::Up),
        }
    }

    /// What the time of day explains: where frauds are looked for by night, honest payments of the night have higher scores. Positives are
    /// too few to tell.
    fn season(self, settings: &DriftSettings) -> Option<Season> {
        let slots_per_day = settings.cycle.season.slots_per_day.min(HOURS);
        (self == Stream::NegativesLoss).then_some(Season { days: 1, slots_per_day })
    }

    /// So many samples are remembered together.
    fn block(self) -> u64 {
        if self.share() < 1.0 { BLOCK_OF_FEW } else { BLOCK }
    }

    /// Which part of the labels are samples of it, about.
    fn share(self) -> f64 {
        if matches!(self, Stream::Ranking | Stream::MissedFrauds) { POSITIVES } else { 1.0 }
    }
}

/// A stream, and when its payments were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Labels {
    watched: Watched,
    /// Of each block of samples the time of the first payment, and the sum, the newest last.
    blocks: VecDeque<(EventTime, f64)>,
    samples: u64,
    /// While something is news.
    began: Option<Began>,
}

/// How a change of a stream began.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Began {
    /// After so many samples, with a payment of that time.
    samples: u64,
    time: EventTime,
    /// The mean before, if anything of it is remembered.
    usual: Option<f64>,
    /// Whether it was large enough to tell when it was looked at last.
    is_told: bool,
}

impl Began {
    /// By how much worse a loss or a ranking is to be.
    fn least(self) -> f64 {
        if self.is_told { LEVEL_LEAST * ENDS_BELOW } else { LEVEL_LEAST }
    }
}

/// What is watched of one score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Concept {
    streams: BTreeMap<Stream, Labels>,
    negatives: Negatives,
    /// Who was behind the positives that were ranked.
    ranked: Ranked,
    /// Until when decisions were counted in its episode.
    counted: EventTime,
    /// When it was looked at first: until it has been learned, nothing is told.
    since: Option<EventTime>,
    /// When something was found first.
    odd_since: Option<EventTime>,
}

/// What was decided by a score, and who gives it.
pub struct Decided<'d> {
    /// What was decided since a time, and until when that is known.
    pub since: &'d dyn Fn(EventTime) -> (Traffic, EventTime),
    /// The models and rules that it is made of.
    pub by: Vec<String>,
}

impl Concept {
    /// Takes a labelled score into account: how good it was, and what became of what was decided by it.
    pub fn take(&mut self, labelled: &LabelledDecision<'_>, settings: &DriftSettings) {
        self.take_score(labelled, settings);
        if settings.is_watched {
            self.take_outcome(labelled, settings);
        }
    }

    /// As [`Concept::take`], of a score by which nothing was decided: only how good it was.
    pub fn take_score(&mut self, labelled: &LabelledDecision<'_>, settings: &DriftSettings) {
        if !settings.is_watched {
            return;
        }
        // each stream is about one outcome: how many frauds are labelled moves none of them
        if labelled.outcome.is_positive() {
            if let Some(rank) = self.negatives.below(labelled.score)
                && self.ranked.is_first(labelled.behind, labelled.time)
            {
                self.watch(Stream::Ranking, rank, labelled.time, settings);
            }
        } else {
            self.negatives.add(labelled.score);
            let loss = -(1.0 - labelled.score.clamp(0.0, 1.0 - CERTAIN)).ln();
            self.watch(Stream::NegativesLoss, loss, labelled.time, settings);
        }
    }

    fn take_outcome(&mut self, labelled: &LabelledDecision<'_>, settings: &DriftSettings) {
        let is_fraud = labelled.outcome.is_positive();
        let truth = f64::from(u8::from(is_fraud));
        let mut watch = |stream, value| self.watch(stream, value, labelled.time, settings);
        let Some(decision) = labelled.decision else {
            watch(Stream::PositiveRate, truth);
            return;
        };
        let was_stopped = decision >= Action::StepUp;
        watch(Stream::FraudRate, truth);
        if is_fraud {
            watch(Stream::MissedFrauds, f64::from(u8::from(!was_stopped)));
        } else {
            watch(Stream::StoppedHonest, f64::from(u8::from(was_stopped)));
        }
    }

    fn watch(&mut self, stream: Stream, value: f64, time: EventTime, settings: &DriftSettings) {
        let labels = self.streams.entry(stream).or_insert_with(|| Labels::new(stream, settings));
        let phase = stream.season(settings).map(|_| phase(time, settings.cycle.day()));
        labels.take(stream, (value, phase), time);
    }

    /// What is known of the score called `name` by `at`. Returns the revision of its episode that is to be published.
    pub fn look(
        &mut self,
        name: &str,
        at: EventTime,
        decided: Decided<'_>,
        settings: &DriftSettings,
        episodes: &mut Episodes,
    ) -> Option<Alert> {
        if at < self.since.get_or_insert(at).plus(settings.learn) {
            self.streams.values_mut().for_each(Labels::forget);
        }
        let findings: Vec<Finding> =
            self.streams.iter_mut().filter_map(|(stream, labels)| labels.look(*stream)).collect();
        let about = About::new(AlertKind::ConceptDrift, name);
        let ends =
            EpisodeSettings { resolve_after: settings.window, reopen_within: settings.resolve_after * 4 };
        let (traffic, counted) = (decided.since)(self.counted);
        if findings.is_empty() {
            self.odd_since = None;
            self.counted = counted;
            return episodes.observe(&about, at, Observation { traffic, ..Observation::default() }, ends);
        }
        let odd_since = *self.odd_since.get_or_insert(at);
        // held down for a window: a burst of labels about one pattern is over by then
        if at < odd_since.plus(settings.window) {
            return None;
        }
        self.counted = counted;
        if odd_since.plus(settings.adopt_after) <= at {
            self.forget();
            let adopted = Observation { traffic, adopted: true, ..Observation::default() };
            return episodes.observe(&about, at, adopted, ends);
        }
        let since = findings.iter().map(|finding| finding.since_ms).min().unwrap_or(at);
        let observation = Observation {
            traffic_since: (decided.since)(since).0,
            traffic,
            share: 1.0,
            read_by: decided.by,
            command: command(name, since, self.streams.contains_key(&Stream::PositiveRate)),
            findings,
            ..Observation::default()
        };
        episodes.observe(&about, at, observation, ends)
    }

    /// What somebody says of the episode: what is there now is as it should be.
    pub fn command(&mut self, command: &AlertCommand) {
        if command.action == AlertAction::Expect {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.streams.values_mut().for_each(Labels::adopt);
        self.odd_since = None;
    }
}

/// A command that shows the records.
fn command(name: &str, since: EventTime, is_elsewhere: bool) -> String {
    if is_elsewhere {
        inspect("labelled.predictions", since, &[("model", name)])
    } else {
        inspect("labelled.fraud", since, &[])
    }
}

impl Labels {
    fn new(stream: Stream, settings: &DriftSettings) -> Labels {
        let watch = WatchSettings {
            season: stream.season(settings),
            ..settings.watch(stream.kind(), stream.share())
        };
        Labels { watched: Watched::new(watch), blocks: VecDeque::new(), samples: 0, began: None }
    }

    fn take(&mut self, stream: Stream, (value, phase): (f64, Option<Phase>), time: EventTime) {
        if self.samples.is_multiple_of(stream.block()) {
            if self.blocks.len() == BLOCKS_KEPT {
                self.blocks.pop_front();
            }
            self.blocks.push_back((time, 0.0));
        }
        self.samples += 1;
        if let Some((_, sum)) = self.blocks.back_mut() {
            *sum += value;
        }
        let known = self.said();
        let Labels { watched, blocks, .. } = self;
        let since = |samples_ago| time_of(blocks, samples_ago / stream.block(), time);
        watched.take((stream.name(), stream.better()), (value, phase), time, since);
        let now = self.said();
        if now != known {
            self.began = self.begins(stream, now, time);
        }
    }

    /// How what is news began: what was too small to tell by now is where the next change begins.
    fn begins(&self, stream: Stream, now: Option<(EventTime, u64)>, time: EventTime) -> Option<Began> {
        let (_, newer) = now?;
        let goes_on = self.began.filter(|began| {
            let worse = self.worse(stream, began).map_or(0.0, |(worse, _)| worse);
            worse > 0.0 && (stream.kind() == Kind::Rate || worse >= began.least())
        });
        goes_on.or_else(|| {
            let samples = self.samples.saturating_sub(newer);
            let is_remembered = self.blocks.len() < BLOCKS_KEPT;
            // before all that is remembered it was as the watch says; before what was adopted it does not matter
            let watched = || self.watched.finding().filter(|_| !is_remembered).map(|finding| finding.from);
            let usual = self.means(stream, samples).0.mean().or_else(watched);
            let time = time_of(&self.blocks, newer / stream.block(), time);
            Some(Began { samples, time, usual, is_told: false })
        })
    }

    /// What was news is none.
    fn forget(&mut self) {
        self.watched.forget();
        self.began = None;
    }

    /// What is there now is the usual, and what was before is compared with no more.
    fn adopt(&mut self) {
        self.forget();
        self.blocks.clear();
    }

    /// When the watch has told of a change last, and of how many samples.
    fn said(&self) -> Option<(EventTime, u64)> {
        self.watched.finding().map(|finding| (finding.until_ms, finding.count))
    }

    /// What is news by now.
    fn look(&mut self, stream: Stream) -> Option<Finding> {
        let finding = self.finding(stream);
        if let Some(began) = &mut self.began {
            began.is_told = finding.is_some();
        }
        finding
    }

    /// What is news, if it is large enough. The watch says what it has seen of a change when it found it, and of values where most lie, by ranks: a
    /// rate, a loss and a ranking are known by their means, before it and since.
    fn finding(&self, stream: Stream) -> Option<Finding> {
        let (finding, began) = (self.watched.finding()?, self.began?);
        let (worse, since) = self.worse(stream, &began)?;
        let (from, to) = (began.usual?, since.mean()?);
        let error = if finding.what == Moved::Rate { since.error_of_share() } else { since.error() };
        let at_least = (worse - ERRORS * error).max(0.0);
        let is_news = match finding.what {
            Moved::Level if began.is_told => worse >= began.least(),
            Moved::Level => at_least >= began.least(),
            _ => worse > 0.0,
        };
        is_news.then(|| Finding {
            from,
            to,
            effect: if from.abs() > 0.0 { (to - from) / from.abs() } else { to - from },
            since_ms: began.time,
            measures: BTreeMap::from([(AT_LEAST.to_owned(), at_least)]),
            ..finding.clone()
        })
    }

    /// By how much the mean since then is worse, and what came since then; none if nothing is known of before.
    fn worse(&self, stream: Stream, began: &Began) -> Option<(f64, Blocks)> {
        let (from, (_, since)) = (began.usual?, self.means(stream, began.samples));
        let to = since.mean()?;
        let worse = match stream.better() {
            Some(Direction::Up) => from - to,
            Some(Direction::Down) => to - from,
            _ => (to - from).abs(),
        };
        Some((worse, since))
    }

    /// The samples before the one of that number, and those from it on, to half a block, as far as they are remembered.
    fn means(&self, stream: Stream, first: u64) -> (Blocks, Blocks) {
        let block = stream.block();
        let blocks = self.samples.div_ceil(block);
        let oldest = blocks.saturating_sub(self.blocks.len() as u64);
        let (mut before, mut since) = (Blocks::default(), Blocks::default());
        for (place, (_, sum)) in (oldest..).zip(&self.blocks) {
            let (begin, end) = (place * block, ((place + 1) * block).min(self.samples));
            let is_newer = begin + block / 2 >= first || end == self.samples;
            let blocks = if is_newer { &mut since } else { &mut before };
            blocks.add(*sum, end - begin, block);
        }
        (before, since)
    }
}

/// Blocks of samples.
#[derive(Default)]
struct Blocks {
    sum: f64,
    count: u64,
    /// The means of those that are whole.
    means: Vec<f64>,
}

impl Blocks {
    /// Adds a block of which so many samples have come.
    fn add(&mut self, sum: f64, count: u64, block: u64) {
        self.sum += sum;
        self.count += count;
        if count == block {
            self.means.push(sum / block as f64);
        }
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The standard error of the mean, by how much blocks differ: samples that come together are alike.
    fn error(&self) -> f64 {
        let blocks = self.means.len() as f64;
        if self.means.len() < BLOCKS_LEAST {
            return f64::INFINITY;
        }
        let mean = self.means.iter().sum::<f64>() / blocks;
        let squares: f64 = self.means.iter().map(|block| (block - mean).powi(2)).sum();
        (squares / (blocks * (blocks - 1.0))).sqrt()
    }

    /// The same of samples that are 0 or 1, each by itself: as if one more of each had come (Agresti & Coull 1998, about).
    fn error_of_share(&self) -> f64 {
        let count = self.count as f64 + 2.0;
        let share = (self.sum + 1.0) / count;
        (share * (1.0 - share) / count).sqrt()
    }
}

/// The payment time of the first sample of the block so many blocks ago.
fn time_of(blocks: &VecDeque<(EventTime, f64)>, blocks_ago: u64, now: EventTime) -> EventTime {
    let back = usize::try_from(blocks_ago).unwrap_or(usize::MAX);
    let place = blocks.len().checked_sub(back.saturating_add(1));
    let block = place.and_then(|place| blocks.get(place)).or(blocks.front());
    block.map_or(now, |(time, _)| *time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::LabelOutcome;
    use crate::event::alert::Severity;
    use std::borrow::Cow;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn settings() -> DriftSettings {
        DriftSettings { learn: HOUR * 100, ..DriftSettings::hourly() }
    }

    /// A labelled score per minute: one in twenty is a fraud, of which the rules stop all but one in `missed_of`.
    fn labelled(minute: i64, missed_of: i64) -> LabelledDecision<'static> {
        let is_fraud = minute % 20 == 0;
        let is_missed = is_fraud && (minute / 20) % missed_of == 0;
        let score = if is_fraud && !is_missed { 0.9 } else { 0.05 };
        LabelledDecision {
            of: Cow::Borrowed("fraud"),
            time: EventTime(minute * 60_000),
            score,
            decision: Some(if score > 0.5 { Action::Decline } else { Action::Approve }),
            model: None,
            amount_minor: Some(1_000),
            currency: Some(Cow::Borrowed("EUR")),
            outcome: if is_fraud { LabelOutcome::Fraud } else { LabelOutcome::Legitimate },
            known_at: EventTime(minute * 60_000),
            behind: None,
        }
    }

    /// The revisions of so many hours, from `hour` on.
    fn play(
        concept: &mut Concept,
        episodes: &mut Episodes,
        hours: std::ops::Range<i64>,
        missed_of: i64,
    ) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for hour in hours {
            for minute in 0..60 {
                concept.take(&labelled(hour * 60 + minute, missed_of), &settings());
            }
            let at = EventTime((hour + 1) * 3_600_000);
            // one a minute
            let since = |since: EventTime| {
                let decisions =
                    u64::try_from(at.since(since.max(EventTime(0))) / 60_000).expect("it is past");
                (Traffic { decisions, ..Traffic::default() }, at)
            };
            let decided = Decided { since: &since, by: vec!["model default".to_owned()] };
            alerts.extend(concept.look("fraud", at, decided, &settings(), episodes));
        }
        alerts
    }

    #[test]
    fn a_loss_is_told_by_its_mean_before_the_change_and_since() {
        let mut labels = Labels::new(Stream::NegativesLoss, &settings());
        // one in ten costs ten times as much as the others: most lie far below the mean
        let value = |sample: u64, factor: f64| factor * if sample.is_multiple_of(10) { 0.1 } else { 0.01 };
        let at = |sample: u64| EventTime(i64::try_from(sample).expect("some days") * 60_000);
        let take = |labels: &mut Labels, samples: std::ops::Range<u64>, factor: f64| {
            for sample in samples {
                let phase = Some(phase(at(sample), settings().cycle.day()));
                labels.take(Stream::NegativesLoss, (value(sample, factor), phase), at(sample));
            }
        };
        take(&mut labels, 0..20_000, 1.0);
        assert_eq!(labels.finding(Stream::NegativesLoss), None);
        take(&mut labels, 20_000..21_000, 4.0);
        let found = labels.finding(Stream::NegativesLoss).expect("four times as much");
        assert!((found.from - 0.019).abs() < 0.001 && (found.to - 0.076).abs() < 0.004, "{found:?}");
        assert!((found.effect - 3.0).abs() < 0.4, "{found:?}");
        labels.adopt();
        take(&mut labels, 21_000..41_000, 4.0);
        take(&mut labels, 41_000..42_000, 16.0);
        let found = labels.finding(Stream::NegativesLoss).expect("four times as much again");
        assert!(found.since_ms >= at(40_000), "what was expected is no part of it: {found:?}");
        assert!((found.from - 0.07).abs() < 0.01 && (found.to - 0.3).abs() < 0.03, "{found:?}");
    }

    #[test]
    fn a_rate_that_rose_slowly_is_told_though_its_beginning_is_remembered_no_more() {
        let mut labels = Labels::new(Stream::StoppedHonest, &settings());
        let of_a_thousand = |sample: u64| sample * 7_919 % 1_000;
        let mut told = None;
        for sample in 0..300_000_u64 {
            let stopped = if sample < 200_000 { 5 } else { 8 };
            let value = f64::from(u8::from(of_a_thousand(sample) < stopped));
            let at = EventTime(i64::try_from(sample).expect("few") * 1_000);
            labels.take(Stream::StoppedHonest, (value, None), at);
            told = told.or_else(|| labels.look(Stream::StoppedHonest));
        }
        let told = told.expect("half as many more");
        assert!((told.from - 0.005).abs() < 0.001 && (told.to - 0.008).abs() < 0.001, "{told:?}");
        let at_least = told.measures.get(AT_LEAST).copied().expect("it is a rate");
        assert!(at_least > 0.0 && at_least < 0.003, "{at_least}");
    }

    #[test]
    fn what_was_adopted_a_moment_ago_is_not_told_as_risen_from_nothing() {
        let mut labels = Labels::new(Stream::NegativesLoss, &settings());
        let at = |sample: u64| EventTime(i64::try_from(sample).expect("some days") * 60_000);
        let value = |sample: u64| 0.04 + 0.02 * (sample * 7_919 % 101) as f64 / 100.0;
        let take = |labels: &mut Labels, samples: std::ops::Range<u64>, more: f64| {
            for sample in samples {
                let phase = Some(phase(at(sample), settings().cycle.day()));
                labels.take(Stream::NegativesLoss, (value(sample) + more, phase), at(sample));
            }
        };
        take(&mut labels, 0..10_000, 0.0);
        take(&mut labels, 10_000..10_020, 0.1);
        labels.adopt();
        take(&mut labels, 10_020..11_000, 0.1);
        assert_eq!(labels.look(Stream::NegativesLoss), None);
    }

    #[test]
    fn a_loss_beside_the_limit_is_told_until_it_is_well_below() {
        let mut labels = Labels::new(Stream::NegativesLoss, &settings());
        let value = |sample: u64, more: f64| 0.04 + 0.02 * (sample * 7_919 % 101) as f64 / 100.0 + more;
        let at = |sample: u64| EventTime(i64::try_from(sample).expect("some days") * 60_000);
        let mut next = 0;
        let mut is_told_after = |samples: u64, more: f64| {
            for sample in next..next + samples {
                let phase = Some(phase(at(sample), settings().cycle.day()));
                labels.take(Stream::NegativesLoss, (value(sample, more), phase), at(sample));
            }
            next += samples;
            labels.look(Stream::NegativesLoss).is_some()
        };
        assert!(!is_told_after(10_000, 0.0));
        assert!(is_told_after(1_000, 0.012));
        assert!(is_told_after(1_000, 0.006), "0.009 worse on average");
        assert!(!is_told_after(10_000, 0.0), "as before");
    }

    fn titles(alerts: &[Alert]) -> String {
        alerts.iter().take(3).map(|alert| alert.title.as_str()).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn frauds_that_are_no_longer_stopped_are_told_with_since_when_and_again_when_they_are() {
        let (mut concept, mut episodes) = (Concept::default(), Episodes::default());
        let alerts = play(&mut concept, &mut episodes, 0..1_000, 10);
        assert_eq!(titles(&alerts), "", "a tenth is missed, and nothing changes");
        let alerts = play(&mut concept, &mut episodes, 1_000..1_100, 2);
        let first = alerts.first().expect("half of the frauds are missed now");
        let missed =
            first.findings.iter().find(|finding| finding.feature == "missed_frauds").expect("it moved");
        assert!(missed.from < 0.15 && missed.to > 0.35, "{missed:?}");
        let off = (missed.since_ms.0 - 1_000 * 3_600_000).abs();
        assert!(off < 24 * 3_600_000, "since {} hours beside the change", off / 3_600_000);
        let decided = u64::try_from(first.as_of_ms.since(first.since_ms) / 60_000).expect("it is past");
        assert_eq!(first.decisions, decided, "all that was decided since it began");
        let later = alerts.last().expect("it goes on");
        let more = u64::try_from(later.as_of_ms.since(first.as_of_ms) / 60_000).expect("it is past");
        assert_eq!(later.decisions, decided + more, "and what came since, once");
        assert_eq!(later.read_by, ["model default"]);
        let alerts = play(&mut concept, &mut episodes, 1_100..1_400, 10);
        let last = alerts.last().expect("it goes on, then ends");
        assert_eq!(last.status, crate::event::alert::AlertStatus::Resolved, "{}", last.title);
    }

    #[test]
    fn what_labels_say_wakes_nobody_before_it_has_stood_for_a_day() {
        let (mut concept, mut episodes) = (Concept::default(), Episodes::default());
        play(&mut concept, &mut episodes, 0..1_000, 10);
        let alerts = play(&mut concept, &mut episodes, 1_000..1_100, 1);
        let opened = alerts.first().expect("every fraud is missed").detected_ms;
        for alert in &alerts {
            let stands = alert.as_of_ms.since(opened) >= 24 * 3_600_000;
            let expected = if stands { Severity::Page } else { Severity::Ticket };
            assert_eq!(
                alert.severity,
                expected,
                "{} h after it was told",
                alert.as_of_ms.since(opened) / 3_600_000
            );
        }
        assert!(alerts.last().is_some_and(|last| last.severity == Severity::Page), "it stands for days");
    }

    #[test]
    fn of_a_score_by_which_nothing_is_decided_only_its_quality_is_watched() {
        let mut concept = Concept::default();
        concept.take_score(&labelled(1, 10), &settings());
        assert_eq!(concept.streams.keys().collect::<Vec<_>>(), [&Stream::NegativesLoss]);
        concept.take(&labelled(1, 10), &settings());
        assert!(concept.streams.len() > 2, "with what was decided");
    }

    #[test]
    fn a_change_is_told_a_window_after_it_was_found() {
        let (mut concept, mut episodes) = (Concept::default(), Episodes::default());
        play(&mut concept, &mut episodes, 0..1_000, 10);
        let mut found_in = None;
        for hour in 1_000..1_100 {
            let alerts = play(&mut concept, &mut episodes, hour..hour + 1, 1);
            if let Some(found_in) = found_in {
                assert_eq!((hour, titles(&alerts).is_empty()), (found_in + 1, false));
                return;
            }
            assert_eq!(titles(&alerts), "", "in the hour in which it is found");
            let is_found = concept.streams.values().any(|labels| labels.watched.finding().is_some());
            found_in = is_found.then_some(hour);
        }
        panic!("every fraud is missed, and nothing is found");
    }

    #[test]
    fn who_says_that_it_was_to_be_expected_hears_no_more_of_it() {
        let (mut concept, mut episodes) = (Concept::default(), Episodes::default());
        play(&mut concept, &mut episodes, 0..1_000, 10);
        let alerts = play(&mut concept, &mut episodes, 1_000..1_100, 2);
        let known = alerts.last().expect("half of the frauds are missed now");
        let command = AlertCommand {
            subject: "fraud".to_owned(),
            fingerprint: known.fingerprint.clone(),
            action: AlertAction::Expect,
            by: "ana".to_owned(),
            note: None,
            time: EventTime(1_100 * 3_600_000),
        };
        concept.command(&command);
        assert!(episodes.command(&command).is_some());
        assert_eq!(titles(&play(&mut concept, &mut episodes, 1_100..1_200, 2)), "");
    }
}
