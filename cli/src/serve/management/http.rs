//! Bodies, headers and threads of the management API.

use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::serve::problem::Problem;

/// Runs work that waits for files or needs long on a thread where it stops no other request.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server failed on this request; see its log",
        ))
    })
}

/// A response in JSON, which no cache keeps.
pub fn json(body: &Value) -> Response {
    json_text(format!("{body:#}\n"))
}

/// The same of a text in JSON.
pub fn json_text(body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}

/// A response in JSON with an entity tag.
pub fn json_with_etag(body: &Value, etag: &str) -> Response {
    ([(header::ETAG, etag)], json(body)).into_response()
}

/// The query of a request.
pub fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query
        .map(|Query(query)| query)
        .map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
}

/// The body of a request.
pub fn body(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is too large; allowed are 4 MB for the text of a filter, and 256 KB for everything else",
        ),
        status => Problem::new(status, rejection.body_text()),
    })
}

/// The header `If-Match`.
pub fn if_match(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::IF_MATCH)?.to_str().ok();
    // A value that is no entity tag matches none.
    Some(value.unwrap_or_default().trim().to_owned())
}

/// Reads a body in JSON. Its type must be declared: a page of a foreign site can't send that type without being asked for
/// permission first.
pub fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next();
    if !essence.is_some_and(|name| name.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON; send the header content-type: application/json",
        ));
    }
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("the body is not what this route reads: {error}"),
        )
    })
}
