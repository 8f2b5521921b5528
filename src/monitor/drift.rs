//! Windows of profiles against their references: what is not as it should be of a stream.
//!
//! Profiles of a window come from every partition of the decision log, and the window is judged when the watermark says that
//! all have come. Everything about a stream is one episode: a field that changes its unit moves every feature made of it.

#[cfg(test)]
mod cases;
mod growth;
mod measures;
mod packet;
mod shown;

pub use self::growth::Follows;
use self::growth::UsualVolume;
use crate::alert::{About, Announced, EpisodeSettings, Episodes, Traffic};
use crate::drift::DriftSettings;
use crate::drift::profile::{Profile, Segment, Sketch, Sort, WindowProfile};
use crate::drift::reference::seasonal::Grain;
use crate::drift::reference::{Reference, Seen, sketch_of};
use crate::drift::sketch::NumericSketch;
use crate::event::alert::{Alert, AlertAction, AlertCommand, AlertKind};
use crate::event::feature_id;
use crate::event::monitor::{MODEL_SCORE, SCORE};
use crate::event::public::FeatureWindow;
use crate::time::EventTime;
use crate::windows::OpenWindows;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Traffic is remembered window by window for so long: what came since something began.
const TRAFFIC_KEPT: Duration = Duration::from_secs(8 * 86_400);
/// A field that was not seen for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(28 * 86_400);

/// Fields of a stream, in all of it and its segments, that are compared at most: what models elsewhere read comes from outside.
const FIELDS_MAX: usize = 50_000;
/// Streams at most, for the same reason.
const STREAMS_MAX: usize = 100;

/// A field of a stream, in all of it or in a segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct FieldKey {
    segment: Option<Segment>,
    /// See [`crate::drift::profile::Field::key`].
    field: (u32, Sort),
}

/// What is known of a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct KnownField {
    name: Box<str>,
    reference: Reference,
    seen: EventTime,
}

/// What is known of a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Stream {
    fields: BTreeMap<FieldKey, KnownField>,
    /// By segment, then by the beginning of the window.
    traffic: BTreeMap<Option<Segment>, BTreeMap<EventTime, Traffic>>,
    usual_volume: BTreeMap<Option<Segment>, UsualVolume>,
    /// Since when its values have been otherwise than they should be.
    odd_since: Option<EventTime>,
}

/// The profiles of a stream in a window, by segment.
type Profiles = BTreeMap<Option<Segment>, Profile>;

/// The windows of every stream of a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Windows {
    open: OpenWindows<BTreeMap<Box<str>, Profiles>>,
    streams: BTreeMap<Box<str>, Stream>,
    /// The beginning of the last window that was judged.
    judged: Option<EventTime>,
    /// Profiles of windows that were judged.
    pub too_late: u64,
    /// Windows of streams beyond those that are watched.
    pub unwatched: u64,
}

/// What came of windows that are over.
#[derive(Debug, Default)]
pub struct Judged {
    /// Revisions of episodes that are to be published.
    pub alerts: Vec<Alert>,
    /// What each field looked like.
    pub windows: Vec<FeatureWindow>,
    /// The scores that were given.
    pub scores: Vec<WindowScores>,
}

/// The scores that were given in a window.
#[derive(Debug)]
pub struct WindowScores {
    /// The stream, and the field of it.
    pub stream: Box<str>,
    /// See [`WindowScores::stream`].
    pub field: &'static str,
    /// The beginning of the window.
    pub start: EventTime,
    /// The scores.
    pub scores: NumericSketch,
}

/// What is known of a field by its name, beside its values. Nothing, unless it is said.
pub trait Fields {
    /// Who reads it.
    fn readers(&self, _stream: &str, _name: &str) -> Vec<String> {
        Vec::new()
    }

    /// The longest time over which it looks back: until that has passed, it only fills.
    fn looks_back(&self, _stream: &str, _name: &str) -> Duration {
        Duration::ZERO
    }

