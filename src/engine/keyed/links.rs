//! Events of nobody known, to the customer whom their entity is linked to; and purchases at a till, to the customer's visitor.

use super::{Keyed, KeyedTask, Operator, key_of};
use crate::engine::outputs::Outputs;
use crate::event::{
    Body, ClickCopy, Copy, EntityKind, EntitySet, FieldId, Forwarded, PaymentCopy, Source, Value, key_hash,
};
use crate::ledger::Disposition;
use crate::link::Links;
use crate::log::{Headers, LogRecord, Topic};
use crate::operator::Context;
use crate::session::operator::{ClickInput, Teller};
use crate::state::keyed::OwnedEntityKey;
use crate::time::EventTime;

impl Keyed {
    /// A customer has logged in at this entity, or this one somewhere. No login is ever too late.
    pub(super) fn fold_link(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        add: impl FnOnce(&mut Links),
    ) -> Disposition {
        let key = key_of(copy);
        let timer = task.links.update(key, |links| {
            let links = links.get_or_insert_default();
            add(links);
            links.arm(self.settings.links)
        });
        if let Some(timer) = timer {
            task.timers.set(timer, (Operator::Links, key.hash));
        }
        Disposition::folded(copy.time, task.sources.watermark())
    }

    /// An event that names no customer counts for the one whom its entity is linked to.
    pub(super) fn fold_for_linked(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        (source, values): (Source, &[(FieldId, Value)]),
        out: &mut Outputs,
    ) -> Disposition {
        if let Some(customer) = self.linked_customer(task, copy) {
            let to = (EntityKind::Customer, &*customer);
            self.forward(task, copy, to, Body::Values(source, values.to_vec()), out);
        }
        Disposition::folded(copy.time, task.sources.watermark())
    }

    /// A payment that names no customer goes on to the one whom its own entity is linked to, who owes a part then. Returns who
    /// owes one.
    pub(super) fn forward_payment(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        payment: &PaymentCopy<'_>,
        out: &mut Outputs,
    ) -> EntitySet {
        let Some(values) = &payment.for_linked else { return payment.expected };
        let Some(customer) = self.linked_customer(task, copy) else { return payment.expected };
        let expected = payment.expected.with(EntityKind::Customer);
        let body = PaymentCopy {
            payment_id: payment.payment_id,
            expected,
            values: values.clone(),
            for_linked: None,
            context: None,
        };
        self.forward(task, copy, (EntityKind::Customer, &customer), Body::Payment(body), out);
        expected
    }

    /// A payment that came to a loyalty number by way of a card is its customer's, if the number is linked to one. Returns whether
    /// it went on.
    pub(super) fn pass_on_payment(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        payment: &PaymentCopy<'_>,
        out: &mut Outputs,
    ) -> bool {
        let customer = self.linked_customer(task, copy);
        if let Some(customer) = &customer {
            let body = Body::Payment(payment.clone());
            self.forward(task, copy, (EntityKind::Customer, customer), body, out);
        }
        customer.is_some()
    }

    /// A purchase at a till goes on to the customer whose card or number it names, from there to the visitor as whom that customer
    /// logged in last, and joins the session there that it falls in, if the visitor is that customer's at that time.
    pub(super) fn fold_at_till(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        purchase: &ClickCopy<'_>,
        out: &mut Outputs,
    ) -> Disposition {
        let is_of_number = copy.kind == EntityKind::Customer;
        if copy.kind == EntityKind::Visitor {
            self.join_session(task, copy, purchase, out);
        } else if let Some(visitor) = self.linked_visitor(task, copy) {
            let purchase = ClickCopy { customer: Some(copy.key), ..purchase.clone() };
            self.forward(task, copy, (EntityKind::Visitor, &visitor), Body::AtTill(purchase), out);
        } else if let Some(customer) =
            self.linked_customer(task, copy).filter(|_| purchase.customer.is_none())
        {
            let known = is_of_number.then_some(&*customer);
            let body = Body::AtTill(ClickCopy { customer: known, ..purchase.clone() });
            self.forward(task, copy, (EntityKind::Customer, &customer), body, out);
        }
        Disposition::folded(copy.time, task.sources.watermark())
    }

    fn join_session(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        purchase: &ClickCopy<'_>,
        out: &mut Outputs,
    ) {
        if self.linked_customer(task, copy).as_deref() != purchase.customer {
            return;
        }
        let key = key_of(copy);
        let mut cx = Context::new(task.sources.watermark(), &mut task.scratch.session_outputs);
        let told_by = Teller::Till;
        let input = ClickInput { time: copy.time, event_id: copy.event_id, told_by, click: purchase };
        let joined =
            task.sessions.update(key, |state| self.sessions.join_from_till(copy.key, input, state, &mut cx));
        if let Some(timer) = cx.timer() {
            task.timers.set(timer, (Operator::Sessions, key.hash));
        }
        for output in task.scratch.session_outputs.drain(..) {
            self.hand_out(&mut task.minutes, copy.key, &output, out);
        }
        if joined {
            task.scratch.touched.insert(key);
        }
    }

    fn linked_visitor(&self, task: &mut KeyedTask, copy: &Copy<'_>) -> Option<Box<str>> {
        let links = task.links.get(key_of(copy))?;
        links.visitor(copy.time, self.settings.links).map(Into::into)
    }

    fn linked_customer(&self, task: &mut KeyedTask, copy: &Copy<'_>) -> Option<Box<str>> {
        let links = task.links.get(key_of(copy))?;
        links.customer(copy.time, self.settings.links).map(Into::into)
    }

    fn forward(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        (kind, to): (EntityKind, &str),
        body: Body<'_>,
        out: &mut Outputs,
    ) {
        let forwarded = Forwarded {
            fold: self.fold.0,
            from: copy.kind,
            copy: Copy { kind, hash: key_hash(kind, to), key: to, producer: None, body, ..*copy },
        };
        task.forwarded += 1;
        out.publish_verbatim(Topic::Linked, |id| LogRecord {
            key: Some(to.as_bytes().to_vec()),
            value: Some(postcard::to_stdvec(&forwarded).expect("a copy holds nothing that postcard refuses")),
            headers: Headers::Verbatim(vec![("ce_id".to_owned(), id.to_string().into_bytes())]),
            timestamp_ms: None,
        });
    }

    /// Forgets the logins that no event is linked by any more.
    pub(super) fn forget_links(&self, task: &mut KeyedTask, key: &OwnedEntityKey, watermark: EventTime) {
        let timer = task.links.update(key.borrowed(), |slot| {
            let timer = slot.as_mut()?.forget(watermark, self.settings.links);
            if timer.is_none() {
                *slot = None;
            }
            timer
        });
        if let Some(timer) = timer {
            task.timers.set(timer, (Operator::Links, key.hash));
        }
    }
}
