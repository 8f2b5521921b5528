//! Conditions in CEL: what rules and the filters of views are written in.
//!
//! The `cel` crate's types are dynamic and its errors come at run time. So each condition is parsed under limits
//! (`expression.rs`), its names and types are checked when its file is read (`check.rs`), and its names are bound to numbered
//! slots (`bind.rs`). What is left to fail is ordering by what is not a number (0.0 / 0.0). A condition is evaluated only if
//! everything it reads has a value, even where its first part would decide: the outcome must not depend on the order in which
//! it is written. Pure and deterministic. What the names stand for is for the caller to say ([`Names`]).

mod bind;
mod check;
mod expression;
mod nearest;
mod values;

pub use bind::{Binder, Slots};
pub use expression::{WHEN_BYTES_MAX, checked};
pub use values::{Known, Values};

use cel::common::ast::IdedExpr;
use cel::common::types::CelBool;
use cel::{Context, ExecutionError, Value};
use std::borrow::Cow;

/// Why a condition is not evaluated that orders by 0.0 / 0.0 or the like.
pub const NOT_A_NUMBER: &str = "compares what is not a number";

/// The names that a condition may use.
pub trait Names {
    /// What a name stands for.
    type Variable: Copy;

    /// What `name` stands for, if it is known.
    fn find(&self, name: &str) -> Option<Self::Variable>;

    /// Whether its values are texts, and not numbers.
    fn is_text(variable: Self::Variable) -> bool;

    /// Every known name.
    fn known(&self) -> impl Iterator<Item = &str>;

    /// `; nearest: ..` if there are names like `name`, else nothing.
    fn suggestion(&self, name: &str) -> String {
        let near = nearest::nearest(name, self.known());
        if near.is_empty() { String::new() } else { format!("; nearest: `{}`", near.join("`, `")) }
    }
}

/// A condition, ready to be evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    when: IdedExpr,
    /// The slots it reads, in the order of their names.
    reads: Vec<usize>,
}

/// Why a condition was not evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// Something it reads has no value.
    Lacking,
    /// The evaluation failed.
    Failed(Cow<'static, str>),
}

impl Condition {
    /// The slots it reads, in the order of their names.
    #[must_use]
    pub fn reads(&self) -> &[usize] {
        &self.reads
    }

    /// Whether it holds of `values`, which `scope` resolves its names by.
    ///
    /// # Errors
    ///
    /// [`Unanswered`]: it cannot be told.
    pub fn holds(&self, values: &Values<'_>, scope: &Context<'_, '_>) -> Result<bool, Unanswered> {
        if self.reads.iter().any(|slot| values.is_missing(*slot)) {
            return Err(Unanswered::Lacking);
        }
        let result =
            Value::resolve_val(&self.when, scope).map_err(|error| Unanswered::Failed(failure(&error)))?;
        let truth = result.downcast_ref::<CelBool>().map(|truth| *truth.inner());
        truth.ok_or(Unanswered::Failed(Cow::Borrowed("is not a condition")))
    }
}

/// Why an evaluation failed. After the check no types can disagree, so a comparison of numbers that
/// `cel` finds no overload for is the one that has no answer.
fn failure(error: &ExecutionError) -> Cow<'static, str> {
    const NUMBERS: [&str; 3] = ["double", "int", "uint"];
    match error {
        ExecutionError::NoSuchOverload(overload)
            if overload.argument_types().iter().all(|kind| NUMBERS.contains(&kind.as_str())) =>
        {
            NOT_A_NUMBER.into()
        }
        other => other.to_string().into(),
    }
}
