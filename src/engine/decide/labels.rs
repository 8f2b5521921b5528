//! Decisions, or predictions, and their labels: each waits for the other until the horizon ends.

use super::{Decide, DecideTask, publish_dead_letter};
use crate::engine::outputs::Outputs;
use crate::event::monitor::{FRAUD, LabelledDecision, MonitorEvent};
use crate::event::public::{LabelledPrediction, LabelledScore, UnmatchedLabel};
use crate::event::{DecisionId, Label};
use crate::fraud::label::{Decided, DecidedBy, LabelEnd, Labelled, Labelling, ParkedLabel};
use crate::ingest::dead_letter::Why;
use crate::log::Topic;
use std::borrow::Cow;
#[cfg(test)]
use std::collections::BTreeMap;

impl Decide {
    /// A label comes: to its decision, or to wait for it.
    pub(super) fn fold_label(&self, task: &mut DecideTask, label: &Label<'_>, out: &mut Outputs) {
        let park_until = task.sources.now(label.known_at).plus(self.settings.label_horizon);
        let labelled = task.labelling.update(label.decision, |slot| Labelling::take(slot, label, park_until));
        match labelled {
            Labelled::Parked => {
                task.parked_labels += 1;
                task.label_ends.set(park_until, label.decision);
            }
            Labelled::Joined(decided) => {
                task.unlabelled -= 1;
                task.count(LabelEnd::Joined);
                self.publish_labelled(label.decision, *decided, &ParkedLabel::from(label), out);
            }
            Labelled::Repeated => task.count(LabelEnd::Repeated),
            Labelled::Second => {
                task.count(LabelEnd::Second);
                hand_back(label.decision, &ParkedLabel::from(label), LabelEnd::Second, out);
            }
        }
    }

    /// A decision is made: its label is here, or waited for.
    pub(super) fn await_label(
        &self,
        task: &mut DecideTask,
        decision: DecisionId,
        decided: Decided,
        out: &mut Outputs,
    ) {
        let until = task.sources.now(decided.time).plus(self.settings.label_horizon);
        let mut begins_to_wait = false;
        let joined = task.labelling.update(decision, |slot| {
            let waited = matches!(slot, Some(Labelling::Decided { .. }));
            let joined = Labelling::decide(slot, decided, until);
            begins_to_wait = !waited && matches!(slot, Some(Labelling::Decided { .. }));
            joined
        });
        task.label_ends.set(until, decision);
        task.unlabelled += u64::from(begins_to_wait);
        if let Some((label, decided)) = joined {
            task.parked_labels -= 1;
            task.count(LabelEnd::Joined);
            self.publish_labelled(decision, decided, &label, out);
        }
    }

    /// Forgets what has waited long enough. A label without a decision is handed back.
    pub(super) fn end_labelling(&self, task: &mut DecideTask, out: &mut Outputs) {
        let Some(watermark) = task.sources.watermark() else { return };
        while let Some((at, decision)) = task.label_ends.due(watermark) {
            let ended = task.labelling.update(decision, |slot| slot.take_if(|waiting| waiting.until() == at));
            match ended {
                Some(Labelling::Parked { label, .. }) => {
                    task.parked_labels -= 1;
                    task.count(LabelEnd::Expired);
                    hand_back(decision, &label, LabelEnd::Expired, out);
                }
                Some(Labelling::Decided { .. }) => task.unlabelled -= 1,
                Some(Labelling::Joined { .. }) | None => {}
            }
        }
    }

    /// Publishes a decision with its label, and tells whoever watches the scores.
    fn publish_labelled(
        &self,
        decision: DecisionId,
        decided: Decided,
        label: &ParkedLabel,
        out: &mut Outputs,
    ) {
        let Decided { time, amount_minor, score, .. } = decided;
        let currency = decided.currency.as_deref().map(Cow::Borrowed);
        let (outcome, known_at) = (label.outcome, label.known_at);
        let (source, label_id) = (Cow::Borrowed(&*label.source), Cow::Borrowed(&*label.event_id));
        let (of, action, input, behind) = match &decided.by {
            DecidedBy::Rules { payment_id, decision: action, rules_version, model, behind } => {
                let record = LabelledScore {
                    decision_id: Cow::Owned(decision.to_string()),
                    payment_id: payment_id.as_deref().map(Cow::Borrowed),
                    event_time_ms: time,
                    amount_minor,
                    currency: currency.clone(),
                    score,
                    decision: *action,
                    rules_version: *rules_version,
                    outcome,
                    known_at_ms: known_at,
                    source,
                    label_id,
                };
                let key = &record.decision_id;
                out.publish(Topic::LabelledFraud, "tillstream.labelled_score.v1", key, &record);
                (FRAUD, Some(*action), model.clone(), *behind)
            }
            DecidedBy::Elsewhere { model, version, prediction_id, decision: action } => {
                let record = LabelledPrediction {
                    model: Cow::Borrowed(model),
                    version: version.as_deref().map(Cow::Borrowed),
                    prediction_id: Cow::Borrowed(prediction_id),
                    event_time_ms: time,
                    amount_minor,
                    currency: currency.clone(),
                    score,
                    decision: action.as_deref().map(Cow::Borrowed),
                    outcome,
                    known_at_ms: known_at,
                    source,
                    label_id,
                };
                let ty = "tillstream.labelled_prediction.v1";
                out.publish(Topic::LabelledPredictions, ty, prediction_id, &record);
                (&**model, None, None, None)
            }
        };
        let event = MonitorEvent::Labelled(LabelledDecision {
            of: Cow::Borrowed(of),
            time,
            score,
            decision: action,
            amount_minor,
            currency: currency.clone(),
            outcome,
            known_at,
            model: input,
            behind,
        });
        self.send_to_monitor(of, &event, out);
    }
}

impl DecideTask {
    fn count(&mut self, end: LabelEnd) {
        *self.labels.entry(end).or_default() += 1;
    }

    /// Whether the same labels and decisions wait in both, each with its timer.
    #[cfg(test)]
    pub(super) fn has_the_same_labels(&self, other: &DecideTask) -> bool {
        let waiting = |task: &DecideTask| task.labelling.iter().collect::<BTreeMap<_, _>>();
        let has_its_timers = |task: &DecideTask| {
            task.labelling.iter().all(|(decision, waiting)| task.label_ends.holds(waiting.until(), &decision))
        };
        waiting(self) == waiting(other)
            && self.labels == other.labels
            && (self.parked_labels, self.unlabelled) == (other.parked_labels, other.unlabelled)
            && has_its_timers(self)
            && has_its_timers(other)
    }
}

/// A dead letter: what is known of the label here, and where the record stands.
fn hand_back(decision: DecisionId, label: &ParkedLabel, end: LabelEnd, out: &mut Outputs) {
    let message = match end {
        LabelEnd::Second => "the decision has another label",
        _ => "no decision was made within the horizon (labels.horizon)",
    };
    let why = Why { reason: end.name(), path: "$", message };
    let record = UnmatchedLabel {
        decision_id: Cow::Owned(decision.to_string()),
        label_id: Cow::Borrowed(&label.event_id),
        known_at_ms: label.known_at,
        outcome: label.outcome,
        source: Cow::Borrowed(&label.source),
    };
    let json = serde_json::to_vec(&record).expect("a public record serialises");
    publish_dead_letter((Topic::Labels, label.origin), why, (record.decision_id.as_bytes(), json), out);
}
