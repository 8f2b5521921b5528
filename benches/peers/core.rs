//! River's compiled ADWIN without Python: compiled by `benches/peers/main.rs`, beside `adwin.rs` of river's source.
//!
//! `core CLOCK FILE` folds the little-endian numbers of FILE some times and prints the fewest nanoseconds it took, and the places of drifts.

mod adwin;

use std::time::Instant;

const TIMES: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let clock = arguments[1].parse().expect("a number");
    let bytes = std::fs::read(&arguments[2]).expect("a file");
    let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let values: Vec<f64> = bytes.chunks_exact(8).map(number).collect();
    let mut drifts = Vec::new();
    let fold = || {
        let mut window = adwin::AdaptiveWindowing::new(0.002, clock, 5, 5, 10);
        let begun = Instant::now();
        let drifting = values.iter().enumerate().filter(|(_, value)| window.update(**value));
        drifts = drifting.map(|(place, _)| place).collect();
        begun.elapsed()
    };
    let best = std::iter::repeat_with(fold).take(TIMES).min().expect("some times");
    println!("{} {drifts:?}", best.as_nanos());
}
