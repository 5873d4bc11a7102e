//! The section `apis`: what may be asked of each API, and in which order they are matched.

use super::error::{Errors, Path, Problem};
use super::field::{is_second, read_names, read_text};
use super::raw::{Section, Value, wrong_type};
use super::value;
use super::{Api, Jwt, JwtLocation, Mode, UsernameSource};

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
];

pub(super) const USERNAME_KEYS: &[&str] = &["basic_auth", "header", "jwt_claim"];
pub(super) const JWT_KEYS: &[&str] = &["location", "username", "clientid"];

pub(super) fn read_apis(root: &Section<'_>, errors: &mut Errors) -> Vec<Api> {
    const ALLOWED: &str =
        "a list of API objects, such as [{\"api_id\": \"shop\", \"url\": \"/shop\"}]";
    let list = match root.value("apis") {
        Some(Value::Array(list)) => list.as_slice(),
        Some(other) => {
            root.report("apis", wrong_type(other, ALLOWED), errors);
            &[]
        }
        None => &[],
    };
    let list_path = root.path("apis");
    // With each API its number in the list, where its hostname and url could be read.
    let mut apis: Vec<(Option<usize>, Api)> = Vec::with_capacity(list.len());
    for (index, entry) in list.iter().enumerate() {
        let path = Path::Index(&list_path, index);
        let section = Section::open(path, Some(entry), API_KEYS, errors);
        let (api, is_placed) = read_api(&section, errors);
        let same = |(number, other): &(Option<usize>, Api)| {
            number.filter(|_| other.hostname == api.hostname && other.url == api.url)
        };
        if is_placed && let Some(earlier) = apis.iter().find_map(same) {
            errors.add(path, Problem::SameApi { earlier });
        }
        // Longest url first. With one and the same url a named host goes before any host, which would hide it.
        let goes_before = |(_, other): &(Option<usize>, Api)| {
            api.url.len() > other.url.len()
                || (api.url.len() == other.url.len()
                    && api.hostname.is_some()
                    && other.hostname.is_none())
        };
        let position = apis.iter().position(goes_before).unwrap_or(apis.len());
        apis.insert(position, (is_placed.then_some(index), api));
    }
    let mut apis: Vec<Api> = apis.into_iter().map(|(_, api)| api).collect();
    if !apis.last().is_some_and(Api::matches_every_request) {
        apis.push(Api::default());
    }
    apis
}

/// One API, and whether its hostname and url are what was typed.
fn read_api(section: &Section<'_>, errors: &mut Errors) -> (Api, bool) {
    let errors_before = errors.len();
    let hostname = read_text(
        section,
        "hostname",
        "\"*\" for any, or a host name, such as \"api.example.com\"",
        value::hostname,
        errors,
    )
    .filter(|hostname| hostname != "*");
    let url = read_text(
        section,
        "url",
        "a base path, such as \"/shop\"; \"/\" for any",
        value::base_path,
        errors,
    )
    .unwrap_or_default();
    let is_placed = !section.is_broken() && errors.len() == errors_before;
    let api_id = read_text(
        section,
        "api_id",
        "a name for logs and traffic information, such as \"shop\"",
        value::identifier_text,
        errors,
    );
    let is_shadow = is_second(
        section,
        "mode",
        ["enforce", "shadow"],
        "\"enforce\" or \"shadow\"",
        errors,
    );
    let api = Api {
        api_id: api_id.unwrap_or_else(|| default_api_id(hostname.as_deref(), &url)),
        hostname,
        url,
        enable_blocking: section.boolean("enable_blocking", true, errors),
        mode: if is_shadow {
            Mode::Shadow
        } else {
            Mode::Enforce
        },
        cookie: match section.value("cookie") {
            Some(Value::Null) => None,
            _ => read_names(
                section,
                "cookie",
                "a cookie's name, or a list of names; null for every cookie, [] for none",
                value::cookie_name,
                errors,
            ),
        },
        oauth2_access_token: section.boolean("oauth2_access_token", true, errors),
        oauth2_query: read_names(
            section,
            "oauth2_query",
            "a list of names of query parameters, such as [\"access_token\"]; [] for none",
            value::identifier_text,
            errors,
        )
        .unwrap_or_else(|| vec!["access_token".to_owned()]),
        oauth2_cookie: read_names(
            section,
            "oauth2_cookie",
            "a cookie's name, or a list of names; [] for none",
            value::cookie_name,
            errors,
        )
        .unwrap_or_default(),
        path_parameters: read_names(
            section,
            "path_parameters",
            "a list of names of path parameters, such as [\"jsessionid\"]; [] for none",
            value::identifier_text,
            errors,
        )
        .unwrap_or_else(|| vec!["jsessionid".to_owned()]),
        url_case_insensitive: section.boolean("url_case_insensitive", false, errors),
        jwt: read_jwt(section, errors),
        apikey_header: read_names(
            section,
            "apikey_header",
            "a list of header names, such as [\"x-api-key\"]; [] for none",
            value::header_name,
            errors,
        )
        .unwrap_or_else(|| vec!["x-api-key".to_owned()]),
        apikey_qs: read_names(
            section,
            "apikey_qs",
            "a list of names of query parameters, such as [\"api_key\"]; [] for none",
            value::identifier_text,
            errors,
        )
        .unwrap_or_else(|| vec!["api_key".to_owned()]),
        username: read_username(section, errors),
    };
    (api, is_placed)
}

