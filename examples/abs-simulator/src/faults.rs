//! Faults: their JSON, how often they occur, and their responses.
//!
//! `transport` applies the faults that need the connection itself, through [`ConnectionControl`].

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use futures_util::stream;
use http_body::Frame;
use serde::Deserialize;
use thiserror::Error;

use crate::transport::ConnectionControl;

const MEGABYTE: usize = 1 << 20;

/// A fault, as in `POST /admin/fault`.
///
/// `delay_ms` and `retry_after` combine with any other field, and `status` with `body`; the rest exclude each other.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Respond with this status to every request.
    pub status: Option<u16>,
    /// Respond with this body, as JSON.
    pub body: Option<String>,
    /// Wait before the response.
    pub delay_ms: Option<u64>,
    /// Announce the whole body, send this many bytes of it and close the connection.
    pub truncate_at: Option<usize>,
    /// Reset the connection (TCP RST) before the first byte of the response.
    pub reset: bool,
    /// Send a well-formed attack list of about this size.
    pub huge_megabytes: Option<u32>,
    /// Send only the response's headers and keep the connection open.
    pub hang_after_headers: bool,
    /// Send a small gzip body that decompresses to this size.
    pub gzip_bomb_megabytes: Option<u32>,
    /// Add a `Retry-After` of this many seconds.
    pub retry_after: Option<u32>,
    /// Number of requests that it affects; if missing, all until it is cleared.
    pub times: Option<u64>,
    /// The endpoints that it affects.
    pub endpoint: FaultScope,
}

/// The endpoints that a fault affects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultScope {
    /// `/v4/abs/attacklist`.
    #[default]
    Attacklist,
    /// The batch and the sideband.
    Traffic,
    /// Both.
    All,
}

/// An endpoint with faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v4/abs/attacklist`.
    Attacklist,
    /// The batch and the sideband.
    Traffic,
}

/// An invalid fault.
#[derive(Debug, Error)]
pub enum FaultError {
    /// It has no effect.
    #[error(
        "the fault is empty; name one of status, body, delay_ms, truncate_at, reset, huge_megabytes, hang_after_headers, gzip_bomb_megabytes, retry_after"
    )]
    Empty,
    /// Two fields exclude each other.
    #[error(
        "only one of status (with or without body), truncate_at, reset, huge_megabytes, hang_after_headers and gzip_bomb_megabytes is allowed at a time"
    )]
    TooMany,
    /// A status outside HTTP's range.
    #[error("status: found {found}, allowed are 200 to 599")]
    Status {
        /// Its value.
        found: u16,
    },
    /// It would never occur.
    #[error("times: found 0, expected at least 1")]
    Times,
}

impl Fault {
    /// Checks the rules beyond the types.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), FaultError> {
        let kinds = [
            self.status.is_some() || self.body.is_some(),
            self.truncate_at.is_some(),
            self.reset,
            self.huge_megabytes.is_some(),
            self.hang_after_headers,
            self.gzip_bomb_megabytes.is_some(),
        ];
        match kinds.into_iter().filter(|named| *named).count() {
            0 if self.delay_ms.is_none() && self.retry_after.is_none() => {
                return Err(FaultError::Empty);
            }
            0 | 1 => {}
            _ => return Err(FaultError::TooMany),
        }
        if let Some(found) = self.status
            && !(200..=599).contains(&found)
        {
            return Err(FaultError::Status { found });
        }
        if self.times == Some(0) {
            return Err(FaultError::Times);
        }
        Ok(())
    }

    /// How long to wait first.
    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.unwrap_or(0))
    }

    /// The response in place of the real one; `None` if the request must be handled first.
    pub fn replacement(&self, connection: &ConnectionControl) -> Option<Response> {
        if self.reset {
            connection.reset();
            return Some(Response::new(Body::empty()));
        }
        if let Some(megabytes) = self.huge_megabytes {
            return Some(huge(megabytes));
        }
        if let Some(megabytes) = self.gzip_bomb_megabytes {
            return Some(gzip_bomb(megabytes));
        }
        if self.status.is_none() && self.body.is_none() {
            return None;
        }
        let body = self
            .body
            .clone()
            .unwrap_or_else(|| r#"{"error":"injected fault"}"#.to_owned());
        let mut response = json_response(Body::from(body));
        *response.status_mut() = self
            .status
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::OK);
        Some(response)
    }

    /// Whether it damages the real response's body, so that a response without a body would hide the fault.
    pub fn needs_body(&self) -> bool {
        self.truncate_at.is_some() || self.hang_after_headers
    }

    /// The real response with its body damaged; `whole` is the original one.
    pub fn damaged(&self, whole: Bytes, connection: &ConnectionControl) -> Body {
        if let Some(at) = self.truncate_at {
            // At least one byte is cut.
            let sent = at.min(whole.len().saturating_sub(1));
            return Body::new(CutBody {
                part: Some(whole.slice(..sent)),
                connection: connection.clone(),
            });
        }
        if self.hang_after_headers {
            return Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        }
        Body::from(whole)
    }

    /// Adds the headers of the fault.
    pub fn mark(&self, response: &mut Response) {
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

/// The active faults: at most one for each endpoint.
#[derive(Debug, Default)]
pub struct Faults {
    attacklist: Option<Fault>,
    traffic: Option<Fault>,
}

impl Faults {
    /// Activates `fault` in place of the previous one. Each endpoint counts `times` separately.
    pub fn set(&mut self, fault: Fault) {
        if fault.endpoint != FaultScope::Traffic {
            self.attacklist = Some(fault.clone());
        }
        if fault.endpoint != FaultScope::Attacklist {
            self.traffic = Some(fault);
        }
    }

    /// Clears all faults.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The fault for a request to `endpoint`; counts it.
    pub fn next(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let slot = match endpoint {
            Endpoint::Attacklist => &mut self.attacklist,
            Endpoint::Traffic => &mut self.traffic,
        };
        let fault = slot.as_mut()?;
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                return slot.take();
            }
        }
        Some(fault.clone())
    }
}

