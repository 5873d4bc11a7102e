//! Envoy with the filter in shadow mode in front of all servers: sends one request to each, and returns the servers'
//! readings and the filter's verdict.

use crate::harness::{Harness, Setup, eventually, scenario};
use crate::identities::{Identity, listed};
use crate::raw::{RawConnection, RawRequest};
use crate::servers::{self, NAMES, Server};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Envoy's status if a server closes the connection that Envoy is about to use.
const SERVICE_UNAVAILABLE: u16 = 503;
/// How often a request is sent that reaches no server.
const ATTEMPTS: usize = 4;

/// Only one test runs the servers at a time.
static TURN: Mutex<()> = Mutex::new(());

/// The results of one server and of the filter for a request.
#[derive(Debug)]
pub struct Outcome {
    /// The server.
    pub server: &'static str,
    /// HTTP status, Envoy's or the server's.
    pub status: u16,
    /// Whether the filter would have denied it; `None` if Envoy rejected the request before.
    pub denied: Option<bool>,
    /// The readings by which the server recognised the identity.
    pub recognised: BTreeSet<String>,
}

/// Sends requests, and knows what the servers recognise.
pub struct Comparison {
    connections: Vec<RawConnection>,
    to: SocketAddr,
    /// By server and identity, the lines of a response that show it.
    canonical: Arc<Canonical>,
}

type Canonical = BTreeMap<(&'static str, Identity), BTreeSet<String>>;

/// Runs `body` with every server, and the identities on ABS's list or on the manual deny list.
pub fn compare(list: Listed, body: impl AsyncFnOnce(&mut Comparison)) {
    // A failed test poisons the lock, which does not matter here.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let setup = Setup::new().concurrency(1).plugin(json!({
        "apis": [
            {"api_id": "open", "url": "/open", "enable_blocking": false},
            {"api_id": "all", "mode": "shadow", "oauth2_cookie": ["token"]},
        ],
        "enable_abs_attack": list == Listed::Abs,
        "deny_list": if list == Listed::Manual { listed() } else { json!({}) }
    }));
    let servers = servers::start();
    let addresses: Vec<_> = servers
        .iter()
        .map(|server| (server.name, server.address.port()))
        .collect();
    let setup = setup.bootstrap(move |text| bootstrap(&text, &addresses));
    scenario(setup, async |harness| {
        let mut servers = servers;
        if list == Listed::Abs {
            harness.abs.list(listed()).await;
        }
        let mut comparison = Comparison::start(harness, &mut servers).await;
        body(&mut comparison).await;
        for server in &mut servers {
            server.process.assert_running();
        }
    });
}

/// The list that contains the identities.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// ABS's.
    Abs,
    /// The manual deny list.
    Manual,
}

impl Comparison {
    async fn start(harness: &Harness, servers: &mut [Server]) -> Self {
        let mut comparison = Self::new(harness.envoy.listener, Arc::default());
        for (index, server) in servers.iter_mut().enumerate() {
            eventually(&format!("{} serves", server.name), async || {
                server.process.assert_running();
                let response = comparison.exchange(index, &RawRequest::path("/")).await;
                (response.0 / 100 == 2).then_some(())
            })
            .await;
        }
        let mut canonical = Canonical::new();
        for identity in Identity::ALL {
            comparison.learn(identity, &mut canonical).await;
        }
        comparison.canonical = Arc::new(canonical);
        comparison
    }

    fn new(to: SocketAddr, canonical: Arc<Canonical>) -> Self {
        Self {
            connections: NAMES.map(|_| RawConnection::new(to)).into(),
            to,
            canonical,
        }
    }

    /// A copy with its own connections.
    pub fn another(&self) -> Self {
        Self::new(self.to, Arc::clone(&self.canonical))
    }

    /// Finds out which servers read an identity, and waits until the filter has the list.
    async fn learn(&mut self, identity: Identity, canonical: &mut Canonical) {
        for (index, server) in NAMES.into_iter().enumerate() {
            let clean = self.exchange(index, &RawRequest::path("/")).await.2;
            let mut lines = BTreeSet::new();
            for request in identity.canonical() {
                let (status, _, found) = self.exchange(index, &request).await;
                assert_eq!(status / 100, 2, "{server} refuses {request:?}");
                lines.extend(found.into_iter().filter(|line| {
                    let mut names = identity.readings().iter();
                    names.any(|name| line.starts_with(name))
                }));
            }
            let lines = lines.difference(&clean).cloned().collect();
            canonical.insert((server, identity), lines);
        }
        let read_by = NAMES
            .iter()
            .filter(|server| !canonical[&(**server, identity)].is_empty());
        assert!(read_by.count() > 0, "no server recognises {identity:?}");
        let request = &identity.canonical()[0];
        let index = NAMES.iter().position(|server| *server == "nginx").unwrap();
        eventually(&format!("the list contains {identity:?}"), async || {
            (self.exchange(index, request).await.1 == Some(true)).then_some(())
        })
        .await;
    }

