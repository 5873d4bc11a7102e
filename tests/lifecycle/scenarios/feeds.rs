//! Feeds beside ABS's list: four list servers, a client for each version of their lists, and what a worker enforces.

/// Configurations that add, remove, rename or share feeds.
mod changes;
/// Entries that end by themselves.
mod expiry;
/// The fingerprint key, which all lists of a process share.
mod fingerprint_key;
/// What one feed does changes nothing for the others.
mod isolation;
/// The header of list requests that reports on this node.
mod node_report;
/// The order of judgement.
mod order;
/// ETag and Last-Modified.
mod validators;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};

use super::abs::{ips, list_response};
use super::process::Process;
use super::verdicts::jwt;
use super::*;
use crate::fake_host::{Reaction, Response, World};
use crate::secrets::secret;

/// The list servers of a process, by the Envoy cluster of their calls. A server without a response has no such page.
#[derive(Clone, Default)]
pub struct Servers(Rc<RefCell<BTreeMap<String, Reaction>>>);

impl Servers {
    /// Also sets the environment variables of [`feed`]'s credentials.
    pub fn of(world: &World) -> Self {
        for name in ["LIST_PASSWORD", "TOKENS_KEY"] {
            world.set_environment(name, &secret(name));
        }
        let servers = Self::default();
        let known = servers.clone();
        world.set_abs(move |call| {
            let known = known.0.borrow();
            let missing = Reaction::After(millis(20), Response::new(404, ""));
            let reaction = known.get(&call.cluster).cloned().unwrap_or(missing);
            let Reaction::After(latency, response) = &reaction else {
                return reaction;
            };
            let etag = response.headers.iter().find(|(name, _)| name == "etag");
            let is_known = etag.is_some_and(|(_, etag)| {
                call.header("if-none-match").map(str::as_bytes) == Some(etag)
            });
            match is_known {
                true => Reaction::After(*latency, Response::new(304, "")),
                false => reaction,
            }
        });
        servers
    }

    /// The server of the cluster responds like this from now on; with 304 to a call that has the response's ETag.
    pub fn respond(&self, cluster: &str, response: Response) {
        let reaction = Reaction::After(millis(20), response);
        self.0.borrow_mut().insert(cluster.to_owned(), reaction);
    }

    /// The calls to the cluster stay in flight.
    fn hold(&self, cluster: &str) {
        self.0
            .borrow_mut()
            .insert(cluster.to_owned(), Reaction::Hold);
    }
}

/// A feed with a server of its own, in the cluster of its name.
struct Known {
    name: &'static str,
    /// The kind of its entries.
    kind: &'static str,
    /// Each version of its list has the client of this number only.
    list: fn(u8) -> Response,
    client: fn(u8) -> Request,
}

/// The feeds of [`four_feeds`], in the order of the configuration.
const FEEDS: [Known; 4] = [
    Known {
        name: "abs",
        kind: "ip",
        list: |version| list_response(&ips(&[&format!("192.0.2.{version}")])),
        client: |version| from(&format!("192.0.2.{version}")),
    },
    Known {
        name: "lapi",
        kind: "username",
        list: |version| decisions(&[("username", &user(version), Some("4h"))]),
        client: |version| Request::get("/").basic(&user(version)),
    },
    Known {
        name: "drop",
        kind: "ip",
        list: |version| text(&[&format!("198.51.100.{version}")]),
        client: |version| from(&format!("198.51.100.{version}")),
    },
    Known {
        name: "revoked",
        kind: "token_claims",
        list: |version| tokens(&[&token_id(version)]),
        client: |version| Request::get("/").bearer(&jwt(&json!({"jti": token_id(version)}))),
    },
];

fn user(version: u8) -> String {
    secret(&format!("user-{version}"))
}

fn token_id(version: u8) -> String {
    secret(&format!("token-{version}"))
}

impl Known {
    /// A metric of the feed; that of ABS has no label.
    fn metric(&self, process: &Process, group: &str, metric: &str) -> u64 {
        let label = match self.name {
            "abs" => String::new(),
            name => format!(".source={name}"),
        };
        process.world().metric(&format!("{group}{label}.{metric}"))
    }

