//! What planted changes do to a record once it is written: its producer, or the way to us, has changed, not the shop.

use super::change::{Change, ChangeKind, Part, Planted};
use super::json::Json;
use super::record::RawTopic;
use super::stage::{Draft, Shop};

/// No amount may be larger, by the contract.
const AMOUNT_MINOR_MAX: f64 = 1e12;

/// Lets what goes on at `now_ms` happen to the record of event `event`. Returns whether it comes at all.
pub(super) fn alter(draft: &mut Draft, part: &Part, event: u64, now_ms: i64, shop: &Shop) -> bool {
    let number = part.payment.unwrap_or(event);
    shop.changes
        .going_on(now_ms)
        .filter(|planted| planted.change.source() == draft.topic && planted.concerns(part))
        .all(|planted| apply(planted, &mut draft.value, number, shop))
}

/// Whether whoever sends such records at `now_ms` is of a new version, which sends them otherwise.
pub(super) fn is_sent_otherwise(topic: RawTopic, part: &Part, now_ms: i64, shop: &Shop) -> bool {
    let is_of_a_producer =
        |kind| matches!(kind, ChangeKind::Unit | ChangeKind::Missing | ChangeKind::Categories);
    shop.changes.going_on(now_ms).any(|planted| {
        let change = &planted.change;
        is_of_a_producer(change.kind()) && change.source() == topic && planted.concerns(part)
    })
}

fn apply(planted: &Planted, json: &mut Json, number: u64, shop: &Shop) -> bool {
    let change = &planted.change;
    let happens = || shop.dice_of(planted, number).share(change.strength());
    let field = change.field().unwrap_or_default();
    match change.kind() {
        ChangeKind::Unit => scale(json, field, change),
        ChangeKind::Missing if happens() => json.remove(field),
        ChangeKind::Categories if happens() => json.replace(field, &format!("\"{}\"", change.to())),
        ChangeKind::Silent => return !happens(),
        _ => {}
    }
    true
}

fn scale(json: &mut Json, field: &str, change: &Change) {
    let Some(amount) = json.member(field).and_then(|text| text.parse::<f64>().ok()) else {
        return;
    };
    #[expect(clippy::cast_possible_truncation, reason = "a whole number up to 10¹²")]
    let scaled = (amount * change.strength()).round().clamp(1.0, AMOUNT_MINOR_MAX) as i64;
    json.replace(field, &scaled.to_string());
}
