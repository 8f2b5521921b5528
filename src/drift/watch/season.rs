//! What is usual at this place of a daily or weekly cycle, learned from whole cycles of history.
//!
//! Means are kept per slot (hour of the week, say) and shrunk towards those of the neighbours, the day's profile and the whole
//! cycle ([`super::smooth`]), so that two cycles are enough. Between the middles of slots it is interpolated, unless one has several times as much.

use super::smooth::{Slots, mean_of, shrinkage, smooth};
use super::windows::Cell;
use serde::{Deserialize, Serialize};

/// Older cycles fade once there are so many: the profile follows the year.
const CYCLES_KEPT: f64 = 8.0;
/// No profile is taken to be more certain than one of so many times its cycles.
const TRUST_UTMOST: f64 = 1.5;
/// A sample counts for the profile at no more than so many spreads from what is usual there.
const SPREADS: f64 = 4.0;
/// While the first cycle is not over: from what is usual overall,
const SPREADS_OVERALL: f64 = 8.0;
/// once so many samples tell what that is.
const SAMPLES_OVERALL: f64 = 100.0;

/// Between two slots of which one has so many times as much there is nothing to interpolate.
const STEP: f64 = 4.0;

/// Values this near to the mean, as a part of it, are the mean.
const SAME: f64 = 1e-9;
/// No spread is less than this part of the mean.
const SPREAD_LEAST: f64 = 1e-3;

/// Where in the season a sample lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// In which cycle, counted from any.
    cycle: u64,
    /// The part of the longest cycle that has passed, in [0, 1).
    part: f64,
}

impl Phase {
    /// So much has passed since a cycle began, of cycles of that length (any unit, 0 counts as 1).
    #[must_use]
    pub fn new(passed: u64, cycle: u64) -> Self {
        let cycle = cycle.max(1);
        Self { cycle: passed / cycle, part: (passed % cycle) as f64 / cycle as f64 }
    }
}

/// How a cycle is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Season {
    /// Days in the longest cycle: 7 for a weekly one, 1 for a daily one. At least 1.
    pub days: u16,
    /// Slots of a day, 4 to 96; 24 for hours.
    pub slots_per_day: u16,
}

impl Season {
    fn slots(self) -> usize {
        self.days() * self.day()
    }

    fn days(self) -> usize {
        usize::from(self.days.max(1))
    }

    fn day(self) -> usize {
        usize::from(self.slots_per_day.clamp(4, 96))
    }
}

/// What is usual at one place: mean and spread (standard deviation) of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Usual {
    pub(super) mean: f64,
    pub(super) spread: f64,
}

impl Usual {
    /// How many spreads a value is from the mean.
    pub(super) fn apart(self, value: f64) -> f64 {
        let off = value - self.mean;
        // scores go by ranks, and what only rounding tells apart is the same
        if off.abs() <= self.mean.abs() * SAME { 0.0 } else { off / self.spread.max(f64::MIN_POSITIVE) }
    }

    /// The value, or the nearest to it that is no further from the mean than so many spreads.
    fn clip(self, value: f64, spreads: f64) -> f64 {
        let most = spreads * self.spread;
        value.clamp(self.mean - most, self.mean + most)
    }

    /// The same at a level that is higher by this factor.
    pub(super) fn times(self, factor: f64) -> Self {
        Self { mean: self.mean * factor, ..self }
    }
}

/// The profile. 64 bytes per slot: 11 KB for the hours of a week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Profile {
    season: Season,
    history: Vec<Cell>,
    current: Vec<Cell>,
    /// Everything before the first profile.
    first: Cell,
    means: Vec<f64>,
    spreads: Vec<f64>,
    cycles: f64,
    samples_per_cycle: f64,
    trust: f64,
    level: f64,
    /// The newest cycle of which a sample has come.
    cycle: Option<u64>,
    is_whole: bool,
}

impl Profile {
    pub(super) fn new(season: Season) -> Self {
        let empty = vec![Cell::default(); season.slots()];
        Self {
            season,
            history: empty.clone(),
            current: empty,
            first: Cell::default(),
            means: Vec::new(),
            spreads: Vec::new(),
            cycles: 0.0,
            samples_per_cycle: 0.0,
            trust: 1.0,
            level: 0.0,
            cycle: None,
            is_whole: false,
        }
    }

    /// Whole cycles that are learned from.
    pub(super) fn cycles(&self) -> f64 {
        self.cycles
    }

    /// To how many times its own length of history a window's expectation amounts.
    pub(super) fn trust(&self) -> f64 {
        self.trust
    }

