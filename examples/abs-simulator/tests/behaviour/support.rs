//! Starts the programs; a client that shows raw responses.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const SIMULATOR: &str = env!("CARGO_BIN_EXE_abs-simulator");
pub const SAMPLE_API: &str = env!("CARGO_BIN_EXE_sample-api");

/// How long a step may take before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub const CREDENTIALS: [(&str, &str); 2] = [("x-abs-ak", "abs_ak"), ("x-abs-sk", "abs_sk")];

pub const LAPI_KEY: [(&str, &str); 1] = [("x-api-key", "lapi_key")];
pub const STREAM: &str = "/v1/decisions/stream";

/// A window with all entries of a test, except those with dates.
pub const ACTIVE: &str =
    "/v4/abs/attacklist?earlier_date=2020-01-01T00:00&later_date=2099-12-31T23:59&status=active";
pub const EXPIRED: &str =
    "/v4/abs/attacklist?earlier_date=2020-01-01T00:00&later_date=2099-12-31T23:59&status=expired";
pub const BOTH: &str =
    "/v4/abs/attacklist?earlier_date=2020-01-01T00:00&later_date=2099-12-31T23:59";

/// One of the programs, running until dropped.
pub struct Server {
    pub child: Child,
    /// Its first line of output.
    pub first_line: String,
    /// `127.0.0.1:port`.
    pub address: String,
    /// The address of ASE's sideband; empty for the sample API.
    pub sideband: String,
}

impl Server {
    pub fn simulator(flags: &[&str]) -> Self {
        Self::start(SIMULATOR, flags)
    }

    pub fn start(program: &str, flags: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut next_line = || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let address = line
                .trim()
                .rsplit_once("//")
                .unwrap_or_else(|| panic!("{program} printed {line:?}"))
                .1
                .to_owned();
            (line, address)
        };
        let (first_line, address) = next_line();
        let sideband = if program == SIMULATOR {
            next_line().1
        } else {
            String::new()
        };
        Self {
            child,
            first_line,
            address,
            sideband,
        }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Sends one request on a new connection and reads until it closes.
    pub fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Response {
        self.request_on(self.connect(), method, target, headers, body.as_ref())
    }

    /// A call to ASE's sideband.
    pub fn sideband_call(
        &self,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Response {
        let stream = TcpStream::connect(&self.sideband).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        self.request_on(stream, "POST", target, headers, body.as_ref())
    }

    fn request_on(
        &self,
        mut stream: TcpStream,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        stream
            .write_all(&request_bytes(method, target, headers, body))
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let response = Response::parse(&bytes);
        if method != "HEAD"
            && let Some(length) = response.header("content-length")
        {
            assert_eq!(length, response.body.len().to_string(), "the body is cut");
        }
        response
    }

    /// Requests the attack list with the right credentials.
    pub fn attack_list(&self, target: &str) -> Response {
        self.request("GET", target, &CREDENTIALS, "")
    }

    /// The active list's JSON.
    pub fn active(&self) -> Value {
        let response = self.attack_list(ACTIVE);
        assert_eq!(response.status, 200);
        response.json()
    }

    /// Requests decisions with the right key, with further parameters.
    pub fn stream(&self, query: &str) -> Response {
        let target = format!("{STREAM}?{query}");
        self.request("GET", &target, &LAPI_KEY, "")
    }

    /// A request to `/admin` that must succeed.
    pub fn admin(&self, method: &str, target: &str, body: &str) -> Response {
        let response = self.request(method, target, &[], body);
        assert!(
            (200..300).contains(&response.status),
            "{method} {target}: {response:?}"
        );
        response
    }

    pub fn list(&self, body: &str) {
        self.admin("POST", "/admin/list", body);
    }

    pub fn fault(&self, body: &str) {
        self.admin("POST", "/admin/fault", body);
    }

    pub fn counter(&self, name: &str) -> u64 {
        self.admin("GET", "/admin/counters", "").json()[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no counter {name}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A raw response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no end of headers in {:?}", String::from_utf8_lossy(bytes)));
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap();
        let mut response = Self {
            status: status_line.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: lines
                .map(|line| line.split_once(": ").unwrap())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: bytes[end + 4..].to_vec(),
        };
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = dechunked(&response.body);
        }
        response
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The text under `error`.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..][..size]);
        rest = &rest[end + 2 + size + 2..];
    }
}

pub fn request_bytes(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nhost: abs\r\nconnection: close\r\n");
    for (name, value) in headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    bytes.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub fn with<'a>(
    headers: &[(&'a str, &'a str)],
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    [headers, more].concat()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

/// Waits until `condition` is true; fails with `what` after the deadline.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
