//! Traffic records: their JSON, the ring that keeps them, and the pairing of sideband calls.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::attack_list::Identifier;

/// Number of records to keep; the oldest are removed first.
pub const KEPT_RECORDS: usize = 200_000;

/// Number of sideband requests that wait for their response; the oldest are removed first.
const WAITING_REQUESTS: usize = 10_000;

/// The header with an API key.
const API_KEY_HEADER: &str = "x-api-key";

/// Headers in the sideband's format: one object for each, with its name and value.
pub type Headers = Vec<BTreeMap<String, String>>;

/// One request and its response.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TrafficRecord {
    /// The request, in the fields of the sideband interface.
    #[serde(flatten)]
    pub request: SidebandRequest,
    /// Correlates the record with the client's own logs.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// HTTP status.
    #[serde(default)]
    pub response_code: Option<String>,
    /// Reason phrase.
    #[serde(default)]
    pub response_status: Option<String>,
    /// Response headers.
    #[serde(default)]
    pub response_headers: Headers,
    /// The API the request was for.
    #[serde(default)]
    pub api_id: Option<String>,
    /// The time of the request, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub time: Option<u64>,
    /// How long request and response took.
    #[serde(default)]
    pub duration_ms: Option<f64>,
    /// The verdict on the request.
    #[serde(default)]
    pub verdict: Option<String>,
    /// Whether the request was denied.
    #[serde(default)]
    pub blocked: bool,
}

/// The body of `POST /ase/request`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SidebandRequest {
    /// The client's address.
    #[serde(default)]
    pub source_ip: Option<String>,
    /// The client's port.
    #[serde(default)]
    pub source_port: Option<u16>,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub url: String,
    /// For example `1.1`.
    #[serde(default)]
    pub http_version: Option<String>,
    /// Request headers.
    #[serde(default)]
    pub headers: Headers,
    /// The user, if known.
    #[serde(default)]
    pub user_info: Vec<UserInfo>,
}

/// One entry of `user_info`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UserInfo {
    /// The user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The OAuth client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// The body of `POST /ase/response`.
#[derive(Clone, Debug, Deserialize)]
pub struct SidebandResponse {
    /// HTTP status.
    pub response_code: String,
    /// Reason phrase.
    #[serde(default)]
    pub response_status: Option<String>,
    /// Response headers.
    #[serde(default)]
    pub headers: Headers,
}

impl SidebandRequest {
    /// Every identifier in the request, the most specific first: bearer token, cookies, API key, user names, IP address.
    pub fn identifiers(&self) -> Vec<Identifier> {
        let mut identifiers = Vec::new();
        identifiers.extend(
            self.header_values("authorization")
                .filter_map(|value| after_scheme(value, "bearer"))
                .map(|token| Identifier::OauthToken(token.to_owned())),
        );
        identifiers.extend(
            self.header_values("cookie")
                .flat_map(|value| value.split(';'))
                .filter_map(|pair| pair.trim().split_once('='))
                .map(|(name, value)| Identifier::Cookie {
                    name: name.to_owned(),
                    value: unquoted(value).to_owned(),
                }),
        );
        identifiers.extend(
            self.header_values(API_KEY_HEADER)
                .map(|key| Identifier::ApiKey(key.to_owned())),
        );
        identifiers.extend(
            self.user_info
                .iter()
                .filter_map(|user| user.username.clone())
                .chain(
                    self.header_values("authorization")
                        .filter_map(|value| after_scheme(value, "basic"))
                        .filter_map(basic_user),
                )
                .filter(|name| !name.is_empty())
                .map(Identifier::Username),
        );
        identifiers.extend(self.source_ip.as_deref().map(canonical_ip));
        identifiers
    }

    fn header_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .flatten()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

/// The kept records, and the sideband requests that wait for their response.
#[derive(Debug, Default)]
pub struct Traffic {
    records: VecDeque<Box<str>>,
    /// By the node of the request and the correlation id.
    waiting: IndexMap<(usize, String), SidebandRequest>,
    next_node: usize,
}

impl Traffic {
    /// Keeps one record, given as its JSON.
    pub fn keep(&mut self, record: Box<str>) {
        if self.records.len() >= KEPT_RECORDS {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    /// A JSON array of at most `limit` kept records, the oldest first, without the `offset` oldest ones.
    pub fn records_json(&self, offset: usize, limit: usize) -> String {
        let mut json = String::from("[");
        for record in self.records.iter().skip(offset).take(limit) {
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(record);
        }
        json.push(']');
        json
    }

    /// Removes the kept records.
    pub fn clear_records(&mut self) {
        self.records.clear();
    }

    /// Stores a sideband request until its response arrives.
    pub fn await_response(
        &mut self,
        node: usize,
        correlation_id: String,
        request: SidebandRequest,
    ) {
        if self.waiting.len() >= WAITING_REQUESTS {
            self.waiting.shift_remove_index(0);
        }
        self.waiting.insert((node, correlation_id), request);
    }

    /// Removes and returns the sideband request of this response.
    pub fn take_waiting(&mut self, node: usize, correlation_id: &str) -> Option<SidebandRequest> {
        self.waiting
            .shift_remove(&(node, correlation_id.to_owned()))
    }

    /// The node for a call without a session: round robin over `nodes`.
    pub fn next_node(&mut self, nodes: usize) -> usize {
        let node = self.next_node;
        self.next_node = node.wrapping_add(1).checked_rem(nodes).unwrap_or(0);
        node
    }
}

fn canonical_ip(text: &str) -> Identifier {
    Identifier::Ip(
        text.parse::<IpAddr>()
            .map_or_else(|_| text.to_owned(), |ip| ip.to_canonical().to_string()),
    )
}

fn after_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = value.split_once(' ')?;
    let rest = rest.trim_start_matches(' ');
    (found.eq_ignore_ascii_case(scheme) && !rest.is_empty()).then_some(rest)
}

fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(value)
}

fn basic_user(credentials: &str) -> Option<String> {
    let decoded = BASE64.decode(credentials).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(user, _)| user.to_owned())
}
