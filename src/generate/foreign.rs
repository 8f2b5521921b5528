//! A model that is not ours: what somebody else's service predicted of payments, and what came of it.
//!
//! It says how probable it is that what was paid for comes back. That is a logistic function of what it reads, and what comes of it is
//! drawn with this probability, so its scores are as right as scores can be, until a change makes noise of them.

use super::RawTopic;
use super::catalogue::Currency;
use super::change::{ChangeKind, Part};
use super::random::Random;
use super::stage::{Attempt, Shop, Stage};

/// A prediction is made so long after the payment that it is about.
const AFTER_MS: (i64, i64) = (100, 400);

/// What came of it is known after ten minutes to six hours.
const KNOWN_AFTER_MS: (i64, i64) = (600_000, 21_600_000);

/// From this score on the service asks for a deposit.
const DEPOSIT_FROM: f64 = 0.5;

/// Predictions without a decision, in a thousand: the service was asked and did nothing.
const WITHOUT_DECISION_PER_MILLE: u64 = 50;

/// A prediction on its way, or what came of one.
#[derive(Debug)]
pub(super) struct Foreign {
    step: Step,
    /// The payment.
    number: u64,
    part: Part,
    currency: Currency,
    amount_minor: i64,
    inputs: Inputs,
    /// The probability that it comes back.
    probability: f64,
    /// When its label follows, if it does.
    known_after_ms: Option<i64>,
    comes_back: bool,
    has_decision: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Prediction,
    Label,
}

/// What the model reads beside amount and channel.
#[derive(Debug, Clone, Copy)]
struct Inputs {
    /// What the customer sent back in the last ninety days.
    returns_90d: i64,
    is_gift: bool,
    /// Whole percents; unknown of some.
    discount_percent: Option<i64>,
    delivery: &'static str,
}

impl Inputs {
    fn draw(dice: &mut Random) -> Inputs {
        Inputs {
            returns_90d: dice.weighted(&[(0, 550), (1, 220), (2, 120), (3, 60), (5, 50)]),
            is_gift: dice.per_mille(120),
            discount_percent: dice.weighted(&[
                (Some(0), 600),
                (Some(10), 180),
                (Some(20), 120),
                (Some(40), 60),
                (None, 40),
            ]),
            delivery: dice.weighted(&[("home", 620), ("locker", 260), ("pickup", 120)]),
        }
    }

    /// The probability that a payment of `amount_minor` with these comes back.
    fn probability(&self, amount_minor: i64, is_in_store: bool) -> f64 {
        let large = (amount_minor.clamp(0, 40_000) as f64) / 20_000.0;
        let yes = |is_so: bool, weight: f64| if is_so { weight } else { 0.0 };
        logistic(
            -2.6 + 0.9 * large
                + 0.7 * self.returns_90d.min(4) as f64
                + yes(self.is_gift, -0.8)
                + 0.02 * self.discount_percent.unwrap_or(0) as f64
                + yes(self.delivery == "pickup", -0.6)
                + yes(is_in_store, -0.9),
        )
    }
}

impl Foreign {
    /// What is predicted of `attempt`, and after how many milliseconds. If anything becomes known at all, then of each whether it came back.
    pub(super) fn new(attempt: Attempt, part: Part, is_known: bool, shop: &Shop) -> (i64, Foreign) {
        let Attempt { payment: number, currency, amount_minor, .. } = attempt;
        let mut dice = shop.foreign_dice(number);
        let inputs = Inputs::draw(&mut dice);
        let probability = inputs.probability(amount_minor, part.channel == "store");
        let known_after_ms = dice.between(KNOWN_AFTER_MS.0, KNOWN_AFTER_MS.1);
        let foreign = Foreign {
            step: Step::Prediction,
            number,
            part,
            currency,
            amount_minor,
            inputs,
            probability,
            known_after_ms: is_known.then_some(known_after_ms),
            comes_back: dice.share(probability),
            has_decision: !dice.per_mille(WITHOUT_DECISION_PER_MILLE),
        };
        (dice.between(AFTER_MS.0, AFTER_MS.1), foreign)
    }

    /// Of which part of the traffic it is.
    pub(super) fn part(&self) -> Part {
        self.part
    }

    /// Writes the record of this step. Returns after how many milliseconds the next step follows, if any.
    pub(super) fn act(&mut self, stage: &mut Stage<'_>) -> Option<i64> {
        match self.step {
            Step::Prediction => {
                self.predict(stage);
                self.step = Step::Label;
                self.known_after_ms
            }
            Step::Label => {
                self.tell(stage);
                None
            }
        }
    }

