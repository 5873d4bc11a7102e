//! The admin interface of LAPI's decisions and of the lists by URL. It needs no credentials.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{blocking, json_text, parse_json};
use crate::decisions::{NewDecision, Release, Row, canonical_scope};
use crate::decisions_csv::read_csv;
use crate::documents::Serving;
use crate::error::ApiError;
use crate::faults::Endpoint;
use crate::generate_feeds::{decisions, lines, tokens};
use crate::go_duration::parse_go_duration;
use crate::requests::KeptRequest;
use crate::state::{self, Simulator};
use crate::view::View;

/// The endpoints under `/admin` for feeds.
pub(super) fn router() -> Router<Arc<Simulator>> {
    let lists = documents_router(Endpoint::Lists, "/admin/lists/{name}");
    let tokens = documents_router(Endpoint::Tokens, "/admin/tokens/{name}");
    Router::new()
        .route(
            "/admin/decisions",
            get(get_decisions).post(add_decisions).delete(end_decisions),
        )
        .route("/admin/decisions/import", post(import_decisions))
        .route("/admin/decisions/generate", post(generate_decisions))
        .route("/admin/lapi", post(set_release))
        .route(
            "/admin/usage-metrics",
            get(get_usage_metrics).delete(clear_usage_metrics),
        )
        .route("/admin/requests", get(get_requests))
        .merge(lists)
        .merge(tokens)
}

fn documents_router(endpoint: Endpoint, path: &str) -> Router<Arc<Simulator>> {
    let store = put(move |simulator, name, serving, body| {
        store_document(endpoint, simulator, name, serving, body)
    });
    let remove = move |simulator, name| remove_document(endpoint, simulator, name);
    let generate = post(move |simulator, name, serving, body| {
        generate_document(endpoint, simulator, name, serving, body)
    });
    Router::new()
        .route(path, store.delete(remove))
        .route(&format!("{path}/generate"), generate)
}

async fn get_decisions(State(simulator): State<Arc<Simulator>>) -> Result<Response, ApiError> {
    blocking(move || {
        let now = SystemTime::now();
        let state = simulator.state();
        let release = state.release;
        let active = state.decisions.active(now);
        drop(state);
        let rows: Vec<Row<'_>> = active.iter().map(|it| it.row(release, now)).collect();
        Ok(json_text(
            serde_json::to_string(&rows).map_err(ApiError::internal)?,
        ))
    })
    .await
}

async fn add_decisions(
    State(simulator): State<Arc<Simulator>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        let decisions: Vec<NewDecision> = if body.trim_ascii_start().starts_with(b"[") {
            parse_json(&body)?
        } else {
            vec![parse_json(&body)?]
        };
        add(&mut simulator.state(), decisions)
    })
    .await
}

async fn import_decisions(
    State(simulator): State<Arc<Simulator>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        let text = std::str::from_utf8(&body).map_err(|_| ApiError::NotText)?;
        let decisions = read_csv(text)?;
        add(&mut simulator.state(), decisions)
    })
    .await
}

async fn generate_decisions(
    State(simulator): State<Arc<Simulator>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        let wanted: Generation = parse_json(&body)?;
        let generated = decisions(wanted.entries, wanted.mixed(), wanted.seed)?;
        let duration = wanted.duration.unwrap_or_else(|| "4h".to_owned());
        let decisions = generated.map(|(scope, value)| NewDecision {
            scope: scope.to_owned(),
            value,
            duration: duration.clone(),
            kind: "ban".to_owned(),
            origin: "CAPI".to_owned(),
            scenario: Some("generated".to_owned()),
            simulated: false,
        });
        let decisions = decisions.collect();
        let mut state = simulator.state();
        state.decisions.clear();
        add(&mut state, decisions)
    })
    .await
}

