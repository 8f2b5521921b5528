//! How good the scores of a day are expected to be while labels are missing, and how far off such expectations have been.
//!
//! Of a day, all scores are known when it is over, and few labels. Labels that came before say how often scores like these turned out to be
//! positive, so how good the day's scores are follows on average, with its error: what chance does to the outcomes, and how
//! uncertain the rates are, to first order (the delta method). That they will be positive as often as before is an assumption. So each
//! day is compared with what came of it once all its labels have come, and the error grows with what was found. Of a world in which the same
//! score means something else nothing is known from scores alone: that is what outcomes are watched for.

mod calibration;
mod figures;

use self::calibration::{Calibration, Rates, Tally};
use self::figures::{Figure, Scored};
use super::quality::{K, day_of, start_of};
use crate::drift::sketch::{Bin, NumericSketch};
use crate::drift::whole;
use crate::event::public::{ExpectedFigure, ExpectedQuality, LabelledFigure};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A day with fewer labels is not compared.
const LABELS_LEAST: f64 = 50.0;
/// Days that an error is believed for without having been compared.
const BELIEVED_FOR: f64 = 5.0;
/// A day that was compared counts for so much less each day after it.
const KEPT_PER_DAY: f64 = 0.97;
/// A day is off by so many errors at most: one beyond says no more.
const OFF_MOST: f64 = 10.0;

/// What is expected of the scores of one name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    calibration: Calibration,
    /// Days that labels are waited for.
    days: BTreeMap<i64, ScoredDay>,
    /// The newest day that is final.
    closed: Option<i64>,
    /// The day up to which labels have faded.
    faded: Option<i64>,
    compared: BTreeMap<Figure, Compared>,
}

/// The scores of one day (UTC, by the time of the payment).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct ScoredDay {
    scores: BTreeMap<Bin, u64>,
    /// Those of which labels have come.
    labels: BTreeMap<Bin, Tally>,
    /// How often scores were positive by when the last of them had come.
    rates: Option<Rates>,
    revision: u32,
    changed: bool,
}

/// How far off expectations have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Compared {
    days: f64,
    /// The sum of the squares of how many errors each was off by.
    squares: f64,
}

impl Compared {
    /// By what an error is to be multiplied, so that days have been off by one on average.
    fn factor(self) -> f64 {
        ((self.squares + BELIEVED_FOR) / (self.days + BELIEVED_FOR)).sqrt()
    }
}

impl Expected {
    /// Scores have been given, in a window that begins at `start`.
    pub fn scored(&mut self, start: EventTime, scores: &NumericSketch) {
        let day = day_of(start);
        if self.closed.is_some_and(|closed| day <= closed) {
            return;
        }
        let day = self.days.entry(day).or_default();
        for (bin, count) in scores.bins() {
            *day.scores.entry(bin).or_default() += count;
        }
        day.changed = true;
    }

    /// It has become known what came of a score of the `day`, which is waited for or not.
    pub fn labelled(&mut self, day: i64, score: f64, is_positive: bool, is_open: bool) {
        let bin = Bin::of(score.clamp(0.0, 1.0));
        self.calibration.take(bin, is_positive);
        if is_open {
            let tally = self.days.entry(day).or_default().labels.entry(bin).or_default();
            tally.labels += 1.0;
            tally.positives += f64::from(u8::from(is_positive));
        }
    }

