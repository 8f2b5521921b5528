//! Reads typed values out of a tree and collects every fault on the way.

use crate::fault::Fault;
use crate::time::EventTime;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

use super::layers::Tree;

/// A section of the configuration. Keys that are never asked for are faults, see [`Section::finish`].
pub(super) struct Section<'t> {
    path: String,
    tree: Option<&'t Tree>,
    asked: Vec<&'static str>,
}

impl<'t> Section<'t> {
    pub(super) fn root(tree: &'t Tree) -> Section<'t> {
        Section { path: String::new(), tree: Some(tree), asked: Vec::new() }
    }

    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn value(&mut self, key: &'static str) -> Option<&'t Value> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.tree.and_then(|tree| tree.get(key)).filter(|value| !value.is_null())
    }

    pub(super) fn section(&mut self, key: &'static str, faults: &mut Vec<Fault>) -> Section<'t> {
        let tree = self.value(key).and_then(|value| {
            let tree = value.as_object();
            if tree.is_none() {
                faults.push(Fault::new(self.path(key), "must be a section of keys and values"));
            }
            tree
        });
        Section { path: self.path(key), tree, asked: Vec::new() }
    }

    pub(super) fn list(&mut self, key: &'static str, faults: &mut Vec<Fault>) -> Option<&'t Vec<Value>> {
        let value = self.value(key)?;
        let list = value.as_array();
        if list.is_none() {
            faults.push(Fault::new(self.path(key), "must be a list"));
        }
        list
    }

    pub(super) fn element(path: String, value: &'t Value, faults: &mut Vec<Fault>) -> Section<'t> {
        let tree = value.as_object();
        if tree.is_none() {
            faults.push(Fault::new(&path, "must be a section of keys and values"));
        }
        Section { path, tree, asked: Vec::new() }
    }

    pub(super) fn text(&mut self, key: &'static str, default: &str, faults: &mut Vec<Fault>) -> String {
        self.optional_text(key, faults).unwrap_or_else(|| default.to_owned())
    }

    pub(super) fn optional_text(&mut self, key: &'static str, faults: &mut Vec<Fault>) -> Option<String> {
        let text = text_of(self.value(key)?);
        if text.is_none() {
            faults.push(Fault::new(self.path(key), "must be a text"));
        }
        text
    }

    /// Reports those of `keys` that are not there. (A section that is none has been reported.)
    pub(super) fn require(&mut self, keys: &[&'static str], faults: &mut Vec<Fault>) {
        for key in keys {
            if self.value(key).is_none() && self.tree.is_some() {
                faults.push(Fault::new(self.path(key), "is required"));
            }
        }
    }

    /// What `read` makes of each element of a list; `stand_in`, and a fault, of an element it cannot read.
    pub(super) fn each<T: Clone>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl Fn(&Value) -> Option<T>,
        stand_in: &T,
        faults: &mut Vec<Fault>,
    ) -> Vec<T> {
        let path = self.path(key);
        let list = self.list(key, faults).into_iter().flatten().enumerate();
        list.map(|(place, value)| {
            read(value).unwrap_or_else(|| {
                faults.push(Fault::new(format!("{path}[{place}]"), wanted));
                stand_in.clone()
            })
        })
        .collect()
    }

    /// A time as RFC 3339 has it, if there is one.
    pub(super) fn instant(&mut self, key: &'static str, faults: &mut Vec<Fault>) -> Option<EventTime> {
        let value = self.value(key)?;
        let time = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        if time.is_none() {
            faults.push(Fault::new(self.path(key), "must be a time such as 2026-01-05T00:00:00Z"));
        }
        time.map(|time| EventTime(time.as_millisecond()))
    }

    /// A number, whole or not.
    pub(super) fn number(&mut self, key: &'static str, default: f64, faults: &mut Vec<Fault>) -> f64 {
        let Some(value) = self.value(key) else { return default };
        value.as_f64().unwrap_or_else(|| {
            faults.push(Fault::new(self.path(key), "must be a number"));
            default
        })
    }

    /// `true` or `false`.
    pub(super) fn truth(&mut self, key: &'static str, default: bool, faults: &mut Vec<Fault>) -> bool {
        let Some(value) = self.value(key) else { return default };
        value.as_bool().unwrap_or_else(|| {
            faults.push(Fault::new(self.path(key), "must be true or false"));
            default
        })
    }

    /// A duration with its unit, from `least` up.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        least: Duration,
        faults: &mut Vec<Fault>,
    ) -> Duration {
        let Some(value) = self.value(key) else { return default };
        let parsed = value.as_str().and_then(|text| humantime::parse_duration(text).ok());
        match parsed {
            Some(duration) if duration >= least => duration,
            Some(_) if least <= Duration::from_millis(1) => {
                faults.push(Fault::new(self.path(key), "must be greater than zero"));
                default
            }
            Some(_) => {
                let least = humantime::format_duration(least);
                faults.push(Fault::new(self.path(key), format!("must be at least {least}")));
                default
            }
            None => {
                faults.push(Fault::new(
                    self.path(key),
                    format!("`{value}` is no duration with a unit, such as \"30m\""),
                ));
                default
            }
        }
    }

    /// A number of bytes with its unit.
    pub(super) fn bytes(&mut self, key: &'static str, default: usize, faults: &mut Vec<Fault>) -> usize {
        let Some(value) = self.value(key) else { return default };
        match value.as_str().and_then(parse_bytes).filter(|bytes| *bytes > 0) {
            Some(bytes) => bytes,
            None => {
                faults.push(Fault::new(
                    self.path(key),
                    format!("`{value}` is no size with a unit, such as \"1MiB\""),
                ));
                default
            }
        }
    }

    /// A whole number from `range`.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        default: u32,
        range: std::ops::RangeInclusive<u32>,
        faults: &mut Vec<Fault>,
    ) -> u32 {
        let Some(value) = self.value(key) else { return default };
        match value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| range.contains(number))
        {
            Some(number) => number,
            None => {
                let (least, most) = (range.start(), range.end());
                faults.push(Fault::new(
                    self.path(key),
                    format!("must be a whole number from {least} to {most}"),
                ));
                default
            }
        }
    }

    /// One of a few names.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        default: T,
        names: &[(&str, T)],
        faults: &mut Vec<Fault>,
    ) -> T {
        let Some(value) = self.value(key) else { return default };
        let found = names.iter().find(|(name, _)| value.as_str() == Some(*name));
        found.map_or_else(
            || {
                let known: Vec<_> = names.iter().map(|(name, _)| *name).collect();
                faults.push(Fault::new(self.path(key), format!("must be one of {}", known.join(", "))));
                default
            },
            |(_, choice)| *choice,
        )
    }

    /// Free keys with texts, or what stands for one.
    pub(super) fn texts(&mut self, key: &'static str, faults: &mut Vec<Fault>) -> BTreeMap<String, String> {
        let Some(value) = self.value(key) else { return BTreeMap::new() };
        let Some(tree) = value.as_object() else {
            faults.push(Fault::new(self.path(key), "must be a section of keys and values"));
            return BTreeMap::new();
        };
        let mut texts = BTreeMap::new();
        for (name, value) in tree {
            match text_of(value) {
                Some(text) => drop(texts.insert(name.clone(), text)),
                None => faults.push(Fault::new(format!("{}.{name}", self.path(key)), "must be a text")),
            }
        }
        texts
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self, faults: &mut Vec<Fault>) {
        for key in self.tree.into_iter().flat_map(Tree::keys) {
            if !self.asked.contains(&key.as_str()) {
                let known = self.asked.join(", ");
                faults
                    .push(Fault::new(self.path(key), format!("is not a known key here; known are: {known}")));
            }
        }
    }
}

/// A text, or what stands for one without quotes.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn parse_bytes(text: &str) -> Option<usize> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}
