//! The headers of a list server's response. Decides nothing.

use core::time::Duration;

use super::retry_after::retry_after;
use crate::host::CallResponse;

/// Envoy's default limit on a response (runtime key `http.async_response_buffer_limit`).
pub const ENVOY_RESPONSE_LIMIT: u64 = 32 * 1024 * 1024;

/// A longer location is not reported.
const LONGEST_LOCATION: usize = 512;

/// A longer ETag or Last-Modified is ignored.
const LONGEST_VALIDATOR: usize = 255;

/// The headers of a response that a fetch uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHeaders {
    /// The status; 0 for none.
    pub status: u16,
    /// `content-length`.
    pub content_length: Option<u64>,
    /// The encoding of the body.
    pub coding: Coding,
    /// `location` of a redirect without its query, which can hold a signature; empty for none.
    pub location: String,
    /// What identifies this version of the list.
    pub validators: Validators,
    /// The server's Retry-After.
    pub retry_after: Option<Duration>,
}

impl ResponseHeaders {
    /// Reads them from the current response; `None` if the call failed. `unix_now`: the wall clock, for Retry-After.
    pub fn read(response: &dyn CallResponse, unix_now: Duration) -> Option<Self> {
        let mut headers = Self::default();
        response.visit_call_headers(&mut |name, value| match name {
            b":status" => {
                let status = parse_number(value).and_then(|status| status.try_into().ok());
                headers.status = status.unwrap_or(0);
            }
            b"content-length" => headers.content_length = parse_number(value),
            b"content-encoding" => headers.coding = headers.coding.and(value),
            b"etag" if value.len() <= LONGEST_VALIDATOR => {
                headers.validators.etag = value.to_vec();
            }
            b"last-modified" if value.len() <= LONGEST_VALIDATOR => {
                headers.validators.last_modified = value.to_vec();
            }
            b"location" if value.len() <= LONGEST_LOCATION => {
                let mut parts = value.split(|byte| matches!(byte, b'?' | b'#'));
                let address = parts.next().unwrap_or_default();
                headers.location = String::from_utf8_lossy(address).into_owned();
            }
            b"retry-after" => headers.retry_after = retry_after(value, unix_now),
            _ => {}
        });
        (headers.status != 0).then_some(headers)
    }

    /// The size of the interrupted response, as a HEAD request reports it; `None` if the size was not the reason.
    pub fn too_large(&self) -> Option<u64> {
        self.content_length
            .filter(|length| self.status == 200 && *length > ENVOY_RESPONSE_LIMIT)
    }
}

/// What a server sends to identify a version of a list (RFC 9110, 8.8). Each is empty if the server does not send it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// `etag`.
    pub etag: Vec<u8>,
    /// `last-modified`, as the server wrote it.
    pub last_modified: Vec<u8>,
}

impl Validators {
    /// Whether the server sent none.
    pub fn is_empty(&self) -> bool {
        self.etag.is_empty() && self.last_modified.is_empty()
    }
}

/// The encoding of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// None.
    #[default]
    Identity,
    /// Compressed with gzip.
    Gzip,
    /// An encoding that was not requested.
    Unknown,
}

impl Coding {
    /// Adds the encodings of one more Content-Encoding header, a list with possibly empty elements (RFC 9110, 5.6.1).
    fn and(self, value: &[u8]) -> Self {
        let is = |coding: &[u8], names: &[&str]| {
            names
                .iter()
                .any(|name| coding.eq_ignore_ascii_case(name.as_bytes()))
        };
        let mut all = self;
        for coding in value.split(|byte| *byte == b',') {
            let coding = coding.trim_ascii();
            // Sent by software that confuses the header with the character set, or always sends it.
            all = if is(coding, &["", "identity", "none", "utf-8", "utf8"]) {
                all
            } else if all == Coding::Identity && is(coding, &["gzip", "x-gzip"]) {
                Coding::Gzip
            } else {
                Coding::Unknown
            };
        }
        all
    }
}

fn parse_number(value: &[u8]) -> Option<u64> {
    core::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}
