//! The fixed bins of numbers: by sign, power of two, and sixteenth of it.

use serde::{Deserialize, Serialize};

/// Magnitudes below 2⁻²⁰, about a millionth, count as zero.
pub const SMALLEST: f64 = 1.0 / 1_048_576.0;
/// Magnitudes from 2⁶⁰, about 10¹⁸, on are in the outermost bins.
pub const LARGEST: f64 = 1_152_921_504_606_846_976.0;
/// Each doubling is divided into so many bins of equal width.
pub const BINS_PER_DOUBLING: u16 = 16;
/// How far [`Bin::representative`] is from a value of its bin at most, as a part of the value: 1/33.
pub const RELATIVE_ERROR: f64 = 1.0 / 33.0;

/// The upper bits of an `f64` without its sign: the exponent, and four bits of the mantissa.
const SHIFT: u32 = 48;
const FIRST: u64 = SMALLEST.to_bits() >> SHIFT;
/// The number of the outermost bin: 80 doublings times 16.
pub(super) const OUTERMOST: u16 = 80 * BINS_PER_DOUBLING;

const _: () =
    assert!((LARGEST.to_bits() >> SHIFT) - FIRST == OUTERMOST as u64, "the bins end where they are said to");

/// Where a magnitude belongs: the number of its bin on either side of zero, or nothing for zero.
///
/// `magnitude` is neither negative nor NaN; infinity would be in the outermost bin.
pub(super) fn place_of(magnitude: f64) -> Option<u16> {
    let place = (magnitude.to_bits() >> SHIFT).checked_sub(FIRST)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is at most OUTERMOST")]
    Some(place.min(u64::from(OUTERMOST)) as u16)
}

/// A bin: the k-th above zero is k, the k-th below is −k, the one around zero is 0. Bins rise as their values do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bin(i16);

impl Bin {
    /// The one around zero.
    pub const ZERO: Bin = Bin(0);

    /// Where a number belongs; infinities too, NaN to zero.
    #[must_use]
    pub fn of(value: f64) -> Bin {
        match place_of(value.abs()) {
            None => Bin::ZERO,
            Some(_) if value.is_nan() => Bin::ZERO,
            Some(place) if value < 0.0 => Bin::below_zero(place),
            Some(place) => Bin::above_zero(place),
        }
    }

    pub(super) fn above_zero(place: u16) -> Bin {
        Bin(i16::try_from(place.min(OUTERMOST)).unwrap_or(i16::MAX).saturating_add(1))
    }

    pub(super) fn below_zero(place: u16) -> Bin {
        Bin(-Bin::above_zero(place).0)
    }

    /// The next below it; the lowest is before itself.
    #[must_use]
    pub fn before(self) -> Bin {
        Bin::below_zero(OUTERMOST).max(Bin(self.0.saturating_sub(1)))
    }

    /// The least value in it; for bins below zero, what its values are above. −∞ for the lowest.
    #[must_use]
    pub fn lower(self) -> f64 {
        if self.0 > 0 { magnitude_at(self.0 - 1) } else { -Bin(-self.0).open_end() }
    }

    /// What its values are below; for bins below zero, the largest of them. ∞ for the highest.
    #[must_use]
    pub fn upper(self) -> f64 {
        if self.0 < 0 { -Bin(-self.0).lower() } else { self.open_end() }
    }

    /// The value that is within [`RELATIVE_ERROR`] of all in it: 2ab/(a + b) between a and b. 0 for the bin around zero, and the
    /// finite end for the outermost ones.
    #[must_use]
    pub fn representative(self) -> f64 {
        if self.0 == 0 {
            return 0.0;
        }
        let (low, high) = (Bin(self.0.abs()).lower(), Bin(self.0.abs()).open_end());
        let magnitude = if high.is_finite() { low * (2.0 * high / (low + high)) } else { low };
        if self.0 < 0 { -magnitude } else { magnitude }
    }

    /// The upper end of a bin from zero on.
    fn open_end(self) -> f64 {
        let is_outermost = self.0 > i16::try_from(OUTERMOST).unwrap_or(i16::MAX);
        if is_outermost { f64::INFINITY } else { magnitude_at(self.0) }
    }
}

/// The lower end of the bin with this number on the positive side, counted from 0.
fn magnitude_at(place: i16) -> f64 {
    f64::from_bits((FIRST + u64::from(place.unsigned_abs())) << SHIFT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bins_begin_and_end_where_they_are_said_to() {
        let around = |value: f64| [value.next_down(), value, value.next_up()].map(|value| Bin::of(value).0);
        assert_eq!(around(SMALLEST), [0, 1, 1]);
        assert_eq!(around(-SMALLEST), [-1, -1, 0]);
        assert_eq!(around(LARGEST), [1280, 1281, 1281]);
        assert_eq!(around(1.0), [320, 321, 321]);
        assert_eq!(around(1.0625), [321, 322, 322]);
        assert_eq!([0.0, -0.0, f64::NAN].map(Bin::of), [Bin::ZERO; 3]);
        assert_eq!([f64::MAX, f64::INFINITY, -f64::MAX].map(|value| Bin::of(value).0), [1281, 1281, -1281]);
        assert_eq!((Bin::ZERO.lower(), Bin::ZERO.upper()), (-SMALLEST, SMALLEST));
        assert_eq!((Bin(1281).lower(), Bin(1281).upper()), (LARGEST, f64::INFINITY));
        assert_eq!((Bin(-1281).lower(), Bin(-1281).upper()), (f64::NEG_INFINITY, -LARGEST));
        assert_eq!(
            [Bin(1).before(), Bin::ZERO.before(), Bin(-1281).before()].map(|bin| bin.0),
            [0, -1, -1281]
        );
        assert_eq!((Bin(321).lower(), Bin(321).upper()), (1.0, 1.0625));
        assert_eq!((Bin(-321).lower(), Bin(-321).upper()), (-1.0625, -1.0));
    }

    proptest! {
        #[test]
        fn each_value_lies_in_its_bin_and_near_its_representative(magnitude in -20.0_f64..60.0, is_negative: bool) {
            let value = if is_negative { -magnitude.exp2() } else { magnitude.exp2() };
            let bin = Bin::of(value);
            prop_assert!(bin.lower() <= value && value <= bin.upper());
            prop_assert!((bin.representative() / value - 1.0).abs() <= RELATIVE_ERROR * (1.0 + 1e-12));
        }

        #[test]
        fn bins_rise_with_the_values_and_meet(one in prop::num::f64::NORMAL, number in -1280_i16..1280) {
            prop_assert!(Bin::of(one) <= Bin::of(one.next_up()));
            prop_assert_eq!(Bin(number).upper().to_bits(), Bin(number + 1).lower().to_bits());
        }
    }
}
