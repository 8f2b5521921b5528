//! Whether a feature has only changed its unit: cents for euros, grams for kilograms, minutes for seconds.
//!
//! Then every quantile has moved by one factor. That is told apart from drift proper, in which quantiles move by different
//! factors: a heavier tail, more zeros, a constant added.

use super::{DriftError, Pair};

/// How far a quantile may be off the factor in ln units and the factor still be that of all: 28 %. An outer decile of 500 lognormal
/// prices (σ = 1) is off by 0.08 in the mean, the worst of nine by up to 0.2, and a sketch adds 0.06.
pub const FIT: f64 = 0.25;
/// How far the middle of the quantiles' factors may be off a known one, in ln units, to be taken for it: a tenth of the known
/// one's own, for a price does not rise eighty-five-fold by itself, within these bounds. The middle of 500 prices is off by 0.06.
const SNAP_LEAST: f64 = 0.05;
const SNAP_MOST: f64 = 0.2;
/// Quantiles that move must be at least so many.
const QUANTILES_MIN: usize = 3;
/// Where values have both signs, a quantile below this part of the largest says nothing of the factor: its sign is chance.
const NEAR_ZERO: f64 = 0.1;

/// What the factor 1 is between.
const SAME: &str = "the same unit";
/// Factors from 1 on between units that occur in retail, and what they are between. Their inverses are known too.
const KNOWN: [(f64, &str); 12] = [
    (1.0, SAME),
    (24.0, "days and hours"),
    (60.0, "hours and minutes, or minutes and seconds"),
    (1_440.0, "days and minutes"),
    (3_600.0, "hours and seconds"),
    (86_400.0, "days and seconds"),
    (1.0 / 0.453_592_37, "kilograms and pounds"),
    (28.349_523_125, "ounces and grams"),
    (2.54, "inches and centimetres"),
    (1.0 / 0.304_8, "metres and feet"),
    (1.609_344, "miles and kilometres"),
    (3.785_411_784, "US gallons and litres"),
];
/// Powers of ten up to this one are known: 100 for cents, 1,000 for grams.
const TENS_MAX: i32 = 9;

/// By what factor the quantiles of a feature have moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rescaling {
    /// What values of the reference have to be multiplied by. Never 0 and always finite; negative if the sign has changed too.
    /// That of [`Rescaling::unit`] if there is one, otherwise the median over the quantiles.
    pub factor: f64,
    /// What units the factor lies between, if it is a known one.
    pub unit: Option<&'static str>,
    /// How far the quantile that fits worst is off the factor, in ln units: 0.1 is about 10 %.
    pub deviation: f64,
    /// How many quantiles this rests on: those that are zero in both windows say nothing.
    pub quantiles: usize,
}

impl Rescaling {
    /// Whether the feature has the law it had, in another known unit, or with the other sign: every quantile fits, and the
    /// factor is known and not 1.
    ///
    /// Values that lie close together around something far from zero look so when they are shifted, too.
    #[must_use]
    pub fn is_change_of_unit(&self) -> bool {
        self.fits() && self.unit.is_some() && (self.factor - 1.0).abs() > 0.0
    }

    /// Whether every quantile has moved by the factor, within [`FIT`]: also if it is that of a price increase, or 1.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.deviation <= FIT
    }
}

/// The factor by which quantiles have moved, at equal levels that rise and lie symmetric around the median (such as 0.1 to
/// 0.9): then a change of sign is seen as well. O(k log k) for k quantiles.
///
/// Nothing if there is no one factor: fewer than three quantiles are other than zero, one is zero in only one of the windows,
/// or some have changed their sign and others not.
///
/// # Errors
///
/// [`DriftError::BinMismatch`] if there are not equally many quantiles; [`DriftError::NonFinite`] for NaN and infinities.
pub fn rescaling(quantiles: Pair<&[f64]>) -> Result<Option<Rescaling>, DriftError> {
    let lengths = quantiles.map(<[f64]>::len);
    if lengths.reference != lengths.current {
        return Err(DriftError::BinMismatch { reference: lengths.reference, current: lengths.current });
    }
    for (window, values) in
        [(super::Window::Reference, quantiles.reference), (super::Window::Current, quantiles.current)]
    {
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            return Err(DriftError::NonFinite { window, place });
        }
    }
    let straight = one_factor(quantiles, quantiles.current.iter().copied());
    if straight.is_some_and(|found| found.fits()) {
        return Ok(straight);
    }
    // −X has as its quantile at level q the negative of that at 1 − q
    let mirrored = one_factor(quantiles, quantiles.current.iter().rev().map(|value| -value));
    let mirrored = mirrored.filter(Rescaling::fits).map(|found| Rescaling {
        factor: -found.factor,
        unit: found.unit.map(|unit| if unit == SAME { "the other sign" } else { unit }),
        ..found
    });
    Ok(mirrored.or(straight))
}