    /// How it follows the traffic.
    fn follows(&self, _stream: &str, _name: &str) -> Follows {
        Follows::Nothing
    }
}

impl Windows {
    /// Takes a profile of a part of a window.
    pub fn take(&mut self, profile: WindowProfile) {
        let Some(streams) = self.open.at(profile.start) else {
            self.too_late += 1;
            return;
        };
        let segments = streams.entry(profile.stream).or_default();
        segments.entry(profile.segment).or_default().absorb(profile.profile);
    }

    /// Judges the windows that are over by the watermark, one after the other: revisions of episodes, and what fields looked like.
    pub fn judge(
        &mut self,
        watermark: EventTime,
        settings: &DriftSettings,
        episodes: &mut Episodes,
        fields: &impl Fields,
    ) -> Judged {
        let mut judged = Judged::default();
        let mut closed = self.open.close(watermark, settings.allowed_lateness, settings.window);
        // at the end of the input no time passes
        let until = (watermark < EventTime::MAX)
            .then(|| watermark.minus(settings.allowed_lateness).floor(settings.window));
        while let Some(start) = self.next_over(closed.keys().next().copied(), until, settings, episodes) {
            self.judged = Some(start);
            let mut streams = closed.remove(&start).unwrap_or_default();
            for name in self.streams.keys().filter(|name| episodes.since(&about(name)).is_some()) {
                streams.entry(name.clone()).or_default();
            }
            for (name, profiles) in streams {
                if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(&name) {
                    self.unwatched += 1;
                    continue;
                }
                let stream = self.streams.entry(name.clone()).or_default();
                let mut shown = stream.shown(&name, start, &profiles, settings);
                stream.learn((&name, start), &profiles, (settings, episodes.announced()), fields);
                stream.mark_moving(&mut shown, settings.threshold(stream.tests(start, settings)));
                judged.windows.extend(shown);
                judged.scores.extend(scores_of(&name, start, &profiles));
                let at = start.plus(settings.window);
                let is_usual = !episodes.announced().lasted(stream.odd_since.unwrap_or(at), at);
                let about = about(&name);
                let known_since = episodes.since(&about);
                let observation = stream.observation((&name, at, known_since), (settings, is_usual), fields);
                let ends = EpisodeSettings {
                    resolve_after: settings.resolve_after,
                    reopen_within: settings.resolve_after * 4,
                };
                judged.alerts.extend(episodes.observe(&about, at, observation, ends));
            }
        }
        judged
    }

    /// The beginning of the next window that is over: one in which something `came`, or, while something is told, each before `until`, so that
    /// it ends though nothing comes any more.
    fn next_over(
        &self,
        came: Option<EventTime>,
        until: Option<EventTime>,
        settings: &DriftSettings,
        episodes: &Episodes,
    ) -> Option<EventTime> {
        let next = self.judged.map(|last| last.plus(settings.window)).filter(|next| Some(*next) < until);
        let is_told = || self.streams.keys().any(|name| episodes.since(&about(name)).is_some());
        match next.filter(|next| came.is_none_or(|came| *next < came) && is_told()) {
            Some(next) => Some(next),
            None => came,
        }
    }

    /// What somebody says of an episode about a stream changes what it is compared with.
    pub fn command(&mut self, about: &About, command: &AlertCommand, settings: &DriftSettings) {
        if command.action == AlertAction::Expect
            && let Some(stream) = self.streams.get_mut(&*about.subject)
        {
            stream.adopt(command.time, settings);
        }
    }

    /// What came of a stream in the windows that begin at `since` or later, as far as it is remembered, and when the last of them ended; at
    /// `since` if there is none.
    #[must_use]
    pub fn came_since(
        &self,
        stream: &str,
        since: EventTime,
        settings: &DriftSettings,
    ) -> (Traffic, EventTime) {
        let Some(stream) = self.streams.get(stream) else { return (Traffic::default(), since) };
        let last = stream.traffic.get(&None).and_then(|windows| windows.last_key_value());
        let until = last.map_or(since, |(start, _)| start.plus(settings.window).max(since));
        (stream.traffic_since(None, since), until)
    }

