//! The Page-Hinkley test for a change of the mean.
//!
//! Sources: E. S. Page, *Continuous inspection schemes* (Biometrika 41, 1954); D. V. Hinkley (Biometrika 58, 1971); the
//! form with a forgetting factor is that of Gama, Sebastião and Rodrigues (Machine Learning 90, 2013), as river 0.26.1
//! has it.
//!
//! Differs from the literature: the sum for a fall begins with a maximum of −1 rather than 0. `alpha` fades the two sums,
//! never the mean they are about: the mean is of all values since the last drift.
//!
//! Not free of scale. `delta` and `threshold` are in the unit of the values; with river's defaults N(0, 1) alarms
//! falsely every 1,700 values or so, N(1000, 5) every 70.

use super::mean::Mean;
use super::{Detector, Flags, ParameterError, Signal, require};
use serde::{Deserialize, Serialize};

/// The changes of the mean that count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A rise only.
    Up,
    /// A fall only.
    Down,
    /// Either.
    #[default]
    Both,
}

/// The parameters of [`PageHinkley`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageHinkleyParameters {
    /// The first value that may alarm is this one since the start or the last drift.
    pub min_instances: u32,
    /// What a value may be off the mean without counting, in the unit of the values: finite, usually at least 0.
    pub delta: f64,
    /// How far a sum must be from its extreme, in the unit of the values: finite, at least 0.
    pub threshold: f64,
    /// What is kept of the sums from one value to the next: above 0, at most 1, where 1 forgets nothing.
    pub alpha: f64,
    /// The changes that count.
    pub mode: Direction,
}

impl Default for PageHinkleyParameters {
    fn default() -> PageHinkleyParameters {
        let mode = Direction::Both;
        PageHinkleyParameters { min_instances: 30, delta: 0.005, threshold: 50.0, alpha: 0.9999, mode }
    }
}

impl PageHinkleyParameters {
    fn check(&self) -> Result<(), ParameterError> {
        require(self.delta.is_finite(), "delta", "finite")?;
        require(self.threshold.is_finite() && self.threshold >= 0.0, "threshold", "finite and at least 0")?;
        require(self.alpha > 0.0 && self.alpha <= 1.0, "alpha", "above 0 and at most 1")
    }
}

/// Alarms when the faded sum of deviations from the running mean is far from its lowest (a rise) or highest (a fall).
///
/// Values: any finite numbers. Does not warn. A value costs O(1); it keeps six numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageHinkley {
    parameters: PageHinkleyParameters,
    state: State,
    has_drift: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    mean: Mean,
    increase: f64,
    decrease: f64,
    lowest_increase: f64,
    highest_decrease: f64,
}

impl Default for State {
    fn default() -> State {
        State {
            mean: Mean::default(),
            increase: 0.0,
            decrease: 0.0,
            lowest_increase: f64::INFINITY,
            highest_decrease: -1.0,
        }
    }
}

impl PageHinkley {
    /// One that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] with the first parameter that is out of its range.
    pub fn new(parameters: PageHinkleyParameters) -> Result<PageHinkley, ParameterError> {
        parameters.check()?;
        Ok(PageHinkley { parameters, state: State::default(), has_drift: false })
    }

    /// What it was made with.
    #[must_use]
    pub fn parameters(&self) -> &PageHinkleyParameters {
        &self.parameters
    }

    /// The mean since the start or the last drift.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.state.mean.mean()
    }

    /// How far up the sum for a rise is from its lowest: alarms above `threshold`.
    #[must_use]
    pub fn rise(&self) -> f64 {
        self.state.increase - self.state.lowest_increase
    }

    /// How far down the sum for a fall is from its highest: alarms above `threshold`.
    #[must_use]
    pub fn fall(&self) -> f64 {
        self.state.highest_decrease - self.state.decrease
    }
}

