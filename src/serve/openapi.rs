//! The OpenAPI document of the API.

#![expect(clippy::indexing_slicing, reason = "indexing a JSON value by name makes what is not there")]

use serde_json::{Value, json};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ArrayBuilder, InfoBuilder, ObjectBuilder, OneOfBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Schema,
};
use utoipa::{PartialSchema, ToSchema};

/// What all routes share.
pub(super) fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("tillstream")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Sessions, features, recommendations and scores, as they were published last, and scores on request. Every answer says how \
             far the view that it comes from is behind. Times are milliseconds since the Unix epoch, money is in minor units.",
        ))
        .build();
    let mut components = utoipa::openapi::Components::new();
    components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let no_scopes: [&str; 0] = [];
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new("token", no_scopes)]))
        .build()
}

/// The records that are answered as they were published, by the name of their schema in the document.
const RECORDS: [(&str, &str); 9] = [
    ("FraudScore", include_str!("../../schemas/fraud_score/v1/schema.json")),
    ("LabelledScore", include_str!("../../schemas/labelled_score/v1/schema.json")),
    ("Session", include_str!("../../schemas/session/v1/schema.json")),
    ("SessionFeatures", include_str!("../../schemas/session_features/v1/schema.json")),
    ("ScoreQuality", include_str!("../../schemas/score_quality/v1/schema.json")),
    ("ExpectedQuality", include_str!("../../schemas/expected_quality/v1/schema.json")),
    ("FeatureWindow", include_str!("../../schemas/feature_window/v1/schema.json")),
    ("BusinessMinute", include_str!("../../schemas/business_minute/v1/schema.json")),
    ("PaymentAttempted", include_str!("../../schemas/payment_attempted/v1/schema.json")),
];

/// What every route may answer.
const REFUSALS: [(&str, &str); 4] = [
    ("401", "No token, or nobody's."),
    ("403", "The client has no role that may do this."),
    ("404", "Nothing is known under this id."),
    ("429", "More requests than this client may make."),
];

/// The document with the contracts of the records: OpenAPI 3.1 takes JSON Schema as it is.
pub(super) fn with_records(document: &OpenApi) -> Value {
    let mut document = serde_json::to_value(document).expect("the document is JSON");
    for (name, schema) in RECORDS {
        let mut schema: Value = serde_json::from_str(schema).expect("a schema of ours is JSON");
        if let Some(fields) = schema.as_object_mut() {
            fields.remove("$id");
            fields.remove("$schema");
        }
        document["components"]["schemas"][name] = schema;
    }
    for path in document["paths"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        for operation in path.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
            for (status, what) in REFUSALS {
                let problem = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
                let content = json!({ "application/problem+json": problem });
                operation["responses"][status] = json!({ "description": what, "content": content });
            }
        }
    }
    document
}

fn record(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// A record, or null.
fn optional(name: &str) -> RefOr<Schema> {
    let null = ObjectBuilder::new().schema_type(SchemaType::new(Type::Null)).build();
    OneOfBuilder::new().item(null).item(record(name)).into()
}

fn many(name: &str) -> RefOr<Schema> {
    ArrayBuilder::new().items(record(name)).into()
}

pub(super) fn fraud_scores() -> RefOr<Schema> {
    many("FraudScore")
}

pub(super) fn score_qualities() -> RefOr<Schema> {
    many("ScoreQuality")
}

pub(super) fn expected_qualities() -> RefOr<Schema> {
    many("ExpectedQuality")
}

pub(super) fn feature_windows() -> RefOr<Schema> {
    many("FeatureWindow")
}

pub(super) fn business_minutes() -> RefOr<Schema> {
    many("BusinessMinute")
}

pub(super) fn fraud_score() -> RefOr<Schema> {
    optional("FraudScore")
}

pub(super) fn labelled_score() -> RefOr<Schema> {
    optional("LabelledScore")
}

pub(super) fn session() -> RefOr<Schema> {
    optional("Session")
}

pub(super) fn session_features() -> RefOr<Schema> {
    optional("SessionFeatures")
}

/// The body of a request for a score.
pub(super) struct PaymentAttempted;

impl PartialSchema for PaymentAttempted {
    fn schema() -> RefOr<Schema> {
        record("PaymentAttempted")
    }
}

impl ToSchema for PaymentAttempted {}
