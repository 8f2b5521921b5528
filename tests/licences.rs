//! Every package that tillstream is built or tested with may be used under a licence that `deny.toml` allows.
//!
//! This is the part of `cargo deny check` that needs no tool and no network; see the head of that file.

use serde_json::Value;
use std::process::Command;

/// The licences in the `allow` of `deny.toml`.
fn allowed() -> Vec<&'static str> {
    let list = include_str!("../deny.toml").split("\nallow = [").nth(1).expect("deny.toml allows licences");
    let list = list.split(']').next().unwrap_or_default();
    list.split('"').skip(1).step_by(2).collect()
}

/// Whether one choice of every part of an SPDX expression is allowed. An `AND` counts as if it bound less
/// than an `OR` beside it, which can refuse too much and never too little.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let is_one = |licence: &str| allowed.contains(&licence.trim().trim_matches(['(', ')']).trim());
    expression.split(" AND ").all(|part| part.replace('/', " OR ").split(" OR ").any(is_one))
}

#[test]
fn every_package_has_a_licence_that_is_allowed() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform"])
        .arg("x86_64-unknown-linux-gnu")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 100, "only {} packages were looked at", packages.len());
    let allowed = allowed();
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !is_allowed(package["license"].as_str().unwrap_or_default(), &allowed))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "deny.toml does not allow:\n{}", refused.join("\n"));
}

#[test]
fn a_licence_is_allowed_if_one_choice_of_every_part_is() {
    let allowed = ["MIT", "Zlib"];
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(GPL-3.0 OR MIT) AND Zlib", true),
        ("(GPL-3.0 OR MIT) AND ISC", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}
