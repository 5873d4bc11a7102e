//! The Envoy of a scenario: the shipped configuration with the scenario's changes.
//!
//! Owns changes of the configuration while it runs, and the filter's metrics and logs.

use super::artefact::Artefact;
use super::envoy_files::{filter, merge, plugin, put_in_place, render_bootstrap};
use super::envoy_process::{EnvoyProcess, envoy_binary};
use super::process::Process;
use super::services::Abs;
use super::setup::Setup;
use super::waiting::eventually;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The prefix that Envoy gives to the filter's metrics.
pub const METRIC_PREFIX: &str = "wasmcustom.portcullis.";
/// The statistics of the file that the filter comes from.
const DISCOVERY_PREFIX: &str = "extension_config_discovery.http_filter.portcullis.";

/// The result of a change of configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Envoy uses the new one.
    Accepted,
    /// Envoy keeps the previous one.
    Refused,
}

/// A running Envoy.
pub struct Envoy {
    /// Where clients connect.
    pub listener: SocketAddr,
    concurrency: u32,
    envoy: EnvoyProcess,
    /// Has the bootstrap and filter.json; removed with its owner.
    directory: TempDir,
    filter: Value,
}

impl Envoy {
    /// Starts Envoy in front of the API at this address, with this ABS, and waits until it serves.
    pub async fn start(setup: &Setup, api: SocketAddr, abs: &Abs, keys: &[String; 2]) -> Self {
        let directory = TempDir::new().unwrap();
        let bootstrap = directory.path().join("envoy.yaml");
        let filter = filter(setup, directory.path());
        let text = render_bootstrap(setup, directory.path(), api, abs);
        std::fs::write(&bootstrap, text).unwrap();
        put_in_place(directory.path(), &filter);
        let [access_key, secret_key] = match (setup.artefact, setup.keys_in_vm) {
            (Artefact::Native, false) => ["ENVOY_ABS_ACCESS_KEY", "ENVOY_ABS_SECRET_KEY"],
            _ => ["ABS_ACCESS_KEY", "ABS_SECRET_KEY"],
        };
        let envoy = EnvoyProcess::start(
            Command::new(envoy_binary())
                .arg("-c")
                .arg(&bootstrap)
                .args(["--concurrency", &setup.concurrency.to_string()])
                // The Envoys of a test run are independent of each other.
                .arg("--disable-hot-restart")
                // Everything that the filter logs, for the search for secrets.
                .args([
                    "--component-log-level",
                    "wasm:debug,dynamic_modules:debug,main:warning",
                ])
                .args(["--file-flush-interval-msec", "100"])
                .env(access_key, (setup.keys_as)(&keys[0]))
                .env(secret_key, (setup.keys_as)(&keys[1]))
                .env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", directory.path())
                .envs(setup.variables.iter().cloned()),
        )
        .await;
        Self {
            listener: envoy.listeners().await[0].1,
            concurrency: setup.concurrency,
            envoy,
            directory,
            filter,
        }
    }

    /// Where clients may connect, in the order of the bootstrap.
    pub async fn listeners(&self) -> Vec<SocketAddr> {
        let listeners = self.envoy.listeners().await;
        listeners.into_iter().map(|(_, address)| address).collect()
    }

    /// The folder with the bootstrap and filter.json.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the admin interface listens.
    pub fn admin_address(&self) -> SocketAddr {
        self.envoy.admin
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.envoy.process.stop();
    }

    /// The body of a GET to the admin interface.
    pub async fn admin(&self, path: &str) -> String {
        self.envoy.admin(path).await
    }

    /// How often Envoy recreated a VM of the filter, by the results; empty for a native filter, which has none.
    pub async fn vm_reloads(&self) -> BTreeMap<String, u64> {
        self.stats("wasm.portcullis.vm_reload").await
    }

    /// A metric of the filter by its documented name without `portcullis.`; `None` if it was never written.
    pub async fn metric(&self, name: &str) -> Option<u64> {
        self.stats(METRIC_PREFIX)
            .await
            .get(&format!("{METRIC_PREFIX}{name}"))
            .copied()
    }

