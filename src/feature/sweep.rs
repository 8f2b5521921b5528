//! What is computed in one pass over a key's events: all windows of one column.
//!
//! The windows of a column end at the same moment (the payment's time less the delay), so a pass
//! from there into the past meets the end of each in turn, shortest first, and can state its value.

use super::layout::{BucketedWindow, Layout};
use super::view::{Aggregate, Feature};
use crate::time::{EventTime, millis};
use std::collections::BTreeMap;
use std::time::Duration;

/// By how much a window in buckets may be too long at either end: one bucket of 64.
pub(super) const ERROR_OF_BUCKETS: f64 = 0.015_625;
/// The relative standard error of a sampled distinct count: 1.2 / √1024.
pub(super) const ERROR_OF_SAMPLE: f64 = 0.0375;

/// What a pass looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    /// The events themselves.
    Events,
    /// A number.
    Number {
        /// Its place in a row, and among the numbers of the group.
        slot: usize,
    },
    /// A number, of which the standard deviation is asked.
    Spread {
        /// Its place in a row.
        slot: usize,
        /// Its place among those numbers.
        spread: usize,
    },
    /// A text, of which the different values are asked.
    Distinct {
        /// Its place in a row.
        slot: usize,
        /// Its place among those texts.
        distinct: usize,
    },
    /// A text, of which the most frequent values are asked.
    Top {
        /// Its place in a row.
        slot: usize,
        /// Its place among those texts.
        top: usize,
    },
}

/// One pass: a column, seen with one delay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sweep {
    pub(super) column: Column,
    delay: Duration,
    /// Shortest window first.
    pub(super) steps: Vec<Step>,
}

/// A window of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) window_ms: i64,
    /// As the group counts it in buckets, if it does.
    pub(super) bucketed: Option<BucketedWindow>,
    /// What is answered for it; at least one.
    outputs: Vec<Output>,
}

/// A feature that a step answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Output {
    id: u32,
    aggregate: Aggregate,
}

/// What is gathered in a pass.
pub(super) trait Tally {
    /// The next older event's word; 0 for a pass over the events themselves.
    fn add(&mut self, word: u64);

    /// What an aggregate comes to so far, if it has a value.
    fn value(&self, aggregate: Aggregate) -> Option<f64>;
}

/// Where values go, and which of them are estimates.
pub(super) struct Answers<'a> {
    pub(super) values: &'a mut Vec<(u32, f64)>,
    pub(super) estimates: &'a mut Vec<(u32, f64)>,
}

/// What a window covers: the times after `start`, up to `end` and itself included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Covered {
    pub(super) start: EventTime,
    pub(super) end: EventTime,
}

impl Sweep {
    /// The end of all its windows for a payment at `at`, itself within them.
    pub(super) fn end(&self, at: EventTime) -> EventTime {
        at.minus(self.delay)
    }
}

impl Step {
    /// The start of its window, itself outside.
    pub(super) fn start(&self, end: EventTime) -> EventTime {
        EventTime(end.0.saturating_sub(self.window_ms))
    }

    /// What its window covers.
    pub(super) fn covered(&self, end: EventTime) -> Covered {
        Covered { start: self.start(end), end }
    }

    /// Answers its features that have a value; `error` is that of an estimate.
    pub(super) fn answer(
        &self,
        value: impl Fn(Aggregate) -> Option<f64>,
        error: Option<f64>,
        answers: &mut Answers<'_>,
    ) {
        self.answer_each(|aggregate| value(aggregate).map(|value| (value, error)), answers);
    }

    /// As [`Step::answer`], where each has its own error.
    pub(super) fn answer_each(
        &self,
        value: impl Fn(Aggregate) -> Option<(f64, Option<f64>)>,
        answers: &mut Answers<'_>,
    ) {
        for output in &self.outputs {
            if let Some((value, error)) = value(output.aggregate) {
                answers.values.push((output.id, value));
                answers.estimates.extend(error.map(|error| (output.id, error)));
            }
        }
    }
}

/// The passes that answer `features`, in a stable order.
pub(super) fn compile<'a>(layout: &Layout, features: impl Iterator<Item = &'a Feature>) -> Vec<Sweep> {
    let mut passes: BTreeMap<(Duration, Column), BTreeMap<Duration, Vec<Output>>> = BTreeMap::new();
    for feature in features {
        // What has no window has no pass.
        let (Some(window), Some(column)) = (feature.window, layout.column(feature.aggregate)) else {
            continue;
        };
        let windows = passes.entry((feature.delay, column)).or_default();
        let output = Output { id: feature.id, aggregate: feature.aggregate };
        windows.entry(window).or_default().push(output);
    }
    let sweep = |((delay, column), windows): (_, BTreeMap<Duration, _>)| Sweep {
        column,
        delay,
        steps: windows.into_iter().map(|(window, outputs)| step(layout, window, outputs)).collect(),
    };
    passes.into_iter().map(sweep).collect()
}

/// The step of one window.
fn step(layout: &Layout, window: Duration, outputs: Vec<Output>) -> Step {
    let window_ms = millis(window);
    Step { window_ms, bucketed: layout.window(window_ms), outputs }
}
