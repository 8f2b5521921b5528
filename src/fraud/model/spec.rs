//! A model as it is declared.

use super::super::names::Names;
use super::tokens::Model;
use crate::condition::Names as _;
use crate::event::monitor::FRAUD;
use crate::fault::Fault;
use crate::ftrl::Learning;
use serde::Deserialize;

/// What a model reads, and how it learns.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Its name: `[a-z][a-z0-9_]*`.
    pub name: String,
    /// Features by flat name, values made of several, and fields of the payment.
    pub inputs: Vec<String>,
    /// Pairs of inputs whose buckets count together.
    #[serde(default)]
    pub crosses: Vec<(String, String)>,
    /// Into so many buckets a number is cut from one power of two to the next: 1, 2, 4, 8 or 16.
    #[serde(default = "two")]
    pub buckets_per_doubling: u32,
    /// How it learns.
    #[serde(default)]
    pub learning: Learning,
    /// From how many labels on it counts; before, it is in shadow.
    #[serde(default = "thousand")]
    pub min_labels: u64,
    /// And of how many frauds among them.
    #[serde(default = "fifty")]
    pub min_frauds: u64,
    /// After so many labels its weights go out, at the latest when an hour of event time begins: at least 1.
    #[serde(default = "two_hundred")]
    pub publish_after: u64,
}

fn two() -> u32 {
    2
}

fn thousand() -> u64 {
    1_000
}

fn fifty() -> u64 {
    50
}

fn two_hundred() -> u64 {
    200
}

const NAME_BYTES_MAX: usize = 128;
/// Beyond these, steps would round to nothing or to infinity.
const SMALLEST_ALPHA: f64 = 1e-6;
const LARGEST: f64 = 1e6;

/// More would make a decision slow and its memory large.
const INPUTS_MAX: usize = 64;

impl ModelSpec {
    /// Checks the declaration and prepares the model; `feature_names` are the flat names and numbers of the declared
    /// features.
    ///
    /// # Errors
    ///
    /// Every fault, with its place below `model`.
    pub fn compile(&self, feature_names: &[(String, u32)]) -> Result<Model, Vec<Fault>> {
        let names = Names::new(feature_names);
        let mut faults = Vec::new();
        let mut fault = |path: String, message: String| faults.push(Fault::new(path, message));
        let is_letter = |c: char| c.is_ascii_lowercase();
        let is_name = self.name.starts_with(is_letter)
            && self.name.chars().all(|c| is_letter(c) || c.is_ascii_digit() || c == '_');
        if !is_name {
            let message = "must be a lower-case letter, then lower-case letters, digits and `_`";
            fault("model.name".to_owned(), message.to_owned());
        } else if self.name == FRAUD || self.name.len() > NAME_BYTES_MAX {
            let message = format!(
                "must not be `{FRAUD}`, the name of the score that decides, and have at most {NAME_BYTES_MAX} letters"
            );
            fault("model.name".to_owned(), message);
        }
        let mut variables = Vec::new();
        for (place, input) in self.inputs.iter().enumerate() {
            let path = format!("model.inputs[{place}]");
            if self.inputs.iter().position(|other| other == input) < Some(place) {
                fault(path.clone(), format!("`{input}` is named before"));
            }
            match names.find(input) {
                Some(variable) => variables.push(variable),
                None => fault(path, format!("unknown name `{input}`{}", names.suggestion(input))),
            }
        }
        if self.inputs.is_empty() || self.inputs.len() > INPUTS_MAX {
            fault("model.inputs".to_owned(), format!("must name 1 to {INPUTS_MAX} inputs"));
        }
        if self.crosses.len() > INPUTS_MAX {
            fault("model.crosses".to_owned(), format!("must be at most {INPUTS_MAX}"));
        }
        let place_of = |name: &String| self.inputs.iter().position(|input| input == name);
        let mut crosses = Vec::new();
        for (place, (one, other)) in self.crosses.iter().enumerate() {
            match (place_of(one), place_of(other)) {
                (Some(first), Some(second)) if first != second => {
                    let pair = (first.min(second), first.max(second));
                    if crosses
                        .iter()
                        .any(|(one, other): &(usize, usize)| pair == (*one.min(other), *one.max(other)))
                    {
                        fault(format!("model.crosses[{place}]"), "these two are crossed before".to_owned());
                    }
                    crosses.push((first, second));
                }
                (Some(_), Some(_)) => {
                    fault(format!("model.crosses[{place}]"), "must be two inputs".to_owned())
                }
                (first, _) => {
                    let missing = if first.is_none() { one } else { other };
                    fault(format!("model.crosses[{place}]"), format!("`{missing}` is not among the inputs"));
                }
            }
        }
        if !matches!(self.buckets_per_doubling, 1 | 2 | 4 | 8 | 16) {
            fault("model.buckets_per_doubling".to_owned(), "must be one of 1, 2, 4, 8, 16".to_owned());
        }
        if self.publish_after == 0 {
            fault("model.publish_after".to_owned(), "must be at least 1".to_owned());
        }
        let Learning { alpha, beta, l1, l2 } = self.learning;
        for (name, value, holds) in [
            ("alpha", alpha, (SMALLEST_ALPHA..=LARGEST).contains(&alpha)),
            ("beta", beta, (0.0..=LARGEST).contains(&beta)),
            ("l1", l1, (0.0..=LARGEST).contains(&l1)),
            ("l2", l2, (0.0..=LARGEST).contains(&l2)),
        ] {
            if !holds {
                let smallest = if name == "alpha" { SMALLEST_ALPHA } else { 0.0 };
                let message = format!("must be from {smallest} to {LARGEST}, and is {value}");
                fault(format!("model.learning.{name}"), message);
            }
        }
        if faults.is_empty() { Ok(Model::new(self, variables, crosses)) } else { Err(faults) }
    }
}
