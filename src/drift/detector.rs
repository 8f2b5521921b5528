//! Detectors of drift in one stream of numbers, each just as river 0.26.1 defines it.
//!
//! "Compatible" is meant literally: on the same stream every update gives the same decision as the Python class of that
//! name, and leaves the same numbers behind to the last bit, so that what was found with river can be found again here.
//! Where river's class differs from the paper it cites, the class is what counts, and its page says so.
//!
//! Common to all of them:
//!
//! - a detector is a pure state machine over finite values: no clock, no I/O, and no randomness but that of a seed;
//! - the first update after a drift *starts the detector anew* before it takes its value: nothing that was learned
//!   before the drift is kept, except by [`AdaptiveWindow`];
//! - what a detector keeps goes into checkpoints by serde, parameters included. Some of it may be infinite, which
//!   binary formats keep and JSON does not.
//!
//! It does not know where values come from, what time it is, or what becomes of a drift. NaN and infinities would make
//! most detectors deaf for good; counting them and never feeding them is the caller's duty.

pub mod adwin;
pub mod ddm;
pub mod eddm;
pub mod fhddm;
pub mod hddm_a;
pub mod hddm_w;
pub mod kswin;
pub mod mean;
pub mod mersenne;
pub mod page_hinkley;

pub use adwin::{AdaptiveWindow, Adwin, AdwinParameters};
pub use ddm::{Ddm, DdmParameters};
pub use eddm::{Eddm, EddmParameters};
pub use fhddm::{Fhddm, FhddmParameters};
pub use hddm_a::{HddmA, HddmAParameters};
pub use hddm_w::{HddmW, HddmWParameters};
pub use kswin::{Kswin, KswinParameters};
pub use page_hinkley::{Direction, PageHinkley, PageHinkleyParameters};

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a detector says after a value, from the least to the gravest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Signal {
    /// Nothing to say, or not enough values yet.
    #[default]
    None,
    /// It may be a drift: less evidence than for one, by the warning level of the detector's parameters.
    Warning,
    /// There is a drift. Said once: the next value starts the detector anew.
    Drift,
}

/// The two flags that river's detectors have after an update. They may both be up (with [`Eddm`] they often are).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// `warning_detected`; never up on a detector that does not warn.
    pub warning: bool,
    /// `drift_detected`.
    pub drift: bool,
}

impl Flags {
    /// The gravest thing the flags say.
    #[must_use]
    pub fn signal(self) -> Signal {
        match self {
            Flags { drift: true, .. } => Signal::Drift,
            Flags { warning: true, .. } => Signal::Warning,
            Flags { .. } => Signal::None,
        }
    }
}

/// Looks for drift in one stream of finite numbers.
pub trait Detector {
    /// Takes one value and says what is now to be said.
    ///
    /// `x` must be finite, and within the range that the detector's page names. Neither is checked in a release build:
    /// one NaN makes most detectors silent for ever.
    fn update(&mut self, x: f64) -> Signal;

    /// Both flags as the last update left them; none is up before the first.
    fn flags(&self) -> Flags;

    /// Forgets everything but the parameters.
    fn reset(&mut self);
}

/// Why a detector cannot be made with these parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterError {
    /// The parameter's name, as it is written in a config.
    pub parameter: &'static str,
    /// What it must be, as the end of a sentence.
    pub must_be: &'static str,
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: must be {}", self.parameter, self.must_be)
    }
}

impl std::error::Error for ParameterError {}

/// Fails with the parameter's name unless `holds`; write it so that NaN does not.
fn require(holds: bool, parameter: &'static str, must_be: &'static str) -> Result<(), ParameterError> {
    if holds { Ok(()) } else { Err(ParameterError { parameter, must_be }) }
}

/// A probability that leaves room for chance on both sides.
fn require_probability(value: f64, parameter: &'static str) -> Result<(), ParameterError> {
    require(value > 0.0 && value < 1.0, parameter, "above 0 and below 1")
}

/// Which detector, with which parameters; those that are not given are river's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameters {
    /// [`Adwin`].
    Adwin(AdwinParameters),
    /// [`AdaptiveWindow`].
    AdwinRaw(AdwinParameters),
    /// [`PageHinkley`].
    PageHinkley(PageHinkleyParameters),
    /// [`Kswin`].
    Kswin(KswinParameters),
    /// [`Ddm`].
    Ddm(DdmParameters),
    /// [`Eddm`].
    Eddm(EddmParameters),
    /// [`HddmA`].
    HddmA(HddmAParameters),
    /// [`HddmW`].
    HddmW(HddmWParameters),
    /// [`Fhddm`].
    Fhddm(FhddmParameters),
}

