//! The list server of a feed: the call that the filter would make, made by this machine.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis::config::Feed;
use portcullis::feed::call::{self, Method};
use portcullis::feed::response::Validators;
use portcullis::host::memory::{Headers, MemoryResponse};
use ureq::http;

use super::http::{Server, Trust};
use crate::error::{Failure, Result};

/// How to reach the list server of a feed.
#[derive(Clone, Debug)]
pub struct Reach<'a> {
    /// Scheme, host and port; by default those that the feed's `authority` names, with TLS.
    pub url: Option<&'a str>,
    /// Time limit for the whole response; by default the feed's.
    pub timeout: Option<Duration>,
    /// Trusted certificates.
    pub ca: Option<&'a Path>,
    /// Does not check the certificate.
    pub insecure: bool,
}

/// A response of a list server.
pub struct Fetched {
    /// The server, as messages name it.
    pub server: String,
    /// The path of the call.
    pub path: String,
    /// The response as the filter gets it, decompressed.
    pub response: MemoryResponse,
}

/// Makes the call for the list of `feed`.
pub fn fetch(feed: &Feed, reach: &Reach<'_>) -> Result<Fetched> {
    let authority = authority(feed);
    let of_authority = authority.map(|authority| format!("https://{authority}"));
    let url = reach.url.or(of_authority.as_deref()).ok_or_else(|| {
        Failure::usage(format!(
            "the address of the list server of {} is missing: use --url URL, such as https://lists.example.com; only \
             Envoy knows the hosts of the cluster \"{}\"",
            feed.name, feed.cluster
        ))
    })?;
    let trust = Trust::new(reach.ca, reach.insecure);
    let timeout = reach.timeout.unwrap_or(feed.timeout);
    let example = "https://lists.example.com:8080";
    let server = Server::new("the list server", example, url, timeout, &trust)?;
    let path = call::path(feed, unix_now());
    let headers = headers(feed, &path, None);
    let response = server.send(http::Method::GET, &path, &headers, Vec::new())?;
    Ok(Fetched {
        server: server.url,
        path,
        response: MemoryResponse {
            headers: response_headers(response.status, response.headers),
            body: response.body,
        },
    })
}

/// The headers of the call, as they are sent without Envoy. `known`: the validators of the active list.
pub fn headers<'a>(
    feed: &'a Feed,
    path: &'a str,
    known: Option<&'a Validators>,
) -> Vec<(&'a str, &'a str)> {
    without_envoy(feed, call::headers(feed, Method::Get, path, known))
}

/// The headers of a call that sends JSON, as they are sent without Envoy.
pub fn headers_with_json<'a>(feed: &'a Feed, path: &'a str) -> Vec<(&'a str, &'a str)> {
    without_envoy(feed, call::headers_with_json(feed, path))
}

fn without_envoy<'a>(feed: &'a Feed, all: Vec<(&'a str, &'a [u8])>) -> Vec<(&'a str, &'a str)> {
    let mut headers: Vec<(&str, &str)> = Vec::new();
    for (name, value) in all {
        // The call's own pseudo-headers.
        if !name.starts_with(':') {
            headers.push((name, std::str::from_utf8(value).unwrap_or_default()));
        }
    }
    headers.extend(authority(feed).map(|authority| ("host", authority)));
    headers
}

/// The headers of a response as the filter gets them from Envoy. A redirect is reported, so its address has no credentials.
pub fn response_headers(status: u16, headers: Vec<(String, Vec<u8>)>) -> Headers {
    let mut all = vec![(b":status".to_vec(), status.to_string().into_bytes())];
    for (name, value) in headers {
        let value = match name.as_str() {
            "location" => without_credentials(&value),
            _ => value,
        };
        all.push((name.into_bytes(), value));
    }
    all
}

/// An address without `user:password@`.
fn without_credentials(address: &[u8]) -> Vec<u8> {
    let address = String::from_utf8_lossy(address);
    let bare = address.split_once("//").and_then(|(scheme, rest)| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (_, host) = authority.rsplit_once('@')?;
        Some(format!("{scheme}//{host}{path}"))
    });
    bare.unwrap_or_else(|| address.into_owned()).into_bytes()
}

/// Without an authority of its own, a feed has the name of its cluster, which is not a host.
fn authority(feed: &Feed) -> Option<&str> {
    Some(feed.authority.as_str()).filter(|name| *name != feed.cluster)
}

/// The time since 1970.
pub fn unix_now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}
