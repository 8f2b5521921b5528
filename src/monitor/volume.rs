//! Whether as many records come as at this hour of the week: watches over counts of five minutes.
//!
//! A count that nobody has sent is 0: a source that stops says nothing. A stream is known from its first record on, and watched
//! when two whole weeks of it are known.

use super::watched::Watched;
use crate::alert::{About, EpisodeSettings, Episodes, Observation, Traffic};
use crate::drift::DriftSettings;
use crate::drift::profile::window_of;
use crate::drift::reference::seasonal::hour_of_week;
use crate::drift::volume::{LENGTH, Volume};
use crate::drift::watch::{Kind, Phase, Season, WatchSettings};
use crate::event::alert::{Alert, AlertAction, AlertCommand, AlertKind, Finding};
use crate::time::{EventTime, millis, rfc3339};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const WEEK_MS: i64 = 7 * 86_400_000;
/// Monday at 0:00 UTC.
const MONDAY_MS: i64 = 4 * 86_400_000;
const WEEK: Season = Season { days: 7, slots_per_day: 96 };
/// A week in which nothing comes at all is no stop of a source; what follows it is not counted window by window.
const SILENT_MAX: u32 = 7 * 288;
/// Counts of a stream at most, of any: channels come from outside.
const STREAMS_MAX: usize = 200;
/// A count moves the mean of its hour of the week by so much: about two weeks of twelve counts an hour.
const LEARN: f64 = 0.05;
/// So many counts have to be as usual before a stream is.
const LATELY: usize = 6;
/// And together as near to it as this, as a share of how far they were off.
const BACK: f64 = 0.35;
/// A month, in the sense of the budget.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// The counts of every stream of a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VolumeWatch {
    open: BTreeMap<EventTime, BTreeMap<Box<str>, u64>>,
    streams: BTreeMap<Box<str>, Stream>,
    /// The window that is judged next.
    next: Option<EventTime>,
    /// For how many windows nothing has come at all.
    silent: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stream {
    watched: Watched,
    odd_since: Option<EventTime>,
    usual: Usual,
    /// The last counts, each with what is usual then.
    lately: VecDeque<(f64, f64)>,
}

/// What is usual at each hour of the week: the mean of counts, of late weeks above all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Usual(BTreeMap<u8, f64>);

impl Usual {
    fn at(&self, time: EventTime) -> Option<f64> {
        self.0.get(&hour_of_week(time)).copied()
    }

    fn learn(&mut self, time: EventTime, count: f64) {
        let mean = self.0.entry(hour_of_week(time)).or_insert(count);
        *mean += (count - *mean) * LEARN;
    }
}

impl VolumeWatch {
    /// Takes a part of a count.
    pub fn take(&mut self, volume: Volume) {
        if self.next.is_none_or(|next| volume.start >= next) {
            let counts = self.open.entry(volume.start).or_default();
            *counts.entry(volume.stream).or_default() += volume.count;
        }
    }

    /// Judges the windows that are over by the watermark, and returns the revisions of episodes that are to be published.
    pub fn judge(
        &mut self,
        watermark: EventTime,
        settings: &DriftSettings,
        episodes: &mut Episodes,
    ) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let Some(last) = self.open.keys().next_back().copied().or(self.next) else { return alerts };
        let over = if watermark == EventTime::MAX {
            // the end of the input, and no silence
            last.plus(LENGTH)
        } else {
            window_of(watermark.minus(settings.allowed_lateness), LENGTH)
        };
        let Some(mut start) = self.next.or(self.open.keys().next().copied()) else { return alerts };
        while start < over {
            let counts = self.open.remove(&start);
            self.silent = if counts.is_some() { 0 } else { self.silent + 1 };
            if self.silent > SILENT_MAX {
                start = self.open.keys().next().copied().unwrap_or(over).min(over);
                continue;
            }
            alerts.extend(self.judge_window(start, &counts.unwrap_or_default(), settings, episodes));
            start = start.plus(LENGTH);
        }
        self.next = Some(start.max(self.next.unwrap_or(start)));
        alerts
    }

    fn judge_window(
        &mut self,
        start: EventTime,
        counts: &BTreeMap<Box<str>, u64>,
        settings: &DriftSettings,
        episodes: &mut Episodes,
    ) -> Vec<Alert> {
        for stream in counts.keys() {
            if !self.streams.contains_key(stream) && self.streams.len() < STREAMS_MAX {
                let watched = Watched::new(watch_settings(settings));
                let (usual, lately) = (Usual::default(), VecDeque::new());
                self.streams.insert(stream.clone(), Stream { watched, odd_since: None, usual, lately });
            }
        }
        let phase = Phase::new(passed(start), WEEK_MS.unsigned_abs());
        let at = start.plus(LENGTH);
        let mut alerts = Vec::new();
        for (name, stream) in &mut self.streams {
            let count = counts.get(name).copied().unwrap_or(0);
            let since = |windows: u64| {
                let back = i64::try_from(windows).unwrap_or(i64::MAX).saturating_mul(millis(LENGTH));
                EventTime(at.0.saturating_sub(back))
            };
            stream.watched.take("records", (count as f64, Some(phase)), at, since);
            stream.compare(start, count as f64);
            alerts.extend(stream.look(name, at, count, settings, episodes));
        }
        alerts
    }

    /// What somebody says of an episode about a stream.
    pub fn command(&mut self, about: &About, command: &AlertCommand) {
        if command.action == AlertAction::Expect
            && let Some(stream) = self.streams.get_mut(&*about.subject)
        {
            stream.watched.forget();
            stream.odd_since = None;
        }
    }
}

