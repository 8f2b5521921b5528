//! The clickstream contract, version 1.

use super::bounds::{Bounds, ID, MINOR_MAX};
use super::object::Object;
use super::reject::{Reject, read_object};
use super::text::Text;
use super::whole;
use serde::Deserialize;

/// A click as it stands in the payload. See `schemas/clickstream/v1/schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct Click<'a> {
    #[serde(borrow)]
    pub event_id: Text<'a>,
    #[serde(borrow)]
    pub event_name: Text<'a>,
    #[serde(deserialize_with = "whole::required")]
    pub event_time_ms: i64,
    #[serde(borrow)]
    pub visitor_id: Text<'a>,
    #[serde(borrow)]
    pub customer_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub device_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub ip: Option<Text<'a>>,
    #[serde(borrow)]
    pub session_hint: Option<Text<'a>>,
    #[serde(borrow)]
    pub page_location: Option<Text<'a>>,
    #[serde(borrow)]
    pub page_referrer: Option<Text<'a>>,
    #[serde(borrow)]
    pub page_title: Option<Text<'a>>,
    #[serde(borrow)]
    pub search_term: Option<Text<'a>>,
    #[serde(borrow)]
    pub campaign: Option<Object<ClickCampaign<'a>>>,
    pub consent: Option<Object<Consent>>,
    #[serde(borrow)]
    pub currency: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub value_minor: Option<i64>,
    #[serde(borrow)]
    pub transaction_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub coupon: Option<Text<'a>>,
    #[serde(borrow)]
    pub items: Option<Vec<Object<ClickItem<'a>>>>,
}

/// Where the visitor came from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct ClickCampaign<'a> {
    #[serde(borrow)]
    pub source: Option<Text<'a>>,
    #[serde(borrow)]
    pub medium: Option<Text<'a>>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub term: Option<Text<'a>>,
    #[serde(borrow)]
    pub content: Option<Text<'a>>,
}

/// What the visitor agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct Consent {
    pub analytics: Option<bool>,
    pub ads: Option<bool>,
    pub personalization: Option<bool>,
}

/// An item of a click.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the contract, described in its schema")]
pub struct ClickItem<'a> {
    #[serde(borrow)]
    pub item_id: Text<'a>,
    #[serde(borrow)]
    pub item_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub item_brand: Option<Text<'a>>,
    #[serde(borrow)]
    pub item_category: Option<Text<'a>>,
    #[serde(borrow)]
    pub item_category2: Option<Text<'a>>,
    #[serde(borrow)]
    pub item_category3: Option<Text<'a>>,
    #[serde(borrow)]
    pub item_category4: Option<Text<'a>>,
    #[serde(borrow)]
    pub item_category5: Option<Text<'a>>,
    #[serde(borrow)]
    pub item_variant: Option<Text<'a>>,
    #[serde(borrow)]
    pub item_list_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub item_list_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub affiliation: Option<Text<'a>>,
    #[serde(borrow)]
    pub coupon: Option<Text<'a>>,
    #[serde(borrow)]
    pub location_id: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub index: Option<i64>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub price_minor: Option<i64>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub discount_minor: Option<i64>,
    #[serde(default, deserialize_with = "whole::optional")]
    pub quantity: Option<i64>,
}

impl<'a> Click<'a> {
    /// Reads a click, and counts the fields that the contract does not know.
    ///
    /// # Errors
    ///
    /// [`Reject`]: the payload is not what the contract says.
    pub fn decode(payload: &'a [u8], bytes_max: usize) -> Result<(Click<'a>, u32), Reject> {
        let (click, unknown_fields) = read_object::<Click<'a>>(payload, bytes_max)?;
        click.check()?;
        Ok((click, unknown_fields))
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> impl ExactSizeIterator<Item = &ClickItem<'a>> {
        self.items.as_deref().unwrap_or_default().iter().map(|Object(item)| item)
    }

    fn check(&self) -> Result<(), Reject> {
        let mut bounds = Bounds::default();
        bounds.text("event_id", &self.event_id, ID);
        bounds.text("event_name", &self.event_name, (1, 64));
        bounds.time("event_time_ms", self.event_time_ms);
        bounds.text("visitor_id", &self.visitor_id, ID);
        bounds.optional_text("customer_id", &self.customer_id, ID);
        bounds.optional_text("device_id", &self.device_id, ID);
        bounds.optional_text("ip", &self.ip, (2, 45));
        bounds.optional_text("session_hint", &self.session_hint, ID);
        bounds.optional_text("page_location", &self.page_location, (0, 2048));
        bounds.optional_text("page_referrer", &self.page_referrer, (0, 2048));
        bounds.optional_text("page_title", &self.page_title, (0, 2048));
        bounds.optional_text("search_term", &self.search_term, (0, 512));
        bounds.code("currency", &self.currency, 3);
        bounds.optional_number("value_minor", self.value_minor, (0, MINOR_MAX));
        bounds.optional_text("transaction_id", &self.transaction_id, ID);
        bounds.optional_text("coupon", &self.coupon, (0, 128));
        if let Some(Object(campaign)) = &self.campaign {
            campaign.check(&mut bounds);
        }
        bounds.count("items", self.items().len(), 200);
        for (place, item) in self.items().enumerate() {
            bounds.look_at_item("items", place);
            item.check(&mut bounds);
        }
        bounds.verdict()
    }
}

impl ClickCampaign<'_> {
    fn check(&self, bounds: &mut Bounds) {
        bounds.optional_text("campaign.source", &self.source, (0, 256));
        bounds.optional_text("campaign.medium", &self.medium, (0, 256));
        bounds.optional_text("campaign.name", &self.name, (0, 256));
        bounds.optional_text("campaign.term", &self.term, (0, 256));
        bounds.optional_text("campaign.content", &self.content, (0, 256));
    }
}

impl ClickItem<'_> {
    fn check(&self, bounds: &mut Bounds) {
        bounds.text("item_id", &self.item_id, ID);
        bounds.optional_text("item_name", &self.item_name, (0, 512));
        for (field, text) in [
            ("item_brand", &self.item_brand),
            ("item_category", &self.item_category),
            ("item_category2", &self.item_category2),
            ("item_category3", &self.item_category3),
            ("item_category4", &self.item_category4),
            ("item_category5", &self.item_category5),
            ("item_variant", &self.item_variant),
            ("item_list_id", &self.item_list_id),
            ("item_list_name", &self.item_list_name),
            ("affiliation", &self.affiliation),
            ("coupon", &self.coupon),
            ("location_id", &self.location_id),
        ] {
            bounds.optional_text(field, text, (0, 256));
        }
        bounds.optional_number("index", self.index, (0, 100_000));
        bounds.optional_number("price_minor", self.price_minor, (0, MINOR_MAX));
        bounds.optional_number("discount_minor", self.discount_minor, (0, MINOR_MAX));
        bounds.optional_number("quantity", self.quantity, (1, 100_000));
    }
}
