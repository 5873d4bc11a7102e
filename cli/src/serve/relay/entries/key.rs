//! The key of an entry: an identifier as bytes that sort by kind, and its parts again. Knows no list.

use std::net::IpAddr;

use ipnet::IpNet;
use portcullis::identifier::{ClientIdentifier, IdentifierKind};

/// The kind of the identifier of a key.
pub fn kind_of(key: &[u8]) -> Option<IdentifierKind> {
    let first = *key.first()?;
    let mut kinds = IdentifierKind::ALL.into_iter();
    kinds.find(|kind| *kind as u8 == first)
}

/// Keys are sorted by kind, then by address, or by name and value.
pub fn write_key(identifier: ClientIdentifier<'_>, out: &mut Vec<u8>) {
    out.push(identifier.kind() as u8);
    match identifier {
        ClientIdentifier::Ip(range) => {
            match range.addr() {
                IpAddr::V4(address) => {
                    out.push(4);
                    out.extend_from_slice(&address.octets());
                }
                IpAddr::V6(address) => {
                    out.push(6);
                    out.extend_from_slice(&address.octets());
                }
            }
            out.push(range.prefix_len());
        }
        // Neither name can contain a NUL.
        ClientIdentifier::Cookie { name, value } => write_named(name, value, out),
        ClientIdentifier::Header { name, value } => write_named(name.as_bytes(), value, out),
        ClientIdentifier::OauthToken(value)
        | ClientIdentifier::ApiKey(value)
        | ClientIdentifier::Username(value) => out.extend_from_slice(value),
        ClientIdentifier::TokenClaims(claims) => {
            for (name, value) in claims {
                for text in [name.as_bytes(), value] {
                    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                    out.extend_from_slice(&length.to_be_bytes());
                    out.extend_from_slice(text);
                }
            }
        }
    }
}

fn write_named(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.push(0);
    out.extend_from_slice(value);
}

/// What a key is made of.
#[derive(Debug, PartialEq, Eq)]
pub enum Parts<'a> {
    /// An address or a range.
    Ip(IpNet),
    /// A cookie or a header.
    Named(&'a str, &'a str),
    /// A token, an API key or a user name.
    Value(&'a str),
    /// Claims: names and values.
    Claims(Vec<(&'a str, &'a str)>),
}

impl<'a> Parts<'a> {
    /// Reads a key.
    pub fn of(key: &'a [u8]) -> Option<(IdentifierKind, Self)> {
        use IdentifierKind::{ApiKey, Cookie, Header, Ip, OauthToken, TokenClaims, Username};
        let kind = kind_of(key)?;
        let rest = key.get(1..)?;
        let parts = match kind {
            Ip => Parts::Ip(range_of(rest)?),
            Cookie | Header => {
                let (name, value) = text(rest)?.split_once('\0')?;
                Parts::Named(name, value)
            }
            OauthToken | ApiKey | Username => Parts::Value(text(rest)?),
            TokenClaims => {
                let mut claims = Vec::new();
                let mut rest = rest;
                while !rest.is_empty() {
                    claims.push((sized(&mut rest)?, sized(&mut rest)?));
                }
                Parts::Claims(claims)
            }
        };
        Some((kind, parts))
    }
}

fn range_of(key: &[u8]) -> Option<IpNet> {
    let (prefix_length, rest) = key.split_last()?;
    let (family, octets) = rest.split_first()?;
    let address = match family {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
    };
    IpNet::new(address, *prefix_length).ok()
}

fn sized<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (found, after) = after.split_at_checked(length)?;
    *rest = after;
    text(found)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back() {
        let table = [
            (
                ClientIdentifier::Cookie {
                    name: b"S",
                    value: b"v=1",
                },
                Parts::Named("S", "v=1"),
            ),
            (
                ClientIdentifier::Header {
                    name: "cf-ipcountry",
                    value: b"XX",
                },
                Parts::Named("cf-ipcountry", "XX"),
            ),
            (ClientIdentifier::OauthToken(b"T"), Parts::Value("T")),
            (ClientIdentifier::ApiKey(b"K"), Parts::Value("K")),
            (ClientIdentifier::Username(b"bob"), Parts::Value("bob")),
            (
                ClientIdentifier::TokenClaims(&[("aud", b"a\0b"), ("jti", b"1")]),
                Parts::Claims(vec![("aud", "a\0b"), ("jti", "1")]),
            ),
        ];
        for (identifier, expected) in table {
            let mut key = Vec::new();
            write_key(identifier, &mut key);
            assert_eq!(Parts::of(&key), Some((identifier.kind(), expected)));
        }
    }
}
