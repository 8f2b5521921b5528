//! Names become numbers: what a condition reads is found once, when its file is read.
//!
//! Every variable of the conditions of one file gets a slot; in the tree its name is replaced by the
//! slot's number, so that evaluation reads an array. The literal list of an `in` moves into the
//! context that all evaluations share: `cel` would build it anew, text by text, each time.

use super::{Condition, Names};
use cel::Context;
use cel::Env;
use cel::common::ast::{Expr, IdedExpr, ListExpr};
use cel::common::types::CelList;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The variables of all conditions that were bound together, each once, in the order in which they are first met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots<V> {
    /// Slot numbers are positions here.
    variables: Vec<(String, V)>,
}

impl<V: Copy> Slots<V> {
    /// The variable of every slot.
    pub fn variables(&self) -> impl Iterator<Item = V> {
        self.variables.iter().map(|(_, variable)| *variable)
    }

    /// Name and variable of `slot`.
    #[must_use]
    pub fn slot(&self, slot: usize) -> Option<(&str, V)> {
        self.variables.get(slot).map(|(name, variable)| (name.as_str(), *variable))
    }

    fn number(&mut self, name: &str, variable: V) -> usize {
        let known = self.variables.iter().position(|(other, _)| other == name);
        known.unwrap_or_else(|| {
            self.variables.push((name.to_string(), variable));
            self.variables.len() - 1
        })
    }
}

/// Binds the conditions of one file, one after the other.
pub struct Binder<'n, N: Names> {
    names: &'n N,
    /// Where the variables are.
    pub slots: Slots<N::Variable>,
    /// Functions, and the lists, under names that no slot has. Prepared once: a new default context takes 18 µs.
    pub base: Context<'static, 'static>,
    lists: usize,
}

impl<'n, N: Names> Binder<'n, N> {
    /// Binds names as `names` knows them.
    #[must_use]
    pub fn new(names: &'n N) -> Binder<'n, N> {
        let base = Context::with_env(Arc::new(Env::stdlib()));
        Binder { names, slots: Slots { variables: Vec::new() }, base, lists: 0 }
    }

    /// Binds a tree that has been checked.
    pub fn bind(&mut self, mut when: IdedExpr) -> Condition {
        let mut reads = BTreeMap::new();
        self.bind_node(&mut when, &mut reads);
        Condition { when, reads: reads.into_values().collect() }
    }

    fn bind_node(&mut self, node: &mut IdedExpr, reads: &mut BTreeMap<String, usize>) {
        match &mut node.expr {
            Expr::Ident(name) => {
                if let Some(variable) = self.names.find(name) {
                    let slot = self.slots.number(name, variable);
                    reads.insert(std::mem::replace(name, slot.to_string()), slot);
                }
            }
            Expr::Call(call) => {
                for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
                    self.bind_node(part, reads);
                }
            }
            Expr::List(list) => node.expr = Expr::Ident(self.share(list)),
            _ => {}
        }
    }

    /// The name under which `list` stands in the shared context from now on.
    fn share(&mut self, list: &ListExpr) -> String {
        let name = format!("list{}", self.lists);
        self.lists += 1;
        let literals = list.elements.iter().filter_map(|element| match &element.expr {
            Expr::Literal(literal) => Some(literal.to_val().into_owned()),
            _ => None,
        });
        let list = CelList::from(literals.collect::<Vec<_>>());
        self.base.add_variable_as_val(name.as_str(), Box::new(list));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::super::checked;
    use super::*;

    /// `a` and `b` are numbers, everything else a text, each its own variable.
    struct Letters;

    impl Names for Letters {
        type Variable = char;

        fn find(&self, name: &str) -> Option<char> {
            name.chars().next()
        }

        fn is_text(variable: char) -> bool {
            !matches!(variable, 'a' | 'b')
        }

        fn known(&self) -> impl Iterator<Item = &str> {
            std::iter::empty()
        }
    }

    #[test]
    fn a_variable_has_one_slot_in_all_conditions_and_reads_are_in_order_of_name() {
        let mut binder = Binder::new(&Letters);
        let mut bind = |text: &str| binder.bind(checked(text, &Letters).expect("a condition"));
        assert_eq!(bind("b > 1.0 && b < a").reads(), [1, 0]);
        let condition = bind("channel in ['web', 'app'] && a > 2");
        assert_eq!(condition.reads(), [1, 2]);
        let text = format!("{:?}", condition.when);
        assert!(!text.contains("channel") && !text.contains("List") && text.contains("list0"), "{text}");
        assert_eq!(binder.slots.slot(1), Some(("a", 'a')));
        assert_eq!(binder.slots.slot(3), None);
        assert!(binder.base.get_variable("list0").is_some());
    }
}
