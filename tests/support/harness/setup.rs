//! How a scenario starts: what differs from the shipped files.

use super::artefact::Artefact;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;

/// How a scenario starts.
pub struct Setup {
    pub(super) artefact: Artefact,
    /// Merge patches (RFC 7396) for the plugin configuration, in order.
    pub(super) plugin: Vec<Value>,
    pub(super) concurrency: u32,
    pub(super) trusted_hops: u32,
    pub(super) abs_arguments: Vec<String>,
    pub(super) abs_down: bool,
    pub(super) abs_over_tls: Option<PathBuf>,
    pub(super) abs_at: Option<SocketAddr>,
    pub(super) module: Option<PathBuf>,
    pub(super) failure_policy: Option<&'static str>,
    pub(super) keys_in_vm: bool,
    pub(super) keys_as: fn(&str) -> String,
    pub(super) variables: Vec<(&'static str, String)>,
    pub(super) clusters: Vec<(&'static str, SocketAddr)>,
    pub(super) bootstrap: Vec<Box<dyn Fn(String) -> String>>,
}

impl Setup {
    /// The shipped configuration with a fetch every 1.2 seconds, and four workers.
    pub fn new() -> Self {
        Self {
            artefact: Artefact::under_test(),
            plugin: vec![json!({"abs_attack_request_minutes": 0.02})],
            concurrency: 4,
            trusted_hops: 0,
            abs_arguments: Vec::new(),
            abs_down: false,
            abs_over_tls: None,
            abs_at: None,
            module: None,
            failure_policy: None,
            keys_in_vm: true,
            keys_as: str::to_owned,
            variables: Vec::new(),
            clusters: Vec::new(),
            bootstrap: Vec::new(),
        }
    }

    /// Another artefact than the one under test.
    pub fn artefact(mut self, artefact: Artefact) -> Self {
        self.artefact = artefact;
        self
    }

    /// Merges `patch` (RFC 7396) into the plugin configuration.
    pub fn plugin(mut self, patch: Value) -> Self {
        self.plugin.push(patch);
        self
    }

    /// Envoy's number of workers.
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// Envoy's `xff_num_trusted_hops`.
    pub fn trusted_hops(mut self, hops: u32) -> Self {
        self.trusted_hops = hops;
        self
    }

    /// ABS is down when Envoy starts; [`Abs::restart`](super::services::Abs::restart) starts it.
    pub fn abs_down(mut self) -> Self {
        self.abs_down = true;
        self
    }

    /// Further arguments of the simulator.
    pub fn abs_arguments(mut self, arguments: &[&str]) -> Self {
        self.abs_arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// ABS uses TLS, and Envoy the TLS variant of its cluster with this certificate authority.
    pub fn abs_over_tls(mut self, authority: PathBuf) -> Self {
        self.abs_over_tls = Some(authority);
        self
    }

    /// Envoy uses this address for ABS; the simulator runs unused.
    pub fn abs_at(mut self, address: SocketAddr) -> Self {
        self.abs_at = Some(address);
        self
    }

    /// Another module than the shipped one.
    pub fn module(mut self, path: PathBuf) -> Self {
        self.module = Some(path);
        self
    }

    /// Another `failure_policy` than the shipped one.
    pub fn failure_policy(mut self, policy: &'static str) -> Self {
        self.failure_policy = Some(policy);
        self
    }

    /// The filter gets no keys: its VM no environment variables, or the variables have other names, those of the credential
    /// injector in the shipped file.
    pub fn no_keys_in_vm(mut self) -> Self {
        self.keys_in_vm = false;
        self
    }

    /// How the keys to ABS are written into Envoy's environment.
    pub fn keys_as(mut self, written: fn(&str) -> String) -> Self {
        self.keys_as = written;
        self
    }

    /// One more environment variable of Envoy and of the filter.
    pub fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// One more cluster, with one endpoint.
    pub fn cluster(mut self, name: &'static str, endpoint: SocketAddr) -> Self {
        self.clusters.push((name, endpoint));
        self
    }

    /// A last change to the text of Envoy's bootstrap.
    pub fn bootstrap(mut self, change: impl Fn(String) -> String + 'static) -> Self {
        self.bootstrap.push(Box::new(change));
        self
    }
}
