//! What ABS is told of traffic: call by call over the sideband, or in batches.

use std::io::Read;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::parse_json;
use crate::access::{authorised_to_write, check_ase_token, text_of};
use crate::error::ApiError;
use crate::faults::Endpoint;
use crate::state::{self, Simulator};
use crate::traffic::{SidebandRequest, SidebandResponse, TrafficRecord};

/// The largest batch, once decompressed, in bytes.
const MAX_BATCH: u64 = 64 << 20;

/// The sideband's two endpoints, and the one for batches.
pub(super) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/ase/request", post(sideband_request))
        .route("/ase/response", post(sideband_response))
        .route("/portcullis/v1/traffic", post(take_batch))
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
    if !state.store.lists_any(&request.identifiers(), now) {
        state.traffic.await_response(correlation_id, request);
        return Ok(Json(json!({})).into_response());
    }
    // No response will follow, so the record is whole already.
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
    let answer = Json(json!({ "error": "the client is on the attack list" }));
    Ok((StatusCode::FORBIDDEN, answer).into_response())
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
    let request = state
        .traffic
        .take_waiting(&correlation_id)
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

/// The correlation id of a call that may be made, and its body.
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

fn take_in(
    state: &mut state::State,
    record: &TrafficRecord,
    now: SystemTime,
) -> Result<(), ApiError> {
    let json = serde_json::to_string(record).map_err(ApiError::internal)?;
    state.take_in(record, json.into(), now);
    Ok(())
}

async fn take_batch(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    authorised_to_write(&simulator, Endpoint::Traffic, &headers)?;
    let text = decoded_batch(&headers, &body)?;
    // The whole batch is read before any of it is kept: a client that sends it again leaves no record twice.
    let mut records = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let record: TrafficRecord =
            serde_json::from_str(line).map_err(|source| ApiError::Line {
                number: index + 1,
                source,
            })?;
        records.push((record, Box::from(line)));
    }
    let accepted = records.len();
    let now = SystemTime::now();
    let mut state = simulator.state();
    state.counters.traffic_bytes += body.len() as u64;
    for (record, json) in records {
        state.take_in(&record, json, now);
    }
    Ok(Json(json!({ "accepted": accepted })))
}

fn decoded_batch(headers: &HeaderMap, body: &Bytes) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    match text_of(headers, "content-encoding") {
        None | Some("identity") => bytes.extend_from_slice(body),
        Some("gzip") => {
            GzDecoder::new(body.as_ref())
                .take(MAX_BATCH + 1)
                .read_to_end(&mut bytes)
                .map_err(ApiError::Gzip)?;
        }
        Some(found) => {
            return Err(ApiError::Encoding {
                found: found.to_owned(),
            });
        }
    }
    if bytes.len() as u64 > MAX_BATCH {
        return Err(ApiError::TooLarge { limit: MAX_BATCH });
    }
    String::from_utf8(bytes).map_err(|_| ApiError::NotText)
}

fn unix_millis(time: SystemTime) -> Option<u64> {
    let millis = time.duration_since(UNIX_EPOCH).ok()?.as_millis();
    u64::try_from(millis).ok()
}
