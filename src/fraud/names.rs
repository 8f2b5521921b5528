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

/// A field of the payment itself: amount, hour and weekday are numbers, all others are texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PaymentField {
    AmountMinor,
    HourUtc,
    WeekdayUtc,
    Currency,
    Channel,
    CardCountry,
    IpCountry,
    BillingCountry,
    ShippingCountry,
}

impl PaymentField {
    /// Every field with its name in a rule.
    pub(super) const ALL: [(&'static str, PaymentField); 9] = [
        ("amount_minor", PaymentField::AmountMinor),
        ("hour_utc", PaymentField::HourUtc),
        ("weekday_utc", PaymentField::WeekdayUtc),
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
        let is_number = |field: PaymentField| {
            matches!(field, PaymentField::AmountMinor | PaymentField::HourUtc | PaymentField::WeekdayUtc)
        };
        matches!(self, Variable::Field(field) if !is_number(field))
    }
}

/// The names that rules may use.
#[derive(Debug)]
pub(super) struct Names<'n> {
    known: BTreeMap<&'n str, Variable>,
    /// Whether there may be more views than those of the known features.
    some_views_unread: bool,
}

impl<'n> Names<'n> {
    /// The payment's fields and `features`, given by flat name and number. Flat names hold `__` and
    /// so never meet the name of a field; if one did, the field would win.
    pub(super) fn new(features: &'n [(String, u32)]) -> Names<'n> {
        let features = features.iter().map(|(name, id)| (name.as_str(), Variable::Feature(*id)));
        let fields = PaymentField::ALL.map(|(name, field)| (name, Variable::Field(field)));
        Names { known: features.chain(fields).collect(), some_views_unread: false }
    }

    /// As [`Names::new`], where other views could not be read: whatever is named like a feature of a view that
    /// has none among `features` counts as a number.
    pub(super) fn beside_faulty_views(features: &'n [(String, u32)]) -> Names<'n> {
        Names { some_views_unread: true, ..Names::new(features) }
    }

    /// What `name` stands for.
    pub(super) fn find(&self, name: &str) -> Option<Variable> {
        let known = self.known.get(name).copied();
        known.or_else(|| self.may_be_of_an_unread_view(name).then_some(Variable::Feature(0)))
    }

    fn may_be_of_an_unread_view(&self, name: &str) -> bool {
        let view_of = |name: &str| name.split_once("__").map(|(view, _)| view.to_owned());
        let view = view_of(name).filter(|_| self.some_views_unread);
        view.is_some() && self.known.keys().all(|known| view_of(known) != view)
    }

    /// `; nearest: ..` if there are names like `name`, else nothing.
    pub(super) fn suggestion(&self, name: &str) -> String {
        let near = nearest(name, self.known.keys().copied());
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
    fn beside_faulty_views_only_their_features_are_taken_on_trust() {
        let features = [("card_velocity__count_1h".to_string(), 7)];
        let names = Names::beside_faulty_views(&features);
        assert_eq!(names.find("card_velocity__count_1h"), Some(Variable::Feature(7)));
        assert_eq!(names.find("ip_velocity__count_1h"), Some(Variable::Feature(0)));
        assert_eq!(names.find("card_velocity__count_2h"), None);
        assert_eq!(names.find("amount"), None);
    }

    #[test]
    fn only_features_and_the_amount_are_numbers() {
        assert!(!Variable::Feature(1).is_text());
        let texts = PaymentField::ALL.into_iter().filter(|(_, field)| Variable::Field(*field).is_text());
        assert_eq!(texts.count(), 6);
        assert!(!Variable::Field(PaymentField::AmountMinor).is_text());
    }
}
