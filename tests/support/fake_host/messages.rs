//! What goes through the fake host: requests, calls and their responses. Plain values, no behaviour.

use core::time::Duration;

use base64::Engine;
use portcullis::host::memory::SentReply;
use portcullis::host::{CallToken, HostError, RootId};

use super::world::VmId;

/// What ABS, or Envoy in its stead, responses to a call.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// With `:status`; none if the call failed.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Empty for none.
    pub body: Vec<u8>,
}

impl Response {
    /// A failed call: no headers, no body.
    pub fn reset() -> Self {
        Self::default()
    }

    /// A complete response.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let response = Self {
            headers: Vec::new(),
            body: body.into(),
        };
        response.header(":status", status.to_string())
    }

    /// Envoy's local reply to a call that timed out.
    pub fn timeout() -> Self {
        Self::new(504, "upstream request timeout").header("content-type", "text/plain")
    }

    /// With another header.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A call that a VM made.
#[derive(Clone, Debug)]
pub struct SentCall {
    /// Unique in the process; the token is unique in one VM only.
    pub id: u64,
    /// The VM that made it.
    pub vm: VmId,
    /// The root context that gets the response.
    pub root: RootId,
    /// The host's number for it.
    pub token: CallToken,
    /// When it was made.
    pub at: Duration,
    /// The Envoy cluster.
    pub cluster: String,
    /// All headers, pseudo-headers too.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Empty for none.
    pub body: Vec<u8>,
    /// The time limit.
    pub timeout: Duration,
}

impl SentCall {
    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let (_, value) = values.next()?;
        Some(core::str::from_utf8(value).expect("headers of calls are text"))
    }

    /// Whether it fetches the list.
    pub fn is_get(&self) -> bool {
        self.header(":method") == Some("GET")
    }
}

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// Its response comes after this time, or Envoy's timeout if that is earlier.
    After(Duration, Response),
    /// Its response comes when the test sends one, or never.
    Hold,
    /// The host refuses it.
    Refuse(HostError),
}

/// A call in flight.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The call.
    pub call: SentCall,
    /// When its response comes; `None`: when the test sends one.
    pub due: Option<(Duration, Response)>,
}

/// A request, as an HTTP context reads it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Envoy's `source.address`.
    pub source_address: String,
    /// All headers, pseudo-headers too.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// A GET request.
    pub fn get(path: &str) -> Self {
        let request = Self {
            source_address: "203.0.113.250:40000".to_owned(),
            headers: Vec::new(),
        };
        request
            .header(":method", "GET")
            .header(":path", path)
            .header(":authority", "api.example.com")
    }

    /// With a source address; IPv6 without brackets.
    pub fn from(mut self, address: &str) -> Self {
        let bracketed = address.contains(':');
        self.source_address = match bracketed {
            true => format!("[{address}]:40000"),
            false => format!("{address}:40000"),
        };
        self
    }

    /// With another header.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With a bearer token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// With a cookie.
    pub fn cookie(self, name: &str, value: &str) -> Self {
        self.header("cookie", format!("{name}={value}"))
    }

    /// With Basic credentials of this user.
    pub fn basic(self, user: &str) -> Self {
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{user}:pw"));
        self.header("authorization", format!("Basic {credentials}"))
    }
}

/// The local reply to a denied request.
pub type Reply = SentReply;
