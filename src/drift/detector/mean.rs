//! Mean and variance of a stream, one value at a time (Welford 1962).
//!
//! To the last bit as river has them: the difference is multiplied by the reciprocal of the count, not divided by it.

use serde::{Deserialize, Serialize};

/// The mean of all values so far; 0 before the first. 16 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    count: u64,
    mean: f64,
}

impl Mean {
    /// Takes a value into account.
    pub fn add(&mut self, x: f64) {
        self.count += 1;
        self.mean += (1.0 / self.count as f64) * (x - self.mean);
    }

    /// How many values there were.
    #[must_use]
    pub fn count(self) -> u64 {
        self.count
    }

    /// Their mean.
    #[must_use]
    pub fn mean(self) -> f64 {
        self.mean
    }
}

/// Mean and variance of all values so far. 24 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Variance {
    mean: Mean,
    squared_deviations: f64,
}

impl Variance {
    /// Takes a value into account.
    pub fn add(&mut self, x: f64) {
        let before = self.mean.mean();
        self.mean.add(x);
        self.squared_deviations += (x - before) * (x - self.mean.mean());
    }

    /// How many values there were.
    #[must_use]
    pub fn count(self) -> u64 {
        self.mean.count()
    }

    /// Their mean.
    #[must_use]
    pub fn mean(self) -> f64 {
        self.mean.mean()
    }

    /// The variance of what they are a sample of (divided by one less than their number); 0 of less than two values.
    #[must_use]
    pub fn variance(self) -> f64 {
        match self.count() {
            0 | 1 => 0.0,
            count => self.squared_deviations / (count - 1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_variance_are_those_of_a_worked_example() {
        let mut variance = Variance::default();
        [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].iter().for_each(|x| variance.add(*x));
        assert_eq!(variance.count(), 8);
        assert!((variance.mean() - 5.0).abs() < 1e-15);
        assert!((variance.variance() - 32.0 / 7.0).abs() < 1e-14);
    }

    #[test]
    fn less_than_two_values_have_no_variance() {
        let mut variance = Variance::default();
        assert_eq!((variance.count(), variance.mean().to_bits(), variance.variance().to_bits()), (0, 0, 0));
        variance.add(7.5);
        assert_eq!((variance.count(), variance.mean(), variance.variance()), (1, 7.5, 0.0));
    }

    #[test]
    fn equal_values_have_their_own_mean_and_no_variance() {
        let mut variance = Variance::default();
        (0..1_000).for_each(|_| variance.add(0.1));
        assert_eq!((variance.mean(), variance.variance()), (0.1, 0.0));
    }

    #[test]
    fn the_difference_is_multiplied_by_the_reciprocal_of_the_count() {
        let mut mean = Mean::default();
        (0..48).for_each(|_| mean.add(0.0));
        mean.add(49.0);
        // 49 / 49 would be 1
        assert_eq!(mean.mean().to_bits(), 0.999_999_999_999_999_9_f64.to_bits());
    }
}
