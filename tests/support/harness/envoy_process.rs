//! A process of Envoy with any bootstrap, and its admin interface.

use super::audit::Replies;
use super::client::Request;
use super::process::{Process, artefact, repository};
use super::waiting::eventually;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A running Envoy.
pub struct EnvoyProcess {
    /// Where its admin interface listens.
    pub admin: SocketAddr,
    /// The process itself.
    pub process: Process,
    /// Has the file with the admin address.
    _directory: TempDir,
}

impl EnvoyProcess {
    /// Starts Envoy by `command` and waits until it is ready.
    pub async fn start(command: &mut Command) -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("admin");
        command.arg("--admin-address-path").arg(&file);
        let mut process = Process::start("envoy", command);
        let admin = eventually("Envoy writes its admin address", async || {
            process.assert_running();
            std::fs::read_to_string(&file).ok()?.parse().ok()
        })
        .await;
        let mut envoy = Self {
            admin,
            process,
            _directory: directory,
        };
        eventually("Envoy is ready", async || {
            envoy.process.assert_running();
            let ready = envoy.request("/ready").try_send().await;
            ready.is_ok_and(|reply| reply.status == 200).then_some(())
        })
        .await;
        envoy
    }

    /// The body of a GET to the admin interface.
    pub async fn admin(&self, path: &str) -> String {
        self.request(path).send().await.body
    }

    /// The name and the address of each listener, in the order of the bootstrap.
    pub async fn listeners(&self) -> Vec<(String, SocketAddr)> {
        let statuses: Value =
            serde_json::from_str(&self.admin("/listeners?format=json").await).unwrap();
        let statuses = statuses["listener_statuses"].as_array().unwrap();
        let listener = |status: &Value| {
            let name = status["name"].as_str().unwrap().to_owned();
            let port = &status["local_address"]["socket_address"]["port_value"];
            let port = u16::try_from(port.as_u64().unwrap()).unwrap();
            (name, SocketAddr::from(([127, 0, 0, 1], port)))
        };
        statuses.iter().map(listener).collect()
    }

    /// Every number of `/stats` with a name that starts with `prefix`.
    pub async fn stats(&self, prefix: &str) -> BTreeMap<String, u64> {
        self.admin("/stats")
            .await
            .lines()
            .filter_map(|line| {
                let (name, value) = line.split_once(": ")?;
                let value = value.parse().ok()?;
                name.starts_with(prefix).then(|| (name.to_owned(), value))
            })
            .collect()
    }

    fn request(&self, path: &str) -> Request {
        Request::get(self.admin, path, &Replies::default())
    }
}

/// The Envoy under test: the pinned one, unless `ENVOY_BIN` names another.
pub fn envoy_binary() -> PathBuf {
    let versions = std::fs::read_to_string(repository().join("tools/versions")).unwrap();
    let pinned = versions
        .lines()
        .find_map(|line| line.strip_prefix("ENVOY_VERSION="))
        .expect("tools/versions should have ENVOY_VERSION");
    artefact(
        "ENVOY_BIN",
        &format!(".tools/envoy-{pinned}/envoy"),
        "tools/install envoy",
    )
}
