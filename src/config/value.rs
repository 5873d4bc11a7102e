//! The values of the plugin configuration that are written as strings: durations, sizes, address ranges, names.
//!
//! Owns their spelling and their one canonical form. Knows no key, no section and no default.

use core::time::Duration;

use ipnet::IpNet;

use super::JwtLocation;
use super::error::{Problem, quoted};
use crate::identifier::listed::without_scheme;
use crate::identifier::{is_blank, parse_address, parse_range};

/// A duration within bounds, both allowed.
pub(super) struct DurationRange {
    pub(super) least: Duration,
    pub(super) most: Duration,
    /// The bounds in words, for errors.
    pub(super) allowed: &'static str,
}

impl DurationRange {
    /// Reads `500ms`, `30s`, `10m`, `24h`, `30d`.
    #[inline(never)]
    pub(super) fn parse(&self, text: &str) -> Result<Duration, Problem> {
        duration(text)
            .filter(|duration| (self.least..=self.most).contains(duration))
            .ok_or_else(|| Problem::refused_text(text, self.allowed))
    }
}

#[inline(never)]
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// Reads `64KB`, `128MB`: a size in bytes, in powers of 1024, from 1 byte to `most`.
#[inline(never)]
pub(super) fn size(text: &str, most: u64, allowed: &'static str) -> Result<u64, Problem> {
    let bytes = number_and_unit(text).and_then(|(number, unit)| {
        let scale: u64 = match unit {
            "B" => 1,
            "KB" => 1 << 10,
            "MB" => 1 << 20,
            "GB" => 1 << 30,
            _ => return None,
        };
        number.checked_mul(scale)
    });
    bytes
        .filter(|bytes| (1..=most).contains(bytes))
        .ok_or_else(|| Problem::refused_text(text, allowed))
}

#[inline(never)]
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit))
}

const RANGE: &str = "an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32";

/// Reads an address or a CIDR range. IPv4-mapped IPv6 becomes IPv4, ranges within ::ffff:0:0/96 too.
#[inline(never)]
pub(super) fn ip_range(text: &str) -> Result<IpNet, Problem> {
    let refused = || {
        // What is no address may be a token that went into the wrong list: only what looks like an address is shown.
        let address_like = text.len() <= 48
            && text.contains(['.', ':'])
            && text
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || b".:/[]".contains(&byte));
        if address_like {
            Problem::refused_text(text, RANGE)
        } else {
            Problem::refused("a string that is no address (not shown)", RANGE)
        }
    };
    let range = parse_range(text).ok_or_else(refused)?;
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

/// Refuses an empty text, and one with a character of which `is_refused` is true. The text itself is not shown in the
/// error, since it may be secret.
#[inline(never)]
fn checked<'t>(
    text: &'t str,
    is_refused: fn(char) -> bool,
    allowed: &'static str,
) -> Result<&'t str, Problem> {
    if text.is_empty() {
        return Err(Problem::refused("an empty string", allowed));
    }
    match text.chars().find(|&character| is_refused(character)) {
        None => Ok(text),
        Some(character) => Err(Problem::refused_character(character, allowed)),
    }
}

/// Reads a header name (RFC 9110, 5.6.2: a token), in lower case. Pseudo headers (`:path`) are none.
pub(super) fn header_name(text: &str) -> Result<String, Problem> {
    let is_refused = |character: char| {
        !(character.is_ascii_alphanumeric()
            || matches!(
                character,
                '!' | '#'
                    | '$'
                    | '%'
                    | '&'
                    | '\''
                    | '*'
                    | '+'
                    | '-'
                    | '.'
                    | '^'
                    | '_'
                    | '`'
                    | '|'
                    | '~'
            ))
    };
    let allowed =
        "a header name of letters, digits and !#$%&'*+-.^_`|~ alone, such as \"x-api-key\"";
    checked(text, is_refused, allowed).map(str::to_ascii_lowercase)
}

fn is_line_break(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\0')
}

/// Reads a header value: no line breaks, no NUL. It may be empty.
pub(super) fn header_value(text: &str) -> Result<String, Problem> {
    let allowed = "a header value without line breaks and NUL";
    if text.is_empty() {
        return Ok(String::new());
    }
    checked(text, is_line_break, allowed).map(str::to_owned)
}

/// Reads a value of a manual list, or a name of the operator's own: not empty, no line breaks, no NUL.
pub(super) fn identifier_text(text: &str) -> Result<String, Problem> {
    let allowed = "a string that is not empty and has no line break and no NUL";
    if !text.is_empty() && is_blank(text.as_bytes()) {
        let found = "a string of white space, quotes and plus signs only";
        return Err(Problem::refused(found, allowed));
    }
    checked(text, is_line_break, allowed).map(str::to_owned)
}

/// Reads a bearer token: as [`identifier_text`]; `Bearer T` is the token `T`, as on ABS's list.
pub(super) fn oauth_token(text: &str) -> Result<String, Problem> {
    identifier_text(without_scheme(text))
}

