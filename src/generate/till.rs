//! Payments in stores: an attempt and its result, with a store and a terminal instead of a visitor.

use super::catalogue::{Line, Tariff};
use super::change::{ChangeKind, Part, TERMINAL};
use super::json::Json;
use super::oddity::Nature;
use super::payment::{Outcome, Payment};
use super::person::Person;
use super::random::Random;
use super::sale::Sale;
use super::stage::{Shop, Stage};

/// Stores, numbered from 1.
pub(super) const STORES: u64 = 120;
const TERMINALS: u64 = 6;

/// Attempts that are approved, in a thousand.
const APPROVED_PER_MILLE: u64 = 960;

/// Customers who show their customer card, in a thousand.
const SHOWS_CUSTOMER_CARD_PER_MILLE: u64 = 300;

/// Somebody who pays at a till.
#[derive(Debug)]
pub(super) struct Till {
    step: Step,
    payment: Payment,
    lines: Vec<Line>,
    /// The transaction that ends what was written last.
    sale: Option<Sale>,
    country: &'static str,
    customer: Option<u64>,
    store: u64,
    terminal: u64,
    is_stolen: bool,
    /// Whether the bank tells of the money it took, in an event that the contract does not know.
    tells_of_capture: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Attempt,
    Result,
    Captured,
}

impl Till {
    pub(super) fn new(
        shop: &Shop,
        payment: u64,
        now_ms: i64,
        tells_of_capture: bool,
        random: &mut Random,
    ) -> Till {
        let person = shop.somebody(random);
        let shows_card = person.is_customer && random.per_mille(SHOWS_CUSTOMER_CARD_PER_MILLE);
        let (payment, lines) = purchase(shop, &person, payment, now_ms, random);
        let usual = (store(shop, payment.number, now_ms, random), 1 + random.below(TERMINALS));
        let thieves = shop
            .changes
            .of_kind(ChangeKind::Terminal, now_ms)
            .find(|planted| shop.dice_of(planted, payment.number).share(planted.change.strength()));
        let (store, terminal) = thieves.map_or(usual, |_| TERMINAL);
        Till {
            is_stolen: thieves.is_some(),
            step: Step::Attempt,
            payment,
            lines,
            sale: None,
            country: person.country,
            customer: shows_card.then_some(person.number),
            store,
            terminal,
            tells_of_capture,
        }
    }

    pub(super) fn nature(&self) -> Nature {
        if self.step == Step::Captured { Nature::Unknown } else { Nature::Paying }
    }

    /// Of which part of the traffic it is.
    pub(super) fn part(&self) -> Part {
        Part {
            channel: "store",
            country: Some(self.country),
            store: Some(self.store),
            payment: Some(self.payment.number),
        }
    }

    /// The transaction that ends what was written last, if it ends.
    pub(super) fn sale(&mut self) -> Option<Sale> {
        self.sale.take()
    }

    /// Writes the record of this step. Returns after how many milliseconds the next step follows,
    /// if any.
    pub(super) fn act(&mut self, stage: &mut Stage<'_>) -> Option<i64> {
        match self.step {
            Step::Attempt => {
                self.finish(self.payment.open_attempt(stage));
                if let Some(attempt) = &mut stage.draft.attempt {
                    attempt.till = Some((self.store, self.terminal));
                    attempt.is_stolen = self.is_stolen;
                }
                self.step = Step::Result;
                Some(stage.random.between(700, 3_500))
            }
            Step::Result => {
                let outcome = Outcome::draw(APPROVED_PER_MILLE, stage.random);
                self.finish(self.payment.open_result(outcome, stage));
                self.step = Step::Captured;
                if stage.shop.is_whole {
                    self.sale = Some(self.rung_up(outcome, stage.random));
                }
                (self.tells_of_capture && outcome.is_approved())
                    .then(|| stage.random.between(60_000, 600_000))
            }
            Step::Captured => {
                self.finish(stage.open_payment("payment_captured", self.payment.number, self.payment.card));
                None
            }
        }
    }

    fn rung_up(&mut self, outcome: Outcome, random: &mut Random) -> Sale {
        Sale {
            customer: self.customer,
            store: self.store,
            terminal: self.terminal,
            payment: self.payment,
            lines: std::mem::take(&mut self.lines),
            is_approved: outcome.is_approved(),
            is_offline: Sale::draw_offline(random),
        }
    }

    fn finish(&self, json: &mut Json) {
        if let Some(customer) = self.customer {
            json.raw(",\"customer_id\":\"c-").padded(customer, 6).raw("\"");
        }
        json.raw(",\"store_id\":\"store-").padded(self.store, 3);
        json.raw("\",\"terminal_id\":\"store-").padded(self.store, 3).raw("-t").padded(self.terminal, 1);
        json.raw("\",\"channel\":\"store\",\"card_country\":\"").raw(self.country).raw("\"}");
    }
}

/// The store in which the payment of that number is made: one that has opened has its share, from all the others alike.
fn store(shop: &Shop, payment: u64, now_ms: i64, random: &mut Random) -> u64 {
    let usual = 1 + random.below(STORES);
    let mut new = shop.changes.new_stores(now_ms);
    let chosen = new.find(|(_, planted)| shop.dice_of(planted, payment).share(planted.change.strength()));
    chosen.map_or(usual, |(place, _)| STORES + place)
}

/// A payment for one to four things.
fn purchase(
    shop: &Shop,
    person: &Person,
    number: u64,
    now_ms: i64,
    random: &mut Random,
) -> (Payment, Vec<Line>) {
    let things = random.between(1, 5);
    let tariff = Tariff { currency: person.currency, level: shop.changes.price_level(now_ms) };
    let lines: Vec<Line> =
        (0..things).map(|_| Line { item: shop.catalogue.popular(random).number, quantity: 1 }).collect();
    let amount_minor = lines.iter().map(|line| shop.catalogue.item(line.item).price_minor(tariff)).sum();
    (Payment { number, card: person.card(random.below(2)), amount_minor, tariff }, lines)
}
