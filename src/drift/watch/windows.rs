//! What is kept of a stream: sums over cells that grow with age.
//!
//! Row `i` holds cells of 2^i samples, at most [`CELLS`] of them; of one too many, the two oldest become one cell of the
//! next row. What leaves the last row is added to everything before. So the newest samples can be cut off from the rest at
//! some window lengths per octave, in memory that does not grow with the stream (the exponential histogram of Datar,
//! Gionis, Indyk & Motwani 2002, as ADWIN uses it: Bifet & Gavaldà 2007). It does not know what the sums mean.

use serde::{Deserialize, Serialize};

/// Cells per row before two of them are merged. Window lengths are 10–20 % apart.
const CELLS: usize = 6;
/// So many rows there are: windows reach to about 5 · 2^16 samples.
pub(super) const ROWS: usize = 16;

/// Sums over some samples: of their weights (a number of samples, if there is no season), values and squares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) weight: f64,
    pub(super) sum: f64,
    pub(super) square: f64,
}

impl Cell {
    pub(super) fn mean(self) -> f64 {
        self.sum / self.weight
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            weight: self.weight + other.weight,
            sum: self.sum + other.sum,
            square: self.square + other.square,
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            weight: self.weight - other.weight,
            sum: self.sum - other.sum,
            square: self.square - other.square,
        }
    }

    /// The same means from this share of the weight.
    pub(super) fn times(self, share: f64) -> Self {
        Self { weight: self.weight * share, sum: self.sum * share, square: self.square * share }
    }

    /// The same means from `weight` only.
    pub(super) fn as_if_of(self, weight: f64) -> Self {
        self.times(weight / self.weight)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Row {
    /// Oldest first.
    cells: [Cell; CELLS],
    len: u8,
}

impl Row {
    fn held(&self) -> impl DoubleEndedIterator<Item = &Cell> {
        self.cells.get(..usize::from(self.len)).unwrap_or_default().iter()
    }

    /// Appends a cell; gives back the two oldest as one if the row was full.
    fn push(&mut self, cell: Cell) -> Option<Cell> {
        if let Some(free) = self.cells.get_mut(usize::from(self.len)) {
            *free = cell;
            self.len += 1;
            return None;
        }
        let merged = self.cells[0].plus(self.cells[1]);
        self.cells.rotate_left(2);
        self.cells[CELLS - 2] = cell;
        self.len -= 1;
        Some(merged)
    }
}

/// A place to cut the stream in two: so many of the newest samples, what they sum up to, and the row the cut is in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    pub(super) samples: u64,
    pub(super) newer: Cell,
    pub(super) row: usize,
}

/// Sums over all samples, and over the newest ones at many lengths. About 2.5 KB.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Windows {
    rows: [Row; ROWS],
    before: Cell,
    all: Cell,
    samples: u64,
}

impl Windows {
    /// Everything.
    pub(super) fn all(&self) -> Cell {
        self.all
    }

    /// Samples that were pushed.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// Takes for granted what was before: `history` is never cut.
    pub(super) fn after(history: Cell) -> Self {
        Self { before: history, all: history, ..Self::default() }
    }

    /// Appends a sample; says how many rows have changed, from the first on.
    pub(super) fn push(&mut self, sample: Cell) -> usize {
        self.samples += 1;
        let mut touched = 0;
        let mut carried = Some(sample);
        for row in &mut self.rows {
            let Some(cell) = carried else { break };
            carried = row.push(cell);
            touched += 1;
        }
        if let Some(oldest) = carried {
            self.before = self.before.plus(oldest);
        }
        self.all = self.all.plus(sample);
        if touched > 8 {
            // Rounding errors of the running sum do not outlive a thousand samples.
            self.all = self.rows.iter().flat_map(Row::held).fold(self.before, |sum, cell| sum.plus(*cell));
        }
        touched
    }

    /// Visits the cuts within the first `rows` rows, newest first, until one visit says `false`.
    #[inline]
    pub(super) fn each_cut(&self, rows: usize, mut visit: impl FnMut(Cut) -> bool) {
        let (mut newer, mut samples) = (Cell::default(), 0);
        for (row, held) in self.rows.iter().take(rows).enumerate() {
            for cell in held.held().rev() {
                newer = newer.plus(*cell);
                samples += 1_u64 << row;
                if !visit(Cut { samples, newer, row }) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: f64) -> Cell {
        Cell { weight: 1.0, sum: value, square: value * value }
    }

    #[test]
    fn every_cut_holds_exactly_the_newest_samples() {
        let mut windows = Windows::default();
        for i in 1..=5_000_u32 {
            windows.push(of(f64::from(i)));
        }
        let mut last = 0;
        windows.each_cut(ROWS, |cut| {
            let newest = cut.samples as f64;
            let expected = newest * (5_000.0 + 5_000.0 - newest + 1.0) / 2.0;
            assert!((cut.newer.sum - expected).abs() < 1e-6, "{cut:?}");
            assert!(cut.samples > last && cut.samples as f64 <= 1.35 * (last as f64) + 1.0, "{last} {cut:?}");
            last = cut.samples;
            true
        });
        assert_eq!(last, 5_000);
    }

    #[test]
    fn nothing_is_lost_beyond_the_last_row() {
        let mut windows = Windows::after(Cell { weight: 10.0, sum: 10.0, square: 10.0 });
        let count = 1_u32 << 20;
        for _ in 0..count {
            windows.push(of(1.0));
        }
        assert!((windows.all().weight - f64::from(count) - 10.0).abs() < 1e-6);
        windows.each_cut(ROWS, |cut| {
            assert!(cut.newer.weight < f64::from(count));
            true
        });
    }

    #[test]
    fn how_many_rows_change_is_a_matter_of_carrying() {
        let mut windows = Windows::default();
        let touched: usize = (0..10_000).map(|_| windows.push(of(1.0))).sum();
        assert!((19_000..20_001).contains(&touched), "{touched}");
    }
}
