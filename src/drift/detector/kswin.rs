//! Kolmogorov-Smirnov windowing (KSWIN): the newest values against a random sample of those before them.
//!
//! Source: Raab, Heusinger and Schleif, *Reactive soft prototype computing for concept drift streams* (Neurocomputing
//! 416, 2020), as river 0.26.1 has it.
//!
//! Differs from the paper: the test is by the exact p-value, and the statistic must also be above 0.1; and although the
//! newest values are kept on a drift, the value after it throws them away, and seeds the generator again. A new sample
//! is drawn on *every* value, so that each one is another test at `alpha`: expect false alarms. Differs from river:
//! there is always a seed, because a result must not depend on the run, and the window starts empty. Samples are those
//! of CPython 3.11.
//!
//! Both samples have one size, so the p-value is a function of a whole number: by how many values the two distribution
//! functions are apart. The least one that alarms is looked up once, and no p-value is computed to decide.

use super::mersenne::MersenneTwister;
use super::{Detector, Flags, ParameterError, Signal, require, require_probability};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The parameters of [`Kswin`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KswinParameters {
    /// How likely two samples of one distribution may alarm: between 0 and 1. It is per value, not per stream.
    pub alpha: f64,
    /// How many values are kept: at least twice `stat_size`, at most 1,000,000.
    pub window_size: u32,
    /// How many of them, the newest, are compared with as many of the others: 1 to 10,000.
    pub stat_size: u32,
    /// What the samples are drawn from.
    pub seed: u64,
}

const WINDOW_MAX: u32 = 1_000_000;
/// Up to here scipy, and so river, takes the exact distribution of the statistic.
const STAT_MAX: u32 = 10_000;

impl Default for KswinParameters {
    fn default() -> KswinParameters {
        KswinParameters { alpha: 0.005, window_size: 100, stat_size: 30, seed: 0 }
    }
}

impl KswinParameters {
    fn check(&self) -> Result<(), ParameterError> {
        require_probability(self.alpha, "alpha")?;
        require((1..=STAT_MAX).contains(&self.stat_size), "stat_size", "1 to 10,000")?;
        let windows = 2 * self.stat_size..=WINDOW_MAX;
        require(windows.contains(&self.window_size), "window_size", "twice stat_size to 1,000,000")
    }

    /// How many values a sample is drawn from.
    fn older(&self) -> u32 {
        self.window_size - self.stat_size
    }
}

/// Alarms when the newest values and a sample of older ones are too far apart to be of one distribution.
///
/// Values: any finite numbers. Does not warn. A value costs O(`stat_size` · log `stat_size` + `window_size`), half a
/// microsecond with the defaults; it keeps the window, its newest values once more in order, and 2.5 KB of generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kswin {
    parameters: KswinParameters,
    /// The least number of steps that alarms.
    alarm_steps: u32,
    generator: MersenneTwister,
    /// Values since the start or the last drift.
    values: u64,
    /// The newest values, the oldest of them first.
    window: VecDeque<f64>,
    /// The last `stat_size` of them in rising order.
    newest: Vec<f64>,
    /// By how many values the two samples were apart last; nothing until the window is full.
    steps: Option<u32>,
    has_drift: bool,
    #[serde(skip)]
    scratch: Scratch,
}

/// Memory that is used again for every value.
#[derive(Debug, Clone, Default)]
struct Scratch {
    drawn: Vec<u32>,
    counts: Vec<(u32, u32)>,
}

/// It holds nothing from one value to the next.
impl PartialEq for Scratch {
    fn eq(&self, _: &Scratch) -> bool {
        true
    }
}

