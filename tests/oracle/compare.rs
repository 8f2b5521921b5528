//! What was published against what should have been: as multisets, numbers as doubles.

use super::Public;
use super::entity_log::{PlainLabel, PlainPart};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tillstream::event::entity::partition_of;

/// Two numbers of one record may differ by this much of the larger one.
const TOLERANCE: f64 = 1e-12;
const SHOWN: usize = 8;

/// The values of one topic and key: expected and found.
type Both<'a> = (Vec<&'a Value>, Vec<&'a Value>);

/// Whether `actual` holds the same records as `expected`, each as often, in any order.
///
/// # Errors
///
/// The first differences: what is missing, what is unexpected, each with the nearest of its key.
pub fn multiset(expected: &[Public], actual: &[Public]) -> Result<(), String> {
    let mut by_key: BTreeMap<(&str, &str), Both<'_>> = BTreeMap::new();
    for record in expected {
        by_key.entry((&record.topic, &record.key)).or_default().0.push(&record.value);
    }
    for record in actual {
        by_key.entry((&record.topic, &record.key)).or_default().1.push(&record.value);
    }
    let mut different = Vec::new();
    for (place, (expected, actual)) in by_key {
        let (missing, unexpected) = leftovers(&expected, &actual);
        if !missing.is_empty() || !unexpected.is_empty() {
            different.push((place, missing, unexpected));
        }
    }
    if different.is_empty() {
        return Ok(());
    }
    let missing: usize = different.iter().map(|(_, missing, _)| missing.len()).sum();
    let unexpected: usize = different.iter().map(|(_, _, unexpected)| unexpected.len()).sum();
    let mut report = format!(
        "{} records expected, {} found: {missing} missing, {unexpected} unexpected, under {} keys\n",
        expected.len(),
        actual.len(),
        different.len()
    );
    for ((topic, key), missing, unexpected) in different.iter().take(SHOWN) {
        describe(&mut report, topic, key, missing, unexpected);
    }
    Err(report)
}

/// Whether `actual` is `expected`, record by record.
///
/// # Errors
///
/// The first place where they part.
pub fn sequence(expected: &[Public], actual: &[Public]) -> Result<(), String> {
    for (index, (wanted, found)) in expected.iter().zip(actual).enumerate() {
        if wanted.topic != found.topic || wanted.key != found.key || !same(&wanted.value, &found.value) {
            let mut report = format!("record {index} differs\n");
            if (&wanted.topic, &wanted.key) == (&found.topic, &found.key) {
                describe(&mut report, &wanted.topic, &wanted.key, &[&wanted.value], &[&found.value]);
            } else {
                describe(&mut report, &wanted.topic, &wanted.key, &[&wanted.value], &[]);
                describe(&mut report, &found.topic, &found.key, &[], &[&found.value]);
            }
            return Err(report);
        }
    }
    if expected.len() == actual.len() {
        return Ok(());
    }
    let at = expected.len().min(actual.len());
    Err(format!(
        "{} records expected, {} found; the first without a partner: {:?}",
        expected.len(),
        actual.len(),
        expected.get(at).or_else(|| actual.get(at))
    ))
}

/// Whether the decision log holds exactly these parts, and those of one partition of the entity log in
/// one partition of the decision log in the order of their folds.
///
/// # Errors
///
/// The first differences.
pub fn parts(expected: &[PlainPart], actual: &[PlainPart], decision_partitions: u32) -> Result<(), String> {
    let by_way = |parts: &[PlainPart]| {
        let mut ways: BTreeMap<(u32, u32), Vec<Public>> = BTreeMap::new();
        for part in parts {
            let to = partition_of(part.decision.hash(), decision_partitions);
            ways.entry((part.partition, to)).or_default().push(part.to_public());
        }
        ways
    };
    let all = |parts: &[PlainPart]| parts.iter().map(PlainPart::to_public).collect::<Vec<Public>>();
    multiset(&all(expected), &all(actual))?;
    let (expected, actual) = (by_way(expected), by_way(actual));
    for (way, expected) in &expected {
        sequence(expected, &actual[way]).map_err(|fault| format!("from and to {way:?}: {fault}"))?;
    }
    Ok(())
}

