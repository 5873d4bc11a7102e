//! Lists by URL: text lists at `/lists/NAME`, lists of tokens at `/tokens/NAME`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::blocking;
use super::conditional::{Validators, conditional};
use crate::access::text_of;
use crate::error::ApiError;
use crate::faults::Endpoint;
use crate::state::{Simulator, increment};

/// The documents of one endpoint.
pub(super) fn router(endpoint: Endpoint) -> Router<Arc<Simulator>> {
    let path = match endpoint {
        Endpoint::Tokens => "/tokens/{name}",
        _ => "/lists/{name}",
    };
    Router::new().route(
        path,
        get(move |simulator, headers, name| serve(endpoint, simulator, headers, name)),
    )
}

async fn serve(
    endpoint: Endpoint,
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let Some(document) = simulator.state().documents(endpoint).get(&name) else {
        return Ok((StatusCode::NOT_FOUND, "no list has this name\n").into_response());
    };
    let serving = document.serving;
    if let Some(header) = &serving.header
        && text_of(&headers, header) != Some(&serving.value)
    {
        increment(&mut simulator.state().counters.documents_unauthorized);
        return Ok(StatusCode::UNAUTHORIZED.into_response());
    }
    blocking(move || {
        let validators = Validators {
            etag: serving.etag,
            last_modified: serving.last_modified.then_some(document.modified),
        };
        let content_type = match endpoint {
            Endpoint::Tokens => "application/json",
            _ => "text/plain; charset=utf-8",
        };
        let response = conditional(&document.view, validators, content_type, &headers)?;
        if response.status() == StatusCode::NOT_MODIFIED {
            increment(&mut simulator.state().counters.documents_not_modified);
        }
        Ok(response)
    })
    .await
}
