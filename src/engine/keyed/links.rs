//! Events of nobody known, to the customer whom their entity is linked to.

use super::{Keyed, KeyedTask, Operator, key_of};
use crate::engine::outputs::Outputs;
use crate::event::{
    Body, Copy, EntityKind, EntitySet, FieldId, Forwarded, PaymentCopy, Source, Value, key_hash,
};
use crate::ledger::Disposition;
use crate::log::{Headers, LogRecord, Topic};
use crate::state::keyed::OwnedEntityKey;
use crate::time::EventTime;

impl Keyed {
    /// A customer has logged in at this entity. No login is ever too late.
    pub(super) fn fold_link(&self, task: &mut KeyedTask, copy: &Copy<'_>, customer: &str) -> Disposition {
        let key = key_of(copy);
        let timer = task.links.update(key, |links| {
            let links = links.get_or_insert_default();
            links.add(customer, copy.time);
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
            self.forward(task, copy, &customer, Body::Values(source, values.to_vec()), out);
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
        self.forward(task, copy, &customer, Body::Payment(body), out);
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
            self.forward(task, copy, customer, Body::Payment(payment.clone()), out);
        }
        customer.is_some()
    }

    fn linked_customer(&self, task: &mut KeyedTask, copy: &Copy<'_>) -> Option<Box<str>> {
        let links = task.links.get(key_of(copy))?;
        links.customer(copy.time, self.settings.links).map(Into::into)
    }

    fn forward(
        &self,
        task: &mut KeyedTask,
        copy: &Copy<'_>,
        customer: &str,
        body: Body<'_>,
        out: &mut Outputs,
    ) {
        let kind = EntityKind::Customer;
        let forwarded = Forwarded {
            fold: self.fold.0,
            from: copy.kind,
            copy: Copy { kind, hash: key_hash(kind, customer), key: customer, body, ..*copy },
        };
        task.forwarded += 1;
        out.publish_verbatim(Topic::Linked, |id| LogRecord {
            key: Some(customer.as_bytes().to_vec()),
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
