//! What the shop did in a minute, as a partition of the entity log sees it.

use super::{Keyed, KeyedTask};
use crate::business::minutes::{Bought, Minutes, Reached};
use crate::engine::outputs::Outputs;
use crate::event::entity::partition_of;
use crate::event::monitor::{BUSINESS, monitor_hash};
use crate::event::{ClickCopy, ClickName, Copy, DecisionEvent};
use crate::log::Topic;
use crate::session::operator::{SessionOutput, Standing};
use crate::session::{Facts, VisitorState, record};
use crate::state::EntityKey;

impl Keyed {
    /// Publishes what came out for a visitor, and counts a session that has ended in the minute in which its gap had passed.
    pub(super) fn hand_out(
        &self,
        minutes: &mut Minutes,
        visitor: &str,
        output: &SessionOutput,
        out: &mut Outputs,
    ) {
        if let Some(session) = record::session_record(visitor, output) {
            out.publish(Topic::Sessions, "tillstream.session.v1", visitor, &session);
        }
        if let SessionOutput::Revision {
            standing: Standing::Final | Standing::FinalEarly, end, facts, ..
        } = output
        {
            minutes.add_ended(end.plus(self.settings.sessions.gap), reached(facts));
        }
    }

    /// Sends on what the shop did in the minutes that are over.
    pub(super) fn send_minutes(&self, task: &mut KeyedTask, out: &mut Outputs) {
        let Some(watermark) = task.sources.watermark() else { return };
        let partition = partition_of(monitor_hash(BUSINESS), self.topology.partitions(Topic::Decision));
        for part in task.minutes.close(watermark, self.settings.sessions.allowed_lateness) {
            out.event(partition, &DecisionEvent::Minute(part));
        }
    }
}

/// What a visitor has bought in open sessions, before and after an event that may change it; nothing for any other.
pub(super) fn bought(task: &mut KeyedTask, key: EntityKey<'_>, click: &ClickCopy<'_>) -> Option<Bought> {
    (click.name == ClickName::Purchase)
        .then(|| task.sessions.get(key).map(VisitorState::bought).unwrap_or_default())
}

/// Counts a click, an order or a browser's purchase that was not too late.
pub(super) fn count_click(
    task: &mut KeyedTask,
    key: EntityKey<'_>,
    copy: &Copy<'_>,
    click: &ClickCopy<'_>,
    before: Option<&Bought>,
) {
    task.minutes.add_click(key.hash, copy.time, click);
    if let Some(before) = before {
        let after = task.sessions.get(key).map(VisitorState::bought).unwrap_or_default();
        let pieces = click.items.iter().map(|item| u64::from(item.quantity)).sum();
        task.minutes.add_purchase(copy.time, before, &after, pieces);
    }
}

fn reached(facts: &Facts) -> Reached {
    let counts = facts.counts;
    Reached {
        viewed: counts.item_views > 0,
        carted: counts.cart_adds > 0,
        checked_out: counts.checkouts > 0,
        purchased: record::purchases(facts) > 0,
    }
}
