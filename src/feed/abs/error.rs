//! Why a body is not an attack list.
//!
//! Owns the words. They show shapes, positions and counts, never the body's content.

use core::fmt;
use std::io;

use crate::codec::json::{ErrorKind, JsonError};
use crate::feed::entries::EntryCounts;
use crate::identifier::IdentifierKind;

/// The shape of a JSON value, without its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    Text,
    /// A list.
    List,
    /// An object with this many keys.
    Object(u64),
    /// An object with keys.
    SomeObject,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Null => f.write_str("null"),
            Shape::Bool => f.write_str("a boolean"),
            Shape::Number => f.write_str("a number"),
            Shape::Text => f.write_str("a string"),
            Shape::List => f.write_str("a list"),
            Shape::Object(0) => f.write_str("an empty object"),
            Shape::Object(1) => f.write_str("an object with 1 key"),
            Shape::Object(n) => write!(f, "an object with {n} keys"),
            Shape::SomeObject => f.write_str("an object"),
        }
    }
}

/// Why a body is not an attack list. Entries that went to the sink before the error must not be enforced.
///
/// No variant holds anything of the body's content but positions in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttackListError {
    /// The body is not JSON (an HTML page, for instance).
    NotJson {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, in bytes from 1.
        column: usize,
        /// The parser's description, which quotes nothing of the body.
        reason: String,
    },
    /// The body ends inside its JSON value, or is empty.
    Truncated,
    /// Something follows the JSON value.
    TrailingData {
        /// Line of the first byte that does not belong, from 1.
        line: usize,
        /// Column of that byte, in bytes from 1.
        column: usize,
    },
    /// The body is JSON, but none of the five keys is at the top level or under `attacklist`.
    NoKnownKey {
        /// What was found.
        found: Shape,
        /// It was found under `attacklist`.
        under_attacklist: bool,
    },
    /// One of the keys has a value of another shape, so that its entries would be lost.
    WrongShape {
        /// Under which of the five keys; `None` for `attacklist`.
        kind: Option<IdentifierKind>,
        /// Under a name below that key.
        under_name: bool,
        /// What was found.
        found: Shape,
    },
    /// No entry of one kind can be used, since they have another shape.
    WrongEntries {
        /// Which kind.
        kind: IdentifierKind,
        /// What can't be used.
        counts: Box<EntryCounts>,
    },
    /// There are entries, and none can be used.
    NothingUsable(Box<EntryCounts>),
    /// The sink would take no more.
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
                "the attack list ends before its JSON does; check for a proxy or a timeout that cuts it short",
            ),
            AttackListError::TrailingData { line, column } => write!(
                f,
                "the attack list goes on after its JSON at line {line} column {column}; \
                 one JSON object is expected"
            ),
            AttackListError::NoKnownKey {
                found,
                under_attacklist,
            } => write!(
                f,
                "the attack list holds none of the keys ips, cookies, oauth_tokens, api_keys and usernames, \
                 at the top level or under attacklist: found {found}{}; check that ABS answered with its attack list",
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
                "the attack list has another shape: found {found} under {}{}; expected {}; \
                 check that ABS answered with its attack list",
                kind.map_or("attacklist", IdentifierKind::list_key),
                if *under_name { ", in a name" } else { "" },
                expected(*kind, *under_name)
            ),
            AttackListError::WrongEntries { kind, counts } => write!(
                f,
                "the attack list has another shape: none of its {} can be used: {counts}; expected {}; \
                 check that ABS answered with its attack list",
                kind.list_key(),
                expected_entry(*kind)
            ),
            AttackListError::NothingUsable(counts) => write!(
                f,
                "none of the entries of the attack list can be used: {counts}; \
                 check that ABS answered with its attack list"
            ),
            AttackListError::SinkFull => {
                f.write_str("the attack list has more entries than there is room for")
            }
            AttackListError::Read(io::ErrorKind::UnexpectedEof) => {
                f.write_str("the attack list could not be read: its compressed form ends early")
            }
            AttackListError::Read(io::ErrorKind::InvalidData) => {
                f.write_str("the attack list could not be read: its compressed form is damaged")
            }
            // In the module no other comes.
            AttackListError::Read(_) => f.write_str("the attack list could not be read"),
        }
    }
}

/// What belongs under a key.
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
    }
}

/// What an entry looks like.
const fn expected_entry(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::Ip => "strings, or objects with the key ip",
        IdentifierKind::Cookie => "strings, or objects with the key cookie",
        IdentifierKind::OauthToken => {
            "strings, or objects with the key access_token, oauth_token or token"
        }
        IdentifierKind::ApiKey => "strings, or objects with the key api_key",
        IdentifierKind::Username => "strings, or objects with the key username",
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
