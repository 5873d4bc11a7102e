//! Canonical forms of values and names: the part that identifies a client.
//!
//! Owns equivalences that every common server has. Where servers differ, `request` visits each reading.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::codec::base64;
use crate::codec::form::percent_decode;
use crate::codec::visible::is_visible_without;
use crate::codec::whitespace::trim_wide;

/// Shorter text is not a signature: HMAC-SHA-1 has 20 bytes, which are 27 base64 digits.
const SHORTEST_SIGNATURE: usize = 27;

/// Shorter text before a signature may be a prefix that many clients share, such as a version.
const SHORTEST_SIGNED: usize = 16;

/// A longer user name is compared byte for byte, to bound the time for normalization; real ones are shorter.
const LONGEST_NAME: usize = 1024;

/// Whether the canonical form of a token, an API key or a cookie's value is empty, such as for `""` or `+`. If it were
/// listed, it would match clients that send an empty value.
pub fn is_blank(value: &[u8]) -> bool {
    with_canonical_value(value, <[u8]>::is_empty)
}

/// Calls `use_value` with the canonical form of a token, an API key or a cookie's value: percent-decoded, up to a NUL, with
/// `+` equal to a space, without white space and double quotes around it, and without a signature.
pub(super) fn with_canonical_value<T>(value: &[u8], use_value: impl FnOnce(&[u8]) -> T) -> T {
    let is_trimmed = !matches!(value, [b'+' | b'"', ..] | [.., b'+' | b'"']);
    if is_trimmed && is_visible_without(value, b'%') {
        return use_value(&signed_part(value));
    }
    let decoded = plain_value(value);
    if let Some(part) = jose_part(&decoded) {
        return use_value(&part);
    }
    // A server that skips other bytes in a signature need not decode percent-encoding in it.
    let signed = text_before_signature(value);
    if signed.len() < value.len() {
        return use_value(&plain_value(signed));
    }
    use_value(text_before_signature(&decoded))
}

/// A value decoded and trimmed.
fn plain_value(value: &[u8]) -> Cow<'_, [u8]> {
    let mut decoded = percent_decode(value);
    if decoded.contains(&b'+') {
        for byte in decoded.to_mut() {
            if *byte == b'+' {
                *byte = b' ';
            }
        }
    }
    let trimmed = match &decoded {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) => Cow::Owned(trim(text).to_vec()),
    };
    if !trimmed.contains(&b' ') {
        return trimmed;
    }
    // `+` for a space, as in values that need no decoding.
    let plus = |&byte: &u8| if byte == b' ' { b'+' } else { byte };
    trimmed.iter().map(plus).collect()
}

/// The text up to a NUL, without the white space and double quotes around it.
fn trim(text: &[u8]) -> &[u8] {
    trim_wide(trim_quotes(trim_wide(until_nul(text))))
}

fn trim_quotes(mut text: &[u8]) -> &[u8] {
    while let [b'"', rest @ ..] | [rest @ .., b'"'] = text {
        text = rest;
    }
    text
}

fn until_nul(text: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The identifying part of a token, an API key or a cookie's value: everything except a signature. Servers accept a signature
/// in many spellings (unused bits of the last base64 digit, padding, both alphabets, skipped bytes, the second ECDSA
/// signature), and only the issuer can create one.
///
/// - JSON web signature (RFC 7515, 7.1: three parts, the first a JSON object): `header.payload`.
/// - JSON web encryption (RFC 7516, 7.1: five parts): its header unchanged, the other parts decoded.
/// - Signed text, as of itsdangerous and Flask (at least 16 bytes, then a dot and a signature of at least 27 base64 digits):
///   the text before the last dot.
///
/// Any other value identifies as a whole.
fn signed_part(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'.', value).is_none() {
        return Cow::Borrowed(value);
    }
    jose_part(value).unwrap_or_else(|| Cow::Borrowed(text_before_signature(value)))
}

/// The identity of a JSON web token, signed or encrypted; `None` for any other value.
fn jose_part(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    // The shortest one is `e30.e30.`, without a signature.
    if value.len() < 8 {
        return None;
    }
    let last_dot = memchr::memrchr(b'.', value)?;
    let mut parts = value.split(|&byte| byte == b'.');
    let header = parts.next().unwrap_or_default();
    let is_jose = || base64::first_visible_byte(header) == Some(b'{');
    match parts.count() {
        2 if is_jose() => value.get(..last_dot).map(Cow::Borrowed),
        4 if is_jose() => Some(Cow::Owned(decoded_parts(value))),
        _ => None,
    }
}

