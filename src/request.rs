//! Header bytes to client identifiers, by an API's rules.
//!
//! All of this runs for every request, on bytes that a client chose: nothing here fails, panics, or takes more than
//! the bytes at hand. What can't be read identifies nobody. Every repeated header and parameter counts, so that a
//! listed identifier can't hide behind a clean one. Knows nothing of lists (see `blocklist` and `verdict`).

use core::fmt;
use std::borrow::Cow;

use crate::config::{Api, UsernameSource};
use crate::identifier::{Fingerprint, FingerprintKey, IdentifierKind, PerKind};
use crate::json::{self, Events, Scalar};

/// One identifier that a request carries. The address is not among them: Envoy tells it (`source.address`).
///
/// The value is never empty, and never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum IdentifierRef<'a> {
    /// One cookie.
    Cookie {
        /// Its name, byte for byte.
        name: &'a [u8],
        /// Its value, without enclosing double quotes.
        value: &'a [u8],
    },
    /// A bearer token, byte for byte.
    OauthToken(&'a [u8]),
    /// An API key's value.
    ApiKey(&'a [u8]),
    /// A user name.
    Username(&'a [u8]),
}

impl IdentifierRef<'_> {
    /// Which kind it is.
    pub const fn kind(&self) -> IdentifierKind {
        match self {
            IdentifierRef::Cookie { .. } => IdentifierKind::Cookie,
            IdentifierRef::OauthToken(_) => IdentifierKind::OauthToken,
            IdentifierRef::ApiKey(_) => IdentifierKind::ApiKey,
            IdentifierRef::Username(_) => IdentifierKind::Username,
        }
    }

    /// What it is looked up by.
    pub fn fingerprint(&self, key: &FingerprintKey) -> Fingerprint {
        match self {
            IdentifierRef::Cookie { name, value } => key.cookie(name, value),
            IdentifierRef::OauthToken(token) => key.oauth_token(token),
            IdentifierRef::ApiKey(value) => key.api_key(value),
            IdentifierRef::Username(name) => key.username(name),
        }
    }
}

impl fmt::Debug for IdentifierRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentifierRef({}, redacted)", self.kind().as_str())
    }
}

/// The headers of one request, in order, repeated ones too.
///
/// The host lends each header for the length of one call, so they are copied, into one buffer; [`Self::clear`] and
/// use it again to save the allocations.
#[derive(Clone, Default)]
pub struct RequestHeaders {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// One header: where in `bytes` its name starts, where that ends and its value starts, and where that ends.
#[derive(Clone, Copy)]
struct Span {
    field: Field,
    start: usize,
    middle: usize,
    end: usize,
}

/// The headers that every request is asked for, told apart once, so that finding them compares no names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Authority,
    Path,
    Cookie,
    Authorization,
    Other,
}

impl Field {
    /// Envoy gives all names in lower case.
    fn of(name: &[u8]) -> Self {
        match name {
            b":authority" => Field::Authority,
            b":path" => Field::Path,
            b"cookie" => Field::Cookie,
            b"authorization" => Field::Authorization,
            _ => Field::Other,
        }
    }
}

impl RequestHeaders {
    /// Notes one header. Pseudo-headers (`:authority`, `:path`) come by their HTTP/2 names, as Envoy gives them for
    /// every HTTP version.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let field = if name.iter().any(u8::is_ascii_uppercase) {
            Field::of(&name.to_ascii_lowercase())
        } else {
            Field::of(name)
        };
        self.push(field, name, value);
    }

    /// As [`Self::add`], but only for headers that may tell an API or an identifier: those that HTTP has for them, and
    /// `others`. Names come in lower case.
    pub fn add_if_read(&mut self, name: &[u8], value: &[u8], others: &[String]) {
        let field = Field::of(name);
        if field != Field::Other || others.iter().any(|other| other.as_bytes() == name) {
            self.push(field, name, value);
        }
    }

    fn push(&mut self, field: Field, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        if field == Field::Other {
            self.bytes.extend_from_slice(name);
        }
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        let end = self.bytes.len();
        self.spans.push(Span {
            field,
            start,
            middle,
            end,
        });
    }

    /// Forgets all headers and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// The values of every header of this name, whatever its letter case (RFC 9110, 5.1).
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let field = Field::of(name.as_bytes());
        self.spans.iter().filter_map(move |span| {
            let named = span.field == field
                && (field != Field::Other
                    || self
                        .bytes
                        .get(span.start..span.middle)?
                        .eq_ignore_ascii_case(name.as_bytes()));
            named.then(|| self.bytes.get(span.middle..span.end))?
        })
    }

    /// Every header in order, by name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.spans.iter().filter_map(|span| {
            let name: &[u8] = match span.field {
                Field::Authority => b":authority",
                Field::Path => b":path",
                Field::Cookie => b"cookie",
                Field::Authorization => b"authorization",
                Field::Other => self.bytes.get(span.start..span.middle)?,
            };
            Some((name, self.bytes.get(span.middle..span.end)?))
        })
    }

    /// `:authority`; empty where there is none.
    pub fn authority(&self) -> &[u8] {
        self.values(":authority").next().unwrap_or_default()
    }

    /// `:path`, with the query; empty where there is none (CONNECT).
    pub fn path(&self) -> &[u8] {
        self.values(":path").next().unwrap_or_default()
    }
}

impl fmt::Debug for RequestHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestHeaders({}, redacted)", self.spans.len())
    }
}

/// The API that a request is for: the first whose host name and base path match, so `apis` come longest base path
/// first. `None` where no API matches; what judges such a request then is up to the caller.
pub fn select_api<'a>(apis: &'a [Api], authority: &[u8], path: &[u8]) -> Option<&'a Api> {
    apis.iter().find(|api| {
        path_matches(&api.url, path)
            && api
                .hostname
                .as_deref()
                .is_none_or(|hostname| host_matches(hostname, authority))
    })
}

