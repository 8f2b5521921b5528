//! The values that rules read for one payment.

use super::names::{PaymentField, Variable};
use crate::condition::{Known, Slots, Values};
use crate::event::PaymentContext;
use crate::time::EventTime;

/// What is known of a payment when it is decided.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Feature number and value, in rising order of the numbers, each once. A value that is not
    /// finite counts as missing: rules could not order by it, and JSON could not say it.
    pub features: &'a [(u32, f64)],
    /// When it was attempted.
    pub time: EventTime,
    /// The payment itself; absent if its own part has not come.
    pub context: Option<&'a PaymentContext<'a>>,
}

impl<'a> Inputs<'a> {
    /// The value of `variable`, if it has one.
    pub(super) fn known(&self, variable: Variable) -> Option<Known<'a>> {
        match variable {
            Variable::Feature(id) => self.feature(id).map(Known::Number),
            Variable::Field(PaymentField::AmountMinor) => self.amount().map(Known::Number),
            Variable::Field(PaymentField::HourUtc) => Some(Known::Number(f64::from(self.time.hour()))),
            Variable::Field(PaymentField::WeekdayUtc) => Some(Known::Number(f64::from(self.time.weekday()))),
            Variable::Field(field) => self.text(field).map(Known::Text),
        }
    }

    /// The value of each slot.
    pub(super) fn values(&self, slots: &Slots<Variable>) -> Values<'a> {
        debug_assert!(self.features.is_sorted_by(|one, other| one.0 < other.0), "features are in order");
        Values::new(slots.variables().map(|variable| self.known(variable)))
    }

    /// The value of `variable` in a reason; `null` if it is missing.
    pub(super) fn json(&self, variable: Variable) -> serde_json::Value {
        match variable {
            Variable::Feature(id) => self.feature(id).into(),
            // Exact and without a fraction, as in the field of the score record.
            Variable::Field(PaymentField::AmountMinor) => {
                self.context.map(|context| context.amount_minor).into()
            }
            Variable::Field(PaymentField::HourUtc) => self.time.hour().into(),
            Variable::Field(PaymentField::WeekdayUtc) => self.time.weekday().into(),
            Variable::Field(field) => self.text(field).into(),
        }
    }

    fn feature(&self, id: u32) -> Option<f64> {
        let found = self.features.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.features.get(found).map(|(_, value)| *value).filter(|value| value.is_finite())
    }

    /// All numbers of a rule are doubles: above 2^53 minor units the amount is rounded.
    fn amount(&self) -> Option<f64> {
        self.context.map(|context| context.amount_minor as f64)
    }

    fn text(&self, field: PaymentField) -> Option<&'a str> {
        let context = self.context?;
        match field {
            PaymentField::AmountMinor | PaymentField::HourUtc | PaymentField::WeekdayUtc => None,
            PaymentField::Currency => Some(context.currency),
            PaymentField::Channel => context.channel,
            PaymentField::CardCountry => context.card_country,
            PaymentField::IpCountry => context.ip_country,
            PaymentField::BillingCountry => context.billing_country,
            PaymentField::ShippingCountry => context.shipping_country,
        }
    }
}
