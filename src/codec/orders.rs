//! The order contract, version 1: an order from its being placed to its return.

use super::bounds::{Bounds, ID, MINOR_MAX};
use super::object::Object;
use super::reject::{Reject, event_name, read_object};
use super::text::Text;
use super::whole;
use crate::event::Source;
use serde::Deserialize;

/// An order event as it stands in the payload. See `schemas/order/v1/schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct OrderFields<'a> {
    #[serde(borrow)]
    pub event_id: Text<'a>,
    #[serde(borrow)]
    pub event_name: Text<'a>,
    #[serde(deserialize_with = "whole::required")]
    pub event_time_ms: i64,
    #[serde(borrow)]
    pub order_id: Text<'a>,
    #[serde(borrow)]
    pub currency: Text<'a>,
    #[serde(borrow)]
    pub visitor_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub customer_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub store_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub payment_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub card_token: Option<Text<'a>>,
    #[serde(borrow)]
    pub channel: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub value_minor: Option<i64>,
    #[serde(borrow)]
    pub coupon: Option<Text<'a>>,
    #[serde(borrow)]
    pub items: Option<Vec<Object<OrderItem<'a>>>>,
}

/// An item of an order event.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct OrderItem<'a> {
    #[serde(borrow)]
    pub item_id: Text<'a>,
    #[serde(borrow)]
    pub category: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub quantity: Option<i64>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub price_minor: Option<i64>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub discount_minor: Option<i64>,
}

/// What happened to an order, and the fields of the contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Order<'a> {
    /// What happened.
    pub source: Source,
    /// The fields of the contract.
    pub fields: OrderFields<'a>,
}

impl<'a> Order<'a> {
    /// Reads an order event, none if the contract does not know its name, and counts the fields that it does not know.
    ///
    /// # Errors
    ///
    /// [`Reject`]: the payload is not what the contract says.
    pub fn decode(payload: &'a [u8], bytes_max: usize) -> Result<(Option<Order<'a>>, u32), Reject> {
        let name = event_name(payload, bytes_max)?;
        let is_ours = |source: &Source| source.stream() == Source::OrderPlaced.stream();
        let Some(source) = Source::from_name(name.as_str()).filter(is_ours) else {
            return Ok((None, 0));
        };
        let (fields, unknown_fields) = read_object::<OrderFields<'a>>(payload, bytes_max)?;
        fields.check()?;
        Ok((Some(Order { source, fields }), unknown_fields))
    }
}

impl<'a> OrderFields<'a> {
    /// The items.
    #[must_use]
    pub fn items(&self) -> impl ExactSizeIterator<Item = &OrderItem<'a>> {
        self.items.as_deref().unwrap_or_default().iter().map(|Object(item)| item)
    }

    fn check(&self) -> Result<(), Reject> {
        let mut bounds = Bounds::default();
        bounds.text("event_id", &self.event_id, ID);
        bounds.time("event_time_ms", self.event_time_ms);
        bounds.text("order_id", &self.order_id, ID);
        bounds.required_code("currency", &self.currency, 3);
        for (field, id) in [
            ("visitor_id", &self.visitor_id),
            ("customer_id", &self.customer_id),
            ("store_id", &self.store_id),
            ("payment_id", &self.payment_id),
            ("card_token", &self.card_token),
        ] {
            bounds.optional_text(field, id, ID);
        }
        bounds.optional_text("channel", &self.channel, (1, 32));
        bounds.optional_number("value_minor", self.value_minor, (0, MINOR_MAX));
        bounds.optional_text("coupon", &self.coupon, (0, 128));
        bounds.count("items", self.items().len(), 500);
        for (place, item) in self.items().enumerate() {
            bounds.look_at_item("items", place);
            item.check(&mut bounds);
        }
        bounds.verdict()
    }
}

impl OrderItem<'_> {
    fn check(&self, bounds: &mut Bounds) {
        bounds.text("item_id", &self.item_id, ID);
        bounds.optional_text("category", &self.category, (0, 256));
        bounds.optional_number("quantity", self.quantity, (1, 100_000));
        bounds.optional_number("price_minor", self.price_minor, (0, MINOR_MAX));
        bounds.optional_number("discount_minor", self.discount_minor, (0, MINOR_MAX));
    }
}
