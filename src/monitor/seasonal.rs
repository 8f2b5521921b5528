//! A stream of single values with a week's season under a watch: what is usual at each hour of the week, and when a change is over.

use super::watched::Watched;
use crate::alert::{About, EpisodeSettings, Episodes, Observation, Traffic};
use crate::drift::DriftSettings;
use crate::drift::reference::seasonal::hour_of_week;
use crate::drift::watch::{Kind, Phase, Season, WatchSettings};
use crate::event::alert::{Alert, Finding};
use crate::time::{EventTime, millis};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Monday at 0:00 UTC.
const MONDAY_MS: i64 = 4 * 86_400_000;
/// A month, in the sense of the budget.
const MONTH: Duration = Duration::from_secs(30 * 86_400);
/// A value moves the mean of its hour of the week by so much: about two weeks of twelve values an hour.
const LEARN: f64 = 0.05;
/// So many values have to be as usual before a stream is.
const LATELY: usize = 6;
/// And together as near to it as this, as a share of how far they were off.
const BACK: f64 = 0.35;
/// What began so many windows before an announced change or later is taken for a part of it.
const EXCUSED_WINDOWS: u32 = 2;
/// While a change lasts it is told again so often.
const TOLD_EVERY: Duration = Duration::from_secs(3_600);
/// What came is remembered window by window for so long: a change is noticed within it, as a rule.
const TRAFFIC_KEPT: Duration = Duration::from_secs(12 * 3_600);

/// A stream under a watch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Seasonal {
    watched: Watched,
    /// The mean at each hour of the week, of late weeks above all.
    usual: BTreeMap<u8, f64>,
    /// The last values while something is news, each with what is usual then.
    lately: VecDeque<(f64, f64)>,
    /// How far they were off at most, as a share of what is usual.
    furthest: f64,
}

/// How far the last values are off what is usual, as a share of it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Off {
    by: f64,
    /// By how much at least, as far as so few values tell: two standard errors less.
    at_least: f64,
    /// Their mean, and that of what is usual then.
    values: f64,
    usual: f64,
}

impl Seasonal {
    /// Of a stream that has not begun: of values of a kind, one for each `length`, of which `share_it` streams share the budget.
    pub(super) fn new(kind: Kind, length: Duration, share_it: f64, settings: &DriftSettings) -> Seasonal {
        let values = MONTH.as_secs_f64() / length.as_secs_f64();
        let between = values * share_it / settings.false_pages_per_month;
        let watched = Watched::new(WatchSettings {
            season: Some(season(length, settings)),
            samples_between_false_alarms: between,
            ..settings.watch(kind, 1.0)
        });
        Seasonal { watched, usual: BTreeMap::new(), lately: VecDeque::new(), furthest: 0.0 }
    }

    /// Takes the value of the window of `length` that begins at `start`.
    pub(super) fn take(
        &mut self,
        feature: &str,
        value: f64,
        (start, length): (EventTime, Duration),
        settings: &DriftSettings,
    ) {
        let at = start.plus(length);
        let since = |windows: u64| {
            let back = i64::try_from(windows).unwrap_or(i64::MAX).saturating_mul(millis(length));
            EventTime(at.0.saturating_sub(back))
        };
        let phase = phase(start.plus(length / 2), settings.cycle.length);
        self.watched.take((feature, None), (value, Some(phase)), at, since);
        self.compare(start, value);
    }

    /// The window lies in the time of a change that was announced and begins at `from`: it is not learned from, and what began with the
    /// change is no news. What began before can end.
    pub(super) fn excuse(&mut self, from: EventTime, value: f64, (start, length): (EventTime, Duration)) {
        let Some(finding) = self.watched.finding() else { return };
        // a change point is known to some windows
        if finding.since_ms.plus(length * EXCUSED_WINDOWS) > from {
            self.forget();
        } else {
            self.compare(start, value);
        }
    }

    /// A watch knows a new law only once it has lasted. Whether it is over is seen by what is usual.
    fn compare(&mut self, start: EventTime, value: f64) {
        let hour = hour_of_week(start);
        let Some(finding) = self.watched.finding() else {
            let mean = self.usual.entry(hour).or_insert(value);
            *mean += (value - *mean) * LEARN;
            self.lately.clear();
            self.furthest = 0.0;
            return;
        };
        let usual = self.usual.get(&hour).copied().unwrap_or(value);
        self.lately.push_back((value, usual));
        if self.lately.len() > LATELY {
            self.lately.pop_front();
        }
        let effect = finding.effect.abs();
        let Some(off) = self.off() else { return };
        self.furthest = self.furthest.max(off.at_least);
        if off.by.abs() <= effect.max(self.furthest).min(1.0) * BACK {
            self.watched.forget();
        }
    }