    /// The mean over whole cycles.
    pub(super) fn level(&self) -> f64 {
        self.level
    }

    pub(super) fn samples_per_cycle(&self) -> f64 {
        self.samples_per_cycle
    }

    /// The spread of a sample around what is usual at its place, in the mean of all places.
    pub(super) fn mean_spread(&self) -> f64 {
        mean_of(self.spreads.iter().map(|spread| (*spread, 1.0)))
    }

    /// All history.
    pub(super) fn all(&self) -> Cell {
        self.history.iter().fold(Cell::default(), |sum, slot| sum.plus(*slot))
    }

    /// Takes a sample; says whether a cycle has just ended, so that the profile is another one than before, and what is usual.
    pub(super) fn learn(&mut self, value: f64, phase: Phase, clips: bool) -> (bool, Option<Usual>) {
        let newest = *self.cycle.get_or_insert_with(|| {
            self.is_whole = phase.part * self.season.slots() as f64 <= 1.0;
            phase.cycle
        });
        // a sample of an earlier cycle is late, and ends none
        let has_ended = phase.cycle > newest;
        if has_ended {
            self.cycle = Some(phase.cycle);
            self.end_cycle();
        }
        let usual = self.usual(phase);
        let value = match usual {
            _ if !clips => value,
            Some(usual) => usual.clip(value, SPREADS),
            None => self.so_far().map_or(value, |usual| usual.clip(value, SPREADS_OVERALL)),
        };
        let slot = self.slot(phase);
        let sample = Cell { weight: 1.0, sum: value, square: value * value };
        if let Some(cell) = self.current.get_mut(slot) {
            *cell = cell.plus(sample);
        }
        if usual.is_none() {
            self.first = self.first.plus(sample);
        }
        (has_ended, usual)
    }

    /// What is usual anywhere, while no whole cycle is known.
    fn so_far(&self) -> Option<Usual> {
        let first = self.first;
        let spread = (first.square / first.weight - first.mean().powi(2)).max(0.0).sqrt();
        (first.weight >= SAMPLES_OVERALL).then(|| Usual { mean: first.mean(), spread })
    }

    /// What is usual there, once a whole cycle is known.
    pub(super) fn usual(&self, phase: Phase) -> Option<Usual> {
        let slots = self.season.slots();
        let place = phase.part * slots as f64 + slots as f64 - 0.5;
        let wrapped = |slot: usize| if slot >= slots { slot - slots } else { slot };
        let (left, share) = (whole(place), place.fract());
        let (left, right) = (wrapped(left), wrapped(wrapped(left + 1)));
        let (one, other) = (*self.means.get(left)?, *self.means.get(right)?);
        let (low, high) = (one.min(other), one.max(other));
        // a shop opens by the clock
        let is_step = low >= 0.0 && high > STEP * low;
        let share = if is_step { f64::from(u8::from(self.slot(phase) != left)) } else { share };
        let between = |of: &[f64]| Some(of.get(left)? * (1.0 - share) + of.get(right)? * share);
        Some(Usual { mean: between(&self.means)?, spread: between(&self.spreads)? })
    }

    /// The level has changed by this factor, but not the shape.
    pub(super) fn scale(&mut self, factor: f64) {
        for cell in self.history.iter_mut().chain(&mut self.current) {
            cell.sum *= factor;
            cell.square *= factor * factor;
        }
        self.means.iter_mut().for_each(|mean| *mean *= factor);
        self.level *= factor;
        self.trust = (0.5 * self.trust).max(1.0);
    }

    /// If these values are higher or lower than usual in proportion, by more than noise, the profile moves along; says by which
    /// factor. A profile that is not positive everywhere has no proportions and stays.
    pub(super) fn move_along(&mut self, values: &[(f64, Usual)]) -> f64 {
        let usual: f64 = values.iter().map(|(_, usual)| usual.mean).sum();
        let sum: f64 = values.iter().map(|(value, _)| value).sum();
        let noise: f64 = values.iter().map(|(_, usual)| usual.spread.powi(2)).sum();
        if sum <= 0.0 || self.means.iter().any(|mean| *mean <= 0.0) {
            return 1.0;
        }
        let share = shrinkage((sum - usual).powi(2), noise);
        let factor = 1.0 + share * (sum / usual - 1.0);
        self.scale(factor);
        factor
    }

    fn slot(&self, phase: Phase) -> usize {
        whole(phase.part * self.season.slots() as f64).min(self.season.slots() - 1)
    }

