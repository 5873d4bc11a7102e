//! A request and its response as a record for ABS: what of them leaves, and as which bytes.
//!
//! Pure. Bodies never leave, and of the headers only those that the configuration names, and those that carry the API's
//! identifiers, since ABS must see them to list them. A password never leaves: of HTTP Basic authentication only the
//! user's name is told.

use core::fmt;
use core::time::Duration;
use std::io::Write;

use crate::config::{Api, Traffic, TrafficFormat, UsernameSource};
use crate::identifier::PerKind;
use crate::judge::Verdict;
use crate::request::{
    IdentifierRef, RequestHeaders, authorizations, bearer_token, visit_cookies, visit_identifiers,
};

/// A longer header value is left out: a token that was cut would be another token.
pub const LONGEST_VALUE: usize = 8 * 1024;

/// A longer URL is cut to this many bytes.
pub const LONGEST_URL: usize = 8 * 1024;

/// What a record takes beside its bytes.
const OVERHEAD: usize = 128;

/// Ties a request and its response; no two records of any workers have the same.
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

/// A request's part of a record, kept until its response is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// A batch: the record's line but for the response's part. Sideband: the whole request.
    text: Box<[u8]>,
    started: Duration,
    correlation_id: CorrelationId,
    /// Sideband alone: the response names it too.
    http_version: Box<[u8]>,
}

/// What is known of a request besides its headers.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Envoy's `source.address`, with the port.
    pub source_address: &'a [u8],
    /// Envoy's `request.protocol`, such as `HTTP/1.1`.
    pub protocol: &'a [u8],
    /// Ties request and response.
    pub correlation_id: CorrelationId,
    /// What the filter made of it.
    pub verdict: Verdict,
    /// Wall clock.
    pub now: Duration,
}

/// The headers that a record needs of a request, besides those that its API reads identifiers from, and of its response.
pub fn header_names(traffic: &Traffic) -> impl Iterator<Item = &str> {
    let named = traffic.headers.iter().map(String::as_str);
    [":method", ":status"].into_iter().chain(named)
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft({} bytes, redacted)", self.text.len())
    }
}

impl Draft {
    /// The request's part. `text` is room to write in, kept by the caller to be used again.
    pub fn new(
        traffic: &Traffic,
        api: &Api,
        headers: &RequestHeaders,
        seen: Seen<'_>,
        text: &mut Vec<u8>,
    ) -> Self {
        text.clear();
        let (source_ip, source_port) = split_port(seen.source_address);
        let protocol = seen.protocol;
        let http_version = protocol.strip_prefix(b"HTTP/").unwrap_or(protocol);
        let path = headers.path();
        let url = path.get(..LONGEST_URL).unwrap_or(path);
        let method = headers.values(":method").next().unwrap_or_default();
        push(text, "{");
        if traffic.format == TrafficFormat::Batch {
            push_display(text, "\"correlation_id\":\"", seen.correlation_id);
            push_number(text, "\",\"time\":", seen.now.as_millis());
            push_field(text, ",\"api_id\":", api.api_id.as_bytes());
            match seen.verdict {
                Verdict::Allow | Verdict::AllowListed => push(text, ",\"verdict\":\"allowed"),
                Verdict::Deny(reason) => push_display(text, ",\"verdict\":\"denied ", reason),
                Verdict::WouldDeny(reason) => {
                    push_display(text, ",\"verdict\":\"would_deny ", reason);
                }
            }
            push(
                text,
                match seen.verdict {
                    Verdict::Deny(_) => "\",\"blocked\":true,",
                    _ => "\",\"blocked\":false,",
                },
            );
        }
        push_field(text, "\"source_ip\":", source_ip);
        push(text, ",\"source_port\":");
        push(
            text,
            if source_port.is_empty() {
                "0"
            } else {
                source_port
            },
        );
        push_field(text, ",\"method\":", method);
        push_field(text, ",\"url\":", url);
        push_field(text, ",\"http_version\":", http_version);
        push(text, ",\"headers\":[");
        push_request_headers(text, traffic, api, headers);
        push(text, "],\"user_info\":[");
        let usernames = PerKind {
            username: true,
            ..PerKind::default()
        };
        visit_identifiers(api, headers, usernames, &mut |identifier| {
            if let IdentifierRef::Username(name) = identifier {
                push_pair(text, b"username", name);
            }
        });
        push(text, "]");
        Self {
            text: text.as_slice().into(),
            started: seen.now,
            correlation_id: seen.correlation_id,
            http_version: match traffic.format {
                TrafficFormat::Batch => Box::default(),
                TrafficFormat::Sideband => http_version.into(),
            },
        }
    }

