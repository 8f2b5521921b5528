//! What the values of a stream looked like in a window of event time: a sketch per field, for all of it and for each of its
//! segments.
//!
//! Who sees the values profiles them and sends a profile on when the window is over, not a record per value. Profiles of one
//! window merge, in any order, into that of all who saw some.

use super::sketch::{CategorySketch, NumericSketch};
use crate::money::add_money;
use crate::time::EventTime;
use crate::windows::OpenWindows;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Values of one dimension that have a segment of their own: those with most records of a window; the others share [`OTHER`].
pub const SEGMENTS_MAX: usize = 24;
/// Combinations of values that are counted apart in a window; records beyond are in no segment.
const COMBINATIONS_MAX: usize = 256;
/// Streams of one window, and fields of one profile, at most: what models elsewhere read comes from outside.
const STREAMS_MAX: usize = 100;
const FIELDS_MAX: usize = 2_000;
/// The segment of all values that have none of their own.
pub const OTHER: &str = "(other)";

/// A part of a stream's traffic: a field that divides it, and its value there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Segment {
    /// The field, such as `channel`.
    pub dimension: Box<str>,
    /// The value, such as `online`.
    pub value: Box<str>,
}

impl Segment {
    /// The part where `dimension` is `value`.
    #[must_use]
    pub fn new(dimension: &str, value: &str) -> Segment {
        Segment { dimension: dimension.into(), value: value.into() }
    }
}

impl std::fmt::Display for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.dimension, self.value)
    }
}

/// The values of one field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Sketch {
    /// Of a field that holds numbers.
    Numbers(NumericSketch),
    /// Of one that holds names.
    Categories(CategorySketch),
}

/// What sort of values a field holds. One that comes as numbers and as names is two fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Sort {
    /// Numbers.
    Numbers,
    /// Names.
    Names,
}

impl Sort {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Sort {
        match self {
            Sort::Numbers => Sort::Names,
            Sort::Names => Sort::Numbers,
        }
    }

    /// In words, of one value.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Sort::Numbers => "a number",
            Sort::Names => "text",
        }
    }
}

impl Sketch {
    /// Nothing yet.
    #[must_use]
    pub fn new(sort: Sort) -> Sketch {
        match sort {
            Sort::Numbers => Sketch::Numbers(NumericSketch::default()),
            Sort::Names => Sketch::Categories(CategorySketch::default()),
        }
    }

    /// What it is of.
    #[must_use]
    pub fn sort(&self) -> Sort {
        match self {
            Sketch::Numbers(_) => Sort::Numbers,
            Sketch::Categories(_) => Sort::Names,
        }
    }

    /// Adds what `other` has seen; nothing of another sort.
    pub fn merge(&mut self, other: &Sketch) {
        match (self, other) {
            (Sketch::Numbers(ours), Sketch::Numbers(theirs)) => ours.merge(theirs),
            (Sketch::Categories(ours), Sketch::Categories(theirs)) => ours.merge(theirs),
            (Sketch::Numbers(_), Sketch::Categories(_)) | (Sketch::Categories(_), Sketch::Numbers(_)) => {}
        }
    }

    /// Values that are no finite numbers.
    #[must_use]
    pub fn non_finite(&self) -> u64 {
        match self {
            Sketch::Numbers(numbers) => numbers.non_finite(),
            Sketch::Categories(_) => 0,
        }
    }

    /// Values that were there and are finite numbers, or names.
    #[must_use]
    pub fn finite(&self) -> u64 {
        self.present() - self.non_finite()
    }

    /// Values that were there, finite or not.
    #[must_use]
    pub fn present(&self) -> u64 {
        match self {
            Sketch::Numbers(numbers) => numbers.count() + numbers.non_finite(),
            Sketch::Categories(categories) => categories.count(),
        }
    }
}

/// A value as it is profiled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Observed<'a> {
    /// A number; one that is not finite is counted apart.
    Number(f64),
    /// A name.
    Name(&'a str),
}

impl Observed<'_> {
    fn sort(self) -> Sort {
        match self {
            Observed::Number(_) => Sort::Numbers,
            Observed::Name(_) => Sort::Names,
        }
    }
}

