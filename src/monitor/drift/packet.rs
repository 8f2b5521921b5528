//! What whoever is woken needs to know: what moved, since when, from what to what, and where most.

use super::measures::Compared;
use super::{Fields, Follows, KnownField, Stream};
use crate::alert::{Observation, steps_from_the_record};
use crate::drift::factor::{Rescaling, rescaling};
use crate::drift::profile::{OTHER, Segment, Sketch, Sort};
use crate::drift::reference::Watched;
use crate::drift::reference::cells::Cells;
use crate::drift::reference::evidence::Rare;
use crate::drift::sketch::{AlignedCategories, NumericSketch, RELATIVE_ERROR};
use crate::drift::{DriftSettings, Pair, whole};
use crate::event::alert::{AlertSegment, Finding, Histogram, Moved};
use crate::event::monitor::{FRAUD, MODEL_SCORE, SCORE};
use crate::monitor::command::inspect;
use crate::time::EventTime;
use std::collections::{BTreeMap, BTreeSet};

/// A part of the traffic that holds so much of a change may be where it is; below, it is everywhere.
const CONCENTRATED: f64 = 0.5;
/// A part that holds so much of something is nearly all there is of it.
const NEARLY_ALL: f64 = 0.9;
/// It is, if so much more of each record has moved there than elsewhere: fields of some parts vary less, and show a change of all more.
const MUCH_MORE: f64 = 3.0;
/// Of what chance makes of the rest so much may hide: two standard errors of the sum over some twenty cells (2 √(π/2 − 1) / √20).
const HIDDEN: f64 = 0.34;
/// A shift of the values by less (population stability index, beyond what chance makes of so few) is no finding, however certain it is.
const PSI_LEAST: f64 = 0.04;
/// Nor is a share that moved by fewer points.
const SHARE_LEAST: f64 = 0.005;
/// Quantiles that a change of unit moves alike.
const QUANTILES: [f64; 7] = [0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9];

impl Stream {
    /// What is known of the stream by the end of a window. `known_since` is since when its episode is, if there is one.
    pub(super) fn observation(
        &mut self,
        (name, at, known_since): (&str, EventTime, Option<EventTime>),
        (settings, may_adopt): (&DriftSettings, bool),
        fields: &impl Fields,
    ) -> Observation {
        let threshold = settings.threshold(self.tests(at, settings));
        let may_be_unit = |feature: &str| fields.follows(name, feature) != Follows::Count;
        let mut findings = self.findings(threshold, at, may_be_unit);
        let last = at.minus(settings.window);
        if findings.is_empty() {
            self.odd_since = None;
            return Observation::default();
        }
        let earliest =
            |findings: &[Finding]| findings.iter().map(|finding| finding.since_ms).min().unwrap_or(last);
        let odd_since = *self.odd_since.get_or_insert(at);
        if may_adopt && settings.pinned.is_none() && odd_since.plus(settings.adopt_after) <= at {
            self.adopt(at, settings);
            return Observation { adopted: true, ..Observation::default() };
        }
        let segment = self.where_most(&findings, earliest(&findings));
        tell_once(&mut findings, segment.as_ref());
        let since = earliest(&findings).min(known_since.unwrap_or(EventTime::MAX));
        let part = segment.as_ref().map(|part| Segment::new(&part.dimension, &part.value));
        let (all, concerned) = (self.traffic_since(None, since), self.traffic_since(part.as_ref(), since));
        let share = concerned.share_of(&all);
        let mut read_by: Vec<String> =
            findings.iter().flat_map(|finding| fields.readers(name, &finding.feature)).collect();
        read_by.sort_unstable();
        read_by.dedup();
        Observation {
            traffic_since: concerned,
            is_counted_anew: true,
            command: command(name, since, part.as_ref()),
            quiet: self.carried(name, &findings, threshold, fields),
            findings,
            segment,
            share,
            read_by,
            ..Observation::default()
        }
    }

