//! What is declared: views, rules, the model, topics.

use super::api::ApiState;
use super::rules::KnownRules;
use crate::engine::settings::FoldSettings;
use crate::event::EntityKind;
use crate::log::Topic;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What is declared, and what is read and written.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Declared {
    /// By name.
    views: BTreeMap<String, DeclaredView>,
    #[serde(flatten)]
    rules: KnownRules,
    /// The name of the model that learns, if there is one.
    model: Option<String>,
    /// The topics that are published to.
    topics: Vec<&'static str>,
}

/// A declared view.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct DeclaredView {
    /// The kind of entity that it is about.
    entity: &'static str,
    /// The names of its features.
    features: Vec<String>,
    #[serde(skip)]
    kind: EntityKind,
}

impl Declared {
    pub(super) fn of(fold: &FoldSettings, rules: KnownRules) -> Declared {
        let mut views = BTreeMap::<String, DeclaredView>::new();
        for feature in fold.plan.features() {
            if let Some((view, name)) = feature.name.split_once("__") {
                let declared = views.entry(view.to_owned()).or_insert_with(|| DeclaredView {
                    entity: feature.entity.name(),
                    features: Vec::new(),
                    kind: feature.entity,
                });
                declared.features.push(name.to_owned());
            }
        }
        Declared {
            views,
            rules,
            model: fold.model.as_ref().map(|model| model.name().to_owned()),
            topics: Topic::PUBLIC.iter().map(|topic| topic.name()).collect(),
        }
    }

    /// The kind of entity that a view is about.
    pub(super) fn kind_of_view(&self, view: &str) -> Option<EntityKind> {
        self.views.get(view).map(|view| view.kind)
    }
}

/// What is declared: views, the model, topics, and the rules in force, published ones included.
#[utoipa::path(get, path = "/v1/declared", tag = "about", responses((status = 200, body = Declared)))]
pub(super) async fn declared(State(api): State<ApiState>) -> Json<Declared> {
    Json(Declared { rules: api.live.rules.known(), ..Declared::clone(&api.declared) })
}
