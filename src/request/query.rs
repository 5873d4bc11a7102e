//! Parameters of a query and of a path (`;name=value`), as forms define them and as tolerant servers read them.
//!
//! Owns how a path is split into parameters, and which parameter names are equal.

use std::borrow::Cow;

use super::text::{before, form_decode, percent_decode, split_once, trim_wide};

/// Calls `visit` with each value of the parameter `name` in the query of `path` (a `:path` with query, RFC 9113, 8.3.1).
/// Names and values are decoded like forms (WHATWG URL, 5.1): percent-encoding, and `+` for a space. A percent sign without
/// two hex digits is literal. A parameter without `=` has an empty value.
///
/// `/shop?api_key=a%2Bb&x=1&api_key=c+d#e` gives, for `api_key`, `a+b` and `c d`.
pub fn query_values(path: &[u8], name: &str, visit: &mut dyn FnMut(&[u8])) {
    for parameter in query(path).split(|&byte| byte == b'&') {
        let (found, value) = split_once(parameter, b'=').unwrap_or((parameter, &[]));
        if form_decode(found).as_ref() == name.as_bytes() {
            visit(&form_decode(value));
        }
    }
}

/// Calls `visit` with every reading of every value of the parameters `names` in the query of `path`.
///
/// A name matches in any letter case, trimmed, up to a NUL, by PHP's rules for variable names, and as a list (`name[]`). `;`
/// also separates parameters (HTML 4.01, B.2.2). A value is visited as sent and decoded.
pub fn visit_query_readings(path: &[u8], names: &[String], visit: &mut dyn FnMut(&[u8])) {
    if names.is_empty() {
        return;
    }
    for parameter in query(path).split(|&byte| byte == b'&') {
        visit_parameter(parameter, names, visit);
        if parameter.contains(&b';') {
            for parameter in parameter.split(|&byte| byte == b';') {
                visit_parameter(parameter, names, visit);
            }
        }
    }
}

/// Calls `visit` with each name and value of the path parameters `names` (RFC 3986, 3.3): `/a;jsessionid=1/b` gives, for
/// `jsessionid`, `1`. Names match as in queries. Tomcat reads session identifiers there (Servlet 6.0, 7.1.3).
pub fn visit_path_parameters(path: &[u8], names: &[String], visit: &mut dyn FnMut(&str, &[u8])) {
    let path = before(before(path, b'#'), b'?');
    if names.is_empty() || !path.contains(&b';') && !path.contains(&b'%') {
        return;
    }
    let mut visit_all = |path: &[u8]| {
        for segment in path.split(|&byte| byte == b'/') {
            for parameter in segment.split(|&byte| byte == b';').skip(1) {
                let Some((found, value)) = split_once(parameter, b'=') else {
                    continue;
                };
                for name in names.iter().filter(|name| is_same_name(name, found)) {
                    visit(name, value);
                }
            }
        }
    };
    visit_all(path);
    if let Cow::Owned(decoded) = percent_decode(path) {
        visit_all(&decoded);
    }
}

fn query(path: &[u8]) -> &[u8] {
    split_once(before(path, b'#'), b'?').map_or(&[], |(_, query)| query)
}

fn visit_parameter(parameter: &[u8], names: &[String], visit: &mut dyn FnMut(&[u8])) {
    let (found, value) = split_once(parameter, b'=').unwrap_or((parameter, &[]));
    if names.iter().any(|name| is_same_name(name, found)) {
        visit_value(value, visit);
    }
}

/// A value as sent, and decoded once if that changes it: the canonical form is decoded again.
fn visit_value(value: &[u8], visit: &mut dyn FnMut(&[u8])) {
    visit(value);
    if let Cow::Owned(decoded) = form_decode(value)
        && matches!(percent_decode(&decoded), Cow::Owned(_))
    {
        visit(&decoded);
    }
}

/// Whether a server may read the sent parameter name `found` as `name`.
fn is_same_name(name: &str, found: &[u8]) -> bool {
    const fn fold(byte: u8) -> u8 {
        match byte {
            // PHP converts these in variable names.
            b' ' | b'.' | b'[' => b'_',
            _ => byte.to_ascii_lowercase(),
        }
    }
    let is_equal = |found: &[u8]| {
        let mut name = name.bytes().map(fold);
        let mut found = found.iter().copied().map(fold);
        name.by_ref().eq(found.by_ref())
    };
    if is_equal(found) {
        return true;
    }
    // Most names need no decoding.
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if found.iter().all(is_plain) || found.len() < name.len() {
        return false;
    }
    let decoded = form_decode(found);
    let mut trimmed = trim_wide(before(&decoded, 0));
    while let [b'?', rest @ ..] = trimmed {
        trimmed = trim_wide(rest);
    }
    is_equal(trimmed) || is_equal(before(trimmed, b'['))
}