/// A field of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// A hash of the name, see [`crate::event::feature_id`].
    pub id: u32,
    /// The name.
    pub name: Box<str>,
    /// Its values.
    pub sketch: Sketch,
}

impl Field {
    /// What tells it from others: fields are in this order.
    #[must_use]
    pub fn key(&self) -> (u32, Sort) {
        (self.id, self.sketch.sort())
    }
}

/// What came in one window, of one stream, in one segment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Records. A field has no value in as many of them as it has not seen.
    pub volume: u64,
    /// What they were worth, in minor units by currency.
    pub money_minor: BTreeMap<Box<str>, i64>,
    /// By [`Field::key`].
    pub fields: Vec<Field>,
}

impl Profile {
    /// Counts a record. `values` are in the order of their ids; `name` names one that is new.
    pub fn add<'v, 'n>(
        &mut self,
        values: impl Iterator<Item = (u32, Observed<'v>)>,
        money: Option<(&str, i64)>,
        name: impl Fn(u32) -> &'n str,
    ) {
        self.volume += 1;
        if let Some((currency, minor)) = money {
            add_money(&mut self.money_minor, currency, minor);
        }
        if self.fields.is_empty() {
            self.fields.reserve(values.size_hint().0);
        }
        let mut place = 0;
        for (id, value) in values {
            let key = (id, value.sort());
            while self.fields.get(place).is_some_and(|field| field.key() < key) {
                place += 1;
            }
            if self.fields.get(place).is_none_or(|field| field.key() != key) {
                if self.fields.len() >= FIELDS_MAX {
                    continue;
                }
                let sketch = Sketch::new(value.sort());
                self.fields.insert(place, Field { id, name: name(id).into(), sketch });
            }
            match (self.fields.get_mut(place).map(|field| &mut field.sketch), value) {
                (Some(Sketch::Numbers(numbers)), Observed::Number(value)) => numbers.add(value),
                (Some(Sketch::Categories(categories)), Observed::Name(name)) => categories.add(name),
                _ => {}
            }
        }
    }

    /// Adds what another profile of the same window saw.
    pub fn merge(&mut self, other: &Profile) {
        self.volume += other.volume;
        other
            .money_minor
            .iter()
            .for_each(|(currency, minor)| add_money(&mut self.money_minor, currency, *minor));
        if self.fields.is_empty() {
            self.fields.clone_from(&other.fields);
            return;
        }
        let mut place = 0;
        for field in &other.fields {
            while self.fields.get(place).is_some_and(|known| known.key() < field.key()) {
                place += 1;
            }
            match self.fields.get_mut(place).filter(|known| known.key() == field.key()) {
                Some(known) => known.sketch.merge(&field.sketch),
                None => self.fields.insert(place, field.clone()),
            }
        }
    }

    /// Adds what another profile of the same window saw, which is its own if it has seen nothing.
    pub fn absorb(&mut self, other: Profile) {
        if self.volume == 0 { *self = other } else { self.merge(&other) }
    }

    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| &*field.name == name)
    }
}

/// A profile on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowProfile {
    /// Of which stream: the name of a score, or of a source.
    pub stream: Box<str>,
    /// When the window began.
    pub start: EventTime,
    /// The segment; none for all of the stream.
    pub segment: Option<Segment>,
    /// What came.
    pub profile: Profile,
}

/// The profiles of the windows that are open.
///
/// Memory: per window, stream, combination of segments and field a sketch, some hundred bytes each; a window is open until the watermark has
/// passed its end by the allowed lateness.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Profiler {
    windows: OpenWindows<BTreeMap<Box<str>, Divided>>,
    /// Records of windows that were over.
    pub too_late: u64,
    /// Records of streams for which a window had no more room.
    pub unwatched: u64,
}

/// A stream's profiles of one window: one for each combination of values of the dimensions, so that a record is counted once. What is
/// sent on is put together from them when the window is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Divided {
    /// By a hash of the values.
    combinations: BTreeMap<u64, Combination>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Combination {
    /// Dimension and value; nothing where records have no value, or all that have no combination of their own.
    segments: Vec<Segment>,
    profile: Profile,
}

