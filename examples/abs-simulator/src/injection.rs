//! Counts requests and applies faults to them.

use std::sync::Arc;

use axum::extract::{Extension, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::faults::{Endpoint, Fault};
use crate::state::{Simulator, State, increment};
use crate::transport::ConnectionControl;

/// Counts the request and applies the active fault to its response.
pub async fn inject(
    simulator: Arc<Simulator>,
    endpoint: Endpoint,
    Extension(connection): Extension<ConnectionControl>,
    mut request: Request,
    next: Next,
) -> Response {
    let fault = {
        let mut state = simulator.state();
        count(&mut state, endpoint, &request);
        let fault = state.faults.next(endpoint);
        let faults = &mut state.counters.faults;
        *faults = faults.saturating_add(u64::from(fault.is_some()));
        fault
    };
    let Some(fault) = fault else {
        return next.run(request).await;
    };
    tokio::time::sleep(fault.delay()).await;
    let mut response = match fault.replacement(endpoint, &connection) {
        Some(response) => {
            // Closing a socket with unread bytes resets it, which would be another fault.
            let _ = request.into_body().collect().await;
            response
        }
        None => {
            if fault.needs_body() {
                request.headers_mut().remove(header::IF_NONE_MATCH);
                request.headers_mut().remove(header::IF_MODIFIED_SINCE);
            }
            if fault.short_after.is_some() {
                request.headers_mut().remove(header::ACCEPT_ENCODING);
            }
            let response = next.run(request).await;
            damaged(&fault, endpoint, response, &connection).await
        }
    };
    fault.mark(&mut response);
    response
}

async fn damaged(
    fault: &Fault,
    endpoint: Endpoint,
    response: Response,
    connection: &ConnectionControl,
) -> Response {
    // A refusal has no list to shorten.
    if !fault.needs_body() || (fault.short_after.is_some() && !response.status().is_success()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = body.collect().await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut whole = whole.to_bytes();
    if let Some(entries) = fault.short_after {
        let Ok(short) = shortened(endpoint, &whole, entries) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        whole = short.into();
        // They identify the whole list.
        parts.headers.remove(header::ETAG);
        parts.headers.remove(header::LAST_MODIFIED);
    }
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    Response::from_parts(parts, fault.damaged(whole, connection))
}

/// The first `entries` of a list as a complete list.
fn shortened(endpoint: Endpoint, whole: &[u8], entries: usize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match endpoint {
        Endpoint::Decisions => {
            let stream: Stream = serde_json::from_slice(whole)?;
            let new = stream.new.unwrap_or_default();
            bytes.extend_from_slice(br#"{"new": "#);
            serde_json::to_writer(&mut bytes, new.get(..entries).unwrap_or(&new))?;
            bytes.extend_from_slice(br#", "deleted": []}"#);
        }
        Endpoint::Tokens => {
            let tokens: Vec<&RawValue> = serde_json::from_slice(whole)?;
            serde_json::to_writer(&mut bytes, tokens.get(..entries).unwrap_or(&tokens))?;
        }
        _ => {
            let lines = whole.split_inclusive(|byte| *byte == b'\n').take(entries);
            bytes.extend(lines.flatten());
        }
    }
    Ok(bytes)
}

#[derive(Deserialize)]
struct Stream<'a> {
    #[serde(borrow)]
    new: Option<Vec<&'a RawValue>>,
}

fn count(state: &mut State, endpoint: Endpoint, request: &Request) {
    if endpoint != Endpoint::Traffic {
        let target = request.uri().to_string();
        state.requests.add(endpoint, target, request.headers());
    }
    let counters = &mut state.counters;
    let counter = match (request.method(), request.uri().path()) {
        (&Method::GET, "/v4/abs/attacklist") => {
            state.fetch_times.add();
            &mut counters.attacklist_get
        }
        (&Method::PUT, "/v4/abs/attacklist") => &mut counters.attacklist_put,
        (&Method::DELETE, "/v4/abs/attacklist") => &mut counters.attacklist_delete,
        (&Method::POST, "/ase/request") => &mut counters.ase_request,
        (&Method::POST, "/ase/response") => &mut counters.ase_response,
        (&Method::POST, "/portcullis/v1/traffic") => &mut counters.traffic_batches,
        (&Method::GET, "/v1/decisions/stream") => &mut counters.decisions_get,
        (&Method::POST, "/v1/usage-metrics") => &mut counters.usage_metrics,
        (&Method::GET, _) if endpoint == Endpoint::Lists => &mut counters.lists_get,
        (&Method::GET, _) if endpoint == Endpoint::Tokens => &mut counters.tokens_get,
        _ => return,
    };
    increment(counter);
}
