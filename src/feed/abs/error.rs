//! The reasons why a body is not an attack list, and their text.
//!
//! Errors show shapes, positions and counts, never the body's content.

use core::fmt;
use std::io;

use crate::codec::json::{ErrorKind, JsonError};
use crate::feed::entries::EntryCounts;
use crate::feed::scalar::Shape;
use crate::identifier::IdentifierKind;

/// Why a body is not an attack list. Entries that went to the sink before the error must not be enforced.
///
/// Contains nothing of the body's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttackListError {
    /// The body is not JSON (an HTML page, for instance).
    NotJson {
        /// Line of the error, from 1.
        line: usize,
        /// Column of the error, in bytes from 1.
        column: usize,
        /// The parser's description, which quotes nothing of the body.
        reason: String,
    },
    /// The body ends inside its JSON value, or is empty.
    Truncated,
    /// Other data follows the JSON value.
    TrailingData {
        /// Line of its first byte, from 1.
        line: usize,
        /// Column of that byte, in bytes from 1.
        column: usize,
    },
    /// The body is JSON, but none of the five keys is at the top level or under `attacklist`.
    NoKnownKey {
        /// What was found.
        found: Shape,
        /// Whether it was under `attacklist`.
        under_attacklist: bool,
    },
    /// A key has a value of an unexpected shape; its entries would be lost.
    WrongShape {
        /// The kind of the key; `None` for `attacklist`.
        kind: Option<IdentifierKind>,
        /// Whether it was under a name below that key.
        under_name: bool,
        /// What was found.
        found: Shape,
    },
    /// No entry of one kind is usable, and some have an unexpected shape.
    WrongEntries {
        /// The kind.
        kind: IdentifierKind,
        /// The counts of all entries.
        counts: Box<EntryCounts>,
    },
    /// There are entries, but none is usable.
    NothingUsable(Box<EntryCounts>),
    /// The sink accepted no more entries.
    SinkFull,
    /// The body could not be read.
    Read(io::ErrorKind),
}

impl fmt::Display for AttackListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttackListError::NotJson {
                line,
                column,
                reason,
            } => write!(
                f,
                "the attack list is not JSON: {reason} at line {line} column {column}; \
                 check that abs.cluster and abs.authority lead to ABS itself"
            ),
            AttackListError::Truncated => f.write_str(
                "the JSON of the attack list is truncated; check for a proxy or a timeout that truncates it",
            ),
            AttackListError::TrailingData { line, column } => write!(
                f,
                "other data follows the JSON of the attack list at line {line} column {column}; \
                 expected one JSON object"
            ),
            AttackListError::NoKnownKey {
                found,
                under_attacklist,
            } => write!(
                f,
                "the attack list has none of the keys ips, cookies, oauth_tokens, api_keys and usernames, \
                 at the top level or under attacklist: found {found}{}; check that the response is ABS's attack list",
                if *under_attacklist {
                    " under attacklist"
                } else {
                    ""
                }
            ),
            AttackListError::WrongShape {
                kind,
                under_name,
                found,
            } => write!(
                f,
                "the attack list has an unexpected shape: found {found} under {}{}; expected {}; \
                 check that the response is ABS's attack list",
                kind.map_or("attacklist", IdentifierKind::list_key),
                if *under_name { ", under a name" } else { "" },
                expected(*kind, *under_name)
            ),
            AttackListError::WrongEntries { kind, counts } => write!(
                f,
                "the attack list has an unexpected shape: none of its {} can be used: {counts}; expected {}; \
                 check that the response is ABS's attack list",
                kind.list_key(),
                expected_entry(*kind)
            ),
            AttackListError::NothingUsable(counts) => write!(
                f,
                "none of the entries of the attack list can be used: {counts}; \
                 check that the response is ABS's attack list"
            ),
            AttackListError::SinkFull => {
                f.write_str("the attack list has too many entries")
            }
            AttackListError::Read(io::ErrorKind::UnexpectedEof) => {
                f.write_str("the attack list could not be read: its gzip data is truncated")
            }
            AttackListError::Read(io::ErrorKind::InvalidData) => {
                f.write_str("the attack list could not be read: its gzip data is corrupt")
            }
            // The module's readers return no other error.
            AttackListError::Read(_) => f.write_str("the attack list could not be read"),
        }
    }
}

/// The expected value of a key.
const fn expected(kind: Option<IdentifierKind>, under_name: bool) -> &'static str {
    match kind {
        None => "an object with the keys of the list",
        Some(_) if under_name => "a list of values",
        Some(IdentifierKind::Ip) => "a list of addresses and ranges",
        Some(IdentifierKind::Cookie) => "an object from a cookie's name to the list of its values",
        Some(IdentifierKind::OauthToken) => "a list of tokens",
        Some(IdentifierKind::ApiKey) => {
            "a list of API keys, or an object from a name to such a list"
        }
        Some(IdentifierKind::Username) => "a list of user names",
        // ABS lists no entries of these kinds.
        Some(IdentifierKind::Header | IdentifierKind::TokenClaims) => "a list",
    }
}

/// The expected entries of a kind.
const fn expected_entry(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::Ip => "strings, or objects with the key ip",
        IdentifierKind::Cookie => "strings, or objects with the key cookie",
        IdentifierKind::OauthToken => {
            "strings, or objects with the key access_token, oauth_token or token"
        }
        IdentifierKind::ApiKey => "strings, or objects with the key api_key",
        IdentifierKind::Username => "strings, or objects with the key username",
        IdentifierKind::Header | IdentifierKind::TokenClaims => "strings",
    }
}

impl std::error::Error for AttackListError {}

impl From<JsonError> for AttackListError {
    fn from(error: JsonError) -> Self {
        let (line, column) = (error.line, error.column);
        match error.kind {
            ErrorKind::Read(kind) => AttackListError::Read(kind),
            ErrorKind::Truncated => AttackListError::Truncated,
            ErrorKind::Trailing => AttackListError::TrailingData { line, column },
            ErrorKind::Stopped => AttackListError::SinkFull,
            ErrorKind::Syntax => AttackListError::NotJson {
                line,
                column,
                reason: error.reason,
            },
        }
    }
}
