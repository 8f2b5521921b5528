//! What a group keeps of one key: folding its events, answering for payments.
//!
//! The key is one entity, the group one source of its events. An event moves `newest`, is kept if it
//! is within the retention, and lets go of what no longer is. Memory is bounded by
//! [`Group::memory`]; the owner forgets the key when its watermark reaches [`GroupState::forget_at`].

use super::buckets::{Added, Buckets, Own};
use super::ends::Ends;
use super::group::Group;
use super::ring::Ring;
use super::row::{Event, Row};
use super::sweep::{Answers, Sweep};
use crate::event::Source;
use crate::event::{FieldId, Value};
use crate::time::{EventTime, millis};
use serde::{Deserialize, Serialize};

/// What a group keeps of one key.
///
/// It means something only under the plan it was folded with: a checkpoint must name its plan.
/// Equal histories give equal states and equal bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    /// The highest event time folded; none before the first event.
    newest: Option<EventTime>,
    /// None before the first event, and where nothing of it is asked.
    ends: Option<Box<Ends>>,
    kept: Kept,
}

/// The events, or what is left of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kept {
    /// A small key: exact.
    Ring(Ring),
    /// A large key, for the rest of its life, and every key of clicks.
    Buckets(Box<Buckets>),
}

impl GroupState {
    /// A key without events, which is also what answers for a key that is not known.
    #[must_use]
    pub fn new(group: &Group) -> GroupState {
        let kept = match group.source() {
            Source::Click => Kept::Buckets(Box::default()),
            _ => Kept::Ring(Ring::default()),
        };
        GroupState { newest: None, ends: None, kept }
    }

    /// Folds an event. Of `values`, those that the group does not read are passed over.
    pub fn fold(&mut self, group: &Group, time: EventTime, values: &[(FieldId, Value)]) {
        self.fold_event(group, Row::new(group.layout(), time, values).event());
    }

    /// Appends every feature of the group that has a value at `at`, by number, and the error of those
    /// that are estimates. For a payment that is not an event of this group.
    pub fn evaluate(
        &self,
        group: &Group,
        at: EventTime,
        out: &mut Vec<(u32, f64)>,
        estimates: &mut Vec<(u32, f64)>,
    ) {
        let mut answers = Answers { values: out, estimates };
        self.without_window(group, at, &mut answers);
        let from = answers.values.len();
        self.answer(group, group.before(), at, None, &mut answers);
        compare(group, None, from, &mut answers);
        self.answer(group, group.after(), at, None, &mut answers);
    }

    /// Folds a payment attempt and appends what the group says of it, as [`GroupState::evaluate`]:
    /// features that leave it out as they stood before it, the others with it, however old it is.
    pub fn fold_and_evaluate(
        &mut self,
        group: &Group,
        time: EventTime,
        values: &[(FieldId, Value)],
        out: &mut Vec<(u32, f64)>,
        estimates: &mut Vec<(u32, f64)>,
    ) {
        let mut answers = Answers { values: out, estimates };
        let row = Row::new(group.layout(), time, values);
        self.without_window(group, time, &mut answers);
        let from = answers.values.len();
        self.answer(group, group.before(), time, None, &mut answers);
        compare(group, Some(row.event()), from, &mut answers);
        let own = match self.fold_event(group, row.event()) {
            Added::Everywhere => None,
            Added::NotEverywhere => self.newest.map(|newest| Own { event: row.event(), newest }),
        };
        self.answer(group, group.after(), time, own, &mut answers);
    }

    /// The watermark at which the key is forgotten: `newest` + R. At once if nothing was folded.
    #[must_use]
    pub fn forget_at(&self, group: &Group) -> EventTime {
        let after = |newest: EventTime| EventTime(newest.0.saturating_add(millis(group.retention())));
        self.newest.map_or(EventTime(i64::MIN), after)
    }

    /// The highest event time folded; none before the first event.
    #[must_use]
    pub fn newest(&self) -> Option<EventTime> {
        self.newest
    }

    /// Whether its values come from buckets and samples.
    #[must_use]
    pub fn is_large(&self) -> bool {
        matches!(self.kept, Kept::Buckets(_))
    }

