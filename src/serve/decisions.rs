//! Features of entities, and decisions with what became of them.

use super::api::{ApiState, Lagged};
use super::extract::{FromPath, FromQuery};
use super::problem::Problem;
use super::visitors::raw;
use crate::event::public::Action;
use crate::event::{DecisionId, LabelOutcome};
use crate::time::{Clock, SystemClock};
use crate::view::heads::FeaturesHead;
use crate::view::{Decided, KnownDecision};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// The features of an entity in one view.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntityFeatures {
    /// The kind of entity that the view is about.
    entity: &'static str,
    /// Its id; a pseudonym for customer, card and ip.
    entity_id: String,
    /// The values are as of this time: that of the entity's newest payment.
    event_time_ms: i64,
    /// Their age in milliseconds.
    freshness_ms: i64,
    /// By name within the view.
    features: BTreeMap<String, f64>,
    /// Those of them that are estimates, with their relative error.
    estimates: BTreeMap<String, f64>,
    /// The decision that they were computed for.
    decision_id: String,
}

/// The newest features of an entity in one view.
#[utoipa::path(
    get, path = "/v1/features/{view}/{entity_id}", tag = "fraud",
    params(
        ("view" = String, Path, description = "A declared view, such as `device_velocity`.", example = "device_velocity"),
        ("entity_id" = String, Path, description = "The entity's id; of a customer, a card or an ip the pseudonym, as records have it.", example = "d-1")
    ),
    responses(
        (status = 200, body = inline(Lagged<EntityFeatures>))
    )
)]
pub(super) async fn features(
    State(api): State<ApiState>,
    FromPath((view, entity_id)): FromPath<(String, String)>,
) -> Result<Json<Lagged<EntityFeatures>>, Problem> {
    let kind = api.declared.kind_of_view(&view).ok_or_else(|| Problem::not_found("no view has this name"))?;
    let unknown = || Problem::not_found("no features of this entity are known");
    let record = api.live.view.features(kind, &entity_id).ok_or_else(unknown)?;
    let known: FeaturesHead<'_> = serde_json::from_str(&record.json).map_err(|_| unknown())?;
    let prefix = format!("{view}__");
    let within = |values: &BTreeMap<_, f64>| -> BTreeMap<String, f64> {
        let named = |(name, value): (&std::borrow::Cow<'_, str>, &f64)| {
            Some((name.strip_prefix(&prefix)?.to_owned(), *value))
        };
        values.iter().filter_map(named).collect()
    };
    Ok(api.lagged(EntityFeatures {
        entity: kind.name(),
        entity_id,
        event_time_ms: record.event_time.0,
        freshness_ms: SystemClock.now().age_ms(record.event_time),
        features: within(&known.features),
        estimates: within(&known.estimates),
        decision_id: known.decision_id.into_owned(),
    }))
}

/// Of an id in the contracts.
const ID_CHARACTERS_MAX: usize = 128;

/// A decision, what became of it, and what was decided before about those it concerns.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DecisionAnswer {
    decision_id: String,
    /// The record of `scores.fraud`, with reasons.
    #[schema(schema_with = super::openapi::fraud_score)]
    score: Option<Box<RawValue>>,
    /// The record of `labelled.fraud`, once it is known what the payment was.
    #[schema(schema_with = super::openapi::labelled_score)]
    label: Option<Box<RawValue>>,
    /// By kind of entity, the decisions about the same one, the newest first: at most 20 each.
    history: BTreeMap<String, Vec<Earlier>>,
}

/// Another decision, in short.
#[derive(Debug, Serialize, ToSchema)]
struct Earlier {
    decision_id: String,
    event_time_ms: i64,
    score: f64,
    #[schema(value_type = String, example = "approve")]
    decision: Action,
    /// What the payment was, where that is known.
    #[schema(value_type = Option<String>, example = "fraud")]
    outcome: Option<LabelOutcome>,
}

/// A decision by its id.
#[utoipa::path(
    get, path = "/v1/decisions/{decision_id}", tag = "fraud",
    params(("decision_id" = String, Path, description = "32 hexadecimal digits in small letters.", example = "9b80f6255ff9bc33e7aa0fe0250b7ae0")),
    responses(
        (status = 200, body = inline(Lagged<DecisionAnswer>))
    )
)]
pub(super) async fn decision(
    State(api): State<ApiState>,
    FromPath(decision_id): FromPath<String>,
) -> Result<Json<Lagged<DecisionAnswer>>, Problem> {
    let unknown = || Problem::not_found("no such decision is known");
    let decision = DecisionId::from_text(&decision_id).ok_or_else(unknown)?;
    api.told_of(decision).map(|answer| api.lagged(answer)).ok_or_else(unknown)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfPayment {
    /// The payment.
    #[param(min_length = 1, max_length = 128, example = "pay-1")]
    payment_id: String,
}

/// The decision about a payment.
#[utoipa::path(
    get, path = "/v1/decisions", tag = "fraud",
    params(OfPayment),
    responses(
        (status = 200, body = inline(Lagged<DecisionAnswer>)),
        (status = 422, body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn decision_of_payment(
    State(api): State<ApiState>,
    FromQuery(of): FromQuery<OfPayment>,
) -> Result<Json<Lagged<DecisionAnswer>>, Problem> {
    if !(1..=ID_CHARACTERS_MAX).contains(&of.payment_id.chars().count()) {
        return Err(Problem::unprocessable("must have 1 to 128 characters").at("payment_id"));
    }
    let decision = DecisionId::of_payment(&of.payment_id);
    let unknown = || Problem::not_found("no decision about this payment is known");
    api.told_of(decision).map(|answer| api.lagged(answer)).ok_or_else(unknown)
}

impl ApiState {
    fn told_of(&self, decision: DecisionId) -> Option<DecisionAnswer> {
        let known = self.live.view.decision(decision)?;
        let history = known.decided.as_ref().map(|decided| self.history(decision, decided));
        Some(DecisionAnswer {
            decision_id: decision.to_string(),
            score: known.decided.as_ref().map(|decided| raw(&decided.record)),
            label: known.label.as_ref().map(|(record, _)| raw(record)),
            history: history.unwrap_or_default(),
        })
    }

    fn history(&self, of: DecisionId, decided: &Decided) -> BTreeMap<String, Vec<Earlier>> {
        let mut history = BTreeMap::new();
        for (kind, id) in decided.entities.iter() {
            let about = self.live.view.decided_about(*kind, id);
            let others = about.iter().rev().filter(|decision| **decision != of);
            let known: Vec<_> = others
                .filter_map(|decision| Earlier::of(*decision, &self.live.view.decision(*decision)?))
                .collect();
            if !known.is_empty() {
                history.insert(kind.name().to_owned(), known);
            }
        }
        history
    }
}

impl Earlier {
    fn of(decision: DecisionId, known: &KnownDecision) -> Option<Earlier> {
        let decided = known.decided.as_ref()?;
        Some(Earlier {
            decision_id: decision.to_string(),
            event_time_ms: decided.record.event_time.0,
            score: decided.score,
            decision: decided.decision,
            outcome: known.label.as_ref().map(|(_, outcome)| *outcome),
        })
    }
}
