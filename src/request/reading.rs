//! The two ways to read the parts of a request: as the RFCs define them, and as any common server may read them.
//!
//! Owns the choice; most parts are read in `authorization`, `cookies` and `query`.

use super::authorization::{
    authorization_parts, basic_username, bearer_token, visit_token_readings, visit_user_readings,
};
use super::cookies::{visit_cookie_readings, visit_cookies};
use super::query::{query_values, visit_query_readings};
use super::text::{split_once, trim_ows, words};
use crate::codec::visible::is_visible_without;

type ReadCookies = fn(&[u8], &mut dyn FnMut(&[u8], &[u8]));
type ReadTokens = for<'a> fn(&'a [u8], &mut dyn FnMut(&'a [u8]));
type ReadQuery = fn(&[u8], &[String], &mut dyn FnMut(&[u8]));
type ReadText = fn(&[u8], &mut dyn FnMut(&[u8]));

/// How each part of a request is read.
pub(super) struct Reading {
    /// Whether the Authorization header may carry an API key.
    pub(super) has_key_in_authorization: bool,
    /// Names and values in a Cookie header.
    pub(super) cookies: ReadCookies,
    /// Tokens in an Authorization header.
    pub(super) tokens: ReadTokens,
    /// Users in an Authorization header.
    pub(super) users: ReadText,
    /// Values of the named query parameters of a path.
    pub(super) query: ReadQuery,
    /// Keys or tokens in a header of their own.
    pub(super) header: ReadText,
    /// Values of a header that are compared byte for byte.
    pub(super) exact: ReadText,
    /// Spellings of a user name.
    pub(super) username: ReadText,
}

/// As the RFCs define it.
pub(super) const PLAIN: Reading = Reading {
    has_key_in_authorization: false,
    cookies: visit_cookies,
    tokens: |value, visit| {
        let tokens = authorization_parts(value).filter_map(bearer_token);
        tokens.for_each(visit);
    },
    users: |value, visit| {
        let users = authorization_parts(value).filter_map(basic_username);
        users.for_each(|user| visit(&user));
    },
    query: |path, names, visit| {
        for name in names {
            query_values(path, name, visit);
        }
    },
    header: |value, visit| visit(trim_ows(value)),
    exact: |value, visit| visit(trim_ows(value)),
    username: |name, visit| visit(name),
};

/// As any common server may read it. Includes all that [`PLAIN`] visits.
pub(super) const TOLERANT: Reading = Reading {
    has_key_in_authorization: true,
    cookies: visit_cookie_readings,
    tokens: visit_token_readings,
    users: visit_user_readings,
    query: visit_query_readings,
    header: visit_words,
    exact: visit_parts,
    username: visit_encodings,
};

/// A header's value, and its parts between commas: a proxy that adds a value to one that the client sent may join the two, and
/// servers then read the whole, the first or the last. A client can so add values to its own, but can't hide one.
fn visit_parts(value: &[u8], visit: &mut dyn FnMut(&[u8])) {
    /// Parts that are visited from the start, besides the last.
    const MAX_PARTS: usize = 32;
    visit(trim_ows(value));
    let mut rest = value;
    for _ in 0..MAX_PARTS {
        let Some((part, others)) = split_once(rest, b',') else {
            break;
        };
        visit(trim_ows(part));
        rest = others;
    }
    if let Some(last) = memchr::memrchr(b',', value).and_then(|at| value.get(at..)) {
        visit(trim_ows(last.strip_prefix(b",").unwrap_or(last)));
    }
}

/// A header's value, and each of its words.
fn visit_words(value: &[u8], visit: &mut dyn FnMut(&[u8])) {
    /// Words that are visited from each end.
    const MAX_WORDS: usize = 16;
    let whole = trim_ows(value);
    visit(whole);
    if !is_visible_without(whole, b',') {
        let mut words = words(whole, b",");
        words.by_ref().take(MAX_WORDS).for_each(&mut *visit);
        words.rev().take(MAX_WORDS).for_each(visit);
    }
}

/// A user name, and the UTF-8 form of its text for a server that decodes it as Latin-1.
fn visit_encodings(name: &[u8], visit: &mut dyn FnMut(&[u8])) {
    /// A longer name is read only as UTF-8.
    const LONGEST_LATIN_1: usize = 512;
    visit(name);
    if !name.is_ascii() && name.len() <= LONGEST_LATIN_1 {
        let text: String = name.iter().copied().map(char::from).collect();
        visit(text.as_bytes());
    }
}
