//! The harness: the ABS simulator, the sample API and a real Envoy with the filter, on loopback and free ports.
//!
//! [`scenario`] starts all three, runs a test's body against them, searches every output for the secrets that the body
//! planted, and stops everything. Where the test fails, all outputs are printed. Nothing here waits by the clock alone:
//! see [`eventually`], [`within`] and [`throughout`].

#![allow(
    dead_code,
    reason = "each test target that uses the harness uses a part of it"
)]

pub mod audit;
pub mod client;
pub mod envoy;
pub mod interval;
pub mod process;
pub mod services;
pub mod stopwatch;
pub mod traffic;

use audit::{Replies, Secrets};
use client::{Connection, Reply, Request};
use envoy::{DEADLINE, Envoy};
use serde_json::{Value, json};
use services::{Abs, Api};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use stopwatch::Stopwatch;
use tokio::sync::Semaphore;
use traffic::Traffic;

/// Between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);

/// Harnesses that may run at once: each has an Envoy that compiles the module, and tests measure seconds.
pub static SLOTS: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Semaphore::new((cores / 2).clamp(1, 4))
});

/// How a harness starts.
pub struct Setup {
    plugin: Vec<Value>,
    concurrency: u32,
    trusted_hops: u32,
    abs_arguments: Vec<String>,
    abs_down: bool,
    abs_over_tls: Option<PathBuf>,
    abs_at: Option<SocketAddr>,
    module: Option<PathBuf>,
    failure_policy: Option<&'static str>,
    keys_in_vm: bool,
    keys_as: fn(&str) -> String,
    bootstrap: Vec<Box<dyn Fn(String) -> String>>,
}