    /// Fields that are watched.
    #[must_use]
    pub fn fields(&self) -> usize {
        self.streams.values().map(|stream| stream.fields.len()).sum()
    }
}

impl Stream {
    /// Compares a window with what is known, and learns from it.
    fn learn(
        &mut self,
        (name, start): (&str, EventTime),
        profiles: &Profiles,
        (settings, announced): (&DriftSettings, &Announced),
        fields: &impl Fields,
    ) {
        let threshold = settings.threshold(self.tests(start, settings));
        let (is_odd, end) = (self.odd_since.is_some(), start.plus(settings.window));
        self.learn_volumes(start, settings.window, announced);
        for (segment, profile) in profiles {
            self.begin_to_know(name, (segment.as_ref(), profile), start, fields);
            let traffic = self.traffic.entry(segment.clone()).or_default();
            traffic.insert(start, traffic_of(profile));
            while traffic.first_entry().is_some_and(|first| first.key().plus(TRAFFIC_KEPT) <= start) {
                traffic.pop_first();
            }
        }
        // fields of a segment stand together
        let mut of: Option<(&Option<Segment>, Option<&Profile>)> = None;
        for (key, known) in &mut self.fields {
            let (_, profile) = match of.filter(|(segment, _)| **segment == key.segment) {
                Some(of) => of,
                None => *of.insert((&key.segment, profiles.get(&key.segment))),
            };
            let Some(profile) = profile.filter(|profile| profile.volume > 0) else {
                known.reference.fade(start, threshold);
                continue;
            };
            let seen = Seen::of(profile, key.field);
            if seen.sketch.is_some() {
                known.seen = start;
            }
            if let Some(change) = announced.during(start, end, fields.looks_back(name, &known.name)) {
                let at = (start, change.from);
                known.reference.excuse(seen, at, settings, threshold);
                continue;
            }
            known.reference.take(seen, start, settings, threshold, is_odd);
        }
        self.fields.retain(|_, known| known.seen.plus(FORGOTTEN_AFTER) > start);
        let is_kept = |last: &EventTime| last.plus(TRAFFIC_KEPT) > start;
        self.traffic.retain(|_, windows| windows.last_key_value().is_some_and(|(last, _)| is_kept(last)));
        self.follow_the_traffic((name, start), profiles, (threshold, settings), fields);
    }

    /// Begins to know the fields of a profile that are new, as long as there is room.
    fn begin_to_know(
        &mut self,
        stream: &str,
        (segment, profile): (Option<&Segment>, &Profile),
        start: EventTime,
        fields: &impl Fields,
    ) {
        let key = |field| FieldKey { segment: segment.cloned(), field };
        let all = key((0, Sort::Numbers))..=key((u32::MAX, Sort::Names));
        let known: Vec<(u32, Sort)> = self.fields.range(all).map(|(key, _)| key.field).collect();
        let room = FIELDS_MAX.saturating_sub(self.fields.len());
        let new = profile.fields.iter().filter(|field| known.binary_search(&field.key()).is_err());
        for field in new.take(room) {
            let grain = if segment.is_none() { Grain::Hours } else { Grain::Quarters };
            let reference = Reference::new(start.plus(fields.looks_back(stream, &field.name)), grain);
            let known = KnownField { name: field.name.clone(), reference, seen: start };
            self.fields.insert(key(field.key()), known);
        }
    }

    /// How many tests are made in a window: of the values of each field that is known, and of whether there are any.
    fn tests(&self, at: EventTime, settings: &DriftSettings) -> usize {
        2 * self.fields.values().filter(|known| known.reference.is_known(at, settings)).count()
    }

    /// Takes what moved for the reference.
    fn adopt(&mut self, at: EventTime, settings: &DriftSettings) {
        let threshold = settings.threshold(self.tests(at, settings));
        for known in self.fields.values_mut() {
            if known.reference.is_rising(threshold) {
                known.reference.adopt(at, settings);
            }
        }
        self.odd_since = None;
    }

