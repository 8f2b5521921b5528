//! The patterns that a detector should find.

use super::catalogue::{Currency, Level, Tariff};
use super::payment::{Outcome, Payment};
use super::random::Random;
use super::stage::{PlantedRecord, Shop, Stage};
use super::truth::Truth;
use crate::time::EventTime;

/// Attempts of a card tester, at most (60) less than this: a pattern's cards are numbered apart.
const CARDS_PER_PATTERN: u64 = 64;

/// Card numbers from here on belong to card testers; people's cards end at 2³³.
const FIRST_STOLEN_CARD: u64 = 1 << 40;

/// Attempts with stolen cards that are approved, in a thousand.
const APPROVED_PER_MILLE: u64 = 120;

const MINUTE_MS: i64 = 60_000;

/// Where a planted pattern comes from: nobody else uses its device, and no ordinary visitor its ip.
#[derive(Debug, Clone)]
struct Origin {
    /// The place of the pattern among all; also its device's and visitor's number, counted after
    /// the people.
    pattern: usize,
    visitor: u64,
    ip: String,
}

impl Origin {
    fn new(shop: &Shop, pattern: usize) -> Origin {
        // 97 has no divisor in common with 254: 254 patterns in a row have different addresses.
        let host = 1 + pattern * 97 % 254;
        let visitor = shop.people + pattern as u64;
        Origin { pattern, visitor, ip: format!("203.0.113.{host}") }
    }

    fn visitor_id(&self) -> String {
        format!("v-{:06}", self.visitor)
    }

    fn device_id(&self) -> String {
        format!("d-{:06}-1", self.visitor)
    }
}

/// One device that tries out stolen cards: 15 to 60 in 5 to 10 minutes, 0.50 to 3.00 € each.
#[derive(Debug)]
pub(super) struct CardTester {
    origin: Origin,
    attempts_left: u64,
    /// The pace: one attempt per so many milliseconds.
    pace_ms: i64,
    /// The payment that is under way, and when the next attempt follows its result.
    under_way: Option<(Payment, i64)>,
}

impl CardTester {
    /// A tester who is done within `duration_ms_max`, if that is shorter than usual.
    pub(super) fn new(shop: &Shop, pattern: usize, duration_ms_max: i64, random: &mut Random) -> CardTester {
        let attempts = random.between(15, 61);
        let duration_ms = random.between(5 * MINUTE_MS, 10 * MINUTE_MS).min(duration_ms_max);
        CardTester {
            origin: Origin::new(shop, pattern),
            attempts_left: attempts.unsigned_abs(),
            pace_ms: (duration_ms / attempts).max(4),
            under_way: None,
        }
    }

    /// What there is to say of it before its first record.
    pub(super) fn truth(&self) -> Truth {
        Truth::CardTesting {
            id: format!("card-testing-{}", self.origin.pattern / 2 + 1),
            start_ms: EventTime::MAX,
            end_ms: EventTime(0),
            visitor_id: self.origin.visitor_id(),
            device_id: self.origin.device_id(),
            ip: self.origin.ip.clone(),
            cards: Vec::new(),
            payment_ids: Vec::new(),
            records: 0,
        }
    }

    /// Writes the next attempt or its result. Returns after how many milliseconds the next step
    /// follows, if any.
    pub(super) fn act(&mut self, stage: &mut Stage<'_>) -> Option<i64> {
        match self.under_way.take() {
            None => Some(self.attempt(stage)),
            Some((payment, pause_ms)) => {
                let outcome = Outcome::draw(APPROVED_PER_MILLE, stage.random);
                let json = payment.open_result(outcome, stage);
                json.raw(",\"visitor_id\":\"v-").padded(self.origin.visitor, 6).raw("\"");
                json.device(self.origin.visitor, 1, &self.origin.ip).raw("}");
                stage.draft.planted = Some(PlantedRecord { pattern: self.origin.pattern, attempt: None });
                (self.attempts_left > 0).then_some(pause_ms)
            }
        }
    }

