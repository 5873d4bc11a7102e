//! Errors as HTTP responses: a JSON object with `error`, and `errors` where each value has its own.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::Failure;

/// Why a request is refused.
#[derive(Debug)]
pub struct Problem {
    /// The status of the response.
    pub status: StatusCode,
    /// The body of the response.
    pub json: Value,
}

impl Problem {
    /// A problem with a message for the operator: what is wrong, what is allowed, what to do.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            json: json!({ "error": message.into() }),
        }
    }

    /// The message.
    pub fn message(&self) -> &str {
        self.json
            .get("error")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

impl From<Failure> for Problem {
    /// Validation or the system refused.
    fn from(failure: Failure) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            json: failure.json,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (self.status, headers, format!("{:#}\n", self.json)).into_response()
    }
}
