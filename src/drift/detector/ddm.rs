//! The drift detection method (DDM): an error rate that rises above its own lowest.
//!
//! Source: Gama, Medas, Castillo and Rodrigues, *Learning with drift detection* (SBIA 2004), as river 0.26.1 has it.
//!
//! Differs from the paper: both levels must be *exceeded*, where the paper (and river's own documentation) has ≥,
//! because with ≥ a stream of ones alarmed; and the lowest rate is looked for from the value after the warm-up on. If
//! there is no error during the warm-up, the lowest rate is 0 and the first error is a drift.

use super::mean::Mean;
use super::{Detector, Flags, ParameterError, Signal, require};
use serde::{Deserialize, Serialize};

/// The parameters of [`Ddm`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DdmParameters {
    /// How many values are only learned from, at the start and after a drift: at least 1.
    pub warm_start: u32,
    /// How many standard deviations above the lowest rate are a warning: above 0.
    pub warning_threshold: f64,
    /// How many standard deviations above the lowest rate are a drift: above 0.
    pub drift_threshold: f64,
}

impl Default for DdmParameters {
    fn default() -> DdmParameters {
        DdmParameters { warm_start: 30, warning_threshold: 2.0, drift_threshold: 3.0 }
    }
}

impl DdmParameters {
    fn check(&self) -> Result<(), ParameterError> {
        require(self.warm_start > 0, "warm_start", "at least 1")?;
        require(self.warning_threshold > 0.0, "warning_threshold", "above 0")?;
        require(self.drift_threshold > 0.0, "drift_threshold", "above 0")
    }
}

/// Alarms when the error rate plus its standard deviation is far above the lowest that this sum has been.
///
/// Values: 0 or 1, where 1 is an error. Warns. Hears a rise only. A value costs O(1); it keeps four numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ddm {
    parameters: DdmParameters,
    rate: Mean,
    lowest: Option<Rate>,
    flags: Flags,
}

/// An error rate and its standard deviation √(p(1−p)/n).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Rate {
    p: f64,
    s: f64,
}

impl Ddm {
    /// One that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] with the first parameter that is out of its range.
    pub fn new(parameters: DdmParameters) -> Result<Ddm, ParameterError> {
        parameters.check()?;
        Ok(Ddm { parameters, rate: Mean::default(), lowest: None, flags: Flags::default() })
    }

    /// What it was made with.
    #[must_use]
    pub fn parameters(&self) -> &DdmParameters {
        &self.parameters
    }

    /// The share of errors since the start or the last drift.
    #[must_use]
    pub fn error_rate(&self) -> f64 {
        self.rate.mean()
    }

    /// The share of errors when it was lowest; nothing during the warm-up.
    #[must_use]
    pub fn lowest_error_rate(&self) -> Option<f64> {
        self.lowest.map(|lowest| lowest.p)
    }
}

impl Detector for Ddm {
    fn update(&mut self, x: f64) -> Signal {
        debug_assert!((0.0..=1.0).contains(&x), "{x} was fed to DDM");
        if self.flags.drift {
            self.reset();
        }
        self.rate.add(x);
        if self.rate.count() > u64::from(self.parameters.warm_start) {
            let p = self.rate.mean();
            let s = (p * (1.0 - p) / self.rate.count() as f64).sqrt();
            let known = self.lowest.filter(|lowest| p + s > lowest.p + lowest.s);
            let lowest = *self.lowest.insert(known.unwrap_or(Rate { p, s }));
            let exceeds = |deviations: f64| p + s > lowest.p + deviations * lowest.s;
            let drift = exceeds(self.parameters.drift_threshold);
            self.flags = Flags { warning: exceeds(self.parameters.warning_threshold) && !drift, drift };
        }
        self.flags.signal()
    }

    fn flags(&self) -> Flags {
        self.flags
    }

    fn reset(&mut self) {
        (self.rate, self.lowest, self.flags) = (Mean::default(), None, Flags::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detector() -> Ddm {
        Ddm::new(DdmParameters::default()).unwrap()
    }

    #[test]
    fn a_stream_of_zeros_or_of_ones_never_alarms() {
        for value in [0.0, 1.0] {
            let mut detector = detector();
            assert!((0..10_000).all(|_| detector.update(value) == Signal::None), "{value}");
        }
    }

    #[test]
    fn the_first_error_alarms_if_there_was_none_during_the_warm_up() {
        let mut detector = detector();
        assert!((0..31).all(|_| detector.update(0.0) == Signal::None));
        assert_eq!(detector.update(1.0), Signal::Drift);
        assert_eq!(detector.update(1.0), Signal::None);
        assert_eq!((detector.error_rate(), detector.lowest_error_rate()), (1.0, None));
    }

    #[test]
    fn the_warm_up_is_over_with_the_value_after_it() {
        let mut detector = detector();
        let known = |detector: &Ddm| detector.lowest_error_rate().is_some();
        for (value, is_known) in [(29, false), (30, false), (31, true)] {
            while detector.rate.count() < value {
                detector.update(0.0);
            }
            assert_eq!(known(&detector), is_known, "after {value}");
        }
    }

    #[test]
    fn a_rate_that_rises_warns_before_it_alarms_and_one_that_falls_does_neither() {
        let mut detector = detector();
        let mut signals: Vec<Signal> =
            (0..1_000).map(|place| detector.update(f64::from(u8::from(place % 10 == 0)))).collect();
        assert!(signals.iter().skip(40).all(|signal| *signal == Signal::None));
        signals = (0..200).map(|place| detector.update(f64::from(u8::from(place % 2 == 0)))).collect();
        let drift = signals.iter().position(|signal| *signal == Signal::Drift).unwrap();
        assert!(signals[..drift].contains(&Signal::Warning));
        let mut falling = super::tests::detector();
        (0..1_000).for_each(|place| {
            falling.update(f64::from(u8::from(place % 2 == 0)));
        });
        assert!((0..1_000).all(|_| falling.update(0.0) == Signal::None));
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let of = DdmParameters::default();
        for (parameters, name) in [
            (DdmParameters { warm_start: 0, ..of }, "warm_start"),
            (DdmParameters { warning_threshold: 0.0, ..of }, "warning_threshold"),
            (DdmParameters { drift_threshold: f64::NAN, ..of }, "drift_threshold"),
        ] {
            assert_eq!(Ddm::new(parameters).unwrap_err().parameter, name);
        }
    }
}
