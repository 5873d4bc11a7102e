//! Traffic information for ABS: a request and its response become a record, records wait in a bounded queue, and go out
//! one call at a time.
//!
//! Pure: [`Sender`] says what to send and takes how it went; the calls are made elsewhere. Bodies never leave, and of the
//! headers only those that the configuration names, and those that carry the API's identifiers, since ABS must see
//! them to list them. A password never leaves: of HTTP Basic authentication only the user's name is told.
//!
//! The books always balance: records made = sent + dropped + failed + still here.

use core::time::Duration;
use std::collections::VecDeque;

use crate::config::{Api, Traffic, TrafficFormat, UsernameSource};
use crate::identifier::PerKind;
use crate::refresh::FIRST_BACKOFF;
use crate::request::{
    IdentifierRef, RequestHeaders, bearer_token, visit_cookies, visit_identifiers,
};

/// A longer header value is left out: a token that was cut would be another token.
pub const LONGEST_VALUE: usize = 8 * 1024;

/// A longer URL is cut to this many bytes.
pub const LONGEST_URL: usize = 8 * 1024;

/// The longest wait between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// What a record takes beside its bytes.
const RECORD_OVERHEAD: usize = 64;

/// A request's part of a record, kept until its response is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    correlation_id: String,
    fields: String,
    started: Duration,
    http_version: String,
    api_id: String,
}

/// What is known of a request besides its headers.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Envoy's `source.address`, with the port.
    pub source_address: &'a [u8],
    /// Envoy's `request.protocol`, such as `HTTP/1.1`.
    pub protocol: &'a [u8],
    /// Ties request and response.
    pub correlation_id: &'a str,
    /// Wall clock.
    pub now: Duration,
}

impl Draft {
    /// The request's part.
    pub fn new(traffic: &Traffic, api: &Api, headers: &RequestHeaders, seen: Seen<'_>) -> Self {
        let (source_ip, source_port) = split_port(seen.source_address);
        let protocol = String::from_utf8_lossy(seen.protocol);
        let http_version = protocol.strip_prefix("HTTP/").unwrap_or(&protocol);
        let path = headers.path();
        let url = path.get(..LONGEST_URL).unwrap_or(path);
        let mut fields = String::with_capacity(512);
        push_field(&mut fields, "source_ip", source_ip);
        fields.push_str(",\"source_port\":");
        fields.push_str(if source_port.is_empty() {
            "0"
        } else {
            source_port
        });
        let method = headers.values(":method").next().unwrap_or_default();
        push_next(&mut fields, "method", method);
        push_next(&mut fields, "url", url);
        push_next(&mut fields, "http_version", http_version.as_bytes());
        fields.push_str(",\"headers\":");
        push_request_headers(&mut fields, traffic, api, headers);
        fields.push_str(",\"user_info\":[");
        let usernames = PerKind {
            username: true,
            ..PerKind::default()
        };
        visit_identifiers(api, headers, usernames, &mut |identifier| {
            if let IdentifierRef::Username(name) = identifier {
                push_pair(&mut fields, "username", name);
            }
        });
        fields.push(']');
        Self {
            correlation_id: seen.correlation_id.to_owned(),
            fields,
            started: seen.now,
            http_version: http_version.to_owned(),
            api_id: api.api_id.clone(),
        }
    }

    /// What the draft takes, in bytes.
    pub fn memory(&self) -> usize {
        self.fields.len().saturating_add(RECORD_OVERHEAD)
    }

