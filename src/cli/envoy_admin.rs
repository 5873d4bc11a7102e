//! What a running Envoy reports by its admin interface: state, metrics, the configuration that is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use portcullis::metrics::Metric;
use serde_json::{Map, Value};
use ureq::http::Method;

use super::http::{HttpError, Server, Trust};
use super::place::{self, DEFAULT_NAME};

/// The admin interface answers at once unless Envoy is in distress.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What Envoy puts before the name of a metric that a Wasm filter defines.
const METRIC_PREFIX: &str = "wasmcustom.";

/// Why Envoy could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum EnvoyError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer that no admin interface gives.
    #[error(
        "{url}{path} answered with status {status} and no JSON of Envoy's; is this Envoy's admin interface?"
    )]
    NotEnvoy {
        /// Where.
        url: String,
        /// What was asked for.
        path: &'static str,
        /// The status.
        status: u16,
    },
}

impl EnvoyError {
    /// Whether the command line is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(self, EnvoyError::Http(HttpError::Url { .. }))
    }
}

/// What a running Envoy reports.
#[derive(Debug)]
pub struct RunningEnvoy {
    /// Its version, such as 1.40.0.
    pub version: String,
    /// `LIVE` where it serves.
    pub state: String,
    metrics: BTreeMap<String, u64>,
    listeners: Value,
    dump: Value,
}

/// What a listener is for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Without TLS.
    pub plain: BTreeSet<u64>,
    /// With TLS.
    pub tls: BTreeSet<u64>,
}

/// Asks an Envoy.
pub fn ask(url: &str) -> Result<RunningEnvoy, EnvoyError> {
    let server = Server::new(
        "Envoy's admin interface",
        "http://127.0.0.1:9901",
        url,
        TIMEOUT,
        &Trust::System,
    )?;
    let get = |path: &'static str| -> Result<Value, EnvoyError> {
        let answer = server.send(Method::GET, path, &[], Vec::new())?;
        let json = serde_json::from_slice(&answer.body).ok();
        json.filter(|_| answer.status == 200)
            .ok_or(EnvoyError::NotEnvoy {
                url: server.url.clone(),
                path,
                status: answer.status,
            })
    };
    let info = get("/server_info")?;
    let text = |key: &str| info.get(key).and_then(Value::as_str);
    // Other servers answer with JSON too.
    let (Some(version), Some(state)) = (text("version"), text("state")) else {
        return Err(EnvoyError::NotEnvoy {
            url: server.url.clone(),
            path: "/server_info",
            status: 200,
        });
    };
    Ok(RunningEnvoy {
        // 9a1d.../1.40.0/Clean/RELEASE/BoringSSL
        version: version.split('/').nth(1).unwrap_or("unknown").to_owned(),
        state: state.to_owned(),
        metrics: read_metrics(&get("/stats?format=json&filter=%5Ewasm")?),
        listeners: get("/listeners?format=json")?,
        dump: get("/config_dump")?,
    })
}

impl RunningEnvoy {
    /// A metric of the filter; `None` where Envoy does not know it: no VM of the filter has run.
    pub fn metric(&self, metric: Metric) -> Option<u64> {
        let name = format!("{METRIC_PREFIX}{}", metric.name());
        self.metrics.get(&name).copied()
    }

    /// How often Envoy made a VM of one of these plugins anew after a crash: done, failed, put off.
    pub fn vm_reloads(&self, names: &[String]) -> [u64; 3] {
        ["success", "failure", "backoff"].map(|result| {
            let ends = names
                .iter()
                .map(|name| format!("wasm.{name}.vm_reload_{result}"))
                .collect::<BTreeSet<_>>();
            ends.iter().filter_map(|name| self.metrics.get(name)).sum()
        })
    }

    /// The configurations in force of the filters that go by one of these names.
    pub fn configurations(&self, names: &[String]) -> Vec<Map<String, Value>> {
        let values = std::slice::from_ref(&self.dump);
        let is_ours = |name: &String| names.contains(name) || name == DEFAULT_NAME;
        place::find(values)
            .into_iter()
            .filter(|place| place.names.iter().any(is_ours))
            .filter_map(|place| match place::resolve(values, &place) {
                Some(Value::Object(configuration)) => Some(configuration),
                _ => None,
            })
            .collect()
    }

    /// The ports that Envoy's listeners are bound to.
    pub fn ports(&self) -> Ports {
        let mut with_tls = BTreeSet::new();
        visit(&self.dump, &mut |value| {
            let chains = value.get("filter_chains").map(Value::to_string);
            if chains.is_some_and(|chains| chains.contains("DownstreamTlsContext")) {
                with_tls.extend(value.get("name").and_then(Value::as_str));
            }
        });
        let mut ports = Ports::default();
        let listeners = self.listeners.get("listener_statuses");
        for listener in listeners.and_then(Value::as_array).into_iter().flatten() {
            let name = listener
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let port = listener.pointer("/local_address/socket_address/port_value");
            if let Some(port) = port.and_then(Value::as_u64) {
                match with_tls.contains(name) {
                    true => ports.tls.insert(port),
                    false => ports.plain.insert(port),
                };
            }
        }
        ports
    }

    /// Whether Envoy speaks TLS with a cluster; `None` where it has no such cluster.
    pub fn cluster_has_tls(&self, name: &str) -> Option<bool> {
        let mut found = None;
        visit(&self.dump, &mut |value| {
            // Listeners and filters have names too; only a cluster has one of these.
            let is_cluster = ["connect_timeout", "load_assignment", "eds_cluster_config"]
                .iter()
                .any(|key| value.get(key).is_some());
            if is_cluster && value.get("name").and_then(Value::as_str) == Some(name) {
                found = Some(value.to_string().contains("UpstreamTlsContext"));
            }
        });
        found
    }

    /// Whether Envoy writes an access log, and into which files.
    pub fn access_logs(&self) -> (bool, Vec<PathBuf>) {
        let mut any = false;
        let mut files = Vec::new();
        visit(&self.dump, &mut |value| {
            for log in value
                .get("access_log")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                any = true;
                let path = log.pointer("/typed_config/path").and_then(Value::as_str);
                files.extend(path.map(PathBuf::from));
            }
        });
        (any, files)
    }
}

/// Calls `look` with every object in a value.
fn visit<'v>(value: &'v Value, look: &mut dyn FnMut(&'v Value)) {
    match value {
        Value::Object(object) => {
            look(value);
            for inner in object.values() {
                visit(inner, look);
            }
        }
        Value::Array(values) => {
            for inner in values {
                visit(inner, look);
            }
        }
        _ => {}
    }
}

fn read_metrics(stats: &Value) -> BTreeMap<String, u64> {
    let stats = stats.get("stats").and_then(Value::as_array);
    stats
        .into_iter()
        .flatten()
        .filter_map(|stat| {
            let name = stat.get("name")?.as_str()?.to_owned();
            Some((name, stat.get("value")?.as_u64()?))
        })
        .collect()
}
