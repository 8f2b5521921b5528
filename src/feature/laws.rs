//! Laws: what a key answers is what `docs/features.md` says, recomputed from every event it has had.

use super::*;
use crate::event::{EntityKind, FieldId, Source, Value};
use crate::time::{EventTime, millis};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const PAYMENTS: &str = "views:
  - {name: all, entity: card, source: payment_attempted, windows: [1m, 150s, 5m], features:
      [count, {sum: amount}, {mean: amount}, {stddev: amount}, {min: amount}, {max: amount}, {distinct: ip}, {top1: ip},
       {top3: device}, {last: amount}, time_since_first, time_since_last]}
  - {name: others, entity: card, source: payment_attempted, windows: [1m, 5m], include_current: false,
      features: [count, {mean: amount}, {stddev: amount}, {distinct: ip}, {distinct: device}, {top2: ip}, {top8: ip}]}
  - {name: soon, entity: card, source: payment_attempted, windows: [1m], delay: 500ms, features: [count]}
  - {name: slow, entity: card, source: payment_attempted, windows: [1m, 2m], delay: 90s, features:
      [count, {max: amount}, {sum: amount}, {top1: device}]}
  - {name: later, entity: card, source: payment_attempted, windows: [2m, 10m], delay: 20s, features:
      [count, {min: amount}]}
  - {name: values, entity: card, source: payment_attempted, windows: [7m], features: [{distinct: ip}]}
";

const CLICKS: &str = "views:
  - {name: all, entity: device, source: click, windows: [1m, 5m], features:
      [count, {sum: value}, {mean: items}, {stddev: items}, {distinct: page}, {top5: page}, {top1: name}, {last: value},
       time_since_first, time_since_last]}
  - {name: slow, entity: device, source: click, windows: [1m, 4m], delay: 70s, features: [count, {min: value}]}
  - {name: later, entity: device, source: click, windows: [5m, 8m], delay: 25s, features: [count]}
";
const LATENESS_MS: i64 = 60_000;

type Values = Vec<(FieldId, Value)>;
type Answer = (BTreeMap<u32, f64>, BTreeMap<u32, f64>);

fn plan(text: &str) -> FeaturePlan {
    let spec: FeaturesSpec = serde_saphyr::from_str(text).unwrap();
    FeaturePlan::compile(&spec, Duration::from_millis(LATENESS_MS.unsigned_abs())).unwrap()
}

/// An event, and what `newest` was when it was put where it is.
#[derive(Clone)]
struct Held {
    time: i64,
    values: Values,
    newest: i64,
}

/// Every event that is held, and the answers by definition.
struct Naive<'a> {
    group: &'a Group,
    newest: Option<i64>,
    large: bool,
    held: Vec<Held>,
    /// Every event ever.
    all: Vec<(i64, Values)>,
    samples: BTreeMap<FieldId, (u32, Seen)>,
}

/// The first and the last time that each value was seen.
type Seen = BTreeMap<u64, (i64, i64)>;

