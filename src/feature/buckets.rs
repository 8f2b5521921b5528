//! What a large key keeps: for each window a series of time buckets, for each text whose different values are asked a sample.
//!
//! A bucket of a window is a 64th of it long, so a value may cover up to that much too much at
//! either end. Only buckets with an event exist, and a series keeps no more than its own window needs:
//! a minute's would be a thousand times as long if it were kept for a month's sake.

use super::distinct::Sample;
use super::frequent::{Frequent, Merged};
use super::group::Group;
use super::layout::{BucketedWindow, Layout};
use super::row::Event;
use super::spread::Spread;
use super::sweep::{Answers, Column, ERROR_OF_BUCKETS, Step, Sweep, Tally};
use super::totals::Totals;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};

/// How many buckets a window is divided into.
pub(super) const BUCKETS_PER_WINDOW: i64 = 64;

/// The buckets and samples of a large key. Before its first event it has none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Buckets {
    /// One for each window of the layout.
    series: Vec<Series>,
    /// One for each text of the layout whose different values are asked.
    samples: Vec<Sample>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// Everything that is kept of the key holds it.
    Everywhere,
    /// It was too old for something.
    NotEverywhere,
}

/// A payment that asks, and that not everything which should count it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) event: Event<'a>,
    /// The highest event time of its key, itself included.
    pub(super) newest: EventTime,
}

impl Own<'_> {
    /// Whether the series of a window does without it.
    fn is_too_old_for(self, window: BucketedWindow) -> bool {
        self.event.time <= window.horizon(self.newest)
    }
}

impl Buckets {
    /// Adds an event of a key with this `newest`, within the retention of the group. Says whether every
    /// series took it: one whose window is too short for an event so old does not.
    pub(super) fn add(&mut self, group: &Group, event: Event<'_>, newest: EventTime) -> Added {
        let (layout, horizon) = (group.layout(), group.horizon(newest));
        self.samples.resize_with(layout.distincts().len(), Sample::default);
        for (sample, slot) in self.samples.iter_mut().zip(layout.distincts()) {
            if let Some(hash) = event.word(*slot) {
                sample.see(hash, event.time, horizon);
            }
        }
        self.add_to_series(layout, event, newest)
    }

    fn add_to_series(&mut self, layout: &Layout, event: Event<'_>, newest: EventTime) -> Added {
        let mut added = Added::Everywhere;
        self.series.resize_with(layout.windows().len(), || Series::new(layout));
        for (series, window) in self.series.iter_mut().zip(layout.windows()) {
            if event.time > window.horizon(newest) {
                series.add(layout, bucket_of(event.time, window.window_ms), event);
            } else {
                added = Added::NotEverywhere;
            }
        }
        added
    }

    /// Drops the buckets that end at or before the horizon of their window.
    pub(super) fn drop_old(&mut self, layout: &Layout, newest: EventTime) {
        for (series, window) in self.series.iter_mut().zip(layout.windows()) {
            // The bucket that holds the horizon ends after it, all earlier ones do not.
            series.drop_before(bucket_of(window.horizon(newest), window.window_ms));
        }
    }

    /// Answers one pass for a payment at `at`; `own` is that payment if it was too old for something,
    /// where it is counted all the same.
    pub(super) fn answer(
        &self,
        sweep: &Sweep,
        at: EventTime,
        own: Option<Own<'_>>,
        answers: &mut Answers<'_>,
    ) {
        let end = sweep.end(at);
        match sweep.column {
            Column::Distinct { slot, distinct } => {
                // If the sample did take it, it does not count it twice.
                let own = own.and_then(|own| own.event.word(slot));
                self.answer_distinct(sweep, distinct, end, own, answers);
            }
            Column::Top { slot, top } => {
                for step in &sweep.steps {
                    let mut all = self.frequent(step, top, end);
                    let own = own_of(own, step).and_then(|own| own.event.word(slot));
                    own.into_iter().for_each(|word| all.add(word));
                    step.answer_each(|aggregate| all.value(aggregate), answers);
                }
            }
            Column::Spread { slot, spread } => {
                for step in &sweep.steps {
                    let mut all = self.spread(step, spread, end);
                    let own = own_of(own, step).and_then(|own| own.event.word(slot));
                    own.into_iter().for_each(|word| all.add(word));
                    step.answer(|aggregate| all.value(aggregate), Some(ERROR_OF_BUCKETS), answers);
                }
            }
            column => {
                for step in &sweep.steps {
                    let totals = own_totals(own, step, column).merged(self.totals(step, column, end));
                    step.answer(|aggregate| totals.value(aggregate), Some(ERROR_OF_BUCKETS), answers);
                }
            }
        }
    }