    fn predict(&self, stage: &mut Stage<'_>) {
        let (shop, now_ms) = (stage.shop, stage.now_ms);
        let score = self.score(now_ms, shop);
        stage.draft.key.raw("pred_").hex(shop.prediction_bits(self.number));
        let json = stage.open_plainly(RawTopic::Predictions, "prediction");
        json.raw(",\"event_time_ms\":").number(now_ms);
        self.named(stage);
        let json = &mut stage.draft.value;
        json.raw(",\"version\":\"3\",\"score\":").millionths(score);
        json.raw(match (self.has_decision, score >= DEPOSIT_FROM) {
            (false, _) => ",\"decision\":null",
            (true, true) => ",\"decision\":\"deposit\"",
            (true, false) => ",\"decision\":\"none\"",
        });
        json.raw(",\"amount_minor\":").number(self.amount_minor);
        json.raw(",\"currency\":\"").raw(self.currency.code()).raw("\",\"segments\":{");
        if let Some(country) = self.part.country {
            json.raw("\"country\":\"").raw(country).raw("\",");
        }
        json.raw("\"channel\":\"").raw(self.part.channel).raw("\"},\"features\":{");
        // a member that a change may take out is not the first
        json.raw(if self.inputs.is_gift { "\"is_gift\":true" } else { "\"is_gift\":false" });
        json.raw(",\"amount\":").number(self.amount_minor);
        json.raw(",\"returns_90d\":").number(self.inputs.returns_90d);
        json.raw(",\"discount_percent\":");
        match self.inputs.discount_percent {
            Some(percent) => json.number(percent),
            None => json.raw("null"),
        };
        json.raw(",\"delivery\":\"").raw(self.inputs.delivery).raw("\"}}");
    }

    fn tell(&self, stage: &mut Stage<'_>) {
        let now_ms = stage.now_ms;
        stage.draft.key.raw("pred_").hex(stage.shop.prediction_bits(self.number));
        let json = stage.open_plainly(RawTopic::Labels, "label");
        json.raw(",\"known_at_ms\":").number(now_ms);
        self.named(stage);
        let outcome = if self.comes_back { "positive" } else { "negative" };
        stage.draft.value.raw(",\"outcome\":\"").raw(outcome).raw("\",\"source\":\"returns\"}");
    }

    /// Appends which prediction of which model it is.
    fn named(&self, stage: &mut Stage<'_>) {
        let model = stage.shop.foreign_model.as_deref().unwrap_or_default();
        let json = stage.draft.value.raw(",\"model\":\"").raw(model);
        json.raw("\",\"prediction_id\":\"pred_").hex(stage.shop.prediction_bits(self.number)).raw("\"");
    }

    /// The score it is given at `now_ms`: its probability, or that of another payment.
    fn score(&self, now_ms: i64, shop: &Shop) -> f64 {
        let noise = shop.changes.of_kind(ChangeKind::Degrades, now_ms).find_map(|planted| {
            let mut dice = shop.dice_of(planted, self.number);
            let is_noise = planted.concerns(&self.part) && dice.share(planted.change.strength());
            is_noise.then(|| {
                let inputs = Inputs::draw(&mut dice);
                inputs.probability(self.amount_minor, self.part.channel == "store")
            })
        });
        noise.unwrap_or(self.probability)
    }
}

/// 1 ÷ (1 + e⁻ˣ) for x from −20 to 20, by + − × ÷ alone, so that no last bit can differ between machines.
fn logistic(x: f64) -> f64 {
    // e^y = (e^(y/1024))^1024, and six terms are exact to 16 digits for y/1024 up to 0.02
    let y = -x.clamp(-20.0, 20.0) / 1_024.0;
    let terms =
        1.0 + y * (1.0 + y / 2.0 * (1.0 + y / 3.0 * (1.0 + y / 4.0 * (1.0 + y / 5.0 * (1.0 + y / 6.0)))));
    let power = (0..10).fold(terms, |power, _| power * power);
    1.0 / (1.0 + power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logistic_function_has_its_values() {
        for (x, expected) in [
            (0.0, 0.5),
            (1.0, 0.731_058_578_630_004_9),
            (-1.0, 0.268_941_421_369_995_1),
            (5.0, 0.993_307_149_075_715_2),
            (-15.0, 3.059_022_269_256_247e-7),
        ] {
            assert!((logistic(x) / expected - 1.0).abs() < 1e-11, "{x}: {}", logistic(x));
        }
    }
}
