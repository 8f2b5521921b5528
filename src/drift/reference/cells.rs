//! A few cells that the values of a field are counted in: bins of about equal content, or the names that come most.

use super::evidence::Rare;
use crate::drift::profile::Sketch;
use crate::drift::sketch::{Bin, NumericSketch, SMALLEST};
use serde::{Deserialize, Serialize};

/// Cells at most: more show finer changes, and need more values.
pub const CELLS_MAX: usize = 12;
/// A number that so large a part of the values are is a cell by itself, however little lies beside it.
const HEAVY: u64 = 4;
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
    /// Cells of about equal content of what was seen; a number that many are is a cell by itself.
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
                let last = || place.checked_sub(1).and_then(|before| ends.get(before));
                match ends.get(place) {
                    Some(end) if *end < Bin::ZERO.before() => format!("≤ {}", rounded(end.upper())),
                    Some(end) if *end == Bin::ZERO => "≤ 0".to_owned(),
                    Some(end) => format!("< {}", rounded(end.upper())),
                    None => last().map_or_else(|| "any".to_owned(), beyond),
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

    /// The middle of values of which these shares are in the cells, and which lie within each as those of `numbers` do: to
    /// [`crate::drift::sketch::RELATIVE_ERROR`]. Nothing of names, and without a value.
    #[must_use]
    pub fn median(&self, shares: &[f64], numbers: &NumericSketch) -> Option<f64> {
        let Cells::Numbers(ends) = self else { return None };
        let mut counts = vec![0.0; self.len()];
        placed(ends, numbers).for_each(|(place, _, count)| add(&mut counts, place, count));
        let weight = |place: usize, count: u64| {
            let (share, counted) = shares.get(place).zip(counts.get(place))?;
            Some(share * count as f64 / counted)
        };
        let weighed =
            || placed(ends, numbers).filter_map(|(place, bin, count)| Some((bin, weight(place, count)?)));
        let half = weighed().map(|(_, weight)| weight).sum::<f64>() / 2.0;
        let mut below = 0.0;
        let middle = weighed().find(|(_, weight)| {
            below += weight;
            below >= half
        });
        middle.map(|(bin, _)| numbers.within_extremes(bin.representative()))
    }

    /// The place between two cells beyond which the shares differ most: what lies beyond it, in words, and how much usually does and
    /// does now. Nothing of names.
    #[must_use]
    pub fn apart(&self, usual: &[f64], now: &[f64]) -> Option<(String, f64, f64)> {
        let Cells::Numbers(ends) = self else { return None };
        let beyond_of = |shares: &[f64], place: usize| shares.iter().skip(place + 1).sum::<f64>();
        let places = ends.iter().enumerate();
        let differences = places.map(|(place, end)| (end, beyond_of(usual, place), beyond_of(now, place)));
        let far = |(_, usual, now): &(&Bin, f64, f64)| (now - usual).abs();
        let most = differences.max_by(|one, other| far(one).total_cmp(&far(other)))?;
        Some((beyond(most.0), most.1, most.2))
    }

    /// How values are counted of which there are few.
    #[must_use]
    pub fn rare(&self) -> Rare {
        match self {
            Cells::Numbers(_) => Rare::WithNeighbours,
            Cells::Names(_) => Rare::Together,
        }
    }
}

/// What is above the cell that ends with that bin.
fn beyond(end: &Bin) -> String {
    if *end <= Bin::ZERO && *end != Bin::ZERO.before() {
        format!("> {}", rounded(end.upper()))
    } else {
        format!("≥ {}", rounded(end.upper()))
    }
}

fn of_numbers(numbers: &NumericSketch) -> Option<Cells> {
    let all = numbers.count();
    let (mut ends, mut below, mut since_the_last) = (Vec::<Bin>::new(), 0, 0);
    let last = numbers.bins().last()?.0;
    for (bin, count) in numbers.bins() {
        // what lies beside a number that many are would be hidden in its cell, that nothing ever did among it
        let is_heavy = count * HEAVY >= all;
        let begins = is_heavy && bin.before() < bin && (ends.is_empty() || since_the_last > 0);
        if begins && ends.len() + 1 < CELLS_MAX {
            ends.push(bin.before());
        }
        below += count;
        since_the_last += count;
        let wanted = (ends.len() as u64 + 1) * all / CELLS_MAX as u64;
        let is_full = below >= wanted && bin != last;
        if (is_heavy || is_full) && ends.len() + 1 < CELLS_MAX {
            ends.push(bin);
            since_the_last = 0;
        }
    }
    Some(Cells::Numbers(ends))
}

