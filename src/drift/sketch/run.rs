//! Counts of neighbouring bins on one side of zero.

use super::bin::OUTERMOST;

/// The counts of all bins from the first to the last that has one, 8 bytes each: a count is found without a search. Values of
/// a feature lie within some ten doublings, so that is some hundred bins; never more than 1,281.
///
/// The first and the last count are not 0, so runs of equal counts are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Run {
    first: u16,
    counts: Vec<u64>,
}

impl Run {
    /// Adds `count`, above 0, to the bin with this number.
    #[inline]
    pub(super) fn add(&mut self, place: u16, count: u64) {
        let slot = place.checked_sub(self.first).and_then(|index| self.counts.get_mut(usize::from(index)));
        match slot {
            Some(slot) => *slot = slot.saturating_add(count),
            None => self.extend(place, count),
        }
    }

    /// Adds to a bin beyond the ends, or to the first.
    #[cold]
    fn extend(&mut self, place: u16, count: u64) {
        self.reach(place);
        let index = usize::from(place - self.first);
        self.counts.get_mut(index).into_iter().for_each(|slot| *slot = slot.saturating_add(count));
    }

    /// Makes the run reach to a bin, which is to be given a count.
    pub(super) fn reach(&mut self, place: u16) {
        debug_assert!(place <= OUTERMOST, "no bin lies beyond the outermost");
        if self.counts.is_empty() {
            self.first = place;
        }
        if place < self.first {
            let missing = usize::from(self.first - place);
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = place;
        }
        let index = usize::from(place - self.first);
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
    }

    /// The bins that have a count, from zero outwards.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u16, u64)> + Clone {
        (self.first..=OUTERMOST).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    pub(super) fn merge(&mut self, other: &Run) {
        let Some(last) = other.last() else { return };
        if self.counts.is_empty() {
            self.clone_from(other);
            return;
        }
        self.reach(other.first);
        self.reach(last);
        let ours = self.counts.iter_mut().skip(usize::from(other.first - self.first));
        ours.zip(&other.counts).for_each(|(ours, theirs)| *ours = ours.saturating_add(*theirs));
    }

    /// The last bin that has a count.
    fn last(&self) -> Option<u16> {
        let after_first = self.counts.len().checked_sub(1)?;
        u16::try_from(after_first).ok()?.checked_add(self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_grows_at_both_ends_and_is_the_same_whichever_came_first() {
        let (mut one, mut other) = (Run::default(), Run::default());
        for place in [500, 7, 1_280, 0, 7] {
            one.add(place, 2);
        }
        for place in [0, 7, 7, 500, 1_280] {
            other.add(place, 2);
        }
        assert_eq!(one, other);
        assert!(one.iter().eq([(0, 2), (7, 4), (500, 2), (1_280, 2)]));
        assert!(one.iter().rev().eq([(1_280, 2), (500, 2), (7, 4), (0, 2)]));
    }

    #[test]
    fn a_merged_run_is_that_of_all_counts_whatever_overlaps() {
        let of = |places: &[u16]| {
            let mut run = Run::default();
            places.iter().for_each(|place| run.add(*place, 3));
            run
        };
        for (one, other) in
            [(&[][..], &[4, 9][..]), (&[4, 9], &[]), (&[2, 6], &[4, 9]), (&[4], &[1, 2]), (&[1, 9], &[3])]
        {
            let mut merged = of(one);
            merged.merge(&of(other));
            assert_eq!(merged, of(&[one, other].concat()), "{one:?} {other:?}");
        }
    }
}
