//! The section `apis`: the rules of each API, and the order in which APIs are matched. `request` applies the rules.

use core::cmp::Reverse;
use std::sync::Arc;

use super::error::Problem;
use super::feed::{Feed, FeedFormat};
use super::jwt::{Jwt, read_jwt};
use super::report::Report;
use super::section::Section;
use super::tree::Value;
use super::value;
use super::warning::Notice;

pub(super) const API_KEYS: &[&str] = &[
    "api_id",
    "hostname",
    "url",
    "enable_blocking",
    "mode",
    "cookie",
    "oauth2_access_token",
    "oauth2_query",
    "oauth2_cookie",
    "path_parameters",
    "url_case_insensitive",
    "jwt",
    "apikey_header",
    "apikey_qs",
    "username",
    "feeds",
];

pub(super) const USERNAME_KEYS: &[&str] = &["basic_auth", "header", "jwt_claim"];

/// One API and its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Name, for logs and traffic information.
    pub api_id: String,
    /// Host name, in lower case; `None` for any.
    pub hostname: Option<String>,
    /// Base path, matched on whole segments, without a trailing slash; empty for any.
    pub url: String,
    /// False: ABS's list never blocks here.
    pub enable_blocking: bool,
    /// Whether a deny is enforced or only counted.
    pub mode: Mode,
    /// The cookies that count; `None` for every cookie.
    pub cookie: Option<Vec<String>>,
    /// Whether the bearer token counts.
    pub oauth2_access_token: bool,
    /// Query parameters that carry a bearer token.
    pub oauth2_query: Vec<String>,
    /// Cookies that carry a bearer token.
    pub oauth2_cookie: Vec<String>,
    /// Path parameters that carry the cookie of the same name.
    pub path_parameters: Vec<String>,
    /// Whether `url` matches in any letter case.
    pub url_case_insensitive: bool,
    /// Where a JSON web token is besides the bearer token, and the meaning of its claims.
    pub jwt: Option<Jwt>,
    /// Headers that carry an API key, in lower case.
    pub apikey_header: Vec<String>,
    /// Query parameters that carry an API key.
    pub apikey_qs: Vec<String>,
    /// The sources of user names.
    pub username: Vec<UsernameSource>,
    /// The feeds that count, by name; `None` for all.
    pub feeds: Option<Vec<Arc<str>>>,
    /// Headers whose values feeds list, such as that of a client's country; in lower case, each once.
    pub scope_headers: Vec<String>,
    /// For each feed of revoked tokens, the claims of its entries: at most
    /// [`MAX_TOKEN_CLAIMS`](crate::identifier::MAX_TOKEN_CLAIMS), each once.
    pub token_claims: Vec<Vec<String>>,
}

/// A source of user names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsernameSource {
    /// The user of HTTP Basic authentication (RFC 7617).
    BasicAuth,
    /// A header, its name in lower case.
    Header(String),
    /// A claim of the bearer token, read as an unverified JWT (RFC 7519).
    JwtClaim(String),
}

/// Whether a deny is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Denied requests get the deny response.
    Enforce,
    /// Denied requests pass; they are counted and marked.
    Shadow,
}

impl Api {
    /// Whether the feed with this name counts.
    pub fn counts_feed(&self, name: &str) -> bool {
        let names = self.feeds.as_ref();
        names.is_none_or(|names| names.iter().any(|known| **known == *name))
    }
}

impl Api {
    fn add_feed(&mut self, feed: &Feed) {
        match &feed.format {
            FeedFormat::Crowdsec(options) if feed.kinds.header => {
                for (_, header) in &options.scope_headers {
                    if !self.scope_headers.contains(header) {
                        self.scope_headers.push(header.clone());
                    }
                }
            }
            FeedFormat::Tokens { claims } if !self.token_claims.contains(claims) => {
                self.token_claims.push(claims.clone());
            }
            _ => {}
        }
    }
}

impl Default for Api {
    /// An API that matches every request, with all defaults.
    fn default() -> Self {
        let report = Report::default();
        let section = Section::open(String::new(), None, API_KEYS, &report);
        read_api(&section, (None, String::new()), &[])
    }
}

/// The APIs in matching order. The last one, the catch-all, matches every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apis {
    others: Vec<Api>,
    catch_all: Api,
}

