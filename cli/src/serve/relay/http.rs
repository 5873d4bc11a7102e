//! The routes of lists: `GET /v4/abs/attacklist` and `GET /v1/feeds/NAME`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use portcullis::config::feed::ABS;

use super::relayed::{List, Relayed};
use super::unzipped::Unzipped;
use crate::clients::feed::unix_now;
use crate::serve::Server;
use crate::serve::problem::Problem;

/// The header in which a node reports on itself.
const NODE: &str = "x-portcullis-node";

/// `GET /v4/abs/attacklist`: the list of the feed `abs`.
pub async fn attack_list(state: State<Arc<Server>>, headers: HeaderMap) -> Response {
    feed(state, Path(ABS.to_owned()), headers).await
}

/// `GET /v1/feeds/NAME`: the list of a feed.
pub async fn feed(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(report) = headers.get(NODE).and_then(|report| report.to_str().ok()) {
        server.nodes.reported(report, unix_now());
    }
    let relayed = match server.relay.find(&name) {
        Ok(relayed) => relayed,
        Err(message) => return Problem::new(StatusCode::NOT_FOUND, message).into_response(),
    };
    let Some(list) = relayed.list() else {
        return no_list(&name, &relayed);
    };
    let response_headers = list_headers(&relayed, &list);
    if matches_etag(&headers, &list.etag) {
        return (StatusCode::NOT_MODIFIED, response_headers).into_response();
    }
    let accepts_gzip = accepts_gzip(&headers);
    // Durations can be written again.
    let served = tokio::task::spawn_blocking(move || {
        serve(&name, &relayed, &list, response_headers, accepts_gzip)
    });
    let served = served.await;
    served.unwrap_or_else(|_| {
        let message = "the list can't be served; see the log of the server";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
    })
}

/// The headers of a response with or without the list.
fn list_headers(relayed: &Relayed, list: &List) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::AGE, relayed.age().into());
    if let Ok(etag) = HeaderValue::from_str(&list.etag) {
        headers.insert(header::ETAG, etag);
    }
    headers
}

fn serve(
    name: &str,
    relayed: &Relayed,
    list: &List,
    mut headers: HeaderMap,
    accepts_gzip: bool,
) -> Response {
    let content_type = HeaderValue::from_static(relayed.form.content_type());
    headers.insert(header::CONTENT_TYPE, content_type);
    let body = list.fresh(&relayed.form).map(|body| match accepts_gzip {
        true => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Body::from(body.gzip)
        }
        false => Body::new(Unzipped::new(&body)),
    });
    match body {
        Ok(body) => (headers, body).into_response(),
        Err(error) => {
            let message = format!("the list of the feed {name} can't be read: {error}");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
        }
    }
}

fn no_list(name: &str, relayed: &Relayed) -> Response {
    let reason = relayed.status().last_error.clone();
    let reason = match reason.is_empty() {
        true => "the first fetch has not ended".to_owned(),
        false => reason,
    };
    let message = format!("the feed {name} has no list yet: {reason}");
    let retry_after = relayed.next_fetch_in().as_secs().clamp(1, 60);
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, message);
    ([(header::RETRY_AFTER, retry_after.to_string())], problem).into_response()
}

/// Whether `if-none-match` names the tag. Proxies that compress make tags weak.
fn matches_etag(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|tag| tag == etag || tag == "*")
}

/// Whether `accept-encoding` names gzip with a quality above 0.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        let is_refused = quality.is_some_and(|quality| quality.parse() == Ok(0.0_f32));
        is_gzip && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn tags_are_compared_without_their_strength() {
        let table = [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ];
        for (value, expected) in table {
            let found = matches_etag(&headers(header::IF_NONE_MATCH, value), "\"a\"");
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn gzip_is_sent_only_if_it_is_accepted() {
        let table = [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("br", false),
            ("", false),
        ];
        for (value, expected) in table {
            let found = accepts_gzip(&headers(header::ACCEPT_ENCODING, value));
            assert_eq!(found, expected, "{value}");
        }
    }
}
