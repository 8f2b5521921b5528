//! Watches one stream of numbers for changes, at an agreed rate of false alarms.
//!
//! Every cut of the stream into an older and a newer part, on a grid of lengths, is an hypothesis of a change; the evidence
//! for it is a likelihood ratio in which both parts are estimated (`ratio`), so nothing need be known beforehand: the
//! reference is all that came since the last change. Evidence is divided by what neighbours' dependence adds to the noise
//! (`dependence`) and compared with a threshold that follows from the mean time between false alarms (`threshold`).
//! What a season explains is taken out first (`season`); real values are watched as normal scores (`scores`).
//!
//! It is a fold: no clock, no randomness, the same samples in the same order give the same changes. Samples are in the order of
//! their coming; labels that come late are late here too. It does not know what is behind the numbers, or whether a change is bad.

mod change;
mod dependence;
mod episode;
mod ratio;
mod scores;
mod search;
mod season;
mod smooth;
mod threshold;
mod view;
mod windows;

pub use change::{Change, Direction, Kind, Level, WatchSettings};
pub use episode::Standing;
pub use season::{Phase, Season};

use super::whole;
use dependence::Dependence;
use episode::Episode;
use scores::Scores;
use search::{Finding, Of};
use season::{Profile, Usual};
use serde::{Deserialize, Serialize};
use view::View;
use windows::{Cell, ROWS, Windows};

/// Whole cycles from which on a season is known well enough to watch.
const CYCLES_LEAST: f64 = 2.0;
/// What follows from all samples is calculated anew once so many rows of [`Windows`] change: about every 50 samples.
const ROWS_REFRESHED: usize = 6;
/// Once so many rows of [`Windows`] change, about every 100 samples, all cuts are looked at, and what dependence adds is settled.
const ROWS_SETTLED: usize = 7;
/// A season's profile moves along with a change that is known from so many samples; of fewer, its size is too uncertain.
const PROFILE_MOVES_FROM: u64 = 24;
/// A number beyond this is not one: its square would not be finite.
const UTMOST: f64 = 1e100;
/// A rate that falls while a model learns may fall again, without being news, for so many times as long.
const LEARNS_ON: u64 = 5;
/// No slot of a season has fewer or more events than so many times the level. Where nothing comes, by night, a whole night of nothing is
/// then no evidence.
const WEIGHT_LEAST: f64 = 1e-4;
const WEIGHT_MOST: f64 = 50.0;
/// A count is no further from what is usual than so many spreads: one promotion is no change.
const COUNT_SPREADS: f64 = 3.0;

/// Watches one stream.
///
/// Memory, whatever the length of the stream: about 3.5 KB; for values up to 12 KB more while their scores are learned; with a
/// season 64 bytes more per slot (11 KB for the hours of a week). Cost: 55 (rate, count) to 80 ns (value) per update, in a
/// season 90 to 110; a change costs some microseconds, and so does the end of a cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    settings: WatchSettings,
    samples: u64,
    refused: u64,
    profile: Option<Profile>,
    learning: Vec<(f64, Usual)>,
    episode: Episode,
    /// It fell while a model learns, and has not risen since: it is a model that learns.
    is_learner: bool,
    has_changed: bool,
    scores: Option<Scores>,
    windows: Windows,
    dependence: Dependence,
    dependence_of_squares: Dependence,
    /// What dependence adds to the noise of means and of squares, some 64 to 128 samples ago: a change is not taken for it.
    settled: Option<(f64, f64)>,
    settling: Option<(f64, f64)>,
    /// Σ score³ and score⁴ (Value), or 0 and Σ squared deviation over what is expected (Count).
    higher: [f64; 2],
    view: View,
}

impl Watch {
    /// Watches a stream that has not begun yet.
    #[must_use]
    pub fn new(settings: WatchSettings) -> Self {
        Self {
            settings,
            samples: 0,
            refused: 0,
            profile: settings.season.map(Profile::new),
            learning: Vec::new(),
            episode: Episode::default(),
            is_learner: false,
            has_changed: false,
            scores: None,
            windows: Windows::default(),
            dependence: Dependence::default(),
            dependence_of_squares: Dependence::default(),
            settled: None,
            settling: None,
            higher: [0.0; 2],
            view: View::new(settings, Cell::default()),
        }
    }