    /// Like [`Envoy::metric`]; 0 if it was never written.
    pub async fn count(&self, name: &str) -> u64 {
        self.metric(name).await.unwrap_or_default()
    }

    /// Every number of `/stats` with a name that starts with `prefix`.
    pub async fn stats(&self, prefix: &str) -> BTreeMap<String, u64> {
        self.envoy.stats(prefix).await
    }

    /// Merges `patch` (RFC 7396) into the plugin configuration, renames the file into place and waits until Envoy has
    /// accepted or refused it. The patch must change something, because Envoy does not report an equal configuration.
    pub async fn configure(&mut self, patch: Value) -> Change {
        let mut filter = self.filter.clone();
        merge(plugin(&mut filter), &patch);
        self.take_filter(filter).await
    }

    /// Like [`Envoy::configure`], but changes the module instead of the plugin configuration.
    pub async fn take_module(&mut self, path: &Path) -> Change {
        let mut filter = self.filter.clone();
        let directory = self.directory.path();
        Artefact::of(&filter).set_module(&mut filter, path, directory);
        self.take_filter(filter).await
    }

    /// Like [`Envoy::configure`], but replaces the whole file.
    pub async fn take_filter(&mut self, filter: Value) -> Change {
        assert_ne!(filter, self.filter, "the file would not change");
        let before = self.changes().await;
        put_in_place(self.directory.path(), &filter);
        let (accepted, _) = eventually("Envoy accepts or refuses the configuration", async || {
            let now = self.changes().await;
            (now != before).then_some(now)
        })
        .await;
        if accepted > before.0 {
            self.filter = filter;
            Change::Accepted
        } else {
            Change::Refused
        }
    }

    /// Like [`Envoy::configure`]; fails the test if the change is refused.
    pub async fn reconfigure(&mut self, patch: Value) {
        assert_eq!(
            self.configure(patch.clone()).await,
            Change::Accepted,
            "{patch}"
        );
    }

    /// The entries of the access log so far.
    pub fn access_log(&self) -> Vec<Value> {
        self.envoy
            .process
            .stdout()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits for the first entry of the access log for this path.
    pub async fn access_log_entry(&self, path: &str) -> Value {
        eventually(&format!("the access log has {path}"), async || {
            self.access_log()
                .into_iter()
                .find(|entry| entry["path"] == path)
        })
        .await
    }

    /// Waits until Envoy's log contains `text`: output arrives through a pipe, with a delay.
    pub async fn logs(&self, text: &str) {
        eventually(&format!("Envoy logs \"{text}\""), async || {
            self.log().contains(text).then_some(())
        })
        .await;
    }

    /// Envoy's log so far, without the access log.
    pub fn log(&self) -> String {
        self.envoy.process.stderr()
    }

    /// Number of workers.
    pub fn concurrency(&self) -> u32 {
        self.concurrency
    }

    /// Number of connections that each worker has accepted.
    pub async fn connections_by_worker(&self) -> Vec<u64> {
        let stats = self.stats("listener.").await;
        (0..self.concurrency)
            .map(|worker| {
                let end = format!(".worker_{worker}.downstream_cx_total");
                stats
                    .iter()
                    .find(|(name, _)| name.ends_with(&end) && !name.contains(".admin."))
                    .map_or(0, |(_, connections)| *connections)
            })
            .collect()
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.envoy.process
    }

    /// How many configurations were accepted and how many refused. (`config_reload` counts refused ones too.)
    async fn changes(&self) -> (u64, u64) {
        let stats = self.stats(DISCOVERY_PREFIX).await;
        let count = |name: &str| {
            *stats
                .get(&format!("{DISCOVERY_PREFIX}{name}"))
                .unwrap_or_else(|| panic!("Envoy has no {DISCOVERY_PREFIX}{name}: {stats:?}"))
        };
        (count("update_success"), count("update_rejected"))
    }
}