/// An API is told by its place where it has no name.
fn default_api_id(hostname: Option<&str>, url: &str) -> String {
    let mut api_id = hostname.unwrap_or("*").to_owned();
    api_id.push_str(if url.is_empty() { "/" } else { url });
    api_id
}

/// Reads the object by which ASE's API JSON says where a JSON web token is, and which claims name the user and the client.
/// Empty strings, as the vendor's samples have them, count as absent.
fn read_jwt(section: &Section<'_>, errors: &mut Errors) -> Option<Jwt> {
    const CLAIM: &str = "the name of a claim, such as \"username\"";
    if !section.has("jwt") {
        return None;
    }
    let jwt = section.section("jwt", JWT_KEYS, errors);
    let location = read_text(
        &jwt,
        "location",
        "\"h:authorization:bearer\", \"h:\" and a header's name, or \"qs:\" and a parameter's name, such as \"h:x-jwt\"",
        |text| value::jwt_location(text).map(|_| text.to_owned()),
        errors,
    );
    let location = location.and_then(|text| value::jwt_location(&text).ok());
    let mut claim = |key| {
        let parse = |text: &str| match text {
            "" => Ok(String::new()),
            _ => value::identifier_text(text),
        };
        read_text(&jwt, key, CLAIM, parse, errors).filter(|claim| !claim.is_empty())
    };
    let (username, client_id) = (claim("username"), claim("clientid"));
    Some(Jwt {
        location: location.unwrap_or(JwtLocation::Authorization),
        username,
        client_id,
    })
}

fn read_username(section: &Section<'_>, errors: &mut Errors) -> Vec<UsernameSource> {
    const SOURCES: &str = "a list of sources: {\"basic_auth\": true}, {\"header\": \"x-user\"} or {\"jwt_claim\": \"sub\"}; [] for none";
    const ONE: &str = "one source an object: {\"basic_auth\": true}, {\"header\": \"x-user\"} or {\"jwt_claim\": \"sub\"}";
    let list = match section.value("username") {
        Some(Value::Array(list)) => list,
        Some(other) => {
            section.report("username", wrong_type(other, SOURCES), errors);
            return Vec::new();
        }
        None => {
            return vec![
                UsernameSource::BasicAuth,
                UsernameSource::JwtClaim("sub".to_owned()),
            ];
        }
    };
    let list_path = section.path("username");
    let mut sources = Vec::with_capacity(list.len());
    for (index, entry) in list.iter().enumerate() {
        let path = Path::Index(&list_path, index);
        let source = Section::open(path, Some(entry), USERNAME_KEYS, errors);
        if source.is_broken() {
            continue;
        }
        match source.entries().len() {
            0 => errors.add(path, Problem::refused("an empty object", ONE)),
            1 => {}
            _ => errors.add(path, Problem::refused("an object with several keys", ONE)),
        }
        match source.value("basic_auth") {
            None => {}
            Some(Value::Bool(true)) => sources.push(UsernameSource::BasicAuth),
            Some(Value::Bool(false)) => {
                let allowed = "true; leave this source out to not use it";
                source.report("basic_auth", Problem::refused("false", allowed), errors);
            }
            Some(other) => source.report("basic_auth", wrong_type(other, "true"), errors),
        }
        let header = read_text(
            &source,
            "header",
            "a header name, such as \"x-user\"",
            value::header_name,
            errors,
        );
        sources.extend(header.map(UsernameSource::Header));
        let claim = read_text(
            &source,
            "jwt_claim",
            "the name of a claim, such as \"sub\"",
            value::identifier_text,
            errors,
        );
        sources.extend(claim.map(UsernameSource::JwtClaim));
    }
    sources
}

impl Api {
    /// Whether every request is for this API.
    pub fn matches_every_request(&self) -> bool {
        self.hostname.is_none() && self.url.is_empty()
    }
}

impl Default for Api {
    /// An API that matches every request, with every default.
    fn default() -> Self {
        let mut errors = Errors::default();
        let all = Section::open(Path::Root, None, API_KEYS, &mut errors);
        read_api(&all, &mut errors).0
    }
}