    /// What came since then, of all the stream or of a segment.
    fn traffic_since(&self, segment: Option<&Segment>, since: EventTime) -> Traffic {
        self.windows_since(segment, since).sum()
    }

    /// How many decisions that were.
    fn decisions_since(&self, segment: Option<&Segment>, since: EventTime) -> u64 {
        self.windows_since(segment, since).map(|window| window.decisions).sum()
    }

    fn windows_since(&self, segment: Option<&Segment>, since: EventTime) -> impl Iterator<Item = &Traffic> {
        let windows = self.traffic.get(&segment.cloned());
        windows.into_iter().flat_map(move |windows| windows.range(since..)).map(|(_, window)| window)
    }
}

/// What moves of a stream is one episode.
fn about(stream: &str) -> About {
    About::new(AlertKind::DataDrift, stream)
}

/// The scores in a window of a stream: those that counted, and those of the model that learns here.
fn scores_of(stream: &str, start: EventTime, profiles: &Profiles) -> impl Iterator<Item = WindowScores> {
    let whole = profiles.get(&None);
    [SCORE, MODEL_SCORE].into_iter().filter_map(move |field| {
        let key = (feature_id(field), Sort::Numbers);
        let Sketch::Numbers(scores) = sketch_of(whole?, key)? else { return None };
        Some(WindowScores { stream: stream.into(), field, start, scores: scores.clone() })
    })
}