fn add(state: &mut state::State, decisions: Vec<NewDecision>) -> Result<Json<Value>, ApiError> {
    let timed: Vec<(NewDecision, Duration)> = decisions
        .into_iter()
        .map(|decision| {
            let duration = parse_go_duration(&decision.duration);
            let duration = duration.ok_or_else(|| ApiError::GoDuration {
                found: decision.duration.clone(),
            })?;
            Ok((decision, duration))
        })
        .collect::<Result<_, ApiError>>()?;
    let now = SystemTime::now();
    state.decisions.add(timed, now);
    let active = state.decisions.active(now).len();
    Ok(Json(json!({ "active_decisions": active })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    scope: Option<String>,
    value: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    origin: Option<String>,
}

async fn end_decisions(
    State(simulator): State<Arc<Simulator>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        let mut state = simulator.state();
        let now = SystemTime::now();
        if body.trim_ascii().is_empty() {
            let deleted = state.decisions.active(now).len();
            state.decisions.clear();
            return Ok(Json(json!({ "deleted": deleted })));
        }
        let named: Ended = parse_json(&body)?;
        let scope = named.scope.as_deref().map(canonical_scope);
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let deleted = state.decisions.end(
            |it| {
                is(&scope, &it.scope)
                    && is(&named.value, &it.value)
                    && is(&named.kind, &it.kind)
                    && is(&named.origin, &it.origin)
            },
            now,
        );
        Ok(Json(json!({ "deleted": deleted })))
    })
    .await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lapi {
    release: Release,
}

async fn set_release(
    State(simulator): State<Arc<Simulator>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let wanted: Lapi = parse_json(&body)?;
    simulator.state().release = wanted.release;
    Ok(Json(json!({})))
}

async fn get_usage_metrics(State(simulator): State<Arc<Simulator>>) -> Json<Vec<Value>> {
    Json(simulator.state().usage_metrics.clone())
}

async fn clear_usage_metrics(State(simulator): State<Arc<Simulator>>) -> StatusCode {
    simulator.state().usage_metrics.clear();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
struct RequestsQuery {
    endpoint: Endpoint,
}

async fn get_requests(
    State(simulator): State<Arc<Simulator>>,
    Query(query): Query<RequestsQuery>,
) -> Json<Vec<KeptRequest>> {
    Json(simulator.state().requests.of(query.endpoint))
}

async fn store_document(
    endpoint: Endpoint,
    State(simulator): State<Arc<Simulator>>,
    Path(name): Path<String>,
    Query(serving): Query<Serving>,
    body: Bytes,
) -> StatusCode {
    let view = View::new(body);
    let now = SystemTime::now();
    let mut state = simulator.state();
    state.documents(endpoint).store(name, view, serving, now);
    StatusCode::NO_CONTENT
}

async fn remove_document(
    endpoint: Endpoint,
    State(simulator): State<Arc<Simulator>>,
    Path(name): Path<String>,
) -> StatusCode {
    match simulator.state().documents(endpoint).remove(&name) {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::NOT_FOUND,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Generation {
    entries: u32,
    #[serde(default)]
    kinds: crate::generate::Kinds,
    #[serde(default = "default_seed")]
    seed: u32,
    /// Only for decisions.
    duration: Option<String>,
}

fn default_seed() -> u32 {
    1
}

impl Generation {
    fn mixed(&self) -> bool {
        self.kinds == crate::generate::Kinds::Mixed
    }
}

async fn generate_document(
    endpoint: Endpoint,
    State(simulator): State<Arc<Simulator>>,
    Path(name): Path<String>,
    Query(serving): Query<Serving>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    blocking(move || {
        let wanted: Generation = parse_json(&body)?;
        let view = match endpoint {
            Endpoint::Tokens => {
                let tokens: Vec<String> = tokens(wanted.entries, wanted.seed)?.collect();
                View::new(serde_json::to_vec(&tokens).map_err(ApiError::internal)?)
            }
            _ => View::new(lines(wanted.entries, wanted.mixed(), wanted.seed)?),
        };
        let now = SystemTime::now();
        let mut state = simulator.state();
        state.documents(endpoint).store(name, view, serving, now);
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
