//! What can be said of the numbers of a field: how many, sum, lowest and highest.

use super::sweep::Tally;
use super::view::Aggregate;
use serde::{Deserialize, Serialize};

/// Count, sum, minimum and maximum of some numbers. Merging is independent of order as long as
/// sums stay below 2⁵³, which minor units do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Totals {
    count: u64,
    sum: f64,
    /// +∞ of nothing.
    min: f64,
    /// −∞ of nothing.
    max: f64,
}

/// The bound of `memory` counts on it.
const _: () = assert!(size_of::<Totals>() == 32);

impl Default for Totals {
    fn default() -> Totals {
        Totals { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Totals {
    /// So many events of which no number is looked at.
    pub(super) fn of_events(count: u64) -> Totals {
        Totals { count, ..Totals::default() }
    }

    /// Both together.
    #[must_use]
    pub(super) fn merged(self, other: Totals) -> Totals {
        Totals {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

impl Tally for Totals {
    fn add(&mut self, word: u64) {
        let number = f64::from_bits(word);
        self.count += 1;
        self.sum += number;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
    }

    fn value(&self, aggregate: Aggregate) -> Option<f64> {
        let of_something = |number| (self.count > 0).then_some(number);
        match aggregate {
            Aggregate::Count => Some(self.count as f64),
            Aggregate::Sum(_) => Some(self.sum),
            // what the payment is compared with
            Aggregate::Mean(_) | Aggregate::Ratio(_) => of_something(self.sum / self.count as f64),
            Aggregate::Min(_) => of_something(self.min),
            Aggregate::Max(_) => of_something(self.max),
            Aggregate::StandardDeviation(_)
            | Aggregate::Distinct(_)
            | Aggregate::Top { .. }
            | Aggregate::Last(_)
            | Aggregate::TimeSinceFirst
            | Aggregate::TimeSinceLast => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FieldId::AmountMinor;

    fn of(numbers: &[f64]) -> Totals {
        let mut totals = Totals::default();
        numbers.iter().for_each(|number| totals.add(number.to_bits()));
        totals
    }

    #[test]
    fn a_count_or_sum_of_nothing_is_zero_and_the_others_have_no_value() {
        let table = [
            (Aggregate::Count, Some(0.0), Some(3.0)),
            (Aggregate::Sum(AmountMinor), Some(0.0), Some(6.0)),
            (Aggregate::Mean(AmountMinor), None, Some(2.0)),
            (Aggregate::Min(AmountMinor), None, Some(-1.0)),
            (Aggregate::Max(AmountMinor), None, Some(4.0)),
        ];
        for (aggregate, of_nothing, of_three) in table {
            assert_eq!(of(&[]).value(aggregate), of_nothing, "{aggregate:?} of nothing");
            assert_eq!(of(&[3.0, -1.0, 4.0]).value(aggregate), of_three, "{aggregate:?}");
        }
    }

    #[test]
    fn merging_is_as_adding_one_by_one() {
        let all = of(&[5.0, 2.0, 9.0]);
        assert_eq!(of(&[5.0]).merged(of(&[2.0, 9.0])), all);
        assert_eq!(of(&[]).merged(all), all);
    }
}
