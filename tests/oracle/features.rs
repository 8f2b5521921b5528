//! Features of one key, computed at every payment from the list of the key's events.
//!
//! Only the sample behind distinct counts of large keys is kept up event by event, for what it has
//! thrown away depends on the order of what came.

use super::Settings;
use super::views::{EventSource, Feature, View};
use std::collections::{BTreeMap, BTreeSet};
use tillstream::event::{Body, EntityKind, FieldId, Value};

const RING_MAX: usize = 256;
const SAMPLE_MAX: usize = 1_024;
const BUCKETS: i64 = 64;
const COUNTERS: usize = 16;
/// The error of what comes from buckets.
pub const BUCKET_ERROR: f64 = 0.015_625;
/// The error of a sampled distinct count.
pub const SAMPLE_ERROR: f64 = 0.037_5;

/// All views of one entity kind and source.
#[derive(Debug)]
pub struct Group {
    /// The views.
    pub views: Vec<View>,
    /// How long events are kept: the longest window and delay, and the allowed lateness.
    pub retention: i64,
    allowed_lateness: i64,
    source: EventSource,
}

impl Group {
    /// The views of that kind and source with that filter, if there are any.
    #[must_use]
    pub fn of(
        views: &[View],
        (entity, source, filter): (EntityKind, EventSource, u8),
        settings: &Settings,
    ) -> Option<Group> {
        let is_of =
            |view: &&View| view.entity == entity && view.source == source && view.filter_number() == filter;
        let views: Vec<View> = views.iter().filter(is_of).cloned().collect();
        let longest =
            views.iter().flat_map(|view| view.windows.iter().map(|(_, window)| window + view.delay)).max()?;
        let allowed_lateness = settings.allowed_lateness;
        Some(Group { views, retention: longest + allowed_lateness, allowed_lateness, source })
    }

    /// Whether an event counts.
    #[must_use]
    pub fn counts(&self, body: &Body<'_>, values: &[(FieldId, Value)]) -> bool {
        let filter = self.views.first().and_then(|view| view.filter);
        filter.is_none_or(|filter| (filter.counts)(body, values))
    }

    /// r(w): how long the buckets of a window are kept.
    fn retention_in_buckets(&self, window: i64) -> i64 {
        let in_buckets = |feature: &Feature| feature.has_window() && !matches!(feature, Feature::Distinct(_));
        let asks = |view: &&View| {
            view.windows.iter().any(|(_, length)| *length == window) && view.features.iter().any(in_buckets)
        };
        let delay = self.views.iter().filter(asks).map(|view| view.delay).max();
        window + delay.expect("a view asks the window in buckets") + self.allowed_lateness
    }
}

/// An event of a group.
#[derive(Debug, Clone)]
pub struct Event {
    /// When it happened.
    pub time: i64,
    /// The fields that the views read.
    pub values: Vec<(FieldId, Value)>,
}

impl Event {
    fn number(&self, field: FieldId) -> Option<i64> {
        self.values.iter().find_map(|(id, value)| match value {
            Value::Number(number) if *id == field => Some(*number),
            _ => None,
        })
    }

    fn hash(&self, field: FieldId) -> Option<u64> {
        self.values.iter().find_map(|(id, value)| match value {
            Value::Hash(hash) if *id == field => Some(*hash),
            _ => None,
        })
    }
}

/// An event that is kept.
#[derive(Debug, Clone)]
struct Kept {
    event: Event,
    /// In buckets: what `newest` was when it was added.
    newest: i64,
}

/// A feature's value.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its flat name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its error, if it is an estimate.
    pub error: Option<f64>,
}

/// What one key has of one group.
#[derive(Debug)]
pub struct Key {
    /// The highest time of an event.
    pub newest: Option<i64>,
    /// The lowest time of an event.
    oldest: Option<i64>,
    /// By field, every number it had, by time and then arrival.
    numbers: BTreeMap<FieldId, BTreeMap<(i64, usize), i64>>,
    folded: usize,
    /// The ring; or, once `large`, everything that may ever have been put into buckets.
    events: Vec<Kept>,
    large: bool,
    samples: BTreeMap<FieldId, Sample>,
}

/// Wegman's adaptive sample of one text field.
#[derive(Debug, Default)]
struct Sample {
    level: u32,
    /// By hash, the first and the last time it was seen since it is kept.
    kept: BTreeMap<u64, (i64, i64)>,
}

impl Key {
    /// A key without events.
    #[must_use]
    pub fn new(group: &Group) -> Key {
        let large = group.source == EventSource::Click;
        Key {
            newest: None,
            oldest: None,
            numbers: BTreeMap::new(),
            folded: 0,
            events: Vec::new(),
            large,
            samples: BTreeMap::new(),
        }
    }

