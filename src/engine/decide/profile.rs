//! What payments, their features and scores look like: profiled as they are decided, sent on window by window.

use super::{Decide, DecideTask};
use crate::drift::profile::{Observed, Profiled};
use crate::engine::outputs::Outputs;
use crate::event::feature_id;
use crate::event::monitor::{AMOUNT, DECISION, FRAUD, MODEL_SCORE, MonitorEvent, SCORE, SHOP};
use crate::event::public::{Action, FraudScore};
use crate::fraud::gather::{OpenGather, OwnedContext};
use std::sync::LazyLock;

/// A text field of a payment.
type TextField = (&'static str, fn(&OwnedContext) -> Option<&str>);
/// Text fields of the payment itself, which may also divide payments into segments.
const TEXTS: [TextField; 6] = [
    ("currency", |payment| Some(&payment.currency)),
    ("channel", |payment| payment.channel.as_deref()),
    ("card_country", |payment| payment.card_country.as_deref()),
    ("ip_country", |payment| payment.ip_country.as_deref()),
    ("billing_country", |payment| payment.billing_country.as_deref()),
    ("shipping_country", |payment| payment.shipping_country.as_deref()),
];

/// Fields of a decision at most.
const FIELDS: usize = 4 + TEXTS.len();

/// The ids of these fields.
struct Ids {
    amount: u32,
    score: u32,
    decision: u32,
    model_score: u32,
    texts: [u32; TEXTS.len()],
}

static IDS: LazyLock<Ids> = LazyLock::new(|| Ids {
    amount: feature_id(AMOUNT),
    score: feature_id(SCORE),
    decision: feature_id(DECISION),
    model_score: feature_id(MODEL_SCORE),
    texts: TEXTS.map(|(name, _)| feature_id(name)),
});

/// The name of a field that is no feature.
fn own_name(id: u32) -> Option<&'static str> {
    let ids = &*IDS;
    let own =
        [(ids.amount, AMOUNT), (ids.score, SCORE), (ids.decision, DECISION), (ids.model_score, MODEL_SCORE)];
    own.into_iter()
        .chain(ids.texts.into_iter().zip(dimensions()))
        .find(|(of, _)| *of == id)
        .map(|(_, name)| name)
}

/// The fields by which payments may be divided.
pub(crate) fn dimensions() -> impl Iterator<Item = &'static str> {
    TEXTS.into_iter().map(|(name, _)| name)
}

/// What was said of a payment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    score: f64,
    decision: Action,
    model_score: Option<f64>,
}

impl Said {
    pub(super) fn of(score: &FraudScore<'_>) -> Said {
        let model_score = score.model.as_ref().map(|model| model.score);
        Said { score: score.score, decision: score.decision, model_score }
    }
}

impl Decide {
    /// Counts a decision in the profile of its window.
    pub(super) fn profile(&self, task: &mut DecideTask, gather: &OpenGather, said: Said) {
        if !self.settings.drift.is_watched {
            return;
        }
        let payment = gather.payment.as_ref();
        let ids = &*IDS;
        let mut values: Vec<(u32, Observed<'_>)> = Vec::with_capacity(gather.features.len() + FIELDS);
        let mut own: Vec<(u32, Observed<'_>)> = Vec::with_capacity(FIELDS);
        if let Some(payment) = payment {
            own.push((ids.amount, Observed::Number(payment.amount_minor as f64)));
            let texts = TEXTS.iter().zip(ids.texts).filter_map(|((_, text), id)| Some((id, text(payment)?)));
            own.extend(texts.map(|(id, text)| (id, Observed::Name(text))));
        }
        own.push((ids.score, Observed::Number(said.score)));
        own.push((ids.decision, Observed::Name(said.decision.name())));
        own.extend(said.model_score.map(|score| (ids.model_score, Observed::Number(score))));
        own.sort_unstable_by_key(|(id, _)| *id);
        let mut own = own.into_iter().peekable();
        for (id, value) in &gather.features {
            values.extend(std::iter::from_fn(|| own.next_if(|(of, _)| of < id)));
            values.push((*id, Observed::Number(*value)));
        }
        values.extend(own);
        let drift = &self.settings.drift;
        let segments = drift.segments.iter().filter_map(|dimension| {
            let (name, text) = TEXTS.iter().find(|(name, _)| name == dimension)?;
            Some((*name, payment.and_then(text)?))
        });
        let segments: Vec<_> = segments.collect();
        let record = Profiled {
            stream: FRAUD,
            time: gather.time,
            values: &values,
            money: payment.map(|payment| (&*payment.currency, payment.amount_minor)),
            segments: &segments,
        };
        match payment.and_then(|payment| payment.channel.as_deref()) {
            Some(channel) => task.volumes.add(&format!("payments channel={channel}"), gather.time),
            None => task.volumes.add("payments", gather.time),
        }
        task.profiler.add(record, drift.window, |id| self.name_of_field(id));
    }

    fn name_of_field(&self, id: u32) -> &str {
        self.settings.plan.name_of_any(id).or_else(|| own_name(id)).unwrap_or("(unknown)")
    }

    /// Sends on the profiles of windows that are over.
    pub(super) fn send_profiles(&self, task: &mut DecideTask, out: &mut Outputs) {
        let Some(watermark) = task.sources.watermark() else { return };
        let drift = &self.settings.drift;
        for profile in task.profiler.close(watermark, drift.window, drift.allowed_lateness) {
            let stream = profile.stream.clone();
            self.send_to_monitor(&stream, &MonitorEvent::Profile(profile), out);
        }
        for volume in task.volumes.close(watermark, drift.allowed_lateness) {
            self.send_to_monitor(SHOP, &MonitorEvent::Volume(volume), out);
        }
    }
}
