//! Dependence runs one way, and the pure rooms stay pure.

use std::path::{Path, PathBuf};

/// Rooms and the rooms that they may use. What is not listed may use everything.
const ROOMS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("money", &[]),
    ("windows", &["time"]),
    ("names", &["time"]),
    ("fault", &[]),
    ("rules_of_the_protocol", &[]),
    ("event", &["drift", "money", "time"]),
    ("drift", &["money", "time", "windows"]),
    ("alert", &["event", "money", "time"]),
    ("codec", &["event", "time"]),
    ("ledger", &["codec", "event", "time"]),
    ("log", &["event", "time", "rules_of_the_protocol"]),
    ("operator", &["ledger", "state", "time"]),
    ("state", &["event", "time"]),
    ("progress", &["event", "log", "time", "rules_of_the_protocol"]),
    ("checkpoint", &["event", "log", "state", "time"]),
    ("session", &["event", "ledger", "operator", "state", "time"]),
    ("feature", &["condition", "event", "fault", "time"]),
    ("link", &["time"]),
    ("ftrl", &[]),
    ("condition", &[]),
    ("fraud", &["condition", "event", "fault", "ftrl", "log", "time"]),
    ("business", &["event", "ledger", "money", "operator", "time", "windows"]),
    ("ingest", &["codec", "condition", "event", "feature", "log", "time"]),
    ("generate", &["event", "time"]),
    ("monitor", &["alert", "drift", "event", "money", "time", "windows"]),
    ("notify", &["event", "time"]),
    ("recommend", &["ftrl", "time"]),
    ("view", &["codec", "event", "log", "recommend", "time"]),
    (
        "engine",
        &[
            "alert",
            "business",
            "checkpoint",
            "codec",
            "crash_points",
            "drift",
            "event",
            "fault",
            "feature",
            "fraud",
            "ingest",
            "ledger",
            "link",
            "log",
            "monitor",
            "names",
            "operator",
            "progress",
            "rules_of_the_protocol",
            "session",
            "state",
            "time",
        ],
    ),
];

/// What a pure room may not name: clients, servers, files, sockets, clocks, threads.
const IMPURE: &[&str] = &[
    "rdkafka",
    "tokio",
    "axum",
    "std::fs",
    "std::net",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "SystemClock",
    "Stopwatch",
    "std::env",
    "std::process",
];

/// Files outside the rules, each with its reason.
const EXCEPT: &[(&str, &str)] = &[
    ("src/time.rs", "the one place that reads a clock"),
    ("src/log/kafka", "the log over Kafka is the edge"),
    ("src/notify/deliver.rs", "the edge that sends"),
    ("src/notify/deliver", "its tests have a server"),
    ("src/engine/simulation", "a test: it uses the generator's randomness and the configuration's defaults"),
];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The code of a file up to its tests, without comments.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a readable file");
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn room_of(path: &str) -> Option<&'static (&'static str, &'static [&'static str])> {
    let room = path.strip_prefix("src/")?.split(['/', '.']).next()?;
    ROOMS.iter().find(|(name, _)| *name == room)
}

/// The rooms named by `crate::<room>` in some code.
fn used_rooms(code: &str) -> Vec<String> {
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect())
        .collect()
}

#[test]
fn rooms_use_only_rooms_further_in_and_pure_rooms_touch_nothing_outside() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let (mut wrong, mut looked_at) = (Vec::new(), 0);
    for file in files {
        let path = file.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
        let Some((room, allowed)) = room_of(&path) else { continue };
        let is_test = ["tests.rs", "laws.rs", "cases.rs"].iter().any(|name| path.ends_with(name))
            || path.contains("/tests/");
        if is_test || EXCEPT.iter().any(|(prefix, _)| path.starts_with(prefix)) {
            continue;
        }
        looked_at += 1;
        let code = code(&file);
        for used in used_rooms(&code) {
            if used != *room && !used.is_empty() && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{path} uses crate::{used}, which `{room}` may not"));
            }
        }
        if code.contains("crate::{") {
            wrong.push(format!("{path} uses several rooms in one line, which this test does not read"));
        }
        for impure in IMPURE.iter().filter(|impure| code.contains(**impure)) {
            wrong.push(format!("{path} names {impure}"));
        }
    }
    assert!(looked_at > 50, "only {looked_at} files were looked at");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_exceptions_exist() {
    for (path, reason) in EXCEPT {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{path} ({reason}) is gone");
    }
}
