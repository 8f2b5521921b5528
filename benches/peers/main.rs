//! Detectors and measures beside those of others, in one run, in turns, over the same values: river 0.26.1 (Python over a compiled
//! window) and scipy 1.17.1 (Python over C).
//!
//! `cargo bench --bench peers` needs Python 3.11 or newer with venv, and pip's index: it makes an environment of its own below
//! `target`, once. It fails if drifts differ, if numbers differ by more than a billionth, or if ours is the slower one.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench: it measures and prints, and a wrong input may end it"
)]

mod python;

use python::{Core, Peer};
use serde_json::{Value, json};
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tillstream::drift::detector::{
    AdaptiveWindow, Adwin, AdwinParameters, Detector, Kswin, KswinParameters, Signal,
};
use tillstream::drift::discoveries::{Dependence, Discoveries};
use tillstream::drift::distance::{Counts, QuantileBins, SHARE_FLOOR, Sample};
use tillstream::drift::sketch::{AlignedBins, Binning, NumericSketch};
use tillstream::drift::{Pair, Window};

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TURNS: usize = 7;
const ADWIN_VALUES: usize = 200_000;
const KSWIN_VALUES: usize = 3_000;
const SEED: u64 = 42;
const CLOCK: u32 = 32;
const FEATURES: usize = 100;
const VALUES: usize = 10_000;

fn main() {
    let mut peer = Peer::start();
    println!("{}; best of {TURNS} turns", peer.versions);
    let streams = [
        ("Bernoulli .1, then .2", changing(ADWIN_VALUES, |r, shift| r.hit(0.1 + 0.1 * shift))),
        ("normal, then +1", changing(ADWIN_VALUES, |r, shift| r.normal() + shift)),
    ];
    let core = Core::build();
    for (name, values) in &streams {
        adwin(&mut peer, &core, name, values);
    }
    kswin(&mut peer, &changing(KSWIN_VALUES, |r, shift| r.normal() + shift));
    window(&mut peer);
}

/// A seeded generator.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn hit(&mut self, rate: f64) -> f64 {
        f64::from(u8::from(self.uniform() < rate))
    }

    /// About normal: a sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// Values that change by 1 after the first half.
fn changing(count: usize, value: impl Fn(&mut Random, f64) -> f64) -> Vec<f64> {
    let mut random = Random(11);
    (0..count).map(|place| value(&mut random, f64::from(u8::from(place >= count / 2)))).collect()
}

/// The places at which a detector says that there is a drift.
fn drifts(mut detector: impl Detector, values: &[f64]) -> Vec<usize> {
    values
        .iter()
        .enumerate()
        .filter(|(_, value)| detector.update(**value) == Signal::Drift)
        .map(|(at, _)| at)
        .collect()
}

/// The shortest of some times.
#[derive(Default)]
struct Best(Option<Duration>);

impl Best {
    fn of<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let made = black_box(run());
        self.take(begun.elapsed());
        made
    }

    fn take(&mut self, time: Duration) {
        self.0 = Some(self.0.map_or(time, |known| known.min(time)));
    }

    fn nanos_each(&self, of: usize) -> f64 {
        self.0.unwrap_or_default().as_nanos() as f64 / of as f64
    }
}

/// Prints a time beside ours.
fn row(name: &str, theirs: f64, ours: f64) {
    println!("  {name:62} {theirs:12.1} ns a value   {:8.1} times ours ({ours:.1} ns)", theirs / ours);
}

/// River's class and ours; the compiled window under it, called from Python and on its own, and ours that keeps its window.
fn adwin(peer: &mut Peer, core: &Core, name: &str, values: &[f64]) {
    println!("ADWIN, clock {CLOCK}, {} values, {name}:", values.len());
    let file = peer.write("stream", values);
    let parameters = AdwinParameters { clock: CLOCK, ..AdwinParameters::default() };
    let [mut class, mut from_python, mut alone, mut ours, mut our_core] =
        std::array::from_fn(|_| Best::default());
    for _ in 0..TURNS {
        let found = ours.of(|| drifts(Adwin::new(parameters).unwrap(), values));
        let theirs = peer.ask(&json!({"case": "adwin", "clock": CLOCK, "values": [file]}), &mut class);
        assert!(!found.is_empty() && theirs == json!(found), "drifts at {theirs} and at {found:?}");
        let found = our_core.of(|| drifts(AdaptiveWindow::new(parameters).unwrap(), values));
        let theirs =
            peer.ask(&json!({"case": "adwin_core", "clock": CLOCK, "values": [file]}), &mut from_python);
        assert_eq!(theirs, json!(found), "of the window that is kept");
        let (theirs, time) = core.run(CLOCK, &file);
        assert_eq!(theirs, found, "of river's window without Python");
        alone.take(time);
    }
    let each = |best: &Best| best.nanos_each(values.len());
    row("river's ADWIN, a Python loop", each(&class), each(&ours));
    row("its compiled window, called from Python", each(&from_python), each(&our_core));
    row("its compiled window alone (its Rust source, optimised)", each(&alone), each(&our_core));
    assert!(each(&class) > each(&ours) && each(&alone) > each(&our_core), "ours is the slower one");
}

