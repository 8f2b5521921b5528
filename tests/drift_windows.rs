//! Whole windows of a hundred features, from values to alerts: how many false ones, and whether a true one is found.

use tillstream::drift::Pair;
use tillstream::drift::discoveries::{Dependence, Discoveries};
use tillstream::drift::factor::rescaling;
use tillstream::drift::sketch::{AlignedBins, Binning, NumericSketch};

const FEATURES: usize = 100;
const WINDOWS: u32 = 100;

/// A seeded generator: normal numbers as sums of twelve uniform ones.
struct Random(u64);

impl Random {
    fn normal(&mut self) -> f64 {
        let uniform = |seed: &mut u64| {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..12).map(|_| uniform(&mut self.0)).sum::<f64>() - 6.0
    }

    fn sketch(&mut self, count: u32, shift: f64) -> NumericSketch {
        (0..count).map(|_| self.normal() + shift).collect()
    }
}

/// Which features are discoveries at 5 %, by Kolmogorov-Smirnov and by chi-square over deciles, 500 values against 2,000.
fn alerts(random: &mut Random, references: &[NumericSketch], shift_of_first: f64) -> [Vec<usize>; 2] {
    let p_values: Vec<[f64; 2]> = references
        .iter()
        .enumerate()
        .map(|(feature, reference)| {
            let current = random.sketch(500, if feature == 0 { shift_of_first } else { 0.0 });
            let bins = AlignedBins::new(Pair { reference, current: &current });
            let deciles = bins.merged(Binning::ReferenceQuantiles(10));
            let farthest = bins.counts().expect("values").kolmogorov_smirnov();
            [farthest.p_value(), deciles.counts().expect("values").chi_square().p_value()]
        })
        .collect();
    [0, 1].map(|test| {
        let of: Vec<f64> = p_values.iter().filter_map(|both| both.get(test).copied()).collect();
        Discoveries::of(&of, Dependence::Positive).expect("p-values").at(0.05).collect()
    })
}

#[test]
fn a_hundred_stationary_features_alert_in_a_twentieth_of_windows_and_one_that_shifts_by_half_a_deviation_is_found()
 {
    let mut random = Random(2);
    let (mut false_windows, mut found) = ([0, 0], [0, 0]);
    for _ in 0..WINDOWS {
        // a reference of its own for each, or one unlucky reference would count in all of them
        let references: Vec<NumericSketch> = (0..FEATURES).map(|_| random.sketch(2_000, 0.0)).collect();
        let stationary = alerts(&mut random, &references, 0.0);
        let shifted = alerts(&mut random, &references, 0.5);
        for test in [0, 1] {
            false_windows[test] += u32::from(!stationary[test].is_empty());
            found[test] += u32::from(shifted[test].contains(&0));
        }
    }
    println!(
        "of {WINDOWS} windows, false {false_windows:?}, found {found:?} (Kolmogorov-Smirnov, chi-square)"
    );
    // 5 % of 100 is 5, with a standard deviation of 2.2
    assert!(false_windows.iter().all(|windows| *windows <= 11), "{false_windows:?}");
    assert!(found.iter().all(|windows| *windows >= 95), "{found:?}");
}

#[test]
fn cents_for_euros_are_told_from_a_price_increase_by_the_sketches_alone() {
    let mut random = Random(5);
    let levels: Vec<f64> = (1..10).map(|tenth| f64::from(tenth) / 10.0).collect();
    let mut prices = |count: u32, factor: f64| -> Vec<f64> {
        let sketch: NumericSketch = (0..count).map(|_| factor * (3.0 + random.normal()).exp()).collect();
        sketch.quantiles(&levels)
    };
    let mut units = [0, 0];
    for _ in 0..200 {
        let reference = prices(5_000, 1.0);
        for (factor, units) in [100.0, 1.15].into_iter().zip(&mut units) {
            let current = prices(500, factor);
            let found = rescaling(Pair { reference: &reference, current: &current }).expect("numbers");
            *units += u32::from(found.is_some_and(|found| found.is_change_of_unit()));
        }
    }
    println!("changes of unit: {} of 200 for cents, {} of 200 for a price increase", units[0], units[1]);
    assert!(units[0] >= 190 && units[1] == 0, "{units:?}");
}