    fn fetches(&self, process: &Process, result: &str) -> u64 {
        self.metric(process, "fetch", &format!("result={result}"))
    }
}

/// The configuration of a feed in the cluster of its name, with some keys added or replaced. Its credentials are secrets:
/// typed, a variable of the environment, or a password.
pub fn feed(name: &str, changes: Value) -> Value {
    let mut feed = match name {
        "lapi" => json!({"format": "crowdsec", "headers": {"x-api-key": secret("lapi-key")}}),
        "revoked" => json!({"format": "tokens", "path": "/revoked",
            "headers": {"authorization": {"env": "TOKENS_KEY"}}}),
        name => json!({"format": "text", "path": format!("/{name}.txt"),
            "headers": {"basic": {"user": secret("list-user"), "password_env": "LIST_PASSWORD"}}}),
    };
    let common = json!({"name": name, "cluster": name, "interval": "1m", "timeout": "5s"});
    for keys in [common, changes] {
        let Value::Object(keys) = keys else {
            panic!("the keys are an object");
        };
        feed.as_object_mut().unwrap().extend(keys);
    }
    feed
}

/// ABS's list and a feed of each other format, each fetched once a minute.
fn four_feeds() -> Value {
    with_feeds(&["lapi", "drop", "revoked"].map(|name| feed(name, json!({}))))
}

/// ABS's list and these feeds.
fn with_feeds(feeds: &[Value]) -> Value {
    config_with(json!({ "feeds": feeds }))
}

/// These feeds without ABS's list.
fn only(feeds: &[Value]) -> Value {
    json!({ "feeds": feeds })
}

/// A process of four workers and a server with the first version for each of [`FEEDS`].
fn first_versions() -> (Process, Servers) {
    let process = Process::new(4);
    let servers = Servers::of(process.world());
    for feed in &FEEDS {
        servers.respond(feed.name, (feed.list)(1));
    }
    (process, servers)
}

/// The same, after the first fetches with this configuration.
fn started_with(config: &Value) -> (Process, Servers) {
    let (process, servers) = first_versions();
    process.configure(config);
    process.advance(seconds(2));
    (process, servers)
}

/// The number of calls to a cluster.
fn calls_to(process: &Process, cluster: &str) -> usize {
    let sent = process.world().sent();
    sent.iter().filter(|call| call.cluster == cluster).count()
}

/// Asserts that every worker enforces exactly these versions of the lists of [`FEEDS`]; 0 for none.
#[track_caller]
fn assert_versions(process: &Process, versions: [u8; 4]) {
    for worker in process.workers() {
        for (feed, active) in FEEDS.iter().zip(versions) {
            for version in 1..=3 {
                let outcome = process.request(worker, &(feed.client)(version));
                let expected = format!("denied {} {}", feed.name, feed.kind);
                let expected = (version == active).then_some(expected);
                assert_eq!(
                    outcome.filter_state, expected,
                    "worker {worker}, version {version} of {}",
                    feed.name
                );
            }
        }
    }
}

/// What a worker sets as the filter state of a request.
fn state(process: &Process, worker: usize, request: &Request) -> Option<String> {
    process.request(worker, request).filter_state
}

/// The decisions stream of a LAPI: scope, value and duration; a decision without a duration does not end.
pub fn decisions(decisions: &[(&str, &str, Option<&str>)]) -> Response {
    let decisions = decisions.iter().map(|(scope, value, duration)| {
        json!({"scope": scope, "value": value, "duration": duration, "type": "ban",
            "origin": "cscli", "scenario": "tests", "id": 1})
    });
    let decisions: Vec<Value> = decisions.collect();
    Response::new(200, json!({"new": decisions, "deleted": null}).to_string())
}

/// A text list.
pub fn text(lines: &[&str]) -> Response {
    Response::new(200, format!("# a comment\n{}\n", lines.join("\n")))
}

/// A list of revoked tokens by their `jti`.
pub fn tokens(ids: &[&str]) -> Response {
    Response::new(200, json!(ids).to_string())
}

/// The lines of the log with this text.
fn lines_with(process: &Process, text: &str) -> Vec<String> {
    let logs = process.world().logs().into_iter().map(|(_, line)| line);
    logs.filter(|line| line.contains(text)).collect()
}