    /// What is to be published as of `as_of`, the beginning of an hour: days of which scores have come since that was done last, and those
    /// that are final. `is_final` says of a day whether no label of it is waited for any longer.
    pub fn publish<'a>(
        &mut self,
        score: &'a str,
        as_of: EventTime,
        is_final: impl Fn(i64) -> bool,
    ) -> Vec<ExpectedQuality<'a>> {
        self.fade(day_of(as_of));
        let rates = self.calibration.rates();
        let mut records = Vec::new();
        for (day, scored) in &mut self.days {
            let is_final = is_final(*day);
            let is_told = scored.changed || is_final;
            if std::mem::take(&mut scored.changed) {
                scored.rates.clone_from(&rates);
            }
            if is_told {
                let about = About { score, day: *day, as_of, is_final };
                records.extend(scored.record(&about, &self.compared));
            }
            if is_final {
                scored.compare(&mut self.compared);
            }
        }
        self.closed = self.closed.max(self.days.keys().copied().filter(|day| is_final(*day)).max());
        self.days.retain(|day, _| !is_final(*day));
        records
    }

    /// Old labels, and days that were compared, count for less.
    fn fade(&mut self, today: i64) {
        let faded = *self.faded.get_or_insert(today);
        // after years without a label there is nothing left to fade
        for _ in faded..today.min(faded.saturating_add(1_000)) {
            self.calibration.fade();
            for compared in self.compared.values_mut() {
                compared.days *= KEPT_PER_DAY;
                compared.squares *= KEPT_PER_DAY;
            }
        }
        self.faded = Some(today.max(faded));
    }
}

/// What a record is about.
struct About<'a> {
    score: &'a str,
    day: i64,
    as_of: EventTime,
    is_final: bool,
}

impl ScoredDay {
    /// What is to be said of it, if enough is known.
    fn record<'a>(
        &mut self,
        about: &About<'a>,
        compared: &BTreeMap<Figure, Compared>,
    ) -> Option<ExpectedQuality<'a>> {
        let rates = self.rates.as_ref()?;
        let all = Outlook::new(self.scores.iter().map(|(bin, count)| (*bin, *count as f64)), rates);
        let labelled = about.is_final.then(|| (self.outlook_of_labelled(rates), self.outcomes()));
        let figure = |figure: Figure| {
            let factor = compared.get(&figure).copied().unwrap_or_default().factor();
            let of_labelled = labelled.as_ref().and_then(|(outlook, outcomes)| {
                let (expected, measured) = (figure.expected(&outlook.bins)?, figure.value(outcomes)?);
                Some(LabelledFigure { expected, measured })
            });
            let expected = figure.expected(&all.bins)?;
            let error = all.error(figure) * factor;
            Some((Cow::Borrowed(figure.name()), ExpectedFigure { expected, error, of_labelled }))
        };
        let figures: BTreeMap<_, _> = Figure::ALL.into_iter().filter_map(figure).collect();
        let labelled = self.labels.values().map(|tally| tally.labels).sum();
        if figures.is_empty() {
            return None;
        }
        self.revision += 1;
        Some(ExpectedQuality {
            score: Cow::Borrowed(about.score),
            day_ms: start_of(about.day),
            revision: self.revision,
            is_final: about.is_final,
            as_of_ms: about.as_of,
            scored: self.scores.values().sum(),
            labelled: whole(labelled),
            k: K,
            calibrated_by: whole(rates.labels),
            compared_days: whole(compared.get(&Figure::PositiveRate).map_or(0.0, |compared| compared.days)),
            figures,
        })
    }

    /// All labels have come: how far off was what was expected of the scores that have one?
    fn compare(&self, compared: &mut BTreeMap<Figure, Compared>) {
        let Some(rates) = &self.rates else { return };
        let (outlook, outcomes) = (self.outlook_of_labelled(rates), self.outcomes());
        if outcomes.iter().map(|bin| bin.count).sum::<f64>() < LABELS_LEAST {
            return;
        }
        for figure in Figure::ALL {
            let values = figure.expected(&outlook.bins).zip(figure.value(&outcomes));
            let error = outlook.error(figure);
            if let Some((expected, measured)) = values.filter(|_| error > 0.0) {
                let known = compared.entry(figure).or_default();
                known.days += 1.0;
                known.squares += ((measured - expected) / error).abs().min(OFF_MOST).powi(2);
            }
        }
    }

    fn outlook_of_labelled(&self, rates: &Rates) -> Outlook {
        Outlook::new(self.labels.iter().map(|(bin, tally)| (*bin, tally.labels)), rates)
    }

    /// What came of those that have a label.
    fn outcomes(&self) -> Vec<Scored> {
        let of = |(bin, tally): (&Bin, &Tally)| Scored {
            score: score_of(*bin),
            count: tally.labels,
            positives: tally.positives,
        };
        self.labels.iter().map(of).collect()
    }
}

