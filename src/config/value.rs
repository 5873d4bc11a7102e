//! Values that are written as strings: durations, sizes, address ranges, names.
//!
//! Owns their spelling and canonical form. Knows no key, no section and no default.

use core::time::Duration;

use ipnet::IpNet;

use super::error::{Problem, quoted};
use crate::identifier::listed::without_scheme;
use crate::identifier::{is_blank, parse_address, parse_range};

/// The durations that a key allows, both bounds included.
pub(super) struct DurationRange {
    pub(super) least: Duration,
    pub(super) most: Duration,
    /// The bounds, for error messages.
    pub(super) allowed: &'static str,
}

impl DurationRange {
    /// Reads `500ms`, `30s`, `10m`, `24h`, `30d`.
    pub(super) fn parse(&self, text: &str) -> Result<Duration, Problem> {
        const MILLISECONDS: &[(&str, u64)] = &[
            ("ms", 1),
            ("s", 1_000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
        ];
        quantity(text, MILLISECONDS)
            .map(Duration::from_millis)
            .filter(|duration| (self.least..=self.most).contains(duration))
            .ok_or_else(|| Problem::invalid_text(text, self.allowed))
    }
}

pub(super) const SIZE: &str = "a size from \"1B\" to \"1GB\", such as \"64KB\" or \"128MB\" (whole number; units B, KB, MB, GB; powers of 1024)";

/// Reads `64KB`, `128MB`: a size in bytes. The maximum is the memory that a host gives a VM.
pub(super) fn size(text: &str) -> Result<u64, Problem> {
    const BYTES: &[(&str, u64)] = &[("B", 1), ("KB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30)];
    quantity(text, BYTES)
        .filter(|bytes| (1..=1 << 30).contains(bytes))
        .ok_or_else(|| Problem::invalid_text(text, SIZE))
}

/// Reads a whole number with one of `units`.
fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

/// Reads an address or a CIDR range. IPv4-mapped IPv6 becomes IPv4, also in ranges within ::ffff:0:0/96.
pub(super) fn ip_range(text: &str) -> Result<IpNet, Problem> {
    let allowed = "an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32";
    let Some(range) = parse_range(text) else {
        // It may be a token in the wrong list, so it is only shown if it looks like an address.
        let is_address_byte = |byte: u8| byte.is_ascii_hexdigit() || b".:/[]".contains(&byte);
        let is_address_like =
            text.len() <= 48 && text.contains(['.', ':']) && text.bytes().all(is_address_byte);
        let found = match is_address_like {
            true => quoted(text),
            false => "a string that is not an address (not shown)".to_owned(),
        };
        return Err(Problem::invalid(found, allowed));
    };
    if range.addr() == range.network() {
        Ok(range)
    } else {
        Err(Problem::HostBits {
            found: quoted(text),
            range: range.trunc(),
            address: IpNet::from(range.addr()),
        })
    }
}

/// Rejects an empty text and one with a character that `is_allowed` refuses. The error does not show the text, which may
/// be secret.
fn checked(
    text: &str,
    is_allowed: impl Fn(char) -> bool,
    allowed: &'static str,
) -> Result<String, Problem> {
    match text.chars().find(|&character| !is_allowed(character)) {
        Some(character) => Err(Problem::invalid_character(character, allowed)),
        None if text.is_empty() => Err(Problem::invalid("an empty string", allowed)),
        None => Ok(text.to_owned()),
    }
}

/// Reads a header name (RFC 9110, 5.6.2: a token), in lower case. Pseudo headers (`:path`) are not allowed.
pub(super) fn header_name(text: &str) -> Result<String, Problem> {
    let is_allowed = |character: char| {
        character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
    };
    let allowed =
        "a header name of letters, digits and !#$%&'*+-.^_`|~ only, such as \"x-api-key\"";
    checked(text, is_allowed, allowed).map(|name| name.to_ascii_lowercase())
}

const fn is_no_line_break(character: char) -> bool {
    !matches!(character, '\r' | '\n' | '\0')
}

/// Reads a header value: no line breaks, no NUL. It may be empty.
pub(super) fn header_value(text: &str) -> Result<String, Problem> {
    match text {
        "" => Ok(String::new()),
        _ => checked(
            text,
            is_no_line_break,
            "a header value without line breaks and NUL",
        ),
    }
}

/// Reads a value of a manual list, or a name that the operator chooses: not empty, no line breaks, no NUL.
pub(super) fn identifier_text(text: &str) -> Result<String, Problem> {
    let allowed = "a string that is not empty and has no line break and no NUL";
    if !text.is_empty() && is_blank(text.as_bytes()) {
        let found = "a string of white space, quotes and plus signs only";
        return Err(Problem::invalid(found, allowed));
    }
    checked(text, is_no_line_break, allowed)
}

/// Reads a bearer token: as [`identifier_text`]; `Bearer T` is the token `T`, as on ABS's list.
pub(super) fn oauth_token(text: &str) -> Result<String, Problem> {
    identifier_text(without_scheme(text))
}

/// Reads a cookie's value: as [`identifier_text`], without the double quotes around it. A semicolon ends a cookie, so a value
/// with one matches no request.
pub(super) fn cookie_value(text: &str) -> Result<String, Problem> {
    let allowed = "a cookie's value without \";\", which ends a cookie, so that no request could match; write it as %3B, \
                   which matches the same requests";
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let value = identifier_text(inner.unwrap_or(text))?;
    match value.contains(';') {
        true => Err(Problem::invalid_character(';', allowed)),
        false => Ok(value),
    }
}

/// Reads a cookie's name. Like browsers, it allows more than RFC 6265 (4.1.1).
pub(super) fn cookie_name(text: &str) -> Result<String, Problem> {
    let is_allowed =
        |character: char| !matches!(character, '=' | ';') && !character.is_ascii_control();
    let allowed = "a cookie's name, without =, ; and control characters, such as \"JSESSIONID\"";
    checked(text.trim(), is_allowed, allowed)
}

/// Reads a string of visible ASCII characters.
pub(super) fn visible_ascii(text: &str) -> Result<String, Problem> {
    let allowed = "one or more visible ASCII characters, without spaces";
    checked(text, |character| character.is_ascii_graphic(), allowed)
}

/// Reads an access key or a secret key of ABS: visible ASCII characters without a colon.
pub(super) fn abs_key(text: &str) -> Result<String, Problem> {
    let is_allowed = |character: char| character.is_ascii_graphic() && character != ':';
    let allowed = "a key of visible ASCII characters without \":\"";
    checked(text, is_allowed, allowed)
}

/// Reads the name of an environment variable. An invalid one is not shown: it may be the secret itself.
pub(super) fn variable_name(text: &str) -> Result<String, Problem> {
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let allowed = "the name of an environment variable (letters, digits and underscores), such as \"ABS_ACCESS_KEY\"";
    checked(text, is_allowed, allowed)
}

/// Reads a host name, in lower case and without a trailing dot; `*` is `None`, any host name.
pub(super) fn hostname(text: &str) -> Result<Option<String>, Problem> {
    let is_allowed =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_');
    let allowed = "\"*\" for any, or one host name without a port, such as \"api.example.com\" (an international name as xn--...)";
    if text == "*" {
        return Ok(None);
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    // An IPv6 address is in brackets, as in :authority.
    if !(name.starts_with('[') && parse_address(name).is_some()) {
        checked(name, is_allowed, allowed)?;
    }
    Ok(Some(name.to_ascii_lowercase()))
}

/// Reads a base path, without its trailing slash; `/` is empty and means any path.
pub(super) fn base_path(text: &str) -> Result<String, Problem> {
    let is_allowed = |character: char| {
        character.is_ascii_graphic() && !matches!(character, '*' | '?' | '#' | '\\')
    };
    let allowed = "a base path of whole segments that starts with /, such as \"/shop\": no *, ?, #, //, . or .., other characters percent-encoded";
    checked(text, is_allowed, allowed)?;
    let path = text.strip_suffix('/').unwrap_or(text);
    let mut segments = path.split('/');
    let is_rooted = text.starts_with('/') && segments.next() == Some("");
    if is_rooted && segments.all(|segment| !matches!(segment, "" | "." | "..")) {
        Ok(path.to_owned())
    } else {
        Err(Problem::invalid_text(text, allowed))
    }
}

/// Reads the path of an HTTP call: starts with a slash and has only visible ASCII characters.
pub(super) fn call_path(text: &str) -> Result<String, Problem> {
    let is_allowed = |character: char| character.is_ascii_graphic() && character != '#';
    let allowed = "a path that starts with / and has only visible ASCII characters, such as \"/portcullis/v1/traffic\"";
    let path = checked(text, is_allowed, allowed)?;
    match path.starts_with('/') {
        true => Ok(path),
        false => Err(Problem::invalid_text(text, allowed)),
    }
}
