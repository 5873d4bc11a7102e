//! Cookies of a Cookie header, as RFC 6265 has them and as the most tolerant servers read them.
//!
//! Owns how a header is parted into pairs. Which names and values are equal is decided in `identifier`.

use super::text::{
    percent_decode, quoted, split_once, trim_ows, trim_wide, unescape, unquote, words,
};

/// Calls `visit` with the name and the value of each cookie of one Cookie header (RFC 6265, 4.2.1 and 5.2).
///
/// White space around names and values is removed, and so are double quotes that enclose a value. A pair without
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

/// Calls `visit` with every reading of every cookie of one Cookie header: those of [`visit_cookies`], and where the
/// header has bytes that servers read differently, each reading of these.
pub fn visit_cookie_readings(header_value: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) {
    if has_one_reading(header_value) {
        return visit_cookies(header_value, visit);
    }
    // Every server parts pairs by `;`; some by commas (RFC 2109, 4.1) and by white space too.
    for pair in header_value.split(|&byte| byte == b';') {
        visit_pair(pair, visit);
        let is_parted = |byte: &u8| *byte == b',' || !byte.is_ascii_graphic();
        if trim_ows(pair).iter().any(is_parted) {
            for pair in words(pair, b",") {
                visit_pair(pair, visit);
            }
        }
    }
}

/// Whether all servers read the header alike: visible ASCII without quotes, backslashes and commas, no space
/// but after a semicolon, and no value that starts as Express's JSON cookies do, with `j:`.
fn has_one_reading(header_value: &[u8]) -> bool {
    let mut previous = b';';
    let mut before_previous = b';';
    header_value.iter().all(|&byte| {
        let is_alike = match byte {
            b' ' => previous == b';',
            b'"' | b',' | b'\\' => false,
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
    visit_value(value, &mut |value| visit(name, value));
    // What comes after the white space that only some servers remove may be a quote.
    let wide = trim_wide(value);
    if wide.len() < value.len() {
        visit_value(wide, &mut |value| visit(name, value));
    }
}

/// Every reading of one value: its quotes, its escapes, and Express's JSON cookies.
fn visit_value(value: &[u8], visit: &mut dyn FnMut(&[u8])) {
    let unquoted = unquote(value);
    visit(unquoted);
    if let Some(inner) = quoted(value) {
        if inner.len() != unquoted.len() {
            visit(inner);
            // Some servers look at the first quote only, and remove the last byte whatever it is.
            if let [b'"', inner @ .., _] = value {
                visit(inner);
            }
        }
        if inner.contains(&b'\\') {
            visit(&unescape(inner));
        }
    } else {
        if let [inner @ .., b'"'] = value {
            visit(inner);
        }
        if value.contains(&b'\\') {
            visit(&unescape(value));
        }
    }
    if value.first() == Some(&b'j')
        && let Some(json) = percent_decode(value).strip_prefix(b"j:")
    {
        visit_json_scalars(json, visit);
    }
}

/// Visits every string and number of a JSON text, however it nests: JavaScript makes `x` of `["x"]`. Whether the text is
/// JSON is not looked at.
fn visit_json_scalars(json: &[u8], visit: &mut dyn FnMut(&[u8])) {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|&byte| byte == b'"')
        && let Some((before, from_quote)) = rest.split_at_checked(at)
        && let Some(inner) = quoted(from_quote)
    {
        words(before, b"[]{},:").for_each(&mut *visit);
        let length = inner.len().saturating_add(2);
        if inner.contains(&b'\\') {
            let literal = from_quote.get(..length).unwrap_or_default();
            if let Ok(text) = serde_json::from_slice::<String>(literal) {
                visit(text.as_bytes());
            }
        } else {
            visit(inner);
        }
        rest = from_quote.get(length..).unwrap_or_default();
    }
    words(rest, b"[]{},:").for_each(visit);
}
