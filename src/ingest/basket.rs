//! What a store's days are told of a transaction of a till.

use crate::codec::pos::{Line, Transaction};
use crate::codec::text::as_str;
use crate::event::BasketCopy;
use crate::event::calendar::day_number;

/// The copy of a transaction for its store.
///
/// # Panics
///
/// If the business day is not written as `YYYY-MM-DD`, which the decoder refuses.
#[must_use]
pub fn basket<'a>(transaction: &'a Transaction<'_>) -> BasketCopy<'a> {
    let day = day_number(transaction.business_day.as_str()).expect("the decoder has looked at it");
    let mut basket = BasketCopy {
        business_day: day,
        currency: transaction.currency.as_str(),
        is_void: is_true(transaction.is_void),
        is_training: is_true(transaction.is_training),
        is_offline: is_true(transaction.is_offline),
        sold_minor: 0,
        returned_minor: 0,
        sold_items: 0,
        returned_items: 0,
        discount_minor: 0,
        coupons: 0,
    };
    transaction.lines().filter(|line| !is_true(line.is_void)).for_each(|line| add(&mut basket, line));
    basket
}

/// Adds a line that was not cancelled. At most 2,000 lines of 10¹² minor units and 10⁵ pieces: no sum overflows.
fn add(basket: &mut BasketCopy<'_>, line: &Line<'_>) {
    let pieces = u32::try_from(line.quantity.unwrap_or(1)).expect("the decoder has looked at it");
    if is_true(line.is_return) {
        basket.returned_minor += line.amount_minor;
        basket.returned_items += pieces;
    } else {
        basket.sold_minor += line.amount_minor;
        basket.sold_items += pieces;
    }
    basket.discount_minor += line.discount_minor.unwrap_or(0);
    basket.coupons += u32::from(as_str(&line.coupon).is_some_and(|coupon| !coupon.is_empty()));
}

/// A boolean that is absent is false.
fn is_true(fact: Option<bool>) -> bool {
    fact == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a transaction of 2026-01-05 in euros with these lines, and more fields if need be, and looks at its copy.
    fn with_basket(lines: &str, more: &str, look: impl FnOnce(BasketCopy<'_>)) {
        let payload = format!(
            r#"{{"event_id":"e","event_name":"pos_transaction","event_time_ms":1,"store_id":"s",
            "workstation_id":"w","sequence_number":1,"business_day":"2026-01-05","currency":"EUR",
            "lines":[{lines}]{more}}}"#
        );
        let (transaction, _) = Transaction::decode(payload.as_bytes(), 1 << 20).unwrap();
        look(basket(&transaction.unwrap()));
    }

    const EMPTY: BasketCopy<'static> = BasketCopy {
        business_day: 20_458,
        currency: "EUR",
        is_void: false,
        is_training: false,
        is_offline: false,
        sold_minor: 0,
        returned_minor: 0,
        sold_items: 0,
        returned_items: 0,
        discount_minor: 0,
        coupons: 0,
    };

    #[test]
    fn lines_are_summed_as_sold_or_returned_and_cancelled_ones_not_at_all() {
        let lines = r#"
            {"item_id":"a","amount_minor":2398,"quantity":2,"discount_minor":200,"coupon":"C"},
            {"item_id":"b","amount_minor":100},
            {"item_id":"c","amount_minor":1999,"quantity":3,"is_return":true,"discount_minor":1},
            {"item_id":"d","amount_minor":499,"is_void":true,"discount_minor":9,"coupon":"C"},
            {"item_id":"e","amount_minor":50,"is_void":true,"is_return":true}"#;
        with_basket(lines, "", |basket| {
            let expected = BasketCopy {
                sold_minor: 2_498,
                returned_minor: 1_999,
                sold_items: 3,
                returned_items: 3,
                discount_minor: 201,
                coupons: 1,
                ..EMPTY
            };
            assert_eq!(basket, expected);
        });
    }

    #[test]
    fn an_empty_coupon_is_none() {
        let lines = r#"
            {"item_id":"a","amount_minor":0,"coupon":""},
            {"item_id":"b","amount_minor":0,"coupon":null},
            {"item_id":"c","amount_minor":0,"coupon":" "}"#;
        with_basket(lines, "", |basket| assert_eq!((basket.coupons, basket.sold_items), (1, 3)));
    }

    #[test]
    fn what_is_said_of_the_whole_transaction_is_false_if_absent_or_null() {
        with_basket("", "", |basket| assert_eq!(basket, EMPTY));
        let nulls = r#","is_void":null,"is_training":null,"is_offline":null"#;
        with_basket("", nulls, |basket| assert_eq!(basket, EMPTY));
        let all = r#","is_void":true,"is_training":true,"is_offline":true"#;
        let expected = BasketCopy { is_void: true, is_training: true, is_offline: true, ..EMPTY };
        with_basket("", all, |basket| assert_eq!(basket, expected));
    }
}
