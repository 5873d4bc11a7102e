//! Which of a request's identifiers a record reports: each one separately, so that no other value can hide it.
//!
//! ABS can list only what it sees. Headers are read strictly by the RFCs; the tolerant readings are for the verdict. No
//! part of a password is reported. `record` writes them.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::config::{Api, JwtLocation, UsernameSource};
use crate::request::{
    RequestHeaders, authorizations, basic_username, bearer_token, query_values, visit_cookies,
    visit_jwt_claims,
};

/// A longer identifier is omitted: truncated, it would be another one. A longer Cookie header is split.
pub const LONGEST_VALUE: usize = 8 * 1024;

/// A longer URL is truncated to this many bytes.
pub const LONGEST_URL: usize = 8 * 1024;

/// The number of tokens of a request that are parsed for claims.
const MAX_JWTS: usize = 64;

/// All but the unreserved characters (RFC 3986, 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Each bearer token. A token with white space is reported word by word: servers that split it at spaces differ in the
/// word they use. Stops at the name of another scheme, since a password may follow.
pub fn visit_tokens(headers: &RequestHeaders, visit: &mut dyn FnMut(&[u8])) {
    for value in single_authorizations(headers).filter_map(bearer_token) {
        let words = value.split(is_space).filter(|word| !word.is_empty());
        for word in words.take_while(|word| !is_password_scheme(word)) {
            if word.len() <= LONGEST_VALUE {
                visit(word);
            }
        }
    }
}

/// The cookies that the API reads, as Cookie headers of at most [`LONGEST_VALUE`].
pub fn visit_cookie_headers(api: &Api, headers: &RequestHeaders, visit: &mut dyn FnMut(&[u8])) {
    let is_read = |name: &[u8]| match &api.cookie {
        None => true,
        Some(names) => is_among(names, name) || is_among(&api.oauth2_cookie, name),
    };
    let mut header = Vec::new();
    for value in headers.values("cookie") {
        visit_cookies(value, &mut |name, value| {
            let length = name.len().saturating_add(value.len()).saturating_add(3);
            if !is_read(name) || length > LONGEST_VALUE {
                return;
            }
            if header.len().saturating_add(length) > LONGEST_VALUE {
                visit(&header);
                header.clear();
            }
            if !header.is_empty() {
                header.extend_from_slice(b"; ");
            }
            header.extend_from_slice(name);
            header.push(b'=');
            header.extend_from_slice(value);
        });
    }
    if !header.is_empty() {
        visit(&header);
    }
}

/// The URL. Beyond [`LONGEST_URL`] it is truncated, and only those parameters are kept that carry the API's keys, tokens
/// and sessions.
pub fn url<'h>(api: &Api, headers: &'h RequestHeaders) -> Cow<'h, [u8]> {
    let path = headers.path();
    if path.len() <= LONGEST_URL {
        return Cow::Borrowed(path);
    }
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let base = path.get(..end.unwrap_or(path.len())).unwrap_or(path);
    let mut url = base.get(..LONGEST_URL).unwrap_or(base).to_vec();
    if base.len() > url.len() {
        for parameter in base.split(|byte| matches!(byte, b'/' | b';')) {
            let name = parameter.split(|byte| *byte == b'=').next();
            let mut known = api.path_parameters.iter();
            if known.any(|known| name.is_some_and(|n| n.eq_ignore_ascii_case(known.as_bytes())))
                && parameter.len() <= LONGEST_VALUE
            {
                url.push(b';');
                url.extend_from_slice(parameter);
            }
        }
    }
    let mut separator = b'?';
    for name in query_names(api) {
        query_values(path, name, &mut |value| {
            if !value.is_empty() && value.len() <= LONGEST_VALUE {
                url.push(separator);
                separator = b'&';
                url.extend(percent_encode(name.as_bytes(), ENCODED).flat_map(str::bytes));
                url.push(b'=');
                url.extend(percent_encode(value, ENCODED).flat_map(str::bytes));
            }
        });
    }
    Cow::Owned(url)
}

/// The query parameters that carry identifiers.
fn query_names(api: &Api) -> impl Iterator<Item = &str> {
    let keys = api.apikey_qs.iter().map(String::as_str);
    keys.chain(token_query_names(api))
}

