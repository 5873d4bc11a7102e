//! What a running Envoy reports by its admin interface: state, metrics, the configuration that is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use portcullis::metrics::Metric;
use serde_json::{Map, Value};
use time::{Date, PrimitiveDateTime, Time};
use ureq::http::Method;

use super::http::{HttpError, Server, Trust};
use super::listener;
use super::place::{self, DEFAULT_NAME, Place};

/// The admin interface answers at once unless Envoy is in distress.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What Envoy puts before the name of a metric that a Wasm filter defines.
const METRIC_PREFIX: &str = "wasmcustom.";

/// The statistics that are read: those of the filter, and of where its configuration comes from.
const STATS: &str = "/stats?format=json&filter=%5E%28wasm%7Cextension_config_discovery%29";

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
    stats: BTreeMap<String, u64>,
    listeners: Value,
    dump: Value,
}

/// What became of the updates of one filter's configuration, since Envoy started.
#[derive(Debug, PartialEq, Eq)]
pub struct Updates {
    /// The filter, by its name in the listener.
    pub filter: String,
    /// Active at once.
    pub accepted: u64,
    /// Refused: by Envoy, or by the filter.
    pub refused: u64,
    /// Not read: no file, or neither JSON nor YAML.
    pub unreadable: u64,
    /// Whether the newest configuration is refused: an older one is active, or none.
    pub newest_is_refused: bool,
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
        stats: read_stats(&get(STATS)?),
        listeners: get("/listeners?format=json")?,
        dump: get("/config_dump")?,
    })
}

impl RunningEnvoy {
    /// A metric of the filter; `None` where Envoy does not know it: no VM of the filter has run.
    pub fn metric(&self, metric: Metric) -> Option<u64> {
        let name = format!("{METRIC_PREFIX}{}", metric.name());
        self.stats.get(&name).copied()
    }

    /// How often Envoy made a VM of one of these plugins anew after a crash: done, failed, put off.
    pub fn vm_reloads(&self, names: &[String]) -> [u64; 3] {
        ["success", "failure", "backoff"].map(|result| {
            let ends = names
                .iter()
                .map(|name| format!("wasm.{name}.vm_reload_{result}"))
                .collect::<BTreeSet<_>>();
            ends.iter().filter_map(|name| self.stats.get(name)).sum()
        })
    }

    /// The configurations in force of the filters that go by one of these names.
    pub fn configurations(&self, names: &[String]) -> Vec<Map<String, Value>> {
        let values = std::slice::from_ref(&self.dump);
        place::find(values)
            .into_iter()
            .filter(|place| is_ours(place, names))
            .filter_map(|place| match place::resolve(values, &place) {
                Some(Value::Object(configuration)) => Some(configuration),
                _ => None,
            })
            .collect()
    }

    /// What became of the updates of the filters that go by one of these names and come from a file or server of their
    /// own (ECDS). Empty where the filter is part of the listener itself.
    pub fn updates(&self, names: &[String]) -> Vec<Updates> {
        let mut updates = Vec::new();
        visit(&self.dump, &mut |value| {
            if let Some(filter) = value.get("ecds_filter")
                && place::find(std::slice::from_ref(filter))
                    .iter()
                    .any(|place| is_ours(place, names))
                && let Some(name) = filter.get("name").and_then(Value::as_str)
            {
                let changed = value.get("last_updated").and_then(Value::as_str);
                updates.push(self.updates_of(name, changed.and_then(milliseconds)));
            }
        });
        updates
    }

    fn updates_of(&self, filter: &str, changed: Option<u64>) -> Updates {
        let stat = |name: &str| {
            let name = format!("extension_config_discovery.http_filter.{filter}.{name}");
            self.stats.get(&name).copied().unwrap_or(0)
        };
        let (accepted, refused) = (stat("update_success"), stat("update_rejected"));
        // Envoy notes when it got a configuration, and when it last accepted one.
        let got_after_accepted = changed.is_some_and(|changed| changed > stat("update_time"));
        Updates {
            filter: filter.to_owned(),
            accepted,
            refused,
            unreadable: stat("update_failure"),
            newest_is_refused: refused > 0 && (got_after_accepted || accepted == 0),
        }
    }

    /// Names of the listeners whose newest configuration Envoy refused (LDS).
    pub fn listeners_refused(&self) -> Vec<String> {
        let mut names = Vec::new();
        visit(&self.dump, &mut |value| {
            let is_listener = ["active_state", "warming_state"]
                .iter()
                .any(|key| value.get(key).is_some())
                || value
                    .pointer("/error_state/failed_configuration/@type")
                    .and_then(Value::as_str)
                    .is_some_and(|message| message.ends_with(".Listener"));
            if is_listener && value.get("error_state").is_some() {
                let name = value.get("name").and_then(Value::as_str);
                names.push(name.unwrap_or("unnamed").to_owned());
            }
        });
        names
    }

    /// What the running listeners leave undone for the filter.
    pub fn listener_warnings(&self, names: &[String]) -> Vec<String> {
        listener::warnings(std::slice::from_ref(&self.dump), names)
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

fn is_ours(place: &Place, names: &[String]) -> bool {
    place
        .names
        .iter()
        .any(|name| names.contains(name) || name == DEFAULT_NAME)
}

/// Milliseconds since 1970 of a time as Envoy's JSON has it: `2026-11-26T01:14:20.945Z`.
fn milliseconds(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-');
    let mut next = || date.next();
    let (year, month, day) = (next()?, next()?, next()?);
    let month = time::Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.split(':').map(str::parse::<u8>);
    let mut next = || clock.next()?.ok();
    let time = Time::from_hms(next()?, next()?, next()?).ok()?;
    // One to nine digits; three are enough.
    let thousandths: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let seconds = PrimitiveDateTime::new(date, time)
        .assume_utc()
        .unix_timestamp();
    u64::try_from(seconds)
        .ok()?
        .checked_mul(1000)?
        .checked_add(thousandths)
}

fn read_stats(stats: &Value) -> BTreeMap<String, u64> {
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
