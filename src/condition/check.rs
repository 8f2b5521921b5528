//! The types of a condition, checked before it ever runs.
//!
//! Whatever passes here evaluates to true or false for every event that has the values it reads,
//! with one exception: ordering by what is not a number (0.0 / 0.0) is an error at run time. The
//! `cel` crate finds types only while it evaluates, and `||` even hides such an error, so that a
//! misspelt name might never be seen. The language allowed is smaller than CEL: no macros, for they
//! are loops; no list but the literal one of `in`; no whole numbers in arithmetic, which CEL does
//! not mix with doubles and which could overflow.

mod wording;

use super::Names;
use super::expression::Expression;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};
use wording::{decimals, refusal, symbol};

/// The functions allowed: called on a text, with a text.
const TEXT_FUNCTIONS: [&str; 3] = ["startsWith", "endsWith", "contains"];

/// How many operators may stand in one another; evaluation recurses for each. A chain such as
/// `a + b + c` counts as two, `&&` and `||` chains as the logarithm of their length.
const HEIGHT_MAX: usize = 64;

/// What is wrong with `expression`, each fault with its place; empty if it may be evaluated.
pub(super) fn check<N: Names>(expression: &Expression, names: &N) -> Vec<String> {
    if height(&expression.root) > HEIGHT_MAX {
        return vec![format!("more than {HEIGHT_MAX} operators stand in one another")];
    }
    let mut checker = Checker { expression, names, faults: Vec::new() };
    let kind = checker.kind(&expression.root);
    if let Some(kind) = kind.filter(|kind| *kind != Kind::Truth) {
        checker.fault(&expression.root, format!("a condition is wanted, and this is {kind}"));
    }
    checker.faults
}