/// What is expected of some scores, by bin.
struct Outlook {
    bins: Vec<Scored>,
    /// Of each bin, the level of its rate, and the variance of that.
    levels: Vec<(usize, f64)>,
}

impl Outlook {
    fn new(counts: impl Iterator<Item = (Bin, f64)>, rates: &Rates) -> Outlook {
        let of = |(bin, count): (Bin, f64)| {
            let (place, level) = rates.of(bin)?;
            let scored = Scored { score: score_of(bin), count, positives: count * level.rate };
            Some((scored, (place, level.variance)))
        };
        let (bins, levels) = counts.filter_map(of).unzip();
        Outlook { bins, levels }
    }

    /// One standard error of a figure: what chance does to outcomes, and what is not known of the rates, of which those of one level are one.
    fn error(&self, figure: Figure) -> f64 {
        let slopes = figure.slopes(&self.bins);
        let by_chance: f64 =
            slopes.iter().zip(&self.bins).map(|(slope, bin)| slope * slope * bin.variance()).sum();
        let mut by_level = BTreeMap::<usize, (f64, f64)>::new();
        for ((slope, bin), (place, variance)) in slopes.iter().zip(&self.bins).zip(&self.levels) {
            let (sum, _) = by_level.entry(*place).or_insert((0.0, *variance));
            *sum += slope * bin.count;
        }
        let by_rates: f64 = by_level.values().map(|(sum, variance)| sum * sum * variance).sum();
        (by_chance + by_rates).sqrt()
    }
}

