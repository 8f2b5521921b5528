//! What the shop did in a minute, as a partition of the entity log sees it.

use super::{Keyed, KeyedTask};
use crate::business::minutes::{Bought, Minutes, Reached};
use crate::engine::outputs::Outputs;
use crate::event::monitor::SHOP;
use crate::event::{ClickCopy, ClickName, Copy, DecisionEvent};
use crate::log::Topic;
use crate::session::operator::{SessionOutput, Standing};
use crate::session::{Facts, record};
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
        for part in task.minutes.close(watermark, self.settings.sessions.allowed_lateness) {
            self.send_about(SHOP, &DecisionEvent::Minute(part), out);
        }
    }
}

/// What a visitor has bought in sessions, before and after a purchase.
#[derive(Debug, Default)]
pub(super) struct Change {
    before: Bought,
    after: Bought,
}

impl Change {
    /// What is known in open sessions before a purchase; nothing before any other event.
    pub(super) fn before(task: &mut KeyedTask, key: EntityKey<'_>, click: &ClickCopy<'_>) -> Option<Change> {
        (click.name == ClickName::Purchase).then(|| {
            let mut change = Change::default();
            task.sessions.get(key).into_iter().for_each(|state| state.add_bought(&mut change.before));
            change
        })
    }

    /// What was known in a session that made room by ending is known afterwards too.
    pub(super) fn came_out(&mut self, output: &SessionOutput) {
        if let SessionOutput::Revision { standing: Standing::FinalEarly, facts, .. } = output {
            record::add_bought(facts, &mut self.after);
        }
    }
}

/// Counts a click, an order or a browser's purchase that was not too late.
pub(super) fn count_click(
    task: &mut KeyedTask,
    key: EntityKey<'_>,
    copy: &Copy<'_>,
    click: &ClickCopy<'_>,
    change: Option<Change>,
) {
    task.minutes.add_click(key.hash, copy.time, click);
    if let Some(Change { before, mut after }) = change {
        task.sessions.get(key).into_iter().for_each(|state| state.add_bought(&mut after));
        let pieces = click.items.iter().map(|item| u64::from(item.quantity)).sum();
        task.minutes.add_purchase(copy.time, &before, &after, pieces);
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
