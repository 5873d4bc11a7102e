//! A request and its response as a record for ABS: what of them leaves, and as which bytes.
//!
//! Pure. Bodies never leave, and of the headers only those that the configuration names, and those that carry the API's
//! identifiers, since ABS must see them to list them. A password never leaves: of HTTP Basic authentication only the
//! user's name is told.

use core::fmt;
use core::time::Duration;
use std::io::Write;

use super::identifiers::{
    LONGEST_VALUE, jwt_header, url, visit_client_ids, visit_cookie_headers, visit_tokens,
    visit_usernames,
};
use crate::config::{Api, Traffic, TrafficFormat, UsernameSource};
use crate::judge::Verdict;
use crate::request::RequestHeaders;

/// What the tokens of one request may take in its record, and its user names and clients as well: many short ones take
/// more there than in the request.
const MOST_IDENTIFIERS: usize = 64 * 1024;

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
pub struct PendingRecord {
    /// A batch: the record's line but for the response's part. Sideband: the whole request.
    text: Box<[u8]>,
    started: Duration,
    correlation_id: CorrelationId,
    /// Sideband alone: the response names it too.
    http_version: Box<[u8]>,
}

/// What is known of a request besides its headers.
#[derive(Clone, Copy, Debug)]
pub struct RequestMeta<'a> {
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

impl fmt::Debug for PendingRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingRecord({} bytes, redacted)", self.text.len())
    }
}

