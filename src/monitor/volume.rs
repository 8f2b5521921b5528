//! Whether as many records come as at this hour of the week: watches over counts of five minutes.
//!
//! A count that nobody has sent is 0: a source that stops says nothing. A stream is known from its first record on, and watched
//! when two whole weeks of it are known.

use super::command::inspect;
use super::seasonal::{News, Seasonal, Window};
use crate::alert::{About, Episodes, Traffic};
use crate::drift::DriftSettings;
use crate::drift::volume::{LENGTH, Volume};
use crate::drift::watch::Kind;
use crate::event::alert::{Alert, AlertAction, AlertCommand, AlertKind, Finding};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A week in which nothing comes at all is no stop of a source; what follows it is not counted window by window.
const SILENT_MAX: u32 = 7 * 288;
/// Counts of a stream at most, of any: channels come from outside.
const STREAMS_MAX: usize = 200;
/// So many streams share the budget at most, usually: topics, and payments by channel.
const SHARE_IT: f64 = 10.0;

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
    seasonal: Seasonal,
    news: News,
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
        // the end of the input is no silence: nobody knows what would have come in the windows that are open
        if watermark == EventTime::MAX {
            return alerts;
        }
        let over = watermark.minus(settings.allowed_lateness).floor(LENGTH);
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
                let seasonal = Seasonal::new(Kind::Count, LENGTH, SHARE_IT, settings);
                self.streams.insert(stream.clone(), Stream { seasonal, news: News::default() });
            }
        }
        let at = start.plus(LENGTH);
        let mut alerts = Vec::new();
        for (name, stream) in &mut self.streams {
            let count = counts.get(name).copied().unwrap_or(0);
            match episodes.announced().during(start, at, Duration::ZERO) {
                Some(change) => stream.seasonal.excuse(change.from, count as f64, (start, LENGTH)),
                None => stream.seasonal.take("records", count as f64, (start, LENGTH), settings),
            }
            alerts.extend(stream.look(name, at, count, settings, episodes));
        }
        alerts
    }

    /// What somebody says of an episode about a stream.
    pub fn command(&mut self, about: &About, command: &AlertCommand) {
        if command.action == AlertAction::Expect
            && let Some(stream) = self.streams.get_mut(&*about.subject)
        {
            stream.seasonal.forget();
            stream.news.forget();
        }
    }
}

impl Stream {
    fn look(
        &mut self,
        name: &str,
        at: EventTime,
        count: u64,
        settings: &DriftSettings,
        episodes: &mut Episodes,
    ) -> Option<Alert> {
        let named = |finding: Finding| Finding { feature: name.to_owned(), ..finding };
        let window = Window {
            about: About::new(AlertKind::Volume, name),
            at,
            length: LENGTH,
            quiet: BTreeSet::new(),
            findings: self.seasonal.finding().map(named).into_iter().collect(),
            traffic: Traffic { decisions: count, money_minor: BTreeMap::new() },
            share: 1.0,
        };
        let (topic, part) = name.split_once(' ').unwrap_or((name, ""));
        let fields: Vec<(&str, &str)> = part.split_once('=').into_iter().collect();
        let command = |since| inspect(topic, since, &fields);
        let told = self.news.tell(window, command, settings, episodes);
        if told.adopted {
            self.seasonal.forget();
        }
        told.alert
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::alert::{AlertStatus, Announcement};
    use crate::time::Period;

    /// Monday at 0:00 UTC.
    const MONDAY_MS: i64 = 4 * 86_400_000;

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
            alerts.extend(watch.judge(start.plus(LENGTH), &DriftSettings::hourly(), episodes));
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

    #[test]
    fn a_shop_that_opens_and_closes_by_the_clock_is_as_usual() {
        let (mut watch, mut episodes) = (VolumeWatch::default(), Episodes::default());
        let open = |window: i64| (96..240).contains(&(window % 288));
        let count = |window: i64| if open(window) { usual(window) } else { 0 };
        let alerts = play(&mut watch, &mut episodes, 96..7 * 288 * 6, count);
        assert_eq!(alerts.first().map(|alert| (&alert.title, alert.detected_ms)), None);
    }

    #[test]
    fn what_comes_where_nothing_is_usual_is_told_beside_what_is_usual_by_day() {
        let (mut watch, mut episodes) = (VolumeWatch::default(), Episodes::default());
        let open = |window: i64| (96..240).contains(&(window % 288));
        let count = |window: i64| if open(window) { usual(window) } else { 0 };
        let week = 7 * 288;
        play(&mut watch, &mut episodes, 0..week * 4, count);
        let night = play(&mut watch, &mut episodes, week * 4..week * 4 + 48, |_| 4);
        let [first, ..] = &night[..] else { panic!("four in five minutes, in a shop that is closed") };
        let [finding] = &first.findings[..] else { panic!("{:?}", first.findings) };
        assert_eq!((finding.from, finding.to), (0.0, 4.0), "{}", first.title);
        assert!(finding.effect < 1.0 && first.severity.name() == "ticket", "{}", finding.effect);
    }

    #[test]
    fn an_alert_counts_what_came_since_it_began_each_record_once() {
        let (mut watch, mut episodes) = (VolumeWatch::default(), Episodes::default());
        let week = 7 * 288;
        play(&mut watch, &mut episodes, 0..week * 4, usual);
        let half = |window| usual(window) / 2;
        let alerts = play(&mut watch, &mut episodes, week * 4..week * 4 + 288, half);
        let alerts: Vec<&Alert> = alerts.iter().filter(|alert| alert.status == AlertStatus::Open).collect();
        assert!(alerts.len() > 5, "it is told once an hour");
        for alert in alerts {
            let window = |time: EventTime| (time.0 - MONDAY_MS) / 300_000;
            let came: u64 = (window(alert.since_ms)..window(alert.as_of_ms)).map(half).sum();
            assert_eq!(alert.decisions, came, "{}", alert.title);
        }
    }

    #[test]
    fn a_day_of_three_times_as_many_is_told_unless_it_was_announced_and_nothing_is_learned_from_it() {
        let (week, day) = (7 * 288, 288);
        for is_announced in [false, true] {
            let (mut watch, mut episodes) = (VolumeWatch::default(), Episodes::default());
            play(&mut watch, &mut episodes, 0..week * 3, usual);
            if is_announced {
                let at = |window: i64| EventTime(MONDAY_MS + window * 300_000);
                let period = Some(Period { from: at(week * 3), until: at(week * 3 + day) });
                let (change_id, what, by) = ("sale".into(), "a sale".into(), "ana".into());
                episodes.announce(&Announcement { change_id, what, by, time: at(week * 2), period });
            }
            let alerts =
                play(&mut watch, &mut episodes, week * 3..week * 3 + day, |window| usual(window) * 3);
            assert_eq!(alerts.is_empty(), is_announced, "on the day");
            let later = play(&mut watch, &mut episodes, week * 3 + day..week * 5, usual);
            let pages = later.iter().filter(|alert| alert.status == AlertStatus::Open).count();
            assert!(!is_announced || pages == 0, "{pages} later");
        }
    }
}
