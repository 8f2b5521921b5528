//! Adaptive windowing (ADWIN): a window that is as long as its two halves agree, wherever it is cut.
//!
//! Source: Bifet and Gavaldà, *Learning from time-changing data with adaptive windowing* (SDM 2007), in the form of
//! MOA and of river 0.26.1 (releases before 0.22 give other results).
//!
//! Two of them:
//!
//! - [`AdaptiveWindow`] is the algorithm of the paper: on a drift it drops the old part of the window, and goes on with
//!   the rest. River has it as the compiled object under its class.
//! - [`Adwin`] is river's class, which differs from the paper and from its own documentation: it throws away the *whole*
//!   window on the value after a drift, with the count of drifts and the phase of the clock.
//!
//! Both differ from the paper in that the sides of a cut count `min_window_length` − 1 values less than they have, which
//! makes the bound wider for short ones, and in that river's `variance` is the sum of squared deviations.
//!
//! The bound has a term that assumes values within 0 to 1. Larger ones are heard earlier than the level of confidence
//! allows, and much smaller ones never: scale them. Offsets are harmless up to about 10⁹ times the spread.

mod certificate;

use super::{Detector, Flags, ParameterError, Signal, require, require_probability};
use certificate::Certificate;
use serde::{Deserialize, Serialize};

/// The parameters of [`Adwin`] and [`AdaptiveWindow`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdwinParameters {
    /// How likely a drift may be chance, over all cuts of a window: between 0 and 1.
    pub delta: f64,
    /// Cuts are tried on every `clock`-th value: at least 1.
    pub clock: u32,
    /// How many buckets of one size there are before two of them are merged: 2 to 1,000. The more, the more exactly the
    /// place of a drift is found, and the more it costs.
    pub max_buckets: u32,
    /// How many values either side of a cut must have: at least 1.
    pub min_window_length: u32,
    /// Cuts are tried only in windows of more values than these.
    pub grace_period: u32,
}

const BUCKETS_MAX: u32 = 1_000;

impl Default for AdwinParameters {
    fn default() -> AdwinParameters {
        AdwinParameters { delta: 0.002, clock: 32, max_buckets: 5, min_window_length: 5, grace_period: 10 }
    }
}

impl AdwinParameters {
    fn check(&self) -> Result<(), ParameterError> {
        require_probability(self.delta, "delta")?;
        require(self.clock > 0, "clock", "at least 1")?;
        require((2..=BUCKETS_MAX).contains(&self.max_buckets), "max_buckets", "2 to 1,000")?;
        require(self.min_window_length > 0, "min_window_length", "at least 1")
    }
}

/// Alarms when the means of the two sides of some cut of the window differ by more than chance, and drops values from
/// the old end until there is no such cut.
///
/// Values: any finite numbers, best within 0 to 1 (see the module). Does not warn. Hears either direction.
///
/// A value costs O(1) amortised. Every `clock`-th costs a look at the newest buckets, or at all O(M · log W) of them for
/// a window of W values and M = `max_buckets`: once in a hundred values while nothing changes, and once per bucket that
/// is dropped. It keeps (M + 1) · log₂(W/M) buckets of 16 bytes at most, 1.7 KB for a million values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveWindow {
    parameters: AdwinParameters,
    /// Row i has buckets of 2ⁱ values, the oldest first; the last row has the oldest of all.
    rows: Vec<Vec<Bucket>>,
    width: u64,
    total: f64,
    squared_deviations: f64,
    /// How many values there are to come until cuts are tried, that one included.
    until_check: u32,
    detections: u64,
    has_drift: bool,
    #[serde(skip)]
    certificate: Certificate,
}

/// Some values next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Bucket {
    sum: f64,
    squared_deviations: f64,
}

impl Bucket {
    /// Two buckets of `count` values each as one.
    fn merge(older: Bucket, newer: Bucket, count: f64) -> Bucket {
        let apart = older.sum / count - newer.sum / count;
        Bucket {
            sum: older.sum + newer.sum,
            squared_deviations: older.squared_deviations
                + newer.squared_deviations
                + count * 0.5 * apart * apart,
        }
    }
}