impl Kswin {
    /// One that has seen nothing yet. O(`stat_size` · log `stat_size`).
    ///
    /// # Errors
    ///
    /// [`ParameterError`] with the first parameter that is out of its range.
    pub fn new(parameters: KswinParameters) -> Result<Kswin, ParameterError> {
        parameters.check()?;
        Ok(Kswin {
            parameters,
            alarm_steps: alarm_steps(parameters.stat_size, parameters.alpha),
            generator: MersenneTwister::new(parameters.seed),
            values: 0,
            window: VecDeque::new(),
            newest: Vec::new(),
            steps: None,
            has_drift: false,
            scratch: Scratch::default(),
        })
    }

    /// What it was made with.
    #[must_use]
    pub fn parameters(&self) -> &KswinParameters {
        &self.parameters
    }

    /// The statistic of the last value: the largest distance of the two distribution functions, 0 to 1; nothing until
    /// the window is full.
    #[must_use]
    pub fn statistic(&self) -> Option<f64> {
        self.steps.map(|steps| f64::from(steps) / f64::from(self.parameters.stat_size))
    }

    /// The p-value of the last value, for an alert's text; nothing until the window is full. O(`stat_size`).
    #[must_use]
    pub fn p_value(&self) -> Option<f64> {
        self.steps.map(|steps| p_value(self.parameters.stat_size, steps))
    }

    fn push(&mut self, x: f64) {
        self.values += 1;
        if self.window.len() == self.parameters.window_size as usize {
            self.window.pop_front();
        }
        self.window.push_back(x);
        let stat_size = self.parameters.stat_size as usize;
        if let Some(leaving) = self.window.len().checked_sub(stat_size + 1)
            && let Some(value) = self.window.get(leaving)
        {
            self.newest.remove(self.newest.partition_point(|newest| newest < value));
        }
        self.newest.insert(self.newest.partition_point(|newest| *newest < x), x);
    }

    /// By how many values the newest and a new sample of the others are apart.
    fn draw_and_compare(&mut self) -> u32 {
        let KswinParameters { stat_size, .. } = self.parameters;
        let Scratch { drawn, counts } = &mut self.scratch;
        self.generator.sample(self.parameters.older(), stat_size, drawn);
        let (one, other) = self.window.as_slices();
        let values = drawn.iter().filter_map(|place| {
            let place = *place as usize;
            one.get(place).or_else(|| other.get(place - one.len()))
        });
        steps_apart(&self.newest, values, counts)
    }
}

impl Detector for Kswin {
    fn update(&mut self, x: f64) -> Signal {
        debug_assert!(x.is_finite(), "{x} was fed to a detector");
        if self.has_drift {
            self.reset();
        }
        self.push(x);
        if self.window.len() == self.parameters.window_size as usize {
            let steps = self.draw_and_compare();
            self.steps = Some(steps);
            self.has_drift = steps >= self.alarm_steps;
            if self.has_drift {
                self.window.drain(..self.parameters.older() as usize);
            }
        }
        self.flags().signal()
    }

    fn flags(&self) -> Flags {
        Flags { warning: false, drift: self.has_drift }
    }

    fn reset(&mut self) {
        self.window.clear();
        self.newest.clear();
        self.generator = MersenneTwister::new(self.parameters.seed);
        (self.values, self.steps, self.has_drift) = (0, None, false);
    }
}

/// By how many values the distribution functions of two samples of one size are apart, at most; `sorted` is in rising
/// order. `counts` is memory to work in.
fn steps_apart<'a>(
    sorted: &[f64],
    others: impl Iterator<Item = &'a f64>,
    counts: &mut Vec<(u32, u32)>,
) -> u32 {
    // Place 2i holds the others between the values i−1 and i of `sorted`, and place i+j those that equal i to j−1.
    counts.clear();
    counts.resize(sorted.len() + 1, (0, 0));
    for other in others {
        let below = sorted.partition_point(|value| value < other);
        // rarely any, but in a stream of zeros and ones half of them
        let is_tied = sorted.get(below).is_some_and(|value| value <= other);
        let up_to = if is_tied { sorted.partition_point(|value| value <= other) } else { below };
        let place = below + up_to;
        if let Some((even, odd)) = counts.get_mut(place / 2) {
            *(if place.is_multiple_of(2) { even } else { odd }) += 1;
        }
    }
    let (mut below, mut steps, mut previous) = (0_u32, 0, None);
    let values = sorted.iter().map(Some).chain(std::iter::once(None));
    for ((number, (between, equal)), value) in (0_u32..).zip(counts.iter()).zip(values) {
        // within a run of equal values the functions have not yet come to where the run ends
        if previous.is_none() || previous != value {
            steps = steps.max(below.abs_diff(number)).max((below + between).abs_diff(number));
        }
        below += between + equal;
        previous = value;
    }
    steps
}

