//! What every field looked like in a window, beside what is usual, for those who want to see it.

use super::measures::Compared;
use super::{FieldKey, KnownField, Profiles, Stream};
use crate::drift::profile::{Profile, Sketch, Sort};
use crate::drift::reference::cells::tally;
use crate::drift::reference::sketch_of;
use crate::drift::{DriftSettings, Pair};
use crate::event::alert::Histogram;
use crate::event::feature_id;
use crate::event::public::FeatureWindow;
use crate::time::{EventTime, millis};
use std::collections::BTreeMap;

/// A field with fewer values in a window than this is not compared.
const LEAST: u64 = 20;

impl Stream {
    /// What the fields of all of the stream looked like in a window, before anything is learned from it.
    pub(super) fn shown(
        &self,
        stream: &str,
        start: EventTime,
        profiles: &Profiles,
        settings: &DriftSettings,
    ) -> Vec<FeatureWindow> {
        let Some(profile) = profiles.get(&None).filter(|profile| profile.volume > 0) else {
            return Vec::new();
        };
        let whole = self.fields.iter().filter(|(key, _)| key.segment.is_none());
        // a field of which values of another sort came later is still the one that is known
        let is_known_before = |one: &FieldKey, known: &KnownField| {
            let other = FieldKey { segment: None, field: (one.field.0, one.field.1.other()) };
            let other = self.fields.get(&other).map(|other| (other.reference.since(), one.field.1.other()));
            other.is_none_or(|other| (known.reference.since(), one.field.1) < other)
        };
        whole
            .filter(|(key, known)| is_known_before(key, known))
            .map(|(key, known)| FeatureWindow {
                stream: stream.to_owned(),
                ..shown(key, known, start, profile, settings)
            })
            .collect()
    }

    /// Marks those of which there is so much evidence by now.
    pub(super) fn mark_moving(&self, windows: &mut [FeatureWindow], threshold: f64) {
        for window in windows {
            let key = |sort| FieldKey { segment: None, field: (feature_id(&window.feature), sort) };
            let mut known =
                [Sort::Numbers, Sort::Names].into_iter().filter_map(|sort| self.fields.get(&key(sort)));
            window.is_moving = known.any(|known| known.reference.evidence() >= threshold);
        }
    }
}

fn shown(
    key: &FieldKey,
    known: &KnownField,
    start: EventTime,
    profile: &Profile,
    settings: &DriftSettings,
) -> FeatureWindow {
    let sketch = sketch_of(profile, key.field);
    let present = sketch.map_or(0, Sketch::finite).min(profile.volume);
    let is_known = known.reference.is_known(start, settings);
    let (usual, weight) = known.reference.usual(start);
    let histogram = sketch.and_then(|sketch| histogram(known, sketch, usual));
    let compared = histogram.as_ref().zip(sketch).filter(|_| is_known && present >= LEAST);
    let measures = compared.map_or_else(BTreeMap::new, |(histogram, current)| {
        let long_run = known.reference.long_run();
        let compared = Compared {
            shares: Pair { reference: &histogram.reference, current: &histogram.current },
            counts: Pair { reference: weight, current: present as f64 },
            sketches: long_run.as_ref().map(|reference| Pair { reference, current }),
        };
        compared.measures()
    });
    FeatureWindow {
        stream: String::new(),
        feature: known.name.to_string(),
        window_start_ms: start,
        window_ms: millis(settings.window),
        records: profile.volume,
        missing: 1.0 - present as f64 / profile.volume as f64,
        missing_expected: is_known.then(|| known.reference.usual_missing(start)),
        measures,
        is_moving: false,
        histogram,
    }
}

/// The shares of the cells, once there are some.
fn histogram(known: &KnownField, sketch: &Sketch, usual: Vec<f64>) -> Option<Histogram> {
    let cells = known.reference.cells()?;
    let counts = tally(cells, sketch);
    let total: f64 = counts.iter().sum();
    (total > 0.0).then(|| Histogram {
        cells: cells.labels(),
        reference: usual,
        current: counts.iter().map(|count| count / total).collect(),
    })
}
