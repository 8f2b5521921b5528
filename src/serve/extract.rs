//! What a path and a query say, or a problem where they cannot be read or ask for too much.

use super::problem::Problem;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The variable parts of a path.
pub(super) struct FromPath<T>(pub(super) T);

/// The query's parameters.
pub(super) struct FromQuery<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for FromPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<FromPath<T>, Problem> {
        let path: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, state).await;
        path.map(|Path(path)| FromPath(path)).map_err(|_| Problem::not_found("the path holds no such id"))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for FromQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<FromQuery<T>, Problem> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        query.map(|Query(query)| FromQuery(query)).map_err(|_| {
            Problem::unprocessable("the query lacks a parameter, or one of them is not of its type")
        })
    }
}

/// How many may be asked for.
pub(super) struct Limit {
    /// The parameter.
    pub(super) name: &'static str,
    /// At most.
    pub(super) most: u16,
    /// If nothing is said.
    pub(super) usually: u16,
}

impl Limit {
    pub(super) fn read(&self, wanted: Option<u16>) -> Result<u16, Problem> {
        let wanted = wanted.unwrap_or(self.usually);
        if !(1..=self.most).contains(&wanted) {
            return Err(Problem::unprocessable(format!("must be from 1 to {}", self.most)).at(self.name));
        }
        Ok(wanted)
    }
}
