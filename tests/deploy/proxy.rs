//! A real Envoy with a bootstrap that an example rendered.
//!
//! Owns its process and its admin interface. What the bootstrap says is the examples' business.

use crate::harness::audit::Replies;
use crate::harness::client::{Reply, Request};
use crate::harness::envoy::envoy_binary;
use crate::harness::eventually;
use crate::harness::process::Process;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use tempfile::TempDir;

/// New connections that reach all of four workers: one is missed by all of these about once in 10^8 times.
const CONNECTIONS: usize = 64;

/// A running Envoy.
pub struct Proxy {
    /// Where its admin interface is.
    pub admin: SocketAddr,
    listeners: BTreeMap<String, SocketAddr>,
    process: Process,
    _directory: TempDir,
}

impl Proxy {
    /// Starts Envoy with these arguments and ABS's keys in its environment, and waits until it serves.
    pub async fn start(arguments: &[&str], keys: [&str; 2]) -> Self {
        let directory = TempDir::new().unwrap();
        let admin_address = directory.path().join("admin");
        let mut process = Process::start(
            "envoy",
            Command::new(envoy_binary())
                .args(arguments)
                .arg("--admin-address-path")
                .arg(&admin_address)
                .env("ABS_ACCESS_KEY", keys[0])
                .env("ABS_SECRET_KEY", keys[1]),
        );
        let admin = eventually("Envoy names its admin address", async || {
            process.assert_running();
            std::fs::read_to_string(&admin_address).ok()?.parse().ok()
        })
        .await;
        let mut proxy = Self {
            admin,
            listeners: BTreeMap::new(),
            process,
            _directory: directory,
        };
        eventually("Envoy is ready", async || {
            proxy.process.assert_running();
            let ready = Request::get(admin, "/ready", &Replies::default())
                .try_send()
                .await;
            ready.is_ok_and(|reply| reply.status == 200).then_some(())
        })
        .await;
        let listeners: Value =
            serde_json::from_str(&proxy.admin("/listeners?format=json").await).unwrap();
        for listener in listeners["listener_statuses"].as_array().unwrap() {
            let port = &listener["local_address"]["socket_address"]["port_value"];
            let port = u16::try_from(port.as_u64().unwrap()).unwrap();
            proxy.listeners.insert(
                listener["name"].as_str().unwrap().to_owned(),
                SocketAddr::from(([127, 0, 0, 1], port)),
            );
        }
        proxy
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
        Request::get(self.admin, path, &Replies::default())
            .send()
            .await
            .body
    }

    /// Waits until every worker denies `request`.
    pub async fn becomes_denied(&self, request: &Request) {
        becomes(request, "denied", Reply::is_denied).await;
    }

    /// Waits until every worker lets `request` pass.
    pub async fn becomes_allowed(&self, request: &Request) {
        becomes(request, "allowed", Reply::is_allowed).await;
    }

    /// The most resident memory that it has had so far, in bytes.
    pub fn highest_memory(&self) -> u64 {
        let file = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(file).unwrap();
        let (_, rest) = status.split_once("VmHWM:").unwrap();
        let kib: u64 = rest.split_whitespace().next().unwrap().parse().unwrap();
        kib * 1024
    }

    /// All that it wrote.
    pub fn transcript(&self) -> String {
        self.process.transcript()
    }
}

async fn becomes(request: &Request, what: &str, holds: fn(&Reply) -> bool) {
    eventually(&format!("{request:?} is {what}"), async || {
        for _ in 0..CONNECTIONS {
            if !holds(&request.send().await) {
                return None;
            }
        }
        Some(())
    })
    .await;
}