fn rounded(value: f64) -> String {
    if value.abs() <= SMALLEST {
        return "0".to_owned();
    }
    let digits = if value.abs() >= 100.0 || value.fract() == 0.0 { 0 } else { 2 };
    format!("{value:.digits$}")
}

fn add(counts: &mut [f64], place: usize, count: u64) {
    if let Some(sum) = counts.get_mut(place) {
        *sum += count as f64;
    }
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
    let mut add = |place: usize, count: u64| add(&mut counts, place, count);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(of: &[(f64, usize)]) -> NumericSketch {
        of.iter().flat_map(|(value, count)| std::iter::repeat_n(*value, *count)).collect()
    }

    fn cells(of: &[(f64, usize)]) -> Cells {
        Cells::of(&Sketch::Numbers(numbers(of))).expect("there are values")
    }

    #[test]
    fn a_number_that_many_are_is_a_cell_by_itself_wherever_it_stands() {
        assert_eq!(cells(&[(7.0, 100)]).labels(), ["< 7", "< 7.25", "≥ 7.25"]);
        assert_eq!(cells(&[(0.0, 100)]).labels(), ["< 0", "≤ 0", "> 0"]);
        for flag in [[(0.0, 2), (1.0, 98)], [(0.0, 98), (1.0, 2)]] {
            let labels = cells(&flag).labels();
            assert!(labels.len() >= 3, "{labels:?}");
            let cells = cells(&flag);
            let of = |value: f64| tally(&cells, &Sketch::Numbers(numbers(&[(value, 1)])));
            assert!(of(0.0) != of(1.0), "{labels:?}");
        }
        // between two of them, and beside them
        let counts = cells(&[(0.0, 60), (1.0, 25), (2.0, 10), (3.0, 3), (40.0, 2)]);
        assert_eq!(counts.labels(), ["< 0", "≤ 0", "< 1.06", "< 2.12", "< 3.12", "≥ 3.12"]);
        let prices = cells(&[(5.0, 2), (6.0, 3), (9.99, 90), (20.0, 3), (30.0, 2)]);
        assert_eq!(prices.labels(), ["< 9.50", "< 10", "< 21", "≥ 21"]);
    }

    #[test]
    fn what_differs_all_over_has_cells_of_about_equal_content() {
        let even: NumericSketch = (1..=12_000).map(f64::from).collect();
        let cells = Cells::of(&Sketch::Numbers(even.clone())).expect("there are values");
        assert_eq!(cells.len(), CELLS_MAX);
        let counts = tally(&cells, &Sketch::Numbers(even));
        assert!(counts.iter().all(|count| (500.0..1_600.0).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_middle_is_that_of_the_values_in_the_cells() {
        let usual = numbers(&[(7.0, 50), (8.0, 40), (100.0, 10)]);
        let cells = Cells::of(&Sketch::Numbers(usual.clone())).expect("there are values");
        let shares = |numbers: &NumericSketch| {
            let counts = tally(&cells, &Sketch::Numbers(numbers.clone()));
            let all: f64 = counts.iter().sum();
            counts.into_iter().map(|count| count / all).collect::<Vec<f64>>()
        };
        let near =
            |found: Option<f64>, value: f64| found.is_some_and(|found| (found / value - 1.0).abs() < 0.031);
        assert!(near(cells.median(&shares(&usual), &usual), 7.0));
        assert!(near(cells.median(&shares(&numbers(&[(8.0, 3), (100.0, 2)])), &usual), 8.0));
        let constant = numbers(&[(7.0, 9)]);
        assert_eq!(self::cells(&[(7.0, 9)]).median(&[0.0, 1.0, 0.0], &constant), Some(7.0));
    }

    #[test]
    fn where_shares_differ_most_is_said_by_what_lies_beyond() {
        let flag = cells(&[(0.0, 98), (1.0, 2)]);
        let (usual, now) = ([0.0, 0.98, 0.02], [0.0, 0.6, 0.4]);
        assert_eq!(flag.len(), 3, "{:?}", flag.labels());
        let (what, from, to) = flag.apart(&usual, &now).expect("they are numbers");
        assert_eq!(what, "> 0");
        assert!((from - 0.02).abs() < 1e-12 && (to - 0.4).abs() < 1e-12);
        assert_eq!(cells(&[(7.0, 9)]).apart(&[0.0, 1.0, 0.0], &[1.0, 0.0, 0.0]).expect("numbers").0, "≥ 7");
    }
}
