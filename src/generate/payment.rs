//! Payment events, wherever the payment is made.

use super::catalogue::Tariff;
use super::json::Json;
use super::random::Random;
use super::stage::{Attempt, Stage};

/// A payment from its attempt to its result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payment {
    /// Its number; its id is made of it.
    pub(super) number: u64,
    /// The number of the card.
    pub(super) card: u64,
    /// In minor units of the tariff's currency.
    pub(super) amount_minor: i64,
    pub(super) tariff: Tariff,
}

/// How a payment ends: its status and, if it fails, a reason code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) status: &'static str,
    pub(super) reason_code: Option<&'static str>,
}

const DECLINED_FOR: [(&str, u64); 5] = [
    ("insufficient_funds", 380),
    ("do_not_honor", 290),
    ("incorrect_cvc", 150),
    ("expired_card", 110),
    ("limit_exceeded", 70),
];

impl Outcome {
    /// The outcome of a payment that is approved so many times in a thousand. Of the others most
    /// are declined.
    pub(super) fn draw(approved_per_mille: u64, random: &mut Random) -> Outcome {
        if random.per_mille(approved_per_mille) {
            return Outcome { status: "approved", reason_code: None };
        }
        match random.weighted(&[("declined", 850), ("error", 80), ("cancelled", 70)]) {
            "declined" => Outcome { status: "declined", reason_code: Some(random.weighted(&DECLINED_FOR)) },
            "error" => Outcome { status: "error", reason_code: Some("issuer_unavailable") },
            status => Outcome { status, reason_code: None },
        }
    }

    pub(super) fn is_approved(self) -> bool {
        self.status == "approved"
    }
}

impl Payment {
    /// Begins `payment_attempted`, up to the currency.
    pub(super) fn open_attempt<'a>(&self, stage: &'a mut Stage<'_>) -> &'a mut Json {
        stage.draft.attempt = Some(Attempt {
            payment: self.number,
            card: self.card,
            amount_minor: self.amount_minor,
            currency: self.tariff.currency,
            till: None,
            is_stolen: false,
        });
        self.amount(stage.open_payment("payment_attempted", self.number, self.card))
    }

    /// Begins `payment_result`, up to the currency.
    pub(super) fn open_result<'a>(&self, outcome: Outcome, stage: &'a mut Stage<'_>) -> &'a mut Json {
        let json = stage.open_payment("payment_result", self.number, self.card);
        json.raw(",\"status\":\"").raw(outcome.status).raw("\"");
        if let Some(reason_code) = outcome.reason_code {
            json.raw(",\"reason_code\":\"").raw(reason_code).raw("\"");
        }
        self.amount(json)
    }

    fn amount<'a>(&self, json: &'a mut Json) -> &'a mut Json {
        json.raw(",\"amount_minor\":").number(self.amount_minor);
        json.raw(",\"currency\":\"").raw(self.tariff.currency.code()).raw("\"")
    }
}