impl Detector for PageHinkley {
    fn update(&mut self, x: f64) -> Signal {
        debug_assert!(x.is_finite(), "{x} was fed to a detector");
        if self.has_drift {
            self.reset();
        }
        let PageHinkleyParameters { min_instances, delta, threshold, alpha, mode } = self.parameters;
        let state = &mut self.state;
        state.mean.add(x);
        let deviation = x - state.mean.mean();
        state.increase = alpha * state.increase + deviation - delta;
        state.decrease = alpha * state.decrease + deviation + delta;
        state.lowest_increase = state.lowest_increase.min(state.increase);
        state.highest_decrease = state.highest_decrease.max(state.decrease);
        if state.mean.count() >= u64::from(min_instances) {
            let (has_risen, has_fallen) = (self.rise() > threshold, self.fall() > threshold);
            self.has_drift = match mode {
                Direction::Up => has_risen,
                Direction::Down => has_fallen,
                Direction::Both => has_risen || has_fallen,
            };
        }
        self.flags().signal()
    }

    fn flags(&self) -> Flags {
        Flags { warning: false, drift: self.has_drift }
    }

    fn reset(&mut self) {
        self.state = State::default();
        self.has_drift = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detector(mode: Direction) -> PageHinkley {
        PageHinkley::new(PageHinkleyParameters { mode, ..PageHinkleyParameters::default() }).unwrap()
    }

    /// Of `count` values, the places of those that alarmed.
    fn drifts(detector: &mut PageHinkley, count: u32, value: impl Fn(u32) -> f64) -> Vec<u32> {
        (0..count).filter(|place| detector.update(value(*place)) == Signal::Drift).collect()
    }

    #[test]
    fn equal_values_never_alarm() {
        for value in [0.0, 1.0, -3.5, 1e12] {
            assert_eq!(drifts(&mut detector(Direction::Both), 10_000, |_| value), [0_u32; 0], "{value}");
        }
    }

    #[test]
    fn a_step_alarms_in_its_own_direction_and_in_both() {
        let step = |sign: f64| move |place: u32| if place < 500 { 0.0 } else { sign };
        for (mode, up, down) in
            [(Direction::Up, true, false), (Direction::Down, false, true), (Direction::Both, true, true)]
        {
            assert_eq!(!drifts(&mut detector(mode), 600, step(1.0)).is_empty(), up, "{mode:?}");
            assert_eq!(!drifts(&mut detector(mode), 600, step(-1.0)).is_empty(), down, "{mode:?}");
        }
    }

    #[test]
    fn nothing_alarms_before_the_least_number_of_values() {
        let least =
            PageHinkleyParameters { threshold: 1.0, min_instances: 30, ..PageHinkleyParameters::default() };
        let mut detector = PageHinkley::new(least).unwrap();
        // the sum is far off long before
        let first = drifts(&mut detector, 40, |place| f64::from(place) * 10.0).first().copied();
        assert_eq!(first, Some(29));
    }

    #[test]
    fn the_value_after_a_drift_is_the_first_of_a_new_start() {
        let mut detector = detector(Direction::Both);
        assert_eq!(drifts(&mut detector, 501, |place| if place < 500 { 0.0 } else { 1e3 }), [500]);
        detector.update(5.0);
        assert_eq!((detector.state.mean.count(), detector.mean()), (1, 5.0));
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let of = PageHinkleyParameters::default();
        for (parameters, name) in [
            (PageHinkleyParameters { delta: f64::NAN, ..of }, "delta"),
            (PageHinkleyParameters { threshold: -0.1, ..of }, "threshold"),
            (PageHinkleyParameters { threshold: f64::INFINITY, ..of }, "threshold"),
            (PageHinkleyParameters { alpha: 0.0, ..of }, "alpha"),
            (PageHinkleyParameters { alpha: 1.1, ..of }, "alpha"),
        ] {
            assert_eq!(PageHinkley::new(parameters).unwrap_err().parameter, name);
        }
    }
}
