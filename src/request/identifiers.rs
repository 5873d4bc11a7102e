//! The identifiers of a request, by the rules of its API.
//!
//! Owns which parts of a request carry which kind; how each part is read is in `reading`.

use core::slice;

use super::claims::{self, WantedClaims};
use super::headers::RequestHeaders;
use super::jwt;
use super::query::visit_path_parameters;
use super::reading::{PLAIN, Reading, TOLERANT};
use super::text::trim_ows;
use crate::config::{Api, JwtLocation, UsernameSource};
use crate::identifier::{ClientIdentifier, PerKind, is_same_cookie_name};

/// The number of JSON web tokens that are decoded at each end of an Authorization header. Servers read the first, the second
/// or the last.
const MAX_JWTS: usize = 16;

/// Calls `visit` with every identifier of the `wanted` kinds that the request carries by the rules of `api`, read as the
/// RFCs define. Kinds that are not wanted cost nothing. The same identifier may be visited more than once.
pub fn visit_identifiers(
    api: &Api,
    headers: &RequestHeaders,
    wanted: PerKind<bool>,
    visit: &mut dyn FnMut(ClientIdentifier<'_>),
) {
    visit_all(&PLAIN, api, headers, wanted, visit);
}

/// As [`visit_identifiers`], with every reading of every identifier: everything that a common server may read as one.
pub fn visit_readings(
    api: &Api,
    headers: &RequestHeaders,
    wanted: PerKind<bool>,
    visit: &mut dyn FnMut(ClientIdentifier<'_>),
) {
    visit_all(&TOLERANT, api, headers, wanted, visit);
}

fn visit_all(
    reading: &Reading,
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
        let mut visit_cookie = |name: &[u8], value: &[u8]| {
            if counts(api, name) {
                visit(ClientIdentifier::Cookie { name, value });
            }
        };
        for header in headers.values("cookie") {
            (reading.cookies)(header, &mut visit_cookie);
        }
        // Named by the configuration, in lower case.
        visit_path_parameters(headers.path(), &api.path_parameters, &mut |name, value| {
            visit_cookie(name.as_bytes(), value);
        });
    }
    let reads_tokens = wanted.oauth_token && api.oauth2_access_token;
    let reads_keys = wanted.api_key && !(api.apikey_header.is_empty() && api.apikey_qs.is_empty());
    let reads_keys_in_authorization = reads_keys && reading.has_key_in_authorization;
    let reads_claims = claims::are_read(api, wanted);
    if reads_tokens || reads_keys_in_authorization || reads_claims {
        for value in headers.values("authorization") {
            let mut jwts: Vec<&[u8]> = Vec::new();
            (reading.tokens)(value, &mut |token| {
                if reads_tokens {
                    visit(ClientIdentifier::OauthToken(token));
                }
                if reads_keys_in_authorization {
                    visit(ClientIdentifier::ApiKey(token));
                }
                if reads_claims && jwt::payload(token).is_some() {
                    jwts.push(token);
                }
            });
            visit_claims_of(&jwts, api, wanted, &mut visit);
        }
    }
    if reads_tokens || reads_claims {
        visit_other_tokens(reading, api, headers, &mut |token| {
            if reads_tokens {
                visit(ClientIdentifier::OauthToken(token));
            }
            if reads_claims {
                visit_claims_of(&[token], api, wanted, &mut visit);
            }
        });
    }
    if reads_keys {
        let mut visit_key = |key: &[u8]| visit(ClientIdentifier::ApiKey(key));
        for name in &api.apikey_header {
            for value in headers.values(name) {
                (reading.header)(value, &mut visit_key);
            }
        }
        (reading.query)(headers.path(), &api.apikey_qs, &mut visit_key);
    }
    if wanted.header {
        visit_values(headers, &api.scope_headers, &mut |name, value| {
            (reading.exact)(value, &mut |value| {
                visit(ClientIdentifier::Header { name, value });
            });
        });
    }
    if wanted.username {
        visit_usernames(reading, api, headers, &mut |name| {
            visit(ClientIdentifier::Username(name));
        });
    }
}

/// Calls `visit` with each value of the headers `names`. One copy of this code is enough for headers that few APIs have.
fn visit_values(headers: &RequestHeaders, names: &[String], visit: &mut dyn FnMut(&str, &[u8])) {
    for name in names {
        for value in headers.values(name) {
            visit(name, value);
        }
    }
}

/// User names outside of tokens.
fn visit_usernames(
    reading: &Reading,
    api: &Api,
    headers: &RequestHeaders,
    visit: &mut dyn FnMut(&[u8]),
) {
    for source in &api.username {
        match source {
            UsernameSource::BasicAuth => {
                for value in headers.values("authorization") {
                    (reading.users)(value, &mut |name| (reading.username)(name, visit));
                }
            }
            UsernameSource::Header(header) => {
                visit_values(headers, slice::from_ref(header), &mut |_, value| {
                    (reading.username)(trim_ows(value), visit);
                });
            }
            UsernameSource::JwtClaim(_) => {}
        }
    }
}

/// Calls `visit` with what the claims of the first and last tokens identify.
fn visit_claims_of(
    tokens: &[&[u8]],
    api: &Api,
    wanted: PerKind<bool>,
    visit: &mut dyn FnMut(ClientIdentifier<'_>),
) {
    if tokens.is_empty() {
        return;
    }
    let claims = WantedClaims::new(api, wanted);
    let from_end = tokens.len().saturating_sub(MAX_JWTS).max(MAX_JWTS);
    let last = tokens.iter().skip(from_end);
    for token in tokens.iter().take(MAX_JWTS).chain(last) {
        claims.visit(token, visit);
    }
}

/// Tokens outside of the Authorization header.
fn visit_other_tokens(
    reading: &Reading,
    api: &Api,
    headers: &RequestHeaders,
    visit: &mut dyn FnMut(&[u8]),
) {
    (reading.query)(headers.path(), &api.oauth2_query, visit);
    if !api.oauth2_cookie.is_empty() {
        for header in headers.values("cookie") {
            (reading.cookies)(header, &mut |name, value| {
                if names_include(&api.oauth2_cookie, name) {
                    visit(value);
                }
            });
        }
    }
    match api.jwt.as_ref().map(|jwt| &jwt.location) {
        Some(JwtLocation::Header(name)) => {
            visit_values(headers, slice::from_ref(name), &mut |_, value| {
                (reading.header)(value, visit);
            });
        }
        Some(JwtLocation::Query(name)) => {
            (reading.query)(headers.path(), slice::from_ref(name), visit);
        }
        Some(JwtLocation::Authorization) | None => {}
    }
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