    /// What the draft takes, in bytes.
    pub fn memory(&self) -> usize {
        self.text.len().saturating_add(OVERHEAD)
    }

    /// The record, now that the response is there. `text` is room to write in.
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
                push_field(text, ",\"response_code\":", status);
                push_field(text, ",\"response_status\":", reason);
                push(text, ",\"response_headers\":[");
                push_response_headers(text, traffic, response);
                let duration = now.saturating_sub(self.started);
                push_number(text, "],\"duration_ms\":", duration.as_millis());
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
                push_field(text, "{\"response_code\":", status);
                push_field(text, ",\"response_status\":", reason);
                push_field(text, ",\"http_version\":", &self.http_version);
                push(text, ",\"headers\":[");
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
    /// What the record takes, in bytes.
    pub fn memory(&self) -> usize {
        self.first
            .len()
            .saturating_add(self.second.len())
            .saturating_add(OVERHEAD)
    }
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
            // Those two are told in part below, whatever the configuration names.
            b"authorization" | b"cookie" => continue,
            _ => name,
        };
        if is_among(&traffic.headers, name)
            || is_among(&api.apikey_header, name)
            || is_of_username(name)
        {
            push_header(text, name, value);
        }
    }
    let reads_jwt = api
        .username
        .iter()
        .any(|source| matches!(source, UsernameSource::JwtClaim(_)));
    if api.oauth2_access_token || reads_jwt {
        // Of joined ones each alone: beside a token may stand a password.
        for value in authorizations(headers) {
            if !value.contains(&b',') && bearer_token(value).is_some() {
                push_header(text, b"authorization", value.trim_ascii());
            }
        }
    }
    match &api.cookie {
        None => {
            for value in headers.values("cookie") {
                push_header(text, b"cookie", value);
            }
        }
        Some(names) => {
            let mut kept = Vec::new();
            for header in headers.values("cookie") {
                visit_cookies(header, &mut |name, value| {
                    if is_among(names, name) {
                        if !kept.is_empty() {
                            kept.extend_from_slice(b"; ");
                        }
                        kept.extend_from_slice(name);
                        kept.push(b'=');
                        kept.extend_from_slice(value);
                    }
                });
            }
            if !kept.is_empty() {
                push_header(text, b"cookie", &kept);
            }
        }
    }
}

fn push_response_headers(text: &mut Vec<u8>, traffic: &Traffic, response: &RequestHeaders) {
    for (name, value) in response.iter() {
        if is_among(&traffic.headers, name) {
            push_header(text, name, value);
        }
    }
}

fn is_among(names: &[String], name: &[u8]) -> bool {
    names.iter().any(|known| known.as_bytes() == name)
}

fn push_header(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if value.len() <= LONGEST_VALUE {
        push_pair(text, name, value);
    }
}

/// One more `{"name":"value"}` of a list.
fn push_pair(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    push(text, if text.ends_with(b"[") { "{" } else { ",{" });
    push_string(text, name);
    push(text, ":");
    push_string(text, value);
    push(text, "}");
}

/// `name` comes with what stands around it.
fn push_field(text: &mut Vec<u8>, name: &str, value: &[u8]) {
    push(text, name);
    push_string(text, value);
}

fn push_number(text: &mut Vec<u8>, name: &str, number: u128) {
    push_display(text, name, u64::try_from(number).unwrap_or(u64::MAX));
}

fn push_display(text: &mut Vec<u8>, name: &str, value: impl fmt::Display) {
    push(text, name);
    // Writing to memory does not fail.
    let _ = write!(text, "{value}");
}

fn push(text: &mut Vec<u8>, json: &str) {
    text.extend_from_slice(json.as_bytes());
}

