//! Which listed values are usable, for lists from ABS, the configuration and the command line tool.
//!
//! Owns what is removed from a value before comparison, and which values no request can carry. `identifier` owns equality.

use core::fmt;

use ipnet::IpNet;

use super::{ClientIdentifier, IdentifierKind, is_blank, is_scheme, parse_range};

/// Why an entry of a list can't be used. Does not contain the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unusable {
    /// Empty, or only white space, quotes or a scheme.
    Empty,
    /// Neither an address nor a range.
    NotAnAddress,
    /// `0.0.0.0` or `::`, which is never the address of a client.
    UnspecifiedAddress,
    /// A cookie without a usable name.
    CookieName,
    /// A character that no request can carry in an identifier of this kind.
    Character,
    /// Bytes that are not UTF-8, or half of a character.
    NotText,
    /// The name of an authentication scheme instead of a token or a key.
    Scheme,
    /// A number with more digits than can be read exactly.
    LongNumber,
    /// `null`.
    Null,
    /// A type that entries can't have, or an object without a known name.
    WrongType,
    /// Several addresses that are not a range, or a range that ends before it starts.
    SeveralAddresses,
    /// In or around a special-purpose range, such as a private network.
    SpecialPurpose,
    /// A line of a text list that is longer than any entry.
    LongLine,
    /// A time to live that can't be read.
    Duration,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unusable::Empty => "empty",
            Unusable::NotAnAddress => "not an address or a CIDR range",
            Unusable::UnspecifiedAddress => "the unspecified address",
            Unusable::CookieName => "a cookie without a usable name",
            Unusable::Character => "a character that no request can carry there",
            Unusable::NotText => "bytes that are not UTF-8",
            Unusable::Scheme => "the name of an authentication scheme",
            Unusable::LongNumber => "a number that can't be read exactly",
            Unusable::Null => "null",
            Unusable::WrongType => "of an unsupported type",
            Unusable::SeveralAddresses => "several addresses that are not a range",
            Unusable::SpecialPurpose => "in a special-purpose range",
            Unusable::LongLine => "a line that is too long",
            Unusable::Duration => "a duration that can't be read",
        })
    }
}

/// An entry of a list as an identifier. `name`: of a cookie or a header.
///
/// # Errors
///
/// No request can carry the entry, or it would be one of claims: `feed::tokens` reads those.
pub fn listed<'a>(
    kind: IdentifierKind,
    name: &'a str,
    text: &'a str,
) -> Result<ClientIdentifier<'a>, Unusable> {
    let value = || usable_value(kind, text).map(str::as_bytes);
    Ok(match kind {
        IdentifierKind::Ip => ClientIdentifier::Ip(usable_range(text)?),
        IdentifierKind::Cookie => ClientIdentifier::Cookie {
            name: usable_cookie_name(name)?.as_bytes(),
            value: value()?,
        },
        IdentifierKind::OauthToken => ClientIdentifier::OauthToken(value()?),
        IdentifierKind::ApiKey => ClientIdentifier::ApiKey(value()?),
        IdentifierKind::Username => ClientIdentifier::Username(value()?),
        IdentifierKind::Header => ClientIdentifier::Header {
            name,
            value: value()?,
        },
        IdentifierKind::TokenClaims => return Err(Unusable::WrongType),
    })
}

/// The value of an entry that is not an address, without the white space around it; a cookie's value also without the double
/// quotes around it, a token without `Bearer`.
///
/// # Errors
///
/// No request can carry the value.
pub fn usable_value(kind: IdentifierKind, text: &str) -> Result<&str, Unusable> {
    let text = trimmed(text);
    let value = match kind {
        IdentifierKind::Cookie => unquoted(text),
        IdentifierKind::OauthToken => without_scheme(text),
        _ => text,
    };
    let is_refused: fn(char) -> bool = match kind {
        IdentifierKind::Cookie => {
            |character| character == ';' || character.is_ascii_control() && character != '\t'
        }
        _ => |character| matches!(character, '\r' | '\n' | '\0'),
    };
    let is_credential = matches!(kind, IdentifierKind::OauthToken | IdentifierKind::ApiKey);
    if value.is_empty() || is_blank(value.as_bytes()) {
        Err(Unusable::Empty)
    } else if value.contains(is_refused) {
        Err(Unusable::Character)
    } else if is_credential && is_scheme(value.as_bytes()) {
        Err(Unusable::Scheme)
    } else {
        Ok(value)
    }
}

/// A cookie's name, without the white space around it.
///
/// # Errors
///
/// No request can carry a cookie of this name.
pub fn usable_cookie_name(text: &str) -> Result<&str, Unusable> {
    let name = trimmed(text);
    let is_refused =
        |character: char| matches!(character, '=' | ';') || character.is_ascii_control();
    if name.is_empty() || name.contains(is_refused) {
        return Err(Unusable::CookieName);
    }
    Ok(name)
}

