//! The fast Hoeffding drift detection method (FHDDM): a share over a sliding window that falls below its own highest.
//!
//! Source: Pesaranghader and Viktor, *Fast Hoeffding drift detection method for evolving data streams* (ECML PKDD
//! 2016); the second, short window is that of FHDDMS (Pesaranghader, Viktor and Paquet, 2018). As river 0.26.1 has it.
//!
//! It follows *accuracy*: a one is a prediction that was right, and it alarms when ones become rarer. River's
//! documentation says the opposite (1 is an error), and fed so it alarms when a model becomes better: give it 1 − error.

use super::{Detector, Flags, ParameterError, Signal, require, require_probability};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The parameters of [`Fhddm`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FhddmParameters {
    /// Over how many values the share is: 1 to 1,000,000.
    pub sliding_window_size: u32,
    /// How likely a drift may be chance: between 0 and 1.
    pub confidence_level: f64,
    /// Over how many of the newest values there is a share of its own, if so: 1 to `sliding_window_size`.
    pub short_window_size: Option<u32>,
}

/// A window of one byte per value.
const WINDOW_MAX: u32 = 1_000_000;

impl Default for FhddmParameters {
    fn default() -> FhddmParameters {
        FhddmParameters { sliding_window_size: 100, confidence_level: 1e-6, short_window_size: None }
    }
}

impl FhddmParameters {
    fn check(&self) -> Result<(), ParameterError> {
        let sizes = 1..=WINDOW_MAX;
        require(sizes.contains(&self.sliding_window_size), "sliding_window_size", "1 to 1,000,000")?;
        require_probability(self.confidence_level, "confidence_level")?;
        require(
            self.short_window_size.is_none_or(|short| short > 0 && short <= self.sliding_window_size),
            "short_window_size",
            "at least 1 and at most sliding_window_size",
        )
    }
}

/// Alarms when the share of ones in the window is below the highest it has been by more than Hoeffding's bound.
///
/// Values: 0 or 1, where 1 is a success; what is not 0 is 1. Does not warn, and hears a fall only. A value costs O(1);
/// it keeps a byte per value of the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fhddm {
    parameters: FhddmParameters,
    /// The newest values, one less than the window holds.
    window: VecDeque<bool>,
    long: Share,
    short: Share,
    has_drift: bool,
}

/// The ones of a window, and the highest share of them so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Share {
    ones: u32,
    highest: f64,
}

impl Share {
    fn enter(&mut self, is_one: bool) {
        self.ones += u32::from(is_one);
    }

    fn leave(&mut self, is_one: bool) {
        self.ones -= u32::from(is_one);
    }

    /// Whether the share of ones among `size` is too far below its highest.
    fn has_fallen(&mut self, size: u32, confidence: f64) -> bool {
        let share = f64::from(self.ones) / f64::from(size);
        self.highest = self.highest.max(share);
        self.highest - share > ((1.0 / confidence).ln() / (2.0 * f64::from(size))).sqrt()
    }
}

impl Fhddm {
    /// One that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] with the first parameter that is out of its range.
    pub fn new(parameters: FhddmParameters) -> Result<Fhddm, ParameterError> {
        parameters.check()?;
        let (long, short) = (Share::default(), Share::default());
        Ok(Fhddm { parameters, window: VecDeque::new(), long, short, has_drift: false })
    }

    /// What it was made with.
    #[must_use]
    pub fn parameters(&self) -> &FhddmParameters {
        &self.parameters
    }

    /// The highest share of ones that the window has had since the start or the last drift.
    #[must_use]
    pub fn highest_share(&self) -> f64 {
        self.long.highest
    }

    /// Lets the value that is `size` places before the newest leave the short window.
    fn leave_short(&mut self, size: u32) {
        let left = self.window.len().checked_sub(size as usize + 1);
        if let Some(is_one) = left.and_then(|place| self.window.get(place)) {
            self.short.leave(*is_one);
        }
    }
}

impl Detector for Fhddm {
    fn update(&mut self, x: f64) -> Signal {
        debug_assert!(x.is_finite(), "{x} was fed to a detector");
        if self.has_drift {
            self.reset();
        }
        let FhddmParameters { sliding_window_size: size, confidence_level, short_window_size } =
            self.parameters;
        let is_one = x.abs() > 0.0;
        self.window.push_back(is_one);
        self.long.enter(is_one);
        if let Some(short) = short_window_size {
            self.short.enter(is_one);
            self.leave_short(short);
        }
        if self.window.len() == size as usize {
            let short_has_fallen =
                short_window_size.is_some_and(|short| self.short.has_fallen(short, confidence_level));
            self.has_drift = self.long.has_fallen(size, confidence_level) || short_has_fallen;
            if let Some(oldest) = self.window.pop_front() {
                self.long.leave(oldest);
            }
        }
        self.flags().signal()
    }

    fn flags(&self) -> Flags {
        Flags { warning: false, drift: self.has_drift }
    }

    fn reset(&mut self) {
        self.window.clear();
        (self.long, self.short, self.has_drift) = (Share::default(), Share::default(), false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detector(short_window_size: Option<u32>) -> Fhddm {
        Fhddm::new(FhddmParameters { short_window_size, ..FhddmParameters::default() }).unwrap()
    }

    #[test]
    fn a_stream_of_zeros_or_of_ones_never_alarms() {
        for (value, short) in [(0.0, None), (1.0, None), (0.0, Some(100)), (1.0, Some(20)), (1.0, Some(1))] {
            let mut detector = detector(short);
            assert!((0..10_000).all(|_| detector.update(value) == Signal::None), "{value} {short:?}");
        }
    }

    #[test]
    fn it_hears_ones_become_rarer_and_not_more_frequent() {
        for (before, after, is_heard) in [(1.0, 0.0, true), (0.0, 1.0, false)] {
            let mut detector = detector(None);
            (0..300).for_each(|_| {
                detector.update(before);
            });
            let first = (0..100).find(|_| detector.update(after) == Signal::Drift);
            // the bound is √(ln 10⁶ / 200) = 0.2628: the 27th zero
            assert_eq!(first, is_heard.then_some(26));
        }
    }

    #[test]
    fn the_short_window_hears_a_short_gap() {
        let gap = |detector: &mut Fhddm| {
            let ones_but_gap = (0..400).map(|place| f64::from(u8::from(!(200..218).contains(&place))));
            ones_but_gap.map(|value| detector.update(value)).any(|signal| signal == Signal::Drift)
        };
        assert!(!gap(&mut detector(None)));
        assert!(gap(&mut detector(Some(20))));
    }

    #[test]
    fn the_short_window_counts_its_own_ones() {
        let mut detector = detector(Some(20));
        for place in 0_u32..1_000 {
            detector.update(f64::from(u8::from(place % 3 == 0)));
            let newest = detector.window.iter().rev().take(20).filter(|is_one| **is_one).count();
            assert_eq!(detector.short.ones as usize, newest);
        }
        assert_eq!(detector.window.len(), 99);
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let of = FhddmParameters::default();
        for (parameters, name) in [
            (FhddmParameters { sliding_window_size: 0, ..of }, "sliding_window_size"),
            (FhddmParameters { confidence_level: 0.0, ..of }, "confidence_level"),
            (FhddmParameters { short_window_size: Some(0), ..of }, "short_window_size"),
            (FhddmParameters { short_window_size: Some(101), ..of }, "short_window_size"),
        ] {
            assert_eq!(Fhddm::new(parameters).unwrap_err().parameter, name);
        }
    }
}