/// A JSON string (RFC 8259, 7): quotation marks, backslashes and control characters are escaped; what is not UTF-8
/// becomes U+FFFD.
fn push_string(text: &mut Vec<u8>, value: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| *HEX.get(usize::from(nibble)).unwrap_or(&b'0');
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    push(text, "\"");
    // Nearly every value is such, and need not be looked at more closely.
    if value.iter().all(|byte| byte.is_ascii() && is_plain(*byte)) {
        text.extend_from_slice(value);
    } else {
        for chunk in value.utf8_chunks() {
            for byte in chunk.valid().bytes() {
                if is_plain(byte) {
                    text.push(byte);
                } else if byte < b' ' {
                    text.extend_from_slice(b"\\u00");
                    text.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xF)]);
                } else {
                    text.extend_from_slice(&[b'\\', byte]);
                }
            }
            if !chunk.invalid().is_empty() {
                push(text, "\u{fffd}");
            }
        }
    }
    push(text, "\"");
}

fn split_port(source_address: &[u8]) -> (&[u8], &str) {
    let Some(colon) = source_address.iter().rposition(|byte| *byte == b':') else {
        return (source_address, "");
    };
    let (address, port) = source_address.split_at(colon);
    let port = port.get(1..).unwrap_or_default();
    let is_number = !port.is_empty() && port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    if !is_number || port.len() > 1 && port.starts_with(b"0") {
        return (source_address, "");
    }
    let inner = address
        .strip_prefix(b"[")
        .and_then(|inner| inner.strip_suffix(b"]"));
    (
        inner.unwrap_or(address),
        core::str::from_utf8(port).unwrap_or_default(),
    )
}

