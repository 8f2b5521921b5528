//! How far the numbers of a field lie apart: their standard deviation, from exact sums.
//!
//! Numbers are whole (minor units, pieces), so their sum and the sum of their squares are kept as integers: the value does not
//! depend on the order of the events, nor on how they were put into buckets, and does not suffer where all are large and
//! alike, as a difference of two large floating-point numbers would.

use super::sweep::Tally;
use super::view::Aggregate;
use serde::{Deserialize, Serialize};

/// Count, sum and sum of squares of some numbers; beyond their range they stay at its end.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Spread {
    count: u64,
    sum: i64,
    squares: u128,
}

/// The bound of `memory` counts on it.
const _: () = assert!(size_of::<Spread>() == 32);

impl Spread {
    /// Both together.
    #[must_use]
    pub(super) fn merged(self, other: Spread) -> Spread {
        Spread {
            count: self.count + other.count,
            sum: self.sum.saturating_add(other.sum),
            squares: self.squares.saturating_add(other.squares),
        }
    }

    /// The population's standard deviation, √(n·Σx² − (Σx)²) / n; without a value of nothing.
    fn standard_deviation(self) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let squared_sum = u128::from(self.sum.unsigned_abs()).pow(2);
        let scaled = self.squares.saturating_mul(u128::from(self.count)).saturating_sub(squared_sum);
        Some((scaled as f64).sqrt() / self.count as f64)
    }
}

impl Tally for Spread {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the words of numbers are whole, and a larger one stays at the end"
    )]
    fn add(&mut self, word: u64) {
        let number = f64::from_bits(word) as i64;
        let square = u128::from(number.unsigned_abs()).pow(2);
        *self = self.merged(Spread { count: 1, sum: number, squares: square });
    }

    fn value(&self, aggregate: Aggregate) -> Option<f64> {
        if matches!(aggregate, Aggregate::StandardDeviation(_)) { self.standard_deviation() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FieldId::AmountMinor;

    fn of(numbers: &[f64]) -> Spread {
        let mut spread = Spread::default();
        numbers.iter().for_each(|number| spread.add(number.to_bits()));
        spread
    }

    #[test]
    fn the_standard_deviation_of_nothing_has_no_value_and_of_one_number_is_zero() {
        let deviation = |numbers: &[f64]| of(numbers).value(Aggregate::StandardDeviation(AmountMinor));
        assert_eq!(deviation(&[]), None);
        assert_eq!(deviation(&[-7.0]), Some(0.0));
        assert_eq!(deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), Some(2.0));
    }

    #[test]
    fn large_numbers_that_are_nearly_alike_keep_their_difference() {
        let large = 9_000_000_000_000_000.0;
        assert_eq!(of(&[large, large + 2.0]).value(Aggregate::StandardDeviation(AmountMinor)), Some(1.0));
    }

    #[test]
    fn merging_is_as_adding_one_by_one() {
        let all = of(&[5.0, -2.0, 9.0]);
        assert_eq!(of(&[5.0]).merged(of(&[-2.0, 9.0])), all);
        assert_eq!(of(&[]).merged(all), all);
    }
}
