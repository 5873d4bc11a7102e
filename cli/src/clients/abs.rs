//! ABS's REST API for its attack list: read it, and remove false positives from it.
//!
//! The list's JSON is read by the filter's own reader.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fmt};

use ipnet::IpNet;
use portcullis::config::{Abs, Config, Guard};
use portcullis::feed::abs::call;
use portcullis::feed::abs::{AttackListError, read_attack_list};
use portcullis::feed::entries::{EntryCounts, EntrySink, Skipped};
use portcullis::feed::guard::{skips_too_many, too_wide};
use portcullis::identifier::{ClientIdentifier, IdentifierKind};
use serde_json::Value;
use ureq::http::Method;

use super::http::{Response, Server, Trust};
use crate::args::{AbsArgs, ListStatus};
use crate::config_file::manual_list::in_abs_format;
use crate::entry::{ClientKey, Entry};
use crate::error::{Failure, Result};

/// The path of the list.
pub const PATH: &str = "/v4/abs/attacklist";

/// ABS's list, as its entries.
#[derive(Default)]
pub struct List {
    /// In ABS's order; each client once.
    pub entries: Vec<Entry>,
    /// Those that can't be used, by kind and position.
    pub skipped: Vec<String>,
    /// How many there were.
    pub counts: EntryCounts,
}

/// ABS's API and the keys for it.
#[derive(Debug)]
pub struct Client {
    server: Server,
    window: Duration,
    access_key: String,
    secret_key: String,
    access_key_env: String,
    secret_key_env: String,
}

impl Client {
    /// Reads the options and the environment; opens no connection.
    pub fn new(args: &AbsArgs) -> Result<Self> {
        let url = args.abs_url.as_deref().ok_or_else(|| {
            Failure::usage("ABS's address is missing: use --abs URL or set ABS_URL, such as https://abs.example.com:8080")
        })?;
        let trust = Trust::new(args.ca.as_deref(), args.insecure);
        let timeout = read_timeout(&args.timeout)?;
        let window = read_duration("--window", "attack_window", &args.window, |abs| {
            abs.attack_window
        })?;
        Ok(Self {
            server: Server::new("ABS", "https://abs.example.com:8080", url, timeout, &trust)?,
            window,
            access_key: read_key(&args.access_key_env, "access")?,
            secret_key: read_key(&args.secret_key_env, "secret")?,
            access_key_env: args.access_key_env.clone(),
            secret_key_env: args.secret_key_env.clone(),
        })
    }

    /// Reads the list.
    pub fn fetch(&self, status: ListStatus) -> Result<List> {
        let body = self.fetch_body(status)?;
        read(&body, None).map_err(|error| self.refused(error))
    }

    /// Reads the list as the filter would with this guard. Ranges that are too wide are skipped.
    pub fn fetch_guarded(&self, status: ListStatus, guard: &Guard) -> Result<List> {
        let body = self.fetch_body(status)?;
        let list = read(&body, Some(guard)).map_err(|error| self.refused(error))?;
        if skips_too_many(guard, &list.counts) {
            return Err(self.refused(format!(
                "{} of the {} entries can't be used, more than guard.max_skipped_percent allows: {}",
                list.counts.n_skipped(),
                list.counts.n_entries(),
                list.counts
            )));
        }
        Ok(list)
    }

    fn refused(&self, reason: impl fmt::Display) -> Failure {
        Failure::refused(format!("ABS at {}: {reason}", self.server.url))
    }