/// The positive factor from the reference's quantiles to `current`.
fn one_factor(quantiles: Pair<&[f64]>, current: impl Iterator<Item = f64>) -> Option<Rescaling> {
    let largest = quantiles.map(|values| values.iter().fold(0.0_f64, |most, value| most.max(value.abs())));
    let has_both_signs = quantiles.reference.iter().any(|value| *value < 0.0)
        && quantiles.reference.iter().any(|value| *value > 0.0);
    let near = if has_both_signs { NEAR_ZERO } else { 0.0 };
    let mut logs = Vec::with_capacity(quantiles.reference.len());
    for (reference, current) in quantiles.reference.iter().copied().zip(current) {
        if reference.abs() <= near * largest.reference && current.abs() <= near * largest.current {
            continue;
        }
        if reference * current.signum() <= 0.0 || current.abs() <= 0.0 {
            return None;
        }
        logs.push(current.abs().ln() - reference.abs().ln());
    }
    logs.sort_unstable_by(f64::total_cmp);
    let (low, high) = (*logs.first()?, *logs.last()?);
    if logs.len() < QUANTILES_MIN {
        return None;
    }
    // The median, so that a tail which has moved by itself does not draw the factor along.
    let middle = *logs.get(logs.len() / 2)?;
    let known = nearest_known(middle);
    let factor = known.map_or(middle.exp(), |(factor, _)| factor);
    let deviation = (high - factor.ln()).max(factor.ln() - low);
    (factor > 0.0 && factor.is_finite()).then_some(Rescaling {
        factor,
        unit: known.map(|(_, unit)| unit),
        deviation,
        quantiles: logs.len(),
    })
}

/// How far from this factor's ln another may be to be taken for it.
fn snap(log: f64) -> f64 {
    (log.abs() / 10.0).clamp(SNAP_LEAST, SNAP_MOST)
}

