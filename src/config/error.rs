//! Configuration errors: the path, what was found, what is allowed, what to do.
//!
//! Owns the text of errors and paths. A [`Problem`] must not contain a value that may be secret.

use core::fmt;

use ipnet::IpNet;

use super::tree::Value;
use crate::codec::decimal;

/// One configuration error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where: `apis[1].cookie`, `deny_list.ips[3]`; empty for the whole configuration.
    pub path: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The bytes are not JSON (RFC 8259).
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        /// What was expected there.
        reason: String,
    },
    /// A key that does not exist.
    UnknownKey {
        /// The most similar known key.
        nearest: &'static str,
        /// All keys known there.
        known: &'static [&'static str],
    },
    /// The object has the key more than once.
    DuplicateKey,
    /// The object has the key in two spellings.
    SecondSpelling {
        /// The spelling to keep.
        keep: &'static str,
    },
    /// A required key is absent.
    Missing {
        /// When it is required, and what to write.
        needed: &'static str,
    },
    /// A value that is not allowed, or of another type.
    Invalid {
        /// The value; a description where the value may be secret.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// An address range with host bits set.
    HostBits {
        /// The range as typed.
        found: String,
        /// The range without its host bits.
        range: IpNet,
        /// The single address.
        address: IpNet,
    },
    /// A name that no feed has.
    UnknownFeed {
        /// The name as typed.
        found: String,
        /// The names of all feeds.
        known: Vec<String>,
    },
    /// An API with the hostname and url of an earlier one.
    SameApi {
        /// Index of the earlier one in `apis`.
        earlier: usize,
    },
}

impl Problem {
    pub(super) fn invalid(found: impl Into<String>, allowed: &'static str) -> Self {
        Problem::Invalid {
            found: found.into(),
            allowed,
        }
    }

    /// Shows the text, so it must not be secret.
    pub(super) fn invalid_text(text: &str, allowed: &'static str) -> Self {
        Self::invalid(quoted(text), allowed)
    }

    /// Shows only the character: the text around it may be secret.
    pub(super) fn invalid_character(character: char, allowed: &'static str) -> Self {
        let character = quoted(character.encode_utf8(&mut [0; 4]));
        Self::invalid(format!("the character {character}"), allowed)
    }

    /// Shows only the type: the value may be secret.
    pub(super) fn wrong_type(value: &Value, allowed: &'static str) -> Self {
        Self::invalid(value.type_name(), allowed)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path.as_str() {
            "" => "configuration",
            path => path,
        };
        write!(f, "{path}: {}", self.problem)
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Syntax {
                line,
                column,
                reason,
            } => write!(
                f,
                "not valid JSON at line {line}, column {column}: {reason}; fix it there"
            ),
            Problem::UnknownKey { nearest, known } => write!(
                f,
                "unknown key; did you mean \"{nearest}\"? Known keys here: {}",
                known.join(", ")
            ),
            Problem::DuplicateKey => f.write_str("duplicate key; keep only one of them"),
            Problem::SecondSpelling { keep } => write!(
                f,
                "another spelling of {keep}, which is also set; keep {keep}"
            ),
            Problem::Missing { needed } => write!(f, "missing; {needed}"),
            Problem::Invalid { found, allowed } => write!(f, "found {found}; allowed: {allowed}"),
            Problem::HostBits {
                found,
                range,
                address,
            } => write!(
                f,
                "found {found}, which has host bits set; write {range} for the range or {address} for the single address"
            ),
            Problem::UnknownFeed { found, known } => write!(
                f,
                "found {}, which is no feed; feeds here: {}",
                quoted(found),
                known.join(", ")
            ),
            Problem::SameApi { earlier } => write!(
                f,
                "same hostname and url as apis[{earlier}]; merge the two entries, or change the hostname or url of one"
            ),
        }
    }
}

/// The path of `key` in the object at `path`.
pub(super) fn key_path(path: &str, key: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if key.is_empty() || key.len() > MAX_SHOWN || !key.bytes().all(is_plain) {
        // A key that contains a dot or a bracket must not look like two keys.
        format!("{path}[{}]", quoted(key))
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The path of an element of the list at `path`.
pub(super) fn element_path(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// How many characters of a value are shown.
const MAX_SHOWN: usize = 48;

/// The text in double quotes, shortened and escaped: safe in a log line.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
    }
}

/// A number as an operator would write it.
pub(super) fn shown_number(number: f64) -> String {
    decimal::short_text(number)
}
