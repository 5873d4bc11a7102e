//! The HTTP interfaces: ABS's with the other list servers and the admin interface, and ASE's.

mod admin;
mod attack_list;
mod conditional;
mod documents;
mod feeds_admin;
mod lapi;
mod sideband;
mod traffic;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::faults::Endpoint;
use crate::injection::inject;
use crate::state::Simulator;

/// The largest request body: enough for a list of several million entries.
const MAX_BODY: usize = 1 << 30;

/// Every endpoint at ABS's address.
pub fn router(simulator: Arc<Simulator>) -> Router {
    let attack_list = faulty(&simulator, Endpoint::Attacklist, attack_list::router());
    let traffic = faulty(&simulator, Endpoint::Traffic, traffic::router());
    let feeds = [
        (Endpoint::Decisions, lapi::decisions_router()),
        (Endpoint::UsageMetrics, lapi::metrics_router()),
        (Endpoint::Lists, documents::router(Endpoint::Lists)),
        (Endpoint::Tokens, documents::router(Endpoint::Tokens)),
    ];
    let mut router = attack_list.merge(traffic);
    for (endpoint, feed) in feeds {
        router = router.merge(faulty(&simulator, endpoint, feed));
    }
    let admin = admin::router().merge(feeds_admin::router());
    finished(simulator, router.merge(admin))
}

/// Every endpoint at ASE's address.
pub fn sideband_router(simulator: Arc<Simulator>) -> Router {
    let sideband = faulty(&simulator, Endpoint::Traffic, sideband::router());
    finished(simulator, sideband)
}

/// Counts the calls and applies faults to them.
fn faulty(
    simulator: &Arc<Simulator>,
    endpoint: Endpoint,
    router: Router<Arc<Simulator>>,
) -> Router<Arc<Simulator>> {
    let simulator = Arc::clone(simulator);
    router.route_layer(middleware::from_fn(move |connection, request, next| {
        inject(Arc::clone(&simulator), endpoint, connection, request, next)
    }))
}

fn finished(simulator: Arc<Simulator>, router: Router<Arc<Simulator>>) -> Router {
    let verbose = simulator.settings.verbose;
    let router = router
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(simulator);
    if verbose {
        router.layer(middleware::from_fn(log_request))
    } else {
        router
    }
}

async fn log_request(request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    eprintln!("{line} -> {}", response.status().as_u16());
    response
}

/// Reads a JSON body.
fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(ApiError::Json)
}

/// A response with this JSON.
fn json_text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Runs `work`, which may be slow for a large list, without blocking other connections.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(ApiError::internal)?
}
