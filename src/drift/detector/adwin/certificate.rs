//! Why a check need not look at most cuts: what was measured at an earlier one, and how little has come since.
//!
//! With W values of mean μ in the window, n₀ and n₁ of them before and after a cut, s the sum of those before it,
//! q = s − μn₀ and w = n₀n₁/W, the means of the two sides differ by |q|/w, and ADWIN's bound is at least
//! √(θ/w) + c/w with θ = 2·var·δ′ and c = ⅔·δ′ (because m ≥ 1/w). So |q| ≤ √(θw) + c is no cut.
//!
//! While values only come, an older cut keeps its s and n₀ or disappears (two buckets are merged), w and δ′ grow, and q
//! moves by n₀·|Δμ|. What it takes to be sure of all older cuts at once is therefore the largest (|q| − c)/√w of them,
//! the largest n₀/√w, and by how much the mean has moved. Only the cuts among the newest values are looked at each time.
//!
//! All this never decides that there *is* a cut: if it does not exclude every one, the window is walked as river does.
//! Rounding is accounted for, so that a cut that river's own sums would find, however wrongly, is not excluded either.

use super::{AdaptiveWindow, CERTAIN};

/// For so many values a certificate may serve: a walk per so many is next to nothing.
const VALUES_MAX: u32 = 128;
/// Cuts with fewer values than these after them are looked at each time.
const RECENT: f64 = 32.0;
/// Additions on the way to a sum beside those of its buckets, generously: one per value while a certificate serves, and
/// one per row when buckets are merged.
const ADDITIONS: f64 = 256.0;

/// What was known of the older cuts of a window when it was last walked. Not part of its state: decisions are the same
/// without.
#[derive(Debug, Clone, Default)]
pub(super) struct Certificate {
    /// For how many values it may still serve.
    values_left: u32,
    mean: f64,
    /// δ′ at the time, and c.
    log: f64,
    additive: f64,
    /// The largest (|q| − c)/√w, n₀/√w and 1/√w.
    excess: f64,
    reach: f64,
    fineness: f64,
    /// What rounding errors are relative to, and how many additions may have made one each.
    magnitude: f64,
    additions: f64,
    /// By how much the sum of the window is off the sums of its buckets.
    residue: f64,
}

/// Windows are equal whatever is known of them.
impl PartialEq for Certificate {
    fn eq(&self, _: &Certificate) -> bool {
        true
    }
}

impl Certificate {
    /// Whether checks on every `clock`-th value have any use for one.
    pub(super) fn is_worth_it(clock: u32) -> bool {
        clock < VALUES_MAX
    }

    /// Measures a window that has no cut. O(buckets).
    pub(super) fn of(window: &AdaptiveWindow, log: f64) -> Certificate {
        let width = window.width as f64;
        let (mean, additive) = (window.total / width, 2.0 / 3.0 * log * CERTAIN);
        let (mut count, mut sum, mut magnitude, mut additions) = (0.0, 0.0, window.total.abs(), ADDITIONS);
        let (mut excess, mut reach, mut fineness) = (0.0_f64, 0.0_f64, 0.0_f64);
        for (values, bucket) in window.buckets() {
            count += values;
            sum += bucket.sum;
            magnitude += bucket.sum.abs();
            additions += 1.0;
            if width - count >= RECENT {
                let off = ((sum - mean * count).abs() - additive).max(0.0);
                let per_weight = width / (count * (width - count));
                excess = excess.max(off * off * per_weight);
                reach = reach.max(count * count * per_weight);
                fineness = fineness.max(per_weight);
            }
        }
        Certificate {
            values_left: VALUES_MAX,
            mean,
            log,
            additive,
            excess: excess.sqrt(),
            reach: reach.sqrt(),
            fineness: fineness.sqrt(),
            magnitude,
            additions,
            residue: (window.total - sum).abs(),
        }
    }

    /// One more value has come.
    pub(super) fn add(&mut self, x: f64) {
        if self.values_left > 0 {
            self.values_left -= 1;
            // in the sum of the window, and in those of its buckets
            self.magnitude += 2.0 * x.abs();
        }
    }

    /// Whether the window certainly has no cut. O(M · log `RECENT`).
    pub(super) fn excludes_cuts(&self, window: &AdaptiveWindow) -> bool {
        /// Eight times half of the last place of 1: several operations per addition may round.
        const ROUNDING: f64 = 1.0 / (1_u64 << 50) as f64;
        if self.values_left == 0 {
            return false;
        }
        let width = window.width as f64;
        let mean = window.total / width;
        let theta = CERTAIN * 2.0 * (window.squared_deviations / width) * self.log;
        let error = self.residue + ROUNDING * self.additions * self.magnitude;
        let older = self.excess + (mean - self.mean).abs() * self.reach + error * self.fineness;
        // infinities prove nothing
        let is_finite = (theta * width).is_finite();
        if !(is_finite && older * older <= theta) {
            return false;
        }
        let least = f64::from(window.parameters.min_window_length);
        let newest = RECENT + f64::from(VALUES_MAX - self.values_left);
        let (by_spread, by_range) = (theta / width, self.additive * self.additive);
        let (mut count, mut sum) = (0.0, 0.0);
        for (values, bucket) in window.newest_buckets() {
            count += values;
            sum += bucket.sum;
            if count >= newest {
                break;
            }
            let off = (sum - mean * count).abs() + error;
            let is_none = off * off <= by_spread * (count * (width - count)) + by_range;
            if !is_none && count >= least {
                return false;
            }
        }
        true
    }
}
