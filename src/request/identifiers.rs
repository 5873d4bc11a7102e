//! The identifiers of a request, by the rules of its API.
//!
//! Owns which parts of a request carry which kind. How each part is read is decided in the files beside this one.

use super::authorization::{
    authorizations, basic_username, bearer_token, visit_token_readings, visit_user_readings,
};
use super::cookies::{visit_cookie_readings, visit_cookies};
use super::headers::RequestHeaders;
use super::jwt::{self, visit_jwt_claims};
use super::query::{query_values, visit_path_parameters, visit_query_readings};
use super::text::{trim_ows, words};
use crate::config::{Api, JwtLocation, UsernameSource};
use crate::identifier::{ClientIdentifier, PerKind, is_same_cookie_name};

/// So many JSON web tokens are decoded from the front of a request, and as many from its end. Servers read one: the first,
/// the second or the last.
const MAX_JWTS: usize = 16;

/// So many words of a header's value are looked at from either end, beside the whole value.
const MAX_WORDS: usize = 16;

/// Calls `visit` with every identifier of the `wanted` kinds that the request carries by the rules of `api`, read as the
/// RFCs say. Kinds that are not wanted cost nothing. The same identifier may come more than once.
pub fn visit_identifiers(
    api: &Api,
    headers: &RequestHeaders,
    wanted: PerKind<bool>,
    visit: &mut dyn FnMut(ClientIdentifier<'_>),
) {
    let mut visit = |identifier: ClientIdentifier<'_>| {
        if !identifier.is_empty() {
            visit(identifier);
        }
    };
    if wanted.cookie {
        for header in headers.values("cookie") {
            visit_cookies(header, &mut |name, value| {
                if counts(api, name) {
                    visit(ClientIdentifier::Cookie { name, value });
                }
            });
        }
        visit_cookies_in_path(api, headers, &mut visit);
    }
    if wanted.oauth_token && api.oauth2_access_token {
        for token in authorizations(headers).filter_map(bearer_token) {
            visit(ClientIdentifier::OauthToken(token));
        }
        for name in &api.oauth2_query {
            query_values(headers.path(), name, &mut |token| {
                visit(ClientIdentifier::OauthToken(token));
            });
        }
        visit_token_cookies(api, headers, visit_cookies, &mut |token| {
            visit(ClientIdentifier::OauthToken(token));
        });
    }
    if wanted.api_key {
        for name in &api.apikey_header {
            for value in headers.values(name) {
                visit(ClientIdentifier::ApiKey(trim_ows(value)));
            }
        }
        for name in &api.apikey_qs {
            query_values(headers.path(), name, &mut |value| {
                visit(ClientIdentifier::ApiKey(value));
            });
        }
    }
    if wanted.username {
        for source in &api.username {
            match source {
                UsernameSource::BasicAuth => {
                    for name in authorizations(headers).filter_map(basic_username) {
                        visit(ClientIdentifier::Username(&name));
                    }
                }
                UsernameSource::Header(header) => {
                    for value in headers.values(header) {
                        visit(ClientIdentifier::Username(trim_ows(value)));
                    }
                }
                UsernameSource::JwtClaim(_) => {}
            }
        }
        let claims = username_claims(api);
        let mut visit_name = |name: &[u8]| visit(ClientIdentifier::Username(name));
        let tokens: Vec<&[u8]> = authorizations(headers).filter_map(bearer_token).collect();
        visit_claims_of(&tokens, &claims, &mut visit_name);
        visit_tokens_elsewhere(api, headers, &mut |token| {
            visit_jwt_claims(token, &claims, &mut visit_name);
        });
    }
}

/// Calls `visit` with every reading of every identifier of the `wanted` kinds: whatever a common server may take for one.
/// Holds all that [`visit_identifiers`] gives. The same reading may come more than once.
pub fn visit_readings(
    api: &Api,
    headers: &RequestHeaders,
    wanted: PerKind<bool>,
    visit: &mut dyn FnMut(ClientIdentifier<'_>),
) {
    let mut visit = |identifier: ClientIdentifier<'_>| {
        if !identifier.is_empty() {
            visit(identifier);
        }
    };
    if wanted.cookie {
        for header in headers.values("cookie") {
            visit_cookie_readings(header, &mut |name, value| {
                if counts(api, name) {
                    visit(ClientIdentifier::Cookie { name, value });
                }
            });
        }
        visit_cookies_in_path(api, headers, &mut visit);
    }
    let reads_tokens = wanted.oauth_token && api.oauth2_access_token;
    let reads_keys = wanted.api_key && !(api.apikey_header.is_empty() && api.apikey_qs.is_empty());
    let claims = if wanted.username {
        username_claims(api)
    } else {
        Vec::new()
    };
    if reads_tokens || reads_keys || !claims.is_empty() {
        for value in headers.values("authorization") {
            let mut jwts: Vec<&[u8]> = Vec::new();
            visit_token_readings(value, &mut |word| {
                if reads_tokens {
                    visit(ClientIdentifier::OauthToken(word));
                }
                if reads_keys {
                    visit(ClientIdentifier::ApiKey(word));
                }
                if !claims.is_empty() && jwt::payload(word).is_some() {
                    jwts.push(word);
                }
            });
            visit_claims_of(&jwts, &claims, &mut |name| {
                visit(ClientIdentifier::Username(name));
            });
        }
    }
    if reads_tokens || !claims.is_empty() {
        visit_tokens_elsewhere(api, headers, &mut |token| {
            if reads_tokens {
                visit(ClientIdentifier::OauthToken(token));
            }
            visit_jwt_claims(token, &claims, &mut |name| {
                visit(ClientIdentifier::Username(name));
            });
        });
    }
    if reads_keys {
        for name in &api.apikey_header {
            for value in headers.values(name) {
                visit_words(value, &mut |word| visit(ClientIdentifier::ApiKey(word)));
            }
        }
        visit_query_readings(headers.path(), &api.apikey_qs, &mut |value| {
            visit(ClientIdentifier::ApiKey(value));
        });
    }
    if wanted.username {
        visit_usernames(api, headers, &mut |name| {
            visit(ClientIdentifier::Username(name));
            if let Some(name) = latin_1(name) {
                visit(ClientIdentifier::Username(name.as_bytes()));
            }
        });
    }
}

