//! Two sorted samples, walked through together.

use crate::drift::Pair;

/// One distinct value of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub(super) value: f64,
    /// How many of each sample are below it.
    pub(super) below: Pair<u64>,
    /// How many of each sample are equal to it.
    pub(super) equal: Pair<u64>,
}

impl Step {
    /// How many of each sample are at or below it.
    pub(super) fn up_to(&self) -> Pair<u64> {
        Pair {
            reference: self.below.reference + self.equal.reference,
            current: self.below.current + self.equal.current,
        }
    }
}

/// The distinct values of two sorted samples, rising.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    rest: Pair<&'a [f64]>,
    below: Pair<u64>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(sorted: Pair<&'a [f64]>) -> Walk<'a> {
        Walk { rest: sorted, below: Pair::default() }
    }
}

impl Iterator for Walk<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let value = match (self.rest.reference.first(), self.rest.current.first()) {
            (Some(reference), Some(current)) => reference.min(*current),
            (one, other) => *one.or(other)?,
        };
        let take = |rest: &mut &[f64]| {
            let equal = rest.iter().take_while(|other| **other <= value).count();
            *rest = rest.get(equal..).unwrap_or_default();
            equal as u64
        };
        let equal = Pair { reference: take(&mut self.rest.reference), current: take(&mut self.rest.current) };
        let step = Step { value, below: self.below, equal };
        self.below = step.up_to();
        Some(step)
    }
}
