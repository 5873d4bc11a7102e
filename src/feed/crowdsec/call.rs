//! The path of the call that fetches all active decisions.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::feed::Crowdsec;

/// Everything else is percent-encoded (RFC 3986, 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The path of a call for the whole list. LAPI reads only the first parameter of a name and splits it at commas after
/// decoding, so that values are joined by commas and contain none. An empty list does not restrict the decisions, except
/// that LAPI's default scopes are `ip` and `range`; it folds the case of `ip`, `range`, `country` and `as` only.
///
/// LAPI keeps the longest decision of each value before it applies origins and scenarios: a value with a longer decision of
/// another origin would be missing. So `dedup=false` comes with these filters.
pub fn request_path(path: &str, options: &Crowdsec) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut target = format!("{path}{separator}startup=true");
    let narrowing = [
        ("origins", &options.origins),
        ("scenarios_containing", &options.scenarios_containing),
        (
            "scenarios_not_containing",
            &options.scenarios_not_containing,
        ),
    ];
    for (name, values) in [("scopes", &options.scopes)].into_iter().chain(narrowing) {
        for (index, value) in values.iter().enumerate() {
            match index {
                0 => target.extend(["&", name, "="]),
                _ => target.push(','),
            }
            target.extend(utf8_percent_encode(value, ENCODED));
        }
    }
    if narrowing.iter().any(|(_, values)| !values.is_empty()) {
        target.push_str("&dedup=false");
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const STREAM: &str = "/v1/decisions/stream";

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_are_joined_by_commas_and_encoded() {
        let path = |options: Crowdsec| request_path(STREAM, &options);
        assert_eq!(
            path(Crowdsec::default()),
            "/v1/decisions/stream?startup=true"
        );
        assert_eq!(
            path(Crowdsec {
                scopes: words(&["ip", "range", "username"]),
                ..Crowdsec::default()
            }),
            "/v1/decisions/stream?startup=true&scopes=ip,range,username"
        );
        assert_eq!(
            path(Crowdsec {
                origins: words(&["crowdsec", "CAPI"]),
                scenarios_containing: words(&["a/b c", "d&e=f"]),
                scenarios_not_containing: words(&["\u{e9}~-._"]),
                ..Crowdsec::default()
            }),
            "/v1/decisions/stream?startup=true&origins=crowdsec,CAPI&scenarios_containing=a%2Fb%20c,d%26e%3Df\
             &scenarios_not_containing=%C3%A9~-._&dedup=false"
        );
    }

    #[test]
    fn each_filter_that_narrows_ends_deduplication() {
        let filters = [
            Crowdsec {
                origins: words(&["x"]),
                ..Crowdsec::default()
            },
            Crowdsec {
                scenarios_containing: words(&["x"]),
                ..Crowdsec::default()
            },
            Crowdsec {
                scenarios_not_containing: words(&["x"]),
                ..Crowdsec::default()
            },
        ];
        for filter in filters {
            assert!(request_path("/p", &filter).ends_with("=x&dedup=false"));
        }
    }

    #[test]
    fn a_path_may_have_a_query() {
        assert_eq!(
            request_path("/p?a=b", &Crowdsec::default()),
            "/p?a=b&startup=true"
        );
    }
}
