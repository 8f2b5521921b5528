//! What a stream has been like since the last change, as far as evidence is measured by it.

use super::change::{Kind, WatchSettings};
use super::ratio::{self, Law};
use super::threshold::Threshold;
use super::windows::Cell;
use serde::{Deserialize, Serialize};

/// Of normal scores, less variance than this is not believed: most values are tied.
const VARIANCE_LEAST: f64 = 0.1;
/// Skewness and kurtosis of fewer scores say nothing.
const MOMENTS_LEAST: f64 = 30.0;
/// A skewness nearer to 0 than this is taken for noise.
const SKEWNESS_LEAST: f64 = 0.2;

/// What follows from all samples since the last change, refreshed now and then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct View {
    /// Of a score, an event or a count, per weight.
    pub(super) mean: f64,
    pub(super) law: Law,
    /// How much more means vary than those of independent samples (of Poisson counts), and squares likewise.
    pub(super) inflation: f64,
    pub(super) inflation_of_squares: f64,
    pub(super) threshold: Threshold,
}

impl View {
    /// Before anything but these sums is known.
    pub(super) fn new(settings: WatchSettings, all: Cell) -> Self {
        let (n, time) = (all.weight.max(1.0), settings.samples_between_false_alarms);
        // Half an event more, so that a rate of which nothing is known yet is not 0.
        let some = (all.sum + 0.5) / (n + 1.0);
        let told = match settings.kind {
            Kind::Rate => 4.0 * some * (1.0 - some),
            Kind::Count => 4.0 * some,
            Kind::Value => 1.0,
        };
        let mean = all.sum / n;
        let law = Law { variance: 1.0, skewness: 0.0, kurtosis: 3.0 };
        let threshold = Threshold::new(time, told);
        Self { mean, law, inflation: 1.0, inflation_of_squares: 1.0, threshold }
    }

    /// With the sums of third and fourth powers.
    pub(super) fn with_moments(self, all: Cell, [third, fourth]: [f64; 2]) -> Self {
        if all.weight < MOMENTS_LEAST {
            return self;
        }
        let (n, variance) = (all.weight, ratio::variance(all).max(VARIANCE_LEAST));
        let (mean, square) = (all.mean(), all.square / n);
        let third = third / n - 3.0 * mean * square + 2.0 * mean.powi(3);
        let fourth = fourth / n - 4.0 * mean * third - 6.0 * mean * mean * variance - mean.powi(4);
        let skewness = third / variance.powf(1.5);
        let kurtosis = (fourth / (variance * variance)).clamp(2.6, 20.0);
        let skewness = if skewness.abs() < SKEWNESS_LEAST { 0.0 } else { skewness };
        Self { law: Law { variance, skewness, kurtosis }, ..self }
    }

    /// With `squares` of so many deviations, each over what is expected.
    pub(super) fn with_dispersion(self, deviations: f64, squares: f64) -> Self {
        // As if ten samples of no more than Poisson's dispersion had been seen before.
        let variance = ((squares + 10.0) / (deviations + 10.0)).max(1.0);
        Self { law: Law { variance, ..self.law }, inflation: variance, ..self }
    }

    /// With what dependence adds to the noise of means and of squares.
    pub(super) fn with_dependence(self, (of_values, of_squares): (f64, f64)) -> Self {
        Self { inflation: self.inflation * of_values, inflation_of_squares: of_squares, ..self }
    }

    /// 1 / variance of a sample; half of that for normal laws.
    pub(super) fn unit(&self, kind: Kind, all: Cell) -> f64 {
        let mean = all.mean();
        match kind {
            Kind::Rate => 1.0 / (mean * (1.0 - mean)).max(1e-12),
            Kind::Count => 1.0 / mean.max(1e-12),
            Kind::Value => 0.5 / self.law.variance,
        }
    }
}
