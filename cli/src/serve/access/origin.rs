//! Whether a browser sends a request on behalf of this server's own page.
//!
//! Other sites can make a browser send requests here. Forms are recognised by `Sec-Fetch-Site` and `Origin`. A site that
//! resolves its own name to this machine (DNS rebinding) is recognised by `Host`.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Uri, header};

/// Whether a request may change something: the browser says that it is the page's own, or it is from no browser.
/// `proof`: one of the headers is needed, because the browser sent the cookie by itself.
pub fn is_own(method: &Method, headers: &HeaderMap, proof: bool) -> bool {
    if method.is_safe() {
        return true;
    }
    // First, because it is not in a page's power, and because a policy for referrers can hide the origin.
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return !proof;
    };
    let (Ok(origin), Some(host)) = (origin.to_str(), headers.get(header::HOST)) else {
        return false;
    };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    // The scheme may differ: a proxy can end TLS.
    authority.is_some_and(|authority| authority.as_bytes().eq_ignore_ascii_case(host.as_bytes()))
}

/// Whether an open server may respond to this host: no other site's name. Allowed are addresses, `localhost`, and names
/// that no site can have: Envoy sends the name of its cluster.
pub fn is_local(uri: &Uri, headers: &HeaderMap) -> bool {
    let host = match (uri.authority(), headers.get(header::HOST)) {
        (Some(authority), _) => authority.as_str(),
        (None, Some(host)) => match host.to_str() {
            Ok(host) => host,
            Err(_) => return false,
        },
        // No browser.
        (None, None) => return true,
    };
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok() || !name.contains('.')
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let pairs = list.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        });
        pairs.collect()
    }

    #[test]
    fn forms_of_other_sites_are_recognised() {
        let host = ("host", "10.0.0.1:9902");
        // Headers, whether they are enough without and with need of a proof.
        type Row<'a> = (&'a [(&'a str, &'a str)], bool, bool);
        let table: &[Row<'_>] = &[
            (&[host], true, false),
            (&[host, ("sec-fetch-site", "same-origin")], true, true),
            (&[host, ("sec-fetch-site", "none")], true, true),
            (&[host, ("sec-fetch-site", "same-site")], false, false),
            (&[host, ("sec-fetch-site", "cross-site")], false, false),
            (&[host, ("origin", "https://10.0.0.1:9902")], true, true),
            (&[host, ("origin", "http://10.0.0.1:9902")], true, true),
            (&[host, ("origin", "http://10.0.0.1")], false, false),
            (&[host, ("origin", "http://evil.example")], false, false),
            (&[host, ("origin", "null")], false, false),
            (&[("origin", "http://10.0.0.1:9902")], false, false),
            (
                &[host, ("sec-fetch-site", "same-origin"), ("origin", "null")],
                true,
                true,
            ),
            (
                &[
                    host,
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://10.0.0.1:9902"),
                ],
                false,
                false,
            ),
        ];
        for (list, without, with) in table {
            let headers = headers(list);
            assert_eq!(is_own(&Method::POST, &headers, false), *without, "{list:?}");
            assert_eq!(is_own(&Method::POST, &headers, true), *with, "{list:?}");
            assert!(is_own(&Method::GET, &headers, true));
        }
    }

    #[test]
    fn names_of_other_sites_are_recognised() {
        let table = [
            ("127.0.0.1:9902", true),
            ("[::1]:9902", true),
            ("[::1]", true),
            ("localhost:9902", true),
            ("LOCALHOST", true),
            ("portcullis_fleet", true),
            ("evil.example:9902", false),
            ("evil.example", false),
            ("localhost.:9902", false),
            ("127.0.0.1.evil.example", false),
            ("a b", false),
            ("", false),
        ];
        for (host, local) in table {
            assert_eq!(
                is_local(&Uri::from_static("/"), &headers(&[("host", host)])),
                local,
                "{host}"
            );
        }
        let absolute = Uri::from_static("http://evil.example/");
        assert!(!is_local(&absolute, &headers(&[("host", "localhost")])));
        assert!(is_local(&Uri::from_static("/"), &HeaderMap::new()));
    }
}
