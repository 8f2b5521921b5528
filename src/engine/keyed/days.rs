//! Baskets to the days of their stores.

use super::{Keyed, KeyedTask, Operator, Place, key_of, late_record};
use crate::business::days::{BasketInput, DayOutput};
use crate::business::record::store_day_record;
use crate::engine::outputs::Outputs;
use crate::event::{BasketCopy, Copy};
use crate::ledger::Disposition;
use crate::log::Topic;
use crate::operator::{Context, KeyedOperator};
use crate::state::keyed::OwnedEntityKey;
use crate::time::EventTime;

impl Keyed {
    pub(super) fn fold_basket(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        basket: &BasketCopy<'_>,
        place: Place<'_>,
        out: &mut Outputs,
    ) -> Disposition {
        let key = key_of(copy);
        let mut cx = Context::new(task.sources.watermark(), &mut task.scratch.day_outputs);
        let input = BasketInput { time: copy.time, basket };
        let disposition = task.days.update(key, |state| self.days.on_event(copy.key, input, state, &mut cx));
        if let Some(timer) = cx.timer() {
            task.timers.set(timer, (Operator::Days, key.hash));
        }
        for output in task.scratch.day_outputs.drain(..) {
            publish_day(copy.key, &output, out);
            task.days_closed_early += u64::from(output.is_closed_early());
            if let DayOutput::Late { over } = output {
                let record = late_record(copy, place, over, None);
                out.publish(Topic::Late, "tillstream.late.v1", copy.key, &record);
            }
        }
        disposition
    }

    pub(super) fn fire_day_timer(
        &self,
        task: &mut KeyedTask,
        key: &OwnedEntityKey,
        watermark: EventTime,
        out: &mut Outputs,
    ) {
        let mut cx = Context::new(Some(watermark), &mut task.scratch.day_outputs);
        task.days.update(key.borrowed(), |state| self.days.on_timer(&key.id, state, &mut cx));
        if let Some(timer) = cx.timer() {
            task.timers.set(timer, (Operator::Days, key.hash));
        }
        for output in task.scratch.day_outputs.drain(..) {
            publish_day(&key.id, &output, out);
        }
    }
}

fn publish_day(store: &str, output: &DayOutput, out: &mut Outputs) {
    if let Some(day) = store_day_record(store, output) {
        out.publish(Topic::BusinessDays, "tillstream.store_day.v1", store, &day);
    }
}