    /// The record, now that the response is there. `verdict`: as in the filter state; `None` for a request that passed.
    pub fn finish(
        self,
        traffic: &Traffic,
        response: &RequestHeaders,
        verdict: Option<&str>,
        now: Duration,
    ) -> Record {
        let status = response.values(":status").next().unwrap_or_default();
        let mut answer = String::with_capacity(256);
        push_field(&mut answer, "response_code", status);
        push_next(
            &mut answer,
            "response_status",
            reason_phrase(status).as_bytes(),
        );
        let headers = |text: &mut String| {
            text.push('[');
            for name in &traffic.headers {
                push_values(text, name, response.values(name));
            }
            text.push(']');
        };
        let (first, second) = match traffic.format {
            TrafficFormat::Batch => {
                let mut line = String::from("{");
                push_field(&mut line, "correlation_id", self.correlation_id.as_bytes());
                line.push(',');
                line.push_str(&self.fields);
                line.push(',');
                line.push_str(&answer);
                line.push_str(",\"response_headers\":");
                headers(&mut line);
                push_next(&mut line, "api_id", self.api_id.as_bytes());
                push_millis(&mut line, "time", self.started);
                let duration = now.saturating_sub(self.started);
                push_millis(&mut line, "duration_ms", duration);
                push_next(
                    &mut line,
                    "verdict",
                    verdict.unwrap_or("allowed").as_bytes(),
                );
                let blocked = verdict.is_some_and(|verdict| verdict.starts_with("denied"));
                line.push_str(if blocked {
                    ",\"blocked\":true}\n"
                } else {
                    ",\"blocked\":false}\n"
                });
                (line, String::new())
            }
            TrafficFormat::Sideband => {
                push_next(&mut answer, "http_version", self.http_version.as_bytes());
                answer.push_str(",\"headers\":");
                headers(&mut answer);
                (
                    ["{", &self.fields, "}"].concat(),
                    ["{", &answer, "}"].concat(),
                )
            }
        };
        Record {
            correlation_id: self.correlation_id,
            first,
            second,
        }
    }
}

fn push_request_headers(text: &mut String, traffic: &Traffic, api: &Api, headers: &RequestHeaders) {
    text.push('[');
    let mut pushed: Vec<&str> = Vec::new();
    let of_api = api
        .apikey_header
        .iter()
        .chain(api.username.iter().filter_map(|source| match source {
            UsernameSource::Header(name) => Some(name),
            UsernameSource::BasicAuth | UsernameSource::JwtClaim(_) => None,
        }));
    for name in traffic.headers.iter().chain(of_api).map(String::as_str) {
        // Those two are told in part below, whatever the configuration names.
        if pushed.contains(&name) || name == "authorization" || name == "cookie" {
            continue;
        }
        pushed.push(name);
        if name == "host" {
            push_values(text, name, Some(headers.authority()).into_iter());
        } else {
            push_values(text, name, headers.values(name));
        }
    }
    let reads_jwt = api
        .username
        .iter()
        .any(|source| matches!(source, UsernameSource::JwtClaim(_)));
    if api.oauth2_access_token || reads_jwt {
        let bearers = headers.values("authorization");
        push_values(
            text,
            "authorization",
            bearers.filter(|value| bearer_token(value).is_some()),
        );
    }
    match &api.cookie {
        None => push_values(text, "cookie", headers.values("cookie")),
        Some(names) => {
            let mut kept = Vec::new();
            for header in headers.values("cookie") {
                visit_cookies(header, &mut |name, value| {
                    if names.iter().any(|known| known.as_bytes() == name) {
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
                push_values(text, "cookie", Some(kept.as_slice()).into_iter());
            }
        }
    }
    text.push(']');
}

fn push_values<'a>(text: &mut String, name: &str, values: impl Iterator<Item = &'a [u8]>) {
    for value in values {
        if value.len() <= LONGEST_VALUE {
            push_pair(text, name, value);
        }
    }
}

/// One more `{"name":"value"}` of a list.
fn push_pair(text: &mut String, name: &str, value: &[u8]) {
    if !text.ends_with('[') {
        text.push(',');
    }
    text.push('{');
    push_string(text, name);
    text.push(':');
    push_string(text, &String::from_utf8_lossy(value));
    text.push('}');
}

fn push_next(text: &mut String, name: &str, value: &[u8]) {
    text.push(',');
    push_field(text, name, value);
}

fn push_field(text: &mut String, name: &str, value: &[u8]) {
    push_string(text, name);
    text.push(':');
    push_string(text, &String::from_utf8_lossy(value));
}

fn push_millis(text: &mut String, name: &str, duration: Duration) {
    text.push(',');
    push_string(text, name);
    text.push(':');
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    text.push_str(&millis.to_string());
}

/// A JSON string (RFC 8259, 7): quotation marks, backslashes and control characters are escaped.
fn push_string(text: &mut String, value: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(*HEX.get(usize::from(nibble)).unwrap_or(&b'0'));
    text.push('"');
    let mut rest = value;
    let is_special = |c: char| c < ' ' || c == '"' || c == '\\';
    while let Some((plain, special)) = rest
        .find(is_special)
        .and_then(|at| rest.split_at_checked(at))
    {
        text.push_str(plain);
        // What was found is one byte long.
        let byte = special.bytes().next().unwrap_or(b' ');
        text.push('\\');
        if byte < b' ' {
            text.push_str("u00");
            text.push(digit(byte >> 4));
            text.push(digit(byte & 0xF));
        } else {
            text.push(char::from(byte));
        }
        rest = special.get(1..).unwrap_or_default();
    }
    text.push_str(rest);
    text.push('"');
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

/// One request and its response, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    correlation_id: String,
    /// Batch: the line. Sideband: the body of `/ase/request`.
    first: String,
    /// Sideband: the body of `/ase/response`.
    second: String,
}

impl core::fmt::Debug for Record {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The content holds tokens and cookies.
        f.debug_struct("Record")
            .field("correlation_id", &self.correlation_id)
            .field("bytes", &self.memory())
            .finish()
    }
}

impl Record {
    fn memory(&self) -> usize {
        self.first
            .len()
            .saturating_add(self.second.len())
            .saturating_add(RECORD_OVERHEAD)
    }
}

/// What is to be sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipment {
    /// `None` for a batch; for the sideband interface, the record's id and whether its response is told.
    pub sideband: Option<(String, bool)>,
    /// The body, before compression.
    pub body: Vec<u8>,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// ABS answered with this status, and may have said when to come back.
    Status(u16, Option<Duration>),
    /// No answer: no connection, a reset, the call was lost.
    None,
}

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// ABS took them.
    pub sent: u64,
    /// ABS refused them for what they are.
    pub failed: u64,
    /// They did not fit the queue.
    pub dropped: u64,
    /// Sending began to fail, for this reason.
    pub began_to_fail: Option<Answer>,
    /// Sending works again.
    pub recovered: bool,
}

