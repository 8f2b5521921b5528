//! Who says beforehand that the shop changes something: what moves then is to be expected.

use super::change::Planted;
use super::record::RawTopic;
use super::stage::Stage;
use crate::event::alert::CHANGE_SECONDS_MAX;

/// What is announced.
#[derive(Debug)]
pub(super) struct Announcement {
    change_id: String,
    from_ms: i64,
    for_seconds: i64,
}

impl Announcement {
    /// Of a change, and when it is known to the shop; none if nobody says anything.
    pub(super) fn of(planted: &Planted) -> Option<(i64, Announcement)> {
        let truth = planted.truth();
        let from_ms = truth.at_ms.0;
        let for_seconds = truth.until_ms.map_or(CHANGE_SECONDS_MAX, |until| until.since(truth.at_ms) / 1_000);
        let for_seconds = for_seconds.clamp(1, CHANGE_SECONDS_MAX);
        let change_id = format!("{}-{from_ms}", planted.name());
        truth.announced_ms.map(|at| (at.0, Announcement { change_id, from_ms, for_seconds }))
    }

    pub(super) fn write(&self, stage: &mut Stage<'_>) {
        stage.draft.key.raw(&self.change_id);
        let json = stage.open_on(RawTopic::Announcements, "change_announced");
        json.raw(",\"change_id\":\"")
            .raw(&self.change_id)
            .raw("\",\"what\":\"a sale\",\"by\":\"merchandise\"");
        json.raw(",\"from_ms\":").number(self.from_ms);
        json.raw(",\"for_seconds\":").number(self.for_seconds).raw("}");
    }
}
