//! What is kept of the values of a feature in a window, so that windows can be merged, stored and compared.
//!
//! Which bin a value falls into, and which categories have a count of their own, depends on nothing but the value or the set of
//! names: not on the order of arrival, nor on which part of a window was counted where. So counts of merged sketches are those
//! of a sketch that has seen everything, and two sketches made apart can be aligned to common bins without looking at a value again.

mod align;
mod bin;
mod category;
mod category_align;
mod numeric;
mod run;
mod stored;

pub use align::{AlignedBins, Binning};
pub use bin::{BINS_PER_DOUBLING, Bin, LARGEST, RELATIVE_ERROR, SMALLEST};
pub use category::{CATEGORIES_MAX, CategorySketch, GROUPS, NAME_BYTES_MAX};
pub use category_align::{AlignedCategories, Label};
pub use numeric::NumericSketch;

/// How many values two windows should be expected to have in a bin, so that chi-square may be used on it.
///
/// Source: the usual rule, from Cochran 1954.
pub const EXPECTED_MIN: f64 = 5.0;

/// How many values either of two windows of one law would have, on the poorer side, in a bin that has `both` of them.
fn expected_in_both(both: u64, totals: super::Pair<u64>) -> f64 {
    let smaller = totals.reference.min(totals.current) as f64;
    both as f64 * smaller / (totals.reference as f64 + totals.current as f64)
}
