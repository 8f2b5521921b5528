//! What every field looked like in a window, beside what is usual, for those who want to see it.

use super::measures::Compared;
use super::{FieldKey, KnownField, Profiles, Stream};
use crate::drift::profile::{Profile, Sketch};
use crate::drift::reference::cells::tally;
use crate::drift::reference::sketch_of;
use crate::drift::{DriftSettings, Pair};
use crate::event::alert::Histogram;
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
        whole
            .map(|(key, known)| FeatureWindow {
                stream: stream.to_owned(),
                ..shown(key, known, start, profile, settings)
            })
            .collect()
    }

    /// Marks those of which there is so much evidence by now.
    pub(super) fn mark_moving(&self, windows: &mut [FeatureWindow], threshold: f64) {
        for window in windows {
            let known = self
                .fields
                .iter()
                .find(|(key, known)| key.segment.is_none() && *known.name == *window.feature);
            window.is_moving = known.is_some_and(|(_, known)| {
                let [values, missing] = [known.reference.values(), known.reference.missing()];
                values.evidence.sum().max(missing.evidence.sum()) >= threshold
            });
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
    let sketch = sketch_of(profile, key.id);
    let finite = |sketch: &Sketch| sketch.present() - sketch.non_finite();
    let present = sketch.map_or(0, finite).min(profile.volume);
    let is_known = known.reference.is_known(start, settings);
    let histogram = sketch.and_then(|sketch| histogram(known, sketch, start));
    let long_run = known.reference.long_run();
    let compared = histogram.as_ref().filter(|_| is_known && present >= LEAST).map(|histogram| Compared {
        shares: Pair { reference: &histogram.reference, current: &histogram.current },
        counts: Pair { reference: known.reference.usual_weight(start), current: present as f64 },
        sketches: long_run.as_ref().zip(sketch).map(|(reference, current)| Pair { reference, current }),
    });
    FeatureWindow {
        stream: String::new(),
        feature: known.name.to_string(),
        window_start_ms: start,
        window_ms: millis(settings.window),
        records: profile.volume,
        missing: 1.0 - present as f64 / profile.volume as f64,
        missing_expected: is_known.then(|| known.reference.usual_missing(start)),
        measures: compared.map_or_else(BTreeMap::new, |compared| compared.measures()),
        is_moving: false,
        histogram,
    }
}

/// The shares of the cells, once there are some.
fn histogram(known: &KnownField, sketch: &Sketch, start: EventTime) -> Option<Histogram> {
    let cells = known.reference.cells()?;
    let counts = tally(cells, sketch);
    let total: f64 = counts.iter().sum();
    (total > 0.0).then(|| Histogram {
        cells: cells.labels(),
        reference: known.reference.usual(start),
        current: counts.iter().map(|count| count / total).collect(),
    })
}