    fn answer_distinct(
        &self,
        sweep: &Sweep,
        distinct: usize,
        end: EventTime,
        own: Option<u64>,
        answers: &mut Answers<'_>,
    ) {
        let none = Sample::default();
        let sample = self.samples.get(distinct).unwrap_or(&none);
        for step in &sweep.steps {
            let count = sample.count(step.covered(end), own);
            step.answer(|_| Some(count.values as f64), count.error, answers);
        }
    }

    /// What the buckets of a step's window hold of a column.
    fn totals(&self, step: &Step, column: Column, end: EventTime) -> Totals {
        self.series_of(step).map(|series| series.totals(buckets_of(step, end), column)).unwrap_or_default()
    }

    /// What the buckets of a step's window hold of a number whose standard deviation is asked.
    fn spread(&self, step: &Step, spread: usize, end: EventTime) -> Spread {
        self.series_of(step).map(|series| series.spread(buckets_of(step, end), spread)).unwrap_or_default()
    }

    /// What the buckets of a step's window hold of a text whose most frequent values are asked.
    fn frequent(&self, step: &Step, top: usize, end: EventTime) -> Merged {
        self.series_of(step).map(|series| series.frequent(buckets_of(step, end), top)).unwrap_or_default()
    }

    fn series_of(&self, step: &Step) -> Option<&Series> {
        step.bucketed.and_then(|window| self.series.get(window.place))
    }
}

/// The numbers of the buckets that a step's window covers.
fn buckets_of(step: &Step, end: EventTime) -> RangeInclusive<i64> {
    bucket_of(step.start(end), step.window_ms)..=bucket_of(end, step.window_ms)
}

/// The number of the bucket of a window in which `time` lies.
fn bucket_of(time: EventTime, window_ms: i64) -> i64 {
    time.0.div_euclid(window_ms / BUCKETS_PER_WINDOW)
}

/// The payment that adds to its own value of a step: none where the step's series holds it.
fn own_of<'o>(own: Option<Own<'o>>, step: &Step) -> Option<Own<'o>> {
    own.filter(|own| step.bucketed.is_some_and(|window| own.is_too_old_for(window)))
}

fn own_totals(own: Option<Own<'_>>, step: &Step, column: Column) -> Totals {
    own_of(own, step).map(|own| totals_of(own.event, column)).unwrap_or_default()
}

/// What one event is to a column of events or numbers.
fn totals_of(event: Event<'_>, column: Column) -> Totals {
    let mut totals = Totals::default();
    match column {
        Column::Events => totals = Totals::of_events(1),
        Column::Number { slot } => event.word(slot).into_iter().for_each(|word| totals.add(word)),
        Column::Spread { .. } | Column::Distinct { .. } | Column::Top { .. } => {}
    }
    totals
}

/// The buckets of one window that hold at least one event, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Series {
    buckets: VecDeque<Bucket>,
    /// For each number, what each bucket holds of it.
    numbers: Vec<VecDeque<Totals>>,
    /// The same of those whose standard deviation is asked.
    spreads: Vec<VecDeque<Spread>>,
    /// For each text whose most frequent values are asked, those of each bucket.
    tops: Vec<VecDeque<Frequent>>,
}

/// One bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Bucket {
    /// Its number: bucket i of length b covers [i·b, (i+1)·b).
    number: i64,
    events: u64,
}

/// The bound of `memory` counts on it.
const _: () = assert!(size_of::<Bucket>() == 16);

impl Series {
    fn new(layout: &Layout) -> Series {
        Series {
            buckets: VecDeque::new(),
            numbers: vec![VecDeque::new(); layout.numbers()],
            spreads: vec![VecDeque::new(); layout.spreads().len()],
            tops: vec![VecDeque::new(); layout.tops().len()],
        }
    }

