//! Values made of several: a ratio, a difference or a logarithm of what is known of one payment, computed when it is
//! decided. They have no state.

use super::spec::DerivedSpec;
use crate::event::part::feature_id;

/// The first half of their flat names, as a view's.
pub(super) const DERIVED: &str = "derived";
/// The payment's own number, as rules name it.
pub(super) const AMOUNT: &str = "amount_minor";

/// One value made of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Derived {
    /// Its flat name, such as `derived__amount_to_mean`.
    pub(super) name: String,
    /// Its stable number, as a feature's.
    pub(super) id: u32,
    formula: Formula<Operand>,
}

/// How a value is made of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Formula<O> {
    /// The first by the second; without a value if that is 0.
    Ratio(O, O),
    /// The first less the second.
    Difference(O, O),
    /// The natural logarithm; without a value unless it is above 0.
    Log(O),
}

/// What a value is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operand {
    Amount,
    Feature(u32),
}

impl Operand {
    fn named(name: &str) -> Operand {
        if name == AMOUNT { Operand::Amount } else { Operand::Feature(feature_id(name)) }
    }
}

impl DerivedSpec {
    /// Its flat name.
    #[must_use]
    pub fn flat_name(&self) -> String {
        format!("{DERIVED}__{}", self.name)
    }

    /// Its key in the file and the formula over names, if it has exactly one, of as many names as it takes; otherwise where in
    /// it that is wrong, and why.
    pub(super) fn formula(&self) -> Result<(&'static str, Formula<&str>), (&'static str, String)> {
        match (&self.ratio, &self.difference, &self.log) {
            (Some(names), None, None) => {
                pair("ratio", names).map(|(above, below)| ("ratio", Formula::Ratio(above, below)))
            }
            (None, Some(names), None) => {
                pair("difference", names).map(|(from, less)| ("difference", Formula::Difference(from, less)))
            }
            (None, None, Some(name)) => Ok(("log", Formula::Log(name.as_str()))),
            _ => Err(("", "must be one of ratio, difference and log".to_owned())),
        }
    }
}

fn pair<'n>(key: &'static str, names: &'n [String]) -> Result<(&'n str, &'n str), (&'static str, String)> {
    match names {
        [first, second] => Ok((first, second)),
        _ => Err((key, format!("must be two names, such as [{AMOUNT}, card_velocity__amount_mean_7d]"))),
    }
}

impl<'n> Formula<&'n str> {
    /// The names it is made of.
    pub(super) fn names(self) -> Vec<&'n str> {
        match self {
            Formula::Ratio(first, second) | Formula::Difference(first, second) => vec![first, second],
            Formula::Log(only) => vec![only],
        }
    }
}

impl Derived {
    /// The value of that flat name, made of names that have been checked.
    pub(super) fn new(name: String, formula: Formula<&str>) -> Derived {
        let formula = match formula {
            Formula::Ratio(above, below) => Formula::Ratio(Operand::named(above), Operand::named(below)),
            Formula::Difference(from, less) => {
                Formula::Difference(Operand::named(from), Operand::named(less))
            }
            Formula::Log(only) => Formula::Log(Operand::named(only)),
        };
        Derived { id: feature_id(&name), name, formula }
    }

    /// The numbers of the features that it is made of.
    pub(super) fn features(&self) -> impl Iterator<Item = u32> {
        let operands = match self.formula {
            Formula::Ratio(first, second) | Formula::Difference(first, second) => [Some(first), Some(second)],
            Formula::Log(only) => [Some(only), None],
        };
        operands.into_iter().flatten().filter_map(|operand| match operand {
            Operand::Amount => None,
            Operand::Feature(id) => Some(id),
        })
    }

    /// Its value for a payment of that amount with these features, in rising order of their numbers. None if something it
    /// is made of is missing, or if it is not finite.
    pub(super) fn value(&self, amount_minor: Option<f64>, features: &[(u32, f64)]) -> Option<f64> {
        let of = |operand| match operand {
            Operand::Amount => amount_minor,
            Operand::Feature(id) => {
                let found = features.binary_search_by_key(&id, |(id, _)| *id).ok()?;
                features.get(found).map(|(_, value)| *value)
            }
        };
        let value = match self.formula {
            Formula::Ratio(above, below) => of(above)? / of(below)?,
            Formula::Difference(from, less) => of(from)? - of(less)?,
            Formula::Log(only) => of(only)?.ln(),
        };
        value.is_finite().then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_of_what_is_there_and_has_none_where_it_would_not_be_finite() {
        let a = feature_id("v__a");
        let ratio = Formula::Ratio(AMOUNT, "v__a");
        let difference = Formula::Difference("v__a", AMOUNT);
        let table = [
            (ratio, Some(6.0), Some(3.0), Some(2.0)),
            (ratio, Some(6.0), Some(0.0), None),
            (ratio, Some(0.0), Some(0.0), None),
            (ratio, None, Some(3.0), None),
            (ratio, Some(6.0), None, None),
            (difference, Some(6.0), Some(3.0), Some(-3.0)),
            (difference, Some(6.0), None, None),
            (Formula::Log("v__a"), None, Some(1.0), Some(0.0)),
            (Formula::Log("v__a"), None, Some(0.0), None),
            (Formula::Log("v__a"), None, Some(-1.0), None),
        ];
        for (formula, amount, feature, expected) in table {
            let features: Vec<(u32, f64)> = feature.into_iter().map(|value| (a, value)).collect();
            let derived = Derived::new("derived__x".to_owned(), formula);
            assert_eq!(
                derived.value(amount, &features),
                expected,
                "{formula:?} of amount {amount:?} and {feature:?}"
            );
        }
    }
}