impl<'a> Naive<'a> {
    fn new(group: &'a Group) -> Naive<'a> {
        let large = group.source() == Source::Click;
        Naive { group, newest: None, large, held: Vec::new(), all: Vec::new(), samples: BTreeMap::new() }
    }

    fn horizon(&self) -> i64 {
        self.newest.map_or(i64::MIN, |newest| newest - millis(self.group.retention()))
    }

    /// The retention of a window in buckets.
    fn retention(&self, window: Duration) -> i64 {
        let in_buckets =
            |f: &&Feature| f.window == Some(window) && !matches!(f.aggregate, Aggregate::Distinct(_));
        let delays = self.group.features().iter().filter(in_buckets).map(|feature| millis(feature.delay));
        millis(window) + delays.max().unwrap() + LATENESS_MS
    }

    fn fold(&mut self, time: i64, values: &Values) {
        self.newest = self.newest.max(Some(time));
        self.all.push((time, values.clone()));
        let (horizon, newest) = (self.horizon(), self.newest.unwrap());
        let inserted = time > horizon;
        if inserted {
            self.held.push(Held { time, values: values.clone(), newest });
        }
        if !self.large {
            self.held.retain(|held| held.time > horizon);
            if self.held.len() > 256 {
                self.large = true;
                self.held.sort_by_key(|held| held.time);
                self.held.iter_mut().for_each(|held| held.newest = newest);
                self.held.clone().iter().for_each(|held| self.sample(held.time, &held.values));
            }
        } else if inserted {
            self.sample(time, values);
        }
    }

    fn sample(&mut self, time: i64, values: &Values) {
        let horizon = self.horizon();
        for (field, value) in values {
            let Value::Hash(hash) = *value else { continue };
            let (level, kept) = self.samples.entry(*field).or_default();
            if hash.is_multiple_of(1 << *level) {
                let (first, last) = kept.entry(hash).or_insert((time, time));
                (*first, *last) = (time.min(*first), time.max(*last));
            }
            if kept.len() > 1024 {
                kept.retain(|_, (_, last)| *last > horizon);
            }
            while kept.len() > 1024 {
                *level += 1;
                kept.retain(|hash, _| hash.is_multiple_of(1 << *level));
            }
        }
    }

    /// The value of a feature at `at`, and its error if it is an estimate; `own` is the payment that
    /// asks, where it counts.
    fn value(&self, feature: &Feature, at: i64, own: Option<&Values>) -> Option<(f64, Option<f64>)> {
        let Some(window) = feature.window else {
            return self.without_window(feature.aggregate, at).map(|value| (value, None));
        };
        let end = at - millis(feature.delay);
        let start = end - millis(window);
        if let (true, Aggregate::Distinct(field)) = (self.large, feature.aggregate) {
            return Some(self.sampled(field, (start, end), own.filter(|_| at <= self.horizon())));
        }
        let inside = |held: &&Held| {
            if self.large {
                self.bucketed(held, window, start, end)
            } else {
                start < held.time && held.time <= end
            }
        };
        let kept_for = if self.large { self.retention(window) } else { millis(self.group.retention()) };
        let own = own.filter(|_| self.newest.is_some_and(|newest| at <= newest - kept_for));
        if let (true, Aggregate::Top { most, field }) = (self.large, feature.aggregate) {
            let bucket = millis(window) / 64;
            let mut buckets: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
            for held in self.held.iter().filter(inside) {
                let bucket = buckets.entry(held.time.div_euclid(bucket)).or_default();
                bucket.extend(hashes_of(&held.values, field));
            }
            let own: Vec<u64> = own.into_iter().flat_map(|values| hashes_of(values, field)).collect();
            return summarised(buckets.into_values(), &own, most);
        }
        let held = self.held.iter().filter(inside).map(|held| &held.values);
        let value = aggregate(feature.aggregate, held.chain(own).collect())?;
        Some((value, self.large.then_some(0.015625)))
    }

    fn without_window(&self, aggregate: Aggregate, at: i64) -> Option<f64> {
        let times = self.all.iter().map(|(time, _)| *time);
        let since = |time: i64| (at - time).max(0) as f64 / 1000.0;
        match aggregate {
            Aggregate::TimeSinceFirst => times.min().map(since),
            Aggregate::TimeSinceLast => times.max().map(since),
            Aggregate::Last(field) => {
                let number = |(_, value): &&(FieldId, Value)| matches!(value, Value::Number(_));
                let of_field = |values: &Values| {
                    let value = values.iter().filter(|(of, _)| *of == field).find(number)?.1;
                    if let Value::Number(number) = value { Some(number as f64) } else { None }
                };
                let with = self.all.iter().filter_map(|(time, values)| Some((*time, of_field(values)?)));
                // of the same time the later arrival, which `max_by_key` prefers
                let (time, value) = with.max_by_key(|(time, _)| *time)?;
                (time <= at).then_some(value)
            }
            _ => unreachable!("it has a window"),
        }
    }

    /// Whether an event of a large key is in a window: it was added, its bucket is still there, and
    /// the window covers it.
    fn bucketed(&self, held: &Held, window: Duration, start: i64, end: i64) -> bool {
        let (bucket, retention) = (millis(window) / 64, self.retention(window));
        let number = held.time.div_euclid(bucket);
        let covered = start.div_euclid(bucket)..=end.div_euclid(bucket);
        let kept = self.newest.is_some_and(|newest| (number + 1) * bucket > newest - retention);
        held.time > held.newest - retention && kept && covered.contains(&number)
    }

    fn sampled(&self, field: FieldId, window: (i64, i64), own: Option<&Values>) -> (f64, Option<f64>) {
        let (start, end) = window;
        let (level, mut kept) = self.samples.get(&field).cloned().unwrap_or_default();
        kept.retain(|_, (first, last)| *last > start && *first <= end);
        for (of, value) in own.into_iter().flatten() {
            if let (true, Value::Hash(hash)) = (*of == field, *value)
                && hash.is_multiple_of(1 << level)
            {
                kept.entry(hash).or_insert((end, end));
            }
        }
        let uncertain = kept.values().filter(|(first, last)| *first <= start && *last > end).count();
        let share = if uncertain == 0 { 0.0 } else { uncertain as f64 / kept.len() as f64 };
        let error = if level > 0 { share.max(0.0375) } else { share };
        ((kept.len() << level) as f64, (error > 0.0).then_some(error))
    }

    /// How many different values of a distinct feature were truly seen in its window at `at`, and how many
    /// if its window had no end.
    fn seen(&self, feature: &Feature, at: i64) -> [f64; 2] {
        let start = at - millis(feature.window.unwrap());
        [at, i64::MAX].map(|end| {
            let inside = self.held.iter().filter(|held| start < held.time && held.time <= end);
            aggregate(feature.aggregate, inside.map(|held| &held.values).collect()).unwrap()
        })
    }

    fn note(&self, answer: &mut Answer, feature: &Feature, at: i64, own: Option<&Values>) {
        if let Some((value, error)) = self.value(feature, at, own) {
            answer.0.insert(feature.id, value);
            answer.1.extend(error.map(|error| (feature.id, error)));
        }
    }

    fn evaluate(&self, at: i64) -> Answer {
        let mut answer = Answer::default();
        self.group.features().iter().for_each(|feature| self.note(&mut answer, feature, at, None));
        answer
    }

    fn fold_and_evaluate(&mut self, at: i64, values: &Values) -> Answer {
        let mut answer = Answer::default();
        let (after, before): (Vec<&Feature>, Vec<&Feature>) =
            self.group.features().iter().partition(|f| f.window.is_some() && f.sees_current());
        before.iter().for_each(|feature| self.note(&mut answer, feature, at, None));
        self.fold(at, values);
        after.iter().for_each(|feature| self.note(&mut answer, feature, at, Some(values)));
        answer
    }
}

fn aggregate(aggregate: Aggregate, events: Vec<&Values>) -> Option<f64> {
    let Some(field) = aggregate.field() else {
        return Some(events.len() as f64);
    };
    let values: Vec<Value> =
        events.into_iter().flatten().filter(|(of, _)| *of == field).map(|(_, value)| *value).collect();
    let hashes = values.iter().filter_map(|v| if let Value::Hash(hash) = v { Some(*hash) } else { None });
    if let Aggregate::Top { most, .. } = aggregate {
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        hashes.for_each(|hash| *counts.entry(hash).or_default() += 1);
        return share(counts.into_values().collect(), most).map(|(share, _)| share);
    }
    let numbers = values.iter().filter_map(|v| if let Value::Number(n) = v { Some(*n) } else { None });
    let numbers: Vec<i64> = numbers.collect();
    let sum = numbers.iter().sum::<i64>() as f64;
    match aggregate {
        Aggregate::Sum(_) => Some(sum),
        Aggregate::Mean(_) => (!numbers.is_empty()).then(|| sum / numbers.len() as f64),
        Aggregate::StandardDeviation(_) => deviation(&numbers),
        Aggregate::Min(_) => numbers.into_iter().min().map(|n| n as f64),
        Aggregate::Max(_) => numbers.into_iter().max().map(|n| n as f64),
        _ => Some(hashes.collect::<BTreeSet<u64>>().len() as f64),
    }
}

/// The share of all that the highest counts are, and the sum of these.
fn share(mut counts: Vec<u64>, most: u8) -> Option<(f64, u64)> {
    let all: u64 = counts.iter().sum();
    counts.sort_unstable();
    let highest = counts.iter().rev().take(most.into()).sum::<u64>();
    (all > 0).then(|| (highest as f64 / all as f64, highest))
}

/// The values of a text that an event has.
fn hashes_of(values: &Values, field: FieldId) -> Vec<u64> {
    let hash = |(of, value): &(FieldId, Value)| match value {
        Value::Hash(hash) if *of == field => Some(*hash),
        _ => None,
    };
    values.iter().filter_map(hash).collect()
}

/// The share of the most frequent values by a summary of each bucket, and its error.
fn summarised(buckets: impl Iterator<Item = Vec<u64>>, own: &[u64], most: u8) -> Option<(f64, Option<f64>)> {
    let (mut merged, mut error) = (BTreeMap::<u64, u64>::new(), 0);
    for values in buckets {
        let mut counters: Vec<(u64, u64)> = Vec::new();
        for value in values {
            let lowest = counters.iter().map(|(_, count)| *count).min();
            match counters.iter().position(|(known, _)| *known == value) {
                Some(place) => counters[place].1 += 1,
                None if counters.len() < 16 => counters.push((value, 1)),
                None => {
                    let taken = counters.iter().position(|(_, count)| Some(*count) == lowest).unwrap();
                    counters[taken] = (value, counters[taken].1 + 1);
                }
            }
        }
        if counters.len() == 16 {
            error += counters.iter().map(|(_, count)| *count).min().unwrap();
        }
        counters.into_iter().for_each(|(value, count)| *merged.entry(value).or_default() += count);
    }
    own.iter().for_each(|value| *merged.entry(*value).or_default() += 1);
    let (share, highest) = share(merged.into_values().collect(), most)?;
    let error = (f64::from(most) * error as f64 / highest as f64).clamp(0.015625, 1.0);
    Some((share, Some(error)))
}

/// √(Σ(n·x − Σx)² / n) / n, in whole numbers up to the root.
fn deviation(numbers: &[i64]) -> Option<f64> {
    let count = numbers.len() as i128;
    let sum: i128 = numbers.iter().map(|number| i128::from(*number)).sum();
    let apart: i128 = numbers.iter().map(|number| (count * i128::from(*number) - sum).pow(2)).sum();
    (count > 0).then(|| ((apart / count) as f64).sqrt() / count as f64)
}

fn answer(out: Vec<(u32, f64)>, estimates: Vec<(u32, f64)>) -> Answer {
    let lengths = (out.len(), estimates.len());
    let answer: Answer = (out.into_iter().collect(), estimates.into_iter().collect());
    assert_eq!((answer.0.len(), answer.1.len()), lengths, "a feature was answered twice");
    answer
}

fn evaluate(state: &GroupState, group: &Group, at: i64) -> Answer {
    let (mut out, mut estimates) = (Vec::new(), Vec::new());
    state.evaluate(group, EventTime(at), &mut out, &mut estimates);
    answer(out, estimates)
}

fn fold_and_evaluate(state: &mut GroupState, group: &Group, at: i64, values: &Values) -> Answer {
    let (mut out, mut estimates) = (Vec::new(), Vec::new());
    state.fold_and_evaluate(group, EventTime(at), values, &mut out, &mut estimates);
    answer(out, estimates)
}

/// The state after a checkpoint and a restart.
fn restored(state: &GroupState) -> GroupState {
    let bytes = postcard::to_allocvec(state).unwrap();
    let restored: GroupState = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(&restored, state);
    assert_eq!(postcard::to_allocvec(&restored).unwrap(), bytes);
    restored
}

/// A field that an event has, three times out of four.
fn field(field: FieldId, value: impl Strategy<Value = Value>) -> impl Strategy<Value = Values> {
    prop_oneof![3 => value.prop_map(move |value| vec![(field, value)]), 1 => Just(Vec::new())]
}

fn hash(distinct: u64) -> impl Strategy<Value = Value> {
    (0..distinct).prop_map(|n| Value::Hash(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn payment() -> impl Strategy<Value = Values> {
    let amount = field(FieldId::AmountMinor, (0..=1_000_000_000_000_i64).prop_map(Value::Number));
    let ip = field(FieldId::Ip, hash(400));
    (amount, ip, field(FieldId::Device, hash(3))).prop_map(|(a, b, c)| [a, b, c].concat())
}

fn click() -> impl Strategy<Value = Values> {
    let value = field(FieldId::ValueMinor, (-50..50_i64).prop_map(Value::Number));
    let items = field(FieldId::ItemCount, (0..9_i64).prop_map(Value::Number));
    let name = field(FieldId::EventName, hash(30));
    (value, items, field(FieldId::Page, hash(9000)), name).prop_map(|(a, b, c, d)| [a, b, c, d].concat())
}

/// Times that move on by up to `advance`, with ties, round numbers, and events that come late.
fn times(advance: i64, events: std::ops::Range<usize>) -> impl Strategy<Value = Vec<i64>> {
    let late = prop_oneof![6 => Just(0), 2 => 0..60_000_i64, 1 => 0..800_000_i64];
    let ahead = prop_oneof![1 => Just(0), 4 => 0..=advance, 2 => (0..=advance / 500).prop_map(|n| n * 500)];
    proptest::collection::vec((ahead, late), events).prop_map(|moves| {
        let moved = moves.into_iter().scan(100_000, |now, (ahead, late)| {
            *now += ahead;
            Some(*now - late)
        });
        moved.collect()
    })
}

fn history(
    advance: i64,
    events: std::ops::Range<usize>,
    values: impl Strategy<Value = Values>,
) -> impl Strategy<Value = Vec<(i64, Values)>> {
    let longest = events.end;
    (times(advance, events), proptest::collection::vec(values, longest))
        .prop_map(|(times, values)| times.into_iter().zip(values).collect())
}

/// Folds a history of payments into both, comparing every answer; a restart in the middle.
fn payments_agree(history: &[(i64, Values)]) -> GroupState {
    let plan = plan(PAYMENTS);
    let group = plan.groups_at(EntityKind::Card, Source::PaymentAttempted).first().unwrap();
    let (mut state, mut naive) = (GroupState::new(group), Naive::new(group));
    for (index, (time, values)) in history.iter().enumerate() {
        let expected = naive.fold_and_evaluate(*time, values);
        assert_eq!(fold_and_evaluate(&mut state, group, *time, values), expected, "event {index}");
        assert_eq!(state.is_large(), naive.large);
        if index == history.len() / 2 {
            state = restored(&state);
        }
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..Default::default() })]

    #[test]
    fn a_small_key_answers_as_if_recomputed_from_all_its_events(
        history in history(30_000, 1..120, payment()),
    ) {
        payments_agree(&history);
    }

    #[test]
    fn clicks_answer_as_if_recomputed_from_all_their_buckets(
        history in history(20_000, 1..150, click()),
        asked in times(20_000, 150..151),
    ) {
        let plan = plan(CLICKS);
        let group = plan.groups_at(EntityKind::Device, Source::Click).first().unwrap();
        let (mut state, mut naive) = (GroupState::new(group), Naive::new(group));
        prop_assert_eq!(evaluate(&state, group, 0), naive.evaluate(0));
        for ((time, values), at) in history.iter().zip(asked) {
            state.fold(group, EventTime(*time), values);
            naive.fold(*time, values);
            prop_assert_eq!(evaluate(&state, group, at), naive.evaluate(at));
        }
        restored(&state);
    }

    #[test]
    fn folding_with_or_without_an_answer_leaves_the_same_state(
        history in history(4_000, 1..300, payment()),
    ) {
        let plan = plan(PAYMENTS);
        let group = plan.groups_at(EntityKind::Card, Source::PaymentAttempted).first().unwrap();
        let (mut silent, mut asked) = (GroupState::new(group), GroupState::new(group));
        for (time, values) in &history {
            silent.fold(group, EventTime(*time), values);
            fold_and_evaluate(&mut asked, group, *time, values);
        }
        prop_assert_eq!(silent, asked);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..Default::default() })]

