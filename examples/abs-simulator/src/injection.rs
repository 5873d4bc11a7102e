//! Counts requests and applies faults to them.

use std::sync::Arc;

use axum::extract::{Extension, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;

use crate::faults::{Endpoint, Fault};
use crate::state::{Simulator, State};
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
        count(&mut state, &request);
        let fault = state.faults.next(endpoint);
        let faults = &mut state.counters.faults;
        *faults = faults.saturating_add(u64::from(fault.is_some()));
        fault
    };
    let Some(fault) = fault else {
        return next.run(request).await;
    };
    tokio::time::sleep(fault.delay()).await;
    let mut response = match fault.replacement(&connection) {
        Some(response) => {
            // Closing a socket with unread bytes resets it, which would be another fault.
            let _ = request.into_body().collect().await;
            response
        }
        None => {
            if fault.needs_body() {
                request.headers_mut().remove(header::IF_NONE_MATCH);
            }
            let response = next.run(request).await;
            damaged(&fault, response, &connection).await
        }
    };
    fault.mark(&mut response);
    response
}

async fn damaged(fault: &Fault, response: Response, connection: &ConnectionControl) -> Response {
    if !fault.needs_body() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = body.collect().await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let whole = whole.to_bytes();
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    Response::from_parts(parts, fault.damaged(whole, connection))
}

fn count(state: &mut State, request: &Request) {
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
        _ => return,
    };
    *counter = counter.saturating_add(1);
}
