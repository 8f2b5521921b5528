//! How far two windows are apart.
//!
//! Over counts per bin or category ([`Counts`]): population stability index, Kullback-Leibler, Jensen-Shannon, total variation,
//! L-infinity, Hellinger, Kolmogorov-Smirnov, Wasserstein, chi-square. Over raw samples ([`Sample`]): Kolmogorov-Smirnov,
//! Wasserstein, energy distance, Cramér-von Mises, quantile bins. Over points ([`kernel`]): maximum mean discrepancy.
//!
//! A thing that is the same in both windows has distance 0, also if it is constant: nothing here is NaN. Thresholds are not
//! comparable from one measure to another, nor with other programs that go by the same name.

mod categories;
mod contingency;
mod counts;
mod edges;
pub mod kernel;
mod ordered;
mod sample;
mod walk;

pub use categories::Categories;
pub use contingency::{ChiSquare, MostShifted, Presence, presence};
pub use counts::{Counts, SHARE_FLOOR};
pub use edges::{QuantileBins, in_deviations};
pub use ordered::{CramerVonMises, Direction, KolmogorovSmirnov};
pub use sample::Sample;
