//! Maximum mean discrepancy: a distance between two samples of points, over all their coordinates at once.
//!
//! Quadratic in the number of points, so for some hundreds of them: to examine an alert, not to watch a stream.

use crate::drift::{DriftError, Pair, Window};

/// Squared maximum mean discrepancy under the Gaussian kernel exp(−|a − b|² / `median`).
///
/// Source: Gretton et al. 2012, eq. 3 (unbiased) and eq. 5 (biased); the median heuristic ibid., section 8.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Discrepancy {
    /// The median of the squared distances between different points of both samples pooled; 0 if most points are one.
    pub median: f64,
    /// With every point compared with itself too; in [0, 2].
    pub biased: f64,
    /// Without; around 0 if nothing has drifted, so that it can be negative. NaN never: nothing for a sample of one point.
    pub unbiased: Option<f64>,
}

/// The discrepancy of two samples, each a slice of points of one number of coordinates. O((n + m)²) in time and memory.
///
/// # Errors
///
/// [`DriftError::EmptyWindow`] if either is empty; [`DriftError::DimensionMismatch`] if a point has another number of
/// coordinates than the first; [`DriftError::NonFinite`] for NaN and infinities, by point.
pub fn discrepancy<P: AsRef<[f64]>>(points: Pair<&[P]>) -> Result<Discrepancy, DriftError> {
    check(Window::Reference, points.reference, points.reference)?;
    check(Window::Current, points.current, points.reference)?;
    let within = points.map(|points| {
        let pairs = points.iter().enumerate();
        pairs.flat_map(|(place, one)| points.iter().skip(place + 1).map(|other| squared_distance(one, other)))
    });
    let (reference, current): (Vec<f64>, Vec<f64>) = (within.reference.collect(), within.current.collect());
    let between: Vec<f64> = points
        .reference
        .iter()
        .flat_map(|one| points.current.iter().map(|other| squared_distance(one, other)))
        .collect();
    let median = median(reference.iter().chain(&current).chain(&between).copied().collect());
    let sum = |distances: &[f64]| distances.iter().map(|distance| kernel(*distance, median)).sum::<f64>();
    let (n, m) = (points.reference.len() as f64, points.current.len() as f64);
    let (inner, cross) =
        (Pair { reference: sum(&reference), current: sum(&current) }, sum(&between) / (n * m));
    let biased = (n + 2.0 * inner.reference) / (n * n) + (m + 2.0 * inner.current) / (m * m) - 2.0 * cross;
    let unbiased = (n > 1.0 && m > 1.0).then(|| {
        2.0 * inner.reference / (n * (n - 1.0)) + 2.0 * inner.current / (m * (m - 1.0)) - 2.0 * cross
    });
    Ok(Discrepancy { median, biased, unbiased })
}

fn check<P: AsRef<[f64]>>(window: Window, points: &[P], first: &[P]) -> Result<(), DriftError> {
    if points.is_empty() {
        return Err(DriftError::EmptyWindow { window });
    }
    let expected = first.first().map_or(0, |point| point.as_ref().len());
    for (place, point) in points.iter().map(AsRef::as_ref).enumerate() {
        if point.len() != expected {
            return Err(DriftError::DimensionMismatch { expected, found: point.len() });
        }
        if point.iter().any(|coordinate| !coordinate.is_finite()) {
            return Err(DriftError::NonFinite { window, place });
        }
    }
    Ok(())
}

fn squared_distance<P: AsRef<[f64]>>(one: &P, other: &P) -> f64 {
    one.as_ref().iter().zip(other.as_ref()).map(|(a, b)| (a - b).powi(2)).sum()
}

/// Where most points are one, all others are infinitely far from it.
fn kernel(squared_distance: f64, median: f64) -> f64 {
    if squared_distance > 0.0 { (-squared_distance / median).exp() } else { 1.0 }
}

/// The middle of the values, or the mean of the two in the middle; 0 without a value.
fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    let is_even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if is_even { (below.iter().copied().fold(f64::NEG_INFINITY, f64::max) + upper) / 2.0 } else { upper }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_that_are_all_alike_are_nowhere_apart_and_two_heaps_are_as_far_as_can_be() {
        let (here, there) = ([[1.0, 2.0]; 4], [[7.0, 2.0]; 3]);
        let same = discrepancy(Pair { reference: &here[..], current: &here[..] }).unwrap();
        assert_eq!((same.median, same.biased, same.unbiased), (0.0, 0.0, Some(0.0)));
        let apart = discrepancy(Pair { reference: &here[..], current: &there[..] }).unwrap();
        let expected = 2.0 - 2.0 * (-36.0_f64 / apart.median).exp();
        assert!((apart.biased - expected).abs() < 1e-12);
    }

    #[test]
    fn points_that_cannot_be_compared_are_refused() {
        let of =
            |reference: &[Vec<f64>], current: &[Vec<f64>]| discrepancy(Pair { reference, current }).err();
        let (flat, deep) = (vec![vec![1.0]], vec![vec![1.0, 2.0]]);
        assert_eq!(of(&flat, &[]), Some(DriftError::EmptyWindow { window: Window::Current }));
        assert_eq!(of(&flat, &deep), Some(DriftError::DimensionMismatch { expected: 1, found: 2 }));
        let endless = vec![vec![1.0], vec![f64::INFINITY]];
        assert_eq!(of(&flat, &endless), Some(DriftError::NonFinite { window: Window::Current, place: 1 }));
        let one = discrepancy(Pair { reference: &flat, current: &flat }).unwrap();
        assert_eq!(one.unbiased, None);
    }
}