impl AdaptiveWindow {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] with the first parameter that is out of its range.
    pub fn new(parameters: AdwinParameters) -> Result<AdaptiveWindow, ParameterError> {
        parameters.check()?;
        Ok(AdaptiveWindow {
            parameters,
            rows: Vec::new(),
            width: 0,
            total: 0.0,
            squared_deviations: 0.0,
            until_check: parameters.clock,
            detections: 0,
            has_drift: false,
            certificate: Certificate::default(),
        })
    }

    /// What it was made with.
    #[must_use]
    pub fn parameters(&self) -> &AdwinParameters {
        &self.parameters
    }

    /// How many values the window has.
    #[must_use]
    pub fn width(&self) -> u64 {
        self.width
    }

    /// The sum of its values.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// The mean of its values; 0 if it has none. River's `estimation`.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.width == 0 { 0.0 } else { self.total / self.width as f64 }
    }

    /// The sum of its values' squared deviations from their mean: what river's `variance` is in fact.
    #[must_use]
    pub fn squared_deviations(&self) -> f64 {
        self.squared_deviations
    }

    /// How many times values were dropped.
    #[must_use]
    pub fn detections(&self) -> u64 {
        self.detections
    }

    fn insert(&mut self, x: f64) {
        let before = self.width as f64;
        self.width += 1;
        if self.width > 1 {
            let off = x - self.total / before;
            self.squared_deviations += before * off * off / self.width as f64;
        }
        self.total += x;
        self.carry(Bucket { sum: x, squared_deviations: 0.0 });
    }

    /// Puts a bucket of one value at the newest end, and merges the two oldest of every row that is then too long.
    fn carry(&mut self, mut bucket: Bucket) {
        let full = self.parameters.max_buckets as usize;
        let mut count = 1.0;
        for row in &mut self.rows {
            row.push(bucket);
            if row.len() <= full {
                return;
            }
            let [older, newer, ..] = row[..] else { return };
            bucket = Bucket::merge(older, newer, count);
            row.copy_within(2.., 0);
            row.truncate(full - 1);
            count *= 2.0;
        }
        let mut row = Vec::with_capacity(full + 1);
        row.push(bucket);
        self.rows.push(row);
    }

    /// The buckets with how many values they have, the oldest first.
    fn buckets(&self) -> impl Iterator<Item = (f64, &Bucket)> {
        let rows = (0..self.rows.len()).rev().map(|row| (1_u64 << row) as f64).zip(self.rows.iter().rev());
        rows.flat_map(|(values, row)| row.iter().map(move |bucket| (values, bucket)))
    }

    /// The buckets with how many values they have, the newest first.
    fn newest_buckets(&self) -> impl Iterator<Item = (f64, &Bucket)> {
        let rows = (0..self.rows.len()).map(|row| (1_u64 << row) as f64).zip(&self.rows);
        rows.flat_map(|(values, row)| row.iter().rev().map(move |bucket| (values, bucket)))
    }

    /// Drops values until no cut is left; whether there was one.
    fn shrink(&mut self) -> bool {
        if self.certificate.excludes_cuts(self) {
            return false;
        }
        let mut has_cut = false;
        let mut test = Test::of(self);
        while self.has_cut(&test) {
            has_cut = true;
            self.drop_oldest();
            test = Test::of(self);
        }
        if Certificate::is_worth_it(self.parameters.clock) {
            self.certificate = Certificate::of(self, test.log);
        }
        has_cut
    }

    /// Whether the two sides of some cut are too far apart.
    ///
    /// A cut is skipped without a division or a root if it is certainly none. With n and u the counts and sums of the
    /// sides, W = n₀ + n₁, and m ≥ 1/n₀ + 1/n₁ = W/(n₀n₁), the bound squared is at least 2·m·var·δ′ + (⅔·δ′·m)², so
    /// that |u₀n₁ − u₁n₀|² ≤ 2·var·δ′·W·n₀n₁ + (⅔·δ′·W)² is no cut. Both sums are those that the test itself would
    /// divide, so only the rounding of a few operations stands between this and the test's own verdict, which
    /// `ROUNDING` and `CERTAIN` make up for.
    fn has_cut(&self, test: &Test) -> bool {
        const ROUNDING: f64 = 1.0 / (1_u64 << 50) as f64;
        let width = self.width as f64;
        let by_spread = CERTAIN * 2.0 * test.variance * test.log * width;
        let by_range = CERTAIN * (2.0 / 3.0 * test.log * width).powi(2);
        // infinities prove nothing
        let is_finite = (by_spread * width * width + by_range).is_finite();
        let (mut old, mut new) = (Side::default(), Side { count: width, sum: self.total });
        self.buckets().any(|(count, bucket)| {
            old = Side { count: old.count + count, sum: old.sum + bucket.sum };
            new = Side { count: new.count - count, sum: new.sum - bucket.sum };
            let (left, right) = (old.sum * new.count, new.sum * old.count);
            let apart = (left - right).abs() + ROUNDING * (left.abs() + right.abs());
            let is_none = is_finite && apart * apart <= by_spread * (old.count * new.count) + by_range;
            !is_none && test.is_cut(old, new)
        })
    }

    fn drop_oldest(&mut self) {
        let Some(row) = self.rows.last_mut() else { return };
        let bucket = row.remove(0);
        let is_empty = row.is_empty();
        let count = 1_u64 << (self.rows.len() - 1);
        if is_empty {
            self.rows.pop();
        }
        self.width -= count;
        self.total -= bucket.sum;
        let (count, width) = (count as f64, self.width as f64);
        let apart = bucket.sum / count - self.total / width;
        self.squared_deviations -=
            bucket.squared_deviations + count * width * apart * apart / (count + width);
    }
}

