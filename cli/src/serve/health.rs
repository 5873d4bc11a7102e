//! `/healthz` and `/readyz`: whether the process serves, and whether it has everything to serve. Open, without content.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::StatusCode;

use super::Server;

/// Whether the server is about to end.
#[derive(Debug, Default)]
pub struct Health {
    stopping: AtomicBool,
}

impl Health {
    /// The server is not ready from now on.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

/// Handles `GET /healthz`: the process serves.
pub async fn healthz() -> StatusCode {
    StatusCode::OK
}

/// Handles `GET /readyz`: every filter has a valid configuration, and every relayed feed a list.
pub async fn readyz(State(server): State<Arc<Server>>) -> StatusCode {
    let filters = server.filters.list();
    let has_filters = filters.iter().all(|filter| filter.served.is_some());
    let has_lists = server.relay.status().iter().all(|feed| feed.etag.is_some());
    match has_filters && has_lists && !server.health.stopping.load(Ordering::Relaxed) {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}
