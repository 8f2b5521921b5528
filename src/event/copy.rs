//! The compact copy of an event that travels to one entity through the entity log.
//!
//! A copy holds what that entity's operators need, not the whole event. Strings borrow from the
//! frame they were read from. Encoded with postcard; a change of these types is a new frame format.

#![expect(clippy::indexing_slicing, reason = "arrays are as long as the enum that indexes them")]

use super::alert::{AlertCommand, Announcement};
use super::entity::{EntityKind, EntitySet};
use super::prediction::Prediction;
use super::source::Source;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// Items that a session keeps of an order: its first.
pub const ORDER_ITEMS_MAX: usize = 20;

/// One event for one entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Copy<'a> {
    /// The kind of entity it is for.
    pub kind: EntityKind,
    /// The hash of the key, see [`super::key_hash`].
    pub hash: u64,
    /// The entity's id; a pseudonym for customer, card and ip.
    pub key: &'a str,
    /// The producer's id of the event; de-duplication goes by it.
    pub event_id: &'a str,
    /// When it happened, after clamping.
    pub time: EventTime,
    /// Who produced the record, in the copies of one record in thirty-two: enough to hear of a new one.
    pub producer: Option<&'a str>,
    /// What happened, as far as this entity's operators look at it.
    #[serde(borrow)]
    pub body: Body<'a>,
}