/// A bound that is this much smaller is below the true one whatever was rounded on the way to it.
const CERTAIN: f64 = 1.0 - 1.0 / (1_u64 << 40) as f64;

/// One side of a cut.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    count: f64,
    sum: f64,
}

/// What all cuts of a window have in common.
struct Test {
    min_window_length: f64,
    variance: f64,
    /// δ′ = ln(2 · ln W / δ).
    log: f64,
}

impl Test {
    fn of(window: &AdaptiveWindow) -> Test {
        let width = window.width as f64;
        Test {
            min_window_length: f64::from(window.parameters.min_window_length),
            variance: window.squared_deviations / width,
            log: (2.0 * width.ln() / window.parameters.delta).ln(),
        }
    }

    fn is_cut(&self, old: Side, new: Side) -> bool {
        let least = self.min_window_length;
        if old.count < least || new.count < least {
            return false;
        }
        let m = 1.0 / (old.count - least + 1.0) + 1.0 / (new.count - least + 1.0);
        let allowed = (2.0 * m * self.variance * self.log).sqrt() + 2.0 / 3.0 * self.log * m;
        (old.sum / old.count - new.sum / new.count).abs() > allowed
    }
}

impl Detector for AdaptiveWindow {
    fn update(&mut self, x: f64) -> Signal {
        debug_assert!(x.is_finite(), "{x} was fed to a detector");
        self.insert(x);
        self.certificate.add(x);
        self.until_check -= 1;
        self.has_drift = false;
        if self.until_check == 0 {
            self.until_check = self.parameters.clock;
            if self.width > u64::from(self.parameters.grace_period) {
                self.has_drift = self.shrink();
                self.detections += u64::from(self.has_drift);
            }
        }
        self.flags().signal()
    }

    fn flags(&self) -> Flags {
        Flags { warning: false, drift: self.has_drift }
    }

    fn reset(&mut self) {
        self.rows.clear();
        (self.width, self.total, self.squared_deviations) = (0, 0.0, 0.0);
        (self.until_check, self.detections, self.has_drift) = (self.parameters.clock, 0, false);
        self.certificate = Certificate::default();
    }
}

/// River's class `ADWIN`: an [`AdaptiveWindow`] that is emptied by the value after a drift, which is then its first.
///
/// Values, cost and memory are those of the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Adwin(AdaptiveWindow);

impl Adwin {
    /// One that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] with the first parameter that is out of its range.
    pub fn new(parameters: AdwinParameters) -> Result<Adwin, ParameterError> {
        AdaptiveWindow::new(parameters).map(Adwin)
    }

    /// What it was made with.
    #[must_use]
    pub fn parameters(&self) -> &AdwinParameters {
        self.0.parameters()
    }

    /// The window: after a drift, until the next value, what is left of it once the old part was dropped.
    #[must_use]
    pub fn window(&self) -> &AdaptiveWindow {
        &self.0
    }
}

impl Detector for Adwin {
    fn update(&mut self, x: f64) -> Signal {
        if self.0.has_drift {
            self.0.reset();
        }
        self.0.update(x)
    }