impl Setup {
    /// The shipped configuration, with the list fetched every 1.2 seconds, and four workers.
    pub fn new() -> Self {
        Self {
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
            bootstrap: Vec::new(),
        }
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

    /// ABS is not there when Envoy starts; [`Abs::restart`] brings it up.
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

    /// ABS speaks TLS, and Envoy takes the TLS variant of the cluster with this certificate authority.
    pub fn abs_over_tls(mut self, authority: PathBuf) -> Self {
        self.abs_over_tls = Some(authority);
        self
    }

    /// Envoy finds ABS at this address; the simulator runs beside it, unused.
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

    /// The VM gets no environment variables, and so no keys.
    pub fn no_keys_in_vm(mut self) -> Self {
        self.keys_in_vm = false;
        self
    }

    /// How the keys to ABS are written into Envoy's environment.
    pub fn keys_as(mut self, written: fn(&str) -> String) -> Self {
        self.keys_as = written;
        self
    }

    /// A last change to the text of Envoy's bootstrap.
    pub fn bootstrap(mut self, change: impl Fn(String) -> String + 'static) -> Self {
        self.bootstrap.push(Box::new(change));
        self
    }
}

/// A running harness.
pub struct Harness {
    /// Envoy with the filter.
    pub envoy: Envoy,
    /// The ABS simulator.
    pub abs: Abs,
    /// The API behind Envoy.
    pub api: Api,
    /// What must appear nowhere.
    pub secrets: Secrets,
    replies: Replies,
    setup: Setup,
    keys: [String; 2],
}

/// Runs `body` against a harness of its own.
pub fn scenario(setup: Setup, body: impl AsyncFnOnce(&mut Harness)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let _turn = SLOTS.acquire().await.unwrap();
        let mut harness = Harness::start(setup).await;
        body(&mut harness).await;
        harness.assert_no_secret_leaked().await;
    });
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

    /// Kills Envoy and starts it as it was started first, on other ports.
    pub async fn restart_envoy(&mut self) {
        // What this Envoy wrote ends with it.
        self.assert_no_secret_leaked().await;
        self.envoy.stop();
        self.envoy = Envoy::start(&self.setup, self.api.address, &self.abs, &self.keys).await;
    }

    /// A GET to Envoy.
    pub fn get(&self, path: &str) -> Request {
        Request::get(self.envoy.listener, path, &self.replies)
    }

    /// Waits until every worker denies `request`, and gives one of the replies.
    pub async fn becomes_denied(&self, request: &Request) -> Reply {
        self.becomes(request, "denied", Reply::is_denied).await
    }

    /// Waits until every worker lets `request` pass.
    pub async fn becomes_allowed(&self, request: &Request) -> Reply {
        self.becomes(request, "allowed", Reply::is_allowed).await
    }

    /// Waits until `holds` is true of the replies of all workers to `request`.
    pub async fn becomes(
        &self,
        request: &Request,
        what: &str,
        holds: impl Fn(&Reply) -> bool,
    ) -> Reply {
        let mut connections = self.connections_to_all_workers(request).await;
        eventually(&format!("{request:?} is {what}"), async || {
            let mut last = None;
            for connection in &mut connections {
                let reply = connection.send(request).await.unwrap();
                if !holds(&reply) {
                    return None;
                }
                last = Some(reply);
            }
            last
        })
        .await
    }

    /// Fails the test unless every worker lets `request` pass now.
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

    /// One open connection to each of Envoy's workers, made as `request` would make them.
    pub async fn connections_to_all_workers(&self, request: &Request) -> Vec<Connection> {
        let workers = self.envoy.concurrency() as usize;
        let mut connections: Vec<Option<Connection>> = (0..workers).map(|_| None).collect();
        let mut before = self.envoy.connections_by_worker().await;
        // The kernel spreads connections at random: of sixteen workers, 500 miss one about once in 10^13 times.
        for _ in 0..500 {
            let connection = request.connect().await.unwrap();
            let now = eventually("a worker takes the connection", async || {
                let now = self.envoy.connections_by_worker().await;
                (now != before).then_some(now)
            })
            .await;
            // Other connections may have come in meanwhile, from traffic in the background: then none is sure.
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

    /// Waits until a metric of the filter holds `expected`.
    pub async fn metric_becomes(&self, name: &str, expected: u64) {
        let seen = std::cell::Cell::new(None);
        let what = format!("portcullis.{name} is {expected}");
        eventually_or(
            &what,
            DEADLINE,
            async || {
                seen.set(self.envoy.metric(name).await);
                (seen.get() == Some(expected)).then_some(())
            },
            || format!("it is {:?}", seen.get()),
        )
        .await;
    }

    /// Waits until a metric of the filter holds `least` or more.
    pub async fn metric_reaches(&self, name: &str, least: u64) {
        eventually(&format!("portcullis.{name} reaches {least}"), async || {
            (self.envoy.count(name).await >= least).then_some(())
        })
        .await;
    }

    /// Waits until the list that ABS holds now is in force: fetched after this call, and known to all workers.
    pub async fn list_is_fetched_again(&self) {
        // The fetch that is under way may have been answered before the list changed; the one after it was not.
        let fetches = self.abs.fetches().await;
        eventually("ABS is asked twice more", async || {
            (self.abs.fetches().await >= fetches + 2).then_some(())
        })
        .await;
    }

    /// Background traffic of `request` that should be let pass, on so many connections.
    pub async fn traffic(&self, request: &Request, n_connections: usize) -> Traffic {
        let mut connections = Vec::new();
        for _ in 0..n_connections {
            connections.push(request.connect().await.unwrap());
        }
        Traffic::start(connections, request, Reply::is_allowed).await
    }

    /// Background traffic of `request` on one connection to each worker, for whose replies `holds` should be true.
    pub async fn traffic_on_every_worker(
        &self,
        request: &Request,
        holds: fn(&Reply) -> bool,
    ) -> Traffic {
        let connections = self.connections_to_all_workers(request).await;
        Traffic::start(connections, request, holds).await
    }

    async fn assert_no_secret_leaked(&mut self) {
        let places = [
            ("/stats", self.envoy.admin("/stats").await),
            (
                "/stats/prometheus",
                self.envoy.admin("/stats/prometheus").await,
            ),
            ("Envoy's output", self.envoy.transcript()),
        ];
        let config_dump = self.envoy.admin("/config_dump").await;
        assert!(
            config_dump.contains("root_id"),
            "/config_dump should show the filter: {config_dump}"
        );
        self.envoy.process().assert_running();
        self.secrets
            .assert_absent(&places, &config_dump, &self.replies);
    }
}

/// Looks until `condition` gives something, and fails the test where it does not within a generous deadline.
pub async fn eventually<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_or(what, DEADLINE, condition, String::new).await
}

/// As [`eventually`], with a deadline of its own and a word on what stood instead.
pub async fn eventually_or<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
    instead: impl Fn() -> String,
) -> T {
    let start = Instant::now();
    let mut poll = tokio::time::interval(POLL);
    loop {
        poll.tick().await;
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            start.elapsed() < deadline,
            "not within {deadline:?}: {what} {}",
            instead()
        );
    }
}

/// Looks until `condition` gives something, and fails the test where that takes longer than `bound`: a bound that is
/// promised, not one to notice a test that hangs. Time that the machine had no time counts as none.
pub async fn within<T>(
    bound: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let watch = Stopwatch::start();
    let mut poll = tokio::time::interval(POLL);
    loop {
        poll.tick().await;
        let value = condition().await;
        let elapsed = watch.elapsed();
        assert!(
            elapsed < bound,
            "not within {bound:?}: {what}; after {elapsed:?}, and {:?} late",
            watch.late()
        );
        if let Some(value) = value {
            return value;
        }
    }
}

/// Looks again and again for as long as `span`, to see that `check` goes on holding.
pub async fn throughout(span: Duration, mut check: impl AsyncFnMut()) {
    let start = Instant::now();
    let mut poll = tokio::time::interval(POLL);
    while start.elapsed() < span {
        poll.tick().await;
        check().await;
    }
}
