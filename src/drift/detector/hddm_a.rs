//! HDDM with plain averages (HDDM_A): the mean since a cut against the mean before it, by Hoeffding's bound.
//!
//! Source: Frías-Blanco et al., *Online and non-parametric drift detection methods based on Hoeffding's bounds* (IEEE
//! TKDE 27, 2015), as river 0.26.1 has it (`HDDM_A` up to river 0.24, `HDDMA` since).
//!
//! What the paper leaves open: with `two_sided_test` the test for a fall can only add a drift or a warning to what the
//! test for a rise has said; without it a fall is not heard.

use super::mean::Mean;
use super::{Detector, Flags, ParameterError, Signal, require_probability};
use serde::{Deserialize, Serialize};

/// The parameters of [`HddmA`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HddmAParameters {
    /// How likely a drift may be chance: between 0 and 1.
    pub drift_confidence: f64,
    /// How likely a warning may be chance: between 0 and 1, usually above `drift_confidence`.
    pub warning_confidence: f64,
    /// Whether a fall counts like a rise.
    pub two_sided_test: bool,
}

impl Default for HddmAParameters {
    fn default() -> HddmAParameters {
        HddmAParameters { drift_confidence: 0.001, warning_confidence: 0.005, two_sided_test: false }
    }
}

impl HddmAParameters {
    fn check(&self) -> Result<(), ParameterError> {
        require_probability(self.drift_confidence, "drift_confidence")?;
        require_probability(self.warning_confidence, "warning_confidence")
    }
}

/// Alarms when the mean of all values has left the mean up to the best cut by more than Hoeffding's bound.
///
/// Values: within 0 to 1. Warns. A value costs O(1), six square roots at most; it keeps three means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HddmA {
    parameters: HddmAParameters,
    state: State,
    flags: Flags,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    all: Mean,
    /// What `all` was when its upper bound was lowest, and when its lower bound was highest.
    low_cut: Mean,
    high_cut: Mean,
}

impl HddmA {
    /// One that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] with the first parameter that is out of its range.
    pub fn new(parameters: HddmAParameters) -> Result<HddmA, ParameterError> {
        parameters.check()?;
        Ok(HddmA { parameters, state: State::default(), flags: Flags::default() })
    }

    /// What it was made with.
    #[must_use]
    pub fn parameters(&self) -> &HddmAParameters {
        &self.parameters
    }

    /// The mean since the start or the last drift.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.state.all.mean()
    }
}

impl State {
    fn add(&mut self, x: f64, drift_confidence: f64) {
        self.all.add(x);
        if self.all.count() == 1 {
            (self.low_cut, self.high_cut) = (self.all, self.all);
        }
        let log = (1.0 / drift_confidence).ln();
        let bound = |mean: Mean| (1.0 / (2.0 * mean.count() as f64) * log).sqrt();
        let (all, now) = (self.all, bound(self.all));
        if self.low_cut.mean() + bound(self.low_cut) >= all.mean() + now {
            self.low_cut = all;
        }
        if self.high_cut.mean() - bound(self.high_cut) <= all.mean() - now {
            self.high_cut = all;
        }
    }

    fn has_risen(&self, confidence: f64) -> bool {
        self.has_left(self.low_cut, confidence, self.all.mean() - self.low_cut.mean())
    }

    fn has_fallen(&self, confidence: f64) -> bool {
        self.has_left(self.high_cut, confidence, self.high_cut.mean() - self.all.mean())
    }

    /// Whether `all` is off `cut` by more than chance, where it is off by `difference`.
    fn has_left(&self, cut: Mean, confidence: f64, difference: f64) -> bool {
        if cut.count() == self.all.count() {
            return false;
        }
        let (all_count, cut_count) = (self.all.count() as f64, cut.count() as f64);
        let spread = (all_count - cut_count) / cut_count * (1.0 / all_count);
        difference >= (spread / 2.0 * (2.0 / confidence).ln()).sqrt()
    }
}

impl Detector for HddmA {
    fn update(&mut self, x: f64) -> Signal {
        debug_assert!((0.0..=1.0).contains(&x), "{x} was fed to HDDM_A");
        if self.flags.drift {
            self.reset();
        }
        let HddmAParameters { drift_confidence, warning_confidence, two_sided_test } = self.parameters;
        let state = &mut self.state;
        state.add(x, drift_confidence);
        let drift = state.has_risen(drift_confidence);
        self.flags = Flags { drift, warning: !drift && state.has_risen(warning_confidence) };
        if two_sided_test {
            if state.has_fallen(drift_confidence) {
                self.flags.drift = true;
            } else if state.has_fallen(warning_confidence) {
                self.flags.warning = true;
            }
        }
        self.flags.signal()
    }

    fn flags(&self) -> Flags {
        self.flags
    }

    fn reset(&mut self) {
        (self.state, self.flags) = (State::default(), Flags::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detector(two_sided_test: bool) -> HddmA {
        HddmA::new(HddmAParameters { two_sided_test, ..HddmAParameters::default() }).unwrap()
    }

    #[test]
    fn equal_values_never_alarm() {
        for (value, two_sided_test) in [(0.0, true), (1.0, true), (0.3, true), (1.0, false)] {
            let mut detector = detector(two_sided_test);
            assert!((0..10_000).all(|_| detector.update(value) == Signal::None), "{value}");
        }
    }

    #[test]
    fn a_fall_is_heard_by_the_two_sided_test_only() {
        for (two_sided_test, before, after, is_heard) in [
            (false, 0.0, 1.0, true),
            (false, 1.0, 0.0, false),
            (true, 0.0, 1.0, true),
            (true, 1.0, 0.0, true),
        ] {
            let mut detector = detector(two_sided_test);
            (0..500).for_each(|_| {
                detector.update(before);
            });
            let alarms = (0..100).any(|_| detector.update(after) == Signal::Drift);
            assert_eq!(alarms, is_heard, "{before} to {after}, two-sided: {two_sided_test}");
        }
    }

    #[test]
    fn it_warns_before_it_alarms_and_then_starts_anew() {
        let mut detector = detector(false);
        (0..500).for_each(|_| {
            detector.update(0.0);
        });
        let signals: Vec<Signal> = (0..100).map(|_| detector.update(0.5)).collect();
        let drift = signals.iter().position(|signal| *signal == Signal::Drift).unwrap();
        assert_eq!(signals[drift - 1], Signal::Warning);
        let after = u64::try_from(signals.len() - drift - 1).unwrap();
        assert_eq!(detector.state.all.count(), after);
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let of = HddmAParameters::default();
        for (parameters, name) in [
            (HddmAParameters { drift_confidence: 0.0, ..of }, "drift_confidence"),
            (HddmAParameters { warning_confidence: 1.0, ..of }, "warning_confidence"),
        ] {
            assert_eq!(HddmA::new(parameters).unwrap_err().parameter, name);
        }
    }
}
