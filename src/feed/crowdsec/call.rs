//! The path of the call that fetches all active decisions.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// LAPI's path of the decisions stream.
pub const STREAM_PATH: &str = "/v1/decisions/stream";

/// Everything else is percent-encoded (RFC 3986, 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Which decisions LAPI returns; an empty list does not restrict them, except that LAPI's default scopes are `ip` and
/// `range`. LAPI splits at commas after decoding, so no value may contain one.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamFilter<'a> {
    /// Scopes. LAPI folds the case of ip, range, country and as only.
    pub scopes: &'a [String],
    /// Origins, such as `crowdsec`, `cscli`, `lists` or `CAPI`; exact.
    pub origins: &'a [String],
    /// Parts of scenario names, one of which a decision needs.
    pub scenarios_containing: &'a [String],
    /// Parts of scenario names, none of which a decision has.
    pub scenarios_not_containing: &'a [String],
}

/// The path of a call for the whole list. LAPI reads only the first parameter of a name, so that values are joined by commas.
///
/// LAPI keeps the longest decision of each value before it applies origins and scenarios: a value with a longer decision of
/// another origin would be missing. So `dedup=false` comes with these filters.
pub fn request_path(path: &str, filter: &StreamFilter<'_>) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut target = format!("{path}{separator}startup=true");
    let narrowing = [
        ("origins", filter.origins),
        ("scenarios_containing", filter.scenarios_containing),
        ("scenarios_not_containing", filter.scenarios_not_containing),
    ];
    for (name, values) in [("scopes", filter.scopes)].into_iter().chain(narrowing) {
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

    #[test]
    fn values_are_joined_by_commas_and_encoded() {
        let values = |values: &[&str]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
        let path = |filter: StreamFilter<'_>| request_path(STREAM_PATH, &filter);
        assert_eq!(
            path(StreamFilter::default()),
            "/v1/decisions/stream?startup=true"
        );
        let scopes = values(&["ip", "range", "username"]);
        assert_eq!(
            path(StreamFilter {
                scopes: &scopes,
                ..StreamFilter::default()
            }),
            "/v1/decisions/stream?startup=true&scopes=ip,range,username"
        );
        let (origins, some, others) = (
            values(&["crowdsec", "CAPI"]),
            values(&["a/b c", "d&e=f"]),
            values(&["\u{e9}~-._"]),
        );
        assert_eq!(
            path(StreamFilter {
                scopes: &[],
                origins: &origins,
                scenarios_containing: &some,
                scenarios_not_containing: &others,
            }),
            "/v1/decisions/stream?startup=true&origins=crowdsec,CAPI&scenarios_containing=a%2Fb%20c,d%26e%3Df\
             &scenarios_not_containing=%C3%A9~-._&dedup=false"
        );
    }

    #[test]
    fn each_filter_that_narrows_ends_deduplication() {
        let one = ["x".to_owned()];
        let filters = [
            StreamFilter {
                origins: &one,
                ..StreamFilter::default()
            },
            StreamFilter {
                scenarios_containing: &one,
                ..StreamFilter::default()
            },
            StreamFilter {
                scenarios_not_containing: &one,
                ..StreamFilter::default()
            },
        ];
        for filter in filters {
            assert!(request_path("/p", &filter).ends_with("=x&dedup=false"));
        }
    }

    #[test]
    fn a_path_may_have_a_query() {
        assert_eq!(
            request_path("/p?a=b", &StreamFilter::default()),
            "/p?a=b&startup=true"
        );
    }
}