/// What happened, as far as one entity's operators look at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Body<'a> {
    /// A click, for the visitor's session.
    Click(#[serde(borrow)] ClickCopy<'a>),
    /// An order that was placed, for the visitor's session: as the purchase that it is.
    Order(#[serde(borrow)] ClickCopy<'a>),
    /// A payment attempt: this entity owes a part of its feature vector.
    Payment(#[serde(borrow)] PaymentCopy<'a>),
    /// What became known about a payment or a prediction, for it itself.
    Label(#[serde(borrow)] LabelCopy<'a>),
    /// Any event, for an entity's views: only the fields those views read.
    Values(Source, Vec<(FieldId, Value)>),
    /// A transaction of a till, for its store's days, and the fields that the store's own views read, if it counts for them.
    Basket(#[serde(borrow)] BasketCopy<'a>, Vec<(FieldId, Value)>),
    /// A customer has logged in at this entity, or shown a loyalty number beside it; and which event says so.
    Link(Source, #[serde(borrow)] &'a str),
    /// This customer has logged in as that visitor; and which event says so.
    Visited(Source, #[serde(borrow)] &'a str),
    /// A purchase or a return at a till, on its way to the session of the customer's visitor that it falls in; `customer` is set
    /// once it is known who that is.
    AtTill(#[serde(borrow)] ClickCopy<'a>),
    /// An event that names no customer: what the views of the customer read whom this entity is linked to, if it is.
    ForLinked(Source, Vec<(FieldId, Value)>),
    /// Other rules, for every partition of the decision log.
    Rules(#[serde(borrow)] RulesCopy<'a>),
    /// What somebody says of an alert.
    Alert(Box<AlertCommand>),
    /// An item of the catalogue has changed: who counts these needs to know no more.
    Item,
    /// What a model that runs elsewhere said, for the prediction itself.
    Prediction(#[serde(borrow)] Box<Prediction<'a>>),
    /// What somebody says of a change that the shop makes.
    Announced(Box<Announcement>),
}

/// A copy that goes on to whom the entity is linked to that the event named: a customer, or a customer's visitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forwarded<'a> {
    /// Under which fold it was made: under another its values mean something else.
    pub fold: u64,
    /// The kind of that entity.
    pub from: EntityKind,
    /// The copy for the one it is linked to.
    #[serde(borrow)]
    pub copy: Copy<'a>,
}

/// Rules that were published, and found good under the views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesCopy<'a> {
    /// The version that they give themselves.
    pub version: u32,
    /// Their file.
    pub text: &'a str,
}

impl Body<'_> {
    /// Which stream of events it is of, see [`Source::stream`].
    #[must_use]
    pub fn stream(&self) -> u64 {
        let source = match self {
            Body::Click(_) => Source::Click,
            Body::Order(_) => Source::OrderPlaced,
            Body::Payment(_) => Source::PaymentAttempted,
            Body::Label(_) => Source::Label,
            Body::Values(source, _) => *source,
            Body::Basket(..) => Source::PosTransaction,
            // an event may be two of these to one entity
            Body::ForLinked(source, _) => return 1_000 + source.stream(),
            Body::Link(source, _) => return 2_000 + source.stream(),
            Body::Visited(source, _) => return 10_000 + source.stream(),
            Body::AtTill(_) => return 20_000 + Source::PosTransaction.stream(),
            Body::Prediction(_) => return 30_000,
            // under a key that is nobody else's
            Body::Rules(_) | Body::Alert(_) | Body::Announced(_) | Body::Item => return 0,
        };
        source.stream()
    }
}

/// A click as the visitor's session sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClickCopy<'a> {
    /// The event's name; a name outside the contract is kept as [`ClickName::Other`].
    pub name: ClickName,
    /// The customer's pseudonym, if the visitor is logged in.
    pub customer: Option<&'a str>,
    /// The device's id.
    pub device: Option<&'a str>,
    /// The page on which it happened.
    pub page: Option<&'a str>,
    /// Campaign source, medium and name.
    pub campaign: Option<(Option<&'a str>, Option<&'a str>, Option<&'a str>)>,
    /// ISO 4217 currency of the amounts.
    pub currency: Option<&'a str>,
    /// The value of a purchase or refund in minor units of `currency`.
    pub value_minor: Option<i64>,
    /// Which order a purchase is, if it says so: XXH3, 64 bits, of the order's id.
    pub order: Option<u64>,
    /// Whether an item stands in the list of recommendations, see [`super::business::RECOMMENDED_LIST`].
    pub recommended: bool,
    /// The items concerned.
    #[serde(borrow)]
    pub items: Vec<ItemRef<'a>>,
    /// The fields that the visitor's own views read.
    pub values: Vec<(FieldId, Value)>,
}

impl ClickCopy<'_> {
    /// Of which nothing is known but its name.
    #[must_use]
    pub fn named(name: ClickName) -> Self {
        ClickCopy {
            name,
            customer: None,
            device: None,
            page: None,
            campaign: None,
            currency: None,
            value_minor: None,
            order: None,
            recommended: false,
            items: Vec::new(),
            values: Vec::new(),
        }
    }
}

/// An item in a click.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemRef<'a> {
    /// The item's id.
    pub item: &'a str,
    /// Its first-level category.
    pub category: Option<&'a str>,
    /// Price of one piece in minor units.
    pub price_minor: Option<i64>,
    /// Pieces, at least 1.
    pub quantity: u32,
}

/// The names of clickstream events (Google Analytics 4, e-commerce) that sessions tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the variants are the names of the events themselves")]
pub enum ClickName {
    PageView,
    ViewItemList,
    SelectItem,
    ViewItem,
    Search,
    ViewSearchResults,
    AddToWishlist,
    AddToCart,
    RemoveFromCart,
    ViewCart,
    BeginCheckout,
    AddShippingInfo,
    AddPaymentInfo,
    Purchase,
    Refund,
    ViewPromotion,
    SelectPromotion,
    Login,
    SignUp,
    /// A name that the contract does not know: kept and counted.
    Other,
}

impl ClickName {
    /// Every name of the contract with its spelling on the wire.
    pub const CONTRACT: [(&'static str, ClickName); 19] = [
        ("page_view", ClickName::PageView),
        ("view_item_list", ClickName::ViewItemList),
        ("select_item", ClickName::SelectItem),
        ("view_item", ClickName::ViewItem),
        ("search", ClickName::Search),
        ("view_search_results", ClickName::ViewSearchResults),
        ("add_to_wishlist", ClickName::AddToWishlist),
        ("add_to_cart", ClickName::AddToCart),
        ("remove_from_cart", ClickName::RemoveFromCart),
        ("view_cart", ClickName::ViewCart),
        ("begin_checkout", ClickName::BeginCheckout),
        ("add_shipping_info", ClickName::AddShippingInfo),
        ("add_payment_info", ClickName::AddPaymentInfo),
        ("purchase", ClickName::Purchase),
        ("refund", ClickName::Refund),
        ("view_promotion", ClickName::ViewPromotion),
        ("select_promotion", ClickName::SelectPromotion),
        ("login", ClickName::Login),
        ("sign_up", ClickName::SignUp),
    ];

    /// The name spelled `name`, [`ClickName::Other`] if the contract does not know it.
    #[must_use]
    pub fn from_wire(name: &str) -> ClickName {
        ClickName::CONTRACT
            .into_iter()
            .find_map(|(wire, click)| (wire == name).then_some(click))
            .unwrap_or(ClickName::Other)
    }
}

/// A payment attempt as one entity sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaymentCopy<'a> {
    /// The payment's id; the decision's id is a function of it.
    pub payment_id: &'a str,
    /// The kinds of entity that owe a part for this payment, this one included.
    pub expected: EntitySet,
    /// The fields that this entity's views read.
    pub values: Vec<(FieldId, Value)>,
    /// Of a payment that names no customer, in the copy of its own entity: what the views of the customer read whom that entity is
    /// linked to, if it is.
    pub for_linked: Option<Vec<(FieldId, Value)>>,
    /// What rules may ask of the payment itself; in the copy of its own entity only (the visitor,
    /// else the customer, else the card).
    #[serde(borrow)]
    pub context: Option<super::part::PaymentContext<'a>>,
}

/// What became known about a payment or a prediction. The copy's time is when it became known, its event id is the label's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelCopy<'a> {
    /// The decision about that payment, or the prediction.
    pub decision: super::part::DecisionId,
    /// What it was.
    pub outcome: LabelOutcome,
    /// Who says so, such as `chargeback`.
    pub source: &'a str,
}

/// A completed transaction of a till, as its store's days see it.
///
/// Sums are over the lines; a line that was cancelled is in none of them. They have no sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasketCopy<'a> {
    /// The day on which the store books it, counted from 1970-01-01, see [`super::calendar::day_number`].
    pub business_day: i32,
    /// ISO 4217 currency of the amounts.
    pub currency: &'a str,
    /// It was cancelled before its end.
    pub is_void: bool,
    /// The till was in training mode.
    pub is_training: bool,
    /// It was rung up while the till had no connection.
    pub is_offline: bool,
    /// What was paid for the items sold, in minor units of `currency`.
    pub sold_minor: i64,
    /// What was paid back for the items returned, in minor units of `currency`.
    pub returned_minor: i64,
    /// Pieces sold, at least 1 per line that sells.
    pub sold_items: u32,
    /// Pieces returned, at least 1 per line that returns.
    pub returned_items: u32,
    /// What was taken off the lines, in minor units of `currency`.
    pub discount_minor: i64,
    /// Lines with a coupon.
    pub coupons: u32,
}

/// What a payment turned out to be, or what a model that runs elsewhere predicted of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are the outcomes of the contract themselves")]
pub enum LabelOutcome {
    Legitimate,
    Fraud,
    Negative,
    Positive,
}

impl LabelOutcome {
    /// Every outcome by its name.
    pub const NAMES: [(&'static str, LabelOutcome); 4] = [
        ("legitimate", LabelOutcome::Legitimate),
        ("fraud", LabelOutcome::Fraud),
        ("negative", LabelOutcome::Negative),
        ("positive", LabelOutcome::Positive),
    ];

    /// Whether it is what a score gives the probability of.
    #[must_use]
    pub fn is_positive(self) -> bool {
        matches!(self, LabelOutcome::Fraud | LabelOutcome::Positive)
    }

    /// Whether it is one of a prediction, not of a payment.
    #[must_use]
    pub fn is_of_prediction(self) -> bool {
        matches!(self, LabelOutcome::Negative | LabelOutcome::Positive)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        LabelOutcome::NAMES
            .into_iter()
            .find_map(|(name, outcome)| (outcome == self).then_some(name))
            .unwrap_or("")
    }

    /// The outcome of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<LabelOutcome> {
        LabelOutcome::NAMES.into_iter().find_map(|(known, outcome)| (known == name).then_some(outcome))
    }
}

/// How a payment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are the statuses of the contract themselves")]
pub enum ResultStatus {
    Approved,
    Declined,
    Error,
    Cancelled,
}

/// A field of an event that a view may read. The number is part of the frame format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the variants are the fields themselves; see FieldId::name")]
#[repr(u8)]
pub enum FieldId {
    AmountMinor = 0,
    Currency = 1,
    Visitor = 2,
    Customer = 3,
    Card = 4,
    Device = 5,
    Ip = 6,
    Store = 7,
    Terminal = 8,
    CardCountry = 9,
    IpCountry = 10,
    BillingCountry = 11,
    ShippingCountry = 12,
    Page = 13,
    SearchTerm = 14,
    ValueMinor = 15,
    ItemCount = 16,
    Declined = 17,
    Fraud = 18,
    ReturnedMinor = 19,
    DiscountMinor = 20,
    Channel = 21,
    EventName = 22,
    /// Not a field of any event: which filters of the views a copy is for it passed, a bit each,
    Passed = 23,
    /// and which filters these were: a hash of their texts, in order.
    Filters = 24,
}

impl FieldId {
    /// Every field, in the order of their numbers, with its name in `features.yaml`.
    pub const ALL: [(FieldId, &'static str); 25] = [
        (FieldId::AmountMinor, "amount"),
        (FieldId::Currency, "currency"),
        (FieldId::Visitor, "visitor"),
        (FieldId::Customer, "customer"),
        (FieldId::Card, "card"),
        (FieldId::Device, "device"),
        (FieldId::Ip, "ip"),
        (FieldId::Store, "store"),
        (FieldId::Terminal, "terminal"),
        (FieldId::CardCountry, "card_country"),
        (FieldId::IpCountry, "ip_country"),
        (FieldId::BillingCountry, "billing_country"),
        (FieldId::ShippingCountry, "shipping_country"),
        (FieldId::Page, "page"),
        (FieldId::SearchTerm, "search_term"),
        (FieldId::ValueMinor, "value"),
        (FieldId::ItemCount, "items"),
        (FieldId::Declined, "declined"),
        (FieldId::Fraud, "fraud"),
        (FieldId::ReturnedMinor, "returned"),
        (FieldId::DiscountMinor, "discount"),
        (FieldId::Channel, "channel"),
        (FieldId::EventName, "name"),
        (FieldId::Passed, "passed"),
        (FieldId::Filters, "filters"),
    ];

    /// Its name in `features.yaml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        FieldId::ALL[self as usize].1
    }

    /// Whether its values are numbers (else texts, which can only be counted as distinct).
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(
            self,
            FieldId::AmountMinor
                | FieldId::ValueMinor
                | FieldId::ItemCount
                | FieldId::Declined
                | FieldId::Fraud
                | FieldId::ReturnedMinor
                | FieldId::DiscountMinor
                | FieldId::Passed
        )
    }

    /// Whether payment attempts have it.
    #[must_use]
    pub fn in_attempts(self) -> bool {
        !matches!(
            self,
            FieldId::Page
                | FieldId::SearchTerm
                | FieldId::ValueMinor
                | FieldId::ItemCount
                | FieldId::Declined
                | FieldId::Fraud
                | FieldId::ReturnedMinor
                | FieldId::DiscountMinor
                | FieldId::EventName
                | FieldId::Passed
                | FieldId::Filters
        )
    }

    /// Whether results of payments have it.
    #[must_use]
    pub fn in_results(self) -> bool {
        self == FieldId::Declined || (self != FieldId::Channel && self.in_attempts())
    }

    /// Whether labels have it.
    #[must_use]
    pub fn in_labels(self) -> bool {
        matches!(
            self,
            FieldId::Visitor
                | FieldId::Customer
                | FieldId::Card
                | FieldId::Device
                | FieldId::Ip
                | FieldId::Store
                | FieldId::Terminal
                | FieldId::Fraud
        )
    }

    /// Whether orders have it.
    #[must_use]
    pub fn in_orders(self) -> bool {
        matches!(
            self,
            FieldId::AmountMinor
                | FieldId::Currency
                | FieldId::ItemCount
                | FieldId::Channel
                | FieldId::Visitor
                | FieldId::Customer
                | FieldId::Card
                | FieldId::Store
        )
    }

    /// Whether transactions of tills have it.
    #[must_use]
    pub fn in_baskets(self) -> bool {
        matches!(
            self,
            FieldId::AmountMinor
                | FieldId::Currency
                | FieldId::ItemCount
                | FieldId::ReturnedMinor
                | FieldId::DiscountMinor
                | FieldId::Customer
                | FieldId::Card
                | FieldId::Store
                | FieldId::Terminal
        )
    }

    /// Whether events of accounts have it.
    #[must_use]
    pub fn in_accounts(self) -> bool {
        matches!(
            self,
            FieldId::Channel
                | FieldId::Visitor
                | FieldId::Customer
                | FieldId::Card
                | FieldId::Device
                | FieldId::Ip
        )
    }

    /// Whether clicks have it.
    #[must_use]
    pub fn in_clicks(self) -> bool {
        matches!(
            self,
            FieldId::Currency
                | FieldId::Visitor
                | FieldId::Customer
                | FieldId::Device
                | FieldId::Ip
                | FieldId::Page
                | FieldId::SearchTerm
                | FieldId::ValueMinor
                | FieldId::ItemCount
                | FieldId::EventName
        )
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A number; money in minor units.
    Number(i64),
    /// The hash of a text, for only sameness matters to a view (XXH3, 64 bits, seed 0).
    Hash(u64),
}