    /// The fields of which there is so much evidence.
    fn findings(&self, threshold: f64, at: EventTime, may_be_unit: impl Fn(&str) -> bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (key, known) in &self.fields {
            let segment = key.segment.as_ref().map(|segment| AlertSegment {
                dimension: segment.dimension.to_string(),
                value: segment.value.to_string(),
                share_of_change: 1.0,
            });
            findings.extend(
                of_values(known, threshold, at, may_be_unit(&known.name))
                    .into_iter()
                    .chain(of_presence(known, key.field.1, threshold, at))
                    .map(|finding| Finding { segment: segment.clone(), ..finding }),
            );
        }
        findings
    }

    /// The part of the traffic in which most of what moved moved, if it is not everywhere alike: over the fields nearest to the cause that
    /// moved, what of their values lies in other cells than it would, in the part and in all.
    fn where_most(&self, findings: &[Finding], since: EventTime) -> Option<AlertSegment> {
        let nearest = findings.iter().map(|finding| steps_from_the_record(&finding.feature)).min()?;
        let is_nearest = |finding: &&Finding| steps_from_the_record(&finding.feature) == nearest;
        let moved: BTreeSet<(&str, bool)> = findings
            .iter()
            .filter(is_nearest)
            .map(|finding| (&*finding.feature, matches!(finding.what, Moved::Missing | Moved::NonFinite)))
            .collect();
        let mut parts: BTreeMap<&Segment, PartOfAll> = BTreeMap::new();
        for is_of_presence in [false, true] {
            // what is displaced of each field that moved: in all of the traffic (no segment), and in its parts
            let mut fields: BTreeMap<(u32, Sort), BTreeMap<Option<&Segment>, Displaced>> = BTreeMap::new();
            let of_it = |known: &KnownField| moved.contains(&(&*known.name, is_of_presence));
            for (key, known) in self.fields.iter().filter(|(_, known)| of_it(known)) {
                let reference = &known.reference;
                let watched = if is_of_presence { reference.missing() } else { reference.values() };
                let part = key.segment.as_ref();
                if let Some(displaced) = self.displaced(part, watched, since) {
                    fields.entry(key.field).or_default().insert(part, displaced);
                }
            }
            for within in fields.values() {
                let of_parts = || within.iter().filter_map(|(part, displaced)| Some(((*part)?, displaced)));
                for (segment, part) in of_parts() {
                    let of_dimension = of_parts().filter(|(other, _)| other.dimension == segment.dimension);
                    let sum: f64 = of_dimension.map(|(_, part)| part.displaced).sum();
                    // where all of the traffic shows nothing, the field is taken to be everywhere
                    let values = part.values / self.share_of(Some(segment), since);
                    let all = within
                        .get(&None)
                        .copied()
                        .unwrap_or(Displaced { displaced: 0.0, ..part.of_more(values) });
                    parts.entry(segment).or_default().add(*part, all.at_least(sum));
                }
            }
        }
        let (segment, part) = parts
            .into_iter()
            .filter(|(segment, part)| self.divides(segment) && part.is_where_it_is())
            .max_by(|(_, one), (_, other)| one.share().total_cmp(&other.share()))?;
        Some(AlertSegment {
            dimension: segment.dimension.to_string(),
            value: segment.value.to_string(),
            share_of_change: part.share(),
        })
    }

    /// How many values of a field there are in a part of the traffic for each decision in all of it, and how many of them lie in other
    /// cells than they would: by the total variation distance of the run from what was expected, less what chance makes of it (of each
    /// cell √(2 p (1 − p) / (π n))). Nothing where there is no evidence at all.
    fn displaced(&self, part: Option<&Segment>, watched: &Watched, since: EventTime) -> Option<Displaced> {
        let (run, began) = (&watched.run, watched.evidence.since()?);
        let decisions = self.decisions_since(part, began).max(1) as f64;
        let values = run.count() / decisions * self.share_of(part, since);
        let (current, expected) = run.shares();
        let one = (1.0 / run.count().max(1.0) + 1.0 / run.reference_count.max(1.0)) * watched.dispersion();
        let chance = |share: &f64| (2.0 / std::f64::consts::PI * share * (1.0 - share) * one).sqrt();
        let cells = current.iter().zip(&expected);
        let far: f64 = cells.map(|(now, usual)| (now - usual).abs()).sum();
        let by_chance: f64 = expected.iter().map(chance).sum();
        let displaced = values * ((far - by_chance) / 2.0).max(0.0);
        Some(Displaced { values, displaced, by_chance: values * by_chance / 2.0 })
    }

