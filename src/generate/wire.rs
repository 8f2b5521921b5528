//! What planted changes do to a record once it is written: its producer, or the way to us, has changed, not the shop.

use super::change::{Change, ChangeKind, Part, Planted};
use super::json::Json;
use super::stage::{Draft, Shop};

/// No amount may be larger, by the contract.
const AMOUNT_MINOR_MAX: f64 = 1e12;

/// Lets what goes on at `now_ms` happen to the record of event `event`.
pub(super) fn alter(draft: &mut Draft, part: &Part, now_ms: i64, shop: &Shop) {
    for planted in shop.changes.going_on(now_ms) {
        let topic = draft.topic;
        if planted.change.source() == topic && planted.concerns(part) {
            apply(planted, &mut draft.value);
        }
    }
}

fn apply(planted: &Planted, json: &mut Json) {
    match planted.change.kind() {
        ChangeKind::Unit => scale(json, &planted.change),
    }
}

fn scale(json: &mut Json, change: &Change) {
    let Some(amount) = json.member("amount_minor").and_then(|text| text.parse::<f64>().ok()) else {
        return;
    };
    #[expect(clippy::cast_possible_truncation, reason = "a whole number up to 10¹²")]
    let scaled = (amount * change.strength()).round().clamp(1.0, AMOUNT_MINOR_MAX) as i64;
    json.replace("amount_minor", &scaled.to_string());
}
