//! What models that run elsewhere said: profiled as decisions are, under the name of the model, and joined with what became known of it.

use super::{Decide, DecideTask};
use crate::drift::profile::{Observed, Profiled};
use crate::engine::outputs::Outputs;
use crate::event::alert::Change;
use crate::event::feature_id;
use crate::event::monitor::{AMOUNT, DECISION, SCORE};
use crate::event::prediction::{Prediction, Told};
use crate::fraud::label::{Decided, DecidedBy};

/// Models whose versions are remembered.
const MODELS_MAX: usize = 100;

impl Decide {
    pub(super) fn fold_prediction(&self, task: &mut DecideTask, said: &Prediction<'_>, out: &mut Outputs) {
        task.predictions += 1;
        self.look_at_version(task, said, out);
        self.profile_prediction(task, said);
        let decided = Decided {
            time: said.time,
            amount_minor: said.amount_minor,
            currency: said.currency.map(Into::into),
            score: said.score,
            by: DecidedBy::Elsewhere {
                model: said.model.into(),
                version: said.version.map(Into::into),
                prediction_id: said.prediction_id.into(),
                decision: said.action.map(Into::into),
            },
        };
        self.await_label(task, said.decision, decided, out);
    }

    /// Tells of a version of the model that has not spoken before.
    fn look_at_version(&self, task: &mut DecideTask, said: &Prediction<'_>, out: &mut Outputs) {
        let Some(version) = said.version else { return };
        if task.versions.len() >= MODELS_MAX && !task.versions.contains_key(said.model) {
            return;
        }
        let known = task.versions.entry(said.model.into()).or_default();
        if known.is_news(version, said.time) {
            let change = Change {
                kind: "model".into(),
                subject: said.model.into(),
                what: format!("version `{version}` of {} for the first time", said.model).into(),
                at: said.time,
            };
            self.tell_of(&change, out);
        }
    }

    /// Counts a prediction in the profile of its window, and in the volume of its model.
    fn profile_prediction(&self, task: &mut DecideTask, said: &Prediction<'_>) {
        if !self.settings.drift.is_watched {
            return;
        }
        let own = [
            (SCORE, Some(Observed::Number(said.score))),
            (DECISION, said.action.map(Observed::Name)),
            (AMOUNT, said.amount_minor.map(|minor| Observed::Number(minor as f64))),
        ];
        let features = said.features.iter().map(|(name, value)| (*name, observed(value)));
        let own = own.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let mut named: Vec<(u32, &str, Observed<'_>)> =
            features.chain(own).map(|(name, value)| (feature_id(name), name, value)).collect();
        named.sort_by_key(|(id, ..)| *id);
        named.dedup_by_key(|(id, ..)| *id);
        let values: Vec<_> = named.iter().map(|(id, _, value)| (*id, *value)).collect();
        let record = Profiled {
            stream: said.model,
            time: said.time,
            values: &values,
            money: said.currency.zip(said.amount_minor),
            segments: &said.segments,
        };
        task.volumes.add(&format!("predictions model={}", said.model), said.time);
        task.profiler.add(record, self.settings.drift.window, |id| {
            named.iter().find_map(|(of, name, _)| (*of == id).then_some(*name)).unwrap_or_default()
        });
    }
}

fn observed<'t>(value: &Told<'t>) -> Observed<'t> {
    match *value {
        Told::Number(number) => Observed::Number(number),
        Told::Name(name) => Observed::Name(name),
    }
}