    /// A part's share of the decisions since then.
    fn share_of(&self, part: Option<&Segment>, since: EventTime) -> f64 {
        let decisions = |part: Option<&Segment>| self.decisions_since(part, since).max(1) as f64;
        decisions(part) / decisions(None)
    }

    /// Whether the segment is not nearly all there is: then it says nothing of where.
    fn divides(&self, segment: &Segment) -> bool {
        let volume = |segment: Option<&Segment>| self.decisions_since(segment, EventTime(i64::MIN));
        volume(Some(segment)) * 10 < volume(None) * 9
    }
}

/// Of findings about one feature one stays: of `part`, where most of it moved, else of all the traffic, else of the part with the most
/// evidence.
fn tell_once(findings: &mut Vec<Finding>, part: Option<&AlertSegment>) {
    let distance = |finding: &Finding| finding.distance_from(part);
    findings.sort_by(|one, other| {
        let name = |finding: &Finding| (finding.feature.clone(), finding.what);
        let largest = || other.statistic.total_cmp(&one.statistic);
        name(one).cmp(&name(other)).then_with(|| distance(one).cmp(&distance(other)).then_with(largest))
    });
    findings.dedup_by(|next, first| next.feature == first.feature && next.what == first.what);
}

/// Values for each decision, and how many of them lie in other cells than they would.
#[derive(Debug, Clone, Copy, Default)]
struct Displaced {
    values: f64,
    displaced: f64,
    /// How many more chance alone makes of them.
    by_chance: f64,
}

impl Displaced {
    /// As it is known of another number of values: chance makes of each the less, the more there are.
    fn of_more(self, values: f64) -> Displaced {
        let times = values / self.values.max(f64::MIN_POSITIVE);
        Displaced { values, displaced: self.displaced * times, by_chance: self.by_chance * times.sqrt() }
    }

    /// In all of the traffic there are no fewer than in its parts; there may seem to be, where one part moves to where another was.
    fn at_least(self, sum_of_parts: f64) -> Displaced {
        Displaced { displaced: self.displaced.max(sum_of_parts), ..self }
    }
}

/// What moved in a part of the traffic and outside of it, over some fields.
#[derive(Debug, Clone, Copy, Default)]
struct PartOfAll {
    inside: Displaced,
    outside: Displaced,
}

impl PartOfAll {
    /// Of a field that is hardly found elsewhere nobody can say where it moved.
    fn add(&mut self, part: Displaced, all: Displaced) {
        if part.values < NEARLY_ALL * all.values {
            let outside = all.of_more(all.values - part.values);
            self.inside.values += part.values;
            self.inside.displaced += part.displaced;
            self.outside.values += outside.values;
            self.outside.displaced += (all.displaced - part.displaced).max(0.0);
            self.outside.by_chance += outside.by_chance;
        }
    }

    /// The part's share of what moved.
    fn share(self) -> f64 {
        self.inside.displaced / (self.inside.displaced + self.outside.displaced).max(f64::MIN_POSITIVE)
    }

    /// Whether most of what moved did so here, and of each value here much more than of one elsewhere, where chance may hide some.
    fn is_where_it_is(self) -> bool {
        let PartOfAll { inside, outside } = self;
        self.share() >= CONCENTRATED
            && inside.displaced * outside.values
                >= MUCH_MORE * inside.values * (outside.displaced + outside.by_chance * HIDDEN)
    }
}

