//! What the server knows: its status, the feeds, the nodes, the last changes; and the description of this API.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::filters::summaries;
use super::http;
use crate::clients::feed::unix_now;
use crate::serve::Server;
use crate::serve::changes::Change;
use crate::serve::problem::Problem;

/// The description of this API: OpenAPI 3.1.
pub const DOCUMENT: &str = include_str!("../../../../docs/fleet-api.json");

/// Handles `GET /v1/status`.
pub async fn status(State(server): State<Arc<Server>>) -> Response {
    http::json(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "filters": summaries(&server),
        "feeds": feed_status(&server),
        "nodes": node_counts(&server),
    }))
}

/// The number of nodes, and of those in each state.
fn node_counts(server: &Server) -> Value {
    let summary = server.nodes.summary(unix_now());
    let states = summary.iter();
    let mut counts: Map<String, Value> = states
        .map(|(state, count)| (state.as_str().to_owned(), json!(count)))
        .collect();
    let total: usize = summary.iter().map(|(_, count)| count).sum();
    counts.insert("total".to_owned(), json!(total));
    Value::Object(counts)
}

/// The state of each relayed feed.
fn feed_status(server: &Server) -> Value {
    let feeds = server.relay.status();
    let now = unix_now();
    feeds.iter().map(|feed| feed.to_json(now)).collect()
}

/// Handles `GET /v1/feeds`.
pub async fn feeds(State(server): State<Arc<Server>>) -> Response {
    http::json(&json!({ "feeds": feed_status(&server) }))
}

/// Handles `GET /v1/nodes`.
pub async fn nodes(State(server): State<Arc<Server>>) -> Result<Response, Problem> {
    // Fifty thousand nodes take a while and have 100 MB of JSON: one response at a time, a node a line.
    static AT_ONCE: Semaphore = Semaphore::const_new(1);
    let turn = AT_ONCE.acquire().await;
    http::blocking(move || {
        let _turn = turn;
        let now = unix_now();
        let mut body = "{\"nodes\": [".to_owned();
        let mut separator = "\n";
        for node in server.nodes.list() {
            body.push_str(separator);
            body.push_str(&node.to_json(now).to_string());
            separator = ",\n";
        }
        body.push_str("\n]}\n");
        Ok(http::json_text(body))
    })
    .await
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