impl Parameters {
    /// A detector with these parameters that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] with the first parameter that is out of its range.
    pub fn detector(self) -> Result<Compatible, ParameterError> {
        Ok(match self {
            Parameters::Adwin(parameters) => Compatible::Adwin(Adwin::new(parameters)?),
            Parameters::AdwinRaw(parameters) => Compatible::AdwinRaw(AdaptiveWindow::new(parameters)?),
            Parameters::PageHinkley(parameters) => Compatible::PageHinkley(PageHinkley::new(parameters)?),
            Parameters::Kswin(parameters) => Compatible::Kswin(Kswin::new(parameters)?),
            Parameters::Ddm(parameters) => Compatible::Ddm(Ddm::new(parameters)?),
            Parameters::Eddm(parameters) => Compatible::Eddm(Eddm::new(parameters)?),
            Parameters::HddmA(parameters) => Compatible::HddmA(HddmA::new(parameters)?),
            Parameters::HddmW(parameters) => Compatible::HddmW(HddmW::new(parameters)?),
            Parameters::Fhddm(parameters) => Compatible::Fhddm(Fhddm::new(parameters)?),
        })
    }
}

/// Any of the compatible detectors, with all that it has learned: what a checkpoint holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compatible {
    /// Adaptive windowing; river's `ADWIN`.
    Adwin(Adwin),
    /// Adaptive windowing that keeps its window after a drift.
    AdwinRaw(AdaptiveWindow),
    /// The Page-Hinkley test; river's `PageHinkley`.
    PageHinkley(PageHinkley),
    /// Kolmogorov-Smirnov windowing; river's `KSWIN`.
    Kswin(Kswin),
    /// The drift detection method; river's `DDM`.
    Ddm(Ddm),
    /// The early drift detection method; river's `EDDM`.
    Eddm(Eddm),
    /// Hoeffding's bound over plain averages; river's `HDDM_A` or `HDDMA`.
    HddmA(HddmA),
    /// McDiarmid's bound over weighted averages; river's `HDDM_W` or `HDDMW`.
    HddmW(HddmW),
    /// Hoeffding's bound over a sliding window; river's `FHDDM`.
    Fhddm(Fhddm),
}

impl Compatible {
    /// The parameters it was made with: one that was restored under other ones is to be made anew.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        match self {
            Compatible::Adwin(detector) => Parameters::Adwin(*detector.parameters()),
            Compatible::AdwinRaw(detector) => Parameters::AdwinRaw(*detector.parameters()),
            Compatible::PageHinkley(detector) => Parameters::PageHinkley(*detector.parameters()),
            Compatible::Kswin(detector) => Parameters::Kswin(*detector.parameters()),
            Compatible::Ddm(detector) => Parameters::Ddm(*detector.parameters()),
            Compatible::Eddm(detector) => Parameters::Eddm(*detector.parameters()),
            Compatible::HddmA(detector) => Parameters::HddmA(*detector.parameters()),
            Compatible::HddmW(detector) => Parameters::HddmW(*detector.parameters()),
            Compatible::Fhddm(detector) => Parameters::Fhddm(*detector.parameters()),
        }
    }

    fn as_detector(&self) -> &dyn Detector {
        match self {
            Compatible::Adwin(detector) => detector,
            Compatible::AdwinRaw(detector) => detector,
            Compatible::PageHinkley(detector) => detector,
            Compatible::Kswin(detector) => detector,
            Compatible::Ddm(detector) => detector,
            Compatible::Eddm(detector) => detector,
            Compatible::HddmA(detector) => detector,
            Compatible::HddmW(detector) => detector,
            Compatible::Fhddm(detector) => detector,
        }
    }
}

impl Detector for Compatible {
    fn update(&mut self, x: f64) -> Signal {
        match self {
            Compatible::Adwin(detector) => detector.update(x),
            Compatible::AdwinRaw(detector) => detector.update(x),
            Compatible::PageHinkley(detector) => detector.update(x),
            Compatible::Kswin(detector) => detector.update(x),
            Compatible::Ddm(detector) => detector.update(x),
            Compatible::Eddm(detector) => detector.update(x),
            Compatible::HddmA(detector) => detector.update(x),
            Compatible::HddmW(detector) => detector.update(x),
            Compatible::Fhddm(detector) => detector.update(x),
        }
    }

    fn flags(&self) -> Flags {
        self.as_detector().flags()
    }

