//! Joining a decision with what became known about its payment.
//!
//! Key = decision id. Either side may come first: it waits for the other until the horizon ends. The first label of a
//! decision counts; another one that says something more is handed back, the same one again is counted.

use crate::event::monitor::ModelInput;
use crate::event::public::Action;
use crate::event::{Label, LabelOutcome, RawOrigin};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// A decision, or a label, and what it waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Labelling {
    /// A decision that has no label yet.
    Decided {
        /// When the watermark reaches this, none is waited for any longer.
        until: EventTime,
        /// What a joined record says of it.
        decided: Box<Decided>,
    },
    /// A label whose decision has not been made.
    Parked {
        /// As above.
        until: EventTime,
        /// The label.
        label: Box<ParkedLabel>,
    },
    /// Both have come.
    Joined {
        /// When the watermark reaches this, another label is no longer recognised.
        until: EventTime,
        /// The hash of the label's id.
        label: u64,
    },
}

/// What is kept of a decision until its label comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the score record, or the prediction")]
pub struct Decided {
    pub time: EventTime,
    pub amount_minor: Option<i64>,
    pub currency: Option<Box<str>>,
    pub score: f64,
    pub by: DecidedBy,
}

/// Who decided, and what only they know of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the score record, or the prediction")]
pub enum DecidedBy {
    /// The rules, and a model that counts.
    Rules {
        payment_id: Option<Box<str>>,
        decision: Action,
        rules_version: u32,
        model: Option<ModelInput>,
        /// See [`crate::event::monitor::LabelledDecision::behind`].
        behind: Option<u64>,
    },
    /// A model that runs elsewhere.
    Elsewhere {
        model: Box<str>,
        version: Option<Box<str>>,
        prediction_id: Box<str>,
        decision: Option<Box<str>>,
    },
}

/// [`Label`], kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in Label")]
pub struct ParkedLabel {
    pub event_id: Box<str>,
    pub known_at: EventTime,
    pub outcome: LabelOutcome,
    pub source: Box<str>,
    pub origin: RawOrigin,
}

/// Where a label ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LabelEnd {
    /// With its decision.
    Joined,
    /// It is a label that has counted already, or that waits already.
    Repeated,
    /// Its decision has another label: dead letter.
    Second,
    /// No decision came within the horizon: dead letter.
    Expired,
}

impl LabelEnd {
    /// Every end.
    pub const ALL: [LabelEnd; 4] =
        [LabelEnd::Joined, LabelEnd::Repeated, LabelEnd::Second, LabelEnd::Expired];

    /// Its name in metrics, and in the headers of dead letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LabelEnd::Joined => "joined",
            LabelEnd::Repeated => "repeated",
            LabelEnd::Second => "second_label",
            LabelEnd::Expired => "no_decision",
        }
    }
}

/// What a label does.
#[derive(Debug, Clone, PartialEq)]
pub enum Labelled {
    /// It waits for its decision.
    Parked,
    /// This is the decision it is about.
    Joined(Box<Decided>),
    /// It has come before.
    Repeated,
    /// The decision has another label.
    Second,
}

impl Labelling {
    /// When the watermark reaches this, it is forgotten.
    #[must_use]
    pub fn until(&self) -> EventTime {
        match self {
            Labelling::Decided { until, .. }
            | Labelling::Parked { until, .. }
            | Labelling::Joined { until, .. } => *until,
        }
    }

    /// `label` comes to what is known of its decision; a label that has to wait does so until `park_until`.
    pub fn take(slot: &mut Option<Labelling>, label: &Label<'_>, park_until: EventTime) -> Labelled {
        let name = xxh3_64(label.event_id.as_bytes());
        match slot.take() {
            None => {
                let label = Box::new(ParkedLabel::from(label));
                *slot = Some(Labelling::Parked { until: park_until, label });
                Labelled::Parked
            }
            Some(Labelling::Decided { until, decided }) => {
                *slot = Some(Labelling::Joined { until, label: name });
                Labelled::Joined(decided)
            }
            Some(other) => {
                let is_same = match &other {
                    Labelling::Joined { label, .. } => *label == name,
                    Labelling::Parked { label: parked, .. } => *parked.event_id == *label.event_id,
                    Labelling::Decided { .. } => false,
                };
                *slot = Some(other);
                if is_same { Labelled::Repeated } else { Labelled::Second }
            }
        }
    }