    /// What its numbers are.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.settings.kind
    }

    /// Samples taken in.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Samples refused: not finite (or beyond ±1e100), a rate outside of [0, 1], a count below 0, or no phase where there is a season.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes the next sample; reports a change that has become certain enough.
    ///
    /// `phase` is needed if there is a season, and ignored if not. After a change the reference is learned anew; a season's shape
    /// stays.
    pub fn update(&mut self, value: f64, phase: Option<Phase>) -> Option<Change> {
        let usual = match (self.is_valid(value), &mut self.profile, phase) {
            (false, ..) | (true, Some(_), None) => {
                self.refused += 1;
                return None;
            }
            (true, None, _) => None,
            (true, Some(profile), Some(phase)) => {
                let (has_ended, usual) = profile.learn(value, phase, self.settings.kind != Kind::Rate);
                let is_known = profile.cycles() >= CYCLES_LEAST;
                self.samples += 1;
                if has_ended && is_known {
                    self.take_over_history();
                }
                if !is_known {
                    return None;
                }
                usual
            }
        };
        self.samples += u64::from(self.profile.is_none());
        match self.settings.kind {
            Kind::Value => self.take_value(value, usual),
            Kind::Rate | Kind::Count => self.take_events(value, usual),
        }
    }

    fn is_valid(&self, value: f64) -> bool {
        match self.settings.kind {
            Kind::Rate => (0.0..=1.0).contains(&value),
            Kind::Count => (0.0..=UTMOST).contains(&value),
            Kind::Value => value.abs() <= UTMOST,
        }
    }

    /// Once the season is known, the cycles that it was learned from are the reference.
    fn take_over_history(&mut self) {
        if let (Some(profile), true, false) =
            (&self.profile, self.windows.all().weight <= 0.0, self.settings.kind == Kind::Value)
        {
            self.windows = Windows::after(profile.all());
            self.view = self.fresh_view();
        }
    }

    fn take_events(&mut self, value: f64, usual: Option<Usual>) -> Option<Change> {
        let weight = usual.map_or(1.0, |usual| {
            let level = self.profile.as_ref().map_or(1.0, Profile::level);
            (usual.mean / level.max(f64::MIN_POSITIVE)).clamp(WEIGHT_LEAST, WEIGHT_MOST)
        });
        let expected = self.view.mean * weight;
        let is_known = self.windows.all().weight >= self.settings.older_samples;
        let (mut value, mut scale) = (value, 1.0);
        if self.settings.kind == Kind::Count && is_known {
            let noise = (self.view.law.variance * expected).max(0.25);
            value = value.min(expected + COUNT_SPREADS * noise.sqrt() + 2.0);
            scale = expected.max(0.05).sqrt();
            self.higher[1] += ((value - expected) / scale).powi(2);
        }
        if is_known {
            self.dependence.push((value - expected) / scale);
        }
        self.push(Cell { weight, sum: value, square: value * value })
    }

    fn take_value(&mut self, value: f64, usual: Option<Usual>) -> Option<Change> {
        let usual = usual.unwrap_or(Usual { mean: 0.0, spread: 1.0 });
        if let Some(scores) = &self.scores {
            let score = scores.of(usual.apart(value));
            return self.push_score(score);
        }
        self.learning.push((value, usual));
        let (learned, scored) = (self.learning.len(), self.settings.scored_samples);
        let enough =
            (learned == scored && !self.moves_slowly()) || learned == scored.saturating_mul(scores::SLOWLY);
        if enough {
            let values = self.end_learning();
            let scores = Scores::learn(values.clone());
            for value in values {
                let is_change = self.push_score(scores.of(value));
                debug_assert!(is_change.is_none(), "nothing is searched before there is a map");
            }
            self.scores = Some(scores);
        }
        None
    }

    /// The values learned from, as far as a season does not explain them.
    fn end_learning(&mut self) -> Vec<f64> {
        let learned = std::mem::take(&mut self.learning);
        let mut factor = 1.0;
        if let (Some(profile), true) = (&mut self.profile, self.has_changed) {
            factor = profile.move_along(&learned);
        }
        learned.into_iter().map(|(value, usual)| usual.times(factor).apart(value)).collect()
    }

    /// Whether few of the values learned from lie on the other side of the median than the one before.
    fn moves_slowly(&self) -> bool {
        let mut sorted = self.learning.iter().map(|(value, usual)| usual.apart(*value)).collect::<Vec<_>>();
        let values = sorted.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let crossings =
            values.windows(2).filter(|pair| pair.first() < Some(&median) && pair.last() >= Some(&median));
        8 * crossings.count() < sorted.len()
    }

    fn push_score(&mut self, score: f64) -> Option<Change> {
        let deviation = score - self.view.mean;
        let square = score * score;
        self.dependence.push(deviation);
        self.dependence_of_squares.push(deviation * deviation - self.view.law.variance);
        self.higher[0] += square * score;
        self.higher[1] += square * square;
        self.push(Cell { weight: 1.0, sum: score, square })
    }

    fn push(&mut self, sample: Cell) -> Option<Change> {
        let mut touched = self.windows.push(sample);
        if touched >= ROWS_REFRESHED || self.windows.samples() < 32 {
            self.view = self.fresh_view();
        }
        if touched >= ROWS_SETTLED {
            // Long windows have moved on as well, by less than one of their own cells.
            touched = ROWS;
            self.settled = self.settling;
            self.settling = Some((self.dependence.inflation(), self.dependence_of_squares.inflation()));
        }
        let is_learning = self.settings.kind == Kind::Value && self.scores.is_none();
        if is_learning || self.windows.all().weight < self.settings.older_samples {
            return None;
        }
        let first = self.search(touched)?;
        self.report(first)
    }

    fn fresh_view(&self) -> View {
        let view = View::new(self.settings, self.windows.all());
        match self.settings.kind {
            Kind::Value => view.with_moments(self.windows.all(), self.higher),
            Kind::Count => view.with_dispersion(self.dependence.pairs(), self.higher[1]),
            Kind::Rate => view,
        }
        .with_dependence(
            self.settled
                .unwrap_or_else(|| (self.dependence.inflation(), self.dependence_of_squares.inflation())),
        )
    }

    /// The most likely change is reported, and its time and all before forgotten.
    fn report(&mut self, first: Finding) -> Option<Change> {
        let found = self.search(ROWS).unwrap_or(first);
        let (newer, older) = (found.cut.newer, self.windows.all().minus(found.cut.newer));
        let mut change = Change {
            direction: match found.of {
                Of::Mean if newer.mean() > older.mean() => Direction::Up,
                Of::Mean => Direction::Down,
                Of::Spread if ratio::variance(newer) > ratio::variance(older) => Direction::Wider,
                Of::Spread => Direction::Narrower,
            },
            standing: Standing::WarmsUp,
            onset_samples_ago: found.cut.samples,
            from: self.level(older),
            to: self.level(newer),
            evidence: found.evidence,
            threshold: found.threshold,
        };
        if !self.is_warming_up(change.direction) {
            change.standing = self.episode.judge(&change, self.settings.kind, [older.weight, newer.weight]);
        }
        self.start_anew(&change);
        Some(change)
    }

    /// Whether a change is of a beginning. One that fell while it was learning learns on, in steps, for some time or until it
    /// gets worse.
    fn is_warming_up(&mut self, direction: Direction) -> bool {
        let is_fall = self.settings.kind == Kind::Rate && direction == Direction::Down;
        let until = match (is_fall, self.is_learner) {
            (false, _) => self.settings.warm_up_samples,
            (true, false) => self.settings.learning_samples,
            (true, true) => self.settings.learning_samples.saturating_mul(LEARNS_ON),
        };
        self.is_learner = is_fall && self.samples <= until;
        self.samples <= until
    }

    fn start_anew(&mut self, change: &Change) {
        self.has_changed = true;
        if let (Some(profile), true) = (&mut self.profile, change.to.samples >= PROFILE_MOVES_FROM) {
            // Of values, only the next ones tell by how much.
            if self.settings.kind != Kind::Value && change.from.typical > 0.0 && change.to.typical > 0.0 {
                profile.scale(change.to.typical / change.from.typical);
            }
        }
        self.windows = Windows::default();
        self.dependence = Dependence::default();
        self.dependence_of_squares = Dependence::default();
        (self.settled, self.settling) = (None, None);
        self.scores = None;
        self.higher = [0.0; 2];
        self.view = self.fresh_view();
    }

    fn level(&self, cell: Cell) -> Level {
        let samples = whole(cell.weight);
        let Some(scores) = &self.scores else {
            return Level { typical: cell.mean(), spread: 0.0, samples };
        };
        let spread = ratio::variance(cell).sqrt();
        let (low, high) = (scores.value_at(cell.mean() - spread), scores.value_at(cell.mean() + spread));
        let (middle, unit) =
            self.profile.as_ref().map_or((0.0, 1.0), |profile| (profile.level(), profile.mean_spread()));
        Level {
            typical: middle + unit * scores.value_at(cell.mean()),
            spread: unit * 0.5 * (high - low),
            samples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise without a generator's help: the fractional parts of i · φ, shuffled by squaring.
    fn noise(i: u64) -> f64 {
        let mut bits = i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn hit(i: u64, rate: f64) -> f64 {
        if noise(i) < rate { 1.0 } else { 0.0 }
    }

    fn normal(i: u64) -> f64 {
        (0..12).map(|k| noise(12 * i + k)).sum::<f64>() - 6.0
    }

    /// Places and kinds of news in `count` samples.
    fn news(watch: &mut Watch, count: u64, value: impl Fn(u64) -> f64) -> Vec<(u64, Change)> {
        (0..count)
            .filter_map(|i| Some((i, watch.update(value(i), Some(Phase::new(i, 288)))?)))
            .filter(|(_, change)| change.standing == Standing::New)
            .collect()
    }

    fn watch(kind: Kind) -> Watch {
        Watch::new(WatchSettings::new(kind))
    }

    #[test]
    fn a_rate_that_doubles_is_reported_once_with_its_onset_and_levels() {
        let found = news(&mut watch(Kind::Rate), 12_000, |i| hit(i, if i < 8_000 { 0.1 } else { 0.2 }));
        let [(at, change)] = found.as_slice() else { panic!("{found:?}") };
        assert!((8_050..8_600).contains(at), "{at}");
        assert_eq!(change.direction, Direction::Up);
        assert!((at + 1 - change.onset_samples_ago).abs_diff(8_000) < 100, "{change:?}");
        assert!((change.from.typical - 0.1).abs() < 0.01 && (change.to.typical - 0.2).abs() < 0.1);
        assert!(change.evidence >= change.threshold);
    }

    #[test]
    fn what_comes_back_is_news_again() {
        let found = news(&mut watch(Kind::Rate), 12_000, |i| hit(i, if i / 4_000 == 1 { 0.3 } else { 0.1 }));
        let directions: Vec<Direction> = found.iter().map(|(_, change)| change.direction).collect();
        assert_eq!(directions, [Direction::Up, Direction::Down], "{found:?}");
    }

    #[test]
    fn a_model_that_learns_in_steps_is_no_news_until_it_gets_worse() {
        const RATES: [f64; 10] = [0.4, 0.2, 0.2, 0.05, 0.05, 0.05, 0.3, 0.3, 0.1, 0.1];
        let errors = |i: u64| hit(i, RATES[usize::try_from(i).unwrap() / 1_000]);
        let found = news(&mut watch(Kind::Rate), 10_000, errors);
        let directions: Vec<Direction> = found.iter().map(|(_, change)| change.direction).collect();
        assert_eq!(directions, [Direction::Up, Direction::Down], "{found:?}");
        assert!((6_000..6_100).contains(&found[0].0), "{found:?}");
        // what did not fall at the beginning is no model that learns
        let found = news(&mut watch(Kind::Rate), 5_000, |i| hit(i, if i < 3_000 { 0.2 } else { 0.05 }));
        assert!(matches!(found.as_slice(), [(3_000..3_300, _)]), "{found:?}");
    }

    #[test]
    fn a_spread_that_grows_by_half_is_found_within_two_hundred_samples() {
        let found = news(&mut watch(Kind::Value), 6_000, |i| normal(i) * if i < 4_000 { 1.0 } else { 1.5 });
        let [(at, change)] = found.as_slice() else { panic!("{found:?}") };
        assert!((4_000..4_200).contains(at) && change.direction == Direction::Wider, "{at} {change:?}");
        assert!((change.to.spread / change.from.spread - 1.5).abs() < 0.5, "{change:?}");
    }

    #[test]
    fn a_large_shift_takes_a_few_samples() {
        let found = news(&mut watch(Kind::Value), 3_000, |i| normal(i) + if i < 2_000 { 0.0 } else { 3.0 });
        assert!((2_001..2_010).contains(&found[0].0), "{found:?}");
    }

    #[test]
    fn single_outliers_and_heavy_tails_are_no_change() {
        let price = |i: u64| (3.0 + normal(i)).exp() * if i % 997 == 5 { 1e6 } else { 1.0 };
        assert_eq!(news(&mut watch(Kind::Value), 30_000, price), []);
    }

    #[test]
    fn a_stream_that_moves_slowly_by_nature_is_no_change() {
        let mut last = 0.0;
        let mut watch = watch(Kind::Value);
        for i in 0..30_000 {
            last = 0.9 * last + normal(i);
            assert_eq!(watch.update(last, None), None);
        }
    }

    #[test]
    fn a_season_is_no_change_and_a_drop_in_it_is_one() {
        let season = Some(Season { days: 1, slots_per_day: 24 });
        let settings = WatchSettings { season, ..WatchSettings::new(Kind::Count) };
        let usual = |i: u64| 30.0 + 20.0 * (std::f64::consts::TAU * i as f64 / 288.0).sin();
        let count = |i: u64, mean: f64| (mean + mean.sqrt() * normal(i)).max(0.0).round();
        let at = 288 * 20 + 100;
        let found = news(&mut Watch::new(settings), at + 288, |i| {
            count(i, usual(i) * if i < at { 1.0 } else { 0.75 })
        });
        let [(found_at, change)] = found.as_slice() else { panic!("{found:?}") };
        assert!((at..at + 65).contains(found_at) && change.direction == Direction::Down, "{found:?}");
        assert!((change.to.typical / change.from.typical - 0.75).abs() < 0.1, "{change:?}");
    }

    #[test]
    fn what_cannot_be_is_counted_and_changes_nothing() {
        let (mut clean, mut dirty) = (watch(Kind::Rate), watch(Kind::Rate));
        for i in 0..5_000 {
            let value = hit(i, 0.1);
            for nonsense in [f64::NAN, f64::INFINITY, -1.0, 2.0] {
                assert_eq!(dirty.update(nonsense, None), None);
            }
            assert_eq!(dirty.update(value, None), clean.update(value, None));
        }
        assert_eq!((dirty.samples(), dirty.refused()), (5_000, 20_000));
        dirty.refused = 0;
        assert_eq!(dirty, clean);
    }

    #[test]
    fn a_stream_of_zeros_and_one_of_a_constant_are_quiet_and_notice_the_first_change() {
        let zeros = news(&mut watch(Kind::Rate), 3_050, |i| if i < 3_000 { 0.0 } else { 1.0 });
        assert!((3_000..3_010).contains(&zeros[0].0), "{zeros:?}");
        let constant = news(&mut watch(Kind::Value), 3_050, |i| if i < 3_000 { 7.0 } else { 8.0 });
        assert!((3_000..3_020).contains(&constant[0].0), "{constant:?}");
    }

    #[test]
    fn a_restored_watch_goes_on_as_if_nothing_had_been() {
        for kind in [Kind::Rate, Kind::Value, Kind::Count] {
            let season = Some(Season { days: 1, slots_per_day: 24 });
            let settings = WatchSettings { season, ..WatchSettings::new(kind) };
            let value = |i: u64| hit(i, if i < 3_000 { 0.3 } else { 0.7 });
            let mut live = Watch::new(settings);
            for i in 0..6_000 {
                if i % 700 == 0 {
                    let text = serde_json::to_string(&live).unwrap();
                    assert_eq!(serde_json::from_str::<Watch>(&text).unwrap(), live);
                }
                let mut restored = live.clone();
                let phase = Some(Phase::new(i, 288));
                assert_eq!(live.update(value(i), phase), restored.update(value(i), phase));
            }
        }
    }

    #[test]
    fn memory_does_not_grow() {
        let mut watch = watch(Kind::Value);
        let mut most = 0;
        for i in 0..200_000 {
            watch.update(normal(i), None);
            if i % 10_000 == 1 {
                most = most.max(serde_json::to_string(&watch).unwrap().len());
            }
        }
        assert!(size_of::<Watch>() < 3_600 && most < 12_000, "{} {most}", size_of::<Watch>());
    }
}
