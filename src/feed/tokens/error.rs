//! Why a body is not a list of tokens.
//!
//! Owns the words. They show shapes, positions and counts, never the body's content.

use core::fmt;

use crate::codec::json::JsonError;
use crate::feed::entries::EntryCounts;
use crate::feed::json_error::Words;
use crate::feed::scalar::Shape;

/// Why a body is not a list of tokens. Entries that went to the sink before the error must not be enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokensError {
    /// The body is not one whole JSON value.
    Json(JsonError),
    /// The body is JSON, but not a list.
    WrongShape(Shape),
    /// There are entries, and none can be used.
    NothingUsable(Box<EntryCounts>),
    /// The sink accepts no more.
    SinkFull,
}

const JSON: Words = Words {
    entries: "tokens",
    value: "list",
    advice: "check that the path of the feed names a list of tokens, and that the server accepts its headers",
};

impl fmt::Display for TokensError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokensError::Json(error) => JSON.describe(error, f),
            TokensError::WrongShape(found) => write!(
                f,
                "the response is not a list of tokens: expected a JSON list of strings or objects, found {found}; \
                 check that the path of the feed names such a list"
            ),
            TokensError::NothingUsable(counts) => write!(
                f,
                "none of the tokens can be used: {counts}; expected strings, or objects with at least one of the claims \
                 of the feed; check its path and its claims"
            ),
            TokensError::SinkFull => f.write_str("there are more tokens than there is room for"),
        }
    }
}

impl std::error::Error for TokensError {}
