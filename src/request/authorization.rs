//! Credentials in an Authorization header, as their RFCs define them and as tolerant servers read them.
//!
//! Owns the schemes: Bearer, Basic, Digest, and any other word before a token.

use crate::codec::base64;
use crate::identifier::is_scheme;

use super::headers::RequestHeaders;
use super::text::{
    before, percent_decode, quoted, space_at_start, split_once, trim_ows, trim_wide, unescape,
    words,
};

/// Servers read the text after the first or the last scheme. This many of the first ones are read, and the last.
const MAX_SCHEMES: usize = 2;

/// A longer user name is not looked up; real ones are shorter.
const LONGEST_USER: usize = 1024;

/// A longer text with white space or a comma in it is not a token: long tokens are one word.
const LONGEST_PHRASE: usize = 1024;

/// Servers read the first, the second or the last word of a value. This many words are visited from each end.
const MAX_WORDS: usize = 256;

/// Every Authorization value as it was sent, and its parts between commas: Envoy joins repeated headers of this name with
/// commas, and credentials contain none (RFC 9110, 11.2).
pub fn authorizations(headers: &RequestHeaders) -> impl Iterator<Item = &[u8]> {
    headers
        .values("authorization")
        .flat_map(authorization_parts)
}

pub(super) fn authorization_parts(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = value
        .contains(&b',')
        .then(|| value.split(|&byte| byte == b','));
    core::iter::once(value).chain(parts.into_iter().flatten())
}

/// The token of an Authorization header with the scheme Bearer (RFC 6750, 2.1), which matches in any letter case. The token
/// is returned byte for byte, without the white space around it; `None` for another scheme or an empty token.
///
/// `bearer  abc` gives `abc`.
pub fn bearer_token(authorization: &[u8]) -> Option<&[u8]> {
    credentials(authorization, b"bearer")
}

/// The user of an Authorization header with the scheme Basic (RFC 7617, 2): the text before the first colon of the decoded
/// credentials. `None` for another scheme, for credentials without a colon, and for an empty user. `visit_user_readings`
/// visits all readings.
///
/// `Basic Ym9iOnNlY3JldA==` gives `bob`.
pub fn basic_username(authorization: &[u8]) -> Option<Vec<u8>> {
    let mut user = base64::decode(credentials(authorization, b"basic")?);
    let (name, _password) = split_once(&user, b':')?;
    let length = name.len();
    user.truncate(length);
    (length > 0).then_some(user)
}

/// Calls `visit` with every text of an Authorization value that a server may read as a token or a key: each word except the
/// scheme, and all text after each `Bearer`.
///
/// `Bearer: a b` gives `a`, `b` and `a b`.
pub fn visit_token_readings<'a>(authorization: &'a [u8], visit: &mut dyn FnMut(&'a [u8])) {
    // The common case: a scheme, a space and a token of visible ASCII.
    if let Some((scheme, token)) = split_once(authorization, b' ')
        && is_scheme(scheme)
        && is_one_word(token)
        && !is_scheme(token)
    {
        return visit(token);
    }
    let mut words = words(authorization, b",");
    // The parameters of Digest are not tokens. If they were, a client could get one listed that others send too.
    let is_digest = starts_with_scheme(authorization, b"digest");
    if !is_digest {
        for word in words.by_ref().take(MAX_WORDS) {
            visit_word(word, visit);
        }
        for word in words.rev().take(MAX_WORDS) {
            visit_word(word, visit);
        }
    }
    // Single words were visited above.
    let visit_phrase = |text: &'a [u8], visit: &mut dyn FnMut(&'a [u8])| {
        let is_word = |text: &[u8]| {
            text.iter()
                .all(|byte| byte.is_ascii_graphic() && *byte != b',')
        };
        if text.len() <= LONGEST_PHRASE && !is_word(text) {
            visit(text);
        }
    };
    for rest in after_scheme(authorization, b"bearer") {
        if is_digest && let Some(word) = self::words(rest, b",").next() {
            visit_word(word, visit);
        }
        visit_phrase(trim_wide(rest), visit);
        visit_phrase(trim_wide(before(rest, b',')), visit);
    }
    for part in authorization_parts(authorization) {
        if let Some(token) = bearer_token(part) {
            visit_phrase(token, visit);
        }
    }
}

/// Calls `visit` with every user that a server may read in an Authorization value: the user of Basic in every reading of
/// base64, with or without a colon, and the user of Digest (RFC 7616, 3.4).
pub fn visit_user_readings(authorization: &[u8], visit: &mut dyn FnMut(&[u8])) {
    // The common case has no user.
    if let Some((scheme, token)) = split_once(authorization, b' ')
        && scheme.eq_ignore_ascii_case(b"bearer")
        && is_one_word(token)
    {
        return;
    }
    for rest in after_scheme(authorization, b"basic") {
        let rest = trim_wide(rest);
        let mut visit_user = |decoded: Vec<u8>| {
            let user = before(&decoded, b':');
            if !user.is_empty() && user.len() <= LONGEST_USER {
                visit(user);
            }
        };
        base64::visit_readings(rest, b':', LONGEST_USER, &mut visit_user);
        // Some decoders skip white space, others stop there.
        if let Some(first) = words(rest, b",").next()
            && first.len() < rest.len()
        {
            base64::visit_readings(first, b':', LONGEST_USER, &mut visit_user);
        }
    }
    for rest in after_scheme(authorization, b"digest") {
        for value in after(rest, b"username") {
            visit_digest_user(value, visit);
        }
    }
}

