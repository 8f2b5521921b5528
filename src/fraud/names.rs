//! What a rule may read: the declared features, and the payment's own fields.

use crate::condition;
use crate::event::part::feature_id;
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
    /// What a name that looks like one of a feature stands for where no feature has it.
    unknown: Unknown,
}

/// What is made of the name of a feature that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// It is a fault.
    Fault,
    /// A number, if no feature of its view is known: the view could not be read.
    OfUnreadView,
    /// A number, of which there is never a value: its view is no more.
    OfOtherViews,
}

impl<'n> Names<'n> {
    /// The payment's fields and `features`, given by flat name and number. Flat names hold `__` and
    /// so never meet the name of a field; if one did, the field would win.
    pub(super) fn new(features: &'n [(String, u32)]) -> Names<'n> {
        let features = features.iter().map(|(name, id)| (name.as_str(), Variable::Feature(*id)));
        let fields = PaymentField::ALL.map(|(name, field)| (name, Variable::Field(field)));
        Names { known: features.chain(fields).collect(), unknown: Unknown::Fault }
    }

    /// As [`Names::new`], where other views could not be read: whatever is named like a feature of a view that
    /// has none among `features` counts as a number.
    pub(super) fn beside_faulty_views(features: &'n [(String, u32)]) -> Names<'n> {
        Names { unknown: Unknown::OfUnreadView, ..Names::new(features) }
    }

    /// As [`Names::new`], for rules that were found good under other views: what is named like a feature is one.
    pub(super) fn of_other_views(features: &'n [(String, u32)]) -> Names<'n> {
        Names { unknown: Unknown::OfOtherViews, ..Names::new(features) }
    }

    fn stands_for_a_feature(&self, name: &str) -> bool {
        let view_of = |name: &str| name.split_once("__").map(|(view, _)| view.to_owned());
        let view = view_of(name);
        match self.unknown {
            Unknown::Fault => false,
            Unknown::OfUnreadView => view.is_some() && self.known.keys().all(|known| view_of(known) != view),
            Unknown::OfOtherViews => view.is_some(),
        }
    }
}

impl condition::Names for Names<'_> {
    type Variable = Variable;

    fn find(&self, name: &str) -> Option<Variable> {
        let known = self.known.get(name).copied();
        known.or_else(|| self.stands_for_a_feature(name).then(|| Variable::Feature(feature_id(name))))
    }

    fn is_text(variable: Variable) -> bool {
        variable.is_text()
    }

    fn known(&self) -> impl Iterator<Item = &str> {
        self.known.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Names as _;

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
        assert!(matches!(names.find("ip_velocity__count_1h"), Some(Variable::Feature(_))));
        assert_eq!(names.find("card_velocity__count_2h"), None);
        assert_eq!(names.find("amount"), None);
    }

    #[test]
    fn under_other_views_whatever_is_named_like_a_feature_is_one() {
        let features = [("card_velocity__count_1h".to_string(), 7)];
        let names = Names::of_other_views(&features);
        assert_eq!(names.find("card_velocity__count_1h"), Some(Variable::Feature(7)));
        let gone = Some(Variable::Feature(feature_id("card_velocity__count_2h")));
        assert_eq!(names.find("card_velocity__count_2h"), gone);
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
