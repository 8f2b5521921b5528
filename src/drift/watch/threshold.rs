//! From which evidence on a change is reported, so that false alarms are as far apart as was asked for.
//!
//! With a mean time between false alarms of T samples, a window of L samples is an alarm from
//!
//! ```text
//! h(L) = ln(T q) + ½ ln ln(T q) − α ln(L q) + c      nats
//! ```
//!
//! on, where q ≤ 1 is how much a sample tells: 4 p (1 − p) for a rate p, 4 λ for λ events per sample if that is less than 1,
//! else 1. The first terms are those of a likelihood
//! ratio that is watched all the time (Siegmund & Venkatraman 1995: ln T + ½ ln ln T + constant). A window of length L is
//! a new one only every L samples or so, hence each octave has a share of the false alarms that falls with L^(α−1), and long
//! windows, which small changes need, get a lower threshold (as multi-scale tests do: Dümbgen & Spokoiny 2001). α and c are fitted to
//! simulated stationary streams (`goals quiet`): asked for 3·10⁵ samples, the measured times are 3·10⁵ to 10⁶.

use serde::{Deserialize, Serialize};

/// How much the threshold falls with the length of the window.
const ALPHA: f64 = 0.9;
/// On top of everything, in nats.
const C: f64 = 2.0;
/// However long the window, from less than this nothing is reported.
const LEAST: f64 = 3.5;

/// The threshold of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Threshold {
    height: f64,
}

impl Threshold {
    /// `told` is q; it counts as 1 at most.
    pub(super) fn new(samples_between_false_alarms: f64, told: f64) -> Self {
        let told = told.clamp(1e-9, 1.0);
        let log = (samples_between_false_alarms * told).max(8.0).ln();
        Self { height: log + 0.5 * log.ln() - ALPHA * told.ln() + C }
    }

    /// For a window of so many samples.
    pub(super) fn at(self, samples: u64) -> f64 {
        (self.height - ALPHA * (samples.max(1) as f64).ln()).max(LEAST)
    }

    /// At most what it is for any window of a row of [`super::windows::Windows`].
    pub(super) fn least_in_row(self, row: usize) -> f64 {
        // Such a window has at most 6 · (2^(row + 1) − 1) samples.
        let log = 12.0_f64.ln() + row as f64 * std::f64::consts::LN_2;
        (self.height - ALPHA * log).max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_with_the_time_asked_for_and_falls_with_the_window() {
        let of = |time: f64| Threshold::new(time, 1.0);
        assert!((of(1e6).at(10) - of(1e5).at(10) - 10.0_f64.ln()).abs() < 0.2);
        assert!(of(1e5).at(1_000) < of(1e5).at(100));
        assert!(of(1e5).at(u64::MAX) >= LEAST);
    }

    #[test]
    fn the_least_of_a_row_is_no_more_than_any_window_in_it_needs() {
        let threshold = Threshold::new(1e5, 0.1);
        for row in 0..16 {
            let longest = 6 * ((1_u64 << (row + 1)) - 1);
            assert!(threshold.least_in_row(row) <= threshold.at(longest));
        }
    }
}