    /// Sends `request` to every server.
    pub async fn outcomes(&mut self, identity: Identity, request: &RawRequest) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for (index, server) in NAMES.into_iter().enumerate() {
            outcomes.push(self.outcome(index, server, identity, request).await);
        }
        outcomes
    }

    /// Sends `request` to the servers that recognise the identity.
    pub async fn outcomes_where_known(
        &mut self,
        identity: Identity,
        request: &RawRequest,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for (index, server) in NAMES.into_iter().enumerate() {
            if !self.canonical[&(server, identity)].is_empty() {
                outcomes.push(self.outcome(index, server, identity, request).await);
            }
        }
        outcomes
    }

    async fn outcome(
        &mut self,
        index: usize,
        server: &'static str,
        identity: Identity,
        request: &RawRequest,
    ) -> Outcome {
        let (status, denied, lines) = self.exchange(index, request).await;
        let canonical = &self.canonical[&(server, identity)];
        let readings = canonical.intersection(&lines).map(|line| {
            let (reading, _) = line.split_once(' ').unwrap();
            reading.to_owned()
        });
        Outcome {
            server,
            status,
            denied,
            recognised: readings.collect(),
        }
    }

    /// The filter's verdict on a request.
    pub async fn is_denied(&mut self, request: &RawRequest) -> Option<bool> {
        let index = NAMES.iter().position(|server| *server == "nginx").unwrap();
        self.exchange(index, request).await.1
    }

    /// Status, verdict and the body's lines.
    async fn exchange(
        &mut self,
        index: usize,
        request: &RawRequest,
    ) -> (u16, Option<bool>, BTreeSet<String>) {
        let bytes = request.bytes(NAMES[index]);
        for _ in 0..ATTEMPTS {
            let response = self.connections[index]
                .send(&bytes)
                .await
                .unwrap_or_else(|error| panic!("{} | {request:?}: {error}", NAMES[index]));
            if response.status == SERVICE_UNAVAILABLE {
                continue;
            }
            let verdict = response.header("x-verdict");
            let denied = (!verdict.is_empty()).then(|| {
                // The API with blocking off is not in shadow mode.
                verdict.starts_with("would_deny ") || verdict.starts_with("denied ")
            });
            let body = String::from_utf8_lossy(&response.body);
            // A line without a value means that the reading found nothing.
            let lines = body
                .split('\n')
                .filter(|line| !line.is_empty() && !line.ends_with(' '));
            return (response.status, denied, lines.map(str::to_owned).collect());
        }
        (SERVICE_UNAVAILABLE, None, BTreeSet::new())
    }
}

/// The shipped bootstrap with a route to each server by the header x-server, and the verdict as a response header.
fn bootstrap(text: &str, servers: &[(&str, u16)]) -> String {
    let mut routes = String::from(
        "route_config:\n                  response_headers_to_add:\n                    - header: { key: x-verdict, value: \"%FILTER_STATE(wasm.portcullis.verdict:PLAIN)%.\" }\n",
    );
    let (before, after) = text
        .split_once("route_config:\n")
        .expect("envoy/envoy.yaml should have route_config");
    routes.push_str(after);
    let mut text = format!("{before}{routes}");
    let mut matches = String::new();
    let mut clusters = String::new();
    for (name, port) in servers {
        write!(
            matches,
            "- match: {{ prefix: /, headers: [{{ name: x-server, string_match: {{ exact: {name} }} }}] }}\n                          \
               route: {{ cluster: {name}, retry_policy: {{ retry_on: \"reset,connect-failure\", num_retries: 3 }} }}\n                        "
        )
        .unwrap();
        write!(
            clusters,
            "    - name: {name}\n      connect_timeout: 2s\n      type: STATIC\n      load_assignment: {{ cluster_name: {name}, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }} }}] }}] }}\n"
        )
        .unwrap();
    }
    text = replace_once(
        &text,
        "- match: { prefix: / }",
        &format!("{matches}- match: {{ prefix: / }}"),
    );
    text = replace_once(
        &text,
        "\n  clusters:\n",
        &format!("\n  clusters:\n{clusters}"),
    );
    // Headers with underscores must reach the servers, because some fold them.
    text = text.replace("REJECT_REQUEST", "ALLOW");
    // The access log of millions of requests would fill the test's memory.
    let (before, rest) = text.split_once("access_log:").unwrap();
    let (_, after) = rest.split_once("http_filters:").unwrap();
    format!("{before}http_filters:{after}")
}

fn replace_once(text: &str, what: &str, with: &str) -> String {
    assert_eq!(
        text.matches(what).count(),
        1,
        "envoy/envoy.yaml should contain `{what}` once"
    );
    text.replace(what, with)
}
