//! Batches of traffic records: the simulator's own endpoint, which ABS does not have.

use std::io::Read;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::access::{authorised_to_write, text_of};
use crate::error::ApiError;
use crate::faults::Endpoint;
use crate::state::{self, Simulator};
use crate::traffic::TrafficRecord;

/// The largest batch after decompression, in bytes.
const MAX_BATCH: u64 = 64 << 20;

/// The endpoint for batches.
pub(super) fn router() -> Router<Arc<Simulator>> {
    Router::new().route("/portcullis/v1/traffic", post(take_batch))
}

/// Keeps one record.
pub(super) fn take_in(
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
    // The whole batch is read before any record is kept, so that a repeated batch duplicates no record.
    let mut records = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let record: TrafficRecord =
            serde_json::from_str(line).map_err(|source| ApiError::Line {
                number: index.saturating_add(1),
                source,
            })?;
        records.push((record, Box::from(line)));
    }
    let accepted = records.len();
    let now = SystemTime::now();
    let mut state = simulator.state();
    let bytes = &mut state.counters.traffic_bytes;
    *bytes = bytes.saturating_add(body.len() as u64);
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

/// A time in the format of records.
pub(super) fn unix_millis(time: SystemTime) -> Option<u64> {
    let millis = time.duration_since(UNIX_EPOCH).ok()?.as_millis();
    u64::try_from(millis).ok()
}