    fn end_cycle(&mut self) {
        let current = std::mem::replace(&mut self.current, vec![Cell::default(); self.season.slots()]);
        if std::mem::replace(&mut self.is_whole, true) {
            let fading = if self.cycles < CYCLES_KEPT { 1.0 } else { 1.0 - 1.0 / CYCLES_KEPT };
            self.samples_per_cycle = current.iter().map(|cell| cell.weight).sum();
            for (old, new) in self.history.iter_mut().zip(&current) {
                *old = old.times(fading).plus(*new);
            }
            self.cycles = self.cycles * fading + 1.0;
            self.fit();
        }
    }

    fn fit(&mut self) {
        let overall = self.all();
        self.level = overall.mean();
        // A slot without samples is taken for a usual one, of one sample.
        let usual = overall.as_if_of(1.0);
        let cells: Vec<Cell> =
            self.history.iter().map(|cell| if cell.weight < 0.5 { usual } else { *cell }).collect();
        let within = |cell: &Cell| (cell.square / cell.weight - cell.mean().powi(2)).max(0.0);
        let weights: Vec<f64> = cells.iter().map(|cell| cell.weight).collect();
        let means: Vec<f64> = cells.iter().map(|cell| cell.mean()).collect();
        let variances: Vec<f64> = cells.iter().map(within).collect();
        // values that are always the same differ by rounding
        let least = (overall.mean() * SPREAD_LEAST).powi(2).max(1e-12);
        let pooled = mean_of(variances.iter().copied().zip(weights.iter().copied())).max(least);
        let days = self.season.days();
        let (means, kept) = smooth(Slots { values: &means, weights: &weights }, pooled, days);
        // ln s² of n samples varies by 2/n, and some more if their law has tails.
        let logs: Vec<f64> = variances.iter().map(|variance| (variance + 0.05 * pooled).ln()).collect();
        let (logs, _) = smooth(Slots { values: &logs, weights: &weights }, 3.0, days);
        self.means = means;
        self.spreads = logs.iter().map(|log| (0.5 * log).exp()).collect();
        self.trust = self.cycles * (1.0 / kept).min(TRUST_UTMOST);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places in a cycle are small and not negative"
)]
fn whole(place: f64) -> usize {
    place as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    const DAILY: Season = Season { days: 1, slots_per_day: 24 };

    #[test]
    fn the_first_sample_of_another_cycle_ends_one_and_a_part_of_one_is_not_learned_from() {
        let mut profile = Profile::new(DAILY);
        let ends: Vec<u64> =
            (300..2_500).filter(|at| profile.learn(1.0, Phase::new(*at, 1_000), false).0).collect();
        assert_eq!(ends, [1_000, 2_000]);
        assert!((profile.cycles() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn an_outlier_in_the_first_cycle_does_not_spoil_the_profile() {
        let mut profile = Profile::new(DAILY);
        for at in 0..2_401 {
            let value = if at == 700 { 1e9 } else { 10.0 + (at % 5) as f64 };
            profile.learn(value, Phase::new(at, 2_400), true);
        }
        let usual = profile.usual(Phase::new(700, 2_400)).unwrap();
        assert!((usual.mean - 12.0).abs() < 0.5 && usual.spread < 5.0, "{usual:?}");
    }

    #[test]
    fn a_late_sample_ends_no_cycle() {
        let mut profile = Profile::new(DAILY);
        assert!(!profile.learn(1.0, Phase::new(500, 1_000), true).0);
        assert!(!profile.learn(1.0, Phase::new(400, 1_000), true).0);
    }

    #[test]
    fn samples_of_earlier_cycles_end_none() {
        let mut profile = Profile::new(DAILY);
        // each sample comes with one that is a cycle and a half late
        let phases = (0..4_000_u64).flat_map(|at| [at, at.saturating_sub(1_500)]);
        let ends = phases.filter(|at| profile.learn(1.0, Phase::new(*at, 1_000), false).0).count();
        assert_eq!(ends, 3);
        assert!((profile.cycles() - 3.0).abs() < 1e-12, "the first began at its beginning");
    }

    #[test]
    fn what_is_usual_is_interpolated_between_the_middles_of_slots() {
        let mut profile = Profile::new(DAILY);
        for at in 0..4_801 {
            let value = 10.0 + (TAU * at as f64 / 2_400.0).sin();
            profile.learn(value, Phase::new(at, 2_400), true);
        }
        for at in [0, 130, 777, 2_399] {
            let usual = profile.usual(Phase::new(at, 2_400)).unwrap();
            assert!((usual.mean - 10.0 - (TAU * at as f64 / 2_400.0).sin()).abs() < 0.03, "{at} {usual:?}");
        }
    }
}
