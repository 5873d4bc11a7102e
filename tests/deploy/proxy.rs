//! A real Envoy with a bootstrap that an example rendered.

use crate::harness::audit::Replies;
use crate::harness::client::{Reply, Request};
use crate::harness::envoy_process::{EnvoyProcess, envoy_binary};
use crate::harness::eventually;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// Number of new connections that reach all of four workers: they miss one about once in 10^8 runs.
const CONNECTIONS: usize = 64;

/// A running Envoy.
pub struct Proxy {
    /// Its process and admin interface.
    pub envoy: EnvoyProcess,
    listeners: BTreeMap<String, SocketAddr>,
}

impl Proxy {
    /// Starts Envoy with this bootstrap, four workers and ABS's keys in its environment; waits until it serves.
    pub async fn with_bootstrap(file: &Path, keys: [&str; 2]) -> Self {
        let file = file.to_str().unwrap();
        let arguments = ["-c", file, "--concurrency", "4", "--disable-hot-restart"];
        Self::start(&arguments, keys).await
    }

    /// Starts Envoy with these arguments and ABS's keys in its environment; waits until it serves.
    pub async fn start(arguments: &[&str], keys: [&str; 2]) -> Self {
        let envoy = EnvoyProcess::start(
            Command::new(envoy_binary())
                .args(arguments)
                .env("ABS_ACCESS_KEY", keys[0])
                .env("ABS_SECRET_KEY", keys[1]),
        )
        .await;
        Self {
            listeners: envoy.listeners().await.into_iter().collect(),
            envoy,
        }
    }

    /// A GET to the listener of this name.
    pub fn get(&self, listener: &str, path: &str) -> Request {
        let address = self
            .listeners
            .get(listener)
            .unwrap_or_else(|| panic!("no listener {listener}: {:?}", self.listeners));
        Request::get(*address, path, &Replies::default())
    }

    /// The body of a GET to the admin interface.
    pub async fn admin(&self, path: &str) -> String {
        self.envoy.admin(path).await
    }

    /// Waits until every worker denies `request`.
    pub async fn becomes_denied(&self, request: &Request) {
        becomes(request, "denied", Reply::is_denied).await;
    }

    /// Waits until every worker allows `request`.
    pub async fn becomes_allowed(&self, request: &Request) {
        becomes(request, "allowed", Reply::is_allowed).await;
    }
}

async fn becomes(request: &Request, what: &str, is_expected: fn(&Reply) -> bool) {
    eventually(&format!("{request:?} is {what}"), async || {
        for _ in 0..CONNECTIONS {
            if !is_expected(&request.send().await) {
                return None;
            }
        }
        Some(())
    })
    .await;
}