/// The score of those in a bin.
fn score_of(bin: Bin) -> f64 {
    bin.representative().clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::random::Random;

    const HOUR: i64 = 3_600_000;
    /// Labels come so many days after their scores, and none after as many again.
    const WAIT: i64 = 3;

    /// A shop whose scores are right, but for what happens to whole days.
    struct Shop {
        random: Random,
        /// Scores and outcomes of days whose labels have not come.
        unlabelled: BTreeMap<i64, Vec<(f64, bool)>>,
        expected: Expected,
    }

    impl Shop {
        fn new(seed: u64) -> Shop {
            Shop { random: Random::new(seed), unlabelled: BTreeMap::new(), expected: Expected::default() }
        }

        /// A uniform number of `[0, 1)`.
        fn uniform(&mut self) -> f64 {
            self.random.below(1 << 40) as f64 / (1_u64 << 40) as f64
        }

        /// A day of 3,000 scores, most of them low, that are positive `factor` times as often as they say, and the labels of an earlier
        /// day: every third of it. Returns what is published when it is over.
        fn day(&mut self, day: i64, factor: f64) -> Vec<ExpectedQuality<'static>> {
            let scores: Vec<(f64, bool)> = (0..3_000)
                .map(|_| {
                    let score = self.uniform().powi(8);
                    (score, self.uniform() < (score * factor).min(1.0))
                })
                .collect();
            self.expected.scored(start_of(day), &scores.iter().map(|(score, _)| *score).collect());
            self.unlabelled.insert(day, scores);
            for (score, is_positive) in self.unlabelled.remove(&(day - WAIT)).into_iter().flatten().step_by(3)
            {
                self.expected.labelled(day - WAIT, score, is_positive, true);
            }
            let over = start_of(day + 1);
            self.expected.publish("fraud", over, |open| open + 2 * WAIT < day)
        }
    }

    fn figure(record: &ExpectedQuality<'_>, name: &str) -> ExpectedFigure {
        *record.figures.get(name).unwrap_or_else(|| panic!("{name} is not in {record:?}"))
    }

    /// How many errors what was measured is off by, of days that are final.
    fn off(records: &[ExpectedQuality<'_>]) -> Vec<f64> {
        let finals = records.iter().filter(|record| record.is_final);
        finals
            .flat_map(|record| record.figures.values())
            .filter_map(|figure| {
                let LabelledFigure { expected, measured } = figure.of_labelled?;
                // the error is that of a day's scores: a third of them has labels
                Some((measured - expected) / (figure.error * 3_f64.sqrt()))
            })
            .collect()
    }

    fn share_within(off: &[f64], errors: f64) -> f64 {
        off.iter().filter(|off| off.abs() <= errors).count() as f64 / off.len() as f64
    }

    #[derive(Deserialize)]
    struct Vectors {
        scenarios: Vec<Scenario>,
    }

    #[derive(Deserialize)]
    struct Scenario {
        name: String,
        steps: Vec<Step>,
    }

    /// As tests/expected_vectors/make.py says.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Step {
        Labels {
            labels: Vec<(i64, f64, bool, bool)>,
        },
        Scores {
            scores: (i64, Vec<f64>),
        },
        Publish {
            publish: i64,
            #[serde(rename = "final")]
            finals: Vec<i64>,
            records: Vec<Said>,
        },
    }

    #[derive(Deserialize)]
    struct Said {
        day: i64,
        revision: u32,
        is_final: bool,
        scored: u64,
        labelled: u64,
        calibrated_by: f64,
        compared_days: f64,
        figures: BTreeMap<String, ExpectedFigure>,
    }

    fn is_near(one: f64, other: f64) -> bool {
        (one - other).abs() <= 1e-9 * one.abs().max(1e-3)
    }

    fn is_same_figure(one: &ExpectedFigure, other: &ExpectedFigure) -> bool {
        let of_labelled = match (one.of_labelled, other.of_labelled) {
            (Some(one), Some(other)) => {
                is_near(one.expected, other.expected) && is_near(one.measured, other.measured)
            }
            (one, other) => one == other,
        };
        of_labelled && is_near(one.expected, other.expected) && is_near(one.error, other.error)
    }

    fn is_same(record: &ExpectedQuality<'_>, said: &Said) -> bool {
        let figures = record.figures.iter().zip(&said.figures);
        record.day_ms == start_of(said.day)
            && (record.revision, record.is_final) == (said.revision, said.is_final)
            && (record.scored, record.labelled) == (said.scored, said.labelled)
            && (record.calibrated_by as f64 - said.calibrated_by).abs() <= 0.5 + 1e-6
            && (record.compared_days as f64 - said.compared_days).abs() <= 0.5 + 1e-6
            && record.figures.len() == said.figures.len()
            && figures.into_iter().all(|(one, other)| one.0 == other.0 && is_same_figure(one.1, other.1))
    }

    #[test]
    fn what_is_published_is_what_was_computed_elsewhere_from_the_documentation() {
        let text = include_str!("../../tests/expected_vectors/vectors.json");
        let vectors: Vectors = serde_json::from_str(text).expect("vectors");
        let mut compared = 0;
        for Scenario { name, steps } in vectors.scenarios {
            let mut expected = Expected::default();
            for step in steps {
                match step {
                    Step::Labels { labels } => {
                        for (day, score, is_positive, is_open) in labels {
                            expected.labelled(day, score, is_positive, is_open);
                        }
                    }
                    Step::Scores { scores: (day, scores) } => {
                        expected.scored(start_of(day), &scores.into_iter().collect());
                    }
                    Step::Publish { publish, finals, records } => {
                        let said = expected.publish("fraud", start_of(publish), |day| finals.contains(&day));
                        assert_eq!(said.len(), records.len(), "{name}, day {publish}");
                        for (said, record) in said.iter().zip(&records) {
                            assert!(is_same(said, record), "{name}, day {}: {said:?}", record.day);
                            compared += 1;
                        }
                    }
                }
            }
        }
        assert!(compared >= 80, "{compared} records");
    }

    #[test]
    fn nothing_is_expected_before_labels_have_come() {
        let mut shop = Shop::new(1);
        let early: Vec<_> = (0..WAIT).flat_map(|day| shop.day(day, 1.0)).collect();
        assert_eq!(early, []);
        let record = shop.day(WAIT, 1.0).pop().expect("labels have come");
        assert_eq!((record.day_ms, record.revision, record.scored), (start_of(WAIT), 1, 3_000));
        assert_eq!((record.is_final, record.labelled, record.compared_days), (false, 0, 0));
        // a ninth on average: ∫ u⁸ du
        let rate = figure(&record, "positive_rate");
        assert!((rate.expected - 1.0 / 9.0).abs() <= 3.0 * rate.error, "{rate:?}");
        assert!((0.003..0.02).contains(&rate.error), "{rate:?}");
    }

    #[test]
    fn what_comes_of_a_day_is_within_two_errors_of_what_was_expected() {
        let mut all = Vec::new();
        for seed in 0..10 {
            let mut shop = Shop::new(seed);
            (0..60).for_each(|day| all.extend(shop.day(day, 1.0)));
        }
        let off = off(&all);
        assert!(off.len() > 2_000, "{}", off.len());
        let (one, two) = (share_within(&off, 1.0), share_within(&off, 2.0));
        assert!((0.6..0.8).contains(&one) && two >= 0.93, "{one} within one error, {two} within two");
    }

    #[test]
    fn where_days_differ_more_than_chance_explains_the_error_grows_until_it_is_true() {
        let (mut early, mut late) = (Vec::new(), Vec::new());
        for seed in 0..10 {
            let (mut shop, mut fate) = (Shop::new(seed), Random::new(seed + 100));
            for day in 0..90 {
                let factor = 0.5 + fate.below(1_000) as f64 / 1_000.0;
                let records = shop.day(day, factor);
                if day < 12 {
                    early.extend(records)
                } else if day > 40 {
                    late.extend(records)
                }
            }
        }
        let (early, late) = (share_within(&off(&early), 2.0), share_within(&off(&late), 2.0));
        assert!(early < 0.8, "{early} of the first days that are final");
        assert!(late > 0.9, "{late} later");
    }

    #[test]
    fn a_day_is_told_as_its_scores_come_and_once_more_when_it_is_final() {
        let mut shop = Shop::new(1);
        (0..20).for_each(|day| drop(shop.day(day, 1.0)));
        let never = |_| false;
        let at = |hour: i64| EventTime(start_of(20).0 + hour * HOUR);
        let scores: NumericSketch = [0.1, 0.5].into_iter().collect();
        shop.expected.scored(at(0), &scores);
        let first = shop.expected.publish("fraud", at(1), never).pop().expect("scores have come");
        assert_eq!((first.revision, first.scored), (1, 2));
        assert_eq!(shop.expected.publish("fraud", at(2), never), [], "none has come since");
        shop.expected.scored(at(2), &scores);
        let second = shop.expected.publish("fraud", at(3), never).pop().expect("scores have come");
        assert_eq!((second.revision, second.scored), (2, 4));
        let last: Vec<_> = shop.expected.publish("fraud", at(200), |_| true);
        let of_the_day = last.iter().find(|record| record.day_ms == start_of(20)).expect("it is final");
        assert_eq!((of_the_day.revision, of_the_day.is_final), (3, true));
        assert_eq!(
            of_the_day.figures.get("brier").map(|brier| brier.of_labelled),
            Some(None),
            "none has a label"
        );
        assert_eq!(shop.expected.publish("fraud", at(201), |_| true), []);
        shop.expected.scored(at(23), &scores);
        assert_eq!(shop.expected.publish("fraud", at(202), |_| true), [], "too late");
    }
}
