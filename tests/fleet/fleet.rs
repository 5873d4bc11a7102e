//! A server with its filter file, ABS behind it, and Envoys in front of the sample API.

use super::harness::artefact::Artefact;
use super::harness::audit::Replies;
use super::harness::client::Request;
use super::harness::envoy_files::plugin;
use super::harness::envoy_process::{EnvoyProcess, envoy_binary};
use super::harness::eventually;
use super::harness::process::{Process, artefact, repository};
use super::harness::services::{Abs, Api};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

/// The refresh_delay of the Envoys: they ask for their configuration every one to two of it.
pub const REFRESH_DELAY: Duration = Duration::from_secs(1);

pub const OPERATOR_TOKEN: &str = "operator-token-of-the-tests";
pub const NODE_TOKEN: &str = "node-token-of-the-tests";
pub const READ_TOKEN: &str = "read-token-of-the-tests";

/// A server and what is around it.
pub struct Fleet {
    /// The server's upstream.
    pub abs: Abs,
    pub api: Api,
    /// The address of the server, the same after a restart.
    pub address: SocketAddr,
    directory: TempDir,
    server: Option<Process>,
}

impl Fleet {
    /// Starts the server with all tokens, ABS and the API. ABS is fetched every 1.2 seconds by the server, and the server
    /// by each Envoy.
    pub async fn start() -> Self {
        let api = Api::start().await;
        let abs = Abs::start("upstream-access-key", "upstream-secret-key", &[]).await;
        let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = reserved.local_addr().unwrap();
        drop(reserved);
        let mut fleet = Self {
            abs,
            api,
            address,
            directory: TempDir::new().unwrap(),
            server: None,
        };
        std::fs::create_dir(fleet.path("filters")).unwrap();
        let artefact = Artefact::under_test();
        let mut filter = artefact.filter();
        artefact.set_module(&mut filter, &artefact.module(), &fleet.path(""));
        *plugin(&mut filter) = json!({
            "enable_firewall": true,
            "enable_abs_attack": true,
            "abs_attack_request_minutes": 0.02,
            "abs": {"cluster": "portcullis"},
            "fleet": {"report": true},
        });
        fleet.write_filter(&filter.to_string());
        let relay = json!({
            "upstreams": {"abs": format!("http://{}", fleet.abs.address)},
            "enable_abs_attack": true,
            "abs_attack_request_minutes": 0.02,
            "abs": {
                "cluster": "abs",
                "access_key": "upstream-access-key",
                "secret_key": "upstream-secret-key",
            },
        });
        std::fs::write(fleet.path("relay.json"), relay.to_string()).unwrap();
        fleet.start_server().await;
        fleet
    }

    /// Starts the server, after [`Fleet::kill_server`].
    pub async fn start_server(&mut self) {
        let mut process = Process::start(
            "portcullis serve",
            Command::new(portcullis())
                .args(["serve", "--listen", &self.address.to_string()])
                .arg("--filters")
                .arg(self.path("filters"))
                .arg("--state")
                .arg(self.path("state"))
                .arg("--relay")
                .arg(self.path("relay.json"))
                .env("PORTCULLIS_OPERATOR_TOKEN", OPERATOR_TOKEN)
                .env("PORTCULLIS_READ_TOKEN", READ_TOKEN)
                .env("PORTCULLIS_NODE_TOKEN", NODE_TOKEN),
        );
        eventually("the server listens", async || {
            process.assert_running();
            process.stderr().contains("http://").then_some(())
        })
        .await;
        self.server = Some(process);
    }

    /// Kills the server without a chance to clean up.
    pub fn kill_server(&mut self) {
        self.server = None;
    }

    /// Starts an Envoy with this node id, and waits until it has its listener.
    pub async fn node(&self, id: &str) -> Node {
        Node::start(self, id, NODE_TOKEN).await
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces the filter's file by a rename.
    pub fn write_filter(&self, text: &str) {
        let new = self.path("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.path("filters/portcullis.json")).unwrap();
    }

    /// Runs a command on the filter's file.
    pub fn command(&self, words: &[&str]) -> Output {
        Command::new(portcullis())
            .arg("--config")
            .arg(self.path("filters/portcullis.json"))
            .args(words)
            .output()
            .unwrap()
    }

    /// A GET to the server, with the token of readers.
    pub async fn get(&self, path: &str) -> Value {
        let reply = Request::get(self.address, path, &Replies::default())
            .header("authorization", format!("Bearer {READ_TOKEN}"))
            .send()
            .await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }

    /// What the server has written to standard error since its start.
    pub fn log(&self) -> String {
        self.server.as_ref().unwrap().stderr()
    }
}

/// An Envoy of the fleet.
pub struct Node {
    pub envoy: EnvoyProcess,
    pub listener: SocketAddr,
    /// Has the bootstrap.
    _directory: TempDir,
}

impl Node {
    pub async fn start(fleet: &Fleet, id: &str, token: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let bootstrap = directory.path().join("fleet.yaml");
        let text = std::fs::read_to_string(repository().join("envoy/fleet.yaml")).unwrap();
        let text = [
            ("port_value: 10000", "port_value: 0".to_owned()),
            ("port_value: 9901", "port_value: 0".to_owned()),
            (
                "port_value: 8000",
                format!("port_value: {}", fleet.api.address.port()),
            ),
            (
                "port_value: 9902",
                format!("port_value: {}", fleet.address.port()),
            ),
            (
                "refresh_delay: 5s",
                format!("refresh_delay: {}s", REFRESH_DELAY.as_secs()),
            ),
        ]
        .into_iter()
        .fold(text, |text, (shipped, ours)| {
            assert!(text.contains(shipped), "{shipped}");
            text.replace(shipped, &ours)
        });
        std::fs::write(&bootstrap, text).unwrap();
        let envoy = EnvoyProcess::start(
            Command::new(envoy_binary())
                .arg("-c")
                .arg(&bootstrap)
                .args(["--service-node", id])
                .args(["--concurrency", "2"])
                .arg("--disable-hot-restart")
                .args([
                    "--component-log-level",
                    "wasm:info,dynamic_modules:info,main:warning",
                ])
                .env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", fleet.path(""))
                .env("PORTCULLIS_NODE_TOKEN", token),
        )
        .await;
        let listener = eventually("Envoy listens", async || {
            envoy.listeners().await.first().map(|(_, address)| *address)
        })
        .await;
        Self {
            envoy,
            listener,
            _directory: directory,
        }
    }

    /// A GET to the API through this Envoy.
    pub fn get(&self) -> Request {
        Request::get(self.listener, "/shop", &Replies::default())
    }

    /// Whether a request without identifiers except its address is denied.
    pub async fn denies(&self, request: &Request) -> bool {
        request.send().await.is_denied()
    }

    /// Waits until it denies this request, or allows it.
    pub async fn until(&self, request: &Request, denied: bool) {
        eventually("the verdict", async || {
            let reply = request.send().await;
            (reply.is_denied() == denied && reply.is_allowed() != denied).then_some(())
        })
        .await;
    }
}

fn portcullis() -> PathBuf {
    artefact("PORTCULLIS_BIN", "target/release/portcullis", "make cli")
}
