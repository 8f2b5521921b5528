//! Sessions as public records.

use super::facts::{CATEGORIES_MAX, Counts, Facts, Prices, keep_first};
use super::operator::{OpenSession, SessionId, SessionOutput, Standing};
use crate::event::public::{
    Campaign, MissedSession, Outcome, PriceLevel, SessionFeatures, SessionRecord, Text,
};
use crate::time::EventTime;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The public record of a revision; none for other outputs.
#[must_use]
pub fn session_record<'a>(visitor: &'a str, output: &'a SessionOutput) -> Option<SessionRecord<'a>> {
    let SessionOutput::Revision { id, revision, supersedes, standing, start, end, facts } = output else {
        return None;
    };
    let Counts {
        events,
        page_views,
        item_views,
        searches,
        cart_adds,
        cart_removes,
        checkouts,
        purchases: _,
        refunds,
        other_events,
    } = facts.counts;
    Some(SessionRecord {
        visitor_id: Cow::Borrowed(visitor),
        session_id: id_text(*id),
        revision: *revision,
        supersedes: supersedes.iter().map(|id| id_text(*id)).collect(),
        is_final: *standing != Standing::Open,
        start_ms: *start,
        end_ms: *end,
        duration_ms: end.since(*start),
        customer_id: facts.customer.as_ref().map(|customer| Cow::Borrowed(&*customer.value)),
        device_id: facts.device.as_ref().map(|device| Cow::Borrowed(&*device.value)),
        events,
        page_views,
        item_views,
        searches,
        cart_adds,
        cart_removes,
        checkouts,
        purchases: purchases(facts),
        refunds,
        other_events,
        revenue_minor: revenue(facts),
        categories: categories(facts),
        last_items: last_items(facts),
        cart: cart(facts),
        landing_page: facts.landing_page.as_ref().map(|page| Cow::Borrowed(&*page.value)),
        exit_page: facts.exit_page.as_ref().map(|page| Cow::Borrowed(&*page.value)),
        campaign: facts.campaign.as_ref().map(|campaign| {
            let (source, medium, name) = &campaign.value;
            Campaign { source: text(source), medium: text(medium), name: text(name) }
        }),
        outcome: outcome(facts),
    })
}

/// The features of a running session.
#[must_use]
pub fn session_features<'a>(visitor: &'a str, session: &'a OpenSession) -> SessionFeatures<'a> {
    let facts = &session.facts;
    SessionFeatures {
        visitor_id: Cow::Borrowed(visitor),
        session_id: id_text(SessionId::new(visitor, session.start)),
        event_time_ms: session.end,
        depth: facts.counts.page_views + facts.counts.item_views,
        events: facts.counts.events,
        dwell_ms: session.end.since(session.start),
        searches: facts.counts.searches,
        item_views: facts.counts.item_views,
        cart_adds: facts.counts.cart_adds,
        checkouts: facts.counts.checkouts,
        purchases: purchases(facts),
        categories: categories(facts),
        price_level: facts.prices.map(price_level),
        cart: cart(facts),
        last_items: last_items(facts),
    }
}

/// A closed session in a late record.
#[must_use]
pub fn missed_session(id: SessionId, start: EventTime, end: EventTime) -> MissedSession<'static> {
    MissedSession { session_id: id_text(id), start_ms: start, end_ms: end }
}

fn id_text<'a>(id: SessionId) -> Text<'a> {
    Cow::Owned(id.to_string())
}

fn text(text: &Option<Box<str>>) -> Option<Text<'_>> {
    text.as_deref().map(Cow::Borrowed)
}

fn borrowed<V: Copy>(map: &BTreeMap<Box<str>, V>) -> BTreeMap<Text<'_>, V> {
    map.iter().map(|(key, value)| (Cow::Borrowed(&**key), *value)).collect()
}

/// How often something was bought; what names one order counts once.
#[must_use]
pub fn purchases(facts: &Facts) -> u32 {
    facts.counts.purchases + facts.orders.count()
}

/// Purchases less refunds, in minor units by currency.
#[must_use]
pub fn revenue(facts: &Facts) -> BTreeMap<Text<'_>, i64> {
    let mut revenue = borrowed(&facts.revenue_minor);
    for (currency, value) in facts.orders.iter().filter_map(|order| order.value.as_ref()) {
        *revenue.entry(Cow::Borrowed(&**currency)).or_default() += value;
    }
    revenue
}

/// Adds how often something was bought, and for how much less refunds, in minor units by currency.
pub fn add_bought(facts: &Facts, (count, money): &mut (u32, BTreeMap<Box<str>, i64>)) {
    *count += purchases(facts);
    for (currency, minor) in revenue(facts) {
        *money.entry(currency.into()).or_default() += minor;
    }
}

fn categories(facts: &Facts) -> BTreeMap<Text<'_>, u32> {
    let mut categories = borrowed(&facts.categories);
    for category in facts.orders.items().filter_map(|bought| bought.category.as_deref()) {
        *categories.entry(Cow::Borrowed(category)).or_default() += 1;
    }
    keep_first(&mut categories, CATEGORIES_MAX);
    categories
}

fn cart(facts: &Facts) -> BTreeMap<Text<'_>, u32> {
    let mut cart = borrowed(&facts.cart);
    for bought in facts.orders.items() {
        if let Some(pieces) = cart.get_mut(&*bought.item) {
            *pieces -= i64::from(bought.pieces);
        }
    }
    let above_zero =
        |(item, pieces)| u32::try_from(pieces).ok().filter(|pieces| *pieces > 0).map(|pieces| (item, pieces));
    cart.into_iter().filter_map(above_zero).collect()
}

fn last_items(facts: &Facts) -> Vec<Text<'_>> {
    facts.last_items.iter().map(|(_, item)| Cow::Borrowed(&**item)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a sum of prices in minor units stays below 2^53")]
fn price_level(prices: Prices) -> PriceLevel {
    PriceLevel {
        mean_minor: prices.sum_minor as f64 / f64::from(prices.views),
        min_minor: prices.min_minor,
        max_minor: prices.max_minor,
    }
}

fn outcome(facts: &Facts) -> Outcome {
    let counts = &facts.counts;
    if purchases(facts) > 0 {
        Outcome::Purchased
    } else if counts.checkouts > 0 {
        Outcome::CheckoutAbandoned
    } else if counts.cart_adds > 0 {
        Outcome::CartAbandoned
    } else if counts.events > 1 {
        Outcome::Browsed
    } else {
        Outcome::Bounced
    }
}
