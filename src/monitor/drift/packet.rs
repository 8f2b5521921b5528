//! What whoever is woken needs to know: what moved, since when, from what to what, and where most.

use super::measures::Compared;
use super::{FieldKey, Fields, Follows, KnownField, Stream};
use crate::alert::Observation;
use crate::drift::factor::{Rescaling, rescaling};
use crate::drift::p_value::normal_survival;
use crate::drift::profile::{Segment, Sketch};
use crate::drift::reference::Watched;
use crate::drift::sketch::AlignedCategories;
use crate::drift::{DriftSettings, Pair, whole};
use crate::event::alert::{AlertSegment, Finding, Histogram, Moved};
use crate::event::monitor::{FRAUD, MODEL_SCORE, SCORE};
use crate::time::EventTime;
use std::collections::BTreeMap;

/// A part of the traffic that holds so much of a change is where it is; below, it is everywhere.
const CONCENTRATED: f64 = 0.5;
/// A shift of the values by less (population stability index, beyond what chance makes of so few) is no finding, however certain it is.
const PSI_LEAST: f64 = 0.04;
/// Nor is a share that moved by fewer points.
const SHARE_LEAST: f64 = 0.005;
/// Quantiles that a change of unit moves alike.
const QUANTILES: [f64; 7] = [0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9];

impl Stream {
    /// What is known of the stream by the end of a window.
    pub(super) fn observation(
        &mut self,
        (name, at): (&str, EventTime),
        (settings, may_adopt): (&DriftSettings, bool),
        fields: &impl Fields,
    ) -> Observation {
        let threshold = settings.threshold(self.tests(at, settings));
        let may_be_unit = |feature: &str| fields.follows(name, feature) != Follows::Count;
        let found = |which: fn(&FieldKey) -> bool| self.findings(threshold, at, which, may_be_unit);
        let whole: Vec<Finding> = found(|key| key.segment.is_none());
        let is_new = |finding: &Finding| {
            !whole.iter().any(|known| known.feature == finding.feature && known.what == finding.what)
        };
        let mut findings = found(|key| key.segment.is_some());
        findings.retain(is_new);
        keep_the_largest_part(&mut findings);
        findings.extend(whole);
        let last = at.minus(settings.window);
        let traffic = self.traffic_since(None, last);
        if findings.is_empty() {
            let adopted = false;
            self.odd_since = None;
            return Observation { traffic, adopted, ..Observation::default() };
        }
        let since = findings.iter().map(|finding| finding.since_ms).min().unwrap_or(last);
        let odd_since = *self.odd_since.get_or_insert(at);
        if may_adopt && settings.pinned.is_none() && odd_since.plus(settings.adopt_after) <= at {
            self.adopt(at, settings);
            return Observation { traffic, adopted: true, ..Observation::default() };
        }
        let segment = self.where_most(&findings);
        let part = segment.as_ref().map(|part| Segment::new(&part.dimension, &part.value));
        let (all, concerned) = (self.traffic_since(None, since), self.traffic_since(part.as_ref(), since));
        let share = if all.decisions == 0 { 0.0 } else { concerned.decisions as f64 / all.decisions as f64 };
        let mut read_by: Vec<String> =
            findings.iter().flat_map(|finding| fields.readers(name, &finding.feature)).collect();
        read_by.sort_unstable();
        read_by.dedup();
        Observation {
            traffic: self.traffic_since(part.as_ref(), last),
            traffic_since: concerned,
            command: command(name, since, part.as_ref()),
            quiet: self.carried(name, &findings, threshold, fields),
            findings,
            segment,
            share,
            read_by,
            adopted: false,
        }
    }

    /// The fields of which there is so much evidence.
    fn findings(
        &self,
        threshold: f64,
        at: EventTime,
        which: impl Fn(&FieldKey) -> bool,
        may_be_unit: impl Fn(&str) -> bool,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (key, known) in self.fields.iter().filter(|(key, _)| which(key)) {
            let segment = key.segment.as_ref().map(|segment| AlertSegment {
                dimension: segment.dimension.to_string(),
                value: segment.value.to_string(),
                share_of_change: 1.0,
            });
            findings.extend(
                of_values(known, threshold, at, may_be_unit(&known.name))
                    .into_iter()
                    .chain(of_presence(known, threshold, at))
                    .map(|finding| Finding { segment: segment.clone(), ..finding }),
            );
        }
        findings
    }

