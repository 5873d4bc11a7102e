//! Why a body is not one whole JSON value, in words for the readers of JSON feeds. Shows positions, never the body's content.

use core::fmt;
use std::io;

use crate::codec::json::{ErrorKind, JsonError};

/// The words for one feed.
pub(super) struct Words {
    /// The entries, in the plural.
    pub(super) entries: &'static str,
    /// The JSON value that is expected.
    pub(super) value: &'static str,
    /// What to check if the body is not JSON at all.
    pub(super) advice: &'static str,
}

impl Words {
    pub(super) fn describe(&self, error: &JsonError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            entries,
            value,
            advice,
        } = self;
        let JsonError {
            kind,
            line,
            column,
            reason,
        } = error;
        match kind {
            ErrorKind::Truncated => write!(
                f,
                "the {entries} are empty or end before their JSON does; \
                 check for a proxy or a timeout that truncates them"
            ),
            ErrorKind::Trailing => write!(
                f,
                "the {entries} go on after their JSON at line {line} column {column}; one JSON {value} is expected"
            ),
            ErrorKind::Read(io::ErrorKind::UnexpectedEof) => write!(
                f,
                "the {entries} could not be read: their compressed form ends early"
            ),
            ErrorKind::Read(io::ErrorKind::InvalidData) => write!(
                f,
                "the {entries} could not be read: their compressed form is damaged"
            ),
            ErrorKind::Read(_) | ErrorKind::Stopped => {
                write!(f, "the {entries} could not be read")
            }
            ErrorKind::Syntax => write!(
                f,
                "the {entries} are not JSON: {reason} at line {line} column {column}; {advice}"
            ),
        }
    }
}
