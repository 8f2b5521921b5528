//! What a field looks like at this hour of the week, and the evidence that it no longer does.
//!
//! A [`Reference`] learns the shares of a few [`cells`] (bins of equal content, or names), per hour of the week, with shrinkage towards the
//! hour of the day and towards all hours: two weeks are two windows of an hour of the week, and fourteen of its hour of the day.
//! Each window is compared with it by Pearson's χ², divided by how much larger that has been than chance alone would make it (values
//! of one customer, one basket, one campaign go together), turned into a standard normal score, and summed by a CUSUM, which
//! finds what is small and lasts as well as what is large, and says since when.

pub mod cells;
pub mod evidence;
pub mod seasonal;

use super::p_value::normal_survival;
use super::profile::{Field, Profile, Sketch, Sort};
use super::settings::{ALLOWANCE, DriftSettings, Least};
use crate::time::EventTime;
use cells::{Cells, tally};
use evidence::{Counted, Evidence, Rare, normal_score};
use seasonal::{Grain, Seasonal};
use serde::{Deserialize, Serialize};

/// Windows over which the dispersion is averaged.
const DISPERSION_WINDOWS: f64 = 60.0;
/// What it is before any, and as how many windows that counts.
const DISPERSION_BEFORE: (f64, f64) = (1.3, 10.0);
/// Windows over which the correlation of scores is averaged.
const CORRELATION_WINDOWS: f64 = 168.0;
/// Scores that vary by less than this are alike, whatever comes before them.
const SCORES_ALIKE: f64 = 0.05;
/// Beyond this correlation, a window says nothing new for days.
const CORRELATION_MAX: f64 = 0.98;
/// Values in a generation of the long run.
const GENERATION: u64 = 100_000;
/// What began so many windows before an announced change or later is taken for a part of it.
const EXCUSED_WINDOWS: u32 = 2;
/// A window that says so much by itself is not learned from.
const SUSPICIOUS: f64 = 3.5;

/// What a field of a stream, in all of it or in a segment, looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    cells: Option<Cells>,
    long_run: LongRun,
    shares: Seasonal,
    /// Records with a finite value, and without.
    presence: Seasonal,
    /// Since fewer records have a value: those that are no finite numbers, and those of another sort.
    non_finite: f64,
    of_another_sort: f64,
    values: Watched,
    missing: Watched,
    /// Windows that were learned.
    windows: u32,
    /// Its first window.
    since: EventTime,
}

/// A test that is made in each window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    dispersion: f64,
    dispersion_windows: f64,
    /// The score of the window before; the mean of scores, and how much they go together with those before: the mean product of
    /// deviations from it, and their mean square.
    last: Option<f64>,
    mean: f64,
    product: f64,
    square: f64,
    /// The evidence so far.
    pub evidence: Evidence,
    /// Of the windows since it began to rise: what was there, and what was expected.
    pub run: Run,
}

/// What came of a field in a window.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Its values, if there are any.
    pub sketch: Option<&'a Sketch>,
    /// Values under its name that are of another sort: as many records are without one of its own.
    pub of_another_sort: u64,
    /// Records, with a value or without.
    pub volume: u64,
}

impl<'a> Seen<'a> {
    /// What a profile has of the field with that id that holds values of that sort.
    #[must_use]
    pub fn of(profile: &'a Profile, (id, sort): (u32, Sort)) -> Seen<'a> {
        Seen {
            sketch: sketch_of(profile, (id, sort)),
            of_another_sort: sketch_of(profile, (id, sort.other())).map_or(0, Sketch::present),
            volume: profile.volume,
        }
    }

    /// Records with a finite value of its sort, and those without.
    fn presence(self) -> [f64; 2] {
        let present = self.sketch.map_or(0, Sketch::finite).min(self.volume);
        [present as f64, (self.volume - present) as f64]
    }

    /// How many values are in each of the cells.
    fn tally(self, cells: Option<&Cells>) -> Option<Vec<f64>> {
        cells.zip(self.sketch).map(|(cells, sketch)| tally(cells, sketch))
    }
}

/// The windows since evidence began to rise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Counts by cell.
    pub observed: Vec<f64>,
    /// What the reference made of as many.
    pub expected: Vec<f64>,
    /// What the reference weighs.
    pub reference_count: f64,
    /// All values.
    pub sketch: Option<Sketch>,
}

impl Reference {
    /// That of a field that is learned from the window that begins at `since` on.
    #[must_use]
    pub fn new(since: EventTime, grain: Grain) -> Reference {
        Reference {
            cells: None,
            long_run: LongRun::default(),
            shares: Seasonal::new(grain),
            presence: Seasonal::new(grain),
            non_finite: 0.0,
            of_another_sort: 0.0,
            values: Watched::default(),
            missing: Watched::default(),
            windows: 0,
            since,
        }
    }

