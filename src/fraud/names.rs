//! What a rule may read: the declared features, and the payment's own fields.

use super::nearest::nearest;
use std::collections::BTreeMap;

/// Something a rule reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    /// A feature, by its number; a double.
    Feature(u32),
    /// A field of the payment itself.
    Field(PaymentField),
}

/// A field of the payment itself: the amount is a number, all others are texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PaymentField {
    AmountMinor,
    Currency,
    Channel,
    CardCountry,
    IpCountry,
    BillingCountry,
    ShippingCountry,
}

impl PaymentField {
    /// Every field with its name in a rule.
    pub(super) const ALL: [(&'static str, PaymentField); 7] = [
        ("amount_minor", PaymentField::AmountMinor),
        ("currency", PaymentField::Currency),
        ("channel", PaymentField::Channel),
        ("card_country", PaymentField::CardCountry),
        ("ip_country", PaymentField::IpCountry),
        ("billing_country", PaymentField::BillingCountry),
        ("shipping_country", PaymentField::ShippingCountry),
    ];
}

impl Variable {
    /// Whether its values are texts, not numbers.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Variable::Field(field) if field != PaymentField::AmountMinor)
    }
}

/// The names that rules may use.
#[derive(Debug)]
pub(super) struct Names<'n>(BTreeMap<&'n str, Variable>);

impl<'n> Names<'n> {
    /// The payment's fields and `features`, given by flat name and number. Flat names hold `__` and
    /// so never meet the name of a field; if one did, the field would win.
    pub(super) fn new(features: &'n [(String, u32)]) -> Names<'n> {
        let features = features.iter().map(|(name, id)| (name.as_str(), Variable::Feature(*id)));
        let fields = PaymentField::ALL.map(|(name, field)| (name, Variable::Field(field)));
        Names(features.chain(fields).collect())
    }

    /// What `name` stands for.
    pub(super) fn find(&self, name: &str) -> Option<Variable> {
        self.0.get(name).copied()
    }

    /// `; nearest: ..` if there are names like `name`, else nothing.
    pub(super) fn suggestion(&self, name: &str) -> String {
        let near = nearest(name, self.0.keys().copied());
        if near.is_empty() { String::new() } else { format!("; nearest: `{}`", near.join("`, `")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_and_payment_fields_are_found_by_name() {
        let features = [("card_velocity__count_1h".to_string(), 7)];
        let names = Names::new(&features);
        assert_eq!(names.find("card_velocity__count_1h"), Some(Variable::Feature(7)));
        assert_eq!(names.find("amount_minor"), Some(Variable::Field(PaymentField::AmountMinor)));
        assert_eq!(names.find("amount"), None);
        assert_eq!(names.suggestion("chanel"), "; nearest: `channel`");
        assert_eq!(names.suggestion("weather_outside"), "");
    }

    #[test]
    fn only_features_and_the_amount_are_numbers() {
        assert!(!Variable::Feature(1).is_text());
        let texts = PaymentField::ALL.into_iter().filter(|(_, field)| Variable::Field(*field).is_text());
        assert_eq!(texts.count(), 6);
        assert!(!Variable::Field(PaymentField::AmountMinor).is_text());
    }
}
