//! Orders: what becomes of an online purchase, from its being placed to its return.

use super::RawTopic;
use super::catalogue::Line;
use super::change::Part;
use super::payment::Payment;
use super::person::Person;
use super::stage::{Shop, Stage};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Orders that are cancelled before they are shipped, in a thousand.
const CANCELLED_PER_MILLE: u64 = 30;

/// Shipped orders that come back, in a thousand.
const RETURNED_PER_MILLE: u64 = 80;

/// An order that was paid for on the way through the checkout.
#[derive(Debug)]
pub(super) struct Order {
    next: Step,
    person: Person,
    signed_in: bool,
    payment: Payment,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Placed,
    Paid,
    Shipped,
    Cancelled,
    Returned,
    Refunded,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Placed => "order_placed",
            Step::Paid => "order_paid",
            Step::Shipped => "order_shipped",
            Step::Cancelled => "order_cancelled",
            Step::Returned => "order_returned",
            Step::Refunded => "order_refunded",
        }
    }
}

impl Order {
    /// The order of a purchase: its id is the transaction id of the purchase's click.
    pub(super) fn new(person: Person, signed_in: bool, payment: Payment, lines: Vec<Line>) -> Order {
        Order { next: Step::Placed, person, signed_in, payment, lines }
    }

    /// Of which part of the traffic it is.
    pub(super) fn part(&self) -> Part {
        Part { country: Some(self.person.country), payment: Some(self.payment.number), ..Part::ONLINE }
    }

    /// Writes the record of this step. Returns after how many milliseconds the next step follows, if any.
    pub(super) fn act(&mut self, stage: &mut Stage<'_>) -> Option<i64> {
        let step = self.next;
        self.write(step, stage);
        let random = &mut *stage.random;
        let (next, pause_ms) = match step {
            Step::Placed => (Step::Paid, random.between(500, 5_000)),
            Step::Paid if random.per_mille(CANCELLED_PER_MILLE) => {
                (Step::Cancelled, random.between(5 * MINUTE_MS, HOUR_MS))
            }
            Step::Paid => (Step::Shipped, random.between(2 * HOUR_MS, 24 * HOUR_MS)),
            Step::Shipped if random.per_mille(RETURNED_PER_MILLE) => {
                (Step::Returned, random.between(24 * HOUR_MS, 96 * HOUR_MS))
            }
            Step::Cancelled | Step::Returned => (Step::Refunded, random.between(MINUTE_MS, HOUR_MS)),
            Step::Shipped | Step::Refunded => return None,
        };
        self.next = next;
        Some(pause_ms)
    }

    fn write(&self, step: Step, stage: &mut Stage<'_>) {
        let key = &mut stage.draft.key;
        key.raw(if self.signed_in { "c-" } else { "v-" }).padded(self.person.number, 6);
        let json = stage.open_on(RawTopic::Orders, step.name());
        json.raw(",\"order_id\":\"t-").padded(self.payment.number, 8);
        json.raw("\",\"visitor_id\":\"v-").padded(self.person.number, 6).raw("\"");
        if self.signed_in {
            json.raw(",\"customer_id\":\"c-").padded(self.person.number, 6).raw("\"");
        }
        json.raw(",\"channel\":\"online\",\"currency\":\"").raw(self.payment.tariff.currency.code());
        json.raw("\",\"value_minor\":").number(self.payment.amount_minor);
        stage.paid_with(self.payment.number, self.payment.card);
        self.items(step, stage.shop, stage);
        stage.draft.value.raw("}");
    }

    /// Appends the items, where the step is about them.
    fn items(&self, step: Step, shop: &Shop, stage: &mut Stage<'_>) {
        if matches!(step, Step::Paid | Step::Refunded) {
            return;
        }
        let (json, tariff) = (&mut stage.draft.value, self.payment.tariff);
        shop.catalogue.write_lines(&self.lines, tariff, |item| &item.sold, json);
    }
}