    /// Whether it is known well enough to judge by.
    #[must_use]
    pub fn is_known(&self, at: EventTime, settings: &DriftSettings) -> bool {
        let from = settings.pinned.map_or_else(|| self.since.plus(settings.learn), |pinned| pinned.until);
        self.cells.is_some() && at >= from
    }

    /// Compares a window with the reference, then learns from it, unless it looks suspicious by itself, or
    /// the evidence has gone half of the way to `threshold`, or it `is_frozen`: something else of the stream is odd. Of a pinned
    /// period each window is learned, and no other.
    pub fn take(
        &mut self,
        seen: Seen<'_>,
        start: EventTime,
        settings: &DriftSettings,
        threshold: f64,
        is_frozen: bool,
    ) {
        if start < self.since {
            return;
        }
        let presence = seen.presence();
        let known = self.is_known(start, settings);
        let mut is_odd = false;
        if self.windows > 0 {
            let (shares, weight) = self.presence.expected(start, 2);
            let counted = Counted { counts: &presence, shares: &shares, weight, rare: Rare::Together };
            let looked =
                self.missing.look(counted, start, known.then_some(threshold), settings.least.expected);
            is_odd |= looked.is_some_and(|score| score > SUSPICIOUS);
            self.missing.run.keep(None);
            self.count_why(seen);
        }
        let counts = seen.tally(self.cells.as_ref());
        if let Some(counts) = &counts {
            let (shares, weight) = self.shares.expected(start, counts.len());
            let counted = Counted { counts, shares: &shares, weight, rare: self.rare() };
            let looked =
                self.values.look(counted, start, known.then_some(threshold), settings.least.expected);
            if let Some(score) = looked {
                is_odd |= score > SUSPICIOUS;
                self.values.run.keep(seen.sketch);
            }
        } else {
            self.values.fade(start, threshold);
        }
        let is_learned = match settings.pinned {
            Some(pinned) => pinned.has(start),
            None => !(known && (is_frozen || is_odd || self.is_rising(threshold))),
        };
        if is_learned {
            self.learn((seen, counts), start, settings);
        }
    }

    /// Counts why records are without a value, since fewer have one.
    fn count_why(&mut self, seen: Seen<'_>) {
        if self.missing.run.observed.is_empty() {
            (self.non_finite, self.of_another_sort) = (0.0, 0.0);
        } else {
            self.non_finite += seen.sketch.map_or(0, Sketch::non_finite) as f64;
            self.of_another_sort += seen.of_another_sort as f64;
        }
    }

    /// In a window nothing came at all of the traffic that the field is of: evidence that has been told fades, as nothing shows it any more.
    pub fn fade(&mut self, start: EventTime, threshold: f64) {
        self.values.fade(start, threshold);
        self.missing.fade(start, threshold);
    }

    /// Whether evidence has gone half of the way: what comes now may be what it is about.
    #[must_use]
    pub fn is_rising(&self, threshold: f64) -> bool {
        self.evidence() > threshold / 2.0
    }

    /// A window lies in the time of a change that was announced and begins at `from`: it is not learned from, and
    /// what began with the change is no evidence. What began before can end.
    pub fn excuse(
        &mut self,
        seen: Seen<'_>,
        (start, from): (EventTime, EventTime),
        settings: &DriftSettings,
        threshold: f64,
    ) {
        // when evidence began to rise is known to some windows
        let tolerance = settings.window * EXCUSED_WINDOWS;
        let is_of_it =
            |watched: &Watched| watched.evidence.since().is_some_and(|since| since.plus(tolerance) > from);
        if !self.is_known(start, settings) {
            // it takes as many usual windows as otherwise to know it
            self.since = self.since.plus(settings.window);
        }
        let presence = seen.presence();
        let usual_presence = self.presence.expected(start, 2);
        let counts = seen.tally(self.cells.as_ref());
        let usual = counts.as_ref().map(|counts| self.shares.expected(start, counts.len()));
        let rare = self.rare();
        for (watched, rare, counts, usual) in [
            (&mut self.missing, Rare::Together, Some(presence.to_vec()), Some(usual_presence)),
            (&mut self.values, rare, counts, usual),
        ] {
            if is_of_it(watched) {
                watched.evidence = Evidence::default();
                watched.run = Run::default();
            } else if let (Some(counts), Some((shares, weight))) = (counts, usual) {
                let counted = Counted { counts: &counts, shares: &shares, weight, rare };
                watched.ease(counted, start, threshold, settings.least.expected);
            }
        }
    }