fn visit_usernames(api: &Api, headers: &RequestHeaders, visit: &mut dyn FnMut(&[u8])) {
    for source in &api.username {
        match source {
            UsernameSource::BasicAuth => {
                for value in headers.values("authorization") {
                    visit_user_readings(value, visit);
                }
            }
            UsernameSource::Header(header) => {
                headers.values(header).map(trim_ows).for_each(&mut *visit);
            }
            UsernameSource::JwtClaim(_) => {}
        }
    }
}

/// The claims that name users.
fn username_claims(api: &Api) -> Vec<&str> {
    let claims = api.username.iter().filter_map(|source| match source {
        UsernameSource::JwtClaim(claim) => Some(claim.as_str()),
        UsernameSource::BasicAuth | UsernameSource::Header(_) => None,
    });
    let of_jwt = api.jwt.as_ref().and_then(|jwt| jwt.username.as_deref());
    claims.chain(of_jwt).collect()
}

/// Calls `visit` with each value that `claims` have in the first and the last of these tokens.
fn visit_claims_of(tokens: &[&[u8]], claims: &[&str], visit: &mut dyn FnMut(&[u8])) {
    let from_end = tokens.len().saturating_sub(MAX_JWTS).max(MAX_JWTS);
    let last = tokens.iter().skip(from_end);
    for token in tokens.iter().take(MAX_JWTS).chain(last) {
        visit_jwt_claims(token, claims, visit);
    }
}

/// The tokens outside of the Authorization header.
fn visit_tokens_elsewhere(api: &Api, headers: &RequestHeaders, visit: &mut dyn FnMut(&[u8])) {
    visit_query_readings(headers.path(), &api.oauth2_query, visit);
    visit_token_cookies(api, headers, visit_cookie_readings, visit);
    visit_tokens_at_location(api, headers, visit);
}

/// The tokens where `jwt.location` says that they are, if not in the Authorization header.
fn visit_tokens_at_location(api: &Api, headers: &RequestHeaders, visit: &mut dyn FnMut(&[u8])) {
    match api.jwt.as_ref().map(|jwt| &jwt.location) {
        Some(JwtLocation::Header(name)) => {
            for value in headers.values(name) {
                visit_words(value, visit);
            }
        }
        Some(JwtLocation::Query(name)) => {
            let names = core::slice::from_ref(name);
            visit_query_readings(headers.path(), names, visit);
        }
        Some(JwtLocation::Authorization) | None => {}
    }
}

/// One of the two ways in which a Cookie header is read.
type ReadCookies = fn(&[u8], &mut dyn FnMut(&[u8], &[u8]));

/// The bearer tokens in the cookies that `oauth2_cookie` names.
fn visit_token_cookies(
    api: &Api,
    headers: &RequestHeaders,
    read: ReadCookies,
    visit: &mut dyn FnMut(&[u8]),
) {
    if api.oauth2_cookie.is_empty() {
        return;
    }
    for header in headers.values("cookie") {
        read(header, &mut |name, value| {
            if names_include(&api.oauth2_cookie, name) {
                visit(value);
            }
        });
    }
}

/// Cookies that travel as path parameters, under the cookie's name in lower case.
fn visit_cookies_in_path(
    api: &Api,
    headers: &RequestHeaders,
    visit: &mut dyn FnMut(ClientIdentifier<'_>),
) {
    visit_path_parameters(headers.path(), &api.path_parameters, &mut |name, value| {
        let name = name.as_bytes();
        if counts(api, name) {
            visit(ClientIdentifier::Cookie { name, value });
        }
    });
}

/// Whether the API reads cookies of this name.
fn counts(api: &Api, name: &[u8]) -> bool {
    let names = api.cookie.as_ref();
    names.is_none_or(|names| names_include(names, name))
}

fn names_include(names: &[String], name: &[u8]) -> bool {
    names
        .iter()
        .any(|wanted| is_same_cookie_name(wanted.as_bytes(), name))
}

/// A header's value as a whole, and each of its words.
fn visit_words(value: &[u8], visit: &mut dyn FnMut(&[u8])) {
    let whole = trim_ows(value);
    visit(whole);
    if !whole
        .iter()
        .all(|byte| byte.is_ascii_graphic() && *byte != b',')
    {
        let mut words = words(whole, b",");
        words.by_ref().take(MAX_WORDS).for_each(&mut *visit);
        words.rev().take(MAX_WORDS).for_each(visit);
    }
}

/// A longer user name is read as UTF-8 only.
const MAX_LATIN_1: usize = 512;

/// The text that bytes beyond ASCII are for a server that reads them as Latin-1, in UTF-8.
fn latin_1(name: &[u8]) -> Option<String> {
    (!name.is_ascii() && name.len() <= MAX_LATIN_1)
        .then(|| name.iter().copied().map(char::from).collect())
}