    /// The decision is made; it waits until `until` for its label, if that has not come. Returns the label and the decision
    /// if it has.
    pub fn decide(
        slot: &mut Option<Labelling>,
        decided: Decided,
        until: EventTime,
    ) -> Option<(Box<ParkedLabel>, Decided)> {
        match slot.take() {
            Some(Labelling::Parked { label, .. }) => {
                let name = xxh3_64(label.event_id.as_bytes());
                *slot = Some(Labelling::Joined { until, label: name });
                Some((label, decided))
            }
            // the payment was sent again after its tombstone: the decision that has its label keeps it
            Some(joined @ Labelling::Joined { .. }) => {
                *slot = Some(joined);
                None
            }
            _ => {
                *slot = Some(Labelling::Decided { until, decided: Box::new(decided) });
                None
            }
        }
    }
}

impl From<&Label<'_>> for ParkedLabel {
    fn from(label: &Label<'_>) -> ParkedLabel {
        ParkedLabel {
            event_id: label.event_id.into(),
            known_at: label.known_at,
            outcome: label.outcome,
            source: label.source.into(),
            origin: label.origin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DecisionId;

    const UNTIL: EventTime = EventTime(1_000);

    fn label(event_id: &str) -> Label<'_> {
        Label {
            decision: DecisionId(7),
            event_id,
            known_at: EventTime(50),
            outcome: LabelOutcome::Fraud,
            source: "chargeback",
            origin: RawOrigin { partition: 0, offset: 3 },
        }
    }

    fn decided(score: f64) -> Decided {
        Decided {
            time: EventTime(10),
            amount_minor: Some(1_999),
            currency: Some("EUR".into()),
            score,
            by: DecidedBy::Rules {
                payment_id: Some("p".into()),
                decision: Action::Approve,
                rules_version: 1,
                model: None,
                behind: None,
            },
        }
    }

    #[test]
    fn decision_and_label_meet_whichever_comes_first() {
        let mut slot = None;
        assert!(Labelling::decide(&mut slot, decided(0.1), UNTIL).is_none());
        assert_eq!(Labelling::take(&mut slot, &label("a"), UNTIL), Labelled::Joined(Box::new(decided(0.1))));
        let mut slot = None;
        assert_eq!(Labelling::take(&mut slot, &label("a"), UNTIL), Labelled::Parked);
        let (parked, with) = Labelling::decide(&mut slot, decided(0.2), UNTIL).unwrap();
        assert_eq!((&*parked.event_id, with), ("a", decided(0.2)));
        assert!(matches!(slot, Some(Labelling::Joined { .. })));
    }

    #[test]
    fn the_same_label_again_is_a_repetition_and_another_one_a_second() {
        let mut slot = None;
        Labelling::take(&mut slot, &label("a"), UNTIL);
        assert_eq!(Labelling::take(&mut slot, &label("a"), UNTIL), Labelled::Repeated);
        assert_eq!(Labelling::take(&mut slot, &label("b"), UNTIL), Labelled::Second);
        assert!(Labelling::decide(&mut slot, decided(0.2), UNTIL).is_some());
        assert_eq!(Labelling::take(&mut slot, &label("a"), UNTIL), Labelled::Repeated);
        assert_eq!(Labelling::take(&mut slot, &label("b"), UNTIL), Labelled::Second);
    }

    #[test]
    fn a_payment_that_is_decided_again_keeps_the_label_it_has() {
        let mut slot = None;
        Labelling::decide(&mut slot, decided(0.1), UNTIL);
        Labelling::take(&mut slot, &label("a"), UNTIL);
        assert!(Labelling::decide(&mut slot, decided(0.3), UNTIL).is_none());
        assert_eq!(Labelling::take(&mut slot, &label("a"), UNTIL), Labelled::Repeated);
    }
}
