//! The synchronous score: a payment attempt goes the log's own way, and its score is waited for.

use super::api::{ApiState, Lagged, Sent};
use super::problem::Problem;
use super::visitors::raw;
use crate::codec::payments::{Payment, PaymentKind};
use crate::codec::text::{AnyJson, as_str};
use crate::codec::{Reject, RejectReason};
use crate::engine::settings::FoldSettings;
use crate::event::public::Action;
use crate::event::{DecisionId, EntityKind};
use crate::log::Topic;
use crate::time::{EventTime, Stopwatch};
use crate::view::{Decided, PaymentMark, Verdict};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::atomic::Ordering;
use std::time::Duration;
use utoipa::ToSchema;

/// What is answered when no score comes in time: the first that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// Payments of this channel; of any, if there is none.
    pub channel: Option<String>,
    /// Payments of at most this amount in minor units; of any, if there is none.
    pub amount_up_to_minor: Option<i64>,
    /// What to do with them.
    pub decision: Action,
}

/// How scores are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreSettings {
    /// For how long.
    pub budget: Duration,
    /// Then.
    pub fallbacks: Vec<Fallback>,
    /// Payments that may wait for a broker that is away.
    pub waiting_max: u32,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AnswerSource {
    /// The payment was scored.
    Score,
    /// The payment was scored so long ago that of the score only the decision is still known here.
    Verdict,
    /// It was not scored in time: this is what was declared for that case. The score follows on `scores.fraud`.
    Fallback,
}

/// What to do with a payment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScoreAnswer {
    /// A function of the payment's id; `GET /v1/decisions/{decision_id}` tells more.
    decision_id: String,
    payment_id: String,
    /// What to do.
    #[schema(value_type = String, example = "approve")]
    decision: Action,
    source: AnswerSource,
    /// The record of `scores.fraud`; null where the source is another one than `score`.
    #[schema(schema_with = super::openapi::fraud_score)]
    score: Option<Box<RawValue>>,
    /// From the whole request to the answer, in milliseconds.
    waited_ms: f64,
}

/// Score a payment attempt: the body is a `payment_attempted` event, which is appended to `payments`. Idempotent by payment id for
/// as long as its score is remembered (`serve.decisions_max`), and after that its decision (`serve.verdicts_max`): a second request is
/// answered with the first one's. Ask again with the same `event_id`: another instance may send it once more, and the event counts once. If no score comes within the budget,
/// the declared fallback answers, whose amounts are in minor units of whatever currency the payment has.
#[utoipa::path(
    post, path = "/v1/score", tag = "fraud",
    request_body(description = "An event of the contract `payment_attempted`.", content_type = "application/json", content = super::openapi::PaymentAttempted),
    responses(
        (status = 200, body = inline(Lagged<ScoreAnswer>)),
        (status = 409, description = "The payment of this id has another card, amount or currency.", body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "No score came in time, and no fallback is declared for this payment.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn score(
    State(api): State<ApiState>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Lagged<ScoreAnswer>>, Problem> {
    let begun = Stopwatch::start();
    let body = body.map_err(|fault| Problem::body(&fault))?;
    let attempt = Attempt::read(&body, api.fold.payload_bytes_max)?;
    let (answer, outcome) = match api.scored(&attempt, &body).await {
        Ok((known, outcome)) => (attempt.known(&known, begun), outcome),
        Err(Unscored::Another) => {
            api.counts.scored("conflict");
            let detail = "this payment was another one, of another card, amount or currency: a payment id is used once";
            return Err(Problem::new(StatusCode::CONFLICT, detail).at("payment_id"));
        }
        Err(Unscored::Because(because)) => match api.score.fallback(&attempt) {
            Some(decision) => (attempt.fallen_back(decision, begun), "fallback"),
            None => {
                api.counts.scored("none");
                let detail = format!("{because}, and no fallback is declared for this payment");
                return Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, detail));
            }
        },
    };
    api.counts.scored(outcome);
    Ok(api.lagged(answer))
}

