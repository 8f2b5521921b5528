//! Drift, beside what others computed of the same values.
//!
//! The data does not ship, so cargo counts these tests as ignored; `./dev test` runs them where it is. It
//! is looked for in `TILLSTREAM_DATA` (default `../shared/data`), and a test that was asked for fails without.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: what is wrong may panic, and what was compared is printed"
)]

#[path = "drift_vectors/detectors.rs"]
mod detectors;
#[path = "drift_vectors/measures.rs"]
mod measures;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The file or folder, which must be there.
fn data(name: &str) -> PathBuf {
    let folder = std::env::var("TILLSTREAM_DATA").unwrap_or_else(|_| "../shared/data".to_owned());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
    assert!(
        path.exists(),
        "{} is not there: set TILLSTREAM_DATA to the folder of the data sets",
        path.display()
    );
    path
}

/// What is in a compressed file.
fn unpacked(path: &Path) -> Vec<u8> {
    let out = Command::new("gzip").arg("-dc").arg(path).output().expect("gzip starts");
    assert!(out.status.success(), "{} cannot be unpacked", path.display());
    out.stdout
}
