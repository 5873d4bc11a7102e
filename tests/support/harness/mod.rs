//! The harness: the ABS simulator, the sample API and a real Envoy with the filter, on loopback and free ports.
//!
//! [`scenario`] starts all three, runs a test's body against them, searches every output for the secrets that the body
//! planted, and stops everything. If the test fails, it prints all outputs. Tests wait by [`eventually`], [`within`] and
//! [`throughout`], never by a fixed sleep.
//!
//! | module | owns |
//! |---|---|
//! | [`artefact`] | whether the filter is the wasm module or the native one, and what differs |
//! | [`setup`] | how a scenario starts |
//! | [`envoy`] | the Envoy of a scenario: its configuration while it runs, metrics, logs |
//! | [`envoy_files`] | the shipped bootstrap and filter, with the scenario's changes |
//! | [`envoy_process`] | a process of Envoy with any bootstrap, and its admin interface |
//! | [`services`] | the simulator and the sample API |
//! | [`lapi`] | a real CrowdSec LAPI |
//! | [`process`] | any child process, and where programs are |
//! | [`client`] | an HTTP client with control over address, version and raw headers |
//! | [`traffic`] | requests in the background |
//! | [`waiting`], [`stopwatch`], [`interval`] | waiting for conditions, time on a busy machine, intervals between fetches |
//! | [`certificate`] | certificates for ABS |
//! | [`audit`] | the search for secrets |

#![allow(
    dead_code,
    unused_imports,
    reason = "each test target that uses the harness uses a part of it"
)]

pub mod artefact;
pub mod audit;
pub mod certificate;
pub mod client;
pub mod envoy;
pub mod envoy_files;
pub mod envoy_process;
pub mod interval;
pub mod lapi;
pub mod process;
pub mod services;
pub mod setup;
pub mod stopwatch;
pub mod traffic;
pub mod waiting;

use artefact::Artefact;
use audit::{Replies, Secrets};
use client::{Connection, Reply, Request};
use envoy::Envoy;
use serde_json::json;
use services::{Abs, Api};
pub use setup::Setup;
use std::sync::LazyLock;
use tokio::sync::Semaphore;
use traffic::Traffic;
pub use waiting::{DEADLINE, eventually, eventually_or, throughout, within};

/// The number of tests that may run at once: some measure seconds, and each Envoy compiles a wasm module when it starts.
static N_SLOTS: LazyLock<u32> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let slots = match Artefact::under_test() {
        Artefact::Wasm => cores / 2,
        Artefact::Native => cores,
    };
    slots.clamp(2, 4) as u32
});

static SLOTS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(*N_SLOTS as usize));

/// Runs the body of a test that starts an Envoy, when a slot is free.
pub fn run(body: impl Future<Output = ()>) {
    run_beside(async {
        let _slot = SLOTS.acquire().await.unwrap();
        body.await;
    });
}

/// Like [`scenario`], while no other test runs: for a test in which the module needs a whole core for seconds.
pub fn scenario_alone(setup: Setup, body: impl AsyncFnOnce(&mut Harness)) {
    run_beside(async {
        let _slots = SLOTS.acquire_many(*N_SLOTS).await.unwrap();
        play(setup, body).await;
    });
}

/// Like [`run`], without waiting for a slot: for a test that measures nothing and mostly waits.
pub fn run_beside(body: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(body);
}

/// Runs `body` against a harness of its own.
pub fn scenario(setup: Setup, body: impl AsyncFnOnce(&mut Harness)) {
    run(play(setup, body));
}

/// Like [`scenario`], in a test that runs already and has started other servers.
pub async fn play(setup: Setup, body: impl AsyncFnOnce(&mut Harness)) {
    let mut harness = Harness::start(setup).await;
    body(&mut harness).await;
    harness.assert_no_secret_leaked().await;
}

/// A running harness.
pub struct Harness {
    /// Envoy with the filter.
    pub envoy: Envoy,
    /// The ABS simulator.
    pub abs: Abs,
    /// The API behind Envoy.
    pub api: Api,
    /// Values that must not appear in any output.
    pub secrets: Secrets,
    replies: Replies,
    setup: Setup,
    keys: [String; 2],
}

impl Harness {
    async fn start(setup: Setup) -> Self {
        let secrets = Secrets::default();
        let keys = [secrets.plant("access-key"), secrets.plant("secret-key")];
        let api = Api::start().await;
        let mut abs = Abs::start(&keys[0], &keys[1], &setup.abs_arguments).await;
        if setup.abs_down {
            abs.stop();
        }
        let envoy = Envoy::start(&setup, api.address, &abs, &keys).await;
        Self {
            envoy,
            abs,
            api,
            secrets,
            replies: Replies::default(),
            setup,
            keys,
        }
    }

    /// Kills Envoy and starts it again with the setup, on other ports.
    pub async fn restart_envoy(&mut self) {
        // The output of this process ends with it.
        self.assert_no_secret_leaked().await;
        self.envoy.stop();
        self.envoy = Envoy::start(&self.setup, self.api.address, &self.abs, &self.keys).await;
    }

    /// A GET to Envoy.
    pub fn get(&self, path: &str) -> Request {
        Request::get(self.envoy.listener, path, &self.replies)
    }

    /// Has ABS list this address and waits until every worker denies it; returns a request from it.
    pub async fn block(&self, address: &str) -> Request {
        let request = self.get("/").from(address);
        self.abs.list(json!({"ips": [address]})).await;
        self.becomes_denied(&request).await;
        request
    }