    /// The part of the traffic in which most of what moved moved, if it is not everywhere alike: of each dimension, each value's
    /// share of the distance from the reference over all fields that moved.
    fn where_most(&self, findings: &[Finding]) -> Option<AlertSegment> {
        let mut parts: BTreeMap<&Segment, f64> = BTreeMap::new();
        for (key, known) in &self.fields {
            let Some(segment) = &key.segment else { continue };
            let moved = |what: &[Moved]| {
                findings.iter().any(|finding| finding.feature == *known.name && what.contains(&finding.what))
            };
            let part = parts.entry(segment).or_default();
            if moved(&[Moved::Distribution, Moved::Unit, Moved::NewCategories]) {
                *part += distance(known.reference.values());
            }
            if moved(&[Moved::Missing, Moved::NonFinite]) {
                *part += distance(known.reference.missing());
            }
        }
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        parts.iter().for_each(|(segment, part)| *sums.entry(&segment.dimension).or_default() += part);
        let share = |(segment, part): (&&Segment, &f64)| {
            let sum = sums.get(&*segment.dimension).copied().unwrap_or(0.0);
            (sum > 0.0).then(|| (*part / sum, (*segment).clone()))
        };
        let (largest, segment) = parts
            .iter()
            .filter_map(share)
            .filter(|(_, segment)| self.divides(segment))
            .max_by(|(one, _), (other, _)| one.total_cmp(other))?;
        (largest >= CONCENTRATED).then(|| AlertSegment {
            dimension: segment.dimension.to_string(),
            value: segment.value.to_string(),
            share_of_change: largest,
        })
    }

    /// Whether the segment is not nearly all there is: then it says nothing of where.
    fn divides(&self, segment: &Segment) -> bool {
        let volume = |segment: Option<&Segment>| self.traffic_since(segment, EventTime(i64::MIN)).decisions;
        volume(Some(segment)) * 10 < volume(None) * 9
    }
}

/// Of findings about one feature in several segments, that of the segment with the most evidence stays.
fn keep_the_largest_part(findings: &mut Vec<Finding>) {
    findings.sort_by(|one, other| {
        let name = |finding: &Finding| (finding.feature.clone(), finding.what);
        name(one).cmp(&name(other)).then(other.statistic.total_cmp(&one.statistic))
    });
    findings.dedup_by(|next, first| next.feature == first.feature && next.what == first.what);
}

/// How far a run is from what was expected, beyond what chance makes of it.
fn distance(watched: &Watched) -> f64 {
    let run = &watched.run;
    let cells = run.observed.iter().zip(&run.expected);
    let sum: f64 = cells.map(|(observed, expected)| (observed - expected).powi(2) / expected.max(0.5)).sum();
    (sum - run.observed.len() as f64).max(0.0)
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
    measures.insert("p_value".to_owned(), normal_survival(watched.evidence.sum()));
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
        (None, None, Some(Sketch::Numbers(_))) => {
            (Moved::Distribution, cells.median(&expected), cells.median(&current), None)
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

/// The factor of a change of unit, if that is how all values moved.
fn factor_of(sketches: Pair<&Sketch>) -> Option<f64> {
    let moved = moved_by(sketches)?;
    moved.is_change_of_unit().then_some(moved.factor)
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
fn of_presence(known: &KnownField, threshold: f64, at: EventTime) -> Option<Finding> {
    let watched = known.reference.missing();
    let since = watched.evidence.since().filter(|_| watched.has_moved(threshold))?;
    let (current, expected) = watched.run.shares();
    let missing = |shares: &[f64]| shares.get(1).copied().unwrap_or(0.0);
    let (from, to) = (missing(&expected), missing(&current));
    if (to - from).abs() < SHARE_LEAST {
        return None;
    }
    Some(Finding {
        feature: known.name.to_string(),
        what: if known.reference.share_non_finite() > 0.5 { Moved::NonFinite } else { Moved::Missing },
        segment: None,
        category: None,
        from,
        to,
        since_ms: since,
        until_ms: at,
        count: whole(watched.run.count()),
        reference_count: watched.run.reference_count,
        effect: to - from,
        measures: BTreeMap::from([("p_value".to_owned(), normal_survival(watched.evidence.sum()))]),
        statistic: watched.evidence.sum(),
        threshold,
        histogram: None,
    })
}

/// A command that shows the records.
fn command(stream: &str, since: EventTime, segment: Option<&Segment>) -> String {
    let since = crate::time::rfc3339(since);
    if stream == FRAUD {
        let part = segment.map(|segment| format!(" --where {segment}")).unwrap_or_default();
        format!("tillstream inspect payments --since {since}{part}")
    } else {
        let part = segment.map(|segment| format!(" --where segments.{segment}")).unwrap_or_default();
        format!("tillstream inspect predictions --since {since} --where model={stream}{part}")
    }
}
