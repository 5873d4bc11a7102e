//! Why a body is not a list of decisions.
//!
//! Owns the words. They show shapes, positions and counts, never the body's content.

use core::fmt;

use crate::codec::json::JsonError;
use crate::feed::entries::EntryCounts;
use crate::feed::json_error::Words;
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

const JSON: Words = Words {
    entries: "decisions",
    value: "object",
    advice: ADVICE,
};

impl fmt::Display for DecisionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecisionsError::Json(error) => JSON.describe(error, f),
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
