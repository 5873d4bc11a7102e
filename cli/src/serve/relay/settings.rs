//! The file of `--relay`: a plain plugin configuration with `upstreams`. Starts nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portcullis::config::{Config, ConfigError, Feed, Problem};
use serde_json::{Map, Value};

use crate::clients::http::{Server, Trust};
use crate::config_file::ConfigFile;
use crate::config_file::place::Place;
use crate::config_file::select::Selection;
use crate::error::{Failure, Result};

const UPSTREAMS: &str = "upstreams";

const UPSTREAM_KEYS: &[&str] = &["url", "ca", "insecure"];

const URL: &str = "an address of http:// or https://, a host and a port, such as \"https://abs.example.com:8080\"";

/// The settings, without anything that belongs to one thread.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The plugin configuration.
    configuration: Vec<u8>,
    /// The address of each cluster.
    upstreams: BTreeMap<String, Upstream>,
}

/// How the servers of a cluster are reached.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Scheme, host and port.
    pub url: String,
    ca: Option<PathBuf>,
    insecure: bool,
}

impl Settings {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// All errors of the configuration and of `upstreams`, each with its path.
    pub fn read(path: &Path) -> Result<Self> {
        let place = Place::File(path.to_owned());
        let file = ConfigFile::parse(&place, place.read()?, Selection::default())?;
        let mut errors = match Config::parse(&file.raw, &environment) {
            Ok(_) => Vec::new(),
            Err(errors) => errors,
        };
        errors.retain(|error| {
            let is_known = matches!(error.problem, Problem::UnknownKey { .. });
            error.path != UPSTREAMS || !is_known
        });
        let mut configuration = file.configuration.clone();
        let upstreams = configuration.remove(UPSTREAMS);
        let upstreams = read_upstreams(upstreams.as_ref(), &mut errors);
        let configuration = Value::Object(configuration).to_string().into_bytes();
        if let Ok(config) = Config::parse(&configuration, &environment) {
            for warning in &config.warnings {
                log_line!("portcullis serve: {}: {warning}", file.file);
            }
            check_clusters(&config, &upstreams, &mut errors);
        }
        if !errors.is_empty() {
            return Err(Failure::invalid_configuration(&file.file, None, &errors));
        }
        let settings = Self {
            configuration,
            upstreams,
        };
        // Certificates are read now: an operator is there.
        for feed in settings.feeds() {
            settings.server(&feed)?;
        }
        Ok(settings)
    }

    /// The enabled feeds, for the current thread.
    pub fn feeds(&self) -> Vec<Feed> {
        let config = Config::parse(&self.configuration, &environment);
        config.map_or_else(|_| Vec::new(), |config| config.all_feeds())
    }

    /// The address of a feed's servers.
    pub fn upstream(&self, feed: &Feed) -> Option<&Upstream> {
        self.upstreams.get(&feed.cluster)
    }

    /// A client for a feed's servers.
    pub fn server(&self, feed: &Feed) -> Result<Server> {
        let upstream = self.upstream(feed).ok_or_else(|| {
            Failure::usage(format!("the cluster {} has no upstream", feed.cluster))
        })?;
        Server::new(
            "the list server",
            "https://lists.example.com:8080",
            &upstream.url,
            feed.timeout,
            &Trust::new(upstream.ca.as_deref(), upstream.insecure),
        )
    }
}

/// The credentials of upstreams are this process's.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read_upstreams(
    value: Option<&Value>,
    errors: &mut Vec<ConfigError>,
) -> BTreeMap<String, Upstream> {
    let mut upstreams = BTreeMap::new();
    match value {
        Some(Value::Object(object)) => {
            for (cluster, value) in object {
                let path = format!("{UPSTREAMS}.{cluster}");
                if let Some(upstream) = read_upstream(&path, value, errors) {
                    upstreams.insert(cluster.clone(), upstream);
                }
            }
        }
        Some(_) => errors.push(invalid(
            UPSTREAMS,
            "a value of another type",
            "an object from cluster name to address, such as {\"abs\": \"https://abs.example.com:8080\"}",
        )),
        None => errors.push(ConfigError {
            path: UPSTREAMS.to_owned(),
            problem: Problem::Missing {
                needed: "write the address of each feed's cluster, such as {\"abs\": \"https://abs.example.com:8080\"}",
            },
        }),
    }
    upstreams
}