/// What is known of a payment.
enum Known {
    Decided(Box<Decided>),
    /// Its record is forgotten.
    Verdict(Verdict),
}

impl Known {
    fn verdict(&self) -> Verdict {
        match self {
            Known::Decided(decided) => decided.verdict(),
            Known::Verdict(verdict) => *verdict,
        }
    }
}

/// Why there is no score.
enum Unscored {
    /// The id belongs to another payment.
    Another,
    Because(&'static str),
}

impl ApiState {
    /// What is decided about a payment, which is sent to be scored unless it was already; or why nothing is.
    async fn scored(&self, attempt: &Attempt<'_>, body: &[u8]) -> Result<(Known, &'static str), Unscored> {
        let mut coming = self.live.wait_for(attempt.decision);
        if let Some(known) = self.known(attempt.decision) {
            return Ok((self.of_this(attempt, known)?, "repeated"));
        }
        if self.stop.load(Ordering::Relaxed) {
            return Err(Unscored::Because("this instance is about to end"));
        }
        self.send_once(attempt, body)?;
        let score = tokio::time::timeout(self.score.budget, coming.score()).await.ok().flatten();
        let score = score.ok_or(Unscored::Because("the score did not come in time"))?;
        Ok((self.of_this(attempt, Known::Decided(Box::new(score)))?, "score"))
    }

    fn known(&self, decision: DecisionId) -> Option<Known> {
        let view = &self.live.view;
        let decided = view.decision(decision).and_then(|known| known.decided);
        decided
            .map(|decided| Known::Decided(Box::new(decided)))
            .or_else(|| view.verdict(decision).map(Known::Verdict))
    }

    /// `known`, unless it is about another payment than `attempt`.
    fn of_this(&self, attempt: &Attempt<'_>, known: Known) -> Result<Known, Unscored> {
        let is_another = attempt.is_another_than(&known.verdict().payment, &self.fold);
        if is_another { Err(Unscored::Another) } else { Ok(known) }
    }

    /// Whoever asks again waits for the same score; only what never reached its topic is sent again.
    fn send_once(&self, attempt: &Attempt<'_>, body: &[u8]) -> Result<(), Unscored> {
        let mut sent = Ok(());
        self.sent.update(&attempt.decision, |known| {
            if let Some(before) = known.filter(|before| !before.receipt.has_failed()) {
                if attempt.is_another_than(&before.payment, &self.fold) {
                    sent = Err(Unscored::Another);
                }
                return None;
            }
            match self.submitter.offer(Topic::Payments, attempt.card.as_bytes(), body) {
                Ok(receipt) => Some(Sent { receipt, payment: attempt.mark(&self.fold, attempt.time) }),
                Err(fault) => {
                    tracing::debug!(%fault, "a payment cannot be sent to be scored");
                    sent = Err(Unscored::Because("the payment cannot be sent to be scored"));
                    None
                }
            }
        });
        sent
    }
}

/// What the answer to a payment attempt depends on.
struct Attempt<'b> {
    payment: Payment<'b>,
    card: String,
    decision: DecisionId,
    amount_minor: i64,
    time: EventTime,
}