/// The p-value of the two-sided, two-sample test for samples of one `size` that are `steps` values apart, by the
/// reflection principle: 2 · Σ (−1)^(k−1) · C(2n, n − kh) / C(2n, n) over k ≥ 1, evaluated from its end.
///
/// Source: Gnedenko and Korolyuk (1951); Hodges, *The significance probability of the Smirnov two-sample test* (1958).
#[must_use]
pub fn p_value(size: u32, steps: u32) -> f64 {
    if steps == 0 {
        return 1.0;
    }
    let size = i64::from(size);
    let steps = i64::from(steps);
    // C(2n, n − kh) / C(2n, n − (k−1)h)
    let ratio =
        |k: i64| ((k - 1) * steps..k * steps).fold(1.0, |p, i| p * (size - i) as f64 / (size + 1 + i) as f64);
    let sum = (1..=size / steps).rev().fold(0.0, |rest, k| ratio(k) * (1.0 - rest));
    f64::clamp(2.0 * sum, 0.0, 1.0)
}

/// The least number of steps with a p-value of at most `alpha` and a statistic above 0.1; more than there are, if there
/// is none.
fn alarm_steps(size: u32, alpha: f64) -> u32 {
    let (mut low, mut high) = (size / 10 + 1, size + 1);
    while low < high {
        let middle = low.midpoint(high);
        if p_value(size, middle) <= alpha {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detector(parameters: KswinParameters) -> Kswin {
        Kswin::new(parameters).unwrap()
    }

    /// The definition: every value of either sample, and how many of each are not above it.
    fn steps_by_definition(one: &[f64], other: &[f64]) -> u32 {
        let not_above = |sample: &[f64], x: f64| sample.iter().filter(|value| **value <= x).count();
        let apart = |x: &f64| not_above(one, *x).abs_diff(not_above(other, *x));
        u32::try_from(one.iter().chain(other).map(apart).max().unwrap_or(0)).unwrap()
    }

    #[test]
    fn the_least_steps_that_alarm_are_those_of_the_published_distribution() {
        // scipy 1.17.1, ks_2samp(method="exact"), over all steps
        for (size, [at_005, at_001, at_0001]) in [(30, [14, 15, 17]), (60, [19, 22, 25]), (100, [25, 28, 32])]
        {
            assert_eq!(alarm_steps(size, 0.005), at_005);
            assert_eq!(alarm_steps(size, 0.001), at_001);
            assert_eq!(alarm_steps(size, 0.0001), at_0001);
        }
        assert_eq!(alarm_steps(100, 0.999), 11, "the statistic is above 0.1");
        assert_eq!(alarm_steps(3, 0.01), 4, "three of three are no evidence at this level");
    }

    #[test]
    fn p_values_are_those_of_counting_paths() {
        // of the C(2n, n) orders of two samples, those that come `steps` apart somewhere
        fn paths(size: u32, steps: u32, one: u32, other: u32) -> u64 {
            let is_apart = one.abs_diff(other) >= steps;
            match (is_apart, one < size, other < size) {
                (true, ..) | (false, false, false) => 0,
                (false, true, false) => paths(size, steps, one + 1, other),
                (false, false, true) => paths(size, steps, one, other + 1),
                (false, true, true) => {
                    paths(size, steps, one + 1, other) + paths(size, steps, one, other + 1)
                }
            }
            .max(u64::from(!is_apart && one == size && other == size))
        }
        for size in 1..9 {
            let all = paths(size, size + 1, 0, 0) as f64;
            for steps in 0..=size {
                let expected = 1.0 - paths(size, steps, 0, 0) as f64 / all;
                assert!((p_value(size, steps) - expected).abs() < 1e-12, "{steps} of {size}");
            }
        }
    }

    #[test]
    fn steps_are_those_of_the_definition_ties_or_not() {
        let mut generator = MersenneTwister::new(11);
        let mut counts = Vec::new();
        for round in 0..20_000_u32 {
            let (size, levels) = (1 + generator.below(12), [2, 5, 1_000][round as usize % 3]);
            let mut sample = || (0..size).map(|_| f64::from(generator.below(levels))).collect::<Vec<f64>>();
            let (mut one, other) = (sample(), sample());
            one.sort_by(f64::total_cmp);
            let expected = steps_by_definition(&one, &other);
            assert_eq!(steps_apart(&one, other.iter(), &mut counts), expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn the_newest_values_stay_in_order_whatever_comes() {
        let mut detector = detector(KswinParameters { window_size: 20, stat_size: 7, ..Default::default() });
        let mut generator = MersenneTwister::new(3);
        for levels in [2, 1_000_000] {
            for _ in 0..2_000 {
                detector.update(f64::from(generator.below(levels)) - 1.0);
                let mut newest: Vec<f64> = detector.window.iter().rev().take(7).copied().collect();
                newest.sort_by(f64::total_cmp);
                assert_eq!(detector.newest, newest);
            }
        }
    }

    #[test]
    fn equal_values_never_alarm() {
        for value in [0.0, 1.0, -0.0, 1e300] {
            let mut detector = detector(KswinParameters::default());
            assert!((0..1_000).all(|_| detector.update(value) == Signal::None));
            assert_eq!((detector.statistic(), detector.p_value()), (Some(0.0), Some(1.0)));
        }
    }

    #[test]
    fn both_zeros_are_one_value() {
        let mut detector = detector(KswinParameters::default());
        for place in 0..1_000 {
            assert_eq!(detector.update(if place % 7 < 3 { -0.0 } else { 0.0 }), Signal::None);
            assert!(detector.statistic().is_none_or(|statistic| statistic == 0.0));
        }
    }

    #[test]
    fn nothing_is_tested_before_the_window_is_full() {
        let mut detector = detector(KswinParameters::default());
        for (value, is_tested) in [(98, false), (99, false), (100, true)] {
            while detector.values < value {
                detector.update(1.0);
            }
            assert_eq!(detector.statistic().is_some(), is_tested, "after {value}");
        }
    }

    #[test]
    fn after_a_drift_it_is_as_new() {
        let mut detector = detector(KswinParameters { seed: 42, ..KswinParameters::default() });
        let new = detector.clone();
        (0..200).for_each(|_| {
            detector.update(0.0);
        });
        let alarm = (1..100).find(|_| detector.update(1.0) == Signal::Drift);
        assert_eq!(alarm, Some(14), "14 of 30 are enough");
        assert_eq!(detector.window.len(), 30);
        detector.update(1.0);
        let mut once = new;
        once.update(1.0);
        assert_eq!(detector, once);
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let of = KswinParameters::default();
        for (parameters, name) in [
            (KswinParameters { alpha: 0.0, ..of }, "alpha"),
            (KswinParameters { stat_size: 0, ..of }, "stat_size"),
            (KswinParameters { stat_size: 10_001, window_size: 30_000, ..of }, "stat_size"),
            (KswinParameters { window_size: 59, ..of }, "window_size"),
            (KswinParameters { window_size: 1_000_001, ..of }, "window_size"),
        ] {
            assert_eq!(Kswin::new(parameters).unwrap_err().parameter, name);
        }
    }
}