    /// Whether it is counted in buckets.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.large
    }

    /// Folds an event that asks nothing.
    pub fn fold(&mut self, group: &Group, event: Event) {
        let newest = self.newest.map_or(event.time, |newest| newest.max(event.time));
        self.newest = Some(newest);
        self.oldest = Some(self.oldest.map_or(event.time, |oldest| oldest.min(event.time)));
        self.folded += 1;
        for (field, value) in &event.values {
            if let Value::Number(number) = value {
                self.numbers.entry(*field).or_default().insert((event.time, self.folded), *number);
            }
        }
        let kept_after = newest - group.retention;
        if self.large {
            if event.time > kept_after {
                self.sample(&event, kept_after);
                self.events.push(Kept { event, newest });
            }
            return;
        }
        self.events.push(Kept { event, newest });
        self.events.retain(|kept| kept.event.time > kept_after);
        if self.events.len() > RING_MAX {
            self.large = true;
            self.events.iter_mut().for_each(|kept| kept.newest = newest);
            // A ring lies in the order of time, and of the same time in that of arrival.
            self.events.sort_by_key(|kept| kept.event.time);
            for kept in self.events.clone() {
                self.sample(&kept.event, kept_after);
            }
        }
    }

    /// Folds a payment and answers it.
    pub fn fold_and_answer(&mut self, group: &Group, payment: &Event, settings: &Settings) -> Vec<Answer> {
        // A view with a delay leaves it out as well.
        let (with, without): (Vec<&View>, Vec<&View>) =
            group.views.iter().partition(|view| view.include_current && view.delay == 0);
        let mut answers = Vec::new();
        for view in &group.views {
            let ask = Ask { key: self, group, view, time: payment.time, current: None };
            answers.extend(ask.ratios(payment));
        }
        for view in without {
            answers
                .extend(Ask { key: self, group, view, time: payment.time, current: None }.answers(settings));
        }
        let without_window: Vec<Vec<Option<f64>>> = with
            .iter()
            .map(|view| {
                let ask = Ask { key: self, group, view, time: payment.time, current: None };
                view.features.iter().map(|feature| ask.without_window(*feature)).collect()
            })
            .collect();
        self.fold(group, payment.clone());
        for (view, before) in with.into_iter().zip(&without_window) {
            let current = Some(Current { event: payment, before });
            answers.extend(Ask { key: self, group, view, time: payment.time, current }.answers(settings));
        }
        answers
    }

    /// Answers a payment at `time` that is no event of this group.
    #[must_use]
    pub fn answer(&self, group: &Group, time: i64, settings: &Settings) -> Vec<Answer> {
        let ask = |view| Ask { key: self, group, view, time, current: None }.answers(settings);
        group.views.iter().flat_map(ask).collect()
    }

    fn sample(&mut self, event: &Event, kept_after: i64) {
        for (field, value) in &event.values {
            let Value::Hash(hash) = *value else { continue };
            let sample = self.samples.entry(*field).or_default();
            if !sample.takes(hash) {
                continue;
            }
            let (first, last) = sample.kept.entry(hash).or_insert((event.time, event.time));
            *first = event.time.min(*first);
            *last = event.time.max(*last);
            if sample.kept.len() > SAMPLE_MAX {
                sample.kept.retain(|_, (_, last)| *last > kept_after);
            }
            while sample.kept.len() > SAMPLE_MAX {
                sample.level += 1;
                let level = sample.level;
                sample.kept.retain(|hash, _| hash.trailing_zeros() >= level);
            }
        }
    }
}

impl Sample {
    fn takes(&self, hash: u64) -> bool {
        hash.trailing_zeros() >= self.level
    }

    /// The hashes that count for a window, itself without its start, and how many of them are uncertain.
    fn seen_between(&self, start: i64, end: i64) -> (BTreeSet<u64>, usize) {
        let within = |time: i64| time > start && time <= end;
        let mut counting = BTreeSet::new();
        let mut uncertain = 0;
        for (hash, (first, last)) in &self.kept {
            if within(*first) || within(*last) {
                counting.insert(*hash);
            } else if *first <= start && *last > end {
                counting.insert(*hash);
                uncertain += 1;
            }
        }
        (counting, uncertain)
    }
}