/// Calls `visit` with every identifier of the `wanted` kinds that the request carries by the rules of `api`. Kinds
/// that are not wanted cost nothing. The same identifier may come more than once.
pub fn visit_identifiers(
    api: &Api,
    headers: &RequestHeaders,
    wanted: PerKind<bool>,
    visit: &mut dyn FnMut(IdentifierRef<'_>),
) {
    if wanted.cookie {
        for header in headers.values("cookie") {
            visit_cookies(header, &mut |name, value| {
                let counts = api
                    .cookie
                    .as_ref()
                    .is_none_or(|names| names.iter().any(|wanted| wanted.as_bytes() == name));
                if counts && !value.is_empty() {
                    visit(IdentifierRef::Cookie { name, value });
                    if value.contains(&b'\\') {
                        let value = &unescape(value);
                        visit(IdentifierRef::Cookie { name, value });
                    }
                }
            });
        }
    }
    if wanted.oauth_token && api.oauth2_access_token {
        for token in bearer_tokens(headers) {
            visit(IdentifierRef::OauthToken(token));
        }
    }
    if wanted.api_key {
        for name in &api.apikey_header {
            for value in headers.values(name).map(trim_ows) {
                if !value.is_empty() {
                    visit(IdentifierRef::ApiKey(value));
                }
            }
        }
        for name in &api.apikey_qs {
            query_values(headers.path(), name, &mut |value| {
                if !value.is_empty() {
                    visit(IdentifierRef::ApiKey(value));
                }
            });
        }
    }
    if wanted.username {
        for source in &api.username {
            visit_usernames(source, headers, visit);
        }
    }
}

/// Every Authorization value: as it stands, and where it holds a comma each part of it too. Envoy joins repeated headers
/// of this name by commas, and no credentials hold one (RFC 9110, 11.2), so a clean value can't hide a listed one.
pub(crate) fn authorizations(headers: &RequestHeaders) -> impl Iterator<Item = &[u8]> {
    headers.values("authorization").flat_map(|value| {
        // Few hold a comma, and most that do are sent to get around the filter.
        let parts = value
            .contains(&b',')
            .then(|| value.split(|&byte| byte == b','));
        core::iter::once(value).chain(parts.into_iter().flatten())
    })
}

/// Every bearer token, and where it holds white space each word of it too. No token does (RFC 6750, 2.1), but servers
/// that split the header at spaces take the one or the other word.
fn bearer_tokens(headers: &RequestHeaders) -> impl Iterator<Item = &[u8]> {
    fn is_space(byte: &u8) -> bool {
        matches!(byte, b' ' | b'\t')
    }
    let tokens = authorizations(headers).filter_map(bearer_token);
    tokens.flat_map(|token| {
        let words = token.iter().any(is_space).then(|| token.split(is_space));
        let words = words.into_iter().flatten().filter(|word| !word.is_empty());
        core::iter::once(token).chain(words)
    })
}

fn visit_usernames(
    source: &UsernameSource,
    headers: &RequestHeaders,
    visit: &mut dyn FnMut(IdentifierRef<'_>),
) {
    match source {
        UsernameSource::BasicAuth => {
            for name in authorizations(headers).filter_map(basic_username) {
                visit(IdentifierRef::Username(&name));
            }
        }
        UsernameSource::Header(header) => {
            for name in headers.values(header).map(trim_ows) {
                if !name.is_empty() {
                    visit(IdentifierRef::Username(name));
                }
            }
        }
        UsernameSource::JwtClaim(claim) => {
            for token in bearer_tokens(headers) {
                if let Some(name) = jwt_claim(token, claim) {
                    visit(IdentifierRef::Username(&name));
                }
            }
        }
    }
}

/// Calls `visit` with the name and the value of each cookie of one Cookie header (RFC 6265, 4.2.1 and 5.2).
///
/// White space around names and values is dropped, and so are double quotes that enclose a value. A pair without
/// `=`, or with an empty name, is ignored.
///
/// `a=1; b="2"; c; d=x=y` gives (`a`, `1`), (`b`, `2`), (`d`, `x=y`).
pub fn visit_cookies(header_value: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) {
    for pair in header_value.split(|&byte| byte == b';') {
        let Some((name, value)) = split_once(pair, b'=') else {
            continue;
        };
        let name = trim_ows(name);
        if !name.is_empty() {
            visit(name, unquote(trim_ows(value)));
        }
    }
}

/// The token of an Authorization header with the scheme Bearer (RFC 6750, 2.1), in any letter case, byte for byte;
/// `None` for another scheme or an empty token. White space around the token does not belong to it.
///
/// `bearer  abc` gives `abc`.
pub fn bearer_token(authorization: &[u8]) -> Option<&[u8]> {
    credentials(authorization, b"bearer")
}

/// The user of an Authorization header with the scheme Basic (RFC 7617, 2): what stands before the first colon in
/// the decoded credentials. `None` for another scheme, for credentials without a colon, and for an empty user.
/// Base64 is read as tolerantly as the most tolerant servers do: padding or none, both alphabets, other bytes
/// passed over.
///
/// `Basic Ym9iOnNlY3JldA==` gives `bob`.
pub fn basic_username(authorization: &[u8]) -> Option<Vec<u8>> {
    let mut user = decode_base64(credentials(authorization, b"basic")?);
    let (name, _password) = split_once(&user, b':')?;
    let length = name.len();
    user.truncate(length);
    (length > 0).then_some(user)
}

/// Calls `visit` with each value of the parameter `name` in the query of `path` (a `:path` with query, RFC 9113,
/// 8.3.1). Names and values are read as forms are (WHATWG URL, 5.1): percent signs decoded and `+` as a space. A
/// percent sign that two hex digits do not follow stands for itself. A parameter without `=` has an empty value.
///
/// `/shop?api_key=a%2Bb&x=1&api_key=c+d#e` gives, for `api_key`, `a+b` and `c d`.
pub fn query_values(path: &[u8], name: &str, visit: &mut dyn FnMut(&[u8])) {
    let Some((_, query)) = split_once(before(path, b'#'), b'?') else {
        return;
    };
    for parameter in query.split(|&byte| byte == b'&') {
        let (found, value) = split_once(parameter, b'=').unwrap_or((parameter, &[]));
        if decode_form(found).as_ref() == name.as_bytes() {
            visit(&decode_form(value));
        }
    }
}

/// A claim of a bearer token, read as a JSON web token (RFC 7519, 3) without verification: Envoy's `jwt_authn` is to
/// verify it before this filter. String claims come as they are, integers as decimal text. `None` for any other
/// value, for an empty string, for what is not a JSON web token, and past 64 KiB. Of a repeated claim the last
/// counts, as with the JSON parsers of most servers.
///
/// The payload `{"sub":"bob"}` gives, for `sub`, `bob`.
pub fn jwt_claim(token: &[u8], claim: &str) -> Option<Vec<u8>> {
    if token.len() > JWT_MAX_BYTES {
        return None;
    }
    let (_header, rest) = split_once(token, b'.')?;
    let payload = decode_base64(before(rest, b'.'));
    let mut found = Claim {
        name: claim,
        in_object: false,
        value: None,
    };
    let length = payload.len();
    json::read(&mut payload.as_slice(), length, &mut found).ok()?;
    found.value.filter(|value| !value.is_empty())
}

/// A longer token is not decoded: Envoy takes request headers of 60 KiB by default.
const JWT_MAX_BYTES: usize = 64 * 1024;

/// The host name in an `:authority` (RFC 3986, 3.2.2), without port, without the brackets of an IPv6 address, and
/// without one trailing dot. Letter case stays: compare without regard to it.
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

/// Whether `path` lies under the base path `base`, on whole segments. The query and the fragment do not count.
///
/// `/shop` matches `/shop`, `/shop/`, `/shop?x` and `/shop/cart`, but not `/shopping`; an empty base matches all.
/// Paths are compared byte for byte: dot segments, repeated slashes and escapes are Envoy's to normalise, with
/// `normalize_path`, `merge_slashes` and `path_with_escaped_slashes_action`.
pub fn path_matches(base: &str, path: &[u8]) -> bool {
    match path.strip_prefix(base.as_bytes()) {
        Some(rest) => base.is_empty() || matches!(rest.first(), None | Some(b'/' | b'?' | b'#')),
        None => false,
    }
}

/// What follows the scheme in an Authorization header (RFC 9110, 11.4). A tab is taken for a space, as servers do.
fn credentials<'a>(authorization: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = trim_ows(authorization).split_at_checked(scheme.len())?;
    let value = trim_ows(rest);
    let separated = value.len() < rest.len();
    (separated && !value.is_empty() && found.eq_ignore_ascii_case(scheme)).then_some(value)
}

/// Decodes base64 (RFC 4648) as the most tolerant servers do: both alphabets, padding or none, and any other byte
/// passed over. A stricter decoder would let a listed user name through in a spelling that the server behind still
/// reads; no library offers this one.
fn decode_base64(text: &[u8]) -> Vec<u8> {
    // A one leads the bits read so far: where it stands tells how many they are.
    const NONE: u32 = 1;
    let mut bits = NONE;
    let mut decoded = Vec::with_capacity(text.len());
    for &byte in text {
        let Some(sextet) = sextet(byte) else {
            continue;
        };
        bits = bits << 6 | u32::from(sextet);
        if let [1, first, second, third] = bits.to_be_bytes() {
            decoded.extend_from_slice(&[first, second, third]);
            bits = NONE;
        }
    }
    // Two or three sextets are left over where the length is not a multiple of three bytes; one alone says nothing.
    match bits.leading_zeros() {
        13 => {
            let [_, _, first, second] = (bits >> 2).to_be_bytes();
            decoded.extend_from_slice(&[first, second]);
        }
        19 => {
            let [_, _, _, first] = (bits >> 4).to_be_bytes();
            decoded.push(first);
        }
        _ => (),
    }
    decoded
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte.wrapping_sub(b'A'),
        b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// Decodes a name or a value of a query; borrowed where there is nothing to decode.
fn decode_form(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(text);
    }
    let mut spaced = text.to_vec();
    for byte in &mut spaced {
        if *byte == b'+' {
            *byte = b' ';
        }
    }
    Cow::Owned(percent_encoding::percent_decode(&spaced).collect())
}

/// Finds one claim in a JSON object.
struct Claim<'c> {
    name: &'c str,
    /// In the object itself; what is in its values does not count.
    in_object: bool,
    value: Option<Vec<u8>>,
}