    /// Reads the list as ABS writes it.
    pub fn fetch_body(&self, status: ListStatus) -> Result<Vec<u8>> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let path = call::path(now, self.window);
        let window = path.strip_suffix("&status=active").unwrap_or(&path);
        let path = match status {
            ListStatus::Active => format!("{window}&status=active"),
            ListStatus::Expired => format!("{window}&status=expired"),
            ListStatus::All => window.to_owned(),
        };
        self.send(Method::GET, &path, Vec::new())
    }

    /// Removes entries from the active list; returns what ABS removed, and its message.
    pub fn remove(&self, entries: &[Entry]) -> Result<(List, String)> {
        let body = in_abs_format(entries, true).to_string().into_bytes();
        let response = self.send(Method::PUT, PATH, body)?;
        let removed = read(&response, None).map_err(|error| self.refused(error))?;
        let response: Value = serde_json::from_slice(&response).unwrap_or_default();
        let message = response.get("message").and_then(Value::as_str);
        Ok((removed, message.unwrap_or_default().to_owned()))
    }

    fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let mut headers = vec![
            ("x-abs-ak", self.access_key.as_str()),
            ("x-abs-sk", self.secret_key.as_str()),
            ("accept", "application/json"),
        ];
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        let Response { status, body, .. } = self.server.send(method, path, &headers, body)?;
        let url = &self.server.url;
        match status {
            200..=299 => Ok(body),
            401 | 403 => Err(Failure::refused(format!(
                "ABS at {url} refused the keys (status {status}); check {} and {}",
                self.access_key_env, self.secret_key_env
            ))),
            _ => Err(Failure::refused(format!(
                "ABS at {url} returned status {status}; is this ABS's management address?"
            ))),
        }
    }
}

/// Reads a list as ABS writes it, with the filter's own reader. With a `guard`, ranges that it does not allow are
/// skipped.
pub fn read(body: &[u8], guard: Option<&Guard>) -> std::result::Result<List, AttackListError> {
    let mut reader = Reader {
        guard,
        known: HashSet::new(),
        n_ips: 0,
        list: List::default(),
    };
    reader.list.counts = read_attack_list(&mut &*body, &mut reader)?;
    Ok(reader.list)
}

/// Collects the entries of a list.
struct Reader<'g> {
    guard: Option<&'g Guard>,
    known: HashSet<ClientKey>,
    /// How many addresses and ranges there were, usable or not.
    n_ips: u64,
    list: List,
}

impl EntrySink for Reader<'_> {
    fn entry(&mut self, identifier: ClientIdentifier<'_>, _: Option<Duration>) -> bool {
        if let ClientIdentifier::Ip(range) = identifier {
            self.n_ips = self.n_ips.saturating_add(1);
            if let Some(widest) = self.guard.and_then(|guard| too_wide(guard, range)) {
                let key = match range {
                    IpNet::V4(_) => "guard.widest_ipv4",
                    IpNet::V6(_) => "guard.widest_ipv6",
                };
                self.list.skipped.push(format!(
                    "entry {} of ips: a range wider than /{widest} ({key})",
                    self.n_ips
                ));
                return true;
            }
        }
        let entry = Entry::from(identifier);
        if self.known.insert(entry.key()) {
            self.list.entries.push(entry);
        }
        true
    }

    fn skipped(&mut self, entry: Skipped) {
        if entry.kind == IdentifierKind::Ip {
            self.n_ips = self.n_ips.saturating_add(1);
        }
        self.list.skipped.push(entry.to_string());
    }
}

fn read_key(variable: &str, what: &'static str) -> Result<String> {
    let key = env::var(variable).unwrap_or_default();
    let problem = match () {
        () if key.is_empty() => format!("is not set; it must hold ABS's {what} key"),
        () if key.contains(':') => "holds a key with a ':', which ABS allows in no key".to_owned(),
        () if !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            "holds a key with a character that is not visible ASCII, which ABS allows in no key"
                .to_owned()
        }
        () => return Ok(key),
    };
    Err(Failure::usage(format!(
        "the environment variable {variable} {problem}"
    )))
}

/// Reads a timeout with the spelling and the bounds of the plugin configuration.
pub fn read_timeout(text: &str) -> Result<Duration> {
    read_duration("--timeout", "timeout", text, |abs| abs.timeout)
}

/// Reads a duration with the spelling and the bounds of the plugin configuration.
fn read_duration(
    option: &'static str,
    key: &str,
    text: &str,
    pick: impl Fn(&Abs) -> Duration,
) -> Result<Duration> {
    let configuration = serde_json::json!({"abs": {"cluster": "abs", key: text}}).to_string();
    let abs = Config::parse(configuration.as_bytes(), &|_| None).map(|config| config.abs);
    let problem = match abs {
        Ok(Some(abs)) => return Ok(pick(&abs)),
        Ok(None) => "can't be read".to_owned(),
        Err(errors) => {
            let problems: Vec<_> = errors
                .iter()
                .map(|error| error.problem.to_string())
                .collect();
            problems.join("; ")
        }
    };
    Err(Failure::usage(format!("{option}: {problem}")))
}