/// The records of one VM for one destination, and the state of sending them.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    waiting: VecDeque<Record>,
    in_flight: Vec<Record>,
    /// Of both, in bytes.
    memory: usize,
    /// Of those that wait, in bytes of a batch's body.
    body_bytes: usize,
    /// When the oldest that waits came, on the monotonic clock.
    waiting_since: Duration,
    /// Sideband: the request was told, the response is next.
    told_request: bool,
    failures: u32,
    not_before: Duration,
    /// After a 413, batches are kept to this size.
    fits: Option<usize>,
}

impl Sender {
    /// How many records are here.
    pub fn queued(&self) -> usize {
        self.waiting.len().saturating_add(self.in_flight.len())
    }

    /// What they take, in bytes.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Whether a call is in flight.
    pub fn is_busy(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Takes a record; where the queue is full the oldest go.
    pub fn push(&mut self, record: Record, traffic: &Traffic, now: Duration) -> Account {
        if self.waiting.is_empty() {
            self.waiting_since = now;
        }
        self.memory = self.memory.saturating_add(record.memory());
        self.body_bytes = self.body_bytes.saturating_add(record.first.len());
        self.waiting.push_back(record);
        let dropped = self.make_fit(traffic);
        Account {
            dropped,
            ..Account::default()
        }
    }

    /// What to send now, if anything is due. It counts as in flight until [`Sender::answered`].
    pub fn next(&mut self, traffic: &Traffic, now: Duration) -> Option<Shipment> {
        if self.is_busy() || self.waiting.is_empty() || now < self.not_before {
            return None;
        }
        if traffic.format == TrafficFormat::Sideband {
            return self.next_of_sideband();
        }
        let batch_bytes = to_usize(traffic.batch_bytes);
        let limit = self.fits.unwrap_or(batch_bytes).min(batch_bytes);
        let full = self.body_bytes >= limit;
        let old = now.saturating_sub(self.waiting_since) >= traffic.flush_interval;
        if !full && !old {
            return None;
        }
        let mut body = Vec::with_capacity(limit.min(self.body_bytes));
        while let Some(record) = self.waiting.front() {
            let length = body.len().saturating_add(record.first.len());
            if length > limit && !body.is_empty() {
                break;
            }
            body.extend_from_slice(record.first.as_bytes());
            self.take_front();
        }
        self.waiting_since = now;
        Some(Shipment {
            sideband: None,
            body,
        })
    }

    fn next_of_sideband(&mut self) -> Option<Shipment> {
        let told = self.told_request;
        let record = self.waiting.front()?;
        let body = if told { &record.second } else { &record.first };
        let shipment = Shipment {
            sideband: Some((record.correlation_id.clone(), told)),
            body: body.clone().into_bytes(),
        };
        self.take_front();
        Some(shipment)
    }

    fn take_front(&mut self) {
        if let Some(record) = self.waiting.pop_front() {
            self.body_bytes = self.body_bytes.saturating_sub(record.first.len());
            self.in_flight.push(record);
        }
    }

    /// The call in flight ended.
    pub fn answered(&mut self, answer: Answer, traffic: &Traffic, now: Duration) -> Account {
        let sideband = traffic.format == TrafficFormat::Sideband;
        match answer {
            // The sideband interface answers 403 for a client on its list: the record was taken all the same.
            Answer::Status(200..=299, _) => self.taken(sideband),
            Answer::Status(403, _) if sideband => self.taken(sideband),
            Answer::Status(413, _) if self.in_flight.len() > 1 => {
                let bytes = self.in_flight.iter().map(|record| record.first.len());
                let bytes = bytes.fold(0, usize::saturating_add);
                self.fits = Some(bytes.checked_div(2).unwrap_or(0).max(1));
                self.put_back();
                Account::default()
            }
            // They will never be taken.
            Answer::Status(400 | 413 | 415 | 422, _) => {
                let failed = self.discard();
                let account = self.failing(answer);
                Account { failed, ..account }
            }
            Answer::Status(_, retry_after) => self.try_later(answer, retry_after, traffic, now),
            Answer::None => self.try_later(answer, None, traffic, now),
        }
    }

    /// Sending is switched off: what is here is dropped.
    pub fn clear(&mut self) -> Account {
        let dropped = u64::try_from(self.queued()).unwrap_or(u64::MAX);
        *self = Self::default();
        Account {
            dropped,
            ..Account::default()
        }
    }

    fn taken(&mut self, sideband: bool) -> Account {
        let recovered = core::mem::take(&mut self.failures) > 0;
        self.not_before = Duration::ZERO;
        if sideband && !self.told_request {
            self.put_back();
            self.told_request = true;
            return Account {
                recovered,
                ..Account::default()
            };
        }
        Account {
            sent: self.discard(),
            recovered,
            ..Account::default()
        }
    }

    fn failing(&mut self, answer: Answer) -> Account {
        let first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        Account {
            began_to_fail: first.then_some(answer),
            ..Account::default()
        }
    }

    fn try_later(
        &mut self,
        answer: Answer,
        retry_after: Option<Duration>,
        traffic: &Traffic,
        now: Duration,
    ) -> Account {
        let account = self.failing(answer);
        self.put_back();
        self.told_request = false;
        let doublings = self.failures.saturating_sub(1);
        let wait = FIRST_BACKOFF
            .saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .min(LONGEST_BACKOFF);
        let wait = retry_after.map_or(wait, |wanted| {
            wanted.min(crate::refresh::LONGEST_RETRY_AFTER).max(wait)
        });
        self.not_before = now.saturating_add(wait);
        let dropped = self.make_fit(traffic);
        Account { dropped, ..account }
    }

    fn put_back(&mut self) {
        while let Some(record) = self.in_flight.pop() {
            self.body_bytes = self.body_bytes.saturating_add(record.first.len());
            self.waiting.push_front(record);
        }
        // They have waited long enough.
        self.waiting_since = Duration::ZERO;
    }

    fn discard(&mut self) -> u64 {
        self.told_request = false;
        let mut n = 0u64;
        for record in self.in_flight.drain(..) {
            self.memory = self.memory.saturating_sub(record.memory());
            n = n.saturating_add(1);
        }
        n
    }

    fn make_fit(&mut self, traffic: &Traffic) -> u64 {
        let limit = to_usize(traffic.queue_memory);
        let mut dropped = 0u64;
        while self.memory > limit {
            let Some(record) = self.waiting.pop_front() else {
                break;
            };
            // Of a record whose request was told but not its response, nothing more is told.
            self.told_request = self.told_request && self.is_busy();
            self.memory = self.memory.saturating_sub(record.memory());
            self.body_bytes = self.body_bytes.saturating_sub(record.first.len());
            dropped = dropped.saturating_add(1);
        }
        dropped
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use serde_json::{Value, json};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const SECOND: Duration = Duration::from_secs(1);

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

    fn seen() -> Seen<'static> {
        Seen {
            source_address: b"192.0.2.1:52000",
            protocol: b"HTTP/1.1",
            correlation_id: "id-1",
            now: Duration::from_millis(1_000),
        }
    }

    fn line(api: &Api, request: &[(&str, &[u8])], verdict: Option<&str>) -> Value {
        let config = config("{}");
        let draft = Draft::new(&config.traffic, api, &headers(request), seen());
        let response = headers(&[
            (":status", b"401"),
            ("content-type", b"text/plain"),
            ("set-cookie", b"S=secret"),
        ]);
        let record = draft.finish(
            &config.traffic,
            &response,
            verdict,
            Duration::from_millis(1_042),
        );
        assert!(record.first.ends_with('\n'));
        serde_json::from_str(&record.first).unwrap()
    }

    fn record(n: usize) -> Record {
        Record {
            correlation_id: n.to_string(),
            first: format!("{n:099}\n"),
            second: format!("{n:050}"),
        }
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
            Some("denied abs ip"),
        );
        let expected = json!({
            "correlation_id": "id-1", "source_ip": "192.0.2.1", "source_port": 52000, "method": "GET",
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
            None,
        );
        assert_eq!(line["user_info"], json!([{"username": "bob"}]));
        assert_eq!(line["headers"], json!([{"host": ""}]));
        assert_eq!(
            (&line["verdict"], &line["blocked"]),
            (&json!("allowed"), &json!(false))
        );
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
            None,
        );
        assert_eq!(with["headers"][1], json!({"cookie": "S=2; S=3"}));
        let without = line(&api, &[("cookie", b"a=1")], None);
        assert_eq!(without["headers"].as_array().unwrap().len(), 1);
        let none = Api {
            oauth2_access_token: false,
            username: vec![],
            ..Api::default()
        };
        let none = line(&none, &[("authorization", b"Bearer t")], None);
        assert_eq!(none["headers"].as_array().unwrap().len(), 1);
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
            None,
        );
        assert_eq!(line["method"], json!("\"\\\u{1}\n"));
        assert_eq!(line["url"].as_str().unwrap().len(), LONGEST_URL);
        assert_eq!(
            line["headers"][1]["user-agent"],
            json!("\u{fffd}\u{fffd} caf\u{e9}")
        );
        assert_eq!(
            line["headers"][2]["accept"].as_str().unwrap().len(),
            LONGEST_VALUE
        );
        assert_eq!(line["headers"].as_array().unwrap().len(), 3);
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
    fn the_sideband_interface_gets_request_and_response_in_turn() {
        let config = config(r#"{"format": "sideband"}"#);
        let traffic = &config.traffic;
        let draft = Draft::new(
            traffic,
            &Api::default(),
            &headers(&[(":method", b"GET")]),
            seen(),
        );
        let response = headers(&[(":status", b"200")]);
        let record = draft.finish(traffic, &response, None, SECOND);
        let mut sender = Sender::default();
        sender.push(record, traffic, SECOND);
        let first = sender.next(traffic, SECOND).unwrap();
        assert_eq!(first.sideband, Some(("id-1".into(), false)));
        let body: Value = serde_json::from_slice(&first.body).unwrap();
        assert_eq!(body["source_ip"], json!("192.0.2.1"));
        assert_eq!(sender.next(traffic, SECOND), None);
        sender.answered(Answer::Status(403, None), traffic, SECOND);
        let second = sender.next(traffic, SECOND).unwrap();
        assert_eq!(second.sideband, Some(("id-1".into(), true)));
        let body: Value = serde_json::from_slice(&second.body).unwrap();
        assert_eq!(
            body,
            json!({"response_code": "200", "response_status": "OK", "http_version": "1.1", "headers": []})
        );
        let account = sender.answered(Answer::Status(200, None), traffic, SECOND);
        assert_eq!((account.sent, sender.queued(), sender.memory()), (1, 0, 0));
    }

    #[test]
    fn a_batch_goes_when_it_is_full_or_old() {
        let config = config(r#"{"batch_bytes": "1KB", "flush_interval": "2s"}"#);
        let traffic = &config.traffic;
        let mut sender = Sender::default();
        for n in 0..10 {
            sender.push(record(n), traffic, SECOND);
        }
        assert_eq!(sender.next(traffic, 2 * SECOND), None);
        assert_eq!(sender.next(traffic, 3 * SECOND).unwrap().body.len(), 1_000);
        assert!(sender.is_busy());
        for n in 0..25 {
            sender.push(record(n), traffic, 3 * SECOND);
        }
        assert_eq!(sender.next(traffic, 3 * SECOND), None);
        assert_eq!(
            sender
                .answered(Answer::Status(200, None), traffic, 3 * SECOND)
                .sent,
            10
        );
        assert_eq!(sender.next(traffic, 3 * SECOND).unwrap().body.len(), 1_000);
    }

    #[test]
    fn failures_wait_longer_each_time_and_retry_after_is_honoured() {
        let config = config(r#"{"flush_interval": "10ms"}"#);
        let traffic = &config.traffic;
        let mut sender = Sender::default();
        sender.push(record(1), traffic, Duration::ZERO);
        let mut now = SECOND;
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(sender.next(traffic, now).is_some(), "{wait}");
            let account = sender.answered(Answer::Status(500, None), traffic, now);
            assert_eq!(account.began_to_fail.is_some(), wait == 1);
            assert_eq!(
                sender.next(traffic, now + wait * SECOND - Duration::from_millis(1)),
                None
            );
            now += wait * SECOND;
        }
        assert!(sender.next(traffic, now).is_some());
        sender.answered(Answer::Status(429, Some(100 * SECOND)), traffic, now);
        assert_eq!(sender.next(traffic, now + 99 * SECOND), None);
        assert!(sender.next(traffic, now + 100 * SECOND).is_some());
        let account = sender.answered(Answer::Status(200, None), traffic, now + 100 * SECOND);
        assert_eq!((account.sent, account.recovered), (1, true));
    }

    #[test]
    fn too_large_a_batch_is_halved_and_a_lone_record_given_up() {
        let config = config(r#"{"flush_interval": "10ms"}"#);
        let traffic = &config.traffic;
        let mut sender = Sender::default();
        for n in 0..4 {
            sender.push(record(n), traffic, Duration::ZERO);
        }
        let mut sizes = Vec::new();
        let mut failed = 0;
        while let Some(shipment) = sender.next(traffic, SECOND * 10) {
            sizes.push(shipment.body.len());
            failed += sender
                .answered(Answer::Status(413, None), traffic, SECOND)
                .failed;
        }
        assert_eq!(sizes[..3], [400, 200, 100]);
        assert_eq!((failed, sender.queued(), sender.memory()), (4, 0, 0));
    }

    /// Numbers that look random and are the same each time.
    fn numbers() -> impl FnMut(u64) -> u64 {
        let mut state = 7u64;
        move |below| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        }
    }

    #[test]
    fn the_books_balance_whatever_happens() {
        for format in ["batch", "sideband"] {
            let config = config(&format!(
                r#"{{"format": "{format}", "queue_memory": "4KB", "batch_bytes": "1KB", "flush_interval": "1s"}}"#
            ));
            let traffic = &config.traffic;
            let mut sender = Sender::default();
            let mut random = numbers();
            let (mut made, mut gone, mut now) = (0u64, 0u64, Duration::ZERO);
            let mut kinds = [0u64; 3];
            for _ in 0..20_000 {
                now += Duration::from_millis(random(400));
                let account = match random(10) {
                    0..=5 => {
                        made += 1;
                        sender.push(record(made as usize), traffic, now)
                    }
                    6 | 7 => {
                        sender.next(traffic, now);
                        Account::default()
                    }
                    _ if !sender.is_busy() => Account::default(),
                    _ => {
                        let answers = [200, 200, 200, 500, 413, 400, 403, 429];
                        let answer = match answers.get(random(9) as usize) {
                            Some(status) => Answer::Status(*status, None),
                            None => Answer::None,
                        };
                        sender.answered(answer, traffic, now)
                    }
                };
                gone += account.sent + account.dropped + account.failed;
                for (kind, n) in
                    kinds
                        .iter_mut()
                        .zip([account.sent, account.dropped, account.failed])
                {
                    *kind += n;
                }
                assert_eq!(made, gone + sender.queued() as u64);
                // One batch may be in flight beside a full queue of it.
                assert!(
                    sender.memory() <= 4 * 1024 + 2 * 1024,
                    "{}",
                    sender.memory()
                );
            }
            assert!(kinds.iter().all(|n| *n > 10), "{kinds:?}");
            let account = sender.clear();
            assert_eq!(made, gone + account.dropped);
        }
    }
}
