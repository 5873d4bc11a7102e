//! Faults: their JSON, how often they occur, and their responses. `fault_bodies` has the long bodies.
//!
//! `transport` applies the faults that need the connection itself, through [`ConnectionControl`].

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use serde::Deserialize;
use thiserror::Error;

use crate::fault_bodies::{gzip_bomb, huge, map};
use crate::transport::ConnectionControl;

/// A fault, as in `POST /admin/fault`.
///
/// `delay_ms` and `retry_after` combine with any other field, `status` with `body` or `redirect`, and `content_type` with
/// `body`; the rest exclude each other.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Respond with this status to every request.
    pub status: Option<u16>,
    /// Respond with this body, as JSON.
    pub body: Option<String>,
    /// The content type of `body`.
    pub content_type: Option<String>,
    /// Redirect to this location, with status 302 or `status`.
    pub redirect: Option<String>,
    /// Respond with a map in the place of each list.
    pub map: bool,
    /// Send the first entries of the real list as a complete one, as LAPI does after an error of its database.
    pub short_after: Option<usize>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FaultScope {
    /// Only this one.
    One(Endpoint),
    /// Every endpoint.
    All(All),
}

/// The word for every endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum All {
    /// `all`.
    All,
}

impl Default for FaultScope {
    fn default() -> Self {
        Self::One(Endpoint::Attacklist)
    }
}

/// An endpoint with faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `/v4/abs/attacklist`.
    Attacklist,
    /// The batch and the sideband.
    Traffic,
    /// `/v1/decisions/stream`.
    Decisions,
    /// `/v1/usage-metrics`.
    UsageMetrics,
    /// `/lists/NAME`.
    Lists,
    /// `/tokens/NAME`.
    Tokens,
}

impl Endpoint {
    const ALL: [Self; 6] = [
        Self::Attacklist,
        Self::Traffic,
        Self::Decisions,
        Self::UsageMetrics,
        Self::Lists,
        Self::Tokens,
    ];
}

/// An invalid fault.
#[derive(Debug, Error)]
pub enum FaultError {
    /// It has no effect.
    #[error(
        "the fault is empty; name one of status, body, redirect, map, short_after, delay_ms, truncate_at, reset, huge_megabytes, hang_after_headers, gzip_bomb_megabytes, retry_after"
    )]
    Empty,
    /// Two fields exclude each other.
    #[error(
        "only one of status (with or without body), redirect, map, short_after, truncate_at, reset, huge_megabytes, hang_after_headers and gzip_bomb_megabytes is allowed at a time"
    )]
    TooMany,
    /// A status outside HTTP's range.
    #[error("status: found {found}, allowed are 200 to 599")]
    Status {
        /// Its value.
        found: u16,
    },
    /// The content type has no body.
    #[error("content_type: only allowed with body")]
    ContentType,
    /// A text that no header can have.
    #[error("{name}: not allowed in a header")]
    Header {
        /// The field.
        name: &'static str,
    },
    /// An endpoint without a list that can end early.
    #[error("short_after: the endpoint must be decisions, lists or tokens")]
    Short,
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
            (self.status.is_some() && self.redirect.is_none()) || self.body.is_some(),
            self.redirect.is_some(),
            self.map,
            self.short_after.is_some(),
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
        if self.content_type.is_some() && self.body.is_none() {
            return Err(FaultError::ContentType);
        }
        for (name, value) in [
            ("redirect", &self.redirect),
            ("content_type", &self.content_type),
        ] {
            if value
                .as_ref()
                .is_some_and(|text| HeaderValue::from_str(text).is_err())
            {
                return Err(FaultError::Header { name });
            }
        }
        let can_be_short = matches!(
            self.endpoint,
            FaultScope::One(Endpoint::Decisions | Endpoint::Lists | Endpoint::Tokens)
        );
        if self.short_after.is_some() && !can_be_short {
            return Err(FaultError::Short);
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
    pub fn replacement(
        &self,
        endpoint: Endpoint,
        connection: &ConnectionControl,
    ) -> Option<Response> {
        if self.reset {
            connection.reset();
            return Some(Response::new(Body::empty()));
        }
        if let Some(megabytes) = self.huge_megabytes {
            return Some(huge(endpoint, megabytes));
        }
        if let Some(megabytes) = self.gzip_bomb_megabytes {
            return Some(gzip_bomb(endpoint, megabytes));
        }
        let status = |default| {
            self.status
                .and_then(|status| StatusCode::from_u16(status).ok())
                .unwrap_or(default)
        };
        if let Some(location) = &self.redirect {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = status(StatusCode::FOUND);
            insert(&mut response, header::LOCATION, location);
            return Some(response);
        }
        if self.map {
            return Some(json_response(map(endpoint)));
        }
        if self.status.is_none() && self.body.is_none() {
            return None;
        }
        let status = status(StatusCode::OK);
        let mut response = match &self.body {
            Some(body) => json_response(body.clone()),
            // These have no body.
            None if [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status) => {
                Response::new(Body::empty())
            }
            None => json_response(r#"{"error":"injected fault"}"#),
        };
        *response.status_mut() = status;
        if let Some(content_type) = &self.content_type {
            insert(&mut response, header::CONTENT_TYPE, content_type);
        }
        Some(response)
    }

    /// Whether it damages the real response's body, so that a response without a body would hide the fault.
    pub fn needs_body(&self) -> bool {
        self.truncate_at.is_some() || self.hang_after_headers || self.short_after.is_some()
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
pub struct Faults(BTreeMap<Endpoint, Fault>);

impl Faults {
    /// Activates `fault` in place of the previous one. Each endpoint counts `times` separately.
    pub fn set(&mut self, fault: Fault) {
        match fault.endpoint {
            FaultScope::One(endpoint) => {
                self.0.insert(endpoint, fault);
            }
            FaultScope::All(_) => self
                .0
                .extend(Endpoint::ALL.map(|endpoint| (endpoint, fault.clone()))),
        }
    }

    /// Clears all faults.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault for a request to `endpoint`; counts it.
    pub fn next(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let fault = self.0.get_mut(&endpoint)?;
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                return self.0.remove(&endpoint);
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

fn json_response(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    insert(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

/// Adds a header; [`Fault::validate`] has checked its value.
fn insert(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
