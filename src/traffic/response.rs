//! The receiver's response to a call: its status, and everything else that decides the next step.
//!
//! Reads headers and the start of the body; `queue` decides what happens next.

use core::fmt;
use core::time::Duration;

use crate::feed::retry_after::retry_after;
use crate::host::CallResponse;

/// The cookie by which ASE's load balancer routes a client's calls to one node.
pub const SESSION_COOKIE: &str = "PISESSIONID";

/// A longer session cookie is ignored.
const LONGEST_SESSION: usize = 1024;

/// The number of bytes of a body that are read; ASE's error messages are shorter.
const BODY_START: usize = 256;

/// A response to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The response's Retry-After.
    pub retry_after: Option<Duration>,
    /// The value of [`SESSION_COOKIE`], if the response sets it.
    pub session: Option<Session>,
    /// ASE does not know the API or the host name of the request: a 503 that is not an outage.
    pub unknown_api: bool,
}

/// ASE's session: a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Session(pub Box<[u8]>);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(redacted)")
    }
}

impl Response {
    /// A response with only a status.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            retry_after: None,
            session: None,
            unknown_api: false,
        }
    }

    /// Reads the response that the host delivers at `unix_now`; `None` if the call failed.
    pub fn read(host: &dyn CallResponse, unix_now: Duration) -> Option<Self> {
        let mut status = None;
        let mut response = Self::new(0);
        host.visit_call_headers(&mut |name, value| match name {
            b":status" => {
                status = core::str::from_utf8(value)
                    .ok()
                    .and_then(|s| s.parse().ok())
            }
            b"retry-after" => response.retry_after = retry_after(value, unix_now),
            b"set-cookie" => {
                if let Some(session) = session_of(value) {
                    response.session = Some(Session(session.into()));
                }
            }
            _ => {}
        });
        response.status = status?;
        // Envoy also responds with 503 without a connection, so the status is not enough.
        response.unknown_api =
            response.status == 503 && names_unknown_api(&host.call_body(0, BODY_START));
        Some(response)
    }
}

/// The session in a Set-Cookie header (RFC 6265, 5.2). It is sent back as a header, so only visible characters count.
fn session_of(set_cookie: &[u8]) -> Option<&[u8]> {
    let pair = set_cookie.split(|byte| *byte == b';').next()?;
    let (name, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
    let value = value.get(1..)?.trim_ascii();
    let is_valid = !value.is_empty()
        && value.len() <= LONGEST_SESSION
        && value.iter().all(|byte| byte.is_ascii_graphic());
    (name.trim_ascii() == SESSION_COOKIE.as_bytes() && is_valid).then_some(value)
}

/// The vendor documents the bodies `Error: Unknown API` and `Error: Unknown Hostname`.
fn names_unknown_api(body: &[u8]) -> bool {
    let body = body.to_ascii_lowercase();
    [b"unknown api".as_slice(), b"unknown hostname"]
        .iter()
        .any(|message| body.windows(message.len()).any(|part| part == *message))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_session_is_found_among_cookies_and_their_attributes() {
        let table: &[(&[u8], Option<&[u8]>)] = &[
            (b"PISESSIONID=n1.a=b; Max-Age=180; Path=/", Some(b"n1.a=b")),
            (b" PISESSIONID = n1 ", Some(b"n1")),
            (b"PISESSIONID=", None),
            (b"PISESSIONID", None),
            (b"JSESSIONID=n1", None),
            (b"x=PISESSIONID=n1", None),
            (b"PISESSIONID=n1\x07", None),
            (b"PISESSIONID=n 1", None),
            (b"", None),
        ];
        for (header, session) in table {
            assert_eq!(session_of(header), *session, "{header:?}");
        }
        let long = [b"PISESSIONID=".as_slice(), &[b'x'; 2_000]].concat();
        assert_eq!(session_of(&long), None);
    }

    #[test]
    fn a_503_is_final_only_with_a_message_of_the_vendor() {
        assert!(names_unknown_api(b"Error: Unknown API"));
        assert!(names_unknown_api(b"{\"error\":\"Unknown hostname\"}"));
        for outage in [
            b"upstream connect error or disconnect/reset before headers".as_slice(),
            b"no healthy upstream",
            b"",
        ] {
            assert!(!names_unknown_api(outage));
        }
    }
}