/// The user in a parameter of Digest: `username="bob"`, `username=bob`, `username*=UTF-8''bob`.
fn visit_digest_user(parameter: &[u8], visit: &mut dyn FnMut(&[u8])) {
    let (is_extended, parameter) = match parameter.strip_prefix(b"*") {
        Some(rest) => (true, rest),
        None => (false, parameter),
    };
    let Some(value) = trim_wide(parameter).strip_prefix(b"=").map(trim_wide) else {
        return;
    };
    if let Some(inner) = quoted(value) {
        visit(inner);
        visit(before(inner, b','));
        if inner.contains(&b'\\') {
            visit(&unescape(inner));
        }
    } else if let Some(word) = words(value, b",").next() {
        match word.splitn(3, |&byte| byte == b'\'').nth(2) {
            Some(text) if is_extended => visit(&percent_decode(text)),
            _ => visit(word),
        }
        // A quote on one side only, or single quotes as in an example of the PHP manual.
        if let Some(inner) = words(word, b"\"';").next() {
            visit(inner);
        }
    }
}

/// One word, and the word without attached text: `Bearer:token`, `token="token"`, `"token"`, `token;`.
fn visit_word<'a>(word: &'a [u8], visit: &mut dyn FnMut(&'a [u8])) {
    // A client that sends `Bearer Bearer` could get this word listed, which would deny every client.
    if is_scheme(word) {
        return;
    }
    visit(word);
    // Spring Security OAuth does not require a space.
    if let Some((scheme, token)) = word.split_at_checked(6)
        && scheme.eq_ignore_ascii_case(b"bearer")
        && !token.is_empty()
    {
        visit(token);
    }
    let is_attached = |byte: &u8| matches!(byte, b'"' | b'\'' | b';' | b':' | b'=' | b'<' | b'>');
    if !word.iter().any(is_attached) {
        return;
    }
    let trim = |mut text: &'a [u8]| {
        while let [b'"' | b'\'' | b';' | b'<' | b'>', rest @ ..]
        | [rest @ .., b'"' | b'\'' | b';' | b'<' | b'>'] = text
        {
            text = rest;
        }
        text
    };
    for separator in [b':', b'='] {
        if let Some((_name, value)) = split_once(word, separator) {
            let value = trim(value);
            if !value.is_empty() && value != b"=" {
                visit(value);
            }
        }
    }
    let trimmed = trim(word);
    if !trimmed.is_empty() && trimmed.len() < word.len() {
        visit(trimmed);
    }
}

/// The text after the scheme in an Authorization header (RFC 9110, 11.4). Like servers, it accepts a tab for a space.
fn credentials<'a>(authorization: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = trim_ows(authorization).split_at_checked(scheme.len())?;
    let value = trim_ows(rest);
    let separated = value.len() < rest.len();
    (separated && !value.is_empty() && found.eq_ignore_ascii_case(scheme)).then_some(value)
}

/// The text after each occurrence of `scheme` and its separator: white space, a colon, or an equals sign.
fn after_scheme<'a>(authorization: &'a [u8], scheme: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    after(authorization, scheme).filter_map(|rest| match rest {
        [b':' | b'=', rest @ ..] => Some(rest),
        _ => rest
            .get(space_at_start(rest)..)
            .filter(|_| space_at_start(rest) > 0),
    })
}

/// The text after the first occurrences of `word`, and after the last, in any letter case.
fn after<'a>(text: &'a [u8], word: &[u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let (first, length) = (word.first().copied().unwrap_or_default(), word.len());
    let candidates =
        memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text);
    let rests = candidates.filter_map(|at| {
        let (found, rest) = text.get(at..)?.split_at_checked(length)?;
        found.eq_ignore_ascii_case(word).then_some(rest)
    });
    let mut firsts = [None; MAX_SCHEMES];
    let mut last = None;
    let mut slots = firsts.iter_mut();
    for rest in rests {
        match slots.next() {
            Some(slot) => *slot = Some(rest),
            None => last = Some(rest),
        }
    }
    firsts.into_iter().chain([last]).flatten()
}

fn starts_with_scheme(authorization: &[u8], scheme: &[u8]) -> bool {
    let start = trim_wide(authorization).get(..scheme.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// A byte of a token (RFC 9110, 11.2), except `=`.
const fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}

/// Whether every server reads the text as one word.
fn is_one_word(mut token: &[u8]) -> bool {
    while let [rest @ .., b'='] = token {
        token = rest;
    }
    !token.is_empty() && token.iter().all(|byte| is_token68(*byte))
}
