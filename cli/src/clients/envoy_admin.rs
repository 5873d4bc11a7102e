//! What a running Envoy reports by its admin interface: state, metrics, the active configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis::metrics::Metric;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use ureq::http::Method;

use super::http::{Server, Trust};
use super::native_page::NativePage;
use crate::config_file::listener::{self, Exemptions};
use crate::config_file::locate;
use crate::error::{Failure, Result};

/// The admin interface responds at once unless Envoy is overloaded.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What Envoy puts before the name of a metric that a Wasm or a native filter defines. A native filter can use the first
/// one too.
const METRIC_PREFIXES: [&str; 2] = ["wasmcustom.", "dynamicmodulescustom."];

/// The statistics that are read: those of the filter, and of the discovery of its configuration.
const STATS: &str =
    "/stats?format=json&filter=%5E%28wasm%7Cdynamicmodulescustom%7Cextension_config_discovery%29";

/// What a running Envoy reports.
#[derive(Debug)]
pub struct RunningEnvoy {
    /// The address of its admin interface.
    pub url: String,
    /// Its version, such as 1.40.0.
    pub version: String,
    /// `LIVE` when it serves.
    pub state: String,
    server: Server,
    native_page: Option<NativePage>,
    /// For how many seconds it has run.
    uptime: Option<u64>,
    stats: BTreeMap<String, u64>,
    listeners: Value,
    dump: Value,
    /// The same without what serves no new requests.
    active: Value,
}

/// The updates of one filter's configuration since Envoy started.
#[derive(Debug, PartialEq, Eq)]
pub struct Updates {
    /// The filter, by its name in the listener.
    pub filter: String,
    /// How many became active.
    pub accepted: u64,
    /// How many Envoy or the filter refused.
    pub refused: u64,
    /// How many could not be read: no file, or neither JSON nor YAML.
    pub unreadable: u64,
    /// Whether the newest configuration is refused: an older one is active, or none.
    pub newest_is_refused: bool,
    /// When Envoy last accepted one, in milliseconds since 1970.
    pub accepted_at: u64,
    /// The version of the newest configuration, if its source gives it one.
    pub newest_version: Option<String>,
}

/// A listener with a newest configuration that Envoy refused (LDS).
#[derive(Debug, PartialEq, Eq)]
pub struct RefusedListener {
    /// Its name.
    pub name: String,
    /// The version of the refused configuration, if its source gives it one.
    pub version: Option<String>,
}

/// The ports of the listeners.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Without TLS.
    pub plain: BTreeSet<u64>,
    /// With TLS.
    pub tls: BTreeSet<u64>,
}

/// Reads what the Envoy with this admin interface reports.
pub fn read(url: &str) -> Result<RunningEnvoy> {
    let what = "Envoy's admin interface";
    let server = Server::new(what, "http://127.0.0.1:9901", url, TIMEOUT, &Trust::System)?;
    let get = |path: &'static str| get(&server, path);
    let info = get("/server_info")?;
    // Other servers send JSON too.
    let (Some(version), Some(state)) = (text(&info, "/version"), text(&info, "/state")) else {
        return Err(not_envoy(&server, "/server_info", 200));
    };
    let uptime = text(&info, "/uptime_current_epoch").and_then(seconds);
    let dump = get("/config_dump")?;
    let is_native = objects(&dump)
        .into_iter()
        .any(|value| text(value, "/@type") == Some(locate::NATIVE));
    let native_page = is_native.then(|| NativePage::read(&server)).flatten();
    Ok(RunningEnvoy {
        native_page,
        uptime,
        // 9a1d.../1.40.0/Clean/RELEASE/BoringSSL
        version: version.split('/').nth(1).unwrap_or("unknown").to_owned(),
        state: state.to_owned(),
        stats: read_stats(&get(STATS)?),
        listeners: get("/listeners?format=json")?,
        active: active(&dump),
        dump,
        url: server.url.clone(),
        server,
    })
}

/// Reads the JSON at a path of the admin interface.
fn get(server: &Server, path: &str) -> Result<Value> {
    let response = server.send(Method::GET, path, &[], Vec::new())?;
    let json = serde_json::from_slice(&response.body).ok();
    json.filter(|_| response.status == 200)
        .ok_or_else(|| not_envoy(server, path, response.status))
}

fn not_envoy(server: &Server, path: &str, status: u16) -> Failure {
    Failure::refused(format!(
        "{}{path} returned status {status} without Envoy's JSON; is this Envoy's admin interface?",
        server.url
    ))
}