/// What Space-Saving with so many counters makes of the values, in the order in which they came: the counts, and by how much
/// each may be wrong.
fn space_saving(hashes: &[u64], counters: usize) -> (Vec<(u64, u64)>, u64) {
    let mut counts: Vec<(u64, u64)> = Vec::new();
    for hash in hashes {
        let known = counts.iter().position(|(known, _)| known == hash);
        let free = (counts.len() < counters).then_some(counts.len());
        let place = known.or(free).unwrap_or_else(|| {
            let lowest = counts.iter().map(|(_, count)| *count).min().unwrap_or(0);
            counts.iter().position(|(_, count)| *count == lowest).unwrap_or(0)
        });
        if place == counts.len() {
            counts.push((*hash, 0));
        }
        counts[place] = (*hash, counts[place].1 + 1);
    }
    let lowest = counts.iter().map(|(_, count)| *count).min().filter(|_| counts.len() == counters);
    (counts, lowest.unwrap_or(0))
}

/// The payment that asks, where it is an event of the group.
#[derive(Clone, Copy)]
struct Current<'a> {
    event: &'a Event,
    /// Of each feature of the view that has no window, what it was before the payment was folded.
    before: &'a [Option<f64>],
}

/// One view asked at one time.
struct Ask<'a> {
    key: &'a Key,
    group: &'a Group,
    view: &'a View,
    time: i64,
    current: Option<Current<'a>>,
}

