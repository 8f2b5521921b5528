//! How a sketch of a number is stored: only bins that hold something, each by its distance from the one before.

use super::bin::OUTERMOST;
use super::numeric::{Extremes, Moments, NumericSketch};
use super::run::Run;
use serde::{Deserialize, Serialize};

/// The form in which a sketch is written. With a variable-length code such as postcard's, two to three bytes a bin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    below_zero: Vec<(u16, u64)>,
    zeros: u64,
    above_zero: Vec<(u16, u64)>,
    missing: u64,
    non_finite: u64,
    /// Nothing without a value.
    values: Option<Values>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Values {
    sum: f64,
    squares: f64,
    least: f64,
    greatest: f64,
}

/// Why stored bytes are no sketch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoredError {
    #[error("a bin beyond the outermost, or twice, or without a count")]
    Bin,
    #[error("more values than can be counted")]
    Count,
    #[error("sums or extremes that these bins do not have")]
    Values,
}

impl From<&NumericSketch> for Stored {
    fn from(sketch: &NumericSketch) -> Stored {
        Stored {
            below_zero: distances(&sketch.below_zero),
            zeros: sketch.zeros,
            above_zero: distances(&sketch.above_zero),
            missing: sketch.missing,
            non_finite: sketch.non_finite,
            values: (sketch.count > 0).then_some(Values {
                sum: sketch.moments.sum,
                squares: sketch.moments.squares,
                least: sketch.extremes.least,
                greatest: sketch.extremes.greatest,
            }),
        }
    }
}

impl TryFrom<Stored> for NumericSketch {
    type Error = StoredError;

    fn try_from(stored: Stored) -> Result<NumericSketch, StoredError> {
        let counts = stored.below_zero.iter().chain(&stored.above_zero).map(|(_, count)| *count);
        let count =
            counts.chain([stored.zeros]).try_fold(0_u64, u64::checked_add).ok_or(StoredError::Count)?;
        let (below_zero, above_zero) = (run(&stored.below_zero)?, run(&stored.above_zero)?);
        let (moments, extremes) = match stored.values {
            Some(values) if count > 0 && values.are_in_order() => (
                Moments { sum: values.sum, squares: values.squares },
                Extremes { least: values.least, greatest: values.greatest },
            ),
            None if count == 0 => Default::default(),
            _ => return Err(StoredError::Values),
        };
        let Stored { zeros, missing, non_finite, .. } = stored;
        Ok(NumericSketch { below_zero, above_zero, zeros, count, missing, non_finite, moments, extremes })
    }
}

impl Values {
    fn are_in_order(self) -> bool {
        let all = [self.sum, self.squares, self.least, self.greatest];
        all.iter().all(|value| value.is_finite()) && self.least <= self.greatest && self.squares >= 0.0
    }
}

/// The bins from zero outwards: the first by its number, each other by its distance from the one before.
fn distances(run: &Run) -> Vec<(u16, u64)> {
    let mut before = 0;
    run.iter().map(|(place, count)| (place - std::mem::replace(&mut before, place), count)).collect()
}

fn run(distances: &[(u16, u64)]) -> Result<Run, StoredError> {
    let after = |place: u16, distance: u16| {
        place.checked_add(distance).filter(|place| *place <= OUTERMOST).ok_or(StoredError::Bin)
    };
    let mut run = Run::default();
    let Some((first, _)) = distances.first() else { return Ok(run) };
    // it grows once
    run.reach(after(0, *first)?);
    run.reach(distances.iter().try_fold(0, |place, (distance, _)| after(place, *distance))?);
    let mut place = 0;
    for (index, (distance, count)) in distances.iter().copied().enumerate() {
        if count == 0 || distance == 0 && index > 0 {
            return Err(StoredError::Bin);
        }
        place = after(place, distance)?;
        run.add(place, count);
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NumericSketch, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    fn with(below_zero: &str, zeros: u64, values: &str) -> Result<NumericSketch, String> {
        read(&format!(
            r#"{{"below_zero": {below_zero}, "zeros": {zeros}, "above_zero": [], "missing": 0, "non_finite": 0, "values": {values}}}"#
        ))
    }

    #[test]
    fn what_no_sketch_can_hold_is_refused() {
        let fine = r#"{"sum": -1.5, "squares": 2.25, "least": -1.5, "greatest": -1.5}"#;
        assert!(with("[[329, 1]]", 0, fine).is_ok() && with("[]", 0, "null").is_ok());
        for (below_zero, zeros, values, fault) in [
            ("[[1281, 1]]", 0, fine, "a bin beyond"),
            ("[[65535, 1]]", 0, fine, "a bin beyond"),
            ("[[5, 1], [0, 1]]", 0, fine, "or twice"),
            ("[[5, 0]]", 1, fine, "without a count"),
            ("[[5, 18446744073709551615], [1, 1]]", 0, fine, "more values"),
            ("[[5, 1]]", 0, "null", "sums or extremes"),
            ("[]", 0, fine, "sums or extremes"),
            ("[[5, 1]]", 0, r#"{"sum": 0, "squares": 0, "least": 2, "greatest": 1}"#, "sums or extremes"),
        ] {
            let error = with(below_zero, zeros, values).unwrap_err();
            assert!(error.contains(fault), "{below_zero} {values}: {error}");
        }
    }
}
