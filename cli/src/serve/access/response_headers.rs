//! The headers of every response: what a browser may do with it.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

/// Nothing from other hosts, no inline script, no frames.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// `no-referrer` would make browsers send `Origin: null` with the page's own forms. Where they send no `Sec-Fetch-Site`
/// either (plain HTTP from another machine), those would look like another site's.
const REFERRER: &str = "same-origin";

const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static(REFERRER)),
];

/// Adds the headers. Nothing is cached, unless the handler says so.
pub async fn add(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let hidden = response.status() != StatusCode::METHOD_NOT_ALLOWED;
    let headers = response.headers_mut();
    if hidden {
        // It would reveal which paths there are.
        headers.remove(header::ALLOW);
    }
    headers.extend(HEADERS);
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