/// The reason phrase of a status (RFC 9110, 15), which HTTP/2 does not carry.
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
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::identifier::IdentifierKind;
    use crate::judge::{Kind, Reason, Source};
    use serde_json::{Value, json};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn config(traffic: &str) -> Config {
        let json =
            format!(r#"{{"abs": {{"cluster": "abs"}}, "enable_abs": true, "traffic": {traffic}}}"#);
        Config::parse(json.as_bytes(), &|_| None).unwrap()
    }

    fn headers(pairs: &[(&str, &[u8])]) -> RequestHeaders {
        let mut headers = RequestHeaders::default();
        for (name, value) in pairs {
            headers.add(name.as_bytes(), value);
        }
        headers
    }

    fn record(traffic: &Traffic, api: &Api, request: &[(&str, &[u8])], verdict: Verdict) -> Record {
        let seen = Seen {
            source_address: b"192.0.2.1:52000",
            protocol: b"HTTP/1.1",
            correlation_id: CorrelationId {
                vm: 10,
                request: 255,
            },
            verdict,
            now: Duration::from_millis(1_000),
        };
        let mut room = b"left over".to_vec();
        let draft = Draft::new(traffic, api, &headers(request), seen, &mut room);
        let response = headers(&[
            (":status", b"401"),
            ("content-type", b"text/plain"),
            ("set-cookie", b"S=secret"),
        ]);
        draft.finish(traffic, &response, Duration::from_millis(1_042), &mut room)
    }

    fn line(api: &Api, request: &[(&str, &[u8])], verdict: Verdict) -> Value {
        let record = record(&config("{}").traffic, api, request, verdict);
        assert!(record.first.ends_with(b"\n") && record.second.is_empty());
        serde_json::from_slice(&record.first).unwrap()
    }

    #[test]
    fn a_record_tells_what_abs_needs_and_nothing_else() {
        let line = line(
            &Api::default(),
            &[
                (":method", b"GET"),
                (":path", b"/cart?api_key=k1"),
                (":authority", b"shop.example"),
                ("user-agent", b"curl/8"),
                ("cookie", b"S=1; T=2"),
                ("authorization", b"Bearer t1"),
                ("x-api-key", b"k2"),
                ("x-internal", b"stays home"),
            ],
            Verdict::Deny(Reason {
                source: Source::Abs,
                kind: Kind::Listed(IdentifierKind::Ip),
            }),
        );
        let expected = json!({
            "correlation_id": "000000000000000a-ff", "source_ip": "192.0.2.1", "source_port": 52000, "method": "GET",
            "url": "/cart?api_key=k1", "http_version": "1.1",
            "headers": [{"host": "shop.example"}, {"user-agent": "curl/8"}, {"x-api-key": "k2"},
                {"authorization": "Bearer t1"}, {"cookie": "S=1; T=2"}],
            "user_info": [], "response_code": "401", "response_status": "Unauthorized",
            "response_headers": [{"content-type": "text/plain"}], "api_id": "*/", "time": 1000, "duration_ms": 42,
            "verdict": "denied abs ip", "blocked": true
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_password_stays_home_and_its_user_is_named() {
        // bob:hunter2
        let line = line(
            &Api::default(),
            &[("authorization", b"Basic Ym9iOmh1bnRlcjI=")],
            Verdict::Allow,
        );
        assert_eq!(line["user_info"], json!([{"username": "bob"}]));
        assert_eq!(line["headers"], json!([]));
        assert_eq!(
            (&line["verdict"], &line["blocked"]),
            (&json!("allowed"), &json!(false))
        );
    }

    #[test]
    fn of_credentials_that_envoy_joined_the_password_stays_home_too() {
        for joined in [
            b"Bearer t1,Basic Ym9iOmh1bnRlcjI=",
            b"Basic Ym9iOmh1bnRlcjI=,Bearer t1",
        ] {
            let line = line(
                &Api::default(),
                &[("authorization", joined)],
                Verdict::Allow,
            );
            assert_eq!(line["user_info"][0], json!({"username": "bob"}));
            assert_eq!(line["headers"], json!([{"authorization": "Bearer t1"}]));
        }
    }

    #[test]
    fn only_the_cookies_that_the_api_names_leave() {
        let api = Api {
            cookie: Some(vec!["S".into()]),
            ..Api::default()
        };
        let with = line(
            &api,
            &[("cookie", b"a=1; S=\"2\""), ("cookie", b"S=3")],
            Verdict::Allow,
        );
        assert_eq!(with["headers"][0], json!({"cookie": "S=2; S=3"}));
        let without = line(&api, &[("cookie", b"a=1")], Verdict::Allow);
        assert_eq!(without["headers"], json!([]));
        let none = Api {
            oauth2_access_token: false,
            username: vec![],
            ..Api::default()
        };
        let none = line(&none, &[("authorization", b"Bearer t")], Verdict::Allow);
        assert_eq!(none["headers"], json!([]));
    }

    #[test]
    fn hostile_bytes_make_json_all_the_same() {
        let long = vec![b'x'; 64 * 1024];
        let exact = vec![b'y'; LONGEST_VALUE];
        let line = line(
            &Api::default(),
            &[
                (":path", &long),
                (":method", b"\"\\\x01\n"),
                ("user-agent", b"\xff\xfe caf\xc3\xa9"),
                ("referer", &long),
                ("accept", &exact),
            ],
            Verdict::Allow,
        );
        assert_eq!(line["method"], json!("\"\\\u{1}\n"));
        assert_eq!(line["url"].as_str().unwrap().len(), LONGEST_URL);
        assert_eq!(
            line["headers"][0]["user-agent"],
            json!("\u{fffd}\u{fffd} caf\u{e9}")
        );
        assert_eq!(
            line["headers"][1]["accept"].as_str().unwrap().len(),
            LONGEST_VALUE
        );
        assert_eq!(line["headers"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn addresses_of_every_kind_are_split() {
        let table: &[(&[u8], &[u8], &str)] = &[
            (b"192.0.2.1:80", b"192.0.2.1", "80"),
            (b"[2001:db8::1]:443", b"2001:db8::1", "443"),
            (b"/run/envoy.sock", b"/run/envoy.sock", ""),
            (b"", b"", ""),
            (b":", b":", ""),
            (b"x:99999999", b"x:99999999", ""),
        ];
        for (address, ip, port) in table {
            assert_eq!(split_port(address), (*ip, *port));
        }
    }

    #[test]
    fn the_sideband_interface_gets_a_body_for_each_half() {
        let config = config(r#"{"format": "sideband"}"#);
        let pairs: &[(&str, &[u8])] = &[(":method", b"GET"), (":path", b"/cart")];
        let record = record(&config.traffic, &Api::default(), pairs, Verdict::Allow);
        let request: Value = serde_json::from_slice(&record.first).unwrap();
        assert_eq!(
            request,
            json!({
                "source_ip": "192.0.2.1", "source_port": 52000, "method": "GET", "url": "/cart", "http_version": "1.1",
                "headers": [], "user_info": []
            })
        );
        let response: Value = serde_json::from_slice(&record.second).unwrap();
        assert_eq!(
            response,
            json!({
                "response_code": "401", "response_status": "Unauthorized", "http_version": "1.1",
                "headers": [{"content-type": "text/plain"}]
            })
        );
    }
}