    /// Waits until every worker denies `request`; returns one of the replies.
    pub async fn becomes_denied(&self, request: &Request) -> Reply {
        self.becomes(request, "denied", Reply::is_denied).await
    }

    /// Waits until every worker allows `request`.
    pub async fn becomes_allowed(&self, request: &Request) -> Reply {
        self.becomes(request, "allowed", Reply::is_allowed).await
    }

    /// Waits until `is_expected` accepts the replies of all workers to `request`.
    pub async fn becomes(
        &self,
        request: &Request,
        what: &str,
        is_expected: impl Fn(&Reply) -> bool,
    ) -> Reply {
        let mut connections = self.connections_to_all_workers(request).await;
        eventually(&format!("{request:?} is {what}"), async || {
            let mut last = None;
            for connection in &mut connections {
                let reply = connection.send(request).await.unwrap();
                if !is_expected(&reply) {
                    return None;
                }
                last = Some(reply);
            }
            last
        })
        .await
    }

    /// Fails the test unless every worker allows `request` now.
    pub async fn assert_allowed(&self, request: &Request) {
        for connection in &mut self.connections_to_all_workers(request).await {
            let reply = connection.send(request).await.unwrap();
            assert!(reply.is_allowed(), "{request:?} got {reply:?}");
        }
    }

    /// Fails the test unless every worker denies `request` now.
    pub async fn assert_denied(&self, request: &Request) {
        for connection in &mut self.connections_to_all_workers(request).await {
            let reply = connection.send(request).await.unwrap();
            assert!(reply.is_denied(), "{request:?} got {reply:?}");
        }
    }

    /// One open connection to each of Envoy's workers, from the address of `request`.
    pub async fn connections_to_all_workers(&self, request: &Request) -> Vec<Connection> {
        let workers = self.envoy.concurrency() as usize;
        let mut connections: Vec<Option<Connection>> = (0..workers).map(|_| None).collect();
        let mut before = self.envoy.connections_by_worker().await;
        // The kernel distributes connections at random: 500 miss one of sixteen workers about once in 10^13 runs.
        for _ in 0..500 {
            let connection = request.connect().await.unwrap();
            let now = eventually("a worker takes the connection", async || {
                let now = self.envoy.connections_by_worker().await;
                (now != before).then_some(now)
            })
            .await;
            // With background traffic, another connection may have arrived too: then the worker is not known.
            let taken: Vec<usize> = (0..workers).filter(|&i| now[i] > before[i]).collect();
            if let [worker] = taken[..]
                && now[worker] == before[worker] + 1
            {
                connections[worker].get_or_insert(connection);
            }
            before = now;
            if connections.iter().all(Option::is_some) {
                return connections.into_iter().flatten().collect();
            }
        }
        panic!("a worker took none of 500 connections: {before:?}");
    }

    /// Waits until a metric of the filter is `expected`.
    pub async fn metric_becomes(&self, name: &str, expected: u64) {
        let last = std::cell::Cell::new(None);
        let what = format!("portcullis.{name} is {expected}");
        eventually_or(
            &what,
            DEADLINE,
            async || {
                last.set(self.envoy.metric(name).await);
                (last.get() == Some(expected)).then_some(())
            },
            || format!("it is {:?}", last.get()),
        )
        .await;
    }

    /// Waits until a metric of the filter is at least `least`.
    pub async fn metric_reaches(&self, name: &str, least: u64) {
        eventually(&format!("portcullis.{name} reaches {least}"), async || {
            (self.envoy.count(name).await >= least).then_some(())
        })
        .await;
    }

    /// Waits until the list that ABS has now is fetched.
    pub async fn list_is_fetched_again(&self) {
        // The response to a pending fetch may be older than the list; the one to the next fetch is not.
        let fetches = self.abs.fetches().await;
        eventually("two more fetches", async || {
            (self.abs.fetches().await >= fetches + 2).then_some(())
        })
        .await;
    }

    /// Sends `request`, which should be allowed, in the background on this many connections.
    pub async fn traffic(&self, request: &Request, n_connections: usize) -> Traffic {
        let mut connections = Vec::new();
        for _ in 0..n_connections {
            connections.push(request.connect().await.unwrap());
        }
        Traffic::start(connections, request, Reply::is_allowed).await
    }

    /// Sends `request` in the background on one connection to each worker; `is_expected` should
    /// accept the replies.
    pub async fn traffic_on_every_worker(
        &self,
        request: &Request,
        is_expected: fn(&Reply) -> bool,
    ) -> Traffic {
        let connections = self.connections_to_all_workers(request).await;
        Traffic::start(connections, request, is_expected).await
    }

    async fn assert_no_secret_leaked(&mut self) {
        let places = [
            ("/stats", self.envoy.admin("/stats").await),
            (
                "/stats/prometheus",
                self.envoy.admin("/stats/prometheus").await,
            ),
            ("Envoy's output", self.envoy.process().transcript()),
        ];
        let config_dump = self.envoy.admin("/config_dump").await;
        assert!(
            config_dump.contains(self.setup.artefact.dump_mark()),
            "/config_dump should show the filter: {config_dump}"
        );
        self.envoy.process().assert_running();
        self.secrets
            .assert_absent(&places, &config_dump, &self.replies);
    }
}