    #[test]
    fn a_key_that_grows_large_answers_as_if_recomputed_from_its_buckets(
        history in history(2_000, 500..600, payment()),
    ) {
        prop_assert!(payments_agree(&history).is_large());
    }

    #[test]
    fn a_large_key_counts_the_values_of_a_window_and_at_most_those_beside_that_its_error_names(
        history in history(2_000, 500..600, payment()),
    ) {
        let plan = plan(PAYMENTS);
        let group = plan.groups_at(EntityKind::Card, Source::PaymentAttempted).first().unwrap();
        let (mut state, mut naive) = (GroupState::new(group), Naive::new(group));
        let (mut uncertain, mut left_out) = (0, 0);
        for (at, values) in &history {
            state.fold(group, EventTime(*at), values);
            naive.fold(*at, values);
            let (counts, errors) = evaluate(&state, group, *at);
            for feature in group.features().iter().filter(|f| matches!(f.aggregate, Aggregate::Distinct(_))) {
                let ([seen, seen_or_later], count) = (naive.seen(feature, *at), counts[&feature.id]);
                let error = errors.get(&feature.id).copied().unwrap_or(0.0);
                let beside = (count * error).round();
                prop_assert!(count - beside <= seen && seen <= count, "{seen} is not {count} with {error}");
                uncertain += u32::from(state.is_large() && error > 0.0);
                left_out += u32::from(state.is_large() && seen_or_later > count);
            }
        }
        prop_assert!(uncertain > 0 && left_out > 0, "the payments were not out of order enough");
    }
}

#[test]
fn a_busy_page_is_sampled_as_the_definition_says() {
    let plan = plan(CLICKS);
    let group = plan.groups_at(EntityKind::Device, Source::Click).first().unwrap();
    let (mut state, mut naive) = (GroupState::new(group), Naive::new(group));
    let mut uncertain = 0;
    for n in 0..12_000_u64 {
        // Each page comes again after three and a half minutes.
        let page = Value::Hash((n % 3000).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (time, values) =
            (n.cast_signed() * 70 - (n.cast_signed() % 5) * 900, vec![(FieldId::Page, page)]);
        state.fold(group, EventTime(time), &values);
        naive.fold(time, &values);
        if n % 97 == 0 {
            for at in [time, time - 90_000] {
                let answer = evaluate(&state, group, at);
                assert_eq!(answer, naive.evaluate(at), "click {n} asked at {at}");
                uncertain += u32::from(answer.1.values().any(|error| *error > 0.0375));
            }
        }
    }
    assert!(uncertain > 0);
    assert!(naive.samples.values().any(|(level, _)| *level > 0));
    restored(&state);
}
