//! Selects the API of a request by host name and path.
//!
//! Servers read a path differently, so one path may select several APIs; see [`visit_apis`].

use std::borrow::Cow;

use super::text::{before, percent_decode};
use crate::config::{Api, Apis};

/// The API of a request: the first one with a matching host name and base path.
pub fn select_api<'a>(apis: &'a Apis, authority: &[u8], path: &[u8]) -> &'a Api {
    select(apis, authority, path, false)
}

/// Calls `visit` with every API that a server may select for the request: first that of [`select_api`], then those of other
/// readings of the path: without path parameters (`/shop;x=1`), percent-decoded, with dot segments resolved and slashes
/// merged, and in any letter case. A clean path has one reading.
pub fn visit_apis<'a>(
    apis: &'a Apis,
    authority: &[u8],
    path: &[u8],
    visit: &mut dyn FnMut(&'a Api),
) {
    let path = before(before(path, b'?'), b'#');
    let first = select(apis, authority, path, false);
    visit(first);
    let has_two_cases = |text: &[u8]| text.iter().any(u8::is_ascii_uppercase);
    let reads_case =
        has_two_cases(path) || apis.iter().any(|api| has_two_cases(api.url.as_bytes()));
    let is_rewritten = path.iter().any(|byte| matches!(byte, b';' | b'%' | b'\\'))
        || path.windows(2).any(|pair| matches!(pair, b"//" | b"/."));
    if !reads_case && !is_rewritten {
        return;
    }
    let mut visited = vec![first];
    let mut visit_other = |path: &[u8]| {
        for ignore_case in [false, true] {
            let api = select(apis, authority, path, ignore_case);
            if !visited.iter().any(|known| core::ptr::eq(*known, api)) {
                visited.push(api);
                visit(api);
            }
        }
    };
    visit_other(path);
    if is_rewritten {
        let decoded = percent_decode(path);
        // Parameters are removed before percent-decoding (Tomcat), after it, or not at all.
        let stripped = without_parameters(path);
        visit_other(&normalized(&percent_decode(&stripped)));
        visit_other(&normalized(&without_parameters(&decoded)));
        visit_other(&normalized(&decoded));
    }
}

fn select<'a>(apis: &'a Apis, authority: &[u8], path: &[u8], ignore_case: bool) -> &'a Api {
    apis.find(|api| {
        is_under(&api.url, path, ignore_case || api.url_case_insensitive)
            && api
                .hostname
                .as_deref()
                .is_none_or(|hostname| host_matches(hostname, authority))
    })
}

/// The path, each segment only up to its first semicolon.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let mut in_parameters = false;
    let kept = path.iter().copied().filter(|byte| {
        in_parameters = match byte {
            b';' => true,
            b'/' => false,
            _ => in_parameters,
        };
        !in_parameters
    });
    kept.collect()
}

/// The path with backslashes as slashes, slashes merged and dot segments resolved (RFC 3986, 5.2.4).
fn normalized(path: &[u8]) -> Vec<u8> {
    let path: Cow<'_, [u8]> = if path.contains(&b'\\') {
        let slashes = path
            .iter()
            .map(|&byte| if byte == b'\\' { b'/' } else { byte });
        Cow::Owned(slashes.collect())
    } else {
        Cow::Borrowed(path)
    };
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|&byte| byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let mut normalized = Vec::with_capacity(path.len());
    for segment in segments {
        normalized.push(b'/');
        normalized.extend_from_slice(segment);
    }
    if normalized.is_empty() {
        normalized.push(b'/');
    }
    normalized
}

/// The host name in an `:authority` (RFC 3986, 3.2.2), without the port, the brackets of an IPv6 address, and one trailing
/// dot. The letter case is kept; compare without regard to it.
///
/// `api.example.com.:443` gives `api.example.com`, `[2001:db8::1]:443` gives `2001:db8::1`.
pub fn host_name(authority: &[u8]) -> &[u8] {
    match authority.strip_prefix(b"[") {
        Some(rest) => before(rest, b']'),
        None => {
            let host = before(authority, b':');
            host.strip_suffix(b".").unwrap_or(host)
        }
    }
}

fn host_matches(hostname: &str, authority: &[u8]) -> bool {
    host_name(authority).eq_ignore_ascii_case(host_name(hostname.as_bytes()))
}

/// Whether `path` is under the base path `base`, on whole segments. The query and the fragment do not count.
///
/// `/shop` matches `/shop`, `/shop/`, `/shop?x` and `/shop/cart`, but not `/shopping`; an empty base matches all.
/// Paths are compared byte for byte; see [`visit_apis`] for other readings.
pub fn path_matches(base: &str, path: &[u8]) -> bool {
    is_under(base, path, false)
}

fn is_under(base: &str, path: &[u8], ignore_case: bool) -> bool {
    let Some((start, rest)) = path.split_at_checked(base.len()) else {
        return false;
    };
    let is_equal =
        start == base.as_bytes() || ignore_case && start.eq_ignore_ascii_case(base.as_bytes());
    is_equal && (base.is_empty() || matches!(rest.first(), None | Some(b'/' | b'?' | b'#')))
}