impl Apis {
    /// Orders the APIs: longest url first, and of equal urls those with a hostname first. If none matches every request, adds
    /// one with all defaults.
    pub fn new(apis: Vec<Api>) -> Self {
        let order = |api: &Api| (Reverse(api.url.len()), api.hostname.is_none());
        let mut others: Vec<Api> = Vec::with_capacity(apis.len());
        for api in apis {
            let index = others.partition_point(|other| order(other) <= order(&api));
            others.insert(index, api);
        }
        let catch_all = others.pop_if(|api| api.hostname.is_none() && api.url.is_empty());
        Self {
            others,
            catch_all: catch_all.unwrap_or_default(),
        }
    }

    /// Adds to each API what the feeds that count for it read from requests.
    pub(super) fn add_feeds(&mut self, feeds: &[Feed]) {
        for api in self.others.iter_mut().chain([&mut self.catch_all]) {
            for feed in feeds {
                if api.counts_feed(&feed.name) {
                    api.add_feed(feed);
                }
            }
        }
    }

    /// All APIs in matching order.
    pub fn iter(&self) -> impl Iterator<Item = &Api> {
        self.others.iter().chain([&self.catch_all])
    }

    /// The first API for which `matches` is true, otherwise the catch-all.
    pub fn find(&self, matches: impl Fn(&Api) -> bool) -> &Api {
        let found = self.others.iter().find(|api| matches(api));
        found.unwrap_or(&self.catch_all)
    }

    /// The catch-all, if there is no other API.
    pub fn single(&self) -> Option<&Api> {
        self.others.is_empty().then_some(&self.catch_all)
    }
}

pub(super) fn read_apis(root: &Section<'_>, feed_names: &[Arc<str>]) -> Apis {
    const ALLOWED: &str =
        "a list of API objects, such as [{\"api_id\": \"shop\", \"url\": \"/shop\"}]";
    let mut apis: Vec<Api> = Vec::new();
    // Hostname and url of each API, `None` where one of them is invalid.
    let mut places: Vec<Option<(Option<String>, String)>> = Vec::new();
    for section in root
        .sections("apis", API_KEYS, ALLOWED)
        .into_iter()
        .flatten()
    {
        let place = read_place(&section);
        if place.is_some()
            && let Some(earlier) = places.iter().position(|other| *other == place)
        {
            section.reject_whole(Problem::SameApi { earlier });
        }
        let place_or_any = place.clone().unwrap_or_default();
        apis.push(read_api(&section, place_or_any, feed_names));
        places.push(place);
    }
    Apis::new(apis)
}

fn read_feeds(section: &Section<'_>, feed_names: &[Arc<str>]) -> Option<Vec<Arc<str>>> {
    let allowed = "a list of names of feeds, \"abs\" for that of ABS; omit it for all";
    section.nullable().texts("feeds", allowed, |text| {
        let mut names = feed_names.iter();
        let name = names.find(|name| &***name == text).cloned();
        name.ok_or_else(|| Problem::UnknownFeed {
            found: text.to_owned(),
            known: feed_names.iter().map(ToString::to_string).collect(),
        })
    })
}

/// Hostname and url; `None` where one of them is invalid.
fn read_place(section: &Section<'_>) -> Option<(Option<String>, String)> {
    let hostname = section.text(
        "hostname",
        "\"*\" for any, or a host name, such as \"api.example.com\"",
        value::hostname,
    );
    let url = section.text(
        "url",
        "a base path, such as \"/shop\"; \"/\" for any",
        value::base_path,
    );
    let is_valid = !section.is_broken()
        && hostname.is_some() == section.has("hostname")
        && url.is_some() == section.has("url");
    is_valid.then(|| (hostname.flatten(), url.unwrap_or_default()))
}