    /// What has moved of its values is explained: it is no evidence, and the window that was compared last, and was not learned, is.
    pub fn forgive(&mut self, seen: Seen<'_>, start: EventTime, settings: &DriftSettings) {
        self.values.evidence = Evidence::default();
        self.values.run = Run::default();
        if settings.pinned.is_none() {
            let counts = seen.tally(self.cells.as_ref());
            self.learn((seen, counts), start, settings);
        }
    }

    /// By what factor the mean of the run is another than is usual at its hours.
    #[must_use]
    pub fn mean_moved_by(&self) -> Option<f64> {
        let Sketch::Numbers(now) = self.values.run.sketch.as_ref()? else { return None };
        let long_run = self.long_run()?;
        let Sketch::Numbers(numbers) = &long_run else { return None };
        let means = self.cells.as_ref()?.means(numbers);
        let usual: f64 =
            shares_of(&self.values.run.expected).iter().zip(means).map(|(share, mean)| share * mean).sum();
        let factor = now.mean()? / usual;
        (factor.is_finite() && factor > 0.0).then_some(factor)
    }

    /// The evidence that it is otherwise: of its values, or of whether there are any.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        self.values.evidence.sum().max(self.missing.evidence.sum())
    }

    /// Learns from the values of a window, and from how many of them are in each cell if there are cells.
    fn learn(
        &mut self,
        (seen, counts): (Seen<'_>, Option<Vec<f64>>),
        start: EventTime,
        settings: &DriftSettings,
    ) {
        self.windows += 1;
        self.presence.learn(start, &seen.presence());
        let Some(sketch) = seen.sketch else { return };
        self.long_run.take(sketch);
        let Least { values, windows, .. } = settings.least;
        if self.cells.is_none() && self.windows >= windows && self.long_run.present() >= values {
            self.cells = self.long_run.all().as_ref().and_then(Cells::of);
        }
        if let Some(counts) = counts.or_else(|| self.cells.as_ref().map(|cells| tally(cells, sketch))) {
            self.shares.learn(start, &counts);
        }
    }

    /// Takes what is there now for the reference: everything is learned anew, from what the run has seen.
    pub fn adopt(&mut self, at: EventTime, settings: &DriftSettings) {
        let grain = self.shares.grain();
        let run = self.values.run.sketch.take();
        let presence = self.missing.run.observed.clone();
        let mut fresh = Reference::new(at.minus(settings.learn), grain);
        fresh.cells = run.as_ref().and_then(Cells::of).or_else(|| self.cells.take());
        if let (Some(cells), Some(sketch)) = (&fresh.cells, &run) {
            fresh.shares.learn(at, &tally(cells, sketch));
        }
        if let [present, missing] = presence.as_slice() {
            fresh.presence.learn(at, &[*present, *missing]);
        }
        fresh.windows = 1;
        fresh.long_run = LongRun { old: run, new: None };
        fresh.values.dispersion = self.values.dispersion;
        fresh.values.dispersion_windows = self.values.dispersion_windows;
        fresh.missing.dispersion = self.missing.dispersion;
        fresh.missing.dispersion_windows = self.missing.dispersion_windows;
        *self = fresh;
    }

    /// The test of the values.
    #[must_use]
    pub fn values(&self) -> &Watched {
        &self.values
    }

    /// The test of whether there are any.
    #[must_use]
    pub fn missing(&self) -> &Watched {
        &self.missing
    }

    /// How values are counted of which there are few.
    fn rare(&self) -> Rare {
        self.cells.as_ref().map_or(Rare::WithNeighbours, Cells::rare)
    }

    /// Its first window.
    #[must_use]
    pub fn since(&self) -> EventTime {
        self.since
    }

    /// The cells, once there are some.
    #[must_use]
    pub fn cells(&self) -> Option<&Cells> {
        self.cells.as_ref()
    }

    /// Everything lately.
    #[must_use]
    pub fn long_run(&self) -> Option<Sketch> {
        self.long_run.all()
    }

    /// The share of records without a finite value that is usual in the window that begins then.
    #[must_use]
    pub fn usual_missing(&self, start: EventTime) -> f64 {
        self.presence.expected(start, 2).0.get(1).copied().unwrap_or(0.0)
    }

    /// Of the records without a finite value since fewer have one, the share that had one which is none: infinite, or no number; and the
    /// share that had one of another sort.
    #[must_use]
    pub fn why_without(&self) -> (f64, f64) {
        let without = self.missing.run.observed.get(1).copied().unwrap_or(0.0).max(1.0);
        (self.non_finite / without, self.of_another_sort / without)
    }

    /// The shares of the cells that are usual in the window that begins then, and how many values they weigh; nothing before there are cells.
    #[must_use]
    pub fn usual(&self, start: EventTime) -> (Vec<f64>, f64) {
        let of = |cells: &Cells| self.shares.expected(start, cells.len());
        self.cells.as_ref().map_or_else(Default::default, of)
    }
}