impl RunningEnvoy {
    /// Reads the statistics again; the rest stays as it was read.
    pub fn refresh_metrics(&mut self) -> Result<()> {
        self.stats = read_stats(&get(&self.server, STATS)?);
        Ok(())
    }

    /// A metric of the filter; `None` where Envoy does not have it because the filter has not run.
    pub fn metric(&self, metric: &Metric) -> Option<u64> {
        METRIC_PREFIXES.iter().find_map(|prefix| {
            let name = format!("{prefix}{}", metric.name());
            self.stats.get(&name).copied()
        })
    }

    /// Why the last fetch of the feed with this name failed, where the native module says it.
    pub fn failure(&self, feed: &str) -> Option<&str> {
        self.native_page.as_ref()?.failure(feed)
    }

    /// How many panics the native module had; `None` with the wasm module.
    pub fn panics(&self) -> Option<u64> {
        METRIC_PREFIXES.iter().find_map(|prefix| {
            let name = format!("{prefix}portcullis.panics");
            self.stats.get(&name).copied()
        })
    }

    /// How often Envoy recreated a VM of one of these plugins after a crash: done, failed, postponed.
    pub fn vm_reloads(&self, names: &[String]) -> [u64; 3] {
        let names: BTreeSet<_> = names.iter().collect();
        ["success", "failure", "backoff"].map(|result| {
            let stats = names
                .iter()
                .map(|name| format!("wasm.{name}.vm_reload_{result}"));
            stats.filter_map(|stat| self.stats.get(&stat)).sum()
        })
    }

    /// The active configurations of the filters with one of these names.
    pub fn configurations(&self, names: &[String]) -> Vec<Map<String, Value>> {
        let values = std::slice::from_ref(&self.active);
        locate::find(values)
            .into_iter()
            .filter(|location| location.is_ours(names))
            .filter_map(|location| match locate::resolve(values, &location) {
                Some(Value::Object(configuration)) => Some(configuration),
                _ => None,
            })
            .collect()
    }

    /// Every object of the active configuration.
    pub fn active_objects(&self) -> Vec<&Value> {
        objects(&self.active)
    }