/// Whether the values are otherwise.
fn of_values(known: &KnownField, threshold: f64, at: EventTime, may_be_unit: bool) -> Option<Finding> {
    let reference = &known.reference;
    let watched = reference.values();
    let cells = reference.cells()?;
    let since = watched.evidence.since().filter(|_| watched.has_moved(threshold))?;
    let (current, expected) = watched.run.shares();
    let long_run = reference.long_run();
    let sketches = long_run.as_ref().zip(watched.run.sketch.as_ref());
    let sketches = sketches.map(|(reference, current)| Pair { reference, current });
    let compared = Compared {
        shares: Pair { reference: &expected, current: &current },
        counts: Pair { reference: watched.run.reference_count, current: watched.run.count() },
        sketches,
    };
    let mut measures = compared.measures();
    measures.extend(watched.p_value(cells.rare()).map(|p_value| ("p_value".to_owned(), p_value)));
    let psi = measures.get("psi").copied()?;
    let effect = (psi - by_chance(watched, cells.len())).max(0.0);
    if effect < PSI_LEAST {
        return None;
    }
    // neither a score nor a count has a unit
    let has_a_unit = may_be_unit && ![SCORE, MODEL_SCORE].contains(&&*known.name);
    let factor = sketches.filter(|_| has_a_unit).and_then(factor_of);
    let new = sketches.and_then(|sketches| new_category(sketches, &current, &expected));
    let (what, from, to, category) = match (factor, new, watched.run.sketch.as_ref()) {
        (Some(factor), _, _) => (Moved::Unit, 1.0, factor, None),
        (None, Some((name, share)), _) => (Moved::NewCategories, 0.0, share, Some(name)),
        (None, None, Some(Sketch::Numbers(now))) => {
            let (from, to, place) = moved_numbers(cells, (&expected, &current), (long_run.as_ref(), now))?;
            (Moved::Distribution, from, to, place)
        }
        _ => {
            let (place, _) = current
                .iter()
                .zip(&expected)
                .map(|(now, usual)| (now - usual).abs())
                .enumerate()
                .max_by(|(_, one), (_, other)| one.total_cmp(other))?;
            let share = |shares: &[f64]| shares.get(place).copied().unwrap_or(0.0);
            (Moved::Distribution, share(&expected), share(&current), Some(cells.label(place)))
        }
    };
    Some(Finding {
        feature: known.name.to_string(),
        what,
        segment: None,
        category,
        from,
        to,
        since_ms: since,
        until_ms: at,
        count: whole(watched.run.count()),
        reference_count: watched.run.reference_count,
        effect,
        measures,
        statistic: watched.evidence.sum(),
        threshold,
        histogram: Some(Histogram { cells: cells.labels(), reference: expected, current }),
    })
}

/// From what to what numbers moved: their middle; where that has not, the share of those that lie beyond the place at which they differ most.
fn moved_numbers(
    cells: &Cells,
    (expected, current): (&[f64], &[f64]),
    (usual, now): (Option<&Sketch>, &NumericSketch),
) -> Option<(f64, f64, Option<String>)> {
    let middle = |numbers: &Sketch| match numbers {
        Sketch::Numbers(numbers) => cells.median(expected, numbers),
        Sketch::Categories(_) => None,
    };
    if let (Some(from), Some(to)) = (usual.and_then(middle), now.quantile(0.5))
        && (to - from).abs() > 2.0 * RELATIVE_ERROR * from.abs().max(to.abs())
    {
        return Some((from, to, None));
    }
    cells.apart(expected, current).map(|(beyond, from, to)| (from, to, Some(beyond)))
}

/// The index to expect of a run as long as this if nothing had moved: (cells − 1) (1/n + 1/m), as often as chance goes with chance
/// (Yurdakul 2018).
fn by_chance(watched: &Watched, cells: usize) -> f64 {
    let run = &watched.run;
    let (now, usual) = (run.count().max(1.0), run.reference_count.max(1.0));
    (cells as f64 - 1.0) * (1.0 / now + 1.0 / usual) * watched.dispersion()
}