fn traffic_of(profile: &Profile) -> Traffic {
    let money = profile.money_minor.iter().map(|(currency, minor)| (currency.to_string(), *minor));
    Traffic { decisions: profile.volume, money_minor: money.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::profile::Observed;
    use crate::event::alert::{AlertStatus, Announcement};
    use crate::time::Period;
    use xxhash_rust::xxh3::xxh3_64;

    const HOUR_MS: i64 = 3_600_000;
    const DAY: i64 = 24;

    /// Two fields, one of which looks back on two days.
    struct Plain;

    impl Fields for Plain {
        fn looks_back(&self, _: &str, name: &str) -> Duration {
            Duration::from_secs(if name == "sum" { 2 * 86_400 } else { 0 })
        }

        fn follows(&self, _: &str, name: &str) -> Follows {
            if name == "sum" { Follows::Sum } else { Follows::Nothing }
        }
    }

    /// Four hundred values of each field in an hour, by a factor for each.
    fn window(hour: i64, factors: [f64; 2]) -> WindowProfile {
        window_of(hour, 400, factors)
    }

    fn window_of(hour: i64, count: i64, factors: [f64; 2]) -> WindowProfile {
        let mut profile = Profile::default();
        for place in 0..count {
            let value = f64::from(u32::try_from((hour * 400 + place) * 7_919 % 1_009 + 1).expect("small"));
            let values =
                [(1, Observed::Number(value * factors[0])), (2, Observed::Number(value * factors[1]))];
            profile.add(values.into_iter(), None, |id| if id == 1 { "amount" } else { "sum" });
        }
        WindowProfile { stream: "shop".into(), start: EventTime(hour * HOUR_MS), segment: None, profile }
    }

    fn play(
        (windows, episodes): (&mut Windows, &mut Episodes),
        hours: std::ops::Range<i64>,
        factors: [f64; 2],
    ) -> Vec<Alert> {
        let settings = DriftSettings::hourly();
        let mut alerts = Vec::new();
        for hour in hours {
            windows.take(window(hour, factors));
            let watermark = EventTime((hour + 1) * HOUR_MS).plus(settings.allowed_lateness);
            alerts.extend(windows.judge(watermark, &settings, episodes, &Plain).alerts);
        }
        alerts
    }

    fn opened(alerts: &[Alert]) -> Vec<&str> {
        let open = alerts.iter().filter(|alert| alert.status == AlertStatus::Open);
        open.flat_map(|alert| &alert.findings).map(|finding| &*finding.feature).collect()
    }

    #[test]
    fn what_an_announced_change_moves_is_no_drift_as_long_as_a_field_looks_back_on_it() {
        for is_announced in [false, true] {
            let (mut windows, mut episodes) = (Windows::default(), Episodes::default());
            let alerts = play((&mut windows, &mut episodes), 0..21 * DAY, [1.0, 1.0]);
            assert_eq!(opened(&alerts), Vec::<&str>::new(), "three usual weeks");
            if is_announced {
                episodes.announce(&sale(21..22));
            }
            let day = play((&mut windows, &mut episodes), 21 * DAY..22 * DAY, [0.7, 0.7]);
            let looked_back_on = play((&mut windows, &mut episodes), 22 * DAY..24 * DAY, [1.0, 0.8]);
            let later = play((&mut windows, &mut episodes), 24 * DAY..28 * DAY, [1.0, 1.0]);
            let told = [day, looked_back_on, later].map(|alerts| !opened(&alerts).is_empty());
            assert_eq!(told[..2], [!is_announced; 2], "announced: {is_announced}");
            assert!(!is_announced || !told[2], "nothing was learned from it");
        }
    }

    #[test]
    fn a_sum_that_grows_with_the_traffic_is_no_drift_and_one_that_grows_by_itself_is() {
        for has_grown in [true, false] {
            let (mut windows, mut episodes) = (Windows::default(), Episodes::default());
            let usual = play((&mut windows, &mut episodes), 0..21 * DAY, [1.0, 1.0]);
            assert_eq!(opened(&usual), Vec::<&str>::new(), "three usual weeks");
            let (mut alerts, settings) = (Vec::new(), DriftSettings::hourly());
            for hour in 21 * DAY..28 * DAY {
                // a sum follows within hours
                let passed = f64::from(u32::try_from(hour - 21 * DAY).expect("small"));
                let sum = 1.0 + (passed / 6.0).min(1.0) * 0.6;
                windows.take(window_of(hour, if has_grown { 640 } else { 400 }, [1.0, sum]));
                let watermark = EventTime((hour + 1) * HOUR_MS).plus(settings.allowed_lateness);
                alerts.extend(windows.judge(watermark, &settings, &mut episodes, &Plain).alerts);
            }
            assert_eq!(opened(&alerts).is_empty(), has_grown, "{:?}", opened(&alerts));
        }
    }

    /// An hour of 300 payments in stores and 100 online, which are three times as large, each by a factor.
    fn hour_of_channels(hour: i64, [store, online]: [f64; 2]) -> Vec<WindowProfile> {
        let in_store = window_of(hour, 300, [store, store]);
        let online = window_of(hour + 1_000_000, 100, [3.0 * online, 3.0 * online]);
        let of = |value: &str, window: WindowProfile| WindowProfile {
            segment: Some(Segment::new("channel", value)),
            start: EventTime(hour * HOUR_MS),
            ..window
        };
        let mut all = in_store.clone();
        all.profile.merge(&online.profile);
        vec![all, of("store", in_store), of("online", online)]
    }

    #[test]
    fn a_part_is_named_where_it_alone_has_moved_and_none_where_all_have() {
        for (factors, part) in [([2.0, 2.0], None), ([1.0, 2.0], Some("online")), ([2.0, 1.0], Some("store"))]
        {
            let (mut windows, mut episodes) = (Windows::default(), Episodes::default());
            let settings = DriftSettings::hourly();
            let mut last = None;
            for hour in 0..22 * DAY {
                let factors = if hour < 21 * DAY { [1.0, 1.0] } else { factors };
                hour_of_channels(hour, factors).into_iter().for_each(|window| windows.take(window));
                let watermark = EventTime((hour + 1) * HOUR_MS).plus(settings.allowed_lateness);
                let alerts = windows.judge(watermark, &settings, &mut episodes, &Plain).alerts;
                assert!(hour >= 21 * DAY || alerts.is_empty(), "three usual weeks");
                last = alerts.last().cloned().or(last);
            }
            let last = last.expect("it is told");
            let told = last.segment.as_ref().map(|part| &*part.value);
            assert_eq!(told, part, "{}", last.title);
            assert_eq!(last.title.contains(" where channel is "), part.is_some(), "{}", last.title);
        }
    }

    #[test]
    fn what_moves_by_a_percent_an_hour_is_told_within_a_day() {
        let (mut windows, mut episodes) = (Windows::default(), Episodes::default());
        let settings = DriftSettings::hourly();
        let mut told = None;
        for hour in 0..22 * DAY {
            let mut profile = Profile::default();
            let factor = 1.01_f64.powi(i32::try_from((hour - 21 * DAY).max(0)).expect("small"));
            for place in 0..400 {
                // of windows that are all alike even what is hardly visible would be news
                let dice = xxh3_64(&(hour * 400 + place).to_le_bytes()) % 1_000;
                let value = f64::from(u32::try_from(dice).expect("small")) * factor;
                profile.add([(1, Observed::Number(value))].into_iter(), None, |_| "amount");
            }
            let start = EventTime(hour * HOUR_MS);
            windows.take(WindowProfile { stream: "shop".into(), start, segment: None, profile });
            let watermark = start.plus(settings.window).plus(settings.allowed_lateness);
            let alerts = windows.judge(watermark, &settings, &mut episodes, &Plain).alerts;
            told = told.or_else(|| (!opened(&alerts).is_empty()).then_some(hour));
        }
        let told = told.expect("it is told") - 21 * DAY;
        assert!((0..DAY).contains(&told), "after {told} hours");
    }

    fn sale(days: std::ops::Range<i64>) -> Announcement {
        let at = |day: i64| EventTime(day * DAY * HOUR_MS);
        let period = Some(Period { from: at(days.start), until: at(days.end) });
        let (change_id, what, by) = ("sale".into(), "a sale".into(), "ana".into());
        Announcement { change_id, what, by, time: EventTime(0), period }
    }

    fn ended(alerts: &[Alert]) -> bool {
        alerts.last().is_some_and(|alert| alert.status == AlertStatus::Resolved)
    }

    #[test]
    fn what_began_before_a_change_is_no_part_of_it_and_can_end_while_it_lasts() {
        let (mut windows, mut episodes) = (Windows::default(), Episodes::default());
        play((&mut windows, &mut episodes), 0..21 * DAY, [1.0, 1.0]);
        let before = play((&mut windows, &mut episodes), 21 * DAY..21 * DAY + 12, [100.0, 1.0]);
        assert!(opened(&before).contains(&"amount"));
        episodes.announce(&sale(22..24));
        let day = play((&mut windows, &mut episodes), 21 * DAY + 12..23 * DAY, [100.0, 1.0]);
        assert!(day.iter().all(|alert| alert.status == AlertStatus::Open), "it goes on");
        let mended = play((&mut windows, &mut episodes), 23 * DAY..24 * DAY, [1.0, 1.0]);
        assert!(ended(&mended), "it was mended while the sale lasts");
    }

    #[test]
    fn an_episode_of_a_change_that_is_announced_late_ends_and_nothing_is_adopted() {
        let (mut windows, mut episodes) = (Windows::default(), Episodes::default());
        play((&mut windows, &mut episodes), 0..21 * DAY, [1.0, 1.0]);
        let day = play((&mut windows, &mut episodes), 21 * DAY..21 * DAY + 12, [0.7, 1.0]);
        assert!(opened(&day).contains(&"amount"));
        episodes.announce(&sale(21..31));
        let later = play((&mut windows, &mut episodes), 21 * DAY + 12..31 * DAY, [0.7, 1.0]);
        assert!(ended(&later), "it is known why");
        let resolution = later.last().and_then(|alert| alert.resolution);
        assert_eq!(resolution, Some(crate::event::alert::Resolution::Recovered), "not the usual from now on");
        let after = play((&mut windows, &mut episodes), 31 * DAY..33 * DAY, [1.0, 1.0]);
        assert_eq!(opened(&after), Vec::<&str>::new(), "all is as before");
    }
}
