//! Error responses: a JSON body and a status.

use std::io;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use thiserror::Error;

use crate::decisions_csv::CsvError;
use crate::faults::FaultError;
use crate::generate::GenerateError;

/// An error response.
#[derive(Debug, Error)]
pub enum ApiError {
    /// Wrong credentials for ABS.
    #[error("the headers x-abs-ak and x-abs-sk are missing or wrong")]
    Unauthorized,
    /// A wrong sideband token.
    #[error("the header ASE-Token is missing or wrong")]
    AseToken,
    /// A restricted user tries to change something.
    #[error("a restricted user may only read the attack list")]
    ReadOnly,
    /// An invalid end of the window.
    #[error(
        "{name}: found {found:?}, expected a date in UTC of the form yyyy-mm-ddThh:mm, for instance 2026-01-31T23:59"
    )]
    Date {
        /// The query parameter.
        name: &'static str,
        /// Its value; empty if it is missing.
        found: String,
    },
    /// The window ends before it starts.
    #[error("earlier_date is after later_date")]
    WindowReversed,
    /// An invalid status.
    #[error("status: found {found:?}, allowed are active, expired, or no status for both")]
    Status {
        /// Its value.
        found: String,
    },
    /// An invalid body.
    #[error("the body is not the JSON expected here: {0}")]
    Json(#[source] serde_json::Error),
    /// An invalid line of a batch. The whole batch is refused.
    #[error("line {number} of the batch is not a traffic record: {source}")]
    Line {
        /// Counted from 1.
        number: usize,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// The batch does not decompress.
    #[error("the body is not gzip as content-encoding says: {0}")]
    Gzip(#[source] io::Error),
    /// The batch is not text.
    #[error("the batch is not UTF-8")]
    NotText,
    /// An encoding other than gzip.
    #[error("content-encoding: found {found:?}, allowed is gzip, or none")]
    Encoding {
        /// Its value.
        found: String,
    },
    /// The batch is too large once decompressed.
    #[error("the batch is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A sideband call without its id.
    #[error("the header X-CorrelationID is missing")]
    NoCorrelationId,
    /// A sideband response without its request.
    #[error("no request with this X-CorrelationID is waiting for a response")]
    UnknownCorrelationId,
    /// An invalid duration.
    #[error("ttl_seconds: found {found}, expected a number of seconds above 0")]
    Ttl {
        /// Its value.
        found: f64,
    },
    /// An invalid duration of a decision.
    #[error(
        "duration: found {found:?}, expected a duration above 0 as Go writes it, for instance 1h30m"
    )]
    GoDuration {
        /// Its value.
        found: String,
    },
    /// An invalid CSV file.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// An invalid order of a generated list.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// An invalid fault.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// An internal failure.
    #[error("the simulator failed: {0}")]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl ApiError {
    /// An internal failure.
    pub fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        ApiError::Internal(Box::new(error))
    }

    fn status(&self) -> StatusCode {
        match self {
            ApiError::Unauthorized | ApiError::AseToken => StatusCode::UNAUTHORIZED,
            ApiError::ReadOnly => StatusCode::FORBIDDEN,
            ApiError::Encoding { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ApiError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status(), Json(json!({ "error": self.to_string() }))).into_response()
    }
}