/// The known factor nearest to e^`log`, if it is near enough to be meant.
fn nearest_known(log: f64) -> Option<(f64, &'static str)> {
    let tens = (1..=TENS_MAX).map(|power| (10.0_f64.powi(power), "a power of ten"));
    let upwards = KNOWN.into_iter().chain(tens);
    let all = upwards.flat_map(|(factor, unit)| [(factor, unit), (1.0 / factor, unit)]);
    let off = |factor: f64| (factor.ln() - log).abs();
    let nearest = all.min_by(|(one, _), (other, _)| off(*one).total_cmp(&off(*other)));
    nearest.filter(|(factor, _)| off(*factor) <= snap(factor.ln()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "what is exact is compared exactly")]

    use super::*;
    use crate::drift::Window;
    use proptest::prelude::*;

    /// Deciles of a lognormal price around 20 with σ = 1, and of a standard normal law.
    const PRICES: [f64; 9] = [5.55, 8.62, 11.84, 15.52, 20.0, 25.77, 33.79, 46.41, 72.05];
    const NORMAL: [f64; 9] = [-1.2816, -0.8416, -0.5244, -0.2533, 0.0, 0.2533, 0.5244, 0.8416, 1.2816];

    fn of(reference: &[f64], current: &[f64]) -> Option<Rescaling> {
        rescaling(Pair { reference, current }).unwrap()
    }

    fn moved(quantiles: &[f64], by: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut moved: Vec<f64> = quantiles.iter().map(|value| by(*value)).collect();
        moved.sort_by(f64::total_cmp);
        moved
    }

    #[test]
    fn the_known_factors_are_far_enough_apart_to_be_told_apart() {
        let mut logs: Vec<f64> = KNOWN.iter().map(|(factor, _)| factor.ln()).collect();
        logs.extend((1..=TENS_MAX).map(|power| 10.0_f64.powi(power).ln()));
        logs.sort_by(f64::total_cmp);
        assert!(logs.windows(2).all(|two| two[1] - two[0] > 2.0 * SNAP_LEAST), "{logs:?}");
    }

    #[test]
    fn cents_for_euros_and_kilograms_for_grams_are_a_change_of_unit() {
        for (factor, unit) in
            [(100.0, "a power of ten"), (1e-3, "a power of ten"), (1.0 / 2.54, "inches and centimetres")]
        {
            let found = of(&PRICES, &moved(&PRICES, |value| value * factor)).unwrap();
            assert!(found.is_change_of_unit() && found.deviation < 1e-9, "{found:?}");
            assert!((found.factor / factor - 1.0).abs() < 1e-12 && found.unit == Some(unit), "{found:?}");
        }
    }

    #[test]
    fn a_price_increase_has_one_factor_but_no_unit() {
        let found = of(&PRICES, &moved(&PRICES, |value| value * 1.12)).unwrap();
        assert!(found.fits() && !found.is_change_of_unit() && found.unit.is_none());
        assert!((found.factor - 1.12).abs() < 1e-9);
        let same = of(&PRICES, &PRICES).unwrap();
        assert!(same.fits() && !same.is_change_of_unit() && same.factor == 1.0);
    }

    #[test]
    fn a_tail_that_has_moved_by_itself_is_no_change_of_unit() {
        let heavier = moved(&PRICES, |value| if value > 30.0 { value * 100.0 } else { value });
        let found = of(&PRICES, &heavier).unwrap();
        assert!(!found.fits() && found.factor == 1.0 && found.deviation > 4.0, "{found:?}");
    }

    #[test]
    fn a_constant_that_was_added_is_no_change_of_unit() {
        let found = of(&PRICES, &moved(&PRICES, |value| value + 10.0)).unwrap();
        assert!(!found.is_change_of_unit(), "{found:?}");
    }

    #[test]
    fn noise_of_small_windows_is_put_up_with() {
        let noise = [0.1, -0.08, 0.05, 0.03, -0.02, 0.04, -0.05, 0.08, -0.12];
        let noisy: Vec<f64> =
            PRICES.iter().zip(noise).map(|(value, off): (&f64, f64)| value * 100.0 * off.exp()).collect();
        let found = of(&PRICES, &noisy).unwrap();
        assert!(found.is_change_of_unit() && found.factor == 100.0, "{found:?}");
        assert!((found.deviation - 0.12).abs() < 1e-9);
    }

    #[test]
    fn values_of_both_signs_are_judged_by_those_away_from_zero() {
        // the sign of the median is chance
        let noisy = moved(&NORMAL, |value| value * 60.0 - 2.0);
        let found = of(&NORMAL, &noisy).unwrap();
        assert!(found.is_change_of_unit() && found.factor == 60.0 && found.quantiles < 9, "{found:?}");
        let same = of(&NORMAL, &moved(&NORMAL, |value| value - 0.01)).unwrap();
        assert!(!same.is_change_of_unit() && same.factor == 1.0);
    }

    #[test]
    fn refunds_that_are_now_negative_have_changed_their_sign() {
        let flipped = of(&PRICES, &moved(&PRICES, |value| -value)).unwrap();
        assert!(flipped.is_change_of_unit() && flipped.factor == -1.0);
        assert_eq!(flipped.unit, Some("the other sign"));
        let cents = of(&PRICES, &moved(&PRICES, |value| -100.0 * value)).unwrap();
        assert!(cents.is_change_of_unit() && cents.factor == -100.0 && cents.unit == Some("a power of ten"));
    }

    #[test]
    fn zeros_say_nothing_where_both_have_them_and_much_where_one_has() {
        let discounts = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6, 4.5, 11.4];
        let cents = of(&discounts, &moved(&discounts, |value| value * 100.0)).unwrap();
        assert!(cents.is_change_of_unit() && cents.quantiles == 3);
        assert_eq!(of(&discounts, &PRICES), None);
        assert_eq!(of(&PRICES, &discounts), None);
        assert_eq!(of(&[0.0; 9], &[0.0; 9]), None);
        assert_eq!(of(&[], &[]), None);
    }

    #[test]
    fn quantiles_that_cannot_be_compared_are_refused() {
        let of = |reference: &[f64], current: &[f64]| rescaling(Pair { reference, current }).err();
        assert_eq!(of(&[1.0], &[1.0, 2.0]), Some(DriftError::BinMismatch { reference: 1, current: 2 }));
        let window = Window::Current;
        assert_eq!(of(&[1.0], &[f64::NAN]), Some(DriftError::NonFinite { window, place: 0 }));
    }

    proptest! {
        #[test]
        fn any_factor_is_found_and_going_back_is_its_inverse(power in -6.0_f64..6.0) {
            let factor = 10.0_f64.powf(power);
            let there = moved(&PRICES, |value| value * factor);
            let (one, back) = (of(&PRICES, &there).unwrap(), of(&there, &PRICES).unwrap());
            prop_assert!(one.fits() && (one.factor.ln() - factor.ln()).abs() <= SNAP_MOST + 1e-9);
            prop_assert!((one.factor * back.factor - 1.0).abs() < 1e-9);
        }

        #[test]
        fn any_quantiles_have_a_finite_answer(one in prop::collection::vec(-1e300_f64..1e300, 9), other in prop::collection::vec(-1e300_f64..1e300, 9)) {
            if let Some(found) = of(&moved(&one, |x| x), &moved(&other, |x| x)) {
                prop_assert!(found.factor.is_finite() && found.factor != 0.0 && found.deviation.is_finite());
            }
        }
    }
}