impl Ask<'_> {
    fn answers(&self, settings: &Settings) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut answer = |feature, window: &str, value: Option<f64>, error: Option<f64>| {
            let name = self.view.flat_name(feature, window);
            answers.extend(value.map(|value| Answer { name, value, error }));
        };
        let nothing_yet = self.key.newest.is_none() && !settings.reading.no_clicks_is_an_estimate;
        let bucket_error = (self.key.large && !nothing_yet).then_some(BUCKET_ERROR);
        for (place, feature) in self.view.features.iter().enumerate() {
            if !feature.has_window() {
                let before = self.current.map(|current| current.before[place]);
                answer(*feature, "", before.unwrap_or_else(|| self.without_window(*feature)), None);
                continue;
            }
            if matches!(feature, Feature::Ratio(_)) {
                // told before the payment is folded
                continue;
            }
            for (spelled, window) in &self.view.windows {
                match *feature {
                    Feature::Distinct(field) => {
                        let (value, error) = self.distinct(field, *window);
                        answer(*feature, spelled, Some(value), error);
                    }
                    Feature::Top(most, field) => {
                        let (value, error) = self.top(most.into(), field, *window).unzip();
                        answer(*feature, spelled, value, error.flatten());
                    }
                    _ => answer(*feature, spelled, self.number(*feature, *window), bucket_error),
                }
            }
        }
        answers
    }

    /// The payment's own numbers by the means of those before it.
    fn ratios(&self, payment: &Event) -> Vec<Answer> {
        let mut answers = Vec::new();
        for feature in &self.view.features {
            let Feature::Ratio(field) = *feature else { continue };
            for (spelled, window) in &self.view.windows {
                let mean = self.number(Feature::Mean(field), *window).filter(|mean| *mean != 0.0);
                if let (Some(own), Some(mean)) = (payment.number(field), mean) {
                    let name = self.view.flat_name(*feature, spelled);
                    let error = self.key.large.then_some(BUCKET_ERROR);
                    answers.push(Answer { name, value: own as f64 / mean, error });
                }
            }
        }
        answers
    }

    fn without_window(&self, feature: Feature) -> Option<f64> {
        let since = |time: i64| (self.time - time).max(0) as f64 / 1_000.0;
        match feature {
            Feature::TimeSinceFirst => self.key.oldest.map(since),
            Feature::TimeSinceLast => self.key.newest.map(since),
            Feature::Last(field) => {
                let ((time, _), number) = self.key.numbers.get(&field)?.last_key_value()?;
                (*time <= self.time).then_some(*number as f64)
            }
            _ => None,
        }
    }

    fn number(&self, feature: Feature, window: i64) -> Option<f64> {
        let covered = self.covered(window);
        let numbers = |field| covered.iter().filter_map(|event| event.number(field)).collect::<Vec<i64>>();
        let sum = |numbers: &[i64]| numbers.iter().sum::<i64>() as f64;
        match feature {
            Feature::Count => Some(covered.len() as f64),
            Feature::Sum(field) => Some(sum(&numbers(field))),
            Feature::Mean(field) => {
                let numbers = numbers(field);
                (!numbers.is_empty()).then(|| sum(&numbers) / numbers.len() as f64)
            }
            Feature::StandardDeviation(field) => {
                let numbers = numbers(field);
                let count = numbers.len() as f64;
                let mean = numbers.iter().sum::<i64>() as f64 / count;
                let apart: f64 = numbers.iter().map(|number| (*number as f64 - mean).powi(2)).sum();
                (!numbers.is_empty()).then(|| (apart / count).sqrt())
            }
            Feature::Min(field) => numbers(field).into_iter().min().map(|number| number as f64),
            Feature::Max(field) => numbers(field).into_iter().max().map(|number| number as f64),
            _ => unreachable!("not computed from the numbers of a window"),
        }
    }

    fn distinct(&self, field: FieldId, window: i64) -> (f64, Option<f64>) {
        if !self.key.large {
            let covered = self.covered(window);
            let hashes: BTreeSet<u64> = covered.iter().filter_map(|event| event.hash(field)).collect();
            return (hashes.len() as f64, None);
        }
        let own = self.current.and_then(|current| current.event.hash(field));
        let Some(sample) = self.key.samples.get(&field) else {
            return (own.iter().count() as f64, None);
        };
        let (mut counting, uncertain) = sample.seen_between(self.time - window, self.time);
        // A payment too old to be added counts itself all the same.
        counting.extend(own.filter(|hash| sample.takes(*hash)));
        let value = counting.len() as f64 * 2f64.powi(sample.level.cast_signed());
        let sampling = (sample.level > 0).then_some(SAMPLE_ERROR);
        let perhaps_outside = (uncertain > 0).then(|| uncertain as f64 / counting.len() as f64);
        (value, sampling.into_iter().chain(perhaps_outside).reduce(f64::max))
    }

    /// The share of the most frequent values, and its error where they were counted in buckets.
    fn top(&self, most: usize, field: FieldId, window: i64) -> Option<(f64, Option<f64>)> {
        let bucket = |event: &Event| if self.key.large { event.time.div_euclid(window / BUCKETS) } else { 0 };
        let mut buckets: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        for kept in self.kept_within(window) {
            buckets.entry(bucket(kept)).or_default().extend(kept.hash(field));
        }
        let counters = if self.key.large { COUNTERS } else { usize::MAX };
        let summaries: Vec<(Vec<(u64, u64)>, u64)> =
            buckets.values().map(|hashes| space_saving(hashes, counters)).collect();
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        let own = self.own_beside(window).and_then(|own| own.hash(field)).map(|hash| (hash, 1));
        let counted = summaries.iter().flat_map(|(counts, _)| counts.iter().copied());
        counted.chain(own).for_each(|(hash, count)| *counts.entry(hash).or_default() += count);
        let mut sorted: Vec<u64> = counts.into_values().collect();
        sorted.sort_unstable_by(|one, other| other.cmp(one));
        let of_top = sorted.iter().take(most).sum::<u64>() as f64;
        let perhaps = summaries.iter().map(|(_, lowest)| lowest).sum::<u64>() as f64 * most as f64 / of_top;
        let error = self.key.large.then(|| perhaps.clamp(BUCKET_ERROR, 1.0));
        (!sorted.is_empty()).then(|| (of_top / sorted.iter().sum::<u64>() as f64, error))
    }

    /// The events that a value over `window` covers, the payment itself included where it counts.
    fn covered(&self, window: i64) -> Vec<&Event> {
        self.kept_within(window).into_iter().chain(self.own_beside(window)).collect()
    }

    /// The events kept of `window`.
    fn kept_within(&self, window: i64) -> Vec<&Event> {
        let kept = self.key.events.iter().filter(|kept| self.covers(kept, window, self.kept_for(window)));
        kept.map(|kept| &kept.event).collect()
    }

    /// The payment itself, where it counts and is older than what is kept.
    fn own_beside(&self, window: i64) -> Option<&Event> {
        let (Current { event, .. }, newest) = (self.current?, self.key.newest?);
        (event.time <= newest - self.kept_for(window)).then_some(event)
    }

    fn kept_for(&self, window: i64) -> i64 {
        if self.key.large { self.group.retention_in_buckets(window) } else { self.group.retention }
    }

    /// Whether a value over `window`, of which is kept what is younger than `kept_for`, covers an event.
    fn covers(&self, kept: &Kept, window: i64, kept_for: i64) -> bool {
        let time = kept.event.time;
        let until = self.time - self.view.delay;
        let since = until - window;
        if !self.key.large {
            return time > since && time <= until;
        }
        let bucket = window / BUCKETS;
        let number = |time: i64| time.div_euclid(bucket);
        let added = time > kept.newest - kept_for;
        let dropped = self.key.newest.is_some_and(|newest| (number(time) + 1) * bucket <= newest - kept_for);
        added && !dropped && (number(since)..=number(until)).contains(&number(time))
    }
}
