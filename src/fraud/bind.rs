//! Names become numbers: what a rule reads is found once, when the file is read.
//!
//! Every variable of the evaluated rules gets a slot; in the tree its name is replaced by the
//! slot's number, so that evaluation reads an array. The literal list of an `in` moves into the
//! context that all evaluations share: `cel` would build it anew, text by text, each time.

use super::names::{Names, Variable};
use cel::Context;
use cel::common::ast::{Expr, IdedExpr, ListExpr};
use cel::common::types::CelList;
use std::collections::BTreeMap;

/// The variables of all evaluated rules, each once, in the order in which they are first met.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Slot numbers are positions here.
    variables: Vec<(String, Variable)>,
}

impl Slots {
    /// The variable of every slot.
    pub(super) fn variables(&self) -> impl Iterator<Item = Variable> {
        self.variables.iter().map(|(_, variable)| *variable)
    }

    /// Name and variable of `slot`.
    pub(super) fn slot(&self, slot: usize) -> Option<(&str, Variable)> {
        self.variables.get(slot).map(|(name, variable)| (name.as_str(), *variable))
    }

    fn number(&mut self, name: &str, variable: Variable) -> usize {
        let known = self.variables.iter().position(|(other, _)| other == name);
        known.unwrap_or_else(|| {
            self.variables.push((name.to_string(), variable));
            self.variables.len() - 1
        })
    }
}

/// Binds the rules of one set, one after the other.
pub(super) struct Binder<'n> {
    names: &'n Names<'n>,
    /// Where the variables are.
    pub(super) slots: Slots,
    /// Where the lists are, under names that no slot has.
    pub(super) base: Context<'static, 'static>,
    lists: usize,
}

impl<'n> Binder<'n> {
    /// Binds names as `names` knows them, lists into `base`.
    pub(super) fn new(names: &'n Names<'n>, base: Context<'static, 'static>) -> Binder<'n> {
        Binder { names, slots: Slots::default(), base, lists: 0 }
    }

    /// Binds a tree that has been checked; the slots it reads, in the order of their names.
    pub(super) fn bind(&mut self, root: &mut IdedExpr) -> Vec<usize> {
        let mut reads = BTreeMap::new();
        self.bind_node(root, &mut reads);
        reads.into_values().collect()
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
    use super::*;
    use crate::fraud::expression::Expression;

    #[test]
    fn a_variable_has_one_slot_in_all_rules_and_reads_are_in_order_of_name() {
        let features = [("b__x".to_string(), 1), ("a__x".to_string(), 2)];
        let names = Names::new(&features);
        let mut binder = Binder::new(&names, Context::empty());
        let mut bind = |text: &str| {
            let mut root = Expression::parse(text).expect("parses").root;
            let reads = binder.bind(&mut root);
            (reads, root)
        };
        assert_eq!(bind("b__x > 1.0 && b__x < a__x").0, [1, 0]);
        let (reads, root) = bind("channel in ['web', 'app'] && a__x > 2");
        assert_eq!(reads, [1, 2]);
        let text = format!("{root:?}");
        assert!(!text.contains("channel") && !text.contains("List") && text.contains("list0"), "{text}");
        assert_eq!(binder.slots.slot(1), Some(("a__x", Variable::Feature(2))));
        assert_eq!(binder.slots.slot(3), None);
        assert!(binder.base.get_variable("list0").is_some());
    }
}
