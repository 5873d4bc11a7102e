//! CrowdSec's LAPI: the stream of decisions, and usage metrics.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;

use super::blocking;
use crate::access::text_of;
use crate::decisions::{Filter, Release, Row, Selected};
use crate::error::ApiError;
use crate::state::{Simulator, increment};
use crate::usage_metrics::check_usage_metrics;

/// Decisions in a chunk of a streamed reply.
const PAGE: usize = 1_000;

/// The stream of decisions.
pub(super) fn decisions_router() -> Router<Arc<Simulator>> {
    Router::new().route("/v1/decisions/stream", get(get_stream))
}

/// Usage metrics.
pub(super) fn metrics_router() -> Router<Arc<Simulator>> {
    Router::new().route("/v1/usage-metrics", post(take_metrics))
}

async fn get_stream(
    State(simulator): State<Arc<Simulator>>,
    method: Method,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    if !has_key(&simulator, &headers) {
        increment(&mut simulator.state().counters.decisions_forbidden);
        return Ok(forbidden());
    }
    // A HEAD is no pull: it does not move the start of the next delta.
    if method == Method::HEAD {
        return Ok(StatusCode::OK.into_response());
    }
    let filter = Filter::new(&query);
    blocking(move || {
        let now = SystemTime::now();
        let mut state = simulator.state();
        let release = state.release;
        let (new, deleted) = state.decisions.stream(&filter, now);
        drop(state);
        match release {
            Release::V1_4 => {
                let reply = json!({
                    "deleted": rows_or_null(&deleted, now),
                    "new": rows_or_null(&new, now),
                });
                Ok(gin_json(reply.to_string()))
            }
            Release::V1_7 => {
                let text =
                    |text: &'static str| std::iter::once(Bytes::from_static(text.as_bytes()));
                let chunks = text(r#"{"new": ["#)
                    .chain(pages(new, now))
                    .chain(text(r#"], "deleted": ["#))
                    .chain(pages(deleted, now))
                    .chain(text("]}"));
                let body = Body::from_stream(stream::iter(chunks.map(Ok::<_, Infallible>)));
                Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
            }
        }
    })
    .await
}

fn rows_or_null(decisions: &Selected, now: SystemTime) -> Option<Vec<Row<'_>>> {
    let rows = decisions.iter().map(|it| it.row(Release::V1_4, now));
    (!decisions.is_empty()).then(|| rows.collect())
}

/// The elements of a JSON array, some thousand at a time.
fn pages(decisions: Selected, now: SystemTime) -> impl Iterator<Item = Bytes> {
    (0..decisions.len()).step_by(PAGE).map(move |start| {
        let mut page = Vec::new();
        for (index, decision) in decisions.iter().enumerate().skip(start).take(PAGE) {
            if index > 0 {
                page.push(b',');
            }
            // Writing text to memory does not fail.
            let _ = serde_json::to_writer(&mut page, &decision.row(Release::V1_7, now));
        }
        Bytes::from(page)
    })
}

async fn take_metrics(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = simulator.state();
    if state.release == Release::V1_4 {
        return StatusCode::NOT_FOUND.into_response();
    }
    if !has_key(&simulator, &headers) {
        return forbidden();
    }
    match check_usage_metrics(&body) {
        Ok(metrics) => {
            state.usage_metrics.push(metrics);
            StatusCode::CREATED.into_response()
        }
        Err(error) => (
            StatusCode::BAD_REQUEST,
            gin_json(json!({"message": error.to_string()}).to_string()),
        )
            .into_response(),
    }
}

fn has_key(simulator: &Simulator, headers: &HeaderMap) -> bool {
    text_of(headers, "x-api-key") == Some(&simulator.settings.lapi_key)
}

fn forbidden() -> Response {
    let body = gin_json(r#"{"message":"access forbidden"}"#.to_owned());
    (StatusCode::FORBIDDEN, body).into_response()
}

/// JSON with the content type of LAPI's web framework.
fn gin_json(body: String) -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (content_type, body).into_response()
}