/// A name that was not there before, and its share, if that is most of what moved.
fn new_category(sketches: Pair<&Sketch>, current: &[f64], expected: &[f64]) -> Option<(String, f64)> {
    let Pair { reference: Sketch::Categories(usual), current: Sketch::Categories(now) } = sketches else {
        return None;
    };
    let names = AlignedCategories::new(Pair { reference: usual, current: now }, 0.0);
    let (name, count) = names.appeared().first()?;
    let share = *count as f64 / now.count().max(1) as f64;
    let moved: f64 = current.iter().zip(expected).map(|(now, usual)| (now - usual).max(0.0)).sum();
    (share >= SHARE_LEAST && share >= moved / 2.0).then(|| (name.to_string(), share))
}

/// The factor of a change of unit, if that is how all values moved. Values that become one and the same, or another sign, have no other unit.
fn factor_of(sketches: Pair<&Sketch>) -> Option<f64> {
    let moved = moved_by(sketches)?;
    let is_one =
        |sketch: &Sketch| matches!(sketch, Sketch::Numbers(numbers) if numbers.least() == numbers.greatest());
    let is_a_unit = moved.factor > 0.0 && is_one(sketches.reference) == is_one(sketches.current);
    (is_a_unit && moved.is_change_of_unit()).then_some(moved.factor)
}

/// How the quantiles of numbers have moved, if they did by something like one factor.
pub(super) fn moved_by(sketches: Pair<&Sketch>) -> Option<Rescaling> {
    let Pair { reference: Sketch::Numbers(usual), current: Sketch::Numbers(now) } = sketches else {
        return None;
    };
    let quantiles = Pair { reference: usual, current: now }.map(|sketch| sketch.quantiles(&QUANTILES));
    rescaling(Pair { reference: &quantiles.reference, current: &quantiles.current }).ok()?
}

/// Whether fewer, or more, records have a finite value.
fn of_presence(known: &KnownField, sort: Sort, threshold: f64, at: EventTime) -> Option<Finding> {
    let watched = known.reference.missing();
    let since = watched.evidence.since().filter(|_| watched.has_moved(threshold))?;
    let (current, expected) = watched.run.shares();
    let missing = |shares: &[f64]| shares.get(1).copied().unwrap_or(0.0);
    let (from, to) = (missing(&expected), missing(&current));
    if (to - from).abs() < SHARE_LEAST {
        return None;
    }
    let (non_finite, of_another_sort) = known.reference.why_without();
    let what = if non_finite + of_another_sort > 0.5 { Moved::NonFinite } else { Moved::Missing };
    Some(Finding {
        feature: known.name.to_string(),
        what,
        segment: None,
        category: (of_another_sort > 0.5).then(|| sort.other().in_words().to_owned()),
        from,
        to,
        since_ms: since,
        until_ms: at,
        count: whole(watched.run.count()),
        reference_count: watched.run.reference_count,
        effect: to - from,
        measures: watched
            .p_value(Rare::Together)
            .map(|value| ("p_value".to_owned(), value))
            .into_iter()
            .collect(),
        statistic: watched.evidence.sum(),
        threshold,
        histogram: None,
    })
}

/// A command that shows the records.
fn command(stream: &str, since: EventTime, segment: Option<&Segment>) -> String {
    // there is no value of a record in which all others are
    let part = segment.filter(|segment| &*segment.value != OTHER);
    if stream == FRAUD {
        let part = part.map(|part| (&*part.dimension, &*part.value));
        inspect("payments", since, part.as_slice())
    } else {
        let dimension = part.map(|part| format!("segments.{}", part.dimension));
        let part = part.zip(dimension.as_deref()).map(|(part, dimension)| (dimension, &*part.value));
        let fields: Vec<(&str, &str)> = std::iter::once(("model", stream)).chain(part).collect();
        inspect("predictions", since, &fields)
    }
}
