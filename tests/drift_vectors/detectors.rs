//! The compatible drift detectors against what river 0.26.1 itself said on 31 streams.
//!
//! Every index of a drift and every run of warnings must be equal, and every number of the state within 1e-9 of its
//! size. At each checkpoint the detector is also written down and restored, and goes on from what was written.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tillstream::drift::detector::mersenne::MersenneTwister;
use tillstream::drift::detector::{Compatible, Detector, Parameters, Signal, kswin};

/// The folder of the vectors.
fn vectors() -> PathBuf {
    crate::data("drift")
}

/// What numbers may be off, relative to their size.
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Stream {
    id: String,
    values: Vec<f64>,
    expected: Vec<Expected>,
}

/// What one detector said about a stream.
#[derive(Deserialize)]
struct Expected {
    detector: String,
    config: u32,
    params: Value,
    drifts: Vec<usize>,
    warning_runs: Option<Vec<[usize; 2]>>,
    /// The index, then the fields.
    checkpoints: Vec<Vec<Value>>,
    state_fields: Vec<String>,
    offset: Option<usize>,
    length: Option<usize>,
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&crate::unpacked(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn streams() -> Vec<Stream> {
    let mut files: Vec<PathBuf> = vectors()
        .join("streams")
        .read_dir()
        .expect("the vectors")
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

impl Expected {
    fn detector(&self) -> Compatible {
        let variant = match self.detector.as_str() {
            "ADWIN" => "adwin",
            "ADWIN_RAW" => "adwin_raw",
            "PageHinkley" => "page_hinkley",
            "KSWIN" => "kswin",
            "DDM" => "ddm",
            "EDDM" => "eddm",
            "HDDMA" => "hddm_a",
            "HDDMW" => "hddm_w",
            "FHDDM" => "fhddm",
            other => panic!("{other} is not known"),
        };
        let parameters: Parameters = serde_json::from_value(json!({ variant: self.params }))
            .expect("river's parameters by their names");
        let detector = parameters.detector().expect("parameters in range");
        if self.config == 0 && self.detector != "KSWIN" {
            let default: Parameters =
                serde_json::from_value(json!({ variant: {} })).expect("all have a default");
            assert_eq!(parameters, default, "config 0 is river's default");
        }
        detector
    }
}

/// How many numbers were compared, and how many of them were equal to the last bit.
#[derive(Default)]
struct Compared {
    numbers: u64,
    equal: u64,
    restored: u64,
}

impl Compared {
    fn number(&mut self, actual: &Value, expected: &Value, place: &str) {
        let (Some(actual), Some(expected)) = (float(actual), float(expected)) else {
            assert!(actual.is_null() && expected.is_null(), "{place}: {actual} instead of {expected}");
            return;
        };
        let is_equal =
            actual.to_bits() == expected.to_bits() || actual.abs() + expected.abs() < f64::MIN_POSITIVE;
        let off = (actual - expected).abs();
        assert!(is_equal || off <= TOLERANCE * expected.abs(), "{place}: {actual} instead of {expected}");
        self.numbers += 1;
        self.equal += u64::from(is_equal);
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::String(infinity) if infinity == "inf" => Some(f64::INFINITY),
        Value::String(infinity) if infinity == "-inf" => Some(f64::NEG_INFINITY),
        other => other.as_f64(),
    }
}

/// What river calls `field`, from a detector as it is written down.
fn field(detector: &Compatible, written: &Value, field: &str) -> Value {
    let state = written.as_object().unwrap().values().next().unwrap();
    let at =
        |pointer: &str| state.pointer(pointer).cloned().unwrap_or_else(|| panic!("no {pointer} in {state}"));
    // a mean that is not there yet is 0 in river, and its sum of squared weights 1
    let or = |pointer: &str, default: u32| state.pointer(pointer).cloned().unwrap_or(json!(default));
    match (detector, field) {
        (Compatible::Adwin(_) | Compatible::AdwinRaw(_), "width" | "total") => at(&format!("/{field}")),
        (Compatible::Adwin(adwin), "estimation") => json!(adwin.window().mean()),
        (Compatible::AdwinRaw(window), "estimation") => json!(window.mean()),
        (_, "variance_sum") => at("/squared_deviations"),
        (_, "n_detections") => at("/detections"),
        (Compatible::PageHinkley(_), "mean") => at("/state/mean/mean"),
        (_, "sum_increase") => at("/state/increase"),
        (_, "sum_decrease") => at("/state/decrease"),
        (_, "min_increase") => at("/state/lowest_increase"),
        (_, "max_decrease") => at("/state/highest_decrease"),
        (Compatible::Kswin(detector), "p_value") => json!(detector.p_value().unwrap_or(0.0)),
        (Compatible::Kswin(_), "n") => at("/values"),
        (Compatible::Kswin(_) | Compatible::Fhddm(_), "window_len") => {
            json!(at("/window").as_array().unwrap().len())
        }
        (Compatible::Fhddm(_), "n_one") => at("/long/ones"),
        (Compatible::Fhddm(_), "u_max") => at("/long/highest"),
        (Compatible::Ddm(_), "p") => at("/rate/mean"),
        (Compatible::Ddm(_), "n") => at("/rate/count"),
        (Compatible::Ddm(_), "p_min") => state.pointer("/lowest/p").cloned().unwrap_or(Value::Null),
        (Compatible::Ddm(_), "s_min") => state.pointer("/lowest/s").cloned().unwrap_or(Value::Null),
        (Compatible::Eddm(_), "n") => at("/state/values"),
        (Compatible::Eddm(_), "n_errors") => at("/state/distances/mean/count"),
        (Compatible::Eddm(_), "mean_dist") => at("/state/distances/mean/mean"),
        (Compatible::Eddm(_), "var_dist") => {
            let count = at("/state/distances/mean/count").as_f64().unwrap();
            let sum = at("/state/distances/squared_deviations").as_f64().unwrap();
            json!(if count > 1.0 { sum / (count - 1.0) } else { 0.0 })
        }
        // what is not known yet is −1 in river
        (Compatible::Eddm(_), "p2s_max") => {
            Some(at("/state/farthest")).filter(|far| *far != 0.0).unwrap_or(json!(-1))
        }
        (Compatible::HddmA(_), "z") => at("/state/all/mean"),
        (Compatible::HddmA(_), "z_n") => at("/state/all/count"),
        (Compatible::HddmA(_), "x_min") => at("/state/low_cut/mean"),
        (Compatible::HddmA(_), "x_min_n") => at("/state/low_cut/count"),
        (Compatible::HddmA(_), "x_max") => at("/state/high_cut/mean"),
        (Compatible::HddmA(_), "x_max_n") => at("/state/high_cut/count"),
        (Compatible::HddmW(_), "total_ewma") => or("/state/all/mean", 0),
        (Compatible::HddmW(_), "total_ibc") => or("/state/all/squared_weights", 1),
        (Compatible::HddmW(_), "s1_incr_ewma") => or("/state/rise/before/mean", 0),
        (Compatible::HddmW(_), "s1_incr_ibc") => or("/state/rise/before/squared_weights", 1),
        (Compatible::HddmW(_), "s2_incr_ewma") => or("/state/rise/after/mean", 0),
        (Compatible::HddmW(_), "s2_incr_ibc") => or("/state/rise/after/squared_weights", 1),
        (Compatible::HddmW(_), "incr_cutpoint") => at("/state/rise/bound"),
        (_, other) => panic!("{other} is not known"),
    }
}

/// The runs of indices that follow each other.
fn runs(indices: &[usize]) -> Vec<[usize; 2]> {
    let mut runs: Vec<[usize; 2]> = Vec::new();
    for index in indices.iter().copied() {
        match runs.last_mut() {
            Some([_, last]) if *last + 1 == index => *last = index,
            _ => runs.push([index, index]),
        }
    }
    runs
}

fn compare(stream: &Stream, expected: &Expected, compared: &mut Compared) {
    let place = format!("{} {}/{}", stream.id, expected.detector, expected.config);
    let offset = expected.offset.unwrap_or(0);
    let values = &stream.values[offset..offset + expected.length.unwrap_or(stream.values.len())];
    let mut detector = expected.detector();
    let mut checkpoints = expected.checkpoints.iter().peekable();
    let (mut drifts, mut warnings) = (Vec::new(), Vec::new());
    for (index, value) in values.iter().enumerate() {
        let signal = detector.update(*value);
        let flags = detector.flags();
        assert_eq!(signal, flags.signal());
        if signal == Signal::Drift {
            drifts.push(index);
        }
        if flags.warning {
            warnings.push(index);
        }
        let Some(row) = checkpoints.next_if(|row| row[0].as_u64() == Some(index as u64)) else { continue };
        let written = serde_json::to_value(&detector).unwrap();
        for (name, number) in expected.state_fields.iter().zip(&row[1..]) {
            compared.number(
                &field(&detector, &written, name),
                number,
                &format!("{place}, {name} at {index}"),
            );
        }
        // JSON has no infinities, so what still has one cannot be read again
        if let Ok(restored) = serde_json::from_value(written) {
            detector = restored;
            compared.restored += 1;
        }
    }
    assert!(checkpoints.next().is_none(), "{place}: a checkpoint out of order");
    assert_eq!(drifts, expected.drifts, "{place}");
    assert_eq!(runs(&warnings), expected.warning_runs.clone().unwrap_or_default(), "{place}");
}

#[test]
#[ignore = "needs the data sets: TILLSTREAM_DATA"]
fn drifts_warnings_and_state_are_those_of_river() {
    let mut by_detector: BTreeMap<String, (Compared, usize)> = BTreeMap::new();
    let streams = streams();
    for stream in &streams {
        for expected in &stream.expected {
            let (compared, entries) = by_detector.entry(expected.detector.clone()).or_default();
            compare(stream, expected, compared);
            *entries += 1;
        }
    }
    assert!(!streams.is_empty() && by_detector.len() == 9, "streams of all detectors");
    for (detector, (Compared { numbers, equal, restored }, entries)) in &by_detector {
        println!(
            "{detector}: {entries} entries over {} streams; {equal} of {numbers} numbers equal to the last bit; \
             restored {restored} times",
            streams.len()
        );
        assert!(*restored > 0, "{detector} was never restored");
    }
}

#[derive(Deserialize)]
struct DataDrift {
    ks_small: Vec<KsCase>,
    python_sample: Vec<SampleCase>,
}

#[derive(Deserialize)]
struct KsCase {
    x: Vec<f64>,
    y: Vec<f64>,
    statistic: f64,
    pvalue_auto: f64,
}

#[derive(Deserialize)]
struct SampleCase {
    seed: u64,
    population: u32,
    k: u32,
    draws: Vec<Vec<u32>>,
}

#[test]
#[ignore = "needs the data sets: TILLSTREAM_DATA"]
fn statistics_and_p_values_of_two_small_samples_are_those_of_scipy() {
    let cases = read::<DataDrift>(&vectors().join("datadrift.json.gz")).ks_small;
    for KsCase { x, y, statistic, pvalue_auto } in &cases {
        let size = u32::try_from(x.len()).unwrap();
        // a sample of all older values is all of them
        let parameters = json!({ "kswin": { "window_size": 2 * size, "stat_size": size, "alpha": 1e-12 } });
        let Ok(Compatible::Kswin(mut detector)) =
            serde_json::from_value::<Parameters>(parameters).unwrap().detector()
        else {
            panic!("not a KSWIN");
        };
        x.iter().chain(y).for_each(|value| {
            detector.update(*value);
        });
        let mut compared = Compared::default();
        compared.number(&json!(detector.statistic()), &json!(statistic), "statistic");
        compared.number(&json!(detector.p_value()), &json!(pvalue_auto), "p-value");
        assert_eq!(compared.numbers, 2);
    }
    assert_eq!(cases.len(), 20);
    assert!((kswin::p_value(30, 30) * 118_264_581_564_861_424.0 - 2.0).abs() < 1e-9, "2 / C(60, 30)");
}

#[test]
#[ignore = "needs the data sets: TILLSTREAM_DATA"]
fn samples_are_those_of_python() {
    let cases = read::<DataDrift>(&vectors().join("datadrift.json.gz")).python_sample;
    for SampleCase { seed, population, k, draws } in &cases {
        let mut generator = MersenneTwister::new(*seed);
        let mut drawn = Vec::new();
        for expected in draws {
            generator.sample(*population, *k, &mut drawn);
            assert_eq!(&drawn, expected, "seed {seed}");
        }
    }
    assert_eq!(cases.len(), 4);
}