    /// How far the last values are off, once there are some.
    fn off(&self) -> Option<Off> {
        let sums = |(values, usuals), (value, usual): &(f64, f64)| (values + value, usuals + usual);
        let (values, usuals) = self.lately.iter().fold((0.0, 0.0), sums);
        if self.lately.len() < LATELY {
            return None;
        }
        let (values, usual) = (values / LATELY as f64, usuals / LATELY as f64);
        if usual <= 0.0 {
            // nothing, as ever; or something where there is nothing usually, which is how far off nobody can say
            let by = f64::from(u8::from(values > 0.0));
            return Some(Off { by, at_least: 0.0, values, usual });
        }
        let ratio = values / usual;
        let scattered = |(value, usual): &(f64, f64)| (value - ratio * usual).powi(2);
        let squares: f64 = self.lately.iter().map(scattered).sum();
        // of a mean of so many
        let error = (squares / (LATELY * (LATELY - 1)) as f64).sqrt() / usual;
        let by = ratio - 1.0;
        Some(Off { by, at_least: (by.abs() - 2.0 * error).max(0.0), values, usual })
    }

    /// What is news, as it is now. The watch has seen of a change what it took to find it, and takes no value for further off than
    /// some spreads.
    pub(super) fn finding(&self) -> Option<Finding> {
        let finding = self.watched.finding()?;
        let off = self.off().filter(|off| off.at_least > finding.effect.abs());
        Some(off.map_or_else(
            || finding.clone(),
            |off| Finding { from: off.usual, to: off.values, effect: off.by, ..finding.clone() },
        ))
    }

    /// What was news is the usual from now on.
    pub(super) fn forget(&mut self) {
        self.watched.forget();
    }
}

/// Since when something has been news.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct News {
    odd_since: Option<EventTime>,
    /// What came lately, by the beginning of the window.
    recent: VecDeque<(EventTime, Traffic)>,
    /// What has come since it was told last.
    untold: Traffic,
}

/// What came of a subject in a window.
pub(super) struct Window {
    pub(super) about: About,
    /// The end of the window, and its length.
    pub(super) at: EventTime,
    pub(super) length: Duration,
    /// What is news of it.
    pub(super) findings: Vec<Finding>,
    /// Features of which nobody is woken.
    pub(super) quiet: BTreeSet<String>,
    pub(super) traffic: Traffic,
    /// Of the traffic that it is a part of, from 0 to 1.
    pub(super) share: f64,
}

/// What follows.
#[derive(Default)]
pub(super) struct Told {
    /// The revision of its episode that is to be published.
    pub(super) alert: Option<Alert>,
    /// What was news has lasted for so long that it is the usual from now on.
    pub(super) adopted: bool,
}

impl News {
    /// Tells of a window: when something is noticed, and then once an hour; `command` shows the records since a time.
    pub(super) fn tell(
        &mut self,
        window: Window,
        command: impl FnOnce(EventTime) -> String,
        settings: &DriftSettings,
        episodes: &mut Episodes,
    ) -> Told {
        let Window { about, at, length, findings, quiet: of_nobody, traffic, share } = window;
        self.count(at.minus(length), traffic);
        let ends = EpisodeSettings { resolve_after: length, reopen_within: settings.resolve_after };
        let quiet = |adopted, traffic| Observation { traffic, adopted, ..Observation::default() };
        if findings.is_empty() {
            self.odd_since = None;
            let alert = episodes.observe(&about, at, quiet(false, std::mem::take(&mut self.untold)), ends);
            return Told { alert, adopted: false };
        }
        let odd_since = *self.odd_since.get_or_insert(at);
        let is_usual = !episodes.announced().lasted(odd_since, at);
        if is_usual && odd_since.plus(settings.adopt_after) <= at {
            self.odd_since = None;
            let traffic = std::mem::take(&mut self.untold);
            return Told { alert: episodes.observe(&about, at, quiet(true, traffic), ends), adopted: true };
        }
        if at.since(odd_since) % millis(TOLD_EVERY) != 0 {
            return Told::default();
        }
        let since = findings.iter().map(|finding| finding.since_ms).min().unwrap_or(at);
        let observation = Observation {
            findings,
            traffic_since: self.since(since),
            traffic: std::mem::take(&mut self.untold),
            share,
            quiet: of_nobody,
            command: command(since),
            ..Observation::default()
        };
        Told { alert: episodes.observe(&about, at, observation, ends), adopted: false }
    }

    fn count(&mut self, start: EventTime, traffic: Traffic) {
        self.untold.add(&traffic);
        self.recent.push_back((start, traffic));
        while self.recent.front().is_some_and(|(first, _)| first.plus(TRAFFIC_KEPT) <= start) {
            self.recent.pop_front();
        }
    }

    /// What has come since then, as far as it is remembered.
    fn since(&self, since: EventTime) -> Traffic {
        let recent = self.recent.iter().filter(|(start, _)| *start >= since);
        recent.map(|(_, traffic)| traffic).sum()
    }

    /// What was news is expected.
    pub(super) fn forget(&mut self) {
        self.odd_since = None;
    }
}

/// As the shop's, with no slots in which no window of that length begins: they would be known from their neighbours alone.
fn season(length: Duration, settings: &DriftSettings) -> Season {
    let Season { days, slots_per_day } = settings.cycle.season;
    let windows = settings.cycle.day().as_millis() / length.as_millis().max(1);
    Season { days, slots_per_day: slots_per_day.min(u16::try_from(windows).unwrap_or(u16::MAX)) }
}

/// How much of the cycle has passed.
pub(super) fn phase(time: EventTime, cycle: Duration) -> Phase {
    let cycle = millis(cycle);
    Phase::new((time.0 - MONDAY_MS).max(0).unsigned_abs(), cycle.unsigned_abs())
}
