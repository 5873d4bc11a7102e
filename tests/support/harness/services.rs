//! The two servers around Envoy: the ABS simulator, with its admin interface, and the sample API.

use super::audit::Replies;
use super::client::Request;
use super::process::{Process, artefact};
use hyper::Method;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tokio::net::TcpSocket;

/// The simulator of ABS and ASE, running or stopped; its ports stay the same.
pub struct Abs {
    /// Where ABS listens.
    pub address: SocketAddr,
    /// Where ASE's sideband listens.
    pub sideband: SocketAddr,
    arguments: Vec<String>,
    process: Option<Process>,
    /// Reserve its ports without listening while it is stopped.
    reserved: Vec<TcpSocket>,
}

impl Abs {
    /// Starts the simulator with these credentials and further arguments.
    pub async fn start(access_key: &str, secret_key: &str, further: &[String]) -> Self {
        let mut abs = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            sideband: SocketAddr::from(([127, 0, 0, 1], 0)),
            arguments: ["--access-key", access_key, "--secret-key", secret_key]
                .map(str::to_owned)
                .into_iter()
                .chain(further.iter().cloned())
                .collect(),
            process: None,
            reserved: Vec::new(),
        };
        abs.restart().await;
        abs
    }

    /// Starts it, with an empty list, after [`Abs::stop`].
    pub async fn restart(&mut self) {
        assert!(self.process.is_none(), "the simulator is running");
        self.reserved.clear();
        let mut process = Process::start(
            "abs-simulator",
            Command::new(simulator())
                .args(["--listen", &self.address.to_string()])
                .args(["--listen-sideband", &self.sideband.to_string()])
                .args(&self.arguments),
        );
        [self.address, self.sideband] = process.listening_addresses().await;
        self.process = Some(process);
    }

    /// Kills it; its connections are closed.
    pub fn stop(&mut self) {
        self.process = None;
        for address in [self.address, self.sideband] {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(address).unwrap();
            self.reserved.push(socket);
        }
    }

    /// Adds entries, in ABS's format.
    pub async fn list(&self, list: Value) {
        self.admin(Method::POST, "/admin/list", Some(list)).await;
    }

    /// Removes entries, in ABS's format.
    pub async fn unlist(&self, list: Value) {
        self.admin(Method::DELETE, "/admin/list", Some(list)).await;
    }

    /// Replaces the list by this many generated addresses.
    pub async fn generate(&self, entries: u64) {
        let request = json!({"entries": entries, "kinds": "ips", "seed": 1});
        self.admin(Method::POST, "/admin/generate", Some(request))
            .await;
    }

    /// Injects a fault, as the simulator's README describes.
    pub async fn fault(&self, fault: Value) {
        self.admin(Method::POST, "/admin/fault", Some(fault)).await;
    }

    /// Ends every fault.
    pub async fn clear_faults(&self) {
        self.admin(Method::DELETE, "/admin/fault", None).await;
    }

    /// One of the simulator's counters.
    pub async fn counter(&self, name: &str) -> u64 {
        let counters = self.admin(Method::GET, "/admin/counters", None).await;
        counters[name]
            .as_u64()
            .unwrap_or_else(|| panic!("the simulator has no counter {name}: {counters}"))
    }

    /// Number of requests for the attack list.
    pub async fn fetches(&self) -> u64 {
        self.counter("attacklist_get").await
    }

    /// The times of the requests for the attack list, since the simulator's start.
    pub async fn fetch_times(&self) -> Vec<Duration> {
        fetch_times(self.admin(Method::GET, "/admin/fetches", None).await)
    }

    /// The traffic records that it has received.
    pub async fn records(&self) -> Vec<Value> {
        let records = self
            .admin(Method::GET, "/admin/records?offset=0&limit=10000", None)
            .await;
        serde_json::from_value(records).unwrap()
    }

    /// Adds a decision of LAPI, or an array of them.
    pub async fn add_decisions(&self, decisions: Value) {
        self.admin(Method::POST, "/admin/decisions", Some(decisions))
            .await;
    }

    /// Adds the decisions of a CSV file.
    pub async fn import_decisions(&self, csv: &str) {
        let path = "/admin/decisions/import";
        self.call(Method::POST, path, csv.to_owned()).await;
    }

    /// Ends the decisions with the given fields.
    pub async fn end_decisions(&self, named: Value) {
        self.admin(Method::DELETE, "/admin/decisions", Some(named))
            .await;
    }

    /// Stores the document at `path`, `/lists/NAME` or `/tokens/NAME`.
    pub async fn store(&self, path: &str, body: &str) {
        self.call(Method::PUT, &format!("/admin{path}"), body.to_owned())
            .await;
    }

    /// The newest requests to an endpoint of the simulator: path and query, headers.
    pub async fn requests(&self, endpoint: &str) -> Vec<Value> {
        let path = format!("/admin/requests?endpoint={endpoint}");
        let requests = self.admin(Method::GET, &path, None).await;
        serde_json::from_value(requests).unwrap()
    }

    /// Calls the simulator's admin interface with JSON.
    pub async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.call(method, path, body).await
    }

    async fn call(&self, method: Method, path: &str, body: String) -> Value {
        let reply = Request::get(self.address, path, &Replies::default())
            .with_body(method.clone(), body.clone())
            .send()
            .await;
        assert!(
            (200..300).contains(&reply.status),
            "the simulator responded to {method} {path} {body} with {}: {}",
            reply.status,
            reply.body
        );
        serde_json::from_str(&reply.body).unwrap_or(Value::Null)
    }
}

/// The API that is protected.
pub struct Api {
    /// Where it listens.
    pub address: SocketAddr,
    _process: Process,
}

impl Api {
    /// Starts the sample API.
    pub async fn start() -> Self {
        let mut process = Process::start(
            "sample-api",
            Command::new(artefact(
                "SAMPLE_API_BIN",
                "target/release/sample-api",
                "make simulator",
            ))
            .args(["--listen", "127.0.0.1:0"]),
        );
        Self {
            address: process.listening_address().await,
            _process: process,
        }
    }
}

/// The simulator's list of fetch times.
pub fn fetch_times(millis: Value) -> Vec<Duration> {
    let millis: Vec<u64> = serde_json::from_value(millis).unwrap();
    millis.into_iter().map(Duration::from_millis).collect()
}

fn simulator() -> PathBuf {
    artefact(
        "ABS_SIMULATOR_BIN",
        "target/release/abs-simulator",
        "make simulator",
    )
}
