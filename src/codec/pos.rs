//! The contract of the tills, version 1: one completed transaction per record, in the words of the POSLog.

use super::bounds::{Bounds, ID, MINOR_MAX};
use super::object::Object;
use super::reject::{Reject, event_name, read_object};
use super::text::Text;
use super::whole;
use serde::Deserialize;

/// A transaction of a till as it stands in the payload. See `schemas/pos_transaction/v1/schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct Transaction<'a> {
    #[serde(borrow)]
    pub event_id: Text<'a>,
    #[serde(borrow)]
    pub event_name: Text<'a>,
    #[serde(deserialize_with = "whole::required")]
    pub event_time_ms: i64,
    #[serde(borrow)]
    pub store_id: Text<'a>,
    #[serde(borrow)]
    pub workstation_id: Text<'a>,
    #[serde(deserialize_with = "whole::required")]
    pub sequence_number: i64,
    #[serde(borrow)]
    pub business_day: Text<'a>,
    #[serde(borrow)]
    pub currency: Text<'a>,
    #[serde(borrow)]
    pub time_zone: Option<Text<'a>>,
    #[serde(borrow)]
    pub loyalty_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub customer_id: Option<Text<'a>>,
    pub is_void: Option<bool>,
    pub is_training: Option<bool>,
    pub is_offline: Option<bool>,
    #[serde(borrow)]
    pub lines: Vec<Object<Line<'a>>>,
    #[serde(borrow)]
    pub tenders: Option<Vec<Object<Tender<'a>>>>,
}

/// A line of a transaction: an item that was sold or taken back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct Line<'a> {
    #[serde(borrow)]
    pub item_id: Text<'a>,
    #[serde(borrow)]
    pub category: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub quantity: Option<i64>,
    #[serde(deserialize_with = "whole::required")]
    pub amount_minor: i64,
    #[serde(default, deserialize_with = "whole::optional")]
    pub discount_minor: Option<i64>,
    #[serde(borrow)]
    pub coupon: Option<Text<'a>>,
    pub is_return: Option<bool>,
    pub is_void: Option<bool>,
}

/// A means with which a transaction was paid, or in which change was given.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct Tender<'a> {
    #[serde(borrow)]
    pub kind: Text<'a>,
    #[serde(deserialize_with = "whole::required")]
    pub amount_minor: i64,
    #[serde(borrow)]
    pub card_token: Option<Text<'a>>,
}

impl<'a> Transaction<'a> {
    /// Reads a transaction, none if the contract does not know its name, and counts the fields that it does not know.
    ///
    /// # Errors
    ///
    /// [`Reject`]: the payload is not what the contract says.
    pub fn decode(payload: &'a [u8], bytes_max: usize) -> Result<(Option<Transaction<'a>>, u32), Reject> {
        if event_name(payload, bytes_max)?.as_str() != "pos_transaction" {
            return Ok((None, 0));
        }
        let (transaction, unknown_fields) = read_object::<Transaction<'a>>(payload, bytes_max)?;
        transaction.check()?;
        Ok((Some(transaction), unknown_fields))
    }
}

impl<'a> Transaction<'a> {
    /// The lines.
    #[must_use]
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &Line<'a>> {
        self.lines.iter().map(|Object(line)| line)
    }

    /// The tenders.
    #[must_use]
    pub fn tenders(&self) -> impl ExactSizeIterator<Item = &Tender<'a>> {
        self.tenders.as_deref().unwrap_or_default().iter().map(|Object(tender)| tender)
    }

    fn check(&self) -> Result<(), Reject> {
        let mut bounds = Bounds::default();
        bounds.text("event_id", &self.event_id, ID);
        bounds.time("event_time_ms", self.event_time_ms);
        bounds.text("store_id", &self.store_id, ID);
        bounds.text("workstation_id", &self.workstation_id, ID);
        bounds.number("sequence_number", self.sequence_number, (0, 999_999_999_999));
        bounds.day("business_day", &self.business_day);
        bounds.required_code("currency", &self.currency, 3);
        bounds.optional_text("time_zone", &self.time_zone, (1, 64));
        bounds.optional_text("loyalty_id", &self.loyalty_id, ID);
        bounds.optional_text("customer_id", &self.customer_id, ID);
        bounds.count("lines", self.lines().len(), 2000);
        bounds.count("tenders", self.tenders().len(), 50);
        for (place, line) in self.lines().enumerate() {
            bounds.look_at_item("lines", place);
            line.check(&mut bounds);
        }
        for (place, tender) in self.tenders().enumerate() {
            bounds.look_at_item("tenders", place);
            tender.check(&mut bounds);
        }
        bounds.verdict()
    }
}

impl Line<'_> {
    fn check(&self, bounds: &mut Bounds) {
        bounds.text("item_id", &self.item_id, ID);
        bounds.optional_text("category", &self.category, (0, 256));
        bounds.optional_number("quantity", self.quantity, (1, 100_000));
        bounds.number("amount_minor", self.amount_minor, (0, MINOR_MAX));
        bounds.optional_number("discount_minor", self.discount_minor, (0, MINOR_MAX));
        bounds.optional_text("coupon", &self.coupon, (0, 128));
    }
}

impl Tender<'_> {
    fn check(&self, bounds: &mut Bounds) {
        bounds.text("kind", &self.kind, (1, 32));
        bounds.number("amount_minor", self.amount_minor, (-MINOR_MAX, MINOR_MAX));
        bounds.optional_text("card_token", &self.card_token, ID);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::RejectReason;

    #[test]
    fn a_refusal_names_the_list_and_the_place_in_it() {
        let sold = r#"{"item_id":"a","amount_minor":1}"#;
        let wrong = r#"{"item_id":"a","amount_minor":-1}"#;
        let untyped = r#"{"item_id":"a","amount_minor":"1"}"#;
        let cash = r#"{"kind":"cash","amount_minor":1}"#;
        let card = r#"{"kind":"card","amount_minor":1,"card_token":""}"#;
        let cases = [
            (
                format!("{sold},{sold},{sold},{wrong}"),
                cash,
                RejectReason::OutOfRange,
                "lines[3].amount_minor",
            ),
            (format!("{sold},{untyped}"), cash, RejectReason::WrongType, "lines[1].amount_minor"),
            (format!("{sold},{{}}"), cash, RejectReason::MissingField, "lines[1].item_id"),
            (sold.to_owned(), card, RejectReason::OutOfRange, "tenders[0].card_token"),
            (wrong.to_owned(), card, RejectReason::OutOfRange, "lines[0].amount_minor"),
        ];
        for (lines, tender, reason, path) in cases {
            let payload = format!(
                r#"{{"event_id":"e","event_name":"pos_transaction","event_time_ms":1,"store_id":"s",
                "workstation_id":"w","sequence_number":1,"business_day":"2026-01-05","currency":"EUR",
                "lines":[{lines}],"tenders":[{tender}]}}"#
            );
            let reject = Transaction::decode(payload.as_bytes(), 1 << 20).map(|_| ()).expect_err(path);
            assert_eq!((reject.reason, reject.path.as_str()), (reason, path), "{reject}");
        }
    }
}