    fn attempt(&mut self, stage: &mut Stage<'_>) -> i64 {
        self.attempts_left = self.attempts_left.saturating_sub(1);
        let number = stage.next_payment();
        let payment = Payment {
            number,
            card: FIRST_STOLEN_CARD + self.origin.pattern as u64 * CARDS_PER_PATTERN + self.attempts_left,
            amount_minor: stage.random.between(50, 301),
            tariff: Tariff { currency: Currency::Eur, level: Level::USUAL },
        };
        let card_country = stage.random.pick(&["DE", "FR", "US", "GB", "BR", "PL", "CA", "ES"]);
        let json = payment.open_attempt(stage);
        json.raw(",\"visitor_id\":\"v-").padded(self.origin.visitor, 6).raw("\"");
        json.device(self.origin.visitor, 1, &self.origin.ip);
        json.raw(",\"channel\":\"online\",\"card_country\":\"").raw(card_country);
        json.raw("\",\"ip_country\":\"NL\",\"billing_country\":\"").raw(card_country).raw("\"}");
        stage.draft.planted = Some(PlantedRecord { pattern: self.origin.pattern, attempt: Some(number) });
        // The result follows soon, the next attempt at the tester's pace: a quarter early to a
        // quarter late.
        let result_ms = stage.random.between(300, 1_500).min(self.pace_ms / 2);
        let jitter_ms = stage.random.between(-self.pace_ms / 4, self.pace_ms / 4);
        self.under_way = Some((payment, self.pace_ms + jitter_ms - result_ms));
        result_ms
    }
}

/// A machine that reads the catalogue, item after item, one every 300 to 900 ms, for 2 to 6
/// minutes.
#[derive(Debug)]
pub(super) struct Bot {
    origin: Origin,
    place: usize,
    /// How long it goes on, in milliseconds.
    left_ms: i64,
}

impl Bot {
    /// A bot that is done within `duration_ms_max`, if that is shorter than usual.
    pub(super) fn new(shop: &Shop, pattern: usize, duration_ms_max: i64, random: &mut Random) -> Bot {
        let first = random.below(shop.catalogue.len() as u64);
        Bot {
            origin: Origin::new(shop, pattern),
            place: usize::try_from(first).unwrap_or(0),
            left_ms: random.between(2 * MINUTE_MS, 6 * MINUTE_MS).min(duration_ms_max),
        }
    }

    /// What there is to say of it before its first record.
    pub(super) fn truth(&self) -> Truth {
        Truth::Bot {
            id: format!("bot-{}", self.origin.pattern / 2 + 1),
            start_ms: EventTime::MAX,
            end_ms: EventTime(0),
            visitor_id: self.origin.visitor_id(),
            device_id: self.origin.device_id(),
            ip: self.origin.ip.clone(),
            records: 0,
        }
    }

    /// Writes a look at the next item. Returns after how many milliseconds the next one follows, if
    /// any.
    pub(super) fn act(&mut self, stage: &mut Stage<'_>) -> Option<i64> {
        let shop = stage.shop;
        let item = shop.catalogue.item(self.place);
        let level = shop.changes.price_level(stage.now_ms);
        let euros = Tariff { currency: Currency::Eur, level };
        let json = stage.open_click("view_item", self.origin.visitor);
        json.device(self.origin.visitor, 1, &self.origin.ip);
        json.raw(",\"page_location\":\"https://shop.example/p/").raw(&item.sku);
        json.raw("\",\"currency\":\"EUR\",\"items\":[{").raw(&item.described);
        json.raw(",\"price_minor\":").number(item.price_minor(euros)).raw("}]}");
        stage.draft.planted = Some(PlantedRecord { pattern: self.origin.pattern, attempt: None });
        self.place += 1;
        let pause_ms = stage.random.between(300, 900);
        self.left_ms -= pause_ms;
        (self.left_ms > 0).then_some(pause_ms)
    }
}
