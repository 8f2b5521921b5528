//! The early drift detection method (EDDM): errors that come closer together than they did at their farthest.
//!
//! Source: Baena-García et al., *Early drift detection method* (IWKDDS 2006), as river 0.26.1 has it.
//!
//! What the paper leaves open: the first distance is counted from the start, and the warning flag stays up between
//! errors, when a new farthest distance is set, and together with a drift; only an error that is none of it clears it.
//! It alarms falsely every 500 to 2,000 values on a stationary stream.

use super::mean::Variance;
use super::{Detector, Flags, ParameterError, Signal, require, require_probability};
use serde::{Deserialize, Serialize};

/// The parameters of [`Eddm`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EddmParameters {
    /// How many values, and then how many errors, are only learned from: at least 1.
    pub warm_start: u32,
    /// Below this share of the farthest distance is a warning: between 0 and 1.
    pub alpha: f64,
    /// Below this share of the farthest distance is a drift: between 0 and 1, at most `alpha` if it is to warn.
    pub beta: f64,
}

impl Default for EddmParameters {
    fn default() -> EddmParameters {
        EddmParameters { warm_start: 30, alpha: 0.95, beta: 0.9 }
    }
}

impl EddmParameters {
    fn check(&self) -> Result<(), ParameterError> {
        require(self.warm_start > 0, "warm_start", "at least 1")?;
        require_probability(self.alpha, "alpha")?;
        require_probability(self.beta, "beta")
    }
}

/// Alarms when the mean distance between errors plus two standard deviations is below a share of its highest.
///
/// Values: 0 or 1, where 1 is an error. Warns. Hears a rise of the error rate only. A value costs O(1), and next to
/// nothing if it is no error; it keeps six numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Eddm {
    parameters: EddmParameters,
    state: State,
    flags: Flags,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    values: u64,
    /// Which value was the last error, counted from 1; 0 before the first.
    last_error: u64,
    /// One distance per error.
    distances: Variance,
    /// The highest mean plus two standard deviations; 0 while there is none.
    farthest: f64,
}

impl Eddm {
    /// One that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] with the first parameter that is out of its range.
    pub fn new(parameters: EddmParameters) -> Result<Eddm, ParameterError> {
        parameters.check()?;
        Ok(Eddm { parameters, state: State::default(), flags: Flags::default() })
    }

    /// What it was made with.
    #[must_use]
    pub fn parameters(&self) -> &EddmParameters {
        &self.parameters
    }

    /// The mean number of values from one error to the next; 0 before the first.
    #[must_use]
    pub fn mean_distance(&self) -> f64 {
        self.state.distances.mean()
    }

    fn error(&mut self) {
        let state = &mut self.state;
        let warm_start = u64::from(self.parameters.warm_start);
        state.distances.add((state.values - state.last_error) as f64);
        state.last_error = state.values;
        if state.values <= warm_start {
            return;
        }
        let far = state.distances.mean() + 2.0 * state.distances.variance().sqrt();
        if far > state.farthest {
            state.farthest = far;
        } else if state.distances.count() > warm_start {
            let share = far / state.farthest;
            if share < self.parameters.beta {
                self.flags.drift = true;
            } else {
                self.flags.warning = share < self.parameters.alpha;
            }
        }
    }
}

impl Detector for Eddm {
    fn update(&mut self, x: f64) -> Signal {
        debug_assert!(x.is_finite(), "{x} was fed to a detector");
        if self.flags.drift {
            self.reset();
        }
        self.state.values += 1;
        if is_error(x) {
            self.error();
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

/// Everything but 0 is.
fn is_error(x: f64) -> bool {
    x.abs() > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detector() -> Eddm {
        Eddm::new(EddmParameters::default()).unwrap()
    }

    #[test]
    fn a_stream_of_zeros_or_of_ones_never_alarms() {
        for value in [0.0, 1.0] {
            let mut detector = detector();
            assert!((0..10_000).all(|_| detector.update(value) == Signal::None), "{value}");
        }
    }

    #[test]
    fn the_first_distance_is_counted_from_the_start() {
        let mut detector = detector();
        (0..4).for_each(|_| {
            detector.update(0.0);
        });
        detector.update(1.0);
        assert!((detector.mean_distance() - 5.0).abs() < 1e-15);
        detector.update(1.0);
        assert!((detector.mean_distance() - 3.0).abs() < 1e-15);
    }

    #[test]
    fn the_warning_stays_between_errors_and_beside_a_drift() {
        let mut detector = detector();
        // every tenth is an error, then every second
        (0..1_000).for_each(|place| {
            detector.update(f64::from(u8::from(place % 10 == 0)));
        });
        let mut place = 0;
        while !detector.flags().warning {
            detector.update(f64::from(u8::from(place % 2 == 0)));
            place += 1;
        }
        assert_eq!(detector.update(0.0), Signal::Warning);
        while detector.update(1.0) != Signal::Drift {}
        assert_eq!(detector.flags(), Flags { warning: true, drift: true });
        assert_eq!(detector.update(0.0), Signal::None);
        assert_eq!(detector.state, State { values: 1, ..State::default() });
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let of = EddmParameters::default();
        for (parameters, name) in [
            (EddmParameters { warm_start: 0, ..of }, "warm_start"),
            (EddmParameters { alpha: 1.0, ..of }, "alpha"),
            (EddmParameters { beta: f64::NAN, ..of }, "beta"),
        ] {
            assert_eq!(Eddm::new(parameters).unwrap_err().parameter, name);
        }
    }
}
