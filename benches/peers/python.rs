//! The others: an environment for Python, the process that runs river and scipy, and river's compiled window on its own.

use super::{Best, folder};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Those that the vectors in `tests/drift_vectors.rs` were made with; maturin reads river's source package.
const PACKAGES: [&str; 4] = ["river==0.26.1", "scipy==1.17.1", "numpy==2.4.6", "maturin==1.16.0"];

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// The environment's Python; made once.
fn environment() -> PathBuf {
    let home = folder().join("venv");
    let (python, is_whole) = (home.join("bin/python"), home.join("is-whole"));
    if !is_whole.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home));
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(&python).args(install).args(PACKAGES));
        std::fs::write(is_whole, "").unwrap();
    }
    python
}

/// The process that runs river and scipy.
pub(super) struct Peer {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(super) versions: String,
}

impl Peer {
    pub(super) fn start() -> Peer {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/peer.py");
        let (python, piped) = (environment(), Stdio::piped);
        let mut child =
            Command::new(python).arg(script).stdin(piped()).stdout(piped()).spawn().expect("Python starts");
        let (requests, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut peer = Peer { child, requests, answers: BufReader::new(answers), versions: String::new() };
        peer.versions = peer.line();
        peer
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line).unwrap();
        assert!(read > 0, "Python has ended: see above");
        line.trim_end().to_owned()
    }

    /// Writes values where they can be read.
    pub(super) fn write(&self, name: &str, values: &[f64]) -> PathBuf {
        let path = folder().join(format!("{name}.f64"));
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Has a case run, takes its time, and returns what was found.
    pub(super) fn ask(&mut self, request: &Value, best: &mut Best) -> Value {
        writeln!(self.requests, "{request}").unwrap();
        let mut answer: Value = serde_json::from_str(&self.line()).unwrap();
        best.take(Duration::from_nanos(answer["nanos"].as_u64().unwrap()));
        answer["found"].take()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// River's compiled window without Python: its source file, compiled as cargo would for a release.
pub(super) struct Core(PathBuf);

impl Core {
    /// Fetches it, once, and compiles it.
    pub(super) fn build() -> Core {
        let home = folder().join("core");
        if !home.join("adwin.rs").exists() {
            fetch(&home);
        }
        let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/core.rs");
        std::fs::copy(main, home.join("core.rs")).unwrap();
        let options =
            ["--edition=2021", "-Copt-level=3", "-Ccodegen-units=1", "-Awarnings", "core.rs", "-o", "core"];
        run(Command::new("rustc").current_dir(&home).args(options));
        Core(home.join("core"))
    }

    /// The places of its drifts, and the time it took.
    pub(super) fn run(&self, clock: u32, file: &Path) -> (Vec<usize>, Duration) {
        let output = Command::new(&self.0).arg(clock.to_string()).arg(file).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (nanos, drifts) = text.split_once(' ').unwrap();
        (serde_json::from_str(drifts).unwrap(), Duration::from_nanos(nanos.parse().unwrap()))
    }
}

/// Its source file, without what it needs of serde, which is not used here.
fn fetch(home: &Path) {
    std::fs::create_dir_all(home).unwrap();
    let bin = environment().parent().unwrap().to_owned();
    let searched = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([bin.clone()].into_iter().chain(std::env::split_paths(&searched)));
    // pip asks maturin what the package is, which asks cargo
    let download = "-m pip download --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-binary :all: --dest . river==0.26.1";
    let mut download_it = Command::new(bin.join("python"));
    run(download_it.args(download.split(' ')).env("PATH", path.unwrap()).current_dir(home));
    let member = "river-0.26.1/rust_src/adwin.rs";
    run(Command::new("tar").current_dir(home).args(["-xzf", "river-0.26.1.tar.gz", member]));
    let source = std::fs::read_to_string(home.join(member)).unwrap();
    let source =
        source.replace("use serde::{Deserialize, Serialize};", "").replace(", Serialize, Deserialize", "");
    std::fs::write(home.join("adwin.rs"), source).unwrap();
}
