//! The response to a conditional request: 304, the body, or the body compressed.

use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::access::text_of;
use crate::error::ApiError;
use crate::view::View;

/// Bodies up to this size are not compressed.
const MIN_GZIP_BODY: usize = 1024;

/// What a client can compare.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validators {
    /// Whether there is an `ETag`.
    pub etag: bool,
    /// The `Last-Modified`, if there is one.
    pub last_modified: Option<SystemTime>,
}

impl Validators {
    /// Only an `ETag`.
    pub(super) fn etag() -> Self {
        Self {
            etag: true,
            last_modified: None,
        }
    }
}

/// The response with `view`.
pub(super) fn conditional(
    view: &View,
    validators: Validators,
    content_type: &'static str,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let compressed = view.body.len() > MIN_GZIP_BODY && accepts_gzip(headers);
    let plain_etag = format!("\"{}\"", view.digest);
    // A strong entity tag identifies bytes, and the compressed bytes are different.
    let gzip_etag = format!("\"{}-gzip\"", view.digest);
    // RFC 9110, 13.1.3: the date is ignored if there are tags.
    let is_known = if validators.etag && headers.contains_key(header::IF_NONE_MATCH) {
        if_none_match(headers).any(|tag| tag == "*" || tag == plain_etag || tag == gzip_etag)
    } else {
        let since = text_of(headers, "if-modified-since")
            .and_then(|text| httpdate::parse_http_date(text).ok());
        validators
            .last_modified
            .zip(since)
            .is_some_and(|(modified, since)| modified <= since)
    };
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else if compressed {
        let body = view.gzip().map_err(ApiError::internal)?;
        ([(header::CONTENT_ENCODING, "gzip")], body).into_response()
    } else {
        view.body.clone().into_response()
    };
    let out = response.headers_mut();
    out.insert(
        header::VARY,
        HeaderValue::from_static(header::ACCEPT_ENCODING.as_str()),
    );
    if validators.etag {
        let etag = if compressed { gzip_etag } else { plain_etag };
        out.insert(header::ETAG, etag.try_into().map_err(ApiError::internal)?);
    }
    if let Some(modified) = validators.last_modified {
        let date = httpdate::fmt_http_date(modified);
        out.insert(
            header::LAST_MODIFIED,
            date.try_into().map_err(ApiError::internal)?,
        );
    }
    out.remove(header::CONTENT_TYPE);
    if !is_known {
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    Ok(response)
}

// RFC 9110, 12.5.3: `gzip`, unless its weight is zero.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    list_items(headers, header::ACCEPT_ENCODING).any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        coding.trim().eq_ignore_ascii_case("gzip") && weight.parse().is_ok_and(|q: f32| q > 0.0)
    })
}

// RFC 9110, 13.1.2 compares weakly, so a leading `W/` is ignored.
fn if_none_match(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    list_items(headers, header::IF_NONE_MATCH).map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
}

fn list_items(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}
