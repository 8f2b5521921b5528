//! How the checker speaks: what things are called, and what to write instead.

use super::{Kind, TEXT_FUNCTIONS};
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use std::fmt;

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Truth => "a condition",
            Kind::Number => "a number",
            Kind::Whole => "a whole number",
            Kind::Text => "a text",
        })
    }
}

/// The operator or function as it is written.
pub(super) fn symbol(call: &CallExpr) -> &str {
    call.func_name.trim_matches('_')
}

/// How to write the whole number `node` as a double.
pub(super) fn decimals(node: &IdedExpr) -> String {
    match &node.expr {
        Expr::Literal(LiteralValue::Int(whole)) => {
            let whole = whole.inner();
            format!("takes no whole numbers: write `{whole}.0`, not `{whole}`")
        }
        Expr::Literal(LiteralValue::UInt(whole)) => {
            let whole = whole.inner();
            format!("takes no whole numbers: write `{whole}.0`, not `{whole}u`")
        }
        _ => "takes no whole numbers: write `2.0`, not `2`".to_string(),
    }
}

/// Why what is called `name` cannot be called.
pub(super) fn refusal(name: &str) -> String {
    let allowed = TEXT_FUNCTIONS.join("`, `");
    match name {
        operators::MODULO => "there is no `%`".to_string(),
        operators::INDEX => "nothing has elements".to_string(),
        operators::HAS
        | operators::ALL
        | operators::EXISTS
        | operators::EXISTS_ONE
        | operators::MAP
        | operators::FILTER => {
            format!("the macro `{name}` is not allowed: macros have no bound on their cost")
        }
        _ if TEXT_FUNCTIONS.contains(&name) => format!("`{name}` is written `text.{name}(text)`"),
        _ => format!("there is no function `{name}`; there are `{allowed}`"),
    }
}
