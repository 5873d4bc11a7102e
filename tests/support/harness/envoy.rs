//! A real Envoy that runs the shipped configuration, with only addresses and paths replaced.
//!
//! Owns the rendering of `envoy/envoy.yaml` and `envoy/filter.json`, Envoy's process and its admin interface.

use super::audit::Replies;
use super::client::Request;
use super::process::{Process, artefact, repository};
use super::services::Abs;
use super::{Setup, eventually};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// The prefix that Envoy gives to metrics of wasm filters.
const METRIC_PREFIX: &str = "wasmcustom.portcullis.";
/// The statistics of the file that the filter comes from.
const DISCOVERY_PREFIX: &str = "extension_config_discovery.http_filter.portcullis.";

/// What became of a change of configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Envoy took it.
    Accepted,
    /// Envoy refused it and goes on with the one before.
    Refused,
}

/// A running Envoy.
pub struct Envoy {
    /// Where clients go.
    pub listener: SocketAddr,
    /// Where its admin interface is.
    pub admin: SocketAddr,
    concurrency: u32,
    process: Process,
    /// Holds filter.json; removed with its owner.
    directory: TempDir,
    filter: Value,
}

impl Envoy {
    /// Starts Envoy in front of the API at this address, with this ABS, and waits until it serves.
    pub async fn start(setup: &Setup, api: SocketAddr, abs: &Abs, keys: &[String; 2]) -> Self {
        let directory = TempDir::new().unwrap();
        let bootstrap = directory.path().join("envoy.yaml");
        let filter = filter(setup);
        std::fs::write(
            &bootstrap,
            render_bootstrap(setup, directory.path(), api, abs),
        )
        .unwrap();
        put_in_place(directory.path(), &filter);

        let admin_address = directory.path().join("admin");
        let mut process = Process::start(
            "envoy",
            Command::new(envoy_binary())
                .arg("-c")
                .arg(&bootstrap)
                .arg("--admin-address-path")
                .arg(&admin_address)
                .args(["--concurrency", &setup.concurrency.to_string()])
                // Nothing is handed over between the many Envoys of a test run.
                .arg("--disable-hot-restart")
                // All that the filter logs, so that the search for secrets sees it.
                .args(["--component-log-level", "wasm:debug,main:warning"])
                .args(["--file-flush-interval-msec", "100"])
                .env("ABS_ACCESS_KEY", (setup.keys_as)(&keys[0]))
                .env("ABS_SECRET_KEY", (setup.keys_as)(&keys[1])),
        );

        let admin = eventually("Envoy names its admin address", async || {
            process.assert_running();
            std::fs::read_to_string(&admin_address).ok()?.parse().ok()
        })
        .await;
        let mut envoy = Self {
            listener: admin,
            admin,
            concurrency: setup.concurrency,
            process,
            directory,
            filter,
        };
        eventually("Envoy is ready", async || {
            envoy.process.assert_running();
            let ready = Request::get(admin, "/ready", &Replies::default())
                .try_send()
                .await;
            ready.is_ok_and(|reply| reply.status == 200).then_some(())
        })
        .await;
        envoy.listener = envoy.listeners().await[0];
        envoy
    }