impl Stream {
    /// A watch knows a new law only once it has lasted. Whether it is over is seen by what is usual.
    fn compare(&mut self, start: EventTime, count: f64) {
        let Some(finding) = self.watched.finding() else {
            self.usual.learn(start, count);
            self.lately.clear();
            return;
        };
        let usual = self.usual.at(start).unwrap_or(count);
        self.lately.push_back((count, usual));
        if self.lately.len() > LATELY {
            self.lately.pop_front();
        }
        let off = finding.effect.abs().min(1.0) * BACK;
        let (counts, usual) = self
            .lately
            .iter()
            .fold((0.0, 0.0), |(counts, usuals), (count, usual)| (counts + count, usuals + usual));
        if self.lately.len() == LATELY && (counts - usual).abs() <= off * usual {
            self.watched.forget();
        }
    }

    fn look(
        &mut self,
        name: &str,
        at: EventTime,
        count: u64,
        settings: &DriftSettings,
        episodes: &mut Episodes,
    ) -> Option<Alert> {
        let traffic = Traffic { decisions: count, money_minor: BTreeMap::new() };
        let about = About { kind: AlertKind::Volume, subject: name.to_owned(), what: String::new() };
        let ends = EpisodeSettings { resolve_after: LENGTH, reopen_within: settings.resolve_after };
        let Some(finding) = self.watched.finding().cloned() else {
            self.odd_since = None;
            return episodes.observe(&about, at, Observation { traffic, ..Observation::default() }, ends);
        };
        let odd_since = *self.odd_since.get_or_insert(at);
        if odd_since.plus(settings.adopt_after) <= at {
            self.watched.forget();
            self.odd_since = None;
            let adopted = Observation { traffic, adopted: true, ..Observation::default() };
            return episodes.observe(&about, at, adopted, ends);
        }
        // told when it is noticed, and then once an hour
        if at.since(odd_since) % millis(Duration::from_secs(3_600)) != 0 {
            return None;
        }
        let (topic, part) = name
            .split_once(' ')
            .map_or((name, String::new()), |(topic, part)| (topic, format!(" --where {part}")));
        let command = format!("tillstream inspect {topic} --since {}{part}", rfc3339(finding.since_ms));
        let observation = Observation {
            findings: vec![Finding { feature: name.to_owned(), ..finding }],
            traffic_since: traffic.clone(),
            traffic,
            share: 1.0,
            command,
            ..Observation::default()
        };
        episodes.observe(&about, at, observation, ends)
    }
}

fn watch_settings(settings: &DriftSettings) -> WatchSettings {
    // so many streams share the budget at most, usually: topics, and payments by channel
    const SHARE_IT: f64 = 10.0;
    let windows = MONTH.as_secs_f64() / LENGTH.as_secs_f64();
    WatchSettings {
        samples_between_false_alarms: windows * SHARE_IT / settings.false_pages_per_month,
        season: Some(WEEK),
        ..WatchSettings::new(Kind::Count)
    }
}

/// How much of the week has passed, in milliseconds from Monday at 0:00 UTC on.
fn passed(time: EventTime) -> u64 {
    (time.0 - MONDAY_MS).rem_euclid(WEEK_MS).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::alert::AlertStatus;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn settings() -> DriftSettings {
        DriftSettings {
            window: HOUR,
            allowed_lateness: Duration::ZERO,
            segments: Vec::new(),
            false_pages_per_month: 2.0,
            labels_between_false_alarms: 3e5,
            learn: HOUR * 336,
            resolve_after: HOUR * 3,
            adopt_after: HOUR * 168,
        }
    }

    /// As many as at that hour: some at night, a hundred in the evening, with some noise.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    fn usual(window: i64) -> u64 {
        let hour = (window % 288) as f64 / 12.0;
        let noise = (window * 7_919 % 17) as f64 - 8.0;
        (60.0 - 40.0 * (hour / 24.0 * std::f64::consts::TAU).cos() + noise).round() as u64
    }

    fn play(
        watch: &mut VolumeWatch,
        episodes: &mut Episodes,
        windows: std::ops::Range<i64>,
        count: impl Fn(i64) -> u64,
    ) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for window in windows {
            let start = EventTime(MONDAY_MS + window * 300_000);
            if count(window) > 0 {
                watch.take(Volume { stream: "payments".into(), start, count: count(window) });
            }
            alerts.extend(watch.judge(start.plus(LENGTH), &settings(), episodes));
        }
        alerts
    }

    #[test]
    fn a_source_that_stops_is_told_within_half_an_hour_and_again_when_it_goes_on() {
        let (mut watch, mut episodes) = (VolumeWatch::default(), Episodes::default());
        let week = 7 * 288;
        let alerts = play(&mut watch, &mut episodes, 0..week * 4, usual);
        assert!(alerts.is_empty(), "{} in four usual weeks", alerts.len());
        let stop = week * 4 + 12 * 12;
        let alerts = play(&mut watch, &mut episodes, week * 4..stop, usual);
        assert!(alerts.is_empty());
        let alerts = play(&mut watch, &mut episodes, stop..stop + 12, |_| 0);
        let first = alerts.first().expect("nothing comes at noon");
        let begun = MONDAY_MS + stop * 300_000;
        assert!(
            first.detected_ms.0 - begun <= 1_800_000,
            "{} s later",
            (first.detected_ms.0 - begun) / 1_000
        );
        assert!((first.since_ms.0 - begun).abs() <= 600_000, "since {}", (first.since_ms.0 - begun) / 1_000);
        assert_eq!(first.severity.name(), "page", "{}", first.title);
        let alerts = play(&mut watch, &mut episodes, stop + 12..stop + 60, usual);
        assert_eq!(alerts.last().map(|alert| alert.status), Some(AlertStatus::Resolved));
    }
}
