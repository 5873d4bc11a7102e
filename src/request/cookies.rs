//! Cookies in a Cookie header, as RFC 6265 defines them and as tolerant servers read them.
//!
//! Owns how a header is split into pairs. `identifier` owns which names and values are equal.

use super::text::{percent_decode, quoted, split_once, trim_ows, trim_wide, unescape, unquote};
use crate::codec::json::{self, Scalar};
use crate::identifier::decoded_cookie_name;

/// Calls `visit` with the name and the value of each cookie of one Cookie header (RFC 6265, 4.2.1 and 5.2).
///
/// White space around names and values and double quotes around a value are removed. A pair without `=` or with an empty
/// name is ignored.
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

/// Calls `visit` with every reading of every cookie of one Cookie header: those of [`visit_cookies`], and all readings of
/// bytes that servers read differently.
pub fn visit_cookie_readings(header_value: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) {
    if has_one_reading(header_value) {
        return visit_cookies(header_value, visit);
    }
    for pair in header_value.split(|&byte| byte == b';') {
        visit_pair(pair, visit);
        let visit =
            &mut |name: &[u8], value: &[u8]| visit_derived(value, &mut |it| visit(name, it));
        if !trim_ows(pair).iter().all(|byte| is_octet(*byte)) {
            visit_patterns(pair, visit);
        }
        // Some of these servers also remove backslashes.
        if pair.contains(&b'\\') && has_name_behind_other_byte(pair) {
            visit_patterns(&unescape(pair), visit);
        }
    }
}

/// Whether a name may start, or a value end, at a byte that neither separates pairs nor escapes.
fn has_name_behind_other_byte(pair: &[u8]) -> bool {
    let parts = |byte: u8| !is_octet(byte) && byte != b'\\' && byte != b'"';
    let mut bytes = trim_ows(pair).iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if parts(byte) && bytes.peek() != Some(&b'=') {
            return true;
        }
    }
    false
}

/// Visits a reading that differs from the sent value. Very short readings are ignored: they identify no client, and a header
/// could contain tens of thousands.
fn visit_derived(value: &[u8], visit: &mut dyn FnMut(&[u8])) {
    const SHORTEST: usize = 3;
    if value.len() >= SHORTEST {
        visit(value);
    }
}

/// A byte that RFC 6265 (4.1.1) allows in a cookie, or `=`.
const fn is_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b'\\' | b'[' | b']' | b';')
}

/// Every `name=value` in a pair, for servers that match the header against a pattern: any other byte ends a name or a value,
/// and white space may surround the equals sign.
fn visit_patterns(pair: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) {
    let words = pair.split(|&byte| !is_octet(byte));
    let mut words = words.filter(|word| !word.is_empty()).peekable();
    let mut previous: &[u8] = b"";
    while let Some(word) = words.next() {
        if let Some((name, value)) = split_once(word, b'=') {
            let name = if name.is_empty() { previous } else { name };
            let value = match (value, words.peek()) {
                (b"", Some(next)) => next,
                _ => value,
            };
            if !name.is_empty() {
                visit(name, value);
            }
        }
        previous = word;
    }
}

/// Whether all servers read the header in the same way: visible ASCII without quotes, backslashes, commas and brackets, spaces
/// only after a semicolon, and no value that starts with `j:` like the JSON cookies of Express.
fn has_one_reading(header_value: &[u8]) -> bool {
    let mut previous = b';';
    let mut before_previous = b';';
    header_value.iter().all(|&byte| {
        let is_alike = match byte {
            b' ' => previous == b';',
            b'"' | b',' | b'\\' | b'[' | b']' => false,
            b':' | b'%' => (before_previous, previous) != (b'=', b'j'),
            _ => byte.is_ascii_graphic(),
        };
        before_previous = previous;
        previous = byte;
        is_alike
    })
}

fn visit_pair(pair: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) {
    let Some((name, value)) = split_once(pair, b'=') else {
        return;
    };
    let (name, value) = (trim_ows(name), trim_ows(value));
    if name.is_empty() {
        return;
    }
    // Once for all readings of the value.
    let name = &decoded_cookie_name(name);
    visit_value(value, &mut |value| visit(name, value));
    // A quote may follow white space that only some servers remove.
    let wide = trim_wide(value);
    if wide.len() < value.len() {
        visit_value(wide, &mut |value| visit(name, value));
    }
}

/// Every reading of one value: its quotes, its escapes, and Express's JSON cookies.
fn visit_value(value: &[u8], visit: &mut dyn FnMut(&[u8])) {
    let unquoted = unquote(value);
    visit(unquoted);
    if value.first() == Some(&b'j')
        && let Some(json) = percent_decode(value).strip_prefix(b"j:")
    {
        return visit_json_scalars(json, visit);
    }
    // The canonical form ignores quotes at the ends, but not text after a closing quote.
    let inner = quoted(value).unwrap_or(value);
    if inner.len() < unquoted.len() {
        if inner.len() < unquoted.len().saturating_sub(1) {
            visit_derived(inner, visit);
        }
        // Some servers check only the first quote, and remove the last byte in any case.
        if let [b'"', inner @ .., _] = value {
            visit_derived(inner, visit);
        }
    }
    if inner.contains(&b'\\') {
        visit_derived(&unescape(inner.strip_suffix(b"\"").unwrap_or(inner)), visit);
    }
}

/// Visits every string of a JSON text, at any depth, and the text itself without brackets: JavaScript converts `["x"]` to `x`,
/// and `[7]` to `7`. The text need not be valid JSON.
fn visit_json_scalars(json: &[u8], visit: &mut dyn FnMut(&[u8])) {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|&byte| byte == b'"')
        && let Some(from_quote) = rest.get(at..)
        && let Some(inner) = quoted(from_quote)
    {
        let length = inner.len().saturating_add(2);
        if inner.contains(&b'\\') {
            let literal = from_quote.get(..length).unwrap_or_default();
            // Text that is no JSON string has no reading.
            json::read_scalar(literal, &mut |value| {
                if let Scalar::Text(text) = value {
                    visit(text.as_bytes());
                }
            })
            .unwrap_or_default();
        } else {
            visit(inner);
        }
        rest = from_quote.get(length..).unwrap_or_default();
    }
    let mut bare = json;
    while let [b'[' | b']' | b' ', inner @ ..] | [inner @ .., b'[' | b']' | b' '] = bare {
        bare = inner;
    }
    visit(bare);
}
