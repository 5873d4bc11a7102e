//! The newest requests for each list, without their credentials.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use axum::http::HeaderMap;
use serde::Serialize;

use crate::faults::Endpoint;

/// Number of requests to keep for each endpoint.
const KEPT: usize = 1_000;

/// Headers with credentials.
const SECRET: [&str; 7] = [
    "authorization",
    "cookie",
    "x-api-key",
    "x-abs-ak",
    "x-abs-sk",
    "x-abs-ak-ru",
    "x-abs-sk-ru",
];

/// A request.
#[derive(Clone, Debug, Serialize)]
pub struct KeptRequest {
    /// Milliseconds since the simulator's start.
    pub at_ms: u128,
    /// Path and query.
    pub target: String,
    /// Headers; the last of each name.
    pub headers: BTreeMap<String, String>,
}

/// The newest requests.
#[derive(Debug)]
pub struct Requests {
    start: Instant,
    by_endpoint: HashMap<Endpoint, VecDeque<KeptRequest>>,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            by_endpoint: HashMap::new(),
        }
    }
}

impl Requests {
    /// Adds a request.
    pub fn add(&mut self, endpoint: Endpoint, target: String, headers: &HeaderMap) {
        let requests = self.by_endpoint.entry(endpoint).or_default();
        if requests.len() == KEPT {
            requests.pop_front();
        }
        requests.push_back(KeptRequest {
            at_ms: self.start.elapsed().as_millis(),
            target,
            headers: headers
                .iter()
                .filter(|(name, _)| !SECRET.contains(&name.as_str()))
                .map(|(name, value)| {
                    let value = String::from_utf8_lossy(value.as_bytes());
                    (name.to_string(), value.into_owned())
                })
                .collect(),
        });
    }

    /// The requests to an endpoint, oldest first.
    pub fn of(&self, endpoint: Endpoint) -> Vec<KeptRequest> {
        let requests = self.by_endpoint.get(&endpoint);
        requests.into_iter().flatten().cloned().collect()
    }
}