// Yields its part and then stays pending, so that the connection flushes the part before it closes.
struct CutBody {
    part: Option<Bytes>,
    connection: ConnectionControl,
}

impl http_body::Body for CutBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.part.take().filter(|part| !part.is_empty()) {
            Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
            None => {
                self.connection.close_after_flush();
                Poll::Pending
            }
        }
    }
}

fn json_response(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// A list of user names of 1 KB each, generated while it is sent.
fn huge(megabytes: u32) -> Response {
    const NAME: usize = 1021; // With two quotes and a comma, 1 KB.
    const OPENING: &[u8] = br#"{"usernames":["#;
    const CLOSING: &[u8] = br#""huge-end"]}"#;
    let middle = (0..megabytes).map(|chunk| {
        let mut bytes = Vec::with_capacity(MEGABYTE);
        for entry in 0..1024 {
            let name = format!("huge-{chunk:010}-{entry:04}-");
            bytes.extend_from_slice(format!("\"{name:x<NAME$}\",").as_bytes());
        }
        Bytes::from(bytes)
    });
    let length = (megabytes as usize)
        .saturating_mul(MEGABYTE)
        .saturating_add(OPENING.len())
        .saturating_add(CLOSING.len());
    chunked_with_length(
        std::iter::once(Bytes::from_static(OPENING))
            .chain(middle)
            .chain([Bytes::from_static(CLOSING)]),
        length,
    )
}

/// One IP address and then white space: a well-formed list in one gzip member.
///
/// The white space is compressed once, with a full flush so that the block is independent, and repeated.
fn gzip_bomb(megabytes: u32) -> Response {
    const OPENING: &[u8] = br#"{"ips":["198.51.100.1""#;
    const CLOSING: &[u8] = b"]}";
    const HEADER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let spaces = vec![b' '; MEGABYTE];
    let opening = deflated(OPENING, FlushCompress::Full);
    let block = Bytes::from(deflated(&spaces, FlushCompress::Full));
    let closing = deflated(CLOSING, FlushCompress::Finish);

    let mut crc = Crc::new();
    crc.update(OPENING);
    let mut block_crc = Crc::new();
    block_crc.update(&spaces);
    for _ in 0..megabytes {
        crc.combine(&block_crc);
    }
    crc.update(CLOSING);

    let first = [HEADER, &opening].concat();
    let trailer = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
    let last = [closing, trailer].concat();
    let length = block
        .len()
        .saturating_mul(megabytes as usize)
        .saturating_add(first.len())
        .saturating_add(last.len());
    let mut response = chunked_with_length(
        std::iter::once(Bytes::from(first))
            .chain((0..megabytes).map(move |_| block.clone()))
            .chain([Bytes::from(last)]),
        length,
    );
    response
        .headers_mut()
        .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

fn deflated(bytes: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut output = Vec::with_capacity((bytes.len() / 64).saturating_add(64));
    loop {
        let consumed = compress.total_in() as usize;
        let rest = bytes.get(consumed..).unwrap_or_default();
        // The output buffer is large enough, so only complete processing matters.
        match compress.compress_vec(rest, &mut output, flush) {
            Ok(_) if output.len() < output.capacity() => return output,
            Ok(_) => output.reserve(1024),
            Err(_) => return output,
        }
    }
}

fn chunked_with_length(
    chunks: impl Iterator<Item = Bytes> + Send + 'static,
    length: usize,
) -> Response {
    let body = Body::from_stream(stream::iter(chunks.map(Ok::<_, std::convert::Infallible>)));
    let mut response = json_response(body);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}