/// Whether the decision log holds exactly these labels.
///
/// # Errors
///
/// Both, sorted.
pub fn labels(expected: &[PlainLabel], actual: &[PlainLabel]) -> Result<(), String> {
    let sorted = |labels: &[PlainLabel]| {
        let mut labels = labels.to_vec();
        labels.sort();
        labels
    };
    let (expected, actual) = (sorted(expected), sorted(actual));
    if expected == actual { Ok(()) } else { Err(format!("{expected:?} expected, {actual:?} found")) }
}

/// Whether two values are the same, numbers as doubles within the tolerance.
#[must_use]
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Number(one), Value::Number(other)) => near(one.as_f64(), other.as_f64()),
        (one, other) => one == other,
    }
}

/// What of `expected` has no partner in `actual`, and the reverse.
fn leftovers<'a>(expected: &[&'a Value], actual: &[&'a Value]) -> (Vec<&'a Value>, Vec<&'a Value>) {
    let mut unclaimed: Vec<&Value> = actual.to_vec();
    let mut missing = Vec::new();
    // Mostly both stand in one order, so that the partner is the first: removing it is what costs.
    unclaimed.reverse();
    for wanted in expected {
        match unclaimed.iter().rposition(|found| same(wanted, found)) {
            Some(place) => {
                unclaimed.remove(place);
            }
            None => missing.push(*wanted),
        }
    }
    unclaimed.reverse();
    (missing, unclaimed)
}

fn describe(report: &mut String, topic: &str, key: &str, missing: &[&Value], unexpected: &[&Value]) {
    let _ = writeln!(report, "\n{topic}, key {key}:");
    for wanted in missing.iter().take(SHOWN) {
        let nearest = unexpected.iter().map(|found| differences(wanted, found, "")).min_by_key(Vec::len);
        match nearest {
            Some(differences) => {
                let _ =
                    writeln!(report, "  missing    {wanted}\n  nearest unexpected of this key differs in:");
                for difference in differences.iter().take(2 * SHOWN) {
                    let _ = writeln!(report, "    {difference}");
                }
            }
            None => {
                let _ = writeln!(report, "  missing    {wanted}");
            }
        }
    }
    for found in unexpected.iter().take(SHOWN) {
        let _ = writeln!(report, "  unexpected {found}");
    }
}

fn differences(expected: &Value, actual: &Value, path: &str) -> Vec<String> {
    match (expected, actual) {
        (Value::Object(one), Value::Object(other)) => {
            let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            let field = |name: &String| {
                let path = format!("{path}/{name}");
                match (one.get(name), other.get(name)) {
                    (Some(one), Some(other)) => differences(one, other, &path),
                    (one, other) => vec![line(&path, one, other)],
                }
            };
            names.into_iter().flat_map(field).collect()
        }
        (Value::Array(one), Value::Array(other)) => (0..one.len().max(other.len()))
            .flat_map(|index| {
                let path = format!("{path}/{index}");
                match (one.get(index), other.get(index)) {
                    (Some(one), Some(other)) => differences(one, other, &path),
                    (one, other) => vec![line(&path, one, other)],
                }
            })
            .collect(),
        (Value::Number(one), Value::Number(other)) if near(one.as_f64(), other.as_f64()) => Vec::new(),
        (one, other) if one == other => Vec::new(),
        (one, other) => vec![line(path, Some(one), Some(other))],
    }
}

fn near(one: Option<f64>, other: Option<f64>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    (one - other).abs() <= TOLERANCE * one.abs().max(other.abs())
}

fn line(path: &str, expected: Option<&Value>, actual: Option<&Value>) -> String {
    let spelled = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    format!("{path}: expected {}, found {}", spelled(expected), spelled(actual))
}