/// A record that is to be profiled.
#[derive(Debug, Clone, Copy)]
pub struct Profiled<'a> {
    /// The stream it belongs to.
    pub stream: &'a str,
    /// When it happened.
    pub time: EventTime,
    /// Its values by the ids of their fields, in their order.
    pub values: &'a [(u32, Observed<'a>)],
    /// What it is worth: currency and minor units.
    pub money: Option<(&'a str, i64)>,
    /// The segments it belongs to: dimension and value.
    pub segments: &'a [(&'a str, &'a str)],
}

impl Profiler {
    /// Adds a record to its window of that length, unless that is over.
    pub fn add<'n>(&mut self, record: Profiled<'_>, length: Duration, name: impl Fn(u32) -> &'n str) {
        let Some(streams) = self.windows.at(record.time.floor(length)) else {
            self.too_late += 1;
            return;
        };
        if !streams.contains_key(record.stream) {
            if streams.len() >= STREAMS_MAX {
                self.unwatched += 1;
                return;
            }
            streams.insert(record.stream.into(), Divided::default());
        }
        if let Some(divided) = streams.get_mut(record.stream) {
            divided.profile(record.segments).add(record.values.iter().copied(), record.money, &name);
        }
    }

    /// Takes out what windows of that length hold that have been over for `allowed_lateness` by the watermark.
    pub fn close(
        &mut self,
        watermark: EventTime,
        length: Duration,
        allowed_lateness: Duration,
    ) -> impl Iterator<Item = WindowProfile> + use<> {
        self.windows.close(watermark, allowed_lateness, length).into_iter().flat_map(|(start, streams)| {
            streams.into_iter().flat_map(move |(stream, divided)| divided.profiles(&stream, start))
        })
    }

    /// Windows that are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.windows.len()
    }
}

impl Divided {
    /// The profile of records in these segments.
    fn profile(&mut self, segments: &[(&str, &str)]) -> &mut Profile {
        let name = segments.iter().fold(0, |seed, (_, value)| xxh3_64_with_seed(value.as_bytes(), seed + 1));
        let is_full = self.combinations.len() >= COMBINATIONS_MAX && !self.combinations.contains_key(&name);
        let (name, segments) = if is_full { (0, &[][..]) } else { (name, segments) };
        let combination = self.combinations.entry(name).or_insert_with(|| Combination {
            segments: segments.iter().map(|(dimension, value)| Segment::new(dimension, value)).collect(),
            profile: Profile::default(),
        });
        &mut combination.profile
    }

    /// Of all records, then of each segment.
    fn profiles(self, stream: &str, start: EventTime) -> Vec<WindowProfile> {
        let mut whole = Profile::default();
        let mut segments: BTreeMap<Segment, Profile> = BTreeMap::new();
        for Combination { segments: mut of, profile } in self.combinations.into_values() {
            whole.merge(&profile);
            let last = of.pop();
            for segment in of {
                segments.entry(segment).or_default().merge(&profile);
            }
            if let Some(last) = last {
                segments.entry(last).or_default().absorb(profile);
            }
        }
        let of = |segment, profile| WindowProfile { stream: stream.into(), start, segment, profile };
        let mut profiles = vec![of(None, whole)];
        profiles.extend(pooled(segments).into_iter().map(|(segment, profile)| of(Some(segment), profile)));
        profiles
    }
}