    /// Steps 1 to 4 of `docs/features.md`.
    fn fold_event(&mut self, group: &Group, event: Event<'_>) -> Added {
        let newest = self.newest.map_or(event.time, |newest| newest.max(event.time));
        self.newest = Some(newest);
        if group.asks_ends() {
            Ends::fold(&mut self.ends, group.layout(), event);
        }
        // Dropping before inserting keeps the same events, and never wants room for one too many. What
        // is beyond the retention goes into no bucket either, even one that reaches into it.
        self.kept.drop_old(group, newest);
        if event.time <= group.horizon(newest) {
            return Added::NotEverywhere;
        }
        self.kept.insert(group, event, newest)
    }

    /// What is asked of all that was before the payment at `at`: the times since the newest and the oldest event, and last
    /// values.
    fn without_window(&self, group: &Group, at: EventTime, answers: &mut Answers<'_>) {
        let Some(newest) = self.newest else { return };
        let seconds = at.since(newest).max(0) as f64 / 1000.0;
        answers.values.extend(group.since_last().iter().map(|id| (*id, seconds)));
        let Some(ends) = &self.ends else { return };
        let seconds = ends.seconds_since_first(at);
        answers.values.extend(group.since_first().iter().map(|id| (*id, seconds)));
        let last = |(id, place): &(u32, usize)| Some((*id, ends.last(*place, at)?));
        answers.values.extend(group.lasts().iter().filter_map(last));
    }

    /// Answers passes; `own` is the payment at `at` if it is to count and is not held everywhere.
    fn answer(
        &self,
        group: &Group,
        sweeps: &[Sweep],
        at: EventTime,
        own: Option<Own<'_>>,
        answers: &mut Answers<'_>,
    ) {
        let width = group.layout().width();
        match (&self.kept, own) {
            (Kept::Buckets(buckets), own) => {
                sweeps.iter().for_each(|sweep| buckets.answer(sweep, at, own, answers));
            }
            (Kept::Ring(ring), None) => {
                sweeps.iter().for_each(|sweep| ring.answer(sweep, at, width, answers));
            }
            // All that the ring holds is later than a payment that is beyond its retention.
            (Kept::Ring(_), Some(own)) => {
                let alone = Ring::of(own.event);
                sweeps.iter().for_each(|sweep| alone.answer(sweep, at, width, answers));
            }
        }
    }
}

impl Kept {
    fn drop_old(&mut self, group: &Group, newest: EventTime) {
        match self {
            Kept::Ring(ring) => ring.drop_through(group.horizon(newest), group.layout().width()),
            Kept::Buckets(buckets) => buckets.drop_old(group.layout(), newest),
        }
    }

    fn insert(&mut self, group: &Group, event: Event<'_>, newest: EventTime) -> Added {
        if let Kept::Ring(ring) = self
            && ring.is_full()
        {
            *self = Kept::Buckets(Box::new(bucketed(ring, group, newest)));
        }
        match self {
            Kept::Ring(ring) => {
                ring.insert(event);
                Added::Everywhere
            }
            Kept::Buckets(buckets) => buckets.add(group, event, newest),
        }
    }
}

/// Of the values from place `from` on, the means that a payment is compared with become what it is by them; without a payment
/// of this group, one that has the number, there is nothing to compare.
fn compare(group: &Group, own: Option<Event<'_>>, from: usize, answers: &mut Answers<'_>) {
    if group.ratios().is_empty() {
        return;
    }
    let ratio = |(id, mean): (u32, f64)| {
        let Some((_, slot)) = group.ratios().iter().find(|(known, _)| *known == id) else {
            return Some((id, mean));
        };
        let ratio = f64::from_bits(own?.word(*slot)?) / mean;
        ratio.is_finite().then_some((id, ratio))
    };
    let answered = answers.values.split_off(from.min(answers.values.len()));
    answers.values.extend(answered.into_iter().filter_map(ratio));
    let known = &answers.values;
    answers.estimates.retain(|(id, _)| known.iter().any(|(answered, _)| answered == id));
}

/// The events of a ring in buckets, each in the series that still want it.
fn bucketed(ring: &Ring, group: &Group, newest: EventTime) -> Buckets {
    let mut buckets = Buckets::default();
    for event in ring.events(group.layout().width()) {
        buckets.add(group, event, newest);
    }
    buckets
}
