//! The formats of feeds: the keys and defaults that only one format has. Reads no list.

use core::time::Duration;

use crate::config::abs::{ATTACK_WINDOW, DEFAULT_ATTACK_WINDOW};
use crate::config::error::Problem;
use crate::config::section::Section;
use crate::config::value::{self, DurationRange};
use crate::identifier::{MAX_TOKEN_CLAIMS, PerKind};

pub(super) const FORMATS: &str = "\"crowdsec\", \"text\", \"tokens\" or \"abs\"";

/// The keys of one format.
const KEYS: &[(&str, &str)] = &[
    ("special_ranges", "text"),
    ("claims", "tokens"),
    ("window", "abs"),
    ("scopes", "crowdsec"),
    ("origins", "crowdsec"),
    ("scenarios_containing", "crowdsec"),
    ("scenarios_not_containing", "crowdsec"),
    ("types", "crowdsec"),
    ("session_cookie", "crowdsec"),
    ("scope_headers", "crowdsec"),
    ("usage_metrics", "crowdsec"),
];

const LEAST_INTERVAL: DurationRange = DurationRange {
    least: Duration::from_secs(1),
    most: Duration::from_secs(365 * 86_400),
    allowed: "a duration from \"1s\" to \"365d\", such as \"1m\" (whole number; units ms, s, m, h, d)",
};

/// Publishers of public lists limit or block clients that fetch more often.
const TEXT_INTERVAL: DurationRange = DurationRange {
    least: Duration::from_secs(60),
    most: Duration::from_secs(365 * 86_400),
    allowed: "a duration from \"1m\" to \"365d\" for the format \"text\", such as \"1h\" (whole number; units ms, s, m, h, d)",
};

/// The format of a feed's list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FeedFormat {
    /// ABS's attack list.
    Abs {
        /// `earlier_date` = now - window.
        window: Duration,
    },
    /// The decisions of a CrowdSec local API.
    Crowdsec(Crowdsec),
    /// One address or range per line.
    Text {
        /// Private and other special-purpose ranges are accepted.
        special_ranges: bool,
    },
    /// Revoked JSON web tokens, by their claims.
    Tokens {
        /// The claims that entries name; a string is a value of the first.
        claims: Vec<String>,
    },
}

/// Which decisions of a CrowdSec local API are fetched, and what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Crowdsec {
    /// The scopes to ask for.
    pub scopes: Vec<String>,
    /// The origins to ask for; empty for all.
    pub origins: Vec<String>,
    /// Parts of scenario names, one of which a decision needs; empty for all.
    pub scenarios_containing: Vec<String>,
    /// Parts of scenario names, none of which a decision has.
    pub scenarios_not_containing: Vec<String>,
    /// The decision types that deny.
    pub types: Vec<String>,
    /// The cookie that the scope `session` is about.
    pub session_cookie: Option<String>,
    /// Scopes, each with the header that carries its values, in lower case.
    pub scope_headers: Vec<(String, String)>,
    /// Whether the numbers of requests are reported to the local API.
    pub usage_metrics: bool,
}

impl FeedFormat {
    /// Reads `format` and the keys that belong to it.
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let word = section.text("format", FORMATS, |text| match text {
            "crowdsec" | "text" | "tokens" | "abs" => Ok(text),
            _ => Err(Problem::invalid_text(text, FORMATS)),
        })?;
        for (key, format) in KEYS {
            if *format != word && section.has(key) {
                let found =
                    format!("a key of the format \"{format}\" in a feed of the format \"{word}\"");
                section.reject(
                    key,
                    Problem::invalid(
                        found,
                        "keys of the feed's format; remove it, or change format",
                    ),
                );
            }
        }
        Some(match word {
            "crowdsec" => FeedFormat::Crowdsec(read_crowdsec(section)),
            "tokens" => FeedFormat::Tokens {
                claims: read_claims(section),
            },
            "abs" => FeedFormat::Abs {
                window: section
                    .duration("window", &ATTACK_WINDOW)
                    .unwrap_or(DEFAULT_ATTACK_WINDOW),
            },
            _ => FeedFormat::Text {
                special_ranges: section.boolean("special_ranges", false),
            },
        })
    }

    /// The path of the calls, unless the configuration names one; `None` if it must.
    pub(super) fn default_path(&self) -> Option<&'static str> {
        match self {
            FeedFormat::Crowdsec(_) => Some("/v1/decisions/stream"),
            // ABS's path depends on the time.
            FeedFormat::Abs { .. } => Some(""),
            FeedFormat::Text { .. } | FeedFormat::Tokens { .. } => None,
        }
    }

    /// The time between two fetches, unless the configuration has one.
    pub(super) const fn default_interval(&self) -> Duration {
        match self {
            FeedFormat::Crowdsec(_) => Duration::from_secs(60),
            FeedFormat::Abs { .. } => Duration::from_secs(600),
            FeedFormat::Text { .. } | FeedFormat::Tokens { .. } => Duration::from_secs(3_600),
        }
    }

    pub(super) const fn interval_range(&self) -> &'static DurationRange {
        match self {
            FeedFormat::Text { .. } => &TEXT_INTERVAL,
            _ => &LEAST_INTERVAL,
        }
    }

    /// The kinds of identifiers that its lists can have.
    pub(super) fn kinds(&self) -> PerKind<bool> {
        let none = PerKind::default();
        match self {
            FeedFormat::Abs { .. } => PerKind::WITH_LIST_KEY,
            FeedFormat::Crowdsec(options) => PerKind {
                ip: true,
                username: true,
                cookie: options.session_cookie.is_some(),
                header: !options.scope_headers.is_empty(),
                ..none
            },
            FeedFormat::Text { .. } => PerKind { ip: true, ..none },
            FeedFormat::Tokens { .. } => PerKind {
                token_claims: true,
                ..none
            },
        }
    }
}