    /// Adds an event to the bucket `number`.
    fn add(&mut self, layout: &Layout, number: i64, event: Event<'_>) {
        let place = self.place(number);
        let bucket = self.buckets.get_mut(place).expect("the bucket was just put there");
        bucket.events += 1;
        for (slot, totals) in self.numbers.iter_mut().enumerate() {
            if let (Some(totals), Some(word)) = (totals.get_mut(place), event.word(slot)) {
                totals.add(word);
            }
        }
        for (spreads, slot) in self.spreads.iter_mut().zip(layout.spreads()) {
            if let (Some(spread), Some(word)) = (spreads.get_mut(place), event.word(*slot)) {
                spread.add(word);
            }
        }
        for (tops, slot) in self.tops.iter_mut().zip(layout.tops()) {
            if let (Some(frequent), Some(hash)) = (tops.get_mut(place), event.word(*slot)) {
                frequent.see(hash);
            }
        }
    }

    /// Where the bucket `number` is; an empty one is put there if there was none.
    fn place(&mut self, number: i64) -> usize {
        let place = match self.buckets.back() {
            Some(newest) if newest.number == number => return self.buckets.len() - 1,
            Some(newest) if newest.number < number => self.buckets.len(),
            _ => self.buckets.partition_point(|bucket| bucket.number < number),
        };
        if self.buckets.get(place).is_none_or(|bucket| bucket.number != number) {
            self.buckets.insert(place, Bucket { number, events: 0 });
            self.numbers.iter_mut().for_each(|totals| totals.insert(place, Totals::default()));
            self.spreads.iter_mut().for_each(|spreads| spreads.insert(place, Spread::default()));
            self.tops.iter_mut().for_each(|tops| tops.insert(place, Frequent::default()));
        }
        place
    }

    /// Drops the buckets whose number is below `number`.
    fn drop_before(&mut self, number: i64) {
        while self.buckets.front().is_some_and(|oldest| oldest.number < number) {
            self.buckets.pop_front();
            for totals in &mut self.numbers {
                totals.pop_front();
            }
            for spreads in &mut self.spreads {
                spreads.pop_front();
            }
            for tops in &mut self.tops {
                tops.pop_front();
            }
        }
    }

    /// What the buckets of these numbers hold of a column, at most 65 of them.
    fn totals(&self, numbers: RangeInclusive<i64>, column: Column) -> Totals {
        let places = self.places(numbers);
        match column {
            Column::Events => Totals::of_events(self.buckets.range(places).map(|bucket| bucket.events).sum()),
            Column::Number { slot } => {
                let number = self.numbers.get(slot).expect("a column of the layout");
                number.range(places).fold(Totals::default(), |sum, totals| sum.merged(*totals))
            }
            Column::Spread { .. } | Column::Distinct { .. } | Column::Top { .. } => Totals::default(),
        }
    }

    /// The same of a number whose standard deviation is asked.
    fn spread(&self, numbers: RangeInclusive<i64>, spread: usize) -> Spread {
        let spreads = self.spreads.get(spread).expect("a column of the layout");
        spreads.range(self.places(numbers)).fold(Spread::default(), |sum, one| sum.merged(*one))
    }

    /// The same of a text whose most frequent values are asked.
    fn frequent(&self, numbers: RangeInclusive<i64>, top: usize) -> Merged {
        let tops = self.tops.get(top).expect("a column of the layout");
        Merged::of(tops.range(self.places(numbers)))
    }

    /// Where the buckets of these numbers are. Without a search where no number is missing and none
    /// is newer, which is the common case.
    fn places(&self, numbers: RangeInclusive<i64>) -> Range<usize> {
        let end = match self.buckets.back() {
            Some(newest) if newest.number <= *numbers.end() => self.buckets.len(),
            _ => self.buckets.partition_point(|bucket| bucket.number <= *numbers.end()),
        };
        let most = usize::try_from(numbers.end() - numbers.start() + 1).expect("a window has an extent");
        let earliest = end.saturating_sub(most);
        let before = self.buckets.range(earliest..end);
        let before = before.take_while(|bucket| bucket.number < *numbers.start()).count();
        earliest + before..end
    }
}
