//! What a sketch costs per value, and what a window of a hundred features costs: `cargo bench --bench measures`.
//!
//! Input is built outside the timed part. The best of some rounds is printed, since the machine is shared.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench: it measures and prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};
use tillstream::drift::discoveries::{Dependence, Discoveries};
use tillstream::drift::distance::{SHARE_FLOOR, Sample};
use tillstream::drift::sketch::{
    AlignedBins, AlignedCategories, Binning, CategorySketch, EXPECTED_MIN, NumericSketch,
};
use tillstream::drift::{Pair, Window, p_value};

const FEATURES: usize = 100;
const VALUES: usize = 10_000;
const ROUNDS: usize = 15;

/// A seeded generator: uniform numbers, and normal ones from twelve of them.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

fn best(mut round: impl FnMut()) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        round();
        begun.elapsed()
    });
    times.min().unwrap_or_default()
}

fn per_value(name: &str, values: &[f64]) {
    let bins = values.iter().copied().collect::<NumericSketch>().bins().count();
    let time = best(|| {
        black_box(black_box(values).iter().copied().collect::<NumericSketch>());
    });
    let bytes = postcard::to_allocvec(&values.iter().copied().collect::<NumericSketch>())
        .map_or(0, |bytes| bytes.len());
    println!(
        "{name:34} {:6.2} ns a value, {bins} bins, {bytes} bytes",
        time.as_nanos() as f64 / values.len() as f64
    );
}

fn main() {
    let mut random = Random(11);
    let many = 1_000_000;
    let hundred: Vec<f64> = (0..many).map(|_| (random.uniform() * 6.25).exp2()).collect();
    per_value("100 bins, uniform over them", &hundred);
    let prices: Vec<f64> = (0..many).map(|_| (3.0 + random.normal()).exp()).collect();
    per_value("lognormal price", &prices);
    let normal: Vec<f64> = (0..many).map(|_| random.normal()).collect();
    per_value("normal, both signs", &normal);
    let discounts: Vec<f64> =
        (0..many).map(|_| if random.uniform() < 0.68 { 0.0 } else { random.uniform() * 20.0 }).collect();
    per_value("discount, two thirds of them 0", &discounts);
    categories(&mut random);
    window(&mut random);
    p_values();
}

fn categories(random: &mut Random) {
    for kinds in [5, 150, 5_000] {
        let names: Vec<String> = (0..kinds).map(|number| format!("store-{number:05}")).collect();
        let records: Vec<&str> = (0..200_000)
            .map(|_| {
                let place = f64::from(kinds).powf(random.uniform()) - 1.0;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a place among the names"
                )]
                names.get(place as usize).map_or("", String::as_str)
            })
            .collect();
        let sketch = || {
            let mut sketch = CategorySketch::default();
            records.iter().for_each(|name| sketch.add(name));
            sketch
        };
        let time = best(|| {
            black_box(sketch());
        });
        let one = sketch();
        let align = best(|| {
            let aligned = AlignedCategories::new(Pair { reference: &one, current: &one }, EXPECTED_MIN);
            black_box(
                aligned.counts().map(|counts| (counts.chi_square().p_value(), counts.most_shifted())).ok(),
            );
        });
        let bytes = postcard::to_allocvec(&one).map_or(0, |bytes| bytes.len());
        println!(
            "{kinds:5} categories                   {:6.2} ns a record, {bytes} bytes; align and test {align:?}",
            time.as_nanos() as f64 / records.len() as f64
        );
    }
}

/// All measures of one feature from two sketches: index, KS, W1, chi-square, and the p-values of KS and chi-square.
fn measures(sketches: Pair<&NumericSketch>) -> Option<[f64; 5]> {
    let bins = AlignedBins::new(sketches);
    let (deciles, twenty) =
        (bins.merged(Binning::ReferenceQuantiles(10)), bins.merged(Binning::ReferenceQuantiles(20)));
    let farthest = bins.counts().ok()?.kolmogorov_smirnov();
    Some([
        deciles.counts().ok()?.population_stability_index(SHARE_FLOOR),
        farthest.statistic(),
        bins.wasserstein().ok()?,
        farthest.p_value(),
        twenty.counts().ok()?.chi_square().p_value(),
    ])
}

fn window(random: &mut Random) {
    let mut side = |shift: f64| -> Vec<Vec<f64>> {
        (0..FEATURES).map(|_| (0..VALUES).map(|_| (3.0 + shift + random.normal()).exp()).collect()).collect()
    };
    let (reference, current) = (side(0.0), side(0.01));
    let sketches = |side: &[Vec<f64>]| -> Vec<NumericSketch> {
        side.iter().map(|values| values.iter().copied().collect()).collect()
    };
    let both = Pair { reference: sketches(&reference), current: sketches(&current) };
    let all = |both: &Pair<Vec<NumericSketch>>| {
        let measured: Vec<[f64; 5]> = both
            .reference
            .iter()
            .zip(&both.current)
            .filter_map(|(reference, current)| measures(Pair { reference, current }))
            .collect();
        assert_eq!(measured.len(), FEATURES, "every feature is measured");
        let p_values: Vec<f64> = measured.iter().flat_map(|[.., one, other]| [*one, *other]).collect();
        Discoveries::of(&p_values, Dependence::Arbitrary).map(|found| found.at(0.05).count())
    };
    let sketching = best(|| {
        black_box((sketches(&reference), sketches(&current)));
    });
    let measuring = best(|| {
        black_box(all(black_box(&both)).ok());
    });
    println!(
        "{FEATURES} features x {VALUES} values: sketch both sides {sketching:?}, all measures and discoveries {measuring:?}"
    );
    let raw = best(|| {
        for (reference, current) in reference.iter().zip(&current).take(10) {
            let of = |window, values: &Vec<f64>| Sample::new(window, values.iter().copied());
            if let (Ok(reference), Ok(current)) =
                (of(Window::Reference, reference), of(Window::Current, current))
            {
                let pair = Pair { reference: &reference, current: &current };
                black_box((Sample::kolmogorov_smirnov(pair).p_value(), Sample::wasserstein(pair)));
            }
        }
    });
    println!("raw samples of {VALUES}: sort, KS with p-value, W1: {:?} a feature", raw / 10);
}

fn p_values() {
    for (reference, current, statistic) in
        [(10_000, 10_000, 0.02), (10_000, 9_999, 0.02), (10_000, 500, 0.08), (10_000, 9_999, 0.5)]
    {
        let sizes = Pair { reference, current };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of the product of the sizes"
        )]
        let gap = (statistic * reference as f64 * current as f64) as u128;
        let exact = best(|| {
            black_box(p_value::kolmogorov_smirnov_exact(black_box(gap), sizes));
        });
        println!("exact KS p-value of {reference} and {current} at {statistic}: {exact:?}");
    }
    for (size, statistic) in [(2_000_000, 0.002), (2_000_000, 0.0012), (280, 0.15)] {
        let sizes = Pair { reference: size, current: size };
        let time = best(|| {
            black_box(p_value::kolmogorov_smirnov_asymptotic(black_box(statistic), sizes));
        });
        println!("asymptotic KS p-value of twice {size} at {statistic}: {time:?}");
    }
    println!(
        "chi-square p-value at 263 df: {:?}",
        best(|| {
            black_box(p_value::chi_square_survival(black_box(310.0), 263));
        })
    );
}