/// How many calls stand in one another; at most 2048, for each takes two bytes of the text.
fn height(node: &IdedExpr) -> usize {
    match &node.expr {
        Expr::Call(call) => {
            1 + call.target.as_deref().into_iter().chain(&call.args).map(height).max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// What an expression evaluates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Truth,
    /// A double.
    Number,
    /// `2` or `2u`, or a choice of such: compares with numbers, takes part in no arithmetic.
    Whole,
    Text,
}

impl Kind {
    /// Whether values of the two can be compared.
    fn compares_with(self, other: Kind) -> bool {
        let family = |kind| if kind == Kind::Whole { Kind::Number } else { kind };
        family(self) == family(other)
    }
}

/// Walks the tree; `None` for the kind of what is faulty already, so that one fault is told once.
struct Checker<'c, N> {
    expression: &'c Expression,
    names: &'c N,
    faults: Vec<String>,
}

impl<N: Names> Checker<'_, N> {
    fn fault(&mut self, node: &IdedExpr, message: impl std::fmt::Display) -> Option<Kind> {
        self.faults.push(format!("{}: {message}", self.expression.place(node)));
        None
    }

    fn kind(&mut self, node: &IdedExpr) -> Option<Kind> {
        match &node.expr {
            Expr::Literal(literal) => self.literal(node, literal),
            Expr::Ident(name) => self.name(node, name),
            Expr::Call(call) => self.call(node, call),
            Expr::Select(select) => self.member(node, select),
            Expr::List(_) => self.fault(node, "a list stands only on the right of `in`"),
            Expr::Map(_) | Expr::Struct(_) => self.fault(node, "maps and messages are not allowed"),
            Expr::Comprehension(_) => self.fault(node, "macros are not allowed"),
            Expr::Unspecified => self.fault(node, "cannot be read"),
        }
    }

    fn literal(&mut self, node: &IdedExpr, literal: &LiteralValue) -> Option<Kind> {
        match literal {
            LiteralValue::Boolean(_) => Some(Kind::Truth),
            LiteralValue::Double(_) => Some(Kind::Number),
            LiteralValue::Int(_) | LiteralValue::UInt(_) => Some(Kind::Whole),
            LiteralValue::String(_) => Some(Kind::Text),
            LiteralValue::Bytes(_) => self.fault(node, "bytes are not allowed; write a text"),
            LiteralValue::Null => self.fault(node, "there is no `null`: what lacks a value is not evaluated"),
        }
    }

    fn name(&mut self, node: &IdedExpr, name: &str) -> Option<Kind> {
        match self.names.find(name) {
            Some(variable) if N::is_text(variable) => Some(Kind::Text),
            Some(_) => Some(Kind::Number),
            None => self.fault(node, format!("unknown name `{name}`{}", self.names.suggestion(name))),
        }
    }

    fn member(&mut self, node: &IdedExpr, select: &SelectExpr) -> Option<Kind> {
        let meant = match &select.operand.expr {
            Expr::Ident(view) => self.names.suggestion(&format!("{view}__{}", select.field)),
            _ => String::new(),
        };
        self.fault(node, format!("nothing has members; a feature is named `view__feature`{meant}"))
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Option<Kind> {
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::CONDITIONAL, None, [condition, yes, no]) => self.choice(node, condition, [yes, no]),
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, None, parts) => {
                self.operands(call, parts, Kind::Truth)
            }
            (
                operators::EQUALS
                | operators::NOT_EQUALS
                | operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                None,
                [left, right],
            ) => self.comparison(node, call, [left, right]),
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::NEGATE,
                None,
                parts,
            ) => self.operands(call, parts, Kind::Number),
            (operators::IN, None, [item, list]) => self.membership(item, list),
            (name, Some(target), [argument]) if TEXT_FUNCTIONS.contains(&name) => {
                self.operand(call, target, Kind::Text);
                self.operand(call, argument, Kind::Text);
                Some(Kind::Truth)
            }
            (name, _, _) => self.fault(node, refusal(name)),
        }
    }

    /// Operands that are all `wanted`, as is the result: numbers for arithmetic, else conditions.
    fn operands(&mut self, call: &CallExpr, operands: &[IdedExpr], wanted: Kind) -> Option<Kind> {
        let good = operands.iter().filter(|operand| self.operand(call, operand, wanted)).count();
        (good == operands.len()).then_some(wanted)
    }

    /// Whether `operand` is what `call` wants.
    fn operand(&mut self, call: &CallExpr, operand: &IdedExpr, wanted: Kind) -> bool {
        let Some(kind) = self.kind(operand) else { return false };
        if kind == Kind::Whole && wanted == Kind::Number {
            self.fault(operand, format!("`{}` {}", symbol(call), decimals(operand)));
        } else if kind != wanted {
            self.fault(operand, format!("`{}` wants {wanted}, and this is {kind}", symbol(call)));
        }
        kind == wanted
    }

    /// Both branches must be of one kind, so that the kind of the choice is known.
    fn choice(&mut self, node: &IdedExpr, condition: &IdedExpr, [yes, no]: [&IdedExpr; 2]) -> Option<Kind> {
        if let Some(kind) = self.kind(condition).filter(|kind| *kind != Kind::Truth) {
            self.fault(condition, format!("`?:` wants a condition, and this is {kind}"));
        }
        let (of_yes, of_no) = (self.kind(yes), self.kind(no));
        match (of_yes?, of_no?) {
            (one, other) if one == other => Some(one),
            (Kind::Whole, Kind::Number) => self.fault(yes, format!("`?:` {}", decimals(yes))),
            (Kind::Number, Kind::Whole) => self.fault(no, format!("`?:` {}", decimals(no))),
            (one, other) => self.fault(node, format!("`?:` is either {one} or {other}")),
        }
    }

    fn comparison(&mut self, node: &IdedExpr, call: &CallExpr, sides: [&IdedExpr; 2]) -> Option<Kind> {
        let [left, right] = sides.map(|side| self.kind(side));
        if let (Some(left), Some(right)) = (left, right)
            && !left.compares_with(right)
        {
            self.fault(node, format!("`{}` compares {left} with {right}", symbol(call)));
        }
        Some(Kind::Truth)
    }

    fn membership(&mut self, item: &IdedExpr, list: &IdedExpr) -> Option<Kind> {
        let wanted = self.kind(item);
        let Expr::List(listed) = &list.expr else {
            self.fault(list, "`in` wants a list of literals on its right");
            return Some(Kind::Truth);
        };
        for element in &listed.elements {
            self.element(element, wanted);
        }
        Some(Kind::Truth)
    }

    fn element(&mut self, element: &IdedExpr, wanted: Option<Kind>) {
        let Expr::Literal(literal) = &element.expr else {
            self.fault(element, "the list of `in` holds literals only");
            return;
        };
        if let (Some(kind), Some(wanted)) = (self.literal(element, literal), wanted)
            && !kind.compares_with(wanted)
        {
            self.fault(element, format!("`in` looks for {wanted}, and this is {kind}"));
        }
    }
}

#[cfg(test)]
mod tests;
