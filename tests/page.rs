//! The page, looked at with a browser: `tests/page/browser.py` reads its numbers and compares them with the API, over the demo.
//!
//! Needs Chromium, Python and npm (`./dev test` installs them).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A demo whose page stays, and its address.
fn demo(place: &Path) -> (Demo, String) {
    // values that are in another unit until the end of the day: an alert that stays open
    let config = place.join("demo.yaml");
    std::fs::write(&config, "drift: { window: 15m, learn: 8h }\n").expect("a writable folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tillstream"))
        .args(["demo", "--duration", "8s", "--rate", "20000", "--days", "1", "--stay"])
        .args(["--drift", "unit:at=15h,segment=channel=store", "--config"])
        .arg(&config)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let errors = BufReader::new(child.stderr.take().expect("it is piped"));
    let demo = Demo(child);
    let mut lines = errors.lines().map_while(Result::ok);
    let line = lines.find(|line| line.starts_with("the page: ")).expect("it names its page");
    // whatever else it says is not in its way
    std::thread::spawn(move || lines.for_each(drop));
    let address = line.split_whitespace().nth(2).expect("an address").trim_end_matches('/').to_owned();
    (demo, address)
}

#[test]
fn the_page_shows_what_the_api_says_and_takes_an_acknowledgement_in_every_size_and_theme() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
    let axe = Command::new(folder.join("axe.sh")).arg("fetch").output().expect("bash runs");
    assert!(axe.status.success(), "{}", String::from_utf8_lossy(&axe.stderr));
    let place = tempfile::tempdir().expect("a folder");
    let (_demo, address) = demo(place.path());
    let looked = Command::new("python3")
        .arg(folder.join("browser.py"))
        .args([&address, "demo", "--at-rest"])
        .output()
        .expect("Python runs");
    let said = String::from_utf8_lossy(&looked.stdout);
    println!("{said}");
    assert!(looked.status.success(), "{said}{}", String::from_utf8_lossy(&looked.stderr));
}
