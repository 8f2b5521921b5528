//! A few cells that the values of a field are counted in: bins of about equal content, or the names that come most.

use crate::drift::profile::Sketch;
use crate::drift::sketch::{Bin, NumericSketch};
use serde::{Deserialize, Serialize};

/// Cells at most: more show finer changes, and need more values.
pub const CELLS_MAX: usize = 12;
/// The cell of names that have none of their own.
const OTHERS: &str = "(others)";

/// Cells, and what belongs in which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cells {
    /// The last bin of each cell but the last.
    Numbers(Vec<Bin>),
    /// A name each, in order; the last cell is of all others.
    Names(Vec<Box<str>>),
}

impl Cells {
    /// Cells of about equal content of what was seen; none where all of it is in one.
    #[must_use]
    pub fn of(sketch: &Sketch) -> Option<Cells> {
        match sketch {
            Sketch::Numbers(numbers) => of_numbers(numbers),
            Sketch::Categories(categories) => {
                let mut names: Vec<(&str, u64)> = categories.named().collect();
                names.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
                let mut names: Vec<Box<str>> =
                    names.into_iter().take(CELLS_MAX - 1).map(|(name, _)| name.into()).collect();
                names.sort_unstable();
                Some(Cells::Names(names))
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Cells::Numbers(ends) => ends.len() + 1,
            Cells::Names(names) => names.len() + 1,
        }
    }

    /// Never: there is the last.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The cell in words.
    #[must_use]
    pub fn label(&self, place: usize) -> String {
        match self {
            Cells::Numbers(ends) => {
                match (ends.get(place), place.checked_sub(1).and_then(|before| ends.get(before))) {
                    (Some(end), _) => format!("≤ {}", rounded(end.upper())),
                    (None, Some(before)) => format!("> {}", rounded(before.upper())),
                    (None, None) => "any".to_owned(),
                }
            }
            Cells::Names(names) => {
                names.get(place).map_or_else(|| OTHERS.to_owned(), |name| name.to_string())
            }
        }
    }

    /// All labels.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        (0..self.len()).map(|place| self.label(place)).collect()
    }

    /// The mean of what is in each cell; 0 where there is nothing, and of names.
    #[must_use]
    pub fn means(&self, numbers: &NumericSketch) -> Vec<f64> {
        let (mut sums, mut counts) = (vec![0.0; self.len()], vec![0.0; self.len()]);
        if let Cells::Numbers(ends) = self {
            for (place, bin, count) in placed(ends, numbers) {
                if let (Some(sum), Some(counted)) = (sums.get_mut(place), counts.get_mut(place)) {
                    *sum += bin.representative() * count as f64;
                    *counted += count as f64;
                }
            }
        }
        sums.into_iter().zip(counts).map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 }).collect()
    }

    /// About where the middle of values with these shares lies: within the cell that holds it, by proportion of its ends.
    #[must_use]
    pub fn median(&self, shares: &[f64]) -> f64 {
        let Cells::Numbers(ends) = self else { return f64::NAN };
        let mut below = 0.0;
        for (place, share) in shares.iter().enumerate() {
            if below + share >= 0.5 && *share > 0.0 {
                let high = ends.get(place).or(ends.last()).copied().map_or(0.0, Bin::upper);
                let low = place
                    .checked_sub(1)
                    .and_then(|before| ends.get(before))
                    .copied()
                    .map_or(high, Bin::upper);
                return low + (high - low) * ((0.5 - below) / share);
            }
            below += share;
        }
        ends.last().copied().map_or(0.0, Bin::upper)
    }
}

fn of_numbers(numbers: &NumericSketch) -> Option<Cells> {
    let all = numbers.count() as f64;
    let (mut ends, mut below) = (Vec::new(), 0.0);
    let last = numbers.bins().last()?.0;
    for (bin, count) in numbers.bins() {
        below += count as f64;
        let wanted = (ends.len() + 1) as f64 * all / CELLS_MAX as f64;
        if below >= wanted && bin != last && ends.len() + 1 < CELLS_MAX {
            ends.push(bin);
        }
    }
    // what has been alike until now may be otherwise
    if ends.is_empty() {
        ends.push(last);
    }
    Some(Cells::Numbers(ends))
}

fn rounded(value: f64) -> String {
    let digits = if value.abs() >= 100.0 || value.fract() == 0.0 { 0 } else { 2 };
    format!("{value:.digits$}")
}

/// The bins of a sketch, each with the number of the cell it belongs to.
fn placed(ends: &[Bin], numbers: &NumericSketch) -> impl Iterator<Item = (usize, Bin, u64)> {
    let mut place = 0;
    numbers.bins().map(move |(bin, count)| {
        // both rise
        while ends.get(place).is_some_and(|end| *end < bin) {
            place += 1;
        }
        (place, bin, count)
    })
}

/// How many values of a sketch are in each cell. A sketch of another sort is in none.
#[must_use]
pub fn tally(cells: &Cells, sketch: &Sketch) -> Vec<f64> {
    let mut counts = vec![0.0; cells.len()];
    let mut add = |place: usize, count: u64| {
        if let Some(sum) = counts.get_mut(place) {
            *sum += count as f64;
        }
    };
    match (cells, sketch) {
        (Cells::Numbers(ends), Sketch::Numbers(numbers)) => {
            placed(ends, numbers).for_each(|(place, _, count)| add(place, count));
        }
        (Cells::Names(names), Sketch::Categories(categories)) => {
            for (name, count) in categories.named() {
                add(names.binary_search_by(|known| (**known).cmp(name)).unwrap_or(names.len()), count);
            }
            add(names.len(), categories.pooled());
        }
        _ => {}
    }
    counts
}
