//! What the server knows: its status, the feeds, the nodes, the last changes; and the description of this API.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::filters::summaries;
use super::http;
use crate::serve::Server;
use crate::serve::changes::Change;
use crate::serve::relay::FeedStatus;

/// The description of this API: OpenAPI 3.1.
pub const DOCUMENT: &str = include_str!("../../../../docs/fleet-api.json");

/// Handles `GET /v1/status`.
pub async fn status(State(server): State<Arc<Server>>) -> Response {
    http::json(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "filters": summaries(&server),
        "feeds": feed_status(&server),
        "nodes": {"total": server.nodes.list().len()},
    }))
}

/// The state of each relayed feed.
fn feed_status(server: &Server) -> Value {
    let feeds = server.relay.status();
    feeds.iter().map(FeedStatus::to_json).collect()
}

/// Handles `GET /v1/feeds`.
pub async fn feeds(State(server): State<Arc<Server>>) -> Response {
    http::json(&json!({ "feeds": feed_status(&server) }))
}

/// Handles `GET /v1/nodes`.
pub async fn nodes(State(server): State<Arc<Server>>) -> Response {
    let nodes = server.nodes.list();
    let nodes = nodes.iter().map(|node| {
        json!({
            "id": node.id,
            "cluster": node.cluster,
            "envoy": node.envoy,
            "last_seen_unix_seconds": node.last_seen.as_secs(),
        })
    });
    http::json(&json!({ "nodes": nodes.collect::<Value>() }))
}

/// Handles `GET /v1/changes`.
pub async fn changes(State(server): State<Arc<Server>>) -> Response {
    let changes = server.changes.list();
    http::json(&json!({ "changes": changes.iter().map(Change::to_json).collect::<Value>() }))
}

/// Handles `GET /v1/openapi.json`.
pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