/// All values lately, for quantiles and for names: those of the present generation, and of the one before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct LongRun {
    old: Option<Sketch>,
    new: Option<Sketch>,
}

impl LongRun {
    fn take(&mut self, sketch: &Sketch) {
        match &mut self.new {
            Some(new) => new.merge(sketch),
            None => self.new = Some(sketch.clone()),
        }
        if self.new.as_ref().is_some_and(|new| new.present() >= GENERATION) {
            self.old = self.new.take();
        }
    }

    fn present(&self) -> u64 {
        [&self.old, &self.new].into_iter().flatten().map(Sketch::present).sum()
    }

    fn all(&self) -> Option<Sketch> {
        let mut all = self.old.clone().or_else(|| self.new.clone())?;
        if let (Some(_), Some(new)) = (&self.old, &self.new) {
            all.merge(new);
        }
        Some(all)
    }
}

/// How far a window is from what is usual.
struct Distance {
    /// How much larger χ² is than chance alone would make it.
    excess: f64,
    /// As a standard normal score, by the usual dispersion.
    raw: f64,
    /// That, as far as the window before does not say it already.
    score: f64,
}

impl Watched {
    /// Whether there is so much evidence.
    #[must_use]
    pub fn has_moved(&self, threshold: f64) -> bool {
        self.evidence.sum() >= threshold
    }

    /// Compares what was counted with what is usual, over cells in which `least` values are expected. Returns the score. Evidence is summed up
    /// to a little beyond `threshold` where there is one; without, the dispersion alone is learned.
    fn look(
        &mut self,
        counted: Counted<'_>,
        start: EventTime,
        threshold: Option<f64>,
        least: f64,
    ) -> Option<f64> {
        let dispersion = self.dispersion();
        let Distance { excess, raw, score } = self.distance(counted, least)?;
        if let Some(threshold) = threshold {
            if self.evidence.add(score, start, threshold) {
                self.run.add(counted);
            } else {
                self.run = Run::default();
            }
        }
        // what stands out is not chance, and would make the next that does look like it; nor is what adds up
        let excess = excess.min(dispersion * 4.0);
        let is_rising = |threshold| self.evidence.sum() > threshold / 2.0;
        if threshold.is_none_or(|threshold| score < SUSPICIOUS && !is_rising(threshold)) {
            let rate = 1.0 / (self.dispersion_windows + DISPERSION_BEFORE.1).min(DISPERSION_WINDOWS);
            self.dispersion = dispersion + (excess - dispersion) * rate;
            self.dispersion_windows += 1.0;
            self.correlate(raw);
        }
        Some(score)
    }

    fn distance(&self, counted: Counted<'_>, least: f64) -> Option<Distance> {
        let (statistic, freedom) = counted.chi_square(least)?;
        let raw = normal_score(statistic / self.dispersion(), freedom);
        Some(Distance { excess: statistic / freedom, raw, score: raw / self.correlation().sqrt() })
    }

    /// As [`Watched::look`], where evidence may become less and not more, and nothing is learned.
    fn ease(&mut self, counted: Counted<'_>, start: EventTime, threshold: f64, least: f64) {
        let Some(Distance { score, .. }) = self.distance(counted, least) else { return };
        if self.evidence.sum() > 0.0 && !self.evidence.add(score.min(ALLOWANCE), start, threshold) {
            self.run = Run::default();
        }
    }

    /// Nothing came to look at: evidence that has been told fades.
    fn fade(&mut self, start: EventTime, threshold: f64) {
        if self.has_moved(threshold) {
            self.evidence.add(0.0, start, threshold);
        }
    }

    /// How probable all that came since it began to move would be if nothing had moved, by χ² over the dispersion.
    #[must_use]
    pub fn p_value(&self, rare: Rare) -> Option<f64> {
        let Run { observed, expected, reference_count, .. } = &self.run;
        let shares = shares_of(expected);
        let counted = Counted { counts: observed, shares: &shares, weight: *reference_count, rare };
        let (statistic, freedom) = counted.chi_square(Least::USUAL.expected)?;
        Some(normal_survival(normal_score(statistic / self.dispersion(), freedom)))
    }