/// An address, or a range with its host bits cleared.
///
/// # Errors
///
/// It is neither, or an address that no client has.
pub fn usable_range(text: &str) -> Result<IpNet, Unusable> {
    let range = parse_range(trimmed(text)).ok_or(Unusable::NotAnAddress)?;
    if range.prefix_len() == range.max_prefix_len() && range.addr().is_unspecified() {
        return Err(Unusable::UnspecifiedAddress);
    }
    Ok(range.trunc())
}

fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(value)
}

/// The text without white space, line ends and byte order marks around it.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || character == '\u{FEFF}')
}

/// The token without the scheme `Bearer` before it, which is not a part of it (RFC 6750, 2.1).
pub fn without_scheme(token: &str) -> &str {
    match token.split_once(char::is_whitespace) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => trimmed(token),
        _ => token,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use IdentifierKind::{ApiKey, Cookie, OauthToken, Username};

    #[test]
    fn surrounding_text_is_removed() {
        for kind in [Cookie, OauthToken, ApiKey, Username] {
            for text in [
                "v",
                " v",
                "v \t",
                "\r\nv\n",
                "\u{a0}v\u{3000}",
                "\u{b}v\u{c}",
                "\u{feff}v",
            ] {
                assert_eq!(usable_value(kind, text), Ok("v"), "{kind:?} {text:?}");
            }
            for text in ["", " ", "\n", "\"\"", "\"", "+", "%20"] {
                assert_eq!(usable_value(kind, text), Err(Unusable::Empty), "{kind:?}");
            }
        }
        let table = [
            (Cookie, " \"v\"\n", "v"),
            (Cookie, "\" v \"", " v "),
            (Cookie, "\"v", "\"v"),
            (Cookie, "a\tb", "a\tb"),
            (OauthToken, "Bearer T", "T"),
            (OauthToken, "bEARER\t  T\n", "T"),
            (OauthToken, "BearerT", "BearerT"),
            (OauthToken, "Basic T", "Basic T"),
            (ApiKey, "Bearer T", "Bearer T"),
            (Username, "Bearer T", "Bearer T"),
            (Username, "a b", "a b"),
        ];
        for (kind, text, value) in table {
            assert_eq!(usable_value(kind, text), Ok(value), "{text:?}");
        }
    }

    #[test]
    fn values_that_no_request_can_carry_are_unusable() {
        let table = [
            (Cookie, "a;b", Unusable::Character),
            (Cookie, "a\u{1}b", Unusable::Character),
            (Cookie, "\"a\n\"", Unusable::Character),
            (Cookie, "\"\"", Unusable::Empty),
            (OauthToken, "a\nb", Unusable::Character),
            (OauthToken, "Bearer a\r\nb", Unusable::Character),
            (OauthToken, "Bearer", Unusable::Scheme),
            (OauthToken, "bearer bearer", Unusable::Scheme),
            (OauthToken, "DPoP ", Unusable::Scheme),
            (ApiKey, "a\0b", Unusable::Character),
            (ApiKey, "Basic", Unusable::Scheme),
            (Username, "a\rb", Unusable::Character),
        ];
        for (kind, text, reason) in table {
            assert_eq!(usable_value(kind, text), Err(reason), "{text:?}");
        }
        assert_eq!(usable_value(Username, "bearer"), Ok("bearer"));
        assert_eq!(usable_value(Cookie, "token"), Ok("token"));
    }

    #[test]
    fn cookie_names_are_trimmed_and_checked() {
        for text in ["SID", " SID\n"] {
            assert_eq!(usable_cookie_name(text), Ok("SID"));
        }
        for text in ["", " ", "a=b", "a;b", "a\nb"] {
            assert_eq!(usable_cookie_name(text), Err(Unusable::CookieName));
        }
    }

    #[test]
    fn addresses_and_ranges_are_trimmed_and_host_bits_cleared() {
        let range = |text: &str| usable_range(text).map(|range| range.to_string());
        for (text, expected) in [
            ("192.0.2.1\n", "192.0.2.1/32"),
            (" 198.51.100.7/24 ", "198.51.100.0/24"),
            ("\t2001:db8::1", "2001:db8::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(range(text).as_deref(), Ok(expected));
        }
        for text in ["", "A", "192.0.2.1,192.0.2.2", "192.0.2.1:443", "1001"] {
            assert_eq!(range(text), Err(Unusable::NotAnAddress), "{text}");
        }
        for text in ["0.0.0.0", "::", "::ffff:0.0.0.0"] {
            assert_eq!(range(text), Err(Unusable::UnspecifiedAddress), "{text}");
        }
    }
}