fn read_crowdsec(section: &Section<'_>) -> Crowdsec {
    let words = |key| {
        let allowed = "a list of words without commas, such as [\"crowdsec\", \"cscli\"]";
        let read = |text: &str| word(text, allowed);
        section.texts(key, allowed, read).unwrap_or_default()
    };
    let session_cookie = section.text(
        "session_cookie",
        "the name of the cookie that has the session, such as \"JSESSIONID\"",
        value::cookie_name,
    );
    let scope_headers = read_scope_headers(section);
    let mut scopes = words("scopes");
    if !section.has("scopes") {
        // Without the parameter a local API returns only addresses and ranges.
        scopes.extend(["ip", "range", "username"].map(str::to_owned));
        scopes.extend(session_cookie.iter().map(|_| "session".to_owned()));
        scopes.extend(scope_headers.iter().map(|(scope, _)| scope.clone()));
    }
    let mut types = words("types");
    if types.is_empty() {
        types.push("ban".to_owned());
    }
    Crowdsec {
        scopes,
        origins: words("origins"),
        scenarios_containing: words("scenarios_containing"),
        scenarios_not_containing: words("scenarios_not_containing"),
        types,
        session_cookie,
        scope_headers,
        usage_metrics: section.boolean("usage_metrics", false),
    }
}

/// LAPI splits values at commas.
fn word(text: &str, allowed: &'static str) -> Result<String, Problem> {
    match text.is_empty() || text.contains(',') {
        true => Err(Problem::invalid_text(text, allowed)),
        false => Ok(text.to_owned()),
    }
}

fn read_scope_headers(section: &Section<'_>) -> Vec<(String, String)> {
    let allowed =
        "an object from CrowdSec scope to header name, such as {\"Country\": \"cf-ipcountry\"}";
    let map = section.map("scope_headers", allowed);
    let mut headers: Vec<(String, String)> = Vec::new();
    for (scope, _) in map.entries() {
        let is_address = ["ip", "range"]
            .iter()
            .any(|known| scope.eq_ignore_ascii_case(known));
        if is_address || word(scope, allowed).is_err() {
            let allowed = "a scope without commas, except Ip and Range, which need no header";
            map.reject(scope, Problem::invalid_text(scope, allowed));
        } else if headers
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(scope))
        {
            let allowed = "each scope once, whatever the case of its letters";
            map.reject(scope, Problem::invalid_text(scope, allowed));
        } else if let Some(header) = map.text(scope, allowed, value::header_name) {
            headers.push((scope.clone(), header));
        }
    }
    headers
}

fn read_claims(section: &Section<'_>) -> Vec<String> {
    let allowed = "a list of one to four different names of claims, such as [\"jti\", \"aud\"]";
    let mut known = Vec::new();
    let claims = section.texts("claims", allowed, |text| {
        if text.is_empty() || known.contains(&text) {
            return Err(Problem::invalid_text(text, allowed));
        }
        known.push(text);
        Ok(text.to_owned())
    });
    let Some(claims) = claims else {
        return vec!["jti".to_owned()];
    };
    if claims.is_empty() || claims.len() > MAX_TOKEN_CLAIMS {
        let found = format!("{} names", claims.len());
        section.reject("claims", Problem::invalid(found, allowed));
    }
    claims
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_claim_or_a_scope_that_is_named_twice_is_refused() {
        let table = [
            (
                r#""format": "tokens", "path": "/t", "claims": ["jti", "aud", "jti"]"#,
                r#"feeds[0].claims[2]: found "jti"; allowed: a list of one to four different names of claims, such as ["jti", "aud"]"#,
            ),
            (
                r#""format": "tokens", "path": "/t", "claims": ["a", "b", "c", "d", "e"]"#,
                r#"feeds[0].claims: found 5 names; allowed: a list of one to four different names of claims, such as ["jti", "aud"]"#,
            ),
            (
                r#""format": "crowdsec", "scope_headers": {"Country": "cf-ipcountry", "country": "x-country"}"#,
                r#"feeds[0].scope_headers.country: found "country"; allowed: each scope once, whatever the case of its letters"#,
            ),
        ];
        for (keys, expected) in table {
            let json = format!(r#"{{"feeds": [{{"name": "f", "cluster": "c", {keys}}}]}}"#);
            let errors = Config::parse(json.as_bytes(), &|_| None).unwrap_err();
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(errors, [expected]);
        }
    }
}
