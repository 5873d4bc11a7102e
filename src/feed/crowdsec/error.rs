//! Why a body is not a list of decisions.
//!
//! Owns the words. They show shapes, positions and counts, never the body's content.

use core::fmt;
use std::io;

use crate::codec::json::{ErrorKind, JsonError};
use crate::feed::entries::EntryCounts;
use crate::feed::scalar::Shape;

/// Why a body is not a list of decisions. Entries that went to the sink before the error must not be enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionsError {
    /// The body is not one whole JSON value.
    Json(JsonError),
    /// The body is JSON, but not an object with the key `new`.
    NoNew(Shape),
    /// `new` is neither a list nor null.
    WrongShape(Shape),
    /// There are decisions for this list, and none can be used.
    NothingUsable(Box<EntryCounts>),
    /// The sink accepts no more.
    SinkFull,
}

const ADVICE: &str = "check that the cluster and the path of the feed lead to CrowdSec's local API";

impl fmt::Display for DecisionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecisionsError::Json(error) => {
                let JsonError {
                    kind,
                    line,
                    column,
                    reason,
                } = error;
                match kind {
                    ErrorKind::Truncated => f.write_str(
                        "the decisions are empty or end before their JSON does; \
                         check for a proxy or a timeout that truncates them",
                    ),
                    ErrorKind::Trailing => write!(
                        f,
                        "the decisions go on after their JSON at line {line} column {column}; \
                         one JSON object is expected"
                    ),
                    ErrorKind::Read(io::ErrorKind::UnexpectedEof) => f.write_str(
                        "the decisions could not be read: their compressed form ends early",
                    ),
                    ErrorKind::Read(io::ErrorKind::InvalidData) => f.write_str(
                        "the decisions could not be read: their compressed form is damaged",
                    ),
                    ErrorKind::Read(_) | ErrorKind::Stopped => {
                        f.write_str("the decisions could not be read")
                    }
                    ErrorKind::Syntax => write!(
                        f,
                        "the decisions are not JSON: {reason} at line {line} column {column}; {ADVICE}"
                    ),
                }
            }
            DecisionsError::NoNew(found) => write!(
                f,
                "the response is not a stream of decisions: expected an object with the key new, found {found}; {ADVICE}"
            ),
            DecisionsError::WrongShape(found) => write!(
                f,
                "the decisions have another shape: expected a list under new, found {found}; {ADVICE}"
            ),
            DecisionsError::NothingUsable(counts) => {
                write!(f, "none of the decisions can be used: {counts}; {ADVICE}")
            }
            DecisionsError::SinkFull => {
                f.write_str("there are more decisions than there is room for")
            }
        }
    }
}

impl std::error::Error for DecisionsError {}