    /// Learns how much the score of a window goes together with that of the window before.
    fn correlate(&mut self, score: f64) {
        let score = score.clamp(-3.0, 3.0);
        if let Some(last) = self.last {
            let rate = 1.0 / (self.dispersion_windows + 1.0).min(CORRELATION_WINDOWS);
            let (deviation, before) = (score - self.mean, last - self.mean);
            self.mean += deviation * rate;
            self.product += (deviation * before - self.product) * rate;
            self.square += (deviation * deviation - self.square) * rate;
        }
        self.last = Some(score);
    }

    /// How many windows say as much as one would if they were independent: (1 + ρ) / (1 − ρ), the variance of a mean of an
    /// autoregressive series over that of independent values (Bartlett 1946). A value of the last day is nearly the same an hour later.
    fn correlation(&self) -> f64 {
        let correlation = if self.square > SCORES_ALIKE {
            (self.product / self.square).clamp(0.0, CORRELATION_MAX)
        } else {
            0.0
        };
        (1.0 + correlation) / (1.0 - correlation)
    }

    /// How much larger distances from the reference are than chance alone makes them.
    #[must_use]
    pub fn dispersion(&self) -> f64 {
        if self.dispersion_windows > 0.0 { self.dispersion.max(1.0) } else { DISPERSION_BEFORE.0 }
    }
}

impl Run {
    fn add(&mut self, Counted { counts, shares, weight, .. }: Counted<'_>) {
        let total: f64 = counts.iter().sum();
        self.observed.resize(counts.len(), 0.0);
        self.expected.resize(counts.len(), 0.0);
        self.observed.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        self.expected.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share * total);
        self.reference_count = weight;
    }

    /// Keeps the values of a window that is part of the run.
    fn keep(&mut self, sketch: Option<&Sketch>) {
        if self.observed.is_empty() {
            self.sketch = None;
            return;
        }
        match (&mut self.sketch, sketch) {
            (Some(known), Some(sketch)) => known.merge(sketch),
            (None, Some(sketch)) => self.sketch = Some(sketch.clone()),
            (_, None) => {}
        }
    }

    /// All that was counted.
    #[must_use]
    pub fn count(&self) -> f64 {
        self.observed.iter().sum()
    }

    /// The shares of what was counted, and of what was expected.
    #[must_use]
    pub fn shares(&self) -> (Vec<f64>, Vec<f64>) {
        (shares_of(&self.observed), shares_of(&self.expected))
    }
}

fn shares_of(counts: &[f64]) -> Vec<f64> {
    let total: f64 = counts.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    counts.iter().map(|count| count / total).collect()
}

/// The field of a profile with that id, and values of that sort.
#[must_use]
pub fn sketch_of(profile: &Profile, key: (u32, Sort)) -> Option<&Sketch> {
    let place = profile.fields.binary_search_by_key(&key, Field::key).ok()?;
    profile.fields.get(place).map(|field| &field.sketch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::sketch::NumericSketch;
    use crate::time::Period;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Four hundred values of a window, a thousand of them in one round, by a factor.
    fn window(number: u32, factor: f64) -> Sketch {
        let value = |place: u32| f64::from((number * 400 + place) * 7_919 % 1_009 + 1) * factor;
        Sketch::Numbers((0..400).map(value).collect::<NumericSketch>())
    }

    /// The evidence after so many hours in which values are twice what they were from `moved` on.
    fn evidence(settings: &DriftSettings, moved: u32, hours: u32) -> f64 {
        let mut reference = Reference::new(EventTime(0), Grain::Hours);
        let threshold = settings.threshold(2);
        for number in 0..hours {
            let factor = if number < moved { 1.0 } else { 2.0 };
            let start = EventTime(0).plus(HOUR * number);
            let sketch = window(number, factor);
            let seen = Seen { sketch: Some(&sketch), of_another_sort: 0, volume: 400 };
            reference.take(seen, start, settings, threshold, false);
        }
        reference.evidence()
    }

    #[test]
    fn a_pinned_period_is_what_is_compared_with_whatever_came_since() {
        let week = 168;
        let pinned = Period { from: EventTime(0), until: EventTime(0).plus(HOUR * week) };
        let settings = DriftSettings { pinned: Some(pinned), ..DriftSettings::hourly() };
        let threshold = settings.threshold(2);
        assert!(evidence(&settings, 2 * week, 2 * week) < threshold, "nothing has moved");
        // what moved right after the period is found, and never becomes the reference
        assert!(evidence(&settings, week, week + 3) >= threshold);
        assert!(evidence(&settings, week, 6 * week) >= threshold);
        // a reference that learns has learned it before it judges
        assert!(evidence(&DriftSettings::hourly(), week, 6 * week) < threshold);
    }
}