    /// For how many seconds the newest configuration of these filters has run, as far as Envoy shows.
    pub fn runs_for(&self, names: &[String]) -> Option<u64> {
        let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).ok()?;
        let ecds = objects(&self.dump).into_iter().filter_map(|value| {
            let filter = value.get("ecds_filter")?;
            let mut locations = locate::find(std::slice::from_ref(filter)).into_iter();
            let is_ours = locations.any(|location| location.is_ours(names));
            let changed = text(value, "/last_updated").and_then(milliseconds);
            Some(now.saturating_sub(changed.filter(|_| is_ours)? / 1000))
        });
        ecds.chain(self.uptime).min()
    }

    /// The updates of the filters with one of these names that come from a file or server of their own (ECDS). Empty
    /// where the filter is part of the listener itself.
    pub fn updates(&self, names: &[String]) -> Vec<Updates> {
        let updates_in = |value: &Value| {
            let filter = value.get("ecds_filter")?;
            let mut locations = locate::find(std::slice::from_ref(filter)).into_iter();
            let is_ours = locations.any(|location| location.is_ours(names));
            let changed = text(value, "/last_updated").and_then(milliseconds);
            let name = text(filter, "/name").filter(|_| is_ours)?;
            Some(Updates {
                newest_version: version(value, "/version_info"),
                ..self.updates_of(name, changed)
            })
        };
        objects(&self.dump)
            .into_iter()
            .filter_map(updates_in)
            .collect()
    }

    fn updates_of(&self, filter: &str, changed: Option<u64>) -> Updates {
        let stat = |name: &str| {
            let name = format!("extension_config_discovery.http_filter.{filter}.{name}");
            self.stats.get(&name).copied().unwrap_or(0)
        };
        let (accepted, refused) = (stat("update_success"), stat("update_rejected"));
        // Envoy records when it received a configuration, and when it last accepted one.
        let accepted_at = stat("update_time");
        let received_after_accepted = changed.is_some_and(|changed| changed > accepted_at);
        Updates {
            filter: filter.to_owned(),
            accepted,
            refused,
            unreadable: stat("update_failure"),
            newest_is_refused: refused > 0 && (received_after_accepted || accepted == 0),
            accepted_at,
            newest_version: None,
        }
    }

    /// The listeners with a newest configuration that Envoy refused (LDS).
    pub fn listeners_refused(&self) -> Vec<RefusedListener> {
        let is_listener = |value: &Value| {
            let message = text(value, "/error_state/failed_configuration/@type");
            value.get("active_state").is_some()
                || value.get("warming_state").is_some()
                || message.is_some_and(|message| message.ends_with(".Listener"))
        };
        objects(&self.dump)
            .into_iter()
            .filter(|value| value.get("error_state").is_some() && is_listener(value))
            .map(|value| RefusedListener {
                name: text(value, "/name").unwrap_or("unnamed").to_owned(),
                version: version(value, "/error_state/version_info"),
            })
            .collect()
    }

    /// What the running listeners do not do for the filter.
    pub fn listener_warnings(&self, names: &[String]) -> Vec<String> {
        listener::warnings(std::slice::from_ref(&self.active), names)
    }

    /// Where the running listeners and routes exempt requests from the filter.
    pub fn exemptions(&self, names: &[String]) -> Exemptions {
        listener::exemptions(std::slice::from_ref(&self.active), names)
    }

    /// The ports that Envoy's listeners are bound to.
    pub fn ports(&self) -> Ports {
        let has_tls = |value: &&Value| {
            let chains = value.get("filter_chains").map(Value::to_string);
            chains.is_some_and(|chains| chains.contains("DownstreamTlsContext"))
        };
        let with_tls: BTreeSet<_> = objects(&self.dump)
            .into_iter()
            .filter(has_tls)
            .filter_map(|value| text(value, "/name"))
            .collect();
        let mut ports = Ports::default();
        for listener in array(self.listeners.get("listener_statuses")) {
            let port = listener.pointer("/local_address/socket_address/port_value");
            if let Some(port) = port.and_then(Value::as_u64) {
                match text(listener, "/name").is_some_and(|name| with_tls.contains(name)) {
                    true => ports.tls.insert(port),
                    false => ports.plain.insert(port),
                };
            }
        }
        ports
    }

    /// Whether Envoy uses TLS with a cluster; `None` if it has no such cluster.
    pub fn cluster_has_tls(&self, name: &str) -> Option<bool> {
        // Listeners and filters have names too; only a cluster has one of these keys.
        let is_cluster = |value: &Value| {
            ["connect_timeout", "load_assignment", "eds_cluster_config"]
                .iter()
                .any(|key| value.get(key).is_some())
        };
        objects(&self.dump)
            .into_iter()
            .rfind(|value| is_cluster(value) && text(value, "/name") == Some(name))
            .map(|cluster| cluster.to_string().contains("UpstreamTlsContext"))
    }

    /// Whether Envoy writes an access log, and the files it writes.
    pub fn access_logs(&self) -> (bool, Vec<PathBuf>) {
        let all = objects(&self.dump).into_iter();
        let logs: Vec<_> = all
            .flat_map(|value| array(value.get("access_log")))
            .collect();
        let paths = logs
            .iter()
            .filter_map(|log| text(log, "/typed_config/path"));
        (!logs.is_empty(), paths.map(PathBuf::from).collect())
    }
}

/// A dump without refused configurations, listeners that drain, and those that wait to take the place of an active one.
fn active(dump: &Value) -> Value {
    match dump {
        Value::Object(object) => {
            let is_served = |key: &str| match key {
                "error_state" | "draining_state" => false,
                "warming_state" => !object.contains_key("active_state"),
                _ => true,
            };
            let served = object.iter().filter(|(key, _)| is_served(key));
            served
                .map(|(key, value)| (key.clone(), active(value)))
                .collect()
        }
        Value::Array(values) => values.iter().map(active).collect(),
        other => other.clone(),
    }
}

/// Every object in a value, outer ones first.
fn objects(value: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(object) => {
                found.push(value);
                left.extend(object.values().rev());
            }
            Value::Array(values) => left.extend(values.iter().rev()),
            _ => {}
        }
    }
    found
}

fn array(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer)?.as_str()
}

/// A version at this place, unless it is empty.
fn version(value: &Value, pointer: &str) -> Option<String> {
    let version = text(value, pointer).filter(|version| !version.is_empty());
    version.map(str::to_owned)
}

/// The whole seconds of a duration in Envoy's JSON: `83s`, `1.5s`.
fn seconds(text: &str) -> Option<u64> {
    let number = text.strip_suffix('s')?;
    number.split('.').next()?.parse().ok()
}

/// Milliseconds since 1970 of a time in Envoy's JSON: `2026-11-26T01:14:20.945Z`.
fn milliseconds(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Seconds since 1970, as in the filter's metrics.
pub fn unix_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

fn read_stats(stats: &Value) -> BTreeMap<String, u64> {
    let named = |stat: &Value| {
        let name = text(stat, "/name")?.to_owned();
        Some((name, stat.get("value")?.as_u64()?))
    };
    array(stats.get("stats")).iter().filter_map(named).collect()
}
