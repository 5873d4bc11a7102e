//! The calls to a feed's server: their methods, paths and headers.

use core::time::Duration;

use super::response::Validators;
use super::{abs, crowdsec};
use crate::config::{Feed, FeedFormat};

/// A name and a version: CrowdSec's local API shows them, and public lists block clients without a name.
const USER_AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// The method of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Fetches the list.
    Get,
    /// Asks for the size of the response, after one that was interrupted.
    Head,
}

/// The path of a call.
pub fn path(feed: &Feed, unix_now: Duration) -> String {
    match &feed.format {
        FeedFormat::Abs { window } if feed.path.is_empty() => abs::call::path(unix_now, *window),
        FeedFormat::Crowdsec(options) => crowdsec::call::request_path(&feed.path, options),
        // A path of its own leads to another server of attack lists than ABS.
        FeedFormat::Abs { .. } | FeedFormat::Text { .. } | FeedFormat::Tokens { .. } => {
            feed.path.clone()
        }
    }
}

/// The headers of a call for the list. `known`: the validators of the active list.
pub fn headers<'a>(
    feed: &'a Feed,
    method: Method,
    path: &'a str,
    known: Option<&'a Validators>,
) -> Vec<(&'a str, &'a [u8])> {
    let method: &'static [u8] = match method {
        Method::Get => b"GET",
        Method::Head => b"HEAD",
    };
    let mut headers = common_headers(feed, method, path);
    if let Some(known) = known {
        // ABS's list depends on the time of the call, too.
        let last_modified: &[u8] = match feed.format {
            FeedFormat::Abs { .. } => b"",
            _ => &known.last_modified,
        };
        let conditions: [(_, &[u8]); 2] = [
            ("if-none-match", &known.etag),
            ("if-modified-since", last_modified),
        ];
        headers.extend(
            conditions
                .into_iter()
                .filter(|(_, value)| !value.is_empty()),
        );
    }
    headers
}

/// The headers of a call that sends JSON to the feed's server.
pub fn headers_with_json<'a>(feed: &'a Feed, path: &'a str) -> Vec<(&'a str, &'a [u8])> {
    let mut headers = common_headers(feed, b"POST", path);
    headers.push(("content-type", b"application/json"));
    headers
}

fn common_headers<'a>(
    feed: &'a Feed,
    method: &'static [u8],
    path: &'a str,
) -> Vec<(&'a str, &'a [u8])> {
    let accept: &[u8] = match feed.format {
        FeedFormat::Text { .. } => b"text/plain, */*",
        _ => b"application/json",
    };
    let mut headers: Vec<(&str, &[u8])> = vec![
        (":method", method),
        (":path", path.as_bytes()),
        (":authority", feed.authority.as_bytes()),
        ("accept", accept),
        ("accept-encoding", b"gzip"),
    ];
    let is_named = |name: &str| feed.headers.iter().any(|(known, _)| known == name);
    if !feed.is_abs() && !is_named("user-agent") {
        headers.push(("user-agent", USER_AGENT.as_bytes()));
    }
    for (name, value) in &feed.headers {
        headers.push((name, value.reveal().as_bytes()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_feed_of_attack_lists_may_have_a_path_of_its_own() {
        let path_with = |key: &str| {
            let feed = format!(r#"{{"name": "a", "format": "abs", "cluster": "c"{key}}}"#);
            let config = format!(r#"{{"feeds": [{feed}]}}"#);
            let config = Config::parse(config.as_bytes(), &|_| None).unwrap();
            path(config.feeds.first().unwrap(), Duration::ZERO)
        };
        assert!(path_with("").starts_with("/v4/abs/attacklist?earlier_date="));
        assert_eq!(path_with(r#", "path": "/v1/feeds/a""#), "/v1/feeds/a");
    }
}
