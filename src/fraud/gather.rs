//! Gathering the parts of one payment.
//!
//! Key = decision id. The first part opens the gather; the last expected one, or a deadline record,
//! closes it; a closed one leaves a tombstone. Parts of another event with the same payment id, and
//! second parts of one kind, are counted and change nothing.

use crate::event::{EntityKind, EntitySet, Part, PaymentContext};
use crate::log::position::Offset;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// A gather, open or closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Gather {
    /// Waits for parts.
    Open(Box<OpenGather>),
    /// Decided. Parts that come now are late.
    Closed {
        /// When the watermark reaches this, the tombstone goes.
        forget_at: EventTime,
    },
}

/// A gather that waits for parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenGather {
    /// The hash of the id of the event whose parts are gathered.
    pub event: u64,
    /// The kinds that owe a part, as far as the parts say that have come.
    pub expected: EntitySet,
    /// The kinds whose part has come.
    pub got: EntitySet,
    /// Where it opened.
    pub opened_at: Offset,
    /// When the payment was attempted.
    pub time: EventTime,
    /// Feature numbers and values.
    pub features: Vec<(u32, f64)>,
    /// The entities, by kind.
    pub entities: Vec<(EntityKind, Box<str>)>,
    /// The payment itself, once its own entity's part has come.
    pub payment: Option<OwnedContext>,
}

/// [`PaymentContext`], kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in PaymentContext")]
pub struct OwnedContext {
    pub payment_id: Box<str>,
    pub amount_minor: i64,
    pub currency: Box<str>,
    pub channel: Option<Box<str>>,
    pub card_country: Option<Box<str>>,
    pub ip_country: Option<Box<str>>,
    pub billing_country: Option<Box<str>>,
    pub shipping_country: Option<Box<str>>,
}

/// What a part did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PartOutcome {
    /// It opened the gather.
    Opened,
    /// It was added.
    Added,
    /// The same kind had answered before.
    Repeated,
    /// It is of another event with the same payment id.
    Foreign,
    /// The decision was made before it came.
    Late,
}

impl PartOutcome {
    /// Every outcome.
    pub const ALL: [PartOutcome; 5] = [
        PartOutcome::Opened,
        PartOutcome::Added,
        PartOutcome::Repeated,
        PartOutcome::Foreign,
        PartOutcome::Late,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            PartOutcome::Opened => "opened",
            PartOutcome::Added => "added",
            PartOutcome::Repeated => "repeated",
            PartOutcome::Foreign => "foreign",
            PartOutcome::Late => "late",
        }
    }
}

impl OpenGather {
    /// Opened by `part` at `offset`.
    #[must_use]
    pub fn opened(part: &Part<'_>, offset: Offset) -> OpenGather {
        let mut gather = OpenGather {
            event: part.event,
            expected: part.expected,
            got: EntitySet::default(),
            opened_at: offset,
            time: part.time,
            features: Vec::with_capacity(part.features.len() * 4),
            entities: Vec::new(),
            payment: None,
        };
        gather.take(part);
        gather
    }

    /// Adds a part, if it is of this event and the first of its kind.
    pub fn add(&mut self, part: &Part<'_>) -> PartOutcome {
        if part.event != self.event {
            return PartOutcome::Foreign;
        }
        if self.got.contains(part.kind) {
            return PartOutcome::Repeated;
        }
        self.take(part);
        PartOutcome::Added
    }

    /// Whether every expected part has come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.got.covers(self.expected)
    }

    /// The kinds whose part has not come.
    #[must_use]
    pub fn missing(&self) -> EntitySet {
        self.expected.without(self.got)
    }

    /// The part of the payment's own entity, which each of the others expects, may name one more: a customer whom it is linked to.
    fn take(&mut self, part: &Part<'_>) {
        self.expected = self.expected.union(part.expected);
        self.got = self.got.with(part.kind);
        self.features.extend_from_slice(&part.features);
        self.entities.push((part.kind, part.entity.into()));
        if let Some(context) = &part.context {
            self.payment = Some(OwnedContext::from(context));
        }
    }
}

impl From<&PaymentContext<'_>> for OwnedContext {
    fn from(context: &PaymentContext<'_>) -> OwnedContext {
        let owned = |text: Option<&str>| text.map(Into::into);
        OwnedContext {
            payment_id: context.payment_id.into(),
            amount_minor: context.amount_minor,
            currency: context.currency.into(),
            channel: owned(context.channel),
            card_country: owned(context.card_country),
            ip_country: owned(context.ip_country),
            billing_country: owned(context.billing_country),
            shipping_country: owned(context.shipping_country),
        }
    }
}

impl OwnedContext {
    /// As rules take it.
    #[must_use]
    pub fn borrowed(&self) -> PaymentContext<'_> {
        PaymentContext {
            payment_id: &self.payment_id,
            amount_minor: self.amount_minor,
            currency: &self.currency,
            channel: self.channel.as_deref(),
            card_country: self.card_country.as_deref(),
            ip_country: self.ip_country.as_deref(),
            billing_country: self.billing_country.as_deref(),
            shipping_country: self.shipping_country.as_deref(),
        }
    }
}