fn read_api(
    section: &Section<'_>,
    (hostname, url): (Option<String>, String),
    feed_names: &[Arc<str>],
) -> Api {
    let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    let api_id = section.text(
        "api_id",
        "a name for logs and traffic information, such as \"shop\"",
        value::identifier_text,
    );
    let mode = section.choice(
        "mode",
        [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)],
        "\"enforce\" or \"shadow\"",
    );
    let cookie = section.nullable().texts(
        "cookie",
        "a cookie's name, or a list of names; null for every cookie, [] for none",
        value::cookie_name,
    );
    let oauth2_query = section.texts(
        "oauth2_query",
        "a list of names of query parameters, such as [\"access_token\"]; [] for none",
        value::identifier_text,
    );
    let oauth2_cookie = section.texts(
        "oauth2_cookie",
        "a cookie's name, or a list of names; [] for none",
        value::cookie_name,
    );
    let path_parameters = section.texts(
        "path_parameters",
        "a list of names of path parameters, such as [\"jsessionid\"]; [] for none",
        value::identifier_text,
    );
    let apikey_header = section.texts(
        "apikey_header",
        "a list of header names, such as [\"x-api-key\"]; [] for none",
        value::header_name,
    );
    let apikey_qs = section.texts(
        "apikey_qs",
        "a list of names of query parameters, such as [\"api_key\"]; [] for none",
        value::identifier_text,
    );
    let default_id = || {
        let path = if url.is_empty() { "/" } else { &url };
        format!("{}{path}", hostname.as_deref().unwrap_or("*"))
    };
    Api {
        api_id: api_id.unwrap_or_else(default_id),
        enable_blocking: section.boolean("enable_blocking", true),
        mode: mode.unwrap_or(Mode::Enforce),
        cookie,
        oauth2_access_token: section.boolean("oauth2_access_token", true),
        oauth2_query: oauth2_query.unwrap_or_else(|| strings(&["access_token"])),
        oauth2_cookie: oauth2_cookie.unwrap_or_default(),
        path_parameters: path_parameters.unwrap_or_else(|| strings(&["jsessionid"])),
        url_case_insensitive: section.boolean("url_case_insensitive", false),
        jwt: read_jwt(section),
        apikey_header: apikey_header.unwrap_or_else(|| strings(&["x-api-key"])),
        apikey_qs: apikey_qs.unwrap_or_else(|| strings(&["api_key"])),
        username: read_username(section),
        feeds: read_feeds(section, feed_names),
        scope_headers: Vec::new(),
        token_claims: Vec::new(),
        hostname,
        url,
    }
}

fn read_username(section: &Section<'_>) -> Vec<UsernameSource> {
    const SOURCES: &str = "a list of sources: {\"basic_auth\": true}, {\"header\": \"x-user\"} or {\"jwt_claim\": \"sub\"}; [] for none";
    const ONE: &str = "one source per object: {\"basic_auth\": true}, {\"header\": \"x-user\"} or {\"jwt_claim\": \"sub\"}";
    let Some(list) = section.sections("username", USERNAME_KEYS, SOURCES) else {
        let subject = UsernameSource::JwtClaim("sub".to_owned());
        return vec![UsernameSource::BasicAuth, subject];
    };
    let mut sources = Vec::new();
    for source in list.filter(|source| !source.is_broken()) {
        match source.entries() {
            [] => source.reject_whole(Problem::invalid("an empty object", ONE)),
            [(first, _), rest @ ..] if rest.iter().any(|(key, _)| key != first) => {
                source.reject_whole(Problem::invalid("an object with several keys", ONE));
            }
            _ => {}
        }
        match source.value("basic_auth") {
            None => {}
            Some(Value::Bool(true)) => sources.push(UsernameSource::BasicAuth),
            Some(Value::Bool(false)) => {
                let allowed = "true; omit this source to disable it";
                source.reject("basic_auth", Problem::invalid("false", allowed));
            }
            Some(other) => source.reject("basic_auth", Problem::wrong_type(other, "true")),
        }
        let header = source.text(
            "header",
            "a header name, such as \"x-user\"",
            value::header_name,
        );
        sources.extend(header.map(UsernameSource::Header));
        let claim = source.text(
            "jwt_claim",
            "the name of a claim, such as \"sub\"",
            value::identifier_text,
        );
        sources.extend(claim.map(UsernameSource::JwtClaim));
    }
    sources
}

/// Warns about each API that does not block and that a client can select by its `Host` header.
pub(super) fn warn_of_chosen_by_host(apis: &Apis, root: &Section<'_>) {
    for api in apis.iter() {
        let setting = match (api.enable_blocking, api.mode) {
            (false, _) => "enable_blocking: false",
            (true, Mode::Shadow) => "mode: shadow",
            (true, Mode::Enforce) => continue,
        };
        if let Some(hostname) = &api.hostname {
            let notice = Notice::ChosenByHost {
                api_id: api.api_id.clone(),
                hostname: hostname.clone(),
                setting,
            };
            root.report().warning(root.path_of("apis"), notice);
        }
    }
}