impl<'b> Attempt<'b> {
    fn read(body: &'b [u8], bytes_max: usize) -> Result<Attempt<'b>, Problem> {
        let (payment, _) = Payment::decode(body, bytes_max).map_err(|reject| refused(&reject))?;
        let payment = payment.ok_or_else(not_an_attempt)?;
        let PaymentKind::Attempted { amount_minor } = payment.kind else { return Err(not_an_attempt()) };
        Ok(Attempt {
            card: payment.card_token.as_str().to_owned(),
            decision: DecisionId::of_payment(payment.payment_id.as_str()),
            amount_minor,
            time: EventTime(payment.time_ms),
            payment,
        })
    }

    /// Whether it cannot be `payment`, which has its id.
    fn is_another_than(&self, payment: &PaymentMark, fold: &FoldSettings) -> bool {
        self.mark(fold, payment.time()).is_another_than(payment)
    }

    /// What tells it from another payment, where the one of its id was attempted at `time`.
    fn mark(&self, fold: &FoldSettings, time: EventTime) -> PaymentMark {
        let currency = as_str(&self.payment.fields.currency).unwrap_or_default();
        let card = fold.pseudonyms.of(EntityKind::Card, &self.card, time);
        PaymentMark::new(time, Some((self.amount_minor, currency)), Some(&card))
    }

    fn known(&self, known: &Known, begun: Stopwatch) -> ScoreAnswer {
        match known {
            Known::Decided(decided) => {
                self.answer(decided.decision, AnswerSource::Score, Some(raw(&decided.record)), begun)
            }
            Known::Verdict(verdict) => self.answer(verdict.decision, AnswerSource::Verdict, None, begun),
        }
    }

    fn fallen_back(&self, decision: Action, begun: Stopwatch) -> ScoreAnswer {
        self.answer(decision, AnswerSource::Fallback, None, begun)
    }

    fn answer(
        &self,
        decision: Action,
        source: AnswerSource,
        score: Option<Box<RawValue>>,
        begun: Stopwatch,
    ) -> ScoreAnswer {
        ScoreAnswer {
            decision_id: self.decision.to_string(),
            payment_id: self.payment.payment_id.as_str().to_owned(),
            decision,
            source,
            score,
            waited_ms: begun.elapsed().as_secs_f64() * 1_000.0,
        }
    }

    fn channel(&self) -> Option<&str> {
        AnyJson::text("channel", &self.payment.fields.channel).ok().flatten()
    }
}

impl ScoreSettings {
    fn fallback(&self, attempt: &Attempt<'_>) -> Option<Action> {
        self.declared_for(attempt.channel(), attempt.amount_minor)
    }

    /// What is declared for a payment of this channel and amount.
    #[must_use]
    pub fn declared_for(&self, channel: Option<&str>, amount_minor: i64) -> Option<Action> {
        let fits = |fallback: &&Fallback| {
            fallback.channel.as_deref().is_none_or(|wanted| Some(wanted) == channel)
                && fallback.amount_up_to_minor.is_none_or(|most| amount_minor <= most)
        };
        self.fallbacks.iter().find(fits).map(|fallback| fallback.decision)
    }
}

fn not_an_attempt() -> Problem {
    Problem::unprocessable("must be a `payment_attempted`").at("event_name")
}

/// What the contract says against a body; quotes none of its values.
fn refused(reject: &Reject) -> Problem {
    let what = match reject.reason {
        RejectReason::MissingField => "is required",
        RejectReason::WrongType => "is not of the type that the contract says",
        RejectReason::OutOfRange => "is not within the bounds of the contract",
        RejectReason::TooLarge => "the body is larger than is allowed",
        _ => "the body is not a JSON object of the contract `payment_attempted`",
    };
    Problem::unprocessable(what).at(reject.path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fallback_that_fits_channel_and_amount_counts() {
        let fallback = |channel: Option<&str>, amount_up_to_minor, decision| Fallback {
            channel: channel.map(str::to_owned),
            amount_up_to_minor,
            decision,
        };
        let settings = ScoreSettings {
            budget: Duration::from_millis(1),
            fallbacks: vec![
                fallback(Some("store"), None, Action::Approve),
                fallback(None, Some(5_000), Action::Review),
            ],
            waiting_max: 1,
        };
        assert_eq!(settings.declared_for(Some("store"), 9_999), Some(Action::Approve));
        assert_eq!(settings.declared_for(Some("web"), 5_000), Some(Action::Review));
        assert_eq!(settings.declared_for(None, 5_001), None);
    }
}
