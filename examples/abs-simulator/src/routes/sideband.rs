//! ASE's interface: the two sideband calls, at their own address.
//!
//! Simulates one or more ASE nodes behind a load balancer with sessions by the cookie PISESSIONID. A node knows only its
//! own requests.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::parse_json;
use super::traffic::{take_in, unix_millis};
use crate::access::{check_ase_token, text_of};
use crate::error::ApiError;
use crate::state::Simulator;
use crate::traffic::{SidebandRequest, SidebandResponse, TrafficRecord};

const SESSION_COOKIE: &str = "PISESSIONID";

/// The sideband's two endpoints.
pub(super) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/ase/request", post(sideband_request))
        .route("/ase/response", post(sideband_response))
}

async fn sideband_request(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (correlation_id, request): (_, SidebandRequest) =
        read_sideband_call(&simulator, &headers, &body)?;
    let now = SystemTime::now();
    let mut state = simulator.state();
    let node = node_of(&headers)
        .unwrap_or_else(|| state.traffic.next_node(simulator.settings.ase_nodes.get()));
    let cookie = format!("{SESSION_COOKIE}=node-{node}; Max-Age=180");
    if !state.store.lists_any(&request.identifiers(), now) {
        state.traffic.await_response(node, correlation_id, request);
        return Ok(([(header::SET_COOKIE, cookie)], Json(json!({}))).into_response());
    }
    // No response follows, so the record is complete.
    let record = TrafficRecord {
        request,
        correlation_id: Some(correlation_id),
        response_code: Some("403".to_owned()),
        time: unix_millis(now),
        verdict: Some("denied abs".to_owned()),
        blocked: true,
        ..TrafficRecord::default()
    };
    take_in(&mut state, &record, now)?;
    let body = Json(json!({ "error": "the client is on the attack list" }));
    Ok((StatusCode::FORBIDDEN, [(header::SET_COOKIE, cookie)], body).into_response())
}

async fn sideband_response(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let (correlation_id, response): (_, SidebandResponse) =
        read_sideband_call(&simulator, &headers, &body)?;
    let now = SystemTime::now();
    let mut state = simulator.state();
    let node = node_of(&headers)
        .unwrap_or_else(|| state.traffic.next_node(simulator.settings.ase_nodes.get()));
    let request = state
        .traffic
        .take_waiting(node, &correlation_id)
        .ok_or(ApiError::UnknownCorrelationId)?;
    let record = TrafficRecord {
        request,
        correlation_id: Some(correlation_id),
        response_code: Some(response.response_code),
        response_status: response.response_status,
        response_headers: response.headers,
        time: unix_millis(now),
        verdict: Some("allowed".to_owned()),
        ..TrafficRecord::default()
    };
    take_in(&mut state, &record, now)?;
    Ok(Json(json!({})))
}

/// Checks the token; returns the call's correlation id and body.
fn read_sideband_call<T: DeserializeOwned>(
    simulator: &Simulator,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(String, T), ApiError> {
    check_ase_token(&simulator.settings, headers)?;
    let correlation_id = text_of(headers, "x-correlationid")
        .filter(|id| !id.is_empty())
        .ok_or(ApiError::NoCorrelationId)?;
    Ok((correlation_id.to_owned(), parse_json(body)?))
}

/// The node in the session cookie.
fn node_of(headers: &HeaderMap) -> Option<usize> {
    text_of(headers, "cookie")?
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == SESSION_COOKIE)?
        .1
        .strip_prefix("node-")?
        .parse()
        .ok()
}
