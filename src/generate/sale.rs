//! Transactions of tills: what a store sold, after the card was asked, void if the card was declined.

use super::RawTopic;
use super::catalogue::Line;
use super::change::Part;
use super::oddity::Nature;
use super::payment::Payment;
use super::random::Random;
use super::stage::Stage;
use crate::time::EventTime;

/// Transactions that are rung up while the till has no connection, in a thousand.
const OFFLINE_PER_MILLE: u64 = 10;

/// Transactions with which something comes back, in a thousand.
const WITH_RETURN_PER_MILLE: u64 = 40;

/// Transactions on which a coupon takes a tenth off one thing beside what was paid, in a thousand.
const WITH_COUPON_PER_MILLE: u64 = 60;

/// A till's customer at its end.
#[derive(Debug)]
pub(super) struct Sale {
    /// The number of a loyalty card's owner, where one was shown.
    pub(super) customer: Option<u64>,
    pub(super) store: u64,
    pub(super) terminal: u64,
    pub(super) payment: Payment,
    pub(super) lines: Vec<Line>,
    pub(super) is_approved: bool,
    pub(super) is_offline: bool,
}

impl Sale {
    /// Whether a till that rings up a transaction now has no connection.
    pub(super) fn draw_offline(random: &mut Random) -> bool {
        random.per_mille(OFFLINE_PER_MILLE)
    }

    pub(super) fn nature(&self) -> Nature {
        if self.is_offline { Nature::Offline } else { Nature::Paying }
    }

    /// Of which part of the traffic it is.
    pub(super) fn part(&self) -> Part {
        Part { channel: "store", country: None, store: Some(self.store), payment: Some(self.payment.number) }
    }

    /// Writes the record. A transaction is one, so nothing follows.
    pub(super) fn act(&self, stage: &mut Stage<'_>) {
        let comes_back = stage.random.per_mille(WITH_RETURN_PER_MILLE);
        let has_coupon = stage.random.per_mille(WITH_COUPON_PER_MILLE);
        let returned = comes_back.then(|| stage.shop.catalogue.popular(stage.random));
        self.head(stage);
        self.lines(has_coupon, returned.map(|item| item.number), stage);
        let back_minor = returned.map_or(0, |item| item.price_minor(self.payment.tariff));
        self.tenders(back_minor, stage);
        stage.draft.value.raw("}");
    }

    fn head(&self, stage: &mut Stage<'_>) {
        let day = business_day(EventTime(stage.fate.event_time_ms));
        stage.draft.key.raw("store-").padded(self.store, 3);
        let json = stage.open_on(RawTopic::Pos, "pos_transaction");
        json.raw(",\"store_id\":\"store-").padded(self.store, 3);
        json.raw("\",\"workstation_id\":\"store-").padded(self.store, 3).raw("-t").padded(self.terminal, 1);
        // numbers of a till rise, and no two of its transactions share one
        json.raw("\",\"sequence_number\":").padded(self.payment.number, 1);
        json.raw(",\"business_day\":\"").raw(&day).raw("\",\"time_zone\":\"Etc/UTC\"");
        json.raw(",\"currency\":\"").raw(self.payment.tariff.currency.code()).raw("\"");
        if let Some(customer) = self.customer {
            json.raw(",\"loyalty_id\":\"l-").padded(customer, 6).raw("\"");
        }
        if !self.is_approved {
            json.raw(",\"is_void\":true");
        }
        if self.is_offline {
            json.raw(",\"is_offline\":true");
        }
    }

    fn lines(&self, has_coupon: bool, returned: Option<usize>, stage: &mut Stage<'_>) {
        let shop = stage.shop;
        let json = stage.draft.value.raw(",\"lines\":[");
        for (place, line) in self.lines.iter().enumerate() {
            let item = shop.catalogue.item(line.item);
            let amount_minor = item.price_minor(self.payment.tariff) * line.quantity;
            json.raw(if place == 0 { "{" } else { ",{" }).raw(&item.sold);
            json.raw(",\"quantity\":").number(line.quantity).raw(",\"amount_minor\":").number(amount_minor);
            if has_coupon && place == 0 {
                json.raw(",\"coupon\":\"TENTH\",\"discount_minor\":").number(amount_minor / 9);
            }
            json.raw("}");
        }
        if let Some(item) = returned.map(|number| shop.catalogue.item(number)) {
            json.raw(",{").raw(&item.sold).raw(",\"is_return\":true,\"amount_minor\":");
            json.number(item.price_minor(self.payment.tariff)).raw("}");
        }
        json.raw("]");
    }

    /// The card pays for what was bought; what came back is paid out in cash.
    fn tenders(&self, back_minor: i64, stage: &mut Stage<'_>) {
        let json = stage.draft.value.raw(",\"tenders\":[{\"kind\":\"card\",\"amount_minor\":");
        json.number(self.payment.amount_minor);
        stage.card(self.payment.card);
        let json = stage.draft.value.raw("}");
        if back_minor > 0 {
            json.raw(",{\"kind\":\"cash\",\"amount_minor\":").number(-back_minor).raw("}");
        }
        json.raw("]");
    }
}

/// The day on which a store books what it sells at `time`: that of UTC, in which its clocks go.
fn business_day(time: EventTime) -> String {
    let time = jiff::Timestamp::from_millisecond(time.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_books_on_the_day_of_its_clock() {
        assert_eq!(business_day(EventTime(1_767_571_200_000 - 1)), "2026-01-04");
        assert_eq!(business_day(EventTime(1_767_571_200_000)), "2026-01-05");
    }
}