impl Events for Claim<'_> {
    fn scalar(&mut self, value: Scalar<'_>) -> bool {
        if self.in_object {
            self.value = match value {
                Scalar::Text(text) => Some(text.as_bytes().to_vec()),
                Scalar::Unsigned(number) => Some(number.to_string().into_bytes()),
                Scalar::Negative(number) => Some(number.to_string().into_bytes()),
                Scalar::Null | Scalar::Bool(_) | Scalar::Float(_) => None,
            };
        }
        true
    }

    fn begin_list(&mut self) -> bool {
        false
    }

    fn begin_object(&mut self) -> bool {
        !core::mem::replace(&mut self.in_object, true)
    }

    fn key(&mut self, name: &str) -> bool {
        let is_wanted = name == self.name;
        if is_wanted {
            self.value = None;
        }
        is_wanted
    }

    fn end(&mut self) {}
}

fn trim_ows(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

/// Resolves backslashes as many servers do in a cookie's value in double quotes: any byte stands for itself (RFC 2109,
/// 4.1), and as with Python's three octal digits make one.
fn unescape(mut text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    loop {
        text = match text {
            [
                b'\\',
                high @ b'0'..=b'3',
                middle @ b'0'..=b'7',
                low @ b'0'..=b'7',
                rest @ ..,
            ] => {
                plain.push((high & 7) << 6 | (middle & 7) << 3 | low & 7);
                rest
            }
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                plain.push(*byte);
                rest
            }
            [] => return plain,
        };
    }
}

fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == separator)?;
    let (head, tail) = text.split_at_checked(at)?;
    Some((head, tail.split_first()?.1))
}

fn before(text: &[u8], separator: u8) -> &[u8] {
    split_once(text, separator).map_or(text, |(head, _)| head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const EVERY_KIND: PerKind<bool> = PerKind {
        ip: true,
        cookie: true,
        oauth_token: true,
        api_key: true,
        username: true,
    };

    fn api() -> Api {
        Api {
            api_id: String::from("shop"),
            hostname: None,
            url: String::new(),
            enable_blocking: true,
            mode: Mode::Enforce,
            cookie: None,
            oauth2_access_token: true,
            apikey_header: vec![String::from("x-api-key")],
            apikey_qs: vec![String::from("api_key")],
            username: vec![
                UsernameSource::BasicAuth,
                UsernameSource::JwtClaim(String::from("sub")),
            ],
        }
    }

    fn headers(list: &[(&str, &[u8])]) -> RequestHeaders {
        let mut headers = RequestHeaders::default();
        for (name, value) in list {
            headers.add(name.as_bytes(), value);
        }
        headers
    }

    fn identifiers(api: &Api, headers: &RequestHeaders, wanted: PerKind<bool>) -> Vec<String> {
        let mut found = Vec::new();
        visit_identifiers(api, headers, wanted, &mut |identifier| {
            found.push(match identifier {
                IdentifierRef::Cookie { name, value } => {
                    format!("cookie {}={}", name.escape_ascii(), value.escape_ascii())
                }
                IdentifierRef::OauthToken(token) => format!("token {}", token.escape_ascii()),
                IdentifierRef::ApiKey(value) => format!("key {}", value.escape_ascii()),
                IdentifierRef::Username(name) => format!("user {}", name.escape_ascii()),
            });
        });
        found
    }

    /// Base64 by the RFC's own picture of it, bit by bit, to check the decoder against.
    fn encode_base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
        let bits: Vec<bool> = bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1 == 1))
            .collect();
        bits.chunks(6)
            .map(|chunk| {
                let sextet = (0..6).fold(0, |sum, at| {
                    sum << 1 | usize::from(chunk.get(at).copied().unwrap_or(false))
                });
                char::from(alphabet[sextet])
            })
            .collect()
    }

    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    fn jwt(payload: &[u8]) -> Vec<u8> {
        format!("e30.{}.c2ln", encode_base64(payload, URL_SAFE)).into_bytes()
    }

    #[test]
    fn credentials_that_envoy_joined_are_told_apart() {
        let api = Api::default();
        let headers = headers(&[("authorization", b"Bearer t1,Basic Ym9iOng=, bearer t2")]);
        let (mut tokens, mut names) = (Vec::new(), Vec::new());
        let wanted = PerKind {
            oauth_token: true,
            username: true,
            ..PerKind::default()
        };
        visit_identifiers(&api, &headers, wanted, &mut |identifier| match identifier {
            IdentifierRef::OauthToken(token) => tokens.push(token.to_vec()),
            IdentifierRef::Username(name) => names.push(name.to_vec()),
            _ => {}
        });
        assert!(tokens.contains(&b"t1".to_vec()) && tokens.contains(&b"t2".to_vec()));
        assert_eq!(names, [b"bob".to_vec()]);
    }

    #[test]
    fn a_listed_token_cannot_hide_among_other_words() {
        // Servers take the second word, or the last.
        for header in ["Bearer t1 x", "Bearer x t1", "bearer x\tt1 ,Basic Ym9iOng="] {
            let headers = headers(&[("authorization", header.as_bytes())]);
            let found = identifiers(&api(), &headers, EVERY_KIND);
            assert!(found.contains(&String::from("token t1")), "{found:?}");
        }
        let claims = String::from_utf8(jwt(br#"{"sub":"bob"}"#)).unwrap();
        for header in [
            format!("Bearer {claims} a.b"),
            format!("Bearer a.b {claims}"),
        ] {
            let headers = headers(&[("authorization", header.as_bytes())]);
            let found = identifiers(&api(), &headers, EVERY_KIND);
            assert!(found.contains(&String::from("user bob")), "{found:?}");
        }
    }

    #[test]
    fn a_listed_cookie_cannot_hide_behind_escapes_that_servers_resolve() {
        let key = FingerprintKey::from_words([1, 2]);
        let prints = |header: &str| {
            let headers = headers(&[("cookie", header.as_bytes())]);
            let (mut prints, cookie) = (Vec::new(), true);
            let wanted = PerKind {
                cookie,
                ..PerKind::default()
            };
            visit_identifiers(&api(), &headers, wanted, &mut |identifier| {
                prints.push(identifier.fingerprint(&key));
            });
            prints
        };
        for (listed, sent) in [
            ("s%3Aabc", "S=s:abc"),
            ("s:abc", "S=s%3aabc"),
            ("abc", "S=%61%62c"),
            ("abc", "S=\"%61bc\""),
            ("100%", "S=100%"),
            ("abc", r#"S="\141b\c""#),
            (r"a\b", r"S=a\b"),
        ] {
            let listed = key.cookie(b"S", listed.as_bytes());
            assert!(prints(sent).contains(&listed), "{sent}");
        }
        let listed = key.cookie(b"S", b"abc");
        for sent in ["S=%2561bc", "S=%4abc", r"S=\141bd", r"S=\14", "T=abc"] {
            assert!(!prints(sent).contains(&listed), "{sent}");
        }
    }

    #[test]
    fn cookies_are_read_pair_by_pair() {
        type Pairs = &'static [(&'static [u8], &'static [u8])];
        let table: &[(&[u8], Pairs)] = &[
            (b"a=1", &[(b"a", b"1")]),
            (b"a=1; b=2", &[(b"a", b"1"), (b"b", b"2")]),
            (b"a=1;b=2;", &[(b"a", b"1"), (b"b", b"2")]),
            (b" \ta = 1\t;\tb=2 ", &[(b"a", b"1"), (b"b", b"2")]),
            (b"a=\"1\"", &[(b"a", b"1")]),
            (b"a= \"1\" ", &[(b"a", b"1")]),
            (b"a=\"\"", &[(b"a", b"")]),
            (b"a=\"", &[(b"a", b"\"")]),
            (b"a=\"1", &[(b"a", b"\"1")]),
            (b"a=\"\"1\"\"", &[(b"a", b"\"1\"")]),
            (b"a=\" 1 \"", &[(b"a", b" 1 ")]),
            (b"a=x=y==", &[(b"a", b"x=y==")]),
            (b"a=", &[(b"a", b"")]),
            (b"a=1; a=2", &[(b"a", b"1"), (b"a", b"2")]),
            (b"a; =1; ;; = ; b=2", &[(b"b", b"2")]),
            (b"a=\xff\x00\xfe", &[(b"a", b"\xff\x00\xfe")]),
            (b"\xff=1", &[(b"\xff", b"1")]),
            (b"", &[]),
            (b"=", &[]),
            (b";", &[]),
            (b"   ", &[]),
        ];
        for (header, expected) in table {
            let mut found = Vec::new();
            visit_cookies(header, &mut |name, value| {
                found.push((name.to_vec(), value.to_vec()));
            });
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect();
            assert_eq!(found, expected, "{}", header.escape_ascii());
        }
        let long = [b"a=".as_slice(), &[b'x'; 64 * 1024]].concat();
        let mut length = 0;
        visit_cookies(&long, &mut |_, value| length = value.len());
        assert_eq!(length, 64 * 1024);
    }

    #[test]
    fn bearer_tokens_are_read_byte_for_byte() {
        let long = [b"Bearer ".as_slice(), &[b'x'; 64 * 1024]].concat();
        let table: &[(&[u8], Option<&[u8]>)] = &[
            (b"Bearer abc", Some(b"abc")),
            (b"bearer abc", Some(b"abc")),
            (b"BEARER abc", Some(b"abc")),
            (b"Bearer   abc \t", Some(b"abc")),
            (b" Bearer abc", Some(b"abc")),
            (b"Bearer\tabc", Some(b"abc")),
            (b"Bearer a b", Some(b"a b")),
            (b"Bearer \"abc\"", Some(b"\"abc\"")),
            (b"Bearer \xff\xfe", Some(b"\xff\xfe")),
            (&long, Some(&long[7..])),
            (b"Bearer", None),
            (b"Bearer ", None),
            (b"Bearerabc", None),
            (b"Basic abc", None),
            (b"Bear", None),
            (b"", None),
            (b"\xff\xff\xff\xff\xff\xff abc", None),
        ];
        for (header, expected) in table {
            assert_eq!(bearer_token(header), *expected, "{}", header.escape_ascii());
        }
    }

    #[test]
    fn basic_users_are_read_as_tolerantly_as_servers_do() {
        let table: &[(&[u8], Option<&[u8]>)] = &[
            (b"Basic Ym9iOnNlY3JldA==", Some(b"bob")),
            (b"basic Ym9iOnNlY3JldA", Some(b"bob")),
            (b"BASIC   Ym9iOnNlY3JldA=", Some(b"bob")),
            (b"Basic Y!m9\xffiOn NlY3JldA==", Some(b"bob")),
            // "bob:a:b", "bob:", "a?b>:", with the other alphabet for the last.
            (b"Basic Ym9iOmE6Yg==", Some(b"bob")),
            (b"Basic Ym9iOg==", Some(b"bob")),
            (b"Basic Yj8/Pj46", Some(b"b??>>")),
            (b"Basic Yj8_Pj46", Some(b"b??>>")),
            // "\xff\xfe:x"
            (b"Basic //46eA==", Some(b"\xff\xfe")),
            // ":secret", "bob"
            (b"Basic OnNlY3JldA==", None),
            (b"Basic Ym9i", None),
            (b"Basic ", None),
            (b"Basic", None),
            (b"Basic =", None),
            (b"Basic A", None),
            (b"Bearer Ym9iOnNlY3JldA==", None),
            (b"", None),
        ];
        for (header, expected) in table {
            assert_eq!(
                basic_username(header).as_deref(),
                *expected,
                "{}",
                header.escape_ascii()
            );
        }
    }

    #[test]
    fn base64_is_read_to_the_last_bit() {
        // RFC 4648, 10.
        for (encoded, decoded) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode_base64(encoded.as_bytes()), decoded.as_bytes());
        }
        let every_byte: Vec<u8> = (0..=255).rev().collect();
        for length in 0..=every_byte.len() {
            for alphabet in [STANDARD, URL_SAFE] {
                let encoded = encode_base64(&every_byte[..length], alphabet);
                assert_eq!(decode_base64(encoded.as_bytes()), &every_byte[..length]);
            }
        }
    }

    #[test]
    fn query_values_are_decoded() {
        let table: &[(&[u8], &[&[u8]])] = &[
            (b"/?k=1", &[b"1"]),
            (b"/a/b?x=0&k=1&k=2&y", &[b"1", b"2"]),
            (b"?k=1", &[b"1"]),
            (b"/?k=a%2Bb+c%20d", &[b"a+b c d"]),
            (b"/?%6b=1&%6B=2", &[b"1", b"2"]),
            (b"/?k=%", &[b"%"]),
            (b"/?k=%4", &[b"%4"]),
            (b"/?k=%zz%4z%41", &[b"%zz%4zA"]),
            (b"/?k=+%", &[b" %"]),
            (b"/?k=%ff%00", &[b"\xff\x00"]),
            (b"/?k=\xff", &[b"\xff"]),
            (b"/?k=a=b", &[b"a=b"]),
            (b"/?k", &[b""]),
            (b"/?k=", &[b""]),
            (b"/?k=1#?k=2&k=3", &[b"1"]),
            (b"/?x?k=1&k=2?3", &[b"2?3"]),
            (b"/?k=1;k=2", &[b"1;k=2"]),
            (b"/#?k=1", &[]),
            (b"/?kk=1&K=2&=k&&", &[]),
            (b"/?", &[]),
            (b"/k=1", &[]),
            (b"", &[]),
        ];
        for (path, expected) in table {
            let mut found: Vec<Vec<u8>> = Vec::new();
            query_values(path, "k", &mut |value| found.push(value.to_vec()));
            assert_eq!(found, *expected, "{}", path.escape_ascii());
        }
        let mut found: Vec<Vec<u8>> = Vec::new();
        query_values(b"/?a+b%C3%A9=1", "a b\u{e9}", &mut |value| {
            found.push(value.to_vec());
        });
        assert_eq!(found, [b"1"]);
    }

    #[test]
    fn plain_query_values_are_borrowed() {
        assert!(matches!(decode_form(b"abc"), Cow::Borrowed(b"abc")));
        assert_eq!(decode_form(b"100%").as_ref(), b"100%");
        assert_eq!(decode_form(b"a+b%2B%2").as_ref(), b"a b+%2");
    }

    #[test]
    fn jwt_claims_are_strings_or_integers() {
        let table: &[(&[u8], Option<&[u8]>)] = &[
            (br#"{"sub":"bob"}"#, Some(b"bob")),
            (br#" {"iss":"x","sub":"bob","aud":["a"]} "#, Some(b"bob")),
            (
                br#"{"sub":"Zo\u00eb \"\ud83d\ude00"}"#,
                Some("Zo\u{eb} \"\u{1f600}".as_bytes()),
            ),
            (br#"{"sub":7}"#, Some(b"7")),
            (br#"{"sub":-7}"#, Some(b"-7")),
            (
                br#"{"sub":18446744073709551615}"#,
                Some(b"18446744073709551615"),
            ),
            (br#"{"s\u0075b":"bob"}"#, Some(b"bob")),
            (br#"{"sub":"first","sub":"last"}"#, Some(b"last")),
            (br#"{"sub":18446744073709551616}"#, None),
            (br#"{"sub":7.0}"#, None),
            (br#"{"sub":1e999}"#, None),
            (br#"{"sub":true}"#, None),
            (br#"{"sub":null}"#, None),
            (br#"{"sub":["bob"]}"#, None),
            (br#"{"sub":{"sub":"bob"}}"#, None),
            (br#"{"a":{"sub":"bob"}}"#, None),
            (br#"{"sub":""}"#, None),
            (br#"{"SUB":"bob"}"#, None),
            (br#"{"sub":"bob"} x"#, None),
            (br#"{"sub":"bob""#, None),
            (br#"{"sub":"\ud800"}"#, None),
            (b"{\"sub\":\"\xff\"}", None),
            (br#"["sub","bob"]"#, None),
            (br#""sub""#, None),
            (b"", None),
        ];
        for (payload, expected) in table {
            assert_eq!(
                jwt_claim(&jwt(payload), "sub").as_deref(),
                *expected,
                "{}",
                payload.escape_ascii()
            );
        }
    }

    #[test]
    fn jwts_are_read_in_every_dress_and_nothing_else_is() {
        // {"sub":"bob"}
        let table: &[(&[u8], Option<&[u8]>)] = &[
            (b"e30.eyJzdWIiOiJib2IifQ.c2ln", Some(b"bob")),
            (b"e30.eyJzdWIiOiJib2IifQ==.c2ln", Some(b"bob")),
            (b"e30.eyJzdWIiOiJib2IifQ.", Some(b"bob")),
            (b"e30.eyJzdWIiOiJib2IifQ", Some(b"bob")),
            (b".eyJzdWIiOiJib2IifQ.", Some(b"bob")),
            (b"eyJzdWIiOiJib2IifQ", None),
            (b"e30..c2ln", None),
            (b"..", None),
            (b".", None),
            (b"", None),
            (b"\xff.\xff.\xff", None),
        ];
        for (token, expected) in table {
            assert_eq!(
                jwt_claim(token, "sub").as_deref(),
                *expected,
                "{}",
                token.escape_ascii()
            );
        }
    }

    #[test]
    fn long_and_deep_jwts_do_no_harm() {
        let room = JWT_MAX_BYTES * 3 / 4 - 64;
        let near = format!(r#"{{"x":"{}","sub":"bob"}}"#, "x".repeat(room));
        assert!(jwt(near.as_bytes()).len() <= JWT_MAX_BYTES);
        assert_eq!(jwt_claim(&jwt(near.as_bytes()), "sub").unwrap(), b"bob");
        let past = format!(r#"{{"x":"{}","sub":"bob"}}"#, "x".repeat(room + 64));
        assert!(jwt(past.as_bytes()).len() > JWT_MAX_BYTES);
        assert_eq!(jwt_claim(&jwt(past.as_bytes()), "sub"), None);

        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        let other = format!(r#"{{"x":{deep},"sub":"bob"}}"#);
        assert_eq!(jwt_claim(&jwt(other.as_bytes()), "sub").unwrap(), b"bob");
        let claim = format!(r#"{{"sub":{deep}}}"#);
        assert_eq!(jwt_claim(&jwt(claim.as_bytes()), "sub"), None);
        assert_eq!(jwt_claim(&jwt(deep.as_bytes()), "sub"), None);
    }

    #[test]
    fn host_names_lose_their_port() {
        let table: &[(&[u8], &[u8])] = &[
            (b"api.example.com", b"api.example.com"),
            (b"api.example.com:8443", b"api.example.com"),
            (b"api.example.com.", b"api.example.com"),
            (b"api.example.com.:80", b"api.example.com"),
            (b"api.example.com..", b"api.example.com."),
            (b"api.example.com:", b"api.example.com"),
            (b"[2001:db8::1]", b"2001:db8::1"),
            (b"[2001:db8::1]:443", b"2001:db8::1"),
            (b"[2001:db8::1", b"2001:db8::1"),
            (b"192.0.2.1:80", b"192.0.2.1"),
            (b"", b""),
            (b":", b""),
            (b".", b""),
            (b"[", b""),
            (b"\xff:1", b"\xff"),
        ];
        for (authority, expected) in table {
            assert_eq!(
                host_name(authority),
                *expected,
                "{}",
                authority.escape_ascii()
            );
        }
    }

    #[test]
    fn base_paths_match_whole_segments() {
        let table: &[(&str, &[u8], bool)] = &[
            ("", b"/anything?x", true),
            ("", b"", true),
            ("", b"*", true),
            ("/shop", b"/shop", true),
            ("/shop", b"/shop/", true),
            ("/shop", b"/shop?x", true),
            ("/shop", b"/shop#x", true),
            ("/shop", b"/shop/cart", true),
            ("/shop", b"/shopping", false),
            ("/shop", b"/sho", false),
            ("/shop", b"/SHOP", false),
            ("/shop", b"/x/shop", false),
            ("/shop", b"/?/shop", false),
            ("/shop", b"", false),
            ("/shop", b"/shop\xff", false),
            ("/shop/v1", b"/shop/v1/cart", true),
            ("/shop/v1", b"/shop/v11", false),
        ];
        for (base, path, expected) in table {
            assert_eq!(
                path_matches(base, path),
                *expected,
                "{base} {}",
                path.escape_ascii()
            );
        }
    }

    #[test]
    fn the_first_api_that_matches_is_taken() {
        let named = |api_id: &str, hostname: Option<&str>, url: &str| Api {
            api_id: String::from(api_id),
            hostname: hostname.map(String::from),
            url: String::from(url),
            ..api()
        };
        let apis = [
            named("cart", Some("api.example.com"), "/shop/cart"),
            named("shop", None, "/shop"),
            named("v6", Some("[2001:db8::1]"), ""),
            named("rest", Some("api.example.com"), ""),
        ];
        let table: &[(&[u8], &[u8], Option<&str>)] = &[
            (b"api.example.com", b"/shop/cart/1", Some("cart")),
            (b"API.Example.COM.:443", b"/shop/cart", Some("cart")),
            (b"other.example.com", b"/shop/cart", Some("shop")),
            (b"", b"/shop", Some("shop")),
            (b"api.example.com", b"/", Some("rest")),
            (b"[2001:DB8::1]:443", b"/", Some("v6")),
            (b"api.example.com.evil.example", b"/", None),
            (b"other.example.com", b"/", None),
            (b"", b"", None),
        ];
        for (authority, path, expected) in table {
            assert_eq!(
                select_api(&apis, authority, path).map(|api| api.api_id.as_str()),
                *expected,
                "{} {}",
                authority.escape_ascii(),
                path.escape_ascii()
            );
        }
        assert!(select_api(&[], b"api.example.com", b"/").is_none());
    }

    #[test]
    fn every_repeated_header_counts() {
        let headers = headers(&[
            (":authority", b"api.example.com"),
            (":path", b"/shop?api_key=k3&api_key=&api_key=k%34"),
            ("cookie", b"session=clean; other=x; empty="),
            ("authorization", b"Bearer t1"),
            ("x-api-key", b"k1"),
            ("authorization", b"Basic Ym9iOnNlY3JldA=="),
            ("x-api-key", b" "),
            ("X-API-Key", b" k2 "),
            ("authorization", b"bearer e30.eyJzdWIiOiJhbGljZSJ9.x"),
            ("cookie", b"session=\"listed\""),
        ]);
        assert_eq!(headers.authority(), b"api.example.com");
        assert_eq!(
            identifiers(&api(), &headers, EVERY_KIND),
            [
                "cookie session=clean",
                "cookie other=x",
                "cookie session=listed",
                "token t1",
                "token e30.eyJzdWIiOiJhbGljZSJ9.x",
                "key k1",
                "key k2",
                "key k3",
                "key k4",
                "user bob",
                "user alice",
            ]
        );
    }

    #[test]
    fn the_rules_of_the_api_decide_what_counts() {
        let headers = headers(&[
            (":path", b"/?api_key=k1&key=k2"),
            ("cookie", b"session=a; SESSION=b; other=c"),
            ("authorization", b"Bearer e30.eyJzdWIiOiJib2IiLCJpZCI6N30.x"),
            ("x-api-key", b"k3"),
            ("x-key", b"k4"),
            ("x-user", b" Zo\xc3\xab "),
            ("x-user", b""),
        ]);
        let nothing = Api {
            cookie: Some(Vec::new()),
            oauth2_access_token: false,
            apikey_header: Vec::new(),
            apikey_qs: Vec::new(),
            username: Vec::new(),
            ..api()
        };
        assert!(identifiers(&nothing, &headers, EVERY_KIND).is_empty());
        let some = Api {
            cookie: Some(vec![String::from("session")]),
            apikey_header: vec![String::from("x-key"), String::from("x-none")],
            apikey_qs: vec![String::from("key")],
            username: vec![
                UsernameSource::Header(String::from("x-user")),
                UsernameSource::JwtClaim(String::from("id")),
                UsernameSource::BasicAuth,
            ],
            ..nothing
        };
        assert_eq!(
            identifiers(&some, &headers, EVERY_KIND),
            [
                "cookie session=a",
                "key k4",
                "key k2",
                "user Zo\\xc3\\xab",
                "user 7"
            ]
        );
    }

    #[test]
    fn kinds_that_are_not_wanted_are_not_visited() {
        let headers = headers(&[
            (":path", b"/?api_key=k"),
            ("cookie", b"a=1"),
            ("authorization", b"Bearer e30.eyJzdWIiOiJib2IifQ.x"),
        ]);
        assert!(identifiers(&api(), &headers, PerKind::default()).is_empty());
        for (kind, expected) in [
            (IdentifierKind::Ip, None),
            (IdentifierKind::Cookie, Some("cookie a=1")),
            (
                IdentifierKind::OauthToken,
                Some("token e30.eyJzdWIiOiJib2IifQ.x"),
            ),
            (IdentifierKind::ApiKey, Some("key k")),
            (IdentifierKind::Username, Some("user bob")),
        ] {
            let mut wanted = PerKind::default();
            *wanted.get_mut(kind) = true;
            let found = identifiers(&api(), &headers, wanted);
            assert_eq!(found.first().map(String::as_str), expected);
            assert!(found.len() <= 1);
        }
    }

    #[test]
    fn cleared_headers_are_gone() {
        let mut headers = headers(&[(":path", b"/a"), ("cookie", b"a=1")]);
        headers.clear();
        assert_eq!(headers.path(), b"");
        headers.add(b":path", b"/b");
        headers.add(b"", b"");
        assert_eq!(headers.path(), b"/b");
        assert_eq!(headers.values("cookie").count(), 0);
    }

    #[test]
    fn identifiers_know_their_kind_and_fingerprint_and_never_print() {
        let key = FingerprintKey::from_words([1, 2]);
        let cookie = IdentifierRef::Cookie {
            name: b"hunter",
            value: b"hunter2",
        };
        let table = [
            (
                cookie,
                IdentifierKind::Cookie,
                key.cookie(b"hunter", b"hunter2"),
            ),
            (
                IdentifierRef::OauthToken(b"hunter2"),
                IdentifierKind::OauthToken,
                key.oauth_token(b"hunter2"),
            ),
            (
                IdentifierRef::ApiKey(b"hunter2"),
                IdentifierKind::ApiKey,
                key.api_key(b"hunter2"),
            ),
            (
                IdentifierRef::Username(b"hunter2"),
                IdentifierKind::Username,
                key.username(b"hunter2"),
            ),
        ];
        for (identifier, kind, fingerprint) in table {
            assert_eq!(identifier.kind(), kind);
            assert_eq!(identifier.fingerprint(&key), fingerprint);
            let printed = format!("{identifier:?}");
            assert!(
                !printed.contains("hunter") && !printed.contains("104"),
                "{printed}"
            );
        }
        let printed = format!("{:?}", headers(&[("cookie", b"hunter2")]));
        assert_eq!(printed, "RequestHeaders(1, redacted)");
    }

    #[test]
    fn no_bytes_panic() {
        const ALPHABET: &[u8] = b"ab=;\"% +&?#./:[]{}\\\t\0\xff\xc3,Bearer Basic e30";
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random >> 33).unwrap() % below
        };
        let mut visited = 0;
        for _ in 0..20_000 {
            let mut bytes = |prefix: &[u8]| {
                let mut bytes = prefix.to_vec();
                for _ in 0..next(24) {
                    bytes.push(ALPHABET[next(ALPHABET.len())]);
                }
                bytes
            };
            let headers = headers(&[
                (":authority", &bytes(b"")),
                (":path", &bytes(b"/?a=")),
                ("cookie", &bytes(b"")),
                ("authorization", &bytes(b"Bearer ")),
                ("authorization", &bytes(b"Basic ")),
                ("authorization", &jwt(&bytes(b"{\"sub\":\""))),
                ("x-api-key", &bytes(b"")),
            ]);
            let mut api = api();
            api.apikey_qs = vec![String::from("a"), String::from("")];
            let apis = [api];
            if let Some(api) = select_api(&apis, headers.authority(), headers.path()) {
                visited += identifiers(api, &headers, EVERY_KIND).len();
            }
        }
        assert!(visited > 20_000, "{visited}");
    }
}