/// Reads a cookie's value: as [`identifier_text`]; a value in double quotes equals the value without them. A semicolon
/// ends a cookie, so a value with one matches no request.
pub(super) fn cookie_value(text: &str) -> Result<String, Problem> {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    let value = identifier_text(inner)?;
    if value.contains(';') {
        let allowed = "a cookie's value without \";\", which ends a cookie, so that no request could match; write it as %3B, \
                       which matches the same requests";
        return Err(Problem::refused_character(';', allowed));
    }
    Ok(value)
}

/// Reads a cookie's name (RFC 6265, 4.1.1), a bit more freely, as browsers do.
pub(super) fn cookie_name(text: &str) -> Result<String, Problem> {
    let is_refused =
        |character: char| matches!(character, '=' | ';') || character.is_ascii_control();
    let allowed = "a cookie's name, without =, ; and control characters, such as \"JSESSIONID\"";
    checked(text.trim(), is_refused, allowed).map(str::to_owned)
}

/// Reads a string of visible ASCII characters.
pub(super) fn visible_ascii(text: &str) -> Result<String, Problem> {
    let is_refused = |character: char| !character.is_ascii_graphic();
    let allowed = "one or more visible ASCII characters, without spaces";
    checked(text, is_refused, allowed).map(str::to_owned)
}

/// Reads an access key or a secret key of ABS: visible ASCII characters without a colon.
pub(super) fn abs_key(text: &str) -> Result<String, Problem> {
    let is_refused = |character: char| !character.is_ascii_graphic() || character == ':';
    let allowed = "a key of visible ASCII characters without \":\"";
    checked(text, is_refused, allowed).map(str::to_owned)
}

/// Reads where a JSON web token is, in the form of ASE's API JSON: `h:<header>`, `h:authorization:bearer`, `qs:<parameter>`.
/// Empty: in the Authorization header.
pub(super) fn jwt_location(text: &str) -> Result<JwtLocation, Problem> {
    let allowed = "\"h:authorization:bearer\", \"h:\" and a header's name, or \"qs:\" and a parameter's name, such as \"h:x-jwt\"";
    let location = text.to_ascii_lowercase();
    match (location.split_once(':'), text.split_once(':')) {
        (None, _) if location.is_empty() => Ok(JwtLocation::Authorization),
        (Some(("h", name)), _) => {
            let name = name.trim();
            if matches!(name, "authorization" | "authorization:bearer") {
                return Ok(JwtLocation::Authorization);
            }
            header_name(name).map(JwtLocation::Header)
        }
        (Some(("qs", _)), Some((_, name))) => identifier_text(name.trim()).map(JwtLocation::Query),
        _ => Err(Problem::refused_text(text, allowed)),
    }
}

/// Reads the name of an environment variable. What can't be one is not shown: it may be the secret itself, in the
/// wrong place.
pub(super) fn variable_name(text: &str) -> Result<String, Problem> {
    let is_refused = |character: char| !(character.is_ascii_alphanumeric() || character == '_');
    let allowed = "the name of an environment variable (letters, digits and underscores), such as \"ABS_ACCESS_KEY\"";
    checked(text, is_refused, allowed).map(str::to_owned)
}

/// Reads a host name, in lower case and without a trailing dot, or `*` for any.
pub(super) fn hostname(text: &str) -> Result<String, Problem> {
    let is_refused = |character: char| {
        !(character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_'))
    };
    let allowed = "\"*\" for any, or one host name without a port, such as \"api.example.com\" (an international name as xn--...)";
    let name = text.strip_suffix('.').unwrap_or(text);
    // An IPv6 address stands in brackets, as it does in :authority.
    let is_whole = text == "*" || (name.starts_with('[') && parse_address(name).is_some());
    if !is_whole {
        checked(name, is_refused, allowed)?;
    }
    Ok(name.to_ascii_lowercase())
}

/// Reads a base path, without its trailing slash; empty for `/`, any.
pub(super) fn base_path(text: &str) -> Result<String, Problem> {
    let is_refused = |character: char| {
        !character.is_ascii_graphic() || matches!(character, '*' | '?' | '#' | '\\')
    };
    let allowed = "a base path that starts with / and has whole segments alone, such as \"/shop\": no *, ?, #, //, . or .., other characters percent-encoded";
    checked(text, is_refused, allowed)?;
    let path = text.strip_suffix('/').unwrap_or(text);
    let mut segments = path.split('/');
    let is_rooted = text.starts_with('/') && segments.next() == Some("");
    if is_rooted && segments.all(|segment| !matches!(segment, "" | "." | "..")) {
        Ok(path.to_owned())
    } else {
        Err(Problem::refused_text(text, allowed))
    }
}

/// Reads the path of an HTTP call: starts with a slash, visible ASCII characters alone.
pub(super) fn call_path(text: &str) -> Result<String, Problem> {
    let is_refused = |character: char| !character.is_ascii_graphic() || character == '#';
    let allowed = "a path that starts with /, of visible ASCII characters alone, such as \"/portcullis/v1/traffic\"";
    checked(text, is_refused, allowed)?;
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err(Problem::refused_text(text, allowed))
    }
}
