//! A request and its response as a record for ABS: which parts of them it has, and its bytes.
//!
//! Pure. A record never has a body, and only those headers that the configuration names or that carry the API's
//! identifiers: ABS can list only what it sees. It never has a password: of HTTP Basic authentication it has the user
//! name only.

mod json;

use core::fmt;
use core::time::Duration;

use self::json::{push, push_display, push_field, push_number, push_pair};
use super::identifiers::{
    LONGEST_VALUE, is_among, jwt_header, url, visit_client_ids, visit_cookie_headers, visit_tokens,
    visit_usernames,
};
use crate::config::{Api, Traffic, TrafficFormat, UsernameSource};
use crate::judge::Verdict;
use crate::request::RequestHeaders;

/// Limit on the bytes of tokens in a record, and on those of user names and clients. Many short ones take more bytes in the
/// record than in the request.
const MAX_IDENTIFIER_BYTES: usize = 64 * 1024;

/// The memory of a record without its bytes.
const OVERHEAD: usize = 128;

/// Ties a request and its response; unique among the records of all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorrelationId {
    /// The VM's random number.
    pub vm: u64,
    /// The request's number in that VM.
    pub request: u64,
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}", self.vm, self.request)
    }
}

/// A request's part of a record, kept until the stream ends.
#[derive(Clone, PartialEq, Eq)]
pub struct PendingRecord {
    /// Batch: the line up to the response's part. Sideband: the whole request, except its last brace.
    text: Box<[u8]>,
    started: Duration,
    correlation_id: CorrelationId,
    /// Sideband only: the response has it too.
    http_version: Box<[u8]>,
}

/// What is known about a request besides its headers.
#[derive(Clone, Copy, Debug)]
pub struct RequestMeta<'a> {
    /// Envoy's `source.address`, with the port.
    pub source_address: &'a [u8],
    /// Envoy's `request.protocol`, such as `HTTP/1.1`.
    pub protocol: &'a [u8],
    /// Ties request and response.
    pub correlation_id: CorrelationId,
    /// The filter's verdict.
    pub verdict: &'a Verdict,
    /// Wall clock.
    pub now: Duration,
}

/// The headers of a request and of its response that a record needs, besides those that the API reads identifiers from.
pub fn header_names(traffic: &Traffic) -> impl Iterator<Item = &str> {
    let named = traffic.headers.iter().map(String::as_str);
    [":method", ":status"].into_iter().chain(named)
}

impl fmt::Debug for PendingRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingRecord({} bytes, redacted)", self.text.len())
    }
}

