//! The alarms on the vector streams, in the form their scoring program reads.

use crate::measure::{alarms, watch_for};
use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    domain: String,
    values: Vec<f64>,
    periods: Vec<u64>,
}

pub(crate) fn write(dir: &str, file: &str) {
    let mut paths: Vec<_> =
        std::fs::read_dir(format!("{dir}/streams")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut found = BTreeMap::new();
    for path in paths {
        let mut text = String::new();
        let mut unzip = Command::new("gzip").arg("-dc").arg(&path).stdout(Stdio::piped()).spawn().unwrap();
        unzip.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        unzip.wait().unwrap();
        let vector: Vector = serde_json::from_str(&text).unwrap();
        let is_binary = vector.domain == "binary";
        let at = alarms(&mut watch_for(is_binary, &vector.periods), &vector.values, &vector.periods);
        found.insert(vector.id, at);
    }
    let all = BTreeMap::from([("native", found)]);
    std::fs::write(file, serde_json::to_string(&all).unwrap()).unwrap();
}