/// The user names, from the API's sources.
pub fn visit_usernames(api: &Api, headers: &RequestHeaders, visit: &mut dyn FnMut(&[u8])) {
    let mut claims: Vec<&str> = Vec::new();
    for source in &api.username {
        match source {
            UsernameSource::BasicAuth => {
                for value in single_authorizations(headers) {
                    let name = first_word_credentials(value).and_then(basic_username);
                    if let Some(name) = name.filter(|name| name.len() <= LONGEST_VALUE) {
                        visit(&name);
                    }
                }
            }
            UsernameSource::Header(header) => {
                for name in headers.values(header).map(<[u8]>::trim_ascii) {
                    if !name.is_empty() && name.len() <= LONGEST_VALUE {
                        visit(name);
                    }
                }
            }
            UsernameSource::JwtClaim(claim) => claims.push(claim),
        }
    }
    claims.extend(api.jwt.as_ref().and_then(|jwt| jwt.username.as_deref()));
    visit_claims(api, headers, &claims, visit);
}

/// The OAuth clients of the tokens: the claim that the API names, otherwise the one of RFC 9068, 2.2.
pub fn visit_client_ids(api: &Api, headers: &RequestHeaders, visit: &mut dyn FnMut(&[u8])) {
    let of_jwt = api.jwt.as_ref().and_then(|jwt| jwt.client_id.as_deref());
    visit_claims(api, headers, &[of_jwt.unwrap_or("client_id")], visit);
}

fn visit_claims(
    api: &Api,
    headers: &RequestHeaders,
    claims: &[&str],
    visit: &mut dyn FnMut(&[u8]),
) {
    if claims.is_empty() {
        return;
    }
    let mut tokens = 0usize;
    let mut visit_token = |token: &[u8]| {
        if tokens < MAX_JWTS && token.len() <= LONGEST_VALUE && token.contains(&b'.') {
            tokens = tokens.saturating_add(1);
            visit_jwt_claims(token, claims, visit);
        }
    };
    visit_tokens(headers, &mut visit_token);
    for name in token_query_names(api) {
        query_values(headers.path(), name, &mut visit_token);
    }
    if let Some(name) = jwt_header(api) {
        for value in headers.values(name) {
            visit_token(bearer_token(value).unwrap_or_else(|| value.trim_ascii()));
        }
    }
    if !api.oauth2_cookie.is_empty() {
        for value in headers.values("cookie") {
            visit_cookies(value, &mut |name, value| {
                if is_among(&api.oauth2_cookie, name) {
                    visit_token(value);
                }
            });
        }
    }
}

/// The header that carries the API's JSON web token, except for Authorization.
pub fn jwt_header(api: &Api) -> Option<&str> {
    match api.jwt.as_ref().map(|jwt| &jwt.location) {
        Some(JwtLocation::Header(name)) => Some(name),
        Some(JwtLocation::Authorization | JwtLocation::Query(_)) | None => None,
    }
}

/// The query parameters that carry tokens.
fn token_query_names(api: &Api) -> impl Iterator<Item = &str> {
    let of_jwt = match api.jwt.as_ref().map(|jwt| &jwt.location) {
        Some(JwtLocation::Query(name)) => Some(name.as_str()),
        Some(JwtLocation::Authorization | JwtLocation::Header(_)) | None => None,
    };
    api.oauth2_query.iter().map(String::as_str).chain(of_jwt)
}

/// Whether `name` is one of `names`.
pub(super) fn is_among(names: &[String], name: &[u8]) -> bool {
    names.iter().any(|known| known.as_bytes() == name)
}

/// Each Authorization value, joined ones separately: decoded together, the bits of one password would become part of the
/// other user name.
fn single_authorizations(headers: &RequestHeaders) -> impl Iterator<Item = &[u8]> {
    authorizations(headers).filter(|value| !value.contains(&b','))
}

/// The scheme and the first word after it; the rest may be part of a password.
fn first_word_credentials(authorization: &[u8]) -> Option<&[u8]> {
    let value = authorization.trim_ascii();
    let scheme = value.iter().position(is_space)?;
    let rest = value.get(scheme..)?;
    let start = scheme.saturating_add(rest.iter().position(|byte| !is_space(byte))?);
    let word = value.get(start..)?;
    let length = word.iter().position(is_space).unwrap_or(word.len());
    value.get(..start.saturating_add(length))
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Schemes with credentials that may reveal a password.
fn is_password_scheme(word: &[u8]) -> bool {
    ["basic", "digest", "ntlm", "negotiate"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()))
}
