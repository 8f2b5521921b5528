//! From the text of a condition to its tree, under limits, with the place of everything in it.
//!
//! The parser knows no macros here: `has(..)` and `x.all(..)` stay the calls they are written as,
//! and the checker refuses them by name. What a name stands for is not known here.

use super::Names;
use super::check::check;
use cel::common::ast::{IdedExpr, SourceInfo};
use cel::parser::Parser;
use cel::{Env, ParseError, ParseErrors};
use std::fmt;

/// How long a condition may be, in bytes. The parser's stack grows with it, and so does what it costs to evaluate: there are no
/// loops, so each operator is met at most once.
pub const WHEN_BYTES_MAX: usize = 4096;

/// How deep brackets and `?:` may stand in one another. The parser recurses for each of them, and for
/// each operator of a chain: within [`WHEN_BYTES_MAX`] it takes at most 1.2 MiB of stack (measured at
/// `opt-level` 1 over every kind of bracket and chain; 5.8 MiB at 0), and a thread has 2 MiB.
const NESTING_MAX: u16 = 32;

/// How much of a parser's message is shown; it may quote the whole condition.
const MESSAGE_CHARS_MAX: usize = 160;

/// The tree of a condition that may be evaluated.
///
/// # Errors
///
/// All its faults, each with its place.
pub fn checked<N: Names>(when: &str, names: &N) -> Result<IdedExpr, Vec<String>> {
    let expression = Expression::parse(when).map_err(|fault| vec![fault])?;
    let faults = check(&expression, names);
    if faults.is_empty() { Ok(expression.root) } else { Err(faults) }
}

/// A condition that could be parsed.
pub(super) struct Expression {
    /// Its tree; every node has an id.
    pub(super) root: IdedExpr,
    source: SourceInfo,
}

impl Expression {
    /// Parses `text`; the first fault, with its place, if that cannot be done. What follows the
    /// first is the parser's guess at how to go on, and seldom helps.
    pub(super) fn parse(text: &str) -> Result<Expression, String> {
        if text.trim().is_empty() {
            return Err("is empty".to_string());
        }
        if text.len() > WHEN_BYTES_MAX {
            return Err(format!("is {} bytes long, and may be {WHEN_BYTES_MAX}", text.len()));
        }
        let parsed = parser().parse_with_source_info(text);
        parsed.map(|(root, source)| Expression { root, source }).map_err(|errors| first_fault(text, &errors))
    }

    /// Where `node` stands in the text: its operator if it is a call, else its first character.
    pub(super) fn place(&self, node: &IdedExpr) -> Place {
        let offset = self.source.offset_for(node.id).map_or(0, |(start, _)| start);
        let before = usize::try_from(offset).ok().and_then(|offset| self.source.source.get(..offset));
        let before = before.unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Place { line: several_lines(&self.source.source).then_some(line), column }
    }
}

fn parser() -> Parser {
    let without_macros = Env::default().with_optional_support(false);
    without_macros.parser().max_recursion_depth(NESTING_MAX)
}

/// A place in a condition; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Absent if the condition has only one line.
    line: Option<usize>,
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        write!(f, "column {}", self.column)
    }
}

fn several_lines(text: &str) -> bool {
    text.trim_end().contains('\n')
}

/// The fault that the parser met first, in reading order.
///
/// Printing a [`ParseError`] is avoided: it panics for columns beyond 65,535.
fn first_fault(text: &str, errors: &ParseErrors) -> String {
    let errors = &errors.errors;
    if errors.iter().any(|error| error.msg.contains("Recursion limit of")) {
        return format!("is nested more than {NESTING_MAX} deep");
    }
    // An error of syntax has a place of its own; the others may only repeat it for the whole.
    let of_syntax = errors.iter().find(|error| error.msg.starts_with("Syntax error"));
    let Some(error) = of_syntax.or(errors.first()) else {
        return "cannot be read".to_string();
    };
    match place_of(text, error) {
        Some(place) => format!("{place}: {}", shown(&error.msg)),
        None => shown(&error.msg),
    }
}

fn place_of(text: &str, error: &ParseError) -> Option<Place> {
    let line = usize::try_from(error.pos.0).ok().filter(|line| *line > 0)?;
    let column = usize::try_from(error.pos.1).ok()?;
    Some(Place { line: several_lines(text).then_some(line), column })
}

/// The message without its list of everything that could have stood there instead.
fn shown(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = message.split_once(" expecting {").map_or(message, |(found, _)| found);
    let printable = message.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    printable.take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Expression::parse(text).map(|_| ()).expect_err(text)
    }

    #[test]
    fn faults_of_syntax_say_where() {
        let cases = [
            ("", "is empty"),
            (" \n ", "is empty"),
            ("a >", "column 4: mismatched input '<EOF>'"),
            ("a b", "column 3: extraneous input 'b' expecting <EOF>"),
            ("a == 'é😀' && b >", "column 17: mismatched input '<EOF>'"),
            ("a ==\n  'x'\n && b > ", "line 3, column 9: mismatched input '<EOF>'"),
            ("((a)", "column 5: missing ')' at '<EOF>'"),
            ("a ? b", "column 6: mismatched input '<EOF>'"),
            ("if > 1", "column 1: reserved identifier: if"),
            ("a > 9999999999999999999", "column 5: invalid int literal"),
            ("a.?b", "column 2: unsupported syntax '.?'"),
            ("a > \0", "column 5: token recognition error at: '\u{fffd}'"),
        ];
        for (text, expected) in cases {
            assert_eq!(fault(text), expected, "{text}");
        }
    }

    #[test]
    fn length_is_bounded() {
        let of_length = |bytes: usize| format!("a > 1{}", " ".repeat(bytes - 5));
        assert!(Expression::parse(&of_length(WHEN_BYTES_MAX)).is_ok());
        assert_eq!(fault(&of_length(WHEN_BYTES_MAX + 1)), "is 4097 bytes long, and may be 4096");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Expression::parse(&nested(32)).is_ok());
        assert_eq!(fault(&nested(33)), "is nested more than 32 deep");
    }

    #[test]
    fn a_place_counts_characters_from_the_start_of_its_line() {
        let place = |text: &str| {
            let expression = Expression::parse(text).expect("parses");
            expression.place(&expression.root).to_string()
        };
        assert_eq!(place("a > b"), "column 3");
        assert_eq!(place("'é😀' > b"), "column 6");
        assert_eq!(place("a\n  > b"), "line 2, column 3");
    }
}