impl PendingRecord {
    /// The request's part. `text` is room to write in, kept by the caller to be used again.
    pub fn new(
        traffic: &Traffic,
        api: &Api,
        headers: &RequestHeaders,
        seen: RequestMeta<'_>,
        text: &mut Vec<u8>,
    ) -> Self {
        text.clear();
        let (source_ip, source_port) = split_port(seen.source_address);
        let protocol = seen.protocol;
        let http_version = protocol.strip_prefix(b"HTTP/").unwrap_or(protocol);
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
        push_field(text, ",\"url\":", &url(api, headers));
        push_field(text, ",\"http_version\":", http_version);
        push(text, ",\"headers\":[");
        push_request_headers(text, traffic, api, headers);
        push(text, "],\"user_info\":[");
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

/// One more identifier of those that began at `start`, as long as there are not too many.
fn push_identifier(text: &mut Vec<u8>, start: usize, name: &[u8], value: &[u8]) {
    if text.len().saturating_sub(start) <= MOST_IDENTIFIERS {
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
/// becomes U+FFFD. Line ends of Unicode are escaped too: a record is one line for every reader.
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
            for character in chunk.valid().chars() {
                match character {
                    '"' => push(text, "\\\""),
                    '\\' => push(text, "\\\\"),
                    '\u{85}' => push(text, "\\u0085"),
                    '\u{2028}' => push(text, "\\u2028"),
                    '\u{2029}' => push(text, "\\u2029"),
                    '\0'..='\u{1f}' => {
                        let byte = u8::try_from(character).unwrap_or_default();
                        push(text, "\\u00");
                        text.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xF)]);
                    }
                    _ => push(text, character.encode_utf8(&mut [0; 4])),
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
    use crate::config::{Config, Jwt, JwtLocation};
    use crate::identifier::IdentifierKind;
    use crate::judge::verdict::{DenyKind, DenyReason, ListOrigin};
    use crate::traffic::identifiers::LONGEST_URL;
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
        let seen = RequestMeta {
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
        let draft = PendingRecord::new(traffic, api, &headers(request), seen, &mut room);
        let response = headers(&[
            (":status", b"401"),
            ("content-type", b"text/plain"),
            ("set-cookie", b"S=secret"),
        ]);
        draft.finish(traffic, &response, Duration::from_millis(1_042), &mut room)
    }

    fn line(api: &Api, request: &[(&str, &[u8])], verdict: Verdict) -> Value {
        let record = record(
            &config(r#"{"format": "batch"}"#).traffic,
            api,
            request,
            verdict,
        );
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
            Verdict::Deny(DenyReason {
                origin: ListOrigin::Abs,
                kind: DenyKind::Listed(IdentifierKind::Ip),
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

    /// The values of all headers of this name in a record, and the identifiers in `user_info`.
    fn reported(line: &Value, list: &str, name: &str) -> Vec<String> {
        let entries = line[list].as_array().unwrap().iter();
        let values = entries.filter_map(|entry| entry[name].as_str());
        values.map(str::to_owned).collect()
    }

    #[test]
    fn a_cookie_is_reported_whatever_is_beside_it() {
        let junk = "x".repeat(8 * 1024);
        let beside = format!("a={junk}; SID=mallory; b=1");
        let many: Vec<_> = (0..900).map(|n| format!("c{n}=0123456789")).collect();
        let many = format!("{}; SID=mallory", many.join("; "));
        for header in [beside, many] {
            let line = line(
                &Api::default(),
                &[("cookie", header.as_bytes())],
                Verdict::Allow,
            );
            let headers = reported(&line, "headers", "cookie");
            let pairs: Vec<_> = headers.iter().flat_map(|value| value.split("; ")).collect();
            assert!(pairs.contains(&"SID=mallory"), "{headers:?}");
            assert!(headers.iter().all(|value| value.len() <= LONGEST_VALUE));
            // One that was cut would be another.
            assert!(!pairs.iter().any(|pair| pair.starts_with("a=")));
        }
    }

    #[test]
    fn an_api_key_in_a_query_is_reported_whatever_is_beside_it() {
        let junk = "x".repeat(9 * 1024);
        for path in [
            format!("/shop?junk={junk}&api_key=k%201&more=1"),
            format!("/{junk}?api_key=k+1"),
        ] {
            let line = line(
                &Api::default(),
                &[(":path", path.as_bytes())],
                Verdict::Allow,
            );
            let url = line["url"].as_str().unwrap();
            assert!(url.ends_with("?api_key=k%201"), "{url}");
            assert!(url.len() <= LONGEST_URL + 20);
        }
        let path = format!("/{junk}");
        let line = line(
            &Api::default(),
            &[(":path", path.as_bytes())],
            Verdict::Allow,
        );
        assert_eq!(line["url"].as_str().unwrap().len(), LONGEST_URL);
    }

    #[test]
    fn a_token_is_reported_whatever_is_beside_it() {
        let junk = "x".repeat(8 * 1024);
        for value in [
            format!("Bearer t1 {junk}x"),
            format!("Bearer {junk}x t1"),
            format!("Bearer {junk}x,bearer\tt1"),
            format!("Basic Ym9iOmh1bnRlcjI= {junk}, Bearer  t1 "),
        ] {
            let line = line(
                &Api::default(),
                &[("authorization", value.as_bytes())],
                Verdict::Allow,
            );
            assert_eq!(
                reported(&line, "headers", "authorization"),
                ["Bearer t1"],
                "{}",
                &value[..40]
            );
        }
    }

    #[test]
    fn tokens_and_sessions_outside_their_headers_are_reported_too() {
        let api = Api {
            cookie: Some(vec!["SID".into()]),
            oauth2_cookie: vec!["at".into()],
            path_parameters: vec!["jsessionid".into()],
            jwt: Some(Jwt {
                location: JwtLocation::Header("x-jwt".into()),
                username: Some("name".into()),
                client_id: Some("azp".into()),
            }),
            ..Api::default()
        };
        // {"name":"bob","azp":"app-1"}
        let token = b"e30.eyJuYW1lIjoiYm9iIiwiYXpwIjoiYXBwLTEifQ.c2ln";
        let junk = "x".repeat(9 * 1024);
        let path = format!("/{junk};JSESSIONID=s1/a?junk={junk}&access_token=t1");
        let line = line(
            &api,
            &[
                (":path", path.as_bytes()),
                ("x-jwt", token),
                ("cookie", b"SID=1; at=t2; other=3"),
            ],
            Verdict::Allow,
        );
        let token = core::str::from_utf8(token).unwrap();
        assert_eq!(
            line["headers"],
            json!([{"x-jwt": token}, {"cookie": "SID=1; at=t2"}])
        );
        assert_eq!(
            line["user_info"],
            json!([{"username": "bob"}, {"client_id": "app-1"}])
        );
        let url = line["url"].as_str().unwrap();
        assert!(url.ends_with(";JSESSIONID=s1?access_token=t1"), "{url}");
    }

    #[test]
    fn many_tokens_take_no_more_than_their_bound() {
        let value = format!("Bearer {}", "t ".repeat(30_000));
        let pairs: &[(&str, &[u8])] = &[("authorization", value.as_bytes())];
        let traffic = config(r#"{"format": "batch"}"#).traffic;
        let record = record(&traffic, &Api::default(), pairs, Verdict::Allow);
        let length = record.first.len();
        assert!(
            (MOST_IDENTIFIERS..MOST_IDENTIFIERS + 1_000).contains(&length),
            "{length}"
        );
    }

    #[test]
    fn no_bit_of_a_password_leaves() {
        // user, without a password; bob:hunter2; and bob:hu, nter2:x in two words.
        for (value, usernames, tokens) in [
            ("Basic dXNlcg,Basic Ym9iOmh1bnRlcjI=", &["bob"][..], &[][..]),
            ("Basic Ym9iOmh1,bnRlcjI6eA==", &["bob"], &[]),
            ("Basic Ym9iOmh1 bnRlcjI6eA==", &["bob"], &[]),
            ("Basic dXNlcg Basic Ym9iOmh1bnRlcjI=", &[], &[]),
            ("Bearer t1 Basic Ym9iOmh1bnRlcjI=", &[], &["Bearer t1"]),
            (
                "Bearer t1, basic Ym9iOmh1bnRlcjI=",
                &["bob"],
                &["Bearer t1"],
            ),
        ] {
            let line = line(
                &Api::default(),
                &[("authorization", value.as_bytes())],
                Verdict::Allow,
            );
            let names = reported(&line, "user_info", "username");
            assert!(
                usernames
                    .iter()
                    .all(|name| names.iter().any(|known| known == name)),
                "{value}: {names:?}"
            );
            // Nothing that mixes the bits of two credentials, and no password.
            assert!(
                names.iter().all(|name| name == "user" || name == "bob"),
                "{value}: {names:?}"
            );
            assert_eq!(
                reported(&line, "headers", "authorization"),
                tokens,
                "{value}"
            );
        }
    }

    #[test]
    fn the_client_of_a_token_is_reported_beside_its_user() {
        // {"sub":"bob","client_id":"app-1"}
        let token = b"Bearer e30.eyJzdWIiOiJib2IiLCJjbGllbnRfaWQiOiJhcHAtMSJ9.c2ln";
        let line = line(&Api::default(), &[("authorization", token)], Verdict::Allow);
        assert_eq!(
            line["user_info"],
            json!([{"username": "bob"}, {"client_id": "app-1"}])
        );
    }

    #[test]
    fn a_record_is_one_line_for_every_reader() {
        let traffic = config(r#"{"format": "batch"}"#).traffic;
        let agent = "a\u{85}b\u{2028}c\u{2029}d\r\ne";
        let pairs: &[(&str, &[u8])] = &[("user-agent", agent.as_bytes())];
        let record = record(&traffic, &Api::default(), pairs, Verdict::Allow);
        let text = core::str::from_utf8(&record.first).unwrap();
        let line_ends = ['\u{85}', '\u{2028}', '\u{2029}', '\r'];
        assert!(
            !text.contains(line_ends) && text.matches('\n').count() == 1,
            "{text}"
        );
        let line: Value = serde_json::from_str(text).unwrap();
        assert_eq!(line["headers"][0]["user-agent"], agent);
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
