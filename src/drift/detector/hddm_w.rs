//! HDDM with weighted averages (HDDM_W): recent values against those up to a cut, by McDiarmid's bound.
//!
//! Source: Frías-Blanco et al., *Online and non-parametric drift detection methods based on Hoeffding's bounds* (IEEE
//! TKDE 27, 2015), as river 0.26.1 has it (`HDDM_W` up to river 0.24, `HDDMW` since).
//!
//! Differs from the paper: the squared weight of the first value is counted as λ² + (1 − λ)² rather than 1, so that
//! bounds are narrower at the start. With `two_sided_test` the test for a fall can only add a drift or a warning to what
//! the test for a rise has said; without it a fall is not heard.

use super::{Detector, Flags, ParameterError, Signal, require_probability};
use serde::{Deserialize, Serialize};

/// The parameters of [`HddmW`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HddmWParameters {
    /// How likely a drift may be chance: between 0 and 1.
    pub drift_confidence: f64,
    /// How likely a warning may be chance: between 0 and 1, usually above `drift_confidence`.
    pub warning_confidence: f64,
    /// The weight of the newest value: between 0 and 1; the higher, the sooner old ones are forgotten.
    pub lambda_val: f64,
    /// Whether a fall counts like a rise.
    pub two_sided_test: bool,
}

impl Default for HddmWParameters {
    fn default() -> HddmWParameters {
        HddmWParameters {
            drift_confidence: 0.001,
            warning_confidence: 0.005,
            lambda_val: 0.05,
            two_sided_test: false,
        }
    }
}

impl HddmWParameters {
    fn check(&self) -> Result<(), ParameterError> {
        require_probability(self.drift_confidence, "drift_confidence")?;
        require_probability(self.warning_confidence, "warning_confidence")?;
        require_probability(self.lambda_val, "lambda_val")
    }
}

/// Alarms when the weighted mean since the best cut is off that up to the cut by more than McDiarmid's bound.
///
/// Values: within 0 to 1. Warns. A value costs O(1), six square roots at most; it keeps five weighted means and two
/// bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HddmW {
    parameters: HddmWParameters,
    state: State,
    flags: Flags,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    all: Option<Weighted>,
    rise: Cut,
    fall: Cut,
}

impl Default for State {
    fn default() -> State {
        State { all: None, rise: Cut::at(f64::INFINITY), fall: Cut::at(f64::NEG_INFINITY) }
    }
}

/// Where the stream may be cut in two, and what is on either side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cut {
    /// The bound of the mean when the cut was made: the lowest upper one for a rise, the highest lower one for a fall.
    bound: f64,
    before: Option<Weighted>,
    after: Option<Weighted>,
}

/// An exponentially weighted mean, and a bound of the sum of the squares of its weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Weighted {
    mean: f64,
    squared_weights: f64,
}

impl Weighted {
    /// `mean` with one more value. The first is taken as it is, but its weight is counted as if there had been one before.
    fn with(mean: Option<Weighted>, x: f64, lambda: f64) -> Weighted {
        let kept = 1.0 - lambda;
        let old = mean.unwrap_or(Weighted { mean: x, squared_weights: 1.0 });
        Weighted {
            mean: if mean.is_some() { lambda * x + kept * old.mean } else { x },
            squared_weights: lambda * lambda + kept * kept * old.squared_weights,
        }
    }
}

/// By how much a mean may be off by chance, at `confidence`.
fn bound(squared_weights: f64, confidence: f64) -> f64 {
    (squared_weights * (1.0 / confidence).ln() / 2.0).sqrt()
}

impl Cut {
    fn at(bound: f64) -> Cut {
        Cut { bound, before: None, after: None }
    }

    fn add(&mut self, x: f64, lambda: f64) {
        self.after = Some(Weighted::with(self.after, x, lambda));
    }

    /// By how much the mean after the cut is above that before it, and by how much it may be, if both are known.
    fn difference(&self, confidence: f64) -> Option<(f64, f64)> {
        let (before, after) = (self.before?, self.after?);
        let allowed = bound(before.squared_weights + after.squared_weights, confidence);
        Some((after.mean - before.mean, allowed))
    }
}

impl State {
    fn add(&mut self, x: f64, parameters: &HddmWParameters) {
        let lambda = parameters.lambda_val;
        let all = *self.all.insert(Weighted::with(self.all, x, lambda));
        let off = bound(all.squared_weights, parameters.drift_confidence);
        if all.mean + off < self.rise.bound {
            self.rise = Cut { bound: all.mean + off, before: Some(all), after: None };
        } else {
            self.rise.add(x, lambda);
        }
        if all.mean - off > self.fall.bound {
            self.fall = Cut { bound: all.mean - off, before: Some(all), after: None };
        } else {
            self.fall.add(x, lambda);
        }
    }

    fn has_risen(&self, confidence: f64) -> bool {
        self.rise.difference(confidence).is_some_and(|(difference, allowed)| difference > allowed)
    }

    fn has_fallen(&self, confidence: f64) -> bool {
        self.fall.difference(confidence).is_some_and(|(difference, allowed)| -difference > allowed)
    }
}

impl HddmW {
    /// One that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] with the first parameter that is out of its range.
    pub fn new(parameters: HddmWParameters) -> Result<HddmW, ParameterError> {
        parameters.check()?;
        Ok(HddmW { parameters, state: State::default(), flags: Flags::default() })
    }

    /// What it was made with.
    #[must_use]
    pub fn parameters(&self) -> &HddmWParameters {
        &self.parameters
    }

    /// The weighted mean since the start or the last drift; nothing before the first value.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        self.state.all.map(|all| all.mean)
    }
}

impl Detector for HddmW {
    fn update(&mut self, x: f64) -> Signal {
        debug_assert!((0.0..=1.0).contains(&x), "{x} was fed to HDDM_W");
        if self.flags.drift {
            self.reset();
        }
        self.state.add(x, &self.parameters);
        let HddmWParameters { drift_confidence, warning_confidence, two_sided_test, .. } = self.parameters;
        let state = &self.state;
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

    fn detector(two_sided_test: bool) -> HddmW {
        HddmW::new(HddmWParameters { two_sided_test, ..HddmWParameters::default() }).unwrap()
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
    fn the_first_value_is_taken_as_it_is_and_later_ones_by_their_weight() {
        let mut detector = detector(false);
        assert_eq!(detector.mean(), None);
        detector.update(0.5);
        assert_eq!(detector.mean(), Some(0.5));
        detector.update(1.0);
        assert!((detector.mean().unwrap() - 0.525).abs() < 1e-15);
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let of = HddmWParameters::default();
        for (parameters, name) in [
            (HddmWParameters { drift_confidence: 0.0, ..of }, "drift_confidence"),
            (HddmWParameters { warning_confidence: 1.0, ..of }, "warning_confidence"),
            (HddmWParameters { lambda_val: f64::NAN, ..of }, "lambda_val"),
        ] {
            assert_eq!(HddmW::new(parameters).unwrap_err().parameter, name);
        }
    }
}
