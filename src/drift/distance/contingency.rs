//! Pearson's chi-square for two windows: over categories or bins, and for how many values are missing.

use crate::drift::Pair;
use crate::drift::p_value::{chi_square_survival, normal_two_sided};

/// A chi-square statistic and its degrees of freedom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    /// Σ (observed − expected)² / expected, at least 0.
    pub statistic: f64,
    /// The bins that are used, less one. 0 if all values are in one bin: then there is nothing to test.
    pub degrees_of_freedom: u64,
}

impl ChiSquare {
    /// Of two rows over some columns, `totals` being the sums of the rows, each above 0.
    pub(super) fn of_homogeneity(totals: Pair<u64>, columns: impl Iterator<Item = Pair<u64>>) -> ChiSquare {
        let totals = totals.map(|total| total as f64);
        let all = totals.reference + totals.current;
        let mut of = ChiSquare { statistic: 0.0, degrees_of_freedom: 0 };
        for column in columns.filter(|column| column.total() > 0).enumerate() {
            let (before, counts) = (column.0, column.1.map(|count| count as f64));
            let both = counts.reference + counts.current;
            // With two rows, observed − expected has one size in both: d = a − (a + b)·n / N, whence d²/e₁ + d²/e₂
            let expected = totals.map(|total| both * total / all);
            let difference = counts.reference - expected.reference;
            of.statistic += difference.powi(2) / expected.reference + difference.powi(2) / expected.current;
            of.degrees_of_freedom = before as u64;
        }
        of
    }

    /// How often two windows of one law are at least that far apart, in [0, 1]; 1 if there is nothing to test.
    #[must_use]
    pub fn p_value(self) -> f64 {
        chi_square_survival(self.statistic, self.degrees_of_freedom)
    }
}

/// The bin or category whose share has moved farthest beyond chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MostShifted {
    /// Its index.
    pub bin: usize,
    /// By how many standard deviations more of the current window is in it than if both windows had one law; negative if less.
    pub deviations: f64,
    /// How often chance alone moves any bin that far, in [0, 1]: that of this bin times the number of bins (Bonferroni).
    pub p_value: f64,
}

impl MostShifted {
    /// Of two rows over some columns, `totals` being the sums of the rows, each above 0. The first of equal ones.
    pub(super) fn of(totals: Pair<u64>, columns: impl Iterator<Item = Pair<u64>>) -> MostShifted {
        let shares = totals.map(|total| total as f64 / (totals.reference as f64 + totals.current as f64));
        let all = totals.reference as f64 + totals.current as f64;
        let mut most = MostShifted { bin: 0, deviations: 0.0, p_value: 1.0 };
        let mut used = 0_u32;
        for (bin, column) in columns.enumerate().filter(|(_, column)| column.total() > 0) {
            used = used.saturating_add(1);
            let count = column.map(|count| count as f64);
            let both = count.reference + count.current;
            let variance = both * shares.reference * shares.current * (1.0 - both / all);
            // a bin that holds everything has no variance, and has not moved
            if variance > 0.0 {
                let deviations = (count.current - both * shares.current) / variance.sqrt();
                if deviations.abs() > most.deviations.abs() {
                    most = MostShifted { bin, deviations, p_value: 1.0 };
                }
            }
        }
        // of two bins one mirrors the other: that is one test
        let tests = if used == 2 { 1.0 } else { f64::from(used) };
        MostShifted { p_value: (normal_two_sided(most.deviations) * tests).min(1.0), ..most }
    }
}

/// In how many records of a window a value was missing, and in how many not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Presence {
    /// Records without the value.
    pub missing: u64,
    /// Records with it.
    pub present: u64,
}

/// Chi-square of a 2 × 2 table: whether values are missing as often in the current window as in the reference, without
/// correction for continuity. A window without a record says nothing: 0 degrees of freedom, p-value 1.
///
/// Serves any share of two outcomes. Fit for use if the expected number of either outcome is 5 or more in both windows.
#[must_use]
pub fn presence(windows: Pair<Presence>) -> ChiSquare {
    let totals = windows.map(|window| window.missing.saturating_add(window.present));
    if totals.reference == 0 || totals.current == 0 {
        return ChiSquare { statistic: 0.0, degrees_of_freedom: 0 };
    }
    let columns = [windows.map(|window| window.missing), windows.map(|window| window.present)];
    ChiSquare::of_homogeneity(totals, columns.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_missing_anywhere_or_an_empty_window_is_no_finding() {
        let of = |missing, present| Presence { missing, present };
        for (reference, current) in [(of(0, 9), of(0, 4)), (of(0, 0), of(3, 4)), (of(5, 0), of(2, 0))] {
            let test = presence(Pair { reference, current });
            assert_eq!((test.degrees_of_freedom, test.p_value()), (0, 1.0));
        }
    }

    #[test]
    fn one_store_that_doubles_among_many_stands_out_where_all_of_them_together_do_not() {
        // each of 200 stores has 50 and 50 records, one of them 50 and 90: 40 / √(140 · ¼ · …) = 3.38 deviations
        let of = |store: usize| Pair { reference: 50, current: if store == 77 { 90 } else { 50 } };
        let totals = Pair { reference: 200 * 50, current: 200 * 50 + 40 };
        let most = MostShifted::of(totals, (0..200).map(of));
        let all = totals.total() as f64;
        let share = totals.current as f64 / all;
        let expected = (90.0 - 140.0 * share) / (140.0 * share * (1.0 - share) * (1.0 - 140.0 / all)).sqrt();
        assert!(most.bin == 77 && (most.deviations - expected).abs() < 1e-12, "{most:?}");
        assert!((0.1..0.2).contains(&most.p_value), "200 times 0.0008");
        assert!(ChiSquare::of_homogeneity(totals, (0..200).map(of)).p_value() > 0.999);
    }

    #[test]
    fn of_two_bins_the_most_shifted_one_says_what_chi_square_does() {
        let (totals, columns) = (
            Pair { reference: 30, current: 40 },
            [(10, 25), (20, 15)].map(|(reference, current)| Pair { reference, current }),
        );
        let most = MostShifted::of(totals, columns.into_iter());
        let test = ChiSquare::of_homogeneity(totals, columns.into_iter());
        assert!((most.deviations.powi(2) - test.statistic).abs() < 1e-12 && most.deviations > 0.0);
        assert!((most.p_value - test.p_value()).abs() < 1e-12);
        let constant = MostShifted::of(totals, [totals].into_iter());
        assert_eq!((constant.bin, constant.p_value), (0, 1.0));
    }

    #[test]
    fn the_worked_example_of_a_two_by_two_table_agrees() {
        // 10 of 30 against 20 of 30: N (ad − bc)² / (all four margins) = 60 · 300² / (30 · 30 · 30 · 30) = 20/3
        let test = presence(Pair {
            reference: Presence { missing: 10, present: 20 },
            current: Presence { missing: 20, present: 10 },
        });
        assert!((test.statistic - 20.0 / 3.0).abs() < 1e-12);
        // P(χ²₁ > 20/3) = erfc(√(10/3))
        assert!((test.p_value() - 0.009_823_274_507_519_235).abs() < 1e-15);
    }
}
