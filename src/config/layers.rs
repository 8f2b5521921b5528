//! The layers: a YAML file, and `TILLSTREAM__SECTION__KEY` from the environment above it.

use crate::fault::Fault;
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::path::Path;

/// Variables that begin so override the file: `TILLSTREAM__SESSIONS__GAP=20m`.
const ENVIRONMENT_PREFIX: &str = "TILLSTREAM__";

/// A configuration before it is resolved.
pub type Tree = Map<String, Value>;

/// Reads `file`, if there is one, and lays the environment over it. Also returns the faults: of the
/// file as a whole (unreadable, no YAML, no mapping), and of variables.
pub fn read_layers(
    file: Option<&Path>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> (Tree, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut tree = file.map_or_else(|| Ok(Tree::new()), read_file).unwrap_or_else(|fault| {
        faults.push(fault);
        Tree::new()
    });
    for (name, text) in environment {
        if !name.as_encoded_bytes().starts_with(ENVIRONMENT_PREFIX.as_bytes()) {
            continue;
        }
        let (Some(name), Some(text)) = (name.to_str(), text.to_str()) else {
            faults.push(Fault::new(name.to_string_lossy(), "is not UTF-8"));
            continue;
        };
        let Some(path) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
        let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        if keys.iter().any(String::is_empty) {
            faults.push(Fault::new(name, "names no key: write TILLSTREAM__SECTION__KEY"));
            continue;
        }
        match serde_saphyr::from_str::<Value>(text) {
            Ok(value) => {
                set(&mut tree, &keys, value).unwrap_or_else(|message| faults.push(Fault::new(name, message)))
            }
            Err(fault) => faults.push(Fault::new(name, format!("is not YAML: {fault}"))),
        }
    }
    (tree, faults)
}

fn read_file(file: &Path) -> Result<Tree, Fault> {
    let place = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|fault| Fault::new(&place, format!("cannot be read: {fault}")))?;
    if text.trim().is_empty() {
        return Ok(Tree::new());
    }
    match serde_saphyr::from_str::<Value>(&text) {
        Ok(Value::Object(tree)) => Ok(tree),
        Ok(_) => Err(Fault::new(&place, "is not a mapping of keys to values")),
        Err(fault) => Err(Fault::new(&place, fault.to_string())),
    }
}

fn set(tree: &mut Tree, keys: &[String], value: Value) -> Result<(), &'static str> {
    let Some((last, sections)) = keys.split_last() else { return Ok(()) };
    let mut place = tree;
    for section in sections {
        let inner = place.entry(section.clone()).or_insert_with(|| Value::Object(Tree::new()));
        place = inner.as_object_mut().ok_or("names a key inside something that is not a section")?;
    }
    place.insert(last.clone(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(variables: &[(&str, &str)]) -> (Tree, Vec<Fault>) {
        read_layers(None, variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn variables_become_nested_keys_with_yaml_values() {
        let (tree, faults) = layers(&[
            ("TILLSTREAM__SESSIONS__GAP", "20m"),
            ("TILLSTREAM__ROLES", "[ingest, keyed]"),
            ("PATH", "x"),
        ]);
        let expected = serde_json::json!({"sessions": {"gap": "20m"}, "roles": ["ingest", "keyed"]});
        assert_eq!((Value::Object(tree), faults), (expected, vec![]));
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_utf_8_is_a_fault_only_if_it_is_ours() {
        use std::os::unix::ffi::OsStringExt;
        let no_text = || OsString::from_vec(vec![0xff]);
        let variables = [("FOO", no_text()), ("TILLSTREAM__ROLES", no_text())];
        let (tree, faults) =
            read_layers(None, variables.into_iter().map(|(name, value)| (name.into(), value)));
        assert_eq!((tree.len(), faults), (0, vec![Fault::new("TILLSTREAM__ROLES", "is not UTF-8")]));
    }

    #[test]
    fn a_variable_that_is_no_yaml_is_named() {
        let (_, faults) = layers(&[("TILLSTREAM__ROLES", "[ingest"), ("TILLSTREAM__", "1")]);
        let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["TILLSTREAM__ROLES", "TILLSTREAM__"]);
    }
}
