//! Days of stores as public records.

use super::day::Money;
use super::days::{DayOutput, Standing};
use crate::event::calendar::day_text;
use crate::event::public::{StoreDayRecord, Text};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The public record of a revision; none for other outputs.
#[must_use]
pub fn store_day_record<'a>(store: &'a str, output: &'a DayOutput) -> Option<StoreDayRecord<'a>> {
    let DayOutput::Revision { business_day, revision, standing, figures } = output else {
        return None;
    };
    Some(StoreDayRecord {
        store_id: Cow::Borrowed(store),
        business_day: Cow::Owned(day_text(*business_day)),
        revision: *revision,
        is_final: *standing != Standing::Open,
        baskets: figures.baskets,
        returns: figures.returns,
        items_sold: figures.items_sold,
        items_returned: figures.items_returned,
        revenue_minor: by_currency(&figures.money, |money| Some(money.revenue_minor())),
        discount_minor: by_currency(&figures.money, |money| {
            Some(money.discount_minor).filter(|discount| *discount > 0)
        }),
        coupons: figures.coupons,
        voids: figures.voids,
        trainings: figures.trainings,
        offline: figures.offline,
        first_ms: figures.first,
        last_ms: figures.last,
    })
}

fn by_currency(
    money: &BTreeMap<Box<str>, Money>,
    amount: impl Fn(Money) -> Option<i64>,
) -> BTreeMap<Text<'_>, i64> {
    money.iter().filter_map(|(currency, money)| Some((Cow::Borrowed(&**currency), amount(*money)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::day::StoreDay;
    use super::*;
    use crate::event::BasketCopy;
    use crate::time::EventTime;
    use serde_json::json;

    #[test]
    fn a_record_says_its_day_as_a_text_and_money_by_currency() {
        let sale = BasketCopy {
            business_day: 20_458,
            currency: "EUR",
            is_void: false,
            is_training: false,
            is_offline: true,
            sold_minor: 1_000,
            returned_minor: 1_200,
            sold_items: 2,
            returned_items: 3,
            discount_minor: 50,
            coupons: 1,
        };
        let mut figures = StoreDay::default();
        figures.add(&sale, EventTime(7));
        figures.add(&BasketCopy { currency: "USD", discount_minor: 0, ..sale }, EventTime(9));
        let (business_day, standing) = (20_458, Standing::FinalEarly);
        let output = DayOutput::Revision { business_day, revision: 3, standing, figures: Box::new(figures) };
        let record = store_day_record("st-021", &output).expect("a revision");
        let expected = json!({
            "store_id": "st-021", "business_day": "2026-01-05", "revision": 3, "is_final": true,
            "baskets": 2, "returns": 2, "items_sold": 4, "items_returned": 6,
            "revenue_minor": {"EUR": -200, "USD": -200}, "discount_minor": {"EUR": 50}, "coupons": 2,
            "voids": 0, "trainings": 0, "offline": 2, "first_ms": 7, "last_ms": 9
        });
        assert_eq!(serde_json::to_value(&record).unwrap(), expected);
    }

    #[test]
    fn what_is_late_has_no_record_here() {
        assert_eq!(store_day_record("s", &DayOutput::Late { over: EventTime(0) }), None);
    }
}