fn read_upstream(path: &str, value: &Value, errors: &mut Vec<ConfigError>) -> Option<Upstream> {
    let none = Map::new();
    let (url, object) = match value {
        Value::String(url) => (Some(url.as_str()), &none),
        Value::Object(object) => (object.get("url").and_then(Value::as_str), object),
        _ => (None, &none),
    };
    for (key, value) in object {
        let path = format!("{path}.{key}");
        match (key.as_str(), value) {
            ("url", _) | ("ca", Value::String(_)) | ("insecure", Value::Bool(_)) => {}
            ("ca", _) => errors.push(invalid(
                &path,
                "a value of another type",
                "the name of a PEM file",
            )),
            ("insecure", _) => {
                errors.push(invalid(&path, "a value of another type", "true or false"))
            }
            _ => errors.push(ConfigError {
                path,
                problem: Problem::UnknownKey {
                    nearest: "url",
                    known: UPSTREAM_KEYS,
                },
            }),
        }
    }
    let path = match value {
        Value::Object(_) => format!("{path}.url"),
        _ => path.to_owned(),
    };
    let Some(url) = url else {
        errors.push(invalid(&path, "no address", URL));
        return None;
    };
    if url.contains('@') {
        // Not shown: it holds a password.
        errors.push(invalid(&path, "an address with credentials", URL));
        return None;
    }
    let checked = Server::new(
        "the list server",
        "",
        url,
        std::time::Duration::ZERO,
        &Trust::System,
    );
    if checked.is_err() {
        errors.push(invalid(&path, &format!("{url:?}"), URL));
        return None;
    }
    Some(Upstream {
        url: url.trim_end_matches('/').to_owned(),
        ca: object.get("ca").and_then(Value::as_str).map(PathBuf::from),
        insecure: object.get("insecure").and_then(Value::as_bool) == Some(true),
    })
}

/// Each enabled feed has an upstream, and each upstream a feed.
fn check_clusters(
    config: &Config,
    upstreams: &BTreeMap<String, Upstream>,
    errors: &mut Vec<ConfigError>,
) {
    let feeds = config.all_feeds();
    let is_reported = |path: &str, errors: &[ConfigError]| {
        let below = format!("{path}.");
        let mut errors = errors.iter();
        errors.any(|error| error.path == path || error.path.starts_with(&below))
    };
    if feeds.is_empty() {
        errors.push(ConfigError {
            path: "feeds".to_owned(),
            problem: Problem::Missing {
                needed: "the relay needs a feed: set enable_abs_attack to true, or add one to feeds",
            },
        });
    }
    for feed in &feeds {
        let path = format!("{UPSTREAMS}.{}", feed.cluster);
        let is_missing = !upstreams.contains_key(&feed.cluster);
        if is_missing && !is_reported(&path, errors) {
            errors.push(ConfigError {
                path,
                problem: Problem::Missing {
                    needed: "an enabled feed names this cluster; write the address of its server",
                },
            });
        }
    }
    let disabled = config.disabled_feeds.iter();
    let abs = config.abs.iter().map(|abs| abs.cluster.as_str());
    let known: Vec<&str> = (feeds.iter().chain(disabled))
        .map(|feed| feed.cluster.as_str())
        .chain(abs)
        .collect();
    for cluster in upstreams.keys() {
        if !known.contains(&cluster.as_str()) {
            errors.push(invalid(
                &format!("{UPSTREAMS}.{cluster}"),
                "a cluster that no feed names",
                "the clusters of abs and of feeds",
            ));
        }
    }
}

fn invalid(path: &str, found: &str, allowed: &'static str) -> ConfigError {
    ConfigError {
        path: path.to_owned(),
        problem: Problem::Invalid {
            found: found.to_owned(),
            allowed,
        },
    }
}
