//! Smoothing of a cycle's slots by as much as they need.
//!
//! Differences from the neighbours, from the wider neighbourhood and so on up to the whole cycle are each kept in the proportion
//! in which they are more than noise (James & Stein 1961, per scale; scales by repeated smoothing with holes: Holschneider & al.
//! 1989). In a cycle of several days, their common profile is smoothed first, then the level of each day, then what is left.

/// Values of slots, and the weights (numbers of samples) they are known from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots<'a> {
    pub(super) values: &'a [f64],
    pub(super) weights: &'a [f64],
}

impl Slots<'_> {
    fn mean(self) -> f64 {
        mean_of(self.values.iter().copied().zip(self.weights.iter().copied()))
    }

    fn mean_square(self) -> f64 {
        mean_of(self.values.iter().map(|value| value * value).zip(self.weights.iter().copied()))
    }
}

/// Smooths slots of so many days whose samples each have this `noise` (variance); also says how much of the noise is kept, in
/// (0, 1].
pub(super) fn smooth(slots: Slots<'_>, noise: f64, days: usize) -> (Vec<f64>, f64) {
    let (values, weights) = (slots.values, slots.weights);
    let day = values.len() / days;
    let of_slot = |slot: usize| values.iter().copied().zip(weights.iter().copied()).skip(slot).step_by(day);
    let common: Vec<f64> = (0..day).map(|slot| mean_of(of_slot(slot))).collect();
    let common_weights: Vec<f64> =
        (0..day).map(|slot| of_slot(slot).map(|(_, weight)| weight).sum()).collect();
    let (common, kept) = smooth_scales(Slots { values: &common, weights: &common_weights }, noise);
    let kept = kept / days as f64;
    if days == 1 {
        return (common, kept);
    }
    let of_days =
        || values.chunks(day).zip(weights.chunks(day)).map(|(values, weights)| Slots { values, weights });
    // What a day is above what its own samples would be on any day.
    let level = Slots { values: &common, weights: &common_weights }.mean();
    let levels: Vec<f64> =
        of_days().map(|of_day| of_day.mean() - Slots { values: &common, ..of_day }.mean()).collect();
    let day_weights: Vec<f64> = of_days().map(|of_day| of_day.weights.iter().sum()).collect();
    let square = Slots { values: &levels, weights: &day_weights }.mean_square();
    let share = shrinkage(square, noise * days as f64 / day_weights.iter().sum::<f64>());
    // A busier day is busier in proportion, so far as the profile has a proportion.
    let steady = level.abs() > 1e-9 && common.iter().all(|mean| mean * level > 0.0);
    let usual: Vec<f64> = levels
        .iter()
        .flat_map(|of_day| {
            let of_day = share * of_day;
            common.iter().map(move |mean| if steady { mean * (1.0 + of_day / level) } else { mean + of_day })
        })
        .collect();
    let rest: Vec<f64> = values.iter().zip(&usual).map(|(value, usual)| value - usual).collect();
    let (rest, kept_of_rest) = smooth_scales(Slots { values: &rest, weights }, noise);
    let smoothed = usual.iter().zip(&rest).map(|(usual, rest)| usual + rest).collect();
    (smoothed, (kept + share / day as f64 + kept_of_rest).min(1.0))
}

/// Keeps of the differences at each scale as much as is more than noise.
///
/// Squares and noise are both weighted by the slots' weights, so that a quiet hour's noise is not taken for all hours' shape.
fn smooth_scales(slots: Slots<'_>, noise: f64) -> (Vec<f64>, f64) {
    let (mut rest, len) = (slots.values.to_vec(), slots.values.len());
    let noise = noise * len as f64 / slots.weights.iter().sum::<f64>();
    // What is left of one unit of noise shows how much of it each scale holds.
    let mut unit = vec![0.0; len];
    if let Some(first) = unit.first_mut() {
        *first = 1.0;
    }
    let mean = slots.mean();
    let mut smoothed = vec![mean; len];
    let mut kept = 1.0 / len as f64;
    let mut apart = 1;
    loop {
        let is_last = 4 * apart > len;
        let (coarse, unit_coarse) = if is_last {
            (vec![mean; len], vec![1.0 / len as f64; len])
        } else {
            (blur(&rest, apart), blur(&unit, apart))
        };
        let detail: Vec<f64> = rest.iter().zip(&coarse).map(|(fine, coarse)| fine - coarse).collect();
        let energy: f64 = unit.iter().zip(&unit_coarse).map(|(fine, coarse)| (fine - coarse).powi(2)).sum();
        let share = shrinkage(Slots { values: &detail, ..slots }.mean_square(), noise * energy);
        smoothed.iter_mut().zip(&detail).for_each(|(sum, detail)| *sum += share * detail);
        kept += share * share * energy;
        if is_last {
            return (smoothed, kept.min(1.0));
        }
        (rest, unit) = (coarse, unit_coarse);
        apart *= 2;
    }
}

/// The share of a mean square that is not noise.
pub(super) fn shrinkage(square: f64, noise: f64) -> f64 {
    if square > noise { 1.0 - noise / square } else { 0.0 }
}

/// Each value with its neighbours `apart` slots away, 1 : 2 : 1; the last is a neighbour of the first.
fn blur(values: &[f64], apart: usize) -> Vec<f64> {
    let around = |skipped: usize| values.iter().cycle().skip(skipped).take(values.len());
    around(values.len() - apart)
        .zip(values)
        .zip(around(apart))
        .map(|((a, b), c)| 0.25 * (a + 2.0 * b + c))
        .collect()
}

/// The mean of values with weights; 0 if there is no weight.
pub(super) fn mean_of(values: impl Iterator<Item = (f64, f64)>) -> f64 {
    let add = |(all, sum), (value, weight)| (all + weight, sum + weight * value);
    let (all, sum) = values.fold((0.0, 0.0), add);
    if all > 0.0 { sum / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    #[test]
    fn noise_is_smoothed_away_and_a_shape_is_not() {
        let shape: Vec<f64> = (0..24).map(|slot| (TAU * f64::from(slot) / 24.0).sin()).collect();
        let noisy: Vec<f64> =
            shape.iter().enumerate().map(|(at, v)| v + 0.5 * ((at * 7 % 24) as f64 / 11.5 - 1.0)).collect();
        let (smoothed, kept) = smooth_scales(Slots { values: &noisy, weights: &[10.0; 24] }, 0.9);
        let worst = shape.iter().zip(&smoothed).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 0.3 && kept < 0.4, "{worst} {kept}");
    }

    #[test]
    fn a_day_that_is_busier_than_others_stays_so() {
        let raw: Vec<f64> = (0..7_u8)
            .flat_map(|day| {
                (0..24_u8).map(move |slot| f64::from(10 + slot % 12) * if day == 6 { 1.5 } else { 1.0 })
            })
            .collect();
        let (smoothed, kept) = smooth(Slots { values: &raw, weights: &[100.0; 168] }, 1.0, 7);
        let worst = raw.iter().zip(&smoothed).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 0.5 && (0.0..=1.0).contains(&kept), "{worst} {kept}");
    }
}