/// The text before a dot and a signature; the whole text if there is no signature.
fn text_before_signature(value: &[u8]) -> &[u8] {
    if value.len() < SHORTEST_SIGNED.saturating_add(SHORTEST_SIGNATURE) {
        return value;
    }
    let last_dot = memchr::memrchr(b'.', value);
    let Some((signed, signature)) = last_dot.and_then(|at| value.split_at_checked(at)) else {
        return value;
    };
    let digits = signature
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/'));
    if signed.len() >= SHORTEST_SIGNED && digits.count() >= SHORTEST_SIGNATURE {
        signed
    } else {
        value
    }
}

fn decoded_parts(value: &[u8]) -> Vec<u8> {
    let mut parts = value.split(|&byte| byte == b'.');
    let mut decoded = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        decoded.push(b'.');
        decoded.extend_from_slice(&base64::decode(part));
    }
    decoded
}

/// Whether two cookie names are equal for a server; see `with_canonical_name`.
pub fn is_same_cookie_name(one: &[u8], other: &[u8]) -> bool {
    one == other || with_canonical_name(one, |one| with_canonical_name(other, |other| one == other))
}

const fn fold(byte: u8) -> u8 {
    match byte {
        b' ' | b'.' | b'[' => b'_',
        _ => byte.to_ascii_lowercase(),
    }
}

/// The canonical form of a cookie's name if it differs by more than folded bytes; otherwise the name unchanged. See
/// `with_canonical_name`.
pub fn decoded_cookie_name(name: &[u8]) -> Cow<'_, [u8]> {
    // Decoding such a name twice may change it.
    if is_plain_name(name) || name.contains(&b'%') {
        return Cow::Borrowed(name);
    }
    with_canonical_name(name, |name| Cow::Owned(name.to_vec()))
}

/// Whether the canonical form of a name is each byte folded.
fn is_plain_name(name: &[u8]) -> bool {
    is_visible_without(name, b'%') && !name.contains(&b']')
}

/// Calls `use_name` with the canonical form of a cookie's name: percent-decoded, up to a NUL, without white space around it,
/// in lower case (nginx), and by PHP's rules for variable names: ` `, `.` and `[` become `_`, and `name[key]` is an element
/// of `name`.
fn with_canonical_name<T>(name: &[u8], use_name: impl FnOnce(&[u8]) -> T) -> T {
    with_canonical_cookie(name, None, use_name)
}

/// Calls `use_bytes` with the canonical form of a cookie's name, followed by `=` and `value` if there is one. No name contains
/// `=`, so different cookies never have the same text. `value` must be in canonical form.
pub(super) fn with_canonical_cookie<T>(
    name: &[u8],
    value: Option<&[u8]>,
    use_bytes: impl FnOnce(&[u8]) -> T,
) -> T {
    let value_length = value.map_or(0, |value| value.len().saturating_add(1));
    // Most cookies are short and need no allocation.
    let mut short = [0_u8; 128];
    let joined = short.get_mut(..name.len().saturating_add(value_length));
    if let Some((start, end)) = joined.and_then(|joined| joined.split_at_mut_checked(name.len()))
        && is_plain_name(name)
    {
        for (to, from) in start.iter_mut().zip(name) {
            *to = fold(*from);
        }
        if let (Some(value), Some((equals, end))) = (value, end.split_first_mut())
            && let Some(end) = end.get_mut(..value.len())
        {
            *equals = b'=';
            end.copy_from_slice(value);
        }
        let length = name.len().saturating_add(value_length);
        return use_bytes(short.get(..length).unwrap_or_default());
    }
    let decoded = percent_decode(name);
    let mut name = trim_wide(until_nul(&decoded));
    if let Some(at) = name.iter().position(|&byte| byte == b'[')
        && let Some((base, key)) = name.split_at_checked(at)
        && key.contains(&b']')
    {
        name = trim_wide(base);
    }
    let mut joined = Vec::with_capacity(name.len().saturating_add(value_length));
    joined.extend(name.iter().copied().map(fold));
    if let Some(value) = value {
        joined.push(b'=');
        joined.extend_from_slice(value);
    }
    use_bytes(&joined)
}

/// A user name in normalization form C, in UTF-8.
pub(super) fn normalized_name(name: &[u8]) -> Cow<'_, [u8]> {
    let name = trim_wide(name);
    if name.is_ascii() || name.len() > LONGEST_NAME {
        return Cow::Borrowed(name);
    }
    let text: Cow<'_, str> = match core::str::from_utf8(name) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(name.iter().copied().map(char::from).collect()),
    };
    let normalized = ComposingNormalizerBorrowed::new_nfc().normalize(&text);
    Cow::Owned(normalized.into_owned().into_bytes())
}
