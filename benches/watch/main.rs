//! The native change detector beside its goals, at measured mean times between false alarms.
//!
//! The environment variable MTFA sets another time between false alarms, ONLY a part of the names of the streams of `quiet`.
//!
//! ```text
//! cargo bench --bench watch -- table SEEDS          the goals beside what was reached; fails if one was not
//! cargo bench --bench watch -- suite SEEDS          own streams of the kinds of the vectors, scored as those are
//! cargo bench --bench watch -- quiet SAMPLES SEEDS  measured mean time between false alarms, per kind of stream
//! cargo bench --bench watch -- delays SEEDS         delays after known changes
//! cargo bench --bench watch -- speed                nanoseconds per update
//! cargo bench --bench watch -- vectors DIR FILE     the alarms on the vectors
//! ```
#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measuring program: a wrong input may end it"
)]

mod goals;
mod measure;
mod streams;
mod vectors;
mod windows;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number =
        |at: usize, otherwise: u64| args.get(at).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    match args.first().map(String::as_str) {
        Some("table") => goals::table(number(1, 40)),
        Some("suite") => measure::suite(number(1, 20), number(2, 1)),
        Some("quiet") => measure::quiet(number(1, 1_000_000), number(2, 4)),
        Some("delays") => measure::delays(number(1, 50)),
        Some("speed") => measure::speed(),
        Some("vectors") => vectors::write(&args[1], &args[2]),
        _ => println!("table | suite | quiet | delays | speed | vectors DIR FILE"),
    }
}