impl PendingRecord {
    /// The request's part. `text` is a buffer that the caller reuses.
    pub fn new(
        traffic: &Traffic,
        api: &Api,
        headers: &RequestHeaders,
        meta: RequestMeta<'_>,
        text: &mut Vec<u8>,
    ) -> Self {
        text.clear();
        let (source_ip, source_port) = split_port(meta.source_address);
        let protocol = meta.protocol;
        let http_version = protocol.strip_prefix(b"HTTP/").unwrap_or(protocol);
        let method = headers.values(":method").next().unwrap_or_default();
        push(text, "{");
        if traffic.format == TrafficFormat::Batch {
            push_display(text, r#""correlation_id":""#, meta.correlation_id);
            push_number(text, r#"","time":"#, meta.now.as_millis());
            push_field(text, r#","api_id":"#, api.api_id.as_bytes());
            push_verdict(text, meta.verdict);
        }
        push_field(text, r#""source_ip":"#, source_ip);
        push_display(text, r#","source_port":"#, source_port);
        push_field(text, r#","method":"#, method);
        push_field(text, r#","url":"#, &url(api, headers));
        push_field(text, r#","http_version":"#, http_version);
        push(text, r#","headers":["#);
        push_request_headers(text, traffic, api, headers);
        push(text, r#"],"user_info":["#);
        let start = text.len();
        visit_usernames(api, headers, &mut |name| {
            push_identifier(text, start, b"username", name);
        });
        visit_client_ids(api, headers, &mut |client| {
            push_identifier(text, start, b"client_id", client);
        });
        push(text, "]");
        Self {
            text: text.as_slice().into(),
            started: meta.now,
            correlation_id: meta.correlation_id,
            http_version: match traffic.format {
                TrafficFormat::Batch => Box::default(),
                TrafficFormat::Sideband => http_version.into(),
            },
        }
    }

    /// Its memory, in bytes.
    pub fn memory(&self) -> usize {
        self.text.len().saturating_add(OVERHEAD)
    }

    /// The record with its response. `text` is a buffer that the caller reuses.
    pub fn finish(
        self,
        traffic: &Traffic,
        response: &RequestHeaders,
        now: Duration,
        text: &mut Vec<u8>,
    ) -> Record {
        text.clear();
        let status = response.values(":status").next().unwrap_or_default();
        let reason = reason_phrase(status).as_bytes();
        match traffic.format {
            TrafficFormat::Batch => {
                text.extend_from_slice(&self.text);
                push_field(text, r#","response_code":"#, status);
                push_field(text, r#","response_status":"#, reason);
                push(text, r#","response_headers":["#);
                push_response_headers(text, traffic, response);
                let duration = now.saturating_sub(self.started);
                push_number(text, r#"],"duration_ms":"#, duration.as_millis());
                push(text, "}\n");
                Record {
                    correlation_id: self.correlation_id,
                    first: text.as_slice().into(),
                    second: Box::default(),
                }
            }
            TrafficFormat::Sideband => {
                text.extend_from_slice(&self.text);
                push(text, "}");
                let first = text.as_slice().into();
                text.clear();
                push_field(text, r#"{"response_code":"#, status);
                push_field(text, r#","response_status":"#, reason);
                push_field(text, r#","http_version":"#, &self.http_version);
                push(text, r#","headers":["#);
                push_response_headers(text, traffic, response);
                push(text, "]}");
                Record {
                    correlation_id: self.correlation_id,
                    first,
                    second: text.as_slice().into(),
                }
            }
        }
    }
}

/// One request and its response, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Ties request and response.
    pub correlation_id: CorrelationId,
    /// Batch: the line. Sideband: the body of `/ase/request`.
    pub first: Box<[u8]>,
    /// Sideband: the body of `/ase/response`.
    pub second: Box<[u8]>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The content holds tokens and cookies.
        f.debug_struct("Record")
            .field("correlation_id", &self.correlation_id)
            .field("bytes", &self.memory())
            .finish()
    }
}

impl Record {
    /// Its memory, in bytes.
    pub fn memory(&self) -> usize {
        self.first
            .len()
            .saturating_add(self.second.len())
            .saturating_add(OVERHEAD)
    }
}

fn push_verdict(text: &mut Vec<u8>, verdict: &Verdict) {
    push(text, r#","verdict":""#);
    match verdict {
        Verdict::Allow | Verdict::AllowListed => push(text, "allowed"),
        Verdict::Deny(reason) => push_display(text, "denied ", reason),
        Verdict::WouldDeny(reason) => push_display(text, "would_deny ", reason),
    }
    let is_blocked = matches!(verdict, Verdict::Deny(_));
    push(text, r#"","blocked":"#);
    push(text, if is_blocked { "true," } else { "false," });
}

fn push_request_headers(
    text: &mut Vec<u8>,
    traffic: &Traffic,
    api: &Api,
    headers: &RequestHeaders,
) {
    let is_of_username = |name: &[u8]| {
        api.username.iter().any(|source| match source {
            UsernameSource::Header(header) => header.as_bytes() == name,
            UsernameSource::BasicAuth | UsernameSource::JwtClaim(_) => false,
        })
    };
    for (name, value) in headers.iter() {
        let name: &[u8] = match name {
            b":authority" => b"host",
            // Parts of these two are added below.
            b"authorization" | b"cookie" => continue,
            _ => name,
        };
        if is_among(&traffic.headers, name)
            || is_among(&api.apikey_header, name)
            || is_of_username(name)
            || jwt_header(api).is_some_and(|header| header.as_bytes() == name)
        {
            push_header(text, name, value);
        }
    }
    let reads_jwt = api
        .username
        .iter()
        .any(|source| matches!(source, UsernameSource::JwtClaim(_)));
    if api.oauth2_access_token || reads_jwt {
        let start = text.len();
        let mut bearer = Vec::new();
        visit_tokens(headers, &mut |token| {
            bearer.clear();
            bearer.extend_from_slice(b"Bearer ");
            bearer.extend_from_slice(token);
            push_identifier(text, start, b"authorization", &bearer);
        });
    }
    visit_cookie_headers(api, headers, &mut |cookies| {
        push_pair(text, b"cookie", cookies);
    });
}

/// Adds an identifier to the group that begins at `start`, up to the limit of a group.
fn push_identifier(text: &mut Vec<u8>, start: usize, name: &[u8], value: &[u8]) {
    if text.len().saturating_sub(start) <= MAX_IDENTIFIER_BYTES {
        push_pair(text, name, value);
    }
}

fn push_response_headers(text: &mut Vec<u8>, traffic: &Traffic, response: &RequestHeaders) {
    for (name, value) in response.iter() {
        if is_among(&traffic.headers, name) {
            push_header(text, name, value);
        }
    }
}

fn push_header(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if value.len() <= LONGEST_VALUE {
        push_pair(text, name, value);
    }
}

/// The address without its port, and the port; 0 if there is none.
fn split_port(source_address: &[u8]) -> (&[u8], u16) {
    let Some(colon) = source_address.iter().rposition(|byte| *byte == b':') else {
        return (source_address, 0);
    };
    let (address, port) = source_address.split_at(colon);
    let port = core::str::from_utf8(port.get(1..).unwrap_or_default());
    let Some(port) = port.ok().and_then(|port| port.parse().ok()) else {
        return (source_address, 0);
    };
    let inner = address
        .strip_prefix(b"[")
        .and_then(|inner| inner.strip_suffix(b"]"));
    (inner.unwrap_or(address), port)
}

/// The reason phrase of a status (RFC 9110, 15), which HTTP/2 does not have.
fn reason_phrase(status: &[u8]) -> &'static str {
    match status {
        b"200" => "OK",
        b"201" => "Created",
        b"202" => "Accepted",
        b"204" => "No Content",
        b"206" => "Partial Content",
        b"301" => "Moved Permanently",
        b"302" => "Found",
        b"304" => "Not Modified",
        b"307" => "Temporary Redirect",
        b"308" => "Permanent Redirect",
        b"400" => "Bad Request",
        b"401" => "Unauthorized",
        b"403" => "Forbidden",
        b"404" => "Not Found",
        b"405" => "Method Not Allowed",
        b"409" => "Conflict",
        b"413" => "Content Too Large",
        b"422" => "Unprocessable Content",
        b"429" => "Too Many Requests",
        b"500" => "Internal Server Error",
        b"502" => "Bad Gateway",
        b"503" => "Service Unavailable",
        b"504" => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