    fn reset(&mut self) {
        match self {
            Compatible::Adwin(detector) => detector.reset(),
            Compatible::AdwinRaw(detector) => detector.reset(),
            Compatible::PageHinkley(detector) => detector.reset(),
            Compatible::Kswin(detector) => detector.reset(),
            Compatible::Ddm(detector) => detector.reset(),
            Compatible::Eddm(detector) => detector.reset(),
            Compatible::HddmA(detector) => detector.reset(),
            Compatible::HddmW(detector) => detector.reset(),
            Compatible::Fhddm(detector) => detector.reset(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::mersenne::MersenneTwister;
    use super::*;

    fn all() -> [Parameters; 9] {
        [
            Parameters::Adwin(AdwinParameters::default()),
            Parameters::AdwinRaw(AdwinParameters::default()),
            Parameters::PageHinkley(PageHinkleyParameters::default()),
            Parameters::Kswin(KswinParameters::default()),
            Parameters::Ddm(DdmParameters::default()),
            Parameters::Eddm(EddmParameters::default()),
            Parameters::HddmA(HddmAParameters::default()),
            Parameters::HddmW(HddmWParameters::default()),
            Parameters::Fhddm(FhddmParameters::default()),
        ]
    }

    /// Zeros and ones of which every detector alarms at least once, in one direction or the other.
    fn stream() -> Vec<f64> {
        let mut generator = MersenneTwister::new(1);
        let ones_of_ten = |place: u32| [1, 5, 9, 5, 1][place as usize / 500 % 5];
        (0..5_000).map(|place| f64::from(u8::from(generator.below(10) < ones_of_ten(place)))).collect()
    }

    #[test]
    fn a_restored_detector_goes_on_as_if_nothing_had_happened() {
        for parameters in all() {
            let mut detector = parameters.detector().unwrap();
            for (place, x) in stream().into_iter().enumerate() {
                detector.update(x);
                if place % 97 == 40 {
                    let written = serde_json::to_string(&detector).unwrap();
                    // JSON has no infinities, which some have before they have learned anything
                    let Ok(restored) = serde_json::from_str::<Compatible>(&written) else { continue };
                    assert_eq!(restored, detector);
                    detector = restored;
                }
            }
            let mut uninterrupted = parameters.detector().unwrap();
            stream().into_iter().for_each(|x| {
                uninterrupted.update(x);
            });
            assert_eq!(detector, uninterrupted);
            assert_eq!(detector.parameters(), parameters);
        }
    }

    #[test]
    fn the_value_after_a_drift_is_the_first_of_a_new_detector() {
        for parameters in all() {
            let mut detector = parameters.detector().unwrap();
            let mut drifts = 0;
            for x in stream() {
                let is_new = detector.flags().drift;
                detector.update(x);
                if is_new {
                    drifts += 1;
                    let mut new = parameters.detector().unwrap();
                    new.update(x);
                    assert_eq!(
                        detector == new,
                        !matches!(parameters, Parameters::AdwinRaw(_)),
                        "{parameters:?}"
                    );
                }
            }
            assert!(drifts > 0, "{parameters:?}");
        }
    }

    #[test]
    fn a_reset_leaves_nothing_but_the_parameters() {
        for parameters in all() {
            let new = parameters.detector().unwrap();
            let mut detector = new.clone();
            for x in stream().into_iter().take(700) {
                detector.update(x);
            }
            assert_ne!(detector, new);
            detector.reset();
            assert_eq!(detector, new);
            assert_eq!(detector.flags(), Flags::default());
        }
    }

    #[test]
    fn a_config_names_only_what_it_changes_and_a_fault_names_the_parameter() {
        let read = |text: &str| serde_json::from_str::<Parameters>(text);
        assert_eq!(read(r#"{"adwin": {}}"#).unwrap(), Parameters::Adwin(AdwinParameters::default()));
        let changed = AdwinParameters { delta: 0.01, ..AdwinParameters::default() };
        assert_eq!(read(r#"{"adwin_raw": {"delta": 0.01}}"#).unwrap(), Parameters::AdwinRaw(changed));
        assert!(read(r#"{"hddm_w": {"lambda": 0.1}}"#).is_err(), "an unknown key is a fault");
        let fault = read(r#"{"page_hinkley": {"alpha": 2}}"#).unwrap().detector().unwrap_err();
        assert_eq!(fault.to_string(), "alpha: must be above 0 and at most 1");
    }

    #[test]
    fn the_gravest_flag_is_the_signal() {
        for (warning, drift, signal) in [
            (false, false, Signal::None),
            (true, false, Signal::Warning),
            (false, true, Signal::Drift),
            (true, true, Signal::Drift),
        ] {
            assert_eq!(Flags { warning, drift }.signal(), signal);
        }
        assert!(Signal::None < Signal::Warning && Signal::Warning < Signal::Drift);
    }
}
