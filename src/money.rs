//! Sums of money, by currency.

use std::borrow::Borrow;
use std::collections::BTreeMap;

/// Adds an amount in minor units to the sum of its currency; a sum stays within 64 bits.
pub fn add_money<C>(sums: &mut BTreeMap<C, i64>, currency: &str, minor: i64)
where
    C: Ord + Borrow<str> + for<'c> From<&'c str>,
{
    match sums.get_mut(currency) {
        Some(sum) => *sum = sum.saturating_add(minor),
        None => {
            sums.insert(currency.into(), minor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_currency_has_a_sum_of_its_own_that_does_not_overflow() {
        let mut sums = BTreeMap::<String, i64>::new();
        for (currency, minor) in [("EUR", i64::MAX), ("SEK", -2), ("EUR", 1), ("SEK", -3)] {
            add_money(&mut sums, currency, minor);
        }
        assert_eq!((sums["EUR"], sums["SEK"]), (i64::MAX, -5));
    }
}