    /// Where clients may go, in the order of the bootstrap.
    pub async fn listeners(&self) -> Vec<SocketAddr> {
        let statuses: Value =
            serde_json::from_str(&self.admin("/listeners?format=json").await).unwrap();
        let statuses = statuses["listener_statuses"].as_array().unwrap();
        let port = |status: &Value| {
            let port = &status["local_address"]["socket_address"]["port_value"];
            u16::try_from(port.as_u64().unwrap()).unwrap()
        };
        let address = |status| SocketAddr::from(([127, 0, 0, 1], port(status)));
        statuses.iter().map(address).collect()
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// The body of a GET to the admin interface.
    pub async fn admin(&self, path: &str) -> String {
        Request::get(self.admin, path, &Replies::default())
            .send()
            .await
            .body
    }

    /// A metric of the filter by the name in the contract without `portcullis.`; `None` if it was never written.
    pub async fn metric(&self, name: &str) -> Option<u64> {
        self.stats(METRIC_PREFIX)
            .await
            .get(&format!("{METRIC_PREFIX}{name}"))
            .copied()
    }

    /// As [`Envoy::metric`]; 0 if it was never written.
    pub async fn count(&self, name: &str) -> u64 {
        self.metric(name).await.unwrap_or_default()
    }

    /// Every number of `/stats` whose name starts with `prefix`.
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

    /// Merges `patch` (RFC 7396) into the plugin configuration, puts the file in place by one rename and waits until
    /// Envoy has taken or refused it. The patch must change something: Envoy is silent about an equal configuration.
    pub async fn configure(&mut self, patch: Value) -> Change {
        let mut filter = self.filter.clone();
        merge(plugin(&mut filter), &patch);
        self.replace_filter(filter).await
    }

    /// As [`Envoy::configure`], but the module is another one and the plugin configuration stays.
    pub async fn take_module(&mut self, path: &Path) -> Change {
        let mut filter = self.filter.clone();
        *module(&mut filter) = path.to_str().unwrap().into();
        self.replace_filter(filter).await
    }

    async fn replace_filter(&mut self, filter: Value) -> Change {
        assert_ne!(filter, self.filter, "the file would stay as it is");
        let before = self.changes().await;
        put_in_place(self.directory.path(), &filter);
        let (accepted, _) = eventually("Envoy takes or refuses the configuration", async || {
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

    /// As [`Envoy::configure`]; fails the test if the change is refused.
    pub async fn reconfigure(&mut self, patch: Value) {
        assert_eq!(
            self.configure(patch.clone()).await,
            Change::Accepted,
            "{patch}"
        );
    }

    /// The entries of the access log so far.
    pub fn access_log(&self) -> Vec<Value> {
        self.process
            .stdout()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The first entry of the access log for this path, as soon as it is there.
    pub async fn access_log_entry(&self, path: &str) -> Value {
        eventually(&format!("the access log holds {path}"), async || {
            self.access_log()
                .into_iter()
                .find(|entry| entry["path"] == path)
        })
        .await
    }

    /// Waits until Envoy's log holds `text`: what Envoy wrote comes through a pipe, a moment later.
    pub async fn logs(&self, text: &str) {
        eventually(&format!("Envoy logs \"{text}\""), async || {
            self.log().contains(text).then_some(())
        })
        .await;
    }

    /// Envoy's log so far, without the access log.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// How many workers serve requests.
    pub fn concurrency(&self) -> u32 {
        self.concurrency
    }

    /// How many connections each worker has taken.
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

    /// The process itself, to see that it runs and what it wrote.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Both outputs, for the search for secrets.
    pub fn transcript(&self) -> String {
        self.process.transcript()
    }

    /// How many configurations were accepted and how many refused. (`config_reload` counts refused ones, too.)
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

/// The Envoy binary under test: the one that the project pins, unless `ENVOY_BIN` names another.
pub fn envoy_binary() -> PathBuf {
    let versions = std::fs::read_to_string(repository().join("tools/versions")).unwrap();
    let pinned = versions
        .lines()
        .find_map(|line| line.strip_prefix("ENVOY_VERSION="))
        .expect("tools/versions should name Envoy's version");
    artefact(
        "ENVOY_BIN",
        &format!(".tools/envoy-{pinned}/envoy"),
        "tools/install envoy",
    )
}

/// The shipped bootstrap with free ports, the scenario's addresses and its own folder for filter.json.
fn render_bootstrap(setup: &Setup, directory: &Path, api: SocketAddr, abs: &Abs) -> String {
    let mut text = std::fs::read_to_string(repository().join("envoy/envoy.yaml")).unwrap();
    if setup.abs_over_tls.is_some() {
        text = take_tls_variant(&text);
    }
    let directory = directory.display();
    let mut replacements = vec![
        (
            "address: 127.0.0.1, port_value: 9901".to_owned(),
            "address: 127.0.0.1, port_value: 0".to_owned(),
        ),
        (
            // Both families, so that a scenario may use either.
            "address: 127.0.0.1, port_value: 10000".to_owned(),
            "address: '::', ipv4_compat: true, port_value: 0".to_owned(),
        ),
        (
            "address: 127.0.0.1, port_value: 8000".to_owned(),
            format!("address: 127.0.0.1, port_value: {}", api.port()),
        ),
        (
            "address: 127.0.0.1, port_value: 8443".to_owned(),
            format!("address: 127.0.0.1, port_value: {}", abs.sideband.port()),
        ),
        (
            "path: envoy/filter.json".to_owned(),
            format!("path: {directory}/filter.json"),
        ),
        (
            "watched_directory: { path: envoy }".to_owned(),
            format!("watched_directory: {{ path: {directory} }}"),
        ),
        (
            "xff_num_trusted_hops: 0".to_owned(),
            format!("xff_num_trusted_hops: {}", setup.trusted_hops),
        ),
    ];
    match &setup.abs_over_tls {
        None => replacements.push((
            "address: 127.0.0.1, port_value: 8080".to_owned(),
            format!(
                "address: 127.0.0.1, port_value: {}",
                setup.abs_at.unwrap_or(abs.address).port()
            ),
        )),
        Some(authority) => replacements.extend([
            (
                "address: abs.example.com, port_value: 8080".to_owned(),
                format!("address: 127.0.0.1, port_value: {}", abs.address.port()),
            ),
            (
                "/etc/ssl/certs/ca-certificates.crt".to_owned(),
                authority.display().to_string(),
            ),
        ]),
    }
    for (shipped, ours) in replacements {
        assert_eq!(
            text.matches(&shipped).count(),
            1,
            "envoy/envoy.yaml should hold `{shipped}` once"
        );
        text = text.replace(&shipped, &ours);
    }
    setup
        .bootstrap
        .iter()
        .fold(text, |text, change| change(text))
}

/// Does what the comment in the shipped file tells: the commented TLS cluster takes the place of the plain one.
fn take_tls_variant(text: &str) -> String {
    let (before, plain) = text
        .split_once("    # ABS; the filter names this cluster")
        .unwrap();
    let (_, variant) = plain.split_once("# -- TLS variant --\n").unwrap();
    let (variant, after) = variant
        .split_once("    # -- end of the TLS variant --\n")
        .unwrap();
    let variant: String = variant
        .lines()
        .map(|line| format!("    {}\n", line.strip_prefix("    # ").unwrap()))
        .collect();
    format!("{before}{variant}{after}")
}

/// The shipped filter with the patches merged into its plugin configuration, one after the other.
fn filter(setup: &Setup) -> Value {
    let text = std::fs::read_to_string(repository().join("envoy/filter.json")).unwrap();
    let mut filter: Value = serde_json::from_str(&text).unwrap();
    for patch in &setup.plugin {
        merge(plugin(&mut filter), patch);
    }
    let code = module(&mut filter);
    let path = match &setup.module {
        Some(path) => path.clone(),
        None => artefact("PORTCULLIS_WASM", code.as_str().unwrap(), "make build"),
    };
    *code = path.to_str().unwrap().into();
    if let Some(policy) = setup.failure_policy {
        *filter
            .pointer_mut("/resources/0/typed_config/config/failure_policy")
            .unwrap() = policy.into();
    }
    if !setup.keys_in_vm {
        let vm = filter.pointer_mut("/resources/0/typed_config/config/vm_config");
        let variables = vm.unwrap().as_object_mut().unwrap();
        variables.remove("environment_variables").unwrap();
    }
    filter
}

/// Where the module's file is named.
fn module(filter: &mut Value) -> &mut Value {
    filter
        .pointer_mut("/resources/0/typed_config/config/vm_config/code/local/filename")
        .expect("envoy/filter.json should name the module's file")
}

fn plugin(filter: &mut Value) -> &mut Value {
    filter
        .pointer_mut("/resources/0/typed_config/config/configuration/value")
        .expect("envoy/filter.json should hold the plugin configuration")
}

/// Writes the file beside its place and renames it: Envoy never sees half of it.
fn put_in_place(directory: &Path, filter: &Value) {
    let new = directory.join("filter.json.new");
    std::fs::write(&new, serde_json::to_vec_pretty(filter).unwrap()).unwrap();
    std::fs::rename(new, directory.join("filter.json")).unwrap();
}

/// JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// How long a step may take before a test fails: far longer than on any machine that works. What has to be fast is held
/// to its bound apart.
pub const DEADLINE: Duration = Duration::from_secs(120);