    fn flags(&self) -> Flags {
        self.0.flags()
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::super::mersenne::MersenneTwister;
    use super::*;

    fn window(parameters: AdwinParameters) -> AdaptiveWindow {
        AdaptiveWindow::new(parameters).unwrap()
    }

    /// Every cut by the test itself, from the definition: no cut is skipped, and nothing is kept between checks.
    fn update_plainly(window: &mut AdaptiveWindow, x: f64) {
        window.insert(x);
        window.until_check -= 1;
        window.has_drift = false;
        if window.until_check > 0 {
            return;
        }
        window.until_check = window.parameters.clock;
        if window.width <= u64::from(window.parameters.grace_period) {
            return;
        }
        while has_cut_plainly(window) {
            window.drop_oldest();
            window.has_drift = true;
        }
        window.detections += u64::from(window.has_drift);
    }

    fn has_cut_plainly(window: &AdaptiveWindow) -> bool {
        let test = Test::of(window);
        let (mut old, mut new) = (Side::default(), Side { count: window.width as f64, sum: window.total });
        for (row, buckets) in window.rows.iter().enumerate().rev() {
            let count = (1_u64 << row) as f64;
            for bucket in buckets {
                old = Side { count: old.count + count, sum: old.sum + bucket.sum };
                new = Side { count: new.count - count, sum: new.sum - bucket.sum };
                if test.is_cut(old, new) {
                    return true;
                }
            }
        }
        false
    }

    struct Random(MersenneTwister);

    impl Random {
        fn uniform(&mut self) -> f64 {
            f64::from(self.0.next_word()) / 4_294_967_296.0
        }

        fn of<T: Copy>(&mut self, choices: &[T]) -> T {
            choices[self.0.below(u32::try_from(choices.len()).unwrap()) as usize]
        }

        fn gauss(&mut self) -> f64 {
            (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
        }

        fn parameters(&mut self) -> AdwinParameters {
            AdwinParameters {
                delta: self.of(&[0.002, 0.05, 1e-5, 0.5]),
                clock: self.of(&[1, 1, 1, 2, 3, 8, 31, 32]),
                max_buckets: self.of(&[5, 5, 2, 3, 10, 30]),
                min_window_length: self.of(&[5, 1, 2, 32, 100]),
                grace_period: self.of(&[10, 0, 1, 60]),
            }
        }

        /// Pieces of some hundred values, each of its own law.
        fn stream(&mut self, count: usize) -> Vec<f64> {
            let scale = self.of(&[1.0, 1.0, 1.0, 1e-3, 30.0, 1e6, 1e-170, 1e150]);
            let offset = self.of(&[0.0, 0.0, 0.0, 1.0, 1e3, -1e6, 1e9, 1e12, 1e15]);
            let mut values = Vec::new();
            while values.len() < count {
                let (kind, level) = (self.of(&[0, 0, 1, 1, 2, 3, 4]), self.of(&[0.005, 0.1, 0.12, 0.5, 1.0]));
                for _ in 0..self.of(&[50, 300, 1_000]) {
                    let value = match kind {
                        0 => f64::from(u8::from(self.uniform() < level)),
                        1 => level + self.gauss(),
                        2 => (2.0 * self.gauss()).exp(),
                        3 => level,
                        _ => level * self.uniform(),
                    };
                    values.push(offset + scale * value);
                }
            }
            values
        }
    }

    #[test]
    fn every_state_is_that_of_a_walk_that_tries_every_cut() {
        let mut random = Random(MersenneTwister::new(2));
        let (mut drifts, mut checks, mut excluded) = (0, 0, 0);
        for round in 0..ROUNDS {
            let parameters = random.parameters();
            let (mut quick, mut plain) = (window(parameters), window(parameters));
            let length = random.of(&[500, 2_000, 2_000, 20_000]);
            for (place, x) in random.stream(length).into_iter().enumerate() {
                quick.update(x);
                update_plainly(&mut plain, x);
                let bits =
                    |window: &AdaptiveWindow| [window.total, window.squared_deviations].map(f64::to_bits);
                assert_eq!(quick.flags(), plain.flags(), "value {place} of round {round}: {parameters:?}");
                assert_eq!(
                    (quick.width, bits(&quick)),
                    (plain.width, bits(&plain)),
                    "round {round}, {place}"
                );
                drifts += u32::from(quick.has_drift);
                if parameters.clock == 1 {
                    checks += 1;
                    excluded += u32::from(quick.certificate.excludes_cuts(&quick));
                }
            }
            assert_eq!((&quick.rows, quick.detections), (&plain.rows, plain.detections), "round {round}");
        }
        assert!(drifts > 10 * ROUNDS, "{drifts}: a test without drifts says little");
        assert!(excluded * 2 > checks, "of {checks} checks only {excluded} were spared");
    }

    #[test]
    fn equal_values_never_alarm() {
        for (value, clock) in [(0.0, 1), (1.0, 1), (0.1, 1), (0.1, 32), (-7.3, 1), (1e9 + 0.1, 32)] {
            let mut adwin = Adwin::new(AdwinParameters { clock, ..AdwinParameters::default() }).unwrap();
            assert!((0..20_000).all(|_| adwin.update(value) == Signal::None), "{value}, clock {clock}");
            assert_eq!(adwin.window().width(), 20_000);
            assert!((adwin.window().mean() - value).abs() <= 1e-12 * value.abs());
        }
    }

    #[test]
    fn an_offset_of_a_million_millions_alarms_by_rounding_alone() {
        // not wanted, but what river does
        let mut adwin = Adwin::new(AdwinParameters::default()).unwrap();
        assert!((0..20_000).any(|_| adwin.update(1e12 + 0.1) == Signal::Drift));
    }

    #[test]
    fn a_step_in_either_direction_alarms_and_never_off_the_clock() {
        for (before, after) in [(0.0, 1.0), (1.0, 0.0)] {
            let mut adwin = Adwin::new(AdwinParameters::default()).unwrap();
            assert!((0..1_000).all(|_| adwin.update(before) == Signal::None));
            let first = (1_001..1_100).find(|_| adwin.update(after) == Signal::Drift);
            assert_eq!(first, Some(1_024), "the first multiple of 32");
        }
    }

    #[test]
    fn the_class_throws_its_window_away_after_a_drift_and_the_raw_window_keeps_what_is_new() {
        let (mut class, mut raw) =
            (Adwin::new(AdwinParameters::default()).unwrap(), window(AdwinParameters::default()));
        for place in 0..1_024 {
            let x = f64::from(u8::from(place >= 1_000));
            class.update(x);
            raw.update(x);
        }
        assert_eq!(class.window(), &raw, "until the drift they are one");
        assert!(raw.flags().drift && raw.width() < 100, "{}", raw.width());
        let width = raw.width();
        class.update(1.0);
        raw.update(1.0);
        assert_eq!((class.window().width(), class.window().detections()), (1, 0));
        assert_eq!((raw.width(), raw.detections()), (width + 1, 1));
        // the clock of the class began anew
        assert_eq!((class.window().until_check, raw.until_check), (31, 31));
        (0..10).for_each(|_| {
            class.update(1.0);
        });
        assert!(!class.flags().drift);
    }

    #[test]
    fn a_window_within_its_grace_period_is_not_looked_at() {
        let parameters = AdwinParameters { clock: 1, grace_period: 50, ..AdwinParameters::default() };
        let mut adwin = Adwin::new(parameters).unwrap();
        let first =
            (1..100).find(|place| adwin.update(if *place <= 25 { 0.0 } else { 1e3 }) == Signal::Drift);
        assert_eq!(first, Some(51));
    }

    #[test]
    fn a_million_values_take_less_than_two_kilobytes() {
        let mut raw = window(AdwinParameters { clock: 1_000, ..AdwinParameters::default() });
        let mut random = Random(MersenneTwister::new(4));
        let mut buckets = 0;
        for _ in 0..1_000_000 {
            raw.update(random.uniform());
            buckets = buckets.max(raw.rows.iter().map(Vec::len).sum::<usize>());
        }
        assert_eq!(raw.width(), 1_000_000);
        assert!(buckets * size_of::<Bucket>() < 2_000, "{buckets}");
        assert!((raw.squared_deviations() / 1e6 - 1.0 / 12.0).abs() < 1e-3);
    }

    #[test]
    fn values_far_below_one_are_not_heard() {
        let shift = |scale: f64| {
            let mut adwin = Adwin::new(AdwinParameters::default()).unwrap();
            let mut random = Random(MersenneTwister::new(8));
            (0..10_000).any(|place| {
                let mean = if place < 5_000 { 0.0 } else { 0.5 };
                adwin.update(scale * (mean + random.gauss())) == Signal::Drift
            })
        };
        assert_eq!([1e-3, 1.0, 1e3].map(shift), [false, true, true]);
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let of = AdwinParameters::default();
        for (parameters, name) in [
            (AdwinParameters { delta: 0.0, ..of }, "delta"),
            (AdwinParameters { delta: 1.0, ..of }, "delta"),
            (AdwinParameters { delta: f64::NAN, ..of }, "delta"),
            (AdwinParameters { clock: 0, ..of }, "clock"),
            (AdwinParameters { max_buckets: 1, ..of }, "max_buckets"),
            (AdwinParameters { max_buckets: 1_001, ..of }, "max_buckets"),
            (AdwinParameters { min_window_length: 0, ..of }, "min_window_length"),
        ] {
            assert_eq!(Adwin::new(parameters).unwrap_err().parameter, name);
        }
    }

    /// A debug build has the same decisions, ten times as slowly.
    const ROUNDS: u32 = if cfg!(debug_assertions) { 50 } else { 500 };
}
