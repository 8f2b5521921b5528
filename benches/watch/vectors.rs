//! The vector streams: the alarms on them in the form their scoring program reads, and its scores.

use crate::measure::{Score, alarms, watch_for};
use crate::streams::Stream;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    kind: String,
    domain: String,
    values: Vec<f64>,
    periods: Vec<u64>,
    change_points: Vec<usize>,
}

impl Vector {
    fn is_binary(&self) -> bool {
        self.domain == "binary"
    }

    fn alarms(&self) -> Vec<usize> {
        alarms(&mut watch_for(self.is_binary(), &self.periods), &self.values, &self.periods)
    }

    /// Of the others it is not known where they change, or they do so all along.
    fn is_scored(&self) -> bool {
        self.kind != "real" && !self.id.contains("hyperplane") && !self.id.contains("rbfdrift")
    }
}

fn read(dir: &Path) -> Vec<Vector> {
    let mut paths: Vec<_> =
        dir.join("streams").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let mut text = String::new();
        let mut unzip = Command::new("gzip").arg("-dc").arg(&path).stdout(Stdio::piped()).spawn().unwrap();
        unzip.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        unzip.wait().unwrap();
        serde_json::from_str(&text).unwrap()
    };
    paths.into_iter().map(read).collect()
}

/// Writes the alarms.
pub(crate) fn write(dir: &str, file: &str) {
    let found: BTreeMap<String, Vec<usize>> =
        read(Path::new(dir)).into_iter().map(|vector| (vector.id.clone(), vector.alarms())).collect();
    let all = BTreeMap::from([("native", found)]);
    std::fs::write(file, serde_json::to_string(&all).unwrap()).unwrap();
}

/// The scores of binary streams and of the others, as `score_vectors.py` has them; nothing where there are no vectors.
pub(crate) fn scores() -> Option<[Score; 2]> {
    let data = std::env::var("TILLSTREAM_DATA").unwrap_or_else(|_| "../shared/data".to_owned());
    let dir = Path::new(&data).join("drift");
    let mut scores = [Score::default(), Score::default()];
    for vector in read(dir.is_dir().then_some(&dir)?).into_iter().filter(Vector::is_scored) {
        let (is_binary, at) = (vector.is_binary(), vector.alarms());
        let changes = vector.change_points.into_iter().filter(|place| *place > 0).collect();
        let stream =
            Stream { kind: "vector", is_binary, values: vector.values, changes, periods: vector.periods };
        scores[usize::from(!is_binary)].add(&stream, &at);
    }
    Some(scores)
}