/// Of each dimension, the values with most records; the others together.
fn pooled(segments: BTreeMap<Segment, Profile>) -> BTreeMap<Segment, Profile> {
    let mut by_volume: Vec<(Segment, Profile)> = segments.into_iter().collect();
    by_volume.sort_by(|(one, first), (other, second)| {
        let by_volume = second.volume.cmp(&first.volume);
        one.dimension.cmp(&other.dimension).then(by_volume).then_with(|| one.value.cmp(&other.value))
    });
    let mut pooled: BTreeMap<Segment, Profile> = BTreeMap::new();
    let mut place = (Box::<str>::default(), 0);
    for (segment, profile) in by_volume {
        place = if place.0 == segment.dimension {
            (place.0, place.1 + 1)
        } else {
            (segment.dimension.clone(), 1)
        };
        let segment = if place.1 <= SEGMENTS_MAX { segment } else { Segment::new(&segment.dimension, OTHER) };
        pooled.entry(segment).or_default().absorb(profile);
    }
    pooled
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const NAMES: [&str; 3] = ["amount", "channel", "count"];

    fn name(id: u32) -> &'static str {
        NAMES[id as usize]
    }

    fn record<'a>(
        time: i64,
        values: &'a [(u32, Observed<'a>)],
        channel: &'a [(&'a str, &'a str)],
    ) -> Profiled<'a> {
        Profiled {
            stream: "fraud",
            time: EventTime(time),
            values,
            money: Some(("EUR", 10)),
            segments: channel,
        }
    }

    fn closed(profiler: &mut Profiler, watermark: i64) -> Vec<WindowProfile> {
        profiler.close(EventTime(watermark), HOUR, Duration::from_secs(300)).collect()
    }

    #[test]
    fn a_window_is_handed_over_when_the_watermark_has_passed_its_end_by_the_lateness() {
        let mut profiler = Profiler::default();
        let values = [(0, Observed::Number(7.0)), (2, Observed::Number(f64::NAN))];
        profiler.add(record(10, &values, &[("channel", "app")]), HOUR, name);
        profiler.add(record(3_600_000, &values[..1], &[("channel", "app")]), HOUR, name);
        assert_eq!(closed(&mut profiler, 3_899_999), []);
        let windows = closed(&mut profiler, 3_900_000);
        assert_eq!((windows.len(), profiler.open()), (2, 1));
        let [whole, segment] = windows.as_slice() else { panic!("the whole and a segment") };
        assert_eq!((whole.start, whole.segment.is_none(), whole.profile.volume), (EventTime(0), true, 1));
        assert_eq!(whole.profile, segment.profile);
        assert_eq!(whole.profile.money_minor.get("EUR"), Some(&10));
        let Some(Sketch::Numbers(count)) = whole.profile.field("count").map(|field| &field.sketch) else {
            panic!("numbers")
        };
        assert_eq!((count.count(), count.non_finite()), (0, 1));
    }

    #[test]
    fn what_comes_when_its_window_is_over_is_counted_and_not_profiled() {
        let mut profiler = Profiler::default();
        assert_eq!(closed(&mut profiler, 4_000_000), []);
        profiler.add(record(10, &[], &[]), HOUR, name);
        assert_eq!((profiler.too_late, profiler.open()), (1, 0));
    }

    #[test]
    fn profiles_of_two_who_saw_parts_are_that_of_one_who_saw_all() {
        let values: Vec<[(u32, Observed<'_>); 2]> = (0..100)
            .map(|place| {
                let channel = if place % 3 == 0 { "app" } else { "online" };
                [(0, Observed::Number(f64::from(place))), (1, Observed::Name(channel))]
            })
            .collect();
        let profile = |which: &dyn Fn(usize) -> bool| {
            let mut profile = Profile::default();
            let chosen = values.iter().enumerate().filter(|(place, _)| which(*place));
            chosen.for_each(|(_, values)| profile.add(values.iter().copied(), Some(("EUR", 1)), name));
            profile
        };
        let (mut even, odd) = (profile(&|place| place % 2 == 0), profile(&|place| place % 2 == 1));
        even.merge(&odd);
        assert_eq!(even, profile(&|_| true));
    }

    #[test]
    fn a_dimension_with_many_values_pools_those_with_the_fewest_records() {
        let mut profiler = Profiler::default();
        let names: Vec<String> = (0..SEGMENTS_MAX + 5).map(|place| format!("s{place:02}")).collect();
        for (place, name_of) in names.iter().enumerate() {
            // the first five come once, the others twice
            for _ in 0..1 + usize::from(place >= 5) {
                profiler.add(record(1, &[], &[("store", name_of)]), HOUR, name);
            }
        }
        let windows = closed(&mut profiler, 9_000_000);
        assert_eq!(windows.len(), 1 + SEGMENTS_MAX + 1);
        let pooled =
            windows.iter().find(|window| window.segment.as_ref().is_some_and(|s| &*s.value == OTHER));
        assert_eq!(pooled.map(|window| window.profile.volume), Some(5));
    }
}