fn kswin(peer: &mut Peer, values: &[f64]) {
    println!("KSWIN, 100/30, seed {SEED}, {} values, normal, then +1:", values.len());
    let file = peer.write("stream", values);
    let (mut theirs, mut ours) = (Best::default(), Best::default());
    let parameters = KswinParameters { seed: SEED, ..KswinParameters::default() };
    for _ in 0..TURNS {
        let found = ours.of(|| drifts(Kswin::new(parameters).unwrap(), values));
        let of_river = peer.ask(&json!({"case": "kswin", "seed": SEED, "values": [file]}), &mut theirs);
        assert!(!found.is_empty() && of_river == json!(found), "drifts at {of_river} and at {found:?}");
    }
    let each = |best: &Best| best.nanos_each(values.len());
    row("river's KSWIN, a Python loop (scipy's p-value)", each(&theirs), each(&ours));
    assert!(each(&theirs) > each(&ours), "ours is the slower one");
}

/// Index over deciles, Kolmogorov-Smirnov, Wasserstein, and the p-values of Kolmogorov-Smirnov and chi-square.
type Measures = [f64; 5];

fn of_counts(counts: &Counts<'_>, others: [f64; 3]) -> Measures {
    let [statistic, wasserstein, p_value] = others;
    let index = counts.population_stability_index(SHARE_FLOOR);
    [index, statistic, wasserstein, p_value, counts.chi_square().p_value()]
}

/// From all values, as scipy does it.
fn of_values([reference, current]: [&[f64]; 2]) -> Measures {
    let reference = Sample::new(Window::Reference, reference.iter().copied()).unwrap();
    let current = Sample::new(Window::Current, current.iter().copied()).unwrap();
    let pair = Pair { reference: &reference, current: &current };
    let bins = QuantileBins::new(&reference, 10);
    let counts = Pair { reference: bins.counts(&reference), current: bins.counts(&current) };
    let counts =
        Counts::new(Pair { reference: &*counts.reference, current: &*counts.current }).expect("same bins");
    let farthest = Sample::kolmogorov_smirnov(pair);
    of_counts(&counts, [farthest.statistic(), Sample::wasserstein(pair), farthest.p_value()])
}

/// From what is kept of them.
fn of_sketches([reference, current]: [&NumericSketch; 2]) -> Measures {
    let bins = AlignedBins::new(Pair { reference, current });
    let deciles = bins.merged(Binning::ReferenceQuantiles(10));
    let farthest = bins.counts().expect("values").kolmogorov_smirnov();
    let wasserstein = bins.wasserstein().expect("values");
    of_counts(&deciles.counts().expect("values"), [farthest.statistic(), wasserstein, farthest.p_value()])
}

fn discoveries(measured: &[Measures]) -> usize {
    let p_values: Vec<f64> = measured.iter().flat_map(|[.., one, other]| [*one, *other]).collect();
    Discoveries::of(&p_values, Dependence::Arbitrary).expect("p-values").at(0.05).count()
}

/// One window of many features against a reference, of which one in ten has moved a little.
fn window(peer: &mut Peer) {
    println!("a check of {FEATURES} features of {VALUES} values against as many:");
    let mut random = Random(7);
    let mut side = |shift: f64| -> Vec<f64> {
        let moved = |feature: usize| if feature.is_multiple_of(10) { shift } else { 0.0 };
        (0..FEATURES * VALUES).map(|at| (3.0 + moved(at / VALUES) + random.normal()).exp()).collect()
    };
    let sides = [side(0.0), side(0.1)];
    let files = [peer.write("reference", &sides[0]), peer.write("current", &sides[1])];
    let features: Vec<[&[f64]; 2]> =
        sides[0].chunks(VALUES).zip(sides[1].chunks(VALUES)).map(|(one, other)| [one, other]).collect();
    let sketch = |values: &[f64]| values.iter().copied().collect::<NumericSketch>();
    let sketches: Vec<[NumericSketch; 2]> = features.iter().map(|both| both.map(sketch)).collect();
    let [mut theirs, mut raw, mut sketching, mut from_sketches] = std::array::from_fn(|_| Best::default());
    for _ in 0..TURNS {
        let measured = raw.of(|| {
            let measured: Vec<Measures> = features.iter().map(|both| of_values(*both)).collect();
            (discoveries(&measured), measured)
        });
        let request = json!({"case": "window", "size": VALUES, "values": files});
        compare(&peer.ask(&request, &mut theirs), &measured);
        sketching.of(|| features.iter().map(|both| both.map(sketch)).collect::<Vec<_>>());
        let found = from_sketches.of(|| {
            let measured: Vec<Measures> =
                sketches.iter().map(|[one, other]| of_sketches([one, other])).collect();
            discoveries(&measured)
        });
        assert!(found > 0, "a tenth has moved");
    }
    let each = |best: &Best| best.nanos_each(2 * FEATURES * VALUES);
    let sketched = each(&sketching) + each(&from_sketches);
    row("scipy and numpy, beside ours from all values (same numbers)", each(&theirs), each(&raw));
    row("… beside ours with sketching, as the engine does it", each(&theirs), sketched);
    println!(
        "  ours: {:.1} ms from all values; {:.1} ms to sketch, {:.2} ms to compare",
        each(&raw) * 2.0,
        each(&sketching) * 2.0,
        each(&from_sketches) * 2.0
    );
    assert!(each(&theirs) > each(&raw), "ours is the slower one");
}

/// Fails unless scipy says the same.
fn compare(theirs: &Value, (discoveries, ours): &(usize, Vec<Measures>)) {
    assert_eq!(theirs["discoveries"], json!(discoveries));
    let measured: Vec<Measures> = serde_json::from_value(theirs["measured"].clone()).unwrap();
    let all = measured.as_flattened().iter().zip(ours.as_flattened());
    for (theirs, ours) in all {
        assert!((theirs - ours).abs() <= 1e-9 * theirs.abs().max(1e-6), "{theirs} and {ours}");
    }
}

/// Where values and the environment are kept.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("peers")
}
