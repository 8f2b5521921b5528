//! The search for the cut that is most likely a change.

use super::Watch;
use super::change::Kind;
use super::ratio::{self, Law};
use super::view::View;
use super::windows::{Cell, Cut};

/// Changes of the spread are looked for in windows of so many independent samples at least,
const SPREAD_SAMPLES_LEAST: f64 = 16.0;
/// which is never in the first rows.
const SPREAD_ROWS_SKIPPED: usize = 2;
/// From this inflation of squares on, a stream's spread is taken to come and go.
const WILD: f64 = 1.5;

/// A cut with its evidence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finding {
    pub(super) cut: Cut,
    pub(super) of: Of,
    pub(super) evidence: f64,
    pub(super) threshold: f64,
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Mean,
    Spread,
}

impl Watch {
    /// The cut within these rows with most evidence, of those with enough.
    pub(super) fn search(&self, rows: usize) -> Option<Finding> {
        let (all, view) = (self.windows.all(), &self.view);
        let older_least = self.settings.older_samples * (0.5 + 0.5 * view.inflation);
        // Whatever the law, evidence is at most δ²/variance · n₀ n₁ / (n₀ + n₁), as KL(a, b) ≤ (a − b)² / variance(b); this is
        // that without a division.
        let unit = view.unit(self.settings.kind, all) / all.weight;
        let is_value = self.settings.kind == Kind::Value;
        let (mut best, mut row, mut least) = (None, usize::MAX, 0.0);
        self.windows.each_cut(rows, |cut| {
            let (newer, older) = (cut.newer, all.minus(cut.newer));
            if older.weight < older_least {
                return false;
            }
            if cut.row != row {
                (row, least) = (cut.row, view.threshold.least_in_row(cut.row));
            }
            let apart = newer.sum * older.weight - older.sum * newer.weight;
            if apart * apart * unit >= least * view.inflation * older.weight * newer.weight {
                view.consider(&mut best, cut, Of::Mean, self.evidence_of_means(older, cut));
            }
            if is_value && cut.row >= SPREAD_ROWS_SKIPPED {
                let evidence = self.evidence_of_spreads(older, cut, least);
                if evidence >= least {
                    view.consider(&mut best, cut, Of::Spread, evidence);
                }
            }
            true
        });
        best
    }

    fn evidence_of_means(&self, older: Cell, cut: Cut) -> f64 {
        let (older, newer, inflation) = (self.comparable(older, cut.newer), cut.newer, self.view.inflation);
        match self.settings.kind {
            Kind::Rate => ratio::of_rates(older, newer) / inflation,
            Kind::Count => ratio::of_counts(older, newer) / inflation,
            Kind::Value => {
                // Few independent samples: as with the t-test, n/2 · ln(1 + t²/n).
                let n = (older.weight + newer.weight) / inflation;
                let ratio = ratio::of_means(older, newer, self.law_around(older, newer)) / inflation;
                0.5 * n * (2.0 * ratio / n).ln_1p()
            }
        }
    }

    /// The law that the newer part's mean is judged by: in a stream that is calm and wild by turns, of variance as large as
    /// the newer part shows around the older mean, lest its first large values be taken for a shift.
    fn law_around(&self, older: Cell, newer: Cell) -> Law {
        let law = self.view.law;
        if self.view.inflation_of_squares < WILD {
            return law;
        }
        let shift = newer.mean() - older.mean();
        Law { variance: law.variance.max(ratio::variance(newer) + shift * shift), ..law }
    }

    /// 0 if it is certainly less than `least`.
    fn evidence_of_spreads(&self, older: Cell, cut: Cut, least: f64) -> f64 {
        let view = &self.view;
        // Within less than the time that the stream needs to move, it always looks narrow.
        if cut.newer.weight < SPREAD_SAMPLES_LEAST * view.inflation
            || ratio::bound_of_variances(older, cut.newer, view.law) < least * view.inflation_of_squares
        {
            return 0.0;
        }
        ratio::of_variances(self.comparable(older, cut.newer), cut.newer, view.law)
            / view.inflation_of_squares
    }

    /// The older part, with as much weight as its mean is certain of what to expect in the newer one.
    ///
    /// What a season's profile says of a part of a cycle is itself as uncertain as so many cycles of the same slots are.
    fn comparable(&self, older: Cell, newer: Cell) -> Cell {
        let Some(profile) = &self.profile else { return older };
        let doubt = |cell: Cell| {
            let share_of_cycle = (cell.weight / profile.samples_per_cycle()).min(1.0);
            (1.0 - share_of_cycle) / (profile.trust() * cell.weight)
        };
        older.as_if_of(1.0 / (1.0 / older.weight + doubt(older) + doubt(newer)))
    }
}

impl View {
    /// Takes a cut for the best one if its evidence is enough, and more.
    fn consider(&self, best: &mut Option<Finding>, cut: Cut, of: Of, evidence: f64) {
        let threshold = self.threshold.at(cut.samples);
        if evidence >= threshold && best.is_none_or(|best| evidence > best.evidence) {
            *best = Some(Finding { cut, of, evidence, threshold });
        }
    }
}
