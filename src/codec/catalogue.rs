//! The catalogue contract, version 1: what an item is from a time on.
//!
//! A record without a payload says that its item is retired. It does not come here: whoever reads it decides that.

use super::bounds::{Bounds, ID, MINOR_MAX};
use super::reject::{Reject, read_object};
use super::text::Text;
use super::whole;
use serde::Deserialize;

/// An item of the catalogue as it stands in the payload. See `schemas/catalogue_item/v1/schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct CatalogueItem<'a> {
    #[serde(borrow)]
    pub item_id: Text<'a>,
    #[serde(deserialize_with = "whole::required")]
    pub event_time_ms: i64,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub category: Option<Text<'a>>,
    #[serde(borrow)]
    pub brand: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub price_minor: Option<i64>,
    #[serde(borrow)]
    pub currency: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub stock: Option<i64>,
    pub is_active: Option<bool>,
}

impl<'a> CatalogueItem<'a> {
    /// Reads an item, and counts the fields that the contract does not know.
    ///
    /// # Errors
    ///
    /// [`Reject`]: the payload is not what the contract says.
    pub fn decode(payload: &'a [u8], bytes_max: usize) -> Result<(CatalogueItem<'a>, u32), Reject> {
        let (item, unknown_fields) = read_object::<CatalogueItem<'a>>(payload, bytes_max)?;
        item.check()?;
        Ok((item, unknown_fields))
    }

    fn check(&self) -> Result<(), Reject> {
        let mut bounds = Bounds::default();
        bounds.text("item_id", &self.item_id, ID);
        bounds.time("event_time_ms", self.event_time_ms);
        bounds.optional_text("name", &self.name, (0, 512));
        bounds.optional_text("category", &self.category, (0, 256));
        bounds.optional_text("brand", &self.brand, (0, 256));
        bounds.optional_number("price_minor", self.price_minor, (0, MINOR_MAX));
        bounds.code("currency", &self.currency, 3);
        bounds.optional_number("stock", self.stock, (0, 1_000_000_000));
        bounds.verdict()
    }
}
